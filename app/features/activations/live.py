"""The stored flows, live."""

from app.features.activations import stored
from app.features.activations.evidence import NAME
from app.ui import live_runs

RUNS: live_runs.Starts = {NAME: stored.train}
