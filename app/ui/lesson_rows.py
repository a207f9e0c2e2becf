"""The lessons as a list, with how far somebody is in each."""

from app import session
from app.lessons.looking import left, share_done
from app.lessons.progress import Progress
from app.lessons.shelf import shelf
from app.ui.lesson_list import Row


def rows(page: str, language: str = "") -> list[Row]:
    """Each leads on `page` to where somebody was last, or to the beginning; in this language where it is there."""
    progress = session.all_progress() if session.begun() else Progress()
    found = []
    for original in shelf().originals.values():
        lesson = shelf().lesson(original.id, language) or original
        done = progress.of(lesson.id)
        query = {"lesson": lesson.id} | ({"step": done.seen[-1]} if done.seen else {})
        query |= {"lang": language} if language else {}
        share = share_done(lesson, done)
        titles = tuple(dict.fromkeys(one.step.title for one in left(lesson, done)))
        found.append(
            Row(
                lesson.number,
                lesson.title,
                lesson.level,
                lesson.minutes,
                share,
                page,
                query,
                aims=lesson.objectives,
                words=lesson.words,
                left=titles,
            )
        )
    return found
