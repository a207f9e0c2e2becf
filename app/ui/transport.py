"""The row of buttons that every screen with a run has, and the line of numbers in it."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from app import session
from app.engine.reports import MOVING, STOPPED, ArmReport, Report
from app.link import MOST_IN_FINGERPRINT
from app.metrics import with_two_digits
from app.text import escaped
from app.ui import share, takeaway

LONG_STEP_SECONDS = 0.5
"""Of which the line of numbers says so."""
Here = Callable[[], session.Moment | None]
"""Says which earlier moment of the run the page shows; None: the newest."""


def show(
    report: Report,
    of: str | None = None,
    steps: int | None = None,
    *,
    primary: bool = True,
    slowly: bool = False,
    here: Here = lambda: None,
) -> None:
    """The row of buttons and the line of numbers, for the page's flow or `of` a comparison, by its name. Where it has a
    length, Play ends after so many `steps`, and how far it is is shown. Not `primary` where something else on the page
    is to be pressed first. `slowly`: the page's live picture shows a step in its parts. From an earlier moment, which a
    page may show, Play and the steps go on as another run."""
    past = here()
    moving, suffix = report.state in MOVING and not past, f".{of}" if of else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Pause" if moving else "Continue from here" if past else "Play",
            icon=":material/pause:" if moving else ":material/play_arrow:",
            type="primary" if primary and not session.asks() else "secondary",  # of which a page has one
            on_click=_play,
            args=(here, of, steps),
            key=f"play{suffix}",
            width=190 if past else 110,
        )
        for n, label, icon, key in ((1, "1 step", "skip_next", "step"), (100, "100 steps", "fast_forward", "steps")):
            st.button(label, on_click=_step, args=(here, n, of), icon=f":material/{icon}:", key=f"{key}{suffix}")
            if n == 1 and slowly:
                st.button("slowly", on_click=session.step_slowly, icon=":material/slow_motion_video:", key="slowly")
        st.button("Reset", on_click=session.reset, args=(of,), icon=":material/restart_alt:", key=f"reset{suffix}")
        if of is None:
            share.of_run(report)
            takeaway.of_run(report, past.step if past else None)
        else:
            share.of_settings(of)
        reason = f"{report.device.upper()}: {report.device_reason}." if report.device_reason else None
        if reason and report.arms:
            reason += f" Computed by {'; and by '.join(dict.fromkeys(arm.fingerprint for arm in report.arms))}."
        st.markdown(f":gray[newest:] {_status(report)}" if past else _status(report), help=reason)
    if why := next((arm.why_torch for arm in report.arms if arm.why_torch), ""):
        st.caption(f":material/slow_motion_video: Torch computes this run, about a tenth as fast as usual: {why}")
        if not past and any(arm.hastens for arm in report.arms):
            st.button(
                "Go on by kernels",
                on_click=session.hasten,
                args=(of,),
                icon=":material/speed:",
                key=f"hasten{suffix}",
                help="Their numbers round differently. A link to this run says at which step they took over.",
            )
    if of is None and session.made_by() and (found := session.note(digits(session.made_by(), report))).differ:
        st.caption(
            ":material/difference: Close, not equal: the numbers of this link were computed by "
            f"{escaped(found.there, MOST_IN_FINGERPRINT)}. Here they are computed by "
            f"{escaped(found.here, MOST_IN_FINGERPRINT)}."
        )
    if of is None and (bringing := session.bringing()):
        _bringing(report, bringing)
    elif steps is not None and report.arms:
        _progress(report, steps)


def _play(here: Here, of: str | None, steps: int | None) -> None:
    """What the page shows now counts, which may be newer than what the button says."""
    if past := here():
        session.branch(past)
    else:
        session.play_or_pause(of, steps)


def _step(here: Here, n: int, of: str | None) -> None:
    if past := here():
        session.branch(past, n)
    else:
        session.step(n, of)


@dataclass(frozen=True)
class Digits:
    """What the numbers of a link were made by, and what makes those of the page ("": nothing yet)."""

    there: str
    here: str

    @property
    def differ(self) -> bool:
        return self.here not in ("", self.there)


def digits(there: str, report: Report) -> Digits:
    """Of the page's run, which is nobody's before its first step."""
    return Digits(there, report.arms[0].fingerprint if report.arms and report.arms[0].step else "")


@dataclass(frozen=True)
class Progress:
    """How far flows that train in step are on their way."""

    done: int  # steps, at most those of the way
    steps: int  # the length of the way
    seconds_left: float | None  # at the speed of now; None while they stand still, and at the end

    @property
    def is_over(self) -> bool:
        return self.done == self.steps


def progress(arm: ArmReport, steps: int) -> Progress:
    """Of any of the arms, and how long the rest will take."""
    moves = arm.step < steps and arm.steps_per_second
    left = (steps - arm.step) / arm.steps_per_second if moves else None
    return Progress(min(arm.step, steps), steps, left)


def _progress(report: Report, steps: int) -> None:
    found = progress(report.arms[0], steps)
    said = f"{found.done:,} of {found.steps:,} steps of every flow"
    if found.is_over:
        said += ": done. If you press Play, training goes on without end."
    elif found.seconds_left is not None:
        said += f", about {max(1, round(found.seconds_left))} s left"
    st.progress(found.done / found.steps, said)


def _bringing(report: Report, found: session.Bringing) -> None:
    """How far the run is on its way to the step of its link; where that is far, the way is somebody's choice."""
    if report.state in MOVING:
        done = min(report.arms[0].step, found.step) if report.arms else 0
        st.progress(done / found.step, f"This link shows step {found.step:,}. Training is at step {done:,}")
        return
    takes = f"about {max(1, round(found.seconds)):,} s" if found.seconds else "some time"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="bringing"):
        st.markdown(f"This link shows step {found.step:,}. Training to this step takes {takes}.", width="content")
        st.button(f"Train to step {found.step:,}", on_click=session.bring, icon=":material/fast_forward:", key="bring")


def message(report: Report) -> None:
    """What the engine has to say of a run, where it has."""
    if report.message:
        (st.error if report.state in STOPPED else st.info)(report.message)


def waits(report: Report, what: str) -> None:
    """That `what` takes a moment, unless the engine has said why there is nothing to see."""
    if not report.message:
        st.info(f"{what}; this takes a moment.", icon=":material/hourglass:")


def _whole(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds >= 1 or not seconds else "< 1"


def _status(report: Report) -> str:
    """Step, speed, device and time, in one line. All arms take the same steps, one after the other. Beside a lesson the
    line is short, so that it never breaks and moves what stands below."""
    long_step = f"about **{report.step_seconds:.2g} s** for a step" if report.step_seconds > LONG_STEP_SECONDS else ""
    if not report.arms:
        return " &nbsp;·&nbsp; ".join(filter(None, (f":gray[{report.state.value} …]", long_step)))
    arm: ArmReport = report.arms[0]
    seconds = sum(arm.seconds for arm in report.arms)
    speed = f"**{with_two_digits(arm.steps_per_second)}** steps/s" if arm.steps_per_second else ""
    device, trained = f"on {report.device.upper()}", f"**{_whole(seconds)} s**"
    if session.lies_under_lesson():
        parts = [f"step **{arm.step:,}**", speed or device, trained]
    else:
        parts = [f"step **{arm.step:,}**", f"{speed} {device}".strip(), f"{trained} trained"]
    return " &nbsp;·&nbsp; ".join(filter(None, (*parts, long_step)))
