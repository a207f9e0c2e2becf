"""Steps: schedules, averages, weight decay, determinism, divergence, and the memory that they take."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.fast import compiled
from resflow_core.fast.folding import FoldedBranch
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.residual import Branch
from resflow_core.roulette import Geometric
from resflow_core.training import step_work
from resflow_core.training.step_work import PART_SECONDS, USUAL_SECONDS, part_count
from resflow_core.training.trainer import SCHEDULES, Diverged, HybridTrainConfig, TrainConfig, Trainer, step_bytes
from tests.core.breathing import Breaths, Ended, EndsAt
from tests.core.oracles import points, seeded

FLOW = FlowConfig(blocks=4, width=16, activation="sine")
TRAIN = TrainConfig(batch=100, learning_rate=0.01, warmup=5, schedule="constant", average=0.0)


def trainer(train=TRAIN, seed=0, flow=FLOW, backend="torch"):
    return Trainer(flow, train, DATASETS["moons"], seed, backend=backend)


def run(trainer, steps):
    return [trainer.step() for _ in range(steps)]


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_checkpoint_continues_the_run_exactly(average):
    train = TrainConfig(log_det=Roulette(), batch=50, average=average)
    first = trainer(train)
    run(first, 5)
    state = first.state_bytes()
    expected = run(first, 5)
    second = trainer(train, seed=9)
    second.load_state(state)
    assert second.step_count == 5
    assert run(second, 5) == expected != run(trainer(train, seed=9), 10)[5:]
    for a, b in zip(first.evaluated.parameters(), second.evaluated.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_reported_nll_is_exact_and_not_the_estimate():
    exact, rough = (trainer(TrainConfig(log_det=e, batch=100)) for e in (Exact(), Roulette(Geometric(0.9, 0))))
    assert rough.step() == pytest.approx(exact.step(), abs=1e-6)  # same weights, same batch


def test_settings_change_while_it_trains():
    t = trainer()
    t.step()
    t.configure(TrainConfig(learning_rate=1e-5, batch=37, log_det=Truncated(3)))
    before = [p.clone() for p in t.flow.parameters()]
    t.step()
    # Adam moves no weight by much more than its rate.
    moved = max((a - b).abs().max().item() for a, b in zip(before, t.flow.parameters(), strict=True))
    assert 0 < moved < 1e-4


def test_the_rate_warms_up_and_then_stays(monkeypatch):
    t, rates = trainer(), []
    step = t._adam.step
    monkeypatch.setattr(t._adam, "step", lambda gradient, rate: rates.append(rate) or step(gradient, rate))
    run(t, 8)
    np.testing.assert_allclose(rates, [0.002, 0.004, 0.006, 0.008, 0.01, 0.01, 0.01, 0.01])


def test_schedules_fall_from_the_learning_rate_and_the_cosine_is_torchs():
    for name in SCHEDULES:
        train = TrainConfig(learning_rate=0.1, schedule=name, horizon=100, warmup=0)
        rates = [train.rate(step) for step in range(1_000)]
        assert rates[0] == pytest.approx(0.1) and rates[-1] >= 0.001
        assert all(after <= before for before, after in pairwise(rates)), name
    peer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(peer, 100)
    train = TrainConfig(learning_rate=0.1, schedule="cosine", horizon=100, warmup=0)
    for step in range(90):  # then ours keeps its least rate
        assert train.rate(step) == pytest.approx(scheduler.get_last_lr()[0])
        peer.step()
        scheduler.step()


def test_the_weight_average_is_the_moving_average_of_all_parameters():
    t = trainer(TrainConfig(batch=50, average=0.7))
    t.step()
    expected = [p.detach().clone() for p in t.flow.parameters()]
    for step in range(2, 31):
        t.step()
        decay = min(0.7, step / (step + 10))
        expected = [decay * a + (1 - decay) * p.detach() for a, p in zip(expected, t.flow.parameters(), strict=True)]
    assert t.evaluated is not t.flow
    for mine, theirs in zip(t.evaluated.parameters(), expected, strict=True):
        torch.testing.assert_close(mine.detach(), theirs, atol=1e-6, rtol=1e-5)
    t.configure(TrainConfig(batch=50, average=0.0))
    t.step()
    assert t.evaluated is t.flow


def test_weight_decay_is_adamws_and_of_matrices_only():
    t = trainer(TrainConfig(batch=50, weight_decay=0.5, warmup=0))
    peer = trainer(TrainConfig(batch=50, warmup=0))
    before = {name: p.detach().clone() for name, p in t.flow.named_parameters()}
    t.step()
    peer.step()
    for name, p in peer.flow.named_parameters():
        decayed = t.train_config.rate(0) * 0.5 * before[name] if p.ndim > 1 else 0.0
        torch.testing.assert_close(t.flow.get_parameter(name).detach(), p.detach() - decayed, atol=1e-7, rtol=0)


def test_divergence_stops_before_the_weights_are_touched_and_says_what_to_change():
    t = trainer()
    run(t, 3)
    with torch.no_grad():
        t.flow.bijections[0].log_scale.fill_(80.0)
    before = [p.clone() for p in t.flow.parameters()]
    with pytest.raises(Diverged, match=r"at step 4\. Lower the learning rate \(now 0\.01\)"):
        t.step()
    assert t.step_count == 3
    assert all(torch.equal(a, b) for a, b in zip(before, t.flow.parameters(), strict=True))


@pytest.mark.parametrize(
    ("field", "value"), [("batch", 5_000), ("batch", 1), ("learning_rate", 0.0), ("log_det", "exact")]
)
def test_bad_settings_are_refused(field, value):
    with pytest.raises(ValueError, match=f"{field} = {value!r}: use"):
        TrainConfig(**{field: value})


def bytes_saved(trainer):
    """For the backward pass of one step."""
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        trainer.step()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize(
    ("activation", "log_det"),
    [
        ("sine", Exact()), ("relu", Truncated(8)), ("clipswish", Truncated(3, n_probes=4)),
        ("maxmin", Roulette(shared=True)), ("=tanh(z) + sin(3*z)/6", Truncated(8)), ("cpila", Exact()),
    ],
    ids=str,
)  # fmt: skip
def test_the_memory_of_a_step_is_known_beforehand(activation, log_det):
    flow = FlowConfig(blocks=2, width=32, activation=activation)
    train = TrainConfig(log_det=log_det, batch=200)
    t = Trainer(flow, train, DATASETS["moons"], seed=0)
    t._by_hand = None  # it keeps the same tensors, but not through autograd
    saved = bytes_saved(t)
    assert saved / 4 < step_bytes(flow, train) < 10 * saved
    if not isinstance(log_det, Roulette):  # whose number of terms is drawn
        assert saved < step_bytes(flow, train)


@pytest.mark.parametrize("kind", BASELINES)
def test_so_is_that_of_a_peers_step(kind):
    config, train = BaselineConfig(kind, 2, 64, 4), TrainConfig(batch=500)
    saved = bytes_saved(Trainer(config, train, DATASETS["moons"], seed=0))
    assert saved < step_bytes(config, train) < 4 * saved


BY_ROULETTE = TrainConfig(batch=101, log_det=Roulette())
CASES = {
    "exact": (FLOW, TrainConfig(batch=101)),
    "exact, three layers": (FlowConfig(blocks=2, width=8, hidden_layers=3, actnorm=False), TrainConfig(batch=101)),
    "learned norms": (FlowConfig(blocks=2, width=8, norms="learned"), TrainConfig(batch=101)),
    "in the forward pass": (FLOW, TrainConfig(batch=101, log_det=Roulette(gradient="in_forward", n_draws=3))),
    "shared": (FLOW, TrainConfig(batch=101, log_det=Roulette(shared=True, n_probes=2, probe="orthogonal"))),
    "hybrid": (HybridConfig(FLOW, 2), HybridTrainConfig(batch=101, log_det=Roulette())),
    "coupling": (BaselineConfig("realnvp", 2, 16, 2), TrainConfig(batch=101)),
}


@pytest.fixture
def in_parts(monkeypatch):
    """Steps are taken in many parts from now on."""

    def cut(parts=7):
        monkeypatch.setattr("resflow_core.training.trainer.part_count", lambda *_: parts)

    return cut


@pytest.mark.parametrize(
    ("name", "backend"), [*((name, "torch") for name in CASES), ("exact", "numba"), ("exact, three layers", "numba")]
)
def test_parts_add_up_to_the_step(name, backend, in_parts):
    whole, cut = (trainer(CASES[name][1], flow=CASES[name][0], backend=backend) for _ in range(2))
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


@pytest.mark.parametrize(("backend", "call"), [("torch", 3), ("numba", 1)])
def test_a_step_that_is_ended_leaves_the_weights_and_a_saved_state_goes_on(call, backend, in_parts):
    in_parts()
    one = trainer(BY_ROULETTE, backend=backend)
    one.step()
    saved, weights = one.state_bytes(), one._weights.vector.clone()
    rest = [one.step(), one.step()]
    one.load_state(saved)
    with pytest.raises(Ended):
        one.step(breathe=EndsAt(call))
    assert torch.equal(one._weights.vector, weights) and one.step_count == 1
    one.load_state(saved)
    assert [one.step(), one.step()] == rest


def test_a_small_step_is_taken_at_once_and_no_part_of_a_large_one_is_longer_than_wanted():
    assert part_count(FlowConfig(), TrainConfig()) == part_count(FLOW, BY_ROULETTE) == 1
    largest, train = FlowConfig(blocks=32, width=256, hidden_layers=4), TrainConfig(batch=600)
    seconds = step_work.step_work(largest, train).rows * USUAL_SECONDS
    assert 0.5 * PART_SECONDS < seconds / part_count(largest, train) <= 1.0001 * PART_SECONDS
    assert part_count(largest, TrainConfig(batch=2)) <= 2


@pytest.mark.parametrize("name", ["lipswish", "maxmin", "cpila", "=sin(z)/2 + z/4"])
def test_a_vector_is_pulled_back_as_by_autograd(name):
    branch = FoldedBranch([2, 6, 6, 2], name, 0.9, seeded(0)).double()
    x, w = 2 * points(9, 2), points(9, 2)
    _, jacobian = Branch.value_and_jacobian(branch, x)
    torch.testing.assert_close(branch.pullback(x)(w), torch.einsum("bi,bij->bj", w, jacobian))


@pytest.mark.parametrize("hidden_layers", [1, 2])
def test_no_value_of_kernels_depends_on_the_parts(hidden_layers):
    flow = FlowConfig(blocks=3, width=8, hidden_layers=hidden_layers).build(seeded(0))
    x = points(1_000, 2).float()

    def found(values):
        flow.values = values
        with torch.no_grad():
            return [*flow.forward_and_jacobians(x), flow.log_prob(x), torch.stack(flow.stages(x)), flow.inverse(x)]

    in_parts = found(compiled.CompiledValues(flow, points_a_part=300))
    assert all(map(torch.equal, in_parts, found(compiled.CompiledValues(flow))))
