"""The weights of all blocks computed together, with constants and scales multiplied into them.

phi_beta(z) = raw(beta z) / (C beta), so with t = beta z the branch becomes

    g(x) = W~_n raw(... W~_1 raw(beta_1 x) + b~_1 ...) + b~_n
    W~_i = beta_{i+1} / (C beta_i) W_i,   b~_i = beta_{i+1} b_i

with beta_{n+1} = the branch's scale. Work on the weights, which are small, is not repeated at every point.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from resflow_core.breathe import Breathe, without
from resflow_core.fast import capped, second_order
from resflow_core.fast.closed_forms import closed_form
from resflow_core.fast.forward_mode import FoldedWeights, pullback, value, value_and_jacobian, value_and_trace
from resflow_core.lipschitz import LipschitzLinear, Norm, Order, SpectralNorm
from resflow_core.residual import Branch, scale_factor

# By the first layer of each group: the values of the last call, and the W that was made of them.
_KNOWN: WeakKeyDictionary[LipschitzLinear, tuple[tuple[Tensor, ...], Tensor]] = WeakKeyDictionary()
# Without gradients nothing is kept, and the units of this many points fit into the processor's cache.
CHUNK = 1_000


class Foldable(Protocol):
    """A branch whose folded weights may be made together with those of others, and be at hand."""

    _at_hand: Any

    def of_each(self, branches: Sequence[Any]) -> Sequence[Any]: ...


class Formulas(NamedTuple):
    """What is evaluated of folded weights: functions of points, (batch, d), the activation and the weights."""

    value: Callable[..., Tensor]
    value_and_jacobian: Callable[..., tuple[Tensor, Tensor]]
    pullback: Callable[..., Callable[[Tensor], Tensor]]
    value_and_trace: Callable[..., tuple[Tensor, Tensor] | None]


class FoldedBranch(Branch):
    """A `Branch` that evaluates folded weights by `formulas`. The backward pass of its Jacobian is written by hand."""

    formulas = Formulas(value, value_and_jacobian, pullback, value_and_trace)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.closed_form = closed_form(self.activation)
        self._at_hand: FoldedWeights | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "closed_form"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.closed_form = closed_form(self.activation)

    def weights(self) -> FoldedWeights:
        """The folded weights of this branch, not stacked."""
        return self._at_hand or self.of_each([self])[0]

    @staticmethod
    def stacked(branches: Sequence[Any]) -> Any:
        """The folded weights of several branches of the same shape, stacked."""
        return fold(branches)

    @staticmethod
    def of_each(branches: Sequence[Any]) -> Sequence[Any]:
        """The folded weights of each of several branches of the same shape, from one `fold`."""
        return fold(branches).unstacked()

    def forward(self, x: Tensor) -> Tensor:
        """g(x), (batch, d) -> (batch, d); differentiable any number of times."""
        if second_order.in_transform():
            return super().forward(x)
        weights = self.weights()
        if torch.is_grad_enabled():
            return self.formulas.value(x, self.closed_form, weights)
        return torch.cat([self.formulas.value(part, self.closed_form, weights) for part in x.split(CHUNK)])

    @torch.no_grad()
    def pullback(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """w -> w'A at points x, for w of their shape, (batch, d), by the slopes of all layers. Nothing is
        differentiable."""
        return self.formulas.pullback(x, self.closed_form, self.weights())

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """g(x), (batch, d), and A = dg/dx, (batch, d, d); differentiable any number of times."""
        if second_order.in_transform():
            return super().value_and_jacobian(x)
        return self.formulas.value_and_jacobian(x, self.closed_form, self.weights())

    def value_and_trace(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """g(x), (batch, d), and tr A, (batch,), where that has a formula (`traces`); differentiable any number of
        times."""
        if second_order.in_transform():
            return None
        return self.formulas.value_and_trace(x, self.closed_form, self.weights())


def fold(branches: Sequence[Branch]) -> FoldedWeights:
    """The folded weights of branches of the same shape, stacked."""
    layers = list(zip(*(branch.linears for branch in branches), strict=True))
    scales = _scales(branches)
    last, norms = scales.new_tensor([branch.scale for branch in branches]), _norms(branches)
    constants = _constants(branches[0], [norm.p for norm in norms], like=scales)
    weights = [constrained_weights(layer, norm) for layer, norm in zip(layers, norms, strict=True)]
    biases = [torch.stack([linear.bias for linear in layer]) for layer in layers]
    return folded(weights, biases, scales, last, constants).weights


@torch.no_grad()
def constrain(branches: Sequence[Branch], breathe: Breathe = without) -> None:
    """Compute the constrained weights of all layers, some at a time: the next `fold` has them at hand."""
    layers = zip(*(branch.linears for branch in branches), strict=True)
    for layer, norm in zip(layers, _norms(branches), strict=True):
        weights = _remembered(layer, norm, breathe)
        if len(capped.in_cache(weights)) > 1:
            breathe()


class Folded(NamedTuple):
    """Folded weights, and by what the layers' were multiplied, (layers, branches)."""

    weights: FoldedWeights
    factors: Tensor  # beta_{i+1} / (C beta_i), of W_i
    following: Tensor  # beta_{i+1}, of b_i


def folded(
    weights: Sequence[Tensor], biases: Sequence[Tensor], scales: Tensor, last: Tensor, constants: Tensor | float
) -> Folded:
    """Stacked W_i, (branches, out, in), and b_i, (branches, out), folded with beta, (layers, branches), and beta_{n+1},
    (branches,). `constants` are C in the norms of the layers, (layers, 1 or branches), or one for all."""
    following = torch.cat([scales[1:], last[None]])
    factors = following / (constants * scales)
    return Folded(
        FoldedWeights(
            scales[0],
            [weight * f[:, None, None] for weight, f in zip(weights, factors, strict=True)],
            [bias[:, :, None] * f[:, None, None] for bias, f in zip(biases, following, strict=True)],
        ),
        factors,
        following,
    )


