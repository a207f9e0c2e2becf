"""What tests ask a job or an engine for, and an engine that answers in the same way on every machine."""

import itertools
import sys
from dataclasses import replace

from app.engine.clocks import Clocks
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm
from app.engine.local import LocalEngine
from app.engine.training.job import Job
from app.engine.training.measurements import MEASUREMENTS
from resflow_core.breathe import without
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig

PATIENCE_SECONDS = 300.0
LOOK_SECONDS = 1e-3
ARM = Arm(FlowConfig(blocks=2, width=8), TrainConfig(batch=50), "moons")
LOSSES = ViewRequest(frames=False)


def engine_without_time(**settings):
    """The engine in this process, for which time passes only when it looks at its clock: what is done, and after which
    step, does not depend on the machine. A poll ends when all is finished, and pages are not missed."""
    looks = itertools.count()

    def clock():
        return next(looks) * LOOK_SECONDS

    clocks = Clocks(clock, attendance=lambda: 0.0, cpu=clock)
    return LocalEngine(PATIENCE_SECONDS, clocks=clocks, **settings)


def job_after(steps, arm=ARM, seed=0):
    """A job that has taken so many steps, for which no time passes."""
    job = Job(arm, seed, "cpu", lambda: 0.0)
    for _ in range(steps):
        job.step()
    return job


def run_to(engine, id, step, request=LOSSES):
    """The report of a run that has been sent to this step."""
    engine.step(id, step - engine.poll(id, request).arms[0].step)
    return engine.poll(id, request)


def shorten_inversions(monkeypatch):
    """Fewer starts, nodes and steps of the inverse of a block, where they are not what is tested."""
    module = sys.modules["resflow_core.measure.inversion"]  # a function of this name hides it in its package
    for name, value in {"MOST_STEPS": 30, "WALK_STEPS": 20, "STEPS_GRID": 10, "STARTS": 5}.items():
        monkeypatch.setattr(module, name, value)


def wanting(request, measured, **others):
    """The same request, with these measurements as well."""
    return replace(request, measured={**request.measured, **measured}, **others)


def measured(job, name, request, breathe=without, *, moving=True):
    """A measurement of a job."""
    return MEASUREMENTS[name].function(moving)(job, request, request.measured[name], breathe)


def reported(*records):
    """What was measured, as `ArmReport.measured` has it."""
    return {type(record): record for record in records if record is not None}
