"""A hyper-parameter is one field of a frozen dataclass, with its default, range and help, and stands nowhere else."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Setting:
    """What a field accepts: numbers in [low, high], or a key (or an instance of a class) of `choices`."""

    label: str
    help: str
    low: float | None = None
    high: float | None = None
    choices: Mapping[str, Any] | None = None
    rare: bool = False  # what most people never change

    def shown(self, value: Any) -> str:
        """A value for people to read: of a choice, given by its key, the `title` that the registry's entry has."""
        if self.choices is not None:
            return getattr(self.choices[value], "title", value.replace("_", " ").capitalize())
        if isinstance(value, bool):
            return "on" if value else "off"
        return ", ".join(f"{v:g}" for v in value) if isinstance(value, tuple) else f"{value:g}"

    @property
    def is_variant(self) -> bool:
        """Whether the field holds an instance of one of the dataclasses in `choices`, with settings of its own."""
        return self.choices is not None and all(isinstance(choice, type) for choice in self.choices.values())


def setting(default: Any, label: str, help: str = "", *, low=None, high=None, choices=None, rare=False) -> Any:
    """A dataclass field that carries its `Setting`."""
    return dataclasses.field(default=default, metadata={"setting": Setting(label, help, low, high, choices, rare)})


def settings_of(config: Any) -> dict[str, tuple[dataclasses.Field, Setting]]:
    """The settable fields of a dataclass (or of an instance), in the order in which they were written."""
    return {f.name: (f, f.metadata["setting"]) for f in dataclasses.fields(config) if "setting" in f.metadata}


def check(config: Any) -> None:
    """Raise ValueError, naming value, limit and remedy, unless every field of `config` lies within its setting."""
    for name, (field, limits) in settings_of(config).items():
        problem = refusal(getattr(config, name), field.type, limits)
        if problem:
            raise ValueError(f"{name} = {getattr(config, name)!r}: {problem}")


def refusal(value: Any, kind: type, limits: Setting) -> str | None:
    """Why `value` cannot stand in a field of type `kind`, as a sentence with the remedy; None if it can."""
    if limits.is_variant:
        names = ", ".join(c.__name__ for c in limits.choices.values())
        return None if type(value) in limits.choices.values() else f"use one of {names}."
    if limits.choices is not None:
        return None if value in limits.choices else f"use one of {', '.join(limits.choices)}."
    if kind is bool:
        return None if isinstance(value, bool) else "use True or False."
    if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
        return f"use {'a whole number' if kind is int else 'a number'} from {limits.low:g} to {limits.high:g}."
    if not math.isfinite(value) or not limits.low <= value <= limits.high:
        return f"use a value from {limits.low:g} to {limits.high:g}."
    return None
