"""A block edited by hand: against a copy that is changed by hand, NumPy's singular values, and autograd in float64."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
import torch

from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import NORM_CHAINS, Soft
from resflow_core.measure import Change, Edited, edited_block, layer_shapes
from resflow_core.measure.edits import misfit
from resflow_core.measure.inverse_iterations import banach
from resflow_core.measure.inversion import FOLD_GRID
from resflow_core.measure.invertibility import Regime
from resflow_core.norms.constraints import Bjorck, Hard, Off, Power
from tests.core.oracles import autograd_jacobian, jacobians_of_rows, numpy_log_abs_det, points, seeded

X = DATASETS["moons"].held_out()[:200]
CHANGES = (
    Change("weight", 0, 3, 3.0, 1),
    Change("row", 0, 3, 0.5),
    Change("row", 1, 0, 2.0),
    Change("bias", 0, 2, -0.7),
    Change("weight", 1, 1, -1.5, 5),
)


def built(**config):
    flow = FlowConfig(**{"blocks": 3, "width": 8} | config).build(seeded(4))
    flow.initialize(X)
    return flow


def by_hand(flow, block=1, scale=1.0):
    """The same as `CHANGES`, written out."""
    other = copy.deepcopy(flow)
    branch = other.blocks[block].branch
    first, second = branch.linears[0], branch.linears[1]
    with torch.no_grad():
        first.raw[3] *= 0.5
        first.raw[3, 1] = 3.0
        second.raw[0] *= 2.0
        second.raw[1, 5] = -1.5
        first.bias[2] = -0.7
    branch.scale = scale
    return other


@pytest.mark.thorough
@pytest.mark.parametrize("scale", [1.0, 2.5])
@pytest.mark.parametrize(
    "config",
    [{}, {"hidden_layers": 2}, {"constraint": Hard()}, {"constraint": Off()}, {"activation": "clipswish"}],
    ids=str,
)
def test_density_and_jacobians_are_those_of_a_copy_changed_by_hand(config, scale):
    flow = built(**config)
    kept = {name: tensor.clone() for name, tensor in flow.state_dict().items()}
    edited, expected, x = Edited(1, scale, CHANGES).of(flow).double(), by_hand(flow, 1, scale).double(), points(20, 2)
    for a, b in zip(edited.parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b)
    jacobian = autograd_jacobian(expected, x)
    with torch.no_grad():
        z = expected(x)
        log_prob = -0.5 * z.square().sum(1).numpy() - np.log(2 * np.pi) + numpy_log_abs_det(jacobian)
        np.testing.assert_allclose(edited.log_prob(x), log_prob, atol=1e-9)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in flow.state_dict().items())
    assert all(block.branch.scale == 1.0 for block in flow.blocks)
    # It differs from the trained flow, so the equality above says something.
    assert (flow.double().log_prob(x) - torch.from_numpy(log_prob)).abs().max() > 1e-3


def test_a_weight_that_is_set_keeps_its_value_in_a_row_that_is_scaled_in_any_order():
    flow = built()
    raws = [
        Edited(1, 1.0, changes).of(flow).blocks[1].branch.linears[0].raw.detach()
        for changes in (CHANGES, CHANGES[::-1])
    ]
    assert torch.equal(*raws) and raws[0][3, 1] == 3.0
    assert raws[0][3, 0] == 0.5 * flow.blocks[1].branch.linears[0].raw[3, 0]


@pytest.mark.parametrize("constraint", [Soft(), Hard(), Bjorck(), Power(), Off()], ids=lambda c: type(c).__name__)
@pytest.mark.thorough
def test_norms_before_and_after_the_constraint_are_numpys(constraint):
    flow = built(constraint=constraint)
    found = edited_block(flow, Edited(1, 2.0, CHANGES), 1, X)
    expected = by_hand(flow, 1, 2.0)
    for k, layer in enumerate(found.layers):
        old, new = (of.blocks[1].branch.linears[k] for of in (flow, expected))
        np.testing.assert_array_equal(layer.raw, old.raw.detach().numpy())
        np.testing.assert_array_equal(layer.asked, new.raw.detach().numpy())
        np.testing.assert_array_equal(layer.bias_now, new.bias.detach().numpy())
        with torch.no_grad():
            np.testing.assert_allclose(layer.left, new.double().weight(), atol=1e-12)
        matrices = (layer.raw, layer.asked, layer.used, layer.left)
        np.testing.assert_allclose(layer.norms, [np.linalg.norm(m, 2) for m in matrices], rtol=3e-5)
        assert layer.cap == pytest.approx(0.99**0.5)
        if constraint.certifies:
            assert np.linalg.norm(layer.left, 2) <= layer.cap
    assert found.certified == pytest.approx(
        [np.prod([np.linalg.norm(layer.used, 2) for layer in found.layers]),
         2 * np.prod([np.linalg.norm(layer.left, 2) for layer in found.layers])], rel=1e-4
    )  # fmt: skip


def test_the_soft_constraint_takes_back_what_it_says():
    """W * min(1, c / sigma(W)), by NumPy's singular values."""
    flow = built()
    layer = edited_block(flow, Edited(1, 1.0, (Change("weight", 0, 3, 3.0, 1),)), 1, X).layers[0]
    asked = flow.blocks[1].branch.linears[0].raw.detach().double().numpy().copy()
    asked[3, 1] = 3.0
    factor = min(1, layer.cap / np.linalg.norm(asked, 2))
    assert factor < 0.5
    np.testing.assert_allclose(layer.left, factor * asked, rtol=3e-5)
    assert layer.factor == pytest.approx(factor, rel=3e-5)
    assert layer.left[3, 1] < 1 < layer.asked[3, 1]


