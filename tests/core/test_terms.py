"""The terms of the log density of one point, against autograd, the moments of the estimates that training makes, and
eigenvalues and biases of the blocks' Jacobians by NumPy."""

import math

import numpy as np
import pytest
import torch

from resflow_core import measure
from resflow_core.estimators.moments import mean_and_deviation
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure.spectrum import MOST_TERMS, spectrum
from resflow_core.roulette import Geometric
from resflow_core.settings import settings_of
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET, seeded

CONFIGS = {
    "default": FlowConfig(blocks=5, width=16),
    "without ActNorm": FlowConfig(blocks=3, width=8, actnorm=False),
    "two hidden layers": FlowConfig(blocks=2, width=8, hidden_layers=2, activation="lipswish", norms="inf"),
}


def trained(config):
    """A flow whose weights are far from the first ones, so that no term is 0."""
    generator = seeded(3)
    flow = config.build(generator)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return flow


@pytest.mark.parametrize("name", CONFIGS)
def test_the_terms_of_each_block_add_up_to_the_log_density_by_autograd(name):
    flow, x = trained(CONFIGS[name]), np.array([0.7, -1.2])
    before = {name: value.clone() for name, value in flow.state_dict().items()}
    found = measure.terms(flow, x)
    assert next(flow.parameters()).dtype == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in flow.state_dict().items())

    exact, point = flow.double(), torch.tensor(x)
    whole = torch.autograd.functional.jacobian(lambda at: exact(at[None])[0], point)
    z = exact(point[None])[0].detach()
    normal = float(-0.5 * (z @ z) - math.log(2 * math.pi))
    log_prob = normal + float(torch.linalg.slogdet(whole).logabsdet)
    assert found.log_normal == pytest.approx(normal, abs=1e-10)
    assert found.log_prob == pytest.approx(log_prob, abs=1e-6)
    assert found.log_normal + found.log_dets.sum() + found.actnorm == pytest.approx(log_prob, abs=1e-6)
    assert found.actnorm == pytest.approx(float(exact.actnorm_log_det.detach()), abs=1e-12)
    here, blocks = point[None], iter(range(len(exact.blocks)))
    assert found.path[0] == pytest.approx(x)
    for part in exact.parts:
        if part in exact.blocks:
            k = next(blocks)
            a = torch.autograd.functional.jacobian(lambda at, part=part: part.branch(at[None])[0], here[0])
            np.testing.assert_allclose(found.jacobians[k], a, atol=1e-8)
            assert found.log_dets[k] == pytest.approx(float(torch.linalg.slogdet(torch.eye(2) + a).logabsdet), abs=1e-8)
        here = part(here).detach()
        if part in exact.blocks:
            np.testing.assert_allclose(found.path[k + 1], here[0], atol=1e-8)
    np.testing.assert_allclose(found.path[-1], here[0], atol=1e-8)


@pytest.mark.parametrize("x", [[1.0], [1.0, 2.0, 3.0], [math.nan, 0.0], [0.0, math.inf]])
def test_what_is_no_point_is_refused(x):
    with pytest.raises(ValueError, match="use one point, 2 finite numbers"):
        measure.terms(trained(CONFIGS["default"]), np.array(x))


# --- mean and deviation -----------------------------------------------------------------------------------------------

A = torch.stack([KNOWN_A, torch.tensor([[0.1, 0.0], [0.2, -0.3]], dtype=torch.float64)])
EXACT = torch.linalg.slogdet(torch.eye(2, dtype=torch.float64) + A).logabsdet


def test_the_known_variance_of_the_paper_setting_and_of_the_exact_log_det():
    mean, deviation = mean_and_deviation(Roulette(Geometric(0.5, 3)), A[:1])
    assert float(mean) == pytest.approx(KNOWN_LOG_DET, abs=1e-10)
    assert float(deviation) ** 2 == pytest.approx(0.3917271732, abs=1e-9)
    mean, deviation = mean_and_deviation(Exact(), A)
    np.testing.assert_allclose(mean, EXACT, atol=1e-14)
    assert not deviation.any()


