"""Names that somebody gives a file, a column or a setting so that another person's browser does something with them,
and what a page makes of them, read by a parser of Markdown that is not Streamlit's own."""

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

MARK = "evil"
"""In every name below, and in nothing of ours."""
HOST = "evil.example"

NAMES = {
    "image": f"![{MARK}](http://{HOST}/p.png)",
    "reference": f"[{MARK}] [{MARK}]: http://{HOST}",
    "address": f"https://{HOST}/x?a=b",
    "e-mail": f"who@{HOST}",
    "html": f"<img src=//{HOST}/p.png> <script>{MARK}()</script>",
    "anchor": f'<a href="http://{HOST}">{MARK}</a>',
    "formula": f"$\\href{{http://{HOST}}}{{{MARK}}}$ and $x${MARK}$y$",
    "directives": f":red[{MARK}] :material/{MARK}: :{MARK}: ::{MARK}[x]{{a=b}}",
    "bold": f"**{MARK}** __{MARK}__ ~~{MARK}~~",
    "code": f"`{MARK}` `` {MARK} ![{MARK}](http://{HOST})",
    "heading": f"x\n\n# {MARK}\n\n- {MARK}\n\n> ![i](http://{HOST})",
    "table": f"a | {MARK} |\n|--|--|\n| ![i](http://{HOST}) |",
    "backslashes": f"\\\\![{MARK}](http://{HOST})\\ &lt;{MARK}&gt;",
    "bidi": f"{MARK}\u202egpj.exe\u2066\u2069\u200b\ufeff",
    "controls": f"{MARK}\a\x1b[31m\x00\x7f\v\f\r\n\u2028",
    "long": MARK * 5000,
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
