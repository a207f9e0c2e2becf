"""Peers: their density against zuko's own flows, autograd, quadrature and samples; and numbers of parameters."""

import numpy as np
import pytest
import torch
import zuko
from scipy import stats

from resflow_core import measure
from resflow_core.activations import ACTIVATIONS
from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.training.parameter_count import matched, parameter_count
from resflow_core.training.trainer import TrainConfig, Trainer, step_bytes
from tests.core.oracles import autograd_jacobian, numpy_log_abs_det, points, seeded


def config(kind, **changed):
    return BaselineConfig(**{"kind": kind, "transforms": 4, "width": 8, **changed})


def built(kind, dim=2, seed=0):
    """A flow in float64, initialised on points with correlated coordinates of other means and scales."""
    flow = config(kind, dim=dim).build(seeded(seed)).double()
    flow.initialize(points(200, dim, seed=1) @ points(dim, dim, seed=2) * 3 + 5)
    return flow


def library(flow):
    """zuko's own flow with the weights of ours."""
    c = flow.config
    how = {"hidden_features": [c.width] * c.hidden_layers, "activation": torch.nn.ReLU, "transforms": c.transforms}
    with torch.random.fork_rng(devices=[]):
        theirs = {
            "nice": lambda: zuko.flows.NICE(c.dim, univariate=zuko.transforms.AdditiveTransform, shapes=[()], **how),
            "realnvp": lambda: zuko.flows.RealNVP(c.dim, **how),
            "maf": lambda: zuko.flows.MAF(c.dim, **how),
            "nsf": lambda: zuko.flows.NSF(c.dim, **how),
        }[c.kind]().double()
    ours = [p for part in flow.bijections if hasattr(part, "lazy") for p in part.parameters()]
    with torch.no_grad():
        for a, b in zip(theirs.parameters(), ours, strict=True):
            a.copy_(b)
    return theirs


