"""The Compare screen without a browser: what it says and draws against the core's own measurements of the arms that the
engine of this process exports."""

import csv
import dataclasses
import io
import re

import numpy as np
import pytest
import safetensors.torch
import torch
from streamlit.testing.v1 import AppTest

from app import engine, evidence
from app.engine.reports import Report, State
from app.engine.training.measurements import derivatives
from app.engine.training.measurements.derivatives import SPECTRUM_POINTS, Derivatives
from app.features.compare import evidence as evidence_of
from app.features.compare import results
from app.features.compare.arms import estimator_name
from app.features.compare.numbers import LEAST_BIAS, Compared, Sign
from app.features.compare.pictures import POINTS, matrix, series_error, structure_of
from app.features.compare.presets import PRESETS
from app.features.compare.settings import Baseline, Compare, Nobody, Residual
from app.features.compare.words import STRUCTURES
from app.link import query_of
from app.metrics import gap_to_truth
from app.session import run as session_run
from app.setup import Setup
from app.ui.bands import Band, Outcome
from app.ui.side_by_side import GRID, TRUTH_GRID, fit
from resflow_core import measure
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.training.trainer import TrainConfig
from tests.app.held_back import answers_at_the_first_step, builds_nothing, steps_at_most
from tests.app.pages import MAIN, MINUS, decode, finding, is_drawn, link, own, panes, run, said, table
from tests.app.test_compare_parts import structure_named

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
SCREEN, NAME = "features/compare/compare.py", results.NAME
FLOW, TRAIN, DATA = FlowConfig(blocks=1, width=6), TrainConfig(batch=64), DATASETS["moons"]
TWO_BLOCKS = dataclasses.replace(FLOW, blocks=2)
TWO = Compare(a=Residual(), b=Residual(Truncated(2), 0.97), c=Nobody(), d=Nobody(), seeds=1, steps=100)


def opened(bench=TWO, data="moons", flow=FLOW, train=TRAIN, **more):
    page = AppTest.from_file(MAIN, default_timeout=600)
    setup = Setup(data=data, seed=3, device="cpu", flow=flow, train=train)
    for name, value in (query_of(setup, benches=[bench]) | more).items():
        page.query_params[name] = value
    page.switch_page(SCREEN)
    return run(page)


def arrive(screen=SCREEN, **query):
    """Before anything is chosen."""
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in query.items():
        page.query_params[name] = value
    page.switch_page(screen)
    return run(page)


def press(page, key):
    return run(page.button(key=key).click())


def bench(page):
    return own(page).benches[Compare]


def comparison(page):
    return own(page).comparisons[NAME]


def on(page, steps):
    """So many steps on, by the engine itself."""
    goal = comparison(page).report.arms[0].step + steps
    engine.get_engine().step(comparison(page).run, steps)
    while (page := run(page)) and comparison(page).report.arms[0].step < goal:
        assert comparison(page).report.state is State.STEPPING
    return page


def choose(page, key, value):
    return run(page.selectbox(key=key).set_value(value))


def slide(page, key, value):
    return run(page.select_slider(key=key).set_value(value))


def path(pane, label):
    """The points of the one path of this label, (n, 2)."""
    (found,) = [path for path in pane["paths"] if path["label"] == label]
    return decode(found["points"])


def exported(page):
    """The flow of every arm, from its settings and its file."""
    found = comparison(page)
    for k, arm in enumerate(found.experiment.arms):
        flow = arm.flow.build(torch.Generator().manual_seed(99))
        flow.load_state_dict(safetensors.torch.load(engine.get_engine().export(found.run, k)))
        yield flow


def labels(page):
    """The arms, as the page compares them."""
    return [score.flow.label for score in finding(page, Compared).scores]


def is_band(band, values):
    """Whether it is the band of these values."""
    wanted = (np.mean(values), min(values), max(values))
    return (band.mean, band.low, band.high) == pytest.approx(wanted, rel=6e-3, abs=2e-6)


