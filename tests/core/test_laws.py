"""Laws that every residual flow holds, whatever its settings, and whoever computes it: the paper's files, torch's
faster code, or kernels that numba compiles.

The paper's files are compared with automatic differentiation of f itself. What is faster is compared with the paper's
files, which have the same weights and the same draws. Any two settings meet in one case at least (`tests.covering`).
"""

import itertools
import math

import numpy as np
import pytest
import torch

from resflow_core import branches, expressions, fast, norms  # noqa: F401  they register what a flow is built of
from resflow_core.activations import ACTIVATIONS
from resflow_core.fast import compiled
from resflow_core.flow import FlowConfig, Uncertified
from resflow_core.gradients import GRADIENTS
from resflow_core.lipschitz import CONSTRAINTS, NORM_CHAINS, Soft
from resflow_core.log_det import Drawn, Exact, Roulette, Truncated, drawn
from resflow_core.norms.constraints import Bjorck, Hard, Off, Power
from resflow_core.probes import PROBES
from resflow_core.residual import BRANCHES
from resflow_core.roulette import Custom, Geometric, Poisson
from resflow_core.training.flat_parameters import FlatParameters
from tests.core.oracles import built, jacobians_of_rows, numpy_log_abs_det, papers, points, seeded, slopes
from tests.covering import covering, in_turn, told

EXACTLY = {"atol": 1e-10, "rtol": 1e-10}
SOLVED = 1e-6  # the solvers' tolerance
FORMULA = "=sin(z) + tanh(z)/4"
CONSTRAINTS_TRIED = [Soft(), Hard(), Bjorck(3), Power(3), Power(1, warm=False), Off()]
LAWS = [Geometric(0.5, 3), Geometric(0.8, 0), Poisson(1.0, 1), Custom((1.0, 0.6, 0.3))]
ESTIMATES = {"gradient": [*GRADIENTS], "n_probes": [1, 3], "exact_traces": [0, 1, 2]}

# What acts alone takes turns: each activation and constraint has tests of its own.
CASES = in_turn(
    covering(
        {
            "norms": [*NORM_CHAINS],
            "hidden_layers": [1, 2, 3],
            "dim": [2, 5],
            "branch": [*BRANCHES],
            "actnorm": [True, False],
            "scale": [1.0, 0.6, 1.3],
            "kind": ["truncated", "roulette"],
            **ESTIMATES,
        }
    ),
    constraint=CONSTRAINTS_TRIED,
    activation=[FORMULA, *ACTIVATIONS],
)


def named(row):
    return " ".join(str(level) for level in row.values())


def estimator_of(row):
    common = {name: row[name] for name in ESTIMATES} | {"probe": row.get("probe", "gaussian")}
    if row["kind"] == "exact":
        return Exact()
    if row["kind"] == "truncated":
        return Truncated(row.get("n_terms", 3), **common)
    return Roulette(row.get("law", LAWS[0]), **common, n_draws=row.get("n_draws", 1), shared=row.get("shared", False))


@pytest.fixture(params=CASES, ids=named, scope="module")
def case(request):
    return request.param


@pytest.fixture(scope="module")
def flows(case):
    """The paper's flow and the fast one, with the same weights: unlike each other, and some above their cap."""
    names = ("activation", "norms", "constraint", "hidden_layers", "dim", "actnorm", "branch")
    flow = FlowConfig(blocks=2, width=5, budget=0.9, **{name: case[name] for name in names}).build(seeded(0)).double()
    with torch.no_grad():
        for k, (name, parameter) in enumerate(flow.named_parameters()):
            parameter += 0.1 * torch.randn(parameter.shape, generator=seeded(k), dtype=parameter.dtype)
            if k % 3 == 0 and name.endswith("raw"):
                parameter *= 5
    return papers(flow).scaled(1, case["scale"]), flow.scaled(1, case["scale"])


@pytest.fixture
def x(case):
    return (2 * points(7, case["dim"])).requires_grad_()


