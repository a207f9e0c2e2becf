"""Programs of figures beside what the app's own code finds: the same digits. They run in this process; one of them
also runs in a process of its own, with nothing of the app (`make slow`).
"""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from app.engine.commands import ViewRequest
from app.engine.experiment import Arm, Experiment
from app.engine.local import LocalEngine
from app.engine.training.backends import TORCH
from app.engine.training.job_records import DIGITS, BitsCurve, Scaling
from app.engine.training.measurements import activity, edits, masses
from app.engine.training.measurements.activity import Activity
from app.engine.training.measurements.bounds import Bounds
from app.engine.training.measurements.edits import Edits, EditsRequest
from app.engine.training.measurements.far import FarAway
from app.engine.training.measurements.inversion import InversionRequest, Inversions
from app.engine.training.measurements.jacobians import Jacobians
from app.engine.training.measurements.masses import Masses
from app.engine.training.measurements.point import AtPoint
from app.estimates.coins import parsed
from app.estimates.hashed_jacobians import HashedJacobians
from app.estimates.maps import field
from app.estimates.sample import Sample
from app.estimates.settings import Bench
from app.evidence import Stored
from app.features.activations.numbers import measured
from app.features.estimator import numbers, sweeps
from app.features.joint import evidence as joint_evidence
from app.features.joint import numbers as joint_numbers
from app.features.lipschitz.induced import induced
from app.features.lipschitz.weighed import weighed
from app.features.stretch.bases import BASES
from app.features.stretch.density import TURN, follow, total
from app.features.stretch.settings import Stretch
from app.metrics import readouts
from app.setup import CsvChoice, FlowFile, OwnData, SavedFlow, Setup
from app.takeaway import of_flow, of_settings, of_weights
from app.takeaway.of_map import Quadrature
from app.takeaway.of_run import of_run
from app.takeaway.programs import PROGRAMS
from app.takeaway.training import Run, files
from app.ui.bands import band
from resflow_core.api import flow_file
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import Table
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Roulette, Truncated
from resflow_core.measure import Change, Edited
from resflow_core.measure.activation import Verdict
from resflow_core.measure.scaling import Plan
from resflow_core.measure.survey import Place, Subjects, Survey, SurveyPlan
from resflow_core.norms.constraints import Power
from resflow_core.roulette import Geometric, expected_terms
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig
from tests.app import takeaway
from tests.app.backends import Always

pytestmark = pytest.mark.thorough

SMALL = FlowConfig(blocks=2, width=8)
ROULETTE = TrainConfig(log_det=Roulette(Geometric(0.4, 2)), batch=80, warmup=5, learning_rate=0.02)
SETUP = Setup("moons", 3, flow=SMALL, train=ROULETTE)
STEPS, POINT = 20, (0.25, -1.0)
FEW = (
    ((of_flow,), "STILL", 24),
    ((of_flow,), "MAP", 12),
    ((activity, of_flow), "POINTS", 60),
    ((edits, of_weights), "GRID", 20),
    ((of_settings, sweeps), "FLOW_POINTS", 60),
    ((of_settings, sweeps), "GRADIENT_POINTS", 20),
)
EDITED = Edited(1, 1.5, (Change("weight", 0, 1, 0.2, 1),))
INVERSE = InversionRequest(1, (0.0, 1.0), "newton")


