"""One throw of the roulette, and the series itself, term by term, exactly where the numbers are fractions."""

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction

import numpy as np
import torch

from app.numbers import fraction
from app.text import RAISED, markdown_table, signed
from resflow_core.estimators.moments import truncation_bound
from resflow_core.roulette import Law

# A fraction longer than this is no help on paper.
MOST_CHARACTERS = 16
LOWERED = {raised: digit for digit, raised in RAISED.items()}


@dataclass(frozen=True)
class Term:
    """The term k of the series. Biases in nats."""

    k: int
    a_k: Fraction
    trace: Fraction  # tr A^k
    total: Fraction  # of the terms up to k
    bias: float  # of the series truncated to k terms
    bound: float  # which |bias| cannot exceed, by ||A||_2


@dataclass(frozen=True)
class Row:
    """Of the term k of one throw: numbers in the order in which they are computed. Biases in nats."""

    k: int
    a_k: Fraction
    trace: Fraction  # tr A^k
    form: Fraction  # v'A^k v
    survival: Fraction  # P(N >= k)
    term: Fraction  # a_k / P(N >= k) v'A^k v
    total: Fraction  # of the terms up to k: the estimate for N = k
    bias: float  # of the series truncated to k terms
    bound: float  # which |bias| cannot exceed, by ||A||_2


HEADINGS = {
    "k": "$k$",
    "a_k": "$a_k$",
    "trace": r"$\operatorname{tr} A^k$",
    "form": r"$v^\top A^k v$",
    "survival": r"$P(N \ge k)$",
    "term": "weighted term",
    "total": "sum so far",
    "bias": "bias if cut",
    "bound": "its bound",
}
OF_CUT = ("bias", "bound")
"""The columns about the series that is cut."""
OF_DRAW = {"total": "this draw's sum", "bias": "bias of the cut series"}
"""In the table of a draw: beside its sum, the bias is still that of the exact series."""


def headings(kind: type[Row] | type[Term], without: Collection[str] = ()) -> list[str]:
    """Of its columns, in Markdown."""
    said = HEADINGS | OF_DRAW if kind is Row else HEADINGS
    return [said[name] for name in _names(kind, without)]


def rows(matrix: np.ndarray, law: Law, v: np.ndarray, biases: Sequence[float], exact_traces: int = 0) -> list[Row]:
    """The terms k = 1, 2, ..., one for each of `biases`, of the probe v, (d,). An exact term has the trace in the place
    of its form, and the weight 1."""
    v = [fraction(x) for x in v.tolist()]
    survival = law.survival(torch.arange(len(biases) + 1)).tolist()
    size, total, found = norm(matrix), Fraction(0), []
    for bias, (k, a_k, power) in zip(biases, _powers(matrix), strict=False):
        form = sum(x * sum(entry * y for entry, y in zip(row, v, strict=True)) for x, row in zip(v, power, strict=True))
        reached = fraction(survival[k])
        if k <= exact_traces:
            form, reached = _trace(power), Fraction(1)
        term = a_k * form / reached
        total += term
        bound = truncation_bound(size, k, len(v))
        found.append(Row(k, a_k, _trace(power), form, reached, term, total, bias, bound))
    return found


def terms(matrix: np.ndarray, biases: Sequence[float]) -> list[Term]:
    """The terms k = 1, 2, ... of the series, one for each of `biases`."""
    size, total, found = norm(matrix), Fraction(0), []
    for bias, (k, a_k, power) in zip(biases, _powers(matrix), strict=False):
        trace = _trace(power)
        total += a_k * trace
        found.append(Term(k, a_k, trace, total, bias, truncation_bound(size, k, len(matrix))))
    return found


def norm(matrix: np.ndarray) -> float:
    """||A||_2, by which the bound is computed."""
    return float(np.linalg.norm(matrix, 2))


def _powers(matrix: np.ndarray) -> Iterator[tuple[int, Fraction, list[list[Fraction]]]]:
    """(k, a_k, A^k) for k = 1, 2, ..."""
    a = [[fraction(entry) for entry in row] for row in matrix.tolist()]
    power = a
    for k in itertools.count(1):
        yield k, Fraction((-1) ** (k + 1), k), power
        power = [[sum(x * a[m][j] for m, x in enumerate(row)) for j in range(len(a))] for row in power]


def _trace(power: list[list[Fraction]]) -> Fraction:
    return sum((power[i][i] for i in range(len(power))), Fraction(0))


def exact(number: float | Fraction) -> str:
    """As a fraction, where that is short."""
    if not isinstance(number, Fraction):
        return decimal(number)
    # Python refuses to write numbers out that are very long.
    longest = max(number.numerator.bit_length(), number.denominator.bit_length())
    if longest > 4 * MOST_CHARACTERS or len(text := str(number)) > MOST_CHARACTERS:
        return decimal(number)
    return signed(text)


def decimal(number: float | Fraction) -> str:
    return signed(f"{float(number) + 0.0:.5g}")


def markdown(
    table: Sequence[Row] | Sequence[Term], n: int, shown: Callable[[Fraction], str], without: Collection[str] = ()
) -> str:
    """The table for readers, without these columns. The sum of `n` terms is bold; beyond the N that was drawn a throw's
    rows are grey."""
    kind = type(table[0])
    names = _names(kind, without)
    lines = [headings(kind, without), ["--:"] * len(names)]
    for row in table:
        cells = [_cell(name, getattr(row, name), shown) for name in names]
        if row.k > n and isinstance(row, Row):
            cells = [f":gray[{cell}]" for cell in cells]
        elif row.k == n:
            cells[names.index("total")] = f"**{cells[names.index('total')]}**"
        lines.append(cells)
    return markdown_table(lines)


def csv(table: Sequence[Row] | Sequence[Term], without: Collection[str] = ()) -> str:
    names = _names(type(table[0]), without)
    return "\n".join([",".join(names), *(",".join(repr(float(getattr(row, n))) for n in names) for row in table)])


def latex(
    table: Sequence[Row] | Sequence[Term], shown: Callable[[Fraction], str], without: Collection[str] = ()
) -> str:
    kind = type(table[0])
    names = _names(kind, without)
    lines = [" & ".join(headings(kind, without))]
    lines += [" & ".join(_in_latex(_cell(n, getattr(row, n), shown)) for n in names) for row in table]
    body = " \\\\\n".join(lines)
    return f"\\begin{{tabular}}{{{'r' * len(names)}}}\n{body} \\\\\n\\end{{tabular}}"


def _names(kind: type[Row] | type[Term], without: Collection[str]) -> list[str]:
    return [field.name for field in fields(kind) if field.name not in without]


def _in_latex(cell: str) -> str:
    """A cell in TeX's own characters."""
    if cell == "none":
        return cell
    digits, _, power = cell.replace("\N{MINUS SIGN}", "-").partition("·10")
    return f"${digits} \\cdot 10^{{{power.translate(LOWERED)}}}$" if power else f"${digits}$"


def _cell(name: str, value: float | Fraction, shown: Callable[[Fraction], str]) -> str:
    if isinstance(value, Fraction):
        return shown(value)
    if value == np.inf:
        return "none"
    return str(value) if name == "k" else signed(f"{value + 0.0:.2g}")
