"""What every parameter of a branch does to its Jacobian: the B of the gradient's estimators."""

import torch
from torch import Tensor, nn


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
