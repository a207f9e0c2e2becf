"""The stored answers: complete, made from several seeds, and still what their sentences say."""

import json
import math
import re
from datetime import date

import numpy as np
import pytest

from app import evidence, screens
from app.evidence import EVIDENCE, FOLDER, Evidence, Made, path_of, plain, stored
from app.evidence.workers import each

assert screens.SCREENS  # they fill the registry
LEAST_SEEDS = 3
MOST_BYTES = 160 * 1024
LONG = ("compare-honest", "compare-expressive", "compare-terms", "compare-coupling", "compare-time", "compare-figure1")
"""Of which not even a part is made in a minute; the first comparison stands for them."""


@pytest.mark.parametrize("name", EVIDENCE)
class TestStored:
    def test_it_says_what_made_it(self, name):
        told = stored(name)
        assert date.fromisoformat(told.date) <= date.today()
        assert told.backend and told.settings
        assert path_of(name).stat().st_size < MOST_BYTES

    def test_it_rests_on_several_seeds_unless_it_is_a_closed_form(self, name):
        seeds = stored(name).seeds
        assert not seeds or len(set(seeds)) >= LEAST_SEEDS

    def test_all_that_its_sentence_says_follows(self, name):
        claims = EVIDENCE[name].claims(stored(name).found)
        assert claims and all(claims.values()), claims


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EVIDENCE if name not in LONG])
def test_a_small_part_that_is_made_anew_says_the_same(name):
    claims = EVIDENCE[name].claims(json.loads(json.dumps(plain(EVIDENCE[name].make(True).found))))
    assert claims and all(claims.values()), claims


def test_no_file_is_left_that_nobody_reads():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(EVIDENCE)
    assert set(LONG) < set(EVIDENCE)


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


def test_the_command_tells_whether_claims_follow_and_stores_only_all_of_it(tmp_path, monkeypatch, capsys):
    from app.evidence import __main__ as command

    monkeypatch.setattr(evidence, "FOLDER", tmp_path)
    one = Evidence(
        lambda small: Made({"small": small}, {}, (), "torch"), lambda found: {"all of it": not found["small"]}
    )
    monkeypatch.setattr("app.evidence.EVIDENCE", {"one": one})
    monkeypatch.setattr(command, "EVIDENCE", {"one": one})
    monkeypatch.setattr("sys.argv", ["app.evidence", "--small"])
    assert command.main() == 1 and not list(tmp_path.iterdir())
    assert "NO  all of it" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["app.evidence", "--only", "one"])
    assert command.main() == 0 and [path.name for path in tmp_path.iterdir()] == ["one.json"]


@pytest.mark.parametrize("workers", [1, 2])
def test_calls_are_made_by_so_many_processes(workers):
    assert sorted(each(math.hypot, [(3, 4), (5, 12), (8, 15)], workers)) == [5, 13, 17]


def test_less_than_one_process_is_refused():
    with pytest.raises(ValueError, match=r"workers = 0.* from 1"):
        list(each(math.hypot, [(3, 4)], 0))
