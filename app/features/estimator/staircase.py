r"""Draws as rows and terms as columns: why the mean of the draws is the whole series. Pure.

The cell of draw i and term k is a_k v_i'A^k v_i / P(N >= k) if N_i >= k, and empty otherwise. A share P(N >= k) of the
rows reaches column k, and each of them counts 1 / P(N >= k) times. So the average of the column over *all* rows is
a_k v'A^k v on average, whose mean is the term a_k tr A^k. Without the weights the average is P(N >= k) times the term.

Sixteen ideal draws hold this exactly in their first columns: half of the rows that reach a term stop there, and half of
each group has the probe v = (1, 1), the other half v = (1, -1), so that the mean of vv' is I. The group that goes on is
two rows. One of them would have to stop next, and cannot have both signs: later columns are right on average alone.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch

from app.estimates.settings import Bench
from app.features.estimator import table
from resflow_core.estimators.draws import forms, traced, values
from resflow_core.estimators.faulty_estimators import FAULTY_ESTIMATORS, draw_estimates, unweighted_sums
from resflow_core.roulette import Geometric

COLUMNS, ROWS = 6, 16
BLOCK = 50_000
"""Draws that are added up at once, and kept."""
HALVINGS = 3
"""Columns beyond the exact terms in which sixteen draws can be ideal: of 16 rows 8, 4 and 2 go on."""


@dataclass(frozen=True)
class Draw:
    """A row. `number` counts from 1; None of an ideal draw. An ideal draw that `goes_on` has more terms than are
    shown."""

    number: int | None
    n: int
    v: tuple[float, ...]
    terms: tuple[table.Row, ...]  # the first of N, at most `COLUMNS`
    estimate: float  # in nats
    unweighted: float  # the same without the weights
    goes_on: bool = False


@dataclass(frozen=True)
class Column:
    """Of term k: its value a_k tr A^k in nats, and P(N >= k), the share of draws that compute it. `average` of the
    cells over all rows, also those that are not shown, with the weights and without; exact of ideal draws."""

    k: int
    term: Fraction
    survival: Fraction
    average: Fraction | float
    unweighted: Fraction | float


def drawn(bench: Bench, numbers: Sequence[int], n: np.ndarray, probe: np.ndarray) -> list[Draw]:
    """The draws with these numbers, from their N, (m,), and probes, (m, d)."""
    n = np.asarray(n)
    sound = values(bench.array, bench.law, n, probe, bench.exact_traces)
    sums = unweighted_sums(bench.array, bench.law, int(n.max(initial=0)), bench.exact_traces)
    plain = traced(bench.array, bench.exact_traces) + forms(sums, n, probe)
    return [
        Draw(number, int(m), tuple(v.tolist()), _terms(bench, int(m), v), float(estimate), float(other))
        for number, m, v, estimate, other in zip(numbers, n, probe, sound, plain, strict=True)
    ]


def ideal(bench: Bench) -> list[Draw] | None:
    """Sixteen draws in the very shares of the law, with balanced signs; None where sixteen cannot be so: they take a
    geometric law with p = 1/2, and random signs for a 2 x 2 matrix."""
    law = bench.law
    if not (isinstance(law, Geometric) and law.p == 0.5 and bench.probe == "rademacher" and len(bench.array) == 2):
        return None
    first = law.n_exact
    counts = {first: 8, first + 1: 4, first + 2: 2, first + HALVINGS: 2}
    rows: list[Draw] = []
    for n, count in counts.items():
        for k in range(count):
            v = np.array([1.0, 1.0 if k % 2 == 0 else -1.0])
            (one,) = drawn(bench, [0], np.array([n]), v[None])
            rows.append(Draw(None, n, one.v, one.terms, one.estimate, one.unweighted, n == first + HALVINGS))
    return rows


def exact_columns(bench: Bench) -> int:
    """How many columns of `ideal` average to their terms by counting."""
    return bench.law.n_exact + HALVINGS if isinstance(bench.law, Geometric) else 0


def columns_of(bench: Bench, rows: Sequence[Draw]) -> list[Column]:
    """The columns of these rows alone, exactly."""
    found: list[Column] = []
    for k, of in enumerate(_terms(bench, COLUMNS, np.ones(len(bench.array))), 1):
        cells = [row.terms[k - 1] for row in rows if len(row.terms) >= k]
        weighted = sum((cell.term for cell in cells), Fraction(0))
        plain = sum((cell.term * cell.survival for cell in cells), Fraction(0))
        if k <= bench.exact_traces:  # beside every draw, whatever its N
            weighted = plain = of.term * len(rows)
        found.append(Column(k, of.a_k * of.trace, of.survival, *(Fraction(x) / len(rows) for x in (weighted, plain))))
    return found


def columns(bench: Bench, n: int) -> list[Column]:
    """The columns of the first n draws."""
    blocks = list(_blocks(bench, n))
    weighted = np.sum([block.weighted for block in blocks], 0) / n
    plain = np.sum([block.plain for block in blocks], 0) / n
    terms = _terms(bench, COLUMNS, np.ones(len(bench.array)))
    return [
        Column(k, of.a_k * of.trace, of.survival, float(weighted[k - 1]), float(plain[k - 1]))
        for k, of in enumerate(terms, 1)
    ]


def unweighted(bench: Bench, n: int) -> np.ndarray:
    """The first n estimates without the weights, (n,), from the same N and v as those with them."""
    return np.concatenate([np.empty(0), *(block.estimates for block in _blocks(bench, n))])


@dataclass(frozen=True)
class Unweighted:
    """Where the mean of draws without the weights settles, in nats; `side` of the truth: 1 is above, 0 at it. Term
    `most` loses most: it keeps the share P(N >= k), and so much is `lost`."""

    mean: float
    side: int
    most: int
    lost: float


def without_weights(bench: Bench, truth: float) -> Unweighted:
    mean = FAULTY_ESTIMATORS["no_weights"].mean(bench.array, bench.law, bench.exact_traces)
    side = 0 if math.isclose(mean, truth, abs_tol=1e-9) else 1 if mean > truth else -1
    terms = _terms(bench, COLUMNS, np.ones(len(bench.array)))
    lost = [float(of.a_k * of.trace * (1 - of.survival)) for of in terms]
    most = int(np.abs(lost).argmax())
    return Unweighted(mean, side, most + 1, lost[most])


@dataclass(frozen=True, eq=False)
class _Block:
    """Draws in a row: the `estimates` without the weights, (n,), and the sums of each column, (COLUMNS,)."""

    estimates: np.ndarray
    weighted: np.ndarray
    plain: np.ndarray


def _blocks(bench: Bench, n: int) -> Iterator[_Block]:
    """The first n draws, of which no block is made twice but the last."""
    for start in range(0, n, BLOCK):
        yield _block(bench, start, min(BLOCK, n - start))


@lru_cache(maxsize=64)
def _block(bench: Bench, start: int, size: int) -> _Block:
    how = (bench.array, bench.law, bench.probe, size, bench.seed, start, bench.exact_traces)
    found = draw_estimates("no_weights", *how)
    terms, survival = [], bench.law.survival(torch.arange(1, COLUMNS + 1)).numpy().copy()
    survival[: bench.exact_traces] = 1
    power = np.eye(len(bench.array))
    for k in range(1, COLUMNS + 1):
        power = power @ bench.array
        form = ((found.probe @ power) * found.probe).sum(1) * (found.n >= k)
        of = np.trace(power) * size if k <= bench.exact_traces else form.sum()
        terms.append((-1) ** (k + 1) / k * of)
    plain = np.array(terms)
    return _Block(found.value, plain / survival, plain)


def _terms(bench: Bench, n: int, v: np.ndarray) -> tuple[table.Row, ...]:
    return tuple(table.rows(bench.array, bench.law, v, [0.0] * min(n, COLUMNS), bench.exact_traces))
