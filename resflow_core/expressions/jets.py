"""Value, slope and curvature of a formula at points, computed together through its tree (second-order jets)."""

from collections.abc import Callable, Iterator
from fractions import Fraction

import torch
from torch import Tensor

from resflow_core.expressions.functions import FUNCTIONS, Derivatives
from resflow_core.expressions.tree import CONSTANTS, Node, Number, Power, Symbol, depends_on_z, parts_of, steps_of

# A part's derivative at every point, or one number if it is the same everywhere.
Jet = Tensor | float


def derivatives_of(tree: Node) -> Derivatives:
    """A function of t that yields value, slope and curvature of a tree at every t, in the shape of t, each computed
    only when it is asked for. Value and slope are differentiable, the curvature is not."""
    places = steps_of(tree)
    steps = [(node, [places[part] for part in parts_of(node)]) for node in places]

    def plain(t: Tensor) -> Iterator[Tensor]:
        orders = [[], [], []]
        passes = [_pass(node, at, t) for node, at in steps]
        for order, found in enumerate(orders):
            for step in passes:
                found.append(step(order, orders))
            yield _as_tensor(found[-1], t)

    class _Slope(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(t):
            derivatives = plain(t)
            next(derivatives)
            return next(derivatives)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def jvp(ctx, tangent):
            *_, curvature = plain(*ctx.saved_tensors)
            return tangent * curvature

        @staticmethod
        def backward(ctx, gradient):
            *_, curvature = plain(*ctx.saved_tensors)
            return gradient * curvature

    class _Value(torch.autograd.Function):
        """The value. Its graph keeps only t, and parts that are not finite or not chosen do not reach a gradient."""

        generate_vmap_rule = True

        @staticmethod
        def forward(t):
            return next(plain(t))

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)
            ctx.slope = None

        @staticmethod
        def jvp(ctx, tangent):
            return _Slope.apply(*ctx.saved_tensors) * tangent

        @staticmethod
        def backward(ctx, gradient):
            if torch.is_grad_enabled():
                return gradient * _Slope.apply(*ctx.saved_tensors)
            if ctx.slope is None:  # the series of a log det goes backward many times
                ctx.slope = _Slope.apply(*ctx.saved_tensors)
            return gradient * ctx.slope

    def derivatives(t: Tensor) -> Iterator[Tensor]:
        if not (torch.is_grad_enabled() and t.requires_grad):
            return plain(t)
        return differentiable(t)

    def differentiable(t: Tensor) -> Iterator[Tensor]:
        yield _Value.apply(t)
        yield _Slope.apply(t)
        *_, curvature = plain(t)
        yield curvature

    return derivatives


def _pass(node: Node, at: list[int], t: Tensor) -> Callable[[int, list[list[Jet]]], Jet]:
    """A function (order, found) that gives a node's derivative of this order from those of its parts in `found`."""
    if node == Symbol("z"):
        return lambda order, _: (t, 1.0, 0.0)[order]
    if isinstance(node, Number | Symbol):
        value = float(node.value) if isinstance(node, Number) else CONSTANTS[node.name]
        return lambda order, _: (value, 0.0, 0.0)[order]
    if isinstance(node, Power):
        return _chain(lambda u: _power(u, node.exponent), at[0], t)
    if node.name in FUNCTIONS:
        return _chain(FUNCTIONS[node.name].derivatives, at[0], t)
    if node.name in ("min", "max"):
        return _choice(node.name == "min", *at, t)
    if node.name == "neg":
        return lambda order, found: -found[order][at[0]]
    if node.name == "/":
        return _quotient(*at, t)
    a, b = at
    if node.name == "*":
        return lambda order, found: _product([f[a] for f in found[: order + 1]], [f[b] for f in found[: order + 1]])
    sign = 1 if node.name == "+" else -1
    return lambda order, found: _add(found[order][a], found[order][b], sign)


def _add(a: Jet, b: Jet, sign: int) -> Jet:
    return a + b if sign > 0 else a - b


def _times(a: Jet, b: Jet) -> Jet:
    for x, y in ((a, b), (b, a)):
        if isinstance(x, float) and x in (0.0, 1.0):
            return x * y if isinstance(y, float) else y if x else 0.0
    return a * b


def _product(a: list[Jet], b: list[Jet]) -> Jet:
    """The derivative of a b (Leibniz). Its order is that of the last derivatives in the lists."""
    order = len(a) - 1
    terms = [_times(a[k], b[order - k]) for k in range(order + 1)]
    if order == 2:
        terms[1] = _times(2.0, terms[1])
    return sum(terms[1:], terms[0])


def _chain(derivatives: Derivatives, at: int, t: Tensor):
    """f(u): f', f' u', f'' u'^2 + f' u''."""
    outer: list[Tensor] = []

    def step(order: int, found: list[list[Jet]]) -> Jet:
        u = found[0][at]
        if isinstance(u, float):
            return float(next(derivatives(torch.tensor(u, dtype=torch.float64)))) if order == 0 else 0.0
        if order == 0:
            step.iterator = derivatives(u)
        outer.append(next(step.iterator))
        if order == 0:
            return outer[0]
        slope = found[1][at]
        if order == 1:
            return _times(outer[1], slope)
        return _times(outer[2], _times(slope, slope)) + _times(outer[1], found[2][at])

    return step


def _power(u: Tensor, r: Fraction) -> Iterator[Tensor]:
    factor = 1.0
    for order in range(3):
        exponent = r - order
        power = (
            u ** (int(exponent) if exponent.denominator == 1 else float(exponent)) if factor else u.new_zeros(u.shape)
        )
        yield factor * power
        factor *= float(exponent)


def _quotient(a: int, b: int, t: Tensor):
    """a r with r = 1 / b."""
    inverse: list[list[Jet]] = [[], [], []]
    step_of_inverse = _chain(lambda u: _power(u, Fraction(-1)), b, t)

    def step(order: int, found: list[list[Jet]]) -> Jet:
        inverse[order] = step_of_inverse(order, found)
        return _product([f[a] for f in found[: order + 1]], inverse[: order + 1])

    return step


def _choice(least: bool, a: int, b: int, t: Tensor):
    chosen = []

    def step(order: int, found: list[list[Jet]]) -> Jet:
        first, second = found[order][a], found[order][b]
        if order == 0:
            both = [_as_tensor(x, t) for x in (first, second)]
            chosen.append(both[0] <= both[1] if least else both[0] >= both[1])
            first, second = both
        if isinstance(first, float) and isinstance(second, float):
            return first if first == second else torch.where(chosen[0], t.new_tensor(first), t.new_tensor(second))
        return torch.where(chosen[0], first, second)

    return step


def _as_tensor(x: Jet, t: Tensor) -> Tensor:
    if not isinstance(x, Tensor):
        return torch.full_like(t, x)
    return x.clone() if x is t else x


def constant_value(node: Node) -> float:
    """The value of a part that does not contain z, by float64. Raises AssertionError if it does."""
    assert not depends_on_z(node)
    return float(next(derivatives_of(node)(torch.zeros(1, dtype=torch.float64))))
