"""What a budget buys: the same flow under four of them, or the same parameters in few deep blocks and many shallow."""

import streamlit as st

from app import session
from app.features.lipschitz import arms
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
        st.markdown(
            f"As nearly equal numbers of parameters as whole widths allow ({counts}), one seed, one budget L for each "
            "**block**: blocks multiply what the whole flow may do, (1 + L)ᴷ, where layers share one block's L. "
            "Press Play."
        )
        side_by_side.show("shapes", compared)
    else:
        st.markdown(
            "One seed, one architecture, four budgets. Each block may change a distance by a factor between 1 − L and "
            "1 + L, and an area by their squares: with a small L nothing sharp can be made. Press Play."
        )
        side_by_side.show("budgets", arms.budgets(setup))
