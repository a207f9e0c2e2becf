"""Every choice of *Compare flows* and every preset of the app, opened and trained: what is drawn of each flow are the
numbers of the core, of the weights that the app saves of it."""

import dataclasses
import io
import zipfile
from urllib.parse import urlencode

import numpy as np
import pytest
import safetensors.torch
import torch
from playwright.sync_api import expect

from app import screens  # noqa: F401 -- it fills the registries of links
from app.engine.training.weights import MOST_BYTES
from app.features.compare.arms import contenders
from app.features.compare.presets import PRESETS as COMPARISONS
from app.features.compare.settings import Baseline, Compare, Filled, Inside, Nobody, Residual
from app.link import query_of
from app.setup import Setup
from app.ui.presets import PRESETS
from resflow_core import measure
from resflow_core.activations import ACTIVATIONS
from resflow_core.api import flow_file
from resflow_core.baselines.zuko_flows import BASELINES
from resflow_core.flow import FlowConfig
from resflow_core.log_det import LOG_DETS
from resflow_core.residual import BRANCHES
from resflow_core.training.trainer import TrainConfig
from tests.covering import covering
from tests.served import wait_for

FORMULA = "=sin(pi*z)/4 + tanh(z/2)"
"""A typed activation, of the flows that take the sidebar's."""
SMALL = Setup(data="8gaussians", flow=FlowConfig(blocks=4, width=16, activation=FORMULA), train=TrainConfig(batch=64))
WORST, MEAN = 0.03, 0.003  # nats, of what browsers draw
ROUNDED = 1 / 254  # of the largest value, of what the server draws
ALIKE = 0.01  # of what is allowed
LEAST = -12.0  # nats: what is less is seen as nothing
PLACES = 24  # nodes a side that are looked at
FOUR = 4  # flows in a comparison

# Some nodes of the field that a pane shows, where its colours end, and the name of the flow that the browser draws, if
# it does: {values, x, y, end, flow}; null before there is one.
SEEN = """(box, places) => {
    const layer = box.surface?.picture?.layers.find(({ kind }) => kind === "field");
    if (!layer) return null;
    const { nodes, window: [[x0, x1], [y0, y1]], toValue, range } = layer;
    const along = (count) => Array.from({ length: places }, (_, k) => Math.round((k / (places - 1)) * (count - 1)));
    const [columns, rows] = [along(nodes.columns), along(nodes.rows)];
    return {
        values: rows.map((r) => columns.map((c) => toValue(nodes.values[r * nodes.columns + c]))),
        x: columns.map((c) => x0 + (c / (nodes.columns - 1)) * (x1 - x0)),
        y: rows.map((r) => y0 + (r / (nodes.rows - 1)) * (y1 - y0)),
        end: toValue(range[1]), flow: box.closest("figure").dataset.flow,
    };
}"""


def choices() -> list[Filled]:
    """All that can stand in a place."""
    inside = covering({"branch": [*BRANCHES], "activation": [*ACTIVATIONS], "hidden_layers": [1, 2]})
    return [
        *(Residual(kind()) for kind in LOG_DETS.values()),
        *(Inside(**row) for row in inside),
        *(Baseline(kind) for kind in BASELINES),
    ]


def comparisons() -> dict[str, tuple[Setup, Compare]]:
    """All choices, four at a time."""
    found, all_of_them = {}, choices()
    for start in range(0, len(all_of_them), FOUR):
        arms = [*all_of_them[start : start + FOUR], Nobody(), Nobody(), Nobody()]
        if isinstance(arms[1], Nobody):
            arms[1] = Residual()  # one flow alone is no comparison
        places = dict(zip("abcd", arms, strict=False))
        found[f"choices from {start}"] = SMALL, Compare(view="densities", seeds=1, steps=100, **places)
    return found


def ready_made() -> dict[str, tuple[Setup, Compare]]:
    """The presets of the screen, with one seed each."""
    return {
        name: (
            Setup(data=preset.data, flow=preset.flow, train=preset.train),
            dataclasses.replace(preset.bench, view="densities", seeds=1, steps=100),
        )
        for name, preset in COMPARISONS.items()
    }


