"""Lessons without a page: files are read or refused with their line, expressions are no programs, what a lesson may ask
agrees with independent oracles, a lesson that claims what is not so is found out, and every lesson in `lessons/` comes
true when its solutions are acted out on the real core."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from app.engine.training.measurements.activity import Activity
from app.engine.training.measurements.masses import Masses
from app.estimates.sample import Sample, thrown_settings
from app.estimates.settings import SUSPECTS, Bench
from app.features.learn.verdicts import Checked, Met, Standing, Verdict, met, outcome, standing
from app.features.lipschitz.observables import INVERSION
from app.lessons import __main__ as command
from app.lessons.expression import Expression, Unknown
from app.lessons.lesson import Action, Check, Do, Outcome, Predict, Solution
from app.lessons.observables import OBSERVABLES, Situation
from app.lessons.player import Player, Untrue, problems
from app.lessons.progress import LessonProgress, Progress, as_file, from_file, joined
from app.lessons.prose import loose_numbers, rendered
from app.lessons.raw import Wrong, read_raw
from app.lessons.reading import KINDS, read
from app.lessons.settings import changed
from app.lessons.shelf import FOLDER, shelf
from app.link import BENCHES, names
from app.screens import SCREENS
from app.setup import Setup
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET

A = KNOWN_A.numpy()
# A translation asks of the flow what its original does.
FILES = sorted(path for path in FOLDER.glob("[0-9]*.md") if path.name.count(".") == 1)
TRAIN_LONG = ("03", "07", "08", "09")
FRONT = """---
title: A lesson
level: any
minutes: 5
objectives: [One]
prerequisites: []
key_points: [One]
---
"""
STEP = """
::: step first
title: Begin
screen: estimator
settings: {bench.view: by_hand}
controls: [bench.n_terms]
:::
"""
WHY = 'why: {low: "Low", right: "Right", high: "High"}\nnear: 0.1\n'
TEXT = "---\nA\n:::\n"
OF_TWO = "options: {a: A, b: B}\nwhen: {a: radius > 0, b: radius > 1}\n"
NO_NEAR = (Untrue.NO_NEAR, "")
WHY_A = 'why: {a: "Because of A", b: "Because of B"}\n'
CHECK = """
::: check small
observable: bias(bench.n_terms)
value: 0
tolerance: 0.001
pass: Yes
fail: "No"
wrong: [{set: {bench.n_terms: 2}}]
---
Is it small?
:::

