"""The branch g of a residual block, with Lip(g) <= L (paper, section 2)."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

from resflow_core.activations import Activation
from resflow_core.expressions import activation_named
from resflow_core.fast.forward_mode import Weights, value, value_and_jacobian
from resflow_core.lipschitz import Constraint, LipschitzLinear, Soft, constrained_weights
from resflow_core.norms.induced import upper_bound
from resflow_core.norms.norm_orders import CHAINS, Order, learned_orders, raw_order

# Without gradients nothing is kept, and the units of this many points stay in the processor's cache.
CHUNK = 1_000

# Adam moves every number by about its rate a step, and what suits a weight would leave a scale where it began: faster
# ones find the size of the details by themselves. They stay within this factor of where they began, because a steep and
# tiny wave feeds on itself until training blows up.
SCALE_SPEED, SCALE_RANGE = 8.0, 4.0


class Branch(nn.Module):
    """The pre-activation MLP g(x) = W_n phi(... W_2 phi(W_1 phi(x) + b_1) + b_2 ...) + b_n.

    phi is 1-Lipschitz, so the layers share the budget L = Lip(g) evenly: every ||W_i|| <= L^(1/n). Layer i is measured
    from the norm of order p_{i-1} to that of order p_i, and p_n = p_0: a chain, in which norms multiply, and at whose
    ends stands the norm of L (paper, section 3.4 and appendix). All orders are 2 unless `chain` says otherwise. An
    activation with a learnable scale has one of its own, beta_i, in each layer.
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
        self.activation = activation_named(activation)
        self.chain = CHAINS[chain]
        n_layers, copies = len(widths) - 1, self.activation.arrangement.copies
        cap = budget ** (1 / n_layers)
        self.linears = nn.ModuleList(
            LipschitzLinear(copies * m, n, cap, generator, constraint) for m, n in pairwise(widths)
        )
        self._at_hand: Weights | None = None
        self.scale = 1.0  # what all of g is multiplied by
        self.raw_scales = nn.Parameter(torch.zeros(n_layers)) if self.activation.initial_scale else None
        self.raw_orders = None
        if self.chain.learned:
            self.raw_orders = nn.Parameter(torch.tensor([raw_order(p) for p in self.chain.orders(n_layers)[:-1]]))

    @property
    def orders(self) -> list[float]:
        """p_0, p_1, ..., p_n = p_0. L holds in the norm of order p_0."""
        return [float(order) for order in _orders([self])]

    @property
    def lipschitz(self) -> float:
        """The certified bound on ||A||, `lipschitz_bounds`."""
        return lipschitz_bounds([self])[0]

    @property
    def scales(self) -> Tensor:
        """Every layer's beta, (layers,): 1 for activations that have none."""
        return _scales([self])[:, 0]

    def weights(self) -> Weights:
        """Folded weights: g(x) = W~_n raw(... W~_1 raw(beta_1 x) + b~_1 ...) + b~_n for points x as columns.

        phi_beta(z) = raw(beta z) / (C beta), so W~_i = beta_{i+1} / (C beta_i) W_i and b~_i = beta_{i+1} b_i, where
        beta_{n+1} = `scale`. What is done to the small weights need not be done to every point.
        """
        return self._at_hand or fold([self]).unstacked()[0]

    def forward(self, x: Tensor) -> Tensor:
        """g(x), (batch, d) -> (batch, d); differentiable any number of times, through a graph that is its own."""
        if torch.is_grad_enabled():
            return value(x, self.activation, fold([self]).unstacked()[0])
        weights = self.weights()
        return torch.cat([value(part, self.activation, weights) for part in x.split(CHUNK)])

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """g(x), (batch, d), and A = dg/dx, (batch, d, d); once differentiable, by `resflow_core.fast.forward_mode`."""
        return value_and_jacobian(x, self.activation, self.weights())

    def plain_value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `value_and_jacobian`, as the formula for g says it and by automatic differentiation: slower, and
        differentiable any number of times.

        The d tangents travel along with the activations. A linear map takes tangents t to W t, an activation takes
        them to phi'(h) t.
        """
        arrangement, orders = self.activation.arrangement, _orders([self])
        h = x.T
        tangents = torch.eye(len(h), dtype=x.dtype, device=x.device)[:, :, None].expand(-1, -1, len(x))
        for beta, linear, p, q in zip(self.scales, self.linears, orders, orders[1:], strict=False):
            constant = self.activation.lipschitz(float(p))
            pattern = arrangement.pattern(h)
            h, tangents = arrangement.apply(h, pattern), arrangement.apply(tangents, pattern)
            value, slope, _ = self.activation.derivatives(beta * h)
            weight = linear.weight(p, q)
            h = weight @ (value / (constant * beta)) + linear.bias[:, None]
            tangents = torch.einsum("oi,ikb->okb", weight, tangents * slope[:, None] / constant)
        return self.scale * h.T, self.scale * tangents.permute(2, 0, 1)


def fold(branches: Sequence[Branch]) -> Weights:
    """`Branch.weights` of branches of one shape, stacked: what is small is done for all of them at once."""
    layers = list(zip(*(branch.linears for branch in branches), strict=True))
    scales = _scales(branches)
    following = torch.cat([scales[1:], scales.new_tensor([[branch.scale for branch in branches]])])
    orders = _orders(branches)
    factors = following / (_constants(branches[0].activation, orders[:-1], like=scales) * scales)
    weights = [
        constrained_weights(layer, p, q) * f[:, None, None]
        for layer, p, q, f in zip(layers, orders, orders[1:], factors, strict=False)
    ]
    biases = [torch.stack([linear.bias for linear in layer]) for layer in layers]
    return Weights(
        scales[0], weights, [bias[:, :, None] * f[:, None, None] for bias, f in zip(biases, following, strict=True)]
    )


def _orders(branches: Sequence[Branch]) -> list[Order]:
    """p_0, ..., p_n: numbers, or (branches,) each where they are learned."""
    first = branches[0]
    if first.raw_orders is None:
        return first.chain.orders(len(first.linears))
    inner = learned_orders(torch.stack([branch.raw_orders for branch in branches], 1).detach())
    return [*inner, inner[0]]


def _constants(activation: Activation, orders: Sequence[Order], like: Tensor) -> Tensor:
    """The activation's Lipschitz constant in the norms of these orders, (layers, 1 or branches)."""
    return like.new_tensor([[activation.lipschitz(p) for p in torch.as_tensor(p).reshape(-1).tolist()] for p in orders])


