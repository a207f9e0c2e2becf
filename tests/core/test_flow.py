import copy

import numpy as np
import pytest
import torch
from scipy import stats

from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Roulette
from resflow_core.roulette import Geometric
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.core.oracles import autograd_jacobian, points, seeded

CONFIG = FlowConfig(blocks=4, width=16)


@pytest.fixture(scope="module")
def trained():
    trainer = Trainer(CONFIG, TrainConfig(batch=200, learning_rate=0.01), DATASETS["moons"], seed=0)
    for _ in range(150):
        trainer.step()
    return trainer.flow


def test_the_same_generator_builds_the_same_flow_and_global_randomness_is_left_alone():
    before = torch.get_rng_state()
    first, second, third = (CONFIG.build(seeded(s)) for s in (0, 0, 1))
    x = points(5, 2).float()
    assert torch.equal(first(x), second(x))
    assert not torch.equal(first(x), third(x))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("actnorm", [True, False])
class TestInside:
    def test_the_stages_are_x_the_point_after_each_block_and_z(self, actnorm):
        flow, x = FlowConfig(blocks=3, width=8, actnorm=actnorm).build(seeded(0)).double(), points(10, 2)
        flow.initialize(points(50, 2, seed=1))
        stages = flow.stages(x)
        assert len(stages) == 5
        assert torch.equal(stages[0], x)
        assert torch.equal(stages[-1], flow(x))
        per_block = 1 + actnorm
        for k in range(1, 4):
            here = x
            for part in flow.bijections[: k * per_block]:
                here = part(here)
            assert torch.equal(stages[k], here)

    def test_the_block_jacobians_are_the_branches_where_the_points_have_got_to(self, actnorm):
        flow, x = FlowConfig(blocks=3, width=8, actnorm=actnorm).build(seeded(0)).double(), points(10, 2)
        flow.initialize(points(50, 2, seed=1))
        z, found = flow.forward_and_jacobians(x)
        torch.testing.assert_close(z, flow(x), atol=1e-12, rtol=0)
        assert found.shape == (10, 3, 2, 2)
        here = x
        for part in flow.bijections:
            if part in flow.blocks:
                expected = autograd_jacobian(part.branch, here)
                torch.testing.assert_close(found[:, flow.blocks.index(part)], expected, atol=1e-12, rtol=0)
            here = part(here)


@pytest.mark.thorough
def test_the_density_integrates_to_one(trained):
    n, window = 500, ((-8.0, 8.0), (-8.0, 8.0))
    density = measure.density_grid(trained, window, n).astype(float)
    assert density.sum() * (16 / (n - 1)) ** 2 == pytest.approx(1, abs=1e-3)


def test_samples_follow_the_density(trained):
    # The forward map sends samples back to the standard normal: a test of the inverse, not of the fit.
    z = measure.stages(trained, trained.sample(5_000, seeded(1)))[-1]
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    assert stats.kstest((z**2).sum(1), "chi2", args=(2,)).pvalue > 1e-4


def test_samples_of_the_default_flow_are_as_good_in_float32_as_in_float64():
    flow = FlowConfig().build(seeded(0))
    flow.initialize(DATASETS["checkerboard"].held_out())
    z = points(500, 2).float()
    with torch.no_grad():
        for linear in (linear for block in flow.blocks for linear in block.branch.linears):
            linear.raw.mul_(3)  # at its cap
    precise = copy.deepcopy(flow).double()
    error = (flow.inverse(z) - precise.inverse(z.double())).norm(dim=1).max()
    assert error < 1e-4


def test_training_and_pictures_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    trainer = Trainer(CONFIG, TrainConfig(log_det=Roulette(), batch=20), DATASETS["moons"], seed=0)
    trainer.step()
    measure.density_grid(trainer.flow, DATASETS["moons"].window, 8)
    measure.samples(trainer.flow, 5, seeded(0))
    assert torch.equal(torch.get_rng_state(), state)


