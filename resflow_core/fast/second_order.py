"""Second derivatives of what has its gradient by hand.

A backward pass by hand treats what the forward pass kept as constants. Its own derivative would therefore be wrong, and
torch would not say so: a Hessian would be zeros. A function whose gradient is asked for with a graph
(`create_graph=True`) therefore computes it anew, by automatic differentiation.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def wanted_again() -> bool:
    """Within `backward` of an autograd function: whether its gradient will be differentiated."""
    return torch.is_grad_enabled()


def in_transform() -> bool:
    """Whether torch.func transforms this computation (vmap, grad, hessian, ...). The paper's functions are taken then,
    since those by hand have no rules for it."""
    active = getattr(torch._C, "_are_functorch_transforms_active", None)
    return bool(active and active())


def gradients(function: Callable[..., Any], inputs: Sequence[Tensor], d_outputs: Sequence[Tensor]) -> list[Any]:
    """The gradient of sum <d_outputs, function(*inputs)> in each input, with its graph; None for inputs that need
    none. `function` is differentiable twice by autograd, and `inputs` are as `ctx.saved_tensors` has them."""
    needed = [tensor for tensor in inputs if tensor.requires_grad]
    # A view of each: an input may be computed from another one, and partial derivatives are wanted.
    views = [tensor.view_as(tensor) for tensor in inputs]
    wanted = [view for view in views if view.requires_grad]
    outputs = function(*views)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    if not needed or not any(output.requires_grad for output in outputs):
        return [None] * len(inputs)
    pairs = [(o, d) for o, d in zip(outputs, d_outputs, strict=True) if o.requires_grad]
    found = iter(
        torch.autograd.grad(
            [o for o, _ in pairs], wanted, [d for _, d in pairs], create_graph=True, materialize_grads=True
        )
    )
    return [next(found) if tensor.requires_grad else None for tensor in inputs]
