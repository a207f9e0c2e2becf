"""The engine on the real core, in this process."""

import dataclasses
import pickle
import time

import numpy as np
import pytest
import torch

from app.engine.frames import density_pieces
from app.engine.job import Job
from app.engine.local import LocalEngine
from app.engine.messages import Arm, Demand, Experiment, State
from app.quantise import to_u8, to_u16
from resflow_core import measure
from resflow_core.datasets import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Truncated
from resflow_core.training import TrainConfig, Trainer

SMALL = FlowConfig(blocks=2, width=8)
TRAIN = TrainConfig(batch=50)
ARM = Arm(SMALL, TRAIN, "moons")
DEMAND = Demand(grid=16, still_grid=60, points=40)


@pytest.fixture(autouse=True)
def one_thread():
    """As in the worker: a second thread gains nothing on flows this small, and stalls on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def unchecked(config, **values):
    """As a configuration arrives when it was unpickled: without its checks."""
    copy = pickle.loads(pickle.dumps(config))
    for name, value in values.items():
        object.__setattr__(copy, name, value)
    return copy


def test_quantising_is_accurate_to_half_a_level_and_clips():
    density = np.array([0.0, 0.1, 0.5, 2.0])
    np.testing.assert_allclose(to_u8(density, 0.5) / 255, [0, 0.2, 1, 1], atol=0.5 / 255)
    assert to_u8(np.zeros(3), 0.0).tolist() == [0, 0, 0]
    points = np.array([[-9.0, 1.0], [3.0, 2.0]])
    decoded = to_u16(points, ((-4, 4), (0, 2))) / 65535 * [8, 2] + [-4, 0]
    np.testing.assert_allclose(decoded, [[-4, 1], [3, 2]], atol=8 / 65535)


@pytest.mark.parametrize("n", [30, 60, 101])
def test_a_grid_in_pieces_is_the_grid(n):
    trainer = Trainer(SMALL, TRAIN, DATASETS["wine"], seed=0)
    *pieces, density = density_pieces(trainer.flow, trainer.dataset.window, n)
    assert len(pieces) == (-(-n // 50)) ** 2 - 1
    whole = measure.density_grid(trainer.flow, trainer.dataset.window, n)
    np.testing.assert_allclose(density, whole, rtol=1e-4, atol=1e-7)


def test_frame_shows_the_flow_in_its_shapes():
    job = Job(ARM, 0, "cpu", time.perf_counter)
    job.step()
    frame = job.frame(DEMAND, with_samples=True)
    assert (frame.step, frame.density.shape, frame.density.dtype) == (1, (16, 16), np.uint8)
    assert (frame.latent.shape, frame.grid.shape, frame.samples.shape) == ((40, 2), (26, 25, 2), (40, 2))
    assert frame.density_top > 0
    assert job.frame(DEMAND, with_samples=False).samples is None


def test_looking_does_not_change_training_and_a_saved_job_goes_on_the_same():
    seen, unseen = (Job(ARM, 7, "cpu", time.perf_counter) for _ in range(2))
    for _ in range(4):
        seen.step()
        seen.frame(DEMAND, with_samples=True)
        seen.measure_held_out()
        unseen.step()
    again = Job(ARM, 7, "cpu", time.perf_counter)
    again.restore(unseen.save())
    for job in (seen, unseen, again):
        job.step()
    losses = [job.curves().batch_nll.tolist() for job in (seen, unseen, again)]
    assert losses[0] == losses[1] == losses[2]
    assert len(losses[0]) == 5


def test_local_engine_takes_a_hundred_steps_in_a_poll_and_shows_them():
    engine = LocalEngine()
    id = engine.create(Experiment((ARM,), 0))
    engine.step(id, 100)
    report = engine.poll(id, DEMAND)
    arm = report.arms[0]
    assert (report.state, arm.step, arm.still.step) == (State.PAUSED, 100, 100)
    assert arm.still.density.shape == (60, 60)
    assert arm.loss.held_step[-1] == 100
    again = engine.poll(id, DEMAND).arms[0]
    assert (again.frames, again.still, again.loss) == ((), arm.still, arm.loss)


def test_reset_gives_the_same_first_steps_and_a_new_timeline():
    engine = LocalEngine()
    id = engine.create(Experiment((ARM, ARM), 3))
    engine.step(id, 10)
    first = engine.poll(id, DEMAND)
    engine.reset(id)
    assert engine.poll(id, DEMAND).arms[1].step == 0
    engine.step(id, 10)
    second = engine.poll(id, DEMAND)
    assert second.rewinds == first.rewinds + 1
    for a, b in zip(first.arms, second.arms, strict=True):
        np.testing.assert_array_equal(a.loss.batch_nll, b.loss.batch_nll)
        np.testing.assert_array_equal(a.still.density, b.still.density)


def test_a_live_change_counts_from_the_next_step():
    engine = LocalEngine()
    changed, same = (engine.create(Experiment((ARM,), 0)) for _ in range(2))
    for id in (changed, same):
        engine.step(id, 5)
        engine.poll(id, DEMAND)
    engine.change(changed, 0, dataclasses.replace(TRAIN, learning_rate=0.02))
    for id in (changed, same):
        engine.step(id, 5)
    losses = [engine.poll(id, DEMAND).arms[0].loss.batch_nll for id in (changed, same)]
    np.testing.assert_array_equal(losses[0][:6], losses[1][:6])
    assert (losses[0][6:] != losses[1][6:]).any()


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        (dataclasses.replace(ARM, flow=unchecked(SMALL, blocks=400)), "blocks = 400"),
        (dataclasses.replace(ARM, train=unchecked(TRAIN, batch=0)), "batch = 0"),
        (dataclasses.replace(ARM, data="nothing"), "data = 'nothing'"),
        (Arm(FlowConfig(blocks=32, width=256), TrainConfig(Truncated(50), batch=4096), "moons"), "One step would need"),
    ],
)
def test_a_bad_experiment_comes_back_as_a_message(arm, words):
    engine = LocalEngine()
    report = engine.poll(engine.create(Experiment((arm,), 0)), DEMAND)
    assert report.state is State.FAILED
    assert report.message.startswith(words)


def test_every_limit_at_once_is_within_the_memory_of_an_exact_step():
    Job(Arm(FlowConfig(blocks=32, width=256), TrainConfig(batch=4096), "moons"), 0, "cpu", time.monotonic)


def test_looking_again_measures_no_point_twice():
    engine = LocalEngine()
    id = engine.create(Experiment((ARM,), 0))
    for _ in range(3):
        engine.leave(id)
        report = engine.poll(id, DEMAND)
    assert report.arms[0].loss.held_step.tolist() == [0]


def test_a_bad_live_change_is_refused_and_the_run_goes_on():
    engine = LocalEngine()
    id = engine.create(Experiment((ARM,), 0))
    engine.change(id, 0, unchecked(TRAIN, learning_rate=5.0))
    assert engine.poll(id, DEMAND).message.startswith("learning_rate = 5.0")
    engine.step(id, 2)
    report = engine.poll(id, DEMAND)
    assert (report.arms[0].step, report.message) == (2, "")


def test_a_flow_that_diverges_goes_back_and_can_try_on():
    engine = LocalEngine()
    id = engine.create(Experiment((ARM,), 0))
    engine.step(id, 5)
    engine.poll(id, DEMAND)
    (job,) = engine._scheduler._runs[id]._jobs
    with torch.no_grad():
        job._trainer.flow.blocks[0].branch.linears[0].bias.fill_(torch.nan)
    engine.play(id)
    report = engine.poll(id, DEMAND)
    assert (report.state, report.arms[0].step) == (State.DIVERGED, 5)
    assert "learning rate" in report.message
    assert report.message.endswith("Back at step 5.")
    engine.step(id, 2)
    report = engine.poll(id, DEMAND)
    assert (report.state, report.arms[0].step, report.message) == (State.PAUSED, 7, "")
    assert np.isfinite(report.arms[0].loss.batch_nll).all()


def test_a_closed_experiment_is_expired():
    engine = LocalEngine()
    id = engine.create(Experiment((ARM,), 0))
    engine.close(id)
    assert engine.poll(id, DEMAND).state is State.EXPIRED
