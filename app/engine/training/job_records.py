"""What only some kinds of jobs have to show: images, bits per dimension, and a measurement of costs. That of the memory
of gradients shows `resflow_core.measure.survey.Survey`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from resflow_core.measure.scaling import AtDim

DIGITS = "digits"
"""What `Arm.data` is for images: no data set of the plane has this name."""


@dataclass(frozen=True)
class ImageFrame:
    """Grids of images in grey levels from 0, black, to 16."""

    step: int
    samples: np.ndarray  # (rows, columns, 8, 8) uint8: the flow's images of the same noise in every frame
    interpolations: np.ndarray  # (pairs, steps, 8, 8) uint8: each row from one held-out image to another
    refusal: str = ""  # why there are none, where the flow has no certified inverse


@dataclass(frozen=True)
class BitsCurve:
    """Bits per dimension on held-out images so far, by the exact log det."""

    step: int  # of the newest
    steps: np.ndarray  # (k,) int64
    seconds: np.ndarray  # (k,) that training had taken by then
    bits: np.ndarray  # (k,) mean over images
    error: np.ndarray  # (k,) its standard error


@dataclass(frozen=True)
class Scaling:
    """What was measured of a `Plan` so far."""

    step: int  # pieces that are done
    pieces: int  # all of them
    found: tuple[AtDim, ...]
