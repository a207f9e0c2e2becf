"""The engine on the real core, in this process."""

import dataclasses
import gc
import itertools
import math
import pickle
import time
import weakref

import numpy as np
import pytest
import torch

from app.engine.commands import Attend, Close, Create, Leave, Play, Poll, Reset, ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.reports import Report, State
from app.engine.training.history import MOST, History
from app.engine.training.job import Job
from app.engine.training.job_kinds import job_of
from app.engine.training.measurements.activity import GRADIENT_POINTS, GRID, POINTS, Activity
from app.engine.training.measurements.edits import EditsRequest
from app.engine.training.measurements.inversion import InversionRequest, Inversions
from app.engine.training.measurements.jacobians import Jacobians
from app.engine.training.measurements.masses import Masses
from app.engine.worker.floor import ASIDE_SECONDS, DROP_SECONDS
from app.quantise import to_shares, to_u16, top_of
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import Edited
from resflow_core.norms.constraints import Off
from resflow_core.training import step_work
from resflow_core.training.device import choose
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.engine_bench import Bench
from tests.app.pages import named
from tests.app.requests import engine_without_time, measured, shorten_inversions, wanting
from tests.core.breathing import Breaths
from tests.core.oracles import jacobians_of_rows

SMALL = FlowConfig(blocks=2, width=8)
TRAIN = TrainConfig(batch=50)
ARM = Arm(SMALL, TRAIN, "moons")
VIEW_REQUEST = ViewRequest(grid=16, points=40, measured={"masses": True})
PICTURES = dataclasses.replace(VIEW_REQUEST, measured={})
FEW = dataclasses.replace(VIEW_REQUEST, points=12)
LOSSES = ViewRequest(frames=False)


def no_time():
    return 0.0


@pytest.fixture(autouse=True)
def short_inversions(monkeypatch):
    shorten_inversions(monkeypatch)


def unchecked(config, **values):
    """As a configuration arrives when it was unpickled: without its checks."""
    copy = pickle.loads(pickle.dumps(config))
    for name, value in values.items():
        object.__setattr__(copy, name, value)
    return copy


def test_quantising_is_accurate_to_half_a_level_and_clips():
    density = np.array([0.0, 0.1, 0.5, 2.0])
    np.testing.assert_allclose(to_shares(density, 0.5) / 65535, [0, 0.2, 1, 1], atol=0.5 / 65535)
    assert to_shares(np.zeros(3), 0.0).tolist() == [0, 0, 0]
    points = np.array([[-9.0, 1.0], [3.0, 2.0]])
    decoded = to_u16(points, ((-4, 4), (0, 2))) / 65535 * [8, 2] + [-4, 0]
    np.testing.assert_allclose(decoded, [[-4, 1], [3, 2]], atol=8 / 65535)


def test_frame_shows_the_flow_in_its_shapes():
    job = Job(ARM, 0, "cpu", no_time)
    job.step()
    frame = job.frame(VIEW_REQUEST)
    arrays = frame.density, frame.latent, frame.grid, frame.samples
    assert (frame.step, {array.dtype for array in arrays}) == (1, {np.dtype(np.float32)})
    assert [array.shape for array in arrays] == [(16, 16), (40, 2), (26, 41, 2), (40, 2)]
    np.testing.assert_allclose(frame.density, measure.density_grid(job.flow, DATASETS["moons"].window, 16), rtol=1e-5)
    assert job.frame(dataclasses.replace(VIEW_REQUEST, samples=False)).samples is None


@pytest.mark.parametrize("broken", [np.inf, np.nan])
def test_a_density_that_is_no_number_somewhere_leaves_colours_to_the_rest(broken):
    """A peer's can overflow far from its data; a picture without an end of its colours could not be drawn at all."""
    density = np.full((16, 16), 0.5, np.float32)
    density[:4] = broken
    assert top_of(density) == 0.5
    density[:] = broken
    assert top_of(density) == 0.0


@pytest.mark.parametrize("samples", [True, False])
def test_a_picture_that_takes_long_is_of_one_moment_whatever_is_trained_meanwhile(samples, monkeypatch):
    whole, cut = job_after(3), job_after(3)
    request = dataclasses.replace(VIEW_REQUEST, samples=samples)
    expected = whole.frame(request)
    step_work.points_a_part.cache_clear()
    monkeypatch.setattr(step_work, "MOST_POINTS", 37)
    breathe = Breaths(cut.step)
    found = cut.frame(request, breathe)
    step_work.points_a_part.cache_clear()
    assert breathe.count >= sum(math.ceil(points / 37) - 1 for points in (16**2, 40 + 26 * 41))
    assert (found.step, found.refusal) == (expected.step, expected.refusal)
    for part in ("density", "latent", "grid") + ("samples",) * samples:
        off = getattr(found, part) - getattr(expected, part)
        assert abs(off).max() <= 3e-5 * abs(getattr(expected, part)).max(), part
    losses = [job.curves().batch_nll[:3].tolist() for job in (whole, cut)]
    assert losses[0] == losses[1]


def test_looking_does_not_change_training_and_a_saved_job_goes_on_the_same():
    seen, unseen = (Job(ARM, 7, "cpu", no_time) for _ in range(2))
    for _ in range(4):
        seen.step()
        seen.frame(VIEW_REQUEST)
        seen.measure_held_out(VIEW_REQUEST)
        unseen.step()
    again = Job(ARM, 7, "cpu", no_time)
    again.restore(unseen.save())
    for job in (seen, unseen, again):
        job.step()
    losses = [job.curves().batch_nll.tolist() for job in (seen, unseen, again)]
    assert losses[0] == losses[1] == losses[2]
    assert len(losses[0]) == 5


