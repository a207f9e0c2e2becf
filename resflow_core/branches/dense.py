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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resflow_core.activations import Activation, Near
from resflow_core.lipschitz import LipschitzLinear
from resflow_core.residual import BRANCHES, Branch, BranchKind, Stack, as_columns, through, trace_between

# Both weights stay above this share, so that neither the input nor the new units are ever lost (as in their code).
LEAST_WEIGHT = 0.1


@dataclass(frozen=True, eq=False)
class Dense:
    """A dense branch at fixed weights: h <- [h; raw(W h + b)] from h = x, and g(x) = W_n h + b_n.

    With the weights of concatenation, the caps and the scales multiplied into the matrices, a dense layer only adds
    units. With column scales s_1 = 1, and eta, k, beta and C as above,

        W = beta_i W_i diag(s_i),   b = beta_i b_i,   s_{i+1} = [c eta_1 / k s_i; eta_2 / (C beta_i)].
    """

    activation: Activation
    weights: Sequence[Tensor]
    biases: Sequence[Tensor]

    def unstacked(self) -> list["Dense"]:
        weights, biases = (zip(*(part.unbind() for part in of), strict=True) for of in (self.weights, self.biases))
        return [Dense(self.activation, *part) for part in zip(weights, biases, strict=True)]

    def parameters(self) -> Iterator[Tensor]:
        yield from (*self.weights, *self.biases)

    def at(self, parameters: Iterator[Tensor]) -> "Dense":
        n = len(self.weights)
        return Dense(self.activation, [*islice(parameters, n)], [*islice(parameters, n)])

    def __call__(self, x: Tensor) -> Tensor:
        h = x.T
        *layers, (last, shift) = zip(self.weights, self.biases, strict=True)
        for weight, bias in layers:
            h = torch.cat([h, self.activation.raw(torch.addmm(bias, weight, h))])
        return torch.addmm(shift, last, h).T

    def near(self, x: Tensor) -> "LinearisedDense":
        return self.near_columns(x.T)

    def near_columns(self, x: Tensor) -> "LinearisedDense":
        h, units = x, list[Near]()
        *layers, (last, shift) = zip(self.weights, self.biases, strict=True)
        for weight, bias in layers:
            units.append(self.activation.near(torch.addmm(bias, weight, h)))
            h = torch.cat([h, units[-1].value])
        return LinearisedDense(torch.addmm(shift, last, h), self.weights, units)

    def jacobians(self, near: Iterable["LinearisedDense"]) -> Tensor:
        return torch.stack([one.tangents() for one in near], 2).permute(2, 3, 0, 1)


@dataclass(frozen=True, eq=False)
class LinearisedDense:
    """A is the product of the layers' Jacobians: of [h; raw(W h + b)] it is [I; J W], with J that of raw."""

    columns: Tensor
    weights: Sequence[Tensor]
    units: Sequence[Near]

    @property
    def value(self) -> Tensor:
        return self.columns.T

    def pullback(self, w: Tensor) -> Tensor:
        """w'A, (..., batch, d): with w split into w_h and w_y, w <- w_h + W' J' w_y, from the last layer to the
        first."""
        w, back = as_columns(w)
        *layers, last = self.weights
        w = through(last.T, w)
        for weight, near in zip(reversed(layers), reversed(self.units), strict=True):
            w_h, w_y = w.split([weight.shape[1], len(near.slope)])
            w = w_h + through(weight.T, near.pulled(w_y))
        return back(w)

    def jacobian(self) -> Tensor:
        """A, (batch, d, d)."""
        return self.tangents().permute(2, 0, 1)

    def tangents(self) -> Tensor:
        """The columns of A, (d, d, batch), from the tangents of h. Those of x are the identity, and never stored."""
        (first, *weights), d = self.weights, len(self.columns)
        tangents, of_units = first[:, :, None].expand(-1, d, self.columns.shape[1]), list[Tensor]()
        for weight, near in zip(weights, self.units, strict=True):
            of_units.append(near.pushed(tangents))
            tangents = weight[:, :d, None] + through(weight[:, d:], torch.cat(of_units))
        return tangents

    def trace(self) -> Tensor | None:
        """tr A of one or two dense layers; None of more.

        With W_x and W_1, W_2 the columns of the last layer for x and for the units y_i that are added, W_ix and W_iy
        those of the layer i for x and for y_1, and J_i the Jacobians of raw,

            A = W_x + sum_i W_i J_i W_ix + W_2 J_2 W_2y J_1 W_1x.

        No activation stands before the first layer, so W_1x W_2 is one matrix for all points.
        """
        if len(self.units) > 2:
            return None
        d, (*layers, last) = len(self.columns), self.weights
        of_x, *of_y = last.split([d, *(len(near.slope) for near in self.units)], 1)
        total = of_x.diagonal().sum()
        for weight, near, outer in zip(layers, self.units, of_y, strict=True):
            for slope, source in near.parts():
                total = total + (weight[source, :d] * outer.T).sum(1) @ slope
        if len(layers) == 2:
            (first, second), (at_first, at_second) = layers, self.units
            total = total + trace_between(first @ of_y[1], at_second, second[:, d:], at_first)
        return total


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

    @staticmethod
    def joined(branches: Stack, weights: Sequence[Tensor]) -> Dense:
        dense = cast("Sequence[DenseBranch]", branches.branches)
        copies, etas, n = branches.first.activation.copies, _etas(branches), len(dense)
        kept = etas.new_tensor([one.kept for one in dense])
        constants = branches.constants(branches.norms[1:])
        scales = weights[0].new_ones(n, weights[0].shape[2])
        folded, shifted = [], []
        for i, (weight, bias) in enumerate(zip(weights[:-1], branches.biases, strict=False)):
            beta, eta = branches.scales[:, i, None], etas[:, i]
            folded.append(weight * (beta * scales)[:, None])
            shifted.append((bias * beta)[:, :, None])
            added = (eta[:, 1:] / (constants[i][:, None] * beta)).expand(-1, copies * weight.shape[1])
            scales = torch.cat([scales * (kept[:, i, None] * eta[:, :1]), added], 1)
        last = branches.last_scales[:, None]
        folded.append(weights[-1] * (last * scales)[:, None])
        shifted.append((branches.biases[-1] * last)[:, :, None])
        return Dense(branches.first.activation, folded, shifted)

    @property
    def _dense(self) -> list[LipschitzLinear]:
        return cast("list[LipschitzLinear]", [*self.linears][:-1])


def _etas(branches: Stack) -> Tensor:
    """eta of every dense layer, (branches, layers - 1, 2)."""
    raw = branches.parameters["raw_concat"]
    raw = raw.view(len(raw), -1, 2)
    if branches.first.raw_orders is None:
        return normalised(raw, branches.first.orders[1:-1])
    of_each = zip(raw, branches.branches, strict=True)
    return torch.stack([normalised(of_one, one.orders[1:-1]) for of_one, one in of_each])


def normalised(raw: Tensor, orders: Sequence[float]) -> Tensor:
    """eta of dense layers, (..., layers, 2), from raw of that shape. In layer i its norm of order orders[i] is 1."""
    weights = F.softplus(raw) + LEAST_WEIGHT
    norms = [torch.linalg.vector_norm(weights[..., i, :], q, -1) for i, q in enumerate(orders)]
    return weights / torch.stack(norms, -1)[..., None]


BRANCHES["dense"] = BranchKind("Dense (i-DenseNet)", DenseBranch)
