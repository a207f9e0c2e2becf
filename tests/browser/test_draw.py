"""Painting in a real browser: what is sent is learned at once, and a link shows it again."""

import math

import numpy as np
from playwright.sync_api import expect

from app.drawing import Drawing
from app.drawing.points import PARTS, PER_UNIT
from app.drawing.strokes import ERASER
from tests.browser.conftest import SMALL, box_at_rest
from tests.served import wait_for

POINTS = """() => {
  const { picture, strokes } = document.querySelector(".painter").painter;
  return { x: picture.x, y: picture.y, kind: picture.kind, rows: strokes.map((s) => [s.kind, s.brush, ...s.dots]) };
}"""


class Plane:
    """The plane to paint on, of a visitor's page. Places are shares of its sides, from the left and from above."""

    def __init__(self, visitor):
        self.visitor, self.page = visitor, visitor.page
        self.page.locator(".painter-plane").wait_for()
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

    @property
    def count(self):
        """The points, as the page says it: one frame after a stroke it says what is on the plane."""
        painter = self.page.locator(".painter")
        wait_for(lambda: int(painter.get_attribute("data-points")) == len(self.holds()["x"]), "the number of points")
        return int(painter.get_attribute("data-points"))

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


def drawing_in(visitor):
    return Drawing.of_text(visitor.query["drawing"])


def test_what_is_painted_is_learnt_undone_and_stands_in_the_link(visit):
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
    plane.press("Clear")
    assert plane.count == 0
    plane.press("Undo")
    plane.press("■ B")
    plane.stroke((0.2, 0.9), (0.8, 0.9))
    visitor.page.keyboard.press("Control+z")
    assert plane.count == len(held["x"]) and plane.holds() == held
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
    assert visitor.complaints == [] and other.complaints == []
