"""What a picture or a table needs of a flow, as NumPy arrays: nothing is differentiated."""

from resflow_core.measure.belief import Beliefs
from resflow_core.measure.blocks import BlockTable, block_table
from resflow_core.measure.estimate import Estimate, estimate_mean, kl, mean_nll
from resflow_core.measure.evaluation import Evaluation, evaluate, log_prob
from resflow_core.measure.guarantees import Guarantee, Guarantees, guarantees
from resflow_core.measure.inversion import Inversion, Walk, inversion
from resflow_core.measure.mass import Mass, mass, masses
from resflow_core.measure.norm_estimates import NormEstimates, norm_estimates
from resflow_core.measure.pictures import density_grid, grid_lines, grid_points, samples, stages

__all__ = [
    "Beliefs",
    "BlockTable",
    "Estimate",
    "Evaluation",
    "Guarantee",
    "Guarantees",
    "Inversion",
    "Mass",
    "NormEstimates",
    "Walk",
    "block_table",
    "density_grid",
    "estimate_mean",
    "evaluate",
    "grid_lines",
    "grid_points",
    "guarantees",
    "inversion",
    "kl",
    "log_prob",
    "mass",
    "masses",
    "mean_nll",
    "norm_estimates",
    "samples",
    "stages",
]
