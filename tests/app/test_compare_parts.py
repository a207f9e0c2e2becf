"""What the Compare screen makes of settings and reports, without a page: arms and their names, pictures, charts, words,
tables and files."""

import csv
import io
import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.reports import ArmReport, Frame, Report, State
from app.engine.training.measurements.derivatives import Derivatives
from app.engine.training.measurements.masses import Masses
from app.features.compare import charts, pictures, table, words
from app.features.compare.arms import built, contenders, names
from app.features.compare.numbers import Sign, bias_at, compared, score
from app.features.compare.pictures import Structure
from app.features.compare.presets import PRESETS
from app.features.compare.settings import Baseline, Compare, Nobody, Residual
from app.link import Link, query_of, read_link
from app.setup import Setup
from app.text import signed
from app.ui import bands, transport
from app.ui.bands import Band, Outcome
from app.ui.side_by_side import fit
from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import MOST_TERMS, Mass, jacobian_structure, spectrum
from resflow_core.roulette import Poisson
from resflow_core.training.trainer import TrainConfig
from tests.app.test_bands import report
from tests.app.test_lipschitz_panes import sent
from tests.core.oracles import seeded

MINUS, NBSP = "\N{MINUS SIGN}", "\u00a0"
PLAIN = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
DATA, WINE = DATASETS["moons"], DATASETS["wine"]
SETUP = Setup(data="moons", seed=7, flow=FlowConfig(blocks=3, width=8), train=TrainConfig(batch=100))
MOST = 50  # terms that a truncated series may have

log_dets = st.one_of(
    st.just(Exact()),
    st.builds(Truncated, st.integers(1, MOST), st.sampled_from(["gaussian", "rademacher"])),
    st.builds(Roulette, gradient=st.sampled_from(["plain", "neumann"])),
    st.just(Roulette(Poisson())),
)
residuals = st.builds(Residual, log_dets, st.sampled_from([0.6, 0.97, 0.9700001, 0.999]))
arms = st.one_of(residuals, st.builds(Baseline, st.sampled_from(list(BASELINES))), st.just(Nobody()))
benches = st.builds(
    Compare,
    st.sampled_from(["densities", "samples", "spectra", "layers"]),
    *[arms] * 4,
    seeds=st.integers(1, 5),
    steps=st.integers(100, 20_000),
)


def near(mean, low, high):
    return Band(*(pytest.approx(value) for value in (mean, low, high)))


def structure_named(kind):
    """That of a layer of this kind."""
    if kind == "residual":
        return Structure.FREE
    if not BASELINES[kind].coupling:
        return Structure.AUTOREGRESSIVE
    return Structure.SHIFT if kind == "nice" else Structure.COUPLING


