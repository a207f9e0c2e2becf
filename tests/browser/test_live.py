"""The live picture alone, over the hand-made scenes of `picture_app.py`; and how the real page holds it."""

from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import MOST_MS, Visitor, box_at_rest, zoom_wheel
from tests.browser.picture_app import BLOCKS, NODES, POINTS, SWING
from tests.served import served, wait_for

ROUNDING = 1e-5


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    script = Path(__file__).with_name("picture_app.py")
    with served(script, tmp_path_factory.mktemp("picture") / "log") as url:
        yield url


@pytest.fixture
def see(picture, chromium):
    visitors = []

    def enter(query: str = "", width: int = 1100, **context) -> Visitor:
        visitors.append(opened(f"{picture}/?{query}", chromium, width, **context))
        return visitors[-1]

    yield enter
    for visitor in visitors:
        visitor.page.context.close()


def opened(url, chromium, width=1100, **context):
    page = chromium.new_context(viewport={"width": width, "height": 900}, **context).new_page()
    page.set_default_timeout(MOST_MS)
    visitor = Visitor(page)
    page.on("pageerror", lambda error: visitor.problems.append(f"uncaught: {error}"))
    return visitor.open(url)


def plot(visitor, pane, expression):
    """A JavaScript expression of a pane's `picture`, as it was last drawn."""
    box = f"document.querySelector('[data-pane={pane}] .live-plot')"
    return visitor.page.evaluate(f"(picture => {expression})({box}.surface.picture)")


def layer(kind):
    return f"picture.layers.find(layer => layer.kind === '{kind}')"


def points(visitor, pane="latent"):
    return list(zip(*plot(visitor, pane, f"(({{x, y}}) => [[...x], [...y]])({layer('points')})"), strict=True))


def heatmap(visitor, pane):
    of = """(({nodes: {values, rows, columns}, range: [low, top]}) => ({ low, top,
        z: Array.from({length: rows}, (_, r) => [...values.slice(r * columns, (r + 1) * columns)]) }))"""
    return plot(visitor, pane, f"{of}({layer('field')})")


def title(visitor):
    return visitor.page.locator("[data-view=latent]").inner_text()


def wait_for_stage(visitor, k):
    """The points stand where stage k has them."""
    expected = [coordinate for point in POINTS * (1 - k / 10) for coordinate in point]
    near = pytest.approx(expected, abs=ROUNDING)
    wait_for(lambda: [c for p in points(visitor) for c in p] == near, f"the points of stage {k}")


def note_drawn(visitor, k):
    """Let the page note x of this point of the second plane, in `window.drawn`, each time that it is drawn."""
    visitor.page.evaluate(
        """k => {
            window.drawn = [];
            const surface = document.querySelector('[data-pane=latent] .live-plot').surface;
            let picture = surface.picture;
            Object.defineProperty(surface, 'picture', { configurable: true, get: () => picture, set: (drawn) => {
                picture = drawn;
                window.drawn.push(drawn.layers.find(layer => layer.kind === 'points').x[k]);
            } });
        }""",
        k,
    )


def slide(visitor, *keys):
    visitor.page.locator(".live-depth input").focus()
    for key in keys:
        visitor.page.keyboard.press(key)


def test_the_slider_asks_for_a_frame_of_each_stage_also_of_a_flow_at_rest(see):
    visitor = see()
    wait_for_stage(visitor, BLOCKS + 1)
    assert title(visitor) == "Latent space, z"
    circles = f"{layer('circles')}.visible"
    assert plot(visitor, "latent", circles)
    slide(visitor, "ArrowLeft", "ArrowLeft", "ArrowLeft")
    wait_for_stage(visitor, 2)
    assert title(visitor) == "After block 2 of 4"
    assert visitor.page.locator(".live-depth output").inner_text() == "after block 2 of 4"
    assert not plot(visitor, "latent", circles)
    label = visitor.page.locator("[data-pane=latent] .live-plot").get_attribute("aria-label")
    assert label == "After block 2 of 4. words about stage"
    slide(visitor, "Home")
    wait_for_stage(visitor, 0)
    assert title(visitor) == "Data space, x"
    assert visitor.problems == []


