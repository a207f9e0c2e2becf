"""A crowd that comes at once loses nobody's run: as many are held as time and memory allow, the others say their place
in the queue, and the run of somebody who was there before goes on."""

import asyncio

from tests.hostile.crowds import PATIENCE_SECONDS, crowd, playing, until
from tests.served import app_served

SIZE = 150
ARRIVAL_SECONDS = 600.0  # until a whole crowd has been answered, on a busy machine too


async def burst(url, size):
    """Who was there before, with the steps of its flow before and when all had been answered, the crowd and its
    states."""
    async with playing(url) as resident:
        before = resident.step
        async with crowd(url, size) as visitors:
            await until(lambda: all(v.is_served for v in visitors), "everybody's page", ARRIVAL_SECONDS)
            served = resident.step
            states = [visitor.state for visitor in visitors]
        left = resident.step
        await until(lambda: resident.step > left, "another step of who was there before", PATIENCE_SECONDS)
        return resident, (before, served), visitors, states


def test_a_crowd_loses_no_run(tmp_path):
    with app_served(tmp_path / "log") as server:
        resident, (before, served), visitors, states = asyncio.run(burst(server.url, SIZE))
    everybody = [resident, *visitors]
    assert not [exception for visitor in everybody for exception in visitor.exceptions]
    assert not sum(visitor.dropped or visitor.silent for visitor in everybody)
    assert before < served and resident.state == "step"
    assert set(states) <= {"step", "queued", ""}
    waiting = [visitor.places[-1] for visitor in visitors if visitor.places]
    assert len(waiting) >= states.count("queued")
    assert len(waiting) < 2 or len(set(waiting)) > 1
