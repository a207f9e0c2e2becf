"""Digits as points of R^64: the transform by autograd, bits per dimension by closed forms and by brute force."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from resflow_core.api import flow_file
from resflow_core.data import digits
from resflow_core.data.digits import ALPHA, DIGITS, DIM, LEVELS, Digits, bits_per_dim, dequantised, to_levels
from resflow_core.flow import FlowConfig
from resflow_core.measure import bits, gaussian_bits, held_out_bits
from tests.core.breathing import Breaths
from tests.core.oracles import seeded


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=seeded(seed), dtype=torch.float64)


def log_det_by_autograd(f, x):
    """log|det df/dx| at one point, from all of its Jacobian."""
    return torch.linalg.slogdet(torch.autograd.functional.jacobian(f, x)).logabsdet


class TestTransform:
    def test_its_log_det_is_that_of_its_jacobian(self):
        x = uniform(4, 5)
        y, log_det = digits.to_logits(x)
        s = ALPHA + (1 - 2 * ALPHA) * x.numpy()
        np.testing.assert_allclose(y, np.log(s / (1 - s)), rtol=1e-12)
        expected = [log_det_by_autograd(lambda p: digits.to_logits(p[None])[0][0], row) for row in x]
        torch.testing.assert_close(log_det, torch.stack(expected), rtol=1e-12, atol=1e-12)

    def test_every_grey_level_comes_back_whatever_its_noise(self):
        levels = torch.arange(LEVELS, dtype=torch.uint8).repeat(200, 1)
        x = dequantised(levels, seeded(2))
        assert bool((x * LEVELS).floor().eq(levels).all())
        y, _ = digits.to_logits(x)
        assert torch.equal(to_levels(y), levels)
        assert torch.equal(to_levels(torch.tensor([[-50.0, 50.0]])), torch.tensor([[0, 16]], dtype=torch.uint8))


class TestBitsPerDim:
    def test_a_density_that_is_constant_within_levels_reaches_the_bound(self):
        p = np.random.default_rng(0).dirichlet(np.ones(LEVELS))
        levels = torch.arange(LEVELS, dtype=torch.uint8)[:, None]
        _, log_det = digits.to_logits(dequantised(levels, seeded(4)))
        log_prob = torch.from_numpy(np.log(p * LEVELS)) - log_det  # of x it is 17 p within a level
        np.testing.assert_allclose(bits_per_dim(log_prob, log_det, dim=1), -np.log2(p), rtol=1e-12)


class TestData:
    def test_the_split_is_fixed_and_whole(self):
        from sklearn.datasets import load_digits

        held_out, training = DIGITS.held_out_levels, DIGITS.training_levels
        assert (len(held_out), len(training)) == (359, 1438)
        both = torch.cat([held_out, training]).numpy()
        assert sorted(map(bytes, both)) == sorted(map(bytes, load_digits().data.astype(np.uint8)))
        assert torch.equal(to_levels(DIGITS.held_out()), held_out)

    def test_draws_are_training_images_with_noise_of_their_own(self):
        y = DIGITS.sample(200, seeded(5))
        assert y.shape == (200, DIM) and y.dtype == torch.float32
        known = {bytes(row) for row in DIGITS.training_levels.numpy()}
        assert {bytes(row) for row in to_levels(y).numpy()} <= known
        assert not torch.equal(y, DIGITS.sample(200, seeded(6)))
        assert torch.equal(to_levels(DIGITS.training_logits(seeded(7))), DIGITS.training_levels)


class Few(Digits):
    """Three held-out images."""

    def held_out(self):
        return super().held_out()[:3]

    @property
    def held_out_log_det(self):
        return super().held_out_log_det[:3]


def test_a_flows_bits_are_those_of_all_its_jacobian():
    flow = FlowConfig(blocks=2, width=12, budget=0.9, dim=DIM).build(seeded(8))
    flow.initialize(DIGITS.sample(300, seeded(9)))
    breathe = Breaths()
    found = held_out_bits(flow, Few(), breathe)
    assert breathe.count == math.ceil(3 / bits.CHUNK)
    flow, expected = flow.double(), []
    x = (DIGITS.held_out().double()[:3].sigmoid() - ALPHA) / (1 - 2 * ALPHA)
    for row in x:

        def to_latent(p):
            return flow(digits.to_logits(p[None])[0])[0]

        z = to_latent(row).detach()
        log_p = scipy.stats.norm.logpdf(z).sum() + float(log_det_by_autograd(to_latent, row))
        expected.append(math.log2(LEVELS) - log_p / DIM / math.log(2))
    assert found.value == pytest.approx(np.mean(expected), abs=2e-5)
    assert found.standard_error == pytest.approx(np.std(expected, ddof=1) / math.sqrt(3), rel=1e-3)


def test_the_gaussians_are_scipys():
    found = gaussian_bits(DIGITS)
    noise = seeded(bits.GAUSSIAN_SEED)
    y = np.concatenate([DIGITS.training_logits(noise).numpy() for _ in range(bits.GAUSSIAN_DRAWS)])
    normal = scipy.stats.multivariate_normal(y.mean(0), np.cov(y.T, bias=True))
    log_p = normal.logpdf(DIGITS.held_out().double().numpy()) + DIGITS.held_out_log_det.numpy()
    expected = math.log2(LEVELS) - log_p / DIM / math.log(2)
    assert found.value == pytest.approx(expected.mean(), abs=1e-9)
    assert found.standard_error == pytest.approx(scipy.stats.sem(expected), rel=1e-9)
    assert found.value < math.log2(LEVELS)


def test_a_flow_of_r64_is_a_file_that_the_plane_refuses():
    flow = FlowConfig(blocks=1, width=4, dim=DIM).build(seeded(10))
    data = flow_file.to_bytes(flow, {"steps": 3})
    again = flow_file.from_bytes(data, DIM)
    assert again.config == flow.config and flow_file.notes(data) == {"steps": 3}
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), flow.parameters(), strict=True))
    with pytest.raises(ValueError, match="not one of the plane"):
        flow_file.from_bytes(data)
    with pytest.raises(ValueError, match="not one of 64 dimensions"):
        flow_file.from_bytes(flow_file.to_bytes(FlowConfig(blocks=1, width=4).build(seeded(0))), DIM)
