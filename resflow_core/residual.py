"""The residual block f(x) = x + g(x) with Lip(g) <= L < 1, and its branch g (paper, section 2)."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

from resflow_core.activations import ACTIVATIONS
from resflow_core.bijection import Bijection
from resflow_core.inverse import solve_banach, solve_broyden
from resflow_core.lipschitz import LipschitzLinear, capped_weights
from resflow_core.tangents import Weights, value, value_and_jacobian

# Broyden's method carries a d x d matrix for every point; beyond this it no longer pays.
BROYDEN_UP_TO_DIM = 8

# Without gradients nothing is kept, and the units of this many points stay in the processor's cache.
CHUNK = 1_000

# Adam moves every number by about its rate a step, and what suits a weight would leave a scale where it began: faster
# ones find the size of the details by themselves. They stay within this factor of where they began, because a steep and
# tiny wave feeds on itself until training blows up.
SCALE_SPEED, SCALE_RANGE = 8.0, 4.0


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
        self._at_hand: Weights | None = None
        self.raw_scales = nn.Parameter(torch.zeros(n_layers)) if self.activation.initial_scale else None

    @property
    def lipschitz(self) -> float:
        """The certified bound on ||A||_2: the product of the layers' caps."""
        return math.prod(linear.cap for linear in self.linears)

    @property
    def scales(self) -> Tensor:
        """Every layer's beta, (layers,): 1 for activations that have none."""
        return _scales([self])[:, 0]

    def weights(self) -> Weights:
        """Folded weights: g(x) = W~_n raw(... W~_1 raw(beta_1 x) + b~_1 ...) + b~_n for points x as columns.

        phi_beta(z) = raw(beta z) / (C beta), so W~_i = beta_{i+1} / (C beta_i) W_i and b~_i = beta_{i+1} b_i, where
        beta_{n+1} = 1. What is done to the small weights need not be done to every point.
        """
        return self._at_hand or fold([self]).unstacked()[0]

    def forward(self, x: Tensor) -> Tensor:
        """g(x), (batch, d) -> (batch, d); differentiable any number of times, through a graph that is its own."""
        if torch.is_grad_enabled():
            return value(x, self.activation, fold([self]).unstacked()[0])
        weights = self.weights()
        return torch.cat([value(part, self.activation, weights) for part in x.split(CHUNK)])

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """g(x), (batch, d), and A = dg/dx, (batch, d, d); once differentiable, by `resflow_core.tangents`."""
        return value_and_jacobian(x, self.activation, self.weights())

    def plain_value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `value_and_jacobian`, as the formula for g says it and by automatic differentiation: slower, and
        differentiable any number of times.

        The d tangents travel along with the activations. A linear map takes tangents t to W t, an activation takes
        them to phi'(h) t.
        """
        arrangement, constant = self.activation.arrangement, self.activation.lipschitz(2)
        h = x.T
        tangents = torch.eye(len(h), dtype=x.dtype, device=x.device)[:, :, None].expand(-1, -1, len(x))
        for beta, linear in zip(self.scales, self.linears, strict=True):
            pattern = arrangement.pattern(h)
            h, tangents = arrangement.apply(h, pattern), arrangement.apply(tangents, pattern)
            value, slope, _ = self.activation.derivatives(beta * h)
            weight = linear.weight
            h = weight @ (value / (constant * beta)) + linear.bias[:, None]
            tangents = torch.einsum("oi,ikb->okb", weight, tangents * slope[:, None] / constant)
        return h.T, tangents.permute(2, 0, 1)


def fold(branches: Sequence[Branch]) -> Weights:
    """`Branch.weights` of branches of one shape, stacked: what is small is done for all of them at once."""
    layers = list(zip(*(branch.linears for branch in branches), strict=True))
    scales = _scales(branches)
    following = torch.cat([scales[1:], torch.ones_like(scales[:1])])
    factors = following / (branches[0].activation.lipschitz(2) * scales)
    weights = [capped_weights(layer) * f[:, None, None] for layer, f in zip(layers, factors, strict=True)]
    biases = [torch.stack([linear.bias for linear in layer]) for layer in layers]
    return Weights(
        scales[0], weights, [bias[:, :, None] * f[:, None, None] for bias, f in zip(biases, following, strict=True)]
    )


def _scales(branches: Sequence[Branch]) -> Tensor:
    """beta for every layer of every branch, (layers, branches); 1 for activations that have none."""
    first = branches[0]
    if first.raw_scales is None:
        return first.linears[0].bias.new_ones(len(first.linears), len(branches))
    raw, reach = torch.stack([branch.raw_scales for branch in branches], 1), math.log(SCALE_RANGE)
    return first.activation.initial_scale * torch.exp(reach * torch.tanh(SCALE_SPEED / reach * raw))


@contextmanager
def folded_together(branches: Sequence[Branch]) -> Iterator[None]:
    """While it lasts, branches of one shape take their weights from one `fold` instead of each from its own."""
    try:
        for branch, weights in zip(branches, fold(branches).unstacked(), strict=True):
            branch._at_hand = weights
        yield
    finally:
        for branch in branches:
            branch._at_hand = None


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
        solve = solve_broyden if self.dim <= BROYDEN_UP_TO_DIM else solve_banach
        return solve(self.branch, z, self.branch.lipschitz)
