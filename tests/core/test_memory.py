"""Memory, time and noise of the gradient: counts against independent ones, orders in bytes, never in seconds."""

import re
from functools import lru_cache
from itertools import count, cycle

import numpy as np
import pytest
import torch

from resflow_core.flow import FlowConfig, standard_normal_log_prob
from resflow_core.gradients import GRADIENTS
from resflow_core.log_det import Truncated
from resflow_core.measure import NoLogDet, Place, Survey, SurveyPlan, cost, footprint, subject
from resflow_core.measure.ledger import Ledger
from resflow_core.measure.memory import relative_variance, work
from resflow_core.measure.survey import MOST_BYTES, MOST_WORK, NAIVE, NOTHING, Subjects, naive_work, too_much_work
from resflow_core.training.parameter_count import parameter_count
from resflow_core.training.trainer import TrainConfig, bytes_of_products, step_bytes
from tests.core.oracles import seeded

BATCH, WIDTH, TERMS, BLOCKS = 32, 48, (2, 5, 8), (2, 4, 6)
FLOAT = 4


@lru_cache
def flow_and_points(dim=2, blocks=4, batch=BATCH):
    return subject(FlowConfig(dim=dim, blocks=blocks, width=WIDTH, activation="lipswish"), batch, seeded(0))


def loss_by_products(flow, x, log_det):
    """Part by part, as a flow in the plane, whose A is so small, does not compute it by itself."""
    z, log_dets = flow.forward_and_log_dets(x, log_det, seeded(1))
    return -(standard_normal_log_prob(z) + log_dets.sum(1)).mean()


def peak_by_allocator(flow, x, log_det):
    """The most bytes that PyTorch's allocator has out at one time, as its profiler writes them down."""
    parameters = list(flow.parameters())
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        loss = loss_by_products(flow, x, log_det)
        gradients = torch.autograd.grad(loss, parameters)
    del gradients
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    return int(np.cumsum([e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]).max())


def way(name, n=6):
    return Truncated(n, gradient=name) if name else NoLogDet()


@pytest.mark.parametrize(("name", "dim"), [*zip(["", *GRADIENTS], cycle([2, 64]), strict=False)])
def test_the_peak_is_the_allocators(name, dim):
    # Up to numbers within operations, and buffers that are added to in place where nobody looks.
    flow, x = flow_and_points(dim)
    found = footprint(flow, x, way(name), seeded(1))
    assert found.peak == pytest.approx(peak_by_allocator(flow, x, way(name)), rel=0.01)
    assert found.gradients == FLOAT * sum(p.numel() for p in flow.parameters())


@lru_cache
def alone(name, n, m):
    """Bytes of the log det alone in the plane: (kept, at the peak)."""
    flow, x = flow_and_points(blocks=m)
    whole, base = (footprint(flow, x, way(*given), seeded(1)) for given in ((name, n), ("",)))
    return np.array([whole.kept - base.kept, whole.peak - base.peak])


def by_n(name, m=BLOCKS[-1]):
    """How much more each further term takes."""
    return np.diff([alone(name, n, m) for n in TERMS], axis=0) / np.diff(TERMS)[:, None]


def by_m(name):
    """How much more each further block takes."""
    return np.diff([alone(name, TERMS[-1], m) for m in BLOCKS], axis=0) / np.diff(BLOCKS)[:, None]


COEFFICIENTS = BLOCKS[-1] * 2 * 8
"""What a term may take where it keeps nothing of a network: few coefficients, which are double."""


class TestOrders:
    """O(nm), O(m), O(n) and O(1), as the registry says."""

    def test_term_by_term_grows_with_terms_times_blocks(self):
        for slopes in (by_n("plain"), by_m("plain")):
            np.testing.assert_allclose(slopes, np.tile(slopes[0], (2, 1)), rtol=0.01)
        np.testing.assert_allclose(by_n("plain"), 3 * by_n("plain", m=2), rtol=0.01)  # of 6 blocks, not 2

    def test_the_neumann_series_grows_with_the_blocks_alone(self):
        assert (by_n("neumann") <= COEFFICIENTS).all()
        slopes = by_m("neumann")
        np.testing.assert_allclose(slopes, np.tile(slopes[0], (2, 1)), rtol=0.01)
        assert (slopes > 100 * BATCH * FLOAT).all()  # units, not coordinates: a network's worth of each block

    @pytest.mark.parametrize("name", ["plain_in_forward", "in_forward"])
    def test_in_the_forward_pass_a_block_leaves_its_gradient_and_a_few_vectors(self, name):
        assert (by_n(name)[:, 0] <= COEFFICIENTS).all()
        assert name == "plain_in_forward" or (by_n(name) <= COEFFICIENTS).all()
        of_block = FLOAT * sum(p.numel() for p in flow_and_points()[0].blocks[0].parameters())
        # The probe, what it is pulled back to, g(x), and the gradient in x; and the coefficients, which are double.
        few_numbers = 4 * BATCH * 2 * FLOAT + 2 * 8 * (1 + TERMS[-1])
        assert (of_block < by_m(name)).all() and (by_m(name) <= of_block + few_numbers).all()


