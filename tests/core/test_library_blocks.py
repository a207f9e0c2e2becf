"""Blocks of any module, layers and moments, against autograd, NumPy, SciPy and zuko."""

import numpy as np
import pytest
import torch
from torch import nn

import resflow_core as rf
from resflow_core.api.blocks import BrokenBound
from resflow_core.api.layers import bound_of
from tests.core.oracles import autograd_jacobian, numpy_log_abs_det, points, seeded


def network(d=3, cap=0.9):
    return nn.Sequential(
        rf.LipschitzLinear(d, 8, cap, seed=0), nn.Tanh(), rf.LipschitzLinear(8, d, cap, seed=1)
    ).double()


def plain(d=3, scale=1.0):
    """A network of torch's own layers."""
    net = nn.Sequential(nn.Linear(d, 8), nn.Softplus(), nn.Linear(8, d)).double()
    with torch.no_grad():
        for parameter, seed in zip(net.parameters(), range(4), strict=True):
            parameter.copy_(scale * 0.2 * torch.randn(parameter.shape, generator=seeded(seed), dtype=torch.float64))
    return net


def convolution(channels=2):
    net = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, channels, 3, padding=1)).double()
    with torch.no_grad():
        for parameter, seed in zip(net.parameters(), range(4), strict=True):
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=seeded(seed), dtype=torch.float64))
    return net


def linear(a):
    net = nn.Linear(len(a), len(a), bias=False).double()
    with torch.no_grad():
        net.weight.copy_(torch.as_tensor(a))
    return net


class TestBlock:
    @pytest.mark.parametrize("make", [network, plain])
    def test_the_log_det_is_that_of_autograd(self, make):
        block, x = rf.ResidualBlock(make(), lipschitz=0.9), points(5, 3)
        z, log_det = block.forward_and_log_det(x)
        np.testing.assert_allclose(log_det.detach(), numpy_log_abs_det(autograd_jacobian(block, x)), atol=1e-12)
        assert torch.equal(z, block(x))
        assert torch.equal(block(x), x + block.g(x))

    def test_a_convolution_is_a_block_of_pictures(self):
        block, x = rf.ResidualBlock(convolution(), lipschitz=0.9, shape=(2, 4, 4)), points(3, 32).view(3, 2, 4, 4)
        z, log_det = block.forward_and_log_det(x)
        jacobian = autograd_jacobian(lambda rows: block(rows.view(-1, 2, 4, 4)).view(-1, 32), x.view(3, 32))
        np.testing.assert_allclose(log_det.detach(), numpy_log_abs_det(jacobian), atol=1e-12)
        assert z.shape == (3, 2, 4, 4)
        torch.testing.assert_close(block.inverse(z), x, atol=1e-5, rtol=0)
        with pytest.raises(ValueError, match="pass shape="):
            rf.ResidualBlock(convolution(), lipschitz=0.9)(x.view(3, 32))

    @pytest.mark.parametrize("gradient", ["neumann", "plain_in_forward"])
    def test_the_roulette_is_unbiased_and_so_is_its_gradient(self, gradient):
        """5 standard errors of 4,000 estimates (false alarms 6e-7 each); a bias of 8 is seen with 99.8 %."""
        block, x = rf.ResidualBlock(plain(), lipschitz=0.9), points(1, 3).expand(4_000, 3)
        _, found = block.forward_and_log_det(x, rf.Roulette(rf.Geometric(0.3, 4), gradient=gradient), generator=3)
        found, (_, exact) = found.detach(), block.forward_and_log_det(x[:1])
        weight = block.g[0].weight
        error = found.mean() - exact[0]
        assert abs(error) < 5 * found.std() / 4_000**0.5
        (truth,) = torch.autograd.grad(exact[0], weight)
        parts = []
        for seed in range(10):  # what is differentiated in the forward pass is differentiated once
            _, some = block.forward_and_log_det(x[:400], rf.Roulette(rf.Geometric(0.3, 4), gradient=gradient), seed)
            parts.append(torch.autograd.grad(some.mean(), weight)[0])
        parts = torch.stack(parts)
        # Student t with 9 degrees of freedom in 24 entries: 8 of its units are passed by chance with 5e-4.
        assert bool(((parts.mean(0) - truth).abs() <= 8 * parts.std(0) / 10**0.5 + 1e-12).all())

    def test_the_inverse_and_its_gradient(self):
        block, z = rf.ResidualBlock(network()), points(4, 3).requires_grad_()
        x = block.inverse(z)
        torch.testing.assert_close(block(x), z, atol=1e-5, rtol=0)
        expected = torch.linalg.inv(autograd_jacobian(block, x.detach()))
        torch.testing.assert_close(autograd_jacobian(block.inverse, z.detach()), expected, atol=1e-6, rtol=0)


