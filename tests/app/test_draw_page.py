"""Painting on Explore, over the engine of this process: what is sent when the brush is lifted is learned at once,
stands in the link, and is not lost by what cannot be learned."""

import json
from types import SimpleNamespace
from urllib.parse import urlencode

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.csv_file import digest_of
from app.drawing import Drawing, Stroke
from app.drawing.strokes import ERASER
from app.features.explore.canvas import KEY, StandIn
from app.link import DRAWING, OWN_DATA, read_link
from app.metrics import with_error
from app.session.drawings import put_down, start_drawing, take_strokes
from app.session.files import pick, take_csv
from app.session.returning import come_back
from tests.app.pages import MAIN, SMALL, copied_link, finding, go, keys, link, named, own, press, run, said
from tests.app.test_drawing import FINEST, FULL, TWO, at, ring

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
EXPLORE, JOINT = "features/explore/explore.py", "features/joint/joint.py"
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
        patch.setattr(st, "session_state", Widgets(page.session_state, widgets))
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


def test_the_door_opens_the_plane_on_a_page_that_has_a_flow_which_is_kept():
    page = press(opened(**SMALL), "step")
    page = go(page, "features/home/home.py")
    page.query_params.clear()
    page.query_params["data"] = DRAWING
    page = run(page.switch_page(EXPLORE))
    assert plane(page) is not None
    assert own(page).report.arms[0].step == 1 and own(page).setup.data == SMALL["data"]
    page = sent(page, ONE)
    assert own(page).past[-1].steps == 1 and own(page).past[-1].setup.data == SMALL["data"]
    assert len(own(page).past) == 1
    page = sent(page, TWO)
    assert len(own(page).past) == 1, "strokes of one painting leave no flows behind"
    page = press(page, "undo")
    assert own(page).setup.own is None and plane(page) is None
    assert own(page).report.arms[0].step == 1
    assert own(page).drawing == TWO, "what was painted is there still"


def test_a_link_to_drawn_data_opens_the_plane_and_lifting_the_brush_starts_a_flow_of_these_points_that_plays():
    page = drawing_to_paint()
    assert plane(page)["strokes"] == [] and not own(page).link.refused
    assert own(page).picked == DRAWING and own(page).setup.own is None
    assert page.button(key="play").proto.type == "secondary"  # Done is the page's primary action
    page = sent(page, ONE)
    assert np.array_equal(values(page), ONE.points)
    for _ in range(40):  # a busy machine takes its time for the first step
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


def test_done_brings_the_whole_picture_and_the_page_says_what_stands_for_the_truth():
    page = done(sent(drawing_to_paint(), TWO))
    assert plane(page) is None and "panes" in keys(page)
    assert {"draw", "save_drawing"} <= set(keys(page))
    found = finding(page, StandIn)
    assert (found.points, found.held_out) == (len(TWO.points), round(0.3 * len(TWO.points)))

    # The link brings the same points and the same run.
    address = link(page)
    assert (address["data"], address[DRAWING]) == (DRAWING, TWO.text)
    assert not [name for name in address if name.startswith("csv.")]
    other = opened(**{name: text for name, text in address.items() if name not in ("at", "by")})
    assert not own(other).link.refused and own(other).picked == DRAWING
    assert np.array_equal(values(other), TWO.points)
    assert own(other).setup.dataset.labels == TWO.labels
    assert plane(other) is None

    page = press(run(page), "play")
    while (found := finding(page, StandIn)).nll is None:
        page = press(page, "step")
    loss = own(page).report.arms[0].loss
    assert found.nll == pytest.approx((loss.held_nll[-1], loss.held_se[-1]))
    numbers = {str(found.held_out), str(found.points), *with_error(*found.nll)}
    assert any(numbers <= named(text) for text in said(page))
    for one in (page, other):
        assert plane(press(one, "draw"))["strokes"] == TWO.rows


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


BAD = {
    "one point too many": (Drawing((*FULL.strokes, Stroke(1, 0, ((5, 5),)))), {"20,001", "20,000"}),
    "one point": (at((500, 500)), {"1", "20"}),
    "one place": (at(*[(500, 500)] * 30), {"30", "one"}),
}


def test_what_cannot_be_learnt_gets_a_message_and_neither_it_nor_the_flow_is_lost():
    page = sent(drawing_to_paint(), ONE)
    flow = own(page).run
    for rows in ("x", [[9, 9, 9, 9]], [[0, 0]], {"a": 1}):  # forged
        page = tell(page, take_strokes, KEY, painter={"strokes": rows})
        assert plane(page)["strokes"] == ONE.rows and len(plane(page)["problem"]) > 20, rows
        assert own(page).run == flow and np.array_equal(values(page), ONE.points)
    page = sent(page, Drawing())
    assert np.array_equal(values(page), ONE.points) and not plane(page)["problem"]
    page = done(page)
    assert own(page).drawing == ONE and not own(page).notice, "a plane that was cleared keeps the flow"
    page = press(page, "draw")
    for drawing, says in BAD.values():
        page = sent(page, drawing)
        assert says <= named(plane(page)["problem"])
        assert own(page).run == flow and np.array_equal(values(page), ONE.points)
        assert plane(page)["strokes"] == drawing.rows
    page = done(page)
    assert says <= named(own(page).notice) and own(page).notice in said(page)
    assert own(page).run == flow
    assert plane(press(page, "draw"))["strokes"] == drawing.rows


def test_without_a_flow_of_its_own_a_bad_drawing_leaves_the_data_that_there_were():
    page = done(sent(drawing_to_paint(), at((500, 500))))
    assert own(page).setup.own is None and own(page).picked == own(page).setup.data
    page = tell(page, pick, "data", data={"picked": DRAWING})
    assert plane(page)["strokes"] == at((500, 500)).rows, "choosing Draw goes on with it"


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


@pytest.mark.slow
def test_other_data_put_the_plane_down_and_the_drawing_comes_back():
    page = sent(drawing_to_paint(), ONE)
    before, entry = link(page), str(own(page).entry)
    page = tell(page, pick, "data", data={"picked": "rings"})
    assert plane(page) is None and own(page).setup.data == "rings" and own(page).setup.own is None
    page = tell(page, pick, "data", data={"picked": DRAWING})
    assert plane(page) is None and np.array_equal(values(page), ONE.points)
    page = tell(page, pick, "data", data={"picked": "rings"})
    page = tell(page, come_back, f"?{urlencode(before)}", entry)
    assert own(page).picked == DRAWING and np.array_equal(values(page), ONE.points), "Back in the browser's history"
    page = tell(page, pick, "data", data={"picked": OWN_DATA})
    page = tell(page, take_csv, "points.csv", TWO.file)
    assert own(page).setup.own.choice.name == "points.csv" and np.array_equal(values(page), TWO.points)


@pytest.mark.slow
def test_a_drawing_in_one_colour_has_no_classes_to_tell_apart_and_two_have():
    page = go(done(sent(drawing_to_paint(**{"joint.view": "paper", "joint.seeds": "1"}), ONE)), JOINT)
    assert any({"drawing", "second"} <= named(text) for text in said(page))
    page = done(sent(tell(go(page, EXPLORE), start_drawing), TWO))
    assert read_link(link(page)).setup.dataset.classes == own(page).setup.dataset.classes == ("A", "B")
    page = go(page, JOINT)
    assert not any({"drawing", "second"} <= named(text) for text in said(page))
