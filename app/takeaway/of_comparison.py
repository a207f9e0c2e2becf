"""Programs of flows that train side by side: as densities, and with a classifier as joint models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.engine.experiment import Arm
from app.engine.records.train_schedule import TrainSchedule
from app.engine.training.backends import differ
from app.takeaway.of_run import has_truth
from app.takeaway.source import Source, literal, mapped, program
from app.takeaway.training import POINTS, Run, arithmetic, backend, changed, data_lines, files
from resflow_core.flow import FlowConfig
from resflow_core.hybrid import HybridConfig
from resflow_core.log_det import Truncated

ABOUT = """
Train several flows on the same data, from the same seeds, and compare them on points that none of them has seen.

Every number is the mean over the seeds, with the smallest and the largest of them.
"""
JOINT = """
Train flows that generate and classify, and compare how right, how sure and how likely held-out points are.

    J = mean of lambda log p(x) + log p(y|x)

p(y|x) reads the flow's latent z = f(x) (section 5.4 of Chen, Behrmann, Duvenaud & Jacobsen, NeurIPS 2019). Every number
is the mean over the seeds, with the smallest and the largest of them.
"""


def of_comparison(arms: Mapping[str, Arm], seeds: Sequence[int], steps: int, fingerprint: str = "") -> str:
    """Flows by their labels, on one data set, each from all seeds."""
    first = next(iter(arms.values()))
    joint = isinstance(first.flow, HybridConfig)
    source = Source()
    run = Run(replace(first, by_torch=differ(arms.values())), seeds[0], steps, fingerprint)
    sections = [
        arithmetic(fingerprint),
        _settings(source, arms, joint),
        _measures(source, arms, first.data, joint),
        _training(source, arms, seeds, run),
    ]
    return program(JOINT if joint else ABOUT, source, *sections)


def files_of(arms: Mapping[str, Arm]) -> dict[str, bytes]:
    """What the program reads, by name: somebody's own points."""
    first = next(iter(arms.values()))
    return {name: data for name, data in files(Run(first, 0, 0)).items() if name == POINTS}


def _settings(source: Source, arms: Mapping[str, Arm], joint: bool) -> str:
    pairs = {
        literal(label): f"({source.value(arm.flow)}, {source.value(TrainSchedule.of(arm).at(0))})"
        for label, arm in arms.items()
    }
    first = next(iter(arms.values()))
    lines = [
        "# The flows and how each is trained. What is not named has the library's default.",
        f"arms = {mapped(pairs)}",
        *data_lines(source, first.data, labelled=joint),
    ]
    return "\n".join(lines)


def _measures(source: Source, arms: Mapping[str, Arm], data: Any, joint: bool) -> str:
    names = ["log_prob", "mean_nll"] + ["kl"] * has_truth(data)
    source.use(*names, of="resflow_core.measure")
    lines = [
        "# What is measured of a flow on held-out points, in nats if nothing else is said.",
        "def measured(trainer):",
        "    x = data.held_out()",
        "    log_p = log_prob(trainer.evaluated, x)",
        '    found = {"NLL": mean_nll(log_p).value}',
    ]
    if has_truth(data):
        lines.append('    found["KL(data || flow)"] = kl(data.truth.log_prob(x), log_p).value')
    if any(isinstance(arm.train.log_det, Truncated) and isinstance(arm.flow, FlowConfig) for arm in arms.values()):
        source.use("log_prob_bias", of="resflow_core.measure")
        lines += [
            "    log_det = trainer.train_config.log_det",
            "    if isinstance(log_det, rf.Truncated):  # biased: what training believes is not so",
            '        found["bias of log p"] = log_prob_bias(rf.evaluate(trainer.evaluated, x), log_det).value',
        ]
    if joint:
        source.use("classification", "far", "log_class_probs", of="resflow_core.measure")
        lines += [
            "    probabilities = log_class_probs(trainer.evaluated_model, x)",
            "    scores = classification(probabilities, data.held_out_classes())",
            '    found["accuracy, %"] = 100 * scores.accuracy.value',
            '    found["-log p(y|x)"] = scores.nll.value',
            '    found["calibration error (ECE)"] = scores.reliability.ece',
            "    # On a circle around the data with a radius of 2.5 half windows: how sure, and how likely.",
            "    away = far(trainer.evaluated_model, data.window, x)",
            "    at = abs(away.distance - 2.5).argmin()",
            '    found["confidence far away, %"] = 100 * away.confidence[at]',
            '    found["log p(x) far away"] = away.log_prob[at]',
        ]
    return "\n".join([*lines, "    return found"])


def _training(source: Source, arms: Mapping[str, Arm], seeds: Sequence[int], run: Run) -> str:
    arguments = ", ".join(["flow", "train", "data", "seed", *backend(source, run)])
    changes = {
        label: dict(found) for label, arm in arms.items() if (found := TrainSchedule.of(arm).changes(run.step - 1))
    }
    lines = ["# Every flow from every seed."]
    if changes:
        pairs = {literal(label): changed(source, of_arm) for label, of_arm in changes.items()}
        lines.append(f"changes = {mapped(pairs)}  # steps done: the settings from there on")
    lines += [
        "for label, (flow, train) in arms.items():",
        "    found = []",
        f"    for seed in {source.value(tuple(seeds))}:",
        f"        trainer = rf.Trainer({arguments})",
        f"        for {'step' if changes else '_'} in range({run.step}):",
    ]
    if changes:
        lines += [
            "            if step in changes.get(label, {}):",
            "                trainer.configure(changes[label][step])",
        ]
    lines += [
        "            trainer.step()",
        "        found.append(measured(trainer))",
        "    for name in found[0]:",
        "        values = [one[name] for one in found]",
        "        mean = sum(values) / len(values)",
        '        print(f"{label}, {name}: {mean:.4f} ({min(values):.4f} to {max(values):.4f})")',
    ]
    return "\n".join(lines)
