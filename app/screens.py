"""All screens, in the order of the navigation. One entry and a folder of `app/features/` add a screen.

What lies below names no screen. Links, lessons and the home page have registries, which are filled here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from app import evidence, link, session
from app.estimates.settings import BENCH, Bench
from app.evidence import Evidence
from app.features.activations.evidence import EVIDENCE as ACTIVATIONS_EVIDENCE
from app.features.activations.live import RUNS as ACTIVATIONS_RUNS
from app.features.activations.observables import ACTIVATIONS
from app.features.activations.settings import ACTIVATIONS_BENCH, Activations
from app.features.compare import arrival as compare
from app.features.compare.evidence import EVIDENCE as COMPARE_EVIDENCE
from app.features.compare.joined import EVIDENCE as JOINED_EVIDENCE
from app.features.compare.live import RUNS as COMPARE_RUNS
from app.features.compare.settings import COMPARE, Compare
from app.features.dimensions.evidence import EVIDENCE as DIMENSIONS_EVIDENCE
from app.features.dimensions.live import RUNS as DIMENSIONS_RUNS
from app.features.dimensions.memory.settings import MEMORY, Memory
from app.features.dimensions.observables import STORED
from app.features.dimensions.settings import DIMENSIONS, Dimensions
from app.features.estimator import plane
from app.features.estimator.draw_observables import THROWS
from app.features.estimator.evidence import EVIDENCE as ESTIMATOR_EVIDENCE
from app.features.estimator.live import RUNS as ESTIMATOR_RUNS
from app.features.estimator.matrix_observables import MATRIX
from app.features.explore.observables import FLOW
from app.features.home.evidence import EVIDENCE as HOME_EVIDENCE
from app.features.home.observables import FOOLED
from app.features.joint import arrival as joint
from app.features.joint.evidence import EVIDENCE as JOINT_EVIDENCE
from app.features.joint.live import RUNS as JOINT_RUNS
from app.features.joint.settings import JOINT, Joint
from app.features.lipschitz import arrival as lipschitz
from app.features.lipschitz import live as lipschitz_live
from app.features.lipschitz.compared import EVIDENCE as LIPSCHITZ_COMPARED
from app.features.lipschitz.evidence import EVIDENCE as LIPSCHITZ_EVIDENCE
from app.features.lipschitz.observables import LIPSCHITZ as LIPSCHITZ_OBSERVABLES
from app.features.lipschitz.settings import LIPSCHITZ, Lipschitz
from app.features.paper.controls import EVIDENCE as CONTROLS_EVIDENCE
from app.features.paper.evidence import EVIDENCE as PAPER_EVIDENCE
from app.features.paper.evidence import LIKELIHOOD, NORMS
from app.features.paper.evidence import SETUP as PAPER_SETUP
from app.features.paper.observables import VERDICTS
from app.features.stretch.observables import STRETCH as STRETCH_OBSERVABLES
from app.features.stretch.settings import STRETCH, Stretch
from app.lessons import observables
from app.lessons.observables import Moved, Observable
from app.ui import doors, live_runs
from app.ui.doors import Door
from app.ui.live_runs import LiveRun, Starts


@dataclass(frozen=True)
class Screen:
    """A page of the app. Its script is `app/features/<folder>/<folder>.py`.

    `title` is what the navigation calls it, in words that a newcomer knows, below the heading `group`, or at once where
    that is empty; `term` is the field's word for it, where it is another. `benches` are its settings, by what their
    names begin with in links; the first holds its view. `observables` are what lessons may ask of it. `doors` lead to
    it from the home page: title, text and, where its address asks for something, that. A page without a flow
    (`has_flow` False) starts no run, and its address may end in the name of a place. Only pages with a `sidebar` show
    the settings of data, flow and training beside them; where `acts_on` names views, only these, and not while it
    `opens` with stored flows, whose settings are others. `former` are addresses that it once had, with the settings
    that each stands for. One that is not `listed` is in no navigation. `evidence` is
    how the stored answers that it opens with come about, by their names, and `runs` begins here what made one of them.
    """

    title: str
    folder: str
    group: str = ""
    term: str = ""
    benches: Mapping[str, type] = field(default_factory=dict)
    observables: Mapping[str, Observable] = field(default_factory=dict)
    doors: Mapping[str, tuple] = field(default_factory=dict)
    has_flow: bool = True
    sidebar: bool = True
    acts_on: tuple[str, ...] = ()
    opens: Callable[[], bool] = lambda: False
    former: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    runs: Starts = field(default_factory=dict)
    listed: bool = True

    @property
    def script(self) -> str:
        """Its file, as `st.Page` takes it."""
        return f"features/{self.folder}/{self.folder}.py"

    @property
    def has_settings_beside(self) -> bool:
        """Whether those of data, flow and training stand beside it as it is now."""
        if not self.sidebar or self.opens():
            return False
        return not self.acts_on or session.view(next(iter(self.benches.values()))) in self.acts_on


WORKS, COSTS, GOOD, REFERENCE = "How it works", "What it costs", "How good is it?", "Reference"

SCREENS: dict[str, Screen] = {
    "": Screen("Home", "home", observables=FOOLED, has_flow=False, sidebar=False, evidence=HOME_EVIDENCE),
    "learn": Screen(
        "Lessons",
        "learn",
        doors={"learn": ("Learn", "Lessons in small steps: predict, try and see why.")},
        sidebar=False,
    ),
    "teach": Screen("For teachers", "teach", has_flow=False, sidebar=False, listed=False),
    "explore": Screen(
        "Explore",
        "explore",
        observables=FLOW,
        doors={
            "explore": ("Explore", "Press Play and watch a flow learn. Change any setting while it trains."),
            "draw": ("Draw", "Paint something, and a flow learns it.", {"data": link.DRAWING}),
        },
        runs={LIKELIHOOD: partial(live_runs.train, PAPER_SETUP)},
    ),
    "paper": Screen(
        "The paper",
        "paper",
        observables=VERDICTS,
        doors={"paper": ("The paper", "Its abstract, claim by claim, and what each comes to here.")},
        has_flow=False,
        sidebar=False,
        evidence=PAPER_EVIDENCE | CONTROLS_EVIDENCE,
    ),
    "lipschitz": Screen(
        "Can it be undone?",
        "lipschitz",
        WORKS,
        "Lipschitz constraints",
        {LIPSCHITZ: Lipschitz},
        LIPSCHITZ_OBSERVABLES,
        opens=lipschitz.hides_settings,
        evidence={**LIPSCHITZ_EVIDENCE, **LIPSCHITZ_COMPARED},
        runs={**lipschitz_live.RUNS, NORMS: partial(lipschitz_live.in_other_norms, PAPER_SETUP)},
    ),
    "activations": Screen(
        "Activation functions",
        "activations",
        WORKS,
        "",
        {ACTIVATIONS_BENCH: Activations},
        ACTIVATIONS,
        acts_on=("inside", "consequences"),
        evidence=ACTIVATIONS_EVIDENCE,
        runs=ACTIVATIONS_RUNS,
    ),
    "estimator": Screen(
        "Check by hand",
        "estimator",
        COSTS,
        "The estimator of the log det",
        {BENCH: Bench},
        {**MATRIX, **THROWS},
        {
            "check": (
                "Check by hand",
                "Type a matrix and see every term of the unbiased estimate, beside the truth.",
            )
        },
        acts_on=("plane",),
        opens=plane.hides_settings,
        evidence=ESTIMATOR_EVIDENCE,
        runs=ESTIMATOR_RUNS,
    ),
    "dimensions": Screen(
        "Beyond two dimensions",
        "dimensions",
        COSTS,
        benches={DIMENSIONS: Dimensions, MEMORY: Memory},
        observables=STORED,
        acts_on=("memory",),
        former={"memory": {f"{DIMENSIONS}view": "memory"}},
        evidence=DIMENSIONS_EVIDENCE,
        runs=DIMENSIONS_RUNS,
    ),
    "compare": Screen(
        "Compare flows",
        "compare",
        GOOD,
        "Density estimation",
        {COMPARE: Compare},
        opens=compare.is_due,
        evidence={**COMPARE_EVIDENCE, **JOINED_EVIDENCE},
        runs=COMPARE_RUNS,
    ),
    "joint": Screen(
        "Generate and classify",
        "joint",
        GOOD,
        "Joint models",
        {JOINT: Joint},
        opens=joint.is_due,
        evidence=JOINT_EVIDENCE,
        runs=JOINT_RUNS,
    ),
    "stretch": Screen(
        "Area and density",
        "stretch",
        REFERENCE,
        "Change of variables",
        {STRETCH: Stretch},
        STRETCH_OBSERVABLES,
        sidebar=False,
    ),
    "glossary": Screen("Glossary", "glossary", REFERENCE, has_flow=False, sidebar=False),
}
"""By their addresses, in the order of the navigation; "" is the home page."""

DOORS_IN_ORDER = ("draw", "explore", "learn", "check", "paper")

observables.SCREENS |= set(SCREENS)
for address, screen in SCREENS.items():
    observables.OBSERVABLES |= screen.observables
    observables.MOVED |= {former: Moved(address, settings) for former, settings in screen.former.items()}
    link.BENCHES |= screen.benches
    evidence.EVIDENCE |= screen.evidence
    live_runs.RUNS |= {
        name: LiveRun(screen.title, address, screen.script, start) for name, start in screen.runs.items()
    }
_doors = {
    name: Door(title, text, screen.script, *query)
    for screen in SCREENS.values()
    for name, (title, text, *query) in screen.doors.items()
}
doors.DOORS |= {name: _doors[name] for name in DOORS_IN_ORDER}
