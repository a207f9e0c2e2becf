"""Saved flows and progress files of each kind that can be read, and what is read from them."""

import json
from collections.abc import Iterator

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from tests.golden import subject_flows
from tests.golden.flows import drawn, points
from tests.golden.stored import FOLDER, digest, hexed, save

NAME, PLACE = "files.json", FOLDER / "files"
TINY = {"blocks": "1", "width": "4", "hidden_layers": "1"}
ACTIVATIONS = ("relu", "sine", "celu", "lipswish", "clipswish", "cpila")
NORMS, CONSTRAINTS, BRANCHES = ("inf", "mixed", "learned"), ("off", "power"), ("residual", "dense")
"""Those that have tensors or settings of their own in a file, and one that has none. The others are names, and
`links.json` holds every name."""
FORMULAS = {"formula": "=sin(2*z)/2 + z/4", "formula-kinked": "=max(z, 0.1*z)"}
LATER = ("norms", "constraint")
"""Settings that the first files did not have."""
PROGRESS = {
    "series": {
        "seen": ["start", "terms"],
        "answers": {"a word": "Wörter, \"so\"", "a number": 3, "a decimal": 0.1, "yes": True, "large": 1.5e20},
        "truths": {"a number": 4, "a decimal": -1.5e-9, "a choice": "b"},
        "done": ["terms-done", "terms-check"],
    },
    "a lesson that is gone": {"seen": [], "answers": {}, "truths": {}, "done": []},
}  # fmt: skip
MOST_POINTS = 5


def flows() -> Iterator[tuple[str, dict[str, str], int]]:
    """Name, link and dimension of every flow that is saved."""
    yield "sine", {"blocks": "2", "width": "8"}, 2
    for name in ACTIVATIONS:
        yield f"activation-{name}", {**TINY, "activation": name}, 2
    for name, text in FORMULAS.items():
        yield name, {**TINY, "activation": text}, 2
    for name in NORMS:
        yield f"norms-{name}", {**TINY, "norms": name, "activation": "tanh"}, 2
    for name in CONSTRAINTS:
        yield f"constraint-{name}", {**TINY, "constraint": name, "activation": "elu"}, 2
    for name in BRANCHES:
        yield f"branch-{name}", {**TINY, "branch": name, "hidden_layers": "2", "activation": "clipswish"}, 2
    yield "constraint-bjorck-3", {**TINY, "constraint": "bjorck", "constraint.steps": "3"}, 2
    yield (
        "constraint-power-cold",
        {**TINY, "constraint": "power", "constraint.warm": "False", "constraint.iterations": "4"},
        2,
    )
    yield "deep", {**TINY, "hidden_layers": "4", "budget": "0.9", "activation": "lipswish"}, 2
    yield "no-actnorm", {**TINY, "blocks": "2", "actnorm": "False"}, 2
    yield "dim-4", TINY, 4
    yield "dim-1", TINY, 1


def make() -> None:
    """Files that are stored stay as they are; what is read from each is noted anew."""
    PLACE.mkdir(exist_ok=True)
    for name, data in written():
        if not (PLACE / name).exists():
            (PLACE / name).write_bytes(data)
    save(NAME, found(), open_levels=3)


def written() -> Iterator[tuple[str, bytes]]:
    """Every file of today, and from the first of them what came before."""
    for name, query, dim in flows():
        data = subject_flows.saved(drawn(subject_flows.flow_of(query, dim), seed=1))
        yield f"{name}.safetensors", data
        if name == "sine":
            for left_out in (LATER, LATER[:1], LATER[1:]):
                yield f"first-without-{'-'.join(left_out)}.safetensors", without(data, left_out)
    noted = drawn(subject_flows.flow_of(TINY), seed=2)
    yield (
        "notes.safetensors",
        subject_flows.saved(noted, {"steps": 20, "curve": [[0, 1.5], [20, 0.25]], "title": "Zwölf"}),
    )
    yield "refused-format-2.safetensors", renamed(data, "residual flow 2")
    progress = subject_flows.saved_progress(PROGRESS)
    yield "progress-1.json", progress
    yield "progress-1-long-number.json", progress.replace(b'"a number": 3', b'"a number": 12345678901234567890')
    yield "progress-1-empty.json", subject_flows.saved_progress({})
    yield "progress-refused-2.json", progress.replace(b'"version": 1', b'"version": 2')
    yield "progress-refused-part.json", progress.replace(b'"truths"', b'"truth"')


def found() -> dict[str, dict]:
    """What is read from every stored file, and from those that come with the app."""
    flows = {path.name: (path, 2) for path in sorted(PLACE.glob("*.safetensors"))}
    flows |= {name: (path, int(name.partition("-")[2][0])) for name, (path, _) in flows.items() if name[:4] == "dim-"}
    shipped = {f"shipped {name}": where for name, where in subject_flows.examples_shipped().items()}
    return {
        "flows": {name: of_flow(path.read_bytes(), dim) for name, (path, dim) in (flows | shipped).items()},
        "progress": {path.name: of_progress(path.read_bytes()) for path in sorted(PLACE.glob("progress*.json"))},
    }


def of_flow(data: bytes, dim: int) -> dict:
    """`again`: whether the flow is written as the file is."""
    about = {"digest": digest(data), "dim": dim}
    try:
        flow, settings, notes = subject_flows.read_flow(data, dim)
    except ValueError:
        return about | {"refused": True}
    about |= {"settings": settings, "notes": notes, "again": subject_flows.saved(flow, notes) == data}
    with torch.no_grad():
        log_prob = flow.double().log_prob(points(MOST_POINTS, dim, seed=3))
    return about | {"log_prob": hexed(log_prob)}


def with_numbers(about: dict) -> dict:
    """The same, with the log densities as numbers."""
    return {name: [*map(float.fromhex, value)] if name == "log_prob" else value for name, value in about.items()}


def of_progress(data: bytes) -> dict:
    try:
        lessons = subject_flows.read_progress(data)
    except ValueError:
        return {"refused": True}
    return {"lessons": lessons, "again": subject_flows.saved_progress(lessons) == data}


def without(data: bytes, names: tuple[str, ...]) -> bytes:
    """The file of a flow without some of its settings."""
    ((key, text),) = metadata(data).items()
    return save_tensors(
        load_tensors(data), {key: json.dumps({k: v for k, v in json.loads(text).items() if k not in names})}
    )


def renamed(data: bytes, key: str) -> bytes:
    """The file of a flow in a format of another name."""
    return save_tensors(load_tensors(data), {key: next(iter(metadata(data).values()))})


def metadata(data: bytes) -> dict[str, str]:
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
