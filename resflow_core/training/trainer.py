"""Maximum likelihood training, one step at a time. The caller of `step` decides pace, end and pictures."""

import copy
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from resflow_core.activations import Activation, activation_named
from resflow_core.baselines.coupling import CouplingConfig
from resflow_core.baselines.zuko_flows import BaselineConfig, refuse_estimates
from resflow_core.breathe import Breathe, without
from resflow_core.data import Dataset, Source
from resflow_core.fast import compiled
from resflow_core.flow import Flow, FlowConfig, FlowMap, NormalizingFlow, needs_jacobians, standard_normal_log_prob
from resflow_core.hybrid import Hybrid, HybridConfig
from resflow_core.lipschitz import LipschitzLinear
from resflow_core.log_det import LOG_DETS, Exact, LogDet, Work, split
from resflow_core.norms.norm_orders import order_loss
from resflow_core.settings import check, setting, told
from resflow_core.training.adam import Adam
from resflow_core.training.flat_parameters import FlatParameters, GradientOfParts
from resflow_core.training.parameter_count import parameter_count, units_of_block
from resflow_core.training.step_work import part_count, points_a_part

# A run draws from three generators. Their seeds differ and are all below the fixed seeds of held-out data.
MOST_SEED = 10**9
# The ActNorms are initialised on this many points, so that they do not depend on a small first batch.
INITIAL_POINTS = 2_000
# The least share of the learning rate. So training still moves if it goes on after the schedule has ended.
LEAST_RATE = 0.01


def constant(t: float) -> float:
    """1 at every t."""
    return 1.0


def cosine(t: float) -> float:
    """(1 + cos(pi t)) / 2 up to t = 1, then 0 (Loshchilov & Hutter 2017, equation 5)."""
    return (1 + math.cos(math.pi * min(t, 1.0))) / 2


def inverse_square_root(t: float) -> float:
    """1 / sqrt(1 + 8 t): a third at t = 1, and it never reaches 0."""
    return (1 + 8 * t) ** -0.5


# The share of the learning rate at t = step / horizon.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": constant,
    "cosine": cosine,
    "inverse square root": inverse_square_root,
}


@dataclass(frozen=True)
class TrainConfig:
    """How a flow is trained. Every field may change during training.

    Raises ValueError for a value beyond its limits.
    """

    log_det: LogDet = setting(
        Exact(),
        "Log det",
        "How the training loss computes the log det. In the plane an estimate costs noise, hardly time. The curves "
        "always show the exact loss.",
        choices=LOG_DETS,
    )
    learning_rate: float = setting(
        1e-2, "Learning rate", "The step size of Adam. Lower it late in training for a finer fit.", low=1e-5, high=1e-1
    )
    batch: int = setting(1024, "Batch", "Points per step.", low=2, high=4096)
    schedule: str = setting("cosine", "Schedule", "How the learning rate falls.", choices=SCHEDULES, rare=True)
    horizon: int = setting(
        12288, "Horizon", "Steps over which the schedule lowers the learning rate.", low=64, high=65536, rare=True
    )
    warmup: int = setting(
        50, "Warm-up", "Steps over which the learning rate rises from 0.", low=0, high=1000, rare=True
    )
    average: float = setting(
        0.98,
        "Weight average",
        "Decay of the moving average of the weights. Pictures and numbers use this average; 0 uses the weights "
        "themselves.",
        low=0.0,
        high=0.9999,
        rare=True,
    )
    weight_decay: float = setting(
        0.0, "Weight decay", "Weight decay of AdamW, for the weight matrices only.", low=0.0, high=1.0, rare=True
    )
    clip: float = setting(
        10.0,
        "Gradient clip",
        "The largest norm of the gradient. A longer gradient is shortened to this norm.",
        low=0.01,
        high=1000.0,
        rare=True,
    )

    def __post_init__(self):
        check(self)

    @property
    def alone(self) -> "TrainConfig":
        """The settings for the same flow without its classifier."""
        return self

    def rate(self, step: int) -> float:
        """The learning rate after `step` steps: a linear warm-up times the schedule.

        learning_rate * min(1, (step + 1) / warmup) * max(schedule(step / horizon), `LEAST_RATE`)
        """
        warm = min(1.0, (step + 1) / max(self.warmup, 1))
        return self.learning_rate * warm * max(SCHEDULES[self.schedule](step / self.horizon), LEAST_RATE)


