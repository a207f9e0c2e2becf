"""The loss as a time line: what the film keeps, and a hand that goes back in it."""

import re
from itertools import dropwhile

import numpy as np
import pytest

from tests.browser.conftest import after_next_picture, box_at_rest, zoom_wheel
from tests.browser.drawn import RESTS, SHARP, VIEW, Heard, density, log_density, moments, nodes
from tests.served import wait_for

QUICK = "blocks=2&width=8&batch=32"


@pytest.fixture
def trained(visit):
    """A run of some hundred steps, which was paused."""

    def enter(query=QUICK, steps=150, **context):
        visitor = visit(query, **context)
        visitor.wait("root.dataset.channel === 'open'", "the channel")
        visitor.press("Play")
        visitor.wait(f"root.live.time.film.moments.length >= 12 && root.live.picture?.step >= {steps}", "a film")
        visitor.press("Pause")
        settled(visitor)
        return visitor

    return enter


def settled(visitor):
    """The run rests, and what it did last has come: it goes on for a moment after Pause."""
    visitor.page.get_by_role("button", name="Play", exact=True).wait_for()
    at = "root.live.newest?.step === root.live.scene.time.checkpoints.at(-1)"
    visitor.wait(f"{SHARP} && {at}", "the sharp picture of where it rests")


def uncaught(visitor):
    return [problem for problem in visitor.problems if problem.startswith("uncaught")]


def step_of(visitor):
    """Of the picture that is shown: the page's attribute follows when a hand rests."""
    return visitor.page.evaluate(f"{VIEW}.picture.step")


def time_line(visitor):
    return visitor.page.get_by_role("slider", name="Time")


def pixel_of(visitor, step):
    """Where a step is on the screen, within the loss."""
    x, top, height = visitor.page.evaluate(f"""() => {{
        const {{ box, surface: {{ at }} }} = {VIEW}.panes.loss;
        const {{ left, top }} = box.getBoundingClientRect();
        return [left + at.x({step}), top + at.top, at.height];
    }}""")
    return x, top + 0.6 * height


def drag(visitor, step, begin=None, end=True):
    """With the mouse over the loss; the line is elsewhere or not."""
    mouse = visitor.page.mouse
    begin = pixel_of(visitor, step_of(visitor)) if begin is None else begin
    to = pixel_of(visitor, step)
    mouse.move(*begin)
    mouse.down()
    mouse.move(*((a + b) / 2 for a, b in zip(begin, to, strict=True)))
    mouse.move(*to)
    after_next_picture(visitor.page)
    if end:
        mouse.up()


def in_the_past(visitor):
    visitor.wait("root.live.time.shown && root.live.picture.step === root.live.time.shown.step", "an earlier moment")


def now(visitor):
    visitor.wait(f"root.dataset.time === 'now' && {RESTS}", "the newest picture")


def plane_at(visitor, u, v):
    """A place of the data space on the screen, by shares of its sides."""
    box = box_at_rest(visitor.page.locator("[data-pane=data] .live-plot"))
    return box["x"] + u * box["width"], box["y"] + v * box["height"]


def nearest(steps, step):
    return min(steps, key=lambda one: abs(one - step))


def test_a_drag_over_the_loss_draws_the_flow_of_then_without_the_server(visit):
    visitor = visit(QUICK)
    heard = Heard(visitor.page)
    visitor.page.reload()
    visitor.wait("root.dataset.channel === 'open' && root.dataset.step !== ''", "the channel")
    visitor.press("Play")
    visitor.wait("root.live.time.film.moments.length >= 12", "a film")
    visitor.press("Pause")
    settled(visitor)
    newest, film = step_of(visitor), moments(visitor)
    assert len(film) >= 10
    visitor.page.context.set_offline(True)
    for share in (0.6, 0.3, 0.8):
        aim = nearest(film, share * newest)  # halfway between two a pixel would decide
        drag(visitor, aim, begin=pixel_of(visitor, 0.5 * newest))
        in_the_past(visitor)
        visitor.wait("root.live.picture.density.field.columns >= 200", "a sharp picture of it")
        after_next_picture(visitor.page)
        step, window, shown = density(visitor)
        header, numbers = heard.by_step[aim]
        assert step == aim
        assert (film[step] == numbers).all()
        expected = np.exp(log_density(header, numbers, nodes(window, shown.shape))).reshape(shown.shape)
        assert shown == pytest.approx(expected, rel=2e-3, abs=1e-5)
        assert visitor.page.locator("[data-readout=step] .live-value").inner_text() == f"{step:,}"
    drag(visitor, 1.2 * newest)
    now(visitor)
    assert step_of(visitor) == newest
    assert uncaught(visitor) == []


