"""Memory, time and noise of the gradient: counts against independent ones, orders in bytes, never in seconds."""

import dataclasses
import gc
import time
import weakref
from functools import lru_cache
from inspect import signature
from itertools import count, cycle
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from resflow_core.flow import FlowConfig, standard_normal_log_prob
from resflow_core.gradients import GRADIENTS
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import LEAST_DRAWS, Estimate, NoLogDet, cost, footprint, subject
from resflow_core.measure.ledger import Ledger
from resflow_core.measure.memory import DOUBLING_NUMBERS, relative_variance, work
from resflow_core.measure.scaling import Plan, Subject
from resflow_core.residual import LinearisedSequential
from resflow_core.roulette import Geometric
from resflow_core.training.trainer import TrainConfig, bytes_of_products, step_bytes
from tests.core.breathing import Breaths
from tests.core.oracles import points, seeded

BATCH, WIDTH, TERMS, BLOCKS = 32, 48, (2, 5, 8), (2, 4, 6)
FLOAT = 4


class TestLedger:
    def test_every_storage_counts_once_until_its_last_view_is_gone(self):
        given = torch.zeros(1_000)
        with Ledger([given]) as ledger:
            a = given + 1
            b, _ = a.view(10, 100)[2:], given.view(50, 20)
            assert ledger.alive == 1_000 * FLOAT
            del a
            assert ledger.alive == 1_000 * FLOAT
            c = torch.zeros(500, dtype=torch.float64)
            del b
            assert (ledger.alive, ledger.peak) == (500 * 8, 500 * 8 + 1_000 * FLOAT)
            del c
        assert ledger.alive == 0

    def test_what_a_function_has_on_its_context_counts(self):
        class Keeps(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.hidden = torch.cat([x, x])
                return x.sum()

            @staticmethod
            def backward(ctx, d):
                return ctx.hidden.chunk(2)[0] * d

        x = torch.zeros(1_000, requires_grad=True)
        with Ledger([x]) as ledger:
            y = Keeps.apply(x)
            assert ledger.alive == 2_000 * FLOAT + FLOAT
            del y
            assert ledger.alive == 0

    def test_operations_of_the_backward_pass_are_seen(self):
        x = torch.ones(1_000, requires_grad=True)
        with Ledger([x]) as ledger:
            y = x.sin().sum()
            assert ledger.alive == FLOAT
            (slope,) = torch.autograd.grad(y, x)
            assert ledger.alive == slope.nbytes + FLOAT


@lru_cache
def flow_and_points(dim=2, blocks=4, batch=BATCH):
    return subject(FlowConfig(dim=dim, blocks=blocks, width=WIDTH, activation="lipswish"), batch, seeded(0))


def loss_by_products(flow, x, log_det):
    """Part by part, as a flow in the plane, whose A is so small, does not compute it by itself."""
    z, log_dets = flow.forward_and_log_dets(x, log_det, seeded(1))
    return -(standard_normal_log_prob(z) + log_dets.sum(1)).mean()


def kept_by_hooks(flow, x, log_det):
    """Bytes that are saved for the backward pass, or that Python's objects hold, once the forward pass has returned."""

    class Box:
        def __init__(self, tensor):
            self.tensor = tensor

    def sizes(tensors):
        return {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}

    def pack(tensor):
        box = Box(tensor)
        boxes.add(box)
        return box

    boxes, given = weakref.WeakSet(), sizes([x, *flow.parameters(), *flow.buffers()])
    gc.collect()
    gc.freeze()  # what was there before is not among the objects that are looked through
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.tensor):
        loss = loss_by_products(flow, x, log_det)
    gc.collect()
    held = sizes(t for t in gc.get_objects() if issubclass(type(t), torch.Tensor))
    gc.unfreeze()
    del loss
    kept = held | sizes(box.tensor for box in boxes)
    return sum(size for address, size in kept.items() if address not in given)


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


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "dim"), [*zip(["", *GRADIENTS], cycle([2, 64]), strict=False)])
class TestFootprint:
    @pytest.mark.slow
    def test_what_is_kept_is_what_hooks_see_and_python_holds(self, name, dim):
        flow, x = flow_and_points(dim)
        assert footprint(flow, x, way(name), seeded(1)).kept == kept_by_hooks(flow, x, way(name))

    def test_the_peak_is_the_allocators(self, name, dim):
        # Up to numbers within operations, and buffers that are added to in place where nobody looks.
        flow, x = flow_and_points(dim)
        found = footprint(flow, x, way(name), seeded(1))
        assert found.peak == pytest.approx(peak_by_allocator(flow, x, way(name)), rel=0.01)


