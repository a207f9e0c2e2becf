"""Files of lessons -> lessons (`raw` says how they are written). Whatever is wrong is named with its file and line."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.lessons.again import AGAIN, TOLD_WITH, repeated
from app.lessons.expression import Expression
from app.lessons.lesson import (
    SIDES,
    Action,
    Block,
    Check,
    Do,
    Explain,
    Hint,
    Lesson,
    Observe,
    Predict,
    Remark,
    Solution,
    Step,
    Teacher,
    Text,
)
from app.lessons.observables import MOVED, OBSERVABLES, SCREENS, Moved
from app.lessons.plan import problem
from app.lessons.prose import expressions, loose_numbers, numbers, points
from app.lessons.raw import KIND_NAMES, Fields, Kind, Raw, Wrong, read_raw, translated
from app.lessons.settings import as_text
from app.lessons.words import ORIGINAL, Wording, wording
from app.link import names

NAME = re.compile(r"^(?P<number>\d+)-(?P<id>[a-z0-9-]+)(?:\.(?P<language>[a-z]{2}))?\.md$")
FRONT = {"title": str, "level": str, "minutes": int, "objectives": list, "prerequisites": list, "key_points": list}
FRONT_TEXTS = ("title", "level", "objectives", "key_points")
NEAR = re.compile(r"^(?P<number>\d+(?:\.\d+)?)(?P<share>\s*%)?$")
SE = re.compile(r"^(?P<number>[\d.]+)\s*se$")
COMPARED = ("is", "below", "above")
ACTIONS: dict[str, type] = {"set": dict, "throw": int, "train": int, "coins": str, "answer": dict}


def read(path: Path) -> Lesson:
    """The lesson of a file, with the texts of a translation over the original's. Raises `Wrong`."""
    match = NAME.match(path.name)
    if not match:
        raise Wrong(path, 1, "name it with a number and an id, such as 04-series.md, or 04-series.de.md.")
    front, blocks = read_raw(path, KINDS)
    if match["language"]:
        original = path.with_name(f"{match['number']}-{match['id']}.md")
        if not original.exists():
            raise Wrong(path, 1, f"there is no {original.name} that it could translate.")
        _check_points(front, FRONT_TEXTS)
        for raw in blocks:
            _check_points(raw.fields, KINDS[raw.kind].texts, raw.text)
        front, blocks = translated(read_raw(original, KINDS), (front, blocks), KINDS, FRONT_TEXTS)
    return _lesson(path, match["id"], int(match["number"]), match["language"] or ORIGINAL, front, blocks)


def read_demonstration(path: Path) -> Lesson:
    """A file as of a lesson, which is in no list: its number is 0, and its id the file's name. Raises `Wrong`."""
    return _lesson(path, path.stem, 0, ORIGINAL, *read_raw(path, KINDS))


def _lesson(path: Path, id: str, number: int, language: str, front: Fields, blocks: list[Raw]) -> Lesson:
    for name in front.values.keys() - FRONT.keys():
        raise front.wrong(name, f"`{name}` is not known; there are {', '.join(FRONT)}.")
    known = {name: front.get(name, kind) for name, kind in FRONT.items()}
    _check_prose(front, FRONT_TEXTS)
    blocks = repeated(blocks)
    lesson = Lesson(
        id=id,
        number=number,
        path=path,
        language=language,
        steps=tuple(_steps(path, blocks)),
        **{name: tuple(map(str, value)) if isinstance(value, list) else value for name, value in known.items()},
    )
    if said := problem(lesson):
        raise front.wrong("minutes", said)
    return lesson


def _steps(path: Path, raws: list[Raw]) -> Iterator[Step]:
    if not raws or raws[0].kind != "step":
        raise Wrong(path, raws[0].line if raws else 1, "the first block must be a `::: step id`.")
    starts = [index for index, raw in enumerate(raws) if raw.kind == "step"]
    for start, end in zip(starts, [*starts[1:], len(raws)], strict=True):
        ids = [raw.id for raw in raws[start + 1 : end]]
        for raw in raws[start + 1 : end]:
            if raw.after and raw.after not in ids[: ids.index(raw.id)]:
                raise Wrong(path, raw.line, f"`after={raw.after}`: no block before it in this step is called so.")
        tied = _tied(raws[start:end])
        blocks = tuple(_built(raw, tied) for raw in raws[start + 1 : end])
        for block in blocks:
            waits_for = next((one for one in blocks if one.id == block.after), None)
            if isinstance(block, Teacher) and waits_for and not isinstance(waits_for, Explain):
                raise Wrong(path, block.line, f"`after={block.after}`: a teacher's note waits for an `explain`.")
            if isinstance(block, Check | Do) and not any(isinstance(one, Solution) for one in blocks):
                raise Wrong(path, block.line, f"the step of `{block.id}` has no solution.")
        yield _built(raws[start], tied, blocks=blocks)


