"""Drawings: strokes to a text, to points, to a table and to a file, and what is said of those that cannot be had."""

import json
import math
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from app.csv_file import digest_of, read_csv, table
from app.drawing import LABEL, MOST_IN_LINK, NAMES, Drawing, DrawingError, Stroke
from app.drawing.points import CELL, LEAST_ERASER, PARTS, PER_UNIT
from app.drawing.strokes import BRUSHES, ERASER, MOST_DOTS, MOST_SPRAYED, REACH, SHARES, SIDE
from app.drawing.text import to_text
from app.features.explore.canvas import KEY
from app.link import DRAWING, OWN_DATA, read_link
from app.session.drawings import put_down, take_strokes
from tests.app.pages import MAIN, SMALL, copied_link, keys, link, named, own, run, said

FINEST, MIDDLE = 0, 2


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


FORGED = {
    "no list": "strokes",
    "no place": [[0, 0]],
    "a fraction": [[0, 0, 0.5, 1]],
    "nothing": [[0, 0, None, 1]],
    "a huge number": [[0, 0, 10**400, 1]],
    "no colour": [[3, 0, 1, 1]],
    "no brush": [[0, 5, 1, 1]],
    "beyond the plane": [[0, 0, 1, SIDE + 1]],
    "a jump": [[0, 0, 0, 0, REACH + 1, 0]],
    "too many dots": [[0, 0, *[1, 1] * (MOST_DOTS + 1)]],
    "too many points": [[0, 4, *[1, 1] * (MOST_SPRAYED // BRUSHES[4][1] + 1)]],
}


@pytest.mark.parametrize("rows", FORGED.values(), ids=FORGED)
def test_what_no_browser_of_ours_sends_is_refused(rows):
    with pytest.raises(DrawingError) as error:
        Drawing.of_rows(rows)
    assert 10 < len(str(error.value)) < 1_000


VERSION_1 = "AetPpYsAFQgCBLGQHgoFAwlh9BQo9hQGAQmyHA"
FIRST_POINTS = [[-1.7594, -0.883], [-1.608, -0.816], [-1.4948, -0.8698]]
SUM_OF_POINTS = 704946067


# --- painting on Explore ----------------------------------------------------------------------------------------------


EXPLORE = "features/explore/explore.py"
ONE = Drawing((ring(),))
LONG = Drawing((ring(brush=FINEST, dots=1_000), ring(1, FINEST, dots=1_100)))


def opened(**query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in query.items():
        page.query_params[name] = value
    return run(page.switch_page(EXPLORE))


def tell(page, function, *told, **widgets):
    """Let a component of the page tell something, before the next run of the script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamlit, "session_state", Widgets(page.session_state, widgets))
        patch.setattr("app.session.run.presence", lambda: None)  # which only a script may ask for
        function(*told)
    return run(page)


class Widgets:
    """The state of a session, with what components have just told."""

    def __init__(self, state, told):
        self._state, self._told = state, {key: SimpleNamespace(**parts) for key, parts in told.items()}

    def __getitem__(self, key):
        return self._told[key] if key in self._told else self._state[key]

    def __getattr__(self, name):
        return self._state[name]

    def __contains__(self, key):
        return key in self._state


def sent(page, drawing):
    return tell(page, take_strokes, KEY, painter={"strokes": drawing.rows})


def done(page):
    return tell(page, put_down, KEY, painter={"done": True})


def plane(page):
    """What the plane to paint on is told; None where it does not stand."""
    found = [json.loads(e.proto.json) for e in page.main if getattr(e.proto, "component_name", "") == "resflow_painter"]
    return found[0] if found else None


def drawing_to_paint(**query):
    return opened(**{**SMALL, **query, "data": DRAWING})


def values(page):
    """What the engine was given to learn."""
    return own(page).setup.experiment().arms[0].data.values


@pytest.mark.thorough
@pytest.mark.usefixtures("local_engine")
def test_a_link_to_drawn_data_opens_the_plane_and_lifting_the_brush_starts_a_flow_of_these_points_that_plays():
    page = drawing_to_paint()
    assert plane(page)["strokes"] == [] and not own(page).link.refused
    assert own(page).picked == DRAWING and own(page).setup.own is None
    assert page.button(key="play").proto.type == "secondary"  # Done is the page's primary action
    page = sent(page, ONE)
    assert np.array_equal(values(page), ONE.points)
    for _ in range(400):  # only a run that hangs takes so many
        if own(page).report.arms and own(page).report.arms[0].step:
            break
        page = run(page)
    assert own(page).plays and own(page).report.arms[0].step > 0
    assert "panes" in keys(page), "the rest of the live picture stands beside the plane"
    first = own(page).run
    page = sent(page, ONE)
    assert own(page).run == first, "the same strokes again start nothing"
    page = sent(page, TWO)
    assert own(page).run != first and np.array_equal(values(page), TWO.points)
    assert own(page).setup.dataset.classes == ("A", "B")
    assert plane(page)["strokes"] == TWO.rows and not plane(page)["problem"]
    rest = Drawing((*TWO.strokes, Stroke(ERASER, 4, ((500, 750), (500, 700)))))
    page = sent(page, rest)
    assert np.array_equal(values(page), rest.points)
    assert len(rest.points) < len(TWO.points), "an eraser leaves the rest"


@pytest.mark.thorough
@pytest.mark.usefixtures("local_engine")
def test_a_drawing_that_is_too_long_for_a_link_is_asked_for_as_its_file():
    page = done(sent(drawing_to_paint(), LONG))
    address = link(page)
    assert address["data"] == OWN_DATA and DRAWING not in address
    assert (address["csv.name"], address["csv.digest"]) == (LONG.name, digest_of(LONG.file))
    page.session_state["share"] = True
    page = run(page)
    assert copied_link(page)["csv.digest"] == digest_of(LONG.file)
    assert any({"4,096", LONG.name} <= named(text) for text in said(page))

    other = opened(**{name: text for name, text in address.items() if name not in ("at", "by")})
    assert own(other).link.csv.name == LONG.name
    other = run(other.file_uploader(key="needed_csv").set_value((LONG.name, LONG.file, "")))
    assert np.array_equal(values(other), LONG.points) and own(other).setup.dataset.labels == LONG.labels


@pytest.mark.thorough
@pytest.mark.usefixtures("local_engine")
def test_a_link_whose_drawing_is_damaged_says_so_and_opens_with_the_rest():
    for text in (TWO.text[:20] + "AAAA" + TWO.text[24:], "", "A" * 5_000, "x y", TWO.text[:-9]):
        query = SMALL | {"data": DRAWING, DRAWING: text}
        link = read_link(query)
        (refused,) = link.refused
        assert DRAWING in named(refused)
        assert link.setup.own is None and link.setup.seed == int(SMALL["seed"]) and not link.draws
    page = opened(**query)
    assert own(page).link.refused == (refused,) and refused in " ".join(said(page))
    assert own(page).setup.own is None and own(page).setup.seed == int(SMALL["seed"])
    assert plane(page) is None