@pytest.mark.parametrize("name", ["", *GRADIENTS])
def test_parts_count_what_one_pass_counts_and_nothing_of_what_others_do_meanwhile(name):
    flow, x = flow_and_points()
    parameters = list(flow.parameters())
    with Ledger([x, *parameters, *flow.buffers()]) as ledger:
        loss = loss_by_products(flow, x, way(name))
        kept = ledger.alive
        torch.autograd.grad(loss, parameters, materialize_grads=True)
    others = []
    breathe = Breaths(lambda: others.append(torch.zeros(10_000) + 1))
    found = footprint(flow, x, way(name), seeded(1), breathe)
    assert (found.kept, found.peak) == (kept, ledger.peak)
    assert breathe.count == len(flow.bijections) + 1


def test_work_is_the_number_of_operations_and_more_where_these_return_many_numbers():
    few, many = (flow_and_points(blocks=1, batch=batch) for batch in (8, 1024))
    for flow, x in (few, many):
        with Ledger() as ledger:
            torch.autograd.grad(loss_by_products(flow, x, way("plain")), list(flow.parameters()))
        found = work(flow, x, way("plain"), seeded(1))
        assert found - ledger.numbers / DOUBLING_NUMBERS == pytest.approx(ledger.operations, abs=3)  # the sign
    assert work(*few, way("plain"), seeded(1)) < 0.7 * work(*many, way("plain"), seeded(1))


@pytest.mark.parametrize("name", ["", *GRADIENTS])
def test_the_same_call_gives_the_same_bytes_whatever_is_drawn(name):
    flow, x = flow_and_points()
    first, *others = (footprint(flow, x, way(name), seeded(seed)) for seed in (1, 2))
    assert others == [first]
    assert first.gradients == FLOAT * sum(p.numel() for p in flow.parameters()) <= first.peak
    assert all(p.grad is None for p in flow.parameters())


@pytest.fixture(scope="module")
def alone():
    """Bytes of the log det alone in the plane: {(name, n, m): (kept, peak, of the gradients of a block)}."""
    return Alone()


class Alone(dict):
    """Measures what it is asked for."""

    def __missing__(self, key):
        name, n, m = key
        flow, x = flow_and_points(blocks=m)
        whole = footprint(flow, x, way(name, n), seeded(1))
        if not name:
            return whole
        base = self.setdefault(("", 0, m), self["", 0, m])
        of_block = FLOAT * sum(p.numel() for p in flow.blocks[0].parameters())
        self[key] = whole.kept - base.kept, whole.peak - base.peak, of_block
        return self[key]


KEPT, PEAK = 0, 1


def against_n(alone, name, what, m=BLOCKS[-1]):
    return np.array([alone[name, n, m][what] for n in TERMS], float)


def against_m(alone, name, what, n=TERMS[-1]):
    return np.array([alone[name, n, m][what] for m in BLOCKS], float)


def slopes(x, y):
    return np.diff(y) / np.diff(x)


