"""What is still planned by the link for the run, and the link to hand on."""

from dataclasses import dataclass, replace

from app.link import Link
from app.session.page import current, note
from app.setup import Changes, Setup


@dataclass(frozen=True)
class PlanEnded:
    """Somebody's own change took the place of what the link had planned."""

    step: int  # of the first planned change that will not come


def shareable() -> Setup:
    """The setup that repeats this run: how it began, all that changed since, and what is still planned."""
    arms = current().report.arms
    return replace(current().link.setup, changes=(*(arms[0].changes if arms else ()), *ahead()))


def note_change(old: Setup, new: Setup) -> None:
    """Of the link nothing is left but what the change does not touch."""
    page, to_come = current(), ahead()
    page.notice = _takeaway(note(PlanEnded(to_come[0][0]))) if to_come else ""
    page.link = Link(
        replace(page.link.setup, changes=()),
        csv=page.link.csv if (new.data, new.own) == (old.data, old.own) else None,
        flow=page.link.flow if (new.flow, new.start) == (old.flow, old.start) else None,
        controls=page.link.controls,
    )


def _takeaway(found: PlanEnded) -> str:
    return f"Your change ends the plan of the link: the change at step {found.step:,} will not happen."


def ahead() -> Changes:
    """What is planned and has not come."""
    arms = current().report.arms
    return tuple(change for change in current().link.setup.changes if not arms or change[0] > arms[0].step)
