"""The only owner of `st.session_state`: what a page has set, the files it was given, and the runs that it has."""

from app.session.address import made_by, query
from app.session.benches import apply_bench, bench, benches, choose, is_chosen, show_bench, view
from app.session.brought import Bringing, bring, bringing
from app.session.classroom import Followed, Unpooled, enter_room, follow_room, vote
from app.session.comparisons import adopt, compare, exported, is_compared, pictures, poll_comparison
from app.session.drawings import (
    arrive_to_draw,
    canvas,
    drawing,
    drawing_problem,
    drawn_data,
    draws,
    learns_drawing,
    put_down,
    start_drawing,
    take_strokes,
)
from app.session.estimator import coins, draw, go_on_drawing, jacobians, jacobians_are_new, sample, type_coins
from app.session.files import (
    begin_untrained,
    csv,
    give_csv,
    give_flow,
    lend_example,
    open_example,
    open_flow,
    pick,
    picked,
    problem,
    take,
    take_csv,
)
from app.session.focus import choosable, fixed, focus, focused, offered, show_all
from app.session.kept import past, reset, undo
from app.session.lesson import (
    act,
    add_progress,
    all_progress,
    arrive,
    asks,
    draw_anew,
    fill,
    found,
    go_back,
    holding,
    is_about_curves,
    is_still_asked,
    leave_lesson,
    lesson,
    lie_under_lesson,
    lies_under_lesson,
    move,
    moves,
    name_progress,
    open_step,
    place,
    predicts,
    progress,
    progress_to_save,
    resumed,
    situation,
    speak,
    spoken,
    step_open,
    step_over,
    tell_answer,
    turn,
    turn_to,
    turns,
    typed,
    unjudged,
)
from app.session.memory import follow_survey, go_on_with_survey, measures, stop_survey, survey, survey_anew
from app.session.moments import Moment, branch, checkpoints, continues, moment, rest
from app.session.page import Resumed, attached, clocks, entry, is_new, keeps, note, noted, settle, show, token
from app.session.plan import shareable
from app.session.returning import arrive_in_browser, come_back, to_store
from app.session.run import (
    HEARD_SECONDS,
    VIEW_REQUEST,
    at_rest,
    attend,
    bring_back,
    draw_by_server,
    draws_plainly,
    drop_edits,
    drop_misfits,
    edited,
    editing_is_offered,
    flow_saver,
    hasten,
    keep,
    last_report,
    pause,
    play,
    play_or_pause,
    poll,
    step,
    step_slowly,
    stir,
    tell,
)
from app.session.settings import age, apply, begin, begun, carry, end, needed, notice, refused, setup, use