@pytest.mark.parametrize("chain", NORM_CHAINS)
def test_in_other_norms_each_layer_is_measured_in_its_own(chain):
    flow = built(norms=chain)
    found = edited_block(flow, Edited(1, 1.0, CHANGES), 1, X)
    branch = Edited(1, 1.0, CHANGES).of(flow).double().blocks[1].branch
    for layer, norm in zip(found.layers, branch.norms, strict=True):
        assert layer.norms[1] == pytest.approx(float(norm(torch.from_numpy(layer.asked)[None])), rel=1e-9)
        assert layer.norms[3] <= layer.cap * (1 + 1e-9)
    assert found.order == branch.orders[0]


@pytest.mark.thorough
@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_the_block_is_bent_as_the_copy_and_its_certificate_is_that_of_autograd(scale):
    flow = built(constraint=Off())
    found = edited_block(flow, Edited(1, scale, CHANGES), 1, X)
    changed = by_hand(flow, 1, scale).double().blocks[1]  # set in single precision, as the flow is
    trained = flow.double().blocks[1]
    nodes = measure.grid_points(found.window, FOLD_GRID).double()
    axes = [np.linspace(*axis, FOLD_GRID) for axis in found.window]
    np.testing.assert_allclose(nodes, np.stack(np.meshgrid(*axes), -1).reshape(-1, 2), atol=1e-6)
    with torch.no_grad():
        np.testing.assert_allclose(found.before.reshape(-1, 2), trained(nodes), atol=1e-9)
        np.testing.assert_allclose(found.after.reshape(-1, 2), changed(nodes), atol=1e-9)
    jacobian = jacobians_of_rows(changed, nodes).numpy()
    np.testing.assert_allclose(jacobian[::500], autograd_jacobian(changed, nodes[::500]), atol=1e-12)
    dets = np.linalg.det(jacobian)
    assert found.smallest_det == pytest.approx(dets.min(), abs=1e-9)
    values = np.linalg.eigvals((jacobian - np.eye(2)) / scale)
    real = values.real[np.abs(values.imag) < 1e-12]
    assert found.folds_at == pytest.approx(-1 / real.min(), rel=1e-6)
    assert (found.regime is Regime.FOLDED) == (dets.min() <= 0)
    # Banach's iteration, written out.
    z = measure.grid_points(found.window, 16).double()
    with torch.no_grad():
        for n, x in zip(range(301), banach(changed.branch, z), strict=False):
            arrived = (z - changed(x)).norm(dim=1) <= 1e-6
            if n == found.most_steps and not found.late:
                assert bool(arrived.all())
                break
            if n == found.most_steps - 1 and not found.late:
                assert not bool(arrived.all())
        else:
            assert found.late > 0


def test_without_an_edit_all_is_as_trained():
    flow = built()
    for edited in (None, Edited(0, 3.0, CHANGES)):  # of another block
        found = edited_block(flow, edited, 1, X)
        # How arrays lie in memory decides how the last bit is rounded, on some processors.
        np.testing.assert_allclose(found.before, found.after, rtol=1e-14, atol=1e-15)
        assert found.certified[0] == found.certified[1] and found.scale == 1.0
        assert all((layer.raw == layer.asked).all() and (layer.used == layer.left).all() for layer in found.layers)


def test_an_inversion_of_an_edited_flow_has_the_windows_of_the_trained_one():
    flow, edited = built(), Edited(1, 2.0, CHANGES)
    altered = dataclasses.replace(edited, scale=1.0).of(flow)
    found = measure.inversion(flow, X, 1, 2.0, None, "banach", altered)
    block = edited_block(flow, edited, 1, X)
    assert found.window == block.window
    np.testing.assert_allclose(found.image, block.after, atol=1e-12)
    assert found.det.min() == pytest.approx(block.smallest_det)
    assert found.breaking[1] == pytest.approx(block.folds_at)
    assert found.regime == block.regime


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"width": 8}, ((8, 2), (2, 8))),
        ({"width": 5, "hidden_layers": 3}, ((5, 2), (5, 5), (5, 5), (2, 5))),
        ({"width": 6, "activation": "clipswish"}, ((6, 4), (2, 12))),
    ],
)
def test_shapes_are_those_of_the_layers(config, expected):
    flow = built(**config)
    assert layer_shapes(flow.config) == expected
    assert tuple(tuple(linear.raw.shape) for linear in flow.blocks[0].branch.linears) == expected


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (Change("weight", 2, 0, 1.0, 0), ["3", "2"]),
        (Change("weight", 0, 8, 1.0, 0), ["9", "8"]),
        (Change("weight", 0, 0, 1.0, 2), ["3", "2"]),
        (Change("bias", 0, -1, 1.0), ["0", "8"]),
        (Change("row", -1, 0, 1.0), ["0", "2"]),
    ],
)
def test_what_is_not_there_is_named_and_refused(change, named):
    flow = built()
    why = misfit(change, layer_shapes(flow.config))
    assert set(named) <= set(why.replace(":", " ").replace(".", " ").split())
    edited = Edited(1, 1.0, (change,))
    assert not edited.fits(flow.config)
    with pytest.raises(ValueError, match="use a block, layers"):
        edited.of(flow)
    assert not Edited(3).fits(flow.config) and Edited(2).fits(flow.config)


def test_an_edit_is_a_value():
    edited = Edited(1, 2.0, CHANGES)
    assert pickle.loads(pickle.dumps(edited)) == edited and hash(edited) == hash(Edited(1, 2.0, CHANGES))
