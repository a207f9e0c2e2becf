"""Chains of norms, learned orders, scaled branches and the table of blocks, against finite differences and autograd."""

import itertools
import math

import numpy as np
import pytest
import torch

from resflow_core.flow import FlowConfig, Uncertified
from resflow_core.lipschitz import NORM_CHAINS, Soft
from resflow_core.log_det import Exact, Roulette
from resflow_core.measure import block_table, evaluate
from resflow_core.norms.constraints import Hard, Off, Power
from resflow_core.norms.induced import upper_bound
from resflow_core.norms.norm_orders import order_loss
from resflow_core.residual import Branch
from tests.core.oracles import dense_norms, points, seeded

BUDGET = 0.9


def learned(seed=0, widths=(2, 6, 5, 2), scale=3.0):
    branch = Branch([*widths], "sine", BUDGET, seeded(seed), "learned").double()
    with torch.no_grad():
        branch.raw_orders.copy_(0.5 * torch.randn(len(widths) - 1, generator=seeded(seed + 9), dtype=torch.float64))
        for linear in branch.linears:
            linear.raw *= scale
    return branch


class TestOrders:
    @pytest.mark.parametrize(
        ("chain", "expected"),
        [
            ("2", [2, 2, 2, 2]),
            ("inf", [math.inf] * 4),
            ("1", [1, 1, 1, 1]),
            ("mixed", [math.inf, 2, 2, math.inf]),
            ("learned", [4, 4, 4, 4]),
        ],
    )
    def test_a_chain_begins_where_it_ends(self, chain, expected):
        assert Branch([2, 4, 4, 2], "sine", BUDGET, seeded(0), chain).orders == pytest.approx(expected)
        assert NORM_CHAINS[chain].orders(1)[0] == NORM_CHAINS[chain].orders(1)[-1]

    def test_learned_ones_are_shared_by_neighbours_and_by_both_ends(self):
        branch = learned()
        raw = branch.raw_orders.detach().numpy()
        assert branch.raw_orders.shape == (3,)
        np.testing.assert_allclose(branch.orders, [*(1 + np.exp(-raw)), 1 + np.exp(-raw[0])], rtol=1e-15)
        # The constraint of layer i takes p_{i-1} -> p_i.
        for i, (linear, norm) in enumerate(zip(branch.linears, branch.norms, strict=True)):
            p, q = (torch.tensor([o], dtype=torch.float64) for o in branch.orders[i : i + 2])
            own = linear.raw * (linear.cap * (1 - 1e-5) / upper_bound(linear.raw[None], p, q)).clamp(max=1)
            torch.testing.assert_close(linear.weight(norm), own, rtol=1e-9, atol=0)


class TestOrderLoss:
    def test_it_is_the_mean_of_the_logs_of_the_bounds_of_raw_and_its_gradient_reaches_orders_alone(self):
        branches = [learned(i) for i in range(2)]
        loss = order_loss(branches)
        tensors = [
            float(upper_bound(linear.raw.detach()[None], *(torch.tensor([o], dtype=torch.float64) for o in pq)).log())
            for branch in branches
            for linear, pq in zip(branch.linears, itertools.pairwise(branch.orders), strict=True)
        ]
        assert loss.item() == pytest.approx(np.mean(tensors), rel=1e-12)
        parameters = [p for branch in branches for p in branch.parameters()]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        step = 1e-6
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if not any(parameter is branch.raw_orders for branch in branches):
                assert gradient is None
                continue
            for i in range(len(parameter)):
                values = []
                for sign in (1, -1):
                    with torch.no_grad():
                        parameter[i] += sign * step
                        values.append(float(order_loss(branches)))
                        parameter[i] -= sign * step
                assert float(gradient[i]) == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-7)
                assert abs(float(gradient[i])) > 1e-5

    def test_the_likelihood_moves_no_order(self):
        flow = FlowConfig(blocks=2, width=6, norms="learned").build(seeded(0))
        loss = flow.log_prob(points(20, 2).float()).mean()
        orders = [block.branch.raw_orders for block in flow.blocks]
        assert torch.autograd.grad(loss, orders, allow_unused=True) == (None, None)
        assert order_loss(flow.branches).requires_grad
        fixed = order_loss(FlowConfig(blocks=1, width=6).build(seeded(0)).branches)
        assert fixed == 0 and not fixed.requires_grad


CONFIGS = [
    FlowConfig(blocks=3, width=6),
    FlowConfig(blocks=3, width=6, hidden_layers=2, activation="clipswish", norms="mixed", actnorm=False),
    FlowConfig(blocks=3, width=6, activation="maxmin", norms="learned", constraint=Hard()),
    FlowConfig(blocks=3, width=6, activation="elu", norms="inf", constraint=Power()),
]


def prepared(config, seed=0):
    flow = config.build(seeded(seed))
    flow.initialize(points(100, 2, seed=5).float())
    return flow.double()