@pytest.fixture(autouse=True, scope="module")
def small():
    """The process computes as that which trains, and both sides look at few points: what they have in common is what is
    tested."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        for modules, name, value in FEW:
            for module in modules:
                patch.setattr(module, name, value)
        patch.setitem(masses.CELLS, "fine", 24)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def arithmetic():
    """Numbers below 1e-38 are 0 in the process that trains."""
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)


def trained(experiment, steps, request):
    engine = LocalEngine(900.0, Always(TORCH))
    run = engine.create(experiment)
    engine.poll(run, ViewRequest(frames=False))
    engine.step(run, steps)
    arms = engine.poll(run, request).arms
    assert [arm.step for arm in arms] == [steps] * len(arms)
    return arms


@pytest.fixture(scope="module")
def looked_at():
    """A flow of the page with everything that its screens measure of it, by whether a block is edited."""
    torch.set_flush_denormal(True)
    wanted = {
        "masses": True,
        "bounds": True,
        "activity": "all",
        "jacobians": of_flow.MAP,
        "point": POINT,
        "inversion": INVERSE,
    }
    request = ViewRequest(grid=of_flow.STILL, measured=wanted)
    return {edited: trained(SETUP.experiment(), STEPS, replace(request, edited=edited))[0] for edited in (None, EDITED)}


def says(kind, folder, lines, *arguments, files=None, **more):
    """That a program prints these lines, among others."""
    printed = takeaway.printed(PROGRAMS[kind](*arguments, **more), folder, files).splitlines()
    missing = [line for line in lines if line not in printed]
    assert lines and not missing, f"{missing} is not in {printed}"


def run_of(arm, edited=None):
    return Run.of(SETUP, changes=arm.changes, step=STEPS, fingerprint=arm.fingerprint, edited=edited)


def test_density(looked_at, tmp_path):
    arm, edited = looked_at[EDITED], EDITED
    mass = arm.found(Masses).exact
    lines = [
        f"Largest density on the grid: {arm.frame.density.max():.5g} per unit of area",
        f"Mass of the density: {mass.value:.4f} ± {mass.error:.4f}",
        f"In the window: {100 * mass.window / mass.value:.2f} %",
    ]
    says("density", tmp_path, lines, run_of(arm, edited))


def test_point(looked_at, tmp_path):
    arm = looked_at[None]
    at = arm.found(AtPoint)
    lines = [f"Block {k}, log det(I + A): {value:.6f}" for k, value in enumerate(at.terms.log_dets, 1)]
    lines += [
        f"log N(z; 0, I): {at.terms.log_normal:.6f}",
        f"ActNorms: {at.terms.actnorm:.6f}",
        f"log p(x): {at.terms.log_prob:.6f} nats",
        f"log p of the data: {at.true_log_prob:.6f} nats",
    ]
    pairs = enumerate(zip(at.means, at.deviations, strict=True), 1)
    lines += [f"Block {k}, estimate: {mean:.6f}, standard deviation {off:.6f}" for k, (mean, off) in pairs]
    says("point", tmp_path, lines, run_of(arm), POINT)


def test_certificate(looked_at, tmp_path):
    arm, edited = looked_at[EDITED], EDITED
    certified, seen, whole = arm.blocks.layer_norms.prod(1), arm.blocks.largest_norm, arm.found(Bounds).guarantees
    pairs = enumerate(zip(certified, seen, strict=True), 1)
    lines = [f"Block {k}: certified {one:.5f}, observed {other:.5f}" for k, (one, other) in pairs]
    for name in ("stretch", "log_det", "log_prob"):
        of = getattr(whole, name)
        lines.append(f"{name}: between {of.low:.5g} and {of.high:.5g}, seen {of.seen_low:.5g} to {of.seen_high:.5g}")
    says("certificate", tmp_path, lines, run_of(arm, edited))


def test_inverse(looked_at, tmp_path):
    arm, edited = looked_at[EDITED], EDITED
    found = arm.found(Inversions).found
    walk = found.walks["banach"]
    lines = [
        f"Block {found.block + 1}, certified bound s L: {found.lipschitz:.5g}",
        f"Smallest det(I + s A): {found.det.min():.5g}",
        f"It folds at s = {found.breaking[found.block]:.5g}",
        f"x found for this z: {len(found.preimages)}",
        *(f"n = {n}: x = ({walk.x[n, 0]:.6f}, {walk.x[n, 1]:.6f}), residual {walk.residual[n]:.3g}" for n in range(4)),
    ]
    says("inverse", tmp_path, lines, run_of(arm, edited), INVERSE)


PULLS = {
    "weight": Edited(1, 1.5, (Change("bias", 0, 2, 0.7), Change("weight", 0, 3, 4.0, 1))),
    "row": Edited(0, 1.0, (Change("weight", 1, 0, 2.0, 1), Change("row", 1, 1, 5.0))),
    "bias": Edited(1, 1.0, (Change("bias", 1, 1, -0.8),)),
}


@pytest.mark.parametrize("pull", PULLS)
def test_weights(pull, tmp_path):
    """The numbers that stand beside the network, from the pieces that the page draws."""
    edited = PULLS[pull]
    block = edited.block
    request = ViewRequest(frames=False, measured={"masses": True, "edits": EditsRequest(block)}, edited=edited)
    (arm,) = trained(SETUP.experiment(), STEPS, request)
    shown, mass = arm.found(Edits), arm.found(Masses)
    assert mass.edited == shown.edited == edited
    found = weighed(shown, SETUP.dataset.window, mass.exact)
    trained_bound, now = found.certified
    lines = [
        f"Product of the norms of all layers: {trained_bound:.6g} as trained, {now:.6g} now",
        f"Bound s L: {found.bound:.6g}",
        f"Smallest det(I + s A): {found.smallest_det:.6g}",
        f"It folds at s = {found.folds_at:.6g}",
        f"Steps from z back to x: {found.most_steps} at most, too many for {found.late} of {found.places} z",
        f"Moved: {100 * found.moved:.3f} % of the probability",
        f"Mass of the density: {mass.exact.value:.4f} ± {mass.exact.error:.4f}",
    ]
    pulled = found.pulled
    k, title = pulled.change.layer + 1, {"weight": "The weight", "row": "Norm of the row", "bias": "The bias"}[pull]
    lines += [
        f"Norm of layer {k}, before the constraint: {pulled.norm_trained:.6g} as trained, {pulled.norm_asked:.6g} now",
        f"Norm of layer {k}, cap {pulled.cap:.6g}: {pulled.norm_before:.6g} as trained, {pulled.norm_left:.6g} now",
        f"{title}: {pulled.trained:.6g} as trained, {pulled.left:.6g} now"
        if pull == "bias"
        else f"{title}, as the layer uses it: {pulled.before:.6g} as trained, {pulled.left:.6g} now",
    ]
    assert pulled.capped == (pull != "bias")
    says("weights", tmp_path, lines, run_of(arm, edited), block)


def test_units(looked_at, tmp_path):
    arm = looked_at[None]
    found = arm.found(Activity)
    both = found.split.residual
    lines = [
        f"Saturated: {100 * found.saturation.overall:.4f} % of all units",
        *(f"Block {k}: {100 * share:.4f} %" for k, share in enumerate(found.saturation.by_block, 1)),
        f"Norm of the gradient of the log det: {float(both.log_det):.5g}",
        f"Norm of the gradient of log N(z): {float(both.base):.5g}",
        f"Cosine between both: {float(both.cosine):.4f}",
    ]
    says("units", tmp_path, lines, run_of(arm))


def test_plane(looked_at, tmp_path):
    arm, bench = looked_at[None], Bench(n_terms=3, probe="rademacher", n_probes=2, law=Geometric(0.9, 1))
    of = HashedJacobians(arm.found(Jacobians))
    deviation, bias = (field(of, replace(bench, map=name)) for name in ("deviation", "bias"))
    finite = torch.from_numpy(deviation.value[~deviation.infinite])
    lines = [
        f"Largest spectral radius: {deviation.radius.max():.5f}",
        f"Nodes with infinite variance: {100 * (deviation.radius**2 > bench.law.tail_ratio).mean():.3f} %",
        f"Median deviation where it is finite: {float(finite.median()):.5g} nats",
        f"Bias: {bias.value.min():.5g} to {bias.value.max():.5g} nats",
    ]
    says("plane", tmp_path, lines, run_of(arm), bench)


@pytest.mark.parametrize(("of", "quantity"), [("matrix", "log_det"), ("flow", "neumann")])
def test_settings(of, quantity, looked_at, tmp_path):
    arm, bench = looked_at[None], Bench(subject=of, quantity=quantity, entry="21", n_draws=2, law=Geometric(0.3, 2))
    subject = sweeps.subject_of(bench, arm.found(Jacobians))

    def product(law, n_draws=2):
        found = sweeps.cost(subject, law, bench.probe, 1, n_draws)
        assert found.terms == expected_terms(law, n_draws)
        return found

    now, other, best = product(bench.law), product(Geometric(0.5, 3)), product(sweeps.optimum(subject, bench), 1)
    lines = [
        f"Variance as it is set: {now.total:.5g} nats^2, {now.terms:.4g} terms, product {now.product:.5g}",
        f"3 exact, p = 0.5: {other.total:.5g} nats^2, product {other.product:.5g}",
        f"Product with the best law: {best.product:.5g} nats^2",
        f"Cut after 3 terms: bias {subject.bias(3):.5g}",
    ]
    says("settings", tmp_path, lines, bench, run_of(arm) if of == "flow" else None)


@pytest.mark.parametrize(("of", "quantity"), [("matrix", "plain"), ("flow", "log_det")])
def test_batch(of, quantity, looked_at, tmp_path):
    arm, bench = looked_at[None], Bench(subject=of, quantity=quantity, n_probes=2, batch=16, n_terms=2)
    subject = sweeps.subject_of(bench, arm.found(Jacobians))
    found = sweeps.across_batches(subject, bench)
    (at,) = np.flatnonzero(found.sizes == 16)
    lines = [
        f"B = 16, N of its own: {found.own[at]:.5g} nats",
        f"B = 16, one N for all: {found.shared[at]:.5g} nats",
        f"B = 16, cut after 2 terms: {found.truncated[at]:.5g} nats",
    ]
    says("batch", tmp_path, lines, bench, run_of(arm) if of == "flow" else None)


def test_step(tmp_path):
    engine = LocalEngine(900.0, Always(TORCH))
    run = engine.create(SETUP.experiment())
    engine.poll(run, ViewRequest(frames=False))
    engine.step(run, 20)
    engine.poll(run, ViewRequest(frames=False))
    later = replace(ROULETTE, batch=50)
    engine.change(run, 0, later)
    engine.step(run, 1, in_parts=True)
    (arm,) = engine.poll(run, ViewRequest()).arms
    found = arm.parts.numbers
    means = {"Loss": found.loss, "Exact log det": found.true_log_det, "Gain by the step": found.gain}
    lines = [f"{name}: {of.value:.5f} ± {of.error:.5f} nats" for name, of in means.items()]
    lines += [
        f"Norm of the gradient: {found.gradient_norm:.5g}",
        f"Norm of the gradient by the exact log det: {found.true_gradient_norm:.5g}",
        f"Learning rate: {found.learning_rate:.5g}, norm of the update: {found.update_norm:.5g}",
        f"Cosine between the update and the negative gradient: {found.update_cosine:.4f}",
    ]
    says("step", tmp_path, lines, Run.of(SETUP, changes=arm.changes, step=21))


@pytest.mark.parametrize("suspect", ["none", "b"])
def test_estimate(suspect, tmp_path):
    bench = Bench(suspect=suspect, seed=4, probe="sphere", matrix=(0.2, 0.1, 0.0, -0.3, 0.1, 0.4, 0.2, 0.0, 0.1))
    sample, remainders = Sample(bench, 5_000), numbers.remainders_of(bench)
    sample.go_on()
    found, noise = numbers.by_hand(bench, remainders), numbers.noise(bench, remainders)
    mean = numbers.SampleMean.of(sample.values, found.truth)
    lines = [
        f"Mean of the draws: {mean.mean:.7g} ± {mean.error:.2g} nats",
        f"Truth, log det(I + A): {found.truth:.7g} nats",
        f"Standard deviation of one draw: {noise.deviation:.6g} nats",
        f"Variance by random stopping: {found.by_stopping:.6g} nats^2",
        f"Bias of the series cut after 5 terms: {found.bias:.6g} nats",
    ]
    plane = Bench()
    factor = numbers.density(plane, numbers.by_hand(plane, numbers.remainders_of(plane)).truth).log_factor
    says("estimate", tmp_path, [f"E exp(estimate) / det(I + A): {np.exp(factor):.6g}"], plane, 10)
    says("estimate", tmp_path, lines, bench, 5_000)


def test_coins(tmp_path):
    """Of all draws one after the other, each worked out by hand: v'A^k v with v = (1, sign)."""
    bench = Bench(matrix=(0.4, 0.2, -0.1, 0.3), law=Geometric(0.5, 1), probe="rademacher")
    n, signs = parsed("2+ 1- 4- 2+ 1+ 3- 2- 1-", 1)
    found = []
    for terms, sign in zip(n, signs, strict=True):
        v, power, total = np.array([1.0, sign]), np.eye(2), 0.0
        for k in range(1, terms + 1):
            power = power @ bench.array
            total += (-1) ** (k + 1) / k * (v @ power @ v) / 0.5 ** (k - 1)
        found.append(total)
    truth = np.linalg.slogdet(np.eye(2) + bench.array)[1]
    mean = numbers.SampleMean.of(np.array(found), truth)
    lines = [
        f"Mean of the 8 draws: {mean.mean:.7g} ± {mean.error:.2g} nats",
        f"Truth, log det(I + A): {truth:.7g} nats",
    ]
    says("coins", tmp_path, lines, bench, Counter(zip(n.tolist(), signs.astype(int).tolist(), strict=True)))


