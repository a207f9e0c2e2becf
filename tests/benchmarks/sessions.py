"""What many pages cost: the real server, and light clients that speak to it as browsers do, but draw nothing.

Each client opens the page, presses Play and lets the page poll as often as the page asks for it. A poll is the round
trip of one: from the request to the end of what the server sends for it. Clients and server share this machine. Pages
poll at moments spread over the second, as they do where people open them one by one; --together lets all poll at once.
--query gives pages other settings, as their links do: "log_det=roulette".
--resting opens so many pages more, on which nothing plays. "None taken" counts the pages whose flow took no step in
that time, and how many of them were told why they wait.
It fails if no step was taken, no picture was sent or no poll was answered.

    python -m tests.benchmarks.sessions [--pages 1 4 16] [--seconds 15] [--warm 3] [--together] [--resting 0]
        [--query ""]
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks.measured import children, cpu_seconds, measured
from tests.benchmarks.resting import opened
from tests.page_client import open_page
from tests.served import process_served

DEADLINE_SECONDS = 60.0
TOLD = '{"when"'


@dataclass(frozen=True)
class Told:
    """What the server's engine had done by the moment `when`, of the clock that all processes share."""

    when: float
    steps: dict[str, int]  # of each run
    waiting: list[str]  # runs that wait for a place or for others, and say so
    frames: int  # sent to pages
    share: float  # of the worker's time that went into pictures


@dataclass(frozen=True)
class Row:
    pages: int
    seconds: float
    steps: int
    none: int  # runs without a step
    waited: int  # of these, those that said why at the end
    frames: int
    share: float
    polls: tuple[float, ...]  # ascending: seconds until each was answered
    served: float  # CPU seconds of the process that serves the pages: at most one core, for it is one interpreter
    trained: float  # those of the processes that it started

    def text(self) -> str:
        """As a row of the table. It must hold something that was measured."""
        return (
            f"| {self.pages} | {self.steps / self.seconds:.0f} | {self.steps:,} "
            f"| {self.none} ({self.waited}) | {self.frames / self.seconds / self.pages:.2f} "
            f"| {1e3 * statistics.median(self.polls):.0f} | {1e3 * self.polls[int(0.95 * len(self.polls))]:.0f} "
            f"| {self.share:.0%} | {self.served / self.seconds:.2f} | {self.trained / self.seconds:.2f} |"
        )


def serve(port: int) -> None:
    """The server, as by `python -m app --port N`, which also prints what its engine does: a line of JSON a second."""
    from app import __main__ as app
    from app import engine

    training = engine.get_engine()
    poll, steps, waits, frames, share = training.poll, {}, {}, 0, 0.0

    def counted(id, demand):
        nonlocal frames, share
        report = poll(id, demand)
        waits[id] = report.queue_place > 0
        if report.arms:
            share = report.frame_share
            frames += len(report.arms[0].frames)
            if report.state.value == "playing":
                steps[id] = report.arms[0].step
        return report

    def tell():
        while True:
            waiting = [id for id, waits_now in list(waits.items()) if waits_now]
            now = Told(time.monotonic(), dict(steps), waiting, frames, share)
            print(json.dumps(asdict(now)), flush=True)
            time.sleep(1)

    training.poll = counted
    threading.Thread(target=tell, daemon=True).start()
    sys.argv = ["app", "--port", str(port)]
    sys.exit(app.main())


@dataclass(frozen=True)
class Counting:
    """The server of `serve`, and what it says."""

    url: str
    log: Path
    process: int

    def told(self, start: float, end: float) -> list[Told]:
        lines = (line for line in self.log.read_text().splitlines() if line.startswith(TOLD) and line.endswith("}"))
        return [told for line in lines if start <= (told := Told(**json.loads(line))).when <= end]

    def cpu(self) -> tuple[float, float]:
        """CPU seconds up to now of the process that serves the pages, and of those that it started."""
        return cpu_seconds(self.process), sum(map(cpu_seconds, children(self.process)))


@contextmanager
def counting() -> Iterator[Counting]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with process_served(lambda port: ["-m", "tests.benchmarks.sessions", "--serve", str(port)], log) as server:
            yield Counting(server.url, log, server.process.pid)


async def visit(
    url: str, query: str, phase: float, playing: asyncio.Barrier, until: asyncio.Event
) -> list[tuple[float, float]]:
    """One page that plays and polls, the first time after the share `phase` of an interval: of each poll when it was
    sent, and the seconds until it was answered."""
    polls = []
    async with open_page(url, "explore", query, patience=DEADLINE_SECONDS) as page:
        await page.play()
        await playing.wait()
        due = time.monotonic() + phase * page.interval
        while not until.is_set():
            due = max(due + page.interval, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            sent = time.monotonic()
            await page.poll()
            polls.append((sent, time.monotonic() - sent))
    return polls


async def measure(
    server: Counting, pages: int, seconds: float, warm: float, together: bool, resting: int, query: str
) -> Row:
    """A row of the table."""
    until, playing = asyncio.Event(), asyncio.Barrier(pages + 1)
    async with asyncio.TaskGroup() as group, opened(server.url, resting, until):
        phases = [0.0 if together else i / pages for i in range(pages)]
        visits = [group.create_task(visit(server.url, query, phase, playing, until)) for phase in phases]
        async with asyncio.timeout(DEADLINE_SECONDS):
            await playing.wait()
        await asyncio.sleep(warm)
        start, before = time.monotonic(), server.cpu()
        await asyncio.sleep(seconds)
        after = server.cpu()
        until.set()
    told = server.told(start, start + seconds)
    measured(({"the moment": one.when} for one in told), f"{pages} pages, by what the server tells")
    first, last = told[0], told[-1]
    taken = {id: step - first.steps.get(id, 0) for id, step in last.steps.items()}
    none = [id for id, steps in taken.items() if not steps]
    return Row(
        pages,
        last.when - first.when,
        sum(taken.values()),
        len(none),
        len(set(none) & set(last.waiting)),
        last.frames - first.frames,
        statistics.median(one.share for one in told),
        tuple(sorted(took for polls in visits for sent, took in polls.result() if sent >= start)),
        *(end - begin for begin, end in zip(before, after, strict=True)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--warm", type=float, default=3)
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--resting", type=int, default=0)
    parser.add_argument("--query", default="")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
    with counting() as server:
        print(
            "| pages | steps/s in all | steps | none taken (told why) | frames/s a page | poll, median ms "
            "| poll, p95 ms | pictures' share | page server, cores | training, cores |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|")
        for pages in args.pages:
            row = asyncio.run(measure(server, pages, args.seconds, args.warm, args.together, args.resting, args.query))
            found = {"steps": row.steps, "frames": row.frames, "polls": len(row.polls), "seconds": row.seconds}
            measured([found], f"{pages} pages")
            print(row.text(), flush=True)


if __name__ == "__main__":
    main()
