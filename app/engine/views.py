"""What the page of one experiment wants to see, what it was shown, and what is due next."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, cast

from app.engine.arm_job import ArmJob
from app.engine.commands import ViewRequest, Wish
from app.engine.measurements import MEASUREMENTS
from app.engine.measurements.measurement import Measurement
from app.engine.reports import Frame
from app.engine.weights import encode
from resflow_core.fast.pieces import Pieces
from resflow_core.measure import BlockTable

WEIGHTS_SECONDS = 1 / 10
HELD_OUT_SECONDS = 1.0


class View(NamedTuple):
    """A kind of picture or measurement. Of two that are due at once the one with the smaller rank comes first."""

    rank: int
    name: str


FRAME, HELD_OUT = View(0, "frame"), View(1, "held-out losses")
WEIGHTS = View(0, "weights")  # which are no work to speak of, and handed out beside all that is due
MEASURED: dict[View, Measurement] = {
    View(-1 if measurement.at_once else rank, name): measurement
    for rank, (name, measurement) in enumerate(MEASUREMENTS.items(), 2)
}

# The part of a request that each of them depends on, which is false if the page does not ask for it.
ASKED: dict[View, Callable[[ViewRequest], Any]] = {
    FRAME: lambda r: r.frames and (r.grid, r.points, r.pictured, r.ways, r.samples, r.depth, r.edited),
    WEIGHTS: lambda r: r.weights and (r.pictured, r.edited),
    HELD_OUT: lambda r: (r.edited,),
    **{view: partial(measurement.asked, view.name) for view, measurement in MEASURED.items()},
}


@dataclass
class Shown:
    step: int = -1
    time: float = -math.inf
    at_rest: bool = False  # of a flow that stood still


class Begun(NamedTuple):
    """What takes longer than others can wait, and is made in pieces."""

    time: float
    at_rest: bool
    step: int
    pieces: Iterator[tuple | None]


@dataclass
class News:
    """What was drawn and is not reported yet: an entry an arm in each tuple. An entry is None where that is not wanted
    of an arm, or it has none of it."""

    frames: tuple[Frame | None, ...] = ()  # the newest
    blocks: tuple[BlockTable | None, ...] = ()
    measured: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any((self.frames, self.blocks, self.measured))

    def of(self, arm_index: int) -> dict[str, Any]:
        """The parts of one arm's report."""
        records = [arms[arm_index] for arms in self.measured.values()]
        return {
            "frame": self.frames[arm_index] if self.frames else None,
            "blocks": self.blocks[arm_index] if self.blocks else None,
            "measured": {type(record): record for record in records if record is not None},
        }


