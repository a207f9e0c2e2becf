"""The real worker processes."""

import dataclasses
import io
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from app import engine as engine_package
from app.engine import remote
from app.engine.commands import Beat, ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.local import LocalEngine
from app.engine.remote import RemoteEngine
from app.engine.reports import State
from app.engine.training.backends import MADE_NOW, NUMBA, TORCH
from app.engine.worker import __main__ as worker
from app.engine.worker.process import ROOT
from resflow_core.api import flow_file
from resflow_core.flow import FlowConfig
from resflow_core.measure import Survey, SurveyPlan, footprint, subject
from resflow_core.training.trainer import TrainConfig
from tests.app.backends import Always
from tests.app.pages import named

pytestmark = pytest.mark.thorough

ARM = Arm(FlowConfig(blocks=2, width=8), TrainConfig(batch=50), "moons")
VIEW_REQUEST = ViewRequest(grid=16, points=40, measured={"masses": True})
DEADLINE = 300.0


def wait(probe, condition):
    """Poll until `condition` holds of what `probe` returns, and return that."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        value = probe()
        if condition(value):
            return value
        time.sleep(0.02)
    raise AssertionError(f"still {value!r}")


def poll_until(engine, id, condition):
    return wait(lambda: engine.poll(id, VIEW_REQUEST), condition)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def engine():
    engine = RemoteEngine()
    yield engine
    engine.close_all()


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """However slow the machine is, no process is given up for it."""
    for name in ("HANGS_SECONDS", "STARTS_SECONDS", "EXPORT_SECONDS", "GRACE_SECONDS"):
        monkeypatch.setattr(remote, name, DEADLINE)


def hang(pid):
    """Stop a worker, and wait until it has stopped."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)


def numbers(message):
    return [int(word) for word in named(message) if word.isdigit()]


def is_drawn(arm, step):
    """Whether it stands at this step, and is seen there."""
    return arm.step == step and arm.frame is not None and arm.frame.step == step


def test_trains_shows_and_pauses(engine):
    id = engine.create(Experiment((ARM,), 0))
    assert engine.poll(id, VIEW_REQUEST).state is State.LOADING
    engine.play(id)
    report = poll_until(engine, id, lambda r: r.arms and r.arms[0].step > 20 and r.arms[0].frame)
    assert (report.state, report.device) == (State.PLAYING, "cpu")
    engine.pause(id)
    assert engine.poll(id, VIEW_REQUEST).state is State.PAUSED
    arm = poll_until(engine, id, lambda r: r.confirmed and r.arms[0].frame.step == r.arms[0].step).arms[0]
    assert arm.step == engine.poll(id, VIEW_REQUEST).arms[0].step
    engine.close(id)
    assert engine.poll(id, VIEW_REQUEST).state is State.EXPIRED


def until_kernels_are_made(engine):
    """Or are known not to be: a run that began before is torch's, whose digits are others than those of later ones."""
    id = engine.create(Experiment((ARM,), 0))
    engine.step(id, 1)
    poll_until(engine, id, lambda r: r.arms and r.arms[0].step == 1 and r.arms[0].why_torch != MADE_NOW)
    engine.close(id)


def test_steps_are_exact_and_experiments_share_no_randomness(engine):
    until_kernels_are_made(engine)
    alone = engine.create(Experiment((ARM,), 1))
    engine.step(alone, 30)
    first = poll_until(engine, alone, lambda r: r.arms and r.arms[0].frame and r.arms[0].frame.step == 30)
    together, other = (engine.create(Experiment((ARM,), seed)) for seed in (1, 2))
    engine.play(other)
    engine.step(together, 30)
    second = poll_until(engine, together, lambda r: r.arms and r.arms[0].frame and r.arms[0].frame.step == 30)
    assert first.state is second.state is State.PAUSED
    np.testing.assert_array_equal(first.arms[0].loss.batch_nll, second.arms[0].loss.batch_nll)
    for id in (alone, together, other):
        engine.close(id)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_runs_go_on_from_their_checkpoints(engine):
    playing, paused = (engine.create(Experiment((ARM,), seed)) for seed in (0, 1))
    engine.step(playing, 40)
    engine.step(paused, 15)
    for id, steps in ((playing, 40), (paused, 15)):
        poll_until(engine, id, lambda r, n=steps: r.state is State.PAUSED and r.arms and r.arms[0].step == n)
    engine.play(playing)
    before = poll_until(engine, playing, lambda r: r.arms[0].step > 45)
    asked = engine.create(Experiment((ARM,), 0))
    engine.step(asked, 400)
    poll_until(engine, asked, lambda r: r.arms and r.arms[0].step > 5)
    (pid,) = engine.pids()
    os.kill(pid, signal.SIGKILL)
    # While the new worker is slow, a second note says so.
    lost = poll_until(
        engine, playing, lambda r: r.restarts and r.state is State.PLAYING and len(numbers(r.message)) == 1
    )
    assert numbers(lost.message)[0] >= 40
    back = poll_until(engine, playing, lambda r: r.state is State.PLAYING and r.arms[0].step > before.arms[0].step)
    assert back.message.startswith(lost.message)
    assert back.arms[0].loss.step[0] == 1
    other = poll_until(engine, paused, lambda r: r.state is State.PAUSED)
    assert (other.arms[0].step, other.restarts) == (15, 1)
    assert engine.pids() != [pid]
    engine.pause(playing)
    assert engine.poll(playing, VIEW_REQUEST).message == ""
    done = poll_until(engine, asked, lambda r: r.restarts and r.state is State.PAUSED)
    assert done.arms[0].step == 400  # as it was asked for


