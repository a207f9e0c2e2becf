"""What is drawn and measured of a run, each value against the core's or an independent one."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.reports import State
from app.engine.training import views
from app.engine.training.measurements import MEASUREMENTS, edits
from app.engine.training.measurements import masses as masses_file
from app.engine.training.measurements.activity import GRADIENT_POINTS, GRID, POINTS
from app.engine.training.measurements.edits import EditsRequest
from app.engine.training.measurements.far import NODES
from app.engine.training.measurements.inversion import InversionRequest
from app.engine.training.weights import decode
from app.quantise import top_of
from resflow_core import measure
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import Change, Edited
from resflow_core.training import step_work
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig
from tests.app.pages import named
from tests.app.requests import ARM, LOSSES, engine_without_time, job_after, measured, shorten_inversions, wanting
from tests.core.breathing import Breaths
from tests.core.oracles import jacobians_of_rows

MOONS, SMALL = DATASETS["moons"], ARM.flow
VIEW_REQUEST = ViewRequest(grid=16, points=40, measured={"masses": True})
FEW = dataclasses.replace(VIEW_REQUEST, points=12)
SCALED = dataclasses.replace(VIEW_REQUEST, edited=Edited(1, 1.9))
EDITED = Edited(1, 1.0, (Change("weight", 0, 3, 3.0, 1), Change("bias", 1, 0, 0.4), Change("row", 1, 1, 2.0)))
OPENED = wanting(VIEW_REQUEST, {"edits": EditsRequest(1)}, edited=EDITED, points=10)
CELLS = 12


@pytest.fixture(autouse=True)
def less_work(monkeypatch):
    monkeypatch.setattr(edits, "GRID", CELLS)
    shorten_inversions(monkeypatch)


def trained_as(log_det, steps=3):
    return job_after(steps, dataclasses.replace(ARM, train=dataclasses.replace(ARM.train, log_det=log_det)))


def on(name, wanted, **others):
    """A request for one measurement."""
    return ViewRequest(frames=False, measured={name: wanted}, **others)


class TestFrame:
    def test_it_shows_the_flow_at_the_depth_that_is_asked_for(self):
        job = job_after(3)
        for depth in (None, 0, 1, 7):
            frame = job.frame(dataclasses.replace(VIEW_REQUEST, depth=depth))
            stage = -1 if depth is None else min(depth, SMALL.blocks)
            lines = measure.grid_lines(MOONS.window, 13, 41)
            with torch.no_grad():
                points, grid = (job.flow.stages(x)[stage].numpy() for x in (MOONS.held_out()[:40], lines.flatten(0, 1)))
            assert (frame.step, frame.depth) == (3, None if depth is None else stage)
            np.testing.assert_allclose(frame.latent, points, atol=1e-5, err_msg=str(depth))
            np.testing.assert_allclose(frame.grid, grid.reshape(lines.shape), atol=1e-5)
        np.testing.assert_allclose(frame.density, measure.density_grid(job.flow, MOONS.window, 16), rtol=1e-5)
        with torch.no_grad():
            z = job.flow(torch.from_numpy(frame.samples)).numpy()
        noise = torch.randn(40, 2, generator=torch.Generator().manual_seed(2**32 - 2)).numpy()
        np.testing.assert_allclose(z, noise, atol=1e-3)
        assert {part.dtype for part in (frame.density, frame.latent, frame.grid, frame.samples)} == {np.dtype("f4")}
        assert job.frame(dataclasses.replace(VIEW_REQUEST, samples=False)).samples is None
        refused = job.frame(SCALED)  # not certified
        assert refused.samples.shape == (0, 2) and {"2", "1.881"} <= named(refused.refusal)
        assert refused.density.any() and len(refused.latent) == 40


WANTED = {
    "frame": None,
    "activity": "all",
    "bounds": True,
    "derivatives": True,
    "edits": EditsRequest(1),
    "inversion": InversionRequest(1, (0.3, -0.2), "newton"),
    "jacobians": 12,
    "masses": True,
}


@pytest.mark.parametrize("name", WANTED)
def test_what_is_made_in_parts_is_of_one_moment_whatever_is_trained_meanwhile(name, monkeypatch):
    job, still = job_after(2), job_after(2)
    request = ViewRequest(points=40, grid=16, measured={name: WANTED[name]})

    def made(job, breathe):
        return job.frame(request, breathe) if name == "frame" else measured(job, name, request, breathe)

    step_work.points_a_part.cache_clear()
    monkeypatch.setattr(step_work, "MOST_POINTS", 37)
    expected, breathe = made(still, Breaths()), Breaths(job.step)
    found = made(job, breathe)
    step_work.points_a_part.cache_clear()
    assert breathe.count > 3 and found.step == 2 < job.step_count
    np.testing.assert_equal(dataclasses.asdict(found), dataclasses.asdict(expected))


@pytest.mark.parametrize("data", ["moons", "wine"])
def test_a_point_has_the_terms_of_its_density_and_of_the_estimate(data):
    arm = dataclasses.replace(ARM, data=data, train=dataclasses.replace(ARM.train, log_det=Truncated(3)))
    job, x = job_after(3, arm), (0.4, -0.3)
    at = measured(job, "point", on("point", x, edited=Edited(1, 1.5)))
    flow = job.flow.scaled(1, 1.5)
    point = torch.tensor([x])
    with torch.no_grad():
        log_prob = float(flow.log_prob(point))
        _, jacobians = copy.deepcopy(flow).double().forward_and_jacobians(point.double())
    assert (at.step, at.x, at.log_det) == (3, x, Truncated(3))
    assert at.terms.log_prob == pytest.approx(log_prob, abs=1e-5)
    a = jacobians[0].numpy()
    traces = [np.trace(np.linalg.matrix_power(a, k), axis1=1, axis2=2) for k in (1, 2, 3)]
    np.testing.assert_allclose(at.means, traces[0] - traces[1] / 2 + traces[2] / 3, rtol=1e-6)
    np.testing.assert_allclose(at.radii, np.abs(np.linalg.eigvals(a)).max(1), rtol=1e-6)
    truth = job.dataset.truth
    assert at.true_log_prob == (None if data == "wine" else pytest.approx(float(truth.log_prob(point))))


def test_bounds_are_those_of_the_flow_that_is_looked_at():
    job = job_after(3)
    found = measured(job, "bounds", on("bounds", True, edited=Edited(0, 0.5)))
    flow = job.flow.scaled(0, 0.5)
    expected = measure.guarantees(flow, measure.evaluate(flow, MOONS.held_out()))
    np.testing.assert_equal(dataclasses.asdict(found.guarantees), dataclasses.asdict(expected))
    np.testing.assert_equal(dataclasses.asdict(found.estimates), dataclasses.asdict(measure.norm_estimates(flow)))


def test_a_classifier_is_looked_at_far_away_in_three_times_the_window():
    job = job_after(2, Arm(HybridConfig(SMALL), HybridTrainConfig(batch=50, weight=0.5), "noisymoons"))
    found, data = measured(job, "far", on("far", True)), job.dataset
    expected = measure.far(job.model, data.window, data.held_out())
    np.testing.assert_equal(dataclasses.asdict(found.found), dataclasses.asdict(expected))
    wide, shares = found.wide, measure.class_grid(job.model, found.wide.window, NODES)
    for (low, high), (l0, h0) in zip(wide.window, data.window, strict=True):
        assert (low + high) / 2 == pytest.approx((l0 + h0) / 2) and high - low == pytest.approx(3 * (h0 - l0))
    np.testing.assert_array_equal(wide.likeliest, shares.argmax(2))
    np.testing.assert_allclose(wide.confidence / 255, shares.max(2), atol=0.5 / 255)
    density = measure.density_grid(job.model.flow, wide.window, NODES)
    assert (wide.largest, wide.top) == (density.max(), top_of(density))
    np.testing.assert_allclose(wide.density / 65535 * wide.largest, density, atol=wide.largest / 65535)


@pytest.mark.thorough
def test_masses_are_weighed_by_the_flow_and_by_what_training_believes(monkeypatch):
    monkeypatch.setitem(masses_file.CELLS, "fine", 64)
    job = trained_as(Truncated(1), 60)
    masses = measured(job, "masses", VIEW_REQUEST, moving=False)
    assert (masses.step, masses.log_det, masses.belief) == (60, Truncated(1), "")
    assert abs(masses.exact.value - 1) < masses.exact.error < 0.05
    assert masses.believed.value > 1.001  # log(1 + t) < t
    unknown = measured(trained_as(Roulette(n_draws=2)), "masses", VIEW_REQUEST)
    assert unknown.believed is None and {"n_draws", "2"} <= named(unknown.belief)
    exact = measured(job_after(3), "masses", SCALED)
    assert (exact.log_det, exact.believed) == (Exact(), None)
    beliefs = measure.Beliefs(job_after(3).flow.scaled(1, 1.9), Exact())
    assert exact.exact == measure.masses(beliefs, MOONS.window, masses_file.CELLS["rough"])[0]


def test_jacobians_are_those_of_every_block_where_points_come_to_it():
    job = job_after(5)
    request = on("jacobians", 8, points=30, edited=Edited(1, 1.9))
    found, flow, window = measured(job, "jacobians", request), job.flow.scaled(1, 1.9), MOONS.window
    for x, jacobians in ((measure.grid_points(window, 8), found.grid), (MOONS.held_out()[:30], found.points)):
        assert jacobians.shape == (2, len(x), 2, 2) and jacobians.dtype == np.float32
        of_blocks = iter(jacobians)
        for part in flow.bijections:
            if part in list(flow.blocks):
                np.testing.assert_allclose(next(of_blocks), jacobians_of_rows(part.branch, x), atol=1e-5)
            x = part(x).detach()
    np.testing.assert_allclose(found.density, measure.density_grid(flow, window, 8), rtol=1e-4)
    assert (found.step, found.window) == (5, window)


def test_a_scaled_branch_is_that_of_pictures_and_of_the_table():
    job = job_after(5)
    flow = job.flow.scaled(1, 1.9)
    frame = job.frame(SCALED)
    np.testing.assert_allclose(frame.density, measure.density_grid(flow, MOONS.window, 16), rtol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(frame.latent, flow(MOONS.held_out()[:40]).numpy(), atol=1e-5)
    table, unscaled = (job.measure_held_out(request) for request in (SCALED, VIEW_REQUEST))
    expected = measure.block_table(flow, measure.evaluate(flow, MOONS.held_out()), Exact())
    for name in ("mean_log_det", "lipschitz", "layer_norms", "largest_norm", "breaking", "spectral_radius"):
        np.testing.assert_array_equal(getattr(table, name), getattr(expected, name))
    assert table.lipschitz == pytest.approx(unscaled.lipschitz * [1, 1.9])
    assert table.breaking == pytest.approx(unscaled.breaking / [1, 1.9], rel=1e-4)


@pytest.mark.thorough
def test_an_inversion_is_that_of_the_block_and_its_scale():
    """Another block's scale is none of its business."""
    job, asked = job_after(5), InversionRequest(1, (0.3, -0.2), "newton")
    x = MOONS.held_out()[:12]
    expected = {scale: measure.inversion(job.flow, x, 1, scale, (0.3, -0.2), "newton") for scale in (1.0, 4.0)}
    for scaled, scale in ((None, 1.0), (Edited(1, 4.0), 4.0), (Edited(0, 4.0), 1.0)):
        found = measured(job, "inversion", on("inversion", asked, points=12, edited=scaled))
        assert (found.step, found.request, found.edited) == (5, asked, scaled)
        np.testing.assert_equal(dataclasses.asdict(found.found), dataclasses.asdict(expected[scale]))


