"""The program of one training step in its parts."""

from dataclasses import replace

from app.engine.records.train_schedule import TrainSchedule
from app.takeaway.source import Source, program
from app.takeaway.training import Run, trained

ABOUT = """
Train a residual flow up to one step, and take that step apart.

    batch x -> z = f(x) and log det -> loss -log p(x) -> gradient -> update of the weights

The truth beside it has the exact log det in float64. Training may estimate the log det (Theorems 1 and 2 of Chen,
Behrmann, Duvenaud & Jacobsen, NeurIPS 2019).
"""
GRID, PLACES = 40, 400


def of_step(run: Run) -> str:
    """The last step of a run that has taken at least one. Raises ValueError for one that has taken none."""
    if run.step < 1:
        raise ValueError(f"step = {run.step}: there is no step to take apart. Give a run that has taken one at least.")
    source, before = Source(), replace(run, step=run.step - 1)
    source.use("step_in_parts", of="resflow_core.training.step_parts")
    source.use("grid_points", of="resflow_core.measure")
    train, last = TrainSchedule.of(run.arm), before.step
    lines = [f"# Step {run.step:,} with all that it does, and the density before and after it on a grid."]
    if last and train.at(last) != train.at(last - 1):
        lines.append(f"trainer.configure({source.value(train.at(last))})")
    lines.append(f"parts = step_in_parts(trainer, grid_points(data.window, {GRID}), {PLACES})")
    numbers = [
        "# Means over the batch with their standard errors, in nats.",
        "for name, values in {",
        '    "Loss": parts.loss,',
        '    "Loss by the exact log det": parts.true_loss,',
        '    "Log det": parts.log_det,',
        '    "Exact log det": parts.true_log_det,',
        '    "Gain by the step": parts.true_loss_after - parts.true_loss,',
        "}.items():",
        "    values = values.astype(float)",
        "    error = values.std(ddof=1) / len(values) ** 0.5",
        '    print(f"{name}: {values.mean():.5f} ± {error:.5f} nats")',
        'print(f"Norm of the gradient: {parts.gradient_norm:.5g}")',
        'print(f"Norm of the gradient by the exact log det: {parts.true_gradient_norm:.5g}")',
        'print(f"Learning rate: {parts.learning_rate:.5g}, norm of the update: {parts.update_norm:.5g}")',
        'print(f"Cosine between the update and the negative gradient: {parts.update_cosine:.4f}")',
    ]
    return program(ABOUT, source, *trained(source, before), "\n".join(lines), "\n".join(numbers))
