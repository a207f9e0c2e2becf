import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from resflow_core.expressions import formula, read
from resflow_core.expressions.enclosures import Cells, Enclosed
from resflow_core.expressions.enclosures import points as cells_at
from resflow_core.expressions.functions import FUNCTIONS
from resflow_core.expressions.jets import derivatives_of
from resflow_core.expressions.printing import unparse
from resflow_core.expressions.refusals import ARITY
from resflow_core.expressions.syntax import MOST_NODES, parse
from resflow_core.expressions.tree import Call, Number, Power, Symbol, Z, size
from resflow_core.fast.closed_forms import closed_form
from resflow_core.fast.folding import FoldedBranch
from resflow_core.flow import FlowConfig
from resflow_core.residual import Branch
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


class TestDerivatives:
    @pytest.mark.parametrize(
        "text",
        [
            "tanh(z) + sin(3*z)/6",
            "z + gauss(z)*sin(2*z)",
            "sin(z)^3/(2 + cos(z))",
            "min(max(z, -2), pi*z)",
            "(3 + sin(z))^(-5/2)",
        ],
    )
    def test_autograd_differentiates_value_slope_and_curvature(self, text):
        t = torch.linspace(-3, 3.01, 50, dtype=torch.float64).requires_grad_()
        activation = formula(text)
        expected = differentiated(lambda t: oracle(read(text).tree, t), t.detach())
        value, slope, curvature = closed_form(activation).derivatives(t)
        (first,) = torch.autograd.grad(closed_form(activation).raw(t).sum(), t, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), t, create_graph=True, materialize_grads=True)
        (of_slope,) = torch.autograd.grad(slope.sum(), t, materialize_grads=True)
        for found, order in ((value, 0), (slope, 1), (first, 1), (curvature, 2), (second, 2), (of_slope, 2)):
            torch.testing.assert_close(found, expected[order], rtol=1e-10, atol=1e-12)
        for found in (torch.autograd.grad(value.sum(), t, retain_graph=True)[0] for _ in range(2)):
            torch.testing.assert_close(found, expected[1], rtol=1e-10, atol=1e-12)

    def test_dtype_and_shape_stay_and_everything_is_finite_far_out(self):
        t = torch.tensor([[-1e4, -100, 0, 0.5], [2, 100, 1000, 1e4]])
        for text in ("min(exp(z), 1)", "z", "tanh(z) + pi", "elu(z) + relu(z)"):
            for found in closed_form(formula(text)).derivatives(t):
                assert found.dtype == torch.float32 and found.shape == t.shape and bool(found.isfinite().all()), text


class TestEveryFunction:
    def test_derivatives_are_those_of_autograd(self):
        for name, function in FUNCTIONS.items():
            t = torch.linspace(-5, 5, 200, dtype=torch.float64)
            t = t[t > function.domain[0]]
            for mine, theirs in zip(function.derivatives(t), differentiated(ORACLES[name], t), strict=True):
                with told(name):
                    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)

    def test_ranges_hold_what_is_found_in_an_interval_and_little_more(self):
        for (name, function), order in itertools.product(FUNCTIONS.items(), range(3)):
            with told((name, order)):
                self.check_range(function, order)

    @staticmethod
    def check_range(function, order):
        rng = np.random.default_rng(order)
        low = np.concatenate([rng.uniform(-5, 5, 100), [0.0, -2.0, 0.0, 1.0]])
        high = np.concatenate([low[:100] + 10 ** rng.uniform(-3, 0.8, 100), [1.0, 0.0, 4.0, 1.0]])
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

    def test_a_range_on_a_tail_is_that_of_its_limit(self):
        far = np.array([30.0]), np.array([np.inf])
        t = torch.tensor([30.0, 31.0, 40.0, 100.0, 700.0], dtype=torch.float64)
        for name, function in FUNCTIONS.items():
            for order, found in enumerate(function.derivatives(t)):
                least, most = function.range(order, *far)
                with told((name, order)):
                    assert float(least[0]) <= float(found.min()) and float(most[0]) >= float(found.max())


