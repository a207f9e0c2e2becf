"""A step in slow motion, part by part, in Chromium."""

from tests.browser.conftest import SMALL, zoom_wheel
from tests.served import wait_for

PARTS = 6


def part(visitor, k):
    shown = "root.dataset.part === undefined" if k is None else f"root.dataset.part === '{k}'"
    visitor.wait(shown, f"part {k}")


def slowly(visitor):
    """Its parts, held at the first one."""
    visitor.press("slowly")
    visitor.wait("root.dataset.part", "the parts")
    hold(visitor)
    for k in range(int(visitor.data("part")) - 1, 0, -1):
        visitor.page.locator("[data-parts=back]").click()
        part(visitor, k)


def hold(visitor):
    visitor.page.keyboard.press("Space")
    visitor.wait("root.dataset.partPlays === 'false'", "the parts to be held")


def picture(visitor, pane, expression):
    box = f"document.querySelector('[data-pane={pane}] .live-plot')"
    return visitor.page.evaluate(f"(picture => {expression})({box}.surface.picture)")


def kinds(visitor, pane):
    return picture(visitor, pane, "picture.layers.filter(l => l.visible !== false).map(l => l.name ?? l.kind)")


def test_each_part_has_its_layers_the_map_zooms_and_a_page_that_leaves_finds_its_part(visit):
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
    for k, (data, second) in enumerate(pictures, 1):
        part(visitor, k)
        wanted = (data, [n for n in second if k > 2 or n != "circles"])

        def drawn(k=k):
            return kinds(visitor, "data"), [n for n in kinds(visitor, "latent") if k > 2 or n != "circles"]

        wait_for(lambda drawn=drawn, wanted=wanted: drawn() == wanted, f"the layers of part {k}")
        visitor.page.locator("[data-parts=next]").click()
    part(visitor, None)
    assert visitor.step == 1
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
    visitor.wait(f"root.live.panes.data.surface.picture.x.range[0] !== {before[0]}", "the data space to zoom")
    wait_for(lambda: visitor.range_of("data") == visitor.range_of("latent"), "both to show the same part")
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
    assert visitor.complaints == []
