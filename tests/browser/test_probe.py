"""A pinned point, in Chromium: by mouse, keyboard and finger."""

import contextlib
import io

import pytest

from app import web
from tests.app.pages import number
from tests.browser.conftest import SMALL, box_at_rest
from tests.browser.drawn import VIEW
from tests.browser.test_take import rows_of, taken, texts_of
from tests.served import wait_for

PROBE = f"{VIEW}.probe"
BLOCKS = 4


def at(visitor):
    """What the server measured at the pinned point: the browser may show its own terms before that comes."""
    same = f"JSON.stringify({PROBE}.at?.x) === JSON.stringify({PROBE}.x)"
    visitor.wait(f"{PROBE}.x && {same}", "the server's measurement at the point")
    return visitor.page.evaluate(f"{PROBE}.at")


def pinned(visitor):
    """The pinned point, once its terms have come."""
    visitor.wait("root.dataset.probe === 'known'", "the terms of the point")
    return visitor.page.evaluate(f"{PROBE}.x")


def place_in(visitor, pane, u, v):
    box = box_at_rest(visitor.page.locator(f"[data-pane={pane}] .live-plot"))
    return box["x"] + u * box["width"], box["y"] + v * box["height"]


def uncaught(visitor):
    return [problem for problem in visitor.problems if problem.startswith("uncaught")]


def summands(visitor):
    return [number(text) for text in visitor.page.locator(".live-summand b").all_inner_texts()]


def test_a_point_whose_terms_add_up_is_pinned_by_a_click_moved_by_keys_and_taken_away(visit):
    visitor = visit()
    assert visitor.page.locator(".live-sum").is_hidden()
    visitor.page.mouse.click(*place_in(visitor, "data", 0.6, 0.3))
    x, found = pinned(visitor), at(visitor)
    assert found["x"] == x and len(found["log_dets"]) == BLOCKS and len(found["path"]) == BLOCKS + 2
    total = found["log_normal"] + sum(found["log_dets"]) + found["actnorm"]
    assert total == pytest.approx(found["log_prob"], abs=1e-6)
    log_prob, *terms, true = summands(visitor)
    assert sum(terms) == pytest.approx(log_prob, abs=0.002)
    assert log_prob == pytest.approx(found["log_prob"], abs=0.0006)
    assert true == pytest.approx(found["true_log_prob"], abs=0.0006)
    visitor.press("1 step")
    visitor.wait(f"{PROBE}.at?.step >= 1", "the terms after a step")
    assert at(visitor)["x"] == x and at(visitor)["log_prob"] != found["log_prob"]

    visitor.page.locator("[data-pane=data] .live-plot").focus()
    visitor.page.keyboard.press("Escape")
    visitor.wait("root.dataset.probe === ''", "no point")
    visitor.page.keyboard.press("Enter")
    first = pinned(visitor)
    visitor.page.keyboard.press("Shift+ArrowRight")
    visitor.wait(f"{PROBE}.x[0] > {first[0]}", "the point to move")
    moved = pinned(visitor)
    assert moved[1] == first[1]
    in_address = "parseFloat(new URLSearchParams(location.search).get('view.point'))"
    visitor.wait(f"Math.abs({in_address} - {moved[0]}) < 1e-3", "the address of the moved point")
    visitor.page.reload()
    visitor.wait("root.dataset.probe === 'known'", "the point of the address")
    assert visitor.page.evaluate(f"{PROBE}.x") == pytest.approx(moved)
    visitor.page.locator("[data-pane=data] .live-plot").focus()
    visitor.page.keyboard.press("Escape")
    visitor.wait("root.dataset.probe === ''", "no point")
    assert visitor.page.locator(".live-sum").is_hidden()
    visitor.wait("!new URLSearchParams(location.search).has('view.point')", "the address without it")
    assert not uncaught(visitor)


