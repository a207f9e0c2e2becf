"""The residual block f(x) = x + g(x) with Lip(g) <= L < 1 (paper, section 2).

The branch g is a small network of Lipschitz layers. A `Branch` has its parameters. A `Network` is the branch at their
present values, for one branch or for several side by side. Near points x it is the `Linearised` map g(x) + A e, whose
A = J_g(x) comes from the slopes of its activations.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise, product, repeat
from operator import attrgetter
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from resflow_core.activations import Activation, Near, activation_named
from resflow_core.bijection import Bijection
from resflow_core.fixed_point import solve
from resflow_core.gradients import Linearised
from resflow_core.lipschitz import NORM_CHAINS, Constraint, LipschitzLinear, Norm, Order, Soft, constrained, in_cache
from resflow_core.log_det import LogDet

# Adam moves every parameter by about its learning rate a step. That suits a weight, but hardly moves a scale, so scales
# are faster, and find the size of the details by themselves. They stay within this factor of their initial value,
# because a steep and tiny wave makes itself steeper until training diverges.
SCALE_SPEED, SCALE_RANGE = 8.0, 4.0


class Network(Protocol):
    """g at fixed weights. Of several branches of one shape, their number comes first in the shape of every tensor."""

    @property
    def weights(self) -> Sequence[Tensor]: ...

    @property
    def biases(self) -> Sequence[Tensor]: ...

    def unstacked(self) -> Sequence["Network"]:
        """Each of several."""
        ...

    def parameters(self) -> Iterator[Tensor]: ...

    def at(self, parameters: Iterator[Tensor]) -> "Network":
        """The same network with other `parameters`."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """g(x), (batch, d) -> (batch, d)."""
        ...

    def near(self, x: Tensor) -> Linearised: ...

    def near_columns(self, x: Tensor) -> Any:
        """The same for points as columns, (d, batch); `columns` of it is g(x) so. In small flows turning them around
        in each block takes a tenth of a step."""
        ...

    def jacobians(self, near: Iterable[Any]) -> Tensor:
        """A of each of several, (n, batch, d, d), from what their `near` returns, of which none is kept: all at once,
        where that is faster than one after the other."""
        ...


@dataclass(frozen=True, eq=False)
class Sequential:
    """g(x) = W_n raw(... W_1 raw(beta x) + b_1 ...) + b_n, with `entry_scale` beta, ().

    W have shape (out, in) and b (out, 1), or (out, batch) if they differ from point to point. Caps, constants and
    scales are multiplied into them: phi_beta(z) = raw(beta z) / (C beta), so with t = beta_1 x a layer of `Branch`
    becomes

        W = beta_{i+1} / (C beta_i) W_i,   b = beta_{i+1} b_i,   beta_{n+1} = the branch's scale.
    """

    activation: Activation
    entry_scale: Tensor
    weights: Sequence[Tensor]
    biases: Sequence[Tensor]

    def unstacked(self) -> list["Sequential"]:
        weights, biases = (zip(*(part.unbind() for part in of), strict=True) for of in (self.weights, self.biases))
        return [Sequential(self.activation, *of) for of in zip(self.entry_scale, weights, biases, strict=True)]

    def jacobians(self, near: Iterable["LinearisedSequential"]) -> Tensor:
        # Where there are products, they are made for all of them at once.
        has_products = len(self.weights) == 2 and self.activation.is_elementwise
        products = products_of(*self.weights).unbind() if has_products else repeat(None)
        tangents, slopes = list[Tensor](), list[Tensor]()
        for one, own in zip(near, products, strict=False):
            tangents.append(one.tangents(own))
            slopes.append(one.units[0].slope)
        scales = self.entry_scale[:, None]
        if self.activation.is_elementwise:
            scales = scales * torch.stack(slopes, 1)
        return (torch.stack(tangents, 2) * scales).permute(2, 3, 0, 1)

    def parameters(self) -> Iterator[Tensor]:
        yield from (self.entry_scale, *self.weights, *self.biases)

    def at(self, parameters: Iterator[Tensor]) -> "Sequential":
        n, entry_scale = len(self.weights), next(parameters)
        return Sequential(self.activation, entry_scale, [*islice(parameters, n)], [*islice(parameters, n)])

    def __call__(self, x: Tensor) -> Tensor:
        t = self.entry_scale * x.T
        for weight, bias in zip(self.weights, self.biases, strict=True):
            t = torch.addmm(bias, weight, self.activation.raw(t))
        return t.T

    def near(self, x: Tensor) -> "LinearisedSequential":
        return self.near_columns(x.T)

    def near_columns(self, x: Tensor) -> "LinearisedSequential":
        t, units = self.entry_scale * x, list[Near]()
        for weight, bias in zip(self.weights, self.biases, strict=True):
            units.append(self.activation.near(t))
            t = torch.addmm(bias, weight, units[-1].value)
        return LinearisedSequential(t, self.entry_scale, self.weights, units)


@dataclass(frozen=True, eq=False)
class LinearisedSequential:
    """A = W_n J_n ... W_1 J_1 beta, with J_i the Jacobian of raw at the pre-activations of layer i."""

    columns: Tensor
    entry_scale: Tensor
    weights: Sequence[Tensor]
    units: Sequence[Near]

    @property
    def value(self) -> Tensor:
        return self.columns.T

    def pullback(self, w: Tensor) -> Tensor:
        """w'A for vectors at every point, (..., batch, d): w <- J_i W_i' w from the last layer to the first."""
        w, back = as_columns(w)
        for weight, near in zip(reversed(self.weights), reversed(self.units), strict=True):
            w = near.pulled(through(weight.T, w))
        return back(self.entry_scale * w)

    def jacobian(self) -> Tensor:
        """A, (batch, d, d)."""
        entry = self.units[0]
        scales = self.entry_scale * entry.slope if entry.is_elementwise else self.entry_scale
        return (self.tangents() * scales).permute(2, 0, 1)

    def tangents(self, products: Tensor | None = None) -> Tensor:
        """The columns of A, (d, d, batch), without the factors of the entry: beta and, of an element-wise activation,
        the slope J_1, which only scales them. They are tangents: T <- W_i J_i T.

        Without J_1 the first tangents are those of W_1, the same at every point. With one hidden layer all products of
        W_2 and W_1 are one matrix: `products`, where it is at hand. Making it for few points would take longer.
        """
        (first, *weights), (entry, *units), d = self.weights, self.units, len(self.columns)
        if not entry.is_elementwise:
            identity = torch.eye(d).to(first)[:, :, None].expand(d, d, self.columns.shape[1])
            return self._through(identity, self.weights, self.units)
        few_points = 8 * d > self.columns.shape[1] and not torch.is_grad_enabled()
        if products is not None or (len(weights) == 1 and not few_points):
            products = products_of(first, weights[0]) if products is None else products
            return (products @ units[0].slope).view(d, d, -1)
        return self._through(first[:, :, None], weights, units)

    def _through(self, tangents: Tensor, weights: Sequence[Tensor], units: Sequence[Near]) -> Tensor:
        for weight, near in zip(weights, units, strict=True):
            tangents = through(weight, near.pushed(tangents))
        return tangents

    def trace(self) -> Tensor | None:
        """tr(W_2 J_2 W_1 J_1) beta of one hidden layer: slopes' (W_1 o W_2') slopes, o entry by entry. With more of
        them it would take d products, so there is none. (OT-Flow, Onken et al. 2021, section 3.)"""
        if len(self.weights) != 2:
            return None
        return self.entry_scale * trace_between(self.weights[1], self.units[1], self.weights[0], self.units[0])


def products_of(inner: Tensor, outer: Tensor) -> Tensor:
    """W_2[i, u] W_1[u, j], (..., d * d, units)."""
    return (outer[..., :, None, :] * inner.mT[..., None, :, :]).flatten(-3, -2)


def as_columns(w: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Vectors at points, (..., batch, d), as columns, (d, k, batch), and the way back for as many of any length."""
    shape = w.shape[:-1]
    columns = w.reshape(shape[:-1].numel(), *w.shape[-2:]).permute(2, 0, 1)
    return columns, lambda w: w.permute(1, 2, 0).reshape(*shape, len(w))


