"""Where the steps and papers of lessons are found from outside: the addresses on paper and in slides."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import streamlit as st

from app.lessons.lesson import Lesson, Step
from app.lessons.short import short
from app.lessons.words import ORIGINAL
from app.network import Shared, shared
from app.web import root


@dataclass(frozen=True)
class Site:
    """The app as others reach it. `root` ends with a slash."""

    root: str
    shared: Shared

    def step(self, lesson: Lesson, step: Step | None = None) -> str:
        """A lesson, at this step or at its beginning."""
        asked = {"lesson": lesson.id} | ({"step": step.id} if step else {}) | _language(lesson)
        return f"{self.root}learn?{urlencode(asked)}"

    def board(self, lesson: Lesson, step: Step | None = None) -> str:
        """The same as `step`, short enough for a board."""
        return f"{self.root}{short(lesson, step, _language(lesson).get('lang', ''))}"

    def room(self, lesson: Lesson) -> str:
        """What opens a room of a lesson, and shows its wall."""
        return f"{root()}wall/new?{urlencode({'lesson': lesson.id} | _language(lesson))}"

    def demonstration(self, step: Step) -> str:
        """The screen of a step with its settings, without a lesson over it."""
        trained = {"at": str(step.trained)} if step.trained else {}
        asked = dict(step.settings) | trained
        return f"{self.root}{step.screen}{'?' * bool(asked)}{urlencode(asked)}"

    def paper(self, lesson: Lesson, name: str, download: bool = False) -> str:
        asked = _language(lesson) | ({"download": "yes"} if download else {})
        return f"{self.root}papers/{quote(lesson.id)}/{quote(name)}{'?' * bool(asked)}{urlencode(asked)}"


def _language(lesson: Lesson) -> dict[str, str]:
    """What an address says of the language, unless it is the lessons' own."""
    language = lesson.words.language
    return {} if language == ORIGINAL else {"lang": language}


def site(url: str) -> Site:
    """Of the app, a page of which is open at `url`, as others reach it."""
    found = shared(url, st.get_option("server.address") or "")
    return Site(_root_of(found.url), found)


def here(url: str) -> Site:
    """The same as it is open at `url`."""
    return Site(_root_of(url), Shared(url))


def _root_of(url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=root(), query="", fragment=""))
