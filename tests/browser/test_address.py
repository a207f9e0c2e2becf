"""The address bar as the link of what is shown, and what a reload, Back and another browser make of it."""

import re
from urllib.parse import urlparse

import pytest

from tests.browser.conftest import SMALL, zoom_wheel
from tests.served import wait_for


def entries(visitor):
    return visitor.page.evaluate("history.length")


def held_out(visitor):
    """The newest held-out loss with all its digits."""
    return visitor.page.evaluate("document.querySelector('.live-panes').live.scene.loss.held_nll.at(-1)")


def run_id(visitor):
    return visitor.data("run").split(":")[0]


def test_a_reload_another_browser_and_back_show_the_same_run_with_the_same_view(visit):
    visitor = visit(query=SMALL + "&data=moons")
    visitor.press("100 steps")
    visitor.wait("Number(root.dataset.step) === 100", "step 100")
    visitor.page.locator("[data-view=truth]").click()
    visitor.page.locator("[data-pane=data] [data-layer=samples]").click()
    visitor.wait_for_query(at="100", **{"view.second": "truth", "view.layers": "data.samples"})
    assert "view.entry" not in visitor.query
    run, long = run_id(visitor), entries(visitor)

    visitor.page.reload()
    visitor.wait("Number(root.dataset.step) === 100", "step 100")
    assert run_id(visitor) == run
    assert visitor.data("shows") == "truth"
    assert visitor.page.locator("[data-pane=data] [data-layer=samples]").get_attribute("aria-pressed") == "true"
    visitor.page.locator("[data-view=latent]").click()

    # A zoom and a depth are in the address, and come back with it in another browser, beside the same digits.
    visitor.page.locator("[data-pane=data] .live-plot").hover()
    zoom_wheel(visitor.page, -300)
    visitor.page.locator(".live-depth input").fill("2")
    wait_for(lambda: {"view.zoom", "view.depth"} <= visitor.query.keys(), "the view in the address")
    wait_for(lambda: held_out(visitor) is not None, "a held-out loss")
    seen = visitor.range_of("data")
    other = visit(query=urlparse(visitor.url).query)
    other.wait("root.dataset.depth === '2'", "the depth of the link")
    assert other.range_of("data") == pytest.approx(seen, abs=1e-2)
    other.wait("Number(root.dataset.step) === 100", "step 100")
    wait_for(lambda: held_out(other) == held_out(visitor), "the same held-out loss")
    other.page.context.close()

    # Back goes through runs and screens, and not through settings.
    assert entries(visitor) == long
    visitor.go("Compare flows", "How good is it?")
    visitor.page.get_by_role("heading", name=re.compile("Which flow fits better")).wait_for()
    visitor.page.go_back()
    visitor.wait("Number(root.dataset.step) === 100", "the run that was left")
    assert urlparse(visitor.url).path.endswith("/explore")
    assert entries(visitor) == long + 1
    visitor.wait_for_query(at="100", blocks="4")

    # What plays goes on after a reload, and was not begun anew.
    long = entries(visitor)
    visitor.press("Play")
    visitor.wait_for_step(150)
    visitor.page.reload()
    visitor.wait_for_step(150)
    visitor.wait_for_step(200)
    assert run_id(visitor) == run
    visitor.press("Pause")
    assert entries(visitor) == long  # neither steps nor settings of the view make entries of the history


def test_lessons_are_kept_by_the_browser_and_told_again_where_the_message_was_lost(visit):
    lost = []

    def losing(socket):
        server = socket.connect_to_server()

        def send(message):
            if isinstance(message, bytes) and b'"arrived"' in message and len(lost) < 2:
                lost.append(message)
            else:
                server.send(message)

        socket.on_message(send)

    visitor = visit(path="/learn", query="lesson=change", picture=False, routed=losing)
    stored = "localStorage.getItem('resflow.progress')"
    wait_for(lambda: visitor.page.evaluate(stored), "progress in the browser's storage")
    lost.clear()
    page, url = visitor.page, urlparse(visitor.url)
    page.goto("about:blank")  # a page that knows of both would have them kept again
    other = page.context.new_page()
    other.route_web_socket("**/*", losing)
    other.goto(url._replace(path="/learn", query="lesson=series").geturl())
    wait_for(lambda: '"series"' in other.evaluate(stored), "the other lesson")
    assert lost and '"change"' in other.evaluate(stored)

    page.goto(url._replace(path="/learn", query="").geturl())  # a page that knows nothing
    page.get_by_role("link", name=re.compile("change", re.I)).first.wait_for()
    visitor.wait_for_script()
    assert all(f'"{name}"' in page.evaluate(stored) for name in ("change", "series")), "progress that is still there"