WELL_BEHAVED = {
    "tanh(z) + sin(3*z)/6": 1.5, "sin(z) + cos(z)": math.sqrt(2), "silu(z)": 1.0998393, "relu(z) - relu(-z)": 1.0,
    "min(exp(z), 1)": 1.0, "tanh(z)^2": 0.7698004, "tanh(100*z)/100": 1.0, "gauss(z)*sin(5*z)": 5.0,
    "log(2 + sin(z))": 1 / math.sqrt(3), "max(z, z/100)": 1.0, "gauss(z - 40)": math.sqrt(2 / math.e),
    "(2 + sin(z))^(1/2)": None, "hyperbola(z)/3 + sin(z/10)": None, "1/(2 + cos(z))": None,
    "z/9 + min(max(1000*(z - 0.5123), 0), 0.001)": 1000 + 1 / 9,
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
        assert abs(float(list(closed_form(f.activation).derivatives(at))[1])) == pytest.approx(f.steepest, rel=1e-6)
        for p in (1, 2, math.inf):
            assert closed_form(f.activation).lipschitz(p) == f.lipschitz

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


REFUSED = {
    "": "The formula is empty",
    "z" * 201: "has 201 characters: use at most 200",
    "(" * 30 + "z" + ")" * 30: "nested more than 20 deep",
    "+".join("z" * 60): "has 119 numbers, operators and functions: use at most 100",
    "log(z)": r"`log\(z\)` is undefined at z = -\d.*, where `z` is negative",
    "z^0.5": r"`z\^\(1/2\)` is undefined at z = -",
    "1/(z - 2)": "is undefined near z = 2, where `z - 2` is 0",
    "tanh(z) + 1/0": "`1 / 0` is inf: use constants",
    "sqrt(abs(z))": r"`sqrt\(abs\(z\)\)` has no bounded slope near z = 0",
    "exp(z)": r"`exp\(z\)`: no bound of its slope holds as z goes to ∞",
    "softplus(-z)^2": "no bound of its slope holds as z goes to -",
    "z*cos(z)": "Keep growing parts within bounds",
    "1 + sigmoid(2*z) * (2*z)": r"Write silu\(2 \* z\)\.",
    "3": "`3` is constant",
    "sin(z)^2 + cos(z)^2": "is the same for every z",
    "z*1e13": "use numbers from 1e-12 to 1e12",
    "tanh(z)*1e9*1e3": r"reaches 1e\+12: multiply it",
    "tanhh(z)": "`tanhh` at character 1 is unknown: did you mean tanh",
    "2z": r"`z` at character 2: .* write 2\*z",
    "sin(z": r"The formula ends where `\)` is missing",
    "z + * 2": r"`\*` at character 5: a number",
    "min(z)": r"`min` at character 1 has 1 arguments",
    "2^z": "`z` at character 3: an exponent is a rational",
    "9^9^9^9": "exponent at character 5 is too large",
    "__import__('os')": "cannot have `'`",
    "sin(1e6*z)/1e6": "loses its digits in single precision near z = ",
    "min(abs(z - 2), 3)^(3/2)": "has no finite curvature at z = 2: ",
}


def test_what_is_no_activation_is_refused():
    for text, words in REFUSED.items():
        with told(text), pytest.raises(ValueError, match=words):
            read(text)


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


TEXT = "tanh(z) + sin(3*z)/6"


class TestInAFlow:
    @pytest.mark.parametrize("name", ["=log(z)", "=tanhh(z)"])
    def test_settings_refuse_it_in_the_formulas_own_words(self, name):
        with pytest.raises(ValueError) as own:
            formula(name[1:])
        with pytest.raises(ValueError, match=r"^activation = .*: ") as refused:
            FlowConfig(activation=name)
        assert str(refused.value).endswith(f": {own.value}")

    @pytest.mark.parametrize("text", [TEXT, "sin(2*z) - elu(z)/3"])
    def test_the_jacobian_and_its_gradients_are_those_of_the_plain_branch(self, text):
        g = FoldedBranch([2, 6, 6, 2], f"={text}", 0.9, seeded(0)).double()
        x = 2 * points(7, 2)
        found, plain = g.value_and_jacobian(x), Branch.value_and_jacobian(g, x)
        torch.testing.assert_close(found, plain)
        losses = [(value.sum() + (jacobian**2).sum()) for value, jacobian in (found, plain)]
        gradients = [torch.autograd.grad(loss, list(g.parameters())) for loss in losses]
        for a, b in zip(*gradients, strict=True):
            torch.testing.assert_close(a, b)
