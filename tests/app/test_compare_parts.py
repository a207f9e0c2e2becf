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

from app.engine.measurements.derivatives import Derivatives
from app.engine.measurements.masses import Masses
from app.engine.reports import ArmReport, Frame, Report, State
from app.features.compare import charts, pictures, results, table
from app.features.compare.arms import built, contenders, names
from app.features.compare.presets import PRESETS
from app.features.compare.settings import Baseline, Compare, Nobody, Residual
from app.link import Link, query_of, read_link
from app.setup import Setup
from app.ui import bands, transport
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


def as_typed(text):
    """-3.8e-5 from −3.8·10⁻⁵."""
    return text.replace(MINUS, "-").translate(PLAIN).replace("·10", "e")


def numbers(text):
    """Of a band: one number, or mean, least and largest."""
    return [float(as_typed(part)) for part in re.split(r" \(| to |\)", text) if part]


def structure_words(kind):
    """What is said of a layer of this kind."""
    if kind == "residual":
        return "Free form: each output depends on each input."
    if not BASELINES[kind].coupling:
        return "Autoregressive: triangular."
    return "Coupling: one coordinate is kept" + (", the other shifted. Volume is kept." if kind == "nice" else ".")


class TestArms:
    @pytest.mark.thorough
    @settings(max_examples=300, deadline=None)
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
        assert list(arms) == [
            f"{label}, seed {seed}"
            for label in ("i-ResNet, 3 terms, L = 0.6", "MAF", "Residual, roulette + Neumann, L = 0.9")
            for seed in (7, 8)
        ]
        assert [arm.seed for arm in arms.values()] == [7, 8] * 3

    def test_what_is_nothing_cannot_be_built(self):
        with pytest.raises(TypeError, match="no flow for Nobody"):
            built(Nobody(), SETUP)


