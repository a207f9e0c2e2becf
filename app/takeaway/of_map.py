"""Programs of figures by formula alone: a map that stretches the plane, and activations."""

from collections.abc import Sequence

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


def of_linear(matrix: Sequence[float], base: str, point: Sequence[float]) -> str:
    """f(x) = W x, with W row by row."""
    source = Source()
    rows = source.value([[float(a) for a in matrix[:2]], [float(a) for a in matrix[2:]]])
    return _stretch(
        source,
        base,
        point,
        "# The map f(x) = W x, whose Jacobian is W everywhere.",
        f"W = np.array({rows})",
        "",
        "def f(x):",
        "    return W @ x",
        "",
        "def jacobian(x):",
        "    return W",
    )


def of_wave(strength: float, frequency: float, base: str, point: Sequence[float]) -> str:
    """f(x) = x + g(x) with g(x) = s / w (sin(w x2), sin(w x1)): a residual block with Lip(g) = s."""
    return _stretch(
        Source(),
        base,
        point,
        "# The residual block f(x) = x + g(x), g(x) = s / w (sin(w x2), sin(w x1)), with Lip(g) = s < 1.",
        f"s, w = {strength!r}, {frequency!r}",
        "",
        "def f(x):",
        "    return x + s / w * np.sin(w * x[::-1])",
        "",
        "def jacobian(x):",
        "    return np.array([[1.0, s * np.cos(w * x[1])], [s * np.cos(w * x[0]), 1.0]])",
    )


def _stretch(source: Source, base: str, point: Sequence[float], *lines: str) -> str:
    source.use_module("numpy as np")
    known = ["# The density of z = f(x), which is known before anything is stretched.", *BASE[base]]
    follow = [
        "# The point x: where it goes, by how much f stretches areas there, and its log density in nats.",
        f"x = np.array({source.value([float(a) for a in point])})",
        "z, det = f(x), np.linalg.det(jacobian(x))",
        'print(f"z = ({z[0]:.6f}, {z[1]:.6f})")',
        'print(f"|det J|: {abs(det):.6f}")',
        'print(f"log p_base(z): {float(log_base(z)):.6f} nats")',
        'print(f"log p(x): {float(log_base(z)) + np.log(abs(det)):.6f} nats")',
    ]
    return program(STRETCH, source, "\n".join(lines), "\n".join(known), "\n".join(follow))


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
