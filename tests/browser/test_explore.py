"""*Explore* in a real browser: what it draws are the numbers of the core, and where it cannot draw, the server does."""

from urllib.parse import urlparse

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

import resflow_core as rf
from resflow_core import measure
from tests.browser.conftest import after_next_picture, box_at_rest, number, zoom_wheel
from tests.browser.drawn import SHARP, VIEW, density, nodes
from tests.browser.taken import rows_of, taken
from tests.served import wait_for

QUICK = "blocks=3&width=16&batch=64&data=checkerboard&seed=2"
BELIEVES = f"{QUICK}&log_det=truncated&log_det.n_terms=2&budget=0.95"
BLOCKS = 3
FLOAT32 = {"rel": 3e-3, "abs": 2e-6}  # what rounding of single precision makes of a density


def flow_of(visitor, tmp_path):
    """The flow of the page, by the file that it offers."""
    name, data = taken(visitor.page, "Weights of the flow")
    (tmp_path / name).write_bytes(data)
    return rf.load(tmp_path / name)


def density_of(flow, points):
    with torch.no_grad():
        return flow.log_prob(torch.tensor(points, dtype=torch.float32)).exp().numpy()


def series(visitor, table, name):
    """The numbers of a layer in a table that the page offers."""
    _, rows = rows_of(taken(visitor.page, table)[1])
    return np.array([[cell for cell in row[1:] if cell] for row in rows if row[0] == name], float)


def middle(visitor):
    box = box_at_rest(visitor.page.locator("[data-pane=data] .live-plot"))
    return box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"]


def test_what_is_drawn_is_the_flow_in_every_part_at_every_depth_and_beside_the_truth(visit, tmp_path):
    visitor = visit(BELIEVES, path="/")  # a link without a screen opens this one
    wait_for(lambda: urlparse(visitor.url).path == "/explore", "the address of Explore")
    page = visitor.page
    visitor.press("100 steps")
    visitor.wait(f"root.live.newest?.step === 100 && {SHARP}", "the sharp picture after 100 steps")
    visitor.wait("root.live.scene.readouts.every((one) => one.value && one.step === 100)", "the numbers")
    visitor.wait("root.live.scene.loss.step.at(-1) === 100", "the losses")
    after_next_picture(page)
    flow = flow_of(visitor, tmp_path)

    # The density in the whole window, and sharply in the part that is zoomed in on, with the same contours.
    table = series(visitor, "CSV: Data space", "density")
    assert table.shape == (200 * 200, 3)
    assert table[:, 2] == pytest.approx(density_of(flow, table[:, :2]), **FLOAT32)
    whole = visitor.range_of("data")
    levels = f"{VIEW}.panes.data.surface.picture.layers.find((one) => one.kind === 'contours').levels"
    of_window = page.evaluate(levels)
    area = np.prod([np.ptp(table[:, k]) / 199 for k in (0, 1)])
    for level, share in zip(of_window, (0.25, 0.5, 0.75, 0.95), strict=True):
        inside = table[table[:, 2] >= level["value"], 2].sum() / table[:, 2].sum()
        assert inside == pytest.approx(share, abs=0.01)
    assert table[:, 2].sum() * area == pytest.approx(1, abs=0.05)
    page.mouse.move(*middle(visitor))
    zoom_wheel(page, -1500)
    wait_for(lambda: visitor.range_of("data") != whole, "the wheel to zoom")
    visitor.wait("root.live.picture.density.part?.field.columns >= 200", "the part that is seen, sharp")
    after_next_picture(page)
    table = series(visitor, "CSV: Data space", "density")
    assert (table[:, 0].min(), table[:, 0].max()) == pytest.approx(visitor.range_of("data"), abs=1e-4)
    assert table[:, 2] == pytest.approx(density_of(flow, table[:, :2]), **FLOAT32)
    assert page.evaluate(levels) == of_window, "contours are those of the whole"
    page.mouse.dblclick(*middle(visitor))
    wait_for(lambda: visitor.range_of("data") == pytest.approx(whole), "the whole window")

    # Every stage has data and grid where the flow takes them.
    stages = measure.stages(flow.flow, rf.DATASETS["checkerboard"].held_out()[:500])
    titles = ["Data space, x", *(f"After block {k} of {BLOCKS}" for k in range(1, BLOCKS + 1)), "Latent space, z"]
    grids = []
    for stage, title in enumerate(titles):
        page.locator(".live-depth input").fill(str(stage))
        visitor.wait(f"root.live.depth.at === {stage}", "the depth")
        expect(page.locator("[data-view=latent]")).to_have_text(title)
        after_next_picture(page)
        assert series(visitor, f"CSV: {title}", "data") == pytest.approx(stages[stage], abs=2e-4)
        grids.append(series(visitor, f"CSV: {title}", "grid"))
    taken_there = measure.stages(flow.flow, torch.tensor(grids[0]).float())[-1]
    assert grids[-1] == pytest.approx(taken_there, abs=2e-4)

    # The difference to the truth, samples, and what training believes in.
    page.get_by_role("button", name="Difference", exact=True).click()
    visitor.wait("root.dataset.shows === 'difference'", "the difference")
    after_next_picture(page)
    table = series(visitor, "CSV: Difference", "difference")
    truth = rf.DATASETS["checkerboard"].truth.log_prob(torch.tensor(table[:, :2]).float()).exp().numpy()
    edge = np.abs(table[:, :2] % 2).min(1) < 1e-3  # at the very edge of a square a node is on either side of it
    expected = density_of(flow, table[:, :2]) - truth
    assert table[~edge, 2] == pytest.approx(expected[~edge], rel=3e-3, abs=2e-5)
    page.locator("[data-pane=data] [data-layer=samples]").click()
    visitor.wait("root.live.picture.samples", "samples")
    after_next_picture(page)
    samples = series(visitor, "CSV: Data space", "samples")
    z = measure.stages(flow.flow, torch.tensor(samples).float())[-1]
    assert len(samples) == 500 and z.mean(0) == pytest.approx([0, 0], abs=0.2)
    assert np.cov(z.T) == pytest.approx(np.eye(2), abs=0.25)
    page.locator("[data-pane=data] .live-plot").focus()
    page.keyboard.press("4")
    visitor.wait("root.dataset.shows === 'believed' && root.live.picture.believed?.field.columns >= 200", "the belief")
    after_next_picture(page)
    table = series(visitor, "CSV: Believed", "density that training believes in")
    evaluation = measure.evaluate(flow.flow, torch.tensor(table[:, :2]).float())
    expected = measure.believed_log_prob(evaluation, rf.Truncated(2)).exp().detach().numpy()
    assert table[:, 2] == pytest.approx(expected, rel=5e-3, abs=1e-5)
    assert np.abs(expected - density_of(flow, table[:, :2])).max() > 1e-3, "which is another density"

    # Tables of the numbers and of the loss, and a vector picture with the address.
    _, rows = rows_of(taken(page, "CSV: numbers")[1])
    numbers = {row[0]: row[1] for row in rows}
    for box in page.locator(".live-readout").all():
        label, value = (box.locator(f".live-{part}").inner_text() for part in ("label", "value"))
        assert float(numbers[label]) == number(value)
    loss = series(visitor, "CSV: Loss", "batch")
    assert loss[:, 0].tolist() == list(range(1, 101)) and loss[-20:, 1].mean() < loss[:5, 1].mean()
    name, data = taken(page, "SVG")
    assert name == "residual-flow-step-100.svg" and b"at=100" in data
    assert visitor.complaints == []


