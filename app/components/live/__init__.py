"""The live picture: one Streamlit component that draws data space, latent space and loss, and owns their clock.

`live_panes(scene, key=...)` mounts the picture; `mount_truth(...)` brings a known density to compare with. `scene` is
JSON:

    run            str; a new value is a new run: the queue, the picture and the zoom start afresh
    playing        bool; when it turns false the newest picture is shown at once
    window         [[x0, x1], [y0, y1]] of the data space in the flow's units
    frame_window   [lo, hi] that is shown at most of latent space, on both axes
    axes           two of {"name", "unit", "centre", "scale"}: shown value = centre + scale * flow value
    blocks         int; residual blocks of the flow
    truth          name of the true density as `mount_truth` was told it, or null where nobody knows it
    points         `encode_points(data)`, constant for a run
    labels         `encode_labels(...)` of these points, or null
    channel        where `app.channel` is, or null
    weights        the newest flow, `encode_weights(...)`, while that does not come by the channel; null where it does,
                   and of a flow that the server draws
    at             `encode_point(...)` of the point that the picture has asked for, or null
    hints          bool; whether a line says what can be tried next
    checks         bool; whether the matrix of a block can be sent to be checked by hand
    frame          the newest that the server has drawn, `encode_frame(...)`; null where it has drawn none, and while
                   a flow moves whose frames come by the channel
    loss           `encode_curves(...)`, or null; `loss_unit` is the unit of its NLL
    floor          entropy of the data in nats where it is known, or null
    curves         bool; whether the curves of the loss are what is looked at; absent where not
    readouts       large numbers as text: {"name", "label", "help", "value", "error", "unit", "note", "word"}
    belief         the estimator that training uses, as the core writes it, if the density that it makes training
                   believe in is known in closed form and is not the flow's own; or null
    time           what `app.ui.time_line` says of earlier moments: {"checkpoints", "moment", "continues"};
                   absent where only the newest is shown
    parts          `encode_step(...)` of the step that the flow stands at, where it was recorded in its parts, or null
    alt            {"data", "latent", "stage", "truth", "difference", "believed", "loss"}: what each view shows, in
                   words
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.components.component import component
from app.components.live.encode import encode_truth
from app.components.live.wishes import FIELDS
from app.engine.commands import Wish

__all__ = ["chosen_moment", "listen", "live_panes", "mount_truth", "readouts", "wish"]

_HERE = Path(__file__).parent


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


_panes = component(
    "resflow_live_panes",
    "live/panes.js",
    html=_read("panes.html"),
    css=_read("panes.css") + _read("time.css"),
    isolate_styles=False,
)

_readouts = component(
    "resflow_readouts",
    "live/readouts.js",
    html=_read("readouts.html"),
    css=_read("readouts.css"),
    isolate_styles=False,
)

_truth = component("resflow_truth", "live/truth.js")
_listening = component("resflow_listening", "live/listening.js")


def mount_truth(data_id: str, density: np.ndarray | None) -> None:
    """Bring the true density of a data set to the page, (n, n), row = y ascending.

    Call it outside the fragment that polls, on every run of the script, with None where nobody knows the truth:
    Streamlit does not send it again while it stays the same. Scenes refer to it as their `truth`.
    """
    _truth(key="resflow_truth", data=encode_truth(data_id, density))


def listen() -> None:
    """Let the page have its keys and the presenter's view, also where a flow trains without a picture. Call once per
    script run."""
    _listening(key="resflow_listening")


def live_panes(
    scene: dict[str, Any],
    *,
    key: str,
    checked: Callable[[], None] = lambda: None,
) -> None:
    """Mount the picture, or hand an already mounted one its next scene (see the module's docstring).

    `checked` is called when somebody wants to check the matrix of a block by hand: `matrix_to_check` then has it.
    """
    _panes(
        data=scene,
        key=key,
        on_depth_change=lambda: None,
        on_point_change=lambda: None,
        on_plain_change=lambda: None,
        on_moment_change=lambda: None,
        on_matrix_change=checked,
    )


def matrix_to_check(key: str) -> tuple[float, ...] | None:
    """The four entries, row by row, that somebody has just sent from the picture mounted as `key`; None if nobody has,
    or if these are no four numbers."""
    entries = st.session_state.get(key, {}).get("matrix")
    if not isinstance(entries, list) or len(entries) != 4 or not all(type(one) in (int, float) for one in entries):
        return None
    return tuple(map(float, entries))


def readouts(*, key: str) -> None:
    """Mount a place for the large numbers of the picture that is on the page."""
    _readouts(key=key)


def chosen_moment(key: str) -> Any:
    """What the picture mounted as `key` says of the earlier moment that it shows, unchecked: {"run", "step"};
    None: it shows the newest."""
    return st.session_state.get(key, {}).get("moment")


def wish(key: str) -> Wish:
    """What the picture mounted as `key` has asked for, where the channel was closed to it. It draws from weights unless
    it says that its browser cannot."""
    state = st.session_state.get(key, {})
    asked: dict[str, Any] = {}
    for name, check in FIELDS.items():
        with suppress(ValueError):
            asked[name] = None if state.get(name) is None else check(state[name])
    by_server = state.get("plain") is True
    return Wish(**asked, pictures=by_server, weights=not by_server)
