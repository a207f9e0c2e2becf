"""Values as the Python that makes them, and sections of code as one program.

A text that somebody else typed (a file's name, a column, a formula) becomes a string literal, and nothing else.
"""

import math
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from importlib import import_module
from typing import Any

import resflow_core as rf
from resflow_core.extras import EXTRAS

WIDTH = 100
"""A call that is longer has a line for each argument."""
INDENT = "    "
SHORT = 25
"""Several items that are shorter share a line."""


class Source:
    """Writes values, and remembers what their program has to import."""

    def __init__(self) -> None:
        self._modules: dict[str, set[str]] = {}
        self._plain: set[str] = {"resflow_core as rf", "torch"}
        self._extras: set[str] = set()

    def use(self, *names: str, of: str) -> None:
        """The program uses these names of a module."""
        self._modules.setdefault(of, set()).update(names)

    def use_module(self, module: str) -> None:
        """The program uses a module, such as "numpy as np"."""
        self._plain.add(module)

    def need(self, extra: str) -> None:
        """The program needs the libraries of an extra (`resflow_core.extras`)."""
        self._extras.add(extra)

    def value(self, value: Any) -> str:
        """An expression that equals the value. A configuration has only the fields that differ from its defaults."""
        if is_dataclass(value) and not isinstance(value, type):
            return call(self.name_of(type(value)), arguments(self, value))
        if isinstance(value, tuple | list):
            items = [self.value(item) for item in value]
            return grouped(items) if isinstance(value, tuple) else listed(items)
        if isinstance(value, float):
            return _number(value)
        return literal(value) if isinstance(value, str) else repr(value)

    def name_of(self, kind: type) -> str:
        """What the program calls a class: `rf.Name` for those that the library offers at its top."""
        name = kind.__name__
        if name in rf.NAMES and getattr(rf, name) is kind:
            return f"rf.{name}"
        package = kind.__module__.rpartition(".")[0]
        if package == "resflow_core.baselines":
            self.need("baselines")
        offered = getattr(import_module(package), name, None) is kind  # such as `resflow_core.measure`
        self.use(name, of=package if offered else kind.__module__)
        return name

    @property
    def environment(self) -> str:
        """What installs all that the program needs."""
        lines = ["It needs Python 3.11 or newer, and what this installs in the folder of resflow_core:", ""]
        if packages := [package for extra in sorted(self._extras) for package in EXTRAS[extra]]:
            lines.append(f"    pip install {' '.join(packages)}")
        return "\n".join([*lines, "    pip install ."])

    def imports(self, code: str) -> str:
        """The lines that import all of it, in isort's order: of modules those that the code uses."""
        plain = {name for name in self._plain if f"{name.split()[-1]}." in code}
        ours = sorted(name for name in plain if name.startswith("resflow_core"))
        others = sorted(plain - set(ours))
        lines = [f"import {name}" for name in others] + ([""] if others else []) + [f"import {name}" for name in ours]
        for module, names in sorted(self._modules.items()):
            lines.append(f"from {module} import {', '.join(sorted(names, key=_by_kind))}")
        return "\n".join(lines)


def _by_kind(name: str) -> tuple[int, str]:
    """Constants, classes, functions."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name


def program(about: str, source: Source, *sections: str) -> str:
    """One script: what it is about, its imports, and its sections. Each section begins with a comment, which is its
    head."""
    code = "\n\n".join(section.strip() for section in sections if section.strip())
    head = f'"""{about.strip()}\n\n{source.environment}\n"""'
    return "\n\n".join([head, source.imports(code), code]) + "\n"


def call(name: str, arguments: Iterable[str]) -> str:
    """name(arguments), in one line or in a line for each argument."""
    return name + _between("(", list(arguments), ")")


def listed(items: Iterable[str]) -> str:
    """[items], in one line or in a line for each."""
    return _between("[", list(items), "]")


def grouped(items: Iterable[str]) -> str:
    """A tuple of the items, in one line or in a line for each."""
    given = list(items)
    return f"({given[0]},)" if len(given) == 1 else _between("(", given, ")")


def _between(opening: str, items: list[str], closing: str) -> str:
    line = f"{opening}{', '.join(items)}{closing}"
    if not items or (len(line) <= WIDTH and "\n" not in line):
        return line
    if all(len(item) < SHORT for item in items):  # numbers in rows
        return f"{opening}\n{indented(textwrap.fill(', '.join(items), WIDTH))}\n{closing}"
    return opening + "\n" + "".join(f"{indented(item)},\n" for item in items) + closing


def mapped(items: Mapping[str, str]) -> str:
    """A dict of expressions by expressions, a line for each."""
    return "{\n" + "".join(f"{indented(f'{key}: {value}')},\n" for key, value in items.items()) + "}"


def indented(code: str) -> str:
    return "\n".join(INDENT + line if line else line for line in code.split("\n"))


def literal(text: str) -> str:
    """A string literal, between double quotes where none has to be escaped."""
    return f'"{text}"' if repr(text) == f"'{text}'" and '"' not in text else repr(text)


def comment(text: str) -> str:
    """Text of our own, as a comment of one line."""
    return f"# {' '.join(text.split())}"


def _number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else f'float("{value}")'


def arguments(source: Source, config: Any) -> list[str]:
    """The fields of a configuration that differ from its defaults, as arguments."""
    return [
        f"{field.name}={source.value(getattr(config, field.name))}"
        for field in fields(config)
        if field.init and getattr(config, field.name) != _default(field)
    ]


def _default(field: Field) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default
