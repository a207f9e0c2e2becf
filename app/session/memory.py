"""What was measured of a gradient's costs, and the run that measures. Results stay on the page: when the run is closed,
when other settings are looked at, and while other screens are shown."""

from app.engine.experiment import Arm, Experiment
from app.engine.reports import Report, State
from app.session.comparisons import forget, hold, poll_comparison
from app.session.page import Comparison, current
from app.session.run import pause, step
from resflow_core.measure.survey import Survey, SurveyPlan
from resflow_core.training.trainer import TrainConfig

NAME = "memory"
MOST_KEPT = 8
ENDED = (State.FAILED, State.EXPIRED)


def survey(of: SurveyPlan) -> Survey:
    """What is known of this plan."""
    surveys = current().surveys
    if of not in surveys:
        return Survey(of)
    surveys[of] = surveys.pop(of)  # at the end: the first is the one that was not looked at for longest
    return surveys[of]


def measures(of: SurveyPlan) -> bool:
    """Whether there is a run that measures this plan, or would go on if it was told to."""
    return (run := _run(of)) is not None and run.report.state not in ENDED


def follow_survey(of: SurveyPlan) -> Report | None:
    """The newest report of the run that measures this plan, whose results are kept; None where there is no such run. It
    ends when it is complete, so that it takes no place from others, and when the engine has dropped it."""
    if not _run(of):
        return None
    report = poll_comparison(NAME, frames=False, measured={"results": True})
    if report.arms and (found := report.arms[0].found(Survey)):
        _keep(found)
    if survey(of).complete or report.state is State.EXPIRED:
        forget(NAME)
        return None
    return report


def go_on_with_survey(of: SurveyPlan) -> None:
    """Measure what is not known of it, in a run of its own."""
    if not (run := _run(of)) or run.report.state in ENDED:
        forget(NAME)
        hold(NAME, Experiment((_arm(survey(of)),), seed=0, device="cpu"))
        done = survey(of).step
    else:
        done = run.report.arms[0].step if run.report.arms else survey(of).step
    step(of.pieces - done, NAME)


def stop_survey() -> None:
    pause(NAME)


def survey_anew(of: SurveyPlan) -> None:
    """Forget what is known of it, and measure all of it."""
    current().surveys.pop(of, None)
    forget(NAME)
    go_on_with_survey(of)


def _run(of: SurveyPlan) -> Comparison | None:
    run = current().comparisons.get(NAME)
    return run if run and run.experiment.arms[0].data.of == of else None


def _keep(found: Survey) -> None:
    """Where a worker died, its run has gone back a little: then what was reported before stays."""
    surveys = current().surveys
    if found.step < survey(found.of).step:
        return
    surveys.pop(found.of, None)
    surveys[found.of] = found
    while len(surveys) > MOST_KEPT:
        surveys.pop(next(iter(surveys)))


def _arm(known: Survey) -> Arm:
    return Arm(known.of.flow, TrainConfig(batch=known.of.batch), known)
