"""What the core says of input that it cannot take: what was given, what is allowed, what to pass."""

import itertools

import numpy as np
import pytest
import torch

import resflow_core as rf
from resflow_core import measure
from resflow_core.actnorm import ActNorm
from resflow_core.api import flow_file
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.lipschitz import LipschitzLinear
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.norms.induced import lower_bound, upper_bound
from resflow_core.norms.spectral_estimates import power_iteration
from resflow_core.roulette import LAWS
from resflow_core.training.trainer import Diverged, TrainConfig, Trainer
from tests.core.oracles import points, seeded
from tests.covering import told

NAN, INF = float("nan"), float("inf")
CONFIG = FlowConfig(blocks=2, width=8)


def flow(implementation=None):
    return CONFIG.build(seeded(0), implementation)


HYBRID = HybridConfig(CONFIG).build(seeded(0))

# All that takes points of the plane.
TAKES_POINTS = {
    "forward": flow(),
    "forward of a block": flow().blocks[0],
    "forward of a layer": LipschitzLinear(2, 5, 0.9, seeded(0)),
    "forward of a baseline": BaselineConfig(transforms=2).build(seeded(0)),
    "inverse": flow().inverse,
    "forward_and_jacobians": flow().forward_and_jacobians,
    "log_prob": flow().log_prob,
    "initialize": flow().initialize,
    "log_probs of a hybrid": HYBRID.log_probs,
}
ARRAY = [[0.0, 1.0], [2.0, 3.0]]
WRONG_POINTS = {
    "a list": (ARRAY, "pass a torch tensor"),
    "NumPy's": (np.array(ARRAY), "pass a torch tensor"),
    "one point": (torch.zeros(2), r"of shape \(batch, 2\); got \(2,\)\. Pass points\.reshape\(-1, 2\)\."),
    "three coordinates": (torch.zeros(4, 3), r"of shape \(batch, 2\); got \(4, 3\)\.$"),
    "float64": (torch.rand(4, 2).double(), r"type torch\.float32; got torch\.float64\. Pass points\.float\(\)"),
    "whole numbers": (torch.ones(4, 2, dtype=torch.int64), r"got torch\.int64\. Pass points\.float\(\)\.$"),
}


def test_other_points_are_refused():
    for (taker, take), (name, (wrong, said)) in itertools.product(TAKES_POINTS.items(), WRONG_POINTS.items()):
        with told((taker, name)), pytest.raises(ValueError, match=said):
            take(wrong)


class TestNotFinite:
    @pytest.mark.parametrize(
        ("implementation", "bad", "log_det"),
        [("paper", NAN, Exact()), ("fused", INF, Exact()), ("fused", NAN, Truncated(3)), ("paper", -INF, Roulette())],
    )
    def test_the_density_of_such_a_row_is_not_a_number_and_the_others_stay(self, implementation, bad, log_det):
        built, good = flow(implementation), points(6, 2).float()
        x = good.clone()
        x[2, 1] = bad
        expected, found = (built.log_prob(y, log_det, seeded(0)).detach() for y in (good, x))
        others = [0, 1, 3, 4, 5]
        assert not found[2].isfinite()
        torch.testing.assert_close(found[others], expected[others])
        torch.testing.assert_close(built(x)[others], built(good)[others])

    @pytest.mark.parametrize("taker", [ActNorm(2), flow(), HYBRID], ids=["ActNorm", "flow", "hybrid"])
    def test_nothing_is_initialised_by_it(self, taker):
        x, before = points(20, 2).float(), [p.clone() for p in taker.parameters()]
        x[[3, 7], 1] = NAN
        with pytest.raises(ValueError, match=r"2 of 20 points are not finite; the first is \[.*\] \(row 3\)\. Leave"):
            taker.initialize(x)
        assert all(torch.equal(a, b) for a, b in zip(before, taker.parameters(), strict=True))


