"""Panes over the known values of `planes_app.py`: what they draw, what is taken of them, and hands in them."""

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import MOST_MS, box_at_rest, wait_for_script, zoom_wheel
from tests.browser.planes_app import NODES, WHERE_NONE, WINDOW, heat
from tests.browser.taken import MENU, SVG, rows_of, taken, texts_of
from tests.served import wait_for

PLANE, CHART, DENSITY = range(3)
SIDE = 4.0  # of the window
VIRIDIS = ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"]


@pytest.fixture(scope="module")
def page(planes_address, chromium):
    page = chromium.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(MOST_MS)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(f"uncaught: {error}"))
    page.goto(planes_address)
    wait_for(lambda: drawn(page) >= 3, f"three panes; the page said {page.problems}")
    yield page
    page.context.close()


def drawn(page):
    """How many times a pane was drawn."""
    root = page.locator(".planes")
    return root.count() and int(root.get_attribute("data-drawn") or 0)


def box(page, pane):
    return page.locator(".planes-plot").nth(pane)


def plot(page, pane, expression):
    """A JavaScript expression of the `picture` that a pane has drawn, and `at`, where its plot is."""
    return box(page, pane).evaluate(f"({{surface: {{picture, at}}}}) => {expression}")


def layers(page, pane, kind, name=None):
    """The layers of a kind, and of a name where there is one, their numbers as lists."""
    wanted = f"layer.kind === '{kind}'" + (f" && layer.name === '{name}'" if name else "")
    plain = "JSON.parse(JSON.stringify(layer, (key, v) => ArrayBuffer.isView(v) ? [...v] : v))"
    return plot(page, pane, f"picture.layers.filter(layer => {wanted}).map(layer => {plain})")


def ring(page, pane):
    """Where the rings of a pane are."""
    return [[one["x"], one["y"]] for one in layers(page, pane, "ring")]


def ranges(page, pane):
    return plot(page, pane, "[picture.x.range, picture.y.range]")


def press(page, name):
    """One of the page's buttons, and the run that follows."""
    before = page.get_by_text(re.compile(r"^run \d+$")).inner_text()
    page.get_by_role("button", name=name, exact=True).click()
    wait_for(lambda: page.get_by_text(re.compile(r"^run \d+$")).inner_text() != before, "another run")


def place(page, pane, x, y):
    """Where on the screen a point of a pane is, in pixels, once nothing moves it any more: a narrow page is laid out
    anew when its panes are drawn."""
    wait_for_script(page)
    corner = box_at_rest(box(page, pane))
    left, top = plot(page, pane, f"[at.x({x}), at.y({y})]")
    return corner["x"] + left, corner["y"] + top


def told(page):
    """Pane and point that Python was told, or None."""
    text = page.get_by_text(re.compile(r"^(nothing|pane \d: .*)$")).inner_text()
    numbers = re.findall(r"[-\d.]+", text)
    return (int(numbers[0]), float(numbers[1]), float(numbers[2])) if numbers else None


def pixel(page, pane, x, y):
    """The colour that is seen at a point of a pane."""
    return plot(
        page,
        pane,
        f"""((canvas, dense) => [...canvas.getContext("2d").getImageData(
            Math.round(at.x({x}) * dense), Math.round(at.y({y}) * dense), 1, 1).data.slice(0, 3)])(
            document.querySelectorAll(".planes-plot canvas")[{pane}], devicePixelRatio)""",
    )


