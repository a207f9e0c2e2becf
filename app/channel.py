"""The channel: what a browser draws of a run, as soon as the engine has it, beside Streamlit's script.

A page opens a WebSocket at `path()` and says which run it watches, {"run": its id}. From then on it is sent
{"run": "id:rewinds", "frame": `encode_frame`}, the newest where it reads too slowly, and the engine hears that
somebody is there, until the last that watched the run has gone. Several readers may watch one run. {"depth": k} asks
for frames after k blocks, null for those at z. {"point": [x, y]}, in the flow's units, asks what the log
density of that point is made of: {"run": ..., "at": `encode_point`} comes whenever it is new, until null is said.

A page that draws by itself says {"run": its id, "weights": true}. It is sent binary messages in the place of pictures,
one of each arm (`app.engine.training.weights`), the newest where it reads too slowly, or pictures where the flow has no
description. {"plain": true} asks for pictures after all, because the browser is too slow. A page that nobody sees says
{"hidden": true}, at first or later, and is sent nothing until {"hidden": false}; then it is sent the newest.

A run's id is its secret, and in no link; whoever comes from another site is refused.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from app import engine, web
from app.components.live.encode import encode_frame, encode_point
from app.components.live.wishes import FIELDS, OF_READER, asked_bool
from app.engine.commands import Wish
from app.engine.reports import Frame, HandedOut, Report
from app.engine.training.measurements.point import AtPoint
from app.engine.training.weights import addressed

HELLO_SECONDS = 10.0
ATTEND_SECONDS = 1.0
MOST_LETTERS = 200  # of what a page says
REFUSED, WRONG = 4403, 4400  # codes with which a socket is closed


Kind = str | tuple[str, int]  # of what is sent: weights are of an arm


class Drawn(NamedTuple):
    """Who draws a run: the server sends `pictures`, or a browser draws from `weights`; both where readers differ,
    neither while all are hidden."""

    pictures: bool
    weights: bool

    @classmethod
    def for_readers(cls, readers: "list[Reader]") -> "Drawn":
        draw = {reader.draws for reader in readers if not reader.hidden}
        return cls(False in draw, True in draw)

    def of(self, wish: Wish) -> Wish:
        """The wish, drawn so."""
        return replace(wish, pictures=self.pictures, weights=self.weights)


BY_SERVER = Drawn(True, False)


class Reader:
    """What one page has not been sent yet: of each kind, where they come faster than it reads, the newest. Nothing is
    sent while it is hidden."""

    def __init__(self, loop: asyncio.AbstractEventLoop, weights: bool = False, hidden: bool = False) -> None:
        """`weights`: it draws from these, if they can be had."""
        self._loop, self._news = loop, asyncio.Event()
        self._waiting: dict[Kind, str | bytes] = {}
        self._weights, self.hidden, self.plain = weights, hidden, False

    @property
    def draws(self) -> bool:
        """Whether it takes weights in the place of pictures."""
        return self._weights and not self.plain

    def put(self, kind: Kind, said: str | bytes) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # the server is ending
            self._loop.call_soon_threadsafe(self._take, kind, said)

    def be(self, **so: bool) -> None:
        """Let it be hidden or plain, or not any more."""
        for name, value in so.items():
            setattr(self, name, value)
        self._ring()

    async def next(self) -> str | bytes:
        await self._news.wait()
        said = self._waiting.pop(next(iter(self._waiting)))
        self._ring()
        return said

    def _take(self, kind: Kind, said: str | bytes) -> None:
        self._waiting[kind] = said
        self._ring()

    def _ring(self) -> None:
        if self._waiting and not self.hidden:
            self._news.set()
        else:
            self._news.clear()


class Channel:
    """The readers of all runs. Each picture, and what weights are, is made once, however many read it."""

    def __init__(self) -> None:
        self._readers: dict[str, list[Reader]] = {}
        self._ends: dict[str, Callable[[], None]] = {}
        self._wishes: dict[str, Wish] = {}
        self._drawn: dict[str, Drawn] = {}
        self._newest: dict[str, dict[Kind, bytes]] = {}  # weights, for readers that come later

    def is_read(self, run: str) -> bool:
        """Whether some page has pictures of this run by the channel."""
        return run in self._readers

    def wish(self, run: str, otherwise: Wish) -> Wish:
        """What pages have asked to be shown of this run; `otherwise` where none has."""
        wish = self._wishes.get(run, otherwise)
        return self._drawn[run].of(wish) if run in self._drawn else wish

    def look(self, run: str, asked: dict[str, Any]) -> None:
        """Let some fields of the wish be others."""
        self._wishes[run] = replace(self._wishes.get(run, Wish()), **asked)
        engine.get_engine().look(run, self.wish(run, Wish()))

    def join(self, run: str, reader: Reader) -> None:
        self._readers.setdefault(run, []).append(reader)
        self._newest.setdefault(run, {})
        if run not in self._ends:
            self._ends[run] = engine.get_engine().watch(run, self._tell)
        self._draw(run)
        self._bring(run, reader)

    def be(self, run: str, reader: Reader, so: dict[str, bool]) -> None:
        """Let a reader be as it says of itself."""
        draws = reader.draws
        reader.be(**so)
        self._draw(run)
        if reader.draws and not draws:
            self._bring(run, reader)

    def leave(self, run: str, reader: Reader) -> None:
        readers = self._readers[run]
        readers.remove(reader)
        if readers:
            self._draw(run)
            return
        del self._readers[run]
        for kept in (self._wishes, self._drawn, self._newest):
            kept.pop(run, None)
        self._ends.pop(run)()
        engine.get_engine().leave(run)

    def _draw(self, run: str) -> None:
        """Let the engine hear what readers need, if that is news."""
        before = self._drawn.get(run, BY_SERVER)
        now = self._drawn[run] = Drawn.for_readers(self._readers[run])
        if not now.weights:
            self._newest[run].clear()  # the engine hands them out anew as soon as they are wanted again
        if now != before:
            engine.get_engine().look(run, self.wish(run, Wish()))

    def _bring(self, run: str, reader: Reader) -> None:
        """To one that draws from now on, the weights that others have already."""
        for kind, message in list(self._newest[run].items()) if reader.draws else ():
            reader.put(kind, message)

    def _tell(self, news: Report | HandedOut) -> None:
        """In a thread of the engine's."""
        if isinstance(news, HandedOut):
            self._hand_on(news)
            return
        if not news.arms:
            return
        arm, told = news.arms[0], dict[str, Any]()
        if isinstance(arm.frame, Frame):
            told["frame"] = encode_frame(arm.frame)
        if at := arm.found(AtPoint):
            told["at"] = encode_point(at)
        for kind, said in told.items():
            text = json.dumps({"run": news.timeline, kind: said})
            for reader in self._readers_of(news.id):
                if kind != "frame" or not (reader.draws and news.has_weights):
                    reader.put(kind, text)

    def _hand_on(self, weights: HandedOut) -> None:
        wanted = self._drawn.get(weights.id, BY_SERVER).weights  # not what was just made for a page that is hidden now
        newest = self._newest.get(weights.id, {}) if wanted else {}
        for arm, message in enumerate(weights.arms):
            if message is not None:
                kind, said = ("weights", arm), addressed(message, weights.timeline, arm)
                newest[kind] = said
                for reader in self._readers_of(weights.id):
                    if reader.draws:
                        reader.put(kind, said)

    def _readers_of(self, run: str) -> list[Reader]:
        return list(self._readers.get(run, ()))


