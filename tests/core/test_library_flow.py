"""`rf.ResidualFlow` against independent answers: autograd Jacobians, torch.distributions, quadrature by NumPy."""

import copy
import functools
import io
import math
import pickle

import numpy as np
import pytest
import torch
from torch import distributions as td
from torch.autograd.functional import hessian

import resflow_core as rf
from resflow_core.api import bases, by_kernels
from resflow_core.api.conditional import ConditionalFlow
from resflow_core.training import compilation
from tests.core.oracles import autograd_jacobian, numpy_log_abs_det, points, seeded
from tests.covering import told

MIXTURE = td.MixtureSameFamily(td.Categorical(torch.tensor([0.3, 0.7])), td.Normal(torch.tensor([-1.0, 2.0]), 0.5))
BASES = {
    "normal": td.Normal(0.0, 1.5),
    "student t": td.StudentT(3.0),
    "laplace of each": td.Laplace(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0])),
    "joint": td.MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 0.5], [0.5, 2.0]])),
    "mixture": MIXTURE,
    "joint mixture": td.MixtureSameFamily(
        td.Categorical(torch.ones(3)), td.Independent(td.Normal(torch.arange(6.0).view(3, 2), 1.0), 1)
    ),
    "independent": td.Independent(td.StudentT(torch.tensor([2.0, 5.0])), 1),
}
SMALL = {"blocks": 2, "width": 8, "dtype": torch.float64}


def data(n=200, d=2, seed=0):
    """Points of a plane far from 0, in units of very different size."""
    x = points(n, d, seed)
    return x * torch.logspace(-2, 3, d).double() + 1e3 * torch.arange(1, d + 1)


def fitted(d=2, steps=8, **settings):
    return rf.ResidualFlow(d, **{**SMALL, **settings}).fit(data(d=d), steps=steps)


