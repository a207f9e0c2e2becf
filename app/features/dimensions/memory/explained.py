"""What stands below the measurements: why they grow as they do, how they were made, and what the paper says."""

import math

from app.features.dimensions.memory.charts import what_is_drawn
from app.features.dimensions.memory.settings import Memory
from app.features.dimensions.memory.words import size
from resflow_core.gradients import GRADIENTS
from resflow_core.measure.survey import BOTH, Place, Survey, SurveyPlan

NOISE = (
    "In or after the forward pass, the same draws give the same gradient, so its variance is the same; the Neumann "
    "series is another estimator of the same mean, with a variance of its own."
)


AT_TWO = (
    " In two dimensions the other screens form $J_g$, which is small there, and make the estimate from it. That "
    "shortcut is not used here: the series is made of vector-Jacobian products, as in many dimensions."
)


def growth(bench: Memory, survey: Survey) -> str:
    """Why the bytes of what is differentiated in the forward pass grow with the blocks all the same."""
    flow = survey.of.flow
    found = survey.footprints.get(Place(BOTH, survey.of.terms, flow.blocks))
    gradients = size(found.gradients / flow.blocks if found else math.nan)
    vector = size(4.0 * survey.of.batch * flow.dim)
    return (
        f"The growth is fitted by least squares to the bytes that are drawn ({what_is_drawn(bench)}). After the "
        f"forward pass each block keeps the gradient of its parameters, {gradients} here, which every optimiser needs "
        f"at the end. It also keeps three or four vectors of the batch, {vector} each: $v$, $g(x)$, the gradient in "
        "$x$, and with the Neumann series $\\sum_k (-1)^k v^\\top J_g^k$. The paper's $O(n)$ and $O(1)$ do not count "
        "these. The vectors are small if hidden layers are much wider than $d$, and the gradients are small if a batch "
        "has many more points than $d$."
    )


def how(of: SurveyPlan) -> str:
    """What is measured, and what is counted."""
    return (
        f"A new flow with the *Flow* settings of this page, except d = {of.flow.dim} and the sizes set here. The norms "
        "of its layers equal their caps, as they nearly do in trained flows. The loss is $-\\frac1B\\sum_b \\log "
        "p(x_b)$ at points $x \\sim N(0, I)$, with the series truncated after n terms and one "
        "Gaussian probe per point.\n\n"
        "Bytes count all tensors in memory except parameters and points. *Kept* is their number after the forward "
        "pass, and *peak* is the largest number until the gradient is complete. Both repeat to the byte. *Log det "
        "alone* subtracts the bytes of the same loss without a log det, which any network keeps for derivatives along "
        "its path. Times are CPU times of one thread; waiting for other programs does not count."
        + (AT_TWO if of.flow.dim == 2 else "")
    )


def _in_the_paper() -> str:
    ways = (GRADIENTS[name] for name in ("plain", "neumann", "plain_in_forward", "in_forward"))
    plain, neumann, plain_in_forward, in_forward = ways
    return (
        "Chen, Behrmann, Duvenaud and Jacobsen (NeurIPS 2019), section 3.2, count the memory for the log det of $m$ "
        "blocks with $n$ terms each, $\\log\\det(I + J_g) = \\sum_{k \\ge 1} \\frac{(-1)^{k+1}}{k} "
        "\\operatorname{tr} J_g^k$:\n\n"
        f"- **{plain.paper}** through the series: ${plain.memory}$.\n"
        f"- **{neumann.paper}**, "
        "$\\frac{\\partial}{\\partial\\theta} \\log\\det(I + J_g) = \\mathbb{E}_v\\big[\\big(\\sum_{k \\ge 0} (-1)^k "
        "v^\\top J_g^k\\big) \\frac{\\partial J_g}{\\partial\\theta} v\\big]$: one product of each block is "
        f"differentiated, a factor $n$ less, ${neumann.memory}$.\n"
        f"- **{plain_in_forward.paper}**: the log det is one number for each point, so its gradient is taken early and "
        f"its graph freed, a factor $m$ less, ${plain_in_forward.memory}$.\n"
        f"- **{in_forward.paper}**: ${in_forward.memory}$.\n\n"
        "These orders do not include the derivatives along the path from $x$ to $z$, which take one evaluation of the "
        "network with every method. Here *All of the loss* includes them.\n\n"
        "Figure 3 of the paper shows the gigabytes of these four methods for a minibatch of 64 images at $n = 10$, on "
        "MNIST and CIFAR-10. This page shows the order of the four and their growth, but not gigabytes: images have "
        "hundreds or thousands of coordinates, and convolutions have hundreds of channels."
    )


IN_THE_PAPER = _in_the_paper()
