"""A step in its parts by the engine: the same step, reported once, with numbers that are the core's."""

import itertools
import math

import numpy as np
import pytest

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.reports import State
from app.engine.training.job import Job
from app.engine.training.job_kinds import job_of
from app.engine.training.job_records import DIGITS
from app.engine.training.step_picture import MOST_POINTS
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Roulette
from resflow_core.training.step_parts import step_in_parts
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer
from tests.app.requests import engine_without_time

FLOW, TRAIN = FlowConfig(blocks=2, width=8), TrainConfig(batch=50, log_det=Roulette())
ARM = Arm(FLOW, TRAIN, "moons")
VIEW = ViewRequest(grid=16, points=40)
MOONS = DATASETS["moons"]


def begun(arm=ARM, steps=3):
    engine = engine_without_time()
    id = engine.create(Experiment((arm,), 0))
    engine.step(id, steps)
    engine.poll(id, VIEW)
    return engine, id


def slowly(engine, id):
    engine.step(id, 1, in_parts=True)
    return engine.poll(id, VIEW)


def taken(job):
    job.step()
    return job._trainer.state_bytes()


def test_it_is_the_same_step_and_the_picture_has_the_cores_numbers():
    plain, slow = (Job(ARM, 0, "cpu", itertools.count().__next__) for _ in range(2))
    for job in (plain, slow):
        taken(job)
    slow.record_next_step(VIEW)
    assert taken(slow) == taken(plain)
    assert np.array_equal(slow.curves().batch_nll, plain.curves().batch_nll)
    assert plain.seconds == slow.seconds == 2.0  # of training alone
    picture = slow.hand_over_parts()
    assert slow.hand_over_parts() is None
    trainer = Trainer(FLOW, TRAIN, MOONS, 0)
    trainer.step()
    parts = step_in_parts(trainer, measure.grid_points(MOONS.window, 16), MOST_POINTS)
    numbers = picture.numbers
    assert (picture.step, picture.batch, picture.log_det_by) == (2, 50, TRAIN.log_det)
    assert numbers.loss.value == pytest.approx(parts.loss.mean())
    assert numbers.loss.error == pytest.approx(parts.loss.std(ddof=1) / math.sqrt(50), rel=1e-5)
    assert numbers.true_loss.value == pytest.approx(parts.true_loss.mean())
    assert numbers.deviation == pytest.approx(math.sqrt(((parts.log_det - parts.true_log_det) ** 2).mean()))
    assert numbers.gain.value == pytest.approx((parts.true_loss_after - parts.true_loss).mean())
    assert numbers.fell == (parts.true_loss_after < parts.true_loss).sum()
    assert numbers.gradient_norm == parts.gradient_norm and numbers.update_norm == parts.update_norm
    (x0, x1), (y0, y1) = MOONS.window
    cell = (x1 - x0) * (y1 - y0) / 15**2
    assert numbers.moved == pytest.approx(np.abs(parts.change).sum() * cell / 2)
    assert picture.change == pytest.approx(parts.change.reshape(16, 16), abs=1e-6)
    np.testing.assert_array_equal(picture.points, parts.x)
    assert picture.stages[-1] == pytest.approx(parts.z, abs=1e-6)


def test_a_report_has_the_parts_as_long_as_the_flow_stands_at_this_step():
    engine, id = begun()
    report = slowly(engine, id)
    assert (report.state, report.arms[0].step, report.arms[0].parts.step) == (State.PAUSED, 4, 4)
    engine.leave(id)
    assert engine.poll(id, VIEW).arms[0].parts is report.arms[0].parts  # a page that comes back
    engine.step(id, 1)
    assert engine.poll(id, VIEW).arms[0].parts is None
    assert slowly(engine, id).arms[0].parts.step == 6
    engine.step(id, 5000)
    report = slowly(engine, id)  # what was to come is given up
    assert (report.state, report.arms[0].step, report.arms[0].parts.step) == (State.PAUSED, 7, 7)
    engine.step(id, 1, in_parts=True)
    engine.pause(id)
    engine.step(id, 1)
    assert engine.poll(id, VIEW).arms[0].parts is None
    engine.reset(id)
    assert engine.poll(id, VIEW).arms[0].parts is None


def test_two_classes_have_parts_and_digits_a_plain_step():
    classes = Arm(HybridConfig(FLOW), HybridTrainConfig(batch=50, weight=0.5), "moons")
    engine, id = begun(classes)
    picture = slowly(engine, id).arms[0].parts
    assert picture.numbers.loss.value == pytest.approx(picture.numbers.step_loss, abs=1e-4)
    digits = Arm(FlowConfig(blocks=1, width=8, dim=64), TrainConfig(batch=8, log_det=Roulette()), DIGITS)
    job = job_of(digits, 0, "cpu", lambda: 0.0)
    job.record_next_step(VIEW)
    job.step()
    assert (job.step_count, job.hand_over_parts()) == (1, None)