def test_what_draws_wants_a_generator_and_a_whole_number():
    state = torch.get_rng_state()
    draws = {
        "sample": lambda g: flow().sample(5, g),
        "truncated": lambda g: flow().forward_and_log_det(torch.zeros(3, 2), Truncated(3), g),
        "build": CONFIG.build,
        **{law: lambda g, law=law: LAWS[law]().sample(5, g) for law in LAWS},
        "data": lambda g: DATASETS["moons"].sample(5, g),
        "data with classes": lambda g: DATASETS["moons"].sample_labelled(5, g),
        "rows": lambda g: DATASETS["iris"].sample(5, g),
    }
    for (name, draw), wrong in itertools.product(draws.items(), (None, 0)):
        with told((name, wrong)), pytest.raises(ValueError, match=r"draws at random; pass a torch\.Generator"):
            draw(wrong)
    assert torch.equal(torch.get_rng_state(), state)
    for n in (-1, 2.5):
        with pytest.raises(ValueError, match=r"n = .*: use a whole number of at least 0\."):
            flow().sample(n, seeded(0))


class Drawn:
    """A data set whose draws are what a test says."""

    title = "drawn"

    def __init__(self, *draws):
        self.draws = list(draws)

    def sample(self, n, generator):
        return self.draws.pop(0) if len(self.draws) > 1 else self.draws[0]


GOOD = points(50, 2).float()
BAD = torch.where(torch.arange(50)[:, None] == 4, NAN, GOOD)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("moons", "dataset = 'moons': pass an object with sample"),
        (Drawn(GOOD.double()), r"got torch\.float64\. Pass points\.float\(\)"),
        (Drawn(torch.zeros(50, 3)), r"of shape \(batch, 2\); got \(50, 3\)"),
        (Drawn(BAD), r"1 of 50 points are not finite; .* \(row 4\)"),
        (Drawn(torch.ones(50, 2)), "points that vary in every coordinate"),
    ],
    ids=["a name", "float64", "shape", "NaN", "constant"],
)
def test_other_data_to_train_on_are_refused(data, said):
    for config in (CONFIG, BaselineConfig(transforms=1)):
        with told(config), pytest.raises(ValueError, match=said):
            Trainer(config, TrainConfig(batch=50), data, seed=0)


def test_a_later_batch_that_is_not_finite_is_named_as_the_cause():
    trainer = Trainer(CONFIG, TrainConfig(batch=50), Drawn(GOOD, GOOD, BAD), seed=0)
    trainer.step()
    before = [p.clone() for p in trainer.flow.parameters()]
    with pytest.raises(Diverged, match=r"The batch of step 2 has points that are not finite, .* out of 'drawn'\."):
        trainer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.flow.parameters(), strict=True))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: ActNorm(2).initialize(3.4e38 * torch.tensor([[1.0, 1.0], [-1.0, -1.0]])),
            "in torch.float32: .* overflow",
        ),
        (lambda: flow().log_prob(torch.zeros(3, 2), Exact), "log_det = .*: pass an estimator"),
        (lambda: flow_file.from_bytes("flow.safetensors"), "pass the bytes of a file"),
        (lambda: FlowConfig(dim=257), "use a whole number from 1 to 256"),
        (lambda: FlowConfig(constraint="soft"), "use one of Soft, Hard"),
        (lambda: BaselineConfig(kind="glow"), "use one of nice, realnvp, maf, nsf"),
        (lambda: BaselineConfig(dim=1), "dim = 1: .*use at least 2"),
        (lambda: Trainer(HybridConfig(), TrainConfig(), DATASETS["moons"], seed=0), "HybridTrainConfig"),
        (lambda: upper_bound(torch.ones(2, 2), 2, 2), r"\(n, out, in\)"),
        (lambda: lower_bound(torch.ones(1, 2, 2), 3, 3, starts=0), "starts = 0"),
        (lambda: power_iteration(torch.eye(2), torch.zeros(2), 1), "draw v at random"),
        (lambda: measure.mass(lambda x: x, ((-1, 1), (-1, 1)), 50), "n = 50: use a multiple of 8"),
        (lambda: measure.cost(flow(), torch.zeros(3, 2), Truncated(2), seeded(0), draws=2), "2 draws have no standard"),
        (lambda: rf.LipschitzLinear(3, 2, 0), "cap = 0"),
        (lambda: rf.formula(3), "A formula is a text"),
    ],
)
def test_a_bad_argument_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
