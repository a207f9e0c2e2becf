"""What the page and the training process say to each other: frozen values, pickled on a pipe.

Commands go to the worker, reports come back. An *experiment* is one or several *arms*, trained from one seed, that
advance together. Unpickling skips `__post_init__`, so whoever builds a flow from a received configuration validates it
again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from app.engine.figures import BitsCurve, ImageFrame, Scaling
    from app.engine.schedule import Schedule
    from resflow_core.baselines.zuko_flows import BaselineConfig
    from resflow_core.data import Table
    from resflow_core.flow import FlowConfig
    from resflow_core.hybrid import HybridConfig
    from resflow_core.log_det import LogDet
    from resflow_core.measure import (
        BlockTable,
        Classification,
        Far,
        GradientSplit,
        Guarantees,
        Inversion,
        Mass,
        NormEstimates,
        Saturation,
        Spectrum,
    )
    from resflow_core.measure.scaling import Plan
    from resflow_core.measure.survey import Survey
    from resflow_core.training.trainer import TrainConfig

FRAME_WINDOW = (-16.0, 16.0)
"""What `Frame.latent` and `Frame.grid` cover of each axis: more than a normal needs, as blocks may spread points."""


AWAY_SECONDS = 10.0
"""A page that has not polled for this long, by the clock of attendance (`clocks.Clocks`), is taken to be gone."""


LONGEST_STEP_SECONDS = 0.5
"""Nothing interrupts a step, so while other pages are there a longer one is not begun."""


class State(StrEnum):
    """What an experiment is doing."""

    QUEUED = "queued"  # waits for a place (see Report.queue_place), or until nobody is held up by its long steps
    LOADING = "loading"  # its flows are being built, or its process is starting
    PAUSED = "paused"
    PLAYING = "playing"
    STEPPING = "stepping"  # advances by the number of steps asked for, then pauses
    DIVERGED = "diverged"  # stopped at its last good state; Play tries on
    FAILED = "failed"  # could not be built or run; Reset builds it anew
    SET_ASIDE = "set aside"  # the training process died twice at it; Play tries on
    EXPIRED = "expired"  # dropped, or never known; see Report.resumes_at


UNKNOWN = "The server does not know this run any more. Play starts it anew."
MOVING = frozenset({State.PLAYING, State.STEPPING})


@dataclass(frozen=True)
class Arm:
    """One flow, or a hybrid, how it is trained, and on what."""

    flow: FlowConfig | BaselineConfig | HybridConfig
    train: TrainConfig  # at step 0
    # A key of `DATASETS` or "digits", somebody's own rows, or what is measured (`kinds`).
    data: str | Table | Plan | Survey
    changes: tuple[tuple[int, TrainConfig], ...] = ()  # each takes over when that many steps are done
    weights: bytes | None = None  # a saved flow (`resflow_core.api.flow_file`) to start from; None: a new one
    seed: int | None = None  # of its own; None: that of the experiment

    def __post_init__(self):
        for step, _ in self.changes:
            if not isinstance(step, int) or step < 0:
                raise ValueError(f"A change at step {step!r}: use a whole number from 0.")


@dataclass(frozen=True)
class Experiment:
    """Arms, at least one, that start from one seed and take the same number of steps."""

    arms: tuple[Arm, ...]
    seed: int
    device: str = "auto"  # a key of `resflow_core.training.device.DEVICES`

    def __post_init__(self):
        if not self.arms:
            raise ValueError("arms = (): an experiment needs at least one arm.")


@dataclass(frozen=True)
class Scaled:
    """The branch of one residual block, from 0, multiplied by `scale` in all that is looked at; training is not."""

    block: int
    scale: float


@dataclass(frozen=True)
class InversionRequest:
    """Which block's inverse is drawn, of which z (None: one where its map folds first), and whose steps are counted."""

    block: int | None = None  # from 0; None: the one that folds at the smallest scale
    z: tuple[float, float] | None = None
    method: str = "banach"  # a key of `resflow_core.measure.inverse_iterations.ITERATIONS`