class TestActivity:
    def test_it_is_that_of_the_measurements_at_held_out_points(self):
        job = job_after(5)
        found = measured(job, "activity", on("activity", "all"))
        x = MOONS.held_out()[:POINTS]
        assert (found.step, found.points, found.window) == (5, POINTS, MOONS.window)
        saturation, split = measure.saturation(job.flow, x), measure.gradient_split(job.flow, x)
        np.testing.assert_equal(dataclasses.asdict(found.saturation), dataclasses.asdict(saturation))
        nodes = measure.saturation_map(job.flow, measure.grid_points(MOONS.window, GRID))
        np.testing.assert_array_equal(found.share.ravel(), nodes.astype(np.float32))
        np.testing.assert_equal(dataclasses.asdict(found.split), dataclasses.asdict(split))
        np.testing.assert_allclose(found.log_det[-1], split.blocks.log_det, rtol=1e-6)
        np.testing.assert_allclose(found.base[-1], split.blocks.base, rtol=1e-6)

    def test_of_the_branch_that_is_scaled_and_its_history_of_the_flow_that_trains(self):
        job, scaled = job_after(3), on("activity", "gradients", edited=Edited(1, 1.9))
        split = measure.gradient_split(job.flow.scaled(1, 1.9), MOONS.held_out()[:GRADIENT_POINTS])
        found = measured(job, "activity", scaled)
        np.testing.assert_equal(dataclasses.asdict(found.split), dataclasses.asdict(split))
        assert (found.saturation, found.share) == (None, None)
        assert (found.steps.shape, found.log_det.shape, found.base.shape) == ((0,), (0, 2), (0, 2))
        plain = dataclasses.replace(scaled, edited=None)
        assert measured(job, "activity", plain).steps.tolist() == [3]
        assert measured(job, "activity", plain).steps.tolist() == [3]  # the same step once
        again = job_after(0)
        again.restore(job.save())
        again.step()
        assert measured(again, "activity", scaled).steps.tolist() == [3]
        # Of a block that is not there nothing is scaled.
        beyond = dataclasses.replace(scaled, edited=Edited(5, 1.9))
        assert measured(again, "activity", beyond).steps.tolist() == [3, 4]


