"""What the Stretch screen says: numbers of the state, in words."""

from dataclasses import dataclass

import numpy as np

from app.features.stretch.density import Followed
from app.features.stretch.maps import MAPS
from app.features.stretch.settings import Stretch
from app.metrics import is_one, with_error
from app.text import signed
from app.words import number
from resflow_core.measure import Mass

NO_DENSITY = "The base density is 0 at z, so p(x) is 0 whatever det J is. Choose an x that f sends into the square."
MASS_DECIMALS = 3
SUM_DECIMALS = range(3, 7)


@dataclass(frozen=True)
class Metric:
    label: str
    value: str
    help: str
    width: int = 112


def short(value: float) -> str:
    """Three digits; what rounding leaves of a 0 is 0."""
    return number(0.0 if abs(value) < 1e-12 else value)


def point(place: np.ndarray) -> str:
    return f"({', '.join(short(round(float(c), 4)) for c in place)})"


def metrics(bench: Stretch, found: Followed, mass: Mass) -> list[Metric]:
    """The point's way from x to its density, and the mass of what is drawn."""
    value, error = _mass(mass)
    density = "Correct p(x)" if bench.forget else "p(x)"
    drawn = r"$p_\text{base}(f(x))$" if bench.forget else "the density that is drawn over x"
    should = ", which is correct" if bench.forget else ""
    return [
        Metric("z = f(x)", point(found.z), "The point to which f sends the chosen point x.", 148),
        Metric(
            r"$p_\text{base}(z)$",
            short(found.base_density),
            "The density of z at this point, per unit of area.",
        ),
        Metric("‖z − x‖", short(found.move), "The distance by which f moves x.", 90),
        Metric(
            "‖J − I‖",
            short(found.slope),
            "How much f differs, near x, from a map that changes nothing: the 2-norm of J − I. For a linear map J = W.",
            90,
        ),
        Metric("|det J|", short(found.factor), "The factor by which f multiplies a tiny area around x.", 90),
        Metric("log|det J|", _three(found.log_det), "The natural logarithm of this factor, in nats.", 100),
        Metric(
            density,
            short(found.density),
            rf"$p_\text{{base}}(z)$ times $|\det J|${should}, per unit of area.",
        ),
        Metric(
            r"Mass of $p_\text{base}(f(x))$" if bench.forget else "Mass over x",
            value + ("" if is_one(mass) else "  ≠ 1"),
            f"Integral of {drawn} over the plane, by quadrature, error {error}. The integral of a density is 1.",
            150,
        ),
    ]


def takeaway(bench: Stretch, found: Followed, mass: Mass) -> str:
    """What is to be seen, in one or two sentences."""
    return _forgotten(bench, found, mass) if bench.forget else _followed(bench, found)


def answer(bench: Stretch, found: Followed, forgotten: Mass) -> str:
    """What the determinant is for, with the mass that is there where it is `forgotten`."""
    value, _ = _mass(forgotten)
    missing = "Without that factor the mass"
    if not found.has_density:
        return NO_DENSITY
    if bench.map == "linear" and found.keeps_areas:
        return "f keeps every area, so p(x) is **the base density at z = f(x)**, and there is no factor to forget."
    where = "" if bench.map == "linear" else "Around x "
    becomes = (
        f"{where}f makes areas **{_times(found)}** as large, so p(x) is {_times(found)} the base density at z = f(x)."
    )
    if is_one(forgotten):
        return f"{becomes} {missing} would still be {value}, but p would be wrong nearly everywhere."
    return f"{becomes} {missing} would be **{value}**, and the mass of a density is 1."


def equation(bench: Stretch, found: Followed) -> str:
    """The map, and the change of variables at x with its numbers, as Markdown with LaTeX."""
    kind = MAPS[bench.map]
    values = "".join(rf",\quad {symbol} = {_tex(getattr(bench, name))}" for name, symbol in kind.symbols.items())
    f = f"${kind.formula}{values}$"
    entries = r" \\ ".join(" & ".join(_tex(a) for a in row) for row in found.jacobian)
    jacobian = rf"$J_f(x) = \begin{{pmatrix}} {entries} \end{{pmatrix}}$"
    left = ("Correct: " if bench.forget else "") + r"$\log p(x) = \log p_\text{base}(f(x)) + \log|\det J_f(x)|$"
    if not found.has_density:
        return f"{f}, {jacobian}\n\n{left} $= -\\infty$"
    return f"{f}, {jacobian}\n\n{left} $= {_sum(found.log_base, found.log_det)}$ nats"


