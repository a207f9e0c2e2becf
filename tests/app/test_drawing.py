"""Drawings: strokes to a text, to points, to a table and to a file, and what is said of those that cannot be had."""

import base64
import math
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.csv_file import read_csv, table
from app.drawing import LABEL, MOST_IN_LINK, NAMES, Drawing, DrawingError, Stroke
from app.drawing.points import CELL, LEAST_ERASER, PARTS, PER_UNIT
from app.drawing.strokes import BRUSHES, ERASER, MOST_DOTS, MOST_SPRAYED, REACH, SHARES, SIDE
from app.drawing.text import to_text
from tests.app.pages import named

FINEST, SECOND, MIDDLE = 0, 1, 2


def ring(kind=0, brush=MIDDLE, dots=60, radius=250, middle=(500, 500)):
    turns = [2 * math.pi * k / dots for k in range(dots)]
    way = ((middle[0] + radius * math.cos(turn), middle[1] + radius * math.sin(turn)) for turn in turns)
    return Stroke(kind, brush, tuple((round(x), round(y)) for x, y in way))


TWO = Drawing((ring(), ring(1, radius=120)))


@st.composite
def any_stroke(draw):
    place = draw(st.tuples(*[st.integers(0, SIDE)] * 2))
    dots = [place]
    for _ in range(draw(st.integers(0, 12))):
        place = tuple(draw(st.integers(max(0, at - REACH), min(SIDE, at + REACH))) for at in place)
        dots.append(place)
    return Stroke(draw(st.integers(0, ERASER)), draw(st.integers(0, len(BRUSHES) - 1)), tuple(dots))


any_drawing = st.builds(lambda strokes: Drawing(tuple(strokes)), st.lists(any_stroke(), min_size=1, max_size=8))


# --- the text of a link -----------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(any_drawing)
def test_the_text_of_a_drawing_and_its_rows_give_it_back(drawing):
    assert Drawing.of_text(drawing.text) == drawing
    assert Drawing.of_rows(drawing.rows) == drawing


