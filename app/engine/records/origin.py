"""What the numbers of a run follow from, beside how it is trained: equal for experiments that begin alike."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.engine.experiment import Arm, Experiment
from resflow_core.data import Table

if TYPE_CHECKING:
    from resflow_core.baselines.zuko_flows import BaselineConfig
    from resflow_core.flow import FlowConfig
    from resflow_core.hybrid import HybridConfig


@dataclass(frozen=True)
class ArmOrigin:
    """Of one arm. Own rows and saved weights are digests: two uploads of one file are equal, although a `Table` is
    equal to itself only, and nobody's file is held for the sake of a comparison."""

    flow: "FlowConfig | BaselineConfig | HybridConfig"
    data: str | bytes  # a name, or the digest of own rows
    weights: bytes | None
    seed: int
    by_torch: bool


@dataclass(frozen=True)
class Origin:
    arms: tuple[ArmOrigin, ...]
    device: str


def origin_of(experiment: Experiment) -> Origin | None:
    """None for a measurement, whose times no other run repeats."""
    arms = tuple(found for arm in experiment.arms if (found := _of_arm(arm, experiment.seed)))
    return Origin(arms, experiment.device) if len(arms) == len(experiment.arms) else None


def _of_arm(arm: Arm, seed: int) -> ArmOrigin | None:
    if not isinstance(arm.data, str | Table):
        return None
    data = _digest_of_rows(arm.data) if isinstance(arm.data, Table) else arm.data
    weights = None if arm.weights is None else hashlib.sha256(arm.weights).digest()
    return ArmOrigin(arm.flow, data, weights, seed if arm.seed is None else arm.seed, arm.by_torch)


def _digest_of_rows(table: Table) -> bytes:
    """In full, since visitors share what it finds: no file can be made to pass for another. Names and units change no
    number."""
    rows = hashlib.sha256(table.values.tobytes())
    rows.update(repr(table.labels).encode())
    return rows.digest()