def through(weight: Tensor, tangents: Tensor) -> Tensor:
    """W T for tangents at every point, (in, k, batch) -> (out, k, batch)."""
    return (weight @ tangents.flatten(1)).view(len(weight), *tangents.shape[1:])


def trace_between(outer: Tensor, after: Near, inner: Tensor, before: Near) -> Tensor:
    """tr(W_2 J(h) W_1 J(x)), (batch,), for W_2 = `outer` after h and W_1 = `inner` after x: a sum over the parts of J
    that have one entry in each row."""
    total = torch.zeros(()).to(outer)
    for (slope, source), (slope_before, source_before) in product(after.parts(), before.parts()):
        total = total + (slope * ((inner[source] * outer[source_before].T) @ slope_before)).sum(0)
    return total


class Branch(nn.Module):
    """The pre-activation network g(x) = W_n phi(... W_2 phi(W_1 phi(x) + b_1) + b_2 ...) + b_n.

    phi is 1-Lipschitz, so the n layers share the budget L >= Lip(g) evenly: every ||W_i|| <= L^(1/n). `chain` names the
    orders p_0, ..., p_n of the norms, which are all 2 by default. An activation with a learned scale has a beta_i in
    each layer. All of g is multiplied by `scale`: 1, unless a flow is broken on purpose.

    Another entry of `BRANCHES` says what differs: `shapes`, `scale_count`, `own_count`, `layer_bounds`, and `joined`.
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

    @staticmethod
    def joined(branches: "Stack", weights: Sequence[Tensor]) -> Network:
        """The network of the stacked W_i of these branches."""
        scales, last = branches.scales.T, branches.last_scales  # beta, (layers, branches)
        following = torch.cat([scales[1:], last[None]])
        factors = following / (branches.constants(branches.norms) * scales)
        return Sequential(
            branches.first.activation,
            scales[0],
            [weight * f[:, None, None] for weight, f in zip(weights, factors, strict=True)],
            [bias[:, :, None] * f[:, None, None] for bias, f in zip(branches.biases, following, strict=True)],
        )

    def network(self) -> Network:
        """g at the present weights."""
        return Stack([self]).network().unstacked()[0]

    def forward(self, x: Tensor) -> Tensor:
        """g(x), (batch, d) -> (batch, d); differentiable any number of times."""
        return self.network()(x)

    def near(self, x: Tensor) -> Linearised:
        """g near points x, (batch, d)."""
        return self.network().near(x)

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """g(x), (batch, d), and A = dg/dx, (batch, d, d); differentiable any number of times."""
        near = self.near(x)
        return near.value, near.jacobian()

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
        return Stack([self]).scales[0]

    @property
    def lipschitz(self) -> float:
        """A certified bound of Lip(g): the scale times the product of the layers' caps. A layer without a cap that
        holds counts with its norm."""
        return Stack([self]).lipschitz_bounds()[0]

    def norm_of(self, x: Tensor) -> Tensor:
        """||x|| of columns, (d, batch) -> (batch,), in the norm of L."""
        return self.chain.vector_norm(x, self.orders[0], 0)


class Stack:
    """Branches of one shape, side by side: what belongs to one layer of all of them is one tensor, (branches, ...).

    `parameters` are theirs by their names in a branch, stacked; without them they are stacked here.
    """

    def __init__(self, branches: Sequence[Branch], parameters: Mapping[str, Tensor] | None = None):
        self.branches, self.first = branches, branches[0]
        self._given = parameters

    @cached_property
    def parameters(self) -> Mapping[str, Tensor]:
        if self._given is not None:
            return self._given
        names = [name for name, _ in self.first.named_parameters()]
        return {name: torch.stack([*map(attrgetter(name), self.branches)]) for name in names}

    @cached_property
    def layers(self) -> list[tuple[LipschitzLinear, ...]]:
        """The same layer of all branches, layer by layer."""
        return cast(
            "list[tuple[LipschitzLinear, ...]]", list(zip(*(one.linears for one in self.branches), strict=True))
        )

    @property
    def raws(self) -> list[Tensor]:
        """The free parameters of every layer, (branches, out, in)."""
        return [self.parameters[f"linears.{i}.raw"] for i in range(len(self.first.linears))]

    @property
    def biases(self) -> list[Tensor]:
        """b of every layer, (branches, out)."""
        return [self.parameters[f"linears.{i}.bias"] for i in range(len(self.first.linears))]

    @cached_property
    def norms(self) -> list[Norm]:
        """The norm of every layer. Learned orders have shape (branches,)."""
        if self.first.raw_orders is None or (learned := self.first.chain.learned) is None:
            return self.first.norms
        raw = torch.stack([cast(Tensor, one.raw_orders) for one in self.branches], 1).detach()
        orders: list[Order] = [*learned.order(raw)]
        return [self.first.chain.norm(p, q) for p, q in pairwise([*orders, orders[0]])]

    @cached_property
    def scales(self) -> Tensor:
        """beta of every activation, (branches, activations); 1 for activations that have none."""
        initial, count = self.first.activation.initial_scale, self.first.scale_count(len(self.first.linears))
        if initial is None:
            return self.biases[0].new_ones(len(self.branches), count)
        return initial * scale_factor(self.parameters["raw_scales"])

    @property
    def last_scales(self) -> Tensor:
        """By what all of g is multiplied, (branches,)."""
        return self.biases[0].new_tensor([one.scale for one in self.branches])

    def constants(self, norms: Sequence[Norm]) -> Tensor:
        """The Lipschitz constant of raw in the norms that arrive at these layers, (layers, 1 or branches)."""
        orders = [torch.as_tensor(norm.p).reshape(-1).tolist() for norm in norms]
        return self.biases[0].new_tensor(
            [[self.first.activation.lipschitz(p) for p in of_layer] for of_layer in orders]
        )

    def constrained(self, breathe: Callable[[], None] = lambda: None) -> list[Tensor]:
        """W of every layer, (branches, out, in)."""
        parts = zip(self.layers, self.raws, self.norms, strict=True)
        return [constrained(layer, raw, norm, breathe) for layer, raw, norm in parts]

    def network(self, breathe: Callable[[], None] = lambda: None) -> Network:
        """The networks of all branches, stacked."""
        return self.first.joined(self, self.constrained(breathe))

    @torch.no_grad()
    def layer_norms(self, breathe: Callable[[], None] = lambda: None) -> Tensor:
        """Certified upper bounds of every layer's present norm, (branches, layers), float64; NaN for W with NaN.

        The bound of the last layer includes the branch's scale, so that the product over the layers bounds Lip(g).
        """
        norms = []
        for weights, norm in zip(self.constrained(breathe), self.norms, strict=True):
            found, parts = list[Tensor](), in_cache(weights, norm)
            for part in parts:
                found.append(norm(part))
                if len(parts) > 1:
                    breathe()
            norms.append(torch.cat(found))
        norms[-1] = norms[-1] * norms[-1].new_tensor([one.scale for one in self.branches])
        return torch.stack(norms, 1)

    def layer_bounds(self, norms: Tensor) -> Tensor:
        """`Branch.layer_bounds` of each branch, (branches, layers), float64, from `layer_norms`."""
        found = [one.layer_bounds(of_one) for one, of_one in zip(self.branches, norms.tolist(), strict=True)]
        return torch.tensor(found, dtype=torch.float64)

    def lipschitz_bounds(self, norms: Tensor | None = None) -> list[float]:
        """`Branch.lipschitz` of each branch. `norms`: their `layer_norms`, where these are known."""
        linears = cast("Sequence[LipschitzLinear]", self.first.linears)
        if linears[0].constraint.certifies:
            of_one = math.prod(linear.cap for linear in linears)  # the same of all, as are their shapes
            return [one.scale * of_one for one in self.branches]
        return list(map(math.prod, self.layer_bounds(self.layer_norms() if norms is None else norms).tolist()))


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
        value, log_dets = log_det.value_and_log_det(self.branch.network(), x, generator)
        return x + value, log_dets

    def _inverse(self, z: Tensor) -> Tensor:
        """x with x + g(x) = z, (batch, d). Raises `NotConverged`."""
        return solve(self.branch.network(), z, self.branch.lipschitz, norm=self.branch.norm_of)
