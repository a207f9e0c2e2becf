"""Comparisons: flows that train in step beside the page's own, from its seed and on its device."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from app import engine
from app.engine.experiment import Arm, Experiment
from app.engine.reports import ArmReport, Picture, Report
from app.session.files import with_flow
from app.session.kept import remember
from app.session.page import Comparison, current, settle
from app.session.plan import note_change
from app.session.run import launch, newest, start
from resflow_core.training.trainer import TrainConfig

MOST_COMPARISONS = 3
FILE_NAME = "compared.safetensors"


def compare(name: str, arms: tuple[Arm, ...], lasting: Collection[str] = ()) -> None:
    """Let the comparison of this name be of these arms. If it is, its training goes on, with other settings of training
    where only these differ, and none of the `lasting`; else there is a new one, paused. Of more than
    `MOST_COMPARISONS` the one that was used the longest ago is forgotten."""
    page = current()
    hold(name, Experiment(arms, page.setup.seed, page.setup.device), lasting)


def hold(name: str, experiment: Experiment, lasting: Collection[str] = ()) -> None:
    """As `compare`, for an experiment that need not have the page's seed and device."""
    page = current()
    comparison = page.comparisons.pop(name, None) or Comparison(experiment, page.setup.own)
    page.comparisons[name] = comparison
    known, comparison.experiment = comparison.experiment, experiment
    if not comparison.run or _untrained(known, lasting) != _untrained(experiment, lasting):
        comparison.own, comparison.plays, comparison.pictures = page.setup.own, False, ()
        launch(comparison, experiment)
    else:
        for index, (before, after) in enumerate(zip(known.arms, experiment.arms, strict=True)):
            if before.train != after.train:
                engine.get_engine().change(comparison.run, index, after.train)
    while len(page.comparisons) > MOST_COMPARISONS:
        forget(next(iter(page.comparisons)))


def _untrained(experiment: Experiment, lasting: Collection[str]) -> Experiment:
    """All of it that cannot change while it trains, or is not to."""
    arms = (
        replace(arm, train=TrainConfig(**{name: getattr(arm.train, name) for name in lasting}))
        for arm in experiment.arms
    )
    return replace(experiment, arms=tuple(arms))


def is_compared(name: str) -> bool:
    """Whether there is a comparison of this name."""
    return name in current().comparisons


def forget(name: str) -> None:
    """End the comparison of this name, and what the engine holds of it."""
    if comparison := current().comparisons.pop(name, None):
        engine.get_engine().close(comparison.run)


def poll_comparison(name: str, **wanted: Any) -> Report:
    """As `poll`, of the comparison of this name; one entry of `Report.arms` for each of its arms. Where pictures are
    wanted, the browser draws all flows that it can."""
    comparisons = current().comparisons
    comparison = comparisons[name] = comparisons.pop(name)
    if wanted.get("frames", True):
        wanted |= {"frames": comparison.plain, "weights": not comparison.plain}
    report = newest(comparison, **wanted)
    old = comparison.pictures or (None,) * len(report.arms)
    new = (_newest_picture(arm, comparison.plain) for arm in report.arms)
    comparison.pictures = tuple(b or a for a, b in zip(old, new, strict=True)) if report.arms else old
    settle()
    return report


def _newest_picture(arm: ArmReport, plain: bool) -> Picture | None:
    """If there is one; `plain`: drawn by the server."""
    return (None if plain else arm.weights) or arm.frame


def pictures(name: str) -> tuple[Picture | None, ...]:
    """The newest picture of each arm of a comparison, as far as there are some."""
    return current().comparisons[name].pictures


def exported(name: str, arm_index: int) -> bytes | None:
    """An arm of a comparison as a file; None where it cannot be had, or not soon enough."""
    return engine.get_engine().export(current().comparisons[name].run, arm_index)


def adopt(name: str, arm_index: int) -> None:
    """Make an arm of a comparison the page's flow, with its weights, its settings and its data."""
    page, comparison = current(), current().comparisons[name]
    page.stale = True
    saved = engine.get_engine().export(comparison.run, arm_index)
    if saved is None:
        page.notice = "This flow could not be loaded in time. Your own flow stays. Try again in a moment."
        return
    arm = comparison.experiment.arms[arm_index]
    in_force = comparison.report.arms[arm_index].train if comparison.report.arms else None
    data = {"data": arm.data, "own": None} if isinstance(arm.data, str) else {"own": comparison.own}
    new = replace(with_flow(page.setup, FILE_NAME, saved), train=(in_force or arm.train).alone, **data)
    remember()
    note_change(page.setup, new)
    page.mark(new)
    page.notice = f"{page.notice} All screens now use the flow that you chose.".strip()
    start(new)
