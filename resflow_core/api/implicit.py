"""Gradients of the inverse x = f^-1(z), which a solver finds.

f(x(z, theta); theta) = z gives dx = J^-1 (dz - d_theta f) with J = df/dx. The solver's x is a constant, and one Newton
step from it has this gradient:

    x + J^-1 (z - f(x; theta)),   J and x constants
"""

from collections.abc import Callable

import torch
from torch import Tensor

from resflow_core.gradients import differentiable_once

SECOND = "The gradient of samples and of the inverse is known once."


def with_gradient(forward: Callable[[Tensor], Tensor], x: Tensor, z: Tensor) -> Tensor:
    """x, (n, d), with its gradient in z and in the parameters of `forward`; once differentiable.

    Costs d passes backward through `forward`, and a solve of d equations for each point.
    """
    at = x.detach().requires_grad_()
    with torch.enable_grad():
        value = forward(at)
        rows = [torch.autograd.grad(value[:, i].sum(), at, retain_graph=True)[0] for i in range(value.shape[1])]
    jacobian = torch.stack(rows, 1).detach()
    # Through `forward` at a constant: its gradient in the parameters alone.
    residual = z - forward(x.detach())
    step = torch.linalg.solve(jacobian, residual[..., None])[..., 0]
    return differentiable_once(x.detach() + step - step.detach(), SECOND)
