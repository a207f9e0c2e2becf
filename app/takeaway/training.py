"""The part of a program that trains: the flow, its settings, the data, the seed, and the changes on the way.

A run has the same digits where the same backend computes it (`resflow_core.training.compilation.fingerprint`): the
library and its versions, the instructions of the processor, and the number of threads.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.engine.experiment import Arm
from app.engine.records.train_schedule import TrainSchedule
from app.engine.training.backends import NUMBA
from app.engine.training.job_records import DIGITS
from app.setup import Changes, Setup
from app.takeaway.source import Source, call, comment, literal, mapped
from resflow_core.data import DATASETS, Table
from resflow_core.data.real import Columns
from resflow_core.hybrid import HybridConfig
from resflow_core.measure import Edited
from resflow_core.training.trainer import TrainConfig

POINTS, START = "points.csv", "start.safetensors"
"""The files that a program may need beside it (`files`)."""


@dataclass(frozen=True)
class Run:
    """A flow on the page: what was trained, from which seed, how far, and by what.

    `fingerprint` is `ArmReport.fingerprint`, and `device` is `Report.device`. `edited` is a block that is changed by
    hand in all that is looked at.
    """

    arm: Arm
    seed: int
    step: int
    fingerprint: str = ""
    device: str = "cpu"
    edited: Edited | None = None

    @classmethod
    def of(cls, setup: Setup, *, changes: Changes | None = None, step: int, **more: Any) -> "Run":
        """The page's run after so many steps. `setup` is how it began. `changes` are those that were made
        (`ArmReport.changes`); without them those that are planned."""
        weights = setup.start.weights if setup.start else None
        planned = setup.changes if changes is None else changes
        return cls(Arm(setup.flow, setup.train, setup.source, planned, weights), setup.seed, step, **more)

    @property
    def backend(self) -> str:
        """One of `resflow_core.training.trainer.BACKENDS`."""
        return NUMBA if NUMBA in self.fingerprint and not self.arm.by_torch else "torch"

    @property
    def train(self) -> TrainConfig:
        """How it trains when all steps are done."""
        return TrainSchedule.of(self.arm).at(self.step)


def files(run: Run) -> dict[str, bytes]:
    """What the program reads, by name: somebody's own points, and the weights that it starts from. Empty for most."""
    found = {}
    if isinstance(run.arm.data, Table):
        found[POINTS] = points_file(run.arm.data)
    if run.arm.weights is not None:
        found[START] = run.arm.weights
    return found


def points_file(table: Table) -> bytes:
    """The columns x and y of somebody's own data, in their own units and with all digits, and their classes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    named = [] if table.labels is None else [table.labels]
    writer.writerow(["x", "y", *["class"] * len(named)])
    writer.writerows(zip(*(map(repr, column) for column in table.values.T.tolist()), *named, strict=True))
    return out.getvalue().encode()


def arithmetic(fingerprint: str) -> str:
    """The section that lets torch compute as the process did that trained on the page."""
    by = f"\n{comment(f'There it was computed by {fingerprint}.')}" if fingerprint else ""
    return (
        "# The process behind the page computes with one thread, and rounds numbers below 1e-38 to 0. Other settings\n"
        "# and other backends round in other ways: their digits are close, and not the same."
        f"{by}\n"
        "torch.set_flush_denormal(True)\n"
        "torch.set_num_threads(1)"
    )


def data_lines(source: Source, data: Any, *, labelled: bool) -> list[str]:
    """The lines that make `data`. Somebody's own points are read from the file `POINTS`."""
    if isinstance(data, str) and (data == DIGITS or isinstance(DATASETS[data], Columns)):
        source.need("data")
    if isinstance(data, str) and data == DIGITS:
        source.use("DIGITS", of="resflow_core.data.digits")
        return ["data = DIGITS"]
    if isinstance(data, str):
        return [f"data = rf.DATASETS[{literal(data)}]"]
    source.use_module("numpy as np")
    how = f'"{POINTS}", delimiter=",", skiprows=1'
    lines = [f"xy = np.loadtxt({how}, usecols=(0, 1))"]
    arguments = [literal(data.title), source.value(data.names), "xy"]
    if labelled and data.labels is not None:
        lines.append(f"""labels = np.loadtxt({how}, usecols=2, dtype=str, quotechar='"', comments=None).tolist()""")
        arguments.append("labels=tuple(labels)")
    told = "# `Table` holds 30 % of the rows out, and standardises all by mean and deviation of the others."
    return [*lines, told, f"data = {call('rf.Table', arguments)}"]


def settings(source: Source, run: Run) -> str:
    """The section with the flow, how it is trained, and the data. Sets `config`, `train` and `data`."""
    lines = [
        "# The flow, how it is trained, and the data. What is not named has the library's default.",
        f"config = {source.value(run.arm.flow)}",
        f"train = {source.value(TrainSchedule.of(run.arm).at(0))}",
        *data_lines(source, run.arm.data, labelled=isinstance(run.arm.flow, HybridConfig)),
    ]
    return "\n".join(lines)


def backend(source: Source, run: Run) -> list[str]:
    """What tells a trainer to compute as the run was computed."""
    if run.backend == "torch":
        return []
    source.need("fast")
    return [f"backend={literal(run.backend)}"]


def training(source: Source, run: Run) -> str:
    """The section that trains. Sets `trainer`."""
    arguments = ["config", "train", "data", f"seed={run.seed}", f"device={literal(run.device)}"]
    arguments += ["exact_losses=False"] if run.arm.flow.dim != 2 else []
    arguments += backend(source, run)
    lines = [
        "# Maximum likelihood (section 3 of the paper): each step lowers the mean of -log p(x) over a batch, by Adam.",
        f"trainer = {call('rf.Trainer', arguments)}",
    ]
    if run.arm.weights is not None:
        lines += [
            f'start = rf.from_bytes(open("{START}", "rb").read(), {run.arm.flow.dim})',
            "trainer.flow.load_state_dict(start.state_dict())",
        ]
    changes = dict(TrainSchedule.of(run.arm).changes(run.step - 1))
    if changes:
        lines.append(f"changes = {changed(source, changes)}  # steps done: the settings from there on")
    lines.append(f"for {'step' if changes else '_'} in range({run.step}):")
    if changes:
        lines += ["    if step in changes:", "        trainer.configure(changes[step])"]
    return "\n".join([*lines, "    trainer.step()"])


def changed(source: Source, changes: Mapping[int, TrainConfig]) -> str:
    """A dict of settings by steps."""
    return mapped({str(step): source.value(train) for step, train in changes.items()})


def looked_at(source: Source, run: Run) -> str:
    """The line that sets `flow` to what is looked at: with averaged weights, and with a block that is edited."""
    averaged = "  # its weights are averaged over the last steps" if run.train.average else ""
    lines = [f"flow = trainer.evaluated{averaged}"]
    if run.edited is not None:
        lines += [
            "# One block is changed by hand in all that is looked at. Blocks, layers, rows and columns count from 0.",
            f"edited = {source.value(run.edited)}",
            "flow = edited.of(flow)",
        ]
    return "\n".join(lines)


def trained(source: Source, run: Run) -> list[str]:
    """The sections of a program up to a trained `trainer`."""
    return [arithmetic(run.fingerprint), settings(source, run), training(source, run)]
