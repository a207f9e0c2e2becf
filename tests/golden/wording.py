"""The words that every screen shows, without the numbers: a file for each screen, which a copy edit changes."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.golden.printed import NUMBER, TIMED
from tests.golden.stored import FOLDER

WORDING = FOLDER / "wording"
TEXTS = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success", "latex", "code")
# Of a picture's data, the parts that are read.
READ = {"alt", "title", "note", "label", "x", "y", "name", "word", "help", "unit"}
ABOUT = re.compile(r"(?:<|&lt;)\s*#")  # a short time
VARIES = "(on some processors) "


def words(elements: Any) -> list[str]:
    """The distinct texts of these elements in order, each with the kind of its element; numbers are #."""
    found = (f"{kind}: {blanked(text)}" for element in elements for kind, text in _texts(element) if text.strip())
    return list(dict.fromkeys(found))


def blanked(text: str) -> str:
    """A text in one line, without its numbers, and without times and their units."""
    line = " ⏎ ".join(part.strip() for part in text.strip().split("\n"))
    return ABOUT.sub("#", NUMBER.sub("#", TIMED.sub("#", line)))


def sections(cases: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Of each case of a screen the texts that none before it has."""
    known: set[str] = set()
    found = {}
    for label, texts in cases.items():
        found[label] = [text for text in texts if text not in known]
        known |= set(texts)
    return found


def save(screen: str, cases: Mapping[str, list[str]], elsewhere: list[Mapping[str, list[str]]]) -> None:
    """`elsewhere` are the same cases with other instruction sets: what not all show is marked."""
    marked = {}
    for label, texts in cases.items():
        others = [one[label] for one in elsewhere]
        marked[label] = [text if all(text in one for one in others) else VARIES + text for text in texts]
        marked[label] += sorted({VARIES + text for one in others for text in one} - {VARIES + text for text in texts})
    WORDING.mkdir(exist_ok=True)
    parts = [f"## {label}\n\n" + "".join(f"- {text}\n" for text in texts) for label, texts in sections(marked).items()]
    (WORDING / f"{screen}.md").write_text("\n".join(parts), encoding="utf-8")


def load(screen: str) -> dict[str, list[str]]:
    """The sections of a screen's file. Raises FileNotFoundError."""
    found: dict[str, list[str]] = {}
    for line in (WORDING / f"{screen}.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            found[line[3:]] = section = []
        elif line:
            section.append(line[2:])
    return found


def differences(stored: Mapping[str, list[str]], label: str, found: list[str]) -> list[str]:
    """What one case of a screen says that is not stored, and what is stored of it that it does not say."""
    up_to_here = list(stored)[: list(stored).index(label) + 1]
    known = {text.removeprefix(VARIES) for case in up_to_here for text in stored[case]}
    new = [f"not stored: {text}" for text in found if text not in known]
    return new + [f"not shown: {text}" for text in stored[label] if text not in found and not text.startswith(VARIES)]


def _texts(element: Any) -> Iterator[tuple[str, str]]:
    kind = element.type
    if kind in TEXTS:
        if "<style" not in element.value:
            yield kind, element.value
    elif kind == "vega_lite_chart":
        yield from _read("chart", json.loads(element.proto.spec))
    elif kind == "bidi_component":
        yield from _read("picture", json.loads(element.proto.json or "null"))
    else:
        for part in ("label", "help", "placeholder"):
            yield f"{kind}'s {part}", str(getattr(element.proto, part, "") or "")
        for option in getattr(element, "options", None) or ():
            yield f"{kind}'s option", str(option)


def _read(kind: str, data: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(data, list):
        for part in data:
            yield from _read(kind, part, name)
    elif isinstance(data, dict):
        for inner, part in data.items():
            yield from _read(kind, part, inner if inner in READ else name if name == "alt" else "")
    elif isinstance(data, str) and name:
        yield f"{kind}'s {name}", data
