"""All that this folder knows of the code: today's names and places. When modules move, this file follows them, and its
two neighbours `subject_flows.py` and `subject_pages.py`; nothing else does.

Here: links, settings, and what they train. What goes in and comes out are plain values: links as dicts of texts,
settings as JSON, tensors, bytes.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from app import screens  # noqa: F401  # it fills the registries
from app.csv_file import read_csv, table
from app.engine.experiment import Arm, Experiment
from app.estimates.settings import Bench
from app.features.activations.consequences import MOST_COMPARED, compared
from app.features.activations.settings import Activations
from app.features.compare import presets as comparisons
from app.features.compare.arms import contenders
from app.features.compare.settings import Compare
from app.features.dimensions import digits
from app.features.dimensions.settings import Dimensions
from app.features.estimator import presets as estimators
from app.features.estimator.sweeps import subject_of
from app.features.joint.arms import grid, pair
from app.features.joint.settings import Joint
from app.features.lipschitz import arms as lipschitz
from app.features.lipschitz.settings import Lipschitz
from app.features.stretch import examples as maps
from app.features.stretch.settings import Stretch
from app.lessons.shelf import shelf
from app.link import BENCHES, names, query_of, read_link
from app.session.address import PLACE
from app.session.files import with_flow
from app.setup import OwnData, Setup
from app.ui import matrices, presets
from app.ui.bands import seeded
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import Table
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.settings import settings_of, to_json
from tests.golden.arms import beside, with_seeds
from tests.golden.stored import digest

MAIN = Path(__file__).parents[2] / "app" / "page.py"
"""The script of every page."""
KINDS = {FlowConfig: "flow", BaselineConfig: "peer", HybridConfig: "hybrid"}


# Links and settings


def tree(kind: type) -> dict[str, Any]:
    """What can be set: each setting's type, default and limits, and the settings of each choice that has some."""
    found = {}
    for name, (field, limits) in settings_of(kind).items():
        is_number = limits.choices is None and field.type in (int, float, tuple)
        ends = {limit: getattr(limits, limit) for limit in ("low", "high")}
        about = {limit: value for limit, value in ends.items() if is_number or math.isfinite(value)}
        about |= {"type": "choice" if limits.choices is not None else field.type.__name__, "rare": limits.rare}
        default = field.default
        if limits.is_variant:
            about["choices"] = {choice: tree(variant) for choice, variant in limits.choices.items()}
            default = next(choice for choice, variant in limits.choices.items() if variant is type(default))
        elif limits.choices is not None:
            about["choices"] = {choice: {} for choice in limits.choices}
        found[name] = about | {"default": default}
    for field in fields(kind):
        inside = field.default_factory
        if isinstance(inside, type) and is_dataclass(inside):  # flow and train, whose names stand beside these
            found |= tree(inside)
    return found


def trees() -> dict[str, dict[str, Any]]:
    """Of data, flow and training under "", and of each bench under what its names begin with."""
    return {"": tree(Setup)} | {prefix: tree(kind) for prefix, kind in BENCHES.items()}


def ready_made() -> Iterator[tuple[str, dict[str, str]]]:
    """What buttons, ready-made comparisons and lessons set, as links."""
    for name, preset in presets.PRESETS.items():
        yield f"preset {name}", query_of(Setup(flow=preset.flow, train=preset.train))
    for name, preset in comparisons.PRESETS.items():
        setup = Setup(preset.data, flow=preset.flow, train=preset.train)
        yield f"comparison {name}", query_of(setup, benches=[preset.bench])
    bench = Bench()
    for name, preset in estimators.PRESETS.items():
        changed = preset.change(bench, subject_of(bench, None))
        yield f"estimator {name}", query_of(Setup(), benches=[changed])
    for name, example in matrices.EXAMPLES.items():
        yield f"matrix {name}", query_of(Setup(), benches=[Bench(matrix=example.entries)])
    for name, example in maps.EXAMPLES.items():
        yield f"map {name}", query_of(Setup(), benches=[Stretch(**example.settings)])
    for lesson in shelf().originals.values():
        for step in lesson.steps:
            yield f"lesson {lesson.id} {step.id}", dict(step.settings)


