"""One weight, without a browser: what is asked for in links and by the network, against NumPy and the core's flow."""

import json

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app.components import network
from app.components.network import MOST_LINES, Layer, Told
from app.engine.reports import State
from app.engine.training.measurements.edits import GRID, Edits
from app.features.lipschitz import changes, weight_pictures, weight_words
from app.features.lipschitz.numbers import Inverted
from app.features.lipschitz.settings import Lipschitz
from app.features.lipschitz.weighed import Weighed, moved, weighed
from app.link import STEP, query_of, read_link
from app.quantise import TOP_QUANTILE
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.measure import Change, Edited, EditedBlock, EditedLayer
from resflow_core.measure.invertibility import Regime
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.pages import (
    MAIN,
    SMALL,
    decode,
    finding,
    go,
    is_drawn,
    keys,
    link,
    named,
    own,
    panes,
    press,
    run,
    said,
)

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
FLOW, TRAIN, DATA = FlowConfig(blocks=2, width=16), TrainConfig(batch=64), DATASETS["moons"]
ADDRESS, EXPLORE = "features/lipschitz/lipschitz.py", "features/explore/explore.py"
STEPS = 10
CAP = 0.99**0.5


def opened(settings=(), screen=ADDRESS, steps=STEPS, **bench):
    page = AppTest.from_file(MAIN, default_timeout=600)
    query = SMALL | {f"lipschitz.{name}": value for name, value in ({"view": "weights"} | bench).items()}
    for name, value in (query | dict(settings) | ({STEP: str(steps)} if steps else {})).items():
        page.query_params[name] = value
    page = go(page, screen)
    return run(page) if steps else page  # it is at its step


def bench(page):
    return own(page).benches[Lipschitz]


def scene(page):
    """What the network was sent."""
    parts = [e.proto for e in page.main if e.type == "bidi_component"]
    (drawn,) = [part.json for part in parts if part.component_name == "resflow_network"]
    return json.loads(drawn)


@pytest.fixture(scope="module")
def trained():
    trainer = Trainer(FLOW, TRAIN, DATA, seed=3)
    for _ in range(STEPS):
        trainer.step()
    return trainer.evaluated


@pytest.fixture
def pull(monkeypatch):
    """Let the network tell something: `pull(page, text)`."""
    told = {"now": Told()}
    monkeypatch.setattr(network, "told", lambda key: told["now"])

    def tell(page, text, chosen=""):
        told["now"] = Told(told["now"].number + 1, text, chosen)
        return run(page)

    return tell


def raw(flow, block=1, layer=0):
    return flow.blocks[block].branch.linears[layer].raw.detach().double().numpy().copy()


