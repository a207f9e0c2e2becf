"""Programs of what is looked at of a trained flow: its density, a point, its bounds, an inverse, its units."""

from dataclasses import replace

from app.engine.training.measurements.activity import POINTS
from app.engine.training.measurements.inversion import InversionRequest
from app.estimates.maps import TERMS
from app.estimates.settings import Bench
from app.takeaway.of_matrix import exact
from app.takeaway.of_run import has_truth, mass_lines
from app.takeaway.source import Source, program
from app.takeaway.training import Run, looked_at, trained
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact

STILL, MAP, INVERSE_POINTS = 200, 100, 500
"""Nodes a side of the sharp density, and of the map of moments; points around which an inverse is drawn."""

DENSITY = """
Train a residual flow, and draw its density over the plane.

    log p(x) = log N(f(x); 0, I) + sum over the blocks of log det(I + A),    A = dg/dx        (equation 2)

Chen, Behrmann, Duvenaud & Jacobsen, "Residual Flows for Invertible Generative Modeling", NeurIPS 2019.
"""


def of_density(run: Run) -> str:
    """The density at the nodes of the sharp picture, and what it integrates to."""
    source = Source()
    source.use("density_grid", of="resflow_core.measure")
    lines = [
        f"# The density p(x) at {STILL} x {STILL} nodes over the window: row = second coordinate, ascending.",
        looked_at(source, run),
        f"p = density_grid(flow, data.window, {STILL})",
        'print(f"Largest density on the grid: {p.max():.5g} per unit of area")',
    ]
    mass = ["# Its integral over the whole plane, by quadrature.", *mass_lines(source, run, Exact())]
    share = ['print(f"In the window: {100 * exact.window / exact.value:.2f} %")']
    return program(DENSITY, source, *trained(source, run), "\n".join(lines), "\n".join([*mass, *share]))


POINT = """
Train a residual flow, and take the log density of one point apart.

    log p(x) = log N(z; 0, I) + sum over the blocks of log det(I + A) + sum of ActNorm's log scales

z = f(x) is where the blocks x + g(x) take the point, one after another, and A = dg/dx is taken where it comes to each
(equation 2 of Chen, Behrmann, Duvenaud & Jacobsen, NeurIPS 2019).
"""


def of_point(run: Run, x: tuple[float, float]) -> str:
    """The terms of log p of a point, in the flow's units, and how far training's estimate of each strays."""
    source = Source()
    source.use("terms", of="resflow_core.measure")
    lines = [
        "# The way of the point through the flow, in float64, and its terms in nats.",
        looked_at(source, run),
        f"x = {source.value(tuple(map(float, x)))}",
        "found = terms(flow, x)",
        'print(f"log N(z; 0, I): {found.log_normal:.6f}")',
        "for k, log_det in enumerate(found.log_dets, 1):",
        '    print(f"Block {k}, log det(I + A): {log_det:.6f}")',
        'print(f"ActNorms: {found.actnorm:.6f}")',
        'print(f"log p(x): {found.log_prob:.6f} nats")',
    ]
    if has_truth(run.arm.data):
        lines.append('print(f"log p of the data: {float(data.truth.log_prob(torch.tensor([x]))):.6f} nats")')
    estimated = ""
    if run.train.log_det != Exact():
        source.use("mean_and_deviation", of="resflow_core.estimators.moments")
        how = source.value(run.train.log_det)
        estimated = "\n".join(
            [
                "# What training estimates in their place: mean and standard deviation of each, in closed form.",
                f"means, deviations = mean_and_deviation({how}, torch.from_numpy(found.jacobians))",
                "for k, (mean, deviation) in enumerate(zip(means, deviations), 1):",
                '    print(f"Block {k}, estimate: {mean:.6f}, standard deviation {deviation:.6f}")',
            ]
        )
    return program(POINT, source, *trained(source, run), "\n".join(lines), estimated)


CERTIFICATE = """
Train a residual flow, and compare the Lipschitz bounds of its blocks: claimed, certified and observed.

A block x + g(x) has an inverse if Lip(g) < 1 (section 2 of Chen, Behrmann, Duvenaud & Jacobsen, NeurIPS 2019). The
product of the layers' norms bounds Lip(g). The largest ||A||, A = dg/dx, on data can only be smaller.
"""