::: solution small-solution
actions: [{set: {bench.n_terms: 8}}]
---
Take eight.
:::
"""


@pytest.fixture
def written(tmp_path):
    """Writes a lesson, whose blocks come behind a first step, and reads it."""

    def write(blocks, name="04-one.md", front=FRONT, step=STEP):
        path = tmp_path / name
        path.write_text(front + step + blocks)
        return read(path)

    return write


def assert_names(error, tokens):
    """That a refusal has each of these words and values in it."""
    _, _, said = str(error.value).partition(" ")
    assert not [token for token in tokens.split() if token not in said], said


def with_small_flow(settings):
    """A player whose flow is small, and new."""
    player = Player()
    flow = {"blocks": "2", "width": "8", "batch": "32"} | settings
    player._become(*changed(player.setup, player.benches, flow, anew=True))
    return player


def situation(**settings):
    """The default page with settings of the bench."""
    at = Situation(Setup(), {kind: kind() for kind in BENCHES.values()})
    return at.changed({f"bench.{name.replace('__', '.')}": text for name, text in settings.items()}) if settings else at


class TestAllLessons:
    @pytest.mark.thorough
    @pytest.mark.parametrize(
        "path",
        [pytest.param(path, marks=pytest.mark.slow) if path.name.startswith(TRAIN_LONG) else path for path in FILES],
        ids=lambda path: path.name,
    )
    def test_comes_true(self, path):
        assert list(problems(read(path))) == []

    def test_there_are_ten_in_order_with_what_comes_before(self):
        lessons = shelf()
        assert lessons.problems == ()
        assert [lesson.number for lesson in lessons.originals.values()] == list(range(1, 11))
        numbers = {lesson.id: lesson.number for lesson in lessons.originals.values()}
        for lesson in lessons.originals.values():
            assert all(numbers[other] < lesson.number for other in lesson.prerequisites)
            assert 10 <= lesson.minutes <= 35  # 45 minutes have room for it

    def test_each_predicts_acts_and_checks(self):
        for lesson in shelf().originals.values():
            kinds = [type(block) for block in lesson.blocks.values()]
            assert all(kind in kinds for kind in (Predict, Do, Check, Solution)), lesson.id

    def test_every_step_is_of_a_screen(self):
        assert all(step.screen in SCREENS for lesson in shelf().originals.values() for step in lesson.steps)


class TestReading:
    @pytest.mark.parametrize(
        ("blocks", "line", "says"),
        [
            ("Words\n", 16, "`Words` text"),
            ("::: text\nWords\n:::\n", 16, "`::: text` `::: kind id`"),
            ("::: text one\nWords\n", 16, "`one` end `:::`"),
            ("::: text one\nA\n:::\n::: text one\nB\n:::\n", 19, "`one` line 16"),
            ("::: poem one\nA\n:::\n", 16, "`poem` kind predict, check"),
            ("::: text one after=two\nA\n:::\n", 16, "`after=two` before"),
            ("::: text one\n:::\n", 16, "`one` text"),
            ("::: do one\nuntil: throws >=\n---\nA\n:::\n", 17, "`throws >=` `bias(3) > 0`"),
            ("::: do one\nuntil: thrown > 1\n---\nA\n:::\n", 17, "`thrown` observable setting"),
            ("::: do one\nuntil: bias > 1\n---\nA\n:::\n", 17, "`bias` 1 0"),
            ("::: do one\nuntil: given(bias(1), 'bench.n=3') > 1\n---\nA\n:::\n", 17, "`bench.n` setting"),
            ("::: do one\nuntill: throws > 1\n---\nA\n:::\n", 17, "`untill` field until"),
            ("::: do one\nuntil: throws > 1\nuntil: throws > 2\n---\nA\n:::\n", 18, "`until` twice"),
            ("::: do one\nuntil: throws: 1\n---\nA\n:::\n", 17, "YAML colon quotes"),
            ("::: do one\nuntil: throws > 1\n---\nA\n:::\n", 16, "`one` solution"),
            ("::: text one\nIt is 0.25 nats.\n:::\n", 16, "0.25 {{bias(3):.3f}}"),
            ("::: text one\n$$a\n= b$$\n:::\n", 16, "formula `$$` lines"),
            ("::: text one\nIt is {{biass(3)}}.\n:::\n", 16, "`biass` observable setting"),
            ("::: text one\nIt is {{bias(3)\n:.3f}}.\n:::\n", 16, "`{{` `}}` line"),
            ("::: do one\nuntil: throws \x07 1\n---\nA\n:::\n", 17, "printed"),
            ("::: predict one\ntruth: bias(1)\nlow: 2\nhigh: 1\n---\nA\n:::\n", 18, "`low: 2` `high: 1` below"),
            ("::: predict one\noptions: {a: A}\nwhen: {b: throws > 1}\n---\nA\n:::\n", 16, "`truth` `options` `when`"),
            ("::: predict one\ntruth: bias(1)\nstep: 1\n---\nA\n:::\n", 18, "slider `low` `high` `step`"),
            ("::: predict one\ntruth: bias(1)\nnear: close\n---\nA\n:::\n", 18, "`near: close` number %"),
            ("::: predict one\noptions: {a: A}\nwhen: {a: radius > 0}\nnear: 1\n---\nA\n:::\n", 19, "`near: 1` choice"),
            ("::: predict one\ntruth: bias(1)\nwhy: {less: A}\n---\nA\n:::\n", 18, "`why` low, right, high"),
            ("::: predict one\ntruth: bias(1)\nwhy: {low: 0.25 nats}\n---\nA\n:::\n", 18, "0.25 {{bias(3):.3f}}"),
            (CHECK.replace("tolerance: 0.001", "tolerance: some"), 20, "`some` number `3 se`"),
            (CHECK.replace("tolerance: 0.001", "tolerance: 3 se"), 20, "`bias` standard error"),
            (CHECK.replace("bias(bench.n_terms)", "2 * mean").replace("0.001", "3 se"), 18, "`2 * mean` error `value`"),
            (CHECK.replace("bias(bench.n_terms)", "bench.n_terms"), 18, "`bench.n_terms` bias"),
            (CHECK.replace("value: 0", "compare: near\nvalue: 0"), 19, "`near` is, below, above"),
            (CHECK.replace("bench.n_terms: 2", "bench.terms: 2"), 23, "`bench.terms` setting"),
            (CHECK.replace("{set: {bench.n_terms: 2}}", "{throw: much}"), 23, "`throw: much` whole number"),
            (CHECK.replace("{set: {bench.n_terms: 2}}", "{jump: 2}"), 23, "jump set, throw"),
            (CHECK.replace('fail: "No"', "fail: {few: A, other: B}"), 22, "`fail` `when` last"),
            (CHECK.replace('fail: "No"', "fail: {few: A, other: B}\nwhen: {other: bias(1) > 0}"), 23, "`when` last"),
            (CHECK.replace('fail: "No"', "fail: {few: A, other: B}\nwhen: {few: bias > 0}"), 23, "`bias` 1 0"),
            ("::: text one\nA\n:::\n::: teacher two after=one\nA\n:::\n", 19, "`after=one` `explain`"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_named_with_its_line(self, written, blocks, line, says):
        with pytest.raises(Wrong, match=rf"^04-one\.md:{line}: ") as wrong:
            written(blocks)
        assert_names(wrong, says)

    def test_a_screen_that_has_moved_is_found_by_its_former_address(self, written):
        moved = STEP.replace("screen: estimator", "screen: memory").replace("bench.view: by_hand", "memory.terms: 4")
        (step,) = written("", step=moved).steps
        assert (step.screen, step.settings) == ("dimensions", {"dimensions.view": "memory", "memory.terms": "4"})

    @pytest.mark.parametrize(
        ("front", "step", "line", "says"),
        [
            ("", STEP, 1, "YAML `---`"),
            (FRONT.replace("minutes: 5", "minutes: five"), STEP, 4, "`minutes: five` whole number"),
            (FRONT.replace("level: any\n", ""), STEP, 2, "`level` missing"),
            (FRONT.replace("level: any", "level: any\nmood: good"), STEP, 4, "`mood` title, level"),
            (FRONT, "::: text one\nA\n:::\n", 9, "first `::: step id`"),
            (FRONT, STEP.replace("bench.view", "bench.vew"), 13, "`bench.vew` setting"),
            (FRONT, STEP.replace("[bench.n_terms]", "[bench.n]"), 14, "`bench.n` setting"),
            (FRONT, STEP.replace("estimator", "estimate"), 12, "`estimate` estimator"),
        ],
    )
    def test_so_in_the_front_and_in_steps(self, written, front, step, line, says):
        with pytest.raises(Wrong, match=rf"^04-one\.md:{line}: ") as wrong:
            written("", front=front, step=step)
        assert_names(wrong, says)

    def test_a_file_with_another_name_is_refused(self, written):
        with pytest.raises(Wrong, match=r"^one\.md:1: .*04-series\.md"):
            written("", name="one.md")

    def test_a_file_in_another_encoding_is_refused(self, tmp_path):
        path = tmp_path / "04-one.md"
        path.write_bytes(FRONT.replace("level: any", "level: für alle").encode("latin-1"))
        with pytest.raises(Wrong, match=r"04-one\.md:3: .*UTF-8"):
            read(path)

    def test_two_files_do_not_share_a_name(self, written, tmp_path):
        for name in ("04-one.md", "05-one.md"):
            written("", name)
        assert [lesson.number for lesson in shelf(tmp_path).originals.values()] == [4]
        (problem,) = shelf(tmp_path).problems
        assert problem.startswith("05-one.md:1: ") and "`one`" in problem and "04-one.md" in problem

    def test_a_check_says_by_conditions_why_it_fails(self, written):
        said = (
            'fail: {few: "Few", some: "Some", other: "Other"}\nwhen: {few: bench.n_terms < 3, some: bench.n_terms < 5}'
        )
        check = written(CHECK.replace('fail: "No"', said)).blocks["small"]
        found = [check.failure(situation(n_terms=str(n))) for n in (2, 3, 4, 5)]
        assert found == ["Few", "Some", "Some", "Other"]

    def test_a_stated_false_alarm_must_be_the_computed_one(self, written):
        three = "tolerance: 3 se\nsees: 0.1"
        statistical = CHECK.replace("bias(bench.n_terms)", "mean").replace("tolerance: 0.001", three)
        right = statistical.replace("pass: Yes", "false_alarm: 0.0027\npass: Yes")
        check = written(right).blocks["small"]
        assert check.by_chance == check.chance == pytest.approx(2 * stats.norm.sf(3))
        above = written(right.replace("value: 0", "compare: above\nvalue: 0").replace("0.0027", "0.00135"))
        assert above.blocks["small"].chance == pytest.approx(stats.norm.sf(3))
        for wrong in (statistical, right.replace("0.0027", "0.05")):
            with pytest.raises(Wrong, match=r"`false_alarm: 0\.0027`"):
                written(wrong)

    @pytest.mark.parametrize(
        ("observable", "fields", "tokens"),
        [
            ("mean", "", "`mean` `sees`"),
            ("coin_mean", "draws: 100\n", "`coin_mean` `sees`"),
            ("mean", "sees: 0.1\ndraws: 100\n", "`mean` `sees`"),
            ("share(3)", "", "`share` `draws`"),
            ("law_gap", "draws: 1\n", "`law_gap` `draws`"),
            ("law_gap", "sees: 0.1\ndraws: 100\n", "`law_gap` `draws`"),
            ("bias(3)", "sees: 0.1\n", "`sees` `bias`"),
            ("bias(3)", "draws: 100\n", "`draws` `bias`"),
        ],
    )
    def test_a_check_of_draws_says_how_many_it_needs(self, observable, fields, tokens, written):
        with pytest.raises(Wrong) as error:
            written(CHECK.replace("bias(bench.n_terms)", observable).replace("pass: Yes", f"{fields}pass: Yes"))
        assert_names(error, tokens)

    def test_a_rate_that_no_standard_error_gives_is_as_it_is_stated(self, written):
        assert written(CHECK.replace("pass: Yes", "false_alarm: 0.01\npass: Yes")).blocks["small"].by_chance == 0.01

    def test_a_translation_gives_texts_and_nothing_else(self, written, tmp_path):
        written(CHECK + f"::: predict guess\ntruth: bias(1)\n{WHY}---\nA\n:::\n")
        front = "---\ntitle: Eine Lektion\n---\n"
        step = "::: step first\ntitle: Beginn\n:::\n"
        german = written("::: check small\npass: Ja\n---\nIst es klein?\n:::\n", "04-one.de.md", front, step)
        check = german.blocks["small"]
        assert (german.title, german.steps[0].title, check.text) == ("Eine Lektion", "Beginn", "Ist es klein?")
        assert (check.passes, check.fails, german.blocks["small-solution"].text) == ("Ja", "No", "Take eight.")
        assert german.steps[0].settings == {"bench.view": "by_hand"}
        assert list(problems(german)) == []
        for blocks, says in (
            ("::: check small\nvalue: 1\n---\nA\n:::\n", r"de\.md:8: `value`"),
            ("::: check large\n---\nA\n:::\n", r"de\.md:7: `large`"),
            ("::: text small\nA\n:::\n", r"de\.md:7: `small` .*check"),
            ("::: predict guess\noptions: {a: A}\n---\nA\n:::\n", r"de\.md:8: `options` .*keys"),
        ):
            with pytest.raises(Wrong, match=says):
                written(blocks, "04-one.de.md", front, step)
        with pytest.raises(Wrong, match=r"^05-two\.de\.md:1: .* 05-two\.md"):
            written("", "05-two.de.md", front, step)
        known = shelf(tmp_path)
        assert known.lesson("one", "fr").title == "A lesson"


ONLY_OF_LESSON_1 = [
    ("area", "tripled", {}, "other", False),
    ("area", "tripled", {"matrix": "-3 0 0 1"}, "outside", False),  # both densities are 0, and 0 is three times 0
    ("area", "tripled", {"matrix": "0.3333 0 0 1"}, "reverse", False),
    ("area", "tripled", {"matrix": "0 3 1 0"}, "", True),
    ("stay", "kept", {}, "not-turned", False),
    ("stay", "kept", {"matrix": "-1 0 0 1"}, "near", False),
    ("stay", "kept", {"matrix": "0 -2 -2 0"}, "areas", False),
    ("stay", "kept", {"matrix": "1 -2 0 -1"}, "", True),
    ("log", "product-typed", {"matrix": "2 2 0 1.5"}, "", True),
    ("log", "product-typed", {"matrix": "2 2 0 0.5"}, "other", False),  # moves x as far as VU does
    ("log", "product-typed", {"matrix": "2 1.5 0 0.5"}, "other", False),  # as far as UV does
    ("log", "other-order", {"matrix": "2 2 0 1.5"}, "first", False),
    ("log", "other-order", {"matrix": "2 1.5 0 0.5"}, "other", False),
    ("log", "other-order", {"matrix": "2 2 0 0.5"}, "other", False),
    ("forget", "too-much", {"matrix": "0.5 0 0 0.5"}, "with-it", False),
    ("forget", "too-much", {"matrix": "2 0 0 2", "forget": "True"}, "stretched", False),
    ("everywhere", "found-place", {"point": "0 0"}, "wide", False),
    ("everywhere", "found-place", {"frequency": "4", "point": "0.785 0"}, "low", False),
    ("everywhere", "found-place", {"frequency": "4", "point": "0.3 0.3"}, "high", False),
    ("everywhere", "found-place", {"frequency": "4", "point": "0 0"}, "", True),
]


@pytest.mark.parametrize(("step", "id", "settings", "because", "passes"), ONLY_OF_LESSON_1)
def test_the_checks_of_lesson_1_pass_where_what_they_ask_is_so_and_say_why_not(step, id, settings, because, passes):
    lesson = shelf().lesson("change")
    player = Player()
    player.open(next(one for one in lesson.steps if one.id == step))
    player.act(Action("set", {f"stretch.{name}": text for name, text in settings.items()}))
    at, check = player.situation(None), lesson.blocks[id]
    assert check.outcome(at).passed is passes
    if not passes:
        raw = read_yaml_of(check)
        assert check.failure(at) == raw[because]


def read_yaml_of(check):
    """What a check of lesson 1 says where it fails, by the names in its file."""
    _, blocks = read_raw(shelf().lesson("change").path, KINDS)
    return next(raw for raw in blocks if raw.id == check.id).fields.values["fail"]


OF_DRAWS = [
    pytest.param(lesson.id, block.id, id=f"{lesson.id}/{block.id}")
    for lesson in shelf().originals.values()
    for block in lesson.blocks.values()
    if isinstance(block, Check) and block.of.draws
]


SEEING = [one for one in OF_DRAWS if shelf().lesson(one.values[0]).blocks[one.values[1]].sees]


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

    def test_there_are_such_checks(self):
        assert len(OF_DRAWS) == 13

    @pytest.mark.parametrize(("lesson_id", "block_id"), OF_DRAWS)
    def test_nothing_is_judged_of_two_draws_nor_of_one_less_than_is_needed(self, lesson_id, block_id):
        check, at = place_of(lesson_id, block_id)
        needed = check.needed(at)
        for n, seed in [*((2, seed) for seed in range(20)), (needed - 1, 0)]:
            if check.observable.text == "coin_mean":
                there = replace(at, coins="3+ 3- 4+ 3- 5+ 4- 3+ 3- 4+ 6-"[: 3 * n])
            else:
                there = thrown(at, n, seed=seed)
            found = check.outcome(there)
            assert found.passed is None
            if check.observable.of(there) is not None:
                assert (found.draws, found.needed) == (n, needed)
                assert Checked(check.id, found, False).verdict is Verdict.TOO_FEW

    @pytest.mark.parametrize(("lesson_id", "block_id"), OF_DRAWS)
    def test_a_step_asks_for_as_many_draws_as_its_checks_need(self, lesson_id, block_id):
        check, at = place_of(lesson_id, block_id)
        name = "coin_throws" if check.observable.text == "coin_mean" else "throws"
        lesson = shelf().lesson(lesson_id)
        (step,) = [step for step in lesson.steps if check in step.blocks]
        asked = [re.fullmatch(rf"{name} >= (\d+)", block.until.text) for block in step.blocks if isinstance(block, Do)]
        assert max(int(found[1]) for found in asked if found) >= check.needed(at) > 5

    @pytest.mark.parametrize(("lesson_id", "block_id"), SEEING)
    def test_a_difference_is_noticed_as_often_as_is_said(self, lesson_id, block_id):
        """Against means of normal draws that are off by this difference: 95 % of 4,000 within 4 binomial errors. With a
        quarter of the draws it is clearly less."""
        check, at = place_of(lesson_id, block_id)
        truth, sees, sd = (Expression(text).of(at) for text in ("truth", check.sees.text, "deviation"))
        random, needed = np.random.default_rng(3), check.needed(at)
        for n, least, most in ((needed, 0.95, 1.0), (math.ceil(needed / 4), 0.0, 0.85)):
            means = truth + sees + sd * random.standard_normal(4_000) / math.sqrt(n)
            limit = check.tolerance * sd / math.sqrt(n) if check.errors else check.tolerance
            share = float((np.abs(means - truth) > limit).mean())
            assert least - 4 * math.sqrt(0.95 * 0.05 / 4_000) <= share <= most

    def test_how_often_a_bias_is_noticed(self):
        at = situation()
        sd, random = at.value("deviation"), np.random.default_rng(5)
        off = 0.02 + sd * random.standard_normal((4_000, 5_000)).mean(1)
        share = float((np.abs(off) > 3 * sd / math.sqrt(5_000)).mean())
        error = math.sqrt(share * (1 - share) / 4_000)
        assert at.value("notices", (0.02, 5_000)) == pytest.approx(share, abs=4 * error)
        assert at.value("notices", (-0.02, 5_000)) == pytest.approx(at.value("notices", (0.02, 5_000)))
        assert at.value("notices", (0.0, 100)) == pytest.approx(2 * stats.norm.sf(3))

    @pytest.mark.parametrize(("block_id", "suspect"), [("a-law", "d"), ("c-law", "d"), ("d-never", "none")])
    def test_shares_that_are_wrong_are_noticed_in_95_of_100(self, block_id, suspect):
        check, at = place_of("bugs", block_id)
        found = [check.outcome(thrown(at, check.draws, suspect=suspect, seed=seed)).passed for seed in range(100)]
        assert found.count(False) >= 95

    @pytest.mark.parametrize(("block_id", "least"), [("b-law", 90), ("b-coverage", 95)])
    def test_draws_that_share_an_n_are_told_from_those_that_do_not(self, block_id, least):
        check, at = place_of("bugs", block_id)
        found = [
            [check.outcome(thrown(at, check.draws, suspect=suspect, seed=seed)).passed for seed in range(100)]
            for suspect in ("b", "none")
        ]
        assert found[0].count(True) >= least and found[1].count(False) >= 99

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
            ("bias(3) + 1", True),
            ("abs(truth)", True),
            ("given(truth, 'bench.n_terms=7')", False),
            ("log(3) / log(10)", False),
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
            ("blocks", 24),
        ],
    )
    def test_are_calculated(self, text, value):
        assert Expression(text).of(situation()) == pytest.approx(value)

    @pytest.mark.parametrize(
        "text",
        [
            "__import__('os')", "(lambda: 1)()", "[1][0]", "{'a': 1}", "f'{1}'", "a if b else c", "x := 1",
            "bias(n=3)", "bias(*[1])", "1 << 2", "given(1)", "given(bias(1), bench.probe)", "(1).real", "1; 2", "",
            "b'1'", "eval", "throws.__class__", "'a'.upper()", "throws().real()",
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
            "bug_mean('what')", "bench.law.p < 'a'", "given(variance, 'bench.law=poisson, bench.law.p=0.3')",
        ],
    )  # fmt: skip
    def test_what_cannot_be_calculated_says_so(self, text):
        with pytest.raises(ValueError, match=re.escape(f"`{text}`: ")):
            Expression(text).of(situation())


class TestObservables:
    def test_no_observable_is_called_like_a_setting(self):
        assert not OBSERVABLES.keys() & names().keys()

    def test_errors_are_observables(self):
        assert all(one.error in OBSERVABLES for one in OBSERVABLES.values() if one.error)

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

    def test_a_function_that_is_not_monotonic_may_starve(self):
        assert situation().value("starves", ("=softplus(z) + softplus(-z)",))
        assert not situation().value("starves", ("=sin(z)",))

    def test_three_standard_errors_go_wrong_more_often_with_few_draws(self):
        at = situation(probe="rademacher")
        assert at.value("false_alarm", (10,)) == pytest.approx(0.0225, abs=5e-4)
        coins = replace(at, coins="3- 4+ 3+ 5- 3+ 3- 4- 3+ 6+ 3-")
        check = shelf().lesson("roulette").blocks["coins-mean"]
        assert check.rate(coins).value == at.value("false_alarm", (10,)) and check.rate(coins).is_exact
        assert check.rate(at).value == check.chance == pytest.approx(0.0027, abs=1e-5)
        gap = shelf().lesson("block").blocks["better"]
        assert gap.rate(at).value == gap.chance

    def test_a_factor_may_be_infinite_where_the_variance_is_not(self):
        turn = situation(matrix="0.3 -0.5 0.5 0.3", probe="rademacher")
        assert (turn.value("factor"), turn.value("variance") < 0.01) == (math.inf, True)

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

    def test_a_mass_that_another_series_believed_in_is_not_this_ones(self):
        player = with_small_flow({"log_det": "truncated", "log_det.n_terms": "2"})
        player.act(Action("train", 20))
        at = player.situation({"masses": True})
        assert at.value("believed_mass") == at.arm.found(Masses).believed.value
        setup, _ = changed(player.setup, player.benches, {"log_det.n_terms": "9"})
        assert Expression("believed_mass").of(replace(at, setup=setup)) is None
        assert Expression("mass").of(replace(at, setup=setup)) == at.value("mass")

    def test_what_was_believed_before_another_log_det_came(self):
        player = with_small_flow({"log_det": "truncated", "log_det.n_terms": "2"})
        assert Expression("nll_after(20)").of(player.situation({})) is None
        player.act(Action("train", 20))
        before = player.situation({})
        believed, true = (before.value(name) for name in ("believed_nll", "nll"))
        assert believed != true
        player.act(Action("set", {"log_det": "exact"}))
        player.act(Action("train", 20))
        at = player.situation({})
        assert at.value("believed_nll") == at.value("nll") != true
        assert (at.value("believed_nll_after", (20,)), at.value("nll_after", (20,))) == (believed, true)
        assert (at.value("flattered_belief"), at.value("flattered_nll")) == pytest.approx((believed, true))
        assert before.value("flattered_rise") == at.value("flattered_rise") == pytest.approx(before.value("above_best"))

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


class TestSettings:
    def test_a_step_begins_what_it_names_from_the_defaults(self):
        benches = {kind: kind() for kind in BENCHES.values()}
        mine = replace(Setup(), data="moons")
        benches[Bench] = Bench(n_terms=9, n_probes=4)
        setup, found = changed(mine, benches, {"bench.n_terms": "2"}, anew=True)
        assert (setup, found[Bench]) == (mine, Bench(n_terms=2))
        setup, found = changed(mine, benches, {"blocks": "4"}, anew=True)
        assert (setup.data, setup.flow.blocks, found[Bench]) == ("checkerboard", 4, benches[Bench])

    def test_an_action_changes_what_it_names_alone(self):
        benches = {kind: kind() for kind in BENCHES.values()} | {Bench: Bench(n_terms=9)}
        setup, found = changed(replace(Setup(), data="moons"), benches, {"bench.law": "poisson", "blocks": "4"})
        assert (found[Bench].n_terms, type(found[Bench].law).__name__) == (9, "Poisson")
        assert (setup.data, setup.flow.blocks) == ("moons", 4)
        with pytest.raises(ValueError, match="blocks"):
            changed(setup, benches, {"blocks": "0"})


class TestProse:
    def test_numbers_are_computed_where_they_stand(self):
        at = situation()
        assert (
            rendered("Off by {{bias(5):+.4f}}, $x = {{bias(5):.1e}}$.", at)
            == "Off by \N{MINUS SIGN}0.0010, $x = -9.8e-04$."
        )
        assert rendered("{{mean}}, {{throws:,d}}, {{bench.probe}}, {{throws > 3}}", at) == "…, 0, gaussian, no"
        assert rendered("{{1374.63:,d}}, {{-0.6:d}}", at) == "1,375, \N{MINUS SIGN}1", "rounded, not cut"

    @pytest.mark.parametrize(
        "text",
        [
            "Five terms of the 2 x 2 matrix", "equation 12 and Theorem 1", "Section 3.4", "figure 2",
            "Hutchinson (1990)", "Behrmann et al. 2019", "$A_{12}$ and $x_1^2$", "{{bias(31):.12f}}", "lesson 10",
        ],
    )  # fmt: skip
    def test_small_counts_and_citations_are_no_claims(self, text):
        assert loose_numbers(text) == []

    @pytest.mark.parametrize(
        "text", ["0.5961 nats", "after 10,000 throws", "95 %", "$0.98^3$", "12 terms", "3.5", "0.25nats", "1e-3"]
    )
    def test_others_are(self, text):
        assert len(loose_numbers(text)) == 1

    def test_what_a_step_holds_to_ties_a_number(self, written):
        words = "::: text one\nMore than 0.001 nats, or 1,000 throws.\n:::\n"
        with pytest.raises(Wrong, match=" 1000 "):
            written(CHECK + words)
        written(CHECK + words.replace("1,000", "eight"))


class TestPlaying:
    def test_a_lesson_that_comes_true(self, written):
        assert list(problems(written(CHECK))) == []

    @pytest.mark.parametrize(
        ("old", "new", "what", "line"),
        [
            ("bench.n_terms: 2", "bench.n_terms: 9", Untrue.NOT_FAILED, 17),
            ("bench.n_terms: 8", "bench.n_terms: 3", Untrue.NOT_PASSED, 17),
            ("Is it small?", "Is it {{mean}}?", Untrue.NUMBER_UNKNOWN, 17),
            ("bench.n_terms: 8", "bench.n_terms: 800", Untrue.IMPOSSIBLE, 10),
        ],
    )
    def test_a_check_that_is_wrong_is_found_out(self, written, old, new, what, line):
        found, *_ = problems(written(CHECK.replace(old, new)))
        assert (found.what, found.line) == (what, line)
        assert str(found).startswith(f"{line}: ")
        assert ("bench.n_terms = 800" in str(found)) == (what is Untrue.IMPOSSIBLE)

    @pytest.mark.parametrize(("observable", "found"), [("radius", [Untrue.UNTOUCHED]), ("bias(bench.n_terms)", [])])
    def test_a_check_that_finds_the_same_whatever_is_done_is_found_out(self, written, observable, found):
        """Both are small from the start, and also after what is wrong fails; of the two only the bias is another one
        once the solution is done."""
        wrong = CHECK.replace("{bench.n_terms: 2}", '{bench.matrix: "0.9 0 0 0.9", bench.n_terms: 1}')
        small = wrong.replace("bias(bench.n_terms)", observable).replace("tolerance: 0.001", "tolerance: 0.5")
        assert [one.what for one in problems(written(small))] == found

    @pytest.mark.parametrize(
        ("block", "what", "error"),
        [
            ("::: do one\nuntil: throws >= 0\n---\nA\n:::\n", Untrue.DONE_BEFORE, ""),
            ("::: do one\nuntil: throws >= 9\n---\nA\n:::\n", Untrue.NOT_DONE, ""),
            (
                "::: predict one\noptions: {a: A, b: B}\nwhen: {a: radius > 0, b: radius < 1}\n" + WHY_A + TEXT,
                Untrue.IMPOSSIBLE, "2 a, b",
            ),
            ("::: predict one\noptions: {a: A}\nwhen: {a: radius > 1}\n---\nA\n:::\n", Untrue.IMPOSSIBLE, "0 none"),
            (f"::: predict one\ntruth: mean\n{WHY}---\nA\n:::\n", Untrue.TRUTH_UNKNOWN, ""),
            (f"::: predict one\ntruth: bias(1)\nonce: throws > 1\n{WHY}---\nA\n:::\n", Untrue.TRUTH_UNKNOWN, ""),
        ],
    )  # fmt: skip
    def test_so_is_what_never_or_always_holds(self, written, block, what, error):
        (found,) = problems(written(block + CHECK))
        assert found.what is what and bool(found.error) == bool(error)
        assert all(part in found.error for part in error.split())
        assert what is Untrue.IMPOSSIBLE or found.block == "one"

    @pytest.mark.parametrize(
        ("fields", "found"),
        [
            ("truth: bias(1)\n", [(Untrue.NO_WHY, "low"), (Untrue.NO_WHY, "right"), (Untrue.NO_WHY, "high"), NO_NEAR]),
            ("truth: bias(1)\nlow: 0\nhigh: 0.055\nnear: 10 %\nwhy: {low: L, right: R}\n", []),
            ("truth: bias(1)\nlow: 0\nhigh: 1\nnear: 10 %\nwhy: {low: L, right: R}\n", [(Untrue.NO_WHY, "high")]),
            (OF_TWO + "why: {a: A}\n", [(Untrue.NO_WHY, "b")]),
            (OF_TWO + "why: {a: A, b: '{{mean}}'}\n", [(Untrue.NUMBER_UNKNOWN, "")]),
        ],
    )  # fmt: skip
    def test_every_answer_that_somebody_may_give_has_its_why(self, written, fields, found):
        lesson = written(f"::: predict one\n{fields}---\nA\n:::\n" + CHECK)
        assert [(one.what, one.error) for one in problems(lesson)] == found

    def test_nothing_is_thrown_yet_where_a_check_is_to_fail(self, written):
        mean = CHECK.replace("small", "mean").replace("bias(bench.n_terms)", "mean\nsees: 1")
        mean = mean.replace("[{set: {bench.n_terms: 2}}]", "[]").replace("bench.n_terms: 8", "bench.n_terms: 9")
        thrown = CHECK.replace("{set: {bench.n_terms: 2}}", "{throw: 9}, {set: {bench.n_terms: 2}}")
        found = problems(written(thrown + mean))
        (never,) = [one for one in found if (one.block, one.what) == ("mean", Untrue.NOT_FAILED)]
        assert never.outcome.passed is None

    def test_a_prediction_is_met_while_its_condition_holds(self, written):
        on_the_way = f"::: predict one\ntruth: bias(3)\nonce: bench.n_terms == 3\n{WHY}---\nA\n:::\n"
        both = CHECK.replace("[{set: {bench.n_terms: 8}}]", "[{set: {bench.n_terms: 3}}, {set: {bench.n_terms: 8}}]")
        assert list(problems(written(on_the_way + both))) == []

    def test_what_is_wrong_does_not_train_for_the_solution(self, written):
        trained = CHECK.replace("bias(bench.n_terms)", "step").replace("value: 0", "compare: above\nvalue: 4")
        trained = trained.replace("[{set: {bench.n_terms: 2}}]", "[{train: 3}]")
        trained = trained.replace("[{set: {bench.n_terms: 8}}]", "[{train: 2}]")
        small = "{blocks: 2, width: 8, batch: 32}"
        (found,) = problems(written(trained, step=STEP.replace("{bench.view: by_hand}", small)))
        assert (found.what, found.outcome.value) == (Untrue.NOT_PASSED, 2)

    def test_it_trains_throws_and_answers(self, written):
        player = Player()
        small = {"blocks": "2", "width": "8", "batch": "32", "log_det": "truncated", "bench.n_terms": "3"}
        lesson = written(
            "::: do train\nuntil: step >= 3 and gap > 0 and believed_mass > 0\n---\nA\n:::\n"
            "::: do throw\nuntil: throws == 7 and answer('word') == 'yes' and coin_throws == 2\n---\nA\n:::\n"
            "::: solution all\n"
            "actions: [{train: 3}, {throw: 7}, {answer: {word: 'yes'}}, {coins: 3+ 4-}]\n---\nA\n:::\n",
            step=STEP.replace("{bench.view: by_hand}", str(small).replace("'", "")),
        )
        assert all(isinstance(block, Do | Solution) for block in lesson.blocks.values())
        assert list(problems(lesson)) == []
        player.open(lesson.steps[0])
        assert player.setup.flow.blocks == 2


class TestVerdicts:
    def test_what_is_said_of_a_check(self, written):
        check = written(CHECK).blocks["small"]
        many, few = (outcome(check, situation(n_terms=n)) for n in ("8", "2"))
        assert (many[0].passed, few[0].passed, many[1], few[1]) == (True, False, "", "")
        for found, once, verdict in (
            (many[0], False, Verdict.PASSED),
            (many[0], True, Verdict.PASSED),
            (few[0], True, Verdict.PASSED_BEFORE),
            (few[0], False, Verdict.FAILED),
            (Outcome(None), True, Verdict.PASSED_BEFORE),
            (Outcome(None), False, Verdict.UNKNOWN),
        ):
            assert Checked("small", found, once).verdict is verdict

    def test_a_check_of_what_the_settings_do_not_have(self, written):
        check = written(CHECK.replace("value: 0", "value: bench.law.p")).blocks["small"]
        assert outcome(check, situation())[1] == ""
        found, problem = outcome(check, situation(law="poisson"))
        assert found == Outcome(None) and "`bench.law.p`" in problem

    def test_a_prediction_and_its_truth(self, written):
        when = "{small: bias(bench.n_terms) < 0.01, unknown: mean > 1 and bench.n_terms == 9}"
        lesson = written(f"::: predict one\noptions: {{small: A, unknown: B}}\nwhen: {when}\n---\nA\n:::\n")
        block = lesson.blocks["one"]
        answered = LessonProgress(answers={"one": "small"})
        assert met(block, answered, situation()) == Met("one", "small", None, possible=True), "the mean is not known"
        few = replace(situation(n_terms="1"), thrown=np.array([0.5, 0.7]))
        assert met(block, answered, few) == Met("one", "small", None, possible=False)
        answered.truths["one"] = "small"
        assert met(block, answered, few) == Met("one", "small", "small", answer="small", right=True)
        answered.truths["one"] = "unknown"
        assert met(block, answered, few) == Met("one", "small", "unknown", answer="small", right=False)

    @pytest.mark.parametrize(
        ("near", "guess", "answer"),
        [
            ("0.1", 2.1, "right"), ("0.1", 1.9, "right"), ("0.1", 2.11, "high"), ("0.1", 1.89, "low"),
            ("10 %", 2.2, "right"), ("10%", 1.79, "low"), ("0", 2.0, "right"),
        ],
    )  # fmt: skip
    def test_which_answer_a_number_is(self, written, near, guess, answer):
        block = written(f"::: predict one\ntruth: 1 + 1\nnear: {near}\n---\nA\n:::\n").blocks["one"]
        found = met(block, LessonProgress(answers={"one": guess}, truths={"one": 2.0}), situation())
        assert (found.answer, found.right) == (answer, answer == "right")

    def test_the_difference_is_that_of_the_numbers_that_are_shown(self):
        assert Met("one", 0.1, 0.0539145).off == pytest.approx(0.1 - 0.05391, abs=1e-12)
        assert Met("one", 123456, 123449).off == 100

    def test_how_far_it_is(self):
        lesson = shelf().lesson("series")
        found = [standing(lesson, step) for step in lesson.steps]
        assert found == [Standing(4, n, 4) for n in (1, 2, 3, 4)]


class TestProgress:
    def test_goes_into_a_file_and_back(self):
        kept = Progress({"one": LessonProgress(["a"], {"p": 0.3, "w": "Wörter"}, {"p": 0.5}, ["d"])})
        assert from_file(as_file(kept)) == kept

    def test_two_are_joined_and_the_newer_answer_stays(self):
        old = Progress({"one": LessonProgress(["a"], {"p": 1, "q": 2}, {}, ["d"]), "two": LessonProgress()})
        new = Progress({"one": LessonProgress(["b", "a"], {"p": 3}, {"p": 4}, [])})
        both = joined(old, new)
        assert both.lessons["one"] == LessonProgress(["b", "a"], {"p": 3, "q": 2}, {"p": 4}, ["d"])
        assert list(both.lessons) == ["one", "two"]

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (b"{", "not a file"),
            (b"[1]", "not a file"),
            (b"\xff", "not a file"),
            (b'{"version": 9, "lessons": {}}', "version 9.* 1 "),
            (b'{"version": 1, "lessons": {"a": {"seen": 1, "answers": {}, "truths": {}, "done": []}}}', "not a file"),
            (b'{"version": 1, "lessons": {"a": {"seen": [[]], "answers": {}, "truths": {}, "done": []}}}', "not a"),
            (b"[" * 10**5, "not a file"),
            (b" " * 2**21, "2,097,152 .* 1,048,576"),
        ],
    )  # fmt: skip
    def test_other_files_are_refused(self, data, says):
        with pytest.raises(ValueError, match=says):
            from_file(data)


class TestCommand:
    def test_says_what_is_wrong_and_fails(self, tmp_path, capsys):
        good, bad = tmp_path / "01-good.md", tmp_path / "02-bad.md"
        good.write_text(FRONT + STEP + CHECK)
        bad.write_text(FRONT + STEP + CHECK.replace("bench.n_terms: 8", "bench.n_terms: 3"))
        assert command.main(["check", str(good)]) == 0
        assert command.main(["check", str(good), str(bad)]) == 1
        assert re.search(r"02-bad\.md:17: .*`small`", capsys.readouterr().err)
        assert command.main(["check", "--quick", str(bad)]) == 0
        assert command.main(["check", str(Path("nowhere.md"))]) == 1
