"""All that takes a text from a visitor, beside CSV files: an entry of `TAKEN` says how it is asked, and with which text
of about `n` characters, or how many parts, it would take longest."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.channel import asked, wanted
from app.components.share import view_in
from app.csv_file import digest_of
from app.drawing import Drawing
from app.drawing.strokes import BRUSHES, ERASER, Stroke
from app.drawing.text import to_text
from app.estimates import pasted
from app.estimates.coins import parsed
from app.features.activations.settings import formula_problem, names_problem
from app.features.lipschitz import changes
from app.lessons.progress import MOST_BYTES as MOST_PROGRESS_BYTES
from app.lessons.progress import Progress, as_file, from_file, joined
from app.link import parse, query_of, read_link
from app.numbers import parsed_number
from app.text import plain
from resflow_core.api import flow_file
from resflow_core.data import Table
from resflow_core.data.table import MOST_ROWS
from resflow_core.expressions import read
from resflow_core.flow import FlowConfig
from resflow_core.roulette import Custom
from resflow_core.settings import settings_of, to_json

MOST = 2**20


@dataclass(frozen=True)
class Taken:
    """`answer` takes what `attack` makes and returns the sentences that it says; it may raise ValueError with one."""

    answer: Callable[[Any], Any]
    attack: Callable[[int], Any]
    most: int = MOST


def link(query: Mapping[str, str]) -> tuple[str, ...]:
    found = read_link(query)
    query_of(found.setup, found.csv, found.flow, found.benches, found.controls)
    return found.refused


def of_link(name: str, text: Callable[[int], str], most: int = MOST) -> Taken:
    return Taken(link, lambda n: {name: text(n)}, most)


def numbers(text: str) -> Any:
    """As the page asks for a row of numbers."""
    field, limits = settings_of(Custom)["table"]
    return parse(text, field.type, limits)


def progress(data: bytes) -> None:
    """What is read can be written again, on every page from then on."""
    found = from_file(data)
    try:
        written = as_file(joined(Progress(), found))
    except ValueError as error:
        raise AssertionError("what was read cannot be written") from error
    assert len(written) > MOST_PROGRESS_BYTES or as_file(joined(Progress(), from_file(written))) == written


def lesson(**parts: Any) -> bytes:
    one = {"seen": [], "answers": {}, "truths": {}, "done": []} | parts
    return json.dumps({"version": 1, "lessons": {"series": one}}).encode()


def flow(metadata: Callable[[int], str], tensors: Callable[[int], dict] = lambda n: {}) -> Taken:
    """A file of a flow with these settings, and these tensors in its header."""

    def file(n: int) -> bytes:
        header = json.dumps({"__metadata__": {flow_file.FORMAT: metadata(n)}, **tensors(n)}).encode()
        return len(header).to_bytes(8, "little") + header

    return Taken(flow_file.from_bytes, file)


def settings(**others: Any) -> str:
    return json.dumps(to_json(FlowConfig()) | others)


def labelled(labels: list[str]) -> None:
    rng = np.random.default_rng(0)
    found = Table("t", ("x", "y"), rng.normal(size=(len(labels), 2)), labels=tuple(labels))
    assert found.classes[int(found.held_out_classes()[0])] == found.held_out_labels[0]


def strokes(rows: Any) -> None:
    """As the plane to paint on sends them; what is taken is drawn, learned, saved and shared."""
    found = Drawing.of_rows(rows)
    assert Drawing.of_rows(found.rows) == found
    assert len(found.table.values) == len(found.points) and found.file and (not found.text or drawn(found.text))


def drawn(text: str) -> Drawing:
    return Drawing.of_text(text)


def text_of(n: int) -> str:
    """The text of a drawing, as long as can be, and signs that make it longer still."""
    return to_text([dots(min(n // 3, 20_000))]).ljust(n, "A")


def dots(n: int, kind: int = 0, brush: int = 0) -> Stroke:
    return Stroke(kind, brush, tuple((k * 7 % 120, k * 11 % 120) for k in range(max(1, n))))


OWN = {"data": "csv", "csv.name": "a", "csv.digest": "0" * 12, "csv.x": "x", "csv.y": "y"}
LINKS = {
    "unknown settings": Taken(link, lambda n: {f"x{i}": "1" for i in range(n // 8)}),
    "digits for a whole number": of_link("flow.blocks", lambda n: "1" * n),
    "digits for a setting": of_link("blocks", lambda n: "1" * n),
    "underscores in a whole number": of_link("blocks", lambda n: "1_" * (n // 2) + "1"),
    "digits for a number": of_link("budget", lambda n: "0." + "9" * n),
    "digits before the point": of_link("budget", lambda n: "9" * n),
    "an exponent of digits": of_link("budget", lambda n: "1e-" + "9" * n),
    "spaces around a number": of_link("budget", lambda n: " " * n + "0.5" + " " * n),
    "a truth that is none": of_link("bench.fractions", lambda n: "True" * (n // 4)),
    "a choice that is none": of_link("data", lambda n: "moons" * (n // 5)),
    "a law that is none": of_link("bench.law", lambda n: "geometric" * (n // 9)),
    "numbers of a matrix": of_link("bench.matrix", lambda n: "0.1 " * (n // 4)),
    "fractions of a matrix": of_link("bench.matrix", lambda n: "1/3," * (n // 4)),
    "a fraction of digits": of_link("bench.matrix", lambda n: "1" * n + "/3 0 0 0"),
    "a fraction with a huge exponent": of_link("bench.matrix", lambda n: f"1e{n}/3 0 0 0"),
    "separators of a matrix": of_link("bench.matrix", lambda n: ", " * (n // 2) + "x"),
    "a formula": of_link("activation", lambda n: "=" + "sin(" * (n // 4)),
    "a formula of pi": of_link("activations.formula", lambda n: "π" * n),
    "activations": of_link("activations.shown", lambda n: "elu," * (n // 4)),
    "controls": of_link("controls", lambda n: " ".join(f"x{i}" for i in range(n // 8))),
    "one control": of_link("controls", lambda n: "bench.law " * (n // 10)),
    "spaces as controls": of_link("controls", lambda n: " " * n + "x"),
    "changes": of_link("changes", lambda n: ";".join(f"{i}:batch=64" for i in range(1, n // 16))),
    "changes that differ": of_link(
        "changes", lambda n: ";".join(f"{i}:learning_rate={1e-3 * (1 + i % 9)}" for i in range(1, n // 32))
    ),
    "changes that are none": of_link("changes", lambda n: ";" * n),
    "changes at no step": of_link("changes", lambda n: "x:y=1;" * (n // 6)),
    "a change of many settings": of_link("changes", lambda n: "1:" + ",".join(f"x{i}=1" for i in range(n // 8))),
    "a change at a step of digits": of_link("changes", lambda n: "1" * n + ":batch=64"),
    "a change to digits": of_link("changes", lambda n: "1:batch=" + "1" * n),
    "equals signs": of_link("changes", lambda n: "1:" + "=" * n),
    "changed weights": of_link("lipschitz.weights", lambda n: "w1.1.1=1 " * (n // 9)),
    "a changed weight of digits": of_link("lipschitz.weights", lambda n: "w1.1.1=" + "1" * n),
    "a digest": Taken(link, lambda n: OWN | {"csv.digest": "0" * n}),
    "a drawing": Taken(link, lambda n: {"data": "drawing", "drawing": text_of(n)}),
    "a drawing of letters": Taken(link, lambda n: {"data": "drawing", "drawing": "A" * n}),
    "a drawing of other signs": Taken(link, lambda n: {"data": "drawing", "drawing": "🜁" * n}),
    "names of columns": Taken(link, lambda n: OWN | {"csv.x": "x" * n, "csv.y": "`" * n}),
}  # fmt: skip

TAKEN: dict[str, Taken] = {
    **{f"a link: {name}": taken for name, taken in LINKS.items()},
    "a row of numbers": Taken(numbers, lambda n: "0.5, " * (n // 5)),
    "a row of separators": Taken(numbers, lambda n: ",;\t " * (n // 4) + "x"),
    "an entry of a matrix: digits": Taken(parsed_number, lambda n: "1" * n),
    "an entry of a matrix: points": Taken(parsed_number, lambda n: "1." * (n // 2)),
    "an entry of a matrix: spaces": Taken(parsed_number, lambda n: " " * n + "1"),
    "an entry of a matrix: minus signs": Taken(parsed_number, lambda n: "\N{MINUS SIGN}" * n),
    "a pasted matrix": Taken(pasted.matrix, lambda n: "1, 2;" * (n // 5)),
    "a pasted matrix: brackets": Taken(pasted.matrix, lambda n: "[" * n),
    "coins": Taken(lambda text: parsed(text, 3), lambda n: "3+ " * (n // 3)),
    "coins: digits": Taken(lambda text: parsed(text, 3), lambda n: "3" * n + "+"),
    "coins: separators": Taken(lambda text: parsed(text, 3), lambda n: ",; " * (n // 3) + "x"),
    "a formula: parentheses": Taken(read, lambda n: "(" * n),
    "a formula: pi": Taken(read, lambda n: "π" * n),
    "a formula: spaces": Taken(read, lambda n: "z" + " " * n),
    "the bench's formula": Taken(formula_problem, lambda n: "9" * n),
    "names of activations": Taken(names_problem, lambda n: "elu," * (n // 4) + "elu"),
    "names of no activations": Taken(names_problem, lambda n: "," * n),
    "a page's first words": Taken(wanted, lambda n: '{"run": "' + "a" * n + '"}'),
    "a page's first words: brackets": Taken(wanted, lambda n: "[" * n),
    "a point": Taken(asked, lambda n: '{"point": [' + "1" * n + ", 0]}"),
    "a point of many numbers": Taken(asked, lambda n: '{"point": [' + "0," * (n // 2) + "0]}"),
    "what is looked at": Taken(view_in, lambda n: "view=0&" * (n // 7)),
    "a drawing: dots": Taken(strokes, lambda n: [[0, 0, *(k % 120 for k in range(2 * (n // 4) + 2))]]),
    "a drawing: large dots": Taken(
        strokes, lambda n: [[1, len(BRUSHES) - 1, *(k % 120 for k in range(2 * (n // 4) + 2))]]
    ),
    "a drawing: strokes": Taken(strokes, lambda n: [[0, 1, k % 900, k % 800] for k in range(n // 12)]),
    "a drawing: erasers": Taken(
        strokes, lambda n: [[k % 2 * ERASER, 4 - k % 2, k % 900, k % 800] for k in range(n // 12)]
    ),
    "a drawing: no dots": Taken(strokes, lambda n: [[0, 0]] * (n // 8)),
    "a drawing: a long number": Taken(strokes, lambda n: [[0, 0, 10 ** min(n, 4_000), 1]]),
    "a drawing: lists": Taken(strokes, lambda n: [[[]] * (n // 4)]),
    "a drawing: a text": Taken(drawn, text_of),
    "a drawing: a text of one sign": Taken(drawn, lambda n: "_" * n),
    "weights that a browser tells": Taken(changes.problem, lambda n: "w1.1.1=1 " * (n // 9)),
    "a weight's name that a browser tells": Taken(changes.problem, lambda n: "w" + "1." * (n // 2)),
    "a name": Taken(plain, lambda n: "`\u202e" * (n // 2)),
    "contents": Taken(digest_of, lambda n: bytes(n)),
    "progress: lessons": Taken(
        progress, lambda n: json.dumps({"version": 1, "lessons": {f"l{i}": json.loads(lesson())["lessons"]["series"]
                                                                 for i in range(n // 60)}}).encode(), 2**19,
    ),
    "progress: answers": Taken(progress, lambda n: lesson(answers={f"a{i}": i for i in range(n // 12)}), 2**19),
    "progress: one step, seen": Taken(progress, lambda n: lesson(seen=["a"] * (n // 5)), 2**19),
    "progress: an answer in words": Taken(progress, lambda n: lesson(answers={"a": "\u00e9" * (n // 6)}), 2**19),
    "progress: half a character": Taken(progress, lambda n: lesson(answers={"a": "\ud800" * (n // 6)}), 2**19),
    "progress: digits": Taken(progress, lambda n: lesson(answers={"a": 0}).replace(b"0", b"1" * n), 2**19),
    "progress: digits behind a point": Taken(
        progress, lambda n: lesson(answers={"a": 0}).replace(b"0", b"0." + b"1" * n), 2**19
    ),
    "progress: an exponent of digits": Taken(
        progress, lambda n: lesson(answers={"a": 0}).replace(b"0", b"1e-" + b"9" * n), 2**19
    ),
    "progress: a version": Taken(progress, lambda n: json.dumps({"version": "1" * n, "lessons": {}}).encode(), 2**19),
    "progress: a list in a list": Taken(progress, lambda n: b"[" * n, 2**19),
    "progress: quotes": Taken(progress, lambda n: b'"' * n, 2**19),
    "progress: no JSON": Taken(progress, lambda n: b"{" + b" " * n, 2**19),
    "a flow: settings": flow(lambda n: json.dumps([1] * (n // 3))),
    "a flow: a setting of letters": flow(lambda n: settings(activation="x" * n)),
    "a flow: a setting of digits": flow(lambda n: settings(blocks=0).replace("0", "1" * n, 1)),
    "a flow: a list for a setting": flow(lambda n: settings(budget=[0.5] * (n // 5))),
    "a flow: unknown settings": flow(lambda n: settings(**{f"x{i}": 1 for i in range(n // 10)})),
    "a flow: a list in a list": flow(lambda n: "[" * n),
    "a flow: tensors": flow(
        lambda n: settings(),
        lambda n: {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(n // 60)},
    ),
    "a flow: a header of any length": Taken(flow_file.from_bytes, lambda n: n.to_bytes(8, "little") + b" " * n),
    "labels of a table": Taken(labelled, lambda n: [f"n{i}" for i in range(max(20, n // 64))], 64 * MOST_ROWS),
}  # fmt: skip
