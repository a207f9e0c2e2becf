"""What bijections promise beside the laws of `test_laws`: refusals, ActNorm, and a trained flow as a whole."""

import numpy as np
import pytest
import torch
from scipy import stats

from resflow_core import measure
from resflow_core.actnorm import ActNorm
from resflow_core.bijection import Chain
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.residual import Branch, ResidualBlock
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.core.oracles import autograd_jacobian, numpy_log_abs_det, points, seeded

CONFIG = FlowConfig(blocks=4, width=16)


def _actnorm(dim):
    norm = ActNorm(dim).double()
    norm.initialize(3 * points(100, dim, seed=1) + 2)
    return norm


def _block(dim):
    return ResidualBlock(Branch([dim, 16, 16, dim], "elu", 0.97, seeded(0)), dim).double()


def _flow(dim):
    flow = FlowConfig(blocks=3, width=16, budget=0.9, dim=dim).build(seeded(0)).double()
    flow.initialize(points(100, dim, seed=1))
    return flow


BIJECTIONS = {
    "actnorm": _actnorm,
    "block": _block,
    "chain": lambda dim: Chain([_actnorm(dim), _block(dim)]),
    "flow": _flow,
}


@pytest.mark.parametrize(("name", "dim"), [*zip(BIJECTIONS, [2, 5, 5, 2], strict=True)])
class TestEveryBijection:
    def test_inverse_log_det_and_modes(self, name, dim):
        bijection, x = BIJECTIONS[name](dim), 2 * points(6, dim)
        z, log_det = bijection.train().forward_and_log_det(x)
        np.testing.assert_allclose(
            log_det.detach(), numpy_log_abs_det(autograd_jacobian(bijection, x)), atol=1e-10, rtol=0
        )
        assert all(
            torch.equal(a, b) for a, b in zip((z, log_det), bijection.eval().forward_and_log_det(x), strict=True)
        )
        # 1e-6 a block, multiplied by the later blocks' 1 / (1 - L)
        back = bijection.inverse(z.detach().requires_grad_())
        assert not back.requires_grad
        torch.testing.assert_close(back, x, atol=1e-4, rtol=0)

    def test_points_of_another_shape_are_refused(self, name, dim):
        bijection = BIJECTIONS[name](dim)
        for method in ("__call__", "inverse", "forward_and_log_det"):
            for wrong in (torch.zeros(dim), torch.zeros(4, dim + 1), torch.zeros(2, 3, dim)):
                with pytest.raises(ValueError, match=rf"Expected points of shape \(batch, {dim}\); got \("):
                    getattr(bijection, method)(wrong.double())


class TestActNorm:
    def test_only_initialize_initialises_it(self):
        norm, grid = ActNorm(2), 5 + torch.rand(50, 2, generator=seeded(0))
        assert torch.equal(norm(grid), grid)
        norm.initialize(grid)
        z = norm(grid)
        torch.testing.assert_close(z.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(z.std(0), torch.ones(2), atol=1e-5, rtol=0)

    def test_points_that_do_not_vary_are_refused(self):
        for x in (torch.ones(5, 2), torch.zeros(1, 2)):
            with pytest.raises(ValueError, match="vary in every coordinate"):
                ActNorm(2).initialize(x)


def test_no_points_are_no_trouble():
    flow = _flow(2)
    z, jacobians = flow.forward_and_jacobians(points(0, 2))
    assert (z.shape, jacobians.shape, flow.inverse(z).shape) == ((0, 2), (0, 3, 2, 2), (0, 2))
    for log_det in (Exact(), Truncated(), Roulette()):
        assert flow.log_prob(points(0, 2), log_det, seeded(0)).shape == (0,)


# --- a trained flow ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    trainer = Trainer(CONFIG, TrainConfig(batch=200, learning_rate=0.01), DATASETS["moons"], seed=0)
    for _ in range(100):
        trainer.step()
    return trainer.flow


def test_the_same_generator_builds_the_same_flow_and_global_randomness_is_left_alone():
    before = torch.get_rng_state()
    first, second, third = (CONFIG.build(seeded(s)) for s in (0, 0, 1))
    x = points(5, 2).float()
    assert torch.equal(first(x), second(x))
    assert not torch.equal(first(x), third(x))
    trainer = Trainer(CONFIG, TrainConfig(log_det=Roulette(), batch=20), DATASETS["moons"], seed=0)
    trainer.step()
    measure.density_grid(trainer.flow, DATASETS["moons"].window, 8)
    measure.samples(trainer.flow, 5, seeded(0))
    assert torch.equal(before, torch.get_rng_state())


def test_the_density_integrates_to_one(trained):
    n, window = 250, ((-8.0, 8.0), (-8.0, 8.0))
    density = measure.density_grid(trained, window, n).astype(float)
    assert density.sum() * (16 / (n - 1)) ** 2 == pytest.approx(1, abs=1e-3)


def test_samples_follow_the_density(trained):
    """Back in the latent plane they are standard normal."""
    x = trained.sample(10_000, seeded(1))
    z = measure.stages(trained, x)[-1]
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    assert stats.kstest((z**2).sum(1), "chi2", args=(2,)).pvalue > 1e-4


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("blocks", 0, "from 1 to 32"),
        ("blocks", 2.5, "whole number"),
        ("width", 10**6, "from 2 to 256"),
        ("budget", 1.0, "from 0.05 to 0.999"),
        ("budget", float("nan"), "from 0.05"),
        ("activation", "swish", "use one of lipswish"),
        ("branch", "tree", "residual"),
        ("actnorm", "yes", "use True or False"),
    ],
)
def test_bad_settings_are_refused_by_name_value_and_remedy(field, value, remedy):
    with pytest.raises(ValueError, match=rf"{field} = .*{value!r}.*{remedy}"):
        FlowConfig(**{field: value})


class TestPictures:
    def test_the_grid_runs_along_x_and_up_y(self, trained):
        density = measure.density_grid(trained, ((-1.0, 2.0), (-3.0, 1.0)), 4)
        corner = torch.tensor([[2.0, -3.0], [-1.0, 1.0]])  # lower right, upper left
        expected = trained.log_prob(corner).exp().detach()
        np.testing.assert_allclose([density[0, 3], density[3, 0]], expected, rtol=1e-5)

    def test_grid_lines_run_along_y_and_then_along_x_and_go_to_the_latent_ones(self, trained):
        lines = measure.grid_lines(((-1.0, 1.0), (-2.0, 2.0)), lines=3, points=5)
        assert lines.shape == (6, 5, 2)
        ends = [*lines[0, [0, 4]].tolist(), *lines[5, [0, 4]].tolist()]  # the first vertical, the last horizontal line
        assert ends == [[-1.0, -2.0], [-1.0, 2.0], [-1.0, 2.0], [1.0, 2.0]]
        stages = measure.stages(trained, lines)
        assert stages.shape == (CONFIG.blocks + 2, 6, 5, 2)
        np.testing.assert_array_equal(stages[0], lines)
        moved = trained(lines.view(-1, 2)).detach().view(6, 5, 2)
        np.testing.assert_allclose(stages[-1], moved, rtol=1e-4, atol=1e-5)
