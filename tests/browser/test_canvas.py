"""What pictures are made of, as numbers: each function of `app/web/canvas` beside NumPy, SciPy or a formula."""

import math
import re

import numpy as np
import pytest
from contourpy import contour_generator
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter

from tests.browser.conftest import blank_page, with_modules

WINDOW = ((-2.0, 3.0), (-1.0, 1.0))


@pytest.fixture(scope="module")
def page(chromium):
    page = blank_page(chromium)
    with_modules(page, *(f"canvas/{name}.js" for name in ("colours", "numbers", "ticks", "field", "layers", "plane")))
    yield page
    page.context.close()


def told(values):
    """A field as a JavaScript expression."""
    rows, columns = values.shape
    return f"({{values: Float32Array.from({values.ravel().tolist()}), rows: {rows}, columns: {columns}}})"


def nodes(rows, columns, window=WINDOW):
    """x and y of all nodes, (rows, columns) each."""
    (x0, x1), (y0, y1) = window
    return np.meshgrid(np.linspace(x0, x1, columns), np.linspace(y0, y1, rows))


def test_ticks_read_well_and_lie_within(page):
    sides = [(0, 1), (-4.4, 4.4), (0.0, 0.0437), (3.37, 3.52), (0, 12_288), (-1e-9, 2e-9), (-3e8, 5e8), (99.98, 100.01)]
    for side, wanted in ((side, wanted) for side in sides for wanted in (4, 6)):
        ticks = page.evaluate(f"ticksOf({list(side)}, {wanted})")
        values = np.array([tick["value"] for tick in ticks])
        assert wanted / 2.6 <= len(values) <= wanted + 1, (side, wanted)
        assert (values >= side[0] - 1e-9 * (side[1] - side[0])).all() and (values <= side[1] * (1 + 1e-9)).all(), side
        steps = np.diff(values)
        assert steps == pytest.approx(steps[0]), (side, wanted)
        first = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
        assert min(abs(first - m) for m in (1, 2, 5, 10)) < 1e-6, (side, wanted)
        texts = [float(tick["text"].replace("−", "-").replace(",", "")) for tick in ticks]
        assert texts == pytest.approx(values, rel=1e-2, abs=steps[0] / 100), (side, wanted)
        assert len({tick["text"] for tick in ticks}) == len(ticks), (side, wanted)
    for most in (0.1, 0.17, 0.43, 0.49, 0.9, 3.7, 499):  # about zero there are always two
        assert 2 <= len(page.evaluate(f"ticksOf([{-most}, {most}], 3)")) <= 5, most
    assert page.evaluate("[ticksOf([1, 1], 5), ticksOf([2, 1], 5), ticksOf([NaN, 1], 5)]") == [[], [], []]


def test_ticks_of_logarithms_are_powers_of_ten_or_numbers_that_read_well(page):
    for side in ((-20.95, -0.05), (-2, 2), (0.1, 0.9), (-3.2, -2.1), (2.3, 2.5), (5, 9)):
        ticks = page.evaluate(f"logTicksOf({list(side)}, 5)")
        values = np.array([tick["value"] for tick in ticks])
        assert 1 <= len(values) <= 11, side
        assert (values >= side[0] - 1e-9).all() and (values <= side[1] + 1e-9).all(), side
        for tick in ticks:
            text = tick["text"].replace("10⁻", "1e-").replace("−", "-")
            digits = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
            power = re.fullmatch(r"10([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", text)
            number = 10.0 ** int(power[1].translate(digits)) if power else float(text.translate(digits))
            assert number == pytest.approx(10 ** tick["value"], rel=0.01), side


def test_a_finer_field_agrees_at_the_nodes_and_meets_a_smooth_function_between_them(page):
    values = np.random.default_rng(0).random((40, 35)).astype(np.float32)
    fine = page.evaluate(f"(f => ({{...f, values: [...f.values]}}))(finer({told(values)}))")
    assert (fine["rows"], fine["columns"]) == (39 * 3 + 1, 34 * 3 + 1)
    found = np.array(fine["values"]).reshape(fine["rows"], fine["columns"])
    assert found[::3, ::3] == pytest.approx(values, abs=1e-6)
    assert values.min() <= found.min() and found.max() <= values.max()

    x, y = nodes(40, 40)
    values = np.sin(x) * np.cos(2 * y)
    fine = page.evaluate(f"[...finer({told(values)}).values]")
    x, y = nodes(118, 118)
    truth = np.clip(np.sin(x) * np.cos(2 * y), values.min(), values.max())
    off = np.abs(np.array(fine).reshape(118, 118) - truth)
    assert off[3:-3, 3:-3].max() < 2e-4  # by lines between the nodes it would be 2e-3
    assert off.max() < 1e-2  # at the border, where a neighbour is missing
    # What is fine enough stays as it is.
    assert page.evaluate(f"(f => finer(f) === f)({told(np.zeros((200, 120)))})")


def lines_of(page, values, level):
    found = page.evaluate(f"contour({told(values)}, {level}).map(({{x, y}}) => [[...x], [...y]])")
    return [np.array(line).T for line in found]


