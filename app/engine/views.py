"""What the page of one experiment wants to see, what it was shown, and what is due next."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from app.engine.job import Job
from app.engine.messages import Demand, Frame

FRAME_SECONDS = 1 / 8
HELD_OUT_SECONDS = 1.0
SAMPLES_EVERY = 8


class View(IntEnum):
    """A kind of picture; of two that are due at once the smaller comes first."""

    FRAME = 0
    HELD_OUT = 1
    STILL = 2


@dataclass
class Shown:
    step: int = -1
    time: float = -math.inf


class Views:
    """Frames eight times a second and the held-out loss once a second while the flow moves; where it stands still,
    each once, and then the sharp picture."""

    def __init__(self) -> None:
        self.demand: Demand | None = None
        self.frames: list[tuple[Frame, ...]] = []  # not yet reported; one entry a time, in it one frame an arm
        self.stills: tuple[Frame, ...] = ()  # not yet reported
        self.curves_changed = False
        self._frame, self._held_out, self._still = Shown(), Shown(), Shown()
        self._count = 0
        self._pieces: Iterator[tuple[Frame, ...] | None] | None = None

    def want(self, demand: Demand) -> None:
        if demand != self.demand:
            self.start_over()
            self.demand = demand

    def start_over(self) -> None:
        """Show everything anew: another page looks, or the flows are others."""
        self._frame, self._held_out, self._still = Shown(), Shown(), Shown()
        self._count = 0
        self._pieces = None

    def next_due(self, step: int, moving: bool) -> tuple[float, View] | None:
        """When the next picture of flows at `step` is due, and which; None if the page has seen all it wants."""
        if moving:
            self._pieces = None
        if self.demand is None:
            return None
        due = []
        if self.demand.frames and self._frame.step != step:
            due.append((self._frame.time + FRAME_SECONDS * moving, View.FRAME))
        elif self.demand.frames and self.demand.still_grid and not moving and self._still.step != step:
            due.append((self._still.time, View.STILL))
        if self._held_out.step != step:
            due.append((self._held_out.time + HELD_OUT_SECONDS * moving, View.HELD_OUT))
        return min(due, default=None)

    def make(self, view: View, jobs: Sequence[Job], now: float, moving: bool) -> None:
        """Draw or measure `view` (of a sharp picture one piece) for all arms."""
        step = jobs[0].step_count
        if view is View.FRAME:
            with_samples = not moving or self._count % SAMPLES_EVERY == 0
            self.frames.append(tuple(job.frame(self.demand, with_samples=with_samples) for job in jobs))
            self._count += 1
            # In time with the last one, not after it: a frame waits for the end of a slice, and must not fall behind.
            due = self._frame.time + FRAME_SECONDS
            self._frame = Shown(step, due if now - due < FRAME_SECONDS else now)
        elif view is View.HELD_OUT:
            for job in jobs:
                job.measure_held_out()
            self.curves_changed = True
            self._held_out = Shown(step, now)
        else:
            self._pieces = self._pieces or _stills(jobs, self.demand)
            stills = next(self._pieces)
            self._still.time = now
            if stills is not None:
                self.stills, self._pieces = stills, None
                self._still.step = step


def _stills(jobs: Sequence[Job], demand: Demand) -> Iterator[tuple[Frame, ...] | None]:
    stills = []
    for job in jobs:
        for frame in job.still(demand):
            if frame is not None:
                stills.append(frame)
            if len(stills) < len(jobs):
                yield None
    yield tuple(stills)
