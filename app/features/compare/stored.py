"""The stored answers on the page: in the place of what has not been trained yet, and as cards."""

from dataclasses import replace
from functools import lru_cache

from app import evidence
from app.components.planes import Chart
from app.evidence import Stored
from app.features.compare import charts
from app.features.compare.arms import contenders
from app.features.compare.evidence import groups_of, name_of, read, setup_of
from app.features.compare.presets import PRESETS, Preset
from app.ui import bands, opening


def of(preset: str) -> Stored:
    return evidence.stored(name_of(preset))


def sentence(preset: str) -> str:
    """The answer to a ready-made question."""
    return _sentence(preset, PRESETS[preset])


def chart(preset: str) -> Chart:
    """The picture of it: what is believed where something is, else how well the flows fit."""
    return _chart(preset, PRESETS[preset])


@lru_cache(maxsize=32)
def _sentence(preset: str, chosen: Preset) -> str:
    return chosen.answer.sentence(read(of(preset).found, preset))


@lru_cache(maxsize=32)
def _chart(preset: str, chosen: Preset) -> Chart:
    setup, groups = setup_of(chosen), groups_of(of(preset).found)
    terms = {one.label: one.terms for one in contenders(setup, chosen.bench)}
    if any(terms.values()):
        return charts.belief(setup.dataset, groups, terms)
    return bands.curves(setup.dataset, groups, by_time=chosen.by_time)


def show(preset: str, key: str) -> None:
    """Sentence and picture."""
    opening.sentence(sentence(preset))
    opening.picture([replace(chart(preset), height=opening.HEIGHT)], of(preset), key=key)


def name(preset: Preset) -> str:
    """What the registry calls it."""
    return next(name for name, one in PRESETS.items() if one is preset)
