"""A setup as the text of a link, and back. What a link asks for and does not get is named."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import cache
from typing import Any

from app.drawing import Drawing, DrawingError
from app.numbers import parsed_number
from app.setup import Changes, CsvChoice, Entry, FlowFile, OwnData, Setup, differences, drawn, entries, parts
from app.text import plain
from resflow_core.settings import Setting, name_of, refusal
from resflow_core.training.trainer import TrainConfig

OWN_DATA = "csv"
"""What a link gives as its data set where the data are somebody's own."""

DRAWING = "drawing"
"""What it gives where they are painted, and what it calls the text of the drawing."""

VIEW = "view"
"""What the names of parts of a link begin with that say what is looked at (`app/web/canvas/address.js`): they are
read by the browser alone."""

BENCHES: dict[str, type] = {}
"""The settings of each bench, by what their names begin with in links and widgets. `app.screens` fills it."""

ALIASES: dict[str, str] = {}
"""Old names of settings in links, and their names now. If you rename a setting, add its old name here."""

STEP = "at"
"""What a link calls the step that its run has reached."""

MOST_CHANGES = 200
MOST_IN_FINGERPRINT = 160
MOST_IN_ROW = 5_000
"""Characters of numbers in a row; the longest row that a setting takes has 50 of at most 24."""


@dataclass(frozen=True)
class Link:
    """What a link asks for. Until `csv` and `flow` are there, `setup` has the default data and a new flow. `controls`
    are the settings whose controls the page offers; None: all."""

    setup: Setup = field(default_factory=Setup)
    refused: tuple[str, ...] = ()
    csv: CsvChoice | None = None
    flow: FlowFile | None = None
    benches: tuple[Any, ...] = field(default_factory=lambda: tuple(kind() for kind in BENCHES.values()))
    controls: tuple[str, ...] | None = None
    draws: bool = False
    """Whether it opens the plane to paint on: it says that the data are drawn, and of no drawing."""
    step: int = 0
    """How far its run has gone; 0: it is yet to begin."""
    made_by: str = ""
    """What the digits of its run depend on, beside the settings (`ArmReport.fingerprint`); "" where it does not say."""
    named: frozenset[str] = field(default=frozenset(), compare=False)
    """The settings of benches that it names."""


def prefix_of(bench: Any) -> str:
    """What the names of this bench's settings begin with."""
    return next(prefix for prefix, kind in BENCHES.items() if isinstance(bench, kind))


@cache
def names() -> dict[str, str]:
    """Every setting's name in links, those of all variants' choices too, and what people call it: `bench.law.p` is
    "Bench: Law of N, p"."""
    found = dict(_names(Setup()))
    for prefix, kind in BENCHES.items():
        found |= {name: f"{kind.__name__}: {title}" for name, title in _names(kind(), prefix)}
    return found


def _names(config: Any, prefix: str = "", within: str = "") -> Iterator[tuple[str, str]]:
    for part, limits, value in parts(config):
        if limits is None:
            yield from _names(value, prefix, within)
            continue
        key, title = prefix + part.name, within + limits.label
        yield key, title
        if limits.is_variant:
            for kind in limits.choices.values():
                yield from _names(kind(), f"{key}.", f"{title}, ")


def query_of(
    setup: Setup,
    csv: CsvChoice | None = None,
    flow: FlowFile | None = None,
    benches: Iterable[Any] = (),
    controls: Iterable[str] | None = None,
    made_by: str = "",
    step: int = 0,
    chosen: Collection[str] = (),
) -> dict[str, str]:
    """Every setting as text. A bench is left out if nothing of it was chosen, and whole if something was. If only its
    settings `ASIDE` were chosen, the link has these alone. `chosen` are the names of what was chosen, also where it is
    as it comes. Own files are known by name and digest; `csv` and `flow` are asked for in their place. `controls`: the
    names of the settings whose controls are offered, where not all are. A drawing that is too long for a link is asked
    for as its file. `made_by` and `step`: as in a `Link`."""
    query = {key: _text(value) for key, _, value in entries(setup)}
    for bench in benches:
        said = {key: _text(value) for key, _, value in entries(bench, prefix_of(bench))}
        if is_chosen(bench, chosen):
            query |= said
        elif any(_chosen(bench, chosen)):
            query |= {key: said[key] for key in _aside(bench)}
    drawing = setup.own.drawing if setup.own and not csv else None
    if drawing and drawing.text:
        query |= {"data": DRAWING, DRAWING: drawing.text}
    elif setup.own and not csv:
        csv = setup.own.file
    flow = flow or (setup.start.file if setup.start else None)
    if csv:
        query |= {"data": OWN_DATA} | {f"csv.{name}": value for name, value in asdict(csv).items()}
    if flow:
        query |= {f"flow.{name}": value for name, value in asdict(flow).items()}
    if setup.changes:
        query["changes"] = _changes_text(setup.train, setup.changes)
    if controls is not None:
        query["controls"] = " ".join(controls)
    if made_by:
        query["by"] = made_by
    if step:
        query[STEP] = str(step)
    return query


