"""The only owner of `st.session_state`: what a page has set, the files it was given, and the runs that it has."""

from app.session.address import query
from app.session.benches import apply_bench, bench, benches, show_bench
from app.session.comparisons import adopt, compare, pictures, poll_comparison
from app.session.estimator import jacobians, jacobians_are_new, tally
from app.session.files import (
    csv,
    give_csv,
    give_flow,
    open_example,
    open_flow,
    pick,
    picked,
    problem,
    take,
    take_csv,
)
from app.session.focus import choosable, fixed, focused, offered, show_all
from app.session.kept import past, undo
from app.session.memory import survey, survey_anew
from app.session.page import is_new, settle, show
from app.session.plan import shareable
from app.session.run import (
    DEMAND,
    HEARD_SECONDS,
    bring_back,
    flow_saver,
    keep,
    last_report,
    pause,
    play,
    play_or_pause,
    poll,
    reset,
    scaled,
    step,
)
from app.session.settings import age, apply, begin, end, needed, notice, refused, setup, use

__all__ = [
    "DEMAND",
    "HEARD_SECONDS",
    "adopt",
    "age",
    "apply",
    "apply_bench",
    "begin",
    "bench",
    "benches",
    "bring_back",
    "choosable",
    "compare",
    "csv",
    "end",
    "fixed",
    "flow_saver",
    "focused",
    "give_csv",
    "give_flow",
    "is_new",
    "jacobians",
    "jacobians_are_new",
    "keep",
    "last_report",
    "needed",
    "notice",
    "offered",
    "open_example",
    "open_flow",
    "past",
    "pause",
    "pick",
    "picked",
    "pictures",
    "play",
    "play_or_pause",
    "poll",
    "poll_comparison",
    "problem",
    "query",
    "refused",
    "reset",
    "scaled",
    "settle",
    "setup",
    "shareable",
    "show",
    "show_all",
    "show_bench",
    "step",
    "survey",
    "survey_anew",
    "take",
    "take_csv",
    "tally",
    "undo",
    "use",
]
