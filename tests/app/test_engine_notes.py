"""What the record of a cluster's runs is told, where telling takes a while."""

import threading
from types import SimpleNamespace

import pytest
from ray.exceptions import RayError

from app.engine.cluster import actors
from app.engine.experiment import Arm, Experiment
from app.engine.records.experiment_record import Restart
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig

KEPT = Restart(Experiment((Arm(FlowConfig(), TrainConfig(), "moons"),), 0), None, (), True, 0)


@pytest.fixture
def told(monkeypatch):
    """What was told so far; each telling ends when `told.may_go_on` is set."""
    found = SimpleNamespace(runs={}, begun=threading.Event(), may_go_on=threading.Event())

    def note(news):
        found.begun.set()
        assert found.may_go_on.wait(60)
        found.runs |= {id: kept is not None for id, kept in news.items()}

    keeper = SimpleNamespace(note=SimpleNamespace(remote=note), runs=SimpleNamespace(remote=dict))
    monkeypatch.setattr(actors, "_keeper", lambda: keeper)
    monkeypatch.setattr(actors, "ray", SimpleNamespace(get=lambda found: found))
    return found


def test_what_was_put_before_the_end_is_told_before_it(told):
    notes = actors.Notes()
    notes.put("first", KEPT)
    assert told.begun.wait(60)
    notes.put("first", None)
    notes.put("second", KEPT)
    end = threading.Thread(target=notes.stop)
    end.start()
    told.may_go_on.set()
    end.join(60)
    assert told.runs == {"first": False, "second": True}


def test_a_record_that_was_lost_with_its_machine_is_begun_anew(told, monkeypatch):
    """A page server that starts just then finds the name of a record that is gone."""

    def is_gone():
        raise RayError("its node has died")

    gone = SimpleNamespace(runs=SimpleNamespace(remote=is_gone))
    found = [gone, gone, actors._keeper()]
    monkeypatch.setattr(actors, "_keeper", lambda: found.pop(0))
    monkeypatch.setattr(actors, "HEAR_SECONDS", 0.0)
    told.may_go_on.set()
    notes = actors.Notes()
    assert notes.found == {}
    notes.put("first", KEPT)
    notes.stop()
    assert told.runs == {"first": True}
