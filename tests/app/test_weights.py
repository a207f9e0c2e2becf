"""One weight, without a browser: what is asked for in links and by the network, against NumPy and the core's flow."""

import json

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app.components import network
from app.components.network import MOST_LINES, Layer, Told
from app.engine.training.measurements.edits import GRID, Edits
from app.features.lipschitz import changes
from app.features.lipschitz.settings import Lipschitz
from app.features.lipschitz.weighed import Weighed, moved, weighed
from app.link import STEP, query_of, read_link
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.measure import Change, Edited, EditedBlock, EditedLayer
from resflow_core.measure.invertibility import Regime
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.app.pages import MAIN, SMALL, finding, go, is_drawn, link, own, panes, press, run

DATA = DATASETS["moons"]
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
    trainer = Trainer(FlowConfig(blocks=2, width=16), TrainConfig(batch=64), DATA, seed=3)
    for _ in range(STEPS):
        trainer.step()
    return trainer.evaluated


@pytest.fixture
def pull(monkeypatch):
    """Let the network tell something: `pull(page, text)`."""
    told = {"now": Told()}
    monkeypatch.setattr(network, "told", lambda key: told["now"])

    def tell(page, text):
        told["now"] = Told(told["now"].number + 1, text, "")
        return run(page)

    return tell


def raw(flow, block=1, layer=0):
    return flow.blocks[block].branch.linears[layer].raw.detach().double().numpy().copy()


@pytest.mark.usefixtures("local_engine")
@pytest.mark.thorough
class TestPage:
    def test_what_is_asked_for_and_what_the_constraint_leaves_and_the_network_that_is_drawn(self, trained):
        page = opened(block="2", weights="w1.5.2=3")
        found, asked = finding(page, Weighed), raw(trained)
        before = float(asked[4, 1])
        asked[4, 1] = 3.0
        norm = np.linalg.norm(asked, 2)
        left = 3 * min(1, CAP / norm)
        pulled = found.pulled
        assert pulled.change == Change("weight", 0, 4, 3.0, 1)
        assert (pulled.trained, pulled.left) == pytest.approx((before, left), rel=1e-4)
        assert (pulled.norm_asked, pulled.norm_left, pulled.cap) == pytest.approx((norm, CAP, CAP), rel=1e-4)
        assert pulled.norm_trained == pytest.approx(np.linalg.norm(raw(trained), 2), rel=1e-4)
        assert pulled.capped and pulled.factor == pytest.approx(CAP / norm, rel=1e-4)
        assert (pulled.weights, pulled.others) == (32, 31)
        assert found.regime is Regime.CERTIFIED and found.certified[1] <= 0.99 * 1.0001

        drawn = scene(page)  # the network is the block
        assert drawn["sizes"] == [2, 16, 2] and drawn["block"] == 2
        assert drawn["changes"] == drawn["answered"] == "w1.5.2=3"
        for k, layer in enumerate(drawn["layers"]):
            expected = raw(trained, 1, k)
            assert layer["total"] == len(layer["lines"]) == expected.size
            for row, column, value, _ in layer["lines"]:
                assert value == pytest.approx(expected[row, column], rel=1e-4)
        used = {(row, column): value for row, column, _, value in drawn["layers"][0]["lines"]}
        assert used[4, 1] == pytest.approx(left, rel=1e-4)

        # Training goes on with the trained weights.
        (layer, _) = own(press(page, "step")).report.arms[0].found(Edits).found.layers
        found = finding(page, Weighed).pulled
        assert found.change.value == 3.0 and found.trained == pytest.approx(layer.raw[4, 1], rel=1e-6) != before

    def test_the_density_is_that_of_the_changed_flow_until_it_is_brought_back(self, trained):
        page = opened(block="2", weights="w1.5.2=3 b1.3=-1")
        flow = Edited(1, 1.0, changes.read("w1.5.2=3 b1.3=-1")).of(trained)
        with torch.no_grad():
            axes = [torch.linspace(*axis, GRID) for axis in DATA.window]
            x = torch.stack(torch.meshgrid(*axes, indexing="xy"), -1).reshape(-1, 2)
            p, q = (f.log_prob(x).exp().numpy() for f in (flow, trained))
        assert is_drawn(page, flow, panes(page)[0]["heat"]["flow"])
        area = np.prod([high - low for low, high in DATA.window])
        assert finding(page, Weighed).moved == pytest.approx(0.5 * np.abs(p - q).mean() * area, rel=1e-3)
        page = press(go(page, EXPLORE), "bring_back")
        assert bench(page).weights == "" and finding(go(page, ADDRESS), Weighed).changes == 0

    def test_what_the_network_tells_holds_and_is_in_the_link_and_what_cannot_be_is_refused(self, pull, trained):
        page = opened()
        assert bench(page).block == 1 and finding(page, Weighed).pulled is None and finding(page, Weighed).moved == 0
        page = pull(page, "w2.1.4=-0.5")
        assert bench(page).weights == link(page)["lipschitz.weights"] == "w2.1.4=-0.5"
        asked = raw(trained, 0, 1)
        asked[0, 3] = -0.5
        left = -0.5 * min(1, CAP / np.linalg.norm(asked, 2))
        assert finding(page, Weighed).pulled.left == pytest.approx(left, rel=1e-4)
        for text in ("w1.5.2=1e30", "w1.99.2=1"):
            page = pull(page, text)
            assert page.error and bench(page).weights == "w2.1.4=-0.5"
        page = pull(page, "b1.2=0.75")  # a bias has no constraint
        found = finding(page, Weighed).pulled
        assert (found.left, found.capped, found.change.kind) == (0.75, False, "bias")


