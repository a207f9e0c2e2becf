"""What the core says of input that it cannot take: what was given, what is allowed, what to pass."""

import numpy as np
import pytest
import torch

from resflow_core import measure
from resflow_core.actnorm import ActNorm
from resflow_core.api import flow_file
from resflow_core.baselines.zuko_flows import BaselineConfig
from resflow_core.data import DATASETS, Table
from resflow_core.fixed_point import NotConverged
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.lipschitz import LipschitzLinear
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.roulette import LAWS
from resflow_core.training.trainer import Diverged, TrainConfig, Trainer
from tests.core.oracles import points, seeded
from tests.covering import told

NAN, INF = float("nan"), float("inf")
CONFIG = FlowConfig(blocks=2, width=8)


def flow():
    return CONFIG.build(seeded(0))


HYBRID = HybridConfig(CONFIG).build(seeded(0))

# All that takes points of the plane.
TAKES_POINTS = {
    "forward": flow(),
    "forward of a block": flow().blocks[0],
    "forward of an ActNorm": ActNorm(2),
    "forward of a layer": LipschitzLinear(2, 5, 0.9, seeded(0)),
    "forward of a baseline": BaselineConfig(transforms=2).build(seeded(0)),
    "inverse": flow().inverse,
    "inverse of a block": flow().blocks[0].inverse,
    "inverse of an ActNorm": ActNorm(2).inverse,
    "forward_and_log_det": flow().forward_and_log_det,
    "forward_and_log_dets": flow().forward_and_log_dets,
    "forward_and_jacobians": flow().forward_and_jacobians,
    "log_prob": flow().log_prob,
    "log_prob of an estimate": lambda x: flow().log_prob(x, Roulette(), seeded(0)),
    "stages": flow().stages,
    "initialize": flow().initialize,
    "initialize of an ActNorm": ActNorm(2).initialize,
    "initialize of a hybrid": HYBRID.initialize,
    "log_probs of a hybrid": HYBRID.log_probs,
    "log_class_probs": HYBRID.log_class_probs,
}

ARRAY = [[0.0, 1.0], [2.0, 3.0]]
WRONG_POINTS = {
    "a list": (ARRAY, r"points = `\[\[0\.0, 1\.0\], .*`: pass a torch tensor .*\(batch, 2\), e\.g\. torch\.tensor\("),
    "NumPy's": (np.array(ARRAY), r"points = `array\(.*torch\.tensor\(points, dtype=torch\.float32\)"),
    "nothing": (None, r"points = None: pass a torch tensor"),
    "a number": (1.5, r"points = 1\.5: pass a torch tensor"),
    "one point": (torch.zeros(2), r"of shape \(batch, 2\); got \(2,\)\. Pass points\.reshape\(-1, 2\)\."),
    "a grid": (torch.zeros(4, 5, 2), r"of shape \(batch, 2\); got \(4, 5, 2\)\. Pass points\.reshape\(-1, 2\)\."),
    "three coordinates": (torch.zeros(4, 3), r"of shape \(batch, 2\); got \(4, 3\)\.$"),
    "columns": (torch.zeros(2, 9), r"of shape \(batch, 2\); got \(2, 9\)\.$"),
    "a scalar": (torch.tensor(1.0), r"of shape \(batch, 2\); got \(\)\.$"),
    "float64": (
        torch.rand(4, 2).double(),
        r"type torch\.float32; got torch\.float64\. Pass points\.float\(\) or .*\.d",
    ),
    "float16": (torch.rand(4, 2).half(), r"type torch\.float32; got torch\.float16\. Pass points\.float\(\)\.$"),
    "whole numbers": (torch.ones(4, 2, dtype=torch.int64), r"got torch\.int64\. Pass points\.float\(\)\.$"),
    "truth values": (torch.ones(4, 2, dtype=torch.bool), r"got torch\.bool\. Pass points\.float\(\)\.$"),
}


@pytest.mark.parametrize("take", TAKES_POINTS.values(), ids=TAKES_POINTS)
def test_other_points_are_refused(take):
    for name, (wrong, said) in WRONG_POINTS.items():
        with told(name), pytest.raises(ValueError, match=said):
            take(wrong)


