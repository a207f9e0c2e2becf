"""Links that fix settings and hide their controls, on every screen: what is left of each page, and what it does."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from app import screens
from app.estimates.settings import BENCH, Bench
from app.features.lipschitz.settings import Lipschitz
from app.link import BENCHES, Link, names, query_of, read_link
from app.setup import Setup, entries
from resflow_core.log_det import LOG_DETS
from resflow_core.settings import settings_of
from tests.app.pages import MAIN, SMALL, keys, link, own, panes

pytestmark = pytest.mark.usefixtures("local_engine")
WIDGETS = (
    *("selectbox", "select_slider", "slider", "number_input", "text_input", "toggle", "checkbox", "multiselect"),
    *("button_group", "radio", "file_uploader"),
)
# What moves, measures and throws; nothing else may be pressed where nothing can be set.
MOVES = (
    "play",
    "step",
    "slowly",
    "steps",
    "reset",
    "show_all",
    "undo",
    "throw",
    "stop",
    "go_on",
    "again",
    "measure",
    "anew",
)
# The others are to be read.
SCREENS = sorted(one.folder for one in screens.SCREENS.values() if one.has_flow and one.folder != "learn")
WITHOUT_PICTURES = (
    ("dimensions", "scaling"),
    ("dimensions", "memory"),
    ("estimator", "by_hand"),
    ("lipschitz", "budgets"),
    ("activations", "consequences"),
)
QUICK = {"data": "noisymoons", "compare.seeds": "1", "joint.seeds": "1", "activations.seeds": "1"}


def prefix_of(screen):
    return {"estimator": BENCH}.get(screen, f"{screen}.")


def views(screen):
    kind = BENCHES.get(prefix_of(screen))
    known = settings_of(kind).get("view") if kind and screen != "compare" else None
    return list(known[1].choices) if known else [""]


def opened(screen, view="", **query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    asked = SMALL | QUICK | ({f"{prefix_of(screen)}view": view} if view else {}) | query
    for name, value in asked.items():
        page.query_params[name] = value
    page.switch_page(f"features/{screen}/{screen}.py")
    return run(page)


def run(page):
    page = page.run()
    assert not page.exception, page.exception
    assert len(page.title) == 1
    return page


def drawn(page):
    """The keys of all widgets that hold a value."""
    return [widget.key for kind in WIDGETS for widget in page.get(kind)]


def components(page):
    parts = [*page.main, *page.sidebar]
    return [e.proto.component_name for e in parts if e.type == "bidi_component"]


def popovers(block):
    """The labels of all popovers within."""
    below = [label for child in getattr(block, "children", {}).values() for label in popovers(child)]
    proto = getattr(block, "proto", None)
    here = [proto.popover.label] if proto is not None and getattr(block, "type", "") == "popover" else []
    return here + below


@pytest.mark.parametrize(("screen", "view"), [(screen, view) for screen in SCREENS for view in views(screen)])
@pytest.mark.slow
def test_where_nothing_is_offered_nothing_can_be_set_and_all_is_shown(screen, view):
    page = opened(screen, view, controls="")
    assert not page.warning
    assert drawn(page) == []
    assert not len(page.sidebar)
    assert set(popovers(page.main)) == {"Share"}
    pressed = {button.key for button in page.button}
    assert "show_all" in pressed
    assert not [key for key in pressed if not set(key.split(".")) & set(MOVES)]
    assert own(page).offered == frozenset() and "fixed" in keys(page)
    assert not any(pane.get("clickable") for pane in panes(page))
    # Of these some show what is measured or trained once they are told to, and one the series alone, as a table.
    if (screen, view) not in WITHOUT_PICTURES:
        pictures = {"resflow_live_panes", "resflow_map_and_disc"} & set(components(page))
        assert panes(page) or pictures or page.get("vega_lite_chart")


@pytest.mark.parametrize(
    ("screen", "view", "name", "shown"),
    [
        ("explore", "", "blocks", {"blocks"}),
        ("estimator", "by_hand", "bench.view", {"bench.view"}),
        ("estimator", "by_hand", "bench.law", {"bench.law", "bench.law.p", "bench.law.n_exact"}),
        ("estimator", "by_hand", "bench.matrix", {f"bench.matrix.{i}" for i in range(4)}),
        ("estimator", "plane", "bench.block", {"bench.block"}),
        ("lipschitz", "inverse", "lipschitz.scale", {"lipschitz.scale"}),
        ("activations", "curves", "activations.shown", {"activations.chosen"}),
        ("compare", "", "compare.b.budget", {"compare.b.budget"}),
        ("dimensions", "memory", "memory.log", {"memory.log"}),
        ("joint", "one", "joint.weight", {"joint.weight"}),
    ],
)
def test_one_setting_that_is_offered_has_its_control_alone(screen, view, name, shown):
    page = opened(screen, view, controls=name)
    assert set(drawn(page)) == shown
    assert own(page).offered == {name} and "fixed" in keys(page)


@pytest.mark.thorough
def test_without_such_a_link_the_same_helpers_find_controls_of_every_kind():
    page = opened("estimator", "by_hand")
    assert {"bench.view", "bench.law", "bench.fractions", "bench.throw", "paste.csv"} <= set(drawn(page))
    assert {"Share", "Examples", "Size or paste"} <= set(popovers(page.main)) and not len(page.sidebar)
    page = opened("explore")
    assert {"blocks", "seed"} <= set(drawn(page)) and {"Presets", "Seed", "File"} <= set(popovers(page.sidebar))
    assert "resflow_picker" in components(page)
    assert any(pane.get("clickable") for pane in panes(opened("lipschitz", "inverse", controls="lipschitz.z")))
    page = opened("lipschitz", "enforced", controls="norms")  # in the sidebar and on the page
    assert sorted(key.rpartition(".")[2] for key in drawn(page)) == ["norms", "norms"]
    page = opened("explore", controls="data")
    assert components(page).count("resflow_picker") == 1 and drawn(page) == []


@pytest.mark.thorough
def test_buttons_stay_where_all_that_they_change_is_offered():
    def presets(*offered):
        page = opened("estimator", "settings", controls=" ".join(f"bench.{name}" for name in offered))
        return {b.key.partition(".")[2] for b in page.button if b.key.startswith("bench_preset.")}

    assert presets("law", "probe", "n_probes") == set()
    assert presets("law", "n_draws") == {"optimal"}
    estimator = ("law", "probe", "n_probes", "n_draws")
    assert presets(*estimator) == {"paper", "image", "rademacher", "optimal"}
    assert presets(*estimator, "first_exact") == {"paper", "image", "rademacher", "first_exact", "optimal"}
    page = opened(
        "lipschitz", "inverse", controls="lipschitz.scale", **{"lipschitz.scale": "3", "lipschitz.block": "1"}
    )
    page = run(page.button(key="lipschitz.back").click())
    assert own(page).benches[Lipschitz] == Lipschitz(block=1, scale=1.0)


@pytest.mark.thorough
def test_what_is_offered_can_be_changed_and_the_rest_stays_through_screens_and_undo():
    page = opened("explore", controls="blocks", batch="32", **{"lipschitz.method": "newton"})
    page = run(page.button(key="step").click())
    page = run(page.select_slider(key="blocks").set_value(3))
    assert (own(page).setup.flow.blocks, own(page).setup.train.batch) == (3, 32)
    assert (link(page)["blocks"], link(page)["batch"], link(page)["controls"]) == ("3", "32", "blocks")
    page.switch_page("features/lipschitz/lipschitz.py")
    page = run(page)
    assert drawn(page) == ["blocks"] and link(page)["controls"] == "blocks"
    assert link(page)["lipschitz.method"] == "newton"
    page = run(page.button(key="undo").click())
    assert own(page).setup.flow.blocks == 2
    assert drawn(page) == ["blocks"] and link(page)["controls"] == "blocks"


def test_nobody_is_locked_in():
    page = opened("dimensions", "memory", controls="")
    page = run(page.button(key="show_all").click())
    assert {"memory.dim", "memory.log", "blocks", "learning_rate"} <= set(drawn(page))
    assert "controls" not in link(page)
    assert "show_all" not in {button.key for button in page.button}


@pytest.mark.thorough
def test_a_teacher_chooses_what_stays_and_gets_the_link():
    page = opened("estimator", "by_hand", batch="32", **{"bench.probe": "sphere", "dimensions.view": "memory"})
    page.session_state["share.bench"], page.session_state["share.section.bench"] = True, "For a class"
    page = run(page)
    choice = page.multiselect(key="class.controls")
    known = names()
    assert {known[name] for name in ("bench.law", "bench.probe", "bench.throw")} <= set(choice.options)
    others = {title for name, title in known.items() if name.startswith(("lipschitz.", "joint."))}
    assert others and not others & set(choice.options)
    page = run(choice.set_value(["bench.law", "bench.probe"]))
    shared = [
        urlsplit(json.loads(e.proto.json)["text"]).query
        for e in page.main
        if e.type == "bidi_component" and "share" in e.proto.component_name
    ]
    query = dict(parse_qsl(shared[-1], keep_blank_values=True))
    given = read_link(query)
    assert given.controls == ("bench.law", "bench.probe") and not given.refused
    (bench,) = (one for one in given.benches if isinstance(one, Bench))
    assert (given.setup.train.batch, bench.probe) == (32, "sphere")
    page.switch_page("features/dimensions/dimensions.py")
    page.session_state["share.memory"], page.session_state["share.section.memory"] = True, "For a class"
    page = run(page)
    choice = page.multiselect(key="class.controls")
    assert choice.value == ["bench.law", "bench.probe"]  # also where they have no control
    assert {known["memory.log"], known["bench.law"]} <= set(choice.options)


@pytest.mark.parametrize("controls", [None, (), ("bench.law",), ("blocks", "compare.d.log_det.law.lam")])
def test_a_link_says_which_controls_stay(controls):
    assert read_link(query_of(Setup(), controls=controls)) == Link(controls=controls)


def test_unknown_controls_are_refused_one_by_one():
    found = read_link({"controls": "blocks colour blocks bench  lipschitz.z"})
    assert found.controls == ("blocks", "lipschitz.z")
    for name, refusal in zip(("colour", "bench"), found.refused, strict=True):
        assert "`controls`" in refusal and f"`{name}`" in refusal


def test_every_setting_has_a_name_and_a_title_of_its_own():
    known = names()
    assert set(known) >= {key for key, _, _ in entries(Setup())}
    for prefix, kind in BENCHES.items():
        assert set(known) >= {key for key, _, _ in entries(kind(), prefix)}
    for kind in LOG_DETS.values():
        assert set(known) >= {f"compare.a.log_det.{key}" for key, _, _ in entries(kind())}
    assert known["bench.law.p"] == f"{known['bench.law']}, p"
    assert len(set(known.values())) == len(known)
