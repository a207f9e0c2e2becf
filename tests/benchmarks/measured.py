"""A benchmark that measured nothing fails, so that no table is made of nothing."""

import math
from collections.abc import Iterable, Mapping


def measured(rows: Iterable[Mapping[str, float | None]], what: str) -> None:
    """Raises SystemExit, with a message, where `what` has no rows, and where a number in one is missing, 0 or not
    finite.

    Each row maps names to numbers which are neither if anything was measured: steps, seconds, counts, divergences.
    """
    rows = list(rows)
    if not rows:
        raise SystemExit(f"{what}: nothing was measured, there is not one result.")
    for place, row in enumerate(rows, 1):
        if not row:
            raise SystemExit(f"{what}: nothing was measured in result {place} of {len(rows)}, it has no numbers.")
        for name, value in row.items():
            if value is None or not math.isfinite(value) or value == 0:
                raise SystemExit(
                    f"{what}: nothing was measured. {name} = {value} in result {place} of {len(rows)}; "
                    "a finite number other than 0 was expected."
                )
