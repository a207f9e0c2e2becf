"""Places of a formula that a grid may miss: kinks, and zeros of bases with a fractional power."""

from collections.abc import Collection, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from resflow_core.expressions.functions import FUNCTIONS
from resflow_core.expressions.jets import derivatives_of
from resflow_core.expressions.tree import Call, Node, Power, steps_of

# The search covers |z| <= WITHIN.
WITHIN = 20.0
# The most places times parts computed there that a search for kinks looks at, and the same again for roots. A formula
# such as abs(sin(600*z)) has thousands of places.
MOST_WORK = 200_000


def grid() -> Tensor:
    """8,001 equally spaced points on [-`WITHIN`, `WITHIN`], float64."""
    return torch.linspace(-WITHIN, WITHIN, 8_001, dtype=torch.float64)


@lru_cache(maxsize=4)
def corners(tree: Node) -> Tensor:
    """The z at which a part is at its kink: a function at argument 0, or min and max of equal arguments; float64."""
    of_pairs = [Call("-", node.parts) for node in steps_of(tree) if _is_call(node, ("min", "max"))]
    kinked = [name for name, function in FUNCTIONS.items() if function.kink]
    return _zeros_of(tree, [*of_pairs, *(node.parts[0] for node in steps_of(tree) if _is_call(node, kinked))], (0,))


def roots(tree: Node) -> Tensor:
    """The z at which the base of a fractional power, or its slope, is 0; float64."""
    fractional = [node for node in steps_of(tree) if isinstance(node, Power) and node.exponent.denominator > 1]
    return _zeros_of(tree, [node.base for node in fractional], (0, 1))


def _is_call(node: Node, names: Collection[str]) -> bool:
    return isinstance(node, Call) and node.name in names


def _zeros_of(tree: Node, parts: list[Node], orders: tuple[int, ...]) -> Tensor:
    """The z at which a derivative of these orders of one of these parts is 0; as many as `MOST_WORK` allows."""
    each = MOST_WORK // max(1, len(parts) * len(orders))
    found = [_zeros(part, order, each // len(steps_of(part))) for part in parts for order in orders]
    return _some(torch.cat([torch.empty(0, dtype=torch.float64), *found]).unique(), MOST_WORK // len(steps_of(tree)))


def _some(places: Tensor, most: int) -> Tensor:
    """At most `most` of the places: half of them nearest to 0, the other half spread over the rest."""
    if len(places) <= most:
        return places
    outwards = places[places.abs().argsort()]
    rest = torch.linspace(most // 2, len(places) - 1, most - most // 2).long()
    return torch.cat([outwards[: most // 2], outwards[rest]])


@torch.no_grad()
def _zeros(node: Node, order: int, most: int) -> Tensor:
    """The z at which a derivative of a part is 0: nodes of the grid, and sign changes between nodes by bisection.

    If it is 0 on an interval, only the ends count. At most `most` sign changes are followed.
    """
    derivatives, z = derivatives_of(node), grid()

    def value(t: Tensor) -> Tensor:
        return _nth(derivatives(t), order)

    values = value(z)
    zero = values == 0
    inside = torch.zeros_like(zero)
    inside[1:-1] = zero[:-2] & zero[2:]
    crossing = _some(torch.nonzero(values[:-1] * values[1:] < 0)[:, 0] - len(z) // 2, most) + len(z) // 2
    low, high = z[crossing], z[crossing + 1]
    rising = values[crossing + 1] > 0
    for _ in range(60):
        middle = (low + high) / 2
        if bool(((middle == low) | (middle == high)).all()):
            break
        left = (value(middle) > 0) == rising
        low, high = torch.where(left, low, middle), torch.where(left, middle, high)
    return torch.cat([z[zero & ~inside], (low + high) / 2])


def _nth(derivatives: Iterator[Tensor], order: int) -> Tensor:
    for _ in range(order):
        next(derivatives)
    return next(derivatives)
