"""The number of parameters of a flow, by formula. No flow is built, so that a search over widths is fast."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from resflow_core.activations import activation_named
from resflow_core.baselines.coupling import CouplingConfig
from resflow_core.baselines.zuko_flows import BASELINES, BaselineConfig
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.lipschitz import NORM_CHAINS
from resflow_core.residual import BRANCHES
from resflow_core.settings import settings_of


def parameter_count(config: FlowConfig | BaselineConfig | CouplingConfig | HybridConfig) -> int:
    """The number of trained parameters: weights, biases, ActNorms, scales of activations, learned orders, weights of
    concatenation, angles of rotations.

    Weights that a mask holds at 0 do not count: the density does not depend on them, and their gradient is always 0.
    """
    if isinstance(config, HybridConfig):
        flow = parameter_count(config.flow) if config.flow else 2 * config.dim
        return flow + _dense(config.head_widths)
    if isinstance(config, CouplingConfig):
        return _of_coupling(config)
    return _of_baseline(config) if isinstance(config, BaselineConfig) else _of_residual_flow(config)


def matched(kind: str, wanted: int) -> BaselineConfig:
    """The baseline of this kind in the plane, with the width that brings its `parameter_count` nearest to `wanted`.

    Layers and transforms are the usual ones of the kind. If two widths are equally near, it has the smaller one. If
    `wanted` is out of reach, it has the smallest or the largest width. Raises ValueError for an unknown kind, or a
    `wanted` below 1.
    """
    if kind not in BASELINES:
        raise ValueError(f"kind = {kind!r}: use one of {', '.join(BASELINES)}.")
    if wanted < 1:
        raise ValueError(f"wanted = {wanted}: use a number of parameters from 1 on.")
    baseline, (_, limits) = BASELINES[kind], settings_of(BaselineConfig)["width"]
    configs = (
        BaselineConfig(kind, baseline.transforms, width, baseline.hidden_layers)
        for width in range(limits.low, limits.high + 1)
    )
    return min(configs, key=lambda config: abs(parameter_count(config) - wanted))


def matched_width(config: FlowConfig, wanted: int) -> FlowConfig:
    """The same residual flow, with the width that brings its `parameter_count` nearest to `wanted`.

    The width is chosen as in `matched`. Raises ValueError for a `wanted` below 1.
    """
    if wanted < 1:
        raise ValueError(f"wanted = {wanted}: use a number of parameters from 1 on.")
    _, limits = settings_of(FlowConfig)["width"]
    configs = (replace(config, width=width) for width in range(int(limits.low), int(limits.high) + 1))
    return min(configs, key=lambda one: abs(parameter_count(one) - wanted))


def matched_classifier(classes: int, wanted: int) -> HybridConfig:
    """The classifier of x in the plane, with two hidden layers and `parameter_count` nearest to `wanted`.

    The width is chosen as in `matched`. Raises ValueError for a `wanted` below 1, or a wrong number of classes.
    """
    if wanted < 1:
        raise ValueError(f"wanted = {wanted}: use a number of parameters from 1 on.")
    _, limits = settings_of(HybridConfig)["width"]
    configs = (HybridConfig(None, classes, width, hidden_layers=2) for width in range(1, limits.high + 1))
    return min(configs, key=lambda config: abs(parameter_count(config) - wanted))


def units_of_block(config: FlowConfig) -> int:
    """The numbers that the layers of a block take in, for each point."""
    copies = activation_named(config.activation).copies
    return sum(inputs for inputs, _ in BRANCHES[config.branch].network.shapes(_widths(config), copies))


def _widths(config: FlowConfig) -> list[int]:
    return [config.dim, *[config.width] * config.hidden_layers, config.dim]


def _of_residual_flow(config: FlowConfig) -> int:
    widths = _widths(config)
    activation, layers, branch = activation_named(config.activation), len(widths) - 1, BRANCHES[config.branch].network
    block = sum((m + 1) * n for m, n in branch.shapes(widths, activation.copies)) + branch.own_count(layers)
    block += branch.scale_count(layers) * bool(activation.initial_scale)
    block += layers * bool(NORM_CHAINS[config.norms].learned)
    return config.blocks * block + config.actnorm * (config.blocks + 1) * 2 * config.dim


def _of_baseline(config: BaselineConfig) -> int:
    baseline = BASELINES[config.kind]
    if baseline.coupling:
        layers = _couplings(config)
    else:
        layers = [_masked(config.dim, config.width, config.hidden_layers, baseline.outputs)] * 2
    return sum(layers[index % 2] for index in range(config.transforms)) + (1 + baseline.scaled) * 2 * config.dim


def _of_coupling(config: CouplingConfig) -> int:
    layers, angles = _couplings(config), config.rotated * config.dim * (config.dim - 1) // 2
    return sum(layers[index % 2] + angles for index in range(config.transforms)) + 2 * config.dim


def _couplings(config: BaselineConfig | CouplingConfig) -> list[int]:
    """The parameters of the first layer, which moves coordinates 2, 4, ..., and of the second, which moves the
    others."""
    moved, hidden = [config.dim // 2, (config.dim + 1) // 2], [config.width] * config.hidden_layers
    return [_dense([config.dim - n, *hidden, n * config.outputs]) for n in moved]


def _dense(widths: Sequence[int]) -> int:
    """The number of weights and biases of layers that take all outputs of the layer before."""
    return sum((m + 1) * n for m, n in pairwise(widths))


def _masked(dim: int, width: int, hidden_layers: int, outputs: int) -> int:
    """The number of parameters of an autoregressive network (Germain et al. 2015, section 4).

    A unit of degree k = 1, ..., dim - 1 sees the first k coordinates and units of degrees up to k. The outputs of the
    k-th coordinate see units of degrees below k.
    """
    units = [len(range(k, width, dim - 1)) for k in range(dim - 1)]  # of degree k + 1
    up_to = [sum(units[: k + 1]) for k in range(dim - 1)]
    first = sum((k + 1) * n for k, n in enumerate(units))
    between = sum(n * seen for n, seen in zip(units, up_to, strict=True))
    last = outputs * sum(up_to)
    return first + (hidden_layers - 1) * between + last + hidden_layers * width + outputs * dim
