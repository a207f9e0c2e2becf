"""Programs of figures by formula alone: a map that stretches the plane, and activations."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.takeaway.source import Source, literal, mapped, program
from resflow_core.expressions import SIGN
from resflow_core.measure.activation import DELTA

STRETCH = """
Follow one point through an invertible map of the plane, and see what becomes of a density.

    log p(x) = log p_base(f(x)) + log|det J_f(x)|        (equation 2 of Chen, Behrmann, Duvenaud & Jacobsen, 2019)
"""
BASE = {
    "normal": ["def log_base(z):  # the standard normal", "    return -0.5 * (z**2).sum(-1) - np.log(2 * np.pi)"],
    "square": [
        "def log_base(z):  # uniform on the unit square",
        "    inside = ((z >= 0) & (z <= 1)).all(-1)",
        "    return np.where(inside, 0.0, -np.inf)",
    ],
}
"""Log densities of z, by the names that the screen has for them."""


@dataclass(frozen=True)
class Quadrature:
    """How the screen integrates a density over x: over a square around 0 that holds what can be seen of it, and beyond.

    All that can be seen of the base density lies within `radius` of 0. The square has so many `cells` on a side, and is
    turned by `turn`, in radians."""

    radius: float
    cells: int
    turn: float


def of_linear(matrix: Sequence[float], base: str, point: Sequence[float], by: Quadrature) -> str:
    """f(x) = W x, with W row by row."""
    source = Source()
    rows = source.value([[float(a) for a in matrix[:2]], [float(a) for a in matrix[2:]]])
    lines = [
        "# The map f(x) = W x, whose Jacobian is W everywhere. Rows of x are points.",
        f"W = np.array({rows})",
        "",
        "def f(x):",
        "    return x @ W.T",
        "",
        "def jacobian(x):",
        "    return np.broadcast_to(W, (len(x), 2, 2))",
    ]
    return _stretch(source, lines, base, point, by, "radius * np.linalg.norm(np.linalg.inv(W), axis=1).max()")


def of_wave(strength: float, frequency: float, base: str, point: Sequence[float], by: Quadrature) -> str:
    """f(x) = x + g(x) with g(x) = s / w (sin(w x2), sin(w x1)): a residual block with Lip(g) = s."""
    lines = [
        "# The residual block f(x) = x + g(x), g(x) = s / w (sin(w x2), sin(w x1)), with Lip(g) = s < 1. Rows of x are",
        "# points.",
        f"s, w = {strength!r}, {frequency!r}",
        "",
        "def f(x):",
        "    return x + s / w * np.sin(w * x[:, ::-1])",
        "",
        "def jacobian(x):",
        "    J = np.tile(np.eye(2), (len(x), 1, 1))",
        "    J[:, [0, 1], [1, 0]] = s * np.cos(w * x[:, ::-1])",
        "    return J",
    ]
    return _stretch(Source(), lines, base, point, by, "radius + s / w")


def _stretch(
    source: Source, lines: Sequence[str], base: str, point: Sequence[float], by: Quadrature, reach: str
) -> str:
    """`reach` is the expression of how far from 0 an x can lie whose f(x) lies within `radius` of 0."""
    source.use_module("numpy as np")
    source.use("mass", of="resflow_core.measure")
    known = [
        "# The density of z = f(x), which is known before anything is stretched, and that of x.",
        *BASE[base],
        "",
        "def log_p(x):",
        "    return log_base(f(x)) + np.log(abs(np.linalg.det(jacobian(x))))",
    ]
    follow = [
        "# The point x: where it goes, by how much f stretches areas there, and its log density in nats.",
        f"x = np.array([{source.value([float(a) for a in point])}])",
        "z, det = f(x)[0], np.linalg.det(jacobian(x))[0]",
        'print(f"z = ({z[0]:.6f}, {z[1]:.6f})")',
        'print(f"|det J|: {abs(det):.6f}")',
        'print(f"log p_base(z): {float(log_base(z)):.6f} nats")',
        'print(f"log p(x): {log_p(x)[0]:.6f} nats")',
    ]
    integral = [
        "# The integral over the plane, by quadrature: 1 with |det J|, and in general not without it. The square that",
        "# holds what can be seen of p is turned, so that no edge of p runs along its nodes.",
        f"radius, angle = {by.radius!r}, {by.turn!r}  # all that can be seen of p_base lies within the radius",
        "turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])",
        f"reach = max(radius, {reach})",
        'densities = {"Mass over x": log_p, "Mass of p_base(f(x))": lambda x: log_base(f(x))}',
        "for name, of in densities.items():",
        "    turned = lambda y: torch.from_numpy(of(y.numpy() @ turn))",
        f"    found = mass(turned, ((-reach, reach), (-reach, reach)), {by.cells})",
        '    print(f"{name}: {found.value:.4f} ± {found.error:.4f}")',
    ]
    return program(STRETCH, source, *("\n".join(part) for part in (lines, known, follow, integral)))


ACTIVATION = f"""
Measure activations by the paper's two criteria.

    |phi'| <= 1 everywhere, and phi'' does not vanish asymptotically where |phi'| is near 1 (here {1 - DELTA:g} or more)

(section 3.3 of Chen, Behrmann, Duvenaud & Jacobsen, NeurIPS 2019). phi is divided by its Lipschitz constant. If its
tails are steep and straight, units there pass nothing of the log det's gradient on: the activation starves it.
"""


def of_activations(names: Sequence[str]) -> str:
    """By their names in `ACTIVATIONS`; one that begins with "=" is a formula in z."""
    source = Source()
    source.use("Verdict", "criteria", of="resflow_core.measure")
    lines = [
        "# Each is evaluated on a fine grid and far out: nothing is taken from its formula.",
        f"activations = {mapped({literal(name): _named(source, name) for name in names})}",
        "for name, activation in activations.items():",
        "    found = criteria(activation)",
        "    slope = found.constant",
        '    print(f"{name}: largest slope found {slope.found:.6f}, claimed {slope.claimed:.6f}")',
        '    for side, tail in (("left", found.left), ("right", found.right)):',
        '        print(f"{name}, {side} tail: slope {tail.slope}, curvature {tail.curvature}")',
        '    print(f"{name} starves the log det: {found.verdict is Verdict.STARVES}")',
    ]
    return program(ACTIVATION, source, "\n".join(lines))


def _named(source: Source, name: str) -> str:
    """The activation of a name or a formula."""
    if name.startswith(SIGN):
        return f"rf.formula({literal(name.removeprefix(SIGN))})"
    source.use("ACTIVATIONS", of="resflow_core.activations")
    return f"ACTIVATIONS[{literal(name)}]"