def test_what_is_drawn_and_taken_is_what_python_has_sent(page):
    (shown,) = layers(page, PLANE, "field")
    levels = np.array([[np.nan if v is None else v for v in shown["field"]["values"]]], float).reshape(NODES, NODES)
    found = 10 ** (-2 + 4 * levels / 254)
    assert np.isnan(found[WHERE_NONE])
    assert np.isnan(found).sum() == 1
    np.testing.assert_allclose(found, heat(), rtol=0.5 * np.log(1e4) / 254 * 1.1)
    assert shown["window"] == [list(side) for side in WINDOW]
    (level,) = layers(page, PLANE, "contours")
    values = np.array(level["field"]["values"]).reshape(NODES, NODES)
    assert values[:, 7] == pytest.approx(np.linspace(*WINDOW[1], NODES), abs=1e-6)
    assert level["levels"] == [{"value": 1.5}]
    (steps,) = layers(page, PLANE, "line", "steps")
    assert steps["x"] == [-1, 0, None, 1]
    assert steps["y"] == [0, 1, None, 2]
    assert layers(page, PLANE, "points")[0]["marker"]["symbol"] == "circle"
    (end,) = layers(page, PLANE, "points", "end")
    assert (end["x"], end["y"], end["marker"]["symbol"]) == ([1], [2], "star")
    assert ranges(page, PLANE) == [list(side) for side in WINDOW]
    rates = layers(page, CHART, "line")
    assert rates[1]["y"][9] == pytest.approx(-20)  # of a logarithm to base 10
    assert rates[0]["x"] == list(range(1, 11))
    (area,) = layers(page, CHART, "band")
    assert (area["x"], area["low"], area["high"]) == (rates[0]["x"], rates[1]["y"], rates[0]["y"])
    assert area["colour"] == "rgba(0,114,178,0.15)"
    (x0, x1), (y0, y1) = ranges(page, CHART)
    assert (x0, x1) == (1, 10) and (y0, y1) == pytest.approx((-20 - 0.05 * 19, -1 + 0.05 * 19))

    stops = np.array([[int(colour[i : i + 2], 16) for i in (0, 2, 4)] for colour in VIRIDIS])
    for x in (-1.8, -0.6, 1.2, 1.8):  # nodes, at a place without lines
        expected = [np.interp((x + 2) / 4, np.linspace(0, 1, len(stops)), channel) for channel in stops.T]
        assert pixel(page, PLANE, x, -0.5) == pytest.approx(expected, abs=4)
    assert pixel(page, PLANE, -1.99, -0.98) == [140, 140, 140]

    # Tables have the numbers that are drawn, as fine as colours are, and without what the legend hides.
    table, rows = rows_of(taken(page, "CSV: Error")[1])
    assert table == ["series", "iteration n", "‖r‖ (m)"]
    for k in (1, 2):
        found = np.array([row[1:] for row in rows if row[0] == f"rate {k}"], float)
        np.testing.assert_allclose(found[:, 0], np.arange(1, 11))
        np.testing.assert_allclose(found[:, 1], 10.0 ** (-k * found[:, 0]), rtol=1e-5)
    table, rows = rows_of(taken(page, "CSV: Plane")[1])
    found = np.array([float(row[3] or "nan") for row in rows if row[0] == "iterations"]).reshape(NODES, NODES)
    off = float(table[3].removeprefix("iterations (to ").removesuffix(" %)")) / 100
    np.testing.assert_allclose(found, heat(), rtol=1.1 * off)
    x, y = (np.array([float(row[k]) for row in rows if row[0] == "iterations"]) for k in (1, 2))
    np.testing.assert_allclose(x[:NODES], np.linspace(*WINDOW[0], NODES))
    np.testing.assert_allclose(y[::NODES], np.linspace(*WINDOW[1], NODES))
    entry = page.get_by_role("button", name="rate 1: hide or show")
    entry.click()
    expect(entry).to_have_attribute("aria-pressed", "false")
    _, rows = rows_of(taken(page, "CSV: Error")[1])
    entry.click()
    assert {row[0] for row in rows} == {"rate 2", "band, lower end", "band, upper end"}

    # A picture is white and twice as sharp; as vectors it has texts, lines, and the address where it is found again.
    image = Image.open(io.BytesIO(taken(page, "PNG")[1])).convert("RGB")
    pixels = np.asarray(image)
    assert image.width > 1440 and (pixels[:8] == 255).all() and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
    name, data = taken(page, "SVG")
    assert name == "plane.svg"
    assert {"Plane", "z₁ (m)", "iterations", "Error", "‖r‖ (m)", "y = 1.5", "end", "rate 1"} <= set(texts_of(data))
    assert any(text.startswith("http://127.0.0.1") for text in texts_of(data))
    parts = ElementTree.fromstring(data)
    assert len(list(parts.iter(f"{SVG}path"))) > 20 and not list(parts.iter(f"{SVG}script"))

    # The server makes other files when they are asked for, and says what cannot be made.
    assert taken(page, "Step") == ("step.csv", b"step\n0\n")
    page.get_by_role("button", name=MENU).click()
    page.get_by_role("menuitem", name="Made of nothing").click()
    page.get_by_role("status").filter(has_text="There is nothing yet: press next.").wait_for()
    assert page.problems == []


