"""What a density costs a classifier: accuracy, NLL and calibration of hybrids at lambda = 0, 1/2 and 1, of a residual
flow and of RealNVP with as nearly as many parameters, on two sets whose classes overlap.

The page's default flow with 10 blocks, batches of 256 fresh points, a cosine over all steps; the head has one hidden
layer of 16.
Averaged weights are evaluated by exact log dets on 20,000 points that nobody trained on, the same for all.

    python -m tests.benchmarks.joint [--steps 600] [--seeds 5] [--sets noisymoons] [--jobs 2]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from resflow_core import measure
from resflow_core.data import DATASETS, Labels, Toy, Truth
from resflow_core.data.base import square
from resflow_core.data.rings import CIRCLES_RADII, draw_rings, rings_log_joint_of
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.training.parameter_count import matched, parameter_count
from resflow_core.training.trainer import HybridTrainConfig, Trainer
from tests.benchmarks.activations import FIRST_SEED
from tests.benchmarks.measured import measured
from tests.benchmarks.quality import EVALUATION_POINTS, EVALUATION_SEED
from tests.benchmarks.runs import each

WEIGHTS = (0.0, 0.5, 1.0)
FAMILIES = ("residual", "realnvp")
BLUR = 0.6


def _blurred_log_prob(x: torch.Tensor) -> torch.Tensor:
    return rings_log_joint_of(CIRCLES_RADII, BLUR, x.double()).logsumexp(1)


def _blurred_log_joint(x: torch.Tensor) -> torch.Tensor:
    return rings_log_joint_of(CIRCLES_RADII, BLUR, x.double())


# The page's circles, with noise of deviation 0.6 instead of 0.24.
BLURRED_CIRCLES = Toy(
    "Blurred circles",
    lambda n, generator: draw_rings(CIRCLES_RADII, BLUR, n, generator)[0],
    Truth(_blurred_log_prob),
    square(5.0),
    joint=Labels(("outer", "inner"), partial(draw_rings, CIRCLES_RADII, BLUR), _blurred_log_joint),
)
SETS = {"noisymoons": DATASETS["noisymoons"], "blurred circles": BLURRED_CIRCLES}


@dataclass(frozen=True)
class Result:
    """One run, or the truth at the same points."""

    set: str
    family: str
    weight: float
    seed: int
    parameters: int
    accuracy: float  # per cent
    class_nll: float
    ece: float  # per cent
    nll: float
    kl: float
    seconds: float  # of CPU time in steps


def evaluation(set_name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return SETS[set_name].sample_labelled(EVALUATION_POINTS, torch.Generator().manual_seed(EVALUATION_SEED))


def config_of(family: str) -> HybridConfig:
    flow = FlowConfig(blocks=10)
    return HybridConfig(flow if family == "residual" else matched(family, parameter_count(flow)))


def train(job: tuple[str, str, float, int, int]) -> Result:
    set_name, family, weight, seed, steps = job
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    config, dataset = config_of(family), SETS[set_name]
    trainer = Trainer(config, HybridTrainConfig(weight=weight, batch=256, horizon=steps), dataset, seed)
    start = time.process_time()
    for _ in range(steps):
        trainer.step()
    seconds = time.process_time() - start
    x, y = evaluation(set_name)
    parts = x.split(2_000)
    log_p = torch.cat([measure.log_prob(trainer.evaluated, part) for part in parts])
    log_classes = torch.cat([measure.log_class_probs(trainer.evaluated_model, part) for part in parts])
    kl = measure.kl(dataset.truth.log_prob(x), log_p).value
    return _result(set_name, family, weight, seed, parameter_count(config), log_classes, y, log_p, kl, seconds)


def truth(set_name: str) -> Result:
    x, y = evaluation(set_name)
    dataset = SETS[set_name]
    log_p = dataset.truth.log_prob(x)
    return _result(set_name, "truth", 0.0, 0, 0, dataset.joint.log_posterior(x), y, log_p, 0.0, 0.0)


def _result(set_name, family, weight, seed, size, log_classes, y, log_p, kl, seconds) -> Result:
    found = measure.classification(log_classes, y)
    accuracy, ece = 100 * found.accuracy.value, 100 * found.reliability.ece
    nll = measure.mean_nll(log_p).value
    return Result(set_name, family, weight, seed, size, accuracy, found.nll.value, ece, nll, kl, seconds)


# Columns of a table: what a result says, and how many digits.
COLUMNS: dict[str, tuple[Callable[[Result], float], str]] = {
    "accuracy, %": (lambda r: r.accuracy, ".2f"),
    "−log p(y given x)": (lambda r: r.class_nll, ".4f"),
    "ECE, %": (lambda r: r.ece, ".2f"),
    "−log p(x)": (lambda r: r.nll, ".3f"),
    "KL": (lambda r: r.kl, ".4f"),
    "parameters": (lambda r: r.parameters, ",.0f"),
    "CPU-s": (lambda r: r.seconds, ".0f"),
}


def table(results: list[Result]) -> str:
    """Of every set, weight and family the mean over seeds, with the smallest and the largest in brackets."""
    lines = ["| set | λ | flow | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 3) + "|"]
    for key in dict.fromkeys((r.set, r.weight, r.family) for r in results):
        of_key = [r for r in results if (r.set, r.weight, r.family) == key]
        cells = [_spread([value(r) for r in of_key], digits) for value, digits in COLUMNS.values()]
        weight = "" if key[2] == "truth" else f"{key[1]:g}"
        lines.append(f"| {key[0]} | {weight} | {key[2]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def lost(results: list[Result]) -> str:
    """What each weight costs in accuracy, seed by seed."""
    lines = []
    for set_name in dict.fromkeys(r.set for r in results):
        for weight in WEIGHTS[1:]:
            told = []
            for family in FAMILIES:
                at = {
                    w: {r.seed: r.accuracy for r in results if (r.set, r.family, r.weight) == (set_name, family, w)}
                    for w in (0.0, weight)
                }
                told.append(f"{family} {_spread([at[0.0][seed] - at[weight][seed] for seed in at[0.0]], '.2f')}")
            lines.append(f"{set_name}, λ = {weight:g}: points of accuracy lost: {'; '.join(told)}")
    return "\n".join(lines)


def _spread(values: list[float], digits: str) -> str:
    mean, low, high = (format(value, digits) for value in (statistics.mean(values), min(values), max(values)))
    return mean if low == high else f"{mean} ({low} to {high})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--jobs", type=int, default=2, help="processes at once; no more than there are idle cores")
    parser.add_argument("--log", type=Path, help="append every result to this file, one JSON object a line")
    args = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + args.seeds)
    jobs = [(s, f, w, seed, args.steps) for s in args.sets for w in WEIGHTS for f in FAMILIES for seed in seeds]
    results = each(train, jobs, args.jobs, args.log)
    names = ("accuracy", "class_nll", "ece", "nll", "kl", "seconds")
    measured(({name: getattr(result, name) for name in names} for result in results), "hybrids")
    results += [truth(set_name) for set_name in args.sets]
    results.sort(key=lambda r: (args.sets.index(r.set), r.family == "truth"))
    print(f"\nAfter {args.steps:,} steps, mean over seeds (smallest to largest); nats.\n\n{table(results)}")
    print(f"\n{lost([r for r in results if r.family != 'truth'])}")


if __name__ == "__main__":
    main()
