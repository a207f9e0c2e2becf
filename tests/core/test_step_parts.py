"""A step in its parts, against the plain step and against autograd on the paper's own formulas in float64."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.func import jacrev, vmap

import resflow_core.api  # noqa: F401  registers what flows are built of
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import grid_points, log_prob
from resflow_core.norms.constraints import Power
from resflow_core.probes import PROBES
from resflow_core.roulette import Geometric
from resflow_core.training.step_parts import step_in_parts
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer

FLOW = FlowConfig(blocks=2, width=8)
MOONS = DATASETS["moons"]
NODES = grid_points(MOONS.window, 5)
ROULETTE = Roulette(Geometric(0.5, 2), "rademacher", n_probes=2, n_draws=2)


def train(log_det=None, **how):
    return TrainConfig(log_det=log_det or Exact(), batch=16, learning_rate=0.01, warmup=0, schedule="constant", **how)


def trained(flow=FLOW, config=None, steps=2, backend="torch", data=MOONS):
    trainer = Trainer(flow, config or train(), data, seed=4, backend=backend)
    for _ in range(steps):
        trainer.step()
    return trainer


CASES = {
    "kernels, truncated": (FLOW, train(Truncated(3)), "numba"),
    "in the forward pass": (FLOW, train(Roulette(gradient="in_forward")), "torch"),
    "weight decay and clip": (FLOW, train(weight_decay=0.1, clip=0.05, average=0.0), "torch"),
    "learned orders": (FlowConfig(blocks=2, width=8, norms="learned"), train(ROULETTE), "torch"),
    "power iteration": (FlowConfig(blocks=2, width=8, constraint=Power(), actnorm=False), train(), "torch"),
    "a baseline": (BaselineConfig(transforms=2), train(), "torch"),
    "two classes": (HybridConfig(FLOW), HybridTrainConfig(log_det=ROULETTE, batch=16, weight=0.5), "torch"),
    "a classifier": (HybridConfig(None), HybridTrainConfig(batch=16, weight=0.0), "torch"),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", CASES)
def test_it_is_the_very_step_bit_for_bit(name):
    plain, slow = (trained(*CASES[name][:2], backend=CASES[name][2]) for _ in range(2))
    plain.step()
    parts = step_in_parts(slow, NODES, 5)
    assert slow.state_bytes() == plain.state_bytes()
    for one, other in zip(plain.evaluated_model.parameters(), slow.evaluated_model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert [plain.step() for _ in range(2)] == [slow.step() for _ in range(2)]
    assert parts.step == 3
    assert parts.loss.mean() + parts.shared_loss == pytest.approx(parts.step_loss, rel=1e-5)
    assert np.isfinite(parts.true_loss_after).all() and np.isfinite(parts.change).all()


class Reference:
    """The paper's flow in float64 with the weights of a trainer, and the draws of its next step."""

    def __init__(self, trainer):
        self.flow = trainer.model.config.build(torch.Generator(), "paper").double()
        self.flow.load_state_dict(trainer.model.state_dict())
        self.config = trainer.train_config
        data, self.probes = torch.Generator(), torch.Generator()
        data.set_state(trainer._data.get_state())
        self.probes.set_state(trainer._probes.get_state())
        self.x = trainer.dataset.sample(self.config.batch, data).double()

    def exact(self, x):
        """z and the exact log det of each point."""
        jacobians = vmap(jacrev(lambda point: self.flow(point[None])[0]))(x)
        return self.flow(x), torch.linalg.slogdet(jacobians).logabsdet

    def estimated(self, x):
        """The same by the estimate of `config.log_det` with the draws of the step, from the matrices A."""
        series, log_dets, z = self.config.log_det, torch.zeros(len(x), dtype=x.dtype), x
        for part in self.flow.parts:
            if not hasattr(part, "branch"):
                log_dets = log_dets + part.log_scale.sum()
                z = part(z)
                continue
            a = vmap(jacrev(lambda point, branch=part.branch: branch(point[None])[0]))(z)
            if isinstance(series, Roulette):
                n = series.law.sample(len(x) * series.n_draws, self.probes).view(len(x), series.n_draws)
                largest = int(n.max())
                chance = series.law.survival(torch.arange(largest + 1))
                reached = torch.stack([((n >= k) / chance[k]).mean(1) for k in range(largest + 1)])
            else:
                largest = series.n_terms
                reached = torch.ones(largest + 1, len(x))
            v = PROBES[series.probe].draw((series.n_probes, *x.shape), self.probes, torch.float32).double()
            log_dets = log_dets + self._sum(a, v, reached.double(), largest).mean(0)
            z = z + part.branch(z)
        return z, log_dets

    def _sum(self, a, v, reached, largest):
        value, power = 0.0, v
        surrogate = 0.0
        for k in range(1, largest + 1):
            # The Neumann series differentiates A alone: sum_k (-1)^k / P(N >= k) (v'A^k) dA v, constants in brackets.
            sign = (-1.0) ** (k - 1) * reached[k - 1]
            surrogate = surrogate + sign * torch.einsum("pbi,bij,pbj->pb", power.detach(), a, v)
            power = torch.einsum("pbi,bij->pbj", power, a)
            value = value + (-1.0) ** (k + 1) / k * reached[k] * (power * v).sum(2)
        if self.config.log_det.gradient == "plain":
            return value
        if isinstance(self.config.log_det, Roulette):
            last = (-1.0) ** largest * reached[largest]
            surrogate = surrogate + last * torch.einsum("pbi,bij,pbj->pb", power.detach(), a, v)
        return value.detach() + surrogate - surrogate.detach()

    def differentiated(self, values):
        """z, log det and loss of the batch, each point's pull, and the gradient of the mean by names."""
        x = self.x.clone().requires_grad_()
        z, log_det = values(x)
        loss = 0.5 * z.square().sum(1) + math.log(2 * math.pi) - log_det
        names, parameters = zip(*self.flow.named_parameters(), strict=True)
        pull, *gradients = torch.autograd.grad(loss.mean(), [x, *parameters])
        return z, log_det, loss, len(x) * pull, dict(zip(names, gradients, strict=True))


