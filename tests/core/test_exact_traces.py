"""Estimates whose first traces are exact: the closed forms of tr A over all registries, what they cost, and that
estimates stay unbiased. Oracles are autograd's Jacobian, its trace and SciPy's log det."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import resflow_core as rf
from resflow_core import gradients, residual
from resflow_core.activations import ACTIVATIONS
from resflow_core.estimators.moments import believed_log_det
from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS, MOST_PRODUCTS
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.probes import PROBES
from resflow_core.residual import BRANCHES
from resflow_core.roulette import Geometric
from tests.core.oracles import jacobians_of_rows, numpy_log_abs_det, points, seeded
from tests.covering import covering, in_turn

BOUND = 5.0
"""In standard errors. Of 20 seeds none is off by more than 3.5, and each planted bug is off by more than 10."""
LEVELS = {
    "activation": [*ACTIVATIONS],
    "branch": [*BRANCHES],
    "hidden_layers": [1, 2],
    "dim": [1, 2, 5],
    "norms": [*NORM_CHAINS],
}


def has_a_formula(row):
    return row["hidden_layers"] == 1 or row["branch"] == "dense"


ROWS = in_turn([row for row in covering(LEVELS) if has_a_formula(row)], scale=[1.0, 0.7])


def branch_of(row, width=7):
    """Far from where its parameters begin, in float64."""
    settings = {name: row[name] for name in ("activation", "branch", "hidden_layers", "dim", "norms") if name in row}
    flow = FlowConfig(blocks=1, width=width, **settings).build(seeded(0)).double()
    with torch.no_grad():
        for k, parameter in enumerate(flow.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=seeded(k), dtype=parameter.dtype), alpha=0.3)
    (branch,) = flow.branches
    branch.scale = row.get("scale", 1.0)
    return branch


def traces(branch, x):
    return jacobians_of_rows(branch, x).diagonal(dim1=1, dim2=2).sum(1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(map(str, row.values())))
class TestTheFormula:
    def test_is_the_trace_of_autograds_jacobian(self, row):
        branch, x = branch_of(row), points(9, row["dim"])
        near = branch.near(x)
        value, trace = near.value, near.trace()
        torch.testing.assert_close(value, branch(x), atol=1e-13, rtol=0)
        torch.testing.assert_close(trace, traces(branch, x), atol=1e-12, rtol=0)

    def test_has_its_gradient_in_x_and_in_all_parameters(self, row):
        branch, x = branch_of(row), points(9, row["dim"]).requires_grad_()
        weights, inputs = points(9, 1, seed=2)[:, 0], [x, *branch.parameters()]
        expected = (weights * branch.value_and_jacobian(x)[1].diagonal(dim1=1, dim2=2).sum(1)).sum()
        found = (weights * branch.near(x).trace()).sum()
        for one, other in zip(
            torch.autograd.grad(found, inputs, materialize_grads=True),
            torch.autograd.grad(expected, inputs, materialize_grads=True),
            strict=True,
        ):
            torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


class TestWithoutAFormula:
    CASES = (
        {"hidden_layers": 2},
        {"hidden_layers": 3, "branch": "dense"},
    )

    @pytest.mark.parametrize("case", CASES, ids=str)
    @pytest.mark.parametrize("exact_traces", [1, 2])
    def test_the_jacobian_has_them_in_few_dimensions(self, case, exact_traces):
        branch = branch_of({"dim": 3, **case})
        once = Truncated(exact_traces, exact_traces=exact_traces)
        x = points(9, 3)
        a = jacobians_of_rows(branch, x)
        expected = a.diagonal(dim1=1, dim2=2).sum(1)
        if exact_traces == 2:
            expected = expected - (a @ a).diagonal(dim1=1, dim2=2).sum(1) / 2
        torch.testing.assert_close(once.value_and_log_det(branch, x, seeded(0))[1], expected, atol=1e-12, rtol=0)

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_beyond_it_says_what_to_do(self, case):
        dim = MOST_PRODUCTS + 1
        branch = branch_of({"dim": dim, **case})
        with pytest.raises(ValueError, match=rf"exact_traces = 1 .* d = {dim} .* {MOST_PRODUCTS} .* exact_traces = 0"):
            Roulette(exact_traces=1).value_and_log_det(branch, points(3, dim), seeded(0))

    def test_so_does_the_second_trace_of_one_hidden_layer(self):
        branch = branch_of({"dim": MOST_PRODUCTS + 1})
        x = points(3, MOST_PRODUCTS + 1)
        Roulette(exact_traces=1).value_and_log_det(branch, x, seeded(0))
        with pytest.raises(ValueError, match="exact_traces = 2"):
            Roulette(exact_traces=2).value_and_log_det(branch, x, seeded(0))


def test_a_block_of_any_module_has_them_by_its_jacobian():
    g = nn.Sequential(rf.LipschitzLinear(3, 16, cap=0.8), nn.Tanh(), rf.LipschitzLinear(16, 3, cap=0.8)).double()
    block, x = rf.ResidualBlock(g), points(5, 3)
    _, estimates = block.forward_and_log_det(x, Truncated(1, exact_traces=1), generator=0)
    torch.testing.assert_close(estimates, traces(g, x), atol=1e-10, rtol=0)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_in_many_dimensions_no_jacobian_is_formed(gradient, monkeypatch):
    """And with the same draws the estimate differs by the first term alone."""
    branch, x = branch_of({"dim": 64}, width=32), points(6, 64)
    with torch.no_grad():
        plain, exact = (
            Roulette(gradient=gradient, exact_traces=m).value_and_log_det(branch, x, seeded(3))[1] for m in (0, 1)
        )
    (v,) = Roulette().draw(x, seeded(3)).probes[0]
    a = jacobians_of_rows(branch, x)
    first = torch.einsum("bi,bij,bj->b", v, a, v)
    torch.testing.assert_close(exact - plain, traces(branch, x) - first, atol=1e-11, rtol=0)
    monkeypatch.setattr(type(branch), "value_and_jacobian", None)
    Roulette(gradient=gradient, exact_traces=1).value_and_log_det(branch, x, seeded(3))[1].sum().backward()


# --- unbiased ---------------------------------------------------------------------------------------------------------

DRAWS, BATCHES, DIM = 40_000, 100, 4


def off_by(draws, truth):
    """In standard errors."""
    return abs(draws.mean() - truth) / (draws.std(ddof=1) / len(draws) ** 0.5)


def estimates_and_slopes(branch, dim, log_det, seed=1):
    """Estimates at one point in independent batches, the mean of each, and their derivatives along a direction of all
    parameters; and what these should be."""
    once, parameters, generator = points(1, dim, seed=5), [*branch.parameters()], seeded(seed)
    along = [torch.randn(p.shape, generator=seeded(6), dtype=p.dtype) for p in parameters]

    def derivative(value):
        found = torch.autograd.grad(value, parameters, materialize_grads=True)
        return float(sum((slope * way).sum() for slope, way in zip(found, along, strict=True)))

    x, values, slopes = once.expand(DRAWS // BATCHES, -1), [], []
    for _ in range(BATCHES):
        value = log_det.value_and_log_det(branch, x, generator)[1].mean()
        values.append(value.item())
        slopes.append(derivative(value))
    _, truth = Exact().value_and_log_det(branch, once)
    (log_det_of_a,) = numpy_log_abs_det(torch.eye(dim) + jacobians_of_rows(branch, once))
    assert truth.item() == pytest.approx(log_det_of_a)
    return np.array(values), truth.item(), np.array(slopes), derivative(truth.sum())


UNBIASED = in_turn(
    covering({"branch": [*BRANCHES], "gradient": [*GRADIENTS], "probe": [*PROBES]}), activation=[*ACTIVATIONS]
)


@pytest.mark.thorough
@pytest.mark.parametrize("row", UNBIASED, ids=lambda row: " ".join(map(str, row.values())))
def test_value_and_gradient_are_unbiased(row):
    branch = branch_of({name: row[name] for name in ("branch", "activation")} | {"dim": DIM}, width=4)
    log_det = Roulette(Geometric(0.4, 1), row["probe"], gradient=row["gradient"], exact_traces=1)
    values, truth, slopes, slope = estimates_and_slopes(branch, DIM, log_det)
    assert off_by(values, truth) < BOUND
    assert off_by(slopes, slope) < BOUND


def transposed_forgotten(outer, at_h, inner, at_x):
    return (at_h.slope * ((inner * outer) @ at_x.slope)).sum(0)


def first_slopes_left_out(outer, at_h, inner, at_x):
    return (at_h.slope * (inner * outer.T).sum(1, keepdim=True)).sum(0)


@pytest.mark.parametrize("bug", [transposed_forgotten, first_slopes_left_out])
@pytest.mark.parametrize("gradient", ["plain", "neumann"])
def test_a_wrong_trace_would_be_caught(bug, gradient, monkeypatch):
    branch = branch_of({"dim": DIM, "activation": "tanh"}, width=4)
    monkeypatch.setattr(residual, "trace_between", bug)
    log_det = Roulette(Geometric(0.4, 1), "rademacher", gradient=gradient, exact_traces=1)
    values, truth, slopes, slope = estimates_and_slopes(branch, DIM, log_det)
    assert off_by(values, truth) > 2 * BOUND
    assert off_by(slopes, slope) > 2 * BOUND


@pytest.mark.parametrize("gradient", ["plain", "neumann"])
def test_so_would_a_first_term_that_is_estimated_once_more(gradient, monkeypatch):
    branch = branch_of({"dim": DIM, "activation": "tanh"}, width=4)
    monkeypatch.setattr(gradients.Coefficients, "beyond", lambda of, m: replace(of, exact_traces=m))
    log_det = Roulette(Geometric(0.4, 1), "rademacher", gradient=gradient, exact_traces=1)
    values, truth, slopes, slope = estimates_and_slopes(branch, DIM, log_det)
    assert off_by(values, truth) > 2 * BOUND
    assert off_by(slopes, slope) > 2 * BOUND


def test_exact_traces_beyond_the_cut_count_too():
    branch, x = branch_of({"dim": 3}), points(7, 3)
    log_det = Truncated(1, exact_traces=2)
    _, found = log_det.value_and_log_det(branch, x, seeded(0))
    a = jacobians_of_rows(branch, x)
    expected = traces(branch, x) - torch.einsum("bij,bji->b", a, a) / 2
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(believed_log_det(log_det, a), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("log_det", [Roulette, Truncated])
def test_the_paper_has_none_and_three_are_refused(log_det):
    assert log_det().exact_traces == 0
    with pytest.raises(ValueError, match="exact_traces"):
        log_det(exact_traces=3)
