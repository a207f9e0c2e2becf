"""Activations other than those of the paper's comparison. Importing the module registers them."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from resflow_core.activations import (
    ACTIVATIONS,
    SWISH,
    Activation,
    Arrangement,
    constant,
    elu,
    no_pattern,
    silu,
    two_lines,
)

# Largest slopes, rounded up so that they stay bounds.
SELU, GELU, MISH = 1.7581, 1.12891, 1.08851


def _both_signs(u: Tensor, _: Tensor | None) -> Tensor:
    return torch.cat([u, -u])


def _difference(u: Tensor, _: Tensor | None) -> Tensor:
    positive, negative = u.chunk(2)
    return positive - negative


def _pairs(u: Tensor) -> tuple[Tensor, Tensor]:
    """(u_1, u_3, ...) and (u_2, u_4, ...) as views. With an odd number of units, the last one is in neither."""
    return u[0 : len(u) - 1 : 2], u[1::2]


def _ascending(t: Tensor) -> Tensor:
    first, second = _pairs(t)
    return first < second


def _larger_first(u: Tensor, ascends: Tensor | None) -> Tensor:
    """u with the pairs exchanged where t ascends. The map is its own transpose."""
    assert ascends is not None
    swap = ascends.view(len(ascends), *[1] * (u.ndim - 2), ascends.shape[-1])
    first, second = _pairs(u)
    pairs = torch.stack([torch.where(swap, second, first), torch.where(swap, first, second)], 1).flatten(0, 1)
    return torch.cat([pairs, u[len(pairs) :]])


BOTH_SIGNS = Arrangement(no_pattern, _both_signs, _difference, copies=2, name="both signs")
SORTED_PAIRS = Arrangement(_ascending, _larger_first, _larger_first, together=2, name="sorted pairs")

# Klambauer et al. 2017, section 2: they keep mean 0 and variance 1 in wide layers with random weights.
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def selu(t: Tensor) -> Iterator[Tensor]:
    """1.0507 t for t > 0, 1.7581 (exp(t) - 1) below. It is steepest just below 0."""
    below, negative = SELU_SCALE * SELU_ALPHA, t.clamp(max=0)
    yield torch.where(t > 0, SELU_SCALE * t, below * torch.expm1(negative))
    yield torch.where(t > 0, SELU_SCALE, below * torch.exp(negative))


def leaky_relu(t: Tensor) -> Iterator[Tensor]:
    """t for t > 0, t / 100 below: no curvature anywhere."""
    return two_lines(t, 0.01)


def identity(t: Tensor) -> Iterator[Tensor]:
    """t, for activations whose only nonlinearity is sorting."""
    yield t
    yield torch.ones_like(t)


def gelu(t: Tensor) -> Iterator[Tensor]:
    """t P with the normal distribution function P and density p; P + t p (Hendrycks & Gimpel 2016)."""
    below = torch.special.ndtr(t)
    yield t * below
    yield below + t * torch.exp(-0.5 * t**2) / math.sqrt(2 * math.pi)


def mish(t: Tensor) -> Iterator[Tensor]:
    """t w with w = tanh(log(1 + exp t)); w + t (1 - w^2) s with the logistic s (Misra 2019)."""
    w = torch.tanh(F.softplus(t))
    yield t * w
    yield w + t * ((1 - w**2) * torch.sigmoid(t))


# The rate at which Pila bends, and the shift of both copies times the rate (Ahn et al. 2022, and their code).
PILA_RATE, PILA_SHIFT = 5.0, 1.0


def shifted_pila(t: Tensor) -> Iterator[Tensor]:
    """Pila(t - 1/5), with Pila(t) = t for t > 0 and q(5 t) / 5 below.

    q(u) = (u^3 / 2 - u^2 + u) exp u; q'(u) = (u^3 / 2 + u^2 / 2 - u + 1) exp u: three derivatives are continuous.
    """
    u = PILA_RATE * t - PILA_SHIFT
    below = u.clamp(-80, 0)  # below -80, single precision has only denormal numbers, which are slow
    decay = torch.exp(below)
    yield torch.where(u > 0, u, ((0.5 * below - 1) * below + 1) * below * decay) / PILA_RATE
    yield torch.where(u > 0, 1.0, (((0.5 * below + 0.5) * below - 1) * below + 1) * decay)


def clipswish_constant(p: float) -> float:
    """The largest p-norm of (s, 1 - s) for slopes s of swish: at z and -z they sum to 1. They divide by 1.1 * 1.004."""
    c = SWISH
    return c if math.isinf(p) else c * (1 + ((c - 1) / c) ** p) ** (1 / p)


def cpila_constant(p: float) -> float:
    """The largest p-norm of (s(z), s(-z)) for the slopes s(z) of Pila(z - 1/5), rounded up in the sixth digit.

    It is reached at z = 0, where both are 2 / e, or at z = 0.6, where s(z) = 1 and s(-z) = -19 / e^4 is the steepest
    descent: 1 (p = inf), 1.05882 (p = 2), 1.47152 (p = 1). The code of Ahn et al. 2022 divides by 1.06.
    """
    middle, descent = 2 / math.e, 19 * math.exp(-4)
    largest = 1.0 if math.isinf(p) else max(2 * middle**p, 1 + descent**p) ** (1 / p)
    return (1 + 1e-6) * largest


# Below 0 only the second term has a slope, and at 0 the slope is that from below.
_SELU = f"{SELU_SCALE!r} * relu(z) + {SELU_SCALE * SELU_ALPHA!r} * elu(min(z, 0))"
_BEND = f"min({PILA_RATE:g} * z - {PILA_SHIFT:g}, 0)"
_SHIFTED_PILA = (
    f"(relu({PILA_RATE:g} * z - {PILA_SHIFT:g}) + (({_BEND} / 2 - 1) * {_BEND} + 1) * {_BEND} * exp({_BEND}))"
    f" / {PILA_RATE:g}"
)

ACTIVATIONS |= {
    "leaky_relu": Activation("Leaky ReLU", leaky_relu, text="max(z / 100, z)", source="Maas et al. 2013"),
    "celu": Activation("CELU", elu, initial_scale=1.0, text="elu(z)", source="Barron 2017"),
    "selu": Activation("SELU", selu, constant(SELU), text=_SELU, source="Klambauer et al. 2017"),
    "gelu": Activation("GELU", gelu, constant(GELU), text="gelu(z)", source="Hendrycks & Gimpel 2016"),
    "mish": Activation("Mish", mish, constant(MISH), text="mish(z)", source="Misra 2019"),
    "silu": Activation("SiLU", silu, constant(SWISH), text="silu(z)", source="Elfwing et al. 2018"),
    "clipswish": Activation(
        "CLipSwish",
        silu,
        clipswish_constant,
        initial_scale=0.974,
        arrangement=BOTH_SIGNS,
        text="silu(z)",
        source="Perugachi-Diaz et al. 2021",
    ),
    "cpila": Activation(
        "CPila", shifted_pila, cpila_constant, arrangement=BOTH_SIGNS, text=_SHIFTED_PILA, source="Ahn et al. 2022"
    ),
    "maxmin": Activation("MaxMin", identity, arrangement=SORTED_PAIRS, text="z", source="Anil et al. 2019"),
}
