"""A weight is pulled in a real browser: by mouse, by keys, by a finger, and in the list."""

import re
from contextlib import suppress

import pytest
from playwright.sync_api import expect

from tests.app.pages import number
from tests.browser.conftest import SMALL, after_next_picture, box_at_rest
from tests.browser.test_lipschitz import link, quiet, sees, step
from tests.served import wait_for

QUERY = f"{SMALL}&data=moons&lipschitz.view=weights&lipschitz.block=2"
LEFT = re.compile(r"the constraint made it")


@pytest.fixture
def network(visit):
    """Open a block: `network(more)`."""

    def enter(more: str = "", **context):
        visitor = visit(f"{QUERY}{more}", path="/lipschitz", picture=False, **context)
        wait_for(lambda: root(visitor).count() and root(visitor).get_attribute("data-drawn"), "the network")
        return visitor

    return enter


def root(visitor):
    return visitor.page.locator(".network")


def svg(visitor):
    return root(visitor).locator(".picture svg")


def changes(visitor):
    """What the address says is changed."""
    text = link(visitor).get("lipschitz.weights", "")
    return {name: float(value) for name, value in (part.split("=") for part in text.split())}


def answered(visitor, what="the answer"):
    """Wait until what the network shows is what Python has said."""
    wait_for(lambda: root(visitor).get_attribute("data-changes") == link(visitor).get("lipschitz.weights", ""), what)


def on_line(visitor, name, share=0.5):
    """Where a line is, on the page."""
    svg(visitor).scroll_into_view_if_needed()
    box = box_at_rest(svg(visitor))
    way = root(visitor).locator(f".lines path[data-name='{name}']").get_attribute("d")
    x0, y0, x1, y1 = map(float, re.findall(r"[\d.]+", way))
    return box["x"] + x0 + share * (x1 - x0), box["y"] + y0 + share * (y1 - y0)


def grip(visitor):
    box = box_at_rest(root(visitor).locator(".handle .grip"))
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def pull(visitor, at, pixels):
    mouse = visitor.page.mouse
    mouse.move(*at)
    mouse.down()
    for k in range(1, 6):
        mouse.move(at[0], at[1] - pixels * k / 5)
        visitor.page.wait_for_timeout(30)
    mouse.up()


def told(visitor):
    return root(visitor).locator(".told").inner_text()


