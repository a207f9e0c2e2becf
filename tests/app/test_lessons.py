"""Lessons without a page: files are read or refused with their line, expressions are no programs, what a lesson may ask
agrees with independent oracles, a lesson that claims what is not so is found out, and every lesson in `lessons/` comes
true when its solutions are acted out on the real core."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from app.estimates.settings import Bench
from app.features.learn.verdicts import Checked, Met, Verdict, met, outcome
from app.lessons.lesson import Do, Outcome, Solution
from app.lessons.observables import Situation
from app.lessons.player import Player, Untrue, problems
from app.lessons.progress import LessonProgress, Progress, as_file, from_file, joined
from app.lessons.prose import rendered
from app.lessons.raw import Wrong
from app.lessons.reading import read
from app.lessons.settings import changed
from app.lessons.shelf import shelf
from app.link import BENCHES
from app.setup import Setup
from tests.core.oracles import KNOWN_A

A = KNOWN_A.numpy()
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


def situation(**settings):
    """The default page with settings of the bench."""
    at = Situation(Setup(), {kind: kind() for kind in BENCHES.values()})
    return at.changed({f"bench.{name.replace('__', '.')}": text for name, text in settings.items()}) if settings else at


class TestAllLessons:
    def test_there_are_ten_in_order_with_what_comes_before(self):
        lessons = shelf()
        assert lessons.problems == ()
        assert [lesson.number for lesson in lessons.originals.values()] == list(range(1, 11))
        numbers = {lesson.id: lesson.number for lesson in lessons.originals.values()}
        for lesson in lessons.originals.values():
            assert all(numbers[other] < lesson.number for other in lesson.prerequisites)
            assert 10 <= lesson.minutes <= 35  # 45 minutes have room for it


class TestReading:
    @pytest.mark.parametrize(
        ("blocks", "line", "says"),
        [
            ("::: text\nWords\n:::\n", 16, "`::: text` `::: kind id`"),
            ("::: text one\nA\n:::\n::: text one\nB\n:::\n", 19, "`one` line 16"),
            ("::: text one after=two\nA\n:::\n", 16, "`after=two` before"),
            ("::: do one\nuntil: thrown > 1\n---\nA\n:::\n", 17, "`thrown` observable setting"),
            ("::: do one\nuntil: bias > 1\n---\nA\n:::\n", 17, "`bias` 1 0"),
            ("::: do one\nuntil: given(bias(1), 'bench.n=3') > 1\n---\nA\n:::\n", 17, "`bench.n` setting"),
            ("::: do one\nuntill: throws > 1\n---\nA\n:::\n", 17, "`untill` field until"),
            ("::: do one\nuntil: throws > 1\nuntil: throws > 2\n---\nA\n:::\n", 18, "`until` twice"),
            ("::: do one\nuntil: throws > 1\n---\nA\n:::\n", 16, "`one` solution"),
            ("::: text one\nIt is 0.25 nats.\n:::\n", 16, "0.25 {{bias(3):.3f}}"),
            ("::: text one\n$$a\n= b$$\n:::\n", 16, "formula `$$` lines"),
            ("::: predict one\ntruth: bias(1)\nlow: 2\nhigh: 1\n---\nA\n:::\n", 18, "`low: 2` `high: 1` below"),
            ("::: predict one\noptions: {a: A}\nwhen: {b: throws > 1}\n---\nA\n:::\n", 16, "`truth` `options` `when`"),
            ("::: predict one\ntruth: bias(1)\nstep: 1\n---\nA\n:::\n", 18, "slider `low` `high` `step`"),
            ("::: predict one\noptions: {a: A}\nwhen: {a: radius > 0}\nnear: 1\n---\nA\n:::\n", 19, "`near: 1` choice"),
            ("::: predict one\ntruth: bias(1)\nwhy: {less: A}\n---\nA\n:::\n", 18, "`why` low, right, high"),
            (CHECK.replace("tolerance: 0.001", "tolerance: some"), 20, "`some` number `3 se`"),
            (CHECK.replace("tolerance: 0.001", "tolerance: 3 se"), 20, "`bias` standard error"),
            (CHECK.replace("bias(bench.n_terms)", "bench.n_terms"), 18, "`bench.n_terms` bias"),
            (CHECK.replace("value: 0", "compare: near\nvalue: 0"), 19, "`near` is, below, above"),
            (CHECK.replace("{set: {bench.n_terms: 2}}", "{throw: much}"), 23, "`throw: much` whole number"),
            (CHECK.replace("{set: {bench.n_terms: 2}}", "{jump: 2}"), 23, "jump set, throw"),
            (CHECK.replace('fail: "No"', "fail: {few: A, other: B}"), 22, "`fail` `when` last"),
            (CHECK.replace('fail: "No"', "fail: {few: A, other: B}\nwhen: {other: bias(1) > 0}"), 23, "`when` last"),
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
            (FRONT, STEP.replace("bench.view", "bench.vew"), 13, "`bench.vew` setting"),
            (FRONT, STEP.replace("estimator", "estimate"), 12, "`estimate` estimator"),
        ],
    )
    def test_so_in_the_front_and_in_steps(self, written, front, step, line, says):
        with pytest.raises(Wrong, match=rf"^04-one\.md:{line}: ") as wrong:
            written("", front=front, step=step)
        assert_names(wrong, says)

    def test_a_check_says_by_conditions_why_it_fails(self, written):
        said = (
            'fail: {few: "Few", some: "Some", other: "Other"}\nwhen: {few: bench.n_terms < 3, some: bench.n_terms < 5}'
        )
        check = written(CHECK.replace('fail: "No"', said)).blocks["small"]
        found = [check.failure(situation(n_terms=str(n))) for n in (2, 3, 4, 5)]
        assert found == ["Few", "Some", "Some", "Other"]

    @pytest.mark.parametrize(
        ("compare", "tolerance", "passed"),
        [("is", "0.05", False), ("is", "0.06", True), ("above", "0.05", True), ("above", "0.06", False),
         ("below", "0.05", False), ("below", "0.06", False)],
    )  # fmt: skip
    def test_a_check_compares_by_more_than_its_tolerance(self, written, compare, tolerance, passed):
        """One term of the series is 0.0539 too large."""
        check = written(CHECK.replace("value: 0", f"compare: {compare}\nvalue: 0").replace("0.001", tolerance))
        found = check.blocks["small"].outcome(situation(n_terms="1"))
        assert (found.passed, found.wanted, found.tolerance) == (passed, 0, float(tolerance))
        assert found.value == pytest.approx(0.0539145, abs=1e-7)

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

    def test_what_a_step_holds_to_ties_a_number(self, written):
        words = "::: text one\nMore than 0.001 nats, or 1,000 throws.\n:::\n"
        with pytest.raises(Wrong, match=" 1000 "):
            written(CHECK + words)
        written(CHECK + words.replace("1,000", "eight"))


class TestPlaying:
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

    @pytest.mark.thorough
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
