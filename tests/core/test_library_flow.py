"""`rf.ResidualFlow` against independent answers: autograd Jacobians, torch.distributions, quadrature by NumPy."""

import copy
import functools
import json
import math
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import distributions as td

import resflow_core as rf
from resflow_core.api import bases, by_kernels
from resflow_core.api.library_file import FORMAT, to_file
from tests.core.oracles import autograd_jacobian, numpy_log_abs_det, points, seeded
from tests.covering import told
from tests.readme_listing import program

BASES = {
    "normal": td.Normal(0.0, 1.5),
    "laplace of each": td.Laplace(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0])),
    "joint mixture": td.MixtureSameFamily(
        td.Categorical(torch.ones(3)), td.Independent(td.Normal(torch.arange(6.0).view(3, 2), 1.0), 1)
    ),
    "student t": td.StudentT(3.0),
}
SMALL = {"blocks": 2, "width": 8, "dtype": torch.float64}


def data(n=200, d=2, seed=0):
    """Points of a plane far from 0, in units of very different size."""
    x = points(n, d, seed)
    return x * torch.logspace(-2, 3, d).double() + 1e3 * torch.arange(1, d + 1)


def fitted(d=2, steps=8, **settings):
    return rf.ResidualFlow(d, **{**SMALL, **settings}).fit(data(d=d), steps=steps)


@functools.cache
def fitted_with(base):
    """For who changes nothing of it."""
    return fitted(base=BASES[base])


@pytest.fixture(scope="module")
def flow():
    return fitted()


class TestDensity:
    @pytest.mark.parametrize("base", BASES)
    def test_it_is_the_change_of_variables_by_autograd_in_own_units(self, base):
        flow, x = fitted_with(base), data(5, 2, seed=3)
        jacobian = autograd_jacobian(flow, x)
        z = flow(x).detach()
        of_base = bases.moved(BASES[base], torch.Tensor.double).log_prob(z)
        of_base = of_base if of_base.shape == (5,) else of_base.sum(-1)
        expected = of_base.numpy() + numpy_log_abs_det(jacobian)
        np.testing.assert_allclose(flow.log_prob(x).detach().numpy(), expected, atol=1e-9)

    @pytest.mark.parametrize("base", [None, "student t"])
    def test_it_integrates_to_one_in_own_units(self, base):
        """By the trapezoidal rule on a line. Student's tails beyond have a mass below 2e-4 (|z| > 40, 3 degrees)."""
        flow = rf.ResidualFlow(1, **SMALL, base=BASES.get(base)).fit(data(d=1), steps=15)
        u = np.linspace(-60, 60, 20_001)
        x = float(flow.centre) + float(flow.scale) * u
        with torch.no_grad(), pytest.warns(UserWarning, match="standard deviations"):
            density = flow.log_prob(x[:, None]).exp().numpy()
        assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-3)

    def test_points_of_any_shape_and_type_are_the_same_density(self, flow):
        x = data(12, seed=4)
        expected = flow.log_prob(x)
        assert torch.equal(flow.log_prob(x.view(3, 4, 2)), expected.view(3, 4))
        assert torch.equal(flow.log_prob(x[0]), expected[0])
        assert torch.equal(flow.log_prob(x.numpy()), expected)
        assert flow.log_prob(x[:0]).shape == (0,)
        assert flow.log_prob(x.float()).dtype == torch.float64

    @pytest.mark.parametrize("gradient", ["neumann", "in_forward"])
    def test_with_two_probes_each_point_has_its_own_context(self, gradient):
        """Of two points whose contexts are far apart, by turns: means of 2,000 estimates within 5 standard errors. With
        the context of the neighbour they are off by hundreds of these."""
        flow = rf.ResidualFlow(2, **SMALL, context=2)
        randomise(flow)
        two, contexts = points(2, 2, seed=5), torch.tensor([[3.0, -3.0], [-3.0, 3.0]]).double()
        law = rf.Roulette(rf.Geometric(0.3, 4), n_probes=2, gradient=gradient)
        found = flow.log_prob(two.repeat(2_000, 1), contexts.repeat(2_000, 1), log_det=law, seed=1).detach()
        found = found.view(2_000, 2)
        error = found.mean(0) - flow.log_prob(two, contexts).detach()
        assert (error.abs() < 5 * found.std(0) / 2_000**0.5).all()


