"""The gradient of the exact NLL by hand against autograd through the paper's files, tensor by tensor, in float64."""

import dataclasses
import math

import pytest
import torch

from resflow_core.activations import ACTIVATIONS
from resflow_core.data import DATASETS
from resflow_core.fast.by_hand import ExactNLL, supports
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import Soft
from resflow_core.log_det import Exact, Truncated
from resflow_core.norms.constraints import CONSTRAINTS, Hard, Off
from resflow_core.training.flat_parameters import FlatParameters
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.core.oracles import points, seeded
from tests.covering import covering

ROWS = covering(
    {
        "activation": list(ACTIVATIONS),
        "blocks": [1, 3],
        "hidden_layers": [1, 2, 3],
        "dim": [2, 3],
        "actnorm": [True, False],
        "constraint": [Soft(), Hard()],
    }
)


def built(width=6, **settings):
    """A flow in float64 whose parameters are far from where they begin, with some layers at their cap and some not."""
    flow = FlowConfig(width=width, **settings).build(seeded(0)).double()
    generator = seeded(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(noise, alpha=0.05 if parameter.ndim == 1 else 0.15)
    return flow


def by_hand(flow, x):
    """The loss, and its gradient with respect to each parameter."""
    parameters, gradients = FlatParameters(flow).stacked()
    for gradient in gradients.values():
        gradient.fill_(torch.nan)  # all of them must be written
    nll = ExactNLL(flow, parameters, gradients)(x)
    places = {view.data_ptr(): gradients[name][k] for name, views in parameters.items() for k, view in enumerate(views)}
    return nll, {name: places[parameter.data_ptr()] for name, parameter in flow.named_parameters()}


def by_autograd(flow, x):
    paper = flow.config.build(seeded(0), "paper").double()
    paper.load_state_dict(flow.state_dict())
    names, parameters = zip(*paper.named_parameters(), strict=True)
    loss = -paper.log_prob(x, Exact()).mean()
    return loss.detach(), dict(zip(names, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(str(level) for level in row.values()))
def test_loss_and_gradient_are_those_of_autograd(row):
    flow, x = built(**row), points(7, row["dim"])
    nll, found = by_hand(flow, x)
    loss, expected = by_autograd(flow, x)
    assert float(nll) == pytest.approx(float(loss), rel=1e-12)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        gradient = torch.zeros_like(found[name]) if gradient is None else gradient
        torch.testing.assert_close(
            found[name], gradient, rtol=1e-9, atol=1e-11, msg=lambda why, name=name: f"{name}: {why}"
        )


def test_some_layers_are_at_their_cap_and_some_are_not():
    flow = built(blocks=3, hidden_layers=2)
    norms = [torch.linalg.matrix_norm(linear.raw, 2) for branch in flow.branches for linear in branch.linears]
    assert 0 < sum(bool(norm > flow.branches[0].linears[0].cap) for norm in norms) < len(norms)


@pytest.mark.parametrize(
    ("settings", "is_supported"),
    [
        ({}, True),
        ({"constraint": Hard()}, True),
        ({"constraint": Off()}, False),
        ({"constraint": CONSTRAINTS["bjorck"]()}, False),
        ({"norms": "inf"}, False),
        ({"norms": "learned"}, False),
    ],
)
def test_what_has_no_gradient_by_hand_is_trained_by_autograd(settings, is_supported):
    config = FlowConfig(blocks=2, width=6, **settings)
    assert supports(config.build(seeded(0))) is is_supported
    trainer = Trainer(config, TrainConfig(batch=16), DATASETS["moons"], seed=0)
    assert (trainer._by_hand is not None) is is_supported
    trainer.step()


def test_the_papers_flow_has_none():
    assert not supports(FlowConfig(blocks=2, width=6).build(seeded(0), "paper"))


def test_training_by_hand_is_training_by_autograd():
    config, train = FlowConfig(blocks=3, width=8), TrainConfig(batch=64)
    one, other = (Trainer(config, train, DATASETS["moons"], seed=0) for _ in range(2))
    other._by_hand = None
    losses = [(one.step(), other.step()) for _ in range(20)]
    assert losses[0][0] == pytest.approx(losses[0][1], rel=1e-6)
    assert losses[-1][0] == pytest.approx(losses[-1][1], rel=1e-4)
    for a, b in zip(one.flow.parameters(), other.flow.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_a_change_of_the_training_estimator_changes_to_autograd_and_back():
    trainer = Trainer(FlowConfig(blocks=2, width=8), TrainConfig(batch=32), DATASETS["moons"], seed=0)
    parameters = [parameter.clone() for parameter in trainer.flow.parameters()]
    for log_det in (Exact(), Truncated(), Exact()):
        trainer.configure(dataclasses.replace(trainer.train_config, log_det=log_det))
        trainer.step()
        now = [parameter.clone() for parameter in trainer.flow.parameters()]
        assert all(not torch.equal(a, b) for a, b in zip(parameters, now, strict=True))
        parameters = now


def test_what_is_no_number_is_no_gradient():
    flow = built(blocks=2, hidden_layers=1)
    with torch.no_grad():
        flow.branches[1].linears[0].raw[0, 0] = torch.inf
    nll, _ = by_hand(flow, points(5, 2))
    assert not math.isfinite(nll)
