"""Several flows that train in step: their densities beside the truth, their losses, and how much of L they use."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypedDict

import numpy as np
import streamlit as st

from app import session
from app.components.planes import Chart, Density, Heat, Pane, Path, planes
from app.components.planes.panes import DASHES, Dash
from app.engine.experiment import Arm
from app.engine.reports import MOVING, ArmReport, Frame, Picture, Report
from app.engine.training.measurements.masses import Masses
from app.metrics import gap_to_truth, held_out_nll, with_error
from app.text import markdown_table, signed
from app.ui import opening, takeaway, transport
from app.ui.chart_style import CATEGORIES
from app.ui.scene import true_density
from app.words import order_name
from resflow_core.data import Dataset
from resflow_core.measure import BlockTable

GRID, TRUTH_GRID = 80, 120
"""Nodes a side of the densities that the server draws: of flows that no browser can draw, and of the truth."""
Charts = Callable[[Report], Sequence[Chart]]


@dataclass(frozen=True)
class Opening:
    """What stands in the place of flows that are not trained yet: `show` draws a stored answer, None where none is of
    these flows. `take` lets the page compare those of an answer, None where something else on the page does."""

    show: Callable[[], None] | None
    take: Callable[[], None] | None = None


def show(name: str, arms: dict[str, Arm], about: str, first: Opening, further: Charts = lambda report: ()) -> Report:
    """Train the arms, by their labels, as the comparison `name`, and draw them, with `further` charts behind; before
    they are trained, what comes `first`. `about` says above the buttons what is compared."""
    answer = st.container()
    st.markdown(about)
    report, pictures = trained(name, arms)
    with answer:
        is_open = opens(name, report, first)
    if is_open or not pictures:
        return report
    dataset, labels = session.setup().dataset, list(arms)
    panes = [
        *densities(dataset, labels, report.arms, pictures),
        _losses(dataset, labels, report.arms),
        *further(report),
    ]
    found = {
        "Table": lambda: takeaway.by_seed(labels, report.arms),
        "Curves": lambda: takeaway.by_step(labels, report.arms),
    }
    files = takeaway.comparison(name, name, arms, found)
    files += takeaway.behind_arms(name, arms, (session.setup().seed,), report)
    planes(panes, key=f"{name}.panes", columns=columns(len(panes)), files=files, **of_flows(name, report))
    st.caption("All densities share one colour scale.")
    st.markdown(_table(dataset, labels, arms, report.arms))
    offer(name, {label: k for k, label in enumerate(labels)}, "Use one of these flows on all screens:")
    return report


def opens(name: str, report: Report, first: Opening) -> bool:
    """Whether no flow of the comparison `name` is trained, so that what comes `first` stands in their place; it is
    drawn then. Never beside a lesson, which asks about the flows as they are."""
    if not opening.is_due() or any(arm.step for arm in report.arms):
        return False
    if first.show:
        first.show()
    elif not report.message and report.state not in MOVING:
        _not_trained(name, first)
    return True


def _not_trained(name: str, first: Opening) -> None:
    """That these flows say nothing yet, and the way to an answer that is stored."""
    st.info("These flows are not trained yet. Press Play to train them with your settings.")
    if first.take and not session.focused():
        st.button(
            "Show the stored answer",
            on_click=first.take,
            icon=":material/inventory_2:",
            key=f"{name}.take",
            help="This replaces your data and settings by those of the flows that were measured.",
        )


def trained(
    name: str,
    arms: dict[str, Arm],
    *,
    pictured: Sequence[int] | None = None,
    steps: int | None = None,
    lasting: Collection[str] = (),
    **wanted: Any,
) -> tuple[Report, Sequence[Picture]]:
    """The comparison `name` of these arms, its buttons and messages: its report and the newest picture of every arm, or
    of those at `pictured`; none before there is one of each. Play ends after so many `steps`; the settings of training
    that are `lasting` hold from step 0 on. `wanted` are fields of the `ViewRequest` that differ from what most
    comparisons show."""
    session.compare(name, tuple(arms.values()), lasting)
    pictured = range(len(arms)) if pictured is None else pictured
    usual = {"frame_seconds": 1.0, "ways": False, "samples": False, "measured": {}}
    report = session.poll_comparison(name, grid=GRID, pictured=tuple(pictured), **usual | wanted)
    transport.show(report, of=name, steps=steps)
    with st.container():
        transport.message(replace(report, message=named(report.message, list(arms))))
    known = session.pictures(name)
    pictures = [known[k] for k in pictured] if known else ()
    if not report.arms or not pictures or not all(pictures):
        transport.waits(report, "The flows are being built")
        return report, ()
    return report, pictures


def of_flows(name: str, report: Report) -> dict[str, Any]:
    """What `planes` must know of the flows of the comparison `name` that it shows."""
    return {"moving": report.state in MOVING, "refused": partial(session.draw_by_server, name)}


def offer(name: str, arms: Mapping[str, int], words: str) -> None:
    """A button for each label, which makes this arm of the comparison the page's flow: with other data and settings, so
    only where all of them can be changed."""
    if session.focused():
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption(words, width="content")
        for label, k in arms.items():
            st.button(label, on_click=session.adopt, args=(name, k), key=f"{name}.adopt.{k}")


class Style(TypedDict):
    """The colour and the dashes of a line."""

    colour: str
    dash: Dash


def style(k: int) -> Style:
    """How the k-th of several lines is drawn, so that colour is not all that tells them apart."""
    return {"colour": CATEGORIES[k % len(CATEGORIES)], "dash": DASHES[k % len(DASHES)]}


def columns(panes: int) -> int:
    """Of so many panes, so that two rows hold them as far as they can."""
    return 3 if panes <= 6 else 4


def named(message: str, labels: list[str]) -> str:
    """What the engine says of an arm by its number, with its label."""
    return re.sub(r"^Arm (\d+):", lambda found: f"{labels[int(found[1]) - 1]}:", message)


def density_of(picture: Picture) -> Density | np.ndarray:
    """What colours a plane with the density of a flow."""
    return picture.density if isinstance(picture, Frame) else Density(picture)


def densities(dataset: Dataset, labels: list[str], arms: Sequence[ArmReport], drawn: Sequence[Picture]) -> list[Pane]:
    """The truth, where it is known, and every flow, in the same colours."""
    pictures, top = [density_of(one) for one in drawn], None
    notes = [f"{fit(dataset, arm)}{_mass(arm)}" for arm in arms]
    if dataset.truth:
        truth = true_density(dataset, TRUTH_GRID)
        top = float(truth.max())
        pictures, notes = [truth, *pictures], [f"Entropy {dataset.truth.entropy:.3f} nats.", *notes]
    titles = ["Truth", *labels] if dataset.truth else labels
    x, y = (axis.name for axis in dataset.axes)
    return [
        Pane(
            title,
            x,
            y,
            dataset.window,
            f"Density in the plane of the data, {title}. {note}",
            heat=Heat(picture, "density", "", 0.0, top, smooth=True, bar=False),
            note=note,
            legend=False,
        )
        for title, picture, note in zip(titles, pictures, notes, strict=True)
    ]


def fit(dataset: Dataset, arm: ArmReport) -> str:
    """How far a flow is from the truth, with its standard error, in a sentence."""
    found, what = (gap_to_truth(arm), "KL") if dataset.truth else (held_out_nll(arm), "Held-out NLL")
    if found is None:
        return "Not measured yet."
    return signed("{} {} ± {} nats.".format(what, *with_error(*found)))


def _mass(arm: ArmReport) -> str:
    """What the density integrates to that training believes in, where that was measured."""
    masses = arm.found(Masses)
    if masses is None or masses.believed is None:
        return ""
    return f" It believes in a density of mass {with_error(masses.believed.value, masses.believed.error)[0]}."


def _losses(dataset: Dataset, labels: list[str], arms: Sequence[ArmReport]) -> Chart:
    name = "KL(data ‖ flow), nats" if dataset.truth else "held-out NLL, nats"
    paths = []
    for index, (label, arm) in enumerate(zip(labels, arms, strict=True)):
        curve = arm.loss
        if curve is None:
            continue
        values = curve.held_kl if dataset.truth else curve.held_nll
        points = np.stack([curve.held_step[-len(values) :] if len(values) else [], values], 1)
        paths.append(Path(points, label, **style(index)))
    return Chart(
        "Fit against steps",
        "step",
        name,
        tuple(paths),
        f"{name} against steps; now "
        f"{'; '.join(f'{k}: {fit(dataset, arm)}'.removesuffix('.') for k, arm in zip(labels, arms, strict=True))}.",
        log_y=bool(dataset.truth),
        note="" if any(len(path.points) > 1 for path in paths) else "Press Play.",
    )


def _table(dataset: Dataset, labels: list[str], arms: dict[str, Arm], reports: Sequence[ArmReport]) -> str:
    measure = "KL(data ‖ flow), nats" if dataset.truth else "held-out NLL, nats"
    head = [
        "flow",
        measure,
        "budget L",
        "certified at most",
        "largest ‖A‖ seen",
        "of the budget",
        "in the norm",
        "first fold on data, s*",
    ]
    rows = [head, [":--", *["--:"] * (len(head) - 1)]]
    for label, report in zip(labels, reports, strict=True):
        blocks, budget = report.blocks, arms[label].flow.budget
        if blocks is None:
            rows.append([label, *["…"] * (len(head) - 1)])
            continue
        seen = float(blocks.largest_norm.max())
        rows.append(
            [
                label,
                fit(dataset, report).removeprefix("KL ").removeprefix("Held-out NLL ").removesuffix(" nats."),
                f"{budget:g}",
                f"{blocks.layer_norms.prod(1).max():.3f}",
                f"{seen:.3f}",
                f"{100 * seen / budget:.0f} %",
                _norms(blocks),
                f"{blocks.breaking.min():.3g}" if np.isfinite(blocks.breaking).any() else "none",
            ]
        )
    return markdown_table(rows)


def _norms(blocks: BlockTable) -> str:
    """The orders of the norms in which the blocks are bounded."""
    low, high = blocks.orders[:, 0].min(), blocks.orders[:, 0].max()
    return order_name(low) if order_name(low) == order_name(high) else f"{order_name(low)} to {order_name(high)}"
