"""The Compare screen in a real browser: a comparison is played to its end, and looked at in every way."""

import csv
import io
import re
import zipfile

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

import resflow_core as rf
from app.features.compare.settings import PICTURES
from resflow_core import measure
from resflow_core.api import flow_file
from tests.browser.conftest import box_at_rest, zoom_wheel
from tests.browser.taken import taken
from tests.served import wait_for

# The field of a pane: {of: [window, columns and rows], values, top}; null before there is one.
FIELD = """box => {
    const layer = box.surface?.picture?.layers.find(({ kind }) => kind === "field");
    if (!layer) return null;
    const { nodes: { values, rows, columns }, window, range, toValue } = layer;
    return { of: [window, [columns, rows]], values: Array.from(values, toValue), top: toValue(range[1]) };
}"""
# The preset of the i-ResNet that believes itself, in small.
QUERY = (
    "data=8gaussians&blocks=2&width=8&budget=0.97&batch=50&compare.a=residual&compare.b=residual"
    "&compare.b.log_det=truncated&compare.seeds=1&compare.steps=100"
)
EXACT, CUT = "Residual, exact", "i-ResNet, 5 terms"


def titles(visitor, row):
    """Of the panes in a row of them that are all drawn."""
    root = visitor.page.locator(".planes").nth(row)
    if not root.count():
        return []
    found = root.locator("figcaption").all_inner_texts()
    plots = root.locator(".planes-plot").evaluate_all("boxes => boxes.filter(box => box.surface?.picture).length")
    return found if plots == len(found) else []


def see(visitor, row, wanted):
    wait_for(lambda: titles(visitor, row) == wanted, f"{wanted}, not {titles(visitor, row)}; {visitor.problems}")


def trace(visitor, row, pane, name):
    """The points of a curve by its name, (2, n); None where there is none."""
    plots = visitor.page.locator(".planes").nth(row).locator(".planes-plot")
    return plots.nth(pane).evaluate(
        "(box, name) => (t => t && [[...t.x], [...t.y]])(box.surface?.picture?.layers.find(t => t.name === name))", name
    )


def drawn_dots(visitor, pane, name):
    """500 points of a flow, (2, 500); None before they are drawn."""
    found = trace(visitor, PICTURED, pane, name)
    return found if found and len(found[0]) == 500 else None


def apart(visitor, pane, flow):
    """How far what a pane draws is from the density of a flow, in nats where there is some."""
    plot = visitor.page.locator(".planes").nth(PICTURED).locator(".planes-plot").nth(pane)
    field = plot.evaluate(FIELD)
    if field is None:
        return np.inf
    x, y = np.meshgrid(*(np.linspace(*side, count) for side, count in zip(*field["of"], strict=True)))
    points = torch.from_numpy(np.stack([x.ravel(), y.ravel()], 1)).float()
    expected = measure.log_prob(flow, points).numpy()
    seen = expected > np.log(field["top"] / 20)
    return np.abs(np.log(np.maximum(np.array(field["values"])[seen], 1e-30)) - expected[seen]).max()


ANSWER, PICTURED = range(2)  # rows of panes; the other charts are in the third
BELIEF = ["Believed and true loss"]
CHARTS = [
    "Bias against the number of terms",
    "Fit against steps",
    "Fit against seconds of training",
]


