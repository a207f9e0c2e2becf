"""The traps of public implementations. Each has a test: here, or where `GUARDS` says.

1 the Neumann form's value    2 one sample's gradient for the batch    3 geometric laws that start at 1 or at 0
4 stop rules of fixed points    5 norms that are lower bounds    6 ActNorm initialised by whatever comes first
7 activations that are not 1-Lipschitz    9 estimators chosen by train or eval mode    10 data on lattices
11 global random state
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from resflow_core import measure
from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS
from resflow_core.log_det import LOG_DETS, Roulette, Truncated, roulette_coefficients, truncated_coefficients
from resflow_core.probes import PROBES
from resflow_core.roulette import LAWS, Geometric
from tests.core.oracles import KNOWN_A, LinearBranch, all_signs, points, seeded

GUARDS = {
    3: [
        "test_roulette.py::test_geometric_is_scipys_moved_to_start_at_n_exact",
        "test_roulette.py::test_draws_follow_the_survival_function",
    ],
    4: [
        "test_fixed_point.py::test_the_true_error_is_within_the_tolerance",
        "test_fixed_point.py::test_in_float32_the_error_is_the_tolerance_plus_rounding",
        "test_fixed_point.py::test_a_branch_that_breaks_its_bound_is_an_error_that_names_the_point",
        "test_flow.py::test_samples_of_the_default_flow_are_as_good_in_float32_as_in_float64",
    ],
    5: [
        "test_lipschitz.py::test_it_is_certified_whatever_the_matrix",
        "test_lipschitz.py::test_the_cap_holds_and_is_reached",
        "test_lipschitz.py::test_the_cap_holds_after_every_step_of_any_optimiser",
    ],
    6: ["test_bijections.py::test_only_initialize_initialises_it"],
    7: ["test_activations.py::test_its_constant_is_the_largest_slope_found_by_search"],
    9: ["test_bijections.py::test_nothing_depends_on_the_training_mode"],
    10: [
        "test_true_densities.py::test_draws_are_independent",
        "test_true_densities.py::test_a_lattice_is_noticed",
        "test_measure.py::test_kl_is_the_paired_mean",
    ],
    11: [
        "test_flow.py::test_the_same_generator_builds_the_same_flow_and_global_randomness_is_left_alone",
        "test_flow.py::test_training_and_pictures_leave_the_global_generator_alone",
        "test_lipschitz.py::test_another_type_or_device_is_no_old_acquaintance",
    ],
}


@pytest.mark.parametrize("guard", itertools.chain(*GUARDS.values()))
def test_a_trap_that_is_guarded_elsewhere_still_is(guard):
    file, name = guard.split("::")
    assert f"def {name}(" in (Path(__file__).parent / file).read_text()


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_1_the_value_is_the_series_and_not_the_surrogate_of_its_gradient(gradient):
    # The mean over all sign probes. That of the Neumann form is tr A(I + A)^-1 = 0.540 instead of 0.596.
    _, values = GRADIENTS[gradient].estimate(
        LinearBranch(), torch.zeros(4, 2, dtype=torch.float64), all_signs(2)[None], truncated_coefficients(40)
    )
    a = KNOWN_A.numpy()
    assert values.mean().item() == pytest.approx(np.log(np.linalg.det(np.eye(2) + a)), abs=1e-12)


@pytest.mark.parametrize("weights", [(1.0, 0.0, -3.0), (0.0, 1.0, 2.0), (2.0, 2.0, 2.0)])
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_2_every_sample_is_scaled_by_its_own_incoming_gradient(gradient, weights):
    # A linear branch: every sample's gradient in A is known by itself, and differs by its probe.
    estimate, branch, law = GRADIENTS[gradient].estimate, LinearBranch(), Geometric(0.5, 1)
    x, probes, n = torch.zeros(3, 2, dtype=torch.float64), points(3, 2)[None], torch.tensor([[4], [2], [1]])
    slopes = []
    for i in range(3):
        _, alone = estimate(branch, x[[i]], probes[:, [i]], roulette_coefficients(law, n[[i]]))
        slopes.append(torch.autograd.grad(alone, branch.a)[0])
    _, estimates = estimate(branch, x, probes, roulette_coefficients(law, n))
    (found,) = torch.autograd.grad(estimates @ torch.tensor(weights).double(), branch.a)
    expected = sum(w * slope for w, slope in zip(weights, slopes, strict=True))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("weighted", [False, True])
def test_2_through_a_flow_the_forward_pass_takes_the_gradient_of_the_neumann_series(weighted):
    flow = FlowConfig(blocks=3, width=8).build(seeded(0)).double()
    flow.initialize(points(50, 2))
    x = points(6, 2, seed=1)
    weights = points(6, 1, seed=2)[:, 0] if weighted else torch.full((6,), 1 / 6, dtype=torch.float64)
    gradients = []
    for name in ("neumann", "in_forward"):
        log_prob = flow.log_prob(x, Roulette(n_probes=2, gradient=name), seeded(3))
        gradients.append(torch.autograd.grad(weights @ log_prob, list(flow.parameters())))
    for neumann, in_forward in zip(*gradients, strict=True):
        torch.testing.assert_close(in_forward, neumann, atol=1e-11, rtol=0)


def test_6_pictures_before_training_initialise_nothing():
    flow = FlowConfig(blocks=2, width=8).build(seeded(0))
    before = {name: value.clone() for name, value in flow.state_dict().items()}
    measure.density_grid(flow, ((3.0, 5.0), (3.0, 5.0)), 10)
    flow.log_prob(points(20, 2).float() + 4)
    assert all(torch.equal(value, before[name]) for name, value in flow.state_dict().items())


@pytest.mark.parametrize("log_det", [Truncated(3), Roulette(), Roulette(shared=True)], ids=str)
def test_9_an_estimator_is_what_is_passed_in_whatever_the_mode(log_det):
    flow, x = FlowConfig(blocks=2, width=8).build(seeded(0)), points(10, 2).float()
    in_training = flow.train().log_prob(x, log_det, seeded(1))
    in_evaluation = flow.eval().log_prob(x, log_det, seeded(1))
    assert torch.equal(in_training, in_evaluation)
    assert not torch.equal(in_evaluation, flow.log_prob(x))  # still an estimate


@pytest.mark.parametrize(
    "log_det",
    [
        *(LOG_DETS["roulette"](law=law()) for law in LAWS.values()),
        *(LOG_DETS["truncated"](probe=probe, n_probes=3) for probe in PROBES),
    ],
    ids=str,
)
def test_11_estimates_follow_their_generator_and_leave_the_global_one_and_the_dtype_alone(log_det):
    state, dtype = torch.get_rng_state(), torch.get_default_dtype()
    numpy_state = np.random.get_state()[1].copy()
    x, branch = points(20, 2), LinearBranch()
    first, again, other = (log_det.value_and_log_det(branch, x, seeded(s))[1] for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpy_state).all()
    assert torch.get_default_dtype() is dtype
    torch.manual_seed(123)
    assert torch.equal(log_det.value_and_log_det(branch, x, seeded(0))[1], first)
