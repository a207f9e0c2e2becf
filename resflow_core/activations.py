"""Activations of the residual branch, as functions with Lipschitz constant 1. One entry of `ACTIVATIONS` adds one.

The paper (section 3.3) asks two things of an activation phi: |phi'| <= 1 everywhere, and a second derivative that does
not vanish asymptotically where |phi'| is near 1, because the gradient of the log determinant contains phi''. Dividing a
function by its Lipschitz constant gives the first; LipSwish also has the second.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def _one(p: float) -> float:
    """The Lipschitz constant of a function of one number is the same in every p-norm."""
    return 1.0


@dataclass(frozen=True)
class Activation:
    """phi, applied to the units in the last dimension: (..., units) -> (..., copies * units).

    `function(z)` is 1-Lipschitz in the 2-norm. In the p-norm its constant is `lipschitz(p)`, which differs from 1 only
    if several numbers come out of one (`copies`) or units are treated together (not `is_elementwise`). With
    `initial_scale` the activation is a family with a learned scale beta > 0, `function(z, beta)` = phi(beta z) / beta,
    whose constant is that of phi. `temporaries` is how many numbers a unit needs at most while it is evaluated, beside
    its value.
    """

    title: str
    function: Callable[..., Tensor]
    initial_scale: float | None = None
    lipschitz: Callable[[float], float] = _one
    copies: int = 1
    is_elementwise: bool = True
    temporaries: int = 0
    source: str = ""

    def __call__(self, z: Tensor, beta: Tensor | float = 1.0, p: float = 2.0) -> Tensor:
        """phi_beta(z), divided by its Lipschitz constant in the p-norm; differentiable any number of times."""
        value = self.function(z, beta) if self.initial_scale else self.function(z)
        return value / self.lipschitz(p)

    def __deepcopy__(self, memo: dict[int, object]) -> "Activation":
        """Itself: an activation has no state, so copies of a flow share it."""
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        """An entry of `ACTIVATIONS` is pickled by its key, since some functions in it cannot be."""
        name = next((name for name, entry in ACTIVATIONS.items() if entry is self), None)
        return super().__reduce_ex__(protocol) if name is None else (activation_named, (name,))


# Largest slopes, rounded up so that they stay bounds. The paper writes 1.1 for swish, which is rounded further.
SWISH, SELU, GELU, MISH = 1.09984, 1.7581, 1.12891, 1.08851


def lipswish(z: Tensor, beta: Tensor | float = 1.0) -> Tensor:
    """LipSwish(z) = z sigma(beta z) / 1.1 (paper, section 3.3), with 1.09984 for 1.1."""
    return z * torch.sigmoid(beta * z) / SWISH


def sine(z: Tensor, beta: Tensor | float = 1.0) -> Tensor:
    """sin(beta z) / beta: curved all along the line (Sitzmann et al. 2020)."""
    return torch.sin(beta * z) / beta


def celu(z: Tensor, beta: Tensor | float = 1.0) -> Tensor:
    """ELU(beta z) / beta: z for z > 0, (exp(beta z) - 1) / beta below (Barron 2017, with alpha = 1 / beta)."""
    return F.elu(beta * z) / beta


def elu(z: Tensor) -> Tensor:
    """z for z > 0, exp(z) - 1 below: the slope is 1 wherever the curvature is 0, which starves the log determinant."""
    return F.elu(z)


def selu(z: Tensor) -> Tensor:
    """1.0507 z for z > 0, 1.7581 (exp(z) - 1) below, divided by the slope just below 0 (Klambauer et al. 2017)."""
    return F.selu(z) / SELU


def gelu(z: Tensor) -> Tensor:
    """z P(Z <= z) for a standard normal Z, divided by its largest slope (Hendrycks & Gimpel 2016)."""
    return z * torch.special.ndtr(z) / GELU


def mish(z: Tensor) -> Tensor:
    """z tanh(log(1 + exp z)), divided by its largest slope (Misra 2019)."""
    return z * torch.tanh(F.softplus(z)) / MISH


def leaky_relu(z: Tensor) -> Tensor:
    """z for z > 0, z / 100 below: no curvature anywhere."""
    return torch.where(z > 0, z, 0.01 * z)


def clipswish_constant(p: float) -> float:
    """The largest p-norm of (s, 1 - s) for slopes s of swish: at z and -z they sum to 1."""
    c = SWISH
    return c if math.isinf(p) else c * (1 + ((c - 1) / c) ** p) ** (1 / p)


def clipswish(z: Tensor, beta: Tensor | float = 1.0) -> Tensor:
    """Swish of z and of -z, side by side (CLipSwish, Perugachi-Diaz et al. 2021). They divide by 1.1 * 1.004."""
    both = torch.cat([z, -z], -1)
    return both * torch.sigmoid(beta * both) / clipswish_constant(2.0)


def _pila(z: Tensor) -> Tensor:
    """z for z > 0, q(5 z) / 5 below, q(u) = (u^3 / 2 - u^2 + u) exp u: three derivatives are continuous."""
    u = 5 * z.clamp(-16, 0)  # beyond, single precision has only denormal numbers, which are slow
    return torch.where(z > 0, z, ((0.5 * u - 1) * u + 1) * u * torch.exp(u) / 5)


def cpila_constant(p: float) -> float:
    """The largest p-norm of (s(z), s(-z)) for the slopes s(z) of Pila(z - 1/5), rounded up in the sixth digit.

    It is reached at z = 0, where both are 2 / e, or at z = 0.6, where s(z) = 1 and s(-z) = -19 / e^4 is the steepest
    descent: 1 (p = inf), 1.05882 (p = 2), 1.47152 (p = 1). The code of Ahn et al. 2022 divides by 1.06.
    """
    middle, descent = 2 / math.e, 19 * math.exp(-4)
    largest = 1.0 if math.isinf(p) else max(2 * middle**p, 1 + descent**p) ** (1 / p)
    return (1 + 1e-6) * largest


def cpila(z: Tensor) -> Tensor:
    """Pila(z - 1/5) and Pila(-z - 1/5), side by side (Ahn et al. 2022)."""
    return torch.cat([_pila(z - 0.2), _pila(-z - 0.2)], -1) / cpila_constant(2.0)


def maxmin(z: Tensor) -> Tensor:
    """The larger of each pair of units, then the smaller; an odd unit at the end stays (Anil et al. 2019)."""
    pairs = z[..., : z.shape[-1] // 2 * 2].unflatten(-1, (-1, 2))
    ordered = torch.stack([pairs.amax(-1), pairs.amin(-1)], -1).flatten(-2)
    return torch.cat([ordered, z[..., ordered.shape[-1] :]], -1)


ACTIVATIONS: dict[str, Activation] = {
    "lipswish": Activation("LipSwish", lipswish, initial_scale=0.974, source="this paper, section 3.3"),
    "sine": Activation("Sine", sine, initial_scale=2.0, source="Sitzmann et al. 2020"),
    "elu": Activation("ELU", elu, source="Clevert et al. 2016"),
    "tanh": Activation("Tanh", torch.tanh, source="classical"),
    "softplus": Activation("Softplus", F.softplus, source="Dugas et al. 2001"),
    "relu": Activation("ReLU", F.relu, source="Nair & Hinton 2010"),
    "leaky_relu": Activation("Leaky ReLU", leaky_relu, source="Maas et al. 2013"),
    "celu": Activation("CELU", celu, initial_scale=1.0, source="Barron 2017"),
    "selu": Activation("SELU", selu, source="Klambauer et al. 2017"),
    "gelu": Activation("GELU", gelu, source="Hendrycks & Gimpel 2016"),
    "mish": Activation("Mish", mish, source="Misra 2019"),
    "silu": Activation("SiLU", lipswish, source="Elfwing et al. 2018"),
    "clipswish": Activation(
        "CLipSwish",
        clipswish,
        initial_scale=0.974,
        lipschitz=lambda p: clipswish_constant(p) / clipswish_constant(2.0),
        copies=2,
        is_elementwise=False,
        source="Perugachi-Diaz et al. 2021",
    ),
    "cpila": Activation(
        "CPila",
        cpila,
        lipschitz=lambda p: cpila_constant(p) / cpila_constant(2.0),
        copies=2,
        is_elementwise=False,
        source="Ahn et al. 2022",
    ),
    "maxmin": Activation("MaxMin", maxmin, is_elementwise=False, source="Anil et al. 2019"),
}

# What reads a name that begins with a sign, as an activation of its own: "=" where `expressions` is imported.
NOTATIONS: dict[str, Callable[[str], Activation]] = {}


def activation_named(name: str) -> Activation:
    """An entry of `ACTIVATIONS` by its key, or what one of `NOTATIONS` reads after its sign. Raises ValueError for a
    name that is neither."""
    if reader := NOTATIONS.get(name[:1]):
        return reader(name[1:])
    if name not in ACTIVATIONS:
        raise ValueError(f"use one of {', '.join(ACTIVATIONS)}; formulas after = need `resflow_core.expressions`.")
    return ACTIVATIONS[name]