class TestArms:
    @pytest.mark.thorough
    @settings(max_examples=100)
    @given(benches)
    def test_names_tell_arms_apart_and_say_what_differs(self, bench):
        found = names(bench)
        assert len(set(found)) == len(found) == len(bench.arms)
        budgets = {arm.budget for arm in bench.arms if isinstance(arm, Residual)}
        for label, arm in zip(found, bench.arms, strict=True):
            if isinstance(arm, Baseline):
                assert label.startswith({"nice": "NICE", "realnvp": "RealNVP", "maf": "MAF", "nsf": "NSF"}[arm.kind])
                continue
            assert (f", L = {arm.budget:g}" in label) == (len(budgets) > 1)
            n = getattr(arm.log_det, "n_terms", None)
            assert (f"i-ResNet, {n} term{'s' if n != 1 else ''}" in label) == isinstance(arm.log_det, Truncated)
            assert ("exact" in label) == (arm.log_det == Exact())
            assert ("roulette" in label) == isinstance(arm.log_det, Roulette)
        # A number is there only where nothing else tells two apart.
        bare = [re.sub(r" \(\d\)$", "", label) for label in found]
        for label, shown in zip(bare, found, strict=True):
            assert (label == shown) == (bare.count(label) == 1)
        keys = [*bands.seeded({one.label: one.arm for one in contenders(SETUP, bench)}, SETUP.seed, bench.seeds)]
        assert len(set(keys)) == len(found) * bench.seeds
        assert "|" not in "".join(found)  # they stand in a table

    def test_names_by_hand(self):
        assert names(Compare()) == ["Residual, exact", "i-ResNet, 5 terms", "RealNVP"]
        bench = Compare(
            a=Residual(Exact(), 0.6), b=Residual(Truncated(1), 0.97), c=Baseline("nice"), d=Baseline("nice")
        )
        assert names(bench) == ["Residual, exact, L = 0.6", "i-ResNet, 1 term, L = 0.97", "NICE (1)", "NICE (2)"]
        plain = Residual(Roulette(gradient="plain"))
        bench = Compare(a=Residual(Roulette()), b=Nobody(), c=Residual(Roulette(Poisson())), d=plain)
        assert names(bench) == [
            "Residual, roulette + Neumann (1)",
            "Residual, roulette + Neumann (2)",
            "Residual, roulette",
        ]

    @pytest.mark.parametrize("flow", [SETUP.flow, FlowConfig(), FlowConfig(1, 2, activation="maxmin", actnorm=False)])
    def test_parameters_are_those_of_a_real_build_and_how_far_off_is_said(self, flow):
        setup = Setup(flow=flow)
        bench = Compare(a=Residual(), b=Baseline("nice"), c=Baseline("maf"), d=Baseline("nsf"))
        counted = []
        for one in contenders(setup, bench):
            made = one.arm.flow.build(seeded(0))
            masked = sum(int((~m.mask).sum()) for m in made.modules() if hasattr(m, "mask") and hasattr(m, "weight"))
            counted.append(sum(p.numel() for p in made.parameters()) - masked)
            assert one.parameters == counted[-1]
            off = 100 * (counted[-1] / counted[0] - 1)
            expected = f"{counted[-1]:,}" + (f" ({off:+.1f}{NBSP}%)" if off else "")
            assert one.size == expected.replace("-", MINUS)
        assert counted[0] == sum(p.numel() for p in flow.build(seeded(0)).parameters())

    def test_what_is_trained_has_the_pages_data_and_training_and_the_arms_estimator(self):
        bench = Compare(a=Residual(Truncated(3), 0.6), b=Baseline("maf"), c=Residual(Roulette(), 0.9))
        setup = Setup(data="moons", seed=7, flow=SETUP.flow, train=TrainConfig(Truncated(9), batch=77))
        rough, peer, roulette = (built(arm, setup) for arm in bench.arms)
        assert rough.flow == FlowConfig(blocks=3, width=8, budget=0.6) and roulette.flow.budget == 0.9
        assert [arm.train.log_det for arm in (rough, peer, roulette)] == [Truncated(3), Exact(), Roulette()]
        assert {(arm.train.batch, arm.data) for arm in (rough, peer, roulette)} == {(77, "moons")}
        arms = bands.seeded({one.label: one.arm for one in contenders(setup, bench)}, setup.seed, 2)
        assert list(arms) == [f"{label}, seed {seed}" for label in names(bench) for seed in (7, 8)]
        assert [arm.seed for arm in arms.values()] == [7, 8] * 3

    def test_what_is_nothing_cannot_be_built(self):
        with pytest.raises(TypeError, match="no flow for Nobody"):
            built(Nobody(), SETUP)


