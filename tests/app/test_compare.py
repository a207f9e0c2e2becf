"""What the Compare screen makes of settings and reports: arms and their names, pictures, charts, beliefs, tables and
files; its stored answers; and the page itself against the core's own measurements of the arms that it trains."""

import csv
import dataclasses
import io
import math

import numpy as np
import pytest
import safetensors.torch
import torch
from streamlit.testing.v1 import AppTest

from app import engine, evidence
from app.engine.reports import ArmReport, Frame, LossCurves, State
from app.engine.training.measurements import derivatives
from app.engine.training.measurements.derivatives import Derivatives
from app.engine.training.measurements.masses import Masses
from app.features.compare import charts, pictures, stored, table
from app.features.compare import evidence as evidence_of
from app.features.compare.arms import built, contenders, names
from app.features.compare.numbers import Compared, Sign, bias_at, compared, score
from app.features.compare.pictures import POINTS, Structure
from app.features.compare.presets import PRESETS
from app.features.compare.results import NAME
from app.features.compare.settings import Baseline, Compare, Inside, Nobody, Residual
from app.link import query_of, read_link
from app.setup import Setup
from app.ui import transport
from app.ui.bands import Band, Outcome
from app.ui.side_by_side import GRID
from resflow_core import measure
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import Mass, jacobian_structure, spectrum
from resflow_core.training.trainer import TrainConfig
from tests.app.held_back import builds_nothing, steps_at_most
from tests.app.pages import MAIN, decode, finding, is_drawn, own, panes, press, run, said
from tests.app.pages import table as cells_of
from tests.app.requests import reported

DATA, WINE = DATASETS["moons"], DATASETS["wine"]
FLOW, TRAIN = FlowConfig(blocks=1, width=6), TrainConfig(batch=64)
SETUP = Setup(data="moons", seed=7, flow=FlowConfig(blocks=3, width=8), train=TrainConfig(Truncated(9), batch=77))
NONE = np.empty(0, np.float32)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def near(mean, low, high):
    return Band(*(pytest.approx(value) for value in (mean, low, high)))


def report(kl, with_kl=True, bias=None, measured=()):
    """One seed: NLL = 2 + KL at every measurement, one every 100 steps, at 50 steps a second."""
    kl = np.array(kl, np.float32)
    held = np.arange(len(kl)) * 100
    bias = 0 * kl if bias is None else np.array(bias, np.float32)
    kls = (kl, 0 * kl) if with_kl else (NONE, NONE)
    loss = LossCurves(
        held, NONE, held, 2 + kl, 0 * kl, *kls, bias, 0 * kl, held / 50, orders=np.zeros((0, 0, 0))
    )  # fmt: skip
    return ArmReport(int(held[-1]), 1.0, float(held[-1] / 50), loss=loss, measured=reported(*measured))


class TestArms:
    def test_names_tell_arms_apart_and_say_what_differs(self):
        assert names(Compare()) == ["Residual, exact", "i-ResNet, 5 terms", "RealNVP"]
        arms = Residual(Exact(), 0.6), Residual(Truncated(1), 0.97), Baseline("nice"), Baseline("nice")
        assert names(Compare("spectra", *arms)) == [
            "Residual, exact, L = 0.6", "i-ResNet, 1 term, L = 0.97", "NICE (1)", "NICE (2)",
        ]  # fmt: skip
        arms = Residual(Roulette()), Residual(Roulette(gradient="plain")), Inside("dense", "sine", 2), Nobody()
        assert names(Compare("spectra", *arms)) == [
            "Residual, roulette + Neumann", "Residual, roulette", "Dense, Sine, 2 hidden layers",
        ]  # fmt: skip

    def test_parameters_are_those_of_a_real_build_and_how_far_off_is_said(self):
        bench = Compare(a=Residual(), b=Baseline("nice"), c=Baseline("maf"), d=Inside("dense", "clipswish", 2))
        first = None
        for one in contenders(SETUP, bench):
            made = one.arm.flow.build(seeded(0))
            masked = sum(int((~m.mask).sum()) for m in made.modules() if hasattr(m, "mask") and hasattr(m, "weight"))
            count = sum(p.numel() for p in made.parameters()) - masked
            first = first or count
            assert (one.parameters, one.excess) == (count, pytest.approx(count / first - 1))
            off = f" ({100 * (count / first - 1):+.1f}\u00a0%)" if count != first else ""
            assert one.size == f"{count:,}{off}".replace("-", "\N{MINUS SIGN}")

    def test_what_is_trained_has_the_pages_data_and_training_and_the_arms_estimator(self):
        arms = (Residual(Truncated(3), 0.6), Baseline("maf"), Residual(Roulette(), 0.9), Inside("dense"))
        rough, _, roulette, dense = made = [built(arm, SETUP) for arm in arms]
        assert rough.flow == FlowConfig(blocks=3, width=8, budget=0.6) and roulette.flow.budget == 0.9
        assert [arm.train.log_det for arm in made] == [Truncated(3), Exact(), Roulette(), Exact()]
        assert {(arm.train.batch, arm.data) for arm in made} == {(77, "moons")}
        assert (dense.flow.branch, dense.flow.blocks) == ("dense", 3)
        with pytest.raises(TypeError, match="no flow for Nobody"):
            built(Nobody(), SETUP)

    def test_a_link_says_the_whole_bench_and_gives_it_back(self):
        bench = Compare(
            "spectra", Residual(Truncated(7), 0.9), Baseline("nsf"), Inside("dense", "sine", 3, 0.9), Nobody(), 3, 900
        )
        query = query_of(Setup(flow=FlowConfig(branch="dense")), benches=[bench])
        assert query["compare.a.log_det.n_terms"] == "7" and query["compare.d"] == "none"
        found = read_link(query)
        assert bench in found.benches and found.setup.flow.branch == "dense" and not found.refused