def test_the_line_goes_through_time_by_keys_with_numbers_depth_zoom_and_replay(
    trained,
):
    visitor = trained()
    newest, steps = step_of(visitor), list(moments(visitor))
    line = time_line(visitor)
    assert line.get_attribute("aria-valuenow") == str(newest)
    line.focus()
    for key, step in (
        ("ArrowLeft", steps[-1]),
        ("ArrowLeft", steps[-2]),
        ("ArrowRight", steps[-1]),
        ("Home", steps[0]),
    ):
        visitor.page.keyboard.press(key)
        in_the_past(visitor)
        assert step_of(visitor) == step
        assert line.get_attribute("aria-valuenow") == str(step)
        assert f"step {step:,} of {newest:,}, held-out NLL" in line.get_attribute("aria-valuetext")
        beside = visitor.page.locator(".live-time [data-time=first]").inner_text()
        assert beside.startswith(f"Step {step:,} of {newest:,}")
        for name in ("data", "latent", "loss"):
            plot = visitor.page.locator(f"[data-pane={name}] .live-plot")
            assert f"step {step:,}" in plot.get_attribute("aria-label")
    visitor.page.keyboard.press("ArrowLeft")
    after_next_picture(visitor.page)
    assert step_of(visitor) == steps[0]
    visitor.page.keyboard.press("End")
    now(visitor)
    assert step_of(visitor) == newest

    # Numbers say of which step they are.
    visitor.wait("root.live.time.film.numbers.gap?.length", "a gap to the truth, which comes later than pictures")
    line.focus()
    visitor.page.keyboard.press("Home")
    in_the_past(visitor)
    (step, label, value), kept = visitor.page.evaluate(f"""() => {{
        const box = document.querySelector('[data-readout=gap]');
        const text = (part) => box.querySelector(part).textContent;
        return [[{VIEW}.picture.step, text('.live-label'), text('.live-value')], {VIEW}.time.film.numbers.gap];
    }}""")
    own = min(kept, key=lambda one: abs(one["step"] - step))
    assert value == own["value"]
    assert label == ("Gap to the truth" if own["step"] == step else f"Gap to the truth, step {own['step']:,}")
    visitor.page.keyboard.press("End")
    now(visitor)

    # Every depth of an earlier moment is there, and each part of its plane.
    line.focus()
    visitor.page.keyboard.press("PageDown")
    in_the_past(visitor)
    step = step_of(visitor)
    assert visitor.page.locator("[data-view=latent]").inner_text() == "Latent space, z"
    visitor.page.locator(".live-depth input").focus()
    visitor.page.keyboard.press("ArrowLeft")
    visitor.wait("root.dataset.depth === '2'", "the depth")
    assert step_of(visitor) == step
    assert visitor.page.locator("[data-view=latent]").inner_text() == "After block 2 of 2"
    visitor.page.keyboard.press("End")
    visitor.wait("root.live.depth.at === 3 && root.dataset.depth === 'z'", "the end of the glide")
    visitor.page.mouse.move(*plane_at(visitor, 0.4, 0.6))
    zoom_wheel(visitor.page, -500)
    visitor.wait("root.live.picture.density.part?.field.columns >= 200", "the part of the plane, sharp")
    assert step_of(visitor) == step
    visitor.page.mouse.dblclick(*plane_at(visitor, 0.4, 0.6))
    visitor.page.get_by_role("button", name="Back to now").click()
    now(visitor)
    assert visitor.page.locator("[data-view=latent]").inner_text() == "Latent space, z"

    # A zoomed loss is moved by a drag, and its line still goes through time.
    visitor.page.mouse.move(*pixel_of(visitor, 0.5 * newest))
    whole = visitor.range_of("loss")
    zoom_wheel(visitor.page, -300)
    zoomed = wait_for(lambda: (r := visitor.range_of("loss")) != whole and r, "the wheel to zoom")
    middle = sum(zoomed) / 2
    drag(visitor, middle + 0.2 * (zoomed[1] - zoomed[0]), begin=pixel_of(visitor, middle))
    moved = visitor.range_of("loss")
    assert moved[0] < zoomed[0]
    assert visitor.data("time") == "now"
    box = box_at_rest(line)
    begin = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    drag(visitor, sum(moved) / 2, begin=begin)
    in_the_past(visitor)
    assert visitor.range_of("loss") == moved
    visitor.page.get_by_role("button", name="whole").click()
    wait_for(lambda: visitor.range_of("loss") == whole, "the whole loss")
    visitor.page.get_by_role("button", name="Back to now").click()
    now(visitor)

    # A replay goes from the earliest picture to the newest in the browser alone, without motion for who wants none.
    film = moments(visitor)
    visitor.page.get_by_label("Speed of the replay").select_option("4")
    visitor.page.evaluate(f"""() => {{
        window.drawn = [];
        const {{ surface }} = {VIEW}.panes.data;
        let picture = surface.picture;
        Object.defineProperty(surface, 'picture', {{ get: () => picture, set: (drawn) => {{
            picture = drawn;
            if ({VIEW}.picture) window.drawn.push([{VIEW}.picture.step, {VIEW}.share]); // a run that begins has none
        }} }});
    }}""")
    for calm in (False, True):
        visitor.page.emulate_media(reduced_motion="reduce" if calm else "no-preference")
        visitor.page.evaluate("() => { window.drawn = []; }")
        visitor.page.get_by_role("button", name="Replay").click()
        visitor.wait(f"window.drawn.some(([step]) => step === {min(film)})", "the earliest picture")  # or it is over
        visitor.wait("root.dataset.time === 'now' && !root.live.time.replay", "the end of the replay")
        assert step_of(visitor) == newest
        # The newest may be drawn once more before a replay begins, as by the pointer that leaves the loss.
        drawn = list(dropwhile(lambda one: one[0] == newest, visitor.page.evaluate("window.drawn")))
        steps = [step for step, _ in drawn]
        assert steps[0] == min(film) and steps == sorted(steps) and set(steps) <= {*film, newest}
        assert any(share < 1 for step, share in drawn if step != newest) != calm

    # It is paused, and Continue goes on from where it is.
    run = visitor.data("run")
    visitor.page.get_by_label("Speed of the replay").select_option("0.25")
    replay = visitor.page.locator("[data-time=replay]")
    replay.click()
    on = visitor.page.get_by_role("button", name="Continue from here", exact=True)
    on.wait_for()
    first = min(moments(visitor))
    visitor.wait(f"root.live.picture.step > {first}", "a later picture")
    on.click()
    visitor.wait("!root.live.time.replay", "the replay to stop")
    visitor.wait(f"root.dataset.run !== {run!r} && root.live.picture", "the branch's picture")
    since = visitor.page.evaluate(f"{VIEW}.scene.time.continues.step")
    assert since <= step_of(visitor)
    visitor.press("Pause")
    settled(visitor)

    # One step from an earlier moment is one step further.
    run, newest = visitor.data("run"), step_of(visitor)
    line.focus()
    visitor.page.keyboard.press("PageDown")
    in_the_past(visitor)
    step = step_of(visitor)
    on.wait_for()  # which is wider than Play, and moves the other buttons
    visitor.press("1 step")
    visitor.wait(f"root.dataset.run !== {run!r} && root.dataset.step === '{step + 1}'", "one step of the branch")
    visitor.page.get_by_text(f"Before, you had a flow of {newest:,} steps.").wait_for()
    assert uncaught(visitor) == []


