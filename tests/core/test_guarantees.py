"""What bounds guarantee of a whole flow holds at every point and for every pair; and how norms are estimated."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.measure import evaluate, guarantees, norm_estimates
from resflow_core.norms.constraints import Off
from resflow_core.norms.induced import vector_norm
from tests.core.oracles import seeded

SMALL = FlowConfig(blocks=3, width=8, budget=0.9)
POINTS = 500


def uniform(shape, generator, low, high):
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def steep(seed, **changes):
    """A flow that uses its caps and stretches: raw weights far beyond them, ActNorms away from 1."""
    flow, generator = dataclasses.replace(SMALL, **changes).build(seeded(seed)).double(), seeded(seed + 1)
    with torch.no_grad():
        for block in flow.blocks:
            for linear in block.branch.linears:
                linear.raw.copy_(3 * torch.randn(linear.raw.shape, generator=generator))
            if block.branch.raw_orders is not None:
                block.branch.raw_orders += uniform(block.branch.raw_orders.shape, generator, -2, 2)
        for norm in flow.actnorms:
            norm.log_scale += uniform((2,), generator, -0.7, 0.7)
            norm.shift += uniform((2,), generator, -1, 1)
    return flow


def straight(sign, **changes):
    """A flow that reaches its bounds at points with coordinates above 0: there A = +-L I, as ELU's slope is 1."""
    config = FlowConfig(**({"blocks": 3, "width": 2, "budget": 0.5, "activation": "elu", "actnorm": False} | changes))
    flow = config.build(seeded(0)).double()
    with torch.no_grad():
        for block in flow.blocks:
            first, last = block.branch.linears
            first.raw.copy_(100 * torch.eye(2))
            first.bias.fill_(10)
            last.raw.copy_(sign * 100 * torch.eye(2))
            last.bias.fill_(10)
    return flow


def points(seed=5):
    """Near and far, of all sizes."""
    generator = seeded(seed)
    return torch.randn(POINTS, 2, generator=generator).double() * uniform((POINTS, 1), generator, -3, 3).exp()


def jacobian_of(flow, x):
    """df/dx by automatic differentiation, (n, 2, 2): no point knows of another."""
    x = x.clone().requires_grad_()
    z = flow(x)
    return torch.stack([torch.autograd.grad(z[:, i].sum(), x, retain_graph=True)[0] for i in (0, 1)], 1)


def stretches(jacobian, order):
    """||J v|| / ||v|| in 128 directions, (n, 128): of the norm itself nothing is known here."""
    angle = torch.arange(128) * math.pi / 128
    v = torch.stack([angle.cos(), angle.sin()]).double()
    return vector_norm(jacobian @ v, order, 1) / vector_norm(v, order, 0)


@torch.no_grad()
def ratios(flow, x, y, order):
    return vector_norm(flow(x) - flow(y), order, 1) / vector_norm(x - y, order, 1)


@pytest.mark.parametrize("norms", NORM_CHAINS)
def test_nothing_is_ever_outside(norms):
    for seed in range(2):
        flow = steep(seed, norms=norms, actnorm=seed == 0, activation=("sine", "lipswish")[seed])
        x = points(seed)
        found = guarantees(flow, evaluate(flow, x))
        assert found.order == {"2": 2, "inf": math.inf, "1": 1, "mixed": math.inf, "learned": 2}[norms]
        jacobian = jacobian_of(flow, x)
        seen = stretches(jacobian, found.order)
        far = ratios(flow, x, x.flip(0), found.order)
        near = x + 1e-3 * torch.randn(x.shape, generator=seeded(9)).double()
        close = ratios(flow, x, near, found.order)
        log_det, log_p = torch.linalg.det(jacobian).log(), flow.log_prob(x).detach()
        for values, bound in (
            (seen, found.stretch),
            (far, found.stretch),
            (close, found.stretch),
            (log_det, found.log_det),
            (log_p, found.log_prob),
        ):
            assert bound.low <= values.min() * (1 + 1e-9) + 1e-9
            assert values.max() <= bound.high * (1 + 1e-9 * math.copysign(1, bound.high)) + 1e-9
        # And what is said to be seen is seen: all directions are between, and some come near.
        stretch = found.stretch
        assert stretch.seen_low <= seen.min() * (1 + 1e-6) and seen.max() * (1 - 1e-6) <= stretch.seen_high
        assert stretch.seen_low == pytest.approx(float(seen.min()), rel=0.1)
        assert stretch.seen_high == pytest.approx(float(seen.max()), rel=0.01)
        assert found.log_det.seen_low == pytest.approx(float(log_det.min()), abs=1e-6)
        assert found.log_det.seen_high == pytest.approx(float(log_det.max()), abs=1e-6)
        assert (found.log_prob.seen_low, found.log_prob.seen_high) == pytest.approx(
            (float(log_p.min()), float(log_p.max())), rel=1e-6
        )