def structure(config):
    flow = config.build(seeded(0))
    flow.initialize(DATA.held_out()[:500])
    return jacobian_structure(flow, DATA.held_out()[:50])


class TestPictures:
    @pytest.mark.parametrize("terms", [1, 5])
    def test_the_error_of_the_series_is_that_of_every_node(self, terms):
        found = pictures.series_error(terms)
        axis = np.linspace(-1.06, 1.06, 81)
        for row, column in ((0, 0), (13, 55), (40, 80), (80, 13)):
            at = complex(axis[column], axis[row])
            total = sum(-((-at) ** k) / k for k in range(1, terms + 1))
            assert found[row, column] == pytest.approx(total.real - math.log(abs(1 + at)), rel=1e-9, abs=1e-12)
        assert found[40, 40] == 0

    @pytest.mark.parametrize(
        ("config", "latex", "kind"),
        [
            (BaselineConfig("nice", 2, 8), r"1 & 0 \\ {c} & 1", Structure.SHIFT),
            (BaselineConfig("realnvp", 2, 8), r"1 & 0 \\ {c} & {d}", Structure.COUPLING),
            (BaselineConfig("maf", 2, 8), r"{a} & 0 \\ {c} & {d}", Structure.AUTOREGRESSIVE),
            (FlowConfig(2, 8), r"{a} & {b} \\ {c} & {d}", Structure.FREE),
        ],
    )
    def test_the_zeros_and_ones_of_a_layer(self, config, latex, kind):
        found = structure(config)
        (a, b), (c, d) = ((f"{value:.2f}" for value in row) for row in found)
        inside = latex.format(a=a, b=b, c=c, d=d)
        assert pictures.matrix(found) == rf"\begin{{pmatrix}} {inside} \end{{pmatrix}}"
        assert pictures.structure_of(found) is kind
        assert pictures.structure_of(found[::-1, ::-1]) is kind  # whichever coordinate is kept

    def derivatives(self):
        a = 0.5 * torch.tensor([[[[-1.0, 0.2], [0.0, 0.6]]], [[[0.0, 0.5], [-0.5, 0.0]]]])
        return Derivatives(3, np.eye(2), spectrum(a, 2))

    @pytest.mark.parametrize(("terms", "budget"), [(None, 0.6), (5, 0.99)])
    def test_a_disc_has_its_eigenvalues_and_circles(self, terms, budget):
        arm = report([1.0], measured=[self.derivatives()])
        peer = report([1.0], measured=[Derivatives(3, np.eye(2), None)])
        (pane,) = pictures.spectra(["R", "P"], [arm, peer], {"R": terms, "P": None}, {"R": budget, "P": None})
        expected = [(-0.5, 0.0), (0.0, -0.25), (0.0, 0.25), (0.3, 0.0)]
        np.testing.assert_allclose(sorted(pane.dots[0].points.tolist()), expected, atol=1e-6)
        radii = [float(np.hypot(*path.points.T).mean()) for path in pane.paths]
        assert radii == pytest.approx([budget, 1.0] if budget < 0.98 else [budget])
        assert (pane.heat is not None) == bool(terms)
        if terms:
            np.testing.assert_array_equal(pane.heat.values, pictures.series_error(terms))
        assert pictures.spectra(["R"], [report([1.0])], {"R": 5}, {"R": 0.9}) == []

    def test_a_bias_is_what_the_series_makes_of_the_eigenvalues(self):
        at = np.array([-0.5, 0.3, 0.25j, -0.25j])
        for terms in (1, 5):
            expected = sum(-((-at) ** k) / k for k in range(1, terms + 1)) - np.log(1 + at)
            bias = bias_at(self.derivatives().spectrum, terms)
            assert bias == pytest.approx(expected.real.sum() / 2, rel=1e-5, abs=2e-7)  # two points

    def test_samples_are_where_they_were_drawn_beside_as_many_data(self):
        empty, places = np.empty((0, 2), np.float32), np.array([[0, 0.5], [1, -1]], np.float32)
        frames = [Frame(0, empty, empty, empty, places), Frame(0, empty, empty, empty, empty, refusal="No inverse.")]
        data, drawn, refused = pictures.samples(DATA, ["A", "B"], [report([0.5])] * 2, frames)
        np.testing.assert_allclose(data.dots[0].points, DATA.held_out()[:POINTS], atol=1e-6)
        np.testing.assert_array_equal(drawn.dots[0].points, places)
        assert (refused.dots, refused.note) == ((), "No inverse.")


