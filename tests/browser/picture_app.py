"""A page with nothing but the live picture, over hand-made scenes: what it must show is known without any flow.

Stage k of four blocks' six holds the points of stage 0 times 1 - k / 10; frames have the one that is asked for. The
model's density is 0.01 everywhere, the truth 0.02 in the left half of the window and 0 in the right one.
"""

import dataclasses

import numpy as np
import streamlit as st

from app.components import live
from app.components.live.encode import encode_curves, encode_frame, encode_labels, encode_points
from app.engine.reports import Frame, LossCurves
from app.metrics import Readout

BLOCKS = 4
WINDOW = ((-4.0, 4.0), (-4.0, 4.0))
POINTS = np.array([[-2.0, 1.0], [1.0, 2.0], [3.0, -1.0]])
LINES = np.stack([np.linspace([x, -3.0], [x, 3.0], 5) for x in (-3.0, 0.0, 3.0)])
NODES = 16


def stage(k: int) -> tuple[np.ndarray, np.ndarray]:
    return tuple((a * (1 - k / 10)).astype(np.float32) for a in (POINTS, LINES))


SWING = 0.4  # how far the first point of z goes to and fro, where it is asked to


def frame(step: int, depth: int | None) -> Frame:
    latent, grid = stage(BLOCKS + 1 if depth is None else depth)
    if st.query_params.get("swings") == "yes":
        at = POINTS * (1 - (BLOCKS + 1) / 10)
        latent = (at + np.array([[SWING * (step % 2), 0], [0, 0], [0, 0]])).astype(np.float32)
    return Frame(step, np.full((NODES, NODES), 0.01, np.float32), latent, grid, None, depth)


def scene(step: int, playing: bool, labels: bool) -> dict:
    steps, curve, none = np.array([1, 2]), np.array([4.0, 3.0], np.float32), np.empty(0, np.float32)
    numbers = [
        Readout("gap", "Gap to the truth", "What the gap is.", "0.367", "0.010", "nats", "KL(data || model)"),
        Readout("mass", "Mass of the density", "What the mass is.", "0.9998", "0.0002", note="97.9 % in the window"),
        Readout("believed", "Mass that training believes in", "What it believes.", "1.382", "0.004", word="not 1"),
    ]
    return {
        "run": "made:0",
        "playing": playing,
        "window": WINDOW,
        "frame_window": (-16.0, 16.0),
        "axes": [{"name": name, "unit": "", "centre": 0.0, "scale": 1.0} for name in ("x₁", "x₂")],
        "blocks": BLOCKS,
        "channel": None,
        "truth": None if labels else "made",
        "points": encode_points(POINTS),
        "labels": encode_labels(["red", "white", "red"], 3) if labels else None,
        "frame": encode_frame(frame(step, live.wish("panes").depth)),
        "loss": encode_curves(LossCurves(steps, curve, steps, curve, curve / 100, *[none] * 6)),
        "loss_unit": "nats",
        "floor": 2.5,
        "readouts": [dataclasses.asdict(number) for number in numbers],
        "alt": {view: f"words about {view}" for view in ("data", "latent", "stage", "truth", "difference", "loss")},
    }


st.set_page_config(layout="wide")
live.readouts(key="numbers")
live.mount_truth("made", np.where(np.arange(NODES) < NODES / 2, 0.02, 0.0) * np.ones((NODES, 1)))


@st.fragment(run_every=1.0)
def picture() -> None:
    playing = st.toggle("playing", st.query_params.get("playing") == "yes")
    if playing:
        st.session_state.step = st.session_state.get("step", 0) + 1
    labels = st.query_params.get("labels") == "yes"
    live.live_panes(scene(st.session_state.get("step", 0), playing, labels), key="panes")


picture()
