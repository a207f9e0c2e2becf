import numpy as np
import pytest
import torch

from resflow_core.datasets import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import mean_nll
from resflow_core.roulette import Geometric
from resflow_core.training import Diverged, TrainConfig, Trainer, step_bytes

FLOW = FlowConfig(blocks=4, width=16, activation="sine")
TRAIN = TrainConfig(batch=100, learning_rate=0.01, warmup=5)


def trainer(train=TRAIN, seed=0, data="moons"):
    return Trainer(FLOW, train, DATASETS[data], seed)


def run(trainer, steps):
    return [trainer.step() for _ in range(steps)]


@pytest.mark.parametrize("log_det", [Exact(), Truncated(5, "rademacher"), Roulette(Geometric(0.5, 3), "rademacher")])
def test_training_lowers_the_exact_nll_whatever_estimator_trains(log_det):
    t = trainer(TrainConfig(log_det=log_det, batch=100, learning_rate=0.01))
    before = mean_nll(t.flow, t.dataset.held_out())
    run(t, 100)
    after = mean_nll(t.flow, t.dataset.held_out())
    assert after.value < before.value - 10 * before.standard_error


def test_the_reported_nll_is_exact_and_not_the_estimate():
    exact, rough = (trainer(TrainConfig(log_det=e, batch=100)) for e in (Exact(), Roulette(Geometric(0.9, 0))))
    assert rough.step() == pytest.approx(exact.step(), abs=1e-6)  # same weights, same batch


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    train = TrainConfig(log_det=Roulette(), batch=50)
    assert run(trainer(train), 5) == run(trainer(train), 5)
    assert run(trainer(train), 5) != run(trainer(train, seed=1), 5)


def test_a_checkpoint_continues_the_run_exactly():
    train = TrainConfig(log_det=Roulette(), batch=50)
    first = trainer(train)
    run(first, 5)
    state = first.state_bytes()
    expected = run(first, 5)
    second = trainer(train, seed=9)
    second.load_state(state)
    assert second.step_count == 5
    assert run(second, 5) == expected


def test_settings_change_while_it_trains():
    t = trainer()
    run(t, 10)
    t.configure(TrainConfig(learning_rate=1e-5, batch=37, log_det=Truncated(3)))
    before = [p.clone() for p in t.flow.parameters()]
    t.step()
    # Adam moves no weight by much more than its rate.
    moved = max((a - b).abs().max().item() for a, b in zip(before, t.flow.parameters(), strict=True))
    assert 0 < moved < 1e-4


def test_the_rate_warms_up_and_then_stays():
    t = trainer()
    rates = []
    for _ in range(8):
        t.step()
        rates.append(t._optimiser.param_groups[0]["lr"])
    np.testing.assert_allclose(rates, [0.002, 0.004, 0.006, 0.008, 0.01, 0.01, 0.01, 0.01])


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


@pytest.mark.parametrize("activation", ["lipswish", "sine", "tanh"])
@pytest.mark.parametrize(
    "log_det",
    [Exact(), Truncated(8), Truncated(3, n_probes=4), Roulette(Geometric(0.5, 3)), Roulette(shared=True)],
    ids=str,
)
def test_the_memory_of_a_step_is_known_beforehand(activation, log_det):
    flow = FlowConfig(blocks=2, width=32, activation=activation)
    train = TrainConfig(log_det=log_det, batch=200)
    t = Trainer(flow, train, DATASETS["moons"], seed=0)
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        t.step()
    saved = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert saved / 4 < step_bytes(flow, train) < 10 * saved
    if not isinstance(log_det, Roulette):  # whose number of terms is drawn
        assert saved < step_bytes(flow, train)
