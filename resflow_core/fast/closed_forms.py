"""Value, slope and curvature of each activation in closed form, for a backward pass by hand.

`resflow_core.activations` defines the functions. Here each is written once more without its Lipschitz constant C, as
raw = C phi, for points as columns. An element-wise activation without an entry is differentiated automatically.

The functions of t below yield value, slope and curvature, each in the shape of t.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from resflow_core import activations
from resflow_core.activations import GELU, MISH, SELU, SWISH, Activation, clipswish_constant, cpila_constant

Derivatives = Callable[[Tensor], Iterator[Tensor]]


@dataclass(frozen=True)
class Arrangement:
    """A linear map that rearranges units before a function is applied to each. It may depend on the points.

    `pattern(t)` holds the choice of the points t, (units, batch). `apply(u, pattern)` maps u, (units, ..., batch), to
    (copies * units, ..., batch), and `transpose` is its adjoint. The map is constant near t, so it maps tangents in the
    same way as points. `together` neighbouring units may change places. `name` is what a reader in another language
    knows the map by; one without a name is not for such a reader.
    """

    pattern: Callable[[Tensor], Tensor | None]
    apply: Callable[[Tensor, Tensor | None], Tensor]
    transpose: Callable[[Tensor, Tensor | None], Tensor]
    copies: int = 1
    together: int = 1
    name: str = ""


def _both_signs(u: Tensor, _: None) -> Tensor:
    return torch.cat([u, -u])


def _difference(u: Tensor, _: None) -> Tensor:
    positive, negative = u.chunk(2)
    return positive - negative


def _pairs(u: Tensor) -> tuple[Tensor, Tensor]:
    """(u_1, u_3, ...) and (u_2, u_4, ...) as views. With an odd number of units, the last one is in neither."""
    return u[0 : len(u) - 1 : 2], u[1::2]


def _ascending(t: Tensor) -> Tensor:
    first, second = _pairs(t)
    return first < second


def _swapped(u: Tensor, swap: Tensor) -> Tensor:
    """u with the pairs exchanged where `swap` is true. The map is its own transpose."""
    if u.ndim == 3:
        swap = swap[:, None]
    out = u.clone()
    (first, second), (out_first, out_second) = _pairs(u), _pairs(out)
    out_first.copy_(torch.where(swap, second, first))
    out_second.copy_(torch.where(swap, first, second))
    return out


IN_PLACE = Arrangement(lambda t: None, lambda u, _: u, lambda u, _: u, name="in place")
BOTH_SIGNS = Arrangement(lambda t: None, _both_signs, _difference, copies=2, name="both signs")
SORTED_PAIRS = Arrangement(_ascending, _swapped, _swapped, together=2, name="sorted pairs")


@dataclass(frozen=True)
class ClosedForm:
    """raw = C phi with C the Lipschitz constant of raw.

    raw arranges the units and then applies one function to every number. `derivatives(t)` yields value, slope and
    curvature of this function at t, each computed only on demand. `lipschitz(p)` is the constant of raw in the p-norm,
    rounded up. For a family with a scale beta, this is beta = 1: phi_beta(z) = raw(beta z) / (C beta).

    `text` is the function of one number as a formula in z, in the language of `resflow_core.expressions`, whose value
    and slope are those of `derivatives`, at corners too. It is "" for a function that is known by differentiation only.
    """

    derivatives: Derivatives
    lipschitz: Callable[[float], float]
    arrangement: Arrangement = IN_PLACE
    text: str = ""

    def __deepcopy__(self, memo: dict) -> "ClosedForm":
        """Itself: copies of a flow share it."""
        return self

    @property
    def is_elementwise(self) -> bool:
        """Whether phi is one function of one number, applied to every unit by itself."""
        return self.arrangement is IN_PLACE

    def raw(self, t: Tensor) -> Tensor:
        """raw(t), (units, batch) -> (copies * units, batch); differentiable any number of times."""
        return next(self.derivatives(self.arrangement.apply(t, self.arrangement.pattern(t))))

    def phi(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """phi(t), phi'(t), phi''(t) in the shape of t. Raises ValueError for an activation that is not element-wise."""
        if not self.is_elementwise:
            raise ValueError("This activation is not a function of one number: it acts on several units together.")
        return tuple(d / self.lipschitz(2) for d in self.derivatives(t))


