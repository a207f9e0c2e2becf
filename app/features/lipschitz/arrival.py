"""What the page opens with before a flow was trained here: one block of the flow that comes with the project, the way
back from a z to its x, and from which s on the block folds."""

from functools import lru_cache

import streamlit as st

from app import evidence, session
from app.components.planes import clicked, planes
from app.engine.reports import MOVING, Report
from app.features.lipschitz import answers, pictures, stepping
from app.features.lipschitz.answers import Answer
from app.features.lipschitz.evidence import NAME
from app.features.lipschitz.settings import Lipschitz
from app.features.lipschitz.strip import strip
from app.features.lipschitz.walk import folding
from app.text import csv_of, markdown_table
from app.ui import opening, takeaway, transport
from app.ui.fragments import again

WALKED = "lipschitz.walk"
OPENING, CHOSEN = "lipschitz.opening", "lipschitz.opening.z"
"""The pictures, and of the session the z that was chosen in them."""
SCALE = "Scale s: how strongly the block bends the plane, z = x + s g(x). At s = 1 it is as trained."


def is_due() -> bool:
    """Whether nothing was chosen of the inverse, by a link or by hand, and no flow of the page is trained."""
    chosen = session.is_chosen(Lipschitz) or session.focused()
    return opening.is_due() and not chosen and is_untrained(session.last_report())


def hides_settings() -> bool:
    """Whether the stored flow stands alone, without the settings of the page's own."""
    return session.view(Lipschitz) == Lipschitz().view and is_due() and not opening.wants_settings()


def is_untrained(report: Report) -> bool:
    """Whether the page's flow is as it was drawn, and stands still."""
    begun = session.setup().start is not None or any(arm.step for arm in report.arms)
    return not begun and report.state not in MOVING


@lru_cache(maxsize=1)
def stored() -> Answer:
    """What trained flows say."""
    return answers.read(evidence.stored(NAME).found)


def show() -> None:
    found = stored()
    flow = found.flows[0]
    opening.sentence(answers.sentence(found))
    above = st.container(key="lipschitz.above")
    with st.container(key="lipschitz.strip", gap=None):
        st.caption(SCALE)
        strip_place = st.empty()
        scale = st.select_slider(
            SCALE,
            found.walk.scales,
            1.0,
            key=WALKED,
            format_func=lambda s: f"{s:g}",
            label_visibility="collapsed",
        )
    strip_place.html(strip(found.walk.scales, scale, flow.guaranteed, flow.middle))
    drawn = folding(flow.block, flow.window, scale, st.session_state.get(CHOSEN))
    with above:
        n = stepping.step(drawn.walk)
        planes(
            [
                pictures.bent(drawn, clickable=True),
                pictures.before(drawn, drawn.walk, n),
                pictures.undoing(drawn.walk, drawn.promised, n),
            ],
            key=OPENING,
            columns=3,
        )
        stepping.buttons(drawn.walk)
        st.markdown(stepping.told(drawn.walk, drawn.promised, n))
        st.caption(stepping.HOW)
    if session.is_new(OPENING, click := clicked(OPENING)) and click:
        st.session_state[CHOSEN] = click[1:]
        stepping.go(stepping.END)
        again()
    _stops(found, scale)
    st.markdown(answers.here(found, scale, len(drawn.preimages)))
    st.caption(f"{answers.across(found)} :material/inventory_2: {evidence.stored(NAME).source}")
    report = session.poll(frames=False, measured={})
    if not is_due():
        again()
    st.markdown("**Or train a flow of your own**, and scale any of its blocks:")
    if hides_settings():
        opening.settings_button("lipschitz.settings")
    transport.show(report, primary=False)
    transport.message(report)
    _depth(found)


def _stops(found: Answer, scale: float) -> None:
    """Scales worth a look; the first button leads to the other side of the fold."""
    flow = found.flows[0]
    trained, uncertified, folded, twice = answers.stops(flow.guaranteed, flow.middle)
    away = scale > flow.middle
    choices = [
        ("Back to the trained block: s = 1", trained, ":material/undo:") if away else
        (f"Far beyond the fold: s = {twice:g}", twice, ":material/flip:"),
        (f"Just beyond the guarantee: s = {uncertified:g}", uncertified, None),
        (f"Just folded: s = {folded:g}", folded, None),
    ]  # fmt: skip
    with st.container(horizontal=True, gap="small"):
        for k, (label, at, icon) in enumerate(choices):
            st.button(
                label,
                icon=icon,
                on_click=_walk,
                args=(at,),
                key=f"{WALKED}.{k}",
                disabled=scale == at,
            )


def _walk(scale: float) -> None:
    st.session_state[WALKED] = scale


def _depth(found: Answer) -> None:
    with st.expander("When each block folds, and how a fold changes the density", key="lipschitz.mass"):
        planes(
            [pictures.by_block(found), pictures.masses(found.flows[0], found.walk)], key="lipschitz.masses", columns=2
        )
    with st.expander("The scale at which every block folds, as a table and as files", key="lipschitz.folds"):
        st.markdown(_table(found))
        contents = {"Blocks": lambda: _by_block(found), "Mass": lambda: _mass(found)}
        takeaway.menu(takeaway.tables("folds", contents), key="lipschitz.stored.files")


def _table(found: Answer) -> str:
    head = [
        "seed",
        "guaranteed up to",
        "first fold",
        "fold of the median block",
        "x of one z at twice that s",
        "integral",
    ]
    rows = [head, ["--:"] * len(head)]
    for k, flow in enumerate(found.flows):
        rows.append(
            [
                str(k),
                f"{flow.guaranteed:.3f}",
                f"{flow.first:.3f}",
                f"{flow.middle:.3f}",
                str(flow.preimages),
                f"{flow.mass:.2f} ± {flow.error:.2f}",
            ]
        )
    return markdown_table(rows)


def _by_block(found: Answer) -> bytes:
    return csv_of(
        {"seed": k, "block": b + 1, "guaranteed": flow.guaranteed, "folds_at": at}
        for k, flow in enumerate(found.flows)
        for b, at in enumerate(flow.folds_at)
    )


def _mass(found: Answer) -> bytes:
    walk = found.walk
    return csv_of(
        {"scale": scale, "integral": mass, "error": error}
        for scale, mass, error in zip(walk.scales, walk.mass, walk.error, strict=True)
    )
