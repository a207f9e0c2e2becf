"""How the CPU time of an answer grows with the length of what is asked.

A long text is compared with `PARTS` short ones, each that much shorter, which are answered one after another: work that
is linear takes as long for both, quadratic work `PARTS` times as long for the long one. Both take as long and as much
memory where all is well, so that a busy machine, its caches and its fresh memory weigh on both alike."""

import gc
import time
from collections.abc import Callable
from typing import Any

PARTS = 16
MOST_GROWTH = 2.0
"""Linear work is measured as 0.9 to 1.3, also on a busy machine; what quadratic work more than doubles is beyond."""
WORTH_SECONDS = 0.05
"""What is answered sooner holds up nobody."""
TRIED_SECONDS = 15.0
"""What else the machine does can slow down a long text more than short ones for some seconds."""


def seconds(answer: Callable[[Any], object], given: Any, times: int = 1) -> float:
    """The CPU time of this thread in which `answer` is done, and what it found is held until the last is."""
    held = []
    began = time.thread_time()
    for _ in range(times):
        held.append(answer(given))
    return time.thread_time() - began


def growth(answer: Callable[[Any], object], short: Any, long: Any, worth: float = WORTH_SECONDS) -> float:
    """How much longer the answer to `long` takes than `PARTS` answers to `short`, or 1 where it takes less than
    `worth`. Of several tries the least times count: what else the machine does makes them longer, and never shorter."""
    parts, whole = float("inf"), float("inf")
    ends = time.monotonic() + TRIED_SECONDS
    while True:
        gc.collect()
        parts = min(parts, seconds(answer, short, PARTS))
        whole = min(whole, seconds(answer, long))
        if whole < worth:
            return 1.0
        if whole <= MOST_GROWTH * parts or time.monotonic() > ends:
            return whole / parts


def steepest(
    answer: Callable[[Any], object], attack: Callable[[int], Any], most: int, worth: float = WORTH_SECONDS
) -> float:
    """The largest growth among attacks of the lengths `most`, half of that, a quarter and so on, the short ones first.
    It ends beyond `MOST_GROWTH`."""
    gc.collect()
    gc.freeze()  # what there was before is not looked through again
    gc.disable()  # its passes come at any time, and are long for one answer and short for another
    try:
        largest = 1.0
        for halvings in reversed(range((most // PARTS).bit_length())):
            long = most >> halvings
            if largest <= MOST_GROWTH:
                largest = max(largest, growth(answer, attack(long // PARTS), attack(long), worth))
        return largest
    finally:
        gc.enable()
        gc.unfreeze()
