"""One training step in its parts: the step that the trainer takes, and beside it what it did, as numbers.

The step itself is `Trainer.step`, so it has the same batch, draws and arithmetic as any other. All that is recorded
is computed on copies of the model before and after it, with copies of the generators' states.

    batch x -> z, log det -> loss l_i = -log p(x_i) -> gradient G = dL/dtheta -> update dtheta -> W = constrained(raw)

"The truth" is float64 and the exact log det; the other numbers are those that trained. A point pulls along

    dl_i/dx_i = -d log p/dx at x_i:

if the density near x_i moved by a small v, l_i would change by -<dl_i/dx_i, v>. So along this arrow the density would
have to move to lower the loss of that point fastest.
"""

import copy
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.flow import Flow, NormalizingFlow, standard_normal_log_prob
from resflow_core.hybrid import Hybrid
from resflow_core.lipschitz import LipschitzLinear
from resflow_core.log_det import Exact, LogDet, split
from resflow_core.norms.norm_orders import order_loss
from resflow_core.training.flat_parameters import FlatParameters
from resflow_core.training.step_work import MOST_POINTS, points_a_part
from resflow_core.training.trainer import (
    Differentiated,
    HybridTrainConfig,
    TrainConfig,
    Trainer,
    parts_of_batch,
)

Model = NormalizingFlow | Hybrid

# A pass in float64 with its gradient takes as long as so many forward passes in float32.
EXACT_PASSES = 6


@dataclass(frozen=True, eq=False)
class LayerNorms:
    """The layers of all branches, (blocks, layers) each: certified upper bounds of norms, float64."""

    raw_before: np.ndarray  # ||raw|| before the update
    raw: np.ndarray  # after the update, before the constraint: "before the cap"
    weight_before: np.ndarray  # ||W|| before the update
    weight: np.ndarray  # ||W|| after the update and the constraint: "after the cap"
    touched: np.ndarray  # bool: whether the constraint makes W another matrix than raw
    cap: np.ndarray
    certifies: bool  # whether the cap holds for every raw


@dataclass(frozen=True, eq=False)
class StepParts:
    """What one step did. b points in d dimensions; losses and log dets in nats, natural log."""

    step: int  # steps taken when it was done
    x: np.ndarray  # (b, d) float32, the batch
    y: np.ndarray | None  # (b,) int64, the classes of a hybrid's points
    places: np.ndarray  # (stages, n, d): the first n points at x, after each residual block, and at z
    z: np.ndarray  # (b, d), of the weights before the update; so are the next ones
    log_det: np.ndarray  # (b,), as training got it
    true_log_det: np.ndarray  # (b,), exact, float64
    loss: np.ndarray  # (b,): its mean, and `shared_loss`, is what the step descended
    true_loss: np.ndarray  # (b,), with the exact log det
    true_loss_after: np.ndarray  # (b,), of the weights after the update
    shared_loss: float  # of all points together: `order_loss`, 0 without learned orders
    step_loss: float  # as the step itself computed it
    pull: np.ndarray  # (b, d): the gradient of a point's own loss with respect to it
    true_pull: np.ndarray  # (b, d), with the exact log det
    gradient_norm: float  # of the parameters, before it was clipped
    true_gradient_norm: float  # of the same loss with the exact log det
    gradient_cosine: float  # between these two gradients
    clip: float  # the largest norm that is allowed
    learning_rate: float  # of this step
    update_norm: float  # of the change of all parameters
    weights_norm: float  # of all parameters before it
    update_cosine: float  # between the update and the gradient's negative
    density: np.ndarray  # (m,) at the nodes that were asked for, per unit area, before the update; float64
    change: np.ndarray  # (m,): after minus before
    average_change: np.ndarray  # (m,) of the averaged weights, which pictures show; the same without an average
    layers: LayerNorms | None  # None for a flow without constrained layers


@dataclass(frozen=True, eq=False)
class _Points:
    """What a model says of points: z, (b, d), log det and loss, (b,), pulls, (b, d), and the gradient of the mean loss
    with respect to all parameters, where these were asked for."""

    z: Tensor
    log_det: Tensor
    loss: Tensor
    pull: Tensor | None = None
    gradient: Tensor | None = None


@dataclass(frozen=True, eq=False)
class TakenStep:
    """A step that is taken, with copies of the models before and after it."""

    nll: float  # what `Trainer.step` returned
    step: int  # steps taken when it was done
    config: TrainConfig
    rate: float  # the learning rate
    at: Differentiated
    models: tuple[Model, Model]
    averages: tuple[Model, Model]


def step_in_parts(trainer: Trainer, nodes: Tensor, n_places: int) -> StepParts:
    """Take one step of a trainer, and say what it did: the densities at `nodes`, (m, d), and the way of the first
    `n_places` points of the batch. Raises as `Trainer.step`."""
    return recorded(take_step(trainer), nodes, n_places)