def areas(bench: Stretch, found: Followed) -> str:
    """What becomes of the square's area."""
    before, after = short(found.area), short(found.image_area)
    if bench.map == "linear":
        return f"The square of area {before} becomes a parallelogram of area {after}: {_as_large(found)}."
    return (
        f"The square of area {before} becomes an area of {after}. Dashed: the parallelogram that J alone makes of it, "
        f"of area {short(found.area * found.factor)}."
    )


def lies(bench: Stretch, found: Followed) -> tuple[str, str]:
    """On which side of the way from the dot along the blue side the square lies, and its image; "" where none is
    marked."""
    if bench.map != "linear":
        return "", ""
    way = "From the dot along the blue side, the {} lies to the {}."
    return way.format("square", "left"), way.format("image", "right" if found.turns_over else "left")


def _followed(bench: Stretch, found: Followed) -> str:
    becomes = f"An area of {short(found.area)} around x becomes {short(found.image_area)} around z"
    if not found.has_density:
        return f"**{becomes}, but z lies outside the unit square.** {NO_DENSITY}"
    density = "the same as" if found.keeps_areas else _times(found)
    if bench.map == "linear":
        said = f"**{becomes}, so the density at x is {density} the base density at z.**"
    else:
        said = (
            f"**{becomes}. A tiny area becomes {_as_large(found)}, so the density at x is {density} the base density "
            "at z.**"
        )
    if found.turns_over:
        said += (
            f" det J = {short(found.det)} is negative because f turns the plane over. Only its size counts. From the "
            "dot along the blue side, the square lies to the left, but its image lies to the right."
        )
    return said


def _forgotten(bench: Stretch, found: Followed, mass: Mass) -> str:
    value, _ = _mass(mass)
    size = short(found.factor)
    if bench.map == "linear":
        if found.keeps_areas:
            return "**Here the determinant makes no difference:** |det W| = 1, so every area stays the same."
        return (
            f"**Without the determinant the mass is {value}, not 1, so this is no density.** f makes every area {size} "
            f"times as large. So a region of z comes from a region of x with 1/|det W| = {short(1 / found.factor)} "
            "times its area. The height is the same, so the mass is multiplied by this number."
        )
    if is_one(mass):
        return (
            f"**Without the determinant the mass is {value}, but the density is wrong:** at x the factor |det J| = "
            f"{size} is missing. Too much at some points and too little at others cancel in the mass, not at one point."
        )
    return (
        f"**Without the determinant the mass is {value}, not 1, so this is no density.** At x the factor |det J| = "
        f"{size} is missing."
    )


def _as_large(found: Followed) -> str:
    return "as large as before" if found.keeps_areas else f"{_times(found)} as large"


def _times(found: Followed) -> str:
    return f"{short(found.factor)} times"


def _tex(value: float) -> str:
    digits, _, power = f"{0.0 if abs(value) < 1e-12 else value:.3g}".partition("e")
    return rf"{digits} \cdot 10^{{{int(power)}}}" if power else digits


def _sum(one: float, other: float) -> str:
    """Two numbers and their sum with three decimals, or with as many more as make it come out for whoever adds."""
    values = one, other, one + other
    d = next((d for d in SUM_DECIMALS if round(round(one, d) + round(other, d), d) == round(values[2], d)), 3)
    a, b, both = (f"{round(value, d) + 0.0:.{d}f}" for value in values)
    return f"{a} {'- ' + b[1:] if b[0] == '-' else '+ ' + b} = {both}"


def _three(value: float) -> str:
    """With three decimals, as the sum below the pictures has it."""
    return signed(f"{round(value, MASS_DECIMALS) + 0.0:.{MASS_DECIMALS}f}")


def _mass(mass: Mass) -> tuple[str, str]:
    """With a decimal less where the last one would be the quadrature's: the square has an edge."""
    return with_error(mass.value, mass.error, MASS_DECIMALS - (mass.error >= 0.5 * 10.0**-MASS_DECIMALS))
