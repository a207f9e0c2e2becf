"""Panes that stand still while their data change, over the known values of `planes_app.py`."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.browser.planes_app import NODES, WHERE_NONE, WINDOW, heat
from tests.served import served, wait_for

PLANE, CHART, DENSITY = range(3)
SIDE = 4.0  # of the window


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    script = Path(__file__).with_name("planes_app.py")
    with served(script, tmp_path_factory.mktemp("planes") / "log") as url:
        yield url


@pytest.fixture
def see(address, chromium):
    pages = []

    def enter(query: str = "", width: int = 1440, **context):
        pages.append(opened(f"{address}/?{query}", chromium, width, **context))
        return pages[-1]

    yield enter
    for page in pages:
        page.context.close()


@pytest.fixture(scope="module")
def looked_at(address, chromium):
    """A page that nobody changes."""
    page = opened(address, chromium)
    yield page
    page.context.close()


def opened(url, chromium, width=1440, **context):
    page = chromium.new_context(viewport={"width": width, "height": 900}, **context).new_page()
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
    """A JavaScript expression of a pane's Plotly element `box`."""
    return box(page, pane).evaluate(f"box => {expression}")


def ranges(page, pane):
    return plot(page, pane, "[box._fullLayout.xaxis, box._fullLayout.yaxis].map(axis => [...axis.range])")


def press(page, name):
    """One of the page's buttons, and the run that follows."""
    before = page.get_by_text(re.compile(r"^run \d+$")).inner_text()
    page.get_by_role("button", name=name, exact=True).click()
    wait_for(lambda: page.get_by_text(re.compile(r"^run \d+$")).inner_text() != before, "another run")


def place(page, pane, x, y):
    """Where on the screen a point of a pane is, in pixels."""
    left, top = plot(
        page,
        pane,
        f"""(({{xaxis: a, yaxis: b}}, at) => [at.left + a._offset + a.d2p({x}), at.top + b._offset + b.d2p({y})])(
            box._fullLayout, box.getBoundingClientRect())""",
    )
    return left, top


def told(page):
    """Pane and point that Python was told, or None."""
    text = page.get_by_text(re.compile(r"^(nothing|pane \d: .*)$")).inner_text()
    numbers = re.findall(r"[-\d.]+", text)
    return (int(numbers[0]), float(numbers[1]), float(numbers[2])) if numbers else None


def test_a_click_tells_the_point_in_units_of_the_axes_and_a_drag_is_no_click(see):
    page = see()
    assert told(page) is None
    page.mouse.click(*place(page, PLANE, -1.2, 2.5))
    pixel = SIDE / plot(page, PLANE, "box._fullLayout.xaxis._length")
    found = wait_for(lambda: told(page), "the click to arrive")
    assert found == (PLANE, pytest.approx(-1.2, abs=pixel), pytest.approx(2.5, abs=pixel))
    ring = "(t => [t.x[0], t.y[0]])(box.data.at(-1))"
    wait_for(lambda: plot(page, PLANE, ring) == pytest.approx(found[1:], abs=1e-4), "a ring around it")

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


def test_a_tap_is_a_click_and_a_finger_scrolls_the_page(see):
    page = see(width=390, has_touch=True, is_mobile=True)
    assert plot(page, PLANE, "box._fullLayout.dragmode") is False
    page.touchscreen.tap(*place(page, PLANE, 0.5, 1.5))
    assert wait_for(lambda: told(page), "the tap to arrive") == pytest.approx((PLANE, 0.5, 1.5), abs=0.03)


def test_without_a_point_arrow_keys_start_in_the_middle_and_panes_may_go_and_come_back(see):
    page = see()
    box(page, PLANE).focus()
    page.keyboard.press("ArrowUp")
    assert wait_for(lambda: told(page), "the point to arrive") == (PLANE, 0.0, 1.1)
    page.get_by_text("shown").click()
    wait_for(lambda: page.locator(".planes").count() == 0, "an empty page")
    page.get_by_text("shown").click()
    wait_for(lambda: drawn(page) >= 3, "the panes again")
    assert page.locator(".planes figure").count() == 3
    before = told(page)
    page.mouse.click(*place(page, PLANE, 1.0, 1.0))
    wait_for(lambda: told(page) not in (None, before), "the click to arrive")
    assert told(page)[1:] == pytest.approx((1.0, 1.0), abs=0.03)
    assert page.problems == []


