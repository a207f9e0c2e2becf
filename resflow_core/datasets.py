"""Two-dimensional data: toy sets drawn afresh, and columns of real sets with their units. One entry of `DATASETS` each.

Every draw comes from a passed generator, and angles are independent: released circles and moons sit on lattices.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

Window = tuple[tuple[float, float], tuple[float, float]]

# Held-out draws and splits are the same in every run. torch's generators know a seed by its last 32 bits, and training
# uses seeds far below (`resflow_core.training`).
HELD_OUT_SEED = 2**32 - 1
HELD_OUT_POINTS = 2_000
HELD_OUT_SHARE = 0.3


@dataclass(frozen=True)
class Axis:
    """A coordinate as people read it: centre + scale * (the flow's value), in `unit` ("" for none)."""

    name: str
    unit: str = ""
    centre: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Truth:
    """The density that points are drawn from: log p(x) in nats, (n, 2) -> (n,) float64, and its entropy in nats."""

    log_prob: Callable[[Tensor], Tensor]
    entropy: float


class Dataset(Protocol):
    """Points in the plane, in the flow's units; `truth` is None where nobody knows the density."""

    title: str
    truth: Truth | None

    @property
    def window(self) -> Window:
        """((x0, x1), (y0, y1)): the part of the plane worth plotting."""
        ...

    @property
    def axes(self) -> tuple[Axis, Axis]: ...

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws to train on, float32, shape (n, 2)."""
        ...

    def held_out(self) -> Tensor:
        """Points that are never trained on, float32, shape (m, 2)."""
        ...


@dataclass(frozen=True)
class Toy:
    """A distribution of which any number of points can be drawn."""

    title: str
    draw: Callable[[int, torch.Generator], Tensor]
    truth: Truth | None = None
    window: Window = ((-4.0, 4.0), (-4.0, 4.0))
    axes: tuple[Axis, Axis] = (Axis("x₁"), Axis("x₂"))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.draw(n, generator)

    def held_out(self) -> Tensor:
        return self._held_out

    @cached_property
    def _held_out(self) -> Tensor:
        return self.draw(HELD_OUT_POINTS, torch.Generator().manual_seed(HELD_OUT_SEED))


@dataclass(frozen=True)
class Columns:
    """Two columns of a real set, standardised by the training rows; a fixed 30 % of the rows is held out."""

    title: str
    load: Callable[[], Tensor]
    names: tuple[str, str]
    units: tuple[str, str]
    truth: None = None
    window: Window = ((-3.5, 3.5), (-3.5, 3.5))

    @cached_property
    def _split(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        rows = self.load().double()
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(HELD_OUT_SEED))
        n_held_out = round(HELD_OUT_SHARE * len(rows))
        held_out, train = rows[order[:n_held_out]], rows[order[n_held_out:]]
        centre, scale = train.mean(0), train.std(0)
        return ((train - centre) / scale).float(), ((held_out - centre) / scale).float(), centre, scale

    @property
    def axes(self) -> tuple[Axis, Axis]:
        _, _, centre, scale = self._split
        first, second = (
            Axis(name, unit, float(c), float(s))
            for name, unit, c, s in zip(self.names, self.units, centre, scale, strict=True)
        )
        return first, second

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        train = self._split[0]
        return train[torch.randint(len(train), (n,), generator=generator)]

    def held_out(self) -> Tensor:
        return self._split[1]


@dataclass(frozen=True, eq=False)
class Table:
    """Somebody's own rows, (rows, 2), standardised by the training rows; a fixed 30 % of them is held out."""

    title: str
    names: tuple[str, str]
    values: np.ndarray
    units: tuple[str, str] = ("", "")
    labels: tuple[str, ...] | None = None
    truth: None = None
    window: Window = ((-3.5, 3.5), (-3.5, 3.5))

    @cached_property
    def _columns(self) -> Columns:
        return Columns(self.title, lambda: torch.from_numpy(self.values), self.names, self.units)

    @property
    def axes(self) -> tuple[Axis, Axis]:
        return self._columns.axes

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self._columns.sample(n, generator)

    def held_out(self) -> Tensor:
        return self._columns.held_out()

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_columns"}


def _uniform(n: int, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator)


def _normal(n: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n, 2, generator=generator)


def checkerboard(n: int, generator: torch.Generator) -> Tensor:
    """Uniform on eight 2 x 2 squares of a board that spans [-4, 4]^2; entropy log 32."""
    column = torch.randint(4, (n,), generator=generator)
    row = 2 * torch.randint(2, (n,), generator=generator) + column % 2
    corner = torch.stack([column, row], 1).float()
    return 2 * (corner + torch.rand(n, 2, generator=generator)) - 4


def checkerboard_log_prob(x: Tensor) -> Tensor:
    """-log 32 on the board's squares, -inf elsewhere."""
    cell = torch.floor((x.double() + 4) / 2)
    inside = ((cell >= 0) & (cell <= 3)).all(1) & (cell.sum(1) % 2 == 0)
    return torch.where(inside, -math.log(32), -math.inf).double()


def eight_gaussians(n: int, generator: torch.Generator) -> Tensor:
    """Eight equal normals of deviation 0.5 on a circle of radius 4, all divided by sqrt(2)."""
    angle = torch.randint(8, (n,), generator=generator) * (math.pi / 4)
    centres = 4 * torch.stack([angle.cos(), angle.sin()], 1)
    return (centres + 0.5 * _normal(n, generator)) / math.sqrt(2)


def moons(n: int, generator: torch.Generator) -> Tensor:
    """Two interleaved half circles of radius 2, with normal noise of deviation 0.2."""
    angle = math.pi * _uniform(n, generator)
    upper = torch.stack([angle.cos(), angle.sin()], 1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], 1)
    choose = torch.randint(2, (n, 1), generator=generator).bool()
    points = torch.where(choose, upper, lower) + 0.1 * _normal(n, generator)
    return 2 * points + torch.tensor([-1.0, -0.2])


def two_spirals(n: int, generator: torch.Generator) -> Tensor:
    """Two spiral arms of one and a half turns, blurred by uniform and by normal noise of deviation 0.1."""
    angle = 3 * math.pi * _uniform(n, generator).sqrt()
    arm = torch.stack([-angle.cos() * angle, angle.sin() * angle], 1) + 0.5 * torch.rand(n, 2, generator=generator)
    sign = 2 * torch.randint(2, (n, 1), generator=generator) - 1
    return sign * arm / 3 + 0.1 * _normal(n, generator)


def _wine() -> Tensor:
    from sklearn.datasets import load_wine  # costs most of a second, and only this set needs it

    wine = load_wine()
    columns = [wine.feature_names.index(name) for name in ("alcohol", "proline")]
    return torch.from_numpy(wine.data[:, columns])


DATASETS: dict[str, Dataset] = {
    "checkerboard": Toy("Checkerboard", checkerboard, Truth(checkerboard_log_prob, math.log(32))),
    "8gaussians": Toy("8 Gaussians", eight_gaussians),
    "moons": Toy("Moons", moons),
    "2spirals": Toy("2 spirals", two_spirals),
    "wine": Columns("Wine (178 real wines)", _wine, ("alcohol", "proline"), ("% vol", "mg/l")),
}
