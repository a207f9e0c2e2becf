"""From hand-made reports to what the live picture is told: numbers, words and the truth beside the model."""

import base64
import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from app import channel
from app.engine.reports import ArmReport, LossCurves, Report, State
from app.engine.training.measurements.masses import Masses
from app.engine.training.weights import Weights, encode
from app.metrics import (
    NOT_YET,
    held_out_nll,
    is_one,
    is_standardised,
    overfits,
    share_in_window,
    with_error,
    with_two_digits,
)
from app.setup import CsvChoice, OwnData, Setup
from app.ui.scene import scene_of, truth_of
from resflow_core.data import DATASETS, Table
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import Mass, mass
from resflow_core.training.trainer import TrainConfig
from tests.app.pages import named, weights_of
from tests.app.requests import reported

BIASED = Setup(train=TrainConfig(log_det=Truncated()))
WINE = Setup(data="wine")
WHY_NOT = "No closed form for shared draws."


def curves(**changes):
    curves = LossCurves(
        step=np.array([1, 2]),
        batch_nll=np.array([4.5, 4.4], np.float32),
        held_step=np.array([2]),
        held_nll=np.array([3.8331], np.float32),
        held_se=np.array([0.0123], np.float32),
        held_kl=np.array([0.5, 0.36712], np.float32),
        held_kl_se=np.array([0.1, 0.0098], np.float32),
        held_bias=np.array([0.0], np.float32),
        held_bias_se=np.array([0.0], np.float32),
        held_seconds=np.array([0.1], np.float32),
        orders=np.empty((0, 0, 0), np.float32),
    )
    return dataclasses.replace(curves, **changes)


def masses(believed=None, belief="", log_det=BIASED.train.log_det):
    return Masses(1200, log_det, Mass(0.9998, 0.0002, 0.9788), believed, belief)


def shown(setup=None, step=1200, measured=(), **arm):
    arm = ArmReport(step=step, steps_per_second=50.0, seconds=24.0, measured=reported(*measured), **arm)
    told = scene_of(setup or Setup(), Report("run", State.PLAYING, (arm,)), 500)
    return json.loads(json.dumps(told, allow_nan=False))


def readout(told, name):
    return next(r for r in told["readouts"] if r["name"] == name)


def test_a_scene_has_the_weights_where_no_channel_brings_them(monkeypatch):
    message = encode(Weights(1200, '{"blocks": 2}', np.array([0.5, 2.0], np.float32)))
    header, numbers = weights_of(shown(weights=message))
    assert (header["run"], header["step"], numbers.tolist()) == ("run:0", 1200, [0.5, 2.0])
    assert shown()["weights"] is None
    monkeypatch.setattr(channel.CHANNEL, "is_read", {"run"}.__contains__)
    assert shown(weights=message)["weights"] is None


@pytest.mark.parametrize(
    ("log_det", "belief"),
    [
        (Exact(), None),
        (Truncated(7), {"is": "truncated", "n_terms": 7}),
        (Roulette(), {"is": "roulette", "n_draws": 1, "probe": "gaussian"}),
        (Roulette(n_draws=2), None),
    ],
)
def test_what_training_believes_in_is_offered_where_it_has_a_closed_form_of_its_own(log_det, belief):
    told = shown(Setup(train=TrainConfig(log_det=log_det)))
    assert (told["belief"] is None) is (belief is None)
    assert (belief or {}).items() <= (told["belief"] or {}).items()
    assert len(told["alt"]["believed"]) > 30


def test_the_gap_to_the_truth_is_the_newest_kl_with_its_standard_error():
    gap = readout(shown(loss=curves()), "gap")
    assert (gap["value"], gap["error"], gap["unit"]) == ("0.367", "0.010", "nats")
    assert gap["note"] != NOT_YET


def test_a_flow_that_nobody_has_measured_has_places_for_its_numbers():
    told = shown(BIASED)
    assert [r["name"] for r in told["readouts"]] == ["gap", "mass", "believed"]
    assert {(r["value"], r["note"], r["word"]) for r in told["readouts"]} == {("", NOT_YET, "")}
    assert NOT_YET in scene_of(Setup(), Report("run", State.QUEUED), 500)["alt"]["data"]


