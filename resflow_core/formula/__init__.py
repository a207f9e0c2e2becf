"""A person's own activation: a formula in z, with exact derivatives and a certified Lipschitz constant.

`read` is everything about a formula, `formula` its `Activation`, and `activation_named` whatever a setting may name: an
entry of `ACTIVATIONS`, or a formula after "=".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from resflow_core.activations import ACTIVATIONS, Activation
from resflow_core.formula.bounds import Bound, Cells, Enclosed, largest_slope
from resflow_core.formula.functions import FUNCTIONS
from resflow_core.formula.jets import constant_value, derivatives_of, steps_of
from resflow_core.formula.syntax import (
    ALIKE,
    MOST_CHARACTERS,
    Call,
    Node,
    Power,
    depends_on_z,
    latex,
    matches,
    parse,
    parts_of,
    unparse,
)

SIGN = "="
"""What the name of an activation begins with where the rest is a formula."""

ARITY = {**dict.fromkeys(FUNCTIONS, 1), "min": 2, "max": 2}
MACROS = {name: f.latex for name, f in FUNCTIONS.items() if f.latex} | {"min": r"\min", "max": r"\max"}
# What is smaller than this share of a part's slopes is rounding.
ROUNDING = 1e-13
LEAST_CONSTANT, LARGEST_CONSTANT = 1e-9, 1e9
# Kinks are looked for as far out as this, and this many are told.
KINKS_WITHIN, MOST_KINKS = 20.0, 12

# Ways to write a function that cannot be certified, and its name.
WRITTEN_OUT = {
    "z * sigmoid(z)": "silu", "sigmoid(z) * z": "silu", "z / (1 + exp(-z))": "silu", "z * tanh(softplus(z))": "mish",
    "1 / (1 + exp(-z))": "sigmoid", "log(1 + exp(z))": "softplus", "log(exp(z) + 1)": "softplus",
    "exp(-z^2)": "gauss", "exp(-(z * z))": "gauss", "sqrt(1 + z^2)": "hyperbola", "sqrt(z^2 + 1)": "hyperbola",
    "(1 + z^2)^(1/2)": "hyperbola", "(z^2 + 1)^(1/2)": "hyperbola", "z / (1 + abs(z))": "softsign",
    "z / (abs(z) + 1)": "softsign", "sqrt(z^2)": "abs",
    "z * exp(-z^2)": "xgauss", "exp(-z^2) * z": "xgauss", "z * gauss(z)": "xgauss", "gauss(z) * z": "xgauss",
    "1 / (1 + z^2)": "lorentz", "1 / (z^2 + 1)": "lorentz", "(1 + z^2)^(-1)": "lorentz",
}  # fmt: skip
PATTERNS = [(parse(text, ARITY), name) for text, name in WRITTEN_OUT.items()]


@dataclass(frozen=True)
class Formula:
    """What there is to know about a formula that can be an activation."""

    text: str
    tree: Node
    activation: Activation
    lipschitz: float
    """A bound of |slope| that holds on the whole line."""
    steepest: float
    """The largest |slope| that was found; not above `lipschitz`."""
    steepest_at: float
    """z where |slope| is `steepest`."""
    smoothness: int
    """0 if the slope jumps somewhere, 1 if only the curvature does, 2 if neither."""
    kinks: tuple[float, ...]
    """z where slope or curvature jumps: at most `MOST_KINKS`, within `KINKS_WITHIN` of 0."""
    latex: str


def read(text: str) -> Formula:
    """The formula of a text. Raises ValueError, in a sentence with the remedy, where it is none or no activation."""
    if not isinstance(text, str) or len(text) > MOST_CHARACTERS:
        parse(text, ARITY)
    result = _read(text)
    if isinstance(result, str):
        raise ValueError(result)
    return result


def formula(text: str) -> Activation:
    """The activation of a formula in z, whose title is the text. Raises ValueError as `read` does."""
    return read(text).activation


def activation_named(name: str) -> Activation:
    """An entry of `ACTIVATIONS` by its key, or the activation of a formula after "="."""
    return formula(name.removeprefix(SIGN)) if name.startswith(SIGN) else ACTIVATIONS[name]


@lru_cache(maxsize=512)
def _read(text: str) -> Formula | str:
    """The formula, or why there is none: refusing takes as long."""
    try:
        return _certified(" ".join(text.translate(ALIKE).split()))
    except ValueError as error:
        return str(error)


def _certified(text: str) -> Formula:
    tree = parse(text, ARITY)
    if not depends_on_z(tree):
        raise ValueError(f"`{_shown(tree)}` is constant: an activation depends on z.")
    _check_constants(tree)
    derivatives = derivatives_of(tree)
    if _is_flat(tree):
        raise ValueError(f"`{_shown(tree)}` is the same for every z: an activation has a slope that is not 0.")
    found = largest_slope(tree)
    if found.without_bound is not None:
        raise ValueError(_why_unbounded(tree, found.without_bound))
    if not LEAST_CONSTANT <= found.bound <= LARGEST_CONSTANT:
        raise ValueError(
            f"The slope of `{_shown(tree)}` reaches {found.bound:.3g}: multiply it by a number so that it is from "
            f"{LEAST_CONSTANT:g} to {LARGEST_CONSTANT:g}."
        )
    _check_numbers(tree, derivatives)
    bound = found.bound
    activation = Activation(text, derivatives, lambda p: bound, temporaries=3 * len(steps_of(tree)))
    steepest, at = _steepest(derivatives, found)
    return Formula(text, tree, activation, bound, steepest, at, *_kinks(tree, derivatives), latex(tree, MACROS))


@torch.no_grad()
def _steepest(derivatives: Callable, found: Bound) -> tuple[float, float]:
    """The largest |slope| that is found, and where: nearest to 0 of places that are as good."""

    def slopes(z: torch.Tensor) -> torch.Tensor:
        both = derivatives(z)
        next(both)
        return next(both).abs()

    grid = torch.linspace(-KINKS_WITHIN, KINKS_WITHIN, 8_001, dtype=torch.float64)
    z = torch.cat([grid, grid.new_tensor([found.at])])
    values = slopes(z)
    good = z[values >= (1 - 1e-6) * values.max()]
    at, reach = float(good[good.abs().argmin()]), float(grid[1] - grid[0])
    for _ in range(4):
        near = at + reach * torch.linspace(-1, 1, 101, dtype=torch.float64)
        values, reach = slopes(near), reach / 25
        at = at if values[50] >= values.max() else float(near[values.argmax()])
    steepest, short = float(values.max()), round(at, 9) + 0.0
    return min(steepest, found.bound), short if slopes(grid.new_tensor([short])) >= (1 - 1e-9) * steepest else at


def _check_constants(node: Node) -> None:
    if depends_on_z(node):
        for part in parts_of(node):
            _check_constants(part)
        return
    try:
        value = constant_value(node)
    except (OverflowError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value) or abs(value) > 1e15:
        raise ValueError(f"`{_shown(node)}` is {_number(value)}: use constants that are numbers, up to 1e15.")


@torch.no_grad()
def _is_flat(tree: Node) -> bool:
    """Whether the slope is no more than rounding of the parts' slopes, at every point that is tried."""
    z = torch.cat([torch.linspace(-9.87, 9.93, 400), torch.linspace(-1.1e3, 1.2e3, 100)]).double()
    slopes = []
    for node in steps_of(tree):
        derivatives = derivatives_of(node)(z)
        next(derivatives)
        slopes.append(next(derivatives).abs().nan_to_num(nan=1.0))
    return bool((slopes[-1] <= ROUNDING * torch.stack(slopes).amax(0)).all())


