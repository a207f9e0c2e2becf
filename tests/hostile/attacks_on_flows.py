"""Saved flows that somebody has tampered with: a registry of kinds."""

import json
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from resflow_core.api import flow_file
from resflow_core.flow import FlowConfig
from resflow_core.settings import to_json
from tests.hostile.attacks import ODD, Attack, cut, flipped, noise, put
from tests.hostile.names import MARK, NAMES

FLOW = FlowConfig(blocks=2, width=8).build(torch.Generator().manual_seed(1))
GOOD_FLOW = flow_file.to_bytes(FLOW, {"steps": 3})
SETTINGS = to_json(FLOW.config)
HEADER_ENDS = 8 + int.from_bytes(GOOD_FLOW[:8], "little")
BODY = GOOD_FLOW[HEADER_ENDS:]


def header() -> dict[str, Any]:
    return json.loads(GOOD_FLOW[8:HEADER_ENDS])


def with_header(text: str, body: bytes = BODY) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(8, "little") + raw + body


def with_settings(text: str) -> bytes:
    return with_header(json.dumps(header() | {"__metadata__": {flow_file.FORMAT: text}}))


def lengths(random, n):
    for k in range(n):
        length = [0, 1, 2**32, 2**63, 2**64 - 1, len(GOOD_FLOW), HEADER_ENDS - 9, 2**20 + 1, random.getrandbits(64)][
            k % 9
        ]
        yield length.to_bytes(8, "little") + GOOD_FLOW[8:]


def headers(random, n):
    for k in range(n):
        yield with_header(
            ODD[k % len(ODD)] if k % 2 else put(header(), random.choice(list(header())), random.choice(ODD))
        )


def metadata(random, n):
    for _ in range(n):
        inner = put({}, random.choice([flow_file.FORMAT, "residual flow 2", *NAMES.values()]), random.choice(ODD))
        yield with_header(put(header(), "__metadata__", random.choice([inner, random.choice(ODD)])))


def a_setting(random, n):
    for _ in range(n):
        yield with_settings(put(SETTINGS, random.choice(list(SETTINGS)), random.choice(ODD)))


def whole_settings(random, n):
    for k in range(n):
        pairs = json.dumps(list(SETTINGS.items()))
        twice = json.dumps(SETTINGS)[:-1] + f', "blocks": {random.choice(ODD)}}}'
        yield with_settings([ODD[k % len(ODD)], pairs, twice, json.dumps(SETTINGS) * 2, "{" + "[" * 40_000][k % 5])


def names_of_settings(random, n):
    for k in range(n):
        values = dict(SETTINGS)
        if k % 2:
            del values[random.choice(list(values))]
        yield with_settings(json.dumps(values | {random.choice(list(NAMES.values())): 1}))


def a_constraint(random, n):
    for k in range(n):
        name = random.choice(["is", "steps", "iterations", "warm", *NAMES.values()])
        kind = random.choice(["soft", "hard", "bjorck", "power", "off"])
        yield with_settings(put(SETTINGS, "constraint", put({"is": kind}, name, ODD[k % len(ODD)])))


def an_activation(random, n):
    signs = ["z", "sin(", "exp(", ")", "*", "^", "+", "-", "9" * 30, "1e", "(", "softplus(", ",", MARK, "`", "![x]("]
    for _ in range(n):
        yield with_settings(put(SETTINGS, "activation", json.dumps("=" + "".join(random.choices(signs, k=12)))))


def some_notes(random, n):
    for k in range(n):
        yield with_settings(put(SETTINGS, "notes", ODD[k % len(ODD)]))


def places(random, n):
    """Types, shapes and places of tensors that are not what lies there."""
    for k in range(n):
        found = header()
        name = random.choice([name for name in found if name != "__metadata__"])
        tensor = found[name]
        size = len(BODY)
        match k % 6:
            case 0:
                tensor["dtype"] = random.choice(
                    ["F64", "F16", "BF16", "I8", "U8", "BOOL", "F8_E5M2", "F4", "C64", "", MARK]
                )
            case 1:
                tensor["shape"] = random.choice([[], [0], [1] * 100, [-1], [2**62, 4], [2**63], [1.5], [None], "8"])
            case 2:
                ends = [0, 1, 4, size, size + 4, 2**63, -1]
                tensor["data_offsets"] = [random.choice(ends), random.choice(ends)]
            case 3:
                found[random.choice(list(NAMES.values()))] = found.pop(name)
            case 4:
                tensor["shape"] = tensor["shape"][::-1] + [1] * random.randrange(3)
            case 5:
                tensor[random.choice(list(NAMES.values()))] = 1
        yield with_header(json.dumps(found))


def tensors(random, n):
    """Others than those of the settings, or the same with other numbers."""
    extremes = [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e30, 1e20, 1e10, 1e-45, 0.0, -0.0, 1.0]
    for k in range(n):
        found = load(GOOD_FLOW)
        name = random.choice(list(found))
        match k % 6:
            case 0:
                found[name] = torch.full_like(found[name], random.choice(extremes))
            case 1:
                found = {
                    key: torch.full_like(tensor, extremes[k // 6 % len(extremes)]) for key, tensor in found.items()
                }
            case 2:
                found[name] = found[name] * random.choice([1e38, 1e20, 1e6, -1.0, 1e-30])
            case 3:
                del found[name]
            case 4:
                found |= {f"{MARK}{i}": torch.zeros(0) for i in range(random.choice([1, 2000]))}
            case 5:
                found[name] = found[name].to(random.choice([torch.float64, torch.int8, torch.bool, torch.complex64]))
        yield save(found, {flow_file.FORMAT: json.dumps(SETTINGS)})


def twice(random, n):
    """A name that stands in the header twice."""
    for _ in range(n):
        name = random.choice(list(header()))
        text = json.dumps(header())
        yield with_header(text[:-1] + f", {json.dumps(name)}: {json.dumps(header()[random.choice(list(header()))])}}}")


FLOWS: dict[str, tuple[Attack, int]] = {
    "flipped bytes of the header": (flipped(GOOD_FLOW, 0, HEADER_ENDS), 40),
    "flipped bytes of the weights": (flipped(GOOD_FLOW, HEADER_ENDS, len(GOOD_FLOW)), 30),
    "cut": (cut(GOOD_FLOW), 15),
    "noise": (noise, 8),
    "lengths": (lengths, 18),
    "headers": (headers, 40),
    "metadata": (metadata, 30),
    "a setting": (a_setting, 60),
    "whole settings": (whole_settings, 25),
    "names of settings": (names_of_settings, 30),
    "a constraint": (a_constraint, 40),
    "an activation": (an_activation, 20),
    "notes": (some_notes, len(ODD)),
    "places": (places, 60),
    "tensors": (tensors, 48),
    "twice": (twice, 10),
}
"""Each kind with how many files of it are made."""
