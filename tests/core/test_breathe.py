"""Long work in parts: the same gradient as at once, with the same draws, and a hook in between that may end it."""

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from resflow_core import lipschitz, measure
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.breathe import without
from resflow_core.data import DATASETS
from resflow_core.fast import compiled
from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS
from resflow_core.hybrid import HybridConfig
from resflow_core.lipschitz import Soft
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import evaluation
from resflow_core.norms.constraints import Hard, Off
from resflow_core.residual import Stack
from resflow_core.training import step_work
from resflow_core.training.step_work import PART_SECONDS, USUAL_SECONDS, part_count
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer
from tests.core.breathing import Breaths, Ended, EndsAt
from tests.core.oracles import points, seeded

FLOW = FlowConfig(blocks=3, width=8)
ESTIMATORS = [
    *(Roulette(gradient=name) for name in GRADIENTS),
    Roulette(shared=True, n_probes=2, probe="orthogonal"),
    Roulette(n_draws=3, probe="rademacher"),
    Truncated(4, n_probes=2),
]
CASES = {
    "exact": (FLOW, TrainConfig(batch=101)),
    "exact, three layers": (FlowConfig(blocks=2, width=8, hidden_layers=3), TrainConfig(batch=101)),
    "no ActNorm": (FlowConfig(blocks=2, width=8, actnorm=False, activation="lipswish"), TrainConfig(batch=101)),
    "learned norms": (FlowConfig(blocks=2, width=8, norms="learned"), TrainConfig(batch=101)),
    **{str(log_det): (FLOW, TrainConfig(batch=101, log_det=log_det)) for log_det in ESTIMATORS},
    "hybrid": (HybridConfig(FLOW, 2), HybridTrainConfig(batch=101, log_det=Roulette())),
    "coupling": (BaselineConfig("realnvp", 2, 16, 2), TrainConfig(batch=101)),
}
KERNELS = ["exact", "exact, three layers", "no ActNorm"]


def trainer(case, backend="torch", seed=0):
    flow, train = case
    return Trainer(flow, train, DATASETS["moons"], seed, backend=backend)


@pytest.fixture
def in_parts(monkeypatch):
    """Steps are taken in many parts from now on."""

    def cut(parts=7):
        monkeypatch.setattr("resflow_core.training.trainer.part_count", lambda *_: parts)

    return cut


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "backend"),
    [*((name, "torch") for name in CASES), *((name, "numba") for name in KERNELS)],
)
def test_parts_add_up_to_the_step(name, backend, in_parts):
    whole, cut = (trainer(CASES[name], backend) for _ in range(2))
    assert whole.backend == cut.backend == backend
    losses = [whole.step() for _ in range(2)]
    in_parts()
    found = []
    for _ in range(2):
        breathe = Breaths()
        found.append(cut.step(breathe=breathe))
        assert breathe.count >= 6
    np.testing.assert_allclose(found, losses, rtol=2e-5)
    for a, b in zip(cut.model.parameters(), whole.model.parameters(), strict=True):
        # Adam divides by the gradient's size, so a tiny gradient's rounding moves its weight.
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("name", ["exact", "hybrid", str(Roulette())])
def test_the_gradient_is_that_of_the_whole_batch(name, in_parts):
    whole, cut = (trainer(CASES[name]) for _ in range(2))
    loss, _ = whole._differentiated(*whole._batch(whole.train_config), whole.train_config, without)
    in_parts(13)
    sum_of_parts, _ = cut._differentiated(*cut._batch(cut.train_config), cut.train_config, without)
    assert sum_of_parts == pytest.approx(loss, rel=1e-5)
    a, b = cut._weights._gradient, whole._weights._gradient
    assert float((a - b).norm()) < 1e-5 * float(b.norm())


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("call", [1, 3])
def test_a_step_that_is_ended_leaves_the_weights_and_a_saved_state_goes_on(call, backend, in_parts):
    case = CASES[str(Roulette())]
    in_parts()
    one = trainer(case, backend)
    one.step()
    saved, weights = one.state_bytes(), one._weights.vector.clone()
    rest = [one.step(), one.step()]
    one.load_state(saved)
    with pytest.raises(Ended):
        one.step(breathe=EndsAt(call))
    assert torch.equal(one._weights.vector, weights) and one.step_count == 1
    one.load_state(saved)
    assert [one.step(), one.step()] == rest


