"""The Lipschitz screen without a browser: what it finds and draws against the core's own measurements, over the engine
of this process."""

import dataclasses
import math
import re

import numpy as np
import pytest
import safetensors.torch
import torch
from streamlit.testing.v1 import AppTest

from app import engine, evidence
from app.components.planes.panes import NO_NUMBER
from app.engine.commands import ViewRequest
from app.engine.reports import State
from app.engine.training.measurements.bounds import Bounds
from app.engine.training.measurements.inversion import Inversions
from app.engine.training.measurements.masses import Masses
from app.features.lipschitz import answers, compared, stepping, stored
from app.features.lipschitz.enforced import Enforced
from app.features.lipschitz.induced import Induced
from app.features.lipschitz.inverse import mass_shown
from app.features.lipschitz.numbers import Inverted
from app.features.lipschitz.pictures import steps_to
from app.features.lipschitz.settings import Lipschitz
from app.features.lipschitz.strip import WORDS, strip
from app.features.lipschitz.strip import place as place_of
from app.features.lipschitz.walk import example, folding
from app.link import STEP, read_link
from app.metrics import is_one
from app.setup import Setup
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import NORM_CHAINS, Soft
from resflow_core.log_det import Exact
from resflow_core.measure.invertibility import Regime
from resflow_core.norms.constraints import Off, Power
from resflow_core.training.parameter_count import parameter_count
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.pages import (
    MAIN,
    SMALL,
    curves,
    decode,
    finding,
    go,
    keys,
    link,
    named,
    number,
    own,
    panes,
    press,
    run,
    said,
    table,
)

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
FLOW, TRAIN, DATA = FlowConfig(blocks=2, width=16), TrainConfig(batch=64), DATASETS["moons"]
ADDRESS = "features/lipschitz/lipschitz.py"
BEGUN = 10
"""Steps after which a flow counts as trained."""


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


def trainer(flow=FLOW, train=TRAIN, steps=0):
    found = Trainer(flow, train, DATA, seed=3)
    for _ in range(steps):
        found.step()
    return found


@pytest.fixture(scope="module")
def flow():
    """That of the page at step 0."""
    return trainer().evaluated


@pytest.fixture(scope="module")
def trained():
    """That of a page that has `begun`."""
    return trainer(steps=BEGUN).evaluated


def inverse_of(flow, block=None, scale=1.0, z=None, method="banach"):
    points = DATA.held_out()[: ViewRequest().points]
    return measure.inversion(flow, points, block, scale, z, method)


def guaranteed(page):
    return own(page).report.arms[0].found(Bounds).guarantees


def mass(page):
    return own(page).report.arms[0].found(Masses).exact


def blocks_of(flow):
    return measure.block_table(flow, measure.evaluate(flow, DATA.held_out()), Exact())


def test_the_view_can_be_changed_and_is_in_the_link():
    page = opened("inverse")
    drawn = {"enforced": "enforced", "budgets": "play.budgets", "inverse": "lipschitz.opening"}
    for view in drawn:
        page = run(page.segmented_control(key="lipschitz.view").set_value(view))
        assert {view} == {other for other, key in drawn.items() if key in keys(page)}
        assert link(page).get("lipschitz.view", "inverse") == view


