"""What the Estimator screen opens with: every number of its sentences against sums by hand and the core, and that no
lesson is told the answer."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import evidence
from app.engine import local
from app.estimates import pasted
from app.estimates.settings import Bench
from app.features.estimator import answers, stored, table
from app.features.estimator.answers import OnPlane
from app.features.estimator.evidence import (
    BY_HAND,
    EVIDENCE,
    HAND_SEEDS,
    PLANE,
    last_means,
    read_by_hand,
    read_map,
    read_plane,
)
from app.features.estimator.example import EXAMPLE
from app.features.estimator.numbers import ByHand, Density, Noise, Series, Tail, by_hand, remainders_of
from app.features.estimator.sweeps import P, across_p, cost, subject_of
from app.features.estimator.verdicts import Products, products
from resflow_core.estimators.draws import draw_estimates
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import Soft
from resflow_core.probes import PROBES
from resflow_core.roulette import Geometric
from tests.app.pages import decode, finding, keys, number, own, panes, said
from tests.app.test_estimator import checked, opened, own_mean, picture, press
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
MAIN = Path(__file__).parents[2] / "app" / "page.py"
DRAWS = 10_000
A = np.array([[5, 1], [1, 5]]) / 12
BIAS = 47 / 72 - math.log(2)
KNOWN = Bench(matrix=tuple(KNOWN_A.flatten().tolist()))


def variance_parts(signs):
    """Of one draw of the example, by enumeration of N: what the probe and what stopping adds. In the eigenvectors of A
    the estimate is a sum of w_i^2 e_i(N), w standard normal; with signs w is (sqrt 2, 0) or (0, sqrt 2)."""
    chances = 0.5 ** np.arange(1, 61)
    k = np.arange(1, 61)
    e = np.stack([np.cumsum(-((-eigenvalue) ** k) / k * 2.0 ** (k - 1)) for eigenvalue in (1 / 2, 1 / 3)])
    sums = np.array([2 * e[0], 2 * e[1]]) if signs else e.sum(0)[None]
    total = (chances * (sums**2).mean(0)).sum() - (chances * sums.mean(0)).sum() ** 2
    given_n = np.zeros(60) if signs else 2 * (e**2).sum(0)
    limits = np.log([3 / 2, 4 / 3])
    probe = ((2 * limits).std() ** 2) if signs else 2 * (limits**2).sum()
    return probe, total + (chances * given_n).sum() - probe


def numbers_in(text):
    """Those that the text names, with its separators between thousands read."""
    return [number(found) for found in re.findall(r"[−-]?\d[\d,]*\.?\d*", text.replace("**", ""))]


def answer(page):
    """The sentence that the page opens with."""
    return next(
        text
        for text in said(page)
        if re.match(r"One draw|Every draw|Draws are|Here|At \*\*|The variance of this|\*\*Est", text)
    )


def primaries(page):
    return [button.key for button in page.button if button.proto.type == "primary"]


class TestByHand:
    def test_the_stored_numbers_are_sums_by_hand(self):
        found = read_by_hand(evidence.stored(BY_HAND).found)
        assert found.truth == pytest.approx(math.log(2), rel=1e-5)
        assert found.bias == pytest.approx(BIAS, rel=1e-4)
        assert (found.by_probe, found.by_stopping) == pytest.approx(variance_parts(signs=True), rel=1e-4)
        assert found.other == pytest.approx(sum(variance_parts(signs=False)), rel=1e-4)
        assert (found.tail.radius, found.tail.ratio, found.n_terms) == (pytest.approx(0.5), 0.5, 2)

    def test_the_stored_draws_are_the_cores(self):
        kept = evidence.stored(BY_HAND)
        assert kept.seeds == HAND_SEEDS and len(set(kept.seeds)) >= 3 and EXAMPLE.seed not in kept.seeds
        for seed, means in zip(kept.seeds, kept.found["means"], strict=True):
            values = draw_estimates(A, Geometric(0.5, 1), "rademacher", DRAWS, seed).value
            assert kept.found["draws"][-1] == DRAWS
            for n, mean in zip(kept.found["draws"], means, strict=True):
                assert mean == pytest.approx(values[:n].mean(), rel=1e-5)

    def test_every_number_of_the_sentence_follows(self):
        probe, stopping = variance_parts(signs=True)
        deviation, terms, off, draws, share, more, again = numbers_in(stored.hand_sentence())
        assert deviation == pytest.approx((probe + stopping) ** 0.5, abs=5e-3)
        assert (terms, off) == (2, pytest.approx(BIAS, abs=5e-5))
        assert draws == again == math.ceil((probe + stopping) / BIAS**2)
        assert share == pytest.approx(100 * stopping / (probe + stopping), abs=0.5)
        assert more == pytest.approx(sum(variance_parts(signs=False)) / BIAS**2, rel=0.05)

    def test_its_claims_hold_and_a_broken_one_is_said(self):
        kept = evidence.stored(BY_HAND)
        claims = EVIDENCE[BY_HAND].claims(kept.found)
        assert len(claims) == 2 and all(claims.values())
        found, means = read_by_hand(kept.found), last_means(kept.found)
        assert answers.contradiction(found, means, DRAWS) == ""
        off = [*means[:2], found.truth + 0.2]
        assert not all(answers.hand_claims(found, off, DRAWS).values())
        assert numbers_in(answers.contradiction(found, off, DRAWS)) == [DRAWS, pytest.approx(0.2)]
        small = replace(found, bias=1e-3)
        assert list(answers.hand_claims(small, means, DRAWS).values()) == [True, False]
        assert answers.contradiction(small, means, DRAWS) != ""

    def test_it_opens_with_the_example_before_anything_is_pressed(self):
        page = opened(arrives=True)
        assert answer(page) == stored.hand_sentence()
        assert own(page).benches[Bench] == EXAMPLE
        assert [page.text_input(key=f"bench.matrix.{i}").value for i in range(4)] == ["5/12", "1/12", "1/12", "5/12"]
        drawn = picture(page)["paths"][2:]
        assert len(drawn) == 3
        for path, means in zip(drawn, evidence.stored(BY_HAND).found["means"], strict=True):
            assert decode(path["points"])[-1] == pytest.approx((DRAWS, means[-1]))
        assert primaries(page) == ["throw.1"]
        assert not {"play", "step", "steps", "reset", "blocks"} & set(keys(page))
        assert "share.bench" in page.session_state

    def test_ones_own_draws_take_the_place_of_the_stored_ones(self):
        page = press(opened(arrives=True), "throw.10000")
        values = draw_estimates(A, Geometric(0.5, 1), "rademacher", DRAWS, 0).value
        assert own_mean(page)[-1] == pytest.approx((DRAWS, values.mean()))
        assert len(picture(page)["paths"]) == 3 and numbers_in(answer(page)) == numbers_in(stored.hand_sentence())
        page = press(page, "throw.clear")
        assert len(picture(page)["paths"]) == 5

    def test_other_settings_have_an_answer_of_their_own_and_nothing_stored(self):
        page = opened()
        assert len(picture(page)["paths"]) == 2  # the truth, and where the series ends
        found = finding(page, ByHand)
        assert numbers_in(answer(page)) == numbers_in(answers.hand_sentence(found))
        assert found.deviation**2 == pytest.approx(0.3917271732) and found.other == pytest.approx(0.0014856049)
        assert found.bias == pytest.approx(finding(page, Series).bias)

    def test_what_comes_with_settings_stays_and_so_does_who_was_here(self):
        page = opened(arrives=True, probe="sphere")
        assert own(page).benches[Bench] == Bench(probe="sphere")
        page = opened(arrives=True)
        page.query_params.clear()
        page = press(page, "example.sheet")
        assert own(page).benches[Bench] == replace(EXAMPLE, matrix=KNOWN.matrix)

    @pytest.mark.parametrize(("lesson", "step"), [("roulette", "one"), ("bugs", "sound"), ("series", "")])
    def test_a_lesson_is_not_told_the_answer(self, lesson, step):
        page = _beside(lesson, step)
        assert own(page).benches[Bench].matrix != EXAMPLE.matrix
        assert not [one for one in panes(page) if one["y"].startswith("mean of the estimates")]
        assert stored.hand_sentence() not in said(page) and ByHand not in own(page).findings
        assert not any("app.evidence" in caption.value for caption in page.caption)

    def test_a_suspect_is_not_vouched_for(self):
        page = press(opened(suspect="c"), "throw.100")
        assert answer(page).startswith("**Estimator C**")
        assert "sound" in picture(page)["areas"][0]["label"]


def _beside(lesson, step):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in {"lesson": lesson, "step": step, "blocks": "2", "width": "16"}.items():
        page.query_params[name] = value
    page.switch_page("features/estimator/estimator.py")
    return checked(page.run())


FOUND = ByHand(0.6, 3, 0.01, "gaussian", 0.3, 0.1, 0.05, Tail(0.4, 0.5))


class TestSentences:
    def test_draws_are_counted_up(self):
        assert answers.draws_for(0.4, 0.01) == 4000
        assert answers.draws_for(1e-9, 0.5) == 1
        assert numbers_in(answers.hand_sentence(FOUND)) == [0.63, 3, 0.01, 4000, 25, 500, 4000]

    @pytest.mark.parametrize(
        ("changes", "named", "unsaid"),
        [
            ({"by_stopping": math.inf, "tail": Tail(0.9, 0.5)}, ("infinite", "0.81"), ("typically",)),
            ({"by_stopping": math.nan, "tail": Tail(0.5**0.5, 0.5)}, ("may be infinite",), ("nan",)),
            ({"by_probe": 0.0, "by_stopping": 0.0}, ("exact", "0.01"), ("typically",)),
            ({"bias": 0.0}, ("leaves nothing out",), ("always off",)),
            ({"by_stopping": 0.0}, ("all of a draw's variance",), ("0 %",)),
            ({"by_probe": 0.0, "probe": "rademacher"}, ("adds nothing",), ("100 %",)),
            ({"other": math.inf}, ("always off",), ("Rademacher",)),
        ],
    )
    def test_where_a_claim_fails_the_sentence_says_the_other_thing(self, changes, named, unsaid):
        said = answers.hand_sentence(replace(FOUND, **changes))
        assert all(word in said for word in named)
        assert not any(word in said for word in (*unsaid, "nan", "None"))

    @pytest.mark.parametrize("probe", PROBES)
    def test_it_is_said_of_every_probe(self, probe):
        bench = replace(KNOWN, probe=probe)
        found = by_hand(bench, remainders_of(bench))
        assert numbers_in(answers.hand_sentence(found))[1:3] == [5, pytest.approx(found.bias, rel=1e-2)]


class TestAcrossSettings:
    @pytest.mark.slow
    def test_the_sentence_has_the_costs_of_the_core(self):
        page = opened(view="settings")
        subject = subject_of(Bench(), None)
        grid = [
            (one.product, float(p), n)
            for n, costs in across_p(subject, Bench(view="settings")).items()
            for p, one in zip(P, costs, strict=True)
        ]
        least, p, n = min(one for one in grid if np.isfinite(one[0]))
        assert least == cost(subject, Geometric(p, n), "gaussian").product
        paper = cost(subject, Geometric(0.5, 3), "gaussian").product
        best, terms, half, three, times, dear, cheap = numbers_in(answer(page))[:7]
        assert (best, terms, half, three) == (pytest.approx(p, abs=5e-3), n, 0.5, 3)
        assert times == pytest.approx(paper / least, abs=0.05)
        assert (cheap, dear) == (pytest.approx(least, rel=2e-3), pytest.approx(paper, rel=2e-3))
        (chart,) = [one for one in panes(page) if one["title"].startswith("Variance ×")]
        labels = {one["label"]: decode(one["points"]) for one in chart["paths"]}
        (marked,) = [points for label, points in labels.items() if label.startswith("cheapest")]
        assert marked[0] == pytest.approx((p, least), rel=1e-5)
        (infinite,) = [one for one in chart["areas"] if one["label"].startswith("infinite")]
        for points in (labels[""], decode(infinite["low"])):  # its hatching, and its edge
            assert np.nanmin(points[:, 0]) == pytest.approx(1 - subject.radius**2, rel=1e-4)

        assert primaries(page) == ["across.best"]  # which sets the cheapest law
        page = press(page, "across.best")
        assert own(page).benches[Bench].law == products(Bench(), subject).geometric[0]
        assert page.button(key="across.best").disabled
        assert page.select_slider(key="bench.law.n_exact").value == 1

    @pytest.mark.slow
    def test_it_says_so_where_the_papers_is_infinite_or_nothing_is_finite(self):
        for matrix, words in (((0.9, 0.3, 0.1, -0.2), "infinite"), ((0.99, 0.0, 0.0, 0.0), "no p")):
            bench = Bench(matrix=matrix)
            assert words in answers.cost_sentence(products(bench, subject_of(bench, None)))
        page = opened(view="settings", matrix="0.4 -0.4 0.4 -0.4", probe="rademacher")
        assert "nan" not in answer(page)


class TestOnPlane:
    def test_the_stored_numbers_agree_with_each_other(self):
        kept = evidence.stored(PLANE)
        found = read_plane(kept.found)
        assert len(kept.seeds) == len(found.shares) >= 3
        at = int(np.flatnonzero(P == 0.5)[0])
        for share, safe, by_p in zip(found.shares, found.safe, kept.found["by_p"], strict=True):
            assert by_p[at] == pytest.approx(share) and by_p == sorted(by_p)
            assert all(share <= 0.01 for p, share in zip(P, by_p, strict=True) if p < safe)
            assert all(share >= 0.0095 for p, share in zip(P, by_p, strict=True) if p > safe)
        drawn = read_map(kept.found)
        beyond = drawn.radius**2 > found.ratio
        assert (beyond == np.isnan(drawn.deviation)).mean() > 0.98  # bytes: but for nodes at the line
        share = drawn.beyond.mean()
        assert abs(share - found.shares[0]) < 5 * (found.shares[0] * (1 - found.shares[0]) / len(drawn.beyond)) ** 0.5

    def test_every_number_of_the_sentence_follows(self):
        found = read_plane(evidence.stored(PLANE).found)
        percent, low, high, seeds, p, points, paper = numbers_in(stored.plane_sentence())
        assert percent == pytest.approx(100 * np.mean(found.shares), abs=0.5)
        assert (low, high) == pytest.approx((100 * min(found.shares), 100 * max(found.shares)), abs=0.5)
        assert (seeds, points, paper) == (3, 99, 0.5) and p == pytest.approx(min(found.safe), rel=0.05)

    def test_its_claim_holds_and_a_broken_one_changes_the_sentence(self):
        assert all(EVIDENCE[PLANE].claims(evidence.stored(PLANE).found).values())
        none = OnPlane((0.0, 0.0, 0.0), (0.6, 0.7, 0.6), 0.5)
        assert not any(answers.plane_claims(none).values())
        assert "at **no**" in answers.plane_sentence(none, "3 seeds")

    def test_it_opens_with_trained_flows_and_one_primary_action(self):
        page = opened(view="plane")
        assert answer(page) == stored.plane_sentence()
        assert primaries(page) == ["plane.train"] and "play" not in keys(page)
        titles = [one["title"] for one in panes(page)]
        assert len(titles) == 2 and "seed 0" in titles[0]

    @pytest.mark.slow
    def test_the_primary_action_trains_the_stored_flow(self, monkeypatch):
        monkeypatch.setattr(local, "PLAY_STEPS", 1)  # a poll: its 24 blocks are not to be trained, only begun
        page = opened(view="plane", arrives=True)
        page = press(page, "plane.train")
        page = checked(page.run())
        setup = own(page).setup
        kept = evidence.stored(PLANE).settings
        # A setting that came later has its default in what was stored before.
        flow = eval(kept["flow"], {"FlowConfig": FlowConfig, "Soft": Soft})
        assert (setup.data, setup.flow, repr(setup.train)) == (kept["data"], flow, kept["train"])
        assert repr(own(page).benches[Bench].law) == kept["law"]
        assert own(page).report.state.value not in ("paused",) or own(page).report.arms[0].step
        assert "play" in keys(page)

    @pytest.mark.slow
    def test_a_small_part_made_anew_says_the_same(self):
        for name in EVIDENCE:
            made = EVIDENCE[name].make(True)
            assert all(EVIDENCE[name].claims(made.found).values())


class TestPaste:
    @pytest.mark.parametrize(
        "text",
        [
            "[[0.45, 0.3], [-0.25, 0.2]]",
            "0.45\t0.3\n-0.25\t0.2\n",
            "0,45\t0,3\r\n-0,25\t0,2",
            "0,45;0,3\n-0,25;0,2",
            "0.45, 0.3\n-1/4, 1/5",
            "0.45,0.3\n-0.25,0.2",
            "[0.45 0.3; -0.25 0.2]",
            "0.45 0.3 -0.25 0.2",
            "[[ 0.45  0.3 ]\n [-0.25  0.2 ]]",
            "np.array([[0.45, 0.3], [-0.25, 0.2]])",
            "0,45 0,3\n\N{MINUS SIGN}0,25 0,2",
        ],
    )
    def test_matrices_of_spreadsheets_and_programs_are_read(self, text):
        assert pasted.matrix(text) == pytest.approx((0.45, 0.3, -0.25, 0.2))

    @pytest.mark.parametrize(
        "text",
        [
            "0.1 0.2 0.3\n0 -0.1 0\n0.3 0 0.4",
            "[0.1 0.2 0.3; 0 -0.1 0; 0.3 0 0.4]",
            "[0.1,0.2,0.3;0,-0.1,0;0.3,0,0.4]",
            "[[0.1, 0.2, 0.3], [0, -0.1, 0], [0.3, 0, 0.4]]",
            "0.1 0.2 0.3 0 -0.1 0 0.3 0 0.4",
            "0,1;0,2;0,3\n0;-0,1;0\n0,3;0;0,4",
        ],
    )
    def test_larger_ones_too(self, text):
        assert pasted.matrix(text) == pytest.approx((0.1, 0.2, 0.3, 0, -0.1, 0, 0.3, 0, 0.4))

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("1 2 3\n4 5 6", ("2 rows", "3 and 3", "two rows of two")),
            ("\n".join(["1 2 3 4 5 6"] * 6), ("6 rows", "6 and 6 and 6 and 6 and 6 numbers", "up to 5")),
            ("0.1 x\n0 0", ("Row 1, column 2", "`x`")),
            ("", ("0 rows",)),
            ("0.1", ("1 row ",)),
            ("9" * 3000, ("3,000", "2,000")),
        ],
    )
    def test_what_is_none_is_named(self, text, named):
        with pytest.raises(ValueError) as error:
            pasted.matrix(text)
        assert all(token in str(error.value) for token in named)

    def test_a_pasted_matrix_is_used_when_it_is_told_to(self):
        page = checked(opened().text_area(key="paste.matrix").set_value("0.1 0.2\n0.3 0.4").run())
        page = press(page, "paste.use")
        assert own(page).benches[Bench].matrix == (0.1, 0.2, 0.3, 0.4)
        assert finding(page, Series).truth == pytest.approx(math.log(1.1 * 1.4 - 0.06))
        page = checked(page.text_area(key="paste.matrix").set_value("2 0\n0 2").run())
        assert any("0.99" in error.value for error in page.error) and page.button(key="paste.use").disabled


LARGE = (0.25 * np.random.default_rng(5).standard_normal((5, 5))).round(2)


def large(**settings):
    return opened(matrix=" ".join(map(str, LARGE.flatten().tolist())), **settings)


class TestLargerMatrices:
    """LARGE against NumPy."""

    def test_its_numbers_and_its_fields(self):
        page = large()
        truth = np.linalg.slogdet(np.eye(5) + LARGE)[1]
        series, noise = finding(page, Series), finding(page, Noise)
        assert series.truth == pytest.approx(truth) and series.dim == 5
        terms = [-((-1) ** k) / k * np.trace(np.linalg.matrix_power(LARGE, k)) for k in range(1, 6)]
        assert series.bias == pytest.approx(sum(terms) - truth)
        sample = draw_estimates(LARGE, Bench().law, "gaussian", 400_000, 1).value
        # The standard error of a deviation, from the fourth moment; power: a trace that is 1 % off moves it by more.
        error = ((sample - sample.mean()) ** 2).std() / len(sample) ** 0.5 / 2 / noise.deviation
        assert abs(sample.std() - noise.deviation) < 5 * error
        assert finding(page, Density).log_factor is None
        fields = [page.text_input(key=f"bench.matrix.{i}").value for i in range(25)]
        assert [float(text) for text in fields] == LARGE.flatten().tolist()
        page = checked(page.text_input(key="bench.matrix.24").set_value("0").run())
        assert own(page).benches[Bench].matrix[24] == 0

    def test_the_terms_and_a_draw_of_ones_own(self):
        page = checked(large().text_input(key="own.v.5").set_value("2").run())
        (text,) = [text for text in said(page) if "this draw is off by" in text]
        v = np.array([1.0, -1.0, 1.0, -1.0, 2.0])
        powers = [np.linalg.matrix_power(LARGE, k) for k in range(1, 5)]
        terms = [-((-1) ** k) / k / 0.5 ** max(0, k - 3) * (v @ a @ v) for k, a in enumerate(powers, 1)]
        assert numbers_in(text)[-3] == pytest.approx(sum(terms), abs=5e-5)
        rows = table.rows(LARGE, Bench().law, v, [0.0] * 4)
        assert float(rows[-1].total) == pytest.approx(sum(terms))
        assert [float(row.trace) for row in rows] == pytest.approx([np.trace(a) for a in powers])
        assert any("Two coins give" in text for text in said(page))

    def test_across_settings(self):
        page = large(view="settings", quantity="neumann", entry="12")
        assert finding(page, Products).tail.radius == pytest.approx(np.abs(np.linalg.eigvals(LARGE)).max())

    def test_another_size_by_a_button(self):
        page = press(opened(), "paste.side.5")
        matrix = np.zeros((5, 5))
        matrix[:2, :2] = KNOWN_A
        assert own(page).benches[Bench].matrix == tuple(matrix.flatten())
        assert page.button(key="paste.side.5").disabled
        page = press(page, "paste.side.2")
        assert own(page).benches[Bench].matrix == tuple(KNOWN_A.numpy().flatten())

    def test_other_numbers_of_entries_are_refused(self):
        with pytest.raises(ValueError, match=r"4, 9, 16 or 25.*6"):
            Bench(matrix=(0.1,) * 6)


def test_a_draw_of_ones_own_is_the_cores():
    page = checked(opened().number_input(key="own.n").set_value(6).run())
    page = checked(page.text_input(key="own.v.2").set_value("0.5").run())
    a, v = KNOWN_A.numpy(), np.array([1.0, 0.5])
    estimate = sum(
        -((-1) ** k) / k / 0.5 ** max(0, k - 3) * (v @ np.linalg.matrix_power(a, k) @ v) for k in range(1, 7)
    )
    (text,) = [text for text in said(page) if "this draw is off by" in text]
    found, truth, off = numbers_in(text)[-3:]
    assert (found, truth) == (pytest.approx(estimate, abs=5e-5), pytest.approx(KNOWN_LOG_DET, abs=5e-5))
    assert off == pytest.approx(found - truth, abs=1e-9)
    page = checked(page.text_input(key="own.v.1").set_value("abc").run())
    assert any("`abc`" in error.value for error in page.error)
