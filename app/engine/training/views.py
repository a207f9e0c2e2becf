"""What the page of one run wants to see, what it was shown, and what is due next."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from app.engine.commands import ViewRequest, Wish
from app.engine.reports import Frame
from app.engine.training.arm_job import ArmJob
from app.engine.training.measurements import MEASUREMENTS
from app.engine.training.measurements.measurement import Measurement
from app.engine.training.weights import encode
from resflow_core.breathe import Breathe
from resflow_core.measure import BlockTable

WEIGHTS_SECONDS = 1 / 10
HELD_OUT_SECONDS = 1.0


class Superseded(Exception):
    """What is being measured is not wanted any more."""


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
DEPENDS: dict[View, Callable[[ViewRequest], Any]] = {
    FRAME: lambda r: r.frames and _is_pictured(r) and (r.grid, r.points, r.ways, r.samples, r.depth, r.edited),
    WEIGHTS: lambda r: r.weights and _is_pictured(r) and (r.edited,),
    HELD_OUT: lambda r: (r.edited,),
    **{view: partial(measurement.depends, view.name) for view, measurement in MEASURED.items()},
}


def _is_pictured(request: ViewRequest) -> bool:
    """Whether pictures of this run are wanted, which is arm 0 of its own."""
    return request.pictured is None or 0 in request.pictured


@dataclass(frozen=True)
class Shown:
    step: int = -1
    time: float = -math.inf
    at_rest: bool = False  # of a flow that stood still


@dataclass
class Making:
    """What is being made, and whether it is still wanted."""

    view: View
    at_rest: bool
    is_superseded: bool = False


@dataclass
class News:
    """What was drawn and is not reported yet."""

    frame: Frame | None = None  # the newest
    blocks: BlockTable | None = None
    measured: dict[type, Any] = field(default_factory=dict)
    is_any: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """Of the arm's report."""
        return {"frame": self.frame, "blocks": self.blocks, "measured": self.measured}


