"""What runs on a cluster: training processes and the record of all runs, as actors of Ray; and the engine with them."""

import contextlib
import logging
import os
import pickle
import queue
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from app.engine.commands import Beat, Command
from app.engine.records.experiment_record import Restart
from app.engine.records.flight_recorder import Entry, FlightRecorder
from app.engine.remote import RemoteEngine
from app.engine.worker import housekeeping
from app.engine.worker.__main__ import serve

HEAR_SECONDS = 0.5
MOST_SAID = 256  # messages that wait for the server; then training waits too
LAST_WORDS_SECONDS, ANSWER_SECONDS = 5.0, 1.0
KEEPER, KEEPER_BYTES, KEEPER_TRIES = "keeper", 256 * 2**20, 20

log = logging.getLogger(__name__)


class Sign(NamedTuple):
    """Of a worker: where it is, and what its runs do."""

    pid: int
    node: str
    recorder: Path  # a file of its machine
    entries: list[Entry]


class TrainingActor:
    """The same work as `python -m app.engine.worker`, in a thread of one of Ray's processes. Commands are taken one
    call after the other. Who hears waits until there is something to hear."""

    def __init__(self) -> None:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
        housekeeping.start()
        self._recorder = FlightRecorder()
        self._commands: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._said: queue.Queue[Any] = queue.Queue(MOST_SAID)
        threading.Thread(target=self._work, name="training", daemon=True).start()

    @ray.method(concurrency_group="commands")
    def tell(self, commands: list[Command | Beat]) -> None:
        for command in commands:
            self._commands.put(command)

    @ray.method(concurrency_group="commands")
    def end(self) -> None:
        self._recorder.remove()
        os._exit(0)

    @ray.method(concurrency_group="reports")
    def hear(self) -> tuple[Sign, list[Any]]:
        messages = []
        with contextlib.suppress(queue.Empty):
            messages.append(self._said.get(timeout=HEAR_SECONDS))
            while True:
                messages.append(self._said.get_nowait())
        node = ray.get_runtime_context().get_node_id()
        return Sign(os.getpid(), node, self._recorder.path, self._recorder.entries()), messages

    def _work(self) -> None:
        try:
            serve(self._commands, self._say, self._recorder)
        finally:  # it never ends but by an error, which Ray would not see in a thread
            log.exception("Training failed")
            os._exit(1)

    def _say(self, message: Any) -> None:
        self._said.put(message)


class Keeper:
    """What restarts each run, as the page server has written it, out of reach of the page server's own end. Of more
    than `most_bytes` those that were not heard of for the longest are forgotten."""

    def __init__(self, most_bytes: int = KEEPER_BYTES) -> None:
        self._most_bytes = most_bytes
        self._runs: dict[str, bytes] = {}

    def note(self, news: Mapping[str, bytes | None]) -> None:
        """None: the run is over."""
        for id, restart in news.items():
            self._runs.pop(id, None)
            if restart is not None:
                self._runs[id] = restart
        while sum(map(len, self._runs.values())) > self._most_bytes:
            del self._runs[next(iter(self._runs))]

    def runs(self) -> dict[str, bytes]:
        return self._runs


def last_words(path: Path) -> list[Entry]:
    """What a worker that has ended has left on its machine."""
    recorder = FlightRecorder(path)
    recorder.remove()
    return recorder.entries()


def by_load(cpus: Mapping[str, float], workers: Iterable[str]) -> list[str]:
    """Machines with so many CPUs each, first the one that would carry the fewest for them with one more. `workers` are
    the machines of those that there are."""
    held = Counter(workers)
    return sorted(cpus, key=lambda node: ((held[node] + 1) / max(cpus[node], 1e-3), node))


def answers(node: Mapping[str, Any]) -> bool:
    """Whether Ray runs on a machine. Its cluster takes many seconds to notice that it does not."""
    try:
        with socket.create_connection((node["NodeManagerAddress"], node["NodeManagerPort"]), ANSWER_SECONDS):
            return True
    except OSError:
        return False