# Of a conditional flow with one block, in the order of its state.
NAMES_OF_FILES = [
    "0.network.0.weight", "0.network.0.bias", "0.network.2.weight", "0.network.2.bias", "1.log_scale", "1.shift",
    "2.branch.raw_scales", "2.branch.linears.0.raw", "2.branch.linears.0.bias", "2.branch.linears.1.raw",
    "2.branch.linears.1.bias", "2.branch.network.0.weight", "2.branch.network.0.bias", "2.branch.network.2.weight",
    "2.branch.network.2.bias", "3.log_scale", "3.shift",
]  # fmt: skip


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

    @pytest.mark.parametrize("d", [1, 3, 7])
    def test_so_it_is_in_other_dimensions(self, d):
        flow, x = fitted(d), data(4, d, seed=3)
        expected = td.Normal(0.0, 1.0).log_prob(flow(x).detach()).sum(-1).numpy()
        expected = expected + numpy_log_abs_det(autograd_jacobian(flow, x))
        np.testing.assert_allclose(flow.log_prob(x).detach().numpy(), expected, atol=1e-9)

    @pytest.mark.parametrize("base", [None, "student t", "mixture"])
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
        assert torch.equal(flow.log_prob(x.tolist()), expected)
        assert flow.log_prob(x[:0]).shape == (0,)
        assert flow.log_prob(np.round(x.numpy()).astype(int)).shape == (12,)
        assert flow.log_prob(x.float()).dtype == torch.float64

    def test_far_from_zero_a_float32_flow_keeps_the_digits_of_its_points(self):
        x = data(200) + 1e7
        single = rf.ResidualFlow(2, blocks=2, width=8).fit(x, steps=5)
        double = copy.deepcopy(single).double()
        torch.testing.assert_close(single.log_prob(x).double(), double.log_prob(x), atol=1e-3, rtol=1e-4)

    @pytest.mark.parametrize("context", [0, 2])
    def test_gradient_and_hessian_are_those_of_differences(self, context):
        flow = rf.ResidualFlow(2, **SMALL, context=context)
        randomise(flow)
        c, x = (torch.tensor([0.3, -0.5]).double() if context else None), points(1, 2, seed=5)[0]
        found, step = hessian(lambda x: flow.log_prob(x, c), x), 1e-5
        rows = []
        for unit in step * torch.eye(2).double():
            pair = [(x + s * unit).requires_grad_() for s in (1, -1)]
            up, down = (torch.autograd.grad(flow.log_prob(p, c), p)[0] for p in pair)
            rows.append((up - down) / (2 * step))
        assert found.abs().max() > 1e-2
        torch.testing.assert_close(found, torch.stack(rows), atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(torch.func.hessian(lambda x: flow.log_prob(x, c))(x), found, atol=1e-9, rtol=1e-9)

    @pytest.mark.parametrize("context", [0, 2])
    def test_torch_func_takes_it(self, context):
        flow, x = rf.ResidualFlow(2, **SMALL, context=context), points(4, 2)
        c = torch.ones(2).double() if context else None
        found = torch.func.vmap(lambda x: flow.log_prob(x, c))(x)
        torch.testing.assert_close(found, flow.log_prob(x, c), atol=1e-12, rtol=0)
        jacobian = torch.func.vmap(torch.func.jacrev(lambda x: flow(x, c)))(x)
        torch.testing.assert_close(jacobian, autograd_jacobian(lambda x: flow(x, c), x), atol=1e-12, rtol=0)

    @pytest.mark.parametrize("context", [0, 2])
    @pytest.mark.parametrize("gradient", ["neumann", "in_forward", "plain"])
    def test_the_roulette_is_unbiased(self, context, gradient):
        """Mean of 6,000 estimates within 5 standard errors (false alarms 6e-7); a bias of 8 is seen with 99.8 %."""
        flow = rf.ResidualFlow(2, **SMALL, context=context)
        randomise(flow)
        x, c = points(1, 2, seed=5).expand(6_000, 2), torch.tensor([0.3, -0.5]).double() if context else None
        law = rf.Roulette(rf.Geometric(0.3, 4), gradient=gradient)
        found = flow.log_prob(x, c, log_det=law, seed=1).detach()
        error = found.mean() - flow.log_prob(x[:1], c).detach()[0]
        assert found.std() > 0
        assert abs(error) < 5 * found.std() / 6_000**0.5

    @pytest.mark.parametrize("gradient", ["neumann", "in_forward", "plain"])
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

    def test_they_have_the_moments_of_quadrature(self):
        """A line: mean and second moment within 5 standard errors of 20,000 draws (false alarms 6e-7)."""
        flow = rf.ResidualFlow(1, **SMALL)
        randomise(flow)
        x = np.linspace(-15, 15, 20_001)
        with torch.no_grad():
            density = flow.log_prob(x[:, None]).exp().numpy()
        draws = flow.sample(20_000, seed=0)[:, 0].numpy()
        for power in (1, 2):
            error = (draws**power).mean() - np.trapezoid(density * x**power, x)
            assert abs(error) < 5 * (draws**power).std() / 20_000**0.5

    @pytest.mark.parametrize("shape", [(), 0, 5, (3, 4), [2], torch.Size([1, 0])])
    def test_shapes(self, flow, shape):
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        assert flow.sample(shape).shape == (*sizes, 2)

    def test_seeds_are_numbers_or_generators_and_the_global_one_is_left_alone(self, flow):
        heavy, state = fitted(base=BASES["student t"]), torch.get_rng_state()
        for each in (flow, heavy):
            first = each.sample(5, seed=1)
            assert torch.equal(first, each.sample(5, seed=seeded(1)))
            assert torch.equal(first, each.sample(5, generator=seeded(1)))
            assert torch.equal(first, each.sample(5, generator=1))
            assert not torch.equal(each.sample(5), each.sample(5))
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(fitted().sample(5), fitted().sample(5))

    @pytest.mark.parametrize("context", [0, 2])
    def test_rsample_has_the_gradient_of_differences(self, context):
        flow, step = rf.ResidualFlow(2, **SMALL, context=context), 1e-5
        randomise(flow)
        c = torch.tensor([0.3, -0.5]).double() if context else None
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
    @pytest.mark.thorough
    def test_it_learns_a_normal_in_its_own_units(self):
        """The entropy of N(m, S) is the least NLL. 0.1 nats is far above the error of 400 points (0.05) and far below
        the 1.4 nats between the first weights and the truth."""
        covariance = torch.tensor([[25.0, 20.0], [20.0, 25.0]]).double()
        truth = td.MultivariateNormal(torch.tensor([100.0, -50.0]).double(), covariance)
        x = points(2_000, 2) @ torch.linalg.cholesky(covariance).T + truth.mean
        flow = rf.ResidualFlow(2, blocks=2, width=8).fit(x[:1_600], steps=100, validation=0.2, learning_rate=0.02)
        gap = (truth.log_prob(x[1_600:]) - flow.log_prob(x[1_600:]).detach()).mean()
        assert -0.02 < gap < 0.1
        assert flow.fitted.validation_points == 320
        assert flow.fitted.best_step <= flow.fitted.steps <= 100

    @pytest.mark.thorough
    def test_the_weights_that_fit_the_validation_points_best_are_kept(self):
        train, held = data(60), data(300, seed=1)
        flow = rf.ResidualFlow(2, width=16, blocks=1, dtype=torch.float64)
        flow.fit(train, steps=1_000, validation=held, learning_rate=0.02)
        assert flow.fitted.steps < 1_000
        assert "early" in flow.fitted.reason
        assert -flow.log_prob(held).mean().item() == pytest.approx(flow.fitted.validation_nll, abs=1e-9)
        assert -flow.log_prob(train).mean() < flow.fitted.validation_nll

    def test_the_same_seed_and_steps_give_the_same_flow_and_another_seed_another(self):
        first, second, third = (fitted(seed=seed) for seed in (0, seeded(0), 1))
        x = data(5)
        assert torch.equal(first.log_prob(x), second.log_prob(x))
        assert not torch.equal(first.log_prob(x), third.log_prob(x))

    @pytest.mark.parametrize("log_det", ["exact", "truncated", "roulette"])
    def test_compiled_kernels_take_the_same_steps_and_it_says_so(self, log_det, monkeypatch):
        steps, by_kernel = [], by_kernels.ByKernels.gradients
        monkeypatch.setattr(by_kernels.ByKernels, "gradients", lambda *given: steps.append(1) or by_kernel(*given))
        flow = rf.ResidualFlow(2, blocks=3, width=8, log_det=log_det).fit(data(), steps=12)
        assert flow.fitted.backend == "numba" and len(steps) == 12
        assert "kernels" in str(flow.fitted) and "torch" not in str(flow.fitted)
        monkeypatch.setattr(by_kernels, "trained", lambda flow: False)
        same = rf.ResidualFlow(2, blocks=3, width=8, log_det=log_det).fit(data(), steps=12)
        assert same.fitted.backend == "torch" and "torch" in str(same.fitted)
        assert flow.fitted.validation_nll == pytest.approx(same.fitted.validation_nll, abs=1e-4)
        assert flow.fitted.train_nll == pytest.approx(same.fitted.train_nll, abs=1e-4)
        x = data(50, seed=4).float()
        torch.testing.assert_close(flow.log_prob(x), same.log_prob(x), atol=1e-3, rtol=0)

    def test_after_kernels_each_parameter_has_memory_of_its_own(self):
        flow = rf.ResidualFlow(2, blocks=2, width=8)
        before = list(flow.parameters())
        flow.fit(data(), steps=2)
        assert flow.fitted.backend == "numba" and flow.flow.kernels is None
        assert all(a is b for a, b in zip(before, flow.parameters(), strict=True))
        storages = {parameter.untyped_storage().data_ptr() for parameter in flow.parameters()}
        assert len(storages) == len(before)
        again = copy.deepcopy(flow).double()
        x = data(20, seed=4).float()
        torch.testing.assert_close(again.log_prob(x.double()).float(), flow.log_prob(x), atol=1e-3, rtol=0)
        assert flow.fit(data(), steps=2).fitted.backend == "numba"

    @pytest.mark.parametrize(
        "settings",
        [{"context": 1}, {"base": BASES["student t"]}, {"dtype": torch.float64}, {"activation": "maxmin"}, {"d": 3}],
        ids=str,
    )
    def test_torch_fits_what_kernels_do_not_know(self, settings):
        d = settings.get("d", 2)
        settings = {name: value for name, value in settings.items() if name != "d"}
        x = data(d=d)
        c = {"context": x[:, :1]} if "context" in settings else {}
        flow = rf.ResidualFlow(d, blocks=2, width=8, **settings).fit(x, steps=2, **c)
        assert flow.fitted.backend == "torch"

    def test_torch_fits_where_some_weights_stay_or_no_kernels_are_made(self, monkeypatch):
        frozen = rf.ResidualFlow(2, blocks=2, width=8)
        first = next(frozen.parameters()).requires_grad_(False)
        before = first.clone()
        assert frozen.fit(data(), steps=2).fitted.backend == "torch" and torch.equal(first, before)
        monkeypatch.setattr(compilation, "are_kept", lambda: False)
        assert rf.ResidualFlow(2, blocks=2, width=8).fit(data(), steps=2).fitted.backend == "torch"

    def test_units_stay_inside(self):
        """The same points in other units: log p differs by the log of the units, and nothing else."""
        x = data()
        plain = rf.ResidualFlow(2, **SMALL).fit(x, steps=10)
        other = rf.ResidualFlow(2, **SMALL).fit(8 * x, steps=10)
        torch.testing.assert_close(other.log_prob(8 * x), plain.log_prob(x) - 2 * math.log(8), atol=1e-9, rtol=0)

    def test_a_second_fit_goes_on_in_the_same_units(self):
        flow = fitted()
        centre, before = flow.centre.clone(), flow.log_prob(data(5)).detach()
        flow.fit(data() + 0.01, steps=1, validation=0)
        assert torch.equal(flow.centre, centre)
        assert not torch.equal(flow.log_prob(data(5)), before)

    @pytest.mark.parametrize(
        ("log_det", "context"),
        [("exact", 0), ("truncated", 1), ("roulette", 0), ("roulette", 1), (rf.Roulette(gradient="in_forward"), 1)],
    )
    def test_it_trains_with_any_estimator(self, log_det, context):
        x = data()
        c = x[:, :1] if context else None
        flow = rf.ResidualFlow(2, **SMALL, log_det=log_det, context=context).fit(x, context=c, steps=5)
        assert math.isfinite(flow.fitted.validation_nll)

    def sizes(self, flow):
        return {"blocks": flow.config.blocks, "width": flow.config.width}

    @pytest.mark.parametrize(
        "settings", [{}, {"context": 2}, {"dtype": torch.float64, "base": BASES["student t"]}], ids=str
    )
    def test_few_points_get_a_small_flow_as_if_its_sizes_had_been_given(self, settings):
        x = data(150, 5)
        c = {"context": x[:, :2]} if "context" in settings else {}
        flow = rf.ResidualFlow(5, seed=3, **settings)
        many = self.sizes(flow)
        assert flow.fit(x, steps=2, **c) is flow
        few = self.sizes(flow)
        assert few != many and few["blocks"] * few["width"] < many["blocks"] * many["width"]
        assert (flow.fitted.blocks, flow.fitted.width) == (few["blocks"], few["width"])
        same = rf.ResidualFlow(5, seed=3, **settings, **few).fit(x, steps=2, **c)
        assert torch.equal(flow.log_prob(x, **c), same.log_prob(x, **c))

    def test_many_points_get_the_sizes_of_their_dimension(self):
        flow = rf.ResidualFlow(5)
        before = self.sizes(flow)
        flow.fit(data(20_000, 5), steps=1, batch=32)
        assert self.sizes(flow) == before

    def test_sizes_that_are_given_stay(self):
        flow = rf.ResidualFlow(5, blocks=7).fit(data(150, 5), steps=1)
        free = rf.ResidualFlow(5).fit(data(150, 5), steps=1)
        assert self.sizes(flow) == self.sizes(free) | {"blocks": 7}
        flow = rf.ResidualFlow(5, blocks=7, width=9).fit(data(150, 5), steps=1)
        assert self.sizes(flow) == {"blocks": 7, "width": 9}

    @pytest.mark.parametrize("how", ["moved", "frozen", "fitted", "from a file"])
    def test_weights_of_the_users_own_stay(self, how, tmp_path):
        flow = rf.ResidualFlow(5)
        if how == "moved":
            with torch.no_grad():
                next(flow.parameters()).add_(0.01)
        if how == "frozen":
            next(flow.parameters()).requires_grad_(False)
        if how == "fitted":
            flow.fit(data(20_000, 5), steps=1, batch=32)
        if how == "from a file":
            flow.save(tmp_path / "flow.rf")
            flow = rf.load(tmp_path / "flow.rf")
        before = self.sizes(flow), [id(parameter) for parameter in flow.parameters()]
        flow.fit(data(150, 5), steps=1)
        assert (self.sizes(flow), [id(parameter) for parameter in flow.parameters()]) == before

    def test_copies_choose_their_sizes_as_well(self):
        flow, x = rf.ResidualFlow(5, seed=2).double(), data(150, 5)
        copies = [copy.deepcopy(flow), pickle.loads(pickle.dumps(flow))]
        flow.fit(x, steps=2)
        for one in copies:
            assert torch.equal(one.fit(x, steps=2).log_prob(x), flow.log_prob(x))
            assert one.dtype == torch.float64

    def test_seconds_end_it(self):
        flow = rf.ResidualFlow(2, blocks=1, width=2).fit(data(), seconds=0.05, validation=0)
        assert flow.fitted.reason == "the time was up"
        assert flow.fitted.steps >= 1

    def test_a_bar_is_drawn_only_on_a_terminal(self, capsys):
        fitted()
        assert capsys.readouterr() == ("", "")
        rf.ResidualFlow(2, **SMALL).fit(data(), steps=3, progress=True)
        out, err = capsys.readouterr()
        assert out == ""
        assert "100%" in err

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


@pytest.mark.thorough
class TestContext:
    @pytest.fixture(scope="class")
    def given(self):
        """x ~ N(3 c, exp(c)^2) on a line."""
        c = 2 * torch.rand(1_500, 1, generator=seeded(0), dtype=torch.float64) - 1
        x = 3 * c + c.exp() * points(1_500, 1, seed=1)
        return rf.ResidualFlow(1, context=1, blocks=2, width=8, seed=0).fit(x, context=c, steps=100, learning_rate=0.02)

    def test_it_learns_a_density_for_each_context(self, given):
        """The mean over x of the truth's gain: KL(truth || flow) for three contexts, by quadrature in float64."""
        x = torch.linspace(-12, 12, 2_001, dtype=torch.float64)[:, None]
        for c in (-0.7, 0.0, 0.7):
            truth = td.Normal(3 * c, math.exp(c)).log_prob(x[:, 0])
            with torch.no_grad():
                gap = truth - given.condition([c]).log_prob(x).double()
            assert -1e-3 < float((truth.exp() * gap).sum() * (24 / 2_000)) < 0.15

    def test_it_integrates_to_one_for_each_context(self, given):
        x = torch.linspace(-40, 40, 8_001, dtype=torch.float64)[:, None]
        for c in (-0.7, 2.0):
            with torch.no_grad():
                assert given.condition([c]).log_prob(x).exp().sum() * 0.01 == pytest.approx(1, abs=2e-3)

    def test_contexts_broadcast_as_batch_shapes(self, given):
        c = torch.tensor([[-0.5], [0.0], [0.5]])
        p = given.condition(c)
        assert p.batch_shape == (3,)
        x = p.sample((4,), seed=0)
        assert x.shape == (4, 3, 1)
        each = torch.stack([given.condition(row).log_prob(x[:, i]) for i, row in enumerate(c)], 1)
        torch.testing.assert_close(p.log_prob(x), each, atol=1e-5, rtol=1e-5)
        assert torch.equal(given.log_prob(x, c), p.log_prob(x))
        assert p.rsample((2,)).requires_grad
        torch.testing.assert_close(p.inverse(p(x)), x, atol=1e-4, rtol=1e-4)

    def test_autograd_agrees(self):
        flow = rf.ResidualFlow(2, **SMALL, context=3)
        randomise(flow)
        x, c = points(4, 2), points(4, 3, seed=1)
        rows = [autograd_jacobian(lambda x, c=c[i]: flow(x, c), x[i : i + 1]) for i in range(4)]
        expected = td.Normal(0.0, 1.0).log_prob(flow(x, c).detach()).sum(-1).numpy()
        expected = expected + numpy_log_abs_det(torch.cat(rows))
        np.testing.assert_allclose(flow.log_prob(x, c).detach().numpy(), expected, atol=1e-9)

    @pytest.mark.parametrize(
        ("d", "settings", "log_det"),
        [
            (2, {}, rf.Truncated(4, n_probes=2)),
            (2, {"actnorm": False}, rf.Roulette(gradient="plain")),
            (2, {"hidden_layers": 2}, rf.Exact()),
            (3, {"activation": "clipswish"}, rf.Roulette(n_probes=2, exact_traces=1)),
            (3, {"actnorm": False}, rf.Truncated(4, n_probes=2, gradient="in_forward")),
            (3, {"activation": "maxmin"}, rf.Exact()),
        ],
        ids=str,
    )
    def test_its_map_is_that_of_its_parts_one_after_the_other(self, d, settings, log_det):
        """With the same draws; also in its gradients, in the contexts too."""
        flow = ConditionalFlow(rf.FlowConfig(dim=d, blocks=3, width=7, **settings), 2, seeded(0)).double()
        randomise(flow)
        x, contexts = points(9, d), points(9, 2, seed=3).requires_grad_()

        def found(log_dets_of):
            with flow.at(contexts):
                z, log_dets = log_dets_of(x, log_det, seeded(5))
            gradient = torch.autograd.grad((z.sum(1) + log_dets).sum(), [contexts, *flow.parameters()])
            return z, log_dets, *gradient

        def part_by_part(*given):
            z, log_dets = flow.forward_and_log_dets(*given)
            return z, log_dets.sum(1)

        for ours, expected in zip(found(flow.forward_and_log_det), found(part_by_part), strict=True):
            torch.testing.assert_close(ours, expected, atol=1e-11, rtol=1e-11)

    def test_many_points_keep_their_contexts_where_they_are_computed_in_parts(self, monkeypatch):
        flow = rf.ResidualFlow(2, **SMALL, context=2)
        randomise(flow)
        x, c = points(50, 2), points(50, 2, seed=1)
        with torch.no_grad():
            whole = flow.log_prob(x, c), flow(x, c), x
            monkeypatch.setattr("resflow_core.flow.CHUNK_NUMBERS", 7 * flow.config.width)  # 7 points at a time
            parts = flow.log_prob(x, c), flow(x, c), flow.inverse(flow(x, c), c)
        for one, other in zip(whole, parts, strict=True):
            torch.testing.assert_close(other, one, atol=1e-5, rtol=0)

    def test_its_state_has_the_names_of_older_files(self):
        flow = rf.ResidualFlow(2, blocks=1, width=4, context=3)
        names = [f"flow.bijections.{name}" for name in NAMES_OF_FILES]
        assert list(flow.state_dict()) == ["centre", "scale", "context_centre", "context_scale", *names]
        other = rf.ResidualFlow(2, blocks=1, width=4, context=3, seed=1)
        other.load_state_dict({name: tensor + 1 for name, tensor in flow.state_dict().items()})
        for name, tensor in flow.state_dict().items():
            assert torch.equal(other.state_dict()[name], tensor + 1)

    def test_its_numbers_are_those_of_older_versions(self):
        """Computed by version 0.1.0 of September 2026, before its map was one."""
        flow = rf.ResidualFlow(2, **SMALL, context=2)
        randomise(flow)
        x, c = torch.tensor([[0.3, -1.2], [1.5, 0.4]]).double(), torch.tensor([[1.0, -0.5], [-2.0, 0.7]]).double()
        expected = torch.tensor([-11.91608953208152, -258.003555281154], dtype=torch.float64)
        torch.testing.assert_close(flow.log_prob(x, c).detach(), expected, atol=1e-12, rtol=1e-12)

    def test_without_contexts_its_map_says_what_to_do(self):
        flow = rf.ResidualFlow(2, **SMALL, context=2)
        with pytest.raises(ValueError, match=r"within `with flow\.at\(contexts\):`"):
            flow.flow(points(3, 2))
        with flow.flow.at(points(3, 2)):
            assert flow.flow(points(3, 2)).shape == (3, 2)
        with pytest.raises(ValueError, match="no contexts"):
            flow.flow(points(3, 2))


MAKERS = {
    "float32": lambda: rf.ResidualFlow(2, blocks=2, width=8).fit(data(), steps=3),
    "float64": lambda: fitted(steps=3),
    "context": lambda: rf.ResidualFlow(2, **SMALL, context=2).fit(data(), context=data(), steps=3),
    "formula": lambda: fitted(steps=3, activation=rf.formula("sin(z)")),
    "clipswish": lambda: fitted(steps=3, activation="clipswish"),
    "roulette": lambda: fitted(steps=3, log_det=rf.Roulette(rf.Poisson(3.0), n_probes=2)),
    "unfitted": lambda: rf.ResidualFlow(3, blocks=1, width=4),
    **{f"base {name}": (lambda name=name: fitted(steps=2, base=BASES[name])) for name in BASES},
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

    def test_a_copy_shares_nothing(self, flow):
        again, x = copy.deepcopy(flow), data(3)
        before = flow.log_prob(x).detach()
        with torch.no_grad():
            next(again.parameters()).add_(1)
        assert torch.equal(flow.log_prob(x), before)

    def test_state_dicts_carry_weights_and_units(self, flow):
        other = rf.ResidualFlow(2, **SMALL, seed=5)
        other.load_state_dict(flow.state_dict())
        assert torch.equal(other.log_prob(data(5)), flow.log_prob(data(5)))

    def test_older_files_go_on_loading(self, tmp_path):
        old = rf.FlowConfig(blocks=2, width=8).build(seeded(1))
        (tmp_path / "old.rf").write_bytes(rf.to_bytes(old))
        x = points(5, 2).float()
        torch.testing.assert_close(rf.load(tmp_path / "old.rf").log_prob(x), old.log_prob(x), atol=0, rtol=0)

    @pytest.mark.parametrize("damage", ["cut", "pickle", "nothing", "settings", "tensor", "unit"])
    def test_other_files_are_refused(self, damage, tmp_path, flow):
        from safetensors.torch import load, save

        from resflow_core.api.library_file import FORMAT, to_file

        path = tmp_path / "flow.rf"
        good = to_file(flow)
        header = int.from_bytes(good[:8], "little")
        settings = __import__("json").loads(good[8 : 8 + header])["__metadata__"][FORMAT]
        tensors = load(good)
        if damage == "pickle":
            torch.save(flow, path)
        else:
            path.write_bytes(
                {
                    "cut": good[:-1],
                    "nothing": b"",
                    "settings": save(tensors, {FORMAT: settings.replace("blocks", "block")}),
                    "tensor": save({**tensors, "more": torch.ones(1)}, {FORMAT: settings}),
                    "unit": save({**tensors, "scale": -tensors["scale"]}, {FORMAT: settings}),
                }[damage]
            )
        with pytest.raises(ValueError, match=r"file"):
            rf.load(path)

    @pytest.mark.parametrize("base", [None, *BASES])
    def test_types_change_with_all_that_belongs_to_it(self, base):
        flow = rf.ResidualFlow(2, blocks=2, width=8, base=BASES.get(base)).fit(data(), steps=2)
        x = data(5)
        single = flow.log_prob(x)
        double = flow.double().log_prob(x)
        assert (single.dtype, double.dtype, flow.sample(2).dtype) == (torch.float32, torch.float64, torch.float64)
        torch.testing.assert_close(single.double(), double, atol=1e-3, rtol=1e-4)
        assert flow.centre.dtype == torch.float64

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
            (lambda: rf.ResidualFlow(300), "from 1 to 256"),
            (lambda: rf.ResidualFlow(2, log_det="rolette"), "use one of exact"),
            (lambda: rf.ResidualFlow(2, activation="swoosh"), "use one of lipswish"),
            (lambda: rf.ResidualFlow(2, activation=torch.exp), "Lipschitz constant must be known"),
            (lambda: rf.ResidualFlow(2, seed="abc"), "whole number"),
            (lambda: rf.ResidualFlow(2, base=td.Exponential(1.0)), "its support is"),
            (lambda: rf.ResidualFlow(2, base=td.Poisson(1.0)), "its support is"),
            (lambda: rf.ResidualFlow(2, base=td.Normal(torch.zeros(3), 1.0)), r"batch shape \(3,\)"),
            (lambda: rf.ResidualFlow(2, base=torch.randn), "log_prob and sample"),
            (lambda: rf.ResidualFlow(2, dtype=torch.float16), "float32 or torch.float64"),
            (lambda: rf.ResidualFlow(2).fit([[1.0, math.nan]] * 20), "not finite"),
            (lambda: rf.ResidualFlow(2).fit(np.ones((20, 2))), "in every row"),
            (lambda: rf.ResidualFlow(2).fit(np.arange(20.0)[:, None] * [1, 2]), "linear combination"),
            (lambda: rf.ResidualFlow(2).fit(np.zeros((20, 3))), r"\(20, 3\).*features=3"),
            (lambda: rf.ResidualFlow(2).fit(data(5)), "too few"),
            (lambda: rf.ResidualFlow(2).fit(data(), validation=2), "share from 0 to 0.9"),
            (lambda: rf.ResidualFlow(2).fit(data(), seconds=-1), "above 0"),
            (lambda: rf.ResidualFlow(2).fit(data(), context=data()), "no context"),
            (lambda: rf.ResidualFlow(2, context=1).fit(data()), "pass context=C"),
            (lambda: rf.ResidualFlow(2, context=1).log_prob(data()), "condition"),
            (lambda: rf.ResidualFlow(2, context=1).distribution(), "condition"),
            (lambda: rf.ResidualFlow(2).condition([1.0]), "no context"),
            (lambda: rf.ResidualFlow(2).log_prob(torch.zeros(2, 3)), "swapped"),
            (lambda: rf.ResidualFlow(1).log_prob(torch.zeros(3)), r"x\[\.\.\., None\]"),
            (lambda: rf.ResidualFlow(2).log_prob(["a", "b"]), "array of numbers"),
            (lambda: rf.ResidualFlow(2).log_prob(torch.zeros(2, dtype=torch.complex64)), "real numbers"),
            (lambda: rf.ResidualFlow(2).sample(-1), "at least 0"),
            (lambda: rf.ResidualFlow(2).sample(2.5), "whole number"),
            (lambda: rf.ResidualFlow(2).sample(2, seed=1, generator=1), "one of them"),
            (lambda: rf.load(b"abc"), "name of a file"),
        ],
    )
    def test_the_message_says_what_to_do(self, call, words):
        with pytest.raises(ValueError, match=words):
            call()

    def test_no_rsample_without_that_of_the_base(self):
        flow = rf.ResidualFlow(2, blocks=1, width=4, base=BASES["mixture"])
        with pytest.raises(NotImplementedError, match="use sample"):
            flow.rsample(3)

    def test_a_flow_that_diverges_keeps_its_best_weights(self):
        flow = rf.ResidualFlow(2, blocks=2, width=8)
        with pytest.raises(rf.Diverged, match="learning_rate"):
            flow.fit(data(), steps=500, learning_rate=1e30)
        assert all(parameter.isfinite().all() for parameter in flow.parameters())


def test_torch_save_of_the_state_is_read_with_weights_only():
    file, flow = io.BytesIO(), rf.ResidualFlow(2, blocks=1, width=4)
    torch.save(flow.state_dict(), file)
    file.seek(0)
    flow.load_state_dict(torch.load(file, weights_only=True))