def test_local_engine_takes_a_hundred_steps_in_a_poll_and_shows_them():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), 0))
    engine.step(id, 100)
    report = engine.poll(id, PICTURES)
    arm = report.arms[0]
    assert (report.state, arm.step, arm.frame.step) == (State.PAUSED, 100, 100)
    assert arm.loss.held_step[-1] == 100
    again = engine.poll(id, PICTURES).arms[0]
    assert again.frame is arm.frame and again.loss is arm.loss


def test_reset_gives_the_same_first_steps_and_a_new_timeline():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM, ARM), 3))
    engine.step(id, 4)
    first = engine.poll(id, PICTURES)
    engine.reset(id)
    assert engine.poll(id, PICTURES).arms[1].step == 0
    engine.step(id, 4)
    second = engine.poll(id, PICTURES)
    assert second.rewinds > first.rewinds
    for a, b in zip(first.arms, second.arms, strict=True):
        np.testing.assert_array_equal(a.loss.batch_nll, b.loss.batch_nll)
        np.testing.assert_array_equal(a.frame.density, b.frame.density)


def test_a_live_change_counts_from_the_next_step():
    engine = engine_without_time()
    changed, same = (engine.create(Experiment((ARM,), 0)) for _ in range(2))
    for id in (changed, same):
        engine.step(id, 5)
        engine.poll(id, LOSSES)
    engine.change(changed, 0, dataclasses.replace(TRAIN, learning_rate=0.02))
    for id in (changed, same):
        engine.step(id, 5)
    losses = [engine.poll(id, LOSSES).arms[0].loss.batch_nll for id in (changed, same)]
    np.testing.assert_array_equal(losses[0][:6], losses[1][:6])
    assert (losses[0][6:] != losses[1][6:]).any()


@pytest.mark.parametrize(
    ("arm", "what"),
    [
        (dataclasses.replace(ARM, flow=unchecked(SMALL, blocks=400)), "blocks 400"),
        (dataclasses.replace(ARM, train=unchecked(TRAIN, batch=0)), "batch 0"),
        (dataclasses.replace(ARM, data="nothing"), "data nothing"),
        (dataclasses.replace(ARM, changes=((9, unchecked(TRAIN, batch=0)),)), "batch 0"),
        (dataclasses.replace(ARM, weights=b"nothing"), "file safetensors"),
        (
            dataclasses.replace(ARM, weights=flow_file.to_bytes(FlowConfig(2, 9).build(torch.Generator()))),
            "width 9 8 file",
        ),
        (
            Arm(FlowConfig(blocks=32, width=256, hidden_layers=4), TrainConfig(batch=4096), "moons"),
            "GiB 2 batch",
        ),
    ],
)
def test_a_bad_experiment_comes_back_as_a_message(arm, what):
    engine = engine_without_time()
    report = engine.poll(engine.create(Experiment((arm,), 0)), LOSSES)
    assert report.state is State.FAILED
    assert set(what.split()) <= named(report.message)


def test_an_exact_step_of_the_largest_flow_with_one_hidden_layer_is_within_the_memory():
    Job(Arm(FlowConfig(blocks=32, width=256), TrainConfig(batch=4096), "moons"), 0, "cpu", no_time)


def test_looking_again_measures_no_point_twice():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), 0))
    for _ in range(3):
        engine.leave(id)
        report = engine.poll(id, LOSSES)
    assert report.arms[0].loss.held_step.tolist() == [0]


def test_a_bad_live_change_is_refused_and_the_run_goes_on():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), 0))
    engine.change(id, 0, unchecked(TRAIN, learning_rate=5.0))
    assert {"learning_rate", "5.0"} <= named(engine.poll(id, LOSSES).message)
    engine.step(id, 2)
    report = engine.poll(id, LOSSES)
    assert (report.arms[0].step, report.message) == (2, "")


def test_a_flow_that_diverges_goes_back_and_can_try_on():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), 0))
    engine.step(id, 5)
    engine.poll(id, PICTURES)
    job = engine._here.runs[id].job
    with torch.no_grad():
        job._trainer.flow.blocks[0].branch.linears[0].bias.fill_(torch.nan)
    engine.play(id)
    report = engine.poll(id, PICTURES)
    assert (report.state, report.arms[0].step) == (State.DIVERGED, 5)
    assert {"rate", f"{TRAIN.learning_rate:g}", "5"} <= named(report.message)
    engine.step(id, 2)
    report = engine.poll(id, PICTURES)
    assert (report.state, report.arms[0].step, report.message) == (State.PAUSED, 7, "")
    assert np.isfinite(report.arms[0].loss.batch_nll).all()


def real_bench(attendance):
    return Bench(time.monotonic, attendance, job_of)


