"""All measurements of one bench: which are wanted, and those that are there. Pure: no page, no pictures."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from app.memory.settings import Memory
from resflow_core.flow import Flow, FlowConfig
from resflow_core.gradients import GRADIENTS
from resflow_core.log_det import Truncated
from resflow_core.measure import Cost, Footprint, NoLogDet, cost, footprint, subject
from resflow_core.training import TrainConfig, step_bytes

CHUNK_SECONDS = 0.3
SIZES = 5  # numbers of terms, and of blocks, that are measured
# A pass that needs more takes longer than a page should wait.
MOST_BYTES = 2**28
NAIVE, BOTH, NOTHING = "plain", "in_forward", ""
"""Two of `GRADIENTS`, and the loss without a log det."""
WEIGHTS_SEED, DRAWS_SEED = 0, 1
# One session at a time: two would find each other in their times, and leave torch with the other's one thread.
ALONE = threading.Lock()


@dataclass(frozen=True)
class Subject:
    """What is measured: flows of up to `flow.blocks` blocks, series of up to `terms` terms."""

    flow: FlowConfig
    batch: int
    terms: int
    draws: int

    @property
    def term_ladder(self) -> list[int]:
        return _ladder(self.terms)

    @property
    def block_ladder(self) -> list[int]:
        return _ladder(self.flow.blocks)

    @property
    def problem(self) -> str | None:
        """Why this is not measured, as a sentence with the remedy."""
        naive = TrainConfig(log_det=Truncated(self.terms, gradient=NAIVE), batch=self.batch)
        if (need := step_bytes(self.flow, naive)) <= MOST_BYTES:
            return None
        return (
            f"Naive backpropagation would need about {need / 2**20:,.0f} MiB for one pass; up to "
            f"{MOST_BYTES >> 20} MiB are measured here. Lower terms, blocks, width or batch."
        )


def subject_of(bench: Memory, flow: FlowConfig) -> Subject:
    """The flow of the page with the sizes of the bench."""
    flow = replace(flow, dim=int(bench.dim), blocks=bench.blocks, width=bench.width)
    return Subject(flow, bench.batch, bench.terms, bench.draws)


@dataclass(frozen=True)
class Place:
    """One measurement: a way to differentiate, n terms, m blocks. Without a log det n is 0."""

    gradient: str
    n: int
    m: int


@dataclass
class Survey:
    """`footprints` and `costs` as far as they are measured; the same draws for all ways."""

    of: Subject
    footprints: dict[Place, Footprint] = field(default_factory=dict)
    costs: dict[Place, Cost] = field(default_factory=dict)
    done: int = 0
    stopped: bool = False

    def __post_init__(self):
        self._work = self._pieces()
        self._flows: dict[int, tuple[Flow, Tensor]] = {}

    @property
    def total(self) -> int:
        """Pieces of all of it."""
        sized, timed = self._places()
        return len(sized) + len(timed) * (self.of.draws + 1)

    @property
    def complete(self) -> bool:
        return self.done >= self.total

    @property
    def busy(self) -> bool:
        return not self.stopped and not self.complete

    def stop(self) -> None:
        self.stopped = True

    def resume(self) -> None:
        self.stopped = False

    def go_on(self) -> None:
        """Measure for about `CHUNK_SECONDS`, and at least one piece."""
        with ALONE:
            until, threads = time.monotonic() + CHUNK_SECONDS, torch.get_num_threads()
            torch.set_num_threads(1)  # as in the worker: for tensors of this size a second one is in the way
            try:
                while self.busy:
                    next(self._work)
                    self.done += 1
                    if time.monotonic() >= until:
                        return
            finally:
                torch.set_num_threads(threads)

    def bytes_at(self, place: Place, drawn: str, alone: bool) -> float:
        """Bytes as `Footprint` names them; `alone` without those of the same loss that has no log det. NaN before."""
        found, base = (self.footprints.get(p) for p in (place, Place(NOTHING, 0, place.m)))
        if found is None or (alone and base is None):
            return np.nan
        return float(getattr(found, drawn) - (getattr(base, drawn) if alone else 0))

    def _places(self) -> tuple[list[Place], list[Place]]:
        """Where bytes are measured, and where time and noise."""
        n, m = self.of.terms, self.of.flow.blocks
        by_terms = [Place(name, k, m) for k in self.of.term_ladder[::-1] for name in GRADIENTS]
        by_blocks = [Place(name, n, k) for k in self.of.block_ladder[-2::-1] for name in GRADIENTS]
        without = [Place(NOTHING, 0, k) for k in self.of.block_ladder]
        return [*without, *by_terms, *by_blocks], [without[-1], *by_terms]

    def _pieces(self) -> Iterator[None]:
        sized, timed = self._places()
        for place in sized:
            flow, x = self._flow(place.m)
            self.footprints[place] = footprint(flow, x, _log_det(place), _seeded(DRAWS_SEED))
            yield
        for place in timed:
            flow, x = self._flow(place.m)
            for found in cost(flow, x, _log_det(place), _seeded(DRAWS_SEED), self.of.draws):
                if found:
                    self.costs[place] = found
                yield

    def _flow(self, blocks: int) -> tuple[Flow, Tensor]:
        if blocks not in self._flows:
            config = replace(self.of.flow, blocks=blocks)
            self._flows[blocks] = subject(config, self.of.batch, _seeded(WEIGHTS_SEED))
        return self._flows[blocks]


def per_step(x: list[int], y: list[float]) -> float:
    """The slope of the straight line that fits best (least squares); NaN while a point is missing."""
    return float(np.polyfit(x, y, 1)[0]) if len(x) > 1 and np.isfinite(y).all() else np.nan


def _ladder(most: int) -> list[int]:
    return sorted({round(k) for k in np.linspace(1, most, SIZES)})


def _log_det(place: Place) -> Truncated | NoLogDet:
    return Truncated(place.n, gradient=place.gradient) if place.gradient else NoLogDet()


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
