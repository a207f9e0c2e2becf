"""What trained flows say about when a block can be undone: numbers, a sentence, and what it rests on. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.quantise import Window


@dataclass(frozen=True)
class Folds:
    """Of one trained flow. Blocks count from 0."""

    guaranteed: float  # 1/L, up to which every block is
    folds_at: tuple[float, ...]  # s* of each block
    block: int  # the one in the middle of them
    window: Window  # around the data that come to it
    preimages: int  # of one z, if this block is scaled to twice its s*,
    mass: float  # and the mass then,
    error: float  # with its quadrature error

    @property
    def first(self) -> float:
        """The smallest s* of all blocks."""
        return min(self.folds_at)

    @property
    def middle(self) -> float:
        """s* of `block`."""
        return self.folds_at[self.block]

    @property
    def twice(self) -> float:
        return stops(self.guaranteed, self.middle)[-1]


@dataclass(frozen=True)
class MassByScale:
    """The mass of the first flow with its `block` scaled."""

    scales: tuple[float, ...]
    mass: tuple[float, ...]
    error: tuple[float, ...]

    def at(self, scale: float) -> float:
        return self.mass[self.scales.index(scale)]


@dataclass(frozen=True)
class Answer:
    """The flows differ in their seed alone; the page shows the first."""

    flows: tuple[Folds, ...]
    walk: MassByScale


def stops(guaranteed: float, folds_at: float) -> tuple[float, float, float, float]:
    """The scales that the page has buttons for: as trained, just beyond the guarantee, just folded, twice the fold."""
    return 1.0, round(1.01 * guaranteed, 3), round(1.03 * folds_at, 3), round(2 * folds_at, 3)


def read(found: Mapping[str, Any]) -> Answer:
    """What was stored, or has just been made."""
    return Answer(
        tuple(_folds(one) for one in found["flows"]),
        MassByScale(**{name: tuple(map(float, values)) for name, values in found["walk"].items()}),
    )


def _folds(found: Mapping[str, Any]) -> Folds:
    (x0, x1), (y0, y1) = np.asarray(found["window"]).tolist()
    return Folds(
        found["guaranteed"],
        tuple(map(float, found["folds_at"])),
        found["block"],
        ((x0, x1), (y0, y1)),
        found["preimages"],
        *found["mass"],
    )


def claims(found: Answer) -> dict[str, bool]:
    return {
        "the block in the middle folds later than guaranteed, in every flow": _is_later(found),
        "at twice its s*, one z has several x, in every flow": _is_several(found),
        "the mass is then above 1 by more than its error, in every flow": _is_heavier(found),
    }


def _is_later(found: Answer) -> bool:
    return all(flow.middle > 1.01 * flow.guaranteed for flow in found.flows)


def _is_several(found: Answer) -> bool:
    return all(flow.preimages > 1 for flow in found.flows)


def _is_heavier(found: Answer) -> bool:
    return all(flow.mass - flow.error > 1 for flow in found.flows)


def sentence(found: Answer) -> str:
    """The answer, about the first flow."""
    flow = found.flows[0]
    ends = (
        f"Let a block of a trained flow bend the plane s times as strongly. Up to **s = {flow.guaranteed:.2f}** it is "
        "**guaranteed** that the block can be undone. "
    )
    if _is_later(found):
        ends += f"This block folds only at **s = {flow.middle:.2f}**."
    else:
        ends += f"This block folds right there, at **s = {flow.middle:.2f}**."
    many = f"At s = {flow.twice:.2f}, **{flow.preimages} points** are mapped to the z in the ring"
    if not _is_several(found):
        many = f"At s = {flow.twice:.2f} only one x was found for this z"
    weighs = f"the probabilities add up to **{flow.mass:.2f}**, not 1"
    if not _is_heavier(found):
        weighs = "the probabilities still add up to 1, within the error of the measurement"
    return f"{ends} {many}, and {weighs}."


def across(found: Answer) -> str:
    """How all blocks and all flows compare with it."""
    firsts, middles = ([getattr(flow, name) for flow in found.flows] for name in ("first", "middle"))
    said = f"Of {len(found.flows[0].folds_at)} blocks, the median one folds at s\\* = {np.mean(middles):.2f} "
    said += f"({min(middles):.2f} to {max(middles):.2f} over {len(found.flows)} seeds)"
    limit = np.mean([flow.guaranteed for flow in found.flows])
    tight = max(firsts) <= 1.1 * limit
    about = "training uses nearly the whole budget L" if tight else "training leaves room"
    return f"{said}, and the first one at {np.mean(firsts):.3f} ({min(firsts):.3f} to {max(firsts):.3f}): {about}."


def here(found: Answer, scale: float, preimages: int) -> str:
    """What holds at this s, for the first flow."""
    flow, mass = found.flows[0], found.walk.at(scale)
    total = f"total probability {mass:.2f}"
    if scale <= flow.guaranteed:
        return f"**s = {scale:g}: guaranteed.** Every z comes from exactly one x; {total}."
    if scale <= flow.middle:
        return f"**s = {scale:g}: not guaranteed, but no fold is seen.** {total[0].upper()}{total[1:]}."
    return f"**s = {scale:g}: folded.** {preimages} points are mapped to the z in the ring; {total}."
