"""The Lipschitz screen without a browser: what it finds and draws against the core's own measurements, over the engine
of this process."""

import dataclasses
import math

import numpy as np
import pytest
import safetensors.torch
import torch
from streamlit.testing.v1 import AppTest

from app import engine, evidence
from app.components.planes.panes import NO_NUMBER
from app.engine.commands import ViewRequest
from app.engine.training.measurements.bounds import Bounds
from app.engine.training.measurements.inversion import Inversions
from app.engine.training.measurements.masses import Masses
from app.features.lipschitz import answers, compared, stored
from app.features.lipschitz.enforced import Enforced
from app.features.lipschitz.induced import Induced
from app.features.lipschitz.inverse import mass_shown
from app.features.lipschitz.numbers import Inverted
from app.features.lipschitz.pictures import steps_to
from app.features.lipschitz.settings import Lipschitz
from app.features.lipschitz.strip import place, strip
from app.features.lipschitz.walk import example, folding
from app.link import STEP
from app.metrics import is_one
from app.setup import Setup
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact
from resflow_core.measure.invertibility import Regime
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.pages import MAIN, SMALL, curves, decode, finding, go, keys, link, number, own, panes, press, run, said
from tests.app.pages import table as table_of

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
FLOW, TRAIN, DATA = FlowConfig(blocks=2, width=16), TrainConfig(batch=64), DATASETS["moons"]
BEGUN = 10
"""Steps after which a flow counts as trained."""
ADDRESS = "features/lipschitz/lipschitz.py"


def opened(view="inverse", settings=(), screen=ADDRESS, steps=0, **bench):
    page = AppTest.from_file(MAIN, default_timeout=600)
    asked = ({"view": view} if view else {}) | bench
    query = SMALL | dict(settings) | {f"lipschitz.{name}": value for name, value in asked.items()}
    query |= {STEP: str(steps)} if steps else {}
    for name, value in query.items():
        page.query_params[name] = value
    return go(page, screen)


def begun(**bench):
    """The inverse of a flow that is trained a little."""
    page = run(opened(steps=BEGUN, **bench))
    assert own(page).report.arms[0].step == BEGUN
    return page


def bench(page):
    return own(page).benches[Lipschitz]


def trainer(flow=FLOW, steps=0):
    found = Trainer(flow, TRAIN, DATA, seed=3)
    for _ in range(steps):
        found.step()
    return found


def inverse_of(flow, block=None, scale=1.0, z=None, method="banach"):
    points = DATA.held_out()[: ViewRequest().points]
    return measure.inversion(flow, points, block, scale, z, method)


def blocks_of(flow):
    return measure.block_table(flow, measure.evaluate(flow, DATA.held_out()), Exact())


def tensors(page, run_id=None, arm=0):
    file = engine.get_engine().export(run_id or own(page).run, arm)
    return {name: tensor.numpy().tobytes() for name, tensor in safetensors.torch.load(file).items()}


