"""ActNorm: a learned scale and shift for every coordinate (Kingma & Dhariwal 2018)."""

import torch
from torch import Tensor, nn

from resflow_core.arguments import check_finite
from resflow_core.bijection import Bijection
from resflow_core.log_det import LogDet


class ActNorm(Bijection):
    """z = exp(log_scale) * x + shift, log det = sum(log_scale); the identity until `initialize` is called."""

    def __init__(self, dim: int):
        super().__init__(dim)
        self.log_scale = nn.Parameter(torch.zeros(dim))
        self.shift = nn.Parameter(torch.zeros(dim))

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Make these points, (batch, dim), come out with mean 0 and standard deviation 1.

        The call is explicit, because otherwise the first batch, even a plotting grid, would decide the scale. Raises
        ValueError if a coordinate does not vary, a number is not finite, the scale overflows, or fewer than two points
        are given.
        """
        check_finite(self._checked(x))
        deviation = x.std(0) if len(x) > 1 else torch.zeros(self.dim)
        if not bool((deviation > 0).all()):
            raise ValueError(
                f"ActNorm needs points that vary in every coordinate; got deviations {deviation.tolist()}."
            )
        if not bool((deviation.isfinite() & deviation.reciprocal().isfinite()).all()):
            raise ValueError(
                f"ActNorm cannot scale points with deviations {deviation.tolist()} in {x.dtype}: they or their "
                "inverses overflow. Standardise the points first."
            )
        self.log_scale.copy_(-deviation.log())
        self.shift.copy_(-x.mean(0) / deviation)

    def _forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, torch.exp(self.log_scale))

    def _inverse(self, z: Tensor) -> Tensor:
        return (z - self.shift) * torch.exp(-self.log_scale)

    def _forward_and_log_det(
        self, x: Tensor, log_det: LogDet, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        return self._forward(x), self.log_scale.sum().expand(len(x))
