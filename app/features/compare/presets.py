"""Ready-made comparisons: the paper's claims in miniature. One entry of `PRESETS` adds one, with its stored answer
after `python -m app.evidence`."""

from dataclasses import dataclass, field, replace

from app.features.compare import answers
from app.features.compare.answers import Answer
from app.features.compare.settings import Baseline, Compare, Inside, Nobody, Residual
from app.setup import Setup
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.training.trainer import TrainConfig


@dataclass(frozen=True)
class Preset:
    """`title` asks a question, and `answer` says what comes of it. `about` says what was chosen for the sake of it;
    `away` names the preset without it."""

    title: str
    about: str
    answer: Answer
    bench: Compare
    data: str = "8gaussians"
    flow: FlowConfig = field(default_factory=FlowConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    away: str = ""
    by_time: bool = False  # whether its picture is of equal times, not of equal steps

    def is_set(self, setup: Setup, bench: Compare) -> bool:
        """Whether these are the settings; pictures aside."""
        data = None if setup.own else setup.data
        return (self.data, self.flow, self.train) == (data, setup.flow, setup.train) and bench == replace(
            self.bench, view=bench.view
        )


# Several flows and seeds train at once: fewer blocks, and smaller batches.
_QUICK = FlowConfig(blocks=10, budget=0.97)
_SMALL = TrainConfig(batch=256, horizon=4096)


def _series(terms: int, budget: float) -> Residual:
    return Residual(Truncated(terms), budget)


PRESETS: dict[str, Preset] = {
    "believes": Preset(
        "Can a flow be fooled by its own loss?",
        "The paper's figure 2. The settings are chosen to show the effect: eight narrow modes, L = 0.97 and five "
        "terms. All seeds are shown.",
        answers.BELIEVES,
        Compare(view="spectra", a=Residual(Exact()), b=_series(5, 0.97), c=Nobody(), seeds=3, steps=1500),
        flow=_QUICK,
        train=_SMALL,
        away="honest",
    ),
    "honest": Preset(
        "When is a cut series harmless?",
        "The same, with L = 0.6: the terms left out are too small for training to exploit. Ten terms instead of five, "
        "or fewer steps, have the same effect.",
        answers.HONEST,
        Compare(view="spectra", a=Residual(Exact(), 0.6), b=_series(5, 0.6), c=Nobody(), seeds=3, steps=1500),
        flow=replace(_QUICK, budget=0.6),
        train=_SMALL,
        away="believes",
    ),
    "expressive": Preset(
        "Does the bias grow with L?",
        "The same eight modes and five terms with a larger and larger Lipschitz budget L. The more a block may "
        "stretch, the more the cut series leaves out.",
        answers.EXPRESSIVE,
        Compare(
            view="spectra",
            a=_series(5, 0.6),
            b=_series(5, 0.9),
            c=_series(5, 0.97),
            d=_series(5, 0.99),
            seeds=1,
            steps=1500,
        ),
        flow=_QUICK,
        train=_SMALL,
    ),
    "terms": Preset(
        "How many terms are enough?",
        "The same eight modes and L = 0.97 with more and more terms of the series. Each term costs time, and only the "
        "last choice is enough.",
        answers.TERMS,
        Compare(
            view="spectra",
            a=_series(3, 0.97),
            b=_series(5, 0.97),
            c=_series(8, 0.97),
            d=_series(12, 0.97),
            seeds=1,
            steps=1000,
        ),
        flow=_QUICK,
        train=_SMALL,
    ),
    "coupling": Preset(
        "Residual or coupling blocks?",
        "All flows have an exact likelihood, and their numbers of parameters are as nearly equal as whole widths "
        "allow.",
        answers.COUPLING,
        Compare(
            view="samples",
            a=Residual(Exact(), 0.99),
            b=Baseline("nice"),
            c=Baseline("realnvp"),
            d=Baseline("nsf"),
            seeds=3,
            steps=1500,
        ),
        data="checkerboard",
        train=_SMALL,
    ),
    "dense": Preset(
        "i-DenseNet or residual blocks?",
        "After the paper: in an i-DenseNet each layer gets the outputs of all layers before it (Perugachi-Diaz et al. "
        "2021). As nearly equal numbers of parameters as whole widths allow. Both kinds of blocks get both "
        "activations, CLipSwish, which came with i-DenseNets, and sine, and two hidden layers.",
        answers.DENSE,
        Compare(
            view="densities",
            a=Inside("residual", "clipswish", 2),
            b=Inside("dense", "clipswish", 2),
            c=Inside("residual", "sine", 2),
            d=Inside("dense", "sine", 2),
            seeds=3,
            steps=400,
        ),
        data="checkerboard",
        flow=_QUICK,
        train=_SMALL,
    ),
    "time": Preset(
        "Exact or roulette: which is quicker?",
        "Two unbiased estimates beside the exact log det. In two dimensions the exact one costs less than any "
        "estimate, so compare them at equal time.",
        answers.TIME,
        Compare(
            a=Residual(Exact()),
            b=Residual(Roulette(gradient="plain")),
            c=Residual(Roulette(gradient="neumann")),
            seeds=2,
            steps=800,
        ),
        data="checkerboard",
        flow=_QUICK,
        train=_SMALL,
        by_time=True,
    ),
    "figure1": Preset(
        "What do other flows leave out?",
        "Three layers have zeros in their Jacobians, so their determinants are cheap. The residual layer has none. If "
        "d is large, its log det must be estimated; here, in the plane, it is exact. This is the one comparison on the "
        "pinwheel, so that the answer does not rest on the checkerboard alone.",
        answers.FIGURE_1,
        Compare(
            view="layers",
            a=Baseline("nice"),
            b=Baseline("realnvp"),
            c=Baseline("nsf"),
            d=Residual(Exact(), 0.99),
            steps=1000,
        ),
        data="pinwheel",
        train=_SMALL,
    ),
}


def chosen(setup: Setup, bench: Compare) -> Preset | None:
    """The one whose settings these are."""
    return next((preset for preset in PRESETS.values() if preset.is_set(setup, bench)), None)