def changed_by_hand(flow):
    other = copy.deepcopy(flow)
    with torch.no_grad():
        first, second = other.blocks[1].branch.linears
        first.raw[3, 1], second.bias[0] = 3.0, 0.4
        second.raw[1] *= 2
    return other


@pytest.mark.thorough
def test_changed_weights_change_all_that_is_looked_at_and_nothing_that_trains():
    job = job_after(5)
    kept = {name: tensor.clone() for name, tensor in job.flow.state_dict().items()}
    flow = changed_by_hand(job.flow)
    found = measured(job, "edits", OPENED)
    x = measure.grid_points(MOONS.window, CELLS).double()
    jacobian = jacobians_of_rows(flow.double(), x)
    with torch.no_grad():
        z = flow(x).numpy()
    density = np.exp(-0.5 * (z**2).sum(1)) / (2 * np.pi) * np.abs(np.linalg.det(jacobian.numpy()))
    np.testing.assert_allclose(found.density.ravel(), density, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(found.trained, measure.density_grid(job.flow, MOONS.window, CELLS), rtol=1e-5)
    assert np.abs(found.density - found.trained).max() > 1e-3
    assert (found.step, found.edited, found.found.block) == (5, EDITED, 1)
    _, numbers = decode(found.weights)
    np.testing.assert_allclose(numbers, measure.folded_numbers(changed_by_hand(job.flow)), rtol=1e-5)
    frame = job.frame(OPENED)
    drawn = measure.density_grid(changed_by_hand(job.flow), MOONS.window, 16)
    np.testing.assert_array_equal(frame.density, drawn)
    assert len(frame.samples) == 10  # the constraint keeps the block invertible, whatever is asked for
    table = job.measure_held_out(OPENED)
    assert table.layer_norms[1].prod() <= 0.99 * (1 + 1e-5)
    inversion = measured(job, "inversion", wanting(OPENED, {"inversion": InversionRequest(1)}))
    np.testing.assert_allclose(inversion.found.image, found.found.after, atol=1e-9)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in job.flow.state_dict().items())