class TestBound:
    def test_it_is_certified_from_the_layers(self):
        assert rf.ResidualBlock(network()).lipschitz == pytest.approx(0.81)
        assert rf.ResidualBlock(network()).certified
        assert bound_of(nn.Sequential(nn.ELU(3.0), network())) == pytest.approx(3 * 0.81)
        assert bound_of(plain()) is None
        assert not rf.ResidualBlock(network(), lipschitz=0.5).certified

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda: rf.ResidualBlock(plain()), "pass lipschitz="),
            (lambda: rf.ResidualBlock(plain(), lipschitz=1.2), "must be below 1"),
            (lambda: rf.ResidualBlock(network(cap=1.1)), "Lower the caps"),
            (lambda: rf.ResidualBlock(plain(), lipschitz=0.5)(points(3, 3).float()), r"pass x.to\(torch.float64\)"),
            (lambda: rf.ResidualBlock(plain(), lipschitz=0.5)(points(3, 4)), "does not take points"),
            (lambda: rf.ResidualBlock(nn.BatchNorm1d(3).double(), lipschitz=0.5)(points(3, 3)), r"g\.eval\(\)"),
            (lambda: rf.ResidualBlock(Mixing(), lipschitz=0.5).forward_and_log_det(points(3, 3)), "single rows"),
        ],
    )
    def test_what_is_refused(self, call, words):
        with pytest.raises(ValueError, match=words):
            call()

    @pytest.mark.parametrize("how", ["exact", rf.Roulette(), rf.Roulette(gradient="plain")])
    def test_a_g_that_stretches_more_is_noticed(self, how):
        a = np.diag([4.8, 0.1, 0.2])
        with pytest.warns(BrokenBound, match=r"g stretches by 4\.\d+ at least, above lipschitz = 0\.9.*block\.check"):
            rf.ResidualBlock(linear(a), lipschitz=0.9).forward_and_log_det(points(5, 3), how)

    def test_the_check_measures_norm_and_radius(self):
        a = np.array([[0.5, 3.0], [0.0, 0.4]])
        seen = rf.ResidualBlock(linear(a), lipschitz=0.9).check(points(300, 2))
        assert (seen.points, seen.holds, seen.converges) == (300, False, True)
        assert seen.norm == pytest.approx(np.linalg.norm(a, 2))
        assert seen.radius == pytest.approx(0.5)
        assert "BROKEN" in str(seen)


class Mixing(nn.Module):
    def forward(self, x):
        return 0.1 * (x - x.mean(0))


class TestLayer:
    @pytest.mark.parametrize(("bias", "constraint"), [(True, "soft"), (False, "hard"), (True, "bjorck")])
    def test_the_cap_holds(self, bias, constraint):
        layer = rf.LipschitzLinear(3, 16, cap=0.7, bias=bias, seed=0, constraint=constraint)
        with torch.no_grad():
            layer.raw.mul_(30)
        assert np.linalg.norm(layer.weight().detach().numpy(), 2) <= 0.7
        x = points(6, 3).float().view(2, 3, 3)
        expected = x @ layer.weight().T + (layer.bias if bias else 0)
        torch.testing.assert_close(layer(x), expected)
        assert (layer.bias is not None) == bias