def test_throws(tmp_path):
    thrown = np.repeat([1, 2, 3, 5], [4, 2, 1, 1])
    lines = [
        f"Mean of 8 rows of throws: {thrown.mean():.4f} ± {thrown.std(ddof=1) / 8**0.5:.4f}",
        "Expected of a fair coin: 2.0000",
        "3 throws or more: 25.0 % of the rows, 25.0 % expected",
    ]
    says("throws", tmp_path, lines, Counter(thrown.tolist()))
    with pytest.raises(ValueError, match="1 rows of throws"):
        PROGRAMS["throws"]({4: 1})


def over_seeds(label, name, values):
    found = band([float(value) for value in values])
    return f"{label}, {name}: {found.mean:.4f} ({found.low:.4f} to {found.high:.4f})"


def test_comparison(tmp_path):
    train = TrainConfig(batch=60, log_det=Truncated(3))
    arms = {
        "i-ResNet": Arm(SMALL, train, "moons", ((6, replace(train, learning_rate=0.001)),)),
        "realnvp": Arm(BaselineConfig(transforms=2, width=8), TrainConfig(batch=60), "moons"),
    }
    seeded = tuple(replace(arm, seed=seed) for arm in arms.values() for seed in (7, 8))
    reports = trained(Experiment(seeded, 7), 12, ViewRequest(frames=False))
    lines = []
    for label, curves in zip(arms, ([arm.loss for arm in reports[:2]], [arm.loss for arm in reports[2:]]), strict=True):
        lines += [
            over_seeds(label, "NLL", [curve.held_nll[-1] for curve in curves]),
            over_seeds(label, "KL(data || flow)", [curve.held_kl[-1] for curve in curves]),
        ]
    lines.append(over_seeds("i-ResNet", "bias of log p", [arm.loss.held_bias[-1] for arm in reports[:2]]))
    says("comparison", tmp_path, lines, arms, (7, 8), 12)


