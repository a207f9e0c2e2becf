"""A run and the floor that it comes to, on a clock that only work moves."""

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
    Wish,
)
from app.engine.experiment import Experiment
from app.engine.reports import Checkpoint, Exported, Report, State
from app.engine.training.budget import BURST_SECONDS, SHARE
from app.engine.training.measurements.inversion import InversionRequest, Inversions
from app.engine.training.measurements.masses import Masses
from app.engine.training.pace import Pace
from app.engine.worker import crowding, floor
from resflow_core.log_det import Exact, Truncated
from resflow_core.measure import Edited
from resflow_core.training.trainer import TrainConfig
from tests.app.engine_bench import (
    BLIND,
    DRAWS,
    EXPERIMENT,
    FRAME_COST,
    PAGE,
    Bench,
    FakeJob,
    measurements_of_known_cost,
    with_places,
    with_train,
)
from tests.app.pages import named


@pytest.fixture(autouse=True)
def costs(monkeypatch):
    measurements_of_known_cost(monkeypatch)


@pytest.fixture
def bench():
    return Bench()


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


@pytest.mark.parametrize(
    ("others", "anew"),
    [
        ({"depth": 3}, {"frame"}),
        ({"edited": Edited(1, 1.5)}, {"frame", "masses", "blocks"}),
        ({"measured": {"masses": True, "inversion": InversionRequest(2, (0.5, 1.0))}}, {"inversion"}),
    ],
    ids=["depth", "scale", "inversion"],
)
def test_what_a_page_asks_for_of_a_flow_at_rest_is_made_once_and_nothing_else(bench, others, anew):
    bench.do(Create("a", EXPERIMENT))
    bench.run(5, {"a": PAGE})
    assert [frame.step for frame in bench.frames("a")] == [0] and not bench.is_busy
    seen = len(bench.said)
    for _ in range(2):
        bench.run(1, {"a": replace(PAGE, **others)})
    arms = [a for m in bench.said[seen:] if isinstance(m, Report) for a in m.arms]
    made = {
        "frame": [a.frame for a in arms],
        "masses": [a.found(Masses) for a in arms],
        "blocks": [a.blocks for a in arms],
        "inversion": [a.found(Inversions) for a in arms],
    }
    assert {name: len([one for one in found if one]) for name, found in made.items()} == {
        name: int(name in anew) for name in made
    }
    assert not bench.is_busy


class TestWeights:
    """What browsers draw from by themselves."""

    def test_they_come_eight_times_a_second_as_turns_end_and_nothing_is_drawn(self, bench):
        bench.do(Create("a", EXPERIMENT), Play("a"))
        bench.run(4, {"a": DRAWS})
        steps = bench.handed_out("a")
        assert 4 * 7 <= len(steps) <= 4 * 8 + 2
        assert steps == sorted(set(steps)) and bench.frames("a") == []
        assert any(a.blocks for m in bench.said if isinstance(m, Report) for a in m.arms), "losses come as ever"

    def test_a_flow_that_stands_still_hands_them_out_once_and_once_for_an_edit(self, bench):
        bench.do(Create("a", EXPERIMENT))
        bench.run(5, {"a": DRAWS})
        assert bench.handed_out("a") == [0] and not bench.is_busy
        bench.do(Step("a", 3))
        bench.run(2, {"a": DRAWS})
        bench.run(1, {"a": replace(DRAWS, edited=Edited(1, 1.5))})
        assert bench.handed_out("a") == [0, 3, 3] and not bench.is_busy

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


@pytest.mark.parametrize("leave", [True, False])
def test_a_page_that_is_gone_pauses_its_run_until_the_next_poll_or_for_ten_minutes(bench, leave):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(2, {"a": BLIND})
    left = bench.job_of("a").step_count
    if leave:
        bench.do(Leave("a"))
    bench.run(12)
    gone = bench.steps("a")
    assert gone <= (left if leave else 12.1 / 0.005)
    bench.run(12)
    assert bench.steps("a") == gone and not bench.job_of("a")
    bench.run(1, {"a": BLIND})
    assert bench.steps("a") > gone
    assert bench.last("a").state is State.PLAYING
    bench.do(Leave("a"))
    left = bench.clock.now
    for silent, is_there in ((595.0, True), (590.0, True), (603.0, False)):
        bench.do(Attend("a"))  # its page looks at another run, and is there
        bench.clock.now += silent
        bench.run(0.1)
        assert (bench.last("a").state is not State.EXPIRED) == is_there
    assert bench.floor.is_empty()


def test_of_runs_whose_pages_are_gone_the_newest_are_remembered_as_far_as_memory_goes(monkeypatch):
    """Each keeps its checkpoint, so that a school day would fill the memory."""
    monkeypatch.setattr(floor, "MOST_ASIDE", 4)
    bench, ids = with_places(1_000), [f"gone{k}" for k in range(6)]
    for id in ids:
        bench.do(Create(id, EXPERIMENT), Poll(id, BLIND))
        bench.run(0.2, {id: BLIND})
    bench.run(25)
    assert [*bench.runs] == ids[2:]
    assert {bench.last(id).state for id in ids[:2]} == {State.EXPIRED}
    monkeypatch.setattr(floor, "MOST_ASIDE_BYTES", 2.5 * bench.runs[ids[-1]].saved_bytes)
    bench.run(1)
    assert [*bench.runs] == ids[4:]


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


