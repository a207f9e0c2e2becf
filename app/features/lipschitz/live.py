"""The flows of stored answers, live."""

from dataclasses import replace

import streamlit as st

from app import examples, session
from app.features.lipschitz import norms
from app.features.lipschitz.evidence import NAME
from app.features.lipschitz.settings import Lipschitz
from app.setup import Setup
from app.ui import live_runs, opening
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig


def folds() -> None:
    """The flow whose blocks are asked where they fold."""
    opening.want_settings()
    session.show_bench(Lipschitz())
    live_runs.train(Setup(data=examples.DATA, flow=FlowConfig(), train=TrainConfig()))


def in_other_norms(setup: Setup) -> None:
    """The same flow under every chain of norms."""
    session.use(setup.data, setup.flow, setup.train)
    session.show_bench(replace(session.bench(Lipschitz), view="norms"))
    st.session_state[norms.PLAYS] = True


RUNS: live_runs.Starts = {NAME: folds}
