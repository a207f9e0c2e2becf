"""What the fused flow does beyond the laws of `test_laws.py`."""

import torch

from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from tests.core.oracles import points, seeded


def test_no_points_are_no_trouble():
    flow = FlowConfig(blocks=3, width=4).build(seeded(0), "fused").double()
    z, jacobians = flow.forward_and_jacobians(points(0, 2))
    assert (z.shape, jacobians.shape) == ((0, 2), (0, 3, 2, 2))
    for log_det in (Exact(), Truncated(), Roulette()):
        assert flow.log_prob(points(0, 2), log_det, seeded(0)).shape == (0,)
        with torch.no_grad():
            assert flow.log_prob(points(0, 2), log_det, seeded(0)).shape == (0,)
