"""Saved flows and files of progress that somebody has tampered with: each is read and works, or is refused in a short
sentence; and reading takes no longer than the size of the file explains."""

import json
import random

import pytest
import torch

from app.examples import digits
from app.lessons.progress import MOST_BYTES, LessonProgress, Progress, as_file, from_file, joined
from resflow_core.api import flow_file
from resflow_core.flow import FlowConfig
from tests.hostile.attacks import put
from tests.hostile.attacks_on_flows import FLOWS, GOOD_FLOW, with_header, with_settings
from tests.hostile.attacks_on_progress import GOOD_PROGRESS, PROGRESS
from tests.hostile.growth import MOST_GROWTH, steepest
from tests.hostile.names import MARK, marked_up

MOST_WORDS = 600
CLOCK_SECONDS = 0.005  # below, the clock is coarse
POINTS = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))


def made(kinds, kind):
    attack, n = kinds[kind]
    return list(attack(random.Random(kind), n))


def found_in(read, data):
    """What is read, or why the file is refused. Nothing but ValueError may come."""
    try:
        return read(data)
    except ValueError as error:
        said = str(error)
        assert 10 < len(said) < MOST_WORDS
        assert said.isprintable()
        assert not marked_up(said)
        return said


def refusal_of(read, data):
    """What is said where a file is refused, or None where it is read."""
    found = found_in(read, data)
    return found if isinstance(found, str) else None


def test_there_are_enough_attacks():
    assert sum(n for _, n in FLOWS.values()) >= 250
    assert sum(n for _, n in PROGRESS.values()) >= 150
    assert refusal_of(flow_file.from_bytes, GOOD_FLOW) is None
    assert refusal_of(from_file, GOOD_PROGRESS) is None


@pytest.mark.parametrize("kind", FLOWS)
def test_a_flow_that_somebody_tampered_with_works_or_is_refused(kind):
    for data in made(FLOWS, kind):
        if refusal_of(flow_file.from_bytes, data) is None:
            flow, notes = flow_file.from_bytes(data), flow_file.notes(data)
            assert isinstance(notes, dict)
            assert flow.log_prob(POINTS).isfinite().any()
            again = flow_file.to_bytes(flow, notes)
            assert flow_file.to_bytes(flow_file.from_bytes(again), flow_file.notes(again)) == again
        refusal_of(digits.read, data)


ODD_NOTES = [
    None,
    True,
    -1,
    float("inf"),
    float("nan"),
    10**400,
    "",
    MARK,
    [],
    {},
    [[]],
    [[1, 2]],
    [["a"] * 4],
    {"a": 1},
]


def test_the_example_is_refused_where_its_notes_are_no_notes():
    flow, good = digits.stored().flow, flow_file.notes(digits.weights())
    assert refusal_of(digits.read, flow_file.to_bytes(flow, good)) is None
    for name in good:
        for odd in ODD_NOTES:
            said = refusal_of(digits.read, flow_file.to_bytes(flow, good | {name: odd}))
            assert said or name in ("seed", "seconds")


@pytest.mark.parametrize("kind", PROGRESS)
def test_progress_that_somebody_tampered_with_works_or_is_refused(kind):
    mine = from_file(GOOD_PROGRESS)
    for data in made(PROGRESS, kind):
        if refusal_of(from_file, data) is not None:
            continue
        read = from_file(data)
        assert from_file(as_file(read)) == read
        both = joined(mine, read)
        assert both.lessons.keys() == mine.lessons.keys() | read.lessons.keys()
        assert from_file(as_file(both)) == both


@pytest.mark.parametrize("version", ["true", "1.0", '"1"', "[1]", "null", json.dumps("9" * 900_000)])
def test_a_version_is_a_whole_number(version):
    assert refusal_of(from_file, put({"lessons": {}}, "version", version).encode())


def test_numbers_that_are_none_are_asked_for_again_and_half_a_character_is_replaced():
    text = json.dumps({"seen": ["a"], "answers": "@@", "truths": {}, "done": []})
    answers = r'{"w": "a\ud800b", "n": NaN, "i": Infinity, "x": 1e999, "y": 0.5, "\ud83d\ude00": true}'
    lesson = text.replace('"@@"', answers)
    read = from_file(f'{{"version": 1, "lessons": {{"one": {lesson}}}}}'.encode())
    assert read.lessons["one"].answers == {"w": "a\ufffdb", "y": 0.5, "\U0001f600": True}


def test_what_was_done_can_be_downloaded_whatever_was_typed():
    typed = Progress({"one": LessonProgress(answers={"w": "a\ud800b"})})
    assert from_file(as_file(typed)).lessons["one"].answers["w"].startswith("a")


def test_files_that_would_be_too_much_together_are_refused_and_nothing_is_lost():
    def large(name):
        return from_file(as_file(Progress({name: LessonProgress(answers={"w": "x" * (MOST_BYTES * 2 // 3)})})))

    mine = large("one")
    with pytest.raises(ValueError, match=f"{MOST_BYTES:,}"):
        joined(mine, large("two"))
    assert list(mine.lessons) == ["one"]
    assert joined(mine, large("one")) == mine


# --- time -------------------------------------------------------------------------------------------------------------


def empty_tensors(n):
    place = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return with_header(json.dumps({f"t{i}": place for i in range(n)}), b"")


def lessons(n):
    one = LessonProgress([f"s{i}" for i in range(100)], {f"a{i}": "x" * 20 for i in range(100)}, {}, [])
    return as_file(Progress({f"l{i}": one for i in range(n)}))


GROWING = {
    "a flow's tensors": (flow_file.from_bytes, empty_tensors, 6000),
    "a flow's blocks": (
        flow_file.from_bytes,
        lambda n: flow_file.to_bytes(FlowConfig(blocks=n, width=64).build(torch.Generator().manual_seed(0))),
        32,
    ),
    "a flow's settings": (
        flow_file.from_bytes,
        lambda n: with_settings(json.dumps({f"k{i}": 1 for i in range(n)})),
        4000,
    ),
    "brackets": (from_file, lambda n: b"[" * n, 2**19),
    "digits": (from_file, lambda n: b'{"version": ' + b"9" * n, 2**19),
    "an explanation": (
        from_file,
        lambda n: as_file(Progress({"one": LessonProgress(answers={"w": "ä" * n})})),
        2**19,
    ),
    "lessons": (from_file, lessons, 180),
}
"""A reader, what makes a file of a size, and the largest size."""


@pytest.mark.parametrize("kind", GROWING)
def test_time_grows_with_the_size_and_not_with_its_square(kind):
    read, make, most = GROWING[kind]
    assert steepest(lambda data: found_in(read, data), make, most, CLOCK_SECONDS) <= MOST_GROWTH
