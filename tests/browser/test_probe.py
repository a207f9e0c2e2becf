"""A pinned point, in Chromium: its terms add up, are moved, taken along, and lead to a block's matrix."""

import contextlib
import io

import pytest

from tests.browser.conftest import SMALL, box_at_rest, number
from tests.browser.drawn import VIEW
from tests.browser.taken import rows_of, taken, texts_of
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


def test_a_point_is_pinned_moved_taken_along_and_its_block_checked_by_hand(visit):
    visitor = visit(f"{SMALL}&log_det=roulette")
    page, plane = visitor.page, visitor.page.locator("[data-pane=data] .live-plot")
    visitor.press("1 step")
    visitor.wait("root.live.newest?.step === 1 && root.live.picture?.step === 1", "a step")
    box = box_at_rest(plane)
    page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.3 * box["height"])
    x, found = pinned(visitor), at(visitor)
    low, high = visitor.range_of("data")
    assert x[0] == pytest.approx(low + 0.6 * (high - low), abs=0.2 * (high - low)) and x[1] > 0
    assert found["x"] == x and len(found["log_dets"]) == BLOCKS and len(found["path"]) == BLOCKS + 2
    total = found["log_normal"] + sum(found["log_dets"]) + found["actnorm"]
    assert total == pytest.approx(found["log_prob"], abs=1e-6)
    summands = page.locator(".live-summand b")
    wait_for(lambda: summands.count() == 5, "its terms, and the truth")
    log_prob, *terms, true = map(number, summands.all_inner_texts())
    assert sum(terms) == pytest.approx(log_prob, abs=0.002)
    assert log_prob == pytest.approx(found["log_prob"], abs=0.0006)
    assert true == pytest.approx(found["true_log_prob"], abs=0.0006)

    # By keys: taken away, pinned in the middle, moved, and found again by the address.
    plane.focus()
    page.keyboard.press("Escape")
    visitor.wait("root.dataset.probe === ''", "no point")
    page.keyboard.press("Enter")
    first = pinned(visitor)
    page.keyboard.press("Shift+ArrowRight")
    visitor.wait(f"{PROBE}.x[0] > {first[0]}", "the point to move")
    moved = pinned(visitor)
    assert moved[1] == first[1]
    wait_for(lambda: visitor.query.get("view.point"), "the point in the address")
    in_address = "parseFloat(new URLSearchParams(location.search).get('view.point'))"
    visitor.wait(f"Math.abs({in_address} - {moved[0]}) < 1e-3", "the address of the moved point")
    page.reload()
    assert pinned(visitor) == pytest.approx(moved, rel=1e-3)
    found = at(visitor)
    visitor.wait(f"root.live.picture.terms && root.live.picture.step === {found['step']}", "the picture of that step")
    visitor.wait_for_script()

    # Its terms are taken along, with what training estimates, and as a program.
    _, rows = rows_of(taken(page, "CSV: log p(x)")[1])
    terms = [found["actnorm"], *found["log_dets"], found["log_normal"], found["log_prob"]]
    assert [float(row[1]) for row in rows] == pytest.approx(terms, rel=1e-5, abs=1e-6)
    estimates = zip(found["means"], found["deviations"], strict=True)
    for row, pair in zip(rows[1:-2], estimates, strict=True):
        assert [float(cell) for cell in row[2:]] == pytest.approx(pair, rel=1e-6)
    words = " ".join(texts_of(taken(page, "SVG")[1]))
    assert f"log p(x) = {found['log_prob']:.3f}".replace("-", "\N{MINUS SIGN}") in words
    name, data = taken(page, "Python script: the chosen point")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(data, name, "exec"), {"__name__": "__main__"})
    log_prob = next(line for line in out.getvalue().splitlines() if line.startswith("log p(x):"))
    assert float(log_prob.split()[2]) == pytest.approx(found["log_prob"], abs=1e-4)

    # The strip below the planes chooses a block, whose matrix goes to be checked by hand.
    strip = box_at_rest(page.locator(".live-fall"))
    height = strip["y"] + strip["height"] / 2
    page.mouse.click(strip["x"] + 8 + (strip["width"] - 16) / (BLOCKS + 1), height)
    visitor.wait("root.dataset.depth === '1' && root.querySelectorAll('.live-matrix span').length", "the first block")
    shown = [number(text) for text in page.locator(".live-matrix span").all_inner_texts()]
    assert shown == pytest.approx(found["jacobians"][0], abs=0.0006)
    visitor.press("Check by hand")
    page.wait_for_url("**/estimator?**")
    matrix = wait_for(lambda: visitor.query.get("bench.matrix"), "the matrix in the address")
    assert [float(entry) for entry in matrix.split()] == pytest.approx(found["jacobians"][0], rel=1e-4, abs=1e-6)
    assert visitor.query["bench.view"] == "by_hand"
    assert visitor.complaints == []
