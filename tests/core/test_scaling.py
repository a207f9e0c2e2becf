"""What the exact log det costs beside an estimate: gradients by independent means, crossings of known curves."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from resflow_core.data import DATASETS
from resflow_core.data.copies import Copies
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Roulette, Truncated
from resflow_core.measure.scaling import AtDim, Crossing, Piece, Plan, Subject, by_dim, crossing
from resflow_core.training.trainer import TrainConfig
from tests.core.oracles import seeded

FLOW = FlowConfig(blocks=1, width=8, budget=0.8)
PLAN = Plan(FLOW, TrainConfig(batch=4, log_det=Roulette(probe="rademacher")), (2, 4), exact_steps=4, estimates=3)


def clock():
    """Every step takes no time."""
    return 0.0


def taken(plan, dim, seed=0):
    subject = Subject(plan, dim, seed, clock)
    return subject, [subject.piece(k) for k in range(plan.exact_steps + plan.estimates)]


def brute_force(flow, x):
    """The gradient of the mean NLL from the determinant of all of the flow's Jacobian at each point."""
    total = 0.0
    for row in x:
        jacobian = torch.autograd.functional.jacobian(lambda p: flow(p[None])[0], row, create_graph=True)
        total = total - torch.linalg.slogdet(jacobian).logabsdet + flow(row[None]).square().sum() / 2
    gradients = torch.autograd.grad(total / len(x), list(flow.parameters()), materialize_grads=True)
    return torch.cat([g.flatten() for g in gradients])


class TestCrossing:
    def test_of_power_laws_it_is_where_they_meet(self):
        d = np.array([2, 4, 8, 16, 32, 64])
        found = crossing(d, 0.01 * d**2.0, 3.0 * d**0.5)
        assert found == Crossing(pytest.approx(300 ** (2 / 3)), 1)

    @pytest.mark.parametrize(
        ("dims", "exact", "estimate", "expected"),
        [
            ([2, 4], [1.0, 2.0], [3.0, 2.5], Crossing(None, 0)),
            ([2, 4, 8], [2.0, 4.0, 2.0], [3.0, 2.5, 3.0], Crossing(None, 2)),
            ([2, 4], [2.0, 3.0], [1.0, 1.0], Crossing(2.0, 0, at_once=True)),
            ([2, 4, 8, 16], [2.0, 1.0, 1.0, 4.0], [1.0, 2.0, 2.0, 2.0], Crossing(pytest.approx(8 * 2**0.5), 2)),
        ],
    )
    def test_there_may_be_none_or_several(self, dims, exact, estimate, expected):
        assert crossing(dims, exact, estimate) == expected


class TestSubject:
    def test_errors_are_squared_distances_from_it(self):
        subject, pieces = taken(PLAN, 4)
        g = brute_force(subject.flow.double(), subject._batch(0).double())
        subject.flow.float()
        for k, piece in enumerate(pieces[4:], 4):
            estimate = subject.gradient(subject._batch(0), PLAN.train.log_det, subject._generator(2, k))[0]
            assert piece.squared_error == pytest.approx(float((estimate - g).square().sum()), rel=1e-3)
            assert piece.squared_norm == pytest.approx(float(g.square().sum()), rel=1e-4)
            assert not piece.is_exact and piece.dim == 4

    def test_their_mean_is_the_closed_variance_of_two_equally_likely_probes(self):
        # In the plane Rademacher's probes are (1, 1) and (1, -1) up to their sign: one point, two estimates.
        plan = dataclasses.replace(
            PLAN, train=TrainConfig(batch=2, log_det=Truncated(3, "rademacher")), dims=(2,), estimates=80
        )
        subject, pieces = taken(plan, 2)
        errors = np.array([piece.squared_error for piece in pieces[plan.exact_steps :]])
        assert len(np.unique(errors.round(9))) == 4  # two points with two estimates each
        x, outcomes = subject._batch(0), []
        exact = brute_force(subject.flow, x)
        for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            probes = torch.tensor([[1.0, s] for s in signs])
            outcomes.append(float((_series(subject.flow, x, probes) - exact).square().sum()))
        np.testing.assert_allclose(np.unique(errors.round(9)), np.sort(outcomes), rtol=2e-3)
        assert errors.mean() == pytest.approx(np.mean(outcomes), rel=0.5)

    def test_exact_steps_differ_by_their_batches_in_disjoint_pairs(self):
        subject, pieces = taken(PLAN, 4)
        exact = pieces[:4]
        assert [math.isnan(p.squared_error) for p in exact] == [True, False, True, False]
        for first, second in ((1, 2), (3, 4)):
            a, b = (brute_force(subject.flow, subject._batch(k)) for k in (first, second))
            assert exact[second - 1].squared_error == pytest.approx(float((a - b).square().sum() / 2), rel=1e-3)


