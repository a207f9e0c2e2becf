"""Estimates whose first traces are exact: the closed forms of tr A over all registries, against the trace of autograd's
Jacobian, and what they cost."""

import pytest
import torch

from resflow_core.activations import ACTIVATIONS
from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS, MOST_PRODUCTS
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.log_det import Roulette, Truncated
from resflow_core.residual import BRANCHES
from tests.core.oracles import jacobians_of_rows, points, seeded
from tests.covering import covering, in_turn

LEVELS = {"branch": [*BRANCHES], "hidden_layers": [1, 2], "dim": [1, 2, 5], "norms": [*NORM_CHAINS]}


def has_a_formula(row):
    return row["hidden_layers"] == 1 or row["branch"] == "dense"


ROWS = in_turn([row for row in covering(LEVELS) if has_a_formula(row)], scale=[1.0, 0.7], activation=[*ACTIVATIONS])


def branch_of(row, width=7, implementation=None):
    """Far from where its parameters begin, in float64."""
    settings = {name: row[name] for name in ("activation", "branch", "hidden_layers", "dim", "norms") if name in row}
    flow = FlowConfig(blocks=1, width=width, **settings).build(seeded(0), implementation).double()
    with torch.no_grad():
        for k, parameter in enumerate(flow.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=seeded(k), dtype=parameter.dtype), alpha=0.3)
    (branch,) = flow.branches
    branch.scale = row.get("scale", 1.0)
    return branch


def traces(branch, x):
    return jacobians_of_rows(branch, x).diagonal(dim1=1, dim2=2).sum(1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(map(str, row.values())))
def test_the_formula_is_the_trace_of_autograds_jacobian_with_its_gradient_in_x_and_in_all_parameters(row):
    branch, x = branch_of(row), points(9, row["dim"]).requires_grad_()
    weights, inputs = points(9, 1, seed=2)[:, 0], [x, *branch.parameters()]
    value, trace = branch.value_and_trace(x)
    torch.testing.assert_close(value, branch(x), atol=1e-13, rtol=0)
    torch.testing.assert_close(trace, traces(branch, x), atol=1e-12, rtol=0)
    of_both = trace, branch.value_and_jacobian(x)[1].diagonal(dim1=1, dim2=2).sum(1)
    found, expected = (torch.autograd.grad((weights * of).sum(), inputs, materialize_grads=True) for of in of_both)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


class TestWithoutAFormula:
    CASES = (
        ({"hidden_layers": 2}, None),
        ({"hidden_layers": 3, "branch": "dense"}, None),
        ({"hidden_layers": 1}, "paper"),
    )

    @pytest.mark.parametrize(("case", "implementation"), CASES, ids=str)
    @pytest.mark.parametrize("exact_traces", [1, 2])
    def test_the_jacobian_has_them_in_few_dimensions(self, case, implementation, exact_traces):
        branch = branch_of({"dim": 3, **case}, implementation=implementation)
        once = Truncated(exact_traces, exact_traces=exact_traces)
        x = points(9, 3)
        a = jacobians_of_rows(branch, x)
        expected = a.diagonal(dim1=1, dim2=2).sum(1)
        if exact_traces == 2:
            expected = expected - (a @ a).diagonal(dim1=1, dim2=2).sum(1) / 2
        torch.testing.assert_close(once.value_and_log_det(branch, x, seeded(0))[1], expected, atol=1e-12, rtol=0)

    @pytest.mark.parametrize(("case", "implementation"), CASES, ids=str)
    def test_beyond_it_says_what_to_do(self, case, implementation):
        dim = MOST_PRODUCTS + 1
        branch = branch_of({"dim": dim, **case}, implementation=implementation)
        with pytest.raises(ValueError, match=rf"exact_traces = 1 .* d = {dim} .* {MOST_PRODUCTS} .* exact_traces = 0"):
            Roulette(exact_traces=1).value_and_log_det(branch, points(3, dim), seeded(0))


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
