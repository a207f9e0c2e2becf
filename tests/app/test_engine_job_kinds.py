"""Jobs of other kinds: digits as images and bits per dimension, and measurements whose steps are their pieces."""

import dataclasses
import math
from dataclasses import astuple

import numpy as np
import pytest
import torch

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.reports import State
from app.engine.training.digits_job import COLUMNS, PAIRS, ROWS, STEPS, arcs
from app.engine.training.job_kinds import job_of
from app.engine.training.job_records import DIGITS as DATA
from resflow_core.data.digits import DIGITS, DIM, bits_per_dim, to_levels
from resflow_core.fixed_point import NotConverged
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Roulette
from resflow_core.measure.scaling import Plan, Subject, by_dim
from resflow_core.measure.survey import Subjects, Survey, SurveyPlan
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.requests import engine_without_time
from tests.core.breathing import Breaths, Ended, EndsAt

FLOW = FlowConfig(blocks=2, width=16, budget=0.8, dim=DIM)
TRAIN = TrainConfig(batch=32, log_det=Roulette(probe="rademacher", shared=True))
ARM = Arm(FLOW, TRAIN, DATA)
PLAN = Plan(FlowConfig(blocks=1, width=8), TrainConfig(batch=8, log_det=Roulette()), (2, 4), 4, 6)
SCALING = Arm(PLAN.flow, PLAN.train, PLAN)
MEMORY = SurveyPlan(FlowConfig(blocks=2, width=8, activation="lipswish"), batch=8, terms=2, draws=3)
SURVEY = Arm(MEMORY.flow, TrainConfig(batch=8), Survey(MEMORY))
PLANE = Arm(FlowConfig(blocks=1, width=8), TrainConfig(batch=8), "moons")
VIEW_REQUEST = ViewRequest(measured={"results": True})


def made(arm=ARM, seed=3):
    return job_of(arm, seed, "cpu", lambda: 0.0)


def trained(steps):
    trainer = Trainer(FLOW, TRAIN, DIGITS, 3, exact_losses=False)
    for _ in range(steps):
        trainer.step()
    return trainer.evaluated


class TestDigits:
    def test_bits_are_those_of_the_flow(self):
        job = made()
        for steps in (0, 2):
            while job.step_count < steps:
                job.step()
            breathe = Breaths()
            found = job.results(breathe)
            assert breathe.count > 4
            flow = trained(steps)
            with torch.no_grad():
                log_p = flow.log_prob(DIGITS.held_out())
            bits = bits_per_dim(log_p, DIGITS.held_out_log_det)
            assert found.step == found.steps[-1] == steps
            assert found.bits[-1] == pytest.approx(float(bits.mean()), abs=1e-5)
            assert found.error[-1] == pytest.approx(float(bits.std()) / math.sqrt(len(bits)), rel=1e-4)
        assert job.results().steps.tolist() == [0, 2] and found.bits[1] != found.bits[0]
        again = made(seed=4)
        again.restore(job.save())
        for one in (job, again):
            one.step()
        np.testing.assert_array_equal(job.results().bits, again.results().bits)
        assert again.step_count == 3 and job.measure_held_out(VIEW_REQUEST) is None

    def test_frames_are_the_flows_images_of_the_same_noise(self):
        job = made()
        first, again = job.frame(VIEW_REQUEST), job.frame(VIEW_REQUEST)
        assert first.samples.shape == (ROWS, COLUMNS, 8, 8) and first.samples.dtype == np.uint8
        assert first.interpolations.shape == (PAIRS, STEPS, 8, 8) and first.samples.max() <= 16
        real = DIGITS.held_out_levels.numpy().reshape(-1, 8, 8)
        for k, ends in ((0, real[:PAIRS]), (-1, real[PAIRS : 2 * PAIRS])):
            assert (first.interpolations[:, k] == ends).mean() > 0.995
        np.testing.assert_array_equal(first.samples, again.samples)
        for _ in range(3):
            job.step()
        moved = job.frame(VIEW_REQUEST)
        changed = (moved.samples != first.samples).mean()
        assert 0 < changed < 0.7 and moved.step == 3
        # An image is where its noise comes from.
        flow = trained(3)
        y = flow.inverse(job._noise[:5])
        assert (to_levels(y).numpy().reshape(5, 8, 8) == moved.samples[0, :5]).mean() > 0.99

    def test_no_image_rather_than_a_wrong_one(self, monkeypatch):
        job, why = made(), "No certified inverse for 3 of 4 points"

        def fails(z):
            raise NotConverged(f"{why}; the first is z = [...]")

        monkeypatch.setattr(job._trainer.evaluated, "inverse", fails)
        frame = job.frame(VIEW_REQUEST)
        assert frame.samples.size == frame.interpolations.size == 0
        assert frame.refusal == f"{why}."


