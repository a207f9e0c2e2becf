"""The engine that trains in worker processes, of this machine or a cluster: what it tells them, hears of them, and does
when one dies or hangs. A poll never waits for one: it returns the newest that is known."""

import atexit
import itertools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Protocol

from app.engine.buttons import Buttons
from app.engine.clocks import Pulse
from app.engine.commands import Attend, Beat, Close, Command, Export, Look, Play, Poll, Reset, Step
from app.engine.comparison import places
from app.engine.experiment import Arm, Experiment
from app.engine.records.dropped import Dropped
from app.engine.records.experiment_record import HANGS_SECONDS, NOWHERE, ExperimentRecord, Restart, Where
from app.engine.records.flight_recorder import Entry
from app.engine.records.heartbeats import Heartbeats
from app.engine.records.latest_report import LatestReport
from app.engine.records.stored import Stored
from app.engine.records.watchers import Heard, Watchers
from app.engine.reports import Checkpoint, Exported, HandedOut, Report, State
from app.engine.worker.process import WorkerProcess

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
    """The interface is `Engine`'s. Each run lives in the worker that had the least to do when it was created.

    `keep` is told of each run what would restart it, whenever that is news; None once it is over."""

    def __init__(
        self,
        workers: int = 1,
        start: Callable[[], Worker] = WorkerProcess,
        keep: Callable[[str, Restart | None], None] = lambda id, restart: None,
    ):
        super().__init__()
        self._links: list[WorkerClient] = []
        self._pulse = Pulse(lambda: [link.each_second() for link in self._links])
        self._links += [WorkerClient(self._pulse, self._stored, start, keep) for _ in range(workers)]
        atexit.register(self.close_all)

    def pids(self) -> list[int]:
        """The process ids of the workers that run now."""
        return [pid for link in self._links if (pid := link.pid)]

    def restore(self, runs: Mapping[str, Restart]) -> None:
        """Have these runs of another server, by the names that `keep` was told."""
        experiments: dict[str, dict[int, Restart]] = {}
        for name, restart in runs.items():
            if restart.checkpoint:
                self._stored.put(restart.checkpoint)
            id, _, index = name.partition(".")
            experiments.setdefault(id, {})[int(index or 0)] = restart
        for id, found in experiments.items():
            arms = [found[k] for k in sorted(found)]
            if any(
                len(restart.experiment.arms) > 1 or max(1, len(restart.experiment.whole)) != len(arms)
                for restart in arms
            ):
                log.warning("The record of run %s is not whole; the run is lost", id)
                continue
            goal = max(restart.checkpoint.step if restart.checkpoint else 0 for restart in arms)
            links = self._links_for([restart.experiment.arms[0] for restart in arms])
            for name, link, restart in zip(self._names(id, links, goal), links, arms, strict=True):
                link.restore(name, restart)

    def close_all(self) -> None:
        """End the workers."""
        atexit.unregister(self.close_all)
        self._pulse.stop()
        for link in self._links:
            link.close()

    def _links_for(self, arms: Sequence[Arm]) -> "list[WorkerClient]":
        return [self._links[k] for k in places(arms, [link.load for link in self._links])]

    def _home(self, id: str) -> "WorkerClient | None":
        return next((link for link in self._links if id in link), None)


class WorkerClient:
    """One worker process at a time, and the records from which the next one continues.

    A thread reads reports and restarts the worker. While no worker runs, commands change the records only; the next
    worker learns everything from those. `each_second`, called so by the pulse, passes on the time and ends a worker
    that hangs.
    """

    def __init__(
        self,
        pulse: Pulse,
        stored: Stored,
        start: Callable[[], Worker],
        keep: Callable[[str, Restart | None], None],
    ) -> None:
        self._pulse, self._stored, self._start, self._keep = pulse, stored, start, keep
        self._records: dict[str, ExperimentRecord] = {}
        self._dropped = Dropped()
        self._watchers = Watchers()
        self._exports: dict[int, Future[bytes | None]] = {}  # by their tickets, while somebody waits for them
        self._tickets = itertools.count()
        self._lock = threading.Lock()  # guards the records, and that the worker is told the same in the same order
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
    def load(self) -> tuple[int, int]:
        """The number of flows that train in it, and that of its experiments."""
        with self._lock:
            moving = (len(record.experiment.arms) for record in self._records.values() if record.moves)
            return sum(moving), len(self._records)

    def __contains__(self, id: str) -> bool:
        return id in self._records or id in self._dropped

    def create(self, id: str, experiment: Experiment, checkpoint: Checkpoint | None) -> None:
        with self._lock:
            record = self._records[id] = ExperimentRecord(experiment, LatestReport(id), checkpoint, clock=self._pulse)
            self._put(*record.start())
            self._keep(id, record.restart())

    def restore(self, id: str, restart: Restart) -> None:
        with self._lock:
            record = ExperimentRecord.again(id, restart, self._pulse)
            if restart.dropped:
                record.drop("The server was restarted.")
                self._dropped.put(id, record)
            else:
                self._records[id] = record
                self._put(*record.start())

    def newest(self, id: str) -> Checkpoint | None:
        """The newest checkpoint of a run."""
        with self._lock:
            record = self._records.get(id) or self._dropped.get(id)
            return record.checkpoint if record else None

    def watch(self, id: str, heard: Heard) -> Callable[[], None]:
        return self._watchers.add(id, heard)

    def where(self, id: str) -> Where:
        with self._lock:
            record = self._records.get(id) or self._dropped.get(id)
            return record.where if record else NOWHERE

    def send(self, command: Command) -> None:
        with self._lock:
            if isinstance(command, Close):
                record = self._dropped.pop(command.id) or self._records.pop(command.id, None)
                if record:
                    self._keep(command.id, None)
            elif record := self._taken_up(command):
                record.note(command)
                self._keep(command.id, record.restart())
            self._put(command)

    def poll(self, poll: Poll) -> Report | None:
        with self._lock:
            self._put(poll)
            record = self._records.get(poll.id) or self._dropped.get(poll.id)
            return record.answer(self._heartbeats.silence(poll.id, self._pulse())) if record else None

    def attend(self, id: str) -> None:
        with self._lock:
            if record := self._records.get(id):
                record.seen = self._pulse()
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
        """The record that a command is about; one that was dropped or set aside goes on where it is to do something."""
        record = self._records.get(command.id)
        if isinstance(command, Play | Step | Reset):
            if dropped := self._dropped.pop(command.id):
                record = self._records[command.id] = dropped
            if record and (dropped or record.set_aside):
                self._put(*record.take_up())
        return record

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
            for record in self._records.values():
                if not record.set_aside:
                    self._put(*record.start())
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
                for id, record in self._records.items():
                    if not record.set_aside:
                        record.lose(at.get(id))
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
                if record := self._records.pop(message.id, None):
                    record.drop(message.message)
                    self._dropped.put(message.id, record)
                    self._keep(message.id, record.restart(dropped=True))
            elif record := self._records.get(message.id):
                if isinstance(message, HandedOut):
                    record.mailbox.hand(message)
                else:
                    record.receive(message)
                if isinstance(message, Report | HandedOut):
                    message = replace(message, rewinds=record.mailbox.report.rewinds)
                elif not passes:
                    self._keep(message.id, record.restart())
        if isinstance(message, Report | HandedOut):
            self._watchers.tell(message)
