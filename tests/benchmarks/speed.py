"""Ours against `normflows` at the same shape, interleaved in one run: a training step, a density grid, sampling. Then
the app's default flow: its step, and one picture of it.

Shape: 10 residual blocks of 2-64-64-2 with LipSwish and ActNorm, checkerboard, one thread, CPU time. A step has batch
500 and Adam. Grid and samples are those of one trained flow, whose weights both libraries use. Beside each step stands
its floor, the bare matrix products. Whoever is measured runs with the environment of the training process
(`app.engine.remote`).

    python -m tests.benchmarks.speed [--warm 150] [--rounds 40] [--train 1000]
"""

import argparse
import copy
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise

import normflows as nf
import torch
from torch import Tensor

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm
from app.engine.training.job import Job
from app.engine.worker.process import ENVIRONMENT
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import Flow, FlowConfig
from resflow_core.log_det import Exact, LogDet, Roulette, Truncated
from resflow_core.residual import ResidualBlock
from resflow_core.spectral_norm import certified
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.benchmarks.measured import machine, measured

BLOCKS, WIDTH, BATCH, RATE = 10, 64, 500, 1e-3
# normflows caps every layer at 0.97; this is the same cap for our three layers, L = 0.913.
LAYER_CAP = 0.97
FLOW = FlowConfig(blocks=BLOCKS, width=WIDTH, hidden_layers=2, activation="lipswish", budget=LAYER_CAP**3)
NORM_ITERATIONS = 5
GRID, WINDOW = 200, ((-3.0, 3.0), (-3.0, 3.0))
SAMPLES = 10_000

DATA = DATASETS["checkerboard"]
EXACT = Exact()
Work = Callable[[], object]


def our_step(backend: str, log_det: LogDet) -> Work:
    """A step of this project: exact certified norms are part of it."""
    train = TrainConfig(learning_rate=RATE, batch=BATCH, average=0.0, log_det=log_det)
    return Trainer(FLOW, train, DATA, seed=0, backend=backend).step


def default_step(backend: str, log_det: LogDet = EXACT) -> Work:
    """As the app trains when it is opened, but for the log det."""
    return Trainer(FlowConfig(), TrainConfig(log_det=log_det), DATA, seed=0, backend=backend).step


def default_gradient() -> Work:
    """Of that step, the loss and its gradient."""
    trainer, generator = Trainer(FlowConfig(), TrainConfig(), DATA, seed=0, backend="numba"), torch.Generator()
    x = DATA.sample(TrainConfig().batch, generator)
    return lambda: trainer._by_kernels.of_parts([x])


def peer(**residual) -> nf.NormalizingFlow:
    """The residual flow of normflows, as its example builds it."""
    torch.manual_seed(0)
    flows = []
    for _ in range(BLOCKS):
        net = nf.nets.LipschitzMLP([2, WIDTH, WIDTH, 2], lipschitz_const=LAYER_CAP, init_zeros=True)
        flows += [nf.flows.Residual(net, **residual), nf.flows.ActNorm(2)]
    return nf.NormalizingFlow(nf.distributions.DiagGaussian(2, trainable=False), flows)


def peer_step(**residual) -> Work:
    """A step of normflows, as its residual flow example trains, with five norm iterations a step."""
    model = peer(**residual)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    generator = torch.Generator().manual_seed(0)

    def step():
        optimiser.zero_grad()
        loss = model.forward_kld(DATA.sample(BATCH, generator))
        loss.backward()
        optimiser.step()
        nf.utils.update_lipschitz(model, NORM_ITERATIONS)
        return loss

    return step


def products(flow: FlowConfig, batch: int) -> Work:
    """The matrix products of a step with exact log dets and nothing else: 3 columns a point, there and twice back."""
    widths = [2, *[flow.width] * flow.hidden_layers, 2]
    shapes = [(m, n) for n, m in pairwise(widths)]
    layers = [(torch.randn(m, n), torch.randn(n, 3 * batch), torch.randn(m, 3 * batch)) for m, n in shapes]

    def step():
        for _ in range(flow.blocks):
            for weight, points, gradient in layers:
                weight @ points
                gradient @ points.T
                weight.T @ gradient

    return step


def certificates() -> Work:
    """Upper bounds of all layers' norms, as a step takes them, without what follows from them."""
    layers = zip(*(block.branch.linears for block in trained(100).blocks), strict=True)
    weights = [torch.stack([linear.raw.detach() for linear in layer]) for layer in layers]
    return lambda: [certified(stack) for stack in weights]


