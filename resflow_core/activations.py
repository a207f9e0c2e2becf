"""Activations of the residual branch: three derivatives and a Lipschitz constant. One entry of `ACTIVATIONS` adds one.

The log det's gradient needs the second derivative of the activation, so the paper (section 3.3) asks for two things:
|slope| <= 1 everywhere, and a curvature that does not vanish asymptotically where |slope| is near 1. The first is had
for every function by dividing it by its Lipschitz constant; the second is what tells them apart.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

Derivatives = Callable[[Tensor], Iterator[Tensor]]


@dataclass(frozen=True)
class Arrangement:
    """Moves units about before a function is applied to each: a linear map, which the points themselves may choose.

    `pattern(t)` is what the points t, (units, batch), decide; `apply(u, pattern)` maps u, (units, ..., batch), to
    (copies * units, ..., batch), and `transpose` is its adjoint. The map is constant near t, so it moves tangents as it
    moves points.
    """

    pattern: Callable[[Tensor], Tensor | None]
    apply: Callable[[Tensor, Tensor | None], Tensor]
    transpose: Callable[[Tensor, Tensor | None], Tensor]
    copies: int = 1


def _both_signs(u: Tensor, _: None) -> Tensor:
    return torch.cat([u, -u])


def _difference(u: Tensor, _: None) -> Tensor:
    positive, negative = u.chunk(2)
    return positive - negative


def _pairs(u: Tensor) -> tuple[Tensor, Tensor]:
    """(u_1, u_3, ...) and (u_2, u_4, ...) as views; an odd unit at the end is in neither."""
    return u[0 : len(u) - 1 : 2], u[1::2]


def _ascending(t: Tensor) -> Tensor:
    first, second = _pairs(t)
    return first < second


def _swapped(u: Tensor, swap: Tensor) -> Tensor:
    """u with the pairs exchanged where `swap` says so, which is its own transpose."""
    if u.ndim == 3:
        swap = swap[:, None]
    out = u.clone()
    (first, second), (out_first, out_second) = _pairs(u), _pairs(out)
    out_first.copy_(torch.where(swap, second, first))
    out_second.copy_(torch.where(swap, first, second))
    return out


IN_PLACE = Arrangement(lambda t: None, lambda u, _: u, lambda u, _: u)
BOTH_SIGNS = Arrangement(lambda t: None, _both_signs, _difference, copies=2)
SORTED_PAIRS = Arrangement(_ascending, _swapped, _swapped)


@dataclass(frozen=True)
class Activation:
    """phi = raw / C with C the Lipschitz constant of raw, so that phi is 1-Lipschitz in the 2-norm, and tightly so.

    raw arranges the units and then applies one function to every number: `derivatives(t)` yields its value, slope and
    curvature at t, each computed only if it is asked for. `lipschitz(p)` is raw's constant in the p-norm, rounded up.
    With `initial_scale` the activation is a family with a learnable scale beta > 0, phi_beta(z) = phi(beta z) / beta,
    which has the same constant for every beta. `temporaries` says how many numbers a unit needs besides, while it is
    evaluated.
    """

    title: str
    derivatives: Derivatives
    lipschitz: Callable[[float], float]
    initial_scale: float | None = None
    arrangement: Arrangement = IN_PLACE
    temporaries: int = 0
    source: str = ""

    def __deepcopy__(self, memo: dict) -> "Activation":
        """Itself: copies of a flow share it, and know that their activation is element-wise."""
        return self

    @property
    def is_elementwise(self) -> bool:
        """Whether phi is one function of one number, applied to every unit by itself."""
        return self.arrangement is IN_PLACE

    def raw(self, t: Tensor) -> Tensor:
        """raw(t), (units, batch) -> (copies * units, batch); differentiable any number of times."""
        return next(self.derivatives(self.arrangement.apply(t, self.arrangement.pattern(t))))

    def phi(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """phi(t), phi'(t), phi''(t) for every number of t: what there is to see of an element-wise activation."""
        if not self.is_elementwise:
            raise ValueError("This activation is no function of one number: it acts on several units together.")
        return tuple(d / self.lipschitz(2) for d in self.derivatives(t))


def silu(t: Tensor) -> Iterator[Tensor]:
    """y = t s with the logistic s; y' = y + s (1 - y); y'' = (1 - s) (2 y' - y)."""
    s = torch.sigmoid(t)
    yield (y := t * s)
    yield (slope := torch.lerp(y, y.new_ones(()), s))
    yield torch.lerp(torch.lerp(y, slope, 2.0), y.new_zeros(()), s)


