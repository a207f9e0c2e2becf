"""Value, slope and curvature of activations, and the two criteria of the paper, measured."""

import math
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache

import numpy as np
import streamlit as st
import torch

from app import session
from app.components.planes import Chart, Pane, Path, planes
from app.features.activations import stored
from app.features.activations.numbers import (
    PAIRS,
    Slopes,
    Starvation,
    divisor,
    measured,
    slopes,
    starvation,
    steepest_of,
)
from app.features.activations.settings import ACTIVATIONS_BENCH, Activations, formula_problem, label_of
from app.takeaway.programs import PROGRAMS
from app.text import markdown_table, signed
from app.ui import controls, heading, opening, share, side_by_side, takeaway
from app.ui.chart_style import CATEGORIES, GREY
from app.words import number
from resflow_core.activations import ACTIVATIONS, Activation, activation_named
from resflow_core.expressions import SIGN, read
from resflow_core.measure import Criteria, Verdict
from resflow_core.measure.activation import derivatives

# Kinks are searched for up to the second derivative.
SMOOTH = {"C0": "C⁰", "C1": "C¹", "C2": "at least C²"}
REACH, POINTS = 6.0, 241
CURVED = 1e-3
"""A curvature below is none."""
GRID_LINES, GRID_REACH = 9, 2.0
CONSTANTS = ("largest slope found, before division", "at z", "divided by")
"""The columns about the slope before the division."""


@st.fragment
def show() -> None:
    session.settle()
    if opening.is_due():
        _answer()
        heading.section("Draw any activation")
    bench = _controls(session.bench(Activations))
    session.apply_bench(bench)
    found = {name: activation_named(name) for name in bench.names}
    drawn = _curves(bench, session.note(slopes(bench.names, bench.raw)))
    files = takeaway.behind("activations", PROGRAMS["activations"], bench.names)
    planes([*drawn, *_pairs(found)], key="curves", columns=4 if PAIRS in found else 3, files=files)
    st.markdown(_takeaway(session.note(starvation(bench.names))))
    if opening.is_due():
        with st.expander("Both criteria of the paper for each of them, measured", key=f"{ACTIVATIONS_BENCH}criteria"):
            _criteria(found)
    else:
        _criteria(found)


def _answer() -> None:
    """What trained flows say, and the way to train them here."""
    stored.show(key=f"{ACTIVATIONS_BENCH}opening")
    if session.focused():
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.button(
            "Train both here",
            type="primary",
            icon=":material/play_arrow:",
            on_click=stored.train,
            key=f"{ACTIVATIONS_BENCH}both",
        )
        st.caption("or draw any activation below, or your own formula, and train with it.", width="content")


def _criteria(found: dict[str, Activation]) -> None:
    told = not session.is_still_asked("constant")
    st.markdown(_table(found, () if told else CONSTANTS))
    slopes = (
        "The table has two largest slopes before the division: the one that a search found, and the one that the code "
        "claims and divides by. "
    )
    st.caption(
        "The paper asks for two things. First, |φ′| ≤ 1 everywhere: division by the constant ensures this. Second, if "
        "|φ′| tends to 1 far out, the curvature φ″ must not vanish there, because the gradient of the log det needs "
        "it. If a tail is flatter than 1 after the division, a lost curvature does no harm. "
        f"{slopes * told}Kinks are searched for up to the second derivative."
    )


def _controls(bench: Activations) -> Activations:
    filled = controls.drawn(bench, prefix=ACTIVATIONS_BENCH, only=("shown", "formula"))
    left, right = controls.beside((3, 2), bool(filled))
    with left:
        if session.offered(f"{ACTIVATIONS_BENCH}shown"):
            bench = _choice(bench)
        if session.offered(f"{ACTIVATIONS_BENCH}formula"):
            bench = replace(bench, formula=_formula(bench.formula))
    with right:
        bench = controls.edit(bench, rare=False, prefix=ACTIVATIONS_BENCH, only=("raw",))
        if session.offered(f"{ACTIVATIONS_BENCH}beta"):
            beta = st.slider(
                "Scale β",
                0.25,
                4.0,
                bench.beta,
                0.05,
                key=f"{ACTIVATIONS_BENCH}beta",
                help="φ(βz) / β: as steep as before.",
            )
            bench = replace(bench, beta=beta)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            if session.offered("activation"):
                _train(bench)
            share.of_settings("curves")
    if bench.formula:
        own = read(bench.formula)
        if own.lipschitz > 1.01 * own.steepest:
            st.info(
                f"The slope of your formula is certified to be at most {own.lipschitz:.4g}, and the largest slope "
                f"found is {own.steepest:.4g}. The formula is divided by the first number, so a flow uses at most "
                f"{100 * own.steepest / own.lipschitz:.0f} % of its budget."
            )
        st.markdown(f"Your own: $\\phi(z) \\cdot {own.lipschitz:.6g} = {own.latex}$")
    return bench


