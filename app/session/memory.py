"""What was measured on the memory bench; it stays while other screens are shown."""

from app.memory.survey import Subject, Survey
from app.session.page import current

MOST_KEPT = 8


def survey(of: Subject) -> Survey:
    """The measurements of this subject, as far as they are there."""
    surveys = current().surveys
    found = surveys.pop(of, None) or Survey(of)
    surveys[of] = found  # at the end: the first is the one that was not looked at for longest
    while len(surveys) > MOST_KEPT:
        surveys.pop(next(iter(surveys)))
    return found


def survey_anew(of: Subject) -> None:
    """Forget what was measured of it."""
    current().surveys.pop(of, None)
