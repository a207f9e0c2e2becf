"""What the Compare screen shows, measured: residual flows by their estimators, and peers of as many parameters.

Everything is built and trained as on the screen, in the shape of its ready-made comparisons, from its seeds on. On the
way, and after the last step, averaged weights are evaluated on 20,000 points that nobody trained on, by exact log dets;
evaluation is not counted in the time. As on the screen, a step by an estimate also takes the exact NLL of its batch.
What an estimator believes is in closed form, not one draw: the mean over the same points, and the integral by
quadrature. The believed NLL is the entropy plus the mean of log p_true - log p_believed, so that the entropy's sampling
noise is not in it. Contenders take turns, seed by seed and set by set, and the tables of bias seed by seed too.

    python -m tests.benchmarks.compare [--steps 1500] [--seeds 5] [--sets checkerboard] [--no-bias] [--minutes 75]
                                       [--log runs.jsonl]

With a log, runs that are in it are not made again: begin another one when the code has changed.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from app.engine.experiment import Arm
from app.engine.training.measurements.masses import CELLS
from app.features.compare.arms import built, estimator_name
from app.features.compare.presets import PRESETS
from app.features.compare.settings import Baseline, Residual
from app.setup import Setup
from resflow_core.baselines.zuko_flows import BASELINES
from resflow_core.data import DATASETS, Dataset
from resflow_core.flow import Flow
from resflow_core.log_det import Exact, LogDet, Roulette, Truncated
from resflow_core.measure import Beliefs, Estimate, believed_log_prob, estimate_mean, evaluate, kl, log_prob, masses
from resflow_core.training.parameter_count import parameter_count
from resflow_core.training.trainer import Diverged, Trainer
from tests.benchmarks.measured import measured
from tests.benchmarks.quality import CHUNK, EVALUATION_POINTS, EVALUATION_SEED

SETS = ("checkerboard", "8gaussians", "2spirals")
BUDGET, TERMS = 0.97, 5
ESTIMATORS = (Exact(), Roulette(gradient="plain"), Roulette(gradient="neumann"), Truncated(TERMS))
ARMS: dict[str, Residual | Baseline] = {
    **{estimator_name(log_det): Residual(log_det, BUDGET) for log_det in ESTIMATORS},
    **{BASELINES[kind].title: Baseline(kind) for kind in BASELINES},
}

BIAS_SET, BIAS_SEEDS = "8gaussians", 3
BIAS_BUDGETS, BIAS_TERMS = (0.6, 0.9, 0.97, 0.99), (3, 5, 8, 12)
# The arm of the first tables is one of these too, and trained once.
BY_BUDGET = {budget: Residual(Truncated(TERMS), budget) for budget in BIAS_BUDGETS}
BY_TERMS = {terms: Residual(Truncated(terms), BUDGET) for terms in BIAS_TERMS}

# Steps between two evaluations on the way; at first there are more, when the fit improves fast and an estimator has
# few steps in the time that the quickest arm takes for all of its.
EVERY, EVERY_AT_FIRST, AT_FIRST = 100, 20, 200


@dataclass(frozen=True)
class Run:
    """What is trained."""

    set: str
    label: str
    chosen: Residual | Baseline
    seed: int
    steps: int

    def arm(self) -> Arm:
        """As the screen has it."""
        preset = PRESETS["believes"]
        return built(self.chosen, Setup(data=self.set, flow=preset.flow, train=preset.train))

    def key(self) -> str:
        """What it is called in a log."""
        return f"{self.set}, seed {self.seed}, {self.steps} steps: {self.chosen}"


@dataclass(frozen=True)
class Moment:
    """On the way."""

    steps: int
    seconds: float  # of CPU time in steps
    kl: float


@dataclass(frozen=True)
class Result:
    """Of one run, after its last step."""

    key: str
    parameters: int
    kl: float
    standard_error: float
    bias: float  # of log p, believed minus true, in nats
    believed_kl: float  # E[log p_true - log p_believed], which no density has below 0
    believed_standard_error: float
    mass: float  # that it has,
    mass_error: float
    believed_mass: float  # and that it believes in; maybe infinite
    believed_mass_error: float
    steps: int
    diverged: bool  # training stopped then
    seconds: float
    moments: list[Moment]

    @property
    def below_entropy(self) -> bool:
        """Whether the believed NLL is, by more than two standard errors."""
        return self.believed_kl + 2 * self.believed_standard_error < 0

    def kl_at(self, seconds: float) -> float:
        """By straight lines between the moments."""
        return float(np.interp(seconds, [m.seconds for m in self.moments], [m.kl for m in self.moments]))

    def steps_at(self, seconds: float) -> float:
        return float(np.interp(seconds, [m.seconds for m in self.moments], [m.steps for m in self.moments]))


@cache
def evaluation_points(set_name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Points, and their true log density."""
    x = DATASETS[set_name].sample(EVALUATION_POINTS, torch.Generator().manual_seed(EVALUATION_SEED))
    return x, DATASETS[set_name].truth.log_prob(x)


