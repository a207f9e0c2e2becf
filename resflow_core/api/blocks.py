"""A residual block of any module: z = x + g(x), with its Jacobian by torch.func."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import jacrev, vjp, vmap

from resflow_core.api.choices import generator_of, log_det_of, one_generator, tensor_of
from resflow_core.api.implicit import with_gradient
from resflow_core.api.layers import bound_of
from resflow_core.api.stream import OwnStream
from resflow_core.estimators.moments import spectral_radius
from resflow_core.fast.compiled import in_transform
from resflow_core.fixed_point import solve_banach
from resflow_core.settings import told

# A measured stretch above the bound by this share is no rounding.
ROUNDING = 1e-3
# Points for which `check` holds all Jacobians at once.
CHECKED = 256
LEAST_BOUND = 1e-6


class BrokenBound(UserWarning):
    """A module stretches more than the Lipschitz bound that was given for it. Its block may have no inverse, and a
    series for its log det may not converge. `block.check(x)` measures it.

    >>> import torch, warnings, resflow_core as rf
    >>> block = rf.ResidualBlock(torch.nn.Linear(2, 2).requires_grad_(False), lipschitz=0.5)
    >>> block.g.weight.copy_(3 * torch.eye(2)).shape
    torch.Size([2, 2])
    >>> with warnings.catch_warnings(record=True) as seen:
    ...     warnings.simplefilter("always")
    ...     y, log_det = block.forward_and_log_det(torch.zeros(1, 2))
    >>> seen[0].category.__name__
    'BrokenBound'
    """


@dataclass(frozen=True)
class Check:
    """Measurements of a block at some points. A stretch above the bound disproves the bound. If there is none, nothing
    is proven about other points."""

    points: int
    bound: float
    certified: bool  # whether the bound is proven from the layers
    norm: float  # the largest ||A||_2 of all points
    radius: float  # the largest spectral radius of A

    @property
    def holds(self) -> bool:
        """Whether no point disproves the bound."""
        return self.norm <= self.bound * (1 + ROUNDING)

    @property
    def converges(self) -> bool:
        """Whether the series of the log det converges at all of these points."""
        return self.radius < 1

    def __str__(self) -> str:
        proof = "certified by its layers" if self.certified else "as it was given"
        return (
            f"{self.points} points: largest ||A||_2 = {self.norm:.4g}, bound {self.bound:.4g} ({proof}) "
            f"{'holds here' if self.holds else 'is BROKEN'}; spectral radius {self.radius:.4g}, the series of "
            f"the log det {'converges' if self.converges else 'DIVERGES'}."
        )


class ResidualBlock(OwnStream):
    """z = x + g(x) for any module g, row by row: invertible if Lip(g) <= `lipschitz` < 1 (2-norm).

        log|det dz/dx| = log|det(I + A)|,   A = dg/dx                                         (nats)

    Nothing changes g. If it consists of `rf.LipschitzLinear` and activations of torch in an `nn.Sequential`, its bound
    is certified, and may be left out. Otherwise `lipschitz` is your own claim. A warning (`BrokenBound`) says if g is
    seen to stretch more, and `check(x)` measures it.

    Args:
        g: a module, (batch, d) -> (batch, d), that treats each row by itself; or with `shape` (batch, *shape) -> same.
        lipschitz: L, above 0 and below 1. None: certified from the layers.
        shape: the shape of one point, e.g. (3, 8, 8) for a convolutional g; None: one dimension of any size.
        seed: of the draws of estimators without a seed of their own.

    Raises:
        ValueError: if no bound below 1 is given or known, or g has parts that mix rows (batch normalisation) or draw
            (dropout) in training mode.

    Example:
        >>> import torch, resflow_core as rf
        >>> g = torch.nn.Sequential(rf.LipschitzLinear(2, 16, cap=0.9), torch.nn.Tanh(), rf.LipschitzLinear(16, 2, 0.9))
        >>> block, x = rf.ResidualBlock(g), torch.zeros(3, 2)
        >>> round(block.lipschitz, 2)
        0.81
        >>> z, log_det = block.forward_and_log_det(x, rf.Roulette(), generator=1)
        >>> z.shape, log_det.shape, torch.allclose(block.inverse(z), x, atol=1e-4)
        (torch.Size([3, 2]), torch.Size([3]), True)
    """

    def __init__(
        self,
        g: nn.Module,
        lipschitz: float | None = None,
        *,
        shape: "tuple[int, ...] | None" = None,
        seed: "int | torch.Generator" = 0,
    ):
        super().__init__()
        if not callable(g):
            raise ValueError(f"g = {told(g)}: pass a module, (batch, d) -> (batch, d).")
        known = bound_of(g) if isinstance(g, nn.Module) else None
        if lipschitz is None and known is None:
            raise ValueError(
                "No Lipschitz bound of g is known: pass lipschitz=..., below 1, or build g of rf.LipschitzLinear and "
                "activations in an nn.Sequential."
            )
        bound = known if lipschitz is None else lipschitz
        if not isinstance(bound, int | float) or isinstance(bound, bool) or not LEAST_BOUND <= bound < 1:
            raise ValueError(
                f"lipschitz = {told(bound)}: the bound of g must be below 1 (and at least {LEAST_BOUND:g}), or x + "
                "g(x) may have no inverse. Lower the caps of its layers, or multiply g by a number."
            )
        self.g, self.lipschitz = g, float(bound)
        self.certified = known is not None and known <= self.lipschitz
        self.shape = None if shape is None else torch.Size(shape)
        self._stream = generator_of(seed)

    def forward(self, x: Tensor) -> Tensor:
        """z = x + g(x), of the shape of x.

        >>> import torch, resflow_core as rf
        >>> rf.ResidualBlock(torch.nn.Tanh(), 0.99)(torch.zeros(2, 3, 4)).shape
        torch.Size([2, 3, 4])
        """
        rows = self._rows(x)
        return (rows + self._branch(rows)(rows)).view(x.shape)

    def forward_and_log_det(
        self,
        x: Tensor,
        log_det: Any = "exact",
        generator: "int | torch.Generator | None" = None,
        *,
        seed: "int | torch.Generator | None" = None,
    ) -> tuple[Tensor, Tensor]:
        """z, of the shape of x, and log|det dz/dx| in nats, one for each point, exact or estimated by `log_det`.

        Warns with `BrokenBound` if a point disproves the bound.

        >>> import torch, resflow_core as rf
        >>> z, log_det = rf.ResidualBlock(torch.nn.Tanh(), 0.99).forward_and_log_det(torch.zeros(5, 2))
        >>> round(log_det[0].item() / 2, 4)  # log 2, since the slope of tanh is 1 at 0
        0.6931
        """
        how, rows = log_det_of(log_det), self._rows(x)
        branch = self._branch(rows)
        value, found = how.value_and_log_det(branch, rows, one_generator(seed, generator, self._stream))
        branch.warn()
        return (rows + value).view(x.shape), found.view(self._batch(x))

    def inverse(self, z: Tensor) -> Tensor:
        """x with x + g(x) = z, of the shape of z: within 1e-6 (in float32: rounding) if the bound holds.

        If z requires gradients, the result has them in z and in the parameters. Raises `NotConverged`.

        >>> import torch, resflow_core as rf
        >>> block, x = rf.ResidualBlock(torch.nn.Tanh(), 0.99), torch.ones(2)
        >>> torch.allclose(block.inverse(block(x)), x, atol=1e-3)
        True
        """
        rows = self._rows(z)
        branch = self._branch(rows)
        x = solve_banach(branch, rows.detach(), self.lipschitz)
        if torch.is_grad_enabled() and z.requires_grad:
            x = with_gradient(lambda x: x + branch(x), x, rows)
        return x.view(z.shape)

    @torch.no_grad()
    def check(self, x: Tensor) -> Check:
        """What g does at these points: the largest ||A||_2 and spectral radius, by singular values and eigenvalues.

        >>> import torch, resflow_core as rf
        >>> print(rf.ResidualBlock(torch.nn.Tanh(), 0.99).check(torch.ones(4, 2)))
        4 points: largest ||A||_2 = 0.42, bound 0.99 (as it was given) holds here; spectral radius 0.42, the series of \
