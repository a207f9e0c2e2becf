"""The Dimensions screen: its verdicts and stored answers, and what its views find and draw against brute force and the
core's measurements. And the stored flow on the digits: what its file says of itself is so, and damage is noticed."""

import json
import math
import re
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from streamlit.testing.v1 import AppTest

from app import evidence
from app.engine.reports import ArmReport, State
from app.engine.training.job_records import BitsCurve, Scaling
from app.examples import digits as example
from app.features.dimensions import answers, scaling_charts
from app.features.dimensions import digits as view
from app.features.dimensions.digits import Needed, needed
from app.features.dimensions.evidence import CROSSING, MEMORY, memory_flow, read_crossing, read_memory
from app.features.dimensions.memory import bars
from app.features.dimensions.memory.numbers import Saving, growth, per_step, saving
from app.features.dimensions.memory.settings import Memory
from app.features.dimensions.memory.words import saved, size
from app.features.dimensions.scaling import Worth, where, worth
from app.features.dimensions.settings import Dimensions
from resflow_core import measure
from resflow_core.api import flow_file
from resflow_core.data.digits import DIGITS, DIM, LEVELS, Digits
from resflow_core.flow import FlowConfig
from resflow_core.gradients import GRADIENTS
from resflow_core.log_det import Roulette, Truncated
from resflow_core.measure import AtDim, Crossing, Estimate, Place
from resflow_core.measure.scaling import Subject, by_dim
from resflow_core.training.trainer import TrainConfig
from tests.app.held_back import steps_at_most
from tests.app.pages import MAIN, SMALL, curves, decode, finding, keys, named, own, panes, press, run, said, table

NBSP = "\N{NO-BREAK SPACE}"