@pytest.mark.parametrize("end", [Close, Reset, Leave, None], ids=["closed", "begun anew", "left", "dropped"])
def test_flows_of_a_run_that_ended_or_was_left_leave_the_memory(end):
    """Beside another run that goes on, after steps, pictures and measurements."""
    now = 0.0
    bench = real_bench(lambda: now)
    looked = wanting(VIEW_REQUEST, {"activity": "all"})
    for id in "ab":
        bench.do(Create(id, Experiment((ARM,), 0)), Play(id), Poll(id, looked))
    while min(run.step for run in bench.runs.values()) < 20:
        bench.tick()
    flow = weakref.ref(bench.job_of("a").flow)
    if end:
        bench.do(end("a"))
    now = ASIDE_SECONDS + 1 if end else DROP_SECONDS + 1
    bench.do(Poll("b", looked))
    before = bench.runs["b"].step
    while bench.runs["b"].step < before + 20:
        bench.tick()
    bench.said.clear()
    gc.collect()
    assert flow() is None


def test_a_run_that_was_left_comes_back_as_it_was():
    now = 0.0
    bench = real_bench(lambda: now)
    bench.do(Create("a", Experiment((ARM,), 0)), Play("a"), Poll("a", LOSSES))
    while bench.runs["a"].step < 20:
        bench.tick()
    bench.do(Leave("a"))
    bench.tick()
    now, seen = ASIDE_SECONDS + 1, len(bench.said)
    while bench.tick():
        pass
    run, step = bench.runs["a"], bench.runs["a"].step
    assert not run.job and step >= 20
    assert not bench.is_busy
    assert not any(isinstance(message, Report) and message.state is State.QUEUED for message in bench.said[seen:])

    bench.do(Poll("a", LOSSES))
    while run.step < step + 20:
        bench.tick()
    reports = [message for message in bench.said if isinstance(message, Report)]
    curves = reports[-1].arms[0].loss or next(r.arms[0].loss for r in reversed(reports) if r.arms and r.arms[0].loss)
    assert reports[-1].state is State.PLAYING
    assert curves.step.tolist() == list(range(1, len(curves.step) + 1))


def test_a_run_whose_page_looks_at_another_is_kept_though_not_in_memory():
    now = 0.0
    bench = real_bench(lambda: now)
    bench.do(Create("a", Experiment((ARM,), 0)), Poll("a", LOSSES))
    while bench.tick():
        pass
    bench.do(Leave("a"))
    for _ in range(10):
        now += 0.4 * DROP_SECONDS
        bench.do(Attend("a"))
        bench.tick()
    assert "a" in bench.runs and not bench.job_of("a")
    now, seen = now + DROP_SECONDS + 1, len(bench.said)
    bench.tick()
    assert [told.state for told in bench.said[seen:]] == [State.EXPIRED]


def run_to(engine, id, step, demand=LOSSES):
    report = engine.poll(id, demand)
    engine.step(id, step - report.arms[0].step)
    return engine.poll(id, demand)


FAST, ROUGH = dataclasses.replace(TRAIN, learning_rate=0.02), dataclasses.replace(TRAIN, log_det=Truncated(3))
AVERAGED = dataclasses.replace(FAST, average=0.9)


def test_planned_changes_give_bitwise_the_weights_of_the_live_run():
    engine = engine_without_time()
    live = engine.create(Experiment((ARM,), 4))
    for step, train in ((0, ROUGH), (7, FAST), (7, AVERAGED), (12, TRAIN), (12, AVERAGED), (15, ROUGH)):
        run_to(engine, live, step)
        engine.change(live, 0, train)
    report = run_to(engine, live, 20).arms[0]
    assert report.changes == ((7, AVERAGED), (15, ROUGH))
    assert report.train == ROUGH
    planned = engine.create(Experiment((dataclasses.replace(ARM, train=ROUGH, changes=report.changes),), 4))
    engine.step(planned, 20)  # in one go
    again = engine.poll(planned, LOSSES).arms[0]
    assert (again.changes, again.train) == (report.changes, report.train)
    np.testing.assert_array_equal(again.loss.batch_nll, report.loss.batch_nll)
    assert engine.export(planned, 0) == engine.export(live, 0)
    other = engine.create(Experiment((ARM,), 4))
    run_to(engine, other, 20)
    assert engine.export(other, 0) != engine.export(live, 0)


def test_what_is_exported_is_the_flow_that_is_looked_at():
    engine = engine_without_time()
    id = engine.create(Experiment((dataclasses.replace(ARM, train=AVERAGED), ARM), 0))
    run_to(engine, id, 3)
    averaged, plain = (flow_file.from_bytes(engine.export(id, i)) for i in range(2))
    jobs = [engine._here.runs[f"{id}.{k}"].job for k in range(2)]

    def same(a, b):
        return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))

    assert same(averaged, jobs[0]._trainer.evaluated)
    assert not same(averaged, jobs[0]._trainer.flow)
    assert same(plain, jobs[1]._trainer.evaluated)


def test_what_cannot_be_exported_is_none():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), 0))
    assert engine.export(id, 0) is None  # not built yet
    engine.poll(id, LOSSES)
    assert engine.export(id, 1) is None
    assert engine.export("unknown", 0) is None


def test_a_run_starts_from_a_saved_flow_and_goes_back_to_it():
    engine = engine_without_time()
    first = engine.create(Experiment((ARM,), 0))
    run_to(engine, first, 4)
    saved = engine.export(first, 0)
    second = engine.create(Experiment((dataclasses.replace(ARM, weights=saved),), 1))
    engine.poll(second, LOSSES)
    assert engine.export(second, 0) == saved
    moved = run_to(engine, second, 3)
    assert engine.export(second, 0) != saved
    engine.reset(second)
    assert engine.poll(second, LOSSES).arms[0].step == 0
    assert engine.export(second, 0) == saved
    again = run_to(engine, second, 3)
    np.testing.assert_array_equal(moved.arms[0].loss.batch_nll, again.arms[0].loss.batch_nll)


