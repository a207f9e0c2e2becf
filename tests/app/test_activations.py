"""The activation screen without a browser: what it finds and draws against the core's own measurements, over the engine
of this process."""

import dataclasses
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import evidence
from app.components.planes import Path
from app.engine.reports import State
from app.engine.training.measurements.activity import GRID, POINTS, Activity
from app.features.activations import answers, consequences, inside, pictures, stored, used
from app.features.activations import evidence as evidence_of
from app.features.activations.curves import SMOOTH, extent
from app.features.activations.inside import Inside, Layer, Pull
from app.features.activations.numbers import Slopes, Starvation, starvation
from app.features.activations.settings import Activations
from app.features.activations.used import Compared
from app.link import query_of, read_link
from app.setup import Setup
from app.ui.bands import Outcome, Ranking
from resflow_core import measure
from resflow_core.activations import ACTIVATIONS, activation_named
from resflow_core.data import DATASETS
from resflow_core.expressions import read
from resflow_core.flow import FlowConfig
from resflow_core.measure.activation import derivatives as derivatives_of
from resflow_core.measure.activation import unit_derivatives
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.pages import MAIN, SMALL, curves, decode, finding, keys, link, named, number, own, panes, said, table
from tests.app.test_lipschitz import tensors

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
FLOW, TRAIN, DATA = FlowConfig(blocks=2, width=16), TrainConfig(batch=64), DATASETS["moons"]
OWN = "tanh(2*z)"
STORED = 2
"""Charts that the view of the curves opens with."""
CURVES = slice(STORED, STORED + 3)
FOUND = {"curves": Starvation, "inside": Inside, "consequences": Ranking}
"""What each view finds; the last one of flows that are trained."""


def opened(view="curves", settings=(), **bench):
    page = AppTest.from_file(MAIN, default_timeout=600)
    asked = {f"activations.{name}": value for name, value in ({"view": view} | bench).items()}
    for name, value in (SMALL | dict(settings) | asked).items():
        page.query_params[name] = value
    page.switch_page("features/activations/activations.py")
    return run(page)


def run(page_or_widget):
    page = page_or_widget.run()
    assert not page.exception, page.exception
    assert len(page.title) == 1
    written = {*said(page)} - {warning.value for warning in page.main.warning}  # which name what was refused
    assert not re.search(r"\b(nan|inf|undecided)\b", " ".join(written))
    for pane in panes(page):
        assert len(pane["alt"]) > 30 and not re.search(r"\b(nan|inf)\b", pane["alt"])
    return page


def press(page, key):
    return run(page.button(key=key).click())


def bench(page):
    return own(page).benches[Activations]


def typed(page, text):
    return run(page.text_input(key="activations.formula").set_value(text))


def path(pane, label):
    """The points of the one path of this label, (n, 2)."""
    (found,) = [path for path in pane["paths"] if path["label"] == label]
    return decode(found["points"])


def labels(pane):
    return [path["label"] for path in pane["paths"] if path["label"]]


def trained(flow=FLOW, steps=0, seed=3):
    found = Trainer(flow, TRAIN, DATA, seed=seed)
    for _ in range(steps):
        found.step()
    return found.evaluated


def derivatives(name, t):
    """Value, slope and curvature."""
    return [part.numpy() for part in derivatives_of(activation_named(name).function, torch.as_tensor(t))]


@pytest.mark.parametrize("view", FOUND)
def test_each_view_opens_by_link(view):
    page = opened(view)
    if view == "consequences":
        page = press(page, "step.activations")
    assert finding(page, FOUND[view]) and panes(page)
    assert page.segmented_control(key="activations.view").value == view
    assert own(page).report is None or own(page).report.state is not State.FAILED


def test_the_view_can_be_changed_and_is_in_the_link():
    page = opened("inside")
    for view in ("consequences", "curves", "inside"):
        own(page).findings.clear()
        page = run(page.segmented_control(key="activations.view").set_value(view))
        found = [of for of, kind in FOUND.items() if kind in own(page).findings]
        assert (found, "play.activations" in keys(page)) == (([], True) if view == "consequences" else ([view], False))
        assert link(page).get("activations.view", "curves") == view


