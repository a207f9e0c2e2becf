"""The engine that trains in worker processes. A poll never waits for one: it returns the newest that is known."""

import atexit
import itertools
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Protocol

from app.engine.buttons import Buttons
from app.engine.clocks import Pulse
from app.engine.commands import Attend, Beat, Close, Command, Export, Look, Play, Poll, Reset, Step, ViewRequest, Wish
from app.engine.divided import Divided, Where
from app.engine.division import Numbers, division, part_of
from app.engine.dropped import Dropped
from app.engine.experiment import Experiment
from app.engine.experiment_record import HANGS_SECONDS, ExperimentRecord, Kept
from app.engine.flight_recorder import Entry
from app.engine.heartbeats import Heartbeats
from app.engine.latest_report import LatestReport
from app.engine.process import WorkerProcess
from app.engine.reports import UNKNOWN, Checkpoint, Exported, HandedOut, Report, State
from app.engine.stored import Stored
from app.engine.watchers import Heard, Watchers

# Between the end of a process and the next one. It grows only while processes end before they did anything.
FIRST_DELAY_SECONDS = 0.05
LONGEST_DELAY_SECONDS = 10.0
# A process that gives no sign of life for `HANGS_SECONDS` is ended, and so is one that does not come up in this time.
STARTS_SECONDS = 120.0
GRACE_SECONDS = 2.0
EXPORT_SECONDS = 5.0

log = logging.getLogger(__name__)


class Worker(Protocol):
    """A training process of this machine (`WorkerProcess`) or of a cluster (`actors.WorkerActor`), from its start to
    its end."""

    @property
    def pid(self) -> int | None:
        """Its process id; None if it does not run (any more), or elsewhere."""
        ...

    def send(self, command: Command | Beat) -> None:
        """Have it told, in the order of the calls. Does not wait."""
        ...

    def receive(self) -> list[Any]:
        """What it says next, reports and the like, as soon as there is something. Raises EOFError once it has ended."""
        ...

    def entries(self) -> list[Entry]:
        """What its runs do, as far as is known here."""
        ...

    def kill(self) -> None: ...

    def end(self) -> None:
        """Let it end by itself, once it was told all."""
        ...

    def bury(self) -> list[Entry]:
        """Let go of all that belongs to it, which has ended or is ended by that, and return what its runs did last."""
        ...


