"""The stored answers of the views that compare flows, on the page."""

from dataclasses import replace
from functools import lru_cache, partial

from app import evidence, session
from app.components.planes import Chart
from app.engine.experiment import Arm
from app.features.lipschitz.compared import QUESTIONS, SETUP, groups_of, read
from app.ui import bands, opening
from app.ui.side_by_side import Opening


@lru_cache(maxsize=len(QUESTIONS))
def sentence(name: str) -> str:
    return QUESTIONS[name].sentence(read(evidence.stored(name).found))


@lru_cache(maxsize=len(QUESTIONS))
def chart(name: str) -> Chart:
    """How well the flows fit against steps, as bands over seeds."""
    drawn = bands.curves(SETUP.dataset, groups_of(evidence.stored(name).found), by_time=False)
    return replace(drawn, height=opening.HEIGHT)


def show(name: str) -> None:
    """Sentence and picture."""
    opening.sentence(sentence(name))
    opening.picture([chart(name)], evidence.stored(name), key=f"{name}.stored")


def take() -> None:
    """Take over the data and settings of the stored answers."""
    session.use(SETUP.data, SETUP.flow, SETUP.train)


def first(name: str, arms: dict[str, Arm]) -> Opening:
    """What stands in the place of these flows before they are trained. Seeds aside, the stored answer is theirs if
    data, flow and training are."""
    return Opening(partial(show, name) if arms == QUESTIONS[name].arms(SETUP) else None, take)
