"""Panes that stand still while their data change, over the known values of `planes_app.py`."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MOST_MS, box_at_rest, wait_for_script, zoom_wheel
from tests.browser.planes_app import NODES, WHERE_NONE, WINDOW, heat
from tests.served import wait_for

PLANE, CHART, DENSITY = range(3)
SIDE = 4.0  # of the window
OVER = "(main => main.scrollWidth - main.clientWidth)(document.querySelector('.stMain'))"
VIRIDIS = ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"]


@pytest.fixture
def see(planes_address, chromium):
    pages = []

    def enter(query: str = "", width: int = 1440, **context):
        pages.append(opened(f"{planes_address}/?{query}", chromium, width, **context))
        return pages[-1]

    yield enter
    for page in pages:
        page.context.close()


@pytest.fixture(scope="module")
def looked_at(planes_address, chromium):
    """A page that is left as it was found."""
    page = opened(planes_address, chromium)
    yield page
    page.context.close()


def opened(url, chromium, width=1440, **context):
    page = chromium.new_context(viewport={"width": width, "height": 900}, **context).new_page()
    page.set_default_timeout(MOST_MS)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(f"uncaught: {error}"))
    page.goto(url)
    wait_for(lambda: drawn(page) >= 3, f"three panes; the page said {page.problems}")
    return page


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


def _shade(colour):
    """Of "rgba(250,250,250,0.9)"."""
    return "light" if sum(map(float, re.findall(r"[\d.]+", colour)[:3])) > 384 else "dark"


def pixel(page, pane, x, y):
    """The colour that is seen at a point of a pane."""
    return plot(
        page,
        pane,
        f"""((canvas, dense) => [...canvas.getContext("2d").getImageData(
            Math.round(at.x({x}) * dense), Math.round(at.y({y}) * dense), 1, 1).data.slice(0, 3)])(
            document.querySelectorAll(".planes-plot canvas")[{pane}], devicePixelRatio)""",
    )


def test_what_is_drawn_is_what_python_has_sent_and_in_which_colours(looked_at):
    page = looked_at
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


def lies_within(page, k, width):
    """Whether a pane is above its legend and on the page, and what it has drawn within it, with room for its axes."""
    shown, legend, (left, top, across, down), bar = box(page, k).evaluate(
        """(box, k) => {
            const { right, bottom, width, height } = box.getBoundingClientRect();
            const { picture, at } = box.surface;
            const legend = document.querySelectorAll(".planes-legend")[k].getBoundingClientRect().top;
            return [{ right, bottom, width, height }, legend, [at.left, at.top, at.width, at.height], !!picture.bar];
        }""",
        k,
    )
    below = 92 if bar else 42  # the axis and the colour bar
    return (
        legend >= shown["bottom"]
        and shown["right"] <= width
        and (left >= 50 and top >= 8)
        and left + across <= shown["width"] - 14 + 1e-6
        and top + down <= shown["height"] - below + 1e-6
    )


def test_panes_say_what_they_show_fit_every_width_and_follow_the_theme(looked_at):
    page = looked_at
    labels = [plot(page, k, "[picture.x.title, picture.y.title]") for k in range(3)]
    assert labels == [["z₁ (m)", "z₂ (m)"], ["iteration n", "‖r‖ (m)"], ["x₁", "x₂"]]
    alts = [(box(page, k).get_attribute("role"), box(page, k).get_attribute("aria-label")) for k in range(3)]
    words = ["words about the plane", "words about the chart", "words about it"]
    assert alts == list(zip(["application", "img", "img"], words, strict=True))
    assert page.locator(".planes figcaption").all_inner_texts() == ["Plane", "Error", "Density"]
    assert page.locator(".planes-note").first.inner_text() == "Choose a point."
    legends = [page.locator(".planes-legend").nth(k).get_by_role("button").all_inner_texts() for k in range(3)]
    assert legends == [["y = 1.5", "steps", "end"], ["rate 1", "rate 2"], []]
    names = [plot(page, k, "picture.bar?.title") for k in range(3)]
    assert names == ["iterations", None, "density (per unit area)"]

    # Nothing overlaps or leaves the page.
    for width, columns in ((390, "1"), (700, "2"), (1440, "3")):
        page.set_viewport_size({"width": width, "height": 900})
        wait_for(
            lambda columns=columns: page.locator(".planes").get_attribute("data-columns") == columns, "another layout"
        )
        wait_for(lambda: page.evaluate(OVER) == 0, "panes within the page")
        for k in range(3):
            wait_for(lambda k=k, width=width: lies_within(page, k, width), f"pane {k} in its place at {width} pixels")

    # The theme.
    def ink():
        return layers(page, CHART, "line")[0]["colour"]

    light = ink()
    page.emulate_media(color_scheme="dark")
    wait_for(lambda: ink() != light, "the ink of a dark page")
    # There marks are dark on a pale palette and light in the legend.
    wait_for(lambda: marks(page) == ("light", "light"), "marks on the colours of the dark page")
    page.emulate_media(color_scheme="light")
    wait_for(lambda: ink() == light, "the ink of a light page")


def marks(page):
    """Whether a line is light or dark, over the colours and in the legend."""
    (line,) = layers(page, PLANE, "line", "steps")
    swatch = page.locator(".planes-legend").first.get_by_role("button", name="steps").locator("canvas")
    across = "canvas => [...canvas.getContext('2d').getImageData(4, 6, 1, 1).data]"
    return _shade(line["colour"]), _shade(str(swatch.evaluate(across)[:3]))


def _shade(colour):
    """Of "rgba(250,250,250,0.9)"."""
    return "light" if sum(map(float, re.findall(r"[\d.]+", colour)[:3])) > 384 else "dark"


def test_on_a_dark_page_marks_are_dark_on_a_pale_palette_and_light_in_the_legend(see):
    assert marks(see("palette=signed", color_scheme="dark")) == ("dark", "light")


def test_an_update_draws_what_has_changed_remounts_nothing_and_leaves_the_zoom(see):
    page = see()
    page.evaluate("document.querySelectorAll('.planes *').forEach(node => { node.known = true; })")
    plots = "[...document.querySelectorAll('.planes, .planes figure, .planes-plot')]"
    before = drawn(page)
    box(page, PLANE).evaluate("box => { window.plane = box.surface.picture; }")
    press(page, "again")
    press(page, "next")
    wait_for(lambda: len(layers(page, CHART, "line")[0]["x"]) == 11, "a longer line")
    level = "picture.layers[0].field.values[66]"
    wait_for(lambda: plot(page, DENSITY, level) == pytest.approx(0.2 * 254, abs=1), "another density")
    assert drawn(page) == before + 2  # by "next", and none by "again"
    assert page.evaluate(f"{plots}.slice(1).every(node => node.known) && {plots}.length === 7")
    assert page.evaluate("[...document.querySelectorAll('.planes-plot canvas')].every(node => node.known)")
    assert plot(page, PLANE, "picture === window.plane")

    # Zoom survives an update, and a double click resets it.
    for pane in (CHART, DENSITY):
        whole = ranges(page, pane)
        at = box_at_rest(box(page, pane))
        page.mouse.move(at["x"] + at["width"] / 2, at["y"] + 80)
        zoom_wheel(page, -300)
        wait_for(lambda pane=pane, whole=whole: ranges(page, pane) != whole, "the wheel to zoom")
        zoomed = ranges(page, pane)
        assert all(b - a < d - c for (a, b), (c, d) in zip(map(sorted, zoomed), map(sorted, whole), strict=True))
        before = drawn(page)
        press(page, "next")
        wait_for(lambda before=before: drawn(page) == before + 2, "the update")
        assert np.allclose(ranges(page, pane), zoomed)
        page.mouse.dblclick(at["x"] + at["width"] / 2, at["y"] + 80)
        wait_for(lambda pane=pane, zoomed=zoomed: not np.allclose(ranges(page, pane), zoomed), "the whole again")
        if pane == DENSITY:
            assert np.allclose(ranges(page, pane), WINDOW)

    # A name in the legend hides its line and shows it again, also over an update.
    button = page.locator(".planes-legend").nth(PLANE).get_by_role("button", name="steps")
    for visible in (False, True):
        button.click()
        assert button.get_attribute("aria-pressed") == str(visible).lower()
        assert [one["visible"] for one in layers(page, PLANE, "line", "steps")] == [visible]
        press(page, "next")
        assert [one["visible"] for one in layers(page, PLANE, "line", "steps")] == [visible]
    assert page.problems == []


def test_what_stands_at_the_pointer_is_told_and_what_is_clicked_in_units_of_the_axes(see):
    page = see()
    tip, tips = page.locator(".canvas-tip:not([hidden])"), []
    for x, y, begins in ((1.02, 2.02, "end"), (-1.8, 0.4, "iterations 0"), (-1.99, -0.98, "iterations:")):
        page.mouse.move(*place(page, PLANE, x, y))
        expect(tip).to_contain_text(begins)
        tips.append(tip.inner_text())
    assert tips[0].splitlines() == ["end", "z₁ (m) = 1", "z₂ (m) = 2"]
    assert tips[1].startswith("iterations ")
    assert float(tips[1].split()[1]) == pytest.approx(10**-1.8, rel=0.02)
    assert tips[2] == "iterations: no number"
    page.mouse.move(*place(page, CHART, 3, -6))
    expect(tip).to_contain_text("rate 2")
    assert tip.inner_text().splitlines() == ["rate 2", "iteration n = 3", "‖r‖ (m) = 1.0e−6"]

    # The wheel scrolls the page until a click into a plane, and again once the pointer has left it.
    page.set_viewport_size({"width": 390, "height": 900})
    wait_for(lambda: page.locator(".planes").get_attribute("data-columns") == "1", "one column")
    before, scrolled = ranges(page, DENSITY), "document.querySelector('.stMain').scrollTop"
    page.mouse.move(*place(page, PLANE, 0.0, 1.0))
    page.mouse.wheel(0, 120)
    wait_for(lambda: page.evaluate(scrolled) > 0, "the page to scroll")
    assert ranges(page, PLANE) == before
    box(page, DENSITY).scroll_into_view_if_needed()
    page.mouse.click(*place(page, DENSITY, 0.0, 1.0))
    page.mouse.wheel(0, -120)
    wait_for(lambda: ranges(page, DENSITY) != before, "the wheel to zoom")
    zoomed = ranges(page, DENSITY)
    page.mouse.move(2, 2)  # beside the plane
    page.mouse.move(*place(page, DENSITY, 0.0, 1.0))
    top = page.evaluate(scrolled)
    page.mouse.wheel(0, -120)
    wait_for(lambda: page.evaluate(scrolled) < top, "the page to scroll")
    assert ranges(page, DENSITY) == zoomed
    page.set_viewport_size({"width": 1440, "height": 900})
    wait_for(lambda: page.locator(".planes").get_attribute("data-columns") == "3", "three columns")

    # Without a point arrow keys start in the middle, and panes may go and come back.
    assert told(page) is None
    box(page, PLANE).focus()
    page.keyboard.press("ArrowUp")
    assert wait_for(lambda: told(page), "the point to arrive") == (PLANE, 0.0, 1.1)
    page.get_by_text("shown").click()
    wait_for(lambda: page.locator(".planes").count() == 0, "an empty page")
    page.get_by_text("shown").click()
    wait_for(lambda: drawn(page) >= 3, "the panes again")
    assert page.locator(".planes figure").count() == 3

    # A click tells the point.
    before = told(page)
    page.mouse.click(*place(page, PLANE, -1.2, 2.5))
    pixel = SIDE / plot(page, PLANE, "at.width")
    found = wait_for(lambda: told(page) not in (None, before) and told(page), "the click to arrive")
    assert found == (PLANE, pytest.approx(-1.2, abs=pixel), pytest.approx(2.5, abs=pixel))
    wait_for(lambda: ring(page, PLANE) == [pytest.approx(found[1:], abs=1e-4)], "a ring around it")

    # Other panes tell nothing, and neither does a drag.
    page.mouse.click(*place(page, DENSITY, 0.0, 1.0))
    whole = ranges(page, PLANE)
    page.mouse.move(*place(page, PLANE, 0.0, 1.0))
    page.mouse.down()
    page.mouse.move(*place(page, PLANE, 0.5, 1.0), steps=4)
    page.mouse.up()
    wait_for(lambda: ranges(page, PLANE) != whole, "the plane to follow the hand")
    press(page, "again")
    assert told(page) == found
    page.mouse.click(*place(page, PLANE, 0.0, 1.0))  # and after it a click is one again, in the plane that has moved
    wait_for(lambda: told(page) != found, "the click")
    assert told(page)[1:] == pytest.approx((0.0, 1.0), abs=0.03)
    assert page.problems == []


def test_two_fingers_zoom_one_does_not_and_a_tap_is_a_click(see):
    page = see(width=390, has_touch=True, is_mobile=True)
    before = ranges(page, PLANE)
    (x, y), tools = place(page, PLANE, 0.0, 1.0), page.context.new_cdp_session(page)

    def touch(kind, *points):
        tools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]})

    touch("touchStart", (x - 20, y), (x + 20, y))
    for apart in (25, 30, 40):
        touch("touchMove", (x - apart, y), (x + apart, y))
    touch("touchEnd")
    (x0, x1), _ = ranges(page, PLANE)
    assert x1 - x0 == pytest.approx((before[0][1] - before[0][0]) / 2, rel=0.02)
    assert (x0 + x1) / 2 == pytest.approx(0.0, abs=0.02)
    zoomed = ranges(page, PLANE)
    touch("touchStart", (x, y))
    for way in (5, 15, 30):
        touch("touchMove", (x, y - way))
    touch("touchEnd")
    assert ranges(page, PLANE) == zoomed and told(page) is None
    page.touchscreen.tap(*place(page, PLANE, 0.5, 1.5))
    assert wait_for(lambda: told(page), "the tap to arrive") == pytest.approx((PLANE, 0.5, 1.5), abs=0.03)


def test_a_given_point_is_moved_by_keys_told_once_they_rest_and_left_by_a_double_click(see):
    page = see("point=given")
    plane = box(page, PLANE)
    # A plane that is not free shows its point, and so it does once it is free again.
    assert ring(page, PLANE) == [[0.5, 0.5]]
    plane.focus()
    page.keyboard.press("ArrowRight")
    wait_for(lambda: ring(page, PLANE) == [[0.6, 0.5]], "a ring where the keys took it")
    assert (
        plane.evaluate("box => getComputedStyle(box).outlineStyle") == "solid"
    )  # the keyboard has it, and that is seen
    for role in ("img", "application"):
        page.get_by_text("free").click()
        wait_for(lambda role=role: plane.get_attribute("role") == role, f"the role {role}")
        wait_for(lambda: ring(page, PLANE) == [[0.5, 0.5]], "a ring at the point that is given")

    plane.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert page.locator(".planes-told").text_content() == "z₁ (m) = 0.7, z₂ (m) = 0.4"
    wait_for(lambda: told(page) == (PLANE, 0.7, 0.4), "the point to arrive")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert wait_for(lambda: told(page)[1] == 2.0 and told(page), "the border of the window") == (PLANE, 2.0, 0.4)
    assert "Arrow keys" in plane.get_attribute("aria-description")

    at = place(page, PLANE, -1.0, 2.0)
    before, whole = (ring(page, PLANE), told(page)), ranges(page, PLANE)
    page.mouse.move(*at)
    zoom_wheel(page, -300)
    wait_for(lambda: ranges(page, PLANE) != whole, "the wheel to zoom")
    page.mouse.dblclick(*at)
    wait_for(lambda: ranges(page, PLANE) == whole, "the whole plane")
    press(page, "again")
    assert (ring(page, PLANE), told(page)) == before


def test_panes_wait_for_their_module(planes_address, chromium):
    context = chromium.new_context()
    page = context.new_page()
    problems, held = [], []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.route("**/web/*/planes/picture.js", lambda route: held.append(route))
    page.goto(planes_address)
    wait_for(lambda: page.locator(".planes").count() and held, "the browser to ask for a part of it")
    assert drawn(page) == 0
    held[0].continue_()
    wait_for(lambda: drawn(page) >= 3, "the panes")
    assert problems == [] and len(held) == 1
    context.close()
