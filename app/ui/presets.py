"""Settings that belong together, by name. One entry of `PRESETS` adds one."""

from dataclasses import dataclass, field, replace

import streamlit as st

from app import session
from app.setup import Setup
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Roulette, Truncated
from resflow_core.training.trainer import TrainConfig


@dataclass(frozen=True)
class Preset:
    """`why` says what is seen with it."""

    title: str
    why: str
    flow: FlowConfig = field(default_factory=FlowConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


# The shape of the flows that LipSwish and the series came with: fewer blocks, two hidden layers in each.
_DEEP_BRANCHES = FlowConfig(blocks=10, width=64, hidden_layers=2, activation="lipswish", budget=0.9)
# Half the usual rate, for the noise of the estimates, and a shorter run.
_SERIES_TRAINING = TrainConfig(learning_rate=5e-3, batch=512, horizon=4096)

PRESETS: dict[str, Preset] = {
    "default": Preset("Default", "In a minute it fits every data set of known density well."),
    "small": Preset(
        "Small and quick",
        "A third of the blocks: many more steps per second, but a coarser fit.",
        FlowConfig(blocks=8),
    ),
    "fine": Preset(
        "Fine and slow",
        "More and wider blocks, closer to the limit L = 1. The sharpest density, but it takes minutes.",
        FlowConfig(blocks=32, width=64, budget=0.995),
        TrainConfig(horizon=16384),
    ),
    "few": Preset(
        "For few points",
        "Four small smooth blocks, for data of a few hundred points. Larger flows learn such data by heart.",
        FlowConfig(blocks=4, width=8, activation="tanh", budget=0.9),
        TrainConfig(learning_rate=5e-3, batch=512, horizon=1024),
    ),
    "paper": Preset(
        "Residual flow, as in the paper",
        "LipSwish and Russian roulette: 2 exact terms, then 1 or more at random (geometric; n_exact = 3 here).",
        _DEEP_BRANCHES,
        replace(_SERIES_TRAINING, log_det=Roulette()),
    ),
    "i-resnet": Preset(
        "i-ResNet, biased",
        "ELU and five terms of the series. Watch the mass that training believes in move away from 1.",
        replace(_DEEP_BRANCHES, activation="elu", budget=0.97),
        replace(_SERIES_TRAINING, log_det=Truncated()),
    ),
}


def choose(setup: Setup) -> None:
    """A button each; the one whose settings these are is marked and does nothing."""
    for name, preset in PRESETS.items():
        chosen = (preset.flow, preset.train) == (setup.flow, setup.train)
        st.button(
            preset.title,
            on_click=session.show,
            args=(preset.flow, preset.train),
            key=f"preset.{name}",
            icon=":material/check:" if chosen else None,
            disabled=chosen,
            width="stretch",
        )
        st.caption(preset.why)
