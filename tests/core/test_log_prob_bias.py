"""What a training estimator takes the log density for on average, against draws of it, and its closed form."""

import numpy as np
import pytest
import torch

from resflow_core.estimators.moments import log_det_remainders, terms_for, truncation_bias
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import evaluate, log_prob_bias
from resflow_core.measure.belief import believed_log_prob
from resflow_core.roulette import Geometric
from tests.core.oracles import points, seeded

X = points(60, 2, seed=1)


@pytest.fixture(scope="module")
def flow():
    """Blocks that use their budget: x goes on to -0.9 x and more, so that their series leave much out."""
    flow = FlowConfig(blocks=3, width=8, budget=0.9).build(seeded(0)).double()
    flow.initialize(points(200, 2))
    with torch.no_grad():
        for block, sign in zip(flow.blocks, (-1, -1, 1), strict=True):
            first, last = block.branch.linears
            first.raw += torch.eye(2).repeat(4, 1)
            last.raw += sign * torch.eye(2).repeat(1, 4)
            block.branch.raw_scales -= 2.0  # wide waves
    return flow


@pytest.mark.parametrize("log_det", [Truncated(1), Truncated(2), Truncated(5, "rademacher", n_probes=3)])
def test_it_is_the_mean_of_the_estimates_less_the_truth(flow, log_det):
    found = log_prob_bias(evaluate(flow, X), log_det)
    rows, generator = X.repeat(100, 1), seeded(3)
    with torch.no_grad():
        estimates = (flow.log_prob(rows, log_det, generator) - flow.log_prob(rows)).view(100, len(X))
    means = estimates.mean(1)  # over the points, for every draw of the probes
    error = float(means.std() / len(means) ** 0.5)
    assert abs(found.value - float(means.mean())) < 5 * error
    assert abs(found.value) > 10 * error  # else anything would do


@pytest.mark.parametrize("log_det", [Truncated(n) for n in (1, 3, 4, 12)])
def test_it_is_what_the_remainders_lack(flow, log_det):
    evaluation = evaluate(flow, X)
    jacobians = evaluation.jacobians.flatten(0, 1)
    remainders = log_det_remainders(jacobians, terms_for(0.9, 0.0))
    expected = truncation_bias(remainders, log_det.n_terms).view(evaluation.jacobians.shape[:2]).sum(1).numpy()
    found = log_prob_bias(evaluation, log_det)
    assert found.value == pytest.approx(expected.mean(), rel=1e-9)
    assert found.standard_error == pytest.approx(expected.std(ddof=1) / np.sqrt(len(X)), rel=1e-9)


@pytest.mark.parametrize("log_det", [Exact(), Roulette(), Roulette(Geometric(0.2, 0), n_draws=2)])
def test_who_is_unbiased_has_none(flow, log_det):
    assert vars(log_prob_bias(evaluate(flow, X), log_det)) == {"value": 0.0, "standard_error": 0.0}


def test_an_unbiased_log_density_is_no_unbiased_density(flow):
    evaluation = evaluate(flow, X)
    believed = believed_log_prob(evaluation, Roulette(Geometric(0.2, 2)))
    assert float((believed - evaluation.log_prob).mean()) > 0.01
