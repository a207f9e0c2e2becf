"""The training process as its server has it: commands go to its standard input, reports come from its output."""

import atexit
import os
import pickle
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from app.engine.commands import Beat, Command
from app.engine.records.flight_recorder import Entry, FlightRecorder

# The next process is started so long after this one: it would take the time in which kernels are loaded or compiled.
SPARE_SECONDS = 20.0
ROOT = Path(__file__).resolve().parents[3]
# glibc hands freed memory back to the system and takes it anew, page by page, at every step: pictures and samples take
# a third less time where the worker keeps it. Kernels multiply matrices by SciPy's OpenBLAS, which would start threads.
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(2**28),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "OPENBLAS_NUM_THREADS": "1",
}


class WorkerProcess:
    """A `remote.Worker`. A thread writes its commands, so that no page waits for a full pipe."""

    def __init__(self) -> None:
        self._recorder = FlightRecorder()
        command = [sys.executable, "-m", "app.engine.worker", str(self._recorder.path)]
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": paths}
        try:
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except BaseException:
            self._recorder.remove()
            raise
        assert self._process.stdin and self._process.stdout
        self._reports: BinaryIO = self._process.stdout  # type: ignore[assignment]
        self._outbox: queue.SimpleQueue[Command | Beat | None] = queue.SimpleQueue()
        writer = threading.Thread(target=_write, args=(self._outbox, self._process.stdin), name="commands", daemon=True)
        writer.start()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process.poll() is None else None

    def send(self, command: Command | Beat) -> None:
        self._outbox.put(command)

    def receive(self) -> list[Any]:
        try:
            return [pickle.load(self._reports)]
        except pickle.UnpicklingError as error:  # it was killed in the middle of a report
            raise EOFError from error

    def entries(self) -> list[Entry]:
        return self._recorder.entries()

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        self._outbox.put(None)

    def bury(self) -> list[Entry]:
        self._outbox.put(None)
        self._reports.close()
        self._process.kill()
        self._process.wait()
        entries = self._recorder.entries()
        self._recorder.remove()
        return entries


class Spare:
    """Starts processes, and keeps one more, which has imported all it needs and waits for its first command. On a busy
    machine that takes half a minute, in which nobody would train."""

    def __init__(self, after: float = SPARE_SECONDS) -> None:
        self._after, self._lock, self._is_closed = after, threading.Lock(), False
        self._spare: WorkerProcess | None = None
        self._timer: threading.Timer | None = None
        atexit.register(self.close)

    def __call__(self) -> WorkerProcess:
        with self._lock:
            spare, self._spare = self._spare, None
            if self._timer is None and not self._is_closed:
                self._timer = threading.Timer(self._after, self._keep)
                self._timer.daemon = True
                self._timer.start()
        if spare and spare.pid:
            return spare
        if spare:
            spare.bury()
        return WorkerProcess()

    def close(self) -> None:
        """Keep none any more."""
        atexit.unregister(self.close)
        with self._lock:
            self._is_closed = True
            if self._timer:
                self._timer.cancel()
            if self._spare:
                self._spare.bury()
            self._spare = None

    def _keep(self) -> None:
        with self._lock:
            self._timer = None
            if not self._is_closed:
                self._spare = WorkerProcess()


def _write(outbox: "queue.SimpleQueue[Command | Beat | None]", stream: BinaryIO) -> None:
    """Send commands until None comes; closing the pipe tells the worker to end."""
    try:
        with stream:
            while (command := outbox.get()) is not None:
                pickle.dump(command, stream)
                stream.flush()
    except BrokenPipeError:
        pass