class TestAnswers:
    def test_what_is_asked_for_and_what_the_constraint_leaves_and_the_network_that_is_drawn(self, trained):
        page = opened(block="2", weights="w1.5.2=3")
        found, asked = finding(page, Weighed), raw(trained)
        before = float(asked[4, 1])
        asked[4, 1] = 3.0
        norm = np.linalg.norm(asked, 2)
        left = 3 * min(1, CAP / norm)
        assert norm > CAP and left < 1
        pulled = found.pulled
        assert pulled.change == Change("weight", 0, 4, 3.0, 1)
        assert (pulled.trained, pulled.left) == pytest.approx((before, left), rel=1e-4)
        assert (pulled.norm_asked, pulled.norm_left, pulled.cap) == pytest.approx((norm, CAP, CAP), rel=1e-4)
        assert pulled.norm_trained == pytest.approx(np.linalg.norm(raw(trained), 2), rel=1e-4)
        assert pulled.capped and pulled.factor == pytest.approx(CAP / norm, rel=1e-4)
        assert (pulled.weights, pulled.others) == (32, 31)
        assert found.regime is Regime.CERTIFIED and found.certified[1] <= 0.99 * 1.0001
        (told,) = [text for text in said(page) if "the constraint made it" in text]
        assert {"3", f"{left:.3g}", f"{norm:.3g}", f"{CAP:.3g}", "32", "31"} <= named(told)

        drawn = scene(page)  # the network is the block
        assert drawn["sizes"] == [2, 16, 2] and drawn["block"] == 2 and not drawn["fixed"]
        assert drawn["changes"] == drawn["answered"] == "w1.5.2=3"
        for k, layer in enumerate(drawn["layers"]):
            expected = raw(trained, 1, k)
            assert layer["total"] == len(layer["lines"]) == expected.size
            for row, column, value, _ in layer["lines"]:
                assert value == pytest.approx(expected[row, column], rel=1e-4)
        used = {(row, column): value for row, column, _, value in drawn["layers"][0]["lines"]}
        assert used[4, 1] == pytest.approx(left, rel=1e-4)

    def test_the_density_is_that_of_the_changed_flow(self, trained):
        page = opened(block="2", weights="w1.5.2=3 b1.3=-1")
        flow = Edited(1, 1.0, changes.read("w1.5.2=3 b1.3=-1")).of(trained)
        with torch.no_grad():
            axes = [torch.linspace(*axis, GRID) for axis in DATA.window]
            x = torch.stack(torch.meshgrid(*axes, indexing="xy"), -1).reshape(-1, 2)
            p, q = (f.log_prob(x).exp().view(GRID, GRID).numpy() for f in (flow, trained))
        heat = panes(page)[0]["heat"]
        assert is_drawn(page, flow, heat["flow"]) and heat["high"] == pytest.approx(np.quantile(q, TOP_QUANTILE))
        # A browser that cannot draw it gets the numbers.
        own(page).plain = True
        heat = panes(run(page))[0]["heat"]
        shares = np.clip(p / heat["range"][1], 0, 1)
        np.testing.assert_allclose(decode(heat["level"]) / 254, shares, atol=0.01)
        area = np.prod([high - low for low, high in DATA.window])
        assert finding(page, Weighed).moved == pytest.approx(0.5 * np.abs(p - q).mean() * area, rel=1e-3)
        assert finding(page, Weighed).moved > 0.01

    def test_a_small_weight_is_left_alone_and_a_bias_has_no_constraint(self, pull):
        page = opened(block="1", weights="b1.2=0.75")
        found = finding(page, Weighed).pulled
        assert (found.left, found.capped, found.change.kind) == (0.75, False, "bias")
        page = pull(page, "r1.5=2")
        assert finding(page, Weighed).pulled.change == Change("row", 0, 4, 2.0)

    def test_an_untrained_flow_offers_one_that_is_trained(self):
        page = opened(steps=0)
        assert "lipschitz.example" in keys(page)
        page = press(page, "lipschitz.example")
        assert own(page).setup.start and "lipschitz.example" not in keys(page)
        assert own(page).setup.flow.blocks == 24 and scene(page)["sizes"] == [2, 32, 2]