def _check_numbers(tree: Node, derivatives: Callable) -> None:
    """A bound holds for exact numbers; where a part overflows, there may be none."""
    z = [0.0, *(sign * x for x in (0.1, 1.0, 3.0, 10.0, 100.0, 1e4) for sign in (1, -1))]
    for dtype in (torch.float32, torch.float64):
        t = torch.tensor(z, dtype=dtype)
        for derivative in list(derivatives(t))[:3]:
            if not bool(derivative.isfinite().all()):
                at = z[int((~derivative.isfinite()).nonzero()[0])]
                raise ValueError(
                    f"`{_shown(tree)}` overflows at z = {at:g}: use smaller numbers, or keep parts of it within bounds."
                )


def _why_unbounded(tree: Node, cell: Cells) -> str:
    """The innermost part that is to blame for a cell on which no bound of the slope was found."""
    low, high = float(cell.low[0]), float(cell.high[0])
    enclosures = Enclosed(tree)(cell, curvature=False)
    node = tree
    while bad := [part for part in parts_of(node) if not _has_bounds(enclosures[part])]:
        node = bad[0]
    shown = _shown(node)
    hint = _name_of(node) or _name_of(tree)
    remedy = f" Write {hint}." if hint else ""
    side = "∞" if low + high > 0 else "-∞"
    has_domain = not isinstance(node, Power) or node.exponent < 0 or node.exponent.denominator > 1
    if isinstance(node, Call):
        has_domain = node.name in ("/", "log", "sqrt")
    if has_domain and math.isfinite(high - low):
        inner = node.base if isinstance(node, Power) else node.parts[-1]
        only_not_0 = node.exponent.denominator == 1 if isinstance(node, Power) else node.name == "/"
        at, value = _number((low + high) / 2), enclosures[inner][0]
        keep = f"keep `{_shown(inner)}` {'away from 0' if only_not_0 else 'above 0'} for every z."
        if float(value[1][0]) < 0 and not only_not_0:
            return f"`{shown}` is undefined at z = {at}, where `{_shown(inner)}` is negative: {keep}{remedy}"
        what = "is undefined" if only_not_0 or shown.startswith("log") else "has no bounded slope"
        return f"`{shown}` {what} near z = {at}, where `{_shown(inner)}` is 0 or comes close: {keep}{remedy}"
    remedy = remedy or " Keep what grows within bounds, as in min(max(z, -3), 3)."
    if isinstance(node, Call) and node.name in ("*", "/"):
        return (
            f"`{shown}`: the slope of a {'product' if node.name == '*' else 'quotient'} is bounded for sure only if "
            f"both factors are, and one is not as z goes to {side}.{remedy}"
        )
    return f"`{shown}`: no bound of its slope holds as z goes to {side}.{remedy}"


