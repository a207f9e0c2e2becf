"""What a data set is: points in the plane, how people read their coordinates, and the true density if it is known."""

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
    """The window of side 2 * half around (x, y)."""
    return (x - half, x + half), (y - half, y + half)


# Held-out draws and splits are the same in every run. torch's generators know a seed by its last 32 bits, and training
# uses seeds far below (`resflow_core.training.trainer`).
HELD_OUT_SEED = 2**32 - 1
HELD_OUT_POINTS = 2_000


@dataclass(frozen=True)
class Axis:
    """A coordinate as people read it: centre + scale * (the flow's value), in `unit` ("" for none)."""

    name: str
    unit: str = ""
    centre: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Truth:
    """The density that points are drawn from: log p(x) in nats, (n, 2) -> (n,) float64, -inf where it is zero.

    `closed_form` is its entropy in nats where a formula gives it; without one, `entropy` integrates over the plane.
    """

    log_prob: LogDensity
    closed_form: float | None = None

    @cached_property
    def entropy(self) -> float:
        """-E log p in nats: no model's expected NLL is lower. Integrated once, when it is first asked for."""
        return plane_entropy(self.log_prob) if self.closed_form is None else self.closed_form


class Source(Protocol):
    """Points of R^d to train on, and others to see by how well it went."""

    @property
    def title(self) -> str: ...

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws to train on, float32, shape (n, d). Raises ValueError without a generator."""
        ...

    def held_out(self) -> Tensor:
        """Points that are never trained on, float32, shape (m, d)."""
        ...


class Dataset(Source, Protocol):
    """Points in the plane, in the flow's units."""

    @property
    def group(self) -> str:
        """What people find it under."""
        ...

    @property
    def truth(self) -> Truth | None:
        """The density that `sample` and `held_out` draw from; None where nobody knows it."""
        ...

    @property
    def window(self) -> Window:
        """((x0, x1), (y0, y1)): the part of the plane worth plotting, a square."""
        ...

    @property
    def axes(self) -> tuple[Axis, Axis]: ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that the points have; () where they have none."""
        ...

    @property
    def joint(self) -> Labels | None:
        """p(x, y) of points and classes; None where nobody knows it."""
        ...

    def sample_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The points that `sample` draws, and the number of each one's class, (n,) int64. Raises ValueError where
        there are no classes."""
        ...

    def held_out_classes(self) -> Tensor:
        """The numbers of the classes of `held_out()`, (m,) int64. Raises as `sample_labelled`."""
        ...


def no_classes(title: str) -> ValueError:
    """What is raised where classes are asked for that are not there."""
    return ValueError(f"The points of {told(title)} have no classes. Choose data with labels.")


@dataclass(frozen=True)
class Toy:
    """A distribution of which any number of points can be drawn."""

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