class TestLinks:
    @settings(max_examples=100, deadline=None)
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
        ("name", "value", "says"),
        [
            ("a", "magic", "use one of residual, peer, none. It stays at residual."),
            ("c.kind", "glow", "use one of nice, realnvp, maf, nsf. It stays at realnvp."),
            ("b.log_det", "guess", "use one of exact, truncated, roulette. It stays at truncated."),
            ("b.log_det.n_terms", "51", "use a value from 1 to 50. It stays at 5."),
            ("a.budget", "1.0", "use a value from 0.05 to 0.999. It stays at 0.97."),
            ("seeds", "6", "use a value from 1 to 5. It stays at 2."),
            ("steps", "99", "use a value from 100 to 20000. It stays at 1500."),
            ("view", "movie", "use one of densities, samples, spectra, layers. It stays at densities."),
            ("d.budget", "0.5", "there is no such setting."),
        ],
    )
    def test_bad_values_are_refused_with_the_remedy(self, name, value, says):
        found = read_link({f"compare.{name}": value})
        (said,) = found.refused
        assert f"compare.{name}" in said and said.endswith(says)
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
        budgets = {arm.budget for arm in preset.bench.arms if isinstance(arm, Residual)}
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
        ("config", "latex", "words"),
        [
            (
                BaselineConfig("nice", 2, 8),
                r"1 & 0 \\ {c} & 1",
                "Coupling: one coordinate is kept, the other shifted. Volume is kept.",
            ),
            (BaselineConfig("realnvp", 2, 8), r"1 & 0 \\ {c} & {d}", "Coupling: one coordinate is kept."),
            (BaselineConfig("maf", 2, 8), r"{a} & 0 \\ {c} & {d}", "Autoregressive: triangular."),
            (BaselineConfig("nsf", 2, 8), r"{a} & 0 \\ {c} & {d}", "Autoregressive: triangular."),
            (FlowConfig(2, 8), r"{a} & {b} \\ {c} & {d}", "Free form: each output depends on each input."),
        ],
    )  # fmt: skip
    def test_the_zeros_and_ones_of_a_layer(self, config, latex, words):
        found = structure(config)
        (a, b), (c, d) = ((f"{value:.2f}" for value in row) for row in found)
        inside = latex.format(a=a, b=b, c=c, d=d)
        assert pictures.matrix(found) == rf"\begin{{pmatrix}} {inside} \end{{pmatrix}}"
        assert pictures.in_words(found) == words

    def test_which_coordinate_is_kept_does_not_matter(self):
        assert pictures.in_words(np.array([[0.7, 0.2], [0, 1]])) == "Coupling: one coordinate is kept."
        assert pictures.in_words(np.array([[0.7, 0.2], [0, 0.9]])) == "Autoregressive: triangular."

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
        assert "Largest |λ| = 0.50." in pane.note
        assert (pane.heat is not None) == ("Bias of log p" in pane.note) == bool(terms)
        if terms:
            np.testing.assert_array_equal(pane.heat.values, pictures.series_error(terms))
            bias = float(as_typed(re.search(r"p: (\S+) nats", pane.note)[1]))
            eigenvalues = np.array([-0.5, 0.3, 0.25j, -0.25j])
            expected = sum(-((-1) ** k) * eigenvalues**k / k for k in range(1, terms + 1)) - np.log(1 + eigenvalues)
            assert bias == pytest.approx(expected.real.sum() / 2, rel=0.06, abs=2e-7)

    def test_without_residual_flows_or_measurements_there_are_no_discs(self):
        assert pictures.spectra(["P"], [report([1.0])], {"P": None}, {"P": None}) == []
        assert pictures.spectra(["R"], [report([1.0])], {"R": 5}, {"R": 0.9}) == []

    def test_samples_are_where_they_were_drawn_beside_as_many_data(self):
        empty, corners = np.empty((0, 2), np.uint16), np.array([[0, 0], [65535, 65535], [32768, 0]], np.uint16)
        frames = [
            Frame(0, empty, 1.0, 1.0, empty, empty, corners),
            Frame(0, empty, 1.0, 1.0, empty, empty, corners[:0], refusal="No inverse."),
        ]
        data, drawn, refused = pictures.samples(DATA, ["A", "B"], [report([0.5])] * 2, frames)
        sent([data, drawn, refused])
        np.testing.assert_allclose(data.dots[0].points, DATA.held_out()[: pictures.POINTS], atol=1e-6)
        (x0, x1), (y0, y1) = DATA.window
        np.testing.assert_allclose(drawn.dots[0].points, [[x0, y0], [x1, y1], [(x0 + x1) / 2, y0]], atol=1e-3)
        assert drawn.note.startswith("KL 0.5") and (refused.dots, refused.note) == ((), "No inverse.")

    def test_of_few_data_there_are_as_many_draws(self):
        empty, drawn = np.empty((0, 2), np.uint16), np.full((500, 2), 30_000, np.uint16)
        arms = [report([0.5], with_kl=False)]
        data, flow = pictures.samples(WINE, ["A"], arms, [Frame(0, empty, 1.0, 1.0, empty, empty, drawn)])
        n = len(WINE.held_out())
        assert n < 100 and (len(data.dots[0].points), len(flow.dots[0].points)) == (n, n)
        assert data.note == f"{n} held-out points." and data.alt.startswith(f"{n} points")


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
        assert list(lines) == ["R", "T: truth", "T: belief", "entropy: no flow is below"]
        np.testing.assert_allclose(lines["T: truth"].points, [[0, 3.0], [100, 2.7]], rtol=1e-6)
        np.testing.assert_allclose(lines["T: belief"].points, [[0, 2.9], [100, 1.8]], rtol=1e-6)
        np.testing.assert_allclose(lines["R"].points, [[0, 3.0], [100, 2.5]], rtol=1e-6)
        entropy = DATA.truth.entropy
        np.testing.assert_allclose(lines["entropy: no flow is below"].points, [[0, entropy], [100, entropy]])
        others = [path.points for path in chart.paths if not path.label]
        np.testing.assert_allclose(others[2], [[0, 2.8], [100, 1.4], [np.nan, np.nan]], rtol=1e-6)
        assert len(others) == 3
        assert lines["T: truth"].colour == lines["T: belief"].colour != lines["R"].colour
        assert "T believes 1.60 (1.40 to 1.80) nats and has 2.65 (2.60 to 2.70) nats" in chart.alt

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
        assert f"T: {bias[terms - 1]:.2g} nats with the terms that it is trained with" in chart.alt


class TestVerdicts:
    def said(self, bias, kl=0.5, believed=None, dataset=DATA, log_det=None, **arm):
        found = named(R=flow(Exact()), T=flow(log_det or Truncated(5)))
        truth = [report([1.0, 0.4])] * len(bias)
        measured = [masses(1.0, believed)] if believed else []
        arms = [report([1.0, kl], bias=[0.0, one], measured=measured) for one in bias]
        return results.verdicts(dataset, found, {"R": truth, "T": arms})

    def test_who_flatters_himself(self):
        first, by_time, last = self.said([0.05, 0.1, 0.06], believed=1.4)
        assert first.startswith("**R is ahead in all 3 seeds**") and "of training each" in by_time
        assert last == (
            "**T flatters itself by 0.0700 (0.0500 to 0.100) nats**: it believes NLL 2.43 (2.40 to 2.45) and has 2.50; "
            "the density that it believes in has mass 1.40."
        )
        *_, last = self.said([0.05, 0.1, 0.06], believed=1.002)
        assert "mass" not in last

    def test_who_believes_in_what_none_can_have(self):
        below = 2.5 - DATA.truth.entropy + 0.05
        *_, last = self.said([below, below + 0.1])
        assert last.endswith(f", and its NLL would lie below the entropy, {DATA.truth.entropy:.3f}, which none can.")
        *_, last = self.said([below - 0.1, below + 0.1])
        assert "entropy" not in last
        *_, last = self.said([below, below + 0.1], dataset=WINE)
        assert "entropy" not in last

    def test_who_believes_what_is_so(self):
        *_, last = self.said([1e-5, -1e-5, 2e-4])
        assert last == "T believes what is so: NLL 2.50 (2.50 to 2.50) and has 2.50 nats." or last == (
            "T believes what is so: NLL 2.50 and has 2.50 nats."
        )

    def test_who_takes_himself_for_less_does_not_flatter_himself(self):
        *_, last = self.said([-0.2, -0.3])
        assert "flatters" not in last and "what is so" not in last
        assert last.startswith(
            "**T thinks too little of itself, by 0.250 (0.200 to 0.300) nats**: it believes NLL 2.75"
        )

    def test_seeds_that_differ_in_sign_are_biased_all_the_same(self):
        *_, last = self.said([-0.4, 0.1])
        assert last.startswith(
            "**T is wrong about itself, this way or that by the seed: "
            f"by {MINUS}0.150 ({MINUS}0.400 to 0.100) nats**: it believes NLL 2.65 (2.40 to 2.90)"
        )
        for words in ("what is so", "flatters", "too little"):
            assert words not in last

    def test_an_unbiased_estimate_is_not_spoken_of(self):
        assert len(self.said([0.0] * 3, log_det=Roulette())) == 2

    def test_before_a_measurement_it_says_so_once(self):
        found = named(R=flow(Exact()), T=flow(Truncated(5)))
        blank = ArmReport(step=0, steps_per_second=0.0, seconds=0.0)
        assert results.verdicts(DATA, found, {"R": [blank], "T": [blank]}) == ["Not measured yet."]


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


