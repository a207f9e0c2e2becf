"""Flows that differ in their activation and seed alone."""

from collections.abc import Sequence
from dataclasses import replace

from app.engine.experiment import Arm
from app.features.activations.settings import label_of
from app.setup import Setup
from app.ui import bands


def compared(setup: Setup, names: Sequence[str], seeds: int) -> dict[str, Arm]:
    """The page's flow with each of the activations and seeds, activation by activation."""
    arms = {label_of(name): Arm(replace(setup.flow, activation=name), setup.train, setup.source) for name in names}
    return bands.seeded(arms, setup.seed, seeds)
