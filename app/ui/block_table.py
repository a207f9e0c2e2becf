"""The blocks of a flow in numbers, as a table in Markdown with the sentence that says what is seen in it."""

from dataclasses import dataclass, replace

import numpy as np

from app.text import markdown_table, signed
from resflow_core.measure import BlockTable

RHO = "\N{GREEK SMALL LETTER RHO}"


def markdown(blocks: BlockTable) -> str:
    """One row a block; shares of points in percent."""
    columns = {
        "block": [str(k) for k in range(1, len(blocks.lipschitz) + 1)],
        "mean log det (nats)": [signed(f"{v:+.3f}") for v in blocks.mean_log_det],
        "certified L": [f"{v:.3f}" for v in blocks.lipschitz],
        "largest ‖A‖": [f"{v:.3f}" for v in blocks.largest_norm],
        f"largest {RHO}": [f"{v:.3f}" for v in blocks.spectral_radius],
    }
    if blocks.beyond is not None:
        columns[f"points with {RHO} > √q"] = [_percent(v) for v in blocks.beyond]
    rows = [list(columns), ["--:"] * len(columns), *zip(*columns.values(), strict=True)]
    return markdown_table(rows)


def _percent(share: float) -> str:
    """Of 2,000 points one is 0.05 %, which must not look like none."""
    return f"{100 * share:.3g} %"


@dataclass(frozen=True)
class Standouts:
    """The blocks of a flow that stand out. Blocks count from 0."""

    strongest: int  # the block with the largest |mean log det|,
    log_det: float  # that mean over points, nats; the block spreads the plane above 0, and squeezes it below
    steepest: int  # the block with the largest ‖A‖ seen,
    norm: float  # that norm,
    bound: float  # and its certified L
    limit: float | None = None  # √q; None without a roulette
    worst: int = 0  # the block with the largest share of points with ρ > √q,
    beyond: float = 0.0  # that share, 0 to 1

    @property
    def finite_variance(self) -> bool:
        """Whether the variance of the roulette is finite at all points."""
        return self.beyond == 0


def standouts(blocks: BlockTable) -> Standouts:
    """Where volume changes most, how near a block comes to its bound, where the variance is infinite."""
    strongest, steepest = int(np.argmax(np.abs(blocks.mean_log_det))), int(np.argmax(blocks.largest_norm))
    seen = Standouts(
        strongest,
        float(blocks.mean_log_det[strongest]),
        steepest,
        float(blocks.largest_norm[steepest]),
        float(blocks.lipschitz[steepest]),
    )
    if blocks.beyond is None:
        return seen
    worst = int(np.argmax(blocks.beyond))
    return replace(seen, limit=blocks.tail_ratio**0.5, worst=worst, beyond=float(blocks.beyond[worst]))


def takeaway(found: Standouts) -> str:
    """What stands out, in sentences."""
    seen = (
        f"Block {found.strongest + 1} {'spreads' if found.log_det > 0 else 'squeezes'} the plane most, by "
        f"{abs(found.log_det):.2f} nats per point. Block {found.steepest + 1} is the steepest: ‖A‖ = {found.norm:.2f}, "
        f"and {found.bound:.2f} is allowed."
    )
    if found.limit is None:
        return seen
    limit = f"{RHO} > √q = {found.limit:.3f}"
    if found.finite_variance:
        return f"{seen} No point has {limit}, so the variance of the roulette is finite at every point."
    return (
        f"{seen} In block {found.worst + 1}, {_percent(found.beyond)} of the points have {limit}. The variance of the "
        "roulette is infinite there."
    )
