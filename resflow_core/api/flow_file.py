"""A flow as a file: its weights as safetensors, and its settings as metadata. Reading a file runs no code from it."""

import dataclasses
import json
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from resflow_core.flow import Flow, FlowConfig
from resflow_core.settings import from_json, to_json, told

# The only key of the metadata, because the order of several would vary. A new meaning of the value needs a new key.
FORMAT = "residual flow 1"
# The name of the notes among the settings in that value.
NOTES = "notes"
# The first files do not have these settings. Their flows have the defaults.
LATER = {"norms", "constraint", "branch"}
# The largest flow of the plane that the settings allow has 97 MiB of weights.
MOST_BYTES = 112 * 2**20
# Limits of the header, of which the largest flow has 45 kB, in bytes, and of its settings and notes, in characters.
MOST_HEADER_BYTES, MOST_SETTINGS = 2**20, 2**16
# The density of a flow that is read must be finite at one of this many points.
PROBED = 32
MOST_DIMS = 8  # of a tensor whose shape a message gives


def to_bytes(flow: Flow, notes: dict[str, Any] | None = None) -> bytes:
    """The file of a flow, with optional `notes` on its training, which JSON must be able to hold.

    Raises TypeError for notes that JSON cannot hold.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in flow.state_dict().items()}
    return save(tensors, {FORMAT: json.dumps(to_json(flow.config) | ({NOTES: notes} if notes else {}))})


def from_bytes(data: bytes, dim: int = 2) -> Flow:
    """The flow of a file, bitwise as it was saved.

    Raises ValueError for any other bytes, for a flow that is not one of R^dim, and for a flow without a finite density.
    The message says what is wrong in at most a few hundred characters.
    """
    if not isinstance(data, bytes | bytearray):
        raise ValueError(f"data = {told(data)}: pass the bytes of a file, e.g. pathlib.Path(name).read_bytes().")
    if len(data) > MOST_BYTES:
        raise ValueError(f"The file has {len(data):,} bytes; a flow has at most {MOST_BYTES:,}.")
    header_length(data, MOST_HEADER_BYTES)
    try:
        tensors = load(data)
    except (SafetensorError, KeyError, RuntimeError) as error:  # the others for types and shapes that torch lacks
        raise ValueError("The file cannot be read as safetensors. It may be damaged.") from error
    flow = _config(data, dim).build(torch.Generator().manual_seed(0))
    fill(flow, tensors)
    _check_density(flow, dim)
    return flow


def header_length(data: bytes, most: int) -> int:
    """The bytes of names at the beginning of a file. Raises ValueError if they are more than `most`."""
    header = int.from_bytes(data[:8], "little")
    if most < header < len(data):
        raise ValueError(f"The file begins with {header:,} bytes of names; a flow has at most {most:,}.")
    return header


def fill(module: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Load the tensors of a file into what was built by its settings. Raises ValueError unless they are its, all of
    them, and finite."""
    expected = module.state_dict()
    if different := sorted(expected.keys() ^ tensors.keys()):
        name, is_ours = different[0], different[0] in expected
        what = f"{name} is missing" if is_ours else f"{told(name)} does not belong"
        raise ValueError(f"The file does not fit its own settings: {what}.")
    for name, tensor in tensors.items():
        like = expected[name]
        if (tensor.shape, tensor.dtype) != (like.shape, like.dtype):
            raise ValueError(
                f"The file does not fit its own settings: {name} holds {_kind(tensor)}, where {_kind(like)} is needed."
            )
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"The file holds numbers that are not finite, in {name}.")
    module.load_state_dict(tensors)


def notes(data: bytes) -> dict[str, Any]:
    """The notes in a file that `from_bytes` accepts; {} if there are none.

    Names and values come from the file's author: they can be any JSON. Raises ValueError if they cannot be read.
    """
    return _values(data).get(NOTES, {})


@torch.no_grad()
def _check_density(flow: Flow, dim: int) -> None:
    """Raise ValueError if the density is finite at none of `PROBED` points.

    With finite but enormous weights, everything that is drawn and saved of a flow would be NaN.
    """
    x = torch.randn(PROBED, dim, generator=torch.Generator().manual_seed(0))
    if not bool(flow.log_prob(x).isfinite().any()):
        largest = max(float(tensor.abs().max()) for tensor in flow.state_dict().values() if tensor.numel())
        raise ValueError(
            f"The flow in the file has no finite density at any of {PROBED} points: its largest weight is "
            f"{largest:.3g}. Save it again from an earlier step."
        )


def _values(data: bytes) -> dict[str, Any]:
    """The value in the metadata of a readable file. The header is JSON and follows its length in 8 bytes."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = header.get("__metadata__") or {}
    if FORMAT not in metadata:
        raise ValueError(f"The file is not a flow that was saved here: its metadata has no {FORMAT!r}.")
    if (size := len(metadata[FORMAT])) > MOST_SETTINGS:
        raise ValueError(f"The settings and notes in the file have {size:,} characters; {MOST_SETTINGS:,} are allowed.")
    try:
        values = json.loads(metadata[FORMAT])
    except (ValueError, RecursionError) as error:
        raise ValueError("The settings in the file cannot be read. It may be damaged.") from error
    if not isinstance(values, dict):
        raise ValueError("The settings in the file cannot be read: they are not names with values.")
    noted = values.get(NOTES, {})
    if not isinstance(noted, dict):
        raise ValueError(f"The notes in the file are {told(noted)}: names with values are needed.")
    return values


def _config(data: bytes, dim: int) -> FlowConfig:
    """The settings in the metadata of a readable file."""
    values = _values(data)
    values.pop(NOTES, None)
    names = {field.name for field in dataclasses.fields(FlowConfig)}
    if different := sorted(names - LATER ^ values.keys() - LATER):
        what = "is missing" if different[0] in names else "is unknown"
        raise ValueError(f"The settings in the file are not those of a flow: {told(different[0])} {what}.")
    if values["dim"] != dim:
        where = "the plane" if dim == 2 else f"{dim} dimensions"
        raise ValueError(f"The flow in the file is not one of {where}.")
    try:
        return from_json(FlowConfig, values)
    except TypeError as error:  # for example a list instead of a name
        raise ValueError(f"The settings in the file are not those of a flow: {told(str(error))}.") from error


def _kind(tensor: torch.Tensor) -> str:
    shape = str(tuple(tensor.shape)) if tensor.dim() <= MOST_DIMS else f"of {tensor.dim()} dimensions"
    return f"{str(tensor.dtype).removeprefix('torch.')} {shape}"