def test_a_reset_starts_with_the_settings_in_force_and_plans_nothing():
    engine = engine_without_time()
    id = engine.create(Experiment((dataclasses.replace(ARM, changes=((5, FAST), (9, TRAIN))),), 0))
    run_to(engine, id, 7)
    engine.change(id, 0, ROUGH)
    engine.reset(id)
    report = engine.poll(id, LOSSES).arms[0]
    assert (report.step, report.train, report.changes) == (0, ROUGH, ())
    report = run_to(engine, id, 12).arms[0]
    assert (report.train, report.changes) == (ROUGH, ())
    plain = engine.create(Experiment((dataclasses.replace(ARM, train=ROUGH),), 0))
    run_to(engine, plain, 12)
    assert engine.export(plain, 0) == engine.export(id, 0)


def test_a_change_is_still_in_force_after_a_divergence_behind_it():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), 0))
    run_to(engine, id, 5)
    engine.change(id, 0, FAST)
    job = engine._here.runs[id].job
    with torch.no_grad():
        job._trainer.flow.blocks[0].branch.linears[0].bias.fill_(torch.nan)
    engine.play(id)
    report = engine.poll(id, PICTURES)
    assert (report.state, report.arms[0].train, report.arms[0].changes) == (State.DIVERGED, FAST, ((5, FAST),))


def test_somebodys_own_rows_are_trained_on():
    table = dataclasses.replace(DATASETS["moons"], title="Own")  # anything that is a `Dataset`
    engine = engine_without_time()
    id = engine.create(Experiment((dataclasses.replace(ARM, data=pickle.loads(pickle.dumps(table))),), 0))
    named = engine.create(Experiment((ARM,), 0))
    losses = [run_to(engine, run, 5).arms[0].loss.batch_nll for run in (id, named)]
    np.testing.assert_array_equal(*losses)


def test_points_and_grid_are_drawn_at_the_depth_that_is_asked_for():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), 0))
    for depth in (None, 0, 1, 2, 7):
        engine.step(id, 1)
        arm = engine.poll(id, dataclasses.replace(PICTURES, depth=depth)).arms[0]
        flow = engine._here.runs[id].job._trainer.evaluated
        stage = -1 if depth is None else min(depth, SMALL.blocks)
        with torch.no_grad():
            expected = flow.stages(DATASETS["moons"].held_out()[:40])[stage].numpy()
        assert (arm.frame.step, arm.frame.depth) == (arm.step, None if depth is None else stage)
        np.testing.assert_allclose(arm.frame.latent, expected, atol=1e-5, err_msg=str(depth))


def test_another_depth_of_a_flow_at_rest_is_drawn_and_nothing_is_measured():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), 0))
    first = engine.poll(id, VIEW_REQUEST).arms[0]
    second = engine.poll(id, dataclasses.replace(VIEW_REQUEST, depth=1)).arms[0]
    assert (first.frame.depth, second.frame.depth, second.frame.step) == (None, 1, first.frame.step)
    assert (first.frame.latent != second.frame.latent).any()
    assert second.found(Masses) is first.found(Masses)


def test_the_held_out_kl_is_measured_where_the_truth_is_known():
    engine = engine_without_time()
    ids = [engine.create(Experiment((dataclasses.replace(ARM, data=data),), 0)) for data in ("checkerboard", "wine")]
    board, wine = (run_to(engine, id, 3).arms[0].loss for id in ids)
    assert board.held_step.tolist() == [0, 3]
    data, job = DATASETS["checkerboard"], engine._here.runs[ids[0]].job
    log_prob = measure.log_prob(job._trainer.evaluated, data.held_out())
    kl = measure.kl(data.truth.log_prob(data.held_out()), log_prob)
    assert (board.held_kl[-1], board.held_kl_se[-1]) == pytest.approx((kl.value, kl.standard_error))
    assert (len(wine.held_nll), wine.held_kl.shape, wine.held_kl_se.shape) == (2, (0,), (0,))


@pytest.mark.thorough
def test_the_masses_of_a_flow_that_stands_still_are_weighed_and_of_its_settings_as_they_are():
    engine = engine_without_time()
    id = engine.create(Experiment((dataclasses.replace(ARM, train=FAST),), 0))
    masses = run_to(engine, id, 60, VIEW_REQUEST).arms[0].found(Masses)
    assert (masses.step, masses.log_det, masses.believed, masses.belief) == (60, Exact(), None, "")
    assert abs(masses.exact.value - 1) < masses.exact.error < 0.02
    engine.change(id, 0, dataclasses.replace(FAST, log_det=Truncated(1)))
    biased = engine.poll(id, VIEW_REQUEST).arms[0].found(Masses)
    assert (biased.step, biased.log_det, biased.belief) == (60, Truncated(1), "")
    assert biased.exact.value == pytest.approx(masses.exact.value, abs=1e-6)  # the same sum, added up in another order
    assert biased.believed.value > 1.001  # log(1 + t) < t


