"""The Joint screen without a browser: what it says and draws against hybrids that the core trains alone."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import evidence
from app.csv_file import MISSING_LABEL
from app.engine.reports import ArmReport, LossCurves
from app.engine.training.measurements.far import FarAway
from app.features.joint import answers, charts, pictures, regions, table, truth, words
from app.features.joint.arms import PLAIN, grid, pair
from app.features.joint.evidence import COSTS, FAR, FAR_SETUP, LABELS, groups_of, read_costs, read_far, read_labels
from app.features.joint.few_labels import UNTOLD, FewLabels
from app.features.joint.numbers import CIRCLE, Claim, Told, Unseen, Verdict, accuracies, claim, unseen
from app.features.joint.one import STEPS as UNTIL
from app.features.joint.settings import WEIGHTS, Joint
from app.link import query_of, read_link
from app.setup import Setup
from app.ui import bands, opening
from app.ui.bands import Band
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Exact, Roulette
from resflow_core.measure import Far
from resflow_core.training.parameter_count import parameter_count
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer
from tests.app.held_back import builds_nothing, steps_at_most
from tests.app.pages import MAIN, SMALL, decode, finding, keys, link, own, panes, press, run, said, sentence
from tests.app.pages import table as cells
from tests.app.requests import reported

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
FLOW, TRAIN, DATA = FlowConfig(blocks=2, width=16), TrainConfig(batch=64), DATASETS["noisymoons"]
RESIDUAL = "Residual flow"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
STEPS = 50
"""So many of the 100 steps of a press are taken."""
FAR_CHARTS = ("Calibration", "Far away: confidence", "Far away: density")


def opened(view="one", settings=(), **bench):
    """Past what it opens with, where nothing but these is chosen."""
    page = arrived(view, settings, **bench)
    return press(page, "joint.own") if "joint.own" in keys(page) else page


def arrived(view="", settings=(), **bench):
    page = AppTest.from_file(MAIN, default_timeout=600)
    asked = {f"joint.{name}": str(value) for name, value in (({"view": view} if view else {}) | bench).items()}
    for name, value in (SMALL | {"data": "noisymoons"} | dict(settings) | asked).items():
        page.query_params[name] = value
    page.switch_page("features/joint/joint.py")
    return run(page)


def arms(page, name="joint"):
    return own(page).comparisons[name].report.arms


def stepped(page, steps=100, name="joint"):
    page = run(page.button(key=f"steps.{name}").click())
    for _ in range(60):
        if arms(page, name)[0].step == steps and all(arm.loss.held_step[-1] == steps for arm in arms(page, name)):
            return run(page)
        page = run(page)
    raise AssertionError(f"at {arms(page, name)[0].step} of {steps}")


def trained(config=None, weight=1.0, steps=0, seed=3):
    found = Trainer(config or HybridConfig(FLOW), hybrid_train(weight), DATA, seed=seed)
    for _ in range(steps):
        found.step()
    return found.evaluated_model


def hybrid_train(weight):
    return HybridTrainConfig(batch=64, weight=weight)


def scores(model):
    return measure.classification(measure.log_class_probs(model, DATA.held_out()), DATA.held_out_classes())


def percent(found):
    return 100 * found.accuracy.value


def first_number(text):
    return float(re.search(r"\d+(\.\d+)?", text)[0])


def path(pane, label):
    (found,) = [path for path in pane["paths"] if path["label"] == label]
    return decode(found["points"])


def pane_of(page, title):
    (found,) = [pane for pane in panes(page) if pane["title"] == title]
    return found


class TestOneFlow:
    @pytest.fixture(scope="class")
    def hybrid(self):
        return trained(steps=STEPS)

    def test_numbers_and_pictures_are_those_of_the_models_that_the_core_trains(self, hybrid, local_engine, monkeypatch):
        asked = steps_at_most(local_engine, monkeypatch, STEPS)
        page = stepped(opened(), STEPS)
        assert asked == [100]
        found, rows = scores(hybrid), cells(page, "|  | parameters")
        assert first_number(rows[RESIDUAL][1]) == pytest.approx(percent(found), abs=0.11)
        assert first_number(rows[RESIDUAL][2]) == pytest.approx(found.nll.value, abs=2e-3)
        assert first_number(rows[RESIDUAL][3]) == pytest.approx(100 * found.reliability.ece, abs=0.11)
        nll = measure.mean_nll(measure.log_prob(hybrid.flow, DATA.held_out())).value
        assert first_number(rows[RESIDUAL][5]) == pytest.approx(nll, abs=2e-3)
        best = measure.optimal(DATA.joint, DATA.held_out(), DATA.held_out_classes())
        assert first_number(rows["Truth"][1]) == pytest.approx(percent(best), abs=0.06)
        assert not re.search(r"\d", rows[PLAIN][5])  # it has no density

        # The curve of calibration, and what lies far away.
        calibration, confidence, density = (pane_of(page, title) for title in (*FAR_CHARTS,))
        curve = found.reliability
        drawn = path(calibration, RESIDUAL)
        there = curve.counts > 0
        np.testing.assert_allclose(drawn, np.stack([curve.confidence, curve.accuracy], 1)[there], atol=1e-3)
        far = measure.far(hybrid, DATA.window, DATA.held_out())
        np.testing.assert_allclose(path(density, RESIDUAL)[:, 1], far.log_prob, rtol=1e-2)
        np.testing.assert_allclose(path(confidence, RESIDUAL)[:, 1], far.confidence, atol=5e-3)
        away = finding(page, Unseen)
        at = far.distance.tolist().index(CIRCLE)
        assert away.weight == 1 and away.own == pytest.approx(far.confidence[at], abs=5e-3)
        assert away.plain == pytest.approx(path(confidence, PLAIN)[at, 1], rel=1e-4)
        assert (away.log_prob, away.largest, away.usual) == pytest.approx(
            (far.log_prob[at], far.largest_log_prob[at], far.usual_log_prob), rel=1e-2
        )

        # The plane around the data.
        wide = arms(page)[0].found(FarAway).wide
        nodes = measure.grid_points(wide.window, len(wide.density))
        inside = (nodes.abs() < max(high for _, high in DATA.window)).all(1).numpy()
        density = measure.log_prob(hybrid.flow, nodes).exp().numpy()
        np.testing.assert_allclose(
            wide.density.ravel()[inside] / 65535 * wide.largest, density[inside], atol=0.02 * wide.largest
        )
        shares = measure.log_class_probs(hybrid, nodes).exp().numpy()
        assert (wide.likeliest.ravel() == shares.argmax(1)).mean() > 0.99
        assert np.abs(wide.confidence.ravel() / 255 - shares.max(1)).mean() < 0.01

        # On the boundary both classes are as likely.
        boundary = path(pane_of(page, RESIDUAL), pictures.BOUNDARY)
        boundary = torch.from_numpy(boundary[np.isfinite(boundary).all(1)].copy())
        gap = measure.log_class_probs(hybrid, boundary).exp()
        assert len(boundary) > 20 and float((gap[:, 0] - gap[:, 1]).abs().median()) < 0.03

        # Each sample is in the colour of its own class.
        frame = own(page).comparisons["joint"].pictures[0]
        samples = torch.from_numpy(frame.samples)
        same = measure.log_class_probs(hybrid, samples).argmax(1).numpy() == frame.sample_classes
        assert same.mean() > 0.99
        for k, dots in enumerate(pane_of(page, "Samples")["dots"]):
            assert dots["label"] == DATA.classes[k]
            assert len(decode(dots["points"])) == (frame.sample_classes[:400] == k).sum()

        # The plain classifier is as large, and trained alone.
        config = own(page).comparisons["joint"].experiment.arms[1].flow
        assert config.flow is None
        assert parameter_count(config) == pytest.approx(parameter_count(HybridConfig(FLOW)), rel=0.05)
        alone = scores(trained(config, 0.0, STEPS))
        assert first_number(rows[PLAIN][1]) == pytest.approx(percent(alone), abs=0.11)

        # The hybrid's flow goes on alone.
        page = run(page.button(key="joint.adopt.0").click())
        setup = own(page).setup
        assert type(setup.train) is TrainConfig and setup.train == TrainConfig(batch=64)
        saved = flow_file.from_bytes(setup.start.weights).state_dict()
        for name, tensor in hybrid.flow.state_dict().items():
            torch.testing.assert_close(saved[name], tensor, atol=2e-3, rtol=0, msg=name)

    @pytest.mark.slow
    def test_the_weight_changes_while_it_trains(self):
        page = stepped(opened())
        page = run(page.select_slider(key="joint.weight").set_value(0.0))
        assert arms(page)[0].step == 100, "it goes on"
        page = stepped(page, 200)
        reference = Trainer(HybridConfig(FLOW), hybrid_train(1.0), DATA, seed=3)
        for step in range(200):
            if step == 100:
                reference.configure(hybrid_train(0.0))
            reference.step()
        expected = measure.mean_nll(measure.log_prob(reference.evaluated, DATA.held_out())).value
        assert arms(page)[0].loss.held_nll[-1] == pytest.approx(expected, rel=5e-3)
        assert link(page)["joint.weight"] == "0.0"

    def test_another_family_has_as_many_parameters(self):
        page = opened(family="realnvp")
        without_a_verdict(page)
        rows = cells(page, "|  | parameters")
        assert float(rows["RealNVP"][0].replace(",", "")) == pytest.approx(
            parameter_count(HybridConfig(FLOW)), rel=0.25
        )
        assert not [button for button in page.button if button.key == "joint.adopt.0"]

    def test_many_classes_and_real_ones_are_drawn(self):
        for data in ("8gaussians", "wine"):
            page = opened(settings={"data": data})
            labels = {dots["label"] for dots in pane_of(page, "Confidence")["dots"]}
            assert labels == set(DATASETS[data].classes)
            looks = {(dots["colour"], dots["symbol"]) for dots in pane_of(page, "Confidence")["dots"]}
            assert len(looks) == len(labels)
        assert "Truth" not in {pane["title"] for pane in panes(page)}


class TestThePapersTable:
    @pytest.mark.slow
    def test_every_weight_of_both_families_is_trained_from_every_seed(self):
        page = stepped(opened("paper", seeds=2, steps=100), name="joint.paper")
        experiment = own(page).comparisons["joint.paper"].experiment
        assert [(arm.train.weight, arm.seed) for arm in experiment.arms] == [
            (weight, seed) for _ in range(2) for weight in WEIGHTS for seed in (3, 4)
        ]
        rows = [line for line in sentence(page, "|  | λ").splitlines() if "Residual" in line]
        accuracy = [[percent(scores(trained(weight=w, steps=100, seed=seed))) for seed in (3, 4)] for w in WEIGHTS]
        for row, values in zip(rows, accuracy, strict=True):
            assert first_number(row.split("|")[4]) == pytest.approx(np.mean(values), abs=0.15)
        densities = [row.split("|")[7] for row in rows]
        assert [bool(re.search(r"\d", cell)) for cell in densities] == [False, True, True]  # not learned at 0
        costs = finding(page, Claim).costs
        assert [(cost.weight, cost.seeds, cost.steps) for cost in costs] == [(w, 2, 100) for w in WEIGHTS[1:]]
        assert {cost.verdict for cost in costs} == {Verdict.FEW_SEEDS}
        at_zero, *others = accuracy
        for cost, at in zip(costs, others, strict=True):
            assert cost.residual.mean == pytest.approx(np.mean(at_zero) - np.mean(at), abs=0.2)
        density = [pane for pane in panes(page) if pane.get("heat")]  # not of the answer, which is a chart
        assert [pane["title"] for pane in density] == [
            one.label for one in grid(own(page).setup, own(page).benches[Joint])
        ]

    def test_before_training_what_is_downloaded_is_what_is_shown_and_there_is_no_verdict(self):
        page = opened("paper", seeds=1)
        without_a_verdict(page)
        bench, setup = own(page).benches[Joint], own(page).setup
        found = grid(setup, bench)
        groups = {one.label: (arm,) for one, arm in zip(found, arms(page, "joint.paper"), strict=True)}
        rows = list(csv.DictReader(table.by_seed(found, groups, 3).decode().splitlines()))
        assert [float(row["weight"]) for row in rows] == [*WEIGHTS, *WEIGHTS]
        for row, arm in zip(rows, arms(page, "joint.paper"), strict=True):
            assert float(row["accuracy"]) == pytest.approx(arm.loss.held_accuracy[-1])
            assert float(row["nll"]) == pytest.approx(arm.loss.held_nll[-1])
        steps = list(csv.DictReader(table.by_step(found, groups, 3).decode().splitlines()))
        assert len(steps) == sum(len(arm.loss.held_step) for arm in arms(page, "joint.paper"))

    def test_estimates_are_of_the_residual_flow_alone(self):
        setup = Setup(data="moons", train=TrainConfig(log_det=Roulette()))
        for one in [*grid(setup, Joint()), *pair(setup, Joint())]:
            wanted = Roulette() if one.family == "residual" else Exact()
            assert one.arm.train.log_det == wanted

    def test_seeds_are_named(self):
        setup = Setup(data="moons", seed=5)
        found = bands.seeded({one.label: one.arm for one in grid(setup, Joint())}, 5, 2)
        assert list(found)[:2] == [f"{RESIDUAL}, λ = 0, seed {seed}" for seed in (5, 6)]
        assert [arm.seed for arm in found.values()] == [5, 6] * 6


MEASURED, NONE = np.array([0, 100]), np.zeros(2, np.float32)


def report(accuracy, measured=()):
    curves = LossCurves(
        MEASURED, NONE, MEASURED, NONE, NONE, NONE, NONE, NONE, NONE, NONE + 1, np.zeros((0, 0, 0)),
        held_accuracy=np.array([0.5, accuracy], np.float32), held_class_nll=NONE, held_ece=NONE,
    )  # fmt: skip
    return ArmReport(step=100, steps_per_second=0, seconds=1, loss=curves, measured=reported(*measured))


class TestClaim:
    found = grid(Setup(data="noisymoons"), Joint())

    def groups(self, *accuracies):
        """Of each arm the accuracies of its seeds."""
        return {one.label: [report(a) for a in seeds] for one, seeds in zip(self.found, accuracies, strict=True)}

    def costs(self, *accuracies):
        found = claim(self.found, self.groups(*accuracies), "realnvp")
        assert len(words.sentences(found)) == len(found.costs) == 2
        return found.costs

    @pytest.mark.parametrize(
        ("other", "lost", "verdict"),
        [
            ((0.8, 0.81, 0.82) * 2, (9, 8, 10), Verdict.SHOWS),
            ((0.88, 0.89, 0.9) * 2, (1, 0, 2), Verdict.NOT_DECIDED),
            ((0.92, 0.93, 0.94) * 2, (-3, -4, -2), Verdict.OPPOSITE),
        ],
    )
    def test_it_is_what_is_lost_on_the_same_points(self, other, lost, verdict):
        same, ours = (0.9,) * 6, (0.88, 0.89, 0.9) * 2
        first, second = self.costs(same, ours, same, same, other, same)
        assert (first.verdict, first.weight, first.peer) == (verdict, 0.5, "RealNVP")
        assert (first.steps, first.seeds) == (100, 6)
        assert first.residual == Band(*(pytest.approx(value, abs=1e-4) for value in (1, 0, 2)))
        assert first.other == Band(*(pytest.approx(value, abs=1e-4) for value in lost))
        assert (second.verdict, second.weight) == (Verdict.NOT_DECIDED, 1.0)
        assert "1.00 (0.00 to 2.00)" in words.about(first)

    def test_four_seeds_are_too_few(self):
        same = (0.9,) * 4
        costs = self.costs(same, same, same, same, (0.1,) * 4, same)
        assert [(cost.verdict, cost.seeds) for cost in costs] == [(Verdict.FEW_SEEDS, 4)] * 2
        assert costs[0].other.low == pytest.approx(80, abs=1e-4)

    def test_without_a_measurement_there_is_none(self):
        groups = self.groups(*[(0.9,)] * 6)
        groups[self.found[0].label] = [ArmReport(step=0, steps_per_second=0, seconds=0)]
        found = claim(self.found, groups, "realnvp")
        assert found.costs == () and len(words.sentences(found)) == 1


class TestUnseen:
    def arm(self, largest, sure=0.97):
        one = np.ones(2)
        far = Far(np.array([1.0, CIRCLE]), sure * one, one, -60 * one, largest * one, -7.0)
        return report(0.9, measured=[FarAway(100, far)])

    @pytest.mark.parametrize(("largest", "doubts"), [(-50.0, True), (-1.0, False)])
    def test_doubt_is_a_density_below_what_the_data_have_everywhere(self, largest, doubts):
        found = unseen(self.arm(largest), self.arm(0.0, 0.5), 0.5)
        assert found == Unseen(weight=0.5, plain=0.5, own=0.97, log_prob=-60, largest=largest, usual=-7)
        assert found.is_learned and found.doubts is doubts
        said = answers.far_away([found])
        assert "50 %" in said and "97 %" in said and ("cannot tell yet" in said) is not doubts

    def test_a_density_that_is_not_learned_cannot_doubt(self):
        found = unseen(self.arm(-50.0), self.arm(-50.0), 0.0)
        assert not found.is_learned and not found.doubts and "λ = 0" in answers.far_away([found])

    def test_before_both_are_measured_there_is_none(self):
        assert unseen(self.arm(-50.0), report(0.9), 0.5) is unseen(report(0.9), self.arm(-50.0), 0.5) is None


@pytest.mark.parametrize(("name", "sure"), [("noisymoons", 100), ("8gaussians", 92), ("pinwheel", 20)])
def test_how_sure_bayes_rule_is_far_away_is_drawn_of_these_data(name, sure):
    chart = charts.far_confidence({}, truth.far(DATASETS[name]))
    (drawn,) = chart.paths
    assert drawn.label == charts.TRUTH and drawn.points[-1, 1] == pytest.approx(sure / 100, abs=5e-3)
    assert f"{sure} %" in chart.note


def test_scores_against_the_weight_are_the_last_of_every_seed():
    families = {RESIDUAL: [[report(0.8), report(0.9)], [report(0.7), report(0.7)]]}
    chart = charts.against_weight("Accuracy", "%", families, accuracies, 95.0, (0.5, 1.0))
    mean, edges, floor = chart.paths
    np.testing.assert_allclose(mean.points, [[0.5, 85], [1.0, 70]], rtol=1e-5)
    np.testing.assert_allclose(edges.points[[0, 1, 3, 4], 1], [80, 70, 90, 70], rtol=1e-5)
    np.testing.assert_allclose(floor.points, [[0.5, 95], [1.0, 95]])


def test_boundaries_of_three_classes_are_where_the_likeliest_changes():
    x = np.linspace(0, 3, 61) + np.zeros((61, 1))
    shares = np.stack([x < 1, (x >= 1) & (x < 2), x >= 2], 2).astype(float)
    (found,) = pictures.boundaries(shares, ((0.0, 3.0), (0.0, 2.0)))
    points = found.points[np.isfinite(found.points).all(1)]
    np.testing.assert_allclose(np.minimum(abs(points[:, 0] - 1), abs(points[:, 0] - 2)), 0, atol=0.05)
    assert pictures.boundaries(np.ones((5, 5, 2)) * [0.9, 0.1], ((0, 1), (0, 1))) == ()


class TestBadData:
    @pytest.fixture
    def nothing_built(self, local_engine, monkeypatch):
        builds_nothing(local_engine, monkeypatch)

    def upload(self, text, label=None):
        page = opened()
        own(page).picked = "csv"
        page = run(page)
        page = run(page.file_uploader(key="csv").set_value(("own.csv", text.encode(), "")))
        return run(page.selectbox(key="csv.label").set_value(label)) if label else page

    def rows(self, of):
        points = np.random.default_rng(0).normal(size=(60, 2))
        return "\n".join(["a,b,kind", *(f"{a},{b},{of(i)}" for i, (a, b) in enumerate(points))])

    def test_data_without_classes_lead_to_some_that_have(self):
        page = opened(settings={"data": "gaussian"})
        assert "Gaussian" in page.info[0].value
        page = run(run(page.button(key="joint.take").click()))
        assert own(page).setup.data == "noisymoons"
        assert cells(page, "|  | parameters")[RESIDUAL]

    def test_columns_that_cannot_be_labels_say_why(self, nothing_built):
        refused = {
            "shares": (lambda i: 0.5 + i / 7, ["0.5", "whole number"]),
            "one each": (lambda i: f"k{i}", ["60 ", "20 "]),
            "one for all": (lambda i: "same", ["are the same"]),
        }
        for name, (of, says) in refused.items():
            page = self.upload(self.rows(of))
            assert all(token in page.info[0].value for token in ["`kind`", *says]), name

    def test_a_label_column_is_asked_for_and_learned(self, nothing_built):
        page = self.upload(self.rows(lambda i: "abc"[i % 3]))
        assert "*Label*" in page.info[0].value
        page = run(page.selectbox(key="csv.label").set_value("kind"))
        assert all("being built" in info.value for info in page.info)
        assert own(page).comparisons["joint"].experiment.arms[0].flow.classes == 3

    def test_rows_without_a_label_are_a_class_and_that_is_said(self, nothing_built):
        page = self.upload(self.rows(lambda i: "ab"[i % 2] if i % 6 else ""), "kind")
        assert "10 rows" in page.warning[0].value and MISSING_LABEL in page.warning[0].value
        assert own(page).comparisons["joint"].experiment.arms[0].flow.classes == 3


def test_the_settings_come_and_go_by_link(local_engine, monkeypatch):
    builds_nothing(local_engine, monkeypatch)
    bench = Joint(view="paper", weight=0.3, family="nsf", peer="maf", width=0, seeds=4, steps=300)
    assert bench in read_link(query_of(Setup(), benches=[bench])).benches
    page = opened(weight=0.3)
    assert page.select_slider(key="joint.weight").value == 0.3


def test_a_weight_beyond_the_limits_is_refused_with_the_remedy(local_engine, monkeypatch):
    builds_nothing(local_engine, monkeypatch)
    page = opened(weight=50)
    assert all(token in page.warning[0].value for token in ("`joint.weight = 50`", "0 to 10", "1.0"))
    assert own(page).benches[Joint].weight == 1.0


class TestOpening:
    """What the page opens with, against what is stored and what the core makes of it."""

    @pytest.fixture(scope="class")
    def kept(self):
        return evidence.stored(FAR).found

    def on_the_circle(self, kept, label, name):
        """Of each seed."""
        return np.array(
            [arm["far"][name][int(np.argmin(np.abs(np.array(arm["far"]["distance"]) - CIRCLE)))] for arm in kept[label]]
        )

    def test_the_sentence_has_the_numbers_of_what_is_stored(self, kept):
        text = answers.far_away(read_far(kept))
        plain, own = (100 * self.on_the_circle(kept, label, "confidence").mean() for label in (PLAIN, RESIDUAL))
        assert f"**{plain:.0f} %**" in text and f"**{own:.0f} %**" in text and f"{len(kept[RESIDUAL])} seeds" in text
        largest = self.on_the_circle(kept, RESIDUAL, "largest_log_prob")
        usual = np.array([arm["far"]["usual_log_prob"] for arm in kept[RESIDUAL]])
        power = -int(np.ceil((largest - usual).max() / np.log(10)))
        assert len(kept[RESIDUAL]) >= 3 and f"10{str(power).translate(SUPERSCRIPTS)}" in text

    def test_what_it_rests_on_holds_and_else_it_says_the_other_thing(self, kept):
        found = read_far(kept)
        assert all(answers.tells(found).values())
        unsure = [replace(one, own=0.6) for one in found]
        assert not all(answers.tells(unsure).values()) and "stay confident" not in answers.far_away(unsure)
        likely = [replace(one, largest=one.usual + 1) for one in found]
        assert not all(answers.tells(likely).values()) and "cannot tell yet" in answers.far_away(likely)

    def test_the_map_is_what_the_measurement_has(self, kept):
        hybrid = groups_of(kept)[RESIDUAL][0].found(FarAway)
        (x0, x1), _ = FAR_SETUP.dataset.window
        side = hybrid.wide.window[0][1] - hybrid.wide.window[0][0]
        assert side == pytest.approx(3 * (x1 - x0))
        sure, likely = regions.panes(FAR_SETUP.dataset, *(groups_of(kept)[label][0] for label in (RESIDUAL, PLAIN)))
        shares = hybrid.wide.confidence / 255
        np.testing.assert_allclose(np.abs(sure.heat.values), 2 * shares - 1, atol=1e-6)
        assert ((sure.heat.values > 0) == (hybrid.wide.likeliest == 1))[shares > 0.51].all()
        low, high = zip(*hybrid.wide.window, strict=True)
        for pane in (sure, likely):  # in grey, symbols alone tell the classes apart
            (first, symbol), (second, other) = ((dots.points, dots.symbol) for dots in pane.dots)
            assert symbol != other and (len(first) > 1) and (len(second) > 1)
            for points, positive in ((first, False), (second, True)):
                column, row = np.rint((points - low) / (np.subtract(high, low)) * (len(shares) - 1)).astype(int).T
                assert ((pane.heat.values[row, column] > 0) == positive).all()
        n = len(hybrid.wide.density)
        corner, middle = (
            np.abs(likely.heat.values[0, 0]),
            np.abs(likely.heat.values[n // 3 : -n // 3, n // 3 : -n // 3]),
        )
        assert corner < 1e-3 and middle.max() > 0.9
        # The mass of the density over the wide window is 1.
        cell = (side / (n - 1)) ** 2
        assert (hybrid.wide.density / 65535 * hybrid.wide.largest).sum() * cell == pytest.approx(1, abs=0.05)

    def test_what_the_density_costs_is_the_difference_of_what_is_stored(self):
        kept = evidence.stored(COSTS).found
        last = {label: np.array([arm["curves"]["held_accuracy"][-1] for arm in arms]) for label, arms in kept.items()}
        text = answers.costs(read_costs(kept), "Some data")
        for family in (RESIDUAL, "RealNVP"):
            lost = 100 * (last[f"{family}, λ = 0"] - last[f"{family}, λ = 1"])
            assert len(lost) >= 3 and f"{abs(lost.mean()):.1f} points" in text
        assert all(answers.costs_claims(read_costs(kept)).values())

    def test_few_labels_are_told_as_they_were_found(self):
        kept = evidence.stored(LABELS).found
        text = answers.few_labels(read_labels(kept))
        assert text.count("\n") == len(kept["sets"]) - 1
        for one in kept["sets"]:
            assert f"{np.mean(one['by_weight'][0]):.0f} %" in text and f"{np.mean(one['by_weight'][-1]):.0f} %" in text
            assert len(one["by_weight"][0]) >= 3

    @pytest.mark.parametrize(
        ("without", "with_it", "says"),
        [((80, 81, 82), (90, 91, 92), "do not decide"), ((80,) * 6, range(90, 96), "The density helps"),
         (range(90, 96), (80,) * 6, "The density does harm"), ((80,) * 6, (79, 82) * 3, "helps in 3 of 6")],
    )  # fmt: skip
    def test_every_outcome_of_few_labels_has_words(self, without, with_it, says):
        text = answers.few_labels([Told("Moons", 10, 0, {0.0: without, 1.0: with_it})])
        assert says in text and f"{np.mean(without):.0f} %" in text

    def test_the_page_opens_with_it_and_one_thing_to_press(self, kept):
        page = arrived()
        (opening,) = [text for text in said(page) if text.endswith(answers.far_away(read_far(kept)))]
        right = [100 * np.mean([arm["curves"]["held_accuracy"][-1] for arm in kept[of]]) for of in (RESIDUAL, PLAIN)]
        assert [f"{share:.0f} %" in opening for share in right] == [True, True] and opening.startswith("Yes. ")
        assert [pane["title"] for pane in panes(page)][:2] == [
            "How sure the flow's classifier is",
            "How likely the points are",
        ]
        assert [button.key for button in page.button if button.proto.type == "primary"] == ["joint.train"]
        assert "joint" not in own(page).comparisons, "nothing is trained for it"

    def test_its_button_trains_the_flows_of_the_answer(self, local_engine, monkeypatch):
        builds_nothing(local_engine, monkeypatch)
        asked = steps_at_most(local_engine, monkeypatch, 0)
        page = press(arrived(), "joint.train")
        setup, comparison = own(page).setup, own(page).comparisons["joint"]
        assert (setup.data, setup.flow, setup.train) == (FAR_SETUP.data, FAR_SETUP.flow, FAR_SETUP.train)
        assert comparison.experiment.arms[0].flow.flow == FAR_SETUP.flow
        assert asked == [UNTIL]

    def test_beside_a_lesson_nothing_stored_is_shown(self, monkeypatch):
        monkeypatch.setattr(opening, "is_due", lambda: False)
        page = arrived()
        assert "joint.train" not in keys(page) and not any("Measured on" in text for text in said(page))
        assert arms(page)[0].step == 0 and not [text for text in said(page) if "Far from the data" in text]


def without_a_verdict(page):
    """Over flows that are not trained the stored answer stands alone."""
    assert any("Measured on" in text for text in said(page))
    assert not [text for text in said(page) if "Too few seeds" in text or "Not measured yet" in text]


class TestFewLabels:
    def test_only_the_told_classes_are_told_and_noise_says_nothing(self):
        toy = DATASETS["moons"]
        data = FewLabels(toy, 10, first=20, noise=3)
        x, y = data.sample_labelled(64, torch.Generator().manual_seed(0))
        assert x.shape == (64, 5) and (y[10:] == UNTOLD).all()
        torch.testing.assert_close(x[:10], data.held_out()[20:30])
        torch.testing.assert_close(x[:10, :2], toy.held_out()[20:30])
        assert (y[:10] == toy.held_out_classes()[20:30]).all()
        again, _ = data.sample_labelled(64, torch.Generator().manual_seed(1))
        torch.testing.assert_close(again[:10], x[:10])
        assert float((again[10:] - x[10:]).abs().min()) > 0
        noise = data.held_out()[:, 2:]
        assert noise.mean().abs() < 0.05 and noise.std() == pytest.approx(1, abs=0.05)

    def test_the_loss_of_classes_is_that_of_the_told_ones(self):
        data = FewLabels(DATASETS["moons"], 10)
        hybrid = HybridConfig(FLOW).build(torch.Generator().manual_seed(0))
        x, y = data.sample_labelled(64, torch.Generator().manual_seed(0))
        loss, nll = hybrid.losses(x, y, 1.0, Exact())
        told = -hybrid.log_class_probs(x[:10]).gather(1, y[:10, None]).mean()
        torch.testing.assert_close(loss - nll, told, rtol=1e-4, atol=1e-5)
