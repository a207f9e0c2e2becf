"""The kernels that numba compiles against the formulas in float64 and autograd, tensor by tensor."""

import builtins
import copy
import math
import shutil
import traceback
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from numba import njit

from resflow_core.activations import ACTIVATIONS, curvature
from resflow_core.data import DATASETS
from resflow_core.fast import compiled
from resflow_core.fast.kernel import activations, entries, numbers
from resflow_core.fixed_point import NotConverged
from resflow_core.flow import FlowConfig, Uncertified
from resflow_core.hybrid import HybridConfig
from resflow_core.lipschitz import Soft
from resflow_core.log_det import Exact, Truncated
from resflow_core.norms.constraints import Hard, Off
from resflow_core.residual import Stack
from resflow_core.training.flat_parameters import FlatParameters
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer
from tests.core.oracles import points
from tests.core.plain_flow import built, by_autograd
from tests.covering import covering, in_turn

# Of float32, with sums over points and units.
TOLERANCE = 2e-5
NAMES = [name for name, known in ACTIVATIONS.items() if known.is_elementwise and known.function in activations.KINDS]
# Kernels differ by the number of layers, and work on tiles of points. What an activation computes, they call.
SHAPES = {"blocks": [1, 5], "hidden_layers": [1, 2, 3], "width": [5, 32], "actnorm": [True, False]}
ROWS = in_turn(covering(SHAPES | {"constraint": [Soft(), Hard()], "batch": [1, 32, 77]}), activation=NAMES)


def test_all_smooth_element_wise_activations_have_a_kernel():
    assert set(NAMES) == set(ACTIVATIONS) - {"clipswish", "cpila", "maxmin"}


@pytest.mark.thorough
@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(str(level) for level in row.values()))
def test_loss_and_gradient_are_those_of_autograd_in_double_precision(row):
    settings = dict(row)
    flow, x = built(**{name: settings[name] for name in settings if name != "batch"}), points(settings["batch"], 2)
    loss, expected = by_autograd(flow, x)
    flow = flow.float()
    parameters, gradients = FlatParameters(flow).stacked()
    for gradient in gradients.values():
        gradient.fill_(torch.nan)
    exact_nll = compiled.CompiledNLL(flow, parameters, gradients)
    for _ in range(2):  # what the first call left in its arrays must not be in the second
        nll = exact_nll(x.float())
    places = {view.data_ptr(): gradients[name][k] for name, views in parameters.items() for k, view in enumerate(views)}
    assert float(nll) == pytest.approx(float(loss), rel=TOLERANCE, abs=TOLERANCE)
    whole = math.sqrt(sum(float(g.square().sum()) for g in expected.values() if g is not None))
    for name, parameter in flow.named_parameters():
        exact = torch.zeros_like(parameter) if expected[name] is None else expected[name]
        difference = torch.linalg.vector_norm(places[parameter.data_ptr()].double() - exact)
        assert float(difference) < TOLERANCE * whole, name


@pytest.mark.thorough
@pytest.mark.parametrize("log_det", [Exact(), Truncated()], ids=str)
def test_training_is_that_by_torch(log_det):
    config, train = FlowConfig(blocks=4, width=16), TrainConfig(batch=100, log_det=log_det)
    ours, torchs = (Trainer(config, train, DATASETS["moons"], seed=0, backend=name) for name in ("numba", "torch"))
    losses = np.array([(ours.step(), torchs.step()) for _ in range(30)])
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-3)
    for a, b in zip(ours.flow.parameters(), torchs.flow.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3)


def test_the_same_seed_gives_the_same_run():
    config = FlowConfig(blocks=3, width=8)
    one, other = (Trainer(config, TrainConfig(), DATASETS["moons"], seed=1, backend="numba") for _ in range(2))
    assert [one.step() for _ in range(5)] == [other.step() for _ in range(5)]


