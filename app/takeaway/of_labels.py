"""The program of a hybrid that is told the classes of a few points alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.takeaway.source import Source, arguments, call, comment, literal, program
from app.takeaway.training import arithmetic
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import HybridTrainConfig

ABOUT = """
Train a flow with a classifier that is told the classes of a few points alone, and count how often it is right.

    J = mean of lambda log p(x) over all points + mean of log p(y|x) over the few whose class is told

p(y|x) reads the flow's latent z = f(x) (section 5.4 of Chen, Behrmann, Duvenaud & Jacobsen, NeurIPS 2019). With
lambda > 0 the points without a class teach the flow too. To have another cell of the table, change the settings.
"""


@dataclass(frozen=True)
class FewTold:
    """One cell: data with `noise` further coordinates, how many `labels` are told, and from which seed of `seeds` the
    flow starts.

    Each seed is told other held-out points, and none is judged at those of any seed. `untold` stands for a class that
    is not told, and noise of held-out points is drawn by `noise_seed`. Held-out `accuracy`, in per cent, is what the
    page shows of this cell.
    """

    data: str
    labels: int
    noise: int
    seed: int
    seeds: int
    flow: FlowConfig
    train: HybridTrainConfig
    steps: int
    untold: int
    noise_seed: int
    accuracy: float


def of_few_labels(cell: FewTold) -> str:
    """Trains it, and prints its accuracy at held-out points."""
    source = Source()
    sections = arithmetic(""), _settings(cell), _data(source, cell), _training(source, cell)
    return program(ABOUT, source, *sections)


def _settings(cell: FewTold) -> str:
    values = cell.data, cell.labels, cell.noise, cell.train.weight, cell.seed
    given = ", ".join(literal(value) if isinstance(value, str) else repr(value) for value in values)
    return "\n".join(
        [
            "# Data, labels that are told, coordinates of noise, the weight lambda, and the seed.",
            f"name, labels, noise, weight, seed = {given}",
            comment(f"The page has {cell.accuracy:.4f} % for these, and a table (CSV) of all others."),
            f"judged_from = {cell.seeds} * labels  # of {cell.seeds} seeds, none is judged at what any is told",
        ]
    )


def _data(source: Source, cell: FewTold) -> str:
    lines = [
        "# Draws whose class is not told, but for the first of each batch. Noise says nothing of the class.",
        "toy = rf.DATASETS[name]",
        "",
        "def among_noise(x, generator):",
        "    return torch.cat([x, torch.randn(len(x), noise, generator=generator)], 1)",
        "",
        "class FewLabels:",
        "    title, classes = toy.title, toy.classes",
        "",
        "    def sample(self, n, generator):",
        "        return among_noise(toy.sample(n, generator), generator)",
        "",
        "    def sample_labelled(self, n, generator):",
        f"        x, y = self.sample(n, generator), torch.full((n,), {cell.untold})  # the loss leaves these out",
        "        told = slice(seed * labels, (seed + 1) * labels)  # always the same held-out points",
        "        x[:labels], y[:labels] = self.held_out()[told], toy.held_out_classes()[told]",
        "        return x, y",
        "",
        "    def held_out(self):",
        f"        return among_noise(toy.held_out(), torch.Generator().manual_seed({cell.noise_seed}))",
    ]
    return "\n".join(lines)


def _training(source: Source, cell: FewTold) -> str:
    source.use("HybridConfig", of="resflow_core.hybrid")
    source.use("classification", "log_class_probs", of="resflow_core.measure")
    plane = replace(cell.flow, dim=FlowConfig().dim)
    flow = _with(source, plane, "dim=2 + noise")
    train = _with(source, replace(cell.train, weight=HybridTrainConfig().weight), "weight=weight")
    return "\n".join(
        [
            "# Training, and the classes of held-out points.",
            f"config = HybridConfig({flow}, len(toy.classes))",
            f"train = {train}",
            "data = FewLabels()",
            "trainer = rf.Trainer(config, train, data, seed)",
            f"for _ in range({cell.steps}):",
            "    trainer.step()",
            "x, y = data.held_out()[judged_from:], toy.held_out_classes()[judged_from:]",
            "scores = classification(log_class_probs(trainer.evaluated_model, x), y)",
            'print(f"Accuracy: {100 * scores.accuracy.value:.4f} %")',
        ]
    )


def _with(source: Source, config: FlowConfig | HybridTrainConfig, *more: str) -> str:
    """The call that makes `config`, with some arguments that the program's settings give."""
    given: Sequence[str] = arguments(source, config)
    return call(source.name_of(type(config)), [*given, *more])
