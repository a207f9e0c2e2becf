import os
import signal
import time
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import expect

from app.ui.scene import POLL_SECONDS
from tests.browser.conftest import SMALL, box_at_rest, zoom_wheel
from tests.served import wait_for


def test_a_link_without_a_path_opens_with_a_picture_that_is_heard_and_loads_nothing_from_elsewhere(visit, server):
    visitor = visit(query=f"{SMALL}&data=moons", path="/")
    wait_for(lambda: urlparse(visitor.url).path == "/explore" and "data" in visitor.query, "the address of Explore")
    assert parse_qs(urlparse(visitor.url).query)["data"] == ["moons"]
    assert visitor.step == 0
    assert {urlparse(url).netloc for url in visitor.requested if url.startswith("http")} == {
        urlparse(server.url).netloc
    }
    assert visitor.problems == []
    for pane in ("data", "latent", "loss"):
        label = visitor.page.locator(f"[data-pane={pane}] .live-plot").get_attribute("aria-label")
        assert "after 0 steps" in label

    expect(visitor.page.locator(".live-panes")).to_match_aria_snapshot("""
      - heading "Data space"
      - group "Layers of the data space":
        - button "density" [pressed]
        - button "data" [pressed]
        - button "samples"
      - img /after 0 steps/
      - group "What the second pane shows":
        - heading "Latent space, z":
          - button "Latent space, z" [pressed]
        - button "True density"
        - button "Difference"
      - group "Layers of the second pane":
        - button "circles" [pressed]
        - button "grid" [pressed]
        - button "data" [pressed]
      - img /after 0 steps/
      - heading "Loss"
      - group "Curves of the loss":
        - button "batch" [pressed]
        - button "held-out" [pressed]
      - img /after 0 steps/
      - slider "Depth in the flow"
    """)


def test_play_moves_the_picture_without_remounts_pause_stops_it_and_a_page_at_rest_asks_for_nothing(visit):
    visitor = visit()
    before = visitor.page.locator("[data-pane=data]").screenshot()
    visitor.press("Play")
    visitor.wait_for_step(20)
    visitor.wait("root.dataset.channel === 'open'", "the channel")
    visitor.wait_for_step(visitor.step + 20)
    picture, frames, heard = visitor.picture(), int(visitor.data("frames")), len(visitor.received)
    visitor.wait(f"Number(root.dataset.frames) >= {frames + 30}", "thirty more frames")
    assert picture.evaluate("root => root.isConnected"), "it must not be built anew"
    # A frame has about 16 kB, and comes by itself. Losses and numbers come with the script's messages, without frames.
    sizes = visitor.received[heard:]
    assert len(sizes) > 30 and max(sizes) < 80_000
    visitor.press("Pause")
    visitor.page.get_by_role("button", name="Play", exact=True).wait_for()
    stopped = wait_for(lambda: _settled(visitor), "the picture to stop")
    assert stopped >= 20
    assert visitor.page.locator("[data-pane=data]").screenshot() != before
    visitor.press("1 step")
    visitor.wait(f"Number(root.dataset.step) === {stopped + 1}", "one more step")

    # A page at rest asks for nothing, and wakes at a click.
    last = {"count": -1, "since": 0.0}

    def is_quiet():
        visitor.page.wait_for_timeout(200)  # lets messages come
        if len(visitor.received) != last["count"]:
            last.update(count=len(visitor.received), since=time.monotonic())
        return time.monotonic() - last["since"] > 4 * POLL_SECONDS

    wait_for(is_quiet, "some seconds without a message")
    step = visitor.step
    visitor.press("1 step")
    visitor.wait(f"Number(root.dataset.step) > {step}", "the step after the rest")


def test_where_the_channel_is_refused_the_page_says_so_and_draws_once_a_second(visit):
    def refused(socket):
        if urlparse(socket.url).path.endswith("/live"):
            socket.close(code=4403)
        else:
            socket.connect_to_server()

    visitor = visit(routed=refused)
    visitor.press("Play")
    visitor.page.locator(".live-slow").wait_for(state="visible")
    frames = int(visitor.data("frames"))
    visitor.wait(f"Number(root.dataset.frames) >= {frames + 5}", "five more frames")
    assert visitor.data("channel") == "closed"
    visitor.press("Pause")
    visitor.page.get_by_role("button", name="Play", exact=True).wait_for()


