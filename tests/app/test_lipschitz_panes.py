"""What the Lipschitz screen draws and says, from arrays alone: words, arms of comparisons, panes, and unit balls."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from app.components.planes.panes import Chart, encode
from app.engine.commands import Scaled
from app.engine.reports import ArmReport, LossCurves, Report, State
from app.features.lipschitz import arms, enforced, inverse, norms
from app.features.lipschitz.induced import induced
from app.setup import Setup
from app.ui import side_by_side
from app.words import order_name, wide
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.log_det import Exact
from resflow_core.measure.inversion import MOST_STEPS
from resflow_core.measure.invertibility import Regime
from resflow_core.norms.constraints import Off, Power
from resflow_core.training.parameter_count import parameter_count

MINUS, INFINITY = "\N{MINUS SIGN}", "∞"
FLOW = FlowConfig(blocks=2, width=8)
changed = dataclasses.replace


def built(config=FLOW):
    return config.build(torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def found():
    """An inverse that is certified, of a block that folds at some s."""
    points = DATASETS["moons"].held_out()[:200]
    return next(i for i in measure.inversion(built(), points, None, 1.0, None, "banach") if i is not None)


@pytest.fixture(scope="module")
def folded(found):
    points, s = DATASETS["moons"].held_out()[:200], 1.1 * float(found.breaking.min())
    return next(i for i in measure.inversion(built(), points, None, s, None, "banach") if i is not None)


@pytest.fixture(scope="module")
def blocks():
    flow = built()
    return measure.block_table(flow, measure.evaluate(flow, DATASETS["moons"].held_out()[:200]), Exact())


def sent(panes):
    """What the browser gets, which must be JSON; and every picture says in words what it shows."""
    shown = [json.loads(json.dumps(encode(pane), allow_nan=False)) for pane in panes]
    assert all(len(pane["alt"]) > 40 and "nan" not in pane["alt"] and "inf" not in pane["alt"] for pane in shown)
    return shown


class TestWords:
    def test_orders(self):
        assert [order_name(p) for p in (1.0, 2.0, 1.25, 4 / 3, math.inf)] == ["1", "2", "1.25", "1.33", INFINITY]

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (0.0, "0"),
            (1.234, "1.23"),
            (-0.00123, f"{MINUS}0.00123"),
            (999.4, "999"),
            (999.7, "1,000"),
            (17234.0, "17,200"),
            (-17234.0, f"{MINUS}17,200"),
            (99949.0, "99,900"),
            (99960.0, "1.0·10⁵"),
            (1.26e7, "1.3·10⁷"),
            (-1.26e7, f"{MINUS}1.3·10⁷"),
            (5.81e-5, "5.8·10⁻⁵"),
            (1e-12, "1.0·10⁻¹²"),
            (math.inf, INFINITY),
            (-math.inf, f"{MINUS}{INFINITY}"),
            (math.nan, "undecided"),
        ],
    )
    def test_numbers_that_span_decades(self, value, text):
        assert wide(value) == text


class TestArms:
    def test_budgets_differ_in_nothing_else(self):
        setup = Setup(data="moons", flow=FLOW)
        found = arms.budgets(setup)
        assert list(found) == ["L = 0.3", "L = 0.6", "L = 0.9", "L = 0.99"]
        assert [arm.flow for arm in found.values()] == [changed(FLOW, budget=b) for b in (0.3, 0.6, 0.9, 0.99)]
        assert {(arm.train, arm.data, arm.weights) for arm in found.values()} == {(setup.train, "moons", None)}

    def test_norms_are_all_chains(self):
        found = arms.norms(Setup(flow=FLOW))
        assert [arm.flow for arm in found.values()] == [changed(FLOW, norms=name) for name in NORM_CHAINS]
        assert list(found) == ["2-norm", "∞-norm", "1-norm", "Norms ∞ → 2 → ∞", "Learned norms, from 4"]

    @pytest.mark.parametrize(
        ("config", "within"),
        [
            (FlowConfig(), 0.04),
            (FlowConfig(activation="clipswish"), 0.05),
        ],
    )
    def test_shapes_have_equal_numbers_of_parameters(self, config, within):
        wanted = parameter_count(config)  # of as many units as everybody begins with
        found = arms.shapes(Setup(flow=config))
        assert [(arm.flow.blocks, arm.flow.hidden_layers) for arm in found.values()] == [(24, 1), (10, 2), (4, 4)]
        for label, arm in found.items():
            off = abs(parameter_count(arm.flow) - wanted)
            assert off <= within * wanted
            for other in (arm.flow.width - 1, arm.flow.width + 1):
                assert off <= abs(parameter_count(changed(arm.flow, width=other)) - wanted)
            assert arm.flow == changed(
                config, **{k: getattr(arm.flow, k) for k in ("blocks", "hidden_layers", "width")}
            )
            plural = "s" if arm.flow.hidden_layers > 1 else ""
            assert (
                label == f"{arm.flow.blocks} blocks, {arm.flow.hidden_layers} hidden layer{plural} of {arm.flow.width}"
            )

    def test_going_on_with_an_arm_changes_none_of_them(self):
        found = arms.shapes(Setup())
        assert all(arms.shapes(Setup(flow=arm.flow)) == found for arm in found.values())


class TestInverse:
    def test_panes_of_a_certified_block(self, found):
        steps, x, errors = sent(inverse._panes(found))
        most = int(found.steps.max())
        assert f"up to {most}" in steps["alt"] and "0 percent do not arrive" in steps["alt"]
        assert steps["note"] == f"At most {most} steps."
        assert steps["clickable"] and steps["point"] == pytest.approx(list(found.z))
        assert not steps["paths"] and not x["levels"]
        assert f"smallest {found.det.min():.3g}. It is positive everywhere." in x["alt"]
        assert [path["label"] for path in x["paths"]] == ["Banach's walk", "Newton's walk"]
        assert "Banach arrives; Newton arrives; chord arrives" in errors["alt"]
        assert "Newton's method with its first I + sA kept" in errors["note"]
        assert errors["y"] == "error ‖xₙ − x‖, 2-norm" and len(errors["paths"]) == 5

    def test_panes_of_a_folded_block(self, folded):
        steps, x, errors = sent(inverse._panes(folded))
        assert [path["label"] for path in steps["paths"]] == ["image of the fold"]
        assert [level["at"] for level in x["levels"]] == [0.0]
        assert x["alt"].endswith("It changes sign along the fold line.")
        assert x["heat"]["range"] == [-np.abs(folded.det).max(), np.abs(folded.det).max()]
        assert len(errors["paths"]) == 3  # no bounds

    def test_x_beyond_the_picture_are_counted(self, folded):
        (low, high), _ = folded.window
        beyond = np.array([[(low + high) / 2, sum(folded.window[1]) / 2], [high + 0.1, 0.0], [low - 0.1, 0.0]])
        for x, said in ((beyond, " Of the 3 x found, 2 are outside of the picture."), (beyond[:1], "")):
            note = sent(inverse._panes(changed(folded, preimages=x)))[1]["note"]
            assert note == f"Blue is where the map turns the plane over.{said}"
        note = sent(inverse._panes(changed(folded, preimages=beyond[:2])))[1]["note"]
        assert note.endswith(" Of the 2 x found, 1 is outside of the picture.")

    def test_z_whose_x_is_not_found_are_grey_and_counted(self, found):
        some, none = found.steps.copy(), np.full_like(found.steps, np.nan)
        some[:12] = np.nan
        steps = sent(inverse._panes(changed(found, steps=some)))[0]
        assert f"25 percent do not arrive in {MOST_STEPS}" in steps["alt"]
        assert steps["note"] == f"Grey: not there after {MOST_STEPS} steps (25 %)."
        assert f"**Certified.** s L = {found.lipschitz:.3g}" in (said := inverse._takeaway(changed(found, steps=some)))
        assert f"takes more than {MOST_STEPS} steps" in said
        assert "100 percent" in sent(inverse._panes(changed(found, steps=none)))[0]["alt"]

    def test_without_any_x_residuals_stand_for_errors(self, found):
        walks = {
            key: changed(walk, error=np.full_like(walk.error, np.nan), fate="wanders")
            for key, walk in found.walks.items()
        }
        lost = changed(found, preimages=np.empty((0, 2)), walks=walks)
        _, x, errors = sent(inverse._panes(lost))
        assert errors["y"] == "residual ‖rₙ‖, 2-norm" and errors["title"] == "Residual ‖rₙ‖ against n"
        assert errors["alt"].startswith("The residual ‖rₙ‖ of three iterations") and "Newton wanders" in errors["alt"]
        assert [dots["points"]["shape"] for dots in x["dots"]] == [[0, 2], [1, 2]]

    def test_infinite_bounds_are_not_drawn(self, found):
        infinite = np.full_like(found.a_priori, np.inf)
        chart = inverse._errors(changed(found, a_priori=infinite, a_posteriori=infinite))
        assert [path.label for path in chart.paths] == ["Banach", "Newton", "chord"]

    def test_curves_end_where_the_last_has_arrived_and_never_reach_0(self, found):
        error = np.array([1.0, 0.1, 1e-15, 0.0, 0.0])
        slow = np.array([1.0, 0.5, 0.25, 1e-15, 0.0])
        walks = {
            key: changed(found.walks[key], error=slow if key == "chord" else error, x=np.zeros((5, 2)))
            for key in found.walks
        }
        bounds = 2.0 ** -np.arange(5)
        chart = inverse._errors(changed(found, walks=walks, a_priori=bounds, a_posteriori=bounds))
        assert [len(path.points) for path in chart.paths] == [4] * 5
        assert chart.paths[0].points[:, 1].tolist() == [1.0, 0.1, 1e-15, inverse.ROUNDING]
        assert chart.log_y

    def test_a_walk_that_leaves_is_cut(self, found):
        (x0, x1), (y0, y1) = found.window
        middle, side = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), x1 - x0
        steps = np.array([0.0, 1.0, 2.9, 3.1, 0.0])[:, None] * [side, 0.0]
        assert inverse._near(middle + steps, found).tolist() == (middle + steps[:3]).tolist()
        assert inverse._near(middle - steps[:3], found).tolist() == (middle - steps[:3]).tolist()
        for bad in (np.nan, np.inf):
            gone = (middle + steps).copy()
            gone[1, 1] = bad
            assert len(inverse._near(gone, found)) == 1
        walks = found.walks | {"banach": changed(found.walks["banach"], x=np.full((5, 2), np.inf))}
        shown = sent(inverse._panes(changed(found, walks=walks)))[1]
        assert shown["paths"][0]["points"]["shape"] == [0, 2]

    def test_the_takeaway_names_the_regime(self, found, folded):
        assert found.regime is Regime.CERTIFIED and folded.regime is Regime.FOLDED
        loose = changed(found, regime=Regime.UNCERTIFIED, lipschitz=1.5, refusal="Because.")
        least = f"{found.breaking[found.block]:.3g}"
        said = inverse._takeaway(loose)
        assert said.startswith("**Uncertified.** s L = 1.5 is not below 1")
        assert f"A fold comes at s* = {least}." in said and said.endswith("Samples are refused: Because.")
        said = inverse._takeaway(changed(folded, preimages=np.zeros((3, 2)), refusal=""))
        assert said.startswith("**Not invertible.**") and "has 3 different x" in said and "refused" not in said
        assert "different x" not in inverse._takeaway(changed(folded, preimages=np.zeros((1, 2))))


class TestEnforced:
    def test_within(self, blocks):
        found = enforced.enforced(FLOW, blocks, None)
        certified, seen = blocks.layer_norms.prod(1), blocks.largest_norm
        assert found.within and found.invertible and found.finite
        assert (found.loosest, found.certified) == (certified.argmax(), certified.max())
        assert (found.steepest, found.seen, found.budget) == (seen.argmax(), seen.max(), 0.99)

    def test_within_though_single_layers_are_not(self, blocks):
        assert enforced.enforced(FLOW, blocks, None).above_cap == 0
        for layers, above in (([[0.5, 1.2], [0.5, 0.5]], 1), ([[0.5, 1.2], [1.1, 0.5]], 2)):
            found = enforced.enforced(FLOW, changed(blocks, layer_norms=np.array(layers)), None)
            assert found.within and (found.above_cap, found.layers) == (above, 4)
            assert found.cap == pytest.approx(0.99**0.5)

    @pytest.mark.parametrize("constraint", [Power(), Off()])
    @pytest.mark.parametrize(
        ("scaled", "to_blame"),
        [(None, None), (Scaled(1, 3.0), Scaled(1, 3.0)), (Scaled(0, 0.5), None)],  # the last is another block
    )
    def test_beyond(self, blocks, constraint, scaled, to_blame):
        flow = changed(FLOW, constraint=constraint)
        beyond = changed(blocks, layer_norms=np.array([[0.5, 0.5], [2.0, 1.25]]))
        found = enforced.enforced(flow, beyond, scaled)
        assert (found.loosest, found.certified, found.scaled) == (1, 2.5, to_blame)
        assert found.claim == constraint.claim.format(budget=0.99)
        assert found.finite and not found.within and not found.invertible
        barely = changed(blocks, layer_norms=np.array([[0.5, 0.5], [0.999, 0.996]]))
        found = enforced.enforced(flow, barely, scaled)
        assert found.certified == pytest.approx(0.995, abs=1e-4) and not found.within and found.invertible

    def test_what_is_not_finite_is_neither_within_nor_invertible(self, blocks):
        found = enforced.enforced(FLOW, changed(blocks, layer_norms=np.array([[0.5, np.nan], [0.5, 0.5]])), None)
        assert not (found.finite or found.within or found.invertible)

    def test_charts(self, blocks):
        flow = built()
        estimates = measure.norm_estimates(flow)
        layers, whole, norm = (enforced._layers(FLOW, blocks), enforced._blocks(FLOW, blocks),
                               enforced._estimates(estimates))  # fmt: skip
        for pane in sent([layers, whole, norm]):
            assert pane["kind"] == "chart"
        cap = 0.99**0.5
        assert [path.points[:, 1].tolist() for path in layers.paths[:2]] == blocks.layer_norms.T.tolist()
        assert layers.paths[2].points[:, 1].tolist() == [cap, cap]
        certified, seen = blocks.layer_norms.prod(1), blocks.largest_norm
        assert whole.y == "Lipschitz constant, 2-norm"
        assert [path.points[:, 1].tolist() for path in whole.paths] == [[0.99, 0.99], certified.tolist(), seen.tolist()]
        gram, exact, power = (path.points for path in norm.paths)
        assert (gram[0, 0], power[0, 0]) == (0, 1)  # before any step there is a Gram bound, and no estimate by power
        assert (gram[:, 1] >= estimates.exact).all() and (power[:, 1] <= estimates.exact).all()
        assert (exact[:, 1] == estimates.exact).all()

    def test_blocks_of_different_orders_share_no_norm(self, blocks):
        learned = changed(blocks, orders=np.array([[4.0, 3.0], [3.5, 3.0]]))
        assert enforced._blocks(FLOW, learned).y == "Lipschitz constant, each block's norm"
        infinite = changed(blocks, orders=np.full((2, 2), np.inf))
        assert enforced._blocks(FLOW, infinite).y == f"Lipschitz constant, {INFINITY}-norm"


NO_ORDERS = np.zeros((0, 0, 0))


def curves(orders=NO_ORDERS, held=(0, 100, 200), kl=(0.5, 0.25, 0.125)):
    held, kl, none = np.array(held), np.array(kl, np.float32), np.empty(0, np.float32)
    zero = 0 * kl
    return LossCurves(
        held, none, held, 2 + kl, 0.01 + zero, kl, 0.01 + zero, zero, zero, held / 50, orders.astype(np.float32)
    )


class TestSideBySide:
    DATA = DATASETS["moons"]

    def test_a_row_for_each_flow(self, blocks):
        setup = Setup(data="moons", flow=FLOW)
        compared = dict(list(arms.budgets(setup).items())[:2])
        never = changed(blocks, breaking=np.full(2, np.inf))
        reports = [ArmReport(200, 0.0, 1.0, loss=curves(), blocks=never), ArmReport(200, 0.0, 1.0)]
        first, second = side_by_side._table(self.DATA, list(compared), compared, reports).splitlines()[2:]
        cells = [cell.strip() for cell in first.split("|")[1:-1]]
        seen = blocks.largest_norm.max()
        assert cells[:2] == ["L = 0.3", "0.125 ± 0.010"]
        assert cells[2:] == [
            "0.3", f"{blocks.layer_norms.prod(1).max():.3f}", f"{seen:.3f}", f"{100 * seen / 0.3:.0f} %", "2", "none"
        ]  # fmt: skip
        assert [cell.strip() for cell in second.split("|")[1:-1]] == ["L = 0.6", *["…"] * 7]

    def test_curves_before_and_after_the_first_measurement(self):
        reports = [ArmReport(200, 0.0, 1.0, loss=curves()), ArmReport(0, 0.0, 0.0)]
        chart = side_by_side._losses(self.DATA, ["a", "b"], reports)
        assert [path.label for path in chart.paths] == ["a"]
        assert chart.paths[0].points.tolist() == [[0, 0.5], [100, 0.25], [200, 0.125]]
        assert "a: KL 0.125 ± 0.010 nats.; b: Not measured yet." in chart.alt
        assert chart.note == ""
        begun = ArmReport(0, 0.0, 0.0, loss=curves(held=(0,), kl=(0.5,)))
        assert side_by_side._losses(self.DATA, ["a"], [begun]).note == "Press Play."
        empty = ArmReport(0, 0.0, 0.0, loss=curves(held=(), kl=()))
        assert sent([side_by_side._losses(self.DATA, ["a"], [empty])])[0]["paths"][0]["points"]["shape"] == [0, 2]


class TestNorms:
    W = (1.0, 0.6, -0.4, 0.8)
    ORDERS = (*norms.ORDERS, 1.0000001, 37.5, 1e9)

    def brute(self, w, p, q):
        """The largest ||Wx||_q / ||x||_p in many directions, by NumPy; of the corners of a ball all are among them."""
        angle = np.arange(8 * 4000) * np.pi / 4000 / 8
        x = np.stack([np.cos(angle), np.sin(angle)])
        return (self.length(w @ x, q) / self.length(x, p)).max()

    def length(self, x, p):
        unit = np.abs(x).max(0)
        return unit * (1.0 if p == math.inf else ((np.abs(x) / unit) ** p).sum(0) ** (1 / p))

    @pytest.mark.thorough
    @pytest.mark.parametrize("q", ORDERS)
    @pytest.mark.parametrize("p", ORDERS)
    def test_the_norm_or_two_bounds_of_it(self, p, q):
        for w in (self.W, (0.3, -2.0, 5.0, 0.1), (1.0, 2.0, 2.0, 4.0)):
            upper, lower, best = induced(w, p, q)
            matrix = np.reshape(w, (2, 2))
            known = self.brute(matrix, p, q)
            assert lower == pytest.approx(known, rel=3e-3)
            assert lower >= known * (1 - 1e-9)
            assert upper >= known * (1 - 1e-9)
            assert self.length(best, p) == pytest.approx(1)
            assert self.length(matrix @ best, q) == pytest.approx(lower)
            if p == 1 or q == math.inf or p == q == 2:
                assert upper == pytest.approx(lower, rel=1e-4)

    def test_what_is_exact_is_said_to_be(self):
        (before, after), said = norms._balls(self.W, 2.0, 2.0)
        size = np.linalg.norm(np.reshape(self.W, (2, 2)), 2)
        assert said.startswith(f"**‖W‖ from 2 to 2 = {size:.3g}**, known exactly.")
        assert f"within the ball of the 2-norm of radius {size:.3g}" in after.alt
        star, ball = after.dots[0].points[0], before.paths[0].points
        assert np.linalg.norm(star) == pytest.approx(size, rel=1e-4)
        np.testing.assert_allclose(after.paths[0].points, ball @ np.reshape(self.W, (2, 2)).T)
        assert np.linalg.norm(after.paths[1].points, axis=1) == pytest.approx(np.full(len(ball), size), rel=1e-4)
        sent([before, after])

    def test_what_is_between_bounds_is_said_to_be(self):
        upper, lower, _ = induced(self.W, 4.0, 1.5)
        assert upper > lower * 1.001
        _, said = norms._balls(self.W, 4.0, 1.5)
        assert f"at least {lower:.3g}**, which a vector attains" in said
        assert f"at most {upper:.3g}**" in said

    def test_nothing_at_all_has_norm_0(self):
        panes, said = norms._balls((0.0, 0.0, 0.0, 0.0), 3.0, 1.5)
        assert "= 0**, known exactly" in said
        sent(panes)

    def test_learned_orders_are_a_line_a_block_and_layer(self):
        orders = np.arange(3 * 2 * 2).reshape(3, 2, 2) / 4 + 1.5
        report = Report("", State.PAUSED, (ArmReport(200, 0.0, 1.0), ArmReport(200, 0.0, 1.0, loss=curves(orders))))
        (chart,) = norms._orders(report)
        assert isinstance(chart, Chart)
        ends, within, two = (path.points for path in chart.paths)
        np.testing.assert_allclose(ends, [[0, 1.5], [100, 2.5], [200, 3.5], [np.nan] * 2,
                                          [0, 2.0], [100, 3.0], [200, 4.0], [np.nan] * 2])  # fmt: skip
        assert within[0].tolist() == [0, 1.75] and two.tolist() == [[0, 2], [200, 2]]
        assert "at the ends now 3.50 to 4.00, within 3.75 to 4.25" in chart.alt
        assert chart.note == "Ends 3.50 to 4.00, within 3.75 to 4.25."
        assert norms._now(np.full((2, 2), 4.0)) == "All orders are 4.00 so far."
        assert norms._orders(Report("", State.PAUSED, (ArmReport(0, 0.0, 0.0, loss=curves()),))) == []
        assert norms._orders(Report("", State.PAUSED, (ArmReport(0, 0.0, 0.0),))) == []