@pytest.mark.parametrize(
    ("settings", "backend"),
    [
        ({}, "numba"),
        ({"constraint": Off()}, "numba"),  # whose weights torch makes
        ({"activation": "maxmin"}, "torch"),
        ({"activation": "=sin(z)/2 + z/4"}, "torch"),
        ({"norms": "learned"}, "numba"),
    ],
)
def test_kernels_train_what_they_have_and_torch_the_rest(settings, backend):
    config = FlowConfig(blocks=2, width=8, **settings)
    trainer = Trainer(config, TrainConfig(batch=16), DATASETS["moons"], seed=0, backend="numba")
    assert trainer.backend == backend
    trainer.step()


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="backend = 'abacus': use one of torch, numba"):
        Trainer(FlowConfig(blocks=2), TrainConfig(), DATASETS["moons"], seed=0, backend="abacus")


def test_without_numba_torch_trains_and_who_asks_for_it_is_told_what_to_install(monkeypatch):
    imported = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith(("numba", "resflow_core.fast.kernel")):
            raise ModuleNotFoundError(f"No module named {name!r}", name="numba")
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    compiled._kernel.cache_clear()
    Trainer(FlowConfig(blocks=2, width=8), TrainConfig(batch=16), DATASETS["moons"], seed=0).step()
    with pytest.raises(ModuleNotFoundError, match=r"pip install numba scipy filelock"):
        Trainer(FlowConfig(blocks=2, width=8), TrainConfig(), DATASETS["moons"], seed=0, backend="numba")


def valued(**settings):
    """A flow that is far from where it begins, in double precision by torch, and the same by kernels."""
    flow = built(**settings)
    exact = copy.deepcopy(flow)
    flow = flow.float()
    flow.kernels = compiled.CompiledValues(flow)
    return exact, flow


VALUE_ROWS = in_turn(
    covering(SHAPES | {"budget": [0.5, 0.99], "norms": ["2", "learned"], "batch": [1, 32, 301]}), activation=NAMES
)


@pytest.mark.parametrize("row", VALUE_ROWS, ids=lambda row: " ".join(str(level) for level in row.values()))
class TestValues:
    """What needs no gradient, by kernels, against the same flow in double precision."""

    def made(self, row, monkeypatch):
        settings = dict(row)
        exact, flow = valued(**{name: settings[name] for name in settings if name != "batch"})
        monkeypatch.setattr(Stack, "network", refused_outside(compiled, Stack.network))
        return exact, flow, 2 * points(settings["batch"], 2)

    @pytest.mark.thorough
    def test_density_jacobians_and_stages(self, row, monkeypatch):
        exact, flow, x = self.made(row, monkeypatch)
        with torch.no_grad():
            log_prob, (z, jacobians), stages = (
                flow.log_prob(x.float()),
                flow.forward_and_jacobians(x.float()),
                flow.stages(x.float()),
            )
            monkeypatch.undo()
            torch.testing.assert_close(log_prob.double(), exact.log_prob(x), atol=5e-5, rtol=1e-5)
            for ours, its in zip((z, jacobians), exact.forward_and_jacobians(x), strict=True):
                torch.testing.assert_close(ours.double(), its, atol=2e-5, rtol=1e-5)
            for ours, its in zip(stages, exact.stages(x), strict=True):
                torch.testing.assert_close(ours.double(), its, atol=2e-5, rtol=1e-5)

    @pytest.mark.thorough
    def test_the_inverse_is_within_its_certificate(self, row, monkeypatch):
        settings = dict(row)
        exact, flow, z = self.made(row, monkeypatch)
        if settings["norms"] != "2":
            monkeypatch.undo()  # it is certified in other norms, by torch
        x = flow.inverse(z.float())
        monkeypatch.undo()
        budget, eps = settings["budget"], torch.finfo(torch.float32).eps
        # Each block is certified for itself; what it adds is stretched by those before it, far less than 30-fold
        # in such flows.
        allowed = 30 * 8 * eps * (1 + float(x.norm(dim=1).max())) / (1 - budget)
        assert float((exact.inverse(z) - x.double()).norm(dim=1).max()) < allowed
        torch.testing.assert_close(exact(x.double()).float(), z.float(), atol=1e-4, rtol=1e-4)