def test_arrow_keys_move_the_point_by_a_fortieth_and_tell_it_once_they_rest(see):
    page = see("point=given")
    plane = box(page, PLANE)
    plane.focus()
    page.keyboard.press("ArrowRight")  # the keyboard has it: the focus must be seen
    assert plane.evaluate("box => getComputedStyle(box).outlineStyle") == "solid"
    for key in ("ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert page.locator(".planes-told").text_content() == "z₁ (m) = 0.7, z₂ (m) = 0.4"
    assert wait_for(lambda: told(page), "the point to arrive") == (PLANE, 0.7, 0.4)
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert wait_for(lambda: told(page)[1] == 2.0 and told(page), "the border of the window") == (PLANE, 2.0, 0.4)
    assert plane.get_attribute("role") == "application"
    assert "Arrow keys" in plane.get_attribute("aria-description")


def test_a_plane_that_is_not_free_shows_its_point_and_so_it_does_once_it_is_free_again(see):
    page = see("point=given")
    ring = "box.data.filter(t => t.marker?.symbol === 'circle-open').map(t => [t.x[0], t.y[0]])"
    assert plot(page, PLANE, ring) == [[0.5, 0.5]]
    box(page, PLANE).focus()
    page.keyboard.press("ArrowRight")
    wait_for(lambda: plot(page, PLANE, ring) == [[0.6, 0.5]], "a ring where the keys took it")
    for role in ("img", "application"):
        page.get_by_text("free").click()
        wait_for(lambda role=role: box(page, PLANE).get_attribute("role") == role, f"the role {role}")
        wait_for(lambda: plot(page, PLANE, ring) == [[0.5, 0.5]], "a ring at the point that is given")


@pytest.mark.parametrize(("palette", "over"), [("viridis", "light"), ("signed", "dark")])
def test_on_a_dark_page_marks_are_dark_on_a_pale_palette_and_light_in_the_legend(see, palette, over):
    page = see(f"palette={palette}", color_scheme="dark")
    steps = "box.data.filter(t => t.name === 'steps' && t.mode === 'lines+markers')"
    found = plot(page, PLANE, f"{steps}.map(t => [t.line.color, t.x.length > 1, t.showlegend])")
    assert [_shade(colour) for colour, across, _ in found if across] == [over]
    assert [_shade(colour) for colour, _, named in found if named] == ["light"]


def _shade(colour):
    """Of "rgba(250,250,250,0.9)"."""
    return "light" if sum(map(float, re.findall(r"[\d.]+", colour)[:3])) > 384 else "dark"


def test_an_update_draws_what_has_changed_remounts_nothing_and_leaves_the_zoom(see):
    page = see()
    page.evaluate("document.querySelectorAll('.planes *').forEach(node => { node.known = true; })")
    plots = "[...document.querySelectorAll('.planes, .planes figure, .planes-plot')]"
    before = drawn(page)
    box(page, PLANE).evaluate("box => { window.plane = box.data; }")
    press(page, "again")
    page.wait_for_timeout(500)
    assert drawn(page) == before
    press(page, "next")
    wait_for(lambda: plot(page, CHART, "box.data[0].x.length") == 11, "a longer line")
    wait_for(lambda: plot(page, DENSITY, "box.data[0].z[3][3]") == pytest.approx(0.2, abs=1 / 254), "another density")
    assert drawn(page) == before + 2
    assert page.evaluate(f"{plots}.slice(1).every(node => node.known) && {plots}.length === 7")
    assert page.evaluate("[...document.querySelectorAll('.planes-plot .main-svg')].every(node => node.known)")
    assert plot(page, PLANE, "box.data === window.plane")

    # Zoom survives an update, and a double click resets it.
    for pane in (CHART, DENSITY):
        whole = ranges(page, pane)
        at = box(page, pane).bounding_box()
        page.mouse.move(at["x"] + at["width"] / 2, at["y"] + 80)
        page.mouse.wheel(0, -300)
        wait_for(lambda pane=pane, whole=whole: ranges(page, pane) != whole, "the wheel to zoom")
        page.wait_for_timeout(500)  # the turn of the wheel is over
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
    assert page.problems == []


def test_what_is_drawn_is_what_python_has_sent(looked_at):
    page = looked_at
    plane = plot(page, PLANE, "box.data.map(({type, mode, name, x, y, z, x0, dx, y0, dy}) => "
                 "({type, mode, name, x: x && [...x], y: y && [...y], z, x0, dx, y0, dy}))")  # fmt: skip
    shown = plane[0]
    found = np.array([[np.nan if v is None else 10**v for v in row] for row in shown["z"]])
    assert np.isnan(found[WHERE_NONE])
    assert np.isnan(found).sum() == 1
    np.testing.assert_allclose(found, heat(), rtol=0.5 * np.log(1e4) / 254 * 1.1)
    assert [shown[name] for name in ("x0", "dx", "y0", "dy")] == pytest.approx([-2, 4 / (NODES - 1), -1, 4 / 20])
    level = next(t for t in plane if t["name"] == "y = 1.5")
    assert np.array(level["z"])[:, 7] == pytest.approx(np.linspace(*WINDOW[1], NODES), abs=1e-6)
    steps = next(t for t in plane if t["mode"] == "lines+markers")
    assert steps["x"] == pytest.approx([-1, 0, np.nan, 1], nan_ok=True)
    assert steps["y"] == pytest.approx([0, 1, np.nan, 2], nan_ok=True)
    # The curve at y = 1.5 runs across the whole plot, at its height.
    crossing = plot(page, PLANE, "box.querySelector('.contourlevel path').getBBox().y")
    assert crossing == pytest.approx(plot(page, PLANE, "box._fullLayout.yaxis.d2p(1.5)"), abs=0.6)
    assert plot(page, CHART, "[box._fullLayout.xaxis.type, box._fullLayout.yaxis.type]") == ["linear", "log"]
    assert plot(page, CHART, "box.data[1].y[9]") == pytest.approx(1e-20)


def test_axes_have_names_and_panes_say_what_they_show(looked_at):
    page = looked_at
    labels = [[page.locator(f".planes-plot >> nth={k} >> .{a}title").text_content() for a in "xy"] for k in range(3)]
    assert labels == [["z₁ (m)", "z₂ (m)"], ["iteration n", "‖r‖ (m)"], ["x₁", "x₂"]]
    alts = [(box(page, k).get_attribute("role"), box(page, k).get_attribute("aria-label")) for k in range(3)]
    words = ["words about the plane", "words about the chart", "words about it"]
    assert alts == list(zip(["application", "img", "img"], words, strict=True))
    assert page.locator(".planes figcaption").all_inner_texts() == ["Plane", "Error", "Density"]
    assert page.locator(".planes-note").first.inner_text() == "Choose a point."
    legends = [box(page, k).locator(".legendtext").all_text_contents() for k in range(3)]
    assert legends == [["y = 1.5", "steps", "end"], ["rate 1", "rate 2"], []]
    names = [box(page, k).locator(".annotation-text").all_text_contents() for k in range(3)]
    assert names == [["iterations"], [], ["density (per unit area)"]]


@pytest.mark.parametrize(("width", "columns"), [(390, "1"), (700, "2"), (1440, "3")])
def test_nothing_overlaps_or_leaves_the_page(see, looked_at, width, columns):
    page = looked_at if width == 1440 else see(width=width)
    assert page.locator(".planes").get_attribute("data-columns") == columns
    assert page.evaluate("(main => main.scrollWidth - main.clientWidth)(document.querySelector('.stMain'))") == 0
    for k in range(3):
        outer = box(page, k).bounding_box()
        assert outer["x"] + outer["width"] <= width
        parts = [
            part.bounding_box()
            for name in (".nsewdrag", ".xtitle", ".cbfills", ".cbaxis", ".annotation-text", ".legend", ".ytitle")
            for part in box(page, k).locator(name).all()
        ]
        for i, a in enumerate(parts):
            assert a["x"] >= outer["x"] - 1
            assert a["y"] + a["height"] <= outer["y"] + outer["height"] + 1
            for b in parts[:i]:
                apart = (
                    a["x"] + a["width"] <= b["x"] + 1
                    or b["x"] + b["width"] <= a["x"] + 1
                    or a["y"] + a["height"] <= b["y"] + 1
                    or b["y"] + b["height"] <= a["y"] + 1
                )
                assert apart, (k, a, b)


def test_panes_follow_the_theme_of_the_page(looked_at):
    ink = plot(looked_at, CHART, "box._fullLayout.font.color")
    looked_at.emulate_media(color_scheme="dark")
    wait_for(lambda: plot(looked_at, CHART, "box._fullLayout.font.color") != ink, "the ink of a dark page")
    looked_at.emulate_media(color_scheme="light")
    wait_for(lambda: plot(looked_at, CHART, "box._fullLayout.font.color") == ink, "the ink of a light page")


def test_panes_wait_for_the_library(see, address, chromium):
    context = chromium.new_context()
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    # The library comes as ever, but is not found for a while.
    page.add_init_script("""(() => {
        let plotly, open = false;
        Object.defineProperty(window, "Plotly", { get: () => (open ? plotly : undefined), set: (p) => { plotly = p; },
                                                  configurable: true });
        window.release = () => { open = true; };
        window.has = () => plotly !== undefined;
    })()""")
    page.goto(address)
    wait_for(lambda: page.locator(".planes figcaption").count() == 3 and page.evaluate("has()"), "titles")
    assert drawn(page) == 0
    page.evaluate("release()")
    wait_for(lambda: drawn(page) >= 3, "the panes")
    assert problems == []
    context.close()