def sine(t: Tensor) -> Iterator[Tensor]:
    """sin t, cos t, -sin t: curved all along the line."""
    yield (y := torch.sin(t))
    yield torch.cos(t)
    yield -y


def tanh(t: Tensor) -> Iterator[Tensor]:
    """y = tanh t; y' = 1 - y^2; y'' = -2 y y'."""
    yield (y := torch.tanh(t))
    yield (slope := 1 - y**2)
    yield -2 * y * slope


def elu(t: Tensor) -> Iterator[Tensor]:
    """t for t > 0, exp(t) - 1 below: the slope is 1 wherever the curvature is 0, which starves the log det."""
    negative = t.clamp(max=0)
    yield torch.where(t > 0, t, torch.expm1(negative))
    yield (slope := torch.exp(negative))
    yield torch.where(t > 0, 0, slope)


# Klambauer et al. 2017, section 2: they keep mean 0 and variance 1 in wide layers with random weights.
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def selu(t: Tensor) -> Iterator[Tensor]:
    """1.0507 t for t > 0, 1.7581 (exp(t) - 1) below: steepest just below 0."""
    below, negative = SELU_SCALE * SELU_ALPHA, t.clamp(max=0)
    yield torch.where(t > 0, SELU_SCALE * t, below * torch.expm1(negative))
    exponential = below * torch.exp(negative)
    yield torch.where(t > 0, SELU_SCALE, exponential)
    yield torch.where(t > 0, 0, exponential)


def softplus(t: Tensor) -> Iterator[Tensor]:
    """log(1 + exp t); the logistic s; s (1 - s)."""
    yield torch.nn.functional.softplus(t)
    yield (s := torch.sigmoid(t))
    yield s * (1 - s)


def relu(t: Tensor) -> Iterator[Tensor]:
    """max(t, 0): no curvature anywhere, so the log det's gradient reaches no pre-activation."""
    return _two_lines(t, 0.0)


def leaky_relu(t: Tensor) -> Iterator[Tensor]:
    """t for t > 0, t / 100 below: no curvature anywhere."""
    return _two_lines(t, 0.01)


def identity(t: Tensor) -> Iterator[Tensor]:
    """t: what is left for each number where sorting is the whole nonlinearity."""
    return _two_lines(t, 1.0)


def _two_lines(t: Tensor, below: float) -> Iterator[Tensor]:
    yield torch.where(t > 0, t, below * t)
    yield torch.where(t > 0, t.new_ones(()), below)
    yield torch.zeros_like(t)


def gelu(t: Tensor) -> Iterator[Tensor]:
    """Hendrycks & Gimpel 2016: t P with the normal distribution function P and density p; P + t p; (2 - t^2) p."""
    below = torch.special.ndtr(t)
    yield t * below
    density = torch.exp(-0.5 * t**2) / math.sqrt(2 * math.pi)
    yield below + t * density
    yield (2 - t**2) * density


def mish(t: Tensor) -> Iterator[Tensor]:
    """Misra 2019: t w with w = tanh(log(1 + exp t)), w' = (1 - w^2) s, s the logistic; w + t w';
    w' (2 + t (1 - s - 2 w s)).
    """
    w = torch.tanh(torch.nn.functional.softplus(t))
    yield t * w
    s = torch.sigmoid(t)
    w_slope = (1 - w**2) * s
    yield w + t * w_slope
    yield w_slope * (2 + t * (1 - s - 2 * w * s))


# How fast Pila bends, and how far both of its copies are moved apart, times the rate (Ahn et al. 2022, and their code).
PILA_RATE, PILA_SHIFT = 5.0, 1.0


def shifted_pila(t: Tensor) -> Iterator[Tensor]:
    """Pila(t - 1/5), Pila(t) = t for t > 0 and q(5 t) / 5 below: q(u) = (u^3 / 2 - u^2 + u) exp u;
    q'(u) = (u^3 / 2 + u^2 / 2 - u + 1) exp u; q''(u) = u^2 (u / 2 + 2) exp u, so that three derivatives are continuous.
    """
    u = PILA_RATE * t - PILA_SHIFT
    below = u.clamp(-80, 0)  # beyond, single precision has only denormal numbers, which are slow
    decay = torch.exp(below)
    yield torch.where(u > 0, u, ((0.5 * below - 1) * below + 1) * below * decay) / PILA_RATE
    yield torch.where(u > 0, 1.0, (((0.5 * below + 0.5) * below - 1) * below + 1) * decay)
    yield PILA_RATE * below**2 * (0.5 * below + 2) * decay


