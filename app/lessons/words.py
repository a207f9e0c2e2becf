"""What a lesson's panel says in each language, and how it writes numbers: a file of `lessons/` for each language.

`words.yaml` is of the lessons as they were written, and says which texts there are. `words.de.yaml` has the same keys,
with the same {names} in each text, and `measured`: what checks measure, by the observables' names.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

from app.lessons.raw import Fields, Wrong, read_yaml

FOLDER = Path(__file__).parents[2] / "lessons"
ORIGINAL = "en"
"""The language of files that name none."""

NAME = re.compile(r"^words(?:\.(?P<language>[a-z]{2}))?\.yaml$")
LISTS = {"cited", "joined"}
MEASURED = "measured"
VALUE = frozenset({"value"})
# Names of conferences and of authors are the same in every language.
ALWAYS_CITED = (r"NeurIPS", r"ICML", r"ICLR", r"\w+ et al\.,?")
PARTS = str.maketrans({".": "\0", ",": "\1"})


@dataclass(frozen=True)
class Wording:
    """The words of one language."""

    language: str
    texts: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    measured: Mapping[str, str] = field(default_factory=dict)
    original: "Wording | None" = None  # None: this is it

    def say(self, key: str, **values: Any) -> str:
        """The text of this key, with the values of its {names}."""
        return self.texts[key].format(**values)

    @property
    def has_comma(self) -> bool:
        """Whether decimals are written otherwise than in Python."""
        return self.texts["decimal"] != "."

    def number(self, text: str, maths: bool = False) -> str:
        """A number as Python formats it, such as +1,234.5, as it is written here; within a formula of LaTeX if `maths`,
        where a bare comma would have room behind it."""
        if not self.has_comma:
            return text
        decimal, thousands = self.texts["decimal"], self.texts["thousands"]
        if maths:
            decimal, thousands = f"{{{decimal}}}", r"\,"
        return text.translate(PARTS).replace("\0", decimal).replace("\1", thousands)

    @cached_property
    def cited(self) -> re.Pattern[str]:
        """Numbers of the paper, other books and lessons: section 3.1. A translation may cite as the original does."""
        sources = [self, self.original] if self.original else [self]
        words = [re.escape(word) for one in sources for word in one.lists["cited"]]
        joined = "|".join(re.escape(f" {word}") for one in sources for word in one.lists["joined"])
        number = r"\(?\d+(?:\.\d+)*\)?"
        return re.compile(
            rf"(?:{'|'.join([*words, *ALWAYS_CITED])})\s*(?:[A-Z]\.)?{number}(?:(?:,|{joined})\s*{number})*"
            r"|\((?:19|20)\d\d\)",
            re.IGNORECASE,
        )


def wording(language: str = ORIGINAL, folder: Path = FOLDER) -> Wording:
    """The words of a language, or of the original where there are none. Raises `Wrong`."""
    original = folder / "words.yaml"
    known = re.fullmatch("[a-z]{2}", language)  # it may come from a link
    path = folder / f"words.{language}.yaml" if known else original
    if not path.exists():
        path = original
    return _wording(path, path.stat().st_mtime_ns, original, original.stat().st_mtime_ns)


def languages(folder: Path = FOLDER) -> tuple[str, ...]:
    """Those that have words, the original first."""
    found = (NAME.match(path.name) for path in sorted(folder.glob("words*.yaml")))
    return (ORIGINAL, *(match["language"] for match in found if match and match["language"]))


def problems(language: str, folder: Path = FOLDER) -> tuple[str, ...]:
    """Why a language cannot be spoken."""
    if language not in languages(folder):
        return (f"words.{language}.yaml:1: it is missing, and so the panel speaks English: begin with words.yaml.",)
    try:
        wording(language, folder)
    except Wrong as wrong:
        return (str(wrong),)
    return ()


def check_measured(words: Wording, wanted: Iterable[str], folder: Path = FOLDER) -> None:
    """Raises `Wrong` unless the words name what checks measure, these observables, and no other."""
    path = folder / f"words.{words.language}.yaml"
    _same_keys(Fields(path, 1, words.measured), set(wanted), f"of `{MEASURED}`")


@lru_cache(maxsize=16)
def _wording(path: Path, changed: int, original: Path, original_changed: int) -> Wording:
    fields = read_yaml(path)
    if path == original:
        for name, value in fields.values.items():
            _check_kind(fields, name, value)
        return _built(ORIGINAL, fields)
    first = _wording(original, original_changed, original, original_changed)
    _same_keys(fields, {*first.texts, *first.lists, MEASURED})
    for name, value in fields.values.items():
        if name == MEASURED:
            _check_measured(fields, value)
            continue
        _check_kind(fields, name, value)
        if name not in LISTS:
            _same_names(fields, name, value, _names(first.texts[name]))
    return _built(path.suffixes[0].removeprefix("."), fields, first)


def _built(language: str, fields: Fields, original: Wording | None = None) -> Wording:
    texts = {name: text for name, text in fields.values.items() if isinstance(text, str)}
    lists = {name: tuple(map(str, fields.values[name])) for name in LISTS}
    return Wording(language, texts, lists, dict(fields.values.get(MEASURED, {})), original)


def _check_kind(fields: Fields, name: str, value: Any) -> None:
    """Raises `Wrong` unless it is a text, or of `LISTS`."""
    wanted = list if name in LISTS else str
    if type(value) is not wanted or not value:
        raise fields.wrong(name, f"`{name}: {value}`: {'a list' if wanted is list else 'text'} is expected.")


def _check_measured(fields: Fields, value: Any) -> None:
    if not isinstance(value, dict):
        raise fields.wrong(MEASURED, f"`{MEASURED}`: `name: text` in lines of their own are expected.")
    for observable, text in value.items():
        _same_names(fields, MEASURED, str(text), VALUE, f"`{observable}` of ")


def _same_keys(fields: Fields, wanted: set[str], of: str = "") -> None:
    if missing := sorted(wanted - fields.values.keys()):
        raise Wrong(fields.path, 1, " ".join(["missing", *([of] if of else []), ", ".join(missing)]) + ".")
    if surplus := sorted(fields.values.keys() - wanted):
        raise fields.wrong(surplus[0], " ".join(["surplus", *([of] if of else []), ", ".join(surplus)]) + ".")


def _same_names(fields: Fields, name: str, text: str, wanted: frozenset[str], of: str = "") -> None:
    try:
        found = _names(text)
    except ValueError:
        found = None
    if found != wanted:
        these = ", ".join(f"{{{one}}}" for one in sorted(wanted)) or "no {names}"
        raise fields.wrong(name, f"{of}`{name}`: it must have {these}, as the original has.")


def _names(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)
