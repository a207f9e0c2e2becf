"""Moments of the estimators of log det(I + A) in closed form: bias, variance, and the best law of N."""

from resflow_core.estimators.moments.belief import believed_log_det
from resflow_core.estimators.moments.of_log_det import mean_and_deviation
from resflow_core.estimators.moments.optimal import NoOptimum, Optimal, as_custom, optimal_law
from resflow_core.estimators.moments.parameters import jacobian_derivatives, parameter_remainders
from resflow_core.estimators.moments.powers import matrix_powers, spectral_radius
from resflow_core.estimators.moments.remainders import (
    QUANTITIES,
    Remainders,
    log_det_remainders,
    neumann_remainders,
    plain_remainders,
    terms_for,
)
from resflow_core.estimators.moments.variance import (
    UNDECIDED,
    Variance,
    batch_variance,
    finiteness,
    fourth_moment_margin,
    probe_noise,
    roulette_noise,
    roulette_variance,
    second_moments,
    truncated_variance,
    truncation_bias,
    truncation_bound,
)
