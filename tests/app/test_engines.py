"""What an engine promises, of each: in process, in two workers, and on a cluster of two nodes.

Workers that are processes of this machine have a file of their own, `test_engine_remote`."""

import dataclasses
import time

import numpy as np
import pytest
import torch

from app.engine import remote
from app.engine.cluster.connection import connect
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.local import LocalEngine
from app.engine.remote import RemoteEngine
from app.engine.reports import HandedOut, State
from app.engine.training.backends import NUMBA, TORCH
from app.engine.training.weights import decode
from resflow_core.api import flow_file
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig
from tests import ray_cluster
from tests.app.backends import Always
from tests.app.worker_thread import WorkerThread

pytestmark = [pytest.mark.thorough, pytest.mark.filterwarnings("ignore")]  # Ray's own

ARM = Arm(FlowConfig(blocks=2, width=8), TrainConfig(batch=50), "moons")
# Of two workers one has the first and the third, and the other the second.
ARMS = tuple(Arm(FlowConfig(blocks=2, width=width), TrainConfig(batch=50), "moons") for width in (8, 24, 12))
VIEW_REQUEST = ViewRequest(grid=16, points=40)
DEADLINE = 300.0
RAY = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


def poll_until(engine, id, condition, request=VIEW_REQUEST):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        report = engine.poll(id, request)
        if condition(report):
            return report
        time.sleep(0.02)
    raise AssertionError(f"still {report!r}")


def at(step):
    """Of a report: whether all rest at this step, and are seen there."""
    return lambda r: (
        r.confirmed
        and r.state is State.PAUSED
        and bool(r.arms)
        and all(arm.step == step and arm.frame and arm.frame.step == step for arm in r.arms)
    )


def stepped(engine, id, n, step):
    engine.step(id, n)
    return poll_until(engine, id, at(step))


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """However slow the machine is, no process is given up for it."""
    for name in ("HANGS_SECONDS", "STARTS_SECONDS", "EXPORT_SECONDS"):
        monkeypatch.setattr(remote, name, DEADLINE)


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster.nodes(2) as found:
        yield found


@pytest.fixture(
    scope="module",
    params=[
        "local",
        "two workers",
        pytest.param("ray", marks=[pytest.mark.slow, pytest.mark.xdist_group("ray")]),
    ],
)
def engine(request):
    if request.param == "local":
        yield LocalEngine()
        return
    if request.param == "ray":
        engine = connect(request.getfixturevalue("cluster").address)
        assert len(engine.pids()) <= 2
        yield engine
        engine.close_all()
        return
    engine, threads = RemoteEngine(2, WorkerThread), torch.get_num_threads()
    yield engine
    engine.close_all()
    torch.set_num_threads(threads)


def alone(experiment, steps, fingerprints):
    """The last reports of the arms, of the engine in this process, with the backend that computed the others."""
    backends = {NUMBA if NUMBA in fingerprint else TORCH for fingerprint in fingerprints}
    assert len(backends) == 1
    local = LocalEngine(backends=Always(*backends))
    return stepped(local, local.create(experiment), steps, steps).arms


def same(arm, other):
    assert arm.fingerprint == other.fingerprint
    assert arm.loss.step.tolist() == other.loss.step.tolist()
    np.testing.assert_array_equal(arm.loss.batch_nll, other.loss.batch_nll)
    np.testing.assert_array_equal(arm.frame.density, other.frame.density)


def test_plays_pauses_and_ends(engine):
    id = engine.create(Experiment((ARM,), 0))
    engine.play(id)
    report = poll_until(engine, id, lambda r: r.arms and r.arms[0].step > 20 and r.arms[0].frame)
    assert (report.state, report.device) == (State.PLAYING, "cpu")
    engine.pause(id)
    assert engine.poll(id, VIEW_REQUEST).state is State.PAUSED
    report = poll_until(engine, id, lambda r: r.confirmed and r.arms[0].frame.step == r.arms[0].step)
    assert report.arms[0].step == engine.poll(id, VIEW_REQUEST).arms[0].step
    engine.close(id)
    assert engine.poll(id, VIEW_REQUEST).state is State.EXPIRED


def test_steps_are_exact_and_give_the_digits_of_the_engine_in_process(engine):
    experiment = Experiment((ARM,), 3)
    id = engine.create(experiment)
    report = stepped(engine, id, 10, 10)
    same(report.arms[0], alone(experiment, 10, [report.arms[0].fingerprint])[0])
    engine.close(id)


def test_changes_last_until_a_reset_which_keeps_them(engine):
    changed = TrainConfig(batch=40)
    id = engine.create(Experiment((ARM,), 0))
    stepped(engine, id, 10, 10)
    engine.change(id, 0, changed)
    arm = stepped(engine, id, 5, 15).arms[0]
    assert (arm.train, arm.changes) == (changed, ((10, changed),))
    engine.reset(id)
    arm = poll_until(engine, id, at(0)).arms[0]
    assert (arm.train, arm.changes) == (changed, ())
    engine.close(id)