class Places:
    """Which worker is on which machine. Workers reserve nothing with Ray: when a machine is lost, its runs go on at the
    others, where workers then share CPUs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[object, str] = {}

    def take(self, worker: object) -> str:
        with self._lock:
            nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
            cpus = {id: node["Resources"].get("CPU", 0.0) for id, node in nodes.items()}
            places = by_load(cpus, self._of.values())
            self._of[worker] = place = next((id for id in places if answers(nodes[id])), places[0])
        return place

    def leave(self, worker: object) -> None:
        with self._lock:
            self._of.pop(worker, None)


class WorkerActor:
    """A `remote.Worker` on some machine of the cluster."""

    def __init__(self, places: Places) -> None:
        self._places, self._node = places, places.take(self)
        how: dict[str, Any] = {"concurrency_groups": {"commands": 1, "reports": 1}, "num_cpus": 0}
        self._actor: Any = ray.remote(**how)(TrainingActor).options(scheduling_strategy=_at(self._node)).remote()
        self._sign: Sign | None = None
        self._heard = self._actor.hear.remote()
        self._ended = threading.Event()
        self._outbox: queue.SimpleQueue[Command | Beat | None] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="commands", daemon=True).start()

    @property
    def pid(self) -> int | None:
        if self._sign is None or self._ended.is_set():
            return None
        return self._sign.pid if self._address() == _here() else None

    def send(self, command: Command | Beat) -> None:
        self._outbox.put(command)

    def receive(self) -> list[Any]:
        while not self._ended.is_set():
            try:
                self._sign, messages = ray.get(self._heard, timeout=HEAR_SECONDS)
                self._heard = self._actor.hear.remote()
                return messages
            except GetTimeoutError:
                continue
            except RayError as error:  # the process or its machine is gone, or could not begin
                if not self._ended.is_set():
                    log.warning("A worker of the cluster is gone: %s", error)
                raise EOFError from error
        raise EOFError

    def entries(self) -> list[Entry]:
        return self._sign.entries if self._sign else []

    def kill(self) -> None:
        self._ended.set()
        with contextlib.suppress(RayError, ValueError):  # it is gone, or Ray is
            ray.kill(self._actor)

    def end(self) -> None:
        self._outbox.put(None)

    def bury(self) -> list[Entry]:
        self._ended.set()
        self._outbox.put(None)
        self._places.leave(self)
        self.kill()
        return self._last_words() if self._sign else []

    def _last_words(self) -> list[Entry]:
        """What its runs did when it ended; nothing if its machine is gone, for that was no run's doing."""
        sign = self._sign
        assert sign
        there = {"scheduling_strategy": _at(self._node), "num_cpus": 0, "max_retries": 0}
        try:
            if self._address() == _here():
                return last_words(sign.recorder)
            return ray.get(ray.remote(last_words).options(**there).remote(sign.recorder), timeout=LAST_WORDS_SECONDS)
        except (RayError, OSError):
            return [replace(entry, works=False) for entry in sign.entries]

    def _address(self) -> str | None:
        """Of its machine, while that is there."""
        return {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}.get(self._node)

    def _write(self) -> None:
        """Send commands in the order in which they came, all that wait at a time, until None comes."""
        while True:
            commands = [self._outbox.get()]
            while not self._outbox.empty():
                commands.append(self._outbox.get())
            told = [command for command in commands if command is not None]
            with contextlib.suppress(RayError):
                if told:
                    self._actor.tell.remote(told)
                if len(told) < len(commands):
                    if not self._ended.is_set():
                        self._actor.end.remote()
                    return


def _here() -> str:
    """The address of this machine."""
    return ray.util.get_node_ip_address()


def _at(node: str) -> NodeAffinitySchedulingStrategy:
    """There and nowhere else: Ray takes a softer wish lightly."""
    return NodeAffinitySchedulingStrategy(node, soft=False)


class ClusterEngine(RemoteEngine):
    """The interface is `Engine`'s. Runs that a page server before this one has left are there, and rest until their
    pages come back."""

    def __init__(self, workers: int) -> None:
        self._places = Places()
        self._notes = Notes()
        super().__init__(workers, lambda: WorkerActor(self._places), self._notes.put)
        self.restore(self._notes.found)

    def close_all(self) -> None:
        super().close_all()
        self._notes.stop()
        ray.shutdown()


class Notes:
    """What the keeper is told, by a thread: who presses a button does not wait for the cluster. If the keeper is lost
    with its machine, another is told everything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._news: dict[str, Restart | None] = {}
        self._is_news, self._stopped = threading.Event(), threading.Event()
        self._copy = Keeper()
        self._keeper, runs = _keeper_and_runs()
        self._copy.note(runs)
        self.found = dict(_readable(self._copy.runs()))
        self._thread = threading.Thread(target=self._write, name="notes", daemon=True)
        self._thread.start()

    def put(self, id: str, restart: Restart | None) -> None:
        with self._lock:
            self._news[id] = restart
        self._is_news.set()

    def stop(self) -> None:
        self._stopped.set()
        self._is_news.set()
        self._thread.join(LAST_WORDS_SECONDS)

    def _write(self) -> None:
        """Until it is stopped, and what was put before that is told."""
        is_lost = is_over = False
        while not is_over:
            self._is_news.wait()
            self._is_news.clear()
            is_over = self._stopped.is_set()
            with self._lock:
                news, self._news = self._news, {}
            told = {id: None if restart is None else pickle.dumps(restart) for id, restart in news.items()}
            self._copy.note(told)
            try:
                if is_lost:
                    self._keeper = _keeper()
                ray.get(self._keeper.note.remote(self._copy.runs() if is_lost else told))
                is_lost = False
            except RayError:
                log.warning("The record of the runs was lost with its machine; it is written anew")
                is_lost = True
                self._is_news.set()
                self._stopped.wait(HEAR_SECONDS)


def _keeper() -> Any:
    """The one of this cluster, on another machine than this server's if there is one."""
    here = ray.get_runtime_context().get_node_id()
    nodes = (node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here)
    others = sorted(node["NodeID"] for node in nodes if answers(node))
    options = {"name": KEEPER, "get_if_exists": True, "lifetime": "detached", "num_cpus": 0}
    where = {"scheduling_strategy": _at(others[0])} if others else {}
    return ray.remote(Keeper).options(**options, **where).remote()


def _keeper_and_runs() -> tuple[Any, Mapping[str, bytes]]:
    """The keeper and what it keeps. Its name outlives its machine until the cluster notices the loss; then there is
    another keeper, which has nothing. Raises RayError if the cluster does not notice in time."""
    tries_left = KEEPER_TRIES
    while True:
        keeper, tries_left = _keeper(), tries_left - 1
        try:
            return keeper, ray.get(keeper.runs.remote())
        except RayError as error:
            if not tries_left:
                raise
            log.warning("The record of the runs was lost with its machine: %s", error)
            time.sleep(HEAR_SECONDS)


def _readable(runs: Mapping[str, bytes]) -> Iterable[tuple[str, Restart]]:
    for id, restart in runs.items():
        try:
            yield id, pickle.loads(restart)
        except Exception:  # another version of this code has written it
            log.exception("The record of run %s cannot be read; the run is lost", id)