def of_certificate(run: Run) -> str:
    """The bounds of every block, and what they guarantee of the whole flow."""
    source = Source()
    source.use("block_table", "guarantees", of="resflow_core.measure")
    lines = [
        "# Every block: the product of its layers' certified norms, and the largest ||A|| at held-out points.",
        looked_at(source, run),
        "evaluation = rf.evaluate(flow, data.held_out())",
        f"blocks = block_table(flow, evaluation, {source.value(run.train.log_det)})",
        "certified, observed = blocks.layer_norms.prod(1), blocks.largest_norm",
        'print(f"Claimed: {config.budget:g}")',
        "for k in range(len(certified)):",
        '    print(f"Block {k + 1}: certified {certified[k]:.5f}, observed {observed[k]:.5f}")',
        'print(f"Largest certified bound: {certified.max():.5f}")',
    ]
    whole = [
        "# The whole flow, from the blocks' bounds alone (Behrmann et al. 2019, lemma 2), and what is seen.",
        "found = guarantees(flow, evaluation)",
        'for name in ("stretch", "log_det", "log_prob"):',
        "    of = getattr(found, name)",
        '    print(f"{name}: between {of.low:.5g} and {of.high:.5g}, seen {of.seen_low:.5g} to {of.seen_high:.5g}")',
    ]
    return program(CERTIFICATE, source, *trained(source, run), "\n".join(lines), "\n".join(whole))


INVERSE = """
Train a residual flow, and undo one of its blocks: z = x + s g(x) is given, and x is looked for.

    x_0 = z,    x_(n+1) = z - s g(x_n)                      (Banach's iteration, section 2 of the paper)

It converges from every z if s L < 1, L = Lip(g). Where det(I + s A) reaches 0, A = dg/dx, the map folds, and some z
have several x or none (Chen, Behrmann, Duvenaud & Jacobsen, NeurIPS 2019).
"""


def of_inverse(run: Run, wanted: InversionRequest) -> str:
    """The inverse of one block as it is drawn, and the walk to the x of one z. `run.edited` scales the block."""
    source = Source()
    source.use("inversion", of="resflow_core.measure")
    source.need("measure")
    source.use("in_double", of="resflow_core.measure.inversion")
    edited = run.edited if run.edited is not None and run.edited.block == wanted.block else None
    scale, changed = (edited.scale, edited.changes) if edited else (1.0, ())
    lines = [
        "# The picture of the block: where it folds, and from how many z the iteration arrives.",
        "flow = trainer.evaluated",
        f"s, z = {source.value(scale)}, {source.value(wanted.z)}  # without a z, one where the map folds first",
    ]
    altered = ""
    if edited and changed:
        weights = source.value(replace(edited, scale=1.0))
        lines += [f"edited = {weights}", "altered = edited.of(flow)  # some of its weights are changed by hand"]
        altered = ", altered"
    blocks = run.arm.flow.blocks if isinstance(run.arm.flow, FlowConfig) else 0
    block = "None" if wanted.block is None else str(min(wanted.block, blocks - 1))
    lines += [
        f"points = data.held_out()[:{INVERSE_POINTS}]",
        f'found = inversion(flow, points, {block}, s, z, "{wanted.method}"{altered})',
        'print(f"Block {found.block + 1}, certified bound s L: {found.lipschitz:.5g}")',
        'print(f"Smallest det(I + s A): {found.det.min():.5g}")',
        'print(f"It folds at s = {found.breaking[found.block]:.5g}")',
        'print(f"x found for this z: {len(found.preimages)}")',
    ]
    whose = "altered" if changed else "flow"
    walk = [
        "# The walk to x, by hand, in float64.",
        f"g = in_double({whose}.scaled(found.block, s).blocks[found.block].branch)",
        "x = z = torch.from_numpy(found.z)[None]",
        "for n in range(21):",
        "    residual = float((z - x - g(x)).norm())",
        '    print(f"n = {n}: x = ({float(x[0, 0]):.6f}, {float(x[0, 1]):.6f}), residual {residual:.3g}")',
        "    x = (z - g(x)).detach()",
    ]
    return program(INVERSE, source, *trained(source, run), "\n".join(lines), "\n".join(walk))


