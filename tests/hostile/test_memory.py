"""What 300 visitors leave behind: memory of the server and of the training process, once they are gone."""

import asyncio
import time
from pathlib import Path

from app.engine import dropped, stored
from tests.hostile.crowds import crowd, until
from tests.served import Server, app_served, wait_for

VISITORS = 300
ARRIVAL_SECONDS = 240.0
REST_SECONDS = 300.0
# Two hundred flows in training at a time leave gaps between what stays, and flows are kept for those who come back.
MOST_GROWTH, KEPT_MIB = 1.4, (stored.MOST_BYTES + dropped.MOST_BYTES) / 2**20
FLOW = ("explore",)


def resident_mib(server: Server) -> tuple[float, float]:
    """Of the server and of the training process."""
    return tuple(_resident_mib(pid) for pid in (server.process.pid, *server.worker_pids()))


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


async def come_and_go(url: str, visitors: int) -> None:
    async with crowd(url, visitors, FLOW) as found:
        await until(lambda: all(visitor.is_served for visitor in found), "everybody's page", ARRIVAL_SECONDS)


def test_three_hundred_visitors_leave_little_behind(tmp_path):
    with app_served(tmp_path / "log") as server:
        asyncio.run(come_and_go(server.url, 1))
        time.sleep(20)  # until it is tidied up
        before = resident_mib(server)
        asyncio.run(come_and_go(server.url, VISITORS))
        after = resident_mib(server)

        def rested():
            now = resident_mib(server)
            return all(mib <= MOST_GROWTH * was + KEPT_MIB for mib, was in zip(now, before, strict=True)) and now

        began = time.monotonic()
        try:
            rest = wait_for(rested, f"{MOST_GROWTH} times {before} MiB and {KEPT_MIB:g}", REST_SECONDS)
        finally:
            print(f"\nMiB of server and training process: {before} before, {after} when all had left,", end=" ")
            print(f"{resident_mib(server)} after {time.monotonic() - began:.0f} s of rest")
        assert rest