@pytest.mark.slow
def test_one_picture_turns_into_the_next_but_for_who_wants_no_motion(see):
    visitor = see("playing=yes&swings=yes")
    here = POINTS[0, 0] * (1 - (BLOCKS + 1) / 10)
    for calm in (False, True):
        visitor.page.emulate_media(reduced_motion="reduce" if calm else "no-preference")
        visitor.wait_for_step(visitor.step + 2)
        note_drawn(visitor, 0)
        visitor.wait_for_step(visitor.step + 4)
        seen = np.array(visitor.page.evaluate("window.drawn")) - here
        ends = 2 * ROUNDING if calm else 0.2 * SWING  # the next picture may come a little early
        assert seen.min() == pytest.approx(0, abs=ends) and seen.max() == pytest.approx(SWING, abs=ends)
        between = (seen > 0.3 * SWING) & (seen < 0.7 * SWING)
        assert between.any() != calm


def test_a_moving_flow_is_asked_for_the_depth_and_its_frames_say_theirs(see):
    visitor = see("playing=yes")
    visitor.wait_for_step(2)
    slide(visitor, "ArrowLeft", "ArrowLeft")
    visitor.wait("root.dataset.depth === '3'", "a frame after block 3")
    wait_for_stage(visitor, 3)
    visitor.page.get_by_text("playing").click()
    visitor.wait("!root.live.scene.playing", "a still picture")
    wait_for_stage(visitor, 3)  # it stays where it was
    slide(visitor, "End")
    wait_for_stage(visitor, BLOCKS + 1)
    visitor.page.get_by_text("playing").click()
    visitor.wait_for_step(visitor.step + 3)
    assert title(visitor) == "Latent space, z"
    assert visitor.problems == []


def lies_within(visitor, width):
    """Whether nothing of the picture overlaps or leaves the page."""
    boxes = visitor.page.evaluate("""[...document.querySelectorAll(
        ':is(.live-panes header button, .live-plot, .live-depth, .live-readout)')]
        .filter(e => e.checkVisibility({visibilityProperty: true}))
        .map(e => { const {left, top, right, bottom} = e.getBoundingClientRect();
                    return [left, top, right, bottom].map(Math.round); })""")
    overlaps = [
        (a, b)
        for i, a in enumerate(boxes)
        for b in boxes[:i]
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]
    return not overlaps and max(right for _, _, right, _ in boxes) <= width


def wheel(visitor, pane):
    box = box_at_rest(visitor.page.locator(f"[data-pane={pane}] .live-plot"))
    visitor.page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"])
    zoom_wheel(visitor.page, -400)


