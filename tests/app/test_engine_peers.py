"""Experiments with arms of both kinds on the real core: residual flows and peers, in step, measured alike."""

import dataclasses
import pickle
import time

import numpy as np
import pytest
import safetensors.torch
import torch
from scipy import stats

from app.engine.commands import Create, ViewRequest
from app.engine.comparison import name_of
from app.engine.experiment import Arm, Experiment, parts_of
from app.engine.reports import State
from app.engine.training import views
from app.engine.training.history import History
from app.engine.training.job_kinds import job_of
from app.engine.training.measurements import masses as masses_file
from app.engine.training.measurements.derivatives import POINTS, SPECTRUM_POINTS, Derivatives
from app.engine.training.measurements.masses import Masses
from resflow_core import measure
from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.engine_bench import Bench
from tests.app.pages import named
from tests.app.requests import engine_without_time, wanting
from tests.core.oracles import seeded
from tests.core.test_baselines import library

TRAIN, DATA = TrainConfig(batch=64), DATASETS["moons"]
ROUGH = dataclasses.replace(TRAIN, log_det=Truncated(2))
SMALL = FlowConfig(blocks=2, width=8)
ARMS = (
    Arm(SMALL, TRAIN, "moons"),
    Arm(SMALL, ROUGH, "moons", seed=5),
    *(Arm(BaselineConfig(kind, 2, 6), TRAIN, "moons", seed=k) for k, kind in enumerate(BASELINES)),
)
EXPERIMENT = Experiment(ARMS, 3)
STEPS = 12
VIEW_REQUEST = ViewRequest(grid=24, points=30, ways=False)


def exported(engine, id, index):
    """The flow of an arm, built from its configuration and filled with the weights of its file."""
    config = EXPERIMENT.arms[index].flow
    flow = config.build(seeded(99))
    flow.load_state_dict(safetensors.torch.load(engine.export(id, index)))
    return flow


def on(engine, id, steps, demand=VIEW_REQUEST):
    engine.step(id, steps)
    return engine.poll(id, demand)


def taken(steps, demand=VIEW_REQUEST, experiment=EXPERIMENT):
    engine = engine_without_time()
    id = engine.create(experiment)
    return engine, id, on(engine, id, steps, demand)


def jacobians(flow, x):
    """A = dg/dx of every block by automatic differentiation of I + A, (batch, blocks, 2, 2), float64 NumPy."""
    found = []
    for part in flow.bijections:
        x = x.detach().requires_grad_()
        out = part(x)
        if part in flow.blocks:
            rows = [torch.autograd.grad(column.sum(), x, retain_graph=True)[0] for column in out.T]
            found.append(torch.stack(rows, 1) - torch.eye(2, dtype=x.dtype))
        x = out
    return torch.stack(found, 1).numpy()


def cut_series(a, terms):
    """sum over blocks of sum_{k<=terms} a_k tr A^k - log|det(I + A)|, (batch,)."""
    powers = [np.trace(np.linalg.matrix_power(a, k), axis1=-2, axis2=-1) for k in range(1, terms + 1)]
    series = sum((-1) ** (k + 1) / k * trace for k, trace in enumerate(powers, 1))
    return (series - np.linalg.slogdet(np.eye(2) + a)[1]).sum(1)


@pytest.fixture(scope="module")
def trained():
    return taken(STEPS)


@pytest.mark.thorough
def test_arms_of_both_kinds_train_in_step_and_each_as_if_alone(trained):
    _, _, report = trained
    assert (report.state, [arm.step for arm in report.arms]) == (State.PAUSED, [STEPS] * len(ARMS))
    for arm, found in zip(ARMS, report.arms, strict=True):
        alone = Trainer(arm.flow, arm.train, DATA, seed=3 if arm.seed is None else arm.seed)
        expected = [alone.step() for _ in range(STEPS)]
        np.testing.assert_allclose(found.loss.batch_nll, expected, rtol=1e-5, atol=1e-5)
        assert found.loss.held_nll[-1] < found.loss.held_nll[0]
    assert len({arm.loss.batch_nll[-1] for arm in report.arms}) == len(ARMS)


def test_the_bias_is_that_of_the_exported_weights(trained):
    engine, id, report = trained
    flow = exported(engine, id, 1).double()
    biases = cut_series(jacobians(flow, DATA.held_out().double()), 2)
    loss = report.arms[1].loss
    assert loss.held_step[-1] == STEPS
    assert loss.held_bias[-1] == pytest.approx(biases.mean(), rel=1e-3)
    assert loss.held_bias_se[-1] == pytest.approx(biases.std(ddof=1) / len(biases) ** 0.5, rel=1e-3)
    assert abs(loss.held_bias[-1]) > 3 * loss.held_bias_se[-1]
    for k, arm in enumerate(report.arms):
        assert arm.loss.held_bias.shape == arm.loss.held_bias_se.shape == arm.loss.held_step.shape
        if k != 1:
            assert not arm.loss.held_bias.any() and not arm.loss.held_bias_se.any()


