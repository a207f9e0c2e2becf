"""Maximum likelihood, one step at a time. Whoever calls `step` owns pace, stop and pictures."""

import copy
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from resflow_core.activations import activation_named
from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig, refuse_estimates
from resflow_core.data import Dataset, Source
from resflow_core.flow import Flow, FlowConfig, NormalizingFlow
from resflow_core.hybrid import Hybrid, HybridConfig
from resflow_core.lipschitz import LipschitzLinear
from resflow_core.log_det import LOG_DETS, Exact, LogDet
from resflow_core.norms.norm_orders import order_loss
from resflow_core.settings import check, setting, told
from resflow_core.training.parameter_count import parameter_count

# A run draws from three generators with seeds of their own, all below the fixed seeds of held-out data.
MOST_SEED = 10**9
# Points that the ActNorms are initialised on, so that a small first batch does not decide them.
INITIAL_POINTS = 2_000
# A schedule that has run out leaves this share of the learning rate, so that whoever plays on still sees it move.
LEAST_RATE = 0.01


def constant(t: float) -> float:
    """1."""
    return 1.0


def cosine(t: float) -> float:
    """(1 + cos(pi t)) / 2 (Loshchilov & Hutter 2017, equation 5)."""
    return (1 + math.cos(math.pi * min(t, 1.0))) / 2


def inverse_square_root(t: float) -> float:
    """1 / sqrt(1 + 8 t): a third at t = 1, and it never ends."""
    return (1 + 8 * t) ** -0.5


# The share of the learning rate at t = step / horizon.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": constant,
    "cosine": cosine,
    "inverse square root": inverse_square_root,
}


@dataclass(frozen=True)
class TrainConfig:
    """How a flow is trained. Every field may change while it trains."""

    log_det: LogDet = setting(
        Exact(),
        "Log det",
        "How the training loss gets the log det. The curves show the exact loss whatever trains.",
        choices=LOG_DETS,
    )
    learning_rate: float = setting(
        1e-2, "Learning rate", "Adam's step size. Lower it late for a finer fit.", low=1e-5, high=1e-1
    )
    batch: int = setting(512, "Batch", "Points per step.", low=2, high=4096)
    schedule: str = setting("cosine", "Schedule", "How the learning rate falls.", choices=SCHEDULES, rare=True)
    horizon: int = setting(
        4096, "Horizon", "Steps over which the schedule lowers the learning rate.", low=64, high=65536, rare=True
    )
    warmup: int = setting(
        50, "Warm-up", "Steps over which the learning rate rises from 0.", low=0, high=1000, rare=True
    )
    average: float = setting(
        0.98,
        "Weight average",
        "Decay of the moving average of the weights that is looked at; 0 looks at the weights themselves.",
        low=0.0,
        high=0.9999,
        rare=True,
    )
    weight_decay: float = setting(
        0.0, "Weight decay", "AdamW's, of the weight matrices only.", low=0.0, high=1.0, rare=True
    )
    clip: float = setting(
        10.0,
        "Gradient clip",
        "Largest norm of the gradient; longer ones are shortened to it.",
        low=0.01,
        high=1000.0,
        rare=True,
    )

    def __post_init__(self):
        check(self)

    @property
    def alone(self) -> "TrainConfig":
        """The same for a flow without a classifier."""
        return self

    def rate(self, step: int) -> float:
        """The learning rate of the step after `step` steps: warmed up linearly, and lowered by the schedule."""
        warm = min(1.0, (step + 1) / max(self.warmup, 1))
        return self.learning_rate * warm * max(SCHEDULES[self.schedule](step / self.horizon), LEAST_RATE)


@dataclass(frozen=True)
class HybridTrainConfig(TrainConfig):
    """How a flow and its classifier are trained."""

    weight: float = setting(
        1.0,
        "Weight λ",
        "Of log p(x) in λ log p(x) + log p(y|x): 1 learns both, 0 a classifier only; 1/D, here 1/2, lies between.",
        low=0.0,
        high=10.0,
    )

    @property
    def alone(self) -> TrainConfig:
        return TrainConfig(**{field.name: getattr(self, field.name) for field in fields(TrainConfig)})


AnyConfig = FlowConfig | BaselineConfig | HybridConfig


def check_pair(flow: AnyConfig, train: TrainConfig) -> None:
    """Raise ValueError where a flow cannot be trained so: a baseline by an estimate of its log det, or a hybrid without
    a weight of its density."""
    if isinstance(flow, HybridConfig):
        if not isinstance(train, HybridTrainConfig):
            raise ValueError(f"train = {type(train).__name__}: a hybrid needs a HybridTrainConfig, with its weight.")
        if flow.flow:
            check_pair(flow.flow, train)
    elif isinstance(flow, BaselineConfig):
        refuse_estimates(train.log_det)


def check_source(dataset: Source) -> None:
    """Raise ValueError unless points can be drawn from `dataset`."""
    if not callable(getattr(dataset, "sample", None)):
        raise ValueError(
            f"dataset = {told(dataset)}: pass what has sample(n, generator), e.g. DATASETS['moons'], or "
            "Table(title, names, values) for points of your own."
        )


