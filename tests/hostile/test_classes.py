"""Classes that come and go leave the training process as large as the first few did: what its pages have let go of, the
system has back."""

import asyncio
import time

from app.engine.clocks import AWAY_SECONDS
from app.engine.worker.floor import ASIDE_SECONDS, MOST_ASIDE
from tests.hostile.crowds import PATIENCE_SECONDS, Visitor, until
from tests.hostile.memory import resident_mib
from tests.page_client import open_page
from tests.served import app_served, wait_for

CLASSES, SIZE = 10, 30
FEW = -(-MOST_ASIDE // SIZE)
"""Until then each class leaves some megabytes that are remembered of its runs."""
LESSON_SECONDS = AWAY_SECONDS + ASIDE_SECONDS
"""Long enough that the flows of the class before have left when the memory is looked at, unless the machine is busy."""
MOST_GROWTH = 1.05
LEFT_SECONDS = 120.0
"""By then a busy machine, too, has given back what flows have left."""


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

        def shrinks_to(most: float) -> float:
            """How large the training process is in MiB once it is no larger than that."""
            what = f"the training process to have at most {most:.0f} MiB; it was {after}"
            return wait_for(lambda: (mib := resident_mib(server)[1]) <= most and mib, what, LEFT_SECONDS)

        after = []
        began = time.monotonic()
        for number in range(CLASSES):
            asyncio.run(held(server.url))
            after.append(resident_mib(server)[1] if number < FEW else shrinks_to(MOST_GROWTH * max(after[:FEW])))
        took = time.monotonic() - began
        rested = shrinks_to(after[0])  # all ten leave less than one does while it is there
        print(f"\nMiB of the training process after each class: {[round(mib) for mib in after]}, at rest {rested:.0f}")
        print(f"{took:.0f} s for {CLASSES} classes of {SIZE}")
