"""The paper claim by claim: every verdict is computed from what is stored, and every number of it is found there."""

import copy
import itertools
import json
import math
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from streamlit.testing.v1 import AppTest

from app import engine, screens
from app.evidence import EVIDENCE, path_of, stored
from app.features.paper import compared, controls
from app.features.paper.after import AFTER
from app.features.paper.claims import CLAIMS, total
from app.features.paper.found import Kind
from app.features.paper.joint import CASES
from app.lessons.shelf import shelf
from app.ui.glossary import entries
from app.ui.live_runs import RUNS
from resflow_core.data import DATASETS
from tests.app.pages import MAIN, keys, run

assert screens.SCREENS  # they fill the registries
SCREEN = "features/paper/paper.py"


def raw(name):
    """The file as it lies there, read without the app."""
    return json.loads(path_of(name).read_text())


def judged(name, change):
    """A verdict on what is stored, as `change` leaves a copy of each file."""
    given = []
    for one in CLAIMS[name].evidence:
        found = copy.deepcopy(stored(one).found)
        change(one, found)
        given.append(replace(stored(one), found=found))
    return CLAIMS[name].judge(*given)


def p_value(differences):
    """Of a mean below 0, by all ways to choose the signs."""
    d = np.asarray(differences, float)
    signs = itertools.product([1, -1], repeat=len(d))
    return float(np.mean([(way * np.abs(d)).sum() <= d.sum() + 1e-12 for way in signs]))