class TestPulling:
    def test_it_opens_with_a_block_unchanged_and_what_the_network_tells_holds_and_is_in_the_link(self, pull, trained):
        page = opened()
        before = finding(page, Weighed)
        assert bench(page).block == 1 and before.pulled is None
        assert before.moved == 0 and scene(page)["changes"] == ""
        page = pull(page, "w2.1.4=-0.5")
        assert bench(page).weights == link(page)["lipschitz.weights"] == "w2.1.4=-0.5"
        asked = raw(trained, 0, 1)
        asked[0, 3] = -0.5
        left = -0.5 * min(1, CAP / np.linalg.norm(asked, 2))
        assert finding(page, Weighed).pulled.left == pytest.approx(left, rel=1e-4)
        assert scene(page)["heard"] == 1
        page = run(page)  # the same again is no news
        page = pull(page, "")
        assert bench(page).weights == "" and finding(page, Weighed).certified == before.certified

    REFUSED = (
        ("w1.5.2=1e30", ["1e30", "-100", "100"]),
        ("w1.5.2=many", ["many", "0.45"]),
        ("w1.5.2=", ["w1.5.2", "0.45"]),
        ("w1.99.2=1", ["w1.99.2", "99", "16"]),
        ("b9.1=1", ["b9.1", "9", "2"]),
        ("r1.1=-1", ["-1", "0", "20"]),
        ("__import__=1", ["w1.5.2=3"]),
        (" ".join(f"b1.{k + 1}={k}" for k in range(100)), ["100", "64"]),
        ("w1.1.1=1 " * 500, ["4,500", "2,000"]),
    )

    def test_what_cannot_be_is_refused_with_value_limit_and_remedy(self, pull):
        page = pull(opened(block="2"), "w1.5.2=0.25")
        before = finding(page, Weighed)
        for text, names in self.REFUSED:
            page = pull(page, text)
            assert set(names) <= named(page.error[0].value) and bench(page).weights == "w1.5.2=0.25", text
            assert finding(page, Weighed) == before, text

    @pytest.mark.parametrize(
        "told", [None, 3, [1], ["x", "", ""], [float("nan"), "", ""], [1, 2, 3], [1, None, ""], {"a": 1}]
    )
    def test_a_browser_may_tell_anything(self, told, monkeypatch):
        monkeypatch.setattr(network.st, "session_state", {"n": {"told": told}})
        assert network.told("n") == Told()

    def test_what_is_chosen_is_sent_in_a_large_layer_too(self):
        generator = np.random.default_rng(0)
        weights = generator.normal(size=(64, 64))
        weights[2, 3] = weights[4, 5] = 1e-9
        layers = [Layer(weights, weights, np.zeros(64), 1.0)]
        drawn = network.scene(
            layers, 1, block=1, told=Told(chosen="w1.3.4"), changes="w1.5.6=0.1 w2.1.1=1 b1.1=1", answered="",
            limits=changes.LIMITS, most=64, fixed=False,
        )  # fmt: skip
        lines = {(row, column) for row, column, *_ in drawn["layers"][0]["lines"]}
        assert {(2, 3), (4, 5)} <= lines and len(lines) == MOST_LINES + 2
        smallest = min(abs(weights[place]) for place in lines - {(2, 3), (4, 5)})
        assert (np.abs(weights) > smallest).sum() == MOST_LINES - 1

    def test_what_is_no_number_is_sent_as_none(self):
        layers = [Layer(np.full((2, 2), np.nan), np.full((2, 2), np.inf), np.array([0.0, np.nan]), np.nan)]
        drawn = network.scene(
            layers, 1, block=1, told=Told(), changes="", answered="", limits=changes.LIMITS, most=64, fixed=False
        )
        json.dumps(drawn, allow_nan=False)
        assert drawn["layers"][0]["lines"][0] == [0, 0, None, None]


class TestBringingBack:
    def test_it_is_seen_and_brought_back_on_other_screens(self):
        page = opened(block="2", weights="w1.5.2=3 b1.1=1")
        page = go(page, EXPLORE)
        (told,) = [text for text in said(page) if "Can it be undone" in text]
        assert {"2", "changed", "Training"} <= named(told)
        page = press(page, "bring_back")
        assert bench(page).weights == "" and told not in said(page)
        page = go(page, ADDRESS)
        assert finding(page, Weighed).changes == 0

    def test_the_inverse_is_that_of_the_changed_block_and_another_has_no_changes(self, trained):
        page = opened(view="inverse", block="2", weights="w1.5.2=3 b1.1=1", scale="1.5")
        assert "bring_back" in keys(page)
        block = Edited(1, 1.5, changes.read("w1.5.2=3 b1.1=1")).of(trained).double().blocks[1]
        found = own(page).report.arms[0].measured
        (inversion,) = [record.found for kind, record in found.items() if kind.__name__ == "Inversions"]
        with torch.no_grad():
            there = block(torch.from_numpy(inversion.preimages)).numpy()
        assert len(there) >= 1
        np.testing.assert_allclose(there, np.tile(inversion.z, (len(there), 1)), atol=1e-6)
        assert finding(page, Inverted).scale == 1.5
        self.put_down(run(page.selectbox(key="lipschitz.block").set_value(1)))

    def test_another_block_puts_the_changes_down_and_says_so(self):
        page = opened(block="2", weights="w1.5.2=3")
        self.put_down(run(page.selectbox(key="lipschitz.block").set_value(1)))

    def put_down(self, page):
        """The changes of block 2, when another was chosen."""
        assert (bench(page).block, bench(page).weights) == (1, "")
        assert {"2", "trained"} <= named(page.info[0].value)

    def test_another_seed_leaves_them_and_a_flow_of_other_sizes_puts_them_down_and_says_so(self):
        page = opened(block="2", weights="w1.5.2=3")
        page = run(page.number_input(key="seed").set_value(4))
        assert bench(page).weights == "w1.5.2=3" and finding(page, Weighed).changes == 1
        assert own(page).setup.flow.width == 16
        page = run(page.select_slider(key="width").set_value(32))
        assert own(page).setup.flow.width == 32 and bench(page).weights == ""
        assert any({"sizes", "trained"} <= named(text) for text in said(page))
        assert finding(page, Weighed).changes == 0 and scene(page)["sizes"] == [2, 32, 2]