def is_chosen(bench: Any, named: Collection[str]) -> bool:
    """Whether anything was chosen of a bench, by these names or because it differs from how it comes, but for its
    settings `ASIDE`: a screen that opens with an example opens with it as long as nothing was."""
    aside = _aside(bench)
    return any(key not in aside for key, _, _ in _chosen(bench, named))


def _aside(bench: Any) -> list[str]:
    """The names of its settings that say nothing of the example that a screen opens with."""
    return [f"{prefix_of(bench)}{name}" for name in getattr(bench, "ASIDE", ())]


def _chosen(bench: Any, named: Collection[str]) -> Iterator[Entry]:
    """The settings of a bench that are named, or differ from how they come."""
    prefix = prefix_of(bench)
    other = {key for key, _, _ in differences(type(bench)(), bench, prefix)}
    return (entry for entry in entries(bench, prefix) if entry[0] in other or entry[0] in named)


def shortened(query: Mapping[str, str]) -> dict[str, str]:
    """The same link without what it may leave out, because that is so without it: a link for a board. Other defaults
    would make another link of it, so links that are kept say everything."""
    wanted, kept = _asked(query), dict(query)
    for name in query:
        fewer = {other: value for other, value in kept.items() if other != name}
        if not name.startswith(VIEW) and _asked(fewer) == wanted:
            kept = fewer
    return kept


def _asked(query: Mapping[str, str]) -> tuple[Link, list[bool]]:
    """What a query asks for, and of which benches it chooses anything."""
    link = read_link(query)
    return link, [is_chosen(bench, link.named) for bench in link.benches]


def read_link(query: Mapping[str, str]) -> Link:
    """What a query asks for. Parts that cannot be had stay at their defaults, and a sentence says so for each."""
    refused: list[str] = []
    unread = {
        ALIASES.get(name, name): value
        for name, value in query.items()
        if ALIASES.get(name) not in query and not name.startswith(VIEW)
    }
    named = frozenset(name for name in unread if name.startswith(tuple(BENCHES)) and name in names())
    csv = None
    if unread.get("data") == OWN_DATA:
        del unread["data"]
        csv = _read_file(CsvChoice, "csv.", unread, refused)
    own, draws = _read_drawing(unread, refused)
    flow = _read_file(FlowFile, "flow.", unread, refused) if any(key.startswith("flow.") for key in unread) else None
    planned, offered = unread.pop("changes", ""), unread.pop("controls", None)
    step = _read_step(unread.pop(STEP, "0"), refused)
    by = unread.pop("by", "")
    made_by = plain(by, MOST_IN_FINGERPRINT) if by else ""
    setup = replace(_read(Setup(), unread, refused), own=own)
    benches = tuple(_read(kind(), unread, refused, prefix) for prefix, kind in BENCHES.items())
    if planned:
        train, changes = _read_changes(planned, setup.train, refused)
        setup = replace(setup, train=train, changes=changes)
    controls = None if offered is None else _read_controls(offered, refused)
    refused += _unknown(unread)
    return Link(setup, tuple(refused), csv, flow, benches, controls, draws, step, made_by, named)


def _read_drawing(unread: dict[str, str], refused: list[str]) -> tuple[OwnData | None, bool]:
    """The drawing that a link brings, and whether it opens the plane to paint on instead."""
    if unread.get("data") != DRAWING:
        return None, False
    del unread["data"]
    text = unread.pop(DRAWING, None)
    if text is None:
        return None, True
    try:
        return drawn(Drawing.of_text(text)), False
    except DrawingError as error:
        refused.append(f"`{DRAWING}`: {error}")
        return None, False


def _read_step(text: str, refused: list[str]) -> int:
    if re.fullmatch("[0-9]{1,9}", text):
        return int(text)
    refused.append(f"`{STEP} = {plain(text)}`: use a whole number of steps below a billion. The run begins at step 0.")
    return 0


def _read_controls(text: str, refused: list[str]) -> tuple[str, ...]:
    """The settings whose controls are offered, each once."""
    given = dict.fromkeys(ALIASES.get(name, name) for name in text.split())
    refused += [
        f"`controls`, `{plain(name)}`: there is no such setting. It is left out."
        for name in given
        if name not in names()
    ]
    return tuple(name for name in given if name in names())


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(repr, value))
    return repr(value) if isinstance(value, float) else str(value)


def _unknown(unread: Mapping[str, str]) -> list[str]:
    return [f"`{plain(name)}`: there is no such setting." for name in unread]


