"""Scripts take turns: so many at a time, in the order in which they came, whatever goes wrong in one."""

import threading
from types import SimpleNamespace

from app import turns
from app.turns import Turns
from tests.served import wait_for

DEADLINE = 300.0


class Crowd:
    """Threads that ask for a turn one after the other, and hold it until they are told to end."""

    def __init__(self, all_turns):
        self.turns, self.order, self.ends = all_turns, [], {}

    def come(self, name, act=lambda: None):
        self.ends[name] = threading.Event()
        waiting = self.turns.waiting

        def run():
            with self.turns.turn():
                self.order.append(name)
                act()
                self.ends[name].wait(DEADLINE)

        threading.Thread(target=run, daemon=True).start()
        wait_for(lambda: name in self.order or self.turns.waiting > waiting, f"{name} to ask")

    def end(self, *names):
        for name in names:
            self.ends[name].set()


def test_so_many_have_a_turn_and_the_others_follow_in_their_order():
    crowd = Crowd(Turns(2))
    for name in "abcdef":
        crowd.come(name)
    assert crowd.order == ["a", "b"] and crowd.turns.waiting == 4
    crowd.end("b")
    wait_for(lambda: len(crowd.order) == 3, "the third")
    assert crowd.order == ["a", "b", "c"]
    for number, name in enumerate("acd", 4):  # one after the other: two at once may tell it in any order
        crowd.end(name)
        wait_for(lambda number=number: len(crowd.order) == number, "the next")
    assert crowd.order == list("abcdef")
    crowd.come("g")  # turns that were handed over are not free besides
    assert crowd.order == list("abcdef") and crowd.turns.waiting == 1
    crowd.end("e", "f", "g")


def test_who_rests_lets_another_have_the_turn_and_comes_before_those_who_wait(monkeypatch):
    one, slept, go_on = Turns(1), threading.Event(), threading.Event()
    monkeypatch.setattr(turns, "time", SimpleNamespace(sleep=lambda seconds: (slept.set(), go_on.wait(DEADLINE))))
    crowd = Crowd(one)

    def rest():
        one.rest(1.0)
        crowd.order.append("a again")

    crowd.come("a", rest)
    assert slept.wait(DEADLINE)
    crowd.come("b")
    crowd.come("c")
    assert crowd.order == ["a", "b"]
    go_on.set()
    wait_for(lambda: one.waiting == 2, "the one that rested to ask again")
    crowd.end("b")
    wait_for(lambda: len(crowd.order) == 3, "the next")
    assert crowd.order == ["a", "b", "a again"]
    crowd.end("a", "c")
    wait_for(lambda: crowd.order[-1] == "c", "the last")
