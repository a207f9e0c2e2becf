"""Which backend computes a run: fixed at its first step, and the same in every process after."""

import logging

import pytest

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.training import backends
from app.engine.training.backends import NUMBA, TORCH, CompiledWhenReady
from app.engine.training.job import Job
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Roulette
from resflow_core.training import compilation
from resflow_core.training.trainer import TrainConfig
from tests.app.backends import Always
from tests.app.requests import engine_without_time

ARM = Arm(FlowConfig(blocks=2, width=8), TrainConfig(batch=50), "moons")


def job_with(given):
    return Job(ARM, 0, "cpu", lambda: 0.0, given)


def losses(job, steps):
    for _ in range(steps):
        job.step()
    return job.curves().batch_nll.tolist()


def digits_of(backend, steps):
    return losses(job_with(Always(backend)), steps)


def test_the_two_differ_in_their_last_digits_alone():
    ours, torchs = digits_of(NUMBA, 20), digits_of(TORCH, 20)
    assert ours == pytest.approx(torchs, rel=1e-3) and ours != torchs


def test_what_is_there_at_the_first_step_computes_the_run():
    given = Always(TORCH)
    job = job_with(given)
    given.now = NUMBA
    assert losses(job, 10) == digits_of(NUMBA, 10)
    assert job.fingerprint == compilation.fingerprint(NUMBA)


def test_a_run_that_has_begun_stays_as_it_is():
    given = Always(TORCH)
    job = job_with(given)
    job.step()
    given.now = NUMBA
    assert losses(job, 9) == digits_of(TORCH, 10)
    assert job.fingerprint == compilation.fingerprint(TORCH)


@pytest.mark.parametrize("begun_by", [TORCH, NUMBA])
@pytest.mark.parametrize("now", [TORCH, NUMBA])
def test_a_run_goes_on_in_another_process_with_the_same_digits(begun_by, now):
    before = job_with(Always(begun_by))
    losses(before, 6)
    after = job_with(Always(now))
    after.restore(before.save())
    assert after.fingerprint == before.fingerprint
    assert losses(after, 4) == digits_of(begun_by, 10)


def test_where_the_kernels_are_gone_it_goes_on_by_torch_and_says_so():
    before = job_with(Always(NUMBA))
    losses(before, 6)
    after = job_with(Always(TORCH, has_all=False))
    after.restore(before.save())
    assert after.fingerprint == compilation.fingerprint(TORCH)
    assert losses(after, 4) == pytest.approx(digits_of(NUMBA, 10), rel=1e-3)


def test_pictures_are_the_same_to_the_eye():
    ours, torchs = (job_with(Always(backend)) for backend in (NUMBA, TORCH))
    for job in (ours, torchs):
        losses(job, 5)
    a, b = (job.frame(ViewRequest(grid=30, points=60)) for job in (ours, torchs))
    assert a.density.max() == pytest.approx(b.density.max(), rel=1e-3)
    for part in ("density", "latent", "grid", "samples"):
        off = getattr(a, part).astype(float) - getattr(b, part).astype(float)
        assert abs(off).max() <= 0.01 * getattr(b, part).max()


SINE, LIPSWISH, MAXMIN = (FlowConfig(blocks=2, width=8, activation=name) for name in ("sine", "lipswish", "maxmin"))
EXACT, ROULETTE = TrainConfig(batch=50), TrainConfig(batch=50, log_det=Roulette())
PEER = BaselineConfig("realnvp", 2, 8, 1)


@pytest.mark.parametrize(
    ("arms", "backends"),
    [
        ([(SINE, EXACT), (LIPSWISH, EXACT)], [NUMBA, NUMBA]),
        ([(SINE, EXACT), (MAXMIN, EXACT)], [TORCH, TORCH]),
        ([(SINE, EXACT), (SINE, ROULETTE)], [NUMBA, NUMBA]),
        ([(MAXMIN, EXACT), (SINE, ROULETTE)], [TORCH, TORCH]),
        ([(SINE, EXACT), (PEER, EXACT)], [NUMBA, TORCH]),  # which is all that a peer has
    ],
)
def test_residual_flows_that_are_compared_are_all_computed_alike(arms, backends):
    engine = engine_without_time(backends=Always(NUMBA))
    id = engine.create(Experiment(tuple(Arm(flow, train, "moons") for flow, train in arms), 0))
    engine.step(id, 1)
    found = engine.poll(id, ViewRequest(frames=False)).arms
    expected = [compilation.fingerprint(backend, *arm) for backend, arm in zip(backends, arms, strict=True)]
    assert [arm.fingerprint for arm in found] == expected


def test_a_run_that_torch_computes_though_kernels_could_says_why():
    always = Always(TORCH, why_torch="they were not there.")
    engine = engine_without_time(backends=always)
    arms = [
        Arm(flow, train, "moons") for flow, train in ((SINE, EXACT), (MAXMIN, EXACT), (SINE, ROULETTE), (PEER, EXACT))
    ]
    runs = [engine.create(Experiment((arm,), 0)) for arm in arms]
    request = ViewRequest(frames=False)
    assert [engine.poll(run, request).arms[0].why_torch for run in runs] == [""] * 4  # nothing has begun yet
    for run in runs:
        engine.step(run, 1)
    found = [engine.poll(run, request).arms[0].why_torch for run in runs]
    assert found == ["they were not there.", "", "they were not there.", ""]

    always.now, always.why_torch = NUMBA, ""
    engine.reset(runs[0])
    engine.step(runs[0], 1)
    assert engine.poll(runs[0], request).arms[0].why_torch == ""


