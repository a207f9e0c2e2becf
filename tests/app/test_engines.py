"""What an engine promises: in two workers that are threads, on a cluster of two nodes, and in a process of its own. And
what the parts of a cluster decide."""

import dataclasses
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch

from app.engine import remote
from app.engine.cluster import actors
from app.engine.cluster.connection import connect
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.local import LocalEngine
from app.engine.remote import RemoteEngine
from app.engine.reports import HandedOut, State
from app.engine.training.backends import NUMBA, TORCH, TORCH_ALONE
from app.engine.training.weights import decode
from app.engine.worker import __main__ as worker
from resflow_core.api import flow_file
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig
from tests import ray_cluster
from tests.app.backends import Always
from tests.app.pages import named
from tests.app.worker_thread import WorkerThread
from tests.served import wait_for

pytestmark = [pytest.mark.thorough, pytest.mark.filterwarnings("ignore")]  # Ray's own

ARM = Arm(FlowConfig(blocks=2, width=8), TrainConfig(batch=50), "moons")
# Of two workers one has the first and the third, and the other the second.
ARMS = tuple(Arm(FlowConfig(blocks=2, width=width), TrainConfig(batch=50), "moons") for width in (8, 24, 12))
VIEW_REQUEST = ViewRequest(grid=16, points=40)
DEADLINE = 300.0
wait = partial(wait_for, seconds=DEADLINE)


def poll_until(engine, id, condition, request=VIEW_REQUEST):
    return wait(lambda: condition(report := engine.poll(id, request)) and report, "such a report")


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
    for name in ("HANGS_SECONDS", "STARTS_SECONDS", "EXPORT_SECONDS", "GRACE_SECONDS"):
        monkeypatch.setattr(remote, name, DEADLINE)


@pytest.fixture(
    scope="module",
    params=["two workers", pytest.param("ray", marks=[pytest.mark.slow, pytest.mark.xdist_group("ray")])],
)
def engine(request):
    if request.param == "ray":
        with ray_cluster.nodes(2) as cluster:
            engine = connect(cluster.address)
            assert len(engine.pids()) <= 2
            yield engine
            engine.close_all()
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "CompiledWhenReady", lambda: TORCH_ALONE)
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


def test_a_comparison_has_the_digits_of_the_engine_in_process_and_goes_on_where_it_was_closed(engine):
    experiment = Experiment(ARMS, 2)
    id = engine.create(experiment)
    there = stepped(engine, id, 9, 9)
    for arm, other in zip(there.arms, alone(experiment, 9, {a.fingerprint for a in there.arms}), strict=True):
        same(arm, other)
    for index, arm in enumerate(ARMS):
        assert flow_file.from_bytes(engine.export(id, index)).config == arm.flow
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


def test_the_next_server_has_the_comparisons_whose_records_are_whole(monkeypatch):
    monkeypatch.setattr(worker, "CompiledWhenReady", lambda: TORCH_ALONE)
    records, threads, experiment = {}, torch.get_num_threads(), Experiment(ARMS[:2], 0)
    engine = RemoteEngine(2, WorkerThread, keep=records.__setitem__)
    ids = [engine.create(experiment) for _ in range(2)]
    for id in ids:
        stepped(engine, id, 5, 5)
    wait(lambda: all(kept.checkpoint and kept.checkpoint.step == 5 for kept in records.values()), "all records")
    assert records.keys() == {f"{id}.{k}" for id in ids for k in range(2)}
    engine.close_all()
    del records[f"{ids[1]}.1"]
    found = RemoteEngine(1, WorkerThread, keep=records.__setitem__)
    found.restore(dict(records))
    assert found.poll(ids[1], VIEW_REQUEST).state is State.EXPIRED
    poll_until(found, ids[0], at(5))
    assert {arm.step for arm in stepped(found, ids[0], 2, 7).arms} == {7}
    found.close(ids[0])
    assert records[f"{ids[0]}.0"] is records[f"{ids[0]}.1"] is None
    found.close_all()
    torch.set_num_threads(threads)


# A worker that is a process


@pytest.fixture(scope="module")
def process():
    engine = RemoteEngine()
    yield engine
    engine.close_all()


