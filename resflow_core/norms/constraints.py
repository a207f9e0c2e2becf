"""Constraints of a layer other than the paper's, for comparison."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from resflow_core.lipschitz import CONSTRAINTS, Constraint, cap_over_norm, share
from resflow_core.norms.induced import power_method
from resflow_core.norms.spectral_estimates import bjorck
from resflow_core.settings import setting


@dataclass(frozen=True)
class Hard(Constraint):
    """W = raw cap / ||raw||, by a certified bound of ||raw||: each layer uses its whole cap (Miyato et al. 2018)."""

    title: ClassVar[str] = "Hard: at the cap"

    def weights(self, raw, cap, norm, v):
        return raw * cap_over_norm(raw, cap, norm), v


@dataclass(frozen=True)
class Bjorck(Constraint):
    """W = cap times the orthonormal matrix nearest to raw: all its singular values are equal (Anil et al. 2019).

    In norms other than 2 -> 2, W is then scaled down to the cap.
    """

    title: ClassVar[str] = "Björck: orthonormal"
    steps: int = setting(8, "Björck steps", "Steps towards an orthonormal matrix.", low=1, high=30)

    def weights(self, raw, cap, norm, v):
        # Björck's steps keep the 2-norm at most 1. Other norms may still exceed the cap.
        near = cap * bjorck(raw, self.steps).to(raw)
        return near * cap_over_norm(near, cap, norm).clamp(max=1), v


@dataclass(frozen=True)
class Power(Constraint):
    """W = raw min(1, cap / s), with s from a few steps of power iteration, as in public code.

    s is below the norm, so W may exceed its cap.
    """

    title: ClassVar[str] = "Power iteration"
    certifies: ClassVar[bool] = False
    claim: ClassVar[str] = "Power iteration claims {budget:g}, but it estimates norms from below"
    carries: ClassVar[bool] = True
    iterations: int = setting(
        1, "Iterations", "Steps of power iteration at each training step. With fewer steps norms may grow larger.",
        low=1, high=50,
    )  # fmt: skip
    warm: bool = setting(
        True,
        "Warm start",
        "Starts from the vector of the last step. A cold start always begins with the same random vector.",
    )

    def weights(self, raw, cap, norm, v):
        u, ahead = power_method(raw, norm.p, norm.q, v, self.iterations)
        estimate = torch.einsum("no,noi,ni->n", u.to(raw), raw, ahead.to(raw))
        return raw * share(cap, estimate).clamp(max=1).to(raw), ahead.to(v) if self.warm else v


@dataclass(frozen=True)
class Off(Constraint):
    """W = raw: the layer has no bound."""

    title: ClassVar[str] = "Off: no constraint"
    certifies: ClassVar[bool] = False
    claim: ClassVar[str] = "Nothing constrains the layers"

    def weights(self, raw, cap, norm, v):
        return raw, v


CONSTRAINTS |= {"hard": Hard, "bjorck": Bjorck, "power": Power, "off": Off}