class TestTable:
    def rows(self, dataset=DATA, groups=GROUPS, **found):
        head, _, *rows = table.table(dataset, named(**(found or FOUND)), groups).splitlines()
        cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in (head, *rows)]
        assert len({len(row) for row in cells}) == 1
        return {row[0]: dict(zip(cells[0], row, strict=True)) for row in cells[1:]}

    def test_bands_of_every_flow(self):
        rows = self.rows()
        assert list(rows) == list(FOUND)
        cut = rows["cut"]
        assert numbers(cut["KL, nats"]) == pytest.approx([0.7, 0.6, 0.8])
        assert numbers(cut["true NLL, nats"]) == pytest.approx([2.7, 2.6, 2.8])
        assert numbers(cut["believed NLL, nats"]) == pytest.approx(
            [2.1, 2.1, 2.1][: len(numbers(cut["believed NLL, nats"]))]
        )
        assert numbers(cut["bias of log p, nats"]) == pytest.approx([0.6, 0.5, 0.7])
        assert numbers(cut["mass believed in"]) == pytest.approx([1.6, 1.5, 1.7])
        assert (cut["mass"], cut["ms a step"]) == ("1.00", "20")
        exact = rows["exact"]
        assert exact["believed NLL, nats"] == exact["true NLL, nats"]
        assert (exact["bias of log p, nats"], exact["mass believed in"], exact["mass"]) == ("0", "1.00", "1.00")
        assert exact["parameters"] == FOUND["exact"].size and rows["peer"]["parameters"] == FOUND["peer"].size

    def test_what_is_not_known_or_not_measured_is_said(self):
        rows = self.rows()
        assert (rows["roulette"]["mass believed in"], rows["roulette"]["mass"]) == ("not known", "1.00")
        assert (rows["peer"]["mass believed in"], rows["peer"]["mass"]) == ("…", "…")
        assert rows["peer"]["KL, nats"].startswith("1.00")  # the measurement that both seeds have
        blank = ArmReport(step=0, steps_per_second=0.0, seconds=0.0)
        row = self.rows(groups={"cut": [blank]}, cut=FOUND["cut"])["cut"]
        assert [row[name] for name in row if name not in ("flow", "parameters")] == ["…"] * 7

    def test_without_beliefs_or_a_truth_there_are_no_columns_for_them(self):
        unknown = {label: [report([1.0, 0.5], with_kl=False, measured=[masses()])] for label in ("exact", "peer")}
        rows = self.rows(WINE, unknown, exact=FOUND["exact"], peer=FOUND["peer"])
        assert list(rows["exact"]) == ["flow", "parameters", "true NLL, nats", "mass", "ms a step"]


@pytest.mark.parametrize(
    ("step", "rate", "share", "text"),
    [
        (0, 0.0, 0.0, "0 of 1,500 steps of every flow"),
        (300, 40.0, 0.2, "300 of 1,500 steps of every flow, about 30 s left"),
        (1499, 900.0, 1499 / 1500, "1,499 of 1,500 steps of every flow, about 1 s left"),
        (1500, 0.0, 1.0, "1,500 of 1,500 steps of every flow: done. Play goes on without end."),
        (1700, 40.0, 1.0, "1,500 of 1,500 steps of every flow: done. Play goes on without end."),
    ],
)
def test_how_far_it_is(monkeypatch, step, rate, share, text):
    told = []
    monkeypatch.setattr(transport.st, "progress", lambda *said: told.append(said))
    transport._progress(Report("", State.PLAYING, (ArmReport(step, rate, 9.0),)), 1500)
    assert told == [(pytest.approx(share), text)]


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
