"""What is measured of a flow: densities, estimates of means, beliefs and the table of its blocks."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats

from resflow_core import measure
from resflow_core.bijection import Chain
from resflow_core.estimators.moments import spectral_radius
from resflow_core.flow import Flow, FlowConfig, standard_normal_log_prob
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import belief
from resflow_core.norms.induced import largest_singular_value
from resflow_core.residual import ResidualBlock
from resflow_core.roulette import Custom, Geometric, Poisson
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
            part.log_scale += torch.tensor([0.1, -0.1])
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

    def test_the_log_det_of_every_actnorm_counts(self):
        flow, x = bent(), points(5, 2)
        with torch.no_grad():
            for k, norm in enumerate(flow.actnorms, 1):
                norm.log_scale += torch.tensor([0.2 * k, -0.05])
                norm.shift += 0.1 * k
            assert float(flow.actnorm_log_det) == pytest.approx(1.8)  # else this says little
        log_det = numpy_log_abs_det(autograd_jacobian(flow, x))
        expected = standard_normal_log_prob(flow(x)).detach().numpy() + log_det
        np.testing.assert_allclose(measure.evaluate(flow, x).log_prob, expected, rtol=1e-10)
        np.testing.assert_allclose(measure.log_prob(flow, x), expected, rtol=1e-10)

    def test_chunks_make_no_difference(self, flow, monkeypatch):
        x = points(50, 2)
        whole = measure.evaluate(flow, x)
        monkeypatch.setattr("resflow_core.flow.CHUNK_NUMBERS", 32)  # 8 points of 2 units in 2 dimensions
        for found, expected in zip(vars(measure.evaluate(flow, x)).values(), vars(whole).values(), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(measure.log_prob(flow, x), whole.log_prob, rtol=1e-12)


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

    def test_an_exact_flow_has_mass_one_and_a_truncated_belief_is_what_its_series_says(self, flow):
        (exact, believed) = measure.masses(measure.Beliefs(flow, Truncated(2)), PLANE, 96)
        assert abs(exact.value - 1) < exact.error < 0.02
        spacing = 24 / 240
        x = measure.grid_points(((-12.0, 12.0), (-12.0, 12.0)), 241).double()
        evaluation = measure.evaluate(flow, x)
        a = evaluation.jacobians
        series = (a.diagonal(dim1=-2, dim2=-1).sum(-1) - (a @ a).diagonal(dim1=-2, dim2=-1).sum(-1) / 2).sum(1)
        log_p = evaluation.log_prob - evaluation.block_log_dets.sum(1) + series
        assert believed.value == pytest.approx(float(log_p.exp().sum()) * spacing**2, rel=2e-3)
        assert abs(believed.value - 1) > 0.02  # else this test says little

    def test_the_exact_log_det_is_weighed_alone(self, flow):
        assert measure.Beliefs(flow, Exact())(points(7, 2)).shape == (1, 7)

    def test_an_infinite_belief_is_not_asked_again(self, flow, monkeypatch):
        asked = []

        def infinite(log_det, jacobian):
            asked.append(len(jacobian))
            return torch.full((len(jacobian),), torch.inf)

        monkeypatch.setattr(belief, "believed_log_det", infinite)
        beliefs = measure.Beliefs(flow, Roulette())
        asked.clear()  # it asks at the beginning whether the belief is known
        (exact, believed) = measure.masses(beliefs, PLANE, 48)
        assert len(asked) == 1
        assert (believed.value, believed.window) == (math.inf, math.inf)
        assert exact.value == pytest.approx(1, abs=0.02)

    def test_an_unknown_belief_is_refused_at_once(self, flow, monkeypatch):
        def unknown(log_det, jacobian):
            raise ValueError("no closed form")

        monkeypatch.setattr(belief, "believed_log_det", unknown)
        with pytest.raises(ValueError, match="no closed form"):
            measure.Beliefs(flow, Roulette())


class TestBlocks:
    def test_norm_and_spectral_radius_are_numpys(self):
        a = torch.randn(200, 3, 2, 2, generator=seeded(0), dtype=torch.float64)
        np.testing.assert_allclose(largest_singular_value(a), np.linalg.norm(a, 2, axis=(-2, -1)), rtol=1e-12)
        np.testing.assert_allclose(spectral_radius(a), np.abs(np.linalg.eigvals(a)).max(-1), rtol=1e-9)

    @pytest.mark.parametrize(
        ("a", "norm", "radius"),
        [
            ([[0.0, 0.9], [0.0, 0.0]], 0.9, 0.0),  # nilpotent
            ([[0.0, -0.5], [0.5, 0.0]], 0.5, 0.5),  # a rotation
            ([[-0.7, 0.0], [0.0, 0.2]], 0.7, 0.7),
            ([[0.0, 0.0], [0.0, 0.0]], 0.0, 0.0),
        ],
    )
    def test_norm_and_spectral_radius_in_special_cases(self, a, norm, radius):
        assert float(largest_singular_value(torch.tensor(a))) == pytest.approx(norm)
        assert float(spectral_radius(torch.tensor(a))) == pytest.approx(radius)

    def test_the_table_is_that_of_numpy(self, flow):
        x = points(300, 2)
        evaluation = measure.evaluate(flow, x)
        table = measure.block_table(flow, evaluation, Exact())
        a = evaluation.jacobians.numpy()
        np.testing.assert_allclose(table.mean_log_det, np.linalg.slogdet(np.eye(2) + a)[1].mean(0), rtol=1e-9)
        np.testing.assert_allclose(table.largest_norm, np.linalg.norm(a, 2, axis=(-2, -1)).max(0))
        np.testing.assert_allclose(table.spectral_radius, np.abs(np.linalg.eigvals(a)).max(-1).max(0))
        np.testing.assert_allclose(table.lipschitz, flow.config.budget, rtol=1e-9)
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

    def test_with_a_poisson_law_the_variance_is_infinite_unless_a_is_nilpotent(self, flow):
        evaluation = measure.evaluate(flow, points(300, 2))
        assert (measure.block_table(flow, evaluation, Roulette(Poisson())).beyond == 1).all()
        nilpotent = torch.tensor([[0.0, 0.9], [0.0, 0.0]]).expand_as(evaluation.jacobians)
        evaluation = dataclasses.replace(evaluation, jacobians=nilpotent)
        assert (measure.block_table(flow, evaluation, Roulette(Poisson())).beyond == 0).all()
