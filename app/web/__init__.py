"""The app's ES modules, and how browsers get them: the files of this folder, below an address with a hash of them all.

The files of one address never change, so browsers keep them. A component imports its module
(`app.components.component`), which imports others by their place beside it. All components of a page share one copy of
each module, with its state.

A page that stays open while the server is updated may ask for files of before. It is answered 404, never with the
present files: modules of two versions would run together. Its component then says that the page must be loaded anew.
"""

import hashlib
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["FILES", "HASH", "address", "root", "routes"]

_HERE = Path(__file__).parent
TYPES = {".js": "text/javascript", ".css": "text/css"}
"""The media type of each kind of file that is served; files of other kinds are not."""
HASH_DIGITS = 12
YEAR = 31_536_000
"""Seconds."""

FILES = {
    path.relative_to(_HERE).as_posix(): path.read_bytes()
    for path in sorted(_HERE.rglob("*"))
    if path.suffix in TYPES and path.is_file()
}
"""What is served, read once: contents by the names below this folder."""


def hash_of(files: dict[str, bytes]) -> str:
    """A short hash of names and contents."""
    digest = hashlib.sha256()
    for name, contents in files.items():
        for part in (name.encode(), contents):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:HASH_DIGITS]


HASH = hash_of(FILES)


def root() -> str:
    """Below which path of its server the app is, with a slash at both ends."""
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/" if base else "/"


def address(name: str, below: str | None = None) -> str:
    """Where a browser finds a file of this folder, from the server's root. Raises KeyError if there is no such file."""
    if name not in FILES:
        raise KeyError(f"app/web has no file {name!r}.")
    return f"{root() if below is None else below}web/{HASH}/{name}"


async def served(request: Request) -> Response:
    """A file, for good; or 404, which nobody keeps."""
    name = request.path_params["name"]
    if request.path_params["hash"] != HASH or name not in FILES:
        return Response(status_code=404, headers={"cache-control": "no-store"})
    headers = {"cache-control": f"public, max-age={YEAR}, immutable"}
    return Response(FILES[name], media_type=TYPES[Path(name).suffix], headers=headers)


def routes() -> list[Route]:
    return [Route(f"{root()}web/{{hash}}/{{name:path}}", served)]
