"""Measurements of a flow for pictures and tables, as NumPy arrays without gradients."""

from resflow_core.measure.activation import Criteria, Smoothness, Supremum, Tail, Verdict, criteria
from resflow_core.measure.belief import Beliefs, believed_log_prob, has_belief, log_prob_bias
from resflow_core.measure.bits import gaussian_bits, held_out_bits
from resflow_core.measure.blocks import BlockTable, block_table
from resflow_core.measure.classification import (
    Classification,
    Far,
    circles,
    class_grid,
    classification,
    far,
    log_class_probs,
    optimal,
    summary,
)
from resflow_core.measure.edits import Change, Edited, EditedBlock, EditedLayer, edited_block, layer_shapes
from resflow_core.measure.estimate import Estimate, estimate_mean, kl, mean_nll
from resflow_core.measure.evaluation import Evaluation, by_parts, constrain, evaluate, log_prob
from resflow_core.measure.gradient_split import GradientSplit, Parts, gradient_split
from resflow_core.measure.guarantees import Guarantee, Guarantees, guarantees
from resflow_core.measure.inversion import Inversion, Walk, inversion
from resflow_core.measure.mass import Mass, mass, masses
from resflow_core.measure.memory import LEAST_DRAWS, Cost, Footprint, NoLogDet, cost, footprint, subject
from resflow_core.measure.norm_estimates import NormEstimates, norm_estimates
from resflow_core.measure.pictures import density_grid, grid_lines, grid_points, samples, stages
from resflow_core.measure.portable import flow_shape, folded_numbers, is_portable
from resflow_core.measure.saturation import Saturation, saturation, saturation_map
from resflow_core.measure.scaling import AtDim, Crossing, Plan, by_dim, crossing
from resflow_core.measure.spectrum import MOST_TERMS, Spectrum, spectrum
from resflow_core.measure.structure import jacobian_structure
from resflow_core.measure.survey import Place, Survey, SurveyPlan
from resflow_core.measure.terms import Terms, terms