@pytest.mark.parametrize("index", range(2, len(ARMS)))
def test_likelihoods_of_a_peer_are_zukos_with_an_affine_map_before_and_after(trained, index):
    engine, id, report = trained
    flow, x = exported(engine, id, index).double(), DATA.held_out().double()
    first, last = flow.bijections[0], flow.bijections[-1]
    with torch.no_grad():
        theirs, standardised = library(flow)(), x * first.log_scale.exp() + first.shift
        if flow.config.kind == "nice":
            z = theirs.transform(standardised) * last.log_scale.exp() + last.shift
            log_prob = stats.norm.logpdf(z).sum(1) + float(last.log_scale.sum())
        else:
            log_prob = theirs.log_prob(standardised).numpy()
    log_prob = log_prob + float(first.log_scale.detach().sum())
    gap = DATA.truth.log_prob(DATA.held_out()).double().numpy() - log_prob
    loss, n = report.arms[index].loss, len(x)
    assert loss.held_nll[-1] == pytest.approx(-log_prob.mean(), abs=1e-5)
    assert loss.held_se[-1] == pytest.approx(log_prob.std(ddof=1) / n**0.5, rel=1e-4)
    assert loss.held_kl[-1] == pytest.approx(gap.mean(), abs=1e-5)
    assert loss.held_kl_se[-1] == pytest.approx(gap.std(ddof=1) / n**0.5, rel=1e-4)
    assert report.arms[index].blocks is None


def test_only_pictured_arms_have_frames_and_derivatives_and_others_come_when_asked_for():
    engine, id, report = taken(3, wanting(VIEW_REQUEST, {"derivatives": True}, pictured=(1, 3)))
    for k, arm in enumerate(report.arms):
        shown = k in (1, 3)
        assert (arm.frame is not None, arm.found(Derivatives) is not None) == (shown,) * 2
    before = [arm.loss.held_step.tolist() for arm in report.arms]
    report = engine.poll(id, wanting(VIEW_REQUEST, {"derivatives": True}, pictured=(0, 3)))
    assert [bool(arm.frame) for arm in report.arms] == [k in (0, 1, 3) for k in range(len(ARMS))]
    assert report.arms[0].frame.density.shape == (24, 24) and report.arms[0].found(Derivatives).step == 3
    assert [arm.loss.held_step.tolist() for arm in report.arms] == before == [before[0]] * len(ARMS)
    assert (before[0][0], before[0][-1]) == (0, 3)


@pytest.mark.parametrize("index", range(len(ARMS)))
def test_pictures_and_derivatives_are_those_of_the_arm(trained, index):
    engine, id, _ = trained
    arm = engine.poll(id, wanting(VIEW_REQUEST, {"derivatives": True}, pictured=(index,))).arms[index]
    flow = exported(engine, id, index)
    np.testing.assert_allclose(arm.frame.density, measure.density_grid(flow, DATA.window, 24), atol=1e-4)
    points = DATA.held_out()[:POINTS]
    np.testing.assert_allclose(arm.found(Derivatives).structure, measure.jacobian_structure(flow, points), atol=1e-6)
    if isinstance(flow.config, BaselineConfig):
        assert arm.found(Derivatives).spectrum is None
        return
    a = jacobians(flow.double(), points.double())
    spectrum = arm.found(Derivatives).spectrum
    eigenvalues = np.linalg.eigvals(a[:SPECTRUM_POINTS]).reshape(-1, 2)
    ours = spectrum.eigenvalues.astype(complex).reshape(-1, 2)
    assert len(ours) == SPECTRUM_POINTS * SMALL.blocks
    apart = np.minimum(np.abs(ours - eigenvalues).max(1), np.abs(ours[:, ::-1] - eigenvalues).max(1))
    assert apart.max() < 2e-3  # the square root of single precision, where two meet
    for n in (1, 2, 20):
        assert spectrum.biases[n - 1] == pytest.approx(cut_series(a, n).mean(), abs=1e-5)


@pytest.mark.parametrize("index", [0, 2, 5])
def test_samples_come_without_the_way_there(trained, index):
    engine, id, _ = trained
    arm = engine.poll(id, dataclasses.replace(VIEW_REQUEST, pictured=(index,), points=31)).arms[index]
    frame = arm.frame
    assert (frame.samples.shape, frame.latent.shape, frame.grid.shape) == ((31, 2), (0, 2), (0, 2))
    assert frame.refusal == ""
    drawn = measure.samples(exported(engine, id, index), 31, torch.Generator().manual_seed(2**32 - 2))
    assert np.abs(frame.samples - drawn).max() <= 3e-3  # the inverse of a residual flow is an iteration
    without = engine.poll(id, dataclasses.replace(VIEW_REQUEST, pictured=(index,), samples=False)).arms[index]
    assert without.frame.samples is None