def take_step(trainer: Trainer, breathe: Breathe = without) -> TakenStep:
    """Take one step of a trainer, to be `recorded`. Raises as `Trainer.step`."""
    before, average_before = copy.deepcopy((trainer.model, trainer.evaluated_model))
    config, seen = trainer.train_config, list[Differentiated]()
    rate = config.rate(trainer.step_count)
    nll = trainer.step(seen.append, breathe)
    after, average_after = copy.deepcopy((trainer.model, trainer.evaluated_model))
    return TakenStep(nll, trainer.step_count, config, rate, seen[0], (before, after), (average_before, average_after))


def recorded(taken: TakenStep, nodes: Tensor, n_places: int, breathe: Breathe = without) -> StepParts:
    """What a step did, with the arguments of `step_in_parts`. Other steps may be taken meanwhile."""
    config, at, averages = taken.config, taken.at, taken.averages
    before, after = taken.models
    flow, model_config = _flow(before), cast(Any, before.config)
    parts = parts_of_batch(model_config, config, len(at.x))
    blocks = len(flow.blocks) if isinstance(flow, Flow) else 0
    probes = torch.Generator()
    probes.set_state(at.probes)
    log_dets = [config.log_det]
    if len(parts) > 1:
        log_dets = split(config.log_det, blocks, at.x, parts, probes)
    if config.log_det == Exact():
        trained = _valued(before, at, config, parts, breathe)
    else:
        trained = _differentiated(before, at, config, log_dets, parts, probes, breathe)
    exact_before, exact_after = _exactly(before), _exactly(after)
    exact_at = _of(at, torch.float64)
    shorter = _parts(before, len(at.x))
    true = _differentiated(exact_before, exact_at, config, [Exact()] * len(shorter), shorter, breathe=breathe)
    assert true.pull is not None and true.gradient is not None
    true_after = _valued(exact_after, exact_at, config, shorter, breathe)
    places = _places(before, at.x[:n_places])
    breathe()
    density, density_after = (_density(model, nodes, breathe) for model in (exact_before, exact_after))
    change = average_change = density_after - density
    if config.average or averages[0] is not before:
        average_before, average_after = (_density(model, nodes, breathe) for model in averages)
        average_change = average_after - average_before
    layers = _layer_norms(_flow(before), _flow(after), breathe)
    weights, weights_after = map(_vector, taken.models)
    update, gradient = (weights_after - weights), at.gradient.double().cpu()
    return StepParts(
        step=taken.step,
        x=_numpy(at.x),
        y=None if at.y is None else _numpy(at.y),
        places=places,
        z=_numpy(trained.z),
        log_det=_numpy(trained.log_det),
        true_log_det=_numpy(true.log_det),
        loss=_numpy(trained.loss),
        true_loss=_numpy(true.loss),
        true_loss_after=_numpy(true_after.loss),
        shared_loss=float(_shared(exact_before).detach()),
        step_loss=at.loss,
        pull=_numpy(true.pull.float() if trained.pull is None else trained.pull),
        true_pull=_numpy(true.pull),
        gradient_norm=at.gradient_norm,
        true_gradient_norm=float(true.gradient.norm()),
        gradient_cosine=_cosine(gradient, true.gradient),
        clip=config.clip,
        learning_rate=taken.rate,
        update_norm=float(update.norm()),
        weights_norm=float(weights.norm()),
        update_cosine=_cosine(update, -gradient),
        density=density,
        change=change,
        average_change=average_change,
        layers=layers,
    )


def _differentiated(
    model: Model,
    at: Differentiated,
    config: TrainConfig,
    log_dets: list[LogDet],
    parts: list[slice],
    probes: torch.Generator | None = None,
    breathe: Breathe = without,
) -> _Points:
    """Of the whole batch, part by part as the step goes through it."""
    parameters = FlatParameters(model).parameters
    found: list[tuple[Tensor, ...]] = []
    gradient = torch.zeros(())
    for k, (part, log_det) in enumerate(zip(parts, log_dets, strict=True)):
        if k:
            breathe()
        x, y = at.x[part].detach().requires_grad_(), None if at.y is None else at.y[part]
        z, log_dets_of, loss = _of_points(model, x, y, config, log_det, probes)
        total = loss.sum() / len(at.x)
        with_shared = total + _shared(model) if k == 0 else total
        pull, *of_parameters = torch.autograd.grad(with_shared, [x, *parameters], materialize_grads=True)
        found.append((z.detach(), log_dets_of.detach(), loss.detach(), pull * len(at.x)))
        gradient = gradient + torch.cat([g.flatten() for g in of_parameters]).double().cpu()
    z, log_det_of, loss, pull = (torch.cat(some) for some in zip(*found, strict=True))
    return _Points(z, log_det_of, loss, pull, gradient)


