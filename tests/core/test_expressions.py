import ast
import math
import re
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

import resflow_core.expressions
from resflow_core.activations import ACTIVATIONS, activation_named, curvature
from resflow_core.api import flow_file
from resflow_core.data import DATASETS
from resflow_core.expressions import formula, read
from resflow_core.expressions.arrays import down, up
from resflow_core.expressions.bounds import MOST_WORK, ROUND, largest_slope
from resflow_core.expressions.enclosures import Cells, Enclosed
from resflow_core.expressions.enclosures import points as cells_at
from resflow_core.expressions.functions import FUNCTIONS
from resflow_core.expressions.intervals import add, multiply, squared, tidy
from resflow_core.expressions.jets import derivatives_of
from resflow_core.expressions.printing import unparse
from resflow_core.expressions.refusals import ARITY, WRITTEN_OUT, check_numbers
from resflow_core.expressions.syntax import MOST_NODES, parse
from resflow_core.expressions.tree import Call, Number, Power, Symbol, Z, size, steps_of
from resflow_core.expressions.waves import period_of
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated, residual_log_det
from resflow_core.residual import Branch
from resflow_core.settings import from_json, settings_of, to_json
from resflow_core.training.trainer import TrainConfig, Trainer, bytes_of_products, step_bytes
from tests.core.oracles import points, seeded
from tests.covering import told

# The same functions by other formulas, for automatic differentiation.
ORACLES = {
    "sin": torch.sin, "cos": torch.cos, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "exp": torch.exp,
    "softplus": torch.nn.Softplus(threshold=1e4), "relu": torch.relu, "elu": torch.nn.ELU(), "silu": torch.nn.SiLU(),
    "gelu": torch.nn.GELU(), "mish": torch.nn.Mish(), "erf": torch.erf, "atan": torch.atan, "asinh": torch.asinh,
    "gauss": lambda t: torch.exp(-t * t), "logcosh": lambda t: torch.log(torch.cosh(t)), "log": torch.log,
    "softsign": torch.nn.Softsign(), "hyperbola": lambda t: torch.sqrt(1 + t * t), "abs": torch.abs,
    "xgauss": lambda t: t * torch.exp(-t * t), "lorentz": lambda t: 1 / (1 + t * t),
    "sqrt": torch.sqrt, "min": torch.minimum, "max": torch.maximum, "neg": torch.neg, "+": torch.add, "-": torch.sub,
    "*": torch.mul, "/": torch.div,
}  # fmt: skip


def oracle(node, t):
    """The value of a tree, by recursion."""
    if isinstance(node, Number):
        return torch.full_like(t, float(node.value))
    if isinstance(node, Symbol):
        return t if node == Z else torch.full_like(t, {"pi": math.pi, "e": math.e}[node.name])
    if isinstance(node, Power):
        return oracle(node.base, t) ** float(node.exponent)
    return ORACLES[node.name](*(oracle(part, t) for part in node.parts))


def differentiated(function, t):
    """value, slope, curvature by automatic differentiation."""
    t = t.clone().requires_grad_()
    value = function(t)
    found = [value]
    for _ in range(2):
        (derivative,) = (
            torch.autograd.grad(found[-1].sum(), t, create_graph=True, materialize_grads=True)
            if found[-1].requires_grad
            else (torch.zeros_like(t),)
        )
        found.append(derivative)
    return [f.detach() for f in found]


numbers = st.builds(
    lambda digits, places: Number(Fraction(digits, 10**places)), st.integers(1, 9999), st.integers(0, 6)
) | st.just(Number(Fraction(0)))
exponents = st.builds(Fraction, st.integers(-6, 6), st.integers(1, 4))


def trees(functions, exponents=exponents):
    def larger(parts):
        calls = [
            st.builds(lambda name, p: Call(name, (p,)), st.sampled_from([*functions, "neg"]), parts),
            st.builds(
                lambda name, a, b: Call(name, (a, b)), st.sampled_from(["+", "-", "*", "/", "min", "max"]), parts, parts
            ),
            st.builds(Power, parts, exponents),
        ]
        return st.one_of(calls)

    return st.recursive(st.just(Z) | st.sampled_from([Symbol("pi"), Symbol("e")]) | numbers, larger, max_leaves=6)


def _fractions(numbers):
    """Exactly; what is infinite is a very large number, as in an interval it is none."""
    largest = Fraction(sys.float_info.max)
    return [Fraction(x) if math.isfinite(x) else (largest if x > 0 else -largest) for x in numbers]


def tame_trees():
    """Formulas whose slope is bounded."""
    anywhere = [name for name in FUNCTIONS if name not in ("exp", "log", "sqrt")]
    bounded = ["sin", "cos", "tanh", "sigmoid", "erf", "atan", "gauss", "softsign", "xgauss", "lorentz"]

    def call(names, *parts):
        return st.builds(lambda name, *p: Call(name, p), st.sampled_from(names), *parts)

    def larger(parts):
        factor = call(bounded, parts)
        return (
            call([*anywhere, "neg"], parts) | call(["+", "-", "min", "max"], parts, parts) | call(["*"], factor, factor)
            | call(["*"], numbers, parts) | st.builds(Power, factor, st.sampled_from([Fraction(2), Fraction(3)]))
        )  # fmt: skip

    return st.recursive(st.just(Z) | st.just(Z) | numbers, larger, max_leaves=6)


