"""Blocks and flows as parts of a flow of another library."""

from typing import Any

from torch import nn

from resflow_core.api.blocks import ResidualBlock
from resflow_core.api.residual_flow import ResidualFlow
from resflow_core.bijection import Bijection
from resflow_core.settings import told


def to_zuko(block: "ResidualBlock | ResidualFlow | Bijection", log_det: Any = "exact") -> nn.Module:
    """A block or a flow as a lazy transform of zuko, which goes into the list of transforms of a `zuko.flows.Flow`.

    Its parameters are the block's own. The transform maps x to z; `inv` is the certified inverse, with gradients. A
    flow goes without its base, in its own units; a conditional one takes zuko's context.

    Args:
        block: an `rf.ResidualBlock` of points in one dimension, an `rf.ResidualFlow`, or a part of a flow.
        log_det: how its log det is computed, as for `rf.ResidualFlow`.

    Raises:
        ModuleNotFoundError: without zuko, with what to install.
        ValueError: for anything else.

    Example:
        >>> import torch, zuko, resflow_core as rf
        >>> g = torch.nn.Sequential(rf.LipschitzLinear(2, 8, 0.9), torch.nn.Tanh(), rf.LipschitzLinear(8, 2, 0.9))
        >>> base = zuko.lazy.UnconditionalDistribution(zuko.distributions.DiagNormal, torch.zeros(2), torch.ones(2))
        >>> flow = zuko.flows.Flow([rf.to_zuko(rf.ResidualBlock(g))], base)
        >>> flow().log_prob(torch.zeros(5, 2)).shape, flow().sample((3,)).shape
        (torch.Size([5]), torch.Size([3, 2]))
    """
    if not isinstance(block, ResidualBlock | ResidualFlow | Bijection):
        remedy = " Wrap it: rf.ResidualBlock(g, lipschitz=0.9)." if isinstance(block, nn.Module) else ""
        raise ValueError(f"block = {told(type(block).__name__)}: pass a ResidualBlock or a ResidualFlow.{remedy}")
    if isinstance(block, ResidualBlock) and block.shape is not None and len(block.shape) > 1:
        raise ValueError(f"The block's points have the shape {tuple(block.shape)}: zuko takes points of one dimension.")
    from resflow_core.api.zuko_transforms import LazyResidual

    return LazyResidual(block, log_det)