class TestOpening:
    """What the page opens with, before anything is trained here."""

    STORED = evidence.stored("lipschitz-folds").found

    @pytest.fixture(scope="class")
    def found(self):
        return answers.read(self.STORED)

    def test_it_opens_with_a_z_and_walks_back_to_its_x_step_by_step(self, found):
        page, flow = opened(), found.flows[0]
        assert answers.sentence(found) in said(page) and primaries(page) == ["lipschitz.steps.2"]
        assert page.select_slider(key="lipschitz.walk").value == 1
        drawn = folding(flow.block, flow.window, 1.0)
        bent, way, chart, *_ = panes(page)
        assert bent["clickable"] and bent["point"] == pytest.approx(drawn.z)
        assert len(curves(bent)) == 1 and way["dots"][1]["points"]["shape"] == [1, 2]
        for n in range(4):
            _, way, chart, *_ = panes(page)
            np.testing.assert_allclose(curves(way)[0], drawn.walk.x[: n + 1], atol=1e-5)
            seen, promised = curves(chart)
            np.testing.assert_allclose(seen[:, 1], drawn.walk.error[: n + 1], rtol=1e-4)
            assert (seen[:, 1] <= promised[: n + 1, 1]).all()
            page = press(page, "lipschitz.steps.2")
        page = press(page, "lipschitz.steps.3")
        assert len(curves(panes(page)[1])[0]) == 1 + steps_to(drawn.walk) and page.button("lipschitz.steps.2").disabled
        page = press(page, "lipschitz.steps.0")
        assert len(curves(panes(page)[1])[0]) == 1 and page.button("lipschitz.steps.1").disabled
        assert bench(page) == Lipschitz() and own(page).report.arms[0].step == 0

    def test_beyond_the_fold_one_z_has_several_x_and_no_promise(self, found):
        page, flow = press(opened(), "lipschitz.walk.0"), found.flows[0]
        assert page.select_slider(key="lipschitz.walk").value == flow.twice
        assert found.walk.at(flow.twice) == pytest.approx(flow.mass, abs=1e-4)
        bent, turned, chart, by_block, _ = panes(page)
        assert len(curves(bent)) == 2 and turned["dots"][1]["points"]["shape"] == [flow.preimages, 2]
        assert len(curves(chart)) == 1
        for one, curve in zip(found.flows, curves(by_block), strict=False):
            np.testing.assert_allclose(curve[:, 1], np.sort(one.folds_at), rtol=1e-5)
        page = press(page, "lipschitz.walk.0")
        assert page.select_slider(key="lipschitz.walk").value == 1

    def test_any_z_is_walked_from(self, found):
        flow, z = found.flows[0], (1.5, -2.0)
        drawn = folding(flow.block, flow.window, 1.0, z)
        block = example().scaled(flow.block, 1.0).blocks[flow.block].double()
        x = drawn.walk.x[steps_to(drawn.walk)]
        with torch.no_grad():
            np.testing.assert_allclose(block(torch.from_numpy(x)[None])[0], z, atol=1e-5)
        assert drawn.walk.x[0] == pytest.approx(z)
        at, promised = np.arange(len(drawn.promised)), drawn.promised
        first = np.linalg.norm(drawn.walk.x[1] - drawn.walk.x[0])
        bound = block.branch.lipschitz
        np.testing.assert_allclose(promised, bound**at / (1 - bound) * first, rtol=1e-6)

    def test_that_it_arrived_is_said_only_where_it_did(self):
        """A walk may end before, where L is near 1."""
        x, error, promised = np.zeros((3, 2)), np.array([0.4, 0.2, 0.1]), np.array([9.0, 8.0, 7.0])
        near, there = (
            stepping.told(measure.Walk(x, np.array([1.0, 0.1, last]), error, ""), promised, 2) for last in (1e-3, 1e-7)
        )
        assert near != there and there.startswith(near)

    def test_a_flow_of_ones_own_stands_in_its_place(self, found):
        page = press(opened(), "step")
        assert "lipschitz.walk" not in keys(page) and answers.sentence(found) not in said(page)
        assert finding(page, Inverted) and primaries(page) == ["play"]
        page = press(page, "reset")
        assert answers.sentence(found) in said(page)

    @pytest.mark.parametrize(
        ("more", "offered"),
        [
            ({"lesson": "inverse", "step": "edge"}, "lipschitz.block"),
            ({"controls": "lipschitz.scale"}, "lipschitz.scale"),
        ],
    )
    def test_it_is_not_shown_beside_a_lesson_or_with_controls_fixed(self, found, more, offered):
        page = opened(settings=more)
        assert "lipschitz.walk" not in keys(page) and answers.sentence(found) not in said(page)
        assert offered in keys(page)

    def test_of_a_flow_that_is_not_trained_nothing_is_said(self):
        page = opened(method="newton")  # with settings of its own, so that no flow is lent
        assert page.info and not any("guaranteed" in text for text in said(page)[:1])

    def test_the_sentence_says_what_is_stored(self, found):
        flow, text = found.flows[0], answers.sentence(found)
        told = named(text.replace("\\", ""))
        assert {f"{flow.guaranteed:.2f}", f"{flow.middle:.2f}", str(flow.preimages), f"{flow.mass:.2f}"} <= told
        across = named(answers.across(found))
        middles, firsts = ([getattr(one, name) for one in found.flows] for name in ("middle", "first"))
        assert len(found.flows) == len(evidence.stored("lipschitz-folds").seeds) >= 3
        assert {f"{np.mean(middles):.2f}", f"{min(middles):.2f}", f"{max(middles):.2f}"} <= across
        assert {f"{np.mean(firsts):.3f}", f"{min(firsts):.3f}", f"{max(firsts):.3f}"} <= across

    def test_what_it_rests_on_holds_and_without_it_something_else_is_said(self, found):
        assert all(answers.claims(found).values())
        changes = (
            {"folds_at": (1.0102,) * 24},
            {"preimages": 1},
            {"mass": 1.001, "error": 0.01},
        )
        said = {answers.sentence(found)}
        for change in changes:
            flows = tuple(dataclasses.replace(one, **change) for one in found.flows)
            broken = dataclasses.replace(found, flows=flows)
            assert not all(answers.claims(broken).values())
            said.add(answers.sentence(broken))
        assert len(said) == 1 + len(changes)

    def test_its_block_folds_where_eigenvalues_say(self, found):
        flow = found.flows[0]
        branch = example().scaled(flow.block, 1.0).blocks[flow.block].branch
        x = measure.grid_points(flow.window, 60).double().requires_grad_()
        rows = [torch.autograd.grad(part.sum(), x, retain_graph=True)[0] for part in branch.double()(x).unbind(1)]
        values = np.linalg.eigvals(torch.stack(rows, 1).numpy())
        assert -1 / values.real[values.imag == 0].min() == pytest.approx(flow.middle, rel=1e-4)
        assert 1 / branch.lipschitz == pytest.approx(flow.guaranteed, rel=1e-5)
        assert np.argsort(flow.folds_at)[11] == flow.block

    def test_all_x_of_its_z_land_there(self, found):
        flow = found.flows[0]
        drawn = folding(flow.block, flow.window, flow.twice)
        block = example().scaled(flow.block, flow.twice).blocks[flow.block].double()
        with torch.no_grad():
            there = block(torch.from_numpy(drawn.preimages)).numpy()
        assert len(there) == flow.preimages
        np.testing.assert_allclose(there, np.tile(drawn.z, (len(there), 1)), atol=1e-6)
        np.testing.assert_allclose(drawn.z, self.STORED["flows"][0]["z"], atol=1e-4)

    @pytest.mark.slow
    def test_the_walk_is_the_measurement_of_the_core(self, found):
        flow, data = found.flows[0], DATASETS["checkerboard"]
        points = data.held_out()[: ViewRequest().points]
        expected = measure.inversion(example(), points, flow.block, flow.twice, None, "newton")
        drawn = folding(flow.block, flow.window, flow.twice)
        np.testing.assert_allclose(expected.window, flow.window, atol=1e-4)
        np.testing.assert_allclose(expected.breaking, flow.folds_at, rtol=1e-4)
        for name in ("det", "image", "z"):
            np.testing.assert_allclose(getattr(drawn, name), getattr(expected, name), atol=1e-3)
        assert len(drawn.preimages) == len(expected.preimages) == flow.preimages
        beliefs = measure.Beliefs(example().scaled(flow.block, flow.twice), Exact())
        (mass,) = measure.masses(beliefs, data.window, 128)
        assert mass.value == pytest.approx(flow.mass, abs=1e-4)

    def test_the_strip_has_its_bands_where_the_slider_has_its_scales(self, found):
        flow, scales = found.flows[0], found.walk.scales
        assert [place_of(scale, scales) for scale in (scales[0], scales[-1])] == [0, 100]
        assert place_of(scales[10], scales) == pytest.approx(1000 / (len(scales) - 1), abs=0.01)
        drawn = strip(scales, 1.0, flow.guaranteed, flow.middle)
        assert all(word in drawn for word in WORDS.values())
        never = strip(scales, 1.0, flow.guaranteed, math.inf)
        assert "strip-folded" not in never and "strip-folded" in drawn
        tight = strip(scales, 1.0, flow.guaranteed, flow.guaranteed)
        assert "strip-open" not in tight and "inf" not in never


