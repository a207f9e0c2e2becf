"""What follows from an activation: flows that differ in nothing else, several seeds of each, as bands."""

import numpy as np
import streamlit as st

from app import session
from app.components.planes import planes
from app.engine.training.measurements.activity import Activity
from app.features.activations import answers, pictures, stored, used
from app.features.activations.arms import compared
from app.features.activations.evidence import STEPS
from app.features.activations.settings import ACTIVATIONS_BENCH, Activations, label_of
from app.text import csv_of, markdown_table
from app.ui import bands, controls, opening, side_by_side, takeaway
from app.ui.bands import Groups
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS
from resflow_core.data import Dataset

__all__ = ["MOST_COMPARED", "compared", "show"]

NAME = "activations"
MOST_COMPARED = 4


@polled(POLL_SECONDS)
def show() -> None:
    session.settle()
    answer = st.container()
    bench = _controls(session.bench(Activations))
    setup = session.setup()
    names = bench.names[:MOST_COMPARED]
    labels = [label_of(name) for name in names]
    arms = compared(setup, names, bench.seeds)
    if st.session_state.pop(stored.PLAYS, False):
        session.compare(NAME, tuple(arms.values()))
        session.play_or_pause(NAME, STEPS)
    firsts = range(0, len(arms), bench.seeds)
    report, frames = side_by_side.trained(NAME, arms, pictured=firsts, steps=STEPS, measured={"activity": "all"})
    with answer:
        is_open = side_by_side.opens(NAME, report, stored.first(setup, bench))
    if is_open or not frames:
        return
    groups = bands.grouped(labels, report.arms, bench.seeds)
    dataset = setup.dataset
    ranking = session.note(bands.by_steps(dataset, groups))
    with answer:
        is_trained = any(arm.step for arm in report.arms)
        if not (is_trained and _answer(dataset, groups, names)) and opening.is_due() and stored.is_of(setup, names):
            stored.show(key=stored.KEY)
            st.caption(":material/hourglass: The units of the flows here are being measured.")
    st.markdown(bands.in_words(ranking))
    panes = [
        *side_by_side.densities(dataset, labels, [report.arms[k] for k in firsts], frames),
        bands.curves(dataset, groups, by_time=False),
        bands.curves(dataset, groups, by_time=True),
    ]
    shown = side_by_side.of_flows(NAME, report)
    planes(panes, key="consequences", columns=side_by_side.columns(len(panes)), **shown)
    with st.expander("All numbers: a row for each activation, and as files", key=f"{NAME}.numbers"):
        st.markdown(_table(dataset, groups))
        contents = {"Curves": lambda: _by_step(groups, setup.seed)}
        files = takeaway.comparison(NAME, "activations", arms, contents)
        seeds = range(setup.seed, setup.seed + bench.seeds)
        one_each = dict(zip(labels, [list(arms.values())[k] for k in firsts], strict=True))
        files += takeaway.behind_arms("activations", one_each, seeds, report)
        takeaway.menu(files, key=f"{NAME}.files")
    side_by_side.offer(
        NAME, dict(zip(labels, firsts, strict=True)), "Use the first seed of one of these flows on all screens:"
    )


def _answer(dataset: Dataset, groups: Groups, names: tuple[str, ...]) -> bool:
    """Of the flows that are trained here, in the place of the stored one; whether one of each is
    measured."""
    found = {label: units for label, arms in groups.items() if (units := used.units_of(arms))}
    if len(found) < len(groups):
        return False
    if told := used.compared(dataset, groups, found):
        opening.sentence(answers.sentence(session.note(told)))
    drawn = pictures.used({label_of(name): name for name in names}, found, stored.HEIGHT)
    planes(drawn, key=f"{NAME}.units", columns=2)
    return True


def _controls(bench: Activations) -> Activations:
    listed = ", ".join(label_of(name) for name in bench.names[:MOST_COMPARED])
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width=320):
            bench = controls.edit(bench, rare=False, prefix=ACTIVATIONS_BENCH, only=("seeds",))
        st.markdown(
            f"**{listed}**, as chosen under *Curves* (at most {MOST_COMPARED}). All other settings are the same. "
            f"{bench.seeds} seed{'s' * (bench.seeds > 1)} of each train in step."
        )
    session.apply_bench(bench)
    return bench


def _by_step(groups: Groups, seed: int) -> bytes:
    """Every held-out measurement of every seed."""
    return csv_of(
        {
            "activation": label,
            "seed": seed + k,
            "step": int(loss.held_step[at]),
            "seconds": float(loss.held_seconds[at]),
            "nll": float(loss.held_nll[at]),
            "kl": float(loss.held_kl[at]) if len(loss.held_kl) else "",
        }
        for label, arms in groups.items()
        for k, arm in enumerate(arms)
        if (loss := arm.loss)
        for at in range(len(loss.held_step))
    )


def _table(dataset: Dataset, groups: Groups) -> str:
    _, what = bands.measure_of(dataset)
    found = bands.all_fits(dataset, groups)
    head = [
        "activation",
        what,
        "seconds trained",
        "mean abs. log det, nats",
        "largest ‖A‖, % of L",
        "gradient of the log det in the blocks, nats per unit of a parameter",
    ]
    rows = [head, [":--", *["--:"] * (len(head) - 1)]]
    for label, arms in groups.items():
        tables = [arm.blocks for arm in arms if arm.blocks]
        splits = [activity.split for arm in arms if (activity := arm.found(Activity))]
        rows.append(
            [
                label,
                str(bands.band(found[label].values[:, -1])) if found[label] else "…",
                f"{np.mean([arm.seconds for arm in arms]):.1f}",
                str(bands.band([table.mean_abs_log_det for table in tables])) if tables else "…",
                str(bands.band([100 * (table.largest_norm / table.lipschitz).max() for table in tables])) + " %"
                if tables
                else "…",
                str(bands.band([float(split.residual.log_det) for split in splits])) if splits else "…",
            ]
        )
    return markdown_table(rows)