class TestCharts:
    def test_belief_beside_truth_for_every_seed(self):
        groups = {
            "R": [report([1.0, 0.5]), report([0.9, 0.4])],
            "T": [report([1.0, 0.7], bias=[0.1, 0.9]), report([1.0, 0.6], bias=[0.2, 1.2])],
        }
        chart = charts.belief(DATA, groups, {"R": None, "T": 5})
        lines = {path.label: path.points for path in chart.paths if path.label}
        *flows, floor = lines
        assert flows == ["R", "T: truth", "T: belief"]
        np.testing.assert_allclose(lines["T: truth"], [[0, 3.0], [100, 2.7]], rtol=1e-6)
        np.testing.assert_allclose(lines["T: belief"], [[0, 2.9], [100, 1.8]], rtol=1e-6)
        np.testing.assert_allclose(lines["R"], [[0, 3.0], [100, 2.5]], rtol=1e-6)
        entropy = DATA.truth.entropy
        np.testing.assert_allclose(lines[floor], [[0, entropy], [100, entropy]])
        _, true, believed = (path.points[:2] for path in chart.paths if not path.label)
        np.testing.assert_allclose(true, [[0, 3.0], [100, 2.6]], rtol=1e-6)
        np.testing.assert_allclose(believed, [[0, 2.8], [100, 1.4]], rtol=1e-6)


def flow(log_det=None):
    """A contender alone."""
    one = Baseline() if log_det is None else Residual(log_det, 0.9)
    return contenders(SETUP, Compare(a=one, b=Nobody(), c=Nobody(), d=Nobody()))[0]


def named(**flows):
    """Contenders by labels of their own."""
    return [dataclasses.replace(one, label=label) for label, one in flows.items()]


def masses(exact=1.0, believed=None):
    return Masses(
        100, Exact(), Mass(exact, 0.001, exact), None if believed is None else Mass(believed, 0.001, believed)
    )