class TestTraining:
    def test_it_goes_on_with_the_trained_weights(self):
        changed, plain = opened(block="2", weights="w1.5.2=3"), opened(block="2")
        for page in (changed, plain):
            press(page, "step")
            assert own(page).report.arms[0].step == STEPS + 1
        found = finding(changed, Weighed).pulled
        assert found.change.value == 3.0
        trained = [own(page).report.arms[0].found(Edits).found.layers[0].raw for page in (changed, plain)]
        np.testing.assert_array_equal(*trained)
        assert found.trained == pytest.approx(trained[0][4, 1], rel=1e-6)

    @pytest.mark.slow
    def test_at_play_the_picture_follows(self):
        page = press(opened(block="2", weights="w1.5.2=3"), "play")
        before = own(page).report.arms[0].step
        while own(page).report.arms[0].found(Edits).step <= before:
            page = run(page)
        assert own(page).report.state is State.PLAYING and finding(page, Weighed).pulled.change.value == 3.0


OLD_LINKS = {
    "lipschitz.block=2&lipschitz.scale=1.995": Edited(1, 1.995),
    "lipschitz.block=1&lipschitz.scale=0.5&lipschitz.chosen=True&lipschitz.z=0.1+0.2": Edited(0, 0.5),
    "lipschitz.view=enforced&lipschitz.block=24&lipschitz.scale=20.0&lipschitz.method=newton": Edited(23, 20.0),
    "lipschitz.block=3": None,
    "lipschitz.scale=3.0": None,  # of the first to fold, which is not known yet
    "lipschitz.block=30&lipschitz.scale=3.0": None,  # the flow has 24
}


class TestLinks:
    @pytest.mark.parametrize("text", OLD_LINKS)
    def test_old_links_with_a_scale_mean_what_they_meant(self, text):
        found = read_link(dict(part.replace("+", " ").split("=") for part in text.split("&")))
        (lipschitz,) = [one for one in found.benches if isinstance(one, Lipschitz)]
        assert not found.refused and lipschitz.edited(FlowConfig()) == OLD_LINKS[text]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("w1.5.2=3", (Change("weight", 0, 4, 3.0, 1),)),
            ("w1.5.2=1 b2.1=-1/4 w1.5.2=2", (Change("bias", 1, 0, -0.25), Change("weight", 0, 4, 2.0, 1))),
            ("r1.32=0", (Change("row", 0, 31, 0.0),)),
            ("", ()),
        ],
    )
    def test_changes_are_read_and_written(self, text, expected):
        assert changes.read(text) == expected
        assert changes.read(changes.written(expected)) == expected
        bench = Lipschitz(block=2, weights=text)
        query = query_of(read_link({}).setup, benches=(bench,))
        (again,) = [one for one in read_link(query).benches if isinstance(one, Lipschitz)]
        assert again == bench

    @pytest.mark.parametrize(
        ("value", "remedy"),
        [
            ("w1.5.2=1e30", ["-100", "100"]),
            ("w1.5.2=inf", ["0.45"]),
            ("w1.5.2=nan", ["nan", "0.45"]),
            ("r1.5=21", ["0", "20"]),
            ("w1.5=1", ["w1.5.2=3"]),
            ("w1.5.2.7=1", ["w1.5.2=3"]),
            ("x" * 3000, ["2000"]),
        ],
    )
    def test_a_link_beyond_the_limits_is_refused(self, value, remedy):
        found = read_link({"lipschitz.weights": value})
        (why,) = found.refused
        assert set(remedy) <= named(why)
        (lipschitz,) = [one for one in found.benches if isinstance(one, Lipschitz)]
        assert lipschitz.weights == ""

    @pytest.mark.parametrize(
        ("asked", "names", "screen"),
        [
            ({"block": "2", "weights": "w1.17.1=1"}, ["w1.17.1", "17", "16"], ADDRESS),
            ({"block": "2", "weights": "w1.17.1=1"}, ["w1.17.1", "17", "16"], EXPLORE),
            ({"block": "2", "weights": "b3.1=1"}, ["b3.1", "3", "2"], EXPLORE),
            ({"block": "9", "weights": "b1.1=1"}, ["9", "2"], ADDRESS),
            ({"weights": "b1.1=1"}, ["0", "2"], EXPLORE),
            ({"block": "1", "weights": "w1.0.0=1"}, ["w1.0.0", "0"], ADDRESS),
        ],
    )
    def test_an_index_outside_the_flow_is_named_and_put_down(self, asked, names, screen):
        page = opened(screen=screen, steps=0, **asked)
        assert any(set(names) <= named(info.value.replace("`", " ")) for info in page.info)
        assert bench(page).weights == "" and own(page).report.state is not State.FAILED

    def test_a_link_may_fix_it(self):
        page = opened(block="2", weights="w1.5.2=3", settings={"controls": "lipschitz.view"})
        assert scene(page)["fixed"] and finding(page, Weighed).pulled.change.value == 3.0
        assert "lipschitz.block" not in keys(page)


