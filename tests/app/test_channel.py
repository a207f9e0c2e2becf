"""The channel, by Starlette's own client, over an engine that says what the tests tell it to."""

import asyncio
import json
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app import channel, engine, web
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
from tests.page_client import open_page
from tests.served import ROOT, process_served, wait_for

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
    assert not channel.CHANNEL.is_read("a") and not told.watchers._of


def test_who_reads_too_slowly_has_the_newest(told):
    async def slow():
        reader = channel.Reader(asyncio.get_running_loop())
        for number in range(50):
            reader.put("frame", str(number))
            reader.put("at", f"at {number}")
            for arm in range(2):
                reader.put(("weights", arm), bytes([arm, number]))
        first = {await reader.next() for _ in range(4)}
        reader.put("frame", "later")
        return first, await reader.next()

    assert asyncio.run(slow()) == ({"49", "at 49", bytes([0, 49]), bytes([1, 49])}, "later")


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

    def test_it_is_sent_pictures_where_the_flow_has_none(self, told, client):
        with reading(client, "a", weights=True) as socket:
            told.say("a", 3, has_weights=False)
            assert step_of(socket.receive_json()) == 3

    def test_pages_of_both_kinds_have_each_what_they_take(self, told, client):
        with reading(client, "a") as old, reading(client, "a", readers=2, weights=True) as new:
            assert told.wishes == [("a", Wish(pictures=True, weights=True))]
            told.hand_out("a", 4)
            assert drawn_from(new)[2] == 4
            told.say("a", 5, has_weights=True)
            told.hand_out("a", 6)
            assert step_of(old.receive_json()) == 5 and drawn_from(new)[2] == 6
        assert told.wishes[1:] == [("a", Wish())], "the first that went was the one that draws"

    def test_two_pages_of_one_run_have_the_same_bytes_and_the_one_that_comes_later_has_them_at_once(self, told, client):
        with reading(client, "a", weights=True) as first:
            told.hand_out("a", 7, rewinds=1)
            message = first.receive_bytes()
            with reading(client, "a", readers=2, weights=True) as second:
                assert second.receive_bytes() == message
                told.hand_out("a", 8)
                assert first.receive_bytes() == second.receive_bytes() != message
        assert len(told.wishes) == 1, "the engine needs not hand them out again"

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

    def test_while_another_page_is_seen_the_run_is_drawn_for_it(self, told, client):
        with reading(client, "a", weights=True) as seen, reading(client, "a", 2, weights=True, hidden=True) as hidden:
            assert len(told.wishes) == 1
            told.hand_out("a", 4)
            assert drawn_from(seen)[2] == 4
            hidden.send_text('{"hidden": false}')
            assert drawn_from(hidden)[2] == 4

    def test_a_page_that_is_hidden_at_first_asks_for_nothing(self, told, client):
        with reading(client, "a", weights=True, hidden=True):
            assert told.wishes == [("a", Wish(pictures=False, weights=False))]

    def test_a_browser_that_is_too_slow_has_pictures_and_weights_again_when_it_is_not(self, told, client):
        with reading(client, "a", weights=True) as socket:
            socket.send_text('{"plain": true, "depth": 2}')
            wait_for(lambda: len(told.wishes) == 3, "the page to be plain")
            assert told.wishes[1:] == [("a", Wish()), ("a", Wish(2))]
            told.hand_out("a", 3)
            told.say("a", 4, has_weights=True)
            assert step_of(socket.receive_json()) == 4
            socket.send_text('{"plain": false}')
            wait_for(lambda: len(told.wishes) == 4, "the page to draw")
            assert told.wishes[3] == ("a", Wish(2, pictures=False, weights=True))
            told.hand_out("a", 9)
            assert drawn_from(socket)[2] == 9

    def test_what_a_page_asks_to_be_shown_is_drawn_by_it(self, told, client):
        with reading(client, "a", weights=True) as socket:
            socket.send_text('{"point": [1, 2]}')
            wait_for(lambda: len(told.wishes) == 2, "the point")
            assert told.wishes[1] == ("a", Wish(None, (1.0, 2.0), pictures=False, weights=True))

    def test_when_the_last_page_has_gone_nothing_is_kept(self, told, client):
        with reading(client, "a", weights=True):
            told.hand_out("a", 4)
        kept = vars(channel.CHANNEL)
        assert set(kept) == {"_readers", "_ends", "_wishes", "_drawn", "_newest"} and not any(kept.values())
        assert channel.CHANNEL.wish("a", otherwise=Wish(3)) == Wish(3)

    @pytest.mark.parametrize("said", ['{"hidden": 1}', '{"hidden": null}', '{"plain": "true"}', '{"weights": false}'])
    def test_what_is_no_word_of_its_is_nothing_to_us(self, told, client, said):
        with reading(client, "a", weights=True) as socket:
            socket.send_text(said)
            told.hand_out("a", 4)
            assert drawn_from(socket)[2] == 4
        assert len(told.wishes) == 1

    @pytest.mark.parametrize("words", ['"weights": 1', '"weights": null', '"weights": true, "hidden": "no"'])
    def test_first_words_that_make_no_sense_end_the_connection(self, told, client, words):
        with client.websocket_connect("/live", headers=HERE) as socket:
            socket.send_text('{"run": "a", ' + words + "}")
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_text()
        assert closed.value.code == channel.WRONG