class Views:
    """Frames or weights ten times a second, the held-out loss once a second, measurements as often as their entries
    say while the flow moves; where it stands still, each once."""

    def __init__(self) -> None:
        self.wanted: ViewRequest | None = None  # by the page
        self.request: ViewRequest | None = None  # the same, as it can be had
        self.has_weights = False
        self._making: list[Making] = []  # the last of them within the others
        self.news = News()
        self.start_over()

    def begin(self, has_weights: bool) -> None:
        """Show everything of this flow, which is new, and may have weights to hand out."""
        self.start_over()
        self.has_weights = has_weights
        if self.wanted:
            self.want(self.wanted)

    def start_over(self) -> None:
        """Show everything anew: another page looks, or the flow is another."""
        self._shown = dict.fromkeys(DEPENDS, Shown())
        for making in self._making:
            making.is_superseded = True

    def want(self, request: ViewRequest) -> None:
        """Raises ValueError for a measurement that there is not."""
        if unknown := request.measured.keys() - MEASUREMENTS.keys():
            raise ValueError(f"measured = {sorted(unknown)}: use {', '.join(MEASUREMENTS)}.")
        self.wanted, before = request, self.request
        self.request = self._possible(request)
        for view, part in DEPENDS.items():
            if before is None or part(before) != part(self.request):
                self._forget(view)

    def _possible(self, request: ViewRequest) -> ViewRequest:
        """The request as it can be had: frames in the place of weights that there are none of."""
        weights = request.weights and self.has_weights
        return replace(request, weights=weights, frames=request.frames or (request.weights and not weights))

    def look(self, wish: Wish) -> None:
        """The same as before, but for this wish, and weights once more: who looks from now on has none yet."""
        if self.wanted:
            self.want(wish.in_place(self.wanted))
            if wish.weights:
                self._forget(WEIGHTS)

    def _forget(self, view: View) -> None:
        """Show it anew, and at once."""
        self._shown[view] = Shown()
        for making in self._making:
            making.is_superseded |= making.view == view

    def estimator_changed(self) -> None:
        """Measure anew what depends on how training gets the log det."""
        for view in (HELD_OUT, *(view for view, measurement in MEASURED.items() if measurement.of_training)):
            self._forget(view)

    def check(self, moving: bool) -> None:
        """Raise `Superseded` if what is being made is not wanted any more, or is made in another way now that the flow
        moves, or has come to rest."""
        now = self._making[-1]
        if now.is_superseded or (_rests(now.view) and now.at_rest == moving):
            raise Superseded

    @property
    def holds_still(self) -> bool:
        """Whether the flow is being measured that trains, and not a copy."""
        return any(making.view is HELD_OUT for making in self._making)

    def weights_are_due(self, step: int, now: float, between: float) -> bool:
        """Whether the page waits for the weights of the flow at `step`, the last of which it was handed so many seconds
        ago at least, if it still wants those."""
        if self.request is None or not DEPENDS[WEIGHTS](self.request):
            return False
        shown = self._shown[WEIGHTS]
        return shown.step != step and now >= shown.time + self.apart(between)

    def apart(self, between: float) -> float:
        """The seconds from weights to the next: as the page asks for, while the flow moves."""
        return max(between, self.request.frame_seconds) if between and self.request else 0.0

    def hand_out(self, job: ArmJob, now: float, between: float) -> bytes:
        """Its weights, for the page."""
        assert self.request
        last = self._shown[WEIGHTS].time
        self._shown[WEIGHTS] = Shown(job.step_count, _in_time(last, now, self.apart(between)))
        return encode(job.weights(self.request))

    def next_due(self, step: int, moving: bool, crowd: float = 1.0) -> tuple[float, View] | None:
        """When the next picture of the flow at `step` is due, and which; None if the page has seen all it wants. In a
        crowd measurements are so many times as rare, and pictures are not. While one of them is made, only what takes
        no time to speak of comes between."""
        if self.request is None:
            return None
        wanted = self._wanted(step, moving, crowd)
        if under_way := {making.view for making in self._making}:
            wanted = ((view, wait) for view, wait in wanted if view not in under_way and _is_brief(view))
        return min(((self._shown[view].time + wait, view) for view, wait in wanted), default=None)

    def _wanted(self, step: int, moving: bool, crowd: float) -> Iterator[tuple[View, float]]:
        """What the page has not seen of `step`, and how long after the last of its kind it is due."""
        assert self.request
        new = {
            view for view, part in DEPENDS.items()
            if view is not WEIGHTS and part(self.request) and self._is_new(view, step, moving)
        }  # fmt: skip
        if HELD_OUT in new:
            yield HELD_OUT, HELD_OUT_SECONDS * crowd * moving
        if FRAME in new:
            yield FRAME, self.request.frame_seconds * moving
        for view in new & MEASURED.keys():
            if not (_rests(view) and not moving and FRAME in new):
                yield view, MEASURED[view].every_seconds * crowd * moving

    def _is_new(self, view: View, step: int, moving: bool) -> bool:
        shown = self._shown[view]
        return shown.step != step or (_rests(view) and not shown.at_rest and not moving)

    def make(self, view: View, job: ArmJob, now: float, moving: bool, breathe: Breathe) -> None:
        """Draw or measure it. Raises `Superseded` out of `breathe`."""
        assert self.request  # nothing is due for a page that has asked for nothing
        step, last = job.step_count, self._shown[view].time
        self._making.append(Making(view, not moving))
        try:
            found = self._of(view, job, moving, breathe)
        finally:
            making = self._making.pop()
        if making.is_superseded:
            raise Superseded
        if view is FRAME:
            self.news.frame = found
            now = _in_time(last, now, self.request.frame_seconds)
        elif view is HELD_OUT:
            self.news.blocks = found
        elif found is not None:
            self.news.measured[type(found)] = found
            step = found.step
        self.news.is_any = True
        self._shown[view] = Shown(step, now, not moving)

    def _of(self, view: View, job: ArmJob, moving: bool, breathe: Breathe) -> Any:
        request = self.request
        assert request
        if view is FRAME:
            return job.frame(request, breathe)
        if view is HELD_OUT:
            return job.measure_held_out(request, breathe)
        if MEASURED[view].pictured and not _is_pictured(request):
            return None
        return MEASURED[view].function(moving)(job, request, request.measured[view.name], breathe)


def _in_time(last: float, now: float, between: float) -> float:
    """The time of what is made now: in time with the last one, not after it. It waited for the end of a slice, and must
    not fall behind. What comes sooner, because the flow stands still, is of now."""
    due = last + between
    return due if 0 <= now - due < between else now


def _rests(view: View) -> bool:
    """Whether it is made otherwise, or at all, only of a flow that stands still."""
    return view in MEASURED and MEASURED[view].at_rest is not None


def _is_brief(view: View) -> bool:
    """Whether it may come between two parts of another."""
    return view is FRAME or (view in MEASURED and MEASURED[view].at_once)