class TestParsing:
    @given(trees(FUNCTIONS))
    def test_a_printed_tree_is_read_as_the_same_tree(self, tree):
        text = unparse(tree)
        assume(len(text) <= 200 and size(tree) <= MOST_NODES)
        assert parse(text, ARITY) == tree
        assert parse(text.replace(" ", ""), ARITY) == tree

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1 + 2 * 3", 7.0), ("2 - 3 - 4", -5.0), ("8 / 4 / 2", 1.0), ("-2^2", -4.0), ("(-2)^2", 4.0),
            ("2^-1", 0.5), ("2^3^2", 512.0), ("2 ** 3", 8.0), ("4^(1/2)", 2.0), ("--3", 3.0), ("2 * -3", -6.0),
            (".5e1 + 1.e-1", 5.1), ("pi", math.pi), ("e^2", math.e**2), ("max(1, min(2, 3))", 2.0),
            ("2 × 3 − π", 6 - math.pi), ("tanh ( 0.5 )", math.tanh(0.5)), ("4^0.5", 2.0), ("8^(1/3 + 1/3)", 4.0),
            ("max(pi, e)", math.pi), ("min(pi, e)", math.e),
        ],
    )  # fmt: skip
    def test_operators_bind_as_in_mathematics(self, text, value):
        found = next(derivatives_of(parse(text, ARITY))(torch.zeros(1, dtype=torch.float64)))
        assert float(found) == pytest.approx(value, rel=1e-14)

    def test_what_is_nested_is_read_up_to_20(self):
        assert parse("(" * 19 + "z" + ")" * 19, ARITY) == Z


class TestDerivatives:
    @given(trees(FUNCTIONS), st.integers(0, 10**6))
    @example(parse("min(z, 0)^(1/2)", ARITY), 0)
    @example(parse("sqrt(relu(z))", ARITY), 0)
    @pytest.mark.thorough
    def test_value_slope_and_curvature_are_those_of_autograd(self, tree, seed):
        t = 4 * torch.rand(40, generator=seeded(seed), dtype=torch.float64) - 2
        expected = differentiated(lambda t: oracle(tree, t), t)
        # Not where a part has no derivatives, a kink, or the oracle has lost its digits.
        parts = [f for node in steps_of(tree) for f in differentiated(lambda t, node=node: oracle(node, t), t)]
        usable = torch.stack([f.isfinite() & (f.abs() < 1e6) for f in parts]).all(0)
        # Nor where a root is taken of a part that stays 0: min(z, 0)^(1/2) has no slope at z > 0 by the chain rule.
        for node in steps_of(tree):
            if isinstance(node, Power) and node.exponent.denominator > 1:
                usable &= oracle(node.base, t) != 0
            if isinstance(node, Call) and node.name == "sqrt":
                usable &= oracle(node.parts[0], t) != 0
        for shift in (1e-6, -1e-6):
            beside = differentiated(lambda t: oracle(tree, t), t + shift)
            usable &= torch.stack(
                [(a - b).abs() < 1e-3 * (1 + a.abs()) for a, b in zip(expected, beside, strict=True)]
            ).all(0)
        found = list(derivatives_of(tree)(t))
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine[usable], theirs[usable], rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize(
        "text", ["tanh(z) + sin(3*z)/6", "z + gauss(z)*sin(2*z)", "sin(z)^3/(2 + cos(z))", "z", "min(z, pi*z)"]
    )
    def test_autograd_differentiates_value_slope_and_curvature(self, text):
        t = torch.linspace(-3, 3.01, 50, dtype=torch.float64).requires_grad_()
        activation = formula(text)
        expected = differentiated(lambda t: oracle(read(text).tree, t), t.detach())
        value, slope, _ = activation.function(t)
        bend = curvature(activation.function, t)
        (first,) = torch.autograd.grad(activation.raw(t).sum(), t, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), t, create_graph=True, materialize_grads=True)
        (of_slope,) = torch.autograd.grad(slope.sum(), t, materialize_grads=True)
        for found, order in ((value, 0), (slope, 1), (first, 1), (bend, 2), (second, 2), (of_slope, 2)):
            torch.testing.assert_close(found, expected[order], rtol=1e-10, atol=1e-12)
        for found in (torch.autograd.grad(value.sum(), t, retain_graph=True)[0] for _ in range(2)):
            torch.testing.assert_close(found, expected[1], rtol=1e-10, atol=1e-12)

    def test_autograd_has_the_third_derivative_too(self):
        t = torch.linspace(-3, 3, 20, dtype=torch.float64).requires_grad_()
        found = formula("sin(z) * gauss(z)").raw(t)
        for _ in range(3):
            (found,) = torch.autograd.grad(found.sum(), t, create_graph=True)
        s, c, g, z = torch.sin(t), torch.cos(t), torch.exp(-(t**2)), t
        expected = g * (-c + 6 * z * s + 3 * (4 * z**2 - 2) * c + s * (12 * z - 8 * z**3))
        torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("text", ["min(exp(z), 1)", "z", "tanh(z) + pi", "max(z, 0.1*z)", "elu(z) + relu(z)"])
    def test_dtype_and_shape_stay_and_everything_is_finite_far_out(self, text, dtype):
        t = torch.tensor([[-1e4, -100, 0, 0.5], [2, 100, 1000, 1e4]], dtype=dtype).requires_grad_()
        function = formula(text).function
        found = [*function(t), curvature(function, t)]
        assert all(f.dtype == dtype and f.shape == t.shape and bool(f.isfinite().all()) for f in found)
        found[1].sum().backward() if found[1].requires_grad else None
        with torch.no_grad():
            assert next(function(t)).data_ptr() != t.data_ptr()

    def test_they_are_computed_when_they_are_asked_for(self):
        value = next(formula("tanh(z)").function(torch.zeros(3)))
        assert torch.equal(value, torch.zeros(3))


