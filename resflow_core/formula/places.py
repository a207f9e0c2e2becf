"""Where on the line something happens to a formula that a grid may miss: kinks, and zeros of what has a power."""

from collections.abc import Iterator

import torch
from torch import Tensor

from resflow_core.formula.functions import FUNCTIONS
from resflow_core.formula.jets import derivatives_of
from resflow_core.formula.tree import Call, Node, Power, steps_of

# How far out they are looked for.
WITHIN = 20.0


def grid() -> Tensor:
    return torch.linspace(-WITHIN, WITHIN, 8_001, dtype=torch.float64)


def corners(tree: Node) -> Tensor:
    """Where a part with a kink is at it: a function at its 0, or min and max where both are the same."""
    places = []
    for node in steps_of(tree):
        if isinstance(node, Call) and node.name in ("min", "max"):
            places.append(_zeros(Call("-", node.parts)))
        elif isinstance(node, Call) and node.name in FUNCTIONS and FUNCTIONS[node.name].kink:
            places.append(_zeros(node.parts[0]))
    return _together(places)


def roots(tree: Node) -> Tensor:
    """Where what has a fractional power, or its slope, is 0."""
    fractional = [node for node in steps_of(tree) if isinstance(node, Power) and node.exponent.denominator > 1]
    return _together([_zeros(node.base, order) for node in fractional for order in (0, 1)])


def _together(places: list[Tensor]) -> Tensor:
    return torch.cat(places) if places else torch.empty(0, dtype=torch.float64)


@torch.no_grad()
def _zeros(node: Node, order: int = 0) -> Tensor:
    """Where a derivative of a part changes its sign or touches 0, among a grid's nodes and between, by bisection; of an
    interval where it is 0 the ends."""
    derivatives, z = derivatives_of(node), grid()

    def value(t: Tensor) -> Tensor:
        return _nth(derivatives(t), order)

    values = value(z)
    zero = values == 0
    inside = torch.zeros_like(zero)
    inside[1:-1] = zero[:-2] & zero[2:]
    crossing = values[:-1] * values[1:] < 0
    low, high = z[:-1][crossing], z[1:][crossing]
    rising = values[1:][crossing] > 0
    for _ in range(60 if len(low) else 0):
        middle = (low + high) / 2
        left = (value(middle) > 0) == rising
        low, high = torch.where(left, low, middle), torch.where(left, middle, high)
    return torch.cat([z[zero & ~inside], (low + high) / 2])


def _nth(derivatives: Iterator[Tensor], order: int) -> Tensor:
    for _ in range(order):
        next(derivatives)
    return next(derivatives)
