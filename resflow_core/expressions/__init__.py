"""A user's own activation: a formula in z, with exact derivatives and a certified Lipschitz constant.

`read` gives all facts about a formula, and `formula` gives its `Activation`. Importing the package registers the
notation "=": an activation with the name "=sin(z)" is then a formula.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch

from resflow_core.activations import NOTATIONS, Activation
from resflow_core.expressions.bounds import Bound, largest_slope
from resflow_core.expressions.functions import FUNCTIONS, Derivatives
from resflow_core.expressions.jets import derivatives_of
from resflow_core.expressions.places import corners, grid
from resflow_core.expressions.printing import latex, shown
from resflow_core.expressions.refusals import ARITY, check_constants, check_numbers, is_flat, why_unbounded
from resflow_core.expressions.syntax import ALIKE, MOST_CHARACTERS, parse
from resflow_core.expressions.tree import Node, depends_on_z, steps_of

SIGN = "="
"""First character of an activation's name if the rest is a formula."""

MACROS = {name: f.latex for name, f in FUNCTIONS.items() if f.latex} | {"min": r"\min", "max": r"\max"}
LEAST_CONSTANT, LARGEST_CONSTANT = 1e-9, 1e9
# The most kinks that `Formula.kinks` lists.
MOST_KINKS = 12


@dataclass(frozen=True)
class FormulaActivation(Activation):
    """The activation of a formula, which is its title. It is pickled as this text."""

    def __reduce_ex__(self, protocol):
        return formula, (self.title,)


@dataclass(frozen=True)
class Formula:
    """A formula that can be an activation, with its Lipschitz constant, smoothness and kinks."""

    text: str
    tree: Node
    activation: Activation
    lipschitz: float
    """A certified bound of |slope| on the whole line. The activation is the formula divided by it."""
    steepest: float
    """The largest |slope| that a search found; at most `lipschitz`."""
    steepest_at: float
    """The z at which |slope| is `steepest`."""
    smoothness: int
    """0 if the slope jumps on |z| <= `places.WITHIN`, 1 if only the curvature jumps there, 2 if neither does."""
    kinks: tuple[float, ...]
    """The z at which slope or curvature jumps, on |z| <= `places.WITHIN`: the `MOST_KINKS` nearest to 0."""
    latex: str


def read(text: str) -> Formula:
    """The formula that a text writes, such as "tanh(z)".

    Raises ValueError if the text is no formula or the formula is no activation. The message says what to change.
    """
    if not isinstance(text, str) or len(text) > MOST_CHARACTERS:
        parse(text, ARITY)
    result = _read(text)
    if isinstance(result, str):
        raise ValueError(result)
    return result


def formula(text: str) -> Activation:
    """The activation of a formula in z. Its title is the text. Raises ValueError as `read` does."""
    return read(text).activation


@lru_cache(maxsize=512)
def _read(text: str) -> Formula | str:
    """The formula, or the reason why there is none. A refusal takes as long as a success, so both are cached."""
    try:
        return _certified(" ".join(text.translate(ALIKE).split()))
    except ValueError as error:
        return str(error)


def _certified(text: str) -> Formula:
    tree = parse(text, ARITY)
    if not depends_on_z(tree):
        raise ValueError(f"`{shown(tree)}` is constant: an activation depends on z.")
    check_constants(tree)
    derivatives = derivatives_of(tree)
    found = largest_slope(tree)
    if found.without_bound is not None:
        raise ValueError(why_unbounded(tree, found.without_bound))
    if is_flat(tree, found.found, found.at):
        raise ValueError(f"`{shown(tree)}` is the same for every z, up to rounding: use one whose slope is not 0.")
    if not LEAST_CONSTANT <= found.bound <= LARGEST_CONSTANT:
        raise ValueError(
            f"The slope of `{shown(tree)}` reaches {found.bound:.3g}: multiply it by a number so that it is from "
            f"{LEAST_CONSTANT:g} to {LARGEST_CONSTANT:g}."
        )
    check_numbers(tree, derivatives, found.bound)
    bound = found.bound
    activation = FormulaActivation(
        text,
        function=derivatives,
        lipschitz=lambda p: bound,
        text=text,
        temporaries=3 * len(steps_of(tree)),
    )
    steepest, at = _steepest(derivatives, found)
    return Formula(text, tree, activation, bound, steepest, at, *_kinks(tree, derivatives), latex(tree, MACROS))


@torch.no_grad()
def _steepest(derivatives: Derivatives, found: Bound) -> tuple[float, float]:
    """The largest |slope| that a search finds, and its z. Of equally good z it takes the one nearest to 0."""

    def slopes(z: torch.Tensor) -> torch.Tensor:
        both = derivatives(z)
        next(both)
        return next(both).abs()

    nodes = grid()
    z = torch.cat([nodes, nodes.new_tensor([found.at])])
    values = slopes(z)
    good = z[values >= (1 - 1e-6) * values.max()]
    at, reach = float(good[good.abs().argmin()]), float(nodes[1] - nodes[0])
    for _ in range(4):
        near = at + reach * torch.linspace(-1, 1, 101, dtype=torch.float64)
        values, reach = slopes(near), reach / 25
        at = at if values[50] >= values.max() else float(near[values.argmax()])
    steepest, short = float(values.max()), round(at, 9) + 0.0
    return min(steepest, found.bound), short if slopes(nodes.new_tensor([short])) >= (1 - 1e-9) * steepest else at


@torch.no_grad()
def _kinks(tree: Node, derivatives: Derivatives) -> tuple[int, tuple[float, ...]]:
    """The smoothness of a formula, and its kinks: corners of its parts at which its slope or curvature jumps."""
    at = corners(tree)
    _, slope, curvature = derivatives(torch.stack([at - 1e-7, at + 1e-7]))
    scale = 1 + slope.abs().amax(0) + curvature.abs().amax(0)
    of_slope, of_curvature = ((d[1] - d[0]).abs() > 1e-4 * scale for d in (slope, curvature))
    smoothness = 0 if of_slope.any() else 1 if of_curvature.any() else 2
    kinks = {round(place, 9) + 0.0 for place in at[of_slope | of_curvature].tolist()}
    return smoothness, tuple(sorted(sorted(kinks, key=lambda place: (abs(place), place))[:MOST_KINKS]))


NOTATIONS[SIGN] = formula
