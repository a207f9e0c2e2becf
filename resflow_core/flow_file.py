"""A flow as a file: its weights as safetensors, the settings that build it as metadata. Reading one runs no code."""

import dataclasses
import json
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from resflow_core.flow import Flow, FlowConfig
from resflow_core.settings import from_json, to_json

# The one key of the metadata, whose order would not be the same in every file. It changes with what the value means.
FORMAT = "residual flow 1"
# Beside the settings in that value.
NOTES = "notes"
# Settings that the first files do not have; their defaults are what was built then.
LATER = {"norms", "constraint"}
# The largest flow that the settings allow has 49 MiB of weights.
MOST_BYTES = 64 * 2**20


def to_bytes(flow: Flow, notes: dict[str, Any] | None = None) -> bytes:
    """The file of a flow, with `notes` of how it was trained, as JSON has them, where there are some."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in flow.state_dict().items()}
    return save(tensors, {FORMAT: json.dumps(to_json(flow.config) | ({NOTES: notes} if notes else {}))})


def from_bytes(data: bytes, dim: int = 2) -> Flow:
    """The flow of a file, bitwise what was saved. Raises ValueError, saying what is wrong, for any other bytes, and
    for a flow that is not one of R^dim."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"The file has {len(data):,} bytes; a flow has at most {MOST_BYTES:,}.")
    try:
        tensors = load(data)
    except (SafetensorError, KeyError) as error:  # the second for types that torch does not have
        raise ValueError("The file cannot be read as safetensors. It may be damaged.") from error
    flow = _config(data, dim).build(torch.Generator().manual_seed(0))
    expected = flow.state_dict()
    if different := sorted(expected.keys() ^ tensors.keys()):
        what = "is missing" if different[0] in expected else "does not belong"
        raise ValueError(f"The file does not fit its own settings: {different[0][:80]} {what}.")
    for name, tensor in tensors.items():
        like = expected[name]
        if (tensor.shape, tensor.dtype) != (like.shape, like.dtype):
            raise ValueError(
                f"The file does not fit its own settings: {name} holds {_kind(tensor)}, where {_kind(like)} is needed."
            )
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"The file holds numbers that are not finite, in {name}.")
    flow.load_state_dict(tensors)
    return flow


def notes(data: bytes) -> dict[str, Any]:
    """What `to_bytes` noted in a file that `from_bytes` accepts; empty where nothing was."""
    return _values(data).get(NOTES, {})


def _values(data: bytes) -> dict[str, Any]:
    """The metadata of a readable file: a header of JSON, after its length in 8 bytes."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = header.get("__metadata__", {})
    if FORMAT not in metadata:
        raise ValueError(f"The file is not a flow that was saved here: its metadata have no {FORMAT!r}.")
    try:
        return dict(json.loads(metadata[FORMAT]))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("The settings in the file cannot be read. It may be damaged.") from error


def _config(data: bytes, dim: int) -> FlowConfig:
    """The settings in the metadata of a readable file."""
    values = _values(data)
    values.pop(NOTES, None)
    names = {field.name for field in dataclasses.fields(FlowConfig)}
    if different := sorted(names - LATER ^ values.keys() - LATER):
        what = "is missing" if different[0] in names else "is unknown"
        raise ValueError(f"The settings in the file are not those of a flow: {different[0][:80]!r} {what}.")
    if values["dim"] != dim:
        where = "the plane" if dim == 2 else f"{dim} dimensions"
        raise ValueError(f"The flow in the file is not one of {where}.")
    try:
        return from_json(FlowConfig, values)
    except TypeError as error:  # a list, say, where a name should be
        raise ValueError(f"The settings in the file are not those of a flow: {error}.") from error


def _kind(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
