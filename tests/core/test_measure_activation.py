"""What is said of an activation alone, against closed forms, SciPy and activations made to be difficult."""

import functools
import math
from dataclasses import replace

import pytest
import torch
from scipy import optimize, special

from resflow_core.activations import ACTIVATIONS, Activation
from resflow_core.expressions import formula
from resflow_core.measure import Smoothness, Verdict, criteria
from resflow_core.measure.activation import unit_derivatives
from tests.core.oracles import points


@functools.cache
def found_of(name):
    """The criteria of an entry of `ACTIVATIONS`."""
    return criteria(ACTIVATIONS[name])


STARVES, DOES_NOT = Verdict.STARVES, Verdict.DOES_NOT


def steepest(slope, low, high):
    """The largest slope by SciPy: its value and its place."""
    found = optimize.minimize_scalar(
        lambda t: -slope(t), bounds=(low, high), method="bounded", options={"xatol": 1e-10}
    )
    return -found.fun, found.x


def silu_slope(t):
    return special.expit(t) * (1 + t * special.expit(-t))


def mish_slope(t):
    w = math.tanh(math.log1p(math.exp(t)))
    return w + t * (1 - w**2) * special.expit(t)


SILU, MISH = steepest(silu_slope, 1, 4), steepest(mish_slope, 0.5, 3)
PHI = special.ndtr(math.sqrt(2)) + math.sqrt(2) * math.exp(-1) / math.sqrt(2 * math.pi)  # gelu' at its inflection
SELU_BELOW = 1.0507009873554805 * 1.6732632423543772
CLIPSWISH, CPILA = math.hypot(SILU[0], 1 - SILU[0]), math.hypot(1, 19 * math.exp(-4))
# The largest |slope| of a unit and where it is, limits of |slope| and whether they starve (left, right), smoothness.
KNOWN = {
    "lipswish": (*SILU, (0, 1 / SILU[0]), (DOES_NOT, DOES_NOT), Smoothness.C2),
    "silu": (*SILU, (0, 1 / SILU[0]), (DOES_NOT, DOES_NOT), Smoothness.C2),
    "sine": (1, 0, (None, None), (DOES_NOT, DOES_NOT), Smoothness.C2),
    "elu": (1, 0, (0, 1), (DOES_NOT, STARVES), Smoothness.C1),
    "celu": (1, 0, (0, 1), (DOES_NOT, STARVES), Smoothness.C1),
    "tanh": (1, 0, (0, 0), (DOES_NOT, DOES_NOT), Smoothness.C2),
    "softplus": (1, math.inf, (0, 1), (DOES_NOT, STARVES), Smoothness.C2),
    "relu": (1, 1e-3, (0, 1), (DOES_NOT, STARVES), Smoothness.C0),
    "leaky_relu": (1, 1e-3, (0.01, 1), (DOES_NOT, STARVES), Smoothness.C0),
    "selu": (SELU_BELOW, 0, (0, 1 / 1.6732632), (DOES_NOT, DOES_NOT), Smoothness.C0),
    "gelu": (PHI, math.sqrt(2), (0, 1 / PHI), (DOES_NOT, DOES_NOT), Smoothness.C2),
    "mish": (*MISH, (0, 1 / MISH[0]), (DOES_NOT, DOES_NOT), Smoothness.C2),
    "clipswish": (CLIPSWISH, SILU[1], (1 / CLIPSWISH, 1 / CLIPSWISH), (DOES_NOT, DOES_NOT), Smoothness.C2),
    "cpila": (CPILA, 0.6, (1 / CPILA, 1 / CPILA), (DOES_NOT, DOES_NOT), Smoothness.C2),
    "maxmin": (1, 0, (1, 1), (STARVES, STARVES), Smoothness.C0),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
class TestEveryActivation:
    def test_constant_and_place_are_those_of_closed_forms(self, name):
        constant, at, *_ = KNOWN[name]
        found = found_of(name).constant
        assert found.found == pytest.approx(constant, abs=1e-9)
        assert found.at == pytest.approx(at, abs=1e-5)
        assert found.claimed == ACTIVATIONS[name].lipschitz(2)
        assert found.claimed - 1e-4 < found.found <= found.claimed

    def test_the_function_of_one_number_has_the_constant_of_the_sup_norm(self, name):
        found = found_of(name).function
        of_one = {"clipswish": SILU, "cpila": (1, 0.2)}.get(name, KNOWN[name][:2])
        assert (found.found, found.at) == pytest.approx(of_one, abs=1e-5)
        assert found.claimed == ACTIVATIONS[name].lipschitz(math.inf)
        assert found.found <= found.claimed

    def test_tails_have_their_limits_and_their_verdicts(self, name):
        *_, limits, verdicts, _ = KNOWN[name]
        found = found_of(name)
        for tail, limit, verdict in zip((found.left, found.right), limits, verdicts, strict=True):
            assert tail.slope == (limit if limit is None else pytest.approx(limit, abs=1e-5))
            if name != "sine":
                assert tail.curvature == pytest.approx(0, abs=1e-12)
            assert tail.verdict is verdict
        assert found.verdict is (STARVES if STARVES in verdicts else DOES_NOT)

    def test_smoothness_and_kinks(self, name):
        found = found_of(name)
        assert found.smoothness is KNOWN[name][-1]
        assert found.kinks == ((0.0,) if name in ("elu", "celu", "relu", "leaky_relu", "selu") else ())

    def test_it_says_what_is_one_number_to_one(self, name):
        found, numbers = found_of(name), {"clipswish": 2, "cpila": 2}.get(name, 1)
        assert (found.numbers, found.by_itself) == (numbers, name != "maxmin")
        assert found.is_one_number_to_one == ACTIVATIONS[name].is_elementwise


def test_the_sine_has_no_limit_but_curvature_wherever_far_out_its_slope_is_near_one():
    for tail in (found_of("sine").left, found_of("sine").right):
        assert (tail.slope, tail.curvature) == (None, None)
        # cos t = 0.95 where |sin t| is the root of 1 - 0.95^2.
        assert tail.steep_curvature == pytest.approx(math.sqrt(1 - 0.95**2), abs=1e-3)
    assert math.isnan(found_of("lipswish").right.steep_curvature)  # 0.909 is not near 1
    assert found_of("elu").right.steep_curvature == 0


class Given(torch.autograd.Function):
    """A slope whose derivative is a curvature that is given beside it."""

    @staticmethod
    def forward(ctx, t, slope, curvature):
        ctx.save_for_backward(t)
        ctx.curvature = curvature
        return slope(t)

    @staticmethod
    def backward(ctx, d_slope):
        return d_slope * ctx.curvature(*ctx.saved_tensors), None, None


def made(value, slope, curvature, constant=1.0):
    """An activation of three functions."""

    def function(t):
        yield value(t)
        yield Given.apply(t, slope, curvature)

    return Activation("made", function, lambda p: constant)


SLOW = 0.5  # the slope 1 - SLOW (1 + |t|)^-1/2 is 0.995 at 1e4
MADE = {
    # sqrt(1 + t^2): 1 - 1 / (2 t^2) on both sides
    "hyperbola": (
        made(lambda t: (1 + t**2).sqrt(), lambda t: t / (1 + t**2).sqrt(), lambda t: (1 + t**2) ** -1.5),
        1.0,
        (STARVES, STARVES),
    ),
    "slowly to 1": (
        made(
            lambda t: t - 2 * SLOW * t.sign() * ((1 + t.abs()).sqrt() - 1),
            lambda t: 1 - SLOW * (1 + t.abs()) ** -0.5,
            lambda t: t.sign() * SLOW / 2 * (1 + t.abs()) ** -1.5,
        ),
        1.0,
        (STARVES, STARVES),
    ),
    "slowly to 0": (
        made(
            lambda t: 2 * t.sign() * ((1 + t.abs()).sqrt() - 1),
            lambda t: (1 + t.abs()) ** -0.5,
            lambda t: -t.sign() / 2 * (1 + t.abs()) ** -1.5,
        ),
        0.0,
        (DOES_NOT, DOES_NOT),
    ),
    # Up and flat in turns for ever: no limit, and no curvature where it goes up.
    "stairs": (
        made(
            lambda t: torch.zeros_like(t),  # values are not asked for
            lambda t: (torch.sin(t) > 0).double(),
            torch.zeros_like,
        ),
        None,
        (STARVES, STARVES),
    ),
    # Up and down in turns for ever: |slope| is 1.
    "saw": (made(torch.zeros_like, lambda t: torch.sin(t).sign(), torch.zeros_like), 1.0, (STARVES, STARVES)),
    "small wave": (
        made(lambda t: 0.9 * torch.sin(t), lambda t: 0.9 * torch.cos(t), lambda t: -0.9 * torch.sin(t)),
        None,
        (DOES_NOT, DOES_NOT),
    ),
    # Near 1 from 0.95 on.
    "line of slope 0.96": (made(lambda t: 0.96 * t, lambda t: 0.96 + 0 * t, torch.zeros_like), 0.96, (STARVES,) * 2),
    "line of slope 0.94": (made(lambda t: 0.94 * t, lambda t: 0.94 + 0 * t, torch.zeros_like), 0.94, (DOES_NOT,) * 2),
}


@pytest.mark.parametrize(("activation", "limit", "verdicts"), MADE.values(), ids=MADE)
def test_tails_of_difficult_activations(activation, limit, verdicts):
    found = criteria(activation)
    for tail, verdict in zip((found.left, found.right), verdicts, strict=True):
        assert tail.slope == (None if limit is None else pytest.approx(limit, abs=1e-3))
        assert tail.verdict is verdict


def test_every_kink_is_found_where_it_is():
    # |t| <= 1 linear beyond, cubic between (LipschitzCube): its curvature jumps at both ends.
    cube = made(torch.zeros_like, lambda t: t.clamp(-1, 1) ** 2, lambda t: torch.where(t.abs() < 1, 2 * t, 0 * t))
    assert criteria(cube).kinks == pytest.approx((-1, 1), abs=1e-6)
    assert criteria(cube).smoothness is Smoothness.C1
    hard = made(torch.zeros_like, lambda t: ((t > -0.5) & (t < 0.25)).double(), torch.zeros_like)
    assert criteria(hard).kinks == pytest.approx((-0.5, 0.25), abs=1e-6)
    assert criteria(hard).smoothness is Smoothness.C0


@pytest.mark.parametrize("times", [60, 300, 1e4, 1e6, 1e9])
def test_a_fast_wave_has_no_kinks_and_is_searched_at_few_points(times):
    asked = []

    def slope(t):
        asked.append(len(t))
        return torch.cos(times * t)

    wave = made(lambda t: torch.sin(times * t) / times, slope, lambda t: -times * torch.sin(times * t))
    found = criteria(wave)
    assert (found.kinks, found.smoothness) == ((), Smoothness.C2)
    # The grid has 40,000 nodes. Without a limit on the cells, each of them would be halved 23 times, and both halves.
    assert sum(asked) < 1e6


def test_a_kink_is_found_beside_a_fast_wave():
    wave = made(
        torch.zeros_like,
        lambda t: torch.cos(300 * t) / 3 + (t > 0.25),
        lambda t: -100 * torch.sin(300 * t),
    )
    found = criteria(wave)
    assert found.kinks == pytest.approx((0.25,), abs=1e-6)
    assert found.smoothness is Smoothness.C0


def test_what_is_added_to_a_rectifier_does_not_hide_that_it_starves():
    assert criteria(formula("relu(z) + 0.01*tanh(z)")).right.verdict is STARVES


def test_a_claim_that_is_too_small_is_seen():
    found = criteria(replace(ACTIVATIONS["gelu"], lipschitz=lambda p: 1.1)).constant
    assert found.found > found.claimed == 1.1


@pytest.mark.parametrize("name", ["sine", "clipswish", "cpila"])
def test_a_unit_stretches_by_the_norm_of_its_column_of_the_jacobian(name):
    activation, t = ACTIVATIONS[name], points(3, 20)
    slope, curvature = unit_derivatives(activation, activation.near(t))
    for row in range(3):
        for column in range(20):
            at = t[row, column]
            first = torch.autograd.functional.jacobian(lambda z: activation.raw(z[None, None])[:, 0], at)
            second = torch.autograd.functional.jacobian(
                lambda z: torch.autograd.functional.jacobian(
                    lambda u: activation.raw(u[None, None])[:, 0], z, create_graph=True
                ),
                at,
            )
            assert float(slope[row, column]) == pytest.approx(float(first.norm()), rel=1e-9)
            assert float(curvature[row, column]) == pytest.approx(float(second.norm()), rel=1e-9)