def opened(query: Mapping[str, str], given: Mapping[str, tuple[str, bytes]]) -> dict[str, Any]:
    """What a link opens, and what the benches that it sets then train; of a link that sets nothing, all of them.
    `given`: the files that it may need, name and contents, by their digests."""
    place = {name: query[name] for name in PLACE if name in query}
    link = read_link({name: text for name, text in query.items() if name not in place})
    setup, csv = link.setup, link.csv
    if csv and csv.digest in given:
        columns = table(read_csv(*given[csv.digest]), csv.x, csv.y, csv.label or None)
        setup = replace(setup, own=OwnData(csv, columns))
    if link.flow and link.flow.digest in given:
        setup = with_flow(setup, *given[link.flow.digest])
    benches = {
        prefix: bench
        for (prefix, kind), bench in zip(BENCHES.items(), link.benches, strict=True)
        if bench != kind() or not query
    }
    return {
        "query": query_of(
            link.setup, link.csv, link.flow, link.benches, link.controls, link.made_by, link.step, link.named
        ),
        "data": setup.data,
        "seed": setup.seed,
        "device": setup.device,
        "flow": to_json(setup.flow),
        "train": to_json(setup.train),
        "changes": [[step, to_json(train)] for step, train in setup.changes],
        "benches": {prefix: to_json(bench) for prefix, bench in benches.items()},
        "csv": link.csv and vars(link.csv),
        "start": link.flow and vars(link.flow),
        "controls": link.controls,
        "lesson": place,
        "refused": len(link.refused),
        "about": sorted(about for sentence in link.refused for about in _about(sentence, query)),
        "experiment": _experiment(setup.experiment(), setup),
        "trained": {
            name: _experiment(Experiment(tuple(arms), setup.seed, setup.device), setup)
            for bench in benches.values()
            for name, arms in _bench_arms(setup, bench)
        },
    }


def _about(sentence: str, query: Mapping[str, str]) -> Iterator[str]:
    """The settings, and the parts of a plan, that a refusal names between backticks."""
    listed = f"{query.get('controls', '')} {query.get('changes', '')}".replace(":", " ").replace(",", " ").split()
    known = {*names(), *query, *(part.partition("=")[0] for part in listed)}
    known |= {f"{file}.{part}" for file in ("csv", "flow") for part in ("name", "digest", "x", "y")}
    for quoted in sentence.split("`")[1::2]:
        name = quoted.partition(" = ")[0].partition(":")[0]
        if name in known:
            yield name


def _bench_arms(setup: Setup, bench: Any) -> Iterator[tuple[str, list[Arm]]]:
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


def _experiment(experiment: Experiment, setup: Setup) -> dict[str, Any]:
    """An experiment of the page with `setup`: of each arm what differs from the page's flow and training."""
    arms = [
        {
            "flow": beside(_flow(arm.flow), _flow(setup.flow)),
            "train": beside(to_json(arm.train), to_json(setup.train)),
            "data": _data(arm.data),
            "changes": len(arm.changes) if arm.changes == setup.changes else "others",
            "weights": arm.weights and digest(arm.weights),
            "seed": arm.seed,
        }
        for arm in experiment.arms
    ]
    return {"seed": experiment.seed, "device": experiment.device, "arms": with_seeds(arms)}


def _flow(config: Any) -> dict[str, Any] | None:
    if config is None:
        return None
    inside = {"flow": _flow(config.flow)} if isinstance(config, HybridConfig) else {}
    return {"is": KINDS[type(config)]} | to_json(config) | inside


def _data(data: Any) -> Any:
    if isinstance(data, str):
        return data
    if isinstance(data, Table):
        rows = data.values.astype("<f8").tobytes()
        return {"columns": data.names, "rows": len(data.values), "values": digest(rows), "labels": data.labels}
    return {"dims": data.dims, "flow": _flow(data.flow), "train": to_json(data.train)}


def arms(query: Mapping[str, str]) -> list[Arm]:
    """What a link trains: the page's flow, and those of the benches that it sets, each from its first seed alone."""
    link = read_link(query)
    changed = [bench for bench in link.benches if bench != type(bench)()]
    found = [arm for bench in changed for _, arms in _bench_arms(link.setup, bench) for arm in arms]
    return [*link.setup.experiment().arms, *(arm for arm in found if arm.seed in (None, link.setup.seed))]


def settings(query: Mapping[str, str]) -> Setup:
    """A link that is not refused anything. Raises ValueError."""
    link = read_link(query)
    if link.refused:
        raise ValueError(" ".join(link.refused))
    return link.setup