def test_a_contour_parts_what_lies_above_from_what_lies_below(page):
    """A circle is one closed line, and every kind of cell has its corners parted."""
    side = ((-1.0, 1.0), (-1.0, 1.0))
    x, y = nodes(101, 101, side)
    (found,) = lines_of(page, x**2 + y**2, 0.49)
    found = found / 50 - 1
    assert np.hypot(*found.T) == pytest.approx(np.full(len(found), 0.7), abs=2e-4)
    assert np.hypot(*np.diff(found, axis=0).T).sum() == pytest.approx(2 * math.pi * 0.7, rel=1e-3)
    assert (found[0] == found[-1]).all()
    for code in range(16):
        corners = [bool(code & bit) for bit in (1, 2, 4, 8)]  # from below at the left, against the clock
        values = np.array([[corners[0], corners[1]], [corners[3], corners[2]]], float)
        found = lines_of(page, values, 0.5)
        changes = sum(a != b for a, b in zip(corners, corners[1:] + corners[:1], strict=True))
        assert [len(line) for line in found] == [2] * (changes // 2), corners
        middles = {(0.5, 0.0): (0, 1), (1.0, 0.5): (1, 2), (0.5, 1.0): (3, 2), (0.0, 0.5): (0, 3)}
        for end in np.reshape(found, (-1, 2)):
            a, b = middles[tuple(end)]
            assert corners[a] != corners[b], corners


def test_the_lines_of_a_field_are_those_of_contourpy(page):
    rough = np.random.default_rng(3).normal(size=(33, 41))
    values = gaussian_filter(rough, 1.5).astype(np.float32)  # without saddles, whose corners may be joined two ways
    for level in (-0.2, 0.0, 0.1):
        found, told = (
            sorted((np.array(line) for line in lines), key=lambda line: (len(line), line.sum()))
            for lines in (lines_of(page, values, level), contour_generator(z=values).lines(level))
        )
        assert [len(line) for line in found] == [len(line) for line in told], level
        for line, other in zip(found, told, strict=True):
            is_closed = int((line[0] == line[-1]).all())
            assert is_closed or all((end <= 0).any() or (end >= (40, 32)).any() for end in (line[0], line[-1])), level
            places = [sorted(map(tuple, np.round(one[is_closed:], 3).tolist())) for one in (line, other)]
            assert np.array(places[0]) == pytest.approx(np.array(places[1]), abs=2e-3), level
            steps = [np.hypot(*np.diff(one, axis=0).T).sum() for one in (line, other)]
            assert steps[0] == pytest.approx(steps[1], rel=1e-5), level  # and they are walked in the same order


def test_levels_enclose_their_shares_of_the_mass(page):
    values = np.random.default_rng(1).exponential(size=(30, 30)) ** 3
    shares = [0.25, 0.5, 0.75, 0.95]
    found = page.evaluate(f"levelsOfMass({told(values)}, {shares})")
    for level, share in zip(found, shares, strict=True):
        enclosed = values[values >= level * (1 - 1e-6)].sum() / values.sum()
        assert share <= enclosed + 1e-6 and enclosed - level / values.sum() <= share + 1e-6
    assert page.evaluate(f"levelsOfMass({told(np.zeros((3, 3)))}, [0.5])") in ([math.inf], [None])


def test_a_value_between_the_nodes_is_that_of_scipy_and_none_outside(page):
    values = np.random.default_rng(2).normal(size=(7, 9)).astype(np.float32)
    (x0, x1), (y0, y1) = WINDOW
    of = RegularGridInterpolator((np.linspace(y0, y1, 7), np.linspace(x0, x1, 9)), values.astype(float))
    places = [(-2.0, -1.0), (3.0, 1.0), (0.3, 0.2), (2.99, -0.7)]
    found = page.evaluate(
        f"{[list(p) for p in places]}.map(place => valueAt({told(values)}, {[*map(list, WINDOW)]}, place))"
    )
    assert found == pytest.approx([float(of((y, x))) for x, y in places], abs=1e-5)
    outside = page.evaluate(f"Number.isNaN(valueAt({told(values)}, {[*map(list, WINDOW)]}, [3.01, 0]))")
    assert outside


def test_units_of_a_plot_keep_their_ratio_and_a_zoom_the_place_under_the_pointer(page):
    plot = (
        "{x: {title: 'x', range: [-2, 3]}, y: {title: 'y', range: [-1, 1]}, layers: [], ratio: RATIO,"
        " margin: {left: 46, right: 70, top: 10, bottom: 42}}"
    )
    for ratio in (1, 2.5):
        at = f"placeOfPlot({plot.replace('RATIO', str(ratio))}, 500, 400)"
        x, y = page.evaluate(f"(at => [at.x(1) - at.x(0), at.y(0) - at.y(1)])({at})")
        assert y / x == pytest.approx(ratio)
        assert page.evaluate(f"(at => at.atPixel(at.x(0.7), at.y(-0.2)))({at})") == pytest.approx([0.7, -0.2])
        left, top, width, height = page.evaluate(f"(at => [at.left, at.top, at.width, at.height])({at})")
        assert left >= 46 and top >= 10 and left + width <= 500 - 12 - 58 and top + height <= 400 - 42
    assert page.evaluate(f"zoomed({plot.replace('RATIO', '1')}, [1, 0.5], 0.5)") == [[-0.5, 2.0], [-0.25, 0.75]]
