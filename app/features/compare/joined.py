"""Why dense blocks fit better where they do: beside residual blocks of as nearly as many parameters, and beside dense
blocks whose connections are taken away."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from app.engine.experiment import Arm
from app.evidence import Evidence, Made
from app.evidence.training import one_thread
from app.features.compare.arms import built, inside_name
from app.features.compare.presets import PRESETS
from app.features.compare.settings import Inside
from app.setup import Setup
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.estimators.moments.of_log_det import mean_and_deviation
from resflow_core.log_det import Roulette
from resflow_core.measure import Evaluation
from resflow_core.training.parameter_count import parameter_count
from resflow_core.training.trainer import Trainer

NAME = "compare-joined"
SETS, STEPS, SEEDS = ("2spirals",), 300, 3
SMALL_STEPS = 40
LAYERS = 2
"""Hidden layers of a block."""
EVERY = 60
"""Steps from one look at the fit to the next."""
POINTS, JACOBIANS, CHUNK = 5_000, 500, 1_000
"""Points of the KL, how many of them the Jacobians are looked at, and how many are computed at once."""
POINTS_SEED = 2**31 + 7


@dataclass(frozen=True)
class Kind:
    """Blocks as `inside` says. With `chained` the last layers see nothing but the units before them, as in a residual
    block: their weights on all else are held at 0."""

    inside: Inside
    chained: bool = False

    @property
    def label(self) -> str:
        return inside_name(self.inside) + (", chained" if self.chained else "")


KINDS: Mapping[str, Kind] = {
    kind.label: kind
    for kind in (
        Kind(Inside("residual", "sine", LAYERS)),
        Kind(Inside("dense", "sine", LAYERS)),
        Kind(Inside("dense", "sine", LAYERS), chained=True),
    )
}


@dataclass(frozen=True)
class Run:
    """Of one seed: KL(data || flow) in nats after the last step, and on the way, as [CPU-seconds in steps, KL]. Then
    the mean over blocks of the largest ||A|| on data over its bound, and the deviation of one estimate of log p by the
    paper's roulette at the median point, in nats; None where it is infinite."""

    kl: float
    way: list[list[float]]
    used: float
    deviation: float | None


def make(small: bool) -> Made:
    steps, seeds, sets = (SMALL_STEPS, 1, SETS[:1]) if small else (STEPS, SEEDS, SETS)
    found = {
        data: {label: [asdict(train(data, label, seed, steps)) for seed in range(seeds)] for label in KINDS}
        for data in sets
    }
    return made(found, steps, seeds)


def made(found: Mapping[str, Any], steps: int, seeds: int) -> Made:
    """With what made it."""
    arms = {label: arm(next(iter(found)), label) for label in KINDS}
    settings = {
        "steps": steps,
        "points": POINTS,
        "hidden_layers": LAYERS,
        "arms": {label: f"{one.flow} {one.train}" for label, one in arms.items()},
        "parameters": {label: parameter_count(one.flow) for label, one in arms.items()},
    }
    return Made(found, settings, tuple(range(seeds)), f"torch {torch.__version__}, one thread")


def arm(data: str, label: str) -> Arm:
    """What is trained."""
    preset = PRESETS["dense"]
    return built(KINDS[label].inside, Setup(data=data, flow=preset.flow, train=preset.train))


def train(data: str, label: str, seed: int, steps: int) -> Run:
    """One flow."""
    with one_thread():
        trainer, way, used = begun(data, label, seed), [], 0.0
        for step in range(1, steps + 1):
            start = time.thread_time()
            trainer.step()
            used += time.thread_time() - start
            take_away(trainer, label)
            if step % EVERY == 0 or step == steps:
                way.append([used, kl(trainer, data)])
        flow: Any = trainer.evaluated
        evaluation = measure.evaluate(flow, points(data)[0][:JACOBIANS])
        blocks = measure.block_table(flow, evaluation, trainer.train_config.log_det)
    deviation = roulette_deviation(evaluation)
    return Run(
        way[-1][1],
        way,
        float((blocks.largest_norm / blocks.lipschitz).mean()),
        deviation if deviation < float("inf") else None,
    )


def begun(data: str, label: str, seed: int) -> Trainer:
    """A flow before its first step."""
    of = arm(data, label)
    trainer = Trainer(of.flow, of.train, DATASETS[data], seed)
    take_away(trainer, label)
    return trainer


@torch.no_grad()
def take_away(trainer: Trainer, label: str) -> None:
    """Hold at 0 the weights of what a chain of layers does not see: all but the newest units of a layer's input."""
    if not KINDS[label].chained:
        return
    flows: set[Any] = {trainer.flow, trainer.evaluated}
    for flow in flows:
        for branch in flow.branches:
            _, *later = branch.linears
            for layer, before in zip(later, branch.linears, strict=False):
                layer.raw[:, : -len(before.bias)] = 0.0


@lru_cache(maxsize=len(SETS))
def points(data: str) -> tuple[Tensor, Tensor]:
    """Points that nobody trains on, and their true log density."""
    x = DATASETS[data].sample(POINTS, torch.Generator().manual_seed(POINTS_SEED))
    truth: Any = DATASETS[data].truth
    return x, truth.log_prob(x)


def kl(trainer: Trainer, data: str) -> float:
    x, true = points(data)
    found = torch.cat([measure.log_prob(trainer.evaluated, part) for part in x.split(CHUNK)])
    return measure.kl(true, found).value


def roulette_deviation(evaluation: Evaluation) -> float:
    """Of one estimate of log p, in nats, at the median point. Blocks draw independently, so their variances add."""
    jacobians = evaluation.jacobians
    count, blocks = jacobians.shape[:2]
    _, deviations = mean_and_deviation(Roulette(), jacobians.reshape(-1, 2, 2))
    return float(deviations.view(count, blocks).square().sum(1).sqrt().median())


def claims(found: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]) -> Mapping[str, bool]:
    """Every verdict has its own words, so only that all is measured is claimed."""
    runs = [run for kinds in found.values() for of in kinds.values() for run in of]
    return {"every flow has a fit, and none uses more than its budget": all(run["used"] <= 1 for run in runs)}


EVIDENCE = {NAME: Evidence(make, claims)}
