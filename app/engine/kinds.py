"""Which kind of job an arm is, by its data."""

from collections.abc import Callable

from app.engine.digits_job import DigitsJob
from app.engine.figures import DIGITS
from app.engine.job import Job
from app.engine.messages import Arm
from app.engine.scaling_job import ScalingJob
from resflow_core.measure.scaling import Plan


def job_of(arm: Arm, seed: int, device: str, clock: Callable[[], float]) -> Job | ScalingJob:
    """The job of an arm. Raises ValueError, naming value, limit and remedy, where it cannot be done."""
    if isinstance(arm.data, Plan):
        return ScalingJob(arm, seed, device, clock)
    return (DigitsJob if arm.data == DIGITS else Job)(arm, seed, device, clock)