def test_actnorm_scales_multiply():
    flow = straight(1, actnorm=True)
    scales = torch.tensor([[2.0, 3.0], [0.5, 0.1], [1.0, 4.0], [7.0, 1.0]], dtype=torch.float64)
    with torch.no_grad():
        for norm, scale in zip(flow.actnorms, scales, strict=True):
            norm.log_scale.copy_(scale.log())
    found = guarantees(flow, evaluate(flow, torch.ones(1, 2).double()))
    assert found.stretch.low == pytest.approx(0.5**3 * 2 * 0.1 * 1 * 1)
    assert found.stretch.high == pytest.approx(1.5**3 * 3 * 0.5 * 4 * 7)
    shared = float(scales.log().sum())
    assert found.log_det.low == pytest.approx(6 * math.log(0.5) + shared)
    assert found.log_det.high == pytest.approx(6 * math.log(1.5) + shared)
    assert found.log_prob.high == pytest.approx(6 * math.log(1.5) + shared - math.log(2 * math.pi))


@pytest.mark.parametrize("make", [lambda: steep(0, constraint=Off()), lambda: steep(0).scaled(1, 1.2)])
def test_nothing_is_guaranteed_from_below_where_a_block_is_not_certified(make):
    flow, x = make(), points()
    found = guarantees(flow, evaluate(flow, x))
    assert max(block.branch.lipschitz for block in flow.blocks) >= 1
    assert (found.stretch.low, found.log_det.low, found.log_prob.low) == (0, -math.inf, -math.inf)
    jacobian = jacobian_of(flow, x)
    assert stretches(jacobian, 2.0).max() <= found.stretch.high
    assert torch.linalg.det(jacobian).abs().log().max() <= found.log_det.high
    assert flow.log_prob(x).max() <= found.log_prob.high
    assert found.stretch.seen_low == pytest.approx(float(torch.linalg.svdvals(jacobian)[:, 1].min()), rel=1e-4)


@pytest.mark.parametrize(("norms", "layers"), [("2", 1), ("mixed", 3), ("learned", 1)])
def test_power_iteration_stays_below_and_gram_iteration_above(norms, layers):
    for seed, constraint in enumerate((FlowConfig().constraint, Off())):
        flow = steep(seed, norms=norms, hidden_layers=layers, constraint=constraint)
        found = norm_estimates(flow)
        branch = flow.blocks[found.block].branch
        weight = branch.linears[found.layer].weight(branch.norms[found.layer]).detach()
        assert found.exact == pytest.approx(np.linalg.norm(weight.numpy(), 2))
        if norms == "2":  # it is the layer with the largest norm
            weights = [linear.weight().detach() for b in flow.branches for linear in b.linears]
            assert found.exact == pytest.approx(max(np.linalg.norm(w, 2) for w in weights), rel=1e-4)
        assert (found.power <= found.exact * (1 + 1e-12)).all()
        assert (found.gram >= found.exact * (1 - 1e-12)).all()
        assert (np.diff(found.power) >= -1e-12).all() and (np.diff(found.gram) <= 1e-12).all()
        assert found.gram[0] == pytest.approx(np.linalg.norm(weight.numpy()))
        assert found.gram[-1] == pytest.approx(found.exact, rel=0.02)
        assert found.power[0] < found.exact < found.gram[0]