def test_a_steep_point_keeps_its_deviation_among_points_that_need_fewer_terms():
    steep, flat = torch.tensor([[0.69, 0.3], [0.0, 0.1]]).double(), 0.01 * torch.eye(2).double()
    _, alone = mean_and_deviation(Roulette(Geometric(0.5, 3)), steep[None])
    _, among = mean_and_deviation(Roulette(Geometric(0.5, 3)), torch.stack([steep, *[flat] * 9]))
    assert float(among[0]) == pytest.approx(float(alone), rel=1e-9)


def test_beyond_the_radius_at_which_the_variance_is_finite_it_is_infinite():
    beyond = torch.tensor([[[0.8, 0.0], [0.0, 0.1]], [[1.2, 0.0], [0.0, 0.1]]])
    mean, deviation = mean_and_deviation(Roulette(Geometric(0.5, 3)), beyond)
    assert deviation.isinf().all()
    assert float(mean[0]) == pytest.approx(math.log(1.8 * 1.1), abs=1e-6)
    assert mean[1].isnan()
    with pytest.raises(ValueError, match="no closed form"):
        mean_and_deviation(object(), A)


# --- the spectrum -----------------------------------------------------------------------------------------------------

KNOWN = {
    "known": KNOWN_A.tolist(),
    "defective": [[0.5, 0.3], [0.0, 0.5]],
    "rotation": [[0.4863, -0.7573], [0.7573, 0.4863]],
    "nilpotent": [[0.0, 0.7], [0.0, 0.0]],
    "singular": [[0.2, 0.4], [0.1, 0.2]],
    "reflection": [[0.0, 0.6], [0.6, 0.0]],
    "shrinks": [[-0.95, 0.0], [0.0, -0.9]],
}


def by_numpy(jacobians):
    """The bias with 1, 2, ... terms: powers by NumPy, summed over the blocks, and the mean over the points."""
    a, total, biases = jacobians.double().numpy(), 0.0, []
    truth = np.linalg.slogdet(np.eye(2) + a)[1].sum(1)
    for k in range(1, MOST_TERMS + 1):
        total = total + (-1) ** (k + 1) / k * np.trace(np.linalg.matrix_power(a, k), axis1=-2, axis2=-1).sum(1)
        biases.append((total - truth).mean())
    return np.array(biases)


@pytest.mark.parametrize("name", KNOWN)
def test_the_spectrum_of_known_matrices(name):
    a = torch.tensor(KNOWN[name], dtype=torch.float64)
    found = spectrum(a[None, None], 1)
    expected = np.linalg.eigvals(a.numpy())
    ours = found.eigenvalues.astype(complex)
    assert min(np.abs(ours - expected).max(), np.abs(ours[::-1] - expected).max()) < 1e-6
    np.testing.assert_allclose(found.biases, by_numpy(a[None, None]), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_eigenvalues_are_of_the_first_points_and_biases_of_all(dtype):
    a = torch.randn(7, 3, 2, 2, generator=seeded(0), dtype=torch.float64)
    jacobians = (0.95 * a / torch.linalg.matrix_norm(a, 2)[..., None, None]).to(dtype)
    found = spectrum(jacobians, 4)
    assert (found.eigenvalues.shape, found.eigenvalues.dtype) == ((4 * 3 * 2,), np.complex64)
    expected = np.linalg.eigvals(jacobians[:4].double().numpy()).reshape(-1, 2)
    # Pair by pair: of two eigenvalues either may come first.
    pairs = found.eigenvalues.astype(complex).reshape(-1, 2)
    apart = np.minimum(np.abs(pairs - expected).max(1), np.abs(pairs[:, ::-1] - expected).max(1))
    assert apart.max() < 1e-6
    assert (found.biases.shape, found.biases.dtype) == ((MOST_TERMS,), np.float32)
    np.testing.assert_allclose(found.biases, by_numpy(jacobians), rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(spectrum(jacobians, 7).biases, found.biases)
    assert settings_of(Truncated)["n_terms"][1].high == MOST_TERMS
