"""Time and gradient variance of the exact log det and of an estimate, measured here against the dimension."""

import math
from dataclasses import dataclass, replace

import streamlit as st

from app import session
from app.components.planes import planes
from app.engine.experiment import Arm
from app.engine.reports import MOVING, Report, State
from app.engine.training.job_records import Scaling
from app.features.dimensions import scaling_charts, stored
from app.features.dimensions.scaling_charts import complete
from app.features.dimensions.settings import DIMENSIONS, Dimensions
from app.metrics import with_error
from app.takeaway.programs import PROGRAMS
from app.text import csv_of, markdown_table
from app.ui import controls, opening, share, takeaway, transport
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS
from resflow_core.measure import AtDim, Crossing, crossing

NAME = "scaling"
STARTS = f"{NAME}.starts"
"""Of the session: whether the measurement begins as soon as the view is there."""
ABOUT = (
    r"The exact log det carries $d$ tangents through each block and computes a $d \times d$ determinant: $O(d^2)$ and "
    r"$O(d^3)$ per point. The estimate needs a few vector-Jacobian products, $O(d)$ each, and their number does not "
    r"depend on $d$. But it adds noise. For the gradient $g$ of a batch this noise is "
    r"$V_e = \mathbb{E}\,|\hat g - g|^2$. The batch itself already has the noise "
    r"$V_b = \mathbb{E}\,|g - \mathbb{E} g|^2$. The time to a gradient of a given error is proportional to $t \, V$: "
    r"$t_\mathrm{exact} V_b$ against $t_\mathrm{estimate} (V_b + V_e)$. "
    "Times are CPU times of one thread. The data are $d/2$ independent pairs of moons. In the plane the other screens "
    "form $A$ and make the estimate from it, which costs about as little as the exact log det; that shortcut is not "
    "used here."
)


def start_soon() -> None:
    """Measure as soon as this view is there."""
    st.session_state[STARTS] = True


@polled(POLL_SECONDS)
def show() -> None:
    """The answer first, then what measures it, then all else that is known."""
    session.settle()
    answer = st.container()
    bench = session.bench(Dimensions)
    with st.container(horizontal=True, gap="medium"):
        bench = controls.edit(bench, rare=False, prefix=DIMENSIONS, only=bench.SCALING)
    session.apply_bench(bench)
    plan = bench.plan
    session.compare(NAME, (Arm(plan.flow, plan.train, plan),))
    if st.session_state.pop(STARTS, False):
        session.step(len(plan.pieces), NAME)
    report = session.poll_comparison(NAME, frames=False, measured={"results": True})
    found = report.arms[0].found(Scaling) if report.arms else None
    with st.container():
        buttons(report, len(plan.pieces))
        transport.message(report)
    if found is None or not found.found:
        with answer:
            if opening.is_due() and not session.focused():
                stored.show_crossing(f"{NAME}.stored")
            elif report.state not in MOVING:
                st.info("*Measure* takes a few seconds on an idle machine. All numbers shown are measured here.")
        st.caption(ABOUT)
        return
    pays = session.note(worth(found))
    with answer:
        first, *others = verdicts(pays)
        opening.sentence(first)
        chart = replace(scaling_charts.times(found.found, pays.by_time), height=opening.HEIGHT)
        files = takeaway.behind("dimensions", PROGRAMS["scaling"], plan, session.setup().seed)
        planes([chart], key=f"{NAME}.answer", columns=1, files=files)
        st.markdown("\n".join(f"- {sentence}" for sentence in others))
    with st.expander(
        "The noise that the estimate adds, and the time to a gradient of equal error", key=f"{NAME}.noise"
    ):
        charts = [scaling_charts.variances(found.found), scaling_charts.works(found.found, pays.by_work)]
        planes(charts, key=f"{NAME}.charts", columns=2)
    with st.expander("All numbers: a row for each dimension, and as a file", key=f"{NAME}.numbers"):
        st.markdown(table(found.found))
        files = takeaway.tables("dimensions", {"Table": lambda: saved(found.found)})
        takeaway.menu(files, key=f"{NAME}.files")
    st.caption(ABOUT)


def buttons(report: Report, pieces: int) -> None:
    """Measure, Stop, and again from the start; how far it is."""
    done = report.arms[0].step if report.arms else 0
    moving, over = report.state in MOVING, report.state in (State.FAILED, State.EXPIRED)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if moving:
            st.button(
                "Stop",
                on_click=session.pause,
                args=(NAME,),
                icon=":material/stop:",
                type="primary",
                key=f"{NAME}.stop",
            )
        elif done < pieces and not over:
            st.button(
                "Go on" if done else "Measure",
                on_click=session.step,
                args=(pieces - done, NAME),
                type="primary",
                icon=":material/play_arrow:",
                key=f"{NAME}.measure",
            )
        if over or (done and not moving):
            st.button(
                "Measure again", on_click=again, args=(pieces,), icon=":material/restart_alt:", key=f"{NAME}.anew"
            )
        share.of_settings(NAME)
    if moving or 0 < done < pieces:
        st.progress(min(1.0, done / pieces), f"{done} of {pieces} steps measured")


def again(pieces: int) -> None:
    """From the start, at once."""
    session.reset(NAME)
    session.step(pieces, NAME)


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
        return ["A verdict needs at least two dimensions."]
    so_far = "" if found.over else " (so far)"
    said = [
        f"**A step by the estimate is {where(found.by_time, found.dims)}**{so_far}, on this machine and for this flow.",
        "If its noise is counted too (for gradients of equal error), it is "
        f"{where(found.by_work, found.dims)}{so_far}.",
    ]
    if found.ratio > 1:
        said.append(
            f"At d = {found.dims[0]}, as on most other screens, the exact step is {found.ratio:.1f} times as fast and "
            "has no noise, so an estimate has no advantage."
        )
    return said


def where(found: Crossing, dims: tuple[int, ...]) -> str:
    """The crossing in words."""
    if found.dim is None:
        return f"not cheaper up to d = {dims[-1]}"
    if found.at_once:
        return f"cheaper in all measured dimensions, from d = {dims[0]} on"
    said = f"cheaper from d ≈ {found.dim:.0f} on"
    return said if found.turns == 1 else f"{said} (below, the two are close and take turns {found.turns} times)"


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


def saved(found: tuple[AtDim, ...]) -> bytes:
    """The numbers, as CSV: seconds, and variances over the squared length of the gradient."""
    return csv_of(
        {
            "d": at.dim,
            "exact_seconds": at.exact_seconds,
            "estimate_seconds": at.estimate_seconds,
            "estimate_variance": at.variance and at.variance.value,
            "batch_variance": at.sampling and at.sampling.value,
        }
        for at in found
    )
