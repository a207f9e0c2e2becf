"""What certifying a formula asks most often of its arrays, in as little time as it takes."""

import numpy as np

LARGEST = np.finfo(float).max


def somewhere(mask: np.ndarray) -> bool:
    """Whether a mask is true anywhere; of a short array in a fraction of the time of `any`."""
    return np.count_nonzero(mask) > 0


def everywhere(mask: np.ndarray) -> bool:
    """Whether a mask is true in all places."""
    return np.count_nonzero(mask) == mask.size


def up(x: np.ndarray) -> np.ndarray:
    """The next number above, as `np.nextafter` finds it in several times as long: the next pattern of bits is it."""
    moved = np.minimum(x, LARGEST) + 0.0  # from infinity back to infinity, and no -0
    bits = moved.view(np.int64)
    bits += (bits >> 63) | 1
    return moved


def down(x: np.ndarray) -> np.ndarray:
    """The next number below."""
    return -up(-x)