def exact_kl(flow: torch.nn.Module, set_name: str) -> Estimate:
    x, true = evaluation_points(set_name)
    return kl(true, torch.cat([log_prob(flow, part) for part in x.split(CHUNK)]))


def belief(flow: torch.nn.Module, log_det: LogDet, set_name: str) -> tuple[Estimate, Estimate]:
    """The bias of log p, and E[log p_true - log p_believed]; without a bias what is believed on average is so."""
    if not isinstance(log_det, Truncated):
        return Estimate(0.0, 0.0), exact_kl(flow, set_name)
    x, true = evaluation_points(set_name)
    evaluations = [evaluate(flow, part) for part in x.split(CHUNK)]
    believed = torch.cat([believed_log_prob(one, log_det) for one in evaluations])
    return estimate_mean(believed - torch.cat([one.log_prob for one in evaluations])), kl(true, believed)


def train(run: Run) -> Result:
    """One run, on one thread."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    arm, dataset = run.arm(), DATASETS[run.set]
    log_det = arm.train.log_det
    trainer = Trainer(arm.flow, arm.train, dataset, run.seed)
    used, diverged, moments = 0.0, False, [Moment(0, 0.0, exact_kl(trainer.evaluated, run.set).value)]
    while trainer.step_count < run.steps:
        start = time.process_time()
        try:
            trainer.step()
        except Diverged:
            diverged = True
            break
        used += time.process_time() - start
        if trainer.step_count % (EVERY_AT_FIRST if trainer.step_count <= AT_FIRST else EVERY) == 0:
            moments.append(Moment(trainer.step_count, used, exact_kl(trainer.evaluated, run.set).value))
    flow = trainer.evaluated
    gap = exact_kl(flow, run.set)
    if moments[-1].steps < trainer.step_count:
        moments.append(Moment(trainer.step_count, used, gap.value))
    bias, believed = belief(flow, log_det, run.set)
    exact_mass, believed_mass = _masses(flow, log_det, dataset)
    return Result(
        key=run.key(),
        parameters=parameter_count(arm.flow),
        kl=gap.value,
        standard_error=gap.standard_error,
        bias=bias.value,
        believed_kl=believed.value,
        believed_standard_error=believed.standard_error,
        mass=exact_mass.value,
        mass_error=exact_mass.error,
        believed_mass=believed_mass.value,
        believed_mass_error=believed_mass.error,
        steps=trainer.step_count,
        diverged=diverged,
        seconds=used,
        moments=moments,
    )


def _masses(flow: torch.nn.Module, log_det: LogDet, dataset: Dataset):
    """That it has, and that it believes in."""
    beliefs = Beliefs(flow, log_det if isinstance(flow, Flow) else Exact())
    found = masses(beliefs, dataset.window, CELLS["fine"])
    return found[0], found[-1]


def planned(sets: list[str], seeds: int, steps: int, bias: bool) -> Iterator[Run]:
    """All runs, in the order in which they are made."""
    for seed in range(seeds):
        yield from _round(sets, seed, steps)
        if bias and seed < BIAS_SEEDS:
            yield from of_bias(BY_BUDGET, seed, steps)
            yield from of_bias(BY_TERMS, seed, steps)


def _round(sets: list[str], seed: int, steps: int) -> Iterator[Run]:
    return (Run(set_name, label, chosen, seed, steps) for set_name in sets for label, chosen in ARMS.items())


def of_bias(arms: dict[float, Residual], seed: int, steps: int) -> list[Run]:
    return [Run(BIAS_SET, f"{value:g}", chosen, seed, steps) for value, chosen in arms.items()]


def table(set_name: str, done: dict[str, list[Result]]) -> str:
    """Of every arm the mean over seeds, with the smallest and the largest in brackets."""
    entropy = DATASETS[set_name].truth.entropy
    # What the quickest arm takes for all its steps, in the mean over its seeds.
    seconds = min(statistics.mean(r.seconds for r in results) for results in done.values())
    lines = [
        f"{set_name}, entropy {entropy:.3f} nats; equal time is {seconds:.1f} CPU-seconds:",
        "",
        "| flow | parameters | seeds | KL | bias of log p | believed NLL | below the entropy | mass believed in "
        "| CPU ms a step | KL at equal time | steps by then |",
        "|---" * 11 + "|",
    ]
    for label, results in done.items():
        cells = [
            f"{results[0].parameters:,}",
            _seeds(results),
            spread([r.kl for r in results], ".3f"),
            *_believed(results, entropy),
            spread([1e3 * r.seconds / r.steps for r in results], ".1f"),
            spread([r.kl_at(seconds) for r in results], ".3f"),
            f"{statistics.mean(r.steps_at(seconds) for r in results):,.0f}",
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bias_table(title: str, done: dict[str, list[Result]]) -> str:
    entropy = DATASETS[BIAS_SET].truth.entropy
    lines = [
        f"| {title} | seeds | KL | bias of log p | believed NLL | below the entropy | mass believed in | CPU ms a step "
        "|",
        "|---" * 8 + "|",
    ]
    for label, results in done.items():
        cells = [
            _seeds(results),
            spread([r.kl for r in results], ".3f"),
            *_believed(results, entropy),
            spread([1e3 * r.seconds / r.steps for r in results], ".1f"),
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _seeds(results: list[Result]) -> str:
    diverged = sum(r.diverged for r in results)
    return f"{len(results)}" + (f" ({diverged} diverged)" if diverged else "")


def _believed(results: list[Result], entropy: float) -> list[str]:
    biased = any(r.bias for r in results)
    below = sum(r.below_entropy for r in results)
    return [
        spread([r.bias for r in results], ".4f") if biased else "0",
        spread([entropy + r.believed_kl for r in results], ".3f"),
        f"{below} of {len(results)}" if below else "no",
        spread([r.believed_mass for r in results], ".3f"),
    ]


def spread(values: list[float], digits: str) -> str:
    """The mean of those that are finite, the smallest and the largest, and how many are infinite."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "infinite"
    mean, low, high = (format(value, digits) for value in (statistics.mean(finite), min(finite), max(finite)))
    said = mean if low == high else f"{mean} ({low}{' to ' if min(finite) < 0 else '-'}{high})"
    infinite = len(values) - len(finite)
    return f"{said}; infinite in {infinite} of {len(values)}" if infinite else said