def _of_points(
    model: Model,
    x: Tensor,
    y: Tensor | None,
    config: TrainConfig,
    log_det: LogDet,
    probes: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """z, log det and the loss of each point: -log p(x), or -lambda log p(x) - log p(y|x) of a hybrid. At lambda = 0 no
    log det is estimated, as in training."""
    weight = config.weight if isinstance(config, HybridTrainConfig) else 1.0
    z, log_dets = _flow(model).forward_and_log_det(x, log_det if weight else Exact(), probes)
    nll = -(standard_normal_log_prob(z) + log_dets)
    if not isinstance(model, Hybrid) or y is None:
        return z, log_dets, nll
    class_nll = -model.classify(z).gather(1, y[:, None])[:, 0]
    return z, log_dets, class_nll + weight * nll if weight else class_nll


def _valued(model: Model, at: Differentiated, config: TrainConfig, parts: list[slice], breathe: Breathe) -> _Points:
    """By the exact log det, without gradients."""
    found = []
    for part in parts:
        with torch.no_grad():
            found.append(_of_points(model, at.x[part], None if at.y is None else at.y[part], config, Exact()))
        breathe()
    return _Points(*(torch.cat(some) for some in zip(*found, strict=True)))


def _density(model: Model, nodes: Tensor, breathe: Breathe) -> np.ndarray:
    found = []
    for part in _parts(model, len(nodes)):
        with torch.no_grad():
            found.append(_flow(model).log_prob(nodes[part].to(_parameter(model))).exp().double())
        breathe()
    return _numpy(torch.cat(found))


def _parts(model: Model, points: int) -> list[slice]:
    """The points in parts that are short enough for other work in between."""
    config = getattr(_flow(model), "config", None)  # a classifier alone has no flow of its own
    most = max(1, (points_a_part(config) if config else MOST_POINTS) // EXACT_PASSES)
    return [slice(start, min(points, start + most)) for start in range(0, points, most)]


@torch.no_grad()
def _places(model: Model, x: Tensor) -> np.ndarray:
    flow = _flow(model)
    return _numpy(torch.stack(flow.stages(x) if isinstance(flow, Flow) else [x, flow(x)]))


def _layer_norms(before: NormalizingFlow, after: NormalizingFlow, breathe: Breathe) -> LayerNorms | None:
    if not isinstance(before, Flow) or not isinstance(after, Flow):
        return None
    rows = []
    for pair in zip(before.branches, after.branches, strict=True):
        rows.append(_norms_of_layers(*pair))
        breathe()
    raw_before, weight_before, _, raw, weight, touched = (np.array(column) for column in zip(*rows, strict=True))
    linears = [cast("list[LipschitzLinear]", list(branch.linears)) for branch in after.branches]
    caps = np.array([[linear.cap for linear in of_block] for of_block in linears])
    return LayerNorms(raw_before, raw, weight_before, weight, touched, caps, linears[0][0].constraint.certifies)


@torch.no_grad()
def _norms_of_layers(*branches: Any) -> tuple[list[Any], ...]:
    """Of each branch: ||raw||, ||W||, and whether W is another matrix, for every layer."""
    found: list[list[Any]] = []
    for branch in branches:
        layers = [(one.raw, one.weight(norm), norm) for one, norm in zip(branch.linears, branch.norms, strict=True)]
        found.append([float(norm(raw[None])) for raw, _, norm in layers])
        found.append([float(norm(weight[None])) for _, weight, norm in layers])
        found.append([not torch.equal(raw, weight) for raw, weight, _ in layers])
    return tuple(found)


def _exactly(model: Model) -> Model:
    """A copy in float64, on the CPU, by torch."""
    found = copy.deepcopy(model).to("cpu", torch.float64)
    if isinstance(flow := _flow(found), Flow):
        flow.kernels = None
    return found


def _of(at: Differentiated, dtype: torch.dtype) -> Differentiated:
    y = None if at.y is None else at.y.cpu()
    return Differentiated(at.x.to("cpu", dtype), y, at.probes, at.loss, at.gradient, at.gradient_norm)


def _flow(model: Model) -> NormalizingFlow:
    return model.flow if isinstance(model, Hybrid) else model


def _parameter(model: Model) -> Tensor:
    return next(model.parameters())


def _shared(model: Model) -> Tensor:
    """The part of the loss that is no point's own."""
    flow = _flow(model)
    return order_loss(flow.branches if isinstance(flow, Flow) else [])


def _vector(model: Model) -> Tensor:
    return FlatParameters(model).vector.detach().double().cpu()


def _cosine(a: Tensor, b: Tensor) -> float:
    """<a, b> / (|a| |b|); not a number if one of them is 0."""
    return float(a @ b / (a.norm() * b.norm()))


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
