"""Laws of every network inside a block, for every entry of `BRANCHES`: certificate, inverse, estimates, files, counts.

Oracles are autograd, searches over points and directions, and closed forms.
"""

import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

import resflow_core as rf
from resflow_core.activations import ACTIVATIONS
from resflow_core.api import flow_file
from resflow_core.branches.dense import DenseBranch
from resflow_core.estimators.moments.of_log_det import mean_and_deviation
from resflow_core.fixed_point import solve_banach
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import NORM_CHAINS, Soft
from resflow_core.log_det import Roulette, Truncated
from resflow_core.measure import evaluate
from resflow_core.measure.saturation import saturation
from resflow_core.norms.constraints import Off
from resflow_core.norms.induced import norm_of_2x2
from resflow_core.residual import BRANCHES
from resflow_core.settings import from_json, to_json
from resflow_core.training.parameter_count import matched_width, parameter_count
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.core.oracles import autograd_jacobian, numpy_log_abs_det, points, seeded
from tests.covering import covering, in_turn

# The others take each number for itself.
OF_SEVERAL = [name for name, known in ACTIVATIONS.items() if not known.is_elementwise]
CASES = in_turn(
    covering({"branch": [*BRANCHES], "norms": [*NORM_CHAINS], "hidden_layers": [1, 3]}),
    activation=[name for name in ACTIVATIONS if name not in OF_SEVERAL],
) + covering({"branch": [*BRANCHES], "norms": [*NORM_CHAINS], "hidden_layers": [1, 3], "activation": OF_SEVERAL})
CERTIFIED = [pytest.param(case, id="-".join(map(str, case.values()))) for case in CASES]

ANGLES = torch.arange(360, dtype=torch.float64) * (math.pi / 180)
DIRECTIONS = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)


def strained(config: FlowConfig, seed: int = 0) -> rf.Flow:
    """A flow whose layers are all far above their caps before the constraint, in float64."""
    flow = config.build(seeded(seed)).double()
    with torch.no_grad():
        for k, (name, parameter) in enumerate(flow.named_parameters()):
            noise = torch.randn(parameter.shape, generator=seeded(k), dtype=parameter.dtype)
            parameter += (5 if name.endswith("raw") else 1) * noise
    return flow


