"""A lesson without a page: its steps opened and solutions acted out on the real core, and whether all comes true."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from app.engine.commands import ViewRequest
from app.engine.local import LocalEngine
from app.engine.reports import Report, State
from app.estimates.sample import Sample, thrown_settings
from app.estimates.settings import Bench
from app.lessons.expression import Expression
from app.lessons.lesson import Action, Block, Check, Do, Lesson, Outcome, Predict, Solution, Step
from app.lessons.observables import OBSERVABLES, Situation
from app.lessons.prose import expressions, is_known
from app.lessons.settings import changed
from app.link import BENCHES
from app.setup import Setup, edited_by

# On a busy machine what a step asks for takes long; it is waited for, not missed.
FINISH_SECONDS = 300.0


class Player:
    """Keeps what a page would keep. Not for several threads."""

    def __init__(self) -> None:
        self._engine = LocalEngine(FINISH_SECONDS)
        self._run = ""
        self.setup, self.benches = Setup(), {kind: kind() for kind in BENCHES.values()}
        self.sample, self.coins, self.answers = Sample(), "", {}

    def open(self, step: Step) -> None:
        """As a learner who comes to it."""
        self._become(*changed(self.setup, self.benches, step.settings, anew=True))
        if step.trained and (left := step.trained - self._poll().arms[0].step) > 0:
            self.act(Action("train", left))

    def act(self, action: Action) -> None:
        """Raises ValueError."""
        match action:
            case Action("set", settings):
                self._become(*changed(self.setup, self.benches, settings))
            case Action("throw", amount):
                self.sample.want(amount)
                while self.sample.busy:
                    self.sample.go_on()
            case Action("train", steps):
                self._engine.step(self._started(), steps)
                self._poll()
            case Action("coins", thrown):
                self.coins = thrown
            case Action("answer", answers):
                self.answers |= answers

    def close(self) -> None:
        """Nothing is asked of its flow any more."""
        if self._run:
            self._engine.close(self._run)
            self._run = ""

    def untrained(self) -> "Player":
        """Another one, with the same settings and a flow of its own."""
        other = Player()
        other._become(self.setup, self.benches)
        return other

    def reset(self) -> None:
        """Nothing is thrown or answered."""
        self.sample, self.coins, self.answers = Sample(self.sample.bench), "", {}

    def situation(self, wants: Mapping[str, Any] | None) -> Situation:
        """With these measurements, as `Observable.wants` names them; without a flow where that is None."""
        report = None if wants is None else self._poll(**self._request(wants))
        return Situation(
            self.setup, self.benches, self.sample.values, self.coins, report, dict(self.answers), self.sample.counts
        )

    def _become(self, setup: Setup, benches: dict[type, Any]) -> None:
        if self._run and not setup.same_run(self.setup):
            self._engine.close(self._run)
            self._run = ""
        elif self._run and setup.train != self.setup.train:
            self._engine.change(self._run, 0, setup.train)
        self.setup, self.benches = setup, benches
        if self.sample.bench != (thrown := thrown_settings(benches[Bench])):
            self.sample = Sample(thrown)

    def _request(self, wants: Mapping[str, Any]) -> dict[str, Any]:
        """What an engine is asked for, as fields of a `ViewRequest`."""
        measured = {name: wanted(self.benches) if callable(wanted) else wanted for name, wanted in wants.items()}
        return {"measured": measured, "edited": edited_by(self.benches.values(), self.setup.flow)}

    def _started(self) -> str:
        self._run = self._run or self._engine.create(replace(self.setup, device="cpu").experiment())
        return self._run

    def _poll(self, **wanted: Any) -> Report:
        request = ViewRequest(frames=False, **wanted)
        report = self._engine.poll(self._started(), request)
        while report.state is State.STEPPING or report.state is State.LOADING:
            report = self._engine.poll(self._run, request)
        return report


def wanted_by(step: Step) -> dict[str, Any] | None:
    """The measurements without which something of a step is not known, as `Observable.wants`; None where nothing in it
    is about a flow."""
    asked = {name for block in step.blocks for name in asked_by(block)}
    of_flow = [OBSERVABLES[name].wants for name in asked & OBSERVABLES.keys() if OBSERVABLES[name].wants is not None]
    return {name: wanted for wants in of_flow for name, wanted in wants.items()} if of_flow else None


def speaks_of_curves(step: Step) -> bool:
    """Whether something in a step is read off the course of the loss."""
    asked = {name for block in step.blocks for name in asked_by(block)}
    return any(OBSERVABLES[name].is_of_curves for name in asked & OBSERVABLES.keys())


class Untrue(Enum):
    """In which way something does not come true, and how that is said."""

    NOT_FAILED = "the check `{block}` does not fail after the actions that are stated to be wrong: {outcome}."
    NOT_PASSED = "the check `{block}` does not pass after the solution: {outcome}."
    UNTOUCHED = "the check `{block}` passes although nothing was done: {outcome}."
    DONE_BEFORE = "`{block}` is done from the start, before any action."
    NOT_DONE = "`{block}` is not done by the solution."
    TRUTH_UNKNOWN = "the truth of `{block}` is not known after the solution."
    NO_WHY = "`{block}` has no text for the answer `{error}`: give it a `why`."
    NO_NEAR = "`{block}` does not say `near` which numbers are right."
    NUMBER_UNKNOWN = "a number of `{block}` is not known after the solution."
    IMPOSSIBLE = "{error}"


@dataclass(frozen=True)
class Problem:
    """What of a lesson does not come true, and the line of its file that says it."""

    line: int
    what: Untrue
    block: str = ""  # its id
    outcome: Outcome | None = None  # of a check
    error: str = ""  # of what is impossible

    def __str__(self) -> str:
        return f"{self.line}: " + self.what.value.format(block=self.block, outcome=self.outcome, error=self.error)


def problems(lesson: Lesson) -> Iterator[Problem]:
    """What does not come true when a lesson is played: every step is opened, its `wrong` actions make each check fail,
    and its solution does all that is to be done."""
    player = Player()
    for step in lesson.steps:
        wants = wanted_by(step)
        for check in (block for block in step.blocks if isinstance(block, Check)):
            yield from _fails(player, step, check, wants)
        yield from _plays(player, step, wants)


def _fails(player: Player, step: Step, check: Check, wants: Mapping[str, Any] | None) -> Iterator[Problem]:
    if any(action.kind == "train" for action in check.wrong):
        player = player.untrained()  # the flow of the one who does right is not trained by what is wrong
    player.reset()
    try:
        player.open(step)
        for action in check.wrong:
            player.act(action)
        outcome = check.outcome(player.situation(wants))
        if outcome.passed is not False:
            yield Problem(check.line, Untrue.NOT_FAILED, check.id, outcome)
    except ValueError as error:
        yield Problem(check.line, Untrue.IMPOSSIBLE, check.id, error=str(error))


def _plays(player: Player, step: Step, wants: Mapping[str, Any] | None) -> Iterator[Problem]:
    player.reset()
    try:
        player.open(step)
        open_truths: list[Predict] = []
        came_true: set[str] = set()
        began = player.situation(wants)
        for number, block in enumerate(step.blocks):
            if isinstance(block, Do) and block.until.of(player.situation(wants)):
                yield Problem(block.line, Untrue.DONE_BEFORE, block.id)
            if isinstance(block, Predict) and block.found(player.situation(wants)) is None:
                open_truths.append(block)
            for action in block.actions if isinstance(block, Solution) else ():
                player.act(action)
                if open_truths:  # as a page looks: some are known for as long as something is so
                    open_truths = [one for one in open_truths if one.found(player.situation(wants)) is None]
            if isinstance(block, Solution):  # a later one may undo what this one has brought about
                at = player.situation(wants)
                tasks = [one for one in step.blocks[:number] if isinstance(one, Do | Check)]
                came_true |= {one.id for one in tasks if _is_so(one, at)}
        at = player.situation(wants)
    except ValueError as error:
        yield Problem(step.line, Untrue.IMPOSSIBLE, error=str(error))
        return
    yield from _untouched(step, began, at)
    for block in step.blocks:
        try:
            yield from _untrue(block, at, block in open_truths, came_true)
        except ValueError as error:
            yield Problem(block.line, Untrue.IMPOSSIBLE, block.id, error=str(error))


def _untouched(step: Step, began: Situation, ended: Situation) -> Iterator[Problem]:
    """Checks that pass when a step begins, and that find the same once all of it is done: what they find has nothing to
    do with what is asked for."""
    for check in (block for block in step.blocks if isinstance(block, Check)):
        try:
            first, last = check.outcome(began), check.outcome(ended)
        except ValueError:
            continue  # it is told with the block
        if first.passed and first == last:
            yield Problem(check.line, Untrue.UNTOUCHED, check.id, first)


def _is_so(block: Do | Check, at: Situation) -> bool:
    return bool(block.until.of(at) if isinstance(block, Do) else block.outcome(at).passed)


def _untrue(block: Block, at: Situation, is_open: bool, came_true: Collection[str]) -> Iterator[Problem]:
    """What of a block is not so once the solutions are acted out; `came_true`: what was so after one of them."""
    if isinstance(block, Do) and block.id not in came_true and not _is_so(block, at):
        yield Problem(block.line, Untrue.NOT_DONE, block.id)
    if isinstance(block, Check) and block.id not in came_true and not _is_so(block, at):
        yield Problem(block.line, Untrue.NOT_PASSED, block.id, block.outcome(at))
    if is_open and isinstance(block, Predict) and block.found(at) is None:
        yield Problem(block.line, Untrue.TRUTH_UNKNOWN, block.id)
    if isinstance(block, Predict):
        yield from _unexplained(block, at)
    for text in texts(block):
        if not is_known(text, at):
            yield Problem(block.line, Untrue.NUMBER_UNKNOWN, block.id)


def _unexplained(block: Predict, at: Situation) -> Iterator[Problem]:
    """The answers that somebody may give to a prediction, and of which it does not say why."""
    truth = None if block.is_choice else block.found(at)
    for answer in block.answers:
        if not block.why.get(answer) and (truth is None or block.may_answer(answer, truth)):
            yield Problem(block.line, Untrue.NO_WHY, block.id, error=answer)
    if not block.is_choice and not block.near:
        yield Problem(block.line, Untrue.NO_NEAR, block.id)


def texts(block: Block) -> tuple[str, ...]:
    """All of a block that is prose."""
    match block:
        case Predict():
            return block.text, *block.options.values(), *block.why.values()
        case Check():
            return block.text, block.passes, block.fails, *(remark.text for remark in block.remarks)
    return (block.text,)


def asked_by(block: Block) -> set[str]:
    """The names of the observables and settings that a block asks for, and of the settings that it asks about."""
    found = _expressions(block)
    return {name for expression in found for name in (*dict(expression.names), *expression.settings)}


def _expressions(block: Block) -> list[Expression]:
    found = [expression for text in texts(block) for expression, _ in expressions(text)]
    match block:
        case Predict():
            found += [*block.when.values(), *(one for one in (block.truth, block.once) if one)]
        case Do():
            found.append(block.until)
        case Check():
            found += [block.observable, *([block.value] if isinstance(block.value, Expression) else [])]
            found += [remark.when for remark in block.remarks]
    return found
