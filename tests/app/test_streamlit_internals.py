"""What the app uses of Streamlit beside its documented interface still does what it is used for."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner, ScriptRunnerEvent
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext

from app import streamlit_internals

APP = Path(__file__).parents[2] / "app"


def test_calls_are_answered_on_the_page_that_is_open_and_those_of_gone_fragments_are_not(monkeypatch):
    """That no browser's page is emptied by a call of the page before is tested in `tests/hostile`."""
    ran = []
    monkeypatch.setattr(ScriptRunner, "_run_script", lambda runner, asked: ran.append(asked))
    streamlit_internals.answer_calls_on_the_page_that_is_open()
    there = SimpleNamespace(contains=lambda fragment: fragment in "ab")
    open_page = SimpleNamespace(page_script_hash="new")
    runner = SimpleNamespace(_fragment_storage=there, _get_script_run_ctx=lambda: open_page)
    for fragments, page in ((["a", "z"], "old"), (["z"], "old"), ([], "next")):
        ScriptRunner._run_script(runner, RerunData(fragment_id_queue=fragments, page_script_hash=page))
    assert [(asked.fragment_id_queue, asked.page_script_hash) for asked in ran] == [(["a"], "new"), ([], "next")]


def test_a_clocks_call_says_nothing_of_widgets_alone_or_beside_what_somebody_did(monkeypatch):
    monkeypatch.setattr(ScriptRequests, "request_rerun", ScriptRequests.request_rerun)
    streamlit_internals.let_clocks_say_nothing_of_widgets()
    before, after = (WidgetStates(widgets=[WidgetState(id="slider", double_value=value)]) for value in (1, 2))
    by_clock = RerunData(fragment_id="clock", widget_states=before, is_auto_rerun=True)
    by_hand = RerunData(fragment_id="part", widget_states=after)

    def answered(*asked):
        requests = ScriptRequests()
        for one in asked:
            requests.request_rerun(one)
        found = requests.on_scriptrunner_ready().rerun_data
        return found.fragment_id_queue, found.widget_states

    assert answered(by_clock) == (["clock"], None)
    assert answered(by_hand, by_clock) == (["part", "clock"], after)
    assert answered(by_clock, by_hand) == (["clock", "part"], after)


class Browser:
    """Runs of a script for one browser, which says that it has kept all it was sent; `runner` is one of Streamlit's."""

    runner, fragment_storage = None, type("Storage", (), {})()

    def run(self, *sent, fragments=(), ends=ScriptRunnerEvent.SCRIPT_STOPPED_WITH_SUCCESS):
        """Of what is sent, as (name, fragment), the names of what is sent as a reference."""
        self.fragment_ids_this_run, self.referred = list(fragments), []
        ScriptRunContext.reset(self, cached_message_hashes=frozenset("abc"))
        for name, fragment in sent:
            message = ForwardMsg(hash=name)
            message.delta.fragment_id, message.metadata.cacheable = fragment, True
            ScriptRunContext.enqueue(self, message)
        ScriptRunner._on_script_finished(self.runner, self, ends, False)
        return self.referred


@pytest.fixture
def browser(monkeypatch):
    def reset(run, cached_message_hashes):
        run.kept = cached_message_hashes

    def enqueue(run, message):
        run.referred += [message.hash] * (message.hash in run.kept)

    monkeypatch.setattr(ScriptRunContext, "reset", reset)
    monkeypatch.setattr(ScriptRunContext, "enqueue", enqueue)
    monkeypatch.setattr(ScriptRunner, "_on_script_finished", lambda *_: None)
    streamlit_internals.refer_only_to_what_browsers_keep()
    return Browser()


def test_a_message_is_referred_to_while_each_run_that_could_drop_it_has_had_it(browser):
    whole, part = ("a", ""), ("b", "part")
    assert browser.run(whole, part) == []
    assert browser.run(whole, part) == ["a", "b"]
    assert browser.run(fragments=["other"]) == []
    assert browser.run(part, fragments=["part"]) == ["b"]
    assert browser.run(fragments=["part"]) == []  # the browser may drop b, but not a
    assert browser.run(whole, part) == ["a"]
    assert browser.run(whole, part) == ["a", "b"]
    assert browser.run(ends=ScriptRunnerEvent.SCRIPT_STOPPED_FOR_RERUN) == []  # nothing is dropped
    assert browser.run(whole) == ["a"]
    assert browser.run() == []
    assert browser.run(whole, part) == []
