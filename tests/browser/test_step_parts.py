"""Slow motion in Chromium: by mouse, by keyboard and by touch, with and without motion."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SMALL, zoom_wheel
from tests.served import wait_for

PARTS = 6
NOTE_PARTS = """root => {
  window.partsSeen = [root.dataset.part];
  const note = () => window.partsSeen.push(root.dataset.part);
  new MutationObserver(note).observe(root, { attributeFilter: ["data-part"] });
}"""


def part(visitor, k):
    shown = "root.dataset.part === undefined" if k is None else f"root.dataset.part === '{k}'"
    visitor.wait(shown, f"part {k}")


def problems(visitor):
    """All but what Streamlit looks for below the address of a page before it looks at the root."""
    return [problem for problem in visitor.problems if "404" not in problem]


def slowly(visitor, held=True):
    """Its parts, held at the first one."""
    visitor.press("slowly")
    visitor.wait("root.dataset.part", "the parts")
    if held:
        hold(visitor)
        while visitor.data("part") != "1":
            visitor.page.locator("[data-parts=back]").click()


def hold(visitor):
    visitor.page.keyboard.press("Space")
    visitor.wait("root.dataset.partPlays === 'false'", "the parts to be held")


def picture(visitor, pane, expression):
    box = f"document.querySelector('[data-pane={pane}] .live-plot')"
    return visitor.page.evaluate(f"(picture => {expression})({box}.surface.picture)")


def kinds(visitor, pane):
    return picture(visitor, pane, "picture.layers.filter(l => l.visible !== false).map(l => l.name ?? l.kind)")


@pytest.mark.slow
def test_a_step_goes_through_its_parts_by_itself_or_one_at_a_time_for_who_wants_no_motion(visit):
    visitor = visit()
    visitor.picture().evaluate(NOTE_PARTS)
    slowly(visitor, held=False)
    visitor.wait("window.partsSeen.length > 2 && root.dataset.part === undefined", "the end of the parts")
    seen = [k for k in visitor.page.evaluate("window.partsSeen") if k is not None]
    assert list(dict.fromkeys(seen)) == [str(k + 1) for k in range(PARTS)]
    assert visitor.step == 1
    assert kinds(visitor, "data") == ["density", "contours", "data"]
    expect(visitor.page.locator(".live-parts")).to_be_hidden()
    visitor.press("1 step")
    visitor.wait_for_step(2)
    expect(visitor.page.locator(".live-again")).to_be_hidden()  # of another step
    assert problems(visitor) == []

    visitor.page.emulate_media(reduced_motion="reduce")
    visitor.press("slowly")
    part(visitor, 1)
    expect(visitor.page.locator("[data-parts=hold]")).to_be_hidden()
    assert visitor.data("partPlays") == "false"
    visitor.page.locator("[data-parts=next]").click()
    part(visitor, 2)
    assert picture(visitor, "latent", "picture.x.title") == "z₁"  # at once
    visitor.page.keyboard.press("Space")
    part(visitor, 3)


def test_by_mouse_each_part_has_its_picture_and_its_words_the_map_zooms_and_a_page_that_leaves_finds_its_part(visit):
    visitor = visit(f"{SMALL}&log_det=roulette")
    slowly(visitor)
    pictures = [
        (["density", "contours", "batch"], ["batch"]),
        (["density", "contours", "batch"], ["ways", "batch", "circles"]),
        (["batch"], ["equal", "batch"]),
        (["density", "contours", "estimated pull", "pull"], ["change", "estimated pull", "pull"]),
        (["density", "contours"], ["change", "gain"]),
        (["density", "contours"], ["band"] * 16 + ["level", "values", "key"]),
    ]
    titles = set()
    for k, (data, second) in enumerate(pictures, 1):
        part(visitor, k)
        wanted = (data, [n for n in second if k > 2 or n != "circles"])

        def drawn(k=k):
            return kinds(visitor, "data"), [n for n in kinds(visitor, "latent") if k > 2 or n != "circles"]

        wait_for(lambda drawn=drawn, wanted=wanted: drawn() == wanted, f"the layers of part {k}")
        for pane in ("data", "latent"):
            alt = visitor.page.locator(f"[data-pane={pane}] .live-plot").get_attribute("aria-label")
            assert alt.startswith(f"Part {k} of {PARTS}")
            expect(visitor.page.locator(f"[data-pane={pane}] .live-part-name")).to_contain_text(f"{k} of {PARTS}")
        titles.add(visitor.page.locator(".live-parts h3").inner_text())
        assert visitor.page.locator(".live-parts dd").count() >= 1
        visitor.page.locator("[data-parts=next]").click()
    part(visitor, None)
    assert len(titles) == PARTS
    label = visitor.page.locator("[data-pane=data] .live-plot").get_attribute("aria-label")
    assert "after 1 steps" in label
    visitor.page.locator(".live-again").click()
    part(visitor, 1)
    assert visitor.data("partPlays") == "false"

    # The map of the change zooms with the data space, and bars do not zoom.
    for _ in range(4):
        visitor.page.locator("[data-parts=next]").click()
    part(visitor, 5)
    visitor.page.locator("[data-pane=latent] .live-plot").hover()
    before = visitor.range_of("data")
    zoom_wheel(visitor.page, -300)
    visitor.page.wait_for_function(
        f"() => document.querySelector('[data-pane=data] .live-plot').surface.picture.x.range[0] !== {before[0]}"
    )
    assert visitor.range_of("data") == visitor.range_of("latent")
    visitor.page.locator("[data-parts=next]").click()
    part(visitor, 6)
    bars = visitor.range_of("latent")
    visitor.page.locator("[data-pane=latent] .live-plot").hover()
    zoom_wheel(visitor.page, -300)
    visitor.page.locator("[data-pane=data] .live-plot").hover()
    before = visitor.range_of("data")
    zoom_wheel(visitor.page, -300)  # after which the other turn would have been heard, too
    visitor.wait(f"root.live.panes.data.surface.picture.x.range[0] !== {before[0]}", "the data space to zoom")
    assert visitor.range_of("latent") == bars

    # A page that leaves in between finds the part where it was.
    for _ in range(3):
        visitor.page.locator("[data-parts=back]").click()
    part(visitor, 3)
    visitor.go("Home")
    visitor.page.wait_for_function("() => !document.querySelector('.live-panes')")
    visitor.go("Explore")
    part(visitor, 3)
    visitor.wait_for_step(1)
    assert visitor.data("partPlays") == "false" and visitor.step == 1
    visitor.page.locator("[data-parts=close]").click()
    part(visitor, None)
    assert problems(visitor) == []


def test_by_keyboard_and_what_plays_pauses_first_and_play_ends_the_parts(visit):
    visitor = visit()
    page = visitor.page
    page.locator(".st-key-slowly button").wait_for()  # what the key presses, and may come after the picture
    page.locator("[data-pane=data] .live-plot").focus()
    page.keyboard.press("Shift+KeyS")
    visitor.wait("root.dataset.part", "the parts")
    assert page.evaluate("document.activeElement.className") == "live-parts"
    hold(visitor)
    at = int(visitor.data("part"))
    page.keyboard.press("ArrowRight")
    part(visitor, at + 1)
    page.keyboard.press("ArrowLeft")
    part(visitor, at)
    page.keyboard.press("Space")
    visitor.wait("root.dataset.partPlays === 'true'", "the parts to go on")
    page.keyboard.press("Escape")
    part(visitor, None)
    page.wait_for_function("() => document.activeElement.closest('[data-pane=data] .live-plot')")
    page.locator(".live-again").focus()
    page.keyboard.press("Enter")
    part(visitor, 1)
    # Arrows are the plane's while that has the focus.
    page.locator("[data-pane=data] .live-plot").focus()
    before = visitor.range_of("data")
    page.keyboard.press("ArrowRight")
    assert visitor.data("part") == "1" and visitor.range_of("data") != before
    page.locator(".live-parts").focus()
    for k in range(2, PARTS + 1):
        page.keyboard.press("ArrowRight")
        part(visitor, k)
    page.keyboard.press("ArrowRight")
    part(visitor, None)
    page.wait_for_function("() => document.activeElement.className === 'live-again'")
    assert visitor.step == 1  # and Space did not let it play
    page.locator("[data-pane=data] .live-plot").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Pause", exact=True).wait_for()

    visitor.wait_for_step(5)
    visitor.press("slowly")
    visitor.wait("root.dataset.part", "the parts")
    hold(visitor)
    visitor.page.get_by_role("button", name="Play", exact=True).wait_for()
    stands = visitor.page.locator(".live-parts p").inner_text() if visitor.data("part") == "1" else ""
    assert re.match(r"Step [\d,]+ uses only|$", stands)
    # The parts are of the run's last step, whose picture may come later.
    visitor.wait("Number(root.dataset.step) === root.live.scene.parts.step", "the picture of the step in its parts")
    step = visitor.step
    visitor.wait("!root.live.scene.playing", "the run to rest")
    visitor.wait_for_script()
    assert visitor.step == step
    visitor.press("Play")
    part(visitor, None)
    visitor.wait_for_step(step + 5)


def test_by_touch_on_a_phone(visit):
    visitor = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = visitor.page
    visitor.wait_for_script()
    page.get_by_role("button", name="slowly", exact=True).tap()
    visitor.wait("root.dataset.part", "the parts")
    page.locator("[data-parts=hold]").tap()
    visitor.wait("root.dataset.partPlays === 'false'", "the parts to be held")
    for k in range(int(visitor.data("part")) - 1, 0, -1):
        page.locator("[data-parts=back]").tap()
        part(visitor, k)  # a tap becomes a click a moment later, and at the first part the button can't be pressed
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        for k in range(1, PARTS + 1):
            part(visitor, k)
            where = "latent" if k in (2, 5, 6) else "data"
            page.wait_for_function(  # the plane of the part is in sight, above the panel, which is on the page
                f"""() => {{
                  const box = document.querySelector('[data-pane={where}] .live-plot').getBoundingClientRect();
                  const panel = document.querySelector('.live-parts').getBoundingClientRect();
                  const isAcross = panel.left >= 0 && panel.right <= {width + 1};
                  const seen = Math.min(box.bottom, panel.top) - box.top;
                  return isAcross && panel.top >= 0 && panel.bottom <= 845 && box.top >= 0 && seen >= 0.6 * box.height;
                }}""",
            )
            for button in page.locator(".live-parts button").all():
                assert button.bounding_box()["height"] >= 44
            page.locator("[data-parts=next]").tap()
        part(visitor, None)
        page.locator(".live-again").tap()
        part(visitor, 1)
    page.locator("[data-parts=close]").tap()
    part(visitor, None)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert problems(visitor) == []
