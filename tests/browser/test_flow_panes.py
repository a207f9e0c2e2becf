"""Panes of flows that the browser draws from their weights, over the known flows of `flow_panes_app.py`."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from app.components.planes.panes import name_of
from app.quantise import TOP_QUANTILE
from resflow_core.measure import density_grid, log_prob
from tests.browser.conftest import MOST_MS, after_next_picture, box_at_rest, wait_for_script, zoom_wheel
from tests.browser.flow_panes_app import (
    COUNT,
    END,
    FIRST,
    NODES,
    SECOND,
    THIRD,
    WINDOW,
    flow,
    message,
    numbers,
    uncertified,
)
from tests.served import served, wait_for

SAMPLES = 3
WORST, MEAN = 0.03, 0.003  # nats
TINY = float(np.finfo(np.float32).tiny)  # what is less is zero where a process flushes denormals
SHARP = 120  # nodes a side, at least, of a picture that stays
PLAIN = "JSON.parse(JSON.stringify(layer, (key, v) => ArrayBuffer.isView(v) ? [...v] : v))"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with served(Path(__file__).with_name("flow_panes_app.py"), tmp_path_factory.mktemp("flows") / "log") as url:
        yield url


@pytest.fixture
def see(address, chromium):
    pages = []

    def enter(query: str = "", **context):
        page = chromium.new_context(viewport={"width": 1440, "height": 900}, **context).new_page()
        page.set_default_timeout(MOST_MS)
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(f"uncaught: {error}"))
        page.goto(f"{address}/?{query}")
        pages.append(page)
        return page

    yield enter
    for page in pages:
        assert page.problems == []
        page.context.close()


def figure(page, pane):
    return page.locator(".planes figure").nth(pane)


def shows(page, pane):
    """By what name it calls the flow that it shows, and with how many nodes a side; None before there is anything."""
    told = figure(page, pane).evaluate("figure => [figure.dataset.flow, Number(figure.dataset.nodes)]")
    return told if told[0] else None


def wait_until_it_shows(page, pane, weights, nodes=0):
    wait_for(
        lambda: (told := shows(page, pane)) and told[0] == name_of(weights) and told[1] >= nodes,
        f"pane {pane} to show its flow on {nodes} nodes a side",
    )


def layer(page, pane, kind):
    code = f"({{surface: {{picture}}}}) => picture.layers.filter(layer => layer.kind === '{kind}')"
    (found,) = figure(page, pane).locator(".planes-plot").evaluate(f"{code}.map(layer => {PLAIN})")
    return found


def drawn_density(page, pane):
    """The numbers at the nodes, (n, n), the part of the plane that they cover, and where colours end."""
    field = layer(page, pane, "field")
    nodes = field["nodes"]
    values = np.array([np.nan if v is None else v for v in nodes["values"]], float)
    return values.reshape(nodes["rows"], nodes["columns"]), field["window"], field["range"][1]


def assert_is_density(page, pane, of):
    """The numbers that are drawn are the core's, at the same nodes."""
    found, window, _ = drawn_density(page, pane)
    x, y = (np.linspace(*side, found.shape[0]) for side in window)
    points = torch.from_numpy(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)).float()
    expected = log_prob(of, points).numpy().reshape(found.shape)
    seen = expected > -20  # float32 has little of what is less
    apart = np.abs(np.log(found[seen]) - expected[seen])
    assert apart.max() < WORST and apart.mean() < MEAN
    assert (found[~seen] < 1e-8).all()


def test_the_numbers_that_are_drawn_are_those_of_the_core_and_the_ends_of_colours_are_shared(see):
    page = see()
    for pane, k in ((FIRST, FIRST), (SECOND, SECOND)):
        wait_until_it_shows(page, pane, message(k), SHARP)
        assert_is_density(page, pane, flow(k))
        assert drawn_density(page, pane)[1] == [list(side) for side in WINDOW]
    found, _, end = drawn_density(page, THIRD)
    np.testing.assert_allclose(found, numbers(), rtol=1e-6, atol=TINY)
    tops = [np.quantile(density_grid(flow(k), WINDOW, 60), TOP_QUANTILE) for k in (FIRST, SECOND)]
    top = max(*tops, np.quantile(numbers(), TOP_QUANTILE))
    assert [drawn_density(page, pane)[2] for pane in (FIRST, SECOND, THIRD)] == pytest.approx([top] * 3, rel=0.02)
    assert end == drawn_density(page, FIRST)[2]

    page.get_by_role("button", name="next").click()
    for pane, k in ((FIRST, 4), (SECOND, 5)):
        wait_until_it_shows(page, pane, message(k), SHARP)
        assert_is_density(page, pane, flow(k))


def test_colours_end_where_the_page_says(see):
    page = see("truth")
    wait_until_it_shows(page, FIRST, message(FIRST), SHARP)
    assert drawn_density(page, FIRST)[2] == END
    assert_is_density(page, FIRST, flow(FIRST))  # what is above is cut in colours alone


