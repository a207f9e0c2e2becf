"""What a verdict is: how far a claim shows here, with its numbers and a picture of the seeds. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How far a claim shows. The value stands before the numbers, and the sign beside it."""

    SHOWS = "Shows here"
    IN_PART = "Shows in part"
    NOT_HERE = "Does not show here"
    EQUAL = "Equal within 25 %"
    NOT_DECIDED = "Not decided"

    @property
    def sign(self) -> str:
        return {"SHOWS": "●", "IN_PART": "◐", "NOT_HERE": "○", "EQUAL": "=", "NOT_DECIDED": "?"}[self.name]

    @property
    def joint(self) -> str:
        """What stands between it and the sentence that says why."""
        return ", because " if self is Kind.NOT_HERE else ": "


@dataclass(frozen=True)
class Picture:
    """Rows of dots on one axis: a row for each flow, a dot for each seed. `axis` names what is measured, and `unit` in
    what. `mark` is a value with a name, drawn as a line through all rows."""

    rows: Mapping[str, Sequence[float]]
    axis: str
    unit: str
    log: bool = False
    mark: tuple[str, float] | None = None
    dot: str = "one seed"

    @property
    def values(self) -> list[float]:
        """Of all rows."""
        return [value for row in self.rows.values() for value in row]

    @property
    def is_log(self) -> bool:
        """Whether its axis is logarithmic: not if a value or the mark is no positive number."""
        return self.log and min([*self.values, *([self.mark[1]] if self.mark else [])]) > 0


@dataclass(frozen=True)
class Found:
    """`says` is a sentence with a place in braces for each of `numbers`; it holds no digit of its own, so whatever
    number a reader sees was read from what is stored. So are the `rule`, which says what would have to be different for
    another verdict, and what `chance` alone would say."""

    kind: Kind
    says: str
    numbers: Mapping[str, str]
    picture: Picture
    rule: str
    chance: str

    @property
    def sentence(self) -> str:
        return f"**{self.kind.value}**{self.kind.joint}{self.says.format(**self.numbers)}"

    @property
    def ruled(self) -> str:
        """The rule, and chance."""
        return f"*Rule:* {self.rule.format(**self.numbers)} *Chance:* {self.chance.format(**self.numbers)}"