class TestInverse:
    def numbers_agree(self, page, found):
        shown = finding(page, Inverted)
        assert (shown.block, shown.scale, shown.regime) == (found.block, found.scale, found.regime)
        assert shown.bound == pytest.approx(found.lipschitz)
        assert shown.smallest_det == pytest.approx(found.det.min(), rel=1e-4)
        assert shown.folds_at == pytest.approx(found.breaking[found.block], rel=1e-4)
        assert (shown.preimages, shown.refusal) == (len(found.preimages), found.refusal)
        assert (shown.method, shown.most_steps) == (found.method, np.nanmax(found.steps))
        assert shown.late == np.isnan(found.steps).mean()
        bent, before, _, steps, x, _ = panes(page)
        for pane in (bent, steps):
            assert pane["point"] == pytest.approx(list(found.z), abs=1e-6)
            np.testing.assert_allclose(pane["window"], found.window, atol=1e-6)
        grid = curves(bent)[0]
        np.testing.assert_allclose(grid[: len(found.det)], found.image[0], atol=1e-4)
        assert decode(before["dots"][1]["points"]) == pytest.approx(found.preimages, abs=1e-4)
        assert (before.get("heat") or x["heat"])["range"] == x["heat"]["range"]
        assert bool(before.get("heat")) == shown.turns_over
        assert steps["heat"]["range"] == [0, np.nanmax(found.steps)]
        np.testing.assert_array_equal(decode(steps["heat"]["level"]) == NO_NUMBER, np.isnan(found.steps))
        assert x["heat"]["range"][1] == pytest.approx(np.abs(found.det).max(), rel=1e-4)

    @pytest.mark.slow
    def test_it_opens_with_the_block_that_folds_first_and_follows_training_block_and_iteration(self, trained):
        found = inverse_of(trained)
        page = begun()
        self.numbers_agree(page, found)
        assert found.breaking[found.block] == found.breaking.min() < found.breaking.max()
        assert page.selectbox(key="lipschitz.block").value == 0
        assert len(primaries(page)) == 1
        shown = finding(page, Inverted)
        assert shown.regime is Regime.CERTIFIED and shown.bound == pytest.approx(0.99, abs=5e-4)
        assert (shown.most_steps, shown.late) == (found.steps.max(), 0)
        assert mass(page).value == pytest.approx(1, abs=1e-3) and is_one(mass(page))

        page, later = press(page, "step"), trainer(steps=BEGUN + 1).evaluated
        self.numbers_agree(page, inverse_of(later))
        assert own(page).report.arms[0].found(Inversions).step == BEGUN + 1

        page = run(page.selectbox(key="lipschitz.block").set_value(1))
        self.numbers_agree(page, inverse_of(later, 0))
        page = run(page.selectbox(key="lipschitz.method").set_value("newton"))
        found = inverse_of(later, 0, method="newton")
        self.numbers_agree(page, found)
        assert found.method == "newton" and found.regime is Regime.CERTIFIED and not np.isnan(found.steps).any()

    @pytest.mark.slow
    def test_it_breaks_by_degrees_and_is_brought_back(self, trained):
        page = press(begun(), "lipschitz.uncertified")
        found = inverse_of(trained, scale=bench(page).scale)
        assert found.regime is Regime.UNCERTIFIED and 1 < found.lipschitz < 1.02
        self.numbers_agree(page, found)
        assert finding(page, Inverted).refusal == found.refusal and {"2", "1.01"} <= named(found.refusal)
        page = press(page, "lipschitz.folded")
        found = inverse_of(trained, scale=bench(page).scale)
        assert bench(page).scale == pytest.approx(1.03 * found.breaking.min(), abs=5e-4)
        assert found.regime is Regime.FOLDED and len(found.preimages) == 3
        self.numbers_agree(page, found)
        assert finding(page, Inverted).turns_over
        block, x = trained.scaled(1, bench(page).scale).blocks[1].double(), torch.from_numpy(found.preimages)
        np.testing.assert_allclose(block(x).detach(), np.tile(found.z, (3, 1)), atol=1e-6)
        _, fold = curves(panes(page)[0])
        np.testing.assert_allclose(fold, found.fold_image, rtol=1e-3, atol=1e-3)
        page = press(page, "lipschitz.twice")
        assert bench(page).scale == pytest.approx(2 * found.breaking.min(), abs=5e-4)
        assert not is_one(mass(page))
        assert not page.button(key="lipschitz.back").disabled
        page = press(page, "lipschitz.back")
        self.numbers_agree(page, inverse_of(trained, 1))
        assert page.select_slider(key="lipschitz.scale").value == 1
        assert page.button(key="lipschitz.back").disabled

    def test_the_mass_at_another_scale_is_not_told_as_that_of_this_one(self):
        """What is measured slowly may still be of the scale before: "guaranteed" stood beside a mass of 9.97."""
        page = press(begun(), "lipschitz.folded")
        report = own(page).report
        shown, masses = (report.arms[0].found(kind) for kind in (Inversions, Masses))
        assert mass_shown(report, shown) is masses.exact
        before = dataclasses.replace(masses, edited=None)
        arm = dataclasses.replace(report.arms[0], measured=report.arms[0].measured | {Masses: before})
        assert mass_shown(dataclasses.replace(report, arms=(arm,)), shown) is None

    def test_to_scale_the_first_to_fold_fixes_which_block_that_is(self):
        page = begun()
        page = run(page.select_slider(key="lipschitz.scale").set_value(1.995))
        assert page.selectbox(key="lipschitz.block").value == bench(page).block == 2
        assert (link(page)["lipschitz.block"], link(page)["lipschitz.scale"]) == ("2", "1.995")
        assert finding(page, Inverted).bound == pytest.approx(1.995 * 0.99, abs=5e-3)

    @pytest.mark.slow
    def test_what_is_scaled_is_said_on_all_screens_and_can_be_brought_back_there(self):
        page = press(begun(), "lipschitz.folded")
        assert "bring_back" not in keys(page) and "lipschitz.back" in keys(page)
        page = run(page.segmented_control(key="lipschitz.view").set_value("enforced"))
        assert finding(page, Inverted).refusal
        for place in (None, "features/explore/explore.py", "features/estimator/estimator.py"):
            page = go(page, place) if place else page
            assert "bring_back" in keys(page)
            (scaled,) = [text for text in said(page) if {"2", f"{bench(page).scale:g}", "Training"} <= named(text)]
        page = press(page, "bring_back")
        assert "bring_back" not in keys(page) and scaled not in said(page)
        assert bench(page).scale == 1
        page = run(go(page, ADDRESS).segmented_control(key="lipschitz.view").set_value("inverse"))
        assert page.select_slider(key="lipschitz.scale").value == 1
        assert not finding(page, Inverted).refusal

    @pytest.mark.slow
    def test_a_link_repeats_block_scale_z_and_iteration(self, trained):
        asked = {"block": "1", "scale": "2.5", "chosen": "True", "z": "0.4 -0.3", "method": "chord"}
        page = begun(**asked)
        found = inverse_of(trained, 0, 2.5, (0.4, -0.3), "chord")
        self.numbers_agree(page, found)
        assert panes(page)[0]["point"] == [0.4, -0.3]
        assert {key: link(page)[f"lipschitz.{key}"] for key in asked} == asked
        assert bench(page) in read_link(link(page)).benches
        page = press(page, "lipschitz.fold_point")
        self.numbers_agree(page, inverse_of(trained, 0, 2.5, None, "chord"))
        assert link(page)["lipschitz.chosen"] == "False"
        assert page.button(key="lipschitz.fold_point").disabled

    def test_a_block_beyond_the_flow_is_none_of_it(self):
        page = opened(block="7", scale="2.0", screen="features/explore/explore.py")
        assert own(page).report.state is State.PAUSED
        page = go(page, ADDRESS)
        assert own(page).report.state is State.PAUSED
        assert page.selectbox(key="lipschitz.block").value == 2
        page = run(page.select_slider(key="blocks").set_value(1))
        assert page.selectbox(key="lipschitz.block").value in (0, 1)
        assert own(page).report.state is State.PAUSED
        assert finding(page, Inverted).block == 0

    @pytest.mark.slow
    def test_a_link_that_scales_the_first_to_fold_does_so_and_a_run_that_stopped_says_why(self):
        page = begun(scale="3.0")
        assert bench(page).block == 2 and finding(page, Inverted).bound == pytest.approx(2.97, abs=5e-3)
        page = press(page, "lipschitz.back")
        engine.get_engine().close(own(page).run)
        for view in ("inverse", "enforced"):
            page = run(page.segmented_control(key="lipschitz.view").set_value(view))
            assert [error.value for error in page.error] == [own(page).report.message]
            assert not page.info and view not in keys(page)