def test_panes_keep_their_zoom_over_an_update_and_tell_what_is_chosen_in_units_of_the_axes(page):
    # An update draws what has changed.
    before = drawn(page)
    box(page, PLANE).evaluate("box => { window.plane = box.surface.picture; }")
    press(page, "again")
    press(page, "next")
    wait_for(lambda: len(layers(page, CHART, "line")[0]["x"]) == 11, "a longer line")
    level = "picture.layers[0].field.values[66]"
    wait_for(lambda: plot(page, DENSITY, level) == pytest.approx(0.2 * 254, abs=1), "another density")
    assert drawn(page) == before + 2  # by "next", and none by "again"
    assert plot(page, PLANE, "picture === window.plane")

    # A zoom survives an update, keeps the place under the pointer, and is ended by a double click.
    whole, at = ranges(page, DENSITY), place(page, DENSITY, 0.5, 1.5)
    page.mouse.move(*at)
    zoom_wheel(page, -300)
    wait_for(lambda: ranges(page, DENSITY) != whole, "the wheel to zoom")
    zoomed = ranges(page, DENSITY)
    for (low, high), (begin, end), here in zip(zoomed, whole, (0.5, 1.5), strict=True):
        assert high - low < end - begin
        assert (here - low) / (high - low) == pytest.approx((here - begin) / (end - begin), abs=0.01)
    press(page, "next")
    wait_for(lambda: plot(page, DENSITY, level) == pytest.approx(0.3 * 254, abs=1), "another density")
    assert np.allclose(ranges(page, DENSITY), zoomed)
    page.mouse.dblclick(*at)
    wait_for(lambda: np.allclose(ranges(page, DENSITY), whole), "the whole again")

    # What stands at the pointer is told.
    tip = page.locator(".canvas-tip:not([hidden])")
    page.mouse.move(*place(page, PLANE, 1.02, 2.02))
    expect(tip).to_contain_text("z₂ (m) = 2")
    page.mouse.move(*place(page, PLANE, -1.8, 0.4))
    expect(tip).to_contain_text("iterations 0.016")
    page.mouse.move(*place(page, PLANE, -1.99, -0.98))
    expect(tip).to_contain_text("no number")
    page.mouse.move(*place(page, CHART, 3, -6))
    expect(tip).to_contain_text("‖r‖ (m) = 1.0e−6")

    # Arrow keys begin in the middle, and a click tells its point; a drag moves the plane and tells nothing.
    assert told(page) is None
    box(page, PLANE).focus()
    page.keyboard.press("ArrowUp")
    assert wait_for(lambda: told(page), "the point to arrive") == (PLANE, 0.0, 1.1)
    wait_for_script(page)
    page.mouse.click(*place(page, PLANE, -1.2, 2.5))
    pixel = SIDE / plot(page, PLANE, "at.width")
    wait_for(lambda: told(page)[1:] != (0.0, 1.1), "the click to arrive")
    found = told(page)
    assert found == (PLANE, pytest.approx(-1.2, abs=pixel), pytest.approx(2.5, abs=pixel))
    wait_for(lambda: ring(page, PLANE) == [pytest.approx(found[1:], abs=1e-4)], "a ring around it")
    whole = ranges(page, PLANE)
    page.mouse.move(*place(page, PLANE, 0.0, 1.0))
    page.mouse.down()
    page.mouse.move(*place(page, PLANE, 0.5, 1.0), steps=4)
    page.mouse.up()
    wait_for(lambda: ranges(page, PLANE)[0] == pytest.approx([end - 0.5 for end in whole[0]], abs=0.02), "a drag")
    press(page, "again")
    assert told(page) == found
    assert page.problems == []
