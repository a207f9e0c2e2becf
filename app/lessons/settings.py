"""Settings by their names in links: what a step opens with, and what an action changes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.link import BENCHES, query_of, read_link
from app.setup import Setup, entries

Benches = Mapping[type, Any]


def as_text(value: Any) -> str:
    """A value of YAML as a link writes it."""
    return " ".join(map(as_text, value)) if isinstance(value, list) else str(value)


def prefix_in(name: str) -> str:
    """What the names of its bench begin with; "" where a setting belongs to data, flow or training."""
    return next((prefix for prefix in BENCHES if name.startswith(prefix)), "")


def changed(
    setup: Setup, benches: Benches, settings: Mapping[str, str], anew: bool = False
) -> tuple[Setup, dict[type, Any]]:
    """`setup` and `benches` with other settings. Those of one bench go together, and those of data, flow and training:
    with `anew`, the others of them begin from their defaults. Of whom nothing is named stays as it is. Raises
    ValueError."""
    named = {prefix_in(name) for name in settings}
    query = {} if anew else query_of(replace(setup, own=None, start=None, changes=()), benches=benches.values())
    # What belonged to another choice has no meaning with the new one.
    query = {name: text for name, text in query.items() if not any(name.startswith(f"{one}.") for one in settings)}
    link = read_link({name: text for name, text in query.items() if prefix_in(name) in named} | dict(settings))
    if link.refused:
        raise ValueError(" ".join(link.refused))
    read = dict(zip(BENCHES.values(), link.benches, strict=True))
    found = {kind: read[kind] if prefix in named else benches[kind] for prefix, kind in BENCHES.items()}
    if "" not in named:
        return setup, found
    return replace(link.setup, own=None if anew or "data" in settings else setup.own), found


def setting_values(setup: Setup, benches: Benches) -> dict[str, Any]:
    """All that is set, by its name; choices by their keys."""
    found = {name: value for name, _, value in entries(setup)}
    for prefix, kind in BENCHES.items():
        found |= {name: value for name, _, value in entries(benches[kind], prefix)}
    return found
