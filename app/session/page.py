"""What a page has set, the files it was given, and the runs that it has: one record in `st.session_state`."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st

from app.clockwork import Clock
from app.csv_file import CsvFile
from app.drawing import Drawing
from app.engine.experiment import Experiment
from app.engine.reports import Picture, Report, State
from app.engine.training.measurements.jacobians import Jacobians
from app.estimates.sample import Sample
from app.lessons.progress import Progress
from app.link import DRAWING, OWN_DATA, Link
from app.setup import Changes, CsvChoice, OwnData, Setup, widget_values
from resflow_core.measure.survey import Survey, SurveyPlan

Finding = TypeVar("Finding")


@dataclass(kw_only=True)
class Training:
    """A run at the engine, as the page knows it."""

    run: str = ""
    report: Report = field(default_factory=lambda: Report("", State.LOADING))
    plays: bool = False  # or shall, once it is built
    heard: float = 0.0  # when the engine last heard of it from this page
    calm: int = 0  # polls in a row, after the last click, at which it stood still and had nothing new to tell
    plain: bool = False  # whether the browser cannot draw its flows in panes, so that the server does


@dataclass
class Comparison(Training):
    """Several flows that train in step."""

    experiment: Experiment
    own: OwnData | None  # what the arms learn that have no data set's name
    pictures: tuple[Picture | None, ...] = ()  # the newest of each arm


@dataclass(frozen=True)
class Past:
    """A flow that was left behind, and its settings. Either it goes on as it was, from a stored checkpoint, or
    `setup.start` is what is left of its weights."""

    setup: Setup
    steps: int
    whole: bool  # or its weights could not be had
    needed: CsvChoice | None  # the file that the link still asked for
    goes_on: bool = False
    planned: Changes = ()  # by the link; those of `setup` are all that changed or shall change
    fingerprints: tuple[str, ...] = ()  # what computed it
    timeline: str = ""  # of its run (`Report.timeline`)


@dataclass(frozen=True)
class Continues:
    """The timeline of which the page's run is the continuation, from a step on: the pictures up to there are its."""

    timeline: str
    step: int


@dataclass(frozen=True)
class Place:
    """Where somebody is in a lesson, and whether the page has the settings of that step."""

    lesson: str
    step: str
    language: str = ""
    opened: bool = True


@dataclass(frozen=True, eq=False)
class AsLeft:
    """The benches of a lesson's step, and what was thrown there, as somebody left it."""

    benches: Mapping[type, Any]
    sample: Sample


@dataclass(frozen=True)
class Resumed:
    """That a lesson was opened where somebody had been in it, and whether something was answered there."""

    has_answers: bool


def new_token() -> str:
    return secrets.token_urlsafe(18)


@dataclass(frozen=True)
class Entry:
    """One of the history of the page's browser."""

    page: str  # not a secret
    number: int

    def __str__(self) -> str:
        return f"{self.page}.{self.number}"


@dataclass
class InRoom:
    """A room that the page's browser has joined. `calls` is how often everybody was called to a step, so far."""

    code: str
    token: str  # a secret
    calls: int = 0