@torch.no_grad()
def randomise(flow, seed=7):
    """Weights as after long training: the networks of contexts start at 0."""
    generator = seeded(seed)
    for parameter in flow.parameters():
        parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))


class TestSamples:
    @pytest.mark.parametrize("base", BASES)
    def test_they_are_the_inverse_of_draws_of_the_base(self, base):
        flow = fitted_with(base)
        x = flow.sample((3, 4), seed=2)
        assert x.shape == (3, 4, 2)
        drawn = flow._present_base().draw(12, seeded(2)).double()
        torch.testing.assert_close(flow(x).view(12, 2), drawn, atol=1e-4, rtol=1e-4)
        assert not x.requires_grad

    def test_seeds_are_numbers_or_generators_and_the_global_one_is_left_alone(self, flow):
        state = torch.get_rng_state()
        for each in (flow, fitted_with("student t")):
            first = each.sample(5, seed=1)
            assert torch.equal(first, each.sample(5, seed=seeded(1)))
            assert torch.equal(first, each.sample(5, generator=1))
            assert not torch.equal(each.sample(5), each.sample(5))
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(fitted().sample(5), fitted().sample(5))

    def test_rsample_has_the_gradient_of_differences(self):
        flow, step, c = rf.ResidualFlow(2, **SMALL, context=2), 1e-5, torch.tensor([0.3, -0.5]).double()
        randomise(flow)
        parameters, weights = list(flow.parameters()), points(4, 2, seed=8)
        x = flow.rsample(4, c, seed=3)
        gradients = torch.autograd.grad((weights * x).sum(), parameters, materialize_grads=True)
        assert torch.equal(x.detach(), flow.sample(4, c, seed=3))
        directions = [torch.randn(p.shape, generator=seeded(9), dtype=p.dtype) for p in parameters]
        found = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
        values = []
        with torch.no_grad():
            for move in (step, -2 * step):
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.add_(move * direction)
                values.append((weights * flow.sample(4, c, seed=3)).sum())
        # The solver leaves residuals of about 1e-9 here, so the differences are good to about 1e-3.
        assert abs(found) > 0.1
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(found.item(), abs=5e-3, rel=5e-3)

    def test_the_inverse_has_the_inverse_jacobian(self, flow):
        z = points(3, 2, seed=2).requires_grad_()
        jacobian = autograd_jacobian(flow.inverse, z.detach())
        x = flow.inverse(z).detach()
        expected = torch.linalg.inv(autograd_jacobian(flow, x))
        torch.testing.assert_close(jacobian, expected, atol=1e-6, rtol=1e-6)
        with pytest.raises(RuntimeError, match="second derivative"):
            torch.autograd.grad(flow.inverse(z).sum(), z, create_graph=True)


