"""The Joint screen: what its scores come to, its stored answers, and what the page says and draws against hybrids that
the core trains alone."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import evidence
from app.engine.reports import ArmReport, LossCurves
from app.engine.training.measurements.far import FarAway
from app.features.joint import answers, charts, pictures, regions, truth
from app.features.joint.arms import PLAIN, grid, pair
from app.features.joint.evidence import COSTS, FAR, FAR_SETUP, LABELS, groups_of, read_costs, read_far, read_labels
from app.features.joint.few_labels import UNTOLD, FewLabels
from app.features.joint.numbers import CIRCLE, Told, Unseen, Verdict, accuracies, claim, unseen
from app.features.joint.one import STEPS as UNTIL
from app.features.joint.settings import WEIGHTS, Joint
from app.setup import Setup
from app.ui.bands import Band
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Exact, Roulette
from resflow_core.measure import Far
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer
from tests.app.held_back import builds_nothing, steps_at_most
from tests.app.pages import MAIN, SMALL, decode, finding, own, panes, press, run, said
from tests.app.pages import table as cells
from tests.app.requests import reported

FLOW, DATA = FlowConfig(blocks=2, width=16), DATASETS["noisymoons"]
RESIDUAL = "Residual flow"
STEPS = 20
MEASURED, NONE = np.array([0, 100]), np.zeros(2, np.float32)


def report(accuracy, measured=()):
    curves = LossCurves(
        MEASURED, NONE, MEASURED, NONE, NONE, NONE, NONE, NONE, NONE, NONE + 1, np.zeros((0, 0, 0)),
        held_accuracy=np.array([0.5, accuracy], np.float32), held_class_nll=NONE, held_ece=NONE,
    )  # fmt: skip
    return ArmReport(step=100, steps_per_second=0, seconds=1, loss=curves, measured=reported(*measured))


class TestClaim:
    found = grid(Setup(data="noisymoons"), Joint())

    def costs(self, *accuracies):
        """Of what each arm lost, from the accuracies of its seeds."""
        groups = {one.label: [report(a) for a in seeds] for one, seeds in zip(self.found, accuracies, strict=True)}
        return claim(self.found, groups, "realnvp").costs

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

    def test_four_seeds_are_too_few_and_without_a_measurement_there_is_none(self):
        same = (0.9,) * 4
        costs = self.costs(same, same, same, same, (0.1,) * 4, same)
        assert [(cost.verdict, cost.seeds) for cost in costs] == [(Verdict.FEW_SEEDS, 4)] * 2
        groups = {one.label: [report(0.9)] for one in self.found}
        groups[self.found[0].label] = [ArmReport(step=0, steps_per_second=0, seconds=0)]
        assert claim(self.found, groups, "realnvp").costs == ()


class TestUnseen:
    def arm(self, largest, sure=0.97):
        one = np.ones(2)
        far = Far(np.array([1.0, CIRCLE]), sure * one, one, -60 * one, largest * one, -7.0)
        return report(0.9, measured=[FarAway(100, far)])

    @pytest.mark.parametrize(("largest", "doubts"), [(-50.0, True), (-1.0, False)])
    def test_doubt_is_a_density_below_what_the_data_have_everywhere(self, largest, doubts):
        found = unseen(self.arm(largest), self.arm(0.0, 0.5), 0.5)
        assert found == Unseen(weight=0.5, plain=0.5, own=0.97, log_prob=-60, largest=largest, usual=-7)
        assert found.doubts is doubts and ("cannot tell yet" in answers.far_away([found])) is not doubts
        without = unseen(self.arm(largest), self.arm(0.0), 0.0)  # where the density is not learned
        assert not without.is_learned and not without.doubts
        assert unseen(self.arm(-50.0), report(0.9), 0.5) is unseen(report(0.9), self.arm(-50.0), 0.5) is None


def test_arms_are_every_weight_of_both_families_and_estimates_are_of_the_residual_flow_alone():
    setup = Setup(data="moons", seed=5, flow=FLOW, train=TrainConfig(log_det=Roulette(), batch=64))
    found = grid(setup, Joint())
    assert [(one.family, one.weight) for one in found] == [(f, w) for f in ("residual", "realnvp") for w in WEIGHTS]
    for one in [*found, *pair(setup, Joint(weight=0.3))]:
        assert one.arm.train.log_det == (Roulette() if one.family == "residual" else Exact())
        assert (one.arm.train.weight, one.arm.train.batch) == (one.weight, 64)
        assert one.parameters == pytest.approx(found[0].parameters, rel=0.25)
    assert pair(setup, Joint())[1].arm.flow.flow is None  # the plain classifier has no density


def test_how_sure_bayes_rule_is_far_away_is_drawn():
    (drawn,) = charts.far_confidence({}, truth.far(DATASETS["8gaussians"])).paths
    assert drawn.label == charts.TRUTH and drawn.points[-1, 1] == pytest.approx(0.92, abs=5e-3)


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


class TestStored:
    @pytest.fixture
    def kept(self):
        return evidence.stored(FAR).found

    def test_what_is_said_far_away_has_the_numbers_of_what_is_stored(self, kept):
        def on_the_circle(label, name):
            at = int(np.argmin(np.abs(np.array(kept[label][0]["far"]["distance"]) - CIRCLE)))
            return np.array([arm["far"][name][at] for arm in kept[label]])

        text = answers.far_away(read_far(kept))
        plain, sure = (100 * on_the_circle(label, "confidence").mean() for label in (PLAIN, RESIDUAL))
        assert f"**{plain:.0f} %**" in text and f"**{sure:.0f} %**" in text and f"{len(kept[RESIDUAL])} seeds" in text
        usual = np.array([arm["far"]["usual_log_prob"] for arm in kept[RESIDUAL]])
        power = -int(np.ceil((on_the_circle(RESIDUAL, "largest_log_prob") - usual).max() / np.log(10)))
        assert f"10{str(power).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}" in text

    def test_what_it_rests_on_holds_and_else_it_says_the_other_thing(self, kept):
        found = read_far(kept)
        assert all(answers.tells(found).values())
        unsure = [replace(one, own=0.6) for one in found]
        assert not all(answers.tells(unsure).values()) and "stay confident" not in answers.far_away(unsure)
        likely = [replace(one, largest=one.usual + 1) for one in found]
        assert not all(answers.tells(likely).values()) and "cannot tell yet" in answers.far_away(likely)

    def test_the_map_is_what_the_measurement_has(self, kept):
        wide = groups_of(kept)[RESIDUAL][0].found(FarAway).wide
        sure, likely = regions.panes(FAR_SETUP.dataset, *(groups_of(kept)[label][0] for label in (RESIDUAL, PLAIN)))
        shares = wide.confidence / 255
        np.testing.assert_allclose(np.abs(sure.heat.values), 2 * shares - 1, atol=1e-6)
        assert ((sure.heat.values > 0) == (wide.likeliest == 1))[shares > 0.51].all()
        low, high = zip(*wide.window, strict=True)
        for pane in (sure, likely):  # in grey, symbols alone tell the classes apart
            first, second = pane.dots
            assert first.symbol != second.symbol
            for points, positive in ((first.points, False), (second.points, True)):
                column, row = np.rint((points - low) / (np.subtract(high, low)) * (len(shares) - 1)).astype(int).T
                assert len(points) > 1 and ((pane.heat.values[row, column] > 0) == positive).all()
        # The mass of the density over the wide window is 1.
        n = len(wide.density)
        cell = ((wide.window[0][1] - wide.window[0][0]) / (n - 1)) ** 2
        assert (wide.density / 65535 * wide.largest).sum() * cell == pytest.approx(1, abs=0.05)
        assert np.abs(likely.heat.values[0, 0]) < 1e-3 and np.abs(likely.heat.values).max() > 0.9

    def test_what_the_density_costs_is_the_difference_of_what_is_stored(self):
        kept = evidence.stored(COSTS).found
        last = {label: np.array([arm["curves"]["held_accuracy"][-1] for arm in arms]) for label, arms in kept.items()}
        text = answers.costs(read_costs(kept), "Some data")
        for family in (RESIDUAL, "RealNVP"):
            lost = 100 * (last[f"{family}, λ = 0"] - last[f"{family}, λ = 1"])
            assert f"{'loses' if lost.mean() >= 0 else 'gains'} **{abs(lost.mean()):.1f} points**" in text

    def test_few_labels_are_told_as_they_were_found(self):
        kept = evidence.stored(LABELS).found
        lines = answers.few_labels(read_labels(kept)).splitlines()
        for one, line in zip(kept["sets"], lines, strict=True):
            assert [f"**{np.mean(one['by_weight'][k]):.0f} %**" in line for k in (0, -1)] == [True, True]

    def test_every_outcome_of_few_labels_has_words(self):
        for without, with_it, says in (
            ((80, 81, 82), (90, 91, 92), "do not decide"),
            ((80,) * 6, range(90, 96), "The density helps"),
            (range(90, 96), (80,) * 6, "The density does harm"),
            ((80,) * 6, (79, 82) * 3, "helps in 3 of 6"),
        ):
            assert says in answers.few_labels([Told("Moons", 10, 0, {0.0: without, 1.0: with_it})])


def test_with_few_labels_only_the_told_classes_are_told_and_noise_says_nothing():
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


def arrived(**settings):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in (SMALL | {"data": "noisymoons"} | settings).items():
        page.query_params[name] = value
    page.switch_page("features/joint/joint.py")
    return run(page)


def path(pane, label):
    (found,) = [path for path in pane["paths"] if path["label"] == label]
    return decode(found["points"])


def trained(config, weight):
    found = Trainer(config, HybridTrainConfig(batch=64, weight=weight), DATA, seed=3)
    for _ in range(STEPS):
        found.step()
    return found.evaluated_model


def scores(model):
    return measure.classification(measure.log_class_probs(model, DATA.held_out()), DATA.held_out_classes())


def first_number(text):
    return float(re.search(r"\d+(\.\d+)?", text)[0])


@pytest.mark.thorough
def test_the_page_shows_what_the_core_makes_of_the_flow_and_its_classifier(local_engine, monkeypatch):
    steps_at_most(local_engine, monkeypatch, STEPS)
    page = run(press(arrived(**{"joint.view": "one"}), "steps.joint"))
    comparison = own(page).comparisons["joint"]
    assert [arm.step for arm in comparison.report.arms] == [STEPS] * 2
    hybrid, rows = trained(HybridConfig(FLOW), 1.0), cells(page, "|  | parameters")
    found = scores(hybrid)
    assert first_number(rows[RESIDUAL][1]) == pytest.approx(100 * found.accuracy.value, abs=0.11)
    assert first_number(rows[RESIDUAL][2]) == pytest.approx(found.nll.value, abs=2e-3)
    assert first_number(rows[RESIDUAL][3]) == pytest.approx(100 * found.reliability.ece, abs=0.11)
    nll = measure.mean_nll(measure.log_prob(hybrid.flow, DATA.held_out())).value
    assert first_number(rows[RESIDUAL][5]) == pytest.approx(nll, abs=2e-3)
    best = measure.optimal(DATA.joint, DATA.held_out(), DATA.held_out_classes())
    assert first_number(rows["Truth"][1]) == pytest.approx(100 * best.accuracy.value, abs=0.06)
    config = comparison.experiment.arms[1].flow
    assert config.flow is None and not re.search(r"\d", rows[PLAIN][5])  # it has no density
    assert first_number(rows[PLAIN][1]) == pytest.approx(100 * scores(trained(config, 0.0)).accuracy.value, abs=0.11)

    drawn = {pane["title"]: pane for pane in panes(page)}
    there, curve = found.reliability.counts > 0, found.reliability
    expected = np.stack([curve.confidence, curve.accuracy], 1)[there]
    np.testing.assert_allclose(path(drawn["Calibration"], RESIDUAL), expected, atol=1e-3)
    far, away = measure.far(hybrid, DATA.window, DATA.held_out()), finding(page, Unseen)
    np.testing.assert_allclose(path(drawn["Far away: density"], RESIDUAL)[:, 1], far.log_prob, rtol=1e-2)
    np.testing.assert_allclose(path(drawn["Far away: confidence"], RESIDUAL)[:, 1], far.confidence, atol=5e-3)
    at = far.distance.tolist().index(CIRCLE)
    assert away.own == pytest.approx(far.confidence[at], abs=5e-3)
    assert away.plain == pytest.approx(path(drawn["Far away: confidence"], PLAIN)[at, 1], rel=1e-4)
    boundary = path(drawn[RESIDUAL], pictures.BOUNDARY)
    gap = measure.log_class_probs(hybrid, torch.from_numpy(boundary[np.isfinite(boundary).all(1)].copy())).exp()
    assert len(gap) > 20 and float((gap[:, 0] - gap[:, 1]).abs().median()) < 0.03
    frame = comparison.pictures[0]
    same = measure.log_class_probs(hybrid, torch.from_numpy(frame.samples)).argmax(1).numpy() == frame.sample_classes
    counts = [len(decode(dots["points"])) for dots in drawn["Samples"]["dots"]]
    assert same.mean() > 0.99 and counts == np.bincount(frame.sample_classes[:400]).tolist()

    # The hybrid's flow goes on alone.
    setup = own(run(page.button(key="joint.adopt.0").click())).setup
    assert type(setup.train) is TrainConfig and setup.train == TrainConfig(batch=64)
    saved = flow_file.from_bytes(setup.start.weights).state_dict()
    for name, tensor in hybrid.flow.state_dict().items():
        torch.testing.assert_close(saved[name], tensor, atol=2e-3, rtol=0, msg=name)


@pytest.mark.thorough
def test_it_opens_with_the_stored_answer_and_its_button_trains_these_flows(local_engine, monkeypatch):
    builds_nothing(local_engine, monkeypatch)
    asked = steps_at_most(local_engine, monkeypatch, 0)
    page = arrived()
    kept = evidence.stored(FAR).found
    (opening,) = [text for text in said(page) if text.endswith(answers.far_away(read_far(kept)))]
    right = [100 * np.mean([arm["curves"]["held_accuracy"][-1] for arm in kept[of]]) for of in (RESIDUAL, PLAIN)]
    assert [f"{share:.0f} %" in opening for share in right] == [True, True]
    assert "joint" not in own(page).comparisons, "nothing is trained for it"
    page = press(page, "joint.train")
    assert (own(page).setup.data, own(page).setup.flow) == (FAR_SETUP.data, FAR_SETUP.flow) and asked == [UNTIL]