@contextmanager
def folded_together(branches: Sequence[Foldable]) -> Iterator[None]:
    """In this context, branches of the same shape take their weights from one `fold`, instead of one `fold` each. With
    gradients enabled, all that they compute has the graph of this fold."""
    try:
        for branch, weights in zip(branches, branches[0].of_each(branches), strict=True):
            branch._at_hand = weights
        yield
    finally:
        for branch in branches:
            branch._at_hand = None


@torch.no_grad()
def layer_norms(branches: Sequence[Branch], breathe: Breathe = without) -> Tensor:
    """Certified upper bounds of every layer's present norm, (branches, layers), float64; NaN for W with NaN.

    The bound of the last layer includes the branch's scale, so that the product over the layers bounds Lip(g).
    """
    norms = []
    for layer, norm in zip(zip(*(branch.linears for branch in branches), strict=True), _norms(branches), strict=True):
        weights = _remembered(layer, norm, breathe)
        # Other norms may have an order for every matrix of the stack.
        parts = capped.in_cache(weights) if isinstance(norm, SpectralNorm) else [weights]
        found = []
        for part in parts:
            found.append(norm(part))
            if len(parts) > 1:
                breathe()
        norms.append(torch.cat(found))
    norms[-1] = norms[-1] * norms[-1].new_tensor([branch.scale for branch in branches])
    return torch.stack(norms, 1)


def lipschitz_bounds(branches: Sequence[Branch], norms: Tensor | None = None) -> list[float]:
    """`Branch.lipschitz` of branches of the same shape, one number each. `norms`: their `layer_norms`, where these are
    known."""
    first = branches[0]
    if first.linears[0].constraint.certifies:
        of_one = math.prod(linear.cap for linear in first.linears)  # the same of all, as are their shapes
        return [branch.scale * of_one for branch in branches]
    return list(map(math.prod, layer_bounds(branches, layer_norms(branches) if norms is None else norms).tolist()))


def layer_bounds(branches: Sequence[Branch], norms: Tensor) -> Tensor:
    """`Branch.layer_bounds` of each branch, (branches, layers), float64, from `layer_norms`."""
    found = [branch.layer_bounds(of_one) for branch, of_one in zip(branches, norms.tolist(), strict=True)]
    return torch.tensor(found, dtype=torch.float64)


def constrained_weights(layers: Sequence[LipschitzLinear], norm: Norm = SpectralNorm()) -> Tensor:
    """The W of layers of the same shape, cap and constraint, (layers, out_features, in_features).

    All norms are computed together. If gradients are enabled, each layer stores its next v, which `advance` then uses.
    """
    first, raw, v = layers[0], *_stacked(layers)
    if torch.is_grad_enabled():
        weights, ahead = capped.weights(first.constraint, raw, first.cap, norm, v)
        if first.constraint.carries:
            for layer, row in zip(layers, ahead, strict=True):
                layer.next_v = row
        return weights
    return _remembered(layers, norm)


def _remembered(layers: Sequence[LipschitzLinear], norm: Norm, breathe: Breathe = without) -> Tensor:
    """The same without gradients. Plots evaluate one W on many chunks of points."""
    first, raw, v = layers[0], *_stacked(layers)
    # The comparison is by value, because fused optimisers and writes to `.data` do not change the version counter of a
    # tensor.
    key = (raw, v, *(torch.as_tensor(order) for order in (norm.p, norm.q)))
    known = _KNOWN.get(first)
    if known is None or not all(map(_same, known[0], key)):
        weights = capped.plain_weights(first.constraint, raw, first.cap, norm, v, breathe)
        known = _KNOWN[first] = (key, weights)
    return known[1]


def _stacked(layers: Sequence[LipschitzLinear]) -> tuple[Tensor, Tensor]:
    """Their parameters and the vectors v that they carry."""
    return torch.stack([layer.raw for layer in layers]), torch.stack([layer.v for layer in layers])


def _same(a: Tensor, b: Tensor) -> bool:
    """As `torch.equal`, which ignores the type, and raises an error for tensors of two devices."""
    return (a.dtype, a.device) == (b.dtype, b.device) and torch.equal(a, b)


def _norms(branches: Sequence[Branch]) -> list[Norm]:
    """The norm of every layer. Learned orders have shape (branches,)."""
    first = branches[0]
    if first.raw_orders is None:
        orders = first.chain.orders(len(first.linears))
    else:
        inner = first.chain.learned.order(torch.stack([branch.raw_orders for branch in branches], 1).detach())
        orders = [*inner, inner[0]]
    return [first.chain.norm(p, q) for p, q in pairwise(orders)]


def _constants(branch: Branch, orders: Sequence[Order], like: Tensor) -> Tensor:
    """The Lipschitz constant of raw in the norms of these orders, (layers, 1 or branches)."""
    lipschitz = closed_form(branch.activation).lipschitz
    return like.new_tensor([[lipschitz(p) for p in torch.as_tensor(p).reshape(-1).tolist()] for p in orders])


def _scales(branches: Sequence[Branch]) -> Tensor:
    """beta for every layer of every branch, (layers, branches); 1 for activations without a scale."""
    first = branches[0]
    if first.raw_scales is None:
        return first.linears[0].bias.new_ones(len(first.linears), len(branches))
    raw = torch.stack([branch.raw_scales for branch in branches], 1)
    return first.activation.initial_scale * scale_factor(raw)
