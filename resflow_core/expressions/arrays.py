"""The array operations that certification of a formula uses most often, written for speed."""

import numpy as np

LARGEST = np.finfo(float).max


def somewhere(mask: np.ndarray) -> bool:
    """Whether a mask is true anywhere. For a short array it takes a fraction of the time of `any`."""
    return np.count_nonzero(mask) > 0


def everywhere(mask: np.ndarray) -> bool:
    """Whether a mask is true everywhere."""
    return np.count_nonzero(mask) == mask.size


def up(x: np.ndarray) -> np.ndarray:
    """The next larger float64 of each number, by its bits. `np.nextafter` takes several times as long."""
    moved = np.minimum(x, LARGEST) + 0.0  # infinity comes back as infinity, and the bits of -0 would become NaN
    bits = moved.view(np.int64)
    bits += (bits >> 63) | 1
    return moved


def down(x: np.ndarray) -> np.ndarray:
    """The next smaller float64 of each number."""
    return -up(-x)