def test_an_unknown_belief_is_said_to_be_unknown():
    engine = engine_without_time()
    unknown = dataclasses.replace(TRAIN, log_det=Roulette(n_draws=2))
    arm = engine.poll(engine.create(Experiment((dataclasses.replace(ARM, train=unknown),), 0)), VIEW_REQUEST).arms[0]
    assert arm.found(Masses).believed is None
    assert {"n_draws", "2"} <= named(arm.found(Masses).belief)
    assert arm.found(Masses).exact.value == pytest.approx(1, abs=0.01)
    assert arm.loss.held_bias.tolist() == [0]


WANTED = {
    "bounds": True,
    "derivatives": True,
    "edits": EditsRequest(1),
    "inversion": InversionRequest(1, (0.3, -0.2), "newton"),
    "jacobians": 12,
    "masses": True,
}


@pytest.mark.parametrize("name", WANTED)
def test_what_is_measured_in_parts_is_of_one_moment_whatever_is_trained_meanwhile(name, monkeypatch):
    step_work.points_a_part.cache_clear()
    monkeypatch.setattr(step_work, "MOST_POINTS", 37)
    job, still = job_after(2), job_after(2)
    request = ViewRequest(points=40, measured={name: WANTED[name]})
    expected = measured(still, name, request)
    breathe = Breaths(job.step)
    found = measured(job, name, request, breathe)
    step_work.points_a_part.cache_clear()
    assert breathe.count > 3 and found.step == 2 < job.step_count
    np.testing.assert_equal(dataclasses.asdict(found), dataclasses.asdict(expected))


def test_the_block_table_follows_flow_and_estimator():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), 0))
    table = run_to(engine, id, 3).arms[0].blocks
    flow, x = engine._here.runs[id].job._trainer.evaluated, DATASETS["moons"].held_out()
    expected = measure.block_table(flow, measure.evaluate(flow, x), TRAIN.log_det)
    np.testing.assert_array_equal(table.mean_log_det, expected.mean_log_det)
    assert table.beyond is None
    engine.change(id, 0, dataclasses.replace(TRAIN, log_det=Roulette()))
    assert engine.poll(id, LOSSES).arms[0].blocks.beyond.shape == (SMALL.blocks,)


def test_the_device_and_why_it_was_chosen_are_said():
    engine = engine_without_time()
    report = engine.poll(engine.create(Experiment((ARM,), 0, device="cpu")), LOSSES)
    assert report.device == "cpu"
    assert report.device_reason == choose("cpu", SMALL, TRAIN, DATASETS["moons"]).reason
    report = engine.poll(engine.create(Experiment((ARM,), 0, device="abacus")), LOSSES)
    assert report.state is State.FAILED
    assert {"device", "abacus", "auto", "cpu", "cuda"} <= named(report.message)


def test_a_closed_experiment_is_expired():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), 0))
    engine.close(id)
    assert engine.poll(id, LOSSES).state is State.EXPIRED


JACOBIANS = ViewRequest(frames=False, points=30, measured={"jacobians": 8})


def test_jacobians_are_those_of_every_block_where_points_come_to_it():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), seed=3))
    found = run_to(engine, id, 20, JACOBIANS).arms[0].found(Jacobians)
    trainer = Trainer(SMALL, TRAIN, DATASETS["moons"], seed=3)
    for _ in range(20):
        trainer.step()
    flow, window = trainer.evaluated, trainer.dataset.window
    for x, jacobians in ((measure.grid_points(window, 8), found.grid), (trainer.dataset.held_out()[:30], found.points)):
        assert jacobians.shape == (2, len(x), 2, 2) and jacobians.dtype == np.float32
        of_blocks = iter(jacobians)
        for part in flow.bijections:
            if part in list(flow.blocks):
                np.testing.assert_allclose(next(of_blocks), jacobians_of_rows(part.branch, x), atol=1e-5)
            x = part(x).detach()
    np.testing.assert_allclose(found.density, measure.density_grid(flow, window, 8), rtol=1e-4)
    assert (found.step, found.window) == (20, window)
    assert engine.poll(id, LOSSES).arms[0].found(Jacobians) is found  # until there are newer ones


def test_a_flow_that_stands_still_sends_its_jacobians_once():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), seed=0))
    first = engine.poll(id, JACOBIANS).arms[0].found(Jacobians)
    assert engine.poll(id, JACOBIANS).arms[0].found(Jacobians) is first
    engine.step(id, 1)
    assert run_to(engine, id, 1, JACOBIANS).arms[0].found(Jacobians).step == 1


SCALED = dataclasses.replace(VIEW_REQUEST, edited=Edited(1, 1.9))


def job_after(steps, arm=ARM, seed=0):
    job = Job(arm, seed, "cpu", no_time)
    for _ in range(steps):
        job.step()
    return job


