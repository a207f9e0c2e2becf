"""Matrices worth a look, and the fields in which one's own is typed."""

from dataclasses import dataclass, replace
from math import isqrt

import numpy as np
import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator

from app import session
from app.estimates.settings import BENCH, LARGEST_RADIUS, Bench
from app.numbers import number_text, parsed_number
from app.text import plain, unbroken
from resflow_core.estimators.moments import spectral_radius
from resflow_core.settings import Setting, refusal, settings_of


@dataclass(frozen=True)
class Example:
    title: str
    why: str
    entries: tuple[float, ...]


EXAMPLES: dict[str, Example] = {
    "sheet": Example("A turn and a stretch", "Complex eigenvalues, far below 1 in size.", (0.45, 0.3, -0.25, 0.2)),
    "nilpotent": Example(
        "Nilpotent", "A² = 0: the series ends after one term, and only the probe makes noise.", (0.4, -0.4, 0.4, -0.4)
    ),
    "symmetric": Example("Symmetric", "Real eigenvalues of both signs.", (0.3, 0.2, 0.2, -0.4)),
    "rotation": Example(
        "A turn", "With random signs or directions on a circle, its trace has no noise.", (0.3, -0.5, 0.5, 0.3)
    ),
    "thirds": Example(
        "Thirds", "Check it on paper: every entry and every trace is a fraction.", (1 / 3, 1 / 6, -1 / 6, 1 / 3)
    ),
    "steep": Example("Near 1", f"At {unbroken('p = 0.5')} the variance is infinite.", (0.9, 0.3, 0.1, -0.2)),
    "chain": Example(
        "A chain of five",
        "Each of five numbers moves its neighbours. The trace is 0, but the log det is not.",
        tuple(0.4 if abs(i - j) == 1 else 0.0 for i in range(5) for j in range(5)),
    ),
}


AWAITED = "example.flow.awaited"
"""Of the session: whether A is taken as soon as the flow is measured."""


def offered() -> bool:
    """Whether the matrix can be set."""
    return session.offered(f"{BENCH}matrix")


def fields(bench: Bench) -> Bench:
    """A field for each entry, and the bench with what they hold; with what it had where that cannot be used. A matrix
    that is not offered is only shown."""
    if not offered():
        st.markdown(formula(bench.matrix, settings_of(Bench)["matrix"][1]))
        return bench
    return replace(bench, matrix=typed_matrix(bench.matrix, settings_of(Bench)["matrix"][1], f"{BENCH}matrix"))


def formula(entries: tuple[float, ...], limits: Setting) -> str:
    """A square matrix, by its letter, in Markdown."""
    texts, side = [number_text(entry) for entry in entries], isqrt(len(entries))
    rows = " \\\\ ".join(" & ".join(texts[i : i + side]) for i in range(0, len(texts), side))
    return f"${limits.label} = \\begin{{pmatrix}} {rows} \\end{{pmatrix}}$"


def typed_matrix(
    entries: tuple[float, ...], limits: Setting, key: str, told: DeltaGenerator | None = None
) -> tuple[float, ...]:
    """A field for each entry, and what they hold; `entries` where that cannot be used, as is said in the place `told`
    (`st.empty`), or below them."""
    typed, problems, letter, side = list(entries), [], limits.label, isqrt(len(entries))
    with st.container(key="matrix" if side == 2 else "matrix_large"):
        columns = [column for _ in range(side) for column in st.columns(side, gap="small" if side == 2 else "xxsmall")]
    for index, column in enumerate(columns):
        name = f"row {index // side + 1}, column {index % side + 1}"
        text = column.text_input(
            f"{letter}, {name}", number_text(entries[index]), key=f"{key}.{index}", label_visibility="collapsed"
        )
        try:
            typed[index] = parsed_number(text)
        except ValueError as error:
            problems.append(f"{letter}, {name}: `{plain(text or 'nothing', 20)}`: {error}")
            continue
        if not limits.low <= typed[index] <= limits.high:
            least, most = number_text(limits.low), number_text(limits.high)
            problems.append(f"{letter}, {name}: {text.strip()}: use a number from {least} to {most}.")
    told = told or st.empty()  # it empties what was said; an error that is only left out may stay in the browser
    problem = "" if problems else refusal(tuple(typed), tuple, limits)
    if problems or problem:
        rows = [", ".join(map(number_text, entries[i : i + side])) for i in range(0, len(entries), side)]
        kept = ", ".join(f"({row})" for row in rows)
        told.error(
            f"{' '.join(problems) or f'{letter}, as a whole: {problem}'} Until then nothing "
            f"changes: pictures, numbers and checks still use {letter} with the rows {kept}."
        )
        return entries
    return tuple(typed)


def examples(bench: Bench) -> None:
    """A button each; the one that is shown is marked."""
    for name, example in EXAMPLES.items():
        chosen = example.entries == bench.matrix
        st.button(
            example.title,
            on_click=session.show_bench,
            args=(replace(bench, matrix=example.entries),),
            key=f"example.{name}",
            icon=":material/check:" if chosen else None,
            disabled=chosen,
            width="stretch",
        )
        st.caption(example.why)


def from_flow(bench: Bench) -> None:
    """A button that takes the A of the page's flow where its spectral radius is largest."""
    if awaited := st.session_state.get(AWAITED):
        _take_steepest(bench)
    st.button(
        "A from the flow",
        on_click=_take_or_await,
        args=(bench,),
        key="example.flow",
        icon=":material/hourglass:" if awaited else ":material/colorize:",
        type="tertiary",
        disabled=session.jacobians() is None,
        help="The Jacobian of a block of your flow, at the point where ρ is largest over all blocks and all points of "
        "the map. Where no flow is trained, it is that of the flow that was trained before. Under *On the plane* you "
        "can choose the point.",
    )


def _take_or_await(bench: Bench) -> None:
    """Of a flow that was just lent, once it is measured."""
    if session.lend_example():
        st.session_state[AWAITED] = True
    else:
        _take_steepest(bench)


def _take_steepest(bench: Bench) -> None:
    if (found := session.jacobians()) is None:
        return
    st.session_state.pop(AWAITED, None)
    radius = spectral_radius(torch.as_tensor(found.grid).double())
    usable = radius.where(radius < LARGEST_RADIUS - 1e-3, 0.0)  # also once its entries are rounded
    block, node = np.unravel_index(int(usable.argmax()), radius.shape)
    entries = found.grid[block, node].flatten()
    session.show_bench(replace(bench, matrix=tuple(round(float(a), 4) for a in entries), fractions=False))
    session.settle()
