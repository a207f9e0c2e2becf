"""Crowds that come at once lose nobody's run: as many are held as time and memory allow, the others say their place in
the queue, and the run of somebody who was there before goes on."""

import asyncio
from dataclasses import dataclass

import pytest

from app.engine.clocks import AWAY_SECONDS
from tests.hostile.crowds import PATIENCE_SECONDS, Visitor, crowd, playing, until
from tests.served import answers, wait_for

# How long is waited until a whole crowd has been answered, on a busy machine too; and how long it stays then: longer
# than a page may be silent.
ARRIVAL_SECONDS = {30: 120.0, 100: 240.0, 300: 600.0}
STAY_SECONDS = AWAY_SECONDS + 5.0


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
            await until(lambda: all(v.is_served for v in visitors), "everybody's page", ARRIVAL_SECONDS[size])
            served = resident.step
            await asyncio.sleep(STAY_SECONDS)
            states = [visitor.state for visitor in visitors]
        left = resident.step
        await until(
            lambda: resident.step > left or resident.dropped, "another step of who was there before", PATIENCE_SECONDS
        )
        return Burst(resident, (before, served, resident.step), visitors, states)


@pytest.mark.parametrize("size", ARRIVAL_SECONDS)
def test_a_crowd_loses_no_run(server, size):
    found = asyncio.run(burst(server.url, size))
    everybody = [found.resident, *found.visitors]
    dropped = sum(visitor.dropped for visitor in everybody)
    print(f"{size} visitors: {dropped} dropped, states {sorted((s, found.states.count(s)) for s in set(found.states))}")

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
    wait_for(lambda: answers(server.url), "the server's health")
