"""Arguments in all forms that the library accepts: a name or a value, a number or a generator, an array or a tensor."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from resflow_core.activations import ACTIVATIONS, Activation, activation_named
from resflow_core.expressions import SIGN
from resflow_core.log_det import LOG_DETS, LogDet
from resflow_core.roulette import LAWS, Law
from resflow_core.settings import told

LARGEST_SEED = 2**63 - 1


def log_det_of(value: Any) -> LogDet:
    """An entry of `LOG_DETS` by its name, or an estimator as it is. Raises ValueError for all else."""
    if isinstance(value, str):
        if value not in LOG_DETS:
            raise ValueError(f"log_det = {told(value)}: use one of {', '.join(LOG_DETS)}, or e.g. rf.Roulette().")
        return LOG_DETS[value]()
    if isinstance(value, type) and value in LOG_DETS.values():
        return value()
    if isinstance(value, type) or not hasattr(value, "value_and_log_det"):
        raise ValueError(f"log_det = {told(value)}: pass one of {', '.join(LOG_DETS)}, or e.g. rf.Roulette().")
    return value


def law_of(value: Any) -> Law:
    """An entry of `LAWS` by its name, or a law as it is. Raises ValueError for all else."""
    if isinstance(value, str):
        if value not in LAWS:
            raise ValueError(f"law = {told(value)}: use one of {', '.join(LAWS)}, or e.g. rf.Geometric(0.5).")
        return LAWS[value]()
    if not isinstance(value, Law):
        raise ValueError(f"law = {told(value)}: pass one of {', '.join(LAWS)}, or e.g. rf.Geometric(0.5).")
    return value


def activation_name(value: Any) -> str:
    """The name of an activation: a name, what `rf.formula` gives, or a function of torch that has an entry.

    Raises ValueError for all else.
    """
    if isinstance(value, str):
        activation_named(value)
        return value
    for name, entry in ACTIVATIONS.items():
        if value is entry or value is entry.function or getattr(torch, name, None) is value:
            return name
    if isinstance(value, Activation):
        name = SIGN + value.title
        activation_named(name)
        return name
    raise ValueError(
        f"activation = {told(value)}: use one of {', '.join(ACTIVATIONS)}, or a formula in z, e.g. "
        'rf.formula("sin(z)"). Its Lipschitz constant must be known, so other functions are refused.'
    )


def generator_of(seed: Any, default: torch.Generator | None = None) -> torch.Generator:
    """A generator: the one that is given, one with the seed that is given, or the default for None.

    A NumPy generator gives the seed. Raises ValueError for all else.
    """
    if seed is None and default is not None:
        return default
    if isinstance(seed, torch.Generator):
        return seed
    if isinstance(seed, np.random.Generator):
        seed = int(seed.integers(LARGEST_SEED))
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool) and 0 <= seed <= LARGEST_SEED:
        return torch.Generator().manual_seed(int(seed))
    raise ValueError(
        f"seed = {told(seed)}: use a whole number from 0 to {LARGEST_SEED}, or a torch.Generator, e.g. "
        "torch.Generator().manual_seed(0)."
    )


def one_generator(seed: Any, generator: Any, default: torch.Generator | None) -> torch.Generator:
    """The generator of a call that takes it by either name. Raises ValueError if both are given."""
    if seed is not None and generator is not None:
        raise ValueError("Both seed and generator are given: give one of them.")
    return generator_of(generator if seed is None else seed, default)


def tensor_of(values: Any, what: str) -> Tensor:
    """Numbers as a tensor of their own float type; whole numbers become float64. Raises ValueError for all else."""
    if isinstance(values, Tensor):
        tensor = values
    else:
        try:
            array = np.asarray(values)
            if array.dtype.kind not in "fiub":
                raise TypeError(f"numbers are needed, not {array.dtype}")
            # A copy: torch warns of arrays that cannot be written to.
            tensor = torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{what} = {told(values)}: pass a tensor or an array of numbers ({told(str(error))})."
            ) from None
    if tensor.is_complex():
        raise ValueError(f"{what} is complex: pass real numbers, e.g. torch.view_as_real({what}).flatten(-2).")
    return tensor if tensor.is_floating_point() else tensor.double()


def points_of(values: Any, features: int, what: str = "x") -> Tensor:
    """Points as a tensor, (..., features). Raises ValueError for all else, and says what to pass."""
    tensor = tensor_of(values, what)
    shape = tuple(tensor.shape)
    if shape[-1:] == (features,):
        return tensor
    if features == 1:
        remedy = f"Pass {what}[..., None]."
    elif len(shape) > 1 and shape[-2] == features:
        remedy = f"Pass {what}.mT if the last two dimensions are swapped."
    else:
        remedy = f"The last dimension holds the {features} numbers of a point."
        if what == "X" and len(shape) > 1:
            remedy += f" For points of {shape[-1]} numbers build the flow with features={shape[-1]}."
    raise ValueError(f"{what} has the shape {shape}; (..., {features}) is needed. {remedy}")


def shape_of(shape: Any) -> torch.Size:
    """A sample shape: a whole number, or several. Raises ValueError for all else."""
    if isinstance(shape, int | np.integer) and not isinstance(shape, bool):
        shape = (int(shape),)
    try:
        sizes = [int(size) for size in shape]
        if any(size < 0 or size != given for size, given in zip(sizes, shape, strict=True)):
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(f"shape = {told(shape)}: use a whole number of at least 0, or several, e.g. (3, 4).") from None
    return torch.Size(sizes)
