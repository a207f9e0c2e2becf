"""What a teacher takes along: counts of each round with the questions' texts, pooled draws, and a program of real coins
with their counts. No member's rows."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from app.classroom.pool import summary
from app.classroom.room import Room
from app.takeaway.of_throws import of_throws

FEWEST_PEOPLE = 5
"""Fewer could be told apart."""


def counts(room: Room) -> str:
    """A row for each answer of each round of each question, as CSV. A round with fewer than five answers has none, and
    numbers that fewer than five people gave are told as one row without the numbers."""
    return table(["question", "round", "answer", "people"], _rows(room))


def draws(room: Room) -> str:
    """All draws of the pool in one column, as CSV, without who drew them; nothing from fewer than five people."""
    if room.pool is None or len(room.pool.each()) < FEWEST_PEOPLE:
        return table(["estimate of the log det (nats)"], iter(()))
    return table(["estimate of the log det (nats)"], ([repr(float(value))] for value in sorted(room.pool.all())))


def pooled(room: Room) -> str:
    """Number, mean, standard deviation and standard error of all draws, as CSV."""
    head = ["settings", "members", "draws", "mean (nats)", "standard deviation (nats)", "standard error (nats)"]
    if room.pool is None:
        return table(head, iter(()))
    found = summary(room.pool.all())
    row = [room.pool.settings, len(room.pool.each()), found.n, found.mean, found.deviation, found.error]
    return table(head, iter([row]))


def coins(room: Room) -> str:
    """A program that finds mean and standard error of the throws of all real coins; of fewer than five people, or of
    fewer than two rows of throws, only a comment that says so."""
    counts = room.coins()
    if sum(bool(member.coins) for member in room.members.values()) < FEWEST_PEOPLE or counts.total() < 2:
        return f"# Coins of fewer than {FEWEST_PEOPLE} people are not told.\n"
    return of_throws(counts)


def _rows(room: Room) -> Iterator[list[object]]:
    for asked in room.asked.values():
        for number, one in enumerate(asked.rounds, 1):
            found, question = one.counts(), asked.question
            text = " ".join([*question.text.split(), *(["(asked again)"] if question.again else [])])
            if len(one.answers) < FEWEST_PEOPLE:
                continue
            if question.options:
                yield from ([text, number, answer, found[key]] for key, answer in question.options.items())
                continue
            rare = sum(people for people in found.values() if people < FEWEST_PEOPLE)
            for answer in sorted(found):
                if found[answer] >= FEWEST_PEOPLE:
                    yield [text, number, answer, found[answer]]
            if rare:
                yield [text, number, f"other numbers, each by fewer than {FEWEST_PEOPLE} people", rare]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """As CSV, in which no text is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_safe(cell) for cell in row] for row in rows)
    return text.getvalue()


def _safe(cell: object) -> object:
    """A text that a spreadsheet would take for a formula is told as text."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" else cell
