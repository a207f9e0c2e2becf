"""What a class is asked, and what counts as an answer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.classroom.refusal import Refusal

LARGEST = 1e300


@dataclass(frozen=True)
class Question:
    """A choice among `options` (key -> text), or a number from `low` to `high` in `unit`. `again` is the id of an
    earlier question that it asks once more, and `told_with` that of the one which asks this once more."""

    id: str
    text: str
    options: Mapping[str, str] = field(default_factory=dict)
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    again: str = ""
    told_with: str = ""

    def check(self, answer: Any) -> None:
        """Raises ValueError for what is no answer."""
        if self.options:
            if not isinstance(answer, str) or answer not in self.options:
                raise Refusal("option", given=str(answer)[:20])
            return
        number = isinstance(answer, int | float) and not isinstance(answer, bool)
        if not number or not max(self.low, -LARGEST) <= answer <= min(self.high, LARGEST):
            raise Refusal(**self._range(), given=str(answer)[:20])

    def _range(self) -> dict[str, Any]:
        """Which numbers are taken: the key of the sentence that says so, and its values."""
        if math.isinf(self.low) and math.isinf(self.high):
            return {"key": "not_finite"}
        if math.isinf(self.high):
            return {"key": "below", "low": self.low}
        if math.isinf(self.low):
            return {"key": "above", "high": self.high}
        return {"key": "outside", "low": self.low, "high": self.high}
