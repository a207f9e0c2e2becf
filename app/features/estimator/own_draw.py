"""One draw whose N and probe somebody chooses."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from app.estimates.settings import Bench
from app.features.estimator import table, words
from app.numbers import parsed_number
from app.text import plain, signed, unbroken
from app.words import number
from resflow_core.estimators.draws import values

MOST_N = 30
FIRST_N, FIRST_V = 4, ("1", "-1", "1", "-1", "1")
LARGEST = 99.0
DECIMALS = 4


def show(bench: Bench, biases: Sequence[float], truth: float) -> None:
    """Fields for N and v, and what the estimate is then. `biases` of the terms up to `MOST_N`."""
    first, *others = st.columns(1 + len(bench.array), gap="small")
    n = int(first.number_input("N, the number of terms", 0, MOST_N, FIRST_N, key="own.n"))
    texts = [
        field.text_input(f"v, number {i}", text, max_chars=40, key=f"own.v.{i}")
        for i, (field, text) in enumerate(zip(others, FIRST_V, strict=False), 1)
    ]
    try:
        v = np.array([_coordinate(text) for text in texts])
    except ValueError as error:
        st.error(str(error))
        return
    (value,) = values(bench.array, bench.law, np.array([n]), v[None], bench.exact_traces)
    estimate = round(float(value), DECIMALS)
    truth = round(truth, DECIMALS)  # so that the difference is that of what is shown
    st.markdown(
        f"{unbroken(f'N = {n}')} and {unbroken(words.vector(v.tolist()))} give **{_nats(estimate)} "
        f"nats**. The truth is {_nats(truth)} nats, so this draw is off by {_nats(estimate - truth)}."
    )
    if n:
        with st.container(key="terms_own"):
            rows = table.rows(bench.array, bench.law, v, biases[:n], bench.exact_traces)
            st.markdown(table.markdown(rows, n, table.decimal))


def _coordinate(text: str) -> float:
    try:
        found = parsed_number(text)
    except ValueError as error:
        raise ValueError(f"v, `{plain(text or 'nothing', 20)}`: {error}") from None
    if abs(found) > LARGEST:
        raise ValueError(f"v, {number(found)}: use numbers between -{LARGEST:g} and {LARGEST:g}.")
    return found


def _nats(value: float) -> str:
    return signed(f"{value + 0.0:.{DECIMALS}f}")
