"""What a page under AppTest has found and drawn, as values."""

import base64

import numpy as np


def finding(page, kind):
    """The newest value of this type that the page's screens have found (`session.note`)."""
    return page.session_state["page"].findings[kind]


def decode(packed):
    """What unpack.js does: little-endian bytes, row-major."""
    dtype = np.dtype(packed["dtype"]).newbyteorder("<")
    return np.frombuffer(base64.b64decode(packed["base64"]), dtype).reshape(packed["shape"])


def curves(chart):
    """The points of each path of a chart, (n, 2), in the order in which they are drawn."""
    return [decode(path["points"]) for path in chart["paths"]]
