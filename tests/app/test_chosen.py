"""A link gets what it names, also where that is how a bench comes. A screen opens with its example only where nothing
was chosen, and who opens the address of a page sees what that page shows."""

import pytest
from streamlit.testing.v1 import AppTest

from app.link import names, query_of, read_link, shortened
from app.screens import SCREENS
from app.setup import Setup
from tests.app.pages import MAIN, SMALL, keys, link, own, run

WITH_BENCHES = {address: screen for address, screen in SCREENS.items() if screen.benches}


def every(address):
    """What a link says that names every setting of this screen's benches, each as it comes."""
    benches = WITH_BENCHES[address].benches
    query = query_of(Setup(), benches=[kind() for kind in benches.values()], chosen=names())
    return {name: text for name, text in query.items() if name.startswith(tuple(benches))}


def opened(address, query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, text in (SMALL | query).items():
        page.query_params[name] = text
    page.switch_page(SCREENS[address].script)
    return run(page)


@pytest.mark.parametrize("address", WITH_BENCHES)
def test_a_link_says_every_setting_that_was_chosen(address):
    query = every(address)
    found = read_link(query)
    assert len(query) > 3 and found.named == query.keys() and not found.refused
    assert query.items() <= query_of(Setup(), benches=found.benches, chosen=found.named).items()
    short = shortened(query)
    assert read_link(short) == found and 0 < len(short) < len(query)


@pytest.mark.usefixtures("local_engine")
@pytest.mark.thorough
class TestPages:
    @pytest.mark.parametrize("address", ["estimator", "lipschitz"])
    def test_a_screen_shows_what_its_link_names_and_no_example(self, address):
        page = opened(address, every(address))
        for kind in WITH_BENCHES[address].benches.values():
            assert own(page).benches[kind] == kind()
        assert not {key for key in keys(page) if key.endswith(".opening")}

    @pytest.mark.parametrize("address", ["estimator", "lipschitz", "activations"])
    def test_who_opens_the_address_of_a_page_sees_the_same(self, address):
        page = opened(address, {})
        other = opened(address, link(page))
        assert link(other) == link(page) and keys(other) == keys(page)
        assert own(other).benches == own(page).benches and own(other).setup == own(page).setup
