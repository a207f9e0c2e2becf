"""The dimensions screen without a browser: what it finds and draws against brute force and the core's measurements."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
import torch

from app import evidence, session
from app.engine.reports import ArmReport, State
from app.engine.training.job_records import BitsCurve, ImageFrame, Scaling
from app.examples import digits as example
from app.features.dimensions import answers, scaling_charts
from app.features.dimensions import digits as view
from app.features.dimensions.digits import UNIFORM, Needed, needed
from app.features.dimensions.evidence import CROSSING, MEMORY, make_crossing, read_crossing, read_memory
from app.features.dimensions.memory import bars
from app.features.dimensions.scaling import Worth, verdicts, where, worth
from app.features.dimensions.settings import Dimensions
from app.ui import opening
from resflow_core import measure
from resflow_core.data.digits import DIGITS, LEVELS, Digits
from resflow_core.flow import FlowConfig
from resflow_core.log_det import Truncated
from resflow_core.measure import AtDim, Crossing, Estimate
from resflow_core.measure.scaling import Subject, by_dim
from tests.app.held_back import builds_nothing, steps_at_most
from tests.app.pages import curves, decode, finding, keys, link, named, own, panes, said, table
from tests.app.test_lipschitz import opened as opened_screen

pytestmark = [pytest.mark.usefixtures("local_engine"), pytest.mark.thorough]
FEW = 16  # as many as the interpolations need
SAID = "Something is said."  # by the engine
TINY = {"view": "scaling", "largest": "4", "blocks": "1", "width": "8", "batch": "8"}


@pytest.fixture
def few(monkeypatch):
    """Not all held-out images, so that brute force is quick."""
    y, log_det = DIGITS.held_out()[:FEW], DIGITS.held_out_log_det[:FEW]
    monkeypatch.setattr(Digits, "held_out", lambda self: y)
    monkeypatch.setattr(Digits, "held_out_log_det", property(lambda self: log_det))
    view.gaussian.cache_clear()
    yield
    view.gaussian.cache_clear()


def opened(**bench):
    settings = {f"dimensions.{name}": value for name, value in bench.items()}
    return opened_screen(view=None, settings=settings, screen="features/dimensions/dimensions.py")


def press(page, key):
    return run(page.button(key=key).click())


def run(page):
    page = page.run()
    assert not page.exception and len(page.title) == 1
    return page


def places(page):
    """Where the pictures of the page are: one that is moved is built anew."""

    def within(block, at):
        for k, child in getattr(block, "children", {}).items():
            if child.type == "bidi_component":
                yield (*at, k)
            yield from within(child, (*at, k))

    return list(within(page.main, ()))


def keys_of_panes(page):
    """The keys of what draws panes."""
    return [key for key in keys(page) if key.startswith("scaling.") and key.split(".")[1] in ("stored", "answer")]


def grids(page):
    found = [json.loads(e.proto.json or "null") for e in page.main if e.type == "bidi_component"]
    (found,) = [data["grids"] for data in found if isinstance(data, dict) and "grids" in data]
    return found


def brute_force_bits(flow):
    """Bits per dimension of the few images by the determinant of all of the flow's Jacobian, in float64."""
    flow, bits = flow.double(), []
    for y, log_det in zip(DIGITS.held_out().double(), DIGITS.held_out_log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda p: flow(p[None])[0], y, vectorize=True)
        z = flow(y[None])[0].detach()
        log_p = -0.5 * float(z.square().sum()) - 32 * math.log(2 * math.pi) + float(torch.linalg.slogdet(jacobian)[1])
        bits.append(-(log_p + float(log_det)) / 64 / math.log(2) + math.log2(LEVELS))
    return np.mean(bits), np.std(bits, ddof=1) / math.sqrt(len(bits))


def numbers(text):
    return [float(x) for x in re.findall(r"\d+\.\d+", text)]