def test_the_engine_hears_that_a_page_is_there(told, client):
    with reading(client, "a"):
        wait_for(lambda: set(told.attended) == {"a"}, "attendance")


def test_when_the_last_page_has_gone_the_engine_hears_it_and_no_earlier(told, client):
    with reading(client, "a"):
        with reading(client, "a", readers=2):
            pass
        assert told.left == []
    assert told.left == ["a"]


def test_a_page_asks_for_a_depth_which_the_next_poll_keeps(told, client):
    with reading(client, "a") as socket:
        assert channel.CHANNEL.wish("a", otherwise=Wish(4)) == Wish(4)
        for depth in (3, None, 0):
            socket.send_text(json.dumps({"depth": depth}))
        wait_for(lambda: told.wishes == [("a", Wish(3)), ("a", Wish()), ("a", Wish(0))], "all three")
        assert channel.CHANNEL.wish("a", otherwise=Wish(4)) == Wish(0)
    assert channel.CHANNEL.wish("a", otherwise=Wish(4)) == Wish(4)


def test_a_point_is_asked_for_beside_the_depth_and_given_up_alone(told, client):
    with reading(client, "a") as socket:
        for said in ({"depth": 2}, {"point": [0.5, -1]}, {"depth": 1, "point": [3, 4.5]}, {"point": None}):
            socket.send_text(json.dumps(said))
        wait_for(lambda: len(told.wishes) == 4, "all four")
    points = [Wish(2), Wish(2, (0.5, -1.0)), Wish(1, (3.0, 4.5)), Wish(1)]
    assert told.wishes == [("a", wish) for wish in points]


def test_a_point_comes_with_its_terms_and_no_other_kind_is_lost(told, client, at_point):
    with reading(client, "a") as socket:
        told.say("a", 7, measured=[at_point])
        said = [socket.receive_json(), socket.receive_json()]
        assert {"frame", "at"} == {key for one in said for key in one} - {"run"}
        (at,) = [one["at"] for one in said if "at" in one]
        assert at == json.loads(json.dumps(encode_point(at_point)))


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


def test_a_number_that_is_not_finite_travels_as_null(at_point):
    sent = json.loads(json.dumps(encode_point(at_point), allow_nan=False))
    assert sent["deviations"] == [None] and sent["true_log_prob"] is None
    assert (sent["estimator"], sent["terms"]) == ("truncated", 5)
    assert sorted(sent["eigenvalues"][0]) == pytest.approx([-0.4, 0.0, 0.0, 0.4])


def test_what_else_a_page_says_is_nothing_to_us(told, client):
    with reading(client, "a") as socket:
        socket.send_bytes(b"\x00")
        for text in ("", "anything", "[]", "3", "{}", "[" * 199, '{"depth": ' + 300 * "1" + "}", '{"run": "b"}'):
            socket.send_text(text)
        for depth in ("true", "-1", "1.5", "1e999", "NaN", '"2"', "[2]", "10001"):
            socket.send_text(f'{{"depth": {depth}}}')
        for point in (
            "3",
            "[]",
            "[1]",
            "[1, 2, 3]",
            '[1, "2"]',
            "[1, true]",
            "[NaN, 1]",
            "[1e999, 1]",
            "[1, 1001]",
            "{}",
        ):
            socket.send_text(f'{{"point": {point}}}')
        socket.send_text('{"depth": 1, "other": 2}')
        told.say("a", 3)
        assert step_of(socket.receive_json()) == 3
    assert told.wishes == []


@pytest.mark.parametrize("headers", [{}, {"origin": "http://elsewhere.example"}, {"origin": "null"}, {"origin": ""}])
def test_another_site_is_refused_before_anything_is_said(told, client, headers):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/live", headers=headers):
        pass
    assert not channel.CHANNEL._readers


@pytest.mark.parametrize(
    "hello", ["", "no JSON", "[]", "{}", '{"run": 3}', '{"run": null}', '{"run": "' + 300 * "a" + '"}', "1" * 10**5]
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
        ("https://flows.example.org", "flows.example.org", True),
        ("https://Flows.example.org", "flows.EXAMPLE.org", True),
        ("http://localhost:8502", "localhost:8501", False),
        ("http://localhost:8501.example.org", "localhost:8501", False),
        ("http://elsewhere.localhost:8501", "localhost:8501", False),
        ("http://elsewhere.example/localhost:8501", "localhost:8501", False),
        (None, "localhost:8501", False),
        ("http://localhost", None, False),
        ("", "", False),
        ("http://[", "localhost:8501", False),
    ],
)
def test_what_is_of_this_site(origin, host, same):
    assert channel.is_of_this_site(origin, host) is same