class TestEnforced:
    def test_it_says_what_is_measured(self, flow):
        page = opened("enforced")
        blocks = blocks_of(flow)
        found, seen = finding(page, Enforced), blocks.largest_norm
        assert found.within and found.budget == 0.99
        assert found.certified == pytest.approx(blocks.layer_norms.prod(1).max())
        assert (found.steepest, found.seen) == (seen.argmax(), pytest.approx(seen.max()))
        layers, products, estimates = panes(page)
        *drawn, cap = (curve[:, 1] for curve in curves(layers))
        np.testing.assert_allclose(drawn, blocks.layer_norms.T, rtol=1e-4)
        np.testing.assert_allclose(cap, 0.99**0.5, rtol=1e-4)
        np.testing.assert_allclose(curves(products)[1][:, 1], blocks.layer_norms.prod(1), rtol=1e-4)
        np.testing.assert_allclose(curves(estimates)[2][:, 1], measure.norm_estimates(flow).power, rtol=1e-4)

    def test_what_is_guaranteed_of_the_whole_flow(self, flow):
        found = measure.guarantees(flow, measure.evaluate(flow, DATA.held_out()))
        page = opened("enforced")
        assert guaranteed(page).order == found.order == 2
        _, *rows = table(page, "| whole flow").values()
        for cells, name in zip(rows, ("stretch", "log_det", "log_prob"), strict=True):
            of, shown = getattr(found, name), getattr(guaranteed(page), name)
            assert dataclasses.astuple(shown) == pytest.approx(dataclasses.astuple(of), rel=1e-3)
            for cell, value in zip(cells, (of.low, of.seen_low, of.seen_high, of.high), strict=True):
                if math.isinf(value):
                    assert cell == "no bound"
                elif "·10" not in cell:
                    assert number(cell) == pytest.approx(value, rel=6e-3)
        assert 1 / guaranteed(page).stretch.low == pytest.approx(1 / found.stretch.low, rel=1e-3)

    def widget(self, page, name):
        (found,) = [w for w in page.main.selectbox if re.fullmatch(rf"lipschitz\.flow\..*\.{name}", w.key)]
        return found

    def test_the_constraint_is_that_of_the_pages_flow(self):
        page = press(opened("enforced"), "step")
        weights = tensors(page)
        page = run(self.widget(page, "constraint").set_value("power"))
        assert own(page).setup.flow == dataclasses.replace(FLOW, constraint=Power())
        assert page.selectbox(key="constraint").value == link(page)["constraint"] == "power"
        assert own(page).report.arms[0].step == 0
        page = run(page.selectbox(key="constraint").set_value("hard"))
        assert self.widget(page, "constraint").value == "hard"
        page = run(self.widget(page, "norms").set_value("inf"))
        assert own(page).setup.flow.norms == page.selectbox(key="norms").value == "inf"
        assert guaranteed(page).order == finding(page, Enforced).order == math.inf
        page = press(page, "undo")
        assert own(page).setup.flow == FLOW == dataclasses.replace(FLOW, constraint=Soft())
        assert (self.widget(page, "constraint").value, self.widget(page, "norms").value) == ("soft", "2")
        assert page.selectbox(key="constraint").value == "soft"
        assert tensors(page) == weights

    FAST = ("learning_rate", "0.05")

    @pytest.mark.slow
    def test_power_iteration_goes_beyond_the_budget_that_it_claims(self):
        cold = {"constraint": "power", "constraint.iterations": "1", "constraint.warm": "False"}
        page = press(opened("enforced", dict([self.FAST]) | cold, block="0"), "steps")
        page = press(press(page, "steps"), "steps")
        arm = own(page).report.arms[0]
        certified = arm.blocks.layer_norms.prod(1).max()
        assert certified > 0.99
        found = finding(page, Enforced)
        assert not found.within and found.certified == certified
        assert found.claim == Power(iterations=1, warm=False).claim.format(budget=0.99)
        config = dataclasses.replace(FLOW, constraint=Power(iterations=1, warm=False))
        alone = trainer(config, dataclasses.replace(TRAIN, learning_rate=0.05), steps=300)
        assert certified == pytest.approx(blocks_of(alone.evaluated).layer_norms.prod(1).max(), rel=1e-3)

    def test_a_soft_cap_holds_however_fast_it_learns(self):
        page = press(opened("enforced", [self.FAST]), "steps")
        assert finding(page, Enforced).within
        assert own(page).report.arms[0].blocks.layer_norms.max() <= 0.99**0.5

    def test_off_guarantees_nothing_from_below(self):
        page = press(opened("enforced", {"constraint": "off", **dict([self.FAST])}), "steps")
        found = finding(page, Enforced)
        assert not found.within and not found.invertible and found.claim == Off().claim
        assert (guaranteed(page).order, guaranteed(page).stretch.low) == (2, 0)
        assert guaranteed(page).log_det.low == -math.inf

    def test_a_scaled_block_is_what_goes_beyond(self, flow):
        page = opened("enforced", block="1", scale="2.0")
        blocks = blocks_of(flow.scaled(0, 2.0))
        found = finding(page, Enforced)
        assert not found.within and (found.loosest, found.edited) == (0, measure.Edited(0, 2.0))
        assert found.certified == pytest.approx(blocks.layer_norms.prod(1).max())


