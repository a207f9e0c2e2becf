"""What is known of one block's inverse, in words. Pure."""

import math

from app.features.lipschitz.numbers import Inverted
from app.features.lipschitz.pictures import WALKS
from app.metrics import is_one, with_error
from app.text import markdown_table
from app.words import number
from resflow_core.measure import Mass
from resflow_core.measure.inversion import MOST_STEPS
from resflow_core.measure.invertibility import Regime


def answer(found: Inverted, mass: Mass | None) -> str:
    """Where a block of the page's flow stands, in a few words; `mass` is None before it is measured."""
    block, scale = f"Block {found.block + 1} at s = {found.scale:g}", number(found.folds_at)
    total = ""
    if mass:
        digits = 2 if is_one(mass) or abs(mass.value - 1) >= 0.01 else 4
        total = f" The total probability is **{mass.value:.{digits}f}**{'.' if is_one(mass) else ', not 1.'}"
    fold = f" The first fold appears at **s\\* = {scale}**." if found.fold_ahead else ""
    if found.regime is Regime.CERTIFIED:
        return (
            f"**{block}: guaranteed**, up to s = {found.guaranteed:.2f}. Every z comes from exactly one x.{fold}{total}"
        )
    if found.regime is Regime.UNCERTIFIED:
        return (
            f"**{block}: not guaranteed, but no fold is seen** at any of the {found.points:,} points that were "
            f"checked.{fold}{total}"
        )
    several = f" **{found.preimages} points** are mapped to the z in the ring." if found.preimages > 1 else ""
    return f"**{block}: folded.** The fold begins at s\\* = {scale}.{several}{total}"


def walk(found: Inverted) -> str:
    """What the iterations to x do, and whether the flow gives samples."""
    steps = f"more than {MOST_STEPS}" if found.late else f"at most {found.most_steps}"
    refused = f" Samples are refused: {found.refusal}" if found.refusal else ""
    return (
        f"Here {WALKS[found.method][0]}'s iteration takes {steps} steps from a z to its x. Banach's iteration "
        f"{found.fates['banach']}.{refused}"
    )


def takeaway(found: Inverted) -> str:
    """All of it, in the terms that lessons use."""
    banach = f"Banach's iteration {found.fates['banach']}."
    refused = f" Samples are refused: {found.refusal}" if found.refusal else ""
    if found.regime is Regime.CERTIFIED:
        steps = f"more than {MOST_STEPS}" if found.late else f"at most {found.most_steps}"
        return (
            f"**Certified.** s L = {found.bound:.3g} is below 1, so every z has exactly one x, and Banach's iteration "
            f"finds it. {WALKS[found.method][0]}'s iteration takes {steps} steps here.{refused}"
        )
    if found.regime is Regime.UNCERTIFIED:
        ahead = (
            f"A fold appears at s\\* = {number(found.folds_at)}."
            if found.fold_ahead
            else "No negative real eigenvalue of A was seen, so no fold appears as s grows."
            if found.folds_at == math.inf
            else "Some eigenvalues have passed −1, in pairs."
        )
        return (
            f"**Uncertified.** s L = {found.bound:.3g} is not below 1, so nothing is guaranteed. But no fold is seen: "
            f"det(I + sA) is positive at all {found.points:,} points of the x plane that were checked. {ahead} "
            f"{banach}{refused}"
        )
    several = (
        f" The chosen z has {found.preimages} different x, each with a residual below $10^{{-9}}$."
        if found.preimages > 1
        else ""
    )
    return (
        "**Not invertible.** det(I + sA) changes sign in the x plane. Beyond the fold line the map turns the plane "
        f"over.{several} {banach}{refused}"
    )


def table(found: Inverted, mass: Mass | None) -> str:
    """The numbers, with what each says."""
    value, error = with_error(mass.value, mass.error) if mass else ("…", "…")
    seen = number(found.folds_at) if math.isfinite(found.folds_at) else "never"
    return markdown_table(
        [
            ("number", "value", "meaning"),
            (":--", "--:", ":--"),
            (
                "bound s L",
                f"{found.bound:.3g}",
                "the largest factor by which s g stretches a distance; below 1, f is one-to-one",
            ),
            ("1/L", f"{found.guaranteed:.3g}", "up to this s, f is guaranteed to be one-to-one"),
            ("s\\*", seen, f"the s at which the first of {found.points:,} points of the x plane folds"),
            ("smallest det(I + sA)", number(found.smallest_det), "the smallest factor of areas; below 0, f has folded"),
            ("x found for this z", str(found.preimages), "by Newton's method from 258 starts; there may be more"),
            (
                "integral of the density",
                f"{value} ± {error}",
                "1 for a true density; a fold counts some places several times",
            ),
            (
                "samples",
                "refused" if found.refusal else "given",
                "given only if every block is guaranteed to be one-to-one",
            ),
        ]
    )
