"""What many pages cost: the real server, and light clients that speak to it as browsers do, but draw nothing.

Each client opens the page, presses Play and lets the page poll as often as the page asks for it. A poll is the round
trip of one: from the request to the end of what the server sends for it. Clients and server share this machine. Pages
poll at moments spread over the second, as they do where people open them one by one; --together lets all poll at once.

    python -m tests.benchmarks.sessions [--pages 1 4 16] [--seconds 15] [--together]
"""

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

ROOT = Path(__file__).parents[2]
WARM_SECONDS = 3.0
DEADLINE_SECONDS = 60.0


@dataclass
class Page:
    """What a browser would know of one page."""

    play: str = ""  # the button's id as a widget
    fragment: str = ""  # what is to be run anew, and how often
    interval: float = 1.0
    cached: set[str] = field(default_factory=set)  # large messages that need not be sent again

    def note(self, message: ForwardMsg) -> None:
        if message.metadata.cacheable:
            self.cached.add(message.hash)
        kind = message.WhichOneof("type")
        if kind == "auto_rerun":
            self.fragment, self.interval = message.auto_rerun.fragment_id, message.auto_rerun.interval
        elif kind == "delta" and message.delta.new_element.button.label == "Play":
            self.play = message.delta.new_element.button.id


class Client:
    """One open page."""

    def __init__(self, port: int, phase: float):
        """`phase` is the share of the polling interval after which its first poll comes."""
        self._address, self._phase = f"ws://127.0.0.1:{port}/_stcore/stream", phase
        self._page = Page()
        self.polls: list[tuple[float, float]] = []  # (when it was sent, seconds until it was answered)

    async def run(self, playing: asyncio.Barrier, until: asyncio.Event) -> None:
        page = self._page
        async with connect(self._address, subprotocols=["streamlit"], max_size=None) as self._socket:
            await self._rerun(ClientState(page_name="explore"))
            press = ClientState(fragment_id=page.fragment)
            press.widget_states.widgets.add(id=page.play, trigger_value=True)
            await self._rerun(press)
            await playing.wait()
            due = time.monotonic() + self._phase * page.interval
            while not until.is_set():
                due = max(due + page.interval, time.monotonic())
                await asyncio.sleep(due - time.monotonic())
                sent = time.monotonic()
                await self._rerun(ClientState(fragment_id=page.fragment, is_auto_rerun=True))
                self.polls.append((sent, time.monotonic() - sent))

    async def _rerun(self, state: ClientState) -> None:
        """Ask for a run of the script, or of the fragment, and read all that it sends."""
        state.cached_message_hashes.extend(self._page.cached)
        await self._socket.send(BackMsg(rerun_script=state).SerializeToString())
        while True:
            message = ForwardMsg.FromString(await self._socket.recv())
            self._page.note(message)
            finished = message.WhichOneof("type") == "script_finished"
            if finished and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return


def serve(port: int) -> None:
    """The server, as by `python -m app --port N`, which also prints what its engine does: a line of JSON a second."""
    from app import __main__ as app
    from app import engine

    training = engine.get_engine()
    poll, steps, frames, share = training.poll, {}, 0, 0.0

    def counted(id, demand):
        nonlocal frames, share
        report = poll(id, demand)
        if report.arms:
            steps[id], share = report.arms[0].step, report.frame_share
            frames += len(report.arms[0].frames)
        return report

    def tell():
        while True:
            print(json.dumps({"steps": sum(list(steps.values())), "frames": frames, "share": share}), flush=True)
            time.sleep(1)

    training.poll = counted
    threading.Thread(target=tell, daemon=True).start()
    sys.argv = ["app", "--port", str(port)]
    sys.exit(app.main())


class Server:
    """The process of `serve`, and what it says."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "tests.benchmarks.sessions", "--serve", str(self.port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.said: list[tuple[float, dict]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout:
            if line.startswith("{"):
                self.said.append((time.monotonic(), json.loads(line)))

    def wait(self) -> None:
        end = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < end:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_stcore/health"):
                return
            time.sleep(0.2)
        raise TimeoutError("The server did not start.")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


async def measure(server: Server, pages: int, seconds: float, together: bool) -> str:
    """A row of the table."""
    clients, until = [Client(server.port, 0.0 if together else i / pages) for i in range(pages)], asyncio.Event()
    playing = asyncio.Barrier(pages + 1)
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.run(playing, until))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await playing.wait()
        await asyncio.sleep(WARM_SECONDS)
        start = time.monotonic()
        await asyncio.sleep(seconds)
        until.set()
    said = [(when, what) for when, what in server.said if start <= when <= start + seconds]
    (begin, first), (end, last) = said[0], said[-1]
    elapsed = end - begin
    polls = sorted(took for client in clients for sent, took in client.polls if sent >= start)
    share = statistics.median(what["share"] for _, what in said)
    return (
        f"| {pages} | {(last['steps'] - first['steps']) / elapsed:.0f} | {last['steps'] - first['steps']:,} "
        f"| {(last['frames'] - first['frames']) / elapsed / pages:.2f} "
        f"| {1e3 * statistics.median(polls):.0f} | {1e3 * polls[int(0.95 * len(polls))]:.0f} | {share:.0%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
    server = Server()
    try:
        server.wait()
        print("| pages | steps/s in all | steps | frames/s a page | poll, median ms | poll, p95 ms | pictures' share |")
        print("|---|---|---|---|---|---|---|")
        for pages in args.pages:
            print(asyncio.run(measure(server, pages, args.seconds, args.together)), flush=True)
    finally:
        server.close()


if __name__ == "__main__":
    main()
