"""A user's own rows: two columns, standardised, with a part of the rows held out."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from resflow_core.arguments import checked_generator
from resflow_core.data.base import HELD_OUT_SEED, Axis, Window, no_classes

HELD_OUT_SHARE = 0.3
FEWEST_ROWS, MOST_ROWS = 20, 20_000
FEWEST_POINTS = 3
# Larger numbers overflow when they are squared.
LARGEST_VALUE = 1e100
# In standard deviations of the training rows. Further out, float32 cannot tell neighbouring values apart.
FURTHEST = 1e6
# If a column's standard deviation is a smaller share of its values, it varies by rounding only. If |correlation| is
# closer to 1 than this, two columns lie on one line up to rounding.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of two numbers, standardised by the training rows. A fixed 30 % of the rows is held out.

    `values` is (rows, 2). Training rows are drawn with replacement. `labels` names each row's class.
    Raises ValueError if no density can be learned from the rows. The message says what is wrong, in which row and
    column, and what to do.
    """

    title: str
    names: tuple[str, str]
    values: np.ndarray
    units: tuple[str, str] = ("", "")
    labels: tuple[str, ...] | None = None
    group: ClassVar[str] = "Your own"
    truth: ClassVar[None] = None
    joint: ClassVar[None] = None

    def __post_init__(self):
        values = np.array(self.values, dtype=np.float64)
        values.flags.writeable = False
        object.__setattr__(self, "values", values)
        self._check_rows()
        self._check_training_rows()

    def __reduce__(self):
        # Only the rows are pickled, because the rest follows from them.
        return Table, (self.title, self.names, self.values, self.units, self.labels)

    def _check_rows(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != 2:
            raise ValueError(f"The values have shape {self.values.shape}: give two columns, (rows, 2).")
        rows = len(self.values)
        if rows < FEWEST_ROWS:
            raise ValueError(f"{rows} rows are too few to learn a density from. Give at least {FEWEST_ROWS}.")
        if rows > MOST_ROWS:
            raise ValueError(f"{rows:,} rows are too many. Give at most {MOST_ROWS:,}, for example a random part.")
        if self.labels is not None and len(self.labels) != rows:
            raise ValueError(f"There are {len(self.labels)} labels for {rows} rows. Give one label for each row.")
        self._refuse_where(~(np.abs(self.values) <= LARGEST_VALUE), "is not a finite number up to 1e100")
        points = len(np.unique(self.values, axis=0))
        if points < FEWEST_POINTS:
            raise ValueError(
                f"The rows hold {points} different point{'s'[: points - 1]}. "
                f"A density needs at least {FEWEST_POINTS}: choose columns that vary."
            )

    def _check_training_rows(self) -> None:
        train = self.values[self._split[1]]
        size = np.abs(train).max(0)
        for name, deviation, largest, column in zip(self.names, self._scale, size, train.T, strict=True):
            if not deviation > ROUNDING * largest:
                raise ValueError(
                    f"Column `{name}` does not vary: all rows to train on lie between {column.min():g} and "
                    f"{column.max():g}. Choose another column."
                )
        if 1 - abs(np.corrcoef(train.T)[0, 1]) < ROUNDING:
            raise ValueError(
                f"Columns `{self.names[0]}` and `{self.names[1]}` lie on one straight line, so they have no density in "
                "the plane. Choose another column."
            )
        self._refuse_where(
            np.abs(self._standardised) > FURTHEST, f"lies more than {FURTHEST:,.0f} deviations from the mean"
        )

    def _refuse_where(self, wrong: np.ndarray, why: str) -> None:
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"Row {row + 1}, column `{self.names[column]}`: {self.values[row, column]:g} {why}. "
                "Correct it or leave the row out."
            )

    @cached_property
    def _split(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the held-out rows and of the training rows."""
        generator = torch.Generator().manual_seed(HELD_OUT_SEED)
        order = torch.randperm(len(self.values), generator=generator).numpy()
        n_held_out = round(HELD_OUT_SHARE * len(order))
        return order[:n_held_out], order[n_held_out:]

    @cached_property
    def _centre(self) -> np.ndarray:
        return self.values[self._split[1]].mean(0)

    @cached_property
    def _scale(self) -> np.ndarray:
        return self.values[self._split[1]].std(0, ddof=1)

    @cached_property
    def _standardised(self) -> np.ndarray:
        return (self.values - self._centre) / self._scale

    @cached_property
    def _train(self) -> Tensor:
        return torch.from_numpy(self._standardised[self._split[1]]).float()

    @cached_property
    def _held_out(self) -> Tensor:
        return torch.from_numpy(self._standardised[self._split[0]]).float()

    @cached_property
    def window(self) -> Window:
        """A square, standardised, with at least 99 % of the rows: at most 0.25 % lie outside at each side."""
        low = np.quantile(self._standardised, 0.0025, axis=0, method="lower")
        high = np.quantile(self._standardised, 0.9975, axis=0, method="higher")
        # If nearly all rows are the same point, the square still shows a part of the standard deviation.
        half = 1.05 * max(float((high - low).max()) / 2, 0.1)
        x, y = ((float(middle) - half, float(middle) + half) for middle in (low + high) / 2)
        return x, y

    @property
    def axes(self) -> tuple[Axis, Axis]:
        first, second = (
            Axis(name, unit, float(centre), float(scale))
            for name, unit, centre, scale in zip(self.names, self.units, self._centre, self._scale, strict=True)
        )
        return first, second

    @property
    def held_out_labels(self) -> tuple[str, ...] | None:
        """The labels of `held_out()`, in its order; None if the rows have none."""
        return None if self.labels is None else tuple(self.labels[row] for row in self._split[0])

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return () if self.labels is None else tuple(sorted(set(self.labels)))

    @cached_property
    def _class_numbers(self) -> Tensor:
        """The class numbers of all rows, (rows,) int64. Raises ValueError without labels."""
        if self.labels is None:
            raise no_classes(self.title)
        numbers = {label: number for number, label in enumerate(self.classes)}
        return torch.tensor([numbers[label] for label in self.labels])

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self._train[self._drawn(n, generator)]

    def sample_labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        numbers = self._class_numbers[torch.from_numpy(self._split[1])]
        drawn = self._drawn(n, generator)
        return self._train[drawn], numbers[drawn]

    def _drawn(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randint(len(self._train), (n,), generator=checked_generator(generator, "sample"))

    def held_out_classes(self) -> Tensor:
        return self._class_numbers[torch.from_numpy(self._split[0])]

    def held_out(self) -> Tensor:
        return self._held_out