@pytest.mark.slow
def test_a_measurement_goes_on_from_its_checkpoint_when_its_worker_dies(engine):
    plan = SurveyPlan(FlowConfig(dim=64, blocks=2, width=64), batch=64, terms=8, draws=16)
    id = engine.create(Experiment((Arm(plan.flow, TrainConfig(batch=64), Survey(plan)),), 0))
    demand = ViewRequest(frames=False, measured={"results": True})

    def until(condition):
        return wait(lambda: engine.poll(id, demand), condition)

    def figures_of(report):
        return report.arms[0].found(Survey) if report.arms else None

    done = len(plan.sized) + 3  # all bytes, and some times
    engine.step(id, done)
    known = until(lambda r: r.state is State.PAUSED and (f := figures_of(r)) and f.step == done).arms[0].found(Survey)
    engine.step(id, plan.pieces - done)
    assert until(lambda r: r.arms[0].step > done).state is State.STEPPING
    os.kill(engine.pids()[0], signal.SIGKILL)
    lost = until(lambda r: r.restarts and len(numbers(r.message)) == 1)
    assert numbers(lost.message)[0] >= done
    # The first reports of the new process have none yet.
    found = until(lambda r: (f := figures_of(r)) and f.complete).arms[0].found(Survey)
    assert found.results[:done] == known.results  # no second measurement gives the same times
    for place, bytes_found in found.footprints.items():
        flow, x = subject(dataclasses.replace(plan.flow, blocks=place.m), 64, torch.Generator().manual_seed(0))
        assert bytes_found == footprint(flow, x, place.log_det, torch.Generator().manual_seed(1))
    engine.close(id)


@pytest.mark.slow
def test_a_live_change_outlives_the_worker(engine):
    changed, planned = TrainConfig(batch=40), TrainConfig(batch=30)
    id = engine.create(Experiment((dataclasses.replace(ARM, changes=((60, planned),)),), 0))
    engine.step(id, 20)
    poll_until(engine, id, lambda r: r.arms and r.arms[0].step == 20)
    (pid,) = engine.pids()
    hang(pid)  # so that it cannot save what comes now
    engine.change(id, 0, changed)
    os.kill(pid, signal.SIGKILL)
    poll_until(engine, id, lambda r: r.restarts and r.state is State.PAUSED)
    engine.step(id, 30)
    arm = poll_until(engine, id, lambda r: r.arms[0].step == 50).arms[0]
    assert (arm.train, arm.changes) == (changed, ((20, changed),))
    os.kill(engine.pids()[0], signal.SIGKILL)  # now it is saved
    poll_until(engine, id, lambda r: r.restarts == 2 and r.state is State.PAUSED)
    engine.step(id, 30)
    arm = poll_until(engine, id, lambda r: r.arms[0].step == 80).arms[0]
    assert arm.changes == ((20, changed),)


def test_a_closed_run_goes_on_bit_for_bit_where_it_was(engine):
    experiment = Experiment((dataclasses.replace(ARM, train=TrainConfig(batch=50, average=0.9)),), 5)

    def trained(id, n, step):
        engine.step(id, n)
        return poll_until(engine, id, lambda r: r.confirmed and r.arms and is_drawn(r.arms[0], step))

    def look(report):
        arm = report.arms[0]
        return arm.frame.density.tobytes(), arm.loss.step.tobytes(), arm.loss.batch_nll.tobytes(), arm.fingerprint

    straight = engine.create(experiment)
    there = trained(straight, 40, 40)
    beyond = trained(straight, 20, 60)
    playing = engine.create(experiment)
    engine.play(playing)
    last = poll_until(engine, playing, lambda r: r.arms and r.arms[0].step > 60).arms[0].step
    for id in (straight, playing):
        engine.close(id)
    fingerprints = (there.arms[0].fingerprint,)
    assert engine.stored(experiment, 40, fingerprints) == 40 <= engine.stored(experiment, 59, fingerprints) <= 59
    back = engine.create(experiment, 40, fingerprints)
    report = poll_until(engine, back, lambda r: r.arms and is_drawn(r.arms[0], 40))
    assert (report.state, report.arms[0].step, report.rewinds, look(report)) == (State.PAUSED, 40, 0, look(there))
    assert look(trained(back, 20, 60)) == look(beyond)
    # Its checkpoint comes when nothing is known of the run any more.
    wait(lambda: engine.stored(experiment, 10**6), lambda step: step >= last)
    engine.close(back)


