"""Which backend computes a run: fixed at its first step, and the same in every process after."""

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


def test_what_is_there_at_the_first_step_computes_the_run():
    given = Always(TORCH)
    job = job_with(given)
    given.now = NUMBA
    assert losses(job, 10) == digits_of(NUMBA, 10)
    assert job.fingerprint == compilation.fingerprint(NUMBA)


@pytest.mark.parametrize(("begun_by", "now"), [(TORCH, NUMBA), (NUMBA, TORCH)])
def test_a_run_goes_on_in_another_process_with_the_same_digits(begun_by, now):
    before = job_with(Always(begun_by))
    losses(before, 6)
    after = job_with(Always(now))
    after.restore(before.save())
    assert after.fingerprint == before.fingerprint
    assert losses(after, 4) == digits_of(begun_by, 10)
    gone = job_with(Always(TORCH, has_all=False))
    gone.restore(before.save())
    assert gone.fingerprint == compilation.fingerprint(TORCH)


SINE, LIPSWISH, MAXMIN = (FlowConfig(blocks=2, width=8, activation=name) for name in ("sine", "lipswish", "maxmin"))
EXACT, ROULETTE = TrainConfig(batch=50), TrainConfig(batch=50, log_det=Roulette())
PEER = BaselineConfig("realnvp", 2, 8, 1)


@pytest.mark.parametrize(
    ("arms", "backends"),
    [
        ([(SINE, EXACT), (LIPSWISH, EXACT)], [NUMBA, NUMBA]),
        ([(SINE, EXACT), (MAXMIN, EXACT)], [TORCH, TORCH]),
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


class TestWhenKernelsAreReady:
    @pytest.fixture(autouse=True)
    def quickly(self, monkeypatch):
        monkeypatch.setattr(backends, "LOAD_SECONDS", 600.0)

    def test_what_is_kept_and_does_not_load_is_thrown_away_and_compiled_anew(self, monkeypatch):
        done = []

        def once():
            if "compiled" not in done:
                raise EOFError("Ran out of input")

        monkeypatch.setattr(compilation, "check", once)
        monkeypatch.setattr(compilation, "throw_away", lambda: done.append("thrown away"))
        monkeypatch.setattr(compilation, "are_kept", lambda: True)
        monkeypatch.setattr(backends, "_compile_elsewhere", lambda: done.append("compiled"))
        found = CompiledWhenReady()
        assert found.of_saved_run(NUMBA) == NUMBA == found.of_new_run() and found.of_saved_run(TORCH) == TORCH
        assert done[-2:] == ["thrown away", "compiled"]
        assert found.why_torch == ""
