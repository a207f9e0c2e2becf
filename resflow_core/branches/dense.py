"""Dense branches: i-DenseNets (Perugachi-Diaz, Tomczak, Bhulai, NeurIPS 2021, arXiv:2102.02694).

A dense layer keeps its input h and adds the outputs of new units beside it, with learned weights eta:

    D(h) = [c eta_1 h / k; eta_2 phi(W h + b)],   ||W||_{p->q} <= c,   eta_1^q + eta_2^q = 1

and a branch is g(x) = W_n D_{n-1}(... D_1(x)) + b_n with ||W_n|| <= c. The n steps share the budget L evenly,
c = L^(1/n), as in `resflow_core.residual.Branch`. p is the order of the norm that h is measured in, q that of D(h).
k = max(1, m^(1/q - 1/p)) is the norm of the identity from p to q on the m numbers of h. In the 2-norm, as in their
paper, p = q = 2 and k = 1.

The certificate. phi is 1-Lipschitz in the q-norm, so for two points h and h'

    ||D(h) - D(h')||_q <= ||(c eta_1, eta_2 ||W||)||_q ||h - h'||_p <= c ||(eta_1, eta_2)||_q ||h - h'||_p,

where the last norm of eta is 1. So Lip(D) <= c and Lip(g) <= c^n = L, for every eta, W and b. The bound is reached: if
W is c times an isometry and phi has its largest slope at W h + b, both inequalities are equalities. If a cap does not
hold, the step counts with ||(c eta_1, eta_2 ||W||)||_q. This does not fall to ||W|| as W falls to 0, because h still
passes.

What was checked of the published constants. The paper divides LipSwish of z and -z by 1.004. In the 2-norm that holds:
sqrt(1.09984^2 + 0.09984^2) / 1.1 = 1.00397. In the 1-norm the same function has the constant 1.0862, so it is divided
by the constant of the norm at hand here. eta_1^2 + eta_2^2 = 1 also belongs to the 2-norm: in the 1-norm such a
concatenation has eta_1 + eta_2, up to 1.414, for each layer. Their code multiplies the concatenation by 0.98 and caps W
at 0.98 beside it, so a block with three layers has less than its coefficient. Here one c does both. Their norms come
from power iteration, which is a lower bound; here they are bounded from above.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import jvp, vmap
from torch.nn import functional as F

from resflow_core.lipschitz import LipschitzLinear
from resflow_core.residual import BRANCHES, Branch, BranchKind

# Both weights stay above this share, so that neither the input nor the new units are ever lost (as in their code).
LEAST_WEIGHT = 0.1


class DenseBranch(Branch):
    """g(x) = W_n D_{n-1}(... D_1(x)) + b_n, as above, with a beta of phi and two weights eta in each dense layer.

    eta = u / ||u||_q with u = softplus(raw) + 0.1, from raw = 1: both weights are equal at first. `widths` has the
    units that each dense layer adds. An activation that makes several numbers of a unit adds that many.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.raw_concat = nn.Parameter(torch.ones(self.own_count(len(self.linears))))

    @staticmethod
    def shapes(widths: list[int], copies: int) -> list[tuple[int, int]]:
        first, *added, last = widths
        seen = accumulate([first, *(copies * units for units in added)])
        return list(zip(seen, [*added, last], strict=True))

    @staticmethod
    def scale_count(layers: int) -> int:
        return layers - 1

    @staticmethod
    def own_count(layers: int) -> int:
        return 2 * (layers - 1)

    def layer_bounds(self, norms: Sequence[float]) -> list[float]:
        """||(c eta_1, eta_2 ||W_i||)||_q of every dense layer, at most c if ||W_i|| <= c, and ||W_n||.

        If all ||W_i|| are at most c, that is what the cap promises, and the bound is c itself.
        """
        *inner, last = norms
        caps, etas = [linear.cap for linear in self._dense], self.etas.detach().double()
        found = []
        for norm, cap, eta, q in zip(inner, caps, etas, self.orders[1:], strict=False):
            step = float(torch.linalg.vector_norm(eta * eta.new_tensor([cap, norm]), q))
            found.append(cap if norm == cap else step)
        return [*found, last]

    @property
    def etas(self) -> Tensor:
        """(eta_1, eta_2) of every dense layer, (layers - 1, 2): their q-norm is 1."""
        return normalised(self.raw_concat.view(-1, 2), self.orders[1:-1])

    @property
    def kept(self) -> list[float]:
        """c / k of every dense layer: by what, beside eta_1, its input is multiplied."""
        return [
            linear.cap / max(1.0, linear.raw.shape[1] ** (1 / q - 1 / p))
            for linear, (p, q) in zip(self._dense, pairwise(self.orders), strict=False)
        ]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self._steps():
            x = layer(x)
        return self.scale * x

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tangents = torch.eye(x.shape[1]).to(x)[:, None].expand(-1, *x.shape)
        for layer in self._steps():
            tangents = vmap(partial(_tangent, layer, x))(tangents)
            x = layer(x)
        return self.scale * x, self.scale * tangents.permute(1, 2, 0)

    def pre_activations(self, x: Tensor) -> Iterator[Tensor]:
        """W h + b of every dense layer, (batch, units)."""
        for linear, norm, step in zip(self._dense, self.norms, self._steps(), strict=False):
            yield F.linear(x, linear.weight(norm), linear.bias)
            x = step(x)

    @property
    def _dense(self) -> list[LipschitzLinear]:
        return cast("list[LipschitzLinear]", [*self.linears][:-1])

    def _steps(self) -> Iterator[Callable[[Tensor], Tensor]]:
        """D_1, ..., D_{n-1}, and the last layer: each a function of points, (batch, units)."""
        *norms, outer = self.norms
        parts = zip(self._dense, norms, self.scales, self.etas, self.kept, strict=True)
        for linear, norm, beta, (keep, add), kept in parts:
            phi = partial(self.activation, beta=beta, p=cast(float, norm.q))
            yield partial(_dense_layer, linear.weight(norm), linear.bias, phi, kept * keep, add)
        last = cast(LipschitzLinear, self.linears[-1])
        yield partial(_affine, last.weight(outer), last.bias)


def normalised(raw: Tensor, orders: Sequence[float]) -> Tensor:
    """eta of dense layers, (..., layers, 2), from raw of that shape. In layer i its norm of order orders[i] is 1."""
    weights = F.softplus(raw) + LEAST_WEIGHT
    norms = [torch.linalg.vector_norm(weights[..., i, :], q, -1) for i, q in enumerate(orders)]
    return weights / torch.stack(norms, -1)[..., None]


def _dense_layer(
    weight: Tensor, bias: Tensor, phi: Callable[[Tensor], Tensor], keep: Tensor, add: Tensor, h: Tensor
) -> Tensor:
    return torch.cat([keep * h, add * phi(F.linear(h, weight, bias))], -1)


def _affine(weight: Tensor, bias: Tensor, h: Tensor) -> Tensor:
    return F.linear(h, weight, bias)


def _tangent(layer: Callable[[Tensor], Tensor], h: Tensor, t: Tensor) -> Tensor:
    """J(h) t."""
    return cast(Tensor, jvp(layer, (h,), (t,))[1])


BRANCHES["dense"] = BranchKind("Dense (i-DenseNet)", DenseBranch)
