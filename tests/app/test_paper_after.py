"""What came after the paper: its verdicts, from what is stored; and the data and small pictures of the paper's page."""

import copy
import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from app import screens
from app.evidence import path_of, stored
from app.features.compare import joined
from app.features.compare.joined import KINDS
from app.features.paper import compared, noise, picture, taken
from app.features.paper.after import AFTER
from app.features.paper.causes import RATE, SIZE, Sheared
from app.features.paper.found import Kind, Picture
from app.features.paper.joined import dense
from app.features.paper.noise import EXACT_TRACE, ROULETTE
from app.features.paper.rotated import UNTOLD, Rotated
from app.features.paper.traces import less_noise
from app.features.paper.verdicts import MOST_OFF
from app.features.paper.written import FOLDS, Written
from resflow_core.data.digits import to_levels
from resflow_core.estimators.moments import roulette_variance
from resflow_core.estimators.moments.remainders import log_det_remainders
from resflow_core.flow import Flow, FlowConfig
from resflow_core.log_det import Exact, Roulette
from resflow_core.measure import Evaluation
from resflow_core.roulette import Geometric

assert screens.SCREENS  # they fill the registries
CHAINED = "Dense, Sine, 2 hidden layers, chained"


@pytest.fixture
def without_chances(monkeypatch):
    """They take most of the time, and are tested on their own."""
    monkeypatch.setattr(compared, "chances", lambda *_, **__: dict.fromkeys(Kind, 0.0))


def raw(name):
    """The file as it lies there, read without the app."""
    return json.loads(path_of(name).read_text())


def three(value):
    return f"{value:#.3g}".removesuffix(".")


def spread(values):
    return f"{three(np.mean(values))} ({three(np.min(values))} to {three(np.max(values))})"


def ways(file):
    """Of each kind the seconds and KLs of every seed, read by other code."""
    if "preset" in file["settings"]:
        return {
            label: [(arm["curves"]["held_seconds"], arm["curves"]["held_kl"]) for arm in arms]
            for label, arms in file["found"].items()
        }
    (kinds,) = file["found"].values()
    return {label: [tuple(zip(*run["way"], strict=True)) for run in runs] for label, runs in kinds.items()}


def judged(kl):
    """The verdict if the KL of each of twelve seeds is so at all times, by set and kind; 0.5 where none is given."""
    plane, spirals = map(stored, AFTER["dense"].evidence)
    fits = {label: kl.get(("checkerboard", label), 0.5) for label in plane.found}
    ways = {label: kl.get(("2spirals", label), 0.5) for label in spirals.found["2spirals"]}
    found = {label: [{"curves": {"held_seconds": [1.0], "held_kl": [fit]}}] * 12 for label, fit in fits.items()}
    other = {"2spirals": {label: [{"way": [[1.0, fit]]}] * 12 for label, fit in ways.items()}}
    return dense(replace(plane, found=found), replace(spirals, found=other))


def test_every_number_of_the_verdict_is_in_the_files():
    found = AFTER["dense"].found
    assert found.kind is Kind.NOT_DECIDED and found.numbers["rule_seeds"] == "3"
    wanted = []
    for name in AFTER["dense"].evidence:
        kinds = ways(raw(name))
        free = [of for label, of in kinds.items() if label != CHAINED]
        seconds = min(np.mean([at[-1] for at, _ in of]) for of in free)
        then = [[np.interp(seconds, *way) for way in of] for of in free]
        wanted += [spread([kls[-1] for _, kls in of]) for of in free]
        wanted += [f"{seconds:.1f} s", spread(min(then, key=np.mean))]
    assert [one for one in wanted if one not in found.sentence] == []


LABELS = [*KINDS, *(f"{kind}, CLipSwish, 2 hidden layers" for kind in ("Dense", "Residual"))]
DENSE = [label for label in LABELS if label.startswith("Dense")]
RESIDUAL = [label for label in LABELS if label.startswith("Residual")]
BOTH = ("checkerboard", "2spirals")