class TestOpening:
    """What the view of the curves opens with."""

    @pytest.fixture(scope="class")
    def told(self):
        return evidence_of.read(evidence.stored(evidence_of.NAME).found)

    def test_it_is_shown_on_arrival_and_leads_to_what_trains_the_same(self, told):
        page = opened(settings={"data": "checkerboard"})
        assert answers.sentence(told) in said(page)
        assert [pane["kind"] for pane in panes(page)[:STORED]] == ["chart"] * STORED
        primaries = [button.key for button in page.main.button if button.proto.type == "primary"]
        assert primaries == ["activations.both"]

    def test_it_is_not_shown_beside_a_lesson(self, told):
        page = opened(settings={"lesson": "saturation", "step": "own"})
        assert answers.sentence(told) not in said(page) and "activations.both" not in keys(page)
        assert len(panes(page)) == 3 and table(page, "| activation |")

    def test_its_button_takes_over_its_settings(self, monkeypatch):
        monkeypatch.setattr(consequences, "STEPS", 1)
        small = dataclasses.replace(evidence_of.SETUP, flow=FLOW, train=TRAIN)
        monkeypatch.setattr(stored, "SETUP", small)
        page = press(opened(settings={"activation": "tanh"}), "activations.both")
        page = run(page)
        assert (own(page).setup.data, own(page).setup.flow, own(page).setup.train) == (small.data, FLOW, TRAIN)
        assert bench(page) == Activations(view="consequences", shown="elu,lipswish", seeds=evidence_of.SEEDS)
        comparison = own(page).comparisons["activations"]
        assert [arm.flow.activation for arm in comparison.experiment.arms] == ["elu"] * 3 + ["lipswish"] * 3
        assert {arm.step for arm in comparison.report.arms} == {1}
        found = finding(page, Compared)
        assert list(found.of) == ["ELU", "LipSwish"] and answers.sentence(found) in said(page)

    def test_it_opens_the_consequences_too_where_nobody_has_chosen_flows(self, told):
        page = AppTest.from_file(MAIN, default_timeout=600)
        page.query_params["activations.view"] = "consequences"
        page.switch_page("features/activations/activations.py")
        page = run(page)
        assert answers.sentence(told) in said(page) and not page.main.info
        assert len(panes(page)) == STORED and stored.KEY in keys(page) and "consequences" not in keys(page)
        primaries = [button.key for button in page.main.button if button.proto.type == "primary"]
        assert primaries == ["play.activations"] and f"{stored.KEY}.both" in keys(page)

    def test_it_stands_for_no_other_flows_than_its_own(self, told, monkeypatch):
        page = opened("consequences", shown="elu,lipswish")
        assert answers.sentence(told) not in said(page) and len(page.main.info) == 1
        assert not panes(page) and "activations.adopt.0" not in keys(page)
        monkeypatch.setattr(
            stored, "SETUP", dataclasses.replace(evidence_of.SETUP, data="moons", flow=FLOW, train=TRAIN)
        )
        page = run(page)
        assert answers.sentence(told) in said(page) and len(panes(page)) == STORED
        assert not page.main.info and f"{stored.KEY}.both" not in keys(page)
        page = press(page, "step.activations")
        assert len(panes(page)) == STORED + 5 and "activations.adopt.0" in keys(page)

    def test_its_flows_can_be_taken_without_training_them(self, told):
        page = run(press(opened("consequences", shown="sine,elu"), "activations.take"))
        assert (own(page).setup.data, own(page).setup.flow) == (evidence_of.SETUP.data, evidence_of.SETUP.flow)
        assert answers.sentence(told) in said(page)
        assert own(page).comparisons["activations"].report.state is State.PAUSED

    def test_its_sentence_says_what_is_stored(self, told):
        kept = evidence.stored(evidence_of.NAME)
        assert len(kept.seeds) >= 3
        words = named(answers.sentence(told).replace("\N{NO-BREAK SPACE}", " "))
        for name in ("elu", "lipswish"):
            shares = [100 * arm["saturated"] for arm in kept.found[name]]
            gaps = [arm["curves"]["held_kl"][-1] for arm in kept.found[name]]
            assert len(shares) == len(gaps) == len(kept.seeds)
            share, gap = float(np.mean(shares)), float(np.mean(gaps))
            assert {f"{share:.{0 if share >= 10 else 1}f}", f"{gap:.3f}"} <= words
            assert all(arm["step"] == arm["curves"]["held_step"][-1] == 2000 for arm in kept.found[name])

    def test_what_it_rests_on_holds_and_without_it_something_else_is_said(self, told):
        assert all(answers.claims(told).values())
        few, near, far = [0.1] * 3, [0.1 + 1e-3 * k for k in range(12)], [0.2 + 1e-3 * k for k in range(12)]
        apart = [0.1 * 1.5 ** (-1) ** k for k in range(12)]
        cases = [(far, near, "LipSwish is ahead"), (near, far, "ELU is ahead"), (near, near[::-1], "equal within"),
                 (near, apart, "do not decide"), (few, few, "too few")]  # fmt: skip
        for elu, lipswish, says in cases:
            values = {"ELU": elu, "LipSwish": lipswish}
            ranking = dataclasses.replace(told.ranking, seeds=len(elu), values=values)
            assert says in answers.fit(dataclasses.replace(told, ranking=ranking))
        swapped = {"ELU": told.of["LipSwish"], "LipSwish": told.of["ELU"]}
        assert not all(answers.claims(dataclasses.replace(told, of=swapped)).values())

    @pytest.mark.parametrize("name", ["elu", "lipswish"])
    def test_units_are_pooled_and_counted_as_the_core_counts_them(self, name):
        flow = trained(dataclasses.replace(FLOW, activation=name), 20)
        s = measure.saturation(flow, DATA.held_out()[:POINTS])
        found = used.units(s)
        assert found.shares.sum() + found.beyond == pytest.approx(1) and found.saturated == s.overall
        low, high = (found.shares[half].sum() for half in (slice(0, 48), slice(48, 96)))
        middle = s.counts.shape[2] // 2
        half = s.counts[:, :, middle].sum() / 2  # a bin that is centred at 0
        for side, share in ((slice(0, middle), low), (slice(middle + 1, None), high)):
            assert share == pytest.approx((s.counts[:, :, side].sum() + half) / s.counts.sum(), abs=found.beyond + 1e-9)

    def test_the_hatched_part_is_where_a_unit_counts_as_saturated(self):
        t = np.linspace(-6, 6, 1201)
        zone = used.is_saturated(*used.curves("elu", t), 1.0)
        np.testing.assert_array_equal(zone[t > 1e-9], True)
        assert not zone[t < -0.1].any()
        (chart,) = pictures.used({"ELU": "elu"}, {"ELU": [used.Units(np.full(96, 1 / 96), 0.5, 0.6, 1.0)]})
        lines = chart.paths[-1].points[:, 0]
        assert np.nanmin(lines) == pytest.approx(0, abs=0.02) and np.nanmax(lines) == 6

    @pytest.mark.slow
    def test_a_stored_flow_is_what_training_gives(self):
        """The last seed with ELU, trained by torch alone for a tenth of the steps: where its units go is alike."""
        setup = evidence_of.SETUP
        alone = Trainer(dataclasses.replace(setup.flow, activation="elu"), setup.train, setup.dataset, seed=2)
        for _ in range(200):
            alone.step()
        share = measure.saturation(alone.evaluated, setup.dataset.held_out()[:POINTS]).overall
        kept = evidence.stored(evidence_of.NAME).found["elu"][2]["saturated"]
        assert share == pytest.approx(kept, abs=0.1)


