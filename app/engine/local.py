"""The engine inside this process, for tests and scripts: it trains while it is polled, and only then."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from app.engine.buttons import Buttons
from app.engine.clocks import Clocks
from app.engine.commands import Attend, Close, Command, Create, Export, Look, Poll, ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.records.experiment_record import NOWHERE, ExperimentRecord, Where
from app.engine.records.latest_report import LatestReport
from app.engine.records.stored import Stored
from app.engine.records.watchers import Heard, Watchers
from app.engine.reports import Checkpoint, Exported, HandedOut, Report, Said, State
from app.engine.training.backends import TORCH_ALONE, Backends
from app.engine.training.job_kinds import job_of
from app.engine.training.run import Run
from app.engine.worker.floor import Floor

PLAY_STEPS = 20
FINISH_SECONDS = 20.0


class LocalEngine(Buttons):
    """The interface is `Engine`'s. A poll finishes what can be finished, such as the steps asked for and the pictures;
    play, which has no end, goes on for `PLAY_STEPS` steps a poll, however fast the machine is. What takes longer than
    `finish_seconds` is finished in the next one. Not for several threads."""

    plays_on = False

    def __init__(
        self, finish_seconds: float = FINISH_SECONDS, backends: Backends = TORCH_ALONE, clocks: Clocks | None = None
    ) -> None:
        super().__init__()
        self._finish_seconds = finish_seconds
        self._here = Here(partial(job_of, backends=backends), clocks or Clocks(), self._stored)

    def poll(self, id: str, request: ViewRequest) -> Report:
        report, runs = super().poll(id, request), [id]
        if comparison := self._comparisons.get(id):
            comparison.go_on(PLAY_STEPS)
            runs = [name for name, _ in comparison.runs]
        start, first = time.monotonic(), self._step(id)
        while any(self._here.is_pending(name) for name in runs):
            playing = not comparison and report.state is State.PLAYING
            if (playing and self._step(id) >= first + PLAY_STEPS) or time.monotonic() - start > self._finish_seconds:
                break
            self._here.turn()
            # The page is there for as long as it waits, which may be longer than between two polls.
            report = super().poll(id, request)
        return report

    def _step(self, id: str) -> int:
        """The last step that a run is known to have taken; 0 before the first report."""
        return self._here.records[id].mailbox.step if id in self._here else 0

    def _links_for(self, arms: Sequence[Arm]) -> "list[Here]":
        return [self._here] * len(arms)

    def _home(self, id: str) -> "Here | None":
        return self._here if id in self._here else None


class Here:
    """A `Link` to the runs of this process, which have their turns by `turn`."""

    def __init__(self, new_job: Callable, clocks: Clocks, stored: Stored) -> None:
        self._floor = Floor(self._hear, self._join, clocks, new_job=new_job)
        self._stored = stored
        self.runs: dict[str, Run] = {}
        self.records: dict[str, ExperimentRecord] = {}
        self._watchers = Watchers()
        self._exported: bytes | None = None  # by the last turn

    def __contains__(self, id: str) -> bool:
        return id in self.records

    def create(self, id: str, experiment: Experiment, checkpoint: Checkpoint | None) -> None:
        self.records[id] = ExperimentRecord(experiment, LatestReport(id), checkpoint)
        self._floor.handle(Create(id, experiment, checkpoint))

    def poll(self, poll: Poll) -> Report | None:
        self._tell(poll)
        return self.records[poll.id].answer() if poll.id in self.records else None

    def send(self, command: Command) -> None:
        if isinstance(command, Close):
            self.records.pop(command.id, None)
        elif command.id in self.records:
            self.records[command.id].note(command)
        self._tell(command)

    def attend(self, id: str) -> None:
        self._floor.handle(Attend(id))

    def look(self, look: Look) -> None:
        self._tell(look)

    def watch(self, id: str, heard: Heard) -> Callable[[], None]:
        return self._watchers.add(id, heard)

    def where(self, id: str) -> Where:
        return self.records[id].where if id in self.records else NOWHERE

    def newest(self, id: str) -> Checkpoint | None:
        return self.records[id].checkpoint if id in self.records else None

    def export(self, id: str, arm_index: int) -> bytes | None:
        self._exported = None
        self._tell(Export(id, arm_index, ticket=0))
        return self._exported

    def is_pending(self, id: str) -> bool:
        """Whether there is anything to do for a run at once."""
        return id in self.records and id in self.runs and self.runs[id].pending

    def turn(self) -> None:
        """Let each run have a turn."""
        self._floor.look_around()
        for run in [*self.runs.values()]:
            run.turn()
            self._let_go(run)

    def _join(self, run: Run) -> None:
        self.runs[run.id] = run

    def _tell(self, command: Command) -> None:
        """Have the run obey at once."""
        self._floor.handle(command)
        if run := self.runs.get(command.id):
            run.obey()
            self._let_go(run)

    def _let_go(self, run: Run) -> None:
        if run.has_ended:
            del self.runs[run.id]

    def _hear(self, message: Said | Exported) -> None:
        """Take note of what a run says, and pass it on."""
        if isinstance(message, Exported):
            self._exported = message.data
            return
        if isinstance(message, Checkpoint) and not message.is_passing:
            self._stored.put(message)
        if record := self.records.get(message.id):
            if isinstance(message, HandedOut):
                record.mailbox.hand(message)
            elif isinstance(message, Report) and message.state is State.EXPIRED:
                del self.records[message.id]
            else:
                record.receive(message)
            if isinstance(message, Report | HandedOut):
                self._watchers.tell(replace(message, rewinds=record.mailbox.report.rewinds))
