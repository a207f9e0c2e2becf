"""How much of one run's pace is left where many share the engine: steps a second of all, against one run alone.

The default flow, by kernels, in the scheduler of a training process: each page plays and asks for its pictures as
pages do. One run and many take turns of some seconds in one process; CPU time of one thread.

    python -m tests.benchmarks.engine [--runs 16] [--rounds 12] [--seconds 4]
"""

import argparse
import os
import statistics
import sys
import time
from functools import partial

import torch

from app.engine.commands import Create, Play, Poll, ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.job_kinds import job_of
from app.engine.process import ENVIRONMENT
from app.engine.scheduler import Scheduler
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig
from tests.benchmarks.measured import machine, measured
from tests.benchmarks.speed import Only

POLL_SECONDS = 0.25
ARM = Arm(FlowConfig(), TrainConfig(), "moons")


class Engine:
    """A scheduler with so many runs that play."""

    def __init__(self, runs: int):
        self._scheduler = Scheduler(time.thread_time, new_job=partial(job_of, backends=Only("numba")))
        self._steps = dict.fromkeys(map(str, range(runs)), 0)
        self._share = 0.0
        for k, id in enumerate(self._steps):
            self._scheduler.handle(Create(id, Experiment((ARM,), seed=k)))
            self._scheduler.handle(Play(id))

    def steps_per_second(self, seconds: float) -> tuple[float, float]:
        """Of all runs in this time, and the share of it that went into pictures."""
        before, start, polled = sum(self._steps.values()), time.thread_time(), 0.0
        while (now := time.thread_time()) < start + seconds:
            if now >= polled + POLL_SECONDS:
                polled = now
                for id in self._steps:
                    self._scheduler.handle(Poll(id, ViewRequest()))
            for message in self._scheduler.tick():
                if arms := getattr(message, "arms", None):
                    self._steps[message.id], self._share = arms[0].step, message.frame_share
        return (sum(self._steps.values()) - before) / (time.thread_time() - start), self._share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=4.0)
    args = parser.parse_args()
    if not ENVIRONMENT.items() <= os.environ.items():
        # malloc reads its settings when a process starts.
        os.execve(sys.executable, [sys.executable, "-m", __spec__.name, *sys.argv[1:]], {**os.environ, **ENVIRONMENT})
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    one, many = Engine(1), Engine(args.runs)
    for engine in (one, many):
        engine.steps_per_second(2 * args.seconds)  # until all are built
    rounds = [[engine.steps_per_second(args.seconds) for engine in (one, many)] for _ in range(args.rounds)]
    measured(({"alone": alone, "shared": shared} for (alone, _), (shared, _) in rounds), "engine")
    ratios = [shared / alone for (alone, _), (shared, _) in rounds]
    print(machine())
    print("| runs | steps/s in all | pictures' share |\n|---|---|---|")
    for runs, found in zip((1, args.runs), zip(*rounds, strict=True), strict=True):
        rate, share = (statistics.median(numbers) for numbers in zip(*found, strict=True))
        print(f"| {runs} | {rate:.0f} | {share:.0%} |")
    print(f"In all / one run's: {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")


if __name__ == "__main__":
    main()