class Agreement:
    """All numbers of the page against measurements of the exported flows."""

    def __init__(self, page):
        self.page, self.bench, self.setup, self.found = page, bench(page), own(page).setup, finding(page, Compared)
        self.dataset, self.labels = self.setup.dataset, labels(page)
        flows, seeds, x = list(exported(page)), self.bench.seeds, self.setup.dataset.held_out()
        arms = comparison(page).experiment.arms
        assert len(flows) == len(self.labels) * seeds
        self.flows = {label: flows[k * seeds : (k + 1) * seeds] for k, label in enumerate(self.labels)}
        self.log_dets = {label: arms[k * seeds].train.log_det for k, label in enumerate(self.labels)}
        log_probs = {label: [measure.log_prob(flow, x) for flow in self.flows[label]] for label in self.labels}
        self.nll = {label: [-float(p.double().mean()) for p in log_probs[label]] for label in self.labels}
        self.bias = {
            label: [
                measure.log_prob_bias(measure.evaluate(flow, x), log_det).value
                if isinstance(log_det, Truncated)
                else 0.0
                for flow in self.flows[label]
            ]
            for label, log_det in self.log_dets.items()
        }
        truth = self.dataset.truth and self.dataset.truth.log_prob(x)
        self.kl = truth is not None and {
            label: [measure.kl(truth, p).value for p in log_probs[label]] for label in self.labels
        }
        self.believed = {
            label: [n - b for n, b in zip(self.nll[label], self.bias[label], strict=True)] for label in self.labels
        }

    def all(self):
        self.scores()
        self.verdicts()
        self.charts()
        self.parameters()

    def scores(self):
        assert list(table(self.page, "| flow | parameters |"))[1:] == self.labels
        for k, (label, of) in enumerate(zip(self.labels, self.found.scores, strict=True)):
            assert is_band(of.true, self.nll[label])
            assert is_band(of.kl, self.kl[label]) if self.dataset.truth else of.kl is None
            assert is_band(of.believed, self.believed[label])
            assert is_band(of.bias, self.bias[label])
            assert of.mass.mean == pytest.approx(1, abs=0.05)
            seeds = self.bench.seeds
            arms = comparison(self.page).report.arms[k * seeds : (k + 1) * seeds]
            assert of.pace == pytest.approx(np.mean([1e3 * arm.seconds / arm.step for arm in arms]), rel=6e-3)

    def verdicts(self):
        biased = [label for label in self.labels if isinstance(self.log_dets[label], Truncated)]
        for label, of in zip(biased, self.found.beliefs, strict=True):
            assert of.label == label
            assert (of.sign is Sign.NONE) == (max(map(abs, self.bias[label])) < LEAST_BIAS)
            assert is_band(of.bias, self.bias[label])
            assert is_band(of.believed, self.believed[label])
            assert is_band(of.true, self.nll[label])
            assert of.entropy == (self.dataset.truth.entropy if self.dataset.truth else None)
        fits = self.kl or self.nll
        step = comparison(self.page).report.arms[0].step
        ranking, by_time = self.found.by_steps, self.found.by_time
        assert (ranking.measure, ranking.seeds, ranking.steps) == ("KL" if self.kl else "NLL", self.bench.seeds, step)
        assert list(ranking.fits) == list(by_time.fits) == self.labels
        assert is_band(ranking.fits[ranking.best], fits[ranking.best])
        assert np.mean(fits[ranking.best]) <= min(map(np.mean, fits.values())) + 1e-5
        seconds = min(arm.loss.held_seconds[-1] for arm in comparison(self.page).report.arms)
        assert ranking.seconds is None and by_time.seconds == pytest.approx(seconds)

    def pictures(self):
        """How many panes are not charts. They stand after the first chart."""
        discs = sum(isinstance(flows[0].config, FlowConfig) for flows in self.flows.values())
        usual = len(self.labels) + bool(self.dataset.truth)
        return {"spectra": discs, "samples": len(self.labels) + 1}.get(self.bench.view, usual)

    def charts(self):
        biased = [label for label in self.labels if isinstance(self.log_dets[label], Truncated)]
        first, *others = panes(self.page)
        drawn = [first, *others[self.pictures() :]]
        assert len(drawn) == (4 if biased else 2)
        *beliefs, by_steps, by_time = drawn
        step = comparison(self.page).report.arms[0].step
        fits = self.kl or self.nll
        for label in self.labels:
            steps = path(by_steps, label)
            assert steps[-1].tolist() == pytest.approx([step, np.mean(fits[label])], rel=1e-4)
            seconds = path(by_time, label)
            np.testing.assert_array_equal(seconds[:, 1], steps[:, 1])
            assert (np.diff(seconds[:, 0]) >= 0).all()
        if not biased:
            return
        belief, terms = beliefs
        for label in self.labels:
            true = path(belief, f"{label}: truth" if label in biased else label)
            assert true[-1].tolist() == pytest.approx([step, self.nll[label][0]], rel=1e-4)
            if label in biased:
                believed = path(belief, f"{label}: belief")
                assert believed[-1].tolist() == pytest.approx([step, self.believed[label][0]], rel=1e-4)
        entropy = [p for p in belief["paths"] if p["label"].startswith("entropy")]
        assert [decode(p["points"])[:, 1].tolist() for p in entropy] == (
            [pytest.approx([self.dataset.truth.entropy] * 2)] if self.dataset.truth else []
        )
        points = self.dataset.held_out()[: derivatives.POINTS]
        for label in self.labels:
            if isinstance(self.flows[label][0].config, BaselineConfig):
                assert label not in [p["label"] for p in terms["paths"]]
                continue
            count, bias = path(terms, label).T
            evaluation = measure.evaluate(self.flows[label][0], points)
            for n in (1, 4, 20):
                expected = measure.log_prob_bias(evaluation, Truncated(n)).value
                assert (count[n - 1], bias[n - 1]) == (n, pytest.approx(expected, rel=1e-3, abs=1e-6))

    def parameters(self):
        residual = self.setup.flow.build(torch.Generator().manual_seed(0))
        first = sum(p.numel() for p in residual.parameters())
        for label, of in zip(self.labels, self.found.scores, strict=True):
            made = self.flows[label][0]
            masked = sum(int((~m.mask).sum()) for m in made.modules() if hasattr(m, "mask") and hasattr(m, "weight"))
            n = sum(p.numel() for p in made.parameters()) - masked
            assert (of.flow.parameters, of.flow.excess) == (n, pytest.approx(n / first - 1))
            off = f" ({100 * (n / first - 1):+.1f}\u00a0%)" if n != first else ""
            assert of.flow.size == f"{n:,}{off}".replace("-", MINUS)
            assert table(self.page, "| flow | parameters |")[label][0] == of.flow.size


