"""The derivatives B = dA / d theta of a branch's Jacobian by its parameters, for the gradient's estimators."""

import torch
from torch import Tensor, nn

from resflow_core.estimators.moments.remainders import QUANTITIES, Remainders


def jacobian_derivatives(branch: nn.Module, x: Tensor) -> Tensor:
    """dA / d theta for each of the P trained numbers, at each point: x, (batch, d) -> (batch, P, d, d).

    It takes one backward pass for each entry of A at each point.
    """
    parameters = [p for p in branch.parameters() if p.requires_grad]
    with torch.enable_grad():
        _, jacobian = branch.value_and_jacobian(x)
        by_entry = [
            torch.autograd.grad(entry, parameters, retain_graph=True, materialize_grads=True)
            for entry in jacobian.flatten()
        ]
    flat = torch.stack([torch.cat([d.flatten() for d in derivatives]) for derivatives in by_entry])
    return flat.view(*jacobian.shape, -1).movedim(-1, 1)


def parameter_remainders(
    branch: nn.Module, x: Tensor, terms: int, quantity: str = "neumann", exact_traces: int = 0
) -> Remainders:
    """The `Remainders` of the gradient of log det(I + A) by all parameters together, for each point of x, (batch, d).

    Squares are added up over the parameters, so the variance is the trace of the gradient's covariance. It is slow and
    needs much memory: terms x batch x P matrices of shape (d, d). Raises KeyError if `QUANTITIES` has no such quantity,
    and ValueError if a spectral radius of A is 1 or more.
    """
    derivatives = jacobian_derivatives(branch, x)
    with torch.no_grad():
        jacobian = branch.value_and_jacobian(x)[1][:, None].expand_as(derivatives)
    of = QUANTITIES[quantity]
    of_each = of.remainders(jacobian.flatten(0, 1), derivatives.flatten(0, 1), terms).beyond(of.first(exact_traces))
    return of_each.unflattened(derivatives.shape[:2]).pooled(lambda t: t.sum(-1))
