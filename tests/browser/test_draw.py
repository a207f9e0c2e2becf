"""Painting in a real browser: by mouse, finger and keys; what is sent is learned at once, and a link shows it again."""

import math

import numpy as np
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect

from app.drawing import Drawing
from app.drawing.points import PARTS, PER_UNIT
from app.drawing.strokes import BRUSHES, ERASER
from tests.browser.conftest import SMALL, box_at_rest
from tests.served import wait_for

POINTS = """() => {
  const { picture, strokes } = document.querySelector(".painter").painter;
  return { x: picture.x, y: picture.y, kind: picture.kind, rows: strokes.map((s) => [s.kind, s.brush, ...s.dots]) };
}"""
MIDDLE = len(BRUSHES) // 2
FEW = 1_000
"""Points, in place of the most that there may be."""


class Plane:
    """The plane to paint on, of a visitor's page. Places are shares of its sides, from the left and from above."""

    def __init__(self, visitor):
        self.visitor, self.page = visitor, visitor.page
        try:
            self.page.locator(".painter-plane").wait_for()
        except PlaywrightTimeoutError as error:
            seen = self.page.locator("body").inner_text()
            raise AssertionError(f"no plane at {visitor.url}, {visitor.problems}, but {seen!r}") from error
        wait_for(lambda: self.page.evaluate("document.querySelector('.painter').painter?.size"), "the plane")

    def places(self, *shares):
        """Where they are on the screen."""
        box = box_at_rest(self.page.locator(".painter-plane"))
        return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in shares]

    def stroke(self, *shares):
        first, *others = self.places(*shares)
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for place in others:
            self.page.mouse.move(*place, steps=2)
        self.page.mouse.up()

    def press(self, name):
        self.page.locator(".painter").get_by_role("button", name=name, exact=True).click()

    def size(self, brush):
        self.page.get_by_role("slider", name="Size of the brush").fill(str(brush))

    @property
    def count(self):
        """The points, as the page says it: one frame after a stroke it says what is on the plane."""
        painter = self.page.locator(".painter")
        wait_for(lambda: int(painter.get_attribute("data-points")) == len(self.holds()["x"]), "the number of points")
        return int(painter.get_attribute("data-points"))

    @property
    def said(self):
        return self.page.locator(".painter-said").inner_text()

    def holds(self):
        """What is on it, as the browser has it."""
        return self.page.evaluate(POINTS)

    def wait_for_density(self):
        """Of a flow that has learned what is painted now."""
        self.visitor.wait("root.dataset.step !== '' && Number(root.dataset.step) > 0", "a flow that trains")
        wait_for(lambda: self.page.locator(".painter").get_attribute("data-density"), "its density under the points")


def ring(radius=0.3, n=12):
    turns = [2 * math.pi * k / n for k in range(n + 1)]
    return [(0.5 + radius * math.cos(turn), 0.5 + radius * math.sin(turn)) for turn in turns]


def of_python(rows):
    """The points that the server makes of strokes, as whole parts."""
    drawing = Drawing.of_rows(rows)
    return np.rint(PER_UNIT * drawing.points + PARTS / 2).astype(int)


def same_points(held):
    return np.array_equal(of_python(held["rows"]), np.column_stack([held["x"], held["y"]]))


def trouble(visitor):
    """What the console said, but that Streamlit looks for its files below a screen's address first."""
    return [problem for problem in visitor.problems if "404" not in problem]


def drawing_in(visitor):
    return Drawing.of_text(visitor.query["drawing"])


def test_what_is_painted_is_learnt_and_stands_in_the_link(visit):
    visitor = visit(query=f"{SMALL}&data=drawing", path="/explore", picture=False)
    plane = Plane(visitor)
    assert plane.count == 0
    plane.stroke(*ring())
    plane.wait_for_density()
    first, run = plane.count, visitor.data("run")
    assert first > 100 and same_points(plane.holds())
    plane.press("■ B")
    plane.stroke(*ring(0.12))
    visitor.wait(f"root.dataset.run && root.dataset.run !== '{run}'", "a flow of all points")
    plane.wait_for_density()
    plane.press("Erase")
    plane.stroke((0.5, 0.1), (0.5, 0.3))
    held = plane.holds()
    assert held["rows"][-1][0] == ERASER and same_points(held)
    assert set(held["kind"]) == {0, 1} and plane.count > first
    wait_for(lambda: "drawing" in visitor.query and drawing_in(visitor).rows == held["rows"], "the link")
    plane.press("Done")
    visitor.page.locator("[data-pane=data] .live-plot").wait_for()
    visitor.press("Pause")  # or another browser has many steps to repeat
    expect(visitor.page.locator(".painter")).to_have_count(0)
    visitor.wait("root.querySelector('.live-classes').innerText.match(/A\\s.*B/s)", "the classes in their order")
    expect(visitor.page.locator(".stMain")).to_contain_text("true density", use_inner_text=True)

    other = visit(query=visitor.url.partition("?")[2], path="/explore")
    assert other.query["drawing"] == visitor.query["drawing"]
    other.press("Go on drawing")
    again = Plane(other).holds()
    assert again == held
    assert not trouble(visitor) and not trouble(other)


