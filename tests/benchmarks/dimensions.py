"""Digits in bits per dimension against seconds of training, and from which dimension on it pays to estimate log dets.

The digits are trained as `app.examples.digits` does, seed by seed, on one thread; bits per dimension are of 359 held
out images by the exact log det, evaluation is not counted in the time. Costs are those that the Dimensions
screen measures, repeated; times are processor times.

    python -m tests.benchmarks.dimensions [--seeds 3] [--steps 500] [--every 100] [--repeat 3] [--largest 128]

With --tables instead: the held-out NLL of tables of 4 to 30 columns by `rf.ResidualFlow(d).fit(X)`, by a grid of sizes,
by a Gaussian and by zuko's spline flow. Each seed has a split (or a draw) of its own; a fifth of the rows is held out.

    python -m tests.benchmarks.dimensions --tables [wine ...] [--sizes 2x16 fit ...] [--seeds 3] [--first 21]
"""

import argparse
import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
import zuko
from sklearn import covariance
from sklearn import datasets as sets
from torch import Tensor

from app.examples import digits as example
from app.features.dimensions.settings import Dimensions
from resflow_core.api.residual_flow import ResidualFlow
from resflow_core.api.sizes import batch_for, weight_decay_for
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
            found.append((step, seconds, held_out_bits(trainer.evaluated, DIGITS).value))
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