def small(preset):
    """A preset that is trained in a moment."""
    return dataclasses.replace(
        preset,
        flow=dataclasses.replace(preset.flow, blocks=1, width=6),
        train=dataclasses.replace(preset.train, batch=64),
        bench=dataclasses.replace(preset.bench, seeds=1, steps=100),
    )


@pytest.fixture
def small_presets(monkeypatch):
    for name, preset in PRESETS.items():
        monkeypatch.setitem(PRESETS, name, small(preset))


def test_it_opens_by_link():
    page = opened()
    assert not page.warning and comparison(page).report.state is State.PAUSED
    found = finding(page, Compared)
    assert found.by_steps.outcome is found.by_time.outcome is Outcome.NOT_TRAINED
    assert labels(page) == ["Residual, exact", "i-ResNet, 2 terms"]
    assert [page.selectbox(key=f"compare.{arm}").value for arm in "abcd"] == ["residual", "residual", "none", "none"]
    assert link(page)["compare.b.log_det.n_terms"] == "2"


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.slow
def test_presets_train_and_their_numbers_are_those_of_the_flows(name, small_presets):
    page = opened(flow=TWO_BLOCKS)
    page = press(page, f"compare.preset.{name}")
    preset = PRESETS[name]
    setup = own(page).setup
    assert (setup.data, setup.flow, setup.train) == (preset.data, preset.flow, preset.train)
    assert bench(page) == preset.bench
    assert page.button(key=f"compare.preset.{name}").disabled
    assert any(preset.about in text for text in said(page))
    assert page.sidebar.select_slider(key="blocks").value == 1
    page = on(page, 5)
    Agreement(page).all()
    seeds = [arm.seed for arm in comparison(page).experiment.arms]
    assert seeds == [3 + k for _ in preset.bench.arms for k in range(preset.bench.seeds)]
    assert {arm.data for arm in comparison(page).experiment.arms} == {preset.data}