def _tied(raws: list[Raw]) -> frozenset[str]:
    """The numbers that a step is set up with, and that its checks and conditions hold it to."""
    held = [
        str(value) for raw in raws for name, value in raw.fields.values.items() if name not in KINDS[raw.kind].texts
    ]
    return frozenset(number for text in held for number in numbers(text))


def _built(raw: Raw, tied: frozenset[str], **more: Any) -> Any:
    if raw.text == "" and raw.kind not in ("step", "solution"):
        raise Wrong(raw.fields.path, raw.line, f"the block `{raw.id}` has no text.")
    _check_prose(raw.fields, KINDS[raw.kind].texts, raw.text, tied)
    common = {"id": raw.id, "line": raw.line} | (more or {"text": raw.text, "after": raw.after})
    return KINDS[raw.kind].build(raw, common)


def _check_prose(fields: Fields, names: Any, text: str = "", tied: frozenset[str] = frozenset()) -> None:
    """Whether the numbers of the prose are computed, or tied to something that is checked."""
    words = _words(fields)
    for name, joined in _prose(fields, names, text):
        try:
            for expression, _ in expressions(joined):
                _check_names(expression)
        except ValueError as error:
            raise fields.wrong(name, str(error)) from error
        if any(line.count("$$") % 2 and line.strip() != "$$" for line in joined.splitlines()):
            raise fields.wrong(name, "a formula of several lines has its `$$` on lines of their own.")
        if loose := loose_numbers(joined, tied, words):
            remedy = "compute it, as in {{bias(3):.3f}} or {{bench.law.p}}"
            raise fields.wrong(name, f"the number {loose[0]} does not come from an expression: {remedy}.")


def _check_points(fields: Fields, names: Any, text: str = "") -> None:
    """Whether a translation writes its numbers as its language does."""
    words = _words(fields)
    for name, joined in _prose(fields, names, text):
        if found := points(joined, words):
            raise fields.wrong(name, f"`{found[0]}`: {words.say('language')} writes `{words.number(found[0])}`.")


def _words(fields: Fields) -> Wording:
    match = NAME.match(fields.path.name)
    return wording((match and match["language"]) or ORIGINAL)


def _prose(fields: Fields, names: Any, text: str) -> Iterator[tuple[str, str]]:
    """The texts of these fields, and one that has no name."""
    for name, said in [("", text), *((name, fields.values.get(name, "")) for name in names)]:
        said = list(said.values()) if isinstance(said, dict) else said
        yield name, " ".join(map(str, said)) if isinstance(said, list) else str(said)


def _expression(fields: Fields, name: str, text: str) -> Expression:
    """Raises `Wrong`."""
    try:
        found = Expression(text)
        _check_names(found)
    except ValueError as error:
        raise fields.wrong(name, str(error)) from error
    return found


def _check_names(expression: Expression) -> None:
    """Raises ValueError where it asks for what there is not."""
    for asked, arguments in expression.names:
        observable = OBSERVABLES.get(asked)
        if observable is None and asked not in names():
            raise ValueError(f"`{asked}` is neither an observable nor a setting.")
        takes = observable.arguments if observable else 0
        if arguments != takes:
            raise ValueError(f"`{asked}` takes {takes} argument{'s' * (takes != 1)}, not {arguments}.")
    if unknown := expression.settings - names().keys():
        raise ValueError(f"`{sorted(unknown)[0]}` is no setting.")


def _known(fields: Fields, name: str, listed: Any) -> None:
    for setting in listed:
        if setting not in names():
            raise fields.wrong(name, f"`{setting}` is no setting.")


