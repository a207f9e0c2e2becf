"""A step in its parts, in words: what each part did, with its numbers. Each estimate stands beside the truth."""

import math
from typing import Any

import numpy as np

from app.components.live.encode_step import Part, encode_step
from app.engine.reports import MOVING, Report
from app.engine.training.step_picture import Mean, StepNumbers, StepPicture
from app.metrics import with_error
from app.setup import Setup
from resflow_core.log_det import Exact

UPDATE_MAP = "Change of the density: orange more, blue less"


def parts_of(setup: Setup, report: Report) -> dict[str, Any] | None:
    """The step at which the page's flow stands, as the live picture takes it; None where it was not recorded."""
    picture = report.arms[0].parts if report.arms else None
    if picture is None or report.state in MOVING or picture.step != report.arms[0].step:
        return None
    return encode_step(picture, said(picture, setup), picture.log_det_by == Exact())


def said(picture: StepPicture, setup: Setup) -> tuple[Part, ...]:
    """All parts, in their order."""
    of = (_batch, _forward, _loss, _gradient, _update, _constraint)
    return tuple(part(picture, picture.numbers, setup) for part in of)


def _batch(picture: StepPicture, numbers: StepNumbers, setup: Setup) -> Part:
    drawn = len(picture.points)
    average = " The usual picture shows the average of the weights over the last steps." if setup.train.average else ""
    some = f" The first {drawn} of them are drawn here." if drawn < picture.batch else ""
    return Part(
        f"A batch of {picture.batch:,} points is drawn",
        f"Step {picture.step:,} uses only these points.{some} The density is that of the present weights.{average}",
        (("points in the batch", f"{picture.batch:,}"), ("drawn from", setup.dataset.title)),
        ("The batch, over the density before the step", "The same points, before they move"),
        (
            f"{drawn} points of the batch over the density before the step.",
            "The same points in the second plane, before they move.",
        ),
    )


def _forward(picture: StepPicture, numbers: StepNumbers, setup: Setup) -> Part:
    blocks = len(picture.stages) - 2
    return Part(
        "Forward: the points move from x to z",
        f"Each point passes through all {blocks} blocks. With a good flow the points z look like draws from a standard "
        "normal, for which the mean of |z|² is 2.",
        (("mean of |z|²", _with_error(numbers.square)), ("for a standard normal", "2")),
        ("The batch at x", "The same points on their way to z"),
        (
            "The points of the batch where they were drawn.",
            f"The same points on their way through {blocks} blocks to the latent space, with circles that hold 39, 86 "
            "and 98.9 percent of a standard normal.",
        ),
    )


def _loss(picture: StepPicture, numbers: StepNumbers, setup: Setup) -> Part:
    mean = _with_error(numbers.loss)
    found: tuple[tuple[str, str], ...]
    if picture.log_det_by == Exact():
        found = (
            ("mean loss, exact", f"{mean} nats"),
            ("mean log det, exact", f"{_with_error(numbers.true_log_det)} nats"),
        )
        second = "The same points at z, coloured by their log det"
        alt = f"The points at z, coloured by their log det, whose mean is {found[1][1]}."
        how = "The log det is exact here, so nothing is estimated."
    else:
        found = (
            ("mean loss, as training estimates it", f"{mean} nats"),
            ("exact mean loss", f"{_with_error(numbers.true_loss)} nats"),
            ("mean log det, estimated", f"{_with_error(numbers.log_det)} nats"),
            ("exact mean log det", f"{_with_error(numbers.true_log_det)} nats"),
            ("typical error of one point", f"{_size(numbers.deviation)} nats"),
        )
        second = "Log det of each point: the estimate of this step against the exact one"
        alt = (
            "Each point's estimated log det against the exact one. On the diagonal both agree. They typically differ "
            f"by {_size(numbers.deviation)} nats."
        )
        how = "Training estimates the log det. The second plane compares each estimate with the exact value."
    if numbers.shared_loss:
        found += (("added loss of the norms' orders", f"{numbers.shared_loss:.3f}"),)
    return Part(
        "Log det and loss of each point",
        f"Loss of a point = −log N(z; 0, I) − log det. The large yellow points fit worst. {how}",
        found,
        ("The batch, coloured by the loss of each point", second),
        (f"The points of the batch, coloured by their loss. The mean is {mean} nats.", alt),
    )


