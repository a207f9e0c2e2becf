"""One flow with its classifier while it trains, and how much weight its density has."""

from dataclasses import replace

import streamlit as st

from app import session
from app.components.planes import planes
from app.features.joint import charts, pictures, table, truth, words
from app.features.joint.arms import is_residual, pair
from app.features.joint.numbers import accuracies, class_nlls, nlls, unseen
from app.features.joint.settings import JOINT, LADDER, Joint
from app.ui import controls, side_by_side
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS
from resflow_core.settings import settings_of

NAME = "joint"


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
    session.settle()
    bench, setup = session.bench(Joint), session.setup()
    found, dataset = pair(setup, bench), setup.dataset
    hybrid, plain = (one.label for one in found)
    report, frames = side_by_side.trained(
        NAME,
        {one.label: one.arm for one in found},
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
    st.markdown(words.far_away(far and session.note(far)))
    shown = pictures.panes(dataset, hybrid, arms[hybrid], frames[0])
    planes(shown, key=f"{NAME}.planes", columns=len(shown))
    st.markdown(table.one_seed(dataset, found, report.arms))
    true, groups = truth.far(dataset), {label: (arm,) for label, arm in arms.items()}
    right, sure = charts.optimum(truth.best(dataset))
    floor = truth.nll(dataset).value if dataset.truth else None
    drawn = [
        charts.reliability(arms),
        charts.far_confidence(arms, true),
        charts.far_density(hybrid, arms[hybrid], true),
        charts.against_steps("Accuracy", "held-out accuracy, %", groups, accuracies, right),
        charts.against_steps("Classes", "held-out −log p(y|x), nats", groups, class_nlls, sure),
        charts.against_steps("Density", "held-out −log p(x), nats", {hybrid: groups[hybrid]}, nlls, floor),
    ]
    planes(drawn, key=f"{NAME}.charts", columns=3)
    side_by_side.downloads(NAME, "joint", table.saved(found, groups, setup.seed))
    if is_residual(found[0]):
        side_by_side.offer(NAME, {"Its flow": 0}, "Go on with the flow alone, on all screens:")