class TestCurves:
    def agree(self, page, names, beta=1.0, raw=False):
        for name, label in names.items():
            constant = 1.0 if raw else activation_named(name).lipschitz(math.inf)
            for order, pane in enumerate(panes(page)[CURVES]):
                z, y = path(pane, label).T.astype(float)
                expected = derivatives(name, beta * z)[order] * beta ** (order - 1) / constant
                np.testing.assert_allclose(y, expected, atol=1e-5 * beta)

    def test_they_are_those_of_the_registry_over_their_constant(self):
        page = opened(shown="lipswish,elu,selu,gelu,clipswish,cpila")
        names = {name: ACTIVATIONS[name].title for name in bench(page).shown.split(",")}
        self.agree(page, names)
        assert [labels(pane) for pane in panes(page)[CURVES]] == [[*names.values()], [*names.values(), "bound 1"],
                                                                  [*names.values()]]  # fmt: skip
        for label in names.values():
            z, slope = path(panes(page)[CURVES][1], label).T
            assert (z[0], z[-1]) == (-6, 6) and np.abs(slope).max() <= 1 + 1e-6
        found = finding(page, Slopes)
        assert list(found.steepest) == list(names) and not found.breaking
        assert found.largest == pytest.approx(1, abs=1e-5)

    def test_their_extent_is_that_of_all_of_them(self):
        paths = [Path(np.array([[0, low], [1, high]]), "") for low, high in ((-1.5, 2.0), (-0.0, 3.0))]
        assert extent(paths) == (-1.5, 3.0)

    def test_beta_makes_them_narrower_and_as_steep(self):
        page = opened(shown="lipswish,sine")
        page = run(page.slider(key="activations.beta").set_value(2.5))
        self.agree(page, {"lipswish": "LipSwish", "sine": "Sine"}, beta=2.5)
        assert link(page)["activations.beta"] == "2.5"
        # The steepest place has moved with the curve, and lies on it.
        dots = [decode(p["points"]) for p in panes(page)[CURVES][1]["paths"] if p["markers"]]
        np.testing.assert_allclose(dots[0], [[2.39935728 / 2.5, 1.0]], atol=1e-5)
        np.testing.assert_allclose(dots[1], [[0.0, 1.0]], atol=1e-5)
        self.agree(opened(shown="tanh", beta="0.5"), {"tanh": "Tanh"}, beta=0.5)

    def test_before_division_those_that_break_the_bound_are_named(self):
        page = opened(shown="lipswish,elu,selu")
        assert path(panes(page)[CURVES][1], "SELU")[:, 1].max() <= 1
        page = run(page.toggle(key="activations.raw").set_value(True))
        self.agree(page, {"lipswish": "LipSwish", "elu": "ELU", "selu": "SELU"}, raw=True)
        assert finding(page, Slopes).breaking == pytest.approx({"lipswish": 1.09984, "selu": 1.7581}, abs=1e-5)
        assert finding(page, Slopes).largest == pytest.approx(1.7581, abs=1e-5)
        page = run(page.multiselect(key="activations.chosen").set_value(["elu", "sine"]))
        assert finding(page, Slopes) == Slopes({"elu": 1.0, "sine": 1.0}) and not finding(page, Slopes).breaking
        assert link(page)["activations.shown"] == "elu,sine"

    def test_maxmin_is_a_map_of_pairs_and_has_no_curve(self):
        page = opened(shown="maxmin,elu")
        *drawn, pairs = panes(page)[STORED:]
        assert [labels(pane) for pane in drawn] == [["ELU"], ["ELU", "bound 1"], ["ELU"]]
        assert [pane["kind"] for pane in panes(page)[STORED:]] == ["chart"] * 3 + ["pane"]
        image, _ = curves(pairs)
        image = image[np.isfinite(image).all(1)]
        assert (image[:, 0] >= image[:, 1]).all() and len(image) == 2 * 9 * 61
        assert {-2.0, 2.0} <= set(image[:, 0].tolist())
        assert len(panes(opened(shown="elu"))) == STORED + 3

    def test_no_curve_but_maxmin_is_no_reason_to_fail(self):
        page = opened(shown="maxmin")
        assert [pane["kind"] for pane in panes(page)[STORED:]] == ["pane"]
        assert finding(page, Starvation) == Starvation(("maxmin",), ())

    def test_the_table_says_what_is_measured(self):
        shown = ["maxmin", "clipswish", "softplus", "sine", "selu", "relu"]
        page = opened(shown=",".join(shown))
        rows, starving = table(page, "| activation |"), finding(page, Starvation).starving
        assert len(rows) == 1 + len(shown)
        verdicts = [
            {rows[ACTIVATIONS[name].title][0] for name in shown if (name in starving) is of} for of in (True, False)
        ]
        assert all(verdicts) and not set.intersection(*verdicts)
        for name in shown:
            about, cells = measure.criteria(ACTIVATIONS[name]), rows[ACTIVATIONS[name].title]
            assert (name in starving) == (about.verdict is measure.Verdict.STARVES)
            assert number(cells[1]) == pytest.approx(about.function.found, abs=6e-6)
            assert number(cells[3]) == pytest.approx(ACTIVATIONS[name].lipschitz(math.inf), abs=6e-6)
            for cell, parts in ((cells[4], [about.left.slope, about.right.slope]),
                                (cells[5], [about.left.curvature, about.right.curvature])):  # fmt: skip
                for text, value in zip(cell.split(", "), parts, strict=True):
                    assert (value is None and text == "none") or number(text) == pytest.approx(value, abs=6e-4)
            assert cells[6] == SMOOTH[about.smoothness.value]
            assert cells[7] == ACTIVATIONS[name].source
        assert rows["Softplus"][2] == "∞" and rows["Sine"][4] == "none, none"

    def test_those_that_starve_are_found(self):
        found = finding(opened(shown="elu,sine,relu"), Starvation)
        assert found == starvation(["elu", "sine", "relu"]) == Starvation(("elu", "relu"), ("sine",))
        assert starvation(["sine", "tanh"]) == Starvation((), ("sine", "tanh"))
        assert starvation(["sine"]) == Starvation((), ("sine",))

    def test_at_least_one_stays(self):
        page = run(opened(shown="elu,sine").multiselect(key="activations.chosen").set_value([]))
        assert bench(page).shown == "elu,sine" and labels(panes(page)[STORED]) == ["ELU", "Sine"]


