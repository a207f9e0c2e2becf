"""How the CPU time of an answer grows with the length of what is asked."""

import gc
import time
from collections.abc import Callable
from typing import Any

LEAST_SECONDS = 0.002
"""Shorter times say nothing of growth."""
WORTH_SECONDS = 0.05
"""What is answered sooner holds up nobody, and how it grows is a matter of caches and of fresh memory."""
LONGER = 4
MOST_GROWTH = 8.0
"""Of the time when the length becomes fourfold: what is linear makes it fourfold too, what is quadratic sixteenfold. A
busy machine must double a time, the least of several, to be taken for either."""
REPEATS, MOST_TRIES = 2, 8


def seconds(answer: Callable[[Any], object], given: Any, repeats: int = REPEATS) -> float:
    """The least CPU time of this thread in which `answer` is done, of several tries."""
    found = []
    for _ in range(repeats):
        began = time.thread_time()
        answer(given)
        found.append(time.thread_time() - began)
    return min(found)


def steepest(answer: Callable[[Any], object], attack: Callable[[int], Any], least: int, most: int) -> float:
    """The largest factor by which the time grows when an attack becomes `LONGER` times as long, from `least` up to
    `most`: as far as it takes long enough to matter and to be measured, else 1. It ends beyond `MOST_GROWTH`."""
    gc.collect()
    gc.freeze()  # what there was before is looked through at no answer's expense
    try:
        return _steepest(answer, attack, least, most)
    finally:
        gc.unfreeze()


def _steepest(answer: Callable[[Any], object], attack: Callable[[int], Any], least: int, most: int) -> float:
    largest, length = 1.0, least
    while LONGER * length <= most and largest <= MOST_GROWTH:
        shorter, longer = attack(length), attack(LONGER * length)
        before, now = seconds(answer, shorter), seconds(answer, longer)
        for _ in range(MOST_TRIES):  # what else the machine does makes one of them longer, and never shorter
            if before < LEAST_SECONDS or now < WORTH_SECONDS or now <= MOST_GROWTH * before:
                break
            before, now = min(before, seconds(answer, shorter, 1)), min(now, seconds(answer, longer, 1))
        if before >= LEAST_SECONDS and now >= WORTH_SECONDS:
            largest = max(largest, now / before)
        length *= 2
    return largest
