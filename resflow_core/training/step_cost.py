"""The time of a training step before it is taken: an estimate by formula, good to a factor of about two."""

import time
from functools import cache

from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.training.step_work import PIECE_SECONDS, USUAL_SECONDS, piece_share, step_work
from resflow_core.training.trainer import AnyConfig, TrainConfig, Trainer

REFERENCE = FlowConfig(blocks=4, width=128, hidden_layers=2), TrainConfig(batch=512)
REFERENCE_STEPS = 4
MOST_POINTS = 2**16
SMALL_SECONDS = 0.05
"""Steps that take less than this on a usual machine need no measurement of the one at hand."""


def step_seconds(flow: AnyConfig, train: TrainConfig) -> float:
    """CPU seconds of one step with one thread on this machine, from the measured time of a step of `REFERENCE`.

    If a usual machine takes less than `SMALL_SECONDS`, its time is returned and nothing is measured.
    """
    work = step_work(flow, train).total
    usual = work * USUAL_SECONDS
    return usual if usual < SMALL_SECONDS else work * _seconds_per_work()


def piece_seconds(flow: AnyConfig, train: TrainConfig) -> float:
    """Of the longest piece of a step, which nothing interrupts: as `step_seconds`."""
    return step_seconds(flow, train) * piece_share(flow, train)


def points_a_piece(flow: AnyConfig) -> int:
    """At how many points the density of a flow is computed in `PIECE_SECONDS` on a usual machine: from 1 to
    `MOST_POINTS`."""
    return max(1, min(MOST_POINTS, int(PIECE_SECONDS / USUAL_SECONDS / _forward_work(flow))))


@cache
def _forward_work(flow: AnyConfig) -> float:
    """Of a point. The backward pass is twice as much."""
    return step_work(flow, TrainConfig(batch=2)).rows / (2 * 3)


@cache
def _seconds_per_work() -> float:
    flow, train = REFERENCE
    trainer = Trainer(flow, train, DATASETS["moons"], seed=0)
    times = []
    for _ in range(REFERENCE_STEPS):
        start = time.thread_time()
        trainer.step()
        times.append(time.thread_time() - start)
    return min(times) / step_work(flow, train).total
