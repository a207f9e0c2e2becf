"""The channel: moving pictures from the engine to a browser as soon as they are drawn, beside Streamlit's script.

A page opens a WebSocket at `path()` and says which run it watches, {"run": its id}. From then on it is sent
{"run": "id:rewinds", "frames": [`encode_frame` each]}, the newest where it reads too slowly, and the engine hears that
somebody is there, until the last that watched the run has gone. Several readers may watch one run. {"depth": k} asks
for moving pictures after k blocks, null for those at z. {"point": [x, y]}, in the flow's units, asks what the log
density of that point is made of: {"run": ..., "at": `encode_point`} comes whenever it is new, until null is said. A
run's id is its secret, and in no link; whoever comes from another site is refused.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from app import engine, web
from app.components.live.encode import encode_frame, encode_point
from app.components.live.wishes import FIELDS
from app.engine.commands import Wish
from app.engine.measurements.point import AtPoint
from app.engine.reports import Frame, Report

HELLO_SECONDS = 10.0
ATTEND_SECONDS = 1.0
MOST_LETTERS = 200  # of what a page says
REFUSED, WRONG = 4403, 4400  # codes with which a socket is closed


class Reader:
    """What one page has not been sent yet: of each kind, where they come faster than it reads, the newest."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._news = loop, asyncio.Event()
        self._texts: dict[str, str] = {}

    def put(self, kind: str, text: str) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # the server is ending
            self._loop.call_soon_threadsafe(self._take, kind, text)

    def _take(self, kind: str, text: str) -> None:
        self._texts[kind] = text
        self._news.set()

    async def next(self) -> str:
        await self._news.wait()
        text = self._texts.pop(next(iter(self._texts)))
        if not self._texts:
            self._news.clear()
        return text


class Channel:
    """The readers of all runs. Each picture is encoded once, however many read it."""

    def __init__(self) -> None:
        self._readers: dict[str, list[Reader]] = {}
        self._ends: dict[str, Callable[[], None]] = {}
        self._wishes: dict[str, Wish] = {}

    def is_read(self, run: str) -> bool:
        """Whether some page has pictures of this run by the channel."""
        return run in self._readers

    def wish(self, run: str, otherwise: Wish) -> Wish:
        """What a page has asked to be shown of this run; `otherwise` where none has."""
        return self._wishes.get(run, otherwise)

    def look(self, run: str, asked: dict[str, Any]) -> None:
        """Let some fields of the wish be others."""
        self._wishes[run] = wish = replace(self._wishes.get(run, Wish()), **asked)
        engine.get_engine().look(run, wish)

    def join(self, run: str, reader: Reader) -> None:
        self._readers.setdefault(run, []).append(reader)
        if run not in self._ends:
            self._ends[run] = engine.get_engine().watch(run, self._tell)

    def leave(self, run: str, reader: Reader) -> None:
        readers = self._readers[run]
        readers.remove(reader)
        if not readers:
            del self._readers[run]
            self._wishes.pop(run, None)
            self._ends.pop(run)()
            engine.get_engine().leave(run)

    def _tell(self, report: Report) -> None:
        """In a thread of the engine's."""
        if not report.arms:
            return
        arm, told = report.arms[0], dict[str, Any]()
        if arm.frames and isinstance(arm.frames[-1], Frame):
            told["frames"] = [encode_frame(arm.frames[-1])]
        if at := arm.found(AtPoint):
            told["at"] = encode_point(at)
        for kind, said in told.items():
            text = json.dumps({"run": report.timeline, kind: said})
            for reader in list(self._readers.get(report.id, ())):
                reader.put(kind, text)


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
    try:
        return bool(origin) and bool(host) and urlsplit(origin or "").netloc.lower() == (host or "").lower()
    except ValueError:  # such as http://[
        return False


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
            CHANNEL.look(run, asked(said.get("text") or ""))


def asked(said: str) -> dict[str, Any]:
    """The fields of a `Wish` that a page says. Raises ValueError where it says something else."""
    wish: Any = json.loads(said[:MOST_LETTERS])
    if not isinstance(wish, dict) or not wish.keys() or not wish.keys() <= FIELDS.keys():
        raise ValueError(f"{said[:40]!r}: a page may say {' and '.join(FIELDS)}.")
    return {name: value if value is None else FIELDS[name](value) for name, value in wish.items()}


def path() -> str:
    """Where the channel is, from the server's root: below the app's own address."""
    return f"{web.root()}live"


def routes() -> list[WebSocketRoute]:
    return [WebSocketRoute(path(), live)]
