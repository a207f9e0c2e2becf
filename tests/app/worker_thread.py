"""A worker in threads of this process: begun at once, where a process would first import torch for seconds."""

import pickle
import queue
import threading

from app.engine.records.flight_recorder import FlightRecorder
from app.engine.worker.__main__ import serve


class WorkerThread:
    """A `remote.Worker`. What it is told and says is pickled on its way."""

    pid = None

    def __init__(self):
        self._recorder, self._ended = FlightRecorder(), threading.Event()
        self._recorder.remove()
        self._commands, self._said = queue.SimpleQueue(), queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()

    def send(self, command):
        self._commands.put(pickle.loads(pickle.dumps(command)))

    def receive(self):
        if (said := self._said.get()) is None:
            raise EOFError
        return [pickle.loads(said)]

    def entries(self):
        return self._recorder.entries()

    def kill(self):
        self._ended.set()
        self._commands.put(None)

    end = kill

    def bury(self):
        self.kill()
        self._thread.join()
        return self._recorder.entries()

    def _run(self):
        try:
            serve(self._commands, self._say, self._recorder)
        finally:
            self._said.put(None)

    def _say(self, message):
        if not self._ended.is_set():  # what a killed process would say does not arrive
            self._said.put(pickle.dumps(message))