@pytest.mark.parametrize(("name", "function"), FUNCTIONS.items(), ids=FUNCTIONS)
class TestEveryFunction:
    def test_derivatives_are_those_of_autograd(self, name, function):
        t = torch.linspace(-5, 5, 200, dtype=torch.float64)
        t = t[t > function.domain[0]]
        for mine, theirs in zip(function.derivatives(t), differentiated(ORACLES[name], t), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)

    def test_ranges_hold_what_is_found_in_an_interval_and_little_more(self, name, function):
        for order in range(3):
            with told(order):
                self.check_range(function, order)

    @staticmethod
    def check_range(function, order):
        rng = np.random.default_rng(order)
        low = np.concatenate([rng.uniform(-5, 5, 300), [0.0, -2.0, 0.0, 1.0]])
        high = np.concatenate([low[:300] + 10 ** rng.uniform(-3, 0.8, 300), [1.0, 0.0, 4.0, 1.0]])
        if function.domain[0] == 0:
            low, high = np.abs(low) + 0.01, np.abs(low) + 0.01 + high - low
        least, most = function.range(order, low, high)
        inside = np.linspace(low, high, 601)[1:-1] if function.kink else np.linspace(low, high, 601)
        found = list(function.derivatives(torch.from_numpy(inside)))[order].numpy()
        assert np.all(least <= found.min(0)) and np.all(most >= found.max(0))
        bounded = np.isfinite(least) & np.isfinite(most)
        if not (function.kink and order > function.kink):
            assert bounded.all()
        slack = 0.02 * (high - low) * (1 + np.abs(found).max(0)) + 1e-12
        assert np.all((found.min(0) - least <= slack)[bounded]) and np.all((most - found.max(0) <= slack)[bounded])

    def test_its_range_on_tails_is_its_limits_range(self, name, function):
        far = np.array([30.0]), np.array([np.inf])
        for order in range(3):
            least, most = function.range(order, *far)
            t = torch.tensor([30.0, 31.0, 40.0, 100.0, 700.0], dtype=torch.float64)
            found = list(function.derivatives(t))[order]
            assert float(least[0]) <= float(found.min()) and float(most[0]) >= float(found.max())


WELL_BEHAVED = {
    "tanh(z)": 1.0, "sin(z)": 1.0, "z": 1.0, "abs(z)": 1.0, "tanh(z) + sin(3*z)/6": 1.5, "sin(z)*cos(z)": 1.0,
    "sin(z) + cos(z)": math.sqrt(2), "silu(z)": 1.0998393, "gelu(z)": 1.1289041, "mish(z)": 1.0884982,
    "relu(z) - relu(-z)": 1.0, "min(exp(z), 1)": 1.0, "tanh(z)^2": 0.7698004, "tanh(100*z)/100": 1.0,
    "gauss(z)*sin(5*z)": 5.0, "abs(sin(z))": 1.0, "z + sin(pi*z)/pi": 2.0, "log(2 + sin(z))": 1 / math.sqrt(3),
    "max(z, z/100)": 1.0, "z - atan(z)": 1.0, "1/(2 + cos(z))": None, "sin(tanh(z) + z)": 2.0, "asinh(z) - z/2": None,
    "softplus(z) - softplus(-z)": 1.0, "hyperbola(z)/3 + sin(z/10)": None, "sigmoid(4*z)": 1.0, "softsign(z)": 1.0,
    "silu(z) + silu(-z)": None, "sin(2*z)/2 - sin(z)": 2.0, "tanh(z/1000)*1000": 1.0,
    "gauss(z - 40)": math.sqrt(2 / math.e),
    "sin(z)*sin(2*z)*sin(3*z)": None, "erf(sin(z) + cos(3*z))/9": None, "(2 + sin(z))^(1/2)": None, 
    "logcosh(2*z)/2 - cos(z)/5": None, "z/9 + min(max(1000*(z - 0.5123), 0), 0.001)": 1000 + 1 / 9,
    "z/9 + relu(1000*(z - 0.5123)) - relu(1000*(z - 0.5123) - 0.001)": 1000 + 1 / 9,
}  # fmt: skip


def steepest_by_search(tree):
    def slope(z):
        return (
            differentiated(lambda t: oracle(tree, t), torch.as_tensor(np.atleast_1d(z)))[1].abs().nan_to_num().numpy()
        )

    grid = np.concatenate([np.sinh(np.linspace(-7.6, 7.6, 20_001)) + 1e-9, np.linspace(-50.01, 50, 20_001)])
    found = slope(grid)
    largest = float(found.max())
    for best in grid[np.argsort(found)[-3:]]:
        near = minimize_scalar(lambda z: -float(slope(z)[0]), bounds=(best - 0.01, best + 0.01), method="bounded")
        largest = max(largest, -near.fun)
    return largest


