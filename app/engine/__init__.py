"""Who runs training. Screens know the `Engine` interface and call `engine.get_engine()`, which tests may replace.

- `training/`: the thread of a run (`run.py`); which run computes next (`gate.py`); what is measured (`measurements/`).
- `worker/`: the process in which the threads are (`__main__.py`), and which runs may come in at all (`floor.py`).
- `remote.py`: the server's end. It sends commands and hears reports. When a worker died or hangs, it begins another,
  in which each run goes on from its last checkpoint; a run at which workers die again and again is set aside.
- `comparison.py`: several runs in step. `cluster/`: workers on other machines. `records/`: what is remembered of runs.

`docs/engine.md` says how they work together.
"""

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from app.engine.commands import ViewRequest, Wish
from app.engine.experiment import Experiment
from app.engine.records.watchers import Heard
from app.engine.reports import Report

if TYPE_CHECKING:
    from resflow_core.training.trainer import TrainConfig

WORKERS_VARIABLE, CLUSTER_VARIABLE = "RESFLOW_WORKERS", "RESFLOW_CLUSTER"


class Engine(Protocol):
    """Trains experiments and shows them. Commands take effect within a time slice and return at once.

    A command about an experiment that is not known (any more) does nothing; its poll says `State.EXPIRED`.
    """

    def create(self, experiment: Experiment, step: int = 0, fingerprints: tuple[str, ...] = ()) -> str:
        """Start an experiment, paused at the step that `stored` says, and return its id."""
        ...

    def stored(self, experiment: Experiment, step: int, fingerprints: tuple[str, ...] = ()) -> int:
        """The largest step up to `step` from which it could go on, 0 if it must begin; only with what was computed by
        `fingerprints` (`ArmReport.fingerprint`, of each arm), if that is given."""
        ...

    def checkpoints(self, experiment: Experiment, step: int, fingerprints: tuple[str, ...] = ()) -> tuple[int, ...]:
        """All steps up to `step`, ascending, from which it could go on, beside the beginning; as in `stored`."""
        ...

    def preserve(self, id: str) -> int:
        """Store the newest checkpoint of a run once more, as the newest of all, and return its step; 0 if there is
        none, or if it is too large to be stored."""
        ...

    def play(self, id: str) -> None:
        """Train until paused; after a divergence, try on."""
        ...

    def pause(self, id: str) -> None: ...

    def step(self, id: str, n: int, in_parts: bool = False) -> None:
        """Take exactly `n` more steps, then pause; the first of them recorded part by part (`commands.Step`)."""
        ...

    def change(self, id: str, arm_index: int, train_config: "TrainConfig") -> None:
        """Change how one arm is trained from its next step on; what was planned for it is given up."""
        ...

    def reset(self, id: str) -> None:
        """Back to step 0, paused, with the settings as they are now and no changes planned. What was there is stored,
        unless it is too large."""
        ...

    def hasten(self, id: str) -> None:
        """Let compiled kernels go on with what torch began before they were there. All digits from then on are theirs,
        and the fingerprint says so (`ArmReport.hastens`)."""
        ...

    def leave(self, id: str) -> None:
        """The page is gone: hold the experiment still until its next poll."""
        ...

    def attend(self, id: str) -> None:
        """The page is there, and will poll as soon as the server gets to it."""
        ...

    def look(self, id: str, wish: Wish) -> None:
        """The picture in the browser has this wish, before a poll says so."""
        ...

    def close(self, id: str) -> None:
        """Forget the experiment, and store how far it was, unless that is too large."""
        ...

    def poll(self, id: str, request: ViewRequest) -> Report:
        """The newest that is known."""
        ...

    def watch(self, id: str, heard: Heard) -> Callable[[], None]:
        """Call `heard`, in a thread of the engine's, with each report of an experiment as it comes, which has
        a frame if that is new, and with its weights where they are wanted. What is returned ends it. Of an experiment
        that is not known, nothing is."""
        ...

    def export(self, id: str, arm_index: int) -> bytes | None:
        """The flow of one arm as a file (`resflow_core.api.flow_file`), which may take a few seconds; None if it cannot
        be had in that time, or at all."""
        ...


_lock = threading.Lock()
_engine: Engine | None = None


def get_engine() -> Engine:
    """The one engine of this server, started at the first call: with `RESFLOW_WORKERS` processes (default 1), or on the
    cluster at `RESFLOW_CLUSTER` (`cluster.connect`).

    Raises ValueError if the first is not a whole number from 1 to the number of cores, or the second cannot be had.
    """
    global _engine
    with _lock:
        if _engine is None:
            from app.engine.worker import housekeeping

            workers, address = os.environ.get(WORKERS_VARIABLE, ""), os.environ.get(CLUSTER_VARIABLE, "")
            if address:
                from app.engine.cluster.connection import connect

                housekeeping.start()
                _engine = connect(address, workers)
            else:
                from app.engine.remote import RemoteEngine
                from app.engine.worker.process import Spare

                count = worker_count(workers or "1")
                housekeeping.start()
                _engine = RemoteEngine(count, Spare())
        return _engine


def worker_count(text: str, most: int | None = None) -> int:
    """The number that `text` names. Raises ValueError outside 1 to `most`, the number of cores if None. With that many
    on one machine pages wait now and then, for they have no core of their own."""
    most = most or os.cpu_count() or 1
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise ValueError(f"{WORKERS_VARIABLE} = {text!r}: use a whole number from 1 to {most}.")
    return int(text)