def check_classes(flow: AnyConfig, dataset: Dataset) -> None:
    """Raise ValueError where a hybrid is to learn from data that have other classes, or none."""
    if isinstance(flow, HybridConfig) and len(dataset.classes) != flow.classes:
        raise ValueError(
            f"classes = {flow.classes}: the points of {told(dataset.title)} have {len(dataset.classes) or 'no'} "
            "classes. Give as many as there are, or choose data with labels."
        )


def affords_exact_losses(flow: AnyConfig) -> bool:
    """Whether the exact NLL of every batch is worth its time, whatever trains: in the plane. Beyond, it takes longer
    than the step."""
    return flow.dim == 2


def step_bytes(flow: AnyConfig, train: TrainConfig) -> int:
    """Memory that one step keeps for its backward pass, in bytes: an estimate, rather too high than too low.

    Exactly, a row keeps value, slope, curvature and d tangents for each unit, and a little for each block; a series
    about eight numbers for each unit and each vector-Jacobian product, of all blocks or, where it is differentiated in
    the forward pass, of one. A row of a baseline keeps a number for each unit and about seven for each output of its
    networks; its weights are kept too, masked. Raises as `check_pair`.
    """
    check_pair(flow, train)
    if isinstance(flow, HybridConfig):
        head = 4 * (train.batch * 3 * sum(flow.head_widths) + 3 * parameter_count(flow))
        return head + (step_bytes(flow.flow, train) if flow.flow else 0)
    if isinstance(flow, BaselineConfig):
        moving = flow.dim * (7 * BASELINES[flow.kind].outputs + 8)
        numbers = flow.transforms * (flow.width * flow.hidden_layers + moving)
        return 4 * (train.batch * numbers + 3 * parameter_count(flow))
    rows, products, at_once, _ = train.log_det.work(train.batch)
    activation = activation_named(flow.activation)
    units = flow.blocks * (flow.dim + flow.width * flow.hidden_layers) * activation.copies
    numbers = 8 * (1 + products) if products else 4 + flow.dim
    in_one_block = 8 * (at_once - products) * units // flow.blocks
    return 4 * rows * (units * numbers + in_one_block + max(flow.dim, flow.width) * activation.temporaries)


class Diverged(RuntimeError):
    """The loss or its gradient stopped being finite; the weights are those before the step."""