class TestTheConstant:
    @pytest.mark.thorough
    @pytest.mark.parametrize(("text", "known"), WELL_BEHAVED.items(), ids=WELL_BEHAVED)
    def test_it_is_the_largest_slope_found_by_search_and_at_most_a_ten_thousandth_more(self, text, known):
        f = read(text)
        largest = known or steepest_by_search(f.tree)
        if not known or known == round(known):  # of which `known` is no rounded value
            assert f.lipschitz >= largest * (1 - 1e-12)
        assert f.lipschitz == pytest.approx(largest, rel=1e-4)
        assert largest * (1 - 1e-4) <= f.steepest <= f.lipschitz
        at = torch.tensor([f.steepest_at], dtype=torch.float64)
        assert abs(float(list(f.activation.function(at))[1])) == pytest.approx(f.steepest, rel=1e-6)
        for p in (1, 2, math.inf):
            assert f.activation.lipschitz(p) == f.lipschitz

    @pytest.mark.thorough
    @given(tame_trees())
    @settings(max_examples=40)
    def test_no_slope_of_any_formula_exceeds_it(self, tree):
        try:
            f = read(unparse(tree))
        except ValueError as error:
            assert re.search("constant|same for every z|reaches|at most|loses its digits", str(error))
            return
        slopes = list(f.activation.function(torch.from_numpy(np.sinh(np.linspace(-9, 9, 20_000)))))[1]
        assert float(slopes.abs().max()) <= f.lipschitz * (1 + 1e-9)

    @given(st.lists(st.floats(), min_size=1))
    @example([0.0, -0.0, 5e-324, -5e-324, 2.0**-1022, sys.float_info.max, -sys.float_info.max])
    @example([math.inf, -math.inf, math.nan, -math.nan])
    def test_the_next_numbers_are_the_next_numbers(self, numbers):
        x = np.array(numbers)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(up(x), np.nextafter(x, np.inf))
            np.testing.assert_array_equal(down(x), np.nextafter(x, -np.inf))

    @given(st.lists(st.tuples(*[st.floats(allow_nan=False)] * 4), min_size=1, max_size=20))
    @example([(0.0, -1.0, math.inf, math.inf), (-math.inf, -math.inf, math.inf, -1.0)])
    @example(
        [(0.0, 0.0, -math.inf, math.inf), (-1.0, 1.0, 0.1, 0.3), (5e-324, 1.0, 0.1, 0.5), (1e300, 1e308, 1e9, 1e9)]
    )
    def test_products_squares_and_sums_of_intervals_hold_the_exact_ones(self, ends):
        a, b, c, d = np.array(ends).T
        # As all intervals: each holds a number, and so none begins at infinity or ends at minus infinity.
        first, second = (tidy(np.minimum(*pair), np.maximum(*pair)) for pair in ((a, b), (c, d)))
        with np.errstate(all="ignore"):
            results = multiply(first, second), squared(first), add(first, second)
        exact = (
            [[x * y for x in (a, b) for y in (c, d)] for a, b, c, d in map(_fractions, ends)],
            [[a * a, b * b] for a, b, *_ in map(_fractions, ends)],
            [[a + c, b + d] for a, b, c, d in map(_fractions, ends)],
        )
        for (low, high), values in zip(results, exact, strict=True):
            for least, most, inner in zip(low, high, values, strict=True):
                assert all(least <= value <= most for value in inner)

    @given(trees(FUNCTIONS), st.floats(-20, 20), st.floats(0, 3))
    def test_intervals_hold_all_that_happens_in_them(self, tree, low, width):
        cells = cells_at(np.array([low]))
        cells = Cells(cells.low, cells.high + width, cells.low, cells.high + width, cells.waves)
        enclosure = Enclosed(tree)(cells)[tree]
        t = torch.linspace(low, low + width, 101, dtype=torch.float64)
        t = t[(t > low) & (t < low + width)]  # a kink at an end is not inside
        for found, (least, most) in zip(derivatives_of(tree)(t), enclosure, strict=True):
            found = found[found.isfinite()]
            slack = 1e-9 * (1 + found.abs())
            assert bool((found + slack >= float(least[0])).all() and (found - slack <= float(most[0])).all())

    @pytest.mark.thorough
    @pytest.mark.parametrize("text", ["gauss(z - 66) - cos(z)", "sin(z)*tanh(z - 66)", "sin(2*z + 1)/2 + elu(66 - z)"])
    def test_far_out_a_cell_of_z_and_phases_holds_the_slopes_at_those_phases(self, text):
        tree, rng = read(text).tree, np.random.default_rng(0)
        period = period_of(tree)
        z, begin = rng.uniform(64, 69, 1_000), rng.uniform(0, 0.2, 1_000)
        phase = np.mod(z, period.length)
        cells = Cells(z, z, phase - begin, phase - begin + 0.2, np.full(1_000, True))
        low, high = Enclosed(tree, period).slopes(cells)
        found = list(derivatives_of(tree)(torch.from_numpy(z)))[1].numpy()
        assert np.all(low <= found + 1e-9) and np.all(high >= found - 1e-9)
        assert float((high - low).mean()) < 0.5

    @pytest.mark.thorough
    @pytest.mark.parametrize(
        "text",
        [
            "sin(sin(9*z)*cos(z*pi))*cos(tanh(9*z)+sin(31*z))*erf(7*sin(8*z))*gelu(sin(5*z)) + xgauss(sin(3*z)*4 + z)",
            "sin(sqrt(2)*z)*sin(sqrt(3)*z)*sin(sqrt(5)*z)*sin(sqrt(7)*z)*sin(sqrt(11)*z)",
        ],
    )
    def test_where_the_work_does_not_suffice_the_bound_is_looser_and_holds(self, text):
        tree, cells = parse(text, ARITY), []
        with pytest.MonkeyPatch.context() as patch:
            slopes = Enclosed.slopes
            patch.setattr(Enclosed, "slopes", lambda self, c: (cells.append(len(c)), slopes(self, c))[1])
            found = largest_slope(tree)
        work = Enclosed(tree, period_of(tree)).work
        assert work >= len([node for node in steps_of(tree) if isinstance(node, Call | Power)])
        assert sum(n + ROUND for n in cells) * work <= MOST_WORK
        assert found.found <= found.bound < math.inf
        assert steepest_by_search(tree) <= found.bound

    def test_the_steepest_place_far_out_is_told(self):
        f = read("tanh(z - 500)*3 + z")
        assert (f.steepest, f.steepest_at) == (pytest.approx(4, rel=1e-4), pytest.approx(500, abs=0.01))

    def test_sampled_points_far_apart_are_not_moved_apart_by_more(self):
        f = formula("tanh(z) + sin(3*z)/6 - abs(z - 1)/5")
        a, b = 5 * points(5_000, 1, seed=1)[:, 0], 5 * points(5_000, 1, seed=2)[:, 0]
        assert float(((f(a) - f(b)) / (a - b)).abs().max()) <= 1