@pytest.mark.thorough
def test_the_mass_of_a_peer_is_one_and_nothing_else_is_believed(monkeypatch):
    monkeypatch.setitem(masses_file.CELLS, "fine", 64)
    demand = ViewRequest(frames=False, measured={"masses": True})
    experiment = Experiment(ARMS[1:], 3)
    _, _, report = taken(20, demand, experiment)
    rough, *peers = (arm.found(Masses) for arm in report.arms)
    assert (rough.log_det, rough.step) == (Truncated(2), 20) and rough.believed.value != pytest.approx(1, abs=1e-3)
    for masses in peers:
        assert (masses.step, masses.log_det, masses.believed, masses.belief) == (20, Exact(), None, "")
        assert abs(masses.exact.value - 1) < 3 * masses.exact.error < 0.05


def test_derivatives_that_nobody_wants_are_not_taken(monkeypatch):
    (view,) = (view for view in views.MEASURED if view.name == "derivatives")
    monkeypatch.setitem(views.MEASURED, view, dataclasses.replace(views.MEASURED[view], measure=lambda *_: 1 / 0))
    _, _, report = taken(2)
    assert report.state is State.PAUSED and {arm.found(Derivatives) for arm in report.arms} == {None}


def test_the_newest_derivatives_stay_until_there_are_newer_ones():
    with_derivatives = wanting(VIEW_REQUEST, {"derivatives": True}, frames=False)
    experiment = Experiment(ARMS[:2], 3)
    engine, id, report = taken(2, with_derivatives, experiment)
    first = [arm.found(Derivatives) for arm in report.arms]
    assert [found.step for found in first] == [2, 2]
    report = on(engine, id, 2, dataclasses.replace(VIEW_REQUEST, frames=False))
    assert [arm.found(Derivatives) is old for arm, old in zip(report.arms, first, strict=True)] == [True, True]
    assert [arm.found(Derivatives).step for arm in engine.poll(id, with_derivatives).arms] == [4, 4]


@pytest.mark.thorough
def test_a_checkpoint_of_both_kinds_goes_on_bitwise_in_another_process():
    engine, id, _ = taken(3)
    names = [name_of(id, k) for k in range(len(ARMS))]
    saved = [pickle.loads(pickle.dumps(engine._here.runs[name]._arm.saved)) for name in names]
    whole = on(engine, id, 2)
    other = Bench(time.monotonic, job=job_of)
    for k, (name, part) in enumerate(zip(names, parts_of(EXPERIMENT), strict=True)):
        other.do(Create(name, part, saved[k], steps=2))
    while other.tick():
        pass
    for k, (name, arm) in enumerate(zip(names, whole.arms, strict=True)):
        run = other.runs[name]
        assert run.step == 5 and saved[k].step == 3
        assert run.job.export() == engine.export(id, k)
        found = run.job.curves()
        np.testing.assert_array_equal(found.batch_nll, arm.loss.batch_nll)
        # What was measured before is in it, the bias as well.
        np.testing.assert_array_equal(found.held_bias, arm.loss.held_bias[: len(found.held_bias)])
        np.testing.assert_array_equal(found.held_step, arm.loss.held_step[: len(found.held_step)])
        assert len(found.held_step)


@pytest.mark.parametrize("log_det", [Truncated(), Roulette()])
def test_a_peer_with_an_estimate_fails_with_the_arm_and_the_remedy(log_det):
    bad = dataclasses.replace(ARMS[2], train=dataclasses.replace(TRAIN, log_det=log_det))
    engine = engine_without_time()
    report = engine.poll(engine.create(Experiment((ARMS[0], bad), 0)), VIEW_REQUEST)
    assert (report.state, report.arms) == (State.FAILED, ())
    assert {"2", "log_det", "Exact"} <= named(report.message) and type(log_det).__name__ in report.message


def test_a_peer_that_is_told_to_estimate_says_no_and_goes_on():
    engine, id, _ = taken(2)
    engine.change(id, 2, ROUGH)
    report = engine.poll(id, VIEW_REQUEST)
    assert {"3", "log_det"} <= named(report.message) and report.arms[2].train == TRAIN
    report = on(engine, id, 2)
    assert (report.state, report.message, report.arms[2].step) == (State.PAUSED, "", 4)


def test_who_trains_exactly_from_now_on_has_no_bias_from_then_on():
    engine, id, _ = taken(3, experiment=Experiment(ARMS[1:3], 3))
    engine.change(id, 0, TRAIN)
    on(engine, id, 3)
    engine.change(id, 0, dataclasses.replace(TRAIN, log_det=Truncated(1)))
    loss = on(engine, id, 3).arms[0].loss
    bias = dict(zip(loss.held_step.tolist(), zip(loss.held_bias, loss.held_bias_se, strict=True), strict=True))
    assert bias[6] == (0, 0)
    assert 0 not in (*bias[3], *bias[9])


def test_an_empty_history_has_columns_of_every_kind():
    curves = History().curves()
    assert curves.held_bias.shape == curves.held_bias_se.shape == curves.held_nll.shape == (0,)
