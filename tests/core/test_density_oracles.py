"""The true densities point by point, against SciPy: at draws, and out to the corners of [-8, 8]^2 in log space."""

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats
from scipy.special import logsumexp

from resflow_core.data import DATASETS
from tests.core.oracles import seeded

CORNERS = torch.tensor([[-8.0, -8.0], [-8.0, 8.0], [8.0, -8.0], [8.0, 8.0], [8.0, 0.3], [-0.2, -6.0], [0.0, 0.0]])
SIMPSON = 40_001


def compare(name: str, oracle, far: float = 1e-5) -> None:
    """`oracle` maps one point to log p: equal within 1e-8 at draws, and within `far` nats where p is nearly nothing."""
    truth = DATASETS[name].truth
    for x, tolerance in ((DATASETS[name].sample(8, seeded(5)), 1e-8), (CORNERS, far)):
        expected = [oracle(point) for point in x.double().numpy()]
        np.testing.assert_allclose(truth.log_prob(x).numpy(), expected, rtol=0, atol=tolerance)


def log_simpson(log_f: np.ndarray, low: float, high: float) -> float:
    """log of the integral of exp(log_f), given at evenly spaced points from low to high, their number odd."""
    weights = np.ones(len(log_f))
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    return logsumexp(log_f, b=weights * (high - low) / (3 * (len(log_f) - 1)))


def log_normal(distance: np.ndarray, deviation: float) -> np.ndarray:
    """Log density of a normal of the plane at a complex distance from its mean."""
    return -(np.abs(distance) ** 2) / (2 * deviation**2) - np.log(2 * np.pi * deviation**2)


def test_gaussian_and_banana_are_scipys_normals():
    law = stats.multivariate_normal(cov=1.44 * np.array([[1, 0.8], [0.8, 1]]))
    compare("gaussian", law.logpdf)
    assert DATASETS["gaussian"].truth.entropy == pytest.approx(law.entropy(), abs=1e-12)
    compare("banana", lambda x: stats.norm.logpdf(x[0]) + stats.norm.logpdf(x[1], x[0] ** 2 / 2 - 1, 0.5))
    # The entropy of u plus that of x2 given u.
    entropy = stats.norm.entropy() + stats.norm(scale=0.5).entropy()
    assert DATASETS["banana"].truth.entropy == pytest.approx(entropy, abs=1e-12)


def test_checkerboard_is_uniform_on_its_squares():
    x = torch.tensor([[-3.9, -3.9], [-3.9, -1.9], [-1.0, -1.0], [1.0, 1.0], [1.0, -1.0], [4.1, 4.1], [3.9, -4.1]])
    on = [True, False, True, True, False, False, False]
    assert DATASETS["checkerboard"].truth.log_prob(x).tolist() == [-np.log(32) if is_on else -np.inf for is_on in on]


def test_eight_gaussians_are_a_mixture_of_scipys():
    centres = 4 / np.sqrt(2) * np.exp(0.25j * np.pi * np.arange(8))
    laws = [stats.multivariate_normal([c.real, c.imag], 0.125) for c in centres]
    compare("8gaussians", lambda x: logsumexp([law.logpdf(x) for law in laws]) - np.log(8))


@pytest.mark.parametrize(
    ("name", "radii", "deviation"), [("circles", [3, 1.5], 0.24), ("rings", [3, 2.25, 1.5, 0.75], 0.08)]
)
def test_rings_are_normals_averaged_over_the_angle(name, radii, deviation):
    circle = np.exp(1j * np.linspace(-np.pi, np.pi, SIMPSON))

    def oracle(x):
        rings = [log_simpson(log_normal(complex(*x) - r * circle, deviation), -np.pi, np.pi) for r in radii]
        return logsumexp(rings) - np.log(2 * np.pi * len(radii))

    compare(name, oracle)

    def minus_p_log_p(r):
        log_p = float(DATASETS[name].truth.log_prob(torch.tensor([[r, 0.0]], dtype=torch.float64)))
        return -2 * np.pi * r * np.exp(log_p) * log_p

    entropy = integrate.quad(minus_p_log_p, 0, 3 + 8 * deviation, points=radii, limit=200)[0]
    assert DATASETS[name].truth.entropy == pytest.approx(entropy, abs=1e-6)


def test_moons_are_normals_averaged_over_half_circles():
    half = np.exp(1j * np.linspace(0, np.pi, SIMPSON))

    def oracle(x):
        arcs = [2 * half - 1 - 0.2j, 2 * (1 + 0.5j - half) - 1 - 0.2j]
        return logsumexp([log_simpson(log_normal(complex(*x) - arc, 0.2), 0, np.pi) for arc in arcs]) - np.log(
            2 * np.pi
        )

    compare("moons", oracle)


def test_swiss_roll_is_normals_averaged_over_its_angle():
    low, high = 1.5 * np.pi, 4.5 * np.pi
    t = np.linspace(low, high, SIMPSON)
    roll = t * np.exp(1j * t) / 5
    compare("swissroll", lambda x: log_simpson(log_normal(complex(*x) - roll, 0.2), low, high) - np.log(high - low))


def log_box(x: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Log density at x of a uniform number between low and high plus normal noise of deviation 0.1."""
    a, b = (low - x) / 0.1, (high - x) / 0.1
    a, b = np.where(a > 0, -b, a), np.where(a > 0, -a, b)  # in the tail that does not round to 1
    return logsumexp([stats.norm.logcdf(b), stats.norm.logcdf(a)], b=[[1.0], [-1.0]], axis=0) - np.log(high - low)


@pytest.mark.thorough
def test_two_spirals_are_blurred_boxes_averaged_along_the_arms():
    end = 3 * np.pi
    t = np.linspace(0, end, SIMPSON)[1:]
    corner = -t * np.cos(t) / 3, t * np.sin(t) / 3

    def oracle(x):
        # A point of the second arm is one of the first, reflected.
        arms = [
            sum(log_box(sign * x[i], corner[i], corner[i] + 1 / 6) for i in range(2)) + np.log(2 * t / end**2)
            for sign in (1, -1)
        ]
        return logsumexp([log_simpson(np.append(-np.inf, arm), 0, end) for arm in arms]) - np.log(2)

    # Where p < exp(-1000), the nodes are far apart beside what counts of the curve.
    compare("2spirals", oracle, far=1e-2)


def test_pinwheel_sums_over_all_preimages():
    def image(a, b, arm):
        return 2 * (a + 1j * b) * np.exp(-1j * (2 * np.pi * arm / 5 + np.exp(a) / 4))

    def oracle(x):
        w, terms = complex(*x), []
        for arm in range(5):

            def unwound(a, arm=arm):
                return w / 2 * np.exp(1j * (2 * np.pi * arm / 5 + np.exp(a) / 4))

            def excess(a, unwound=unwound):
                return unwound(a).real - a

            scan = np.linspace(-abs(w) / 2 - 0.01, abs(w) / 2 + 0.02, 20_001)
            for i in np.flatnonzero(np.diff(np.sign(excess(scan)))):
                a = optimize.brentq(excess, scan[i], scan[i + 1], xtol=1e-15)
                b, h = unwound(a).imag, 1e-5
                along_a = (image(a + h, b, arm) - image(a - h, b, arm)) / (2 * h)
                along_b = (image(a, b + h, arm) - image(a, b - h, arm)) / (2 * h)
                area = abs((along_a.conjugate() * along_b).imag)
                terms.append(stats.norm.logpdf(a, 1, 0.3) + stats.norm.logpdf(b, 0, 0.1) - np.log(5 * area))
        return logsumexp(terms)

    compare("pinwheel", oracle)
