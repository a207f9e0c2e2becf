"""A `ResidualFlow` as a file: its tensors as safetensors, and its settings as metadata. Reading it runs no code."""

import json
import math
import os
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_in
from safetensors.torch import save
from torch import nn

from resflow_core.api import bases, flow_file
from resflow_core.api.fitting import Fit
from resflow_core.api.residual_flow import ResidualFlow
from resflow_core.flow import FlowConfig
from resflow_core.log_det import LOG_DETS
from resflow_core.settings import from_json, to_json, told

FORMAT = "residual flow library 1"
MOST_BYTES, MOST_HEADER_BYTES = 2**28, 2**21
BASE = "base."
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def to_file(flow: ResidualFlow) -> bytes:
    """The bytes of the file of a flow. Raises ValueError for a base that it cannot hold."""
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in flow.state_dict().items()}
    base = None
    if flow.base_module is not None:
        base, _ = bases.written(flow.base_module)
    elif flow._base is not None:
        base, of_base = bases.written(flow._base.distribution)
        tensors |= {f"{BASE}{name}": tensor.detach().cpu().contiguous().clone() for name, tensor in of_base.items()}
    name = next((name for name, kind in LOG_DETS.items() if type(flow.log_det) is kind), None)
    if name is None:
        raise ValueError(f"log_det = {told(flow.log_det)}: a file holds one of {', '.join(LOG_DETS)}.")
    settings = {
        "flow": to_json(flow.config),
        "context": flow.context,
        "log_det": {"is": name, **to_json(flow.log_det)},
        "dtype": str(flow.dtype).removeprefix("torch."),
        "base": base,
        "fitted": None if flow.fitted is None else _plain(flow.fitted),
    }
    return save(tensors, {FORMAT: json.dumps(settings)})


def load(path: "str | os.PathLike[str]") -> ResidualFlow:
    """The flow of a file that `ResidualFlow.save` wrote, bitwise, on the CPU. No code from the file is run.

    Files of `rf.to_bytes`, and of the explorer, become flows in the units that they were trained in.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for any other file. The message says what is wrong.

    Example:
        >>> import tempfile, pathlib, torch, resflow_core as rf
        >>> path, flow = pathlib.Path(tempfile.mkdtemp()) / "mine.rf", rf.ResidualFlow(2, blocks=2, width=8)
        >>> flow.save(path)
        >>> torch.equal(rf.load(path).log_prob([0.0, 1.0]), flow.log_prob([0.0, 1.0]))
        True
    """
    if isinstance(path, bytes | bytearray):
        raise ValueError("path holds bytes: pass the name of a file, or use rf.from_bytes for a flow of rf.to_bytes.")
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    return from_file(data)


def from_file(data: bytes) -> ResidualFlow:
    """The flow of the bytes of a file; as `load`."""
    if len(data) > MOST_BYTES:
        raise ValueError(f"The file has more than {MOST_BYTES:,} bytes, which no flow has.")
    header = flow_file.header_length(data, MOST_HEADER_BYTES)
    try:
        tensors = tensors_in(data)
        metadata = json.loads(data[8 : 8 + header]).get("__metadata__") or {}
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise ValueError(
            "The file cannot be read as safetensors. It may be damaged, or made by torch.save: use torch.load for that."
        ) from error
    if flow_file.FORMAT in metadata:
        return _of_older(data, metadata[flow_file.FORMAT])
    if FORMAT not in metadata:
        raise ValueError(f"The file is not a flow that was saved here: its metadata has no {FORMAT!r}.")
    try:
        flow = _built(json.loads(metadata[FORMAT]), tensors)
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"The settings in the file are not those of a flow: {told(str(error))}.") from error
    flow_file.fill(flow, {name: tensor for name, tensor in tensors.items() if not name.startswith(BASE)})
    if not bool((flow.scale > 0).all() and (flow.context_scale > 0).all()):
        raise ValueError("The file holds a unit that is not positive.")
    return flow


def _built(settings: dict[str, Any], tensors: dict[str, torch.Tensor]) -> ResidualFlow:
    config = from_json(FlowConfig, settings["flow"])
    log_det = dict(settings["log_det"])
    kind = LOG_DETS[log_det.pop("is")]
    flow = ResidualFlow.__new__(ResidualFlow)
    nn.Module.__init__(flow)
    if type(settings["context"]) is not int or not 0 <= settings["context"] <= 10_000:
        raise ValueError(f"context = {told(settings['context'])}: use a whole number from 0 to 10,000.")
    flow._begin(config, settings["context"], from_json(kind, log_det), torch.Generator().manual_seed(0))
    if settings["base"] is not None:
        of_base = {name.removeprefix(BASE): t for name, t in tensors.items() if name.startswith(BASE)}
        flow._set_base(bases.read(settings["base"], of_base))
    flow.to(DTYPES[settings["dtype"]])
    if settings["fitted"] is not None:
        fitted: Any = {name: math.nan if v is None else v for name, v in settings["fitted"].items()}
        flow.fitted = Fit(**fitted)
        str(flow.fitted)  # numbers only
    return flow


def _of_older(data: bytes, text: str) -> ResidualFlow:
    """The flow of `rf.to_bytes`, in the units of its training."""
    try:
        dim = json.loads(text)["dim"]
    except (ValueError, KeyError, TypeError, RecursionError):
        dim = 2
    inner = flow_file.from_bytes(data, dim if type(dim) is int else 2)
    flow = ResidualFlow.__new__(ResidualFlow)
    nn.Module.__init__(flow)
    flow._begin(inner.config, 0, LOG_DETS["exact"](), torch.Generator().manual_seed(0))
    flow.flow.load_state_dict(inner.state_dict())
    return flow


def _plain(fitted: Fit) -> dict[str, Any]:
    """JSON has no NaN."""
    return {name: None if value != value else value for name, value in vars(fitted).items()}