def bananas(rows: int, seed: int) -> Tensor:
    """Five pairs (a, b), a ~ N(0, 1) and b = (a^2 - 1) / sqrt(2) + 0.3 N(0, 1), turned together in R^10, (rows, 10)."""
    generator = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(torch.randn(10, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    a, noise = torch.randn(2, rows, 5, generator=generator, dtype=torch.float64)
    return torch.cat([a, (a.square() - 1) / math.sqrt(2) + SPREAD * noise], 1) @ turn


SPREAD = 0.3
# The entropy of `bananas` in nats: turning keeps volumes, and given a, b is normal.
BANANAS = 5 * (math.log(2 * math.pi * math.e) + math.log(SPREAD))


def split(X: Any, seed: int) -> tuple[Tensor, Tensor]:
    """Rows to fit and a fifth that is held out, in units in which all rows together have deviation 1."""
    X = torch.as_tensor(X, dtype=torch.float64)
    X = X[torch.randperm(len(X), generator=torch.Generator().manual_seed(seed))] / X.std(0)
    return X[len(X) // 5 :], X[: len(X) // 5]


def drawn(rows: int) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Rows to fit, and 4,000 others."""
    return lambda seed: (bananas(rows, 2 * seed), bananas(4_000, 2 * seed + 1))


# A column with two values has no density, so that the sex is left out.
TABLES: dict[str, Callable[[int], tuple[Tensor, Tensor]]] = {
    "iris": lambda seed: split(sets.load_iris().data, seed),
    "diabetes": lambda seed: split(sets.load_diabetes().data[:, [0, *range(2, 10)]], seed),
    "wine": lambda seed: split(sets.load_wine().data, seed),
    "breast cancer": lambda seed: split(sets.load_breast_cancer().data, seed),
    "bananas 200": drawn(200),
    "bananas 1000": drawn(1_000),
    "bananas 3000": drawn(3_000),
}
SIZES = ("2x16", "4x16", "4x32", "8x32", "8x64")
# Of zuko's spline flow: transforms, and the width of its two hidden layers.
SPLINES = ((1, 64), (3, 64))
SPLINE_RATE = 5e-3


def by_residual_flow(sizes: str, X: Tensor, held: Tensor, seed: int) -> float:
    """Held-out NLL of `fit`, with "blocks x width", or with what it chooses itself ("fit")."""
    blocks, width = (None, None) if sizes == "fit" else map(int, sizes.split("x"))
    flow = ResidualFlow(X.shape[1], seed=seed, blocks=blocks, width=width).fit(X)
    if sizes == "fit":
        print(f"fit chose {flow.config.blocks}x{flow.config.width} for {len(X):,} rows", flush=True)
    with torch.no_grad():
        return -float(flow.log_prob(held).double().mean())


def by_gaussian(X: Tensor, held: Tensor) -> float:
    """Held-out NLL of a normal whose covariance is shrunk as Ledoit and Wolf (2004) do."""
    found = covariance.LedoitWolf().fit(X)
    normal = torch.distributions.MultivariateNormal(X.mean(0), torch.as_tensor(found.covariance_))
    return -float(normal.log_prob(held).mean())


def by_splines(transforms: int, width: int, X: Tensor, held: Tensor, seed: int, steps: int = 2_000) -> float:
    """Held-out NLL of zuko's NSF, trained as `fit` trains: a tenth of the rows chooses the averaged weights."""
    torch.manual_seed(seed)
    centre, scale = X.mean(0), X.std(0)
    rows, held = (((part - centre) / scale).float() for part in (X, held))
    chosen, rows = rows[: round(0.1 * len(rows))], rows[round(0.1 * len(rows)) :]
    flow = zuko.flows.NSF(rows.shape[1], transforms=transforms, hidden_features=(width, width))
    average = torch.optim.swa_utils.AveragedModel(flow, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.98))
    optimiser = torch.optim.AdamW(flow.parameters(), SPLINE_RATE, weight_decay=weight_decay_for(len(rows)))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best, kept, since = math.inf, math.nan, 0
    for step in range(1, steps + 1):
        optimiser.zero_grad()
        (-flow().log_prob(rows[torch.randint(len(rows), (batch_for(len(rows)),))]).mean()).backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(flow)
        if step % (steps // 50) == 0:
            with torch.no_grad():
                value = -float(average.module().log_prob(chosen).mean())
                since += 1
                if value < best:
                    best, since = value, 0
                    kept = -float(average.module().log_prob(held).double().mean())
            if since >= 12:
                break
    return kept + float(scale.log().sum())


def tables(names: Sequence[str], sizes: Sequence[str], seeds: Sequence[int]) -> str:
    """Means over seeds, with the smallest and the largest in brackets."""
    splines = [f"NSF {transforms} x {width}" for transforms, width in SPLINES]
    columns: dict[str, Callable[[Tensor, Tensor, int], float]] = {
        "Gaussian": lambda X, held, seed: by_gaussian(X, held),
        **{size: lambda *a, size=size: by_residual_flow(size, *a) for size in sizes},
        **{name: lambda *a, of=of: by_splines(*of, *a) for name, of in zip(splines, SPLINES, strict=True)},
    }
    found: dict[str, dict[str, list[float]]] = {name: {column: [] for column in columns} for name in names}
    shapes = {}
    for seed, name in itertools.product(seeds, names):
        X, held = TABLES[name](seed)
        shapes[name] = f"{X.shape[1]} | {len(X):,}"
        for column, nll in columns.items():
            start = time.process_time()
            found[name][column].append(nll(X, held, seed))
            seconds = time.process_time() - start
            print(f"{name}, {column}, seed {seed}: {found[name][column][-1]:.3f} nats in {seconds:.0f} s", flush=True)
    for name, of_name in found.items():
        measured([{column: value} for column, values in of_name.items() for value in values], name)
    lines = ["| table | d | rows | " + " | ".join(columns) + " |", "|---" * (3 + len(columns)) + "|"]
    for name, of_name in found.items():
        cells = [f"{statistics.mean(v):.2f} ({min(v):.2f} to {max(v):.2f})" for v in of_name.values()]
        lines.append("| " + " | ".join([name, shapes[name], *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--steps", type=int, default=example.STEPS)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--largest", type=int, default=128, help="dimension")
    parser.add_argument("--tables", nargs="*", choices=TABLES, help="all of them if none is named")
    parser.add_argument("--sizes", nargs="+", default=["fit", *SIZES], help="blocks x width, as 4x32; fit: its own")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="the first seed of the tables")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if args.tables is not None:
        print(tables(args.tables or list(TABLES), args.sizes, range(args.first, args.first + args.seeds)))
        return
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
