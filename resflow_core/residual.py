"""The residual block f(x) = x + g(x) with Lip(g) <= L < 1, and its branch g (paper, section 2)."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resflow_core.activations import ACTIVATIONS
from resflow_core.bijection import Bijection
from resflow_core.inverse import solve_banach, solve_newton
from resflow_core.lipschitz import LipschitzLinear
from resflow_core.tangents import value_and_jacobian

# Newton's iteration carries d tangents a point and solves a d x d system; beyond this it no longer pays.
NEWTON_UP_TO_DIM = 8

# Without gradients nothing is kept, and the tangents of this many points stay in the processor's cache.
CHUNK = 1_000


class Branch(nn.Module):
    """The pre-activation MLP g(x) = W_n phi(... W_2 phi(W_1 phi(x) + b_1) + b_2 ...) + b_n.

    Its layers share the budget L = Lip(g) evenly: every ||W_i||_2 <= (L / prod Lip(phi))^(1/n).
    """

    def __init__(self, widths: list[int], activation: str, budget: float, generator: torch.Generator):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        n_layers = len(widths) - 1
        cap = budget ** (1 / n_layers) / self.activation.lipschitz
        self.linears = nn.ModuleList(LipschitzLinear(m, n, cap, generator) for m, n in pairwise(widths))
        start = self.activation.initial_scale
        self.raw_scales = None if start is None else nn.Parameter(torch.full((n_layers,), math.log(math.expm1(start))))

    @property
    def lipschitz(self) -> float:
        """The certified bound on ||A||_2: the product of the layers' caps and the activations' constants."""
        return math.prod(linear.cap * self.activation.lipschitz for linear in self.linears)

    @property
    def scales(self) -> Tensor | None:
        """Every layer's beta, (layers,), for the activations that have one."""
        return None if self.raw_scales is None else F.softplus(self.raw_scales)

    def _layers(self):
        scales = self.scales
        scales = [None] * len(self.linears) if scales is None else scales.unbind()
        return zip(scales, self.linears, strict=True)

    def forward(self, x: Tensor) -> Tensor:
        """g(x), (batch, d) -> (batch, d)."""
        for scale, linear in self._layers():
            x = linear(self.activation.scaled(x, scale)[0])
        return x

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """g(x), (batch, d), and A = dg/dx, (batch, d, d); once differentiable, by `resflow_core.tangents`."""
        if torch.is_grad_enabled():
            weights, biases = [linear.weight for linear in self.linears], [linear.bias for linear in self.linears]
            return value_and_jacobian(x, self.activation, self.scales, weights, biases)
        parts = [self.plain_value_and_jacobian(chunk) for chunk in x.split(CHUNK)]
        values, jacobians = zip(*parts, strict=True)
        return torch.cat(values), torch.cat(jacobians)

    def plain_value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `value_and_jacobian`, by automatic differentiation: slower, and differentiable any number of times.

        The d tangents travel along with the activations. A linear map takes tangents t to W t, an activation takes
        them to phi'(h) t.
        """
        h = x
        tangents = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)[:, None]  # (d, 1, d): one row a direction
        for scale, linear in self._layers():
            h, slope = self.activation.scaled(h, scale)
            weight = linear.weight
            h = F.linear(h, weight, linear.bias)
            tangents = F.linear(tangents * slope, weight)
        return h, tangents.permute(1, 2, 0)


class ResidualBlock(Bijection):
    """z = x + g(x): invertible since Lip(g) < 1, with log det(I + A) as the passed-in `log_det` computes it."""

    def __init__(self, branch: Branch, dim: int):
        super().__init__(dim)
        self.branch = branch

    def _forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)

    def _forward_and_log_det(self, x, log_det, generator):
        value, log_dets = log_det.value_and_log_det(self.branch, x, generator)
        return x + value, log_dets

    def _inverse(self, z: Tensor) -> Tensor:
        solve = solve_newton if self.dim <= NEWTON_UP_TO_DIM else solve_banach
        return solve(self.branch, z, self.branch.lipschitz)