def primaries(page):
    """The keys of the buttons that are to be pressed first."""
    return [button.key for button in page.main.button if button.proto.type == "primary"]


def tensors(page, run_id=None, arm=0):
    file = engine.get_engine().export(run_id or own(page).run, arm)
    return {name: tensor.numpy().tobytes() for name, tensor in safetensors.torch.load(file).items()}


class TestSideBySide:
    BUDGETS = (0.3, 0.6, 0.9, 0.99)

    def test_four_budgets_are_trained_and_one_is_adopted(self):
        page = press(opened("budgets"), "step.budgets")
        labels = [f"L = {budget:g}" for budget in self.BUDGETS]
        assert [pane["kind"] for pane in panes(page)] == ["pane"] * 5 + ["chart"]
        assert [pane["title"] for pane in panes(page)[1:-1]] == labels
        comparison = own(page).comparisons["budgets"]
        assert [arm.step for arm in comparison.report.arms] == [1] * 4
        rows = table(page, "| flow |")
        assert list(rows) == ["flow", *labels]
        losses = []
        for label, budget in zip(labels, self.BUDGETS, strict=True):
            alone = trainer(dataclasses.replace(FLOW, budget=budget), steps=1).evaluated
            blocks, cells = blocks_of(alone), rows[label]
            x = DATA.held_out()
            kl = measure.kl(DATA.truth.log_prob(x), measure.log_prob(alone, x))
            losses.append(kl.value)
            assert number(cells[0].split(" ± ")[0]) == pytest.approx(kl.value, abs=6e-3)
            assert cells[1] == f"{budget:g}"
            assert number(cells[2]) == pytest.approx(blocks.layer_norms.prod(1).max(), abs=2e-3)
            assert number(cells[2]) <= budget
            assert number(cells[3]) == pytest.approx(blocks.largest_norm.max(), abs=2e-3)
            assert number(cells[4].removesuffix(" %")) == pytest.approx(100 * number(cells[3]) / budget, abs=1)
            assert cells[5] == "2"
            assert number(cells[6]) == pytest.approx(blocks.breaking.min(), rel=2e-2)
        assert np.ptp(losses) > 0.02 and len({tuple(cells) for cells in rows.values()}) == 5  # no two alike
        assert [curve[-1, 1] for curve in curves(panes(page)[-1])] == pytest.approx(losses, abs=6e-3)
        weights = tensors(page, comparison.run, 1)
        page = press(page, "budgets.adopt.1")
        assert own(page).setup.flow == dataclasses.replace(FLOW, budget=0.6)
        assert page.select_slider(key="budget").value == 0.6
        page = run(page.segmented_control(key="lipschitz.view").set_value("enforced"))
        assert tensors(page) == weights
        assert finding(page, Enforced).within and finding(page, Enforced).budget == 0.6

    def test_shapes_have_as_many_parameters(self):
        page = opened("budgets", shapes="True", block="2", scale="2.0")
        assert "bring_back" not in keys(page)  # what is compared here has no scale
        flows = [arm.flow for arm in own(page).comparisons["shapes"].experiment.arms]
        sizes = [(flow.blocks, flow.hidden_layers, flow.width) for flow in flows]
        assert [size[:2] for size in sizes] == [(24, 1), (10, 2), (4, 4)]
        # Weights and biases, a scale for each layer's sine, and ActNorms before each block and after the last.
        blocks = [(2 + 1) * w + (n - 1) * (w + 1) * w + (w + 1) * 2 + (n + 1) for _, n, w in sizes]
        counts = [k * block + (k + 1) * 4 for (k, _, _), block in zip(sizes, blocks, strict=True)]
        assert [parameter_count(flow) for flow in flows] == counts
        assert any(f"({', '.join(f'{c:,}' for c in counts)})" in text for text in said(page))
        page = run(page.toggle(key="lipschitz.shapes").set_value(False))
        flows = [arm.flow for arm in own(page).comparisons["budgets"].experiment.arms]
        assert [flow.budget for flow in flows] == list(self.BUDGETS) and not panes(page)
        assert link(page).get("lipschitz.shapes") == "False"

    @pytest.mark.slow
    def test_five_norms_of_which_one_is_learned(self):
        page = press(opened("norms"), "steps.norms")
        assert [arm.flow.norms for arm in own(page).comparisons["norms"].experiment.arms] == list(NORM_CHAINS)
        assert len(table(page, "| flow |")) == 1 + len(NORM_CHAINS) == 6
        orders = own(page).comparisons["norms"].report.arms[-1].loss.orders
        assert orders.shape[1:] == (2, 2) and len(orders) >= 2
        assert np.ptp(orders[:, 0, 0]) > 1e-3
        ends, within, _ = curves(panes(page)[-1])
        for curve, layer in ((ends, 0), (within, 1)):
            np.testing.assert_allclose(curve[len(orders) - 1 :: len(orders) + 1, 1], orders[-1, :, layer], rtol=1e-4)
        page = press(page, "norms.adopt.4")
        assert own(page).setup.flow.norms == page.selectbox(key="norms").value == "learned"

    @pytest.mark.slow
    def test_a_comparison_goes_on_where_it_was_left(self):
        page = press(opened("budgets"), "steps.budgets")
        page = run(page.segmented_control(key="lipschitz.view").set_value("inverse"))
        page = run(page.segmented_control(key="lipschitz.view").set_value("budgets"))
        assert own(page).comparisons["budgets"].report.arms[0].step == 100


