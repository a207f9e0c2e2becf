"""Maps of the plane against moments that NumPy sums node by node, what is sent of them, and the views of a flow in
training, without a browser."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import engine
from app.components.map_and_disc import DISC, INFINITE, scene
from app.engine.training.measurements.jacobians import Jacobians
from app.estimates.hashed_jacobians import HashedJacobians, series_problem
from app.estimates.maps import MAPS, field, series_error
from app.estimates.settings import Bench
from app.features.estimator.numbers import Noise, Series
from app.features.estimator.plane import Mapped, Picked, in_disc, mapped, picked
from app.features.estimator.sweeps import PAPER, cost, subject_of
from app.features.estimator.verdicts import InfinitePoints
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.estimators.moments import log_det_remainders, roulette_variance, spectral_radius
from resflow_core.flow import FlowConfig
from resflow_core.roulette import Geometric, Poisson
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.pages import MAIN, finding, go, own, run

SIDE, BLOCKS = 6, 3
WINDOW = ((-1.0, 1.0), (-2.0, 2.0))


def of_grid(grid):
    return Jacobians(7, grid.astype(np.float32), grid[:, :5].astype(np.float32), np.ones((SIDE, SIDE)), WINDOW)


def jacobians(largest=0.65):
    """Of random blocks whose spectral radii reach up to `largest`."""
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(BLOCKS, SIDE**2, 2, 2))
    radius = np.abs(np.linalg.eigvals(grid)).max(-1)
    grid *= (largest * rng.uniform(0.1, 1, radius.shape) / radius)[..., None, None]
    return of_grid(grid)


def everywhere(*entries):
    """Of one block that is diagonal at every node."""
    return of_grid(np.broadcast_to(np.diag(entries), (1, SIDE**2, 2, 2)))


class TestField:
    @pytest.mark.parametrize(
        ("block", "probe", "first_exact"), [(0, "gaussian", False), (1, "gaussian", True), (3, "rademacher", False)]
    )
    def test_the_deviation_is_that_of_the_sum_over_the_blocks(self, block, probe, first_exact):
        found, law = jacobians(), Geometric(0.5, 2)
        bench = Bench(block=block, law=law, probe=probe, first_exact=first_exact)
        of = found.grid[block - 1 : block] if block else found.grid
        blocks = [log_det_remainders(torch.tensor(nodes).double(), 200, int(first_exact)) for nodes in of]
        drawn = field(HashedJacobians(found), bench)
        expected = sum(roulette_variance(one, law, probe).total for one in blocks)
        np.testing.assert_allclose(drawn.value**2, expected, rtol=1e-6)
        assert not drawn.infinite.any()

    def test_probes_and_draws_divide_the_noise(self):
        of, bench = HashedJacobians(jacobians()), Bench(probe="rademacher")
        one, many = (field(of, replace(bench, n_probes=k, n_draws=k)).value for k in (1, 4))
        assert (many < one).all() and (many > one / 4).all()
        # The variance is P + R / M for M draws, which share the probe.
        whole, half, quarter = (field(of, replace(bench, n_draws=m)).value ** 2 for m in (1, 2, 4))
        np.testing.assert_allclose(whole - half, 2 * (half - quarter), rtol=1e-6, atol=1e-12)
        assert (half < whole).all() and (half > whole / 2).all()

    def test_it_is_infinite_beyond_the_tail_ratio_and_nowhere_else(self):
        found = jacobians(0.95)
        radius = np.abs(np.linalg.eigvals(found.grid.astype(float))).max(-1)
        drawn = field(HashedJacobians(found), Bench(law=Geometric(0.5, 3)))
        np.testing.assert_array_equal(drawn.infinite, (radius**2 > 0.5).any(0))
        np.testing.assert_array_equal(np.isnan(drawn.value), drawn.infinite)
        assert 0.2 < drawn.infinite.mean() < 0.9
        np.testing.assert_allclose(drawn.radius, radius.max(0), rtol=1e-6)
        np.testing.assert_array_equal(drawn.leading, radius.argmax(0))
        assert (field(HashedJacobians(found), Bench(block=2)).leading == 1).all()
        poisson = Bench(law=Poisson())
        nowhere = field(HashedJacobians(found), poisson)
        about = mapped(poisson, nowhere, nowhere)
        assert nowhere.infinite.all() and about.is_infinite and (about.beyond, about.tail_ratio) == (1, 0)

    def test_the_bias_is_the_series_less_the_log_det(self):
        found, grid = jacobians(0.9), jacobians(0.9).grid.astype(float)
        traces = [-((-1) ** k) / k * np.linalg.matrix_power(grid, k).trace(axis1=-2, axis2=-1) for k in range(1, 6)]
        off = sum(traces) - np.linalg.slogdet(np.eye(2) + grid)[1]
        np.testing.assert_allclose(field(HashedJacobians(found), Bench(map="bias")).value, off.sum(0), atol=1e-12)
        # tr f(A) is the sum of f over the eigenvalues.
        drawn = field(HashedJacobians(found), Bench(map="bias", block=2))
        np.testing.assert_allclose(drawn.series_error.sum(1), off[1], atol=1e-9)
        assert (np.abs(drawn.eigenvalues[:, 0]) >= np.abs(drawn.eigenvalues[:, 1]) - 1e-12).all()
        beyond = field(HashedJacobians(everywhere(-1.5, 0.2)), Bench(map="radius", n_terms=1))
        np.testing.assert_allclose(beyond.series_error[:, 0], -1.5 - np.log(0.5), rtol=1e-6)

    def test_nothing_is_said_where_the_series_diverges(self):
        assert series_problem(HashedJacobians(everywhere(0.999, 0.2))) is None
        assert "1.01" in series_problem(HashedJacobians(everywhere(-1.01, 0.2)))


@pytest.mark.parametrize("name", MAPS)
def test_what_is_sent_and_found_is_what_was_computed(name):
    found, bench = jacobians(0.95), Bench(map=name, block=1, n_terms=3)
    drawn = field(HashedJacobians(found), bench)
    finite = ~drawn.infinite
    about = mapped(bench, drawn, drawn)
    values = drawn.value[finite]
    assert (about.low, about.median, about.high) == (values.min(), np.median(values), values.max())
    assert about.beyond == (drawn.radius**2 > 0.5).mean() > 0 and not about.is_infinite
    disc, errors = in_disc(bench, drawn), series_error(drawn.eigenvalues[:, 0], 3)
    assert disc.too_high == (errors > 0).mean()
    assert abs(series_error(np.array([disc.farthest]), 3)[0]) == np.abs(errors).max()

    sent = scene(
        WINDOW, drawn.value, drawn.infinite, drawn.radius, drawn.eigenvalues, drawn.series_error, title="t", name="n",
        unit="nats", signed=MAPS[name].diverging, limit=0.7, circles=[("1", 1.0)], axes=["x", "y"], alt={},
    )  # fmt: skip
    level, (low, high) = part(sent, "level"), sent["range"]
    np.testing.assert_array_equal(level == INFINITE, drawn.infinite)
    shown = np.clip(values, low, high)
    np.testing.assert_allclose(low + level[finite] / 254 * (high - low), shown, atol=(high - low) / 500)
    np.testing.assert_allclose(part(sent, "radius") / 65535, drawn.radius, atol=1e-5)
    places = (part(sent, "eigenvalues").reshape(-1, 2, 2) / 32767 - 1) * DISC
    np.testing.assert_allclose(places[..., 0] + 1j * places[..., 1], drawn.eigenvalues, atol=5e-5)
    least, most = sent["error_range"]
    found_errors = least + part(sent, "error").reshape(-1, 2) / 254 * (most - least)
    assert least == -most
    np.testing.assert_allclose(found_errors, np.clip(drawn.series_error, least, most), atol=most / 250)


def part(sent, key):
    return np.frombuffer(base64.b64decode(sent[key]["base64"]), sent[key]["dtype"])


def test_a_node_that_is_chosen_is_the_one_that_can_be_taken():
    found = jacobians(0.95)
    drawn = field(HashedJacobians(found), Bench())
    for chosen, node in ((7, 7), (None, drawn.radius.argmax()), (SIDE**2, drawn.radius.argmax())):
        about = picked(found.grid, drawn, chosen)
        assert about.block == drawn.leading[node] and about.is_chosen is (chosen is not None)
        assert about.entries == tuple(np.round(found.grid[about.block, node].flatten().astype(float), 4))
        assert about.radius == drawn.radius[node] and about.problem is None
    few = everywhere(0.995, 0.2)
    assert "0.995" in picked(few.grid, field(HashedJacobians(few), Bench()), None).problem


def opened(steps=1, **query):
    """The view of a flow that has taken so many steps: of an untrained one nothing is said."""
    page = AppTest.from_file(MAIN, default_timeout=600)
    usual = {"data": "moons", "blocks": "2", "width": "16", "batch": "64", "bench.view": "plane"}
    for name, value in (usual | query).items():
        page.query_params[name] = value
    page = go(page, "features/estimator/estimator.py")
    while (step := own(page).report.arms[0].step) < steps or own(page).jacobians.step < step:
        if not step:
            engine.get_engine().step(own(page).run, steps)
        page = run(page)
    return page


def sent_scene(page):
    parts = [e.proto for e in page.main if e.type == "bidi_component"]
    (sent,) = [part.json for part in parts if part.component_name == "resflow_map_and_disc"]
    return json.loads(sent)


def of_trainer(steps=1, n=100):
    """Every block's Jacobian at the nodes of the window, (blocks, n * n, 2, 2), by the core."""
    trainer = Trainer(FlowConfig(blocks=2, width=16), TrainConfig(batch=64), DATASETS["moons"], seed=0)
    for _ in range(steps):
        trainer.step()
    evaluation = measure.evaluate(trainer.evaluated, measure.grid_points(trainer.dataset.window, n))
    return evaluation.jacobians.swapaxes(0, 1).double()