@pytest.mark.parametrize(("config", "block", "s"), [*zip(CONFIGS, (0, 1, 2, 0), (0.3, 2.5, 0.3, 2.5), strict=True)])
def test_a_scaled_flow_is_that_of_a_branch_times_s(config, block, s):
    """`test_laws` has the Jacobians and log dets of scaled flows."""
    flow, x = prepared(config), points(5, 2)
    original = {name: tensor.clone() for name, tensor in flow.state_dict().items()}
    scaled, here = flow.scaled(block, s), x
    for part in flow.bijections:
        factor = s if part is flow.blocks[block] else 1.0
        here = here + factor * part.branch(here) if hasattr(part, "branch") else part(here)
    torch.testing.assert_close(scaled(x), here, rtol=1e-12, atol=1e-12)
    bounds = [bound * (s if k == block else 1) for k, bound in enumerate(flow.lipschitz_bounds())]
    assert scaled.lipschitz_bounds() == pytest.approx(bounds, rel=1e-12)
    assert scaled.scaled(block, 2.0).branches[block].scale == 2 * s
    # Nothing of the original may have changed, but v, which power iteration moves.
    for name, tensor in flow.state_dict().items():
        assert name.endswith(".v") or torch.equal(tensor, original[name])
    assert all(branch.scale == 1.0 for branch in flow.branches)


class TestRefusal:
    @pytest.mark.parametrize(("block", "s"), [(0, 1 / BUDGET), (2, 3.0)])
    def test_no_points_are_given_where_nothing_is_certified(self, block, s):
        flow = FlowConfig(blocks=3, width=6, budget=BUDGET).build(seeded(0))
        assert flow.sample(4, seeded(0)).shape == (4, 2)
        with pytest.raises(Uncertified, match=rf"^Block {block + 1} has the certified bound {s * BUDGET:.4g}\. "):
            flow.scaled(block, s * (1 + 1e-9)).sample(4, seeded(0))
        with pytest.raises(ValueError, match="must be below 1"):
            flow.scaled(block, s * (1 + 1e-9)).blocks[block].inverse(torch.zeros(1, 2))


class TestBlockTable:
    @pytest.mark.parametrize(
        ("constraint", "chain"), [*zip([Soft(), Off(), Hard(), Off(), Soft()], NORM_CHAINS, strict=True)], ids=str
    )
    def test_every_number_of_it(self, constraint, chain):
        flow = prepared(FlowConfig(blocks=3, width=6, norms=chain, constraint=constraint, budget=BUDGET))
        with torch.no_grad():
            for i, block in enumerate(flow.blocks):
                for linear in block.branch.linears:
                    linear.raw *= 1 + i
                if block.branch.raw_orders is not None:
                    block.branch.raw_orders += torch.tensor([0.3 * i - 0.4, 0.2])
        flow = flow.scaled(1, 1.7)
        x = points(200, 2, seed=2)
        table = block_table(flow, evaluate(flow, x), Exact())
        here = x
        for i, block in enumerate(flow.blocks):
            here = flow.actnorms[i](here).detach()
            jacobian = block.branch.value_and_jacobian(here)[1].detach()
            p = block.branch.orders[0]
            assert table.orders[i].tolist() == block.branch.orders[:-1]
            observed = dense_norms(jacobian, p, p, 720).max()
            assert table.largest_norm[i] == pytest.approx(observed, rel=2e-4)
            assert table.lipschitz[i] == pytest.approx(block.branch.lipschitz, rel=1e-12)
            norms = zip(block.branch.linears, block.branch.norms, strict=True)
            bounds = [norm(linear.weight(norm)[None]).item() for linear, norm in norms]
            assert table.layer_norms[i].prod() == pytest.approx(block.branch.scale * np.prod(bounds), rel=1e-6)
            assert observed <= table.layer_norms[i].prod() * (1 + 1e-12) <= table.lipschitz[i] * (1 + 1e-9)
            eigenvalues = np.linalg.eigvals(jacobian.numpy())
            lowest = np.where(abs(eigenvalues.imag) < 1e-12, eigenvalues.real, np.inf).min()
            assert table.breaking[i] == pytest.approx(-1 / lowest if lowest < 0 else np.inf, rel=1e-8)
            assert table.spectral_radius[i] == pytest.approx(abs(eigenvalues).max(), rel=1e-10)
            here = (here + block.branch(here)).detach()
        assert (table.tail_ratio, table.beyond) == (None, None)

    def test_the_share_beyond_the_tail_ratio_is_of_squares(self):
        flow, x = prepared(FlowConfig(blocks=3, width=6, budget=BUDGET)), points(200, 2, seed=2)
        evaluation = evaluate(flow.scaled(0, 6.0).scaled(1, 6.0), x)
        table = block_table(flow, evaluation, Roulette())
        radii = abs(np.linalg.eigvals(evaluation.jacobians.numpy())).max(-1)
        np.testing.assert_allclose(table.beyond, (radii**2 > 0.5).mean(0))
        assert table.tail_ratio == 0.5
        assert 0 < (radii**2 > 0.5).mean() < (radii > 0.5).mean()
