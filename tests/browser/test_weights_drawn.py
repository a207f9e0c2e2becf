"""Chromium draws flows from their weights. What it draws is what the core says; where it cannot, the server draws."""

import json

import numpy as np
import pytest
import torch

import resflow_core as rf
from resflow_core import measure
from tests.browser.conftest import after_next_picture, box_at_rest, chromium_options, zoom_wheel
from tests.browser.drawn import RESTS, SHARP, VIEW, density, nodes
from tests.browser.test_live import note_drawn
from tests.browser.test_take import rows_of, taken
from tests.served import wait_for

QUICK = "blocks=3&width=16&batch=64&data=checkerboard&seed=2"
BLOCKS = 3
LARGE = "blocks=2&width=128&hidden_layers=2&batch=32"
FLOAT32 = {"rel": 3e-3, "abs": 2e-6}  # what rounding of single precision makes of a density


def uncaught(visitor):
    return [problem for problem in visitor.problems if problem.startswith("uncaught")]


def trained(visitor):
    """After 100 steps, with the sharp picture."""
    visitor.press("100 steps")
    visitor.wait(f"root.live.newest?.step === 100 && {SHARP}", "the sharp picture after 100 steps")
    after_next_picture(visitor.page)
    return visitor


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


def middle(visitor, pane="data"):
    box = box_at_rest(visitor.page.locator(f"[data-pane={pane}] .live-plot"))
    return box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"]


def slide_to(visitor, stage):
    visitor.page.locator(".live-depth input").fill(str(stage))
    visitor.wait(f"root.live.depth.at === {stage}", "the depth")


@pytest.fixture(scope="module")
def at_rest(server, chromium, tmp_path_factory):
    """A page whose flow has taken 100 steps, and that flow."""
    from tests.browser.test_live import opened

    visitor = trained(opened(f"{server.url}/explore?{QUICK}", chromium, 1440))
    yield visitor, flow_of(visitor, tmp_path_factory.mktemp("flow"))
    visitor.page.context.close()


def test_the_density_is_the_flows_in_the_whole_window_and_in_each_part_of_it(at_rest):
    visitor, flow = at_rest
    table = series(visitor, "CSV: Data space", "density")
    assert table.shape == (200 * 200, 3)
    assert table[:, 2] == pytest.approx(density_of(flow, table[:, :2]), **FLOAT32)
    whole = visitor.range_of("data")
    levels = f"{VIEW}.panes.data.surface.picture.layers.find((one) => one.kind === 'contours').levels"
    of_window = visitor.page.evaluate(levels)

    visitor.page.mouse.move(*middle(visitor))
    zoom_wheel(visitor.page, -1500)
    wait_for(lambda: visitor.range_of("data") != whole, "the wheel to zoom")
    visitor.wait("root.live.picture.density.part?.field.columns >= 200", "the part that is seen, sharp")
    after_next_picture(visitor.page)
    low, high = visitor.range_of("data")
    table = series(visitor, "CSV: Data space", "density")
    assert table.shape == (200 * 200, 3)
    assert (table[:, 0].min(), table[:, 0].max()) == pytest.approx((low, high), abs=1e-4)
    assert high - low < 0.2 * (whole[1] - whole[0])
    assert table[:, 2] == pytest.approx(density_of(flow, table[:, :2]), **FLOAT32)
    assert visitor.page.evaluate(levels) == of_window, "contours are those of the whole"
    visitor.page.mouse.dblclick(*middle(visitor))
    wait_for(lambda: visitor.range_of("data") == pytest.approx(whole), "the whole window")
    assert uncaught(visitor) == []


