"""How long one training step takes: ours against `normflows` at the same shape, interleaved in one run.

Shape: 10 residual blocks of 2-64-64-2 with LipSwish and ActNorm, checkerboard, batch 500, Adam, one thread, CPU. Every
model is trained for a while first, since an untrained one can fill its products with denormals.

    python -m tests.benchmarks.speed [--warm 150] [--rounds 40]
"""

import argparse
import datetime
import platform
import statistics
import time
from collections.abc import Callable

import normflows as nf
import torch

from resflow_core.datasets import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Roulette
from resflow_core.training import TrainConfig, Trainer

BLOCKS, WIDTH, BATCH, RATE = 10, 64, 500, 1e-3
# normflows caps every layer at 0.97; this is the same cap for our three layers.
LAYER_CAP = 0.97
NORM_ITERATIONS = 5

Step = Callable[[], object]


def ours(log_det=None) -> Step:
    """A step of this project: exact certified norms are part of it."""
    train = TrainConfig(learning_rate=RATE, batch=BATCH, **({"log_det": log_det} if log_det else {}))
    config = FlowConfig(blocks=BLOCKS, width=WIDTH, activation="lipswish", budget=LAYER_CAP**3)
    return Trainer(config, train, DATASETS["checkerboard"], seed=0).step


def peer(**residual) -> Step:
    """A step of normflows, as its residual flow example trains, with five norm iterations a step."""
    torch.manual_seed(0)
    flows = []
    for _ in range(BLOCKS):
        net = nf.nets.LipschitzMLP([2, WIDTH, WIDTH, 2], lipschitz_const=LAYER_CAP, init_zeros=True)
        flows += [nf.flows.Residual(net, **residual), nf.flows.ActNorm(2)]
    model = nf.NormalizingFlow(nf.distributions.DiagGaussian(2, trainable=False), flows)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    data = DATASETS["checkerboard"]
    generator = torch.Generator().manual_seed(0)

    def step():
        optimiser.zero_grad()
        loss = model.forward_kld(data.sample(BATCH, generator))
        loss.backward()
        optimiser.step()
        nf.utils.update_lipschitz(model, NORM_ITERATIONS)
        return loss

    return step


CONTENDERS: dict[str, Callable[[], Step]] = {
    "ours, exact": ours,
    "ours, roulette (2 + geometric, one N a batch)": lambda: ours(Roulette(shared=True)),
    "normflows, brute_force=True (exact)": lambda: peer(brute_force=True, reduce_memory=False),
    "normflows, default roulette": lambda: peer(reduce_memory=True),
    "normflows, roulette, reduce_memory=False": lambda: peer(reduce_memory=False),
}


def seconds(step: Step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warm", type=int, default=150, help="steps each model is trained before it is timed")
    parser.add_argument("--rounds", type=int, default=40, help="timed rounds of one step of each")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)

    steps = {name: build() for name, build in CONTENDERS.items()}
    for step in steps.values():
        for _ in range(args.warm):
            step()
    times = {name: [] for name in steps}
    for _ in range(args.rounds):
        for name, step in steps.items():
            times[name].append(seconds(step))

    median = {name: statistics.median(values) for name, values in times.items()}
    reference = median["ours, exact"]
    versions = f"torch {torch.__version__}, normflows {nf.__version__ if hasattr(nf, '__version__') else 'from PyPI'}"
    print(f"{datetime.date.today()}, {platform.machine()}, Python {platform.python_version()}, {versions}\n")
    print("| training step | median ms | fastest ms | ours, exact / this |\n|---|---|---|---|")
    for name, value in median.items():
        print(f"| {name} | {1e3 * value:.1f} | {1e3 * min(times[name]):.1f} | {reference / value:.2f} |")


if __name__ == "__main__":
    main()
