"""What dense blocks (i-DenseNets) are worth beside residual blocks: KL(data || model) in nats at equal parameters,
after as many steps and after as many CPU-seconds. Beside it, what share of its budget a block uses, the largest ||A||
on data over its bound, and the deviation of one estimate of log p by the paper's roulette, in nats, at the median
point.

Shapes are those of the Compare screen's ready-made comparison: 10 blocks, L = 0.97, and the width that brings the
parameters nearest to those of 32 sine units. Both kinds of blocks get both activations, CLipSwish as in the paper of
i-DenseNets and sine as in the page's default, and one or two hidden layers, with the same rate, batch and schedule.
Averaged weights are evaluated on 20,000 points that nobody trained on, by exact log dets; evaluation is not counted in
the time. Equal time is what the quickest flow of a set takes for all its steps. Residual flows have their gradient by
hand for the whole flow, dense ones for each block, so times compare what is written here and not the least that each
kind needs. Flows take turns, set by set and seed by seed.

    python -m tests.benchmarks.dense [--steps 1500] [--seeds 5] [--sets checkerboard] [--depths 1 2] [--minutes 60]
        [--log runs.jsonl]

With a log, runs that are in it are not made again: begin another one when the code has changed. That of RESULTS.md is
`dense.jsonl`, with 1,000 steps and two hidden layers.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from app.features.compare.arms import built, inside_name
from app.features.compare.joined import roulette_deviation
from app.features.compare.presets import PRESETS
from app.features.compare.settings import Inside
from app.setup import Setup
from resflow_core.data import DATASETS
from resflow_core.measure import block_table, evaluate
from resflow_core.residual import BRANCHES
from resflow_core.training.parameter_count import parameter_count
from resflow_core.training.trainer import Diverged, Trainer
from tests.benchmarks.compare import EVERY, EVERY_AT_FIRST, Moment, evaluation_points, exact_kl, spread
from tests.benchmarks.measured import machine, measured

DEPTHS = (1, 2)  # hidden layers
ARMS = {
    inside_name(arm): arm
    for depth in DEPTHS
    for activation in ("clipswish", "sine")
    for arm in (Inside(branch, activation, depth) for branch in BRANCHES)
}
# The ten sets of the plane with a known density that is not a normal one, which every flow fits at once.
SETS = [name for name, dataset in DATASETS.items() if dataset.truth and name != "gaussian"]
# Seeds from here on: the shapes were chosen by others.
FIRST_SEED = 61
ROULETTE_POINTS = 500


@dataclass(frozen=True)
class Result:
    """Of one run."""

    set: str
    label: str
    seed: int
    parameters: int
    steps: int
    seconds: float  # of CPU time in steps
    kl: float
    standard_error: float
    deviation: float  # of one estimate of log p by the roulette: the median over points, in nats; maybe infinite
    largest_bound: float  # certified, of all blocks
    used_budget: float  # mean over blocks of the largest ||A|| on data over the bound
    diverged: bool
    moments: list[Moment]

    def kl_at(self, seconds: float) -> float:
        """By straight lines between the moments."""
        return float(np.interp(seconds, [m.seconds for m in self.moments], [m.kl for m in self.moments]))


def train(set_name: str, label: str, seed: int, steps: int) -> Result:
    """One run, on one thread."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    preset = PRESETS["dense"]
    arm = built(ARMS[label], Setup(data=set_name, flow=preset.flow, train=preset.train))
    trainer = Trainer(arm.flow, arm.train, DATASETS[set_name], seed)
    used, diverged, moments = 0.0, False, [Moment(0, 0.0, exact_kl(trainer.evaluated, set_name).value)]
    while trainer.step_count < steps:
        start = time.thread_time()
        try:
            trainer.step()
        except Diverged:
            diverged = True
            break
        used += time.thread_time() - start
        if trainer.step_count % (EVERY_AT_FIRST if trainer.step_count < EVERY else EVERY) == 0:
            moments.append(Moment(trainer.step_count, used, exact_kl(trainer.evaluated, set_name).value))
    gap = exact_kl(trainer.evaluated, set_name)
    if moments[-1].steps < trainer.step_count:
        moments.append(Moment(trainer.step_count, used, gap.value))
    evaluation = evaluate(trainer.evaluated, evaluation_points(set_name)[0][:ROULETTE_POINTS])
    blocks = block_table(trainer.evaluated, evaluation, arm.train.log_det)
    return Result(
        set=set_name,
        label=label,
        seed=seed,
        parameters=parameter_count(arm.flow),
        steps=trainer.step_count,
        seconds=used,
        kl=gap.value,
        standard_error=gap.standard_error,
        deviation=roulette_deviation(evaluation),
        largest_bound=float(blocks.lipschitz.max()),
        used_budget=float((blocks.largest_norm / blocks.lipschitz).mean()),
        diverged=diverged,
        moments=moments,
    )