REFUSED = {
    "": "The formula is empty",
    "   ": "The formula is empty",
    "z" * 201: "has 201 characters: use at most 200",
    "(" * 30 + "z" + ")" * 30: "nested more than 20 deep",
    "-" * 30 + "z": "nested more than 20 deep",
    "+".join("z" * 60): "has 119 numbers, operators and functions: use at most 100",
    "log(z)": r"`log\(z\)` is undefined at z = -\d.*, where `z` is negative: keep `z` above 0",
    "sqrt(z)": r"`sqrt\(z\)` is undefined at z = -",
    "z^0.5": r"`z\^\(1/2\)` is undefined at z = -",
    "1/z": "`1 / z` is undefined near z = 0, where `z` is 0 or comes close: keep `z` away from 0",
    "z^-2": r"`z\^\(-2\)` is undefined near z = 0",
    "1/(z - 2)": "is undefined near z = 2, where `z - 2` is 0",
    "tanh(log(sin(z) - 2))": r"`log\(sin\(z\) - 2\)` is undefined",
    "tanh(z) + 1/0": "`1 / 0` is inf: use constants",
    "sqrt(abs(z))": r"`sqrt\(abs\(z\)\)` has no bounded slope near z = 0",
    "z^2": r"`z\^2`: no bound of its slope .*∞",
    "exp(z)": r"`exp\(z\)`: no bound of its slope holds as z goes to ∞",
    "tanh(z)*z^3": r"`z\^3`: no bound of its slope",
    "z * sigmoid(z)": r"`z \* sigmoid\(z\)`: the slope of a product is bounded .* Write silu\(z\)\.",
    "1 + sigmoid(2*z) * (2*z)": r"Write silu\(2 \* z\)\.",
    "z*cos(z)": "Keep growing parts within bounds, as in min",
    "exp(-z^2)": r"Write gauss\(z\)",
    "log(1 + exp(z))": r"Write softplus\(z\)",
    "sqrt(1 + z^2)": r"Write hyperbola\(z\)",
    "z/(1 + abs(z))": r"of a quotient is bounded .* Write softsign\(z\)",
    "sin(z^2)": "no bound of its slope holds",
    "tanh(z) + 0*exp(z)": r"`exp\(z\)`: no bound of its slope",
    "tanh(z) + 0*z^2": r"`z\^2`: no bound of its slope",
    "tanh(z)^1.5": r"`tanh\(z\)\^\(3/2\)` is undefined at z = -.*, where `tanh\(z\)` is negative",
    "tanh(z) + min(0/z, z)": "`0 / z` is undefined near z = 0",
    "z*exp(-z^2)": r"Write xgauss\(z\)",
    "2/9 + 1/(1 + (3*z)^2)": r"Write lorentz\(3 \* z\)",
    "3": "`3` is constant",
    "pi + e": "is constant",
    "z - z": "`z - z` is the same for every z",
    "sin(z)^2 + cos(z)^2": "is the same for every z",
    "0*z": "is the same for every z",
    "z^0": "is the same for every z",
    "z*1e13": "use numbers from 1e-12 to 1e12",
    "1e999999999*z": "use numbers from",
    "z/1e-400": "use numbers from",
    "tanh(z)*exp(900)": r"`exp\(900\)` is inf: use constants",
    "tanh(z)*1e9*1e3": r"reaches 1e\+12: multiply it",
    "tanh(z)/1e6/1e6": "reaches 1e-12: multiply it",
    "z + sqrt(-1)": r"`sqrt\(-1\)` is nan: use constants",
    "tanhh(z)": "`tanhh` at character 1 is unknown: did you mean tanh",
    "x + 1": "`x` at character 1 is unknown",
    "SIN(z)": "did you mean sin",
    "foo(z)": "`foo` at character 1 is unknown: use z or one of pi, e, sin, cos",
    "2z": r"`z` at character 2: an operator such as \* or \+ is expected before it: write 2\*z",
    "z z": r"`z` at character 3: .* write z\*z",
    "sin z": r"`sin` at character 1 is a function: write sin\(z\)",
    "z(2)": r"`z\(` at character 1: z is not a function",
    "sin(z": r"The formula ends where `\)` is missing",
    "z +": "The formula ends where a number, z or a function is missing",
    "z + * 2": r"`\*` at character 5: a number",
    "z)": r"`\)` at character 2: an operator",
    "min(z)": r"`min` at character 1 has 1 arguments: write min\(z, 1\)",
    "sin(z, z)": r"has 2 arguments: write sin\(z\)",
    "()": r"`\)` at character 2: a number",
    "z; 1": "cannot have `;`, which is character 2",
    "z\x00": "cannot have the character 0x0",
    "z`": "the character 0x60",
    "2^z": "`z` at character 3: an exponent is a rational",
    "z^1e9": "exponent at character 3 is too large",
    "z^sqrt(2)": "an exponent is a rational number",
    "9^9^9^9": "exponent at character 5 is too large",
    "z^(1/0)": "an exponent is a rational",
    "__import__('os')": "cannot have `'`",
    "__class__": "`__class__` at character 1 is unknown",
    "lambda: z": "cannot have `:`",
    "[z for z in z]": r"cannot have `\[`",
    "z.real": r"cannot have `.`|`real`",
    "1/sin(z)": r"`1 / sin\(z\)` is undefined near z =",
    "z == 1": "cannot have `=`",
}


