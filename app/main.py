"""The server's entry: the page, and what every answer tells a browser about safety. Start it with `python -m app`, or
`streamlit run app/main.py`."""

import asyncio
import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # `streamlit run` knows this folder alone

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import Response  # noqa: E402
from starlette.routing import Route  # noqa: E402

from app import channel  # noqa: E402
from app.classroom.paths import PATHS  # noqa: E402
from app.security import EMBED_VARIABLE, Guard  # noqa: E402

Endpoint = Callable[[Request], Awaitable[Response]]

# How long a thread that computes keeps the others waiting. The one that speaks to all browsers waits so long for each
# message: with Python's usual 5 ms a burst of visitors is not answered for minutes.
sys.setswitchinterval(0.0005)

GUARD = Middleware(Guard, embed=os.environ.get(EMBED_VARIABLE, ""))


async def paper(request: Request) -> Response:
    """A paper of a lesson. What it needs is imported when one is asked for, so that the server starts at once: what
    lessons may ask of all screens, too."""
    await asyncio.to_thread(importlib.import_module, "app.screens")
    served = await asyncio.to_thread(importlib.import_module, "app.features.teach.served")
    return await served.paper(request)


def in_classroom(name: str) -> Endpoint:
    """What a function of `app.classroom.served` answers; that is imported when a room is first asked for, too."""

    async def answer(request: Request) -> Response:
        await asyncio.to_thread(importlib.import_module, "app.screens")
        served = await asyncio.to_thread(importlib.import_module, "app.classroom.served")
        return await getattr(served, name)(request)

    return answer


ROOT = channel.path().removesuffix("live")
PAPERS = Route(f"{ROOT}papers/{{lesson}}/{{paper}}", paper)
ROOMS = [
    Route(f"{ROOT}{path}", in_classroom(name), methods=[method])
    for name, (paths, method) in PATHS.items()
    for path in paths
]

# Streamlit looks for this very line.
app = st.App(HERE / "page.py", routes=[*channel.routes(), PAPERS, *ROOMS], middleware=[GUARD])
