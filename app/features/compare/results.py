"""The arms while they train: pictures, fits as bands, belief beside truth, and the numbers."""

import streamlit as st

from app import session
from app.components.planes import Pane, planes
from app.engine.measurements.derivatives import Derivatives
from app.engine.reports import ArmReport, Frame
from app.features.compare import charts, pictures, table, words
from app.features.compare.arms import Contender, contenders
from app.features.compare.numbers import compared
from app.features.compare.settings import Compare
from app.ui import bands, side_by_side
from app.ui.bands import Groups
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS
from resflow_core.data import Dataset

NAME = "compare"
LEAST_IN_A_ROW = 3


@polled(POLL_SECONDS)
def show() -> None:
    session.settle()
    bench, setup = session.bench(Compare), session.setup()
    found = contenders(setup, bench)
    if len(found) < 2:
        st.info("Choose a flow for two arms at least.")
        return
    firsts = range(0, len(found) * bench.seeds, bench.seeds)
    report, frames = side_by_side.trained(
        NAME,
        bands.seeded({one.label: one.arm for one in found}, setup.seed, bench.seeds),
        pictured=firsts,
        steps=bench.steps,
        # Another estimator from the middle on would be another question.
        lasting=("log_det",),
        frame_seconds=2.0,
        samples=bench.view == "samples",
        measured={"masses": True, "derivatives": True},
    )
    if not frames:
        return
    groups = bands.grouped([one.label for one in found], report.arms, bench.seeds)
    dataset = setup.dataset
    results = session.note(compared(dataset, found, groups))
    st.markdown("\n".join(f"- {sentence}" for sentence in words.sentences(results)))
    shown = panes(bench.view, dataset, found, [report.arms[k] for k in firsts], frames)
    drawn = _charts(dataset, found, groups)
    discs = sum(one.budget is not None for one in found)
    if bench.view == "spectra" and not discs:
        st.info("Only residual flows have a series, and eigenvalues to draw: choose one for an arm.")
    # A few discs leave room for charts in their row, whether they are measured yet or not.
    beside = drawn if bench.view == "spectra" and discs < LEAST_IN_A_ROW else []
    planes([*shown, *beside], key=f"{NAME}.planes", columns=max(LEAST_IN_A_ROW, len(shown)))
    if bench.view == "layers":
        _layers(found, [report.arms[k] for k in firsts])
    if not beside:
        planes(drawn, key=f"{NAME}.charts", columns=2)
    st.markdown(table.table(dataset, results.scores))
    side_by_side.downloads(NAME, "compare", table.saved(found, groups, setup.seed))
    side_by_side.offer(
        NAME,
        {one.label: k for k, one in zip(firsts, found, strict=True) if one.budget is not None},
        "Go on with the first seed of one of them, on all screens:",
    )


def panes(
    shown: str, dataset: Dataset, found: list[Contender], firsts: list[ArmReport], frames: list[Frame]
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
        "what its structure forces to be 0 or 1 makes its determinant cheap (figure 1 of the paper, in 2-D)."
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
