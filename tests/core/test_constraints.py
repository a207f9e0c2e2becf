"""What layers claim of their norms, against singular values, directions and attained values."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from scipy import linalg

from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig, Uncertified
from resflow_core.lipschitz import CONSTRAINTS, NORM_CHAINS, LipschitzLinear, Soft, SpectralNorm, constrained
from resflow_core.norms.constraints import Bjorck, Hard, Off, Power
from resflow_core.norms.induced import dual, lower_bound
from resflow_core.norms.norm_orders import InducedNorm, order_loss
from resflow_core.residual import Branch, Stack
from resflow_core.settings import from_json, to_json
from resflow_core.spectral_norm import SLACK
from resflow_core.training.trainer import Diverged, TrainConfig, Trainer
from tests.core.oracles import dense_norms, points, seeded
from tests.covering import covering, told

CERTIFYING = [Soft(), Hard(), Bjorck(3)]
EVERY = [*CERTIFYING, Power(), Power(2, warm=False), Off()]
BUDGET = 0.9


def branch_of(chain, constraint, dtype=torch.float64, widths=(2, 6, 5, 2), activation="sine"):
    return Branch([*widths], activation, BUDGET, seeded(0), chain, constraint).to(dtype)


@torch.no_grad()
def true_norms(branch):
    """||W_i||_{p_{i-1} -> p_i} of every layer, by singular values, dense directions, or else an attained value."""
    norms = []
    for linear, norm in zip(branch.linears, branch.norms, strict=True):
        p, q = norm.p, norm.q
        if branch.raw_orders is not None:
            norm = InducedNorm(*(torch.tensor([order], dtype=torch.float64) for order in (p, q)))
        w = constrained([linear], linear.raw[None], norm).double()
        if p == q == 2:
            norm = np.linalg.svd(w[0].numpy(), compute_uv=False)[0]
        elif w.shape[2] == 2:
            norm = dense_norms(w, p, q)[0]
        elif w.shape[1] == 2:
            norm = dense_norms(w.mT, dual(q), dual(p))[0]
        else:
            norm = float(lower_bound(w, p, q)[0])
        norms.append(norm)
    return np.array(norms)


def explode(branch, steps, rate=0.5):
    """Steps that push every norm up; yields after each."""
    x = 2 * points(60, 2, seed=1).to(next(branch.parameters()))
    optimiser = torch.optim.Adam(branch.parameters(), lr=rate)
    for _ in range(steps):
        _, jacobian = branch.value_and_jacobian(x)
        loss = -jacobian.square().mean()
        if branch.raw_orders is not None:
            loss = loss + order_loss([branch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield


DESIGN = covering(
    {
        "activation": ["sine", "clipswish", "maxmin"],
        "constraint": CERTIFYING,
        "chain": [*NORM_CHAINS],
        "dtype": [torch.float64, torch.float32],
    }
)
COVERED = pytest.mark.parametrize([*DESIGN[0]], [[*row.values()] for row in DESIGN], ids=str)


@pytest.mark.thorough
class TestCaps:
    @COVERED
    @pytest.mark.slow
    def test_they_hold_after_every_step_while_raw_weights_explode(self, activation, constraint, chain, dtype):
        branch = branch_of(chain, constraint, dtype, activation=activation)
        caps, reached = np.array([linear.cap for linear in branch.linears]), 0.0
        for _ in explode(branch, 12):
            norms, bounds = true_norms(branch), Stack([branch]).layer_norms()[0].numpy()
            assert (norms <= caps).all()
            assert (bounds <= caps).all() and (norms <= bounds * (1 + 1e-12)).all()
            reached = max(reached, (norms / caps).max())
        assert branch.lipschitz == pytest.approx(BUDGET)
        assert reached > (0.6 if chain == "learned" or isinstance(constraint, Bjorck) else 0.99)
        assert max(float(linear.raw.detach().norm()) for linear in branch.linears) > 8

    @COVERED
    def test_what_is_seen_of_the_branch_stays_below_L_in_the_norm_of_its_ends(
        self, activation, constraint, chain, dtype
    ):
        """800 Jacobians in all directions, and as many pairs of points."""
        branch = branch_of(chain, constraint, dtype, activation=activation)
        for _ in explode(branch, 8, rate=0.2):
            pass
        p, slack = branch.orders[0], 1e-12 if dtype == torch.float64 else 1e-5
        x = 2 * points(800, 2, seed=3).to(dtype)
        with torch.no_grad():
            value, jacobian = branch.value_and_jacobian(x)
        assert dense_norms(jacobian, p, p, 180).max() <= branch.lipschitz * (1 + slack)
        dx, dy = ((v[1:] - v[:-1]).double().numpy() for v in (x, value))
        far = np.abs(dx).max(1) > 0.1
        stretch = np.linalg.norm(dy[far], p, axis=1) / np.linalg.norm(dx[far], p, axis=1)
        assert 0.02 < stretch.max() <= branch.lipschitz * (1 + slack)

    def test_a_looser_cap_would_be_seen(self):
        """The check above has teeth: with caps 10 % higher than said, norms exceed them."""
        branch = branch_of("2", Hard())
        for linear in branch.linears:
            linear.cap *= 1.1
        assert true_norms(branch).max() > BUDGET ** (1 / 3) * 1.09

    def test_the_same_norm_is_certified_for_many_branches_at_once(self):
        branches = [Branch([2, 6, 2], "sine", BUDGET, seeded(i), "learned") for i in range(4)]
        with torch.no_grad():
            for i, branch in enumerate(branches):
                branch.raw_orders += torch.tensor([0.5 * i, -0.3 * i])
                for linear in branch.linears:
                    linear.raw *= 1 + i
        together = Stack(branches).layer_norms()
        assert together.shape == (4, 2)
        for row, branch in zip(together, branches, strict=True):
            torch.testing.assert_close(row, Stack([branch]).layer_norms()[0], rtol=1e-12, atol=0)
            assert (true_norms(branch) <= row.numpy()).all()


class TestHardAndBjorck:
    @pytest.mark.parametrize("chain", NORM_CHAINS)
    @pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
    def test_hard_layers_use_all_of_their_caps(self, chain, scale):
        branch = branch_of(chain, Hard(), widths=(2, 6, 2))
        with torch.no_grad():
            for linear in branch.linears:
                linear.raw *= scale
        cap = branch.linears[0].cap
        if chain == "learned":  # of 4 -> 4 only a bound is known
            assert (true_norms(branch) <= cap).all()
        else:
            np.testing.assert_allclose(true_norms(branch), cap, rtol=3 * SLACK if chain in ("2", "mixed") else 1e-3)
        np.testing.assert_allclose(Stack([branch]).layer_norms()[0], cap, rtol=3 * SLACK)

    @pytest.mark.parametrize("shape", [(6, 2), (2, 6), (5, 5), (12, 10)])
    def test_bjorck_goes_to_the_orthonormal_matrix_nearest_to_raw(self, shape):
        layer = LipschitzLinear(shape[1], shape[0], 0.7, seeded(1), Bjorck(30)).double()
        nearest = linalg.polar(layer.raw.detach().numpy())[0]
        np.testing.assert_allclose(layer.weight().detach(), 0.7 * nearest, atol=4 * SLACK)

    @pytest.mark.parametrize("steps", [1, 2, 5, 30])
    def test_bjorck_keeps_singular_values_between_0_and_the_cap(self, steps):
        raw = torch.randn(40, 7, 4, generator=seeded(0), dtype=torch.float64) * 3 ** torch.randn(
            40, 1, 4, generator=seeded(1), dtype=torch.float64
        )
        weights, _ = Bjorck(steps).weights(raw, 0.7, SpectralNorm(), torch.ones(40, 4))
        values = np.linalg.svd(weights.numpy(), compute_uv=False)
        before = np.linalg.svd(raw.numpy(), compute_uv=False)
        assert values.max() <= 0.7 and values.min() >= 0
        assert (values >= 0.7 * before / before[:, :1] * (1 - 4 * SLACK)).all()  # each step takes them up
        if steps == 30:
            assert values.min() >= 0.7 * (1 - 4 * SLACK)

    @pytest.mark.parametrize("constraint", [Soft(), Hard(), Bjorck(4)], ids=str)
    @pytest.mark.parametrize(("p", "q"), [(2.0, 2.0), (math.inf, 2.0), (1.0, 1.0), (1.5, 3.0)])
    @pytest.mark.parametrize("scale", [2.0, 0.05])  # above the cap and below it
    def test_gradients_are_those_of_finite_differences(self, constraint, p, q, scale):
        raw = (scale * torch.randn(2, 4, 3, generator=seeded(0), dtype=torch.float64)).requires_grad_()
        orders = [torch.full((2,), o, dtype=torch.float64) for o in (p, q)] if p == 1.5 else (p, q)
        norm = SpectralNorm() if p == q == 2 else InducedNorm(*orders)
        assert torch.autograd.gradcheck(
            lambda w: constraint.weights(w, 0.7, norm, torch.ones(2, 3))[0], raw, fast_mode=True
        )


class TestStacks:
    """A matrix above its cap, one below it, and zeros, side by side."""

    @staticmethod
    def capped(constraint, raw, norm, v):
        """W, the next v, and the gradient of a random linear function of W, with its factors."""
        raw = raw.clone().requires_grad_()
        weights, ahead = constraint.weights(raw, 0.7, norm, v)
        factors = points(weights[0].numel(), 1, seed=2).view(weights[0].shape)
        return weights.detach(), ahead.detach(), torch.autograd.grad((factors * weights).sum(), raw)[0], factors

    @pytest.mark.parametrize("constraint", EVERY, ids=str)
    @pytest.mark.parametrize("shape", [(4, 3), (3, 4), (8, 2), (1, 1)], ids=str)
    def test_each_matrix_is_capped_as_it_is_alone_and_zeros_stay_zeros(self, constraint, shape):
        scales = torch.tensor([5.0, 0.05, 0.0], dtype=torch.float64)[:, None, None]
        raw, v = scales * points(3 * shape[0], shape[1]).view(3, *shape), points(3, shape[1], seed=1)
        learned = InducedNorm(*(torch.tensor(of, dtype=torch.float64) for of in ([1.5, 1.2, 7.0], [3.0, 1.1, 2.5])))
        for norm in (
            SpectralNorm(),
            *(InducedNorm(p, q) for p, q in ((math.inf, 2.0), (1.0, 1.0), (1.5, 3.0))),
            learned,
        ):
            weights, ahead, gradient, factors = self.capped(constraint, raw, norm, v)
            with told(norm):
                for k in range(3):
                    own = InducedNorm(norm.p[[k]], norm.q[[k]]) if norm is learned else norm
                    alone = self.capped(constraint, raw[[k]], own, v[[k]])
                    for ours, its in zip((weights, ahead, gradient), alone, strict=False):
                        torch.testing.assert_close(ours[k], its[0], atol=1e-12, rtol=1e-12)
                assert not weights[2].any() and bool(gradient.isfinite().all())
                if not isinstance(constraint, Bjorck):  # near zeros W = raw
                    assert torch.equal(gradient[2], factors)


def excess(constraint, steps=8, norms="2", rate=0.1):
    """A real training, and the largest ratio of a layer's norm (by NumPy) to its cap after any of its steps."""
    flow = FlowConfig(blocks=2, width=16, hidden_layers=2, norms=norms, constraint=constraint)
    trainer = Trainer(flow, TrainConfig(batch=64, learning_rate=rate, warmup=0, average=0.0), DATASETS["moons"], 0)
    worst = 0.0
    for _ in range(steps):
        trainer.step()
        for block in trainer.flow.blocks:
            norms = true_norms(block.branch)
            worst = max(worst, *(n / linear.cap for n, linear in zip(norms, block.branch.linears, strict=True)))
    return worst, trainer