STORED_VIEWS = {
    compared.BUDGETS: ("budgets", {"view": "budgets"}),
    compared.SHAPES: ("shapes", {"view": "budgets", "shapes": "True"}),
    compared.NORMS: ("norms", {"view": "norms"}),
}
"""By their stored answers: what these views compare, and how they are opened."""


@pytest.mark.parametrize("name", STORED_VIEWS)
class TestStored:
    """What the views that compare flows show before these are trained."""

    @pytest.fixture
    def small(self, monkeypatch):
        """Stored flows as small as those of these tests, and how their view is opened."""
        setup = Setup(data="moons", flow=FLOW, train=TRAIN)
        for module in (compared, stored):
            monkeypatch.setattr(module, "SETUP", setup)

    def opened(self, name, **query):
        return opened(settings=query, **STORED_VIEWS[name][1])

    def test_it_stands_in_the_place_of_flows_that_are_not_trained(self, name, small):
        page, (of, _) = self.opened(name), STORED_VIEWS[name]
        assert stored.sentence(name) in said(page) and len(own(page).comparisons) == 1
        assert f"{name}.stored" in keys(page) and f"{of}.panes" not in keys(page)
        assert f"play.{of}" in keys(page) and f"{of}.take" not in keys(page)
        page = press(page, f"step.{of}")
        assert stored.sentence(name) not in said(page)
        assert f"{name}.stored" not in keys(page) and f"{of}.panes" in keys(page)
        page = press(page, f"reset.{of}")
        assert stored.sentence(name) in said(page) and f"{of}.panes" not in keys(page)

    def test_other_flows_are_said_to_be_untrained_and_its_own_can_be_taken(self, name):
        page, (of, _) = self.opened(name), STORED_VIEWS[name]
        assert stored.sentence(name) not in said(page)
        assert not {f"{name}.stored", f"{of}.panes"} & set(keys(page)) and len(page.main.info) == 1
        page = run(press(page, f"{of}.take"))
        usual = Setup()
        assert (own(page).setup.data, own(page).setup.flow, own(page).setup.train) == (
            compared.SETUP.data, usual.flow, usual.train,
        )  # fmt: skip
        assert stored.sentence(name) in said(page) and not page.main.info
        assert own(page).comparisons[of].report.state is State.PAUSED

    def test_beside_a_lesson_the_flows_are_shown_as_they_are(self, name):
        of, asked = STORED_VIEWS[name]
        step = {"lesson": "norms", "step": "mixed" if of == "norms" else "budget"}
        page = opened(settings=step | {f"lipschitz.{key}": value for key, value in asked.items()}, view=None)
        assert f"{of}.panes" in keys(page) and stored.sentence(name) not in said(page)

    def test_its_sentence_says_what_is_stored(self, name):
        kept = evidence.stored(name)
        last = {label: [arm["curves"]["held_kl"][-1] for arm in arms] for label, arms in kept.found.items()}
        assert all(len(values) == len(kept.seeds) for values in last.values())
        assert list(last) == list(compared.QUESTIONS[name].arms(compared.SETUP))
        means = {label: float(np.mean(values)) for label, values in last.items()}
        one = list(last)[-1] if name == compared.BUDGETS else min(means, key=means.get)
        words = named(stored.sentence(name).replace("\N{NO-BREAK SPACE}", " "))
        assert {f"{means[one]:.3f}", f"{kept.settings['steps']:,}", str(len(kept.seeds))} <= words
        for label, values in last.items():
            differences = np.subtract(values, last[one])
            if label != one and np.ptp(np.sign(differences)) == 0:  # of which all seeds say the same
                assert f"{differences.mean():.3f}" in words, label

    def test_all_flows_were_trained_as_long_and_measured_at_the_same_steps(self, name):
        kept = evidence.stored(name)
        flows = [arm for arms in kept.found.values() for arm in arms]
        assert {arm["step"] for arm in flows} == {kept.settings["steps"]}
        assert len({tuple(arm["curves"]["held_step"]) for arm in flows}) == 1

    def test_its_picture_ends_with_the_numbers_of_the_sentence(self, name):
        drawn = [path for path in stored.chart(name).paths if path.label]
        found = compared.read(evidence.stored(name).found)
        assert [path.label for path in drawn] == list(found.fits)
        assert [path.points[-1, 1] for path in drawn] == pytest.approx([fit.mean for fit in found.fits.values()])