def test_joint_models(tmp_path):
    arms = {
        "flow": Arm(HybridConfig(SMALL), HybridTrainConfig(weight=0.5, batch=60), "moons"),
        "plain": Arm(HybridConfig(None, width=8, hidden_layers=2), HybridTrainConfig(weight=0.0, batch=60), "moons"),
    }
    reports = trained(Experiment(tuple(arms.values()), 2), 12, ViewRequest(frames=False, measured={"far": True}))
    lines = []
    for label, report in zip(arms, reports, strict=True):
        scores, far = report.loss.classified, report.found(FarAway).found
        at = int(np.abs(far.distance - joint_numbers.CIRCLE).argmin())
        lines += [
            over_seeds(label, "accuracy, %", [100 * scores.accuracy.value]),
            over_seeds(label, "-log p(y|x)", [scores.nll.value]),
            over_seeds(label, "calibration error (ECE)", [scores.reliability.ece]),
            over_seeds(label, "NLL", [report.loss.held_nll[-1]]),
            over_seeds(label, "confidence far away, %", [100 * far.confidence[at]]),
            over_seeds(label, "log p(x) far away", [far.log_prob[at]]),
        ]
    says("comparison", tmp_path, lines, arms, (2,), 12)


def test_few_labels(tmp_path, monkeypatch):
    """A cell with noise, of a table that is made as the stored one, of few steps."""
    few = {"SMALL_STEPS": 64, "LABELS_FLOW": SMALL, "TRAIN": TrainConfig(batch=20), "SETS": joint_evidence.SETS[1:2]}
    for name, value in few.items():
        monkeypatch.setattr(joint_evidence, name, value)
    made = joint_evidence.make_labels(small=True)
    cell = joint_evidence.few_told(Stored("joint-labels", made.found, made.settings, made.seeds, made.backend, ""))
    assert cell.noise > 0
    says("few labels", tmp_path, [f"Accuracy: {cell.accuracy:.4f} %"], cell)


