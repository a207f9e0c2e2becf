"""What the Stretch screen says: numbers of the state, in words."""

import math
from dataclasses import dataclass

import numpy as np

from app.estimator.words import number
from app.readouts import is_one, with_error
from app.stretch.density import Followed
from app.stretch.maps import MAPS
from app.stretch.settings import Stretch
from resflow_core.measure import Mass

NO_DENSITY = "p_base is 0 at z, so p(x) is 0 whatever f does to areas. Choose an x that is mapped into the square."


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
    return f"({', '.join(short(float(c)) for c in place)})"


def metrics(bench: Stretch, found: Followed, mass: Mass) -> list[Metric]:
    """The point's way from x to its density, and the mass of what is drawn."""
    base = math.exp(found.log_base)
    value, error = with_error(mass.value, mass.error)
    left = "without |det J|, " if bench.forget else ""
    return [
        Metric("z = f(x)", point(found.z), "Where f sends the chosen point x.", 148),
        Metric(
            r"$p_\text{base}(z)$",
            short(base),
            "Density of z there. Per unit of area.",
        ),
        Metric("|det J|", short(abs(found.det)), "How many times as large f makes a tiny area around x."),
        Metric("p(x)", short(base * abs(found.det)), "p_base(z) times |det J|. Per unit of area."),
        Metric(
            "Mass over x",
            value + ("" if is_one(mass) else "  ≠ 1"),
            f"Integral over the plane of what is drawn over x, {left}by quadrature, error {error}. A density has 1.",
        ),
    ]


def takeaway(bench: Stretch, found: Followed, mass: Mass) -> str:
    """What is to be seen, in one or two sentences."""
    return _forgotten(bench, found, mass) if bench.forget else _followed(bench, found)


def equation(bench: Stretch, found: Followed) -> str:
    """The map, and the change of variables at x with its numbers, as Markdown with LaTeX."""
    f = f"${MAPS[bench.map].formula}$"
    entries = r" \\ ".join(" & ".join(_tex(a) for a in row) for row in found.jacobian)
    jacobian = rf"$J_f(x) = \begin{{pmatrix}} {entries} \end{{pmatrix}}$"
    left = r"$\log p(x) = \log p_\text{base}(f(x)) + \log|\det J_f(x)|$"
    if found.log_base == -math.inf:
        return f"{f}, {jacobian}\n\n{left} $= -\\infty$"
    terms = f"{_tex(found.log_base)} {_added(found.log_det)} = {_tex(found.log_base + found.log_det)}"
    return f"{f}, {jacobian}\n\n{left} $= {terms}$ nats"


def areas(bench: Stretch, found: Followed) -> str:
    """What becomes of the square's area."""
    before, after = short(found.area), short(found.image_area)
    if bench.map == "linear":
        return f"The square of area {before} becomes a parallelogram of area {after}: {_as_large(found)}."
    return (
        f"The square of area {before} becomes an area of {after}; dashed: what J alone makes of it, a parallelogram of "
        f"area {short(found.area * abs(found.det))}."
    )


def _followed(bench: Stretch, found: Followed) -> str:
    becomes = f"An area of {short(found.area)} around x becomes {short(found.image_area)} around z"
    if found.log_base == -math.inf:
        return f"**{becomes}, but z lies outside of the unit square.** {NO_DENSITY}"
    density = "the same as" if short(abs(found.det)) == "1" else f"{_times(found)}"
    if bench.map == "linear":
        said = f"**{becomes}: the density at x is {density} the base's at z.**"
    else:
        at_x = f"and a tiny one {_times(found)} what it was"
        said = f"**{becomes}, {at_x}: the density at x is {density} the base's at z.**"
    if found.det < 0:
        said += f" det J = {short(found.det)} is negative, as f turns the plane over; only its size counts."
    return said


def _forgotten(bench: Stretch, found: Followed, mass: Mass) -> str:
    value, _ = with_error(mass.value, mass.error)
    size = short(abs(found.det))
    if bench.map == "linear":
        if size == "1":
            return "**Here nothing is lost without the determinant:** |det W| = 1, every area stays as it is."
        return (
            f"**Without the determinant the mass is {value}, not 1: this is no density.** f makes every area "
            f"{size} times as large: what holds the mass 1 in z takes 1/|det W| = {short(1 / abs(found.det))} times "
            "the area in x, at the same height."
        )
    if is_one(mass):
        return (
            f"**Without the determinant the mass is still {value}, and yet the density is wrong:** at x by the factor "
            f"|det J| = {size}. Where f stretches and where it squeezes even out only on average."
        )
    return (
        f"**Without the determinant the mass is {value}, not 1: this is no density.** It is the mean of 1/|det J| over "
        f"draws of z; at x itself the factor |det J| = {size} is missing."
    )


def _as_large(found: Followed) -> str:
    return "as large as before" if short(abs(found.det)) == "1" else f"{_times(found)} as large"


def _times(found: Followed) -> str:
    return f"{short(abs(found.det))} times"


def _tex(value: float) -> str:
    digits, _, power = f"{0.0 if abs(value) < 1e-12 else value:.3g}".partition("e")
    return rf"{digits} \cdot 10^{{{int(power)}}}" if power else digits


def _added(value: float) -> str:
    return f"{'-' if value < -1e-12 else '+'} {_tex(abs(value))}"