@dataclass(frozen=True)
class HybridTrainConfig(TrainConfig):
    """How a flow and its classifier are trained: as `TrainConfig`, with the weight of log p(x)."""

    weight: float = setting(
        1.0,
        "Weight λ",
        "The weight of log p(x) in λ log p(x) + log p(y|x). 1 learns both, and 0 learns only the classifier. 1/D, here "
        "1/2, lies between.",
        low=0.0,
        high=10.0,
    )

    @property
    def alone(self) -> TrainConfig:
        return TrainConfig(**{field.name: getattr(self, field.name) for field in fields(TrainConfig)})


AnyConfig = FlowConfig | BaselineConfig | CouplingConfig | HybridConfig


def check_pair(flow: AnyConfig, train: TrainConfig) -> None:
    """Raise ValueError if a flow cannot be trained with these settings.

    A baseline needs the exact log det. A hybrid needs a `HybridTrainConfig`, which has the weight of its density.
    """
    if isinstance(flow, HybridConfig):
        if not isinstance(train, HybridTrainConfig):
            raise ValueError(f"train = {type(train).__name__}: a hybrid needs a HybridTrainConfig, with its weight.")
        if flow.flow:
            check_pair(flow.flow, train)
    elif isinstance(flow, BaselineConfig | CouplingConfig):
        refuse_estimates(train.log_det)


def check_source(dataset: Source) -> None:
    """Raise ValueError unless `dataset` has a method `sample`."""
    if not callable(getattr(dataset, "sample", None)):
        raise ValueError(
            f"dataset = {told(dataset)}: pass an object with sample(n, generator), e.g. DATASETS['moons'], or "
            "Table(title, names, values) for your own points."
        )


def check_classes(flow: AnyConfig, dataset: Dataset) -> None:
    """Raise ValueError if a hybrid does not have as many classes as the data."""
    if isinstance(flow, HybridConfig) and len(dataset.classes) != flow.classes:
        raise ValueError(
            f"classes = {flow.classes}: the points of {told(dataset.title)} have {len(dataset.classes) or 'no'} "
            "classes. Give as many as there are, or choose data with labels."
        )


def step_bytes(flow: AnyConfig, train: TrainConfig) -> int:
    """Memory that one step keeps for its backward pass, in bytes: an estimate, more often too high than too low. Of a
    step that goes through its batch in parts, that of one part.

    A row keeps what the activation keeps for each unit (`numbers_kept`). With the exact log det it also keeps A, d x d,
    for each block, and d tangents for each unit, unless all products of two layers are at hand. With a series, a row
    keeps about eight numbers for each unit and each vector-Jacobian product. It keeps them for all blocks, or for one
    block if the series is differentiated in the forward pass. A row of a baseline keeps one number for each unit and
    about seven for each output of its networks. The baseline's masked weights are kept too.
    Raises ValueError as `check_pair`.
    """
    check_pair(flow, train)
    train = replace(train, batch=math.ceil(train.batch / part_count(flow, train)))
    if isinstance(flow, HybridConfig):
        head = 4 * (train.batch * 3 * sum(flow.head_widths) + 3 * parameter_count(flow))
        return head + (step_bytes(flow.flow, train) if flow.flow else 0)
    if isinstance(flow, BaselineConfig | CouplingConfig):
        moving = flow.dim * (7 * flow.outputs + 8)
        numbers = flow.transforms * (flow.width * flow.hidden_layers + moving)
        return 4 * (train.batch * numbers + 3 * parameter_count(flow))
    work = train.log_det.work(train.batch)
    if work.terms and needs_jacobians(train.log_det, flow.dim):
        return _bytes_from_jacobians(flow, train.batch, work)
    return bytes_of_products(flow, train)