def test_every_stage_has_data_and_grid_where_the_flow_takes_them(at_rest):
    visitor, flow = at_rest
    points = rf.DATASETS["checkerboard"].held_out()[:500]
    stages = measure.stages(flow.flow, points)
    titles = ["Data space, x", *(f"After block {k} of {BLOCKS}" for k in range(1, BLOCKS + 1)), "Latent space, z"]
    for stage, title in enumerate(titles):
        slide_to(visitor, stage)
        after_next_picture(visitor.page)
        assert visitor.page.locator("[data-view=latent]").inner_text() == title
        table = f"CSV: {title}"
        assert series(visitor, table, "data") == pytest.approx(stages[stage], abs=2e-4)
        grid = series(visitor, table, "grid")
        assert len(grid) == 26 * 121
        if stage == 0:
            straight = grid
    assert grid == pytest.approx(measure.stages(flow.flow, torch.tensor(straight).float())[-1], abs=2e-4)
    assert uncaught(visitor) == []


# A glide takes a quarter of a second, in which a busy machine may draw once.
SLOW_CLOCK = """() => {
  const now = performance.now.bind(performance), begun = now();
  performance.now = () => begun + (now() - begun) / 10;
}"""


def test_points_glide_to_the_stage_that_is_chosen_without_the_server_but_for_who_wants_no_motion(at_rest):
    visitor, _ = at_rest
    for calm in (False, True):
        visitor.page.emulate_media(reduced_motion="reduce" if calm else "no-preference")
        slide_to(visitor, BLOCKS + 1)
        note_drawn(visitor, 2)
        visitor.page.context.set_offline(True)
        visitor.page.evaluate(SLOW_CLOCK)
        slide_to(visitor, 0)
        visitor.page.evaluate("delete performance.now")
        visitor.page.context.set_offline(False)
        drawn = visitor.page.evaluate("new Set(window.drawn).size")
        assert drawn == 1 if calm else drawn > 2
    visitor.page.emulate_media(reduced_motion="no-preference")
    slide_to(visitor, BLOCKS + 1)


def test_the_difference_is_the_flow_minus_the_truth_and_samples_follow_the_flow(at_rest):
    visitor, flow = at_rest
    visitor.page.get_by_role("button", name="Difference", exact=True).click()
    after_next_picture(visitor.page)
    table = series(visitor, "CSV: Difference", "difference")
    truth = rf.DATASETS["checkerboard"].truth.log_prob(torch.tensor(table[:, :2]).float()).exp().numpy()
    inside = truth > 0.5 * truth.max()
    # At the very edge of a square a node is on either side of it.
    edge = np.abs(table[:, :2] % 2).min(1) < 1e-3
    found, expected = table[:, 2], density_of(flow, table[:, :2]) - truth
    assert found[~edge] == pytest.approx(expected[~edge], rel=3e-3, abs=2e-5)
    assert inside.any() and (~inside).any()
    visitor.page.locator("[data-view=latent]").click()
    visitor.page.locator("[data-pane=data] [data-layer=samples]").click()
    visitor.wait("root.live.picture.samples", "samples")
    after_next_picture(visitor.page)
    samples = series(visitor, "CSV: Data space", "samples")
    z = measure.stages(flow.flow, torch.tensor(samples).float())[-1]
    assert len(samples) == 500
    # They are the inverse of draws of a standard normal.
    assert z.mean(0) == pytest.approx([0, 0], abs=0.2)
    assert np.cov(z.T) == pytest.approx(np.eye(2), abs=0.25)
    visitor.page.locator("[data-pane=data] [data-layer=samples]").click()
    assert uncaught(visitor) == []


def test_a_pinned_point_has_both_values_of_its_log_density(at_rest):
    visitor, flow = at_rest
    visitor.page.mouse.click(*middle(visitor))
    visitor.wait("root.dataset.probe === 'known' && root.live.probe.at && root.live.picture.terms", "both")
    wait_for(lambda: "by the server:" in visitor.page.locator(".live-by").inner_text(), "both in words")
    own, server, x = visitor.page.evaluate(f"""() => {{
        const {{ probe, picture }} = {VIEW};
        return [picture.terms.logProb, probe.at.log_prob, probe.x];
    }}""")
    exact = float(flow.log_prob(torch.tensor([x])).detach())
    assert own == pytest.approx(exact, abs=2e-4) and server == pytest.approx(exact, abs=2e-4)
    words = visitor.page.locator(".live-by").inner_text()
    assert words.startswith("Drawn by your browser; by the server: ")
    assert f"{server:.3f}".replace("-", "−") in words
    assert float(words.rsplit("difference ")[1].replace("−", "-")) == pytest.approx(abs(own - server), rel=0.6)
    visitor.page.keyboard.press("Escape")


