"""All that a person can set, as one frozen value."""

from collections.abc import Iterable, Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from typing import Any, Protocol, runtime_checkable

from app.csv_file import digest_of
from app.drawing import LABEL, NAMES, Drawing
from app.engine.experiment import Arm, Experiment
from resflow_core.data import DATASETS, Dataset, Table
from resflow_core.flow import FlowConfig
from resflow_core.measure import Edited
from resflow_core.settings import Setting, check, name_of, setting, settings_of
from resflow_core.training.device import DEVICES
from resflow_core.training.trainer import MOST_SEED, TrainConfig


@runtime_checkable
class Edits(Protocol):
    """A bench that may edit a block in all that is looked at: scale its branch, or change its weights."""

    def edited(self, flow: FlowConfig) -> Edited | None:
        """What it makes of which block of such a flow; None where it leaves all as they are."""
        ...

    def whole(self) -> Any:
        """The same bench, with no block edited."""
        ...

    def with_trained_weights(self) -> Any:
        """The same bench, with no weight changed."""
        ...

    def misfit(self, flow: FlowConfig) -> str:
        """Why its changes of weights are of no such flow, as a sentence; "" where they are, or there are none."""
        ...


def edited_by(benches: Iterable[Any], flow: FlowConfig) -> Edited | None:
    """What one of the benches makes of a block of such a flow."""
    found = (bench.edited(flow) for bench in benches if isinstance(bench, Edits))
    return next((edited for edited in found if edited), None)


Changes = tuple[tuple[int, TrainConfig], ...]
"""(steps done, how to train from there on), ascending."""


@dataclass(frozen=True)
class View:
    """A choice that has nothing but a name."""

    title: str


@dataclass(frozen=True)
class CsvChoice:
    """Columns of somebody's CSV file, as a link can say them; `label` is "" for none."""

    name: str
    digest: str
    x: str
    y: str
    label: str = ""


@dataclass(frozen=True)
class OwnData:
    """A drawing, or what was chosen of a CSV file; and the points that it holds."""

    choice: CsvChoice | Drawing
    table: Table = field(compare=False, repr=False)

    @property
    def drawing(self) -> Drawing | None:
        return self.choice if isinstance(self.choice, Drawing) else None

    @property
    def file(self) -> CsvChoice:
        """The file that holds these points, as a link asks for it."""
        if isinstance(self.choice, CsvChoice):
            return self.choice
        x, y = NAMES
        label = LABEL if self.choice.labels else ""
        return CsvChoice(self.choice.name, digest_of(self.choice.file), x, y, label)


def drawn(drawing: Drawing) -> OwnData:
    """A drawing as data. Raises DrawingError."""
    return OwnData(drawing, drawing.table)


@dataclass(frozen=True)
class FlowFile:
    """Somebody's saved flow, as a link can say it."""

    name: str
    digest: str


@dataclass(frozen=True)
class SavedFlow:
    """A saved flow, and the contents of its file (`resflow_core.api.flow_file`)."""

    file: FlowFile
    weights: bytes = field(compare=False, repr=False)


@dataclass(frozen=True)
class Setup:
    """What is trained and how. `train` holds at step 0, and may change while it trains; `changes` are planned ahead.
    Anything else makes another run."""

    data: str = setting("checkerboard", "Data set", "The data that the flow learns.", choices=DATASETS)
    seed: int = setting(0, "Seed", "The same seed and settings give the same run.", low=0, high=MOST_SEED, rare=True)
    device: str = setting(
        "auto", "Device", "The device that trains the flow. Auto chooses the faster one.", choices=DEVICES, rare=True
    )
    flow: FlowConfig = field(default_factory=FlowConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    own: OwnData | None = None  # in the place of `data`
    start: SavedFlow | None = None  # weights to start from, of a flow with the settings `flow`
    changes: Changes = ()

    def __post_init__(self):
        check(self)

    @property
    def dataset(self) -> Dataset:
        return self.own.table if self.own else DATASETS[self.data]

    @property
    def source(self) -> str | Table:
        """The data as an arm names them."""
        return self.own.table if self.own else self.data

    def experiment(self) -> Experiment:
        weights = self.start.weights if self.start else None
        return Experiment((Arm(self.flow, self.train, self.source, self.changes, weights),), self.seed, self.device)

    def same_run(self, other: "Setup") -> bool:
        """Whether the one can become the other without building another flow."""

        def built(setup: "Setup") -> tuple:
            return setup.data, setup.own, setup.seed, setup.device, setup.flow, setup.start

        return built(self) == built(other)


def in_force(setup: Setup, step: int) -> TrainConfig:
    """How its run trains when so many steps are done."""
    return next((train for since, train in reversed(setup.changes) if since <= step), setup.train)


def changed(setup: Setup, step: int, train: TrainConfig) -> Setup:
    """The same run up to a step, and with other settings from it on; what was planned for that step or later is given
    up."""
    return replace(setup, changes=(*(change for change in setup.changes if change[0] < step), (step, train)))


def parts(config: Any) -> Iterator[tuple[Field, Setting | None, Any]]:
    """(field, setting, value) of each field; the setting is None for a configuration inside this one."""
    own = settings_of(config)
    for f in fields(config):
        value = getattr(config, f.name)
        if f.name in own:
            yield f, own[f.name][1], value
        elif is_dataclass(value) and settings_of(value):
            yield f, None, value


Entry = tuple[str, Setting, Any]
"""A setting by its name in links and widgets (those of a variant under "name."), its limits, and its value or key."""


def entries(config: Any, prefix: str = "") -> Iterator[Entry]:
    """Every setting of a configuration."""
    for part, limits, value in parts(config):
        if limits is None:
            yield from entries(value, prefix)
        else:
            yield from _entry(prefix + part.name, limits, value)


def differences(before: Any, after: Any, prefix: str = "") -> Iterator[Entry]:
    """The settings by which one configuration becomes another of its kind; all of a variant where its kind changes."""
    for part, limits, value in parts(after):
        old, key = getattr(before, part.name), prefix + part.name
        if limits is None:
            yield from differences(old, value, prefix)
        elif limits.is_variant and type(old) is type(value):
            yield from differences(old, value, f"{key}.")
        elif value != old:
            yield from _entry(key, limits, value)


def _entry(key: str, limits: Setting, value: Any) -> Iterator[Entry]:
    yield key, limits, name_of(value, limits) if limits.choices else value
    if limits.is_variant:
        yield from entries(value, f"{key}.")


def as_text(numbers: tuple[float, ...]) -> str:
    """Numbers in a row as people type them."""
    return ", ".join(map(repr, numbers))


def widget_values(config: Any, prefix: str = "") -> dict[str, Any]:
    """What the widgets of a configuration hold, by their keys."""
    return {key: as_text(value) if isinstance(value, tuple) else value for key, _, value in entries(config, prefix)}
