"""Charts as small pictures: every line is there, upright, within the picture, and its gaps are gaps."""

from xml.etree import ElementTree

import numpy as np
import pytest

from app.components.planes import Chart, Path
from app.ui import thumbnail

RISING = np.stack([np.linspace(1, 100, 500), np.linspace(0, 3, 500)], 1)
GAPS = np.array([[1.0, 1.0], [2.0, 1.5], [np.nan, np.nan], [3.0, 0.5], [4.0, 0.2]])


def lines(chart):
    """The points of each polyline, (m, 2), y downwards."""
    root = ElementTree.fromstring(thumbnail.svg(chart))
    assert root.attrib["viewBox"] == f"0 0 {thumbnail.WIDTH} {thumbnail.HEIGHT}"
    return [
        (np.array([point.split(",") for point in line.attrib["points"].split()], float), line.attrib) for line in root
    ]


def chart(*paths, **how):
    return Chart("t", "x", "y", tuple(paths), 'a < "b"', **how)


def test_a_line_that_rises_goes_up_across_the_picture():
    ((points, look),) = lines(chart(Path(RISING, "one", "#0072B2", "dash")))
    assert (np.diff(points[:, 0]) > 0).all() and (np.diff(points[:, 1]) < 0).all()
    assert points[0] == pytest.approx([thumbnail.MARGIN, thumbnail.HEIGHT - thumbnail.MARGIN])
    assert points.min() >= 0 and points[:, 0].max() <= thumbnail.WIDTH and len(points) <= 2 * thumbnail.MOST_POINTS
    assert look["stroke"] == "#0072B2" and look["stroke-dasharray"] == thumbnail.DASHES["dash"]


def test_a_gap_parts_a_line_and_all_lines_share_their_axes():
    found = [points for points, _ in lines(chart(Path(GAPS, "two"), Path(RISING, "one")))]
    assert [len(points) for points in found[:2]] == [2, 2]
    assert max(points[:, 0].max() for points in found[:2]) < thumbnail.WIDTH / 10  # up to 4 of 100


def test_logarithms_are_drawn_where_the_axis_has_them_and_what_has_none_is_left_out():
    x = np.array([1.0, 10.0, 100.0, 1000.0])
    ((points, _),) = lines(chart(Path(np.stack([x, x], 1), "one"), log_x=True, log_y=True))
    assert np.diff(points[:, 0]) == pytest.approx(np.diff(points[:, 0]).mean(), abs=0.2)
    ((points, _),) = lines(chart(Path(np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 4.0]]), "one"), log_x=True))
    assert len(points) == 2


def test_as_an_image_it_says_what_the_chart_says():
    assert 'alt="a &lt; &quot;b&quot;"' in thumbnail.image(chart(Path(RISING, "one")))
