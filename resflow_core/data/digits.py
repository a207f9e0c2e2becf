"""scikit-learn's digits, 8 x 8 pixels of 17 grey levels (Alpaydin & Kaynak 1998), as points of R^64, and what a density
there means for the discrete images.

A grey level v of 0, ..., 16 becomes x = (v + u) / 17 with u uniform on [0, 1) (uniform dequantisation, Theis et al.
2016). Then x becomes the logit y = logit(alpha + (1 - 2 alpha) x), which has no border (Dinh et al. 2017, section 4.1;
paper, appendix E):

    log|det dy/dx| = sum_i log(1 - 2 alpha) - log s_i - log(1 - s_i),   s_i = alpha + (1 - 2 alpha) x_i.

A density p of y gives v + u the density p(y) |det dy/dx| 17^-d, in which a grey level is one unit wide. So an image has
the probability P(v) = E_u p(y) |det dy/dx| 17^-d, and by Jensen's inequality

    -log P(v) <= E_u[ -log p(y) - log|det dy/dx| ] + d log 17.

In bits per dimension, for one draw of u, this is

    bits = ((-log p(y) - log|det dy/dx|) / d + log 17) / log 2.

The mean of it over images and u is an upper bound of the mean of -log2 P(v) / d.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from resflow_core.arguments import checked_generator
from resflow_core.data.base import HELD_OUT_SEED
from resflow_core.extras import extra

SIDE, LEVELS = 8, 17
DIM = SIDE * SIDE
# The released code uses 0.05 for colour images and 1e-6 for MNIST. Here a Gaussian fits best near this value (2.28 bits
# per dimension, 2.46 with 0.05, 2.33 with 1e-6). Most pixels are black, and their logits should neither end sharply nor
# have a long tail.
ALPHA = 0.01
HELD_OUT_SHARE = 0.2
# Held-out images have the same dequantisation noise in every run.
NOISE_SEED = HELD_OUT_SEED - 2


def dequantised(levels: Tensor, generator: torch.Generator) -> Tensor:
    """x = (v + u) / 17 in [0, 1), float64, in the shape of the grey levels v."""
    u = torch.rand(levels.shape, generator=generator, dtype=torch.float64)
    return (levels.double() + u) / LEVELS


def to_logits(x: Tensor) -> tuple[Tensor, Tensor]:
    """y, (batch, d), and log|det dy/dx| in nats, (batch,), for x in [0, 1], (batch, d)."""
    s = ALPHA + (1 - 2 * ALPHA) * x
    log_slopes = math.log(1 - 2 * ALPHA) - s.log() - (-s).log1p()
    return s.logit(), log_slopes.sum(1)


def to_levels(y: Tensor) -> Tensor:
    """The grey levels v, uint8, of logits y, in the shape of y. An x beyond [0, 1) gets the nearest level."""
    x = (y.sigmoid() - ALPHA) / (1 - 2 * ALPHA)
    return (x * LEVELS).floor().clamp(0, LEVELS - 1).to(torch.uint8)


def bits_per_dim(log_prob: Tensor, log_det: Tensor, dim: int = DIM) -> Tensor:
    """Bits per dimension of each image as above, (batch,) float64, from log p(y) and log|det dy/dx| in nats."""
    return (-(log_prob.double() + log_det.double()) / dim + math.log(LEVELS)) / math.log(2)


@dataclass(frozen=True)
class Digits:
    """Logits of the images. Training images get fresh noise at every draw, and a fixed fifth of the images is held out.

    Raises ModuleNotFoundError if scikit-learn is not installed.
    """

    title: str = "Digits (1,797 images of 8 × 8 pixels)"
    dim: ClassVar[int] = DIM
    truth: ClassVar[None] = None

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws to train on, float32, shape (n, 64): a random training image each, with its own noise.

        Raises ValueError without a `torch.Generator`.
        """
        generator = checked_generator(generator, "sample")
        images = self.training_levels[torch.randint(len(self.training_levels), (n,), generator=generator)]
        return to_logits(dequantised(images, generator))[0].float()

    def training_logits(self, generator: torch.Generator) -> Tensor:
        """All training images, in order, with noise from `generator`, float64, shape (1438, 64)."""
        return to_logits(dequantised(self.training_levels, generator))[0]

    def held_out(self) -> Tensor:
        """The held-out images, with the same noise in every run, float32, shape (359, 64)."""
        return self._held_out[0]

    @property
    def held_out_log_det(self) -> Tensor:
        """log|det dy/dx| in nats at `held_out()`, (359,) float64."""
        return self._held_out[1]

    @property
    def training_levels(self) -> Tensor:
        """Grey levels of the training images, uint8, (1438, 64)."""
        return self._levels[1]

    @property
    def held_out_levels(self) -> Tensor:
        """Grey levels of the held-out images, uint8, (359, 64)."""
        return self._levels[0]

    @cached_property
    def _levels(self) -> tuple[Tensor, Tensor]:
        with extra("data"):
            from sklearn.datasets import load_digits  # importing it costs a second

        images = torch.from_numpy(load_digits().data.astype(np.uint8))
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(HELD_OUT_SEED))
        n_held_out = round(HELD_OUT_SHARE * len(images))
        return images[order[:n_held_out]], images[order[n_held_out:]]

    @cached_property
    def _held_out(self) -> tuple[Tensor, Tensor]:
        x = dequantised(self.held_out_levels, torch.Generator().manual_seed(NOISE_SEED))
        y, log_det = to_logits(x)
        return y.float(), log_det


DIGITS = Digits()