def test_checkpoints_come_every_five_seconds_and_at_every_stop(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(9)
    bench.do(Pause("a"))
    bench.run(1)
    saved = [m.step for m in bench.said if isinstance(m, Checkpoint) and not m.is_passing]
    assert len(saved) == 3
    assert (saved[0], saved[-1]) == (0, bench.steps("a"))
    before = len(bench.said)
    bench.run(5)
    assert not any(isinstance(m, Checkpoint) for m in bench.said[before:])


def test_another_estimator_is_weighed_at_once_and_another_learning_rate_is_not(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    (arm,) = EXPERIMENT.arms
    for change, at_once in (({"learning_rate": 0.02}, False), ({"log_det": Truncated()}, True)):
        bench.run(12 - bench.clock.now % 5, {"a": PAGE})
        changed = bench.job_of("a").step_count
        bench.do(Change("a", 0, replace(arm.train, **change)))
        bench.run(3.9, {"a": PAGE})
        assert any(0 <= one.step - changed < 40 for one in bench.masses("a")) == at_once


def test_an_export_is_answered_even_where_there_is_nothing_or_it_cannot_be_written(bench, monkeypatch):
    bench.do(Create("bad", EXPERIMENT), Create("good", EXPERIMENT), Play("good"))
    bench.run(1)
    monkeypatch.setattr(bench.job_of("bad"), "export", lambda: 1 / 0, raising=False)
    bench.do(*(Export(id, arm, k) for k, (id, arm) in enumerate([("bad", 0), ("good", 0), ("good", 1), ("gone", 0)])))
    bench.run(1)
    exported = {m.ticket: m.data for m in bench.said if isinstance(m, Exported)}
    assert exported == {0: None, 1: b"flow", 2: None, 3: None}
    assert "ZeroDivisionError" in bench.last("bad").message
    assert bench.last("good").state is State.PLAYING


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


def test_a_divergence_goes_back_to_before_a_planned_change(bench):
    wild = TrainConfig(learning_rate=0.1)
    (arm,) = EXPERIMENT.arms
    bench.do(Create("a", Experiment((replace(arm, changes=((30, wild),)),), seed=0)), Step("a", 20))
    bench.run(1)
    bench.do(Play("a"))
    bench.run(1)
    report = bench.last("a")
    assert (report.state, report.arms[0].step, report.arms[0].changes) == (State.DIVERGED, 20, ())
    bench.do(Step("a", 15))
    bench.run(1)
    assert (bench.steps("a"), bench.last("a").arms[0].train) == (35, wild)


def test_a_bug_in_one_run_ends_that_run_only(bench):
    bench.do(Create("bad", with_train(learning_rate=0.05)), Create("good", EXPERIMENT), Play("bad"), Play("good"))
    bench.run(1)
    assert bench.last("bad").state is State.FAILED
    assert "TypeError" in bench.last("bad").message and "a bug" not in bench.last("bad").message  # that is in the log
    assert bench.steps("good") > 100


def test_a_step_that_is_under_way_is_broken_off_by_who_begins_the_run_anew(bench, monkeypatch):
    step = FakeJob.step

    def step_in_parts(job, breathe):
        step(job, breathe)
        if job.step_count == 2:
            bench.do(Reset("a"))
            breathe()

    monkeypatch.setattr(FakeJob, "step", step_in_parts)
    bench.do(Create("a", EXPERIMENT), Step("a", 9))
    bench.run(1, {"a": BLIND})
    assert (bench.steps("a"), bench.last("a").state) == (0, State.PAUSED)
    assert not any(m.step == 2 for m in bench.said if isinstance(m, Checkpoint)), "half a step is not saved"


def test_looks_take_at_most_their_share_of_the_time_and_the_pace_is_of_the_rest(bench):
    bench.do(Create("a", EXPERIMENT), Play("a"))
    bench.run(20, {"a": PAGE})
    trained = bench.job_of("a").step_count * 500 / 100_000
    assert bench.clock.now - trained <= SHARE * bench.clock.now + BURST_SECONDS + 2 * FRAME_COST
    assert bench.last("a").frame_share <= SHARE + 0.03
    assert 5 * 20 <= len(bench.frames("a")) <= 8 * 20 + 1
    assert bench.last("a").arms[0].steps_per_second == pytest.approx(trained / 0.005 / bench.clock.now, rel=0.1)
    pace = Pace()
    pace.begin(0.0, 0)
    for now, step in ((1.0, 10), (3.0, 50)):
        pace.note(now, step)
    assert pace.per_second == 20  # of the last two seconds