class RemoteEngine(Buttons):
    """The interface is `Engine`'s. Each experiment lives in the worker that had the least to do when it was created;
    the arms of a comparison are divided over all.

    `keep` is told of each run what would restart it, whenever that is news; None once it is over."""

    def __init__(
        self,
        workers: int = 1,
        start: Callable[[], Worker] = WorkerProcess,
        keep: Callable[[str, Kept | None], None] = lambda id, kept: None,
    ):
        super().__init__()
        self._divided: dict[str, Divided] = {}
        self._links: list[WorkerClient] = []
        self._pulse = Pulse(lambda: [link.each_second() for link in self._links])
        self._new_link = lambda: WorkerClient(self._pulse, self._stored, start, keep)
        self._links += [self._new_link() for _ in range(workers)]
        atexit.register(self.close_all)

    def create(self, experiment: Experiment, step: int = 0, made_by: tuple[str, ...] = ()) -> str:
        if len(parts := self._division(experiment)) == 1:
            return super().create(experiment, step, made_by)
        id, step = uuid.uuid4().hex, self.stored(experiment, step, made_by)
        links = dict(zip(parts, sorted(self._links, key=lambda link: link.load), strict=False))
        self._divided[id] = Divided(id, links, step)
        for numbers, link in links.items():
            part = part_of(experiment, numbers)
            link.create(id, part, self._found(id, part, step, _of(made_by, numbers)))
        return id

    def stored(self, experiment: Experiment, step: int, made_by: tuple[str, ...] = ()) -> int:
        return max(self.checkpoints(experiment, step, made_by), default=0)

    def checkpoints(self, experiment: Experiment, step: int, made_by: tuple[str, ...] = ()) -> tuple[int, ...]:
        """Of a comparison that is divided: each step at which one part was saved, and the others before it."""
        steps = [
            self._stored.steps(part_of(experiment, numbers), step, _of(made_by, numbers))
            for numbers in self._division(experiment)
        ]
        if not all(steps):
            return ()
        return tuple(sorted(step for step in set().union(*steps) if step >= max(map(min, steps))))

    def preserve(self, id: str) -> int:
        if not (divided := self._divided.get(id)):
            return super().preserve(id)
        newest = divided.newest()
        steps = [checkpoint.step for checkpoint in newest if checkpoint and self._stored.put(checkpoint)]
        return max(steps) if len(steps) == len(newest) else 0

    def poll(self, id: str, request: ViewRequest) -> Report:
        link = self._link(id)
        report = link.poll(Poll(id, request)) if link else None
        return report or Report(id, State.EXPIRED, message=UNKNOWN)

    def attend(self, id: str) -> None:
        if link := self._link(id):
            link.attend(id)

    def look(self, id: str, wish: Wish) -> None:
        if link := self._link(id):
            link.look(Look(id, wish))

    def watch(self, id: str, heard: Heard) -> Callable[[], None]:
        link = self._link(id)
        return link.watch(id, heard) if link else lambda: None

    def export(self, id: str, arm_index: int) -> bytes | None:
        link = self._link(id)
        return link.export(id, arm_index) if link else None

    def pids(self) -> list[int]:
        """The process ids of the workers that run now."""
        return [pid for link in self._links if (pid := link.pid)]

    def restore(self, runs: Mapping[str, Kept]) -> None:
        """Have these runs of another server, by the names that `keep` was told."""
        parts: dict[str, dict[Numbers, Kept]] = {}
        for name, kept in runs.items():
            if kept.checkpoint:
                self._stored.put(kept.checkpoint)
            parts.setdefault(name.partition(".")[0], {})[kept.experiment.numbers] = kept
        for id, of_run in parts.items():
            while len(self._links) < len(of_run):
                self._links.append(self._new_link())
            links = dict(zip(of_run, sorted(self._links, key=lambda link: link.load), strict=False))
            if any(of_run):
                goal = max(kept.checkpoint.step if kept.checkpoint else 0 for kept in of_run.values())
                self._divided[id] = Divided(id, links, goal)
            for numbers, link in links.items():
                link.restore(id, of_run[numbers])

    def close_all(self) -> None:
        """End the workers."""
        atexit.unregister(self.close_all)
        self._pulse.stop()
        for link in self._links:
            link.close()

    def _begin(self, id: str, experiment: Experiment, checkpoint: Checkpoint | None) -> None:
        self._least_loaded().create(id, experiment, checkpoint)

    def _least_loaded(self) -> "WorkerClient":
        return min(self._links, key=lambda link: link.load)

    def _newest(self, id: str) -> Checkpoint | None:
        link = next((link for link in self._links if id in link), None)
        return link.newest(id) if link else None

    def _division(self, experiment: Experiment) -> tuple[Numbers, ...]:
        return division(experiment, len(self._links))

    def _link(self, id: str) -> "WorkerClient | Divided | None":
        return self._divided.get(id) or next((link for link in self._links if id in link), None)

    def _send(self, command: Command) -> None:
        if link := self._link(command.id):
            link.send(command)
        if isinstance(command, Close) and (divided := self._divided.pop(command.id, None)):
            divided.close()


def _of(made_by: tuple[str, ...], numbers: Numbers) -> tuple[str, ...]:
    """What computed these arms, of what computed all."""
    return tuple(made_by[number] for number in numbers) if made_by else ()