def flat(gradients):
    return torch.cat([g.flatten() for g in gradients.values()])


@pytest.mark.parametrize(
    ("law", "gradient"), [(ROULETTE, "plain"), (ROULETTE, "neumann"), (Truncated(3, "rademacher", 2), "neumann")]
)
def test_its_numbers_are_those_of_autograd_in_float64_with_the_same_draws(law, gradient):
    trainer = trained(config=train(dataclasses.replace(law, gradient=gradient)))
    reference = Reference(trainer)
    z, log_det, loss, pull, gradients = reference.differentiated(reference.estimated)
    _, true_log_det, true_loss, true_pull, true_gradients = reference.differentiated(reference.exact)
    parts = step_in_parts(trainer, NODES, 5)

    def near(expected, places=2e-5):
        return pytest.approx(expected.detach().numpy(), abs=places)

    assert parts.x == near(reference.x, 1e-7)
    assert parts.z == near(z)
    assert np.array_equal(parts.places[0], parts.x[:5])
    assert parts.places[-1] == pytest.approx(parts.z[:5], abs=1e-5)
    assert parts.log_det == near(log_det)
    assert parts.loss == near(loss)
    assert parts.pull == near(pull, 3e-4)
    assert parts.true_log_det == near(true_log_det, 1e-4 / 2)
    assert np.abs(parts.log_det - parts.true_log_det).max() > 0.01  # the estimate is one
    assert parts.true_loss == near(true_loss, 5e-5)
    assert parts.true_pull == near(true_pull, 5e-4)
    assert parts.gradient_norm == pytest.approx(float(flat(gradients).norm()), rel=1e-4)
    assert parts.true_gradient_norm == pytest.approx(float(flat(true_gradients).norm()), rel=1e-4)
    cosine = torch.nn.functional.cosine_similarity(flat(gradients), flat(true_gradients), dim=0)
    assert parts.gradient_cosine == pytest.approx(float(cosine), abs=1e-4)
    assert 0 < parts.gradient_cosine < 0.9999