class TestRefusals:
    @pytest.mark.thorough
    def test_what_is_no_activation_is_refused_in_a_sentence(self):
        for text, words in REFUSED.items():
            with told(text):
                with pytest.raises(ValueError, match=words) as refused:
                    read(text)
                assert str(refused.value).rstrip()[-1] in ".?"
                assert len(str(refused.value)) < 500

    @pytest.mark.thorough
    def test_what_is_told_to_be_written_is_the_same_function_and_can_be_had(self):
        t = torch.linspace(-4, 4.01, 50, dtype=torch.float64)
        for text, name in WRITTEN_OUT.items():
            with told(text):
                with pytest.raises(ValueError, match=rf"Write {name}\(z\)\."):
                    read(text)
                torch.testing.assert_close(formula(f"{name}(z)").raw(t), oracle(parse(text, ARITY), t))

    def test_what_has_a_bound_and_overflows_all_the_same_is_refused(self):
        tree = parse("exp(90 + tanh(z))/1e12/1e12/1e12", ARITY)
        with pytest.raises(ValueError, match="overflows at z = 0: use smaller numbers"):
            check_numbers(tree, derivatives_of(tree), 1.0)

    @pytest.mark.parametrize(
        "text", ["(z + 1e7) - 1e7", "z + 1e7", "tanh(z) + 1e7", "sin(1e6*z)/1e6", "tanh(z) + (z/1e5 + 1e6) - 1e6"]
    )
    def test_what_is_a_staircase_in_single_precision_is_refused(self, text):
        with pytest.raises(ValueError, match=r"loses its digits in single precision near z = .*: use smaller numbers"):
            read(text)

    @pytest.mark.parametrize("text", ["sin(300*z)/300", "tanh(z) + 1e3", "tanh(1e6*z)/1e6", "sin(9*z + 100)", "1e6*z"])
    def test_what_keeps_its_digits_in_single_precision_is_not(self, text):
        z = torch.linspace(-19, 19, 1_001)
        derivatives = derivatives_of(read(text).tree)
        for single, double in zip(derivatives(z), derivatives(z.double()), strict=True):
            scale = read(text).lipschitz + float((double - double[500]).abs().max())
            assert float((single - double).abs().max()) < 2e-3 * scale

    @pytest.mark.parametrize(
        ("text", "at"),
        [
            ("min(abs(z - 2), 3)^(3/2)", "2"), ("min(abs(z), 3)^(3/2)", "0"), ("min(abs(z - pi), 3)^(3/2)", "3.142"),
            ("min(abs(z + 1), 3)^1.75", "-1"), ("(1 - cos(z - 2))^(3/2)", "2"),
        ],
    )  # fmt: skip
    def test_an_infinite_curvature_is_refused(self, text, at):
        with pytest.raises(ValueError, match=rf"has no finite curvature at z = {at}: "):
            read(text)

    def test_what_is_steep_in_a_narrow_place_is_not_flat(self):
        assert read("tanh(1e6*z)/1e6").lipschitz == pytest.approx(1, rel=1e-4)

    def test_a_refusal_is_remembered(self, monkeypatch):
        with pytest.raises(ValueError, match="silu") as refused:
            read("z*sigmoid(z) + z")
        monkeypatch.setattr(resflow_core.expressions, "_certified", None)  # what would refuse it again
        with pytest.raises(ValueError, match="silu") as again:
            read("z*sigmoid(z) + z")
        assert str(again.value) == str(refused.value)

    @pytest.mark.parametrize("value", [None, 3, b"tanh(z)", ["z"]])
    def test_what_is_no_text_is_refused(self, value):
        with pytest.raises(ValueError, match="A formula is a text"):
            read(value)