@pytest.mark.usefixtures("without_chances")
@pytest.mark.parametrize(
    ("kl", "kind"),
    [
        ({}, Kind.EQUAL),
        ({("2spirals", "Dense, Sine, 2 hidden layers"): 0.1}, Kind.IN_PART),
        ({(data, label): 0.1 for data in BOTH for label in DENSE}, Kind.SHOWS),
        ({(data, label): 0.1 for data in BOTH for label in RESIDUAL}, Kind.NOT_HERE),
    ],
)
def test_the_verdict_follows_the_fits(kl, kind):
    found = judged(kl)
    assert found.kind is kind and "{" not in found.sentence + found.ruled


@pytest.mark.usefixtures("without_chances")
def test_what_a_chain_reaches_says_whether_connections_help():
    ours, chain = ("2spirals", "Dense, Sine, 2 hidden layers"), ("2spirals", CHAINED)
    given = [*(judged({ours: 0.1, chain: kl}) for kl in (0.3, 0.1)), judged({})]
    assert [found.numbers["chained"] for found in given] == ["0.300", "0.100", "0.500"]
    helps, not_the_reason, undecided = (found.says for found in given)
    assert len({helps, not_the_reason, undecided}) == 3


@pytest.mark.usefixtures("without_chances")
class TestExactFirstTrace:
    """The verdict on 12 stored flows of two data sets, after few steps and after more."""

    @staticmethod
    def judged(change):
        """The verdict after `change` of what was measured of each flow at each step."""
        file = stored(*AFTER["traces"].evidence)
        found = copy.deepcopy(file.found)
        for case, runs in found.items():
            for run in runs:
                for step, of in run["noise"].items():
                    change(case, step, of)
        return less_noise(replace(file, found=found))

    def test_every_number_of_the_verdict_is_in_the_file(self):
        found = AFTER["traces"].found
        file = raw(*AFTER["traces"].evidence)
        wanted = []
        for name in file["settings"]["cases"]:
            runs = file["found"][name]
            losses = [[run["loss"][way] for run in runs] for way in (EXACT_TRACE, ROULETTE)]
            wanted += [f"{np.mean(of):.4f} ({min(of):.4f} to {max(of):.4f})" for of in losses]
            for step in map(str, file["settings"]["steps"]):
                noises = [run["noise"][step] for run in runs]
                for of in ("value", "gradient"):
                    wanted.append(spread([one[ROULETTE][of] / one[EXACT_TRACE][of] for one in noises]) + " times")
                for way in (EXACT_TRACE, ROULETTE):
                    share = 100 * np.mean([one[way]["gradient"] / one["batches"] for one in noises])
                    wanted.append(f"{share:.0f} %" if share >= 10 else f"{share:.2g} %")
        shares = [one["finite"] for runs in file["found"].values() for run in runs for one in run["noise"].values()]
        wanted.append(f": {100 * min(shares):.0f} % of the points at least")
        assert [one for one in wanted if one not in found.sentence] == []

    @pytest.mark.parametrize(
        ("larger_where", "kind"),
        [
            (lambda case, step: False, Kind.SHOWS),
            (lambda case, step: case == "plane", Kind.IN_PART),
            (lambda case, step: True, Kind.NOT_HERE),
        ],
    )
    def test_the_verdict_follows_the_noise(self, larger_where, kind):
        def change(case, step, of):
            for key in ("value", "gradient"):
                of[EXACT_TRACE][key] = of[ROULETTE][key] * (2 if larger_where(case, step) else 0.5)

        found = self.judged(change)
        assert found.kind is kind and "{" not in found.sentence + found.ruled

    def test_less_noise_does_not_show_it_if_the_mean_is_off(self):
        def biased(case, step, of):
            of[EXACT_TRACE]["off"] = 2 * of[EXACT_TRACE]["se"]  # which one flow alone could not tell from chance

        found = self.judged(biased)
        assert found.kind is Kind.NOT_HERE and float(found.numbers["off"]) > MOST_OFF


