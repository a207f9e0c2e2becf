"""What is said of an activation alone, against closed forms, SciPy and activations made to be difficult."""

import math
from dataclasses import dataclass

import pytest
import torch
from scipy import optimize, special

from resflow_core.activations import ACTIVATIONS, Activation
from resflow_core.expressions import formula
from resflow_core.fast.closed_forms import ClosedForm, closed_form
from resflow_core.measure import Smoothness, Verdict, criteria

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
def test_what_is_said_of_every_activation_is_known(name):
    constant, at, limits, verdicts, smoothness = KNOWN[name]
    found = criteria(ACTIVATIONS[name])
    assert (found.constant.found, found.constant.at) == (pytest.approx(constant, abs=1e-9), pytest.approx(at, abs=1e-5))
    assert found.constant.claimed == closed_form(ACTIVATIONS[name]).lipschitz(2)
    assert found.constant.claimed - 1e-4 < found.constant.found <= found.constant.claimed
    # The function of one number has the constant of the sup norm.
    of_one = {"clipswish": SILU, "cpila": (1, 0.2)}.get(name, (constant, at))
    assert (found.function.found, found.function.at) == pytest.approx(of_one, abs=1e-5)
    assert found.function.found <= found.function.claimed == closed_form(ACTIVATIONS[name]).lipschitz(math.inf)
    for tail, limit, verdict in zip((found.left, found.right), limits, verdicts, strict=True):
        assert tail.slope == (limit if limit is None else pytest.approx(limit, abs=1e-5))
        if name == "sine":  # cos t = 0.95 where |sin t| is the root of 1 - 0.95^2
            assert tail.steep_curvature == pytest.approx(math.sqrt(1 - 0.95**2), abs=1e-3)
        else:
            assert tail.curvature == pytest.approx(0, abs=1e-12)
        assert tail.verdict is verdict
    assert found.verdict is (STARVES if STARVES in verdicts else DOES_NOT)
    assert found.smoothness is smoothness
    assert found.kinks == ((0.0,) if name in ("elu", "celu", "relu", "leaky_relu", "selu") else ())
    assert (found.numbers, found.by_itself) == ({"clipswish": 2, "cpila": 2}.get(name, 1), name != "maxmin")


@dataclass(frozen=True)
class Claimed:
    """A function that brings its closed form with it."""

    closed_form: ClosedForm


def made(value, slope, curvature, constant=1.0):
    """An activation of three functions."""

    def derivatives(t):
        yield value(t)
        yield slope(t)
        yield curvature(t)

    return Activation("made", Claimed(ClosedForm(derivatives, lambda p: constant)))


MADE = {
    # sqrt(1 + t^2): 1 - 1 / (2 t^2) on both sides
    "hyperbola": (lambda t: t / (1 + t**2).sqrt(), lambda t: (1 + t**2) ** -1.5, 1.0, (STARVES, STARVES)),
    "slowly to 0": (
        lambda t: (1 + t.abs()) ** -0.5, lambda t: -t.sign() / 2 * (1 + t.abs()) ** -1.5, 0.0, (DOES_NOT, DOES_NOT),
    ),
    # Up and flat in turns for ever: no limit, and no curvature where it goes up.
    "stairs": (lambda t: (torch.sin(t) > 0).double(), torch.zeros_like, None, (STARVES, STARVES)),
    "small wave": (lambda t: 0.9 * torch.cos(t), lambda t: -0.9 * torch.sin(t), None, (DOES_NOT, DOES_NOT)),
    # Near 1 from 0.95 on.
    "line of slope 0.96": (lambda t: 0.96 + 0 * t, torch.zeros_like, 0.96, (STARVES, STARVES)),
    "line of slope 0.94": (lambda t: 0.94 + 0 * t, torch.zeros_like, 0.94, (DOES_NOT, DOES_NOT)),
}  # fmt: skip


@pytest.mark.parametrize(("slope", "curvature", "limit", "verdicts"), MADE.values(), ids=MADE)
def test_tails_of_difficult_activations(slope, curvature, limit, verdicts):
    found = criteria(made(torch.zeros_like, slope, curvature))  # nobody asks for values
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
    wave = made(torch.zeros_like, lambda t: torch.cos(300 * t) / 3 + (t > 0.25), lambda t: -100 * torch.sin(300 * t))
    assert criteria(wave).kinks == pytest.approx((0.25,), abs=1e-6)


def test_what_is_added_to_a_rectifier_does_not_hide_that_it_starves():
    assert criteria(formula("relu(z) + 0.01*tanh(z)")).right.verdict is STARVES
