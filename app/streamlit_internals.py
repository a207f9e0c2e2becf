"""All that the app uses of Streamlit beside its documented interface.

Each function has a test in `tests/app/test_streamlit_internals.py`. `requirements.txt` bounds Streamlit's version from
above: raise the bound once these tests pass with the new version.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path

import streamlit
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState, get_script_run_ctx


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


def answer_calls_on_the_page_that_is_open() -> None:
    """Let a call of a fragment be answered on the page that the session shows when its turn comes.

    Streamlit answers it on the page on which it was made. If that has changed meanwhile, the browser takes the answer
    for another change of the page, and drops all that it shows: the page is white. So each call goes to the page of the
    run before, and one of a fragment that is gone is dropped.
    """
    if getattr(ScriptRunner._run_script, "__wrapped__", None):
        return
    run_script = ScriptRunner._run_script

    @wraps(run_script)
    def on_the_open_page(runner: ScriptRunner, asked: RerunData) -> None:
        if asked.fragment_id_queue:
            there = [one for one in asked.fragment_id_queue if runner._fragment_storage.contains(one)]
            if not there:
                return
            page = runner._get_script_run_ctx().page_script_hash or asked.page_script_hash
            asked = replace(asked, fragment_id_queue=there, page_script_hash=page)
        run_script(runner, asked)

    ScriptRunner._run_script = on_the_open_page  # type: ignore[method-assign, assignment]


def index_page() -> str:
    """The HTML of the page that Streamlit's server gives to every browser."""
    return (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")


def serve(arguments: Sequence[str]) -> None:
    """Run `streamlit` with these arguments in this process, until it is stopped. Raises `click.Abort` by Ctrl-C."""
    from streamlit.web import cli

    sys.argv = ["streamlit", *arguments]
    cli.main(standalone_mode=False)