def test_an_exact_flow_has_one_mass_and_a_biased_one_also_the_mass_it_believes_in():
    found = masses(Mass(1.3817, 0.004, 1.33))
    exact = shown(loss=curves(), measured=[masses()])
    assert [r["name"] for r in exact["readouts"]] == ["gap", "mass"]
    mass = readout(exact, "mass")
    assert (mass["value"], mass["error"], mass["word"]) == ("0.9998", "0.0002", "")
    assert "97.9" in named(mass["note"]) and share_in_window(found.exact) == pytest.approx(0.9788 / 0.9998)
    believed = readout(shown(BIASED, measured=[found]), "believed")
    assert (believed["value"], believed["error"]) == ("1.382", "0.004")
    assert believed["word"] and is_one(found.exact) and not is_one(found.believed)
    assert "96.3" in named(believed["note"]) and share_in_window(found.believed) == pytest.approx(1.33 / 1.3817)


def test_a_mass_of_another_step_than_the_current_one_says_of_which():
    told = shown(BIASED, step=1234, measured=[masses(Mass(1.3817, 0.004, 1.33))])
    assert {"1,200", "97.9"} <= named(readout(told, "mass")["note"])
    assert {"1,200", "96.3"} <= named(readout(told, "believed")["note"])
    assert "1,200" not in named(readout(shown(measured=[masses()]), "mass")["note"])
    unknown = readout(shown(BIASED, step=1234, measured=[masses(None, WHY_NOT)]), "believed")
    assert unknown["note"] == WHY_NOT


def test_a_mass_is_not_clamped_and_where_there_is_none_the_reason_is_said():
    found = Mass(math.inf, math.inf, 0.98)
    infinite = readout(shown(BIASED, measured=[masses(found)]), "believed")
    assert (infinite["value"], infinite["error"]) == ("∞", "")
    assert infinite["word"] and not is_one(found)
    assert "0.98" in named(infinite["note"]) and math.isnan(share_in_window(found))
    everywhere = readout(shown(BIASED, measured=[masses(Mass(math.inf, math.inf, math.inf))]), "believed")
    assert "∞" in named(everywhere["note"])
    huge = readout(shown(BIASED, measured=[masses(Mass(3.7e12, 2e10, 1.5))]), "believed")
    assert huge["value"] == "3.70e+12"
    unknown = readout(shown(BIASED, measured=[masses(None, WHY_NOT)]), "believed")
    assert (unknown["value"], unknown["note"]) == ("", WHY_NOT)


def test_what_another_estimator_believed_in_is_not_shown_as_this_ones():
    for belief in ("", WHY_NOT):
        told = shown(BIASED, measured=[masses(Mass(1.3817, 0.004, 1.33), belief, log_det=Truncated(9))])
        believed, mass = readout(told, "believed"), readout(told, "mass")
        assert (believed["value"], believed["note"], believed["word"]) == ("", NOT_YET, "")
        assert mass["value"] == "0.9998"


@pytest.mark.parametrize(
    ("value", "error", "one"),
    [
        (1.0129, 0.001, True),
        (1.0131, 0.001, False),
        (0.9871, 0.001, True),
        (0.9869, 0.001, False),
        (1.3, 0.1, True),
        (40.0, 120.0, True),
        (4e6, 1.2e7, False),
        (4e6, 0.0, False),
        (1.7e3, math.inf, False),
        (math.nan, math.nan, False),
    ],
)
def test_the_verdict_on_a_mass_weighs_its_error(value, error, one):
    found = Mass(value, error, 0.9)
    assert is_one(found) is one
    assert bool(readout(shown(BIASED, measured=[masses(found)]), "believed")["word"]) is not one


def test_a_mass_that_one_node_makes_is_not_one_though_its_error_is_larger_still():
    found = mass(lambda x: torch.where(x.norm(dim=1) < 1e-9, 25.0, -torch.inf), ((-3.0, 3.0), (-3.0, 3.0)), 64)
    assert found.value > 1e6 and found.error > 2 * found.value
    assert not is_one(found) and readout(shown(BIASED, measured=[masses(found)]), "believed")["word"]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.36712, 0.0098, ("0.367", "0.010")),
        (0.36712, 0.0123, ("0.367", "0.012")),
        (0.36712, 0.0246, ("0.37", "0.02")),
        (-0.21, 0.031, ("-0.21", "0.03")),
        (-0.0021, 0.031, ("0.00", "0.03")),
        (12.34, 3.2, ("12", "3")),
        (1.0, 0.0, ("1.0000", "< 0.0001")),
        (1.0, 2e-7, ("1.0000", "< 0.0001")),
        (math.inf, 1.0, ("∞", "")),
        (math.nan, 1.0, ("not finite", "")),
        (1.23456, math.nan, ("1.23", "unknown")),
    ],
)
def test_a_number_has_as_many_digits_as_its_error_deserves(value, error, text):
    assert with_error(value, error) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0.0, "0"), (0.0344, "0.034"), (0.5, "0.5"), (3.14, "3.1"), (9.96, "10"), (31.4, "31"), (1314.2, "1,314")],
)
def test_a_speed_has_two_digits_however_slow(rate, text):
    assert with_two_digits(rate) == text


