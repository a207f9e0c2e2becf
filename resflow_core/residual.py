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

    phi is 1-Lipschitz, so the layers share the budget L = Lip(g) evenly: every ||W_i||_2 <= L^(1/n). An activation with
    a learnable scale has one of its own, beta_i, in each layer.
    """

    def __init__(self, widths: list[int], activation: str, budget: float, generator: torch.Generator):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        n_layers, copies = len(widths) - 1, self.activation.arrangement.copies
        cap = budget ** (1 / n_layers)
        self.linears = nn.ModuleList(LipschitzLinear(copies * m, n, cap, generator) for m, n in pairwise(widths))
        start = self.activation.initial_scale
        self.raw_scales = None if start is None else nn.Parameter(torch.full((n_layers,), math.log(math.expm1(start))))

    @property
    def lipschitz(self) -> float:
        """The certified bound on ||A||_2: the product of the layers' caps."""
        return math.prod(linear.cap for linear in self.linears)

    @property
    def scales(self) -> Tensor:
        """Every layer's beta, (layers,): 1 for activations that have none."""
        if self.raw_scales is None:
            return torch.ones(len(self.linears)).to(self.linears[0].bias)
        return F.softplus(self.raw_scales)

    def folded(self) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """beta_1, weights and biases with which g(x) = W~_n raw(... W~_1 raw(beta_1 x) + b~_1 ...) + b~_n.

        phi_beta(z) = raw(beta z) / (C beta), so W~_i = beta_{i+1} / (C beta_i) W_i and b~_i = beta_{i+1} b_i, where
        beta_{n+1} = 1. What is done to the small weights need not be done to every point.
        """
        scales = self.scales
        following = torch.cat([scales[1:], scales.new_ones(1)])
        factors = following / (self.activation.lipschitz(2) * scales)
        weights = [factor * linear.weight for factor, linear in zip(factors, self.linears, strict=True)]
        biases = [beta * linear.bias for beta, linear in zip(following, self.linears, strict=True)]
        return scales[0], weights, biases

    def forward(self, x: Tensor) -> Tensor:
        """g(x), (batch, d) -> (batch, d); differentiable any number of times."""
        entry_scale, weights, biases = self.folded()
        t = entry_scale * x
        for weight, bias in zip(weights, biases, strict=True):
            t = F.linear(self.activation.raw(t), weight, bias)
        return t

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """g(x), (batch, d), and A = dg/dx, (batch, d, d); once differentiable, by `resflow_core.tangents`."""
        entry_scale, weights, biases = self.folded()
        if torch.is_grad_enabled():
            return value_and_jacobian(x, self.activation, entry_scale, weights, biases)
        chunks = x.split(CHUNK)
        parts = [value_and_jacobian(chunk, self.activation, entry_scale, weights, biases) for chunk in chunks]
        values, jacobians = zip(*parts, strict=True)
        return torch.cat(values), torch.cat(jacobians)

    def plain_value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `value_and_jacobian`, as the formula for g says it and by automatic differentiation: slower, and
        differentiable any number of times.

        The d tangents travel along with the activations. A linear map takes tangents t to W t, an activation takes
        them to phi'(h) t.
        """
        h, arrangement, constant = x, self.activation.arrangement, self.activation.lipschitz(2)
        tangents = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)[:, None]  # (d, 1, d): one row a direction
        for beta, linear in zip(self.scales, self.linears, strict=True):
            pattern = arrangement.pattern(h)
            h, tangents = arrangement.apply(h, pattern), arrangement.apply(tangents.expand(-1, len(x), -1), pattern)
            value, slope, _ = self.activation.derivatives(beta * h)
            weight = linear.weight
            h = F.linear(value / (constant * beta), weight, linear.bias)
            tangents = F.linear(tangents * slope / constant, weight)
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
