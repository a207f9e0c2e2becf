"""What the menu *Take it with you* offers beside pictures and their numbers: weights of flows, tables, a comparison."""

import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from app import metrics, session
from app.components import take
from app.components.take import File
from app.engine.experiment import Arm
from app.engine.reports import MOVING, ArmReport, Report
from app.engine.training.measurements.point import AtPoint
from app.takeaway import training
from app.takeaway.notebook import notebook
from app.takeaway.of_run import of_trained
from app.takeaway.programs import PROGRAMS
from app.takeaway.training import POINTS, START, Run
from app.text import csv_of, file_name
from app.ui import share
from resflow_core.data import Table
from resflow_core.flow import FlowConfig

Contents = Callable[[], bytes]
BINARY, ZIP = "application/octet-stream", "application/zip"
LIVE = "live"
"""The name under which the live picture offers itself to menus (`app/web/live/element.js`)."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member of an archive: equal contents make equal bytes."""


def of_run(report: Report, step: int | None = None) -> None:
    """The menu of the page's run, beside its buttons: with the live picture, where that is on the page. `step` is that
    of an earlier moment, which the page shows."""
    take.menu(run_files(report, step), key="take_run", of=LIVE)


def run_files(report: Report, step: int | None = None) -> list[File]:
    """The weights of the page's flow, and the program that trains it to where it is shown."""
    setup = session.setup()
    name = file_name(setup.own.choice.name if setup.own else setup.data)
    found = [File("Weights of the flow", f"{name}.safetensors", session.flow_saver(), BINARY, "Flow")]
    if not report.arms:
        return found
    readouts = metrics.readouts(setup.dataset, setup.train.log_det, report.arms[0]) if step is None else ()
    found += behind(name, of_trained, run := run_of(report, step), readouts, needs=run)
    return found if step is not None else found + _looked_at(report, run)


def _looked_at(report: Report, run: Run) -> list[File]:
    """The programs of what the live picture shows of the newest flow: a chosen point, and a step in its parts."""
    (arm,) = report.arms
    files = []
    if at := arm.found(AtPoint):
        files += behind("point", PROGRAMS["point"], run, at.x, about="the chosen point")
    if arm.parts and arm.parts.step == arm.step == run.step and report.state not in MOVING:
        files += behind("step", PROGRAMS["step"], run, about="the last step in its parts")
    return files


def run_of(report: Report, step: int | None = None) -> Run:
    """The page's run as a program repeats it, up to its newest step or an earlier one."""
    (arm,) = report.arms
    return Run.of(
        session.shareable(),
        step=arm.step if step is None else step,
        fingerprint=arm.fingerprint,
        device=report.device,
        edited=session.edited(),
    )


def behind(name: str, made: Callable[..., str], *of: Any, needs: Run | None = None, about: str = "") -> list[File]:
    """A program as a script and as a notebook, `made` of these values when it is asked for, and what that of a run
    reads. `about` tells it from other programs of the same menu."""
    more = f": {about}" if about else ""
    files = [
        File(f"Python script{more}", f"{name}.py", lambda: made(*of), "text/x-python", "Program"),
        File(f"Notebook{more}", f"{name}.ipynb", lambda: notebook(made(*of)), "application/x-ipynb+json", "Program"),
    ]
    return files if needs is None else files + [_read(needs, one) for one in needed(needs)]


def needed(run: Run) -> list[str]:
    """The names of the files that the program of a run reads."""
    own, started = isinstance(run.arm.data, Table), run.arm.weights is not None
    return [POINTS] * own + [START] * started


def _read(run: Run, name: str) -> File:
    return File(f"{name}, which it reads", name, lambda: training.files(run)[name], BINARY, "Program")


def behind_arms(name: str, arms: Mapping[str, Arm], seeds: Sequence[int], report: Report) -> list[File]:
    """The program of a comparison: `arms` by their labels, each from all `seeds`, up to the step of now."""
    first, step = report.arms[0], report.arms[0].step
    files = behind(name, PROGRAMS["comparison"], arms, seeds, step, first.fingerprint)
    run = Run(next(iter(arms.values())), seeds[0], step)
    return files + [_read(run, one) for one in needed(run) if one == POINTS]