@pytest.mark.parametrize("kind", BASELINES)
@pytest.mark.parametrize("dim", [2, 3])
def test_the_density_is_zukos_after_and_before_an_affine_map(kind, dim):
    flow, x = built(kind, dim), points(20, dim, seed=3) * 4 + 5
    first, last = flow.bijections[0], flow.bijections[-1]
    theirs, log_scale, shift = library(flow)(), first.log_scale.detach(), first.shift.detach()
    standardised = x * log_scale.exp() + shift
    if kind == "nice":
        z = theirs.transform(standardised).detach().numpy()
        scale, shift = last.log_scale.exp().detach().numpy(), last.shift.detach().numpy()
        expected = stats.norm.logpdf(z, -shift / scale, 1 / scale).sum(1)
    else:
        expected = theirs.log_prob(standardised).detach().numpy()
    np.testing.assert_allclose(flow.log_prob(x).detach(), expected + float(log_scale.sum()), rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", BASELINES)
def test_the_log_det_is_of_the_jacobian_and_the_inverse_undoes_the_map(kind):
    flow, x = built(kind, 3), points(4, 3, seed=3) * 4 + 5
    z, log_det = flow.forward_and_log_det(x)
    torch.testing.assert_close(z, flow(x), atol=1e-12, rtol=0)
    np.testing.assert_allclose(log_det.detach(), numpy_log_abs_det(autograd_jacobian(flow, x)), rtol=0, atol=1e-10)
    torch.testing.assert_close(flow.forward_and_log_dets(x)[1].sum(1), log_det, atol=1e-12, rtol=0)
    torch.testing.assert_close(flow.inverse(z), x, atol=1e-8, rtol=0)


@pytest.mark.parametrize("kind", BASELINES)
def test_data_of_any_scale_arrive_standardised(kind):
    x = points(1_000, 2).float() * torch.tensor([1e-3, 1e3]) + torch.tensor([7.0, -4e4])
    flow = config(kind).build(seeded(0))
    flow.initialize(x)
    arriving = flow.bijections[0](x)
    torch.testing.assert_close(arriving.mean(0), torch.zeros(2), atol=1e-2, rtol=0)
    torch.testing.assert_close(arriving.std(0), torch.ones(2), atol=1e-2, rtol=0)
    if kind == "nice":
        torch.testing.assert_close(flow(x).std(0), torch.ones(2), atol=1e-2, rtol=0)


@pytest.mark.parametrize("kind", BASELINES)
def test_a_trained_density_integrates_to_one_and_samples_have_its_moments(kind):
    trainer = Trainer(config(kind), TrainConfig(batch=100, average=0.9), DATASETS["moons"], seed=0)
    x, generator = trainer.dataset.held_out(), torch.Generator()
    before = measure.mean_nll(measure.log_prob(trainer.flow, x))
    for _ in range(40):
        generator.set_state(trainer._data.get_state())
        expected = -trainer.flow.log_prob(trainer.dataset.sample(100, generator)).mean().item()
        assert trainer.step() == pytest.approx(expected, abs=1e-5)
    for flow in (trainer.flow, trained := trainer.evaluated):
        after = measure.mean_nll(measure.log_prob(flow, x)).value
        assert after < before.value - 10 * before.standard_error
    n, reach = 250, 8.0
    axis = np.linspace(-reach, reach, n)
    mass = measure.density_grid(trained, ((-reach, reach),) * 2, n).astype(float) * (2 * reach / (n - 1)) ** 2
    assert mass.sum() == pytest.approx(1, abs=5e-4)
    draws = measure.samples(trained, 20_000, seeded(1)).astype(float)
    moments = [lambda x, y: x, lambda x, y: y, lambda x, y: x * y, lambda x, y: np.cos(3 * x - y)]
    for moment in moments:
        expected = (mass * moment(axis[None], axis[:, None])).sum() / mass.sum()
        found = moment(*draws.T)
        assert abs(found.mean() - expected) < 5 * stats.sem(found)


@pytest.mark.parametrize("log_det", [Truncated(), Roulette()])
def test_estimates_of_an_exact_log_det_are_refused_before_anything_is_trained(log_det):
    flow, train = built("maf"), TrainConfig(log_det=log_det)
    trainer = Trainer(config("nsf"), TrainConfig(), DATASETS["moons"], seed=0)
    for call in (
        lambda: flow.log_prob(points(3, 2), log_det, seeded(0)),
        lambda: flow.forward_and_log_dets(points(3, 2), log_det, seeded(0)),
        lambda: Trainer(config("nsf"), train, DATASETS["moons"], seed=0),
        lambda: step_bytes(BaselineConfig(), train),
        lambda: trainer.configure(train),
    ):
        with pytest.raises(ValueError, match=rf"log_det = {type(log_det).__name__}.*exact anyway; use Exact\(\)"):
            call()
    assert trainer.train_config.log_det == Exact()


@pytest.mark.parametrize(("hidden_layers", "dim"), [(1, 2), (3, 3)])
@pytest.mark.parametrize("kind", BASELINES)
def test_a_peer_has_as_many_as_its_density_depends_on(kind, dim, hidden_layers):
    for width in (4, 7):
        config = BaselineConfig(kind, 3, width, hidden_layers, dim)
        flow = config.build(seeded(0)).double()
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.abs_().mul_(0.5)  # so that no unit is idle
        flow.initialize(points(400, dim))
        flow.log_prob(2 * points(400, dim, seed=1) + 1).sum().backward()
        assert parameter_count(config) == sum(int((p.grad != 0).sum()) for p in flow.parameters())


@pytest.mark.parametrize("norms", ["2", "learned"])
def test_a_residual_flow_has_as_many_as_are_built(norms):
    for activation in ACTIVATIONS:
        for config in (
            FlowConfig(blocks=3, width=6, hidden_layers=2, activation=activation, norms=norms),
            FlowConfig(blocks=1, width=3, activation=activation, norms=norms, actnorm=False, dim=3),
        ):
            built = config.build(seeded(0)).parameters()
            assert parameter_count(config) == sum(p.numel() for p in built), config


@pytest.mark.parametrize("wanted", [900, 44_000])
@pytest.mark.parametrize("kind", BASELINES)
def test_the_match_is_nearer_than_its_neighbours(kind, wanted):
    config = matched(kind, wanted)
    peer = BASELINES[kind]
    assert (config.kind, config.transforms, config.hidden_layers) == (kind, peer.transforms, peer.hidden_layers)
    off = abs(parameter_count(config) - wanted)
    others = [BaselineConfig(kind, peer.transforms, config.width + step, peer.hidden_layers) for step in (-1, 1)]
    assert all(off <= abs(parameter_count(other) - wanted) for other in others)


def test_beyond_reach_it_is_the_narrowest_or_the_widest_and_bad_input_is_refused():
    assert (matched("nsf", 1).width, matched("nsf", 10**9).width) == (2, 256)
    with pytest.raises(ValueError, match="kind = 'glow': use one of nice, realnvp, maf, nsf"):
        matched("glow", 1_000)
    with pytest.raises(ValueError, match=r"wanted = 0: use a number of parameters from 1 on"):
        matched("nsf", 0)
