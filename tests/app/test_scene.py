"""From hand-made reports to what the live picture is told: numbers, verdicts and the truth beside the model; and the
table of the blocks."""

import base64
import dataclasses
import json
import math

import numpy as np
import pytest

from app import channel
from app.engine.reports import ArmReport, LossCurves, Report, State
from app.engine.training.measurements.masses import Masses
from app.engine.training.weights import Weights, encode
from app.metrics import NOT_YET, is_one, is_standardised, overfits, share_in_window, with_error, with_two_digits
from app.setup import CsvChoice, OwnData, Setup
from app.ui.block_table import Standouts, markdown, standouts
from app.ui.scene import scene_of, truth_of
from resflow_core.data import DATASETS, Table
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Exact, Roulette, Truncated
from resflow_core.measure import BlockTable, Mass
from resflow_core.training.trainer import TrainConfig
from tests.app.pages import named, weights_of
from tests.app.requests import reported

BIASED = Setup(train=TrainConfig(log_det=Truncated()))
WINE = Setup(data="wine")
WHY_NOT = "No closed form for shared draws."
BELIEVED = Mass(1.3817, 0.004, 1.33)


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


def believed(found, **how):
    return readout(shown(BIASED, measured=[masses(found, **how)]), "believed")


def test_a_scene_has_the_weights_where_no_channel_brings_them(monkeypatch):
    message = encode(Weights(1200, '{"blocks": 2}', np.array([0.5, 2.0], np.float32)))
    header, numbers = weights_of(shown(weights=message))
    assert (header["run"], header["step"], numbers.tolist()) == ("run:0", 1200, [0.5, 2.0])
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
    told = shown(Setup(train=TrainConfig(log_det=log_det), flow=FlowConfig(blocks=4)))
    assert (told["belief"] is None) is (belief is None) and told["blocks"] == 4
    assert (belief or {}).items() <= (told["belief"] or {}).items()


def test_the_gap_to_the_truth_is_the_newest_kl_and_the_floor_the_entropy():
    told = shown(loss=curves())
    gap = readout(told, "gap")
    assert (gap["value"], gap["error"], gap["unit"]) == ("0.367", "0.010", "nats")
    assert told["floor"] == pytest.approx(math.log(32)) and told["loss_unit"] == "nats"
    unmeasured = shown(BIASED)["readouts"]
    assert [(r["name"], r["value"], r["note"]) for r in unmeasured] == [
        (name, "", NOT_YET) for name in ("gap", "mass", "believed")
    ]


def test_a_biased_flow_has_also_the_mass_it_believes_in():
    assert [r["name"] for r in shown(measured=[masses()])["readouts"]] == ["gap", "mass"]
    told = shown(BIASED, step=1234, measured=[masses(BELIEVED)])
    for name, value, error, share in (("mass", "0.9998", "0.0002", "97.9"), ("believed", "1.382", "0.004", "96.3")):
        found = readout(told, name)
        assert (found["value"], found["error"], bool(found["word"])) == (value, error, name == "believed")
        assert {"1,200", share} <= named(found["note"])  # of which step it is, and how much lies in the window
    assert share_in_window(BELIEVED) == pytest.approx(1.33 / 1.3817)
    infinite = believed(Mass(math.inf, math.inf, 0.98))
    assert (infinite["value"], infinite["error"]) == ("∞", "") and infinite["word"]
    unknown = believed(None, belief=WHY_NOT)
    assert (unknown["value"], unknown["note"]) == ("", WHY_NOT)
    of_another = believed(BELIEVED, log_det=Truncated(9))  # is not shown as this estimator's
    assert (of_another["value"], of_another["note"], of_another["word"]) == ("", NOT_YET, "")


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
        (1.7e3, math.inf, False),
        (math.nan, math.nan, False),
    ],
)
def test_the_verdict_on_a_mass_weighs_its_error(value, error, one):
    found = Mass(value, error, 0.9)
    assert is_one(found) is one and bool(believed(found)["word"]) is not one


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.36712, 0.0123, ("0.367", "0.012")),
        (0.36712, 0.0246, ("0.37", "0.02")),
        (-0.0021, 0.031, ("0.00", "0.03")),
        (12.34, 3.2, ("12", "3")),
        (1.0, 2e-7, ("1.0000", "< 0.0001")),
        (math.nan, 1.0, ("not finite", "")),
        (1.23456, math.nan, ("1.23", "unknown")),
    ],
)
def test_a_number_has_as_many_digits_as_its_error_deserves(value, error, text):
    assert with_error(value, error) == text
    assert [with_two_digits(rate) for rate in (0.0344, 9.96, 31.4, 1314.2)] == ["0.034", "10", "31", "1,314"]


