"""Links by a rule from the registries and by hand, and what each opens: one of each kind."""

from collections.abc import Iterator
from typing import Any

from tests.golden import subject
from tests.golden.by_hand import BY_HAND, COMMAS, CSV, FLOW
from tests.golden.stored import FOLDER, as_json, digest, load, save

NAME = "links.json"
DIGITS = 12  # of a digest, in links
FEWEST = 3
"""Links of each bench at least."""
TURNS = {"": (4, 12, 16), "memory.": (0,), "compare.": (13, 22, 28, 31), "dimensions.": (4, 5), "joint.": (4,)}
"""Which of the rule's links there are, of other benches `FIRST`. With those by hand they have every setting, and every
choice that has settings of its own. Other choices and limits: `tests/app/test_link.py`."""
FIRST = (0,)
READY_MADE = (
    *("preset paper", "comparison coupling", "estimator optimal", "matrix thirds", "map turn"),
    *("lesson series which-way", "lesson norms claim"),
)
"""Of what buttons and lessons set, one link of each kind."""
MERGED = ("query", "flow", "train")
"""Parts of what a link opens of which the file has only what the usual link does not open."""


def queries() -> Iterator[tuple[str, dict[str, str]]]:
    """Every link with its label."""
    digests = {name: found for found, (name, _) in given().items()}
    for label, query in BY_HAND.items():
        wanted = [part for part in ("csv", "flow") if query.get(f"{part}.digest") == ""]
        yield label, query | {f"{part}.digest": digests[query[f"{part}.name"]] for part in wanted}
    for prefix, tree in subject.trees().items():
        for k in TURNS.get(prefix, FIRST):
            yield f"rule {prefix or 'setup '}{k}", dict(chosen(tree, prefix, k))
    yield from ((label, query) for label, query in subject.ready_made() if label in READY_MADE)


def given() -> dict[str, tuple[str, bytes]]:
    """The files that links of this list need, by their digests."""
    contents = {name: (FOLDER / "files" / name).read_bytes() for name in (CSV, COMMAS, FLOW)}
    return {digest(data)[:DIGITS]: (name, data) for name, data in contents.items()}


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
    write({label: {"link": query, "opens": subject.opened(query, files)} for label, query in known.items()})


def write(links: dict[str, Any]) -> None:
    """The file of these links and of today's settings."""
    usual = as_json(subject.opened({"blocks": str(subject.trees()[""]["blocks"]["default"])}, {}))
    brief = {label: entry | {"opens": beside_usual(as_json(entry["opens"]), usual)} for label, entry in links.items()}
    save(NAME, {"settings": subject.trees(), "usual": usual, "links": brief}, open_levels=4)


def stored() -> dict[str, Any]:
    """The links of the file, each with all that it opens."""
    file = load(NAME)
    return {
        label: {"link": entry["link"], "opens": in_full(entry["opens"], file["usual"])}
        for label, entry in file["links"].items()
    }


def beside_usual(opens: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """What differs from what the usual link opens."""
    found = {name: part for name, part in opens.items() if part != usual[name]}
    for name in MERGED:
        if name in found:
            found[name] = {key: value for key, value in found[name].items() if usual[name].get(key, ...) != value}
    if in_full(found, usual) != opens:
        raise ValueError(f"What the usual link opens is not in {opens}.")
    return found


def in_full(found: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    merged = {name: usual[name] | found.get(name, {}) for name in MERGED}
    return usual | found | merged
