"""The time of a training step before it is taken: an estimate by formula, good to a factor of about two."""

import time
from functools import cache

from resflow_core.activations import activation_named
from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import LogDet
from resflow_core.training.parameter_count import parameter_count
from resflow_core.training.trainer import AnyConfig, TrainConfig, Trainer, affords_exact_losses

# Costs in multiply-adds of a matrix product: of a hidden unit in a pass, and of a parameter in a step (the norm of its
# layer, the optimiser). Fitted to steps of 2 to 32 blocks, widths 8 to 256, batches 64 to 4,096.
UNIT, PARAMETER = 100, 3750
# A series takes this many passes besides its terms: values, and the gradients of one product and of the path to z.
BESIDE_TERMS = 7
REFERENCE = FlowConfig(blocks=4, width=128, hidden_layers=2), TrainConfig(batch=512)
REFERENCE_STEPS = 4
# Seconds per multiply-add of a usual machine. Steps below SMALL_SECONDS there need no measurement of this machine.
USUAL_SECONDS, SMALL_SECONDS = 2e-11, 0.05


def step_seconds(flow: AnyConfig, train: TrainConfig) -> float:
    """CPU seconds of one step with one thread on this machine, from the measured time of a step of `REFERENCE`.

    If a usual machine takes less than `SMALL_SECONDS`, its time is returned and nothing is measured.
    """
    work = step_work(flow, train)
    usual = work * USUAL_SECONDS
    return usual if usual < SMALL_SECONDS else work * _seconds_per_work()


def step_work(flow: AnyConfig, train: TrainConfig) -> float:
    """Multiply-adds of one step, forward and backward, with all other work converted to multiply-adds.

    With P weights and u units in a block, and r rows that pass c times:  blocks (r c (P + `UNIT` u) + `PARAMETER` P).
    For the exact log det, values and d tangents pass, and the backward pass is twice as much: c = 3 (1 + d).
    """
    if isinstance(flow, HybridConfig):
        head = _work(train.batch * 3, sum(flow.head_widths), parameter_count(flow) - _parameters_within(flow))
        return head + (step_work(flow.flow, train) if flow.flow else 0.0)
    if isinstance(flow, BaselineConfig):
        moving = flow.dim * (7 * BASELINES[flow.kind].outputs + 8)
        units = flow.transforms * (flow.width * flow.hidden_layers + moving)
        return _work(train.batch * 3, units, parameter_count(flow))
    copies = activation_named(flow.activation).copies
    units = flow.blocks * (flow.dim + flow.width * flow.hidden_layers) * copies
    return _work(_rows_times_passes(train.log_det, train.batch, flow), units, parameter_count(flow))


def _work(rows_times_passes: float, units: int, weights: int) -> float:
    return rows_times_passes * (weights + UNIT * units) + PARAMETER * weights


def _rows_times_passes(log_det: LogDet, batch: int, flow: FlowConfig) -> float:
    work, exact = log_det.work(batch), 1 + flow.dim
    if not work.terms:
        return batch * 3 * exact
    # Powers that are differentiated also go backward, and so do their derivatives.
    terms = work.terms + 3 * max(work.kept, work.at_once)
    return work.rows * (BESIDE_TERMS + terms) + (batch * exact if affords_exact_losses(flow) else 0)


def _parameters_within(flow: HybridConfig) -> int:
    return parameter_count(flow.flow) if flow.flow else 0


@cache
def _seconds_per_work() -> float:
    flow, train = REFERENCE
    trainer = Trainer(flow, train, DATASETS["moons"], seed=0)
    times = []
    for _ in range(REFERENCE_STEPS):
        start = time.thread_time()
        trainer.step()
        times.append(time.thread_time() - start)
    return min(times) / step_work(flow, train)
