"""One flow with its classifier while it trains, and how much weight its density has."""

from dataclasses import replace
from typing import cast

import streamlit as st

from app import session
from app.components.planes import planes
from app.engine.reports import ArmReport, Frame
from app.features.joint import answers, charts, pictures, regions, stored, table, truth
from app.features.joint.arms import Contestant, is_residual, pair
from app.features.joint.evidence import STEPS
from app.features.joint.numbers import accuracies, class_nlls, nlls, unseen
from app.features.joint.settings import JOINT, LADDER, Joint
from app.setup import Setup
from app.ui import controls, opening, side_by_side, takeaway
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS
from resflow_core.settings import settings_of

NAME = "joint"
PLAYS = f"{NAME}.plays"
"""Of the session: whether the pair plays as soon as it is there."""


def play_soon() -> None:
    """Train once the settings that were just chosen hold."""
    st.session_state[PLAYS] = True


def edit(bench: Joint) -> Joint:
    """The weight, which changes live, and what is built anew."""
    place = controls.row({"weight": 3, "family": 1.3, "width": 1.3}, JOINT)
    if "weight" in place:
        _, limits = settings_of(bench)["weight"]
        weight = place.pop("weight").select_slider(
            f"{limits.label} of $\\log p(x)$ in $\\lambda \\log p(x) + \\log p(y\\mid x)$",
            sorted({*LADDER, bench.weight}),
            bench.weight,
            format_func=lambda value: f"{value:g}",
            key=f"{JOINT}weight",
            help=limits.help,
        )
        bench = replace(bench, weight=weight)
    for name, column in place.items():
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
    found, dataset = pair(setup, bench), setup.dataset
    hybrid, plain = (one.label for one in found)
    wanted = {one.label: one.arm for one in found}
    if st.session_state.pop(PLAYS, False):
        session.compare(NAME, tuple(wanted.values()), lasting=("log_det",))
        session.play_or_pause(NAME, STEPS)
    report, frames = side_by_side.trained(
        NAME,
        wanted,
        pictured=(0,),
        lasting=("log_det",),
        frame_seconds=1.0,
        samples=True,
        measured={"far": True},
    )
    if not frames:
        return
    arms = dict(zip((hybrid, plain), report.arms, strict=True))
    far = unseen(*report.arms, bench.weight)
    if far:
        session.note(far)
    is_trained = any(arm.step for arm in report.arms)
    with answer:
        if far and is_trained:
            opening.sentence(answers.far_away([far]))
        if is_trained or not opening.is_due():
            shown = regions.panes(dataset, *report.arms)
            planes(shown, key=f"{NAME}.regions", columns=max(1, len(shown)))
        else:
            stored.show_far(f"{NAME}.stored")
            st.caption(
                "Press Play to train the flow and the classifier with the settings below. They then appear here."
            )
    _depth(setup, found, arms, cast(Frame, frames[0]))


def _depth(setup: Setup, found: list[Contestant], arms: dict[str, ArmReport], frame: Frame) -> None:
    """Everything else, folded."""
    dataset, groups = setup.dataset, {label: (arm,) for label, arm in arms.items()}
    hybrid, true = next(iter(arms)), truth.far(dataset)
    right, sure = charts.optimum(truth.best(dataset))
    floor = truth.nll(dataset).value if dataset.truth else None
    with st.expander("Density, decisions, confidence and samples in the window of the data", key=f"{NAME}.window"):
        shown = pictures.panes(dataset, hybrid, arms[hybrid], frame)
        planes(shown, key=f"{NAME}.planes", columns=min(2, len(shown)))
    with st.expander("All numbers: a row for each classifier, and as files", key=f"{NAME}.numbers"):
        st.markdown(table.one_seed(dataset, found, list(arms.values())))
        st.caption(table.TERMS)
        trained = {one.label: one.arm for one in found}
        files = takeaway.comparison(NAME, "joint", trained, table.saved(found, groups, setup.seed))
        files += takeaway.behind_arms("joint", trained, (setup.seed,), session.last_report(NAME))
        takeaway.menu(files, key=f"{NAME}.files")
    with st.expander("Calibration, and confidence and density against the distance from the data", key=f"{NAME}.far"):
        drawn = [
            charts.reliability(arms),
            charts.far_confidence(arms, true),
            charts.far_density(hybrid, arms[hybrid], true),
        ]
        planes(drawn, key=f"{NAME}.charts", columns=3)
    with st.expander("Accuracy, classes and density against steps", key=f"{NAME}.steps"):
        drawn = [
            charts.against_steps("Accuracy", "held-out accuracy, %", groups, accuracies, right),
            charts.against_steps("Classes", "held-out −log p(y|x), nats", groups, class_nlls, sure),
            charts.against_steps("Density", "held-out −log p(x), nats", {hybrid: groups[hybrid]}, nlls, floor),
        ]
        planes(drawn, key=f"{NAME}.progress", columns=3)
    if is_residual(found[0]):
        side_by_side.offer(NAME, {"Use this flow": 0}, "Use the flow without its classifier on all screens:")
