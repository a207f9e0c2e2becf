"""Papers and slides at addresses of their own, so that a browser prints them: `/papers/<lesson>/<paper>`, and with
`?lang=<language>` in another language."""

from asyncio import wrap_future
from dataclasses import replace
from functools import partial
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse

from app.features.teach.addresses import here, site
from app.features.teach.papers import PAPERS, TITLES
from app.features.teach.slides import slides
from app.lessons.made import acted
from app.lessons.shelf import shelf
from app.text import plain

MOST_SHOWN = 60


async def paper(request: Request) -> HTMLResponse:
    """It is made when it is asked for first. `lang` names its language; where the lesson is not there in it, the paper
    is in the lesson's own. With `download` it is a file to keep."""
    lesson_id, name = request.path_params["lesson"], request.path_params["paper"]
    lesson = shelf().lesson(lesson_id, request.query_params.get("lang", ""))
    if lesson is None:
        return _refused(f"There is no lesson “{lesson_id[:MOST_SHOWN]}”. Choose one on the page for teachers.", 404)
    if name not in TITLES:
        return _refused(f"There is no paper “{name[:MOST_SHOWN]}”. There are: {', '.join(TITLES)}.", 404)
    try:
        # A translation says the same of the same numbers.
        done = replace(await wrap_future(acted(shelf().originals[lesson.id])), lesson=lesson)
        at, keeps = site(str(request.url)), "download" in request.query_params
        # The frames of slides that are shown from here are this page's own site; those of a file find it from outside.
        make = PAPERS.get(name) or partial(slides, frames=at if keeps else here(str(request.url)))
        text = make(done, at)
    except ValueError as error:
        return _refused(f"This paper cannot be made. {plain(str(error))}", 500)
    headers = {"content-disposition": f'attachment; filename="{lesson.path.stem}-{name}.html"'}
    return HTMLResponse(text, headers=headers if keeps else {})


def _refused(sentence: str, status: int) -> HTMLResponse:
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Not there</title><p>{escape(sentence)}</p>'
    return HTMLResponse(page, status)