@dataclass(frozen=True)
class ViewRequest:
    """What the page wants to see next. Losses are measured for whoever polls, pictures only where `frames` is true."""

    grid: int = 40  # nodes a side of the moving picture
    still_grid: int = 200  # nodes a side of the sharp picture of a flow that stands still; 0: none
    points: int = 500  # data points sent through the flow, and samples drawn from it
    frames: bool = True
    pictured: tuple[int, ...] | None = None  # arms of which frames and derivatives are wanted; None: of all
    ways: bool = True  # with frames comes the way of points and grid through the flow
    samples: bool = True  # and samples
    frame_seconds: float = 1 / 8  # between two of them while the flow moves
    masses: bool = True
    bounds: bool = False
    activity: str = ""  # "all": what saturates, and the two parts of the gradient; "gradients": only these
    jacobians: int = 0  # nodes a side of the grid on which every block's Jacobian is sent; 0: none
    derivatives: bool = False
    inversion: InversionRequest | None = None
    far: bool = False  # what hybrids make of points far from the data
    scaled: Scaled | None = None
    depth: int | None = None  # residual blocks after which points and grid are drawn, 0: at x; None: at z
    figures: bool = False  # what only jobs of its kind measure (`app.engine.figures`)


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
    """Take exactly `n` more steps, then pause."""

    id: str
    n: int


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
class Leave:
    """The page is gone: hold still until the next poll."""

    id: str


@dataclass(frozen=True)
class Poll:
    """The page is there and wants `demand`."""

    id: str
    demand: ViewRequest


@dataclass(frozen=True)
class Attend:
    """The page is there, and will want something as soon as the server gets to it."""

    id: str


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


Command = Create | Play | Pause | Step | Change | Reset | Leave | Poll | Attend | Export | Close


@dataclass(frozen=True)
class Frame:
    """One picture of one flow, small enough to send eight times a second."""

    step: int
    density: np.ndarray  # (n, n) uint16, row = y ascending; value / 65535 = p / density_largest
    density_largest: float  # on the grid, per unit area in the flow's units
    density_top: float  # where colours end: the `TOP_QUANTILE` of what is finite on the grid
    latent: np.ndarray  # (m, 2) uint16, 0..65535 over FRAME_WINDOW, clipped: where the first m held-out points went
    grid: np.ndarray  # (2*lines, points, 2) uint16, same window: the image of a straight grid
    samples: np.ndarray | None  # (k, 2) uint16 over the data set's window, clipped; None on most frames while playing
    depth: int | None = None  # residual blocks that `latent` and `grid` have passed, 0: none; None: they are at z
    stages: Stages | None = None  # in the sharp picture only
    refusal: str = ""  # why there are no samples, where the flow cannot give any
    class_shares: np.ndarray | None = None  # (m, m, classes) uint8 over the window, of a hybrid: 255 p(y|x)
    sample_classes: np.ndarray | None = None  # (k,) uint8, of a hybrid: the likeliest class of each sample


@dataclass(frozen=True)
class Stages:
    """The way of points and grid through the flow: at x, after each residual block, and at z. Windows as in `Frame`."""

    latent: np.ndarray  # (blocks + 2, m, 2) uint16
    grid: np.ndarray  # (blocks + 2, 2*lines, points, 2) uint16


def _nothing() -> np.ndarray:
    return np.empty(0, np.float32)


@dataclass(frozen=True)
class LossCurves:
    """Negative log-likelihood in nats by the exact log det, at most 400 points a curve."""

    step: np.ndarray  # (a,) int64
    batch_nll: np.ndarray  # (a,) float32, batch mean at each of those steps
    held_step: np.ndarray  # (b,) int64
    held_nll: np.ndarray  # (b,) float32, mean over the held-out points
    held_se: np.ndarray  # (b,) float32, its standard error
    held_kl: np.ndarray  # (b,) float32, KL(data || model); (0,) where the density of the data is not known
    held_kl_se: np.ndarray  # (b,) or (0,) float32, its standard error
    held_bias: np.ndarray  # (b,) float32: of log p, as training estimates it: 0 where it does without bias
    held_bias_se: np.ndarray  # (b,) float32, its standard error
    held_seconds: np.ndarray  # (b,) float32: what training had taken by then
    orders: np.ndarray  # (b, blocks, layers) float32: learned orders p; (0, 0, 0) where none are learned
    held_accuracy: np.ndarray = field(default_factory=_nothing)  # (b,) float32 of a hybrid, else (0,); so the next two
    held_class_nll: np.ndarray = field(default_factory=_nothing)  # mean of -log p(y|x), nats
    held_ece: np.ndarray = field(default_factory=_nothing)
    classified: Classification | None = None  # the newest of these, in full


@dataclass(frozen=True)
class Masses:
    """The integral over the plane of the density at `step`: 1 by the exact log det, whatever else is believed."""

    step: int
    log_det: LogDet  # the training estimator that `believed` is about
    exact: Mass
    believed: Mass | None  # by the log det that the training estimator believes in; None when that is exact, or unknown
    belief: str = ""  # why it is unknown
    scaled: Scaled | None = None  # as it was asked for