def test_a_still_picture_says_its_numbers_fits_every_width_zooms_and_has_its_colours(see):
    visitor = see()
    believed = visitor.page.locator("[data-readout=believed]")
    assert believed.get_attribute("aria-label") == "Mass that training believes in, 1.382, ± 0.004, not 1"
    assert visitor.page.locator("[data-readout=gap] .live-error").inner_text() == "± 0.010 nats"
    explained = believed.get_by_role("tooltip", include_hidden=True)
    assert not explained.is_visible()
    visitor.page.locator("[data-readout=mass]").focus()
    visitor.page.keyboard.press("Tab")
    assert explained.is_visible()
    assert explained.inner_text() == "What it believes."
    assert visitor.page.locator("[data-readout=gap] .live-help").text_content() == "KL(data || model). What the gap is."

    # Nothing overlaps or leaves the page.
    for width, columns in ((390, "1"), (1500, "2"), (1100, "2")):
        visitor.page.set_viewport_size({"width": width, "height": 900})
        visitor.wait(f"root.dataset.columns === '{columns}'", f"{columns} columns")
        for view in ("difference", "latent"):
            visitor.page.locator(f"[data-view={view}]").click()
            wait_for(
                lambda width=width: lies_within(visitor, width), f"{view} within {width} pixels, no two on another"
            )

    whole = visitor.range_of("data")
    wheel(visitor, "data")
    zoomed = wait_for(lambda: (r := visitor.range_of("data")) != whole and r, "the wheel to zoom")
    assert visitor.range_of("latent") == whole
    visitor.page.locator("[data-view=truth]").click()
    wait_for(lambda: visitor.range_of("latent") == pytest.approx(zoomed), "the truth to show the same part")
    wheel(visitor, "latent")
    wait_for(lambda: visitor.range_of("latent") != pytest.approx(zoomed), "the wheel to zoom the truth")
    wait_for(lambda: visitor.range_of("data") == pytest.approx(visitor.range_of("latent")), "the model to follow")

    def latent():
        """Again while a turn of the wheel is not over, which goes on to what is shown then."""
        visitor.page.locator("[data-view=latent]").click()
        return visitor.range_of("latent") == pytest.approx(whole)

    wait_for(latent, "the whole latent space")

    visitor.page.locator("[data-view=truth]").click()
    truth, model = (wait_for(lambda pane=pane: heatmap(visitor, pane), "a density") for pane in ("latent", "data"))
    assert truth["top"] == model["top"] == pytest.approx(0.02, rel=1e-4)
    assert [len(row) for row in truth["z"]] == [NODES] * NODES
    assert truth["z"][0] == pytest.approx([0.02] * (NODES // 2) + [0.0] * (NODES // 2), rel=1e-4)
    visitor.page.locator("[data-view=difference]").click()
    difference = heatmap(visitor, "latent")
    assert difference["z"][3] == pytest.approx([-0.01] * (NODES // 2) + [0.01] * (NODES // 2), rel=1e-3)
    assert -difference["low"] == difference["top"] == pytest.approx(0.02, rel=1e-4)
    assert heatmap(visitor, "data")["top"] == pytest.approx(0.01)
    assert visitor.page.locator(".live-depth input").is_disabled()
    visitor.page.locator("[data-view=latent]").click()
    assert visitor.problems == []


def test_classes_have_colours_and_symbols_in_both_planes(see):
    visitor = see("labels=yes")
    for pane in ("data", "latent"):
        of = "(({markers, index}) => Array.from(index, i => [markers[i].symbol, markers[i].colour]))"
        first, second, third = plot(visitor, pane, f"{of}({layer('points')})")
        assert (first[0], second[0]) == ("circle", "square")
        assert first == third and first[1] != second[1]
    assert visitor.page.locator(".live-classes li").all_inner_texts() == ["●red", "■white"]
    assert not visitor.page.locator("[data-view=truth]").is_visible()  # nobody knows it


SIDES = {(1440, 900): 520, (1440, 780): 420, (1920, 1080): 700, (1280, 720): 360}


def test_the_real_page_fits_the_window_and_the_picture_fills_it(visit):
    visitor = visit(query="")
    visitor.wait("document.querySelector('[data-readout=mass]')", "the numbers")
    main = visitor.page.locator(".stMain")

    def is_filled(width, height):
        parts = [visitor.page.locator(f"[data-pane={name}] .live-plot") for name in ("data", "latent")]
        planes = [plane.bounding_box() for plane in parts]
        play = visitor.page.get_by_role("button", name="Play", exact=True).bounding_box()
        picture = visitor.page.locator(".live-panes").bounding_box()
        return (
            all(plane["width"] == plane["height"] >= SIDES[width, height] for plane in planes)
            and play["y"] + play["height"] <= 150
            and visitor.page.locator(".stAppHeader").bounding_box()["height"] <= 52
            and (picture["y"] + picture["height"] <= height and picture["x"] + picture["width"] <= width)
            and main.evaluate("main => main.scrollWidth - main.clientWidth") == 0
        )

    for width, height in SIDES:
        visitor.page.set_viewport_size({"width": width, "height": height})
        wait_for(lambda size=(width, height): is_filled(*size), f"a page that fits {width} x {height} and fills it")
