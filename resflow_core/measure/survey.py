"""Bytes, time and noise of each way to differentiate the log det, against the number of terms n and of blocks m.

A plan is a list of pieces. Each gives one result, in short parts. All pieces have the same weights, points and draws,
so the plan determines all results except the times.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np
import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.flow import Flow, FlowConfig
from resflow_core.gradients import GRADIENTS
from resflow_core.log_det import Truncated
from resflow_core.measure.memory import LEAST_DRAWS, Cost, Footprint, NoLogDet, cost, footprint, subject, work
from resflow_core.training.parameter_count import parameter_count
from resflow_core.training.trainer import TrainConfig, bytes_of_products

SIZES = 5  # at most this many numbers of terms, and of blocks, are measured
# The limit for one pass, and for the gradients whose variance is computed.
MOST_BYTES = 2**28
# The limit for naive backpropagation, in small operations (`memory.work`). Half of them are its backward pass, in one
# part. Counting its bytes makes others wait for half a second. All other parts are shorter.
MOST_WORK = 100_000
NAIVE, BOTH, NOTHING = "plain", "in_forward", ""
"""Two of `GRADIENTS`, and the loss without a log det."""
WEIGHTS_SEED, DRAWS_SEED = 0, 1
REMEDY = "Lower terms, blocks, width or batch."

Result = Footprint | Cost


@dataclass(frozen=True)
class Place:
    """One measurement: a way to differentiate, n terms, m blocks. Without a log det, n is 0."""

    gradient: str
    n: int
    m: int

    @property
    def log_det(self) -> Truncated | NoLogDet:
        """The truncated series of this place, or no log det."""
        return Truncated(self.n, gradient=self.gradient) if self.gradient else NoLogDet()


@dataclass(frozen=True)
class SurveyPlan:
    """A plan: flows of up to `flow.blocks` blocks, and series of up to `terms` terms, at `batch` points.

    At each place `draws` passes are timed. Raises ValueError for batch < 2, terms < 1 or draws < `LEAST_DRAWS`.
    """

    flow: FlowConfig
    batch: int
    terms: int
    draws: int

    def __post_init__(self):
        for name, least in (("batch", 2), ("terms", 1), ("draws", LEAST_DRAWS)):
            if (value := getattr(self, name)) < least:
                raise ValueError(f"{name} = {value}: use {least} or more.")

    @property
    def term_ladder(self) -> list[int]:
        """The numbers of terms that are measured, ascending."""
        return _ladder(self.terms)

    @property
    def block_ladder(self) -> list[int]:
        """The numbers of blocks that are measured, ascending."""
        return _ladder(self.flow.blocks)

    @property
    def sized(self) -> list[Place]:
        """The places at which bytes are measured. Each gives a `Footprint`. They are the first pieces."""
        by_blocks = [Place(name, self.terms, k) for k in self.block_ladder[-2::-1] for name in GRADIENTS]
        return [*(Place(NOTHING, 0, k) for k in self.block_ladder), *self._by_terms, *by_blocks]

    @property
    def timed(self) -> list[Place]:
        """The places at which time and noise are measured. Each gives a `Cost`."""
        return [Place(NOTHING, 0, self.flow.blocks), *self._by_terms]

    @property
    def pieces(self) -> int:
        """The number of all results."""
        return len(self.sized) + len(self.timed)

    @property
    def problem(self) -> str | None:
        """Why the plan needs too much memory, as a sentence with the remedy, by a formula. None if it does not.

        `too_much_work` checks the time.
        """
        naive = TrainConfig(log_det=Truncated(self.terms, gradient=NAIVE), batch=self.batch)
        if (need := bytes_of_products(self.flow, naive)) > MOST_BYTES:
            return (
                f"Naive backpropagation would need about {_mebibytes(need)} for one pass; up to "
                f"{_mebibytes(MOST_BYTES)} are allowed. {REMEDY}"
            )
        if (need := 4 * self.draws * parameter_count(self.flow)) > MOST_BYTES:
            return (
                f"The gradients of {self.draws} passes would need {_mebibytes(need)}; up to {_mebibytes(MOST_BYTES)} "
                "are compared here. Lower passes, blocks, width or hidden layers."
            )
        return None

    @property
    def _by_terms(self) -> list[Place]:
        return [Place(name, k, self.flow.blocks) for k in self.term_ladder[::-1] for name in GRADIENTS]


def naive_work(plan: SurveyPlan) -> float:
    """The time of a pass of naive backpropagation, in small operations (`memory.work`).

    It grows linearly with m, and in each block linearly with n. So passes through one block with 1 and 2 terms are
    enough.
    """
    flow, x = subject(replace(plan.flow, blocks=1), plan.batch, _seeded(WEIGHTS_SEED))
    one, two = (work(flow, x, Place(NAIVE, n, 1).log_det, _seeded(DRAWS_SEED)) for n in (1, 2))
    return plan.flow.blocks * (one + (plan.terms - 1) * (two - one))


def too_much_work(plan: SurveyPlan) -> str | None:
    """Why the plan takes too long, as a sentence with the remedy. None if it does not."""
    if (need := naive_work(plan)) <= MOST_WORK:
        return None
    thousands = ceil(need / 1_000)
    return (
        f"Naive backpropagation would take as long as about {thousands:,},000 small operations for one pass; up to "
        f"{MOST_WORK:,} are measured here. {REMEDY} Fewer hidden layers, another activation or another constraint "
        "help too."
    )


class Subjects:
    """The flows of a plan, by their number of blocks, and the points. Each is built at its first use."""

    def __init__(self, plan: SurveyPlan):
        self._plan = plan
        self._built: dict[int, tuple[Flow, Tensor]] = {}

    def piece(self, k: int, breathe: Breathe = without) -> Result:
        """The result of the piece of this number, from 0. Raises IndexError if the plan has no such piece."""
        sized, timed = self._plan.sized, self._plan.timed
        place = (*sized, *timed)[k]
        if place.m not in self._built:
            config = replace(self._plan.flow, blocks=place.m)
            self._built[place.m] = subject(config, self._plan.batch, _seeded(WEIGHTS_SEED))
            breathe()
        flow, x = self._built[place.m]
        if k < len(sized):
            return footprint(flow, x, place.log_det, _seeded(DRAWS_SEED), breathe)
        return cost(flow, x, place.log_det, _seeded(DRAWS_SEED), self._plan.draws, breathe=breathe)


@dataclass(frozen=True)
class Survey:
    """The results of the first pieces of a plan, in their order."""

    of: SurveyPlan
    results: tuple[Result, ...] = ()

    @property
    def step(self) -> int:
        """The number of pieces that are done."""
        return len(self.results)

    @property
    def complete(self) -> bool:
        """Whether all pieces are done."""
        return self.step >= self.of.pieces

    @cached_property
    def footprints(self) -> dict[Place, Footprint]:
        """The bytes measured so far, by place."""
        return dict(zip(self.of.sized, self.results, strict=False))

    @cached_property
    def costs(self) -> dict[Place, Cost]:
        """The times and noise measured so far, by place."""
        return dict(zip(self.of.timed, self.results[len(self.of.sized) :], strict=False))

    def bytes_at(self, place: Place, drawn: str, alone: bool) -> float:
        """The bytes of a place; `drawn` is a field of `Footprint`. NaN if they are not measured yet.

        With `alone`, the bytes of the same loss without a log det are subtracted.
        """
        found, base = (self.footprints.get(p) for p in (place, Place(NOTHING, 0, place.m)))
        if found is None or (alone and base is None):
            return np.nan
        return float(getattr(found, drawn) - (getattr(base, drawn) if alone else 0))


def _ladder(most: int) -> list[int]:
    return sorted({round(k) for k in np.linspace(1, most, SIZES)})


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _mebibytes(bytes: int) -> str:
    return f"{bytes / 2**20:,.0f} MiB"
