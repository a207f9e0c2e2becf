"""Activations of the residual branch, each as value and slope. One entry of `ACTIVATIONS` adds one.

The paper (section 3.3) asks two things of an activation phi: |phi'| <= 1 everywhere, and a second derivative that does
not vanish asymptotically where |phi'| is near 1, because the gradient of the log determinant contains phi''. Dividing a
function by its Lipschitz constant gives the first; LipSwish also has the second.

A branch needs phi for its value and phi' for its Jacobian, so a function here yields both. Autograd differentiates
both, so phi'' is written nowhere. Inside a branch points are columns, (units, batch).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

ValueAndSlope = Callable[[Tensor], Iterator[Tensor]]
"""A function of one number: it yields its value and then its slope at every t, in the shape of t, each computed only
when it is asked for. It may yield its curvature too, which spares `resflow_core.fast` autograd's; no one else asks."""


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


def no_pattern(t: Tensor) -> None:
    return None


def _as_it_is(u: Tensor, _: Tensor | None) -> Tensor:
    return u


IN_PLACE = Arrangement(no_pattern, _as_it_is, _as_it_is, name="in place")


class Near(NamedTuple):
    """An activation near the pre-activations t: raw(t + e) = value + J e + O(e^2)."""

    t: Tensor  # (units, batch)
    value: Tensor  # (copies * units, batch)
    slope: Tensor  # (copies * units, batch)
    pattern: Tensor | None
    arrangement: Arrangement

    def pushed(self, tangents: Tensor) -> Tensor:
        """J e, for tangents e, (units, k, batch) -> (copies * units, k, batch)."""
        return self.slope[:, None] * self.arrangement.apply(tangents, self.pattern)

    def pulled(self, w: Tensor) -> Tensor:
        """J'w, for w, (copies * units, k, batch) -> (units, k, batch)."""
        return self.arrangement.transpose(self.slope[:, None] * w, self.pattern)

    @property
    def is_elementwise(self) -> bool:
        """Whether J is diagonal at every point: the slopes."""
        return self.arrangement is IN_PLACE

    def parts(self) -> list[tuple[Tensor, Tensor | slice]]:
        """J as a sum of matrices with one entry in each row: the entry of every row, (copies * units, batch), and the
        column in which it is. Each row of an arrangement has its entry in one of a few columns, those of a pair."""
        if self.is_elementwise:
            return [(self.slope, slice(None))]
        together = self.arrangement.together
        count = len(self.slope) // self.arrangement.copies
        units, own = torch.arange(count), torch.arange(len(self.slope)) % count
        found = list[tuple[Tensor, Tensor | slice]]()
        for r in range(together):
            chosen = (units % together == r).to(self.slope)[:, None].expand(count, self.slope.shape[1])
            sources = (own - own % together + r).clamp(max=count - 1).to(self.slope.device)
            found.append((self.slope * self.arrangement.apply(chosen, self.pattern), sources))
        return found


def _one(p: float) -> float:
    """The Lipschitz constant of a function of one number is the same in every p-norm."""
    return 1.0


def constant(value: float) -> Callable[[float], float]:
    """The Lipschitz constant of a function of one number, in every p-norm."""
    return lambda p: value


