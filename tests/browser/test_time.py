"""The loss as a time line: what the film keeps, and a hand that goes back in it."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import after_next_picture
from tests.browser.drawn import RESTS, SHARP, VIEW, Heard, density, log_density, moments, nodes

QUICK = "blocks=2&width=8&batch=32"


def settled(visitor):
    """The run rests, and what it did last has come: it goes on for a moment after Pause."""
    visitor.page.get_by_role("button", name="Play", exact=True).wait_for()
    at = "root.live.newest?.step === root.live.scene.time.checkpoints.at(-1)"
    visitor.wait(f"{SHARP} && {at}", "the sharp picture of where it rests")


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


def nearest(steps, step):
    return min(steps, key=lambda one: abs(one - step))


def test_the_past_is_drawn_without_the_server_and_gone_through_replayed_and_gone_on_from(visit):
    visitor = visit(QUICK)
    page, line = visitor.page, time_line(visitor)
    heard = Heard(page)
    page.reload()
    visitor.wait("root.dataset.channel === 'open' && root.dataset.step !== ''", "the channel")
    visitor.press("Play")
    visitor.wait("root.live.time.film.moments.length >= 12", "a film")
    visitor.press("Pause")
    settled(visitor)
    visitor.wait("root.live.time.film.numbers.gap?.length", "a gap to the truth, which comes later than pictures")
    newest, film = step_of(visitor), moments(visitor)
    assert len(film) >= 10 and line.get_attribute("aria-valuenow") == str(newest)

    # A drag over the loss draws the flow of then, also where the server is away.
    page.context.set_offline(True)
    for share in (0.6, 0.3, 0.8):
        aim = nearest(film, share * newest)  # halfway between two a pixel would decide
        drag(visitor, aim, begin=pixel_of(visitor, 0.5 * newest))
        in_the_past(visitor)
        visitor.wait("root.live.picture.density.field.columns >= 200", "a sharp picture of it")
        after_next_picture(page)
        step, window, shown = density(visitor)
        header, numbers = heard.by_step[aim]
        assert step == aim and (film[step] == numbers).all()
        expected = np.exp(log_density(header, numbers, nodes(window, shown.shape))).reshape(shown.shape)
        assert shown == pytest.approx(expected, rel=2e-3, abs=1e-5)
        expect(page.locator("[data-readout=step] .live-value")).to_have_text(f"{step:,}")
    drag(visitor, 1.2 * newest)
    now(visitor)
    assert step_of(visitor) == newest
    page.context.set_offline(False)

    # By keys, with the numbers that were measured nearest to it, and at every depth.
    steps = list(film)
    line.focus()
    ways = ("ArrowLeft", steps[-1]), ("ArrowLeft", steps[-2]), ("ArrowRight", steps[-1]), ("Home", steps[0])
    for key, step in ways:
        page.keyboard.press(key)
        in_the_past(visitor)
        visitor.wait(f"root.live.picture.step === {step}", f"step {step}")
        expect(line).to_have_attribute("aria-valuenow", str(step))
    (label, value), kept = page.evaluate(f"""() => {{
        const box = document.querySelector('[data-readout=gap]');
        const text = (part) => box.querySelector(part).textContent;
        return [[text('.live-label'), text('.live-value')], {VIEW}.time.film.numbers.gap];
    }}""")
    own = min(kept, key=lambda one: abs(one["step"] - step))
    assert value == own["value"] and (label == "Gap to the truth") == (own["step"] == step)
    page.locator(".live-depth input").fill("2")
    visitor.wait("root.live.depth.at === 2 && root.dataset.depth === '2'", "the depth")
    assert step_of(visitor) == step
    line.focus()
    page.keyboard.press("PageUp")
    page.keyboard.press("End")
    now(visitor)

    # A replay goes from the earliest picture to the newest.
    page.get_by_label("Speed of the replay").select_option("4")
    page.evaluate(f"""() => {{
        window.drawn = [];
        const {{ surface }} = {VIEW}.panes.data;
        let picture = surface.picture;
        Object.defineProperty(surface, 'picture', {{ get: () => picture, set: (drawn) => {{
            picture = drawn;
            window.drawn.push({VIEW}.picture?.step);
        }} }});
    }}""")
    page.get_by_role("button", name="Replay").click()
    visitor.wait(f"window.drawn.includes({min(film)})", "the earliest picture")
    visitor.wait("root.dataset.time === 'now' && !root.live.time.replay", "the end of the replay")
    drawn = page.evaluate("window.drawn")
    drawn = drawn[drawn.index(min(film)) :]
    assert drawn == sorted(drawn) and set(drawn) <= {*film, newest} and step_of(visitor) == newest

    # Who goes back while it plays pauses it; *Continue from here* begins a branch, and *Undo* brings the other back.
    visitor.press("Play")
    visitor.wait_for_step(newest + 5)
    line.focus()
    page.keyboard.press("PageDown")
    in_the_past(visitor)
    visitor.wait("!root.live.scene.playing", "the run to rest")
    run, step, last = visitor.data("run"), step_of(visitor), int(line.get_attribute("aria-valuemax"))
    assert step < last
    on = page.get_by_role("button", name="Continue from here", exact=True)
    on.wait_for()
    visitor.wait_for_script()
    on.click()
    visitor.wait(f"root.dataset.run !== {run!r} && Number(root.dataset.step) > {step}", "a step of the branch")
    assert visitor.data("time") == "now"
    kept = page.evaluate(f"{VIEW}.time.film.moments.map(({{ step }}) => step)")
    assert page.evaluate(f"{VIEW}.scene.time.continues.step") <= step and kept == sorted(kept)
    visitor.press("Pause")
    settled(visitor)
    run = visitor.data("run")
    notice = page.get_by_text(re.compile(r"^Before, you had a flow of [\d,]+ steps\."))
    notice.wait_for()
    had = int(re.search(r"[\d,]+(?= steps)", notice.inner_text())[0].replace(",", ""))
    assert had >= last  # the last steps before the rest have no picture
    visitor.press("Undo")
    visitor.wait(f"root.dataset.run !== {run!r} && root.dataset.step === '{had}'", "the old future")

    # One step from an earlier moment is one step further.
    run = visitor.data("run")
    visitor.wait("root.live.time.film.moments.length > 2", "its film")
    line.focus()
    page.keyboard.press("PageDown")
    in_the_past(visitor)
    step = step_of(visitor)
    on.wait_for()  # which is wider than Play, and moves the other buttons
    visitor.press("1 step")
    visitor.wait(f"root.dataset.run !== {run!r} && root.dataset.step === '{step + 1}'", "one step of the branch")
    assert not [problem for problem in visitor.problems if problem.startswith("uncaught")]
