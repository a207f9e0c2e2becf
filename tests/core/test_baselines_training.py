"""Training of peers: `Trainer`, its checkpoints, its estimate of memory, and the choice of a device."""

import pytest
import torch

from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import log_prob, mean_nll
from resflow_core.training import device
from resflow_core.training.trainer import TrainConfig, Trainer, step_bytes

TRAIN = TrainConfig(batch=100, average=0.9)


def trainer(kind, train=TRAIN, seed=0, **changed):
    return Trainer(
        BaselineConfig(**{"kind": kind, "transforms": 3, "width": 8, **changed}), train, DATASETS["moons"], seed
    )


def run(trainer, steps):
    return [trainer.step() for _ in range(steps)]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", BASELINES)
def test_training_lowers_the_nll_of_trained_and_averaged_weights(kind):
    t = trainer(kind)
    held_out = t.dataset.held_out()
    before = mean_nll(log_prob(t.flow, held_out))
    run(t, 50)
    assert t.evaluated is not t.flow
    for flow in (t.flow, t.evaluated):
        after = mean_nll(log_prob(flow, held_out))
        assert after.value < before.value - 10 * before.standard_error


@pytest.mark.parametrize("kind", BASELINES)
def test_the_step_reports_the_exact_nll_of_its_batch(kind):
    t = trainer(kind)
    state = t._data.get_state()
    x = t.dataset.sample(100, t._data)
    expected = -t.flow.log_prob(x).mean().item()
    t._data.set_state(state)
    assert t.step() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("kind", "average"), [*((kind, 0.9) for kind in BASELINES), ("realnvp", 0.0)])
def test_a_checkpoint_continues_the_run_exactly(kind, average):
    train = TrainConfig(batch=50, average=average)
    first = trainer(kind, train)
    run(first, 3)
    state = first.state_bytes()
    expected = run(first, 3)
    second = trainer(kind, train, seed=9)
    second.load_state(state)
    assert run(second, 3) == expected
    assert second.step_count == 6
    theirs = second.evaluated.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in first.evaluated.state_dict().items())


@pytest.mark.parametrize("kind", BASELINES)
def test_the_same_seed_gives_the_same_run_and_global_randomness_is_left_alone(kind):
    before = torch.get_rng_state()
    losses = run(trainer(kind), 3)
    assert losses == run(trainer(kind), 3)
    assert losses != run(trainer(kind, seed=1), 3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("log_det", [Truncated(), Roulette()])
def test_estimates_are_refused_before_anything_is_trained(log_det):
    train = TrainConfig(log_det=log_det)
    refusal = rf"log_det = {type(log_det).__name__}.*exact anyway; use Exact\(\)"
    with pytest.raises(ValueError, match=refusal):
        trainer("nsf", train)
    with pytest.raises(ValueError, match=refusal):
        step_bytes(BaselineConfig(), train)
    t = trainer("nsf")
    with pytest.raises(ValueError, match=refusal):
        t.configure(train)
    assert t.train_config.log_det == Exact()


@pytest.mark.parametrize("shape", [(1, 8, 1), (2, 64, 4), (2, 256, 2)])
@pytest.mark.parametrize("kind", BASELINES)
def test_the_memory_of_a_step_is_known_beforehand(kind, shape):
    config, train = BaselineConfig(kind, *shape), TrainConfig(batch=500)
    t = Trainer(config, train, DATASETS["moons"], seed=0)
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        t.step()
    saved = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert saved < step_bytes(config, train) < 4 * saved


def test_a_device_is_chosen_for_peers_too(monkeypatch):
    config, train, data = BaselineConfig(transforms=1, width=4), TrainConfig(batch=8), DATASETS["moons"]
    assert device.step_seconds("cpu", config, train, data) > 0
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.choose("auto", config, train, data).device == "cpu"
