"""Each estimate of the log det from A itself, a number and a matrix M with tr(M dA) its gradient: the page of torch
(`gradients`), autograd, vector-Jacobian products and the kernels agree."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from resflow_core.data import DATASETS
from resflow_core.fast import compiled
from resflow_core.flow import FlowConfig
from resflow_core.gradients import (
    GRADIENTS,
    Coefficients,
    first_traces,
    from_jacobian,
    matrix_from,
    second_moment,
    value_from,
)
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import (
    Drawn,
    Exact,
    Roulette,
    Truncated,
    drawn,
    from_jacobians,
    residual_log_det,
    roulette_coefficients,
    truncated_coefficients,
)
from resflow_core.norms.constraints import Off
from resflow_core.probes import PROBES
from resflow_core.roulette import Custom, Geometric, Poisson
from resflow_core.training.flat_parameters import FlatParameters
from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer
from tests.core.oracles import contraction, points, seeded
from tests.core.plain_flow import built
from tests.covering import covering, in_turn

# Of float32, with sums over points and units.
TOLERANCE = 2e-5
BOUND = 5.0
N = torch.tensor([[0], [3], [1], [7], [2], [1]])
SERIES = {"roulette": roulette_coefficients(Geometric(0.5, 1), N), "cut": truncated_coefficients(4)}
COEFFICIENTS = {f"{name}, {m} exact traces": of.beyond(m) for name, of in SERIES.items() for m in (0, 1, 2)}


def matrices(dim, batch=6):
    return torch.stack([contraction(dim, 0.7, seed) for seed in range(batch)])


def moments(dim, batch=6):
    """P of no special form: not symmetric, and not of rank one."""
    return torch.randn(batch, dim, dim, generator=seeded(8), dtype=torch.float64)


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("kind", COEFFICIENTS)
class TestThePage:
    def test_term_by_term_m_is_the_derivative_of_the_value(self, kind, dim):
        a, p, coefficients = matrices(dim).requires_grad_(), moments(dim), COEFFICIENTS[kind]
        (slope,) = torch.autograd.grad(value_from(a, p, coefficients).sum(), a)
        m = matrix_from(a, p, coefficients, by_neumann=False)
        torch.testing.assert_close(m.mT, slope, atol=1e-12, rtol=0)

    def test_by_theorem_2_m_is_p_times_the_neumann_series(self, kind, dim):
        a, p, coefficients = matrices(dim), moments(dim), COEFFICIENTS[kind]
        b = coefficients.gradient.expand(len(a), -1)
        series = [
            sum(float(b_k) * np.linalg.matrix_power(one.numpy(), k) for k, b_k in enumerate(row))
            for one, row in zip(a, b, strict=True)
        ]
        m = matrix_from(a, p, coefficients, by_neumann=True)
        np.testing.assert_allclose(m, p.numpy() @ np.stack(series), atol=1e-12)

    @pytest.mark.parametrize("gradient", GRADIENTS)
    def test_the_estimate_is_the_series_whose_first_traces_have_no_probe(self, kind, dim, gradient):
        a, p, coefficients = matrices(dim), moments(dim), COEFFICIENTS[kind]
        exact, of = coefficients.exact_traces, SERIES[kind.split(",")[0]]
        expected = []
        for one, one_p, row in zip(a.numpy(), p.numpy(), of.value.expand(len(a), -1).numpy(), strict=True):
            powers = [np.linalg.matrix_power(one, k) for k in range(len(row))]
            traces = sum((-1) ** (k + 1) / k * np.trace(powers[k]) for k in range(1, 1 + exact))
            expected.append(traces + sum(row[k] * np.trace(one_p @ powers[k]) for k in range(1 + exact, len(row))))
        found = from_jacobian(GRADIENTS[gradient], a, p, coefficients)
        np.testing.assert_allclose(found, expected, atol=1e-12)

    @pytest.mark.parametrize("gradient", GRADIENTS)
    def test_first_derivatives(self, kind, dim, gradient):
        a, p, coefficients = matrices(dim).requires_grad_(), moments(dim), COEFFICIENTS[kind]
        entry = GRADIENTS[gradient]
        weights = points(len(a), 1, seed=2)[:, 0]
        estimate = from_jacobian(entry, a, p, coefficients)
        (slope,) = torch.autograd.grad((weights * estimate).sum(), a)
        m, traces = matrix_from(a, p, coefficients, entry.by_neumann), first_traces(a, coefficients.exact_traces)
        for k in range(coefficients.exact_traces):
            m = m + (-1) ** k * torch.linalg.matrix_power(a.detach(), k)
        torch.testing.assert_close(estimate, traces + value_from(a, p, coefficients), atol=1e-13, rtol=0)
        torch.testing.assert_close(slope, weights[:, None, None] * m.mT, atol=1e-12, rtol=0)


@pytest.mark.parametrize("exact_traces", [0, 1, 2])
@pytest.mark.parametrize("by_neumann", [True, False])
def test_over_every_n_m_is_that_of_the_exact_log_det(by_neumann, exact_traces):
    """With P = I, for which the sum over N alone is exact: (I + A)^-1."""
    law, a = Geometric(0.4, 1), matrices(2, 1)
    n = torch.arange(100)
    chance = (law.survival(n) - law.survival(n + 1))[:, None, None]
    coefficients = roulette_coefficients(law, n[:, None]).beyond(exact_traces)
    m = matrix_from(a.expand(100, 2, 2), torch.eye(2).double(), coefficients, by_neumann)
    identity = torch.eye(2, dtype=torch.float64)
    of_traces = sum(((-a[0]) ** k if k else identity for k in range(exact_traces)), torch.zeros(2, 2))
    torch.testing.assert_close(of_traces + (chance * m).sum(0), torch.linalg.inv(identity + a[0]), atol=1e-9, rtol=0)
    exact = a.clone().requires_grad_()
    (slope,) = torch.autograd.grad(residual_log_det(exact).sum(), exact)
    torch.testing.assert_close(slope[0].T, torch.linalg.inv(identity + a[0]), atol=1e-12, rtol=0)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_second_derivatives_are_right_or_refused(gradient):
    """With M held fixed they would be wrong, and nothing would say so."""
    a, p, coefficients = matrices(2).requires_grad_(), moments(2), COEFFICIENTS["roulette, 1 exact traces"]

    def function(a):
        return from_jacobian(GRADIENTS[gradient], a, p, coefficients)

    if GRADIENTS[gradient].by_neumann:
        with pytest.raises(RuntimeError, match="second derivative"):
            torch.autograd.grad(function(a).sum(), a, create_graph=True)
    else:
        assert torch.autograd.gradgradcheck(function, a)


def test_the_mean_of_several_probes_is_their_second_moment():
    probes = torch.randn(3, 4, 5, 2, generator=seeded(0), dtype=torch.float64)
    p = second_moment(probes)
    expected = np.einsum("nkbi,nkbj->nbij", probes, probes) / 4
    np.testing.assert_allclose(p, expected, atol=1e-14)


# --- kernels ----------------------------------------------------------------------------------------------------------

LAWS = [Geometric(0.5, 3), Geometric(0.8, 0), Poisson(1.0, 1), Custom((1.0, 0.6, 0.3))]
ESTIMATORS = {
    "kind": ["truncated", "roulette"],
    "gradient": [*GRADIENTS],
    "probe": [*PROBES],
    "n_probes": [1, 3],
    "n_draws": [1, 2],
    "shared": [False, True],
    "batch": [1, 77, 300],
    "hidden_layers": [1, 2],
    "actnorm": [True, False],
    "exact_traces": [0, 1, 2],
}
ROWS = in_turn(
    covering(
        ESTIMATORS, lambda row: ESTIMATORS if row["kind"] == "roulette" else {*ESTIMATORS} - {"n_draws", "shared"}
    ),
    law=LAWS,
    n_terms=[1, 2, 6],
)
BRIEFLY = ROWS[:4]


def estimator_of(row):
    common = {name: row[name] for name in ("gradient", "probe", "n_probes", "exact_traces")}
    if row["kind"] == "truncated":
        return Truncated(row["n_terms"], **common)
    return Roulette(row["law"], **common, n_draws=row["n_draws"], shared=row["shared"])


def in_double(log_det):
    """The same draws for float64."""
    return Drawn(log_det.log_det, log_det.draws._replace(probes=log_det.draws.probes.double()))


def drawn_for(row, x, blocks):
    """For points in float32."""
    return drawn(estimator_of(row), blocks, x, seeded(5))


@pytest.fixture(
    params=[row if row in BRIEFLY else pytest.param(row, marks=pytest.mark.thorough) for row in ROWS],
    ids=lambda row: " ".join(str(level) for level in row.values()),
)
def row(request):
    return request.param


@pytest.fixture
def flow(row):
    return built(blocks=3, width=7, hidden_layers=row["hidden_layers"], actnorm=row["actnorm"])


def by_autograd(flow, x, log_det):
    """The mean NLL of a flow in float64 by autograd through vector-Jacobian products, and its gradients by name."""
    z, log_dets = x, torch.zeros(len(x), dtype=x.dtype)
    for part in flow.parts:  # a block alone does not form A
        z, of_part = part.forward_and_log_det(z, log_det, None)
        log_dets = log_dets + of_part
    loss = (z.square().sum(1) / 2 + math.log(2 * math.pi) - log_dets).mean()
    names, parameters = zip(*flow.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, materialize_grads=True)
    return loss.item(), dict(zip(names, found, strict=True))


def test_loss_and_gradient_by_kernels_are_those_by_vector_jacobian_products(row, flow):
    x = points(row["batch"], 2).float()
    log_det = drawn_for(row, x, 3)
    loss, expected = by_autograd(flow, x.double(), in_double(log_det))
    exact, _ = by_autograd(flow, x.double(), Exact())

    flow = flow.float()
    parameters, gradients = FlatParameters(flow).stacked()
    for gradient in gradients.values():
        gradient.fill_(torch.nan)
    nll = compiled.CompiledNLL(flow, parameters, gradients)
    middle = (len(x) + 1) // 2
    for parts in ([slice(0, len(x))], [slice(0, middle), slice(middle, len(x))][: 1 + (len(x) > 1)]):
        split = [Drawn(log_det.log_det, log_det.draws.of(part)) for part in parts]
        found, exactly = nll.of_parts([x[part] for part in parts], split)
        assert float(found) == pytest.approx(loss, rel=TOLERANCE, abs=TOLERANCE)
        assert float(exactly) == pytest.approx(exact, rel=TOLERANCE, abs=TOLERANCE)
        places = {v.data_ptr(): gradients[name][k] for name, views in parameters.items() for k, v in enumerate(views)}
        whole = math.sqrt(sum(float(g.square().sum()) for g in expected.values()))
        for name, parameter in flow.named_parameters():
            off = torch.linalg.vector_norm(places[parameter.data_ptr()].double() - expected[name])
            assert float(off) < TOLERANCE * whole, name


def test_differentiable_values_by_kernels_are_those_by_torch(row, flow):
    """With a gradient of z and a weight of each log det that differ from point to point, as in a hybrid; also in x."""
    x = points(row["batch"], 2).float()
    log_det = drawn_for(row, x, 3)
    weights = [torch.randn(len(x), *shape, generator=seeded(k)).double() for k, shape in enumerate([(2,), ()])]

    def found(flow, x, log_det):
        x = x.clone().requires_grad_()
        outputs = flow.forward_and_log_det(x, log_det, None)
        inputs = [x, *flow.parameters()]
        loss = sum((w.to(o) * o).sum() for w, o in zip(weights, outputs, strict=True))
        return [*outputs, *torch.autograd.grad(loss, inputs, materialize_grads=True)]

    expected = found(flow, x.double(), in_double(log_det))
    flow = flow.float()
    flow.kernels = compiled.CompiledValues(flow)
    ours = found(flow, x, log_det)
    scale = max(float(one.detach().abs().max()) for one in expected)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one.detach(), other.detach(), atol=TOLERANCE * scale)


SMALL = FlowConfig(blocks=2, width=8)


@pytest.mark.parametrize(
    ("config", "train"),
    [
        (replace(SMALL, constraint=Off()), TrainConfig(batch=60, log_det=Roulette())),
        (replace(SMALL, norms="learned"), TrainConfig(batch=60, log_det=Roulette())),
        (replace(SMALL, norms="inf"), TrainConfig(batch=60, log_det=Roulette())),
        (HybridConfig(SMALL, 2), HybridTrainConfig(batch=60, log_det=Roulette(), weight=0.7)),
        (HybridConfig(SMALL, 2), HybridTrainConfig(batch=60, weight=0.7)),
    ],
    ids=["no constraint", "learned norms", "another norm", "hybrid", "hybrid, exact"],
)
def test_what_torch_folds_goes_by_kernels(config, train, monkeypatch):
    one, other = (Trainer(config, train, DATASETS["moons"], seed=0, backend=name) for name in ("torch", "numba"))
    assert (one.backend, other.backend) == ("torch", "numba")
    calls = []
    apply = compiled._Differentiable.apply
    monkeypatch.setattr(compiled._Differentiable, "apply", lambda *given: calls.append(1) or apply(*given))
    losses = np.array([(one.step(), other.step()) for _ in range(5)])
    assert len(calls) == 5
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-4)
    for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-3, rtol=0)  # a rate of 0.01, and Adam divides by small numbers


def off_by(draws, truth):
    """In standard errors."""
    return abs(draws.mean() - truth) / (draws.std(ddof=1) / len(draws) ** 0.5)


@pytest.mark.parametrize("exact_traces", [0, 1, 2])
@pytest.mark.parametrize("gradient", ["plain", "neumann"])
@pytest.mark.parametrize("probe", PROBES)
def test_kernels_are_unbiased(gradient, probe, exact_traces):
    """100,000 estimates at one point, of the value and of its derivative along a direction, within `BOUND` standard
    errors. With that bug in the kernel, the value is off for every probe where the second term lacks its weight
    1 / P(N >= 2). The derivative's noise is larger: there it is seen for signs alone. What the others would miss, the
    tests above find."""
    flow = built(blocks=1, width=6, budget=0.75).float()
    flow.kernels = compiled.CompiledValues(flow)
    x = points(1, 2).float().expand(100_000, 2).contiguous()
    estimator = Roulette(Geometric(0.4, 1), probe=probe, gradient=gradient, exact_traces=exact_traces)
    log_det = drawn(estimator, 1, x, seeded(3))

    along = torch.randn(1, 2, generator=seeded(4)).expand_as(x)
    at = x.clone().requires_grad_()
    _, values = flow.forward_and_log_det(at, log_det, None)
    (slopes,) = torch.autograd.grad(values.sum(), at)
    once = x[:1].double().requires_grad_()
    _, value = flow.double().forward_and_log_det(once)
    (slope,) = torch.autograd.grad(value.sum(), once)
    assert off_by(values.detach().double().numpy(), value.item()) < BOUND
    assert off_by((slopes * along).sum(1).double().numpy(), float((slope * along[:1].double()).sum())) < BOUND


def test_the_page_takes_no_other_log_det():
    with pytest.raises(TypeError, match="exact"):
        from_jacobians(object(), torch.zeros(1, 3, 2, 2), torch.zeros(3, 2), None)


def test_coefficients_of_a_step_are_those_of_its_points():
    """All that is drawn for three blocks at once is what they draw one after the other."""
    x = points(9, 2)
    estimator = Roulette(n_draws=2, n_probes=2)
    together, generator = estimator.draw(x, seeded(1), 3), seeded(1)
    for block, of_block in enumerate(together.each()):
        alone = estimator.draw(x, generator)
        assert torch.equal(alone.u[0], of_block.u[0]) and torch.equal(alone.probes[0], together.probes[block])
        assert isinstance(alone.coefficients, Coefficients)
