"""What an activation is worth: KL(data || model) in nats of the default flow with one or the other, after as many steps
and after as many CPU-seconds.

All but the activation is the page's default: blocks, width, budget, rate, batch, schedule. Both numbers come from one
training on one thread, which goes on until it has the steps and the seconds: averaged weights are evaluated at either
moment, by exact log dets on 20,000 points that nobody trained on. Evaluation is not counted in the time. Activations
take turns, set by set and seed by seed.

    python -m tests.benchmarks.activations [--steps 4096] [--seconds 40] [--seeds 5] [--sets checkerboard]
                                           [--activations lipswish elu] [--jobs 2]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from resflow_core.activations import ACTIVATIONS
from resflow_core.data import DATASETS, Dataset
from resflow_core.flow import Flow, FlowConfig
from resflow_core.measure import block_table, evaluate, gradient_split, kl
from resflow_core.training.trainer import Diverged, TrainConfig, Trainer
from tests.benchmarks.measured import measured
from tests.benchmarks.quality import CHUNK, EVALUATION_POINTS, EVALUATION_SEED
from tests.benchmarks.runs import each

NAMES = ("lipswish", "elu", "softplus", "tanh", "sine", "clipswish")
SETS = ("checkerboard", "2spirals")
# Seeds from here on: no default was chosen by one of them.
FIRST_SEED = 21
# What is said of blocks and gradients is a mean over so many points.
MEASURED_POINTS = 2_000


@dataclass(frozen=True)
class Moment:
    """A flow at some moment of its training."""

    steps: int
    seconds: float  # of CPU time in steps
    kl: float
    standard_error: float
    log_det: float  # mean over points and blocks of |log|det(I + A)||, in nats
    used_budget: float  # mean over blocks of the largest ||A|| over its bound
    log_det_gradient: float  # norm of the blocks' gradient of the mean log det, as `measure.gradient_split` has it
    base_gradient: float  # and of that of the mean log density of the base


@dataclass(frozen=True)
class Result:
    """One run."""

    set: str
    activation: str
    seed: int
    at_steps: Moment
    at_seconds: Moment
    diverged: bool  # training stopped then, and what came later is what it was


def look(flow: Flow, dataset: Dataset, steps: int, seconds: float) -> Moment:
    """Everything that is measured of a flow."""
    x = dataset.sample(EVALUATION_POINTS, torch.Generator().manual_seed(EVALUATION_SEED))
    few = x[:MEASURED_POINTS]
    gap = kl(dataset.truth.log_prob(x), torch.cat([evaluate(flow, part).log_prob for part in x.split(CHUNK)]))
    evaluation = evaluate(flow, few)
    table = block_table(flow, evaluation, TrainConfig().log_det)
    split = gradient_split(flow, few)
    return Moment(
        steps=steps,
        seconds=seconds,
        kl=gap.value,
        standard_error=gap.standard_error,
        log_det=float(evaluation.block_log_dets.abs().mean()),
        used_budget=float((table.largest_norm / table.lipschitz).mean()),
        log_det_gradient=float(split.residual.log_det),
        base_gradient=float(split.residual.base),
    )


def train(job: tuple[str, str, int, int, float]) -> Result:
    """One run, until it has taken `most_steps` steps and `most_seconds` of CPU time."""
    set_name, activation, seed, most_steps, most_seconds = job
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    dataset = DATASETS[set_name]
    trainer = Trainer(FlowConfig(activation=activation), TrainConfig(), dataset, seed)
    used, diverged = 0.0, False
    at_steps = at_seconds = None
    while at_steps is None or at_seconds is None:
        start = time.process_time()
        try:
            trainer.step()
        except Diverged:
            diverged = True
        used += time.process_time() - start
        if at_steps is None and (diverged or trainer.step_count >= most_steps):
            at_steps = look(trainer.evaluated, dataset, trainer.step_count, used)
        if at_seconds is None and (diverged or used >= most_seconds):
            at_seconds = look(trainer.evaluated, dataset, trainer.step_count, used)
    return Result(set_name, activation, seed, at_steps, at_seconds, diverged)


# Columns of a table: what a moment says, and how many digits.
COLUMNS: dict[str, tuple[Callable[[Moment], float], str]] = {
    "KL": (lambda m: m.kl, ".3f"),
    "mean abs. log det": (lambda m: m.log_det, ".3f"),
    "used budget": (lambda m: m.used_budget, ".3f"),
    "log-det gradient": (lambda m: m.log_det_gradient, ".3g"),
    "base gradient": (lambda m: m.base_gradient, ".3g"),
    "steps": (lambda m: m.steps, ",.0f"),
    "seconds": (lambda m: m.seconds, ".1f"),
}


def table(results: list[Result], moment: Callable[[Result], Moment]) -> str:
    """Of every set and activation the mean over seeds, with the smallest and the largest in brackets."""
    lines = ["| set | activation | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    for key in dict.fromkeys((r.set, r.activation) for r in results):
        of_key = [r for r in results if (r.set, r.activation) == key]
        cells = [_spread([value(moment(r)) for r in of_key], digits) for value, digits in COLUMNS.values()]
        title = ACTIVATIONS[key[1]].title
        if stopped := sum(r.diverged for r in of_key):
            title += f" ({stopped} diverged)"
        lines.append(f"| {key[0]} | {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _spread(values: list[float], digits: str) -> str:
    mean, low, high = (format(value, digits) for value in (statistics.mean(values), min(values), max(values)))
    return mean if low == high else f"{mean} ({low}-{high})"


def main() -> None:
    known = [name for name, dataset in DATASETS.items() if dataset.truth]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=TrainConfig().horizon)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--sets", nargs="+", default=SETS, choices=known)
    parser.add_argument("--activations", nargs="+", default=NAMES, choices=ACTIVATIONS)
    parser.add_argument("--jobs", type=int, default=2, help="processes at once; no more than there are idle cores")
    parser.add_argument("--log", type=Path, help="append every result to this file, one JSON object a line")
    args = parser.parse_args()
    jobs = [
        (set_name, name, seed, args.steps, args.seconds)
        for set_name in args.sets
        for seed in range(FIRST_SEED, FIRST_SEED + args.seeds)
        for name in args.activations
    ]
    results = each(train, jobs, args.jobs, args.log)
    moments = [moment for r in results for moment in (r.at_steps, r.at_seconds)]
    measured(({"steps": m.steps, "seconds": m.seconds, "KL": m.kl} for m in moments), "activations")
    results.sort(key=lambda r: (args.sets.index(r.set), args.activations.index(r.activation)))
    print("\nMean over seeds (smallest-largest); KL(data || model) in nats.")
    print(f"\nAfter {args.steps:,} steps:\n\n{table(results, lambda r: r.at_steps)}")
    print(f"\nAfter {args.seconds:g} CPU-seconds:\n\n{table(results, lambda r: r.at_seconds)}")


if __name__ == "__main__":
    main()
