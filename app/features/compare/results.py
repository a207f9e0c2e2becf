"""The arms while they train: pictures, fits as bands, belief beside truth, and the numbers."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from app import session
from app.components.planes import Pane, planes
from app.engine.experiment import Arm
from app.engine.reports import ArmReport, Picture
from app.engine.training.measurements.derivatives import Derivatives
from app.features.compare import charts, pictures, stored, table, words
from app.features.compare.arms import Contender, contenders
from app.features.compare.numbers import compared
from app.features.compare.presets import chosen
from app.features.compare.settings import COMPARE, PICTURES, Compare
from app.setup import Setup
from app.ui import bands, controls, opening, side_by_side, takeaway
from app.ui.bands import Groups
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS
from resflow_core.data import Dataset

NAME = "compare"
LEAST_IN_A_ROW = 3
PLAYS = f"{NAME}.plays"
"""Of the session: whether a comparison that was just opened plays as soon as it is there."""


def begin(setup: Setup, bench: Compare) -> None:
    """Let the comparison of these arms be, paused."""
    # Another estimator from the middle on would be another question.
    session.compare(NAME, tuple(_arms(contenders(setup, bench), setup, bench).values()), lasting=("log_det",))


def play_soon() -> None:
    """Play what is compared once the settings that were just chosen hold."""
    st.session_state[PLAYS] = True


def seeds_of(setup: Setup, bench: Compare) -> range:
    return range(setup.seed, setup.seed + bench.seeds)


def _arms(found: list[Contender], setup: Setup, bench: Compare) -> dict[str, Arm]:
    return bands.seeded({one.label: one.arm for one in found}, setup.seed, bench.seeds)


@polled(POLL_SECONDS)
def show() -> None:
    session.settle()
    bench, setup = session.bench(Compare), session.setup()
    found = contenders(setup, bench)
    if len(found) < 2:
        st.info("Choose at least two flows to compare.")
        return
    if st.session_state.pop(PLAYS, False):
        begin(setup, bench)
        session.play_or_pause(NAME, bench.steps)
    firsts = range(0, len(found) * bench.seeds, bench.seeds)
    report, frames = side_by_side.trained(
        NAME,
        _arms(found, setup, bench),
        pictured=firsts,
        steps=bench.steps,
        lasting=("log_det",),
        samples=session.view(Compare) == "samples",
        measured={"masses": True, "derivatives": True},
    )
    if not frames:
        return
    preset = chosen(setup, bench)
    if preset and opening.is_due() and not any(arm.step for arm in report.arms):
        stored.show(stored.name(preset), key=f"{NAME}.stored")
        return
    groups = bands.grouped([one.label for one in found], report.arms, bench.seeds)
    dataset = setup.dataset
    results = session.note(compared(dataset, found, groups))
    st.markdown("\n".join(f"- {sentence}" for sentence in words.sentences(results)))
    first, *others = _charts(dataset, found, groups)
    files = takeaway.comparison(NAME, "compare", _arms(found, setup, bench), table.saved(found, groups, setup.seed))
    files += takeaway.behind_arms("compare", {one.label: one.arm for one in found}, seeds_of(setup, bench), report)
    planes([replace(first, height=opening.HEIGHT)], key=f"{NAME}.answer", columns=1, files=files)
    view = controls.view(Compare, PICTURES, COMPARE)
    session.apply_bench(replace(bench, view=view))
    shown = panes(view, dataset, found, [report.arms[k] for k in firsts], frames)
    discs = sum(one.budget is not None for one in found)
    if view == "spectra" and not discs:
        st.info("Only residual flows have a series and eigenvalues to draw. Choose a residual flow for A, B, C or D.")
    about = side_by_side.of_flows(NAME, report)
    planes(shown, key=f"{NAME}.planes", columns=max(LEAST_IN_A_ROW, len(shown)), **about)
    if view == "layers":
        _layers(found, [report.arms[k] for k in firsts])
    planes(others, key=f"{NAME}.charts", columns=2)
    with st.expander("All numbers: a row for each flow, and as files", key=f"{NAME}.numbers"):
        st.markdown(table.table(dataset, results.scores))
        takeaway.menu(files, key=f"{NAME}.files")
    side_by_side.offer(
        NAME,
        {one.label: k for k, one in zip(firsts, found, strict=True) if one.budget is not None},
        "Use the first seed of one of these flows on all screens:",
    )


def panes(
    shown: str, dataset: Dataset, found: list[Contender], firsts: list[ArmReport], frames: Sequence[Picture]
) -> list[Pane]:
    """The chosen pictures of the first seed of each arm."""
    labels = [one.label for one in found]
    if shown == "samples":
        return pictures.samples(dataset, labels, firsts, frames)
    if shown == "spectra":
        terms, budgets = ({one.label: getattr(one, name) for one in found} for name in ("terms", "budget"))
        return pictures.spectra(labels, firsts, terms, budgets)
    return side_by_side.densities(dataset, labels, firsts, frames)


def _layers(found: list[Contender], firsts: list[ArmReport]) -> None:
    st.markdown(
        r"Mean $\left|\partial\,\mathrm{out}_i / \partial\,\mathrm{in}_j\right|$ of one layer over held-out points: "
        "entries that its structure fixes at 0 or 1 make its determinant cheap (figure 1 of the paper, in 2-D)."
    )
    for one, arm, column in zip(found, firsts, st.columns(len(found)), strict=True):
        if derivatives := arm.found(Derivatives):
            with column:
                st.markdown(f"**{one.label}**")
                st.latex(pictures.matrix(derivatives.structure))
                st.caption(words.STRUCTURES[pictures.structure_of(derivatives.structure)])


def _charts(dataset: Dataset, found: list[Contender], groups: Groups) -> list:
    terms = {one.label: one.terms for one in found}
    drawn = [bands.curves(dataset, groups, by_time=by_time) for by_time in (False, True)]
    if not any(terms.values()):
        return drawn
    firsts = [arms[0] for arms in groups.values()]
    return [charts.belief(dataset, groups, terms), charts.bias_by_terms(list(groups), firsts, terms), *drawn]
