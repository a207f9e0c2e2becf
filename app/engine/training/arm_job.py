"""What a run and its views need of an arm at work, whatever kind of work it is (`job_kinds`)."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from app.engine.commands import ViewRequest
from app.engine.reports import LossCurves
from app.engine.training.step_picture import StepPicture
from app.engine.training.weights import Weights
from resflow_core.breathe import Breathe
from resflow_core.measure import BlockTable
from resflow_core.training.trainer import TrainConfig


@runtime_checkable
class ArmJob(Protocol):
    """Its owner decides when a step, a picture or a measurement is worth its time.

    Those that have a flow have more to be measured and drawn (`job.Job`); a page asks them alone for it.
    """

    seconds: float
    """Spent in steps, in total."""
    clock: Callable[[], float]
    """By which they are counted: the thread's time of a processor, or wall clock where another device computes."""

    @property
    def step_count(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def device_reason(self) -> str:
        """Why that device, as words that follow its name."""
        ...

    @property
    def fingerprint(self) -> str:
        """What its digits depend on, beside its settings: the same gives the same."""
        ...

    @property
    def why_torch(self) -> str:
        """Why torch computes what compiled kernels usually do; "" where it is as usual."""
        ...

    @property
    def hastens(self) -> bool:
        """Whether compiled kernels could go on with what torch began."""
        ...

    def hasten(self) -> None:
        """Let them, where they can, between two steps."""
        ...

    def configure(self, train_config: TrainConfig) -> None:
        """Train with these settings from the next step on."""
        ...

    def step(self, breathe: Breathe) -> None:
        """Take one step. Raises `Diverged`. If `breathe` raises, the job is to be thrown away or to be restored."""
        ...

    def record_next_step(self, request: ViewRequest) -> None:
        """Record the next step in its parts, if the job can."""
        ...

    def hand_over_parts(self) -> StepPicture | None:
        """The record of the last step, once."""
        ...

    def measure_held_out(self, request: ViewRequest, breathe: Breathe) -> BlockTable | None:
        """Note the losses on held-out points. `breathe` takes no step of the job."""
        ...

    def curves(self) -> LossCurves: ...

    def frame(self, request: ViewRequest, breathe: Breathe) -> Any:
        """A picture of the flow as it is at first, or None."""
        ...

    @property
    def has_weights(self) -> bool:
        """Whether a browser can draw what is looked at from `weights`."""
        ...

    def weights(self, request: ViewRequest) -> Weights:
        """Those of what is looked at. Only if it `has_weights`."""
        ...

    def export(self) -> bytes | None:
        """The flow as a file, if there is one."""
        ...

    def save(self) -> bytes: ...

    def restore(self, saved: bytes) -> None:
        """Go on from what `save` returned."""
        ...