def test_arcs_turn_evenly_and_lengths_change_evenly():
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(5, 64, generator=generator, dtype=torch.float64) * s for s in (1.0, 2.0))
    z = arcs(a, b, 7)
    torch.testing.assert_close(z[:, 0], a)
    torch.testing.assert_close(z[:, -1], b)
    lengths = z.norm(dim=2)
    torch.testing.assert_close(lengths.diff(dim=1), (lengths[:, -1:] - lengths[:, :1]).expand(-1, 6) / 6)
    cosines = torch.nn.functional.cosine_similarity(z[:, 1:], z[:, :-1], dim=2)
    torch.testing.assert_close(cosines, cosines[:, :1].expand(-1, 6))


class TestScaling:
    def test_a_step_is_a_piece_and_all_are_what_the_core_measures(self):
        begun, job = made(SCALING), made(SCALING)
        for _ in range(6):
            begun.step()
        job.restore(begun.save())
        for _ in PLAN.pieces[6:]:
            job.step()
        job.step()  # more than there is
        found = job.results()
        assert found.step == found.pieces == job.step_count == len(PLAN.pieces)
        for at in found.found:
            subject = Subject(PLAN, at.dim, 3)
            (expected,) = by_dim([subject.piece(k) for k in range(10)])
            assert at.variance == expected.variance and at.sampling == expected.sampling
            assert at.exact_seconds > 0 and at.estimate_seconds > 0
        assert [at.dim for at in found.found] == [2, 4]


def no_times(survey):
    """All that a survey knows but for the times."""
    return survey.footprints, {place: astuple(cost.variance) for place, cost in survey.costs.items()}


@pytest.fixture(scope="module")
def surveyed():
    subjects = Subjects(MEMORY)
    return Survey(MEMORY, tuple(subjects.piece(k) for k in range(MEMORY.pieces)))


class TestSurvey:
    @pytest.mark.thorough
    def test_a_step_is_a_piece_and_all_are_what_the_core_measures_also_of_a_job_that_was_ended_in_a_piece(
        self, surveyed
    ):
        job, again, stopped_at = made(SURVEY), made(SURVEY), len(MEMORY.sized) - 2
        for k in range(MEMORY.pieces):
            assert job.results().step == job.step_count == k
            if k == stopped_at:
                with pytest.raises(Ended):
                    job.step(EndsAt(2))
                again.restore(job.save())
                assert again.step_count == job.step_count == k
            breathe = Breaths()
            job.step(breathe)
            assert breathe.count
        job.step()
        assert job.step_count == MEMORY.pieces  # there is no more
        while again.step_count < MEMORY.pieces:
            again.step()
        for one in (job, again):
            found = one.results()
            assert found.complete and found.of == MEMORY
            np.testing.assert_equal(no_times(found), no_times(surveyed))
            assert all(cost.seconds > 0 for cost in found.costs.values())

    def test_arms_whose_steps_have_parts_stay_in_step(self):
        engine = engine_without_time()
        id = engine.create(Experiment((SURVEY, SURVEY, SCALING), 0))
        engine.step(id, 5)
        report = engine.poll(id, dataclasses.replace(VIEW_REQUEST, frames=False))
        assert report.state is State.PAUSED
        assert [arm.step for arm in report.arms] == [5, 5, 5]
        assert [found.step for arm in report.arms for found in arm.measured.values()] == [5, 5, 5]
