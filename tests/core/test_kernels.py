"""The kernels that numba compiles, beside the laws of `test_laws`: where they take part and where not, points that are
none, what they keep, and what begins a process with them."""

import builtins
import copy
import dataclasses
import shutil
from pathlib import Path

import numba
import numpy as np
import pytest
import torch
from numba import njit

from resflow_core.data import DATASETS
from resflow_core.fast import compiled
from resflow_core.fast.kernel import entries, numbers
from resflow_core.fixed_point import NotConverged
from resflow_core.flow import FlowConfig, Uncertified
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Drawn, Exact, Roulette, Truncated, drawn
from resflow_core.norms.constraints import Off
from resflow_core.training import compilation
from resflow_core.training.compilation import Disagrees, check
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer
from tests.core.oracles import built, papers, points, seeded

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 2e-5  # of float32, with sums over points and units
BOUND = 5.0  # standard errors
SMALL = FlowConfig(blocks=2, width=8)


def trainer(config=SMALL, train=None, backend="numba"):
    return Trainer(config, train or TrainConfig(batch=60), DATASETS["moons"], seed=0, backend=backend)


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "train"),
    [
        (FlowConfig(blocks=4, width=16), TrainConfig(batch=100)),
        (FlowConfig(blocks=4, width=16), TrainConfig(batch=100, log_det=Truncated())),
        # Whose weights torch makes.
        (dataclasses.replace(SMALL, constraint=Off()), TrainConfig(batch=60, log_det=Roulette())),
        (dataclasses.replace(SMALL, norms="learned"), TrainConfig(batch=60, log_det=Roulette())),
        (dataclasses.replace(SMALL, norms="inf"), TrainConfig(batch=60)),
        (HybridConfig(SMALL, 2), HybridTrainConfig(batch=60, log_det=Roulette(), weight=0.7)),
        (HybridConfig(SMALL, 2), HybridTrainConfig(batch=60, weight=0.7)),
    ],
    ids=["exact", "truncated", "no constraint", "learned norms", "another norm", "hybrid", "hybrid, exact"],
)
def test_training_is_that_by_torch(config, train):
    ours, torchs = (trainer(config, train, backend) for backend in ("numba", "torch"))
    assert (ours.backend, torchs.backend) == ("numba", "torch")
    losses = np.array([(ours.step(), torchs.step()) for _ in range(8)])
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-3)
    assert len(set(losses[:, 0])) == 8
    for a, b in zip(ours.model.parameters(), torchs.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=3e-3, rtol=1e-2)  # a rate of 0.01, and Adam divides by small numbers


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_a_change_of_the_training_estimator_is_taken_up_at_once(backend):
    one = trainer(backend=backend)
    parameters = [parameter.clone() for parameter in one.flow.parameters()]
    for log_det in (Exact(), Truncated(), Exact()):
        one.configure(dataclasses.replace(one.train_config, log_det=log_det))
        one.step()
        now = [parameter.clone() for parameter in one.flow.parameters()]
        assert all(not torch.equal(a, b) for a, b in zip(parameters, now, strict=True))
        parameters = now


@pytest.mark.parametrize("settings", [{"activation": "maxmin"}, {"activation": "=sin(z)/2 + z/4"}, {"dim": 3}])
def test_torch_trains_what_kernels_have_not_got(settings):
    config = FlowConfig(blocks=2, width=8, **settings)
    assert not compiled.evaluates(config.build(seeded(0)))
    assert not compilation.trains(config, TrainConfig()) and compilation.trains(SMALL, TrainConfig())


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="backend = 'abacus': use one of torch, numba"):
        trainer(backend="abacus")


def test_without_numba_torch_trains_and_who_asks_for_it_is_told_what_to_install(monkeypatch):
    imported = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith(("numba", "resflow_core.fast.kernel")):
            raise ModuleNotFoundError(f"No module named {name!r}", name="numba")
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    compiled._kernel.cache_clear()
    Trainer(SMALL, TrainConfig(batch=16), DATASETS["moons"], seed=0).step()
    with pytest.raises(ModuleNotFoundError, match=r"pip install numba scipy filelock"):
        trainer()


