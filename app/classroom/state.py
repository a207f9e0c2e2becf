"""What a page of a room is told: everything that it shows, as JSON."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from app.classroom.asked import Asked, Truth, coverage_of_shared_n, expected_counts, true_log_det, with_shared_n
from app.classroom.pool import Pool, Summary, summary
from app.classroom.question import Question
from app.classroom.room import MOST_MEMBERS, Answer, Room, Stage
from app.estimates.settings import Bench
from app.lessons import paper
from resflow_core.estimators.faulty_estimators import BATCH

BINS = 40
SENTENCE = re.compile(r"(?<=[.?!])\s+")

html, line = (lru_cache(maxsize=1024)(function) for function in (paper.html, paper.line))
"""Two hundred pages ask for the same texts every second."""
_shown: "WeakKeyDictionary[Pool, tuple[int, dict[str, Any]]]" = WeakKeyDictionary()
"""What was told of each pool, with its version."""


def for_member(room: Room, asked: Asked, token: str, now: float) -> dict[str, Any]:
    """A question, what this member has answered, and where the class is. Counts, and the truth, only when the teacher
    shows them."""
    member = room.members[token]
    return {
        "lesson": asked.lesson.title,
        "id": asked.lesson.id,
        "language": asked.lesson.language,
        "members": len(room.here(now)),
        "seat": member.seat,
        "question": _question(room, asked, token),
        "released": room.released,
        "called": room.called,
        "calls": room.calls,
        "steps": _steps(asked),
        "draws": None if room.pool is None else _mine(room, token),
        "coins": member.coins,
    }


def for_wall(room: Room, asked: Asked) -> dict[str, Any]:
    """Everything that the teacher's wall shows, who has just looked."""
    answered, members = room.answered(room.watched)
    question = _question(room, asked, None)
    if question and question["truth"]:
        question["before_and_after"] = _shares(room, asked)
    return {
        "lesson": asked.lesson.title,
        "id": asked.lesson.id,
        "language": asked.lesson.language,
        "members": members,
        "locked": room.locked,
        "seats": room.seats,
        "most_seats": MOST_MEMBERS,
        "addresses": [{"people": len(of), "first": of[0], "last": of[-1]} for of in room.addresses()],
        "answered": answered,
        "question": question,
        "questions": [
            {"id": id, "step": asked.step_of[id], "text": line(_first(question.text)), "again": bool(question.again)}
            for id, question in asked.questions.items()
        ],
        "steps": [
            {**step, "here": here} for step, here in zip(_steps(asked), room.places(room.watched).values(), strict=True)
        ],
        "released": room.released,
        "draws": None if room.pool is None else _pooled(room, asked),
        "drawing": [step for step in asked.benches],
        "coins": sorted(room.coins().items()),
    }


def _question(room: Room, asked: Asked, token: str | None) -> dict[str, Any] | None:
    now = room.asked.get(room.present)
    if now is None:
        return None
    question, stage = now.question, now.stage
    rounds = [[[key, n] for key, n in sorted(counts.items(), key=lambda one: str(one[0]))] for counts in room.results()]
    if token is not None and stage is Stage.VOTING:
        rounds = []  # the first vote is on the wall; a phone shows nothing beside the question
    mine = None if token is None else now.answer_of(token)
    return {
        "id": question.id,
        "step": asked.step_of[question.id],
        "text": html(question.text),
        "options": [[key, line(text)] for key, text in question.options.items()],
        "unit": line(question.unit),
        **_range(question),
        "stage": stage.value,
        "round": len(now.rounds),
        "rounds": rounds,
        "told_later": bool(question.told_with),
        "mine": mine,
        "truth": _revealed(asked.truths[question.id], mine) if stage is Stage.REVEALED else None,
    }


def _revealed(truth: Truth, mine: Answer | None) -> dict[str, Any]:
    """With the reason for this answer, and whether it is right; without one, with that for the right answer."""
    why = truth.why(mine)
    return {
        "value": truth.value,
        "margin": truth.margin,
        "why": html(why) if why else "",
        "right": None if mine is None else truth.is_right(mine),
    }


def _shares(room: Room, asked: Asked) -> list[dict[str, int]] | None:
    """How many were right before and after, of a question that is asked again; None where nobody answered before."""
    rounds = room.before_and_after()
    if rounds is None or not rounds[0].answers:
        return None
    is_right = asked.truths[room.present].is_right
    return [{"right": sum(map(is_right, one.answers.values())), "people": len(one.answers)} for one in rounds]


def _range(question: Question) -> dict[str, float | None]:
    """JSON has no infinity."""
    return {name: value if math.isfinite(value := getattr(question, name)) else None for name in ("low", "high")}


def _steps(asked: Asked) -> list[dict[str, Any]]:
    return [{"id": step.id, "title": line(_plain(step.title))} for step in asked.lesson.steps]


def _mine(room: Room, token: str) -> dict[str, Any]:
    return {"mine": _told(room.pool.of(token)) if room.pool else None}


def _pooled(room: Room, asked: Asked) -> dict[str, Any]:
    """The pool beside the truth: its mean as it closes in, its histogram, and each member's interval."""
    pool = room.pool
    assert pool is not None
    version, shown = _shown.get(pool, (-1, {}))
    if version != pool.version:
        shown = _pool_as(pool, asked.benches[room.drawing])
        _shown[pool] = pool.version, shown
    return {"step": room.drawing, **shown}


def _pool_as(pool: Pool, bench: Bench) -> dict[str, Any]:
    truth, everything, each = true_log_det(bench), pool.all(), pool.each()
    return {
        "truth": truth,
        "all": _told(summary(everything)),
        "closing": [_told(one) for one in pool.closing_in()],
        "histogram": _histogram(everything, bench),
        "each": _intervals(each, truth),
        "shared": _shared(pool, bench, truth),
    }


def _intervals(each: list[Summary], truth: float) -> list[dict[str, Any]]:
    return [{**_told(one), "hit": one.contains(truth)} for one in each]


def _shared(pool: Pool, bench: Bench, truth: float) -> dict[str, Any] | None:
    """The same members, seeds and numbers of draws, but one N for many draws in a row, and how many intervals contain
    the truth then for many draws; None where an estimator draws that has another bug."""
    if not bench.is_sound:
        return None
    expected = coverage_of_shared_n(bench)
    each = [with_shared_n(bench, seed, n) for seed, n in pool.drawn()]
    known = expected if math.isfinite(expected) else None
    return {"each": _intervals(each, truth), "batch": BATCH, "expected": known}


def _histogram(values: np.ndarray, bench: Bench) -> Mapping[str, list[float] | None]:
    """Counts between edges that hold all but the outermost hundredth: a few draws of a heavy tail would squeeze the
    others into one bar. Those beyond count in the last bars. Beside them the counts that are expected."""
    if len(values) < 2:
        return {"edges": [], "counts": [], "expected": None}
    low, high = np.quantile(values, [0.005, 0.995])
    if not high > low:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(np.clip(values, low, high), BINS, (low, high))
    expected = expected_counts(bench, edges, len(values))
    return {
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "expected": None if expected is None else expected.tolist(),
    }


def _told(one: Summary) -> dict[str, float | int | None]:
    found = {**asdict(one), "error": one.error}
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def _first(text: str) -> str:
    """The question of a text, for a list of them: its last sentence that asks, or its last one."""
    sentences = SENTENCE.split(_plain(text))
    return next((one for one in reversed(sentences) if one.endswith("?")), sentences[-1])


def _plain(text: str) -> str:
    return " ".join(text.split())