class TestDigits:
    def test_it_opens_with_the_stored_flow_and_its_true_bits(self, few):
        page = opened()
        found = finding(page, Needed)
        value, error = brute_force_bits(example.read(example.weights()).flow)
        assert found.flow.value == found.best == pytest.approx(value, abs=1e-5)
        assert found.flow.standard_error == pytest.approx(error, abs=1e-5)
        assert found.gaussian == measure.gaussian_bits(DIGITS)
        assert pytest.approx(4.09, abs=0.005) == UNIFORM
        assert not found.behind and not found.by_heart
        assert own(page).comparisons["digits"].report.arms[0].found(BitsCurve).bits[0] == pytest.approx(value, abs=1e-5)

        data, samples, between = grids(page)
        real = DIGITS.held_out_levels.numpy().reshape(-1, 8, 8)
        assert (decode(data["images"]).reshape(-1, 8, 8) == real[:64]).all()
        rows = decode(between["images"])
        assert (rows[:, 0] == real[:8]).mean() > 0.99 and (rows[:, -1] == real[8:16]).mean() > 0.99
        drawn = decode(samples["images"])
        assert drawn.shape == (8, 8, 8, 8) and drawn.max() == 16 and len(np.unique(drawn.reshape(64, -1), axis=0)) == 64
        assert all(len(grid["alt"]) > 20 for grid in (data, samples, between))

        # The curve of its training, which the file notes, and one point of its own.
        noted = np.array(example.stored().curve)
        charts = [pane for pane in panes(page) if pane["title"].startswith("Bits per dimension")]
        for chart, x in zip(charts, noted.T, strict=False):  # against steps, and against seconds
            trained, _, here, _, normal = curves(chart)
            np.testing.assert_allclose(trained, np.stack([x, noted[:, 2]], 1), rtol=1e-5)
            np.testing.assert_allclose(here, [[x[-1], value]], rtol=1e-4)
            np.testing.assert_allclose(normal[:, 1], found.gaussian.value, rtol=1e-5)
        assert noted[-1, 0] == example.STEPS and len(charts) == 2

    def test_training_goes_on_from_it_and_resets_to_it(self, few):
        page = opened()
        before, pictures = finding(page, Needed), grids(page)[1]["images"]
        page = press(page, "step.digits")
        arm = own(page).comparisons["digits"].report.arms[0]
        assert arm.step == 1 and len(arm.found(BitsCurve).bits) == 2
        assert abs(arm.found(BitsCurve).bits[1] - arm.found(BitsCurve).bits[0]) < 0.05  # at a tenth of the rate
        page = press(page, "reset.digits")
        assert finding(page, Needed) == before and grids(page)[1]["images"] == pictures

    def test_from_scratch_it_begins_with_nothing(self, few):
        page = opened(start="scratch")
        assert finding(page, Needed).flow.value > 2.5 and finding(page, Needed).stored is None
        assert len(curves(panes(page)[0])) == 3  # its own, with errors, and a Gaussian's
        page = run(page.selectbox(key="dimensions.start").set_value("stored"))
        assert finding(page, Needed).flow.value < 2.2 and link(page)["dimensions.start"] == "stored"

    def test_what_comes_and_goes_does_not_move_images_and_charts(self, few, local_engine):
        page = opened()
        before, comparison = places(page), own(page).comparisons["digits"]
        local_engine._here.runs[comparison.run]._message = SAID
        local_engine._here.runs[comparison.run]._changed = True
        page = run(page)
        assert SAID in [info.value for info in page.info] and places(page) == before
        mailbox = local_engine._here.records[comparison.run].mailbox
        (arm,) = mailbox.report.arms
        refused = dataclasses.replace(arm, frame=dataclasses.replace(arm.frame, refusal="No inverse."))
        mailbox.report = dataclasses.replace(mailbox.report, arms=(refused,))
        page = run(page)
        assert any("No inverse." in info.value for info in page.info) and places(page) == before

    def test_a_damaged_file_is_named_and_scratch_remains(self, few, monkeypatch):
        monkeypatch.setattr(example, "stored", lambda: example.read(b"nothing"))
        page = opened()
        assert {"safetensors", "scratch"} <= named(page.error[0].value)
        assert finding(page, Needed).flow.value > 2.5


