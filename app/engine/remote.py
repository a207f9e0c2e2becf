"""The engine that trains in worker processes. A poll never waits for one: it returns the newest that is known."""

import atexit
import itertools
import logging
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import Future
from pathlib import Path
from typing import BinaryIO

from app.engine.buttons import Buttons
from app.engine.mailbox import Mailbox
from app.engine.memo import Memo
from app.engine.messages import (
    DROPPED,
    Checkpoint,
    Close,
    Command,
    Demand,
    Experiment,
    Export,
    Exported,
    Poll,
    Report,
    State,
)

ROOT = Path(__file__).resolve().parents[2]
FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 10.0
# A worker that lived this long is started again as fast as the first.
STEADY_SECONDS = 30.0
GRACE_SECONDS = 2.0
EXPORT_SECONDS = 5.0
# glibc hands freed memory back to the system and takes it anew, page by page, at every step: pictures and samples take
# a third less time where the worker keeps it.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**28), "MALLOC_TRIM_THRESHOLD_": str(2**30)}

log = logging.getLogger(__name__)


class RemoteEngine(Buttons):
    """The interface is `Engine`'s. Each experiment lives in the worker that held the fewest when it was created."""

    def __init__(self, workers: int = 1):
        self._links = [Link() for _ in range(workers)]
        atexit.register(self.close_all)

    def create(self, experiment: Experiment) -> str:
        id = uuid.uuid4().hex
        min(self._links, key=lambda link: len(link)).create(id, experiment)
        return id

    def poll(self, id: str, demand: Demand) -> Report:
        link = self._link(id)
        report = link.poll(Poll(id, demand)) if link else None
        return report or Report(id, State.EXPIRED, message=DROPPED)

    def export(self, id: str, arm_index: int) -> bytes | None:
        link = self._link(id)
        return link.export(id, arm_index) if link else None

    def pids(self) -> list[int]:
        """The process ids of the workers that run now."""
        return [link.process.pid for link in self._links if link.process and link.process.poll() is None]

    def close_all(self) -> None:
        """End the workers."""
        for link in self._links:
            link.close()

    def _link(self, id: str) -> "Link | None":
        return next((link for link in self._links if id in link), None)

    def _send(self, command: Command) -> None:
        if link := self._link(command.id):
            link.send(command)


class Link:
    """One worker process at a time, and the memos from which the next one continues.

    One thread reads reports and restarts the worker, another writes commands, so that no page waits for a full pipe.
    While no worker runs, commands change the memos only; the next worker learns everything from those.
    """

    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None
        self._memos: dict[str, Memo] = {}
        self._exports: dict[int, Future[bytes | None]] = {}  # by their tickets, while somebody waits for them
        self._tickets = itertools.count()
        self._lock = threading.Lock()  # guards the memos, and that the worker is told the same in the same order
        self._outbox: queue.SimpleQueue[Command | None] | None = None
        self._closing = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="training", daemon=True)
        self._supervisor.start()

    def __len__(self) -> int:
        return len(self._memos)

    def __contains__(self, id: str) -> bool:
        return id in self._memos

    def create(self, id: str, experiment: Experiment) -> None:
        with self._lock:
            memo = self._memos[id] = Memo(experiment, Mailbox(id))
            self._put(*memo.start())

    def send(self, command: Command) -> None:
        with self._lock:
            if isinstance(command, Close):
                self._memos.pop(command.id, None)
            elif memo := self._memos.get(command.id):
                memo.note(command)
            self._put(command)

    def poll(self, poll: Poll) -> Report | None:
        with self._lock:
            self._put(poll)
            memo = self._memos.get(poll.id)
            return memo.answer() if memo else None

    def export(self, id: str, arm_index: int) -> bytes | None:
        """Waits without the lock, so that polls do not."""
        ticket, answer = next(self._tickets), Future()
        with self._lock:
            if not self._outbox:
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
            self._put(None)
        self._supervisor.join(GRACE_SECONDS)
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _put(self, *commands: Command | None) -> None:
        if self._outbox:
            for command in commands:
                self._outbox.put(command)

    def _supervise(self) -> None:
        delay = FIRST_DELAY_SECONDS
        while not self._closing.is_set():
            started = time.monotonic()
            try:
                self._run_worker()
            except Exception:  # no memory for a process, say: later there may be
                log.exception("The training process could not be run")
            if self._closing.is_set():
                return
            delay = FIRST_DELAY_SECONDS if time.monotonic() - started > STEADY_SECONDS else delay
            log.warning("The training process ended; it is started again in %.1f s", delay)
            self._closing.wait(delay)
            delay = min(2 * delay, LONGEST_DELAY_SECONDS)

    def _run_worker(self) -> None:
        """Start a worker, tell it everything, and listen to it until it ends."""
        command = [sys.executable, "-m", "app.engine.worker"]
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, **KEEP_MEMORY, "PYTHONPATH": paths}
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        outbox: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        with self._lock:
            self.process, self._outbox = process, outbox
            for memo in self._memos.values():
                self._put(*memo.start())
            if self._closing.is_set():
                outbox.put(None)
        threading.Thread(target=_write, args=(outbox, process.stdin), name="commands", daemon=True).start()
        try:
            while True:
                self._receive(pickle.load(process.stdout))
        except (EOFError, pickle.UnpicklingError):  # the second, when it was killed in the middle of a report
            pass
        finally:
            process.stdout.close()
            process.kill()
            process.wait()
            with self._lock:
                self._outbox = None
                for memo in self._memos.values():
                    memo.lose()
                for answer in self._exports.values():
                    answer.set_result(None)
                self._exports.clear()
            outbox.put(None)

    def _receive(self, message: Report | Checkpoint | Exported) -> None:
        with self._lock:
            if isinstance(message, Exported):
                if answer := self._exports.pop(message.ticket, None):
                    answer.set_result(message.data)
            elif isinstance(message, Report) and message.state is State.EXPIRED:
                self._memos.pop(message.id, None)
            elif memo := self._memos.get(message.id):
                memo.receive(message)


def _write(outbox: "queue.SimpleQueue[Command | None]", stream: BinaryIO) -> None:
    """Send commands until None comes; closing the pipe tells the worker to end."""
    try:
        with stream:
            while (command := outbox.get()) is not None:
                pickle.dump(command, stream)
                stream.flush()
    except BrokenPipeError:
        pass
