"""Links, what each opens, and what is then trained: a few of each kind. `links.json` has the links; a new one is
written there by hand, with nothing that it opens."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any

from app import screens  # noqa: F401  # it fills the registries
from app.csv_file import read_csv, table
from app.engine.experiment import Arm
from app.features.activations.consequences import MOST_COMPARED, compared
from app.features.activations.settings import Activations
from app.features.compare.arms import contenders
from app.features.compare.settings import Compare
from app.features.dimensions import digits
from app.features.dimensions.settings import Dimensions
from app.features.joint.arms import grid, pair
from app.features.joint.settings import Joint
from app.features.lipschitz import arms as lipschitz
from app.features.lipschitz.settings import Lipschitz
from app.link import BENCHES, query_of, read_link
from app.session.address import PLACE
from app.session.files import with_flow
from app.setup import OwnData, Setup
from app.ui.bands import seeded
from resflow_core.data import Table
from resflow_core.settings import settings_of, to_json
from tests.golden.stored import FOLDER, as_json, digest, load, save

NAME = "links.json"
DIGITS = 12  # of a digest, in links
USUAL = "usual"
"""The link of which all is stored that it opens; of others, what differs from that."""
GIVEN = {
    digest(path.read_bytes())[:DIGITS]: (path.name, path.read_bytes())
    for path in [*(FOLDER / "files").glob("*.csv"), FOLDER / "files" / "sine.safetensors"]
}
"""The files that links of this list need, name and contents, by their digests."""


def make() -> None:
    """The links stay; what they open is noted anew."""
    links = {label: entry["link"] for label, entry in load(NAME)["links"].items()}
    usual = flat(opened(links[USUAL]))
    entries = {label: {"link": link} | _beside(flat(opened(link)), usual) for label, link in links.items()}
    entries[USUAL]["opens"] = usual
    save(NAME, {"settings": trees(), "links": entries}, open_levels=3)


def stored() -> dict[str, tuple[dict[str, str], dict[str, Any]]]:
    """The links of the file, each with all that it opens, by places."""
    entries = load(NAME)["links"]
    usual = entries[USUAL]["opens"]
    return {
        label: (
            entry["link"],
            {at: value for at, value in (usual | entry["opens"]).items() if at not in entry.get("not", ())},
        )
        for label, entry in entries.items()
    }


def flat(value: Any, at: str = "") -> dict[str, Any]:
    """The values in dicts within dicts, each by its place."""
    if isinstance(value, dict) and value:
        return {place: one for name, part in value.items() for place, one in flat(part, f"{at}/{name}").items()}
    return {at: as_json(value)}


def _beside(opens: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    found = {"opens": {at: value for at, value in opens.items() if usual.get(at, ...) != value}}
    gone = [at for at in usual if at not in opens]
    return found | ({"not": gone} if gone else {})


def trees() -> dict[str, dict[str, Any]]:
    """Of data, flow and training under "", and of each bench under what its names begin with."""
    return {"": tree(Setup)} | {prefix: tree(kind) for prefix, kind in BENCHES.items()}


def tree(kind: type) -> dict[str, Any]:
    """What can be set: each setting's type, default and limits, and the settings of each choice that has some."""
    found = {}
    for name, (field, limits) in settings_of(kind).items():
        is_number = limits.choices is None and field.type in (int, float, tuple)
        ends = {limit: getattr(limits, limit) for limit in ("low", "high")}
        about = {limit: value for limit, value in ends.items() if is_number or math.isfinite(value)}
        default = field.default
        if limits.is_variant:
            about["choices"] = {choice: tree(variant) for choice, variant in limits.choices.items()}
            default = next(choice for choice, variant in limits.choices.items() if variant is type(default))
        elif limits.choices is not None:
            about["choices"] = {choice: {} for choice in limits.choices}
        else:
            about["type"] = field.type.__name__
        found[name] = about | {"default": default}
    for field in fields(kind):
        inside = field.default_factory
        if isinstance(inside, type) and is_dataclass(inside):  # flow and train, whose names stand beside these
            found |= tree(inside)
    return found


