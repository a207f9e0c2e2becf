"""Invertible maps of the plane, f: x -> z, each with its Jacobian in closed form. Float64 throughout."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from app.features.stretch.settings import Stretch


class PlaneMap(Protocol):
    """A map of the plane onto itself; hashable, so that what follows from it can be kept."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """z = f(x), (n, 2) -> (n, 2)."""

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """J_f(x), (n, 2) -> (n, 2, 2): row = coordinate of z, column = coordinate of x."""

    def reach(self, radius: float) -> float:
        """Half the side of a square around 0 that holds every x with ||f(x)|| <= radius."""


@dataclass(frozen=True)
class Linear:
    """z = W x, `matrix` being W row by row; J_f = W everywhere."""

    matrix: tuple[float, float, float, float]

    @property
    def w(self) -> np.ndarray:
        return np.reshape(np.array(self.matrix, float), (2, 2))

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x @ self.w.T

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.w, (len(x), 2, 2))

    def reach(self, radius: float) -> float:
        return radius * float(np.linalg.norm(np.linalg.inv(self.w), axis=1).max())


@dataclass(frozen=True)
class Wave:
    """z = x + g(x), g(x) = s/w (sin(w x2), sin(w x1)): a residual block with Lip(g) = s, `strength`, below 1.

    Its branch has the Jacobian A = s ((0, cos(w x2)), (cos(w x1), 0)), so ||A||_2 <= s, with equality at 0, and
    det(I + A) = 1 - s^2 cos(w x1) cos(w x2). w is `frequency`.
    """

    strength: float
    frequency: float

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x + self.strength / self.frequency * np.sin(self.frequency * x[:, ::-1])

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        jacobian = np.tile(np.eye(2), (len(x), 1, 1))
        jacobian[:, [0, 1], [1, 0]] = self.strength * np.cos(self.frequency * x[:, ::-1])
        return jacobian

    def reach(self, radius: float) -> float:
        return radius + self.strength / self.frequency


@dataclass(frozen=True)
class Kind:
    """A kind of map: the names of the settings that it depends on, and what these make of it. `symbols`: what the
    formula calls some of them."""

    title: str
    formula: str
    settings: tuple[str, ...]
    of: Callable[["Stretch"], PlaneMap]
    symbols: Mapping[str, str] = field(default_factory=dict)


MAPS: dict[str, Kind] = {
    "linear": Kind("Linear", "f(x) = Wx", ("matrix",), lambda bench: Linear(bench.matrix)),
    "residual": Kind(
        "Residual block",
        r"f(x) = x + g(x),\quad g(x) = \tfrac{s}{\omega} \big(\sin \omega x_2,\ \sin \omega x_1\big)",
        ("strength", "frequency"),
        lambda bench: Wave(bench.strength, bench.frequency),
        {"strength": "s", "frequency": r"\omega"},
    ),
}
