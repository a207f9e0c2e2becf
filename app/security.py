"""What every answer of the server tells a browser about safety, and which sites may show the app in a frame.

Nothing is loaded from, sent to or shown on any other site. Links hold settings, so other sites are not told where
somebody came from.
"""

import base64
import hashlib
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
    """Adds the headers to every answer of an app, and keeps the server's figures to itself."""

    def __init__(self, app: ASGIApp, embed: str = ""):
        self._app = app
        self._headers = {
            b"content-security-policy": policy(embed).encode(),
            b"referrer-policy": b"same-origin",
            b"x-content-type-options": b"nosniff",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [(name, value) for name, value in message["headers"] if name.lower() not in self._headers]
                message = {**message, "headers": [*others, *self._headers.items()]}
            await send(message)

        if scope["path"].rstrip("/").endswith(CLOSED):
            await guarded({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
            await guarded({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, guarded)
