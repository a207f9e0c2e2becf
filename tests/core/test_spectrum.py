"""Eigenvalues of the blocks' Jacobians, and what a cut series takes their log det for, by NumPy from matrix powers."""

import numpy as np
import pytest
import torch

from resflow_core.estimators.moments import log_det_remainders, truncation_bias
from resflow_core.log_det import Truncated
from resflow_core.measure.spectrum import MOST_TERMS, spectrum
from resflow_core.settings import settings_of
from tests.core.oracles import KNOWN_A, KNOWN_LOG_DET, seeded

ROTATION = 0.9 * np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])
KNOWN = {
    "defective": [[0.5, 0.3], [0.0, 0.5]],
    "rotation": ROTATION.tolist(),
    "nilpotent": [[0.0, 0.7], [0.0, 0.0]],
    "zero": [[0.0, 0.0], [0.0, 0.0]],
    "singular": [[0.2, 0.4], [0.1, 0.2]],
    "reflection": [[0.0, 0.6], [0.6, 0.0]],
    "shrinks": [[-0.95, 0.0], [0.0, -0.9]],
    "multiple of I": [[0.4, 0.0], [0.0, 0.4]],
}


def drawn(points, blocks, norm=0.95, seed=0):
    a = torch.randn(points, blocks, 2, 2, generator=seeded(seed), dtype=torch.float64)
    return norm * a / torch.linalg.matrix_norm(a, 2)[..., None, None]


def by_numpy(jacobians):
    """The bias with 1, 2, ... terms: powers by NumPy, summed over the blocks, and the mean over the points."""
    a, total, biases = jacobians.double().numpy(), 0.0, []
    truth = np.linalg.slogdet(np.eye(2) + a)[1].sum(1)
    for k in range(1, MOST_TERMS + 1):
        total = total + (-1) ** (k + 1) / k * np.trace(np.linalg.matrix_power(a, k), axis1=-2, axis2=-1).sum(1)
        biases.append((total - truth).mean())
    return np.array(biases)


def together(found, n):
    """Of so many matrices the two eigenvalues each, in an order of their own."""
    return np.sort_complex(np.round(found.astype(complex), 6).reshape(n, 2))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_eigenvalues_are_numpys_at_the_first_points(dtype):
    jacobians = drawn(7, 3).to(dtype)
    found = spectrum(jacobians, 4)
    assert (found.eigenvalues.shape, found.eigenvalues.dtype) == ((4 * 3 * 2,), np.complex64)
    expected = np.linalg.eigvals(jacobians[:4].double().numpy()).reshape(-1, 2)
    # Pair by pair: of two eigenvalues either may come first.
    pairs = found.eigenvalues.astype(complex).reshape(-1, 2)
    np.testing.assert_allclose(pairs.sum(1), expected.sum(1), atol=1e-6)
    np.testing.assert_allclose(pairs.prod(1), expected.prod(1), atol=1e-6)
    apart = np.minimum(np.abs(pairs - expected).max(1), np.abs(pairs[:, ::-1] - expected).max(1))
    assert apart.max() < 1e-6
    assert (np.abs(expected.imag) > 0.1).any() and (np.abs(expected.imag) == 0).any()


@pytest.mark.parametrize("name", KNOWN)
def test_known_matrices(name):
    a = torch.tensor(KNOWN[name], dtype=torch.float64)
    found = spectrum(a[None, None], 1)
    expected = np.linalg.eigvals(a.numpy())
    ours = found.eigenvalues.astype(complex)
    assert min(np.abs(ours - expected).max(), np.abs(ours[::-1] - expected).max()) < 1e-6
    np.testing.assert_allclose(found.biases, by_numpy(a[None, None]), rtol=1e-6, atol=1e-12)


def test_biases_of_many_points_and_blocks_are_the_mean_of_the_sums():
    jacobians = drawn(11, 3, seed=2)
    found = spectrum(jacobians, 2)
    assert (found.biases.shape, found.biases.dtype) == ((MOST_TERMS,), np.float32)
    np.testing.assert_allclose(found.biases, by_numpy(jacobians), rtol=1e-5, atol=1e-9)
    # All points count, however few are shown.
    np.testing.assert_array_equal(spectrum(jacobians, 11).biases, found.biases)


def test_they_are_the_remainders_of_the_closed_forms():
    jacobians = drawn(9, 2, norm=0.8, seed=3)
    remainders = log_det_remainders(jacobians.flatten(0, 1), MOST_TERMS + 1)
    found = spectrum(jacobians, 1).biases
    for n in (1, 2, 5, MOST_TERMS):
        # The remainders end one term later; what comes behind is at most so much, of two eigenvalues and blocks.
        beyond = 2 * 2 * 0.8 ** (MOST_TERMS + 2) / (MOST_TERMS + 2) / 0.2
        expected = truncation_bias(remainders, n).view(9, 2).sum(1).mean()
        assert found[n - 1] == pytest.approx(float(expected), abs=beyond + 1e-6)


def test_it_has_as_many_terms_as_a_truncated_series_may_have():
    _, limits = settings_of(Truncated)["n_terms"]
    assert limits.high == MOST_TERMS


def test_a_matrix_by_hand():
    found = spectrum(KNOWN_A[None, None], 1).biases
    assert found[0] == pytest.approx(0.65 - KNOWN_LOG_DET, abs=1e-6)
    # tr A^2 = 0.45^2 + 0.2^2 - 2 * 0.3 * 0.25
    assert found[1] == pytest.approx(0.65 - 0.0925 / 2 - KNOWN_LOG_DET, abs=1e-6)
