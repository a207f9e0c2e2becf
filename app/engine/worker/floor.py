"""Who may come in, who waits and who is dropped, of the runs of a worker. Each of them goes on by itself (`run.Run`),
and the gate says which of them computes (`gate.Gate`). Time is passed in."""

import logging
import math
from collections.abc import Callable

from app.engine.clocks import AWAY_SECONDS, Clocks
from app.engine.commands import Attend, Close, Command, Create, Export, Leave, Poll
from app.engine.records.flight_recorder import NO_LINE, Line
from app.engine.reports import Exported, Report, Said, State
from app.engine.training.arm_job import ArmJob
from app.engine.training.gate import Gate
from app.engine.training.job_kinds import job_of
from app.engine.training.run import Run, Shared
from app.engine.worker.crowding import Crowding
from app.engine.worker.memory import resident_bytes

DROP_SECONDS = 600.0
# The flow of a page that is gone leaves the memory so long after it was missed. It is built again if it comes back.
ASIDE_SECONDS = 10.0
# Of these the newest are remembered here, up to this number (a class of thirty with four arms each) and this memory.
# The server remembers more of them, and goes on with one when somebody presses Play.
MOST_ASIDE, MOST_ASIDE_BYTES = 128, 256 * 2**20
# Who runs the server is told this often, while pages wait, what would make room.
ADVICE_SECONDS = 600.0
CROWDED = (
    "So many flows train on this server that each would crawl. Yours is number {place} of those that wait, and goes on "
    "by itself when others pause."
)

log = logging.getLogger(__name__)


