"""tr A of a branch in closed form, which costs about one product of a matrix and the points:

    A = W_2 J(h) W_1 J(x),   h = W_1 phi(x) + b_1
    tr A = phi'(h)' (W_1 o W_2') phi'(x)                                                o: entry by entry

for one hidden layer and an activation of each unit by itself. With more hidden layers the matrix between the slopes is
another one at each point, and takes d products. Continuous flows have exact traces by such formulas (OT-Flow, Onken et
al. 2021, section 3).

An activation that arranges its units first has J = raw'(P t) P. Each row of P has one entry, or where the arrangement
depends on the points, one in a few columns: those of a pair of units. So J is a sum of matrices with one entry in each
row, `of` in the column `sources`, and tr A is a sum over pairs of these.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from resflow_core.fast.closed_forms import ClosedForm


class Slopes(NamedTuple):
    """A part of J(t): the output i depends on t_j, j = sources[i], with the slope of[i]."""

    of: Tensor  # (outputs, batch)
    sources: Tensor | slice  # (outputs,)


def value_and_slopes(activation: ClosedForm, t: Tensor) -> tuple[Tensor, list[Slopes]]:
    """raw(t), (units, batch) -> (copies * units, batch), and the parts of its Jacobian; differentiable."""
    arrangement, units = activation.arrangement, torch.arange(len(t), device=t.device)
    pattern = arrangement.pattern(t)
    derivatives = activation.derivatives(arrangement.apply(t, pattern))
    value, slope = next(derivatives), next(derivatives)
    if activation.is_elementwise:
        return value, [Slopes(slope, slice(None))]
    own = torch.arange(len(value), device=t.device) % len(t)
    parts = []
    for r in range(arrangement.together):
        moved = arrangement.apply((units % arrangement.together == r).to(t)[:, None].expand_as(t), pattern)
        sources = (own - own % arrangement.together + r).clamp(max=len(t) - 1)
        parts.append(Slopes(slope * moved, sources))
    return value, parts


def trace(outer: Tensor, at_h: Sequence[Slopes], inner: Tensor, at_x: Sequence[Slopes]) -> Tensor:
    """tr(W_2 J(h) W_1 J(x)), (batch,), for W_2 = `outer` and W_1 = `inner`."""
    total = torch.zeros(()).to(outer)
    for a, b in product(at_h, at_x):
        total = total + (a.of * ((inner[a.sources] * outer[b.sources].T) @ b.of)).sum(0)
    return total
