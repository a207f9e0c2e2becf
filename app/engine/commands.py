"""What a page tells the training process: frozen values, pickled on a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.engine.experiment import Experiment
    from app.engine.reports import Checkpoint
    from resflow_core.measure import Edited
    from resflow_core.training.trainer import TrainConfig


@dataclass(frozen=True)
class ViewRequest:
    """What the page wants to see next. Losses are measured for whoever polls, pictures only where `frames` is true."""

    grid: int = 60  # nodes a side of the density in a frame
    points: int = 500  # data points sent through the flow, and samples drawn from it
    frames: bool = True
    # The weights that a browser draws from; of arms that have none (`Job.has_weights`) frames in their place.
    weights: bool = False
    pictured: tuple[int, ...] | None = None  # arms whose pictures are wanted; None: of all
    ways: bool = True  # with frames comes a stage of the way of points and grid through the flow
    samples: bool = True  # and samples
    frame_seconds: float = 1 / 8  # between two of them, or between weights, at least, while the flow moves
    edited: Edited | None = None  # in all that is looked at; training is not
    depth: int | None = None  # residual blocks after which points and grid are drawn, 0: at x; None: at z
    # What else is to be measured: of entries of `training.measurements.MEASUREMENTS`, what is wanted of them.
    measured: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wish:
    """What the pictures in the browsers want to be shown, beside what their page asks for."""

    depth: int | None = None  # as `ViewRequest.depth`
    point: tuple[float, float] | None = None  # of which the log density is taken apart, in the flow's units
    pictures: bool = True  # as `ViewRequest.frames`
    weights: bool = False  # as `ViewRequest.weights`

    def measured(self, others: Mapping[str, Any]) -> dict[str, Any]:
        """`ViewRequest.measured`, where the page wants `others`."""
        wanted = {name: value for name, value in others.items() if name != "point"}
        return wanted if self.point is None else {**wanted, "point": self.point}

    def in_place(self, request: ViewRequest) -> ViewRequest:
        """The request with this wish in the place of the one before."""
        measured = self.measured(request.measured)
        return replace(request, depth=self.depth, measured=measured, frames=self.pictures, weights=self.weights)


@dataclass(frozen=True)
class Create:
    """Train `experiment` under the name `id`; the rest continues a run that was lost with its process."""

    id: str
    experiment: Experiment
    checkpoint: Checkpoint | None = None
    playing: bool = False
    steps: int = 0  # still to be taken before it pauses, when it does not play
    present: bool = True  # whether a page looks; if not, it holds still until one does


@dataclass(frozen=True)
class Play:
    id: str


@dataclass(frozen=True)
class Pause:
    id: str


@dataclass(frozen=True)
class Step:
    """Take exactly `n` more steps, then pause. `in_parts`: all that was to come before is given up, and the first of
    them is recorded part by part (`ArmReport.parts`). `more`: others will follow, so it does not pause but waits."""

    id: str
    n: int
    in_parts: bool = False
    more: bool = False


@dataclass(frozen=True)
class Change:
    """Train the arm at `arm_index` with `train_config` from its next step on; what was planned for it is given up."""

    id: str
    arm_index: int
    train_config: TrainConfig


@dataclass(frozen=True)
class Reset:
    """Back to step 0, paused, with the settings as they are now and no changes planned."""

    id: str


@dataclass(frozen=True)
class Hasten:
    """Let compiled kernels go on with what torch began before they were there."""

    id: str


@dataclass(frozen=True)
class Leave:
    """The page is gone: hold still until the next poll."""

    id: str


@dataclass(frozen=True)
class Poll:
    """The page is there and wants what `request` says."""

    id: str
    request: ViewRequest


@dataclass(frozen=True)
class Attend:
    """The page is there, and will want something as soon as the server gets to it."""

    id: str


@dataclass(frozen=True)
class Look:
    """The page wants pictures or weights, and what is measured of a point, like this until a poll says otherwise."""

    id: str
    wish: Wish


@dataclass(frozen=True)
class Export:
    """Send the flow of the arm at `arm_index` as an `Exported` with the same ticket."""

    id: str
    arm_index: int
    ticket: int


@dataclass(frozen=True)
class Close:
    id: str


@dataclass(frozen=True)
class Beat:
    """So many seconds have passed at the server, without its delays."""

    seconds: float


Command = Create | Play | Pause | Step | Change | Reset | Hasten | Leave | Poll | Attend | Look | Export | Close