@dataclass(frozen=True)
class Jacobians:
    """A = dg/dx of every residual block at `step`, where points of the data space come to it."""

    step: int
    grid: np.ndarray  # (blocks, n * n, 2, 2) float32, at `measure.grid_points` of the window
    points: np.ndarray  # (blocks, m, 2, 2) float32, at the first m held-out points
    density: np.ndarray  # (n, n) float32, p(x) at the same nodes
    window: tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Derivatives:
    """What the Jacobians of the flow at `step` are like, at held-out points."""

    step: int
    structure: np.ndarray  # (2, 2): mean |d out_i / d in_j| of one layer
    spectrum: Spectrum | None  # of all residual blocks; None where there are none


@dataclass(frozen=True)
class Bounds:
    """What is guaranteed of the flow at `step`, and how the norm of its loosest layer is estimated."""

    step: int
    guarantees: Guarantees
    estimates: NormEstimates


@dataclass(frozen=True)
class Activity:
    """What the activations of the flow do at `step`."""

    step: int
    points: int  # held-out points at which it is measured
    saturation: Saturation | None  # at held-out points; None where only gradients were asked for
    share: np.ndarray | None  # (n, n) float32, of saturated units over the plane, row = y ascending
    window: tuple[tuple[float, float], tuple[float, float]]
    split: GradientSplit  # at held-out points
    steps: np.ndarray  # (k,) int64: when the gradients were measured so far
    log_det: np.ndarray  # (k, blocks) float32: norm of each block's gradient of the mean log det
    base: np.ndarray  # (k, blocks) float32: and of the mean log density of z


@dataclass(frozen=True)
class Inversions:
    """One block's inverse at `step`, as it was asked for."""

    step: int
    demand: InversionRequest
    scaled: Scaled | None
    found: Inversion


@dataclass(frozen=True)
class FarAway:
    """What a hybrid makes at `step` of points far from the data."""

    step: int
    found: Far


def _lasting() -> Any:
    """A part of a report that stays until a newer one comes."""
    return field(default=None, metadata={"lasts": True})


@dataclass(frozen=True)
class ArmReport:
    step: int
    steps_per_second: float  # over the last two seconds of wall clock; 0 when it does not move
    seconds: float  # spent in training steps, in total
    frames: tuple[Frame | ImageFrame, ...] = ()  # new since the last poll, ascending
    still: Frame | None = None  # the sharp picture at `step`, while the flow stands still
    loss: LossCurves | None = _lasting()
    masses: Masses | None = _lasting()
    blocks: BlockTable | None = _lasting()
    bounds: Bounds | None = _lasting()
    # Of each entry of `measurements.MEASUREMENTS`:
    inversion: Inversions | None = _lasting()
    activity: Activity | None = _lasting()
    jacobians: Jacobians | None = _lasting()
    derivatives: Derivatives | None = _lasting()
    far: FarAway | None = _lasting()
    figures: BitsCurve | Scaling | Survey | None = _lasting()
    train: TrainConfig | None = None  # in force now
    changes: tuple[tuple[int, TrainConfig], ...] = ()  # so far: the steps that were done when each took over


@dataclass(frozen=True)
class Report:
    """The newest that is known of an experiment."""

    id: str
    state: State
    arms: tuple[ArmReport, ...] = ()
    message: str = ""  # for the reader of the page; empty when all is well
    queue_place: int = 0  # 1: the next to be admitted; 0: not queued
    device: str = ""
    device_reason: str = ""  # why that device, as words that follow its name
    frame_share: float = 0.0  # of the process's time that training waited for pictures lately
    steps_left: int = 0
    step_seconds: float = 0.0  # CPU time of one step of the dearest arm, measured or estimated
    resumes_at: int | None = None  # where Play goes on with a run that was dropped; None: nothing of it is left
    handled: int = 0  # commands about this experiment (polls apart) that had been handled when this was said
    restarts: int = 0  # of the process since the experiment was created
    rewinds: int = 0  # times the step count went back (reset, divergence, restart): a new timeline for the pictures


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to continue at `step`; `data` is opaque outside the worker."""

    id: str
    step: int
    data: bytes
    schedules: tuple[Schedule, ...]  # of all arms, with the changes made while it ran
    handled: int  # as in the `Report`


@dataclass(frozen=True)
class Exported:
    """The answer to an `Export`: a flow file, or None if there is no such flow (any more, or yet)."""

    ticket: int
    data: bytes | None