def _read(default: Any, unread: dict[str, str], refused: list[str], prefix: str = "") -> Any:
    """`default` with the values that `unread` holds for it, which are taken out."""
    values = {}
    for part, limits, value in parts(default):
        key = prefix + part.name
        if limits is None:
            values[part.name] = _read(value, unread, refused, prefix)
            continue
        text = unread.pop(key, None)
        if text is not None:
            parsed = parse(text, part.type, limits)
            problem = refusal(parsed, part.type, limits)
            if problem and limits.is_variant:
                problem = f"use one of {', '.join(limits.choices)}."
            if problem:
                shown = _text(name_of(value, limits) if limits.choices else value)
                kept = f"at {shown}" if shown else "empty"
                refused.append(f"`{key} = {plain(text)}`: {problem} It stays {kept}.")
            else:
                value = parsed
        values[part.name] = _read(value, unread, refused, f"{key}.") if limits.is_variant else value
    return replace(default, **values)


def parse(text: str, kind: type, limits: Setting) -> Any:
    """The value that a text stands for, or the text itself where it stands for none."""
    if limits.is_variant:
        return limits.choices[text]() if text in limits.choices else text
    if limits.choices is not None:
        return text
    if kind is bool:
        return {"True": True, "False": False}.get(text, text)
    try:
        return _row(text) if kind is tuple else kind(text)
    except ValueError:
        return text


def _row(text: str) -> tuple[float, ...]:
    """Numbers in a row. Raises ValueError."""
    if len(text) > MOST_IN_ROW:
        raise ValueError
    return tuple(map(_number, re.split(r"[\s,;]+", text.strip())))


def _number(text: str) -> float:
    """A decimal or a fraction. Raises ValueError."""
    return parsed_number(text) if "/" in text else float(text)


def _read_file(kind: type, prefix: str, unread: dict[str, str], refused: list[str]) -> Any:
    """A file that the link needs, or None if it does not say which."""
    given = {f.name: unread.pop(prefix + f.name, "") for f in fields(kind)}
    missing = [f"`{prefix}{f.name}`" for f in fields(kind) if not given[f.name] and f.default is MISSING]
    if missing:
        refused.append(
            f"The link needs a file, but {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing from "
            "it."
        )
    elif not re.fullmatch("[0-9a-f]{12}", given["digest"]):
        refused.append(f"`{prefix}digest = {plain(given['digest'])}`: use 12 hexadecimal digits.")
    else:
        return kind(**given)
    return None


def _changes_text(train: TrainConfig, changes: Changes) -> str:
    """ "120:learning_rate=0.001,batch=512;300:...": each change lists what differs from the settings before it."""
    parts = []
    for step, after in changes:
        parts.append(f"{step}:" + ",".join(f"{key}={_text(value)}" for key, _, value in differences(train, after)))
        train = after
    return ";".join(parts)


def _read_changes(text: str, train: TrainConfig, refused: list[str]) -> tuple[TrainConfig, Changes]:
    """The settings at step 0, which a change there replaces, and what comes later. Of two changes at one step, as once
    were written, the second is meant."""
    began, changes, last = train, list[tuple[int, TrainConfig]](), -1
    for number, part in enumerate(text.split(";")):
        steps, _, listed = part.partition(":")
        if number == MOST_CHANGES:
            refused.append(f"`changes`: only the first {MOST_CHANGES} are used.")
            break
        if not re.fullmatch("[0-9]{1,9}", steps) or int(steps) < last:
            refused.append(
                f"`changes`, `{plain(part)}`: begin with a whole number of steps, not smaller than the one before "
                "it, and a colon. This change is left out."
            )
            continue
        last, sentences = int(steps), []
        unread = dict(pair.partition("=")[::2] for pair in listed.split(","))
        after = _read(train, unread, sentences)
        refused += [f"`changes` at step {last}: {sentence}" for sentence in (*sentences, *_unknown(unread))]
        if changes and changes[-1][0] == last:
            del changes[-1]
        if last == 0:
            began = after
        elif after != (changes[-1][1] if changes else began):
            changes.append((last, after))
        train = after
    return began, tuple(changes)


def told(train: TrainConfig, changes: Changes) -> list[str]:
    """Each change for a reader: "at step 120: learning rate 0.001"."""
    sentences = []
    for step, after in changes:
        listed = ", ".join(f"{_label(limits)} {limits.shown(value)}" for _, limits, value in differences(train, after))
        sentences.append(f"at step {step:,}: {listed}")
        train = after
    return sentences


def _label(limits: Setting) -> str:
    """A label within a sentence; a symbol keeps its case."""
    is_word = limits.label[1:2].islower()
    return limits.label[0].lower() + limits.label[1:] if is_word else limits.label
