"""Independent answers: automatic differentiation, NumPy and closed forms, none of it through the code under test."""

import itertools

import numpy as np
import torch
from scipy import linalg
from torch import Tensor, nn

from resflow_core.flow import Flow, FlowConfig

# log det(I + A) of this matrix is log(1.45 * 1.20 + 0.30 * 0.25) = log 1.815.
KNOWN_A = torch.tensor([[0.45, 0.30], [-0.25, 0.20]], dtype=torch.float64)
KNOWN_LOG_DET = 0.5960854677


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(n, dim, generator=seeded(seed), dtype=torch.float64)


def autograd_jacobian(function, x: Tensor) -> Tensor:
    """d function(x_b) / d x_b for every row, one row at a time: (batch, d, d)."""
    rows = [torch.autograd.functional.jacobian(lambda row: function(row[None])[0], row) for row in x]
    return torch.stack(rows)


def jacobians_of_rows(function, x: Tensor) -> Tensor:
    """As `autograd_jacobian`, of a function whose rows are known not to depend on each other: all of them at once."""
    x = x.detach().requires_grad_()
    outputs = function(x)
    rows = [torch.autograd.grad(of.sum(), x, retain_graph=True)[0] for of in outputs.unbind(1)]
    return torch.stack(rows, 1)


def numpy_log_abs_det(jacobian: Tensor) -> np.ndarray:
    return np.linalg.slogdet(jacobian.detach().numpy())[1]


class LinearBranch(nn.Module):
    """g(x) = A x, whose Jacobian is A: the estimators can be checked by hand on it."""

    def __init__(self, a: Tensor = KNOWN_A):
        super().__init__()
        self.a = nn.Parameter(a.clone())

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.a.T

    def value_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self(x), self.a.expand(len(x), -1, -1)


def numpy_log_of_identity_plus(a: Tensor) -> np.ndarray:
    """log(I + A), the matrix logarithm, by SciPy."""
    return linalg.logm(np.eye(len(a)) + a.detach().numpy())


def contraction(dim: int, norm: float = 0.4, seed: int = 0) -> Tensor:
    """A matrix with ||A||_2 = norm."""
    a = torch.randn(dim, dim, generator=seeded(seed), dtype=torch.float64)
    return norm * a / torch.linalg.matrix_norm(a, 2)


def all_signs(dim: int) -> Tensor:
    """Every value of a Rademacher probe: (2^dim, dim)."""
    return torch.tensor(list(itertools.product((-1.0, 1.0), repeat=dim)), dtype=torch.float64)


def dense_norms(weights, p, q, directions=4000):
    """||W||_{p->q} of matrices with two columns from below: NumPy norms over dense directions, corners among them."""
    angles = np.arange(directions) * np.pi / directions
    x = np.stack([np.cos(angles), np.sin(angles)])
    x = x / np.linalg.norm(x, p, axis=0)
    return np.array([np.linalg.norm(w @ x, q, axis=0).max() for w in weights.double().numpy()])


def off_by(draws, truth: float) -> float:
    """How far the mean of independent draws is from the truth, in standard errors."""
    draws = np.asarray(draws, dtype=float)
    return abs(draws.mean() - truth) / (draws.std(ddof=1) / len(draws) ** 0.5)


def built(width: int = 6, **settings) -> Flow:
    """A flow in float64 whose parameters are far from where they begin, with some layers at their cap and some not."""
    flow, generator = FlowConfig(width=width, **settings).build(seeded(0)).double(), seeded(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(noise, alpha=0.05 if parameter.ndim == 1 else 0.15)
    return flow


def papers(flow: Flow) -> Flow:
    """The same flow by the paper's files, in float64."""
    paper = flow.config.build(seeded(0), "paper").double()
    paper.load_state_dict(flow.state_dict())
    return paper


def slopes(outputs, inputs) -> list[Tensor]:
    """The gradients of a random linear function of the outputs."""
    weights = [torch.randn(o.shape, generator=seeded(i), dtype=torch.float64).to(o) for i, o in enumerate(outputs)]
    return list(torch.autograd.grad(outputs, inputs, weights, materialize_grads=True))