def test_all_that_was_asked_of_a_run_is_confirmed(engine):
    id = engine.create(Experiment((ARM,), 0))
    poll_until(engine, id, lambda r: r.arms)
    engine.play(id)
    poll_until(engine, id, lambda r: r.confirmed and r.arms[0].step > 0)
    (pid,) = engine.pids()
    hang(pid)
    engine.pause(id)
    shown = engine.poll(id, VIEW_REQUEST)
    os.kill(pid, signal.SIGCONT)
    assert (shown.state, shown.confirmed) == (State.PAUSED, False)
    report = poll_until(engine, id, lambda r: r.confirmed)
    assert report.state is State.PAUSED
    assert engine.preserve(id) == report.arms[0].step
    engine.close(id)


def test_a_flow_is_exported_as_it_is_trained(engine):
    id = engine.create(Experiment((ARM,), 0))
    engine.step(id, 25)
    arm = poll_until(engine, id, lambda r: r.arms and r.arms[0].step == 25).arms[0]
    local = LocalEngine(DEADLINE, Always(NUMBA if NUMBA in arm.fingerprint else TORCH))
    same = local.create(Experiment((ARM,), 0))
    local.step(same, 25)
    local.poll(same, VIEW_REQUEST)
    data = engine.export(id, 0)
    assert flow_file.from_bytes(data).config == ARM.flow
    assert data == local.export(same, 0)
    assert engine.export(id, 1) is None
    assert engine.export("unknown", 0) is None


def test_an_export_gives_up_and_holds_up_no_poll(engine, monkeypatch):
    id = engine.create(Experiment((ARM,), 0))
    poll_until(engine, id, lambda r: r.arms)
    (pid,) = engine.pids()
    hang(pid)
    with ThreadPoolExecutor() as pool:
        try:
            answer = pool.submit(engine.export, id, 0)
            wait(lambda: len(engine._links[0]._exports), lambda n: n == 1)
            for _ in range(25):
                engine.poll(id, VIEW_REQUEST)
            assert not answer.done()
            monkeypatch.setattr(remote, "EXPORT_SECONDS", 0.01)
            assert engine.export(id, 0) is None
        finally:
            os.kill(pid, signal.SIGCONT)
        assert answer.result(DEADLINE)
    monkeypatch.setattr(remote, "EXPORT_SECONDS", DEADLINE)
    assert engine.export(id, 0)  # and the answer that came too late is nobody's
    assert not engine._links[0]._exports


@pytest.mark.slow
def test_a_run_without_a_page_stays_where_it_is_when_its_worker_is_replaced(engine):
    id, other = (engine.create(Experiment((ARM,), seed)) for seed in (0, 1))
    heard = []
    end = engine.watch(id, heard.append)
    engine.play(id)
    poll_until(engine, id, lambda r: r.arms and r.arms[0].step > 5)
    engine.leave(id)
    poll_until(engine, other, lambda r: r.arms)
    left_at = max(report.arms[0].step for report in heard if report.arms)
    end()
    os.kill(engine.pids()[0], signal.SIGKILL)
    poll_until(engine, other, lambda r: r.restarts and r.state is State.PAUSED)
    engine.step(other, 200)
    poll_until(engine, other, lambda r: r.arms[0].step == 200)
    first = engine.poll(id, VIEW_REQUEST)
    assert first.arms[0].step <= left_at  # a fair share of the time would have taken it further
    poll_until(engine, id, lambda r: r.state is State.PLAYING)


