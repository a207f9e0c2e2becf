"""What the comparison of dense and residual blocks says of one estimate, against the variances of single blocks."""

import pytest
import torch

from app.features.compare.joined import roulette_deviation
from resflow_core.estimators.moments import roulette_variance
from resflow_core.estimators.moments.remainders import log_det_remainders
from resflow_core.measure import Evaluation
from resflow_core.roulette import Geometric


def test_blocks_draw_independently_so_their_variances_add_and_the_median_point_is_told():
    a = torch.tensor([[0.45, 0.30], [-0.25, 0.20]], dtype=torch.float64)
    # Three points; every block of each has A, half of A, or 0.
    shares = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.5, 0.0], [1.0, 1.0, 0.5]], dtype=torch.float64)
    unused = torch.empty(0)
    found = roulette_deviation(Evaluation(unused, unused, shares[:, :, None, None] * a))
    whole, half = (
        float(roulette_variance(log_det_remainders(s * a[None], 400), Geometric(0.5, 3)).total) for s in (1.0, 0.5)
    )
    assert found == pytest.approx((whole + half) ** 0.5, rel=1e-6)
