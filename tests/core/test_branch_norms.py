"""Chains of norms, learned orders, scaled branches and the table of blocks, against finite differences and autograd."""

import itertools
import math

import numpy as np
import pytest
import torch

from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig, Uncertified
from resflow_core.lipschitz import NORM_CHAINS, Soft
from resflow_core.log_det import Exact, Roulette
from resflow_core.measure import block_table, evaluate, mean_nll
from resflow_core.measure.blocks import _largest_norms
from resflow_core.norms.constraints import Hard, Off, Power
from resflow_core.norms.induced import upper_bound
from resflow_core.norms.norm_orders import learned_orders, order_loss
from resflow_core.residual import Branch, Stack
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.core.oracles import autograd_jacobian, dense_norms, numpy_log_abs_det, points, seeded

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
        # The constraint of layer i takes p_{i-1} -> p_i: those of the network are each layer's own.
        weights = branch.network().weights
        scales = [*branch.scales.tolist(), 1.0]
        for i, linear in enumerate(branch.linears):
            p, q = (torch.tensor([o], dtype=torch.float64) for o in branch.orders[i : i + 2])
            own = linear.raw * (linear.cap * (1 - 1e-5) / upper_bound(linear.raw[None], p, q)).clamp(max=1)
            factor = scales[i + 1] / scales[i]
            torch.testing.assert_close(weights[i], factor * own, rtol=1e-9, atol=0)

    def test_any_number_is_an_order(self):
        raw = torch.tensor([-600.0, -30, 0, 1, 30, 800], dtype=torch.float64)
        assert (learned_orders(raw) >= 1).all()
        np.testing.assert_allclose(1 / learned_orders(raw), 1 / (1 + np.exp(-raw.numpy())), rtol=1e-14)
        for low, high in itertools.pairwise(learned_orders(raw).tolist()):
            assert low >= high


@pytest.mark.thorough
class TestOrderLoss:
    def test_it_is_the_mean_of_the_logs_of_the_bounds_of_raw(self):
        branches = [learned(i) for i in range(3)]
        logs = []
        for branch in branches:
            for linear, p, q in zip(branch.linears, branch.orders, branch.orders[1:], strict=False):
                logs.append(math.log(upper_bound(linear.raw.detach()[None], p, q)))
        # Numbers may have closed forms that learned orders do not.
        loss = order_loss(branches).item()
        assert loss >= np.mean(logs) - 1e-12
        tensors = [
            float(upper_bound(linear.raw.detach()[None], *(torch.tensor([o], dtype=torch.float64) for o in pq)).log())
            for branch in branches
            for linear, pq in zip(branch.linears, itertools.pairwise(branch.orders), strict=True)
        ]
        assert loss == pytest.approx(np.mean(tensors), rel=1e-12)

    def test_its_gradient_is_that_of_finite_differences_and_reaches_orders_alone(self):
        branches = [learned(i) for i in range(2)]
        loss = order_loss(branches)
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

    def test_descending_it_finds_norms_in_which_the_layers_are_smaller(self):
        branch = learned(4, scale=1.0)
        with torch.no_grad():
            branch.raw_orders.zero_()
            # Few large rows, for which 2 is a poor order.
            branch.linears[0].raw[0] *= 20
            branch.linears[2].raw[:, 0] *= 20
        before = order_loss([branch]).item()
        optimiser = torch.optim.Adam([branch.raw_orders], lr=0.2)
        losses = []
        for _ in range(30):
            optimiser.zero_grad()
            loss = order_loss([branch])
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            assert (Stack([branch]).layer_norms()[0].numpy() <= branch.linears[0].cap).all()
        assert losses[-1] < before - 0.05
        assert np.ptp(branch.orders) > 0.1 and branch.orders[0] == branch.orders[-1]

    def test_training_moves_orders_and_keeps_every_certificate(self):
        config = FlowConfig(blocks=2, width=8, norms="learned", budget=BUDGET)
        trainer = Trainer(config, TrainConfig(batch=64, learning_rate=0.1, warmup=0, average=0.5), DATASETS["moons"], 0)
        x = trainer.dataset.held_out()[:300]
        for _ in range(10):
            trainer.step()
            for flow in (trainer.flow, trainer.evaluated):
                _, jacobians = flow.forward_and_jacobians(x)
                norms = Stack([block.branch for block in flow.blocks]).layer_norms()
                caps = torch.tensor([linear.cap for linear in flow.blocks[0].branch.linears])
                assert (norms <= caps).all()
                for i, block in enumerate(flow.blocks):
                    p = block.branch.orders[0]
                    assert dense_norms(jacobians[:, i].detach(), p, p, 60).max() <= BUDGET
        orders = [order for block in trainer.flow.blocks for order in block.branch.orders]
        assert min(abs(order - 2) for order in orders) > 1e-3 and min(orders) > 1


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


