"""The residual block f(x) = x + g(x) with Lip(g) <= L < 1 (paper, section 2)."""

from torch import Tensor

from resflow_core.bijection import Bijection
from resflow_core.branch import Branch
from resflow_core.fixed_point import solve_banach, solve_broyden

# Broyden's method carries a d x d matrix for every point; beyond this it no longer pays.
BROYDEN_UP_TO_DIM = 8


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
        return self.solve(z, self.branch.lipschitz)

    def solve(self, z: Tensor, lipschitz: float) -> Tensor:
        """x with x + g(x) = z, (batch, d), where the bound of g is known already."""
        solver = solve_broyden if self.dim <= BROYDEN_UP_TO_DIM else solve_banach
        return solver(self.branch, z, lipschitz, order=self.branch.orders[0])
