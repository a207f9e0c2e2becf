"""Coupling flows with rotations: against zuko's own flows, automatic differentiation and quadrature."""

import numpy as np
import pytest
import torch
import zuko

from resflow_core import measure
from resflow_core.baselines.coupling import MOVES, CouplingConfig, Rotation
from resflow_core.data import DATASETS
from resflow_core.log_det import Roulette
from resflow_core.training.parameter_count import parameter_count
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.core.oracles import autograd_jacobian, numpy_log_abs_det, points, seeded
from tests.covering import covering


def config(kind, **changed):
    return CouplingConfig(**{"kind": kind, "transforms": 3, "width": 8, **changed})


def built(kind, rotated=True, dim=3):
    """A flow in float64, initialised on points with correlated coordinates of other means and scales."""
    flow = config(kind, rotated=rotated, dim=dim).build(seeded(0)).double()
    flow.initialize(points(200, dim, seed=1) @ points(dim, dim, seed=2) * 3 + 5)
    return flow


@pytest.mark.parametrize(
    ("dim", "rotated", "kind"),
    [[*row.values()] for row in covering({"dim": [2, 3, 5], "rotated": [True, False], "kind": [*MOVES]})],
)
def test_the_map_its_log_det_its_inverse_and_its_parameters(kind, rotated, dim):
    flow, x = built(kind, rotated, dim), points(4, dim, seed=3) * 4 + 5
    z, log_det = flow.forward_and_log_det(x)
    torch.testing.assert_close(z, flow(x), atol=1e-12, rtol=0)
    np.testing.assert_allclose(log_det.detach(), numpy_log_abs_det(autograd_jacobian(flow, x)), rtol=0, atol=1e-10)
    torch.testing.assert_close(flow.inverse(z), x, atol=1e-8, rtol=0)
    assert parameter_count(flow.config) == sum(one.numel() for one in flow.parameters())


@pytest.mark.parametrize(("kind", "univariate"), [("affine", None), ("spline", zuko.transforms.MonotonicRQSTransform)])
def test_without_rotations_it_is_zukos_coupling_flow(kind, univariate):
    flow, x = built(kind, rotated=False), points(20, 3, seed=3) * 4 + 5
    first, how = flow.bijections[0], {"hidden_features": [8, 8], "activation": torch.nn.ReLU, "transforms": 3}
    if univariate:
        how |= {"univariate": univariate, "shapes": [(8,), (8,), (7,)]}
    with torch.random.fork_rng(devices=[]):
        theirs = zuko.flows.NICE(3, **how).double()
    with torch.no_grad():
        for a, b in zip(theirs.parameters(), [p for p in flow.parameters()][2:], strict=True):
            a.copy_(b)
    standardised = x * first.log_scale.detach().exp() + first.shift.detach()
    expected = theirs().log_prob(standardised) + first.log_scale.sum()
    np.testing.assert_allclose(flow.log_prob(x).detach(), expected.detach(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("dim", [2, 7])
def test_a_rotation_keeps_lengths_and_turns_nothing_over(dim):
    turn = Rotation(dim, seeded(1)).double().matrix.detach()
    torch.testing.assert_close(turn @ turn.T, torch.eye(dim, dtype=torch.float64), atol=1e-12, rtol=0)
    assert np.linalg.det(turn.numpy()) == pytest.approx(1)
    assert float((turn.diagonal() - 1).abs().max()) > 0.1  # it is no identity to begin with


@pytest.mark.parametrize("kind", MOVES)
def test_it_learns_and_its_density_integrates_to_one(kind):
    trainer = Trainer(config(kind), TrainConfig(batch=200, average=0.0), DATASETS["moons"], seed=0)
    losses = np.array([trainer.step() for _ in range(60)])
    assert losses[-20:].mean() < losses[0] - 0.2
    n, reach = 150, 8.0
    mass = measure.density_grid(trainer.flow, ((-reach, reach),) * 2, n).astype(float) * (2 * reach / (n - 1)) ** 2
    assert mass.sum() == pytest.approx(1, abs=2e-3)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="dim = 1"):
        CouplingConfig(dim=1)
    with pytest.raises(ValueError, match="kind = 'cubic'"):
        CouplingConfig("cubic")
    with pytest.raises(ValueError, match="exact"):
        Trainer(config("affine"), TrainConfig(log_det=Roulette()), DATASETS["moons"], seed=0)
    with pytest.raises(ValueError, match="exact"):
        built("affine").log_prob(points(4, 3), Roulette(), seeded(0))
    with pytest.raises(ValueError, match="Generator"):
        CouplingConfig().build(7)
