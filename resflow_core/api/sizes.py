"""Sizes of a flow, and settings of its training, that suit the number of dimensions d and of points n."""

from typing import Any

MOST_SPATIAL = 3
# Up to this d: blocks, width, learning rate. Measured: see docs/library.md.
BY_FEATURES = [(MOST_SPATIAL, 16, 32, 1e-2), (16, 8, 64, 5e-3), (256, 8, 128, 3e-3)]
# Beyond the plane and space, up to this d and below this n: blocks and width at most.
BY_POINTS = [(16, 300, 2, 16), (16, 2_000, 4, 32), (256, 2_000, 8, 32)]
LARGEST_BATCH, SMALLEST_BATCH = 512, 32


def sizes_for(features: int, points: int | None = None) -> dict[str, Any]:
    """Blocks and width. In the plane many blocks draw the details; in more dimensions wide blocks fit better.

    Beyond 3 dimensions few points ask for few and narrow blocks, which cannot learn them by heart. points = None: as
    for many.
    """
    blocks, width, _ = _row(features)
    if points is None or features <= MOST_SPATIAL:
        return {"blocks": blocks, "width": width}
    few = next((row[2:] for row in BY_POINTS if features <= row[0] and points < row[1]), (blocks, width))
    return {"blocks": min(blocks, few[0]), "width": min(width, few[1])}


def learning_rate_for(features: int) -> float:
    """The largest step size of AdamW."""
    return _row(features)[2]


def batch_for(points: int) -> int:
    """Points per step: an eighth of them within limits, so that a pass over few points is several steps."""
    return min(points, max(SMALLEST_BATCH, min(LARGEST_BATCH, points // 8)))


def weight_decay_for(points: int) -> float:
    """Weight decay of AdamW, for the matrices. Without it a flow learns few points by heart."""
    return 0.1 if points < 2_000 else 0.0


def _row(features: int) -> tuple[int, int, float]:
    return next(row[1:] for row in BY_FEATURES if features <= row[0])
