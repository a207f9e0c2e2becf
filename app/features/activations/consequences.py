"""What follows from an activation: flows that differ in nothing else, several seeds of each, as bands."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from app import session
from app.components.planes import planes
from app.engine.experiment import Arm
from app.engine.measurements.activity import Activity
from app.features.activations.settings import ACTIVATIONS_BENCH, Activations, label_of
from app.setup import Setup
from app.text import markdown_table
from app.ui import bands, controls, side_by_side
from app.ui.bands import Groups, band
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS
from resflow_core.data import Dataset

NAME = "activations"
MOST_COMPARED = 4


@polled(POLL_SECONDS)
def show() -> None:
    session.settle()
    with st.container(width=420):
        bench = controls.edit(session.bench(Activations), rare=False, prefix=ACTIVATIONS_BENCH, only=("seeds",))
    session.apply_bench(bench)
    names = bench.names[:MOST_COMPARED]
    labels = [label_of(name) for name in names]
    st.markdown(
        f"**{', '.join(labels)}**, as chosen under *Curves* (the first {MOST_COMPARED}): the same data, settings and "
        f"seeds, {bench.seeds} of each, in step. Press Play."
    )
    arms = compared(session.setup(), names, bench.seeds)
    firsts = range(0, len(arms), bench.seeds)
    measured = {"activity": "gradients"}
    report, pictures = side_by_side.trained(NAME, arms, pictured=firsts, frame_seconds=2.0, measured=measured)
    if not pictures:
        return
    groups = bands.grouped(labels, report.arms, bench.seeds)
    dataset = session.setup().dataset
    st.markdown(bands.in_words(session.note(bands.by_steps(dataset, groups))))
    panes = [
        *side_by_side.densities(dataset, labels, [report.arms[k] for k in firsts], pictures),
        bands.curves(dataset, groups, by_time=False),
        bands.curves(dataset, groups, by_time=True),
    ]
    planes(panes, key="consequences", columns=side_by_side.columns(len(panes)))
    st.markdown(_table(dataset, groups))
    side_by_side.offer(NAME, dict(zip(labels, firsts, strict=True)), "Go on with the first seed of one of them:")


def compared(setup: Setup, names: Sequence[str], seeds: int) -> dict[str, Arm]:
    """The page's flow with each of the activations and seeds, activation by activation."""
    arms = {label_of(name): Arm(replace(setup.flow, activation=name), setup.train, setup.source) for name in names}
    return bands.seeded(arms, setup.seed, seeds)


def _table(dataset: Dataset, groups: Groups) -> str:
    _, what = bands.measure_of(dataset)
    found = bands.all_fits(dataset, groups)
    head = [
        "activation",
        what,
        "seconds trained",
        "mean abs. log det, nats",
        "largest ‖A‖ of L",
        "gradient of the log det in the blocks, nats per unit of a parameter",
    ]
    rows = [head, [":--", *["--:"] * (len(head) - 1)]]
    for label, arms in groups.items():
        tables = [arm.blocks for arm in arms if arm.blocks]
        splits = [activity.split for arm in arms if (activity := arm.found(Activity))]
        rows.append(
            [
                label,
                str(band(found[label].values[:, -1])) if found[label] else "…",
                f"{np.mean([arm.seconds for arm in arms]):.1f}",
                str(band([table.mean_abs_log_det for table in tables])) if tables else "…",
                str(band([100 * (table.largest_norm / table.lipschitz).max() for table in tables])) + " %"
                if tables
                else "…",
                str(band([float(split.residual.log_det) for split in splits])) if splits else "…",
            ]
        )
    return markdown_table(rows)
