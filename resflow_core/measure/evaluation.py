"""One pass of points through a flow, from which densities and tables follow."""

from dataclasses import dataclass

import torch
from torch import Tensor

from resflow_core.flow import Flow, standard_normal_log_prob
from resflow_core.identity_plus import log_abs_det_of_identity_plus

# Chunks of this many points stay in the processor's cache: twice as fast as one batch of 40,000.
CHUNK = 2_000


@dataclass(frozen=True)
class Evaluation:
    """By the exact log det, in nats."""

    log_prob: Tensor  # log p(x), (batch,)
    block_log_dets: Tensor  # log|det(I + A)| of every block, (batch, blocks)
    jacobians: Tensor  # its A = dg/dx, (batch, blocks, dim, dim)


class _Recorder:
    """The exact log det (a `LogDet`), which keeps what it found at every block."""

    def __init__(self):
        self.log_dets: list[Tensor] = []
        self.jacobians: list[Tensor] = []

    def value_and_log_det(self, branch, x, generator=None):
        value, jacobian = branch.value_and_jacobian(x)
        log_det = log_abs_det_of_identity_plus(jacobian)
        self.jacobians.append(jacobian)
        self.log_dets.append(log_det)
        return value, log_det


@torch.no_grad()
def evaluate(flow: Flow, x: Tensor) -> Evaluation:
    """Send points, (batch, dim), through the flow, in chunks."""
    chunks = []
    for chunk in x.to(next(flow.parameters())).split(CHUNK):
        recorder = _Recorder()
        z, log_det = flow.forward_and_log_det(chunk, recorder)
        of_blocks = torch.stack(recorder.log_dets, 1), torch.stack(recorder.jacobians, 1)
        chunks.append((standard_normal_log_prob(z) + log_det, *of_blocks))
    return Evaluation(*(torch.cat(parts).cpu() for parts in zip(*chunks, strict=True)))


@torch.no_grad()
def log_prob(flow: Flow, x: Tensor) -> Tensor:
    """log p(x) in nats by the exact log det, (batch,), in chunks."""
    x = x.to(next(flow.parameters()))
    return torch.cat([flow.log_prob(chunk) for chunk in x.split(CHUNK)]).cpu()