def _step(raw: Raw, common: dict[str, Any]) -> Step:
    settings, controls = raw.fields.get("settings", dict, default={}), raw.fields.get("controls", list, default=[])
    _known(raw.fields, "settings", settings)
    _known(raw.fields, "controls", controls)
    named = raw.fields.get("screen", str)
    to = MOVED.get(named, Moved(named, {}))
    if to.screen not in SCREENS:
        there = ", ".join(sorted(SCREENS))
        raise raw.fields.wrong("screen", f"`{named}` is not a screen; there are {there}.")
    minutes = raw.fields.get("minutes", int, default=0)
    if "minutes" in raw.fields.values and minutes < 1:
        raise raw.fields.wrong("minutes", f"`minutes: {minutes}`: a step takes at least 1.")
    return Step(
        **common,
        title=raw.fields.get("title", str),
        screen=to.screen,
        settings={**to.settings, **{name: as_text(value) for name, value in settings.items()}},
        trained=raw.fields.get("trained", int, default=0),
        controls=tuple(controls),
        minutes=minutes,
        core=raw.fields.get("core", bool, default=False),
    )


def _predict(raw: Raw, common: dict[str, Any]) -> Predict:
    fields = raw.fields
    options, when = fields.get("options", dict, default={}), fields.get("when", dict, default={})
    if bool(options) == ("truth" in fields.values) or options.keys() != when.keys():
        said = "a prediction has `truth`, a number; or `options`, and `when` each of them is true."
        raise Wrong(fields.path, raw.line, said)
    low, high = (fields.get(n, int, float, default=d) for n, d in (("low", -math.inf), ("high", math.inf)))
    if not low < high:
        raise fields.wrong("low", f"`low: {low}`: it must be below `high: {high}`.")
    step = fields.get("step", int, float, default=None)
    if step is not None and not (step > 0 and math.isfinite(high - low)):
        raise fields.wrong("step", "a slider needs `low`, `high` and a `step` above 0.")
    why = fields.get("why", dict, default={})
    if why and not set(map(str, why)) <= set(map(str, options or SIDES)):
        raise fields.wrong("why", f"`why` is given for each of {', '.join(map(str, options or SIDES))}.")
    near, share = _near(fields, bool(options))
    return Predict(
        **common,
        options={str(key): str(text) for key, text in options.items()},
        when={str(key): _expression(fields, "when", str(condition)) for key, condition in when.items()},
        truth=None if options else _expression(fields, "truth", str(fields.get("truth", str, int, float))),
        once=_expression(fields, "once", fields.get("once", str)) if "once" in fields.values else None,
        low=float(low),
        high=float(high),
        step=None if step is None else float(step),
        unit=fields.get("unit", str, default=""),
        cover=fields.get("cover", bool, default=False),
        near=near,
        share=share,
        why={str(key): str(text) for key, text in why.items()},
        again=fields.get(AGAIN, str, default=""),
        told_with=fields.get(TOLD_WITH, str, default=""),
    )


def _near(fields: Fields, is_choice: bool) -> tuple[float, bool]:
    """How far from the truth a number is right, and whether that is a share of the truth."""
    given = str(fields.get("near", str, int, float, default=0))
    match = NEAR.match(given)
    if is_choice and "near" in fields.values:
        raise fields.wrong("near", f"`near: {given}`: a choice has none.")
    if not match:
        raise fields.wrong("near", f"`near: {given}`: write a number, or `10 %` of the truth.")
    return float(match["number"]) / (100 if match["share"] else 1), bool(match["share"])


def _check(raw: Raw, common: dict[str, Any]) -> Check:
    fields = raw.fields
    compare = fields.get("compare", str, default="is")
    if compare not in COMPARED:
        raise fields.wrong("compare", f"`{compare}`: use one of {', '.join(COMPARED)}.")
    observable = _expression(fields, "observable", fields.get("observable", str))
    name = observable.names[0][0] if observable.names else ""
    if name not in OBSERVABLES:
        raise fields.wrong("observable", f"`{observable.text}`: name one of {', '.join(OBSERVABLES)}.")
    value = fields.get("value", str, int, float, bool)
    if not isinstance(value, bool) and name != "answer":
        value = _expression(fields, "value", str(value))
    given = str(fields.get("tolerance", str, int, float, default=0))
    errors = SE.match(given)
    try:
        tolerance = float(errors["number"] if errors else given)
    except ValueError:
        raise fields.wrong("tolerance", f"`{given}`: write a number, or `3 se` for standard errors.") from None
    if errors and not OBSERVABLES[name].error:
        raise fields.wrong("tolerance", f"`{name}` has no standard error.")
    if errors and not observable.is_plain:
        said = f"`{observable.text}` has another standard error than `{name}`: compare that itself with a `value`."
        raise fields.wrong("observable", said)
    fails, remarks = _failures(fields)
    check = Check(
        **common,
        observable=observable,
        compare=compare,
        value=value,
        tolerance=tolerance,
        errors=bool(errors),
        passes=fields.get("pass", str),
        fails=fails,
        remarks=remarks,
        wrong=_actions(fields, "wrong"),
        false_alarm=fields.get("false_alarm", int, float, default=None),
        sees=_sees(fields, name),
        draws=fields.get("draws", int, default=0),
    )
    if check.errors and not 0.8 * check.chance <= (check.false_alarm or 0) <= 1.25 * check.chance:
        raise fields.wrong("false_alarm", f"state `false_alarm: {check.chance:.2g}`: {given} goes wrong so often.")
    return check


