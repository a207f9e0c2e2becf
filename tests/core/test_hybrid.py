"""The hybrid: its objective and gradient against the definition, training at lambda = 0 and with a density."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from torch.distributions import MultivariateNormal

from resflow_core import measure
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Exact, Roulette
from resflow_core.training.parameter_count import matched_classifier, parameter_count
from resflow_core.training.trainer import HybridTrainConfig, Trainer
from tests.core.oracles import seeded

MOONS = DATASETS["noisymoons"]
FLOWS = {
    "residual": FlowConfig(blocks=2, width=8),
    "coupling": BaselineConfig("realnvp", transforms=4, width=8),
    "none": None,
}
# A constant rate, no average: plain Adam.
PLAIN = HybridTrainConfig(batch=64, schedule="constant", warmup=0, average=0.0, clip=1000.0, weight=0.0)


def hybrid(flow="residual", **more):
    built = HybridConfig(FLOWS[flow], **more).build(seeded(1)).double()
    built.initialize(MOONS.sample(500, seeded(2)).double())
    return built


def batch(n=8):
    x, y = MOONS.sample_labelled(n, seeded(5))
    return x.double(), y


def objective(model, x, y, weight):
    """lambda log p(x) + log p(y|x), averaged: log p by the normal and autograd's Jacobian, softmax by exponentials."""
    total = 0.0
    for point, label in zip(x, y, strict=True):
        z = model.flow(point[None])[0]
        jacobian = torch.autograd.functional.jacobian(lambda p: model.flow(p[None])[0], point, create_graph=True)
        base = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
        odds = model.head(z[None])[0].exp()
        total += weight * (base.log_prob(z) + jacobian.det().abs().log()) + (odds[label] / odds.sum()).log()
    return total / len(x)


@pytest.mark.parametrize(("flow", "weight"), [("residual", 0.5), ("coupling", 1.0), ("none", 0.0)])
def test_loss_and_gradient_are_those_of_the_objective(flow, weight):
    model, (x, y) = hybrid(flow), batch()
    loss, nll = model.losses(x, y, weight, Exact())
    expected = -objective(model, x, y, weight)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(nll, -model.flow.log_prob(x).mean())
    of_all = list(model.parameters())
    found, wanted = (torch.autograd.grad(v, of_all, materialize_grads=True) for v in (loss, expected))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def test_a_roulette_estimates_the_density_alone_and_nothing_at_zero():
    model, (x, y) = hybrid(), batch()
    log_det = Roulette()
    first, second = (model.losses(x, y, 1.0, log_det, seeded(s))[0].item() for s in (1, 2))
    assert first != second
    torch.testing.assert_close(model.losses(x, y, 0.0, log_det)[0], model.losses(x, y, 0.0, Exact())[0])


def test_at_zero_training_is_that_of_a_plain_classifier():
    """Cross-entropy and torch's AdamW, in a loop of a few lines, give the same weights."""
    trainer = Trainer(HybridConfig(FLOWS["residual"]), PLAIN, MOONS, seed=4)
    model = copy.deepcopy(trainer.model)
    generator = seeded(3 * 4 + 1)
    MOONS.sample(2_000, generator)
    optimiser = torch.optim.AdamW(model.parameters(), lr=PLAIN.learning_rate, weight_decay=0.0)
    for _ in range(10):
        x, y = MOONS.sample_labelled(64, generator)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model.head(model.flow(x)), y).backward()
        optimiser.step()
        trainer.step()
    for (name, a), b in zip(trainer.model.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-4, msg=name)
    assert max((a - b).abs().max() for a, b in zip(model.parameters(), fresh().parameters(), strict=True)) > 0.02


def fresh():
    return Trainer(HybridConfig(FLOWS["residual"]), PLAIN, MOONS, seed=4).model


def test_a_linear_head_is_a_softmax_regression_of_the_latent():
    model = hybrid(width=0, classes=2)
    assert [tuple(p.shape) for p in model.head.parameters()] == [(2, 2), (2,)]
    x, _ = batch()
    odds = model.log_class_probs(x)
    torch.testing.assert_close(
        odds[:, 0] - odds[:, 1], model.flow(x) @ (model.head[0].weight[0] - model.head[0].weight[1])
        + model.head[0].bias[0] - model.head[0].bias[1],
    )  # fmt: skip


