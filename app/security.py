"""What every answer of the server tells a browser about safety, and which sites may show the app in a frame.

Nothing is loaded from, sent to or shown on any other site. Links hold settings, so other sites are not told where
somebody came from.
"""

import asyncio
import base64
import hashlib
import re

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.hosts import HOSTS_VARIABLE, hosts, is_known, name_of, own_names
from app.streamlit_internals import index_page

EMBED_VARIABLE = "RESFLOW_EMBED"
"""The environment's list of sites that may show the app in a frame."""

INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
ORIGIN = re.compile(r"https?://[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?", re.IGNORECASE)
# Counts of sessions and the server's memory are nobody's but its owner's.
CLOSED = "/_stcore/metrics"


def policy(embed: str = "") -> str:
    """The content security policy; `embed` as `origins` takes it. Raises ValueError as that does."""
    scripts = INLINE.findall(index_page())
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    parts = {
        "default-src": ["'none'"],
        # Streamlit makes a blob of each component's script, has WebAssembly for long numbers, and in its page a line of
        # script, known by its hash.
        "script-src": ["'self'", "blob:", "'wasm-unsafe-eval'", *(f"'sha256-{digest}'" for digest in hashes)],
        # Streamlit and KaTeX write styles as they draw.
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'", "data:"],  # KaTeX has small ones within its style sheet
        "connect-src": ["'self'"],
        "frame-src": ["'self'"],  # slides show the live steps of lessons
        "manifest-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'self'", *origins(embed)],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in parts.items())


def origins(text: str) -> tuple[str, ...]:
    """Sites, between spaces or commas. Raises ValueError, with what is allowed, for anything else."""
    found = tuple(filter(None, re.split(r"[\s,]+", text)))
    for one in found:
        if not ORIGIN.fullmatch(one):
            raise ValueError(
                f"{EMBED_VARIABLE} has {one[:80]!r}: use sites such as https://lecture.example.org or "
                "http://localhost:8000, without a path, with spaces between them."
            )
    return found


class Guard:
    """Adds the headers to every answer of an app, keeps the server's figures to itself, and answers nobody who asks by
    another's name (`hosts`)."""

    def __init__(self, app: ASGIApp, embed: str = "", names: str = ""):
        self._app, self._names = app, hosts(names)
        self._headers = {
            b"content-security-policy": policy(embed).encode(),
            b"referrer-policy": b"same-origin",
            b"x-content-type-options": b"nosniff",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        name = name_of(dict(scope["headers"]).get(b"host", b"").decode("latin-1"))
        is_ours = is_known(name, self._names) or name in await asyncio.to_thread(own_names)
        if scope["type"] == "websocket":
            if is_ours:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [(name, value) for name, value in message["headers"] if name.lower() not in self._headers]
                message = {**message, "headers": [*others, *self._headers.items()]}
            await send(message)

        if not is_ours:
            await PlainTextResponse(_unknown(name), 421)(scope, receive, guarded)
        elif scope["path"].rstrip("/").endswith(CLOSED):
            await Response(status_code=404)(scope, receive, guarded)
        else:
            await self._app(scope, receive, guarded)


def _unknown(name: str) -> str:
    name = ascii(name[:80]).strip("'")
    return (
        f"This server does not know the name {name}. If it is a name of the server, whoever runs it can say so and "
        f"start it again: make app HOSTS={name}, or {HOSTS_VARIABLE} in the environment.\n"
    )