class Floor:
    """Runs are admitted, and have their flows in memory, while `memory()` stays below `memory_limit` bytes. Others
    queue, and those whose pages are gone make room for them, the longest absent first. Of those that are admitted so
    many train as have a useful pace (`crowding`).

    `handle` takes commands, and `look_around` does what time has brought, both in one thread. What is to be said goes
    to `say`, from any thread. `begin` is called with each new run: it sees to its turns until it `has_ended`, in a
    thread of its own or by hand.
    """

    def __init__(
        self,
        say: Callable[[Said | Exported], None],
        begin: Callable[[Run], None],
        clocks: Clocks,
        *,
        gate: Gate | None = None,
        memory_limit: int = 4 * 2**30,
        memory: Callable[[], int] = resident_bytes,
        new_job: Callable[..., ArmJob] = job_of,
        new_line: Callable[[str], Line] = lambda id: NO_LINE,
    ):
        self._clocks = clocks
        self._shared = Shared(clocks, gate or Gate(1, clocks.cpu), new_job, say)
        self._say, self._new_line, self._begin = say, new_line, begin
        self._memory_limit, self._memory = memory_limit, memory
        self._runs: dict[str, Run] = {}  # in the order of arrival
        self._seen: dict[str, float] = {}  # when their pages were last heard of
        self._away_since: dict[str, float] = {}  # when those that are not present were missed
        self._crowding = Crowding(clocks.wall())
        self._worked: dict[str, float] = {}  # seconds that each had worked at the last look
        self._advised = -math.inf  # when the log last said what would make room

    def handle(self, command: Command) -> None:
        """Pass it on to its run. One about an unknown run has come too late."""
        if isinstance(command, Create):
            self._create(command)
            return
        run = self._runs.get(command.id)
        if run is None:
            if isinstance(command, Export):
                self._say(Exported(command.ticket, None))
            return
        if isinstance(command, Poll | Attend):
            self._seen[run.id] = self._clocks.attendance()
        if isinstance(command, Attend):
            return
        if isinstance(command, Poll):
            run.present = True
        elif isinstance(command, Leave):
            self._miss(run)
        elif isinstance(command, Close):
            self._forget(run)
        run.tell(command)

    def look_around(self) -> None:
        """Drop whose page is gone, let in for whom there is room, and let some wait where all would crawl."""
        self._clear()
        self._admit()
        self._keep_a_useful_pace()
        self._shared.moving = sum(run.moving for run in self._runs.values())

    def end_all(self) -> None:
        """The worker ends, and its runs do."""
        for run in [*self._runs.values()]:
            self._end(run)

    def is_empty(self) -> bool:
        return not self._runs

    def _create(self, create: Create) -> None:
        if before := self._runs.get(create.id):
            self._end(before)
        run = self._runs[create.id] = Run(create, self._shared, self._new_line(create.id))
        self._seen[run.id] = self._away_since[run.id] = self._clocks.attendance()
        self._admit()
        self._begin(run)

    def _miss(self, run: Run) -> None:
        if run.present:
            run.present, self._away_since[run.id] = False, self._clocks.attendance()
            run.wake()

    def _forget(self, run: Run) -> None:
        del self._runs[run.id]
        for table in (self._seen, self._away_since, self._worked):
            table.pop(run.id, None)

    def _end(self, run: Run) -> None:
        """Without a word: its last checkpoint is at the server."""
        self._forget(run)
        run.has_ended = True
        run.wake()

    def _drop(self, run: Run, why: str) -> None:
        self._end(run)
        self._say(Report(run.id, State.EXPIRED, message=f"This run was dropped: {why}."))

    def _clear(self) -> None:
        now = self._clocks.attendance()
        for run in [*self._runs.values()]:
            silent = now - self._seen[run.id]
            if run.present and silent > AWAY_SECONDS:
                self._miss(run)
            if run.admitted and not run.present and now - self._away_since[run.id] > ASIDE_SECONDS:
                self._set(run, admitted=False)
            if silent > DROP_SECONDS:
                self._drop(run, "its page did not answer for ten minutes")
        aside = [run for run in self._runs.values() if run.is_aside]
        aside.sort(key=lambda run: self._away_since[run.id], reverse=True)
        used = 0
        for others, run in enumerate(aside):
            used += run.saved_bytes
            if others and (others >= MOST_ASIDE or used > MOST_ASIDE_BYTES):
                silent = now - self._seen[run.id]
                self._drop(run, f"its page did not answer for {silent:.0f} s, and {others} others have left since")

    def _admit(self) -> None:
        absent = [run for run in self._runs.values() if run.admitted and not run.present]
        absent.sort(key=lambda run: self._seen[run.id], reverse=True)
        admitted, place = sum(run.admitted for run in self._runs.values()), 0
        for run in [*self._runs.values()]:
            if run.admitted:
                continue
            if not run.present:
                self._set(run, 0)  # a page that is gone waits for nothing
                continue
            if not place and absent and not self._has_memory(admitted):
                gone, admitted = absent.pop(), admitted - 1
                silent = self._clocks.attendance() - self._seen[gone.id]
                self._drop(gone, f"others waited for a place, and this page did not answer for {silent:.0f} s")
            if not place and self._has_memory(admitted):
                self._set(run, 0, admitted=True)
                admitted += 1
            else:
                place += 1
                self._set(run, place, self._queue_message(place))

    def _has_memory(self, admitted: int) -> bool:
        # Memory that was freed may stay with the process, so the last one out lets the next one in.
        return admitted == 0 or self._memory() < self._memory_limit

    def _keep_a_useful_pace(self) -> None:
        """Let some wait where all would crawl."""
        for run in self._runs.values():
            self._crowding.note(run.ticket.worked - self._worked.get(run.id, 0.0))
            self._worked[run.id] = run.ticket.worked
        eager = [run for run in self._runs.values() if run.wants_steps]
        out_before = [run for run in self._runs.values() if run.crowded_out]
        self._crowding.look(self._clocks.wall(), eager)
        for run in out_before:
            if not run.wants_steps:
                run.crowded_out = False
            if not run.crowded_out:
                self._set(run, 0)
        waiting = sorted((run for run in eager if run.crowded_out), key=lambda run: run.wants_steps_since)
        for place, run in enumerate(waiting, 1):
            self._set(run, place, CROWDED.format(place=place))

    def _set(self, run: Run, place: int = 0, why: str = "", admitted: bool | None = None) -> None:
        """Let it wait at this place (0: none), for this reason, and be told so."""
        before = run.admitted, run.crowded_out, run.queue_place, run.waits
        run.queue_place, run.waits = place, why
        if admitted is not None:
            run.admitted = admitted
        if before != (run.admitted, run.crowded_out, run.queue_place, run.waits):
            run.wake()

    def _queue_message(self, place: int) -> str:
        """For the person who waits. What only the server's owner can do goes to the log."""
        if (now := self._clocks.wall()) - self._advised >= ADVICE_SECONDS:
            self._advised = now
            log.warning(
                "Pages wait for a place: this process has %g GiB of memory for experiments. Start the app with more "
                "WORKERS where there are more cores.",
                self._memory_limit / 2**30,
            )
        return (
            f"All places are taken. This page is number {place} in the queue and starts by itself. If you have other "
            "pages of this app open, close one of them."
        )
