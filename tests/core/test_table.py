"""Somebody's own rows, and the real sets, which are tables read late."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_iris, load_wine

from resflow_core.data import DATASETS, HELD_OUT_SHARE, Table
from tests.core.oracles import seeded
from tests.covering import told

REAL = {
    "wine": (load_wine().data[:, [0, 12]], ("alcohol", "% vol"), ("proline", "mg/l")),
    "iris": (load_iris().data[:, [0, 2]], ("sepal length", "cm"), ("petal length", "cm")),
    "diabetes": (
        load_diabetes(scaled=False).data[:, [2, 3]],
        ("body mass index", "kg/m²"),
        ("mean blood pressure", "mm Hg"),
    ),
}


def rows(n: int = 100, seed: int = 0) -> np.ndarray:
    """Correlated rows in units of their own."""
    u = np.random.default_rng(seed).normal(size=(n, 2))
    return np.stack([100 + 5 * u[:, 0], 0.02 * (u[:, 0] + u[:, 1])], 1)


def table(values=None, **fields) -> Table:
    return Table("Mine", ("height", "weight"), rows() if values is None else values, **fields)


def shown(dataset) -> np.ndarray:
    """All rows that training and evaluation see, in people's units, sorted."""
    train = dataset.sample(20_000, seeded(0)).unique(dim=0)
    standardised = torch.cat([dataset.held_out(), train]).unique(dim=0).double().numpy()
    values = np.stack([axis.centre + axis.scale * standardised[:, i] for i, axis in enumerate(dataset.axes)], 1)
    return values[np.lexsort(values.round(4).T)]


class TestTable:
    def test_shows_every_row_in_its_units(self):
        values = rows()
        np.testing.assert_allclose(shown(table()), values[np.lexsort(values.round(4).T)], rtol=1e-5, atol=1e-6)
        axes = table(units=("cm", "kg")).axes
        assert [(axis.name, axis.unit) for axis in axes] == [("height", "cm"), ("weight", "kg")]

    def test_is_standardised_by_the_rows_to_train_on(self):
        train = table().sample(20_000, seeded(0)).unique(dim=0)
        assert len(train) == 70
        torch.testing.assert_close(train.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(train.std(0), torch.ones(2), atol=1e-5, rtol=0)

    def test_no_held_out_row_is_trained_on_and_labels_follow_the_held_out_rows(self):
        values = rows()
        mine = table(values, labels=tuple(f"row {i}" for i in range(100)))
        kept = [int(label.split()[1]) for label in mine.held_out_labels]
        assert len(set(kept)) == round(HELD_OUT_SHARE * 100)
        expected = (values[kept] - [a.centre for a in mine.axes]) / [a.scale for a in mine.axes]
        np.testing.assert_allclose(mine.held_out().numpy(), expected, rtol=1e-4, atol=1e-5)
        drawn = {tuple(row) for row in mine.sample(20_000, seeded(1)).tolist()}
        assert not drawn & {tuple(row) for row in mine.held_out().tolist()}
        assert table().held_out_labels is None


WINDOWED = {
    "normal": lambda rng: rng.normal(size=(5_000, 2)),
    "heavy-tailed": lambda rng: rng.standard_t(2, size=(5_000, 2)),
    "mostly one value": lambda rng: np.stack([rng.random(5_000) < 0.01, rng.normal(size=5_000)], 1),
    "nearly one point": lambda rng: np.array([[0, 0], [1, 0], [0, 2]])[np.r_[[0] * 4_990, [1, 2] * 5]],
}


@pytest.mark.parametrize("kind", WINDOWED)
def test_the_window_is_a_square_that_shows_99_percent(kind):
    mine = table(WINDOWED[kind](np.random.default_rng(0)))
    (x0, x1), (y0, y1) = mine.window
    assert x1 - x0 == pytest.approx(y1 - y0)
    assert x1 - x0 > 0.2
    standardised = (mine.values - [a.centre for a in mine.axes]) / [a.scale for a in mine.axes]
    inside = ((standardised >= [x0, y0]) & (standardised <= [x1, y1])).all(1)
    assert inside.mean() >= 0.99
    # It ends near the outermost points that it shows.
    longest = np.ptp(standardised[inside], axis=0).max()
    assert longest > 0.9 * (x1 - x0) or kind == "nearly one point"


def changed(row: int, column: int, value: float, n: int = 100) -> np.ndarray:
    values = rows(n)
    values[row, column] = value
    return values


HELD_OUT_ROW = int(table(labels=tuple(str(i) for i in range(100))).held_out_labels[0])

REFUSED = {
    "a nan": (changed(6, 1, np.nan), r"Row 7, column `weight`: nan is not a finite number"),
    "too large": (changed(99, 0, 1e200), r"Row 100, column `height`: 1e\+200 is not a finite number up to 1e100"),
    "far away": (
        changed(HELD_OUT_ROW, 1, 1e9),
        rf"Row {HELD_OUT_ROW + 1}, column `weight`: 1e\+09 lies more than 1,000,000 deviations",
    ),
    "constant but for rounding": (rows() * [1e-9, 1] + [1e6, 0], r"Column `height` does not vary"),
    "constant where it trains": (
        changed(HELD_OUT_ROW, 0, 4.0) * [0, 1] + np.eye(100)[:, [HELD_OUT_ROW, 0]] * [1, 0],
        r"Column `height` does not vary: .* between 0 and 0",
    ),
    "too few": (rows(19), r"19 rows are too few .* at least 20"),
    "too many": (rows(20_001), r"20,001 rows are too many. Give at most 20,000"),
    "two points": (rows(2).repeat(25, 0), r"The rows hold 2 different points\. .* at least 3"),
    "a line": (rows()[:, [0, 0]] * [1, -2] + [0, 5], r"Columns `height` and `weight` lie on one straight line"),
    "one column": (rows()[:, :1], r"shape \(100, 1\): give two columns"),
}


def test_what_cannot_be_learnt_is_refused_by_row_and_column():
    for kind, (values, message) in REFUSED.items():
        with told(kind), pytest.raises(ValueError, match=message):
            table(values)
    with pytest.raises(ValueError, match="99 labels for 100 rows"):
        table(labels=("a",) * 99)


@pytest.mark.parametrize("name", REAL)
def test_real_sets_show_the_librarys_values_in_its_units(name):
    raw, *axes = REAL[name]
    raw = np.unique(raw, axis=0)
    np.testing.assert_allclose(shown(DATASETS[name]), raw[np.lexsort(raw.round(4).T)], rtol=1e-5)
    assert [(axis.name, axis.unit) for axis in DATASETS[name].axes] == axes
    assert len(DATASETS[name].held_out()) == round(HELD_OUT_SHARE * len(REAL[name][0]))