def test_the_line_is_at_the_last_picture_also_where_that_comes_after_the_last_scene(trained):
    visitor = trained()
    line, newest = time_line(visitor), step_of(visitor)
    assert line.get_attribute("aria-valuenow") == str(newest)
    visitor.page.evaluate(f"""async () => {{
        const loaded = performance.getEntriesByType("resource").map(({{ name }}) => name);
        const {{ show }} = await import(loaded.find((name) => name.endsWith("/live/clock.js")));
        show({VIEW}, {{ ...{VIEW}.picture, step: {newest + 5} }});
    }}""")
    assert line.get_attribute("aria-valuenow") == str(newest + 5)


def test_a_drag_pauses_what_plays_and_continue_goes_on_from_there_and_undo_back(visit):
    visitor = visit(QUICK)
    visitor.wait("root.dataset.channel === 'open'", "the channel")
    visitor.press("Play")
    visitor.wait("root.live.time.film.moments.length >= 20", "a film")
    run = visitor.data("run")
    line = time_line(visitor)
    line.focus()
    visitor.page.keyboard.press("PageDown")
    in_the_past(visitor)
    step = step_of(visitor)
    visitor.wait("!root.live.scene.playing", "the run to rest")
    on = visitor.page.get_by_role("button", name="Continue from here", exact=True)
    on.wait_for()
    newest = int(line.get_attribute("aria-valuemax"))
    assert step_of(visitor) == step < newest
    on.click()
    visitor.wait(f"root.dataset.run !== {run!r} && Number(root.dataset.step) > {step}", "a step of the branch")
    assert visitor.data("time") == "now"
    kept = visitor.page.evaluate(f"{VIEW}.time.film.moments.map(({{ step }}) => step)")
    since = visitor.page.evaluate(f"{VIEW}.scene.time.continues.step")
    assert since <= step and kept == sorted(kept)
    visitor.press("Pause")
    settled(visitor)
    run = visitor.data("run")
    notice = visitor.page.get_by_text(re.compile(r"^Before, you had a flow of [\d,]+ steps\.")).inner_text()
    had = int(re.search(r"[\d,]+(?= steps)", notice)[0].replace(",", ""))
    assert had >= newest  # the last steps before the rest have no picture
    visitor.press("Undo")
    visitor.wait(f"root.dataset.run !== {run!r} && root.dataset.step === '{had}'", "the old future")
    assert list(moments(visitor))[-1] > step
    assert uncaught(visitor) == []


