"""Real data sets that come with scikit-learn: two columns of each, with name and unit.

Without scikit-learn, reading one raises ModuleNotFoundError.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from resflow_core.data.base import Axis, Window, no_classes
from resflow_core.data.table import Table
from resflow_core.extras import extra


@dataclass(frozen=True)
class Columns:
    """Two columns of a data set, as a `Table`. It is read on first use: importing scikit-learn takes a second."""

    title: str
    load: Callable[[], np.ndarray]
    names: tuple[str, str]
    units: tuple[str, str]
    kinds: Callable[[], Sequence[str]] | None = None
    classes: tuple[str, ...] = ()
    group: str = "Real data"
    truth: ClassVar[None] = None
    joint: ClassVar[None] = None

    @cached_property
    def table(self) -> Table:
        """The table of all rows. Raises ModuleNotFoundError if scikit-learn is not installed."""
        labels = tuple(self.kinds()) if self.kinds else None
        return Table(self.title, self.names, self.load(), self.units, labels)

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

    def sample_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if not self.classes:
            raise no_classes(self.title)
        return self.table.sample_labelled(n, generator)

    def held_out_classes(self) -> Tensor:
        return self.table.held_out_classes()


def _pick(bunch: Any, *names: str) -> np.ndarray:
    return bunch.data[:, [list(bunch.feature_names).index(name) for name in names]]


def wine() -> np.ndarray:
    """Alcohol (% vol) and proline (mg/l) of 178 wines from three cultivars (Forina et al. 1991)."""
    with extra("data"):
        from sklearn.datasets import load_wine

    return _pick(load_wine(), "alcohol", "proline")


def iris() -> np.ndarray:
    """Lengths of sepal and petal (cm) of 150 flowers of three species (Fisher 1936): two clusters and a gap."""
    with extra("data"):
        from sklearn.datasets import load_iris

    return _pick(load_iris(), "sepal length (cm)", "petal length (cm)")


def _kinds(bunch: Any) -> list[str]:
    return [str(bunch.target_names[k]) for k in bunch.target]


def wine_kinds() -> list[str]:
    """The cultivar of each wine."""
    with extra("data"):
        from sklearn.datasets import load_wine

    return [kind.replace("class_", "cultivar ") for kind in _kinds(load_wine())]


def iris_kinds() -> list[str]:
    """The species of each flower."""
    with extra("data"):
        from sklearn.datasets import load_iris

    return _kinds(load_iris())


def diabetes() -> np.ndarray:
    """Body mass index (kg/m²) and mean blood pressure (mm Hg) of 442 patients (Efron et al. 2004): one skewed cloud."""
    with extra("data"):
        from sklearn.datasets import load_diabetes

    return _pick(load_diabetes(scaled=False), "bmi", "bp")


WINE = Columns(
    "Wine (178 real wines)",
    wine,
    ("alcohol", "proline"),
    ("% vol", "mg/l"),
    wine_kinds,
    ("cultivar 0", "cultivar 1", "cultivar 2"),
)
IRIS = Columns(
    "Iris (150 real flowers)",
    iris,
    ("sepal length", "petal length"),
    ("cm", "cm"),
    iris_kinds,
    ("setosa", "versicolor", "virginica"),
)
DIABETES = Columns(
    "Diabetes (442 real patients)", diabetes, ("body mass index", "mean blood pressure"), ("kg/m²", "mm Hg")
)