@dataclass(frozen=True)
class Activation:
    """phi = raw / C, where raw arranges the units and then applies one function to every number.

    `function` is that function, with its slope. C = `lipschitz(p)` is the Lipschitz constant of raw in the p-norm,
    rounded up, so phi is 1-Lipschitz. With `initial_scale` the activation is a family with a learned scale beta > 0,
    phi_beta(z) = raw(beta z) / (C beta), whose constant is that of phi. `text` is the function as a formula in z, in
    the language of `resflow_core.expressions`, with the same value and slope, at corners too; "" if it has none.
    `temporaries` is how many numbers a unit needs at most while it is evaluated, beside its value.
    """

    title: str
    function: ValueAndSlope
    lipschitz: Callable[[float], float] = _one
    initial_scale: float | None = None
    arrangement: Arrangement = IN_PLACE
    text: str = ""
    temporaries: int = 0
    source: str = ""

    def near(self, t: Tensor) -> Near:
        """raw near t, (units, batch)."""
        pattern = self.arrangement.pattern(t)
        value, slope = islice(self.function(self.arrangement.apply(t, pattern)), 2)
        return Near(t, value, slope, pattern, self.arrangement)

    def raw(self, t: Tensor) -> Tensor:
        """raw(t), (units, batch) -> (copies * units, batch)."""
        return next(self.function(self.arrangement.apply(t, self.arrangement.pattern(t))))

    def __call__(self, z: Tensor, beta: Tensor | float = 1.0, p: float = 2.0) -> Tensor:
        """phi_beta(z), (units, batch) -> (copies * units, batch), 1-Lipschitz in the p-norm; differentiable any number
        of times."""
        return self.raw(beta * z) / (self.lipschitz(p) * beta)

    @property
    def is_elementwise(self) -> bool:
        """Whether phi is one function of one number, applied to every unit by itself."""
        return self.arrangement is IN_PLACE

    @property
    def copies(self) -> int:
        """How many numbers come out of a unit."""
        return self.arrangement.copies

    def __deepcopy__(self, memo: dict[int, object]) -> "Activation":
        """Itself: an activation has no state, so copies of a flow share it."""
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        """An entry of `ACTIVATIONS` is pickled by its key, since some functions in it cannot be."""
        name = next((name for name, entry in ACTIVATIONS.items() if entry is self), None)
        return super().__reduce_ex__(protocol) if name is None else (activation_named, (name,))


# The largest slope of swish, rounded up so that it stays a bound. The paper writes 1.1, which is rounded further.
SWISH = 1.09984


def silu(t: Tensor) -> Iterator[Tensor]:
    """Swish, y = t s with the logistic s; s + y (1 - s). LipSwish is y / 1.1 (paper, section 3.3)."""
    s = torch.sigmoid(t)
    yield (y := t * s)
    yield torch.lerp(y, s.new_ones(()), s)


def sine(t: Tensor) -> Iterator[Tensor]:
    """sin t; cos t; -sin t: curved all along the line (Sitzmann et al. 2020)."""
    yield (y := torch.sin(t))
    yield torch.cos(t)
    yield -y


def tanh(t: Tensor) -> Iterator[Tensor]:
    """y = tanh t; 1 - y^2."""
    yield (y := torch.tanh(t))
    yield 1 - y**2


def elu(t: Tensor) -> Iterator[Tensor]:
    """t for t > 0, exp(t) - 1 below; the slope is 1 wherever the curvature is 0, which starves the log determinant.
    With a scale it is CELU (Barron 2017, with alpha = 1 / beta)."""
    negative = t.clamp(max=0)
    yield torch.where(t > 0, t, torch.expm1(negative))
    yield torch.exp(negative)


def softplus(t: Tensor) -> Iterator[Tensor]:
    """log(1 + exp t); the logistic."""
    yield F.softplus(t)
    yield torch.sigmoid(t)


def relu(t: Tensor) -> Iterator[Tensor]:
    """max(t, 0): no curvature anywhere, so the log det's gradient reaches no pre-activation."""
    return two_lines(t, 0.0)


def two_lines(t: Tensor, below: float) -> Iterator[Tensor]:
    """t for t > 0, `below` t below."""
    yield torch.where(t > 0, t, below * t)
    yield torch.where(t > 0, t.new_ones(()), below)


ACTIVATIONS: dict[str, Activation] = {
    "lipswish": Activation(
        "LipSwish", silu, constant(SWISH), initial_scale=0.974, text="silu(z)", source="this paper, section 3.3"
    ),
    "sine": Activation("Sine", sine, initial_scale=2.0, text="sin(z)", source="Sitzmann et al. 2020"),
    "elu": Activation("ELU", elu, text="elu(z)", source="Clevert et al. 2016"),
    "tanh": Activation("Tanh", tanh, text="tanh(z)", source="classical"),
    "softplus": Activation("Softplus", softplus, text="softplus(z)", source="Dugas et al. 2001"),
    "relu": Activation("ReLU", relu, text="relu(z)", source="Nair & Hinton 2010"),
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


def curvature(function: ValueAndSlope, t: Tensor) -> Tensor:
    """raw'' in the shape of t, by autograd from the slope; a constant."""
    with torch.enable_grad():
        t = t.detach().requires_grad_()
        _, slope = islice(function(t), 2)
        return torch.autograd.grad(slope.sum(), t)[0] if slope.requires_grad else torch.zeros_like(t)