class Multiplied(torch.nn.Module):
    """The blocks of a flow by hand, with one branch multiplied by s."""

    def __init__(self, flow, block, s):
        super().__init__()
        self.flow, self.block, self.s = flow, block, s

    def forward(self, x):
        blocks = list(self.flow.blocks)
        for part in self.flow.bijections:
            if part in blocks:
                factor = self.s if blocks.index(part) == self.block else 1.0
                x = x + factor * part.branch(x)
            else:
                x = part(x)
        return x


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("config", "block", "s"),
    [(CONFIGS[0], 0, 0.3), (CONFIGS[1], 1, 2.5), (CONFIGS[2], 2, 0.3), (CONFIGS[3], 0, 2.5), (CONFIGS[0], 1, 1.0)],
    ids=str,
)
class TestScaled:
    def test_values_jacobians_and_log_det_are_those_of_a_branch_times_s(self, config, block, s):
        flow, x = prepared(config), points(5, 2)
        original = {name: tensor.clone() for name, tensor in flow.state_dict().items()}
        scaled, by_hand = flow.scaled(block, s), Multiplied(flow, block, s)
        jacobian = autograd_jacobian(by_hand, x)
        with torch.no_grad():
            torch.testing.assert_close(scaled(x), by_hand(x), rtol=1e-12, atol=1e-12)
            z, log_det = scaled.forward_and_log_det(x)
            torch.testing.assert_close(z, by_hand(x), rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(log_det, numpy_log_abs_det(jacobian), atol=1e-10)
            torch.testing.assert_close(scaled.stages(x)[-1], by_hand(x), rtol=1e-12, atol=1e-12)
            # Block after block, and in one pass.
            per_block = scaled.forward_and_log_dets(x)[1].sum(1)
            np.testing.assert_allclose(per_block, numpy_log_abs_det(jacobian), atol=1e-10)
            one, parts = scaled.forward_and_jacobians(x)[1], [block.branch for block in scaled.blocks]
        here = x
        for i, branch in enumerate(parts):
            for part in flow.bijections:
                if part is flow.blocks[i]:
                    break
            here = flow.actnorms[i](here).detach() if config.actnorm else here
            factor = s if i == block else 1.0
            plain = flow.blocks[i].branch
            expected = factor * autograd_jacobian(plain, here)
            torch.testing.assert_close(one[:, i], expected, rtol=1e-10, atol=1e-12)
            for value, found in (branch.value_and_jacobian(here), Branch.value_and_jacobian(branch, here)):
                torch.testing.assert_close(value, factor * plain(here), rtol=1e-10, atol=1e-12)
                torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
            here = (here + factor * plain(here)).detach()
        with torch.enable_grad():  # the fused backward pass
            (found,) = torch.autograd.grad(scaled.log_prob(x).sum(), scaled.blocks[0].branch.linears[0].bias)
        assert found.isfinite().all()
        # Whoever moves v is training; nothing else of the original may have changed.
        for name, tensor in flow.state_dict().items():
            assert name.endswith(".v") or torch.equal(tensor, original[name])
        assert all(part.branch.scale == 1.0 for part in flow.blocks)

    def test_its_bound_is_multiplied(self, config, block, s):
        flow = prepared(config)
        scaled = flow.scaled(block, s)
        for i, (a, b) in enumerate(zip(flow.blocks, scaled.blocks, strict=True)):
            factor = s if i == block else 1.0
            assert b.branch.lipschitz == pytest.approx(factor * a.branch.lipschitz, rel=1e-12)
            norms, scaled_norms = Stack([a.branch]).layer_norms(), Stack([b.branch]).layer_norms()
            np.testing.assert_allclose(scaled_norms.prod(), factor * norms.prod(), rtol=1e-12)
            assert float(scaled_norms.prod()) <= b.branch.lipschitz * (1 + 1e-12)
        twice = scaled.scaled(block, 2.0)
        assert twice.blocks[block].branch.scale == 2 * s


class TestRefusal:
    @pytest.mark.parametrize(("block", "s"), [(0, 1 / BUDGET), (2, 3.0)])
    def test_no_points_are_given_where_nothing_is_certified(self, block, s):
        flow = FlowConfig(blocks=3, width=6, budget=BUDGET).build(seeded(0))
        assert flow.sample(4, seeded(0)).shape == (4, 2)
        with pytest.raises(Uncertified, match=rf"^Block {block + 1} has the certified bound {s * BUDGET:.4g}\. "):
            flow.scaled(block, s * (1 + 1e-9)).sample(4, seeded(0))
        with pytest.raises(ValueError, match="must be below 1"):
            flow.scaled(block, s * (1 + 1e-9)).blocks[block].inverse(torch.zeros(1, 2))

    def test_below_the_bound_samples_are_preimages(self):
        flow = prepared(CONFIGS[0]).scaled(1, 1.005)
        x = flow.sample(200, seeded(1))
        z = torch.randn(200, 2, generator=seeded(1)).double()
        with torch.no_grad():
            torch.testing.assert_close(flow(x), z, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("chain", NORM_CHAINS)
    def test_blocks_are_inverted_in_the_norm_and_with_the_bound_of_their_branch(self, chain, monkeypatch):
        asked = []

        def solve(g, z, lipschitz, norm):
            asked.append((lipschitz, norm.__self__.orders[0]))
            return z

        monkeypatch.setattr("resflow_core.flow.solve", solve)
        flow = FlowConfig(blocks=2, width=4, norms=chain, budget=BUDGET).build(seeded(0))
        if chain == "learned":
            with torch.no_grad():
                flow.blocks[0].branch.raw_orders.fill_(1.0)
        flow.scaled(0, 0.5).sample(3, seeded(0))
        orders = [block.branch.orders[0] for block in reversed(flow.blocks)]
        assert asked == [(pytest.approx(BUDGET), orders[0]), (pytest.approx(BUDGET / 2), orders[1])]

    def test_without_a_constraint_small_weights_are_certified_and_large_ones_are_not(self):
        flow = FlowConfig(blocks=1, width=6, constraint=Off()).build(seeded(0))
        (block,) = flow.blocks
        with torch.no_grad():
            for linear in block.branch.linears:
                linear.raw.mul_(0.5 / torch.linalg.matrix_norm(linear.raw, 2))
        assert block.branch.lipschitz == pytest.approx(0.25, rel=1e-4)
        assert flow.sample(4, seeded(0)).isfinite().all()
        with torch.no_grad():
            block.branch.linears[0].raw.mul_(5)
        with pytest.raises(Uncertified, match=r"Block 1 has the certified bound 1\.25"):
            flow.sample(4, seeded(0))


class TestBlockTable:
    @pytest.mark.parametrize("chain", NORM_CHAINS)
    @pytest.mark.parametrize("constraint", [Soft(), Hard(), Off()], ids=str)
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
            assert table.layer_norms[i] == pytest.approx(Stack([block.branch]).layer_norms()[0].numpy())
            assert observed <= table.layer_norms[i].prod() * (1 + 1e-12) <= table.lipschitz[i] * (1 + 1e-9)
            eigenvalues = np.linalg.eigvals(jacobian.numpy())
            lowest = np.where(abs(eigenvalues.imag) < 1e-12, eigenvalues.real, np.inf).min()
            assert table.breaking[i] == pytest.approx(-1 / lowest if lowest < 0 else np.inf, rel=1e-8)
            assert table.spectral_radius[i] == pytest.approx(abs(eigenvalues).max(), rel=1e-10)
            here = (here + block.branch(here)).detach()
        assert (table.tail_ratio, table.beyond) == (None, None)
        assert block_table(flow, evaluate(flow, x), Roulette()).beyond.shape == (3,)

    @pytest.mark.thorough
    def test_the_largest_norm_need_not_be_where_the_bound_is_largest(self):
        """200 matrices whose interpolated bound lies 2 % and more above their norm, and one that is at its bound."""
        for p, near in ((1.3, 1.0), (3.0, math.inf), (8.0, math.inf)):
            share = 2 / p - 1 if p < 2 else 1 - 2 / p
            drawn = torch.randn(3000, 2, 2, generator=seeded(0), dtype=torch.float64).numpy()
            bounds = np.linalg.norm(drawn, 2, (1, 2)) ** (1 - share) * np.linalg.norm(drawn, near, (1, 2)) ** share
            drawn, loose = drawn / bounds[:, None, None], dense_norms(torch.from_numpy(drawn), p, p, 180) / bounds
            worst = loose.argsort()[:200]
            assert loose[worst].max() < 0.98
            a = torch.from_numpy(np.concatenate([drawn[worst], 0.99 * np.eye(2)[None]]))
            assert _largest_norms(a[None], [p])[0] == pytest.approx(0.99, rel=1e-6)
            wide = torch.from_numpy(drawn) * torch.rand(3000, 1, 1, generator=seeded(1), dtype=torch.float64)
            largest = dense_norms(wide, p, p, 720).max()
            assert _largest_norms(wide[None], [p])[0] == pytest.approx(largest, rel=2e-4)
            a[3, 0, 0] = math.nan
            assert np.isnan(_largest_norms(a[None], [p])[0])


def test_looking_changes_no_loss():
    flow = prepared(CONFIGS[3])
    x = points(50, 2)
    before = mean_nll(evaluate(flow, x).log_prob)
    Stack([block.branch for block in flow.blocks]).layer_norms()
    flow.scaled(0, 2.0)
    assert mean_nll(evaluate(flow, x).log_prob) == before