class TestMoments:
    @pytest.mark.parametrize(("probe", "n_probes"), [("gaussian", 1), ("rademacher", 1), ("gaussian", 3)])
    def test_the_variance_is_that_of_estimates(self, probe, n_probes):
        """The sample variance of 40,000 estimates, within 5 standard errors by 20 groups (t with 19: below 1e-4)."""
        a = np.array([[0.5, 0.3], [-0.2, 0.4]])
        law = rf.Custom((1.0, 0.7, 0.4))
        expected = rf.roulette_variance(a, law, probe, n_probes)
        block, x = rf.ResidualBlock(linear(a), lipschitz=0.9), torch.zeros(40_000, 2, dtype=torch.float64)
        with torch.no_grad():
            _, draws = block.forward_and_log_det(x, rf.Roulette(law, probe, n_probes), generator=0)
        groups = draws.view(20, -1).var(1)
        assert abs(groups.mean() - expected) < 5 * groups.std() / 20**0.5


class TestZuko:
    zuko = pytest.importorskip("zuko")

    def base(self, d=3):
        return self.zuko.lazy.UnconditionalDistribution(
            self.zuko.distributions.DiagNormal, torch.zeros(d).double(), torch.ones(d).double()
        )

    def test_a_block_trains_in_somebody_elses_flow(self):
        block = rf.ResidualBlock(network())
        affine = self.zuko.flows.MaskedAutoregressiveTransform(3, hidden_features=(8,)).double()
        flow, x = self.zuko.flows.Flow([affine, rf.to_zuko(block)], self.base()), points(5, 3)
        jacobian = autograd_jacobian(lambda x: block(affine()(x)), x)
        z = block(affine()(x)).detach()
        expected = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1).numpy() + numpy_log_abs_det(jacobian)
        np.testing.assert_allclose(flow().log_prob(x).detach().numpy(), expected, atol=1e-9)
        flow().log_prob(x).mean().backward()
        assert block.g[0].raw.grad.abs().sum() > 0
        assert flow().rsample((2, 4)).shape == (2, 4, 3)
        drawn = flow().sample((4,))
        torch.testing.assert_close(affine().inv(block.inverse(flow().transform(drawn))), drawn, atol=1e-4, rtol=0)

    @pytest.mark.parametrize("log_det", ["exact", "roulette"])
    def test_flows_and_their_parts_go_too(self, log_det):
        x = points(5, 3)
        flow = rf.ResidualFlow(3, blocks=2, width=8, dtype=torch.float64).fit(points(50, 3) + 9, steps=2)
        for part in (flow, flow.flow, flow.flow.blocks[0]):
            t = rf.to_zuko(part, log_det)()
            z, log_det_of = t.call_and_ladj(x)
            assert (z.shape, log_det_of.shape) == ((5, 3), (5,))
            torch.testing.assert_close(t.inv(z), x, atol=1e-4, rtol=1e-4)
        jacobian = autograd_jacobian(lambda x: rf.to_zuko(flow)()(x), x)
        found = rf.to_zuko(flow)().log_abs_det_jacobian(x, None).detach()
        np.testing.assert_allclose(found, numpy_log_abs_det(jacobian), atol=1e-9)

    def test_a_conditional_flow_takes_zukos_context(self):
        flow, x, c = rf.ResidualFlow(3, context=2, blocks=1, width=4, dtype=torch.float64), points(5, 3), points(5, 2)
        there = self.zuko.flows.Flow([rf.to_zuko(flow)], self.base())
        torch.testing.assert_close(there(c).log_prob(x), flow.log_prob(x, c), atol=1e-9, rtol=0)
        assert there(c[0]).sample((2,)).shape == (2, 3)
