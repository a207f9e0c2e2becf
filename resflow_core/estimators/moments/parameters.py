"""What every parameter of a branch does to its Jacobian: the B of the gradient's estimators."""

import torch
from torch import Tensor, nn

from resflow_core.estimators.moments.remainders import QUANTITIES, Remainders


def jacobian_derivatives(branch: nn.Module, x: Tensor) -> Tensor:
    """dA / d theta for each of P numbers that are trained, at each point: (batch, P, d, d) for x of shape (batch, d).

    One backward pass for each entry of A at each point.
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


def parameter_remainders(branch: nn.Module, x: Tensor, terms: int, quantity: str = "neumann") -> Remainders:
    """Of the gradient of log det(I + A) by all parameters at once, for each point of x, (batch, d).

    Squares are added up over the parameters, so that the variance is the trace of the gradient's covariance. A slow
    computation, and a large one: terms x batch x P matrices.
    """
    derivatives = jacobian_derivatives(branch, x)
    with torch.no_grad():
        jacobian = branch.value_and_jacobian(x)[1][:, None].expand_as(derivatives)
    of_each = QUANTITIES[quantity].remainders(jacobian.flatten(0, 1), derivatives.flatten(0, 1), terms)
    return of_each.unflattened(derivatives.shape[:2]).pooled(lambda t: t.sum(-1))
