"""The engine inside this process, for tests and scripts: it trains while it is polled, and only then."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from app.engine.backends import TORCH_ALONE, Backends
from app.engine.buttons import Buttons
from app.engine.commands import Attend, Close, Command, Create, Export, Look, Poll, ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.experiment_record import NOWHERE, ExperimentRecord, Where
from app.engine.job_kinds import job_of
from app.engine.latest_report import LatestReport
from app.engine.reports import Checkpoint, HandedOut, Report, State
from app.engine.scheduler import Scheduler
from app.engine.stored import Stored
from app.engine.watchers import Heard, Watchers

PLAY_STEPS = 20
FINISH_SECONDS = 20.0


class LocalEngine(Buttons):
    """The interface is `Engine`'s. A poll finishes what can be finished, such as the steps asked for and the pictures;
    play, which has no end, goes on for `PLAY_STEPS` steps a poll, however fast the machine is. What takes longer than
    `finish_seconds` is finished in the next one. Not for several threads."""

    plays_on = False

    def __init__(self, finish_seconds: float = FINISH_SECONDS, backends: Backends = TORCH_ALONE) -> None:
        super().__init__()
        self._finish_seconds = finish_seconds
        self._scheduler = Scheduler(new_job=partial(job_of, backends=backends))
        self._here = Here(lambda: self._scheduler, self._stored)

    def poll(self, id: str, request: ViewRequest) -> Report:
        report, runs = super().poll(id, request), [id]
        if comparison := self._comparisons.get(id):
            comparison.go_on(PLAY_STEPS)
            runs = [name for name, _ in comparison.runs]
        start, first = time.monotonic(), self._step(id)
        while any(name in self._here and self._scheduler.is_pending(name) for name in runs):
            playing = not comparison and report.state is State.PLAYING
            if (playing and self._step(id) >= first + PLAY_STEPS) or time.monotonic() - start > self._finish_seconds:
                break
            self._tick()
            # The page is there for as long as it waits, which may be longer than between two polls.
            report = super().poll(id, request)
        return report

    def _step(self, id: str) -> int:
        """The last step that a run is known to have taken; 0 before the first report."""
        return self._here.records[id].mailbox.step if id in self._here else 0

    def _tick(self) -> None:
        self._here.tick()

    def _links_for(self, arms: Sequence[Arm]) -> "list[Here]":
        return [self._here] * len(arms)

    def _home(self, id: str) -> "Here | None":
        return self._here if id in self._here else None


class Here:
    """A `Link` to the runs of this process."""

    def __init__(self, scheduler: Callable[[], Scheduler], stored: Stored) -> None:
        self._scheduler, self._stored = scheduler, stored
        self.records: dict[str, ExperimentRecord] = {}
        self._watchers = Watchers()

    def __contains__(self, id: str) -> bool:
        return id in self.records

    def create(self, id: str, experiment: Experiment, checkpoint: Checkpoint | None) -> None:
        self.records[id] = ExperimentRecord(experiment, LatestReport(id), checkpoint)
        self._scheduler().handle(Create(id, experiment, checkpoint))

    def poll(self, poll: Poll) -> Report | None:
        self._scheduler().handle(poll)
        return self.records[poll.id].answer() if poll.id in self.records else None

    def send(self, command: Command) -> None:
        if isinstance(command, Close):
            self.records.pop(command.id, None)
        elif command.id in self.records:
            self.records[command.id].note(command)
        self._scheduler().handle(command)
        for checkpoint in self._scheduler().left_behind():
            self._stored.put(checkpoint)

    def attend(self, id: str) -> None:
        self._scheduler().handle(Attend(id))

    def look(self, look: Look) -> None:
        self._scheduler().handle(look)

    def watch(self, id: str, heard: Heard) -> Callable[[], None]:
        return self._watchers.add(id, heard)

    def where(self, id: str) -> Where:
        return self.records[id].where if id in self.records else NOWHERE

    def newest(self, id: str) -> Checkpoint | None:
        return self.records[id].checkpoint if id in self.records else None

    def export(self, id: str, arm_index: int) -> bytes | None:
        self._scheduler().handle(Export(id, arm_index, ticket=0))
        (exported,) = self._scheduler().exported()
        return exported.data

    def tick(self) -> None:
        """Do a piece of work, take note of what comes of it and pass it on."""
        for message in self._scheduler().tick():
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
