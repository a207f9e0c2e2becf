"""What can be set on the memory bench, as one frozen value."""

from dataclasses import dataclass, replace

from app.setup import View
from resflow_core.flow import FlowConfig
from resflow_core.measure.survey import SurveyPlan
from resflow_core.settings import check, setting

MEMORY = "memory."
"""What the names of its settings begin with in links."""

DIMS: dict[str, View] = {"2": View("2"), "64": View("64")}
DRAWN: dict[str, View] = {"peak": View("Peak"), "kept": View("Kept for the backward pass")}
PARTS: dict[str, View] = {"log_det": View("Log det alone"), "whole": View("All of the loss")}


@dataclass(frozen=True)
class Memory:
    """What is measured, and which of the measured bytes are drawn."""

    dim: str = setting(
        "2", "Dimension d", "Coordinates of a point. With 64, computing A takes 64 tangents.", choices=DIMS
    )
    blocks: int = setting(8, "Blocks m, at most", "Residual blocks of the largest flow measured.", low=2, high=16)
    terms: int = setting(10, "Terms n, at most", "Terms of the truncated series.", low=2, high=20)
    width: int = setting(64, "Width", "Units in each hidden layer.", low=8, high=256)
    batch: int = setting(64, "Batch", "Points in one pass.", low=8, high=256)
    draws: int = setting(
        8,
        "Passes",
        "The number of passes that are timed, each with its own probes. Their gradients are compared.",
        low=4,
        high=32,
    )
    drawn: str = setting(
        "peak", "Bytes", "The largest number at one time, or the number kept for the backward pass.", choices=DRAWN
    )
    part: str = setting("log_det", "Of", "The whole loss, or only the part that the log det adds.", choices=PARTS)
    log: bool = setting(True, "Log scale", "Equal factors have equal distances on the axis.")

    def __post_init__(self):
        check(self)

    def plan(self, flow: FlowConfig) -> SurveyPlan:
        """The flow of the page with the sizes that are set here."""
        flow = replace(flow, dim=int(self.dim), blocks=self.blocks, width=self.width)
        return SurveyPlan(flow, self.batch, self.terms, self.draws)
