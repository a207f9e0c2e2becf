"""The programs behind what is on screen, by the kind of figure or run. Each gives the text of a script."""

from collections.abc import Callable

from app.takeaway.of_comparison import of_comparison
from app.takeaway.of_flow import of_certificate, of_density, of_inverse, of_plane, of_point, of_units
from app.takeaway.of_labels import of_few_labels
from app.takeaway.of_map import of_activations, of_linear, of_wave
from app.takeaway.of_matrix import of_coins, of_estimate, of_norm
from app.takeaway.of_measurement import of_digits, of_memory, of_scaling
from app.takeaway.of_run import of_run
from app.takeaway.of_settings import of_batch, of_settings
from app.takeaway.of_step import of_step
from app.takeaway.of_throws import of_throws
from app.takeaway.of_weights import of_weights

PROGRAMS: dict[str, Callable[..., str]] = {
    "run": of_run,
    "step": of_step,
    "density": of_density,
    "point": of_point,
    "certificate": of_certificate,
    "inverse": of_inverse,
    "weights": of_weights,
    "units": of_units,
    "estimate": of_estimate,
    "coins": of_coins,
    "throws": of_throws,
    "settings": of_settings,
    "batch": of_batch,
    "plane": of_plane,
    "comparison": of_comparison,
    "few labels": of_few_labels,
    "scaling": of_scaling,
    "memory": of_memory,
    "digits": of_digits,
    "linear map": of_linear,
    "residual block": of_wave,
    "activations": of_activations,
    "norm": of_norm,
}
"""What a program reads beside it is told by `training.files` of its run, and by `of_comparison.files_of`."""
