"""What a class is asked, and what counts as an answer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LARGEST = 1e300


@dataclass(frozen=True)
class Question:
    """A choice among `options` (key -> text), or a number from `low` to `high` in `unit`."""

    id: str
    text: str
    options: Mapping[str, str] = field(default_factory=dict)
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""

    def check(self, answer: Any) -> None:
        """Raises ValueError for what is no answer."""
        if self.options:
            if not isinstance(answer, str) or answer not in self.options:
                raise ValueError(f"{str(answer)[:20]!r} is none of the answers: choose one of those shown.")
            return
        number = isinstance(answer, int | float) and not isinstance(answer, bool)
        if not number or not max(self.low, -LARGEST) <= answer <= min(self.high, LARGEST):
            raise ValueError(f"{str(answer)[:20]} is no answer: use a number {self._range()}.")

    def _range(self) -> str:
        if math.isinf(self.low) and math.isinf(self.high):
            return "that is finite"
        if math.isinf(self.high):
            return f"of at least {self.low:g}"
        if math.isinf(self.low):
            return f"of at most {self.high:g}"
        return f"from {self.low:g} to {self.high:g}"
