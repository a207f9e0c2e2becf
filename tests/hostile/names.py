"""Names that somebody gives a file, a column or a setting so that another person's browser does something with them,
and what a page makes of them, read by a parser of Markdown that is not Streamlit's own."""

import json
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

MARK = "evil"
"""In every name below, and in nothing of ours."""
HOST = "evil.example"

NAMES = {
    "image": f"![{MARK}](http://{HOST}/p.png)",
    "link": f"[{MARK}](http://{HOST})",
    "reference": f"[{MARK}] [{MARK}]: http://{HOST}",
    "address": f"http://{HOST}/x",
    "secure address": f"https://{HOST}/x?a=b",
    "www": f"www.{HOST}/x",
    "e-mail": f"who@{HOST}",
    "autolink": f"<http://{HOST}>",
    "html": f"<img src=//{HOST}/p.png> {MARK}",
    "script": f"<script>{MARK}()</script>",
    "anchor": f'<a href="http://{HOST}">{MARK}</a>',
    "formula": f"$\\href{{http://{HOST}}}{{{MARK}}}$",
    "formulas": f"$${MARK}$$ and $x${MARK}$y$",
    "colour": f":red[{MARK}] :red-background[{MARK}]",
    "icon": f":material/{MARK}: :material/face: {MARK}",
    "shortcode": f":{MARK}: :smile: :streamlit:",
    "directive": f"::{MARK}[x]{{a=b}} :{MARK}[y]",
    "bold": f"**{MARK}** __{MARK}__ ~~{MARK}~~",
    "code": f"`{MARK}` ![{MARK}](http://{HOST})",
    "fence": f"```\n{MARK}\n```",
    "open code": f"`` {MARK} ![x](http://{HOST})",
    "heading": f"# {MARK}",
    "later heading": f"x\n\n# {MARK}\n\n![i](http://{HOST})",
    "list": f"- {MARK}",
    "number": f"1. {MARK}",
    "quote": f"> {MARK}",
    "table": f"a | {MARK} |\n|--|--|\n| ![i](http://{HOST}) |",
    "backslashes": f"\\\\![{MARK}](http://{HOST})\\",
    "entity": f"&lt;{MARK}&gt; &#91;{MARK}](http://{HOST})",
    "bidi": f"{MARK}\u202egpj.exe\u2066\u2069",
    "zero width": f"{MARK}\u200b\u200d\ufeff\u2060",
    "controls": f"{MARK}\a\x1b[31m\x00\x7f\x9f\v\f",
    "lines": f"{MARK}\r\n\u2028\u2029x",
    "long": MARK * 5000,
    "long marks": f"{MARK}" + "\u0301" * 5000,
    "markup": f'<b>{MARK}</b><a href="http://{HOST}">x</a>%{{x}}',
    "spreadsheet": f'=HYPERLINK("http://{HOST}")',
    "path": f"../../{MARK}/../x",
}
# Nothing of them can be seen, so they have no mark.
BLANK = {"nothing": "", "spaces": "  \u3000 ", "invisible": "\u200b\u202e\u2060"}
MOST = 120
"""Characters of a name, with what escapes add, that a text may show."""

PARSER = MarkdownIt("gfm-like", {"html": True}).use(dollarmath_plugin, allow_labels=False)
# Streamlit looks for these in the text that Markdown leaves.
SIGNS = re.compile(r":[\w+-]+:|:material/|:[a-z][\w-]*[\[{]|(https?|ftp)://|www\.|[\w.+-]+@[\w-]+\.", re.IGNORECASE)
AROUND = {"paragraph", "table", "thead", "tbody", "tr", "th", "td"}
"""Blocks of our own in which a name may stand."""
# What Streamlit draws as it is: (message, field).
AS_IT_IS = {
    ("Selectbox", "options"), ("Selectbox", "raw_value"), ("MultiSelect", "options"), ("MultiSelect", "default"),
    ("TextInput", "default"), ("TextInput", "value"), ("TextArea", "default"), ("TextArea", "value"),
    ("Code", "code_text"), ("MultiSelect", "raw_values"),
}  # fmt: skip
KEPT = {"resflow_keeper"}
"""Components that show nothing: they hand over a file that the browser keeps, as the button that downloads it does."""