def test_a_scaled_branch_changes_all_that_is_looked_at():
    job = job_after(5)
    flow, data = job._trainer.evaluated.scaled(1, 1.9), DATASETS["moons"]
    frame = job.frame(SCALED)
    np.testing.assert_allclose(frame.density, measure.density_grid(flow, data.window, 16), rtol=1e-5)
    plain = job.frame(VIEW_REQUEST)
    for name in ("density", "latent", "grid"):
        assert (getattr(frame, name) != getattr(plain, name)).any()
    with torch.no_grad():
        np.testing.assert_allclose(frame.latent, flow(data.held_out()[:40]).numpy(), atol=1e-5)
    masses = measured(job, "masses", SCALED)
    expected = measure.masses(measure.Beliefs(flow, Exact()), data.window, 40)
    assert masses.exact == expected[0]
    table = job.measure_held_out(SCALED)
    expected = measure.block_table(flow, measure.evaluate(flow, data.held_out()), Exact())
    for name in ("mean_log_det", "lipschitz", "layer_norms", "largest_norm", "breaking", "spectral_radius"):
        np.testing.assert_array_equal(getattr(table, name), getattr(expected, name))
    unscaled = job.measure_held_out(VIEW_REQUEST)
    assert table.lipschitz == pytest.approx(unscaled.lipschitz * [1, 1.9])
    assert table.breaking == pytest.approx(unscaled.breaking / [1, 1.9], rel=1e-4)
    demand = wanting(SCALED, {"jacobians": 6})
    jacobians = measured(job, "jacobians", demand)
    nodes = measure.evaluate(flow, measure.grid_points(data.window, 6)).jacobians
    np.testing.assert_allclose(jacobians.grid, nodes.swapaxes(0, 1), atol=1e-6)


def test_a_scaled_branch_changes_neither_training_nor_the_curve_of_held_out_losses():
    engine = engine_without_time()
    plain, scaled = (engine.create(Experiment((ARM,), 0)) for _ in range(2))
    for step in (4, 9):
        losses = [
            run_to(engine, id, step, demand).arms[0].loss
            for id, demand in ((plain, PICTURES), (scaled, dataclasses.replace(PICTURES, edited=SCALED.edited)))
        ]
    for name in ("step", "batch_nll"):
        np.testing.assert_array_equal(getattr(losses[0], name), getattr(losses[1], name))
    assert losses[0].held_step.tolist() == [0, 4, 9]
    for name in ("held_step", "held_nll", "held_se", "held_kl"):
        np.testing.assert_array_equal(getattr(losses[0], name), getattr(losses[1], name))
    assert engine.export(plain, 0) == engine.export(scaled, 0)
    # Another scale measures the same step again, and the curve has it once.
    again = engine.poll(scaled, dataclasses.replace(LOSSES, edited=Edited(0, 0.5))).arms[0]
    np.testing.assert_array_equal(again.loss.held_step, losses[1].held_step)
    assert again.blocks.lipschitz == pytest.approx([0.99 * 0.5, 0.99])


def test_where_nothing_is_certified_frames_say_so_and_show_no_samples():
    job = job_after(3)
    frame = job.frame(SCALED)
    assert frame.samples.shape == (0, 2)
    assert {"2", "1.881"} <= named(frame.refusal)
    assert frame.density.any() and len(frame.latent) == 40
    without = job.frame(dataclasses.replace(SCALED, samples=False))
    assert (without.samples, without.refusal) == (None, "")
    almost = dataclasses.replace(VIEW_REQUEST, edited=Edited(1, 1.005))
    certified = job.frame(almost)
    assert (certified.samples.shape, certified.refusal) == ((40, 2), "")
    arm = dataclasses.replace(ARM, flow=FlowConfig(blocks=2, width=8, constraint=Off()))
    job = Job(arm, 0, "cpu", no_time)
    with torch.no_grad():
        job._trainer.flow.blocks[0].branch.linears[0].raw.mul_(100)
    frame = job.frame(VIEW_REQUEST)
    assert f"{job.flow.lipschitz_bounds()[0]:.4g}" in named(frame.refusal) and frame.samples.shape == (0, 2)


def test_a_branch_that_is_not_there_scales_none():
    job = job_after(2)
    beyond = wanting(FEW, {"inversion": InversionRequest(5)}, edited=Edited(5, 3.0))
    np.testing.assert_array_equal(
        job.frame(beyond).density,
        job.frame(FEW).density,
    )
    np.testing.assert_array_equal(job.measure_held_out(beyond).lipschitz, job.measure_held_out(FEW).lipschitz)
    found = measured(job, "inversion", beyond)
    assert (found.found.block, found.found.scale, found.found.lipschitz) == (1, 1.0, 0.99)
    assert (found.request, found.edited) == (beyond.measured["inversion"], beyond.edited)


INVERSION = ViewRequest(frames=False, points=12, measured={"inversion": InversionRequest(1, (0.3, -0.2), "newton")})


def same_inversion(a, b):
    for name in ("block", "scale", "lipschitz", "order", "window", "regime", "method", "refusal"):
        assert getattr(a, name) == getattr(b, name)
    for name in ("breaking", "det", "fold", "fold_image", "steps", "z", "preimages", "a_priori", "a_posteriori"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name, walk in a.walks.items():
        np.testing.assert_array_equal(walk.x, b.walks[name].x)
        assert walk.fate == b.walks[name].fate


@pytest.mark.thorough
def test_an_inversion_is_that_of_the_measurement():
    """Another block's scale is none of its business."""
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), seed=3))
    run_to(engine, id, 5)
    flow, x = job_after(5, seed=3)._trainer.evaluated, DATASETS["moons"].held_out()[:12]
    expected = {scale: measure.inversion(flow, x, 1, scale, (0.3, -0.2), "newton") for scale in (1.0, 4.0)}
    for scaled, scale in ((None, 1.0), (Edited(1, 4.0), 4.0), (Edited(0, 4.0), 1.0)):
        found = engine.poll(id, dataclasses.replace(INVERSION, edited=scaled)).arms[0].found(Inversions)
        assert (found.step, found.request, found.edited) == (5, INVERSION.measured["inversion"], scaled)
        same_inversion(found.found, expected[scale])
    assert pickle.loads(pickle.dumps(found)).request == found.request