def test_what_is_pulled_is_answered_before_anything_else():
    assert min(views.DEPENDS).name == "edits"
    unedited = dataclasses.replace(OPENED, edited=None)
    for name in ("edits", "masses", "bounds", "inversion", "activity"):
        request, other = (wanting(one, {name: WANTED[name]}) for one in (OPENED, unedited))
        assert MEASUREMENTS[name].depends(name, request) != MEASUREMENTS[name].depends(name, other)


class TestPeer:
    """What has no residual blocks is measured alike, where it can be."""

    PEER = Arm(BaselineConfig("realnvp", 2, 6), TrainConfig(batch=64), "moons")

    def test_losses_and_pictures_are_those_of_its_density(self):
        job = job_after(5, self.PEER)
        assert job.measure_held_out(LOSSES) is None and measured(job, "point", on("point", (0.1, 0.2))) is None
        points, loss = MOONS.held_out(), job.curves()
        with torch.no_grad():
            log_prob = job.flow.double().log_prob(points.double())
        gap = MOONS.truth.log_prob(points).double() - log_prob
        assert loss.held_nll[-1] == pytest.approx(-float(log_prob.mean()), abs=1e-5)
        assert loss.held_se[-1] == pytest.approx(float(log_prob.std()) / len(points) ** 0.5, rel=1e-4)
        assert (loss.held_kl[-1], loss.held_bias[-1]) == (pytest.approx(float(gap.mean()), abs=1e-5), 0)
        job.flow.float()
        frame = job.frame(dataclasses.replace(VIEW_REQUEST, ways=False, points=31))
        np.testing.assert_allclose(frame.density, measure.density_grid(job.flow, MOONS.window, 16), atol=1e-4)
        assert (frame.samples.shape, frame.latent.shape, frame.grid.shape) == ((31, 2), (0, 2), (0, 2))
        found = measured(job, "derivatives", on("derivatives", True))
        np.testing.assert_allclose(found.structure, measure.jacobian_structure(job.flow, points[:500]), atol=1e-6)
        assert found.spectrum is None

    def test_an_estimate_is_refused_with_the_arm_and_the_remedy(self):
        rough = dataclasses.replace(self.PEER.train, log_det=Truncated(2))
        engine = engine_without_time()
        id = engine.create(Experiment((ARM, dataclasses.replace(self.PEER, train=rough)), 0))
        report = engine.poll(id, LOSSES)
        assert (report.state, report.arms) == (State.FAILED, ())
        assert {"2", "log_det", "Exact"} <= named(report.message)