def hang(pid):
    """Stop a worker, and wait until it has stopped."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)


def test_a_process_has_the_digits_and_files_of_the_engine_in_process_and_goes_on_where_it_was(process):
    experiment = Experiment((dataclasses.replace(ARM, train=TrainConfig(batch=50, average=0.9)),), 5)
    id = process.create(experiment)
    there = stepped(process, id, 20, 20).arms[0]
    beyond = stepped(process, id, 10, 30).arms[0]
    local = LocalEngine(DEADLINE, Always(NUMBA if NUMBA in there.fingerprint else TORCH))
    other = local.create(experiment)
    same(there, stepped(local, other, 20, 20).arms[0])
    same(beyond, stepped(local, other, 10, 30).arms[0])
    assert process.export(id, 0) == local.export(other, 0)
    assert process.export(id, 1) is None and process.export("unknown", 0) is None
    process.close(id)
    assert process.poll(id, VIEW_REQUEST).state is State.EXPIRED
    back = process.create(experiment, 20, (there.fingerprint,))
    same(poll_until(process, back, at(20)).arms[0], there)
    same(stepped(process, back, 10, 30).arms[0], beyond)
    process.close(back)


def test_nobody_waits_for_a_process_that_hangs(process, monkeypatch):
    id = process.create(Experiment((ARM,), 0))
    process.play(id)
    poll_until(process, id, lambda r: r.confirmed and r.arms and r.arms[0].step > 0 and r.arms[0].frame)
    (pid,) = process.pids()
    hang(pid)
    with ThreadPoolExecutor() as pool:
        try:
            process.pause(id)
            answer = pool.submit(process.export, id, 0)
            wait(lambda: len(process._links[0]._exports) == 1, "the export to wait")
            for _ in range(5_000):  # more than the pipe holds
                shown = process.poll(id, VIEW_REQUEST)
            assert (shown.state, shown.confirmed) == (State.PAUSED, False) and not answer.done()
            monkeypatch.setattr(remote, "EXPORT_SECONDS", 0.01)
            assert process.export(id, 0) is None
        finally:
            os.kill(pid, signal.SIGCONT)
        assert answer.result(DEADLINE)
    report = poll_until(process, id, lambda r: r.confirmed)
    assert report.state is State.PAUSED and process.preserve(id) == report.arms[0].step
    process.close(id)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_runs_go_on_from_their_checkpoints(process):
    changed = TrainConfig(batch=40)
    paused, asked = (process.create(Experiment((ARM,), seed)) for seed in (0, 1))
    stepped(process, paused, 15, 15)
    process.step(asked, 400)
    poll_until(process, asked, lambda r: r.arms and r.arms[0].step > 5)
    (pid,) = process.pids()
    hang(pid)  # so that it cannot save what comes now
    process.change(paused, 0, changed)
    os.kill(pid, signal.SIGKILL)
    lost = poll_until(process, paused, lambda r: r.restarts and r.state is State.PAUSED and r.arms)
    assert (lost.arms[0].step, lost.arms[0].changes, "15" in named(lost.message)) == (15, ((15, changed),), True)
    done = poll_until(process, asked, lambda r: r.restarts and r.state is State.PAUSED)
    assert done.arms[0].step == 400 and done.arms[0].loss.step[0] == 1  # as it was asked for
    assert process.pids() != [pid]


def test_the_next_worker_goes_where_cpus_carry_the_least_and_the_oldest_records_are_forgotten():
    cpus = {"a": 4.0, "b": 2.0, "c": 0.0}
    assert actors.by_load(cpus, []) == ["a", "b", "c"]
    assert actors.by_load(cpus, ["a", "a"])[0] == "b"
    assert actors.by_load(cpus, ["a", "a", "b"])[0] == "a"
    keeper = actors.Keeper(most_bytes=100)
    for id in "abc":
        keeper.note({id: bytes(40)})
    keeper.note({"b": bytes(30)})  # heard of again
    keeper.note({"d": bytes(40)})
    assert [*keeper.runs()] == ["b", "d"]
    keeper.note({"b": None})
    assert [*keeper.runs()] == ["d"]
