"""The zeros of a first layer's Jacobian, and its entries against automatic differentiation point by point."""

import numpy as np
import pytest
import torch

from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.flow import FlowConfig
from resflow_core.measure import jacobian_structure
from tests.core.oracles import autograd_jacobian, points, seeded


def built(config):
    flow = config.build(seeded(0)).double()
    flow.initialize(points(100, config.dim) * 3 + 2)
    return flow


@pytest.mark.parametrize(("kind", "dim"), [*zip(BASELINES, [2, 4] * 9, strict=False)])
def test_a_peers_zeros_are_exact(kind, dim):
    found = jacobian_structure(built(BaselineConfig(kind, 3, 32, dim=dim)), points(50, dim, seed=1) * 3 + 2)
    i, j = np.indices((dim, dim))
    if BASELINES[kind].coupling:
        may_differ = (i == j) | ((i % 2 == 1) & (j % 2 == 0))
        assert (np.diag(found)[::2] == 1).all()
    else:
        may_differ = j <= i
    np.testing.assert_array_equal(found != 0, may_differ)


def test_a_residual_block_has_no_zeros():
    assert (jacobian_structure(built(FlowConfig(blocks=2, width=8)), points(50, 2)) > 0).all()


@pytest.mark.parametrize(
    "config",
    [BaselineConfig("nsf", 2, 8), BaselineConfig("nice", 2, 8), FlowConfig(2, 8), FlowConfig(2, 8, actnorm=False)],
)
def test_entries_are_means_over_the_points_where_they_arrive(config):
    flow, x = built(config), points(20, 2, seed=1) * 3 + 2
    actnorm, layer = (None, flow.bijections[0]) if not getattr(config, "actnorm", True) else flow.bijections[:2]
    arriving = x if actnorm is None else x * actnorm.log_scale.exp().detach() + actnorm.shift.detach()
    with torch.no_grad():
        found = jacobian_structure(flow, x)
    np.testing.assert_allclose(found, autograd_jacobian(layer, arriving).abs().mean(0), rtol=0, atol=1e-10)
    assert all(p.grad is None for p in flow.parameters())
    assert not x.requires_grad