def test_real_data_have_an_nll_in_standardised_units_and_no_floor():
    told = shown(WINE, loss=curves(held_kl=np.empty(0), held_kl_se=np.empty(0)))
    nll = readout(told, "nll")
    assert (nll["value"], nll["error"]) == ("3.833", "0.012")
    assert is_standardised(WINE.dataset) and not is_standardised(Setup().dataset)
    assert told["floor"] is told["truth"] is told["labels"] is None
    assert truth_of(WINE) == (DATASETS["wine"].title, None)


@pytest.mark.parametrize(("newest", "over"), [(2.5, False), (2.69, False), (2.71, True)])
def test_a_held_out_loss_that_rose_by_two_standard_errors_is_called_overfitting(newest, over):
    held = {"held_step": [1, 2, 3], "held_nll": [3.0, 2.5, newest], "held_se": [0.2, 0.2, 0.1]}
    loss = curves(**{name: np.array(of) for name, of in held.items()}, held_kl=np.empty(0), held_kl_se=np.empty(0))
    assert overfits(ArmReport(3, 0.0, 1.0, loss=loss)) is over
    assert bool(readout(shown(WINE, loss=loss), "nll")["word"]) is over


def test_the_true_density_stands_on_the_nodes_of_a_sharp_picture():
    _, density = truth_of(Setup())
    x, y = (np.linspace(*side, 200) for side in DATASETS["checkerboard"].window)
    column, row = np.floor((x + 4) / 2), np.floor((y + 4) / 2)[:, None]
    on_board = (abs(x) < 4) & (abs(y) < 4)[:, None]
    np.testing.assert_allclose(density, np.where(on_board & ((column + row) % 2 == 0), 1 / 32, 0), rtol=1e-6)


def test_the_classes_of_a_table_go_with_its_points():
    values = np.random.default_rng(0).normal(size=(40, 2))
    table = Table("Mine", ("a", "b"), values, labels=("red", "white") * 20)
    told = shown(Setup(own=OwnData(CsvChoice("mine.csv", "", "a", "b", "kind"), table)))
    index = np.frombuffer(base64.b64decode(told["labels"]["index"]["base64"]), np.uint8)
    assert tuple(told["labels"]["names"][i] for i in index) == table.held_out_labels
    assert told["points"]["shape"] == [len(index), 2]


class TestBlockTable:
    BLOCKS = BlockTable(
        mean_log_det=np.array([0.12, -0.3456, 0.0]),
        mean_abs_log_det=0.5,
        lipschitz=np.array([0.97, 0.97, 0.97]),
        layer_norms=np.array([[0.98, 0.99], [0.5, 0.7], [0.98, 0.98]]),
        largest_norm=np.array([0.5, 0.25, 0.93]),
        steepest=np.zeros((3, 2, 2)),
        orders=np.full((3, 2), 2.0),
        breaking=np.array([np.inf, 4.0, 1.2]),
        spectral_radius=np.array([0.4, 0.25, 0.7512]),
    )

    def test_a_row_a_block_and_what_stands_out(self):
        assert markdown(self.BLOCKS).splitlines()[2:] == [
            "| 1 | +0.120 | 0.970 | 0.500 | 0.400 |",
            "| 2 | −0.346 | 0.970 | 0.250 | 0.250 |",
            "| 3 | +0.000 | 0.970 | 0.930 | 0.751 |",
        ]
        assert standouts(self.BLOCKS) == Standouts(strongest=1, log_det=-0.3456, steepest=2, norm=0.93, bound=0.97)

    @pytest.mark.parametrize(
        ("beyond", "column", "worst", "finite"), [([0.0] * 3, "0 %", 0, True), ([0.0, 0.001, 0.0], "0.1 %", 1, False)]
    )
    def test_where_the_roulette_has_infinite_variance(self, beyond, column, worst, finite):
        blocks = dataclasses.replace(self.BLOCKS, tail_ratio=0.5, beyond=np.array(beyond))
        found = standouts(blocks)
        assert f"| {column} |" in markdown(blocks)
        assert (found.worst, found.beyond, found.finite_variance) == (worst, max(beyond), finite)
        assert found.limit == pytest.approx(0.7071, abs=1e-4)
