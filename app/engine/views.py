"""What the page of one experiment wants to see, what it was shown, and what is due next."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.engine.arm_job import ArmJob
from app.engine.job import Job
from app.engine.measurements import MEASUREMENTS, PIECE_SECONDS, Measurement
from app.engine.messages import Frame, ViewRequest

HELD_OUT_SECONDS = 1.0
MASS_SECONDS = 5.0
SAMPLES_EVERY = 8
# Cells on a side of the window in the mass meter's quadrature.
MASS_CELLS, ROUGH_MASS_CELLS = 128, 40


class View(NamedTuple):
    """A kind of picture or measurement. Of two that are due at once the one with the smaller rank comes first."""

    rank: int
    name: str


FRAME, HELD_OUT, STILL = View(0, "frame"), View(1, "held-out losses"), View(2, "still")
# Of a flow that stands still, and of one that moves.
MASS, ROUGH_MASS = View(3, "masses"), View(4, "rough masses")
MEASURED: dict[View, Measurement] = {
    View(rank, name): measurement for rank, (name, measurement) in enumerate(MEASUREMENTS.items(), 5)
}

# The part of a request that each of them depends on, which is false if the page does not ask for it.
ASKED: dict[View, Callable[[ViewRequest], Any]] = {
    FRAME: lambda d: d.frames and (d.grid, d.points, d.pictured, d.ways, d.samples, d.depth, d.scaled),
    HELD_OUT: lambda d: (d.scaled, d.bounds),
    STILL: lambda d: d.frames and d.still_grid and (d.still_grid, d.points, d.pictured, d.ways, d.samples, d.scaled),
    MASS: lambda d: d.masses and (d.scaled,),
    ROUGH_MASS: lambda d: d.masses and (d.scaled,),
    **{view: measurement.asked for view, measurement in MEASURED.items()},
}

# The part of the news that each is that is made in pieces, and how a job makes it.
MADE: dict[View, tuple[str, Callable[[Job, ViewRequest], Iterator[Any]]]] = {
    STILL: ("still", lambda job, d: job.still(d)),
    MASS: ("masses", lambda job, d: job.masses(d, MASS_CELLS)),
    ROUGH_MASS: ("masses", lambda job, d: job.masses(d, ROUGH_MASS_CELLS)),
    **{view: (view.name, measurement.pieces) for view, measurement in MEASURED.items()},
}
PICTURED = {STILL, *(view for view, measurement in MEASURED.items() if measurement.pictured)}


@dataclass
class Shown:
    step: int = -1
    time: float = -math.inf


@dataclass
class News:
    """What was drawn and is not reported yet: an entry an arm in each tuple, or none. An entry is None where that is
    not wanted of an arm, or it has none of it."""

    frames: list[tuple[Frame | None, ...]] = field(default_factory=list)  # an entry a time
    made: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # by the names of the fields of `ArmReport`

    def __bool__(self) -> bool:
        return bool(self.frames) or any(self.made.values())

    def of(self, arm_index: int) -> dict[str, Any]:
        """The parts of one arm's report."""
        newest = {name: arms[arm_index] for name, arms in self.made.items() if arms}
        return {"frames": tuple(frames[arm_index] for frames in self.frames if frames[arm_index]), **newest}


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
        self._shown = {view: Shown() for view in ASKED}
        self._count = 0
        # Of what takes longer than others can wait, and when it was begun.
        self._pieces: dict[View, tuple[float, Iterator[tuple | None]]] = {}

    @property
    def hold_still(self) -> bool:
        """Whether some arms are measured and others not yet, which must stay at the same step until they are."""
        return HELD_OUT in self._pieces

    def want(self, demand: ViewRequest) -> None:
        before, self.demand = self.demand, demand
        for view, asked in ASKED.items():
            if before is None or asked(before) != asked(demand):
                self._forget(view)

    def _forget(self, view: View) -> None:
        """Draw it anew, and at once."""
        self._shown[view] = Shown()
        self._pieces.pop(view, None)

    def estimator_changed(self) -> None:
        """Measure anew what depends on how training gets the log det."""
        for view in (HELD_OUT, MASS, ROUGH_MASS):
            self._forget(view)

    def next_due(self, step: int, moving: bool) -> tuple[float, View] | None:
        """When the next picture of flows at `step` is due, and which; None if the page has seen all it wants."""
        for view in (STILL, MASS) if moving else (ROUGH_MASS,):
            self._pieces.pop(view, None)
        if self.demand is None:
            return None
        if self.hold_still:
            return self._shown[HELD_OUT].time, HELD_OUT
        return min(((self._shown[view].time + wait, view) for view, wait in self._wanted(step, moving)), default=None)

    def _wanted(self, step: int, moving: bool) -> Iterator[tuple[View, float]]:
        """What the page has not seen of `step`, and how long after the last of its kind it is due."""
        new = {view for view, shown in self._shown.items() if shown.step != step and ASKED[view](self.demand)}
        if HELD_OUT in new:
            yield HELD_OUT, HELD_OUT_SECONDS * moving
        if FRAME in new:
            yield FRAME, self.demand.frame_seconds * moving
        for view, measurement in MEASURED.items():
            if view in new:
                begun = view in self._pieces
                yield view, (measurement.between(self._arms) if begun else measurement.seconds) * moving
        if moving:
            if self.demand.masses:
                yield ROUGH_MASS, PIECE_SECONDS / self._arms if ROUGH_MASS in self._pieces else MASS_SECONDS
        elif FRAME not in new:
            if STILL in new:
                yield STILL, 0.0
            elif MASS in new:
                yield MASS, 0.0

    def make(self, view: View, jobs: Sequence[ArmJob], now: float, moving: bool) -> None:
        """Draw or measure `view` (of what takes long one piece) for all arms."""
        step, shown = jobs[0].step_count, self._shown[view]
        if view is FRAME:
            with_samples = not moving or not self.demand.ways or self._count % SAMPLES_EVERY == 0
            self.news.frames.append(
                tuple(job and job.frame(self.demand, with_samples=with_samples) for job in self._pictured(jobs))
            )
            self._count += 1
            # In time with the last one, not after it: a frame waits for the end of a slice, and must not fall behind.
            due = shown.time + self.demand.frame_seconds
            self._shown[view] = Shown(step, due if now - due < self.demand.frame_seconds else now)
        elif view is HELD_OUT:
            measured = _in_turn(jobs, lambda job: iter([job.measure_held_out(self.demand)]))
            begun, pieces = self._pieces.setdefault(view, (now, measured))
            if (whole := next(pieces)) is not None:
                self.news.made["blocks"], bounds = zip(*whole, strict=True)
                self.news.made["bounds"] = bounds if self.demand.bounds else ()
                self._shown[view] = Shown(step, begun)
                del self._pieces[view]
        else:
            name, made = MADE[view]
            wanted = self._pictured(jobs) if view in PICTURED else jobs
            begun, pieces = self._pieces.setdefault(view, (now, _in_turn(wanted, lambda job: made(job, self.demand))))
            shown.time = now
            if (whole := next(pieces)) is not None:
                self._shown[view] = Shown(next((part.step for part in whole if part), step), begun)
                del self._pieces[view]
                self.news.made[name] = whole
                if name == "masses":
                    self._shown[ROUGH_MASS].time = begun

    def _pictured(self, jobs: Sequence[ArmJob]) -> list[ArmJob | None]:
        """The jobs of which pictures are wanted, and None in the place of the others."""
        wanted = self.demand.pictured
        return [job if wanted is None or k in wanted else None for k, job in enumerate(jobs)]


def _in_turn(jobs: Sequence[ArmJob | None], pieces: Callable[[Any], Iterator]) -> Iterator[tuple | None]:
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
