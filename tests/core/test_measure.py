"""What is measured of a flow: densities, estimates of means, beliefs, the table of its blocks, and masses."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from resflow_core import measure
from resflow_core.bijection import Chain
from resflow_core.flow import Flow, FlowConfig, standard_normal_log_prob
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import mass
from resflow_core.residual import ResidualBlock
from resflow_core.roulette import Custom, Geometric
from tests.core.oracles import (
    KNOWN_A,
    KNOWN_LOG_DET,
    LinearBranch,
    autograd_jacobian,
    numpy_log_abs_det,
    points,
    seeded,
)

PLANE = ((-4.0, 4.0), (-4.0, 4.0))


def bent():
    """A flow whose blocks come close to their budget: every layer is a rotation times its cap."""
    flow = FlowConfig(blocks=3, width=2, hidden_layers=1).build(seeded(0)).double()
    with torch.no_grad():
        for k, block in enumerate(flow.blocks, 1):
            for linear, angle in zip(block.branch.linears, (2.5, 0.3 * k), strict=True):
                cos, sin = math.cos(angle), math.sin(angle)
                linear.raw.copy_(torch.tensor([[cos, -sin], [sin, cos]]))
        for part in flow.bijections[::2]:
            part.log_scale += torch.tensor([0.1, -0.2])
    return flow


class Linear(Chain):
    """x -> x + A x, with what `measure` asks of a flow."""

    config = FlowConfig()
    log_prob = Flow.log_prob
    actnorm_log_det = torch.zeros(())

    def __init__(self):
        super().__init__([ResidualBlock(LinearBranch(KNOWN_A), 2)])

    def forward_and_jacobians(self, x):
        return self(x), KNOWN_A.expand(len(x), 1, 2, 2)


@pytest.fixture(scope="module")
def flow():
    return bent()


class TestEvaluation:
    def test_density_and_jacobians_are_those_of_automatic_differentiation(self, flow):
        x = points(5, 2)
        evaluation = measure.evaluate(flow, x)
        log_det = numpy_log_abs_det(autograd_jacobian(flow, x))
        expected = standard_normal_log_prob(flow(x)).detach().numpy() + log_det
        np.testing.assert_allclose(evaluation.log_prob, expected, rtol=1e-10)
        stages = flow.stages(x)
        for k, block in enumerate(flow.blocks):
            arrived = flow.bijections[2 * k](stages[k])  # after the block's ActNorm
            np.testing.assert_allclose(
                evaluation.jacobians[:, k], autograd_jacobian(block.branch, arrived.detach()), rtol=1e-9, atol=1e-12
            )


class TestEstimates:
    def test_a_mean_has_its_standard_error(self):
        values = points(300, 1)[:, 0]
        estimate = measure.estimate_mean(values)
        assert estimate.value == pytest.approx(values.numpy().mean())
        assert estimate.standard_error == pytest.approx(stats.sem(values.numpy()))

    def test_kl_is_the_paired_mean(self):
        # Of the flow x -> M x from N(0, I): (tr M'M - 2) / 2 - log det M.
        m = torch.eye(2, dtype=torch.float64) + KNOWN_A
        exact = 0.5 * float((m.T @ m).trace() - 2) - KNOWN_LOG_DET
        x = points(4_000, 2, seed=1)
        truth, model = standard_normal_log_prob(x), measure.log_prob(Linear(), x)
        estimate = measure.kl(truth, model)
        assert abs(estimate.value - exact) < 4 * estimate.standard_error
        assert estimate.standard_error == pytest.approx(stats.sem((truth - model).numpy()))
        # What pairing is for: the mean NLL alone is twice as uncertain.
        assert estimate.standard_error < 0.55 * measure.mean_nll(model).standard_error


class TestBeliefs:
    @pytest.mark.parametrize("n_terms", [1, 4, 9])
    def test_the_mass_of_a_truncated_belief_has_a_closed_form_where_the_jacobian_is_constant(self, n_terms):
        powers = [np.linalg.matrix_power(KNOWN_A.numpy(), k) for k in range(1, n_terms + 1)]
        series = sum((-1) ** (k + 1) / k * np.trace(power) for k, power in enumerate(powers, 1))
        beliefs = measure.Beliefs(Linear(), Truncated(n_terms))
        (exact, believed) = measure.masses(beliefs, PLANE, 64)
        assert exact.value == pytest.approx(1, abs=2e-4)
        assert believed.value / exact.value == pytest.approx(math.exp(series - KNOWN_LOG_DET), rel=1e-9)


class TestBlocks:
    def test_the_table_is_that_of_numpy(self, flow):
        x = points(300, 2)
        evaluation = measure.evaluate(flow, x)
        table = measure.block_table(flow, evaluation, Exact())
        a = evaluation.jacobians.numpy()
        np.testing.assert_allclose(table.mean_log_det, np.linalg.slogdet(np.eye(2) + a)[1].mean(0), rtol=1e-9)
        np.testing.assert_allclose(table.largest_norm, np.linalg.norm(a, 2, axis=(-2, -1)).max(0))
        np.testing.assert_allclose(table.spectral_radius, np.abs(np.linalg.eigvals(a)).max(-1).max(0))
        np.testing.assert_allclose(table.lipschitz, flow.config.budget, rtol=1e-9)
        np.testing.assert_allclose(table.layer_norms, flow.config.budget**0.5, rtol=2e-5)
        assert (table.spectral_radius <= table.largest_norm).all()
        assert (table.largest_norm <= table.lipschitz).all()
        assert table.tail_ratio is table.beyond is None

    @pytest.mark.parametrize("law", [Geometric(p=0.6), Custom((1.0, 1.0, 0.4))], ids=str)
    def test_beyond_is_the_share_of_points_where_roulettes_variance_is_infinite(self, flow, law):
        evaluation = measure.evaluate(flow, points(300, 2))
        table = measure.block_table(flow, evaluation, Roulette(law))
        radius = np.abs(np.linalg.eigvals(evaluation.jacobians.numpy())).max(-1)
        assert table.tail_ratio == pytest.approx(0.4)
        np.testing.assert_allclose(table.beyond, (radius**2 > 0.4).mean(0))
        assert 0 < table.beyond.max() < 1  # else this test says little


WINDOW = ((-4.0, 4.0), (-3.0, 3.0))


def normal(centre, deviations):
    """A normal with independent coordinates."""
    centre, deviations = (torch.tensor(v, dtype=torch.float64) for v in (centre, deviations))
    constant = math.log(2 * math.pi) + deviations.log().sum()
    return lambda x: -0.5 * ((x - centre) / deviations).square().sum(1) - constant


def student(freedom, centre=(0.3, -0.2)):
    """Student's t in the plane: its tail beyond radius r holds about r^-freedom."""
    centre = torch.tensor(centre, dtype=torch.float64)
    return lambda x: -(freedom / 2 + 1) * torch.log1p((x - centre).square().sum(1) / freedom) - math.log(2 * math.pi)