@pytest.mark.slow
def test_a_preset_leads_to_the_other_one_and_is_marked_as_long_as_it_is_one(small_presets, local_engine, monkeypatch):
    with monkeypatch.context() as patch:
        builds_nothing(local_engine, patch)
        page = press(arrive(width="6"), "compare.preset.believes")
        page = press(page, "compare.away")
        assert bench(page) == PRESETS["honest"].bench and own(page).setup.flow.budget == 0.6
        assert {arm.flow.budget for arm in comparison(page).experiment.arms} == {0.6}
        page = press(page, "compare.away")
        assert bench(page) == PRESETS["believes"].bench and own(page).setup.flow.budget == 0.97
        parts = len(page.main.children)
        page = slide(page, "compare.seeds", 2)
        assert len(page.main.children) == parts  # else what stands below is built anew
        assert not page.button(key="compare.preset.believes").disabled
        assert not any(PRESETS["believes"].about in text for text in said(page))
    page = press(page, "compare.preset.believes")
    assert bench(page).seeds == 1 and page.button(key="compare.preset.believes").disabled
    page = run(on(page, 1).segmented_control(key="compare.view").set_value("samples"))
    assert page.button(key="compare.preset.believes").disabled
    page = slide(page, "batch", 32)
    assert not page.button(key="compare.preset.believes").disabled


def test_presets_keep_what_somebody_made(small_presets, local_engine):
    page = arrive("features/explore/explore.py", blocks="1", width="6", batch="64", data="moons", seed="3")
    page = press(page, "step")
    mine = safetensors.torch.load(local_engine.export(own(page).run, 0))
    page.switch_page(SCREEN)
    page = press(run(page), "compare.preset.coupling")
    assert own(page).setup.data == "checkerboard"
    assert "compare.away" not in {button.key for button in page.button}  # it leads to no other one
    page = press(page, "undo")
    assert (own(page).setup.data, own(page).setup.flow) == ("moons", FLOW)
    page.switch_page("features/explore/explore.py")
    page = run(page)
    assert own(page).report.arms[0].step == 1
    again = safetensors.torch.load(local_engine.export(own(page).run, 0))
    assert again.keys() == mine.keys() and all(torch.equal(mine[name], again[name]) for name in mine)


