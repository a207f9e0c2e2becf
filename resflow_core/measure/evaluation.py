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
    """log p(x) in nats by the exact log det, (batch,), and every block's A = dg/dx, (batch, blocks, dim, dim)."""

    log_prob: Tensor
    jacobians: Tensor

    @property
    def block_log_dets(self) -> Tensor:
        """log|det(I + A)| of every block, (batch, blocks)."""
        return log_abs_det_of_identity_plus(self.jacobians)


class _Recorder:
    """The exact log det (a `LogDet`), which keeps the Jacobians that it came from."""

    def __init__(self):
        self.jacobians: list[Tensor] = []

    def value_and_log_det(self, branch, x, generator=None):
        value, jacobian = branch.value_and_jacobian(x)
        self.jacobians.append(jacobian)
        return value, log_abs_det_of_identity_plus(jacobian)


@torch.no_grad()
def evaluate(flow: Flow, x: Tensor) -> Evaluation:
    """Send points, (batch, dim), through the flow, in chunks."""
    chunks = []
    for chunk in x.to(next(flow.parameters())).split(CHUNK):
        recorder = _Recorder()
        z, log_det = flow.forward_and_log_det(chunk, recorder)
        chunks.append((standard_normal_log_prob(z) + log_det, torch.stack(recorder.jacobians, 1)))
    log_probs, jacobians = zip(*chunks, strict=True)
    return Evaluation(torch.cat(log_probs).cpu(), torch.cat(jacobians).cpu())


@torch.no_grad()
def log_prob(flow: Flow, x: Tensor) -> Tensor:
    """log p(x) in nats by the exact log det, (batch,), in chunks."""
    x = x.to(next(flow.parameters()))
    return torch.cat([flow.log_prob(chunk) for chunk in x.split(CHUNK)]).cpu()