class TestOpening:
    """What the page opens with, before anything is trained here."""

    @pytest.fixture(scope="class")
    def found(self):
        return answers.read(evidence.stored("lipschitz-folds").found)

    def test_it_walks_back_to_an_x_and_beyond_the_fold_one_z_has_several(self, found):
        page, flow = opened(), found.flows[0]
        drawn = folding(flow.block, flow.window, 1.0)
        assert answers.sentence(found) in said(page) and panes(page)[0]["point"] == pytest.approx(drawn.z)
        for n in range(3):
            _, way, chart, *_ = panes(page)
            np.testing.assert_allclose(curves(way)[0], drawn.walk.x[: n + 1], atol=1e-5)
            seen, promised = curves(chart)
            np.testing.assert_allclose(seen[:, 1], drawn.walk.error[: n + 1], rtol=1e-4)
            assert (seen[:, 1] <= promised[: n + 1, 1]).all()
            page = press(page, "lipschitz.steps.2")
        page = press(page, "lipschitz.steps.3")
        assert len(curves(panes(page)[1])[0]) == 1 + steps_to(drawn.walk)

        page = press(page, "lipschitz.walk.0")
        assert page.select_slider(key="lipschitz.walk").value == flow.twice
        assert found.walk.at(flow.twice) == pytest.approx(flow.mass, abs=1e-4)
        bent, turned, chart, by_block, masses = panes(page)
        assert len(curves(bent)) == 2 and turned["dots"][1]["points"]["shape"] == [flow.preimages, 2]
        assert len(curves(chart)) == 1  # no promise
        for one, curve in zip(found.flows, curves(by_block), strict=False):
            np.testing.assert_allclose(curve[:, 1], np.sort(one.folds_at), rtol=1e-5)
        np.testing.assert_allclose(curves(masses)[0], np.stack([found.walk.scales, found.walk.mass], 1), rtol=1e-5)
        page = press(page, "step")  # a flow of one's own
        assert finding(page, Inverted) and answers.sentence(found) not in said(page)

    def test_its_block_folds_where_eigenvalues_say_and_all_x_of_its_z_land_there(self, found):
        flow = found.flows[0]
        branch = example().scaled(flow.block, 1.0).blocks[flow.block].branch
        x = measure.grid_points(flow.window, 60).double().requires_grad_()
        rows = [torch.autograd.grad(part.sum(), x, retain_graph=True)[0] for part in branch.double()(x).unbind(1)]
        values = np.linalg.eigvals(torch.stack(rows, 1).numpy())
        assert -1 / values.real[values.imag == 0].min() == pytest.approx(flow.middle, rel=1e-4)
        assert 1 / branch.lipschitz == pytest.approx(flow.guaranteed, rel=1e-5)
        drawn = folding(flow.block, flow.window, flow.twice)
        block = example().scaled(flow.block, flow.twice).blocks[flow.block].double()
        with torch.no_grad():
            there = block(torch.from_numpy(drawn.preimages)).numpy()
        assert len(there) == flow.preimages
        np.testing.assert_allclose(there, np.tile(drawn.z, (len(there), 1)), atol=1e-6)

    @pytest.mark.parametrize(
        ("change", "broken"),
        [
            ({"folds_at": (1.0102,) * 24}, [0]),
            ({"preimages": 1}, [1]),
            ({"mass": 1.001, "error": 0.01}, [2]),
            ({"mass": 1.02, "error": 0.01}, []),
        ],
    )
    def test_what_it_rests_on_holds_and_without_it_something_else_is_said(self, found, change, broken):
        other = dataclasses.replace(found, flows=tuple(dataclasses.replace(one, **change) for one in found.flows))
        assert [k for k, holds in enumerate(answers.claims(other).values()) if not holds] == broken
        said = answers.sentence(other)
        assert [k for k, words in enumerate(("right there", "only one x", "still add up")) if words in said] == broken

    def test_at_each_scale_it_says_what_holds(self, found):
        assert answers.stops(1.005, 1.4) == (1.0, 1.015, 1.442, 2.8)
        flow, begins = found.flows[0], ("guaranteed.", "not guaranteed", "folded.")
        for scale, mass in zip(found.walk.scales, found.walk.mass, strict=True):
            k = (scale > flow.guaranteed) + (scale > flow.middle)
            said = answers.here(found, scale, 3)
            assert f"**s = {scale:g}: {begins[k]}" in said and f"{mass:.2f}" in said

    def test_the_strip_has_its_bands_where_the_slider_has_its_scales(self, found):
        flow, scales = found.flows[0], found.walk.scales
        assert [place(scale, scales) for scale in (scales[0], scales[-1])] == [0, 100]
        assert place(scales[10], scales) == pytest.approx(1000 / (len(scales) - 1), abs=0.01)
        assert "strip-folded" not in strip(scales, 1.0, flow.guaranteed, math.inf)
        assert "strip-open" not in strip(scales, 1.0, flow.guaranteed, flow.guaranteed)


