"""The stored comparisons, live."""

from functools import partial

from app.features.compare import gallery, results
from app.features.compare.evidence import name_of
from app.features.compare.presets import PRESETS, Preset
from app.ui import live_runs


def train(preset: Preset) -> None:
    """Open a ready-made comparison, and let it play."""
    gallery.take(preset)
    results.play_soon()


RUNS: live_runs.Starts = {name_of(name): partial(train, preset) for name, preset in PRESETS.items()}