@pytest.mark.slow
def test_by_keys_alone_undo_clear_what_cannot_be_learnt_and_the_most_points(visit):
    visitor = visit(query=f"{SMALL}&data=drawing", path="/explore", picture=False)
    plane, keyboard = Plane(visitor), visitor.page.keyboard
    wait_for(lambda: visitor.page.evaluate("document.activeElement.className") == "painter-plane", "the focus")
    visitor.wait_for_script()  # after which the plane says again what is on it
    keyboard.press("ArrowLeft")
    wait_for(lambda: plane.said == "Brush at −0.08, 0", "where the brush is")
    # Down and up at once: a spray that is held goes on, and a busy browser would hold it for long.
    visitor.page.locator(".painter-plane").evaluate("""plane => {
        for (const kind of ["keydown", "keyup"])
            plane.dispatchEvent(new KeyboardEvent(kind, { code: "Space", key: " ", bubbles: true, cancelable: true }));
    }""")
    assert plane.count == BRUSHES[MIDDLE][1]
    keyboard.press("Backspace")
    assert plane.count == 0
    plane.size(0)
    plane.stroke((0.5, 0.5))
    assert plane.count == 1
    wait_for(lambda: "1 point" in plane.said and "20" in plane.said, "what one point lacks")
    for _ in range(24):
        plane.stroke((0.5, 0.5))
    wait_for(lambda: "25 points" in plane.said and "one place" in plane.said, "what one place lacks")
    assert visitor.page.locator(".live-panes").count() == 0, "nothing is learned yet"
    plane.press("Clear")
    assert plane.count == 0
    plane.press("Undo")
    assert plane.count == 25
    plane.size(MIDDLE)
    plane.stroke(*ring())
    plane.wait_for_density()
    whole = plane.count
    plane.stroke((0.2, 0.2), (0.8, 0.8))
    assert plane.count > whole
    keyboard.press("Control+z")
    assert plane.count == whole and same_points(plane.holds())
    plane.press("Clear")
    wait_for(lambda: not visitor.page.locator(".painter").get_attribute("data-density"), "an empty plane")
    plane.size(0)
    plane.stroke((0.3, 0.3))
    wait_for(lambda: "1 point" in plane.said, "what one point lacks")
    plane.press("Done")
    visitor.page.locator(".stAlert").get_by_text("1 point").wait_for()
    visitor.press("Go on drawing")
    assert Plane(visitor).count == 1, "what was painted is there"

    # By keys alone.
    plane.size(MIDDLE)
    visitor.page.locator(".painter-plane").focus()
    keyboard.down("Space")
    for way in ("ArrowUp", "ArrowRight", "ArrowDown", "ArrowRight"):
        for _ in range(4):
            keyboard.press(f"Shift+{way}")
    keyboard.up("Space")
    painted = plane.count
    assert painted > 100 and same_points(plane.holds())
    plane.wait_for_density()
    keyboard.press("Backspace")
    assert plane.count == 1
    keyboard.press("Escape")
    visitor.page.locator(".painter").wait_for(state="detached")

    # At the most points the brush is lifted, and the page says what to do.
    visitor.press("Go on drawing")
    plane = Plane(visitor)
    rules = "document.querySelector('.painter').painter.rules"
    assert visitor.page.evaluate(f"{rules}.most") == 20_000
    visitor.page.evaluate(f"{rules}.most = {FEW}")  # so many are soon painted
    plane.size(len(BRUSHES) - 1)
    plane.stroke(*[place for row in (0.2, 0.4, 0.6, 0.8) for place in ((0.05, row), (0.95, row + 0.1))])
    assert FEW - BRUSHES[-1][1] < plane.count <= FEW
    wait_for(lambda: f"{FEW:,}" in plane.said, "what to do")
    full = plane.count
    plane.stroke((0.5, 0.5), (0.6, 0.6))
    assert plane.count == full
    plane.wait_for_density()
    wait_for(lambda: "drawing" in visitor.query and len(drawing_in(visitor).points) == full, "the link")
    assert not trouble(visitor)


def test_by_finger_on_a_phone_the_page_does_not_scroll_and_a_second_finger_does_nothing(visit):
    visitor = visit(
        query=f"{SMALL}&data=drawing",
        path="/explore",
        picture=False,
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
    )
    plane = Plane(visitor)
    hands = visitor.page.context.new_cdp_session(visitor.page)

    def touch(kind, *shares):
        places = plane.places(*shares) if shares else []
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        hands.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    top = visitor.page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop")
    first, *rest = ring()
    touch("touchStart", first)
    for place in rest:
        touch("touchMove", place)
    one, (painted,) = plane.count, plane.holds()["rows"]
    touch("touchStart", rest[-1], (0.5, 0.5))
    touch("touchMove", rest[-1], (0.1, 0.1))
    touch("touchEnd")
    plane.wait_for_density()
    # The first finger, which rests, has sprayed on where it is: for as long as a busy browser has held it.
    held = plane.holds()
    (row,) = held["rows"]
    more = row[len(painted) :]
    assert one > 100 and row == painted + painted[-2:] * (len(more) // 2)
    assert same_points(held)
    assert visitor.page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == top
    sizes = visitor.page.locator(".painter button").evaluate_all(
        "buttons => buttons.map(button => button.getBoundingClientRect()).map(({width, height}) => [width, height])"
    )
    assert np.min(sizes) >= 44
    wide = "document.querySelector('[data-testid=stMain]')"
    assert visitor.page.evaluate(f"{wide}.scrollWidth <= {wide}.clientWidth")
    plane.press("Done")
    visitor.page.locator("[data-pane=data] .live-plot").wait_for()


@pytest.mark.slow
def test_a_page_that_is_loaded_anew_goes_on_painting(visit):
    visitor = visit(query=f"{SMALL}&data=drawing", path="/explore", picture=False)
    plane = Plane(visitor)
    plane.stroke(*ring())
    plane.wait_for_density()
    held = plane.holds()
    wait_for(lambda: "drawing" in visitor.query, "the link")
    visitor.page.reload()
    assert Plane(visitor).holds() == held
