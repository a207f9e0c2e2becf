"""How near each flow comes to the true density in a minute: KL(data || model) in nats after 60 CPU-seconds, one thread.

Ours at the page's defaults; normflows' residual flow at its example's settings, and at ours (our blocks, width, batch,
rate, clipping, and its exact log det); zuko's neural spline flow and RealNVP with as many parameters as ours, a cosine,
and the best rate and batch that we found for each. Evaluated by exact log dets on 20,000 points that nobody trained on;
evaluation is not counted in the time. Contenders take turns, set by set and seed by seed.

    python -m tests.benchmarks.quality [--seconds 60] [--sets checkerboard moons] [--contenders ours ...] [--jobs 1]
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import normflows as nf
import numpy as np
import torch
import zuko
from torch import Tensor

from app.setup import Setup
from app.ui.presets import PRESETS
from resflow_core.data import DATASETS, Dataset
from resflow_core.measure import kl, log_prob
from resflow_core.training.trainer import Trainer
from tests.benchmarks.measured import measured
from tests.benchmarks.runs import each

# None of these was used to choose a default.
SEEDS = (11, 12, 13, 14, 15)
EVALUATION_POINTS = 20_000
EVALUATION_SEED = 2**31
CHUNK = 2_000
CLEARLY = 2.0  # standard errors


@dataclass
class Contender:
    """`step(progress)` trains once, progress being the share of the time that has gone; `log_prob` is exact."""

    step: Callable[[float], object]
    log_prob: Callable[[Tensor], Tensor]
    parameters: int


def ours(dataset: Dataset, seed: int, preset: str = "default") -> Contender:
    trainer = Trainer(PRESETS[preset].flow, PRESETS[preset].train, dataset, seed, backend="numba")
    return Contender(lambda _: trainer.step(), lambda x: log_prob(trainer.evaluated, x), _count(trainer.flow))


def _count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _normflows(blocks: int, widths: list[int], layer_cap: float, dataset: Dataset, seed: int, **residual):
    torch.manual_seed(seed)
    flows = []
    for _ in range(blocks):
        net = nf.nets.LipschitzMLP(widths, init_zeros=True, lipschitz_const=layer_cap)
        flows += [nf.flows.Residual(net, **residual), nf.flows.ActNorm(2)]
    model = nf.NormalizingFlow(nf.distributions.DiagGaussian(2, trainable=False), flows)
    model.log_prob(dataset.sample(512, torch.Generator().manual_seed(seed)))  # initialises its ActNorms
    return model


def _exact_log_prob(model: nf.NormalizingFlow) -> Callable[[Tensor], Tensor]:
    def exact(x: Tensor) -> Tensor:
        for flow in model.flows:
            if isinstance(flow, nf.flows.Residual):
                flow.iresblock.brute_force = True
        return torch.cat([model.log_prob(chunk).detach() for chunk in x.split(CHUNK)])

    return exact


def normflows_example(dataset: Dataset, seed: int) -> Contender:
    """examples/residual.ipynb of normflows: 16 blocks of 2-128-128-2, c = 0.9, roulette, Adam 3e-4, batch 512."""
    model = _normflows(16, [2, 128, 128, 2], 0.9, dataset, seed, reduce_memory=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-4, weight_decay=1e-5)
    generator = torch.Generator().manual_seed(seed)

    def step(_: float) -> None:
        optimiser.zero_grad()
        loss = model.forward_kld(dataset.sample(512, generator))
        if torch.isfinite(loss):
            loss.backward()
            optimiser.step()
        nf.utils.update_lipschitz(model, 50)

    return Contender(step, _exact_log_prob(model), _count(model))


def normflows_matched(dataset: Dataset, seed: int) -> Contender:
    """normflows' residual flow with our settings, as far as it has them: its activation is LipSwish."""
    flow, train = Setup().flow, Setup().train
    widths = [2, *[flow.width] * flow.hidden_layers, 2]
    cap = flow.budget ** (1 / (flow.hidden_layers + 1))
    model = _normflows(flow.blocks, widths, cap, dataset, seed, brute_force=True, reduce_memory=False)
    optimiser = torch.optim.Adam(model.parameters())
    generator = torch.Generator().manual_seed(seed)
    steps = 0

    def step(_: float) -> None:
        nonlocal steps
        optimiser.param_groups[0]["lr"] = train.rate(steps)
        optimiser.zero_grad()
        loss = model.forward_kld(dataset.sample(train.batch, generator))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), train.clip)
        optimiser.step()
        nf.utils.update_lipschitz(model, 5)
        steps += 1

    return Contender(step, _exact_log_prob(model), _count(model))