def mixture(*parts):
    return lambda x: torch.logsumexp(torch.stack([part(x) for part in parts]), 0) - math.log(len(parts))


CASES = {
    "standard": normal((0, 0), (1, 1)),
    "half a cell": normal((0.31, 0.17), (0.06, 0.06)),
    "on the corner": normal((4, 3), (0.3, 0.3)),
    "wide": normal((1, 0), (5, 5)),
    "far outside": normal((90, 30), (4, 4)),
    "two": mixture(normal((-2, 0), (0.2, 0.2)), normal((2, 1), (0.5, 1))),
    "heavier": student(2),
}


@pytest.mark.parametrize("n", [48, 96])
@pytest.mark.parametrize("case", CASES)
def test_a_density_has_mass_one_within_the_error_that_is_stated(case, n):
    result = mass(CASES[case], WINDOW, n)
    assert abs(result.value - 1) <= result.error + 1e-9
    assert result.error < (0.6 if n == 96 else 3)  # large only where the table asks for the impossible
    assert case not in ("standard", "wide") or result.error < 0.01


def test_the_share_within_the_window_is_apart():
    inside = math.erf(4 / 5 / math.sqrt(2)) * math.erf(3 / 5 / math.sqrt(2))
    result = mass(normal((0, 0), (5, 5)), WINDOW, 128)
    assert result.window == pytest.approx(inside, rel=1e-3)
    assert result.value == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(("x1", "window_is_infinite"), [(1.0, True), (6.0, False)])
def test_infinite_at_one_node_is_infinite_mass(x1, window_is_infinite):
    def spike(x):
        return torch.where((x - torch.tensor([x1, 0.0])).abs().amax(1) < 1e-9, torch.inf, CASES["standard"](x))

    result = mass(spike, WINDOW, 48)
    assert math.isinf(result.value)
    assert math.isinf(result.error)
    assert math.isinf(result.window) == window_is_infinite