class TestFormula:
    def test_it_is_typeset_with_its_constant_and_drawn(self):
        page = typed(opened(shown="elu"), OWN)
        assert any(f"\\cdot 2 = {read(OWN).latex}$" in text for text in said(page))
        TestCurves().agree(page, {f"={OWN}": "your own"})
        row = table(page, "| activation |")["your own"]
        assert (row[1], row[3]) == ("2.00000", "2.00000")
        assert finding(page, Starvation) == Starvation(("elu",), (f"={OWN}",))
        assert link(page)["activations.formula"] == bench(page).formula == OWN
        page = typed(page, "")
        assert bench(page).formula == "" and labels(panes(page)[STORED]) == ["ELU"]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("foo(z)", ("`foo`", "character 1")),
            ("tanh(z", ("`)`", "missing")),
            ("tanh(z) + z^2", ("bound", "slope")),
            ("3 + 4", ("constant", "z")),
        ],
    )
    def test_a_bad_one_is_refused_with_the_part_and_the_last_good_one_stays(self, text, says):
        page = typed(typed(opened(shown="elu"), OWN), text)
        assert all(token in page.main.error[0].value for token in says)
        assert bench(page).formula == OWN and labels(panes(page)[STORED]) == ["ELU", "your own"]
        assert any(read(OWN).latex in text for text in said(page))
        page = typed(page, "sin(z)")
        assert not page.main.error and bench(page).formula == "sin(z)"

    def test_a_link_gives_it_back(self):
        page = opened(shown="sine", formula="tanh(z) + sin(3*z)/6")
        assert page.text_input(key="activations.formula").value == bench(page).formula == "tanh(z) + sin(3*z)/6"
        assert any("\\cdot 1.5 = " in text for text in said(page))
        assert labels(panes(page)[STORED]) == ["Sine", "your own"] and not page.warning

    @pytest.mark.parametrize(
        ("setting", "value", "says", "kept"),
        [
            ("activations.shown", "elu,magic", {"magic", "lipswish", "sine"}, "lipswish,elu,sine"),
            ("activations.formula", "z^2", {"bound", "slope"}, ""),
            ("activations.beta", "9", {"0.25", "4"}, "1.0"),
            ("activations.seeds", "6", {"1", "5"}, "2"),
            ("activations.view", "all", {"curves", "inside", "consequences"}, "curves"),
        ],
    )
    def test_a_link_beyond_the_limits_is_refused_with_the_remedy(self, setting, value, says, kept):
        page = opened(settings={}, **{setting.removeprefix("activations."): value})
        text = page.warning[0].value
        assert f"`{setting} = {value}`: " in text and says <= named(text)
        assert not kept or text.split()[-1] == f"{kept}."
        assert str(getattr(bench(page), setting.removeprefix("activations."))) == kept


