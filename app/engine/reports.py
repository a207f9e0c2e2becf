"""What the training process tells the pages: frozen values, pickled on a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from app.engine.records.origin import Origin
    from app.engine.records.train_schedule import TrainSchedule
    from app.engine.training.job_records import ImageFrame
    from app.engine.training.step_picture import StepPicture
    from resflow_core.measure import BlockTable, Classification
    from resflow_core.training.trainer import TrainConfig

Record = TypeVar("Record")

FRAME_WINDOW = (-16.0, 16.0)
"""What is shown at most of each axis of latent space: more than a normal needs, as blocks may spread points."""


class State(StrEnum):
    """What an experiment is doing."""

    QUEUED = "queued"  # waits for a place (see Report.queue_place), or until nobody is held up by its long steps
    LOADING = "loading"  # its flows are being built, or its process is starting
    PAUSED = "paused"
    PLAYING = "playing"
    STEPPING = "stepping"  # advances by the number of steps asked for, then pauses
    DIVERGED = "diverged"  # stopped at its last good state; Play tries on
    FAILED = "failed"  # could not be built or run; Reset builds it anew
    SET_ASIDE = "set aside"  # the training process died at it again and again; Play tries on
    EXPIRED = "expired"  # dropped, or never known; see Report.resumes_at


UNKNOWN = "The server does not have this run any more. Press Play to start it again."
MOVING = frozenset({State.PLAYING, State.STEPPING})
STOPPED = (State.EXPIRED, State.FAILED, State.SET_ASIDE, State.DIVERGED)
"""Until somebody says how to go on."""


@dataclass(frozen=True)
class Frame:
    """One picture of one flow, drawn by the server. All arrays are float32, in the flow's units."""

    step: int
    density: np.ndarray  # (n, n) per unit area, row = y ascending
    latent: np.ndarray  # (m, 2): where the first m held-out points went
    grid: np.ndarray  # (2*lines, points, 2): the image of a straight grid
    samples: np.ndarray | None  # (k, 2); None if they are not wanted
    depth: int | None = None  # residual blocks that `latent` and `grid` have passed, 0: none; None: they are at z
    refusal: str = ""  # why there are no samples, where the flow cannot give any
    class_probs: np.ndarray | None = None  # (m, m, classes) over the window, of a hybrid: p(y|x)
    sample_classes: np.ndarray | None = None  # (k,) uint8, of a hybrid: the likeliest class of each sample


Picture = Frame | bytes
"""A flow as a page shows it: drawn by the server, or the weights (`weights.encode`) from which the browser draws it."""


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
class ArmReport:
    """Of one arm. All that is looked at stays until something newer of its kind comes."""

    step: int
    steps_per_second: float  # over the last two seconds of wall clock; 0 when it does not move
    seconds: float  # spent in training steps, in total
    frame: Frame | ImageFrame | None = None  # the newest that the server has drawn
    weights: bytes | None = None  # the newest that were handed out, from which a browser draws it (`HandedOut`)
    loss: LossCurves | None = None
    blocks: BlockTable | None = None
    parts: StepPicture | None = None  # the newest step that was recorded part by part, as long as it is the last
    measured: Mapping[type, Any] = field(default_factory=dict)  # the newest record of each type
    train: TrainConfig | None = None  # in force now
    fingerprint: str = ""  # what its digits depend on, beside its settings: the same gives the same
    why_torch: str = ""  # computes it, though it is usually compiled kernels that do; "" where it is as usual
    hastens: bool = False  # whether these could go on with it now
    changes: tuple[tuple[int, TrainConfig], ...] = ()  # so far: the steps that were done when each took over

    def found(self, record: type[Record]) -> Record | None:
        """The newest such record (`app.engine.training.measurements`); None until there is one."""
        return self.measured.get(record)


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
    frame_share: float = 0.0  # of the run's time that training waited for pictures lately
    steps_left: int = 0
    step_seconds: float = 0.0  # CPU time of a piece of a step of the dearest arm, measured or estimated
    resumes_at: int | None = None  # where Play goes on with a run that was dropped; None: nothing of it is left
    handled: int = 0  # commands about this experiment (polls apart) that had been handled when this was said
    confirmed: bool = True  # whether all that were given had been
    awaits: bool = False  # whether it stands still and not all that its page wants of it is drawn
    has_weights: bool = False  # whether a browser can draw its flows from their weights (`HandedOut`)
    restarts: int = 0  # of the process since the experiment was created
    rewinds: int = 0  # times the step count went back (reset, divergence, restart): a new timeline for the pictures

    @property
    def timeline(self) -> str:
        """The name of the steps that follow one another without going back."""
        return timeline(self.id, self.rewinds)


@dataclass(frozen=True)
class HandedOut:
    """The weights of what is looked at, for the browsers that draw it: of each arm a message (`weights.encode`), or
    None if it is not pictured."""

    id: str
    step: int
    arms: tuple[bytes | None, ...]
    rewinds: int = 0  # as in the `Report`

    @property
    def timeline(self) -> str:
        """As of the `Report`."""
        return timeline(self.id, self.rewinds)


def timeline(id: str, rewinds: int) -> str:
    return f"{id}:{rewinds}"


def adds_nothing(new: Report, old: Report) -> bool:
    """Whether `new`, of what stands still and has been built, holds only what `old` held, the very same values."""
    return (
        new.state not in (State.QUEUED, State.LOADING, *MOVING)
        and not new.awaits
        and replace(new, arms=()) == replace(old, arms=())
        and len(new.arms) == len(old.arms)
        and all(map(_adds_nothing, new.arms, old.arms))
    )


def _adds_nothing(new: ArmReport, old: ArmReport) -> bool:
    kept = ("frame", "weights", "loss", "blocks", "parts")
    return (
        new.step == old.step
        and all(getattr(new, name) is getattr(old, name) for name in kept)
        and new.measured.keys() == old.measured.keys()
        and all(value is old.measured[record] for record, value in new.measured.items())
    )


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to continue at `step`; `data` is opaque outside the worker."""

    id: str
    step: int
    data: bytes
    schedules: tuple[TrainSchedule, ...]  # of all arms, with the changes made while it ran
    handled: int  # as in the `Report`
    origin: Origin | None = None  # where it began, if that can be compared
    fingerprints: tuple[str, ...] = ()  # what computed each arm (`ArmReport.fingerprint`)
    is_passing: bool = False  # whether it is only for a process that ends before the next one: nobody goes back to it


@dataclass(frozen=True)
class Exported:
    """The answer to an `Export`: a flow file, or None if there is no such flow (any more, or yet)."""

    ticket: int
    data: bytes | None


Said = Report | HandedOut | Checkpoint
"""What a run says of itself."""
