"""The terms of the log density of one point, against autograd, and the moments of the estimates that training makes."""

import math

import numpy as np
import pytest
import torch

from resflow_core import measure
from resflow_core.estimators.moments import mean_and_deviation
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.roulette import Geometric
from tests.core.oracles import LinearBranch, seeded

CONFIGS = {
    "default": FlowConfig(blocks=5, width=16),
    "without ActNorm": FlowConfig(blocks=3, width=8, actnorm=False),
    "two hidden layers": FlowConfig(blocks=2, width=8, hidden_layers=2, activation="lipswish"),
    "mixed norms": FlowConfig(blocks=2, width=8, norms="inf"),
}


def trained(config):
    """A flow whose weights are far from the first ones, so that no term is 0."""
    generator = torch.Generator().manual_seed(3)
    flow = config.build(generator)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return flow


@pytest.mark.parametrize("name", CONFIGS)
def test_the_terms_add_up_to_the_log_density_by_autograd(name):
    flow, x = trained(CONFIGS[name]), np.array([0.7, -1.2])
    found = measure.terms(flow, x)
    exact = flow.double()
    point = torch.tensor(x)
    whole = torch.autograd.functional.jacobian(lambda at: exact(at[None])[0], point)
    z = exact(point[None])[0].detach()
    normal = float(-0.5 * (z @ z) - math.log(2 * math.pi))
    log_prob = normal + float(torch.linalg.slogdet(whole).logabsdet)
    assert found.log_normal == pytest.approx(normal, abs=1e-10)
    assert found.log_prob == pytest.approx(log_prob, abs=1e-6)
    total = found.log_normal + found.log_dets.sum() + found.actnorm
    assert total == pytest.approx(log_prob, abs=1e-6)
    assert found.actnorm == pytest.approx(float(exact.actnorm_log_det.detach()), abs=1e-12)


@pytest.mark.parametrize("name", CONFIGS)
def test_each_block_has_its_own_jacobian_where_the_path_comes_to_it(name):
    flow, x = trained(CONFIGS[name]), np.array([-0.4, 0.9])
    found, exact = measure.terms(flow, x), flow.double()
    here, blocks = torch.tensor(x)[None], iter(range(len(exact.blocks)))
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


def test_a_flow_is_left_as_it_is():
    flow = trained(CONFIGS["default"])
    before = {name: value.clone() for name, value in flow.state_dict().items()}
    measure.terms(flow, np.zeros(2))
    assert next(flow.parameters()).dtype == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in flow.state_dict().items())


@pytest.mark.parametrize("x", [[1.0], [1.0, 2.0, 3.0], [math.nan, 0.0], [0.0, math.inf]])
def test_what_is_no_point_is_refused(x):
    with pytest.raises(ValueError, match="use one point, 2 finite numbers"):
        measure.terms(trained(CONFIGS["default"]), np.array(x))


A = torch.tensor([[[0.45, 0.30], [-0.25, 0.20]], [[0.1, 0.0], [0.2, -0.3]]], dtype=torch.float64)
EXACT = torch.linalg.slogdet(torch.eye(2, dtype=torch.float64) + A).logabsdet


def test_the_known_variance_of_the_paper_setting():
    mean, deviation = mean_and_deviation(Roulette(Geometric(0.5, 3)), A[:1])
    assert float(mean) == pytest.approx(0.5960854677, abs=1e-10)
    assert float(deviation) ** 2 == pytest.approx(0.3917271732, abs=1e-9)


def test_the_exact_log_det_has_no_deviation():
    mean, deviation = mean_and_deviation(Exact(), A)
    np.testing.assert_allclose(mean, EXACT, atol=1e-14)
    assert not deviation.any()


ESTIMATORS = [
    Truncated(4),
    Truncated(3, "rademacher", n_probes=2),
    Roulette(Geometric(0.5, 3)),
    Roulette(Geometric(0.4, 1), "rademacher", n_probes=2, n_draws=3),
]


@pytest.mark.thorough
@pytest.mark.parametrize("log_det", ESTIMATORS, ids=repr)
def test_mean_and_deviation_are_those_of_the_estimate_that_training_draws(log_det):
    """100,000 draws of each. Means: 5 standard errors, which a bias of 0.01 nats exceeds. Deviations: 5 %."""
    n = 100_000
    for a, mean, deviation in zip(A, *mean_and_deviation(log_det, A), strict=True):
        branch = LinearBranch(a)
        with torch.no_grad():
            _, drawn = log_det.value_and_log_det(branch, torch.zeros(n, 2, dtype=torch.float64), seeded(5))
        assert float(drawn.mean()) == pytest.approx(float(mean), abs=5 * float(deviation) / math.sqrt(n) + 1e-12)
        assert float(drawn.std()) == pytest.approx(float(deviation), rel=0.05, abs=1e-9)


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


def test_an_estimator_without_a_closed_form_is_refused():
    with pytest.raises(ValueError, match="no closed form"):
        mean_and_deviation(object(), A)
