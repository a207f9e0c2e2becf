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


def growth(bench: Memory, survey: Survey) -> str:
    """Why the bytes of what is differentiated in the forward pass grow with the blocks all the same."""
    flow = survey.of.flow
    found = survey.footprints.get(Place(BOTH, survey.of.terms, flow.blocks))
    gradients = size(found.gradients / flow.blocks if found else math.nan)
    vector = size(4.0 * survey.of.batch * flow.dim)
    return (
        f"Growth is by least squares, of what is drawn ({what_is_drawn(bench)}). In the forward pass each block leaves "
        f"the gradient of its parameters, {gradients} here, which every optimiser needs at the end, and three or four "
        f"vectors of the batch, {vector} each: $v$, $g(x)$, the gradient in $x$, and by the Neumann series "
        "$\\sum_k (-1)^k v^\\top J_g^k$. The paper's $O(n)$ and $O(1)$ leave these out: the vectors are small where "
        "hidden layers are much wider than $d$, the gradients where a batch has many more points than $d$."
    )


def how(of: SurveyPlan) -> str:
    """What is measured, and what is counted."""
    return (
        f"A new flow with the *Flow* settings of this page, but for d = {of.flow.dim} and the sizes set here; its "
        "layers have the norms of their caps, as those of trained flows nearly do. The loss is "
        "$-\\frac1B\\sum_b \\log p(x_b)$ at points $x \\sim N(0, I)$, with the series truncated after n terms and one "
        "Gaussian probe per point.\n\n"
        "Bytes are those of all tensors that are alive, whoever holds them, without parameters and points: *kept* when "
        "the forward pass has returned, *peak* the most at any time until the gradient is there. They repeat to the "
        "byte. *Log det alone* is what is left without the bytes of the same loss that has no log det, which any "
        "network keeps for derivatives along its path. Times are CPU times: what one thread of this machine computes, "
        "without its waits for what else the machine does."
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
        "Derivatives along the path from $x$ to $z$ are not in these orders: they need one evaluation of the network, "
        "whatever is done about the log det. *All of the loss* has them here.\n\n"
        "Figure 3 of the paper has the gigabytes of these four for a minibatch of 64 pictures at $n = 10$, on MNIST "
        "and CIFAR-10. The order of the four, and how they grow, shows here. Gigabytes do not: pictures have "
        "hundreds or thousands of coordinates, and convolutions hundreds of channels."
    )


IN_THE_PAPER = _in_the_paper()