def test_all_that_is_drawn_at_once_is_what_blocks_draw_one_after_the_other():
    x, estimator, generator = points(9, 2), Roulette(n_draws=2, n_probes=2), seeded(1)
    together = estimator.draw(x, seeded(1), 3)
    for block, of_block in enumerate(together.each()):
        alone = estimator.draw(x, generator)
        assert torch.equal(alone.u[0], of_block.u[0]) and torch.equal(alone.probes[0], together.probes[block])
        assert torch.equal(alone.coefficients.value, of_block.coefficients.value)
    assert isinstance(drawn(estimator, 3, x, seeded(1)), Drawn)


# --- values -----------------------------------------------------------------------------------------------------------


def valued(**settings):
    """A flow that is far from where it begins, in double precision by the paper's files, and the same by kernels."""
    flow = built(**{"width": 8, **settings})
    exact, flow = papers(flow), flow.float()
    flow.values = compiled.CompiledValues(flow)
    return exact, flow


class TestEdges:
    def test_a_point_that_is_not_finite_has_no_density_and_others_keep_theirs(self):
        exact, flow = valued(blocks=4)
        x = points(40, 2)
        x[3, 0], x[7, 1], x[39] = torch.nan, torch.inf, 1e30
        with torch.no_grad():
            found = flow.log_prob(x.float())
        assert found.isnan()[[3, 7]].all() and not found[39].isfinite()
        sound = torch.ones(40, dtype=torch.bool)
        sound[[3, 7, 39]] = False
        torch.testing.assert_close(found[sound].double(), exact.log_prob(x)[sound].detach(), atol=5e-5, rtol=1e-5)

    def test_weights_that_are_not_finite_have_no_inverse(self):
        _, flow = valued(blocks=3)
        with torch.no_grad():
            flow.blocks[1].branch.linears[0].bias[2] = torch.nan
        with pytest.raises(NotConverged):
            flow.inverse(points(10, 2).float())

    def test_one_block_that_is_not_undone_is_enough_to_certify_nothing(self):
        """Of a block that folds whatever its bound is said to be: its neighbours, before and after it, are undone."""
        _, flow = valued(blocks=3)
        z = 3 * points(300, 2).float()
        assert flow.values.inverse(flow, z, [0.97] * 3) is not None
        for block in range(3):
            assert flow.values.inverse(flow.scaled(block, 20.0), z, [0.97] * 3) is None

    @pytest.mark.parametrize("activation", ["sine", "tanh", "silu"])
    def test_far_points_are_those_of_torch(self, activation):
        exact, flow = valued(blocks=4, activation=activation)
        x = 900 * points(50, 2) / points(50, 2).abs().max()
        with torch.no_grad():
            assert flow.values.takes(flow, x.float())
            z = flow.forward_and_log_det(x.float())[0].double()
            torch.testing.assert_close(z, exact.forward_and_log_det(x)[0], rtol=1e-4, atol=1e-2)

    def test_many_points_in_several_calls_are_the_same(self):
        exact, flow = valued(blocks=3)
        flow.values, x = compiled.CompiledValues(flow, points_a_part=100), points(301, 2)
        with torch.no_grad():
            torch.testing.assert_close(flow.log_prob(x.float()).double(), exact.log_prob(x), atol=5e-5, rtol=1e-5)
            for ours, its in zip(flow.stages(x.float()), exact.stages(x), strict=True):
                torch.testing.assert_close(ours.double(), its, atol=5e-5, rtol=1e-5)

    def test_a_branch_that_is_scaled_has_its_density_and_without_a_bound_below_1_no_inverse(self):
        exact, flow = valued(blocks=3)
        x = points(30, 2)
        with torch.no_grad():
            found, expected = flow.scaled(1, 3.0).log_prob(x.float()), exact.scaled(1, 3.0).log_prob(x)
        torch.testing.assert_close(found.double(), expected, atol=5e-5, rtol=1e-5)
        with pytest.raises(Uncertified):
            flow.scaled(1, 3.0).inverse(points(30, 2).float())