@dataclass
class Page(Training):
    """`setup` is what the widgets show. `link.setup` is what the run began with and what is planned for it."""

    link: Link
    setup: Setup
    benches: dict[type, Any]  # the settings of each bench
    picked: str  # the data set that is marked: `OWN_DATA` even before there is a file
    chosen: set[str] = field(default_factory=set)  # settings of benches that a link named or somebody changed
    comparisons: dict[str, Comparison] = field(default_factory=dict)  # by their names, the one used last at the end
    watched: str = ""  # the run that is looked at
    language: str = ""  # of the lessons, where none is open
    past: list[Past] = field(default_factory=list)  # the newest last
    csv: CsvFile | None = None
    problems: dict[str, str] = field(default_factory=dict)  # of the files that widgets were given, and of the drawing
    drawing: Drawing = field(default_factory=Drawing)  # what is painted, whether it can be learned or not
    draws: bool = False  # whether the plane to paint on is taken up
    paints: bool = False  # whether a flow has learned something since then
    canvases: int = 0  # how often it was taken up
    notice: str = ""
    sample: Sample = field(default_factory=Sample)
    draws_wanted: int = 0  # by buttons that were pressed since the last run of the script
    coins: str = ""  # what a class has thrown, as it was typed
    # What was measured of the gradients of each plan, the one used last at the end.
    surveys: dict[SurveyPlan, Survey] = field(default_factory=dict)
    lent: bool = False  # whether a flow that was trained before took the place of an untrained one
    jacobians: Jacobians | None = None
    drawn: Jacobians | None = None  # those that were drawn last
    clicks: dict[str, Any] = field(default_factory=dict)  # the newest in each picture that has had its effect
    offered: frozenset[str] | None = None  # the settings whose controls are drawn; None: all
    progress: Progress = field(default_factory=Progress)  # in all lessons
    lesson: Place | None = None
    as_left: dict[tuple[str, str], AsLeft] = field(default_factory=dict)  # by lesson and step
    lies_under_lesson: bool = False  # the screen that is shown
    room: InRoom | None = None
    resumed: Resumed | None = None  # until another step is opened
    began: bool = False  # whether a lesson was opened without a step, by somebody of whom nothing was known
    continues: Continues | None = None
    wanted: int = 0  # the step to which the run is brought, because a link says so; 0: none
    brings: bool = False  # whether it is on its way there
    screen: str = ""  # that is shown, by its address
    addressed: str = ""  # the screen whose address was written last: some have none of the run
    turned: str = ""  # the screen to go to
    found: dict[str, Any] = field(default_factory=dict)  # what each check found when it was asked last, by its key
    unjudged: set[str] = field(default_factory=set)  # checks that were asked and are not judged yet
    findings: dict[type, Any] = field(default_factory=dict)  # what its screens found last, by its type
    asked: dict[str, None] = field(default_factory=dict)  # the settings that the page has controls of, drawn or not
    asked_before: dict[str, None] = field(default_factory=dict)  # in the run before, until this one is at its end
    widgets: dict[str, Any] = field(default_factory=dict)  # what they must show from the next run of the script on
    stale: bool = False  # whether what is drawn outside of the script's parts says what was
    token: str = field(default_factory=new_token)  # what its browser calls it, in secret
    address: dict[str, str] = field(default_factory=dict)  # what its browser's address says of it
    entry: Entry = field(default_factory=lambda: Entry(secrets.token_hex(4), 0))  # of the browser's history
    entries: int = 0  # so far
    attached: bool = False  # whether its browser has our script
    keeps: bool = True  # whether its browser keeps what is done in lessons
    typed: dict[str, Any] = field(default_factory=dict)  # what widgets hold that no setting holds
    renewed: dict[str, int] = field(default_factory=dict)  # how often a widget had to hold something else

    @property
    def trainings(self) -> tuple[Training, ...]:
        return self, *self.comparisons.values()

    def mark(self, setup: Setup) -> None:
        """Let the choice of data, and what belongs to it, be as in these settings."""
        own = setup.own
        if own is None:
            self.picked = setup.data
        elif own.drawing:
            self.picked, self.drawing = DRAWING, own.drawing
        else:
            self.picked = OWN_DATA
            self.show_columns(own.file)

    def show_columns(self, choice: CsvChoice) -> None:
        """Let the widgets show the columns of a file; without its choices where another file came since."""
        self.widgets |= {"csv.x": choice.x, "csv.y": choice.y, "csv.label": choice.label}
        if self.csv and (self.csv.name, self.csv.digest) != (choice.name, choice.digest):
            self.csv = None


def current() -> Page:
    return st.session_state.page


def clocks() -> dict[str, Clock]:
    """The fragments that a clock calls, also of a page that has no run."""
    return st.session_state.setdefault("clocks", {})


def token() -> str:
    """What the page's browser calls it, in secret."""
    return current().token


def attached() -> bool:
    """Whether the page has heard of its browser what that has kept."""
    return current().attached


def entry() -> str:
    """Which one of the browser's history the page is at."""
    return str(current().entry)


def keeps() -> bool:
    """Whether the browser keeps what is done in lessons, as far as is known."""
    return current().keeps


def training_of(of: str | None) -> Training:
    """The page's own run, or the comparison of this name."""
    return current() if of is None else current().comparisons[of]


def show(*configs: Any) -> None:
    """Let the widgets of these configurations show them, from the next run of the script on."""
    for config in configs:
        current().widgets |= widget_values(config)


def note(finding: Finding) -> Finding:
    """Keep what a screen found, a frozen value, as the newest of its type; the words about it follow from it."""
    current().findings[type(finding)] = finding
    return finding


def noted(kind: type[Finding]) -> Finding | None:
    """The newest finding of this type."""
    return current().findings.get(kind)


def is_new(picture: str, click: Any) -> bool:
    """Whether this click, which a picture keeps until the next, has had no effect yet; from now on it has."""
    page = current()
    before, page.clicks[picture] = page.clicks.get(picture), click
    return click is not None and click != before


def settle() -> None:
    """Runs the whole script anew where it must show something else; in a part of it that is run alone."""
    if current().widgets or current().stale:
        st.rerun()
