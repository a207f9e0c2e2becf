"""A comparison on a cluster of two nodes with one CPU each, against the same comparison by one worker.

The arms are equal, so that their division is even, torch computes all of them, and no picture is asked for. One worker
and two take turns, once the cluster has compiled its kernels: the process that compiles them takes a core to itself. On
a machine with two free cores, the share of linear is the time of one over twice the time of two. On a busy machine that
says little. So the share of the time in which the workers had work is told as well: they ran or waited for a core. What
is missing to 1 is what they waited for one another and for the page server (schedstat of Linux).

    python -m tests.benchmarks.cluster [--steps 1500] [--rounds 3]
"""

import argparse
import os
import statistics
import time
from dataclasses import replace
from pathlib import Path

from app.engine.cluster.connection import connect
from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.remote import RemoteEngine
from app.engine.reports import State
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig
from tests import ray_cluster
from tests.benchmarks.measured import machine, measured

ARMS = 4
REQUEST = ViewRequest(frames=False, measured={})
WARM_UP = 50
POLL_SECONDS = 0.25  # as often as a page looks
ARM = Arm(FlowConfig(blocks=4, width=64), TrainConfig(batch=256), "moons", by_torch=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rows = []
    with ray_cluster.nodes(2) as cluster:
        until_compiled(cluster.address)
        for number in range(args.rounds):
            row = {}
            for workers in (1, 2):
                row[f"seconds of {workers}"], row[f"share of {workers}"] = trained(
                    cluster.address, workers, args.steps, number
                )
            rows.append(row)
            print(f"round {number + 1}: {row}", flush=True)
    measured(rows, "comparisons on a cluster")
    median = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    one, two = median["seconds of 1"], median["seconds of 2"]
    print(f"{machine()}; a load of {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"one worker {one:.1f} s, two workers {two:.1f} s: {one / (2 * two):.2f} of linear")
    print(f"two workers had work for {median['share of 2']:.2f} of the time, one for {median['share of 1']:.2f}")


def until_compiled(address: str) -> None:
    """Start runs until one is computed by kernels."""
    engine = connect(address, "1")
    try:
        while True:
            id = engine.create(Experiment((replace(ARM, by_torch=False),), 0))
            _until(engine, id, 1)
            if "numba" in engine.poll(id, REQUEST).arms[0].fingerprint:
                return
            engine.close(id)
            time.sleep(1)
    finally:
        engine.close_all()


def trained(address: str, workers: int, steps: int, seed: int) -> tuple[float, float]:
    """As `_trained`, by so many workers."""
    engine = connect(address, str(workers))
    try:
        return _trained(engine, steps, seed)
    finally:
        engine.close_all()


def _trained(engine: RemoteEngine, steps: int, seed: int) -> tuple[float, float]:
    """Seconds of so many steps, and the share of it in which a worker ran or waited for a core, the mean of all."""
    id = engine.create(Experiment((ARM,) * ARMS, seed))
    _until(engine, id, WARM_UP)
    pids = engine.pids()
    before, start = [_runnable(pid) for pid in pids], time.monotonic()
    engine.play(id)
    while min(arm.step for arm in engine.poll(id, REQUEST).arms) < steps:
        time.sleep(POLL_SECONDS)
    took = time.monotonic() - start
    worked = [_runnable(pid) - was for pid, was in zip(pids, before, strict=True)]
    engine.close(id)
    return took, statistics.fmean(worked) / took


def _until(engine: RemoteEngine, id: str, step: int) -> None:
    engine.step(id, step)
    while True:
        report = engine.poll(id, REQUEST)
        if report.state is State.PAUSED and report.arms and {arm.step for arm in report.arms} == {step}:
            return
        time.sleep(0.05)


def _runnable(pid: int) -> float:
    """Seconds in which the busiest thread of a process ran or waited for a core."""
    stats = (path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return max((int(ran) + int(waited)) / 1e9 for ran, waited, _ in stats)


if __name__ == "__main__":
    main()
