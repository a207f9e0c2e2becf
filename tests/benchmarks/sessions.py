"""What many pages cost: the real server, and light clients that speak to it as browsers do, but draw nothing.

Each client opens the page, presses Play, lets the page poll as often as the page asks for it, and reads the channel:
the weights from which a browser draws, or the server's pictures (--pictures). A poll is the round trip of one: from the
request to the end of what the server sends for it. Now and then (--clicks) a page presses Pause, and Play at once; a
click is the round trip of one of them. Clients and server share this machine. Pages poll at moments spread over the
second, as they do where people open them one by one; --together lets all poll at once. --query gives pages other
settings, as their links do: "log_det=roulette". --resting opens so many pages more, on which nothing plays.

In each of so many rounds (--rounds) all pages are seen for --seconds, and then hidden for as long: nothing is sent to
these, and what is left are the steps without pictures. "Of those" is the share of steps that is left with pictures. The
page server's milliseconds of CPU for a picture are what it takes more while pages are seen. "None taken" counts the
pages whose flow took no step while they were seen, and how many of them were told why they wait; "a page" is the mean
of all others.
It fails if no step was taken, nothing came by the channel or no poll was answered.

    python -m tests.benchmarks.sessions [--pages 1 4 16] [--seconds 5] [--rounds 3] [--warm 3] [--pictures]
        [--clicks 30] [--together] [--resting 0] [--query ""]
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.benchmarks.measured import children, cpu_seconds, measured
from tests.benchmarks.resting import opened
from tests.page_client import Channel, PageClient, open_page
from tests.served import process_served

DEADLINE_SECONDS = 180.0
TOLD_SECONDS = 0.25
SETTLED_SECONDS = 1.0  # after all pages were hidden, or are seen again
TOLD = '{"when"'


@dataclass(frozen=True)
class Told:
    """What the server's engine had done by the moment `when`, of the clock that all processes share."""

    when: float
    steps: dict[str, int]  # of each run
    waiting: list[str]  # runs that wait for a place or for others, and say so
    share: float  # of the worker's time that went into the server's pictures and measurements
    served: float  # CPU seconds of the process that serves the pages: at most one core, for it is one interpreter
    trained: float  # those of the processes that it started


@dataclass
class Visit:
    """What one page saw."""

    run: str
    pictures: list[float] = field(default_factory=list)  # when each came
    polls: list[tuple[float, float]] = field(default_factory=list)  # when each was sent, and its round trip
    clicks: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Spell:
    """A time in which all pages are seen, or hidden."""

    start: float
    end: float
    told: tuple[Told, ...]

    @property
    def seconds(self) -> float:
        return self.told[-1].when - self.told[0].when

    @property
    def steps(self) -> dict[str, int]:
        first, last = self.told[0].steps, self.told[-1].steps
        return {id: step - first.get(id, 0) for id, step in last.items()}

    def spent(self, name: str) -> float:
        return getattr(self.told[-1], name) - getattr(self.told[0], name)

    def count(self, moments: Sequence[float]) -> int:
        return sum(self.told[0].when <= moment <= self.told[-1].when for moment in moments)


@dataclass(frozen=True)
class Row:
    pages: int
    seconds: float  # in which pages were seen
    steps: int
    left: float  # the share of the steps that is left with pictures
    none: int  # runs without a step
    waited: int  # of these, those that said why at the end
    pictures: int  # or weights
    rates: tuple[float, ...]  # ascending: of these a second, of each page whose flow took a step
    share: float
    polls: tuple[float, ...]  # ascending: seconds until each was answered
    clicks: tuple[float, ...]
    served: float  # CPU seconds a second
    trained: float
    more: float  # CPU seconds of the page server for a picture

    def text(self) -> str:
        """As a row of the table. It must hold something that was measured."""
        return (
            f"| {self.pages} | {self.steps / self.seconds:.0f} | {self.left:.2f} | {self.none} ({self.waited}) "
            f"| {statistics.mean(self.rates):.1f} | {self.rates[0]:.1f} "
            f"| {_ms(self.polls, 0.5)} | {_ms(self.polls, 0.95)} | {_ms(self.clicks, 0.5)} | {_ms(self.clicks, 0.95)} "
            f"| {self.share:.0%} | {self.served:.2f} | {self.trained:.2f} | {1e3 * self.more:.2f} |"
        )