def test_it_lies_below_the_address_of_the_app(monkeypatch):
    for base, path in (("", "/live"), ("flows", "/flows/live"), ("/a/b/", "/a/b/live")):
        monkeypatch.setattr(web.st, "get_option", {"server.baseUrlPath": base}.get)
        assert channel.path() == path
        assert [route.path for route in channel.routes()] == [path]


def test_an_engine_draws_at_the_depth_that_is_asked_for_at_once():
    local, seen = engine_without_time(), []
    run = local.create(Experiment((Arm(FlowConfig(blocks=2, width=8), TrainConfig(batch=16), "moons"),), 0))
    local.watch(run, lambda report: seen.extend(arm.frame for arm in report.arms if arm.frame))
    request = ViewRequest(grid=8, points=5)
    local.look(run, Wish(1))  # before anybody has said what else is wanted
    local.poll(run, request)
    assert {frame.depth for frame in seen} == {None}
    local.play(run)
    seen.clear()
    local.look(run, Wish(1))
    for _ in range(50):
        if len(seen) == 3:
            break
        local._here.turn()
    assert [frame.depth for frame in seen] == [1, 1, 1]


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


def test_an_engine_hands_out_what_is_looked_at_to_pages_that_draw():
    local, seen = engine_without_time(), []
    run = local.create(Experiment((Arm(FlowConfig(blocks=2, width=8), TrainConfig(batch=16), "moons"),), 0))
    local.watch(run, lambda news: seen.append(news) if isinstance(news, HandedOut) else None)
    local.poll(run, ViewRequest(grid=8, points=5))
    assert seen == []
    local.look(run, Wish(pictures=False, weights=True))
    local._here.turn()
    assert [(one.step, len(one.arms)) for one in seen] == [(0, 1)]
    local.step(run, 3)
    report = local.poll(run, ViewRequest(grid=8, points=5, frames=False, weights=True))
    assert seen[-1].step == 3 and report.has_weights and report.arms[0].frame.step == 0
    local.reset(run)
    local.poll(run, ViewRequest(frames=False, weights=True))
    assert (seen[-1].step, seen[-1].timeline) == (0, f"{run}:1")


def test_an_engine_tells_each_report_with_its_own_frames_until_it_is_told_no_more():
    local, seen = engine_without_time(), []
    run = local.create(Experiment((Arm(FlowConfig(blocks=1, width=8), TrainConfig(batch=16), "moons"),), 0))
    end = local.watch(run, seen.append)
    local.poll(run, ViewRequest(grid=8, points=5))
    local.step(run, 3)
    local.poll(run, ViewRequest(grid=8, points=5))
    steps = [arm.frame.step for report in seen for arm in report.arms if arm.frame]
    assert steps == sorted(set(steps)) and steps[-1] == 3
    assert {report.rewinds for report in seen} == {0}
    local.reset(run)
    local.poll(run, ViewRequest(grid=8, points=5))
    assert seen[-1].rewinds == 1
    end()
    before = len(seen)
    local.step(run, 2)
    local.poll(run, ViewRequest(grid=8, points=5))
    assert len(seen) == before


def test_who_begins_to_look_is_handed_weights_that_a_page_has_had_already():
    local, seen = engine_without_time(), []
    run = local.create(Experiment((Arm(FlowConfig(blocks=1, width=8), TrainConfig(batch=16), "moons"),), 0))
    report = local.poll(run, ViewRequest(frames=False, weights=True))
    assert decode(report.arms[0].weights)[0]["step"] == 0
    local.watch(run, seen.append)
    local.look(run, Wish(pictures=False, weights=True))
    for _ in range(50):
        local._here.turn()
    (handed,) = (news for news in seen if isinstance(news, HandedOut))
    assert (handed.step, handed.arms) == (0, (report.arms[0].weights,))


STREAMLIT = ("-m", "streamlit", "run", str(ROOT / "app" / "main.py"), "--server.port")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "more", "base"),
    [
        (("-m", "app", "--port"), (), ""),
        (STREAMLIT, (), ""),
        (STREAMLIT, ("--server.baseUrlPath", "flows/here"), "/flows/here"),
    ],
    ids=["python -m app", "streamlit run", "below a path"],
)
def test_pictures_come_from_a_server_however_it_is_started(tmp_path, command, more, base):
    folder = ROOT if command[1] == "app" else tmp_path  # `streamlit run` from any folder

    async def played(url):
        async with open_page(url, "explore", "blocks=2&width=16&batch=64") as page, page.pictures() as pictures:
            await page.play()
            until = asyncio.Event()
            polling = asyncio.create_task(page.watch(until))
            async with asyncio.timeout(60):
                steps = [await anext(pictures) for _ in range(4)]
            until.set()
            await polling
            return steps

    with process_served(
        lambda port: [*command, str(port), *more], tmp_path / "log", folder=folder, base=base
    ) as server:
        steps = asyncio.run(played(server.url))
    assert steps == sorted(set(steps)) and steps[-1] > 0
