"""A hyper-parameter is one field of a frozen dataclass. The field holds its default, range, label and help."""

import dataclasses
import math
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxlong, _SHORT.maxother = 3, 60, 40, 120
# Only words: other text may be read as Markdown when the message is shown.
_WORDS = re.compile(r"[^\W_]+([ -][^\W_]+)*")


def told(value: Any) -> str:
    """A value as text for a message: one short line of Python, in backticks unless it is a number or only words.

    The value may come from a file of a stranger, so it is shortened, and nothing in it can act as Markdown.
    """
    text = "".join(c for c in _SHORT.repr(value) if c.isprintable() and c != "`")
    is_plain = value is None or isinstance(value, int | float) or (isinstance(value, str) and _WORDS.fullmatch(value))
    return text if is_plain else f"`{text}`"


@dataclass(frozen=True)
class Setting:
    """The values that a field accepts: numbers in [low, high], tuples of them, or the keys (or classes) of `choices`.

    `written(text)` reads a text that begins with "=" in place of a key, and raises ValueError with a sentence if it
    cannot. `rule(value)` returns a sentence with the remedy if something else is wrong with a value, or None.
    """

    label: str
    help: str
    low: float = -math.inf
    high: float = math.inf
    choices: Mapping[str, Any] | None = None
    rule: Callable[[Any], str | None] | None = None
    rare: bool = False  # what most people never change
    written: Callable[[str], Any] | None = None

    def shown(self, value: Any) -> str:
        """A value for people to read: of a choice, given by its key, the `title` that the registry's entry has."""
        if self.choices is not None:
            chosen = self.written(value) if self.written and self.is_written(value) else self.choices[value]
            return str(getattr(chosen, "title", value.replace("_", " ").capitalize()))
        if isinstance(value, bool):
            return "on" if value else "off"
        return ", ".join(f"{v:g}" for v in value) if isinstance(value, tuple) else f"{value:g}"

    def is_written(self, value: Any) -> bool:
        """Whether a value is a text of its own in the place of a key."""
        return self.written is not None and isinstance(value, str) and value.startswith("=")

    @property
    def is_variant(self) -> bool:
        """Whether the field holds an instance of one of the dataclasses in `choices`, with settings of its own."""
        return self.choices is not None and all(isinstance(choice, type) for choice in self.choices.values())


def setting(default: Any, label: str, help: str = "", **limits: Any) -> Any:
    """A dataclass field that carries its `Setting`, with the fields of one in `limits`."""
    return dataclasses.field(default=default, metadata={"setting": Setting(label, help, **limits)})


def settings_of(config: Any) -> dict[str, tuple[dataclasses.Field[Any], Setting]]:
    """The settable fields of a dataclass (or of an instance), in the order in which they were written."""
    return {f.name: (f, f.metadata["setting"]) for f in dataclasses.fields(config) if "setting" in f.metadata}


def name_of(value: Any, limits: Setting) -> str:
    """The key of a choice: the value itself, or the name of a variant's class in the registry."""
    return next(k for k, c in (limits.choices or {}).items() if c is type(value)) if limits.is_variant else value


def to_json(config: Any) -> dict[str, Any]:
    """Every field as JSON has it; a variant as its settings, and its name under "is"."""
    known, values = settings_of(config), {}
    for name in (f.name for f in dataclasses.fields(config)):
        value = getattr(config, name)
        is_variant = name in known and known[name][1].is_variant
        values[name] = {"is": name_of(value, known[name][1]), **to_json(value)} if is_variant else value
    return values


def from_json(kind: type, values: Mapping[str, Any]) -> Any:
    """What `to_json` was given. Raises TypeError or ValueError where the values are not those of this kind."""
    values = dict(values)
    for name, (_, limits) in settings_of(kind).items():
        if limits.choices and limits.is_variant and name in values:
            variant = dict(values[name])
            if (chosen := variant.pop("is", None)) not in limits.choices:
                raise ValueError(f"{name} is {told(chosen)}: use one of {', '.join(limits.choices)}.")
            values[name] = from_json(limits.choices[chosen], variant)
    return kind(**values)


def check(config: Any) -> None:
    """Raise ValueError, naming value, limit and remedy, unless every field of `config` lies within its setting."""
    for name, (field, limits) in settings_of(config).items():
        problem = refusal(getattr(config, name), field.type, limits)
        if problem:
            raise ValueError(f"{name} = {told(getattr(config, name))}: {problem}")


def refusal(value: Any, kind: Any, limits: Setting) -> str | None:
    """Why `value` cannot stand in a field of type `kind`, as a sentence with the remedy; None if it can."""
    problem = _type_or_range_problem(value, kind, limits)
    return limits.rule(value) if problem is None and limits.rule else problem


def _type_or_range_problem(value: Any, kind: Any, limits: Setting) -> str | None:
    if limits.choices is not None and limits.is_variant:
        names = ", ".join(c.__name__ for c in limits.choices.values())
        return None if type(value) in limits.choices.values() else f"use one of {names}."
    if limits.written and limits.is_written(value):
        try:
            limits.written(value)
        except ValueError as error:
            return str(error)
        return None
    if limits.choices is not None:
        return None if value in limits.choices else f"use one of {', '.join(limits.choices)}."
    if kind is bool:
        return None if isinstance(value, bool) else "use True or False."
    if kind is str:
        return (
            None if isinstance(value, str) and len(value) <= limits.high else f"use at most {limits.high} characters."
        )
    if kind is tuple:
        if isinstance(value, tuple) and value and all(_is_number(v) and _within(v, limits) for v in value):
            return None
        return f"use numbers from {limits.low:g} to {limits.high:g}, separated by commas."
    if not _is_number(value) or (kind is int and not isinstance(value, int)):
        return f"use {'a whole number' if kind is int else 'a number'} from {limits.low:g} to {limits.high:g}."
    return None if _within(value, limits) else f"use a value from {limits.low:g} to {limits.high:g}."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _within(value: float, limits: Setting) -> bool:
    return limits.low <= value <= limits.high  # NaN is not, nor an infinity unless it is the limit
