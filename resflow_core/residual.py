"""The residual block f(x) = x + g(x) with Lip(g) <= L < 1 (paper, section 2).

The branch g is a small network of Lipschitz layers. Its Jacobian A = J_g(x) comes from tangents that pass through the
network along with the points. `resflow_core.fast` computes the same values faster.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import jvp, vmap
from torch.nn import functional as F

from resflow_core.activations import activation_named
from resflow_core.bijection import Bijection
from resflow_core.fixed_point import solve_banach
from resflow_core.lipschitz import NORM_CHAINS, Constraint, LipschitzLinear, Norm, Soft
from resflow_core.log_det import LogDet

# Adam moves every parameter by about its learning rate a step. That suits a weight, but hardly moves a scale, so scales
# are faster, and find the size of the details by themselves. They stay within this factor of their initial value,
# because a steep and tiny wave makes itself steeper until training diverges.
SCALE_SPEED, SCALE_RANGE = 8.0, 4.0


class Branch(nn.Module):
    """The pre-activation network g(x) = W_n phi(... W_2 phi(W_1 phi(x) + b_1) + b_2 ...) + b_n.

    phi is 1-Lipschitz, so the n layers share the budget L >= Lip(g) evenly: every ||W_i|| <= L^(1/n). `chain` names the
    orders p_0, ..., p_n of the norms, which are all 2 by default. An activation with a learned scale has a beta_i in
    each layer. All of g is multiplied by `scale`: 1, unless a flow is broken on purpose.

    Another entry of `BRANCHES` says what differs: `shapes`, `scale_count`, `own_count`, `layer_bounds`, and the maps.
    """

    def __init__(
        self,
        widths: list[int],
        activation: str,
        budget: float,
        generator: torch.Generator,
        chain: str = "2",
        constraint: Constraint = Soft(),
    ):
        super().__init__()
        self.activation, self.chain, self.scale = activation_named(activation), NORM_CHAINS[chain], 1.0
        shapes = self.shapes(widths, self.activation.copies)
        n_layers, n_scales = len(shapes), self.scale_count(len(shapes))
        cap = budget ** (1 / n_layers)
        self.linears = nn.ModuleList(LipschitzLinear(m, n, cap, generator, constraint) for m, n in shapes)
        self.raw_scales = nn.Parameter(torch.zeros(n_scales)) if self.activation.initial_scale else None
        self.raw_orders = None
        if learned := self.chain.learned:
            start = [learned.raw(p) for p in self.chain.orders(n_layers)[:-1]]
            self.raw_orders = nn.Parameter(torch.tensor(start))

    @staticmethod
    def shapes(widths: list[int], copies: int) -> list[tuple[int, int]]:
        """(inputs, outputs) of every layer, for `copies` numbers from each unit of an activation."""
        return [(copies * m, n) for m, n in pairwise(widths)]

    @staticmethod
    def scale_count(layers: int) -> int:
        """The number of activations, each with a beta of its own."""
        return layers

    @staticmethod
    def own_count(layers: int) -> int:
        """The number of parameters beside those of layers, scales and orders."""
        return 0

    def layer_bounds(self, norms: Sequence[float]) -> list[float]:
        """Lipschitz bounds of the steps of g, whose product bounds Lip(g), from bounds of the layers' ||W_i||."""
        return list(norms)

    def forward(self, x: Tensor) -> Tensor:
        """g(x), (batch, d) -> (batch, d); differentiable any number of times."""
        for phi, linear, norm in self._layers():
            x = F.linear(phi(x), linear.weight(norm), linear.bias)
        return self.scale * x

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """g(x), (batch, d), and A = dg/dx, (batch, d, d); differentiable any number of times.

        The d tangents start as the unit vectors. An activation at h maps a tangent t to J_phi(h) t, and a layer maps it
        to W t. At the end they are the columns of A.
        """
        tangents = torch.eye(x.shape[1]).to(x)[:, None].expand(-1, *x.shape)
        for phi, linear, norm in self._layers():
            weight = linear.weight(norm)
            tangents = vmap(partial(_tangent, phi, x))(tangents) @ weight.T
            x = F.linear(phi(x), weight, linear.bias)
        return self.scale * x, self.scale * tangents.permute(1, 2, 0)

    @property
    def orders(self) -> list[float]:
        """p_0, p_1, ..., p_n = p_0. L holds in the norm of order p_0."""
        if self.raw_orders is None or self.chain.learned is None:
            return self.chain.orders(len(self.linears))
        inner = self.chain.learned.order(self.raw_orders.detach()).tolist()
        return [*inner, inner[0]]

    @property
    def norms(self) -> list[Norm]:
        """The norm that each layer is measured in, from p_{i-1} to p_i."""
        return [self.chain.norm(p, q) for p, q in pairwise(self.orders)]

    @property
    def scales(self) -> Tensor:
        """beta of every activation, (layers,) here; 1 for activations that have none."""
        initial = self.activation.initial_scale
        if self.raw_scales is None or initial is None:
            return next(self.parameters()).new_ones(self.scale_count(len(self.linears)))
        return initial * scale_factor(self.raw_scales)

    @property
    def lipschitz(self) -> float:
        """A certified bound of Lip(g): the scale times the product of the layers' caps. A layer without a cap that
        holds counts with its norm."""
        linears = cast("Sequence[LipschitzLinear]", self.linears)
        with torch.no_grad():
            bounds = [
                linear.cap if linear.constraint.certifies else float(norm(linear.weight(norm)[None]))
                for linear, norm in zip(linears, self.norms, strict=True)
            ]
        return self.scale * math.prod(self.layer_bounds(bounds))

    def size(self, x: Tensor) -> Tensor:
        """||x|| of columns, (d, batch) -> (batch,), in the norm of L."""
        return self.chain.vector_norm(x, self.orders[0], 0)

    def _layers(self) -> Iterator[tuple[Callable[[Tensor], Tensor], LipschitzLinear, Norm]]:
        """For each layer: phi_beta divided by its constant in the p-norm of its input, the linear map, and its norm."""
        linears = cast("Sequence[LipschitzLinear]", self.linears)
        for beta, p, linear, norm in zip(self.scales, self.orders[:-1], linears, self.norms, strict=True):
            yield partial(self.activation, beta=beta, p=p), linear, norm


