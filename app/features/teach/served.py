"""Papers and slides at addresses of their own, so that a browser prints them: `/papers/<lesson>/<paper>`."""

from asyncio import wrap_future
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse

from app.features.teach.addresses import here, site
from app.features.teach.papers import PAPERS
from app.features.teach.slides import slides
from app.lessons.made import acted
from app.lessons.shelf import shelf
from app.text import plain

SLIDES = "slides"
NAMES = {**{name: title for name, (title, _) in PAPERS.items()}, SLIDES: "Slides"}
"""Titles by their names in addresses."""
MOST_SHOWN = 60


async def paper(request: Request) -> HTMLResponse:
    """It is made when it is asked for first. With `?download` it is a file to keep."""
    lesson_id, name = request.path_params["lesson"], request.path_params["paper"]
    lesson = shelf().lesson(lesson_id)
    if lesson is None:
        return _refused(f"There is no lesson “{lesson_id[:MOST_SHOWN]}”. Choose one on the page for teachers.", 404)
    if name not in NAMES:
        return _refused(f"There is no paper “{name[:MOST_SHOWN]}”. There are: {', '.join(NAMES)}.", 404)
    try:
        done = await wrap_future(acted(lesson))
        at, keeps = site(str(request.url)), "download" in request.query_params
        # The frames of slides that are shown from here are this page's own site; those of a file find it from outside.
        text = (
            slides(done, at, at if keeps else here(str(request.url))) if name == SLIDES else PAPERS[name][1](done, at)
        )
    except ValueError as error:
        return _refused(f"This paper cannot be made. {plain(str(error))}", 500)
    headers = {"content-disposition": f'attachment; filename="{lesson.number:02}-{lesson.id}-{name}.html"'}
    return HTMLResponse(text, headers=headers if keeps else {})


def _refused(sentence: str, status: int) -> HTMLResponse:
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Not there</title><p>{escape(sentence)}</p>'
    return HTMLResponse(page, status)
