"""The jobs of one experiment, which take the same steps, one after the other."""

import pickle
from collections.abc import Callable
from dataclasses import replace

from app.engine.arm_job import ArmJob
from app.engine.backends import differ
from app.engine.clocks import Clocks
from app.engine.experiment import Experiment
from app.engine.job import checked
from app.engine.schedule import Schedule
from app.engine.step_time import StepTime
from resflow_core.fast.pieces import Pieces
from resflow_core.training.trainer import Diverged, TrainConfig


class Arms:
    """`jobs` is empty until all are built. Errors name the arm where there are several."""

    def __init__(
        self,
        experiment: Experiment,
        schedules: tuple[Schedule, ...] | None,
        step: int,
        clocks: Clocks,
        new_job: Callable[..., Pieces[ArmJob]],
    ):
        """`schedules` are those of a run that goes on at `step`; None: what is planned."""
        self._experiment, self._clocks, self._new_job = experiment, clocks, new_job
        self.schedules = schedules or tuple(map(Schedule.of, experiment.arms))
        self.jobs: tuple[ArmJob, ...] = ()
        self._built: list[ArmJob] = []  # while not all are
        self._under_way: Pieces[ArmJob] | None = None  # the next of them
        self.step_time = StepTime()
        self._by_torch = differ(experiment.whole or experiment.arms)
        self._expect_steps(step)

    @property
    def step(self) -> int:
        """Steps taken by the first arm: the others may still have to take the last one."""
        return self.jobs[0].step_count

    @property
    def _behind(self) -> int:
        """The first arm that has not taken the newest step yet; 0 if all have."""
        return next((k for k, job in enumerate(self.jobs) if job.step_count < self.step), 0)

    @property
    def have_weights(self) -> bool:
        """Whether browsers can draw them all from their weights. They must be built."""
        return all(job.has_weights for job in self.jobs)

    @property
    def differ(self) -> bool:
        """Whether some arms have still to take the newest step."""
        return len(self.jobs) > 1 and self._behind > 0

    def build(self) -> bool:
        """Build a piece of the next job, and say whether there was none left. Raises ValueError for an arm that cannot
        be trained."""
        if len(self._built) == len(self._experiment.arms):
            self.jobs, self._built = tuple(self._built), []
            return True
        index = len(self._built)
        try:
            if self._under_way is None:
                self._under_way = self._new(index)
            next(self._under_way)
        except StopIteration as end:
            self._built.append(end.value)
            self._under_way = None
        except ValueError as error:
            raise ValueError(self._about(index, error)) from error
        return False

    def _new(self, index: int) -> Pieces[ArmJob]:
        arm = self._experiment.arms[index]
        seed = self._experiment.seed if arm.seed is None else arm.seed
        planned = replace(self.schedules[index].planned(arm), by_torch=self._by_torch or arm.by_torch)
        return self._new_job(planned, seed, self._experiment.device, self._clocks.wall)

    def drop(self) -> None:
        """Nothing is built any more."""
        self.jobs, self._built, self._under_way = (), [], None

    def advance(self) -> bool:
        """A step of the arm that is behind, or a part of one, and whether all have taken the newest step then. Raises
        `Diverged`."""
        index, began = self._behind, self._clocks.cpu()
        try:
            has_more_parts = self.jobs[index].step()
        except Diverged as error:
            raise Diverged(self._about(index, error)) from error
        self.step_time.add(index, self._clocks.cpu() - began)
        if has_more_parts or self.differ:
            return False
        self.configure()
        return True

    def configure(self) -> None:
        """Let each train with the settings of its step."""
        for job, schedule in zip(self.jobs, self.schedules, strict=True):
            job.configure(schedule.at(job.step_count))

    def change(self, index: int, train_config: TrainConfig, step: int) -> tuple[TrainConfig, TrainConfig]:
        """Train an arm otherwise now that `step` steps are done: its settings before and now. Raises ValueError."""
        try:
            now = checked(self._experiment.arms[index].flow, train_config)
        except ValueError as error:
            raise ValueError(self._about(index, error)) from error
        before = self.schedules[index].at(step)
        if now != before:
            changed = self.schedules[index].changed(step, now)
            self.schedules = (*self.schedules[:index], changed, *self.schedules[index + 1 :])
            self._expect_steps(step)
            if self.jobs:
                self.configure()
        return before, now

    def start_over(self, step: int) -> None:
        """Nothing is built, and the settings in force at `step` hold from the beginning."""
        self.schedules = tuple(schedule.restarted(step) for schedule in self.schedules)
        self._expect_steps(step)
        self.drop()

    def save(self) -> bytes:
        return pickle.dumps([job.save() for job in self.jobs])

    def restore(self, saved: bytes) -> None:
        """Go on from what `save` returned, with the settings as they are now."""
        for job, state in zip(self.jobs, pickle.loads(saved), strict=True):
            job.restore(state)
        self.configure()

    def _expect_steps(self, step: int) -> None:
        trains = (schedule.at(step) for schedule in self.schedules)
        self.step_time.expect(zip(self._experiment.arms, trains, strict=True))

    def _about(self, index: int, error: Exception) -> str:
        numbers = self._experiment.numbers or range(len(self._experiment.arms))
        one = len(self._experiment.whole or self._experiment.arms) == 1
        return str(error) if one else f"Arm {numbers[index] + 1}: {error}"
