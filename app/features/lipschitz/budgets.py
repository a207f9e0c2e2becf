"""What a budget buys: the same flow under four of them, or the same parameters in few deep blocks and many shallow."""

from app import session
from app.features.lipschitz import arms, stored
from app.features.lipschitz.compared import BUDGETS, SHAPES
from app.features.lipschitz.settings import LIPSCHITZ, Lipschitz
from app.ui import controls, side_by_side
from app.ui.fragments import polled
from app.ui.scene import POLL_SECONDS
from resflow_core.training.parameter_count import parameter_count


@polled(POLL_SECONDS)
def show() -> None:
    session.settle()
    bench = controls.edit(session.bench(Lipschitz), rare=False, prefix=LIPSCHITZ, only=("shapes",))
    session.apply_bench(bench)
    setup = session.setup()
    if bench.shapes:
        compared = arms.shapes(setup)
        counts = ", ".join(f"{parameter_count(arm.flow):,}" for arm in compared.values())
        about = (
            f"The numbers of parameters are as nearly equal as whole widths allow ({counts}). The seed is the same, "
            "and every **block** has the budget L. With K blocks the whole flow may stretch by (1 + L)ᴷ, but the "
            "layers of a block share its L. Press Play."
        )
        side_by_side.show("shapes", compared, about, stored.first(SHAPES, compared))
    else:
        compared = arms.budgets(setup)
        about = (
            "One seed, one architecture, four budgets. Each block may change distances by a factor from 1 − L to 1 + "
            "L, and areas by the squares of these factors. With a small L the density cannot be sharp. Press Play."
        )
        side_by_side.show("budgets", compared, about, stored.first(BUDGETS, compared))
