"""A page of a room as HTML: what its modules need is in it as data, and nothing of it is a program."""

import json
from html import escape
from urllib.parse import urlsplit, urlunsplit

from app import web
from app.components.qr import code_of
from app.lessons.words import languages, wording
from app.network import Reach, shared

TITLES = {"phone": "room_join", "wall": "room_wall"}
UNREACHED = {Reach.CLOSED: "closed", Reach.NO_NETWORK: "no_network"}
"""Where only this machine finds a room: what the key of the sentence that says how others get in ends with."""
WORDS = "room_"
"""What the keys of a room's words begin with."""


def page(kind: str, url: str, code: str, root: str, listens_on: str) -> str:
    """The page of this kind (`TITLES`), asked for at `url`, of an app below `root`, which ends with a slash."""
    found = shared(_at(url, f"{root}{code}" if code else f"{root}r"), listens_on)
    link = found.url
    picture = code_of(link) if kind == "wall" and found.is_open else None
    data = {
        "code": code,
        "root": root,
        "link": link,
        "unreached": UNREACHED.get(found.reach, ""),
        "qr": picture.image if picture else "",
        "words": {language: _words(language) for language in languages()},
    }
    # `<` would end the element, whatever is in it.
    written = json.dumps(data).replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(wording().say(TITLES[kind]))}</title>"
        f'<link rel="stylesheet" href="{web.address("classroom/room.css", root)}">'
        f'<script type="application/json" id="data">{written}</script>'
        f'<script type="module" src="{web.address(f"classroom/{kind}.js", root)}"></script></head>'
        f'<body class="{kind}"><main id="page" aria-live="polite"></main></body></html>'
    )


def _words(language: str) -> dict[str, str]:
    said = wording(language)
    return {key.removeprefix(WORDS): text for key, text in said.texts.items() if key.startswith(WORDS)} | {
        "decimal": said.texts["decimal"]
    }


def _at(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=path, query="", fragment=""))
