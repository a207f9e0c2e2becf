"""What layers claim of their norms, against singular values, directions and attained values."""

import math

import numpy as np
import pytest
import torch

from resflow_core.data import DATASETS
from resflow_core.fast import capped
from resflow_core.fast.folding import FoldedBranch, constrained_weights, layer_norms
from resflow_core.flow import FlowConfig, Uncertified
from resflow_core.lipschitz import NORM_CHAINS, LipschitzLinear, Soft, SpectralNorm
from resflow_core.norms.constraints import Bjorck, Hard, Off, Power
from resflow_core.norms.induced import dual, lower_bound
from resflow_core.norms.norm_orders import InducedNorm, order_loss
from resflow_core.spectral_norm import SLACK
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.core.oracles import dense_norms, points, seeded
from tests.covering import covering

CERTIFYING = [Soft(), Hard(), Bjorck(3)]
EVERY = [*CERTIFYING, Power(), Power(2, warm=False), Off()]
BUDGET = 0.9


def branch_of(chain, constraint, dtype=torch.float64, widths=(2, 6, 5, 2), activation="sine"):
    return FoldedBranch([*widths], activation, BUDGET, seeded(0), chain, constraint).to(dtype)


@torch.no_grad()
def true_norms(branch):
    """||W_i||_{p_{i-1} -> p_i} of every layer, by singular values, dense directions, or else an attained value."""
    norms = []
    for linear, norm in zip(branch.linears, branch.norms, strict=True):
        p, q = norm.p, norm.q
        if branch.raw_orders is not None:
            norm = InducedNorm(*(torch.tensor([order], dtype=torch.float64) for order in (p, q)))
        w = constrained_weights([linear], norm).double()
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


DESIGN = covering(
    {
        "constraint": CERTIFYING,
        "chain": [*NORM_CHAINS],
        "activation_and_type": [("sine", torch.float64), ("clipswish", torch.float32), ("maxmin", torch.float64)],
    }
)


@pytest.mark.parametrize([*DESIGN[0]], [[*row.values()] for row in DESIGN], ids=str)
def test_what_is_seen_of_the_branch_stays_below_L_in_the_norm_of_its_ends(constraint, chain, activation_and_type):
    """800 Jacobians in all directions, and as many pairs of points, after steps that pushed every norm up."""
    activation, dtype = activation_and_type
    branch = branch_of(chain, constraint, dtype, activation=activation)
    x = 2 * points(60, 2, seed=1).to(dtype)
    optimiser = torch.optim.Adam(branch.parameters(), lr=0.2)
    for _ in range(8):
        loss = -branch.value_and_jacobian(x)[1].square().mean()
        if branch.raw_orders is not None:
            loss = loss + order_loss([branch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    norms, bounds = true_norms(branch), layer_norms([branch])[0].numpy()
    assert (bounds <= [linear.cap for linear in branch.linears]).all() and (norms <= bounds * (1 + 1e-12)).all()
    p, slack = branch.orders[0], 1e-12 if dtype == torch.float64 else 1e-5
    x = 2 * points(800, 2, seed=3).to(dtype)
    with torch.no_grad():
        value, jacobian = branch.value_and_jacobian(x)
    assert dense_norms(jacobian, p, p, 180).max() <= branch.lipschitz * (1 + slack)
    dx, dy = ((v[1:] - v[:-1]).double().numpy() for v in (x, value))
    far = np.abs(dx).max(1) > 0.1
    stretch = np.linalg.norm(dy[far], p, axis=1) / np.linalg.norm(dx[far], p, axis=1)
    assert 0.02 < stretch.max() <= branch.lipschitz * (1 + slack)


class TestHardAndBjorck:
    @pytest.mark.parametrize("chain", NORM_CHAINS)
    @pytest.mark.parametrize("scale", [1e-3, 30.0])
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
        np.testing.assert_allclose(layer_norms([branch])[0], cap, rtol=3 * SLACK)

    @pytest.mark.parametrize("steps", [1, 5, 30])
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
    @pytest.mark.parametrize(
        ("p", "q", "scale"), [(2.0, 2.0, 2.0), (2.0, 2.0, 0.05), (math.inf, 2.0, 2.0), (1.5, 3.0, 2.0)]
    )
    def test_gradients_are_those_of_finite_differences(self, constraint, p, q, scale):
        raw = (scale * torch.randn(2, 4, 3, generator=seeded(0), dtype=torch.float64)).requires_grad_()
        orders = [torch.full((2,), o, dtype=torch.float64) for o in (p, q)] if p == 1.5 else (p, q)
        norm = SpectralNorm() if p == q == 2 else InducedNorm(*orders)
        assert torch.autograd.gradcheck(
            lambda w: capped.weights(constraint, w, 0.7, norm, torch.ones(2, 3))[0], raw, fast_mode=True
        )


def excess(constraint, steps=8):
    """A real training, and the largest ratio of a layer's norm (by NumPy) to its cap after any of its steps."""
    flow = FlowConfig(blocks=2, width=16, hidden_layers=2, constraint=constraint)
    trainer = Trainer(flow, TrainConfig(batch=64, learning_rate=0.1, warmup=0, average=0.0), DATASETS["moons"], 0)
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

    def test_only_training_moves_the_vectors(self):
        layer = LipschitzLinear(5, 6, 0.1, seeded(0), Power())
        before = layer.v.clone()
        with torch.no_grad():
            first, second = layer.weight(), layer.weight()
        assert torch.equal(first, second) and torch.equal(layer.v, before)
        layer.weight()  # with gradients: training alone does so before it goes on
        layer.advance()
        assert not torch.equal(layer.v, before)
        with torch.no_grad():
            assert not torch.equal(layer.weight(), first)  # by the vector as it is now
        cold = LipschitzLinear(5, 6, 0.1, seeded(0), Power(warm=False))
        cold.weight()
        cold.advance()
        assert torch.equal(cold.v, before)


@pytest.mark.parametrize(("constraint", "chain"), [*zip(EVERY, [*NORM_CHAINS, "2"], strict=True)], ids=str)
def test_what_is_not_finite_gives_no_finite_weights_and_no_bound_and_spoils_no_other(constraint, chain):
    config = FlowConfig(blocks=2, width=8, hidden_layers=2, norms=chain, constraint=constraint)
    flow = config.build(seeded(0))
    first, second = (block.branch for block in flow.blocks)
    with torch.no_grad():
        before = layer_norms([first, second])
        first.linears[1].raw[0, 0] = math.nan
        # Alone and in a stack.
        assert not bool(constrained_weights([first.linears[1]], first.norms[1]).isfinite().all())
        norms = layer_norms([first, second])
    assert norms[0, 1].isnan()
    rest = torch.tensor([[True, False, True], [True, True, True]])
    torch.testing.assert_close(norms[rest], before[rest], rtol=3 * SLACK, atol=0)
    refusal = RuntimeError if constraint.certifies else Uncertified
    with pytest.raises(refusal, match="No certified inverse" if constraint.certifies else "certified bound nan"):
        flow.sample(3, seeded(0))