def bytes_of_products(flow: FlowConfig, train: TrainConfig) -> int:
    """As `step_bytes`, with a series of vector-Jacobian products in the plane too."""
    rows, products, at_once, _ = train.log_det.work(train.batch)
    if not products and not at_once:
        return _bytes_of_jacobians(flow, train.batch)
    units = units_of_block(flow)
    in_blocks = 8 * (flow.blocks * (1 + products) + (at_once - products)) * units
    numbers = rows * (in_blocks + _temporaries(flow)) + train.batch * _of_values(flow, by_hand=False)
    return 4 * numbers + _bytes_of_weights(flow)


def _bytes_from_jacobians(flow: FlowConfig, batch: int, work: Work) -> int:
    """As by the exact log det, and of each block and point its probes and a few matrices: P, M and, if each term is
    differentiated, its power."""
    matrices = flow.blocks * flow.dim**2 * (4 + 3 * work.terms * (max(work.kept, work.at_once) > 1))
    return _bytes_of_jacobians(flow, batch) + 4 * (batch * matrices + work.rows * flow.blocks * flow.dim)


def _bytes_of_jacobians(flow: FlowConfig, batch: int) -> int:
    """Of values and A: the d tangents of each unit, or all products of two layers once; and of each block and point A
    and what its determinant takes, about six matrices."""
    by_hand = _is_by_hand(flow)
    tangents = 0 if by_hand else 2 * flow.dim * (flow.blocks + 1) * units_of_block(flow)
    numbers = _of_values(flow, by_hand) + _temporaries(flow) + tangents + (6 * flow.blocks + 1) * flow.dim**2
    products = 4 * flow.blocks * flow.dim**2 * flow.width if by_hand else 0
    return 4 * (batch * numbers + products) + _bytes_of_weights(flow)


def _of_values(flow: FlowConfig, by_hand: bool) -> int:
    """Numbers of a point: what the activations keep, once more for the block at hand, and where each block begins."""
    kept = numbers_kept(activation_named(flow.activation), by_hand)
    return math.ceil((flow.blocks + 1) * (units_of_block(flow) * (kept + 2) + 4 * flow.dim))


def _temporaries(flow: FlowConfig) -> int:
    return max(flow.dim, flow.width) * activation_named(flow.activation).temporaries


def _bytes_of_weights(flow: FlowConfig) -> int:
    """Of weights, their norms, which are computed in double precision, and gradients."""
    return 4 * 10 * parameter_count(flow)


def _is_by_hand(flow: FlowConfig) -> bool:
    """Whether `resflow_core.fast.fused` has the Jacobians of a flow."""
    return flow.branch == "residual" and flow.hidden_layers == 1 and activation_named(flow.activation).is_elementwise


@lru_cache(maxsize=256)
def numbers_kept(activation: Activation, by_hand: bool) -> float:
    """How many numbers an activation keeps of each that it yields, until the backward pass is through: value, slope and
    curvature, where a gradient by hand gets all of them; else what autograd saves, which is counted at a few points."""
    if by_hand and len(list(activation.function(torch.zeros(1)))) > 2:
        return 3.0
    kept, points = dict[int, int](), 64

    def keep(tensor: Tensor) -> Tensor:
        held.append(tensor)  # so that no address is used twice
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    held = list[Tensor]()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        near = activation.near(torch.linspace(-1.0, 1.0, 2 * points).view(2, points).requires_grad_())
    for tensor in (near.t, near.value, near.slope):
        keep(tensor)
    return sum(kept.values()) / (4 * near.value.numel())