def _in_every_norm(constant: float) -> Callable[[float], float]:
    """The constant of one function of one number, in whatever norm its values are stacked."""
    return lambda p: constant


# The supremum of silu's slope is 1.0998393, where t = 2.3994. The paper writes 1.1 (section 3.3), rounded up further.
SILU_CONSTANT = 1.09984


def _silu_of_both_signs(p: float) -> float:
    """The largest p-norm of (silu'(t), silu'(-t)): the two sum to 1, so it is that of (c, 1 - c) for the largest c.

    1.09984 (p = inf), 1.10437 (p = 2), 1.19968 (p = 1). CLipSwish divides by 1.1 * 1.004 for p = 2.
    """
    c = SILU_CONSTANT
    return c if math.isinf(p) else c * (1 + ((c - 1) / c) ** p) ** (1 / p)


def _shifted_pila_of_both_signs(p: float) -> float:
    """The largest p-norm of (s(t), s(-t)) with s(t) = q'(5 t - 1): at t = 0, where both are 2 / e, or at t = 0.6, where
    s(t) = 1 and s(-t) = q'(-4) = -19 / e^4 is the steepest descent. Rounded up in the sixth digit.

    1 (p = inf), 1.05882 (p = 2), 1.47152 (p = 1). The code of Ahn et al. 2022 divides by 1.06.
    """
    middle, descent = 2 / math.e, 19 * math.exp(-4)
    largest = 1.0 if math.isinf(p) else max(2 * middle**p, 1 + descent**p) ** (1 / p)
    return (1 + 1e-6) * largest


# Constants are suprema of |slope| rounded up, so that they stay bounds. LipSwish is silu as a scale family (paper,
# section 3.3, where beta = softplus(0.5) at first), CELU is ELU as one (Barron 2017: beta = 1 / alpha),
# sine as in Sitzmann et al. 2020. CLipSwish: Perugachi-Diaz et al. 2021; CPila: Ahn et al. 2022; MaxMin: Anil et al.
# 2019.
ACTIVATIONS: dict[str, Activation] = {
    "lipswish": Activation(
        "LipSwish", silu, _in_every_norm(SILU_CONSTANT), initial_scale=0.974, source="this paper, section 3.3"
    ),
    "sine": Activation("Sine", sine, _in_every_norm(1.0), initial_scale=2.0, source="Sitzmann et al. 2020"),
    "elu": Activation("ELU", elu, _in_every_norm(1.0), source="Clevert et al. 2016"),
    "tanh": Activation("Tanh", tanh, _in_every_norm(1.0), source="classical"),
    "softplus": Activation("Softplus", softplus, _in_every_norm(1.0), source="Dugas et al. 2001"),
    "relu": Activation("ReLU", relu, _in_every_norm(1.0), source="Nair & Hinton 2010"),
    "leaky_relu": Activation("Leaky ReLU", leaky_relu, _in_every_norm(1.0), source="Maas et al. 2013"),
    "celu": Activation("CELU", elu, _in_every_norm(1.0), initial_scale=1.0, source="Barron 2017"),
    "selu": Activation("SELU", selu, _in_every_norm(1.7581), source="Klambauer et al. 2017"),
    "gelu": Activation("GELU", gelu, _in_every_norm(1.12891), source="Hendrycks & Gimpel 2016"),
    "mish": Activation("Mish", mish, _in_every_norm(1.08851), source="Misra 2019"),
    "silu": Activation("SiLU", silu, _in_every_norm(SILU_CONSTANT), source="Elfwing et al. 2018"),
    "clipswish": Activation(
        "CLipSwish",
        silu,
        _silu_of_both_signs,
        initial_scale=0.974,
        arrangement=BOTH_SIGNS,
        source="Perugachi-Diaz et al. 2021",
    ),
    "cpila": Activation(
        "CPila", shifted_pila, _shifted_pila_of_both_signs, arrangement=BOTH_SIGNS, source="Ahn et al. 2022"
    ),
    "maxmin": Activation("MaxMin", identity, _in_every_norm(1.0), arrangement=SORTED_PAIRS, source="Anil et al. 2019"),
}
