import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from resflow_core.activations import ACTIVATIONS

SCALES = (0.3, 1.0, 2.7)


def scales(activation):
    return [None] if activation.initial_scale is None else [torch.tensor(s, dtype=torch.float64) for s in SCALES]


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
class TestEveryActivation:
    def test_the_slope_is_the_derivative_of_the_value(self, activation):
        z = torch.linspace(-6, 6, 401, dtype=torch.float64).requires_grad_()
        for scale in scales(activation):
            value, slope = activation.scaled(z, scale)
            (expected,) = torch.autograd.grad(value.sum(), z)
            torch.testing.assert_close(slope, expected, atol=1e-12, rtol=0)

    def test_the_curvature_is_the_derivative_of_the_slope(self, activation):
        t = torch.linspace(-6, 6, 400, dtype=torch.float64).requires_grad_()  # without 0, where elu has none
        value, slope = activation.value_and_slope(t)
        (expected,) = torch.autograd.grad(slope.sum(), t)
        curvature = activation.curvature(t, value, slope)
        torch.testing.assert_close(curvature, expected, atol=1e-12, rtol=0)

    def test_the_constant_is_the_largest_slope_found_by_search(self, activation):
        for scale in scales(activation):

            def steepness(z, scale=scale):
                return abs(float(activation.scaled(torch.tensor(z, dtype=torch.float64), scale)[1]))

            grid = np.linspace(-15, 15, 3_001)
            best = grid[np.argmax([steepness(z) for z in grid])]
            found = minimize_scalar(lambda z: -steepness(z), bounds=(best - 0.02, best + 0.02), method="bounded")
            largest = max(-found.fun, steepness(best))
            assert largest <= activation.lipschitz
            assert largest == pytest.approx(activation.lipschitz, abs=1e-4)