def _series(flow, x, probes):
    """The gradient of the mean NLL whose log det is the series of three terms with these probes, by autograd alone."""
    total, scale = 0.0, sum(part.log_scale.sum() for part in flow.actnorms)
    (before, after), branch = flow.actnorms, flow.blocks[0].branch
    for row, v in zip(x, probes, strict=True):
        y = before(row[None])[0]
        a = torch.autograd.functional.jacobian(lambda p: branch(p[None])[0], y, create_graph=True)
        fixed = a.detach()  # d tr A^k = k tr(A^(k-1) dA): the powers are numbers, one factor is differentiated
        weights = v @ (torch.eye(2) - fixed + fixed @ fixed)
        surrogate = weights @ a @ v
        z = after((y + branch(y[None])[0])[None])[0]
        total = total + z.square().sum() / 2 - surrogate - scale
    gradients = torch.autograd.grad(total / len(x), list(flow.parameters()), materialize_grads=True)
    return torch.cat([g.flatten() for g in gradients])


def test_pieces_make_medians_and_means_with_errors():
    exact = [Piece(8, True, t, e, math.nan) for t, e in ((3.0, math.nan), (1.0, 6.0), (2.0, math.nan), (9.0, 10.0))]
    estimates = [Piece(8, False, t, e, 2.0) for t, e in ((1.0, 1.0), (5.0, 2.0), (2.0, 6.0))]
    (found,) = by_dim(exact + estimates)
    assert (found.dim, found.exact_seconds, found.estimate_seconds) == (8, 2.5, 2.0)
    assert found.variance.value == pytest.approx(1.5) and found.sampling.value == pytest.approx(4.0)
    assert found.variance.standard_error == pytest.approx(np.std([0.5, 1, 3], ddof=1) / math.sqrt(3))
    assert found.exact_work == pytest.approx(2.5 * 4.0) and found.estimate_work == pytest.approx(2.0 * 5.5)
    (half,) = by_dim(exact)
    assert half == AtDim(8, 2.5, None, None, None) and half.estimate_work is None
    assert by_dim([]) == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"dims": (2, 3)}, "use even numbers from 2 on"),
        ({"dims": (4, 2)}, "ascending"),
        ({"exact_steps": 3}, "even number"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_the_remedy(wrong, says):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(PLAN, **wrong)


def test_copies_are_independent_points_side_by_side():
    data = Copies(DATASETS["moons"], 6)
    x = data.sample(4_000, seeded(1))
    assert x.shape == (4_000, 6) and x.dtype == torch.float32
    alone = DATASETS["moons"].sample(12_000, seeded(1))
    assert torch.equal(x.view(-1, 2), alone)
    correlations = np.corrcoef(x.numpy().T)
    assert np.abs(correlations[0, 2:]).max() < 0.06
    assert torch.equal(data.held_out(), Copies(DATASETS["moons"], 6).held_out())
    with pytest.raises(ValueError, match="dim = 5: use an even number"):
        Copies(DATASETS["moons"], 5)