def of_the_sidebar() -> dict[str, tuple[Setup, Compare]]:
    """The presets of a flow, beside the same flow by the exact log det."""
    return {
        f"sidebar {name}": (
            Setup(data="moons", flow=preset.flow, train=dataclasses.replace(preset.train, batch=64)),
            Compare(
                view="densities",
                a=Residual(preset.train.log_det, preset.flow.budget),
                b=Residual(budget=preset.flow.budget),
                c=Nobody(),
                seeds=1,
                steps=100,
            ),
        )
        for name, preset in PRESETS.items()
    }


CASES = comparisons() | ready_made() | of_the_sidebar()


def saved_flows(page, setup, bench):
    """The flows of a comparison, out of the archive that the menu has, in order."""
    page.get_by_role("button", name="Take it with you").first.click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Tables, curves and weights").locator("visible=true").click()
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    names = sorted(name for name in archive.namelist() if name.endswith(".safetensors"))
    flows = []
    for name, one in zip(names, contenders(setup, bench), strict=True):
        if isinstance(one.arm.flow, FlowConfig):
            flows.append(flow_file.from_bytes(archive.read(name)))
        else:
            flows.append(one.arm.flow.build(torch.Generator()))
            flows[-1].load_state_dict(safetensors.torch.load(archive.read(name)))
    return flows


def apart(flow, seen):
    """How far what is drawn is from the density of a flow, over what is allowed."""
    x, y = np.meshgrid(seen["x"], seen["y"])
    points = torch.from_numpy(np.stack([x, y], -1).reshape(-1, 2)).float()
    expected = measure.log_prob(flow, points).double().numpy().reshape(x.shape)
    found = np.array(seen["values"], float)
    if not seen["flow"]:
        return np.abs(found - np.minimum(np.exp(expected), seen["end"])).max() / (seen["end"] * ROUNDED)
    known = expected > LEAST
    off = np.abs(np.log(np.maximum(found[known], 1e-30)) - expected[known])
    return max(off.max() / WORST, off.mean() / MEAN)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_what_is_drawn_is_the_flow(name, visit):
    setup, bench = CASES[name]
    visitor = visit(urlencode(query_of(setup, benches=[bench])), path="/compare", picture=False)
    page = visitor.page
    expect(page.get_by_text("0 of 100 steps of every flow", exact=True)).to_be_visible()
    # What was chosen may be drawn within a page that is not tall enough to show it.
    page.set_viewport_size({"width": 1440, "height": 2400})
    for step in (1, 2, 3):
        visitor.press("1 step")
        expect(page.get_by_text(f"{step} of 100 steps of every flow")).to_be_visible()
    visitor.wait_for_script()
    flows, labels = saved_flows(page, setup, bench), [one.label for one in contenders(setup, bench)]
    figures = page.locator(".planes figure").filter(has=page.locator("canvas"))

    def pane(label):
        titled = page.locator("figcaption").get_by_text(label, exact=True)
        return figures.filter(has=titled).locator(".planes-plot").first

    for k, label in enumerate(labels):

        def agrees(flow=flows[k], label=label):
            seen = pane(label).evaluate(SEEN, PLACES)
            return seen is not None and apart(flow, seen) < 1

        wait_for(agrees, f"the density of {label} after 3 steps", seconds=60)
        # It is this flow and no other one, unless they cannot be told apart yet.
        seen = pane(label).evaluate(SEEN, PLACES)
        distances = [apart(flow, seen) for flow in flows]
        assert distances[k] <= min(distances) + ALIKE
        has_weights = measure.is_portable(flows[k]) and measure.folded_numbers(flows[k]).nbytes <= MOST_BYTES
        if bool(seen["flow"]) != has_weights:
            assert has_weights
            refused = page.locator(".planes[data-refused]").get_attribute("data-refused")
            assert "ms on this machine" in refused
    assert not [problem for problem in visitor.problems if "404" not in problem]