def test_its_terms_are_taken_along_and_the_strip_chooses_a_block_whose_matrix_goes_to_be_checked_by_hand(visit):
    visitor = visit(f"{SMALL}&log_det=roulette&view.point=0.5,-1")
    visitor.press("1 step")
    visitor.wait(f"{PROBE}.at?.step >= 1", "the terms after a step")
    assert pinned(visitor) == pytest.approx([0.5, -1])
    found = at(visitor)
    same = f"{VIEW}.picture.terms && {VIEW}.picture.step === {found['step']}"
    visitor.wait(same, "the picture of the step that the server has measured")
    head, rows = rows_of(taken(visitor.page, "CSV: log p(x)")[1])
    terms = [found["actnorm"], *found["log_dets"], found["log_normal"], found["log_prob"]]
    assert len(head) == 4 and [float(row[1]) for row in rows] == pytest.approx(terms, rel=1e-6)
    blocks = [[float(cell) for cell in row[2:]] for row in rows[1:-2]]
    estimates = zip(found["means"], found["deviations"], strict=True)
    assert blocks == [pytest.approx(pair, rel=1e-6) for pair in estimates]
    words = " ".join(texts_of(taken(visitor.page, "SVG")[1]))
    assert f"log p(x) = {found['log_prob']:.3f}".replace("-", "−") in words and "x = (0.5, −1)" in words
    name, data = taken(visitor.page, "Python script: the chosen point")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(data, name, "exec"), {"__name__": "__main__"})
    log_prob = next(line for line in out.getvalue().splitlines() if line.startswith("log p(x):"))
    assert float(log_prob.split()[2]) == pytest.approx(found["log_prob"], abs=1e-4)
    visitor.page.locator("[data-unpin]").click()
    visitor.wait("root.dataset.probe === ''", "no point")
    assert "of the chosen point" not in " ".join(texts_of(taken(visitor.page, "SVG")[1]))
    assert not uncaught(visitor)
    visitor.page.locator("[data-pane=data] .live-plot").focus()
    visitor.page.keyboard.press("Enter")
    pinned(visitor)

    strip = box_at_rest(visitor.page.locator(".live-fall"))
    middle = strip["y"] + strip["height"] / 2
    stage = strip["x"] + 8 + (strip["width"] - 16) / (BLOCKS + 1)
    visitor.page.mouse.move(strip["x"] + strip["width"] - 8, middle)
    visitor.page.mouse.down()
    visitor.page.mouse.move(stage, middle, steps=5)
    visitor.page.mouse.up()
    visitor.wait("root.dataset.depth === '1' && root.querySelectorAll('.live-matrix span').length", "the first block")
    found = at(visitor)
    shown = [number(text) for text in visitor.page.locator(".live-matrix span").all_inner_texts()]
    assert shown == pytest.approx(found["jacobians"][0], abs=0.0006)
    text = visitor.page.locator(".live-term p").nth(1).inner_text()
    assert f"{found['log_dets'][0]:.3f}".replace("-", "−") in text
    assert f"{found['deviations'][0]:.3f}" in text
    visitor.page.get_by_role("button", name="Check by hand", exact=True).click()
    visitor.page.wait_for_url("**/estimator?**")
    visitor.wait_for_query(**{"bench.view": "by_hand"})
    matrix = wait_for(lambda: visitor.query.get("bench.matrix"), "the matrix in the address")
    entries = [float(entry) for entry in matrix.split()]
    assert entries == pytest.approx(found["jacobians"][0], rel=1e-5)


def test_a_finger_pins_a_point_of_data_in_units_of_their_own(visit):
    visitor = visit(f"{SMALL}&data=wine", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    visitor.page.locator("[data-pane=data] .live-plot").scroll_into_view_if_needed()
    visitor.page.touchscreen.tap(*place_in(visitor, "data", 0.4, 0.6))
    x = pinned(visitor)
    axes = visitor.page.evaluate("document.querySelector('.live-panes').live.scene.axes")
    shown = [axis["centre"] + axis["scale"] * one for axis, one in zip(axes, x, strict=True)]
    visitor.wait("new URLSearchParams(location.search).has('view.point')", "the address")
    assert [float(one) for one in visitor.query["view.point"].split(",")] == pytest.approx(shown, rel=1e-5)
    assert len(summands(visitor)) == 4  # nobody knows the true density of these data


def hint(visitor):
    line = visitor.page.locator(".live-hint")
    return line.locator("span").inner_text() if line.is_visible() else None


def wait_for_hint(visitor, text):
    wait_for(lambda: hint(visitor) == text, f"the hint {text!r}, not {hint(visitor)!r}")


def test_the_hint_changes_with_what_was_done_and_one_click_ends_them_for_good(visit):
    visitor = visit()
    texts = visitor.page.evaluate(f"import({web.address('live/hints.js')!r}).then(({{ HINTS }}) => HINTS)")
    wait_for_hint(visitor, texts["play"])
    visitor.page.mouse.click(*place_in(visitor, "data", 0.5, 0.5))  # what is done already is never asked for
    pinned(visitor)
    visitor.press("Play")
    wait_for_hint(visitor, texts["time"])
    visitor.press("Pause")
    visitor.page.get_by_role("button", name="Play", exact=True).wait_for()  # or the reload may come before the click
    visitor.page.reload()
    visitor.wait("root.dataset.step !== ''", "the picture")
    wait_for_hint(visitor, texts["time"])
    visitor.page.get_by_role("button", name="No more hints").click()
    wait_for_hint(visitor, None)
    visitor.page.reload()
    visitor.wait("root.dataset.step !== ''", "the picture")
    visitor.press("1 step")
    visitor.wait_for_step(1)
    assert hint(visitor) is None
