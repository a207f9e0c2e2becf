"""A block edited by hand: against a copy that is changed by hand, NumPy's singular values, and autograd in float64."""

import copy

import numpy as np
import pytest
import torch

from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import Soft
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


@pytest.mark.parametrize(
    ("config", "scale"),
    [({}, 2.5), ({"hidden_layers": 2, "constraint": Hard()}, 1.0), ({"activation": "clipswish"}, 2.5)],
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


@pytest.mark.parametrize("constraint", [Soft(), Bjorck(), Power()], ids=lambda c: type(c).__name__)
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
        if constraint == Soft():
            assert layer.factor == pytest.approx(min(1, layer.cap / np.linalg.norm(layer.asked, 2)), rel=3e-5)
        if constraint.certifies:
            assert np.linalg.norm(layer.left, 2) <= layer.cap
    assert found.certified == pytest.approx(
        [np.prod([np.linalg.norm(layer.used, 2) for layer in found.layers]),
         2 * np.prod([np.linalg.norm(layer.left, 2) for layer in found.layers])], rel=1e-4
    )  # fmt: skip


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


def test_what_is_not_there_is_named_and_refused():
    flow = built()
    for change, named in ((Change("weight", 2, 0, 1.0, 0), "3"), (Change("weight", 0, 0, 1.0, 2), "3")):
        assert named in misfit(change, layer_shapes(flow.config)).replace(":", " ").replace(".", " ").split()
        assert not Edited(1, 1.0, (change,)).fits(flow.config)
        with pytest.raises(ValueError, match="use a block, layers"):
            Edited(1, 1.0, (change,)).of(flow)
    assert not Edited(3).fits(flow.config) and Edited(2).fits(flow.config)
