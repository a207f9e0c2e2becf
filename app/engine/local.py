"""The engine inside this process, for tests and scripts: it trains while it is polled, and only then."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from app.engine.backends import TORCH_ALONE, Backends
from app.engine.buttons import Buttons
from app.engine.clocks import Clocks
from app.engine.commands import Attend, Close, Command, Create, Export, Look, Poll, Reset, ViewRequest, Wish
from app.engine.experiment import Experiment
from app.engine.floor import Floor
from app.engine.job_kinds import job_of
from app.engine.latest_report import LatestReport
from app.engine.reports import UNKNOWN, Checkpoint, Exported, HandedOut, Report, Said, State
from app.engine.run import Run
from app.engine.watchers import Heard, Watchers

PLAY_STEPS = 20
FINISH_SECONDS = 20.0


class LocalEngine(Buttons):
    """The interface is `Engine`'s. A poll finishes what can be finished, such as the steps asked for and the pictures;
    play, which has no end, goes on for `PLAY_STEPS` steps a poll, however fast the machine is. What takes longer than
    `finish_seconds` is finished in the next one. Not for several threads."""

    def __init__(
        self, finish_seconds: float = FINISH_SECONDS, backends: Backends = TORCH_ALONE, clocks: Clocks = Clocks()
    ) -> None:
        super().__init__()
        self._finish_seconds = finish_seconds
        self._floor = Floor(self._hear, self._join, clocks, new_job=partial(job_of, backends=backends))
        self._runs: dict[str, Run] = {}
        self._mailboxes: dict[str, LatestReport] = {}
        self._checkpoints: dict[str, Checkpoint] = {}  # the newest of each
        self._exported: bytes | None = None  # by the last turn
        self._watchers = Watchers()

    def poll(self, id: str, request: ViewRequest) -> Report:
        poll = Poll(id, request)
        self._send(poll)
        start, first = time.monotonic(), self._step(id)
        while id in self._mailboxes and (run := self._runs.get(id)) and run.pending:
            playing = self._mailboxes[id].report.state is State.PLAYING
            if (playing and self._step(id) >= first + PLAY_STEPS) or time.monotonic() - start > self._finish_seconds:
                break
            self._turn()
            self._send(poll)  # the page is there for as long as it waits, which may be longer than between two polls
        mailbox = self._mailboxes.get(id)
        return mailbox.report if mailbox else Report(id, State.EXPIRED, message=UNKNOWN)

    def attend(self, id: str) -> None:
        self._send(Attend(id))

    def look(self, id: str, wish: Wish) -> None:
        self._send(Look(id, wish))

    def watch(self, id: str, heard: Heard) -> Callable[[], None]:
        return self._watchers.add(id, heard)

    def export(self, id: str, arm_index: int) -> bytes | None:
        self._send(Export(id, arm_index, ticket=0))
        return self._exported

    def _step(self, id: str) -> int:
        """The last step that is known of; 0 before the first report."""
        return self._mailboxes[id].step if id in self._mailboxes else 0

    def _begin(self, id: str, experiment: Experiment, checkpoint: Checkpoint | None) -> None:
        self._mailboxes[id] = LatestReport(id)
        if checkpoint:
            self._checkpoints[id] = checkpoint
        self._floor.handle(Create(id, experiment, checkpoint))

    def _join(self, run: Run) -> None:
        self._runs[run.id] = run

    def _newest(self, id: str) -> Checkpoint | None:
        return self._checkpoints.get(id)

    def _send(self, command: Command) -> None:
        self._exported = None
        self._floor.handle(command)
        if isinstance(command, Close | Reset | Export) and (run := self._runs.get(command.id)):
            run.turn()
        if isinstance(command, Close | Reset):
            self._checkpoints.pop(command.id, None)
        if isinstance(command, Close):
            self._mailboxes.pop(command.id, None)
            self._runs.pop(command.id, None)

    def _turn(self) -> None:
        """Of each run."""
        self._floor.look_around()
        for id, run in [*self._runs.items()]:
            run.turn()
            if run.has_ended:
                del self._runs[id]

    def _hear(self, message: Said | Exported) -> None:
        if isinstance(message, Exported):
            self._exported = message.data
        elif isinstance(message, Checkpoint):
            self._checkpoints[message.id] = message
            if not message.is_passing:
                self._stored.put(message)
        elif isinstance(message, Report) and message.state is State.EXPIRED:
            self._mailboxes.pop(message.id, None)
        elif mailbox := self._mailboxes.get(message.id):
            if isinstance(message, HandedOut):
                mailbox.hand(message)
            else:
                mailbox.put(message)
            self._watchers.tell(replace(message, rewinds=mailbox.report.rewinds))
