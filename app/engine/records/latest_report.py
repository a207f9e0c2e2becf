"""The newest that is known of one experiment, put together from the worker's reports between two polls."""

from dataclasses import replace

from app.engine.reports import MOVING, ArmReport, HandedOut, Report, State


class LatestReport:
    """Frames, weights, curves and measurements stay until newer ones come."""

    def __init__(self, id: str):
        self.report = Report(id, State.LOADING)

    @property
    def step(self) -> int:
        return self.report.arms[0].step if self.report.arms else 0

    def put(self, new: Report) -> None:
        """Merge `new`. A report without arms (queued, loading, failed) leaves the last picture standing."""
        old = self.report
        rewound = any(after.step < before.step for before, after in zip(old.arms, new.arms, strict=False))
        if not new.arms:
            arms = old.arms
        elif not old.arms or rewound:
            arms = new.arms
        else:
            arms = tuple(map(_merge, old.arms, new.arms))
        self.report = replace(new, arms=arms, rewinds=old.rewinds + rewound, restarts=old.restarts)

    def hand(self, out: HandedOut) -> None:
        """Merge the weights of arms, which come after the first report of them."""
        arms = [
            arm if weights is None else replace(arm, weights=weights)
            for arm, weights in zip(self.report.arms, out.arms, strict=False)
        ]
        self.report = replace(self.report, arms=tuple(arms))

    def expect(self, state: State) -> None:
        """Say `state` before the worker does, so that a button's effect shows at once."""
        if self.report.state in MOVING or self.report.state in (State.PAUSED, State.DIVERGED):
            self.report = replace(self.report, state=state)


def _merge(old: ArmReport, new: ArmReport) -> ArmReport:
    return replace(
        new,
        frame=new.frame or old.frame,
        weights=old.weights,
        parts=new.parts or (old.parts if old.parts and old.parts.step == new.step else None),
        loss=new.loss or old.loss,
        blocks=new.blocks or old.blocks,
        measured={**old.measured, **new.measured},
    )
