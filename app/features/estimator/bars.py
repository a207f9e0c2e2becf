"""Draws counted in bars, so that every draw is in one of them."""

from dataclasses import dataclass

import numpy as np

OUTER = 0.002
"""Of many draws, the share at each end that the outermost bars hold all together."""
ROOM = 1.25
"""How far to each side of the truth is shown at least, in standard deviations, so that their band is seen to end."""
LONGEST = 10
"""A standard deviation so many times as long as the farthest draw would leave no room for the draws."""
LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class Bars:
    """`counts`, (bins,), of the draws between neighbouring `edges`, (bins + 1,), in nats. `beyond` of the draws lie
    outside the edges and are counted in the outermost bars."""

    edges: np.ndarray
    counts: np.ndarray
    beyond: int

    @property
    def shares(self) -> np.ndarray:
        """They add up to 1."""
        return self.counts / self.counts.sum()


def binned(values: np.ndarray, truth: float, deviation: float, bins: int) -> Bars:
    """Of at least one draw. `deviation` is the standard deviation of one draw; it need not be finite."""
    # Both ends are draws: between draws, as NumPy's quantiles usually are, the largest of a few would be left out.
    low = min(float(np.quantile(values, OUTER, method="lower")), truth)
    high = max(float(np.quantile(values, 1 - OUTER, method="higher")), truth)
    if deviation < LONGEST * max(high - truth, truth - low):
        low, high = min(low, truth - ROOM * deviation), max(high, truth + ROOM * deviation)
    least = LEAST * max(1.0, abs(truth))
    if high - low < least:
        low, high = truth - least, truth + least
    edges = np.linspace(low, high, bins + 1)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return Bars(edges, counts, int(((values < edges[0]) | (values > edges[-1])).sum()))
