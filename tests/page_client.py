"""One open page without a browser: it speaks to the real server through the websocket as a browser does, keeps what a
browser keeps (`ShownPage`), and draws nothing.

What is not there raises `Unexpected`, which says what was expected, so that a changed protocol does not pass unseen.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlencode, urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.engine.training.weights import decode
from tests.shown_page import ShownPage, Unexpected

ANSWER_SECONDS = 60.0
WITHOUT_CLOCK_SECONDS = 1.0  # between two looks at whether a page without a clock has one
NO_TOKEN = "PLACEHOLDER_AUTH_TOKEN"  # what browsers send in the place of a token when they come back to their session


class PageClient:
    """`answers` counts the runs of the page's script, or of a part of it, that the server has finished."""

    def __init__(self, socket: ClientConnection, host: str, patience: float):
        self._socket, self._host, self._patience = socket, host, patience
        self.shown = ShownPage()
        self.answers = 0

    @property
    def step(self) -> int:
        return self.shown.step

    @property
    def exceptions(self) -> list[str]:
        return self.shown.exceptions

    @property
    def interval(self) -> float:
        """Every how many seconds the page's fastest clock calls."""
        return self.shown.clocks[self._clock()]

    def texts(self) -> list[str]:
        return self.shown.texts()

    async def load(self, path: str, query: str) -> None:
        """Run the script for the first time, as when an address is opened."""
        self.shown.query = query
        state = self.shown.state()
        state.page_name = path.strip("/")
        await self._ask(state)

    async def press(self, label: str) -> None:
        """Press a button, and wait until the server has answered. A click runs the fragment that holds the button."""
        button = self.shown.button(label)
        await self._ask(self.shown.state(button.fragment, button.element.id))

    async def play(self) -> None:
        await self.press("Play")

    async def poll(self) -> None:
        """One call of the page's fastest clock, and its answer."""
        await self._ask(self._call())

    async def watch(self, until: asyncio.Event, on_answer: Callable[[], object] = lambda: None) -> None:
        """Let the fastest clock of the page, if it has one, call as often as the page asks for it, whether or not the
        last call was answered."""
        listening = asyncio.create_task(self._listen(on_answer))
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while not listening.done():
                interval = self.interval if self.shown.clocks else WITHOUT_CLOCK_SECONDS
                due = max(due + interval, loop.time())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), due - loop.time())
                    return
                if self.shown.clocks:
                    await self._send(self._call())
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    def pictures(self) -> AbstractAsyncContextManager["Channel"]:
        """The moving pictures that the page's channel brings."""
        return self._channel()

    def weights(self, hidden: bool = False) -> AbstractAsyncContextManager["Channel"]:
        """The weights that it brings in their place, as to a browser that draws by itself."""
        return self._channel(weights=True, hidden=hidden)

    @asynccontextmanager
    async def _channel(self, **words: bool) -> AsyncIterator["Channel"]:
        """The page's channel, once it has said which run it watches, and these words with it."""
        if len(self.shown.scenes) != 1:
            raise Unexpected(f"One live picture was expected, and there are {len(self.shown.scenes)}.")
        scene = self.shown.scenes[0]
        run = scene["run"].partition(":")[0]
        address = f"ws://{self._host}{scene['channel']}"
        async with connect(address, origin=f"http://{self._host}", ping_interval=None, max_queue=None) as socket:
            await socket.send(json.dumps({"run": run, **words}))
            yield Channel(socket, run)

    async def close(self) -> None:
        """Close the page, as when its tab is closed."""
        await self._socket.close()

    def _clock(self) -> str:
        if not self.shown.clocks:
            raise Unexpected("A page with a clock was expected, and this one has none.")
        return min(self.shown.clocks, key=self.shown.clocks.get)

    def _call(self) -> ClientState:
        state = self.shown.state(self._clock())
        state.is_auto_rerun = True
        return state

    async def _ask(self, state: ClientState) -> None:
        """Ask for a run, and read until it, or one of the whole page, is finished."""
        await self._send(state)
        try:
            async with asyncio.timeout(self._patience):
                while not self._answers(await self._read(), state.fragment_id):
                    pass
        except TimeoutError:
            what = f"a run of the fragment {state.fragment_id!r}" if state.fragment_id else "a run of the page"
            raise Unexpected(f"The end of {what} was expected within {self._patience:g} s.") from None

    def _answers(self, message: ForwardMsg, fragment: str) -> bool:
        """Whether this is the end of the run that was asked for: not of one that began before, nor of one that makes
        way for another."""
        if message.WhichOneof("type") != "script_finished":
            return False
        ran = message.metadata.run.fragment_ids
        return message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN and (not ran or fragment in ran)

    async def _send(self, state: ClientState) -> None:
        try:
            await self._socket.send(BackMsg(rerun_script=state).SerializeToString())
        except ConnectionClosed as error:
            raise Unexpected(f"An open connection was expected, and the server closed it: {error}.") from error

    async def _read(self) -> ForwardMsg:
        try:
            message = ForwardMsg.FromString(await self._socket.recv())
        except ConnectionClosed as error:
            raise Unexpected(f"A message was expected, and the server closed the connection: {error}.") from error
        self.shown.note(message)
        self.answers += message.WhichOneof("type") == "script_finished"
        return message

    async def _listen(self, on_answer: Callable[[], object]) -> None:
        while True:
            if (await self._read()).WhichOneof("type") == "script_finished":
                on_answer()


class Channel:
    """What a page reads of a run beside the script: iterate for the step of each picture or of all weights, as they
    come."""

    def __init__(self, socket: ClientConnection, run: str):
        self._socket, self._run = socket, run
        self.bytes = 0  # of the last message

    async def hide(self, hidden: bool) -> None:
        """Let nobody see the page, or somebody again."""
        await self._socket.send(json.dumps({"hidden": hidden}))

    def __aiter__(self) -> "Channel":
        return self

    async def __anext__(self) -> int:
        try:
            message = await self._socket.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None
        self.bytes = len(message)
        try:
            run, step = _of_weights(message) if isinstance(message, bytes) else _of_picture(message)
        except (ValueError, KeyError) as error:
            raise Unexpected(f"A picture of {self._run!r} was expected, and {message[:200]!r} came.") from error
        if run.partition(":")[0] != self._run:
            raise Unexpected(f"A picture of {self._run!r} was expected, and one of {run!r} came.")
        return step


def _of_weights(message: bytes) -> tuple[str, int]:
    header, numbers = decode(message)
    if not numbers.size:
        raise ValueError("There are no numbers.")
    return header["run"], header["step"]


def _of_picture(message: str) -> tuple[str, int]:
    said = json.loads(message)
    return said["run"], said["frame"]["step"]


@asynccontextmanager
async def open_page(
    url: str,
    path: str = "",
    query: str | Mapping[str, str] = "",
    *,
    session: str = "",
    patience: float = ANSWER_SECONDS,
) -> AsyncIterator[PageClient]:
    """The page at `path` of the server at `url`, loaded, until the context ends. `session` is the one that a broken
    connection had before, if the page comes back. An answer may take `patience` seconds."""
    address = urlsplit(url)
    async with connect(
        f"ws://{address.netloc}{address.path}/_stcore/stream",
        origin=f"{address.scheme}://{address.netloc}",
        subprotocols=["streamlit", NO_TOKEN, session] if session else ["streamlit"],
        compression=None,
        max_size=None,
        max_queue=None,
        ping_interval=None,
        open_timeout=patience,
    ) as socket:
        client = PageClient(socket, address.netloc, patience)
        await client.load(path, query if isinstance(query, str) else urlencode(query))
        yield client
