"""Programs of what is measured against the dimension: time and noise of a step, memory, and bits per dimension."""

from app.engine.experiment import Arm
from app.takeaway.source import Source, program
from app.takeaway.training import Run, arithmetic, trained
from resflow_core.measure.scaling import Plan
from resflow_core.measure.survey import SurveyPlan

SCALING = """
Measure a training step by the exact log det and by an estimate, against the dimension.

The exact log det carries d tangents through each block. An estimate takes some vector-Jacobian products, however large
d is, but adds noise: V_e = E |estimate - gradient|^2 beside the variance V_b that batches have anyway. To reach a given
error, time t (V_b + V_e) counts (Chen, Behrmann, Duvenaud & Jacobsen, NeurIPS 2019, section 3.1). Times differ from
machine to machine; variances do not.
"""


def of_scaling(plan: Plan, seed: int) -> str:
    """Of one shape of flow in all dimensions of a plan."""
    source = Source()
    source.use("by_dim", "crossing", of="resflow_core.measure")
    source.use("Subject", of="resflow_core.measure.scaling")
    settings = [
        "# The flow, the estimate and the dimensions. Data are moons side by side, d / 2 of them.",
        f"plan = {source.value(plan)}",
    ]
    pieces = [
        "# For every dimension some exact steps, each with a batch of its own, and estimates of one batch's gradient.",
        "found = []",
        "for dim in plan.dims:",
        f"    subject = Subject(plan, dim, seed={seed})",
        "    found += [subject.piece(k) for k in range(plan.exact_steps + plan.estimates)]",
    ]
    table = [
        "# Medians of the times, and variances over the squared length of the gradient.",
        "rows = by_dim(found)",
        "for at in rows:",
        '    print(f"d = {at.dim}, added variance: {at.variance.value:.4f} ± {at.variance.standard_error:.4f}")',
        '    print(f"d = {at.dim}, variance of the batch: {at.sampling.value:.4f} ± {at.sampling.standard_error:.4f}")',
        "    exact, estimate = 1e3 * at.exact_seconds, 1e3 * at.estimate_seconds",
        '    print(f"d = {at.dim}, CPU time of a step: exact {exact:.1f} ms, estimate {estimate:.1f} ms")',
        "dims = [at.dim for at in rows]",
        "at = crossing(dims, [at.exact_seconds for at in rows], [at.estimate_seconds for at in rows]).dim",
        'print("By time the estimate is cheaper", f"from d = {at:.0f} on" if at else "in none of these dimensions")',
    ]
    return program(SCALING, source, arithmetic(""), "\n".join(settings), "\n".join(pieces), "\n".join(table))


MEMORY = """
Count the bytes that the gradient of the log det needs, by every way to differentiate its series.

Term by term all n terms of all m blocks wait for the backward pass: O(nm). The Neumann series needs O(m) (Theorem 2 of
Chen, Behrmann, Duvenaud & Jacobsen, NeurIPS 2019), the gradient in the forward pass O(n), and both together O(1).
"""


def of_memory(plan: SurveyPlan, drawn: str = "peak", alone: bool = True) -> str:
    """Of the largest flow and series of a plan. `drawn` is a field of `Footprint`. `alone` leaves out what the same
    loss needs without a log det."""
    source = Source()
    source.use("GRADIENTS", of="resflow_core.gradients")
    source.use(*["NoLogDet"] * alone, "cost", "footprint", "subject", of="resflow_core.measure.memory")
    settings = [
        "# The largest flow and series, at some points x ~ N(0, I).",
        f"plan = {source.value(plan)}",
        "flow, x = subject(plan.flow, plan.batch, torch.Generator().manual_seed(0))",
        "",
        "def draws():  # the probes: the same for every way",
        "    return torch.Generator().manual_seed(1)",
    ]
    ways = [
        "# Bytes of one forward and backward pass; time and noise of some passes.",
        *([f"base = footprint(flow, x, NoLogDet(), draws()).{drawn}  # the same loss without a log det"] * alone),
        "for name in GRADIENTS:",
        "    log_det = rf.Truncated(plan.terms, gradient=name)",
        f"    needed = footprint(flow, x, log_det, draws()).{drawn}{' - base' * alone}",
        "    found = cost(flow, x, log_det, draws(), plan.draws)",
        "    title, noise = GRADIENTS[name].title, found.variance",
        '    print(f"{title}: {needed:,} bytes")',
        '    print(f"{title}, CPU time of a pass: {1e3 * found.seconds:.1f} ms")',
        '    print(f"{title}, variance: {noise.value:.4f} ± {noise.standard_error:.4f}")',
    ]
    return program(MEMORY, source, arithmetic(""), "\n".join(settings), "\n".join(ways))


BITS = """
Train a residual flow on images of digits, and count its bits per dimension.

Grey levels v = 0, ..., 16 become x = (v + u) / 17 with uniform noise u, and the flow learns their logits, d = 64:

    bits = mean of -log2 p(x) / d + log2 17

by the exact log det. It is an upper bound of what the discrete images need (section 5.1 of Chen, Behrmann, Duvenaud &
Jacobsen, NeurIPS 2019). Training itself never computes an exact log det.
"""


def of_digits(arm: Arm, seed: int, step: int, fingerprint: str = "", device: str = "cpu") -> str:
    """The flow of the digits after so many steps."""
    source, run = Source(), Run(arm, seed, step, fingerprint, device)
    source.use("held_out_bits", "gaussian_bits", of="resflow_core.measure")
    lines = [
        "# Bits per dimension of held-out images, with the standard error over images, and those of the best Gaussian.",
        "bits = held_out_bits(trainer.evaluated, data)",
        'print(f"Flow: {bits.value:.4f} ± {bits.standard_error:.4f} bits per dimension")',
        "best = gaussian_bits(data)",
        'print(f"Gaussian: {best.value:.4f} ± {best.standard_error:.4f} bits per dimension")',
    ]
    return program(BITS, source, *trained(source, run), "\n".join(lines))