@pytest.mark.parametrize("log_det", [Roulette(exact_traces=1), Roulette()], ids=["exact first trace", "roulette"])
def test_noise_is_the_variance_over_draws(log_det):
    generator = torch.Generator().manual_seed(0)
    flow, x = Flow(FlowConfig(blocks=2, width=4), generator), torch.randn(3, 2, generator=generator)
    generator.manual_seed(0)
    truth, finite = flow.log_prob(x, Exact()).double().detach().numpy(), [True, False, True]
    found = noise.noise(flow, x, log_det, 5, generator, torch.tensor(finite))
    generator.manual_seed(0)
    values, gradients = [], []
    for _ in range(5):
        flow.zero_grad()
        value = flow.log_prob(x, log_det, generator)
        value.mean().backward()
        values.append(value.detach().double().numpy()[finite])
        slopes = [p.grad.double().numpy().ravel() for p in flow.parameters() if p.requires_grad]
        gradients.append(np.concatenate(slopes))
    means = np.mean(values, 1)
    assert found["value"] == pytest.approx(np.var(values, 0, ddof=1).mean(), abs=1e-12)
    assert found["gradient"] == pytest.approx(np.var(gradients, 0, ddof=1).sum(), abs=1e-12)
    assert found["off"] == pytest.approx(means.mean() - truth[finite].mean(), abs=1e-12)
    assert found["se"] == pytest.approx(means.std(ddof=1) / 5**0.5, abs=1e-12)


def test_a_chain_sees_the_layer_before_it_alone():
    trainer = joined.begun("moons", CHAINED, 0)
    for _ in range(3):
        trainer.step()
        joined.take_away(trainer, CHAINED)
    for flow in (trainer.flow, trainer.evaluated):
        for branch in flow.branches:
            first, second, last = branch.linears
            units = len(first.bias)
            assert not second.raw[:, :2].any() and second.raw[:, 2:].any()
            assert not last.raw[:, : 2 + units].any() and last.raw[:, 2 + units :].any()


def test_blocks_draw_independently_so_their_variances_add_and_the_median_point_is_told():
    a = torch.tensor([[0.45, 0.30], [-0.25, 0.20]], dtype=torch.float64)
    # Three points; every block of each has A, half of A, or 0.
    shares = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.5, 0.0], [1.0, 1.0, 0.5]], dtype=torch.float64)
    unused = torch.empty(0)
    found = joined.roulette_deviation(Evaluation(unused, unused, shares[:, :, None, None] * a))
    whole, half = (
        float(roulette_variance(log_det_remainders(s * a[None], 400), Geometric(0.5, 3)).total) for s in (1.0, 0.5)
    )
    assert found == pytest.approx((whole + half) ** 0.5, rel=1e-6)


class TestSheared:
    """Data with a shear that one block can undo, if its norm leaves it the room."""

    @pytest.mark.parametrize("cause", [True, False])
    def test_its_density_is_that_of_the_points_that_were_sheared(self, cause):
        data, generator = Sheared(cause, 4), torch.Generator().manual_seed(5)
        x = data.sample(20_000, generator)
        nll, entropy = -data.log_prob(x), 2 * np.log(2 * np.pi * np.e)
        assert abs(float(nll.mean()) - entropy) < 4 * float(nll.std()) / len(x) ** 0.5

    @pytest.mark.parametrize(("cause", "roomy", "tight"), [(True, np.inf, 1), (False, 1, np.inf)])
    def test_one_norm_sees_less_of_its_slope_than_the_2_norm_and_another_more(self, cause, roomy, tight):
        data = Sheared(cause)
        at = torch.zeros(data.dim, dtype=torch.float64)
        moved = torch.autograd.functional.jacobian(lambda x: data._moved(x[None], 1.0)[0], at)
        shear, slope = moved - torch.eye(data.dim), SIZE * RATE
        of = {order: float(torch.linalg.matrix_norm(shear, order)) for order in (roomy, 2, tight)}
        assert of == pytest.approx({roomy: slope, 2: slope * 7**0.5, tight: slope * 7})
        assert float(torch.linalg.det(moved)) == pytest.approx(1)