STEPS: dict[str, Callable[[], Work]] = {
    "ours, exact, by kernels": lambda: our_step("numba", Exact()),
    "ours, exact, by torch": lambda: our_step("torch", Exact()),
    "ours, roulette (2 + geometric, one N a batch, Neumann)": lambda: our_step("numba", Roulette(shared=True)),
    "normflows, brute_force=True (exact)": lambda: peer_step(brute_force=True, reduce_memory=False),
    "normflows, default roulette": lambda: peer_step(),
    "normflows, roulette, reduce_memory=False": lambda: peer_step(reduce_memory=False),
    "the floor: the bare matrix products of our exact step": lambda: products(FLOW, BATCH),
    "the certified norms of our step": certificates,
}

DEFAULT_STEPS: dict[str, Callable[[], Work]] = {
    "by kernels": lambda: default_step("numba"),
    "by kernels, roulette": lambda: default_step("numba", Roulette()),
    "by kernels, 5 terms": lambda: default_step("numba", Truncated(5)),
    "by kernels, the loss and its gradient alone": default_gradient,
    "by torch": lambda: default_step("torch"),
    "by torch, roulette": lambda: default_step("torch", Roulette()),
    "the floor: the bare matrix products": lambda: products(FlowConfig(), TrainConfig().batch),
}


def picture(backend: str) -> Work:
    """A frame of the app's default flow, as the page asks for if its browser cannot draw it."""
    arm = Arm(FlowConfig(), TrainConfig(), "checkerboard")
    job = Job(arm, 0, "cpu", time.perf_counter, Only(backend))
    for _ in range(PICTURED_AFTER):
        job.step()
    return lambda: job.frame(ViewRequest())


@dataclass(frozen=True)
class Only:
    """The `Backends` of runs that have this one."""

    backend: str
    why_torch: str = ""

    def of_new_run(self) -> str:
        return self.backend

    def of_saved_run(self, backend: str) -> str:
        return self.backend


PICTURED_AFTER = 300
PICTURES: dict[str, Callable[[], Work]] = {
    "a picture by kernels": lambda: picture("numba"),
    "a picture by torch": lambda: picture("torch"),
    "a step by kernels": lambda: default_step("numba"),
    "a step by torch": lambda: default_step("torch"),
}


def trained(steps: int) -> Flow:
    trainer = Trainer(FLOW, TrainConfig(learning_rate=5e-3), DATA, seed=0, backend="numba")
    for _ in range(steps):
        trainer.step()
    return trainer.flow


def by_torch(flow: Flow) -> Flow:
    same = copy.deepcopy(flow)
    same.kernels = None
    return same


@torch.no_grad()
def as_peer(flow: Flow) -> nf.NormalizingFlow:
    """normflows with the weights of our flow: the same function, but for float32 rounding."""
    flows = []
    for part in flow.bijections:
        if isinstance(part, ResidualBlock):
            flows.append(_as_residual(part))
            continue
        norm = nf.flows.ActNorm(2)
        norm.s.copy_(-part.log_scale)
        norm.t.copy_(-part.shift * torch.exp(-part.log_scale))
        norm.data_dep_init_done.fill_(1.0)
        flows.append(norm)
    base = nf.distributions.DiagGaussian(2, trainable=False)
    return nf.NormalizingFlow(base, flows[::-1]).eval()


def _as_residual(block: ResidualBlock) -> nf.flows.Residual:
    """Ours divides silu by its constant, normflows by 1.1, so that its layers' norms are a little above 0.97."""
    branch, ratio = block.branch, 1.1 / block.branch.activation.lipschitz(2)
    net = nf.nets.LipschitzMLP([2, WIDTH, WIDTH, 2], lipschitz_const=LAYER_CAP * ratio)
    swishes, linears = net.net[0::2], net.net[1::2]
    for swish, scale, linear, ours in zip(swishes, branch.scales, linears, branch.linears, strict=True):
        swish.beta.copy_(torch.log(torch.expm1(scale))[None])
        linear.weight.copy_(ours.weight() * ratio)
        linear.bias.copy_(ours.bias)
        linear.compute_weight(update=True, n_iterations=200)
    return nf.flows.Residual(net)