def _zuko(build: Callable[[int], torch.nn.Module], rate: float, dataset: Dataset, seed: int) -> Contender:
    """A flow of zuko with the width that brings its parameters nearest to ours, trained with Adam and a cosine."""
    goal = _count(Setup().flow.build(torch.Generator().manual_seed(0)))
    widths = range(16, 257, 4)
    torch.manual_seed(seed)
    width = min(widths, key=lambda w: abs(_count(build(w)) - goal))
    torch.manual_seed(seed)
    model = build(width)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(seed)

    def step(progress: float) -> None:
        optimiser.param_groups[0]["lr"] = rate * max(0.5 * (1 + math.cos(math.pi * progress)), 0.01)
        optimiser.zero_grad()
        loss = -model().log_prob(dataset.sample(512, generator)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()

    @torch.no_grad()
    def log_prob(x: Tensor) -> Tensor:
        return torch.cat([model().log_prob(chunk) for chunk in x.split(CHUNK)])

    return Contender(step, log_prob, _count(model))


NSF_RATE, REALNVP_RATE = 1e-2, 2e-2


def zuko_nsf(dataset: Dataset, seed: int) -> Contender:
    """Three spline transforms of eight bins."""
    return _zuko(lambda w: zuko.flows.NSF(2, transforms=3, hidden_features=(w, w)), NSF_RATE, dataset, seed)


def zuko_realnvp(dataset: Dataset, seed: int) -> Contender:
    """Ten affine couplings."""
    return _zuko(lambda w: zuko.flows.RealNVP(2, transforms=10, hidden_features=(w, w)), REALNVP_RATE, dataset, seed)


CONTENDERS: dict[str, Callable[[Dataset, int], Contender]] = {
    "ours": ours,
    "normflows, example": normflows_example,
    "normflows, matched": normflows_matched,
    "RealNVP": zuko_realnvp,
    "NSF": zuko_nsf,
}
# Only where they are asked for: no preset is meant for every data set, nor for just a minute.
OUR_PRESETS = {f"preset {name}": partial(ours, preset=name) for name in PRESETS if name != "default"}
KNOWN = CONTENDERS | OUR_PRESETS


@dataclass(frozen=True)
class Result:
    set: str
    contender: str
    seed: int
    kl: float
    standard_error: float
    steps: int
    parameters: int
    log_prob: np.ndarray = field(repr=False)  # of the evaluation's points


def train(job: tuple[str, str, int, float]) -> Result:
    """One run: `seconds` of this process's CPU time in training steps, then the paired KL."""
    set_name, name, seed, seconds = job
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    dataset = DATASETS[set_name]
    contender = KNOWN[name](dataset, seed)
    used, steps = 0.0, 0
    while used < seconds:
        start = time.process_time()
        contender.step(used / seconds)
        used += time.process_time() - start
        steps += 1
    x = dataset.sample(EVALUATION_POINTS, torch.Generator().manual_seed(EVALUATION_SEED))
    log_prob = contender.log_prob(x)
    gap = kl(dataset.truth.log_prob(x), log_prob)
    parameters = contender.parameters
    return Result(set_name, name, seed, gap.value, gap.standard_error, steps, parameters, log_prob.numpy())


def table(results: list[Result]) -> str:
    """Mean KL over the seeds of each set (the spread over seeds in brackets), and how many steps the minute held."""
    names = [name for name in KNOWN if any(r.contender == name for r in results)]
    lines = ["| set | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for set_name in dict.fromkeys(r.set for r in results):
        cells = []
        for name in names:
            kls = [r.kl for r in results if (r.set, r.contender) == (set_name, name)]
            spread = f" ({min(kls):.3f}-{max(kls):.3f})" if len(kls) > 1 else ""
            cells.append(f"{statistics.mean(kls):.3f}{spread}" if kls else "")
        lines.append(f"| {set_name} | " + " | ".join(cells) + " |")
    steps = [statistics.median(r.steps for r in results if r.contender == name) for name in names]
    lines.append("| *steps* | " + " | ".join(f"{s:,.0f}" for s in steps) + " |")
    sizes = [next(r.parameters for r in results if r.contender == name) for name in names]
    lines.append("| *parameters* | " + " | ".join(f"{s:,}" for s in sizes) + " |")
    return "\n".join(lines)


def ahead(results: list[Result], peer: str) -> str:
    """By how much ours is below a peer's KL, set by set, in nats and in standard errors: those of the seeds and of the
    points, on which both are evaluated. It is ahead or behind where that is more than `CLEARLY`."""
    lines, counts = (
        [f"| set | {peer} - ours | standard errors | |", "|---|---|---|---|"],
        {"ahead": 0, "behind": 0, "": 0},
    )
    for set_name in dict.fromkeys(r.set for r in results):
        here, there = (
            {r.seed: r.log_prob for r in results if (r.set, r.contender) == (set_name, name)} for name in ("ours", peer)
        )
        by_seed = np.array([here[seed] - there[seed] for seed in here.keys() & there.keys()], float)  # (seeds, points)
        seeds, points = by_seed.shape
        error = np.hypot(by_seed.mean(1).std(ddof=1) / seeds**0.5, by_seed.mean(0).std(ddof=1) / points**0.5)
        gap = by_seed.mean()
        word = "" if abs(gap) < CLEARLY * error else "ahead" if gap > 0 else "behind"
        counts[word] += 1
        lines.append(f"| {set_name} | {gap:+.4f} | {gap / error:+.1f} | {word} |")
    lines.append(
        f"\nAhead of {peer} on {counts['ahead']}, behind on {counts['behind']} of {sum(counts.values())} sets."
    )
    return "\n".join(lines)


def main() -> None:
    known = [name for name, dataset in DATASETS.items() if dataset.truth]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--sets", nargs="+", default=known, choices=known)
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=KNOWN)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--jobs", type=int, default=1, help="processes at once; no more than there are idle cores")
    parser.add_argument("--log", type=Path, help="append every result to this file, one JSON object a line")
    args = parser.parse_args()
    jobs = [
        (set_name, name, seed, args.seconds)
        for set_name in args.sets
        for seed in args.seeds
        for name in args.contenders
    ]
    results = each(train, jobs, args.jobs, args.log)
    measured(({"steps": r.steps, "KL": r.kl, "its standard error": r.standard_error} for r in results), "quality")
    print(f"\nKL(data || model) in nats after {args.seconds:g} CPU-seconds:\n\n{table(results)}")
    if "ours" in args.contenders and len(args.seeds) > 1:
        for peer in (name for name in args.contenders if name != "ours"):
            print(f"\n{ahead(results, peer)}")


if __name__ == "__main__":
    main()