class TestLinks:
    @settings(max_examples=50)
    @given(benches)
    def test_a_link_says_the_whole_bench_and_gives_it_back(self, bench):
        query = query_of(Setup(), benches=[bench])
        found = read_link(query)
        assert found.refused == () and bench in found.benches

    def test_its_names_are_nested_as_its_arms_are(self):
        bench = Compare("spectra", Residual(Truncated(7), 0.9), Baseline("nsf"), Residual(Roulette()), Nobody(), 3, 900)
        query = {k: v for k, v in query_of(Setup(), benches=[bench]).items() if k.startswith("compare.")}
        assert {k: v for k, v in query.items() if not k.startswith("compare.c.")} == {
            "compare.view": "spectra",
            "compare.a": "residual",
            "compare.a.log_det": "truncated",
            "compare.a.log_det.n_terms": "7",
            "compare.a.log_det.probe": "gaussian",
            "compare.a.log_det.n_probes": "1",
            "compare.a.log_det.gradient": "neumann",
            "compare.a.log_det.exact_traces": "0",
            "compare.a.budget": "0.9",
            "compare.b": "peer",
            "compare.b.kind": "nsf",
            "compare.c": "residual",
            "compare.d": "none",
            "compare.seeds": "3",
            "compare.steps": "900",
        }
        assert query["compare.c.log_det.law"] == "geometric"
        assert query_of(Setup(), benches=[Compare()]).keys() & query.keys() == set()

    @pytest.mark.parametrize(
        ("name", "value", "allowed", "kept"),
        [
            ("a", "magic", "residual, inside, peer, none", "residual"),
            ("c.kind", "glow", "nice, realnvp, maf, nsf", "realnvp"),
            ("b.log_det", "guess", "exact, truncated, roulette", "truncated"),
            ("b.log_det.n_terms", "51", "1 to 50", "5"),
            ("a.budget", "1.0", "0.05 to 0.999", "0.97"),
            ("seeds", "13", "1 to 12", "2"),
            ("steps", "99", "100 to 20000", "1500"),
            ("view", "movie", "densities, samples, spectra, layers", "densities"),
            ("d.budget", "0.5", "no such", ""),
        ],
    )
    def test_bad_values_are_refused_with_the_remedy(self, name, value, allowed, kept):
        found = read_link({f"compare.{name}": value})
        (said,) = found.refused
        assert f"compare.{name}" in said and (value in said or not kept)
        _, there, after = said.partition(f" {allowed}")
        assert there and f" {kept}" in after
        assert found == Link(refused=(said,))


class TestPresets:
    @pytest.mark.parametrize("name", PRESETS)
    def test_each_is_itself_and_no_other_whatever_is_shown(self, name):
        preset = PRESETS[name]
        setup = Setup(data=preset.data, flow=preset.flow, train=preset.train)
        assert [key for key, other in PRESETS.items() if other.is_set(setup, preset.bench)] == [name]
        view = {"samples": "spectra"}.get(preset.bench.view, "samples")
        assert preset.is_set(setup, Compare(**vars(preset.bench) | {"view": view}))
        assert not preset.is_set(Setup(data="moons", flow=preset.flow, train=preset.train), preset.bench)
        assert len(preset.bench.arms) >= 2 and preset.away in ("", *PRESETS)
        budgets = {arm.budget for arm in preset.bench.arms if not isinstance(arm, Baseline)}
        assert preset.flow.budget in budgets  # so that the sidebar says what is compared, where it is one

    def test_there_and_back(self):
        assert [PRESETS[PRESETS[name].away].away for name in ("believes", "honest")] == ["believes", "honest"]


def structure(config):
    flow = config.build(seeded(0))
    flow.initialize(DATA.held_out()[:500])
    return jacobian_structure(flow, DATA.held_out()[:50])


