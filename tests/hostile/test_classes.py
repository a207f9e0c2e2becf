"""Classes that come and go leave the training process as large as the first few did: what its pages have let go of, the
system has back."""

import asyncio
import time

from app.engine.clocks import AWAY_SECONDS
from app.engine.worker.floor import ASIDE_SECONDS, MOST_ASIDE
from tests.hostile.crowds import PATIENCE_SECONDS, Visitor, until
from tests.hostile.memory import resident_mib
from tests.page_client import open_page
from tests.served import app_served

CLASSES, SIZE = 10, 30
FEW = -(-MOST_ASIDE // SIZE)
"""Until then each class leaves some megabytes that are remembered of its runs."""
LESSON_SECONDS = AWAY_SECONDS + ASIDE_SECONDS
"""Long enough that the flows of the class before have left when the memory is looked at, on a busy machine too."""
MOST_GROWTH = 1.05


async def student(url: str, visitor: Visitor, leave: asyncio.Event) -> None:
    async with open_page(url, visitor.screen, patience=PATIENCE_SECONDS) as visitor.page:
        await visitor.page.play()
        await visitor.page.watch(leave, on_answer=visitor.look)


async def held(url: str) -> None:
    """A class that opens Explore, presses Play, looks for a while and goes."""
    visitors, leave, began = [Visitor("explore") for _ in range(SIZE)], asyncio.Event(), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for visitor in visitors:
            group.create_task(student(url, visitor, leave))
        await until(lambda: all(v.state == "step" for v in visitors), "everybody's flow", PATIENCE_SECONDS)
        await asyncio.sleep(began + LESSON_SECONDS - time.monotonic())
        leave.set()
    assert not any(visitor.exceptions or visitor.dropped for visitor in visitors)


def test_ten_classes_leave_the_training_process_as_large_as_the_first_few(tmp_path):
    with app_served(tmp_path / "log") as server:
        after = []
        began = time.monotonic()
        for _ in range(CLASSES):
            asyncio.run(held(server.url))
            after.append(resident_mib(server)[1])
        took = time.monotonic() - began
        time.sleep(ASIDE_SECONDS + 20.0)  # the flows of the last one go, and what they leave is given back
        rested = resident_mib(server)[1]
        print(f"\nMiB of the training process after each class: {[round(mib) for mib in after]}, at rest {rested:.0f}")
        print(f"{took:.0f} s for {CLASSES} classes of {SIZE}")
        assert max(after[FEW:]) <= MOST_GROWTH * max(after[:FEW])
        assert rested <= after[0], "at rest all ten leave less than one does while it is there"