class TestWeightsAtHand:
    """Values whose parameters are at hand, stacked, follow them, and those of no other flow."""

    @pytest.fixture
    def flow(self):
        one = trainer(FlowConfig(blocks=3, width=8))
        for _ in range(5):
            one.step()
        return one.evaluated

    @staticmethod
    def check(flow):
        x = 2 * points(50, 2).float()
        with torch.no_grad():
            by_kernel = flow.log_prob(x)
            values, flow.values = flow.values, None
            by_torch = flow.log_prob(x)
            flow.values = values
        torch.testing.assert_close(by_kernel, by_torch, rtol=TOLERANCE, atol=TOLERANCE)

    def test_they_follow_weights_that_change(self, flow):
        for name in ("linears.0.raw", "linears.1.bias", "raw_scales"):
            self.check(flow)
            dict(flow.branches[1].named_parameters())[name].data.mul_(1.5)
        self.check(flow)

    def test_copies_and_scaled_flows_have_their_own(self, flow):
        copied = copy.deepcopy(flow)
        copied.branches[0].linears[0].raw.data.mul_(0.5)
        copied.actnorms[0].shift.data.add_(0.1)
        for one in (copied, flow, flow.scaled(1, 0.5)):
            self.check(one)
        flow.branches[2].scale = 0.3
        self.check(flow)


class TestNumbers:
    """The elementary functions against float64, over their whole ranges."""

    def applied(self, function, x):
        @njit
        def apply(x, out):
            for i in range(len(x)):
                out[i] = function(x[i])

        x = x.astype(np.float32)
        out = np.empty(len(x), np.float32)
        apply(x, out)
        return x.astype(float), out.astype(float)

    def test_exp_and_log(self):
        x, found = self.applied(numbers.exp, np.linspace(-87, 87, 100_001))
        np.testing.assert_allclose(found, np.exp(x), rtol=2e-7)
        _, ends = self.applied(numbers.exp, np.array([-1e30, -100.0, 100.0, 1e30]))
        np.testing.assert_allclose(ends, np.exp([-87.0, -87.0, 87.0, 87.0]), rtol=2e-7)
        x, found = self.applied(numbers.log, np.exp(np.linspace(-80, 80, 100_001)))
        np.testing.assert_allclose(found, np.log(x), rtol=2e-7, atol=1e-7)


# --- where they are kept ----------------------------------------------------------------------------------------------


def test_kernels_agree_with_torch_here():
    found = check()
    assert 0 <= max(found.loss, found.gradient, found.log_prob, found.round_trip) < 1e-5


@pytest.mark.parametrize(("wrong", "by"), [("loss", Exact), ("gradient", Exact), ("gradient", Drawn)])
def test_kernels_that_compute_something_else_are_refused(wrong, by, monkeypatch):
    computed = compiled.CompiledNLL.of_parts

    def off(self, parts, log_dets):
        loss, nll = computed(self, parts, log_dets)
        if wrong == "gradient" and isinstance(log_dets[0], by):
            self._gradients["branch.linears.1.bias"].mul_(1.01)
        return loss * 1.01 if wrong == "loss" and isinstance(log_dets[0], by) else loss, nll

    monkeypatch.setattr(compiled.CompiledNLL, "of_parts", off)
    with pytest.raises(Disagrees, match="Torch computes alone"):
        check()


@pytest.mark.parametrize("wrong", [1e-3, torch.nan])
def test_so_are_those_whose_inverse_is_none(wrong, monkeypatch):
    inverse = compiled.CompiledValues.inverse
    monkeypatch.setattr(compiled.CompiledValues, "inverse", lambda *given: inverse(*given) + wrong)
    with pytest.raises(Disagrees):
        check()


def test_a_change_in_any_file_of_the_kernels_compiles_them_anew(tmp_path):
    """Numba keys its cache by a function's own file and free variables alone; it once served an old `block.py`."""
    folder = Path(entries.__file__).parent
    key = entries.ENTRIES.gradients._cache._index_key
    signature, codegen = (), entries.ENTRIES.gradients.targetctx.codegen()
    for path in folder.glob("*.py"):
        changed = shutil.copytree(folder, tmp_path / path.stem, ignore=shutil.ignore_patterns("__pycache__"))
        (changed / path.name).write_bytes(path.read_bytes() + b"\n")
        anew = entries.made(entries.digest(changed)).gradients
        assert anew._cache._index_key(signature, codegen) != key(signature, codegen), path.name
    same = entries.made(entries.digest(folder)).gradients
    assert same._cache._index_key(signature, codegen) == key(signature, codegen)


def test_the_fingerprint_names_all_that_digits_depend_on(monkeypatch):
    found = compilation.fingerprint("numba")
    assert torch.__version__.partition("+")[0] in found and numba.__version__ in found
    assert numba.__version__ not in compilation.fingerprint("torch")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert compilation.fingerprint("numba") != found