HEAD = (
    "| pages | steps/s in all | of those without pictures | none taken (told why) | {what}/s a page | fewest "
    "| poll, median ms | poll, p95 ms | click, median ms | click, p95 ms | measurements' share | page server, cores "
    "| training, cores | page server, ms CPU for one |"
)


def _ms(ascending: tuple[float, ...], share: float) -> str:
    return f"{1e3 * ascending[int(share * len(ascending))]:.0f}" if ascending else "-"


def serve(port: int) -> None:
    """The server, as by `python -m app --port N`, which also prints what its engine does: a line of JSON several times
    a second."""
    from app import __main__ as app
    from app import engine

    training, process = engine.get_engine(), os.getpid()

    def now() -> Told:
        reports = [memo.mailbox.report for link in training._links for memo in list(link._memos.values())]
        return Told(
            time.monotonic(),
            {report.id: report.arms[0].step for report in reports if report.arms},
            [report.id for report in reports if report.queue_place > 0],
            max((report.frame_share for report in reports), default=0.0),
            cpu_seconds(process),
            sum(map(cpu_seconds, children(process))),
        )

    def tell() -> None:
        while True:
            with suppress(FileNotFoundError):  # a thread has just ended, and with it its list of children
                print(json.dumps(asdict(now())), flush=True)
            time.sleep(TOLD_SECONDS)

    threading.Thread(target=tell, daemon=True).start()
    sys.argv = ["app", "--port", str(port)]
    sys.exit(app.main())


@dataclass(frozen=True)
class Counting:
    """The server of `serve`, and what it says."""

    url: str
    log: Path

    def told(self, start: float, end: float) -> tuple[Told, ...]:
        lines = (line for line in self.log.read_text().splitlines() if line.startswith(TOLD) and line.endswith("}"))
        return tuple(told for line in lines if start <= (told := Told(**json.loads(line))).when <= end)


@contextmanager
def counting() -> Iterator[Counting]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with process_served(lambda port: ["-m", "tests.benchmarks.sessions", "--serve", str(port)], log) as server:
            yield Counting(server.url, log)


@dataclass(frozen=True)
class Way:
    """How pages are visited."""

    query: str
    by_weights: bool
    clicks: float  # seconds between two of a page


class Crowd:
    """The pages that play, which are seen or hidden together."""

    def __init__(self, pages: int):
        self.channels: list[Channel] = []
        self.visits: list[Visit] = []
        self.playing, self.until = asyncio.Barrier(pages + 1), asyncio.Event()

    async def hide(self, hidden: bool) -> None:
        await asyncio.gather(*(channel.hide(hidden) for channel in self.channels))


async def visit(url: str, phase: float, way: Way, crowd: Crowd) -> None:
    """One page that plays, reads and polls, the first time after the share `phase` of an interval."""
    async with (
        open_page(url, "explore", way.query, patience=DEADLINE_SECONDS) as page,
        page.weights() if way.by_weights else page.pictures() as channel,
    ):
        seen = Visit(page.shown.scenes[0]["run"].partition(":")[0])
        crowd.channels.append(channel)
        crowd.visits.append(seen)

        async def read() -> None:
            async for _ in channel:
                seen.pictures.append(time.monotonic())

        reading = asyncio.create_task(read())
        await page.play()
        await crowd.playing.wait()
        await _stay(page, seen, phase, way.clicks, crowd.until)
        reading.cancel()