def _choice(bench: Activations) -> Activations:
    """Which are drawn; the last ones until there is one at least."""
    chosen = st.multiselect(
        "Activations",
        list(ACTIVATIONS),
        bench.shown.split(","),
        key=f"{ACTIVATIONS_BENCH}chosen",
        format_func=lambda name: ACTIVATIONS[name].title,
        max_selections=6,
    )
    if not chosen:
        st.caption("Choose at least one. Until then the last ones stay.")
        return bench
    return replace(bench, shown=",".join(chosen))


def _formula(known: str) -> str:
    """What is typed; `known` until that can be used."""
    text = st.text_input(
        "Your own formula in z",
        known,
        key=f"{ACTIVATIONS_BENCH}formula",
        placeholder="e.g. softplus(2*z) - z",
        max_chars=200,
        help="Use numbers, z, + - * / ^, and functions such as sin, tanh, sigmoid, softplus, silu, gelu, atan, gauss, "
        "relu, min(a, b). The largest slope is certified, so you can train with the formula at once.",
    ).strip()
    if problem := formula_problem(text):
        st.error(f"{problem} It stays at {f'`{known}`' if known else 'none'}.")
        return known
    return text


def _train(bench: Activations) -> None:
    """Let the page's flow have one of those that are shown."""
    flow = session.setup().flow
    name = st.selectbox(
        "Train with",
        bench.names,
        key=f"{ACTIVATIONS_BENCH}train",
        format_func=lambda name: activation_named(name).title,
        filter_mode=None,
    )
    st.button(
        "Use it",
        on_click=_use,
        key=f"{ACTIVATIONS_BENCH}use",
        icon=":material/model_training:",
        disabled=name == flow.activation,
    )


def _use() -> None:
    setup, name = session.setup(), session.typed(f"{ACTIVATIONS_BENCH}train")
    session.apply(replace(setup, flow=replace(setup.flow, activation=name)))
    session.show(session.setup().flow)


def _curves(bench: Activations, found: Slopes) -> list[Chart]:
    z = np.linspace(-REACH, REACH, POINTS)
    parts: tuple[list[Path], ...] = ([], [], [])
    for k, name in enumerate(bench.names):
        if name == PAIRS:
            continue
        label, constant = label_of(name), divisor(name, bench.raw)
        curves = _derivatives(name, bench.beta)
        for part, curve, factor in zip(parts, curves, (1 / bench.beta, 1.0, bench.beta), strict=True):
            part.append(Path(np.stack([z, factor * curve / constant], 1), label, **side_by_side.style(k)))
        at = steepest_of(name).at
        if abs(at) <= REACH * bench.beta:
            top = np.array([[at / bench.beta, _sign_at(curves[1], z, at / bench.beta) * found.steepest[name]]])
            parts[1].append(Path(top, "", CATEGORIES[k % len(CATEGORIES)], markers=True, width=5.0))
    if not parts[0]:
        return []
    value, curvature = ("from {:.3g} to {:.3g}".format(*extent(part)) for part in (parts[0], parts[2]))
    bound = [Path(np.array([[-REACH, s], [REACH, s]]), "" if s < 0 else "bound 1", GREY, "dot") for s in (1.0, -1.0)]
    listed, too_steep = ", ".join(map(label_of, found.steepest)), _too_steep(found)
    return [
        Chart("Value φ", "z", "φ(z)", tuple(parts[0]), f"Values of {listed} against z, {signed(value)}."),
        Chart(
            "Slope φ′",
            "z",
            "φ′(z)",
            (*parts[1], *bound),
            f"Slopes of {listed} against z, at most {found.largest:.4g}. {too_steep}",
            note=too_steep,
        ),
        Chart(
            "Curvature φ″",
            "z",
            "φ″(z)",
            tuple(parts[2]),
            f"Curvatures of {listed} against z, {signed(curvature)}.",
            note="The gradient of the log det depends on this alone.",
        ),
    ]


def extent(paths: list[Path]) -> tuple[float, float]:
    """The smallest and the largest y that is drawn."""
    y = np.concatenate([path.points[:, 1] for path in paths])
    return float(y.min()) + 0.0, float(y.max()) + 0.0


