"""One room: what its members may do, what its teacher may do, and what the wall shows."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from app.classroom.pool import Pool
from app.classroom.question import Question
from app.classroom.refusal import Refusal

MOST_MEMBERS = 200
SEATS_OF_AN_ADDRESS = 120
"""A school often has one address for all. The teacher can allow more."""
SECONDS_BETWEEN = 1.0
"""A member may say something so often."""
HERE_SECONDS = 75.0
"""A member is here who was heard of in so long. A browser wakes a hidden lesson once a minute."""
LARGEST_COUNT, MOST_THROWS = 60, 200
"""Of coins: throws up to the first tails, and how many such counts a member may add."""

Answer = str | float


class Closed(Refusal):
    """A room that is not there, is closed, or does not take this now."""


class Stage(Enum):
    """Of the question that is asked."""

    VOTING = "voting"  # answers are taken, and hidden
    SHOWN = "shown"  # answers are taken no more, and the wall shows them
    DISCUSSED = "discussed"  # the class talks about them; the next is another vote
    REVEALED = "revealed"  # with the truth


@dataclass
class Round:
    """Answers by member."""

    answers: dict[str, Answer] = field(default_factory=dict)

    def counts(self) -> Counter[Answer]:
        return Counter(self.answers.values())


@dataclass
class Asked:
    """A question with its rounds: the vote, and after a discussion a second one."""

    question: Question
    stage: Stage = Stage.VOTING
    rounds: list[Round] = field(default_factory=lambda: [Round()])

    def answer_of(self, token: str) -> Answer | None:
        """What a member has answered: while votes are taken in this round, else in the last one in which they did."""
        if self.stage is Stage.VOTING:
            return self.rounds[-1].answers.get(token)
        return next((one.answers[token] for one in reversed(self.rounds) if token in one.answers), None)


@dataclass
class Member:
    seat: int
    """Its number, which nobody else ever has."""
    address: str = ""
    browser: str = ""
    step: str = ""
    seen: float = 0.0  # when it was heard of last; -inf: it has gone to another room
    said: float = -SECONDS_BETWEEN
    coins: list[int] = field(default_factory=list)  # throws up to the first tails, by hand


@dataclass
class Room:
    """Of a lesson with these steps and questions. `released` is the last step that members may open, at first the first
    one; None: any, and the pace is free. `calls` counts how often everybody was brought to `called`."""

    code: str
    secret: str
    lesson: str
    language: str
    steps: tuple[str, ...]
    questions: Mapping[str, Question]
    watched: float  # when its teacher was last heard of
    members: dict[str, Member] = field(default_factory=dict)
    asked: dict[str, Asked] = field(default_factory=dict)  # in the order in which they were asked
    early: dict[str, dict[str, Answer]] = field(default_factory=dict)  # answers to questions that were not asked yet
    present: str = ""  # the question that is on the wall
    released: str | None = None
    called: str = ""
    calls: int = 0
    pool: Pool | None = None
    drawing: str = ""  # the step that is drawn in
    locked: bool = False
    seats: int = SEATS_OF_AN_ADDRESS  # of an address, at most
    given: int = 0  # seats so far
    removed: set[str] = field(default_factory=set)  # tokens and browsers

    def __post_init__(self) -> None:
        self.released = self.steps[0] if self.steps else None

    # --- members -------------------------------------------------------------------------------------------------

    def join(self, token: str, now: float, address: str = "", browser: str = "") -> None:
        """Give a visitor a seat: one to a browser, if that says which it is, and so many to an address. Raises Closed
        where there is none, or for one whom the teacher has removed."""
        if not self.removed.isdisjoint({token, browser}):
            raise Closed("removed")
        if token not in self.members:
            before = next((name for name, one in self.members.items() if browser and one.browser == browser), None)
            if before is not None:
                self._rename(before, token)
            else:
                self._seat(token, address, browser)
        self.members[token].seen = now

    def _seat(self, token: str, address: str, browser: str) -> None:
        if self.locked:
            raise Closed("locked")
        if len(self.members) >= MOST_MEMBERS:
            raise Closed("full", most=MOST_MEMBERS)
        if sum(member.address == address for member in self.members.values()) >= self.seats:
            raise Closed("address", most=self.seats)
        self.given += 1
        self.members[token] = Member(self.given, address, browser)

    def _rename(self, token: str, to: str) -> None:
        """Somebody's browser has another token: what they have said stays theirs."""
        self.members = {to if name == token else name: member for name, member in self.members.items()}
        for answers in self._ballots():
            if token in answers:
                answers[to] = answers.pop(token)
        if self.pool:
            self.pool.rename(token, to)

    def leave(self, token: str, browser: str = "") -> None:
        """Whoever has this token, or this browser, has gone to another room. What they said here stays."""
        for name, member in self.members.items():
            if name == token or (browser and member.browser == browser):
                member.seen = -math.inf

    def _ballots(self) -> Iterator[dict[str, Answer]]:
        """All answers by member: of each round, and those that came early."""
        for asked in self.asked.values():
            yield from (round.answers for round in asked.rounds)
        yield from self.early.values()

    def at(self, token: str, step: str, now: float) -> None:
        """A member is there, at this step."""
        member = self._member(token)
        member.seen = now
        if step in self.steps:
            member.step = step

    def vote(self, token: str, answer: Any, now: float) -> None:
        """One answer a round, which stays. Raises Closed where none is taken, ValueError for what is no answer."""
        member, asked = self._member(token), self.asked.get(self.present)
        if asked is None or asked.stage is not Stage.VOTING:
            raise Closed("late")
        asked.question.check(answer)
        if token in asked.rounds[-1].answers:
            raise Closed("second")
        self._say(member, now)
        asked.rounds[-1].answers[token] = answer

    def answer(self, token: str, question: str, answer: Any, now: float) -> None:
        """What a member commits in the lesson: a vote where this question is open on the wall; where it was not asked
        yet, a vote as soon as it is. Raises ValueError as `vote`."""
        if question == self.present:
            self.vote(token, answer, now)
        elif question in self.questions and question not in self.asked:
            self._member(token)
            self.questions[question].check(answer)
            self.early.setdefault(question, {}).setdefault(token, answer)

    def put_draws(self, token: str, settings: str, seed: int, draws: np.ndarray, now: float) -> None:
        """A member's draws for the pool, in the place of earlier ones. Raises Closed where the class draws something
        else, ValueError as `Pool.put`."""
        member = self._member(token)
        pool = self._pool_of(settings)
        self._say(member, now)
        pool.put(token, seed, draws)

    def bench_draws(self, token: str, settings: str, seed: int, draws: np.ndarray) -> None:
        """What a member has drawn in the lesson, in the place of earlier draws. The same draws again change nothing, so
        a page may say them as often as it looks. Raises as `put_draws`."""
        self._member(token)
        pool = self._pool_of(settings)
        if not pool.has(token, seed, len(draws)):
            pool.put(token, seed, draws)

    def put_coins(self, token: str, throws: Any, now: float) -> None:
        """How many throws a real coin took up to the first tails. Raises ValueError for another number."""
        member = self._member(token)
        if not _is_count(throws) or not 1 <= throws <= LARGEST_COUNT:
            raise Refusal("throws", given=str(throws)[:20], most=LARGEST_COUNT)
        if len(member.coins) >= MOST_THROWS:
            raise Closed("rows", most=MOST_THROWS)
        self._say(member, now)
        member.coins.append(throws)

    def may_open(self, step: str) -> bool:
        """Whether members may open a step."""
        if self.released is None or step not in self.steps:
            return True
        return self.steps.index(step) <= self.steps.index(self.released)

    def waits(self, question: str) -> bool:
        """Whether a member's verdict, and the covered screen, wait for the truth to be revealed: of a question on the
        wall, and of all others as long as the teacher sets the pace. A question that is asked again is revealed with
        the later one."""
        known = self.questions.get(question)
        asked = self.asked.get((known and known.told_with) or question)
        if asked is not None and asked.stage is Stage.REVEALED:
            return False
        return self.released is not None or question == self.present

    # --- the teacher ---------------------------------------------------------------------------------------------

    def ask(self, question: str) -> None:
        """Put a question on the wall: a new vote, or the state in which it was left. Raises Closed for another one."""
        if question not in self.questions:
            raise Closed("question")
        if question not in self.asked:
            self.asked[question] = Asked(self.questions[question], rounds=[Round(self.early.pop(question, {}))])
        self.present = question

    def show(self) -> None:
        self._to(Stage.SHOWN, Stage.VOTING)

    def discuss(self) -> None:
        self._to(Stage.DISCUSSED, Stage.SHOWN)

    def vote_again(self) -> None:
        """Open another round of the question on the wall."""
        self._to(Stage.VOTING, Stage.SHOWN, Stage.DISCUSSED)
        self.asked[self.present].rounds.append(Round())

    def reset(self) -> None:
        """Throw away the answers of this round, and take them anew."""
        self._to(Stage.VOTING, Stage.VOTING, Stage.SHOWN, Stage.DISCUSSED)
        self.asked[self.present].rounds[-1].answers.clear()

    def lock(self, locked: bool) -> None:
        """Give no more seats, or give them again."""
        self.locked = locked

    def allow(self, seats: Any) -> None:
        """Give an address so many seats at most. Raises Refusal for another number than 1 to `MOST_MEMBERS`."""
        if not _is_count(seats) or not 1 <= seats <= MOST_MEMBERS:
            raise Refusal("seats", given=str(seats)[:20], most=MOST_MEMBERS)
        self.seats = seats

    def remove(self, first: Any, last: Any) -> None:
        """Take the seats of these numbers, with all that was said from them. Their browsers get no other. Raises
        Refusal where the numbers are none."""
        if not (_is_count(first) and _is_count(last)):
            raise Refusal("seat_numbers")
        for token in [name for name, member in self.members.items() if first <= member.seat <= last]:
            member = self.members.pop(token)
            self.removed |= {token, member.browser} - {""}
            for answers in self._ballots():
                answers.pop(token, None)
            if self.pool:
                self.pool.drop(token)

    def reveal(self) -> None:
        self._to(Stage.REVEALED, Stage.VOTING, Stage.SHOWN, Stage.DISCUSSED)

    def release(self, step: str | None) -> None:
        """Let members open the steps up to this one; None: all."""
        if step is not None and step not in self.steps:
            raise Closed("step")
        self.released = step

    def bring(self, step: str) -> None:
        """Bring everybody to a step, which is released with it."""
        if step not in self.steps:
            raise Closed("step")
        if not self.may_open(step):
            self.released = step
        self.called, self.calls = step, self.calls + 1

    def gather(self, settings: str, step: str) -> None:
        """Gather draws of a step, with these settings, from now on; earlier ones with others are dropped."""
        self.drawing = step
        if self.pool is None or self.pool.settings != settings:
            self.pool = Pool(settings)

    # --- the wall ------------------------------------------------------------------------------------------------

    def here(self, now: float) -> dict[str, Member]:
        """The members that were heard of lately, by their tokens."""
        return {token: one for token, one in self.members.items() if now - one.seen <= HERE_SECONDS}

    def answered(self, now: float) -> tuple[int, int]:
        """How many of those who are here have answered the question on the wall in its last round, and how many are
        here. The answers of others stay in `results`."""
        asked, here = self.asked.get(self.present), self.here(now)
        return len(here.keys() & asked.rounds[-1].answers.keys()) if asked else 0, len(here)

    def results(self) -> list[Counter[Answer]]:
        """Counts of each round of the question on the wall; none of one that is still hidden."""
        asked = self.asked.get(self.present)
        if asked is None:
            return []
        told = asked.rounds[:-1] if asked.stage is Stage.VOTING else asked.rounds
        return [one.counts() for one in told]

    def before_and_after(self) -> tuple[Round, Round] | None:
        """Of a question on the wall that asks an earlier one again: what was said to that at first, on the wall or in
        the lesson, and what was said last. None of another question."""
        asked = self.asked.get(self.present)
        if asked is None or not (name := asked.question.again):
            return None
        first = self.asked.get(name)
        return first.rounds[0] if first else Round(self.early.get(name, {})), asked.rounds[-1]

    def places(self, now: float) -> dict[str, int]:
        """How many of those who are here are at each step."""
        counts = Counter(member.step for member in self.here(now).values())
        return {step: counts[step] for step in self.steps}

    def addresses(self) -> list[list[int]]:
        """The numbers of the seats of each address, in ascending order."""
        found: dict[str, list[int]] = {}
        for member in self.members.values():
            found.setdefault(member.address, []).append(member.seat)
        return [sorted(seats) for seats in found.values()]

    def coins(self) -> Counter[int]:
        """Throws up to the first tails of all real coins: how often each number came."""
        return Counter(count for member in self.members.values() for count in member.coins)

    # -------------------------------------------------------------------------------------------------------------

    def _member(self, token: str) -> Member:
        if token not in self.members:
            raise Closed("stranger")
        return self.members[token]

    def _pool_of(self, settings: str) -> Pool:
        if self.pool is None:
            raise Closed("draws_not_now")
        if settings != self.pool.settings:
            raise Closed("settings")
        return self.pool

    def _say(self, member: Member, now: float) -> None:
        if now - member.said < SECONDS_BETWEEN:
            raise Closed("quick")
        member.said = member.seen = now

    def _to(self, stage: Stage, *before: Stage) -> None:
        asked = self.asked.get(self.present)
        if asked is None:
            raise Closed("not_chosen")
        if asked.stage not in before:
            raise Closed("not_now")
        asked.stage = stage


def _is_count(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool)