@pytest.mark.thorough
class TestOrders:
    """O(nm), O(m), O(n) and O(1), as the registry says."""

    @pytest.mark.parametrize("what", [KEPT, PEAK])
    def test_each_trick_takes_less(self, alone, what):
        plain, neumann, plain_in_forward, both = (alone[name, 8, 6][what] for name in GRADIENTS)
        assert plain > 4 * neumann > 8 * both
        assert plain > 4 * plain_in_forward

    @pytest.mark.parametrize("what", [KEPT, PEAK])
    def test_term_by_term_grows_with_terms_times_blocks(self, alone, what):
        by_n, by_m = slopes(TERMS, against_n(alone, "plain", what)), slopes(BLOCKS, against_m(alone, "plain", what))
        np.testing.assert_allclose(by_n, by_n[0], rtol=0.01)
        np.testing.assert_allclose(by_m, by_m[0], rtol=0.01)
        few = slopes(TERMS, against_n(alone, "plain", what, m=2))
        np.testing.assert_allclose(by_n, 3 * few, rtol=0.01)  # of 6 blocks, not 2

    @pytest.mark.parametrize("what", [KEPT, PEAK])
    def test_the_neumann_series_grows_with_the_blocks_alone(self, alone, what):
        # Its few coefficients are double.
        assert np.ptp(against_n(alone, "neumann", what)) <= 2 * 8 * (TERMS[-1] - TERMS[0])
        by_m = slopes(BLOCKS, against_m(alone, "neumann", what))
        np.testing.assert_allclose(by_m, by_m[0], rtol=0.01)
        assert by_m[0] > 100 * BATCH * FLOAT  # units, not coordinates: a network's worth of each block

    @pytest.mark.parametrize("name", ["plain_in_forward", "in_forward"])
    def test_in_the_forward_pass_a_block_leaves_its_gradient_and_a_few_vectors(self, alone, name):
        assert np.ptp(against_n(alone, name, KEPT)) <= BLOCKS[-1] * 2 * 8 * (TERMS[-1] - TERMS[0])
        of_block = alone[name, TERMS[-1], 6][2]
        # The probe, what it is pulled back to, g(x), and the gradient in x; and the coefficients, which are double.
        few_numbers = 4 * BATCH * 2 * FLOAT + 2 * 8 * (1 + TERMS[-1])
        for what in (KEPT, PEAK):
            for of_each in slopes(BLOCKS, against_m(alone, name, what)):
                assert of_block < of_each <= of_block + few_numbers

    def test_term_by_term_in_the_forward_pass_peaks_with_the_terms_of_one_block(self, alone):
        by_n = [slopes(TERMS, against_n(alone, "plain_in_forward", PEAK, m)) for m in BLOCKS]
        one_block = slopes(TERMS, against_n(alone, "plain", PEAK, m=2))[0] / 2
        np.testing.assert_allclose(by_n, one_block, rtol=0.03)

    def test_both_together_peak_with_one_block_whatever_the_terms(self, alone):
        assert np.ptp(against_n(alone, "in_forward", PEAK)) <= BLOCKS[-1] * 2 * 8 * (TERMS[-1] - TERMS[0])
        assert alone["in_forward", 8, 6][PEAK] < 1.5 * alone["in_forward", 8, 2][PEAK]

    def test_in_64_dimensions_the_order_is_the_same(self):
        flow, x = flow_and_points(64)
        plain, neumann, plain_in_forward, both = (footprint(flow, x, way(name, 8), seeded(1)) for name in GRADIENTS)
        assert plain.kept > 2 * neumann.kept > 2 * both.kept > 2 * footprint(flow, x, NoLogDet(), seeded(1)).kept
        assert plain.peak > plain_in_forward.peak > both.peak
        assert plain_in_forward.kept < neumann.kept


@pytest.fixture
def products(monkeypatch):
    """Counts vector-Jacobian products of a block: `products.count`."""
    counted = SimpleNamespace(count=0)

    pullback = LinearisedSequential.pullback

    def counting(near, w):
        counted.count += 1
        return pullback(near, w)

    monkeypatch.setattr(LinearisedSequential, "pullback", counting)
    return counted


@pytest.mark.parametrize("name", GRADIENTS)
def test_in_the_plane_costs_are_those_of_vector_jacobian_products_which_flows_do_not_take_there(name, products):
    terms, blocks = 5, 3
    flow, x = flow_and_points(blocks=blocks)

    def of(measure):
        products.count = 0
        measure()
        return products.count

    assert of(lambda: flow.log_prob(x, way(name, terms), seeded(1))) == 0
    found = of(lambda: footprint(flow, x, way(name, terms), seeded(1)))
    assert found == blocks * (terms + GRADIENTS[name].by_neumann)  # whose gradient takes one more
    assert of(lambda: work(flow, x, way(name, terms), seeded(1))) == found
    assert of(lambda: cost(flow, x, way(name, terms), seeded(1), 3)) == 3 * found
    plan = Plan(flow.config, TrainConfig(batch=8, log_det=way(name, terms)), (2,))
    subject_of_plan = Subject(plan, 2, 0)
    assert of(lambda: subject_of_plan.gradient(x, way(name, terms), seeded(1))) == found
    assert of(lambda: subject_of_plan.gradient(x, Exact(), None)) == 0


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