class TestBelief:
    def found(self, bias, believed=None, dataset=DATA, log_det=None):
        measured = [masses(1.0, believed)] if believed else []
        arms = [report([1.0, 0.5], bias=[0.0, one], measured=measured) for one in bias]
        flows = named(R=flow(Exact()), T=flow(log_det or Truncated(5)))
        return compared(dataset, flows, {"R": [report([1.0, 0.4])] * len(bias), "T": arms})

    def belief(self, *given, **more):
        (found,) = self.found(*given, **more).beliefs
        return found

    def test_who_flatters_himself(self):
        found = self.found([0.05, 0.1, 0.06], believed=1.4)
        for ranking in (found.by_steps, found.by_time):
            assert (ranking.outcome, ranking.best, ranking.seeds) == (Outcome.FEW_SEEDS, "R", 3)
        (found,) = found.beliefs
        assert (found.label, found.sign, found.is_impossible) == ("T", Sign.ABOVE, False)
        assert (found.bias, found.believed) == (near(0.07, 0.05, 0.1), near(2.43, 2.4, 2.45))
        assert (found.true, found.mass) == (near(2.5, 2.5, 2.5), near(1.4, 1.4, 1.4))
        assert self.belief([0.05, 0.1], believed=1.002).mass is self.belief([0.05, 0.1]).mass is None

    def test_who_believes_in_what_none_can_have(self):
        below = 2.5 - DATA.truth.entropy + 0.05
        found = self.belief([below, below + 0.1])
        assert found.is_impossible and found.entropy == DATA.truth.entropy
        assert not self.belief([below - 0.1, below + 0.1]).is_impossible  # one seed is not
        found = self.belief([below, below + 0.1], dataset=WINE)
        assert found.entropy is None and not found.is_impossible

    def test_in_which_sense_seeds_are_biased(self):
        cases = {Sign.NONE: (9e-4, -9e-4), Sign.BELOW: (-0.2, -0.3), Sign.MIXED: (-0.4, 0.1), Sign.ABOVE: (1e-4, 2e-3)}
        for sign, bias in cases.items():
            found = self.belief(bias)
            assert (found.sign, found.bias) == (sign, near(np.mean(bias), min(bias), max(bias)))

    def test_an_unbiased_estimate_is_not_spoken_of(self):
        assert self.found([0.0] * 3, log_det=Roulette()).beliefs == ()


FOUND = {"exact": flow(Exact()), "cut": flow(Truncated(5)), "roulette": flow(Roulette()), "peer": flow()}
GROUPS = {
    "exact": [report([1.0, 0.5], measured=[masses()]), report([1.0, 0.4], measured=[masses()])],
    "cut": [
        report([1.0, 0.6], bias=[0, 0.5], measured=[masses(1.0, 1.5)]),
        report([1.0, 0.8], bias=[0, 0.7], measured=[masses(1.0, 1.7)]),
    ],
    "roulette": [report([1.0, 0.5], measured=[masses(1.0, np.inf)]), report([1.0, 0.5], measured=[masses()])],
    "peer": [report([1.0, 0.9], measured=[masses()]), report([1.0])],
}


class TestScores:
    def scores(self, dataset=DATA, groups=GROUPS, **found):
        return {one.label: score(dataset, one, groups[one.label]) for one in named(**(found or FOUND))}

    def test_bands_of_every_flow(self):
        scores = self.scores()
        cut, exact, roulette, peer = (scores[name] for name in ("cut", "exact", "roulette", "peer"))
        assert (cut.kl, cut.true) == (near(0.7, 0.6, 0.8), near(2.7, 2.6, 2.8))
        assert (cut.believed, cut.bias) == (near(2.1, 2.1, 2.1), near(0.6, 0.5, 0.7))
        assert (cut.mass, cut.believed_mass) == (near(1, 1, 1), near(1.6, 1.5, 1.7))
        assert cut.pace == pytest.approx(20)
        assert exact.believed == exact.true == near(2.45, 2.4, 2.5)
        assert (exact.bias, exact.mass, exact.believed_mass) == (Band(0, 0, 0), near(1, 1, 1), exact.mass)
        assert (roulette.mass, roulette.believed_mass) == (near(1, 1, 1), None)
        assert (peer.mass, peer.believed_mass, peer.kl.mean) == (None, None, pytest.approx(1))  # what both seeds have

    def test_files_have_a_row_for_every_seed_and_for_every_measurement(self):
        def parsed(file):
            return list(csv.DictReader(io.StringIO(file.decode())))

        rows = parsed(table.by_seed(named(**FOUND), GROUPS, 7))
        assert [(row["flow"], row["seed"]) for row in rows] == [(k, s) for k in FOUND for s in ("7", "8")]
        cut = [row for row in rows if row["flow"] == "cut"]
        assert [float(row["kl"]) for row in cut] == pytest.approx([0.6, 0.8])
        assert [float(row["nll"]) - float(row["bias"]) for row in cut] == pytest.approx([2.1, 2.1])
        assert [float(row["mass_believed_in"]) for row in cut] == [1.5, 1.7]
        assert {(row["step"], float(row["seconds"])) for row in cut} == {("100", 2.0)}
        assert (rows[-1]["step"], rows[-1]["mass"], rows[-1]["kl"]) == ("0", "", "1.0")
        rows = parsed(table.by_step(named(**FOUND), GROUPS, 7))
        ours = [row for row in rows if (row["flow"], row["seed"]) == ("cut", "8")]
        assert len(rows) == 15 and [int(row["step"]) for row in ours] == [0, 100]
        assert [float(row["seconds"]) for row in ours] == [0, 2]
        assert [float(row["bias"]) for row in ours] == pytest.approx([0, 0.7])


