"""Texts of lessons as HTML for paper: paragraphs, lists, marks of Markdown, and formulas as MathML."""

import re
from html import escape

from app.lessons.mathml import mathml

DISPLAYED = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
INLINE = re.compile(r"(?<!\\)\$(.+?)(?<!\\)\$", re.DOTALL)
CODE = re.compile(r"`([^`]+)`")
ENTITY = re.compile(r"&amp;(#?\w+;)")
MARKS = (
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"(?<!\w)\*(?!\s)([^*]+?)(?<!\s)\*(?!\w)"), r"<em>\1</em>"),
    (re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)"), r'<a href="\2">\1</a>'),
    (re.compile(r"\\([$*_\[\]`~#:|<>\\])"), r"\1"),
)
ITEM = re.compile(r"^- ", re.MULTILINE)


def html(text: str) -> str:
    """A text with its numbers already in it, as paragraphs and lists. Raises ValueError for a formula that is not
    known."""
    return "".join(_block(part) for part in re.split(r"\n\s*\n", text.strip()) if part.strip())


def line(text: str) -> str:
    """A text of one paragraph, without that. Raises ValueError as `html` does."""
    kept: list[str] = []

    def keep(made: str) -> str:
        kept.append(made)
        return f"\0{len(kept) - 1}\0"

    text = text.replace("\0", "")
    text = CODE.sub(lambda found: keep(f"<code>{escape(found[1])}</code>"), text)
    text = DISPLAYED.sub(lambda found: keep(mathml(found[1], display=True)), text)
    text = INLINE.sub(lambda found: keep(mathml(found[1])), text)
    made = ENTITY.sub(r"&\1", escape(" ".join(text.split()), quote=False))
    for mark, by in MARKS:
        made = mark.sub(by, made)
    return re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], made)


def _block(text: str) -> str:
    before, *items = ITEM.split(text) if ITEM.search(text) else [text]
    head = f"<p>{line(before)}</p>" if before.strip() else ""
    return head + (f"<ul>{''.join(f'<li>{line(item)}</li>' for item in items)}</ul>" if items else "")