@pytest.mark.thorough
class TestPowerIteration:
    def test_few_iterations_exceed_the_cap_and_the_bound_that_is_said_is_true(self):
        worst, trainer = excess(Power(1, warm=False))
        assert worst > 1.05
        x = trainer.dataset.held_out()
        for block in trainer.flow.blocks:
            branch = block.branch
            with torch.no_grad():
                observed = dense_norms(branch.value_and_jacobian(x)[1], 2, 2, 360).max()
            product = true_norms(branch).prod()
            assert max(observed, product) <= branch.lipschitz * (1 + 1e-6)
            assert branch.lipschitz == pytest.approx(product, rel=1e-4)
        assert max(block.branch.lipschitz for block in trainer.flow.blocks) > 0.99
        with pytest.raises(Uncertified):
            trainer.flow.sample(5, seeded(0))

    def test_a_warm_start_exceeds_it_less_and_many_iterations_hardly(self):
        (cold, _), (warm, _), (many, _) = (excess(Power(n, w)) for n, w in ((1, False), (1, True), (50, False)))
        assert cold > warm + 0.02
        assert many < 1.01

    @pytest.mark.parametrize("chain", NORM_CHAINS)
    def test_other_norms_are_iterated_in_too(self, chain):
        worst, trainer = excess(Power(30), steps=3, norms=chain)
        # In other norms it may end in a lower maximum, however many steps it has: in 1 -> 1 at the first unit vector.
        assert worst > 1 if chain == "1" else worst < (1.05 if chain == "2" else 2)
        for block in trainer.flow.blocks:
            assert block.branch.lipschitz >= true_norms(block.branch).prod() * (1 - 1e-6)

    def test_only_training_moves_the_vectors(self):
        layer = LipschitzLinear(5, 6, 0.1, seeded(0), Power())
        before = layer.v.clone()
        with torch.no_grad():
            first, second = layer.weight(), layer.weight()
        assert torch.equal(first, second) and torch.equal(layer.v, before)
        layer.weight()
        assert torch.equal(layer.v, before)  # it may be a log det that differentiates while pictures are made
        layer.advance()
        assert not torch.equal(layer.v, before)
        with torch.no_grad():
            assert not torch.equal(layer.weight(), first)  # by the vector as it is now
        cold = LipschitzLinear(5, 6, 0.1, seeded(0), Power(warm=False))
        cold.weight()
        cold.advance()
        assert torch.equal(cold.v, before)

    def test_the_averaged_flow_goes_on_from_the_vectors_of_training(self):
        flow = FlowConfig(blocks=2, width=8, constraint=Power())
        trainer = Trainer(flow, TrainConfig(batch=50), DATASETS["moons"], 0)
        for _ in range(5):
            trainer.step()
        for a, b in zip(trainer.evaluated.buffers(), trainer.flow.buffers(), strict=True):
            assert torch.equal(a, b) and a is not b
        again = Trainer(flow, TrainConfig(batch=50), DATASETS["moons"], 1)
        again.load_state(trainer.state_bytes())
        assert [again.step() for _ in range(3)] == [trainer.step() for _ in range(3)]

    def test_without_a_constraint_the_bound_is_that_of_the_layers(self):
        branch = branch_of("2", Off())
        with torch.no_grad():
            for linear in branch.linears:
                linear.raw *= 5
                assert torch.equal(linear.weight(), linear.raw)
        product = np.prod([np.linalg.norm(linear.raw.detach().numpy(), 2) for linear in branch.linears])
        assert branch.lipschitz == pytest.approx(product, rel=4 * SLACK)
        assert branch.lipschitz >= product