def test_scaling(tmp_path):
    plan = Plan(FlowConfig(blocks=1, width=8), TrainConfig(log_det=Roulette(), batch=8), (2, 4), 4, 4)
    experiment = Experiment((Arm(plan.flow, plan.train, plan),), 5)
    (arm,) = trained(experiment, len(plan.pieces), ViewRequest(frames=False, measured={"results": True}))
    lines = []
    for at in arm.found(Scaling).found:
        for name, of in (("added variance", at.variance), ("variance of the batch", at.sampling)):
            lines.append(f"d = {at.dim}, {name}: {of.value:.4f} ± {of.standard_error:.4f}")
    says("scaling", tmp_path, lines, plan, 5)


def test_memory(tmp_path):
    plan = SurveyPlan(replace(SMALL, blocks=1, dim=2), 8, 2, 3)
    subjects = Subjects(plan)
    survey = Survey(plan, tuple(subjects.piece(k) for k in range(plan.pieces)))
    titles = {"plain": "Term by term", "in_forward": "Neumann, in the forward pass"}
    lines = []
    for name, title in titles.items():
        place = Place(name, plan.terms, plan.flow.blocks)
        variance = survey.costs[place].variance
        lines.append(f"{title}: {int(survey.bytes_at(place, 'peak', True)):,} bytes")
        lines.append(f"{title}, variance: {variance.value:.4f} ± {variance.standard_error:.4f}")
    says("memory", tmp_path, lines, plan)