@settings(max_examples=100)
@given(
    st.text(max_size=60)
    | st.binary(min_size=7, max_size=60).map(lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="))
)
def test_of_any_other_text_it_is_said_why_there_is_no_drawing(text):
    with pytest.raises(DrawingError):
        Drawing.of_text(text)


@given(st.binary(max_size=60))
def test_so_it_is_of_bytes_that_have_the_right_sum(body):
    head = b"\1" + zlib.crc32(body).to_bytes(4, "big") + len(body).to_bytes(2, "big")
    text = base64.urlsafe_b64encode(head + body).decode().rstrip("=")
    try:
        found = Drawing.of_text(text)
    except DrawingError:
        return
    assert all(0 <= along <= SIDE for stroke in found.strokes for place in stroke.dots for along in place)
    assert np.all(np.abs(found.points) <= 4)


def test_whatever_is_cut_off_or_changed_is_noticed():
    text = TWO.text
    for k in range(len(text)):
        with pytest.raises(DrawingError) as error:
            Drawing.of_text(text[:k])
        if k >= 12 and k % 4 != 1:
            assert {str(k), str(len(text))} <= named(str(error.value)) and "cut" in str(error.value)
    for k in range(len(text) - 1):  # some bits of the last character mean nothing
        with pytest.raises(DrawingError):
            Drawing.of_text(text[:k] + ("B" if text[k] == "A" else "A") + text[k + 1 :])


def test_a_text_that_is_too_long_for_a_link_is_none_and_is_refused_with_the_limit():
    long = Drawing((ring(dots=1_000), ring(1, dots=1_100)))
    assert len(to_text(long.strokes)) > MOST_IN_LINK and long.text == ""
    with pytest.raises(DrawingError) as error:
        Drawing.of_text(to_text(long.strokes))
    assert {f"{len(to_text(long.strokes)):,}", f"{MOST_IN_LINK:,}", "CSV"} <= named(str(error.value))
    short = Drawing((ring(brush=3, dots=1_250),))
    assert 0 < len(short.text) <= MOST_IN_LINK and len(short.points) == 20_000


# --- points -----------------------------------------------------------------------------------------------------------


def test_a_text_shows_the_points_that_it_always_showed():
    """Of version 1: a change here changes what old links show."""
    drawing = Drawing.of_text(VERSION_1)
    assert drawing.counts == {"A": 16, "B": 8}
    assert drawing.points[:3].tolist() == FIRST_POINTS
    assert zlib.crc32(np.rint(PER_UNIT * drawing.points).astype("<i4").tobytes()) == SUM_OF_POINTS


def test_a_spray_is_centred_and_ends_at_the_radius_of_its_brush():
    for brush, (radius, count) in enumerate(BRUSHES):
        drawing = Drawing((Stroke(0, brush, ((500, 500),) * 300),))
        assert drawing.points.shape == (300 * count, 2)
        assert np.all(np.abs(drawing.points) <= (radius + 1) / PER_UNIT)
        if radius:
            deviation = math.sqrt(4 * (256**2 - 1) / 12) * radius / 512 / PER_UNIT
            error = deviation / math.sqrt(len(drawing.points))
            assert np.all(np.abs(drawing.points.mean(0)) < 4 * error)
            assert drawing.points.std(0) == pytest.approx(deviation, rel=0.06)
            assert abs(np.corrcoef(drawing.points.T)[0, 1]) < 4 / math.sqrt(len(drawing.points))


def test_at_the_border_a_spray_is_mirrored_and_loses_nothing():
    drawing = Drawing((Stroke(0, 4, ((0, 0), (0, 0), (0, 100))),))
    assert len(drawing.points) == 3 * BRUSHES[4][1]
    assert np.all((drawing.points >= -4) & (drawing.points < -2.3))


@settings(max_examples=25)
@given(any_drawing)
def test_an_eraser_takes_what_was_painted_before_it_and_lies_in_cells_within_its_radius(drawing):
    """Point by point, as the browser does it."""
    left = []
    for index, stroke in enumerate(drawing.strokes):
        if stroke.kind == ERASER:
            reach = max(BRUSHES[stroke.brush][0], LEAST_ERASER)
            left = [point for point in left if not any(is_near(point, dot, reach) for dot in stroke.dots)]
        else:
            before = tuple(Stroke(0, 0, one.dots[:1]) for one in drawing.strokes[:index])
            own = Drawing((*before, Stroke(0, stroke.brush, stroke.dots))).points[index:]
            left += [tuple(map(int, np.rint(PER_UNIT * point + PARTS / 2))) for point in own]
    assert np.rint(PER_UNIT * drawing.points + PARTS / 2).astype(int).tolist() == [list(point) for point in left]


def is_near(point, dot, reach):
    middle = ((along // CELL) * CELL + CELL / 2 for along in point)
    return sum((at - SHARES * along) ** 2 for at, along in zip(middle, dot, strict=True)) <= reach**2


# --- data -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drawing", [TWO, Drawing((ring(),)), Drawing((ring(1), ring(ERASER, radius=230)))])
def test_its_file_is_read_as_the_same_data(drawing):
    file = read_csv(drawing.name, drawing.file)
    read = table(file, *NAMES, LABEL if drawing.labels else None)
    assert np.array_equal(read.values, drawing.table.values)
    assert read.labels == drawing.table.labels and read.names == drawing.table.names


def test_two_colours_are_two_classes_and_one_colour_is_none():
    assert TWO.table.classes == ("A", "B") and TWO.table.labels.count("A") == TWO.counts["A"]
    assert Drawing((ring(1),)).table.classes == ()
    assert TWO.table.truth is None


def at(*places, brush=FINEST):
    return Drawing(tuple(Stroke(0, brush, (place,)) for place in places))


LINE = Drawing((Stroke(0, FINEST, tuple((10 * k, 20 * k) for k in range(50))),))
FULL = Drawing((ring(brush=3, dots=1_250),))
WRONG = {
    "one point": (at((500, 500)), {"1", "20"}),
    "one place": (at(*[(500, 500)] * 30), {"30", "one", "3"}),
    "two places": (at(*[(500, 500), (400, 500)] * 15), {"30", "2", "3"}),
    "one line": (LINE, {"50", "line"}),
    "one upright line": (at(*[(500, 10 * k) for k in range(30)]), {"30", "line"}),
    "nothing": (Drawing(), {"0", "20"}),
    "one point too many": (Drawing((*FULL.strokes, Stroke(1, FINEST, ((5, 5),)))), {"20,001", "20,000"}),
}


@pytest.mark.parametrize(("drawing", "says"), WRONG.values(), ids=WRONG)
def test_what_no_density_can_be_learnt_from_is_said_with_what_to_do(drawing, says):
    with pytest.raises(DrawingError) as error:
        _ = drawing.table
    assert says <= named(str(error.value))
    assert {"Paint", "Erase"} & named(str(error.value))


def test_the_most_points_are_taken_and_erased_ones_do_not_count():
    assert len(FULL.table.values) == 20_000
    more = Drawing((*FULL.strokes, Stroke(ERASER, 4, ((750, 500),)), Stroke(1, FINEST, ((5, 5),))))
    assert 0 < len(more.table.values) < 20_000


FORGED = {
    "no list": "strokes",
    "a number": [1],
    "a text": ["0,0,1,1"],
    "no place": [[0, 0]],
    "half a place": [[0, 0, 1]],
    "a fraction": [[0, 0, 0.5, 1]],
    "a truth": [[0, 0, True, 1]],
    "nothing": [[0, 0, None, 1]],
    "a huge number": [[0, 0, 10**400, 1]],
    "no colour": [[3, 0, 1, 1]],
    "no brush": [[0, 5, 1, 1]],
    "below the plane": [[0, 0, -1, 1]],
    "beyond the plane": [[0, 0, 1, SIDE + 1]],
    "a jump": [[0, 0, 0, 0, REACH + 1, 0]],
    "too many dots": [[0, 0, *[1, 1] * (MOST_DOTS + 1)]],
    "too many points": [[0, 4, *[1, 1] * (MOST_SPRAYED // BRUSHES[4][1] + 1)]],
    "an empty stroke": [[]],
}


@pytest.mark.parametrize("rows", FORGED.values(), ids=FORGED)
def test_what_no_browser_of_ours_sends_is_refused(rows):
    with pytest.raises(DrawingError) as error:
        Drawing.of_rows(rows)
    assert 10 < len(str(error.value)) < 1_000


VERSION_1 = "AetPpYsAFQgCBLGQHgoFAwlh9BQo9hQGAQmyHA"
FIRST_POINTS = [[-1.7594, -0.883], [-1.608, -0.816], [-1.4948, -0.8698]]
SUM_OF_POINTS = 704946067