def test_a_run_of_torch_goes_on_by_kernels_where_somebody_says_so():
    given = Always(TORCH, why_torch="they are being made.")
    job = job_with(given)
    losses(job, 6)
    assert job.why_torch == "they are being made." and not job.hastens
    job.hasten()  # there are none yet
    assert job.fingerprint == compilation.fingerprint(TORCH)

    given.now, given.why_torch = NUMBA, ""
    assert job.why_torch and job.hastens
    job.hasten()
    assert not job.why_torch and not job.hastens
    both = compilation.fingerprint(NUMBA, torch_until=6)
    assert job.fingerprint == both
    assert both not in (compilation.fingerprint(NUMBA), compilation.fingerprint(NUMBA, torch_until=7))
    by_torch, by_kernels, found = digits_of(TORCH, 20), digits_of(NUMBA, 20), losses(job, 14)
    assert found[:6] == by_torch[:6] and found[6:] != by_torch[6:] and found != by_kernels
    assert found == pytest.approx(by_torch, rel=1e-3)

    after, anew = job_with(Always(NUMBA)), job_with(Always(NUMBA))
    after.restore(job.save())
    assert after.fingerprint == both
    losses(anew, 1)
    assert anew.fingerprint == compilation.fingerprint(NUMBA)


@pytest.mark.parametrize("flow", [SINE, PEER], ids=["kernels", "a peer"])
def test_a_page_is_told_that_kernels_are_there_and_says_that_they_go_on(flow):
    always, request = Always(TORCH, why_torch="they are being made."), ViewRequest(frames=False)
    engine = engine_without_time(backends=always)
    id = engine.create(Experiment((Arm(flow, EXACT, "moons"),), 0))
    engine.step(id, 6)
    assert not engine.poll(id, request).arms[0].hastens
    always.now, always.why_torch = NUMBA, ""
    assert engine.poll(id, request).arms[0].hastens == (flow is SINE)  # though it rests
    engine.hasten(id)
    engine.step(id, 1)
    (arm,) = engine.poll(id, request).arms
    expected = compilation.fingerprint(NUMBA, torch_until=6) if flow is SINE else compilation.fingerprint(TORCH)
    assert (arm.step, arm.fingerprint, arm.hastens) == (7, expected, False)


class TestWhenKernelsAreReady:
    @pytest.fixture(autouse=True)
    def quickly(self, monkeypatch):
        monkeypatch.setattr(backends, "LOAD_SECONDS", 600.0)

    def test_they_are_checked_and_the_log_says_what_was_found(self, caplog):
        caplog.set_level(logging.INFO)
        found = CompiledWhenReady()
        assert found.of_saved_run(NUMBA) == found.of_new_run() == NUMBA
        (said,) = [record for record in caplog.records if record.name == backends.__name__]
        assert compilation.fingerprint(NUMBA) in said.getMessage() and "gradient" in said.getMessage()

    def test_a_run_of_torch_stays_one(self):
        found = CompiledWhenReady()
        assert found.of_saved_run(NUMBA) == NUMBA  # they are ready
        assert found.of_saved_run(TORCH) == TORCH

    @pytest.mark.parametrize(
        ("error", "level"),
        [
            (ModuleNotFoundError("No module named 'numba'"), logging.INFO),
            (compilation.Disagrees("loss 1"), logging.WARNING),
            (OSError("no compiler"), logging.ERROR),
        ],
        ids=lambda one: type(one).__name__,
    )
    def test_where_they_cannot_be_had_torch_computes_and_the_log_says_why(self, error, level, monkeypatch, caplog):
        def fail():
            raise error

        caplog.set_level(logging.INFO)
        monkeypatch.setattr(compilation, "check", fail)
        monkeypatch.setattr(compilation, "throw_away", lambda: None)
        monkeypatch.setattr(backends, "_compile_elsewhere", lambda: None)
        found = CompiledWhenReady()
        assert found.of_saved_run(NUMBA) == found.of_new_run() == TORCH
        said = [record for record in caplog.records if record.name == backends.__name__]
        assert said[-1].levelno == level
        assert bool(found.why_torch) == (level > logging.INFO)  # without numba that is as usual

    def test_what_is_kept_and_does_not_load_is_thrown_away_and_compiled_anew(self, monkeypatch):
        done, check = [], compilation.check

        def once():
            if "compiled" not in done:
                raise EOFError("Ran out of input")
            return check()

        monkeypatch.setattr(compilation, "check", once)
        monkeypatch.setattr(compilation, "throw_away", lambda: done.append("thrown away"))
        monkeypatch.setattr(backends, "_compile_elsewhere", lambda: done.append("compiled"))
        found = CompiledWhenReady()
        assert found.of_saved_run(NUMBA) == NUMBA
        assert done[-2:] == ["thrown away", "compiled"]
        assert found.why_torch == ""

    def test_where_none_are_kept_another_process_compiles_them_first(self, monkeypatch):
        asked = []
        monkeypatch.setattr(compilation, "are_kept", lambda: False)
        monkeypatch.setattr(backends, "_compile_elsewhere", lambda: asked.append(True))
        assert CompiledWhenReady().of_saved_run(NUMBA) == NUMBA
        assert asked == [True]
