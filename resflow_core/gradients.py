"""Sums of v'A^k v with given coefficients, A = J_g(x), and four ways to differentiate them.

    log(1 + t) = sum_k a_k t^k,   a_0 = 0, a_k = (-1)^(k+1) / k
    its derivative 1 / (1 + t) = sum_k b_k t^k,   b_k = (-1)^k

    log det(I + A) = E_v sum_k a_k v'A^k v                                              (paper, equation 3)
    d log det(I + A) = tr((I + A)^-1 dA) = E_v (sum_k b_k v'A^k) dA v                   (paper, Theorem 2)

The branch is used only through vector-Jacobian products, w' <- w'A, because A itself is too large in high dimensions.
In the second form the powers of A are constants, so their graphs are not kept. Only one more product is differentiated,
for any number of terms. Both forms can be differentiated in the forward pass, block by block.

The first m traces may be exact, which needs no probe and takes away most of the noise:

    log det(I + A) = sum_{k<=m} a_k tr(A^k) + E_v sum_{k>m} a_k v'A^k v
    d log det(I + A) = sum_{k<m} b_k tr(A^k dA) + E_v sum_{k>=m} b_k v'A^k dA v

Where A is at hand, as in the plane, each estimate is a number and a matrix M. With P the mean of vv' over the probes,
or any other random matrix whose mean is I for every N,

    estimate = sum_k a_k tr(P A^k),   and its gradient is tr(M dA) with
    M = P sum_k b_k A^k                                       by Theorem 2, or term by term
    M = sum_k a_k T_k,   T_0 = 0,   T_{k+1} = A T_k + P A^k.

Of the exact log det, M = (I + A)^-1. In every case E tr(M dA) = d log det(I + A), or the derivative of the cut series.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor


class Linearised(Protocol):
    """A map g near points x: g(x + e) = value + A e, with A = J_g(x)."""

    @property
    def value(self) -> Tensor:
        """g(x), (batch, d)."""
        ...

    def pullback(self, w: Tensor) -> Tensor:
        """w'A for vectors at every point, (..., batch, d)."""
        ...

    def jacobian(self) -> Tensor:
        """A, (batch, d, d)."""
        ...

    def trace(self) -> Tensor | None:
        """tr A, (batch,), where that has a formula."""
        ...


class DifferentiableMap(Protocol):
    """g: (batch, d) -> (batch, d), row by row, with Lip(g) < 1."""

    def near(self, x: Tensor) -> Linearised:
        """g near x; all of it differentiable in x and in the `parameters`, as often as they need it."""
        ...

    def parameters(self) -> Iterator[Tensor]:
        """The tensors that g depends on."""
        ...


@dataclass(frozen=True)
class Coefficients:
    """The coefficients of v'A^k, k = 0, 1, ..., in the value and in its gradient.

    Both have shape (batch, 1 + terms), or (1, 1 + terms) if all points share them. The row of a shorter series ends in
    zeros. Beside these, the series has its first m = `exact_traces` traces without a probe, and at every point.
    """

    value: Tensor
    gradient: Tensor
    exact_traces: int = 0

    def beyond(self, exact_traces: int) -> "Coefficients":
        """The same with so many traces exact: v'A^k v has the coefficient 0 for k <= m, and v'A^k dA v for k < m."""
        value, gradient = self.value.clone(), self.gradient.clone()
        value[..., : 1 + exact_traces], gradient[..., :exact_traces] = 0, 0
        return Coefficients(value, gradient, exact_traces)


MOST_PRODUCTS = 16
"""For exact traces without a formula. With A at hand the exact log det hardly costs more."""
ESTIMATE = 'Use the exact log det, or Roulette(gradient="plain").'


def differentiable_once(value: Tensor, remedy: str) -> Tensor:
    """The value, whose first derivatives are right and whose second would be wrong: asking for a gradient with a graph
    (`create_graph=True`) raises RuntimeError."""
    return cast(Tensor, _DifferentiableOnce.apply(value, remedy))


