"""Rooms: what is sent is what the wall and the exports say, each member has one vote a round, and all is bounded."""

import csv
import io
import math
from contextlib import contextmanager

import numpy as np
import pytest
from scipy import stats

from app.callers import Caller
from app.classroom import export
from app.classroom.pool import MOST_DRAWS, Pool, summary
from app.classroom.question import Question
from app.classroom.refusal import WORDS, Refusal
from app.classroom.room import (
    LARGEST_COUNT,
    MOST_THROWS,
    Closed,
    Stage,
)
from app.classroom.rooms import (
    AWAY_SECONDS,
    CODE_LENGTH,
    LETTERS,
    MOST_ROOMS,
    MOST_WRONG_OF_ONE,
    WRONG_SECONDS,
    Rooms,
)

CHOICE = Question("where", "Where does the mean settle?", {"at": "at the truth", "above": "above it", "below": "below"})
NUMBER = Question("n", "How many terms?", low=1, high=60, unit="terms")
STEPS = ("one", "two", "three")


class Time:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def rooms(clock):
    return Rooms(clock)


@pytest.fixture
def opened(rooms):
    return rooms.open("coins", "en", STEPS, {question.id: question for question in (CHOICE, NUMBER)})


@pytest.fixture
def room(rooms, opened):
    """The same without its lock: there are no threads here."""
    with rooms.teacher(*opened) as room:
        return room


def members(rooms, code, number):
    tokens = [f"token-{i}" for i in range(number)]
    for i, token in enumerate(tokens):
        rooms.join(code, token, f"10.0.0.{i // 100}")
    return tokens


@contextmanager
def refused(key):
    with pytest.raises(Closed) as told:
        yield
    assert told.value.key == WORDS + key


def vote(rooms, code, token, answer):
    with rooms.member(code, token) as (room, now):
        room.vote(token, answer, now)


# --- codes and secrets ------------------------------------------------------------------------------------------------


def test_codes_are_five_letters_that_are_not_mixed_up(rooms):
    codes = [rooms.open("coins", "en", STEPS, {})[0] for _ in range(MOST_ROOMS)]
    assert len(set(codes)) == MOST_ROOMS
    assert all(len(code) == CODE_LENGTH and set(code) <= set(LETTERS) for code in codes)
    with pytest.raises(Closed):
        rooms.open("coins", "en", STEPS, {})


def test_after_many_wrong_codes_nobody_learns_whether_another_is_right(rooms, opened, clock):
    code, _ = opened
    rooms.join(code, "student", "10.0.0.1")
    for i in range(MOST_WRONG_OF_ONE):
        with refused("code"):
            rooms.join("AAAAA", f"guess-{i}", "10.0.0.1")
    for guess in ("AAAAB", code):
        with refused("wrong_codes"):
            rooms.join(guess, "guess", "10.0.0.1")
    assert rooms.join(code, "student", "10.0.0.1") == code  # who is in it already, and reloads
    assert rooms.join(code, "another", "10.0.0.2") == code
    clock.now += WRONG_SECONDS
    with refused("code"):
        rooms.join("AAAAB", "guess", "10.0.0.1")
    assert rooms.join(code, "guess", "10.0.0.1") == code


def test_only_the_machine_itself_or_its_key_opens_rooms(rooms, clock):
    rooms.admit(Caller("127.0.0.1", True), "")
    far = Caller("10.0.0.1", False)
    with refused("key"):
        rooms.admit(far, "")
    typed = rooms.key.lower().replace("-", " ")
    rooms.admit(far, typed)
    for _ in range(MOST_WRONG_OF_ONE):
        with refused("key"):
            rooms.admit(far, "ä" + rooms.key[1:])
    with refused("wrong_codes"):
        rooms.admit(far, rooms.key)
    rooms.admit(Caller("10.0.0.2", False), rooms.key)
    assert Rooms(clock).key != rooms.key


@pytest.mark.parametrize("secret", ["", "ä" * 22, None])
def test_only_the_secret_opens_the_teachers_side(rooms, opened, secret):
    code, own = opened
    _, other = rooms.open("coins", "en", STEPS, {})
    for wrong in (other if secret is None else secret, code):
        with pytest.raises(Closed), rooms.teacher(code, wrong):
            pass
        with pytest.raises(Closed):
            rooms.close(code, wrong)
    with rooms.teacher(code, own) as room:
        assert room.code == code
    rooms.close(code, own)
    assert len(rooms.codes()) == 1
    with pytest.raises(Closed), rooms.teacher(code, own):
        pass