def test_two_browsers_with_one_link_show_the_same(visit):
    found = []
    for _ in range(2):
        visitor = trained(visit(QUICK))
        visitor.page.locator("[data-pane=data] [data-layer=samples]").click()
        visitor.wait("root.live.picture.samples", "samples")
        found.append((*density(visitor), visitor.page.evaluate(f"[...{VIEW}.picture.samples]")))
    (step, window, one, samples), (other_step, other_window, other, other_samples) = found
    assert (step, window) == (other_step, other_window)
    assert one == pytest.approx(other, rel=1e-5, abs=1e-9)
    assert samples == pytest.approx(other_samples, abs=1e-4)


def test_what_biased_training_believes_in_is_drawn_beside_the_flow(visit, tmp_path):
    visitor = trained(visit(f"{QUICK}&log_det=truncated&log_det.n_terms=2&budget=0.95"))
    flow, estimator = flow_of(visitor, tmp_path), rf.Truncated(2)
    assert visitor.page.evaluate(f"{VIEW}.scene.belief.n_terms") == estimator.n_terms
    visitor.page.locator("[data-pane=data] .live-plot").focus()
    visitor.page.keyboard.press("4")
    visitor.wait("root.dataset.shows === 'believed' && root.live.picture.believed?.field.columns >= 200", "the belief")
    after_next_picture(visitor.page)
    table = series(visitor, "CSV: Believed", "density that training believes in")
    points = torch.tensor(table[:, :2]).float()
    evaluation = measure.evaluate(flow.flow, points)
    expected = measure.believed_log_prob(evaluation, estimator).exp().detach().numpy()
    assert table[:, 2] == pytest.approx(expected, rel=5e-3, abs=1e-5)
    assert np.abs(expected - density_of(flow, table[:, :2])).max() > 1e-3, "which is another density"
    label = visitor.page.locator("[data-pane=latent] .live-plot").get_attribute("aria-label")
    assert "training believes in" in label
    visitor.choose("Log det", "Exact")
    visitor.wait("root.dataset.shows === 'latent'", "the latent space, since there is no belief any more")
    assert not visitor.page.locator("[data-view=believed]").is_visible()
    assert uncaught(visitor) == []


def test_where_samples_cannot_be_had_the_picture_says_why(visit):
    visitor = visit(f"{QUICK}&constraint=off")
    visitor.press("100 steps")
    visitor.wait(f"root.live.newest?.step === 100 && {RESTS}", "the picture after 100 steps")
    visitor.page.locator("[data-pane=data] [data-layer=samples]").click()
    refusal = visitor.page.locator(".live-refusal")
    refusal.wait_for(state="visible")
    assert refusal.inner_text().startswith("No samples are drawn. Block")
    visitor.page.locator("[data-pane=data] [data-layer=samples]").click()
    refusal.wait_for(state="hidden")


