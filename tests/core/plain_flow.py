"""A residual flow by the formulas of the paper, row by row, and its Jacobians by autograd.

It has the parameters of a `Flow`, which autograd reaches. The caps of the 2-norm come from `torch.linalg.svdvals`. The
weights of other norms and constraints, and the constants C, are those of the core: they have tests of their own.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import Soft
from resflow_core.norms.constraints import Hard, Off
from resflow_core.spectral_norm import SLACK
from tests.core.oracles import seeded


def elu(z: Tensor) -> Tensor:
    return torch.where(z > 0, z, torch.expm1(z.clamp(max=0)))


def silu(z: Tensor) -> Tensor:
    return z * torch.sigmoid(z)


def pila(z: Tensor) -> Tensor:
    """z for z > 0, (k^2 z^3 / 2 - k z^2 + z) exp(k z) below, k = 5 (Ahn et al. 2022)."""
    below = z.clamp(max=0)
    return torch.where(z > 0, z, (12.5 * below**3 - 5 * below**2 + below) * torch.exp(5 * below))


def larger_first(z: Tensor) -> Tensor:
    """Every pair of neighbours along the last axis, sorted; of an odd number the last one stays."""
    n = z.shape[-1] // 2 * 2
    a, b = z[..., 0:n:2], z[..., 1:n:2]
    return torch.cat([torch.stack([torch.maximum(a, b), torch.minimum(a, b)], -1).flatten(-2), z[..., n:]], -1)


FORMULA = "=sin(z) + tanh(z)/4"
RAW = {
    FORMULA: lambda z: torch.sin(z) + torch.tanh(z) / 4,
    "lipswish": silu,
    "sine": torch.sin,
    "elu": elu,
    "tanh": torch.tanh,
    "softplus": lambda z: torch.logaddexp(z, torch.zeros_like(z)),
    "relu": torch.relu,
    "leaky_relu": lambda z: torch.where(z > 0, z, z / 100),
    "celu": elu,
    "selu": lambda z: 1.0507009873554805 * torch.where(z > 0, z, 1.6732632423543772 * torch.expm1(z.clamp(max=0))),
    "gelu": lambda z: z * (1 + torch.erf(z / math.sqrt(2))) / 2,
    "mish": lambda z: z * torch.tanh(torch.logaddexp(z, torch.zeros_like(z))),
    "silu": silu,
    "clipswish": lambda z: torch.cat([silu(z), silu(-z)], -1),
    "cpila": lambda z: torch.cat([pila(z - 0.2), pila(-z - 0.2)], -1),
    "maxmin": larger_first,
}
"""Each activation before it is divided by its Lipschitz constant, on rows."""


def weight(linear, norm, in_2_norm: bool) -> Tensor:
    """W = raw min(1, cap / ||raw||), with a share `SLACK` between the cap and each of norm and rounding."""
    if not in_2_norm or type(linear.constraint) not in (Soft, Hard, Off):
        return linear.weight(norm)
    if isinstance(linear.constraint, Off):
        return linear.raw
    share = linear.cap * (1 - SLACK) / ((1 + SLACK) * torch.linalg.svdvals(linear.raw)[0])
    return linear.raw * (share.clamp(max=1) if isinstance(linear.constraint, Soft) else share)


def etas(g) -> list[Tensor]:
    """(eta_1, eta_2) of every layer of a dense branch: softplus(raw) + 0.1, of norm 1 in the order q of its outputs."""
    raw = (F.softplus(g.raw_concat) + 0.1).view(-1, 2)
    return [eta / torch.linalg.vector_norm(eta, q) for eta, q in zip(raw, g.orders[1:-1], strict=True)]


class PlainFlow:
    """The formulas of a `Flow` with its parameters. Points are rows, (batch, d)."""

    def __init__(self, flow):
        self.flow, self.raw = flow, RAW[flow.config.activation]

    def branch(self, k: int, x: Tensor) -> Tensor:
        """g_k(x)."""
        g, in_2_norm = self.flow.branches[k], self.flow.config.norms == "2"
        weights = [weight(linear, norm, in_2_norm) for linear, norm in zip(g.linears, g.norms, strict=True)]
        biases = [linear.bias for linear in g.linears]
        betas = x.new_ones(len(weights))
        if g.activation.initial_scale is not None:
            reach = math.log(4)
            betas = g.activation.initial_scale * torch.exp(reach * torch.tanh(8 * g.raw_scales / reach))
        of = self._sequential if self.flow.config.branch == "residual" else self._dense
        return g.scale * of(g, x, weights, biases, betas)

    def _phi(self, g, z: Tensor, beta: Tensor, p: float) -> Tensor:
        return self.raw(beta * z) / (g.activation.lipschitz(p) * beta)

    def _sequential(self, g, x, weights, biases, betas):
        for w, b, beta, p in zip(weights, biases, betas, g.orders, strict=False):
            x = self._phi(g, x, beta, p) @ w.T + b
        return x

    def _dense(self, g, x, weights, biases, betas):
        cap = g.linears[0].cap
        for w, b, beta, (p, q), eta in zip(weights, biases, betas, pairwise(g.orders), etas(g), strict=False):
            k = max(1, x.shape[1] ** (1 / q - 1 / p))
            x = torch.cat([cap * eta[0] * x / k, eta[1] * self._phi(g, x @ w.T + b, beta, q)], 1)
        return x @ weights[-1].T + biases[-1]

    def _norm(self, k: int, x: Tensor) -> Tensor:
        if not self.flow.config.actnorm:
            return x
        norm = self.flow.actnorms[k]
        return norm.log_scale.exp() * x + norm.shift

    def stages(self, x: Tensor) -> list[Tensor]:
        """x, the points after each block, and z."""
        found = [x]
        for k in range(self.flow.config.blocks):
            y = self._norm(k, found[-1])
            found.append(y + self.branch(k, y))
        return [*found, self._norm(-1, found[-1])]

    def __call__(self, x: Tensor) -> Tensor:
        return self.stages(x)[-1]

    def jacobians(self, x: Tensor) -> list[Tensor]:
        """A of each block at the points that arrive there, (batch, d, d), by autograd and with its graph."""
        return [
            rows_jacobian(lambda y, k=k: self.branch(k, y), self._norm(k, stage))
            for k, stage in enumerate(self.stages(x)[:-2])
        ]

    @property
    def log_scales(self) -> Tensor:
        return sum((norm.log_scale.sum() for norm in self.flow.actnorms), torch.zeros(()))

    def log_prob(self, x: Tensor, of_jacobian=None) -> Tensor:
        """log p(x), with slogdet or another `of_jacobian(k, A)` for log det(I + A)."""
        if of_jacobian is None:
            of_jacobian = _log_det
        z, log_dets = self(x), [of_jacobian(k, a) for k, a in enumerate(self.jacobians(x))]
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1) + sum(log_dets) + self.log_scales


def _log_det(_: int, a: Tensor) -> Tensor:
    return torch.linalg.slogdet(torch.eye(a.shape[-1]).to(a) + a).logabsdet


def rows_jacobian(function, x: Tensor) -> Tensor:
    """d function(x)_b / d x_b, (batch, d, d), of rows that do not depend on each other; with its graph."""
    x = x if x.requires_grad else x.detach().requires_grad_()
    found = torch.autograd.functional.jacobian(lambda x: function(x).sum(0), x, create_graph=True)
    return found.transpose(0, 1)


def built(width=6, **settings):
    """A flow in float64 whose parameters are far from where they begin, with some layers at their cap and some not."""
    flow = FlowConfig(width=width, **settings).build(seeded(0)).double()
    generator = seeded(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(noise, alpha=0.05 if parameter.ndim == 1 else 0.15)
    return flow


def by_autograd(flow, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The mean NLL of a flow by the formulas, and its gradient with respect to each parameter."""
    names, parameters = zip(*flow.named_parameters(), strict=True)
    loss = -PlainFlow(flow).log_prob(x).mean()
    found = torch.autograd.grad(loss, parameters, materialize_grads=True)
    return loss.detach(), dict(zip(names, found, strict=True))
