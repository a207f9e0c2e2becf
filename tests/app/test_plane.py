"""The view "On the plane" without a browser: what it finds and the scene that it sends, against the core."""

import base64
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import engine, examples
from app.features.estimator.numbers import Series
from app.features.estimator.plane import Mapped, Picked
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.data import DATASETS
from resflow_core.estimators.moments import log_det_remainders, roulette_variance, spectral_radius
from resflow_core.flow import FlowConfig
from resflow_core.roulette import Geometric
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.pages import finding, own, run

pytestmark = pytest.mark.usefixtures("local_engine")
MAIN = Path(__file__).parents[2] / "app" / "page.py"
QUERY = {"data": "moons", "blocks": "2", "width": "16", "batch": "64", "bench.view": "plane"}


def opened(steps=1, **query):
    """The view of a flow that has taken so many steps: of an untrained one nothing is said."""
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in (QUERY | query).items():
        page.query_params[name] = value
    page = checked(page.switch_page("features/estimator/estimator.py").run())
    while (step := own(page).report.arms[0].step) < steps or own(page).jacobians.step < step:
        if not step:
            engine.get_engine().step(own(page).run, steps)
        page = checked(page.run())
    return page


def checked(page):
    assert not page.exception, page.exception
    assert len(page.title) == 1
    return page


def scene(page):
    (sent,) = (
        e.proto for e in page.main if e.type == "bidi_component" and e.proto.component_name == "resflow_map_and_disc"
    )
    return json.loads(sent.json)


def part(sent, key):
    return np.frombuffer(base64.b64decode(sent[key]["base64"]), sent[key]["dtype"])


def of_trainer(steps=1, n=100):
    """Every block's Jacobian at the nodes of the window, (blocks, n * n, 2, 2), by the core."""
    trainer = Trainer(FlowConfig(blocks=2, width=16), TrainConfig(batch=64), DATASETS["moons"], seed=0)
    for _ in range(steps):
        trainer.step()
    evaluation = measure.evaluate(trainer.evaluated, measure.grid_points(trainer.dataset.window, n))
    return evaluation.jacobians.swapaxes(0, 1).double()


def test_the_map_is_the_closed_form_at_every_node():
    page = opened(**{"bench.law.p": "0.4", "bench.law.n_exact": "2", "bench.probe": "rademacher"})
    sent = scene(page)
    assert (sent["n"], sent["window"]) == (100, [list(side) for side in DATASETS["moons"].window])
    variance = sum(
        roulette_variance(log_det_remainders(a, 128), Geometric(0.4, 2), "rademacher").total for a in of_trainer()
    )
    deviation = variance.sqrt().numpy()
    low, high = sent["range"]
    assert (low, high) == pytest.approx(np.quantile(deviation, [0.01, 0.99]), rel=1e-3)
    found = low + part(sent, "level") / 254 * (high - low)
    np.testing.assert_allclose(found, np.clip(deviation, low, high), atol=(high - low) / 200)
    found = finding(page, Mapped)
    assert (found.map, found.block, found.tail_ratio) == ("deviation", 0, pytest.approx(0.6))
    assert (found.low, found.median, found.high) == pytest.approx(
        (deviation.min(), np.median(deviation), deviation.max()), rel=1e-3
    )
    assert (found.beyond, found.is_infinite) == (0, False)


def test_after_steps_the_map_is_that_of_the_flow_as_it_is_then():
    page = opened(steps=20, **{"bench.map": "radius"})
    sent = scene(page)
    radius = spectral_radius(of_trainer(20)).amax(0).numpy()
    np.testing.assert_allclose(part(sent, "radius") / 65535, radius, atol=2e-4)
    assert "step 20" in sent["title"]
    found = finding(page, Mapped)
    assert (found.map, found.high) == ("radius", pytest.approx(radius.max(), abs=2e-4))
    assert found.beyond == pytest.approx((radius**2 > 0.5).mean(), abs=1e-4)


def test_a_law_that_is_infinite_everywhere_says_so():
    page = opened(**{"bench.law": "poisson"})
    assert finding(page, Mapped).is_infinite and finding(page, Mapped).beyond == 1
    assert (part(scene(page), "level") == 255).all()
    assert [name for name, _ in scene(page)["circles"]] == ["1", "L"]


@pytest.mark.thorough
def test_the_steepest_point_can_be_taken_to_the_bench():
    page = opened()
    jacobians = of_trainer()
    radius, block = spectral_radius(jacobians).max(0)
    node = int(radius.argmax())
    a = jacobians[int(block[node]), node]
    found = finding(page, Picked)
    assert (found.is_chosen, found.block, found.problem) == (False, block[node], None)
    assert (found.radius, found.entries) == (
        pytest.approx(float(radius[node]), abs=1e-5), pytest.approx(a.flatten().tolist(), abs=1e-4)
    )  # fmt: skip
    page = checked(page.button(key="take").click().run())
    assert page.text_input(key="bench.matrix.0").value == f"{a[0, 0]:.4f}".rstrip("0")
    truth = torch.linalg.slogdet(torch.eye(2) + torch.round(a, decimals=4)).logabsdet.item()
    assert finding(page, Series).truth == pytest.approx(truth, abs=1e-6)


def test_an_example_by_hand_is_the_steepest_point_of_the_flow():
    page = checked(opened(**{"bench.view": "by_hand"}).button(key="example.flow").click().run())
    jacobians = of_trainer().flatten(0, 1)
    a = jacobians[spectral_radius(jacobians).argmax()]
    fields = [float(page.text_input(key=f"bench.matrix.{i}").value) for i in range(4)]
    np.testing.assert_allclose(fields, a.flatten(), atol=2e-4)


@pytest.mark.thorough
@pytest.mark.slow
def test_one_click_takes_the_a_of_the_trained_flow_where_nothing_is_trained():
    page = AppTest.from_file(MAIN, default_timeout=600)
    page.switch_page("features/estimator/estimator.py")
    page = checked(checked(page.run()).button(key="example.flow").click().run())
    page = run(page)
    flow = flow_file.from_bytes(examples.flow())
    radius = spectral_radius(
        measure.evaluate(flow, measure.grid_points(DATASETS[examples.DATA].window, 100)).jacobians
    ).max()
    entries = [float(Fraction(page.text_input(key=f"bench.matrix.{i}").value)) for i in range(4)]
    assert spectral_radius(torch.tensor(entries).double().view(2, 2)) == pytest.approx(float(radius), abs=1e-3)


@pytest.mark.thorough
@pytest.mark.slow
def test_the_trained_flow_is_opened_with_its_data():
    page = checked(opened(steps=0).button(key="example").click().run())
    page = checked(page.run())
    flow = flow_file.from_bytes(examples.flow())
    radius = spectral_radius(
        measure.evaluate(flow, measure.grid_points(DATASETS[examples.DATA].window, 100)).jacobians
    ).amax(1)
    np.testing.assert_allclose(part(scene(page), "radius") / 65535, radius, atol=2e-4)
    assert page.query_params["data"] == examples.DATA
    assert page.button(key="example").disabled
    # A link to it needs no file: it comes with the app.
    again = opened(steps=0, **page.query_params)
    np.testing.assert_array_equal(part(scene(again), "radius"), part(scene(page), "radius"))


def test_a_block_that_the_flow_does_not_have_is_the_last():
    page = opened(**{"bench.block": "20"})
    assert page.select_slider(key="bench.block").value == 2
    np.testing.assert_allclose(part(scene(page), "radius") / 65535, spectral_radius(of_trainer()[1]).numpy(), atol=1e-4)
