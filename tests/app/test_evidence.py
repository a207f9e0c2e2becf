"""The stored answers, among them the run that the home page replays: complete, made from several seeds, and still what
their sentences say."""

import copy
import math
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import engine, evidence, screens
from app.evidence import EVIDENCE, Evidence, Made, stored
from app.evidence.workers import each
from app.features.home import replay
from app.features.home.evidence import CUT, DATA, EXACT, NAME
from resflow_core.data import DATASETS
from tests.app.pages import MAIN, go, keys, link, run

assert screens.SCREENS  # they fill the registry


@pytest.mark.parametrize("name", EVIDENCE)
def test_a_stored_answer_rests_on_several_seeds_and_says_what_follows(name):
    told = stored(name)
    claims = EVIDENCE[name].claims(told.found)
    assert claims and all(claims.values()), claims
    assert not told.seeds or len(set(told.seeds)) >= 3  # a closed form has none


def test_what_is_kept_is_what_was_found(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "FOLDER", tmp_path)
    found = {"loss": np.array([1.23456789, np.float32(2.0)]), "steps": (1, 2), "more": {"name": "é", "none": None}}
    evidence.store("one", Made(found, {"data": "moons"}, (0, 1, 2), "torch"), "2026-11-28")
    told = stored("one")
    assert told.found == {"loss": [1.23457, 2.0], "steps": [1, 2], "more": {"name": "é", "none": None}}
    assert (told.settings, told.seeds, told.backend) == ({"data": "moons"}, (0, 1, 2), "torch")
    assert re.search("2026-11-28.*3 seeds.*torch.*one", told.source)
    evidence.store("one", Made({}, {}, (), "torch"), "2026-11-29")
    assert not stored("one").found  # not what was read before


def test_the_command_tells_whether_claims_follow_and_stores_only_all_of_it(tmp_path, monkeypatch):
    from app.evidence import __main__ as command

    monkeypatch.setattr(evidence, "FOLDER", tmp_path)
    one = Evidence(lambda small: Made({"small": small}, {}, (), "torch"), lambda found: {"all": not found["small"]})
    monkeypatch.setattr("app.evidence.EVIDENCE", {"one": one})
    monkeypatch.setattr(command, "EVIDENCE", {"one": one})
    monkeypatch.setattr("sys.argv", ["app.evidence", "--small"])
    assert command.main() == 1 and not list(tmp_path.iterdir())
    monkeypatch.setattr("sys.argv", ["app.evidence", "--only", "one"])
    assert command.main() == 0 and [path.name for path in tmp_path.iterdir()] == ["one.json"]


def test_calls_are_made_once_each():
    assert sorted(each(math.hypot, [(3, 4), (5, 12), (8, 15)], 1)) == [5, 13, 17]
    with pytest.raises(ValueError, match="workers = 0"):
        list(each(math.hypot, [(3, 4)], 0))


class TestHome:
    def test_the_replay_is_of_the_first_seed_and_its_sentence_of_all(self):
        found, scene = stored(NAME).found, replay.scene()
        for name in (EXACT, CUT):
            kept, shown = found[name], scene[name]
            assert shown["true"] == kept["true"] and shown["mass"] == kept["mass"]
            assert shown["reported"] == pytest.approx(np.subtract(kept["true"], kept["bias"]))
            assert len(shown["density"]) == len(found["steps"])
        cut = {name: np.mean(found[CUT]["ends"][name]) for name in ("true", "bias", "mass")}
        wanted = [cut["true"] - cut["bias"], DATASETS[DATA].truth.entropy, cut["true"], cut["mass"]]
        numbers = [float(text) for text in re.findall(r"\d+\.\d+", replay.sentence())]
        assert numbers == pytest.approx(wanted, abs=0.06)

    def test_a_claim_that_fails_is_seen(self):
        found = copy.deepcopy(stored(NAME).found)
        for name, key, value in ((CUT, "mass", 1.0), (CUT, "bias", 0.0), (CUT, "true", 0.0), (EXACT, "true", 0.0)):
            changed = copy.deepcopy(found)
            changed[name]["ends"][key][1] = value
            assert not all(EVIDENCE[NAME].claims(changed).values()), (name, key)

    def test_the_bare_address_starts_nothing_and_settings_in_it_open_explore(self, monkeypatch, local_engine):
        with monkeypatch.context() as patch:
            patch.setattr(engine, "get_engine", lambda: pytest.fail("nobody asked for a flow"))
            page = run(AppTest.from_file(MAIN, default_timeout=600))
            assert "replay" in keys(page) and not page.query_params and "page" not in page.session_state
            assert replay.sentence() in [caption.value for caption in page.caption]
        page = AppTest.from_file(MAIN, default_timeout=600)
        for name, value in {"blocks": "2", "width": "16", "batch": "64", "data": "moons"}.items():
            page.query_params[name] = value
        page = run(page)
        assert "panes" in keys(page)
        before, address = page.session_state["page"].run, link(page)
        page.query_params.clear()
        page = go(page, "features/home/home.py")
        assert "replay" in keys(page) and not page.query_params
        page = go(page, "features/explore/explore.py")
        assert page.session_state["page"].run == before and link(page) == address
