"""The activation screen: its stored answer, what it makes of reports, and what its pages find and draw against the
core's own measurements, over the engine of this process."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import evidence
from app.engine.training.measurements.activity import POINTS
from app.features.activations import answers, inside, pictures, stored, used
from app.features.activations import evidence as evidence_of
from app.features.activations.inside import Inside, Layer, Pull
from app.features.activations.numbers import Slopes, Starvation, slopes, starvation
from app.features.activations.settings import Activations
from app.link import query_of, read_link
from app.setup import Setup
from app.ui.bands import Ranking
from resflow_core import measure
from resflow_core.activations import ACTIVATIONS, activation_named
from resflow_core.data import DATASETS
from resflow_core.fast.closed_forms import closed_form
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.pages import MAIN, SMALL, curves, decode, finding, link, number, own, panes, press, run, said, table

FLOW, TRAIN, DATA = FlowConfig(blocks=2, width=16), TrainConfig(batch=64), DATASETS["moons"]
OWN = "tanh(2*z)"
CURVES = slice(2, 5)
"""The charts of curves, below the two of the stored answer."""


def opened(view="curves", settings=(), **bench):
    page = AppTest.from_file(MAIN, default_timeout=600)
    asked = {f"activations.{name}": value for name, value in ({"view": view} | bench).items()}
    for name, value in (SMALL | dict(settings) | asked).items():
        page.query_params[name] = value
    page.switch_page("features/activations/activations.py")
    return run(page)


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
    return [part.numpy() for part in closed_form(activation_named(name)).derivatives(torch.as_tensor(t))]


class TestAnswer:
    @pytest.fixture
    def told(self):
        return evidence_of.read(evidence.stored(evidence_of.NAME).found)

    def test_its_sentence_says_what_is_stored(self, told):
        kept = evidence.stored(evidence_of.NAME)
        text = answers.sentence(told).replace("\N{NO-BREAK SPACE}", " ")
        for name, label in (("elu", "ELU"), ("lipswish", "LipSwish")):
            share = 100 * np.mean([arm["saturated"] for arm in kept.found[name]])
            gap = np.mean([arm["curves"]["held_kl"][-1] for arm in kept.found[name]])
            assert f"**{share:.{0 if share >= 10 else 1}f} %**" in text and f"{label} **{gap:.3f}**" in text

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
        s = measure.saturation(trained(dataclasses.replace(FLOW, activation=name), 5), DATA.held_out()[:POINTS])
        found = used.units(s)
        assert found.shares.sum() + found.beyond == pytest.approx(1)
        assert (found.saturated, found.straight) == (s.overall, s.straight)
        units = s.counts.sum(2)
        assert found.scale == pytest.approx((s.scales * units).sum() / units.sum())
        middle = s.counts.shape[2] // 2
        half = s.counts[:, :, middle].sum() / 2  # a bin that is centred at 0
        for side, share in ((slice(0, middle), found.shares[:48]), (slice(middle + 1, None), found.shares[48:])):
            expected = (s.counts[:, :, side].sum() + half) / s.counts.sum()
            assert share.sum() == pytest.approx(expected, abs=found.beyond + 1e-9)

    def test_the_hatched_part_is_where_a_unit_counts_as_saturated(self):
        t = np.linspace(-6, 6, 1201)
        zone = used.is_saturated(*used.curves("elu", t), 1.0)
        assert zone[t > 1e-9].all() and not zone[t < -0.1].any()
        shares = np.linspace(0, 2 / 96, 96)
        (chart,) = pictures.used({"ELU": "elu"}, {"ELU": [used.Units(shares, 0.5, 0.6, 1.0)]})
        units, slope, curvature, hatched = (path.points for path in chart.paths)
        assert np.nanmin(hatched[:, 0]) == pytest.approx(0, abs=0.02) and np.nanmax(hatched[:, 0]) == 6
        np.testing.assert_allclose(units[:, 1], shares / shares.max())
        np.testing.assert_allclose(slope[:, 1], np.exp(np.minimum(slope[:, 0], 0)), atol=1e-9)
        np.testing.assert_allclose(curvature[t < 0, 1], np.exp(t[t < 0]), atol=1e-9)


def test_which_starve_and_which_are_too_steep():
    assert starvation(["elu", "sine", "relu"]) == Starvation(("elu", "relu"), ("sine",))
    assert starvation([f"={OWN}", "tanh"]) == Starvation((), (f"={OWN}", "tanh"))
    found = slopes(["lipswish", "elu", "selu", "maxmin"], raw=True)
    assert found.breaking == pytest.approx({"lipswish": 1.09984, "selu": 1.7581}, abs=1e-5)
    assert found.largest == pytest.approx(1.7581, abs=1e-5) and list(found.steepest) == ["lipswish", "elu", "selu"]
    assert not slopes(["lipswish", "selu"], raw=False).breaking


@pytest.mark.parametrize(
    ("cosine", "pull"),
    [(-0.11, Pull.AGAINST), (-0.1, Pull.UNRELATED), (0.1, Pull.UNRELATED), (0.11, Pull.TOGETHER)],
)
def test_how_gradients_pull(cosine, pull):
    assert Inside("elu", 0.5, 0, 0.5, 1.0, 1.0, cosine).pull is pull
    assert inside.vanished(np.array([0.5, 0.0, 0.25])) == [2]


def test_a_link_says_the_whole_bench_and_what_cannot_be_is_refused():
    bench = Activations("consequences", "elu,sine", "max(z, 0.1*z) + sin(pi*z)/4", raw=True, beta=0.25, seeds=5)
    found = read_link(query_of(Setup(), benches=[bench]))
    assert bench in found.benches and found.refused == ()
    assert bench.names == ("elu", "sine", f"={bench.formula}")
    for values in ({"formula": "z" * 201}, {"formula": "tanh("}, {"formula": "z^2"}, {"shown": "elu,elu"},
                   {"shown": "magic"}, {"shown": "elu,sine,tanh,relu,gelu,selu,softplus"}):  # fmt: skip
        with pytest.raises(ValueError):
            Activations(**values)


@pytest.mark.usefixtures("local_engine")
class TestCurves:
    def agree(self, page, names, beta=1.0, raw=False):
        for name, label in names.items():
            constant = 1.0 if raw else closed_form(activation_named(name)).lipschitz(math.inf)
            for order, pane in enumerate(panes(page)[CURVES]):
                z, y = path(pane, label).T.astype(float)
                assert (z[0], z[-1]) == (-6, 6)
                expected = derivatives(name, beta * z)[order] * beta ** (order - 1) / constant
                np.testing.assert_allclose(y, expected, atol=1e-5 * beta)

    def test_they_are_those_of_the_registry_over_their_constant_and_beta_makes_them_narrower(self):
        page = opened(shown="lipswish,elu,selu,cpila")
        assert answers.sentence(stored.found()) in said(page)
        names = {name: ACTIVATIONS[name].title for name in ("lipswish", "elu", "selu", "cpila")}
        self.agree(page, names)
        page = run(page.slider(key="activations.beta").set_value(2.5))
        self.agree(page, names, beta=2.5)
        steepest = [decode(p["points"]) for p in panes(page)[CURVES][1]["paths"] if p["markers"]]
        np.testing.assert_allclose(steepest[0], [[2.39935728 / 2.5, 1.0]], atol=1e-5)
        page = run(
            run(page.slider(key="activations.beta").set_value(1.0)).toggle(key="activations.raw").set_value(True)
        )
        self.agree(page, names, raw=True)
        page = run(page.multiselect(key="activations.chosen").set_value(["elu"]))
        assert finding(page, Slopes) == Slopes({"elu": 1.0}) and link(page)["activations.shown"] == "elu"

    def test_the_table_says_what_is_measured_and_maxmin_is_a_map_of_pairs(self):
        shown = ["maxmin", "clipswish", "softplus", "sine", "selu"]
        page = opened(shown=",".join(shown))
        rows = table(page, "| activation |")
        assert len(rows) == 1 + len(shown)
        for name in shown:
            about, cells = measure.criteria(ACTIVATIONS[name]), rows[ACTIVATIONS[name].title]
            assert cells[0].startswith("starves") == (about.verdict is measure.Verdict.STARVES)
            assert number(cells[1]) == pytest.approx(about.function.found, abs=6e-6)
            assert number(cells[3]) == pytest.approx(closed_form(ACTIVATIONS[name]).lipschitz(math.inf), abs=6e-6)
            for cell, parts in ((cells[4], [about.left.slope, about.right.slope]),
                                (cells[5], [about.left.curvature, about.right.curvature])):  # fmt: skip
                for text, value in zip(cell.split(", "), parts, strict=True):
                    assert (value is None and text == "none") or number(text) == pytest.approx(value, abs=6e-4)
        assert rows["Softplus"][2] == "∞"
        image, _ = curves(panes(page)[CURVES.stop])
        image = image[np.isfinite(image).all(1)]
        assert (image[:, 0] >= image[:, 1]).all() and {-2.0, 2.0} <= set(image[:, 0].tolist())

    @pytest.mark.thorough
    def test_a_formula_is_drawn_with_its_constant_and_the_last_good_one_stays(self):
        page = run(opened(shown="elu").text_input(key="activations.formula").set_value(OWN))
        self.agree(page, {f"={OWN}": "your own"})
        row = table(page, "| activation |")["your own"]
        assert (row[1], row[3]) == ("2.00000", "2.00000")
        for text in ("foo(z)", "tanh(z", "tanh(z) + z^2", "3 + 4"):
            page = run(page.text_input(key="activations.formula").set_value(text))
            assert len(page.main.error) == 1 and own(page).benches[Activations].formula == OWN
        page = press(run(page.selectbox(key="activations.train").set_value(f"={OWN}")), "activations.use")
        assert own(page).setup.flow == dataclasses.replace(FLOW, activation=f"={OWN}")
        assert link(page)["activation"] == f"={OWN}" and page.button(key="activations.use").disabled


@pytest.mark.thorough
@pytest.mark.usefixtures("local_engine")
@pytest.mark.parametrize(("activation", "scale"), [("lipswish", 1.0), ("cpila", 0.5)])
def test_inside_a_flow_numbers_and_charts_are_those_of_the_measurements(activation, scale):
    edit = {"lipschitz.block": "2", "lipschitz.scale": str(scale)} if scale != 1 else {}
    page = opened("inside", {"activation": activation} | edit, block="9", layer="2")
    flow, x = trained(dataclasses.replace(FLOW, activation=activation)), DATA.held_out()[:POINTS]
    flow = flow.scaled(1, scale) if scale != 1 else flow
    s, split = measure.saturation(flow, x), measure.gradient_split(flow, x)
    found, looked_at = finding(page, Inside), finding(page, Layer)
    assert found.saturated == pytest.approx(s.overall, abs=1e-4)
    assert (found.fullest, found.most) == (s.by_block.argmax(), pytest.approx(s.by_block.max(), abs=1e-4))
    assert (found.log_det, found.base) == pytest.approx((split.residual.log_det, split.residual.base), rel=1e-3)
    assert found.cosine == pytest.approx(split.residual.cosine, abs=1e-3)
    assert (looked_at.block, looked_at.layer) == (1, 1)  # a block beyond the flow is its last
    assert looked_at.saturated == pytest.approx(s.share[1, 1], abs=1e-4)
    units, shares, plane, now, _ = panes(page)
    (t, count), (_, steepness), (_, bend) = (curve.T.astype(float) for curve in curves(units))
    edges, counts = s.edges[1, 1], s.counts[1, 1]
    np.testing.assert_allclose(t, (edges[1:] + edges[:-1]) / 2, atol=1e-5)
    np.testing.assert_allclose(count, counts / counts.max(), atol=1e-5)
    if activation == "lipswish":  # one number is made of one
        _, slope, curvature = (part / closed_form(activation_named(activation)).lipschitz(2)
                               for part in derivatives(activation, t))  # fmt: skip
        np.testing.assert_allclose(steepness, np.abs(slope), atol=1e-5)
        np.testing.assert_allclose(bend, s.scales[1, 1] * np.abs(curvature), atol=1e-4)
        assert abs(s.scales[1, 1] - 1) > 0.01
    for drawn, share in zip(curves(shares), s.share.T, strict=True):
        np.testing.assert_allclose(drawn[:, 1], 100 * share, atol=1e-3)
    map_ = 100 * measure.saturation_map(flow, measure.grid_points(DATA.window, 60)).reshape(60, 60)
    level, (low, high) = decode(plane["heat"]["level"]), plane["heat"]["range"]
    assert (low, high) == pytest.approx((map_.min(), max(map_.max(), map_.min() + 1)))
    np.testing.assert_allclose(low + level / 254 * (high - low), map_, atol=(high - low) / 254)
    log_det, base = (curve[:, 1] for curve in curves(now))
    np.testing.assert_allclose(log_det, split.blocks.log_det, rtol=1e-3)
    np.testing.assert_allclose(base, split.blocks.base, rtol=1e-3)


@pytest.mark.thorough
@pytest.mark.usefixtures("local_engine")
def test_consequences_are_those_of_flows_that_are_trained_alone_and_one_is_adopted():
    page = press(opened("consequences", shown="elu,sine", seeds="2"), "step.activations")
    comparison = own(page).comparisons["activations"]
    flows = [dataclasses.replace(FLOW, activation=name) for name in ("elu", "sine")]
    assert [(arm.flow, arm.seed) for arm in comparison.experiment.arms] == [
        (flow, seed) for flow in flows for seed in (3, 4)
    ]
    x, rows = DATA.held_out(), table(page, "| activation |")
    by_steps, kls = panes(page)[-2], {}
    for flow in flows:
        label, alone = ACTIVATIONS[flow.activation].title, [trained(flow, 1, seed) for seed in (3, 4)]
        kls[label] = kl = [measure.kl(DATA.truth.log_prob(x), measure.log_prob(f, x)).value for f in alone]
        band = finding(page, Ranking).fits[label]
        assert (band.mean, band.low, band.high) == pytest.approx((np.mean(kl), min(kl), max(kl)), rel=1e-3)
        log_dets = [measure.gradient_split(f, x[:POINTS]).residual.log_det for f in alone]
        assert number(rows[label][4].split(" (")[0]) == pytest.approx(np.mean(log_dets), rel=6e-3)
        assert path(by_steps, label)[-1].tolist() == pytest.approx([1, np.mean(kl)], rel=1e-3)
    assert finding(page, Ranking).best == min(kls, key=lambda label: np.mean(kls[label]))
    page = press(page, "activations.adopt.2")
    assert own(page).setup.flow == flows[1] and own(page).setup.start is not None
