"""As `subject.py`, of flows: their files, values, gradients and training."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from app import examples
from app.engine.experiment import Arm
from app.features.dimensions import digits
from app.lessons.progress import LessonProgress, Progress, as_file, from_file
from resflow_core.api import flow_file
from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.data.digits import DIGITS
from resflow_core.flow import Flow, Uncertified
from resflow_core.hybrid import HybridConfig
from resflow_core.norms.norm_orders import order_loss
from resflow_core.settings import to_json
from resflow_core.training.step_work import affords_exact_losses
from resflow_core.training.trainer import Trainer
from tests.golden.subject import settings


def flow_of(query: Mapping[str, str], dim: int = 2) -> nn.Module:
    """A flow as a link says it, in float32, with some weights."""
    return replace(settings(query).flow, dim=dim).build(torch.Generator().manual_seed(0))


def saved(flow: nn.Module, notes: dict[str, Any] | None = None) -> bytes:
    return flow_file.to_bytes(flow, notes)


def read_flow(data: bytes, dim: int) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    """The flow of a file, its settings and its notes. Raises ValueError."""
    flow = flow_file.from_bytes(data, dim)
    return flow, to_json(flow.config), flow_file.notes(data)


def examples_shipped() -> dict[str, tuple[Path, int]]:
    """The flows that come with the app: where their files are, and their dimensions."""
    folder = Path(examples.__file__).parent
    return {name: (folder / name, dim) for name, dim in (("checkerboard.safetensors", 2), ("digits.safetensors", 64))}


def read_progress(data: bytes) -> dict[str, Any]:
    """What a file of progress in lessons holds. Raises ValueError."""
    return {name: asdict(one) for name, one in from_file(data).lessons.items()}


def saved_progress(lessons: Mapping[str, Mapping[str, Any]]) -> bytes:
    return as_file(Progress({name: LessonProgress(**one) for name, one in lessons.items()}))


def peer_of(kind: str, dim: int) -> nn.Module:
    """A flow of another family, in float32, with some weights."""
    return BaselineConfig(kind, transforms=3, width=6, dim=dim).build(torch.Generator().manual_seed(0))


def peers() -> list[str]:
    return list(BASELINES)


def hybrid_of(query: Mapping[str, str] | None, classes: int) -> nn.Module:
    """A classifier of a flow's latent, or without a flow of the points, with some weights."""
    flow = None if query is None else settings(query).flow
    return HybridConfig(flow, classes, width=5).build(torch.Generator().manual_seed(0))


def log_prob(flow: nn.Module, x: Tensor, query: Mapping[str, str], draws: torch.Generator) -> Tensor:
    """log p(x), by the log det that a link says."""
    return flow.log_prob(x, settings(query).train.log_det, draws)


def descended_beside(flow: nn.Module) -> Tensor:
    """What training descends beside the loss of its data."""
    return order_loss(flow.branches if isinstance(flow, Flow) else [])


def hybrid_loss(hybrid: nn.Module, x: Tensor, y: Tensor, weight: float, query: Mapping[str, str], draws: Any) -> Tensor:
    return hybrid.losses(x, y, weight, settings(query).train.log_det, draws)[0]


def samples(flow: nn.Module, n: int, draws: torch.Generator) -> Tensor | None:
    """n draws; None where nothing certifies an inverse."""
    try:
        return flow.sample(n, draws)
    except Uncertified:
        return None


def inverse(flow: nn.Module, z: Tensor) -> Tensor | None:
    """The points that the flow takes to z; None where nothing certifies an inverse."""
    try:
        return flow.inverse(z)
    except Uncertified:
        return None


def data_sets() -> dict[str, Any]:
    """Each has `sample`, `held_out`, `classes`, `sample_labelled`, `truth`, which has `log_prob` and `entropy`."""
    return DATASETS


def losses(arm: Arm, seed: int, steps: int) -> list[float]:
    """What training says of each step."""
    data = DIGITS if arm.data == digits.DATA else DATASETS[arm.data]
    trainer = Trainer(arm.flow, arm.train, data, seed, exact_losses=affords_exact_losses(arm.flow))
    return [trainer.step() for _ in range(steps)]
