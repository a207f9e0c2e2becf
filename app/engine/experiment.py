"""What is trained: one or several *arms*, from one seed, that advance together.

Unpickling skips `__post_init__`, so whoever builds a flow from a received configuration validates it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resflow_core.baselines.zuko_flows import BaselineConfig
    from resflow_core.data import Table
    from resflow_core.flow import FlowConfig
    from resflow_core.hybrid import HybridConfig
    from resflow_core.measure.scaling import Plan
    from resflow_core.measure.survey import Survey
    from resflow_core.training.trainer import TrainConfig


@dataclass(frozen=True)
class Arm:
    """One flow, or a hybrid, how it is trained, and on what."""

    flow: FlowConfig | BaselineConfig | HybridConfig
    train: TrainConfig  # at step 0
    # A key of `DATASETS` or "digits", somebody's own rows, or what is measured (`job_kinds`).
    data: str | Table | Plan | Survey
    changes: tuple[tuple[int, TrainConfig], ...] = ()  # each takes over when that many steps are done
    weights: bytes | None = None  # a saved flow (`resflow_core.api.flow_file`) to start from; None: a new one
    seed: int | None = None  # of its own; None: that of the experiment
    by_torch: bool = False  # whatever else could compute it (`backends`)

    def __post_init__(self):
        for step, _ in self.changes:
            if not isinstance(step, int) or step < 0:
                raise ValueError(f"A change at step {step!r}: use a whole number from 0.")


@dataclass(frozen=True)
class Experiment:
    """Arms, at least one, that start from one seed and take the same number of steps."""

    arms: tuple[Arm, ...]
    seed: int
    device: str = "auto"  # a key of `resflow_core.training.device.DEVICES`
    # Of an arm of a comparison, which is a run of its own (`parts_of`): all arms, without weights; and its index there.
    whole: tuple[Arm, ...] = ()
    numbers: tuple[int, ...] = ()

    def __post_init__(self):
        if not self.arms:
            raise ValueError("arms = (): an experiment needs at least one arm.")


def parts_of(experiment: Experiment) -> tuple[Experiment, ...]:
    """Each arm as an experiment that knows of the others; itself, if it has only one."""
    if len(experiment.arms) == 1:
        return (experiment,)
    whole = tuple(replace(arm, weights=None) for arm in experiment.arms)  # which would be sent with each arm
    return tuple(replace(experiment, arms=(arm,), whole=whole, numbers=(k,)) for k, arm in enumerate(experiment.arms))