def refuse_second(remedy: str) -> None:
    """In a `backward`: raise RuntimeError if the gradient is to be differentiated again."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            f"The second derivative would be wrong: this gradient is made of constants. {remedy} Without second "
            "derivatives, leave create_graph out."
        )


class _DifferentiableOnce(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor, remedy: str) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.remedy = inputs[1]

    @staticmethod
    def backward(ctx: Any, d_value: Tensor) -> Any:
        refuse_second(ctx.remedy)
        return d_value, None

    @staticmethod
    def jvp(ctx: Any, d_value: Tensor, d_remedy: Any) -> Tensor:
        return d_value.view_as(d_value)


def log_series(n: int) -> Tensor:
    """a_0, ..., a_n of log(1 + t), float64."""
    k = torch.arange(n + 1, dtype=torch.float64)
    return torch.where(k > 0, -((-1) ** k) / k, 0.0)


def neumann_series(n: int) -> Tensor:
    """b_0, ..., b_n of 1 / (1 + t), float64."""
    return (-1) ** torch.arange(n + 1, dtype=torch.float64)


def plain(branch: DifferentiableMap, x: Tensor, probes: Tensor, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
    """Differentiate the series term by term. In every block the memory grows with the number of terms."""
    series = _Series(branch, x, probes, coefficients.exact_traces)
    return series.g, _term_by_term(series, coefficients).surrogate


def neumann(branch: DifferentiableMap, x: Tensor, probes: Tensor, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
    """The gradient by the Neumann series of Theorem 2. The memory does not depend on the number of terms."""
    series = _Series(branch, x, probes, coefficients.exact_traces)
    found = _by_neumann(series, coefficients)
    # The surrogate has the right gradient and the wrong value: its mean is tr A(I + A)^-1.
    surrogate = differentiable_once(found.surrogate, ESTIMATE)
    return series.g, found.estimate + (surrogate - surrogate.detach())


def plain_in_forward(
    branch: DifferentiableMap, x: Tensor, probes: Tensor, coefficients: Coefficients
) -> tuple[Tensor, Tensor]:
    """The gradient of `plain`, taken in the forward pass (paper, section 3.2).

    The graph of the log det is freed at the end of each block. Within a block the memory grows with the number of
    terms.
    """
    return _in_forward(_term_by_term, branch, x, probes, coefficients)


def in_forward(
    branch: DifferentiableMap, x: Tensor, probes: Tensor, coefficients: Coefficients
) -> tuple[Tensor, Tensor]:
    """The gradient of `neumann`, taken in the forward pass (paper, section 3.2).

    The memory of the log det does not depend on the number of terms. Apart from the gradients, it does not depend on
    the number of blocks either.
    """
    return _in_forward(_by_neumann, branch, x, probes, coefficients)


def second_moment(probes: Tensor) -> Tensor:
    """P, (..., batch, d, d), the mean of vv' over the probes, (..., n_probes, batch, d)."""
    return torch.einsum("...kbi,...kbj->...bij", probes, probes) / probes.shape[-3]


def first_traces(jacobian: Tensor, m: int) -> Tensor:
    """sum_{k<=m} a_k tr(A^k), (...), of A, (..., d, d); differentiable any number of times."""
    total, power = torch.zeros(()).to(jacobian), jacobian
    for a_k in log_series(m).tolist()[1:]:
        total = total + a_k * power.diagonal(dim1=-2, dim2=-1).sum(-1)
        power = power @ jacobian
    return total


def value_from(jacobian: Tensor, p: Tensor, coefficients: Coefficients) -> Tensor:
    """sum_k a_k tr(P A^k), (...), of A and P, (..., d, d); differentiable in A any number of times."""
    total, power = torch.zeros(()).to(jacobian), p
    for k, a_k in enumerate(coefficients.value.to(jacobian).unbind(-1)):
        power = power @ jacobian if k else p
        total = total + a_k * power.diagonal(dim1=-2, dim2=-1).sum(-1)
    return total


@torch.no_grad()
def matrix_from(jacobian: Tensor, p: Tensor, coefficients: Coefficients, by_neumann: bool) -> Tensor:
    """M, (..., d, d), with tr(M dA) the gradient of `value_from`: by the Neumann series of Theorem 2, whose mean over
    what is drawn is the same, or term by term."""
    term, power = torch.zeros_like(jacobian), p.expand_as(jacobian)
    total = torch.zeros_like(jacobian)
    a, b = (of.to(jacobian).unbind(-1) for of in (coefficients.value, coefficients.gradient))
    for a_k, b_k in zip(a, b, strict=True):
        if by_neumann:
            total = total + b_k[..., None, None] * power
        else:
            total = total + a_k[..., None, None] * term
            term = jacobian @ term + power
        power = power @ jacobian
    return total


