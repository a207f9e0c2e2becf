"""Time and gradient variance of the exact log det and of an estimate, measured here against the dimension."""

import math
from dataclasses import dataclass

import numpy as np
import streamlit as st

from app import session
from app.components.planes import Chart, Path, planes
from app.engine.experiment import Arm
from app.engine.reports import MOVING, Report, State
from app.engine.results import Scaling
from app.features.dimensions.settings import DIMENSIONS, Dimensions
from app.metrics import with_error
from app.text import markdown_table
from app.ui import controls, share, transport
from app.ui.chart_style import BLUE, GREY, ORANGE
from app.ui.fragments import button, polled
from app.ui.scene import POLL_SECONDS
from resflow_core.measure import AtDim, Crossing, crossing

NAME = "scaling"
ABOUT = (
    r"The exact log det carries $d$ tangents through each block and takes a $d \times d$ determinant: $O(d^2)$ and "
    r"$O(d^3)$ a point. The estimate takes a few vector-Jacobian products, $O(d)$ each, however large $d$ is. "
    r"Its price is noise: $V_e = \mathbb{E}\,|\hat g - g|^2$ for the gradient $g$ of a batch, beside "
    r"$V_b = \mathbb{E}\,|g - \mathbb{E} g|^2$, which batches have anyway. A gradient of a given error takes time in "
    r"proportion to $t \, V$: $t_\mathrm{exact} V_b$ against $t_\mathrm{estimate} (V_b + V_e)$. "
    "Times are CPU times of one thread; data are independent moons side by side, $d/2$ of them."
)


@polled(POLL_SECONDS)
def show() -> None:
    session.settle()
    bench = session.bench(Dimensions)
    with st.container(horizontal=True, gap="medium"):
        bench = controls.edit(bench, rare=False, prefix=DIMENSIONS, only=bench.SCALING)
    session.apply_bench(bench)
    plan = bench.plan
    session.compare(NAME, (Arm(plan.flow, plan.train, plan),))
    report = session.poll_comparison(NAME, frames=False, measured={"results": True})
    found = report.arms[0].found(Scaling) if report.arms else None
    with st.container():
        buttons(report, len(plan.pieces))
        transport.message(report)
    if found is None or not found.found:
        if report.state not in MOVING:
            st.info("Measure takes a few seconds on an idle machine; nothing is shown that was not measured here.")
        st.caption(ABOUT)
        return
    pays = session.note(worth(found))
    st.markdown("\n".join(f"- {sentence}" for sentence in verdicts(pays)))
    charts = [times(found.found, pays.by_time), variances(found.found), works(found.found, pays.by_work)]
    planes(charts, key=f"{NAME}.charts", columns=3)
    st.markdown(table(found.found))
    st.caption(ABOUT)


def buttons(report: Report, pieces: int) -> None:
    """Measure, Stop, and again from the start; how far it is."""
    done = report.arms[0].step if report.arms else 0
    moving, over = report.state in MOVING, report.state in (State.FAILED, State.EXPIRED)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if moving:
            button(
                "Stop",
                on_click=session.pause,
                args=(NAME,),
                icon=":material/stop:",
                type="primary",
                key=f"{NAME}.stop",
            )
        elif done < pieces and not over:
            button(
                "Go on" if done else "Measure",
                on_click=session.step,
                args=(pieces - done, NAME),
                type="primary",
                icon=":material/play_arrow:",
                key=f"{NAME}.measure",
            )
        if over or (done and not moving):
            button("Measure anew", on_click=again, args=(pieces,), icon=":material/restart_alt:", key=f"{NAME}.anew")
        share.of_settings(NAME)
    if moving or 0 < done < pieces:
        st.progress(min(1.0, done / pieces), f"{done} of {pieces} steps measured")


def again(pieces: int) -> None:
    """From the start, at once."""
    session.reset(NAME)
    session.step(pieces, NAME)


def complete(found: tuple[AtDim, ...]) -> list[AtDim]:
    """Those dimensions of which all is known."""
    return [at for at in found if at.estimate_work is not None]


