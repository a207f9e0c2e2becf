"""Screens with a flow of dense blocks: every view opens, and its numbers are those of the core."""

import numpy as np
import pytest

from app.engine.training.measurements.edits import Edits
from app.features.compare.arms import contenders
from app.features.compare.presets import PRESETS
from app.features.compare.settings import Baseline, Compare, Inside, Residual
from app.link import query_of, read_link
from app.setup import Setup
from resflow_core.flow import FlowConfig
from resflow_core.residual import BRANCHES
from resflow_core.training.parameter_count import parameter_count
from tests.app.pages import own, said
from tests.app.test_focus import SCREENS, opened, views

pytestmark = pytest.mark.usefixtures("local_engine")
DENSE = {"branch": "dense", "activation": "clipswish", "hidden_layers": "2", "width": "4"}


@pytest.mark.slow
@pytest.mark.parametrize(("screen", "view"), [(screen, view) for screen in SCREENS for view in views(screen)])
def test_every_view_opens(screen, view):
    page = opened(screen, view, **DENSE)
    assert own(page).setup.flow.branch == "dense"
    assert not page.error


@pytest.mark.thorough
def test_blocks_are_bounded_by_what_their_layers_and_weights_of_concatenation_allow():
    page = opened("lipschitz", "enforced", **DENSE)
    (arm,) = own(page).report.arms
    assert arm.blocks is not None and arm.blocks.layer_norms.shape == (2, 3)
    np.testing.assert_allclose(arm.blocks.lipschitz, FlowConfig().budget)
    assert (arm.blocks.layer_norms.prod(1) <= FlowConfig().budget * (1 + 1e-6)).all()
    assert (arm.blocks.largest_norm <= arm.blocks.layer_norms.prod(1) * (1 + 1e-6)).all()


@pytest.mark.thorough
def test_weights_are_pulled_by_link_alone_and_the_page_says_why():
    page = opened("lipschitz", "weights", **DENSE, **{"lipschitz.block": "1", "lipschitz.weights": "w2.1.6=3"})
    (arm,) = own(page).report.arms
    found = arm.found(Edits).found
    assert [layer.raw.shape for layer in found.layers] == [(4, 2), (4, 10), (2, 18)]
    assert found.layers[1].asked[0, 5] == 3
    assert any("One after the other" in text for text in said(page))


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("hidden_layers", [1, 2])
def test_other_insides_have_about_as_many_parameters(branch, hidden_layers):
    setup = Setup()
    bench = Compare(a=Residual(), b=Inside(branch, "clipswish", hidden_layers), c=Baseline("realnvp"))
    _, inside, _ = contenders(setup, bench)
    assert inside.arm.flow.branch == branch and inside.arm.flow.hidden_layers == hidden_layers
    assert inside.arm.flow.blocks == setup.flow.blocks and inside.is_exact
    assert inside.parameters == parameter_count(inside.arm.flow)
    assert abs(inside.excess) < 0.06
    assert inside.label.startswith(branch.capitalize())


def test_both_kinds_of_blocks_are_compared_with_the_same_activations():
    preset = PRESETS["dense"]
    found = contenders(Setup(data=preset.data, flow=preset.flow, train=preset.train), preset.bench)
    assert {(one.arm.flow.branch, one.arm.flow.activation) for one in found} == {
        (branch, activation) for branch in ("residual", "dense") for activation in ("clipswish", "sine")
    }
    assert len({one.arm.train for one in found}) == 1 and len({one.label for one in found}) == 4
    assert max(one.parameters for one in found) < 1.12 * min(one.parameters for one in found)


def test_a_link_says_which_insides():
    bench = Compare(a=Inside("dense", "sine", 3, 0.9), b=Inside("residual"))
    setup = Setup(flow=FlowConfig(branch="dense"))
    found = read_link(dict(query_of(setup, benches=[bench])))
    assert found.setup == setup and bench in found.benches
    assert not found.refused
