"""Sums of v'A^k v with given coefficients, A = J_g(x), and three ways to differentiate them.

    log(1 + t) = sum_k a_k t^k,   a_0 = 0, a_k = (-1)^(k+1) / k
    its derivative 1 / (1 + t) = sum_k b_k t^k,   b_k = (-1)^k

    log det(I + A) = E_v sum_k a_k v'A^k v                                              (paper, equation 5)
    d log det(I + A) = tr((I + A)^-1 dA) = E_v (sum_k b_k v'A^k) dA v                   (paper, Theorem 2)

The branch is reached only through vector-Jacobian products, w' <- w'A, as it must be where d is large. In the second
form the powers enter as numbers, so that their graphs need not be kept: one more product is differentiated, and that
is all, however many terms there are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Coefficients:
    """What v'A^k is multiplied by, k = 0, 1, ..., in the value and in its gradient.

    Both have shape (batch, 1 + terms), or (1, 1 + terms) where all points have the same; a row ends in zeros where its
    series is shorter.
    """

    value: Tensor
    gradient: Tensor


def log_series(n: int) -> Tensor:
    """a_0, ..., a_n of log(1 + t), float64."""
    k = torch.arange(n + 1, dtype=torch.float64)
    return torch.where(k > 0, -((-1) ** k) / k, 0.0)


def neumann_series(n: int) -> Tensor:
    """b_0, ..., b_n of 1 / (1 + t), float64."""
    return (-1) ** torch.arange(n + 1, dtype=torch.float64)


def plain(branch: nn.Module, x: Tensor, probes: Tensor, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
    """Differentiate the series term by term: memory grows with the number of terms."""
    rows = _Rows(branch, x, probes)
    total = 0.0
    for a_k, w in zip(rows.own(coefficients.value), rows.powers(create_graph=True), strict=False):
        total = total + a_k * (w * rows.probes).sum(1)
    return rows.g[: len(x)], rows.mean(total)


def neumann(branch: nn.Module, x: Tensor, probes: Tensor, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
    """The gradient by the Neumann series of Theorem 2: memory does not depend on the number of terms."""
    rows = _Rows(branch, x, probes)
    estimate, pulled = rows.sums(coefficients)
    # The surrogate has the right gradient and the wrong value: its mean is tr A(I + A)^-1.
    surrogate = rows.mean(rows.neumann_surrogate(pulled))
    return rows.g[: len(x)], estimate + (surrogate - surrogate.detach())


def in_forward(branch: nn.Module, x: Tensor, probes: Tensor, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
    """The same gradient, taken in the forward pass (paper, section 3.2): no graph of the log det outlives its block."""
    parameters = [p for p in branch.parameters() if p.requires_grad]
    return _InForward.apply(branch, probes, coefficients, x, *parameters)


@dataclass(frozen=True)
class Gradient:
    """A way to differentiate the sum.

    `estimate(branch, x, probes, coefficients)` gives g(x), (batch, d), and the sum, (batch,), its mean over the probes,
    which have shape (n_probes, batch, d). `kept(terms)` is the number of vector-Jacobian products whose graphs are kept
    for the backward pass.
    """

    title: str
    estimate: Callable[[nn.Module, Tensor, Tensor, Coefficients], tuple[Tensor, Tensor]]
    kept: Callable[[int], int]


GRADIENTS: dict[str, Gradient] = {
    "plain": Gradient("Term by term", plain, kept=lambda terms: terms),
    "neumann": Gradient("Neumann series", neumann, kept=lambda terms: 1),
    "in_forward": Gradient("Neumann, in the forward pass", in_forward, kept=lambda terms: 0),
}


@torch.no_grad()
def without_gradient(branch: nn.Module, x: Tensor, probes: Tensor, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
    """The values alone, which are the same for all of `GRADIENTS`."""
    rows = _Rows(branch, x, probes)
    return rows.g[: len(x)].detach(), rows.sums(coefficients)[0]


class _Rows:
    """g with a row for each probe of each point, and what is pulled back through it."""

    def __init__(self, branch: nn.Module, x: Tensor, probes: Tensor):
        self.n_probes, self.probes = len(probes), probes.flatten(0, 1)
        attached = torch.is_grad_enabled() and x.requires_grad
        with torch.enable_grad():
            self.x = (x if attached else x.detach().requires_grad_()).repeat(self.n_probes, 1)
            self.g = branch(self.x)

    def own(self, coefficients: Tensor) -> Tensor:
        """Every row's coefficients, which are those of its point: (batch or 1, 1 + terms) -> (1 + terms, rows or 1)."""
        copies = self.n_probes if len(coefficients) > 1 else 1
        return coefficients.T.to(self.x).repeat(1, copies)

    def mean(self, per_row: Tensor) -> Tensor:
        """The mean over the probes, (rows,) -> (batch,)."""
        return per_row.view(self.n_probes, -1).mean(0)

    def powers(self, create_graph: bool) -> Iterator[Tensor]:
        """v'A^k for k = 0, 1, ..., each (rows, d) and one vector-Jacobian product after the last."""
        w = self.probes
        while True:
            yield w
            (w,) = torch.autograd.grad(self.g, self.x, w, create_graph=create_graph, retain_graph=True)

    @torch.no_grad()
    def sums(self, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
        """sum_k a_k v'A^k v, the mean over the probes, (batch,), and sum_k b_k v'A^k, (rows, d); no graph."""
        total, pulled = 0.0, 0.0
        a, b = self.own(coefficients.value), self.own(coefficients.gradient)
        for a_k, b_k, w in zip(a, b, self.powers(create_graph=False), strict=False):
            total = total + a_k * (w * self.probes).sum(1)
            pulled = pulled + b_k[:, None] * w
        return self.mean(total), pulled

    def neumann_surrogate(self, pulled: Tensor) -> Tensor:
        """w'Av for w' = sum_k b_k v'A^k, a number here: its gradient is that of the log det. Shape (rows,)."""
        (product,) = torch.autograd.grad(self.g, self.x, pulled, create_graph=True)
        return (product * self.probes).sum(1)


class _InForward(torch.autograd.Function):
    """g(x) and the estimate, with the estimate's gradient taken and its graph freed before the forward pass goes on."""

    @staticmethod
    def forward(ctx, branch, probes, coefficients, x, *parameters):
        with torch.enable_grad():
            x = x.detach().requires_grad_()  # so that the gradients taken here end at this block
            rows = _Rows(branch, x, probes)
            estimate, pulled = rows.sums(coefficients)
            surrogate, g = rows.mean(rows.neumann_surrogate(pulled)), rows.g[: len(x)]
        ctx.inputs, ctx.rows, ctx.pulled, ctx.g = (x, *parameters), rows, pulled, g
        ctx.gradients = _gradients(surrogate, ctx.inputs, torch.ones_like(estimate))
        return g.detach(), estimate

    @staticmethod
    @once_differentiable
    def backward(ctx, d_g, d_estimate):
        d_x, *d_parameters = ctx.gradients
        _, *parameters = ctx.inputs
        if bool((d_estimate == d_estimate[:1]).all()):
            d_parameters = [d_estimate[:1].sum() * d for d in d_parameters]
        else:
            # What was taken is summed over the batch, so it cannot be weighted any more. The powers of A are known,
            # though: one differentiated product gives the weighted sum. Scaling by the first sample's gradient, as
            # released code does, is wrong for any loss but a mean.
            with torch.enable_grad():
                surrogate = ctx.rows.mean(ctx.rows.neumann_surrogate(ctx.pulled))
            d_parameters = _gradients(surrogate, parameters, d_estimate)
        from_g = torch.autograd.grad(ctx.g, ctx.inputs, d_g, materialize_grads=True)
        return None, None, None, *map(torch.add, from_g, (d_estimate[:, None] * d_x, *d_parameters))


def _gradients(outputs: Tensor, inputs: Sequence[Tensor], weights: Tensor) -> list[Tensor]:
    """sum_b weights_b d outputs_b / d input for each input: zero for those that the outputs do not depend on."""
    if not inputs or not outputs.requires_grad:
        return [torch.zeros_like(i) for i in inputs]
    return list(torch.autograd.grad(outputs, inputs, weights, retain_graph=True, materialize_grads=True))
