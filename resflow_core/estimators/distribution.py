"""The distribution of one estimate of log det(I + A), for A of shape (2, 2).

One estimate is v'S_m v with m = N + shift, where S_m is the weighted sum up to term m. So it is a mixture over N:

    P(estimate <= x) = sum_n P(N = n) P(v'S_{n + shift} v <= x)        (paper, Theorem 1, and `Probe.cdf`)
"""

import numpy as np
import torch

from resflow_core.estimators.draws import traced
from resflow_core.estimators.faulty_estimators import FAULTY_ESTIMATORS
from resflow_core.estimators.forms import form_of
from resflow_core.roulette import RAREST, Law, survival_table


def estimate_cdf(
    bug: str, matrix: np.ndarray, law: Law, probe: str, x: np.ndarray, exact_traces: int = 0
) -> np.ndarray:
    """P(estimate <= x), (m,), of one draw by `FAULTY_ESTIMATORS[bug]`, for x in nats, (m,), with so many exact traces.

    Values of N that are rarer than `RAREST` count as the last that is not. Raises KeyError for an unknown bug or probe,
    and ValueError unless A has the shape (2, 2).
    """
    if matrix.shape != (2, 2):
        raise ValueError(f"A has the shape {matrix.shape}: the distribution is known for (2, 2).")
    by, how = FAULTY_ESTIMATORS[bug], form_of(probe)
    survival = law.survival(torch.arange(len(survival_table(law, RAREST)) + 1))
    chances = survival - torch.cat([survival[1:], torch.zeros(1, dtype=survival.dtype)])
    s = torch.as_tensor(by.sums(matrix, law, len(chances) - 1 + by.shift, exact_traces))[by.shift :, :, :, None]
    trace, difference, twice_off = s[:, 0, 0] + s[:, 1, 1], s[:, 0, 0] - s[:, 1, 1], s[:, 0, 1] + s[:, 1, 0]
    beyond = torch.as_tensor(x, dtype=torch.float64)[None] - traced(matrix, exact_traces)
    below = how.cdf(trace, how.spread(difference, twice_off, 1), beyond)
    return (chances[:, None] * below).sum(0).numpy()
