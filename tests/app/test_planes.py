"""The panes' JSON: what NumPy holds is what a browser decodes, in colours, curves and points."""

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.components.planes.panes import LEVELS, NO_NUMBER, Area, Chart, Dots, Heat, Level, Pane, Path, encode
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
    level = decode(heat["level"])
    assert level.dtype == np.uint8
    np.testing.assert_allclose(level / LEVELS, values, atol=0.5001 / LEVELS)
    assert (heat["range"], heat["cut"]) == ([0.0, 1.0], [False, False])
    cut = heat_of(values, 0.25, 0.75)
    assert decode(cut["level"])[0, 0] == 0
    assert decode(cut["level"])[-1, -1] == LEVELS
    assert cut["cut"] == [True, True]


def test_a_heat_map_tells_no_number_from_the_infinite():
    heat = heat_of([[np.nan, np.inf], [-np.inf, 3.0]], 2.0, 4.0)
    assert decode(heat["level"]).tolist() == [[NO_NUMBER, LEVELS], [0, LEVELS // 2]]
    assert heat["cut"] == [True, True]


def test_a_logarithmic_heat_map_has_levels_of_the_logarithm():
    heat = heat_of([[1.0, 10.0, 100.0], [0.0, -1.0, 1000.0]], 1.0, 100.0, log=True)
    assert heat["range"] == [0.0, 2.0]
    assert decode(heat["level"]).tolist() == [[0, 127, LEVELS], [0, NO_NUMBER, LEVELS]]


def test_one_value_everywhere_has_a_colour():
    assert decode(heat_of([[3.0, 3.0]], 3.0, 3.0)["level"]).tolist() == [[0, 0]]


@pytest.mark.parametrize(("low", "high", "log"), [(1.0, 0.0, False), (0.0, 1.0, True), (np.nan, 1.0, False)])
def test_colours_that_cannot_be_are_refused(low, high, log):
    with pytest.raises(ValueError, match="colours cannot go from"):
        heat_of([[0.5]], low, high, log=log)


def test_points_and_curves_survive_the_trip():
    values = np.linspace(-1.0, 1.0, 12).reshape(3, 4)
    values[1, 2] = np.nan
    curve = Level(values, np.float64(0.5), "half", "#D55E00", "dash")
    shown = sent(pane(levels=(curve,), paths=(Path(POINTS, "p"),), dots=(Dots(POINTS, "d", symbol="star"),)))
    np.testing.assert_array_equal(decode(shown["levels"][0]["values"]), values.astype(np.float32))
    assert [shown["levels"][0][name] for name in ("at", "label", "colour", "dash")] == [0.5, "half", "#D55E00", "dash"]
    for part in (shown["paths"][0], shown["dots"][0]):
        np.testing.assert_array_equal(decode(part["points"]), POINTS.astype(np.float32))
    assert (shown["paths"][0]["label"], shown["dots"][0]["symbol"]) == ("p", "star")


def test_a_line_without_points_is_an_empty_one():
    assert decode(sent(pane(paths=(Path(np.empty((0, 2)), "p"),)))["paths"][0]["points"]).shape == (0, 2)
    assert decode(sent(pane(paths=(Path([], "p"),)))["paths"][0]["points"]).shape == (0, 2)


def test_panes_and_charts_say_what_they_are():
    window = (np.array([-1, 1]), (np.float32(0.5), 2))
    first = sent(pane(window=window, note="n", clickable=True, point=(np.float64(0.5), 1)))
    assert {
        name: first[name] for name in ("kind", "title", "x", "y", "alt", "note", "window", "clickable", "point")
    } == {
        "kind": "pane",
        "title": "t",
        "x": "z₁",
        "y": "z₂",
        "alt": "words",
        "note": "n",
        "window": [[-1.0, 1.0], [0.5, 2.0]],
        "clickable": True,
        "point": [0.5, 1.0],
    }
    assert first["heat"] is None
    second = sent(Chart("t", "n", "error", (Path(POINTS, "p"),), "words", log_y=True))
    assert (second["kind"], second["log_x"], second["log_y"], second["alt"]) == ("chart", False, True, "words")
    assert (second["areas"], second["height"]) == ([], None)
    area = Area(POINTS, POINTS + 1, "a", "#0072B2", 0.3)
    third = sent(Chart("t", "n", "error", (), "words", areas=(area,), height=400))
    assert third["height"] == 400 and third["areas"][0] | {"low": 0, "high": 0} == {
        "low": 0, "high": 0, "label": "a", "colour": "#0072B2", "opacity": 0.3,
    }  # fmt: skip
    assert decode(third["areas"][0]["high"]) == pytest.approx(np.asarray(POINTS + 1, np.float32), nan_ok=True)


def test_a_page_sends_its_panes_and_knows_of_no_click():
    def script():
        import numpy as np
        import streamlit as st

        from app.components.planes import Chart, Path, clicked, planes

        chart = Chart("Error", "n", "error", (Path(np.eye(2), "p"),), "words")
        planes([chart, chart], key="panes", columns=2)
        st.text(clicked("panes"))

    page = AppTest.from_function(script).run()
    assert not page.exception
    (proto,) = (e.proto for e in page.main if e.type == "bidi_component")
    data = json.loads(proto.json)
    assert data["columns"] == 2
    assert [shown["alt"] for shown in data["panes"]] == ["words", "words"]
    assert page.text[0].value == "None"
