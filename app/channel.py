"""The channel: moving pictures from the engine to a browser as soon as they are drawn, beside Streamlit's script.

A page opens a WebSocket at `path()` and says which run it watches, {"run": its id}. From then on it is sent
{"run": "id:rewinds", "frames": [`encode_frame` each]}, the newest where it reads too slowly, and the engine hears that
somebody is there, until the last that watched the run has gone. Several readers may watch one run. {"depth": k} asks
for moving pictures after k blocks, null for those at z. A run's id is its secret, and in no link; whoever comes from
another site is refused.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from app import engine
from app.components.live.encode import encode_frame
from app.engine.reports import Frame, Report

HELLO_SECONDS = 10.0
ATTEND_SECONDS = 1.0
MOST_LETTERS = 200  # of what a page says
MOST_DEPTH = 10_000
REFUSED, WRONG = 4403, 4400  # codes with which a socket is closed


class Reader:
    """What one page has not been sent yet: of pictures that come faster than it reads, the newest."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._text, self._news = loop, "", asyncio.Event()

    def put(self, text: str) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # the server is ending
            self._loop.call_soon_threadsafe(self._take, text)

    def _take(self, text: str) -> None:
        self._text = text
        self._news.set()

    async def next(self) -> str:
        await self._news.wait()
        self._news.clear()
        return self._text


class Channel:
    """The readers of all runs. Each picture is encoded once, however many read it."""

    def __init__(self) -> None:
        self._readers: dict[str, list[Reader]] = {}
        self._ends: dict[str, Callable[[], None]] = {}
        self._depths: dict[str, int | None] = {}

    def is_read(self, run: str) -> bool:
        """Whether some page has pictures of this run by the channel."""
        return run in self._readers

    def depth(self, run: str, otherwise: int | None) -> int | None:
        """At which depth a page has asked for pictures of this run; `otherwise` where none has."""
        return self._depths.get(run, otherwise)

    def look(self, run: str, depth: int | None) -> None:
        self._depths[run] = depth
        engine.get_engine().look(run, depth)

    def join(self, run: str, reader: Reader) -> None:
        self._readers.setdefault(run, []).append(reader)
        if run not in self._ends:
            self._ends[run] = engine.get_engine().watch(run, self._tell)

    def leave(self, run: str, reader: Reader) -> None:
        readers = self._readers[run]
        readers.remove(reader)
        if not readers:
            del self._readers[run]
            self._depths.pop(run, None)
            self._ends.pop(run)()
            engine.get_engine().leave(run)

    def _tell(self, report: Report) -> None:
        """In a thread of the engine's."""
        frame = report.arms[0].frames[-1] if report.arms and report.arms[0].frames else None
        if isinstance(frame, Frame):
            text = json.dumps({"run": report.timeline, "frames": [encode_frame(frame)]})
            for reader in list(self._readers.get(report.id, ())):
                reader.put(text)


CHANNEL = Channel()


async def live(socket: WebSocket) -> None:
    """Serve one page until it goes."""
    if not is_of_this_site(socket.headers.get("origin"), socket.headers.get("host")):
        await socket.close(REFUSED)
        return
    await socket.accept()
    run = await _hello(socket)
    if run is None:
        await socket.close(WRONG)
        return
    reader = Reader(asyncio.get_running_loop())
    CHANNEL.join(run, reader)
    try:
        async with asyncio.TaskGroup() as group:
            meanwhile = [group.create_task(work) for work in (_send(socket, reader), _attend(run))]
            await _hear(socket, run)
            for task in meanwhile:
                task.cancel()
    finally:
        CHANNEL.leave(run, reader)


def is_of_this_site(origin: str | None, host: str | None) -> bool:
    """Whether a browser says that the page which asks came from this server."""
    return bool(origin) and bool(host) and urlsplit(origin or "").netloc.lower() == (host or "").lower()


async def _hello(socket: WebSocket) -> str | None:
    """The run that a page asks for; None where it says something else, or nothing."""
    try:
        return wanted(await asyncio.wait_for(socket.receive_text(), HELLO_SECONDS))
    except (TimeoutError, WebSocketDisconnect, KeyError):  # the last, of what is no text
        return None


def wanted(said: str) -> str | None:
    """The run in a page's first words; None where there is none."""
    try:
        run: Any = json.loads(said[:MOST_LETTERS])["run"]
    except (ValueError, KeyError, TypeError):
        return None
    return run if isinstance(run, str) else None


async def _send(socket: WebSocket, reader: Reader) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):  # it has gone, as `_until_gone` is just hearing
        while True:
            await socket.send_text(await reader.next())


async def _attend(run: str) -> None:
    while True:
        engine.get_engine().attend(run)
        await asyncio.sleep(ATTEND_SECONDS)


async def _hear(socket: WebSocket, run: str) -> None:
    """What a page asks for, until it has gone; what makes no sense is nothing to us."""
    while (said := await socket.receive())["type"] != "websocket.disconnect":
        with suppress(ValueError):
            CHANNEL.look(run, asked_depth(said.get("text") or ""))


def asked_depth(said: str) -> int | None:
    """The depth that a page asks for. Raises ValueError where it says something else."""
    wish: Any = json.loads(said[:MOST_LETTERS])
    if not isinstance(wish, dict) or "depth" not in wish:
        raise ValueError(f"{said[:40]!r}: a page may say the depth at which it wants its pictures.")
    depth = wish["depth"]
    if depth is not None and not (type(depth) is int and 0 <= depth <= MOST_DEPTH):
        raise ValueError(f"depth = {str(depth)[:40]}: use null or a whole number from 0 to {MOST_DEPTH:,}.")
    return depth


def path() -> str:
    """Where the channel is, from the server's root: below the app's own address."""
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"/{base}/live" if base else "/live"


def routes() -> list[WebSocketRoute]:
    return [WebSocketRoute(path(), live)]
