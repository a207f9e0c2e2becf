"""The glossary as data. In its file every word is a heading, then perhaps a line of other forms, then its definition:

## residual block
Also: residual blocks, block, blocks

The map $f(x) = x + g(x)$. ...

`glossary.de.md` is the same in German: a word's line `Is: residual block` says which word of `glossary.md` it is, and
its other forms are those of German texts.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from app.ui.glossary.plain import plain

FILE = Path(__file__).parents[3] / "lessons" / "glossary.md"
HEADING, IS, ALSO = "## ", "Is:", "Also:"


@dataclass(frozen=True)
class Entry:
    """A word, the other forms in which texts use it, and its definition as Markdown."""

    word: str
    also: tuple[str, ...]
    text: str
    original: str = ""  # the word that it translates

    @property
    def forms(self) -> tuple[str, ...]:
        return self.word, *self.also

    @property
    def slug(self) -> str:
        """What its place on the page is called."""
        return re.sub(r"[^a-z0-9]+", "-", (self.original or self.word).lower().replace("'", "")).strip("-")

    @cached_property
    def summary(self) -> str:
        """The first sentence of the definition, without any markup."""
        return plain(re.split(r"(?<=\.)\s+(?=[A-ZÀ-Þ$])", self.text, maxsplit=1)[0])


@cache
def entries(language: str = "") -> tuple[Entry, ...]:
    """The glossary's entries in a language, or as they were written where there are none in it, in alphabetical
    order."""
    known = re.fullmatch("[a-z]{2}", language)  # it may come from a link
    translation = FILE.with_name(f"glossary.{language}.md") if known else FILE
    file = translation if translation.exists() else FILE
    found = read(file.read_text(encoding="utf-8"), file.name)
    return tuple(sorted(found, key=lambda entry: _sorted_as(entry.word)))


def _sorted_as(word: str) -> str:
    """Without the marks above letters: Ähnlichkeit stands before Analysis."""
    return "".join(c for c in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(c))


def read(text: str, name: str) -> list[Entry]:
    """The entries of a glossary's text, in its order. Raises ValueError, naming the file and the line, for a word or
    form that is there already, a word without a definition, and text that belongs to no word."""
    found, taken = [], {}
    for line, block in _blocks(text, name):
        word, *rest = block
        is_translated = bool(rest) and rest[0].startswith(IS)
        original = rest.pop(0).removeprefix(IS).strip() if is_translated else ""
        line += is_translated
        has_forms = bool(rest) and rest[0].startswith(ALSO)
        also = [form.strip() for form in rest[0].removeprefix(ALSO).split(",")] if has_forms else []
        entry = Entry(word, tuple(also), "\n".join(rest[has_forms:]).strip(), original)
        if not entry.slug:
            raise ValueError(f"{name}, line {line}: the heading has no word.")
        if "" in also:
            raise ValueError(f"{name}, line {line + 1}: a form of {word!r} is empty. Put one comma between two.")
        if not entry.text:
            raise ValueError(f"{name}, line {line}: {word!r} has no definition.")
        try:
            _ = entry.summary
        except ValueError as error:
            raise ValueError(
                f"{name}, line {line}: the first sentence about {word!r} becomes a tooltip. {error}"
            ) from None
        places = [(word.lower(), line), *((form.lower(), line + 1) for form in also), (f"#{entry.slug}", line)]
        for form, at in places:
            if form in taken:
                raise ValueError(f"{name}, line {at}: {form!r} is there already, on line {taken[form]}.")
            taken[form] = at
        found.append(entry)
    return found


def _blocks(text: str, name: str) -> list[tuple[int, list[str]]]:
    """The number of each heading's line, with its word and the lines below it."""
    blocks: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            if not line.startswith(HEADING):
                raise ValueError(f"{name}, line {number}: begin a word with {HEADING!r}.")
            blocks.append((number, [line.removeprefix(HEADING).strip()]))
        elif blocks:
            blocks[-1][1].append(line)
        elif line.strip():
            raise ValueError(f"{name}, line {number}: this text stands before the first word.")
    return blocks