def _has_bounds(enclosure) -> bool:
    low, high = enclosure[1]
    return bool(np.isfinite(low[0]) and np.isfinite(high[0]))


def _name_of(node: Node) -> str | None:
    """A shorter way to write a part, if there is one."""
    for pattern, name in PATTERNS:
        bound: dict[str, Node] = {}
        if matches(pattern, node, bound):
            return unparse(Call(name, (bound["z"],)))
    return next(filter(None, map(_name_of, parts_of(node))), None)


@torch.no_grad()
def _kinks(tree: Node, derivatives: Callable) -> tuple[int, tuple[float, ...]]:
    """How smooth a formula is, and where it is not: where a part with a kink is at it, if slope or curvature jumps."""
    smoothness, kinks = 2, set()
    z = torch.linspace(-KINKS_WITHIN, KINKS_WITHIN, 8_001, dtype=torch.float64)
    for node in steps_of(tree):
        choice = isinstance(node, Call) and node.name in ("min", "max")
        if not choice and not (isinstance(node, Call) and node.name in FUNCTIONS and FUNCTIONS[node.name].kink):
            continue
        inner = Call("-", node.parts) if choice else node.parts[0]
        for at in _zeros(derivatives_of(inner), z):
            near = torch.tensor([at - 1e-7, at + 1e-7], dtype=torch.float64)
            _, slope, curvature = derivatives(near)
            scale = 1 + float(slope.abs().max()) + float(curvature.abs().max())
            jumps = [abs(float(d[1] - d[0])) > 1e-4 * scale for d in (slope, curvature)]
            if any(jumps):
                smoothness = min(smoothness, 0 if jumps[0] else 1)
                kinks.add(round(at, 9) + 0.0)
    return smoothness, tuple(sorted(sorted(kinks, key=abs)[:MOST_KINKS]))


def _zeros(derivatives: Callable, z: torch.Tensor) -> list[float]:
    """Where a function changes its sign or touches 0, among z and between, by bisection."""
    values = next(derivatives(z))
    zeros = z[values == 0].tolist()
    crossing = values[:-1] * values[1:] < 0
    low, high = z[:-1][crossing], z[1:][crossing]
    rising = values[1:][crossing] > 0
    for _ in range(60):
        middle = (low + high) / 2
        left = (next(derivatives(middle)) > 0) == rising
        low, high = torch.where(left, low, middle), torch.where(left, middle, high)
    return zeros + ((low + high) / 2).tolist()


def _shown(node: Node) -> str:
    text = unparse(node)
    return text if len(text) <= 60 else text[:59] + "…"


def _number(value: float) -> str:
    return f"{0.0 if abs(value) < 1e-6 else value:.4g}"