def test_real_data_have_an_nll_in_standardised_units_and_no_floor():
    told = shown(WINE, loss=curves(held_kl=np.empty(0), held_kl_se=np.empty(0)))
    nll = readout(told, "nll")
    assert (nll["value"], nll["error"], nll["unit"]) == ("3.833", "0.012", "nats")
    assert nll["note"] != NOT_YET and is_standardised(WINE.dataset) and not is_standardised(Setup().dataset)
    assert told["loss_unit"] == "nats, standardised"
    assert told["floor"] is told["truth"] is told["labels"] is None
    assert truth_of(WINE) == (DATASETS["wine"].title, None)


@pytest.mark.parametrize(("newest", "over"), [(2.5, False), (2.69, False), (2.71, True), (9.0, True)])
def test_a_held_out_loss_that_rose_by_two_standard_errors_is_called_overfitting(newest, over):
    held = {
        "held_step": np.array([1, 2, 3]),
        "held_nll": np.array([3.0, 2.5, newest], np.float32),
        "held_se": np.array([0.2, 0.2, 0.1], np.float32),
    }
    loss = curves(**held, held_kl=np.empty(0), held_kl_se=np.empty(0))
    assert overfits(ArmReport(3, 0.0, 1.0, loss=loss)) is over
    assert bool(readout(shown(WINE, loss=loss), "nll")["word"]) is over


def test_the_floor_is_the_entropy_of_the_data():
    told = shown()
    assert told["floor"] == pytest.approx(math.log(32))
    assert told["loss_unit"] == "nats"


def test_the_true_density_stands_on_the_nodes_of_a_sharp_picture():
    name, density = truth_of(Setup())
    assert name == shown()["truth"]
    x, y = (np.linspace(*side, 200) for side in DATASETS["checkerboard"].window)
    column, row = np.floor((x + 4) / 2), np.floor((y + 4) / 2)[:, None]
    on_board = (abs(x) < 4) & (abs(y) < 4)[:, None]
    np.testing.assert_allclose(density, np.where(on_board & ((column + row) % 2 == 0), 1 / 32, 0), rtol=1e-6)


def test_words_for_those_who_do_not_see_the_picture_carry_the_numbers():
    told = shown(BIASED, loss=curves(), measured=[masses(Mass(1.3817, 0.004, 1.33))])
    alt, (gap, mass, believed) = told["alt"], told["readouts"]
    assert held_out_nll(ArmReport(2, 0.0, 1.0, loss=curves())) == pytest.approx((3.8331, 0.0123))
    numbers = {"3.83", "0.01", gap["value"], gap["error"], mass["value"], believed["value"]}
    assert numbers == {"3.83", "0.01", "0.367", "0.010", "0.9998", "1.382"}
    for pane in ("data", "latent", "difference", "loss"):
        assert {"1,200", *numbers} <= named(alt[pane])
    assert str(Setup().flow.blocks) in named(alt["stage"])
    assert told["floor"] == pytest.approx(3.466, abs=5e-4)
    for pane in ("truth", "loss"):
        assert "3.466" in named(alt[pane])
    wine = shown(WINE, loss=curves())
    assert f"3.83 {wine['loss_unit']}" in wine["alt"]["data"]


def test_the_slider_learns_how_many_blocks_there_are():
    assert shown(Setup(flow=FlowConfig(blocks=4)))["blocks"] == 4


def test_the_classes_of_a_table_go_with_its_points():
    values = np.random.default_rng(0).normal(size=(40, 2))
    table = Table("Mine", ("a", "b"), values, labels=("red", "white") * 20)
    told = shown(Setup(own=OwnData(CsvChoice("mine.csv", "", "a", "b", "kind"), table)))
    index = np.frombuffer(base64.b64decode(told["labels"]["index"]["base64"]), np.uint8)
    assert tuple(told["labels"]["names"][i] for i in index) == table.held_out_labels
    assert told["points"]["shape"] == [len(index), 2]
    assert told["truth"] is None