def test_digits(tmp_path):
    arm = Arm(FlowConfig(blocks=1, width=16, dim=64), TrainConfig(log_det=Roulette(shared=True), batch=32), DIGITS)
    (report,) = trained(Experiment((arm,), 6), 5, ViewRequest(frames=False, measured={"results": True}))
    curve = report.found(BitsCurve)
    line = f"Flow: {curve.bits[-1]:.4f} ± {curve.error[-1]:.4f} bits per dimension"
    says("digits", tmp_path, [line], arm, 6, 5)


@pytest.mark.parametrize(("kind", "base"), [("linear map", "square"), ("residual block", "normal")])
def test_maps(kind, base, tmp_path):
    bench = Stretch(map="linear" if kind == "linear map" else "residual", matrix=(1.5, 0.2, -0.4, 0.9), base=base)
    found = follow(bench)
    masses = {"over x": total(bench.f, base, False), "of p_base(f(x))": total(bench.f, base, True)}
    assert masses["of p_base(f(x))"].value != pytest.approx(masses["over x"].value, abs=0.01)
    lines = [
        f"z = ({found.z[0]:.6f}, {found.z[1]:.6f})",
        f"|det J|: {found.factor:.6f}",
        f"log p(x): {np.log(found.density):.6f} nats",
        *(f"Mass {name}: {of.value:.4f} ± {of.error:.4f}" for name, of in masses.items()),
    ]
    by = Quadrature(BASES[base].radius, BASES[base].cells, TURN)
    of_map = (bench.matrix,) if kind == "linear map" else (bench.strength, bench.frequency)
    says(kind, tmp_path, lines, *of_map, base, bench.point, by)


def test_activations(tmp_path):
    names = ("elu", "lipswish", "=sin(2*z)/2")
    lines = []
    for name in names:
        found = measured(name)
        slope = found.constant
        lines.append(f"{name}: largest slope found {slope.found:.6f}, claimed {slope.claimed:.6f}")
        lines.append(f"{name} starves the log det: {found.verdict is Verdict.STARVES}")
    assert "elu starves the log det: True" in lines
    says("activations", tmp_path, lines, names)


def test_norm(tmp_path):
    found = induced((1.0, 0.6, -0.4, 0.8), 1.5, 3.0)
    assert not found.exact
    lines = [f"Upper bound: {found.upper:.6g}", f"Largest value found: {found.lower:.6g}"]
    says("norm", tmp_path, lines, (1.0, 0.6, -0.4, 0.8), 1.5, 3.0)


# --- whole runs -------------------------------------------------------------------------------------------------------