class TestTorch:
    def test_log_dets_and_jacobians_are_those_of_automatic_differentiation(self, flows, x):
        flow, x = flows[0], x.detach()[:2]
        whole = jacobians_of_rows(flow, x)
        z, jacobians = flow.forward_and_jacobians(x)
        there, log_dets = flow.forward_and_log_det(x)
        product, blocks = torch.eye(flow.dim, dtype=torch.float64), iter(jacobians.unbind(1))
        for part in flow.parts:
            is_block = hasattr(part, "branch")
            product = (torch.eye(flow.dim) + next(blocks) if is_block else part.log_scale.exp().diag()) @ product
        torch.testing.assert_close(product, whole, **EXACTLY)
        stages = flow.stages(x)
        assert torch.equal(stages[0], x) and len(stages) == flow.config.blocks + 2
        for found in (there, flow(x), stages[-1]):
            torch.testing.assert_close(found, z, **EXACTLY)
        np.testing.assert_allclose(log_dets.detach(), numpy_log_abs_det(whole), atol=1e-10)
        normal = -(z.square().sum(1) + flow.dim * math.log(2 * math.pi)) / 2
        torch.testing.assert_close(flow.log_prob(x), normal + log_dets, **EXACTLY)

    def test_fast_values_and_gradients_are_the_papers(self, flows, x, case):
        """Of z, the Jacobians, the log det of each part and the density; by x and by all parameters. Estimates are
        differentiated as a mean, and with weights that differ from point to point, which is other code."""
        log_det = estimator_of(case)

        def found_by(flow):
            estimates = flow.log_prob(x, log_det, seeded(1))
            outputs = [
                *flow.forward_and_jacobians(x),
                *flow.forward_and_log_dets(x),
                flow.log_prob(x),
                estimates,
                flow.log_prob(x, log_det, seeded(2)).sum(),
            ]
            inputs = [x, *flow.parameters()]
            gradients = [slopes(some, inputs) for some in (outputs[:-1], outputs[-1:])]
            with torch.no_grad():
                at = x.detach()
                without = [*flow.stages(at), *flow.forward_and_jacobians(at), flow.log_prob(at, log_det, seeded(1))]
            assert not any(one.requires_grad for one in without)
            return [*outputs, *itertools.chain(*gradients), *without]

        for expected, found in zip(*map(found_by, flows), strict=True):
            torch.testing.assert_close(found, expected, **EXACTLY)

    def test_bounds_and_inverses(self, flows, x):
        paper, fused = flows
        bounds = paper.lipschitz_bounds()
        assert fused.lipschitz_bounds() == pytest.approx(bounds, rel=1e-10)
        if uncertified := [f"Block {k} .* {bound:.4g}" for k, bound in enumerate(bounds, 1) if bound >= 1]:
            for flow in flows:
                with pytest.raises(Uncertified, match=uncertified[0]):
                    flow.inverse(x.detach())
            return
        # The inverse of a block is short by the solver's tolerance, which each block before it stretches.
        tolerance = SOLVED * sum((3 / (1 - max(bounds))) ** k for k in range(len(bounds)))
        for flow in flows:
            torch.testing.assert_close(flow.inverse(fused(x).detach()), x.detach(), atol=tolerance, rtol=0)


def test_every_entry_is_tried():
    assert {type(constraint) for constraint in CONSTRAINTS_TRIED} == {*CONSTRAINTS.values()}
    assert {case["activation"] for case in CASES} == {*ACTIVATIONS, FORMULA}
    assert {*KERNELS} == {*ACTIVATIONS} - {"clipswish", "cpila", "maxmin"}  # smooth, and of one number each


# --- kernels ----------------------------------------------------------------------------------------------------------

TOLERANCE = 2e-5  # of float32, with sums over points and units
SMALL = {"blocks": 1, "width": 2}
KERNELS = [name for name in ACTIVATIONS if compiled.evaluates(FlowConfig(activation=name, **SMALL).build(seeded(0)))]
# They differ by the number of layers, and work on tiles of points. A series has loops of its own.
ROWS = in_turn(
    covering(
        {
            "blocks": [1, 5],
            "hidden_layers": [1, 2, 3],
            "width": [5, 32],
            "actnorm": [True, False],
            "constraint": [Soft(), Hard()],
            "batch": [1, 32, 77],
            "kind": ["exact", "truncated", "roulette"],
            "probe": [*PROBES],
            "n_draws": [1, 2],
            "shared": [False, True],
            **ESTIMATES,
        },
        lambda row: {*row} - ({*ESTIMATES, "probe", "n_draws", "shared"} if row["kind"] == "exact" else set()),
    ),
    activation=KERNELS,
    law=LAWS,
    n_terms=[1, 2, 6],
)


