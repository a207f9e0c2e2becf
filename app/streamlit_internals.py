"""All that the app uses of Streamlit beside its documented interface.

Each function has a test in `tests/app/test_streamlit_internals.py`. `requirements.txt` bounds Streamlit's version from
above: raise the bound once these tests pass with the new version.
"""

import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import streamlit
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.fragment import FragmentStorage
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner, ScriptRunnerEvent
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext, ThreadState, get_script_run_ctx
from uvicorn.protocols.http.auto import AutoHTTPProtocol


def fragment_of_this_call() -> str | None:
    """The identifier of the fragment that is running, or None outside of fragments."""
    return ThreadState.get().fragment_id


def fragments_of_this_run() -> frozenset[str]:
    """The identifiers of the fragments that this run of the script was asked for; empty if it is the whole script."""
    context = get_script_run_ctx()
    return frozenset(context.fragment_ids_this_run or ()) if context else frozenset()


def call_every(fragment: str, seconds: float) -> None:
    """Let the browser call this fragment by the clock every so many seconds from now on. One that has no clock gets
    one; one that is gone, as the screen before, gets none."""
    context = get_script_run_ctx()
    if context and context.fragment_storage.contains(fragment):
        message = ForwardMsg()
        message.auto_rerun.fragment_id, message.auto_rerun.interval = fragment, seconds
        context.enqueue(message)


def _once(owner: Any, name: str, around: Callable[[Callable[..., Any]], Callable[..., Any]], mark: str) -> None:
    """Let `around` replace a method by one that does more, unless it was marked as replaced before."""
    method = getattr(owner, name)
    if mark not in getattr(method, "marks", ()):
        more = wraps(method)(around(method))
        more.marks = (*getattr(method, "marks", ()), mark)  # type: ignore[attr-defined]
        setattr(owner, name, more)


def let_clocks_say_nothing_of_widgets() -> None:
    """Let a call by the clock run its fragment with the values that widgets have on the server.

    Each call brings what the browser shows. A clock calls by itself, also while the answer to a click is on its way
    that gives a widget another value. Its call would bring the old one back, and undo the click. What people do comes
    by a call of its own, and would count twice where a clock's call brings it first.
    """

    def around(request: Callable[..., bool]) -> Callable[..., bool]:
        def without_widgets(requests: ScriptRequests, asked: RerunData) -> bool:
            return request(requests, replace(asked, widget_states=None) if asked.is_auto_rerun else asked)

        return without_widgets

    _once(ScriptRequests, "request_rerun", around, "clocks")


@dataclass
class _Kept:
    """The large messages that the browser of a session keeps for certain, by their hashes, each with its fragment."""

    certain: dict[str, str] = field(default_factory=dict)  # each run that could have dropped them has had them
    sent: dict[str, str] = field(default_factory=dict)  # by the run that goes on

    def finish(self, fragments: Sequence[str]) -> None:
        """After a run of these fragments, or of the whole script, the browser drops what the run went without."""
        others = {hash: one for hash, one in self.certain.items() if fragments and one not in fragments}
        self.certain = others | self.sent


def refer_only_to_what_browsers_keep() -> None:
    """Send a large message in full, unless each run since it was sent that could have dropped it has had it.

    A browser keeps large messages, and says with each call which it has; the answer then names them by their hashes.
    After each run it drops some that the run went without, also while its next call is on the way. An answer that names
    one of these ends the page for good ("Cached ForwardMsg MISS").
    """
    sessions: WeakKeyDictionary[FragmentStorage, _Kept] = WeakKeyDictionary()

    def of(run: ScriptRunContext) -> _Kept:
        return sessions.setdefault(run.fragment_storage, _Kept())

    def around_start(start: Callable[..., None]) -> Callable[..., None]:
        def started(run: ScriptRunContext, *, cached_message_hashes: frozenset[str] | None = None, **how: Any) -> None:
            of(run).sent = {}
            start(run, cached_message_hashes=(cached_message_hashes or frozenset()) & of(run).certain.keys(), **how)

        return started

    def around_sending(send: Callable[..., None]) -> Callable[..., None]:
        def sent(run: ScriptRunContext, message: ForwardMsg) -> None:
            send(run, message)
            if message.metadata.cacheable:
                of(run).sent[message.hash] = message.delta.fragment_id

        return sent

    def around_end(end: Callable[..., None]) -> Callable[..., None]:
        def ended(
            runner: ScriptRunner, run: ScriptRunContext, event: ScriptRunnerEvent, *more: Any, **how: Any
        ) -> None:
            if event is not ScriptRunnerEvent.SCRIPT_STOPPED_FOR_RERUN:  # after which a browser drops nothing
                of(run).finish(run.fragment_ids_this_run or ())
            end(runner, run, event, *more, **how)

        return ended

    _once(ScriptRunContext, "reset", around_start, "kept")
    _once(ScriptRunContext, "enqueue", around_sending, "kept")
    _once(ScriptRunner, "_on_script_finished", around_end, "kept")


def answer_calls_on_the_page_that_is_open() -> None:
    """Let a call of a fragment be answered on the page that the session shows when its turn comes.

    Streamlit answers it on the page on which it was made. If that has changed meanwhile, the browser takes the answer
    for another change of the page, and drops all that it shows: the page is white. So each call goes to the page of the
    run before, and one of a fragment that is gone is dropped.
    """

    def around(run_script: Callable[..., None]) -> Callable[..., None]:
        def on_the_open_page(runner: ScriptRunner, asked: RerunData) -> None:
            if asked.fragment_id_queue:
                there = [one for one in asked.fragment_id_queue if runner._fragment_storage.contains(one)]
                if not there:
                    return
                page = runner._get_script_run_ctx().page_script_hash or asked.page_script_hash
                asked = replace(asked, fragment_id_queue=there, page_script_hash=page)
            run_script(runner, asked)

        return on_the_open_page

    _once(ScriptRunner, "_run_script", around, "open page")


def send_without_delay() -> None:
    """Let answers leave at once.

    The system holds a short answer back for 40 ms, until the browser has confirmed the one before, unless it is told
    not to. asyncio tells it so where a socket names its protocol, and the one that Streamlit listens at does not.
    """

    def around(made: Callable[..., None]) -> Callable[..., None]:
        def connected(self: Any, transport: Any) -> None:
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made(self, transport)

        return connected

    _once(AutoHTTPProtocol, "connection_made", around, "no delay")


def index_page() -> str:
    """The HTML of the page that Streamlit's server gives to every browser."""
    return (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")


def serve(arguments: Sequence[str]) -> None:
    """Run `streamlit` with these arguments in this process, until it is stopped. Raises `click.Abort` by Ctrl-C."""
    from streamlit.web import cli

    sys.argv = ["streamlit", *arguments]
    cli.main(standalone_mode=False)
