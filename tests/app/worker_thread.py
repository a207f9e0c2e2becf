"""A worker in a thread of this process: begun at once, where a process would first import torch for seconds."""

import pickle
import queue
import threading
import time

from app.engine.flight_recorder import Entry
from app.engine.worker import serve
from app.turns import Turns

TURNS = Turns(1)
"""Each of these workers computes as if it were alone in its process."""
BETWEEN_SECONDS = 0.002


class WorkerThread:
    """A `remote.Worker`, and the flight recorder of what it does. What it is told and says is pickled on its way."""

    pid = None

    def __init__(self):
        self._entry, self._ended = Entry(0, "", 0), threading.Event()
        self._commands, self._said = Commands(self._ended), queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()

    def send(self, command):
        self._commands.put(pickle.loads(pickle.dumps(command)))

    def receive(self):
        if (said := self._said.get()) is None:
            raise EOFError
        return pickle.loads(said)

    def last(self):
        return self._entry

    def kill(self):
        self._ended.set()

    end = kill

    def bury(self):
        self.kill()
        self._thread.join()
        return self._entry

    def begin(self, run="", step=0):
        self._entry = Entry(self._entry.number + 1, run, step)

    def _run(self):
        try:
            with TURNS.turn():
                serve(self._commands, self._say, self)
        finally:
            self._said.put(None)

    def _say(self, messages):
        self._said.put(pickle.dumps(messages))
        _rest(self._ended)


class Commands(queue.SimpleQueue):
    """Whoever waits for one lets others have their turn."""

    def __init__(self, ended):
        super().__init__()
        self._ended = ended

    def get(self, timeout=0.0):
        until = time.monotonic() + timeout
        while self.empty() and time.monotonic() < until:
            _rest(self._ended, BETWEEN_SECONDS)
        return self.get_nowait()


def _rest(ended, seconds=0.0):
    """Ends the thread of a worker that is over."""
    if ended.is_set():
        raise SystemExit
    TURNS.rest(seconds)