def test_how_far_it_is():
    for step, rate, done, left in ((0, 0.0, 0, None), (300, 40.0, 300, 30.0), (1700, 40.0, 1500, None)):
        found = transport.progress(ArmReport(step, rate, 9.0), 1500)
        assert (found.done, found.steps, found.seconds_left, found.is_over) == (done, 1500, left, step >= 1500)


def means(name, curve):
    """Of what is stored of a ready-made comparison, read without the app."""
    found = evidence.stored(f"compare-{name}").found
    return {label: np.mean([arm["curves"][curve][-1] for arm in arms]) for label, arms in found.items()}


def means_at_equal_time(found):
    ways = {
        label: [(arm["curves"]["held_seconds"], arm["curves"]["held_kl"]) for arm in of] for label, of in found.items()
    }
    seconds = min(way[0][-1] for of in ways.values() for way in of)
    return {label: np.mean([np.interp(seconds, *way) for way in of]) for label, of in ways.items()}


@pytest.mark.parametrize("name", PRESETS)
def test_an_answer_has_the_numbers_of_what_is_stored(name):
    true, bias, kl = (means(name, f"held_{curve}") for curve in ("nll", "bias", "kl"))
    cut = next((label for label in true if "term" in label), "")
    if name == "believes":
        entropy = DATASETS["8gaussians"].truth.entropy
        wanted = [f"{value:.2f}" for value in (true[cut] - bias[cut], entropy, true[cut], true["Residual, exact"])]
    elif name == "honest":
        seeds = [arm["curves"]["held_bias"][-1] for arm in evidence.stored("compare-honest").found[cut]]
        wanted = [f"{max(map(abs, seeds)):.3f}", f"{true[cut] - bias[cut]:.2f}", f"{true[cut]:.2f}"]
    elif name in ("expressive", "terms"):
        wanted = [f"{value:.2f}" for value in bias.values()]
    elif name in ("coupling", "figure1"):
        wanted = [f"{kl[label]:.3f} ({label})" for label in sorted(kl, key=kl.get)]
    elif name == "dense":
        dense, residual = ([kl[label] for label in kl if label.startswith(kind)] for kind in ("Dense", "Residual"))
        wanted = [f"{a:.3f} against {b:.3f}" for a, b in zip(dense, residual, strict=True)]
    else:
        at_equal_time = means_at_equal_time(evidence.stored("compare-time").found)
        wanted = [f"{at_equal_time[label]:.3f} ({label})" for label in sorted(kl, key=at_equal_time.get)]
    text = stored.sentence(name)
    assert all(one in text for one in wanted) and wanted == sorted(wanted, key=text.index)
    seeds = len(evidence.stored(f"compare-{name}").seeds)
    assert f"{seeds} seeds" in text and seeds >= 3


@pytest.mark.parametrize("name", PRESETS)
def test_a_claim_that_fails_is_seen(name):
    """What is stored, told of flows that are the wrong way round."""
    read = evidence_of.read(evidence.stored(f"compare-{name}").found, name)
    assert all(PRESETS[name].answer.claims(read).values())
    beliefs = [
        dataclasses.replace(one, bias=Band(-1, -1, -1), believed=one.true, true=one.believed) for one in read.beliefs
    ]
    turned = dataclasses.replace(
        read,
        beliefs=tuple(beliefs),
        scores=read.scores[::-1],
        by_steps=dataclasses.replace(read.by_steps, values=turned_round(read.by_steps.values)),
        by_time=dataclasses.replace(read.by_time, values=turned_round(read.by_time.values)),
    )
    if name != "figure1":  # which claims no order
        assert not all(PRESETS[name].answer.claims(turned).values())


def turned_round(values):
    return dict(zip(values, sorted(values.values(), key=lambda seeds: -np.mean(seeds)), strict=True))


