"""The core against the formulas of the paper and autograd: torch alone, its fused function, and kernels.

Torch is right to the rounding of float64, kernels to float32's. Any two settings meet in one case at least
(`tests.covering`); activations of one kind take turns. `plain_flow` has the formulas. Kernels have only flows in the
plane, in single precision; they compute the same, so the same laws hold.
"""

import copy
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hessian

from resflow_core import branches, expressions, norms  # noqa: F401  they register their own
from resflow_core import flow as fused_ways
from resflow_core.activations import ACTIVATIONS
from resflow_core.fast import compiled, fused
from resflow_core.fast.broyden import solve_broyden
from resflow_core.fixed_point import solve_banach
from resflow_core.flow import CHUNK_NUMBERS, FlowConfig, Uncertified, standard_normal_log_prob
from resflow_core.gradients import GRADIENTS
from resflow_core.lipschitz import CONSTRAINTS, NORM_CHAINS, Soft
from resflow_core.log_det import Cut, Drawn, Draws, Exact, Roulette, Truncated
from resflow_core.norms.constraints import Bjorck, Hard, Off, Power
from resflow_core.residual import BRANCHES, Stack
from resflow_core.spectral_norm import SLACK
from resflow_core.training.flat_parameters import FlatParameters, GradientOfParts
from tests.core.oracles import all_signs, points, seeded
from tests.core.plain_flow import FORMULA, RAW, PlainFlow, etas, rows_jacobian
from tests.covering import covering, in_turn

ROUNDED, BY_KERNELS = 1e-12, 3e-5  # how far torch and kernels may be off, as a share of 1 + the largest entry
SOLVED = 1e-6  # the solvers' tolerance
BATCH, BUDGET = 7, 0.9
TERMS = 300  # 0.9^300 is below the rounding of float64
CONSTRAINTS_TRIED = [Soft(), Hard(), Bjorck(3), Power(3), Power(1, warm=False), Off()]
# What the code tells apart: whether an activation takes each number for itself. `test_activations` has each alone.
OF_ONE = [FORMULA, *(name for name, known in ACTIVATIONS.items() if known.is_elementwise)]
KINDS = {
    "some of one": OF_ONE[::2],
    "others of one": OF_ONE[1::2],
    "of several": [name for name, known in ACTIVATIONS.items() if not known.is_elementwise],
}
LEVELS = {
    "norms": [*NORM_CHAINS],
    "hidden_layers": [1, 2, 3],
    "actnorm": [True, False],
    "scale": [1.0, 0.6, 1.3],
    "gradient": [*GRADIENTS],
}
OF_TORCH = in_turn(
    covering({"kind": [*KINDS], **LEVELS, "dim": [2, 3], "branch": [*BRANCHES]}), constraint=CONSTRAINTS_TRIED
)
TURNS = {kind: itertools.cycle(names) for kind, names in KINDS.items()}
CASES = [{"activation": next(TURNS[row["kind"]]), "by": "torch", **row} for row in OF_TORCH]
WITH_KERNELS = [name for name in OF_ONE if name != FORMULA]
KERNEL_CASES = in_turn(
    covering(LEVELS | {"constraint": [Soft(), Hard(), Off()]}),
    activation=WITH_KERNELS,
    by=["kernels"],
    dim=[2],
    branch=["residual"],
)
FUSED_CASES = in_turn(
    covering(LEVELS | {"hidden_layers": [1], "dim": [2, 3], "constraint": [Soft(), Hard()]}),
    activation=OF_ONE,
    by=["fused"],
    branch=["residual"],
)
ALL_WAYS = in_turn(
    [{"hidden_layers": 1, "dim": 2, "branch": "residual", "norms": "2", "scale": 1.0}],
    activation=WITH_KERNELS,
    log_det=[Exact(), *(Roulette(n_probes=2, gradient=name) for name in GRADIENTS)],
    actnorm=[True, False],
    constraint=[Soft(), Hard(), Off()],
)
ALL_CASES = CASES + FUSED_CASES + KERNEL_CASES
# One case of each activation before each commit.
BRIEFLY = list({(case["activation"], case["by"]): case for case in reversed(ALL_CASES)}.values())
SMOOTH = {*RAW} - {"relu", "leaky_relu", "maxmin"}  # the others have no curvature