BACKENDS = "torch", "numba"
"""What computes the NLL of a batch, and its gradient: the maps of a flow with autograd, or kernels."""


class Diverged(RuntimeError):
    """The loss or its gradient is not finite. The weights are still those before the step."""


@dataclass(frozen=True, eq=False)
class Differentiated:
    """A step between its gradient and its update."""

    x: Tensor  # (batch, dim)
    y: Tensor | None  # (batch,), the classes of a hybrid's points
    probes: Tensor  # the state of the generator of all that is drawn for estimates, as it was before the step
    loss: float  # that is descended, in nats
    gradient: Tensor  # (parameters,), in the order of `FlatParameters`, shortened to `TrainConfig.clip`
    gradient_norm: float  # before it was shortened


class Trainer:
    """A flow or a hybrid with its data and its optimiser. The same seed, device and versions give the same run."""

    def __init__(
        self,
        flow_config: AnyConfig,
        train_config: TrainConfig,
        dataset: Source,
        seed: int,
        device: str = "cpu",
        exact_losses: bool = True,
        backend: str = "torch",
        breathe: Breathe = without,
    ):
        """With `exact_losses` False, `step` does not compute the exact log det of a flow that trains by an estimate. In
        high dimensions it takes longer than the step.

        `backend` is one of `BACKENDS`. "numba" trains flows in the plane several times as fast, and all others as
        "torch" does; the two round differently, so their runs part after some hundred steps. The attribute `backend`
        says which one it is. With "numba", values, pictures and samples are also several times as fast.

        Raises ModuleNotFoundError for "numba" where it is not installed, and ValueError for any other backend, if the
        settings do not fit together, or if the data set draws points that are not finite, not float32, or not of the
        flow's dimension. It checks the first `INITIAL_POINTS` points.
        """
        if backend not in BACKENDS:
            raise ValueError(f"backend = {backend!r}: use one of {', '.join(BACKENDS)}.")
        check_source(dataset)
        check_pair(flow_config, train_config)
        check_classes(flow_config, dataset)
        self.train_config, self.dataset, self.exact_losses = train_config, dataset, exact_losses
        weights, self._data, self._probes = (torch.Generator().manual_seed(3 * seed + i) for i in range(3))
        # Built and initialised on the CPU, so that every device starts from the same weights.
        self.model = flow_config.build(weights)
        breathe()
        self.model.initialize(dataset.sample(INITIAL_POINTS, self._data), breathe)
        self.model.to(device)
        self._weights = FlatParameters(self.model)
        self._evaluates = backend == "numba" and compiled.evaluates(self.flow)
        self.backend = backend if self._evaluates else "torch"
        self._by_kernels = None
        if self._evaluates and compiled.supports(self.model):
            self._by_kernels = compiled.CompiledNLL(self.flow, *self._weights.stacked())
        self._evaluate(self._weights)
        self._averaged: FlatParameters | None = None
        self._branches = self.flow.branches if isinstance(self.flow, Flow) else []
        self._layers = [part for part in self.model.modules() if isinstance(part, LipschitzLinear)]
        self._carries = any(layer.constraint.carries for layer in self._layers)
        self._adam = Adam(self._weights.vector)
        self.step_count = 0

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return self._weights.vector.device

    @property
    def flow(self) -> NormalizingFlow:
        """The flow that is trained; the flow of a hybrid without its classifier."""
        return _flow_of(self.model)

    @property
    def evaluated(self) -> NormalizingFlow:
        """The flow to evaluate: with averaged weights if `TrainConfig.average` is positive, else the trained flow."""
        return _flow_of(self.evaluated_model)

    @property
    def evaluated_model(self) -> NormalizingFlow | Hybrid:
        """The model to evaluate: as `evaluated`, with the classifier of a hybrid."""
        return self._averaged.model if self._averaged else self.model

    def configure(self, train_config: TrainConfig) -> None:
        """Change the settings of the next steps. Raises ValueError as `check_pair` does."""
        check_pair(self.model.config, train_config)
        self.train_config = train_config

    def step(self, seen: Callable[[Differentiated], None] | None = None, breathe: Breathe = without) -> float:
        """Take one step, and return the batch's mean NLL in nats.

        The NLL has the exact log det for any training loss. With `exact_losses` False, a flow's NLL has the log det of
        its training loss, which may be an estimate.

        A step that takes long (`step_work.PART_SECONDS`) goes through the batch part by part, adds up the same gradient
        and calls `breathe` between two parts. Settings that change meanwhile act from the next step on. `seen` is
        called once with the gradient, before the update, and must not change it.

        Raises `Diverged`, and changes no weight, if the loss or its gradient is not finite. If `breathe` raises, the
        step ends there and the weights are those before it. The generators of batches and probes have moved on by then:
        throw the trainer away, or give it a saved state.
        """
        config, probes = self.train_config, self._probes.get_state()
        x, y = self._batch(config)
        loss, nll = self._differentiated(x, y, config, breathe)
        norm = self._weights.clip(config.clip)
        if not math.isfinite(loss + norm):
            if not bool(x.isfinite().all()):
                raise Diverged(
                    f"The batch of step {self.step_count + 1} has points that are not finite, and so has its loss. "
                    f"Leave them out of {told(getattr(self.dataset, 'title', type(self.dataset).__name__))}."
                )
            raise Diverged(
                f"The loss stopped being finite at step {self.step_count + 1}. Lower the learning rate (now "
                f"{config.learning_rate:g}) and train again."
            )
        if seen:
            seen(Differentiated(x, y, probes, loss, self._weights.gradient.clone(), norm))
        self._update(config.rate(self.step_count), config.weight_decay)
        if self._carries:
            for layer in self._layers:
                layer.advance()
        self.step_count += 1
        self._average(config.average)
        return nll

    def _evaluate(self, weights: FlatParameters) -> FlatParameters:
        """These weights, whose flow computes its values by kernels where they can."""
        flow = _flow_of(weights.model)
        if self._evaluates and isinstance(flow, Flow):
            # A classifier has parameters of its own, and the names of a flow's are others in it.
            stacked = weights.stacked()[0] if flow is weights.model else None
            flow.kernels = compiled.CompiledValues(flow, stacked, points_a_part(flow.config))
        return weights

    @torch.no_grad()
    def _update(self, rate: float, weight_decay: float) -> None:
        """A step of AdamW (Loshchilov & Hutter 2019), which shrinks the matrices alone."""
        if weight_decay:
            self._weights.matrices.mul_(1 - rate * weight_decay)
        self._adam.step(self._weights.gradient, rate)

    def _batch(self, config: TrainConfig) -> tuple[Tensor, Tensor | None]:
        """Points, (batch, dim), and the classes of a hybrid's."""
        if not isinstance(self.model, Hybrid):
            return self.dataset.sample(config.batch, self._data).to(self.device), None
        x, y = self.dataset.sample_labelled(config.batch, self._data)
        return x.to(self.device), y.to(self.device)

    @torch.enable_grad()  # a step may be taken within other work that has no gradients
    def _differentiated(
        self, x: Tensor, y: Tensor | None, config: TrainConfig, breathe: Breathe
    ) -> tuple[float, float]:
        """The training loss, whose gradient the weights have then, and the mean NLL in nats as `step` returns it."""
        parts = parts_of_batch(self.model.config, config, len(x))
        blocks = len(self._branches)
        if self._by_kernels and compiled.takes(config.log_det):
            log_dets = split(config.log_det, blocks, x, parts, self._probes)
            by_kernels, exact = self._by_kernels.of_parts([x[part] for part in parts], log_dets, breathe)
            return by_kernels, exact if self.exact_losses else by_kernels
        log_dets = [config.log_det] if len(parts) == 1 else split(config.log_det, blocks, x, parts, self._probes)
        gradient, shared = GradientOfParts(self._weights, len(parts), breathe), order_loss(self._branches)
        loss, nll = shared.item(), 0.0
        for k, (part, log_det) in enumerate(zip(parts, log_dets, strict=True)):
            if k:
                breathe()
            share = (part.stop - part.start) / len(x)
            of_part, nll_of_part = self._losses(gradient.map, x[part], None if y is None else y[part], config, log_det)
            gradient.add(share * of_part + shared if k == 0 else share * of_part)
            loss, nll = loss + share * of_part.item(), nll + share * nll_of_part
        gradient.take()
        return loss, nll

    def _losses(
        self, f: FlowMap | None, x: Tensor, y: Tensor | None, config: TrainConfig, log_det: LogDet
    ) -> tuple[Tensor, float]:
        """The training loss of points by the map of the flow, and their mean NLL in nats as `step` returns it."""
        if isinstance(self.model, Hybrid) and y is not None:
            loss, nll = self.model.losses(x, y, config.weight, log_det, self._probes, f)
            is_exact = config.log_det == Exact() or not config.weight
            return loss, nll.item() if is_exact else self._exact_nll(x)
        z, log_dets = (f or self.flow).forward_and_log_det(x, log_det, self._probes)
        loss = -(standard_normal_log_prob(z) + log_dets).mean()
        is_exact = config.log_det == Exact() or not self.exact_losses
        return loss, loss.item() if is_exact else self._exact_nll(x)

    @torch.no_grad()
    def _average(self, decay: float) -> None:
        """average <- decay * average + (1 - decay) * weights. After n steps the decay is at most n / (n + 10)."""
        if not decay:
            self._averaged = None
            return
        if self._averaged is None:
            self._averaged = self._evaluate(FlatParameters(copy.deepcopy(self.model)))
        decay = min(decay, self.step_count / (self.step_count + 10))
        self._averaged.vector.lerp_(self._weights.vector, 1 - decay)
        if self._carries:
            # Power iteration continues from the vectors of the trained model.
            for averaged, trained in zip(self._averaged.model.buffers(), self.model.buffers(), strict=True):
                averaged.copy_(trained)

    @torch.no_grad()
    def _exact_nll(self, x: Tensor) -> float:
        return -float(self.flow.log_prob(x).mean())

    def state_bytes(self) -> bytes:
        """The state of training as bytes: weights, average, optimiser, generators, step. Settings are not in it."""
        buffer = io.BytesIO()
        state = {
            "model": self._weights.state(),
            "averaged": self._averaged.state() if self._averaged else None,
            "adam": self._adam.state(),
            "data": self._data.get_state(),
            "probes": self._probes.get_state(),
            "step": self.step_count,
        }
        torch.save(state, buffer)
        return buffer.getvalue()

    def load_state(self, state_bytes: bytes) -> None:
        """Continue from `state_bytes` of a trainer with the same flow settings.

        Raises RuntimeError if the weights do not fit the flow.
        """
        state = torch.load(io.BytesIO(state_bytes), map_location="cpu", weights_only=True)
        self._weights.load_state(state["model"])
        self._averaged = None
        if state["averaged"]:
            self._averaged = self._evaluate(FlatParameters(copy.deepcopy(self.model)))
            self._averaged.load_state(state["averaged"])
        self._adam.load_state(state["adam"])
        self._data.set_state(state["data"])
        self._probes.set_state(state["probes"])
        self.step_count = state["step"]


def parts_of_batch(flow: AnyConfig, train: TrainConfig, batch: int) -> list[slice]:
    """Those that a step goes through one after the other: about equally many points each."""
    count = part_count(flow, train)
    ends = [batch * k // count for k in range(count + 1)]
    return [slice(start, end) for start, end in pairwise(ends)]


def _flow_of(model: NormalizingFlow | Hybrid) -> NormalizingFlow:
    return model.flow if isinstance(model, Hybrid) else model