class TestFit:
    def test_the_weights_that_fit_the_validation_points_best_are_kept(self):
        train, held = data(60), data(300, seed=1)
        flow = rf.ResidualFlow(2, width=16, blocks=1)
        flow.fit(train, steps=1_000, validation=held, learning_rate=0.02)
        assert flow.fitted.best_step < flow.fitted.steps < 1_000
        assert "early" in flow.fitted.reason
        assert -flow.log_prob(held).mean().item() == pytest.approx(flow.fitted.validation_nll, abs=1e-4)
        assert -flow.log_prob(train).mean() < flow.fitted.validation_nll

    @pytest.mark.parametrize("log_det", ["exact", "truncated"])
    def test_compiled_kernels_take_the_same_steps_and_it_says_so(self, log_det, monkeypatch):
        flow = rf.ResidualFlow(2, blocks=3, width=8, log_det=log_det).fit(data(), steps=12)
        assert flow.fitted.backend == "numba"
        monkeypatch.setattr(by_kernels, "trained", lambda flow: False)
        same = rf.ResidualFlow(2, blocks=3, width=8, log_det=log_det).fit(data(), steps=12)
        assert same.fitted.backend == "torch"
        assert flow.fitted.validation_nll == pytest.approx(same.fitted.validation_nll, abs=1e-4)
        assert flow.fitted.train_nll == pytest.approx(same.fitted.train_nll, abs=1e-4)
        x = data(50, seed=4).float()
        torch.testing.assert_close(flow.log_prob(x), same.log_prob(x), atol=1e-3, rtol=0)

    def test_a_bar_is_drawn_where_it_is_asked_for(self, capsys):
        fitted()
        assert capsys.readouterr() == ("", "")
        rf.ResidualFlow(2, **SMALL).fit(data(), steps=3, progress=True)
        assert "100%" in capsys.readouterr().err

    def test_few_points_get_a_small_flow_as_if_its_sizes_had_been_given(self):
        def sizes(flow):
            return {"blocks": flow.config.blocks, "width": flow.config.width}

        x = data(150, 5)
        flow = rf.ResidualFlow(5, seed=3, context=2)
        many = sizes(flow)
        flow.fit(x, steps=2, context=x[:, :2])
        few = sizes(flow)
        assert few["blocks"] * few["width"] < many["blocks"] * many["width"]
        assert (flow.fitted.blocks, flow.fitted.width) == (few["blocks"], few["width"])
        same = rf.ResidualFlow(5, seed=3, context=2, **few).fit(x, steps=2, context=x[:, :2])
        assert torch.equal(flow.log_prob(x, x[:, :2]), same.log_prob(x, x[:, :2]))
        assert sizes(rf.ResidualFlow(5, blocks=7).fit(x, steps=1))["blocks"] == 7

    def test_a_base_of_the_users_own_trains_along(self, tmp_path):
        class Movable(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.loc = torch.nn.Parameter(torch.zeros(2))

            def forward(self):
                return td.Independent(td.Normal(self.loc, 1.0), 1)

        base = Movable()
        flow = rf.ResidualFlow(2, blocks=1, width=4, base=base).fit(data(), steps=5)
        assert base.loc.abs().sum() > 0
        assert flow.sample(3).shape == (3, 2)
        kept = tmp_path / "mine.rf"
        kept.write_bytes(b"an earlier flow")
        with pytest.raises(ValueError, match=r"torch\.save"):
            flow.save(kept)
        assert kept.read_bytes() == b"an earlier flow"


@pytest.mark.filterwarnings("ignore:.*standard deviations")  # of weights that were only drawn
def test_with_contexts_it_is_the_change_of_variables_for_each():
    flow = rf.ResidualFlow(2, **SMALL, context=3)
    randomise(flow)
    x, c = points(4, 2), points(4, 3, seed=1)
    rows = [autograd_jacobian(lambda x, c=c[i]: flow(x, c), x[i : i + 1]) for i in range(4)]
    expected = td.Normal(0.0, 1.0).log_prob(flow(x, c).detach()).sum(-1).numpy()
    expected = expected + numpy_log_abs_det(torch.cat(rows))
    np.testing.assert_allclose(flow.log_prob(x, c).detach().numpy(), expected, atol=1e-9)
    torch.testing.assert_close(torch.func.vmap(flow.log_prob)(x, c), flow.log_prob(x, c), atol=1e-12, rtol=0)
    p = flow.condition(c[:3])
    drawn = p.sample((4,), seed=0)
    assert (p.batch_shape, drawn.shape) == ((3,), (4, 3, 2))
    each = torch.stack([flow.condition(row).log_prob(drawn[:, i]) for i, row in enumerate(c[:3])], 1)
    torch.testing.assert_close(p.log_prob(drawn), each, atol=1e-9, rtol=0)
    torch.testing.assert_close(p.inverse(p(drawn)), drawn, atol=1e-4, rtol=1e-4)


@pytest.mark.thorough
def test_it_learns_a_density_for_each_context():
    """x ~ N(3 c, exp(c)^2) on a line: KL(truth || flow) for three contexts, by quadrature."""
    c = 2 * torch.rand(1_500, 1, generator=seeded(0), dtype=torch.float64) - 1
    x = 3 * c + c.exp() * points(1_500, 1, seed=1)
    flow = rf.ResidualFlow(1, context=1, blocks=2, width=8, seed=0)
    flow.fit(x, context=c, steps=100, learning_rate=0.02)
    x = torch.linspace(-12, 12, 2_001, dtype=torch.float64)[:, None]
    for c in (-0.7, 0.0, 0.7):
        truth = td.Normal(3 * c, math.exp(c)).log_prob(x[:, 0])
        with torch.no_grad():
            gap = truth - flow.condition([c]).log_prob(x).double()
        assert -1e-3 < float((truth.exp() * gap).sum() * (24 / 2_000)) < 0.15


MAKERS = {
    "float32": lambda: rf.ResidualFlow(2, blocks=2, width=8).fit(data(), steps=3),
    "formula, roulette, context": lambda: rf.ResidualFlow(
        2, **SMALL, context=2, activation=rf.formula("sin(z)"), log_det=rf.Roulette(rf.Poisson(3.0), n_probes=2)
    ).fit(data(), context=data(), steps=3),
    "unfitted": lambda: rf.ResidualFlow(3, blocks=1, width=4),
    **{
        f"base {name}": (lambda name=name: fitted(steps=2, base=BASES[name])) for name in ("student t", "joint mixture")
    },
}
WAYS = {
    "pickle": lambda flow, path: pickle.loads(pickle.dumps(flow)),
    "deepcopy": lambda flow, path: copy.deepcopy(flow),
    "save": lambda flow, path: (flow.save(path), rf.load(path))[1],
    "torch.save": lambda flow, path: (torch.save(flow, path), torch.load(path, weights_only=False))[1],
}


class TestKept:
    @pytest.mark.thorough
    @pytest.mark.parametrize("kind", MAKERS)
    def test_it_comes_back_bitwise(self, kind, tmp_path):
        flow = MAKERS[kind]()
        x, c = data(6, flow.features), data(6) if flow.context else None
        if kind == "unfitted":
            x = points(6, flow.features)
        exact = {"log_det": "exact"}
        log_prob, samples = flow.log_prob(x, c, **exact), flow.sample((2, 6), c, seed=1)
        for way, carried in WAYS.items():
            again = carried(flow, tmp_path / "flow.rf")
            with told(way):
                assert again.state_dict().keys() == flow.state_dict().keys()
                assert (again.dtype, again.features, again.context) == (flow.dtype, flow.features, flow.context)
                assert (again.log_det, again.config, repr(again)) == (flow.log_det, flow.config, repr(flow))
                assert torch.equal(again.log_prob(x, c, **exact), log_prob)
                assert torch.equal(again.sample((2, 6), c, seed=1), samples)

    def test_older_files_go_on_loading(self, tmp_path):
        old = rf.FlowConfig(blocks=2, width=8).build(seeded(1))
        (tmp_path / "old.rf").write_bytes(rf.to_bytes(old))
        x = points(5, 2).float()
        torch.testing.assert_close(rf.load(tmp_path / "old.rf").log_prob(x), old.log_prob(x), atol=0, rtol=0)

    def test_other_files_are_refused(self, tmp_path, flow):
        path, good = tmp_path / "flow.rf", to_file(flow)
        settings = json.loads(good[8 : 8 + int.from_bytes(good[:8], "little")])["__metadata__"][FORMAT]
        tensors = load(good)
        torch.save(flow, path)
        for damaged in (
            path.read_bytes(),
            b"",
            good[:-1],
            save(tensors, {FORMAT: settings.replace("blocks", "block")}),
            save({**tensors, "more": torch.ones(1)}, {FORMAT: settings}),
            save({**tensors, "scale": -tensors["scale"]}, {FORMAT: settings}),
        ):
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match="file"):
                rf.load(path)

    def test_a_distribution_of_torch(self, flow):
        p = flow.distribution()
        assert isinstance(p, td.Distribution)
        x = p.sample((3,))
        assert torch.equal(p.log_prob(x), flow.log_prob(x))
        assert (p.batch_shape, p.event_shape, p.has_rsample) == ((), (2,), True)
        assert p.expand((4,)).log_prob(x[0]).shape == (4,)
        assert td.TransformedDistribution(p, td.AffineTransform(0.0, 2.0)).log_prob(2 * x).shape == (3,)


