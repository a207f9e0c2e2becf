"""A minute of training that somebody watches: the memory of both processes is written down, and does not grow."""

import asyncio
import statistics
from itertools import pairwise

from tests.hostile.crowds import playing
from tests.hostile.memory import resident_mib
from tests.served import Server, app_served

SECONDS, EVERY_SECONDS = 60, 5
MOST_GROWTH = 1.04  # from the second quarter to the last; without a leak it is 1.002


async def watched(server: Server) -> tuple[list[tuple[float, float]], list[int]]:
    """Memory in MiB, and the step of the flow, every so many seconds."""
    memory, steps = [], []
    async with playing(server.url) as visitor:
        for _ in range(SECONDS // EVERY_SECONDS):
            await asyncio.sleep(EVERY_SECONDS)
            memory.append(resident_mib(server))
            steps.append(visitor.step)
            print(f"\n{EVERY_SECONDS * len(memory)} s: step {steps[-1]}, MiB {memory[-1]}", end="", flush=True)
        assert not visitor.exceptions and not visitor.dropped
    return memory, steps


def test_a_minute_of_training_keeps_its_memory(tmp_path):
    with app_served(tmp_path / "log") as server:
        memory, steps = asyncio.run(watched(server))
    assert all(before < after for before, after in pairwise(steps))
    quarter = SECONDS // EVERY_SECONDS // 4
    for process in zip(*memory, strict=True):
        second, last = process[quarter : 2 * quarter], process[-quarter:]
        assert statistics.median(last) <= MOST_GROWTH * statistics.median(second)