def in_double(log_det):
    """The same draws for float64."""
    if not isinstance(log_det, Drawn):
        return log_det
    return Drawn(log_det.log_det, log_det.draws._replace(probes=log_det.draws.probes.double()))


@pytest.mark.parametrize("row", ROWS, ids=named)
class TestKernels:
    def made(self, row):
        """A flow in float32, the paper's in float64, points, and an estimator with what was drawn for them."""
        names = ("blocks", "hidden_layers", "width", "actnorm", "constraint", "activation")
        flow = built(**{name: row[name] for name in names}, budget=0.9)
        paper, x = papers(flow), 2 * points(row["batch"], 2).float()
        return flow.float(), paper, x, drawn(estimator_of(row), row["blocks"], x, seeded(5))

    def test_a_steps_loss_and_gradient(self, row):
        """Of a batch at once, and in two pieces; what was in the gradients before must not be in them."""
        flow, paper, x, log_det = self.made(row)
        loss = -(paper.log_prob(x.double(), in_double(log_det))).mean()
        exact = -paper.log_prob(x.double()).mean()
        names, of_paper = zip(*paper.named_parameters(), strict=True)
        expected = dict(zip(names, torch.autograd.grad(loss, of_paper, materialize_grads=True), strict=True))

        parameters, gradients = FlatParameters(flow).stacked()
        for gradient in gradients.values():
            gradient.fill_(torch.nan)
        nll = compiled.CompiledNLL(flow, parameters, gradients)
        middle = (len(x) + 1) // 2
        for parts in ([slice(0, len(x))], [slice(0, middle), slice(middle, len(x))][: 1 + (len(x) > 1)]):
            pieces = [
                Drawn(log_det.log_det, log_det.draws.of(part)) if isinstance(log_det, Drawn) else log_det
                for part in parts
            ]
            found = nll.of_parts([x[part] for part in parts], pieces)
            assert found == pytest.approx((loss.item(), exact.item()), rel=TOLERANCE, abs=TOLERANCE)
            places = {
                view.data_ptr(): gradients[name][k]
                for name, views in parameters.items()
                for k, view in enumerate(views)
            }
            whole = math.sqrt(sum(float(g.square().sum()) for g in expected.values()))
            for name, parameter in flow.named_parameters():
                off = torch.linalg.vector_norm(places[parameter.data_ptr()].double() - expected[name])
                assert float(off) < TOLERANCE * whole, name

    def test_values(self, row):
        """With gradients by x and all parameters, and without; and the inverse, which leads back."""
        flow, paper, x, log_det = self.made(row)
        flow.values = compiled.CompiledValues(flow)
        of_each = []
        for one, at, by in ((flow, x, log_det), (paper, x.double(), in_double(log_det))):
            at = at.clone().requires_grad_()
            outputs = one.forward_and_log_det(at, by, None)
            of_each.append([*outputs, *slopes(outputs, [at, *one.parameters()])])
        scale = max(float(expected.detach().abs().max()) for expected in of_each[1])
        for found, expected in zip(*of_each, strict=True):
            np.testing.assert_allclose(found.detach(), expected.detach(), atol=TOLERANCE * scale)

        with torch.no_grad():
            assert flow.values.takes(flow, x)
            ours, theirs = (
                [one.log_prob(at), *one.forward_and_jacobians(at), *one.stages(at)]
                for one, at in ((flow, x), (paper, x.double()))
            )
            for found, expected in zip(ours, theirs, strict=True):
                torch.testing.assert_close(found.double(), expected, atol=5e-5, rtol=1e-5)
            back = flow.inverse(x)
            torch.testing.assert_close(paper(back.double()), x.double(), atol=5e-5, rtol=1e-5)


def test_weights_are_raw_below_the_cap_and_at_the_cap_above_it():
    """By NumPy, in the 2-norm."""
    branch = built(blocks=1, hidden_layers=2).branches[0]
    for k, linear in enumerate(branch.linears):
        with torch.no_grad(), told(k):
            linear.raw *= 10.0 ** (k - 1)
            raw, found = linear.raw.numpy(), linear.weight().numpy()
            expected = raw * min(1.0, linear.cap * (1 - 1e-5) / np.linalg.norm(raw, 2))
            np.testing.assert_allclose(found, expected, rtol=2e-5)
            assert np.linalg.norm(found, 2) <= linear.cap
