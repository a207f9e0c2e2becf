"""The stored answers on the page, in the place of what has not been trained yet."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from app import evidence, session
from app.components.planes import Chart, planes
from app.evidence import Stored
from app.features.joint import answers, charts, regions, table, truth
from app.features.joint.arms import grid, pair
from app.features.joint.evidence import (
    BENCH,
    COSTS,
    COSTS_SETUP,
    FAR,
    FAR_SETUP,
    LABELS,
    accuracies_far,
    few_told,
    groups_of,
    read_costs,
    read_far,
    read_labels,
)
from app.features.joint.numbers import accuracies
from app.takeaway.programs import PROGRAMS
from app.ui import opening, takeaway


def far() -> Stored:
    return evidence.stored(FAR)


def costs() -> Stored:
    return evidence.stored(COSTS)


def labels() -> Stored:
    return evidence.stored(LABELS)


def show_far(key: str) -> None:
    """Sentence and picture of what lies far away."""
    found = far().found
    hybrid, plain = (groups_of(found)[one.label][0] for one in pair(FAR_SETUP, BENCH))
    opening.sentence(f"{answers.does_both(*accuracies_far(found))} {answers.far_away(read_far(found))}")
    opening.picture(regions.panes(FAR_SETUP.dataset, hybrid, plain), far(), key=key, columns=2)


def show_costs(key: str, say: Callable[[str], Any] = opening.sentence) -> None:
    """Sentence and picture of what the density costs."""
    say(answers.costs(read_costs(costs().found), COSTS_SETUP.dataset.title))
    opening.picture([replace(costs_chart(), height=opening.HEIGHT)], costs(), key=key)


def costs_chart() -> Chart:
    """Accuracy against the weight, as it was stored."""
    groups = groups_of(costs().found)
    dataset: Any = COSTS_SETUP.dataset
    right, _ = charts.optimum(truth.best(dataset))
    families = charts.by_family(grid(COSTS_SETUP, BENCH), groups, BENCH.peer)
    return charts.against_weight("Accuracy", "held-out accuracy, %", families, accuracies, right)


def show_depth() -> None:
    """What else was found, folded."""
    with st.expander(
        "Calibration, and confidence and density against the distance from the data", key="joint.more.far"
    ):
        _far_depth()
    with st.expander(
        "The accuracy that the density costs: two flows, three weights, three seeds", key="joint.more.costs"
    ):
        show_costs("joint.more.costs.picture", st.markdown)
        st.button(
            "Train these flows here", on_click=_open_paper, icon=":material/open_in_full:", key="joint.more.paper"
        )
    with st.expander("Few labels, many points and added noise: does the density help?", key="joint.more.labels"):
        show_labels("joint.more.labels.picture")


def show_labels(key: str) -> None:
    """Sentence and picture of classifiers that are told few classes."""
    found = labels()
    told = read_labels(found.found)
    st.markdown(answers.few_labels(told))
    opening.picture([replace(charts.few_labels(told), height=opening.HEIGHT)], found, key=key)
    files = takeaway.tables("joint-labels", {"Table": lambda: table.few_labels(told)})
    files += takeaway.behind("few-labels", PROGRAMS["few labels"], few_told(found))
    takeaway.menu(files, key="joint.more.labels.files")


def _far_depth() -> None:
    dataset: Any = FAR_SETUP.dataset
    groups = groups_of(far().found)
    firsts = {label: arms[0] for label, arms in groups.items()}
    hybrid, true = next(iter(firsts)), truth.far(dataset)
    drawn = [
        charts.reliability(firsts),
        charts.far_confidence(firsts, true),
        charts.far_density(hybrid, firsts[hybrid], true),
    ]
    planes(drawn, key="joint.more.far.charts", columns=3)
    st.caption("The first seed. ECE, expected calibration error: the distance between confidence and accuracy.")
    found = pair(FAR_SETUP, BENCH)
    files = takeaway.tables("joint-stored", table.saved(found, groups, FAR_SETUP.seed))
    takeaway.menu(files, key="joint.more.files")


def _open_paper() -> None:
    session.use(COSTS_SETUP.data, COSTS_SETUP.flow, COSTS_SETUP.train)
    session.show_bench(replace(BENCH, view="paper"))