def test_a_room_ends_when_its_teacher_has_been_away_for_long(rooms, opened, clock):
    rooms.join(opened[0], "me")
    for _ in range(10):
        clock.now += 0.9 * AWAY_SECONDS
        with rooms.teacher(*opened):
            pass
    clock.now += 0.9 * AWAY_SECONDS
    with rooms.member(opened[0], "me"):
        pass
    clock.now += 0.1 * AWAY_SECONDS  # a member keeps nothing open
    assert len(rooms.codes()) == 0
    with pytest.raises(Closed), rooms.member(opened[0], "me"):
        pass
    with pytest.raises(Closed), rooms.teacher(*opened):
        pass


# --- seats ------------------------------------------------------------------------------------------------------------


def test_seats_that_are_taken_away_take_all_that_was_said_from_them(rooms, opened, room, clock):
    code, _ = opened
    for i in range(6):
        rooms.join(code, f"token-{i}", f"10.0.0.{i % 2}", f"browser-{i}")
    room.ask("where")
    room.gather("s", "one")
    assert room.addresses() == [[1, 3, 5], [2, 4, 6]]
    for i in range(6):
        vote(rooms, code, f"token-{i}", "at")
        with rooms.member(code, f"token-{i}") as (room, now):
            room.put_draws(f"token-{i}", "s", i, np.full(3, float(i)), now + 2)
            room.answer(f"token-{i}", "n", 5.0, now)
    room.remove(2, 4)
    assert [one.seat for one in room.members.values()] == [1, 5, 6]
    assert room.answered(clock.now) == (3, 3)
    assert sorted(set(room.pool.all())) == [0.0, 4.0, 5.0]
    assert len(room.early["n"]) == 3
    for wrong in (("1", 2), (None, None), (1, True)):
        with pytest.raises(Refusal):
            room.remove(*wrong)
    for token, browser in (("token-2", ""), ("another", "browser-2"), ("token-2", "another")):
        with refused("removed"):
            rooms.join(code, token, "10.0.0.9", browser)
    rooms.join(code, "new", "10.0.0.1", "new")
    assert room.members["new"].seat == 7  # nobody has the number of another


# --- questions --------------------------------------------------------------------------------------------------------


def test_votes_are_hidden_until_shown_and_both_rounds_stand_side_by_side(rooms, opened, room, clock):
    code, _ = opened
    tokens = members(rooms, code, 30)
    room.ask("where")
    answers = [("at", "above", "below")[i % 3] for i in range(23)]
    for token, answer in zip(tokens, answers, strict=False):
        vote(rooms, code, token, answer)
    assert room.answered(clock.now) == (23, 30)
    assert room.results() == []
    room.show()
    assert room.results() == [{"at": 8, "above": 8, "below": 7}]
    with pytest.raises(Closed):
        room.vote(tokens[-1], "at", clock.now)
    room.discuss()
    room.vote_again()
    assert room.answered(clock.now) == (0, 30)
    assert room.results() == [{"at": 8, "above": 8, "below": 7}]
    clock.now += 2
    for token in tokens:
        vote(rooms, code, token, "at")
    assert room.waits("where")
    assert room.waits("n")
    room.release(None)  # at a free pace only the question on the wall waits
    assert room.waits("where")
    assert not room.waits("n")
    room.reveal()
    assert room.results() == [{"at": 8, "above": 8, "below": 7}, {"at": 30}]
    assert not room.waits("where")


def test_one_vote_a_round_and_one_message_a_second(rooms, opened, room, clock):
    code, _ = opened
    (token,) = members(rooms, code, 1)
    with refused("late"):
        vote(rooms, code, token, "at")
    room.ask("where")
    vote(rooms, code, token, "at")
    clock.now += 5
    with refused("second"):
        vote(rooms, code, token, "above")
    room.ask("n")
    vote(rooms, code, token, 12)
    room.show()
    room.vote_again()
    with refused("quick"):
        vote(rooms, code, token, 13)
    clock.now += 1
    vote(rooms, code, token, 13)
    room.reveal()
    assert room.results() == [{12: 1}, {13: 1}]
    room.ask("where")  # it was left as it was
    assert room.asked["where"].stage is Stage.VOTING
    assert room.answered(clock.now) == (1, 1)


@pytest.mark.parametrize("answer", ["", "At", 1, None, ["at"]])
def test_what_is_no_option_is_no_vote(answer):
    with pytest.raises(ValueError):
        CHOICE.check(answer)


@pytest.mark.parametrize("answer", [0, 61, math.nan, math.inf, "3", None, True, 10**400])
def test_a_number_is_held_to_the_questions_range(answer):
    with pytest.raises(ValueError):
        NUMBER.check(answer)
    for right in (1, 60, 2.5):
        NUMBER.check(right)