class TestRefused:
    def test_raw_points_in_a_standardised_flow_are_noticed(self):
        flow, old = fitted(), rf.ResidualFlow(2, **SMALL)
        u = (data(20) - flow.centre) / flow.scale
        for each, x in ((flow, u), (old, data(20))):
            with pytest.warns(UserWarning, match=r"standard deviations from .* same units"):
                each.log_prob(x)

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda: rf.ResidualFlow(2.0), "features = 2.0"),
            (lambda: rf.ResidualFlow(2, log_det="rolette"), "use one of exact"),
            (lambda: rf.ResidualFlow(2, activation=torch.exp), "Lipschitz constant must be known"),
            (lambda: rf.ResidualFlow(2, base=td.Exponential(1.0)), "its support is"),
            (lambda: rf.ResidualFlow(2, base=td.Normal(torch.zeros(3), 1.0)), r"batch shape \(3,\)"),
            (lambda: rf.ResidualFlow(2).fit([[1.0, math.nan]] * 20), "not finite"),
            (lambda: rf.ResidualFlow(2).fit(np.ones((20, 2))), "in every row"),
            (lambda: rf.ResidualFlow(2).fit(np.arange(20.0)[:, None] * [1, 2]), "linear combination"),
            (lambda: rf.ResidualFlow(2).fit(np.zeros((20, 3))), r"\(20, 3\).*features=3"),
            (lambda: rf.ResidualFlow(2).fit(data(5)), "too few"),
            (lambda: rf.ResidualFlow(2).fit(data(), validation=2), "share from 0 to 0.9"),
            (lambda: rf.ResidualFlow(2).fit(data(), seconds=-1), "above 0"),
            (lambda: rf.ResidualFlow(2, context=1).fit(data()), "pass context=C"),
            (lambda: rf.ResidualFlow(2, context=1).log_prob(data()), "condition"),
            (lambda: rf.ResidualFlow(2).log_prob(torch.zeros(2, 3)), "swapped"),
            (lambda: rf.ResidualFlow(2).log_prob(["a", "b"]), "array of numbers"),
            (lambda: rf.ResidualFlow(2).sample(-1), "at least 0"),
            (lambda: rf.ResidualFlow(2).sample(2, seed=1, generator=1), "one of them"),
        ],
    )
    def test_the_message_says_what_to_do(self, call, words):
        with pytest.raises(ValueError, match=words):
            call()

    def test_a_flow_that_diverges_keeps_its_best_weights(self):
        flow = rf.ResidualFlow(2, blocks=2, width=8)
        with pytest.raises(rf.Diverged, match="learning_rate"):
            flow.fit(data(), steps=500, learning_rate=1e30)
        assert all(parameter.isfinite().all() for parameter in flow.parameters())


def test_the_listing_of_readme_runs_as_it_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(program(), names)
    assert names["log_p"].shape == (7, 1)
    assert names["x"].shape == names["z"].shape == (3, 4, 2)
    assert float(capsys.readouterr().out) == pytest.approx(0.603, abs=1e-3)
    assert torch.equal(rf.load("mine.rf").log_prob(names["X"]), names["flow"].log_prob(names["X"]))