def arrive(**query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in query.items():
        page.query_params[name] = value
    page.switch_page("features/compare/compare.py")
    return run(page)


def path(pane, label):
    """The points of the one path of this label, (n, 2)."""
    (found,) = [path for path in pane["paths"] if path["label"] == label]
    return decode(found["points"])


@pytest.mark.thorough
def test_the_page_opens_with_the_stored_answer_and_trains_these_flows(local_engine, monkeypatch):
    page = arrive()
    assert NAME not in own(page).comparisons and stored.sentence("believes") in " ".join(said(page))
    arm = evidence.stored("compare-believes").found["i-ResNet, 5 terms"][0]["curves"]
    (chart,) = panes(page)
    believed = arm["held_nll"][-1] - arm["held_bias"][-1]
    assert path(chart, "i-ResNet, 5 terms: belief")[-1][1] == pytest.approx(believed, abs=1e-4)
    builds_nothing(local_engine, monkeypatch)
    asked = steps_at_most(local_engine, monkeypatch, 0)
    page = run(press(page, "compare.train"))
    preset = PRESETS["believes"]
    assert own(page).benches[Compare] == preset.bench and own(page).setup.flow == preset.flow
    assert asked == [preset.bench.steps]


@pytest.mark.thorough
def test_numbers_and_pictures_of_the_page_are_those_of_its_flows(local_engine, monkeypatch):
    bench = Compare(a=Residual(), b=Residual(Truncated(2), 0.97), c=Baseline("maf"), d=Nobody(), seeds=1, steps=100)
    setup = Setup(data="moons", seed=3, device="cpu", flow=FLOW, train=TRAIN)
    page = arrive(**query_of(setup, benches=[bench]))
    found = own(page).comparisons[NAME]
    assert found.report.state is State.PAUSED
    engine.get_engine().step(found.run, 3)
    page = run(page)
    arms, told = found.report.arms, finding(page, Compared)
    flows, x = [], DATA.held_out()
    for k, arm in enumerate(found.experiment.arms):
        flows.append(arm.flow.build(seeded(99)))
        flows[-1].load_state_dict(safetensors.torch.load(engine.get_engine().export(found.run, k)))
    labels = ["Residual, exact", "i-ResNet, 2 terms", "MAF"]
    assert list(cells_of(page, "| flow | parameters |"))[1:] == labels and [arm.step for arm in arms] == [3] * 3
    truth = DATA.truth.log_prob(x)
    nll = [-float(measure.log_prob(flow, x).double().mean()) for flow in flows]
    kl = [measure.kl(truth, measure.log_prob(flow, x)).value for flow in flows]
    bias = measure.log_prob_bias(measure.evaluate(flows[1], x), Truncated(2)).value
    assert [one.true.mean for one in told.scores] == pytest.approx(nll, rel=1e-4)
    assert [one.kl.mean for one in told.scores] == pytest.approx(kl, rel=1e-3)
    assert [one.bias.mean for one in told.scores] == pytest.approx([0, bias, 0], rel=1e-3)
    (belief,) = told.beliefs
    assert belief.believed.mean == pytest.approx(nll[1] - bias, rel=1e-4)
    assert told.by_steps.best == labels[int(np.argmin(kl))] and told.by_steps.steps == 3
    assert told.by_time.seconds == pytest.approx(min(arm.loss.held_seconds[-1] for arm in arms))

    chart, true, *densities, terms, by_steps, _ = panes(page)
    assert path(chart, "i-ResNet, 2 terms: belief")[-1].tolist() == pytest.approx([3, nll[1] - bias], rel=1e-4)
    assert [path(by_steps, label)[-1, 1] for label in labels] == pytest.approx(kl, rel=1e-3)
    evaluation = measure.evaluate(flows[1], x[: derivatives.POINTS])
    for n in (1, 4, 20):
        expected = measure.log_prob_bias(evaluation, Truncated(n)).value
        assert path(terms, labels[1])[n - 1].tolist() == pytest.approx([n, expected], rel=1e-3, abs=1e-6)
    assert [pane["title"] for pane in (true, *densities)] == ["Truth", *labels]
    top = true["heat"]["range"][1]
    assert all(is_drawn(page, flow, pane["heat"]["flow"]) for flow, pane in zip(flows[:2], densities, strict=False))
    level = decode(densities[2]["heat"]["level"]) / 254 * top
    expected = np.minimum(measure.density_grid(flows[2], DATA.window, GRID), top)
    np.testing.assert_allclose(level, expected, atol=top / 254 + 1e-4)

    # A flow is taken over with its weights and estimator.
    taken = press(page, "compare.adopt.1")
    assert own(taken).setup.train.log_det == Truncated(2) and own(taken).setup.flow.budget == 0.97
    weights = dict(flows[1].named_parameters())
    kept = safetensors.torch.load(own(taken).setup.start.weights)
    assert all(torch.equal(kept[name], weights[name]) for name in weights)