class Views:
    """Frames or weights ten times a second, the held-out loss once a second, measurements as often as their entries
    say while the flow moves; where it stands still, each once."""

    def __init__(self, arms: int) -> None:
        self._arms = arms
        self.wanted: ViewRequest | None = None  # by the page
        self.request: ViewRequest | None = None  # the same, as it can be had
        self.have_weights = (False,) * arms
        self._framed: frozenset[int] = frozenset()  # arms of which frames are wanted, if any are
        self._asked: list[View] = []  # for
        self.news = News()
        self.start_over()

    def begin(self, have_weights: tuple[bool, ...]) -> None:
        """Show everything of these flows, which are new, and each of which may have weights to hand out."""
        self.start_over()
        self.have_weights = have_weights
        if self.wanted:
            self.want(self.wanted)

    def start_over(self) -> None:
        """Show everything anew: another page looks, or the flows are others."""
        self._shown = {view: Shown() for view in ASKED}
        self._begun: dict[View, Begun] = {}

    @property
    def hold_still(self) -> bool:
        """Whether a flow is being measured, or some arms are and others not yet: all stay at this step until it is
        done."""
        return HELD_OUT in self._begun

    def want(self, request: ViewRequest) -> None:
        """Raises ValueError for a measurement that there is not."""
        if unknown := request.measured.keys() - MEASUREMENTS.keys():
            raise ValueError(f"measured = {sorted(unknown)}: use {', '.join(MEASUREMENTS)}.")
        self.wanted, before, framed = request, self.request, self._framed
        self.request = request = self._possible(request)
        if (request, self._framed) == (before, framed):
            return
        self._asked = [view for view, asked in ASKED.items() if asked(request)]
        for view, asked in ASKED.items():
            others = view is FRAME and self._framed != framed
            if before is None or others or asked(before) != asked(request):
                self._forget(view)

    def _possible(self, request: ViewRequest) -> ViewRequest:
        """The request as it can be had; which arms need frames is noted."""
        pictured = frozenset(range(self._arms) if request.pictured is None else request.pictured)
        weighed = frozenset(k for k, has in enumerate(self.have_weights) if has and request.weights) & pictured
        self._framed = pictured if request.frames else pictured - weighed
        if not request.weights:
            return request
        return replace(request, frames=bool(self._framed), weights=bool(weighed))

    def look(self, wish: Wish) -> None:
        """The same as before, but for this wish, and weights once more: who looks from now on has none yet."""
        if self.wanted:
            self.want(wish.in_place(self.wanted))
            if wish.weights:
                self._forget(WEIGHTS)

    def _forget(self, view: View) -> None:
        """Show it anew, and at once."""
        self._shown[view] = Shown()
        self._begun.pop(view, None)

    def estimator_changed(self) -> None:
        """Measure anew what depends on how training gets the log det."""
        for view in (HELD_OUT, *(view for view, measurement in MEASURED.items() if measurement.of_training)):
            self._forget(view)

    def weights_are_due(self, step: int, now: float, between: float) -> bool:
        """Whether the page waits for the weights of flows at `step`, the last of which it was handed so many seconds
        ago at least, if it still wants those."""
        if WEIGHTS not in self._asked:
            return False
        shown = self._shown[WEIGHTS]
        return shown.step != step and now >= shown.time + self._apart(between)

    def _apart(self, between: float) -> float:
        """The seconds from weights to the next: as the page asks for, while the flow moves."""
        return max(between, self.request.frame_seconds) if between else 0.0

    def hand_out(self, jobs: Sequence[ArmJob], now: float, between: float) -> tuple[bytes | None, ...]:
        """Their weights, for the page."""
        last, request = self._shown[WEIGHTS].time, cast(ViewRequest, self.request)
        self._shown[WEIGHTS] = Shown(jobs[0].step_count, _in_time(last, now, self._apart(between)))
        return tuple(
            encode(job.weights(request)) if job and has else None
            for job, has in zip(self._pictured(jobs), self.have_weights, strict=True)
        )

    def next_due(self, step: int, moving: bool, crowd: float = 1.0) -> tuple[float, View] | None:
        """When the next picture of flows at `step` is due, and which; None if the page has seen all it wants. In a
        crowd measurements are so many times as rare, and pictures are not."""
        for view in [view for view, begun in self._begun.items() if begun.at_rest == moving and _rests(view)]:
            self._forget(view)
        if self.request is None:
            return None
        if self.hold_still:
            return self._shown[HELD_OUT].time, HELD_OUT
        return min(
            ((self._shown[view].time + wait, view) for view, wait in self._wanted(step, moving, crowd)), default=None
        )

    def _wanted(self, step: int, moving: bool, crowd: float) -> Iterator[tuple[View, float]]:
        """What the page has not seen of `step`, and how long after the last of its kind it is due."""
        new = {view for view in self._asked if view is not WEIGHTS and self._is_new(view, step, moving)}
        if HELD_OUT in new:
            yield HELD_OUT, HELD_OUT_SECONDS * crowd * moving
        if FRAME in new:
            yield FRAME, self.request.frame_seconds * moving
        for view in new & MEASURED.keys():
            measurement = MEASURED[view]
            if not (_rests(view) and not moving and FRAME in new):
                begun = view in self._begun
                yield view, (measurement.between(self._arms) if begun else measurement.every_seconds) * crowd * moving

    def _is_new(self, view: View, step: int, moving: bool) -> bool:
        shown = self._shown[view]
        return shown.step != step or (_rests(view) and not shown.at_rest and not moving)

    def make(self, view: View, jobs: Sequence[ArmJob], now: float, moving: bool) -> None:
        """Draw or measure `view` (of what takes long one piece) for all arms."""
        step, shown, request = jobs[0].step_count, self._shown[view], self.request
        if view not in self._begun:
            self._begun[view] = Begun(now, not moving, step, self._pieces_of(view, jobs, moving))
        begun = self._begun[view]
        if view not in (FRAME, HELD_OUT):  # whose times are those at which they were begun
            shown.time = now
        if (whole := next(begun.pieces)) is None:
            return
        del self._begun[view]
        if view is FRAME:
            self.news.frames = whole
            self._shown[view] = Shown(begun.step, _in_time(shown.time, begun.time, request.frame_seconds))
            return
        step = next((record.step for record in whole if record), begun.step) if view in MEASURED else begun.step
        self._shown[view] = Shown(step, begun.time, begun.at_rest)
        if view in MEASURED:
            self.news.measured[view.name] = whole
        else:
            self.news.blocks = tuple(blocks for (blocks,) in whole)

    def _pieces_of(self, view: View, jobs: Sequence[ArmJob], moving: bool) -> Iterator[tuple | None]:
        """How it is made of all jobs."""
        request = self.request
        assert request is not None  # nothing is due for a page that has asked for nothing
        if view is FRAME:
            return _of_one_moment(self._in_frames(jobs), lambda job: job.frame(request))
        if view is HELD_OUT:
            return _in_turn(jobs, lambda job: _wrapped(job.measure_held_out(request)))
        pieces, wanted = MEASURED[view].made(moving), request.measured[view.name]
        return _in_turn(
            self._pictured(jobs) if MEASURED[view].pictured else jobs, lambda job: pieces(job, request, wanted)
        )

    def _pictured(self, jobs: Sequence[ArmJob]) -> list[ArmJob | None]:
        """The jobs of which pictures are wanted, and None in the place of the others."""
        wanted = self.request.pictured
        return [job if wanted is None or k in wanted else None for k, job in enumerate(jobs)]

    def _in_frames(self, jobs: Sequence[ArmJob]) -> list[ArmJob | None]:
        """The jobs of which frames are wanted, and None in the place of the others."""
        return [job if k in self._framed else None for k, job in enumerate(jobs)]