def test_answers_from_the_lesson_wait_for_their_question(rooms, opened, room, clock):
    code, _ = opened
    tokens = members(rooms, code, 3)
    for token, answer in zip(tokens, ("at", "above", "at"), strict=True):
        room.answer(token, "where", answer, clock.now)
    room.answer(tokens[0], "where", "below", clock.now)  # an answer stays
    room.answer(tokens[0], "no question", "below", clock.now)
    with pytest.raises(ValueError):
        room.answer(tokens[0], "n", 1000, clock.now)
    room.ask("where")
    assert room.answered(clock.now) == (3, 3)
    room.show()
    assert room.results() == [{"at": 2, "above": 1}]
    room.ask("n")
    room.answer(tokens[0], "where", "below", clock.now + 5)  # too late: another question is on the wall
    room.answer(tokens[0], "n", 7, clock.now + 5)
    room.show()
    assert room.results() == [{7: 1}]


# --- pace -------------------------------------------------------------------------------------------------------------


def test_steps_are_released_and_everybody_is_brought(rooms, opened, room, clock):
    code, _ = opened
    tokens = members(rooms, code, 3)
    assert [room.may_open(step) for step in STEPS] == [True, False, False]  # the teacher sets the pace
    room.release(None)
    assert all(room.may_open(step) for step in STEPS)
    room.release("one")
    assert [room.may_open(step) for step in STEPS] == [True, False, False]
    room.at(tokens[0], "one", clock.now)
    room.at(tokens[1], "two", clock.now)
    room.at(tokens[1], "no step", clock.now)
    assert room.places(clock.now) == {"one": 1, "two": 1, "three": 0}
    room.bring("two")
    assert (room.called, room.calls, room.released) == ("two", 1, "two")
    room.release(None)
    assert room.may_open("three")
    room.bring("one")
    assert room.may_open("three"), "whoever is brought back keeps what was open"
    for wrong in (room.release, room.bring):
        with pytest.raises(Closed):
            wrong("no step")


# --- draws ------------------------------------------------------------------------------------------------------------


def test_pooled_draws_are_those_that_were_sent(rooms, opened, room, clock):
    code, _ = opened
    tokens, rng = members(rooms, code, 30), np.random.default_rng(0)
    with pytest.raises(Closed), rooms.member(code, tokens[0]) as (room, now):
        room.put_draws(tokens[0], "geometric", 0, np.ones(3), now)
    sent = [rng.normal(size=n) for n in rng.integers(1, 300, 30)]
    room.gather("geometric", "one")
    for seed, (token, draws) in enumerate(zip(tokens, sent, strict=True)):
        with rooms.member(code, token) as (room, now):
            room.put_draws(token, "geometric", seed, draws, now)
    with pytest.raises(Closed), rooms.member(code, tokens[0]) as (room, now):
        room.put_draws(tokens[0], "poisson", 77, np.ones(3), now + 5)
    everything = np.concatenate(sent)
    found = summary(room.pool.all())
    assert found.n == len(everything)
    assert found.mean == pytest.approx(everything.mean(), abs=1e-12)
    assert found.error == pytest.approx(stats.sem(everything), rel=1e-12)
    for one, draws in zip(room.pool.each(), sent, strict=True):
        assert (one.n, one.mean) == (len(draws), pytest.approx(draws.mean()))
    last = room.pool.closing_in()[-1]
    assert (last.n, last.mean, last.error) == (
        len(everything),
        pytest.approx(everything.mean(), abs=1e-12),
        pytest.approx(stats.sem(everything), rel=1e-10),
    )


def test_the_pool_closes_in_by_turns():
    pool = Pool("s")
    pool.put("a", 1, np.array([1.0, 2.0, 3.0]))
    pool.put("b", 2, np.array([10.0, 20.0]))
    turns = np.array([1.0, 10.0, 2.0, 20.0, 3.0])
    for found in pool.closing_in(50):
        assert found.mean == pytest.approx(turns[: found.n].mean())
        assert found.deviation == pytest.approx(turns[: found.n].std(ddof=1))
    assert [found.n for found in pool.closing_in(50)] == [2, 3, 4, 5]
    assert Pool("empty").closing_in() == []


def test_the_pool_keeps_its_digits_where_the_mean_is_large():
    draws = 1e8 + np.random.default_rng(0).normal(size=4000)
    pool = Pool("s")
    pool.put("a", 1, draws)
    assert pool.closing_in()[-1].deviation == pytest.approx(draws.std(ddof=1), rel=1e-6)