@dataclass(frozen=True)
class Tried:
    """A flow of a case, the plain one with its parameters in float64, and how far they may differ."""

    case: dict
    flow: torch.nn.Module
    plain: PlainFlow
    x: Tensor

    @property
    def by_kernels(self) -> bool:
        return self.case["by"] == "kernels"

    @cached_property
    def kernel_points(self) -> Tensor:
        """The points as the flow takes them."""
        return self.x.detach().to(next(self.flow.parameters())).requires_grad_()

    def check(self, found, expected, by_kernels: float = BY_KERNELS) -> None:
        assert found.dtype == next(self.flow.parameters()).dtype
        self.check_all({"": found}, [expected], by_kernels)

    def check_all(self, found: dict[str, Tensor], expected: Iterable[Tensor], by_kernels: float = BY_KERNELS) -> None:
        """Tensors with names, within a share of the largest entry of all."""
        expected = [of_one.detach() for of_one in expected]
        largest = max(float(of_one.abs().max()) if of_one.numel() else 0.0 for of_one in expected)
        allowed = (by_kernels if self.by_kernels else ROUNDED) * (1 + largest)
        for (name, ours), its in zip(found.items(), expected, strict=True):
            torch.testing.assert_close(
                ours.detach().double(), its, atol=allowed, rtol=0, msg=lambda why, name=name: f"{name}: {why}"
            )

    def check_gradients(self, of_found, of_expected) -> None:
        """Those of the sum, by the points and by each parameter."""
        names, parameters = zip(*self.flow.named_parameters(), strict=True)
        plain = [*self.plain.flow.parameters()]
        found = torch.autograd.grad(of_found, [self.kernel_points, *parameters], materialize_grads=True)
        expected = torch.autograd.grad(of_expected, [self.x, *plain], materialize_grads=True)
        self.check_all(dict(zip(("x", *names), found, strict=True)), expected)


def moved(flow):
    """The flow with parameters unlike each other, some layers above their cap."""
    with torch.no_grad():
        for k, (name, parameter) in enumerate(flow.named_parameters()):
            parameter += 0.1 * torch.randn(parameter.shape, generator=seeded(k), dtype=parameter.dtype)
            if k % 3 == 0 and name.endswith("raw"):
                parameter *= 5
    return flow


def built(case, width=5):
    names = ("activation", "norms", "constraint", "hidden_layers", "dim", "actnorm", "branch")
    config = FlowConfig(blocks=2, width=width, budget=BUDGET, **{name: case[name] for name in names})
    return moved(config.build(seeded(0)).double()).scaled(1, case["scale"])


