"""What one worker does with many runs: all steps of a second beside those of one run alone, what a step costs, how long
a small flow waits beside three at the limits, and how soon a new one is to be seen.

Each figure is taken in a process of its own, by what the page server hears. `--peer PATH`: the same of another checkout
of this project, in turns with this one.

    python -m tests.benchmarks.engine [--seconds 6] [--rounds 3] [--runs 1 2 4 16] [--peer PATH]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.remote import RemoteEngine
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig

PAGE = ViewRequest(frames=False, weights=True)
SMALL = Arm(FlowConfig(), TrainConfig(), "checkerboard")
LARGE = Arm(FlowConfig(blocks=32, width=256, hidden_layers=4), TrainConfig(batch=4096), "checkerboard")
POLL_SECONDS, PATIENCE_SECONDS = 1.0, 120.0
LATE = 0.95


class Heard:
    """What a run says, and when."""

    def __init__(self, engine: RemoteEngine, arm: Arm, seed: int) -> None:
        self.began, self.step, self.at = time.perf_counter(), 0, [(time.perf_counter(), 0)]
        self.first_weights = 0.0
        self._engine, self.id = engine, engine.create(Experiment((arm,), seed=seed))
        engine.watch(self.id, self._hear)
        self.poll()

    def poll(self) -> None:
        self._engine.poll(self.id, PAGE)

    def _hear(self, news: object) -> None:
        now, step = time.perf_counter(), getattr(news, "step", None)
        if step is not None and not self.first_weights:
            self.first_weights = now
        step = news.arms[0].step if step is None and news.arms else step or 0
        if step > self.step:
            self.step = step
            self.at.append((now, step))


def watched(engine: RemoteEngine, runs: list[Heard], seconds: float) -> None:
    """For so long, as their pages do."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for run in runs:
            run.poll()
        time.sleep(POLL_SECONDS / 4)


def moving(engine: RemoteEngine, runs: list[Heard]) -> None:
    for run in runs:
        engine.play(run.id)
    end = time.perf_counter() + PATIENCE_SECONDS
    while any(run.step < 20 for run in runs):
        if time.perf_counter() > end:
            raise SystemExit(f"After {PATIENCE_SECONDS:.0f} s not all runs had taken 20 steps.")
        watched(engine, runs, 0.25)


def warm(engine: RemoteEngine) -> None:
    """Until kernels compute, and one run has come and gone."""
    first = Heard(engine, SMALL, seed=99)
    moving(engine, [first])
    end = time.perf_counter() + PATIENCE_SECONDS
    while engine.poll(first.id, PAGE).arms[0].why_torch and time.perf_counter() < end:
        engine.reset(first.id)
        engine.play(first.id)
        watched(engine, [first], 1.0)
    engine.close(first.id)
    time.sleep(0.5)


def pace(engine: RemoteEngine, count: int, seconds: float) -> dict[str, float]:
    """Steps a second of all; milliseconds of a processor that the process takes for one, with weights, losses and
    checkpoints; and those that a step itself takes, by the clock of its thread."""
    runs = [Heard(engine, SMALL, seed) for seed in range(count)]
    moving(engine, runs)
    (pid,) = engine.pids()
    before = [engine.poll(run.id, PAGE).arms[0] for run in runs]
    began, steps, cpu = time.perf_counter(), sum(run.step for run in runs), _cpu(pid)
    watched(engine, runs, seconds)
    after = [engine.poll(run.id, PAGE).arms[0] for run in runs]
    trained = [sum(arm.seconds for arm in arms) for arms in (before, after)]
    counted = [sum(arm.step for arm in arms) for arms in (before, after)]
    steps, cpu = sum(run.step for run in runs) - steps, _cpu(pid) - cpu
    return {
        "steps/s": steps / (time.perf_counter() - began),
        "ms": 1000 * cpu / steps,
        "ms of a step": 1000 * (trained[1] - trained[0]) / (counted[1] - counted[0]),
    }


def beside(engine: RemoteEngine, seconds: float) -> dict[str, float]:
    """Milliseconds from one step that is heard of to the next, of a small flow beside three at the limits: the median,
    and what 95 of 100 are within. Weights come ten times a second, so less than 100 cannot be seen."""
    small = Heard(engine, SMALL, seed=0)
    moving(engine, [small])
    large = [Heard(engine, LARGE, seed) for seed in (1, 2, 3)]
    for run in large:
        engine.play(run.id)
    watched(engine, [small, *large], seconds / 2)  # they are built
    since = time.perf_counter()
    watched(engine, [small, *large], seconds)
    times = [since, *(at for at, _ in small.at if at > since), time.perf_counter()]
    gaps = sorted(b - a for a, b in pairwise(times))
    late = gaps[min(len(gaps) - 1, int(LATE * len(gaps)))]
    return {
        "median": 1000 * statistics.median(gaps),
        "p95": 1000 * late,
        "longest": 1000 * gaps[-1],
        "large steps": 1 + sum(run.step for run in large),
    }


def start(engine: RemoteEngine) -> dict[str, float]:
    """Milliseconds from the creation of a run to its first weights, the median of ten."""
    found = []
    for seed in range(10):
        run = Heard(engine, SMALL, seed)
        while not run.first_weights:
            time.sleep(0.001)
        found.append(run.first_weights - run.began)
        engine.close(run.id)
    return {"median": 1000 * statistics.median(found), "longest": 1000 * max(found)}


def _cpu(pid: int) -> float:
    """Seconds of a processor that a process has had."""
    return time.clock_gettime((~pid << 3) | 2)


def child(what: list[str], seconds: float) -> None:
    engine = RemoteEngine(1)
    warm(engine)
    kind, *count = what
    found = {
        "pace": lambda: pace(engine, int(count[0]), seconds),
        "beside": lambda: beside(engine, 5 * seconds),
        "start": lambda: start(engine),
    }[kind]()
    print(json.dumps(found), flush=True)
    engine.close_all()


def taken(root: Path, what: list[str], seconds: float) -> dict[str, float]:
    """By a process whose project is `root`."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child", *what, "--seconds", str(seconds)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 2, 4, 16])
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.seconds)
        return
    from tests.benchmarks.measured import machine, measured

    roots = {"this": Path(__file__).resolve().parents[2]} | ({"peer": args.peer.resolve()} if args.peer else {})
    kinds = [*(["pace", str(count)] for count in args.runs), ["beside"], ["start"]]
    rows: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(args.rounds):
        for kind in kinds:
            for name, root in roots.items():
                rows.setdefault((" ".join(kind), name), []).append(taken(root, kind, args.seconds))
    measured((row for found in rows.values() for row in found), "engine")
    print(machine())
    print("| what | of | median of the rounds |\n|---|---|---|")
    for (kind, name), found in rows.items():
        medians = {key: statistics.median(row[key] for row in found) for key in found[0]}
        print(f"| {kind} | {name} | {', '.join(f'{key} {value:.4g}' for key, value in medians.items())} |")


if __name__ == "__main__":
    main()
