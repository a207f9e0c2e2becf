"""Residual flows (Chen, Behrmann, Duvenaud, Jacobsen, NeurIPS 2019): a compact core that reads like the paper.

A flow f is a chain of residual blocks x + g(x) with Lip(g) < 1. It turns data x into latent points z = f(x), and has
the density

    log p(x) = log N(f(x); 0, I) + sum over the blocks of log det(I + J_g)

in nats. Train one, draw from it, and ask for densities:

    >>> import torch, resflow_core as rf
    >>> trainer = rf.Trainer(rf.FlowConfig(blocks=8), rf.TrainConfig(), rf.DATASETS["moons"], seed=0)
    >>> losses = [trainer.step() for _ in range(100)]  # the mean of -log p(x) over each batch, in nats
    >>> x = trainer.evaluated.sample(1_000, torch.Generator().manual_seed(0))  # (1000, 2)
    >>> log_densities = trainer.evaluated.log_prob(x)  # (1000,), in nats

`to_bytes` and `from_bytes` write and read a flow as a file. `NAMES` lists all that this module offers.

The files of this folder are the paper, and what runs. Read in this order, they take an evening:

    words and signs   bijection (the words, and f with its inverse and log det), settings, arguments
    activations       activations (phi as value and slope, LipSwish)
    Lipschitz         spectral_norm (the certified norm), lipschitz (what makes ||W|| at most c)
    log det           roulette (the law of N), probes (v), gradients (the series, Theorems 1 and 2), log_det (its forms)
    block, flow       residual (the branch g and its Jacobian), fixed_point (the inverse), actnorm, flow, hybrid
    training          training.trainer, training.flat_parameters

`fast` has two other ways to the same numbers. `fast.fused` is one function of torch for flows with one hidden layer.
`fast.compiled` has kernels that numba compiles, for flows in the plane in float32 on a CPU: they take the steps of the
app's flows, ten times as fast. One suite of laws (`tests/core/test_laws.py`) holds all three together. `norms`,
`branches` and `expressions` add to the registries here; `data`, `baselines`, `measure` and `estimators` are what
experiments need, and `api` is the library for other programs.

A name is loaded when it is first used. With it come the packages that add norms, constraints, formulas as activations
(`activation="=sin(z)"`), and the fast implementation. `from resflow_core.flow import FlowConfig` loads that file and
those that it needs, and nothing else.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

NAMES = {
    "ResidualFlow": "api.residual_flow",
    "load": "api.library_file",
    "to_zuko": "api.zuko",
    "BrokenBound": "api.blocks",
    "FlowConfig": "flow",
    "Flow": "flow",
    "ResidualBlock": "api.blocks",
    "Branch": "residual",
    "LipschitzLinear": "api.layers",
    "ActNorm": "actnorm",
    "Soft": "lipschitz",
    "Hard": "norms.constraints",
    "formula": "expressions",
    "Exact": "log_det",
    "Truncated": "log_det",
    "Roulette": "log_det",
    "Geometric": "roulette",
    "Poisson": "roulette",
    "Custom": "roulette",
    "log_det_remainders": "estimators.moments",
    "truncation_bias": "estimators.moments",
    "truncated_variance": "estimators.moments",
    "roulette_variance": "api.moments",
    "optimal_law": "estimators.moments",
    "DATASETS": "data",
    "Table": "data",
    "TrainConfig": "training.trainer",
    "Trainer": "training.trainer",
    "evaluate": "measure.evaluation",
    "to_bytes": "api.flow_file",
    "from_bytes": "api.flow_file",
    "Uncertified": "flow",
    "NotConverged": "fixed_point",
    "Diverged": "training.trainer",
}
"""Each name, and the module of this package that has it."""

__all__ = list(NAMES)


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}. It offers {', '.join(NAMES)}.")
    import_module("resflow_core.api")  # registers all that a flow may be built of
    value = globals()[name] = getattr(import_module(f"resflow_core.{NAMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *NAMES})
