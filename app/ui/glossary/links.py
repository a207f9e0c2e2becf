"""Links from a text to the glossary."""

import re
from collections.abc import Sequence
from functools import cache

from app.ui.glossary.entries import Entry, entries

# What keeps its words as they are: code, formulas, placeholders, links and addresses, headings, icons, tags.
KEPT = re.compile(
    r"""
    ^(?P<fence>```+|~~~+).*?^(?P=fence)[ \t]*$
    | (?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)
    | \\.
    | \$\$.*?\$\$ | \$[^$]+\$
    | \{\{.*?\}\}
    | !?\[[^\[\]]*\]\([^()]*(?:\([^()]*\)[^()]*)*\)
    | <[^<>\s][^<>]*> | https?://\S+
    | ^[ ]{0,3}\#{1,6}[ ].*?$
    | :material/\w+:
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)


def linked(
    markdown: str, among: Sequence[Entry] | None = None, done: set[str] | None = None, language: str = ""
) -> str:
    """The text with the first occurrence of each word, in whatever form, as a link to its entry, whose title is the
    first sentence of the definition. Whole words, the longest form first, in any case unless the form is all capitals;
    code, formulas, `{{placeholders}}`, links and headings stay as they are.

    `among`: the whole glossary, unless given. `done`: the slugs of entries that have their link already, to which those
    linked here are added. `language`: that of the glossary which the links lead to, if `among` is a translation.
    """
    forms, pattern = _pattern(entries() if among is None else tuple(among))
    done = set() if done is None else done
    page = f"glossary?lang={language}" if any(entry.original for entry in forms.values()) else "glossary"

    def link(found: re.Match[str]) -> str:
        entry = forms.get(_key(found[0])) or forms[found[0]]
        if entry.slug in done:
            return found[0]
        done.add(entry.slug)
        title = entry.summary.replace("\\", "\\\\").replace('"', '\\"')
        return f'[{found[0]}]({page}#{entry.slug} "{title}")'

    pieces, end = [], 0
    for kept in KEPT.finditer(markdown):
        pieces += [pattern.sub(link, markdown[end : kept.start()]), kept[0]]
        end = kept.end()
    return "".join([*pieces, pattern.sub(link, markdown[end:])])


@cache
def _pattern(among: tuple[Entry, ...]) -> tuple[dict[str, Entry], re.Pattern[str]]:
    """Each form's entry, and what finds all forms: whole words that no hyphen joins to others."""
    forms = {form if form.isupper() else _key(form): entry for entry in among for form in entry.forms}
    ways = []
    for form in sorted((form for entry in among for form in entry.forms), key=len, reverse=True):
        letters = r"\s+".join(map(re.escape, form.split()))
        ways.append(letters if form.isupper() else f"(?i:{letters})")
    return forms, re.compile(rf"(?<![\w-])(?:{'|'.join(ways) or '(?!)'})(?![\w-])")


def _key(form: str) -> str:
    return " ".join(form.lower().split())