def curve(*bits):
    n = len(bits)
    return BitsCurve(n - 1, np.arange(n), np.arange(n) / 2, np.array(bits), np.full(n, 0.01))


def test_learning_by_heart_is_found():
    arm, normal = ArmReport(2, 0.0, 1.0), Estimate(2.3, 0.01)
    assert needed(curve(2.1, 2.0, 2.03), normal, arm).by_heart
    assert not needed(curve(2.1, 2.0, 2.01), normal, arm).by_heart
    found = needed(curve(2.1, 2.0, 2.0), normal, ArmReport(9, 0.0, 1.0))
    assert found.behind and (found.measured_at, found.step, found.flow) == (2, 9, Estimate(2.0, 0.01))
    before = ((5, 1.0, 1.952, 0.0137),)
    for known, stored in (((), None), (before, Estimate(1.952, 0.0137))):
        found = needed(None, normal, arm, known)
        assert (found.flow, found.stored, found.gaussian) == (None, stored, normal) and not found.by_heart


def test_without_images_the_data_are_drawn_alone():
    none = np.empty((0, 0, 8, 8), np.uint8)
    (data,) = view.grids(ImageFrame(0, none, none, "why"), 0, False)
    assert (data.images.reshape(-1, 8, 8) == DIGITS.held_out_levels.numpy().reshape(-1, 8, 8)[:64]).all()


