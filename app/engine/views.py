"""What the page of one experiment wants to see, what it was shown, and what is due next."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from app.engine.job import Job
from app.engine.messages import (
    Activity,
    Bounds,
    Derivatives,
    FarAway,
    Frame,
    Inversions,
    Jacobians,
    Masses,
    ViewRequest,
)
from resflow_core.measure import BlockTable

HELD_OUT_SECONDS = 1.0
MASS_SECONDS = 5.0
JACOBIANS_SECONDS = 5.0
INVERSION_SECONDS, INVERSION_PIECE_SECONDS = 2.0, 0.05
ACTIVITY_SECONDS = 3.0
DERIVATIVES_SECONDS = 2.0
FAR_SECONDS = 3.0
FIGURES_SECONDS = 2.0
# Between two pieces of a measurement that goes on while frames do.
PIECE_SECONDS = 0.2
SAMPLES_EVERY = 8
# Cells on a side of the window in the mass meter's quadrature.
MASS_CELLS, ROUGH_MASS_CELLS = 128, 40


class View(IntEnum):
    """A kind of picture; of two that are due at once the smaller comes first."""

    FRAME = 0
    HELD_OUT = 1
    STILL = 2
    MASS = 3  # of a flow that stands still
    ROUGH_MASS = 4  # of one that moves
    JACOBIANS = 5
    INVERSION = 6
    ACTIVITY = 7
    DERIVATIVES = 8
    FAR = 9
    FIGURES = 10


# What of the demand each of them depends on: none at all where nobody wants it.
WANTED: dict[View, Callable[[ViewRequest], Any]] = {
    View.FRAME: lambda d: d.frames and (d.grid, d.points, d.pictured, d.ways, d.samples, d.depth, d.scaled),
    View.HELD_OUT: lambda d: (d.scaled, d.bounds),
    View.STILL: lambda d: (
        d.frames and d.still_grid and (d.still_grid, d.points, d.pictured, d.ways, d.samples, d.scaled)
    ),
    View.MASS: lambda d: d.masses and (d.scaled,),
    View.ROUGH_MASS: lambda d: d.masses and (d.scaled,),
    View.JACOBIANS: lambda d: d.jacobians and (d.jacobians, d.points, d.scaled),
    View.INVERSION: lambda d: d.inversion and (d.inversion, d.scaled),
    View.ACTIVITY: lambda d: d.activity and (d.activity, d.scaled),
    View.DERIVATIVES: lambda d: d.derivatives and (d.pictured, d.scaled),
    View.FAR: lambda d: d.far,
    View.FIGURES: lambda d: d.figures,
}

# Of what is made in pieces, a job after the other: the part of the news that it is, and how a job makes it.
MADE: dict[View, tuple[str, Callable[[Job, ViewRequest], Iterator]]] = {
    View.STILL: ("still", lambda job, d: job.still(d)),
    View.MASS: ("masses", lambda job, d: job.masses(d, MASS_CELLS)),
    View.ROUGH_MASS: ("masses", lambda job, d: job.masses(d, ROUGH_MASS_CELLS)),
    View.JACOBIANS: ("jacobians", lambda job, d: job.jacobians(d)),
    View.INVERSION: ("inversion", lambda job, d: job.inversion(d)),
    View.ACTIVITY: ("activity", lambda job, d: job.activity(d)),
    View.DERIVATIVES: ("derivatives", lambda job, d: job.derivatives(d)),
    View.FAR: ("far", lambda job, d: job.far()),
    View.FIGURES: ("figures", lambda job, d: job.figures(d)),
}


@dataclass
class Shown:
    step: int = -1
    time: float = -math.inf


@dataclass
class News:
    """What was drawn and is not reported yet: an entry an arm in each tuple, or none. An entry is None where that is
    not wanted of an arm, or it has none of it."""

    frames: list[tuple[Frame | None, ...]] = field(default_factory=list)  # an entry a time
    still: tuple[Frame | None, ...] = ()
    masses: tuple[Masses, ...] = ()
    blocks: tuple[BlockTable | None, ...] = ()  # and the held-out losses with them
    bounds: tuple[Bounds, ...] = ()  # with them too, where they are wanted
    jacobians: tuple[Jacobians, ...] = ()
    inversion: tuple[Inversions, ...] = ()
    activity: tuple[Activity, ...] = ()
    derivatives: tuple[Derivatives | None, ...] = ()
    far: tuple[FarAway, ...] = ()
    figures: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def of(self, arm_index: int) -> dict[str, Any]:
        """The parts of one arm's report."""
        newest = {name: arms for name, arms in vars(self).items() if name != "frames"}
        return {
            "frames": tuple(frames[arm_index] for frames in self.frames if frames[arm_index]),
            **{name: arms[arm_index] if arms else None for name, arms in newest.items()},
        }


