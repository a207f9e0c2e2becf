"""What training by roulette costs in the plane: KL(data || model) in nats by it, beside that by the exact log det, from
the same weights, batches and settings: those of the page. Both after equal steps, and after equal CPU time.

Each probe with the paper's law of N, and the paper's probe with another law. Evaluated by exact log dets on 20,000
points that nobody trained on, which is not counted in the time.

    python -m tests.benchmarks.roulette [--seconds 60] [--steps 10000] [--sets checkerboard] [--seeds 11] [--jobs 1]
"""

import argparse
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from app.ui.presets import PRESETS
from resflow_core.data import DATASETS
from resflow_core.log_det import Exact, LogDet, Roulette
from resflow_core.measure import kl, log_prob
from resflow_core.probes import PROBES
from resflow_core.roulette import Poisson
from resflow_core.training.trainer import Trainer
from tests.benchmarks.measured import machine, measured
from tests.benchmarks.quality import EVALUATION_POINTS, EVALUATION_SEED, SEEDS
from tests.benchmarks.runs import each

TURN = 50  # steps
SETS = ("checkerboard", "rings", "2spirals")
WAYS: dict[str, LogDet] = {
    "exact": Exact(),
    **{f"roulette, {probe}": Roulette(probe=probe) for probe in PROBES if probe != "orthogonal"},
    "roulette, orthogonal pair": Roulette(probe="orthogonal", n_probes=2),  # one alone is one on the sphere
    "roulette, gaussian, Poisson": Roulette(Poisson()),
}


@dataclass(frozen=True)
class Result:
    set: str
    way: str
    seed: int
    kl_at_steps: float
    kl_at_seconds: float
    standard_error: float  # of the latter, by the points
    steps: int  # in all the time


def train(job: tuple[str, int, int, float]) -> list[Result]:
    """All ways of one set and seed in one process, in turn: whatever else the machine does slows all of them."""
    name, seed, equal_steps, seconds = job
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    dataset, default = DATASETS[name], PRESETS["default"]
    x = dataset.sample(EVALUATION_POINTS, torch.Generator().manual_seed(EVALUATION_SEED))
    truth = dataset.truth.log_prob(x)
    trainers = {
        way: Trainer(default.flow, replace(default.train, log_det=log_det), dataset, seed, backend="numba")
        for way, log_det in WAYS.items()
    }
    used, at_steps = dict.fromkeys(WAYS, 0.0), dict[str, float]()
    going = dict(trainers)
    while going:
        for way, trainer in list(going.items()):
            start = time.thread_time()
            for _ in range(TURN):
                trainer.step()
            used[way] += time.thread_time() - start
            if trainer.step_count == equal_steps:
                at_steps[way] = kl(truth, log_prob(trainer.evaluated, x)).value
            if used[way] >= seconds and way in at_steps:
                del going[way]
    found = {way: kl(truth, log_prob(trainer.evaluated, x)) for way, trainer in trainers.items()}
    return [
        Result(name, way, seed, at_steps[way], gap.value, gap.standard_error, trainers[way].step_count)
        for way, gap in found.items()
    ]


def table(results: list[Result], number: str) -> str:
    """Of each set the KL by the exact log det, and how many times as large that of each other way is: the mean over
    seeds of both, and in brackets the least and the largest ratio at one seed."""
    ways = [way for way in WAYS if any(result.way == way for result in results)]
    lines = ["| set | " + " | ".join(ways) + " |", "|---" * (len(ways) + 1) + "|"]
    for name in dict.fromkeys(result.set for result in results):
        found = {(r.way, r.seed): getattr(r, number) for r in results if r.set == name}
        seeds = [seed for seed in dict.fromkeys(r.seed for r in results) if all((way, seed) in found for way in ways)]
        exact = [found["exact", seed] for seed in seeds]
        cells = [f"{statistics.mean(exact):.4f} nats"]
        for way in ways[1:]:
            theirs = [found[way, seed] for seed in seeds]
            ratios = [a / b for a, b in zip(theirs, exact, strict=True)]
            whole = statistics.mean(theirs) / statistics.mean(exact)
            cells.append(f"{whole:.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=[n for n, data in DATASETS.items() if data.truth])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--jobs", type=int, default=1, help="processes at once; no more than there are idle cores")
    parser.add_argument("--log", type=Path, help="append every result to this file, one JSON object a line")
    args = parser.parse_args()
    steps = max(TURN, args.steps // TURN * TURN)
    jobs = [(name, seed, steps, args.seconds) for seed in args.seeds for name in args.sets]
    results = each(train, jobs, args.jobs, args.log)
    measured(({"KL at steps": r.kl_at_steps, "KL": r.kl_at_seconds, "steps": r.steps} for r in results), "roulette")
    print(f"{machine()}\n\nKL after {steps:,} steps, and of roulette as a multiple of it:\n")
    print(table(results, "kl_at_steps"))
    print(f"\nKL after {args.seconds:g} CPU-seconds:\n\n{table(results, 'kl_at_seconds')}")
    counts = {way: statistics.median(r.steps for r in results if r.way == way) for way in WAYS}
    print("\nSteps in that time: " + ", ".join(f"{way} {count:,.0f}" for way, count in counts.items()))


if __name__ == "__main__":
    main()
