"""Which units are saturated, against the branch's formula with automatic differentiation of the activation."""

import numpy as np
import pytest
import torch

from resflow_core import measure
from resflow_core.fast.closed_forms import closed_form
from resflow_core.flow import FlowConfig
from tests.core.oracles import points, seeded

DELTA, EPSILON = 0.2, 0.3  # wide, so that some units of every flow are saturated and some are not


def build(activation="sine", blocks=3, scale=None, **settings):
    """A flow with scales and ActNorms that differ from block to block."""
    flow = FlowConfig(blocks=blocks, width=6, activation=activation, **settings).build(seeded(0)).double()
    flow.initialize(2 * points(100, 2, seed=5))
    with torch.no_grad():
        for block in flow.blocks:
            if block.branch.raw_scales is not None:
                block.branch.raw_scales += 0.2 * torch.randn(block.branch.raw_scales.shape, generator=seeded(7))
            for linear in block.branch.linears:
                linear.raw *= 3
    return flow if scale is None else flow.scaled(*scale)


def by_autograd(activation, beta, constant, h):
    """|phi_beta'| and |phi_beta''| of h, (units, batch), phi_beta(h) = raw(beta h) / (C beta), by automatic
    differentiation of each of the numbers that a unit becomes."""
    form, copies = closed_form(activation), activation.copies
    first, second = torch.zeros_like(h), torch.zeros_like(h)
    for k in range(copies):
        # Every unit by itself; a unit alone is passed through where units are sorted.
        z = h.detach().reshape(1, -1).clone().requires_grad_()
        y = form.raw(beta * z)[k] / (constant * beta) if form.arrangement.pattern(h) is None else z + 0
        (slope,) = torch.autograd.grad(y.sum(), z, create_graph=True)
        curvature = torch.zeros_like(z)
        if slope.requires_grad:
            (curvature,) = torch.autograd.grad(slope.sum(), z, materialize_grads=True)
        first += slope.detach().view(h.shape) ** 2
        second += curvature.view(h.shape) ** 2
    return first.sqrt(), second.sqrt()


def plainly(flow, x, delta=DELTA, epsilon=EPSILON):
    """Of every block and layer: beta h as NumPy, and whether units are saturated, (units, batch)."""
    blocks = []
    for part in flow.bijections:
        if hasattr(part, "branch"):
            branch, layers = part.branch, []
            h = x.T
            for beta, linear, norm in zip(branch.scales.detach(), branch.linears, branch.norms, strict=True):
                constant = closed_form(branch.activation).lipschitz(norm.p)
                slope, curvature = by_autograd(branch.activation, beta, constant, h)
                layers.append(((beta * h).numpy(), ((slope >= 1 - delta) & (curvature <= epsilon)).numpy()))
                with torch.no_grad():
                    value = closed_form(branch.activation).raw(beta * h) / (constant * beta)
                    h = linear.weight(norm) @ value + linear.bias[:, None]
            blocks.append(layers)
        with torch.no_grad():
            x = part(x)
    return blocks


FLOWS = {
    "two hidden layers": {"hidden_layers": 2, "activation": "lipswish"},
    "no ActNorm": {"activation": "elu", "actnorm": False},
    "cpila in mixed norms": {"activation": "cpila", "norms": "mixed"},
    "maxmin": {"activation": "maxmin"},
    "a scaled block": {"activation": "softplus", "scale": (1, 2.5)},
}


@pytest.mark.parametrize("settings", FLOWS.values(), ids=FLOWS)
class TestEveryFlow:
    def test_shares_quantiles_and_histograms_are_those_of_the_formula(self, settings):
        flow, x = build(**settings), 2 * points(300, 2, seed=1)
        found = measure.saturation(flow, x, DELTA, EPSILON)
        saturated, units = [], 0
        for k, layers in enumerate(plainly(flow, x)):
            for i, (t, flat) in enumerate(layers):
                quantiles = np.quantile(t, (0.005, 0.25, 0.5, 0.75, 0.995))
                assert found.share[k, i] == pytest.approx(flat.mean())
                np.testing.assert_allclose(found.quantiles[k, i], quantiles, rtol=1e-9, atol=1e-12)
                edges = found.edges[k, i]
                expected = np.histogram(t.clip(edges[0], edges[-1]), edges)[0]
                assert np.abs(found.counts[k, i] - expected).sum() <= 2  # a number on an edge
                assert found.counts[k, i].sum() == t.size
            block = np.concatenate([flat for _, flat in layers])
            assert found.by_block[k] == pytest.approx(block.mean())
            saturated.append(block.sum(0))
            units += len(block)
        assert found.overall == pytest.approx(np.mean(saturated) * len(saturated) / units)
        # Else this test says little; MaxMin has no curvature.
        assert found.overall == 1 if settings.get("activation") == "maxmin" else 0 < found.overall < 1
        every_slope = measure.saturation(flow, x, 1.0, EPSILON)
        assert found.straight == pytest.approx(every_slope.overall) and found.straight >= found.overall
        np.testing.assert_allclose(found.scales, [block.branch.scales.tolist() for block in flow.blocks])
        assert (found.delta, found.epsilon) == (DELTA, EPSILON)

    def test_maps_are_those_of_the_formula(self, settings):
        flow, x = build(**settings), 2 * points(60, 2, seed=2)
        blocks = [np.concatenate([flat for _, flat in layers]) for layers in plainly(flow, x)]
        whole = measure.saturation_map(flow, x, delta=DELTA, epsilon=EPSILON)
        np.testing.assert_allclose(whole, np.concatenate(blocks).mean(0), rtol=1e-6)
        for k, flat in enumerate(blocks):
            np.testing.assert_allclose(measure.saturation_map(flow, x, k, DELTA, EPSILON), flat.mean(0), rtol=1e-6)


def test_what_lies_beyond_a_given_range_is_in_the_end_bins():
    x = torch.tensor([[0.0, 100.0], [0.0, -100.0], [0.0, -50.0]], dtype=torch.float64)
    flow = FlowConfig(blocks=1, width=2, activation="elu", actnorm=False).build(seeded(0)).double()
    found = measure.saturation(flow, x, reach=2.0)
    assert (found.edges[:, :, 0] == -2).all() and (found.edges[:, :, -1] == 2).all()
    assert (found.counts[0, 0, 0], found.counts[0, 0, 40], found.counts[0, 0, -1]) == (2, 3, 1)
