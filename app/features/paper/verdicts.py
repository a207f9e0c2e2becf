"""The verdicts on claims that are held against a truth, from stored numbers: one function each. Pure.

Each takes what is stored, in the order in which the claim names it. No sentence here has a digit: numbers, also those
of settings and of limits, come from what is stored or from the constants below. A number of several seeds is their
mean, with the smallest and the largest in brackets.
"""

import math

from scipy import stats

from app.evidence import Stored
from app.features.paper import told
from app.features.paper.found import Found, Kind, Picture
from app.text import listed, signed
from app.ui.bands import band

BACK = 1e-4
"""How far a point may be from where the inverse brings it, as a distance in the plane of the data."""
MOST_MASS = 0.01
"""By how much a mass may differ from 1, and how large the error of its quadrature may be."""
MOST_GAP = 0.5
"""A flow is near the truth if its KL is below this share of that of the best normal law."""
MOST_OFF, LEAST_SEEN = 4.0, 5.0
"""Standard errors within which a mean counts as unbiased, and from which on a bias counts as seen."""
ROUNDING = 1e-6


def is_one(mass: float) -> bool:
    return abs(mass - 1) <= MOST_MASS


def likelihood(stored: Stored) -> Found:
    """Maximum likelihood for an invertible map: the flow is a density, comes near the truth, and can be undone."""
    flows, most_kl = stored.found["flows"], MOST_GAP * stored.found["normal_kl"]
    holds = all(one["kl"] < most_kl and one["back"] < BACK for one in flows)
    is_known = [one["mass"][1] <= MOST_MASS for one in flows]
    is_off = any(known and not is_one(one["mass"][0]) for known, one in zip(is_known, flows, strict=True))
    ses = min(abs(most_kl - one["kl"]) / one["kl_se"] for one in flows)
    numbers = told.settings(stored) | {
        "ses": f"{ses:.0f}",
        "kl": str(band([one["kl"] for one in flows])),
        "kl_se": f"{max(one['kl_se'] for one in flows):.3f}",
        "mass": told.ends([one["mass"][0] for one in flows], 4),
        "error": f"{max(one['mass'][1] for one in flows):.1g}",
        "points": f"{stored.settings['points']:,}",
        "back": signed(f"{max(one['back'] for one in flows):.0e}"),
        "largest_kl": f"{max(one['kl'] for one in flows):.3f}",
        "most_kl": f"{most_kl:.3f}",
        "most_mass": f"{MOST_MASS:g}",
        "most_back": signed(f"{BACK:.0e}"),
    }
    says = (
        "{seeds} flows were trained by maximum likelihood for {steps} steps on the {data} data. Their KL is {kl} nats "
        "(standard error of a seed {kl_se} at most). By quadrature, their densities have masses of {mass} (error "
        "{error} at most). {points} points go through the flow and its inverse, and come back to within {back}."
    )
    if not holds or is_off:
        says = (
            "of {seeds} flows after {steps} steps on the {data} data the KL is {kl} nats, the mass {mass} (error "
            "{error} at most), and {points} points come back to within {back}."
        )
    rule = (
        "shows if for every flow the KL is below {most_kl} nats, half that of the best normal law (largest now "
        "{largest_kl}), the mass is within {most_mass} of one (now {mass}), and all points come back to within "
        "{most_back} (now {back}). It does not show if one of these fails for one flow. Where the "
        "quadrature has an error above {most_mass} (now {error}) the mass is not known, and the claim not decided."
    )
    chance = (
        "of all this only the KL is an estimate. The largest is {ses} standard errors from the limit, so chance has no "
        "part in it."
        if ses >= LEAST_SEEN
        else "of all this only the KL is an estimate, and the largest is just {ses} standard errors from the limit."
    )
    picture = Picture(
        {f"Seed {seed}": [one["kl"]] for seed, one in zip(stored.seeds, flows, strict=True)},
        "KL(data ‖ flow) after training",
        "nats",
        mark=("limit", most_kl),
    )
    kind = Kind.NOT_HERE if not holds or is_off else Kind.SHOWS if all(is_known) else Kind.NOT_DECIDED
    return Found(kind, says, numbers, picture, rule, chance)


def lipschitz(stored: Stored) -> Found:
    """Lipschitz conditions instead of architectural ones: no block folds below the bound that its L promises."""
    flows = stored.found["flows"]
    folds = [[float(at) for at in one["folds_at"]] for one in flows]
    limits = [one["guaranteed"] for one in flows]
    kept = all(min(of) >= limit * (1 - ROUNDING) for of, limit in zip(folds, limits, strict=True))
    every = sorted(at for of in folds for at in of)
    numbers = told.settings(stored) | {
        "blocks": str(len(every)),
        "limit": f"{min(limits):.4f}",
        "first": f"{every[0]:.4f}",
        "middle": f"{every[len(every) // 2]:.2f}",
        "early": str(sum(at < min(limits) * (1 - ROUNDING) for at in every)),
    }
    picture = Picture(
        {f"Seed {seed}": of for seed, of in zip(stored.seeds, folds, strict=True)},
        "scale s from which on a block folds",
        "times its weights",
        log=True,
        mark=("guaranteed", min(limits)),
        dot="one block",
    )
    rule = (
        "this checks a theorem. It shows as long as no block folds below s = {limit} (first now: {first}). It does not "
        "show if a single one does, which would be an error of this program."
    )
    chance = "nothing here is random but the flows, and the theorem holds for each."
    if not kept:
        says = "{early} of {blocks} blocks fold below s = {limit}."
        return Found(Kind.NOT_HERE, says, numbers, picture, rule, chance)
    says = (
        "the only condition on the {blocks} blocks of {seeds} trained flows is their Lipschitz constant. It promises "
        "an inverse for a branch that is scaled by up to s = {limit}. As s grows, the first of the blocks folds, so "
        "that it maps several points to one z, at s = {first}, and half of them only beyond {middle}. Scaled to twice "
        "its fold, a block maps {preimages} points to one z: without the condition there is no inverse."
    )
    numbers["preimages"] = told.ends([one["preimages"] for one in flows], 0)
    return Found(Kind.SHOWS, says, numbers, picture, rule, chance)