@pytest.mark.parametrize("blocks", [1, 4])
@pytest.mark.parametrize("name", GRADIENTS)
def test_what_the_engine_refuses_by_is_no_less_than_the_peak(name, blocks):
    # One block holds all terms where they are differentiated in the forward pass.
    flow, x = flow_and_points(blocks=blocks)
    train = TrainConfig(log_det=way(name, 10), batch=BATCH)
    by_products = footprint(flow, x, way(name, 10), seeded(1)).peak
    with Ledger([x, *flow.parameters(), *flow.buffers()]) as ledger:
        torch.autograd.grad(-flow.log_prob(x, way(name, 10), seeded(1)).mean(), list(flow.parameters()))
    assert by_products < bytes_of_products(flow.config, train) < 10 * by_products
    assert ledger.peak < step_bytes(flow.config, train) < 10 * ledger.peak


def test_the_variance_is_that_of_the_gradients_of_the_same_draws():
    flow, x = flow_and_points(blocks=2)
    found = cost(flow, x, Truncated(4), seeded(5), draws=20, clock=map(float, count()).__next__)
    assert found.seconds == len(flow.bijections) + 2  # each part, the loss, and the backward pass
    generator, gradients = seeded(5), []
    for _ in range(20):
        loss = -flow.log_prob(x, Truncated(4), generator).mean()
        parts = torch.autograd.grad(loss, list(flow.parameters()))
        gradients.append(np.concatenate([part.numpy().ravel() for part in parts]).astype(float))
    g = np.array(gradients)
    variance = g.var(0, ddof=1).sum()
    expected = variance / ((g.mean(0) ** 2).sum() - variance / 20)
    assert found.variance.value == pytest.approx(expected, rel=1e-4)


PLAN = SurveyPlan(FlowConfig(blocks=2, width=8), batch=8, terms=3, draws=4)


def survey(pieces):
    subjects = Subjects(PLAN)
    return Survey(PLAN, tuple(subjects.piece(k) for k in range(pieces)))


def test_every_way_is_measured_at_the_same_places():
    found = survey(PLAN.pieces)
    assert found.complete and found.step == PLAN.pieces
    for name in GRADIENTS:
        assert {(p.n, p.m) for p in found.footprints if p.gradient == name} == {(1, 2), (2, 2), (3, 2), (3, 1)}
        assert {(p.n, p.m) for p in found.costs if p.gradient == name} == {(1, 2), (2, 2), (3, 2)}
    assert {p.m for p in found.footprints if p.gradient == NOTHING} == {1, 2}
    assert [p.m for p in found.costs if p.gradient == NOTHING] == [2]


def test_what_takes_too_much_memory_or_time_is_refused_with_value_limit_and_remedy():
    assert PLAN.problem is None and too_much_work(PLAN) is None
    with pytest.raises(ValueError, match="draws = 2: use"):
        SurveyPlan(PLAN.flow, batch=8, terms=3, draws=2)
    wide = SurveyPlan(FlowConfig(dim=64, blocks=16, width=256), batch=256, terms=20, draws=8)
    need, most = map(int, re.findall(r"(\d+) MiB", wide.problem))
    assert need > most == MOST_BYTES >> 20 and "Lower terms" in wide.problem
    deep = SurveyPlan(FlowConfig(dim=64, blocks=16, width=256, hidden_layers=4), batch=8, terms=2, draws=32)
    need, most = map(int, re.findall(r"(\d+) MiB", deep.problem))
    assert need == round(32 * 4 * parameter_count(deep.flow) / 2**20) > most == MOST_BYTES >> 20
    assert "32 passes" in deep.problem and "Lower passes" in deep.problem
    slow = SurveyPlan(FlowConfig(blocks=16, width=8, activation="maxmin", hidden_layers=4), batch=8, terms=20, draws=8)
    assert slow.problem is None
    need, most = (int(number.replace(",", "")) for number in re.findall(r"\d[\d,]+", too_much_work(slow)))
    assert 0 <= need - naive_work(slow) < 1_000 and need > most == MOST_WORK and "Lower terms" in too_much_work(slow)


def test_of_what_is_known_in_part_the_rest_is_nan():
    part = survey(3)
    assert not part.complete and part.step == 3 and not part.costs
    known, unknown = (Place(name, 3, 2) for name in list(GRADIENTS)[:2])
    base = part.footprints[Place(NOTHING, 0, 2)]
    assert part.bytes_at(known, "peak", True) == part.footprints[known].peak - base.peak > 0
    assert part.bytes_at(known, "kept", False) == part.footprints[known].kept
    assert part.footprints[known] == footprint(*subject(PLAN.flow, 8, seeded(0)), known.log_det, seeded(1))
    assert np.isnan(part.bytes_at(unknown, "peak", True))
    assert np.isnan(Survey(PLAN).bytes_at(known, "peak", False))


def test_the_work_of_all_blocks_and_terms_is_known_from_one_block():
    plan = SurveyPlan(FlowConfig(blocks=4, width=16, activation="cpila"), batch=16, terms=7, draws=4)
    real = work(*subject(plan.flow, 16, seeded(0)), Place(NAIVE, 7, 4).log_det, seeded(1))
    assert real <= naive_work(plan) < 1.05 * real


def test_the_standard_error_is_how_far_repetitions_lie_apart():
    # Gradients with mean (1, ..., 1) and covariance s^2 I: the true ratio is s^2.
    draws = 1 + 0.7 * torch.randn(200, 24, 30, generator=seeded(0), dtype=torch.float64)
    found = [relative_variance(g) for g in draws]
    values = np.array([estimate.value for estimate in found])
    assert abs(values.mean() - 0.49) < 5 * values.std() / 200**0.5
    error = np.sqrt(np.mean([estimate.standard_error**2 for estimate in found]))
    assert error == pytest.approx(values.std(), rel=0.2)
