"""Numbers of parameters by formula, against flows that are built and what their density depends on."""

import pytest
import torch

from resflow_core.activations import ACTIVATIONS
from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.training.parameter_count import matched, parameter_count
from tests.core.oracles import points, seeded


@pytest.mark.parametrize("hidden_layers", [1, 3])
@pytest.mark.parametrize("dim", [2, 3, 5])
@pytest.mark.parametrize("kind", BASELINES)
def test_a_peer_has_as_many_as_its_density_depends_on(kind, dim, hidden_layers):
    for width in (4, 7):
        config = BaselineConfig(kind, 3, width, hidden_layers, dim)
        flow = config.build(seeded(0)).double()
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.abs_().mul_(0.5)  # so that no unit is idle
        flow.initialize(points(400, dim))
        flow.log_prob(2 * points(400, dim, seed=1) + 1).sum().backward()
        assert parameter_count(config) == sum(int((p.grad != 0).sum()) for p in flow.parameters())


@pytest.mark.parametrize("kind", BASELINES)
def test_without_masks_these_are_all_the_numbers_of_the_module(kind):
    config = BaselineConfig(kind, 4, 16)
    flow = config.build(seeded(0))
    masked = sum(int((~m.mask).sum()) for m in flow.modules() if isinstance(m, torch.nn.Linear))
    assert parameter_count(config) == sum(p.numel() for p in flow.parameters()) - masked
    assert (masked > 0) == (kind in ("maf", "nsf"))


@pytest.mark.parametrize("norms", NORM_CHAINS)
def test_a_residual_flow_has_as_many_as_are_built(norms):
    for activation in ACTIVATIONS:
        for config in (
            FlowConfig(blocks=3, width=6, hidden_layers=2, activation=activation, norms=norms),
            FlowConfig(blocks=1, width=3, activation=activation, norms=norms, actnorm=False, dim=3),
        ):
            built = config.build(seeded(0)).parameters()
            assert parameter_count(config) == sum(p.numel() for p in built), config


@pytest.mark.parametrize("wanted", [900, 1_684, 4_036, 44_000])
@pytest.mark.parametrize("kind", BASELINES)
def test_the_match_is_nearer_than_its_neighbours(kind, wanted):
    config = matched(kind, wanted)
    peer = BASELINES[kind]
    assert (config.kind, config.transforms, config.hidden_layers) == (kind, peer.transforms, peer.hidden_layers)
    off = abs(parameter_count(config) - wanted)
    others = [BaselineConfig(kind, peer.transforms, config.width + step, peer.hidden_layers) for step in (-1, 1)]
    assert all(off <= abs(parameter_count(other) - wanted) for other in others)


@pytest.mark.parametrize("kind", BASELINES)
def test_beyond_reach_the_match_is_the_narrowest_or_the_widest(kind):
    assert matched(kind, 1).width == 2
    assert matched(kind, 10**9).width == 256


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="kind = 'glow': use one of nice, realnvp, maf, nsf"):
        matched("glow", 1_000)
    with pytest.raises(ValueError, match=r"wanted = 0: use a number of parameters from 1 on"):
        matched("nsf", 0)
