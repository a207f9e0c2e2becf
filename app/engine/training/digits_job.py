"""An arm on the digits at work: trained as any other, pictured as images, measured in bits per dimension."""

import copy
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from app.engine.commands import ViewRequest
from app.engine.training.frames import SAMPLE_SEED
from app.engine.training.job import Job
from app.engine.training.job_records import BitsCurve, ImageFrame
from resflow_core import measure
from resflow_core.breathe import Breathe, without
from resflow_core.data.digits import SIDE, to_levels
from resflow_core.fixed_point import NotConverged
from resflow_core.flow import Uncertified

ROWS, COLUMNS = 8, 8
PAIRS, STEPS = 8, 8
PIXELS = (SIDE, SIDE)


class DigitsJob(Job):
    """As `Job`, for `resflow_core.data.digits`: frames are `ImageFrame`s, and nothing is known of a plane."""

    def record_next_step(self, request: ViewRequest) -> None:
        """Nothing: its parts are pictures of a plane."""

    def measure_held_out(self, request: ViewRequest, breathe: Breathe = without) -> None:
        """Nothing: all held-out images take too long (`results`)."""

    def frame(self, request: ViewRequest, breathe: Breathe = without) -> ImageFrame:  # type: ignore[override]
        """Samples and interpolations in one inversion: no image at all rather than a wrong one."""
        flow = self.flow
        try:
            y = flow.inverse(torch.cat([self._noise, self._between(flow)]).to(self._trainer.device)).cpu()
        except (NotConverged, Uncertified) as error:
            none = np.empty((0, 0, *PIXELS), np.uint8)
            return ImageFrame(self.step_count, none, none, str(error).partition(";")[0] + ".")
        levels = to_levels(y).numpy()
        n = ROWS * COLUMNS
        return ImageFrame(
            self.step_count,
            levels[:n].reshape(ROWS, COLUMNS, *PIXELS),
            levels[n:].reshape(PAIRS, STEPS, *PIXELS),
        )

    def results(self, breathe: Breathe = without) -> BitsCurve:
        """The curve of bits per dimension so far, with those of the flow as it is at first."""
        flow, step, seconds = copy.deepcopy(self.flow), self.step_count, self.seconds
        bits = measure.held_out_bits(flow, self.dataset, breathe)
        self.history.note("bits", step, seconds, bits.value, bits.standard_error)
        return BitsCurve(step, *self.history.series("bits", (), (), ()))

    @cached_property
    def _noise(self) -> Tensor:
        """What samples are the images of: the same in every frame, so that they change with the flow alone."""
        generator = torch.Generator().manual_seed(SAMPLE_SEED)
        return torch.randn(ROWS * COLUMNS, self._trainer.flow.dim, generator=generator)

    @torch.no_grad()
    def _between(self, flow: torch.nn.Module) -> Tensor:
        """From the latent point of one held-out image to that of another, (PAIRS * STEPS, d): along the great circle,
        with lengths between theirs, because halfway along a straight line points are shorter than almost all others."""
        z = flow(self.dataset.held_out()[: 2 * PAIRS].to(self._trainer.device)).cpu()
        return arcs(z[:PAIRS], z[PAIRS:], STEPS).flatten(0, 1)


def arcs(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Points from `start` to `end`, both included, (n, d) -> (n, steps, d): directions turn evenly from one to the
    other (Shoemake 1985, slerp), lengths change linearly."""
    t = torch.linspace(0, 1, steps, dtype=start.dtype)[None, :, None]
    lengths = [torch.linalg.vector_norm(z, dim=1, keepdim=True) for z in (start, end)]
    u, v = (z / length for z, length in zip((start, end), lengths, strict=True))
    angle = (u * v).sum(1, keepdim=True).clamp(-1 + 1e-6, 1 - 1e-6).acos()[:, None]
    directions = (torch.sin((1 - t) * angle) * u[:, None] + torch.sin(t * angle) * v[:, None]) / torch.sin(angle)
    return directions * ((1 - t) * lengths[0][:, None] + t * lengths[1][:, None])