def test_what_the_update_does_is_adams_step_and_the_difference_of_two_densities():
    trainer = trained(config=train(clip=0.05, weight_decay=0.1))
    reference = Reference(trainer)
    *_, gradients = reference.differentiated(reference.exact)
    norm, before = flat(gradients).norm(), copy.deepcopy(trainer.model.state_dict())
    moments = copy.deepcopy(trainer._adam.state())
    matrices = len(trainer._weights.matrices)
    parts = step_in_parts(trainer, NODES, 5)
    assert parts.gradient_norm == pytest.approx(float(norm), rel=1e-4)
    squares, along = 0.0, 0.0
    clipped = trainer._weights.gradient.double()  # of this step, whose length was checked above
    assert float(clipped.norm()) == pytest.approx(0.05, rel=1e-3)
    for part, decays in ((slice(0, matrices), True), (slice(matrices, None), False)):
        first, second = (moments[name][part].double() for name in ("first", "second"))
        g, count = clipped[part], moments["steps"]
        m, v, t = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2, float(count) + 1
        step = -0.01 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        if decays:
            step = step - 0.01 * 0.1 * flat_before(before, trainer, matrices=True)
        squares += float(step.square().sum())
        along -= float(step @ g)
    assert parts.update_norm == pytest.approx(math.sqrt(squares), rel=1e-4)
    assert parts.update_cosine == pytest.approx(along / math.sqrt(squares) / float(clipped.norm()), abs=1e-4)
    assert parts.learning_rate == 0.01

    after = copy.deepcopy(trainer.model.state_dict())
    densities = []
    for state in (before, after):
        reference.flow.load_state_dict(state)
        z, log_det = reference.exact(NODES.double())
        densities.append(torch.exp(-0.5 * z.square().sum(1) - math.log(2 * math.pi) + log_det).detach().numpy())
        loss = 0.5 * (p := reference.exact(reference.x))[0].square().sum(1) + math.log(2 * math.pi) - p[1]
    assert parts.density == pytest.approx(densities[0], abs=1e-5)
    assert parts.change == pytest.approx(densities[1] - densities[0], abs=2e-6)
    assert np.abs(parts.change).max() > 1e-4
    assert parts.true_loss_after == pytest.approx(loss.detach().numpy(), abs=5e-5)


def flat_before(state, trainer, matrices):
    """The matrices of a state, in the order of the optimiser."""
    names = {id(p): name for name, p in trainer.model.named_parameters()}
    ordered = [p for p in trainer._weights.parameters if (p.ndim > 1) == matrices]
    return torch.cat([state[names[id(p)]].flatten() for p in ordered]).double()


def test_the_picture_shows_averaged_weights_and_the_update_is_that_of_the_trained_ones():
    trainer = trained(config=train(average=0.9))
    before = log_prob(trainer.evaluated, NODES).exp()
    averaged = step_in_parts(trainer, NODES, 5)
    after = log_prob(trainer.evaluated, NODES).exp()
    plain = step_in_parts(trained(config=train(average=0.0)), NODES, 5)
    assert averaged.average_change == pytest.approx((after - before).numpy(), abs=1e-6)
    assert averaged.change == pytest.approx(plain.change)
    assert np.abs(averaged.average_change - averaged.change).max() > 1e-4
    assert np.array_equal(plain.average_change, plain.change)


def test_a_hybrids_loss_is_that_of_classes_and_density():
    flow, config, _ = CASES["two classes"]
    trainer = trained(flow, config)
    model = copy.deepcopy(trainer.model)
    parts = step_in_parts(trainer, NODES, 5)
    x, y = torch.from_numpy(parts.x), torch.from_numpy(parts.y)
    with torch.no_grad():
        of_class = -model.log_class_probs(x)[torch.arange(len(x)), y]
        expected = of_class - 0.5 * model.flow.log_prob(x)
    assert parts.true_loss == pytest.approx(expected.numpy(), abs=1e-4)