def test_the_same_seed_twice_would_count_twice():
    pool = Pool("s")
    pool.put("a", 1, np.ones(3))
    with pytest.raises(ValueError, match="seed 1"):
        pool.put("b", 1, np.ones(3))
    pool.put("a", 2, np.zeros(MOST_DRAWS + 5))
    pool.put("b", 1, np.ones(3))
    assert (len(pool.all()), pool.all().sum()) == (MOST_DRAWS + 3, 3)


def test_an_interval_is_the_mean_with_1_96_standard_errors():
    draws = np.array([1.0, 2.0, 4.0, 5.0])
    error = stats.sem(draws)
    for off, holds in ((1.95, True), (1.97, False), (-1.95, True), (-1.97, False)):
        assert summary(draws).contains(3.0 + off * error) == holds
    assert summary(np.ones(1)).contains(1.0) is None


def test_real_coins_are_kept_apart(rooms, opened, room, clock):
    code, _ = opened
    tokens = members(rooms, code, 2)
    for token, throws in zip(tokens, (1, 3), strict=True):
        with rooms.member(code, token) as (room, now):
            room.put_coins(token, throws, now)
    assert room.coins() == {1: 1, 3: 1}
    assert room.pool is None
    for wrong in (0, LARGEST_COUNT + 1, 2.0, True, "3", None):
        with pytest.raises(ValueError):
            room.put_coins(tokens[0], wrong, clock.now + 9)
    for i in range(MOST_THROWS - 1):
        room.put_coins(tokens[0], 1, clock.now + 2 * (i + 1))
    with pytest.raises(Closed):
        room.put_coins(tokens[0], 1, clock.now + 9999)


# --- export -----------------------------------------------------------------------------------------------------------


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_export_has_counts_and_no_single_member(rooms, opened, room, clock):
    code, _ = opened
    tokens = members(rooms, code, 12)
    room.ask("where")
    for i, token in enumerate(tokens):
        vote(rooms, code, token, ("at", "above")[i % 2])
    clock.now += 2
    room.ask("n")
    for i, token in enumerate(tokens):
        vote(rooms, code, token, 2 if i < 7 else i)
    found = [(row["question"], row["round"], row["answer"], row["people"]) for row in rows(export.counts(room))]
    assert found == [
        (CHOICE.text, "1", "at the truth", "6"),
        (CHOICE.text, "1", "above it", "6"),
        (CHOICE.text, "1", "below", "0"),
        (NUMBER.text, "1", "2", "7"),
        (NUMBER.text, "1", "other numbers, each by fewer than 5 people", "5"),
    ]
    assert not any(token in export.counts(room) for token in tokens)


def test_four_people_are_not_exported(rooms, opened, room, clock):
    code, _ = opened
    tokens = members(rooms, code, 4)
    room.ask("where")
    room.gather("geometric", "one")
    for seed, token in enumerate(tokens):
        vote(rooms, code, token, "at")
        with rooms.member(code, token) as (room, now):
            room.put_draws(token, "geometric", seed, np.ones(5), now + 2)
    assert rows(export.counts(room)) == rows(export.draws(room)) == []
    rooms.join(code, "fifth")
    with rooms.member(code, "fifth") as (room, now):
        room.put_draws("fifth", "geometric", 99, np.array([3.0]), now + 2)
    assert [float(row["estimate of the log det (nats)"]) for row in rows(export.draws(room))] == [1.0] * 20 + [3.0]
    (pooled,) = rows(export.pooled(room))
    assert (pooled["members"], pooled["draws"], float(pooled["mean (nats)"])) == ("5", "21", pytest.approx(23 / 21))


def test_throws_of_real_coins_are_exported_from_five_people_on(rooms, opened, room, clock):
    code, _ = opened
    for k, throws in enumerate(([1, 3], [2], [1], [5, 1, 1], [2])):
        rooms.join(code, f"member {k}")
        assert export.coins(room).startswith("#"), f"{k} people could be told apart"
        for one in throws:
            clock.now += 2
            room.put_coins(f"member {k}", one, clock.now)
    program = export.coins(room)
    assert all(f"{n}: {times}," in program for n, times in ((1, 4), (2, 2), (3, 1), (5, 1)))
    assert "member" not in program.partition("counts")[2]


def test_a_cell_is_no_formula_of_a_spreadsheet(rooms):
    question = Question("q", '=HYPERLINK("x")', {"a": "+1", "b": "fine"})
    code, secret = rooms.open("coins", "en", STEPS, {"q": question})
    with rooms.teacher(code, secret) as room:
        room.ask("q")
    for token in members(rooms, code, 5):
        vote(rooms, code, token, "a")
    first, second = rows(export.counts(room))
    assert (first["question"][0], first["answer"], second["answer"]) == ("'", "'+1", "fine")
