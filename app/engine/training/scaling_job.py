"""The exact log det and an estimate of it, compared dimension by dimension."""

from collections.abc import Callable
from dataclasses import replace

from app.engine.experiment import Arm
from app.engine.training.job import checked
from app.engine.training.job_records import Scaling
from app.engine.training.plan_job import PlanJob
from resflow_core import measure
from resflow_core.breathe import Breathe, without
from resflow_core.log_det import Exact
from resflow_core.measure.scaling import Piece, Subject


class ScalingJob(PlanJob):
    """`arm.data` is the `Plan`."""

    def __init__(self, arm: Arm, seed: int, device: str, clock: Callable[[], float]):
        self._plan, self._seed = replace(arm.data), seed  # replace() makes the checks anew
        for dim in self._plan.dims:
            for log_det in (self._plan.train.log_det, Exact()):
                checked(replace(self._plan.flow, dim=dim), replace(self._plan.train, log_det=log_det))
        self._todo = self._plan.pieces
        self._subject: tuple[int, Subject] | None = None
        super().__init__(len(self._todo), clock)

    def _piece(self, k: int, breathe: Breathe) -> Piece:
        dim, number = self._todo[k]
        if self._subject is None or self._subject[0] != dim:
            self._subject = dim, Subject(self._plan, dim, self._seed, breathe=breathe)
        return self._subject[1].piece(number)

    def results(self, breathe: Breathe = without) -> Scaling:
        return Scaling(self.step_count, len(self._todo), tuple(measure.by_dim(self._done)))

    def restore(self, saved: bytes) -> None:
        super().restore(saved)
        self._subject = None
