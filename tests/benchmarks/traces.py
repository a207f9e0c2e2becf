"""What an exact first trace is worth in training: held-out loss by today's roulette, by the same with the first trace
exact, and by the exact log det, from the same weights, batches and settings, after equal steps and after equal
CPU time.

digits: 64 dimensions, as `app.examples.digits` trains, and a small flow, in bits per dimension. breast cancer: 30
columns, as `rf.ResidualFlow.fit` trains, in nats. All of these report the weights that are best on points apart from
these. checkerboard: the plane, as *Explore* trains, KL in nats. Each seed has the three ways in one process, in turn.
They are compared seed by seed: the mean difference with its 95 % interval (Student's t). What noise is left is measured
by `app.features.paper.noise`.

    python -m tests.benchmarks.traces [--sets digits] [--seeds 12] [--first 41] [--jobs 2] [--log FILE]
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from scipy import stats

from app.examples import digits as example
from app.ui.presets import PRESETS
from resflow_core.api.residual_flow import ResidualFlow
from resflow_core.data import DATASETS
from resflow_core.data.digits import DIGITS, DIM, bits_per_dim
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, LogDet, Roulette
from resflow_core.measure import kl, log_prob
from resflow_core.roulette import Geometric
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.benchmarks.dimensions import TABLES
from tests.benchmarks.measured import machine, measured
from tests.benchmarks.quality import EVALUATION_POINTS, EVALUATION_SEED
from tests.benchmarks.runs import each

TURN = 25  # steps
FIRST_SEED = 41  # no default was chosen by one of these


def ways(paper: Roulette) -> dict[str, LogDet]:
    """The contenders, from today's roulette of a set."""
    return {"roulette": paper, "first trace exact": replace(paper, exact_traces=1), "exact": Exact()}


@dataclass(frozen=True)
class Result:
    set: str
    way: str
    seed: int
    at_steps: float  # the held-out loss
    at_seconds: float
    steps: int  # in all the time


@dataclass(frozen=True)
class Set:
    """`unit` of the held-out loss; `train(seed)` gives the results of all ways."""

    unit: str
    train: Callable[[int], list[Result]]


def in_turn(
    name: str,
    seed: int,
    trainers: Mapping[str, Trainer],
    loss: Callable[[Trainer], float],
    steps: int,
    seconds: float,
    looks: bool = False,
) -> list[Result]:
    """Train each way for these steps and CPU seconds, in turn, so that other work of the machine slows all of them.
    With `looks` the loss is also taken after each turn."""
    used, at_steps, at_seconds = dict.fromkeys(trainers, 0.0), dict[str, float](), dict[str, float]()
    counts = dict[str, int]()
    while going := [way for way in trainers if way not in at_steps or way not in at_seconds]:
        for way in going:
            trainer, start = trainers[way], time.thread_time()
            for _ in range(TURN):
                trainer.step()
            used[way] += time.thread_time() - start
            is_at_steps, is_at_seconds = trainer.step_count == steps, used[way] >= seconds and way not in at_seconds
            found = loss(trainer) if looks or is_at_steps or is_at_seconds else math.nan
            if is_at_steps:
                at_steps[way] = found
            if is_at_seconds:
                at_seconds[way], counts[way] = found, trainer.step_count
    return [Result(name, way, seed, at_steps[way], at_seconds[way], counts[way]) for way in trainers]


def images(name: str, flow: FlowConfig, train: TrainConfig, steps: int, seconds: float, seed: int) -> list[Result]:
    """One half of the held-out images chooses the weights, which learn the others by heart, and one is reported."""
    trainers = {
        way: Trainer(flow, replace(train, log_det=log_det), DIGITS, seed, exact_losses=False)
        for way, log_det in ways(train.log_det).items()
    }
    best = dict.fromkeys(trainers.values(), (math.inf, math.nan))  # of each: bits that choose, bits that are reported

    def bits(trainer: Trainer) -> float:
        log_p = log_prob(trainer.evaluated, DIGITS.held_out())
        chosen, reported = bits_per_dim(log_p, DIGITS.held_out_log_det).split(CHOOSING)
        best[trainer] = min(best[trainer], (float(chosen.mean()), float(reported.mean())))
        return best[trainer][1]

    return in_turn(name, seed, trainers, bits, steps, seconds, looks=True)


