"""Weights and flows as in the paper's table, with seeds as bands."""

from dataclasses import replace
from typing import cast

import streamlit as st

from app import session
from app.components.planes import planes
from app.engine.reports import Frame
from app.features.joint import charts, pictures, stored, table, truth, words
from app.features.joint.arms import grid, is_residual
from app.features.joint.numbers import accuracies, claim, class_nlls, nlls
from app.features.joint.settings import JOINT, WEIGHTS, Joint
from app.ui import bands, controls, opening, side_by_side, takeaway
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS

NAME = "joint.paper"
PLAYS = f"{NAME}.plays"
"""Of the session: whether the table of weights plays as soon as it is there."""


def play_soon() -> None:
    """Train once the settings that were just chosen hold."""
    st.session_state[PLAYS] = True


def edit(bench: Joint) -> Joint:
    """Against what, and how often and how long."""
    for name, column in controls.row(dict.fromkeys(("peer", "width", "seeds", "steps"), 1), JOINT).items():
        with column:
            bench = controls.edit(bench, rare=False, prefix=JOINT, only=(name,))
    return bench


@polled(POLL_SECONDS)
def show() -> None:
    """The answer first, then what changes it, then all else that is known."""
    session.settle()
    answer = st.container()
    with st.container():
        bench = edit(session.bench(Joint))
    session.apply_bench(bench)
    setup = session.setup()
    found, dataset = grid(setup, bench), setup.dataset
    firsts = range(0, len(found) * bench.seeds, bench.seeds)
    trained = bands.seeded({one.label: one.arm for one in found}, setup.seed, bench.seeds)
    if st.session_state.pop(PLAYS, False):
        session.compare(NAME, tuple(trained.values()), lasting=("log_det",))
        session.play_or_pause(NAME, bench.steps)
    report, frames = side_by_side.trained(
        NAME,
        trained,
        pictured=firsts,
        steps=bench.steps,
        lasting=("log_det",),
        frame_seconds=3.0,
    )
    if not frames:
        return
    groups = bands.grouped([one.label for one in found], report.arms, bench.seeds)
    right, sure = charts.optimum(truth.best(dataset))
    families = charts.by_family(found, groups, bench.peer)
    price = session.note(claim(found, groups, bench.peer))
    with answer:
        if opening.is_due() and not any(arm.step for arm in report.arms):
            stored.show_costs(f"{NAME}.stored")
            st.caption(
                "Press Play to train the flows with the settings below on the data of the sidebar. They then appear "
                "here."
            )
        else:
            st.markdown("\n".join(f"- {sentence}" for sentence in words.sentences(price)))
            chart = charts.against_weight("Accuracy", "held-out accuracy, %", families, accuracies, right)
            planes([replace(chart, height=opening.HEIGHT)], key=f"{NAME}.answer", columns=1)
    with st.expander("All scores: a row for each flow and weight, and as files", key=f"{NAME}.numbers"):
        st.markdown(table.all_seeds(dataset, found, groups))
        st.caption(table.TERMS)
        files = takeaway.comparison(NAME, "joint", trained, table.saved(found, groups, setup.seed))
        seeds = range(setup.seed, setup.seed + bench.seeds)
        files += takeaway.behind_arms("joint", {one.label: one.arm for one in found}, seeds, report)
        takeaway.menu(files, key=f"{NAME}.files")
    with st.expander("Density and decisions of the first seed of each", key=f"{NAME}.pictures"):
        drawn = [
            pictures.decided(dataset, one.label, groups[one.label][0], cast(Frame, frame))
            for one, frame in zip(found, frames, strict=True)
        ]
        planes(drawn, key=f"{NAME}.planes", columns=len(WEIGHTS))
    with st.expander(
        "Loss of the classes and of the density against the weight, and accuracy against steps", key=f"{NAME}.against"
    ):
        floor = truth.nll(dataset).value if dataset.truth else None
        learned = [weight for weight in WEIGHTS if weight]
        shown = [
            charts.against_weight("Classes", "held-out −log p(y|x), nats", families, class_nlls, sure),
            charts.against_weight("Density", "held-out −log p(x), nats", families, nlls, floor, learned),
            charts.against_steps("Accuracy against steps", "held-out accuracy, %", groups, accuracies, right),
        ]
        planes(shown, key=f"{NAME}.charts", columns=2)
    side_by_side.offer(
        NAME,
        {one.label: k for k, one in zip(firsts, found, strict=True) if is_residual(one)},
        "Use the first seed of one of these flows, without its classifier, on all screens:",
    )