WORDS = [
    *FUNCTIONS,
    "z",
    "pi",
    "e",
    "(",
    ")",
    "^",
    "**",
    "*",
    "/",
    "+",
    "-",
    ",",
    " ",
    "1",
    "2.5",
    "1e9",
    "9^9^9^9",
    ".",
]
EVIL = [
    "__import__('os').system('true')",
    "lambda",
    "eval(",
    "exec(",
    "__class__",
    "()",
    "[z for z in z]",
    "z:=1",
    "ł",
    "\u202e",
    "\U0001d433",
]


@pytest.mark.thorough
class TestAnyText:
    @given(st.text(max_size=250) | st.lists(st.sampled_from(WORDS + EVIL), max_size=40).map("".join))
    @example("(" * 10_000)
    @example("9**9**9**9**9**9")
    @example("z" + "^2" * 90)
    @example("sin(" * 15 + "z" + ")" * 15)
    @example("1/(" * 15 + "z" + "+1)" * 15)
    @example("*".join(["sin(7*z)", "cos(11*z)", "sin(13*z)", "cos(17*z)", "tanh(z)", "gauss(z)"]))
    @settings(max_examples=80)
    def test_it_is_a_formula_or_refused_with_no_more_than_the_work_that_is_allowed(self, text):
        work, slopes = [], Enclosed.slopes

        def counted(self, cells):
            work.append((len(cells) + ROUND) * self.work)
            return slopes(self, cells)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Enclosed, "slopes", counted)
            try:
                f = read(text)
            except ValueError as error:
                assert str(error)
            else:
                assert 0 < f.lipschitz < math.inf
                assert f.activation.title.isprintable() and f.activation.title.isascii()
        assert sum(work) <= MOST_WORK

    def test_nothing_is_ever_run(self):
        for path in Path(resflow_core.expressions.__file__).parent.glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    assert node.func.id not in {"eval", "exec", "compile", "__import__", "getattr", "globals"}


class TestWhatAScreenShows:
    @pytest.mark.parametrize(
        ("text", "smoothness", "kinks"),
        [
            ("tanh(z)", 2, ()), ("abs(z - 0.3)", 0, (0.3,)), ("elu(z)", 1, (0.0,)), ("relu(z) - relu(-z)", 2, ()),
            ("min(max(z, -1), 1)", 0, (-1.0, 1.0)), ("softsign(z + 1)", 1, (-1.0,)),
            ("tanh(z)*abs(tanh(z))", 1, (0.0,)), ("abs(tanh(z)^3)", 2, ()),
        ],
    )  # fmt: skip
    def test_kinks_are_found(self, text, smoothness, kinks):
        f = read(text)
        assert (f.smoothness, f.kinks) == (smoothness, pytest.approx(kinks, abs=1e-6))

    def test_endless_kinks_are_told_up_to_a_dozen(self):
        assert len(read("abs(sin(z))").kinks) == 12

    @pytest.mark.parametrize(
        ("text", "latex"),
        [
            ("tanh(z) + sin(3*z)/6", r"\tanh\left(z\right) + \frac{\sin\left(3 \, z\right)}{6}"),
            ("-(abs(z) + 1)^(1/2)", r"-\left(\left|z\right| + 1\right)^{1/2}"),
            ("2*3*sin(pi*z)", r"2 \cdot 3 \, \sin\left(\pi \, z\right)"),
            ("(z + 1)*25e-10*4e3", r"\left(z + 1\right) \cdot 2.5 \cdot 10^{-9} \cdot 4000"),
            ("tanh(2*-z)", r"\tanh\left(2 \, \left(-z\right)\right)"),
            ("z - -tanh(z)/-2", r"z - \frac{-\tanh\left(z\right)}{-2}"),
            ("z/2 - -tanh(z)", r"\frac{z}{2} - \left(-\tanh\left(z\right)\right)"),
            ("--z", r"-\left(-z\right)"),
            ("min(z, silu(z))", r"\min\left(z, \operatorname{silu}\left(z\right)\right)"),
        ],
    )
    def test_latex(self, text, latex):
        assert read(text).latex == latex

    def test_the_title_is_what_was_typed(self):
        assert formula("  tanh( z )+\tsin(3*z) /6 ").title == "tanh( z )+ sin(3*z) /6"

    def test_the_same_formula_is_the_same_activation(self):
        assert formula("tanh(z)/2") is formula("tanh(z)/2")


TEXT = "tanh(z) + sin(3*z)/6"
CONFIG = FlowConfig(blocks=3, width=8, activation=f"={TEXT}", budget=0.9)