def test_a_page_that_nobody_sees_is_sent_nothing_and_then_the_newest(visit):
    visitor = visit(QUICK)
    visitor.wait("root.dataset.channel === 'open'", "the channel")
    visitor.press("Play")
    visitor.wait("root.live.newest.step > 5 && root.live.scene.loss.step.length", "some steps and losses")
    visitor.page.evaluate("""() => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
        document.dispatchEvent(new Event("visibilitychange"));
    }""")

    def unseen():
        """The newest step of the losses, if nothing was drawn while it came to be 20 further."""
        step, trained = visitor.page.evaluate(f"[{VIEW}.newest.step, {VIEW}.scene.loss.step.at(-1)]")
        visitor.wait(f"root.live.scene.loss.step.at(-1) > {trained + 20}", "steps that nobody sees")
        return visitor.page.evaluate(f"{VIEW}.newest.step") == step and trained

    wait_for(unseen, "what was on its way")
    trained = unseen()
    assert trained
    visitor.page.evaluate("""() => {
        delete document.hidden;
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    visitor.wait(f"root.live.picture.step > {trained}", "the newest")
    assert uncaught(visitor) == []


def test_a_flow_with_too_many_weights_is_drawn_by_the_server(visit):
    visitor = visit(LARGE)
    visitor.press("Play")
    visitor.wait("root.live.picture?.step > 3", "some steps")
    assert visitor.page.evaluate(f"Boolean({VIEW}.newest.frame) && !{VIEW}.newest.weights")
    visitor.page.locator(".live-depth input").focus()
    visitor.page.keyboard.press("ArrowLeft")
    visitor.wait("root.live.picture.ways.first === 2 && root.dataset.depth === '2'", "frames after block 2")
    visitor.press("Pause")
    visitor.page.get_by_role("button", name="Play", exact=True).wait_for()
    visitor.wait("root.live.picture.step === root.live.scene.loss.step.at(-1)", "the frame of where it stands")
    visitor.page.locator(".live-depth input").fill("1")
    visitor.wait("root.live.picture.ways.first === 1 && root.dataset.depth === '1'", "a frame after block 1")
    assert uncaught(visitor) == []


LACKS = {
    "no workers": "delete window.Worker;",
    "a worker that is refused": "window.Worker = class { constructor() { throw new Error('refused'); } };",
}


@pytest.mark.parametrize("lacks", LACKS)
def test_without_workers_the_page_draws_by_itself(visit, chromium, server, lacks):
    visitor = visit(QUICK, picture=False)
    visitor.page.add_init_script(LACKS[lacks])
    visitor.page.reload()
    visitor.wait(SHARP, "the sharp picture")
    visitor.press("Play")
    visitor.wait("root.live.picture.step > 10 && root.live.newest.weights", "some steps, drawn here")
    assert visitor.page.evaluate(f"{VIEW}.refused") == ""
    assert uncaught(visitor) == []


def test_where_the_evaluation_fails_the_server_draws_and_the_page_says_so(visit):
    visitor = visit(QUICK, picture=False)
    visitor.page.add_init_script("""window.Worker = class {
        postMessage() { throw new Error("The worker is gone."); }
        terminate() {}
    };""")
    visitor.page.reload()
    visitor.wait("root.live?.picture?.step === 0 && root.live.newest.frame", "the server's picture")
    told = visitor.page.locator(".live-plain")
    assert told.inner_text() == "The server draws this flow. The worker is gone."
    visitor.press("Play")
    visitor.wait("root.live.picture.step > 10", "some steps")
    assert visitor.page.evaluate(f"Boolean({VIEW}.newest.frame)")
    assert uncaught(visitor) == []


def test_without_webgl_it_draws(chromium, server):
    options = chromium_options()
    with chromium.browser_type.launch(**options | {"args": [*options["args"], "--disable-3d-apis"]}) as browser:
        from tests.browser.test_live import opened

        visitor = opened(f"{server.url}/explore?{QUICK}", browser, 1440)
        trained(visitor)
        step, window, found = density(visitor)
        assert step == 100 and found.sum() > 0
        assert nodes(window, found.shape).shape == (200 * 200, 2)
        browser.contexts[0].close()


def test_what_the_page_says_first_is_how_it_draws(visit):
    said = []

    def through(route):
        upstream = route.connect_to_server()
        if route.url.endswith("/live"):

            def tell(text):
                said.append(text)
                upstream.send(text)

            route.on_message(tell)

    visitor = visit(QUICK, routed=through)
    visitor.wait("root.dataset.channel === 'open'", "the channel")
    wait_for(lambda: said, "its first words")
    words = json.loads(said[0])
    assert (words["weights"], words["hidden"]) == (True, False)
