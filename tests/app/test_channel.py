"""The channel, by Starlette's own client, over an engine that says what the tests tell it to."""

import json
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app import channel, engine
from app.components.live.encode import encode_point
from app.engine.commands import ViewRequest, Wish
from app.engine.experiment import Arm, Experiment
from app.engine.records.watchers import Watchers
from app.engine.reports import ArmReport, Frame, HandedOut, Report, State
from app.engine.training.measurements.point import AtPoint
from app.engine.training.weights import Weights, decode, encode
from resflow_core import measure
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Truncated
from resflow_core.training.trainer import TrainConfig
from tests.app.requests import engine_without_time
from tests.served import wait_for

HERE = {"origin": "http://testserver"}


class Told:
    """An engine of which a test says the reports."""

    def __init__(self):
        self.watchers, self.attended, self.left, self.wishes = Watchers(), [], [], []

    def watch(self, id, heard):
        return self.watchers.add(id, heard)

    def attend(self, id):
        self.attended.append(id)

    def leave(self, id):
        self.left.append(id)

    def look(self, id, wish):
        self.wishes.append((id, wish))

    def say(self, run, step=None, rewinds=0, measured=(), has_weights=False):
        found = {type(record): record for record in measured}
        arm = ArmReport(step or 0, 0.0, 0.0, None if step is None else frame(step), measured=found)
        self.watchers.tell(Report(run, State.PLAYING, (arm,), rewinds=rewinds, has_weights=has_weights))

    def hand_out(self, run, step, rewinds=0, arms=1):
        messages = [encode(Weights(step, json.dumps({"arm": k}), np.arange(step, dtype="f4"))) for k in range(arms)]
        self.watchers.tell(HandedOut(run, step, (*messages, None), rewinds))


def frame(step):
    none = np.empty((0, 2), np.float32)
    return Frame(step, np.zeros((3, 3), np.float32), none, none, None)


@pytest.fixture
def told(monkeypatch):
    told = Told()
    monkeypatch.setattr(engine, "get_engine", lambda: told)
    monkeypatch.setattr(channel, "CHANNEL", channel.Channel())
    monkeypatch.setattr(channel, "HELLO_SECONDS", 300.0)
    return told


@pytest.fixture
def client(told):
    with TestClient(Starlette(routes=channel.routes())) as client:
        yield client


@contextmanager
def reading(client, run, readers=1, **words):
    """A page that has said which run it watches, and these words with it, the last of so many, and is listened to until
    it goes."""
    with client.websocket_connect("/live", headers=HERE) as socket:
        socket.send_text(json.dumps({"run": run, **words}))
        wait_for(lambda: count(run) == readers and run in channel.CHANNEL._ends, "the channel to read")
        yield socket
        socket.close()
        wait_for(lambda: count(run) == readers - 1, "the channel to hear that it has gone")
        # The last thing that it does for the last page.
        wait_for(lambda: readers > 1 or run in engine.get_engine().left, "the engine to hear it too")


def count(run):
    return len(channel.CHANNEL._readers.get(run, ()))


def step_of(said):
    return said["frame"]["step"]


def drawn_from(socket):
    """Run, arm and step of the weights that come next."""
    header, numbers = decode(socket.receive_bytes())
    assert len(numbers) == header["step"] and header["flow"] == {"arm": header["arm"]}
    return header["run"], header["arm"], header["step"]


def test_a_picture_comes_as_soon_as_it_is_there(told, client):
    with reading(client, "a") as socket:
        told.say("a", 7, rewinds=2)
        said = socket.receive_json()
        assert (said["run"], step_of(said)) == ("a:2", 7)
        told.say("b", 8)
        told.say("a")  # a report without a picture
        told.say("a", 10)
        assert step_of(socket.receive_json()) == 10