def plane(seed: int) -> list[Result]:
    dataset, default = DATASETS["checkerboard"], PRESETS["default"]
    x = dataset.sample(EVALUATION_POINTS, torch.Generator().manual_seed(EVALUATION_SEED))
    truth = dataset.truth.log_prob(x)
    trainers = {
        way: Trainer(default.flow, replace(default.train, log_det=log_det), dataset, seed, backend="numba")
        for way, log_det in ways(Roulette()).items()
    }
    return in_turn(
        "checkerboard", seed, trainers, lambda t: kl(truth, log_prob(t.evaluated, x)).value, PLANE_STEPS, PLANE_SECONDS
    )


def table(seed: int) -> list[Result]:
    """By `fit`, whose validation rows choose the weights; with its default steps, and in `TABLE_SECONDS`."""
    X, held = TABLES["breast cancer"](seed)
    found = []
    for way, log_det in ways(Roulette()).items():
        losses = []
        for limit in ({}, {"seconds": TABLE_SECONDS}):
            flow = ResidualFlow(X.shape[1], seed=seed, log_det=log_det).fit(X, **limit)
            with torch.no_grad():
                losses.append(-float(flow.log_prob(held).double().mean()))
        found.append(Result("breast cancer", way, seed, *losses, flow.fitted.steps))
    return found


DIGITS_SECONDS, PLANE_STEPS, PLANE_SECONDS, TABLE_SECONDS = 20.0, 10_000, 60.0, 40.0
CHOOSING = 180
"""Held-out images, of 359, that choose the weights."""
SMALL_FLOW = FlowConfig(blocks=4, width=64, activation="sine", budget=0.97, dim=DIM)
SMALL_STEPS, SMALL_SECONDS = 700, 10.0
SMALL_TRAIN = TrainConfig(
    log_det=Roulette(Geometric(0.5, 2), probe="rademacher"),
    learning_rate=3e-3,
    batch=64,
    horizon=SMALL_STEPS,
    average=0,
)
"""A flow that learns nothing by heart in `SMALL_STEPS`, with the settings in which the idea was first tried."""
SETS: dict[str, Set] = {
    "digits": Set(
        "bits per dimension",
        partial(images, "digits", example.FLOW, example.TRAIN, example.STEPS, DIGITS_SECONDS),
    ),
    "digits, small flow": Set(
        "bits per dimension",
        partial(images, "digits, small flow", SMALL_FLOW, SMALL_TRAIN, SMALL_STEPS, SMALL_SECONDS),
    ),
    "breast cancer": Set("nats", table),
    "checkerboard": Set("nats (KL)", plane),
}


def train(job: tuple[str, int]) -> list[Result]:
    name, seed = job
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    return SETS[name].train(seed)


def interval(differences: list[float]) -> str:
    """The mean of paired differences with its 95 % interval by Student's t, and of how many seeds they are below 0."""
    mean, n = statistics.mean(differences), len(differences)
    half = stats.t.ppf(0.975, n - 1) * statistics.stdev(differences) / n**0.5 if n > 1 else float("nan")
    less = sum(difference < 0 for difference in differences)
    return f"{mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f}), {less} of {n} below 0"


def compared(results: list[Result], number: str) -> str:
    """A table of the mean held-out losses by set and way, and how the exact first trace differs from the others."""
    names = list(ways(Roulette()))
    less = [f"less {other}" for other in ("roulette", "exact")]
    lines = ["| set | " + " | ".join(names + [f"first trace exact {one}" for one in less]) + " |"]
    lines.append("|---" * (1 + len(names) + len(less)) + "|")
    for name in dict.fromkeys(result.set for result in results):
        found = {(r.way, r.seed): getattr(r, number) for r in results if r.set == name}
        seeds = sorted({r.seed for r in results if r.set == name})
        cells = [f"{statistics.mean(found[way, seed] for seed in seeds):.4f}" for way in names]
        for other in ("roulette", "exact"):
            cells.append(interval([found["first trace exact", seed] - found[other, seed] for seed in seeds]))
        lines.append(f"| {name}, {SETS[name].unit}, {len(seeds)} seeds | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--seeds", type=int, default=12, help="how many")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once; no more than there are idle cores")
    parser.add_argument("--log", type=Path, help="append every result to this file, one JSON object a line")
    args = parser.parse_args()
    jobs = [(name, seed) for seed in range(args.first, args.first + args.seeds) for name in args.sets]
    results = each(train, jobs, args.jobs, args.log)
    measured(({"at steps": r.at_steps, "at seconds": r.at_seconds, "steps": r.steps} for r in results), "traces")
    print(f"{machine()}\n\nHeld-out loss after equal steps:\n\n{compared(results, 'at_steps')}")
    print(f"\nAfter equal seconds:\n\n{compared(results, 'at_seconds')}")


if __name__ == "__main__":
    main()