def test_settings_that_change_between_two_parts_act_from_the_next_step_on(in_parts):
    case = CASES["exact"]
    in_parts()
    changed, unchanged = trainer(case), trainer(case)
    breathe = Breaths(lambda: changed.configure(TrainConfig(batch=10, learning_rate=0.1)))
    assert changed.step(breathe=breathe) == unchanged.step()
    for a, b in zip(changed.model.parameters(), unchanged.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert changed.step() != unchanged.step()


class TestHowMany:
    LARGEST = FlowConfig(blocks=32, width=256, hidden_layers=4)

    def test_a_small_step_is_taken_at_once(self):
        assert part_count(FlowConfig(), TrainConfig()) == part_count(FLOW, TrainConfig(log_det=Roulette())) == 1

    @pytest.mark.parametrize("batch", [2, 600, 4096])
    def test_no_part_of_an_exact_step_is_longer_than_wanted(self, batch):
        train = TrainConfig(batch=batch)
        seconds = step_work.step_work(self.LARGEST, train).rows * USUAL_SECONDS
        assert seconds / part_count(self.LARGEST, train) <= 1.0001 * PART_SECONDS
        assert part_count(self.LARGEST, train) <= batch

    def test_of_others_each_computes_the_norms_and_takes_no_longer_for_the_rest(self):
        train = TrainConfig(batch=512, log_det=Roulette())
        work = step_work.step_work(self.LARGEST, train)
        assert part_count(self.LARGEST, train) == math.ceil(work.rows / work.once)


class TestLargeFlows:
    """What is done once at a time for a large flow is the same as at once for any."""

    FLOW = FlowConfig(blocks=2, width=256, hidden_layers=2)

    @pytest.fixture
    def some_at_a_time(self, monkeypatch):
        monkeypatch.setattr(evaluation, "points_a_part", lambda config: 7)
        monkeypatch.setattr(lipschitz, "CACHED_NUMBERS", 256**2)

    def test_a_trainer_is_built_in_parts(self):
        breathe = Breaths()
        built = Trainer(self.FLOW, TrainConfig(batch=50), DATASETS["moons"], 3, breathe=breathe)
        assert breathe.count > self.FLOW.blocks
        whole = Trainer(self.FLOW, TrainConfig(batch=50), DATASETS["moons"], 3)
        assert built.state_bytes() == whole.state_bytes() and built.step() == whole.step()

    @pytest.mark.thorough
    @pytest.mark.parametrize("constraint", [Soft(), Hard(), Off()])
    def test_blocks_are_measured_in_parts(self, constraint, some_at_a_time):
        flow = dataclasses.replace(self.FLOW, constraint=constraint).build(seeded(0))
        x = points(20, 2).float()
        breathe = Breaths()
        found = measure.evaluate(flow, x, breathe)
        assert breathe.count == 2
        torch.testing.assert_close(found.jacobians, flow.forward_and_jacobians(x)[1])
        torch.testing.assert_close(found.log_prob, flow.log_prob(x))
        table = measure.block_table(flow, found, Exact(), breathe)
        assert breathe.count >= 2 + 2
        weights = [linear.weight().double() for branch in flow.branches for linear in branch.linears]
        norms = np.array([np.linalg.norm(w.detach().numpy(), 2) for w in weights]).reshape(2, 3)
        np.testing.assert_allclose(table.layer_norms, norms, rtol=2e-5)
        np.testing.assert_allclose(table.lipschitz, [branch.lipschitz for branch in flow.branches], rtol=1e-12)

    @pytest.mark.parametrize("config", [FLOW, BaselineConfig("nsf", 2, 16, 2)])
    def test_a_density_is_computed_in_parts(self, config, some_at_a_time):
        flow, x, breathe = config.build(seeded(0)), points(20, 2).float(), Breaths()
        found = measure.log_prob(flow, x, breathe)
        assert breathe.count == 2
        torch.testing.assert_close(found, flow.log_prob(x).detach())

    def test_norms_that_are_at_hand_are_those_of_the_weights(self, some_at_a_time):
        one, other = (self.FLOW.build(seeded(0)) for _ in range(2))
        breathe = Breaths()
        with torch.no_grad():
            Stack(one.branches).constrained(breathe)
        assert breathe.count >= 2
        with torch.no_grad():
            assert all(map(torch.equal, Stack(one.branches).network().weights, Stack(other.branches).network().weights))


class TestKernels:
    """Kernels let other threads run, and compute the values of a large flow part by part."""

    @pytest.mark.parametrize("hidden_layers", [1, 2])
    @pytest.mark.parametrize("most", [3, 300])
    def test_no_value_depends_on_the_parts(self, hidden_layers, most):
        flow = FlowConfig(blocks=3, width=8, hidden_layers=hidden_layers).build(seeded(0))
        x = points(1_000, 2).float()

        def found(kernels):
            flow.kernels = kernels
            with torch.no_grad():
                jacobians = flow.forward_and_jacobians(x)
                return [*jacobians, flow.log_prob(x), torch.stack(flow.stages(x)), flow.inverse(x)]

        in_parts = found(compiled.CompiledValues(flow, points_a_part=most))
        assert all(map(torch.equal, in_parts, found(compiled.CompiledValues(flow))))

    def test_flows_that_train_in_several_threads_have_the_digits_that_they_have_alone(self):
        def digits(seed):
            one = trainer(CASES["exact"], "numba", seed)
            losses = [one.step() for _ in range(30)]
            return losses, measure.density_grid(one.evaluated, ((-3, 3), (-3, 3)), 30).tolist()

        alone = list(map(digits, range(4)))
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(digits, range(4))) == alone
