"""A matrix of another size, one that is pasted, or one that comes as a CSV file."""

from dataclasses import replace

import numpy as np
import streamlit as st

from app import session
from app.csv_text import decoded
from app.estimates.pasted import MOST_CHARACTERS, matrix
from app.estimates.settings import SIDES, Bench, matrix_problem
from app.features.estimator.table import decimal
from app.ui import uploads

FIELD = "paste.matrix"


def show(bench: Bench) -> None:
    """Buttons for its size, a field, and a place for a file."""
    with st.container(horizontal=True, gap="small"):
        for side in SIDES.values():
            entries = resized(bench.array, side)
            st.button(
                f"{side} x {side}",
                on_click=session.show_bench,
                args=(replace(bench, matrix=bench.matrix if matrix_problem(entries) else entries),),
                key=f"paste.side.{side}",
                disabled=side == len(bench.array) or bool(matrix_problem(entries)),
            )
    text = st.text_area(
        "A square matrix",
        key=FIELD,
        height=90,
        max_chars=MOST_CHARACTERS,
        placeholder="[[0.45, 0.3], [-0.25, 0.2]]",
        help="Copy it from a spreadsheet, Python or MATLAB. Fractions such as -1/4 can be read too.",
    )
    entries, problem = _read(text)
    if problem:
        st.error(problem)
    st.button(
        "Use this matrix",
        on_click=session.show_bench,
        args=(replace(bench, matrix=entries) if entries else bench,),
        key="paste.use",
        disabled=not entries or entries == bench.matrix,
        icon=":material/check:" if entries == bench.matrix else None,
        width="stretch",
    )
    uploads.csv("Or a CSV file", "paste.csv", _take)


def resized(matrix: np.ndarray, side: int) -> tuple[float, ...]:
    """Its entries with rows and columns of zeros added, or with the last ones left out."""
    kept = min(side, len(matrix))
    return tuple(np.pad(matrix[:kept, :kept], (0, side - kept)).flatten().tolist())


def _read(text: str) -> tuple[tuple[float, ...], str]:
    """The entries that can be used, or why there are none; neither where nothing is typed."""
    if not text.strip():
        return (), ""
    try:
        return _usable(text), ""
    except ValueError as error:
        return (), str(error)


def _usable(text: str) -> tuple[float, ...]:
    """Raises ValueError where no bench can have this matrix."""
    entries = matrix(text)
    if too_large := [entry for entry in entries if abs(entry) > 99]:
        raise ValueError(f"{decimal(too_large[0])}: use entries between -99 and 99.")
    if problem := matrix_problem(entries):
        raise ValueError(f"This matrix cannot be used: {problem}")
    return entries


def _take(name: str, data: bytes) -> None:
    session.show_bench(replace(session.bench(), matrix=_usable(decoded(data))))
