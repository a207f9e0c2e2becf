"""A long step in pieces: the same gradient as at once, with the same draws, and nothing lost in between."""

import dataclasses
import math
from itertools import islice

import numpy as np
import pytest
import torch

from resflow_core import measure
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.fast import capped
from resflow_core.fast.folding import FoldedBranch, constrained_in_pieces, fold
from resflow_core.fast.pieces import finished
from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS
from resflow_core.hybrid import HybridConfig
from resflow_core.lipschitz import Soft
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import evaluation
from resflow_core.norms.constraints import Hard, Off
from resflow_core.residual import Branch
from resflow_core.training import step_work
from resflow_core.training.step_work import PIECE_SECONDS, USUAL_SECONDS, piece_count, piece_share
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer
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


def counted(pieces):
    """How often it stopped, and the result."""
    for count in range(1_000):
        try:
            next(pieces)
        except StopIteration as end:
            return count, end.value
    raise AssertionError("it does not end")


@pytest.fixture
def in_pieces(monkeypatch):
    """Steps are taken in many pieces from now on."""

    def cut(pieces=7):
        monkeypatch.setattr("resflow_core.training.trainer.piece_count", lambda *_: pieces)

    return cut


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "backend"),
    [*((name, "torch") for name in CASES), *((name, "numba") for name in KERNELS)],
)
def test_pieces_add_up_to_the_step(name, backend, in_pieces):
    whole, cut = (trainer(CASES[name], backend) for _ in range(2))
    assert whole.backend == cut.backend == backend
    losses = [whole.step() for _ in range(2)]
    in_pieces()
    found = []
    for _ in range(2):
        count, nll = counted(cut.pieces())
        assert count >= 6
        found.append(nll)
    np.testing.assert_allclose(found, losses, rtol=2e-5)
    for a, b in zip(cut.model.parameters(), whole.model.parameters(), strict=True):
        # Adam divides by the gradient's size, so a tiny gradient's rounding moves its weight.
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("name", ["exact", "hybrid", str(Roulette())])
def test_the_gradient_is_that_of_the_whole_batch(name, in_pieces):
    whole, cut = (trainer(CASES[name]) for _ in range(2))
    loss, _ = finished(whole._differentiated(*whole._batch(whole.train_config), whole.train_config))
    in_pieces(13)
    in_parts, _ = finished(cut._differentiated(*cut._batch(cut.train_config), cut.train_config))
    assert in_parts == pytest.approx(loss, rel=1e-5)
    a, b = cut._weights._gradient, whole._weights._gradient
    assert float((a - b).norm()) < 1e-5 * float(b.norm())


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.thorough
def test_what_is_saved_between_two_pieces_is_the_state_before_the_step(pieces, in_pieces):
    case = CASES[str(Roulette())]
    in_pieces()
    one = trainer(case)
    one.step()
    under_way = one.pieces()
    list(islice(under_way, pieces))
    saved = one.state_bytes()
    rest = [finished(under_way), one.step()]
    other = trainer(case, seed=5)
    list(islice(other.pieces(), 2))  # something else was under way
    other.load_state(saved)
    assert [other.step(), other.step()] == rest


def test_settings_that_change_between_two_pieces_act_from_the_next_step_on(in_pieces):
    case = CASES["exact"]
    in_pieces()
    changed, unchanged = trainer(case), trainer(case)
    under_way = changed.pieces()
    next(under_way)
    changed.configure(TrainConfig(batch=10, learning_rate=0.1))
    assert finished(under_way) == unchanged.step()
    for a, b in zip(changed.model.parameters(), unchanged.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert changed.step() != unchanged.step()


class TestHowMany:
    LARGEST = FlowConfig(blocks=32, width=256, hidden_layers=4)

    def test_a_small_step_is_taken_at_once(self):
        assert piece_count(FlowConfig(), TrainConfig()) == piece_count(FLOW, TrainConfig(log_det=Roulette())) == 1
        assert piece_share(FlowConfig(), TrainConfig()) == 1.0

    @pytest.mark.parametrize("batch", [2, 600, 4096])
    def test_no_piece_of_an_exact_step_is_longer_than_wanted(self, batch):
        train = TrainConfig(batch=batch)
        seconds = step_work.step_work(self.LARGEST, train).total * USUAL_SECONDS
        assert seconds * piece_share(self.LARGEST, train) <= 1.0001 * PIECE_SECONDS
        assert piece_count(self.LARGEST, train) <= batch

    def test_of_others_each_computes_the_norms_and_takes_no_longer_for_the_rest(self):
        train = TrainConfig(batch=512, log_det=Roulette())
        work = step_work.step_work(self.LARGEST, train)
        assert piece_count(self.LARGEST, train) == math.ceil(work.rows / work.once)


@pytest.mark.parametrize("name", ["sine", "lipswish", "maxmin", "cpila", "=sin(z)/2 + z/4"])
def test_a_vector_is_pulled_back_as_by_autograd(name):
    branch = FoldedBranch([2, 6, 6, 2], name, 0.9, seeded(0)).double()
    x, w = 2 * points(9, 2), points(9, 2)
    _, jacobian = Branch.value_and_jacobian(branch, x)
    torch.testing.assert_close(branch.pullback(x)(w), torch.einsum("bi,bij->bj", w, jacobian))


class TestLargeFlows:
    """What is done once at a time for a large flow is the same as at once for any."""

    FLOW = FlowConfig(blocks=2, width=256, hidden_layers=2)

    @pytest.fixture
    def some_at_a_time(self, monkeypatch):
        monkeypatch.setattr(evaluation, "points_a_piece", lambda config: 7)
        monkeypatch.setattr(capped, "CACHED_NUMBERS", 256**2)

    def test_a_trainer_is_built_in_pieces(self):
        count, built = counted(Trainer.building(self.FLOW, TrainConfig(batch=50), DATASETS["moons"], 3))
        assert count > self.FLOW.blocks
        whole = Trainer(self.FLOW, TrainConfig(batch=50), DATASETS["moons"], 3)
        assert built.state_bytes() == whole.state_bytes() and built.step() == whole.step()

    @pytest.mark.thorough
    @pytest.mark.parametrize("constraint", [Soft(), Hard(), Off()])
    def test_blocks_are_measured_in_pieces(self, constraint, some_at_a_time):
        flow = dataclasses.replace(self.FLOW, constraint=constraint).build(seeded(0))
        x = points(20, 2).float()
        count, found = counted(measure.evaluate_in_pieces(flow, x))
        assert count == 2
        torch.testing.assert_close(found.jacobians, flow.forward_and_jacobians(x)[1])
        torch.testing.assert_close(found.log_prob, flow.log_prob(x))
        count, table = counted(measure.block_table_in_pieces(flow, found, Exact()))
        assert count >= 2
        weights = [linear.weight().double() for branch in flow.branches for linear in branch.linears]
        norms = np.array([np.linalg.norm(w.detach().numpy(), 2) for w in weights]).reshape(2, 3)
        np.testing.assert_allclose(table.layer_norms, norms, rtol=2e-5)
        np.testing.assert_allclose(table.lipschitz, [branch.lipschitz for branch in flow.branches], rtol=1e-12)

    def test_norms_that_are_at_hand_are_those_of_the_weights(self, some_at_a_time):
        one, other = (self.FLOW.build(seeded(0)) for _ in range(2))
        assert counted(constrained_in_pieces(one.branches))[0] >= 2
        with torch.no_grad():
            assert all(map(torch.equal, fold(one.branches).weights, fold(other.branches).weights))
