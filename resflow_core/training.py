"""Maximum likelihood, one step at a time. Whoever calls `step` owns pace, stop and pictures."""

import io
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.datasets import Dataset
from resflow_core.flow import FlowConfig
from resflow_core.log_det import LOG_DETS, Exact, LogDet
from resflow_core.settings import check, setting

# A run draws from three generators with seeds of their own, all below the fixed seeds of held-out data.
MOST_SEED = 10**9
# Points that the ActNorms are initialised on, so that a small first batch does not decide them.
INITIAL_POINTS = 2_000


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
        5e-3, "Learning rate", "Adam's step size. Lower it late for a finer fit.", low=1e-5, high=1e-1
    )
    batch: int = setting(256, "Batch", "Points per step.", low=2, high=4096)
    warmup: int = setting(50, "Warm-up", "Steps over which the learning rate rises from 0.", low=0, high=1000)
    clip: float = setting(
        10.0, "Gradient clip", "Largest norm of the gradient; longer ones are shortened to it.", low=0.01, high=1000.0
    )

    def __post_init__(self):
        check(self)


def step_bytes(flow: FlowConfig, train: TrainConfig) -> int:
    """Memory that one step keeps for its backward pass, in bytes: an estimate, rather too high than too low.

    Exactly, a row keeps value, slope and 1 + d stacked numbers for each unit, and a little for each block; a series
    about eight for each unit and each vector-Jacobian product.
    """
    rows, products = train.log_det.work(train.batch)
    units = flow.blocks * (flow.dim + flow.width * flow.hidden_layers)
    numbers = 8 * (1 + products) if products else 4 + flow.dim
    return 4 * rows * units * numbers


class Diverged(RuntimeError):
    """The loss or its gradient stopped being finite; the weights are those before the step."""


class Trainer:
    """A flow, its data and its optimiser. The same seed, device and versions give the same run."""

    def __init__(self, flow_config: FlowConfig, train_config: TrainConfig, dataset: Dataset, seed: int):
        self.flow_config, self.train_config, self.dataset, self.seed = flow_config, train_config, dataset, seed
        weights, self._data, self._probes = (torch.Generator().manual_seed(3 * seed + i) for i in range(3))
        self.flow = flow_config.build(weights)
        self.flow.initialize(dataset.sample(INITIAL_POINTS, self._data))
        self._optimiser = torch.optim.Adam(self.flow.parameters(), lr=train_config.learning_rate, fused=True)
        self.step_count = 0

    @property
    def device(self) -> torch.device:
        return next(self.flow.parameters()).device

    def configure(self, train_config: TrainConfig) -> None:
        """Change how the next steps are trained."""
        self.train_config = train_config

    def step(self) -> float:
        """Take one step and return the batch's mean NLL in nats, by the exact log det whatever trains.

        Raises `Diverged`, and changes no weight, if the loss or its gradient is not finite.
        """
        config = self.train_config
        x = self.dataset.sample(config.batch, self._data).to(self.device)
        loss = -self.flow.log_prob(x, config.log_det, self._probes).mean()
        nll = loss.item() if config.log_det == Exact() else self._exact_nll(x)
        self._optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.flow.parameters(), config.clip)
        if not math.isfinite(loss.item() + norm.item()):
            raise Diverged(
                f"The loss stopped being finite at step {self.step_count + 1}. "
                f"Lower the learning rate (now {config.learning_rate:g}) and play again, or reset."
            )
        rate = config.learning_rate * min(1.0, (self.step_count + 1) / max(config.warmup, 1))
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        self.step_count += 1
        return nll

    @torch.no_grad()
    def _exact_nll(self, x: Tensor) -> float:
        return -float(self.flow.log_prob(x).mean())

    def state_bytes(self) -> bytes:
        """All that training goes on from: weights, optimiser, generators, step. Settings are not in it."""
        buffer = io.BytesIO()
        state = {
            "flow": self.flow.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "data": self._data.get_state(),
            "probes": self._probes.get_state(),
            "step": self.step_count,
        }
        torch.save(state, buffer)
        return buffer.getvalue()

    def load_state(self, state_bytes: bytes) -> None:
        """Go on from `state_bytes` of a trainer with the same flow settings."""
        state = torch.load(io.BytesIO(state_bytes), weights_only=True)
        self.flow.load_state_dict(state["flow"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._data.set_state(state["data"])
        self._probes.set_state(state["probes"])
        self.step_count = state["step"]