def test_a_zoom_is_drawn_by_the_flow_itself_in_all_panes_of_the_plane(see):
    page = see()
    wait_until_it_shows(page, SECOND, message(SECOND), SHARP)
    box = figure(page, FIRST).locator(".planes-plot")
    at = box_at_rest(box)
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + 60)
    before = drawn_density(page, FIRST)[2]
    for _ in range(3):
        zoom_wheel(page, -300)

    def ranges(pane):
        code = "({surface: {picture}}) => [picture.x.range, picture.y.range]"
        return figure(page, pane).locator(".planes-plot").evaluate(code)

    wait_for(lambda: ranges(FIRST)[0][1] - ranges(FIRST)[0][0] < 3, "the zoom")
    for pane in (FIRST, SECOND):
        wait_for(
            lambda pane=pane: (found := drawn_density(page, pane))[1] == ranges(pane) and len(found[0]) >= SHARP,
            "the part of the plane that is seen, sharply",
        )
        assert_is_density(page, pane, flow(pane))
        assert drawn_density(page, pane)[2] == before  # colours mean the same as before
    # Beyond the window there is the flow, too.
    for _ in range(8):
        zoom_wheel(page, 300)
    wait_for(lambda: ranges(FIRST)[0][0] < WINDOW[0][0] - 2, "the zoom")
    wait_for(lambda: drawn_density(page, FIRST)[1] == ranges(FIRST), "what is beyond the window")
    assert_is_density(page, FIRST, flow(FIRST))


@torch.no_grad()
def test_samples_are_images_of_the_same_noise_and_are_refused_without_a_certificate(see):
    page, noise = see(), []
    for k in (FIRST, 4):
        wait_until_it_shows(page, SAMPLES, message(k))
        points = layer(page, SAMPLES, "points")
        x = torch.tensor([points["x"], points["y"]]).T
        assert x.shape == (COUNT, 2)
        noise.append(flow(k)(x).numpy())
        page.get_by_role("button", name="next").click()
    np.testing.assert_allclose(*noise, atol=1e-3)
    assert np.abs(noise[0].mean(0)).max() < 0.25 and noise[0].std(0) == pytest.approx([1, 1], abs=0.15)

    beyond = page.locator(".planes figure").last
    beyond.scroll_into_view_if_needed()
    note = beyond.locator(".planes-note")
    expect(note).to_contain_text("certified bound 1.25")
    assert "certified bound 1.25" in beyond.locator(".planes-plot").get_attribute("aria-label")
    assert figure(page, SAMPLES).locator(".planes-note").inner_text() == "a note"


def test_what_nobody_sees_is_not_computed_while_flows_train(see):
    page = see()
    wait_until_it_shows(page, SAMPLES, message(FIRST))
    page.get_by_text("moves").click()
    page.get_by_role("button", name="next").click()
    wait_until_it_shows(page, FIRST, message(4))
    after_next_picture(page)
    assert shows(page, FIRST)[1] < SHARP  # nothing is sharp while it moves
    away = page.locator(".planes figure").last
    # It still shows what it showed at rest: it may be printed.
    assert away.get_attribute("data-flow") in ("", name_of(uncertified(FIRST)))
    away.scroll_into_view_if_needed()
    now = name_of(uncertified(4))
    wait_for(lambda: away.get_attribute("data-flow") == now, "the pane that is seen now")

    # Nor in a page in the background.
    page.evaluate(
        """Object.defineProperty(document, "hidden", { configurable: true, get: () => window.isAway });
           window.isAway = true; document.dispatchEvent(new Event("visibilitychange"));"""
    )
    page.evaluate("document.querySelector('.stMain').scrollTo(0, 0)")
    page.get_by_role("button", name="next").click()
    wait_for_script(page)
    page.wait_for_timeout(500)
    assert shows(page, FIRST)[0] == name_of(message(4))
    page.evaluate("window.isAway = false; document.dispatchEvent(new Event('visibilitychange'))")
    wait_until_it_shows(page, FIRST, message(8))


def test_numbers_and_pictures_that_are_taken_are_of_the_flow(see):
    page = see()
    wait_until_it_shows(page, SECOND, message(SECOND), SHARP)
    page.locator(".take-open").first.click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="CSV: First").click()
    rows = list(csv.reader(io.StringIO(Path(saved.value.path()).read_text(encoding="utf-8"))))
    assert rows[0] == ["series", "x₁", "x₂", "density (per unit area)"]
    table = np.array([[float(cell) for cell in row[1:]] for row in rows[1:]])
    assert len(table) >= SHARP**2
    expected = log_prob(flow(FIRST), torch.from_numpy(table[:, :2]).float()).numpy()
    seen = expected > -20
    assert np.abs(np.log(table[seen, 2]) - expected[seen]).max() < WORST

    # Also of a pane that nobody has scrolled to.
    page.locator(".take-open").last.evaluate("button => button.click()")
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="SVG").last.evaluate("item => item.click()")
    assert "certified bound 1.25" in Path(saved.value.path()).read_text(encoding="utf-8")


def test_the_value_at_the_pointer_is_the_density_there(see):
    page = see()
    wait_until_it_shows(page, FIRST, message(FIRST), SHARP)
    box = figure(page, FIRST).locator(".planes-plot")
    corner = box_at_rest(box)
    left, top = box.evaluate("({surface: {at}}) => [at.x(0.5), at.y(0.5)]")
    page.mouse.move(corner["x"] + left, corner["y"] + top)
    tip = page.locator(".canvas-tip:not([hidden])")
    expect(tip).to_contain_text("density")
    expected = log_prob(flow(FIRST), torch.tensor([[0.5, 0.5]])).exp().item()
    assert float(tip.inner_text().split()[1]) == pytest.approx(expected, rel=0.1)


def test_a_browser_that_cannot_draw_a_flow_says_so_and_gets_numbers(see):
    page = see()
    wait_until_it_shows(page, FIRST, message(FIRST), SHARP)
    page.get_by_text("odd").click()
    expect(page.get_by_text("refused 1 times")).to_be_visible()
    wait_for(lambda: drawn_density(page, FIRST)[0].shape == (NODES, NODES), "the numbers of the server")
    np.testing.assert_allclose(drawn_density(page, FIRST)[0], numbers(), rtol=1e-6, atol=TINY)
    page.wait_for_timeout(500)
    expect(page.get_by_text("refused 1 times")).to_be_visible()  # once
