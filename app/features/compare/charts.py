"""What is believed and what is true, against steps, and what cutting the series costs. Pure: reports in, charts out."""

from collections.abc import Mapping, Sequence

import numpy as np

from app.components.planes import Area, Chart, Path
from app.components.planes.panes import Dash
from app.engine.reports import ArmReport
from app.engine.training.measurements.derivatives import Derivatives
from app.features.compare.numbers import believed_nll, bias_at, true_nll
from app.ui import bands
from app.ui.bands import Groups, band
from app.ui.side_by_side import style
from resflow_core.data import Dataset

# So many terms are drawn, more where a flow is trained with more.
TERMS = 20


def belief(dataset: Dataset, groups: Groups, terms: Mapping[str, int | None]) -> Chart:
    """Of each flow the true NLL, and beside it what it believes where its series is cut after some `terms`; all seeds,
    the first of them thick."""
    drawn, said, gaps = [], [], []
    for k, (label, arms) in enumerate(groups.items()):
        if (true := bands.fits(arms, true_nll)) is None:
            continue
        colour = style(k)["colour"]
        drawn += _seeds(f"{label}: truth" if terms[label] else label, true, colour, "solid")
        believed = bands.fits(arms, believed_nll) if terms[label] else None
        if believed is not None:
            drawn += _seeds(f"{label}: belief", believed, colour, "dash")
            low, high = (np.stack([found.steps, found.values[0]], 1) for found in (believed, true))
            gaps.append(Area(low, high, "", colour, 0.15))
            said.append(f"{label} believes {band(believed.values[:, -1])} nats, truth {band(true.values[:, -1])} nats")
    if dataset.truth and drawn:
        ends = [min(path.points[:, 0].min() for path in drawn), max(path.points[:, 0].max() for path in drawn)]
        floor = np.array([[x, dataset.truth.entropy] for x in ends])
        drawn.append(Path(floor, "entropy: no density has less", None, "dot", 1.6))
    return Chart(
        "Believed and true loss",
        "step",
        "held-out NLL, nats",
        tuple(drawn),
        f"Held-out NLL against steps: {'; '.join(said) or 'no flow is biased'}. "
        f"{f'The entropy of the data is {dataset.truth.entropy:.3f} nats.' if dataset.truth else ''}",
        note="Solid: with the exact log det. Dashed: as training believes. One line for each seed, the "
        "first one thick.",
        areas=tuple(gaps),
    )


def _seeds(label: str, found: bands.Fits, colour: str, dash: Dash) -> list[Path]:
    first, *others = (np.stack([found.steps, values], 1) for values in found.values)
    paths = [Path(first, label, colour, dash, 2.2)]
    if others:
        gap = np.full((1, 2), np.nan)
        paths.append(Path(np.concatenate([part for line in others for part in (line, gap)]), "", colour, dash, 1.0))
    return paths


def bias_by_terms(labels: Sequence[str], firsts: Sequence[ArmReport], terms: Mapping[str, int | None]) -> Chart:
    """How much each flow of the first seed would be over-rated with so many terms, whatever it was trained with."""
    drawn, said = [], []
    count = np.arange(1, max([TERMS, *filter(None, terms.values())]) + 1)
    for k, (label, arm) in enumerate(zip(labels, firsts, strict=True)):
        found = arm.found(Derivatives)
        if found is None or found.spectrum is None:
            continue
        biases = found.spectrum.biases
        drawn.append(Path(np.stack([count, biases[: len(count)]], 1), label, markers=True, **style(k)))
        if terms[label]:
            bias = bias_at(found.spectrum, terms[label])
            said.append(f"{label}: {bias:.2g} nats with the terms that it is trained with")
    return Chart(
        "Bias against the number of terms",
        "terms of the series",
        "believed minus true log p, nats",
        tuple(drawn),
        f"Bias of log p against the number of terms; {'; '.join(said) or 'all flows are trained without bias'}.",
        note="First seed, held-out points. Training with n terms makes the bias at n larger.",
    )