class TestScaling:
    def test_what_is_stored_is_shown_before_it_is_measured_and_then_what_the_core_measures(self):
        page = opened(**TINY)
        assert len(panes(page)) == 1 and Worth not in own(page).findings  # what is stored
        page = press(page, "scaling.measure")
        plan = own(page).benches[Dimensions].plan
        report = own(page).comparisons["scaling"].report
        assert report.state is State.PAUSED and report.arms[0].found(Scaling).step == len(plan.pieces)
        rows = table(page, "| d |")
        for dim in (2, 4):
            subject = Subject(plan, dim, 3)  # the page's seed
            (expected,) = by_dim([subject.piece(k) for k in range(plan.exact_steps + plan.estimates)])
            cells = rows[str(dim)]
            assert numbers(cells[2])[0] == pytest.approx(expected.variance.value, rel=0.1)
            assert numbers(cells[3])[0] == pytest.approx(expected.sampling.value, rel=0.1)
            assert float(cells[0]) > 0 and float(cells[1]) > 0
        times, variances, works = panes(page)
        assert all(chart["log_x"] and chart["log_y"] for chart in (times, variances, works))
        assert [line[:, 0].tolist() for line in curves(variances)] == [[2, 4]] * 2
        measured, found = report.arms[0].found(Scaling), finding(page, Worth)
        assert found == worth(measured) and found.dims == (2, 4) and found.decided and found.over
        for chart, crossing, costs in (
            (times, found.by_time, [(at.exact_seconds, at.estimate_seconds) for at in measured.found]),
            (works, found.by_work, [(at.exact_work, at.estimate_work) for at in measured.found]),
        ):
            exact, estimate, *mark = curves(chart)
            np.testing.assert_allclose(np.stack([exact, estimate], 1)[..., 1], 1e3 * np.array(costs), rtol=1e-5)
            assert len(mark) == (crossing.dim is not None and not crossing.at_once)
        page = press(page, "scaling.anew")
        assert own(page).comparisons["scaling"].report.arms[0].found(Scaling).step == len(plan.pieces)

    def test_what_comes_and_goes_above_the_charts_does_not_move_them(self, local_engine):
        page = press(opened(**TINY), "scaling.measure")
        whole = places(page)
        local_engine.reset(own(page).comparisons["scaling"].run)
        local_engine.step(own(page).comparisons["scaling"].run, 20)
        page = run(page)
        assert own(page).comparisons["scaling"].report.arms[0].found(Scaling).step == 20
        assert places(page) == whole
        id = own(page).comparisons["scaling"].run
        local_engine._here.runs[id]._message = SAID
        local_engine._here.runs[id]._changed = True
        page = run(page)
        assert [error.value for error in (*page.error, *page.info)] == [SAID]
        assert places(page) == whole

    def test_a_measurement_that_was_dropped_or_failed_is_begun_anew(self, local_engine, monkeypatch):
        asked = steps_at_most(local_engine, monkeypatch, 2)
        page = press(opened(**TINY), "scaling.measure")
        pieces = len(own(page).benches[Dimensions].plan.pieces)
        for end in (lambda run: local_engine.close(run.id), lambda run: run._fail("No memory. Reset starts it anew.")):
            id = own(page).comparisons["scaling"].run
            end(local_engine._here.runs[id])
            page = run(page)
            assert own(page).comparisons["scaling"].report.state in (State.EXPIRED, State.FAILED)
            assert not any(button.key == "scaling.measure" for button in page.button)
            page = press(page, "scaling.anew")
            report = own(page).comparisons["scaling"].report
            assert report.state is State.PAUSED and report.arms[0].found(Scaling).step == 2 and not page.error
        assert asked == [pieces] * 3

    def test_settings_are_in_the_link_and_make_another_measurement(self, local_engine, monkeypatch):
        steps_at_most(local_engine, monkeypatch, 1)
        page = press(opened(**TINY), "scaling.measure")
        page = run(page.toggle(key="dimensions.shared").set_value(True))
        assert link(page)["dimensions.shared"] == "True" and keys_of_panes(page) == ["scaling.stored"]
        assert own(page).benches[Dimensions].plan.train.log_det.shared

    def test_a_link_beyond_the_limits_is_refused_with_the_remedy(self, local_engine, monkeypatch):
        builds_nothing(local_engine, monkeypatch)
        beyond = {
            "largest": ("100", {"4", "8", "16"}),
            "blocks": ("9", {"1", "8"}),
            "view": ("x", {"digits", "scaling"}),
        }
        page = opened(**{name: value for name, (value, _) in beyond.items()})
        text = page.warning[0].value
        said = {part.split(" = ")[0]: part for part in text.split("`dimensions.")[1:]}
        for name, (value, says) in beyond.items():
            assert {value} | says <= named(said[name]), name


def at(d, exact, estimate, added=0.5, batch=0.5):
    return AtDim(d, exact, estimate, Estimate(added, 0.1), Estimate(batch, 0.1))


MEASURED = Scaling(2, 2, (at(2, 1.0, 4.0), at(32, 4.0, 4.0 / 1.001), at(128, 16.0, 4.0)))
CHEAPER_AT_ONCE = Scaling(2, 2, (at(2, 4.0, 1.0), at(4, 9.0, 1.0)))


def test_the_verdict_is_computed_from_times_and_from_times_with_noise():
    pays = worth(MEASURED)
    assert pays.by_time == Crossing(pytest.approx(32, abs=0.5), 1)
    # Twice the work: t_exact = 8 is at d = 64.
    assert pays.by_work == Crossing(pytest.approx(64, abs=0.5), 1)
    assert (pays.dims, pays.ratio) == ((2, 32, 128), 4.0)
    assert pays.decided and pays.over and not worth(dataclasses.replace(MEASURED, step=1)).over
    one, none = (worth(dataclasses.replace(MEASURED, found=MEASURED.found[:n])) for n in (1, 0))
    assert one.dims == (2,) and not one.decided and not none.dims and not none.decided
    assert worth(CHEAPER_AT_ONCE).ratio == 0.25 and worth(CHEAPER_AT_ONCE).by_time.at_once


