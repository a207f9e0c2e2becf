"""The server's entry: the page, and what every answer tells a browser about safety. Start it with `python -m app`, or
`streamlit run app/main.py`."""

import asyncio
import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # `streamlit run` knows this folder alone

import streamlit as st  # noqa: E402
from starlette.convertors import Convertor, register_url_convertor  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import RedirectResponse, Response  # noqa: E402
from starlette.routing import Route  # noqa: E402

from app import channel, streamlit_internals, web  # noqa: E402
from app.classroom import rooms  # noqa: E402
from app.classroom.paths import PATHS, TYPED_CODE  # noqa: E402
from app.hosts import HOSTS_VARIABLE  # noqa: E402
from app.lessons import short  # noqa: E402
from app.security import EMBED_VARIABLE, Guard  # noqa: E402

Endpoint = Callable[[Request], Awaitable[Response]]

# How long a thread that computes keeps the others waiting. The one that speaks to all browsers waits so long for each
# message: with Python's usual 5 ms a burst of visitors is not answered for minutes.
sys.setswitchinterval(0.0005)

streamlit_internals.answer_calls_on_the_page_that_is_open()
streamlit_internals.let_clocks_say_nothing_of_widgets()
streamlit_internals.refer_only_to_what_browsers_keep()
streamlit_internals.send_without_delay()

print(f"Rooms for a class are opened on this machine, and from others with the key {rooms.ROOMS.key}.", flush=True)

GUARD = Middleware(Guard, embed=os.environ.get(EMBED_VARIABLE, ""), names=os.environ.get(HOSTS_VARIABLE, ""))


def later(module: str, name: str) -> Endpoint:
    """What a function of a module answers. The module is imported when it is first asked for, so that the server starts
    at once: what lessons may ask of all screens, too."""

    async def answer(request: Request) -> Response:
        await asyncio.to_thread(importlib.import_module, "app.screens")
        found = await asyncio.to_thread(importlib.import_module, module)
        return await getattr(found, name)(request)

    return answer


async def at_once(request: Request) -> Response:
    """To the place in a lesson that a short address names."""
    await asyncio.to_thread(importlib.import_module, "app.screens")
    shelf = await asyncio.to_thread(importlib.import_module, "app.lessons.shelf")
    asked = urlencode(short.place(request.path_params["place"], shelf.shelf().originals))
    return RedirectResponse(f"{ROOT}learn?{asked}")


async def to_room(request: Request) -> Response:
    """To the room of a code that stands at once behind the address of the app. Its page says where there is none."""
    return RedirectResponse(f"{ROOT}r/{request.path_params['code']}")


class Typed(Convertor[str]):
    """A part of an address, as it was typed."""

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class Place(Typed):
    """A short address of a lesson."""

    regex = short.PLACE


class Code(Typed):
    """What may be the code of a room."""

    regex = TYPED_CODE


ROOT = web.root()
register_url_convertor("place", Place())
register_url_convertor("code", Code())
PAPERS = Route(f"{ROOT}papers/{{lesson}}/{{paper}}", later("app.features.teach.served", "paper"))
ROOMS = [
    Route(f"{ROOT}{path}", later("app.classroom.served", name), methods=[method])
    for name, (paths, method) in PATHS.items()
    for path in paths
]
SHORT = [Route(f"{ROOT}{{place:place}}", at_once), Route(f"{ROOT}{{code:code}}", to_room)]

# Streamlit looks for this very line.
app = st.App(HERE / "page.py", routes=[*channel.routes(), *web.routes(), PAPERS, *ROOMS, *SHORT], middleware=[GUARD])