def test_a_line_is_pulled_by_a_mouse_answered_and_brought_back(network):
    visitor = network()
    density = visitor.page.locator(".st-key-lipschitz-pulling-density .planes")
    before = wait_for(lambda: density.get_attribute("data-drawn"), "the density")
    at = on_line(visitor, "w1.12.1", 0.9)
    visitor.page.mouse.move(*at)
    before_told = wait_for(lambda: "unit 12" in told(visitor) and told(visitor), "the line below the pointer")
    pull(visitor, at, 150)
    value = 3 + number(re.search(r"trained ([−\d.]+)", before_told)[1])
    wait_for(lambda: changes(visitor) == {"w1.12.1": pytest.approx(value, abs=0.03)}, "the change in the address")
    ((name, value),) = changes(visitor).items()
    sees(visitor, LEFT)
    answered(visitor)
    sentence = re.compile(rf"You asked for {value:.3g}, and the constraint made it (\d+\.\d+)")
    found = wait_for(lambda: sentence.search(visitor.page.locator(".st-key-answer").inner_text()), "the sentence")
    assert 0 < float(found[1]) <= 1
    wait_for(lambda: f"the constraint leaves {found[1]}" in told(visitor), "the same in the network")
    wait_for(lambda: int(density.get_attribute("data-drawn")) > int(before), "the density to be drawn anew")
    # The line is asked to be wider than the constraint leaves it, which is drawn behind it.
    assert root(visitor).locator(".ghosts path").count() == 1

    # The bias of a unit, and then the row of it, in the list.
    unit = box_at_rest(root(visitor).locator(".units circle[data-name='b1.3']"))
    pull(visitor, (unit["x"] + unit["width"] / 2, unit["y"] + unit["height"] / 2), -40)
    wait_for(lambda: changes(visitor).keys() == {name, "b1.3"}, "the bias")
    root(visitor).locator("[data-part=column]").select_option("row")
    root(visitor).locator("[type=range]").fill("2")
    wait_for(lambda: changes(visitor).get("r1.3") == 2, "the row")
    answered(visitor)

    # A weight of that row is asked to be twice what it was trained to.
    visitor.page.mouse.move(0, 0)
    root(visitor).locator("[data-part=column]").select_option("0")
    found = wait_for(lambda: re.search(r"→ unit 3, .*trained ([−\d.]+)", told(visitor)), "a weight of the row")
    own, asked = number(found[1]), number(root(visitor).locator("[type=text]").input_value())
    assert asked == pytest.approx(2 * own, rel=0.02) and own != 0
    root(visitor).locator("[data-part=column]").select_option("row")

    root(visitor).get_by_role("button", name="Bring this one back").click()
    wait_for(lambda: changes(visitor).keys() == {name, "b1.3"}, "the row to be brought back")
    visitor.page.reload()
    wait_for(
        lambda: root(visitor).count() and root(visitor).locator("div.changed button").count() == 2,
        "both after a reload",
    )
    root(visitor).get_by_role("button", name="Bring all back").click()
    wait_for(lambda: not changes(visitor), "all to be brought back")
    sees(visitor, re.compile("Change a weight of block 2"))
    assert quiet(visitor)


def test_a_weight_is_pulled_by_keys_and_typed_while_it_trains(network):
    visitor = network()
    visitor.press("Play")
    wait_for(lambda: step(visitor) > 0, "the first steps")
    svg(visitor).focus()
    first = svg(visitor).get_attribute("aria-valuetext")
    for key in ("ArrowRight", "ArrowRight"):
        visitor.page.keyboard.press(key)
    wait_for(
        lambda: svg(visitor).get_attribute("aria-valuetext").split(":")[0] != first.split(":")[0], "another weight"
    )
    for key in ("ArrowUp", "ArrowUp", "PageUp"):
        visitor.page.keyboard.press(key)
    after_next_picture(visitor.page)

    def asked():
        """What the last key asked for, once the address says it, too."""
        found = re.search(r"ask for (\S*\d)", svg(visitor).get_attribute("aria-valuetext"))
        value = found and float(found[1].replace("\N{MINUS SIGN}", "-"))
        return found and any(abs(one - value) < 0.006 for one in changes(visitor).values())

    wait_for(asked, "the change in the address")
    answered(visitor)
    ((name, value),) = changes(visitor).items()
    before = step(visitor)
    wait_for(lambda: step(visitor) > before, "more steps")
    assert changes(visitor) == {name: value}  # it holds while the others train
    assert "you ask for" in svg(visitor).get_attribute("aria-valuetext")

    field = root(visitor).locator("[type=text]")
    for text in ("NaN", "1e30", "", "three"):
        field.fill(text)
        field.press("Enter")
        expect(root(visitor).locator(".wrong")).to_contain_text("100")
        assert changes(visitor) == {name: value}
    field.fill("2.5")
    field.press("Enter")
    wait_for(lambda: changes(visitor) == {name: 2.5}, "what was typed")
    expect(root(visitor).locator(".wrong")).to_be_empty()
    svg(visitor).focus()
    visitor.page.keyboard.press("Delete")
    wait_for(lambda: not changes(visitor), "it to be brought back")
    visitor.press("Pause")
    assert quiet(visitor)


