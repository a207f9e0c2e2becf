"""Parts of a cluster that are lost: runs go on from what was saved, and what comes after has the same digits."""

import json
import math
import subprocess
import sys
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

from app.engine.cluster.connection import connect
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.local import LocalEngine
from app.engine.reports import State
from app.engine.training.backends import NUMBA, TORCH
from app.engine.worker.process import ROOT
from app.evidence.workers import each
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig
from tests import ray_cluster
from tests.app.backends import Always
from tests.served import wait_for

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("ray")]  # warnings of Ray's own

ARM = Arm(FlowConfig(blocks=2, width=8), TrainConfig(batch=50), "moons")
ARMS = tuple(Arm(FlowConfig(blocks=2, width=width), TrainConfig(batch=50), "moons") for width in (8, 24, 12, 16))
VIEW_REQUEST = ViewRequest(grid=16, points=40)
wait = partial(wait_for, seconds=180)  # processes of Ray take their time to start
SERVER = """
import sys, time
from app.engine.cluster.connection import connect
from tests.hostile.test_cluster import ARM, ARMS, VIEW_REQUEST, Experiment
engine = connect(sys.argv[1])
experiments = [Experiment(arms, 0) for arms in ((ARM,), ARMS)]
ids = [engine.create(experiment) for experiment in experiments]
for id in ids:
    engine.play(id)
while True:
    reports = [engine.poll(id, VIEW_REQUEST) for id in ids]
    if all(engine.stored(experiment, 10**6) for experiment in experiments):
        print(*ids, flush=True)
    time.sleep(0.5)
"""
NEXT = """
import json, sys
from tests.hostile.test_cluster import found_again
print(json.dumps(found_again(sys.argv[1], sys.argv[2:])))
"""


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster.nodes(2) as found:
        yield found


@pytest.fixture
def engine(cluster):
    """On two nodes, of which the second may be lost."""
    if len(cluster.list_all_nodes()) < 2:
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
    engine = connect(cluster.address)
    wait(lambda: len(engine.pids()) == 2, "two workers")
    yield engine
    for id in {id for link in engine._links for id in link._records}:
        engine.close(id)  # or the next test's engine has it too
    engine.close_all()


@contextmanager
def lost(cluster):
    """The second node, with all that runs there, at the end."""
    (node,) = cluster.worker_nodes
    yield node.node_id
    cluster.remove_node(node, allow_graceful=False)


def poll(engine, id):
    return engine.poll(id, VIEW_REQUEST)


def steps(engine, id):
    return [arm.step for arm in poll(engine, id).arms] or [-1]


def in_process(experiment, n, fingerprints):
    (backend,) = {NUMBA if NUMBA in fingerprint else TORCH for fingerprint in fingerprints}
    local = LocalEngine(backends=Always(backend))
    id = local.create(experiment)
    local.step(id, n)
    return wait(lambda: (r := poll(local, id)).state is State.PAUSED and r.arms[0].step == n and r, "the same")


def rests(engine, id):
    """Its report, once it rests and is there as far as it was."""
    return wait(
        lambda: (r := poll(engine, id)).state is State.PAUSED and r.confirmed and r.arms and r.arms[0].loss and r,
        "rest",
    )


def assert_same(report, other):
    for arm, same in zip(report.arms, other.arms, strict=True):
        assert arm.fingerprint == same.fingerprint
        np.testing.assert_array_equal(arm.loss.batch_nll, same.loss.batch_nll)


def test_a_node_that_is_lost_in_a_comparison_costs_no_digit(cluster, engine):
    experiment = Experiment(ARMS, 0)
    id = engine.create(experiment)
    with lost(cluster):
        engine.play(id)
        wait(lambda: min(steps(engine, id)) > 50, "50 steps")
        before = poll(engine, id)
    wait(lambda: (r := poll(engine, id)).restarts and r.state is State.PLAYING, "it to play on")
    furthest = max(arm.step for arm in before.arms)
    wait(lambda: min(steps(engine, id)) > furthest, "what was lost, and more")
    engine.pause(id)
    report = rests(engine, id)
    assert len({arm.step for arm in report.arms}) == 1
    fingerprints = [arm.fingerprint for arm in report.arms]
    assert_same(report, in_process(experiment, report.arms[0].step, fingerprints))


def test_the_runs_of_a_page_server_that_is_lost_go_on_by_the_next_one(cluster):
    """The next one, a process of its own as the first, finds its runs, by their ids and for whoever begins an equal
    experiment."""
    command = [sys.executable, "-c", SERVER, cluster.address]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            said = [line for line in (server.stdout.readline() for _ in range(20)) if len(line.split()) == 2][-1]
        finally:
            server.kill()
    command = [sys.executable, "-c", NEXT, cluster.address, *said.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) == 2 and min(found) > 0


def found_again(address, ids):
    """The first step of each of these runs, as another page server finds them, where they go on."""
    engine = connect(address)
    try:
        found = []
        for id in ids:
            wait(lambda id=id: (r := poll(engine, id)).arms and r.state is not State.LOADING, "its run")
            found.append(min(steps(engine, id)))
            engine.play(id)
            wait(lambda id=id, n=found[-1]: min(steps(engine, id)) > n, "more steps")
            engine.close(id)
        return found
    finally:
        engine.close_all()


def test_the_record_of_the_runs_is_written_anew_when_its_node_is_lost(cluster, engine):
    import ray

    id = engine.create(Experiment((ARM,), 7))
    engine.step(id, 30)
    rests(engine, id)
    wait(lambda: id in ray.get(engine._notes._keeper.runs.remote()), "its record")
    ray.kill(engine._notes._keeper)
    other = engine.create(Experiment((ARM,), 8))

    def recorded():
        try:
            return {id, other} <= ray.get(engine._notes._keeper.runs.remote()).keys()
        except ray.exceptions.RayError:
            return False

    wait(recorded, "both records")


def test_calls_are_made_by_all_cpus_of_the_cluster(cluster):
    assert sorted(each(math.hypot, [(3, 4), (5, 12), (8, 15)], 1, cluster.address)) == [5, 13, 17]
