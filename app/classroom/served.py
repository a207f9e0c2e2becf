"""What the addresses of rooms answer (`paths`): pages, their state as JSON, and what is done in them.

Who somebody is comes in a header, which no other site can send and no address shows. A cookie tells a browser that has
made itself another name.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from app import web
from app.callers import caller
from app.classroom import export, rooms, state
from app.classroom.asked import Asked, asked, draws_of, seed_of, settings_of_draws
from app.classroom.page import page
from app.classroom.pool import MOST_DRAWS
from app.classroom.refusal import Refusal
from app.classroom.room import Closed, Room
from app.lessons.made import acted
from app.lessons.shelf import shelf

MOST_BYTES = 4_096
TOKEN, SECRET, KEY = "x-room-token", "x-room-secret", "x-room-key"
COOKIE, COOKIE_SECONDS = "resflow_seat", 24 * 3600
LONGEST, SHORTEST = 64, 16
"""Characters of a token, which browsers make."""
EXPORTS: dict[str, Callable[[Room], str]] = {
    "counts.csv": export.counts,
    "draws.csv": export.draws,
    "pooled.csv": export.pooled,
    "coins.py": export.coins,
}
MIME = {".csv": "text/csv", ".py": "text/x-python"}

_asked: dict[str, Asked] = {}  # by the codes of rooms: a lesson stays in its room as it was when that was opened


class Refused(ValueError):
    """What is asked for is not there, or no such message: none of our pages asks so."""


def answers(serve: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Tell what is refused, with the sentence that says why."""

    async def served(request: Request) -> Response:
        try:
            return await serve(request)
        except Closed as error:
            return _error(error, 409)
        except ValueError as error:
            return _error(error, 400)

    return served


@answers
async def open_room(request: Request) -> Response:
    """`{lesson, language}` -> `{code, secret}`, for who may open rooms (`Rooms.admit`). It takes a while where the
    lesson is acted out first."""
    told = await _body(request)
    rooms.ROOMS.admit(caller(request), request.headers.get(KEY, ""))
    lesson = shelf().lesson(str(told.get("lesson", "")), str(told.get("language", "")))
    if lesson is None:
        raise Refusal("lesson")
    found = asked(await asyncio.wrap_future(acted(lesson)))
    steps = tuple(step.id for step in lesson.steps)
    code, secret = rooms.ROOMS.open(lesson.id, lesson.language, steps, found.questions)
    _asked[code] = found
    for gone in _asked.keys() - rooms.ROOMS.codes():
        del _asked[gone]
    return JSONResponse({"code": code, "secret": secret})


@answers
async def told(request: Request) -> Response:
    """What the page of a member or, with the secret, the wall is told."""
    return await _done(request, {"do": "look"})


@answers
async def act(request: Request) -> Response:
    """`{do, ...}` of a member or, with the secret, of the teacher; answers what `told` does then."""
    return await _done(request, await _body(request))


async def _done(request: Request, said: dict[str, Any]) -> Response:
    """In a thread: a large pool takes a moment, and all browsers are answered by one."""
    code = request.path_params["code"]
    if secret := request.headers.get(SECRET):
        return JSONResponse(await asyncio.to_thread(_by_teacher, code, secret, said))
    token = _token(request)
    if said.get("do") != "join":
        return JSONResponse(await asyncio.to_thread(_by_member, code, token, said))
    browser = request.cookies.get(COOKIE, "")[:LONGEST] or secrets.token_urlsafe(16)
    code = await asyncio.to_thread(rooms.ROOMS.join, code, token, caller(request).address, browser)
    answer = JSONResponse(await asyncio.to_thread(_by_member, code, token, {"do": "look"}))
    is_safe = request.url.scheme == "https"
    answer.set_cookie(
        COOKIE, browser, COOKIE_SECONDS, path=web.root(), secure=is_safe, httponly=True, samesite="strict"
    )
    return answer


def _by_teacher(code: str, secret: str, said: dict[str, Any]) -> dict[str, Any]:
    if said.get("do") == "close":
        rooms.ROOMS.close(code, secret)
        return {}
    with rooms.ROOMS.teacher(code, secret) as room:
        _known(TEACHER, said)(room, said)
        return state.for_wall(room, _of(room))


def _by_member(code: str, token: str, said: dict[str, Any]) -> dict[str, Any]:
    with rooms.ROOMS.member(code, token) as (room, now):
        _known(MEMBER, said)(room, token, said, now)
        room.at(token, "", now)
        return {"code": code, **state.for_member(room, _of(room), token, now)}