def _gradient(picture: StepPicture, numbers: StepNumbers, setup: Setup) -> Part:
    found = [("length of the gradient", _size(numbers.gradient_norm))]
    if picture.log_det_by != Exact():
        found += [
            ("with the exact log det", _size(numbers.true_gradient_norm)),
            ("cosine between the two", _cosine(numbers.gradient_cosine)),
        ]
    if numbers.gradient_norm > numbers.clip:
        found += [("shortened to", f"{numbers.clip:g}")]
    grey = "" if picture.log_det_by == Exact() else " Dashed arrows: the same from the estimate of this step."
    return Part(
        "The gradient: each point pulls the density towards itself",
        "Each arrow ends at a point. If the density there moved along the arrow, the loss of that point would fall "
        "fastest. Longer arrows pull harder. All points share the same weights, so the update, shown in the second "
        f"plane, is a compromise.{grey}",
        tuple(found),
        ("How each point pulls the density", UPDATE_MAP),
        (
            "An arrow to each point: the direction in which the point pulls the density, by the gradient of its loss.",
            f"{UPDATE_MAP}, after minus before. The update moves {_percent(numbers.moved)} of the probability.",
        ),
    )


def _update(picture: StepPicture, numbers: StepNumbers, setup: Setup) -> Part:
    averaged = [("in the usual, averaged picture", _percent(numbers.average_moved))] if setup.train.average else []
    fell = f"{numbers.fell:,} of {picture.batch:,}"
    share = numbers.update_norm / numbers.weights_norm if numbers.weights_norm else math.nan
    return Part(
        "The update: weights and density move",
        "Adam scales the step of each weight by its past gradients, so the update does not go straight downhill: their "
        f"cosine is {_cosine(numbers.update_cosine)}. Triangles: the exact loss of a point fell (▼, dark) or rose (△, "
        "white).",
        (
            ("learning rate", _size(numbers.learning_rate)),
            ("the weights move by", f"{_percent(share)} of their length"),
            ("mean exact loss of the batch", f"{_from_to(numbers.true_loss.value, numbers.true_loss_after)} nats"),
            ("change", f"{_with_error(numbers.gain)} nats"),
            ("points whose loss fell", fell),
            ("probability moved", _percent(numbers.moved)),
            *averaged,
        ),
        ("The density after the update", UPDATE_MAP),
        (
            "The density after the update.",
            f"{UPDATE_MAP}, after minus before. Of the batch, the loss of {fell} points fell.",
        ),
    )


def _constraint(picture: StepPicture, numbers: StepNumbers, setup: Setup) -> Part:
    layers = picture.layers
    right = "The layers whose norm this step changed most"
    if layers is None:
        text, found = "This flow has no layers with a cap, so nothing is constrained.", ()
        return Part("No constraint", text, found, ("The density after the step", right), ("The new density.", text))
    touched, cap, constraint = int(layers.touched.sum()), float(layers.cap.max()), setup.flow.constraint
    largest, before = float(layers.weight.max()), float(layers.raw.max())
    held = largest <= cap * (1 + 1e-6)
    if layers.certifies:
        text = (
            f"The update may push the norm of a layer above its cap, {cap:.4g}. The layer does not use the trained "
            "matrix itself: the constraint scales it down first. So every block stays invertible. The density of part "
            "5 includes this already."
        )
    elif layers.touched.any():
        text = (
            f"{constraint.title} estimates the norms from below, so it does not guarantee the cap. "
            + ("All layers happen to be below" if held else "Some layers are above")
            + f" {cap:.4g} after this step."
        )
    else:
        text = (
            f"The constraint is off: nothing keeps the norm of a layer below {cap:.4g}, and no inverse is guaranteed."
        )
    return Part(
        "The constraint: norms before and after the cap",
        text,
        (
            ("cap of a layer", f"{cap:.4g}"),
            ("layers that the constraint changes", f"{touched} of {layers.touched.size}"),
            ("largest norm before it", _size(before)),
            ("largest norm after it", _size(largest)),
        ),
        ("The density after the step", right),
        (
            "The density after the step.",
            f"Bars of {min(8, layers.raw.size)} layers: the norm before the constraint and after it, against the cap "
            f"{cap:.4g}. The largest is {_size(before)} before and {_size(largest)} after.",
        ),
    )


def _with_error(mean: Mean) -> str:
    value, error = with_error(mean.value, mean.error)
    return f"{value} ± {error}".replace("-", "\N{MINUS SIGN}") if error else value


def _from_to(before: float, after: float) -> str:
    """Two numbers with as many decimals as show that they differ."""
    if not math.isfinite(before + after):
        return f"{_size(before)} → {_size(after)}"
    gap = abs(after - before)
    decimals = 3 if gap == 0 else int(np.clip(1 - math.floor(math.log10(gap)), 3, 8))
    return f"{before:.{decimals}f} → {after:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def _size(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "not finite"


def _cosine(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else "not defined"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if math.isfinite(share) else "not finite"