def difference(ours, theirs, is_ratio=True):
    """Seed by seed, of logarithms where all are above 0; and whether it is that."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    is_ratio = is_ratio and min(ours.min(), theirs.min()) > 0
    return (np.log(ours / theirs) if is_ratio else ours - theirs), is_ratio


def with_times(p, times):
    return (p, times) if times > 1 and p < 1 else p


def rule_numbers(sets, of_some=False):
    """What a rule prints, of the differences from each opponent by set; `of_some`: of flows of which one is enough."""
    ahead = [(min if of_some else max)([p_value(d) for d, _ in of.values()]) for of in sets.values()]
    behind = [[p_value(-d) for d, _ in of.values()] for of in sets.values()]
    behind = [p for of in behind for p in ([max(of)] if of_some else of)]
    of_set = len(next(iter(sets.values()))) if of_some else 1
    pairs = [pair for of in sets.values() for pair in of.values()]
    margin = math.log(1.25)
    equal = [max(p_value(d - margin), p_value(-d - margin)) if is_ratio else 1.0 for d, is_ratio in pairs]
    return {
        "least": 2.0 ** -len(pairs[0][0]),
        "p_shows": with_times(max(ahead), of_set),
        "p_in_part": with_times(min(ahead), len(ahead) * of_set),
        "p_not_here": with_times(min(behind), len(behind)),
        "p_equal": max(equal),
    }


def by_numbers(pair, place=""):
    """A mean difference with its 90 % interval, as a ratio where it is one."""
    d, is_ratio = pair
    found = (d.mean(), *stats.t.interval(0.9, len(d) - 1, d.mean(), stats.sem(d)))
    return {f"{name}{place}": math.exp(one) if is_ratio else one
            for name, one in zip(("by", "low", "high"), found, strict=True)}  # fmt: skip


def last(arms, curve):
    return np.array([arm["curves"][curve][-1] for arm in arms])


def band(values):
    return np.mean(values), np.min(values), np.max(values)


def says(text, values):
    """Whether these numbers are said, each to within half of its last digit; once where all of them are the same."""
    text = text.translate(str.maketrans("\N{MINUS SIGN}⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789")).replace("·10-", "e-")
    said = re.findall(r"-?[\d,]*\.?\d+(?:e-?\d+)?", text)
    wanted = np.ravel(values)
    if len(said) != len(wanted):
        said = said * len(wanted) if len(said) == 1 else pytest.fail(f"{text} has not {len(wanted)} numbers")
    digits = [len(one.partition(".")[2].partition("e")[0]) - int(one.partition("e")[2] or 0) for one in said]
    return all(
        abs(float(one.replace(",", "")) - value) <= 0.501 * 10.0**-digit
        for one, value, digit in zip(said, wanted, digits, strict=True)
    )


def test_every_card_leads_to_what_is_there():
    assert tuple(CLAIMS) == tuple(controls.CONTROLS) == tuple(stored(controls.NAME).found) == tuple(RECOMPUTED)
    words = {entry.slug for entry in entries("")}
    for claim in CLAIMS.values():
        assert set(claim.evidence) <= set(EVIDENCE) and claim.runs in RUNS
        assert shelf().lesson(claim.lesson) if claim.lesson else claim.explained[1] in words


@pytest.mark.parametrize("name", CLAIMS)
def test_the_numbers_are_those_of_the_files(name):
    """Found anew from the bare JSON, by other code."""
    found = CLAIMS[name].found
    wanted = RECOMPUTED[name](*map(raw, CLAIMS[name].evidence))
    assert {key: found.numbers[key] for key, values in wanted.items() if not says(found.numbers[key], values)} == {}
    if name in DRAWN:
        dots = sorted(value for row in found.picture.rows.values() for value in row)
        assert dots == pytest.approx(sorted(np.ravel(DRAWN[name](*map(raw, CLAIMS[name].evidence)))))


def likelihood_numbers(file):
    flows = file["found"]["flows"]
    kl, se, back = (np.array([one[of] for one in flows]) for of in ("kl", "kl_se", "back"))
    mass, error = np.array([one["mass"] for one in flows]).T
    covariance = np.cov(DATASETS["checkerboard"].held_out().double().numpy().T)
    limit = 0.5 * (0.5 * np.linalg.slogdet(2 * math.pi * math.e * covariance)[1] - math.log(32))
    return {
        "ses": min(abs(limit - kl) / se), "kl": band(kl), "kl_se": max(se), "mass": (min(mass), max(mass)),
        "error": max(error), "back": max(back), "largest_kl": max(kl), "most_kl": limit,
    }  # fmt: skip


def lipschitz_numbers(file):
    flows = file["found"]["flows"]
    folds = np.sort(np.concatenate([one["folds_at"] for one in flows]))
    limit, several = min(one["guaranteed"] for one in flows), [one["preimages"] for one in flows]
    return {
        "blocks": len(folds), "limit": limit, "first": folds[0], "middle": folds[len(folds) // 2],
        "early": (folds < limit * (1 - 1e-6)).sum(), "preimages": (min(several), max(several)),
    }  # fmt: skip


def bias_numbers(file):
    of = {label: last(arms, "held_bias") for label, arms in file["found"].items()}
    first, *between, final = of.values()
    means = [[values.mean(), float(label.split("L = ")[1])] for label, values in [*of.items()][1:-1]]
    pairs = {b: {a: difference(of[a], of[b])} for a, b in itertools.pairwise(of)}
    assert len(means) == len(between)
    return {"least_bias": band(first), "most_bias": band(final), "means": means} | rule_numbers(pairs)


def roulette_numbers(drawn, plane):
    found = drawn["found"]
    means, shares = np.array([of[-1] for of in found["means"]]), 100 * np.array(plane["found"]["shares"])
    error = np.sqrt((found["by_probe"] + found["by_stopping"]) / found["draws"][-1])
    return {
        "draws": found["draws"][-1], "truth": np.log(2), "means": means, "error": error, "terms": found["n_terms"],
        "off": np.abs((means - found["truth"]) / error).max(), "bias": 47 / 72 - np.log(2),
        "share": (min(shares), max(shares)), "ratio": 1 - plane["found"]["ratio"], "seen": abs(found["bias"]) / error,
        "chance_not_here": 100 * (1 - (1 - 2 * stats.norm.sf(4)) ** len(means)),
        "chance_missed": 100 * stats.norm.sf(abs(found["bias"]) / error - 4) ** len(means),
    }  # fmt: skip


def memory_numbers(file):
    *_, rows = sorted(file["found"]["bytes"], key=int)
    of = file["found"]["bytes"][rows]
    return {"rows": int(rows), "times": of["plain"] / of["neumann"], "all_times": of["plain"] / of["in_forward"]} | {
        name: of[way] / 1e6 for name, way in (("plain", "plain"), ("neumann", "neumann"), ("both", "in_forward"))
    }


def saturation_numbers(file):
    numbers, of = {}, {}
    for name, arms in file["found"].items():
        shares, straight = (100 * np.array([arm[what] for arm in arms]) for what in ("saturated", "straight"))
        of[name] = shares, last(arms, "held_kl")
        numbers |= {name: band(shares), f"{name}_straight": band(straight), f"{name}_kl": band(of[name][1])}
    share, fit = (difference(of["lipswish"][k], of["elu"][k]) for k in (0, 1))
    return numbers | by_numbers(fit) | rule_numbers({"share": {"elu": share}, "fit": {"elu": fit}})


def norms_numbers(plane, room):
    sets = {data: {chain: [one["kl"] for one in of] for chain, of in chains.items()}
            for data, chains in plane["found"].items()}  # fmt: skip
    sets |= {data: ways["without"] for data, ways in room["found"].items()}
    numbers, contests = {"gain": (room["settings"]["dim"] - 1) ** 0.5}, {}
    for place, (data, kls) in zip("abcd", sets.items(), strict=True):
        best = min(kls.keys() - {"2"}, key=lambda chain: np.mean(kls[chain]))
        contests[data] = {chain: difference(kls[chain], kls["2"]) for chain in kls if chain != "2"}
        numbers |= {f"two_kl_{place}": band(kls["2"]), f"best_kl_{place}": band(kls[best])}
        numbers |= by_numbers(contests[data][best], f"_{place}")
    for place, ways in zip("wx", room["found"].values(), strict=True):
        numbers[f"two_kl_{place}"] = band(ways["with"]["2"])
    return numbers | rule_numbers(contests, of_some=True)


def beside_nearest(values, is_ratio=True):
    """What is said of a residual flow and of the nearest of all others, on each set of `values`."""
    numbers, contests = {}, {}
    for place, (data, kls) in zip("abcdefgh", values.items(), strict=False):
        (name,) = (label for label in kls if label.startswith("Residual"))
        of = {peer: difference(kls[name], kls[peer], is_ratio) for peer in kls if peer != name}
        nearest = max(of, key=lambda peer: (p_value(of[peer][0]), of[peer][0].mean()))
        numbers |= {f"ours_{place}": band(kls[name]), f"theirs_{place}": band(kls[nearest])}
        numbers |= by_numbers(of[nearest], f"_{place}")
        contests[data] = of
    return numbers | rule_numbers(contests)


def density_numbers(*files):
    return beside_nearest(
        {file["settings"]["data"]: {label: last(arms, "held_kl") for label, arms in file["found"].items()}
         for file in files}
    )  # fmt: skip


def lost(case):
    """Points of accuracy by every family."""
    return {
        family: np.subtract(*([run["accuracy"] for run in of["by_weight"][weight]] for weight in "01"))
        for family, of in case.items()
    }


def joint_numbers(file):
    return beside_nearest({name: lost(file["found"][name]) for name in file["settings"]["cases"]}, is_ratio=False)


RECOMPUTED = {name: globals()[f"{name}_numbers"] for name in CLAIMS}
DRAWN = {
    "lipschitz": lambda file: np.concatenate([one["folds_at"] for one in file["found"]["flows"]]),
    "bias": lambda file: [last(arms, "held_bias") for arms in file["found"].values()],
    "memory": lambda file: [size / 1e6 for size in file["found"]["bytes"]["256"].values()],
    "saturation": lambda file: [100 * arm["saturated"] for arms in file["found"].values() for arm in arms],
    "density": lambda _, file: [last(arms, "held_kl") for arms in file["found"].values()],
    "joint": lambda file: [*lost(file["found"]["plane"]).values()],
}
"""The dots of some pictures."""
WAYS = ("plain", "neumann", "plain_in_forward", "in_forward")


def of_flows(**values):
    """Change these of every stored flow."""

    def change(name, found):
        for one in found["flows"]:
            one.update(values)

    return change


def set_to(path, value):
    def change(_, found):
        if path[0] in found:
            for part in path[:-1]:
                found = found[part]
            found[path[-1]] = value

    return change


SEEDS = 12
"""Of synthetic results: with the three that are stored nothing can be decided."""


def scattered(mean, name):
    """Twelve seeds around a mean, as far apart as those of log KL are here; always the same ones of a name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return (mean * np.exp(0.15 * rng.standard_normal(SEEDS))).tolist()


