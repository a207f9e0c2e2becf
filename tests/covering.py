"""Covering designs: few rows in which any two levels of two factors meet, in place of the full product.

Most bugs need one setting, or two together. A product of n factors with m levels each has m^n rows; a covering design
has little more than m^2.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations, product
from typing import Any

TRIES = 30
"""Random rows with a missing pair, of which the one that covers most is taken."""

Pair = tuple[str, int, str, int]
"""A factor, the number of its level, another factor, and the number of that one's level."""


def covering(
    levels: Mapping[str, Sequence[Any]], factors_of: Callable[[dict[str, Any]], Iterable[str]] | None = None
) -> list[dict[str, Any]]:
    """Rows {factor: level} in which any two levels of two factors are together once at least; always the same rows.

    Some factors may have no meaning beside certain levels: `factors_of(row)` says which ones count in a row. Two levels
    that cannot be together in any row are left out.
    """
    draws = random.Random(0)

    def row() -> dict[str, int]:
        return {name: draws.randrange(len(known)) for name, known in levels.items()}

    def named(one: dict[str, int]) -> dict[str, Any]:
        return {name: levels[name][k] for name, k in one.items()}

    def pairs(one: dict[str, int]) -> set[Pair]:
        counted = [name for name in one if name in set(factors_of(named(one)))] if factors_of else one
        return {(a, one[a], b, one[b]) for a, b in combinations(counted, 2)}

    left = {
        (a, x, b, y) for a, b in combinations(levels, 2) for x, y in product(*(range(len(levels[c])) for c in (a, b)))
    }
    rows = []
    while left:
        wanted = a, x, b, y = min(left)
        tries = [one for _ in range(TRIES) if wanted in pairs(one := row() | {a: x, b: y})]
        best = max(tries, key=lambda one: len(left & pairs(one)), default=None)
        left -= pairs(best) if best else {wanted}
        rows += [named(best)] if best else []
    return rows


def in_turn(rows: Sequence[dict[str, Any]], **levels: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows with more factors, of which each row has one level: they take turns. Where a factor has more levels than
    there are rows, the rows come again, so that each level has its turn.

    For what acts alone: a name in a registry, each of whose entries is tested for itself elsewhere.
    """
    count = max(len(rows), *map(len, levels.values()))
    return [rows[k % len(rows)] | {name: known[k % len(known)] for name, known in levels.items()} for k in range(count)]


@contextmanager
def told(case: Any) -> Iterator[None]:
    """What fails within names the case of a loop."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"In the case {case}")
        raise