the log det converges.
        """
        rows = self._rows(x)
        norm = radius = 0.0
        for part in rows.split(CHECKED):
            jacobian = self._branch(part).near(part).jacobian().double()
            norm = max(norm, float(torch.linalg.matrix_norm(jacobian, 2).max()))
            radius = max(radius, float(spectral_radius(jacobian).max()))
        return Check(len(rows), self.lipschitz, self.certified, norm, radius)

    def extra_repr(self) -> str:
        return f"lipschitz={self.lipschitz:g}" + ("" if self.shape is None else f", shape={tuple(self.shape)}")

    def _branch(self, rows: Tensor) -> Any:
        for module in self.g.modules() if isinstance(self.g, nn.Module) else ():
            if module.training and isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise ValueError("g normalises over the batch, so rows depend on each other: use g.eval().")
            if module.training and isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
                raise ValueError("g drops units at random, so it is not a function of x: use g.eval().")
        return _Branch(self.g, self.lipschitz, self.shape, self.certified)

    def _rows(self, x: Tensor) -> Tensor:
        x = tensor_of(x, "x")
        first = next(self.parameters(), None)
        if first is not None and first.is_floating_point() and x.dtype != first.dtype:
            raise ValueError(f"x is {x.dtype}, g {first.dtype}: pass x.to({first.dtype}), or convert g.")
        if self.shape is None:
            if x.ndim == 0:
                raise ValueError("x is a single number: pass points, (..., d).")
            return x.reshape(-1, x.shape[-1])
        n = len(self.shape)
        if x.ndim < n or x.shape[x.ndim - n :] != self.shape:
            raise ValueError(f"x has the shape {tuple(x.shape)}: (..., {', '.join(map(str, self.shape))}) is needed.")
        return x.reshape(-1, self.shape.numel())

    def _batch(self, x: Tensor) -> torch.Size:
        return x.shape[: x.ndim - (1 if self.shape is None else len(self.shape))]


class _Branch:
    """g on rows, (batch, d), as the estimators use it, and the largest stretch that they saw."""

    def __init__(self, g: Callable[[Tensor], Tensor], bound: float, shape: torch.Size | None, certified: bool):
        self.g, self.bound, self.shape, self.certified = g, bound, shape, certified
        self.stretch: Tensor | None = None

    def __call__(self, rows: Tensor) -> Tensor:
        try:
            value = self.g(rows if self.shape is None else rows.view(-1, *self.shape))
        except RuntimeError as error:
            hint = (
                "" if self.shape else " For points with several dimensions, e.g. a convolutional g, pass shape=(...)."
            )
            raise ValueError(
                f"g does not take points of the shape {tuple(rows.shape if self.shape is None else self.shape)}: "
                f"{str(error).splitlines()[0]}.{hint}"
            ) from error
        if value.numel() != rows.numel() or len(value) != len(rows):
            raise ValueError(
                f"g sends points of the shape {tuple(rows.shape)} to {tuple(value.shape)}: they must be the same."
            )
        return value.reshape(rows.shape)

    def parameters(self) -> Any:
        return self.g.parameters() if isinstance(self.g, nn.Module) else iter(())

    def near(self, rows: Tensor) -> "_Near":
        return _Near(self, rows)

    def _alone(self, row: Tensor) -> tuple[Tensor, Tensor]:
        value = self(row[None])[0]
        return value, value

    def jacobian(self, rows: Tensor, value: Tensor) -> Tensor:
        """A of each row by itself, (batch, d, d). Raises ValueError if g of a row alone is not its `value`."""
        if not len(rows):
            return rows.new_zeros(0, rows.shape[1], rows.shape[1])
        jacobian, alone = vmap(jacrev(self._alone, has_aux=True))(rows)
        if not in_transform() and not torch.allclose(value, alone, atol=1e-4, rtol=1e-3, equal_nan=True):
            raise ValueError("g treats a row differently in a batch than alone: a block needs a g of single rows.")
        self._see(jacobian.detach())
        return jacobian

    @torch.no_grad()
    def _see(self, jacobian: Tensor) -> None:
        w = jacobian.new_ones(jacobian.shape[-1], 1) / math.sqrt(jacobian.shape[-1])
        for _ in range(3):
            after = jacobian @ w
            self.saw(torch.linalg.vector_norm(after, dim=(-2, -1)) / torch.linalg.vector_norm(w, dim=(-2, -1)))
            w = jacobian.mT @ after

    def saw(self, ratios: Tensor) -> None:
        largest = ratios.detach().nan_to_num(0.0).amax() if ratios.numel() else None
        if largest is not None and not in_transform():
            self.stretch = largest if self.stretch is None else torch.maximum(self.stretch, largest)

    def warn(self) -> None:
        """Warn if the bound is disproved. A certified bound needs no look."""
        if self.certified or self.stretch is None or float(self.stretch) <= self.bound * (1 + ROUNDING):
            return
        found = float(self.stretch)
        effect = (
            "a series for its log det need not converge, so an estimate can be far off, and the inverse may not exist"
            if found >= 1
            else "the error of the inverse is not certified"
        )
        warnings.warn(
            f"g stretches by {found:.4g} at least, above lipschitz = {self.bound:g}: {effect}. Look with "
            "block.check(x); build g of rf.LipschitzLinear, or scale it down.",
            BrokenBound,
            stacklevel=3,
        )


class _Near:
    """g near rows, (batch, d), by torch.func: differentiable any number of times in the rows and the parameters of
    g."""

    def __init__(self, branch: _Branch, rows: Tensor):
        self._branch, self._rows = branch, rows
        found: Any = vjp(branch, rows)
        self.value, self._pull = found

    def pullback(self, w: Tensor) -> Tensor:
        """w'A for vectors at every row, (..., batch, d), and a look at ||w'A|| / ||w||, which is at most Lip(g)."""
        several = w.reshape(w.shape[:-2].numel(), *w.shape[-2:])  # -1 is refused where there are no rows
        # One probe, the usual number, does not ask g for a rule of vmap.
        after = self._pulled(several[0])[None] if len(several) == 1 else vmap(self._pulled)(several)
        after = after.view(w.shape)
        self._branch.saw(torch.linalg.vector_norm(after, dim=-1) / torch.linalg.vector_norm(w, dim=-1))
        return after

    def jacobian(self) -> Tensor:
        """A, (batch, d, d)."""
        return self._branch.jacobian(self._rows, self.value)

    def trace(self) -> None:
        """There is no formula for tr A of any g."""

    def _pulled(self, w: Tensor) -> Tensor:
        return self._pull(w)[0]