class TestPictures:
    FOUR = Compare(
        a=Residual(Truncated(3), 0.6),
        b=Baseline("nice"),
        c=Baseline("maf"),
        d=Residual(Exact(), 0.99),
        seeds=1,
        steps=100,
    )

    @pytest.fixture
    def page(self):
        return on(opened(self.FOUR, flow=dataclasses.replace(TWO_BLOCKS, activation="elu")), 3)

    def show(self, page, view):
        page = run(page.segmented_control(key="compare.view").set_value(view))
        assert link(page).get("compare.view", "densities") == view
        return page

    def test_each_view_shows_the_flows(self, page):
        flows, names = list(exported(page)), labels(page)
        truth, *densities = panes(page)[1:6]
        assert [pane["title"] for pane in (truth, *densities)] == ["Truth", *names]
        top = DATA.truth.log_prob(measure.grid_points(DATA.window, TRUTH_GRID)).exp().max().item()
        for pane, flow, arm in zip(densities, flows, comparison(page).report.arms, strict=True):
            if measure.is_portable(flow):
                assert is_drawn(page, flow, pane["heat"]["flow"]) and pane["heat"]["high"] == pytest.approx(top)
            else:
                level = decode(pane["heat"]["level"]) / 254 * top
                expected = np.minimum(measure.density_grid(flow, DATA.window, GRID), top)
                np.testing.assert_allclose(level, expected, atol=top / 254 + 1e-4)
            kl = measure.kl(DATA.truth.log_prob(DATA.held_out()), measure.log_prob(flow, DATA.held_out()))
            assert gap_to_truth(arm) == pytest.approx((kl.value, kl.standard_error), rel=1e-3)
            assert pane["note"].startswith(fit(DATA, arm))

        page = self.show(page, "samples")
        data, *drawn = panes(page)[1:6]
        np.testing.assert_allclose(decode(data["dots"][0]["points"]), DATA.held_out()[:POINTS], atol=1e-5)
        for pane, name, flow in zip(drawn, names, flows, strict=True):
            (dots,) = pane["dots"]
            if measure.is_portable(flow):
                assert pane["title"] == name and dots["count"] == POINTS and is_drawn(page, flow, dots["flow"])
                continue
            points = decode(dots["points"])
            expected = measure.samples(flow, len(points), torch.Generator().manual_seed(2**32 - 2))
            inside = [(expected[:, k] > low) & (expected[:, k] < high) for k, (low, high) in enumerate(DATA.window)]
            inside = inside[0] & inside[1]
            assert pane["title"] == name and len(points) == POINTS and inside.mean() > 0.5
            np.testing.assert_allclose(points[inside], expected[inside], atol=2e-3)

        page = self.show(page, "spectra")
        discs = panes(page)[1:3]
        for pane, k, terms, budget in zip(discs, (0, 3), (3, None), (0.6, 0.99), strict=True):
            assert pane["title"] == names[k]
            jacobians = measure.evaluate(flows[k], DATA.held_out()[:SPECTRUM_POINTS]).jacobians.double().numpy()
            expected = np.linalg.eigvals(jacobians).ravel()
            points = decode(pane["dots"][0]["points"])
            assert len(points) == len(expected)
            assert points[:, 0].sum() == pytest.approx(expected.real.sum(), rel=1e-3, abs=1e-3)
            assert np.abs(points @ [1, 1j]).max() == pytest.approx(np.abs(expected).max(), abs=1e-3)
            assert np.hypot(*decode(pane["paths"][0]["points"]).T).mean() == pytest.approx(budget, rel=1e-5)
            assert (pane["heat"] is None) == (terms is None)
        level = decode(discs[0]["heat"]["level"]) / 254 - 0.5
        np.testing.assert_allclose(level, np.clip(series_error(3), -0.5, 0.5), atol=0.5 / 254 + 1e-9)

        page = self.show(page, "layers")
        found = [measure.jacobian_structure(flow, DATA.held_out()[: derivatives.POINTS]) for flow in flows]
        latex = [element.value for element in page.main if element.type == "latex"] or [
            element.value for element in page.latex
        ]
        assert [text.strip().strip("$").strip() for text in latex] == [matrix(one) for one in found]
        structures = [structure_of(one) for one in found]
        assert structures == [structure_named(config) for config in ("residual", "nice", "maf", "residual")]
        shown = [text for text in said(page) if text in STRUCTURES.values()]
        assert shown == [STRUCTURES[one] for one in structures]
        assert [pane["title"] for pane in panes(page)[1:6]] == ["Truth", *names]

    def test_a_browser_that_cannot_draw_flows_gets_pictures_until_there_are_others(self, page):
        flows = list(exported(page))
        comparison(page).plain = True  # as `session.draw_by_server` notes it
        truth, *densities = panes(run(page))[1:6]
        top = truth["heat"]["range"][1]
        for pane, flow in zip(densities, flows, strict=True):
            expected = np.minimum(measure.density_grid(flow, DATA.window, GRID), top)
            np.testing.assert_allclose(decode(pane["heat"]["level"]) / 254 * top, expected, atol=top / 254 + 1e-4)
        drawn = panes(self.show(page, "samples"))[2:6]
        assert [len(decode(pane["dots"][0]["points"])) for pane in drawn] == [POINTS] * 4
        page = run(on(page, 1))
        assert all("level" not in pane["dots"][0] for pane in panes(page)[2:6]) and comparison(page).plain
        page = slide(page, "blocks", 1)
        assert not comparison(page).plain and panes(page)[2]["dots"][0]["count"] == POINTS

    def test_discs_of_flows_that_have_none_say_so(self):
        page = opened(Compare(view="spectra", a=Baseline("nice"), b=Baseline("maf"), c=Nobody(), seeds=1))
        assert len(page.main.info) == 1
        by_steps, by_time = panes(page)
        for label in labels(page):
            np.testing.assert_array_equal(path(by_steps, label)[:, 1], path(by_time, label)[:, 1])

    def test_before_their_eigenvalues_are_known_discs_are_waited_for(self, monkeypatch):
        trained = results.side_by_side.trained

        def without(*asked, **wanted):
            report, frames = trained(*asked, **wanted)
            arms = tuple(dataclasses.replace(arm, measured={}) for arm in report.arms)
            return dataclasses.replace(report, arms=arms), frames

        with monkeypatch.context() as patch:
            patch.setattr(results.side_by_side, "trained", without)
            page = opened(dataclasses.replace(TWO, view="spectra"))
        assert not page.main.info and [pane["kind"] for pane in panes(page)] == ["chart"] * 4
        assert [pane["title"] for pane in panes(run(page))[1:3]] == labels(page)


