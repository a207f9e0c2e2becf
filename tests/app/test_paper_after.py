"""What came after the paper: where it is built, its verdict is computed from what is stored."""

import copy
import itertools
import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from app import screens
from app.evidence import path_of, plain, stored
from app.features.compare import joined
from app.features.compare.joined import KINDS
from app.features.paper import noise
from app.features.paper.after import AFTER
from app.features.paper.found import Kind
from app.features.paper.joined import dense
from app.features.paper.noise import EXACT_TRACE, ROULETTE
from app.features.paper.traces import less_noise
from app.features.paper.verdicts import MOST_OFF
from resflow_core.data import DATASETS
from resflow_core.flow import Flow, FlowConfig
from resflow_core.log_det import Exact, Roulette

assert screens.SCREENS  # they fill the registries
CHAINED = "Dense, Sine, 2 hidden layers, chained"


def raw(name):
    """The file as it lies there, read without the app."""
    return json.loads(path_of(name).read_text())


def three(value):
    return f"{value:#.3g}".removesuffix(".")


def spread(values):
    return f"{three(np.mean(values))} ({three(np.min(values))} to {three(np.max(values))})"


def ways(file):
    """Of each set and kind the seconds and KLs of every seed, read by other code."""
    if "preset" in file["settings"]:
        curves = {label: [arm["curves"] for arm in arms] for label, arms in file["found"].items()}
        return file["settings"]["data"], {
            label: [(of["held_seconds"], of["held_kl"]) for of in arms] for label, arms in curves.items()
        }
    ((data, kinds),) = file["found"].items()
    return data, {label: [tuple(zip(*run["way"], strict=True)) for run in runs] for label, runs in kinds.items()}


def judged(kl):
    """The verdict if the KL of each of twelve seeds is so at all times, by set and kind; 0.5 where none is given."""
    given = []
    for name in AFTER["dense"].evidence:
        file = stored(name)
        found = copy.deepcopy(file.found)
        for label, arms in (found if "preset" in file.settings else found["2spirals"]).items():
            arms[:] = [copy.deepcopy(arm) for arm in arms * 4]
            for arm in arms:
                if "way" in arm:
                    arm["way"] = [[at, kl.get(("2spirals", label), 0.5)] for at, _ in arm["way"]]
                else:
                    arm["curves"]["held_kl"] = [kl.get(("checkerboard", label), 0.5)] * len(arm["curves"]["held_kl"])
        given.append(replace(file, found=found))
    return dense(*given)


def test_every_number_of_the_verdict_is_in_the_files():
    found = AFTER["dense"].found
    for said in (found.says, found.rule, found.chance):
        assert not re.search(r"\d", re.sub(r"{\w+}", "", said))
        assert set(re.findall(r"{(\w+)}", said)) <= set(found.numbers)
    wanted = []
    for name in AFTER["dense"].evidence:
        file = raw(name)
        data, kinds = ways(file)
        free = [of for label, of in kinds.items() if label != CHAINED]
        seconds = min(np.mean([at[-1] for at, _ in of]) for of in free)
        then = [[np.interp(seconds, *way) for way in of] for of in free]
        wanted += [DATASETS[data].title, f"{file['settings']['steps']:,} steps", f"{len(file['seeds'])} seeds"]
        wanted += [spread([kls[-1] for _, kls in of]) for of in free]
        wanted += [f"{seconds:.1f} s", spread(min(then, key=np.mean))]
    assert [one for one in wanted if one not in found.sentence] == []


LABELS = [*KINDS, *(f"{kind}, CLipSwish, 2 hidden layers" for kind in ("Dense", "Residual"))]
DENSE = [label for label in LABELS if label.startswith("Dense")]
RESIDUAL = [label for label in LABELS if label.startswith("Residual")]
BOTH = ("checkerboard", "2spirals")


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


def test_what_a_chain_reaches_says_whether_connections_help():
    ours, chain = ("2spirals", "Dense, Sine, 2 hidden layers"), ("2spirals", CHAINED)
    given = [*(judged({ours: 0.1, chain: kl}) for kl in (0.3, 0.1)), judged({})]
    assert [found.numbers["chained"] for found in given] == ["0.300", "0.100", "0.500"]
    helps, not_the_reason, undecided = (found.says for found in given)
    assert len({helps, not_the_reason, undecided}) == 3


def test_three_seeds_decide_nothing():
    found = AFTER["dense"].found
    assert found.kind is Kind.NOT_DECIDED and found.numbers["rule_seeds"] == "3"


def test_a_card_without_a_comparison_has_no_verdict():
    assert [name for name, one in AFTER.items() if one.found] == ["dense", "traces"]


class TestExactFirstTrace:
    """The verdict on 12 stored flows of two data sets, after few steps and after more."""

    @staticmethod
    def judged(change, seeds=12):
        """The verdict after `change` of what was measured of each flow at each step."""
        (name,) = AFTER["traces"].evidence
        file = stored(name)
        found = {case: copy.deepcopy(list(runs[:seeds])) for case, runs in file.found.items()}
        for case, runs in found.items():
            for run in runs:
                for step, of in run["noise"].items():
                    change(case, step, of)
        return less_noise(replace(file, found=found, seeds=file.seeds[:seeds]))

    def test_every_number_of_the_verdict_is_in_the_file(self):
        found = AFTER["traces"].found
        for said in (found.says, found.rule, found.chance):
            assert not re.search(r"\d", re.sub(r"{\w+}", "", said))
            assert set(re.findall(r"{(\w+)}", said)) <= set(found.numbers)
        file = raw(*AFTER["traces"].evidence)
        wanted = [f"{len(file['seeds'])} flows"]
        for name, case in file["settings"]["cases"].items():
            runs = file["found"][name]
            wanted += [f"{case['title'].capitalize()} (d = {case['dim']})", case["loss"]]
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

    def test_half_of_the_flows_with_more_noise_decide_nothing_there(self):
        flows = itertools.count()

        def change(case, step, of):
            factor = 2 if case == "plane" and next(flows) % 2 else 0.5
            for key in ("value", "gradient"):
                of[EXACT_TRACE][key] = of[ROULETTE][key] * (factor if case == "plane" else 0.5)

        assert self.judged(change).kind is Kind.IN_PART

    def test_less_noise_does_not_show_it_if_the_mean_is_off(self):
        def biased(case, step, of):
            of[EXACT_TRACE]["off"] = 2 * of[EXACT_TRACE]["se"]  # which one flow alone could not tell from chance

        found = self.judged(biased)
        assert found.kind is Kind.NOT_HERE and float(found.numbers["off"]) > MOST_OFF

    def test_four_flows_decide_nothing(self):
        assert self.judged(lambda case, step, of: None, seeds=4).kind is Kind.NOT_DECIDED


@pytest.mark.parametrize("log_det", [Exact(), Roulette(exact_traces=1), Roulette()], ids=str)
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


@pytest.mark.parametrize("label", KINDS)
def test_a_run_is_one_of_its_kind(label):
    one = joined.train("moons", label, 0, 3)
    again = joined.train("moons", label, 0, 3)
    assert one.kl == again.kl == one.way[-1][1] and np.isfinite(one.kl)
    assert 0 < one.used <= 1 and (one.deviation is None or one.deviation > 0)
    assert joined.claims(plain({"moons": {label: [asdict(one)]}})) == {next(iter(joined.claims({}))): True}


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