TRAIN = TrainConfig(batch=60, warmup=10)
TABLE = Table("mine", ("a", "b"), np.random.default_rng(3).normal(size=(90, 2)) * [4, 0.01] + [1, 2])
REQUEST = ViewRequest(frames=False, measured={"masses": True})
SAVE = '\nopen("flow.safetensors", "wb").write(rf.to_bytes(trainer.evaluated))\n'


WEIGHTS = flow_file.to_bytes(SMALL.build(torch.Generator().manual_seed(8)))
RUNS = {
    "planned": (
        Setup("moons", 3, flow=SMALL, train=TRAIN, changes=((8, TrainConfig(learning_rate=0.002, batch=40)),)),
        (),
    ),
    "by hand, roulette": (
        Setup("8gaussians", 1, flow=SMALL, train=TrainConfig(log_det=Roulette(), batch=60)),
        ((8, TrainConfig(log_det=Roulette(n_probes=2), batch=30)), (14, TrainConfig(average=0.0, weight_decay=0.1))),
    ),
    "own points, i-ResNet": (
        Setup(
            seed=2,
            flow=FlowConfig(blocks=2, width=8, constraint=Power()),
            train=TrainConfig(log_det=Truncated(3), batch=40),
            own=OwnData(CsvChoice("m", "", "a", "b"), TABLE),
        ),
        (),
    ),
    "saved weights": (
        Setup("moons", 4, flow=SMALL, train=TRAIN, start=SavedFlow(FlowFile("a", "0"), WEIGHTS)),
        (),
    ),
}  # fmt: skip


def run_by_hand(setup, by_hand):
    """The last report of the page's run, and its flow as a file. Changes `by_hand` are made while it rests."""
    engine = LocalEngine(600.0, Always(TORCH))
    run = engine.create(setup.experiment())
    engine.poll(run, REQUEST)
    done = 0
    for step, train in by_hand:
        engine.step(run, step - done)
        engine.poll(run, REQUEST)
        engine.change(run, 0, train)
        done = step
    engine.step(run, 1, in_parts=True)
    engine.poll(run, REQUEST)
    engine.step(run, STEPS - done - 1)
    (arm,) = engine.poll(run, REQUEST).arms
    assert arm.step == STEPS
    return arm, engine.export(run, 0)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_has_the_same_weights_and_the_same_numbers(name, tmp_path):
    setup, by_hand = RUNS[name]
    arm, flow = run_by_hand(setup, by_hand)
    shown = readouts(setup.dataset, arm.train.log_det, arm)
    how = {"step": STEPS, "readouts": shown, "fingerprint": arm.fingerprint}
    program = of_run(setup, changes=arm.changes or None, **how)
    printed = takeaway.printed(program + SAVE, tmp_path, files(Run.of(setup, step=STEPS)))
    assert (tmp_path / "flow.safetensors").read_bytes() == flow
    curves, mass = arm.loss, arm.found(Masses)
    expected = {"Held-out NLL": (curves.held_nll[-1], curves.held_se[-1])}
    if setup.dataset.truth:
        expected["Gap to the truth, KL(data || model)"] = (curves.held_kl[-1], curves.held_kl_se[-1])
    if isinstance(arm.train.log_det, Truncated):
        expected["Bias of log p as training sees it"] = (curves.held_bias[-1], curves.held_bias_se[-1])
    expected["Mass of the density"] = (mass.exact.value, mass.exact.error)
    if mass.believed:
        expected["Mass that training believes in"] = (mass.believed.value, mass.believed.error)
    assert found(printed) == {name: tuple(f"{part:.4f}" for part in pair) for name, pair in expected.items()}
    assert shown[0].value in program and shown[0].error in program


def found(printed: str) -> dict[str, tuple[str, str]]:
    """The lines "name: value ± error"."""
    lines = re.findall(r"^(.+): (\S+) ± (\S+)", printed, re.MULTILINE)
    return {name: (value, error) for name, value, error in lines}


@pytest.mark.slow
def test_a_program_runs_where_nothing_is_installed_but_what_its_head_names(tmp_path):
    setup = Setup("moons", 5, flow=SMALL, train=TRAIN)
    program = of_run(setup, step=STEPS)
    assert takeaway.run(program, tmp_path) == takeaway.printed(program, tmp_path)