def roulette(drawn: Stored, plane: Stored) -> Found:
    """An unbiased estimate: means of many draws beside the truth, and where its variance is finite."""
    found = drawn.found
    count, truth = int(found["draws"][-1]), found["truth"]
    means = [of[-1] for of in found["means"]]
    error = math.sqrt((found["by_probe"] + found["by_stopping"]) / count)
    off = [(mean - truth) / error for mean in means]
    unbiased = max(map(abs, off)) <= MOST_OFF
    bias = abs(found["bias"]) / error
    inside = float(stats.norm.cdf(MOST_OFF) - stats.norm.cdf(-MOST_OFF)) ** len(means)
    missed = float(stats.norm.cdf(MOST_OFF - bias) - stats.norm.cdf(-MOST_OFF - bias)) ** len(means)
    shares = [100 * share for share in plane.found["shares"]]
    numbers = {
        "seeds": str(len(drawn.seeds)),
        "draws": f"{count:,}",
        "truth": f"{truth:.4f}",
        "means": listed([f"{mean:.4f}" for mean in means]),
        "error": f"{error:.4f}",
        "off": f"{max(map(abs, off)):.1f}",
        "terms": str(found["n_terms"]),
        "bias": signed(f"{found['bias']:.3f}"),
        "share": told.ends(shares, 0),
        "flows": str(len(plane.seeds)),
        "data": told.title(plane.settings["data"]),
        "ratio": f"{1 - plane.found['ratio']:g}",
        "seen": f"{bias:.1f}",
        "most_off": f"{MOST_OFF:g}",
        "least_seen": f"{LEAST_SEEN:g}",
        "chance_not_here": f"{100 * (1 - inside):.2f}",
        "chance_missed": f"{100 * missed:.2f}",
    }
    rule = (
        "shows if the mean of every seed is within {most_off} standard errors of log det (furthest now {off}). It does "
        "not show if one mean is further away. It is not decided if a bias such as that of the cut series would be "
        "less than {least_seen} standard errors (now {seen}), for these draws could not see it."
    )
    chance = (
        "of an unbiased estimate it would say “does not show” in {chance_not_here} % of cases, and of one that is as "
        "biased as the cut series it would say “shows” in {chance_missed} %."
    )
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
        return Found(Kind.NOT_HERE, says, numbers, picture, rule, chance)
    says = (
        "the means of {draws} draws are {means} nats ({seeds} seeds; standard error {error}, by the closed form of the "
        "variance, which is finite here), at most {off} standard errors from log det = {truth}. The series cut after "
        "{terms} terms is off by {bias} nats for ever. "
    )
    is_seen = bias >= LEAST_SEEN
    says += "" if is_seen else "After so many draws that bias is not yet seen. "
    if max(shares):
        says += (
            "But unbiased is not precise. In each of {flows} flows that were trained on the {data} data, with a chance "
            "to stop of {ratio}, the variance of some block is infinite at {share} % of held-out points."
        )
    return Found(Kind.SHOWS if is_seen else Kind.NOT_DECIDED, says, numbers, picture, rule, chance)


def memory(stored: Stored) -> Found:
    """Less memory by another series for the gradient: bytes are counted, so nothing is random."""
    found = {int(rows): of for rows, of in stored.found["bytes"].items()}
    less = [of["neumann"] < of["plain"] for of in found.values()]
    rows = max(found)
    of = found[rows]
    numbers = {name: str(stored.settings[name]) for name in ("dim", "blocks", "terms", "width")} | {
        "rows": str(rows),
        "all_rows": listed([str(one) for one in sorted(found)]),
        "plain": told.megabytes(of["plain"]),
        "neumann": told.megabytes(of["neumann"]),
        "both": told.megabytes(of["in_forward"]),
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
    rule = (
        "this checks a theorem, and bytes are counted. It shows if the Neumann series needs less than the terms one by "
        "one for every number of points, {all_rows} (for {rows} now {neumann} and {plain} MB), in part if for some, "
        "and does not show if for none."
    )
    chance = "nothing here is random."
    if not any(less):
        says = "the Neumann series needs {neumann} MB for {rows} points, term by term {plain} MB."
        return Found(Kind.NOT_HERE, says, numbers, picture, rule, chance)
    says = (
        "for {rows} points in {dim} dimensions the log det needs {plain} MB if it is differentiated term by term, and "
        "{neumann} MB by the Neumann series: {times} times less ({blocks} blocks of width {width}, {terms} terms). "
        "With the gradient taken in the forward pass as well it is {both} MB, {all_times} times less. Bytes are "
        "counted: there is no error and no seed."
    )
    return Found(Kind.SHOWS if all(less) else Kind.IN_PART, says, numbers, picture, rule, chance)