def opened(query: Mapping[str, str]) -> dict[str, Any]:
    """What a link opens, and what the page and the benches that it sets then train."""
    place = {name: query[name] for name in PLACE if name in query}
    link = read_link({name: text for name, text in query.items() if name not in place})
    setup = link.setup
    if link.csv and link.csv.digest in GIVEN:
        columns = table(read_csv(*GIVEN[link.csv.digest]), link.csv.x, link.csv.y, link.csv.label or None)
        setup = replace(setup, own=OwnData(link.csv, columns))
    if link.flow and link.flow.digest in GIVEN:
        setup = with_flow(setup, *GIVEN[link.flow.digest])
    benches = {
        prefix: bench for (prefix, kind), bench in zip(BENCHES.items(), link.benches, strict=True) if bench != kind()
    }
    files = (link.csv, link.flow, link.benches, link.controls, link.made_by, link.step, link.named)
    return {
        "query": query_of(link.setup, *files),
        "data": setup.data,
        "seed": setup.seed,
        "flow": to_json(setup.flow),
        "train": to_json(setup.train),
        "changes": [[step, to_json(train)] for step, train in setup.changes],
        "benches": {prefix: to_json(bench) for prefix, bench in benches.items()},
        "csv": link.csv and asdict(link.csv),
        "start": link.flow and asdict(link.flow),
        "controls": link.controls,
        "lesson": place,
        "refused": len(link.refused),
        "experiment": _brief(setup.experiment().arms, setup),
        "trained": {name: _brief(arms, setup) for bench in benches.values() for name, arms in bench_arms(setup, bench)},
    }


def arms(query: Mapping[str, str]) -> list[Arm]:
    """What a link trains: the page's flow, and those of the benches that it sets, each from its first seed alone."""
    link = read_link(query)
    changed = [bench for bench in link.benches if bench != type(bench)()]
    found = [arm for bench in changed for _, arms in bench_arms(link.setup, bench) for arm in arms]
    return [*link.setup.experiment().arms, *(arm for arm in found if arm.seed in (None, link.setup.seed))]


def bench_arms(setup: Setup, bench: Any) -> Iterator[tuple[str, list[Arm]]]:
    """What a bench trains, by its views."""
    match bench:
        case Compare():
            arms = {one.label: one.arm for one in contenders(setup, bench)}
            yield "compare", list(seeded(arms, setup.seed, bench.seeds).values())
        case Joint() if setup.dataset.classes:
            yield "joint one", [one.arm for one in pair(setup, bench)]
            arms = {one.label: one.arm for one in grid(setup, bench)}
            yield "joint paper", list(seeded(arms, setup.seed, bench.seeds).values())
        case Lipschitz():
            yield "budgets", list((lipschitz.shapes if bench.shapes else lipschitz.budgets)(setup).values())
            yield "norms", list(lipschitz.norms(setup).values())
        case Activations():
            yield "activations", list(compared(setup, bench.names[:MOST_COMPARED], bench.seeds).values())
        case Dimensions():
            yield "digits", [digits.arm(bench.start)]
            yield "scaling", [Arm(bench.plan.flow, bench.plan.train, bench.plan)]


def _brief(arms: Any, setup: Setup) -> list[dict[str, Any]]:
    """Of the arms of the first seed what differs from the page's flow and training, and how many seeds there are."""
    seeds = len({arm.seed for arm in arms})
    return [
        {
            "flow": _differing(arm.flow, setup.flow),
            "train": _differing(arm.train, setup.train),
            "data": _data(arm.data),
            "changes": len(arm.changes),
            "weights": arm.weights and digest(arm.weights)[:DIGITS],
            "seeds": seeds,
        }
        for arm in arms
        if arm.seed == arms[0].seed
    ]


def _differing(config: Any, page: Any) -> dict[str, Any] | None:
    if config is None:
        return None
    here = to_json(page) if type(config) is type(page) else {}
    inside = {"flow": _differing(config.flow, page)} if hasattr(config, "flow") else {}
    return {name: value for name, value in to_json(config).items() if here.get(name, ...) != value} | inside


def _data(data: Any) -> Any:
    if isinstance(data, str):
        return data
    if isinstance(data, Table):
        rows = data.values.astype("<f8").tobytes()
        return [list(data.names), len(data.values), digest(rows)[:DIGITS], data.labels and len(set(data.labels))]
    return list(data.dims)