class TestUnitBalls:
    W = "1.0 0.6 -0.4 0.8"

    def brute(self, p, q, w=((1.0, 0.6), (-0.4, 0.8))):
        angle = np.linspace(0, np.pi, 40001)
        x = np.stack([np.cos(angle), np.sin(angle)])
        return (np.linalg.norm(np.array(w) @ x, q, 0) / np.linalg.norm(x, p, 0)).max()

    def test_the_norm_is_found_or_its_bounds(self):
        page = opened("norms", p="4.0", q="1.5")
        found = finding(page, Induced)
        assert found.lower == pytest.approx(self.brute(4, 1.5), rel=5e-3)
        assert found.upper > 1.001 * found.lower and not found.exact
        for p, q in ((2.0, 2.0), (1.0, 3.0), (3.0, math.inf), (math.inf, 1.0)):
            page.select_slider(key="lipschitz.p").set_value(p)
            page = run(page.select_slider(key="lipschitz.q").set_value(q))
            found = finding(page, Induced)
            assert (found.p, found.q, found.exact) == (p, q, True)
            assert found.lower == pytest.approx(self.brute(p, q), rel=5e-3), (p, q)
            assert (link(page).get("lipschitz.p", "2.0"), link(page).get("lipschitz.q", "2.0")) == (repr(p), repr(q))

    def test_bad_input_is_explained_and_the_value_kept(self):
        page = opened("norms", block="2", scale="2.0")
        assert "bring_back" not in keys(page)  # what is compared here has no scale
        before = finding(page, Induced)
        for text, why in (("one", ["one"]), ("", ["nothing"]), ("1000", ["-99", "99"])):
            page = run(page.text_input(key="lipschitz.matrix.0").set_value(text))
            assert {*why, "1", "0.6", "-0.4", "0.8"} <= named(page.error[0].value)
            assert finding(page, Induced) is before
            assert link(page).get("lipschitz.matrix", self.W) == self.W
        page = run(page.text_input(key="lipschitz.matrix.0").set_value("9/3"))
        assert not page.error and bench(page).matrix == (3.0, 0.6, -0.4, 0.8)

    def test_the_steepest_jacobian_of_the_flow_can_be_taken(self, flow):
        page = run(opened("enforced").segmented_control(key="lipschitz.view").set_value("norms"))
        blocks = blocks_of(flow)
        block = int(blocks.largest_norm.argmax())
        assert str(block + 1) in named(page.button(key="lipschitz.take").label)
        page = press(page, "lipschitz.take")
        assert bench(page).matrix == pytest.approx(blocks.steepest[block].flatten().tolist(), abs=1e-3)
        size = np.linalg.norm(np.reshape(bench(page).matrix, (2, 2)), 2)
        assert size == pytest.approx(blocks.largest_norm.max(), abs=1e-3)
        assert finding(page, Induced).lower == pytest.approx(size) and finding(page, Induced).exact
        assert page.text_input(key="lipschitz.matrix.0").value == f"{bench(page).matrix[0]:g}"