def test_several_read_one_run_and_each_has_every_picture(told, client):
    with reading(client, "a") as first:
        with reading(client, "a", readers=2) as second:
            told.say("a", 1)
            assert first.receive_json() == second.receive_json()
        told.say("a", 2)
        assert step_of(first.receive_json()) == 2
        wait_for(lambda: set(told.attended) == {"a"}, "attendance")
        assert told.left == []
    assert told.left == ["a"] and not channel.CHANNEL.is_read("a") and not told.watchers._of


class TestWeights:
    """A page that draws by itself."""

    def test_it_is_sent_them_of_each_arm_with_the_timeline_and_no_pictures(self, told, client):
        with reading(client, "a", weights=True) as socket:
            assert told.wishes == [("a", Wish(pictures=False, weights=True))]
            told.say("a", 3, has_weights=True)
            told.hand_out("b", 4)
            told.hand_out("a", 5, rewinds=2)
            assert drawn_from(socket) == ("a:2", 0, 5)
            told.hand_out("a", 6, arms=2)
            assert [drawn_from(socket) for _ in range(2)] == [("a:0", 0, 6), ("a:0", 1, 6)]
            with reading(client, "a", readers=2, weights=True) as later:
                assert [drawn_from(later) for _ in range(2)] == [("a:0", 0, 6), ("a:0", 1, 6)]
            assert len(told.wishes) == 1, "the engine need not hand them out again"
            told.say("a", 7, has_weights=False)
            assert step_of(socket.receive_json()) == 7
        kept = vars(channel.CHANNEL)
        assert set(kept) == {"_readers", "_ends", "_wishes", "_drawn", "_newest"} and not any(kept.values())

    def test_a_hidden_page_is_sent_nothing_and_none_are_asked_for(self, told, client, at_point):
        with reading(client, "a", weights=True) as socket:
            socket.send_text('{"hidden": true}')
            wait_for(lambda: len(told.wishes) == 2, "the page to be hidden")
            assert told.wishes[1] == ("a", Wish(pictures=False, weights=False))
            assert channel.CHANNEL.wish("a", otherwise=Wish(3)) == Wish(3, pictures=False, weights=False)
            told.say("a", 3, measured=[at_point], has_weights=True)
            told.hand_out("a", 4)
            told.hand_out("a", 5)
            socket.send_text('{"hidden": false}')
            kinds = [socket.receive(), socket.receive()]
            assert json.loads(kinds[0]["text"])["at"]["step"] == at_point.step
            assert decode(kinds[1]["bytes"])[0]["step"] == 5, "the newest, and none before"
            assert told.wishes[2:] == [("a", Wish(pictures=False, weights=True))]


def test_a_point_is_asked_for_beside_the_depth_and_given_up_alone(told, client):
    with reading(client, "a") as socket:
        assert channel.CHANNEL.wish("a", otherwise=Wish(4)) == Wish(4)
        for said in ({"depth": 2}, {"point": [0.5, -1]}, {"depth": 0, "point": [3, 4.5]}, {"point": None}):
            socket.send_text(json.dumps(said))
        wait_for(lambda: len(told.wishes) == 4, "all four")
        assert channel.CHANNEL.wish("a", otherwise=Wish(4)) == Wish(0)
    points = [Wish(2), Wish(2, (0.5, -1.0)), Wish(0, (3.0, 4.5)), Wish(0)]
    assert told.wishes == [("a", wish) for wish in points]
    assert channel.CHANNEL.wish("a", otherwise=Wish(4)) == Wish(4)


def test_a_point_comes_with_its_terms_and_no_other_kind_is_lost(told, client, at_point):
    with reading(client, "a") as socket:
        told.say("a", 7, measured=[at_point])
        said = [socket.receive_json(), socket.receive_json()]
        assert {"frame", "at"} == {key for one in said for key in one} - {"run"}
        (at,) = [one["at"] for one in said if "at" in one]
        assert at == json.loads(json.dumps(encode_point(at_point), allow_nan=False))
    assert at["deviations"] == [None] and at["true_log_prob"] is None
    assert (at["estimator"], at["terms"]) == ("truncated", 5)
    assert sorted(at["eigenvalues"][0]) == pytest.approx([-0.4, 0.0, 0.0, 0.4])


