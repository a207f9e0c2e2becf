"""Real sets that come with scikit-learn: two columns of each, by name and unit."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

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


def wine() -> np.ndarray:
    """Alcohol and proline of 178 wines of three cultivars (Forina et al., UCI)."""
    from sklearn.datasets import load_wine

    return load_wine(as_frame=True).data[["alcohol", "proline"]].to_numpy()


def iris() -> np.ndarray:
    """Lengths of sepal and petal of 150 flowers of three species (Fisher 1936): two clusters and a gap."""
    from sklearn.datasets import load_iris

    return load_iris(as_frame=True).data[["sepal length (cm)", "petal length (cm)"]].to_numpy()


def diabetes() -> np.ndarray:
    """Body mass index and mean blood pressure of 442 patients (Efron et al. 2004): one skewed cloud."""
    from sklearn.datasets import load_diabetes

    return load_diabetes(as_frame=True, scaled=False).data[["bmi", "bp"]].to_numpy()
