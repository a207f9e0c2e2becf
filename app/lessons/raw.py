"""What stands in a file of a lesson, block by block, with the line of everything: before anybody looks at what it says.

A file begins with YAML between two lines `---`: what is known of the whole lesson. Then come blocks, each between a
line `::: kind id` and a line `:::`. A block has fields in YAML, a line `---`, and text in Markdown; one whose kind has
no fields has text only. `after=other` behind the id shows a block once another one is done. `::: step id` begins a
step, which the blocks behind it belong to.

`04-name.de.md` beside `04-name.md` is its translation: the same blocks, of which only texts are given. What it does not
give stays as it is.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import yaml

FENCE = ":::"
HEAD = re.compile(r"^:::\s+(?P<kind>\w+)\s+(?P<id>[a-z0-9-]+)(?:\s+after=(?P<after>[a-z0-9-]+))?\s*$")


class Loader(yaml.SafeLoader):
    """Of YAML's many words for true, which include Yes and on, and its dates and `=`, only true and false are left."""

    yaml_implicit_resolvers: ClassVar = {
        first: [
            (tag, pattern) for tag, pattern in pairs if tag.rpartition(":")[2] not in ("bool", "timestamp", "value")
        ]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


class Wrong(ValueError):
    """What is wrong with a file, and in which of its lines."""

    def __init__(self, path: Path, line: int, what: str):
        super().__init__(f"{path.name}:{line}: {what}")


@dataclass(frozen=True)
class Fields:
    """YAML as it was written, with the line of each entry."""

    path: Path
    line: int
    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def get(self, name: str, *kinds: type, default: Any = ...) -> Any:
        """Raises `Wrong` where it is missing without a default, or of none of these kinds."""
        if name not in self.values:
            if default is ...:
                raise Wrong(self.path, self.line, f"`{name}` is missing.")
            return default
        value = self.values[name]
        if type(value) not in kinds:
            expected = " or ".join(KIND_NAMES[kind] for kind in kinds)
            raise self.wrong(name, f"`{name}: {value}`: {expected} is expected.")
        return value

    def wrong(self, name: str, what: str) -> Wrong:
        return Wrong(self.path, self.lines.get(name, self.line), what)


KIND_NAMES = {
    str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list",
    dict: "`name: value` in lines of their own",
}  # fmt: skip


@dataclass(frozen=True)
class Raw:
    """A block. The end of a step is where the next begins."""

    kind: str
    id: str
    line: int
    after: str
    fields: Fields
    text: str


@dataclass(frozen=True)
class Kind:
    """A kind of block: the fields that it may have, those of them that are text, and what is made of it all."""

    build: Callable[[Raw, dict[str, Any]], Any]
    fields: Collection[str] = ()
    texts: Collection[str] = ()


def read_raw(path: Path, kinds: Mapping[str, Kind]) -> tuple[Fields, list[Raw]]:
    """What is said of the whole lesson, and its blocks. Raises `Wrong`."""
    lines = _lines(path)
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        raise Wrong(path, 1, "begin with YAML between two lines `---`.")
    end = lines.index("---", 1)
    front, blocks, taken = _yaml(path, lines[1:end], 2), [], {}
    number = end + 1
    while number < len(lines):
        line = lines[number]
        if not line.strip():
            number += 1
            continue
        head = HEAD.match(line)
        if not head:
            said = "a block begins with `::: kind id`" if line.startswith(FENCE) else "text stands outside of a block"
            raise Wrong(path, number + 1, f"`{line[:40]}`: {said}.")
        close = next((n for n in range(number + 1, len(lines)) if lines[n].strip() == FENCE), None)
        if close is None:
            raise Wrong(path, number + 1, f"the block `{head['id']}` has no end `{FENCE}`.")
        if head["id"] in taken:
            raise Wrong(path, number + 1, f"the id `{head['id']}` is taken by line {taken[head['id']]}.")
        if head["kind"] not in kinds:
            raise Wrong(path, number + 1, f"`{head['kind']}` is not a kind of block: use {', '.join(kinds)}.")
        taken[head["id"]] = number + 1
        blocks.append(_block(path, head, lines[number + 1 : close], number + 1, kinds[head["kind"]]))
        number = close + 1
    return front, blocks


def read_yaml(path: Path) -> Fields:
    """A file that is YAML throughout. Raises `Wrong`."""
    return _yaml(path, _lines(path), 1)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise Wrong(path, line, "save the file as UTF-8.") from error


def _block(path: Path, head: re.Match, inside: list[str], line: int, kind: Kind) -> Raw:
    fields = Fields(path, line)
    if kind.fields:
        end = inside.index("---") if "---" in inside else len(inside)
        fields, inside = _yaml(path, inside[:end], line + 1, line), inside[end + 1 :]
        for name in fields.values.keys() - set(kind.fields):
            raise fields.wrong(name, f"`{name}` is no field of a {head['kind']}; there are {', '.join(kind.fields)}.")
    return Raw(head["kind"], head["id"], line, head["after"] or "", fields, "\n".join(inside).strip())


def _yaml(path: Path, lines: list[str], first: int, head: int | None = None) -> Fields:
    """What stands in lines of which the `first` is so many lines into the file."""
    try:
        loader = Loader("\n".join(lines))
        node = loader.get_single_node()
        if node is not None and not isinstance(node, yaml.MappingNode):
            raise Wrong(path, first, "write `name: value` in each line.")
        values, places = {}, {}
        for key, value in node.value if node else ():
            name, line = str(loader.construct_object(key)), first + key.start_mark.line
            if name in values:
                raise Wrong(path, line, f"`{name}` is given twice.")
            values[name], places[name] = loader.construct_object(value, deep=True), line
        return Fields(path, head or first, values, places)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        problem = f"this is not YAML: {error.problem}. Put text with a colon into quotes."
        raise Wrong(path, first + line, problem) from error
    except yaml.reader.ReaderError as error:
        line = "\n".join(lines)[: error.position].count("\n")
        raise Wrong(path, first + line, "a character of this line cannot be printed. Take it out.") from error


def translated(
    original: tuple[Fields, list[Raw]],
    by: tuple[Fields, list[Raw]],
    kinds: Mapping[str, Kind],
    front_texts: Collection[str],
) -> tuple[Fields, list[Raw]]:
    """An original with the texts of a translation. Raises `Wrong` where that gives more than texts, or other blocks."""
    (front, blocks), (new_front, texts) = original, by
    _only_texts(new_front, front_texts)
    merged = {raw.id: raw for raw in blocks}
    for raw in texts:
        known = merged.get(raw.id)
        if known is None or known.kind != raw.kind:
            found = f"is a {known.kind}" if known else "does not exist"
            raise Wrong(raw.fields.path, raw.line, f"`{raw.id}` {found} in the original.")
        _only_texts(raw.fields, kinds[raw.kind].texts)
        for name, value in raw.fields.values.items():
            if isinstance(value, dict) and value.keys() != known.fields.values.get(name, {}).keys():
                raise raw.fields.wrong(name, f"`{name}` must have the original's keys.")
        merged[raw.id] = replace(
            known, line=raw.line, fields=_over(known.fields, raw.fields), text=raw.text or known.text
        )
    return _over(front, new_front), list(merged.values())


def _over(fields: Fields, by: Fields) -> Fields:
    return Fields(by.path, by.line, {**fields.values, **by.values}, by.lines)


def _only_texts(fields: Fields, texts: Collection[str]) -> None:
    for name in fields.values.keys() - set(texts):
        raise fields.wrong(name, f"`{name}` is not translated: leave it out.")