def test_a_finger_drags_the_line_and_the_loss(trained):
    visitor = trained(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    newest, line = step_of(visitor), time_line(visitor)
    line.scroll_into_view_if_needed()
    box = box_at_rest(line)
    assert box["width"] >= 44
    touch = visitor.page.context.new_cdp_session(visitor.page)

    def tell(kind, *points):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    def swipe(begin, to):
        tell("touchStart", begin)
        for share in (0.2, 0.4, 0.6, 0.8, 1.0):
            tell("touchMove", [a + share * (b - a) for a, b in zip(begin, to, strict=True)])
        tell("touchEnd")

    swipe((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2), pixel_of(visitor, 0.5 * newest))
    in_the_past(visitor)
    film = moments(visitor)
    pixel = 1 / visitor.page.evaluate(f"{VIEW}.panes.loss.surface.at.x(1) - {VIEW}.panes.loss.surface.at.x(0)")

    def is_at(step):
        """A finger is at whole pixels, and so at a step that differs by one of them, and its nearest picture by two."""
        return abs(step_of(visitor) - step) <= abs(nearest(film, step) - step) + 2 * pixel

    wait_for(lambda: is_at(0.5 * newest), "the moment where the finger has left the line")
    swipe(pixel_of(visitor, 0.7 * newest), pixel_of(visitor, 0.2 * newest))
    wait_for(lambda: is_at(0.2 * newest), "the loss to be dragged")
    for name in ("Replay", "Back to now", "Go on from here"):
        assert visitor.page.get_by_role("button", name=name).bounding_box()["height"] >= 44
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390