def test_a_flow_of_float64_wants_float64():
    built, x = flow(), torch.zeros(4, 2)
    assert built(x).dtype == built.inverse(x).dtype == torch.float32
    built.double()
    for take in (built, built.inverse, built.log_prob, built.blocks[0], built.blocks[0].inverse):
        with pytest.raises(ValueError, match=r"type torch\.float64; got torch\.float32\. Pass points\.double\(\)\.$"):
            take(x)
        assert take(x.double()).dtype == torch.float64


def test_what_is_told_of_a_long_list_is_short():
    with pytest.raises(ValueError) as error:
        flow()([[float(i), 0.0] for i in range(10_000)])
    assert len(str(error.value)) < 300


def test_no_points_are_points():
    built, none = flow(), torch.zeros(0, 2)
    assert built(none).shape == built.inverse(none).shape == built.sample(0, seeded(0)).shape == (0, 2)
    assert built.log_prob(none).shape == built.log_prob(none, Truncated(3), seeded(0)).shape == (0,)


class TestNotFinite:
    @pytest.mark.parametrize("log_det", [Exact(), Truncated(3), Roulette()], ids=lambda log_det: type(log_det).__name__)
    @pytest.mark.parametrize("bad", [NAN, INF, -INF])
    def test_the_density_of_such_a_row_is_not_a_number_and_the_others_stay(self, bad, log_det):
        built, good = flow(), points(6, 2).float()
        x = good.clone()
        x[2, 1] = bad
        expected, found = (built.log_prob(y, log_det, seeded(0)).detach() for y in (good, x))
        others = [0, 1, 3, 4, 5]
        assert not found[2].isfinite()
        torch.testing.assert_close(found[others], expected[others])
        torch.testing.assert_close(built(x)[others], built(good)[others])

    @pytest.mark.parametrize("bad", [NAN, INF])
    @pytest.mark.slow
    def test_it_has_no_inverse(self, bad):
        z = torch.tensor([[0.3, 0.2], [bad, 0.0]])
        with pytest.raises(NotConverged, match=r"1 of 2 points; .* \(row 1\), .* This z is not finite; leave such"):
            flow().blocks[0].inverse(z)
        with pytest.raises(NotConverged, match=r"1 of 2 points; .* \(row 1\)"):
            flow().inverse(z)

    @pytest.mark.parametrize("bad", [NAN, INF])
    @pytest.mark.parametrize(
        "taker",
        [ActNorm(2), flow(), FlowConfig(blocks=1, actnorm=False).build(seeded(0)), HYBRID],
        ids=["ActNorm", "flow", "flow without ActNorm", "hybrid"],
    )
    def test_nothing_is_initialised_by_it(self, taker, bad):
        x, before = points(20, 2).float(), [p.clone() for p in taker.parameters()]
        x[[3, 7], 1] = bad
        with pytest.raises(ValueError, match=r"2 of 20 points are not finite; the first is \[.*\] \(row 3\)\. Leave"):
            taker.initialize(x)
        assert all(torch.equal(a, b) for a, b in zip(before, taker.parameters(), strict=True))

    @pytest.mark.parametrize("scale", [3.4e38, 1e-39])
    def test_an_actnorm_refuses_a_scale_that_float32_has_not(self, scale):
        with pytest.raises(ValueError, match=r"in torch\.float32: .* overflow\. Standardise the points first\."):
            ActNorm(2).initialize(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]) * scale)