def _too_steep(found: Slopes) -> str:
    if not found.breaking:
        return "None of them is steeper than 1."
    named = ", ".join(f"{label_of(name)} {slope:.4g}" for name, slope in found.breaking.items())
    return f"Steeper than 1, which breaks the bound: {named}."


def _sign_at(slopes: np.ndarray, z: np.ndarray, at: float) -> float:
    return float(np.sign(np.interp(at, z, slopes)) or 1.0)


@lru_cache(maxsize=512)
def _derivatives(name: str, beta: float) -> tuple[np.ndarray, ...]:
    """raw, raw' and raw'' at beta z for all z that are drawn."""
    t = beta * torch.linspace(-REACH, REACH, POINTS, dtype=torch.float64)
    with torch.no_grad():
        return tuple(part.numpy() for part in derivatives(activation_named(name).function, t))


def _smoothness(name: str) -> str:
    own = name.startswith(SIGN)
    found = f"C{read(name.removeprefix(SIGN)).smoothness}" if own else measured(name).smoothness.value
    return SMOOTH[found]


def _pairs(found: dict[str, Activation]) -> list[Pane]:
    """MaxMin as what it is: a map of two units, which folds the plane over its diagonal."""
    if PAIRS not in found:
        return []
    ends, lines = np.linspace(-GRID_REACH, GRID_REACH, GRID_LINES), []
    fine = np.linspace(-GRID_REACH, GRID_REACH, 61)
    for at in ends:
        for line in (np.stack([np.full_like(fine, at), fine], 1), np.stack([fine, np.full_like(fine, at)], 1)):
            lines += [np.stack([line.max(1), line.min(1)], 1), [[np.nan, np.nan]]]
    reach = (-GRID_REACH, GRID_REACH)
    return [
        Pane(
            "MaxMin: a map of pairs",
            "max(t₁, t₂)",
            "min(t₁, t₂)",
            (reach, reach),
            "A straight grid of two units, folded over its diagonal. All of it ends where max is above min.",
            paths=(
                Path(np.concatenate(lines), "image of a straight grid", CATEGORIES[0], width=1.2),
                Path(np.array([reach, reach]).T, "fold", GREY, "dash"),
            ),
            note="It folds but does not bend: the curvature is 0 everywhere.",
        )
    ]


def _takeaway(found: Starvation) -> str:
    starving, others = ([label_of(name) for name in names] for names in (found.starving, found.others))
    if not starving and len(others) == 1:
        return f"**{others[0]}** does not starve the log det."
    if not starving:
        return f"**None of these starves the log det**: {', '.join(others)}."
    rest = ""
    if others:
        rest = f" {', '.join(others)} pass{'es' * (len(others) == 1)}: no tail has both."
    return (
        f"**{', '.join(starving)}** starve{'s' * (len(starving) == 1)} the log det of its gradient: in a tail the "
        f"slope tends to 1 and the curvature to 0.{rest}"
    )


def _table(found: dict[str, Activation], without: Collection[str] = ()) -> str:
    rows = [
        [
            "activation",
            "verdict",
            "largest slope found, before division",
            "at z",
            "divided by",
            "abs. slope far left, right",
            "abs. curvature there",
            "smooth",
            "source",
        ],
        [":--", ":--", "--:", "--:", "--:", "--:", "--:", ":--", ":--"],
    ]
    for name, activation in found.items():
        about, steepest = measured(name), steepest_of(name)
        at = number(steepest.at) if math.isfinite(steepest.at) else signed(f"{'-' * (steepest.at < 0)}∞")
        rows.append(
            [
                label_of(name),
                _verdict(about),
                f"{steepest.found:.5f}",
                at,
                f"{steepest.claimed:.5f}",
                f"{_limit(about.left.slope)}, {_limit(about.right.slope)}",
                f"{_limit(about.left.curvature)}, {_limit(about.right.curvature)}",
                _smoothness(name),
                activation.source or "your own formula",
            ]
        )
    kept = [column for column, heading in enumerate(rows[0]) if heading not in without]
    return markdown_table([row[column] for column in kept] for row in rows)


def _verdict(about: Criteria) -> str:
    """Whether it starves the log det, and in which tail: the slope decides there whether a lost curvature matters."""
    tails = {"left": about.left, "right": about.right}
    starving = [side for side, tail in tails.items() if tail.verdict is Verdict.STARVES]
    if starving:
        return f"starves, far {' and '.join(starving)}"
    if all(tail.curvature is not None and tail.curvature < CURVED for tail in tails.values()):
        return "does not starve: flatter than 1 where the curvature vanishes"
    return "does not starve"


def _limit(value: float | None) -> str:
    return "none" if value is None else signed(f"{value + 0.0:.3f}")
