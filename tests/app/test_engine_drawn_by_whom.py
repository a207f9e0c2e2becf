"""Comparisons of which browsers draw some arms from their weights, and the server all others."""

import dataclasses

import numpy as np
import pytest

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.local import LocalEngine
from app.engine.reports import State
from app.engine.training.views import Views
from app.engine.training.weights import Weights, decode
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig

TRAIN = TrainConfig(batch=20)
RESIDUAL, PEER, OTHER = range(3)
ARMS = (
    Arm(FlowConfig(blocks=2, width=8), TRAIN, "moons"),
    Arm(BaselineConfig("nice", 2, 6), TRAIN, "moons"),
    Arm(FlowConfig(blocks=1, width=8, branch="dense"), TRAIN, "moons"),
)
PICTURES = ViewRequest(grid=8, points=20, ways=False, samples=False, pictured=(RESIDUAL, PEER))
WEIGHTS = dataclasses.replace(PICTURES, frames=False, weights=True)


@pytest.fixture
def run():
    """An engine with the comparison."""
    engine = LocalEngine()
    return engine, engine.create(Experiment(ARMS, 0))


def numbers_of(engine, id, index):
    """Those of the flow that the engine would save."""
    return measure.folded_numbers(flow_file.from_bytes(engine.export(id, index)))


def test_each_arm_has_its_weights_or_else_its_picture(run):
    engine, id = run
    engine.step(id, 3)
    residual, peer, other = engine.poll(id, WEIGHTS).arms
    header, numbers = decode(residual.weights)
    assert header["step"] == 3
    np.testing.assert_array_equal(numbers, numbers_of(engine, id, RESIDUAL))
    assert residual.frame is None
    assert peer.weights is None and peer.frame.step == 3
    assert (other.weights, other.frame) == (None, None)


def test_weights_stay_in_reports_until_newer_ones_come(run):
    engine, id = run
    engine.step(id, 1)
    first = engine.poll(id, WEIGHTS).arms[RESIDUAL].weights
    assert engine.poll(id, WEIGHTS).arms[RESIDUAL].weights is first
    engine.step(id, 1)
    header, _ = decode(engine.poll(id, WEIGHTS).arms[RESIDUAL].weights)
    assert header["step"] == 2


def test_a_page_that_cannot_draw_has_all_pictures_although_nothing_moves(run):
    engine, id = run
    engine.step(id, 2)
    engine.poll(id, WEIGHTS)
    residual, peer, other = engine.poll(id, PICTURES).arms
    assert (residual.frame.step, peer.frame.step, other.frame) == (2, 2, None)
    # And back again.
    engine.step(id, 1)
    residual, peer, _ = engine.poll(id, WEIGHTS).arms
    assert decode(residual.weights)[0]["step"] == 3 and (residual.frame.step, peer.frame.step) == (2, 3)


def test_flows_that_all_have_weights_are_never_drawn_by_the_server(run):
    engine, id = run
    engine.play(id)
    wanted = ViewRequest(frames=False, weights=True, pictured=(RESIDUAL, OTHER), ways=False, samples=False)
    for _ in range(2):
        report = engine.poll(id, wanted)
        assert report.state is State.PLAYING
        assert all(arm.frame is None for arm in report.arms)
    assert [arm.weights is not None for arm in report.arms] == [True, False, True]


class Standing:
    """A job whose flow has one number."""

    step_count = 0

    def weights(self, request):
        return Weights(self.step_count, "{}", np.zeros(1, np.float32))


def test_weights_come_as_often_as_the_page_asks_for():
    views, job = Views(), Standing()
    views.begin(True)
    for now, seconds in ((100.0, 1.0), (200.0, 2.0)):
        job.step_count += 1
        views.want(ViewRequest(frames=False, weights=True, frame_seconds=seconds))
        message = views.hand_out(job, now, between=0.125)
        assert decode(message)[0]["step"] == job.step_count
        next_step = job.step_count + 1
        assert not views.weights_are_due(next_step, now + seconds - 0.01, between=0.125)
        assert views.weights_are_due(next_step, now + seconds, between=0.125)
        assert views.weights_are_due(next_step, now, between=0.0)  # it stands still
        assert not views.weights_are_due(job.step_count, now + 50, between=0.125)
        # Several steps, one by one, of a flow that stands still in between.
        for soon in (0.01, 0.02):
            job.step_count += 1
            assert views.weights_are_due(job.step_count, now + soon, between=0.0)
            views.hand_out(job, now + soon, between=0.125)