def silu(t: Tensor) -> Iterator[Tensor]:
    """y = t s with the logistic s; y' = y + s (1 - y); y'' = (1 - s) (2 y' - y)."""
    s = torch.sigmoid(t)
    yield (y := t * s)
    yield (slope := torch.lerp(y, y.new_ones(()), s))
    yield torch.lerp(torch.lerp(y, slope, 2.0), y.new_zeros(()), s)


def sine(t: Tensor) -> Iterator[Tensor]:
    """sin t; cos t; -sin t. The curvature does not vanish far from 0."""
    yield (y := torch.sin(t))
    yield torch.cos(t)
    yield -y


def tanh(t: Tensor) -> Iterator[Tensor]:
    """y = tanh t; y' = 1 - y^2; y'' = -2 y y'."""
    yield (y := torch.tanh(t))
    yield (slope := 1 - y**2)
    yield -2 * y * slope


def elu(t: Tensor) -> Iterator[Tensor]:
    """t for t > 0, exp(t) - 1 below.

    For t > 0 the slope is 1 and the curvature 0, so the log det's gradient does not reach these pre-activations.
    """
    negative = t.clamp(max=0)
    yield torch.where(t > 0, t, torch.expm1(negative))
    yield (slope := torch.exp(negative))
    yield torch.where(t > 0, 0, slope)


# Klambauer et al. 2017, section 2: they keep mean 0 and variance 1 in wide layers with random weights.
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def selu(t: Tensor) -> Iterator[Tensor]:
    """1.0507 t for t > 0, 1.7581 (exp(t) - 1) below. It is steepest just below 0."""
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
    """max(t, 0). The curvature is 0, so the log det's gradient reaches no pre-activation."""
    return _two_lines(t, 0.0)


def leaky_relu(t: Tensor) -> Iterator[Tensor]:
    """t for t > 0, t / 100 below. The curvature is 0."""
    return _two_lines(t, 0.01)


def identity(t: Tensor) -> Iterator[Tensor]:
    """t, for activations whose only nonlinearity is sorting."""
    return _two_lines(t, 1.0)


def _two_lines(t: Tensor, below: float) -> Iterator[Tensor]:
    yield torch.where(t > 0, t, below * t)
    yield torch.where(t > 0, t.new_ones(()), below)
    yield torch.zeros_like(t)


def gelu(t: Tensor) -> Iterator[Tensor]:
    """t P with the normal distribution function P and density p; P + t p; (2 - t^2) p (Hendrycks & Gimpel 2016)."""
    below = torch.special.ndtr(t)
    yield t * below
    density = torch.exp(-0.5 * t**2) / math.sqrt(2 * math.pi)
    yield below + t * density
    yield (2 - t**2) * density


def mish(t: Tensor) -> Iterator[Tensor]:
    """t w with w = tanh(log(1 + exp t)); w + t w'; w' (2 + t (1 - s - 2 w s)) (Misra 2019).

    Here w' = (1 - w^2) s, and s is the logistic.
    """
    w = torch.tanh(torch.nn.functional.softplus(t))
    yield t * w
    s = torch.sigmoid(t)
    w_slope = (1 - w**2) * s
    yield w + t * w_slope
    yield w_slope * (2 + t * (1 - s - 2 * w * s))


# The rate at which Pila bends, and the shift of both copies times the rate (Ahn et al. 2022, and their code).
PILA_RATE, PILA_SHIFT = 5.0, 1.0


