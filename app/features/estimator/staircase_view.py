"""The staircase of draws as its component takes it: numbers in words. Pure."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from app.estimates.settings import Bench
from app.features.estimator import table
from app.features.estimator.bars import binned
from app.features.estimator.numbers import Series
from app.features.estimator.staircase import Column, Draw, exact_columns
from app.text import signed
from app.words import number
from resflow_core.roulette import Geometric

BARS_FROM, BARS = 100, 30
"""Draws from which on they are counted in bars, and how many bars."""
MARGIN = 0.05


def encoded(
    bench: Bench,
    rows: Sequence[Draw],
    of: Sequence[Column],
    sums: np.ndarray,
    series: Series,
    deviation: float,
    *,
    weights: bool,
) -> Mapping[str, Any]:
    """`rows` are shown, with the columns `of` all draws so far, and `sums`, (n,), are their estimates, without the
    weights where these are off; none of ideal draws. `deviation` of one estimate."""
    shown = table.exact if bench.fractions else table.decimal
    is_ideal = rows[0].number is None
    low, high, bars = _axis(rows, sums, series, deviation, weights)
    own = [row.estimate if weights else row.unweighted for row in rows]
    mean = float(np.mean(sums if len(sums) else own))
    count = len(sums) or len(rows)
    return {
        "count": len(sums),
        "rows": [_row(row, bench, shown, series.truth) for row in rows],
        "columns": [_column(column, shown, is_ideal=is_ideal) for column in of],
        "weights": weights,
        "coin": _coin(bench),
        "truth": series.truth,
        "cut": {"n": series.n_terms, "value": series.truth + series.bias},
        "mean": None if is_ideal else mean,
        "meanSaid": f"mean of {count:,}: {_nats(mean)}",
        "axis": [low, high],
        "bars": bars,
        "title": "Sixteen ideal draws" if is_ideal else _title(len(rows), count),
        "why": why(bench, of, count, is_ideal=is_ideal, weights=weights),
        "words": _words(bench, count, is_ideal=is_ideal),
        "alt": (
            f"The sums of {len(rows)} draws as dots from {_nats(low)} to {_nats(high)} nats. The truth is "
            f"{_nats(series.truth)} (dashed), the series cut after {series.n_terms} terms is at "
            f"{_nats(series.truth + series.bias)} (dash-dotted)"
            + ("." if is_ideal else f", and the mean of {count:,} draws at {_nats(mean)} (diamond).")
        ),
    }


def _title(shown: int, count: int) -> str:
    return f"The newest {shown} of {count:,} draws" if count > shown else f"{count} draw{'s' * (count != 1)}"


def _coin(bench: Bench) -> Mapping[str, Any] | None:
    """Where tosses decide on N: how many terms are certain before them."""
    return {"certain": bench.law.n_exact} if isinstance(bench.law, Geometric) else None


def _words(bench: Bench, count: int, *, is_ideal: bool) -> Mapping[str, Any]:
    certain = bench.law.n_exact if isinstance(bench.law, Geometric) else 0
    p = bench.law.p if isinstance(bench.law, Geometric) else 0
    return {
        "certain": f"{certain} term{'s' * (certain != 1)} for certain, then",
        "rule": "H (heads): one more term. T (tails): stop." if p == 0.5 else "H: one more term. T: stop.",
        "key": "Dots: the sums of the rows. Dashed green: the truth. Dash-dotted orange: the cut series."
        + ("" if is_ideal else f" Diamond: the mean of all {count:,}.")
        + (f" Bars: how all {count:,} sums spread." if count >= BARS_FROM else ""),
        "unknown": f"tails, which stop, with probability {p:g}" if p else "not drawn yet",
        "heads": ["aₖ vᵀAᵏv", "/ P(N ≥ k)", "term"],
        "draw": "draw",
        "off": "off",
        "average": f"average of {'the 16' if is_ideal else f'all {count:,}'}",
        "term": "aₖ tr Aᵏ",
        "sums": ["sum of the row, nats", "sum, nats"],
    }


def _row(row: Draw, bench: Bench, shown: Callable[[Fraction | float], str], truth: float) -> Mapping[str, Any]:
    off = row.estimate - truth
    said = f"Sum: {_nats(row.estimate)} nats, {_nats(abs(off))} {'above' if off > 0 else 'below'} the truth."
    if row.goes_on:
        said = "It goes on: this is not yet its sum."
    return {
        "id": f"{row.number}" if row.number else "ideal",
        "label": f"{row.number:,}" if row.number else ("goes on" if row.goes_on else f"N = {row.n}"),
        "title": f"Draw {row.number:,}" if row.number else "The last ideal draw",
        "n": row.n,
        "goesOn": row.goes_on,
        "v": f"({', '.join(map(number, row.v))})",
        "arrow": list(row.v) if len(row.v) == 2 else None,
        "cells": [
            {
                "form": shown(term.a_k * term.form),
                "reached": shown(term.survival),
                "shown": shown(term.term),
                "plain": shown(term.a_k * term.form),
            }
            for term in row.terms
        ],
        "sum": row.estimate,
        "plainSum": row.unweighted,
        "shown": _nats(row.estimate),
        "said": said,
        "plainSaid": said if row.goes_on else f"Sum without the weights: {_nats(row.unweighted)} nats.",
    }


def _column(column: Column, shown: Callable[[Fraction | float], str], *, is_ideal: bool) -> Mapping[str, Any]:
    digits = shown if is_ideal else _decimals  # that one can compare
    return {
        "k": column.k,
        "pays": f"weight {shown(1 / column.survival)}",
        "term": digits(column.term),
        "average": digits(column.average),
        "plain": digits(column.unweighted),
        "isSame": is_ideal and column.average == column.term,
        "isSamePlain": is_ideal and column.unweighted == column.term,
    }


def _decimals(value: Fraction | float) -> str:
    return signed(f"{float(value):.4f}")


def why(bench: Bench, of: Sequence[Column], count: int, *, is_ideal: bool, weights: bool) -> str:
    """Why the columns average to the terms, or do not."""
    said: list[str] = []
    if not weights:
        said.append(
            "Without the weights column k keeps only the share P(N ≥ k) of its term, so the mean settles at the wrong "
            "place."
        )
    elif is_ideal:
        exact = min(exact_columns(bench), len(of))
        said.append(
            "Of these sixteen rows 8, 4 and 2 stop one after the other, and 2 go on; one half of each group has equal "
            f"signs. Fewer rows reach a column, and each counts for more. So in columns 1 to {exact} the average of "
            "all sixteen rows is the term, by counting. The two that go on have no sum yet."
        )
        if exact < len(of):
            said.append(
                f"Beyond that sixteen rows are too few: a single one would stop in column {exact + 1}, and it cannot "
                "have equal and different signs."
            )
    else:
        said.append(
            "A share P(N ≥ k) of all rows reaches column k, and each of them counts 1 / P(N ≥ k) times. And vvᵀ is I "
            "on average, so vᵀAᵏv is tr Aᵏ. So on average the column is the term, and the sum of a row is "
            f"log det(I + A). The averages of {count:,} draw{'s' * (count != 1)} still vary."
        )
    if bench.exact_traces:
        said.append("The first column is the trace itself, the same in every row.")
    return " ".join(said)


def _axis(
    rows: Sequence[Draw], sums: np.ndarray, series: Series, deviation: float, weights: bool
) -> tuple[float, float, Mapping[str, Any] | None]:
    """From where to where sums are shown in nats; and the bars of all draws, where there are many."""
    if len(sums) >= BARS_FROM:
        found = binned(sums, series.truth, deviation, BARS)
        low, high = float(found.edges[0]), float(found.edges[-1])
        return low, high, {"edges": found.edges.tolist(), "shares": found.shares.tolist()}
    own = [row.estimate if weights else row.unweighted for row in rows]
    seen = [*own, series.truth, series.truth + series.bias]
    low, high = min(seen), max(seen)
    room = MARGIN * (high - low) or 1e-9
    return low - room, high + room, None


def _nats(value: float) -> str:
    return signed(f"{value + 0.0:.4g}")
