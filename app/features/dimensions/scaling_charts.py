"""Time, noise and work of the exact log det and of an estimate against the dimension, as charts. Pure: numbers in."""

import numpy as np

from app.components.planes import Chart, Path
from app.ui.chart_style import BLUE, GREY, ORANGE
from resflow_core.measure import AtDim, Crossing


def complete(found: tuple[AtDim, ...]) -> list[AtDim]:
    """Those dimensions of which all is known."""
    return [at for at in found if at.estimate_work is not None]


def times(found: tuple[AtDim, ...], meet: Crossing | None) -> Chart:
    """Milliseconds of a step."""
    exact = [(at.dim, 1e3 * at.exact_seconds) for at in found if at.exact_seconds]
    estimate = [(at.dim, 1e3 * at.estimate_seconds) for at in found if at.estimate_seconds]
    return crossed("Time of a training step", "median CPU time, ms", exact, estimate, meet)


def works(found: tuple[AtDim, ...], meet: Crossing | None) -> Chart:
    """Time times variance, over the square of the gradient's norm."""
    known = complete(found)
    exact = [(at.dim, 1e3 * at.exact_work) for at in known if at.exact_work is not None]
    estimate = [(at.dim, 1e3 * at.estimate_work) for at in known if at.estimate_work is not None]
    return crossed("Time to a gradient of equal error", "t · V / |g|², ms", exact, estimate, meet)


def crossed(title: str, unit: str, exact: list, estimate: list, meet: Crossing | None) -> Chart:
    """Two lines over d, and where they cross for good."""
    paths = [
        Path(np.array(exact, float).reshape(-1, 2), "exact", BLUE, "solid", markers=True),
        Path(np.array(estimate, float).reshape(-1, 2), "estimate", ORANGE, "dash", markers=True),
    ]
    mark = meet.dim if meet else None
    if meet and mark is not None and not meet.at_once:
        values = [value for _, value in (*exact, *estimate)]
        paths.append(
            Path(np.array([[mark, min(values)], [mark, max(values)]]), f"crossing, d ≈ {mark:.0f}", GREY, "dot")
        )
    told = f"they cross at d ≈ {mark:.0f}" if mark is not None else "they do not cross"
    return Chart(
        title,
        "dimension d",
        unit,
        tuple(paths),
        f"{title} against the dimension, exact and by the estimate, both axes logarithmic: {told}.",
        log_x=True,
        log_y=True,
    )


def variances(found: tuple[AtDim, ...]) -> Chart:
    """Of the estimate, and of the choice of a batch, over |g|^2."""

    def line(name: str) -> np.ndarray:
        values = [(at.dim, getattr(at, name).value) for at in found if getattr(at, name)]
        return np.array(values, float).reshape(-1, 2)

    return Chart(
        "Variance of the gradient",
        "dimension d",
        "variance / |g|²",
        (
            Path(line("sampling"), "of the batch, V_b", BLUE, "solid", markers=True),
            Path(line("variance"), "of the estimate, V_e", ORANGE, "dash", markers=True),
        ),
        "Variance of the gradient over its squared length against the dimension: the variance of the batch, which the "
        "exact gradient has too, and the variance that the estimate adds. The exact log det adds 0.",
        log_x=True,
        log_y=True,
        note="The exact log det adds 0.",
    )
