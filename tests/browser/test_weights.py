"""A weight is pulled in a real browser: by mouse, by keys, and in the list."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SMALL, box_at_rest, number
from tests.served import wait_for

QUERY = f"{SMALL}&data=moons&lipschitz.view=weights&lipschitz.block=2"
LEFT = re.compile(r"the constraint made it")


def root(visitor):
    return visitor.page.locator(".network")


def svg(visitor):
    return root(visitor).locator(".picture svg")


def changes(visitor):
    """What the address says is changed."""
    text = visitor.query.get("lipschitz.weights", "")
    return {name: float(value) for name, value in (part.split("=") for part in text.split())}


def answered(visitor, what="the answer"):
    """Wait until what the network shows is what Python has said."""
    wait_for(lambda: root(visitor).get_attribute("data-changes") == visitor.query.get("lipschitz.weights", ""), what)


def on_line(visitor, name, share=0.5):
    """Where a line is, on the page."""
    svg(visitor).scroll_into_view_if_needed()
    box = box_at_rest(svg(visitor))
    way = root(visitor).locator(f".lines path[data-name='{name}']").get_attribute("d")
    x0, y0, x1, y1 = map(float, re.findall(r"[\d.]+", way))
    return box["x"] + x0 + share * (x1 - x0), box["y"] + y0 + share * (y1 - y0)


def pull(visitor, at, pixels):
    mouse = visitor.page.mouse
    mouse.move(*at)
    mouse.down()
    for k in range(1, 6):
        mouse.move(at[0], at[1] - pixels * k / 5)
    mouse.up()


def told(visitor):
    return root(visitor).locator(".told").inner_text()


def test_a_weight_is_pulled_typed_answered_and_brought_back(visit):
    visitor = visit(QUERY, path="/lipschitz", picture=False)
    wait_for(lambda: root(visitor).count() and root(visitor).get_attribute("data-drawn"), "the network")
    density = visitor.page.locator(".st-key-lipschitz-pulling-density .planes")
    before = wait_for(lambda: density.get_attribute("data-drawn"), "the density")
    at = on_line(visitor, "w1.12.1", 0.9)
    visitor.page.mouse.move(*at)
    before_told = wait_for(lambda: "unit 12" in told(visitor) and told(visitor), "the line below the pointer")
    pull(visitor, at, 150)
    value = 3 + number(re.search(r"trained ([−\d.]+)", before_told)[1])
    wait_for(lambda: changes(visitor) == {"w1.12.1": pytest.approx(value, abs=0.03)}, "the change in the address")
    ((name, value),) = changes(visitor).items()
    expect(visitor.page.get_by_text(LEFT).first).to_be_visible()
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
    visitor.wait_for_script()
    root(visitor).get_by_role("button", name="Bring all back").click()
    wait_for(lambda: not changes(visitor), "all to be brought back")
    visitor.wait_for_script()

    # By keys, and typed: what is no number is refused.
    svg(visitor).focus()
    first = svg(visitor).get_attribute("aria-valuetext").split(":")[0]
    visitor.page.keyboard.press("ArrowRight")
    wait_for(lambda: svg(visitor).get_attribute("aria-valuetext").split(":")[0] != first, "another weight")
    visitor.page.keyboard.press("PageUp")
    wait_for(lambda: changes(visitor), "the change in the address")
    ((name, value),) = changes(visitor).items()
    answered(visitor)
    visitor.wait_for_script()
    field = root(visitor).locator("[type=text]")
    for text in ("NaN", "1e30", "three"):
        field.fill(text)
        field.press("Enter")
        expect(root(visitor).locator(".wrong")).to_contain_text("100")
    assert changes(visitor) == {name: value}
    field.fill("2.5")
    field.press("Enter")
    wait_for(lambda: changes(visitor) == {name: 2.5}, "what was typed")
    visitor.wait_for_script()
    svg(visitor).focus()
    visitor.page.keyboard.press("Delete")
    wait_for(lambda: not changes(visitor), "it to be brought back")
    assert visitor.complaints == []
