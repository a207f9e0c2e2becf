"""Messages that cross: what the browser sends while an answer is on its way to it, as on a slow network."""

import re
from collections.abc import Callable

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.conftest import SMALL
from tests.browser.test_lipschitz import fold
from tests.served import wait_for


class Wire:
    """Between the page and its server: it keeps calls by the clock, and can hold back what the server says."""

    def __init__(self):
        self.calls: list[bytes] = []  # by the clock
        self.finished = 0  # runs of the script
        self.to_server: Callable[[bytes], None] = lambda _: None
        self._held: list[bytes] | None = None

    def through(self, socket):
        if not socket.url.endswith("/_stcore/stream"):
            socket.connect_to_server()
            return
        server = socket.connect_to_server()
        self._to_page, self.to_server = socket.send, server.send
        socket.on_message(self._from_page)
        server.on_message(self._from_server)

    def _from_page(self, message):
        if BackMsg.FromString(message).rerun_script.is_auto_rerun:
            self.calls.append(message)
        self.to_server(message)

    def _from_server(self, message):
        self.finished += ForwardMsg.FromString(message).WhichOneof("type") == "script_finished"
        if self._held is None:
            self._to_page(message)
        else:
            self._held.append(message)

    def hold(self):
        self._held = []

    def release(self):
        held, self._held = self._held, None
        for message in held:
            self._to_page(message)


def until(visitor, there, what):
    """Wait, and let the messages go on, which pass through this test."""
    return wait_for(lambda: visitor.page.wait_for_timeout(50) or there(), what)


def scale(visitor):
    return float(visitor.query.get("lipschitz.scale", 1))


def test_a_clocks_call_that_crosses_an_answer_undoes_nothing(visit):
    wire = Wire()
    query = f"{SMALL}&data=moons&lipschitz.view=inverse&at=100"
    visitor = visit(query, "/lipschitz", picture=False, routed=wire.through)
    visitor.page.get_by_text(re.compile(r"at s = 1: guaranteed")).first.wait_for()  # its own flow, not the stored one
    visitor.press("Play")
    wire.calls.clear()
    until(visitor, lambda: wire.calls, "a call by the clock")
    visitor.press("Pause")
    visitor.page.get_by_role("button", name="Play", exact=True).wait_for()
    before = wire.calls[-1]
    fold(visitor)
    wait_for(lambda: scale(visitor) > 1, "the scale")
    folded = scale(visitor)
    for _ in range(2):  # a run may be on its way that was asked for earlier
        visitor.wait_for_script()
        finished = wire.finished
        wire.to_server(before)  # in it the slider is at 1
        until(visitor, lambda n=finished: wire.finished > n, "its answer")
    visitor.wait_for_script()
    assert scale(visitor) == folded
    visitor.page.get_by_text(re.compile(r": folded\.")).first.wait_for()


@pytest.mark.slow
def test_a_page_lives_on_where_two_calls_cross_the_end_of_a_run(visit):
    """Lessons, and back to Explore, before the browser hears of the Lessons. It has all large parts of Explore then."""
    wire = Wire()
    visitor = visit(routed=wire.through)
    visitor.press("Play")
    wire.calls.clear()
    until(visitor, lambda: len(wire.calls) > 3, "calls by the clock")
    visitor.press("Pause")
    visitor.page.get_by_role("button", name="Play", exact=True).wait_for()
    visitor.wait_for_script()
    header = visitor.page.locator(".stAppHeader")
    wire.hold()
    for name in ("Lessons", "Home", "Explore"):
        finished = wire.finished
        header.get_by_role("link", name=name, exact=True).click()
        until(visitor, lambda n=finished: wire.finished > n, f"the run of {name}")
    wire.release()
    visitor.wait("root.dataset.step !== ''", "the picture")
    visitor.press("1 step")
    visitor.wait_for_step(1)
    assert not [problem for problem in visitor.problems if "404" not in problem]
