"""Classes of points: the part of a distribution from which each point was drawn."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.data.numerics import LogDensity


@dataclass(frozen=True)
class Labels:
    """The classes of a distribution.

    `draw(n, generator)` gives points, (n, 2), and the number of each point's class, (n,) int64. `log_joint` is
    log p(x, y) in nats, (n, 2) -> (n, classes) float64.
    """

    classes: tuple[str, ...]
    draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]]
    log_joint: LogDensity

    def log_posterior(self, x: Tensor) -> Tensor:
        """log p(y|x) in nats, (n, 2) -> (n, classes) float64; NaN where p(x) is zero.

        Bayes' rule chooses the class with the largest value. On average no other rule is right more often.
        """
        return self.log_joint(x).log_softmax(1)


def numbered(what: str, n: int) -> tuple[str, ...]:
    """Names of n classes: "arm 1", "arm 2", ..."""
    return tuple(f"{what} {k}" for k in range(1, n + 1))
