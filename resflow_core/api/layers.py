"""Layers with a certified Lipschitz bound, for networks of your own, and the bound of a network of such layers."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resflow_core import lipschitz
from resflow_core.api.choices import generator_of, points_of
from resflow_core.lipschitz import CONSTRAINTS, Constraint
from resflow_core.settings import told


class LipschitzLinear(lipschitz.LipschitzLinear):
    """x -> W x + b with ||W||_2 <= cap, after any step of any optimiser: (..., in_features) -> (..., out_features).

        W = raw * min(1, cap / ||raw||_2)                                  (Behrmann et al. 2019, equation 5)

    Args:
        in_features, out_features: as for `nn.Linear`.
        cap: the bound of the spectral norm, above 0.
        bias: whether there is a b.
        seed: a number or a generator. None: torch's own generator, as `nn.Linear` (`torch.manual_seed`).
        constraint: "soft" (the formula above), "hard" (W at the cap), or another of `CONSTRAINTS`, or a value.

    Raises:
        ValueError: for numbers that cannot be used, or points of another shape.

    Example:
        >>> import torch, resflow_core as rf
        >>> layer = rf.LipschitzLinear(3, 16, cap=0.9, bias=False)
        >>> layer(torch.ones(4, 5, 3)).shape, bool(torch.linalg.matrix_norm(layer.weight(), 2) <= 0.9)
        (torch.Size([4, 5, 16]), True)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        cap: float = 0.9,
        bias: bool = True,
        *,
        seed: "int | torch.Generator | None" = None,
        constraint: "str | Constraint" = "soft",
        dtype: torch.dtype | None = None,
        device: "str | torch.device | None" = None,
    ):
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} = {told(value)}: use a whole number of at least 1.")
        if not isinstance(cap, int | float) or isinstance(cap, bool) or not 0 < cap < math.inf:
            raise ValueError(f"cap = {told(cap)}: use a number above 0, e.g. 0.9.")
        if isinstance(constraint, str):
            if constraint not in CONSTRAINTS:
                raise ValueError(f"constraint = {told(constraint)}: use one of {', '.join(CONSTRAINTS)}.")
            constraint = CONSTRAINTS[constraint]()
        generator = generator_of(seed, torch.default_generator)
        super().__init__(in_features, out_features, float(cap), generator, constraint)
        if not bias:
            self.register_parameter("bias", None)
        self.to(device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """W x + b, (..., in_features) -> (..., out_features)."""
        if isinstance(x, Tensor) and x.dtype != self.raw.dtype:
            raise ValueError(f"x is {x.dtype}, the layer {self.raw.dtype}: pass x.to({self.raw.dtype}).")
        return F.linear(points_of(x, self.raw.shape[1]), self.weight(), self.bias)

    def extra_repr(self) -> str:
        rows, columns = self.raw.shape
        return f"in_features={columns}, out_features={rows}, cap={self.cap:g}, bias={self.bias is not None}"


SLOPES: dict[type[nn.Module], Callable[[Any], float]] = {
    **{
        kind: lambda module: 1.0
        for kind in (nn.Identity, nn.Tanh, nn.ReLU, nn.Softplus, nn.Sigmoid, nn.Softsign, nn.Hardtanh, nn.LogSigmoid)
    },
    nn.ELU: lambda module: max(1.0, module.alpha),
    nn.CELU: lambda module: 1.0,
    nn.LeakyReLU: lambda module: max(1.0, abs(module.negative_slope)),
    nn.Flatten: lambda module: 1.0,
    nn.Unflatten: lambda module: 1.0,
}
"""The Lipschitz constants of modules of torch, in the 2-norm."""


def bound_of(module: nn.Module) -> float | None:
    """A certified bound of Lip(module) in the 2-norm: products along `nn.Sequential`, caps of `LipschitzLinear`,
    constants of activations; None if a part has none that is known."""
    if isinstance(module, lipschitz.LipschitzLinear):
        return module.cap if module.constraint.certifies else None
    if type(module) is nn.Sequential:
        bounds = [bound_of(part) for part in module]
        return None if None in bounds else math.prod(bound for bound in bounds if bound is not None)
    if type(module) in SLOPES:
        return SLOPES[type(module)](module)
    known = getattr(module, "lipschitz", None)
    return float(known) if isinstance(known, int | float) else None
