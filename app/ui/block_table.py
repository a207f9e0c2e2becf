"""The blocks of a flow in numbers, as a table in Markdown with the sentence that says what is seen in it."""

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


def takeaway(blocks: BlockTable) -> str:
    """What is seen: where volume changes most, how near a block comes to its bound, where the variance is infinite."""
    most, steepest = int(np.argmax(np.abs(blocks.mean_log_det))), int(np.argmax(blocks.largest_norm))
    mean, norm, bound = blocks.mean_log_det[most], blocks.largest_norm[steepest], blocks.lipschitz[steepest]
    seen = (
        f"Block {most + 1} {'spreads' if mean > 0 else 'squeezes'} the plane most, by {abs(mean):.2f} nats a point; "
        f"block {steepest + 1} is the steepest, with ‖A‖ = {norm:.2f} where {bound:.2f} is allowed."
    )
    if blocks.beyond is None:
        return seen
    limit = f"{RHO} > √q = {blocks.tail_ratio**0.5:.3f}"
    if not blocks.beyond.any():
        return f"{seen} No point has {limit}, so the roulette's variance is finite at all of them."
    worst = int(np.argmax(blocks.beyond))
    return (
        f"{seen} In block {worst + 1}, {_percent(blocks.beyond[worst])} of the points have {limit}: "
        "there the roulette's variance is infinite."
    )