def peer_inverse(model: nf.NormalizingFlow, z: Tensor, with_log_det: bool = True) -> Tensor:
    """What `model.sample` does to its draws z; the log det of every block is part of it, unless it is left out."""
    for flow in model.flows:
        points_only = not with_log_det and isinstance(flow, nf.flows.Residual)
        z = flow.iresblock.inverse(z) if points_only else flow(z)[0].detach()
    return z


def seconds(work: Work) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def interleaved(works: dict[str, Work], rounds: int) -> dict[str, list[float]]:
    times = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
    return times


def table(title: str, times: dict[str, list[float]], extra: dict[str, str] | None = None, heading: str = "") -> None:
    """One row a contender; ratios are of medians, to the first contender."""
    measured(({f"seconds of {name}": value} for name, values in times.items() for value in values), title)
    reference = statistics.median(next(iter(times.values())))
    print(f"\n| {title} | median ms | fastest ms | {next(iter(times))} / this |{f' {heading} |' if extra else ''}")
    print("|---|---|---|---|" + ("---|" if extra else ""))
    for name, values in times.items():
        median = statistics.median(values)
        row = f"| {name} | {1e3 * median:.1f} | {1e3 * min(values):.1f} | {reference / median:.2f} |"
        print(row + (f" {extra[name]} |" if extra else ""), flush=True)


def together(title: str, contenders: dict[str, Callable[[], Work]], warm: int, rounds: int) -> None:
    works = {name: build() for name, build in contenders.items()}
    for work in works.values():
        for _ in range(warm):  # an untrained model can fill its products with denormals
            work()
    table(title, interleaved(works, rounds))


@torch.no_grad()
def grid(flow: Flow, model: nf.NormalizingFlow, rounds: int) -> None:
    x = measure.grid_points(WINDOW, GRID)
    precise = by_torch(flow).double().log_prob(x.double())
    torchs = by_torch(flow)
    works = {
        "ours, by kernels": lambda: measure.log_prob(flow, x),
        "ours, by torch": lambda: measure.log_prob(torchs, x),
        "normflows, evaluation mode (exact)": lambda: model.log_prob(x).detach(),
    }
    times = interleaved(works, rounds)
    errors = [float((found() - precise).abs().max()) for found in works.values()]
    measured(({"the error": error} for error in errors), "log density")
    extra = {name: f"{error:.1e}" for name, error in zip(times, errors, strict=True)}
    table(f"log density, {GRID} x {GRID}", times, extra, "largest error, nats")


@torch.no_grad()
def sampling(flow: Flow, model: nf.NormalizingFlow, rounds: int) -> None:
    z = torch.randn(SAMPLES, 2, generator=torch.Generator().manual_seed(0))
    torchs = by_torch(flow)
    works = {
        "ours, by kernels": lambda: flow.inverse(z),
        "ours, by torch": lambda: torchs.inverse(z),
        "normflows, as `sample` (with log det)": lambda: peer_inverse(model, z),
        "normflows, points only": lambda: peer_inverse(model, z, with_log_det=False),
    }
    times = interleaved(works, rounds)
    precise = by_torch(flow).double()
    errors = [float((precise(work().double()) - z).norm(dim=1).max()) for work in works.values()]
    measured(({"the error": error} for error in errors), "samples")
    extra = {name: f"{error:.1e}" for name, error in zip(works, errors, strict=True)}
    table(f"{SAMPLES:,} samples", times, extra, "worst round trip, float64")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warm", type=int, default=150, help="steps each model is trained before it is timed")
    parser.add_argument("--rounds", type=int, default=40, help="timed rounds of one step of each")
    parser.add_argument("--train", type=int, default=1000, help="steps of the flow whose grid and samples are timed")
    args = parser.parse_args()
    if not ENVIRONMENT.items() <= os.environ.items():
        # malloc reads its settings when a process starts.
        os.execve(sys.executable, [sys.executable, "-m", __spec__.name, *sys.argv[1:]], {**os.environ, **ENVIRONMENT})
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)

    print(f"{machine()}, normflows {version('normflows')}, thread CPU time")
    together("training step", STEPS, args.warm, args.rounds)
    together("step of the default flow", DEFAULT_STEPS, args.warm, args.rounds)
    together("picture of the default flow", PICTURES, 3, max(args.rounds // 2, 3))
    flow = trained(args.train)
    model = as_peer(flow)
    grid(flow, model, max(args.rounds // 4, 3))
    sampling(flow, model, max(args.rounds // 4, 3))


if __name__ == "__main__":
    main()