def member(text: str) -> str:
    """`text` as the name of a file in lower case: letters, digits, dots, and hyphens for all else."""
    return re.sub(r"[^\w.]+", "-", text[:80].lower()).strip("-_.") or "file"


def tables(stem: str, contents: Mapping[str, Contents]) -> list[File]:
    """CSV files by their titles."""
    return [File(f"CSV: {title}", f"{stem}-{member(title)}.csv", made) for title, made in contents.items()]


def comparison(name: str, stem: str, arms: Mapping[str, Arm], contents: Mapping[str, Contents]) -> list[File]:
    """The files of the comparison `name`, which trains these `arms`: its tables, and all of it as one archive."""

    def archive() -> bytes:
        made = {title: one() for title, one in contents.items()}
        return zipped(stem, made, weights(name, arms), share.link_of_settings())

    whole = File("Tables, curves and weights (zip)", f"{stem}.zip", archive, ZIP, "Comparison")
    return [*tables(stem, contents), whole]


def weights(name: str, arms: Mapping[str, Arm]) -> dict[str, tuple[bytes | None, bool]]:
    """The newest flow of each arm as a file, None where it cannot be had, and whether it is a residual flow."""
    return {
        label: (session.exported(name, k), isinstance(arm.flow, FlowConfig))
        for k, (label, arm) in enumerate(arms.items())
    }


def zipped(
    stem: str, contents: Mapping[str, bytes], flows: Mapping[str, tuple[bytes | None, bool]], address: str
) -> bytes:
    """Tables, weights, and a text that says what each of them is."""
    members: dict[str, bytes] = {f"{member(title)}.csv": data for title, data in contents.items()}
    lines = [f"{name}: the table “{title}” as CSV." for name, title in zip(members, contents, strict=True)]
    for k, (label, (data, is_residual)) in enumerate(flows.items(), 1):
        name = f"weights/{k}-{member(label)}.safetensors"
        if data is None:
            lines.append(f"The weights of “{label}” could not be had: its flow is not built, or was dropped.")
        else:
            members[name] = data
            how = f'resflow_core.load("{name}")' if is_residual else f'safetensors.torch.load_file("{name}")'
            lines.append(f"{name}: weights of “{label}”; read them with {how}.")
    told = [
        f"The comparison {stem}, as it stood when this was saved.",
        f"Settings: {address}",
        "",
        *lines,
        "",
        "CSV files are UTF-8, with the names of their columns in the first row. NLL and KL are in nats, of",
        "standardised data; names that end with _se are standard errors. The app opens the weights of residual flows",
        "under Open a flow.",
    ]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"README.txt": ("\n".join(told) + "\n").encode(), **members}.items():
            archive.writestr(zipfile.ZipInfo(f"{stem}/{name}", EPOCH), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def by_seed(labels: Sequence[str], arms: Sequence[ArmReport]) -> bytes:
    """The newest numbers of each flow as CSV."""
    return csv_of({"flow": label, "step": arm.step, "seconds": arm.seconds, **measured(arm, -1)}
                  for label, arm in zip(labels, arms, strict=True))  # fmt: skip


def by_step(labels: Sequence[str], arms: Sequence[ArmReport]) -> bytes:
    """Every held-out measurement of each flow as CSV."""
    return csv_of(
        {"flow": label, "step": int(arm.loss.held_step[at]), **measured(arm, at)}
        for label, arm in zip(labels, arms, strict=True)
        if arm.loss
        for at in range(len(arm.loss.held_step))
    )


COLUMNS = {"nll": "held_nll", "nll_se": "held_se", "kl": "held_kl", "kl_se": "held_kl_se"}


def measured(arm: ArmReport, at: int) -> dict[str, Any]:
    """Held-out numbers of one measurement, as far as there are some."""
    if arm.loss is None or not len(arm.loss.held_step):
        return {}
    found = {name: getattr(arm.loss, field) for name, field in COLUMNS.items()}
    return {name: float(values[at]) for name, values in found.items() if len(values)}


def menu(files: Sequence[File], *, key: str) -> None:
    """A menu of files alone."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        take.menu(files, key=key)
