"""All that a person can set, as one frozen value, and as the link that says it."""

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any

from app.engine.messages import Arm, Experiment
from resflow_core.datasets import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.settings import Setting, check, refusal, setting, settings_of
from resflow_core.training import MOST_SEED, TrainConfig


@dataclass(frozen=True)
class Setup:
    """What is trained and how. `train` may change while it trains; anything else makes another run."""

    data: str = setting("checkerboard", "Data set", "What the flow learns.", choices=DATASETS)
    seed: int = setting(0, "Seed", "The same seed and settings give the same run.", low=0, high=MOST_SEED)
    flow: FlowConfig = field(default_factory=FlowConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self):
        check(self)

    def experiment(self) -> Experiment:
        return Experiment((Arm(self.flow, self.train, self.data),), self.seed)

    def same_run(self, other: "Setup") -> bool:
        """Whether the one can become the other without building another flow."""
        return (self.data, self.seed, self.flow) == (other.data, other.seed, other.flow)


def name_of(value: Any, limits: Setting) -> str:
    """The key of a choice: the value itself, or the name of a variant's class in the registry."""
    return next(k for k, c in limits.choices.items() if c is type(value)) if limits.is_variant else value


def query_of(config: Any, prefix: str = "") -> dict[str, str]:
    """Every setting of a configuration as text, variants' own settings under "name." """
    query = {}
    for part, limits, value in _parts(config):
        name = part.name
        if limits is None:
            query |= query_of(value, prefix)
        elif limits.is_variant:
            query |= {prefix + name: name_of(value, limits)} | query_of(value, f"{prefix}{name}.")
        else:
            query[prefix + name] = repr(value) if isinstance(value, float) else str(value)
    return query


def setup_from(query: Mapping[str, str]) -> tuple[Setup, list[str]]:
    """The setup that a link asks for, and a sentence for each part of it that was refused and left at its default."""
    unread, refused = dict(query), []
    setup = _read(Setup(), unread, refused, "")
    refused += [f"`{_plain(name)}`: there is no such setting." for name in unread]
    return setup, refused


def _plain(text: str) -> str:
    """Somebody else's text, fit to be shown in a message: short, printable, and without Markdown's quotes."""
    return "".join(c for c in text[:40] if c.isprintable() and c != "`")


def _read(default: Any, unread: dict[str, str], refused: list[str], prefix: str) -> Any:
    """`default` with the values that `unread` holds for it, which are taken out."""
    values = {}
    for part, limits, value in _parts(default):
        name, kind = part.name, part.type
        if limits is None:
            values[name] = _read(value, unread, refused, prefix)
            continue
        text = unread.pop(prefix + name, None)
        if text is not None:
            parsed = _parse(text, kind, limits)
            problem = refusal(parsed, kind, limits)
            if problem and limits.is_variant:
                problem = f"use one of {', '.join(limits.choices)}."
            if problem:
                shown = name_of(value, limits) if limits.choices else value
                refused.append(f"`{prefix}{name} = {_plain(text)}`: {problem} It stays at {shown}.")
            else:
                value = parsed
        values[name] = _read(value, unread, refused, f"{prefix}{name}.") if limits.is_variant else value
    return type(default)(**values)


def _parts(config: Any) -> Iterator[tuple[Field, Setting | None, Any]]:
    """(field, setting, value) of each field; the setting is None for a configuration inside this one."""
    own = settings_of(config)
    for f in fields(config):
        value = getattr(config, f.name)
        if f.name in own:
            yield f, own[f.name][1], value
        elif is_dataclass(value):
            yield f, None, value


def _parse(text: str, kind: type, limits: Setting) -> Any:
    """The value that a text stands for, or the text itself where it stands for none."""
    if limits.is_variant:
        return limits.choices[text]() if text in limits.choices else text
    if limits.choices is not None:
        return text
    if kind is bool:
        return {"True": True, "False": False}.get(text, text)
    try:
        return kind(text)
    except ValueError:
        return text