def test_a_comparison_is_played_to_its_end_and_looked_at_in_every_way(visit, tmp_path):
    visitor = visit(f"{QUERY}&compare.c=none&compare.view=spectra", path="/compare", picture=False)
    page = visitor.page
    for row, wanted in enumerate((BELIEF, [EXACT, CUT], CHARTS)):
        see(visitor, row, wanted)
    expect(page.get_by_text("0 of 100 steps of every flow", exact=True)).to_be_visible()
    visitor.press("Play")
    expect(page.get_by_text("100 of 100 steps of every flow: done.")).to_be_visible()
    wait_for(lambda: (of := trace(visitor, ANSWER, 0, f"{CUT}: truth")) and of[0][-1:] == [100], "the last measurement")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    truth, belief = (trace(visitor, ANSWER, 0, f"{CUT}: {name}") for name in ("truth", "belief"))
    assert truth[0] == belief[0] == sorted(truth[0]) and truth[1][-1] < truth[1][0]
    expect(page.get_by_text(re.compile("Too few seeds to decide.*after 100 steps")).first).to_be_visible()

    for name, wanted in (
        ("densities", ["Truth", EXACT, CUT]),
        ("samples", ["Data", EXACT, CUT]),
        ("layers", ["Truth", EXACT, CUT]),
        ("spectra", [EXACT, CUT]),
    ):
        visitor.wait_for_script()  # or what is clicked may be built anew
        page.get_by_text(PICTURES[name].title, exact=True).click()
        for row, titles_there in enumerate((BELIEF, wanted, CHARTS)):
            see(visitor, row, titles_there)
        if name == "samples":
            wait_for(lambda: (of := trace(visitor, PICTURED, 2, CUT)) and len(of[0]) == 500, "samples of the last flow")
        if name == "layers":
            expect(page.locator("[data-testid=stMain] .katex-display")).to_have_count(2)

    # What is drawn of each flow are the numbers of the core, of the weights that are saved of it.
    visitor.wait_for_script()
    page.get_by_text(PICTURES["densities"].title, exact=True).click()
    see(visitor, PICTURED, ["Truth", EXACT, CUT])
    visitor.wait_for_script()
    name, data = taken(page, "Tables, curves and weights")
    assert name == "compare.zip"
    archive = zipfile.ZipFile(io.BytesIO(data))
    flows = [flow_file.from_bytes(archive.read(one)) for one in sorted(archive.namelist()) if "weights/" in one]
    assert len(flows) == 2
    for pane, flow in enumerate(flows, 1):
        wait_for(lambda pane=pane, flow=flow: apart(visitor, pane, flow) < 0.03, f"the density of flow {pane}")
        others = [apart(visitor, pane, other) for other in flows if other is not flow]
        assert min(others) > 0.03, "it is this flow and no other one"
    # A zoom is drawn by the flow itself, and so are samples.
    plot = page.locator(".planes").nth(PICTURED).locator(".planes-plot").nth(1)
    plot.scroll_into_view_if_needed()
    box, whole = box_at_rest(plot), plot.evaluate(FIELD)["of"][0]
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
    zoom_wheel(page, -300)
    for pane, flow in enumerate(flows, 1):
        seen = page.locator(".planes").nth(PICTURED).locator(".planes-plot").nth(pane)
        wait_for(lambda seen=seen: np.ptp(seen.evaluate(FIELD)["of"][0][0]) < 0.9 * np.ptp(whole[0]), "a zoom")
        wait_for(lambda pane=pane, flow=flow: apart(visitor, pane, flow) < 0.03, f"a part of the density {pane}")
    visitor.wait_for_script()
    page.get_by_text(PICTURES["samples"].title, exact=True).click()
    see(visitor, PICTURED, ["Data", EXACT, CUT])
    for pane, (name, flow) in enumerate(zip((EXACT, CUT), flows, strict=True), 1):
        x = wait_for(lambda pane=pane, name=name: drawn_dots(visitor, pane, name), f"samples of {name}")
        z = measure.stages(flow, torch.tensor(x).T.float())[-1]
        assert z.mean(0) == pytest.approx([0, 0], abs=0.25) and z.std(0) == pytest.approx([1, 1], abs=0.2)
    rows = list(csv.DictReader(archive.read("compare/table.csv").decode().splitlines()))
    x = rf.DATASETS["8gaussians"].held_out()
    losses = [-float(flow.log_prob(x).detach().mean()) for flow in flows]
    assert [float(row["nll"]) for row in rows] == pytest.approx(losses, abs=0.002)
    assert visitor.complaints == []
