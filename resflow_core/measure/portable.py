"""A flow in the plane as numbers and a description, from which a program in another language computes its maps.

It needs neither the parameters nor the constraints: weights are folded, with caps, constants and scales multiplied into
them (`resflow_core.residual.Sequential`, `resflow_core.branches.dense.Dense`).
"""

from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from resflow_core.expressions.json_tree import activation_tree
from resflow_core.flow import Flow, NormalizingFlow
from resflow_core.residual import Branch, Network, Sequential
from resflow_core.settings import told


def is_portable(flow: NormalizingFlow) -> TypeGuard[Flow]:
    """Whether a flow has a description: it is residual and in the plane, and its activation has a text."""
    if not isinstance(flow, Flow) or flow.dim != 2:
        return False
    activation = flow.first_branch.activation
    return bool(activation.text and activation.arrangement.name)


@torch.no_grad()
def flow_shape(flow: NormalizingFlow) -> dict[str, Any] | None:
    """What the numbers of `folded_numbers` mean, as JSON; None if the flow is not portable.

    - blocks: how many there are, n
    - widths: of a block, as [2, 32, 2]: the units of x, of each hidden layer, and of g(x)
    - branch: a key of `BRANCHES`
    - actnorm: whether an ActNorm stands before each block and after the last
    - activation: tree, the function of one number (`json_tree`), and arrangement, what is done to the units before:
      "in place" nothing; "both signs" u -> [u; -u]; "sorted pairs" the larger of units 1 and 2, the smaller, and so on
    - bounds: L of each block
    - orders: the order of the norm that each L belongs to, from 1 to "Infinity"
    """
    if not is_portable(flow):
        return None
    config, branches = flow.config, flow.branches
    first = branches[0]
    activation, alike = first.activation, first.raw_orders is None
    return {
        "blocks": config.blocks,
        "widths": [2, *[config.width] * config.hidden_layers, 2],
        "branch": config.branch,
        "actnorm": config.actnorm,
        "activation": {"tree": activation_tree(activation), "arrangement": activation.arrangement.name},
        "bounds": flow.lipschitz_bounds(),
        "orders": [_order(first)] * config.blocks if alike else [_order(branch) for branch in branches],
    }


def _order(branch: Branch) -> float | str:
    order = branch.orders[0]
    return order if order < float("inf") else "Infinity"


@torch.no_grad()
def folded_numbers(flow: NormalizingFlow, dtype: type = np.float32) -> np.ndarray:
    """The numbers of a flow's maps, (numbers,), in the order in which they are used.

    For each of n blocks: scale (2) and shift (2) of its ActNorm, x -> scale x + shift, if there are any; then the
    block, x -> x + g(x). At the end scale and shift of the last ActNorm. A block has, with c numbers out of each unit
    (2 for "both signs", else 1):

    - residual branches: beta (1), then for each layer W~, (out, c in) row by row, and b~ (out), of
      g(x) = W~_m raw(... W~_1 raw(beta x) + b~_1 ...) + b~_m; in and out are neighbours in `widths`;
    - dense branches: for each layer W~, (out, seen), and b~ (out), of h <- [h; raw(W~ h + b~)], which begins with
      h = x, and after the last layer g(x) = W~ h + b~. `seen` is the number of units in h: 2 + c times the widths of
      the hidden layers before.

    Raises ValueError for a flow that is not portable.
    """
    if not is_portable(flow):
        raise ValueError(f"flow = {told(type(flow).__name__)}: its weights cannot be folded for another program.")
    scales, shifts, network = (flow.kernels and flow.kernels.folded(flow)) or _folded(flow)
    scales, shifts = _rows(scales), _rows(shifts)
    n = flow.config.blocks
    parts = [scales[:n], shifts[:n]] if flow.config.actnorm else []
    if isinstance(network, Sequential):
        parts.append(_rows(network.entry_scale))
    for weight, bias in zip(network.weights, network.biases, strict=True):
        parts += [_rows(weight), _rows(bias)]
    last = [scales[n], shifts[n]] if flow.config.actnorm else []
    size = n * sum(part.shape[1] for part in parts)
    numbers = np.empty(size + 2 * len(last), dtype)
    np.concatenate(parts, 1, out=numbers[:size].reshape(n, -1), casting="same_kind")
    if last:
        np.concatenate(last, out=numbers[size:], casting="same_kind")
    return numbers


def _folded(flow: Flow) -> tuple[Tensor, Tensor, Network]:
    f = flow.map()
    return torch.stack([*f.scales]), torch.stack([*f.shifts]), f.network


def _rows(part: np.ndarray | Tensor) -> np.ndarray:
    """One row of numbers for each block."""
    array = part.cpu().numpy() if isinstance(part, Tensor) else part
    return array.reshape(len(array), -1)