@pytest.mark.thorough
def test_another_inversion_draws_nothing_else_and_the_last_one_stays():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), seed=0))
    demand = wanting(FEW, {"inversion": InversionRequest(0, method="newton")})
    first = engine.poll(id, demand).arms[0]
    other = wanting(demand, {"inversion": InversionRequest(1, method="newton")})
    second = engine.poll(id, other).arms[0]
    assert (first.found(Inversions).request.block, second.found(Inversions).request.block) == (0, 1)
    assert (first.found(Inversions).found.block, second.found(Inversions).found.block) == (0, 1)
    assert second.found(Masses) is first.found(Masses)
    for name in ("frame", "blocks"):
        assert getattr(second, name) is getattr(first, name)
    gone = engine.poll(id, FEW).arms[0]
    assert gone.found(Inversions) is second.found(Inversions) and gone.frame is first.frame
    # Another scale draws frames and masses anew, and the inversion with them.
    scaled = engine.poll(id, dataclasses.replace(other, edited=Edited(1, 2.0))).arms[0]
    assert scaled.found(Inversions).found.scale == 2.0
    assert scaled.frame is not first.frame and scaled.found(Masses) is not first.found(Masses)


def test_two_arms_have_an_inversion_each_even_where_one_has_fewer_blocks():
    engine = engine_without_time()
    fewer = dataclasses.replace(ARM, flow=FlowConfig(blocks=1, width=8))
    id = engine.create(Experiment((ARM, fewer), seed=0))
    arms = engine.poll(id, INVERSION).arms
    assert [arm.found(Inversions).found.block for arm in arms] == [1, 0]
    assert [len(arm.found(Inversions).found.breaking) for arm in arms] == [2, 1]


def test_an_inversion_comes_while_the_flow_plays():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), seed=0))
    engine.play(id)
    for _ in range(500):  # polls, of twenty steps each
        if (arm := engine.poll(id, INVERSION).arms[0]).found(Inversions):
            break
    assert arm.found(Inversions).request == INVERSION.measured["inversion"]
    assert arm.step >= arm.found(Inversions).step


def test_nobody_who_wants_no_masses_gets_them():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), seed=0))
    report = engine.poll(id, dataclasses.replace(VIEW_REQUEST, measured={})).arms[0]
    assert report.found(Masses) is None and report.frame is not None
    assert engine.poll(id, VIEW_REQUEST).arms[0].found(Masses) is not None


@pytest.mark.parametrize("own", [0, 5])
def test_an_arms_own_seed_takes_the_place_of_the_experiments(own):
    engine = engine_without_time()
    seeded = dataclasses.replace(ARM, seed=own)
    ids = [engine.create(Experiment(arms, 3)) for arms in ((ARM, seeded), (seeded,))]
    ids.append(engine.create(Experiment((ARM,), own)))
    for id in ids:
        engine.step(id, 3)
    together, alone, plain = (engine.poll(id, LOSSES).arms for id in ids)
    assert together[0].loss.batch_nll.tolist() != together[1].loss.batch_nll.tolist()
    assert together[1].loss.batch_nll.tolist() == alone[0].loss.batch_nll.tolist() == plain[0].loss.batch_nll.tolist()
    assert engine.export(ids[0], 1) == engine.export(ids[1], 0) == engine.export(ids[2], 0)
    assert engine.export(ids[0], 0) != engine.export(ids[0], 1)
    engine.reset(ids[0])
    engine.step(ids[0], 3)
    again = engine.poll(ids[0], LOSSES).arms
    assert again[1].loss.batch_nll.tolist() == alone[0].loss.batch_nll.tolist()


ACTIVITY = ViewRequest(frames=False, measured={"activity": "all"})
GRADIENTS = wanting(ACTIVITY, {"activity": "gradients"})


def same_parts(a, b):
    for name in ("log_det", "base", "inner"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def same_saturation(a, b):
    for field in dataclasses.fields(a):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))


def test_activity_is_that_of_the_measurements_at_held_out_points():
    engine, data = engine_without_time(), DATASETS["moons"]
    id = engine.create(Experiment((ARM,), seed=3))
    found = run_to(engine, id, 20, ACTIVITY).arms[0].found(Activity)
    flow = job_after(20, seed=3)._trainer.evaluated
    x = data.held_out()[:POINTS]
    assert (found.step, found.window) == (20, data.window)
    same_saturation(found.saturation, measure.saturation(flow, x))
    nodes = measure.saturation_map(flow, measure.grid_points(data.window, GRID))
    np.testing.assert_array_equal(found.share.ravel(), nodes.astype(np.float32))
    split = measure.gradient_split(flow, x)
    for name in ("blocks", "actnorms", "residual"):
        same_parts(getattr(found.split, name), getattr(split, name))
    assert found.steps.tolist() == [0, 20]
    np.testing.assert_allclose(found.log_det[-1], split.blocks.log_det, rtol=1e-6)
    np.testing.assert_allclose(found.base[-1], split.blocks.base, rtol=1e-6)
    assert pickle.loads(pickle.dumps(found)).saturation.overall == found.saturation.overall