@dataclass(frozen=True)
class BranchKind:
    """How the layers of a branch are joined: a name for people, and the class that computes it."""

    title: str
    network: type[Branch]


BRANCHES: dict[str, BranchKind] = {"residual": BranchKind("One after the other", Branch)}


def scale_factor(raw: Tensor) -> Tensor:
    """exp(r tanh(s raw / r)), with r = log SCALE_RANGE and s = SCALE_SPEED: the factor by which a raw scale multiplies
    the initial scale. It lies between 1 / SCALE_RANGE and SCALE_RANGE, and is 1 at raw = 0. Any shape, elementwise."""
    reach = math.log(SCALE_RANGE)
    return torch.exp(reach * torch.tanh(SCALE_SPEED / reach * raw))


def _tangent(phi: Callable[[Tensor], Tensor], h: Tensor, t: Tensor) -> Tensor:
    """J_phi(h) t."""
    return cast(Tensor, jvp(phi, (h,), (t,))[1])


class ResidualBlock(Bijection):
    """z = x + g(x): invertible since Lip(g) < 1, with log det(I + A) as the passed-in `log_det` computes it."""

    def __init__(self, branch: Branch, dim: int):
        super().__init__(dim)
        self.branch = branch

    def _forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)

    def _forward_and_log_det(
        self, x: Tensor, log_det: LogDet, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        value, log_dets = log_det.value_and_log_det(self.branch, x, generator)
        return x + value, log_dets

    def _inverse(self, z: Tensor) -> Tensor:
        return self.solve(z, self.branch.lipschitz)

    def solve(self, z: Tensor, lipschitz: float) -> Tensor:
        """x with x + g(x) = z, (batch, d), for a bound of g that is known already. Raises `NotConverged`."""
        return solve_banach(self.branch, z, lipschitz, size=self.branch.size)
