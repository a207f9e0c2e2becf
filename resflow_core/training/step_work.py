"""The work of a training step by formula, good to a factor of about two, and the parts of a long one."""

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from resflow_core.baselines.coupling import CouplingConfig
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.flow import FlowConfig, needs_jacobians
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Exact, LogDet
from resflow_core.log_det import Work as WorkOfLogDet
from resflow_core.training.parameter_count import parameter_count, units_of_block

if TYPE_CHECKING:
    from resflow_core.training.trainer import AnyConfig, TrainConfig

# Costs in multiply-adds of a matrix product: of a hidden unit in a pass, and of a parameter in a step (the norm of its
# layer, the optimiser). Fitted to steps of 2 to 32 blocks, widths 8 to 256, batches 64 to 4,096.
UNIT, PARAMETER = 100, 3750
# A series takes this many passes besides its terms: values, and the gradients of one product and of the path to z.
BESIDE_TERMS = 7
# Where A is at hand, a term is a product of d x d matrices: so many multiply-adds of a row in a block.
MATRIX_TERM = 1000
USUAL_SECONDS = 2e-11
"""Per multiply-add, on a usual machine with one thread."""
PART_SECONDS = 0.05
"""A step that takes longer on a usual machine is taken in parts of this length, so that nothing waits for it. Not the
machine at hand: a run has the same parts, and so the same rounding, on all."""
MOST_POINTS = 2**16


class Work(NamedTuple):
    """In multiply-adds; all other work is converted to them."""

    rows: float  # for the points of the batch
    once: float  # however many they are

    @property
    def total(self) -> float:
        return self.rows + self.once


def affords_exact_losses(flow: "AnyConfig") -> bool:
    """Whether the exact NLL of every batch is worth its time, for any training loss.

    It is in the plane. In higher dimensions it takes longer than the step.
    """
    return flow.dim == 2


@lru_cache(maxsize=256)
def part_count(flow: "AnyConfig", train: "TrainConfig") -> int:
    """In how many parts a step goes through its batch, at least a point each. Work that is done once is done in each
    of them, except for the exact log det of a residual flow, so parts are not much shorter than that."""
    work, least = step_work(flow, train), PART_SECONDS / USUAL_SECONDS
    if isinstance(flow, FlowConfig) and train.log_det == Exact():
        parts = max(math.ceil(work.rows / least), 1 + (work.once > least))  # of several, norms come apart too
    else:
        parts = math.ceil(work.rows / max(least, work.once))
    return max(1, min(train.batch, parts))


@lru_cache(maxsize=256)
def points_a_part(flow: "AnyConfig") -> int:
    """At how many points the density of a flow is computed in `PART_SECONDS` on a usual machine: from 1 to
    `MOST_POINTS`."""
    of_point = _pass_work(flow, Exact(), 2).rows / (2 * 3)  # the backward pass is twice as much
    return max(1, min(MOST_POINTS, int(PART_SECONDS / USUAL_SECONDS / of_point)))


def step_work(flow: "AnyConfig", train: "TrainConfig") -> Work:
    """Of one step, forward and backward.

    With P weights and u units in a block, and r rows that pass c times:  blocks (r c (P + `UNIT` u) + `PARAMETER` P).
    For the exact log det, values and d tangents pass, and the backward pass is twice as much: c = 3 (1 + d).
    """
    return _pass_work(flow, train.log_det, train.batch)


def _pass_work(flow: "AnyConfig", log_det: LogDet, batch: int) -> Work:
    if isinstance(flow, HybridConfig):
        head = _work(batch * 3, sum(flow.head_widths), parameter_count(flow) - _parameters_within(flow))
        density: Any = flow.flow
        inner = _pass_work(density, log_det, batch) if density else Work(0.0, 0.0)
        return Work(head.rows + inner.rows, head.once + inner.once)
    if isinstance(flow, BaselineConfig | CouplingConfig):
        moving = flow.dim * (7 * flow.outputs + 8)
        units = flow.transforms * (flow.width * flow.hidden_layers + moving)
        return _work(batch * 3, units, parameter_count(flow))
    units = flow.blocks * units_of_block(flow)
    through = _work(_rows_times_passes(log_det, batch, flow), units, parameter_count(flow))
    return through._replace(rows=through.rows + _matrix_terms(log_det, batch, flow) * MATRIX_TERM)


def _work(rows_times_passes: float, units: int, weights: int) -> Work:
    return Work(rows_times_passes * (weights + UNIT * units), PARAMETER * weights)


def _rows_times_passes(log_det: LogDet, batch: int, flow: FlowConfig) -> float:
    work, exact = log_det.work(batch), 1 + flow.dim
    if not work.terms:
        return batch * 3 * exact
    if needs_jacobians(log_det, flow.dim):
        return batch * 4 * exact  # and the exact losses
    return work.rows * (BESIDE_TERMS + _terms(work)) + (batch * exact if affords_exact_losses(flow) else 0)


def _matrix_terms(log_det: LogDet, batch: int, flow: FlowConfig) -> int:
    work = log_det.work(batch)
    return flow.blocks * work.rows * _terms(work) if work.terms and needs_jacobians(log_det, flow.dim) else 0


def _terms(work: WorkOfLogDet) -> int:
    """Powers that are differentiated also go backward, and so do their derivatives."""
    return work.terms + 3 * max(work.kept, work.at_once)


def _parameters_within(flow: HybridConfig) -> int:
    return parameter_count(flow.flow) if flow.flow else 0
