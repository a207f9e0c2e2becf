"""What a gradient costs by every way to differentiate the log det: bytes, time and noise."""

from collections.abc import Callable
from dataclasses import replace

from app.engine.experiment import Arm
from app.engine.training.plan_job import PlanJob
from resflow_core.breathe import Breathe, without
from resflow_core.measure.survey import Result, Subjects, Survey, too_much_work


class SurveyJob(PlanJob):
    """`arm.data` is the `Survey`: what is to be measured, and what is known of it already. Raises ValueError, naming
    value, limit and remedy, where it would take too much memory or time."""

    def __init__(self, arm: Arm, seed: int, device: str, clock: Callable[[], float]):
        self._plan = replace(arm.data.of, flow=replace(arm.data.of.flow))  # replace() makes the checks anew
        if problem := self._plan.problem or too_much_work(self._plan):
            raise ValueError(problem)
        self._subjects = Subjects(self._plan)
        super().__init__(self._plan.pieces, clock, arm.data.results)

    def _piece(self, k: int, breathe: Breathe) -> Result:
        return self._subjects.piece(k, breathe)

    def results(self, breathe: Breathe = without) -> Survey:
        return Survey(self._plan, tuple(self._done))
