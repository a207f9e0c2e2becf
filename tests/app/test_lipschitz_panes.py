"""What the Lipschitz screen finds and draws, from arrays alone: arms of comparisons, panes, norms and costs."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from app.components.planes.panes import NO_NUMBER, encode
from app.engine.reports import ArmReport, LossCurves, Report, State
from app.features.lipschitz import arms, costs, enforced, norms, pictures
from app.features.lipschitz.induced import induced
from app.features.lipschitz.numbers import inverted
from app.setup import Setup
from app.ui.bands import Ranking
from resflow_core import measure
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.log_det import Exact
from resflow_core.measure import Edited
from resflow_core.measure.invertibility import Regime
from resflow_core.norms.constraints import Off
from resflow_core.training.parameter_count import parameter_count
from tests.app.pages import curves, decode

FLOW = FlowConfig(blocks=2, width=8)
changed = dataclasses.replace


@pytest.fixture(scope="module")
def flow():
    return FLOW.build(torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def found(flow):
    """An inverse that is certified, of a block that folds at some s."""
    return measure.inversion(flow, DATASETS["moons"].held_out()[:200], None, 1.0, None, "banach")


@pytest.fixture(scope="module")
def folded(flow, found):
    s = 1.1 * float(found.breaking.min())
    return measure.inversion(flow, DATASETS["moons"].held_out()[:200], None, s, None, "banach")


@pytest.fixture(scope="module")
def blocks(flow):
    return measure.block_table(flow, measure.evaluate(flow, DATASETS["moons"].held_out()[:200]), Exact())


def sent(panes):
    """What the browser gets, which must be JSON; and every picture says in words what it shows."""
    shown = [json.loads(json.dumps(encode(pane), allow_nan=False)) for pane in panes]
    assert all(len(pane["alt"]) > 40 and "nan" not in pane["alt"] and "inf" not in pane["alt"] for pane in shown)
    return shown


def drawn(found):
    return pictures.panes(found, inverted(found))


class TestArms:
    def test_budgets_and_norms_differ_in_nothing_else(self):
        setup = Setup(data="moons", flow=FLOW)
        found = arms.budgets(setup)
        assert [arm.flow for arm in found.values()] == [changed(FLOW, budget=b) for b in (0.3, 0.6, 0.9, 0.99)]
        assert {(arm.train, arm.data, arm.weights) for arm in found.values()} == {(setup.train, "moons", None)}
        assert [arm.flow for arm in arms.norms(setup).values()] == [changed(FLOW, norms=name) for name in NORM_CHAINS]

    def test_shapes_have_equal_numbers_of_parameters(self):
        wanted = parameter_count(FlowConfig())  # of as many units as everybody begins with
        found = arms.shapes(Setup())
        assert [(arm.flow.blocks, arm.flow.hidden_layers) for arm in found.values()] == [(24, 1), (10, 2), (4, 4)]
        for arm in found.values():
            off = abs(parameter_count(arm.flow) - wanted)
            assert off <= 0.04 * wanted
            for other in (arm.flow.width - 1, arm.flow.width + 1):
                assert off <= abs(parameter_count(changed(arm.flow, width=other)) - wanted)
            assert arms.shapes(Setup(flow=arm.flow)) == found  # going on with one changes none of them


class TestInverse:
    def test_panes_of_a_certified_block(self, found):
        steps, x, errors = sent(drawn(found))
        known = inverted(found)
        assert (known.most_steps, known.late, known.regime) == (found.steps.max(), 0, Regime.CERTIFIED)
        assert known.guaranteed == pytest.approx(1 / found.lipschitz)
        assert known.smallest_det == found.det.min() > 0 and not known.turns_over
        assert steps["point"] == pytest.approx(list(found.z)) and not steps["paths"] and not x["levels"]
        for path, name in zip(curves(x), ("banach", "newton"), strict=True):
            np.testing.assert_allclose(path, found.walks[name].x, rtol=1e-5)
        *walks, posterior, prior = curves(errors)
        for walk, name in zip(walks, ("banach", "newton", "chord"), strict=True):
            shown = np.maximum(found.walks[name].error[: len(walk)], pictures.ROUNDING)
            np.testing.assert_allclose(walk[:, 1], shown, rtol=1e-5)
        assert (walks[0][:, 1] <= posterior[:, 1] * 1.001 + 1e-14).all()
        np.testing.assert_allclose(prior[:, 1], found.a_priori[: len(prior)], rtol=1e-5)

    def test_panes_of_a_folded_block(self, folded):
        steps, x, errors = sent(drawn(folded))
        known = inverted(folded)
        assert known.regime is Regime.FOLDED and known.turns_over and not known.fold_ahead
        np.testing.assert_allclose(*curves(steps), folded.fold_image, rtol=1e-5)
        assert [level["at"] for level in x["levels"]] == [0.0]
        assert x["heat"]["range"] == [-np.abs(folded.det).max(), np.abs(folded.det).max()]
        assert len(errors["paths"]) == 3  # no bounds

    def test_x_beyond_the_picture_are_counted(self, folded):
        (low, high), _ = folded.window
        beyond = np.array([[(low + high) / 2, sum(folded.window[1]) / 2], [high + 0.1, 0.0], [low - 0.1, 0.0]])
        for count, outside in ((3, 2), (2, 1), (1, 0)):
            now = inverted(changed(folded, preimages=beyond[:count]))
            assert (now.preimages, now.outside) == (count, outside)

    def test_z_whose_x_is_not_found_are_grey_and_counted(self, found):
        some, none = found.steps.copy(), np.full_like(found.steps, np.nan)
        some[:12] = np.nan
        for values, late, most in ((some, 0.25, np.nanmax(some)), (none, 1.0, 1)):
            now = changed(found, steps=values)
            assert (inverted(now).late, inverted(now).most_steps) == (late, most)
            heat = sent(drawn(now))[0]["heat"]
            assert (decode(heat["level"]) == NO_NUMBER).mean() == late and heat["range"] == [0, most]


class TestEnforced:
    @pytest.mark.parametrize(
        ("layers", "within", "invertible", "above"),
        [
            ([[0.5, 1.2], [0.5, 0.5]], True, True, 1),
            ([[0.5, 0.5], [2.0, 1.25]], False, False, 2),
            ([[0.5, 0.5], [0.999, 0.996]], False, True, 2),
            ([[0.99, 1.00009], [0.5, 0.5]], True, True, 1),
            ([[0.5, np.nan], [0.5, 0.5]], False, False, 0),
        ],
    )
    def test_products_of_norms_decide(self, blocks, layers, within, invertible, above):
        found = enforced.enforced(FLOW, changed(blocks, layer_norms=np.array(layers)), None)
        assert (found.within, found.invertible, found.above_cap, found.layers) == (within, invertible, above, 4)
        assert found.cap == pytest.approx(0.99**0.5) and found.seen == blocks.largest_norm.max()
        assert found.loosest == int(np.prod(layers, 1).argmax())

    @pytest.mark.parametrize(("edited", "to_blame"), [(None, False), (Edited(1, 3.0), True), (Edited(0, 0.5), False)])
    def test_only_the_block_that_is_scaled_is_to_blame(self, blocks, edited, to_blame):
        beyond = changed(blocks, layer_norms=np.array([[0.5, 0.5], [2.0, 1.25]]))
        found = enforced.enforced(changed(FLOW, constraint=Off()), beyond, edited)
        assert found.edited == (edited if to_blame else None) and found.claim == Off().claim


def losses(orders=None, held=(0, 100, 200), kl=(0.5, 0.25, 0.125)):
    held, kl, none = np.array(held), np.array(kl, np.float32), np.empty(0, np.float32)
    zero, orders = 0 * kl, np.zeros((0, 0, 0)) if orders is None else orders
    return LossCurves(
        held, none, held, 2 + kl, 0.01 + zero, kl, 0.01 + zero, zero, zero, held / 50, orders.astype(np.float32)
    )


class TestNorms:
    W = (1.0, 0.6, -0.4, 0.8)

    def length(self, x, p):
        unit = np.abs(x).max(0)
        return unit * (1.0 if p == math.inf else ((np.abs(x) / unit) ** p).sum(0) ** (1 / p))

    @pytest.mark.parametrize("w", [W, (0.3, -2.0, 5.0, 0.1)])
    @pytest.mark.parametrize(
        ("p", "q"), [(1.0, 3.0), (2.0, 2.0), (4.0, 1.5), (1.25, 8.0), (math.inf, 1.0), (3.0, math.inf), (1e9, 1.5)]
    )
    def test_the_norm_or_two_bounds_of_it(self, w, p, q):
        """Against the largest ||Wx||_q / ||x||_p in many directions; of the corners of a ball all are among them."""
        angle, matrix = np.arange(32_000) * np.pi / 32_000, np.reshape(w, (2, 2))
        x = np.stack([np.cos(angle), np.sin(angle)])
        known = (self.length(matrix @ x, q) / self.length(x, p)).max()
        found = induced(w, p, q)
        assert found.lower == pytest.approx(known, rel=3e-3)
        assert min(found.lower, found.upper) >= known * (1 - 1e-9)
        assert self.length(found.best, p) == pytest.approx(1)
        assert self.length(matrix @ found.best, q) == pytest.approx(found.lower)
        assert not (p == 1 or q == math.inf or p == q == 2) or found.exact

    def test_learned_orders_are_a_line_a_block_and_layer(self):
        orders = np.arange(3 * 2 * 2).reshape(3, 2, 2) / 4 + 1.5
        (chart,) = norms._orders(Report("", State.PAUSED, (ArmReport(200, 0.0, 1.0, loss=losses(orders)),)))
        ends, within, two = (path.points for path in chart.paths)
        np.testing.assert_allclose(ends, [[0, 1.5], [100, 2.5], [200, 3.5], [np.nan] * 2,
                                          [0, 2.0], [100, 3.0], [200, 4.0], [np.nan] * 2])  # fmt: skip
        assert within[0].tolist() == [0, 1.75] and two.tolist() == [[0, 2], [200, 2]]
        found = norms.learned(orders[-1])
        assert (found.ends, found.within, found.alike) == ((3.5, 4.0), (3.75, 4.25), False)
        assert norms.learned(np.full((2, 2), 4.0)).alike


class TestCosts:
    """What stored comparisons say, for numbers that are not those that are stored."""

    def ranking(self, *values):
        return Ranking("KL", len(values[0]), dict(zip(("L = 0.1", "L = 0.5", "L = 0.9"), values, strict=True)), 700)

    def test_differences_are_taken_seed_by_seed(self):
        found = costs.farther(self.ranking([0.5, 0.9], [0.2, 0.3], [0.1, 0.4]), "L = 0.9")
        small, middle = found.values()
        assert list(found) == ["L = 0.1", "L = 0.5"]
        assert (small.mean, small.low, small.high) == pytest.approx((0.45, 0.4, 0.5))
        assert (middle.mean, middle.low, middle.high) == pytest.approx((0, -0.1, 0.1))
        assert costs.is_decided(small) and not costs.is_decided(middle)
        assert costs.is_decided(changed(middle, high=-0.01))

    @pytest.mark.parametrize(
        ("claim", "holds", "fails"),
        [
            (costs.budgets_cost, ([0.5, 0.9], [0.3, 0.5], [0.1, 0.4]), ([0.5, 0.9], [0.3, 0.5], [0.1, 1.0])),
            (costs.shapes_differ, ([0.1, 0.2], [0.2, 0.1], [0.3, 0.4]), ([0.1, 0.2], [0.2, 0.5], [0.3, 0.4])),
            (costs.norms_differ, ([0.1, 0.2], [0.2, 0.3], [0.3, 0.4]), ([0.1, 0.2], [0.2, 0.1], [0.1, 0.2])),
        ],
    )
    def test_a_claim_is_of_every_seed(self, claim, holds, fails):
        assert all(claim(self.ranking(*holds)).values()) and not any(claim(self.ranking(*fails)).values())

    def test_only_costs_that_all_seeds_agree_on_are_named(self):
        said = costs.of_budgets(self.ranking([0.5, 0.9], [0.2, 0.3], [0.1, 0.4]))
        assert all(text in said for text in ("0.250", "0.450", "0.400", "0.500", "700")) and "0.100" not in said
        assert "adds" not in costs.of_budgets(self.ranking([0.2, 0.4], [0.2, 0.3], [0.2, 0.4]))
        assert costs.FEWEST_WORST in costs.of_shapes(self.ranking([0.1, 0.2], [0.2, 0.1], [0.3, 0.4]))
        said = costs.of_norms(self.ranking([0.3, 0.4], [0.1, 0.2], [0.2, 0.3]))
        assert all(text in said for text in ("**0.150", "L = 0.5", "0.100", "0.200"))
