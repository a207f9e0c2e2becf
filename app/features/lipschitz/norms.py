"""Norms: what a linear map does to unit balls, and flows whose layers are constrained in different norms."""

import math
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from app import session
from app.components.planes import Chart, Dots, Pane, Path, planes
from app.components.planes.panes import Dash
from app.engine.reports import Report
from app.features.lipschitz import arms, stored
from app.features.lipschitz.compared import NORMS
from app.features.lipschitz.induced import Induced, ball, induced
from app.features.lipschitz.settings import LIPSCHITZ, Lipschitz
from app.takeaway.programs import PROGRAMS
from app.ui import controls, heading, side_by_side, takeaway
from app.ui.chart_style import BLUE, GREY, ORANGE, VERMILION
from app.ui.fragments import polled
from app.ui.matrices import formula, typed_matrix
from app.ui.scene import POLL_SECONDS
from app.words import number, order_name
from resflow_core.settings import settings_of

NAME = "norms"
PLAYS = f"{NAME}.plays"
"""Of the session: whether the flows under other norms play as soon as they are there."""
ORDERS = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0, math.inf)


def show() -> None:
    unit_balls()
    # A step of a lesson that brings a matrix is about it alone.
    step = session.step_over("lipschitz")
    if step is None or f"{LIPSCHITZ}matrix" not in step.settings:
        compared()


@st.fragment
def unit_balls() -> None:
    """A matrix, two orders, and the ball of the one in that of the other."""
    session.settle()
    heading.section("A unit ball and its image")
    bench = session.bench(Lipschitz)
    limits = {name: limit for name, (_, limit) in settings_of(Lipschitz).items()}
    left, right = controls.beside((1, 3), bool(controls.drawn(bench, prefix=LIPSCHITZ, only=("matrix", "p", "q"))))
    with left:
        matrix = bench.matrix
        if session.offered(f"{LIPSCHITZ}matrix"):
            st.caption(f"{limits['matrix'].label}, row by row")
            matrix = typed_matrix(matrix, limits["matrix"], f"{LIPSCHITZ}matrix")
        else:
            st.markdown(formula(matrix, limits["matrix"]))
        p, q = (
            st.select_slider(
                limits[name].label,
                sorted({*ORDERS, getattr(bench, name)}),
                getattr(bench, name),
                key=f"{LIPSCHITZ}{name}",
                format_func=order_name,
            )
            if session.offered(f"{LIPSCHITZ}{name}")
            else getattr(bench, name)
            for name in ("p", "q")
        )
        if session.offered(f"{LIPSCHITZ}matrix"):
            _take_from_flow(bench)
    session.apply_bench(replace(bench, matrix=matrix, p=p, q=q))
    with right:
        found = session.note(induced(matrix, p, q))
        files = takeaway.behind("norm", PROGRAMS["norm"], matrix, p, q)
        planes(_balls(found), key="balls", columns=2, files=files)
    st.markdown(_takeaway(found))


def _take_from_flow(bench: Lipschitz) -> None:
    arm = next(iter(session.last_report().arms), None)
    if arm is None or arm.blocks is None:
        return
    block = int(arm.blocks.largest_norm.argmax())
    entries = tuple(round(float(a), 4) for a in arm.blocks.steepest[block].flatten())
    st.button(
        f"A of my flow, block {block + 1}",
        on_click=session.show_bench,
        args=(replace(bench, matrix=entries),),
        key=f"{LIPSCHITZ}take",
        help="The Jacobian of the steepest block of your flow, at the point where it is steepest.",
        icon=":material/content_paste_go:",
        width="stretch",
    )


def _balls(found: Induced) -> list[Pane]:
    w, p, q, best = np.reshape(found.matrix, (2, 2)), order_name(found.p), order_name(found.q), found.best
    unit, outer = ball(found.p), ball(found.q) * found.lower
    image, top = unit @ w.T, w @ best
    before = Pane(
        f"x: the unit ball of the {p}-norm",
        "x₁",
        "x₂",
        _square(unit),
        f"The unit ball of the {p}-norm, and the x on it that W stretches most.",
        paths=(Path(unit, f"‖x‖ = 1, order {p}", BLUE),),
        dots=(Dots(best[None], "x that is stretched most", VERMILION, "star", 12),),
    )
    after = Pane(
        "Wx: its image, in the smallest ball that holds it",
        "(Wx)₁",
        "(Wx)₂",
        _square(np.concatenate([outer, image])),
        f"The image of the ball under W, within the ball of the {q}-norm of radius {number(found.lower)}: "
        f"{_name(found)}.",
        paths=(
            Path(image, "W times the ball", BLUE),
            Path(outer, f"‖y‖ = {number(found.lower)}, order {q}", ORANGE, "dash"),
        ),
        dots=(Dots(top[None], "its image", VERMILION, "star", 12),),
    )
    return [before, after]