def test_who_wants_only_gradients_gets_them_at_fewer_points_and_who_wants_nothing_gets_nothing():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM, ARM), seed=3))
    assert [arm.found(Activity) for arm in engine.poll(id, PICTURES).arms] == [None, None]
    first, second = (arm.found(Activity) for arm in engine.poll(id, GRADIENTS).arms)
    assert first.saturation is None and first.share is None
    split = measure.gradient_split(job_after(0, seed=3)._trainer.evaluated,
                                        DATASETS["moons"].held_out()[:GRADIENT_POINTS])  # fmt: skip
    same_parts(first.split.residual, split.residual)
    same_parts(second.split.residual, split.residual)
    both = engine.poll(id, ACTIVITY).arms[0]
    assert both.found(Activity).saturation is not None
    assert engine.poll(id, wanting(ACTIVITY, {"activity": ""})).arms[0].found(Activity) is both.found(Activity)


def test_activity_is_of_one_moment_while_the_flow_moves():
    job = job_after(2)
    expected = measured(job_after(2), "activity", ACTIVITY)
    found = measured(job, "activity", ACTIVITY, Breaths(job.step))
    assert job.step_count >= 2 + 4
    assert found.step == 2 and found.steps.tolist() == [2]
    same_saturation(found.saturation, expected.saturation)
    np.testing.assert_array_equal(found.share, expected.share)
    same_parts(found.split.residual, expected.split.residual)


def test_activity_is_of_the_branch_that_is_scaled_and_its_history_of_the_flow_that_trains():
    job = job_after(3)
    scaled = dataclasses.replace(ACTIVITY, edited=Edited(1, 1.9))
    x = DATASETS["moons"].held_out()[:POINTS]
    split = measure.gradient_split(job._trainer.evaluated.scaled(1, 1.9), x)
    found = measured(job, "activity", scaled)
    same_parts(found.split.residual, split.residual)
    assert (found.steps.shape, found.log_det.shape, found.base.shape) == ((0,), (0, 2), (0, 2))
    plain = measured(job, "activity", ACTIVITY)
    assert plain.steps.tolist() == [3]
    np.testing.assert_allclose(plain.log_det[0], plain.split.blocks.log_det, rtol=1e-6)
    job.step()
    assert measured(job, "activity", scaled).steps.tolist() == [3]
    # Of a block that is not there nothing is scaled.
    assert measured(job, "activity", dataclasses.replace(ACTIVITY, edited=Edited(5, 1.9))).steps.tolist() == [3, 4]


def test_a_history_of_splits_grows_and_a_saved_job_goes_on_with_it():
    job = job_after(0)
    for steps in (1, 2, 2):
        for _ in range(steps):
            job.step()
        found = measured(job, "activity", GRADIENTS)
    assert found.steps.tolist() == [1, 3, 5]
    assert found.log_det.shape == found.base.shape == (3, 2)
    np.testing.assert_allclose(found.log_det[-1], found.split.blocks.log_det, rtol=1e-6)
    assert measured(job, "activity", GRADIENTS).steps.tolist() == [1, 3, 5]  # the same step once
    again = Job(ARM, 0, "cpu", no_time)
    again.restore(job.save())
    again.step()
    further = measured(again, "activity", GRADIENTS)
    assert further.steps.tolist() == [1, 3, 5, 6]
    np.testing.assert_array_equal(further.base[:3], found.base)


def test_a_full_series_of_notes_keeps_every_second_and_the_newest():
    history = History()
    for step in range(1, MOST + 1):
        history.note("split", step, np.array([step, 0.0]), np.array([0.0, -step]))
    assert history.series("split", (2,), (2,))[0].tolist() == list(range(1, MOST + 1))
    history.note("split", MOST + 1, np.array([MOST + 1, 0.0]), np.array([0.0, -MOST - 1]))
    steps, log_det, base = history.series("split", (2,), (2,))
    assert steps.tolist() == list(range(1, MOST + 2, 2))
    np.testing.assert_array_equal(log_det[:, 0], steps)
    np.testing.assert_array_equal(base[:, 1], -steps)


def test_the_curve_of_held_out_losses_knows_how_long_training_had_taken():
    clock = itertools.count(step=0.5).__next__
    job = Job(ARM, 0, "cpu", clock)
    for steps in (0, 2, 3):
        for _ in range(steps):
            job.step()
        job.measure_held_out(VIEW_REQUEST)
    curves = job.curves()
    assert curves.held_step.tolist() == [0, 2, 5]
    assert curves.held_seconds.tolist() == [0, 1, 2.5]  # half a second a step: its clock is read before and after
    again = Job(ARM, 0, "cpu", clock)
    again.restore(job.save())
    again.step()
    again.measure_held_out(VIEW_REQUEST)
    assert again.curves().held_seconds.tolist() == [0, 1, 2.5, 3]


def test_seconds_of_measurements_ascend_over_the_engine():
    engine = engine_without_time()
    id = engine.create(Experiment((ARM,), 0))
    for step in (2, 5, 9):
        arm = run_to(engine, id, step, GRADIENTS).arms[0]
    assert (np.diff(arm.loss.held_seconds) > 0).all() and len(arm.loss.held_seconds) == len(arm.loss.held_step)
    assert arm.loss.held_seconds[-1] == pytest.approx(arm.seconds, rel=1e-5)
    assert arm.found(Activity).steps[-1] == 9 and (np.diff(arm.found(Activity).steps) > 0).all()