def test_a_comparison_has_all_arms_at_one_step_with_the_digits_of_the_engine_in_process(engine):
    experiment = Experiment(ARMS, 1)
    id = engine.create(experiment)
    first = stepped(engine, id, 4, 4)
    assert [arm.step for arm in first.arms] == [4] * 3
    engine.play(id)
    poll_until(engine, id, lambda r: r.state is State.PLAYING and min(arm.step for arm in r.arms) > 4)
    engine.pause(id)
    assert engine.poll(id, VIEW_REQUEST).state is State.PAUSED
    step = poll_until(engine, id, lambda r: r.confirmed).arms[0].step
    report = poll_until(engine, id, at(step))
    for arm, other in zip(report.arms, alone(experiment, step, {a.fingerprint for a in report.arms}), strict=True):
        same(arm, other)
    engine.close(id)


def test_pictures_changes_and_files_are_of_the_arm_that_is_asked_for(engine):
    changed = TrainConfig(batch=20)
    id = engine.create(Experiment(ARMS, 1))
    stepped(engine, id, 3, 3)
    for index, arm in enumerate(ARMS):
        assert flow_file.from_bytes(engine.export(id, index)).config == arm.flow
    assert engine.export(id, len(ARMS)) is None
    engine.change(id, 2, changed)
    engine.step(id, 2)
    pictured = dataclasses.replace(VIEW_REQUEST, pictured=(2,), points=50)

    def is_pictured(report):
        frame = report.confirmed and report.arms[2].step == 5 and report.arms[2].frame
        return frame and frame.step == 5 and len(frame.latent) == 50

    report = poll_until(engine, id, is_pictured, pictured)
    assert [arm.train.batch for arm in report.arms] == [50, 50, 20]
    assert [arm.frame.step for arm in report.arms] == [3, 3, 5]
    engine.close(id)


def test_a_comparison_that_was_closed_goes_on_where_it_was(engine):
    experiment = Experiment(ARMS, 2)
    id = engine.create(experiment)
    there = stepped(engine, id, 9, 9)
    beyond = stepped(engine, id, 3, 12)
    assert engine.preserve(id) == 12
    engine.close(id)
    fingerprints = tuple(arm.fingerprint for arm in there.arms)
    assert (engine.stored(experiment, 9, fingerprints), engine.stored(experiment, 12)) == (9, 12)
    assert 9 <= engine.stored(experiment, 11, fingerprints) <= 11, "a slow machine stores more of them"
    assert {9, 12} <= set(engine.checkpoints(experiment, 15))
    assert engine.stored(experiment, 12, ("another",) * 3) == 0
    back = engine.create(experiment, 9, fingerprints)
    for arm, before in zip(poll_until(engine, back, at(9)).arms, there.arms, strict=True):
        same(arm, before)
    for arm, before in zip(stepped(engine, back, 3, 12).arms, beyond.arms, strict=True):
        same(arm, before)
    engine.close(back)


def test_a_comparison_with_an_arm_that_cannot_be_built_fails_and_names_it(engine):
    id = engine.create(Experiment((ARM, ARM, dataclasses.replace(ARM, data="nowhere")), 0))
    report = poll_until(engine, id, lambda r: r.state is State.FAILED)
    assert "Arm 3" in report.message and "nowhere" in report.message
    engine.close(id)


def test_the_weights_of_all_arms_that_are_pictured_come_with_their_timeline(engine):
    heard = []
    id = engine.create(Experiment(ARMS, 4))
    end = engine.watch(id, lambda news: heard.append(news) if isinstance(news, HandedOut) else None)
    draws = dataclasses.replace(VIEW_REQUEST, frames=False, weights=True, pictured=(0, 1))

    def handed_out(step, rewinds):
        arms = [one for one in list(heard) if (one.step, one.rewinds > 0) == (step, rewinds)]
        assert all(len(one.arms) == 3 and one.arms[2] is None for one in arms)
        return {k: decode(one.arms[k]) for one in arms for k in range(3) if one.arms[k]}

    poll_until(engine, id, lambda r: len(handed_out(0, False)) == 2, draws)
    engine.step(id, 4)
    report = poll_until(engine, id, lambda r: len(handed_out(4, False)) == 2, draws)
    assert report.has_weights and not any(arm.frame for arm in report.arms)
    assert {k: header["flow"]["widths"] for k, (header, _) in handed_out(4, False).items()} == {
        0: [2, 8, 2],
        1: [2, 24, 2],
    }
    engine.reset(id)
    poll_until(engine, id, lambda r: len(handed_out(0, True)) == 2, draws)
    end()
    engine.close(id)


def test_a_comparison_plays_evenly_and_all_that_watch_hear_of_all_arms(engine):
    heard = []
    id = engine.create(Experiment(ARMS, 4))
    end = engine.watch(id, heard.append)
    engine.play(id)
    poll_until(engine, id, lambda r: r.arms and min(arm.step for arm in r.arms) > 20)

    def pictured():
        return {k for report in list(heard) for k, arm in enumerate(report.arms) if arm.frame}

    poll_until(engine, id, lambda r: pictured() == {0, 1, 2})
    end()
    assert {len(report.arms) for report in heard if report.arms} == {3}
    engine.reset(id)
    report = poll_until(engine, id, at(0))
    assert report.rewinds > 0
    engine.close(id)