@pytest.mark.slow
def test_a_click_in_the_moment_in_which_the_page_looks_at_the_run_counts_once(visit):
    visitor = visit()
    visitor.press_late("1 step")
    visitor.wait_for_step(1)
    assert wait_for(lambda: _settled(visitor), "the picture to stop") == 1
    visitor.press_late("Play")
    visitor.page.get_by_role("button", name="Pause", exact=True).wait_for()
    visitor.wait_for_step(visitor.step + 20)
    visitor.press_late("Pause")
    visitor.page.get_by_role("button", name="Play", exact=True).wait_for()
    assert wait_for(lambda: _settled(visitor), "the picture to stop")


def _settled(visitor):
    """The step that the picture and the line of numbers agree on, once they stay."""
    before = visitor.step
    visitor.page.wait_for_timeout(2_500)
    return before if before == visitor.step and f"step {before:,}" in visitor.page.inner_text(".stMain") else None


@pytest.mark.slow
def test_zoom_and_layers_survive_training_and_a_double_click_ends_the_zoom(visit):
    visitor = visit()
    whole = visitor.range_of("data")
    box = box_at_rest(visitor.page.locator("[data-pane=data] .live-plot"))
    centre = box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"]
    visitor.page.mouse.move(*centre)
    zoom_wheel(visitor.page, -400)
    zoomed = wait_for(lambda: (r := visitor.range_of("data")) != whole and r, "the wheel to zoom")
    visitor.press("Play")
    frames = int(visitor.data("frames"))
    visitor.wait(f"Number(root.dataset.frames) >= {frames + 10}", "ten frames")
    assert visitor.range_of("data") == pytest.approx(zoomed)
    visitor.page.mouse.dblclick(*centre)
    wait_for(lambda: visitor.range_of("data") == pytest.approx(whole), "the whole window again")

    # Layers are switched in the browser, and stay as they are while frames come.
    layers = "document.querySelector('[data-pane=data] .live-plot').surface.picture.layers"
    kinds = f"{layers}.filter(layer => layer.visible !== false).length"
    shown = visitor.page.evaluate(kinds)
    chip = visitor.page.locator("[data-pane=data] button[data-layer=density]")
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    frames = int(visitor.data("frames"))
    wait_for(lambda: visitor.page.evaluate(kinds) == shown - 2, "colours and contours to go")
    visitor.wait(f"Number(root.dataset.frames) >= {frames + 5}", "five frames")
    assert visitor.page.evaluate(kinds) == shown - 2


@pytest.mark.slow
def test_two_browsers_run_independently_and_what_a_link_does_not_get_is_named(visit):
    playing, resting = visit(), visit(query=SMALL + "&data=moons&seed=1&budget=2")
    said = "budget = 2: use a value from 0.05 to 0.999. It stays at 0.99."
    wait_for(lambda: said in resting.page.inner_text(".stMain"), "what is said of the link")
    playing.press("Play")
    playing.wait_for_step(30)
    assert resting.step == 0
    assert "moons" in resting.url
    resting.press("1 step")
    resting.wait("root.dataset.step === '1'", "one step of the other")
    playing.wait_for_step(playing.step + 10)


@pytest.mark.slow
def test_100_steps_survive_a_killed_worker_the_page_says_so_and_reset_goes_back(visit, server):
    visitor = visit()
    visitor.press("100 steps")
    visitor.wait("Number(root.dataset.step) === 100", "step 100")
    _settled(visitor)  # a flow that stands still is saved at once
    (pid,) = server.worker_pids()
    os.kill(pid, signal.SIGKILL)
    notice = visitor.page.get_by_text("The training process was restarted; this run continues from step 100.")
    notice.wait_for()
    assert server.worker_pids() != [pid]
    visitor.press("1 step")
    visitor.wait("Number(root.dataset.step) === 101", "step 101")
    visitor.press("Reset")
    visitor.wait("root.dataset.step === '0'", "step 0")


