"""The kernels that numba compiles against float64 and autograd through the paper's files, tensor by tensor."""

import builtins
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numba import njit

from resflow_core.activations import ACTIVATIONS, activation_named
from resflow_core.data import DATASETS
from resflow_core.fast import compiled
from resflow_core.fast.by_hand import ExactNLL
from resflow_core.fast.closed_forms import closed_form
from resflow_core.fast.kernel import activations, numbers, whole_flow
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import Soft
from resflow_core.log_det import Exact, Truncated
from resflow_core.norms.constraints import Hard, Off
from resflow_core.training.flat_parameters import FlatParameters
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.core.oracles import points
from tests.core.test_by_hand import built, by_autograd
from tests.covering import covering

# Of float32, with sums over points and units.
TOLERANCE = 2e-5
FORMS = {name: closed_form(activation_named(name)) for name in ACTIVATIONS}
NAMES = [name for name, form in FORMS.items() if form.is_elementwise and form.derivatives in activations.KINDS]
ROWS = covering(
    {
        "activation": NAMES,
        "blocks": [1, 5],
        "hidden_layers": [1, 2, 3],
        "width": [5, 32],
        "actnorm": [True, False],
        "constraint": [Soft(), Hard()],
        "batch": [1, 32, 77],
    }
)


def test_all_smooth_element_wise_activations_have_a_kernel():
    assert set(NAMES) == set(ACTIVATIONS) - {"clipswish", "cpila", "maxmin"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(str(level) for level in row.values()))
def test_loss_and_gradient_are_those_of_autograd_in_double_precision(row):
    settings = dict(row)
    flow, x = built(**{name: settings[name] for name in settings if name != "batch"}), points(settings["batch"], 2)
    loss, expected = by_autograd(flow, x)
    flow = flow.float()
    parameters, gradients = FlatParameters(flow).stacked()
    for gradient in gradients.values():
        gradient.fill_(torch.nan)
    through = ExactNLL(flow, parameters, gradients, compiled.CompiledPass(flow))
    for _ in range(2):  # what the first call left in its arrays must not be in the second
        nll = through(x.float())
    places = {view.data_ptr(): gradients[name][k] for name, views in parameters.items() for k, view in enumerate(views)}
    assert float(nll) == pytest.approx(float(loss), rel=TOLERANCE, abs=TOLERANCE)
    whole = math.sqrt(sum(float(g.square().sum()) for g in expected.values() if g is not None))
    for name, parameter in flow.named_parameters():
        exact = torch.zeros_like(parameter) if expected[name] is None else expected[name]
        difference = torch.linalg.vector_norm(places[parameter.data_ptr()].double() - exact)
        assert float(difference) < TOLERANCE * whole, name


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
        ({"constraint": Off()}, "torch"),
        ({"activation": "maxmin"}, "torch"),
        ({"activation": "=sin(z)/2 + z/4"}, "torch"),
        ({"norms": "learned"}, "torch"),
    ],
)
def test_what_has_no_kernel_is_trained_by_torch(settings, backend):
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
    Trainer(FlowConfig(blocks=2, width=8), TrainConfig(batch=16), DATASETS["moons"], seed=0).step()
    with pytest.raises(ModuleNotFoundError, match=r'pip install "resflow\[fast\]"'):
        Trainer(FlowConfig(blocks=2, width=8), TrainConfig(), DATASETS["moons"], seed=0, backend="numba")


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


@pytest.mark.parametrize("name", NAMES)
def test_activations_are_those_of_the_closed_forms(name):
    form = FORMS[name]
    t = torch.linspace(-60, 60, 40 * activations.TILE).float()
    found = np.empty((3, len(t)), np.float32)
    for k in range(0, len(t), activations.TILE):
        rows = [row[k : k + activations.TILE] for row in found]
        activations.activate(activations.KINDS[form.derivatives], t[k : k + activations.TILE].numpy(), *rows)
    for ours, exact in zip(found, form.derivatives(t.double()), strict=True):
        np.testing.assert_allclose(ours, exact, atol=1e-5, rtol=1e-6)


def test_a_change_in_any_file_of_the_kernels_compiles_them_anew(tmp_path):
    """Numba keys its cache by a function's own file and free variables alone; it once served an old `block.py`."""
    folder = Path(whole_flow.__file__).parent
    here = whole_flow.digest(folder)
    key = whole_flow.nll_gradient._cache._index_key
    signature, codegen = whole_flow.nll_gradient.signatures or [()], whole_flow.nll_gradient.targetctx.codegen()
    for path in folder.glob("*.py"):
        copy = shutil.copytree(folder, tmp_path / path.stem, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / path.name).write_bytes(path.read_bytes().replace(b"ZERO", b"ONE") + b"\n")
        changed = whole_flow.cached(whole_flow.digest(copy))
        assert changed._cache._index_key(signature, codegen) != key(signature, codegen), path.name
    same = whole_flow.cached(here)
    assert same._cache._index_key(signature, codegen) == key(signature, codegen)