def table(set_name: str, results: list[Result]) -> str:
    """Of every flow the mean over seeds, with the smallest and the largest in brackets."""
    by_label = {label: [r for r in results if (r.set, r.label) == (set_name, label)] for label in ARMS}
    by_label = {label: found for label, found in by_label.items() if found}
    seconds = min(statistics.mean(r.seconds for r in found) for found in by_label.values())
    lines = [
        f"{set_name}; equal time is {seconds:.1f} CPU-seconds:",
        "",
        "| flow | parameters | seeds | KL at equal steps | KL at equal time | CPU ms a step | used budget "
        "| roulette's deviation |",
        "|---" * 8 + "|",
    ]
    for label, found in by_label.items():
        stopped = sum(r.diverged for r in found)
        cells = [
            f"{found[0].parameters:,}",
            f"{len(found)}" + (f" ({stopped} diverged)" if stopped else ""),
            spread([r.kl for r in found], ".3f"),
            spread([r.kl_at(seconds) for r in found], ".3f"),
            spread([1e3 * r.seconds / r.steps for r in found], ".1f"),
            spread([r.used_budget for r in found], ".3f"),
            spread([r.deviation for r in found], ".2f"),
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdict(results: list[Result]) -> str:
    """How often dense blocks are nearer to the data than residual ones, with the same activation, set and seed."""
    lines = []
    for arm in (arm for arm in ARMS.values() if arm.branch != "residual"):
        dense, residual = inside_name(arm), inside_name(replace(arm, branch="residual"))
        pairs = [
            (one, other)
            for one in results
            for other in results
            if (one.label, other.label) == (dense, residual) and (one.set, one.seed) == (other.set, other.seed)
        ]
        if not pairs:
            continue
        by_steps = [one.kl - other.kl for one, other in pairs]
        times = [min(one.seconds, other.seconds) for one, other in pairs]
        by_time = [one.kl_at(t) - other.kl_at(t) for (one, other), t in zip(pairs, times, strict=True)]
        for when, gaps in (("equal steps", by_steps), ("equal time", by_time)):
            ahead = sum(gap < 0 for gap in gaps)
            lines.append(
                f"{dense} against {residual} at {when}: ahead in {ahead} of {len(gaps)} pairs of set and seed; "
                f"KL differs by {statistics.mean(gaps):+.3f} nats in the mean, {statistics.median(gaps):+.3f} in the "
                "median."
            )
    return "\n".join(lines)


def planned(sets: list[str], seeds: int, depths: Sequence[int] = DEPTHS) -> Iterator[tuple[str, str, int]]:
    """All runs, in the order in which they are made."""
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        for set_name in sets:
            for label, arm in ARMS.items():
                if arm.hidden_layers in depths:
                    yield set_name, label, seed


def logged(path: Path | None) -> list[Result]:
    if path is None or not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [Result(**row | {"moments": [Moment(**m) for m in row["moments"]]}) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--depths", nargs="+", type=int, default=DEPTHS, choices=DEPTHS, help="hidden layers")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no run after so many")
    parser.add_argument("--log", type=Path, help="append every result to this file, one JSON object a line")
    args = parser.parse_args()
    start, results = time.monotonic(), [r for r in logged(args.log) if r.steps == args.steps or r.diverged]
    done = {(r.set, r.label, r.seed) for r in results}
    for run in planned(args.sets, args.seeds, args.depths):
        if run in done:
            continue
        if time.monotonic() - start > 60 * args.minutes:
            break
        result = train(*run, args.steps)
        results.append(result)
        print(
            f"{(time.monotonic() - start) / 60:5.1f} min  {result.set}, {result.label}, seed {result.seed}: "
            f"KL {result.kl:.3f}, {1e3 * result.seconds / result.steps:.1f} CPU ms a step",
            flush=True,
        )
        if args.log:
            with args.log.open("a") as log:
                log.write(json.dumps(asdict(result)) + "\n")
    measured(({"steps": r.steps, "seconds": r.seconds, "KL": r.kl, "L": r.largest_bound} for r in results), "dense")
    print(f"\n{machine()}\n\nMean over seeds (smallest-largest); KL(data || model) in nats, {args.steps:,} steps.")
    for set_name in args.sets:
        if any(r.set == set_name for r in results):
            print(f"\n{table(set_name, results)}")
    print(f"\n{verdict(results)}")
    print(f"\nLargest certified bound of a block: {max(r.largest_bound for r in results):.6f}.")
    wanted = len(list(planned(args.sets, args.seeds, args.depths)))
    if len(results) < wanted:
        print(f"\nMade: {len(results)} of {wanted} runs.")


if __name__ == "__main__":
    main()
