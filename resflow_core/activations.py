"""Activations of the residual branch: two derivatives and a Lipschitz constant. One entry of `ACTIVATIONS` adds one.

The log det's gradient needs the second derivative of the activation, so the paper (section 3.3) asks for two things:
|slope| <= 1 everywhere, and a curvature that does not vanish where |slope| is near 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Activation:
    """A function phi applied to every number by itself.

    `value_and_slope(t)` gives phi(t) and phi'(t); `curvature(t, value, slope)` gives phi''(t) from these. With
    `initial_scale` the activation is a family with a learnable scale beta > 0, phi_beta(z) = phi(beta z) / beta, whose
    slope phi'(beta z) has the same bound for every beta: `lipschitz`.
    """

    value_and_slope: Callable[[Tensor], tuple[Tensor, Tensor]]
    curvature: Callable[[Tensor, Tensor, Tensor], Tensor]
    lipschitz: float
    initial_scale: float | None = None

    def scaled(self, z: Tensor, beta: Tensor | None) -> tuple[Tensor, Tensor]:
        """phi_beta(z) and its slope; phi itself where beta is None."""
        if beta is None:
            return self.value_and_slope(z)
        value, slope = self.value_and_slope(beta * z)
        return value / beta, slope


def lipswish(t: Tensor) -> tuple[Tensor, Tensor]:
    """t s(t) / 1.1 with the logistic s (paper, section 3.3); slope (s + t s (1 - s)) / 1.1."""
    s = torch.sigmoid(t)
    value = t * s / 1.1
    return value, torch.addcmul(value, s, 1 / 1.1 - value)


def lipswish_curvature(t: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    """s (1 - s) (2 + t (1 - 2 s)) / 1.1 = (1 - s) (2 slope - value)."""
    return torch.sigmoid(-t) * (2 * slope - value)


def elu(t: Tensor) -> tuple[Tensor, Tensor]:
    """t for t > 0, exp(t) - 1 below: the slope is 1 wherever the curvature is 0, which starves the log det."""
    slope = torch.exp(t.clamp(max=0))
    return torch.where(t > 0, t, slope - 1), slope


def elu_curvature(t: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    """0 for t > 0, exp(t) below."""
    return torch.where(t > 0, 0, slope)


def tanh(t: Tensor) -> tuple[Tensor, Tensor]:
    """tanh(t), slope 1 - tanh(t)^2."""
    value = torch.tanh(t)
    return value, 1 - value**2


def tanh_curvature(t: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    """-2 tanh(t) (1 - tanh(t)^2)."""
    return -2 * value * slope


def sine(t: Tensor) -> tuple[Tensor, Tensor]:
    """sin(t), slope cos(t): curved all along the line."""
    return torch.sin(t), torch.cos(t)


def sine_curvature(t: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    """-sin(t)."""
    return -value


# LipSwish's supremum is 0.999854, where beta z = 2.3994; it is rounded up to stay a bound.
ACTIVATIONS: dict[str, Activation] = {
    "lipswish": Activation(lipswish, lipswish_curvature, 0.99986, initial_scale=0.974),
    "sine": Activation(sine, sine_curvature, 1.0, initial_scale=2.0),
    "elu": Activation(elu, elu_curvature, 1.0),
    "tanh": Activation(tanh, tanh_curvature, 1.0),
}