def curves(curve, means):
    """Let the newest value of a curve scatter around these means, by what the label ends with or begins with; that of
    another label around 0.3."""

    def change(file, found):
        for label in found:
            mean = next((m for key, m in means.items() if label.startswith(key) or label.endswith(key)), 0.3)
            mean = mean.get(file, 0.3) if isinstance(mean, dict) else mean
            found[label] = [{"curves": {curve: [value]}} for value in scattered(mean, file + label)]

    return change


def biases(*means):
    def change(file, found):
        for (label, _), mean in zip(list(found.items()), means, strict=True):
            found[label] = [{"curves": {"held_bias": [value]}} for value in scattered(mean, label)]

    return change


def activations(shares, fits):
    """Of ELU and of LipSwish."""

    def change(_, found):
        for name, share, fit in zip(("elu", "lipswish"), shares, fits, strict=True):
            both = zip(scattered(share, f"{name} share"), scattered(fit, f"{name} fit"), strict=True)
            found[name] = [{"saturated": a, "straight": a, "curves": {"held_kl": [b]}} for a, b in both]

    return change


def norm_kls(plane, room):
    """Let the KL scatter around these, by the chain, on the sets of the plane and on those of `room`; of a chain that
    is not named around 0.3. `plane` may be by the set."""

    def change(name, found):
        for data, of in found.items():
            kls = room if name == "paper-room" else plane.get(data, plane)
            ways = of if name == "paper-room" else {"": of}
            for way, chains in ways.items():
                for chain in chains:
                    made = scattered(kls.get(chain, 0.3), f"{data} {way} {chain}")
                    chains[chain] = made if name == "paper-room" else [{"kl": kl} for kl in made]

    return change


