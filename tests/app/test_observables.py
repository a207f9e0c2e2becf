"""What a lesson may ask, against independent oracles: expressions, observables of the page, and how many draws a check
needs before it says anything."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from app.engine.training.measurements.activity import Activity
from app.estimates.sample import Sample, thrown_settings
from app.estimates.settings import SUSPECTS, Bench
from app.features.learn.verdicts import Checked, Verdict
from app.features.lipschitz.observables import INVERSION
from app.lessons.expression import Expression, Unknown
from app.lessons.lesson import Action, Check
from app.lessons.player import Player
from app.lessons.settings import changed
from app.lessons.shelf import shelf
from tests.app.test_lessons import situation
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

A = KNOWN_A.numpy()


def with_small_flow(settings):
    """A player whose flow is small, and new."""
    player = Player()
    flow = {"blocks": "2", "width": "8", "batch": "32"} | settings
    player._become(*changed(player.setup, player.benches, flow, anew=True))
    return player


OF_DRAWS = [
    pytest.param(lesson.id, block.id, id=f"{lesson.id}/{block.id}")
    for lesson in shelf().originals.values()
    for block in lesson.blocks.values()
    if isinstance(block, Check) and block.of.draws
]


def place_of(lesson_id, block_id):
    """A check, and the page with the settings of its step."""
    lesson = shelf().lesson(lesson_id)
    (step,) = [step for step in lesson.steps if block_id in [block.id for block in step.blocks]]
    at = situation()
    setup, benches = changed(at.setup, at.benches, step.settings, anew=True)
    return lesson.blocks[block_id], replace(at, setup=setup, benches=benches)


def thrown(at, n, **settings):
    """The page with so many draws, of a bench with these settings."""
    bench = replace(at.bench(Bench), **settings)
    sample = Sample(thrown_settings(bench))
    sample.want(n)
    while sample.busy:
        sample.go_on()
    return replace(at, benches={**at.benches, Bench: bench}, thrown=sample.values, counts=sample.counts)


class TestPower:
    """A check of draws finds nothing until it has so many that it would notice what is wrong."""

    @pytest.mark.parametrize(
        ("lesson_id", "block_id"), [("roulette", "coins-mean"), ("roulette", "unbiased"), ("bugs", "a-law")]
    )
    def test_nothing_is_judged_of_one_draw_less_than_is_needed(self, lesson_id, block_id):
        check, at = place_of(lesson_id, block_id)
        needed = check.needed(at)
        for n in (2, needed - 1):
            if check.observable.text == "coin_mean":
                there = replace(at, coins="3+ 3- 4+ 3- 5+ 4- 3+ 3- 4+ 6-"[: 3 * n])
            else:
                there = thrown(at, n)
            found = check.outcome(there)
            assert found.passed is None
            if check.observable.of(there) is not None:
                assert (found.draws, found.needed) == (n, needed)
                assert Checked(check.id, found, False).verdict is Verdict.TOO_FEW

    @pytest.mark.parametrize(("lesson_id", "block_id"), OF_DRAWS)
    def test_a_difference_is_noticed_in_95_of_100(self, lesson_id, block_id):
        """By the normal law of a mean that is off by this difference; with a quarter of the draws clearly less."""
        check, at = place_of(lesson_id, block_id)
        if not check.sees:
            return
        sees, sd = (Expression(text).of(at) for text in (check.sees.text, "deviation"))
        for n, least, most in ((check.needed(at), 0.95, 1.0), (math.ceil(check.needed(at) / 4), 0.0, 0.85)):
            error = sd / math.sqrt(n)
            limit = check.tolerance * error if check.errors else check.tolerance
            noticed = stats.norm.sf(limit, sees, error) + stats.norm.cdf(-limit, sees, error)
            assert least <= noticed <= most

    def test_how_often_a_bias_is_noticed(self):
        at = situation()
        error = at.value("deviation") / math.sqrt(5_000)
        noticed = stats.norm.sf(3 * error, 0.02, error) + stats.norm.cdf(-3 * error, 0.02, error)
        assert at.value("notices", (0.02, 5_000)) == pytest.approx(noticed, abs=1e-9)
        assert at.value("notices", (-0.02, 5_000)) == pytest.approx(noticed, abs=1e-9)

    def test_the_error_bars_of_ones_own_draws_by_hand(self):
        at = replace(situation(), thrown=np.array([0.5, 0.7, 0.9, 0.95, 0.6, 0.58, 0.3]))
        held = 0
        for first, second in ((0.5, 0.7), (0.9, 0.95), (0.6, 0.58)):
            error = abs(first - second) / 2  # the deviation of two numbers, divided by the root of two
            held += abs((first + second) / 2 - KNOWN_LOG_DET) <= 1.96 * error
        assert at.value("own_coverage", (2,)) == held / 3 == 2 / 3
        for each in (1, 8):
            with pytest.raises(Unknown):
                at.value("own_coverage", (each,))


class TestExpressions:
    @pytest.mark.parametrize(
        ("text", "is_live"),
        [
            ("bench.n_terms", True),
            ("given(truth, 'bench.n_terms=7')", False),
            ("given(truth, 'bench.n_terms=7') - truth", True),
        ],
    )
    def test_those_of_the_page_as_it_is_are_told_from_those_of_given_settings(self, text, is_live):
        assert Expression(text).is_live is is_live

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1 + 2 * 3 ** 2 - 4 / 2", 17.0),
            ("-abs(-2) < sqrt(4) <= 2 and not 1 > 2", True),
            ("ceil(1.2) + ceil(-1.2) + ceil(3)", 4),
            ("abs(exp(log(3)) - 3) < 1e-12 or 1 != 1", True),
            ("bench.n_terms == 5 and bench.probe == 'gaussian'", True),
            ("given(bench.n_terms, 'bench.n_terms=7') + bench.n_terms", 12),
        ],
    )
    def test_are_calculated(self, text, value):
        assert Expression(text).of(situation()) == pytest.approx(value)

    @pytest.mark.parametrize(
        "text",
        [
            "__import__('os')", "(lambda: 1)()", "[1][0]", "{'a': 1}", "f'{1}'", "a if b else c", "x := 1",
            "bias(n=3)", "bias(*[1])", "1 << 2", "given(1)", "1; 2", "", "throws.__class__", "'a'.upper()",
        ],
    )  # fmt: skip
    def test_are_no_programs(self, text):
        with pytest.raises(ValueError, match="`"):
            Expression(text).of(situation())

    def test_what_is_not_known_yet_makes_all_of_it_unknown(self):
        assert Expression("mean + 1").of(situation()) is None
        with pytest.raises(Unknown):
            situation().value("mean")

    @pytest.mark.parametrize(
        "text",
        [
            "1 / 0", "9**9**9", "exp(1e9)", "log(-1)", "(-8)**0.5", "entry(5, 1)", "bias(10**6)", "series(1.5)",
            "bug_mean('what')", "bench.law.p < 'a'",
        ],
    )  # fmt: skip
    def test_what_cannot_be_calculated_says_so(self, text):
        with pytest.raises(ValueError, match=re.escape(f"`{text}`: ")):
            Expression(text).of(situation())


class TestObservables:
    def test_the_series_against_powers_of_the_matrix(self):
        at, total = situation(), 0.0
        assert at.value("truth") == pytest.approx(KNOWN_LOG_DET, abs=1e-10)
        for k in range(1, 9):
            trace = np.trace(np.linalg.matrix_power(A, k))
            total += (-1) ** (k + 1) / k * trace
            assert at.value("trace", (k,)) == pytest.approx(trace, abs=1e-14)
            assert at.value("series", (k,)) == pytest.approx(total, abs=1e-12)
            assert at.value("bias", (k,)) == pytest.approx(total - KNOWN_LOG_DET, abs=1e-9)
        assert at.value("radius") == pytest.approx(max(abs(np.linalg.eigvals(A))))
        assert [at.value("entry", (i, j)) for i in (1, 2) for j in (1, 2)] == A.flatten().tolist()

    @pytest.mark.parametrize(("matrix", "needed"), [("0.45 0.3 -0.25 0.2", 7), ("0.9 0.3 0.1 -0.2", 58)])
    def test_the_terms_needed_by_trying_all(self, matrix, needed):
        at = situation(matrix=matrix)
        a = at.bench(Bench).array
        power, total, last = np.eye(2), 0.0, 0
        for k in range(1, 400):
            power = power @ a
            total += (-1) ** (k + 1) / k * np.trace(power)
            if abs(total - np.linalg.slogdet(np.eye(2) + a)[1]) > 1e-4:
                last = k
        assert at.value("needed", (1e-4,)) == last + 1 == needed
        assert at.value("needed", (1e3,)) == 1

    def test_variances_that_are_known(self):
        assert situation().value("variance") == pytest.approx(0.3917271732, abs=1e-9)
        assert situation(probe="rademacher").value("variance") == pytest.approx(0.0014856049, abs=1e-9)
        assert situation().value("factor") == pytest.approx(1.548, abs=5e-4)
        assert situation(law="poisson").value("variance") == math.inf
        assert situation().value("optimal_product") < situation().value("product")
        assert situation().value("survival", (10,)) == 0.5**7

    def test_throws_and_coins_by_hand(self):
        thrown = np.array([0.5, 0.7, 0.9])
        at = replace(situation(), thrown=thrown)
        assert (at.value("mean"), at.value("throws")) == (pytest.approx(0.7), 3)
        assert at.value("mean_error") == pytest.approx(0.2 / math.sqrt(3))
        assert (at.value("spread", (3,)), at.value("spread", (2,))) == (pytest.approx(0.2), pytest.approx(0.02**0.5))
        assert at.value("furthest_throw") == pytest.approx(0.9 - np.linalg.slogdet(np.eye(2) + A)[1])
        for unknown in (4, 1):
            with pytest.raises(Unknown):
                at.value("spread", (unknown,))
        coins = replace(situation(probe="rademacher"), coins="3+ 4-")
        weights = [1, 1, 1, 0.5]
        estimates = []
        for n, sign in ((3, 1), (4, -1)):
            v = np.array([1, sign])
            powers = [v @ np.linalg.matrix_power(A, k) @ v for k in range(1, n + 1)]
            estimates.append(sum((-1) ** k / (k + 1) * p / weights[k] for k, p in enumerate(powers)))
        assert coins.value("coin_mean") == pytest.approx(np.mean(estimates))
        assert coins.value("coin_error") == pytest.approx(np.std(estimates, ddof=1) / math.sqrt(2))
        with pytest.raises(Unknown):
            replace(coins, coins="2+").value("coin_throws")

    def test_shares_of_n_and_how_far_they_are_from_the_law(self):
        at = replace(situation(), counts=np.array([0, 0, 0, 40, 40, 20, 0]))
        assert [at.value("share", (n,)) for n in (3, 4, 6, 99)] == [0.4, 0.4, 0, 0]
        gaps = [abs(0.4 - p) / math.sqrt(p * (1 - p) / 100) for p in (0.5, 0.25)]  # N = 5, 6 are nearer to the law
        assert at.value("law_gap") == pytest.approx(max(gaps))
        for name, arguments in (("share", (3,)), ("law_gap", ())):
            with pytest.raises(Unknown):
                situation().value(name, arguments)

    def test_what_a_batch_shares(self):
        powers = [(-1) ** (k + 1) / k * np.linalg.matrix_power(A, k) for k in range(1, 200)]
        traces = [np.trace(sum(powers[n:])) for n in range(60)]  # of R_{n+1}
        survival = [0.5 ** max(0, n - 3) for n in range(61)]
        never = sum((1 / survival[n + 1] - 1 / survival[n]) * traces[n] ** 2 for n in range(60))
        at = situation(probe="rademacher")
        assert at.value("batch_deviation", (512,)) == pytest.approx(at.value("deviation") / math.sqrt(512))
        wanted = math.sqrt(never + (at.value("variance") - never) / 512)
        assert at.value("shared_deviation", (512,)) == pytest.approx(wanted)

    def test_the_means_of_bugs(self):
        assert situation(suspect="a").value("suspect_mean") == pytest.approx(np.trace(A @ np.linalg.inv(np.eye(2) + A)))
        for label, suspect in SUSPECTS.items():
            assert situation(suspect=label).value("suspect_mean") == situation().value("bug_mean", (suspect.bug,))

    @pytest.mark.thorough
    def test_what_was_measured_of_another_scale_step_or_block_is_not_known(self):
        player = with_small_flow({"constraint": "off", "lipschitz.block": "2"})
        at = player.situation({"masses": True} | INVERSION)
        assert at.value("mass") == pytest.approx(1, abs=1e-3)
        alone = at.value("bound")
        for settings in ({"lipschitz.scale": "3"}, {"lipschitz.block": "1"}, {"lipschitz.method": "newton"}):
            setup, benches = changed(player.setup, player.benches, settings)
            assert Expression("bound").of(replace(at, setup=setup, benches=benches)) is None
        setup, benches = changed(player.setup, player.benches, {"lipschitz.scale": "3"})
        assert Expression("mass").of(replace(at, setup=setup, benches=benches)) is None
        arm = replace(at.arm, step=at.arm.step + 1)
        later = replace(at, report=replace(at.report, arms=(arm,)))
        for name in ("mass", "bound", "steepest", "block_norm"):
            assert Expression(name).of(later) is None
        player._become(setup, benches)
        assert player.situation(INVERSION).value("bound") == pytest.approx(3 * alone)

    def test_gradients_are_those_of_the_blocks(self):
        player = with_small_flow({"activation": "elu", "activations.view": "inside"})
        player.act(Action("train", 20))
        at = player.situation({"activity": "all"})
        blocks = at.arm.found(Activity).split.blocks
        log_det, base = np.linalg.norm(blocks.log_det), np.linalg.norm(blocks.base)
        assert at.value("log_det_gradient") == pytest.approx(log_det)
        assert at.value("base_gradient") == pytest.approx(base)
        assert at.value("log_det_share") == pytest.approx(log_det / (log_det + base))
        assert at.value("pull") == pytest.approx(blocks.inner.sum() / (log_det * base))

    def test_norms_between_orders_by_hand(self):
        at, two = situation(), float(np.linalg.norm([[1, 0.6], [-0.4, 0.8]], 2))
        for p, q, norm in (("1", "1", 1.4), ("inf", "inf", 1.6), ("2", "2", two)):
            there = at.changed({"lipschitz.p": p, "lipschitz.q": q})
            assert there.value("norm_above") == pytest.approx(norm, rel=2e-5)
            assert there.value("norm_below") == pytest.approx(norm, rel=2e-5)