def _sees(fields: Fields, name: str) -> Expression | None:
    """The difference that a check of draws has to notice; None where it says itself how many draws it needs, or is of
    none."""
    given, observable = fields.get("sees", str, int, float, default=None), OBSERVABLES[name]
    if observable.draws is None:
        for said in ("sees", "draws"):
            if said in fields.values:
                raise fields.wrong(said, f"`{said}`: `{name}` is not about draws.")
        return None
    if observable.deviation:
        if given is None or "draws" in fields.values:
            told = "say with `sees` which difference the check has to notice: how many draws it needs follows."
            raise fields.wrong("draws" if "draws" in fields.values else "observable", f"`{name}` is of draws: {told}")
        return _expression(fields, "sees", str(given))
    if given is not None or fields.get("draws", int, default=0) < 2:
        told = "say with `draws` how many the check needs, two at least."
        raise fields.wrong("sees" if given is not None else "observable", f"`{name}` is of draws: {told}")
    return None


def _failures(fields: Fields) -> tuple[str, tuple[Remark, ...]]:
    """The text of a check that fails, and others with their conditions."""
    said, when = fields.get("fail", str, dict), fields.get("when", dict, default={})
    if isinstance(said, str):
        said = {"": said}
    *named, otherwise = map(str, said)
    if {*map(str, when)} != {*named}:
        told = "`fail` is one text, or several of which `when` has the conditions of all but the last."
        raise fields.wrong("when" if when else "fail", told)
    texts = {str(name): str(text) for name, text in said.items()}
    conditions = {str(name): _expression(fields, "when", str(condition)) for name, condition in when.items()}
    return texts[otherwise], tuple(Remark(conditions[name], texts[name]) for name in named)


def _actions(fields: Fields, name: str) -> tuple[Action, ...]:
    actions = []
    for entry in fields.get(name, list):
        kind, value = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else ("", None)
        if kind not in ACTIONS:
            raise fields.wrong(name, f"`{entry}`: write one of {', '.join(ACTIONS)} with its value.")
        if type(value) is not ACTIONS[kind]:
            raise fields.wrong(name, f"`{kind}: {value}`: {KIND_NAMES[ACTIONS[kind]]} is expected.")
        if kind == "set":
            _known(fields, name, value)
            value = {key: as_text(one) for key, one in value.items()}
        actions.append(Action(kind, value))
    return tuple(actions)


def _plain(kind: type[Block]) -> Kind:
    return Kind(lambda raw, common: kind(**common))


def _do(raw: Raw, common: dict[str, Any]) -> Do:
    return Do(**common, until=_expression(raw.fields, "until", raw.fields.get("until", str)))


def _solution(raw: Raw, common: dict[str, Any]) -> Solution:
    return Solution(**common, actions=_actions(raw.fields, "actions"))


KINDS: dict[str, Kind] = {
    "step": Kind(_step, ("title", "screen", "settings", "trained", "controls", "minutes", "core"), ("title",)),
    "text": _plain(Text),
    "predict": Kind(
        _predict,
        ("options", "when", "truth", "once", "low", "high", "step", "unit", "cover", "near", "why", AGAIN),
        ("options", "unit", "why"),
    ),
    "do": Kind(_do, ("until",)),
    "observe": _plain(Observe),
    "explain": _plain(Explain),
    "check": Kind(
        _check,
        (
            *("observable", "compare", "value", "tolerance", "pass", "fail", "when", "wrong", "false_alarm"),
            *("sees", "draws"),
        ),
        ("pass", "fail"),
    ),
    "hint": _plain(Hint),
    "solution": Kind(_solution, ("actions",)),
    "teacher": _plain(Teacher),
}
