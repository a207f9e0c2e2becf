"""What came after the paper, as plain data: a card each, first those of which nothing is measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from app import evidence
from app.features.paper import joined, noise, traces
from app.features.paper.found import Found


@dataclass(frozen=True)
class Successor:
    """`says` is what it changes, and `needs` what it would take to have it here. `source` is its title, with authors,
    place and year, at `address`. Where it is built, `evidence` names what is stored, which `judge` takes."""

    title: str
    says: str
    needs: str
    source: str
    address: str
    evidence: tuple[str, ...] = ()
    judge: Callable[..., Found] | None = None

    @cached_property
    def found(self) -> Found | None:
        """The verdict on what is stored; None where nothing is built."""
        return self.judge(*map(evidence.stored, self.evidence)) if self.judge else None

    @property
    def command(self) -> str:
        """What measures it anew."""
        return f"python -m app.evidence --only {' '.join(self.evidence)}"


AFTER: Mapping[str, Successor] = {
    "implicit": Successor(
        "Implicit normalizing flows",
        "The map from x to z is defined by the roots of an equation F(z, x) = 0 and not by a formula for z. The "
        "authors prove that such flows contain residual flows and are strictly richer.",
        "A block is a residual block followed by the inverse of another one. So each pass needs a fixed-point solver "
        "in both directions, its gradient by implicit differentiation, and two log determinants.",
        "Implicit Normalizing Flows. Lu, Chen, Li, Wang and Zhu, ICLR 2021",
        "https://arxiv.org/abs/2103.09527",
    ),
    "monotone": Successor(
        "Monotone flows",
        "A block is a monotone operator, which is invertible although its Lipschitz constant has no bound below 1. It "
        "is written through its Cayley operator, a network that does have such a bound, and CPila is its activation.",
        "The activation is here already (*CPila*). The block needs a solver in both directions, and the log "
        "determinant of the operator in terms of its network.",
        "Invertible Monotone Operators for Normalizing Flows. Ahn, Kim, Hong and Kim, NeurIPS 2022",
        "https://arxiv.org/abs/2210.08176",
    ),
    "dense": Successor(
        "i-DenseNets",
        "A block joins the outputs of its layers to their inputs, and learns how much each part weighs. The weights "
        "are normalised so that the Lipschitz constant of the joined layer stays bounded.",
        "A certificate of its own, because the constraint of a layer here bounds one matrix. It is built: "
        "`resflow_core/branches/dense.py`.",
        "Invertible DenseNets with Concatenated LipSwish. Perugachi-Diaz, Tomczak and Bhulai, NeurIPS 2021",
        "https://arxiv.org/abs/2102.02694",
        ("compare-dense", "compare-joined"),
        joined.dense,
    ),
    "traces": Successor(
        "Exact first trace",
        "The first trace of the series need not be estimated: of a block, tr A is a closed form that costs one "
        "product. The estimate stays unbiased, with less noise.",
        "`Roulette(exact_traces=1)`. It is built: `LinearisedSequential.trace` in `resflow_core/residual.py`, derived "
        "in `docs/exact-traces.md`. It is this project's own; continuous flows have exact traces by such formulas.",
        "OT-Flow: Fast and Accurate Continuous Normalizing Flows via Optimal Transport. Onken, Wu Fung, Li and "
        "Ruthotto, AAAI 2021",
        "https://arxiv.org/abs/2006.00104",
        (noise.NAME,),
        traces.less_noise,
    ),
}
