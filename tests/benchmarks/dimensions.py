"""Digits in bits per dimension against seconds of training, and from which dimension on it pays to estimate log dets.

The digits are trained as `app.examples.digits` does, seed by seed, on one thread; bits per dimension are of 359 held
out images by the exact log det, evaluation is not counted in the time. Costs are those that the Dimensions
screen measures, repeated; times are processor times.

    python -m tests.benchmarks.dimensions [--seeds 3] [--steps 500] [--every 100] [--repeat 3] [--largest 128]
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from app.examples import digits as example
from app.features.dimensions.settings import Dimensions
from resflow_core.data.digits import DIGITS
from resflow_core.measure import AtDim, by_dim, crossing, gaussian_bits, held_out_bits
from resflow_core.measure.scaling import Subject
from resflow_core.training.trainer import Trainer
from tests.benchmarks.measured import measured

FIRST_SEED = 21  # no default was chosen by one of these


def train(seed: int, steps: int, every: int) -> list[tuple[int, float, float]]:
    """(step, seconds, bits per dimension) along one run."""
    trainer, seconds, found = Trainer(example.FLOW, example.TRAIN, DIGITS, seed, exact_losses=False), 0.0, []
    for step in range(1, steps + 1):
        start = time.process_time()
        trainer.step()
        seconds += time.process_time() - start
        if step % every == 0 or step == steps:
            found.append((step, seconds, example.last(held_out_bits(trainer.evaluated, DIGITS)).value))
            print(seed, *found[-1], flush=True)
    return found


def bits_table(runs: Sequence[list[tuple[int, float, float]]]) -> str:
    """Means over seeds, with the smallest and the largest in brackets."""
    lines = ["| steps | CPU-seconds | bits per dimension |", "|---|---|---|"]
    for at in zip(*runs, strict=True):
        bits = [value for _, _, value in at]
        seconds = statistics.mean(taken for _, taken, _ in at)
        lines.append(
            f"| {at[0][0]:,} | {seconds:.1f} | {statistics.mean(bits):.3f} ({min(bits):.3f}-{max(bits):.3f}) |"
        )
    return "\n".join(lines)


def costs(shared: bool, seed: int, largest: int) -> list[AtDim]:
    """What the screen measures, in every dimension."""
    plan = replace(Dimensions(shared=shared).plan, estimates=40)
    pieces = []
    for dim in (d for d in plan.dims if d <= largest):
        subject = Subject(plan, dim, seed)
        pieces += [subject.piece(k) for k in range(plan.exact_steps + plan.estimates)]
    return by_dim(pieces)


def figures(at: AtDim) -> dict[str, float | None]:
    """What is measured in one dimension."""
    return {
        "seconds by the exact log det": at.exact_seconds,
        "seconds by an estimate": at.estimate_seconds,
        "the variance": at.variance and at.variance.value,
        "the batch's variance": at.sampling and at.sampling.value,
    }


def costs_table(runs: Sequence[list[AtDim]]) -> str:
    """Medians over repetitions."""
    lines = [
        "| d | exact, ms | estimate, ms | variance that the estimate adds | variance of the batch |",
        "|---|---|---|---|---|",
    ]
    for at in zip(*runs, strict=True):
        times = [
            1e3 * statistics.median(getattr(a, name) for a in at) for name in ("exact_seconds", "estimate_seconds")
        ]
        variances = [statistics.median(getattr(a, name).value for a in at) for name in ("variance", "sampling")]
        lines.append("| " + " | ".join([str(at[0].dim), *(f"{v:.1f}" for v in times), *(f"{v:.2f}" for v in variances)])
                     + " |")  # fmt: skip
    return "\n".join(lines)


def crossings(runs: Sequence[list[AtDim]]) -> str:
    """By time, and by time with noise, of each repetition."""
    said = []
    for name, exact, estimate in (
        ("a step's time", "exact_seconds", "estimate_seconds"),
        ("time to equal error", "exact_work", "estimate_work"),
    ):
        found = [
            crossing([a.dim for a in at], [getattr(a, exact) for a in at], [getattr(a, estimate) for a in at]).dim
            for at in runs
        ]
        said.append(f"{name}: d = {', '.join('none' if d is None else f'{d:.0f}' for d in found)}")
    return "; ".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--steps", type=int, default=example.STEPS)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--largest", type=int, default=128, help="dimension")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    print("Gaussian:", gaussian_bits(DIGITS))
    for shared in (False, True):
        runs = [costs(shared, FIRST_SEED + k, args.largest) for k in range(args.repeat)]
        measured((figures(at) for run in runs for at in run), "costs")
        print(f"\n{'One N a batch' if shared else 'One N a point'}:\n\n{costs_table(runs)}\n\n{crossings(runs)}\n")
    trained = [train(FIRST_SEED + k, args.steps, args.every) for k in range(args.seeds)]
    measured(({"seconds": seconds, "bits": bits} for run in trained for _, seconds, bits in run), "digits")
    print(bits_table(trained))


if __name__ == "__main__":
    main()