@pytest.mark.slow
def test_a_process_that_cannot_be_started_is_tried_again(monkeypatch):
    start, failures = subprocess.Popen, iter([MemoryError("no room")])

    def flaky(*args, **kwargs):
        for failure in failures:
            raise failure
        return start(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", flaky)
    engine = RemoteEngine()
    try:
        id = engine.create(Experiment((ARM,), 0))
        engine.step(id, 3)
        poll_until(engine, id, lambda r: r.arms and r.arms[0].step == 3)
    finally:
        engine.close_all()


@pytest.mark.slow
def test_experiments_spread_over_the_workers():
    engine = RemoteEngine(workers=2)
    try:
        wait(engine.pids, lambda pids: len(pids) == 2)
        ids = [engine.create(Experiment((ARM,), seed)) for seed in range(4)]
        assert [link.load[1] for link in engine._links] == [2, 2]
        engine.step(ids[3], 3)
        assert poll_until(engine, ids[3], lambda r: r.arms and r.arms[0].step).arms[0].step <= 3
    finally:
        pids = engine.pids()
        engine.close_all()
    wait(lambda: any(map(alive, pids)), lambda some: not some)


@pytest.mark.parametrize(("sent", "code"), [(b"", 0), (b"no command", 1)])
def test_a_worker_ends_when_nobody_speaks_to_it_or_not_in_its_language(sent, code, monkeypatch):
    def end(code):
        raise SystemExit(code)

    monkeypatch.setattr(worker.os, "_exit", end)
    commands, begins = queue.SimpleQueue(), threading.Event()
    with pytest.raises(SystemExit) as ended:
        worker.receive(io.BytesIO(pickle.dumps(Beat(1.0)) + sent), commands, begins)
    assert (commands.get(), commands.empty(), ended.value.code) == (Beat(1.0), True, code)
    assert begins.is_set()


@pytest.mark.slow
def test_the_worker_ends_with_its_server():
    script = (
        "from app.engine.remote import RemoteEngine as E; import time; e = E()\nwhile not e.pids(): time.sleep(0.01)\n"
    )
    script += "print(e.pids()[0], flush=True); time.sleep(600)"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert alive(int(server.stdout.readline()))
        server.kill()
        # The worker writes its log to the same pipe, which therefore ends when both have ended.
        server.communicate(timeout=DEADLINE)


def test_a_comparison_is_in_step_and_its_arms_are_those_of_the_engine_in_process(engine):
    """All in one worker."""
    experiment = Experiment((ARM, dataclasses.replace(ARM, seed=7)), 1)

    def at(step):
        return lambda r: r.confirmed and r.arms and all(is_drawn(arm, step) for arm in r.arms)

    id = engine.create(experiment)
    engine.step(id, 5)
    arms = poll_until(engine, id, at(5)).arms
    local = LocalEngine(DEADLINE, Always(NUMBA if NUMBA in arms[0].fingerprint else TORCH))
    same = local.create(experiment)
    local.step(same, 5)
    for arm, other in zip(arms, local.poll(same, VIEW_REQUEST).arms, strict=True):
        np.testing.assert_array_equal(arm.loss.batch_nll, other.loss.batch_nll)
        np.testing.assert_array_equal(arm.frame.density, other.frame.density)
    assert [engine.export(id, index) for index in (0, 1)] == [local.export(same, index) for index in (0, 1)]
    assert engine.preserve(id) == 5
    engine.close(id)
    assert engine.stored(experiment, 9) == max(engine.checkpoints(experiment, 9)) == 5
    back = engine.create(experiment, 9)
    assert [arm.step for arm in poll_until(engine, back, at(5)).arms] == [5, 5]
    engine.close(back)


def test_a_poll_does_not_wait_for_a_worker_that_hangs(engine):
    id = engine.create(Experiment((ARM,), 0))
    report = poll_until(engine, id, lambda r: r.arms and r.arms[0].frame)
    (pid,) = engine.pids()
    hang(pid)
    try:
        for _ in range(5_000):  # more than the pipe holds
            assert engine.poll(id, VIEW_REQUEST).arms[0].step == report.arms[0].step
    finally:
        os.kill(pid, signal.SIGCONT)
    engine.step(id, 1)
    poll_until(engine, id, lambda r: r.arms[0].step == 1)


def test_there_are_at_most_as_many_workers_as_cores_or_as_the_cluster_has(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert engine_package.worker_count("4") == 4
    assert engine_package.worker_count("7", 7) == 7
    for text in ("5", "0", "many"):
        with pytest.raises(ValueError, match=r"RESFLOW_WORKERS = .* from 1 to 4"):
            engine_package.worker_count(text)


@pytest.mark.slow
def test_an_export_from_a_worker_that_dies_is_none_at_once(engine, monkeypatch):
    """The last one here: there is no other worker after it."""
    monkeypatch.setattr(remote, "EXPORT_SECONDS", 2 * DEADLINE)
    monkeypatch.setattr(remote, "FIRST_DELAY_SECONDS", DEADLINE)
    id = engine.create(Experiment((ARM,), 0))
    poll_until(engine, id, lambda r: r.arms)
    (pid,) = engine.pids()
    hang(pid)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(engine.export, id, 0)
        wait(lambda: len(engine._links[0]._exports), lambda n: n == 1)
        os.kill(pid, signal.SIGKILL)
        assert answer.result(DEADLINE) is None
    assert engine.pids() == []