def steepest(branch, order: float, steps: int = 8) -> float:
    """The largest ||A||_order that a search over points finds: many starts, then ascents from the best ones."""
    x = torch.cat([scale * points(100, 2, seed=3) for scale in (0.1, 1.0, 5.0)])
    norms = norm_of_2x2(branch.value_and_jacobian(x)[1].detach(), order)
    found, x = float(norms.max()), x[norms.argsort(descending=True)[:10]].requires_grad_()
    optimiser = torch.optim.Adam([x], lr=0.05)
    for _ in range(steps):
        jacobian = branch.value_and_jacobian(x)[1]
        found = max(found, float(norm_of_2x2(jacobian.detach(), order).max()))
        loss = -torch.linalg.matrix_norm(jacobian, 2).sum()
        (x.grad,) = torch.autograd.grad(loss, x, materialize_grads=True)  # 0 where slopes are constant
        optimiser.step()
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("case", CERTIFIED)
def test_no_point_is_steeper_than_the_certificate(case):
    flow = strained(FlowConfig(blocks=1, width=6, budget=0.9, **case))
    (branch,) = flow.branches
    assert branch.lipschitz == pytest.approx(0.9)
    assert 0 < steepest(branch, branch.orders[0]) <= branch.lipschitz * (1 + 1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("norms", NORM_CHAINS)
def test_the_certificate_is_reached_and_not_passed(branch, norms):
    """The weights ascend ||A|| at a point where the slope of every activation can be 1; and on, once they are there."""
    config = FlowConfig(blocks=1, width=6, hidden_layers=2, budget=0.9, branch=branch, norms=norms)
    (found,) = config.build(seeded(0)).double().branches
    x, order, largest, left = torch.zeros(1, 2, dtype=torch.float64), found.orders[0], 0.0, 20
    # The bounds of layers are exact in these orders alone; in others they are above the norms.
    wanted = (0.5 if norms == "learned" else 0.98) * found.lipschitz
    parameters = [parameter for name, parameter in found.named_parameters() if name != "raw_orders"]
    optimiser = torch.optim.Adam(parameters, lr=0.1)
    slower = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.985)
    for _ in range(120):
        (jacobian,) = found.value_and_jacobian(x)[1]
        norm = ((DIRECTIONS @ jacobian.T).norm(order, 1) / DIRECTIONS.norm(order, 1)).max()
        largest = max(largest, float(norm.detach()))
        gradients = torch.autograd.grad(-norm, parameters, materialize_grads=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimiser.step()
        slower.step()
        left -= largest > wanted
        if not left:
            break
    assert wanted < largest <= found.lipschitz * (1 + 1e-9)


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("norms", NORM_CHAINS)
def test_without_a_cap_the_bound_is_of_the_layers_as_they_are(branch, norms):
    config = FlowConfig(blocks=1, width=5, hidden_layers=2, budget=0.9, branch=branch, norms=norms, constraint=Off())
    (found,) = strained(config).branches
    assert found.lipschitz > 1
    assert steepest(found, found.orders[0], steps=5) <= found.lipschitz * (1 + 1e-9)


@pytest.mark.parametrize("norms", NORM_CHAINS)
def test_weights_of_concatenation_are_of_norm_1_whatever_trains_them(norms):
    config = FlowConfig(blocks=1, hidden_layers=2, branch="dense", norms=norms, width=3)
    (branch,) = config.build(seeded(0)).double().branches
    assert isinstance(branch, DenseBranch)
    for raw in ([1.0, 1.0, 1.0, 1.0], [30.0, -30.0, -30.0, 30.0], [0.0, 2.0, 5.0, -1.0]):
        with torch.no_grad():
            branch.raw_concat.copy_(torch.tensor(raw))
        etas = branch.etas.detach()
        assert bool((etas > 0).all())
        for of_layer, q in zip(etas, branch.orders[1:-1], strict=True):
            assert float(of_layer.norm(q)) == pytest.approx(1, rel=1e-12)
        assert branch.lipschitz == pytest.approx(config.budget)


def test_the_published_constant_holds_in_the_2_norm_alone():
    """1.1 * 1.004 bounds (swish(z), swish(-z)) in the 2-norm. In the 1-norm its constant is 1.086 times that."""
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    slope = torch.sigmoid(z) * (1 + z * (1 - torch.sigmoid(z)))
    both = torch.stack([slope, 1 - slope])  # of swish(-z) the slope is -(1 - slope)
    published = 1.1 * 1.004
    assert 0.9999 < float(both.norm(2, 0).max()) / published < 1
    assert float(both.norm(1, 0).max()) / published == pytest.approx(1.0862, abs=1e-4)


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("activation", ["sine", "clipswish"])
def test_the_inverse_is_found_to_10_digits(branch, activation):
    config = FlowConfig(blocks=3, width=8, hidden_layers=2, budget=0.9, branch=branch, activation=activation)
    for found in strained(config).branches:
        x = points(50, 2)
        there = solve_banach(found, (x + found(x)).detach(), found.lipschitz, 1e-11, found.norm_of)
        assert float((there - x).abs().max()) < 1e-10


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_exact_density_is_that_of_autograd(branch):
    config = FlowConfig(blocks=2, width=6, hidden_layers=2, budget=0.9, branch=branch, activation="clipswish")
    flow, x = config.build(seeded(0)).double(), points(6, 2)
    z, log_dets = flow.forward_and_log_det(x)
    torch.testing.assert_close(z, flow(x))
    assert log_dets.detach().numpy() == pytest.approx(numpy_log_abs_det(autograd_jacobian(flow, x)), abs=1e-10)


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_roulette_has_the_mean_and_the_variance_of_its_closed_form(branch):
    config = FlowConfig(blocks=1, width=8, budget=0.6, branch=branch, actnorm=False)
    flow = config.build(seeded(0)).double()
    (found,), draws = flow.branches, 20_000
    for x in points(2, 2, seed=5):
        _, estimates = Roulette().value_and_log_det(found, x.repeat(draws, 1), seeded(1))
        estimates = estimates.detach()
        mean, deviation = mean_and_deviation(Roulette(), found.value_and_jacobian(x[None])[1].detach())
        exact = numpy_log_abs_det(torch.eye(2) + autograd_jacobian(found, x[None]))
        assert float(mean) == pytest.approx(float(exact[0]), abs=1e-10)
        assert abs(float(estimates.mean() - mean)) < 4.5 * float(deviation) / math.sqrt(draws)
        fourth = float(((estimates - estimates.mean()) ** 4).mean())
        error = math.sqrt((fourth - float(deviation) ** 4) / draws)
        assert abs(float(estimates.var()) - float(deviation) ** 2) < 5 * error


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_gradient_by_neumanns_series_is_that_of_autograd(branch):
    config = FlowConfig(blocks=2, width=6, hidden_layers=2, budget=0.4, branch=branch, activation="clipswish")
    flow, x = config.build(seeded(0)).double(), points(5, 2)
    # d orthogonal probes give traces without noise, and 0.4^50 is below the rounding.
    series = Truncated(50, probe="orthogonal", n_probes=2, gradient="neumann")
    parameters = list(flow.parameters())
    expected = torch.autograd.grad(flow.log_prob(x).mean(), parameters)
    found = torch.autograd.grad(flow.log_prob(x, series, seeded(0)).mean(), parameters)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("branch", BRANCHES)
def test_parameters_are_counted_and_matched(branch):
    for case in CASES:
        config = FlowConfig(blocks=2, width=5, **case | {"branch": branch})
        assert parameter_count(config) == sum(p.numel() for p in config.build(seeded(0)).parameters())
    wanted = 1_500
    found = matched_width(FlowConfig(blocks=4, branch=branch), wanted)
    gap = abs(parameter_count(found) - wanted)
    assert all(gap <= abs(parameter_count(replace(found, width=found.width + k)) - wanted) for k in (-1, 1))


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_flow_comes_back_from_its_file_and_its_state(branch, tmp_path):
    config = FlowConfig(blocks=2, width=4, branch=branch, activation="clipswish")
    flow, x = config.build(seeded(3)), points(5, 2).float()
    again = flow_file.from_bytes(flow_file.to_bytes(flow))
    assert again.config == config and torch.equal(again.log_prob(x), flow.log_prob(x))
    other = config.build(seeded(4))
    other.load_state_dict(flow.state_dict())
    assert torch.equal(other.log_prob(x), flow.log_prob(x))

    library = rf.ResidualFlow(2, blocks=2, width=4, branch=branch, seed=1).fit(points(200, 2), steps=5)
    library.save(tmp_path / "flow.rf")
    assert torch.equal(rf.load(tmp_path / "flow.rf").log_prob(x), library.log_prob(x))


def test_a_file_without_the_setting_holds_residual_branches():
    flow = FlowConfig(blocks=1, width=3).build(seeded(0))
    settings = {name: value for name, value in to_json(flow.config).items() if name != "branch"}
    older = from_json(FlowConfig, settings)
    assert older == flow.config
    file = save(dict(flow.state_dict()), {flow_file.FORMAT: json.dumps(settings)})
    assert flow_file.from_bytes(file).config == flow.config


@pytest.mark.parametrize("branch", BRANCHES)
def test_an_unknown_name_is_refused_with_what_there_is(branch):
    with pytest.raises(ValueError, match=branch):
        FlowConfig(branch="tree")


@pytest.mark.parametrize("branch", [name for name in BRANCHES if name != "residual"])
def test_a_context_needs_residual_branches(branch):
    with pytest.raises(ValueError, match="residual"):
        rf.ResidualFlow(2, context=3, branch=branch)


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_it_trains_with_every_backend(branch, backend):
    config = FlowConfig(blocks=4, width=8, branch=branch)
    trainer = Trainer(config, TrainConfig(batch=128), rf.DATASETS["moons"], 0, backend=backend)
    losses = [trainer.step() for _ in range(30)]
    assert sum(losses[-5:]) < sum(losses[:5]) - 0.5
    assert max(trainer.flow.lipschitz_bounds()) <= config.budget * (1 + 1e-9)


@pytest.mark.parametrize("branch", BRANCHES)
def test_saturation_looks_at_every_activation(branch):
    config = FlowConfig(blocks=2, width=5, hidden_layers=2, branch=branch, activation="tanh", constraint=Soft())
    flow = strained(config).float()
    found = saturation(flow, points(40, 2).float())
    layers = BRANCHES[branch].network.scale_count(3)
    assert found.share.shape == (2, layers)
    assert found.counts.sum(2).tolist()[0][-1] == 40 * 5
    assert evaluate(flow, points(4, 2).float()).log_prob.isfinite().all()