def from_jacobian(gradient: "Gradient", jacobian: Tensor, p: Tensor, coefficients: Coefficients) -> Tensor:
    """The sum of an entry of `GRADIENTS` from A and P, (..., d, d) -> (...), with its gradient in A."""
    exact = first_traces(jacobian, coefficients.exact_traces)
    if not gradient.by_neumann or not torch.is_grad_enabled():
        return exact + value_from(jacobian, p, coefficients)
    m = matrix_from(jacobian, p, coefficients, by_neumann=True)
    surrogate = differentiable_once((m.mT * jacobian).sum((-2, -1)), ESTIMATE)
    return exact + value_from(jacobian.detach(), p, coefficients) + (surrogate - surrogate.detach())


@dataclass(frozen=True)
class Gradient:
    """A way to differentiate the sum.

    `estimate(branch, x, probes, coefficients)` returns g(x), (batch, d), and the sum, (batch,). The sum is the mean
    over the probes, which have shape (n_probes, batch, d). `kept(terms)` is the number of vector-Jacobian products of a
    block whose graphs are kept for the backward pass. `at_once(terms)` is the number whose graphs exist at one time.
    `memory` is the order of the log det's memory for n terms and m blocks, in LaTeX; gradients and the derivatives of g
    come on top. `paper` is the name in the paper (section 3.2). `by_neumann`: whether M is that of Theorem 2.
    """

    title: str
    paper: str
    estimate: Callable[[DifferentiableMap, Tensor, Tensor, Coefficients], tuple[Tensor, Tensor]]
    kept: Callable[[int], int]
    at_once: Callable[[int], int]
    memory: str
    by_neumann: bool


def _all(terms: int) -> int:
    return terms


def _one(terms: int) -> int:
    return 1


def _none(terms: int) -> int:
    return 0


GRADIENTS: dict[str, Gradient] = {
    "plain": Gradient("Term by term", "naive backpropagation", plain, _all, _all, "O(nm)", False),
    "neumann": Gradient("Neumann series", "Neumann gradient series", neumann, _one, _one, "O(m)", True),
    "plain_in_forward": Gradient(
        "Term by term, in the forward pass", "backward-in-forward", plain_in_forward, _none, _all, "O(n)", False
    ),
    "in_forward": Gradient("Neumann, in the forward pass", "both", in_forward, _none, _one, "O(1)", True),
}


@torch.no_grad()
def without_gradient(
    branch: DifferentiableMap, x: Tensor, probes: Tensor, coefficients: Coefficients
) -> tuple[Tensor, Tensor]:
    """Only the values, which are the same for all entries of `GRADIENTS`."""
    series = _Series(branch, x, probes, coefficients.exact_traces)
    return series.g, series.sums(coefficients)[0]