class TestRunning:
    def test_play_ends_after_the_steps_wherever_it_begins(self, monkeypatch):
        """After a tenth of them, which is quicker."""
        trained, asked = results.side_by_side.trained, []

        def in_short(*of, steps, **wanted):
            asked.append(steps)
            return trained(*of, steps=steps // 10, **wanted)

        monkeypatch.setattr(results.side_by_side, "trained", in_short)
        page = opened()
        assert page.main.get("progress")[0].proto.value == 0
        page = on(page, 4)
        assert page.main.get("progress")[0].proto.value == 40
        page = press(page, "play.compare")
        while comparison(page).report.state is State.STEPPING:
            page = run(page)
        report = comparison(page).report
        assert (report.state, [arm.step for arm in report.arms]) == (State.PAUSED, [10, 10])
        assert page.main.get("progress")[0].proto.value == 100
        assert page.button(key="play.compare").label == "Play"
        page = press(page, "play.compare")
        assert comparison(page).report.state is State.PLAYING
        page = press(page, "play.compare")
        stopped = comparison(page).report.arms[0].step
        assert comparison(page).report.state is State.PAUSED and stopped > 10
        page = press(page, "reset.compare")
        assert [arm.step for arm in comparison(page).report.arms] == [0, 0]
        assert page.main.get("progress")[0].proto.value == 0
        assert set(asked) == {100}

    def test_pause_in_between(self):
        page = opened(dataclasses.replace(TWO, steps=20_000))
        with answers_at_the_first_step(engine.get_engine()):
            page = press(page, "play.compare")
        assert comparison(page).report.state is State.STEPPING
        assert page.button(key="play.compare").label == "Pause"
        page = press(page, "play.compare")
        assert comparison(page).report.state is State.PAUSED
        assert 0 < comparison(page).report.arms[0].step < 20_000

    @pytest.mark.parametrize(
        ("report", "asked"),
        [
            (Report("", State.LOADING), ("step", 1500)),
            (Report("", State.QUEUED), ("step", 1500)),
        ],
    )
    def test_who_presses_play_while_the_flows_are_built_gets_the_steps_too(self, monkeypatch, report, asked):
        done = []
        monkeypatch.setattr(session_run, "last_report", lambda of: report)
        for name in ("step", "play", "pause"):
            monkeypatch.setattr(session_run, name, lambda *args, name=name: done.append((name, args[0])))
        session_run.play_or_pause("compare", 1500)
        assert done == [asked]

    def test_another_estimator_builds_anew_another_rate_does_not(self, local_engine, monkeypatch):
        page = on(opened(), 1)
        first = comparison(page).run
        page = run(page.sidebar.select_slider(key="learning_rate").set_value(0.005))
        assert comparison(page).run == first and comparison(page).report.arms[0].step == 1
        assert {arm.train.learning_rate for arm in comparison(page).report.arms} == {0.005}
        with monkeypatch.context() as patch:
            builds_nothing(local_engine, patch)
            page = slide(page, "compare.b.log_det.n_terms", 4)
        second = comparison(page).run
        assert second != first
        assert comparison(page).experiment.arms[1].train == TrainConfig(Truncated(4), learning_rate=0.005, batch=64)
        page = choose(page, "compare.b.log_det", "roulette")
        assert comparison(page).run != second and labels(page)[1] == estimator_name(Roulette())
        assert [arm.step for arm in comparison(page).report.arms] == [0, 0]
        # The sidebar's own estimator is not the arms'.
        third = comparison(page).run
        page = run(page.sidebar.selectbox(key="log_det").set_value("truncated"))
        assert comparison(page).run == third
        assert [arm.train.log_det for arm in comparison(page).report.arms] == [Exact(), Roulette()]

    def test_fewer_than_two_flows_are_no_comparison(self):
        page = opened(dataclasses.replace(TWO, b=Nobody()))
        (info,) = page.main.info
        assert "two" in info.value
        assert NAME not in own(page).comparisons and not panes(page)
        page = choose(page, "compare.d", "peer")
        assert labels(page) == ["Residual, exact", "RealNVP"] and not page.main.info
        page = choose(page, "compare.d.kind", "nsf")
        assert labels(page) == ["Residual, exact", "NSF"]
        assert comparison(page).experiment.arms[1].flow.kind == "nsf"

    def test_of_several_seeds_the_first_is_drawn_and_one_that_diverges_is_called_by_its_name(self):
        page = opened(dataclasses.replace(TWO, seeds=2, view="samples"))
        pictured = [frame is not None for frame in comparison(page).pictures]
        assert pictured == [True, False, True, False]
        assert [arm.found(Derivatives) is not None for arm in comparison(page).report.arms] == pictured
        assert [pane["title"] for pane in panes(page)[1:4]] == ["Data", *labels(page)]
        job = engine.get_engine()._here.runs[f"{comparison(page).run}.2"].job
        with torch.no_grad():
            job._trainer.flow.blocks[0].branch.linears[0].bias.fill_(torch.nan)
        *_, before = page.main.children.values()
        page = press(page, "step.compare")
        *_, after = page.main.children.values()
        assert len(after.children) == len(before.children)  # else the pictures below are built anew
        assert page.main.error[0].value.startswith(f"{labels(page)[1]}, seed 3: ")


def test_a_residual_arm_is_adopted_with_weights_and_estimator():
    page = on(opened(Compare(a=Baseline("nice"), b=Nobody(), c=Residual(Truncated(2), 0.5), seeds=2, steps=100)), 1)
    offered = [button for button in page.button if button.key.startswith("compare.adopt")]
    assert [(b.key, b.label) for b in offered] == [("compare.adopt.2", "i-ResNet, 2 terms")]
    weights = safetensors.torch.load(engine.get_engine().export(comparison(page).run, 2))
    page = press(page, "compare.adopt.2")
    setup = own(page).setup
    assert setup.flow == dataclasses.replace(FLOW, budget=0.5)
    assert setup.train == dataclasses.replace(TRAIN, log_det=Truncated(2))
    assert page.sidebar.selectbox(key="log_det").value == "truncated"
    page.switch_page("features/explore/explore.py")
    page = run(page)
    mine = safetensors.torch.load(engine.get_engine().export(own(page).run, 0))
    assert mine.keys() == weights.keys() and all(torch.equal(mine[name], weights[name]) for name in weights)


def test_data_of_unknown_density_are_compared_by_likelihood():
    three = Compare(a=Residual(), b=Residual(Truncated(2)), c=Baseline("realnvp"), seeds=1, steps=100)
    page = on(opened(three, data="wine"), 1)
    found = Agreement(page)
    assert found.kl is False or found.kl is None
    found.all()
    assert found.found.by_steps.measure == found.found.by_time.measure == "NLL"
    assert [pane["title"] for pane in panes(page)[1:4]] == labels(page)
    assert "entropy" not in " ".join(said(page)).lower()
    for pane in panes(page):
        assert "entropy" not in pane["alt"].lower() and "KL" not in pane["alt"] + pane["note"]


@pytest.fixture
def taken(monkeypatch):
    """The contents of the files that the menu offers, by their names."""
    saved = {}

    def keep(files, *, key):
        saved.update({file.name: file.made for file in files})

    monkeypatch.setattr(results.takeaway, "menu", keep)
    return saved


def test_downloads_are_what_the_table_says(taken):
    page = on(
        opened(dataclasses.replace(TWO, a=Residual(Truncated(2)), b=Baseline("nice"), seeds=2), flow=TWO_BLOCKS), 2
    )
    by_seed, by_step = (
        list(csv.DictReader(io.StringIO(taken[f"compare-{name}.csv"]().decode()))) for name in ("table", "curves")
    )
    found = Agreement(page)
    assert [(row["flow"], row["seed"]) for row in by_seed] == [(k, s) for k in found.labels for s in ("3", "4")]
    for label, of in zip(found.labels, found.found.scores, strict=True):
        ours = [row for row in by_seed if row["flow"] == label]
        assert [float(row["nll"]) for row in ours] == pytest.approx(found.nll[label], abs=1e-5)
        for band, name in ((of.kl, "kl"), (of.true, "nll"), (of.bias, "bias"), (of.mass, "mass")):
            assert is_band(band, [float(row[name]) for row in ours])
        assert {row["step"] for row in ours} == {"2"}
        assert {int(row["parameters"]) for row in ours} == {of.flow.parameters}
        curve = [row for row in by_step if row["flow"] == label and row["seed"] == "4"]
        assert [int(row["step"]) for row in curve][-1] == 2 and int(curve[0]["step"]) == 0
        assert curve[-1]["nll"] == ours[1]["nll"]


def test_a_link_beyond_the_limits_is_refused_with_the_remedy(local_engine, monkeypatch):
    builds_nothing(local_engine, monkeypatch)
    page = opened(**{"compare.b.log_det.n_terms": "99", "compare.c": "glow"})
    text = page.warning[0].value
    terms, kind = (text[text.index(name) :] for name in ("`compare.b.log_det.n_terms = 99`", "`compare.c = glow`"))
    assert all(token in terms for token in ("1 to 50", "5."))
    assert all(token in kind for token in ("residual, inside, peer, none", "peer."))
    assert bench(page) == dataclasses.replace(TWO, b=Residual(Truncated(5)), c=Baseline())


def test_it_survives_other_screens():
    page = on(opened(), 1)
    first = comparison(page).run
    page.switch_page("features/activations/activations.py")
    page = run(page)
    page.switch_page(SCREEN)
    page = run(page)
    assert (comparison(page).run, comparison(page).report.arms[0].step) == (first, 1)
    assert panes(page)


class TestArrival:
    """Before anything is chosen."""

    NAME = "compare-believes"

    def primary(self, page):
        return [button.key for button in page.main.button if button.proto.type == "primary"]

    def test_it_opens_with_the_stored_answer_and_trains_nothing(self):
        page = arrive()
        assert NAME not in own(page).comparisons
        arms = evidence.stored(self.NAME).found["i-ResNet, 5 terms"]
        true, bias = (np.array([arm["curves"][f"held_{name}"][-1] for arm in arms]) for name in ("nll", "bias"))
        sound = np.mean([a["curves"]["held_nll"][-1] for a in evidence.stored(self.NAME).found["Residual, exact"]])
        told, card = (text.replace("*", "") for text in said(page) if text.startswith("Trained with"))
        numbers = [float(text) for text in re.findall(r"\d+\.?\d*", told)]
        wanted = [5, (true - bias).mean(), DATASETS["8gaussians"].truth.entropy, true.mean(), sound, len(arms)]
        assert told == card
        assert numbers == pytest.approx(wanted, abs=0.0051)
        (chart,) = panes(page)
        assert path(chart, "i-ResNet, 5 terms: truth")[-1][1] == pytest.approx(true[0], abs=1e-4)
        assert path(chart, "i-ResNet, 5 terms: belief")[-1][1] == pytest.approx((true - bias)[0], abs=1e-4)
        assert self.primary(page) == ["compare.train"]

    def test_the_primary_action_trains_these_flows_in_the_place_of_the_answer(
        self, small_presets, local_engine, monkeypatch
    ):
        asked = steps_at_most(local_engine, monkeypatch, 2)
        page = press(arrive(width="6"), "compare.train")
        preset = PRESETS["believes"]
        assert bench(page) == preset.bench and own(page).setup.flow == preset.flow
        page = run(page)
        assert asked == [preset.bench.steps] and comparison(page).report.arms[0].step == 2
        Agreement(page).all()

    def test_ones_own_flows_can_be_chosen(self):
        page = press(arrive(blocks="1", width="6", batch="64", data="moons"), "compare.own")
        assert labels(page)[:2] == ["Residual, exact", "i-ResNet, 5 terms"]
        assert self.primary(page) == ["play.compare"]
        assert finding(page, Compared).by_steps.outcome is Outcome.NOT_TRAINED

    def test_a_link_that_chooses_opens_what_it_chooses(self, local_engine, monkeypatch):
        builds_nothing(local_engine, monkeypatch)
        for query in ({"compare.steps": "200"}, {"controls": "compare.seeds"}):
            assert NAME in own(arrive(**query)).comparisons, query

    def test_a_card_opens_its_question_with_its_stored_answer_until_it_is_trained(self, small_presets):
        page = press(arrive(width="6"), "compare.preset.honest")
        assert NAME in own(page).comparisons and bench(page) == PRESETS["honest"].bench
        assert sum("With L = 0.6" in text for text in said(page)) == 2  # the answer, and its card
        page = on(page, 1)
        assert sum("With L = 0.6" in text for text in said(page)) == 1
        Agreement(page).all()


@pytest.mark.parametrize("name", PRESETS)
def test_a_claim_that_fails_is_seen(name):
    """What is stored, told of flows that are the wrong way round."""
    read = evidence_of.read(evidence.stored(f"compare-{name}").found, name)
    assert all(PRESETS[name].answer.claims(read).values())
    turned = dataclasses.replace(
        read,
        beliefs=tuple(
            dataclasses.replace(one, bias=Band(-1, -1, -1), believed=one.true, true=one.believed)
            for one in read.beliefs
        ),
        scores=read.scores[::-1],
        by_steps=dataclasses.replace(read.by_steps, values=turned_round(read.by_steps.values)),
        by_time=dataclasses.replace(read.by_time, values=turned_round(read.by_time.values)),
    )
    if name != "figure1":  # which claims no order
        assert not all(PRESETS[name].answer.claims(turned).values())


def turned_round(values):
    return dict(zip(values, sorted(values.values(), key=lambda seeds: -np.mean(seeds)), strict=True))