class TestInverse:
    def numbers_agree(self, page, found):
        shown = finding(page, Inverted)
        assert (shown.block, shown.scale, shown.regime) == (found.block, found.scale, found.regime)
        assert shown.bound == pytest.approx(found.lipschitz)
        assert shown.smallest_det == pytest.approx(found.det.min(), rel=1e-4)
        assert shown.folds_at == pytest.approx(found.breaking[found.block], rel=1e-4)
        assert (shown.preimages, shown.refusal) == (len(found.preimages), found.refusal)
        assert (shown.method, shown.most_steps) == (found.method, np.nanmax(found.steps))
        bent, before, _, steps, x, _ = panes(page)
        assert bent["point"] == steps["point"] == pytest.approx(list(found.z), abs=1e-6)
        np.testing.assert_allclose(bent["window"], found.window, atol=1e-6)
        np.testing.assert_allclose(curves(bent)[0][: len(found.det)], found.image[0], atol=1e-4)
        assert decode(before["dots"][1]["points"]) == pytest.approx(found.preimages, abs=1e-4)
        assert steps["heat"]["range"] == [0, np.nanmax(found.steps)]
        np.testing.assert_array_equal(decode(steps["heat"]["level"]) == NO_NUMBER, np.isnan(found.steps))
        assert x["heat"]["range"][1] == pytest.approx(np.abs(found.det).max(), rel=1e-4)

    def test_it_opens_with_the_block_that_folds_first_and_is_broken_and_brought_back(self):
        trained = trainer(steps=BEGUN).evaluated
        found, page = inverse_of(trained), begun()
        self.numbers_agree(page, found)
        assert found.breaking[found.block] == found.breaking.min() < found.breaking.max()
        mass = own(page).report.arms[0].found(Masses).exact
        assert found.regime is Regime.CERTIFIED and mass.value == pytest.approx(1, abs=1e-3) and is_one(mass)

        page = press(page, "lipschitz.folded")
        assert bench(page).scale == pytest.approx(1.03 * found.breaking.min(), abs=5e-4)
        folded = inverse_of(trained, scale=bench(page).scale)
        assert folded.regime is Regime.FOLDED and len(folded.preimages) == 3
        self.numbers_agree(page, folded)
        np.testing.assert_allclose(curves(panes(page)[0])[1], folded.fold_image, rtol=1e-3, atol=1e-3)
        # What is measured slowly may still be of the scale before.
        report = own(page).report
        shown, masses = (report.arms[0].found(kind) for kind in (Inversions, Masses))
        assert mass_shown(report, shown) is masses.exact
        before = dataclasses.replace(masses, edited=None)
        arm = dataclasses.replace(report.arms[0], measured=report.arms[0].measured | {Masses: before})
        assert mass_shown(dataclasses.replace(report, arms=(arm,)), shown) is None

        page = run(page.segmented_control(key="lipschitz.view").set_value("enforced"))
        page = press(go(page, "features/explore/explore.py"), "bring_back")
        assert bench(page).scale == 1 and "bring_back" not in keys(page)

    def test_a_link_repeats_block_scale_z_and_iteration(self):
        asked = {"block": "1", "scale": "2.5", "chosen": "True", "z": "0.4 -0.3", "method": "chord"}
        page = begun(**asked)
        self.numbers_agree(page, inverse_of(trainer(steps=BEGUN).evaluated, 0, 2.5, (0.4, -0.3), "chord"))
        assert {key: link(page)[f"lipschitz.{key}"] for key in asked} == asked
        page = press(page, "lipschitz.fold_point")
        assert link(page)["lipschitz.chosen"] == "False"


class TestEnforced:
    def test_it_says_what_is_measured(self):
        flow = trainer().evaluated
        page, blocks = opened("enforced"), blocks_of(flow)
        found, seen = finding(page, Enforced), blocks.largest_norm
        assert found.within and found.certified == pytest.approx(blocks.layer_norms.prod(1).max())
        assert (found.steepest, found.seen) == (seen.argmax(), pytest.approx(seen.max()))
        layers, products, estimates = panes(page)
        *drawn, cap = (curve[:, 1] for curve in curves(layers))
        np.testing.assert_allclose(drawn, blocks.layer_norms.T, rtol=1e-4)
        np.testing.assert_allclose(cap, 0.99**0.5, rtol=1e-4)
        np.testing.assert_allclose(curves(products)[1][:, 1], blocks.layer_norms.prod(1), rtol=1e-4)
        np.testing.assert_allclose(curves(estimates)[2][:, 1], measure.norm_estimates(flow).power, rtol=1e-4)
        known = measure.guarantees(flow, measure.evaluate(flow, DATA.held_out()))
        shown = own(page).report.arms[0].found(Bounds).guarantees
        _, *rows = table_of(page, "| whole flow").values()
        for cells, name in zip(rows, ("stretch", "log_det", "log_prob"), strict=True):
            of = getattr(known, name)
            assert dataclasses.astuple(getattr(shown, name)) == pytest.approx(dataclasses.astuple(of), rel=1e-3)
            for cell, value in zip(cells, (of.low, of.seen_low, of.seen_high, of.high), strict=True):
                is_bound = math.isfinite(value)
                assert (cell == "no bound") is not is_bound
                assert "·10" in cell or not is_bound or number(cell) == pytest.approx(value, rel=6e-3)