# What is not drawn: keys, addresses, our own scripts.
UNSEEN = re.compile(r"id|.*_id|key|.*_hash|query_string|url|js_content|css_content|html_content|spec|component_name")


def nodes(tree: Any) -> Iterator[Any]:
    """Every element and block of a page under test."""
    for child in getattr(tree, "children", {}).values():
        yield child
        yield from nodes(child)


def texts(message: Message) -> Iterator[tuple[str, str, str]]:
    """(message, field, text) of every text in a message and those within it."""
    for field, value in message.ListFields():
        for one in value if field.is_repeated else [value]:
            if isinstance(one, Message):
                yield from texts(one)
            elif isinstance(one, str):
                yield message.DESCRIPTOR.name, field.name, one


def drawn(page: Any) -> Iterator[tuple[str, str, str]]:
    """Every text of a page, its charts and components, with the kind and the field that it stands in."""
    for node in nodes(page._tree):
        proto = getattr(node, "proto", None)
        if not isinstance(proto, Message):
            continue
        for kind, field, text in texts(proto):
            if kind == "BidiComponent" and field == "json":
                if proto.component_name not in KEPT:
                    yield from ((kind, field, part) for part in within(json.loads(text)))
            elif not UNSEEN.fullmatch(field):
                yield kind, field, text


def within(value: Any) -> Iterator[str]:
    """The texts of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from within(part)


def problems(kind: str, field: str, text: str) -> list[str]:
    """What a text that may hold a hostile name does besides showing it."""
    if kind == "BidiComponent" or (kind, field) in AS_IT_IS:
        return lines(text)
    return marked_up(text)


def lines(text: str) -> list[str]:
    """Of a text that is drawn as it is: no character that hides, turns or breaks the others, and not too long."""
    if MARK not in text:
        return []
    wrong = [f"{c!r} in it" for c in sorted(set(text)) if not c.isprintable() and c != "\N{NO-BREAK SPACE}"]
    return wrong + ([f"{text.count(MARK)} times as long"] if text.count(MARK) * len(MARK) > MOST else [])


def marked_up(text: str) -> list[str]:
    """Of Markdown: no name becomes a link, a picture, a formula, a heading or anything else but a text."""
    if MARK not in text:
        return []
    found, around = [], []
    for token in PARSER.parse(text):
        if token.nesting == 1:
            around.append(token.type.removesuffix("_open"))
        elif token.nesting == -1:
            around.pop()
        elif token.type == "inline":
            found += _inline(token.children, around)
        elif MARK in token.content:
            found.append(f"a {token.type} of {token.content[:80]!r}")
    return found


def _inline(tokens: list[Token], blocks: list[str]) -> list[str]:
    found, around = [], list(blocks)
    for token in tokens:
        attributes = " ".join(map(str, token.attrs.values()))
        if MARK in attributes:
            found.append(f"{token.type} to {attributes!r}")
        if token.nesting == 1:
            around.append(token.type.removesuffix("_open"))
        elif token.nesting == -1:
            around.pop()
        if MARK not in token.content:
            continue
        if token.type not in ("text", "code_inline"):
            found.append(f"a {token.type} of {token.content[:80]!r}")
        elif foreign := [one for one in around if one not in AROUND]:
            found.append(f"{token.content[:80]!r} within {foreign}")
        if token.type == "text" and (sign := SIGNS.search(token.content)):
            found.append(f"{sign[0]!r} in {token.content[:80]!r}")
        # A joiner of ours stands behind a colon, an at sign or www.
        hidden = {c for c in re.sub("(?<=[:@w])\N{WORD JOINER}", "", token.content) if not c.isprintable()}
        found += [f"{c!r} in {token.content[:80]!r}" for c in sorted(hidden - {"\N{NO-BREAK SPACE}"})]
        if token.content.count(MARK) * len(MARK) > MOST:
            found.append(f"{len(token.content):,} characters")
    return found