def test_the_charts_mark_where_lines_cross():
    pays = worth(MEASURED)
    times = scaling_charts.times(MEASURED.found, pays.by_time)
    works = scaling_charts.works(MEASURED.found, pays.by_work)
    for chart, dim in ((times, 32), (works, 64)):
        *_, mark = chart.paths
        assert mark.points[:, 0] == pytest.approx([dim, dim], abs=0.5)


def test_there_are_as_many_sentences_as_verdicts():
    assert len(verdicts(worth(MEASURED))) == 3
    assert len(verdicts(worth(dataclasses.replace(MEASURED, found=MEASURED.found[:1])))) == 1
    assert len(verdicts(worth(CHEAPER_AT_ONCE))) == 2


def test_all_ways_to_cross_have_words():
    assert {"64"} <= named(where(Crossing(None, 0), (2, 64)))
    assert {"2"} <= named(where(Crossing(2.0, 0, at_once=True), (2, 64)))
    assert {"21", "3"} <= named(where(Crossing(21.3, 3), (2, 64)))
    assert "1" not in named(where(Crossing(21.3, 1), (2, 64)))


class TestOpening:
    """What the page opens with, against what is stored, computed here in another way."""

    @pytest.fixture(scope="class")
    def kept(self):
        return evidence.stored(CROSSING).found

    def times(self, kept):
        """(d, exact, estimate), medians over the seeds."""
        rows = np.array([[row[:3] for row in run] for run in kept["runs"]])
        return np.median(rows, 0)

    def test_the_sentence_has_the_numbers_of_what_is_stored(self, kept):
        d, exact, estimate = self.times(kept).T
        ratio = np.log(exact / estimate)
        (k,) = np.flatnonzero((ratio[:-1] < 0) & (ratio[1:] >= 0))[-1:]
        meet = np.exp(np.interp(0, ratio[k : k + 2], np.log(d[k : k + 2])))
        text = answers.exact_or_estimate(read_crossing(kept))
        at = d.tolist().index(answers.HIGH)
        assert f"d ≈ {meet:.0f}" in text and f"{exact[at] / estimate[at]:.1f} times faster" in text
        assert f"{np.mean(kept['stray']):.2g} nats" in text and f"{len(kept['runs'])} seeds" in text
        assert len(kept["runs"]) >= 3

    def test_what_it_rests_on_holds_and_else_it_says_the_other_thing(self, kept):
        assert all(answers.crossing_claims(read_crossing(kept)).values())
        dear = {**kept, "runs": [[[d, s, 10 * s, *rest] for d, s, _, *rest in run] for run in kept["runs"]]}
        cheap = {**kept, "runs": [[[d, s, s / 10, *rest] for d, s, _, *rest in run] for run in kept["runs"]]}
        for other, words in ((dear, "Up to d = 128"), (cheap, "From d = 2 on")):
            found = read_crossing(other)
            assert not all(answers.crossing_claims(found).values())
            assert words in answers.exact_or_estimate(found) and "≈" not in answers.exact_or_estimate(found)
        assert "10.0 times slower" in answers.exact_or_estimate(read_crossing(dear))

    @pytest.mark.slow
    def test_a_small_part_measured_now_says_the_same(self):
        made = make_crossing(True)
        assert all(answers.crossing_claims(read_crossing(made.found)).values())

    def test_bytes_are_those_of_the_core(self):
        found = read_memory(evidence.stored(MEMORY).found)
        settings = evidence.stored(MEMORY).settings
        flow = FlowConfig(
            dim=settings["dim"], blocks=settings["blocks"], width=settings["width"], activation="lipswish"
        )
        flow, x = measure.subject(dataclasses.replace(flow, budget=0.97), 64, torch.Generator().manual_seed(0))
        ways = {"": measure.NoLogDet(), "in_forward": Truncated(settings["terms"], gradient="in_forward")}
        peaks = {
            name: measure.footprint(flow, x, way, torch.Generator().manual_seed(1)).peak for name, way in ways.items()
        }
        assert found[64]["in_forward"] == pytest.approx(peaks["in_forward"] - peaks[""], rel=1e-4)
        assert all(answers.memory_claims(found).values())
        text = answers.memory(found, 64, "x", bars.size)
        assert bars.size(found[64]["plain"]) in text and bars.size(found[64]["in_forward"]) in text
        assert "extrapolated" not in text and "extrapolated" in answers.memory(found, 64 * 1024, "x", bars.size)
        swapped = {rows: {**of, "plain": of["in_forward"], "in_forward": of["plain"]} for rows, of in found.items()}
        assert not all(answers.memory_claims(swapped).values())
        assert "not less" in answers.memory(swapped, 64, "x", bars.size)

    def test_beyond_what_was_measured_bytes_lie_on_a_line(self):
        found = {64: {"plain": 10.0}, 256: {"plain": 40.0}}
        assert answers.bytes_at(found, 128)["plain"] == pytest.approx(20)
        assert answers.bytes_at(found, 640)["plain"] == pytest.approx(100)

    def test_bars_are_as_long_as_the_bytes_and_say_what_fits(self):
        need = {"plain": 4.0 * 2**20, "neumann": 2.0**20, "plain_in_forward": 2.0 * 2**20, "in_forward": 2.0**19}
        drawn = bars.html(need, 1.5 * 2**20, "64 points")
        lengths = [float(x) for x in re.findall(r"width:([\d.]+)%", drawn)]
        np.testing.assert_allclose(np.array(lengths) / lengths[0], [1, 0.25, 0.5, 0.125], rtol=1e-2)
        assert (drawn.count("does not fit"), drawn.count("· fits")) == (2, 2)
        assert bars.between(need) == 2.0**20 or bars.between(need) == 2.0**21
        assert [bars.size(n) for n in (12, 2.0**20, 2.0**40)] == [
            "12\N{NO-BREAK SPACE}B",
            "1\N{NO-BREAK SPACE}MiB",
            "1,024\N{NO-BREAK SPACE}GiB",
        ]

    def test_the_page_opens_with_both_answers_and_the_digits_below_and_its_button_measures(
        self, few, local_engine, monkeypatch
    ):
        page = opened()
        assert answers.exact_or_estimate(read_crossing(evidence.stored(CROSSING).found)) in said(page)
        assert panes(page)[0]["title"] == "Time of a training step" and len(grids(page)) == 3
        primary = [button.key for button in page.button if button.proto.type == "primary"]
        assert primary == ["dimensions.time"]
        asked = steps_at_most(local_engine, monkeypatch, 1)
        page = press(page, "dimensions.time")
        assert own(page).benches[Dimensions].view == "scaling" and own(page).comparisons["scaling"].report
        assert asked == [len(own(page).benches[Dimensions].plan.pieces)]

    def test_the_other_button_measures_the_memory_of_the_bars(self, few, monkeypatch):
        asked = []
        monkeypatch.setattr(session, "go_on_with_survey", asked.append)
        page = press(opened(), "memory.look")
        settings = evidence.stored(MEMORY).settings
        (of,) = asked
        assert (of.flow.dim, of.flow.width, of.flow.blocks, of.terms, of.batch) == (
            *(settings[name] for name in ("dim", "width", "blocks", "terms")), 64,
        )  # fmt: skip
        assert own(page).benches[Dimensions].view == "memory"

    def test_beside_a_lesson_nothing_stored_is_shown(self, few, monkeypatch):
        monkeypatch.setattr(opening, "is_due", lambda: False)
        page = opened()
        assert "dimensions.time" not in keys(page) and len(grids(page)) == 3
        page = opened(**TINY)
        assert not panes(page) and len(page.info) == 1

    def test_once_a_view_was_chosen_the_page_is_that_view(self, few):
        page = opened()
        page = run(page.button_group(key="dimensions.view").set_value("scaling"))
        page = run(page.button_group(key="dimensions.view").set_value("digits"))
        assert "dimensions.time" not in keys(page) and len(grids(page)) == 3
