"""Changes of a block's weights as a link and the picture of its network write them, and back. Pure.

w1.5.2=3 sets the weight of layer 1 into its unit 5 from number 2 of what comes to the layer, b1.5=0.2 sets that unit's
bias, and r1.5=2 multiplies its row, which is all weights into the unit. Everything is counted from 1.
"""

import re
from collections.abc import Iterable

from app.numbers import parsed_number
from app.text import plain
from resflow_core.flow import FlowConfig
from resflow_core.measure import Change, layer_shapes
from resflow_core.measure.edits import misfit

MOST_LETTERS = 2_000
MOST = 64
"""Changes at a time."""
LIMITS = {"weight": (-100.0, 100.0), "bias": (-100.0, 100.0), "row": (0.0, 20.0)}
"""The smallest and the largest value of each kind."""
LETTERS = {"w": "weight", "b": "bias", "r": "row"}
NAME = re.compile(r"w(\d{1,3})\.(\d{1,3})\.(\d{1,3})|[br](\d{1,3})\.(\d{1,3})", re.ASCII)


def read(text: str) -> tuple[Change, ...]:
    """The changes that a text stands for; of two of the same parameter the last holds. Raises ValueError with a
    sentence that says what is wrong with which, and what to do."""
    if len(text) > MOST_LETTERS:
        raise ValueError(f"{len(text):,} characters: use at most {MOST_LETTERS:,}.")
    found: dict[str, Change] = {}
    for part in text.split():
        name, _, value = part.partition("=")
        found.pop(name, None)  # the newest stands at the end
        found[name] = _change(name, value)
    if len(found) > MOST:
        raise ValueError(f"{len(found)} changes: make at most {MOST} at a time. Bring some weights back first.")
    return tuple(found.values())


def problem(text: str) -> str | None:
    """Why this text stands for no changes, in a sentence."""
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return None


def written(changes: Iterable[Change]) -> str:
    """The text that `read` takes."""
    return " ".join(f"{name_of(change)}={change.value:.6g}" for change in changes)


def name_of(change: Change) -> str:
    """Which parameter it is of: "w1.5.2"."""
    letter = next(letter for letter, kind in LETTERS.items() if kind == change.kind)
    column = f".{change.column + 1}" if change.kind == "weight" else ""
    return f"{letter}{change.layer + 1}.{change.row + 1}{column}"


def misfits(changes: Iterable[Change], flow: FlowConfig) -> str:
    """The first change that is of no layer of such a flow, in a sentence; "" if all are."""
    shapes = layer_shapes(flow)
    why = next(((change, why) for change in changes if (why := misfit(change, shapes))), None)
    return f"`{name_of(why[0])}` is in {why[1]}" if why else ""


def _change(name: str, value: str) -> Change:
    if not (match := NAME.fullmatch(name)):
        raise ValueError(f"`{plain(name)}`: write w1.5.2=3 for a weight, b1.5=0.2 for a bias, or r1.5=2 for a row.")
    layer, row, *column = (int(number) - 1 for number in match.groups() if number is not None)
    kind = LETTERS[name[0]]
    low, high = LIMITS[kind]
    try:
        number = parsed_number(value)
    except ValueError as error:
        raise ValueError(f"`{name} = {plain(value)}`: {error}") from None
    if not low <= number <= high:
        raise ValueError(f"`{name} = {plain(value)}`: use a value from {low:g} to {high:g}.")
    return Change(kind, layer, row, number, *column)
