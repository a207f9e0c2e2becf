"""The two parts of the gradient, against automatic differentiation of log|det df/dx| with the whole flow's Jacobian."""

import numpy as np
import pytest
import torch

from resflow_core import measure
from resflow_core.flow import FlowConfig, standard_normal_log_prob
from resflow_core.measure import Parts
from resflow_core.norms.constraints import Power
from tests.core.breathing import Breaths, moved
from tests.core.oracles import points, seeded

FLOWS = {
    "sine": FlowConfig(blocks=3, width=5),
    "no ActNorm": FlowConfig(blocks=2, width=4, hidden_layers=2, activation="elu", actnorm=False),
    "three dimensions": FlowConfig(blocks=2, width=4, activation="clipswish", dim=3),
    "power iteration": FlowConfig(blocks=2, width=4, norms="learned", constraint=Power()),
}
PARTS = ("log_det", "base")


def build(config):
    flow = config.build(seeded(0)).double()
    flow.initialize(points(50, config.dim, seed=3) @ torch.diag(torch.linspace(0.5, 3.0, config.dim).double()))
    return flow


def restored(flow, function):
    """What function() gives, and everything that power iteration carries along as it was before."""
    before = [buffer.clone() for buffer in flow.buffers()]
    found = function()
    for buffer, value in zip(flow.buffers(), before, strict=True):
        buffer.copy_(value)
    return found


def plainly(flow, x):
    """{part: {parameter: gradient}} of the means over points of log|det df/dx| and log N(f(x); 0, I)."""
    named = dict(flow.named_parameters())

    def jacobian(row):
        return torch.autograd.functional.jacobian(lambda x: flow(x[None])[0], row, create_graph=True)

    jacobians = torch.stack([restored(flow, lambda row=row: jacobian(row)) for row in x])
    z = restored(flow, lambda: flow(x))
    means = {"log_det": torch.linalg.slogdet(jacobians).logabsdet.mean(), "base": standard_normal_log_prob(z).mean()}
    vectors = {}
    for part, mean in means.items():
        gradients = torch.autograd.grad(mean, list(named.values()), materialize_grads=True)
        vectors[part] = dict(zip(named, gradients, strict=True))
    return vectors


def flat(gradients, names):
    return torch.cat([gradients[name].flatten() for name in names]).numpy()


@pytest.mark.parametrize("config", FLOWS.values(), ids=FLOWS)
class TestEveryFlow:
    def test_norms_and_inner_products_are_those_of_the_formulas(self, config):
        flow, x = build(config), points(8, config.dim)
        found, expected = measure.gradient_split(flow, x), plainly(flow, x)
        kinds = {"blocks": [], "actnorms": []}
        for k, part in enumerate(flow.bijections):
            names = [f"bijections.{k}.{name}" for name, _ in part.named_parameters()]
            kinds["blocks" if hasattr(part, "branch") else "actnorms"].append(names)
        of_blocks = [name for names in kinds["blocks"] for name in names]
        cases = [(getattr(found, kind), k, names) for kind in kinds for k, names in enumerate(kinds[kind])]
        for parts, k, names in [*cases, (found.residual, (), of_blocks)]:
            log_det, base = (flat(expected[part], names) for part in PARTS)
            assert parts.log_det[k] == pytest.approx(np.linalg.norm(log_det), rel=1e-6)
            assert parts.base[k] == pytest.approx(np.linalg.norm(base), rel=1e-6)
            assert parts.inner[k] == pytest.approx(log_det @ base, rel=1e-6, abs=1e-9)
            assert parts.both[k] == pytest.approx(np.linalg.norm(log_det + base), rel=1e-6)
            cosine = log_det @ base / np.linalg.norm(log_det) / np.linalg.norm(base)
            assert parts.cosine[k] == pytest.approx(cosine, rel=1e-6, abs=1e-9)
        assert found.blocks.log_det.shape == (config.blocks,)
        assert found.actnorms.log_det.shape == (len(flow.actnorms),)

    def test_neither_chunks_nor_looking_changes_anything(self, config, monkeypatch):
        flow, x = build(config), points(20, config.dim)
        for parameter in flow.parameters():
            parameter.grad = torch.full_like(parameter, 7.0)
        before = {name: value.clone() for name, value in flow.state_dict().items()}
        buffers = [buffer.clone() for buffer in flow.buffers()]
        with torch.no_grad():
            whole = measure.gradient_split(flow, x)
        monkeypatch.setitem(measure.gradient_split.__globals__, "CHUNK", 6)
        breathe = Breaths()
        in_parts = measure.gradient_split(flow, x, breathe)
        assert breathe.count == 4
        for found, expected in ((in_parts.blocks, whole.blocks), (in_parts.residual, whole.residual)):
            for name, value in vars(expected).items():
                np.testing.assert_allclose(getattr(found, name), value, rtol=1e-9, atol=1e-12)
        assert all(bool((parameter.grad == 7).all()) for parameter in flow.parameters())
        assert all(torch.equal(value, before[name]) for name, value in flow.state_dict().items())
        assert all(torch.equal(a, b) for a, b in zip(flow.buffers(), buffers, strict=True))


def test_training_between_two_parts_changes_nothing(monkeypatch):
    monkeypatch.setitem(measure.gradient_split.__globals__, "CHUNK", 5)
    x, flow = points(20, 2), build(FLOWS["sine"])
    expected = measure.gradient_split(flow, x)
    found = measure.gradient_split(flow, x, Breaths(lambda: moved(flow)))
    np.testing.assert_array_equal(found.blocks.inner, expected.blocks.inner)


def test_without_any_gradient_of_its_own_a_blocks_log_det_has_norm_zero_and_no_angle():
    flow, x = build(FlowConfig(blocks=2, width=4, activation="relu")), points(20, 2)
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            if "bias" in name:
                parameter -= 100  # every unit is off
    split = measure.gradient_split(flow, x)
    assert split.residual.log_det == 0 < split.residual.base
    parts = Parts(np.array([3.0, 0.0, 3.0]), np.array([3.0, 2.0, 4.0]), np.array([-9.0, 0.0, 0.0]))
    np.testing.assert_allclose(parts.cosine, [-1, np.nan, 0])
    np.testing.assert_allclose(parts.both, [0, 2, 5])
