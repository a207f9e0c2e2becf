"""A link gets what it names, also where that is how a bench comes. A screen opens with its example only where nothing
was chosen, and who opens the address of a page sees what that page shows."""

import pytest
from streamlit.testing.v1 import AppTest

from app.estimates.settings import Bench
from app.features.estimator.example import EXAMPLE
from app.link import names, query_of, read_link, shortened
from app.screens import SCREENS
from app.setup import Setup
from tests.app.pages import MAIN, SMALL, keys, link, own, press, run

WITH_BENCHES = {address: screen for address, screen in SCREENS.items() if screen.benches}
ABOVE_ANYTHING = {"activations.opening"}
"""Answers that take the place of nothing: they stand above what was chosen, whatever that is."""

screens = pytest.mark.parametrize("address", WITH_BENCHES)
pages = pytest.mark.usefixtures("local_engine")


def every(address):
    """What a link says that names every setting of this screen's benches, each as it comes."""
    screen = WITH_BENCHES[address]
    query = query_of(Setup(), benches=[kind() for kind in screen.benches.values()], chosen=names())
    return {name: text for name, text in query.items() if name.startswith(tuple(screen.benches))}


def opened(address, query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, text in (SMALL | query).items():
        page.query_params[name] = text
    page.switch_page(SCREENS[address].script)
    return run(page)


@screens
def test_a_link_says_every_setting_that_was_chosen(address):
    query = every(address)
    assert len(query) > 3
    found = read_link(query)
    assert found.named == query.keys() and not found.refused
    again = query_of(Setup(), benches=found.benches, chosen=found.named)
    assert query.items() <= again.items()
    short = shortened(query)
    assert read_link(short) == found and 0 < len(short) < len(query)


def test_of_what_was_not_chosen_it_says_nothing_and_of_a_view_that_alone():
    assert not any("." in name for name in query_of(Setup(), benches=read_link({}).benches) if "bench" in name)
    query = query_of(Setup(), benches=[Bench(view="settings")])
    assert {name for name in query if name.startswith("bench.")} == {"bench.view"}


@pages
@pytest.mark.thorough
@screens
def test_a_screen_shows_what_its_link_names_and_no_example(address):
    query = every(address)
    page = opened(address, query)
    assert {kind: own(page).benches[kind] for kind in WITH_BENCHES[address].benches.values()} == {
        kind: kind() for kind in WITH_BENCHES[address].benches.values()
    }
    assert query.items() <= link(page).items()
    again = opened(address, link(page))
    assert link(again) == link(page) and own(again).benches == own(page).benches and keys(again) == keys(page)
    assert not {key for key in keys(page) if key.endswith(".opening")} - ABOVE_ANYTHING


@pages
@pytest.mark.thorough
@pytest.mark.parametrize(
    ("address", "button"),
    [
        *((address, "") for address, screen in SCREENS.items() if screen.has_flow),
        ("joint", "joint.own"),
        ("compare", "compare.own"),
    ],
)
def test_who_opens_the_address_of_a_page_sees_the_same(address, button):
    page = opened(address, {})
    if button:
        page = press(page, button)
    other = opened(address, link(page))
    assert link(other) == link(page)
    assert own(other).benches == own(page).benches and own(other).setup == own(page).setup
    assert keys(other) == keys(page)


@pages
@pytest.mark.thorough
def test_an_example_that_was_set_back_by_hand_stays_so():
    page = opened("estimator", {})
    assert own(page).benches[Bench] == EXAMPLE
    for k, entry in enumerate(Bench().matrix):
        page.text_input(key=f"bench.matrix.{k}").set_value(f"{entry:g}")
    page.select_slider(key="bench.n_terms").set_value(Bench().n_terms)
    page.select_slider(key="bench.law.p").set_value(Bench().law.p)
    page.select_slider(key="bench.law.n_exact").set_value(Bench().law.n_exact)
    page.selectbox(key="bench.probe").set_value(Bench().probe)
    page.toggle(key="bench.fractions").set_value(Bench().fractions)
    page = run(page)
    assert own(page).benches[Bench] == Bench()
    other = opened("estimator", link(page))
    assert own(other).benches[Bench] == Bench() and link(other) == link(page)


@pages
@pytest.mark.thorough
def test_a_view_that_was_looked_at_is_in_the_address():
    page = opened("dimensions", {})
    for view in ("scaling", "digits"):
        page = run(page.segmented_control(key="dimensions.view").set_value(view))
    other = opened("dimensions", link(page))
    assert keys(other) == keys(page) and link(other) == link(page)
    assert not [key for key in keys(other) if key.endswith(".opening")]