@dataclass(frozen=True)
class Worth:
    """From which dimension on the estimate is worth it: by time alone, and for gradients of equal error."""

    dims: tuple[int, ...]  # of which all is known, ascending
    by_time: Crossing | None  # None before one is known
    by_work: Crossing | None  # with the noise that the estimate adds
    ratio: float  # in the smallest of them, the time of a step by the estimate over that of an exact one
    over: bool  # whether all is measured

    @property
    def decided(self) -> bool:
        """Whether there are enough dimensions for a verdict."""
        return len(self.dims) > 1


def worth(found: Scaling) -> Worth:
    known, over = complete(found.found), found.step >= found.pieces
    if not known:
        return Worth((), None, None, math.nan, over)
    dims = tuple(at.dim for at in known)
    by_time = crossing(dims, [at.exact_seconds for at in known], [at.estimate_seconds for at in known])
    by_work = crossing(dims, [at.exact_work for at in known], [at.estimate_work for at in known])
    return Worth(dims, by_time, by_work, known[0].estimate_seconds / known[0].exact_seconds, over)


def verdicts(found: Worth) -> list[str]:
    if not found.decided:
        return ["Two dimensions at least are needed for a verdict."]
    so_far = "" if found.over else " (so far)"
    said = [
        f"**A step by the estimate is {where(found.by_time, found.dims)}**{so_far}, on this machine and for this flow.",
        f"With the noise that it adds, for gradients of equal error, it is {where(found.by_work, found.dims)}{so_far}.",
    ]
    if found.ratio > 1:
        said.append(
            f"At d = {found.dims[0]}, as on most other screens, the exact step is {found.ratio:.1f} times as fast and "
            "has no noise: there is nothing to be gained by estimating."
        )
    return said


def where(found: Crossing, dims: tuple[int, ...]) -> str:
    """The crossing in words."""
    if found.dim is None:
        return f"not the cheaper one up to d = {dims[-1]}"
    if found.at_once:
        return f"the cheaper one in all dimensions measured, from d = {dims[0]} on"
    said = f"the cheaper one from d ≈ {found.dim:.0f} on"
    return said if found.turns == 1 else f"{said} (the two take turns {found.turns} times below: they are close there)"


def times(found: tuple[AtDim, ...], meet: Crossing | None) -> Chart:
    """Milliseconds of a step."""
    exact = [(at.dim, 1e3 * at.exact_seconds) for at in found if at.exact_seconds]
    estimate = [(at.dim, 1e3 * at.estimate_seconds) for at in found if at.estimate_seconds]
    return crossed("Time of a step", "median CPU time, ms", exact, estimate, meet)


def works(found: tuple[AtDim, ...], meet: Crossing | None) -> Chart:
    """Time times variance, over the square of the gradient's norm."""
    known = complete(found)
    exact = [(at.dim, 1e3 * at.exact_work) for at in known]
    estimate = [(at.dim, 1e3 * at.estimate_work) for at in known]
    return crossed("Time to a gradient of equal error", "t · V / |g|², ms", exact, estimate, meet)


def crossed(title: str, unit: str, exact: list, estimate: list, meet: Crossing | None) -> Chart:
    """Two lines over d, and where they cross for good."""
    paths = [
        Path(np.array(exact, float).reshape(-1, 2), "exact", BLUE, "solid", markers=True),
        Path(np.array(estimate, float).reshape(-1, 2), "estimate", ORANGE, "dash", markers=True),
    ]
    mark = meet.dim if meet else None
    if mark is not None and not meet.at_once:
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
        "Variance of the gradient over its squared length against the dimension: that of the batch, which the exact "
        "gradient has too, and what the estimate adds to it. The exact log det adds 0.",
        log_x=True,
        log_y=True,
        note="The exact log det adds 0.",
    )


def table(found: tuple[AtDim, ...]) -> str:
    """The numbers, with their errors."""
    head = ["d", "exact, CPU ms", "estimate, CPU ms", "variance that the estimate adds", "variance of the batch"]
    rows = [head, ["--:"] * len(head)]
    for at in found:
        rows.append(
            [
                str(at.dim),
                *("…" if s is None else f"{1e3 * s:.1f}" for s in (at.exact_seconds, at.estimate_seconds)),
                *("…" if e is None else " ± ".join(with_error(e.value, e.standard_error))
                  for e in (at.variance, at.sampling)),
            ]
        )  # fmt: skip
    return markdown_table(rows)