def shifted_pila(t: Tensor) -> Iterator[Tensor]:
    """Pila(t - 1/5), with Pila(t) = t for t > 0 and q(5 t) / 5 below.

    q(u) = (u^3 / 2 - u^2 + u) exp u; q'(u) = (u^3 / 2 + u^2 / 2 - u + 1) exp u; q''(u) = u^2 (u / 2 + 2) exp u.
    So the first three derivatives are continuous.
    """
    u = PILA_RATE * t - PILA_SHIFT
    below = u.clamp(-80, 0)  # below -80, single precision has only denormal numbers, which are slow
    decay = torch.exp(below)
    yield torch.where(u > 0, u, ((0.5 * below - 1) * below + 1) * below * decay) / PILA_RATE
    yield torch.where(u > 0, 1.0, (((0.5 * below + 0.5) * below - 1) * below + 1) * decay)
    yield PILA_RATE * below**2 * (0.5 * below + 2) * decay


def _in_every_norm(constant: float) -> Callable[[float], float]:
    """The constant of a function of one number. It is the same in every p-norm."""
    return lambda p: constant


class NoClosedForm(ValueError):
    """The activation has no closed form, and automatic differentiation cannot replace it."""


# Below 0 only the second term has a slope, and at 0 the slope is that from below.
_SELU = f"{SELU_SCALE!r} * relu(z) + {SELU_SCALE * SELU_ALPHA!r} * elu(min(z, 0))"
_BEND = f"min({PILA_RATE:g} * z - {PILA_SHIFT:g}, 0)"
_SHIFTED_PILA = (
    f"(relu({PILA_RATE:g} * z - {PILA_SHIFT:g}) + (({_BEND} / 2 - 1) * {_BEND} + 1) * {_BEND} * exp({_BEND}))"
    f" / {PILA_RATE:g}"
)

# The keys are functions of `resflow_core.activations`, so that no name stands in two lists.
CLOSED_FORMS: dict[Callable[..., Tensor], ClosedForm] = {
    activations.lipswish: ClosedForm(silu, _in_every_norm(SWISH), text="silu(z)"),
    activations.sine: ClosedForm(sine, _in_every_norm(1.0), text="sin(z)"),
    activations.celu: ClosedForm(elu, _in_every_norm(1.0), text="elu(z)"),
    activations.elu: ClosedForm(elu, _in_every_norm(1.0), text="elu(z)"),
    activations.selu: ClosedForm(selu, _in_every_norm(SELU), text=_SELU),
    activations.gelu: ClosedForm(gelu, _in_every_norm(GELU), text="gelu(z)"),
    activations.mish: ClosedForm(mish, _in_every_norm(MISH), text="mish(z)"),
    activations.leaky_relu: ClosedForm(leaky_relu, _in_every_norm(1.0), text="max(z / 100, z)"),
    torch.tanh: ClosedForm(tanh, _in_every_norm(1.0), text="tanh(z)"),
    F.softplus: ClosedForm(softplus, _in_every_norm(1.0), text="softplus(z)"),
    F.relu: ClosedForm(relu, _in_every_norm(1.0), text="relu(z)"),
    activations.clipswish: ClosedForm(silu, clipswish_constant, BOTH_SIGNS, "silu(z)"),
    activations.cpila: ClosedForm(shifted_pila, cpila_constant, BOTH_SIGNS, _SHIFTED_PILA),
    activations.maxmin: ClosedForm(identity, _in_every_norm(1.0), SORTED_PAIRS, "z"),
}


def closed_form(activation: Activation) -> ClosedForm:
    """The closed form of an activation: that of its function, or one by automatic differentiation.

    Raises `NoClosedForm`, a ValueError, if the activation acts on several units together and has no entry.
    """
    function = activation.function
    found = getattr(function, "closed_form", None) or CLOSED_FORMS.get(function)
    if found is None and not activation.is_elementwise:
        raise NoClosedForm(f"{activation.title} acts on several units together: give it an entry of `CLOSED_FORMS`.")
    return found or ClosedForm(_by_autograd(activation), activation.lipschitz)


def _by_autograd(activation: Activation) -> Derivatives:
    """Value, slope and curvature by forward-mode differentiation."""

    def slope(t: Tensor) -> Tensor:
        return torch.func.jvp(activation, (t,), (torch.ones_like(t),))[1]

    def derivatives(t: Tensor) -> Iterator[Tensor]:
        yield activation(t)
        yield slope(t)
        yield torch.func.jvp(slope, (t,), (torch.ones_like(t),))[1]

    return derivatives
