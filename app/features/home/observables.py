"""What lessons may ask of the stored flow that is fooled by its own loss, and that the home page speaks of."""

import numpy as np

from app import evidence
from app.features.home.evidence import CUT, NAME
from app.lessons.observables import Observable


def _end(of: str) -> float:
    """After training, the mean of all seeds."""
    return float(np.mean(evidence.stored(NAME).found[CUT]["ends"][of]))


FOOLED: dict[str, Observable] = {
    "fooled_reports": Observable(
        "the loss that the stored flow reports", lambda at: _end("true") - _end("bias"), "nats"
    ),
    "fooled_terms": Observable(
        "the terms that it was trained with", lambda at: evidence.stored(NAME).settings["terms"]
    ),
    "fooled_loss": Observable("the true loss of the stored flow", lambda at: _end("true"), "nats"),
    "fooled_mass": Observable("the mass of the density that it believes in", lambda at: _end("mass")),
    "fooled_entropy": Observable("the entropy of its data", lambda at: evidence.stored(NAME).found["entropy"], "nats"),
}