@pytest.fixture(
    params=[case if case in BRIEFLY else pytest.param(case, marks=pytest.mark.thorough) for case in ALL_CASES],
    ids=lambda case: "-".join(str(level) for level in case.values()),
    scope="module",
)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def tried(case):
    """By torch alone, by the fused function too, or by kernels where they have it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused_ways, "FUSED", [fused.forward_and_jacobians] if case["by"] == "fused" else [])
        yield made(case)


def made(case):
    flow = plain = built(case)
    if case["by"] == "kernels":
        flow = built(case).float()
        plain.load_state_dict(flow.state_dict())
        flow.kernels = compiled.CompiledValues(flow)
    x = (2 * points(BATCH, case["dim"])).float().double().requires_grad_()
    return Tried(case, flow, PlainFlow(plain), x)


def coefficients_of(draws: Draws) -> tuple[Tensor, Tensor]:
    """Of v'A^k v and of v'A^k dA v, k = 0, 1, ..., at each point, (blocks, batch or 1, 1 + terms), by Theorems 1 and 2:
    (-1)^(k+1) / k and (-1)^k, divided by P(N >= k) up to N, as means over the draws of N. The first m traces are exact.
    A cut series with n terms ends with the n-th, whose derivative has A^(n-1)."""
    n = draws.law.terms(draws.u)
    k, one = torch.arange(int(n.max()) + 1), torch.ones((), dtype=torch.float64)
    reached = ((k <= n[..., None]) / draws.law.survival(k)).mean(-2)
    of_value = torch.where(k > draws.exact_traces, -((-one) ** k) / k, 0.0)
    of_gradient = torch.where(k >= draws.exact_traces, (-one) ** k, 0.0)
    if isinstance(draws.law, Cut):
        of_gradient[-1] = 0
    return of_value * reached, of_gradient * reached


def as_estimated(plain: PlainFlow, x: Tensor, draws: Draws, by_neumann: bool) -> tuple[Tensor, Tensor]:
    """log p(x) by what was drawn, and what has its gradient: the same, or by the Neumann series of Theorem 2."""
    m, (a_of, b_of) = draws.exact_traces, coefficients_of(draws)
    surrogates = []

    def of_jacobian(k, a):
        v = draws.probes[k].double()
        a_k, b_k = a_of[k], b_of[k]
        value = traces = sum(
            (-1) ** (j + 1) / j * torch.matrix_power(a, j).diagonal(dim1=1, dim2=2).sum(1) for j in range(1, m + 1)
        ) + torch.zeros(len(x)).to(a)
        power, total = torch.eye(a.shape[-1]).to(a).expand_as(a), torch.zeros_like(a)
        for j in range(a_k.shape[-1]):
            value = value + a_k[:, j] * torch.einsum("kbi,bij,kbj->b", v, power, v) / len(v)
            total = total + b_k[:, j, None, None] * power.detach()
            power = power @ a
        surrogates.append(traces + torch.einsum("kbi,bij,bjl,kbl->b", v, total, a, v) / len(v))
        return value

    log_prob = plain.log_prob(x, of_jacobian)
    if not by_neumann:
        return log_prob, log_prob
    return log_prob, plain.log_prob(x, lambda k, a: surrogates[k])


class TestFlows:
    def test_values_and_jacobians_are_those_of_the_formulas(self, tried):
        x, plain = tried.kernel_points, tried.plain
        expected = torch.stack(plain.jacobians(tried.x), 1)
        with torch.no_grad():
            assert not tried.by_kernels or tried.flow.kernels.takes(tried.flow, x)
            z, jacobians = tried.flow.forward_and_jacobians(x)
            for found, of_plain in zip(tried.flow.stages(x), plain.stages(tried.x), strict=True):
                tried.check(found, of_plain)
        tried.check(z, plain(tried.x))
        tried.check(jacobians, expected)
        tried.check(tried.flow(x), plain(tried.x))
        tried.check(tried.flow.forward_and_jacobians(x)[1], expected)

    def test_the_log_det_is_that_of_the_whole_map_s_jacobian(self, tried):
        """log|det df/dx| of all blocks at once, by autograd through the plain flow."""
        expected = torch.linalg.slogdet(rows_jacobian(tried.plain, tried.x)).logabsdet
        x = tried.kernel_points
        with torch.no_grad():
            tried.check(tried.flow.forward_and_log_det(x)[1], expected, 3 * BY_KERNELS)
            tried.check(tried.flow.log_prob(x), tried.plain.log_prob(tried.x), 3 * BY_KERNELS)
        tried.check(tried.flow.forward_and_log_det(x)[1], expected, 3 * BY_KERNELS)

    def test_the_density_and_its_gradient_are_those_of_the_formulas(self, tried):
        log_prob, expected = tried.flow.log_prob(tried.kernel_points), tried.plain.log_prob(tried.x)
        tried.check(log_prob, expected, 3 * BY_KERNELS)
        weights = points(BATCH, 1, seed=5)[:, 0]
        tried.check_gradients((weights.to(log_prob) * log_prob).sum(), (weights * expected).sum())

    @pytest.mark.parametrize("exact_traces", [0, 1, 2])
    @pytest.mark.parametrize("estimator", [Truncated(3, n_probes=2), Roulette(n_probes=2, n_draws=2)], ids=str)
    def test_estimates_and_their_gradients_are_those_of_their_draws(self, tried, estimator, exact_traces):
        gradient = tried.case["gradient"]
        estimator = type(estimator)(**{**vars(estimator), "gradient": gradient, "exact_traces": exact_traces})
        x = tried.kernel_points
        draws = estimator.draw(x, seeded(1), 2)
        expected, _ = as_estimated(tried.plain, tried.x, draws, GRADIENTS[gradient].by_neumann)
        # In the forward pass gradients are taken of a mean, and once more if the points' weights differ.
        for weights in (torch.ones(BATCH).double(), torch.arange(BATCH).double()):
            found = tried.flow.log_prob(x, estimator, seeded(1))
            tried.check(found, expected, 3 * BY_KERNELS)
            _, surrogate = as_estimated(tried.plain, tried.x, draws, GRADIENTS[gradient].by_neumann)
            tried.check_gradients((weights.to(found) * found).sum(), (weights * surrogate).sum())
        with torch.no_grad():
            tried.check(tried.flow.log_prob(x, estimator, seeded(1)), expected, 3 * BY_KERNELS)

    def test_over_all_probes_each_gradient_of_a_long_series_is_the_exact_one(self, tried):
        if tried.by_kernels or max(tried.flow.lipschitz_bounds()) >= 0.95:
            pytest.skip("the series must converge within rounding")
        probes = all_signs(tried.case["dim"])[None, :, None].expand(2, -1, BATCH, -1).contiguous()
        draws, expected = Draws(Cut(TERMS), torch.zeros(2, 1, 1, dtype=torch.float64), probes), tried.plain.log_prob
        for gradient in GRADIENTS:
            found = tried.flow.log_prob(tried.kernel_points, Drawn(Truncated(gradient=gradient), draws))
            tried.check(found, expected(tried.x))
            tried.check_gradients(found.sum(), expected(tried.x).sum())

    def test_the_inverse_is_within_its_certificate(self, tried):
        x, bounds = tried.kernel_points.detach(), tried.flow.lipschitz_bounds()
        if uncertified := [f"Block {k} .* {bound:.4g}" for k, bound in enumerate(bounds, 1) if bound >= 1]:
            with pytest.raises(Uncertified, match=uncertified[0]):
                tried.flow.inverse(x)
            return
        # The inverse of a block is short by the solver's tolerance, which each block before it stretches.
        tolerance = SOLVED * sum((3 / (1 - max(bounds))) ** k for k in range(len(bounds)))
        tolerance *= 10 if tried.by_kernels else 1  # float32 stops at its rounding
        z = tried.plain(x.double()).detach().to(x)
        torch.testing.assert_close(tried.flow.inverse(z), x, atol=tolerance, rtol=0)

    def test_second_derivatives_in_the_points_are_those_of_the_formulas(self, tried):
        if tried.case["activation"] not in SMOOTH:
            pytest.skip("it has no curvature")
        x, expected = tried.x.detach()[:2], []
        for row in x:
            expected.append(hessian(lambda row: tried.plain.log_prob(row[None])[0], row))
        ours = x.to(tried.kernel_points)

        def log_prob(row):
            return tried.flow.log_prob(row[None])[0]

        for row, of_row in zip(ours, expected, strict=True):
            for found in (hessian(log_prob, row), torch.func.hessian(log_prob)(row)):
                tried.check(found, of_row, 30 * BY_KERNELS)

    @pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
    def test_second_derivatives_in_all_parameters_are_those_of_the_formulas(self, tried, twice):
        """Of a random linear function of the gradient. The points may have come from the same map before."""
        if tried.case["activation"] not in SMOOTH or tried.case["norms"] != "2":
            pytest.skip("it has no curvature, or a norm that is differentiated once")

        def curved(log_prob, x, parameters):
            parameters = [x, *parameters]
            first = torch.autograd.grad(log_prob.sum(), parameters, create_graph=True, materialize_grads=True)
            directions = [points(max(1, g.numel()), 1, seed=k).view(g.shape).to(g) for k, g in enumerate(first)]
            total = sum((g * direction).sum() for g, direction in zip(first, directions, strict=True))
            return torch.autograd.grad(total, parameters, materialize_grads=True)

        x, f = tried.kernel_points, tried.flow.map()
        start = tried.plain(tried.x) if twice else tried.x
        of_plain = curved(tried.plain.log_prob(start), tried.x, tried.plain.flow.parameters())
        z, log_dets = f.forward_and_log_det(f(x) if twice else x, Exact(), None)
        of_flow = curved(standard_normal_log_prob(z) + log_dets, x, tried.flow.parameters())
        names = ("x", *(name for name, _ in tried.flow.named_parameters()))
        tried.check_all(dict(zip(names, of_flow, strict=True)), of_plain, 1e-3)

    def test_scales_shifts_and_biases_may_differ_from_point_to_point(self, tried):
        """As with a context. Each point has what it has alone, and so have the gradients of what is its own."""
        if tried.by_kernels:
            pytest.skip("kernels have one map for all points")
        f, x = tried.flow.map(), tried.x.detach()
        own = {id(tensor) for tensor in (*f.scales, *f.shifts, *f.network.biases)}
        differ, factors = [id(tensor) in own for tensor in f.tensors], 1 + points(BATCH, 1, seed=6)[:, 0] / 10

        def found(part):
            """At some of the points: log dets, and the gradients of the density."""
            pairs = zip(f.tensors, differ, strict=True)
            inputs = [(t * factors[part] if its_own else t).detach().requires_grad_() for t, its_own in pairs]
            z, log_dets = f.at(inputs).forward_and_log_det(x[part], Exact(), None)
            return log_dets, torch.autograd.grad((standard_normal_log_prob(z) + log_dets).sum(), inputs)

        (log_dets, together), alone = found(slice(None)), [found(slice(k, k + 1)) for k in range(BATCH)]
        tried.check(log_dets, torch.cat([of_one for of_one, _ in alone]))
        for of_own, ours, *its in zip(differ, together, *(gradients for _, gradients in alone), strict=True):
            tried.check(ours, torch.cat(its, -1) if of_own else torch.stack(its).sum(0))

    @pytest.mark.parametrize("split", [3, BATCH])
    def test_the_gradient_that_trains_is_that_of_the_formulas(self, tried, split):
        """The NLL that the trainer differentiates: of stacked leaves, or by `CompiledNLL`."""
        x = tried.kernel_points.detach()
        flow = built(tried.case).to(x.dtype)
        flat = FlatParameters(flow)
        expected = -tried.plain.log_prob(tried.x).mean()
        its = torch.autograd.grad(expected, [*tried.plain.flow.parameters()], materialize_grads=True)
        if tried.by_kernels and compiled.supports(flow) and tried.case["scale"] == 1:  # a trained flow has no other
            parameters, gradients = flat.stacked()
            for gradient in gradients.values():
                gradient.fill_(torch.nan)  # all of them must be written
            by_kernels = compiled.CompiledNLL(flow, parameters, gradients)
            losses = [by_kernels(x) for _ in range(2)]  # what the first call left in its arrays must not be in the next
        else:
            parts = GradientOfParts(flat, len(x.split(split)))
            for part in x.split(split):
                z, log_dets = parts.map.forward_and_log_det(part, Exact(), None)
                parts.add(-(standard_normal_log_prob(z) + log_dets).sum() / len(x))
            parts.take()
            losses = []
        for loss in losses:
            assert loss == pytest.approx(float(expected.detach()), rel=2e-5, abs=2e-5)
        places = dict(
            zip(map(id, flat.parameters), flat.gradient.split([p.numel() for p in flat.parameters]), strict=True)
        )
        found = {name: places[id(parameter)].view_as(parameter) for name, parameter in flow.named_parameters()}
        tried.check_all(found, its, 2e-5)


class TestBranches:
    """One branch by torch, alone: what estimators and solvers take of it."""

    @pytest.fixture(autouse=True)
    def torch_only(self, tried):
        if tried.case["by"] != "torch":
            pytest.skip("a branch has one way")

    def test_value_jacobian_products_and_trace(self, tried):
        for k, g in enumerate(tried.flow.branches):
            near, a = g.near(tried.x), rows_jacobian(lambda x, k=k: tried.plain.branch(k, x), tried.x)
            for found in (near.value, g(tried.x)):
                tried.check(found, tried.plain.branch(k, tried.x))
            tried.check(near.jacobian(), a)
            w = points(3 * BATCH, tried.case["dim"], seed=2).view(3, BATCH, -1)
            tried.check(near.pullback(w), torch.einsum("kbi,bij->kbj", w, a))
            if (trace := near.trace()) is not None:
                tried.check(trace, a.diagonal(dim1=1, dim2=2).sum(1))
            layers = tried.case["hidden_layers"]
            assert (trace is not None) == (layers < 3 if tried.case["branch"] == "dense" else layers == 1)

    def test_gradients_of_value_jacobian_products_and_trace(self, tried):
        w = points(BATCH, tried.case["dim"], seed=2)
        for k, g in enumerate(tried.flow.branches):
            near, value = g.near(tried.x), tried.plain.branch(k, tried.x)
            a = rows_jacobian(lambda x, k=k: tried.plain.branch(k, x), tried.x)
            pulled, trace = torch.einsum("bi,bij->bj", w, a), a.diagonal(dim1=1, dim2=2).sum()
            found = (w * near.value).sum() + (near.jacobian() ** 2).sum() + (w * near.pullback(w)).sum()
            known = near.trace()
            expected = (w * value).sum() + (a**2).sum() + (w * pulled).sum() + (0 if known is None else trace)
            inputs, of_plain = [tried.x, *g.parameters()], [tried.x, *tried.plain.flow.branches[k].parameters()]
            ours = torch.autograd.grad(found + (0 if known is None else known.sum()), inputs, materialize_grads=True)
            its = torch.autograd.grad(expected, of_plain, materialize_grads=True)
            tried.check_all({str(i): mine for i, mine in enumerate(ours)}, its)

    def test_solvers_are_within_their_tolerance(self, tried):
        """In the norm of the bound."""
        for g in tried.flow.branches:
            if g.lipschitz < 1:
                x = tried.x.detach()
                z = (x + g(x)).detach()
                for solve in (solve_banach, solve_broyden):
                    found = solve(g.network(), z, g.lipschitz, 1e-9, g.norm_of)
                    assert float(g.norm_of((found - x).T).max()) <= 1e-9

    @torch.no_grad()
    def test_bounds_are_budgets_or_products_of_norms(self, tried):
        """Where caps hold, L, else the product over the layers of ||W|| or, if dense, ||(c eta_1, eta_2 ||W||)||_q;
        times the scale of the block."""
        bounds, scales = tried.flow.lipschitz_bounds(), (1, tried.case["scale"])
        for g, bound, scale in zip(tried.flow.branches, bounds, scales, strict=True):
            stack = Stack([g])
            steps = [float(norm(w)) for w, norm in zip(stack.constrained(), stack.norms, strict=True)]
            if tried.case["norms"] == "2":
                for linear, norm in zip(g.linears, steps, strict=True):
                    assert 1 <= norm / float(torch.linalg.matrix_norm(linear.weight(), 2)) * (1 + 1e-12) < 1 + 2 * SLACK
            if tried.case["branch"] == "dense":
                for i, (eta, q) in enumerate(zip(etas(g), g.orders[1:-1], strict=True)):
                    parts = eta * eta.new_tensor([g.linears[i].cap, steps[i]])
                    steps[i] = float(torch.linalg.vector_norm(parts, q))
            expected = scale * (BUDGET if tried.case["constraint"].certifies else math.prod(steps))
            assert [bound, g.lipschitz] == pytest.approx([expected] * 2, rel=1e-12)

    def test_bounds_hold(self, tried):
        """No Jacobian stretches a direction by more than the certified bound."""
        for k, g in enumerate(tried.flow.branches):
            a = rows_jacobian(lambda x, k=k: tried.plain.branch(k, x), tried.x).detach()
            directions = points(200, tried.case["dim"], seed=3).T
            stretched = a @ directions
            sizes = torch.stack([g.norm_of(of_point) for of_point in stretched])
            assert bool((sizes <= g.lipschitz * g.norm_of(directions) * (1 + 1e-12)).all())


@pytest.mark.parametrize("row", ALL_WAYS, ids=lambda row: row["activation"])
def test_all_ways_are_one(row, monkeypatch):
    """The density and its gradient of one flow, by torch alone, the fused function, and kernels. Each way is taken."""
    flow, log_det, taken = built(row).float(), row["log_det"], list[str]()  # so all have the same parameters

    def noted(way, function):
        def noting(*given):
            if (found := function(*given)) is not None:
                taken.append(way)
            return found

        return noting

    plain, x = PlainFlow(copy.deepcopy(flow).double()), points(BATCH, 2).float().double().requires_grad_()
    ways = {"torch": [], "fused": [noted("fused", fused.forward_and_jacobians)], "kernels": []}
    monkeypatch.setattr(
        compiled.CompiledValues, "differentiable", noted("kernels", compiled.CompiledValues.differentiable)
    )
    for by, of_fused in ways.items():
        monkeypatch.setattr(fused_ways, "FUSED", of_fused)
        ours = copy.deepcopy(flow) if by == "kernels" else copy.deepcopy(flow).double()
        ours.kernels = compiled.CompiledValues(ours) if by == "kernels" else None
        tried = Tried(row | {"by": by}, ours, plain, x)
        found, expected = ours.log_prob(tried.kernel_points, log_det, seeded(1)), (plain.log_prob(x),) * 2
        if log_det != Exact():
            draws = log_det.draw(tried.kernel_points, seeded(1), 2)
            expected = as_estimated(plain, x, draws, GRADIENTS[log_det.gradient].by_neumann)
        tried.check(found, expected[0], 3 * BY_KERNELS)
        tried.check_gradients(found.sum(), expected[1].sum())
        assert taken == ([] if by == "torch" else [by])
        taken.clear()


@pytest.mark.parametrize("by", ["torch", "kernels"])
def test_no_points_are_no_trouble(by):
    flow = FlowConfig(blocks=3, width=4).build(seeded(0))
    if by == "kernels":
        flow.kernels = compiled.CompiledValues(flow)
    none = torch.empty(0, 2)
    z, jacobians = flow.forward_and_jacobians(none)
    assert (z.shape, jacobians.shape) == ((0, 2), (0, 3, 2, 2))
    value, jacobian = flow.branches[0].value_and_jacobian(none)
    assert (value.shape, jacobian.shape) == ((0, 2), (0, 2, 2))
    for log_det in (Exact(), Truncated(), Roulette()):
        assert flow.log_prob(none, log_det, seeded(0)).shape == (0,)
        with torch.no_grad():
            assert flow.log_prob(none, log_det, seeded(0)).shape == (0,)


def test_without_gradients_many_points_are_the_same_points():
    """They are computed in parts."""
    config = FlowConfig(blocks=2, width=256)
    flow, x = moved(config.build(seeded(0)).double()), points(CHUNK_NUMBERS // 256 + 3, 2)
    with torch.no_grad():
        found = [flow(x), flow.log_prob(x), *flow.forward_and_jacobians(x)]
    for ours, expected in zip(found, [flow(x), flow.log_prob(x), *flow.forward_and_jacobians(x)], strict=True):
        torch.testing.assert_close(ours, expected.detach(), atol=1e-12, rtol=0)
        assert not ours.requires_grad


def test_what_is_no_number_is_no_gradient():
    flow = FlowConfig(blocks=2, width=5).build(seeded(0))
    parameters, gradients = FlatParameters(flow).stacked()
    with torch.no_grad():
        flow.branches[1].linears[0].raw[0, 0] = torch.inf
        assert not math.isfinite(float(flow.log_prob(points(5, 2).float()).mean()))
    assert not math.isfinite(float(flow.log_prob(points(5, 2).float()).mean().detach()))
    assert not math.isfinite(compiled.CompiledNLL(flow, parameters, gradients)(points(5, 2).float()))


def test_every_entry_is_tried():
    assert {type(constraint) for constraint in CONSTRAINTS_TRIED} == {*CONSTRAINTS.values()}
    assert {case["activation"] for case in CASES} == {*ACTIVATIONS, FORMULA} == {*RAW}
    assert {case["constraint"] for case in CASES} == {*CONSTRAINTS_TRIED}
    assert {case["branch"] for case in CASES} == {"residual", "dense"}
    assert {case["activation"] for case in KERNEL_CASES} == {*WITH_KERNELS}
    assert all(compiled.evaluates(built(case).float()) for case in KERNEL_CASES)
    assert len(CASES) < 30


def test_some_layers_are_at_their_cap_and_some_are_not():
    flow = built(next(case for case in CASES if case["norms"] == "2"))
    above = [torch.linalg.matrix_norm(linear.raw, 2) > linear.cap for g in flow.branches for linear in g.linears]
    assert 0 < sum(map(bool, above)) < len(above)
