"""The interface of a data set: points in the plane, axes with units, and the true density if it is known."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from resflow_core.arguments import checked_generator
from resflow_core.data.labels import Labels
from resflow_core.data.numerics import LogDensity, plane_entropy
from resflow_core.settings import told

Window = tuple[tuple[float, float], tuple[float, float]]


def square(half: float, x: float = 0.0, y: float = 0.0) -> Window:
    """The window ((x0, x1), (y0, y1)) of side 2 * half around (x, y)."""
    return (x - half, x + half), (y - half, y + half)


# Held-out draws and splits are the same in every run. torch's generators use only the last 32 bits of a seed, and the
# seeds of training lie far below this one (`resflow_core.training.trainer`).
HELD_OUT_SEED = 2**32 - 1
HELD_OUT_POINTS = 2_000


@dataclass(frozen=True)
class Axis:
    """A coordinate in its own unit: centre + scale * (the flow's value), in `unit` ("" for none)."""

    name: str
    unit: str = ""
    centre: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Truth:
    """The true density of points: log p(x) in nats, (n, 2) -> (n,) float64, -inf where p is zero.

    `closed_form` is the entropy in nats, if a formula gives it. Without one, `entropy` integrates over the plane.
    """

    log_prob: LogDensity
    closed_form: float | None = None

    @cached_property
    def entropy(self) -> float:
        """-E log p in nats. No model has a lower expected NLL. An integral is computed once, on first use."""
        return plane_entropy(self.log_prob) if self.closed_form is None else self.closed_form


class Source(Protocol):
    """Points of R^d to train on, and held-out points to judge the result."""

    @property
    def title(self) -> str:
        """The name of the data, for people."""
        ...

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws to train on, float32, shape (n, d). Raises ValueError without a `torch.Generator`."""
        ...

    def held_out(self) -> Tensor:
        """Points that are never trained on, float32, shape (m, d)."""
        ...


class Dataset(Source, Protocol):
    """Points in the plane, in the flow's units."""

    @property
    def group(self) -> str:
        """The heading under which people find it."""
        ...

    @property
    def truth(self) -> Truth | None:
        """The density from which `sample` and `held_out` draw; None if it is unknown."""
        ...

    @property
    def window(self) -> Window:
        """((x0, x1), (y0, y1)): the square of the plane that is worth plotting."""
        ...

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """Names and units of the two coordinates."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of the points; () if they have none."""
        ...

    @property
    def joint(self) -> Labels | None:
        """p(x, y) of points and classes; None if it is unknown."""
        ...

    def sample_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The points that `sample` draws, (n, 2), and the number of each point's class, (n,) int64.

        Raises ValueError without classes, or without a `torch.Generator`.
        """
        ...

    def held_out_classes(self) -> Tensor:
        """The numbers of the classes of `held_out()`, (m,) int64. Raises ValueError without classes."""
        ...


def no_classes(title: str) -> ValueError:
    """The error to raise if classes are requested and there are none."""
    return ValueError(f"The points of {told(title)} have no classes. Choose data with labels.")


@dataclass(frozen=True)
class Toy:
    """A distribution from which any number of points can be drawn, float32; `draw(n, generator)` gives (n, 2)."""

    title: str
    draw: Callable[[int, torch.Generator], Tensor]
    truth: Truth | None = None
    window: Window = ((-4.0, 4.0), (-4.0, 4.0))
    axes: tuple[Axis, Axis] = (Axis("x₁"), Axis("x₂"))
    joint: Labels | None = None
    group: str = "Density known"

    @property
    def classes(self) -> tuple[str, ...]:
        return self.joint.classes if self.joint else ()

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.draw(n, checked_generator(generator, "sample"))

    def held_out(self) -> Tensor:
        return self._held_out

    def sample_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if self.joint is None:
            raise no_classes(self.title)
        return self.joint.draw(n, checked_generator(generator, "sample_labelled"))

    def held_out_classes(self) -> Tensor:
        return self.sample_labelled(HELD_OUT_POINTS, torch.Generator().manual_seed(HELD_OUT_SEED))[1]

    @cached_property
    def _held_out(self) -> Tensor:
        return self.draw(HELD_OUT_POINTS, torch.Generator().manual_seed(HELD_OUT_SEED))
