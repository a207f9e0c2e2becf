"""The weights of a flow that is looked at, as a message from which a browser draws it. It needs no torch.

Little-endian: the length h of the header (uint32), then h bytes of JSON, padded with blanks so that 4 + h is a multiple
of 8, then float32 numbers. The header is

    {"run": timeline, "arm": k, "step": n, "flow": `resflow_core.measure.flow_shape`}

and the numbers are those of `resflow_core.measure.folded_numbers`. The training process makes the message without run
and arm. Only the page server knows these (`Report.timeline`, `comparison`), and puts them in.
"""

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_BYTES = 64 * 1024
"""Of the numbers of a flow. The server draws what has more."""

_LENGTH = struct.Struct("<I")
_ALIGNED = 8


@dataclass(frozen=True, eq=False)
class Weights:
    """The flow of an arm after so many steps."""

    step: int
    flow: str  # JSON of its `flow_shape`
    numbers: np.ndarray  # float32, its `folded_numbers`


def encode(weights: Weights) -> bytes:
    """The message, without run and arm."""
    header = f'{{"step":{weights.step},"flow":{weights.flow}}}'.encode()
    return _message(header, weights.numbers.astype("<f4", copy=False).tobytes())


def addressed(message: bytes, run: str, arm: int = 0) -> bytes:
    """The same message with the timeline of its run and the number of the arm."""
    start = _LENGTH.size
    end = start + _LENGTH.unpack_from(message)[0]
    header = f'{{"run":{json.dumps(run)},"arm":{arm},'.encode() + message[start + 1 : end].rstrip(b" ")
    return _message(header, message[end:])


def decode(message: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """The header and the numbers of a message. Raises ValueError if it is none."""
    start = _LENGTH.size
    try:
        end = start + _LENGTH.unpack_from(message)[0]
        return json.loads(message[start:end]), np.frombuffer(message, "<f4", offset=end)
    except struct.error as error:
        raise ValueError(f"{len(message)} bytes are no weights: {error}.") from error


def _message(header: bytes, numbers: bytes) -> bytes:
    padded = header + b" " * (-(_LENGTH.size + len(header)) % _ALIGNED)
    return b"".join((_LENGTH.pack(len(padded)), padded, numbers))
