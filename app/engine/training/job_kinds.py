"""Which kind of job an arm is, by its data."""

from collections.abc import Callable

from app.engine.experiment import Arm
from app.engine.training.arm_job import ArmJob
from app.engine.training.backends import TORCH_ALONE, Backends
from app.engine.training.digits_job import DigitsJob
from app.engine.training.job import Job
from app.engine.training.job_records import DIGITS
from app.engine.training.scaling_job import ScalingJob
from app.engine.training.survey_job import SurveyJob
from resflow_core.breathe import Breathe, without
from resflow_core.measure.scaling import Plan
from resflow_core.measure.survey import Survey

# By the type of `Arm.data`; of an arm, a seed, a device and a clock.
PLANS: dict[type, Callable[[Arm, int, str, Callable[[], float]], ArmJob]] = {Plan: ScalingJob, Survey: SurveyJob}


def job_of(
    arm: Arm,
    seed: int,
    device: str,
    clock: Callable[[], float],
    backends: Backends = TORCH_ALONE,
    breathe: Breathe = without,
) -> ArmJob:
    """The job of an arm; measurements are torch's. Raises ValueError, naming value, limit and remedy, where it cannot
    be done."""
    if plan_job := PLANS.get(type(arm.data)):
        return plan_job(arm, seed, device, clock)
    return (DigitsJob if arm.data == DIGITS else Job)(arm, seed, device, clock, backends, breathe)
