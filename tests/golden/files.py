"""Saved flows and progress files of each kind that can be read, and what is read from them. They lie in `files/`; a new
kind is put there by hand."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from app import examples
from app.lessons.progress import LessonProgress, Progress, as_file, from_file
from resflow_core.api import flow_file
from resflow_core.settings import to_json
from tests.golden.stored import FOLDER, save
from tests.golden.values import points

NAME, PLACE = "files.json", FOLDER / "files"
SHIPPED = {"shipped checkerboard.safetensors": 2, "shipped digits.safetensors": 64}
"""The flows that come with the app, and their dimensions."""
POINTS = 5


def make() -> None:
    save(NAME, found(), open_levels=2)


def found() -> dict[str, dict[str, Any]]:
    """What is read from every stored file, and from those that come with the app."""
    flows = {path.name: (path, _dim(path)) for path in sorted(PLACE.glob("*.safetensors"))}
    folder = Path(examples.__file__).parent
    flows |= {name: (folder / name.removeprefix("shipped "), dim) for name, dim in SHIPPED.items()}
    return {
        "flows": {name: of_flow(path.read_bytes(), dim) for name, (path, dim) in flows.items()},
        "progress": {path.name: of_progress(path.read_bytes()) for path in sorted(PLACE.glob("progress*.json"))},
    }


def _dim(path: Path) -> int:
    return int(path.stem.removeprefix("dim-")) if path.name.startswith("dim-") else 2


def of_flow(data: bytes, dim: int) -> dict[str, Any]:
    """`again`: whether the flow is written as the file is."""
    try:
        flow, notes = flow_file.from_bytes(data, dim), flow_file.notes(data)
    except ValueError:
        return {"refused": True}
    again = flow_file.to_bytes(flow, notes) == data
    with torch.no_grad():
        log_prob = flow.double().log_prob(points(POINTS, dim, seed=3)).tolist()
    return {"settings": to_json(flow.config), "notes": notes, "again": again, "log_prob": log_prob}


def of_progress(data: bytes) -> dict[str, Any]:
    try:
        lessons = {name: asdict(one) for name, one in from_file(data).lessons.items()}
    except ValueError:
        return {"refused": True}
    again = as_file(Progress({name: LessonProgress(**one) for name, one in lessons.items()})) == data
    return {"lessons": json.loads(json.dumps(lessons)), "again": again}
