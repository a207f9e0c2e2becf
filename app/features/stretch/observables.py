"""The map of the Stretch screen."""

from typing import TYPE_CHECKING

import numpy as np

from app.features.stretch.density import follow, log_density, total
from app.features.stretch.settings import Stretch
from app.lessons.observables import Observable

if TYPE_CHECKING:
    from app.lessons.observables import Situation


def _map_density(at: "Situation") -> float:
    """As it is drawn, with or without the determinant."""
    bench = at.bench(Stretch)
    return float(np.exp(log_density(bench.f, bench.base, np.array([bench.point]), bench.forget))[0])


def _map_mass(at: "Situation") -> float:
    bench = at.bench(Stretch)
    return total(bench.f, bench.base, bench.forget).value


STRETCH: dict[str, Observable] = {
    "map_det": Observable("det J at the point", lambda at: follow(at.bench(Stretch)).det),
    "map_log_det": Observable("log|det J| at the point", lambda at: follow(at.bench(Stretch)).log_det, "nats"),
    "map_density": Observable("the density at the point", _map_density),
    "map_base_density": Observable("the base density at z", lambda at: follow(at.bench(Stretch)).base_density),
    "map_mass": Observable("the mass over x", _map_mass),
    "map_area": Observable("the area of the square around the point", lambda at: follow(at.bench(Stretch)).area),
    "map_image_area": Observable("the area of its image", lambda at: follow(at.bench(Stretch)).image_area),
    "map_move": Observable("how far the point moves", lambda at: follow(at.bench(Stretch)).move),
    "map_norm": Observable("‖J − I‖ at the point", lambda at: follow(at.bench(Stretch)).slope),
}
