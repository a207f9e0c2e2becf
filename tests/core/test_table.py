"""Somebody's own rows, and the real sets, which are tables read late."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_diabetes, load_iris, load_wine

from resflow_core.data import DATASETS, FEWEST_ROWS, HELD_OUT_SHARE, MOST_ROWS, Columns, Table
from tests.core.oracles import seeded

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

    def test_the_split_depends_on_the_number_of_rows_alone(self):
        other = table(3 * rows() + 7)
        torch.testing.assert_close(table().held_out(), other.held_out(), atol=1e-4, rtol=0)

    def test_draws_with_replacement_evenly(self):
        _, counts = table().sample(70_000, seeded(0)).unique(dim=0, return_counts=True)
        assert (counts - 1_000).abs().max() < 5 * 1_000**0.5

    @pytest.mark.parametrize("copied", [lambda t: pickle.loads(pickle.dumps(t)), copy.deepcopy])
    def test_copies_are_the_same_data(self, copied):
        mine = table(units=("cm", "kg"), labels=("a",) * 100)
        held_out, size = mine.held_out(), len(pickle.dumps(table(units=("cm", "kg"), labels=("a",) * 100)))
        other = copied(mine)
        assert torch.equal(other.held_out(), held_out)
        assert torch.equal(other.sample(50, seeded(0)), mine.sample(50, seeded(0)))
        assert (other.window, other.axes, other.held_out_labels) == (mine.window, mine.axes, mine.held_out_labels)
        assert len(pickle.dumps(mine)) == size

    def test_nothing_changes_it(self):
        values = rows()
        mine = table(values)
        values[:] = 0
        np.testing.assert_array_equal(mine.values, rows())
        with pytest.raises(ValueError, match="read-only"):
            mine.values[0, 0] = 1
        assert mine != table()

    def test_truth_is_unknown(self):
        assert table().truth is None


WINDOWED = {
    "normal": lambda rng: rng.normal(size=(5_000, 2)),
    "skewed": lambda rng: np.exp(1.2 * rng.normal(size=(5_000, 2))),
    "heavy-tailed": lambda rng: rng.standard_t(2, size=(5_000, 2)),
    "one long": lambda rng: np.exp(rng.normal(size=(5_000, 2)) * [1.5, 0.1]),
    "mostly one value": lambda rng: np.stack([rng.random(5_000) < 0.01, rng.normal(size=5_000)], 1),
    "nearly one point": lambda rng: np.array([[0, 0], [1, 0], [0, 2]])[np.r_[[0] * 4_990, [1, 2] * 5]],
    "few": lambda rng: rng.normal(size=(20, 2)),
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
    "infinity": (changed(0, 0, -np.inf), r"Row 1, column `height`: -inf is not a finite number"),
    "too large": (changed(99, 0, 1e200), r"Row 100, column `height`: 1e\+200 is not a finite number up to 1e100"),
    "far away": (
        changed(HELD_OUT_ROW, 1, 1e9),
        rf"Row {HELD_OUT_ROW + 1}, column `weight`: 1e\+09 lies more than 1,000,000 deviations",
    ),
    "a constant": (rows() * [1, 0] + [0, 3], r"Column `weight` does not vary: .* between 3 and 3"),
    "constant but for rounding": (rows() * [1e-9, 1] + [1e6, 0], r"Column `height` does not vary"),
    "constant where it trains": (
        changed(HELD_OUT_ROW, 0, 4.0) * [0, 1] + np.eye(100)[:, [HELD_OUT_ROW, 0]] * [1, 0],
        r"Column `height` does not vary: .* between 0 and 0",
    ),
    "too few": (rows(19), r"19 rows are too few .* at least 20"),
    "too many": (rows(20_001), r"20,001 rows are too many. Give at most 20,000"),
    "one point": (np.ones((50, 2)), r"The rows hold 1 different point\. .* at least 3"),
    "two points": (rows(2).repeat(25, 0), r"The rows hold 2 different points\. .* at least 3"),
    "a line": (rows()[:, [0, 0]] * [1, -2] + [0, 5], r"Columns `height` and `weight` lie on one straight line"),
    "one column": (rows()[:, :1], r"shape \(100, 1\): give two columns"),
    "a list": (rows()[:, 0], r"shape \(100,\): give two columns"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_learnt_is_refused_by_row_and_column(kind):
    values, message = REFUSED[kind]
    with pytest.raises(ValueError, match=message):
        table(values)


def test_labels_must_match_the_rows():
    with pytest.raises(ValueError, match="99 labels for 100 rows"):
        table(labels=("a",) * 99)


def test_the_limits_are_accepted():
    assert len(table(rows(FEWEST_ROWS)).held_out()) == round(HELD_OUT_SHARE * FEWEST_ROWS)
    assert len(table(rows(MOST_ROWS)).held_out()) == round(HELD_OUT_SHARE * MOST_ROWS)


@settings(max_examples=150, derandomize=True)
@given(
    arrays(np.float64, (25, 2), elements=st.floats(-10, 10) | st.sampled_from([0.0, 1.0])),
    st.tuples(st.integers(-320, 110), st.integers(-20, 20)),
    st.dictionaries(st.integers(0, 49), st.floats(), max_size=2),
)
@pytest.mark.thorough
def test_any_numbers_are_refused_or_can_be_trained_on(values, exponents, cells):
    values = values * [float(f"1e{exponent}") for exponent in exponents]
    for cell, value in cells.items():
        values.flat[cell] = value
    try:
        mine = table(values)
    except ValueError:
        return
    assert mine.sample(500, seeded(0)).isfinite().all()
    assert mine.held_out().isfinite().all()
    for low, high in mine.window:
        assert np.isfinite([low, high]).all()
        assert high - low >= 0.2


@pytest.mark.parametrize("name", REAL)
class TestRealSets:
    def test_shown_values_are_the_librarys_in_its_units(self, name):
        raw, *axes = REAL[name]
        raw = np.unique(raw, axis=0)
        np.testing.assert_allclose(shown(DATASETS[name]), raw[np.lexsort(raw.round(4).T)], rtol=1e-5)
        assert [(axis.name, axis.unit) for axis in DATASETS[name].axes] == axes

    def test_titles_say_that_they_are_real_and_count_the_rows(self, name):
        assert f"({len(REAL[name][0])} real" in DATASETS[name].title
        assert len(DATASETS[name].held_out()) == round(HELD_OUT_SHARE * len(REAL[name][0]))

    def test_is_read_late_and_known_to_nobody(self, name):
        fresh = Columns(*(getattr(DATASETS[name], field) for field in ("title", "load", "names", "units")))
        assert "table" not in vars(fresh)
        assert fresh.truth is None
        assert torch.equal(fresh.held_out(), DATASETS[name].held_out())
        assert "table" in vars(fresh)