@pytest.mark.slow
def test_a_broken_connection_comes_back_to_the_same_run(visit):
    connections = []

    def through(route):
        connections.append((route, route.connect_to_server()))

    visitor = visit(routed=through)
    visitor.press("100 steps")
    visitor.wait("Number(root.dataset.step) === 100", "step 100")
    before = len(connections)
    page_side, server_side = connections[-1]
    server_side.close()
    page_side.close()
    wait_for(lambda: visitor.page.wait_for_timeout(100) or len(connections) > before, "the browser to connect again")
    visitor.press("1 step")
    visitor.wait("Number(root.dataset.step) === 101", "step 101")
    assert "dropped" not in visitor.page.inner_text(".stMain")


def test_another_activation_makes_another_run_that_goes_on_playing_and_the_link_says_it(visit):
    visitor = visit()
    visitor.press("Play")
    visitor.wait_for_step(20)
    run = visitor.data("run")
    visitor.all_settings()
    visitor.choose("Activation", "ELU")
    visitor.wait(f"root.dataset.run !== {run!r} && Number(root.dataset.step) >= 5", "steps of the other flow")
    visitor.press("Pause")  # or another browser has many steps to repeat
    wait_for(lambda: visitor.query.get("activation") == "elu" and "at" in visitor.query, "the link")
    other = visit(query=urlparse(visitor.url).query)
    other.all_settings()
    assert other.page.get_by_role("combobox", name="Activation").input_value() == "ELU"
    there, here = other.query, visitor.query
    assert there | {"at": here["at"]} == here


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.slow
def test_the_way_back_comes_without_a_new_picture_and_goes_back(visit, width):
    visitor = visit(query=SMALL + "&data=moons", viewport={"width": 1440, "height": 900})
    visitor.press("100 steps")
    visitor.wait("Number(root.dataset.step) === 100", "step 100")
    run, picture = visitor.data("run"), visitor.picture()
    visitor.all_settings()
    visitor.choose("Activation", "ELU")
    visitor.page.set_viewport_size({"width": width, "height": 900})
    top = "document.querySelector('.live-panes').getBoundingClientRect().top"
    before = visitor.page.evaluate(top)
    said = visitor.page.get_by_text("Before, you had a flow of 100 steps.")
    said.wait_for()
    visitor.wait(f"root.dataset.run !== {run!r} && root.dataset.step === '0'", "the other flow")
    assert picture.evaluate("root => root.isConnected"), "it must not be built anew"
    shown = box_at_rest(visitor.page.locator(".st-key-past"))
    title = visitor.page.get_by_role("heading", name="How does a residual flow").locator("span").first.bounding_box()
    if width == 1440:
        assert visitor.page.evaluate(top) == pytest.approx(before, abs=0.5)
    beside = said.bounding_box()["x"] > title["x"] + title["width"]
    assert beside or shown["y"] >= title["y"] + title["height"] or shown["y"] + shown["height"] <= title["y"]
    run = visitor.data("run")
    visitor.press("Undo")
    visitor.wait(f"root.dataset.run !== {run!r} && root.dataset.step === '100'", "the flow from before, at its step")
    said.wait_for(state="detached")
    assert picture.evaluate("root => root.isConnected"), "it must not be built anew"
    activation = visitor.page.get_by_role("combobox", name="Activation")
    wait_for(lambda: activation.input_value() != "ELU", "the activation from before")
    visitor.wait_for_query(at="100", activation="sine")


def test_the_settings_need_no_scrolling_at_first_and_a_telephone_shows_everything_in_one_column(visit):
    visitor = visit()
    tiles = visitor.page.get_by_role("radio")
    tiles.last.wait_for()  # the picture may be there before the settings are
    visitor.wait_for_script()
    sidebar = "document.querySelector('[data-testid=stSidebarContent]')"
    assert visitor.page.evaluate(f"{sidebar}.scrollHeight - {sidebar}.clientHeight") <= 0
    assert min(tile.bounding_box()["width"] for tile in tiles.all()) > 40
    visitor.all_settings()
    visitor.page.get_by_role("combobox", name="Activation").wait_for()
    visitor.press("Play")
    visitor.wait_for_step(5)
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    visitor.wait("root.dataset.columns === '1'", "one column")
    # The sidebar goes away slowly.
    edges = "[...document.querySelectorAll('.live-pane')].map(p => p.getBoundingClientRect().right)"
    visitor.wait(f"Math.max(...{edges}) <= 390", "all panes within the window")
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390
