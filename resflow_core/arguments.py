"""Checks of the arguments of public methods: points and random generators. The messages say what to pass."""

from typing import Any

import torch
from torch import Tensor

from resflow_core.settings import told

CONVERSIONS = {torch.float32: "float()", torch.float64: "double()"}


def checked_points(points: Any, dim: int, like: Tensor | None) -> Tensor:
    """The points, a (batch, dim) tensor of the type of `like`. Raises ValueError for all else, and says what to
    pass."""
    if not isinstance(points, Tensor):
        dtype = torch.float32 if like is None else like.dtype
        raise ValueError(
            f"points = {told(points)}: pass a torch tensor of shape (batch, {dim}), e.g. "
            f"torch.tensor(points, dtype={dtype})."
        )
    if points.ndim != 2 or points.shape[1] != dim:
        shape = tuple(points.shape)
        remedy = f" Pass points.reshape(-1, {dim})." if shape[-1:] == (dim,) else ""
        raise ValueError(f"Expected points of shape (batch, {dim}); got {shape}.{remedy}")
    if like is not None and points.dtype != like.dtype:
        name = CONVERSIONS.get(like.dtype, f"to({like.dtype})")
        other = " or convert the map with .double()" if points.dtype == torch.float64 else ""
        raise ValueError(f"Expected points of type {like.dtype}; got {points.dtype}. Pass points.{name}{other}.")
    return points


def check_finite(points: Tensor) -> None:
    """Raise ValueError with the first row that is not finite, if points, (batch, dim), have one."""
    bad = (~points.isfinite()).any(1)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        raise ValueError(
            f"{int(bad.sum())} of {len(points)} points are not finite; the first is {points[row].tolist()} "
            f"(row {row}). Leave them out: points[points.isfinite().all(1)]."
        )


def checked_generator(generator: Any, what: str) -> torch.Generator:
    """The generator that the method `what` draws from. Raises ValueError for other values.

    torch would read None as its global generator, which sessions of one process share.
    """
    if not isinstance(generator, torch.Generator):
        raise ValueError(
            f"generator = {told(generator)}: {what} draws at random; pass a torch.Generator, e.g. "
            "torch.Generator().manual_seed(0)."
        )
    return generator
