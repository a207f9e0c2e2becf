from itertools import cycle, pairwise, product

import numpy as np
import pytest
import torch

from resflow_core.activations import ACTIVATIONS
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import log_prob, mean_nll
from resflow_core.measure.ledger import Ledger
from resflow_core.roulette import Geometric
from resflow_core.training.trainer import SCHEDULES, Diverged, TrainConfig, Trainer, step_bytes

FLOW = FlowConfig(blocks=4, width=16, activation="sine")
TRAIN = TrainConfig(batch=100, learning_rate=0.01, warmup=5, schedule="constant", average=0.0)


def trainer(train=TRAIN, seed=0, data="moons"):
    return Trainer(FLOW, train, DATASETS[data], seed)


def run(trainer, steps):
    return [trainer.step() for _ in range(steps)]


@pytest.mark.thorough
@pytest.mark.parametrize("log_det", [Exact(), Truncated(5, "rademacher"), Roulette(Geometric(0.5, 3), "rademacher")])
@pytest.mark.slow
def test_training_lowers_the_exact_nll_whatever_estimator_trains(log_det):
    t = trainer(TrainConfig(log_det=log_det, batch=100, learning_rate=0.01))
    before = mean_nll(log_prob(t.flow, t.dataset.held_out()))
    run(t, 100)
    after = mean_nll(log_prob(t.flow, t.dataset.held_out()))
    assert after.value < before.value - 10 * before.standard_error


def test_the_reported_nll_is_exact_and_not_the_estimate():
    exact, rough = (trainer(TrainConfig(log_det=e, batch=100)) for e in (Exact(), Roulette(Geometric(0.9, 0))))
    assert rough.step() == pytest.approx(exact.step(), abs=1e-6)  # same weights, same batch


@pytest.mark.thorough
def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    train = TrainConfig(log_det=Roulette(), batch=50)
    assert run(trainer(train), 5) == run(trainer(train), 5)
    assert run(trainer(train), 5) != run(trainer(train, seed=1), 5)


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
    assert run(second, 5) == expected
    for a, b in zip(first.evaluated.parameters(), second.evaluated.parameters(), strict=True):
        assert torch.equal(a, b)


def test_settings_change_while_it_trains():
    t = trainer()
    run(t, 10)
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


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_falls_from_the_learning_rate_and_leaves_some_of_it(name):
    train = TrainConfig(learning_rate=0.1, schedule=name, horizon=100, warmup=0)
    rates = [train.rate(step) for step in range(1_000)]
    assert rates[0] == pytest.approx(0.1)
    assert all(after <= before for before, after in pairwise(rates))
    assert rates[-1] >= 0.001


def test_the_cosine_is_torchs():
    train = TrainConfig(learning_rate=0.1, schedule="cosine", horizon=100, warmup=0)
    peer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(peer, 100)
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


def test_the_average_changes_no_step():
    plain, averaged = trainer(TrainConfig(batch=50, average=0.0)), trainer(TrainConfig(batch=50, average=0.9))
    assert run(plain, 5) == run(averaged, 5)


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


ESTIMATORS = [Exact(), Truncated(8), Truncated(3, n_probes=4), Roulette(Geometric(0.5, 3)), Roulette(shared=True)]
OF_SEVERAL = [name for name, activation in ACTIVATIONS.items() if not activation.is_elementwise]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("activation", "log_det"),
    [*product(OF_SEVERAL, ESTIMATORS), *zip([*ACTIVATIONS], cycle(ESTIMATORS), strict=False)],
    ids=str,
)
def test_the_memory_of_a_step_is_known_beforehand(activation, log_det):
    flow = FlowConfig(blocks=2, width=32, activation=activation)
    train = TrainConfig(log_det=log_det, batch=200)
    t = Trainer(flow, train, DATASETS["moons"], seed=0)
    with Ledger(t.model.parameters()) as ledger:
        t.step()
    assert ledger.peak / 4 < step_bytes(flow, train) < 10 * ledger.peak
    if not isinstance(log_det, Roulette):  # whose number of terms is drawn
        assert ledger.peak < step_bytes(flow, train)
