"""A run and the floor that it comes to, on a clock that only work moves."""

import itertools
import pickle
from dataclasses import replace

import numpy as np
import pytest

from app.engine.commands import (
    Attend,
    Change,
    Close,
    Create,
    Export,
    Leave,
    Look,
    Pause,
    Play,
    Poll,
    Reset,
    Step,
    ViewRequest,
    Wish,
)
from app.engine.experiment import Arm, Experiment
from app.engine.reports import Checkpoint, Exported, HandedOut, Report, State, adds_nothing
from app.engine.training import views
from app.engine.training.budget import BURST_SECONDS, SHARE, LookBudget
from app.engine.training.measurements import MEASUREMENTS
from app.engine.training.measurements.activity import Activity
from app.engine.training.measurements.derivatives import Derivatives
from app.engine.training.measurements.inversion import InversionRequest, Inversions
from app.engine.training.measurements.jacobians import Jacobians
from app.engine.training.measurements.masses import Masses
from app.engine.training.run import CHECKPOINT_SECONDS, PASSING_SECONDS, PASSING_SHARE, SLICE_SECONDS
from app.engine.training.weights import decode
from app.engine.worker import crowding, floor
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Truncated
from resflow_core.measure import Edited
from resflow_core.training.trainer import TrainConfig
from tests.app import engine_bench
from tests.app.engine_bench import (
    BLIND,
    DRAWS,
    EXPERIMENT,
    FRAME_COST,
    PAGE,
    Bench,
    Clock,
    FakeJob,
    measurements_of_known_cost,
    with_places,
    with_train,
)
from tests.app.pages import named
from tests.app.requests import wanting


@pytest.fixture(autouse=True)
def costs(monkeypatch):
    measurements_of_known_cost(monkeypatch)


@pytest.fixture
def bench():
    return Bench()


ACTIVE = wanting(PAGE, {"activity": "all"})


def test_step_takes_exactly_that_many_even_out_of_play(bench):
    bench.do(Create("a", EXPERIMENT), Step("a", 100), Step("a", 7))
    bench.run(5, {"a": PAGE})
    assert (bench.steps("a"), bench.last("a").state) == (107, State.PAUSED)
    bench.do(Play("a"))
    bench.run(1)
    bench.do(Pause("a"))
    bench.run(0.1)
    before = bench.steps("a")
    bench.do(Step("a", 3))
    bench.run(1)
    assert bench.steps("a") == before + 3