class TestNetwork:
    @pytest.mark.parametrize("told", [None, 3, [1], [float("nan"), "", ""], [1, 2, 3], {"a": 1}])
    def test_a_browser_may_tell_anything(self, told, monkeypatch):
        monkeypatch.setattr(network.st, "session_state", {"n": {"told": told}})
        assert network.told("n") == Told()

    def drawn(self, layer, told, text):
        how = {"block": 1, "answered": "", "limits": changes.LIMITS, "most": 64, "fixed": False}
        drawn = network.scene([layer], 1, told=told, changes=text, **how)
        json.dumps(drawn, allow_nan=False)
        return drawn["layers"][0]["lines"]

    def test_the_largest_weights_are_sent_and_what_is_chosen(self):
        weights = np.random.default_rng(0).normal(size=(64, 64))
        weights[2, 3] = weights[4, 5] = 1e-9
        lines = self.drawn(Layer(weights, weights, np.zeros(64), 1.0), Told(chosen="w1.3.4"), "w1.5.6=0.1 w2.1.1=1")
        sent = {(row, column) for row, column, *_ in lines}
        assert {(2, 3), (4, 5)} <= sent and len(sent) == MOST_LINES + 2
        smallest = min(abs(weights[place]) for place in sent - {(2, 3), (4, 5)})
        assert (np.abs(weights) > smallest).sum() == MOST_LINES - 1
        nothing = Layer(np.full((2, 2), np.nan), np.full((2, 2), np.inf), np.array([0.0, np.nan]), np.nan)
        assert self.drawn(nothing, Told(), "")[0] == [0, 0, None, None]


class TestLinks:
    @pytest.mark.parametrize(
        ("block", "scale", "edited"),
        [("2", "1.995", Edited(1, 1.995)), ("3", "1", None), ("0", "3", None), ("30", "3", None)],
    )
    def test_a_scale_is_of_a_block_that_is_known(self, block, scale, edited):
        found = read_link({"lipschitz.block": block, "lipschitz.scale": scale})
        (lipschitz,) = [one for one in found.benches if isinstance(one, Lipschitz)]
        assert not found.refused and lipschitz.edited(FlowConfig()) == edited

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("w1.5.2=1 b2.1=-1/4 w1.5.2=2", (Change("bias", 1, 0, -0.25), Change("weight", 0, 4, 2.0, 1))),
            ("r1.32=0", (Change("row", 0, 31, 0.0),)),
            ("", ()),
        ],
    )
    def test_changes_are_read_and_written(self, text, expected):
        assert changes.read(text) == changes.read(changes.written(expected)) == expected
        query = query_of(read_link({}).setup, benches=(Lipschitz(block=2, weights=text),))
        (again,) = [one for one in read_link(query).benches if isinstance(one, Lipschitz)]
        assert again.weights == text and again.changes == expected

    @pytest.mark.parametrize(
        ("text", "named"),
        [("w1.5.2=101", "-100 to 100"), ("w1.5.2=inf", "0.45"), ("r1.5=21", "0 to 20"), ("w1.5=1", "w1.5.2=3"),
         ("x" * 3000, "3,000"), (" ".join(f"b1.{k + 1}={k}" for k in range(65)), "64")],
    )  # fmt: skip
    def test_what_is_no_change_is_named(self, text, named):
        assert named in changes.problem(text)
        assert len(read_link({"lipschitz.weights": text}).refused) == 1

    @pytest.mark.parametrize(
        ("block", "weights", "fits"),
        [(2, "w1.16.2=1", True), (2, "w1.17.1=1", False), (2, "b3.1=1", False), (9, "b1.1=1", False),
         (0, "b1.1=1", False), (1, "w1.0.0=1", False)],
    )  # fmt: skip
    def test_an_index_outside_the_flow_is_named(self, block, weights, fits):
        assert (Lipschitz(block=block, weights=weights).misfit(FlowConfig(blocks=2, width=16)) == "") is fits


class TestNumbers:
    LAYER = EditedLayer(
        raw=np.array([[1.0, 0.0], [0.0, 0.5]]), asked=np.array([[3.0, 0.0], [0.0, 0.5]]),
        used=np.array([[0.9, 0.0], [0.0, 0.45]]), left=np.array([[0.9, 0.0], [0.0, 0.15]]),
        bias=np.zeros(2), bias_now=np.zeros(2), norms=(1.0, 3.0, 0.9, 0.9), cap=0.9,
    )  # fmt: skip

    def edits(self, density, late=0):
        image, window = np.zeros((4, 4, 2)), ((-1.0, 1.0), (-1.0, 1.0))
        block = EditedBlock(
            0, 1.0, (self.LAYER,), 0.9, 2.0, window, image, image, places=256, regime=Regime.CERTIFIED,
            smallest_det=0.5, folds_at=np.inf, most_steps=12, late=late, certified=(0.9, 0.9),
        )  # fmt: skip
        return Edits(5, None, Edited(0, 1.0, (Change("weight", 0, 0, 3.0, 0),)), block, density, np.full((4, 4), 0.25))

    def test_the_others_that_changed_are_counted(self):
        found = weighed(self.edits(np.full((4, 4), 0.25)), ((-1, 1), (-1, 1)), None)
        assert (found.pulled.others, found.pulled.left, found.pulled.factor) == (1, 0.9, pytest.approx(0.3))
        assert found.converges and found.moved == 0
        assert not weighed(self.edits(np.zeros((4, 4)), late=7), ((-1, 1), (-1, 1)), None).converges

    def test_moved_is_the_total_variation(self):
        one = np.zeros((4, 4))
        other = one.copy()
        one[0, 0] = other[3, 3] = 4.0  # each of mass 1 on cells of area 1/4
        assert moved(one, other, ((-1, 1), (-1, 1))) == pytest.approx(1)