class Views:
    """Frames eight times a second, the held-out loss once a second, masses and Jacobians every five while the flow
    moves; where it stands still, each once, and the sharp picture."""

    def __init__(self, arms: int) -> None:
        self._arms = arms
        self.demand: ViewRequest | None = None
        self.news = News()
        self.start_over()

    def start_over(self) -> None:
        """Show everything anew: another page looks, or the flows are others."""
        self._shown = {view: Shown() for view in View}
        self._count = 0
        # Of what takes longer than others can wait, and when it was begun.
        self._pieces: dict[View, tuple[float, Iterator[tuple | None]]] = {}

    @property
    def hold_still(self) -> bool:
        """Whether some arms are measured and others not yet, which must stay at the same step until they are."""
        return View.HELD_OUT in self._pieces

    def want(self, demand: ViewRequest) -> None:
        before, self.demand = self.demand, demand
        for view, wanted in WANTED.items():
            if before is None or wanted(before) != wanted(demand):
                self._forget(view)

    def _forget(self, view: View) -> None:
        """Draw it anew, and at once."""
        self._shown[view] = Shown()
        self._pieces.pop(view, None)

    def estimator_changed(self) -> None:
        """Measure anew what depends on how training gets the log det."""
        for view in (View.HELD_OUT, View.MASS, View.ROUGH_MASS):
            self._forget(view)

    def next_due(self, step: int, moving: bool) -> tuple[float, View] | None:
        """When the next picture of flows at `step` is due, and which; None if the page has seen all it wants."""
        for view in (View.STILL, View.MASS) if moving else (View.ROUGH_MASS,):
            self._pieces.pop(view, None)
        if self.demand is None:
            return None
        if self.hold_still:
            return self._shown[View.HELD_OUT].time, View.HELD_OUT
        return min(((self._shown[view].time + wait, view) for view, wait in self._wanted(step, moving)), default=None)

    def _wanted(self, step: int, moving: bool) -> Iterator[tuple[View, float]]:
        """What the page has not seen of `step`, and how long after the last of its kind it is due."""
        new = {view for view, shown in self._shown.items() if shown.step != step and WANTED[view](self.demand)}
        if View.HELD_OUT in new:
            yield View.HELD_OUT, HELD_OUT_SECONDS * moving
        if View.FRAME in new:
            yield View.FRAME, self.demand.frame_seconds * moving
        for view, seconds, between in (
            (View.JACOBIANS, JACOBIANS_SECONDS, PIECE_SECONDS),
            (View.INVERSION, INVERSION_SECONDS, INVERSION_PIECE_SECONDS),
            (View.ACTIVITY, ACTIVITY_SECONDS, INVERSION_PIECE_SECONDS),
            (View.DERIVATIVES, DERIVATIVES_SECONDS, PIECE_SECONDS / self._arms),
            (View.FAR, FAR_SECONDS, PIECE_SECONDS / self._arms),
            (View.FIGURES, FIGURES_SECONDS, INVERSION_PIECE_SECONDS),
        ):
            if view in new:
                yield view, (between if view in self._pieces else seconds) * moving
        if moving:
            if self.demand.masses:
                yield View.ROUGH_MASS, PIECE_SECONDS / self._arms if View.ROUGH_MASS in self._pieces else MASS_SECONDS
        elif View.FRAME not in new:
            if View.STILL in new:
                yield View.STILL, 0.0
            elif View.MASS in new:
                yield View.MASS, 0.0

    def make(self, view: View, jobs: Sequence[Job], now: float, moving: bool) -> None:
        """Draw or measure `view` (of what takes long one piece) for all arms."""
        step, shown = jobs[0].step_count, self._shown[view]
        if view is View.FRAME:
            with_samples = not moving or not self.demand.ways or self._count % SAMPLES_EVERY == 0
            self.news.frames.append(
                tuple(job and job.frame(self.demand, with_samples=with_samples) for job in self._pictured(jobs))
            )
            self._count += 1
            # In time with the last one, not after it: a frame waits for the end of a slice, and must not fall behind.
            due = shown.time + self.demand.frame_seconds
            self._shown[view] = Shown(step, due if now - due < self.demand.frame_seconds else now)
        elif view is View.HELD_OUT:
            measured = _in_turn(jobs, lambda job: iter([job.measure_held_out(self.demand)]))
            begun, pieces = self._pieces.setdefault(view, (now, measured))
            if (whole := next(pieces)) is not None:
                self.news.blocks, bounds = zip(*whole, strict=True)
                self.news.bounds = bounds if self.demand.bounds else ()
                self._shown[view] = Shown(step, begun)
                del self._pieces[view]
        else:
            name, made = MADE[view]
            wanted = self._pictured(jobs) if view in (View.STILL, View.DERIVATIVES) else jobs
            begun, pieces = self._pieces.setdefault(view, (now, _in_turn(wanted, lambda job: made(job, self.demand))))
            shown.time = now
            if (whole := next(pieces)) is not None:
                self._shown[view] = Shown(next((part.step for part in whole if part), step), begun)
                del self._pieces[view]
                setattr(self.news, name, whole)
                if name == "masses":
                    self._shown[View.ROUGH_MASS].time = begun

    def _pictured(self, jobs: Sequence[Job]) -> list[Job | None]:
        """The jobs of which pictures are wanted, and None in the place of the others."""
        wanted = self.demand.pictured
        return [job if wanted is None or k in wanted else None for k, job in enumerate(jobs)]


def _in_turn(jobs: Sequence[Job | None], pieces: Callable[[Job], Iterator]) -> Iterator[tuple | None]:
    """One job's pieces after the other's, each None but its last: yields None for each, and at last all the results;
    None where there is no job."""
    whole = []
    for job in jobs:
        if job is None:
            whole.append(None)
            continue
        for piece in pieces(job):
            if piece is not None:
                whole.append(piece)
            if len(whole) < len(jobs):
                yield None
    yield tuple(whole)
