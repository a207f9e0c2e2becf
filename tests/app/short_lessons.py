"""The lessons that train flows, with a tenth of their steps at a higher learning rate, and coarse pictures: what they
come to is not what those of `lessons/` come to, but all that they ask for is known at the same places."""

import re
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from app.engine.training.measurements import masses
from app.lessons import acted as acting
from app.lessons import reading
from app.lessons.acted import Acted
from app.lessons.shelf import FOLDER, Shelf, shelf
from resflow_core import measure  # noqa: F401  # its modules have the names of what they offer

NUMBERS = ("02", "03", "07", "08", "09")
HUNDREDS = re.compile(r"(\b(?:train|trained): |\bstep >= |\btrained\(|_after\()([1-9])00\b")
NO_RATE = re.compile(r"batch: 128(?!, learning_rate)")
COARSE = {"FOLD_GRID": 30, "STEPS_GRID": 8, "STARTS": 6, "WALK_STEPS": 10, "MOST_STEPS": 30}
_kept = TemporaryDirectory()


@cache
def short() -> Shelf:
    """The lessons that train, and no others."""
    for path in (path for number in NUMBERS for path in FOLDER.glob(f"{number}*.md")):
        text = HUNDREDS.sub(r"\g<1>\g<2>0", path.read_text())
        (Path(_kept.name) / path.name).write_text(NO_RATE.sub("batch: 128, learning_rate: 0.05", text))
    with patch.object(reading, "loose_numbers", lambda *_: []):  # the prose still speaks of hundreds
        return shelf(Path(_kept.name))


def lesson(id, language=""):
    """The short one where it trains."""
    return short().lesson(id, language) or shelf().lesson(id, language)


@cache
def acted(id) -> Acted:
    """A lesson acted out."""
    with (
        patch.multiple(sys.modules["resflow_core.measure.inversion"], **COARSE),
        patch.dict(masses.CELLS, fine=masses.CELLS["rough"]),
    ):
        return acting.act_out(lesson(id))