@pytest.mark.usefixtures("local_engine")
@pytest.mark.thorough
class TestPages:
    def test_the_map_is_the_closed_form_at_every_node_and_its_steepest_a_can_be_taken(self):
        page = opened(**{"bench.law.p": "0.4", "bench.law.n_exact": "2", "bench.probe": "rademacher"})
        sent, jacobians = sent_scene(page), of_trainer()
        law = Geometric(0.4, 2)
        variance = sum(roulette_variance(log_det_remainders(a, 128), law, "rademacher").total for a in jacobians)
        deviation = variance.sqrt().numpy()
        low, high = sent["range"]
        assert (low, high) == pytest.approx(np.quantile(deviation, [0.01, 0.99]), rel=1e-3)
        found = low + part(sent, "level") / 254 * (high - low)
        np.testing.assert_allclose(found, np.clip(deviation, low, high), atol=(high - low) / 200)
        about = finding(page, Mapped)
        assert (about.map, about.block, about.tail_ratio) == ("deviation", 0, pytest.approx(0.6))
        assert (about.low, about.high) == pytest.approx((deviation.min(), deviation.max()), rel=1e-3)

        radius, block = spectral_radius(jacobians).max(0)
        node = int(radius.argmax())
        a, steepest = jacobians[int(block[node]), node], finding(page, Picked)
        assert (steepest.block, steepest.radius) == (block[node], pytest.approx(float(radius[node]), abs=1e-5))
        assert steepest.entries == pytest.approx(a.flatten().tolist(), abs=1e-4)
        page = run(page.button(key="take").click())
        truth = torch.linalg.slogdet(torch.eye(2) + torch.round(a, decimals=4)).logabsdet.item()
        assert finding(page, Series).truth == pytest.approx(truth, abs=1e-6)

    def test_across_settings_a_flow_is_a_mean_over_its_points(self):
        page = opened(**{"bench.view": "settings", "bench.subject": "flow"})
        jacobians = own(page).jacobians
        subject = subject_of(Bench(view="settings", subject="flow"), jacobians)
        radius = np.abs(np.linalg.eigvals(jacobians.points[:, :500].astype(float))).max((0, 2))
        assert finding(page, Noise).tail.radius == pytest.approx(radius.max())
        assert finding(page, Noise).cost.total == pytest.approx(cost(subject, PAPER, "gaussian").total)
        assert finding(page, InfinitePoints).share == pytest.approx((radius**2 > 0.5).mean())
        charts = [json.loads(e.proto.spec) for e in page.main if e.type == "vega_lite_chart"]
        (rows,) = [one["data"]["values"] for chart in charts for one in chart["layer"] if one["mark"]["type"] == "area"]
        assert [row["share"] for row in rows] == [(radius**2 > 1 - row["p"]).mean() for row in rows]