class TestWhatIsNotFinite:
    @pytest.mark.parametrize(
        ("constraint", "chain", "width", "bad"),
        [
            (constraint, chain, *((8, math.nan), (16, math.inf))[k % 2])
            for k, (constraint, chain) in enumerate(itertools.product(EVERY, NORM_CHAINS))
        ],
        ids=str,
    )
    def test_it_gives_no_finite_weights_and_no_bound_and_spoils_no_other(self, constraint, chain, width, bad):
        config = FlowConfig(blocks=2, width=width, hidden_layers=2, norms=chain, constraint=constraint)
        flow = config.build(seeded(0))
        first, second = (block.branch for block in flow.blocks)
        with torch.no_grad():
            before = Stack([first, second]).layer_norms()
            first.linears[1].raw[0, 0] = bad
            # Alone and in a stack.
            assert not bool(first.linears[1].weight(first.norms[1]).isfinite().all())
            norms = Stack([first, second]).layer_norms()
        assert norms[0, 1].isnan()
        rest = torch.tensor([[True, False, True], [True, True, True]])
        torch.testing.assert_close(norms[rest], before[rest], rtol=3 * SLACK, atol=0)
        if not constraint.certifies:
            assert math.isnan(first.lipschitz)
            with pytest.raises(Uncertified, match="Block 1 has the certified bound nan"):
                flow.sample(3, seeded(0))
        else:
            with pytest.raises(RuntimeError, match="No certified inverse"):
                flow.sample(3, seeded(0))

    @pytest.mark.parametrize(
        ("constraint", "chain"), [*zip(EVERY, itertools.cycle(NORM_CHAINS), strict=False)], ids=str
    )
    def test_training_says_that_it_diverged(self, constraint, chain):
        flow = FlowConfig(blocks=2, width=12, hidden_layers=2, norms=chain, constraint=constraint)
        trainer = Trainer(flow, TrainConfig(batch=20), DATASETS["moons"], 0)
        trainer.step()
        with torch.no_grad():
            trainer.flow.blocks[0].branch.linears[1].raw[0, 0] = math.nan
        before = [p.detach().clone() for p in trainer.flow.parameters()]
        with pytest.raises(Diverged):
            trainer.step()
        for a, b in zip(before, trainer.flow.parameters(), strict=True):
            torch.testing.assert_close(a, b.detach(), equal_nan=True, rtol=0, atol=0)