class Trainer:
    """A flow, or a hybrid, its data and its optimiser. The same seed, device and versions give the same run."""

    def __init__(
        self,
        flow_config: AnyConfig,
        train_config: TrainConfig,
        dataset: Source,
        seed: int,
        device: str = "cpu",
        exact_losses: bool = True,
    ):
        """With `exact_losses` False, `step` spares itself the exact log det, which in high dimensions takes longer than
        the step.

        Raises ValueError if the settings do not fit together, or if the data set draws points that are not finite, not
        float32, or not of the flow's dimension. It looks at the first `INITIAL_POINTS` of them.
        """
        check_source(dataset)
        check_pair(flow_config, train_config)
        check_classes(flow_config, dataset)
        self.train_config, self.dataset, self.exact_losses = train_config, dataset, exact_losses
        weights, self._data, self._probes = (torch.Generator().manual_seed(3 * seed + i) for i in range(3))
        # Built and initialised on the processor, so that every device starts from the same weights.
        self.model = flow_config.build(weights)
        self.model.initialize(dataset.sample(INITIAL_POINTS, self._data))
        self.model.to(device)
        self._weights = _Flat(self.model)
        self._averaged: _Flat | None = None
        self._branches = self.flow.branches if isinstance(self.flow, Flow) else []
        self._layers = [part for part in self.model.modules() if isinstance(part, LipschitzLinear)]
        matrices, others = self._weights.parts
        self._optimiser = torch.optim.AdamW([{"params": [matrices]}, {"params": [others]}], fused=True)
        self.step_count = 0

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return next(self.model.parameters()).device

    @property
    def flow(self) -> NormalizingFlow:
        """The flow that is trained; of a hybrid, without its classifier."""
        return _flow_of(self.model)

    @property
    def evaluated(self) -> NormalizingFlow:
        """The flow to look at: with averaged weights where `TrainConfig.average` is positive, else the one trained."""
        return _flow_of(self.evaluated_model)

    @property
    def evaluated_model(self) -> NormalizingFlow | Hybrid:
        """The same, with its classifier where it has one."""
        return self._averaged.model if self._averaged else self.model

    def configure(self, train_config: TrainConfig) -> None:
        """Change how the next steps are trained. Raises ValueError as `check_pair` does."""
        check_pair(self.model.config, train_config)
        self.train_config = train_config

    def step(self) -> float:
        """Take one step and return the batch's mean NLL in nats, by the exact log det whatever trains, or without
        `exact_losses` as the training loss has it.

        Raises `Diverged`, and changes no weight, if the loss or its gradient is not finite.
        """
        config = self.train_config
        x, loss, nll = self._hybrid_losses() if isinstance(self.model, Hybrid) else self._losses()
        norm = self._weights.take_gradients(loss + order_loss(self._branches), config.clip)
        if not math.isfinite(loss.item() + norm):
            if not bool(x.isfinite().all()):
                raise Diverged(
                    f"The batch of step {self.step_count + 1} has points that are not finite, and so has its loss. "
                    f"Leave them out of {told(getattr(self.dataset, 'title', type(self.dataset).__name__))}."
                )
            raise Diverged(
                f"The loss stopped being finite at step {self.step_count + 1}. "
                f"Lower the learning rate (now {config.learning_rate:g}) and play again, or reset."
            )
        matrices, others = self._optimiser.param_groups
        matrices["lr"] = others["lr"] = config.rate(self.step_count)
        matrices["weight_decay"], others["weight_decay"] = config.weight_decay, 0.0
        self._optimiser.step()
        for layer in self._layers:
            layer.advance()
        self.step_count += 1
        self._average(config.average)
        return nll

    def _losses(self) -> tuple[Tensor, Tensor, float]:
        """A batch, what is descended, and the batch's exact mean NLL."""
        config = self.train_config
        x = self.dataset.sample(config.batch, self._data).to(self.device)
        loss = -self.flow.log_prob(x, config.log_det, self._probes).mean()
        is_exact = config.log_det == Exact() or not self.exact_losses
        return x, loss, loss.item() if is_exact else self._exact_nll(x)

    def _hybrid_losses(self) -> tuple[Tensor, Tensor, float]:
        config = self.train_config
        x, y = (part.to(self.device) for part in self.dataset.sample_labelled(config.batch, self._data))
        loss, nll = self.model.losses(x, y, config.weight, config.log_det, self._probes)
        is_exact = config.log_det == Exact() or not config.weight
        return x, loss, nll.item() if is_exact else self._exact_nll(x)

    @torch.no_grad()
    def _average(self, decay: float) -> None:
        """average <- decay * average + (1 - decay) * weights, with a smaller decay while there is little to average."""
        if not decay:
            self._averaged = None
            return
        if self._averaged is None:
            self._averaged = _Flat(copy.deepcopy(self.model))
        decay = min(decay, self.step_count / (self.step_count + 10))
        torch._foreach_lerp_(self._averaged.parts, self._weights.parts, 1 - decay)
        # Power iteration goes on from the vectors that training has found.
        for averaged, trained in zip(self._averaged.model.buffers(), self.model.buffers(), strict=True):
            averaged.copy_(trained)

    @torch.no_grad()
    def _exact_nll(self, x: Tensor) -> float:
        return -float(self.flow.log_prob(x).mean())

    def state_bytes(self) -> bytes:
        """All that training goes on from: weights, optimiser, generators, step. Settings are not in it."""
        buffer = io.BytesIO()
        state = {
            "model": self.model.state_dict(),
            "averaged": self._averaged.model.state_dict() if self._averaged else None,
            "optimiser": self._optimiser.state_dict(),
            "data": self._data.get_state(),
            "probes": self._probes.get_state(),
            "step": self.step_count,
        }
        torch.save(state, buffer)
        return buffer.getvalue()

    def load_state(self, state_bytes: bytes) -> None:
        """Go on from `state_bytes` of a trainer with the same flow settings."""
        state = torch.load(io.BytesIO(state_bytes), map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self._averaged = None
        if state["averaged"]:
            self._averaged = _Flat(copy.deepcopy(self.model))
            self._averaged.model.load_state_dict(state["averaged"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._data.set_state(state["data"])
        self._probes.set_state(state["probes"])
        self.step_count = state["step"]


def _flow_of(model: NormalizingFlow | Hybrid) -> NormalizingFlow:
    return model.flow if isinstance(model, Hybrid) else model


class _Flat:
    """A model with its parameters in two long vectors, of which they become views: its matrices, and all others.

    Optimiser, clipping and average then handle two tensors instead of hundreds of small ones.
    """

    def __init__(self, model: NormalizingFlow | Hybrid):
        self.model = model
        self._parameters = sorted(model.parameters(), key=lambda p: p.ndim <= 1)
        n_matrices = sum(p.numel() for p in self._parameters if p.ndim > 1)
        flat = torch.cat([p.detach().flatten() for p in self._parameters])
        places = flat.split([p.numel() for p in self._parameters])
        for parameter, place in zip(self._parameters, places, strict=True):
            parameter.data = place.view_as(parameter)
        self.parts = [flat[:n_matrices], flat[n_matrices:]]

    def take_gradients(self, loss: Tensor, clip: float) -> float:
        """Give `parts` the gradient of the loss, shortened to the norm `clip`; returns its norm before that."""
        gradients = torch.autograd.grad(loss, self._parameters, materialize_grads=True)
        gradient = torch.cat([g.flatten() for g in gradients])
        norm = float(torch.linalg.vector_norm(gradient))
        gradient.mul_(min(1.0, clip / (norm + 1e-6)))
        for part in self.parts:
            part.grad, gradient = gradient[: len(part)], gradient[len(part) :]
        return norm
