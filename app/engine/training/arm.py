"""What a run trains: the settings of each step, the job once it is built, and the newest checkpoint."""

from collections.abc import Callable
from dataclasses import replace

from app.engine.clocks import Clocks
from app.engine.experiment import Experiment
from app.engine.records.origin import origin_of
from app.engine.records.train_schedule import TrainSchedule
from app.engine.reports import Checkpoint
from app.engine.training.arm_job import ArmJob
from app.engine.training.backends import differ
from app.engine.training.job import checked
from resflow_core.breathe import Breathe
from resflow_core.training.trainer import Diverged, TrainConfig

WALL_DEVICES = "cuda", "mps"
"""The processor waits for these, so its time is not that of a step."""


class TrainedArm:
    """The only arm of `experiment`, from its beginning or from a checkpoint. Errors name it by its number, if others of
    a comparison train elsewhere."""

    def __init__(self, experiment: Experiment, saved: Checkpoint | None) -> None:
        (self._arm,) = experiment.arms
        self._experiment, self.saved, self.origin = experiment, saved, origin_of(experiment)
        self.schedule = saved.schedules[0] if saved else TrainSchedule.of(self._arm)
        self._by_torch = differ(experiment.whole or experiment.arms)
        self.job: ArmJob | None = None
        self._is_torn = False  # a step was broken off, so there is nothing to be saved

    @property
    def step(self) -> int:
        """Steps taken."""
        if self.job:
            return self.job.step_count
        return self.saved.step if self.saved else 0

    @property
    def is_further(self) -> bool:
        """Whether it has taken steps since it was saved, and can be saved."""
        is_whole = self.job is not None and not self._is_torn
        return is_whole and self.saved is not None and self.step != self.saved.step

    def build(self, new_job: Callable[..., ArmJob], clocks: Clocks, breathe: Breathe) -> ArmJob:
        """Its job, at step 0 or where it was saved. Raises ValueError if it cannot be trained."""
        seed = self._experiment.seed if self._arm.seed is None else self._arm.seed
        planned = self.schedule.planned(self._arm)
        planned = replace(planned, by_torch=self._by_torch or planned.by_torch)
        try:
            job = new_job(planned, seed, self._experiment.device, clocks.cpu, breathe=breathe)
        except ValueError as error:
            raise ValueError(self._about(error)) from error
        if job.device.startswith(WALL_DEVICES):
            job.clock = clocks.wall
        self.job, self._is_torn = job, False
        if self.saved:
            self.restore()
        job.configure(self.schedule.at(self.step))
        return job

    def advance(self, breathe: Breathe) -> None:
        """One step. Raises `Diverged`, and what `breathe` raises: it is to be dropped or restored then."""
        assert self.job
        self._is_torn = True
        try:
            self.job.step(breathe)
        except Diverged as error:
            raise Diverged(self._about(error)) from error
        self._is_torn = False
        self.job.configure(self.schedule.at(self.job.step_count))

    def change(self, train: TrainConfig) -> tuple[TrainConfig, TrainConfig]:
        """Train otherwise from the next step on: the settings before and now. Raises ValueError."""
        try:
            now = checked(self._arm.flow, train)
        except ValueError as error:
            raise ValueError(self._about(error)) from error
        before = self.schedule.at(self.step)
        if now != before:
            self.schedule = self.schedule.changed(self.step, now)
            if self.job:
                self.job.configure(now)
        return before, now

    def start_over(self) -> None:
        """It is not built, and the settings in force now hold from the beginning."""
        self.schedule = self.schedule.restarted(self.step)
        self.job, self.saved = None, None

    def checkpoint(self, id: str, handled: int, is_passing: bool = False) -> Checkpoint:
        assert self.job
        fingerprints, data = (self.job.fingerprint,), self.job.save()
        return Checkpoint(id, self.step, data, (self.schedule,), handled, self.origin, fingerprints, is_passing)

    def restore(self) -> None:
        """Go back to where it was saved, with the settings as they are now."""
        assert self.job and self.saved
        self.job.restore(self.saved.data)
        self._is_torn = False
        self.job.configure(self.schedule.at(self.step))

    def _about(self, error: Exception) -> str:
        numbers = self._experiment.numbers
        return f"Arm {numbers[0] + 1}: {error}" if len(self._experiment.whole) > 1 else str(error)
