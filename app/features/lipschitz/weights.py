"""One weight: a block opens as a small network; block, density and guarantee answer what is pulled in it."""

from dataclasses import replace

import streamlit as st

from app import session
from app.components import network
from app.components.planes import planes
from app.engine.reports import MOVING, Report
from app.engine.training.measurements.edits import Edits, EditsRequest
from app.engine.training.measurements.inversion import Inversions
from app.engine.training.measurements.masses import Masses
from app.features.lipschitz import arrival, changes, weight_pictures, weight_words
from app.features.lipschitz.settings import LIPSCHITZ, Lipschitz
from app.features.lipschitz.weighed import weighed
from app.takeaway.programs import PROGRAMS
from app.ui import opening, takeaway, transport
from app.ui.fragments import polled, rests
from app.ui.scene import POLL_SECONDS
from resflow_core.activations import activation_named

NETWORK, OPENED = "lipschitz.network", "lipschitz.opened"
REMEDY = "Nothing is changed."
NOT_DRAWN = (
    "The network is drawn for blocks whose layers follow one after the other. In this flow each layer also gets the "
    "outputs of all layers before it. To pull a weight, choose *One after the other* under *Layers of a block*."
)


@polled(POLL_SECONDS, rests)
def show() -> None:
    opening.lend()
    session.settle()
    opening.follow(False)
    _open_a_block()
    said, row = st.container(), st.container()
    # Four places, which `style.css` lays out: on a phone the density stands above the network that changes it.
    with st.container(key="lipschitz.pulling"):
        places = [st.container(key=f"lipschitz.pulling.{name}") for name in ("network", "density", "bent", "numbers")]
    with places[0]:
        bench, refused = _heard(_block(session.bench(Lipschitz)))
    session.apply_bench(bench)
    wanted = EditsRequest(bench.block - 1)
    report = session.poll(
        until=lambda report: _answers(report, wanted), frames=False, measured={"masses": True, "edits": wanted}
    )
    with row:
        transport.show(report)
        transport.message(report)
        if refused:
            st.error(refused)
    shown = report.arms[0].found(Edits) if report.arms else None
    if shown is None:
        transport.waits(report, "The block is being opened")
        return
    dataset = session.setup().dataset
    masses = report.arms[0].found(Masses)
    mass = masses.exact if masses is not None and masses.edited == shown.edited else None
    found = session.note(weighed(shown, dataset.window, mass))
    with said:
        opening.sentence(weight_words.answer(found))
        if arrival.is_untrained(report):
            _trained_one()
    with places[0]:
        _network(bench, shown)
    with places[1]:
        run = takeaway.run_of(report)
        files = takeaway.behind("one-weight", PROGRAMS["weights"], run, shown.found.block, needs=run)
        files += takeaway.behind("density", PROGRAMS["density"], run, about="the density alone")
        planes(
            [weight_pictures.density(shown, found, dataset, session.age(shown.step), session.draws_plainly())],
            key=f"{OPENED}.density",
            columns=1,
            files=files,
            moving=report.state in MOVING,
            refused=session.draw_by_server,
        )
    with places[2]:
        planes([weight_pictures.bent(shown)], key=f"{OPENED}.bent", columns=1)
    with places[3]:
        st.markdown(weight_words.table(found, shown.found.order))
        _hints(bench, shown)


def _open_a_block() -> None:
    """Where none is chosen, the one whose inverse was drawn last, or the first. It must not change while the flow
    trains."""
    bench, blocks = session.bench(Lipschitz), session.setup().flow.blocks
    if not 1 <= bench.block <= blocks:
        arm = next(iter(session.last_report().arms), None)
        inversions = arm and arm.found(Inversions)
        first = inversions.found.block + 1 if inversions else 1
        session.show_bench(replace(bench, block=min(bench.block or first, blocks)))
        session.settle()


def of_block(bench: Lipschitz, block: int) -> Lipschitz:
    """The bench with another block, whose weights are as trained."""
    if block != bench.block and bench.weights:
        session.tell(
            f"You opened another block, so your changes of block {bench.block} are dropped. All its weights are as "
            "trained."
        )
        return replace(bench, block=block, weights="")
    return replace(bench, block=block)


def _heard(bench: Lipschitz) -> tuple[Lipschitz, str]:
    """With what was pulled in the network; and why not, where that cannot be used."""
    told = network.told(NETWORK)
    if not told.number or not session.offered(f"{LIPSCHITZ}weights") or not session.is_new(NETWORK, told.number):
        return bench, ""
    problem = changes.problem(told.changes)
    if not problem:
        problem = changes.misfits(changes.read(told.changes), session.setup().flow)
    if problem:
        return bench, f"{problem[0].upper()}{problem[1:]} {REMEDY}"
    return replace(bench, weights=changes.written(changes.read(told.changes))), ""


def _answers(report: Report, wanted: EditsRequest) -> bool:
    found = report.arms[0].found(Edits)
    return found is not None and (found.request, found.edited) == (wanted, session.edited())


def _block(bench: Lipschitz) -> Lipschitz:
    """Which block is opened. Changes are of one block: they are put down when another is opened."""
    if not session.offered(f"{LIPSCHITZ}block"):
        st.markdown(f"Block {bench.block}")
        return bench
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        block = st.selectbox(
            "Block",
            range(1, session.setup().flow.blocks + 1),
            bench.block - 1,
            key=f"{LIPSCHITZ}block",
            format_func=lambda k: f"Block {k}",
            label_visibility="collapsed",
            filter_mode=None,
            width=150,
        )
        bench = of_block(bench, block)
        st.button(
            "Its inverse",
            on_click=session.show_bench,
            args=(replace(bench, view="inverse"),),
            key="lipschitz.to_inverse",
            icon=":material/arrow_forward:",
            type="tertiary",
            help="How far this block can be scaled and still be undone, with your changes.",
        )
    return bench


def _network(bench: Lipschitz, shown: Edits) -> None:
    flow = session.setup().flow
    if flow.branch != "residual":
        st.info(NOT_DRAWN)
        return
    layers = [network.Layer(layer.raw, layer.left, layer.bias, layer.factor) for layer in shown.found.layers]
    scene = network.scene(
        layers,
        activation_named(flow.activation).copies,
        block=shown.found.block + 1,
        told=network.told(NETWORK),
        changes=bench.weights,
        answered=changes.written(shown.edited.changes) if shown.edited else "",
        limits=changes.LIMITS,
        most=changes.MOST,
        fixed=not session.offered(f"{LIPSCHITZ}weights"),
    )
    network.show(scene, key=NETWORK)


def _hints(bench: Lipschitz, shown: Edits) -> None:
    """What is worth knowing of the flow that is seen."""
    st.caption(
        f"The numbers belong to block {shown.found.block + 1}, {session.age(shown.step)}. You set a weight before the "
        "constraint, as training does. The layer uses the weight after the constraint. All screens show your changes. "
        "Training goes on with the trained weights, so nothing is lost."
    )
    if bench.scale != 1:
        st.caption(f"The block is also scaled by s = {bench.scale:g}, which is set under *The inverse*.")


def _trained_one() -> None:
    """The way to a flow of which every weight does something."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("This flow is not trained yet, so its weights do little. Press Play, or:", width="content")
        if not session.focused():
            st.button(
                "Use a trained flow",
                on_click=session.open_example,
                icon=":material/model_training:",
                key="lipschitz.example",
                help="Begin with a flow that was trained on the checkerboard. Its settings replace yours.",
            )