def test_samples_fall_into_cells_as_the_density_says(trained):
    x = trained.sample(20_000, seeded(2)).numpy()
    n = 401
    density = measure.density_grid(trained, ((-4.0, 4.0), (-4.0, 4.0)), n).astype(float)
    cell_means = (density[:-1, :-1] + density[1:, :-1] + density[:-1, 1:] + density[1:, 1:]) / 4
    mass = cell_means.reshape(8, 50, 8, 50).sum((1, 3)) * (8 / (n - 1)) ** 2
    counts, _, _ = np.histogram2d(x[:, 1], x[:, 0], bins=8, range=[[-4, 4], [-4, 4]])
    keep = mass * len(x) > 20
    rest = len(x) - counts[keep].sum()
    observed, expected = np.append(counts[keep], rest), np.append(mass[keep], 1 - mass[keep].sum()) * len(x)
    assert stats.chisquare(observed, expected).pvalue > 1e-4


def test_the_roulette_log_prob_is_unbiased_for_a_whole_flow(trained):
    flow = trained
    x = DATASETS["moons"].held_out()[:1].expand(4_000, 2)
    estimate = Roulette(Geometric(0.3, 6), "rademacher")
    with torch.no_grad():
        draws = flow.log_prob(x, estimate, seeded(0)).double()
        truth = flow.log_prob(x[:1]).item()
    assert abs(draws.mean().item() - truth) < 5 * draws.std().item() / len(draws) ** 0.5 + 1e-5


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("blocks", 400, "from 1 to 32"),
        ("blocks", 0, "from 1 to 32"),
        ("blocks", 2.5, "whole number"),
        ("width", 10**6, "from 2 to 256"),
        ("budget", 1.0, "from 0.05 to 0.999"),
        ("budget", float("nan"), "from 0.05"),
        ("activation", "swish", "use one of lipswish"),
        ("actnorm", "yes", "use True or False"),
    ],
)
def test_bad_settings_are_refused_by_name_value_and_remedy(field, value, remedy):
    with pytest.raises(ValueError, match=rf"{field} = .*{value!r}.*{remedy}"):
        FlowConfig(**{field: value})


class TestMeasure:
    def test_the_grid_runs_along_x_and_up_y(self, trained):
        window = ((-1.0, 2.0), (-3.0, 1.0))
        density = measure.density_grid(trained, window, 4)
        corner = torch.tensor([[2.0, -3.0], [-1.0, 1.0]])  # lower right, upper left
        expected = trained.log_prob(corner).exp().detach()
        np.testing.assert_allclose([density[0, 3], density[3, 0]], expected, rtol=1e-5)

    def test_grid_lines_run_along_y_and_then_along_x(self):
        lines = measure.grid_lines(((-1.0, 1.0), (-2.0, 2.0)), lines=3, points=5)
        assert lines.shape == (6, 5, 2)
        ends = [*lines[0, [0, 4]].tolist(), *lines[5, [0, 4]].tolist()]  # the first vertical, the last horizontal line
        assert ends == [[-1.0, -2.0], [-1.0, 2.0], [-1.0, 2.0], [1.0, 2.0]]

    def test_stages_lead_from_the_points_to_the_latent_ones(self, trained):
        lines = measure.grid_lines(((-1.0, 1.0), (-2.0, 2.0)), lines=3, points=5)
        stages = measure.stages(trained, lines)
        assert stages.shape == (CONFIG.blocks + 2, 6, 5, 2)
        np.testing.assert_array_equal(stages[0], lines)
        moved = trained(lines.view(-1, 2)).detach().view(6, 5, 2)
        np.testing.assert_allclose(stages[-1], moved, rtol=1e-4, atol=1e-5)

    def test_mean_nll_has_the_standard_error_of_a_mean(self, trained):
        x = DATASETS["moons"].held_out()
        nll = -trained.log_prob(x).detach().numpy().astype(float)
        estimate = measure.mean_nll(measure.log_prob(trained, x))
        assert estimate.value == pytest.approx(nll.mean(), abs=1e-5)
        assert estimate.standard_error == pytest.approx(stats.sem(nll), rel=1e-4)