class TestAsJson:
    def test_what_is_read_is_what_was_written(self):
        for constraint, chain in itertools.product([*EVERY, Bjorck(30), Power(50)], NORM_CHAINS):
            config = FlowConfig(blocks=3, norms=chain, constraint=constraint)
            values = to_json(config)
            with told(config):
                assert CONSTRAINTS[values["constraint"]["is"]] is type(constraint)
                assert from_json(FlowConfig, values) == config

    def test_a_later_default_stands_for_what_is_not_there(self):
        assert from_json(FlowConfig, {"blocks": 3}) == FlowConfig(blocks=3)

    @pytest.mark.parametrize(
        ("values", "error", "words"),
        [
            ({"is": "soft", "steps": 3}, TypeError, "steps"),
            ({"is": "bjorck", "steps": 0}, ValueError, "steps = 0: use a value from 1 to 30"),
            ({"is": "bjorck", "steps": 2.5}, ValueError, "steps = 2.5: use a whole number"),
            ({"is": "power", "iterations": True}, ValueError, "iterations = True"),
            ({"is": "power", "warm": 1}, ValueError, "warm = 1: use True or False"),
            ({"is": "tight"}, ValueError, "constraint is 'tight': use one of soft, hard, bjorck, power, off"),
            ({}, ValueError, "constraint is None"),
            ("soft", ValueError, "dictionary"),
            (None, TypeError, "not iterable"),
            (3, TypeError, "not iterable"),
            ({"is": ["soft"]}, TypeError, "unhashable"),
        ],
    )
    def test_anything_else_is_refused(self, values, error, words):
        with pytest.raises(error, match=words):
            from_json(FlowConfig, to_json(FlowConfig()) | {"constraint": values})

    def test_a_constraint_by_its_name_or_its_class_is_none(self):
        for wrong in ("soft", Soft, None):
            with pytest.raises(ValueError, match="use one of Soft, Hard"):
                FlowConfig(constraint=wrong)
        with pytest.raises(ValueError, match="norms = '3': use one of"):
            FlowConfig(norms="3")


def test_every_constraint_and_chain_is_tried_here():
    assert {type(constraint) for constraint in EVERY} == set(CONSTRAINTS.values())
    assert [c for c in EVERY if c.certifies] == CERTIFYING
    assert all(dataclasses.is_dataclass(constraint) for constraint in EVERY)
    assert len({str(pair) for pair in itertools.product(EVERY, NORM_CHAINS)}) == len(EVERY) * len(NORM_CHAINS)
