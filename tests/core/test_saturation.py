"""Which units are saturated, against the branch's formula with automatic differentiation of the activation."""

import numpy as np
import pytest
import torch

from resflow_core import measure
from resflow_core.flow import FlowConfig
from tests.core.breathing import Breaths, moved
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
    first, second = torch.zeros_like(h), torch.zeros_like(h)
    for k in range(activation.copies):
        # Every unit by itself; a unit alone is passed through where units are sorted.
        z = h.detach().reshape(1, -1).clone().requires_grad_()
        y = activation.raw(beta * z)[k] / (constant * beta) if activation.arrangement.pattern(h) is None else z + 0
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
    for part in flow.parts:
        if hasattr(part, "branch"):
            branch, layers = part.branch, []
            h = x.T
            for beta, linear, norm in zip(branch.scales.detach(), branch.linears, branch.norms, strict=True):
                constant = branch.activation.lipschitz(norm.p)
                slope, curvature = by_autograd(branch.activation, beta, constant, h)
                layers.append(((beta * h).numpy(), ((slope >= 1 - delta) & (curvature <= epsilon)).numpy()))
                with torch.no_grad():
                    value = branch.activation.raw(beta * h) / (constant * beta)
                    h = linear.weight(norm) @ value + linear.bias[:, None]
            blocks.append(layers)
        with torch.no_grad():
            x = part(x)
    return blocks


FLOWS = {
    "sine": {},
    "two hidden layers": {"hidden_layers": 2, "activation": "lipswish"},
    "no ActNorm": {"activation": "elu", "actnorm": False},
    "clipswish": {"activation": "clipswish"},
    "cpila in mixed norms": {"activation": "cpila", "norms": "mixed"},
    "relu": {"activation": "relu"},
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


def test_ranges_are_round_and_hold_99_percent_of_their_layers():
    found = measure.saturation(build(), 2 * points(300, 2))
    reaches = np.abs(found.quantiles).max(2)
    expected = [[min(k for k in (0.2, 0.5, 1, 2, 5, 10, 20, 50) if k >= far) for far in block] for block in reaches]
    np.testing.assert_allclose(found.edges[:, :, -1], expected)
    np.testing.assert_allclose(found.edges, -found.edges[:, :, ::-1])
    assert found.counts.shape == (3, 2, 81)


def test_what_lies_beyond_a_given_range_is_in_the_end_bins():
    x = torch.tensor([[0.0, 100.0], [0.0, -100.0], [0.0, -50.0]], dtype=torch.float64)
    flow = FlowConfig(blocks=1, width=2, activation="elu", actnorm=False).build(seeded(0)).double()
    found = measure.saturation(flow, x, reach=2.0)
    assert (found.edges[:, :, 0] == -2).all() and (found.edges[:, :, -1] == 2).all()
    assert (found.counts[0, 0, 0], found.counts[0, 0, 40], found.counts[0, 0, -1]) == (2, 3, 1)


def test_known_units():
    """With ELU a unit is saturated where t > 0, with ReLU as well; MaxMin's are everywhere."""
    x = torch.tensor([[1.0, -1.0], [2.0, 3.0], [-4.0, -0.5]], dtype=torch.float64)
    for activation, share in (("elu", 0.5), ("relu", 0.5), ("maxmin", 1.0)):
        flow = FlowConfig(blocks=1, width=2, activation=activation, actnorm=False).build(seeded(0)).double()
        assert measure.saturation(flow, x).share[0, 0] == share


def test_a_large_scale_bends_more():
    """beta is a factor of the curvature in units of the pre-activation: the flat top of the slope gets narrower."""
    x, shares = points(2_000, 2), []
    for raw in (-5.0, 5.0):  # beta = 1/2 and 8
        flow = FlowConfig(blocks=1, width=2, actnorm=False).build(seeded(0)).double()
        with torch.no_grad():
            flow.blocks[0].branch.raw_scales.fill_(raw)
        beta = float(flow.blocks[0].branch.scales[0].detach())
        t = beta * x
        found = measure.saturation(flow, x, epsilon=0.1).share[0, 0]
        assert found == float(((t.cos().abs() >= 0.95) & (beta * t.sin().abs() <= 0.1)).double().mean())
        shares.append(found)
    assert shares[0] > 1.5 * shares[1] > 0


def test_a_map_of_one_block_goes_no_farther_than_that():
    breathe = Breaths()
    measure.saturation_map(build(), points(5, 2), 1, breathe=breathe)
    assert breathe.count == 2


def test_chunks_make_no_difference_and_the_flow_stays_as_it_is(monkeypatch):
    flow, x = build(), points(50, 2)
    before = {name: value.clone() for name, value in flow.state_dict().items()}
    whole = measure.saturation_map(flow, x, delta=DELTA, epsilon=EPSILON)
    monkeypatch.setitem(measure.saturation_map.__globals__, "CHUNK", 7)
    np.testing.assert_array_equal(measure.saturation_map(flow, x, delta=DELTA, epsilon=EPSILON), whole)
    for name, value in flow.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("measurement", [measure.saturation, measure.saturation_map])
def test_training_between_two_parts_changes_nothing(measurement):
    x = points(40, 2)
    expected = measurement(build(), x, delta=DELTA, epsilon=EPSILON)
    flow = build()
    breathe = Breaths(lambda: moved(flow))
    found = measurement(flow, x, delta=DELTA, epsilon=EPSILON, breathe=breathe)
    assert breathe.count
    if isinstance(found, np.ndarray):
        found, expected = {"map": found}, {"map": expected}
    else:
        found, expected = vars(found), vars(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