class TestInAFlow:
    def test_a_name_is_a_key_or_a_formula(self):
        assert activation_named("sine") is ACTIVATIONS["sine"]
        assert activation_named(f"={TEXT}") is formula(TEXT)

    @pytest.mark.parametrize("name", ["=log(z)", "=", "=tanhh(z)", "=" + "z" * 300])
    def test_settings_refuse_it_in_the_formulas_own_words(self, name):
        with pytest.raises(ValueError) as own:
            formula(name[1:])
        with pytest.raises(ValueError, match=r"^activation = .*: ") as refused:
            FlowConfig(activation=name)
        assert str(refused.value).endswith(f": {own.value}")

    def test_no_other_setting_takes_one(self):
        with pytest.raises(ValueError, match="use one of"):
            FlowConfig(norms="=tanh(z)")
        with pytest.raises(ValueError, match="use one of"):
            FlowConfig(activation=TEXT)

    def test_settings_show_it_and_carry_it_as_text(self):
        _, limits = settings_of(FlowConfig)["activation"]
        assert limits.shown(CONFIG.activation) == TEXT
        assert limits.shown("lipswish") == "LipSwish"
        assert from_json(FlowConfig, to_json(CONFIG)) == CONFIG

    @pytest.mark.parametrize("text", [TEXT, "sin(2*z) - elu(z)/3"])
    def test_the_jacobian_and_its_gradients_are_those_of_autograd(self, text):
        g = Branch([2, 6, 6, 2], f"={text}", 0.9, seeded(0)).double()
        x = 2 * points(7, 2)
        value, jacobian = g.value_and_jacobian(x)
        found = torch.autograd.functional.jacobian(g, x, create_graph=True)
        by_autograd = torch.stack([found[k, :, k] for k in range(len(x))])
        torch.testing.assert_close((value, jacobian), (g(x), by_autograd))
        losses = [g(x).sum() + (of**2).sum() for of in (jacobian, by_autograd)]
        gradients = [torch.autograd.grad(loss, list(g.parameters())) for loss in losses]
        for a, b in zip(*gradients, strict=True):
            torch.testing.assert_close(a, b)

    @pytest.mark.parametrize("derivative", [torch.func.jacrev, torch.func.jacfwd])
    def test_transforms_of_torch_func_differentiate_its_log_det(self, derivative):
        """Forward, backward and over a batch, through the slopes that the Jacobian is made of."""
        g, x = Branch([2, 6, 2], f"={TEXT}", 0.9, seeded(0)).double(), 2 * points(5, 2)

        def log_det(row):
            return residual_log_det(g.value_and_jacobian(row[None])[1])[0]

        expected = torch.stack([torch.autograd.functional.jacobian(log_det, row) for row in x])
        torch.testing.assert_close(torch.func.vmap(derivative(log_det))(x), expected)

    @pytest.mark.thorough
    @pytest.mark.parametrize("log_det", [Exact(), Roulette()], ids=str)
    def test_it_trains_within_its_bound_and_is_read_from_its_file(self, log_det):
        t = Trainer(CONFIG, TrainConfig(log_det=log_det, batch=200, average=0.0), DATASETS["moons"], seed=0)
        losses = [t.step() for _ in range(30)]
        assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.1
        x = 3 * points(2_000, 2).float()
        for block in t.flow.blocks:
            with torch.no_grad():
                _, jacobian = block.branch.value_and_jacobian(x)
            assert block.branch.lipschitz <= CONFIG.budget + 1e-9
            assert float(torch.linalg.matrix_norm(jacobian, 2).max()) <= CONFIG.budget + 1e-5
        again = flow_file.from_bytes(flow_file.to_bytes(t.flow))
        assert again.config == CONFIG
        assert torch.equal(again.log_prob(x[:50]), t.flow.log_prob(x[:50]))
        torch.testing.assert_close(again.inverse(again(x[:50])), x[:50], atol=1e-4, rtol=1e-4)

    def test_a_file_with_a_formula_that_is_none_is_refused(self):
        text = flow_file.to_bytes(CONFIG.build(seeded(0))).replace(TEXT.encode(), b"tanh(z)+ log(3*z)/66"[: len(TEXT)])
        with pytest.raises(ValueError, match=r"`log\(3 \* z\)` is undefined at z = "):
            flow_file.from_bytes(text)

    @pytest.mark.parametrize("log_det", [Exact(), Truncated(3, n_probes=4), Truncated(8)], ids=str)
    def test_the_memory_of_a_step_is_known_beforehand(self, log_det, monkeypatch):
        flow, train = FlowConfig(blocks=2, width=32, activation=f"={TEXT}"), TrainConfig(log_det=log_det, batch=200)
        t, kept = Trainer(flow, train, DATASETS["moons"], seed=0), {}
        monkeypatch.setattr("resflow_core.flow.FUSED", [])  # it keeps the same tensors, but not through autograd

        def keep(tensor):
            kept[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            t.step()
        saved = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
        assert saved < step_bytes(flow, train) < 10 * saved
        parts = 3 * len(steps_of(read(TEXT).tree)) * 4 * 32  # of one layer and row, while it is evaluated
        for needed, rows in ((step_bytes, 200), (bytes_of_products, log_det.work(200).rows)):
            assert needed(flow, train) - needed(replace(flow, activation="tanh"), train) >= rows * parts