# A page whose worker fails, and which hears nothing by the channel.
FAILS = """window.Worker = class {
    postMessage() { throw new Error("The worker is gone."); }
    terminate() {}
};"""


def test_where_the_browser_cannot_draw_the_server_does_and_the_page_says_so(visit, tmp_path):
    def refused(socket):
        if urlparse(socket.url).path.endswith("/live"):
            socket.close(code=4403)
        else:
            socket.connect_to_server()

    visitor = visit(QUICK, picture=False, routed=refused)
    page = visitor.page
    page.add_init_script(FAILS)
    page.reload()
    visitor.wait("root.live?.picture?.step === 0 && root.live.newest.frame", "the server's picture")
    expect(page.locator(".live-plain")).to_contain_text("The worker is gone.")
    visitor.press("Play")
    page.locator(".live-slow").wait_for(state="visible")
    visitor.wait("root.live.picture.step > 10", "some steps")
    visitor.press("Pause")
    page.get_by_role("button", name="Play", exact=True).wait_for()
    visitor.wait("root.live.picture.step === root.live.scene.time.checkpoints.at(-1)", "where it rests")
    visitor.wait_for_script()
    flow = flow_of(visitor, tmp_path)
    _, window, found = density(visitor)
    expected = density_of(flow, nodes(window, found.shape)).reshape(found.shape)
    assert found == pytest.approx(expected, abs=1e-3 * float(expected.max()))
    page.locator(".live-depth input").fill("1")
    visitor.wait("root.live.picture.ways.first === 1 && root.dataset.depth === '1'", "a frame after block 1")
    stages = measure.stages(flow.flow, rf.DATASETS["checkerboard"].held_out()[:500])
    assert series(visitor, "CSV: After block 1", "data") == pytest.approx(stages[1], abs=2e-3)
    assert not [problem for problem in visitor.problems if problem.startswith("uncaught")]