def test_the_bias_and_the_spectrum_are_those_of_the_jacobians():
    """By automatic differentiation of every block, and the series of log det(I + A) cut after n terms."""
    job = trained_as(Truncated(2), 12)
    job.measure_held_out(LOSSES)
    flow, x = copy.deepcopy(job.flow).double(), MOONS.held_out().double()
    found = []
    for part in flow.bijections:
        if part in list(flow.blocks):
            found.append(jacobians_of_rows(part.branch, x).numpy())
        x = part(x).detach()
    a = np.stack(found, 1)
    exact = np.linalg.slogdet(np.eye(2) + a)[1]
    traces = [np.trace(np.linalg.matrix_power(a, n), axis1=-2, axis2=-1) for n in (1, 2)]
    biases = (traces[0] - traces[1] / 2 - exact).sum(1)
    loss = job.curves()
    assert loss.held_bias[-1] == pytest.approx(biases.mean(), rel=1e-3)
    assert loss.held_bias_se[-1] == pytest.approx(biases.std(ddof=1) / len(biases) ** 0.5, rel=1e-3)
    spectrum = measured(job, "derivatives", on("derivatives", True)).spectrum
    assert spectrum.biases[1] == pytest.approx(biases[:500].mean(), abs=1e-5)
    radii = np.abs(np.linalg.eigvals(a[:60])).max(-1)
    np.testing.assert_allclose(np.abs(spectrum.eigenvalues).reshape(-1, 2).max(1), radii.ravel(), atol=2e-3)