def accuracies(lost):
    """Let the residual flow lose so many points in each case, 3 where none is named, and every other flow 3."""

    def change(_, found):
        for case, flows in found.items():
            for family, of in flows.items():
                points = lost.get(case, 3.0) if family == "Residual flow" else 3.0
                down = scattered(points, f"{case} {family}")
                of["by_weight"] = {
                    "0": [{"accuracy": 95.0}] * SEEDS,
                    "1": [{"accuracy": 95.0 - one} for one in down],
                }

    return change


def one_of_twelve(name, found):
    """The residual flow is far ahead in one seed and a little behind in eleven: ahead by its mean alone."""
    for label in found:
        kls = [0.01] + [0.31] * (SEEDS - 1) if label.startswith("Residual") else [0.3] * SEEDS
        found[label] = [{"curves": {"held_kl": [kl]}} for kl in kls]


SHOWS, IN_PART, NOT_HERE, EQUAL, NOT_DECIDED = Kind
CASE_NAMES = list(CASES)
CHANGED = {
    "a density that can be undone": ("likelihood", of_flows(mass=[1.0, 0.001], back=1e-7, kl=0.1), SHOWS),
    "a flow 3.2 nats away": ("likelihood", of_flows(mass=[1.0, 0.001], back=1e-7, kl=3.2), NOT_HERE),
    "a mass that is not 1": ("likelihood", of_flows(mass=[1.4, 0.001]), NOT_HERE),
    "a mass that nobody knows": ("likelihood", of_flows(mass=[1.6, 0.5]), NOT_DECIDED),
    "points that do not come back": ("likelihood", of_flows(back=0.2), NOT_HERE),
    "one flow that does not come back": ("likelihood", lambda _, of: of["flows"][0].update(back=0.2), NOT_HERE),
    "a block that folds too early": ("lipschitz", of_flows(folds_at=[0.9, 3.0]), NOT_HERE),
    "a bias that grows": ("bias", biases(0.01, 0.1, 1.0, 3.0), SHOWS),
    "a bias that grows once": ("bias", biases(1.0, 1.0, 3.0, 3.0), IN_PART),
    "a bias that shrinks": ("bias", biases(1.0, 1.0, 0.3, 0.3), NOT_HERE),
    "a bias that stays": ("bias", biases(1.0, 1.0, 1.0, 1.0), EQUAL),
    "means beside the truth": ("roulette", set_to(("means", 0, -1), 1.3), NOT_HERE),
    "a bias that is not seen": ("roulette", set_to(("bias",), -0.01), NOT_DECIDED),
    "more memory for all batches": ("memory", set_to(("bytes",), {"64": dict.fromkeys(WAYS, 1e7)}), NOT_HERE),
    "more memory for one": ("memory", lambda _, found: found["bytes"]["64"].update(neumann=1e9), IN_PART),
    "fewer saturated and a better fit": ("saturation", activations((0.5, 0.1), (0.4, 0.2)), SHOWS),
    "fewer saturated and the same fit": ("saturation", activations((0.5, 0.1), (0.3, 0.3)), IN_PART),
    "as many saturated and a worse fit": ("saturation", activations((0.3, 0.3), (0.2, 0.4)), NOT_HERE),
    "another norm ahead on all sets": ("norms", norm_kls({"mixed": 0.1}, {"inf": 0.1}), SHOWS),
    "another norm ahead on one set": ("norms", norm_kls({"checkerboard": {"inf": 0.1}}, {}), IN_PART),
    "another norm ahead where it has more room": ("norms", norm_kls({"2": 0.1}, {"inf": 0.1}), IN_PART),
    "2 ahead everywhere": ("norms", norm_kls({"2": 0.1}, {"2": 0.1}), NOT_HERE),
    "ahead of all": ("density", curves("held_kl", {"Residual": 0.1}), SHOWS),
    "ahead of all on one set": ("density", curves("held_kl", {"Residual": {"compare-coupling": 0.1}}), IN_PART),
    "behind one of them": ("density", curves("held_kl", {"NSF": 0.1}), NOT_HERE),
    "as near as all": ("density", curves("held_kl", {}), EQUAL),
    "ahead by the mean alone": ("density", one_of_twelve, NOT_DECIDED),
    "ahead in all cases": ("joint", accuracies(dict.fromkeys(CASES, 1.0)), SHOWS),
    "ahead in the plane alone": ("joint", accuracies({CASE_NAMES[0]: 1.0}), IN_PART),
    "ahead in one case beyond the plane": ("joint", accuracies({CASE_NAMES[2]: 1.0}), IN_PART),
    "as much lost": ("joint", accuracies({}), NOT_DECIDED),
    "more lost": ("joint", accuracies(dict.fromkeys(CASES, 9.0)), NOT_HERE),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGED)