def opened(**query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in (SMALL | query).items():
        page.query_params[name] = value
    page.switch_page("features/dimensions/dimensions.py")
    return run(page)


def at(d, exact, estimate):
    return AtDim(d, exact, estimate, Estimate(0.5, 0.1), Estimate(0.5, 0.1))


MEASURED = Scaling(2, 2, (at(2, 1.0, 4.0), at(32, 4.0, 4.0 / 1.001), at(128, 16.0, 4.0)))


class TestVerdicts:
    def test_from_times_and_from_times_with_noise(self):
        pays = worth(MEASURED)
        assert pays.by_time == Crossing(pytest.approx(32, abs=0.5), 1)
        assert pays.by_work == Crossing(pytest.approx(64, abs=0.5), 1)  # twice the work: t_exact = 8 is at d = 64
        assert (pays.dims, pays.ratio, pays.decided, pays.over) == ((2, 32, 128), 4.0, True, True)
        assert not worth(replace(MEASURED, step=1)).over
        one, none = (worth(replace(MEASURED, found=MEASURED.found[:n])) for n in (1, 0))
        assert one.dims == (2,) and not one.decided and not none.dims and not none.decided
        cheaper = worth(Scaling(2, 2, (at(2, 4.0, 1.0), at(4, 9.0, 1.0))))
        assert cheaper.ratio == 0.25 and cheaper.by_time.at_once
        for chart, dim in (
            (scaling_charts.times(MEASURED.found, pays.by_time), 32),
            (scaling_charts.works(MEASURED.found, pays.by_work), 64),
        ):
            exact, estimate, mark = (path.points for path in chart.paths)
            assert mark[:, 0] == pytest.approx([dim, dim], abs=0.5)
            assert (exact[-1, 1], estimate[0, 1]) == ((16e3, 4e3) if dim == 32 else (8e3, 4e3))

    def test_all_ways_to_cross_have_words(self):
        assert "up to d = 64" in where(Crossing(None, 0), (2, 64))
        assert "from d = 2 on" in where(Crossing(2.0, 0, at_once=True), (2, 64))
        assert "turns 3 times" in where(Crossing(21.3, 3), (2, 64)) and "21" in where(Crossing(21.3, 1), (2, 64))

    def test_learning_by_heart_is_found(self):
        def curve(*bits):
            n = len(bits)
            return BitsCurve(n - 1, np.arange(n), np.arange(n) / 2, np.array(bits), np.full(n, 0.01))

        arm, normal = ArmReport(2, 0.0, 1.0), Estimate(2.3, 0.01)
        assert needed(curve(2.1, 2.0, 2.03), normal, arm).by_heart
        assert not needed(curve(2.1, 2.0, 2.015), normal, arm).by_heart
        found = needed(curve(2.1, 2.0, 2.0), normal, ArmReport(9, 0.0, 1.0))
        assert found.behind and (found.measured_at, found.step, found.flow) == (2, 9, Estimate(2.0, 0.01))
        before = needed(None, normal, arm, ((5, 1.0, 1.952, 0.0137),))
        assert (before.flow, before.stored, before.by_heart) == (None, Estimate(1.952, 0.0137), False)

    def test_slopes_are_by_least_squares_and_sizes_are_readable(self):
        assert per_step([1, 2, 4], [10.0, 13.0, 19.0]) == pytest.approx(3)
        assert np.isnan(per_step([1, 2], [1.0, np.nan])) and np.isnan(per_step([1], [1.0]))
        shown = [size(v).replace(NBSP, " ") for v in (-1e-12, 16, 1500, 2**20 * 3.5, np.nan)]
        assert shown == ["0 B", "16 B", "1.46 KiB", "3.5 MiB", "…"]


class TestStored:
    """What the page opens with, computed here in another way."""

    @pytest.fixture
    def kept(self):
        return evidence.stored(CROSSING).found

    def test_where_the_estimate_pays_has_the_numbers_of_what_is_stored(self, kept):
        d, exact, estimate = np.median([[row[:3] for row in run] for run in kept["runs"]], 0).T
        ratio = np.log(exact / estimate)
        (k,) = np.flatnonzero((ratio[:-1] < 0) & (ratio[1:] >= 0))[-1:]
        meet = np.exp(np.interp(0, ratio[k : k + 2], np.log(d[k : k + 2])))
        text = answers.exact_or_estimate(read_crossing(kept))
        at = d.tolist().index(64)
        assert f"d ≈ {meet:.0f}" in text and f"{exact[at] / estimate[at]:.1f} times faster" in text
        assert f"{np.mean(kept['stray']):.2g} nats" in text and f"{len(kept['runs'])} seeds" in text

    def test_what_it_rests_on_holds_and_else_it_says_the_other_thing(self, kept):
        assert all(answers.crossing_claims(read_crossing(kept)).values())
        for factor, words in ((10, ("Up to d = 128", "10.0 times slower")), (0.1, ("From d = 2 on",))):
            runs = [[[d, s, factor * s, *rest] for d, s, _, *rest in run] for run in kept["runs"]]
            found = read_crossing({**kept, "runs": runs})
            assert not all(answers.crossing_claims(found).values())
            assert all(one in answers.exact_or_estimate(found) for one in words)

    def test_bytes_are_those_of_the_core(self):
        found = read_memory(evidence.stored(MEMORY).found)
        flow, x = measure.subject(memory_flow(), 64, torch.Generator().manual_seed(0))
        terms = evidence.stored(MEMORY).settings["terms"]
        peak, base = (
            measure.footprint(flow, x, way, torch.Generator().manual_seed(1)).peak
            for way in (Truncated(terms, gradient="in_forward"), measure.NoLogDet())
        )
        assert found[64]["in_forward"] == pytest.approx(peak - base, rel=1e-4)
        text = answers.memory(found, 64, "x", bars.size)
        assert bars.size(found[64]["plain"]) in text and bars.size(found[64]["in_forward"]) in text
        assert f"{found[64]['plain'] / found[64]['in_forward']:.2g} times less" in text
        swapped = {rows: {**of, "plain": of["in_forward"], "in_forward": of["plain"]} for rows, of in found.items()}
        bent = {rows: {name: n * (1.1 if rows == 128 else 1) for name, n in of.items()} for rows, of in found.items()}
        assert [all(answers.memory_claims(of).values()) for of in (found, swapped, bent)] == [True, False, False]
        assert answers.bytes_at({64: {"plain": 10.0}, 256: {"plain": 40.0}}, 640)["plain"] == pytest.approx(100)

    def test_bars_are_as_long_as_the_bytes_and_say_what_fits(self):
        need = {"plain": 4.0 * 2**20, "neumann": 2.0**20, "plain_in_forward": 2.0 * 2**20, "in_forward": 2.0**19}
        drawn = bars.html(need, 1.5 * 2**20, "64 points")
        lengths = [float(x) for x in re.findall(r"width:([\d.]+)%", drawn)]
        np.testing.assert_allclose(np.array(lengths) / lengths[0], [1, 0.25, 0.5, 0.125], rtol=1e-2)
        assert (drawn.count("does not fit"), drawn.count("· fits")) == (2, 2)
        assert bars.between(need) in (2.0**20, 2.0**21)
        assert [bars.size(n) for n in (12, 2.0**20, 2.0**40)] == [f"12{NBSP}B", f"1{NBSP}MiB", f"1,024{NBSP}GiB"]


FEW = 16  # as many images as the interpolations need


@pytest.fixture
def few(monkeypatch):
    """Not all held-out images, so that brute force is quick."""
    y, log_det = DIGITS.held_out()[:FEW], DIGITS.held_out_log_det[:FEW]
    monkeypatch.setattr(Digits, "held_out", lambda self: y)
    monkeypatch.setattr(Digits, "held_out_log_det", property(lambda self: log_det))
    view.gaussian.cache_clear()
    yield
    view.gaussian.cache_clear()


def brute_force_bits(flow):
    """Bits per dimension of the few images by the determinant of all of the flow's Jacobian, in float64."""
    flow, bits = flow.double(), []
    for y, log_det in zip(DIGITS.held_out().double(), DIGITS.held_out_log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda p: flow(p[None])[0], y, vectorize=True)
        z = flow(y[None])[0].detach()
        log_p = -0.5 * float(z.square().sum()) - 32 * math.log(2 * math.pi) + float(torch.linalg.slogdet(jacobian)[1])
        bits.append(-(log_p + float(log_det)) / 64 / math.log(2) + math.log2(LEVELS))
    return np.mean(bits), np.std(bits, ddof=1) / math.sqrt(len(bits))


def grids(page):
    found = [json.loads(e.proto.json or "null") for e in page.main if e.type == "bidi_component"]
    (found,) = [data["grids"] for data in found if isinstance(data, dict) and "grids" in data]
    return [decode(grid["images"]) for grid in found]


@pytest.mark.thorough
def test_the_page_opens_with_its_answers_and_the_stored_flow_and_training_goes_on_from_it(few, local_engine):
    page = opened()
    assert answers.exact_or_estimate(read_crossing(evidence.stored(CROSSING).found)) in said(page)
    found = finding(page, Needed)
    value, error = brute_force_bits(example.read(example.weights()).flow)
    assert found.flow.value == found.best == pytest.approx(value, abs=1e-5)
    assert found.flow.standard_error == pytest.approx(error, abs=1e-5)
    assert found.gaussian == measure.gaussian_bits(DIGITS) and not found.behind and not found.by_heart
    data, samples, between = grids(page)
    real = DIGITS.held_out_levels.numpy().reshape(-1, 8, 8)
    assert (data.reshape(-1, 8, 8) == real[:64]).all()
    assert (between[:, 0] == real[:8]).mean() > 0.99 and (between[:, -1] == real[8:16]).mean() > 0.99
    assert len(np.unique(samples.reshape(64, -1), axis=0)) == 64
    noted = np.array(example.stored().curve)  # of its training, and one point of its own
    charts = [pane for pane in panes(page) if pane["title"].startswith("Bits per dimension")]
    for chart, x in zip(charts, noted.T, strict=False):  # against steps, and against seconds
        trained, _, here, _, normal = curves(chart)
        np.testing.assert_allclose(trained, np.stack([x, noted[:, 2]], 1), rtol=1e-5)
        np.testing.assert_allclose(here, [[x[-1], value]], rtol=1e-4)
        np.testing.assert_allclose(normal[:, 1], found.gaussian.value, rtol=1e-5)
    page = press(page, "step.digits")
    arm = own(page).comparisons["digits"].report.arms[0]
    bits = arm.found(BitsCurve).bits
    assert arm.step == 1 and 0 < abs(bits[1] - bits[0]) < 0.05  # at a tenth of the rate
    assert finding(press(page, "reset.digits"), Needed) == found


TINY = {f"dimensions.{name}": value for name, value in
        {"view": "scaling", "largest": "4", "blocks": "1", "width": "8", "batch": "8"}.items()}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.usefixtures("local_engine")
def test_scaling_shows_what_is_stored_before_it_is_measured_and_then_what_the_core_measures():
    page = opened(**TINY)
    assert len(panes(page)) == 1 and Worth not in own(page).findings
    page = press(page, "scaling.measure")
    plan, report = own(page).benches[Dimensions].plan, own(page).comparisons["scaling"].report
    measured, rows = report.arms[0].found(Scaling), table(page, "| d |")
    assert report.state is State.PAUSED and measured.step == len(plan.pieces)
    for dim in (2, 4):
        subject = Subject(plan, dim, 3)  # the page's seed
        (expected,) = by_dim([subject.piece(k) for k in range(plan.exact_steps + plan.estimates)])
        variance, sampling = (float(rows[str(dim)][k].split()[0]) for k in (2, 3))
        assert variance == pytest.approx(expected.variance.value, rel=0.1)
        assert sampling == pytest.approx(expected.sampling.value, rel=0.1)
    _, variances, _ = panes(page)
    assert [line[:, 0].tolist() for line in curves(variances)] == [[2, 4]] * 2
    assert finding(page, Worth) == worth(measured)


SIZES = {"memory.blocks": "2", "memory.terms": "3", "memory.width": "8", "memory.batch": "8", "memory.draws": "4"}
WEIGH = {"dimensions.view": "memory", "activation": "lipswish"} | SIZES


@lru_cache
def bytes_of(name, n, m):
    """From the core; without a log det where there is no name."""
    config = FlowConfig(dim=2, blocks=m, width=8, activation="lipswish")
    flow, x = measure.subject(config, 8, torch.Generator().manual_seed(0))
    way = Truncated(n, gradient=name) if name else measure.NoLogDet()
    return measure.footprint(flow, x, way, torch.Generator().manual_seed(1))


def measured(name, n, m, drawn="peak"):
    return getattr(bytes_of(name, n, m), drawn) - getattr(bytes_of("", 0, m), drawn)


def in_bytes(text):
    value, unit = text.replace(",", "").split(NBSP)
    return float(value) * {"B": 1, "KiB": 2**10, "MiB": 2**20}[unit]


@pytest.mark.thorough
def test_memory_is_what_the_core_counts_and_a_part_of_it_is_gone_on_with(local_engine, monkeypatch):
    page = opened(**WEIGH)
    assert not panes(page) and not own(page).surveys
    with monkeypatch.context() as patch:
        steps_at_most(local_engine, patch, 6)  # without a log det, and all ways at the most terms
        page = press(page, "memory.measure")
    (part,) = own(page).surveys.values()
    assert part.step == 6 and finding(page, Saving).measured and not finding(page, Saving).timed
    assert [row[5] for row in list(table(page, "| name in the paper |").values())[1:]] != ["…"] * 4
    page = press(page, "memory.go_on")
    (survey,) = own(page).surveys.values()
    assert survey.complete and survey.results[:6] == part.results and "memory.again" in keys(page)
    rows, (by_terms, by_blocks, time, noise) = table(page, "| name in the paper |"), panes(page)
    for k, (name, way) in enumerate(GRADIENTS.items()):
        _, _, per_term, per_block, kept, peak, _, shown = rows[way.paper]
        terms, blocks = ([measured(name, n, 2) for n in (1, 2, 3)], [measured(name, 3, m) for m in (1, 2)])
        expected = np.polyfit([1, 2, 3], terms, 1)[0], blocks[1] - blocks[0]
        assert growth(Memory(), survey, name) == pytest.approx(expected, abs=1e-6)
        assert (in_bytes(per_term), in_bytes(per_block)) == pytest.approx(expected, rel=6e-3, abs=0.6)
        assert in_bytes(kept) == pytest.approx(measured(name, 3, 2, "kept"), rel=6e-3)
        assert in_bytes(peak) == pytest.approx(terms[-1], rel=6e-3)
        units = {"KiB": 2**10, "MiB": 2**20}
        np.testing.assert_allclose(curves(by_terms)[k][:, 1] * units[by_terms["y"]], terms, rtol=1e-6)
        np.testing.assert_allclose(curves(by_blocks)[k][:, 1] * units[by_blocks["y"]], blocks, rtol=1e-6)
        cost = survey.costs[Place(name, 3, 2)]
        assert curves(noise)[k][-1].tolist() == pytest.approx([3, cost.variance.value])
        assert curves(time)[k][-1].tolist() == pytest.approx([3, 1e3 * cost.seconds])
        assert float(shown.split(" ± ")[0]) == pytest.approx(cost.variance.value, rel=0.1)
    found, bench = finding(page, Saving), own(page).benches[Memory]
    assert (found.terms, found.blocks, found.naive, found.both) == (
        3, 2, measured("plain", 3, 2), measured("in_forward", 3, 2),
    )  # fmt: skip
    assert found.both_seconds == survey.costs[Place("in_forward", 3, 2)].seconds
    whole = saving(replace(bench, part="whole", drawn="kept"), survey)
    assert (whole.naive, whole.both) == (bytes_of("plain", 3, 2).kept, bytes_of("in_forward", 3, 2).kept)
    assert saved(bench, survey).count(b"\n") == 1 + len([place for place in survey.footprints if place.gradient])


SMALL_FLOW = FlowConfig(blocks=1, width=8, dim=DIM)
TRAIN = TrainConfig(batch=16, log_det=Roulette(shared=True))


def test_the_file_is_small_and_has_the_bits_that_it_notes():
    data = example.weights()
    stored = example.read(data)
    assert len(data) <= example.MOST_BYTES and stored.flow.config == example.FLOW
    bits = measure.held_out_bits(stored.flow, DIGITS)
    step, seconds, value, error = stored.curve[-1]
    assert (step, seconds) == (stored.steps, pytest.approx(stored.seconds, abs=0.1))
    assert value == pytest.approx(bits.value, abs=1e-4) and error == pytest.approx(bits.standard_error, abs=1e-4)
    assert stored.steps == example.STEPS and value < measure.gaussian_bits(DIGITS).value - 0.2


def test_a_file_that_is_built_is_read():
    stored = example.read(example.build(2, 1, SMALL_FLOW, TRAIN))
    assert stored.flow.config == SMALL_FLOW and [at[0] for at in stored.curve] == [0, 1, 2] and stored.steps == 2
    assert stored.curve[-1][2] == pytest.approx(measure.held_out_bits(stored.flow, DIGITS).value, abs=1e-5)


def file(notes=None, **tensors):
    flow = SMALL_FLOW.build(torch.Generator().manual_seed(0))
    data = flow_file.to_bytes(flow, notes)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    return save({**load(data), **tensors}, header)


GOOD = {"steps": 2, "seconds": 1.0, "curve": [[0, 0.0, 3.0, 0.1], [2, 1.0, 2.9, 0.1]]}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"nothing", {"safetensors"}),
        (bytes(example.MOST_BYTES + 1), {"2,097,153", "2,097,152"}),
        (file(None), {"notes", "read"}),
        (file(GOOD | {"curve": [["x"]]}), {"notes", "read"}),
        (file(GOOD | {"steps": 3}), {"notes", "end", "step"}),
        (file(GOOD, **{"bijections.0.shift": torch.full((DIM,), torch.nan)}), {"not", "finite"}),
        (file(GOOD, **{"bijections.0.shift": torch.zeros(2)}), {"float32", "64"}),
        (flow_file.to_bytes(FlowConfig(blocks=1, width=8).build(torch.Generator())), {"64", "dimensions"}),
    ],
)
def test_others_are_refused_with_the_reason(data, says):
    assert example.read(file(GOOD)).curve[-1] == (2, 1.0, 2.9, 0.1)
    with pytest.raises(ValueError) as error:
        example.read(data)
    assert says <= named(str(error.value))
