"""The lessons as a list, with how far somebody is in each."""

from app import session
from app.home import Row
from app.learn.looking import share_done
from app.lessons.progress import Progress
from app.lessons.shelf import shelf


def rows() -> list[Row]:
    """Each leads to where somebody was last, or to the beginning."""
    progress = session.all_progress() if session.begun() else Progress()
    found = []
    for lesson in shelf().originals.values():
        done = progress.of(lesson.id)
        query = {"lesson": lesson.id} | ({"step": done.seen[-1]} if done.seen else {})
        share = share_done(lesson, done)
        found.append(Row(lesson.number, lesson.title, lesson.level, lesson.minutes, share, "screens/learn.py", query))
    return found