@answers
async def exported(request: Request) -> Response:
    """A file of `EXPORTS`, for the teacher: also in a thread."""
    name, code = request.url.path.rpartition("/")[2], request.path_params["code"]
    if name not in EXPORTS:
        raise Refused(f"there is no such file: there are {', '.join(EXPORTS)}.")
    text = await asyncio.to_thread(_exported, name, code, request.headers.get(SECRET, ""))
    return PlainTextResponse(text, media_type=MIME[Path(name).suffix])


def _exported(name: str, code: str, secret: str) -> str:
    with rooms.ROOMS.teacher(code, secret) as room:
        return EXPORTS[name](room)


async def phone(request: Request) -> Response:
    """The page for phones; without a code it asks for one."""
    return _page("phone", request)


async def wall(request: Request) -> Response:
    """The teacher's wall, which shows nothing to others: the secret is kept by the browser."""
    return _page("wall", request)


def _page(kind: str, request: Request) -> Response:
    code = request.path_params.get("code", "")[:LONGEST]
    return HTMLResponse(page(kind, str(request.url), code, web.root(), st.get_option("server.address") or ""))


# --- what is done -----------------------------------------------------------------------------------------------------


def _draw(room: Room, token: str, said: dict[str, Any], now: float) -> None:
    """So many more draws of the member's own seed."""
    more = said.get("n")
    if not isinstance(more, int) or isinstance(more, bool) or not 1 <= more <= MOST_DRAWS:
        raise Refusal("draws", given=str(more)[:20], most=MOST_DRAWS)
    if room.pool is None:
        raise Closed("draws_not_now")
    bench = _of(room).benches[room.drawing]
    seed, has = seed_of(room.pool, token, room.members[token].seat), room.pool.of(token).n
    room.put_draws(token, room.pool.settings, seed, draws_of(bench, seed, min(has + more, MOST_DRAWS)), now)


def _gather(room: Room, said: dict[str, Any]) -> None:
    step = str(said.get("step", ""))
    if step not in (benches := _of(room).benches):
        raise Refusal("nothing_drawn")
    room.gather(settings_of_draws(benches[step]), step)


def _step(said: dict[str, Any]) -> str:
    return str(said.get("step", ""))


MEMBER: dict[str, Callable[[Room, str, dict[str, Any], float], None]] = {
    "look": lambda room, token, said, now: None,
    "vote": lambda room, token, said, now: room.vote(token, said.get("answer"), now),
    "draw": _draw,
    "coins": lambda room, token, said, now: room.put_coins(token, said.get("throws"), now),
}
TEACHER: dict[str, Callable[[Room, dict[str, Any]], None]] = {
    "look": lambda room, said: None,
    "ask": lambda room, said: room.ask(str(said.get("question", ""))),
    "show": lambda room, said: room.show(),
    "discuss": lambda room, said: room.discuss(),
    "again": lambda room, said: room.vote_again(),
    "reset": lambda room, said: room.reset(),
    "reveal": lambda room, said: room.reveal(),
    "release": lambda room, said: room.release(_step(said) or None),
    "bring": lambda room, said: room.bring(_step(said)),
    "gather": _gather,
    "lock": lambda room, said: room.lock(said.get("locked") is True),
    "allow": lambda room, said: room.allow(said.get("seats")),
    "remove": lambda room, said: room.remove(said.get("first"), said.get("last")),
}


def _known(known: dict[str, Any], said: dict[str, Any]) -> Callable[..., None]:
    what = said.get("do")
    if not isinstance(what, str) or what not in known:
        raise Refused(f"{str(what)[:20]!r} is nothing that can be done: there are {', '.join(known)}.")
    return known[what]


# --- what is read -----------------------------------------------------------------------------------------------------


def _of(room: Room) -> Asked:
    return _asked[room.code]


def _token(request: Request) -> str:
    token = request.headers.get(TOKEN, "")
    if not SHORTEST <= len(token) <= LONGEST or not token.isascii() or not token.replace("-", "").isalnum():
        raise Refusal("who")
    return token


async def _body(request: Request) -> dict[str, Any]:
    """Only what a page of this site sends: another site's may not have this type."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise Refused("JSON is expected.")
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MOST_BYTES:
            raise Refused(f"the message is longer than {MOST_BYTES:,} bytes.")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused("this is no JSON.") from error
    if not isinstance(found, dict):
        raise Refused("an object is expected.")
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:  # half of a pair of surrogates, which no answer could repeat
        raise Refused("there is a character in it that is none.") from error
    return found


def _error(error: ValueError, status: int) -> Response:
    """A `Refusal` with its key and values besides, for a page to say it in the language of the lesson."""
    text = str(error)
    told: dict[str, Any] = {"error": text[:1].upper() + text[1:]}
    if isinstance(error, Refusal):
        told |= {"say": error.key, "values": error.values}
    return JSONResponse(told, status)