class TestWords:
    LAYER = EditedLayer(
        raw=np.array([[1.0, 0.0], [0.0, 0.5]]), asked=np.array([[3.0, 0.0], [0.0, 0.5]]),
        used=np.array([[0.9, 0.0], [0.0, 0.45]]), left=np.array([[0.9, 0.0], [0.0, 0.15]]),
        bias=np.zeros(2), bias_now=np.zeros(2), norms=(1.0, 3.0, 0.9, 0.9), cap=0.9,
    )  # fmt: skip

    def edits(self, density, **block):
        image = np.zeros((4, 4, 2))
        given = {
            "regime": Regime.CERTIFIED,
            "smallest_det": 0.5,
            "folds_at": np.inf,
            "most_steps": 12,
            "late": 0,
            "certified": (0.9, 0.9),
        } | block
        found = EditedBlock(
            0, 1.0, (self.LAYER,), 0.9, 2.0, ((-1.0, 1.0), (-1.0, 1.0)), image, image, places=256, **given
        )
        return Edits(5, None, Edited(0, 1.0, (Change("weight", 0, 0, 3.0, 0),)), found, density, np.full((4, 4), 0.25))

    def test_the_others_that_changed_are_counted(self):
        found = weighed(self.edits(np.full((4, 4), 0.25)), ((-1, 1), (-1, 1)), None)
        assert (found.pulled.others, found.pulled.left, found.pulled.factor) == (1, 0.9, pytest.approx(0.3))
        told = weight_words.answer(found)
        assert {"3", "0.9", "4", "0.3", "1", "0.0", "12"} <= named(told)

    def test_a_density_that_is_not_finite_is_said_to_be_and_drawn(self):
        density = np.full((4, 4), 0.25)
        density[0, 0], density[1, 1] = np.nan, np.inf
        edits = self.edits(density, smallest_det=np.nan)
        found = weighed(edits, ((-1, 1), (-1, 1)), None)
        assert "not finite" in weight_words.answer(found) and "nan" not in weight_words.table(found, 2.0)
        pane = weight_pictures.density(edits, found, DATA, "step 0")
        assert np.isnan(pane.heat.values).sum() == 2 and np.isfinite(pane.heat.high) and "2" in pane.note
        weight_pictures.bent(edits)

    def test_moved_is_the_total_variation(self):
        one = np.zeros((4, 4))
        other = one.copy()
        one[0, 0] = other[3, 3] = 4.0  # each of mass 1 on cells of area 1/4
        assert moved(one, other, ((-1, 1), (-1, 1))) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("regime", "late", "words"),
        [(Regime.CERTIFIED, 0, "12"), (Regime.UNCERTIFIED, 7, "256"), (Regime.FOLDED, 256, "folds")],
    )
    def test_each_regime_has_its_sentence(self, regime, late, words):
        found = weighed(self.edits(np.full((4, 4), 0.25), regime=regime, late=late), ((-1, 1), (-1, 1)), None)
        assert words in weight_words.answer(found)
        assert found.converges is (late == 0)
