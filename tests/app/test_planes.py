"""The panes' JSON: what NumPy holds is what a browser decodes, in colours, curves and points; and charts as small
pictures."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from app.components.planes.panes import LEVELS, NO_NUMBER, Area, Chart, Dots, Heat, Level, Pane, Path, encode
from app.ui import thumbnail
from tests.app.pages import decode

WINDOW = ((-2.0, 2.0), (0.0, 1.0))
POINTS = np.array([[0.1, -3e5], [np.nan, np.nan], [1e-20, 7.0]])


def pane(**changes) -> Pane:
    return Pane(**{"title": "t", "x": "z₁", "y": "z₂", "window": WINDOW, "alt": "words"} | changes)


def sent(shown: Pane | Chart) -> dict:
    return json.loads(json.dumps(encode(shown), allow_nan=False))


def heat_of(values, low, high, **changes) -> dict:
    return sent(pane(heat=Heat(np.array(values), "density", "per m²", low, high, **changes)))["heat"]


def test_a_heat_map_has_levels_of_its_range_and_says_what_is_beyond():
    values = np.linspace(0.0, 1.0, 35).reshape(5, 7)
    heat = heat_of(values, 0.0, 1.0)
    np.testing.assert_allclose(decode(heat["level"]) / LEVELS, values, atol=0.5001 / LEVELS)
    assert (heat["range"], heat["cut"]) == ([0.0, 1.0], [False, False])
    cut = heat_of(values, 0.25, 0.75)
    assert (decode(cut["level"])[0, 0], decode(cut["level"])[-1, -1]) == (0, LEVELS) and cut["cut"] == [True, True]


def test_a_heat_map_tells_no_number_from_the_infinite():
    heat = heat_of([[np.nan, np.inf], [-np.inf, 3.0]], 2.0, 4.0)
    assert decode(heat["level"]).tolist() == [[NO_NUMBER, LEVELS], [0, LEVELS // 2]]
    assert decode(heat_of([[3.0, 3.0]], 3.0, 3.0)["level"]).tolist() == [[0, 0]]


def test_a_logarithmic_heat_map_has_levels_of_the_logarithm():
    heat = heat_of([[1.0, 10.0, 100.0], [0.0, -1.0, 1000.0]], 1.0, 100.0, log=True)
    assert heat["range"] == [0.0, 2.0]
    assert decode(heat["level"]).tolist() == [[0, 127, LEVELS], [0, NO_NUMBER, LEVELS]]


@pytest.mark.parametrize(("low", "high", "log"), [(1.0, 0.0, False), (0.0, 1.0, True), (np.nan, 1.0, False)])
def test_colours_that_cannot_be_are_refused(low, high, log):
    with pytest.raises(ValueError, match="colours cannot go from"):
        heat_of([[0.5]], low, high, log=log)


def test_points_and_curves_survive_the_trip():
    values = np.linspace(-1.0, 1.0, 12).reshape(3, 4)
    curve = Level(values, np.float64(0.5), "half", "#D55E00", "dash")
    paths = (Path(POINTS, "p"), Path([], "none"))
    shown = sent(pane(levels=(curve,), paths=paths, dots=(Dots(POINTS, "d", symbol="star"),), point=(0.5, 1)))
    np.testing.assert_array_equal(decode(shown["levels"][0]["values"]), values.astype(np.float32))
    assert [shown["levels"][0][name] for name in ("at", "label", "colour", "dash")] == [0.5, "half", "#D55E00", "dash"]
    for part in (shown["paths"][0], shown["dots"][0]):
        np.testing.assert_array_equal(decode(part["points"]), POINTS.astype(np.float32))
    assert decode(shown["paths"][1]["points"]).shape == (0, 2)
    assert (shown["window"], shown["point"], shown["kind"]) == ([[-2.0, 2.0], [0.0, 1.0]], [0.5, 1.0], "pane")
    area = Area(POINTS, POINTS + 1, "a", "#0072B2", 0.3)
    chart = sent(Chart("t", "n", "error", (), "words", log_y=True, areas=(area,), height=400))
    assert (chart["kind"], chart["log_x"], chart["log_y"], chart["height"]) == ("chart", False, True, 400)
    assert decode(chart["areas"][0]["low"]) == pytest.approx(np.asarray(POINTS, np.float32), nan_ok=True)
    assert decode(chart["areas"][0]["high"]) == pytest.approx(np.asarray(POINTS + 1, np.float32), nan_ok=True)


class TestThumbnail:
    RISING = np.stack([np.linspace(1, 100, 500), np.linspace(0, 3, 500)], 1)
    GAPS = np.array([[1.0, 1.0], [2.0, 1.5], [np.nan, np.nan], [3.0, 0.5], [4.0, 0.2]])

    def lines(self, *paths, **how):
        """The points of each polyline, (m, 2), y downwards."""
        root = ElementTree.fromstring(thumbnail.svg(Chart("t", "x", "y", tuple(paths), "words", **how)))
        return [np.array([point.split(",") for point in line.attrib["points"].split()], float) for line in root]

    def test_lines_are_upright_within_the_picture_and_share_their_axes(self):
        *parts, points = self.lines(Path(self.GAPS, "two"), Path(self.RISING, "one"))
        assert (np.diff(points[:, 0]) > 0).all() and (np.diff(points[:, 1]) < 0).all()
        assert points[0] == pytest.approx([thumbnail.MARGIN, thumbnail.HEIGHT - thumbnail.MARGIN])
        assert points.min() >= 0 and points[:, 0].max() <= thumbnail.WIDTH
        assert len(points) <= 2 * thumbnail.MOST_POINTS
        assert [len(part) for part in parts] == [2, 2]  # a gap parts a line
        assert max(part[:, 0].max() for part in parts) < thumbnail.WIDTH / 10  # up to 4 of 100

    def test_logarithms_are_drawn_where_the_axis_has_them_and_what_has_none_is_left_out(self):
        x = np.array([1.0, 10.0, 100.0, 1000.0])
        (points,) = self.lines(Path(np.stack([x, x], 1), "one"), log_x=True, log_y=True)
        assert np.diff(points[:, 0]) == pytest.approx(np.diff(points[:, 0]).mean(), abs=0.2)
        (points,) = self.lines(Path(np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 4.0]]), "one"), log_x=True)
        assert len(points) == 2