class TestUseIt:
    def use(self, page, name):
        return press(run(page.selectbox(key="activations.train").set_value(name)), "activations.use")

    def test_it_becomes_the_flows_and_trains(self):
        page = opened(shown="elu,sine")
        page = self.use(page, "elu")
        assert own(page).setup.flow == dataclasses.replace(FLOW, activation="elu")
        assert link(page)["activation"] == "elu" and page.button(key="activations.use").disabled
        page = run(page.segmented_control(key="activations.view").set_value("inside"))
        assert page.sidebar.selectbox(key="activation").value == "elu"
        page = press(page, "step")
        assert own(page).report.arms[0].step == 1
        assert finding(page, Inside).activation == "elu"

    def test_a_formula_is_one_too(self, local_engine):
        name = f"={OWN}"
        page = self.use(opened(shown="sine", formula=OWN), name)
        assert own(page).setup.flow == dataclasses.replace(FLOW, activation=name)
        assert link(page)["activation"] == name
        page = run(page.segmented_control(key="activations.view").set_value("inside"))
        assert page.sidebar.selectbox(key="activation").value == name
        local_engine.step(own(page).run, 20)
        page = run(page)
        arm = own(page).report.arms[0]
        assert arm.step == 20 and arm.loss.held_nll[-1] < arm.loss.held_nll[0] - 0.01
        flow = trained(dataclasses.replace(FLOW, activation=name), 20)
        nll = -float(measure.log_prob(flow, DATA.held_out()).mean())
        assert arm.loss.held_nll[-1] == pytest.approx(nll, abs=1e-4)
        assert finding(page, Inside).activation == name
        again = opened("inside", {"activation": name})
        assert own(again).setup.flow.activation == name and not again.warning


