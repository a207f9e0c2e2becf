"""Peers: their density against zuko's own flows, automatic differentiation, quadrature and moments of their samples."""

import numpy as np
import pytest
import torch
import zuko
from scipy import stats

from resflow_core import measure
from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.core.oracles import autograd_jacobian, numpy_log_abs_det, points, seeded


def config(kind, **changed):
    return BaselineConfig(**{"kind": kind, "transforms": 4, "width": 8, **changed})


def built(kind, dim=2, seed=0):
    """A flow in float64, initialised on points with correlated coordinates of other means and scales."""
    flow = config(kind, dim=dim).build(seeded(seed)).double()
    flow.initialize(points(200, dim, seed=1) @ points(dim, dim, seed=2) * 3 + 5)
    return flow


@pytest.fixture(scope="module", params=BASELINES)
def trained(request):
    trainer = Trainer(config(request.param), TrainConfig(batch=100, average=0.0), DATASETS["moons"], seed=0)
    for _ in range(40):
        trainer.step()
    return trainer.flow


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


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("kind", BASELINES)
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


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("kind", BASELINES)
def test_the_log_det_is_of_the_jacobian(kind, dim):
    flow, x = built(kind, dim), points(4, dim, seed=3) * 4 + 5
    z, log_det = flow.forward_and_log_det(x)
    torch.testing.assert_close(z, flow(x), atol=1e-12, rtol=0)
    np.testing.assert_allclose(log_det.detach(), numpy_log_abs_det(autograd_jacobian(flow, x)), rtol=0, atol=1e-10)
    parts = flow.forward_and_log_dets(x)[1]
    assert parts.shape == (4, 5 + (kind == "nice"))
    assert torch.equal(flow.log_prob(x, Exact()), flow.log_prob(x))


@pytest.mark.parametrize("kind", BASELINES)
def test_nice_alone_has_the_same_log_det_everywhere(kind):
    log_det = built(kind).forward_and_log_det(points(100, 2) * 4 + 5)[1]
    assert bool((log_det == log_det[0]).all()) == (kind == "nice")


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("kind", BASELINES)
def test_the_inverse_undoes_the_map(kind, dim):
    flow, x = built(kind, dim), points(500, dim, seed=3) * 4 + 5
    torch.testing.assert_close(flow.inverse(flow(x)), x, atol=1e-8, rtol=0)
    z = points(500, dim, seed=4)
    torch.testing.assert_close(flow(flow.inverse(z)), z, atol=1e-8, rtol=0)


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


@pytest.mark.thorough
def test_the_density_integrates_to_one_and_samples_have_its_moments(trained):
    n, reach = 250, 8.0
    axis = np.linspace(-reach, reach, n)
    mass = measure.density_grid(trained, ((-reach, reach),) * 2, n).astype(float) * (2 * reach / (n - 1)) ** 2
    assert mass.sum() == pytest.approx(1, abs=5e-4)
    draws = measure.samples(trained, 20_000, seeded(1)).astype(float)
    moments = [lambda x, y: x, lambda x, y: y, lambda x, y: x * x, lambda x, y: x * y, lambda x, y: np.cos(3 * x - y)]
    for moment in moments:
        expected = (mass * moment(axis[None], axis[:, None])).sum() / mass.sum()
        found = moment(*draws.T)
        assert abs(found.mean() - expected) < 5 * stats.sem(found)


@pytest.mark.thorough
def test_samples_are_the_inverse_of_what_the_generator_draws(trained):
    z = torch.randn(1_000, 2, generator=seeded(3))
    assert torch.equal(trained.sample(1_000, seeded(3)), trained.inverse(z))
    torch.testing.assert_close(trained(trained.inverse(z)), z, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", BASELINES)
def test_weights_come_from_the_generator_and_global_randomness_is_left_alone(kind):
    before = torch.get_rng_state()
    first, again, other = (config(kind).build(seeded(seed)) for seed in (0, 0, 1))
    repr(first)  # zuko's draws
    first.sample(5, seeded(0))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)  # which must not matter
    later = config(kind).build(seeded(0))
    torch.set_rng_state(before)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
        assert torch.equal(value, later.state_dict()[name])
        if name.endswith(("weight", "bias")):
            assert bool((value != other.state_dict()[name]).all())


@pytest.mark.parametrize("kind", BASELINES)
def test_weights_are_uniform_as_torch_draws_them(kind):
    flow = config(kind, width=64).build(seeded(0))
    for layer in flow.modules():
        if isinstance(getattr(layer, "weight", None), torch.nn.Parameter):
            bound = layer.weight.shape[1] ** -0.5
            for drawn in layer.parameters(recurse=False):
                assert float(drawn.detach().abs().max()) <= bound
            if layer.weight.numel() > 1_000:
                law = stats.uniform(-bound, 2 * bound)
                assert stats.kstest(layer.weight.detach().flatten(), law.cdf).pvalue > 1e-4


@pytest.mark.parametrize("log_det", [Truncated(), Roulette()])
def test_estimates_of_an_exact_log_det_are_refused(log_det):
    flow, x = built("maf"), points(3, 2)
    for function in (flow.log_prob, flow.forward_and_log_det, flow.forward_and_log_dets):
        with pytest.raises(ValueError, match=rf"log_det = {type(log_det).__name__}.*exact anyway; use Exact\(\)"):
            function(x, log_det, seeded(0))


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("kind", "glow", "use one of nice, realnvp, maf, nsf"),
        ("transforms", 0, "from 1 to 32"),
        ("width", 1, "from 2 to 256"),
        ("hidden_layers", 9, "from 1 to 4"),
        ("dim", 1, "use at least 2"),
    ],
)
def test_bad_settings_are_refused_by_name_value_and_remedy(field, value, remedy):
    with pytest.raises(ValueError, match=rf"{field} = {value!r}: .*{remedy}"):
        BaselineConfig(**{field: value})


def test_points_of_another_shape_are_refused():
    flow = built("nsf")
    for wrong in (points(4, 3), points(4, 2)[0]):
        with pytest.raises(ValueError, match=r"Expected points of shape \(batch, 2\)"):
            flow.log_prob(wrong)