def test_rotated_classes_are_those_of_the_plane():
    data = Rotated(dim=6)
    torch.testing.assert_close(data.turn @ data.turn.T, torch.eye(6))
    x, y = data.sample_labelled(500, torch.Generator().manual_seed(3))
    plane, classes = data.toy.sample_labelled(500, torch.Generator().manual_seed(3))
    torch.testing.assert_close((x @ data.turn)[:, :2], plane)  # turned back, they are what was drawn
    assert torch.equal(y, classes) and x.shape == (500, 6)


def test_few_classes_are_told_and_always_the_same_ones():
    data, generator = Rotated(told=10, seed=3), torch.Generator().manual_seed(1)
    (x, y), (again, classes) = (data.sample_labelled(64, generator) for _ in range(2))
    assert torch.equal(x[:10], again[:10]) and torch.equal(y[:10], classes[:10])
    assert not torch.equal(x[10:], again[10:])
    assert set(y[:10].tolist()) <= {0, 1} and (y[10:] == UNTOLD).all() and x.shape == (64, data.dim)
    assert not torch.equal(Rotated(told=10, seed=4).sample_labelled(64, generator)[0][:10], x[:10])
    judged, classes = data.judged
    assert torch.equal(judged, Rotated().judged[0]) and set(classes.tolist()) == {0, 1}


def test_every_image_is_judged_once_by_a_model_that_has_not_seen_it():
    folds = [Written(fold) for fold in range(FOLDS)]
    judged = [to_levels(fold.judged[0]) for fold in folds]
    assert sum(map(len, judged)) == 1_797
    images, classes = load_digits(return_X_y=True)
    for fold, levels in zip(folds, judged, strict=True):
        x, y = fold.sample_labelled(400, torch.Generator().manual_seed(2))
        drawn = {one.numpy().tobytes(): int(label) for one, label in zip(to_levels(x), y, strict=True)}
        own = {one.numpy().tobytes(): int(label) for one, label in zip(levels, fold.judged[1], strict=True)}
        known = {one.astype(np.uint8).tobytes(): int(label) for one, label in zip(images, classes, strict=True)}
        assert drawn.items() <= known.items() and own.items() <= known.items()
        assert not drawn.keys() & own.keys()


def test_values_of_a_picture_stand_where_they_are():
    assert picture.place(0.0, 0.0, 10.0, log=False) == picture.place(0.1, 0.1, 10.0, log=True) == picture.MARGIN
    assert picture.place(10.0, 0.0, 10.0, log=False) == 100 - picture.MARGIN
    assert picture.place(5.0, 0.0, 10.0, log=False) == picture.place(1.0, 0.1, 10.0, log=True) == 50
    drawn = picture.figure(Picture({"a<b": [1.0, 3.0], "c": [4.0]}, "size", "cm", mark=("the limit", 2.0)))
    assert (drawn.count("<i "), drawn.count("<u "), drawn.count("<s ")) == (3, 1, 2)  # dots, a mean, and the mark
    assert drawn.count('style="left:50.0%"') == 3 and "a&lt;b: 1, 3" in drawn  # of 0 to 4: the mean, and both marks
    without_log = Picture({"a": [-0.1, 0.9]}, "KL", "nats", log=True)
    assert not without_log.is_log and picture.ends(without_log) == (-0.1, 0.9)
    assert picture.ends(Picture({"a": [2.0]}, "x", "cm", log=True)) == (1.0, 4.0)


def test_the_numbers_of_a_picture_are_all_its_dots_and_its_mark():
    drawn = Picture({"a, b": [0.1 + 0.2, 3.0], "=c": [-1.0]}, "KL", "nats", mark=("none lost", 0.25))
    rows = list(csv.DictReader(io.StringIO(taken.numbers(drawn).decode())))
    assert [(row["row"], float(row["value"])) for row in rows] == [("a, b", 0.1 + 0.2), ("a, b", 3.0), ("'=c", -1.0)]
    assert {(row["mark"], row["mark_value"]) for row in rows} == {("none lost", "0.25")}