class _Series:
    """v'A^k of every probe at every point, and the exact traces."""

    def __init__(self, branch: DifferentiableMap, x: Tensor, probes: Tensor, exact_traces: int):
        # Each coordinate contiguous in memory, as a network has its points.
        self.probes = probes.movedim(-1, 0).contiguous().movedim(0, -1)
        self._near = branch.near(x)
        self.g = self._near.value
        self._exact = _first_traces(self._near, exact_traces)

    def powers(self) -> Iterator[Tensor]:
        """v'A^k for k = 0, 1, ..., each (n_probes, batch, d), by one vector-Jacobian product from the one before."""
        w = self.probes
        while True:
            yield w
            w = self._near.pullback(w)

    @torch.no_grad()
    def sums(self, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
        """sum_k a_k v'A^k v as a mean over the probes, (batch,), and sum_k b_k v'A^k, (n_probes, batch, d), both as
        constants."""
        total, pulled = self._exact, torch.zeros_like(self.probes)
        a, b = (of.T.to(self.probes) for of in (coefficients.value, coefficients.gradient))
        for a_k, b_k, w in zip(a, b, self.powers(), strict=False):
            total = total + a_k * self._product(w)
            pulled = pulled + b_k[:, None] * w
        return total.detach(), pulled

    def term_by_term(self, coefficients: Coefficients) -> Tensor:
        """sum_k a_k v'A^k v as a mean over the probes, (batch,), with its graph."""
        total = self._exact
        for a_k, w in zip(coefficients.value.T.to(self.probes), self.powers(), strict=False):
            total = total + a_k * self._product(w)
        return total

    def _product(self, w: Tensor) -> Tensor:
        """w'v as a mean over the probes, (batch,)."""
        return (w * self.probes).sum(-1).mean(0)

    def neumann_surrogate(self, pulled: Tensor) -> Tensor:
        """w'Av as a mean over the probes, (batch,), with the constant w' = sum_k b_k v'A^k, and the exact traces. Its
        gradient is that of the log det."""
        return self._product(self._near.pullback(pulled)) + self._exact


def _first_traces(near: Linearised, m: int) -> Tensor:
    """`first_traces`, (batch,): by a formula of tr A, or from A itself."""
    d = near.value.shape[1]
    if m == 0:
        return near.value.new_zeros(())
    if m == 1 and (known := near.trace()) is not None:
        return known
    if d > MOST_PRODUCTS:
        what = f"exact_traces = {m} takes d = {d} products with this branch; at most {MOST_PRODUCTS} are made"
        raise ValueError(f"{what}: use exact_traces = 0, the exact log det, or exact_traces = 1 and one hidden layer.")
    return first_traces(near.jacobian(), m)


class _Found(NamedTuple):
    """The estimate, (batch,), without a graph, and a surrogate of the same shape with its gradient."""

    estimate: Tensor
    surrogate: Tensor


def _term_by_term(series: _Series, coefficients: Coefficients) -> _Found:
    surrogate = series.term_by_term(coefficients)
    return _Found(surrogate.detach(), surrogate)


def _by_neumann(series: _Series, coefficients: Coefficients) -> _Found:
    estimate, pulled = series.sums(coefficients)
    return _Found(estimate, series.neumann_surrogate(pulled))


def _in_forward(
    find: Callable[[_Series, Coefficients], _Found],
    branch: DifferentiableMap,
    x: Tensor,
    probes: Tensor,
    coefficients: Coefficients,
) -> tuple[Tensor, Tensor]:
    parameters = [p for p in branch.parameters() if p.requires_grad]
    g, estimate = _InForward.apply(find, branch, probes, coefficients, x, *parameters)
    return g, estimate


class _InForward(torch.autograd.Function):
    """g(x) and the estimate. The estimate's gradient is taken, and its graph freed, before the forward pass goes on."""

    @staticmethod
    def forward(ctx: Any, find: Any, branch: Any, probes: Any, coefficients: Any, x: Any, *parameters: Any) -> Any:
        with torch.enable_grad():
            x = x.detach().requires_grad_()  # so that the gradients taken here end at this block
            series = _Series(branch, x, probes, coefficients.exact_traces)
            estimate, surrogate = find(series, coefficients)
            ctx.g = series.g
        ctx.inputs = (x, *parameters)
        # Of the coefficients only those that the surrogate is made of.
        kept = coefficients.gradient if find is _by_neumann else coefficients.value
        kept_coefficients = Coefficients(kept, kept, coefficients.exact_traces)
        ctx.again = partial(_surrogate, find, branch, x, probes, kept_coefficients)
        ctx.gradients = _gradients(surrogate, ctx.inputs, torch.ones_like(estimate))
        return ctx.g.detach(), estimate

    @staticmethod
    def backward(ctx: Any, d_g: Tensor, d_estimate: Tensor) -> Any:
        refuse_second(ESTIMATE)
        d_x, *d_parameters = ctx.gradients
        _, *parameters = ctx.inputs
        if bool((d_estimate == d_estimate[:1]).all()):
            d_parameters = [d_estimate[:1].sum() * d for d in d_parameters]
        else:
            # The gradient in hand is a sum over the batch, so its samples cannot be weighted any more: the estimate is
            # differentiated once more. Released code scales by the first sample's gradient, which is right only for a
            # mean.
            d_parameters = _gradients(ctx.again(), parameters, d_estimate)
        from_g = torch.autograd.grad(ctx.g, ctx.inputs, d_g, materialize_grads=True)
        return None, None, None, None, *map(torch.add, from_g, (d_estimate[:, None] * d_x, *d_parameters))


@torch.enable_grad()
def _surrogate(find: Any, branch: Any, x: Tensor, probes: Tensor, coefficients: Coefficients) -> Tensor:
    return find(_Series(branch, x, probes, coefficients.exact_traces), coefficients).surrogate


def _gradients(outputs: Tensor, inputs: Sequence[Tensor], weights: Tensor) -> list[Tensor]:
    """sum_b weights_b d outputs_b / d input for each input; zero if the outputs do not depend on it."""
    if not inputs or not outputs.requires_grad:
        return [torch.zeros_like(i) for i in inputs]
    return list(torch.autograd.grad(outputs, inputs, weights, retain_graph=True, materialize_grads=True))
