import dataclasses

import numpy as np

from app.setup import CsvChoice, FlowFile, OwnData, SavedFlow, Setup, differences, entries
from resflow_core.data import DATASETS, Table
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.roulette import Geometric
from resflow_core.training.trainer import TrainConfig

TABLE = Table("points.csv", ("x", "y"), np.random.default_rng(0).normal(size=(50, 2)))
OWN = OwnData(CsvChoice("points.csv", "0123456789ab", "x", "y"), TABLE)
START = SavedFlow(FlowFile("moons.safetensors", "ba9876543210"), b"weights")


def test_only_training_changes_keep_the_run():
    setup = Setup()
    for same in ({"train": TrainConfig(batch=10)}, {"changes": ((3, TrainConfig(batch=10)),)}):
        assert setup.same_run(dataclasses.replace(setup, **same))
    others = (
        {"seed": 1},
        {"data": "moons"},
        {"flow": FlowConfig(blocks=2)},
        {"device": "cpu"},
        {"own": OWN},
        {"start": START},
    )
    for changed in others:
        assert not setup.same_run(dataclasses.replace(setup, **changed))


def test_an_experiment_holds_everything_that_was_set():
    changes = ((3, TrainConfig(batch=10)),)
    setup = Setup("moons", 7, "cpu", FlowConfig(blocks=2), TrainConfig(batch=20), OWN, START, changes)
    experiment = setup.experiment()
    (arm,) = experiment.arms
    assert (experiment.seed, experiment.device) == (7, "cpu")
    assert (arm.flow, arm.train, arm.changes, arm.weights) == (setup.flow, setup.train, changes, b"weights")
    assert arm.data is setup.dataset is TABLE
    drawn = dataclasses.replace(setup, own=None)
    assert drawn.experiment().arms[0].data == "moons"
    assert drawn.dataset is DATASETS["moons"]


def test_a_file_is_known_by_what_a_link_says_of_it():
    again = OwnData(OWN.choice, Table("points.csv", ("x", "y"), TABLE.values))
    assert Setup(own=OWN) == Setup(own=again)
    assert hash(Setup(own=OWN)) == hash(Setup(own=again))
    assert Setup(own=OWN) != Setup(own=OwnData(CsvChoice("points.csv", "0123456789ab", "y", "x"), TABLE))


def test_the_settings_of_a_variant_stand_under_its_name():
    train = TrainConfig(log_det=Roulette(Geometric(0.3, 2), "rademacher", n_probes=4, shared=True))
    named = {key: value for key, _, value in entries(train) if key.startswith("log_det")}
    assert (
        named
        | {
            "log_det": "roulette",
            "log_det.law": "geometric",
            "log_det.law.p": 0.3,
            "log_det.law.n_exact": 2,
            "log_det.probe": "rademacher",
            "log_det.n_probes": 4,
            "log_det.shared": True,
        }
        == named
    )


def test_differences_are_what_differs_and_all_of_a_new_variant():
    def named(before, after):
        return {key: value for key, _, value in differences(TrainConfig(before), TrainConfig(after))}

    assert named(Exact(), Exact()) == {}
    assert named(Truncated(5), Truncated(7)) == {"log_det.n_terms": 7}
    assert named(Roulette(Geometric(0.5)), Roulette(Geometric(0.3))) == {"log_det.law.p": 0.3}
    assert named(Exact(), Truncated()).keys() == {
        key for key, _, _ in entries(TrainConfig(Truncated())) if "log_det" in key
    }
