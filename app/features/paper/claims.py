"""The claims of the abstract, in its order. One entry of `CLAIMS` is a card."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from app import evidence
from app.features.paper import compared, verdicts
from app.features.paper.found import Found, Kind


@dataclass(frozen=True)
class Place:
    """Where something is written in the core: a file below `resflow_core/`, and a name in it."""

    file: str
    name: str


@dataclass(frozen=True)
class Claim:
    """`says` is the claim in a sentence, `equation` in LaTeX, and `at` where the paper has it. `evidence` names what is
    stored, which `judge` takes in this order. `lesson` explains it: an id, and words where there is none. `runs` is the
    entry of `live_runs.RUNS` that trains or measures the same here."""

    title: str
    says: str
    equation: str
    at: str
    evidence: tuple[str, ...]
    judge: Callable[..., Found]
    code: tuple[Place, ...]
    runs: str
    lesson: str = ""
    explained: tuple[str, str] = ("", "")
    """Where no lesson explains it: a word of the glossary, by its title and its address."""

    @cached_property
    def found(self) -> Found:
        """The verdict on what is stored."""
        return self.judge(*(evidence.stored(name) for name in self.evidence))

    @property
    def command(self) -> str:
        """What measures all of it anew."""
        return f"python -m app.evidence --only {' '.join(self.evidence)}"


CLAIMS: Mapping[str, Claim] = {
    "likelihood": Claim(
        "Maximum likelihood for an invertible map",
        "A flow gives each point a density through an invertible map, so it can be trained by maximum likelihood.",
        r"\log p(x) = \log p_z\big(f(x)\big) + \log\left|\det \frac{d f(x)}{d x}\right|",
        "section 2",
        ("paper-likelihood",),
        verdicts.likelihood,
        (Place("flow.py", "NormalizingFlow"), Place("bijection.py", "Bijection")),
        "paper-likelihood",
        "change",
    ),
    "lipschitz": Claim(
        "Lipschitz conditions instead of architectural ones",
        "A residual block needs no special structure to be invertible: a Lipschitz constant below 1 is enough.",
        r"f(x) = x + g(x), \qquad \mathrm{Lip}(g) < 1",
        "section 2",
        ("lipschitz-folds",),
        verdicts.lipschitz,
        (Place("residual.py", "ResidualBlock"), Place("lipschitz.py", "LipschitzLinear")),
        "lipschitz-folds",
        "inverse",
    ),
    "bias": Claim(
        "Earlier log densities were biased",
        "Before, the series of the log determinant was cut off. The bias that this leaves grew with what the network "
        "can express.",
        r"\log\det\big(I + J_g\big) = \sum_{k=1}^{\infty} \frac{(-1)^{k+1}}{k}\,\mathrm{tr}\big(J_g^k\big) "
        r"\;\approx\; \sum_{k=1}^{n} \frac{(-1)^{k+1}}{k}\,\mathrm{tr}\big(J_g^k\big)",
        "sections 2 and 3.1",
        ("compare-expressive",),
        compared.bias,
        (Place("log_det.py", "Truncated"),),
        "compare-expressive",
        "believes",
    ),
    "roulette": Claim(
        "An unbiased estimate by Russian roulette",
        "A random number of terms, each divided by the probability that it is computed, estimates the log density "
        "without bias and in finite time.",
        r"\log p(x) = \log p_z\big(f(x)\big) + \mathbb{E}_{N,v}\left[\sum_{k=1}^{N} \frac{(-1)^{k+1}}{k}\,"
        r"\frac{v^\top J_g^k\, v}{P(N \ge k)}\right]",
        "Theorem 1, section 3.1",
        ("estimator-by-hand", "estimator-plane"),
        verdicts.roulette,
        (Place("log_det.py", "Roulette"), Place("roulette.py", "Geometric")),
        "estimator-by-hand",
        "roulette",
    ),
    "memory": Claim(
        "Less memory by another series for the gradient",
        "The gradient of the log determinant has a series of its own, which needs no graph of the terms.",
        r"\frac{\partial}{\partial\theta}\log\det\big(I + J_g\big) = \mathbb{E}_{N,v}\left[\left(\sum_{k=0}^{N} "
        r"\frac{(-1)^k}{P(N \ge k)}\, v^\top J_g^k\right) \frac{\partial J_g}{\partial\theta}\, v\right]",
        "Theorem 2, section 3.2",
        ("dimensions-memory",),
        verdicts.memory,
        (Place("gradients.py", "neumann"), Place("gradients.py", "in_forward")),
        "dimensions-memory",
        explained=("Neumann series", "neumann-series"),
    ),
    "saturation": Claim(
        "Activations without derivative saturation",
        "Where the slope of an activation is near its limit, its curvature should not vanish. LipSwish is such a "
        "function.",
        r"\mathrm{LipSwish}(z) = \frac{z\,\sigma(\beta z)}{1.1}",
        "section 3.3",
        ("activations-saturation",),
        compared.saturation,
        (Place("activations.py", "silu"),),
        "activations-saturation",
        "saturation",
    ),
    "norms": Claim(
        "Induced mixed norms",
        "The condition can be put in other norms than the usual one, different from layer to layer.",
        r"\|W\|_{p \to q} = \sup_{x \neq 0} \frac{\|W x\|_q}{\|x\|_p}, \qquad "
        r"\mathrm{Lip}(g) \le \prod_i \|W_i\|_{p_{i-1} \to p_i}, \quad p_0 = p_n",
        "section 5.1, appendix D",
        ("paper-norms", "paper-room"),
        compared.norms,
        (Place("norms/norm_orders.py", "InducedNorm"), Place("norms/induced.py", "upper_bound")),
        "paper-norms",
        "norms",
    ),
    "density": Claim(
        "Density estimation ahead of other flows",
        "Residual flows describe data better than other flows do. The paper's evidence is of images.",
        r"\mathrm{KL}(\text{data} \,\|\, \text{flow}) = "
        r"\mathbb{E}_{x \sim \text{data}}\big[\log p_{\text{data}}(x) - \log p(x)\big]",
        "section 5.1",
        ("compare-coupling", "compare-figure1"),
        compared.density,
        (Place("flow.py", "Flow"), Place("baselines/zuko_flows.py", "BASELINES")),
        "compare-figure1",
        "block",
    ),
    "joint": Claim(
        "Generating and classifying ahead of coupling blocks",
        "One network that learns a density and a classifier gives up less with residual blocks than with coupling "
        "blocks.",
        r"\mathbb{E}_{x, y \sim \text{data}}\big[\lambda \log p(x) + \log p(y \mid x)\big]",
        "section 5.4",
        ("paper-joint",),
        compared.joint,
        (Place("hybrid.py", "Hybrid"),),
        "joint-costs",
        explained=("Coupling flow", "coupling-flow"),
    ),
}


WORDS = {
    Kind.SHOWS: "show here",
    Kind.IN_PART: "show in part",
    Kind.NOT_HERE: "do not show here",
    Kind.EQUAL: "come to equal flows",
    Kind.NOT_DECIDED: "are not decided",
}


def total(found: Iterable[Found]) -> str:
    """How many claims came to each verdict."""
    counts = Counter(one.kind for one in found)
    parts = [f"{counts[kind]} {words}" for kind, words in WORDS.items() if counts[kind]]
    return f"Of {counts.total()} claims, **{', '.join(parts)}**."