class TestInside:
    def agree(self, page, flow, block=0, layer=0):
        x = DATA.held_out()[:POINTS]
        s, split = measure.saturation(flow, x), measure.gradient_split(flow, x)
        found, looked_at = finding(page, Inside), finding(page, Layer)
        assert found.saturated == pytest.approx(s.overall, abs=1e-4)
        assert (found.fullest, found.most) == (s.by_block.argmax(), pytest.approx(s.by_block.max(), abs=1e-4))
        assert found.log_det == pytest.approx(split.residual.log_det, rel=1e-3)
        assert found.base == pytest.approx(split.residual.base, rel=1e-3)
        assert found.cosine == pytest.approx(split.residual.cosine, abs=1e-3)
        assert (looked_at.block, looked_at.layer) == (block, layer)
        assert looked_at.saturated == pytest.approx(s.share[block, layer], abs=1e-4)
        units, shares, plane, now, _ = panes(page)
        (t, count), (_, steepness), (_, bend) = (curve.T for curve in curves(units))
        edges, counts = s.edges[block, layer], s.counts[block, layer]
        np.testing.assert_allclose(t, (edges[1:] + edges[:-1]) / 2, atol=1e-5)
        np.testing.assert_allclose(count, counts / counts.max(), atol=1e-5)
        _, slope, bends = derivatives(flow.config.activation, t.astype(float))
        constant = activation_named(flow.config.activation).lipschitz(2)
        beta = s.scales[block, layer]
        np.testing.assert_allclose(steepness, np.abs(slope) / constant, atol=1e-5)
        np.testing.assert_allclose(bend, beta * np.abs(bends) / constant, atol=1e-4)
        for drawn, share in zip(curves(shares), s.share.T, strict=True):
            np.testing.assert_allclose(drawn[:, 1], 100 * share, atol=1e-3)
        map_ = 100 * measure.saturation_map(flow, measure.grid_points(DATA.window, GRID))
        level, (low, high) = decode(plane["heat"]["level"]), plane["heat"]["range"]
        assert (low, high) == pytest.approx((map_.min(), max(map_.max(), map_.min() + 1)))
        np.testing.assert_allclose(low + level.ravel() / 254 * (high - low), map_, atol=(high - low) / 254)
        log_det, base = (curve[:, 1] for curve in curves(now))
        np.testing.assert_allclose(log_det, split.blocks.log_det, rtol=1e-3)
        np.testing.assert_allclose(base, split.blocks.base, rtol=1e-3)

    @pytest.mark.parametrize(
        ("cosine", "pull"),
        [(-0.11, Pull.AGAINST), (-0.1, Pull.UNRELATED), (0.1, Pull.UNRELATED), (0.11, Pull.TOGETHER)],
    )
    def test_how_gradients_pull(self, cosine, pull):
        assert Inside("elu", 0.5, 0, 0.5, 1.0, 1.0, cosine).pull is pull

    def test_numbers_agree_with_the_measurements(self):
        page = opened("inside")
        self.agree(page, trained())
        page = run(page.select_slider(key="activations.block").set_value(2))
        page = run(page.select_slider(key="activations.layer").set_value(2))
        self.agree(page, trained(), 1, 1)
        assert (link(page)["activations.block"], link(page)["activations.layer"]) == ("2", "2")

    def test_it_follows_training_and_over_training_grows_with_each_measurement(self, local_engine):
        page = opened("inside", {"activation": "elu"})
        trainer = Trainer(dataclasses.replace(FLOW, activation="elu"), TRAIN, DATA, seed=3)
        for k in range(3):
            lines, _ = curves(panes(page)[-1])
            split = measure.gradient_split(trainer.evaluated, DATA.held_out()[:POINTS])
            assert len(lines) % 2 == 0
            first_block = lines[: len(lines) // 2 - 1]  # a gap ends each
            steps = first_block[:, 0].tolist()  # on a slow machine it is also measured between
            assert steps == sorted(set(steps)) and {10 * i for i in range(k + 1)} <= set(steps)
            assert first_block[-1, 1] == pytest.approx(split.blocks.log_det[0], rel=1e-3)
            if k < 2:
                local_engine.step(own(page).run, 10)
                page = run(page)
                for _ in range(10):
                    trainer.step()
        self.agree(page, trainer.evaluated)

    def test_a_norm_of_zero_is_a_gap_and_named(self):
        of = measure.Parts(np.array([0.5, 0.0, 0.25]), np.array([0.5, 0.1, 0.25]), np.zeros(3))
        found = SimpleNamespace(
            split=SimpleNamespace(blocks=of),
            steps=np.array([0, 100]),
            log_det=np.stack([np.array([0.4, 0.3, 0.2]), of.log_det]),
            base=np.stack([of.base, of.base]),
        )
        now, over = inside._gradients(found), inside._over_training(found)
        assert (inside.vanished(of.log_det), inside.vanished(of.base)) == ([2], []) and now.note
        assert np.isnan(now.paths[0].points).tolist() == [[False] * 2, [True] * 2, [False] * 2]
        assert np.isfinite(now.paths[1].points).all()
        lines = over.paths[0].points
        np.testing.assert_array_equal(lines[3:5], [[0, 0.3], [np.nan, np.nan]])
        assert all(path.markers for path in over.paths) and over.log_y and over.note
        many = SimpleNamespace(split=found.split, steps=np.arange(50), log_det=np.ones((50, 3)), base=np.ones((50, 3)))
        assert not any(path.markers for path in inside._over_training(many).paths)
        assert inside._over_training(many).note == ""

    def test_a_block_beyond_the_flow_is_its_last(self):
        page = opened("inside", block="9", layer="5")
        assert [page.select_slider(key=f"activations.{name}").value for name in ("block", "layer")] == [2, 2]
        assert (finding(page, Layer).block, finding(page, Layer).layer) == (1, 1)
        page = opened("inside", {"blocks": "1"}, block="2")
        assert (finding(page, Layer).block, finding(page, Layer).layer) == (0, 0)

    @pytest.mark.parametrize("activation", ["clipswish", "maxmin", "cpila"])
    def test_units_of_which_several_numbers_are_made(self, activation):
        page = opened("inside", {"activation": activation})
        s = measure.saturation(trained(dataclasses.replace(FLOW, activation=activation)),
                                    DATA.held_out()[:POINTS])  # fmt: skip
        assert finding(page, Inside).saturated == pytest.approx(s.overall, abs=1e-4)

    @pytest.mark.parametrize(("norms", "order"), [("2", 2.0), ("inf", math.inf)])
    def test_curves_are_divided_by_the_constant_of_the_layers_norm(self, norms, order):
        page = opened("inside", {"activation": "cpila", "norms": norms})
        t, steepness = curves(panes(page)[0])[1].T.astype(float)
        cpila = ACTIVATIONS["cpila"]
        slope, _ = unit_derivatives(cpila, cpila.near(torch.as_tensor(t)[None]))
        np.testing.assert_allclose(steepness, slope[0] / cpila.lipschitz(order), atol=1e-5)

    def test_a_scaled_block_is_looked_at_and_not_in_the_history(self):
        page = opened("inside", {"lipschitz.block": "2", "lipschitz.scale": "0.5"})
        self.agree(page, trained().scaled(1, 0.5))
        assert all(np.isnan(line).all() for line in curves(panes(page)[-1]))


class TestConsequences:
    @pytest.mark.slow
    def test_arms_are_activations_by_seeds_and_the_numbers_theirs(self):
        page = opened("consequences", shown="elu,sine", seeds="2")
        comparison = own(page).comparisons["activations"]
        flows = [dataclasses.replace(FLOW, activation=name) for name in ("elu", "sine")]
        assert [(arm.flow, arm.seed) for arm in comparison.experiment.arms] == [
            (flow, seed) for flow in flows for seed in (3, 4)
        ]
        assert {(arm.train, arm.data) for arm in comparison.experiment.arms} == {(TRAIN, "moons")}
        page = press(page, "steps.activations")
        _, *densities, by_steps, by_seconds = panes(page)[2:]  # below where the units of both are
        assert [pane["title"] for pane in densities] == labels(by_steps) == labels(by_seconds) == ["ELU", "Sine"]
        x = DATA.held_out()
        truth = DATA.truth.log_prob(x)
        rows, groups = table(page, "| activation |"), {}
        for flow in flows:
            label, alone = ACTIVATIONS[flow.activation].title, [trained(flow, 100, seed) for seed in (3, 4)]
            groups[label] = kl = [measure.kl(truth, measure.log_prob(f, x)).value for f in alone]
            assert kl[0] != kl[1]
            numbers = [number(text) for text in re.split(r" \(| to |\)", rows[label][0])[:3]]
            assert numbers == pytest.approx([np.mean(kl), min(kl), max(kl)], rel=6e-3)
            log_dets = [measure.gradient_split(f, x[:POINTS]).residual.log_det for f in alone]
            assert number(rows[label][4].split(" (")[0]) == pytest.approx(np.mean(log_dets), rel=6e-3)
            mean = path(by_steps, label)
            assert mean[-1].tolist() == pytest.approx([100, np.mean(kl)], rel=1e-4)
            seconds = [arm.seconds for arm in own(page).comparisons["activations"].report.arms]
            assert path(by_seconds, label)[-1, 0] <= max(seconds) * (1 + 1e-5)
        ranking = finding(page, Ranking)
        assert (ranking.outcome, ranking.measure, ranking.steps, ranking.seeds) == (Outcome.FEW_SEEDS, "KL", 100, 2)
        assert ranking.best == min(groups, key=lambda label: np.mean(groups[label]))
        for label, kl in groups.items():
            band = ranking.fits[label]
            assert (band.mean, band.low, band.high) == pytest.approx((np.mean(kl), min(kl), max(kl)), rel=1e-4)

    def test_one_is_adopted_by_its_first_seed(self):
        page = press(opened("consequences", shown="elu,sine,tanh", seeds="2"), "step.activations")
        run_id = own(page).comparisons["activations"].run
        weights, others = tensors(page, run_id, 2), tensors(page, run_id, 3)
        page = press(page, "activations.adopt.2")
        assert own(page).setup.flow == dataclasses.replace(FLOW, activation="sine")
        assert page.sidebar.selectbox(key="activation").value == "sine"
        page = run(page.segmented_control(key="activations.view").set_value("inside"))
        assert tensors(page) == weights != others
        assert own(page).setup.start is not None and own(page).report.arms[0].found(Activity).step == 0

    def test_one_seed_is_a_line_and_a_formula_an_arm_of_its_own(self):
        page = press(opened("consequences", shown="sine", seeds="1", formula=OWN), "step.activations")
        assert [(arm.flow.activation, arm.seed) for arm in own(page).comparisons["activations"].experiment.arms] == [
            ("sine", 3), (f"={OWN}", 3),
        ]  # fmt: skip
        fits = panes(page)[-2]
        assert labels(fits) == ["Sine", "your own"] and len(fits["paths"]) == 2
        page = run(page.select_slider(key="activations.seeds").set_value(2))
        page = press(page, "step.activations")
        assert [arm.seed for arm in own(page).comparisons["activations"].experiment.arms] == [3, 4, 3, 4]
        assert len(panes(page)[-2]["paths"]) == 4  # each with the edges of its band

    def test_a_formula_is_adopted_like_any_other(self):
        page = opened("consequences", shown="sine", seeds="2", formula=OWN)
        page = press(press(page, "step.activations"), "activations.adopt.2")
        assert own(page).setup.flow == dataclasses.replace(FLOW, activation=f"={OWN}")
        assert page.sidebar.selectbox(key="activation").value == link(page)["activation"] == f"={OWN}"
        assert own(page).setup.start is not None

    def test_without_a_truth_likelihoods_are_compared(self):
        page = press(opened("consequences", {"data": "wine"}, shown="elu,sine", seeds="1"), "step.activations")
        *densities, fits, _ = panes(page)[2:]  # below where the units of both are
        assert [pane["title"] for pane in densities] == labels(fits) == ["ELU", "Sine"]
        assert finding(page, Ranking).measure == "NLL" and not fits["log_y"]
        losses = [arm.loss.held_nll[-1] for arm in own(page).comparisons["activations"].report.arms]
        rows = table(page, "| activation |")
        for label, loss in zip(("ELU", "Sine"), losses, strict=True):
            assert path(fits, label)[-1].tolist() == pytest.approx([1, loss])
            assert number(rows[label][0].split(" (")[0]) == pytest.approx(loss, rel=6e-3)

    def test_at_most_four_are_compared(self):
        page = opened("consequences", shown="elu,sine,tanh,relu,gelu", seeds="1")
        assert [arm.flow.activation for arm in own(page).comparisons["activations"].experiment.arms] == [
            "elu", "sine", "tanh", "relu",
        ]  # fmt: skip


@pytest.mark.parametrize(
    "bench",
    [
        Activations(view="inside", shown="maxmin", block=7, layer=2),
        Activations(view="consequences", shown="elu,sine,tanh", formula="max(z, 0.1*z) + sin(pi*z)/4", seeds=5),
        Activations(formula="tanh(z) - gauss(z)/2 + 2^-1", raw=True, beta=0.25),
    ],
)
def test_a_link_says_the_whole_bench_and_gives_it_back(bench):
    found = read_link(query_of(Setup(), benches=[bench]))
    assert bench in found.benches and found.refused == ()


def test_what_is_not_text_for_a_formula_is_refused():
    for values in ({"formula": "z" * 201}, {"formula": "tanh("}, {"shown": ""}, {"shown": ",".join(["elu"] * 7)}):
        with pytest.raises(ValueError):
            Activations(**values)
    assert Activations(shown="elu,sine", formula=OWN).names == ("elu", "sine", f"={OWN}")