def test_a_verdict_follows_the_stored_numbers(case, monkeypatch):
    monkeypatch.setattr(compared, "chances", lambda *_, **__: dict.fromkeys(Kind, 0.0))  # which take most of the time
    name, change, kind = CHANGED[case]
    found = judged(name, change)
    assert found.kind is kind and "{" not in found.sentence + found.ruled


@pytest.mark.parametrize("name", CLAIMS)
def test_three_seeds_decide_nothing_and_no_rule_lets_its_control_show(name):
    assert CLAIMS[name].found.kind in (SHOWS, NOT_DECIDED)
    assert controls.verdict(name).kind not in (SHOWS, IN_PART)
    assert controls.verdict(name).numbers != CLAIMS[name].found.numbers


def opened():
    page = AppTest.from_file(MAIN, default_timeout=600)
    page.switch_page(SCREEN)
    return run(page)


def test_the_page_shows_all_verdicts_and_starts_nothing(monkeypatch):
    monkeypatch.setattr(engine, "get_engine", lambda: pytest.fail("nobody asked for a flow"))
    page = opened()
    assert not page.query_params and "page" not in page.session_state
    assert [key for key in keys(page) if key.startswith("paper.run.")] == [f"paper.run.{name}" for name in CLAIMS]
    written = " ".join(element.value for element in page.main.markdown)
    found = [claim.found for claim in CLAIMS.values()]
    assert all(one.sentence in written for one in found)
    assert all(one.found.sentence in written for one in AFTER.values() if one.found)
    assert total(found) in written
    assert re.findall(r"\d+", total([replace(one, kind=SHOWS) for one in found[:7]] + found[7:])) == ["9", "7", "2"]
