"""What the Lipschitz screen finds and draws, from arrays alone: arms of comparisons, panes, and unit balls."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from app.components.planes.panes import NO_NUMBER, Chart, encode
from app.engine.reports import ArmReport, LossCurves, Report, State
from app.features.lipschitz import arms, costs, enforced, norms, pictures, words
from app.features.lipschitz.induced import induced
from app.features.lipschitz.numbers import inverted
from app.metrics import gap_to_truth
from app.setup import Setup
from app.ui import side_by_side
from app.ui.bands import Ranking
from app.words import order_name, wide
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.log_det import Exact
from resflow_core.measure import Edited
from resflow_core.measure.inversion import MOST_STEPS
from resflow_core.measure.invertibility import Regime
from resflow_core.norms.constraints import Off, Power
from resflow_core.training.parameter_count import parameter_count
from tests.app.pages import curves, decode, named

MINUS, INFINITY = "\N{MINUS SIGN}", "∞"
FLOW = FlowConfig(blocks=2, width=8)
changed = dataclasses.replace


def built(config=FLOW):
    return config.build(torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def found():
    """An inverse that is certified, of a block that folds at some s."""
    points = DATASETS["moons"].held_out()[:200]
    return measure.inversion(built(), points, None, 1.0, None, "banach")


@pytest.fixture(scope="module")
def folded(found):
    points, s = DATASETS["moons"].held_out()[:200], 1.1 * float(found.breaking.min())
    return measure.inversion(built(), points, None, s, None, "banach")


@pytest.fixture(scope="module")
def blocks():
    flow = built()
    return measure.block_table(flow, measure.evaluate(flow, DATASETS["moons"].held_out()[:200]), Exact())


def sent(panes):
    """What the browser gets, which must be JSON; and every picture says in words what it shows."""
    shown = [json.loads(json.dumps(encode(pane), allow_nan=False)) for pane in panes]
    assert all(len(pane["alt"]) > 40 and "nan" not in pane["alt"] and "inf" not in pane["alt"] for pane in shown)
    return shown


def drawn(found):
    return pictures.panes(found, inverted(found))


def errors(found):
    return pictures.errors(found, inverted(found))


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
        steps, x, errors = sent(drawn(found))
        known = inverted(found)
        assert (known.most_steps, known.late) == (found.steps.max(), 0)
        assert steps["clickable"] and steps["point"] == pytest.approx(list(found.z))
        assert not steps["paths"] and not x["levels"]
        assert known.smallest_det == found.det.min() > 0 and not known.turns_over
        for path, name in zip(curves(x), ("banach", "newton"), strict=True):
            np.testing.assert_allclose(path, pictures._near(found.walks[name].x, found.window), rtol=1e-5)
        assert known.fates == dict.fromkeys(("banach", "newton", "chord"), "arrives")
        assert known.order == 2
        *walks, _, _ = curves(errors)
        for walk, name in zip(walks, known.fates, strict=True):
            shown = np.maximum(found.walks[name].error[: len(walk)], pictures.ROUNDING)
            np.testing.assert_allclose(walk[:, 1], shown, rtol=1e-5)

    @pytest.mark.thorough
    def test_panes_of_a_folded_block(self, folded):
        steps, x, errors = sent(drawn(folded))
        np.testing.assert_allclose(*curves(steps), folded.fold_image, rtol=1e-5)
        assert [level["at"] for level in x["levels"]] == [0.0]
        assert inverted(folded).turns_over
        assert x["heat"]["range"] == [-np.abs(folded.det).max(), np.abs(folded.det).max()]
        assert len(errors["paths"]) == 3  # no bounds

    def test_x_beyond_the_picture_are_counted(self, folded):
        (low, high), _ = folded.window
        beyond = np.array([[(low + high) / 2, sum(folded.window[1]) / 2], [high + 0.1, 0.0], [low - 0.1, 0.0]])
        for count, outside, said in ((3, 2, {"3", "2", "are"}), (2, 1, {"2", "1", "is"}), (1, 0, set())):
            now = changed(folded, preimages=beyond[:count])
            assert (inverted(now).preimages, inverted(now).outside) == (count, outside)
            about = named(drawn(now)[1].note.partition(".")[2])  # after the sentence about the colours
            assert said <= about and bool(about) is bool(outside)

    def test_z_whose_x_is_not_found_are_grey_and_counted(self, found):
        some, none = found.steps.copy(), np.full_like(found.steps, np.nan)
        some[:12] = np.nan
        for values, late, most in ((some, 0.25, np.nanmax(some)), (none, 1.0, 1)):
            now = changed(found, steps=values)
            assert (inverted(now).late, inverted(now).most_steps) == (late, most)
            heat = sent(drawn(now))[0]["heat"]
            assert (decode(heat["level"]) == NO_NUMBER).mean() == late and heat["range"] == [0, most]
            known = inverted(now)
            assert known.regime is Regime.CERTIFIED and known.bound == found.lipschitz
            assert {f"{known.bound:.3g}", str(MOST_STEPS)} <= named(words.takeaway(known))

    def test_without_any_x_residuals_stand_for_errors(self, found):
        walks = {
            key: changed(walk, error=np.full_like(walk.error, np.nan), fate="wanders")
            for key, walk in found.walks.items()
        }
        lost = changed(found, preimages=np.empty((0, 2)), walks=walks)
        _, x, errors = sent(drawn(lost))
        for curve, walk in zip(curves(errors), walks.values(), strict=False):
            shown = np.maximum(walk.residual[: len(curve)], pictures.ROUNDING)
            np.testing.assert_allclose(curve[:, 1], shown, rtol=1e-5)
        assert set(inverted(lost).fates.values()) == {"wanders"}
        assert [dots["points"]["shape"] for dots in x["dots"]] == [[0, 2], [1, 2]]

    def test_infinite_bounds_are_not_drawn(self, found):
        infinite = np.full_like(found.a_priori, np.inf)
        chart = errors(changed(found, a_priori=infinite, a_posteriori=infinite))
        assert len(chart.paths) == 3

    def test_curves_end_where_the_last_has_arrived_and_never_reach_0(self, found):
        error = np.array([1.0, 0.1, 1e-15, 0.0, 0.0])
        slow = np.array([1.0, 0.5, 0.25, 1e-15, 0.0])
        walks = {
            key: changed(found.walks[key], error=slow if key == "chord" else error, x=np.zeros((5, 2)))
            for key in found.walks
        }
        bounds = 2.0 ** -np.arange(5)
        chart = errors(changed(found, walks=walks, a_priori=bounds, a_posteriori=bounds))
        assert [len(path.points) for path in chart.paths] == [4] * 5
        assert chart.paths[0].points[:, 1].tolist() == [1.0, 0.1, 1e-15, pictures.ROUNDING]
        assert chart.log_y

    def test_a_walk_that_leaves_is_cut(self, found):
        (x0, x1), (y0, y1) = found.window
        middle, side = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), x1 - x0
        steps = np.array([0.0, 1.0, 2.9, 3.1, 0.0])[:, None] * [side, 0.0]
        assert pictures._near(middle + steps, found.window).tolist() == (middle + steps[:3]).tolist()
        assert pictures._near(middle - steps[:3], found.window).tolist() == (middle - steps[:3]).tolist()
        for bad in (np.nan, np.inf):
            gone = (middle + steps).copy()
            gone[1, 1] = bad
            assert len(pictures._near(gone, found.window)) == 1
        walks = found.walks | {"banach": changed(found.walks["banach"], x=np.full((5, 2), np.inf))}
        shown = sent(drawn(changed(found, walks=walks)))[1]
        assert shown["paths"][0]["points"]["shape"] == [0, 2]

    def test_the_regime_and_whether_a_fold_is_ahead(self, found, folded):
        assert inverted(found).regime is Regime.CERTIFIED and inverted(folded).regime is Regime.FOLDED
        least = float(found.breaking[found.block])
        for folds_at, ahead in ((least, True), (0.5, False), (math.inf, False)):
            breaking = np.full_like(found.breaking, folds_at)
            loose = inverted(changed(found, regime=Regime.UNCERTIFIED, breaking=breaking))
            assert (loose.folds_at, loose.fold_ahead, loose.scale) == (folds_at, ahead, 1)

    def test_the_takeaway_says_the_numbers(self, found, folded):
        loose = changed(inverted(found), regime=Regime.UNCERTIFIED, bound=1.5, refusal="Because.")
        said = words.takeaway(loose)
        assert {"1.5", f"{loose.folds_at:.3g}", f"{found.det.size:,}"} <= named(said) and said.endswith("Because.")
        passed = changed(loose, folds_at=0.5)
        assert "0.5" not in named(words.takeaway(passed))
        assert words.takeaway(passed) != words.takeaway(changed(loose, folds_at=math.inf))
        three, one = (changed(inverted(folded), preimages=count, refusal="") for count in (3, 1))
        assert "3" in named(words.takeaway(three)) and "1" not in named(words.takeaway(one))
        assert not {"Samples", "refused"} & named(words.takeaway(three))


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
        ("edited", "to_blame"),
        [(None, None), (Edited(1, 3.0), Edited(1, 3.0)), (Edited(0, 0.5), None)],  # the last is another block
    )
    def test_beyond(self, blocks, constraint, edited, to_blame):
        flow = changed(FLOW, constraint=constraint)
        beyond = changed(blocks, layer_norms=np.array([[0.5, 0.5], [2.0, 1.25]]))
        found = enforced.enforced(flow, beyond, edited)
        assert (found.loosest, found.certified, found.edited) == (1, 2.5, to_blame)
        assert found.claim == constraint.claim.format(budget=0.99)
        assert found.finite and not found.within and not found.invertible
        barely = changed(blocks, layer_norms=np.array([[0.5, 0.5], [0.999, 0.996]]))
        found = enforced.enforced(flow, barely, edited)
        assert found.certified == pytest.approx(0.995, abs=1e-4) and not found.within and found.invertible

    def test_what_is_not_finite_is_neither_within_nor_invertible(self, blocks):
        found = enforced.enforced(FLOW, changed(blocks, layer_norms=np.array([[0.5, np.nan], [0.5, 0.5]])), None)
        assert not (found.finite or found.within or found.invertible)

    def test_charts(self, blocks):
        flow = built()
        estimates = measure.norm_estimates(flow)
        found = enforced.enforced(FLOW, blocks, None)
        layers, whole, norm = (enforced._layers(found, blocks), enforced._blocks(found, blocks),
                               enforced._estimates(estimates))  # fmt: skip
        for pane in sent([layers, whole, norm]):
            assert pane["kind"] == "chart"
        cap = 0.99**0.5
        assert [path.points[:, 1].tolist() for path in layers.paths[:2]] == blocks.layer_norms.T.tolist()
        assert layers.paths[2].points[:, 1].tolist() == [cap, cap]
        certified, seen = blocks.layer_norms.prod(1), blocks.largest_norm
        assert found.order == 2
        assert [path.points[:, 1].tolist() for path in whole.paths] == [[0.99, 0.99], certified.tolist(), seen.tolist()]
        gram, exact, power = (path.points for path in norm.paths)
        assert (gram[0, 0], power[0, 0]) == (0, 1)  # before any step there is a Gram bound, and no estimate by power
        assert (gram[:, 1] >= estimates.exact).all() and (power[:, 1] <= (1 + 1e-14) * estimates.exact).all()
        assert (exact[:, 1] == estimates.exact).all()

    def test_blocks_of_different_orders_share_no_norm(self, blocks):
        learned = changed(blocks, orders=np.array([[4.0, 3.0], [3.5, 3.0]]))
        infinite = changed(blocks, orders=np.full((2, 2), np.inf))
        for of, order in ((learned, None), (infinite, math.inf)):
            found = enforced.enforced(FLOW, of, None)
            assert found.order == order
            assert (INFINITY in enforced._blocks(found, of).y) is (order == math.inf)


NO_ORDERS = np.zeros((0, 0, 0))


def losses(orders=NO_ORDERS, held=(0, 100, 200), kl=(0.5, 0.25, 0.125)):
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
        reports = [ArmReport(200, 0.0, 1.0, loss=losses(), blocks=never), ArmReport(200, 0.0, 1.0)]
        first, second = side_by_side._table(self.DATA, list(compared), compared, reports).splitlines()[2:]
        cells = [cell.strip() for cell in first.split("|")[1:-1]]
        seen = blocks.largest_norm.max()
        assert cells[:2] == ["L = 0.3", "0.125 ± 0.010"]
        assert cells[2:] == [
            "0.3", f"{blocks.layer_norms.prod(1).max():.3f}", f"{seen:.3f}", f"{100 * seen / 0.3:.0f} %", "2", "none"
        ]  # fmt: skip
        assert [cell.strip() for cell in second.split("|")[1:-1]] == ["L = 0.6", *["…"] * 7]

    def test_curves_before_and_after_the_first_measurement(self):
        reports = [ArmReport(200, 0.0, 1.0, loss=losses()), ArmReport(0, 0.0, 0.0)]
        chart = side_by_side._losses(self.DATA, ["a", "b"], reports)
        assert [path.label for path in chart.paths] == ["a"]
        assert chart.paths[0].points.tolist() == [[0, 0.5], [100, 0.25], [200, 0.125]]
        assert gap_to_truth(reports[0]) == pytest.approx((0.125, 0.01)) and gap_to_truth(reports[1]) is None
        assert chart.note == ""
        begun = ArmReport(0, 0.0, 0.0, loss=losses(held=(0,), kl=(0.5,)))
        assert side_by_side._losses(self.DATA, ["a"], [begun]).note == "Press Play."
        empty = ArmReport(0, 0.0, 0.0, loss=losses(held=(), kl=()))
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
    @pytest.mark.slow
    def test_the_norm_or_two_bounds_of_it(self, p, q):
        for w in (self.W, (0.3, -2.0, 5.0, 0.1), (1.0, 2.0, 2.0, 4.0)):
            found = induced(w, p, q)
            upper, lower, best = found.upper, found.lower, found.best
            matrix = np.reshape(w, (2, 2))
            known = self.brute(matrix, p, q)
            assert lower == pytest.approx(known, rel=3e-3)
            assert lower >= known * (1 - 1e-9)
            assert upper >= known * (1 - 1e-9)
            assert self.length(best, p) == pytest.approx(1)
            assert self.length(matrix @ best, q) == pytest.approx(lower)
            if p == 1 or q == math.inf or p == q == 2:
                assert found.exact and upper == pytest.approx(lower, rel=1e-4)

    def test_what_is_exact_fills_the_ball(self):
        found = induced(self.W, 2.0, 2.0)
        before, after = norms._balls(found)
        size = np.linalg.norm(np.reshape(self.W, (2, 2)), 2)
        assert found.exact and found.lower == pytest.approx(size)
        assert f"{size:.3g}" in norms._takeaway(found)
        star, ball = after.dots[0].points[0], before.paths[0].points
        assert np.linalg.norm(star) == pytest.approx(size, rel=1e-4)
        np.testing.assert_allclose(after.paths[0].points, ball @ np.reshape(self.W, (2, 2)).T)
        assert np.linalg.norm(after.paths[1].points, axis=1) == pytest.approx(np.full(len(ball), size), rel=1e-4)
        sent([before, after])

    def test_of_most_orders_two_bounds_are_known(self):
        found = induced(self.W, 4.0, 1.5)
        assert found.upper > found.lower * 1.001 and not found.exact
        assert {f"{found.lower:.3g}", f"{found.upper:.3g}"} <= named(norms._takeaway(found))

    def test_nothing_at_all_has_norm_0(self):
        found = induced((0.0, 0.0, 0.0, 0.0), 3.0, 1.5)
        assert found.exact and found.lower == found.upper == 0
        sent(norms._balls(found))

    def test_learned_orders_are_a_line_a_block_and_layer(self):
        orders = np.arange(3 * 2 * 2).reshape(3, 2, 2) / 4 + 1.5
        report = Report("", State.PAUSED, (ArmReport(200, 0.0, 1.0), ArmReport(200, 0.0, 1.0, loss=losses(orders))))
        (chart,) = norms._orders(report)
        assert isinstance(chart, Chart)
        ends, within, two = (path.points for path in chart.paths)
        np.testing.assert_allclose(ends, [[0, 1.5], [100, 2.5], [200, 3.5], [np.nan] * 2,
                                          [0, 2.0], [100, 3.0], [200, 4.0], [np.nan] * 2])  # fmt: skip
        assert within[0].tolist() == [0, 1.75] and two.tolist() == [[0, 2], [200, 2]]
        found = norms.learned(orders[-1])
        assert (found.ends, found.within, found.alike) == ((3.5, 4.0), (3.75, 4.25), False)
        assert {"3.50", "4.00", "3.75", "4.25"} <= named(chart.note) & named(chart.alt)
        assert norms.learned(np.full((2, 2), 4.0)).alike and "4.00" in norms._now(norms.learned(np.full((2, 2), 4.0)))
        assert norms._orders(Report("", State.PAUSED, (ArmReport(0, 0.0, 0.0, loss=losses()),))) == []
        assert norms._orders(Report("", State.PAUSED, (ArmReport(0, 0.0, 0.0),))) == []


class TestCosts:
    """What stored comparisons say, for numbers that are not those that are stored."""

    SMALL, MIDDLE, LARGE = "L = 0.1", "L = 0.5", "L = 0.9"

    def ranking(self, *values):
        labels = (self.SMALL, self.MIDDLE, self.LARGE)
        return Ranking("KL", len(values[0]), dict(zip(labels, values, strict=True)), 700)

    def test_differences_are_taken_seed_by_seed(self):
        found = costs.farther(self.ranking([0.5, 0.9], [0.2, 0.3], [0.1, 0.4]), self.LARGE)
        small, middle = (found[label] for label in (self.SMALL, self.MIDDLE))
        assert list(found) == [self.SMALL, self.MIDDLE]
        assert (small.mean, small.low, small.high) == pytest.approx((0.45, 0.4, 0.5))
        assert (middle.mean, middle.low, middle.high) == pytest.approx((0, -0.1, 0.1))
        assert costs.is_decided(small) and not costs.is_decided(middle)

    def test_only_costs_that_all_seeds_agree_on_are_named(self):
        said = named(costs.of_budgets(self.ranking([0.5, 0.9], [0.2, 0.3], [0.1, 0.4])).replace("\xa0", " "))
        assert {"0.250", "0.450", "0.400", "0.500", "700", "2"} <= said
        assert not {"0.000", "0.100", f"{MINUS}0.100"} & said
        said = costs.of_budgets(self.ranking([0.2, 0.4], [0.2, 0.3], [0.2, 0.4]))
        assert {"0.300", "700"} <= named(said.replace("\xa0", " ")) and "adds" not in said

    def test_a_small_budget_that_costs_nothing_breaks_the_claims(self):
        assert all(costs.budgets_cost(self.ranking([0.5, 0.9], [0.3, 0.5], [0.1, 0.4])).values())
        assert not any(costs.budgets_cost(self.ranking([0.2, 0.9], [0.3, 0.5], [0.1, 0.4])).values())
        assert not any(costs.budgets_cost(self.ranking([0.5, 0.9], [0.3, 0.5], [0.1, 1.0])).values())

    def test_few_deep_blocks_are_called_worst_only_if_they_are_so_in_every_seed(self):
        worst, mixed = (self.ranking([0.1, 0.2], middle, [0.3, 0.4]) for middle in ([0.2, 0.1], [0.2, 0.5]))
        assert costs.FEWEST_WORST in costs.of_shapes(worst) and all(costs.shapes_differ(worst).values())
        assert costs.FEWEST_WORST not in costs.of_shapes(mixed) and not any(costs.shapes_differ(mixed).values())

    def test_norms_that_fit_alike_break_the_claim(self):
        apart, alike = (
            self.ranking([0.1, 0.2], [0.2, 0.3], [0.3, 0.4]),
            self.ranking([0.1, 0.2], [0.2, 0.1], [0.1, 0.2]),
        )
        assert all(costs.norms_differ(apart).values()) and not any(costs.norms_differ(alike).values())
        said = costs.of_norms(apart).replace("\xa0", " ")
        assert {"0.150", "0.100", "0.200"} <= named(said) and "agree" not in said
        assert "agree" in costs.of_norms(alike)