class TestGradients:
    """Memory is saved for nothing: the gradients stay what they were."""

    @pytest.mark.parametrize("log_det", [Truncated(6, n_probes=3), Roulette(Geometric(0.5, 2), n_probes=3)], ids=str)
    @pytest.mark.parametrize("dim", [2, 5])
    @pytest.mark.parametrize("pair", [("plain", "plain_in_forward"), ("neumann", "in_forward")])
    def test_twins_have_one_gradient_through_a_flow_with_weights_of_each_sample(self, pair, dim, log_det):
        flow, x = subject(FlowConfig(dim=dim, blocks=3, width=12, activation="lipswish"), 7, seeded(0))
        flow, x = flow.double(), x.double().requires_grad_()
        weights, inputs, found = points(7, 1, seed=2)[:, 0], [x, *flow.parameters()], []
        for name in pair:
            log_prob = flow.log_prob(x, dataclasses.replace(log_det, gradient=name), seeded(3))
            found.append([log_prob.detach(), *torch.autograd.grad(weights @ log_prob, inputs)])
        for before, after in zip(*found, strict=True):
            torch.testing.assert_close(after, before, atol=1e-11, rtol=0)


class TestSubject:
    @pytest.mark.parametrize("dim", [2, 64])
    def test_its_layers_are_at_their_caps(self, dim):
        flow, x = flow_and_points(dim, blocks=2)
        for block in flow.blocks:
            for linear in block.branch.linears:
                norm = np.linalg.norm(linear.weight().detach().numpy(), 2)
                assert linear.cap * 0.999 < norm <= linear.cap * (1 + 1e-6)
        z = flow(x).detach()
        np.testing.assert_allclose(z.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(z.std(0), 1, atol=1e-4)


class TestCost:
    @pytest.mark.thorough
    def test_the_variance_is_that_of_the_gradients_of_the_same_draws(self):
        flow, x = flow_and_points(blocks=2)
        breathe = Breaths()
        found = cost(flow, x, Truncated(4), seeded(5), draws=20, breathe=breathe)
        assert breathe.count == 20 * (len(flow.bijections) + 2) and found.seconds > 0
        generator, gradients = seeded(5), []
        for _ in range(20):
            loss = -flow.log_prob(x, Truncated(4), generator).mean()
            parts = torch.autograd.grad(loss, list(flow.parameters()))
            gradients.append(np.concatenate([part.numpy().ravel() for part in parts]).astype(float))
        g = np.array(gradients)
        variance = g.var(0, ddof=1).sum()
        expected = variance / ((g.mean(0) ** 2).sum() - variance / 20)
        assert found.variance.value == pytest.approx(expected, rel=1e-4)
        assert 0 < found.variance.standard_error < expected

    def test_seconds_are_those_of_all_parts_of_the_median_pass_by_the_clock_of_the_thread(self):
        flow, x = flow_and_points(blocks=2)
        ticks = count()
        found = cost(flow, x, NoLogDet(), seeded(5), draws=3, clock=lambda: float(next(ticks)))
        assert found.seconds == len(flow.bijections) + 2  # each part, the loss, and the backward pass
        assert signature(cost).parameters["clock"].default is time.thread_time

    def test_without_a_log_det_nothing_is_drawn_and_nothing_varies(self):
        flow, x = flow_and_points(blocks=2)
        found = cost(flow, x, NoLogDet(), seeded(5), draws=4)
        assert found.variance.value == pytest.approx(0, abs=1e-10)

    @pytest.mark.thorough
    def test_the_standard_error_is_how_far_repetitions_lie_apart(self):
        # Gradients with mean (1, ..., 1) and covariance s^2 I: the true ratio is s^2.
        draws = 1 + 0.7 * torch.randn(200, 24, 30, generator=seeded(0), dtype=torch.float64)
        found = [relative_variance(g) for g in draws]
        values = np.array([estimate.value for estimate in found])
        assert abs(values.mean() - 0.49) < 5 * values.std() / 200**0.5
        error = np.sqrt(np.mean([estimate.standard_error**2 for estimate in found]))
        assert error == pytest.approx(values.std(), rel=0.2)

    def test_a_gradient_that_the_noise_hides_has_no_ratio(self):
        g = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)
        assert np.isnan(relative_variance(g).value)
        assert isinstance(relative_variance(g), Estimate)

    def test_too_few_draws_are_refused(self):
        flow, x = flow_and_points(blocks=1)
        with pytest.raises(ValueError, match=f"2 draws have no standard error: use {LEAST_DRAWS} or more"):
            cost(flow, x, Truncated(2), seeded(0), draws=2)