@torch.no_grad()
def layer_norms(branches: Sequence[Branch]) -> Tensor:
    """Certified upper bounds of every layer's norm as it is now, (branches, layers), float64; NaN for W with NaN. The
    last ones include the branch's scale, so that the product bounds Lip(g)."""
    layers, orders = zip(*(branch.linears for branch in branches), strict=True), _orders(branches)
    norms = [
        upper_bound(constrained_weights(layer, p, q), p, q)
        for layer, p, q in zip(layers, orders, orders[1:], strict=False)
    ]
    norms[-1] = norms[-1] * norms[-1].new_tensor([branch.scale for branch in branches])
    return torch.stack(norms, 1)


def lipschitz_bounds(branches: Sequence[Branch]) -> list[float]:
    """Bounds L of Lip(g): the product of the layers' caps, or of their norms as they are where nothing caps them."""
    if branches[0].linears[0].constraint.certifies:
        return [branch.scale * math.prod(linear.cap for linear in branch.linears) for branch in branches]
    return layer_norms(branches).prod(1).tolist()


def order_loss(branches: Sequence[Branch]) -> Tensor:
    """The mean over layers of log ||raw|| by its upper bound, as a function of learned orders alone: what they descend,
    towards the norms in which the constraint is loosest (paper, appendix). What an activation's constant adds in some
    of them is left out."""
    raw = torch.stack([branch.raw_orders for branch in branches], 1)
    orders = [*learned_orders(raw), learned_orders(raw[0])]
    layers = zip(*(branch.linears for branch in branches), strict=True)
    norms = [
        upper_bound(torch.stack([linear.raw for linear in layer]).detach(), p, q)
        for layer, p, q in zip(layers, orders, orders[1:], strict=False)
    ]
    return torch.stack(norms).log().mean()


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
