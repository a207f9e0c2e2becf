"""The functions that a formula may name. A new entry of `FUNCTIONS` adds one.

The functions of t below yield value, slope and curvature, each in the shape of t. Certified bounds of the slope need
the curvature in closed form.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from resflow_core import activations
from resflow_core.activations import ValueAndSlope
from resflow_core.branches import activations as others
from resflow_core.expressions.arrays import everywhere, somewhere, up

INFINITY = math.inf
Derivatives = Callable[[Tensor], Iterator[Tensor]]
Interval = tuple[np.ndarray, np.ndarray]
# Allowed errors of PyTorch's functions in float64: relative, and absolute for functions of size 1.
RELATIVE, ABSOLUTE = 16 * np.finfo(float).eps, 1e-14
# Points on the two sides of a kink at 0.
SIDES = (-1e-300, 1e-300)


@dataclass(frozen=True, eq=False)
class Function:
    """A function of one argument, with the facts that certification needs.

    `derivatives(t)` yields value, slope and curvature. For each of the three, `turns` has the points between which it
    is monotone, to ten digits, and `limits` has its limits at the two ends of `domain`. At 0 the derivative of order
    `kink` jumps. `error` is the absolute error of the three in float64, besides some units in the last place. A
    periodic function has `ranges` instead: the range of each of the three on intervals.
    """

    derivatives: Derivatives
    turns: tuple[tuple[float, ...], ...] = ((), (), ())
    limits: tuple[tuple[float, float], ...] = ()
    domain: tuple[float, float] = (-INFINITY, INFINITY)
    kink: int | None = None
    error: float = ABSOLUTE
    latex: str | None = None
    ranges: tuple[Callable[[np.ndarray, np.ndarray], Interval], ...] | None = None

    def range(self, order: int, low: np.ndarray, high: np.ndarray) -> Interval:
        """Bounds of the derivative of this order on the intervals [low, high], (n,) each.

        They are the whole line if the derivative is undefined there, or a lower one jumps inside.
        """
        if self.ranges:
            return self.ranges[order](low, high)
        if self.kink and order >= self.kink:  # an end at 0 belongs to the side on which the interval lies
            low, high = np.where(low == 0, SIDES[1], low), np.where(high == 0, SIDES[0], high)
        first = self._at(order, low)
        last = first if low is high else self._at(order, high)
        least, most = np.minimum(first, last), np.maximum(first, last)
        turns, lowest, highest = self._extremes(order)
        for turn, value in turns:
            inside = (low < turn) & (turn < high)
            if somewhere(inside):
                least = np.where(inside, np.minimum(least, value), least)
                most = np.where(inside, np.maximum(most, value), most)
        least = np.maximum(self._outward(least, -1), lowest)
        most = np.minimum(self._outward(most, 1), highest)
        undefined = np.full(1, False)
        if self.domain[0] > -INFINITY:
            undefined = undefined | (low <= self.domain[0] if order else low < self.domain[0])
        if self.kink and order > self.kink:
            undefined = undefined | ((low < 0) & (high > 0))
        if not somewhere(undefined):
            return least, most
        return np.where(undefined, -INFINITY, least), np.where(undefined, INFINITY, most)

    @cache  # noqa: B019 -- functions are few, and live as long as the process
    def _extremes(self, order: int) -> tuple[tuple[tuple[float, float], ...], float, float]:
        """(turn, value there) for each turn of the derivative, and its bounds on the whole domain."""
        values = self._at(order, np.array(self.turns[order], dtype=float))
        known = [*self.limits[order], *self._outward(values, -1), *self._outward(values, 1)]
        return tuple(zip(self.turns[order], values.tolist(), strict=True)), float(min(known)), float(max(known))

    def _at(self, order: int, x: np.ndarray) -> np.ndarray:
        derivatives = self.derivatives(torch.from_numpy(np.ascontiguousarray(x)))
        values = [next(derivatives) for _ in range(order + 1)][-1].numpy()
        lower, upper = self.limits[order]
        for where, limit in ((np.isnan(values), lower), (x >= self.domain[1], upper), (x <= self.domain[0], lower)):
            values = np.where(where, limit, values) if somewhere(where) else values
        return values

    def _outward(self, values: np.ndarray, sign: int) -> np.ndarray:
        moved = values + sign * (RELATIVE * np.abs(values) + self.error)
        moved = up(moved) if sign > 0 else moved  # an exp that underflows to 0 lies below its true value
        finite = np.isfinite(values)
        return moved if everywhere(finite) else np.where(finite, moved, values)


def _wave(shift: float) -> Callable[[np.ndarray, np.ndarray], Interval]:
    """The range of sin(x + shift) on intervals."""

    def reaches(low, high, top):
        """Whether a point top + 2 pi k lies in [low, high]."""
        return np.floor((high - top) / (2 * np.pi)) >= np.ceil((low - top) / (2 * np.pi))

    def range_of(low, high):
        far = np.maximum(np.abs(low), np.abs(high))
        wide = ~(high - low < 6.2) | (far > 1e9)
        if somewhere(wide):
            low, high, far = (np.where(wide, 0.0, x) for x in (low, high, far))
        # The shift and the multiples of pi are added to the argument with rounding.
        slack = ABSOLUTE + RELATIVE * far
        a = np.sin(low + shift)
        b = a if low is high else np.sin(high + shift)
        least, most = np.minimum(a, b) - slack, np.maximum(a, b) + slack
        low, high = low - slack, high + slack
        least = np.where(wide | reaches(low, high, -np.pi / 2 - shift), -1.0, least)
        most = np.where(wide | reaches(low, high, np.pi / 2 - shift), 1.0, most)
        return np.maximum(least, -1.0), np.minimum(most, 1.0)

    return range_of


WAVES = tuple(_wave(k * math.pi / 2) for k in range(4))


def _with_curvature(function: ValueAndSlope, curvature: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Derivatives:
    """A function of `resflow_core.activations`, with its curvature from t, the value y and the slope."""

    def derivatives(t: Tensor) -> Iterator[Tensor]:
        both = function(t)
        yield (y := next(both))
        yield (slope := next(both))
        yield curvature(t, y, slope)

    return derivatives


def _of_silu(t: Tensor, y: Tensor, slope: Tensor) -> Tensor:
    """(1 - s) (2 y' - y) with the logistic s."""
    return torch.lerp(torch.lerp(y, slope, 2.0), y.new_zeros(()), torch.sigmoid(t))


def _of_gelu(t: Tensor, y: Tensor, slope: Tensor) -> Tensor:
    """(2 - t^2) p with the normal density p."""
    return (2 - t**2) * (torch.exp(-0.5 * t**2) / math.sqrt(2 * math.pi))


def _of_mish(t: Tensor, y: Tensor, slope: Tensor) -> Tensor:
    """w' (2 + t (1 - s - 2 w s)) with w = tanh(log(1 + exp t)), w' = (1 - w^2) s and the logistic s."""
    w, s = torch.tanh(torch.nn.functional.softplus(t)), torch.sigmoid(t)
    return (1 - w**2) * s * (2 + t * (1 - s - 2 * w * s))


def cosine(t: Tensor) -> Iterator[Tensor]:
    """cos t; -sin t; -cos t."""
    yield (y := torch.cos(t))
    yield -torch.sin(t)
    yield -y


def sigmoid(t: Tensor) -> Iterator[Tensor]:
    """s; s (1 - s); s (1 - s) (1 - 2 s)."""
    yield (s := torch.sigmoid(t))
    yield (slope := s * (1 - s))
    yield slope * (1 - 2 * s)


def exponential(t: Tensor) -> Iterator[Tensor]:
    """exp t, three times."""
    yield (y := torch.exp(t))
    yield y
    yield y


def logarithm(t: Tensor) -> Iterator[Tensor]:
    """log t; 1 / t; -1 / t^2."""
    yield torch.log(t)
    yield (slope := 1 / t)
    yield -(slope**2)


def root(t: Tensor) -> Iterator[Tensor]:
    """r = sqrt t; 1 / (2 r); -1 / (4 r t)."""
    yield (r := torch.sqrt(t))
    yield (slope := 0.5 / r)
    yield -0.5 * slope / t


def magnitude(t: Tensor) -> Iterator[Tensor]:
    """|t|; its sign, 1 at 0; 0."""
    yield t.abs()
    yield torch.where(t < 0, -t.new_ones(()), 1)
    yield torch.zeros_like(t)


def error_function(t: Tensor) -> Iterator[Tensor]:
    """erf t; p = 2 exp(-t^2) / sqrt(pi); -2 t p."""
    yield torch.erf(t)
    yield (slope := 2 / math.sqrt(math.pi) * torch.exp(-(t**2)))
    yield -2 * t * slope


def arc_tangent(t: Tensor) -> Iterator[Tensor]:
    """atan t; 1 / (1 + t^2); -2 t / (1 + t^2)^2."""
    yield torch.atan(t)
    yield (slope := 1 / (1 + t**2))
    yield -2 * (t * slope) * slope


def arc_sinh(t: Tensor) -> Iterator[Tensor]:
    """asinh t; 1 / h with h = sqrt(1 + t^2); -t / h^3."""
    yield torch.asinh(t)
    yield (slope := 1 / torch.hypot(t, t.new_ones(())))
    yield -(t * slope) * slope**2


def gaussian(t: Tensor) -> Iterator[Tensor]:
    """y = exp(-t^2); -2 t y; (4 t^2 - 2) y."""
    yield (y := torch.exp(-(t**2)))
    yield -2 * (ty := t * y)
    yield 4 * (t * ty) - 2 * y


def times_gaussian(t: Tensor) -> Iterator[Tensor]:
    """t y with y = exp(-t^2); (1 - 2 t^2) y; (4 t^3 - 6 t) y."""
    y = torch.exp(-(t**2))
    yield (ty := t * y)
    yield y - 2 * (tty := t * ty)
    yield 4 * (t * tty) - 6 * ty


def lorentzian(t: Tensor) -> Iterator[Tensor]:
    """y = 1 / (1 + t^2); -2 t y^2; (6 - 8 y) y^2."""
    yield (y := 1 / (1 + t**2))
    yield -2 * (t * y) * y
    yield (6 - 8 * y) * y**2


def log_cosh(t: Tensor) -> Iterator[Tensor]:
    """log cosh t; y = tanh t; 1 - y^2."""
    size = t.abs()
    yield size + (torch.log1p(torch.exp(-2 * size)) - math.log(2))
    yield (y := torch.tanh(t))
    yield 1 - y**2


def softsign(t: Tensor) -> Iterator[Tensor]:
    """t / (1 + |t|); 1 / (1 + |t|)^2; -2 sign(t) / (1 + |t|)^3."""
    inverse = 1 / (1 + t.abs())
    yield t * inverse
    yield (slope := inverse**2)
    yield 2 * torch.where(t < 0, slope, -slope) * inverse


def hyperbola(t: Tensor) -> Iterator[Tensor]:
    """h = sqrt(1 + t^2); t / h; 1 / h^3."""
    yield (h := torch.hypot(t, t.new_ones(())))
    yield t / h
    yield (1 / h) ** 3


FLAT, STEP = (0.0, 0.0), (0.0, 1.0)
QUARTER = math.nextafter(math.pi / 2, 2)  # pi / 2, rounded up
LINE = (-INFINITY, INFINITY)
FUNCTIONS: dict[str, Function] = {
    "sin": Function(
        _with_curvature(activations.sine, lambda t, y, slope: -y), ranges=(WAVES[0], WAVES[1], WAVES[2]), latex=r"\sin"
    ),
    "cos": Function(cosine, ranges=(WAVES[1], WAVES[2], WAVES[3]), latex=r"\cos"),
    "tanh": Function(
        _with_curvature(activations.tanh, lambda t, y, slope: -2 * y * slope),
        ((), (0.0,), (-0.65847894846, 0.65847894846)),
        ((-1.0, 1.0), FLAT, FLAT),
        latex=r"\tanh",
    ),
    "sigmoid": Function(sigmoid, ((), (0.0,), (-1.31695789692, 1.31695789692)), (STEP, FLAT, FLAT), latex=r"\sigma"),
    "softplus": Function(
        _with_curvature(activations.softplus, lambda t, y, slope: slope * (1 - slope)),
        ((), (), (0.0,)),
        ((0.0, INFINITY), STEP, FLAT),
    ),
    "relu": Function(
        _with_curvature(activations.relu, lambda t, y, slope: torch.zeros_like(t)),
        limits=((0.0, INFINITY), STEP, FLAT),
        kink=1,
        error=0.0,
    ),
    "elu": Function(
        _with_curvature(activations.elu, lambda t, y, slope: torch.where(t > 0, 0, slope)),
        ((), (), SIDES),
        ((-1.0, INFINITY), STEP, FLAT),
        kink=2,
    ),
    "silu": Function(
        _with_curvature(activations.silu, _of_silu),
        ((-1.27846454276108,), (-2.39935728051547, 2.39935728051547), (-3.43584099353511, 0.0, 3.43584099353511)),
        ((0.0, INFINITY), STEP, FLAT),
    ),
    "gelu": Function(
        _with_curvature(others.gelu, _of_gelu),
        ((-0.75179152469357,), (-1.41421356237310, 1.41421356237310), (-2.0, 0.0, 2.0)),
        ((0.0, INFINITY), STEP, FLAT),
    ),
    "mish": Function(
        _with_curvature(others.mish, _of_mish),
        (
            (-1.19243121451549,),
            (-2.25637639636079, 1.49057117948543),
            (-3.2673378465204, -0.08793443131491, 2.11484256302088),
        ),
        ((0.0, INFINITY), STEP, FLAT),
    ),
    "erf": Function(error_function, ((), (0.0,), (-0.70710678119, 0.70710678119)), ((-1.0, 1.0), FLAT, FLAT)),
    "atan": Function(
        arc_tangent,
        ((), (0.0,), (-0.57735026919, 0.57735026919)),
        ((-QUARTER, QUARTER), FLAT, FLAT),
        latex=r"\arctan",
    ),
    "asinh": Function(arc_sinh, ((), (0.0,), (-0.70710678119, 0.70710678119)), (LINE, FLAT, FLAT)),
    "gauss": Function(
        gaussian,
        ((0.0,), (-0.70710678119, 0.70710678119), (-1.22474487139, 0.0, 1.22474487139)),
        (FLAT, FLAT, FLAT),
    ),
    "xgauss": Function(
        times_gaussian,
        (
            (-0.70710678119, 0.70710678119),
            (-1.22474487139, 0.0, 1.22474487139),
            (-1.65068012389, -0.52464762328, 0.52464762328, 1.65068012389),
        ),
        (FLAT, FLAT, FLAT),
    ),
    "lorentz": Function(lorentzian, ((0.0,), (-0.57735026919, 0.57735026919), (-1.0, 0.0, 1.0)), (FLAT, FLAT, FLAT)),
    "logcosh": Function(log_cosh, ((0.0,), (), (0.0,)), ((INFINITY, INFINITY), (-1.0, 1.0), FLAT), latex=r"\log\cosh"),
    "softsign": Function(softsign, ((), (0.0,), SIDES), ((-1.0, 1.0), FLAT, FLAT), kink=2),
    "hyperbola": Function(hyperbola, ((0.0,), (), (0.0,)), ((INFINITY, INFINITY), (-1.0, 1.0), FLAT)),
    "abs": Function(magnitude, ((0.0,), (), ()), ((INFINITY, INFINITY), (-1.0, 1.0), FLAT), kink=1, error=0.0),
    "exp": Function(exponential, limits=((0.0, INFINITY),) * 3, error=0.0, latex=r"\exp"),
    "log": Function(
        logarithm,
        limits=((-INFINITY, INFINITY), (INFINITY, 0.0), (-INFINITY, 0.0)),
        domain=(0.0, INFINITY),
        latex=r"\log",
    ),
    "sqrt": Function(
        root, limits=((0.0, INFINITY), (INFINITY, 0.0), (-INFINITY, 0.0)), domain=(0.0, INFINITY), error=0.0
    ),
}
