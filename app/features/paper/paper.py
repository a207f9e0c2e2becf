"""The paper: each claim of its abstract, what shows of it here, and what came after. It prints on six pages."""

from pathlib import Path

import streamlit as st

from app import evidence
from app.contests import LEAST_SEEDS, LEVEL
from app.features.paper import card, picture, taken
from app.features.paper.after import AFTER, Successor
from app.features.paper.claims import CLAIMS, total
from app.ui import heading, live_runs

HERE = Path(__file__).parent


def successor(name: str, one: Successor) -> None:
    with st.container(border=True, key=f"after_{name}", width="stretch", gap="small"):
        st.subheader(one.title, anchor=False)
        st.markdown(one.says)
        st.markdown(f"*What it takes here:* {one.needs}")
        if found := one.found:
            with st.container(key=f"verdict_{found.kind.name.lower()}_{name}"):
                st.markdown(f"{found.kind.sign} {found.sentence}")
            st.caption(found.ruled)
            st.html(picture.figure(found.picture))
            dates = sorted({evidence.stored(name).date for name in one.evidence})
            with st.container(key=f"successor_{name}_ways"):
                taken.menu(f"after_{name}", one.title, found.picture)
            st.caption(f"Measured on {' and '.join(dates)}; anew by `{one.command}`.")
        st.caption(f"[{one.source}]({one.address})")


METHOD = (
    "A verdict follows a rule, which stands on its card. Flows are compared seed by seed, and KLs by their ratio. If "
    "nothing told the flows apart, each difference could as well have the other sign. Of all ways to choose the signs, "
    "p is the share in which the mean is at least as good for the claim. This test is exact and one-sided, and asks "
    f"for p ≤ {LEVEL:g}. *On every set* asks for this p on each; for *on some set* the smallest p is multiplied by the "
    f"number of comparisons (Holm). By this test fewer than {LEAST_SEEDS} seeds decide nothing, and several "
    "comparisons take more. The sets and the opponents were named before they ran. As a control, each rule also judges "
    "something of which the claim is false; it must not say there that the claim shows, not even in part."
)

live_runs.follow()
st.html(HERE / "paper.css")
with st.container(key="paper"):
    heading.title("What does the paper claim, and what shows here?")
    verdicts = {name: claim.found for name, claim in CLAIMS.items()}
    st.markdown(total(verdicts.values()))
    st.markdown(METHOD)
    st.caption(
        "[*Residual Flows for Invertible Generative Modeling*](https://arxiv.org/abs/1906.02735), Chen, Behrmann, "
        "Duvenaud and Jacobsen, NeurIPS 2019. The cards follow its abstract. Each verdict is computed from stored "
        "measurements in two dimensions unless it says otherwise; the paper's own are of images. Numbers of several "
        "seeds are means, with the smallest and the largest in brackets. The page prints on at most six sheets of A4."
    )
    for number, (name, claim) in enumerate(CLAIMS.items(), 1):
        card.show(number, name, claim, verdicts[name])
    heading.section("After the paper")
    with st.container(horizontal=True, gap="small", key="after"):
        for name, one in AFTER.items():
            successor(name, one)
