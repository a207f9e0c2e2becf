"""Checks that a formula can be an activation. The messages say why not, and what to change."""

import math

import numpy as np
import torch

from resflow_core.expressions.enclosures import Cells, Enclosed, Enclosure
from resflow_core.expressions.functions import FUNCTIONS, Derivatives
from resflow_core.expressions.jets import constant_value, derivatives_of
from resflow_core.expressions.places import WITHIN, corners, roots
from resflow_core.expressions.printing import shown, unparse
from resflow_core.expressions.syntax import parse
from resflow_core.expressions.tree import Call, Node, Power, depends_on_z, matches, parts_of, steps_of

ARITY = {**dict.fromkeys(FUNCTIONS, 1), "min": 2, "max": 2}
# A slope below this share of the slopes of its parts is rounding.
ROUNDING = 1e-13
# Allowed error of single precision, as a share of the Lipschitz constant plus the size of the derivative.
DIGITS = 1e-3

# Expressions that cannot be certified, and the named functions that can be used for them.
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


def check_constants(node: Node) -> None:
    """Raise ValueError unless every part without z is finite and at most 1e15 in absolute value."""
    if depends_on_z(node):
        for part in parts_of(node):
            check_constants(part)
        return
    try:
        value = constant_value(node)
    except (OverflowError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value) or abs(value) > 1e15:
        raise ValueError(f"`{shown(node)}` is {_number(value)}: use constants that are numbers, up to 1e15.")


@torch.no_grad()
def is_flat(tree: Node, slope: float, at: float) -> bool:
    """Whether the largest |slope|, at z = `at`, is only rounding of the slopes of the parts there."""
    z, of_parts = torch.tensor([at], dtype=torch.float64), []
    for node in steps_of(tree):
        derivatives = derivatives_of(node)(z)
        next(derivatives)
        of_parts.append(abs(float(next(derivatives).nan_to_num(nan=1.0))))
    return slope <= ROUNDING * max(of_parts)


@torch.no_grad()
def check_numbers(tree: Node, derivatives: Derivatives, constant: float) -> None:
    """Raise ValueError if value, slope or curvature is not finite or loses its digits in single precision.

    The certified bound `constant` holds for exact numbers only. If a part overflows, there may be no number at all.
    Training also needs a finite curvature and a slope with correct digits.
    """
    inner = torch.linspace(-19.87, 19.93, 100)
    outer = torch.tensor([0.0, *(sign * x for x in (0.1, 1.0, 3.0, 10.0, 100.0, 1e4) for sign in (1, -1))])
    z = torch.cat([inner, outer])
    kinks = torch.cat([corners(tree), roots(tree)])
    beside = [torch.nextafter(kinks, kinks.new_tensor(side)) for side in (-math.inf, math.inf)]
    exact = torch.cat([outer.double(), kinks, *beside, kinks.round(decimals=9)])
    _check_finite(tree, derivatives, exact)
    _check_finite(tree, derivatives, torch.cat([outer, kinks.float()]))
    # Far out z itself has fewer digits.
    allowed = DIGITS * (z.double().abs() / WITHIN).clamp(min=1)
    at_0 = next(derivatives(torch.zeros(1, dtype=torch.float64)))
    for order, (single, double) in enumerate(zip(derivatives(z), derivatives(z.double()), strict=True)):
        size = (double - at_0 if order == 0 else double).abs()
        scale = constant + (size[: len(inner)].max() if order != 1 else 0.0)
        excess = (single.double() - double).abs() / (allowed * (scale + (size if order == 0 else 0.0)))
        if not bool((excess <= 1).all()):
            at = float(z[excess.nan_to_num(nan=math.inf).argmax()])
            raise ValueError(
                f"`{shown(tree)}` loses its digits in single precision near z = {at:.3g}: use smaller numbers."
            )


def _check_finite(tree: Node, derivatives: Derivatives, z: torch.Tensor) -> None:
    found = [derivative.isfinite() for derivative in derivatives(z)]
    for order, finite in enumerate(found):
        if bool(finite.all()):
            continue
        bad = z[~finite]
        at = _number(float(bad[bad.abs().argmin()]))
        if order == 2 and z.dtype == torch.float64:
            raise ValueError(
                f"`{shown(tree)}` has no finite curvature at z = {at}: where a part is 0, use a power of 2 or more of "
                "it."
            )
        raise ValueError(
            f"`{shown(tree)}` overflows at z = {at}: use smaller numbers, or keep parts of it within bounds."
        )


def why_unbounded(tree: Node, cell: Cells) -> str:
    """A sentence that names the innermost part without a bound of its slope on a cell, and a remedy."""
    low, high = float(cell.low[0]), float(cell.high[0])
    enclosures = Enclosed(tree)(cell, curvature=False)
    node = tree
    while bad := [part for part in parts_of(node) if not _has_bounds(enclosures[part])]:
        node = bad[0]
    text = shown(node)
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
        keep = f"keep `{shown(inner)}` {'away from 0' if only_not_0 else 'above 0'} for every z."
        if float(value[1][0]) < 0 and not only_not_0:
            return f"`{text}` is undefined at z = {at}, where `{shown(inner)}` is negative: {keep}{remedy}"
        what = "is undefined" if only_not_0 or text.startswith("log") else "has no bounded slope"
        return f"`{text}` {what} near z = {at}, where `{shown(inner)}` is 0 or comes close: {keep}{remedy}"
    remedy = remedy or " Keep growing parts within bounds, as in min(max(z, -3), 3)."
    if isinstance(node, Call) and node.name in ("*", "/"):
        return (
            f"`{text}`: the slope of a {'product' if node.name == '*' else 'quotient'} is bounded for sure only if "
            f"both factors are, and one is not as z goes to {side}.{remedy}"
        )
    return f"`{text}`: no bound of its slope holds as z goes to {side}.{remedy}"


def _has_bounds(enclosure: Enclosure) -> bool:
    low, high = enclosure[1]
    return bool(np.isfinite(low[0]) and np.isfinite(high[0]))


def _name_of(node: Node) -> str | None:
    """The named function that can replace a part, as text, if there is one."""
    for pattern, name in PATTERNS:
        bound: dict[str, Node] = {}
        if matches(pattern, node, bound):
            return unparse(Call(name, (bound["z"],)))
    return next(filter(None, map(_name_of, parts_of(node))), None)


def _number(value: float) -> str:
    return f"{0.0 if abs(value) < 1e-6 else value:.4g}"