async def _stay(page: PageClient, seen: Visit, phase: float, between: float, until: asyncio.Event) -> None:
    due = time.monotonic() + phase * page.interval
    click_at = time.monotonic() + phase * between
    while not until.is_set():
        due = max(due + page.interval, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
        if time.monotonic() > click_at:
            click_at += between
            for label in ("Pause", "Play"):
                if label in page.shown.labels():  # not Pause, where the page heard of the last click too late
                    sent = time.monotonic()
                    await page.press(label)
                    seen.clicks.append((sent, time.monotonic() - sent))
        sent = time.monotonic()
        await page.poll()
        seen.polls.append((sent, time.monotonic() - sent))


async def measure(
    server: Counting, pages: int, seconds: float, rounds: int, warm: float, together: bool, resting: int, way: Way
) -> Row:
    """A row of the table."""
    crowd, times = Crowd(pages), []
    async with asyncio.TaskGroup() as group, opened(server.url, resting, crowd.until, way.by_weights):
        for i in range(pages):
            group.create_task(visit(server.url, 0.0 if together else i / pages, way, crowd))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await crowd.playing.wait()
        await asyncio.sleep(warm)
        for _ in range(rounds):
            for hidden in (False, True):
                await crowd.hide(hidden)
                await asyncio.sleep(SETTLED_SECONDS)
                start = time.monotonic()
                await asyncio.sleep(seconds)
                times.append((start, time.monotonic()))
        crowd.until.set()
    spells = [Spell(start, end, server.told(start, end)) for start, end in times]
    measured(({"the moment": one.when} for spell in spells for one in spell.told), f"{pages} pages, by what is told")
    return row(pages, crowd.visits, spells[::2], spells[1::2])


def row(pages: int, visits: list[Visit], seen: list[Spell], hidden: list[Spell]) -> Row:
    def rate(spells: list[Spell], of: str) -> float:
        return sum(spell.spent(of) for spell in spells) / sum(spell.seconds for spell in spells)

    def steps(spells: list[Spell]) -> int:
        return sum(sum(spell.steps.values()) for spell in spells)

    def trips(of: str) -> tuple[float, ...]:
        start, end = seen[0].start, hidden[-1].end
        return tuple(sorted(took for visit in visits for sent, took in getattr(visit, of) if start <= sent <= end))

    shown, unshown = sum(spell.seconds for spell in seen), sum(spell.seconds for spell in hidden)
    none = {one.run for one in visits if not sum(spell.steps.get(one.run, 0) for spell in seen)}
    counts = {one.run: sum(spell.count(one.pictures) for spell in seen) for one in visits}
    pictures, last = sum(counts.values()), seen[-1].told[-1]
    more = shown * (rate(seen, "served") - rate(hidden, "served"))
    return Row(
        pages,
        shown,
        steps(seen),
        steps(seen) / shown / (steps(hidden) / unshown) if steps(hidden) else float("nan"),
        len(none),
        len(none & set(last.waiting)),
        pictures,
        tuple(sorted(count / shown for run, count in counts.items() if run not in none)),
        statistics.median(one.share for spell in seen for one in spell.told),
        trips("polls"),
        trips("clicks"),
        rate(seen, "served"),
        rate(seen, "trained"),
        more / pictures if pictures else float("nan"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=float, default=3)
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--clicks", type=float, default=30)
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--resting", type=int, default=0)
    parser.add_argument("--query", default="")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
    way = Way(args.query, not args.pictures, args.clicks)
    with counting() as server:
        print(HEAD.format(what="pictures" if args.pictures else "weights"))
        print("|---" * (HEAD.count("|") - 1) + "|")
        for pages in args.pages:
            found = asyncio.run(
                measure(server, pages, args.seconds, args.rounds, args.warm, args.together, args.resting, way)
            )
            numbers = {name: getattr(found, name) for name in ("steps", "pictures", "seconds")}
            measured([{**numbers, "polls": len(found.polls)}], f"{pages} pages")
            print(found.text(), flush=True)


if __name__ == "__main__":
    main()