@pytest.mark.parametrize(
    "draw",
    {
        "sample": lambda g: flow().sample(5, g),
        "log_prob": lambda g: flow().log_prob(torch.zeros(3, 2), Roulette(), g),
        "truncated": lambda g: flow().forward_and_log_det(torch.zeros(3, 2), Truncated(3), g),
        "build": CONFIG.build,
        "build of a hybrid": HybridConfig().build,
        "build of a baseline": BaselineConfig().build,
        **{law: lambda g, law=law: LAWS[law]().sample(5, g) for law in LAWS},
        "data": lambda g: DATASETS["moons"].sample(5, g),
        "data with classes": lambda g: DATASETS["moons"].sample_labelled(5, g),
        "rows": lambda g: DATASETS["iris"].sample(5, g),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_what_draws_wants_a_generator(draw):
    state = torch.get_rng_state()
    for wrong in (None, 0, 3, "cpu"):
        said = rf"generator = {wrong!r}: .+ draws at random; pass a torch\.Generator, e\.g\. torch\.Generator\(\)\.m"
        with told(wrong), pytest.raises(ValueError, match=said.replace("'", ".")):
            draw[1](wrong)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("n", [-1, 2.5, "5", None])
def test_samples_are_counted_by_whole_numbers(n):
    with pytest.raises(ValueError, match=r"n = .*: use a whole number of at least 0\."):
        flow().sample(n, seeded(0))


def test_samples_are_counted_by_numpys_whole_numbers_too():
    assert flow().sample(np.int64(4), seeded(0)).shape == (4, 2)


@pytest.mark.parametrize(
    "log_det", [Exact, Roulette, "exact", torch.Generator()], ids=["a class", "another class", "a name", "a generator"]
)
def test_an_estimator_is_a_value(log_det):
    with pytest.raises(ValueError, match=r"log_det = .*: pass an estimator, e\.g\. Exact\(\) or Roulette\(\)\."):
        flow().log_prob(torch.zeros(3, 2), log_det)


class Drawn:
    """A data set whose draws are what a test says."""

    title = "drawn"

    def __init__(self, *draws):
        self.draws = list(draws)

    def sample(self, n, generator):
        return self.draws.pop(0) if len(self.draws) > 1 else self.draws[0]


GOOD = points(50, 2).float()
BAD = torch.where(torch.arange(50)[:, None] == 4, NAN, GOOD)


class TestDataToTrainOn:
    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (
                GOOD,
                r"dataset = `tensor\(.*`: pass an object with sample\(n, generator\), e\.g\. DATASETS\['moons'\], or T",
            ),
            ("moons", r"dataset = 'moons': pass an object with sample"),
            (None, r"dataset = None: pass an object with sample"),
            (Drawn(GOOD.numpy()), r"points = `array\(.*pass a torch tensor of shape \(batch, 2\)"),
            (Drawn(GOOD.double()), r"got torch\.float64\. Pass points\.float\(\)"),
            (Drawn(torch.zeros(50, 3)), r"of shape \(batch, 2\); got \(50, 3\)"),
            (Drawn(BAD), r"1 of 50 points are not finite; .* \(row 4\)"),
            (Drawn(torch.ones(50, 2)), r"points that vary in every coordinate"),
        ],
        ids=["points", "a name", "nothing", "NumPy's", "float64", "shape", "NaN", "constant"],
    )
    @pytest.mark.parametrize("config", [CONFIG, BaselineConfig(transforms=1)], ids=["residual", "baseline"])
    def test_other_data_are_refused(self, config, data, said):
        with pytest.raises(ValueError, match=said):
            Trainer(config, TrainConfig(batch=50), data, seed=0)

    @pytest.mark.thorough
    def test_a_later_batch_that_is_not_finite_is_named_as_the_cause(self):
        trainer = Trainer(CONFIG, TrainConfig(batch=50), Drawn(GOOD, GOOD, BAD), seed=0)
        trainer.step()
        before = [p.clone() for p in trainer.flow.parameters()]
        with pytest.raises(Diverged, match=r"The batch of step 2 has points that are not finite, .* out of 'drawn'\."):
            trainer.step()
        assert all(torch.equal(a, b) for a, b in zip(before, trainer.flow.parameters(), strict=True))

    def test_a_table_takes_a_list(self):
        table = Table("rows", ("a", "b"), [[i, i * i] for i in range(40)])
        Trainer(CONFIG, TrainConfig(batch=10), table, seed=0).step()


@pytest.mark.parametrize("x", [ARRAY, np.array(ARRAY), torch.tensor(ARRAY).long()], ids=["list", "NumPy's", "int64"])
def test_an_evaluation_converts_its_points(x):
    expected = flow().log_prob(torch.tensor(ARRAY))
    torch.testing.assert_close(measure.evaluate(flow(), x).log_prob, expected.detach())


def test_a_file_is_given_as_bytes():
    with pytest.raises(ValueError, match=r"data = `'flow\.safetensors'`: pass the bytes of a file, e\.g\. pathlib"):
        flow_file.from_bytes("flow.safetensors")