UNITS = """
Train a residual flow, and count its saturated units: steep and straight, so that they pass nothing of the log det's
gradient on.

    |phi'(t)| >= 0.95   and   beta |phi''(t)| <= 0.01

The paper asks of an activation that phi'' does not vanish where |phi'| is near 1 (section 3.3 of Chen, Behrmann,
Duvenaud & Jacobsen, NeurIPS 2019).
"""


def of_units(run: Run) -> str:
    """The share of saturated units at held-out points, and the two parts of the gradient."""
    source = Source()
    source.use("gradient_split", "saturation", of="resflow_core.measure")
    lines = [
        "# The units of all layers at held-out points.",
        looked_at(source, run),
        f"x = data.held_out()[:{POINTS:_}]",
        "found = saturation(flow, x)",
        'print(f"Saturated: {100 * found.overall:.4f} % of all units")',
        "for k, share in enumerate(found.by_block, 1):",
        '    print(f"Block {k}: {100 * share:.4f} %")',
    ]
    gradients = [
        "# The gradient of the mean log p(x) in its two parts: of the log det, and of log N(z; 0, I).",
        "split = gradient_split(flow, x)",
        "both = split.residual  # of all blocks together",
        'print(f"Norm of the gradient of the log det: {float(both.log_det):.5g}")',
        'print(f"Norm of the gradient of log N(z): {float(both.base):.5g}")',
        'print(f"Cosine between both: {float(both.cosine):.4f}")',
    ]
    return program(UNITS, source, *trained(source, run), "\n".join(lines), "\n".join(gradients))


MAP_OF = """
Train a residual flow, and map over the plane how an estimate of its log det strays.

    log det(I + A) = sum over k >= 1 of (-1)^(k+1) / k tr(A^k)                                  (equation 3)

Cut after n terms the series is biased. Russian roulette (Theorem 1 of Chen, Behrmann, Duvenaud & Jacobsen, 2019) is
not, and its variance is finite where rho(A)^2 < q, the factor by which P(N >= k) falls.
"""


def of_plane(run: Run, bench: Bench) -> str:
    """The map that the bench shows, of one block or of the whole flow."""
    source = Source()
    source.use("grid_points", of="resflow_core.measure")
    source.use("spectral_radius", of="resflow_core.estimators.moments")
    which = f"[:, {bench.block - 1}:{bench.block}]" if bench.block else ""
    lines = [
        "# The Jacobian A of every block at the nodes of a grid, (blocks, nodes, 2, 2), and its spectral radius.",
        looked_at(source, run),
        f"x = grid_points(data.window, {MAP})",
        f"A = rf.evaluate(flow, x).jacobians{which}.swapaxes(0, 1).double()",
        "radius = spectral_radius(A).amax(0)",
        f"law, probe = {source.value(bench.law)}, {source.value(bench.probe)}",
        'print(f"Largest spectral radius: {float(radius.max()):.5f}")',
        "beyond = (radius**2 > law.tail_ratio).double().mean()",
        'print(f"Nodes with infinite variance: {100 * float(beyond):.3f} %")',
    ]
    deviation = [
        f"# The standard deviation of one roulette estimate, {bench.n_probes} probes and {bench.n_draws} draws of N.",
        "# The rests of the series add up over the blocks, which draw independently.",
        f"rest = rf.log_det_remainders(A[0], {TERMS}{exact(bench)})",
        "for one in A[1:]:",
        f"    rest = rest + rf.log_det_remainders(one, {TERMS}{exact(bench)})",
        f"deviation = rf.roulette_variance(rest, law, probe, {bench.n_probes}, {bench.n_draws}).total.sqrt()",
        "finite = deviation[deviation.isfinite()]",
        'print(f"Median deviation where it is finite: {float(finite.median()):.5g} nats")',
    ]
    bias = [
        f"# The bias of the series cut after {bench.n_terms} terms.",
        f"bias = rf.truncation_bias(rest, {bench.n_terms})",
        'print(f"Bias: {float(bias.min()):.5g} to {float(bias.max()):.5g} nats")',
    ]
    return program(MAP_OF, source, *trained(source, run), "\n".join(lines), "\n".join(deviation), "\n".join(bias))