CHANNEL = Channel()


async def live(socket: WebSocket) -> None:
    """Serve one page until it goes."""
    if not is_of_this_site(socket.headers.get("origin"), socket.headers.get("host")):
        await socket.close(REFUSED)
        return
    await socket.accept()
    hello = await _hello(socket)
    if hello is None:
        await socket.close(WRONG)
        return
    run, reader = hello.run, Reader(asyncio.get_running_loop(), hello.weights, hello.hidden)
    CHANNEL.join(run, reader)
    try:
        async with asyncio.TaskGroup() as group:
            meanwhile = [group.create_task(work) for work in (_send(socket, reader), _attend(run))]
            await _hear(socket, run, reader)
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


class Hello(NamedTuple):
    """A page's first words."""

    run: str
    weights: bool = False
    hidden: bool = False


async def _hello(socket: WebSocket) -> Hello | None:
    """What a page says first; None where that is something else, or nothing."""
    try:
        return wanted(await asyncio.wait_for(socket.receive_text(), HELLO_SECONDS))
    except (TimeoutError, WebSocketDisconnect, KeyError):  # the last, of what is no text
        return None


def wanted(said: str) -> Hello | None:
    """A page's first words; None where they are others."""
    try:
        words: Any = json.loads(said[:MOST_LETTERS])
        run, weights, hidden = words["run"], words.get("weights", False), words.get("hidden", False)
        return Hello(run, asked_bool(weights), asked_bool(hidden)) if isinstance(run, str) else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


async def _send(socket: WebSocket, reader: Reader) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):  # it has gone, as `_hear` is just hearing
        while True:
            said = await reader.next()
            await (socket.send_text(said) if isinstance(said, str) else socket.send_bytes(said))


async def _attend(run: str) -> None:
    while True:
        engine.get_engine().attend(run)
        await asyncio.sleep(ATTEND_SECONDS)


async def _hear(socket: WebSocket, run: str, reader: Reader) -> None:
    """What a page asks for, until it has gone; what makes no sense is nothing to us."""
    while (said := await socket.receive())["type"] != "websocket.disconnect":
        with suppress(ValueError):
            wish, so = asked(said.get("text") or "")
            if so:
                CHANNEL.be(run, reader, so)
            if wish:
                CHANNEL.look(run, wish)


def asked(said: str) -> tuple[dict[str, Any], dict[str, bool]]:
    """The fields of a `Wish` that a page says, and what it says of itself. Raises ValueError where it says something
    else."""
    words: Any = json.loads(said[:MOST_LETTERS])
    if not isinstance(words, dict) or not words or not words.keys() <= FIELDS.keys() | OF_READER.keys():
        raise ValueError(f"{said[:40]!r}: a page may say {' and '.join([*FIELDS, *OF_READER])}.")
    wish = {name: None if value is None else FIELDS[name](value) for name, value in words.items() if name in FIELDS}
    return wish, {name: OF_READER[name](value) for name, value in words.items() if name in OF_READER}


def path() -> str:
    """Where the channel is, from the server's root: below the app's own address."""
    return f"{web.root()}live"


def routes() -> list[WebSocketRoute]:
    return [WebSocketRoute(path(), live)]
