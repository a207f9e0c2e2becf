"""The engine on the real core, in this process: how an arm is trained, changed, restarted, saved and refused."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.reports import State
from app.engine.training.history import MOST, History
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Roulette, Truncated
from resflow_core.measure import Edited
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer
from tests.app.pages import named
from tests.app.requests import ARM, LOSSES, engine_without_time, job_after, run_to

SMALL, TRAIN = ARM.flow, ARM.train
FAST, ROUGH = dataclasses.replace(TRAIN, learning_rate=0.02), dataclasses.replace(TRAIN, log_det=Truncated(3))
AVERAGED = dataclasses.replace(FAST, average=0.9)
VIEW_REQUEST = ViewRequest(grid=16, points=40, measured={"masses": True})
PICTURES = dataclasses.replace(VIEW_REQUEST, measured={})
MOONS = DATASETS["moons"]


def begun(*arms, seed=0, **how):
    """An engine, and an experiment of these arms."""
    engine = engine_without_time()
    return engine, engine.create(Experiment(arms or (ARM,), seed, **how))


def break_weights(engine, id):
    """The next step of the run is not finite."""
    with torch.no_grad():
        engine._here.runs[id].job._trainer.flow.blocks[0].branch.linears[0].bias.fill_(torch.nan)


def unchecked(config, **values):
    """As a configuration arrives when it was unpickled: without its checks."""
    copy = pickle.loads(pickle.dumps(config))
    for name, value in values.items():
        object.__setattr__(copy, name, value)
    return copy


def test_looking_does_not_change_training_and_a_saved_job_goes_on_the_same():
    seen, unseen = (job_after(0, seed=7) for _ in range(2))
    for _ in range(4):
        seen.step()
        seen.frame(VIEW_REQUEST)
        seen.measure_held_out(VIEW_REQUEST)
        unseen.step()
    again = job_after(0, seed=7)
    again.restore(unseen.save())
    for job in (seen, unseen, again):
        job.step()
    losses = [job.curves().batch_nll.tolist() for job in (seen, unseen, again)]
    assert losses[0] == losses[1] == losses[2]
    assert len(losses[0]) == 5


class TestChanges:
    """Of how an arm is trained."""

    def test_made_live_or_planned_they_are_what_the_trainer_does_at_these_steps(self):
        engine, live = begun(seed=4)
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
        trainer = Trainer(SMALL, ROUGH, MOONS, seed=4)
        losses = []
        for step in range(20):
            if step in (7, 15):
                trainer.configure({7: AVERAGED, 15: ROUGH}[step])
            losses.append(trainer.step())
        np.testing.assert_allclose(report.loss.batch_nll, losses, rtol=1e-6)

    def test_a_reset_starts_with_the_settings_in_force_and_plans_nothing(self):
        engine, id = begun(dataclasses.replace(ARM, changes=((5, FAST), (9, TRAIN))))
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


@pytest.mark.parametrize(
    ("arm", "what"),
    [
        (dataclasses.replace(ARM, flow=unchecked(SMALL, blocks=400)), "blocks 400"),
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
    engine, id = begun(arm, device="cpu")
    report = engine.poll(id, LOSSES)
    assert report.state is State.FAILED
    assert set(what.split()) <= named(report.message)


def test_a_flow_that_diverges_goes_back_with_its_changes_and_can_try_on():
    engine, id = begun()
    run_to(engine, id, 5)
    engine.change(id, 0, FAST)
    break_weights(engine, id)
    engine.play(id)
    report = engine.poll(id, PICTURES)
    arm = report.arms[0]
    assert (report.state, arm.step, arm.train, arm.changes) == (State.DIVERGED, 5, FAST, ((5, FAST),))
    assert {f"{FAST.learning_rate:g}", "5"} <= named(report.message)
    engine.step(id, 2)
    report = engine.poll(id, PICTURES)
    assert (report.state, report.arms[0].step, report.message) == (State.PAUSED, 7, "")
    assert np.isfinite(report.arms[0].loss.batch_nll).all()


class TestFiles:
    def test_what_is_exported_is_the_flow_that_is_looked_at(self):
        engine, id = begun(dataclasses.replace(ARM, train=AVERAGED), ARM)
        run_to(engine, id, 3)
        averaged, plain = (flow_file.from_bytes(engine.export(id, i)) for i in range(2))
        jobs = [engine._here.runs[f"{id}.{k}"].job for k in range(2)]

        def same(a, b):
            return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))

        assert same(averaged, jobs[0]._trainer.evaluated)
        assert not same(averaged, jobs[0]._trainer.flow)
        assert same(plain, jobs[1]._trainer.evaluated)
        saved = engine.export(id, 1)
        again = engine.create(Experiment((dataclasses.replace(ARM, weights=saved),), 1))
        engine.poll(again, LOSSES)
        assert engine.export(again, 0) == saved


def test_an_arms_own_seed_takes_the_place_of_the_experiments():
    seeded = dataclasses.replace(ARM, seed=0)
    engine, both = begun(ARM, seeded, seed=3)
    plain = engine.create(Experiment((ARM,), 0))
    for id in (both, plain):
        engine.step(id, 3)
    together, alone = (engine.poll(id, LOSSES).arms for id in (both, plain))
    assert together[0].loss.batch_nll.tolist() != together[1].loss.batch_nll.tolist()
    assert together[1].loss.batch_nll.tolist() == alone[0].loss.batch_nll.tolist()
    assert engine.export(both, 0) != engine.export(both, 1) == engine.export(plain, 0)


class TestCurves:
    def test_the_held_out_kl_is_measured_where_the_truth_is_known(self):
        engine, board = begun(dataclasses.replace(ARM, data="checkerboard"))
        loss = run_to(engine, board, 3).arms[0].loss
        assert loss.held_step.tolist() == [0, 3]
        data, job = DATASETS["checkerboard"], engine._here.runs[board].job
        log_prob = measure.log_prob(job._trainer.evaluated, data.held_out())
        kl, nll = measure.kl(data.truth.log_prob(data.held_out()), log_prob), measure.mean_nll(log_prob)
        assert (loss.held_kl[-1], loss.held_kl_se[-1]) == pytest.approx((kl.value, kl.standard_error))
        assert (loss.held_nll[-1], loss.held_se[-1]) == pytest.approx((nll.value, nll.standard_error))
        loss = job_after(0, dataclasses.replace(ARM, data="wine"))
        loss.measure_held_out(LOSSES)
        assert (len(loss.curves().held_nll), loss.curves().held_kl.shape) == (1, (0,))

    def test_the_block_table_follows_flow_and_estimator_and_losses_are_those_of_what_trains(self):
        job, edited = job_after(3), job_after(3)
        table = job.measure_held_out(LOSSES)
        expected = measure.block_table(job.flow, measure.evaluate(job.flow, MOONS.held_out()), TRAIN.log_det)
        np.testing.assert_array_equal(table.mean_log_det, expected.mean_log_det)
        assert table.beyond is None
        scaled = dataclasses.replace(LOSSES, edited=Edited(1, 1.9))
        for _ in range(2):  # the same step is in the curve once
            assert edited.measure_held_out(scaled).lipschitz == pytest.approx([0.99, 0.99 * 1.9])
        for name in ("held_step", "held_nll", "held_se", "held_kl"):
            np.testing.assert_array_equal(getattr(edited.curves(), name), getattr(job.curves(), name))
        job.configure(dataclasses.replace(TRAIN, log_det=Roulette()))
        assert job.measure_held_out(LOSSES).beyond.shape == (SMALL.blocks,)

    def test_learned_orders_and_the_scores_of_a_classifier_are_in_them(self):
        job = job_after(2, dataclasses.replace(ARM, flow=FlowConfig(blocks=2, width=8, norms="learned")))
        job.measure_held_out(LOSSES)
        assert job.curves().orders.shape[:2] == (1, 2)
        np.testing.assert_allclose(job.curves().orders[0], [branch.orders[:-1] for branch in job.flow.branches])
        job = job_after(2, Arm(HybridConfig(SMALL), HybridTrainConfig(batch=50, weight=0.5), "noisymoons"))
        job.measure_held_out(LOSSES)
        data, curves = job.dataset, job.curves()
        scores = measure.classification(measure.log_class_probs(job.model, data.held_out()), data.held_out_classes())
        assert curves.held_accuracy[0] == pytest.approx(scores.accuracy.value)
        assert curves.held_class_nll[0] == pytest.approx(scores.nll.value)
        assert curves.held_ece[0] == pytest.approx(scores.reliability.ece)
        assert curves.classified.accuracy == scores.accuracy

    def test_a_full_one_keeps_every_second_point_and_the_newest(self):
        history = History()
        for step in range(1, MOST + 2):
            history.add_batch(step, -float(step))
            history.note("split", step, np.array([step, 0.0]), np.array([0.0, -step]))
        steps, log_det, base = history.series("split", (2,), (2,))
        assert steps.tolist() == list(range(1, MOST + 2, 2))
        np.testing.assert_array_equal(log_det[:, 0], steps)
        np.testing.assert_array_equal(base[:, 1], -steps)
        history.add_batch(MOST + 2, -1.0)
        curves = history.curves()
        assert curves.step.tolist() == list(range(2, MOST + 3, 2)) and curves.batch_nll[0] == -2
