"""A question that is asked again, as at the beginning of a lesson and at its end: it is written once.

::: predict mean-again
again: mean-first
:::
"""

from collections.abc import Iterable
from dataclasses import replace

from app.lessons.raw import Raw, Wrong

AGAIN = "again"
"""The field that names the earlier question."""
TOLD_WITH = "told_with"
"""What the earlier question then has: the id of the one that asks it again. No file writes it."""


def repeated(raws: Iterable[Raw]) -> list[Raw]:
    """The blocks of a lesson, in which a question that is asked again has the text and the fields of the earlier one.
    Raises `Wrong` where it has something of its own, or names no earlier question that is asked just once more."""
    found: dict[str, Raw] = {}
    for raw in raws:
        found[raw.id] = raw
        if AGAIN not in raw.fields.values:
            continue
        name = raw.fields.get(AGAIN, str)
        first = found.get(name)
        if first is None or first is raw or first.kind != raw.kind or AGAIN in first.fields.values:
            raise raw.fields.wrong(AGAIN, f"`{AGAIN}: {name}`: name a {raw.kind} before it that is no repetition.")
        if TOLD_WITH in first.fields.values:
            other = first.fields.values[TOLD_WITH]
            raise raw.fields.wrong(AGAIN, f"`{AGAIN}: {name}`: `{other}` asks it again already. Leave one of them out.")
        if raw.text or len(raw.fields.values) > 1:
            raise Wrong(raw.fields.path, raw.line, f"`{raw.id}` asks `{name}` again: give it nothing else.")
        fields = first.fields
        found[name] = replace(first, fields=replace(fields, values={**fields.values, TOLD_WITH: raw.id}))
        found[raw.id] = replace(raw, fields=replace(fields, values={**fields.values, AGAIN: name}), text=first.text)
    return list(found.values())
