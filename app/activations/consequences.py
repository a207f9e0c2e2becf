"""What follows from an activation: flows that differ in nothing else, several seeds of each, as bands."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from app import controls, session, side_by_side
from app.activations.settings import Activations, label_of
from app.engine.messages import Arm, ArmReport
from app.estimator.words import number
from app.link import ACTIVATIONS_BENCH
from app.planes import Chart, Path, planes
from app.scene import POLL_SECONDS
from app.setup import Setup
from resflow_core.datasets import Dataset

NAME = "activations"
MOST_COMPARED = 4
# Fewer seeds say nothing about how far results scatter.
LEAST_SEEDS = 3


@dataclass(frozen=True)
class Band:
    """A number of several flows that differ in their seed alone."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.mean)} ({number(self.low)} to {number(self.high)})"


def band(values: Sequence[float]) -> Band:
    return Band(float(np.mean(values)), float(np.min(values)), float(np.max(values)))


@st.fragment(run_every=POLL_SECONDS)
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
    report, pictures = side_by_side.trained(NAME, arms, frame_seconds=2.0, activity="gradients")
    if not pictures:
        return
    groups = {label: report.arms[k * bench.seeds : (k + 1) * bench.seeds] for k, label in enumerate(labels)}
    dataset = session.setup().dataset
    firsts = [arms[0] for arms in groups.values()]
    st.markdown(verdict(dataset, groups))
    panes = [
        *side_by_side.densities(dataset, labels, firsts, pictures[:: bench.seeds]),
        _curves(dataset, groups, by_time=False),
        _curves(dataset, groups, by_time=True),
    ]
    planes(panes, key="consequences", columns=side_by_side.columns(len(panes)))
    st.markdown(_table(dataset, groups))
    side_by_side.offer(NAME, labels, "Go on with the first seed of one of them:", each=bench.seeds)


def compared(setup: Setup, names: Sequence[str], seeds: int) -> dict[str, Arm]:
    """The page's flow with each of the activations and seeds, activation by activation."""
    return {
        f"{label_of(name)}, seed {setup.seed + k}": Arm(
            replace(setup.flow, activation=name), setup.train, setup.source, seed=setup.seed + k
        )
        for name in names
        for k in range(seeds)
    }


def _fits(dataset: Dataset, arms: Sequence[ArmReport]) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Steps, (k,), seconds and KL (or NLL), (seeds, k) each, at the measurements that all seeds have."""
    curves = [arm.loss for arm in arms]
    if any(curve is None or not len(curve.held_step) for curve in curves):
        return None
    steps = sorted(set.intersection(*(set(curve.held_step.tolist()) for curve in curves)))
    if not steps:
        return None
    places = [np.searchsorted(curve.held_step, steps) for curve in curves]
    values = [curve.held_kl if dataset.truth else curve.held_nll for curve in curves]
    return (
        np.array(steps),
        np.stack([curve.held_seconds[at] for curve, at in zip(curves, places, strict=True)]),
        np.stack([value[at] for value, at in zip(values, places, strict=True)]),
    )


def _curves(dataset: Dataset, groups: dict[str, Sequence[ArmReport]], *, by_time: bool) -> Chart:
    against = "seconds of training" if by_time else "steps"
    name = "KL(data ‖ flow), nats" if dataset.truth else "held-out NLL, nats"
    paths, said = [], []
    for k, (label, arms) in enumerate(groups.items()):
        if (found := _fits(dataset, arms)) is None:
            continue
        steps, seconds, values = found
        x = seconds.mean(0) if by_time else steps
        style = side_by_side.style(k)
        paths.append(Path(np.stack([x, values.mean(0)], 1), label, width=2.4, **style))
        if len(arms) > 1:
            edges = [
                np.concatenate([np.stack([x, edge], 1), [[np.nan] * 2]]) for edge in (values.min(0), values.max(0))
            ]
            paths.append(Path(np.concatenate(edges), "", style["colour"], "solid", 0.8))
        said.append(f"{label} {band(values[:, -1])}")
    return Chart(
        f"Fit against {against}",
        against,
        name,
        tuple(paths),
        f"{name} against {against}, mean over seeds within the smallest and the largest; now {'; '.join(said)}.",
        log_y=bool(dataset.truth),
        note="Thick: mean over seeds; thin: smallest and largest."
        if len(next(iter(groups.values()))) > 1
        else "One seed.",
    )


def verdict(dataset: Dataset, groups: dict[str, Sequence[ArmReport]]) -> str:
    """Which is best after as many steps, with the bands' numbers; or that the seeds do not say."""
    found = {label: _fits(dataset, arms) for label, arms in groups.items()}
    if any(fits is None for fits in found.values()) or len(found) < 2:
        return "Not measured yet."
    step = min(int(fits[0][-1]) for fits in found.values())
    at = {label: band(fits[2][:, np.searchsorted(fits[0], step)]) for label, fits in found.items()}
    (best, least), *others = sorted(at.items(), key=lambda item: item[1].mean)
    nearest, near = min(others, key=lambda item: item[1].low)
    what, seeds = "KL" if dataset.truth else "NLL", len(next(iter(groups.values())))
    compared = f"{best} has {what} {least}, {nearest} {near} after {step:,} steps"
    if seeds < LEAST_SEEDS:
        few = f"over {seeds} seed{'s' * (seeds > 1)}. Take {LEAST_SEEDS} or more."
        return f"**Not enough seeds to say**: {compared}, {few}"
    if least.high < near.low:
        return f"**{best} is ahead in all {seeds} seeds**: {compared}; no other band touches its own."
    return f"**Not enough seeds to say**: {compared}, over {seeds} seeds; the bands overlap."


def _table(dataset: Dataset, groups: dict[str, Sequence[ArmReport]]) -> str:
    what = "KL, nats" if dataset.truth else "held-out NLL, nats"
    head = [
        "activation",
        what,
        "seconds trained",
        "mean abs. log det, nats",
        "largest ‖A‖ of L",
        "gradient of the log det, nats per unit",
    ]
    rows = [head, [":--", *["--:"] * (len(head) - 1)]]
    for label, arms in groups.items():
        fits = _fits(dataset, arms)
        tables = [arm.blocks for arm in arms if arm.blocks]
        splits = [arm.activity.split for arm in arms if arm.activity]
        rows.append(
            [
                label,
                str(band(fits[2][:, -1])) if fits else "…",
                f"{np.mean([arm.seconds for arm in arms]):.1f}",
                str(band([table.mean_abs_log_det for table in tables])) if tables else "…",
                str(band([100 * (table.largest_norm / table.lipschitz).max() for table in tables])) + " %"
                if tables
                else "…",
                str(band([float(split.whole.log_det) for split in splits])) if splits else "…",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
