"""The kernels that are called from outside, compiled once on a machine and kept on disk (`NUMBA_CACHE_DIR`)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from numba import njit

from resflow_core.fast.kernel import inverse as inversion
from resflow_core.fast.kernel import parameters, whole_flow
from resflow_core.fast.kernel.numbers import OPTIONS


class Entries(NamedTuple):
    """See `parameters`, `whole_flow` and `inverse`."""

    fold: Callable[..., Any]
    gradients: Callable[..., Any]
    unfold: Callable[..., Any]
    forward: Callable[..., Any]
    inverse: Callable[..., Any]


def digest(folder: Path) -> int:
    """Of all Python files of a folder."""
    return crc32(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py"))))


def made(sources: int, cache: bool = True) -> Entries:
    """The kernels, kept on disk for these sources. Numba compiles anew if the file of a function or its free variables
    change, and does not look at the files of what the function calls. Raises RuntimeError where no folder can be
    written to, unless `cache` is False: then they are compiled by each process."""

    @njit(cache=cache, **OPTIONS)
    def fold(raw, triples, limits, of):
        return parameters.fold(raw, triples, limits, of) if sources >= 0 else 0.0

    @njit(cache=cache, **OPTIONS)
    def gradients(kind, x, share, d_z, d_log_det, of, series, gradient, d_x, room):
        if sources >= 0:
            return whole_flow.gradients(kind, x, share, d_z, d_log_det, of, series, gradient, d_x, room)
        return 0.0, 0.0

    @njit(cache=cache, **OPTIONS)
    def unfold(raw, triples, limits, d_of, gradient):
        if sources >= 0:
            parameters.unfold(raw, triples, limits, d_of, gradient)

    @njit(cache=cache, **OPTIONS)
    def forward(kind, x, of, series, z, log_det, jacobians, stages, room):
        if sources >= 0:
            whole_flow.forward(kind, x, of, series, z, log_det, jacobians, stages, room)

    @njit(cache=cache, **OPTIONS)
    def inverse(kind, z, of, bounds, tolerance, x, room):
        return inversion.inverse(kind, z, of, bounds, tolerance, x, room) if sources >= 0 else 0

    return Entries(fold, gradients, unfold, forward, inverse)


SOURCES = digest(Path(__file__).parent)


def _kept() -> tuple[Entries, str | None]:
    """The kernels, and the folder in which they are kept."""
    try:
        entries = made(SOURCES)
    except RuntimeError:  # numba finds no folder
        return made(SOURCES, cache=False), None
    return entries, entries.gradients._cache.cache_path  # type: ignore[attr-defined]


ENTRIES, KEPT = _kept()