def refused_outside(module, network):
    """`Stack.network`, which fails when anything but `module` asks for it."""

    def refused(stack, *rest):
        callers = {frame.filename for frame in traceback.extract_stack()}
        assert module.__file__ in callers, "computed by torch"
        return network(stack, *rest)

    return refused


class TestPointsThatAreNone:
    def test_a_point_that_is_not_finite_has_no_density_and_others_keep_theirs(self):
        exact, flow = valued(blocks=4, width=8)
        x = points(40, 2)
        x[3, 0], x[7, 1], x[39] = torch.nan, torch.inf, 1e30
        with torch.no_grad():
            found = flow.log_prob(x.float())
        assert found.isnan()[[3, 7]].all() and not found[39].isfinite()
        sound = torch.ones(40, dtype=torch.bool)
        sound[[3, 7, 39]] = False
        torch.testing.assert_close(found[sound].double(), exact.log_prob(x)[sound].detach(), atol=5e-5, rtol=1e-5)

    def test_weights_that_are_not_finite_have_no_inverse(self):
        _, flow = valued(blocks=3, width=8)
        with torch.no_grad():
            flow.blocks[1].branch.linears[0].bias[2] = torch.nan
        with pytest.raises(NotConverged):
            flow.inverse(points(10, 2).float())

    def test_one_block_that_is_not_undone_is_enough_to_certify_nothing(self):
        """Of a block that folds whatever its bound is said to be: its neighbours, before and after it, are undone."""
        _, flow = valued(blocks=3, width=8)
        z = 3 * points(300, 2).float()
        assert flow.kernels.inverse(flow, z, [0.97] * 3) is not None
        for block in range(3):
            assert flow.kernels.inverse(flow.scaled(block, 20.0), z, [0.97] * 3) is None

    def test_no_points_at_all(self):
        _, flow = valued(blocks=2, width=8)
        with torch.no_grad():
            assert flow.log_prob(torch.empty(0, 2)).shape == (0,)
        assert flow.inverse(torch.empty(0, 2)).shape == (0, 2)

    def test_far_points_are_those_of_torch(self):
        exact, flow = valued(blocks=4, width=8)
        x = 900 * points(50, 2) / points(50, 2).abs().max()
        with torch.no_grad():
            assert flow.kernels.takes(flow, x.float())
            z = flow.forward_and_log_det(x.float())[0].double()
            torch.testing.assert_close(z, exact.forward_and_log_det(x)[0], rtol=1e-4, atol=1e-2)


class TestWeightsAtHand:
    """Values whose parameters are at hand, stacked, follow them, and those of no other flow."""

    @pytest.fixture
    def flow(self):
        trainer = Trainer(FlowConfig(blocks=3, width=8), TrainConfig(batch=64), DATASETS["moons"], 0, backend="numba")
        for _ in range(5):
            trainer.step()
        return trainer.evaluated

    @staticmethod
    def check(flow):
        x = 2 * points(50, 2).float()
        with torch.no_grad():
            by_kernel = flow.log_prob(x)
            kernels, flow.kernels = flow.kernels, None
            by_torch = flow.log_prob(x)
            flow.kernels = kernels
        torch.testing.assert_close(by_kernel, by_torch, rtol=TOLERANCE, atol=TOLERANCE)

    def test_they_are_used(self, flow, monkeypatch):
        monkeypatch.setattr(Stack, "network", lambda *_: pytest.fail("the weights were stacked anew"))
        with torch.no_grad():
            flow.log_prob(points(9, 2).float())

    @pytest.mark.parametrize("name", ["linears.0.raw", "linears.1.bias", "raw_scales"])
    def test_weights_that_change(self, flow, name):
        self.check(flow)
        dict(flow.branches[1].named_parameters())[name].data.mul_(1.5)
        self.check(flow)

    def test_a_copy_has_its_own(self, flow):
        copied = copy.deepcopy(flow)
        copied.branches[0].linears[0].raw.data.mul_(0.5)
        copied.actnorms[0].shift.data.add_(0.1)
        self.check(copied)
        self.check(flow)

    def test_a_scaled_branch(self, flow):
        self.check(flow.scaled(1, 0.5))
        flow.branches[2].scale = 0.3
        self.check(flow)

    def test_a_classifier_s_flow(self):
        config = HybridConfig(FlowConfig(blocks=2, width=8), 2)
        trainer = Trainer(config, HybridTrainConfig(batch=64), DATASETS["moons"], 0, backend="numba")
        trainer.step()
        self.check(trainer.evaluated)