class TestMeasures:
    def test_accuracy_and_nll_against_scikit_learn(self):
        x, y = (part.numpy() for part in MOONS.sample_labelled(400, seeded(6)))
        p = LogisticRegression().fit(x, y).predict_proba(x)
        found = measure.classification(torch.tensor(np.log(p)), torch.tensor(y))
        accuracy = accuracy_score(y, p.argmax(1))
        assert found.accuracy.value == pytest.approx(accuracy)
        assert found.accuracy.standard_error == pytest.approx((accuracy * (1 - accuracy) / 400) ** 0.5)
        assert found.nll.value == pytest.approx(log_loss(y, p))

    def test_the_optimum_is_beaten_by_no_other_rule_on_average(self):
        x, y = MOONS.sample_labelled(5_000, seeded(8))
        best = measure.optimal(MOONS.joint, x, y)
        p = LogisticRegression().fit(x, y).predict_proba(x)
        assert best.accuracy.value > accuracy_score(y, p.argmax(1))
        assert best.nll.value < log_loss(y, p)
        assert best.reliability.ece < 2.5 * best.reliability.noise

    def test_a_grid_has_each_nodes_probabilities_in_its_place(self):
        model = hybrid(classes=3)
        window = ((-2.0, 1.0), (0.0, 3.0))
        found = measure.class_grid(model, window, 4)
        assert found.shape == (4, 4, 3)
        at = torch.tensor([[0.0, 1.0]]).double()  # column 2, row 1
        np.testing.assert_allclose(found[1, 2], model.log_class_probs(at)[0].exp().detach(), rtol=1e-5)

    def test_far_out_the_density_falls_while_confidence_may_not(self):
        model = hybrid()
        found = measure.far(model, MOONS.window, MOONS.held_out())
        middle, half = torch.tensor([0.0, 0.3]).double(), 4.3
        angle = torch.tensor(2 * np.pi * np.arange(48) / 48)
        ring = middle + half * 8.0 * torch.stack([angle.cos(), angle.sin()], 1)
        assert found.distance[-1] == 8.0
        log_p, classes = model.log_probs(ring)
        assert found.log_prob[-1] == pytest.approx(log_p.mean().item(), rel=1e-4)
        assert found.largest_log_prob[-1] == pytest.approx(log_p.max().item(), rel=1e-4)
        top = classes.exp().amax(1)
        assert found.confidence[-1] == pytest.approx(top.mean().item(), rel=1e-4)
        assert found.least_confidence[-1] == pytest.approx(top.min().item(), rel=1e-4)
        held_out = model.flow.log_prob(MOONS.held_out().double()).detach().numpy()
        assert (held_out > found.usual_log_prob).mean() == pytest.approx(0.99, abs=1e-3)
        assert found.log_prob[-1] < found.log_prob[0] - 50


class TestSizes:
    @pytest.mark.parametrize(("flow", "width"), [("residual", 0), ("coupling", 5), ("none", 5)])
    def test_the_formula_counts_what_is_built(self, flow, width):
        config = HybridConfig(FLOWS[flow], classes=4, width=width, hidden_layers=2)
        assert parameter_count(config) == sum(p.numel() for p in config.build(seeded(0)).parameters())

    def test_a_classifier_of_the_same_size(self):
        wanted = parameter_count(HybridConfig(FlowConfig(), classes=3))
        found = matched_classifier(3, wanted)
        gaps = [abs(parameter_count(replace(found, width=found.width + k)) - wanted) for k in (-1, 0, 1)]
        assert found.flow is None and gaps[1] == min(gaps) and gaps[1] < 0.02 * wanted


@pytest.mark.parametrize(("data", "said"), [("gaussian", "have no classes"), ("pinwheel", "have 5 classes")])
def test_data_with_other_classes_or_none_are_refused(data, said):
    with pytest.raises(ValueError, match=said):
        Trainer(HybridConfig(), HybridTrainConfig(), DATASETS[data], seed=0)
