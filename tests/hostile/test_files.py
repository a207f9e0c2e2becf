"""Saved flows and files of progress that somebody has tampered with: each is refused in a short sentence, or works."""

import json

import pytest
import torch
from safetensors.torch import load, save

from app.examples import digits
from app.lessons.progress import MOST_BYTES, LessonProgress, Progress, as_file, from_file, joined
from resflow_core.api import flow_file
from resflow_core.flow import FlowConfig
from resflow_core.settings import to_json
from tests.hostile.names import MARK, NAMES, marked_up

MOST_WORDS = 600
FLOW = FlowConfig(blocks=2, width=8).build(torch.Generator().manual_seed(1))
GOOD = flow_file.to_bytes(FLOW, {"steps": 3})
HEADER_ENDS = 8 + int.from_bytes(GOOD[:8], "little")
HEADER, SETTINGS = json.loads(GOOD[8:HEADER_ENDS]), to_json(FLOW.config)
TENSOR = "bijections.0.shift"
ODD = [
    "null",
    "true",
    "-1",
    "1e400",
    "NaN",
    "9" * 5000,
    '""',
    "[[]]",
    '{"is": 1}',
    r'"\ud800"',
    "[" * 3000 + "]" * 3000,
]
"""What stands where something else is expected: literally, since JSON in files has more than Python would write."""


def put(values, name, literal):
    """JSON of `values` with a literal in the place of one of them."""
    return json.dumps(values | {name: "@@"}).replace('"@@"', literal)


def with_header(text):
    raw = text.encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(8, "little") + raw + GOOD[HEADER_ENDS:]


def with_settings(text):
    return with_header(json.dumps(HEADER | {"__metadata__": {flow_file.FORMAT: text}}))


def with_tensor(**changes):
    return with_header(json.dumps(HEADER | {TENSOR: HEADER[TENSOR] | changes}))


def with_values(value):
    found = load(GOOD)
    found[TENSOR] = torch.full_like(found[TENSOR], value)
    return save(found, {flow_file.FORMAT: json.dumps(SETTINGS)})


REFUSED = {
    "nothing": b"",
    "half of it": GOOD[: len(GOOD) // 2],
    "more of it": GOOD + b"more",
    "a length of 2^64 - 1": (2**64 - 1).to_bytes(8, "little") + GOOD[8:],
    "a header that is none": with_header('{"a":' * 900),
    "half a character": with_header('{"\ud800": 1}'),
    "another format": with_header(json.dumps(HEADER | {"__metadata__": {"residual flow 2": json.dumps(SETTINGS)}})),
    "settings that are a list": with_settings("[1, 2]"),
    "settings that lack one": with_settings(json.dumps({k: v for k, v in SETTINGS.items() if k != "budget"})),
    "an unknown setting": with_settings(json.dumps(SETTINGS | {NAMES["code"]: 1})),
    "blocks beyond the limit": with_settings(json.dumps(SETTINGS | {"blocks": 10**9})),
    "a formula that is none": with_settings(json.dumps(SETTINGS | {"activation": f"={MARK}(z)"})),
    "another type": with_tensor(dtype="F64"),
    "another shape": with_tensor(shape=[2**62, 4]),
    "a place beyond the end": with_tensor(data_offsets=[0, 2**63]),
    "no number": with_values(float("nan")),
    "no finite number": with_values(float("inf")),
}


def refusal_of(read, data):
    """What is said where a file is refused, or None where it is read. Nothing but ValueError may come."""
    try:
        read(data)
    except ValueError as error:
        said = str(error)
        assert 10 < len(said) < MOST_WORDS and said.isprintable() and not marked_up(said)
        return said
    return None


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_a_broken_flow_is_refused(data):
    assert refusal_of(flow_file.from_bytes, data)
    assert refusal_of(digits.read, data)


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_of_a_flow_may_be_something_odd(name):
    for literal in ODD:
        data = with_settings(put(SETTINGS, name, literal))
        if refusal_of(flow_file.from_bytes, data) is None:
            assert (name, literal) == ("actnorm", "true")


def test_weights_may_be_extreme_and_such_a_flow_is_written_again():
    again = flow_file.to_bytes(flow_file.from_bytes(with_values(1e10)))
    assert flow_file.to_bytes(flow_file.from_bytes(again)) == again


LESSON = {"seen": ["start"], "answers": {"one": 0.3}, "truths": {"one": 0.5}, "done": ["m"]}


def progress(lesson, version="1"):
    return f'{{"version": {version}, "lessons": {{"series": {lesson}}}}}'.encode("utf-8", "surrogatepass")


REFUSED_PROGRESS = {
    "nothing": b"",
    "no JSON": b"[" * 100_000,
    "a version that is a text": progress("{}", '"1"'),
    "a version that is true": progress("{}", "true"),
    "a long version": progress("{}", "9" * 5000),
    "a part that is missing": progress(json.dumps({"seen": []})),
    "steps that are numbers": progress(put(LESSON, "seen", "[1]")),
    "answers in a list": progress(put(LESSON, "answers", "[]")),
    "an answer that is a list": progress(put(LESSON, "answers", '{"one": []}')),
    "too many lessons": json.dumps({"version": 1, "lessons": {f"{MARK}{i}": LESSON for i in range(999)}}).encode(),
    "too long": b" " * (MOST_BYTES + 1),
}


@pytest.mark.parametrize("data", REFUSED_PROGRESS.values(), ids=REFUSED_PROGRESS)
def test_broken_progress_is_refused(data):
    assert refusal_of(from_file, data)


def test_numbers_that_are_none_are_asked_for_again_and_half_a_character_is_replaced():
    answers = r'{"w": "a\ud800b", "n": NaN, "i": Infinity, "x": 1e999, "y": 0.5, "\ud83d\ude00": true}'
    read = from_file(progress(put(LESSON, "answers", answers)))
    assert read.lessons["series"].answers == {"w": "a\ufffdb", "y": 0.5, "\U0001f600": True}
    assert from_file(as_file(read)) == read
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
