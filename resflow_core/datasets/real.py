"""Real sets that come with scikit-learn: two columns of each, by name and unit."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from resflow_core.datasets.base import Axis, Window
from resflow_core.datasets.table import Table


@dataclass(frozen=True)
class Columns:
    """Two columns of a set, a `Table` that is read when it is first needed: importing scikit-learn costs a second."""

    title: str
    load: Callable[[], np.ndarray]
    names: tuple[str, str]
    units: tuple[str, str]
    truth: ClassVar[None] = None

    @cached_property
    def table(self) -> Table:
        return Table(self.title, self.names, self.load(), self.units)

    @property
    def window(self) -> Window:
        return self.table.window

    @property
    def axes(self) -> tuple[Axis, Axis]:
        return self.table.axes

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.table.sample(n, generator)

    def held_out(self) -> Tensor:
        return self.table.held_out()


def _pick(bunch: Any, *names: str) -> np.ndarray:
    return bunch.data[:, [list(bunch.feature_names).index(name) for name in names]]


def wine() -> np.ndarray:
    """Alcohol and proline of 178 wines from three cultivars (Forina et al. 1991)."""
    from sklearn.datasets import load_wine

    return _pick(load_wine(), "alcohol", "proline")


def iris() -> np.ndarray:
    """Lengths of sepal and petal of 150 flowers of three species (Fisher 1936): two clusters and a gap."""
    from sklearn.datasets import load_iris

    return _pick(load_iris(), "sepal length (cm)", "petal length (cm)")


def diabetes() -> np.ndarray:
    """Body mass index and mean blood pressure of 442 patients (Efron et al. 2004): one skewed cloud."""
    from sklearn.datasets import load_diabetes

    return _pick(load_diabetes(scaled=False), "bmi", "bp")


WINE = Columns("Wine (178 real wines)", wine, ("alcohol", "proline"), ("% vol", "mg/l"))
IRIS = Columns("Iris (150 real flowers)", iris, ("sepal length", "petal length"), ("cm", "cm"))
DIABETES = Columns(
    "Diabetes (442 real patients)", diabetes, ("body mass index", "mean blood pressure"), ("kg/m²", "mm Hg")
)