def _in_time(last: float, now: float, between: float) -> float:
    """The time of what is made now: in time with the last one, not after it. It waited for the end of a slice, and must
    not fall behind. What comes sooner, because the flow stands still, is of now."""
    due = last + between
    return due if 0 <= now - due < between else now


def _rests(view: View) -> bool:
    """Whether it is made otherwise, or at all, only of a flow that stands still."""
    return view in MEASURED and MEASURED[view].at_rest is not None


def _of_one_moment(jobs: Sequence[ArmJob | None], begin: Callable[[Any], Pieces[Any]]) -> Iterator[tuple | None]:
    """The pieces of all jobs, whose first ones are taken at once: yields None until all are done, and then their
    results; None where there is no job."""
    under_way = {k: begin(job) for k, job in enumerate(jobs) if job is not None}
    whole: list[Any] = [None] * len(jobs)
    turns = list(under_way)
    while under_way:
        for k in turns:
            try:
                next(under_way[k])
            except StopIteration as end:
                whole[k] = end.value
                del under_way[k]
        turns = list(under_way)[:1]
        if under_way:
            yield None
    yield tuple(whole)


def _wrapped(pieces: Pieces[Any]) -> Iterator[tuple[Any] | None]:
    """None after each piece, and at the end the result, which may be None itself, in a tuple."""
    yield ((yield from pieces),)


def _in_turn(jobs: Sequence[ArmJob | None], pieces: Callable[[Any], Iterator]) -> Iterator[tuple | None]:
    """One job's pieces after the other's, each None but its last: yields None for each, and at last all the results;
    None where there is no job, or a job has none."""
    whole = []
    for job in jobs:
        record = None
        for piece in pieces(job) if job is not None else ():
            record = piece
            if piece is None or len(whole) + 1 < len(jobs):
                yield None
        whole.append(record)
    yield tuple(whole)
