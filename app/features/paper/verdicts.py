"""A verdict for each claim of the abstract, computed from stored numbers: one function each. Pure.

Each takes what is stored, in the order in which the claim names it. No sentence here has a digit: numbers, also those
of settings, come from what is stored. A number of several seeds is their mean, with the smallest and the largest in
brackets.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.evidence import Stored
from app.features.paper.found import Found, Kind, Picture
from app.text import signed
from app.ui.bands import Band, band
from app.words import order_name
from resflow_core.data import DATASETS
from resflow_core.lipschitz import NORM_CHAINS

BACK = 1e-4
"""How far a point may be from where the inverse brings it, as a distance in the plane of the data."""
MOST_ERRORS = 3.0
"""Quadrature errors between a mass and 1 that count as none."""
MOST_OFF, LEAST_SEEN = 4.0, 5.0
"""Standard errors within which a mean counts as unbiased, and from which on a bias counts as seen."""
ROUNDING = 1e-6
PLACES = "abcdefgh"
"""Of a verdict on several sets: what the places of numbers end with."""
RESIDUAL = "Residual"
"""What the names of residual flows begin with in what is stored."""
FIXED = "RealNVP"
"""The coupling flow that keeps the same halves of the coordinates."""
SAID = {1: "The claim shows.", 0: "The seeds overlap.", -1: "The opposite shows."}
"""By how a residual flow compares."""


def is_one(mass: float, error: float) -> bool:
    """Whether a mass is 1 as far as its quadrature can tell."""
    return abs(mass - 1) <= MOST_ERRORS * error


def likelihood(stored: Stored) -> Found:
    """Maximum likelihood for an invertible map: the flow is a density, comes near the truth, and can be undone."""
    flows = stored.found["flows"]
    are_one = all(is_one(*one["mass"]) for one in flows)
    come_back = all(one["back"] < BACK for one in flows)
    masses = [one["mass"][0] for one in flows]
    numbers = _settings(stored) | {
        "kl": str(band([one["kl"] for one in flows])),
        "kl_se": f"{max(one['kl_se'] for one in flows):.3f}",
        "mass": str(_ends(masses, 4)),
        "error": f"{max(one['mass'][1] for one in flows):.1g}",
        "points": f"{stored.settings['points']:,}",
        "back": signed(f"{max(one['back'] for one in flows):.0e}"),
    }
    says = (
        "{seeds} flows were trained by maximum likelihood for {steps} steps on the {data} data. They come within "
        "{kl} nats of the truth (KL; standard error of a seed {kl_se} at most). "
    )
    says += "Their densities have masses of {mass} (error {error} at most). {points} points go through the flow and "
    says += "its inverse, and come back to within {back}."
    picture = Picture(
        {f"Seed {seed}": [one["kl"]] for seed, one in zip(stored.seeds, flows, strict=True)},
        "KL(data ‖ flow) after training",
        "nats",
    )
    kind = Kind.SHOWS if are_one and come_back else Kind.IN_PART if are_one or come_back else Kind.NOT_HERE
    return Found(kind, says, numbers, picture)


def lipschitz(stored: Stored) -> Found:
    """Lipschitz conditions instead of architectural ones: no block folds below the bound that its L promises."""
    flows = stored.found["flows"]
    folds = [[float(at) for at in one["folds_at"]] for one in flows]
    limits = [one["guaranteed"] for one in flows]
    kept = all(min(of) >= limit * (1 - ROUNDING) for of, limit in zip(folds, limits, strict=True))
    every = sorted(at for of in folds for at in of)
    numbers = _settings(stored) | {
        "blocks": str(len(every)),
        "limit": f"{min(limits):.4f}",
        "first": f"{every[0]:.4f}",
        "middle": f"{every[len(every) // 2]:.2f}",
        "early": str(sum(at < min(limits) * (1 - ROUNDING) for at in every)),
        "preimages": _ends([one["preimages"] for one in flows], 0),
    }
    picture = Picture(
        {f"Seed {seed}": of for seed, of in zip(stored.seeds, folds, strict=True)},
        "scale s from which on a block folds",
        "times its weights",
        log=True,
        mark=("guaranteed", min(limits)),
        dot="one block",
    )
    if not kept:
        return Found(Kind.NOT_HERE, "{early} of {blocks} blocks fold below s = {limit}.", numbers, picture)
    says = (
        "the only condition on the {blocks} blocks of {seeds} trained flows is their Lipschitz constant. It promises "
        "an inverse for a branch that is scaled by up to s = {limit}. The first block folds at s = {first}, half of "
        "them only beyond {middle}. Scaled to twice its fold, a block maps {preimages} points to one z: without the "
        "condition there is no inverse."
    )
    return Found(Kind.SHOWS, says, numbers, picture)


def bias(stored: Stored) -> Found:
    """Biased log densities, whose bias grows with what a block may do: the order of the flows is that of their L."""
    biases = {label: _last(arms, "held_bias") for label, arms in stored.found.items()}
    of = [band(values) for values in biases.values()]
    first, *_, last = biases
    grows = [one.mean for one in of] == sorted(one.mean for one in of) and of[0].mean < of[-1].mean
    apart = of[0].high < of[-1].low and of[0].low > 0
    numbers = _settings(stored) | {
        "first": first,
        "last": last,
        "least": str(of[0]),
        "most": str(of[-1]),
        "means": _listed([f"{one.mean:.2f}" for one in of]),
    }
    picture = Picture(
        {label.partition(", ")[2] or label: values for label, values in biases.items()},
        "believed minus true log p(x)",
        "nats",
        log=True,
    )
    if not grows:
        says = "the mean bias does not grow with L: it is {means} nats, from {first} to {last} ({seeds} seeds)."
        return Found(Kind.NOT_HERE, says, numbers, picture)
    says = (
        "the flow takes its log density for larger than it is, by {least} nats with {first}, and by {most} with "
        "{last} ({seeds} seeds, {steps} steps on the {data} data; means {means})."
    )
    if not apart:
        says += " The seeds of the two overlap."
    return Found(Kind.SHOWS if apart else Kind.IN_PART, says, numbers, picture)


def roulette(drawn: Stored, plane: Stored) -> Found:
    """An unbiased estimate: means of many draws beside the truth, and where its variance is finite."""
    found = drawn.found
    count, truth = int(found["draws"][-1]), found["truth"]
    means = [of[-1] for of in found["means"]]
    error = math.sqrt((found["by_probe"] + found["by_stopping"]) / count)
    off = [(mean - truth) / error for mean in means]
    unbiased = max(map(abs, off)) <= MOST_OFF
    seen = abs(found["bias"]) >= LEAST_SEEN * error
    shares = [100 * share for share in plane.found["shares"]]
    numbers = {
        "seeds": str(len(drawn.seeds)),
        "draws": f"{count:,}",
        "truth": f"{truth:.4f}",
        "means": _listed([f"{mean:.4f}" for mean in means]),
        "error": f"{error:.4f}",
        "off": f"{max(map(abs, off)):.1f}",
        "terms": str(found["n_terms"]),
        "bias": signed(f"{found['bias']:.3f}"),
        "share": _ends(shares, 0),
        "flows": str(len(plane.seeds)),
        "data": _title(plane.settings["data"]),
        "ratio": f"{1 - plane.found['ratio']:g}",
    }
    cut = f"Cut after {found['n_terms']}"
    picture = Picture(
        {"Roulette": [mean - truth for mean in means], cut: [found["bias"]]},
        "mean of the estimate minus log det",
        "nats",
        mark=("the truth", 0.0),
        dot="one seed; the cut series has no noise",
    )
    if not unbiased:
        says = (
            "a mean of {draws} draws is {off} standard errors (of {error} nats) from log det = {truth}, more than "
            "chance explains."
        )
        return Found(Kind.NOT_HERE, says, numbers, picture)
    says = (
        "the means of {draws} draws are {means} nats ({seeds} seeds, standard error {error}), at most {off} standard "
        "errors from log det = {truth}. The series cut after {terms} terms is off by {bias} nats for ever. "
    )
    says += "" if seen else "After so many draws that bias is not yet seen. "
    if max(shares):
        says += (
            "But unbiased is not precise. With a chance to stop of {ratio} the variance is infinite at {share} % of "
            "held-out points, in some block of {flows} flows trained on the {data} data."
        )
    return Found(Kind.SHOWS if seen else Kind.IN_PART, says, numbers, picture)


def memory(stored: Stored) -> Found:
    """Less memory by another series for the gradient: bytes are counted, so nothing is random."""
    found = {int(rows): of for rows, of in stored.found["bytes"].items()}
    less = [of["neumann"] < of["plain"] for of in found.values()]
    rows = max(found)
    of = found[rows]
    numbers = {name: str(stored.settings[name]) for name in ("dim", "blocks", "terms", "width")} | {
        "rows": str(rows),
        "plain": _megabytes(of["plain"]),
        "neumann": _megabytes(of["neumann"]),
        "both": _megabytes(of["in_forward"]),
        "times": f"{of['plain'] / of['neumann']:.1f}",
        "all_times": f"{of['plain'] / of['in_forward']:.1f}",
    }
    names = {
        "plain": "Term by term",
        "plain_in_forward": "Taken in the forward pass",
        "neumann": "Neumann series",
        "in_forward": "Both",
    }
    picture = Picture(
        {title: [of[name] / 1e6] for name, title in names.items()},
        f"peak memory of the log det, {rows} points",
        "MB",
        log=True,
        dot="counted, so without error",
    )
    if not any(less):
        says = "the Neumann series needs {neumann} MB for {rows} points, term by term {plain} MB."
        return Found(Kind.NOT_HERE, says, numbers, picture)
    says = (
        "for {rows} points in {dim} dimensions the log det needs {plain} MB if it is differentiated term by term, and "
        "{neumann} MB by the Neumann series: {times} times less ({blocks} blocks of width {width}, {terms} terms). "
        "With the gradient taken in the forward pass as well it is {both} MB, {all_times} times less. Bytes are "
        "counted: there is no error and no seed."
    )
    return Found(Kind.SHOWS if all(less) else Kind.IN_PART, says, numbers, picture)


def saturation(stored: Stored) -> Found:
    """Activations without derivative saturation: how many units are saturated, and whether the fit is the better."""
    shares = {name: [100 * arm["saturated"] for arm in arms] for name, arms in stored.found.items()}
    fits = {name: band(_last(arms, "held_kl")) for name, arms in stored.found.items()}
    elu, ours = band(shares["elu"]), band(shares["lipswish"])
    fewer, ahead = ours.high < elu.low, fits["lipswish"].high < fits["elu"].low
    numbers = _settings(stored) | {
        "elu": _percent(elu),
        "lipswish": _percent(ours),
        "elu_kl": str(fits["elu"]),
        "lipswish_kl": str(fits["lipswish"]),
    }
    picture = Picture(
        {"ELU": shares["elu"], "LipSwish": shares["lipswish"]}, "units whose derivative is saturated", "%", log=True
    )
    if not fewer:
        says = "the seeds overlap: {elu} % of the units are saturated with ELU, {lipswish} % with LipSwish."
        return Found(Kind.NOT_HERE, says, numbers, picture)
    says = (
        "with ELU {elu} % of all units are saturated, with LipSwish {lipswish} % ({seeds} seeds, {steps} steps on the "
        "{data} data). "
    )
    fit = "KL {elu_kl} nats with ELU, {lipswish_kl} with LipSwish"
    says += f"And the fit is better for it: {fit}." if ahead else f"The fit does not tell them apart: {fit}."
    return Found(Kind.SHOWS if ahead else Kind.IN_PART, says, numbers, picture)


def norms(plane: Stored, room: Stored) -> Found:
    """Induced mixed norms: whether flows fit better if the layers are measured in other norms than 2. In the plane, and
    on data on which another norm has more room."""
    fits = {
        data: {chain: band([one["kl"] for one in of]) for chain, of in chains.items()}
        for data, chains in plane.found.items()
    }
    roomy = {
        (data, how): {chain: band(kls) for chain, kls in chains.items()}
        for data, ways in room.found.items()
        for how, chains in ways.items()
    }
    ahead = [_is_ahead(of) for of in fits.values()]
    elsewhere = [_is_ahead(of) for (_, how), of in roomy.items() if how == "without"]
    numbers = {
        "seeds": str(len(plane.seeds)),
        "steps": f"{plane.settings['steps']:,}",
        "dim": str(room.settings["dim"]),
        "room_steps": str(room.settings["steps"]),
        "gain": f"{math.sqrt(room.settings['dim'] - 1):.1f}",
    }
    places = iter(PLACES)
    in_plane: list[str] = []
    outside: list[str] = []
    rescaled: list[str] = []
    for data, of in fits.items():
        part, values = _against_2(
            "{data}: KL {two_kl} nats in {two}, {best_kl} in {best}", _title(data), of, next(places)
        )
        in_plane.append(part)
        numbers |= values
    for (data, how), of in roomy.items():
        place = next(places)
        if how == "without":
            part, values = _against_2("{data}: {two_kl} in {two}, {best_kl} in {best}", data, of, place)
            outside.append(part)
        else:
            part, values = _placed("{two_kl}", {"two_kl": _nats(of["2"])}, place)
            rescaled.append(part)
        numbers |= values
    some = "on every set" if all(ahead) else "on some sets" if any(ahead) else "on no set"
    says = (
        f"in the plane another norm than the usual is ahead in all seeds {some}. "
        f"{'; '.join(in_plane)} (the best other norm; {{steps}} steps, {{seeds}} seeds). "
    )
    says += (
        "Other data have more room in another norm. In {dim} dimensions, if one coordinate moves all others, a block "
        "may be {gain} times as steep in the norm of order ∞; if all others move one, in that of order one. A single "
        f"block then has these KL. {'; '.join(outside)} ({{room_steps}} steps). With ActNorms, which rescale the "
        f"coordinates, the usual norm comes to {_listed(rescaled)}."
    )
    any_ahead = any(ahead) or any(elsewhere)
    kind = Kind.SHOWS if all(ahead) else Kind.IN_PART if any_ahead else Kind.NOT_HERE
    return Found(kind, says, numbers, _norms_picture(plane, room, any(elsewhere)))


def _norms_picture(plane: Stored, room: Stored, of_room: bool) -> Picture:
    """Of the first set on which another norm is ahead, or of the first set of the plane."""
    if of_room:
        data, chains = next(
            (data, ways["without"])
            for data, ways in room.found.items()
            if _is_ahead({chain: band(kls) for chain, kls in ways["without"].items()})
        )
        rows, about = {_chain(chain): kls for chain, kls in chains.items()}, f"{data}, without ActNorms"
    else:
        data, found = next(iter(plane.found.items()))
        rows, about = {_chain(chain): [one["kl"] for one in of] for chain, of in found.items()}, _title(data)
    return Picture(rows, f"KL(data ‖ flow), {about}", "nats", log=not of_room)


def _is_ahead(fits: Mapping[str, Band]) -> bool:
    """Whether another norm is ahead of the 2-norm in all seeds."""
    return fits[_best(fits)].high < fits["2"].low


def _against_2(says: str, data: str, fits: Mapping[str, Band], place: str) -> tuple[str, dict[str, str]]:
    """A sentence about the 2-norm and the best other on one set, and its numbers."""
    best = _best(fits)
    values = {
        "data": data,
        "two": _chain("2"),
        "two_kl": _nats(fits["2"]),
        "best": _chain(best),
        "best_kl": _nats(fits[best]),
    }
    return _placed(says, values, place)


def density(coupling: Stored, others: Stored) -> Found:
    """Density estimation ahead of other flows, at equal steps and nearly equal parameters."""
    told = [_ranked(one) for one in (coupling, others)]
    ahead = [is_ahead for is_ahead, _, _ in told]
    sentences: list[str] = []
    numbers: dict[str, str] = {}
    for place, (_, says, values) in zip(PLACES, told, strict=False):
        sentence, renamed = _placed(says, values, place)
        sentences.append(sentence)
        numbers |= renamed
    picture = Picture(
        {label: _last(arms, "held_kl") for label, arms in others.found.items()},
        f"KL(data ‖ flow), {_title(others.settings['data'])}",
        "nats",
        log=True,
    )
    kind = Kind.SHOWS if all(ahead) else Kind.IN_PART if any(ahead) else Kind.NOT_HERE
    return Found(kind, " ".join(sentences), numbers, picture)


def _ranked(stored: Stored) -> tuple[bool, str, dict[str, str]]:
    """Whether the residual flow is ahead of all others on one set, in all seeds; and in words with their numbers."""
    fits = {label: band(_last(arms, "held_kl")) for label, arms in stored.found.items()}
    (ours,) = [label for label in fits if label.startswith(RESIDUAL)]
    rest = {label: fit for label, fit in fits.items() if label != ours}
    nearest = min(rest, key=lambda label: (rest[label].low, rest[label].mean))
    numbers = _settings(stored) | {"ours": str(fits[ours]), "nearest": nearest, "theirs": str(rest[nearest])}
    kl = "KL {ours} nats, {nearest} {theirs} ({seeds} seeds, {steps} steps)"
    if fits[ours].high < rest[nearest].low:
        return True, f"on the {{data}} data the residual flow is ahead in all seeds: {kl}.", numbers
    if any(fit.high < fits[ours].low for fit in rest.values()):
        return False, f"On the {{data}} data another flow is ahead of it: {kl}.", numbers
    return False, f"On the {{data}} data the seeds overlap: {kl}.", numbers


def joint(plane: Stored, beyond: Stored) -> Found:
    """Joint modelling ahead of coupling blocks: what the density costs each classifier in points of accuracy. In the
    plane beside RealNVP; beyond it beside several coupling flows, of which the one counts that loses least, and
    RealNVP, whose halves are fixed."""
    in_plane = _lost_in_plane(plane)
    ours, peer = in_plane
    weight = max((label.rpartition("= ")[2] for label in plane.found), key=float)
    numbers = _settings(plane) | {
        "peer": peer,
        "weight": weight,
        "ours": _points(band(in_plane[ours])),
        "theirs": _points(band(in_plane[peer])),
    }
    shown = [_compared(in_plane, peer)]
    in_part = False
    parts: list[str] = []
    pictures = {"in the plane": in_plane}
    for place, (name, case) in zip(PLACES, beyond.settings["cases"].items(), strict=False):
        lost = _lost_beyond(beyond.found[name])
        ours, *peers = sorted(lost, key=lambda one: (not one.startswith(RESIDUAL), band(lost[one]).mean))
        nearest = peers[0]
        shown.append(_compared(lost, nearest))
        pictures[f"{case['title']}, d = {case['dim']}"] = lost
        halves = shown[-1] <= 0 and _compared(lost, FIXED) > 0
        in_part = in_part or halves
        told = "" if case["told"] is None else ", {told} labels"
        fixed = "" if nearest == FIXED else f", {FIXED} {{fixed}}"
        part, values = _placed(
            f"{case['title'].capitalize()} (d = {{dim}}{told}, {{seeds}} seeds): {{ours}}, {{nearest}} {{theirs}}"
            f"{fixed}; right with the density {{ours_right}} and {{theirs_right}} %. {SAID[shown[-1]]}"
            + (" It shows beside fixed halves alone." if halves else ""),
            {
                "dim": str(case["dim"]),
                "seeds": str(case["seeds"]),
                "ours": _points(band(lost[ours])),
                "nearest": nearest,
                "theirs": _points(band(lost[nearest])),
                "ours_right": _right(beyond.found[name][ours]),
                "theirs_right": _right(beyond.found[name][nearest]),
            }
            | ({"told": str(case["told"])} if told else {})
            | ({"fixed": _points(band(lost[FIXED]))} if fixed else {}),
            place,
        )
        parts.append(part)
        numbers |= values
    says = (
        "if the flow learns the density too (λ = {weight}), the residual flow loses {ours} points of accuracy, {peer} "
        f"{{theirs}}, on the {{data}} data of the plane ({{seeds}} seeds, {{steps}} steps). {SAID[shown[0]]} Beyond "
        f"the plane it stands beside the coupling flow of its size that loses least. {' '.join(parts)}"
    )
    some = in_part or max(shown) > 0
    kind = Kind.SHOWS if min(shown) > 0 else Kind.IN_PART if some else Kind.NOT_HERE
    where = max(zip(shown, pictures, strict=True), key=lambda one: one[0])[1] if max(shown) > 0 else [*pictures][1]
    picture = Picture(pictures[where], f"accuracy lost at λ = {weight}, {where}", "points", mark=("none lost", 0.0))
    return Found(kind, says, numbers, picture)


def _lost_in_plane(stored: Stored) -> dict[str, list[float]]:
    """Points of accuracy that the density costs each family, seed by seed, at the largest weight; the residual flow's
    first."""
    weights = {label: float(label.rpartition("= ")[2]) for label in stored.found}
    lost = {}
    families = dict.fromkeys(label.partition(",")[0] for label in stored.found)
    for family in sorted(families, key=lambda one: not one.startswith(RESIDUAL)):
        own = {weight: label for label, weight in weights.items() if label.startswith(family)}
        without, with_it = (_last(stored.found[own[end]], "held_accuracy") for end in (min(own), max(own)))
        lost[family] = [100 * (a - b) for a, b in zip(without, with_it, strict=True)]
    return lost


def _lost_beyond(case: Mapping[str, Any]) -> dict[str, list[float]]:
    """The same of one case, where accuracies are stored in per cent."""
    lost = {}
    for family, of in case.items():
        without, with_it = (of["by_weight"][end(of["by_weight"], key=float)] for end in (min, max))
        lost[family] = [a["accuracy"] - b["accuracy"] for a, b in zip(without, with_it, strict=True)]
    return lost


def _right(flow: Mapping[str, Any]) -> str:
    """The mean accuracy at the largest weight of the density, in per cent."""
    runs = flow["by_weight"][max(flow["by_weight"], key=float)]
    return f"{band([run['accuracy'] for run in runs]).mean:.1f}"


def _compared(lost: Mapping[str, Sequence[float]], peer: str) -> int:
    """1 if the residual flow loses less than the peer in all seeds, -1 if more, else 0."""
    (ours,) = [name for name in lost if name.startswith(RESIDUAL)]
    mine, theirs = band(lost[ours]), band(lost[peer])
    return 1 if mine.high < theirs.low else -1 if mine.low > theirs.high else 0


def _placed(says: str, numbers: Mapping[str, str], place: str) -> tuple[str, dict[str, str]]:
    """A sentence and its numbers with places of their own among others of the kind."""
    return re.sub(r"{(\w+)}", rf"{{\1_{place}}}", says), {f"{name}_{place}": text for name, text in numbers.items()}


def _last(arms: Sequence[Mapping[str, Any]], curve: str) -> list[float]:
    """The newest value of a curve, seed by seed."""
    return [float(arm["curves"][curve][-1]) for arm in arms]


def _settings(stored: Stored) -> dict[str, str]:
    """What was trained, how long and how often."""
    return {
        "seeds": str(len(stored.seeds)),
        "steps": f"{stored.settings['steps']:,}",
        "data": _title(stored.settings["data"]),
    }


def _title(data: str) -> str:
    return DATASETS[data].title


def _best(fits: Mapping[str, Band]) -> str:
    """The chain with the smallest mean that is not that of the 2-norm."""
    return min((chain for chain in fits if chain != "2"), key=lambda chain: fits[chain].mean)


def _chain(name: str) -> str:
    chain = NORM_CHAINS[name]
    return f"learned orders, from {order_name(chain.outer)}" if chain.learned else f"norm {chain.title}"


def _ends(values: Sequence[float], digits: int) -> str:
    """From the smallest to the largest."""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def _percent(found: Band) -> str:
    digits = 0 if found.low >= 10 else 1
    return f"{found.mean:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def _nats(found: Band) -> str:
    """With so many decimals that a KL of almost 0 is told from 0."""
    mean, low, high = (signed(f"{value:.4f}") for value in (found.mean, found.low, found.high))
    return mean if low == high else f"{mean} ({low} to {high})"


def _points(found: Band) -> str:
    return signed(f"{found.mean:.1f} ({found.low:.1f} to {found.high:.1f})")


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.3g}"


def _listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