class WorkerClient:
    """One worker process at a time, and the memos from which the next one continues.

    A thread reads reports and restarts the worker. While no worker runs, commands change the memos only; the next
    worker learns everything from those. `each_second`, called so by the pulse, passes on the time and ends a worker
    that hangs.
    """

    def __init__(
        self,
        pulse: Pulse,
        stored: Stored,
        start: Callable[[], Worker],
        keep: Callable[[str, Kept | None], None],
    ) -> None:
        self._pulse, self._stored, self._start, self._keep = pulse, stored, start, keep
        self._memos: dict[str, ExperimentRecord] = {}
        self._dropped = Dropped()
        self._watchers = Watchers()
        self._exports: dict[int, Future[bytes | None]] = {}  # by their tickets, while somebody waits for them
        self._tickets = itertools.count()
        self._lock = threading.Lock()  # guards the memos, and that the worker is told the same in the same order
        self._worker: Worker | None = None  # while one runs
        self._heartbeats = Heartbeats(pulse())  # of the present worker
        self._hung: frozenset[str] = frozenset()  # runs that it was ended for
        self._closing = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="training", daemon=True)
        self._supervisor.start()

    @property
    def pid(self) -> int | None:
        """That of the worker, if it runs on this machine."""
        worker = self._worker
        return worker.pid if worker else None

    @property
    def held(self) -> int:
        """The number of its experiments."""
        return len(self._memos)

    @property
    def load(self) -> tuple[int, int]:
        """The number of flows that train in it, and that of its experiments."""
        with self._lock:
            moving = (len(memo.experiment.arms) for memo in self._memos.values() if memo.moves)
            return sum(moving), self.held

    def __contains__(self, id: str) -> bool:
        return id in self._memos or id in self._dropped

    def create(self, id: str, experiment: Experiment, checkpoint: Checkpoint | None) -> None:
        with self._lock:
            memo = self._memos[id] = ExperimentRecord(experiment, LatestReport(id), checkpoint, clock=self._pulse)
            self._put(*memo.start())
            self._keep(memo.name, memo.kept())

    def restore(self, id: str, kept: Kept) -> None:
        with self._lock:
            memo = ExperimentRecord.again(id, kept, self._pulse)
            if kept.dropped:
                memo.drop("The server was restarted.")
                self._dropped.put(id, memo)
            else:
                self._memos[id] = memo
                self._put(*memo.start())

    def newest(self, id: str) -> Checkpoint | None:
        """The newest checkpoint of a run."""
        with self._lock:
            memo = self._memos.get(id) or self._dropped.get(id)
            return memo.checkpoint if memo else None

    def watch(self, id: str, heard: Heard) -> Callable[[], None]:
        return self._watchers.add(id, heard)

    def where(self, id: str) -> "Where":
        """How far a run is, and what it is to do, as far as is known here."""
        with self._lock:
            if memo := self._memos.get(id) or self._dropped.get(id):
                report, step = memo.mailbox.report, max(memo.step, memo.saved_step if id in self._dropped else 0)
                seconds = sum(arm.seconds / arm.step for arm in report.arms if arm.step)
                return Where(report.state, step, memo.goal or step, report.handled >= memo.sent, seconds)
            return Where(State.EXPIRED, 0, 0, True, 0.0)

    def send(self, command: Command) -> None:
        with self._lock:
            if isinstance(command, Close):
                memo = self._dropped.pop(command.id) or self._memos.pop(command.id, None)
                if memo:
                    self._keep(memo.name, None)
            elif memo := self._taken_up(command):
                memo.note(command)
                self._keep(memo.name, memo.kept())
            self._put(command)

    def poll(self, poll: Poll) -> Report | None:
        with self._lock:
            self._put(poll)
            memo = self._memos.get(poll.id) or self._dropped.get(poll.id)
            return memo.answer(self._heartbeats.silence(poll.id, self._pulse())) if memo else None

    def attend(self, id: str) -> None:
        with self._lock:
            if memo := self._memos.get(id):
                memo.seen = self._pulse()
                self._put(Attend(id))

    def look(self, look: Look) -> None:
        with self._lock:
            self._put(look)

    def each_second(self) -> None:
        """Tell the worker that a second has passed, and end it if it hangs."""
        with self._lock:
            if not self._worker:
                return
            self._put(Beat(1.0))
            self._heartbeats.hear(self._worker.entries(), now := self._pulse())
            silent = self._heartbeats.longer_than(HANGS_SECONDS, STARTS_SECONDS, now)
            if silent and not self._hung:
                log.warning("Runs %s gave no sign for %.0f s; their process is ended", sorted(silent), HANGS_SECONDS)
                self._hung = silent
                self._worker.kill()

    def export(self, id: str, arm_index: int) -> bytes | None:
        """Waits without the lock, so that polls do not."""
        ticket, answer = next(self._tickets), Future()
        with self._lock:
            if not self._worker:
                return None
            self._exports[ticket] = answer
            self._put(Export(id, arm_index, ticket))
        try:
            return answer.result(EXPORT_SECONDS)
        except TimeoutError:
            return None
        finally:
            with self._lock:
                self._exports.pop(ticket, None)

    def close(self) -> None:
        self._closing.set()
        with self._lock:
            if self._worker:
                self._worker.end()
        self._supervisor.join(GRACE_SECONDS)
        with self._lock:
            if self._worker:
                self._worker.kill()
        self._supervisor.join(GRACE_SECONDS)

    def _taken_up(self, command: Command) -> ExperimentRecord | None:
        """The memo that a command is about; one that was dropped or set aside goes on where it is to do something."""
        memo = self._memos.get(command.id)
        if isinstance(command, Play | Step | Reset):
            if dropped := self._dropped.pop(command.id):
                memo = self._memos[command.id] = dropped
            if memo and (dropped or memo.set_aside):
                self._put(*memo.take_up())
        return memo

    def _put(self, *commands: Command | Beat) -> None:
        if self._worker:
            for command in commands:
                self._worker.send(command)

    def _supervise(self) -> None:
        delay = FIRST_DELAY_SECONDS
        while not self._closing.is_set():
            try:
                self._run_worker()
            except Exception:  # no memory for a process, say: later there may be
                log.exception("The training process could not be run")
            if self._closing.is_set():
                return
            delay = FIRST_DELAY_SECONDS if self._heartbeats else min(2 * delay, LONGEST_DELAY_SECONDS)
            log.warning("The training process ended; it is started again in %.1f s", delay)
            self._closing.wait(delay)

    def _run_worker(self) -> None:
        """Start a worker, tell it everything, and listen to it until it ends."""
        worker = self._start()
        with self._lock:
            self._worker = worker
            self._heartbeats, self._hung = Heartbeats(self._pulse()), frozenset()
            for memo in self._memos.values():
                if not memo.set_aside:
                    self._put(*memo.start())
            if self._closing.is_set():
                worker.end()
        try:
            while True:
                for message in worker.receive():
                    self._receive(message)
        except EOFError:
            pass
        finally:
            entries = worker.bury()
            with self._lock:
                self._worker = None
                self._heartbeats.hear(entries, self._pulse())
                at = {one.run: one.step for one in entries if one.works and (not self._hung or one.run in self._hung)}
                for id, memo in self._memos.items():
                    if not memo.set_aside:
                        memo.lose(at.get(id))
                for answer in self._exports.values():
                    answer.set_result(None)
                self._exports.clear()

    def _receive(self, message: Report | HandedOut | Checkpoint | Exported) -> None:
        passes = isinstance(message, Checkpoint) and message.is_passing
        if isinstance(message, Checkpoint) and not passes:
            self._stored.put(message)  # also of a run that was closed meanwhile
        with self._lock:
            if isinstance(message, Exported):
                if answer := self._exports.pop(message.ticket, None):
                    answer.set_result(message.data)
            elif isinstance(message, Report) and message.state is State.EXPIRED:
                if memo := self._memos.pop(message.id, None):
                    memo.drop(message.message)
                    self._dropped.put(message.id, memo)
                    self._keep(memo.name, memo.kept(dropped=True))
            elif memo := self._memos.get(message.id):
                if isinstance(message, HandedOut):
                    memo.mailbox.hand(message)
                else:
                    memo.receive(message)
                if isinstance(message, Report | HandedOut):
                    message = replace(message, rewinds=memo.mailbox.report.rewinds)
                elif not passes:
                    self._keep(memo.name, memo.kept())
        if isinstance(message, Report | HandedOut):
            self._watchers.tell(message)