def report(args: argparse.Namespace, results: dict[str, Result]) -> None:
    def done(of_seed: Callable[[int], Iterator[Run] | list[Run]], seeds: int) -> dict[str, list[Result]]:
        by_label: dict[str, list[Result]] = {}
        for run in (run for seed in range(seeds) for run in of_seed(seed)):
            if run.key() in results:
                by_label.setdefault(run.label, []).append(results[run.key()])
        return by_label

    wanted = runs_of(args)
    shown = [results[run.key()] for run in wanted if run.key() in results]
    measured(({"steps": r.steps, "seconds": r.seconds, "KL": r.kl, "the mass": r.mass} for r in shown), "comparisons")
    print("\nMean over seeds (smallest-largest); KL(data || model), bias and NLL in nats.")
    for set_name in args.sets:
        if of_set := done(lambda seed, name=set_name: _round([name], seed, args.steps), args.seeds):
            print(f"\n{table(set_name, of_set)}")
    for title, arms in ((f"L, {TERMS} terms", BY_BUDGET), (f"terms, L = {BUDGET:g}", BY_TERMS)):
        seeds = min(args.seeds, BIAS_SEEDS)
        if args.bias and (of_title := done(lambda seed, arms=arms: of_bias(arms, seed, args.steps), seeds)):
            print(f"\nThe i-ResNet on {BIAS_SET}:\n\n{bias_table(title, of_title)}")
    print(f"\nLargest standard error of a KL: {max(r.standard_error for r in shown):.4f} nats.")
    print(f"Exact masses: {min(r.mass for r in shown):.4f} to {max(r.mass for r in shown):.4f}.")
    errors = [r.believed_mass_error for r in shown if math.isfinite(r.believed_mass_error)]
    print(f"Largest quadrature error of a finite believed mass: {max(errors):.4f}.")
    if missing := [run.key() for run in wanted if run.key() not in results]:
        print("\nNot made: " + "; ".join(missing))


def runs_of(args: argparse.Namespace) -> list[Run]:
    """Without repetition: one arm is in three tables."""
    runs = planned(args.sets, args.seeds, args.steps, args.bias)
    return list({run.key(): run for run in runs}.values())


def main() -> None:
    known = [name for name, dataset in DATASETS.items() if dataset.truth]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=known)
    parser.add_argument("--no-bias", dest="bias", action="store_false", help="without the two tables of bias")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no run after so many")
    parser.add_argument("--log", type=Path, help="append every result to this file, one JSON object a line")
    args = parser.parse_args()
    start, results = time.monotonic(), logged(args.log)
    for run in runs_of(args):
        if time.monotonic() - start > 60 * args.minutes:
            break
        if run.key() in results:
            continue
        result = results[run.key()] = train(run)
        print(
            f"{(time.monotonic() - start) / 60:5.1f} min  {result.key}: KL {result.kl:.3f}, bias {result.bias:.4f}, "
            f"mass believed in {result.believed_mass:.3f}, {1e3 * result.seconds / result.steps:.1f} CPU ms a step",
            flush=True,
        )
        if args.log:
            with args.log.open("a") as log:
                log.write(json.dumps(asdict(result)) + "\n")
    report(args, results)


def logged(path: Path | None) -> dict[str, Result]:
    """Results by their keys."""
    if path is None or not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["key"]: Result(**row | {"moments": [Moment(**m) for m in row["moments"]]}) for row in rows}


if __name__ == "__main__":
    main()