def test_a_finger_chooses_by_a_tap_pulls_at_the_handle_and_scrolls_elsewhere(network):
    visitor = network(viewport={"width": 390, "height": 844}, has_touch=True)
    marked = root(visitor).locator(".lines .chosen, .units .chosen")
    at_first = marked.get_attribute("data-name")
    visitor.page.touchscreen.tap(*on_line(visitor, "w1.20.2", 0.8))
    expect(marked).not_to_have_attribute("data-name", at_first)
    chosen = marked.get_attribute("data-name")
    assert not changes(visitor)
    touch = visitor.page.context.new_cdp_session(visitor.page)

    def send(kind, *points):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    def is_pulled():
        """A finger that comes while the page is being laid out may miss the handle, and pulls again."""
        x, y = grip(visitor)
        send("touchStart", (x, y))
        for k in range(1, 7):
            send("touchMove", (x, y - 15 * k))
            visitor.page.wait_for_timeout(30)
        send("touchEnd")
        with suppress(AssertionError):
            wait_for(lambda: changes(visitor), "the pull", 10)
        return changes(visitor)

    assert wait_for(is_pulled, "a pull").keys() == {chosen}
    sees(visitor, re.compile("You asked for"))
    assert visitor.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    sizes = (
        root(visitor)
        .locator("select, .back button, [type=text]")
        .evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
    )
    assert min(sizes) >= 44
    # Both the density and the network are in sight.
    answered(visitor)
    svg(visitor).evaluate("one => one.scrollIntoView({ block: 'end' })")
    density = box_at_rest(visitor.page.locator(".st-key-lipschitz-pulling-density canvas").first)
    assert density["y"] >= 0 and svg(visitor).bounding_box()["y"] > density["y"]
    assert quiet(visitor)


@pytest.mark.slow
def test_a_large_block_stays_legible_and_its_list_has_every_weight(network):
    visitor = network("&width=64&hidden_layers=2&activation=clipswish")
    assert root(visitor).locator(".units circle").count() == 2 + 64 + 64 + 2
    lines = root(visitor).locator(".lines path").count()
    assert 600 <= lines <= 256 + 600 + 256 + 3
    expect(root(visitor).locator(".left-out")).to_contain_text("8192")
    drawn = set(root(visitor).locator(".lines path").evaluate_all("all => all.map(one => one.dataset.name)"))
    hidden = next(n for n in (f"w2.{r}.{c}" for r in range(1, 65) for c in range(1, 129)) if n not in drawn)
    _, row, column = (int(part) - 1 for part in hidden.removeprefix("w").split("."))
    root(visitor).locator("[data-part=layer]").select_option("1")
    root(visitor).locator("[data-part=row]").select_option(str(row))
    root(visitor).locator("[data-part=column]").select_option(str(column))
    wait_for(lambda: root(visitor).locator(f".lines path[data-name='{hidden}']").count() == 1, "its line")
    root(visitor).locator("[type=text]").fill("1.5")
    root(visitor).locator("[type=text]").press("Enter")
    wait_for(lambda: changes(visitor) == {hidden: 1.5}, "the change")
    answered(visitor)
    assert quiet(visitor)


@pytest.mark.slow
def test_it_can_be_read_in_both_schemes_and_what_is_changed_is_said_elsewhere(network):
    for scheme in ("light", "dark"):
        visitor = network("&lipschitz.weights=w1.5.2=3", color_scheme=scheme)
        assert ("dark" in root(visitor).get_attribute("class")) is (scheme == "dark")
        colours = {
            sign: root(visitor).locator(f".lines .{sign}").first.evaluate("one => getComputedStyle(one).stroke")
            for sign in ("plus", "minus")
        }
        assert len(set(colours.values())) == 2
        dashes = root(visitor).locator(".lines .minus").first.evaluate("one => getComputedStyle(one).strokeDasharray")
        assert dashes != "none"
        visitor.go("Explore")
        sees(visitor, re.compile("has 1 changed weight on the screen Can it be undone"))
        visitor.press("Bring it back")
        expect(visitor.page.get_by_text("on the screen Can it be undone")).to_have_count(0)
        assert quiet(visitor)
