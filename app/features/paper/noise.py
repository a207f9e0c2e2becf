"""How much of the estimator's noise an exact first trace takes away, in the plane and beyond it, and what becomes of
flows that are trained by it.

Noise is a variance over draws of the estimate, at the same weights and points. The noise of log p(x), in nats squared,
is the mean over the points of a batch where it is finite. The noise of the gradient of the batch's mean log p(x) is
added up over all parameters.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.evidence import Made
from app.evidence.training import Compiled, one_thread
from app.examples import digits
from app.ui.presets import PRESETS
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.data.base import HELD_OUT_SEED
from resflow_core.data.digits import DIGITS, bits_per_dim
from resflow_core.estimators.moments import spectral_radius
from resflow_core.flow import NormalizingFlow
from resflow_core.log_det import Exact, LogDet, Roulette
from resflow_core.training.trainer import Trainer

NAME = "paper-traces"
EXACT_TRACE, ROULETTE = "First trace exact", "Roulette for all terms"
STEPS, DRAWS, SEEDS = (100, 500), 40, 12
SMALL_STEPS, SMALL_DRAWS = (20,), 8
PLANE = "checkerboard"


def ways(log_det: Roulette) -> dict[str, Roulette]:
    """The contenders, from the paper's estimate of a case."""
    return {EXACT_TRACE: replace(log_det, exact_traces=1), ROULETTE: log_det}


@dataclass(frozen=True)
class Case:
    """`train(log_det, seed)` begins a training; `loss` is in `unit`."""

    title: str
    dim: int
    log_det: Roulette
    train: Callable[[Roulette, int], Trainer]
    loss: Callable[[NormalizingFlow], float]
    loss_name: str
    unit: str


def _of_digits(log_det: Roulette, seed: int) -> Trainer:
    return Trainer(digits.FLOW, replace(digits.TRAIN, log_det=log_det), DIGITS, seed, exact_losses=False)


def _of_plane(log_det: Roulette, seed: int) -> Trainer:
    default = PRESETS["default"]
    train = replace(default.train, log_det=log_det)
    return Trainer(default.flow, train, DATASETS[PLANE], seed, backend=Compiled().of_new_run())


def _bits(flow: NormalizingFlow) -> float:
    return float(bits_per_dim(measure.log_prob(flow, DIGITS.held_out()), DIGITS.held_out_log_det).mean())


def _kl(flow: NormalizingFlow) -> float:
    dataset = DATASETS[PLANE]
    if dataset.truth is None:
        raise ValueError(f"{dataset.title} has no known density: use a set that has one.")
    x = dataset.held_out()
    return measure.kl(dataset.truth.log_prob(x), measure.log_prob(flow, x)).value


CASES: Mapping[str, Case] = {
    "digits": Case(
        "digits",
        digits.FLOW.dim,
        digits.LOG_DET,
        _of_digits,
        _bits,
        "bits per dimension on held-out images",
        "bits",
    ),
    "plane": Case(
        "checkerboard", PRESETS["default"].flow.dim, Roulette(), _of_plane, _kl, "nats of KL(data ‖ flow)", "nats"
    ),
}


def make(small: bool) -> Made:
    """The noise of each case and seed while a flow trains by the paper's estimate, and the last loss by either."""
    steps, draws, seeds = (SMALL_STEPS, SMALL_DRAWS, 1) if small else (STEPS, DRAWS, SEEDS)
    with one_thread():
        found = {name: [run(case, seed, steps, draws) for seed in range(seeds)] for name, case in CASES.items()}
    settings = {
        "steps": steps,
        "draws": draws,
        "cases": {
            name: {
                "title": case.title,
                "dim": case.dim,
                "loss": case.loss_name,
                "unit": case.unit,
                "log_det": repr(case.log_det),
            }
            for name, case in CASES.items()
        },
    }
    return Made(found, settings, tuple(range(seeds)), f"torch {torch.__version__}, one thread")


def run(case: Case, seed: int, steps: tuple[int, ...], draws: int) -> dict[str, Any]:
    """One seed of a case."""
    trainers = {way: case.train(log_det, seed) for way, log_det in ways(case.log_det).items()}
    noises = {}
    for step in steps:
        for trainer in trainers.values():
            while trainer.step_count < step:
                trainer.step()
        noises[str(step)] = of_trainer(trainers[ROULETTE], case.log_det, draws)
    return {"noise": noises, "loss": {way: case.loss(trainer.evaluated) for way, trainer in trainers.items()}}


def of_trainer(trainer: Trainer, log_det: Roulette, draws: int) -> dict[str, Any]:
    """The noise of each way at the trainer's weights and at a batch, and the gradient's variance over batches."""
    size, generator = trainer.train_config.batch, torch.Generator().manual_seed(HELD_OUT_SEED - 3)
    x = trainer.dataset.sample(size, generator)
    flow: Any = trainer.flow
    with torch.no_grad():
        radius = spectral_radius(flow.forward_and_jacobians(x)[1]).amax(1)
    finite = radius**2 < log_det.law.tail_ratio
    found: dict[str, Any] = {way: noise(flow, x, one, draws, generator, finite) for way, one in ways(log_det).items()}
    batches = [trainer.dataset.sample(size, generator) for _ in range(max(draws // 4, 2))]
    gradients = [gradient(flow, rows, Exact(), generator)[1] for rows in batches]
    return found | {"batches": float(torch.stack(gradients).var(0).sum()), "finite": float(finite.double().mean())}


def noise(
    flow: NormalizingFlow, x: Tensor, log_det: LogDet, draws: int, generator: torch.Generator, finite: Tensor
) -> dict[str, float]:
    """The noise of value and gradient at x, (batch, d). At the points where the variance is `finite`, (batch,), also
    how far the mean of all draws is from the exact mean log density, with its standard error."""
    with torch.no_grad():
        truth = flow.log_prob(x, Exact()).double()
    pairs = [gradient(flow, x, log_det, generator) for _ in range(draws)]
    values, gradients = (torch.stack(part) for part in zip(*pairs, strict=True))
    errors = (values - truth)[:, finite]
    means = errors.mean(1)
    return {
        "value": float(errors.var(0).mean()),
        "gradient": float(gradients.var(0).sum()),
        "off": float(means.mean()),
        "se": float(means.std() / draws**0.5),
    }


def gradient(flow: NormalizingFlow, x: Tensor, log_det: LogDet, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """log p(x) by one estimate, (batch,), and the gradient of its mean with respect to all parameters, (parameters,),
    both in float64."""
    parameters = [p for p in flow.parameters() if p.requires_grad]
    values = flow.log_prob(x, log_det, generator)
    found = torch.autograd.grad(values.mean(), parameters, materialize_grads=True)
    return values.detach().double(), torch.cat([part.flatten() for part in found]).double()


def claims(found: Mapping[str, Any]) -> Mapping[str, bool]:
    """What training gains by it has words of its own, so only the noise is claimed: its geometric mean over flows."""
    losses = [loss for runs in found.values() for one in runs for loss in one["loss"].values()]
    less = {
        f"{case}, {step} steps: an exact first trace leaves less noise in the {name}": math.prod(
            one["noise"][step][EXACT_TRACE][name] / one["noise"][step][ROULETTE][name] for one in runs
        )
        < 1
        for case, runs in found.items()
        for step in runs[0]["noise"]
        for name in ("value", "gradient")
    }
    return less | {"every loss is a number": bool(np.isfinite(losses).all())}