@pytest.fixture
def at_point():
    return AtPoint(
        step=7,
        x=(0.5, -1.0),
        terms=measure.Terms(
            -3.0, -2.0, np.array([-0.5]), -0.5, np.array([[[0.0, -0.4], [0.4, 0.0]]]), np.zeros((3, 2))
        ),
        log_det=Truncated(5),
        means=np.array([0.1]),
        deviations=np.array([np.inf]),
        radii=np.array([0.4]),
    )


def test_what_else_a_page_says_is_nothing_to_us(told, client):
    with reading(client, "a") as socket:
        socket.send_bytes(b"\x00")
        for text in ("", "anything", "[]", "3", "{}", "[" * 199, '{"depth": ' + 300 * "1" + "}", '{"run": "b"}'):
            socket.send_text(text)
        for depth in ("true", "-1", "1.5", "1e999", "NaN", '"2"', "[2]", "10001"):
            socket.send_text(f'{{"depth": {depth}}}')
        for point in ("3", "[1]", "[1, 2, 3]", '[1, "2"]', "[1, true]", "[NaN, 1]", "[1, 1001]", "{}"):
            socket.send_text(f'{{"point": {point}}}')
        for words in ('{"hidden": 1}', '{"plain": "true"}', '{"weights": false}'):
            socket.send_text(words)
        socket.send_text('{"depth": 1, "other": 2}')
        told.say("a", 3)
        assert step_of(socket.receive_json()) == 3
    assert told.wishes == []


@pytest.mark.parametrize("headers", [{}, {"origin": "http://elsewhere.example"}, {"origin": "null"}])
def test_another_site_is_refused_before_anything_is_said(told, client, headers):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/live", headers=headers):
        pass
    assert not channel.CHANNEL._readers


@pytest.mark.parametrize(
    "hello", ["", "[]", "{}", '{"run": 3}', '{"run": "' + 300 * "a" + '"}', '{"run": "a", "weights": 1}']
)
def test_what_is_no_hello_ends_the_connection(told, client, hello):
    with client.websocket_connect("/live", headers=HERE) as socket:
        socket.send_text(hello)
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == channel.WRONG
    assert not channel.CHANNEL._readers


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://localhost:8501", "localhost:8501", True),
        ("https://Flows.example.org", "flows.EXAMPLE.org", True),
        ("http://localhost:8502", "localhost:8501", False),
        ("http://localhost:8501.example.org", "localhost:8501", False),
        ("http://elsewhere.localhost:8501", "localhost:8501", False),
        ("http://elsewhere.example/localhost:8501", "localhost:8501", False),
        (None, "localhost:8501", False),
        ("", "", False),
        ("http://[", "localhost:8501", False),
    ],
)
def test_what_is_of_this_site(origin, host, same):
    assert channel.is_of_this_site(origin, host) is same


def test_an_engine_measures_the_point_that_is_asked_for_at_once_and_follows_training():
    local, seen = engine_without_time(), []
    run = local.create(Experiment((Arm(FlowConfig(blocks=2, width=8), TrainConfig(batch=16), "moons"),), 0))

    def heard(report):
        seen.extend(arm.found(AtPoint) for arm in report.arms if arm.found(AtPoint))

    local.watch(run, heard)
    request = ViewRequest(grid=8, points=5)
    local.poll(run, request)
    local.look(run, Wish(point=(0.5, -0.25)))
    for _ in range(50):
        local._here.turn()
    assert [(at.x, at.step) for at in seen] == [((0.5, -0.25), 0)]
    local.step(run, 3)
    local.poll(run, replace(request, measured={"point": (0.5, -0.25)}))
    assert seen[-1].step == 3 and seen[-1].terms.log_prob != seen[0].terms.log_prob
    local.look(run, Wish())
    count = len(seen)
    local.step(run, 3)
    local.poll(run, request)
    assert len(seen) == count