def test_pause_takes_effect_at_once(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(1)
    bench.do(Pause("a"))
    bench.tick()
    stopped = bench.last("a")
    bench.run(1)
    assert stopped.state is State.PAUSED
    assert bench.steps("a") == stopped.arms[0].step


def test_a_page_that_waits_for_what_it_wants_does_not_rest():
    still = Report("a", State.PAUSED)
    waits = replace(still, awaits=True)
    assert adds_nothing(still, still) and not adds_nothing(waits, waits)


def test_masses_are_weighed_every_five_seconds_between_frames_that_keep_coming(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(31, {"a": PAGE})
    rough = [m for m in bench.masses("a") if m.exact == "rough"]
    assert 5 <= len(rough) <= 7
    assert len(bench.frames("a")) >= 5 * 31
    times = [f.step * 0.005 for f in bench.frames("a")]
    assert np.diff(times).max() < 0.5
    bench.do(Pause("a"))
    bench.run(2, {"a": PAGE})
    assert bench.masses("a")[-1] == Masses(bench.steps("a"), Exact(), "fine", None)
    assert not bench.is_busy


def test_another_depth_draws_one_frame_and_nothing_else(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(1, {"a": PAGE})
    seen = len(bench.said)
    bench.run(1, {"a": replace(PAGE, depth=3)})
    arms = [a for m in bench.said[seen:] if isinstance(m, Report) for a in m.arms]
    assert len(bench.frames("a")) == 2
    assert all((a.found(Masses), a.blocks) == (None, None) for a in arms)


def test_another_inversion_is_found_in_pieces_and_nothing_else_is_drawn(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(1, {"a": PAGE})
    seen, demand = len(bench.said), wanting(PAGE, {"inversion": InversionRequest(2, (0.5, 1.0))})
    bench.run(1, {"a": demand})
    arms = [a for m in bench.said[seen:] if isinstance(m, Report) for a in m.arms]
    (found,) = [a.found(Inversions) for a in arms if a.found(Inversions)]
    assert found == Inversions(0, demand.measured["inversion"], None, None)
    assert all((a.frame, a.found(Masses), a.blocks, a.found(Jacobians)) == (None, None, None, None) for a in arms)
    seen, other = len(bench.said), wanting(demand, {"inversion": InversionRequest(2, (0.5, 1.1))})
    bench.run(1, {"a": other})
    bench.run(1, {"a": other})
    arms = [a for m in bench.said[seen:] if isinstance(m, Report) for a in m.arms]
    assert [a.found(Inversions).request for a in arms if a.found(Inversions)] == [other.measured["inversion"]]
    assert all((a.frame, a.found(Masses), a.blocks, a.found(Jacobians)) == (None, None, None, None) for a in arms)
    assert not bench.is_busy


def test_a_scaled_branch_draws_and_measures_all_anew(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(1, {"a": PAGE})
    seen = len(bench.said)
    for _ in range(2):
        bench.run(1, {"a": replace(PAGE, edited=Edited(1, 1.5))})
    arms = [a for m in bench.said[seen:] if isinstance(m, Report) for a in m.arms]
    for count in (
        sum(a.frame is not None for a in arms),
        sum(a.found(Masses) is not None for a in arms),
        sum(a.blocks is not None for a in arms),
    ):
        assert count == 1


def test_in_a_crowd_measurements_are_rarer_and_pictures_are_not(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(1, {"a": PAGE})
    views = bench.runs["a"]._views
    alone, crowded = (dict(views._wanted(10**6, True, crowd)) for crowd in (1.0, 8.0))
    assert alone.keys() == crowded.keys() and len(alone) >= 3
    assert {view.name: crowded[view] / wait for view, wait in alone.items()} == {
        view.name: 1.0 if view.name == "frame" else 8.0 for view in alone
    }


def test_an_inversion_comes_while_the_flow_moves_and_frames_keep_coming(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(20, {"a": wanting(PAGE, {"inversion": InversionRequest(0)})})
    steps = [
        a.found(Inversions).step for m in bench.said if isinstance(m, Report) for a in m.arms if a.found(Inversions)
    ]
    # 20 pieces, at most twenty a second, within what looks may take.
    assert 3 <= len(steps) <= 10
    assert len(bench.frames("a")) >= 3 * 20
    assert np.diff([f.step * 0.005 for f in bench.frames("a")]).max() < 0.5


def activities(bench):
    return [a.found(Activity) for m in bench.said if isinstance(m, Report) for a in m.arms if a.found(Activity)]


def test_activity_of_a_flow_that_stands_still_comes_once_and_again_where_something_else_is_wanted(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(2, {"a": BLIND})
    assert activities(bench) == []
    for wanted in ("gradients", "gradients", "all", "all", ""):
        bench.run(1, {"a": wanting(BLIND, {"activity": wanted})})
    # What a fake job was asked for stands where saturation does.
    assert [(found.step, found.saturation) for found in activities(bench)] == [(0, "gradients"), (0, "all")]
    assert not bench.is_busy


def test_activity_comes_every_few_seconds_while_the_flow_moves_and_frames_keep_coming(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(20, {"a": ACTIVE})
    steps = [found.step for found in activities(bench)]
    assert 3 <= len(steps) <= 20 / MEASUREMENTS["activity"].every_seconds + 1 and steps == sorted(set(steps))
    assert len(bench.frames("a")) >= 3 * 20
    bench.do(Pause("a"))
    bench.run(3, {"a": ACTIVE})
    assert activities(bench)[-1].step == bench.frames("a")[-1].step


def parts_of(bench, id, seen=0):
    """What was said of each arm since: (frames, derivatives, masses, blocks), each a list of steps (of the blocks one
    of what a fake job gives for them)."""
    reports = [m for m in bench.said[seen:] if isinstance(m, Report) and m.id == id and m.arms]
    return [
        (
            [a.frame.step for a in arms if a.frame],
            *([found.step for a in arms if (found := a.found(kind))] for kind in (Derivatives, Masses)),
            [a.blocks for a in arms if a.blocks],
        )
        for arms in zip(*(m.arms for m in reports), strict=True)
    ]


PICTURED = ViewRequest(pictured=(1,), measured={"masses": True, "derivatives": True})


@pytest.mark.parametrize("pictured", [(), (2, 7)])
def test_where_no_arm_is_pictured_all_the_rest_goes_on(bench, pictured):
    demand = replace(PICTURED, pictured=pictured)
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(3, {"a": demand})
    bench.do(Pause("a"))
    bench.run(3, {"a": demand})
    assert bench.last("a").state is State.PAUSED
    for frames, derivatives, masses, blocks in parts_of(bench, "a"):
        assert (frames, derivatives) == ([], []) and masses and blocks
    assert not bench.is_busy


def test_derivatives_that_nobody_wants_cost_nothing(bench, monkeypatch):
    (view,) = (view for view in views.MEASURED if view.name == "derivatives")
    monkeypatch.setitem(views.MEASURED, view, replace(views.MEASURED[view], measure=lambda *_: 1 / 0))
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(5, {"a": PAGE})
    bench.do(Pause("a"))
    bench.run(5, {"a": PAGE})
    assert bench.last("a").state is State.PAUSED and not bench.is_busy


def test_nobody_who_wants_no_masses_gets_them(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(12, {"a": ViewRequest()})
    bench.do(Pause("a"))
    bench.run(2, {"a": ViewRequest()})
    assert bench.masses("a") == []
    assert not bench.is_busy
    bench.run(2, {"a": PAGE})
    assert len(bench.masses("a")) == 1


def test_no_demand_no_frames_but_losses(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(4, {"a": BLIND})
    assert (bench.frames("a"), bench.masses("a")) == ([], [])
    assert any(a.loss for m in bench.said if isinstance(m, Report) for a in m.arms)


class TestWeights:
    """What browsers draw from by themselves."""

    def test_they_come_eight_times_a_second_as_turns_end_and_nothing_is_drawn(self, bench):
        bench.do(Create("a", EXPERIMENT), Play("a"))
        bench.run(4, {"a": DRAWS})
        steps = bench.handed_out("a")
        assert 4 * 7 <= len(steps) <= 4 * 8 + 2
        assert steps == sorted(set(steps)) and bench.frames("a") == []
        assert any(a.blocks for m in bench.said if isinstance(m, Report) for a in m.arms), "losses come as ever"

    def test_they_come_whatever_the_budget_of_looks_is(self, bench, monkeypatch):
        monkeypatch.setattr(LookBudget, "is_open", False)
        bench.do(Create("a", EXPERIMENT), Create("b", EXPERIMENT), Play("a"), Play("b"))
        bench.run(4, {"a": DRAWS, "b": ViewRequest()})
        assert len(bench.handed_out("a")) >= 4 * 7
        assert not any(frame.step for frame in bench.frames("b"))

    def test_a_flow_that_stands_still_hands_them_out_once(self, bench):
        bench.do(Create("a", EXPERIMENT))
        bench.run(5, {"a": DRAWS})
        assert bench.handed_out("a") == [0] and not bench.is_busy
        bench.do(Step("a", 3))
        bench.run(2, {"a": DRAWS})
        assert bench.handed_out("a") == [0, 3]

    def test_a_pause_has_those_of_its_last_step(self, bench):
        bench.do(Create("a", EXPERIMENT), Play("a"))
        bench.run(1.03, {"a": DRAWS})
        bench.do(Pause("a"))
        bench.run(0.01)
        assert bench.handed_out("a")[-1] == bench.steps("a")

    def test_an_edit_has_its_own_at_once_also_where_many_train(self, bench):
        ids = [str(i) for i in range(20)]
        slow = with_train(batch=4_000)  # 40 ms a step: a turn comes every 0.8 s
        bench.do(*(Create(id, slow) for id in ids), *(Play(id) for id in ids))
        bench.run(4, dict.fromkeys(ids, DRAWS))
        for id in ids:
            bench.do(Poll(id, replace(DRAWS, edited=Edited(1, 1.5))))
            seen = len(bench.said)
            bench.tick()
            (one,) = [m for m in bench.said[seen:] if isinstance(m, HandedOut) and m.id == id]
            assert decode(one.arms[0])[0]["flow"] == {"edited": 1.5}

    def test_an_edit_of_a_flow_at_rest_has_its_own_once(self, bench):
        bench.do(Create("a", EXPERIMENT))
        bench.run(1, {"a": DRAWS})
        bench.run(1, {"a": replace(DRAWS, edited=Edited(1, 1.5))})
        assert bench.handed_out("a") == [0, 0] and not bench.is_busy

    def test_who_joins_has_them_at_once_also_at_rest(self, bench):
        bench.do(Create("a", EXPERIMENT), Step("a", 7))
        bench.run(1, {"a": BLIND})
        assert bench.handed_out("a") == []
        bench.do(Look("a", Wish(pictures=False, weights=True)))
        assert bench.is_busy
        bench.run(0.01)
        assert bench.handed_out("a") == [7] and not bench.is_busy

    def test_while_nobody_sees_them_none_are_made(self, bench):
        bench.do(Create("a", EXPERIMENT), Play("a"))
        bench.run(1, {"a": DRAWS})
        bench.do(Look("a", Wish(pictures=False, weights=False)))
        seen = len(bench.handed_out("a"))
        bench.run(3, {"a": replace(DRAWS, weights=False)})
        assert len(bench.handed_out("a")) == seen and bench.frames("a") == []
        bench.do(Look("a", Wish(pictures=False, weights=True)))
        bench.tick()
        assert len(bench.handed_out("a")) == seen + 1

    def test_a_page_that_is_gone_has_none(self, bench):
        bench.do(Create("a", EXPERIMENT))
        bench.run(1, {"a": DRAWS})
        bench.do(Step("a", 5), Leave("a"))
        bench.run(1)
        assert bench.handed_out("a") == [0]
        bench.run(1, {"a": DRAWS})
        assert bench.handed_out("a") == [0, 0, 5]  # another page may have come

    def test_pictures_and_weights_are_both_made_where_pages_differ(self, bench):
        bench.do(Create("a", EXPERIMENT), Play("a"))
        bench.run(3, {"a": replace(PAGE, weights=True)})
        assert len(bench.handed_out("a")) >= 3 * 7 and len(bench.frames("a")) >= 10

    def test_what_has_no_weights_is_drawn_in_their_place(self, bench, monkeypatch):
        monkeypatch.setattr(FakeJob, "has_weights", False)
        bench.do(Create("a", EXPERIMENT), Play("a"))
        bench.run(3, {"a": DRAWS})
        assert bench.handed_out("a") == [] and len(bench.frames("a")) >= 10
        assert not bench.last("a").has_weights

    @pytest.mark.parametrize("end", ["reset", "divergence"])
    def test_those_of_a_run_that_begins_anew_follow_the_report_that_says_so(self, bench, end):
        wrong = with_train(learning_rate=0.1) if end == "divergence" else EXPERIMENT
        bench.do(Create("a", wrong), Play("a"))
        while bench.job_of("a").step_count < 40 if bench.runs["a"].job else True:
            bench.do(Poll("a", DRAWS))
            bench.tick()
        if end == "reset":
            bench.do(Reset("a"))
        bench.run(1, {"a": DRAWS})
        steps = [m.step if isinstance(m, HandedOut) else m.arms[0].step for m in bench.said if _has_step(m)]
        back = next(k for k, (a, b) in enumerate(itertools.pairwise(steps), 1) if b < a)
        kinds = [type(m) for m in bench.said if _has_step(m)]
        assert kinds[back] is Report and HandedOut in kinds[back:]


def _has_step(message):
    return isinstance(message, HandedOut) or (isinstance(message, Report) and bool(message.arms))


def test_a_flow_that_stands_still_is_drawn_once_and_then_there_is_nothing_to_do(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(5, {"a": PAGE})
    assert [f.step for f in bench.frames("a")] == [0]
    assert not bench.is_busy


@pytest.mark.parametrize("leave", [True, False])
def test_a_page_that_is_gone_pauses_its_run_until_the_next_poll(bench, leave):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(2, {"a": PAGE})
    left = bench.job_of("a").step_count
    if leave:
        bench.do(Leave("a"))
    bench.run(12)
    gone = bench.steps("a")
    assert gone <= (left if leave else 12.1 / 0.005)
    bench.run(50)
    assert bench.steps("a") == gone
    bench.run(1, {"a": PAGE})
    assert bench.steps("a") > gone
    assert bench.last("a").state is State.PLAYING


def test_a_run_without_a_page_is_dropped_after_ten_minutes(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(1)
    bench.clock.now = 589.0
    bench.run(1)
    assert bench.last("a").state is not State.EXPIRED
    bench.clock.now = 609.0
    bench.run(1)
    assert bench.last("a").state is State.EXPIRED
    assert "ten minutes" in bench.last("a").message
    assert bench.floor.is_empty()


def test_nobody_is_missed_while_the_clock_of_attendance_stands_still():
    """As while the server is late: it is not heard of pages for 20 minutes, and 30 others wait for a place."""
    attendance = Clock()
    bench = with_places(2, attendance)
    bench.do(Create("a", EXPERIMENT), Create("b", EXPERIMENT), Play("a"), Poll("a", BLIND), Poll("b", BLIND))
    bench.run(1)
    bench.do(*(Create(f"late{i}", EXPERIMENT) for i in range(30)))
    for _ in range(12):
        bench.clock.now += 100
        attendance.now += 0.5
        bench.run(0.1)
    states = {m.id: m.state for m in bench.said if isinstance(m, Report)}
    assert State.EXPIRED not in states.values()
    assert (states["a"], states["late0"]) == (State.PLAYING, State.QUEUED)
    before = bench.steps("a")
    bench.run(1)
    assert bench.steps("a") > before


def test_a_dropped_run_says_why(bench):
    bench = with_places(1)
    bench.do(Create("a", EXPERIMENT))
    bench.run(15)  # nobody looks at it
    bench.do(Create("b", EXPERIMENT))
    bench.run(0.1, {"b": BLIND})
    dropped = bench.last("a")
    assert dropped.state is State.EXPIRED and "15 s" in dropped.message and "ten minutes" not in dropped.message


def test_of_runs_whose_pages_are_gone_the_newest_are_remembered():
    """Each keeps its checkpoint, so that a school day would fill the memory."""
    bench = with_places(1_000)
    ids = [f"gone{k}" for k in range(floor.MOST_ASIDE + 3)]
    for id in ids:
        bench.do(Create(id, EXPERIMENT), Poll(id, BLIND))
        bench.run(0.2, {id: BLIND})
    bench.run(60)
    left = [id for id in ids if id in bench.runs]
    assert left == ids[3:]
    for id in ids[:3]:
        assert bench.last(id).state is State.EXPIRED and str(floor.MOST_ASIDE) in bench.last(id).message


def test_what_they_keep_has_a_limit_of_memory(monkeypatch):
    bench = with_places(1_000)
    for id in ("zeroth", "first", "second", "third"):
        bench.do(Create(id, EXPERIMENT), Poll(id, BLIND))
        bench.run(1, {id: BLIND})
    monkeypatch.setattr(floor, "MOST_ASIDE_BYTES", 2.5 * bench.runs["third"].saved_bytes)
    bench.run(60)
    assert [*bench.runs] == ["second", "third"]
    monkeypatch.setattr(floor, "MOST_ASIDE_BYTES", 1)
    bench.run(1)
    assert [*bench.runs] == ["third"]  # one alone fills no memory


def test_queue_tells_the_place_and_moves_up():
    bench = with_places(1)
    bench.do(*(Create(id, EXPERIMENT) for id in "abc"), Step("c", 3))
    bench.run(0.1)
    assert [bench.last(id).queue_place for id in "abc"] == [0, 1, 2]
    assert "2" in named(bench.last("c").message)
    bench.do(Close("a"))
    bench.run(0.1)
    assert [bench.last(id).queue_place for id in "bc"] == [0, 1]
    bench.do(Leave("b"), Close("b"))
    bench.run(0.1)
    assert (bench.last("c").state, bench.steps("c"), bench.last("c").message) == (State.PAUSED, 3, "")


def test_what_would_make_room_is_said_to_who_runs_the_server_and_seldom(caplog, monkeypatch):
    monkeypatch.setattr(floor, "ADVICE_SECONDS", 4.0)
    bench = with_places(1)
    bench.do(*(Create(id, EXPERIMENT) for id in "abc"))
    bench.run(2, {id: BLIND for id in "abc"})
    assert "WORKERS" not in bench.last("c").message
    (advice,) = [record.getMessage() for record in caplog.records if "WORKERS" in record.getMessage()]
    assert "GiB" in named(advice)
    bench.run(3, {id: BLIND for id in "abc"})
    assert sum("WORKERS" in record.getMessage() for record in caplog.records) == 2


def test_who_is_gone_longest_makes_way_for_who_waits():
    bench = with_places(2)
    bench.do(Create("a", EXPERIMENT), Create("b", EXPERIMENT))
    bench.run(0.1)
    bench.do(Leave("a"))
    bench.run(5, {"b": BLIND})
    assert bench.last("a").state is State.PAUSED  # nobody waits, so it keeps its place
    bench.do(Leave("b"), Create("c", EXPERIMENT))
    bench.run(0.1, {"c": BLIND})
    assert [bench.last(id).state for id in "abc"] == [State.EXPIRED, State.PAUSED, State.PAUSED]


def test_of_more_than_have_a_useful_pace_the_rest_waits_until_others_pause(bench, monkeypatch):
    monkeypatch.setattr(crowding, "USEFUL_SHARE", 0.095)
    ids = [str(i) for i in range(10 + 3)]
    bench.do(*(Create(id, EXPERIMENT) for id in ids), *(Play(id) for id in ids))
    bench.run(9, dict.fromkeys(ids, BLIND))
    waiting = [id for id in ids if bench.last(id).queue_place]
    assert waiting == ids[-len(waiting) :] and 3 <= len(waiting) <= 6  # who came last
    assert [bench.last(id).queue_place for id in waiting] == [*range(1, len(waiting) + 1)]
    assert all(bench.last(id).state is State.PLAYING and bench.last(id).message for id in waiting)
    before = {id: bench.steps(id) for id in ids}
    bench.run(5, dict.fromkeys(ids, BLIND))
    assert {id for id in ids if bench.steps(id) == before[id]} == set(waiting)

    bench.do(*(Pause(id) for id in ids[: len(waiting) + 2]))
    bench.run(9, dict.fromkeys(ids, BLIND))
    assert all(bench.steps(id) > before[id] and not bench.last(id).queue_place for id in waiting)
    assert {bench.last(id).message for id in waiting} == {""}


def test_who_waits_for_a_useful_pace_may_pause_and_look(bench, monkeypatch):
    monkeypatch.setattr(crowding, "USEFUL_SHARE", 0.5)
    bench.do(*(Create(id, EXPERIMENT) for id in "abc"), *(Play(id) for id in "abc"))
    bench.run(9, dict.fromkeys("abc", ViewRequest()))
    assert [bench.last(id).queue_place for id in "abc"] == [0, 1, 2]
    bench.do(Pause("b"), Step("b", 0))
    bench.run(1, dict.fromkeys("abc", ViewRequest()))
    assert [bench.last(id).queue_place for id in "abc"] == [0, 0, 1]
    assert (bench.last("b").state, bench.last("b").message) == (State.PAUSED, "")
    assert bench.frames("b")[-1].step == bench.steps("b")


def test_who_only_looks_takes_no_time_from_those_who_come(bench):
    ids = [str(i) for i in range(40)]
    bench.do(*(Create(id, EXPERIMENT) for id in ids))
    bench.run(5, dict.fromkeys(ids, BLIND))
    assert {bench.last(id).state for id in ids} == {State.PAUSED}


def test_full_memory_queues_all_but_the_first():
    bench = Bench(how={"memory": lambda: 5 * 2**30})
    bench.do(Create("a", EXPERIMENT), Create("b", EXPERIMENT))
    bench.run(0.1)
    assert [bench.last(id).state for id in "ab"] == [State.PAUSED, State.QUEUED]


def test_reset_is_back_at_step_zero_and_paused(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(1)
    bench.do(Reset("a"))
    bench.run(1)
    assert (bench.steps("a"), bench.last("a").state) == (0, State.PAUSED)


def test_checkpoints_come_every_five_seconds_and_at_every_stop(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(9)
    bench.do(Pause("a"))
    bench.run(1)
    saved = [m.step for m in bench.said if isinstance(m, Checkpoint) and not m.is_passing]
    assert len(saved) == 3
    assert (saved[0], saved[-1]) == (0, bench.steps("a"))


@pytest.mark.parametrize(
    ("cost", "seconds"), [(0.0, PASSING_SECONDS), (0.01, 1.0), (0.04, 4.0), (0.2, CHECKPOINT_SECONDS)]
)
def test_between_them_a_run_is_saved_in_passing_as_often_as_that_is_cheap(bench, monkeypatch, cost, seconds):
    def save(job):
        job._clock.now += cost
        return pickle.dumps(job.step_count)

    monkeypatch.setattr(FakeJob, "save", save)
    bench.do(Create("a", EXPERIMENT), Play("a"))
    for _ in range(4):
        bench.run(8)
        bench.do(Attend("a"))
    saved = [m for m in bench.said if isinstance(m, Checkpoint)]
    gaps = np.diff([m.step for m in saved]) * 500 / 100_000
    assert gaps[1:-1].max() <= seconds + 2 * SLICE_SECONDS
    assert sum(m.is_passing for m in saved) * cost <= 32 * PASSING_SHARE + cost
    assert any(m.is_passing for m in saved) == (seconds < CHECKPOINT_SECONDS)


def test_divergence_goes_back_to_the_last_good_state_and_says_what_to_change(bench):
    bench.do(Create("a", with_train(learning_rate=0.1)), Step("a", 20))
    bench.run(1)
    bench.do(Play("a"))
    bench.run(2)
    report = bench.last("a")
    assert (report.state, report.arms[0].step) == (State.DIVERGED, 20)
    assert {"rate", "20"} <= named(report.message) and "Arm" not in report.message
    bench.do(Change("a", 0, TrainConfig(learning_rate=0.01)), Play("a"))
    bench.run(2)
    assert bench.steps("a") > 60
    assert (bench.last("a").state, bench.last("a").message) == (State.PLAYING, "")


def test_an_arm_of_a_comparison_is_named_by_its_number(bench):
    (arm,) = with_train(learning_rate=0.1).arms
    bench.do(Create("a.1", Experiment((arm,), 0, whole=(*EXPERIMENT.arms, arm), numbers=(1,))), Step("a.1", 60))
    bench.run(2)
    assert bench.last("a.1").state is State.DIVERGED and bench.last("a.1").message.startswith("Arm 2:")


def test_a_reset_says_how_far_the_run_was_before_it_begins_anew(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(1, {"a": BLIND})
    at, seen = bench.job_of("a").step_count, len(bench.said)
    bench.do(Change("a", 0, TrainConfig(batch=250)), Reset("a"))
    bench.run(0.1)
    saved = [m for m in bench.said[seen:] if isinstance(m, Checkpoint)]
    assert [one.step for one in saved] == [at, 0]
    assert isinstance(bench.said[seen], Checkpoint), "before anything of the new one"


def test_frames_that_cost_more_than_there_is_time_for_and_a_measurement_both_come(bench, monkeypatch):
    monkeypatch.setattr(engine_bench, "FRAME_COST", 0.06)
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(60, {"a": PAGE})
    assert len(bench.masses("a")) >= 3
    begun = [one.step for one in bench.masses("a")]
    between = [frame.step for frame in bench.frames("a") if begun[1] < frame.step <= begun[-1]]
    assert len(between) >= 20


@pytest.mark.parametrize("command", [Pause, Reset, Close, Leave])
def test_a_command_that_comes_while_training_goes_on_within_a_measurement_is_obeyed(bench, monkeypatch, command):
    step = FakeJob.step

    def step_and_hear(job, breathe):
        step(job, breathe)
        if bench.runs["a"]._views._making and not bench.said_it:
            bench.said_it = True
            bench.do(command("a"))

    bench.said_it = False
    monkeypatch.setattr(FakeJob, "step", step_and_hear)
    bench.do(Create("a", EXPERIMENT), Play("a"), Poll("a", PAGE))
    bench.run(3.5)
    assert bench.said_it
    if command is not Close:
        assert bench.steps("a") < 500 and not bench.runs["a"].moving
    assert ("a" in bench.runs) == (command is not Close)


def test_another_estimator_is_weighed_at_once_and_another_learning_rate_is_not(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    (arm,) = EXPERIMENT.arms
    for change, at_once in (({"learning_rate": 0.02}, False), ({"log_det": Truncated()}, True)):
        bench.run(12 - bench.clock.now % 5, {"a": PAGE})
        changed = bench.job_of("a").step_count
        bench.do(Change("a", 0, replace(arm.train, **change)))
        bench.run(3.9, {"a": PAGE})
        assert any(0 <= one.step - changed < 40 for one in bench.masses("a")) == at_once


def test_looks_take_at_most_their_share_of_the_time(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(20, {"a": PAGE})
    trained = bench.job_of("a").step_count * 500 / 100_000
    assert bench.clock.now - trained <= SHARE * bench.clock.now + BURST_SECONDS + 2 * FRAME_COST
    assert bench.last("a").frame_share <= SHARE + 0.03
    assert 5 * 20 <= len(bench.frames("a")) <= 8 * 20 + 1


def test_an_export_is_answered_even_where_there_is_nothing_to_export(bench):
    bench.do(Create("a", EXPERIMENT))
    bench.run(1)
    bench.do(Export("a", 0, ticket=5), Export("a", 1, ticket=6), Export("gone", 0, ticket=7))
    bench.run(0.1)
    exported = {m.ticket: m.data for m in bench.said if isinstance(m, Exported)}
    assert exported == {5: b"flow", 6: None, 7: None}


def test_a_flow_that_cannot_be_written_is_answered_with_none_and_the_others_go_on(bench, monkeypatch):
    bench.do(Create("bad", EXPERIMENT), Create("good", EXPERIMENT), Play("good"))
    bench.run(1)
    monkeypatch.setattr(bench.job_of("bad"), "export", lambda: 1 / 0, raising=False)
    bench.do(Export("bad", 0, ticket=5), Export("good", 0, ticket=6))
    bench.run(1)
    assert {m.ticket: m.data for m in bench.said if isinstance(m, Exported)} == {5: None, 6: b"flow"}
    assert "ZeroDivisionError" in bench.last("bad").message
    assert bench.last("good").state is State.PLAYING


def test_who_pauses_is_not_saved_in_passing(bench):
    bench.do(Create("a", EXPERIMENT), Step("a", 30))
    bench.run(5)
    assert [m.step for m in bench.said if isinstance(m, Checkpoint)][-1] == 30
    before = len(bench.said)
    bench.run(5)
    assert not any(isinstance(m, Checkpoint) for m in bench.said[before:])


def test_a_checkpoint_continues_in_another_run(bench):
    bench.do(Create("a", EXPERIMENT), Step("a", 30))
    bench.run(1)
    saved = next(m for m in reversed(bench.said) if isinstance(m, Checkpoint))
    bench.do(Create("b", EXPERIMENT, saved, steps=5))
    bench.run(1)
    assert bench.steps("b") == 35


def planned(*changes, **settings):
    (arm,) = with_train(**settings).arms
    return Experiment((replace(arm, changes=changes),), seed=0)


def test_planned_changes_take_over_when_their_steps_are_done_also_after_a_restart(bench):
    first, second = TrainConfig(batch=300), TrainConfig(batch=200)
    experiment = planned((10, first), (40, second), batch=500)
    bench.do(Create("a", experiment), Step("a", 10))
    bench.run(1)
    arm = bench.last("a").arms[0]
    assert (arm.train, arm.changes, bench.job_of("a").train) == (first, ((10, first),), first)
    saved = next(m for m in reversed(bench.said) if isinstance(m, Checkpoint))
    bench.do(Create("b", experiment, saved, steps=29))
    bench.run(1)
    assert bench.last("b").arms[0].train == bench.job_of("b").train == first
    bench.do(Step("b", 1))
    bench.run(1)
    assert bench.last("b").arms[0].changes == ((10, first), (40, second))
    assert bench.job_of("b").train == second


def test_a_live_change_is_saved_at_once_and_comes_back_with_the_checkpoint(bench):
    changed = TrainConfig(batch=250)
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(1)
    bench.do(Change("a", 0, changed))
    step = bench.job_of("a").step_count
    bench.tick()
    saved = next(m for m in reversed(bench.said) if isinstance(m, Checkpoint))
    assert (saved.step, saved.handled) == (step, 2)
    bench.do(Create("b", EXPERIMENT, saved))
    bench.run(0.2)
    arm = bench.last("b").arms[0]
    assert (arm.step, arm.train, arm.changes) == (step, changed, ((step, changed),))


def test_a_change_before_the_flow_is_built_again_is_made_at_its_step(bench):
    changed = TrainConfig(batch=250)
    bench.do(Create("a", EXPERIMENT), Step("a", 30))
    bench.run(1)
    saved = next(m for m in reversed(bench.said) if isinstance(m, Checkpoint))
    bench.do(Create("b", EXPERIMENT, saved), Change("b", 0, changed))
    bench.run(0.2)
    assert bench.last("b").arms[0].changes == ((30, changed),)
    bench.do(Create("c", EXPERIMENT, saved), Change("c", 0, changed), Reset("c"))
    bench.run(0.2)
    arm = bench.last("c").arms[0]
    assert (arm.step, arm.train, arm.changes) == (0, changed, ())


def test_a_divergence_goes_back_to_before_a_planned_change_and_to_after_a_live_one(bench):
    wild, calm = TrainConfig(learning_rate=0.1), TrainConfig(learning_rate=0.02)
    bench.do(Create("a", planned((30, wild), batch=500)), Step("a", 20))
    bench.run(1)
    bench.do(Play("a"))
    bench.run(1)
    report = bench.last("a")
    assert (report.state, report.arms[0].step, report.arms[0].changes) == (State.DIVERGED, 20, ())
    bench.do(Step("a", 15))
    bench.run(1)
    assert bench.last("a").arms[0].train == wild
    bench.do(Change("a", 0, calm), Step("a", 100))
    bench.run(2)
    assert (bench.steps("a"), bench.last("a").arms[0].changes) == (135, ((30, wild), (35, calm)))


def test_a_change_that_memory_does_not_allow_is_refused(bench):
    large = Arm(FlowConfig(blocks=32, width=256, hidden_layers=4), TrainConfig(batch=64), "moons")
    bench.do(Create("a", Experiment((large,), 0)), Change("a", 0, TrainConfig(batch=4096)))
    bench.run(0.2)
    assert {"GiB", "2", "batch"} <= named(bench.last("a").message)
    assert bench.last("a").arms[0].train == large.train


def test_a_bug_in_one_run_ends_that_run_only(bench):
    bench.do(Create("bad", with_train(learning_rate=0.05)), Create("good", EXPERIMENT), Play("bad"), Play("good"))
    bench.run(1)
    assert bench.last("bad").state is State.FAILED
    assert "TypeError" in bench.last("bad").message and "a bug" not in bench.last("bad").message  # that is in the log
    assert bench.steps("good") > 100


def test_every_command_but_polls_is_counted(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"), Poll("a", PAGE), Pause("a"))
    bench.run(0.1)
    assert bench.last("a").handled == 2