class TestPictures:
    @pytest.mark.parametrize("terms", [1, 2, 5, MOST])
    def test_the_error_of_the_series_is_that_of_every_node(self, terms):
        found = pictures.series_error(terms)
        axis = np.linspace(-1.06, 1.06, 81)
        for row, column in itertools.product((0, 13, 40, 55, 80), repeat=2):
            at = complex(axis[column], axis[row])
            powers, total = 1, 0
            for k in range(1, terms + 1):
                powers *= at
                total += -((-1) ** k) * powers / k
            assert found[row, column] == pytest.approx(total.real - math.log(abs(1 + at)), rel=1e-9, abs=1e-12)
        assert found[40, 40] == 0
        np.testing.assert_allclose(found, found[::-1], rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize(
        ("config", "latex", "kind"),
        [
            (BaselineConfig("nice", 2, 8), r"1 & 0 \\ {c} & 1", Structure.SHIFT),
            (BaselineConfig("realnvp", 2, 8), r"1 & 0 \\ {c} & {d}", Structure.COUPLING),
            (BaselineConfig("maf", 2, 8), r"{a} & 0 \\ {c} & {d}", Structure.AUTOREGRESSIVE),
            (BaselineConfig("nsf", 2, 8), r"{a} & 0 \\ {c} & {d}", Structure.AUTOREGRESSIVE),
            (FlowConfig(2, 8), r"{a} & {b} \\ {c} & {d}", Structure.FREE),
        ],
    )
    def test_the_zeros_and_ones_of_a_layer(self, config, latex, kind):
        found = structure(config)
        (a, b), (c, d) = ((f"{value:.2f}" for value in row) for row in found)
        inside = latex.format(a=a, b=b, c=c, d=d)
        assert pictures.matrix(found) == rf"\begin{{pmatrix}} {inside} \end{{pmatrix}}"
        assert pictures.structure_of(found) is kind and kind in words.STRUCTURES

    def test_which_coordinate_is_kept_does_not_matter(self):
        assert pictures.structure_of(np.array([[0.7, 0.2], [0, 1]])) is Structure.COUPLING
        assert pictures.structure_of(np.array([[0.7, 0.2], [0, 0.9]])) is Structure.AUTOREGRESSIVE

    def derivatives(self, scale=0.5):
        a = scale * torch.tensor([[[[-1.0, 0.2], [0.0, 0.6]]], [[[0.0, 0.5], [-0.5, 0.0]]]])
        return Derivatives(3, np.eye(2), spectrum(a, 2))

    @pytest.mark.parametrize("terms", [None, 1, 5, MOST])
    @pytest.mark.parametrize("budget", [0.6, 0.99])
    def test_a_disc_has_its_eigenvalues_and_circles(self, terms, budget):
        arm = report([1.0], measured=[self.derivatives()])
        peer = report([1.0], measured=[Derivatives(3, np.eye(2), None)])
        labels = ["R", "P"]
        (pane,) = pictures.spectra(labels, [arm, peer], dict(zip(labels, (terms, None), strict=True)),
                                   dict(zip(labels, (budget, None), strict=True)))  # fmt: skip
        sent([pane])
        points = pane.dots[0].points
        expected = [(-0.5, 0.0), (0.3, 0.0), (0.0, 0.25), (0.0, -0.25)]
        np.testing.assert_allclose(sorted(points.tolist()), sorted(expected), atol=1e-6)
        radii = [float(np.hypot(*path.points.T).mean()) for path in pane.paths]
        assert radii == pytest.approx([budget, 1.0] if budget < 0.98 else [budget])
        assert "= 0.50." in pane.note  # of the largest |λ|
        assert (pane.heat is not None) == ("nats" in pane.note) == bool(terms)
        if terms:
            np.testing.assert_array_equal(pane.heat.values, pictures.series_error(terms))
            bias = bias_at(self.derivatives().spectrum, terms)
            eigenvalues = np.array([-0.5, 0.3, 0.25j, -0.25j])
            expected = sum(-((-1) ** k) * eigenvalues**k / k for k in range(1, terms + 1)) - np.log(1 + eigenvalues)
            assert bias == pytest.approx(expected.real.sum() / 2, rel=1e-5, abs=2e-7)
            assert signed(f" {bias:+.2g} ") in pane.note

    def test_without_residual_flows_or_measurements_there_are_no_discs(self):
        assert pictures.spectra(["P"], [report([1.0])], {"P": None}, {"P": None}) == []
        assert pictures.spectra(["R"], [report([1.0])], {"R": 5}, {"R": 0.9}) == []

    def test_samples_are_where_they_were_drawn_beside_as_many_data(self):
        empty, places = np.empty((0, 2), np.float32), np.array([[0, 0.5], [1, -1]], np.float32)
        frames = [
            Frame(0, empty, empty, empty, places),
            Frame(0, empty, empty, empty, empty, refusal="No inverse."),
        ]
        data, drawn, refused = pictures.samples(DATA, ["A", "B"], [report([0.5])] * 2, frames)
        sent([data, drawn, refused])
        np.testing.assert_allclose(data.dots[0].points, DATA.held_out()[: pictures.POINTS], atol=1e-6)
        np.testing.assert_array_equal(drawn.dots[0].points, places)
        assert drawn.note == fit(DATA, report([0.5])) and (refused.dots, refused.note) == ((), frames[1].refusal)

    def test_of_few_data_there_are_as_many_draws(self):
        empty, drawn = np.empty((0, 2), np.float32), np.ones((500, 2), np.float32)
        arms = [report([0.5], with_kl=False)]
        data, flow = pictures.samples(WINE, ["A"], arms, [Frame(0, empty, empty, empty, drawn)])
        n = len(WINE.held_out())
        assert n < 100 and (len(data.dots[0].points), len(flow.dots[0].points)) == (n, n)
        assert str(n) in data.note and str(n) in data.alt


def flow(log_det=None, budget=0.9):
    """A contender alone."""
    chosen = Baseline() if log_det is None else Residual(log_det, budget)
    return contenders(SETUP, Compare(a=chosen, b=Nobody(), c=Nobody(), d=Nobody()))[0]


def named(**flows):
    """Contenders by labels of their own."""
    return [type(one)(label, one.arm, one.parameters, one.excess) for label, one in flows.items()]


def masses(exact=1.0, believed=None, why=""):
    believed = believed if believed is None else Mass(believed, 0.001, believed)
    return Masses(100, Exact(), Mass(exact, 0.001, exact), believed, why)


class TestCharts:
    def test_belief_beside_truth_for_every_seed(self):
        groups = {
            "R": [report([1.0, 0.5]), report([0.9, 0.4])],
            "T": [report([1.0, 0.7], bias=[0.1, 0.9]), report([1.0, 0.6], bias=[0.2, 1.2])],
        }
        chart = charts.belief(DATA, groups, {"R": None, "T": 5})
        sent([chart])
        lines = {path.label: path for path in chart.paths if path.label}
        *flows, floor = lines
        assert flows == ["R", "T: truth", "T: belief"]
        np.testing.assert_allclose(lines["T: truth"].points, [[0, 3.0], [100, 2.7]], rtol=1e-6)
        np.testing.assert_allclose(lines["T: belief"].points, [[0, 2.9], [100, 1.8]], rtol=1e-6)
        np.testing.assert_allclose(lines["R"].points, [[0, 3.0], [100, 2.5]], rtol=1e-6)
        entropy = DATA.truth.entropy
        np.testing.assert_allclose(lines[floor].points, [[0, entropy], [100, entropy]])
        others = [path.points for path in chart.paths if not path.label]
        np.testing.assert_allclose(others[1], [[0, 3.0], [100, 2.6], [np.nan, np.nan]], rtol=1e-6)
        np.testing.assert_allclose(others[2], [[0, 2.8], [100, 1.4], [np.nan, np.nan]], rtol=1e-6)
        assert len(others) == 3
        assert lines["T: truth"].colour == lines["T: belief"].colour != lines["R"].colour

    def test_belief_without_a_truth_and_before_a_measurement(self):
        blank = ArmReport(step=0, steps_per_second=0.0, seconds=0.0)
        chart = charts.belief(WINE, {"T": [report([0.5], with_kl=False)], "B": [blank]}, {"T": 5, "B": None})
        assert [path.label for path in chart.paths] == ["T: truth", "T: belief"]
        assert charts.belief(DATA, {"B": [blank]}, {"B": None}).paths == ()
        sent([chart, charts.belief(DATA, {"B": [blank]}, {"B": None})])

    @pytest.mark.parametrize("terms", [1, 5, MOST_TERMS, MOST])
    def test_bias_against_terms_reaches_those_that_are_trained_with(self, terms):
        found = TestPictures().derivatives()
        arms = [
            report([1.0], measured=[found]),
            report([1.0]),
            report([1.0], measured=[Derivatives(0, np.eye(2), None)]),
        ]
        chart = charts.bias_by_terms(["T", "not yet", "P"], arms, {"T": terms, "not yet": 3, "P": None})
        (line,) = chart.paths
        count, bias = line.points.T
        assert count[0] == 1 and (np.diff(count) == 1).all() and terms <= count[-1] <= MOST
        np.testing.assert_allclose(bias, found.spectrum.biases[: len(bias)])
        assert bias[terms - 1] == bias_at(found.spectrum, terms)


class TestBelief:
    def found(self, bias, kl=0.5, believed=None, dataset=DATA, log_det=None):
        contenders = named(R=flow(Exact()), T=flow(log_det or Truncated(5)))
        truth = [report([1.0, 0.4])] * len(bias)
        measured = [masses(1.0, believed)] if believed else []
        arms = [report([1.0, kl], bias=[0.0, one], measured=measured) for one in bias]
        found = compared(dataset, contenders, {"R": truth, "T": arms})
        assert len(words.sentences(found)) == 2 + len(found.beliefs)  # by steps, by time, and each belief
        return found

    def belief(self, *given, **more):
        (found,) = self.found(*given, **more).beliefs
        assert found.label in words.about(found) and str(found.true) in words.about(found)
        return found

    def test_who_flatters_himself(self):
        found = self.found([0.05, 0.1, 0.06], believed=1.4)
        for ranking in (found.by_steps, found.by_time):
            assert (ranking.outcome, ranking.best, ranking.seeds) == (Outcome.FEW_SEEDS, "R", 3)
        assert (found.by_steps.seconds, found.by_time.seconds) == (None, 2.0)
        (found,) = found.beliefs
        assert (found.label, found.sign, found.is_impossible) == ("T", Sign.ABOVE, False)
        assert found.bias == near(0.07, 0.05, 0.1)
        assert (found.believed, found.true) == (near(2.43, 2.4, 2.45), near(2.5, 2.5, 2.5))
        assert found.mass == near(1.4, 1.4, 1.4)
        assert self.belief([0.05, 0.1, 0.06], believed=1.002).mass is None
        assert self.belief([0.05, 0.1, 0.06]).mass is None

    def test_who_believes_in_what_none_can_have(self):
        below = 2.5 - DATA.truth.entropy + 0.05
        found = self.belief([below, below + 0.1])
        assert found.is_impossible and found.entropy == DATA.truth.entropy
        assert not self.belief([below - 0.1, below + 0.1]).is_impossible
        found = self.belief([below, below + 0.1], dataset=WINE)
        assert found.entropy is None and not found.is_impossible

    def test_who_believes_what_is_so(self):
        found = self.belief([1e-5, -1e-5, 2e-4])
        assert found.sign is Sign.NONE
        assert [found.believed.mean, found.true.mean] == pytest.approx([2.5, 2.5], abs=5e-3)

    def test_who_takes_himself_for_less_does_not_flatter_himself(self):
        found = self.belief([-0.2, -0.3])
        assert (found.sign, found.bias) == (Sign.BELOW, near(-0.25, -0.3, -0.2))
        assert found.believed.mean == pytest.approx(2.75)
        assert "0.250 (0.200 to 0.300)" in words.about(found)  # the amount, without a sign

    def test_seeds_that_differ_in_sign_are_biased_all_the_same(self):
        found = self.belief([-0.4, 0.1])
        assert (found.sign, found.bias) == (Sign.MIXED, near(-0.15, -0.4, 0.1))
        assert found.believed == near(2.65, 2.4, 2.9)

    def test_an_unbiased_estimate_is_not_spoken_of(self):
        assert self.found([0.0] * 3, log_det=Roulette()).beliefs == ()

    def test_before_a_measurement_it_says_so_once(self):
        contenders = named(R=flow(Exact()), T=flow(Truncated(5)))
        blank = ArmReport(step=0, steps_per_second=0.0, seconds=0.0)
        found = compared(DATA, contenders, {"R": [blank], "T": [blank]})
        assert found.by_steps.outcome is found.by_time.outcome is Outcome.NOT_MEASURED
        assert found.beliefs == () and len(words.sentences(found)) == 1


FOUND = {"exact": flow(Exact()), "cut": flow(Truncated(5)), "roulette": flow(Roulette()), "peer": flow()}
GROUPS = {
    "exact": [report([1.0, 0.5], measured=[masses()]), report([1.0, 0.4], measured=[masses()])],
    "cut": [
        report([1.0, 0.6], bias=[0, 0.5], measured=[masses(1.0, 1.5)]),
        report([1.0, 0.8], bias=[0, 0.7], measured=[masses(1.0, 1.7)]),
    ],
    "roulette": [
        report([1.0, 0.5], measured=[masses(1.0, np.inf)]),
        report([1.0, 0.5], measured=[masses(1.0, None, "why")]),
    ],
    "peer": [report([1.0, 0.9], measured=[masses()]), report([1.0])],
}


class TestScores:
    def scores(self, dataset=DATA, groups=GROUPS, **found):
        return {one.label: score(dataset, one, groups[one.label]) for one in named(**(found or FOUND))}

    def cells(self, dataset, scores):
        """Of the table on the page, by the flow; with the width of its head."""
        head, _, *rows = ([cell.strip() for cell in row.split("|")[1:-1]]
                          for row in table.table(dataset, list(scores.values())).splitlines())  # fmt: skip
        assert {len(row) for row in rows} == {len(head)}
        return {row[0]: row[1:] for row in rows}

    def test_bands_of_every_flow(self):
        scores = self.scores()
        cut, exact = scores["cut"], scores["exact"]
        assert (cut.kl, cut.true) == (near(0.7, 0.6, 0.8), near(2.7, 2.6, 2.8))
        assert (cut.believed, cut.bias) == (near(2.1, 2.1, 2.1), near(0.6, 0.5, 0.7))
        assert (cut.mass, cut.believed_mass) == (near(1, 1, 1), near(1.6, 1.5, 1.7))
        assert cut.pace == pytest.approx(20)
        assert exact.believed == exact.true == near(2.45, 2.4, 2.5)
        assert (exact.bias, exact.mass, exact.believed_mass) == (Band(0, 0, 0), near(1, 1, 1), exact.mass)

    def test_the_table_shows_them(self):
        scores = self.scores()
        cells = self.cells(DATA, scores)
        assert list(cells) == list(FOUND)
        for label, (size, *shown, pace) in cells.items():
            of = scores[label]
            values = (of.kl, of.true, of.believed, of.bias, of.believed_mass, of.mass)
            assert size == FOUND[label].size and pace == f"{of.pace:.3g}"
            for text, value in zip(shown, values, strict=True):
                assert value is None or text == str(value)

    def test_what_is_not_known_or_not_measured_is_said(self):
        scores = self.scores()
        roulette, peer = scores["roulette"], scores["peer"]
        assert (roulette.mass, roulette.believed_mass) == (near(1, 1, 1), None)
        assert (peer.mass, peer.believed_mass) == (None, None)
        assert peer.kl.mean == pytest.approx(1)  # the measurement that both seeds have
        cells = self.cells(DATA, scores)
        assert cells["roulette"][5:7] == [table.NONE, "1.00"] and cells["peer"][5:7] == [table.NOT_YET] * 2
        blank = ArmReport(step=0, steps_per_second=0.0, seconds=0.0)
        scores = self.scores(groups={"cut": [blank]}, cut=FOUND["cut"])
        assert {value for name, value in vars(scores["cut"]).items() if name != "flow"} == {None}
        assert self.cells(DATA, scores)["cut"][1:] == [table.NOT_YET] * 7

    def test_without_beliefs_or_a_truth_there_are_no_columns_for_them(self):
        unknown = {label: [report([1.0, 0.5], with_kl=False, measured=[masses()])] for label in ("exact", "peer")}
        scores = self.scores(WINE, unknown, exact=FOUND["exact"], peer=FOUND["peer"])
        assert scores["exact"].kl is None
        assert self.cells(WINE, scores)["exact"] == [FOUND["exact"].size, "2.50", "1.00", "20"]


@pytest.mark.parametrize(
    ("step", "rate", "done", "left"),
    [
        (0, 0.0, 0, None),
        (300, 40.0, 300, 30.0),
        (1499, 900.0, 1499, 1 / 900),
        (1500, 0.0, 1500, None),
        (1700, 40.0, 1500, None),
    ],
)
def test_how_far_it_is(monkeypatch, step, rate, done, left):
    report = Report("", State.PLAYING, (ArmReport(step, rate, 9.0),))
    found = transport.progress(report.arms[0], 1500)
    assert (found.done, found.steps, found.seconds_left) == (done, 1500, left and pytest.approx(left))
    assert found.is_over == (step >= 1500)
    told = []
    monkeypatch.setattr(transport.st, "progress", lambda *said: told.append(said))
    transport._progress(report, 1500)
    ((share, text),) = told
    assert share == pytest.approx(done / 1500) and f"{done:,} of 1,500" in text
    assert ("30 s" in text) == (left == 30) and ("1 s" in text) == (step == 1499)  # never 0 s


def parsed(file):
    return list(csv.DictReader(io.StringIO(file.decode())))


class TestFiles:
    def test_a_row_for_every_seed_with_its_newest_numbers(self):
        rows = parsed(table.by_seed(named(**FOUND), GROUPS, 7))
        assert [(row["flow"], row["seed"]) for row in rows] == [(k, s) for k in FOUND for s in ("7", "8")]
        cut = [row for row in rows if row["flow"] == "cut"]
        assert [float(row["kl"]) for row in cut] == pytest.approx([0.6, 0.8])
        assert [float(row["nll"]) - float(row["bias"]) for row in cut] == pytest.approx([2.1, 2.1])
        assert [float(row["mass_believed_in"]) for row in cut] == [1.5, 1.7]
        assert cut[0]["log_det"] == repr(Truncated(5)) and eval(cut[0]["log_det"]) == Truncated(5)
        assert {row["step"] for row in cut} == {"100"} and {float(row["seconds"]) for row in cut} == {2.0}
        assert {int(row["parameters"]) for row in cut} == {FOUND["cut"].parameters}
        last = rows[-1]
        assert (last["step"], last["mass"], last["kl"]) == ("0", "", "1.0")

    def test_a_row_for_every_measurement(self):
        rows = parsed(table.by_step(named(**FOUND), GROUPS, 7))
        assert len(rows) == 15
        ours = [row for row in rows if (row["flow"], row["seed"]) == ("cut", "8")]
        assert [int(row["step"]) for row in ours] == [0, 100]
        assert [float(row["seconds"]) for row in ours] == [0, 2]
        assert [float(row["bias"]) for row in ours] == pytest.approx([0, 0.7])

    def test_nothing_measured_or_no_truth(self):
        blank = ArmReport(step=0, steps_per_second=0.0, seconds=0.0)
        (row,) = parsed(table.by_seed(named(cut=FOUND["cut"]), {"cut": [blank]}, 0))
        assert (row["step"], row["mass"], row["seed"]) == ("0", "", "0")
        assert parsed(table.by_step(named(cut=FOUND["cut"]), {"cut": [blank]}, 0)) == []
        (row,) = parsed(table.by_seed(named(cut=FOUND["cut"]), {"cut": [report([0.5], with_kl=False)]}, 0))
        assert "kl" not in row and float(row["nll"]) == 2.5