class TestSideBySide:
    BUDGETS = (0.3, 0.6, 0.9, 0.99)

    def test_four_budgets_are_trained_and_one_is_adopted(self):
        page = press(opened("budgets"), "step.budgets")
        labels = [f"L = {budget:g}" for budget in self.BUDGETS]
        rows, losses = table_of(page, "| flow |"), []
        assert [pane["title"] for pane in panes(page)[1:-1]] == labels
        for label, budget in zip(labels, self.BUDGETS, strict=True):
            alone = trainer(dataclasses.replace(FLOW, budget=budget), steps=1).evaluated
            blocks, cells, x = blocks_of(alone), rows[label], DATA.held_out()
            losses.append(measure.kl(DATA.truth.log_prob(x), measure.log_prob(alone, x)).value)
            assert number(cells[0].split(" ± ")[0]) == pytest.approx(losses[-1], abs=6e-3)
            assert number(cells[2]) == pytest.approx(blocks.layer_norms.prod(1).max(), abs=2e-3)
            assert number(cells[3]) == pytest.approx(blocks.largest_norm.max(), abs=2e-3)
            assert number(cells[4].removesuffix(" %")) == pytest.approx(100 * number(cells[3]) / budget, abs=1)
            assert number(cells[6]) == pytest.approx(blocks.breaking.min(), rel=2e-2)
        assert [curve[-1, 1] for curve in curves(panes(page)[-1])] == pytest.approx(losses, abs=6e-3)
        weights = tensors(page, own(page).comparisons["budgets"].run, 1)
        page = press(page, "budgets.adopt.1")
        assert own(page).setup.flow == dataclasses.replace(FLOW, budget=0.6)
        page = run(page.segmented_control(key="lipschitz.view").set_value("enforced"))
        assert tensors(page) == weights

    @pytest.mark.parametrize(("name", "of"), [(compared.BUDGETS, "budgets"), (compared.NORMS, "norms")])
    def test_before_they_are_trained_a_stored_answer_stands_in_their_place(self, name, of, monkeypatch):
        for module in (compared, stored):
            monkeypatch.setattr(module, "SETUP", Setup(data="moons", flow=FLOW, train=TRAIN))
        page = opened(of)
        assert stored.sentence(name) in said(page) and f"{of}.panes" not in keys(page)
        page = press(page, f"step.{of}")
        assert stored.sentence(name) not in said(page) and f"{of}.panes" in keys(page)
        kept, drawn = evidence.stored(name), [path for path in stored.chart(name).paths if path.label]
        last = {label: [arm["curves"]["held_kl"][-1] for arm in arms] for label, arms in kept.found.items()}
        assert [path.label for path in drawn] == list(last)
        assert [path.points[-1, 1] for path in drawn] == pytest.approx([np.mean(values) for values in last.values()])


def test_a_matrix_is_typed_and_the_steepest_jacobian_of_the_flow_can_be_taken():
    page = opened("norms")
    page = run(page.text_input(key="lipschitz.matrix.0").set_value("9/3"))
    size = np.linalg.norm([[3.0, 0.6], [-0.4, 0.8]], 2)
    assert finding(page, Induced).exact and finding(page, Induced).lower == pytest.approx(size)
    page = run(page.text_input(key="lipschitz.matrix.0").set_value("one"))
    assert page.error and bench(page).matrix == (3.0, 0.6, -0.4, 0.8)
    page = run(page.segmented_control(key="lipschitz.view").set_value("enforced"))
    page = press(run(page.segmented_control(key="lipschitz.view").set_value("norms")), "lipschitz.take")
    blocks = blocks_of(trainer().evaluated)
    steepest = blocks.steepest[int(blocks.largest_norm.argmax())]
    assert bench(page).matrix == pytest.approx(steepest.flatten().tolist(), abs=1e-3)
