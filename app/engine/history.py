"""Curves of any length in at most `MOST` points each."""

from dataclasses import dataclass, field

import numpy as np

from app.engine.messages import LossCurves
from resflow_core.measure import Estimate

MOST = 400


@dataclass
class History:
    """The losses of one run. A curve that is full keeps every second point, so each point stays a true measurement."""

    stride: int = 1
    batch: list[tuple[int, float]] = field(default_factory=list)  # (step, mean NLL of its batch)
    held_out: list[tuple[int, float, float]] = field(default_factory=list)  # (step, mean NLL, its standard error)

    def add_batch(self, step: int, nll: float) -> None:
        if step % self.stride:
            return
        self.batch.append((step, nll))
        if len(self.batch) > MOST:
            self.stride *= 2
            self.batch = [point for point in self.batch if point[0] % self.stride == 0]

    def add_held_out(self, step: int, nll: Estimate) -> None:
        if self.held_out and self.held_out[-1][0] == step:
            return  # measured again for a page that came back
        self.held_out.append((step, nll.value, nll.standard_error))
        if len(self.held_out) > MOST:
            self.held_out = self.held_out[::-2][::-1]  # keeps the newest

    def curves(self) -> LossCurves:
        step, batch_nll = np.array(self.batch, float).reshape(-1, 2).T
        held_step, held_nll, held_se = np.array(self.held_out, float).reshape(-1, 3).T
        return LossCurves(
            step.astype(np.int64),
            batch_nll.astype(np.float32),
            held_step.astype(np.int64),
            held_nll.astype(np.float32),
            held_se.astype(np.float32),
        )