class TestScaledBranches:
    def test_a_branch_that_is_scaled_has_its_density(self):
        exact, flow = valued(blocks=3, width=8)
        x = points(30, 2)
        with torch.no_grad():
            torch.testing.assert_close(
                flow.scaled(1, 3.0).log_prob(x.float()).double(), exact.scaled(1, 3.0).log_prob(x), atol=5e-5, rtol=1e-5
            )

    def test_and_without_a_bound_below_1_no_inverse(self):
        _, flow = valued(blocks=3, width=8)
        with pytest.raises(Uncertified):
            flow.scaled(1, 3.0).inverse(points(30, 2).float())


def test_gradients_are_those_by_torch():
    _, flow = valued(blocks=2, width=8)
    loss = -flow.log_prob(points(20, 2).float()).mean()
    assert all(g.isfinite().all() for g in torch.autograd.grad(loss, list(flow.parameters())))


class TestNumbers:
    """The elementary functions against float64, over their whole ranges."""

    def applied(self, function, x, outputs=1):
        @njit
        def apply(x, out):
            for i in range(len(x)):
                out[i] = function(x[i])

        x = x.astype(np.float32)
        out = np.empty((len(x), outputs) if outputs > 1 else len(x), np.float32)
        if outputs == 1:
            apply(x, out)
        else:
            pairs(x, out)
        return x.astype(float), out.astype(float)

    @pytest.mark.thorough
    def test_exp(self):
        x, found = self.applied(numbers.exp, np.linspace(-87, 87, 300_001))
        np.testing.assert_allclose(found, np.exp(x), rtol=2e-7)
        _, ends = self.applied(numbers.exp, np.array([-1e30, -100.0, 100.0, 1e30]))
        np.testing.assert_allclose(ends, np.exp([-87.0, -87.0, 87.0, 87.0]), rtol=2e-7)

    def test_log(self):
        x, found = self.applied(numbers.log, np.exp(np.linspace(-80, 80, 300_001)))
        np.testing.assert_allclose(found, np.log(x), rtol=2e-7, atol=1e-7)

    def test_sine_and_cosine(self):
        x, found = self.applied(numbers.sin_cos, np.linspace(-8_000, 8_000, 300_001), 2)
        np.testing.assert_allclose(found, np.stack([np.sin(x), np.cos(x)], 1), atol=5e-7)


@njit
def pairs(x, out):
    for i in range(len(x)):
        out[i, 0], out[i, 1] = numbers.sin_cos(x[i])


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_activations_are_those_of_torch(name):
    function = ACTIVATIONS[name].function
    t = torch.linspace(-60, 60, 2_561).float()
    found = np.empty((3, len(t)), np.float32)
    activations.activate(activations.KINDS[function], t.numpy(), *found)
    for ours, exact in zip(found, [*islice(function(t.double()), 2), curvature(function, t.double())], strict=True):
        np.testing.assert_allclose(ours, exact, atol=1e-5, rtol=1e-6)


def test_a_change_in_any_file_of_the_kernels_compiles_them_anew(tmp_path):
    """Numba keys its cache by a function's own file and free variables alone; it once served an old `block.py`."""
    folder = Path(entries.__file__).parent
    here = entries.digest(folder)
    key = entries.ENTRIES.gradients._cache._index_key
    signature, codegen = (), entries.ENTRIES.gradients.targetctx.codegen()
    for path in folder.glob("*.py"):
        copy = shutil.copytree(folder, tmp_path / path.stem, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / path.name).write_bytes(path.read_bytes().replace(b"ZERO", b"ONE") + b"\n")
        changed = entries.made(entries.digest(copy)).gradients
        assert changed._cache._index_key(signature, codegen) != key(signature, codegen), path.name
    same = entries.made(here).gradients
    assert same._cache._index_key(signature, codegen) == key(signature, codegen)
