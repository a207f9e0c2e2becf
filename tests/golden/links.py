"""Links by a rule from the registries and by hand, and what each opens."""

from collections.abc import Iterator
from typing import Any

from tests.golden import subject
from tests.golden.by_hand import BY_HAND, COMMAS, CSV, FLOW
from tests.golden.stored import FOLDER, digest, load, save

NAME = "links.json"
DIGITS = 12  # of a digest, in links
FEWEST = 4
"""Links of each bench at least; one more for each choice of the setting that has the most."""


def queries() -> Iterator[tuple[str, dict[str, str]]]:
    """Every link with its label."""
    digests = {name: found for found, (name, _) in given().items()}
    for label, query in BY_HAND.items():
        wanted = [part for part in ("csv", "flow") if query.get(f"{part}.digest") == ""]
        yield label, query | {f"{part}.digest": digests[query[f"{part}.name"]] for part in wanted}
    for prefix, tree in subject.trees().items():
        turns = max(longest(tree), FEWEST) if prefix else 2 * longest(tree)
        for k in range(turns):
            yield f"rule {prefix or 'setup '}{k}", dict(chosen(tree, prefix, k))
    # A choice that came later: the rule's stored links were made without it, and stay as they are.
    for name in subject.trees()["compare."]["a"]["choices"]["inside"]["activation"]["choices"]:
        arms = {f"compare.{arm}": "inside" for arm in "abcd"}
        yield f"inside with {name}", arms | {f"compare.{arm}.activation": name for arm in "abcd"}
    yield from subject.ready_made()


def given() -> dict[str, tuple[str, bytes]]:
    """The files that links of this list need, by their digests."""
    contents = {name: (FOLDER / "files" / name).read_bytes() for name in (CSV, COMMAS, FLOW)}
    return {digest(data)[:DIGITS]: (name, data) for name, data in contents.items()}


def longest(tree: dict[str, Any]) -> int:
    """The most choices that one of the settings has, with those of its choices behind it."""
    turns = (
        len(about["choices"]) * max(longest(inner) for inner in about["choices"].values())
        for about in tree.values()
        if "choices" in about
    )
    return max(turns, default=1)


def chosen(tree: dict[str, Any], prefix: str, k: int) -> Iterator[tuple[str, str]]:
    """The k-th link of a tree: of every setting the k-th choice or number, beginning elsewhere for each; what belongs
    to a choice changes once all choices had their turn."""
    for place, (name, about) in enumerate(tree.items()):
        turn = k + place
        if "choices" in about:
            choices = list(about["choices"])
            choice = choices[turn % len(choices)]
            yield f"{prefix}{name}", choice
            yield from chosen(about["choices"][choice], f"{prefix}{name}.", turn // len(choices))
        elif about["type"] != "str":
            yield f"{prefix}{name}", numbers(about)[turn % 4]


def numbers(about: dict[str, Any]) -> list[str]:
    """Four values of a setting as links write them: the default, the limits, and one between."""
    default = about["default"]
    if about["type"] == "bool":
        return [str(default), str(not default)] * 2
    if about["type"] == "tuple":
        return [" ".join(repr(share * x) for x in default) for share in (1, 0.5, 1, 0.75)]
    low, high = about["low"], about["high"]
    if about["type"] == "int":
        return [str(default), str(int(low)), str(int(high)), str(int(low + (high - low) // 3))]
    return [
        repr(float(default)),
        repr(float(low)),
        repr(float(high)),
        repr(low + (high - low) / 3 if high < 1e300 else 3.5),
    ]


def make() -> None:
    """Links that are stored stay as they are, whatever the registries have become; new ones come after them."""
    try:
        kept = {label: entry["link"] for label, entry in load(NAME)["links"].items()}
    except FileNotFoundError:
        kept = {}
    known = kept | {label: query for label, query in queries() if label not in kept}
    files = given()
    links = {label: {"link": query, "opens": subject.opened(query, files)} for label, query in known.items()}
    save(NAME, {"settings": subject.trees(), "links": links}, open_levels=4)
