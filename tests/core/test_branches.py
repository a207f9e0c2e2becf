"""Laws of every network inside a block, for every entry of `BRANCHES`: certificate, estimates, files, counts.

Oracles are autograd, searches over points and directions, and closed forms.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import resflow_core as rf
from resflow_core.activations import ACTIVATIONS
from resflow_core.api import flow_file
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.norms.constraints import Off
from resflow_core.norms.induced import norm_of_2x2
from resflow_core.residual import BRANCHES
from resflow_core.training.parameter_count import matched_width, parameter_count
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.core.oracles import points, seeded
from tests.covering import covering, in_turn

# The others take each number for itself.
OF_SEVERAL = [name for name, known in ACTIVATIONS.items() if not known.is_elementwise]
DESIGN = {"branch": [*BRANCHES], "norms": [*NORM_CHAINS]}
CASES = in_turn(
    covering(DESIGN | {"hidden_layers": [1, 3]}),
    activation=[name for name in ACTIVATIONS if name not in OF_SEVERAL],
) + covering({**DESIGN, "hidden_layers": [1, 3], "activation": OF_SEVERAL})

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


def steepest(branch, order: float) -> float:
    """The largest ||A||_order at many points."""
    x = torch.cat([scale * points(200, 2, seed=3) for scale in (0.1, 1.0, 5.0)])
    return float(norm_of_2x2(branch.value_and_jacobian(x)[1].detach(), order).max())


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())))
def test_no_point_is_steeper_than_the_certificate(case):
    (branch,) = strained(FlowConfig(blocks=1, width=6, budget=0.9, **case)).branches
    assert branch.lipschitz == pytest.approx(0.9)
    assert 0 < steepest(branch, branch.orders[0]) <= branch.lipschitz * (1 + 1e-9)


@pytest.mark.parametrize(
    ("branch", "norms"), [("residual", "inf"), ("residual", "learned"), *(("dense", norms) for norms in NORM_CHAINS)]
)
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
class TestEveryBranch:
    def test_parameters_are_counted_and_matched(self, branch):
        for case in CASES:
            config = FlowConfig(blocks=2, width=5, **case | {"branch": branch})
            assert parameter_count(config) == sum(p.numel() for p in config.build(seeded(0)).parameters())
        wanted = 1_500
        found = matched_width(FlowConfig(blocks=4, branch=branch), wanted)
        gap = abs(parameter_count(found) - wanted)
        assert all(gap <= abs(parameter_count(replace(found, width=found.width + k)) - wanted) for k in (-1, 1))

    def test_a_flow_comes_back_from_its_file_and_its_state(self, branch, tmp_path):
        config = FlowConfig(blocks=2, width=4, branch=branch, activation="clipswish")
        flow, x = config.build(seeded(3)), points(5, 2).float()
        again = flow_file.from_bytes(flow_file.to_bytes(flow))
        assert again.config == config and torch.equal(again.log_prob(x), flow.log_prob(x))
        library = rf.ResidualFlow(2, blocks=2, width=4, branch=branch, seed=1).fit(points(60, 2), steps=2)
        library.save(tmp_path / "flow.rf")
        assert torch.equal(rf.load(tmp_path / "flow.rf").log_prob(x), library.log_prob(x))

    @pytest.mark.parametrize("backend", ["torch", "numba"])
    def test_it_trains_with_every_backend(self, branch, backend):
        config = FlowConfig(blocks=4, width=8, branch=branch)
        trainer = Trainer(config, TrainConfig(batch=128), rf.DATASETS["moons"], 0, backend=backend)
        losses = [trainer.step() for _ in range(30)]
        assert sum(losses[-5:]) < sum(losses[:5]) - 0.5
        assert max(trainer.flow.lipschitz_bounds()) <= config.budget * (1 + 1e-9)


def test_a_context_needs_residual_branches():
    with pytest.raises(ValueError, match="residual"):
        rf.ResidualFlow(2, context=3, branch="dense")


def test_the_bound_of_a_layer_without_a_cap_is_numpys():
    flow = FlowConfig(blocks=1, width=6, constraint=Off()).build(seeded(0))
    expected = np.prod([np.linalg.norm(linear.raw.detach().numpy(), 2) for linear in flow.branches[0].linears])
    assert flow.branches[0].lipschitz == pytest.approx(expected, rel=1e-4)
    with torch.no_grad():
        for linear in flow.branches[0].linears:
            linear.raw.mul_(0.5 / torch.linalg.matrix_norm(linear.raw, 2))
    assert flow.branches[0].lipschitz == pytest.approx(0.25, rel=1e-4)
    assert flow.sample(4, seeded(0)).isfinite().all()
