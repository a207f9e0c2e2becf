"""A crowd that comes at once loses nobody's run: as many are held as time and memory allow, the others say their place
in the queue, and the run of somebody who was there before goes on. What it leaves behind in memory is little."""

import asyncio
import time
from dataclasses import dataclass

from app.engine.clocks import AWAY_SECONDS
from app.engine.records import dropped, stored
from tests.hostile.crowds import PATIENCE_SECONDS, Visitor, crowd, playing, until
from tests.hostile.memory import resident_mib
from tests.served import answers, app_served, wait_for

SIZE = 300
ARRIVAL_SECONDS = 600.0  # until a whole crowd has been answered, on a busy machine too
STAY_SECONDS = AWAY_SECONDS + 5.0  # longer than a page may be silent
TIDY_SECONDS = 20.0
REST_SECONDS = 300.0
# The training process holds flows until their pages have been away for ten minutes, and checkpoints longer. What is let
# go of leaves the memory (`test_engine_job`), but for gaps between what stays.
HELD_MIB = 2.5  # for each flow: it takes 1.9
MOST_GROWTH, KEPT_MIB = 1.4, (stored.MOST_BYTES + dropped.MOST_BYTES) / 2**20


@dataclass(frozen=True)
class Burst:
    resident: Visitor
    steps: tuple[int, int, int]  # of the resident's flow: before, when all had been answered, and when they had left
    visitors: list[Visitor]
    states: list[str]  # of the visitors, before they left


async def burst(url: str, size: int) -> Burst:
    async with playing(url) as resident:
        before = resident.step
        async with crowd(url, size) as visitors:
            await until(lambda: all(v.is_served for v in visitors), "everybody's page", ARRIVAL_SECONDS)
            served = resident.step
            await asyncio.sleep(STAY_SECONDS)
            states = [visitor.state for visitor in visitors]
        left = resident.step
        await until(
            lambda: resident.step > left or resident.dropped, "another step of who was there before", PATIENCE_SECONDS
        )
        return Burst(resident, (before, served, resident.step), visitors, states)


def assert_no_run_is_lost(found: Burst) -> None:
    everybody = [found.resident, *found.visitors]
    dropped = sum(visitor.dropped for visitor in everybody)
    print(f"{SIZE} visitors: {dropped} dropped, states {sorted((s, found.states.count(s)) for s in set(found.states))}")
    assert not [exception for visitor in everybody for exception in visitor.exceptions]
    assert not dropped
    before, served, after = found.steps
    assert before < served < after
    assert found.resident.state == "step"
    assert set(found.states) <= {"step", "queued", ""}
    assert not sum(visitor.silent for visitor in everybody)
    waiting = [visitor.places[-1] for visitor in found.visitors if visitor.places]
    assert len(waiting) >= found.states.count("queued")
    assert len(waiting) < 2 or len(set(waiting)) > 1


def test_a_crowd_loses_no_run_and_leaves_little_behind(tmp_path):
    with app_served(tmp_path / "log") as server:
        asyncio.run(burst(server.url, 1))
        time.sleep(TIDY_SECONDS)
        before = resident_mib(server)
        found = asyncio.run(burst(server.url, SIZE))
        assert_no_run_is_lost(found)
        held = (0.0, HELD_MIB * found.states.count("step"))
        limits = [MOST_GROWTH * was + KEPT_MIB + flows for was, flows in zip(before, held, strict=True)]
        after = resident_mib(server)
        wait_for(lambda: answers(server.url), "the server's health")

        def rested():
            return all(mib <= limit for mib, limit in zip(resident_mib(server), limits, strict=True))

        try:
            wait_for(rested, f"at most {limits} MiB", REST_SECONDS)
        finally:
            print(f"\nMiB of server and training process: {before} before, {after} when all had left,", end=" ")
            print(f"{resident_mib(server)} at the end")