def _takeaway(found: Induced) -> str:
    if found.exact:
        return (
            f"**{_name(found)} = {number(found.lower)}**, exactly. The image touches the dashed ball where W stretches "
            "most."
        )
    return (
        f"**{_name(found)} is at least {number(found.lower)}**, because a vector attains this, **and at most "
        f"{number(found.upper)}**, by a proof. Most orders have no formula, so a constraint uses the larger number."
    )


def _name(found: Induced) -> str:
    return f"‖W‖ from {order_name(found.p)} to {order_name(found.q)}"


def _square(points: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    reach = 1.12 * float(np.abs(points).max()) or 1.0
    return (-reach, reach), (-reach, reach)


@polled(POLL_SECONDS)
def compared() -> None:
    """The page's flow, constrained in other norms."""
    session.settle()
    heading.section("The same flow under other norms")
    about = (
        "The input and output of a block are measured in one norm. The values between its layers may be measured in "
        "another, for example ∞ → 2 → ∞. A bound on each layer, from one norm to the next, then bounds the block in "
        "the norm of its ends. Some norms leave the weights more room. **Learned** orders move to where the bound is "
        "smallest. Press Play."
    )
    labels = arms.norms(session.setup())
    if st.session_state.pop(PLAYS, False):
        session.compare(NAME, tuple(labels.values()))
        session.play(NAME)
    side_by_side.show(NAME, labels, about, stored.first(NORMS, labels), _orders)


def _orders(report: Report) -> list[Chart]:
    """The learned orders against steps: those at the ends of a block, and those within."""
    loss = next((arm.loss for arm in report.arms if arm.loss and arm.loss.orders.size), None)
    if loss is None:
        return []
    steps, orders = loss.held_step[-len(loss.orders) :], loss.orders
    paths = []
    looks: tuple[tuple[str, Dash], ...] = ((BLUE, "solid"), (ORANGE, "dash"))
    for layer in range(orders.shape[2]):
        colour, dash = looks[min(layer, 1)]
        lines = [
            np.concatenate([np.stack([steps, orders[:, k, layer]], 1), [[np.nan] * 2]]) for k in range(orders.shape[1])
        ]
        name = "p₀, at both ends" if layer == 0 else f"p{'₀₁₂₃₄'[layer]}, between layers"
        paths.append(Path(np.concatenate(lines), name, colour, dash, 1.2))
    found = learned(orders[-1])
    return [
        Chart(
            "Learned orders against steps",
            "step",
            "order p of each block",
            (*paths, Path(np.array([[steps[0], 2.0], [steps[-1], 2.0]]), "2", GREY, "dot")),
            f"Orders of the norms of every block against steps. At the ends they are now {_range(found.ends)}, between "
            f"layers {_range(found.within)}.",
            note=_now(found),
        )
    ]


@dataclass(frozen=True)
class Learned:
    """The smallest and the largest learned order p over all blocks."""

    ends: tuple[float, float]  # of the norms at both ends of a block
    within: tuple[float, float]  # of the norms between its layers

    @property
    def alike(self) -> bool:
        """Whether all orders are the same, to the two decimals that are shown."""
        orders = (*self.ends, *self.within)
        return f"{min(orders):.2f}" == f"{max(orders):.2f}"


def learned(orders: np.ndarray) -> Learned:
    """Of orders (blocks, layers)."""
    ends, within = orders[:, 0], orders[:, 1:]
    return Learned((float(ends.min()), float(ends.max())), (float(within.min()), float(within.max())))


def _now(found: Learned) -> str:
    if found.alike:
        return f"All orders are {found.ends[0]:.2f} so far."
    return f"At the ends {_range(found.ends)}, between layers {_range(found.within)}."


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.2f} to {ends[1]:.2f}"