@pytest.mark.parametrize(
    ("setting", "value", "kept", "remedy"),
    [
        ("lipschitz.p", "0.5", "2.0", ["1", "inf"]),
        ("lipschitz.q", "nan", "2.0", ["1", "inf"]),
        ("lipschitz.scale", "25", "1.0", ["0.1", "20"]),
        ("lipschitz.scale", "0", "1.0", ["0.1", "20"]),
        ("lipschitz.block", "99", "0", ["0", "32"]),
        ("lipschitz.z", "1 2 3", "0.0 0.0", ["two", "3"]),
        ("lipschitz.z", "nan 0", "0.0 0.0", ["-1000", "1000"]),
        ("lipschitz.matrix", "1 2 3", "1.0 0.6 -0.4 0.8", ["four", "3"]),
        ("lipschitz.method", "guess", "banach", ["banach", "newton", "chord"]),
        ("lipschitz.view", "all", "inverse", ["inverse", "enforced", "budgets", "norms"]),
        ("budget", "1.2", "0.99", ["0.05", "0.999"]),
    ],
)
@pytest.mark.slow
def test_a_link_beyond_the_limits_is_refused_with_value_limit_and_remedy(setting, value, kept, remedy):
    asked = {
        "lipschitz.view": "norms" if kept in ("2.0", "1.0 0.6 -0.4 0.8") else "inverse",
        "lipschitz.chosen": "True",
    }
    page = opened(settings=asked | {setting: value}, view=None)
    _, given, why = page.warning[0].value.partition(f"`{setting} = {value}`: ")
    assert given and set(remedy) <= named(why)
    assert why.endswith(f" {kept}.")
    assert own(page).report.state is not State.FAILED
