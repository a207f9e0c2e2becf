"""The menu *Take it with you*: what it offers can be had, and is what is seen."""

import base64
import contextlib
import csv
import io
import json
import math
import re
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import resflow_core as rf
from app.evidence import stored
from app.features.home.evidence import CUT, EXACT, NAME
from tests.browser.conftest import MOST_MS, SMALL, Visitor, blank_page, with_modules
from tests.browser.drawn import SHARP
from tests.browser.planes_app import NODES, WHERE_NONE, heat
from tests.browser.test_planes import opened
from tests.served import wait_for

SVG = "{http://www.w3.org/2000/svg}"
MENU = "Take it with you"
STEP = 40
PLAYED = """async data => {
  const video = document.querySelector("video");
  const at = () => `${data.length} letters, ready ${video.readyState}, at ${video.currentTime} of ${video.duration} s`;
  const on = name => new Promise((done, fail) => {
    video.addEventListener(name, done, { once: true });
    video.addEventListener("error", () => fail(new Error(`${video.error.message}: ${at()}`)));
    setTimeout(() => fail(new Error(`waited for ${name}: ${at()}`)), 60_000);
  });
  const loaded = on("loadeddata");
  video.src = `data:video/webm;base64,${data}`;
  await loaded;
  const [width, height] = [video.videoWidth, video.videoHeight];
  const pen = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  const seen = () => { pen.drawImage(video, 0, 0); return pen.getImageData(0, 0, width, height).data; };
  const sought = on("seeked"); // a video that was only loaded may be drawn as black
  video.currentTime = 0.001;
  await sought;
  const before = seen();
  const ended = on("ended");
  await video.play();
  await ended;
  const after = seen();
  let changed = 0;
  for (let i = 0; i < after.length; i += 4) changed += Math.abs(after[i] - before[i]) > 16;
  return [[width, height], changed / (width * height)];
}"""


@pytest.fixture(scope="module")
def page(planes_address, chromium):
    page = opened(planes_address, chromium)
    yield page
    page.context.close()


def taken(page, name, where=None, exact=False):
    """What is saved by an entry of the menu: its name and its contents."""
    return taken_by(page, (where or page).get_by_role("button", name=MENU).first, name, exact)


def taken_by(page, button, name, exact=False):
    """As `taken`, by one of several menus' buttons."""
    button.click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=name, exact=exact).locator("visible=true").click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def rows_of(data):
    head, *rows = csv.reader(io.StringIO(data.decode()))
    return head, rows


def texts_of(svg):
    return ["".join(one.itertext()) for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_picture_is_twice_as_sharp_and_as_vectors_has_axes_and_titles_as_text_and_lines_as_lines(page):
    name, data = taken(page, "PNG")
    image = Image.open(io.BytesIO(data)).convert("RGB")
    figures = page.locator(".planes figure")
    boxes = [figures.nth(k).bounding_box() for k in range(figures.count())]
    across = boxes[-1]["x"] + boxes[-1]["width"] - boxes[0]["x"]
    assert name == "plane.png"
    assert 1.8 * across < image.width < 2.2 * across
    pixels = np.asarray(image)
    assert (pixels[:8] == 255).all(), "the sheet is white, whatever the page is"
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100

    name, data = taken(page, "SVG")
    drawn = ElementTree.fromstring(data)
    texts = texts_of(data)
    assert name == "plane.svg"
    titles = {"Plane", "Choose a point.", "z₁ (m)", "z₂ (m)", "iterations", "Error", "iteration n", "‖r‖ (m)"}
    assert titles | {"y = 1.5", "end", "rate 1"} <= set(texts)
    assert any(text.startswith("http://127.0.0.1") for text in texts), "the address where it is found again"
    assert len(list(drawn.iter(f"{SVG}path"))) > 20
    assert any(path.get("stroke-dasharray") for path in drawn.iter(f"{SVG}path"))
    pictures = [one.get("href") for one in drawn.iter(f"{SVG}image")]
    assert pictures and all(href.startswith("data:image/png;base64,") for href in pictures)
    assert not list(drawn.iter(f"{SVG}script")) and b"http-equiv" not in data

    said = drawn.find(f"{SVG}desc").text
    assert "words about it" in said and "*" not in said


def test_the_numbers_are_those_that_are_drawn_as_fine_as_colours_are_and_without_what_the_legend_hides(page):
    _, data = taken(page, "CSV: Error")
    head, rows = rows_of(data)
    assert head == ["series", "iteration n", "‖r‖ (m)"]
    for k in (1, 2):
        found = np.array([row[1:] for row in rows if row[0] == f"rate {k}"], float)
        np.testing.assert_allclose(found[:, 0], np.arange(1, 11))
        np.testing.assert_allclose(found[:, 1], 10.0 ** (-k * found[:, 0]), rtol=1e-5)

    _, data = taken(page, "CSV: Plane")
    head, rows = rows_of(data)
    assert head[:3] == ["series", "z₁ (m)", "z₂ (m)"] and head[3].startswith("iterations (to ")
    found = np.array([float(row[3] or "nan") for row in rows if row[0] == "iterations"]).reshape(NODES, NODES)
    off = float(head[3].removeprefix("iterations (to ").removesuffix(" %)")) / 100
    np.testing.assert_allclose(found, heat(), rtol=1.1 * off)
    assert np.isnan(found[WHERE_NONE])
    steps = [row[1:3] for row in rows if row[0] == "steps"]
    np.testing.assert_allclose(np.array(steps, float), [[-1, 0], [0, 1], [1, 2]])

    entry = page.get_by_role("button", name="rate 1: hide or show")
    entry.click()
    _, data = taken(page, "CSV: Error")
    entry.click()
    assert {row[0] for row in rows_of(data)[1]} == {"rate 2", "band, lower end", "band, upper end"}


def test_paper_has_the_bars_and_legends_for_which_the_page_has_no_room_and_files_short_names(page):
    other = page.context.new_page()
    other.goto(f"{page.url}?bare")
    other.wait_for_function("() => Number(document.querySelector('.planes')?.dataset.drawn) >= 3")
    other.locator(".take-open").first.wait_for()
    assert other.locator(".planes figure").last.locator(".planes-legend button").count() == 0
    drawn = ElementTree.fromstring(data := taken(other, "SVG")[1])
    texts = texts_of(data)
    assert {"density (per unit area)", "outline"} <= set(texts)
    dashed = [one for one in drawn.iter(f"{SVG}path") if one.get("stroke-dasharray") and one.get("stroke") == "#ffffff"]
    assert len(dashed) >= 2, "the outline, and its swatch"
    grounds = [one.get("fill") for one in drawn.iter(f"{SVG}rect")]
    assert grounds.count("#767676") == 1, "the white swatch has a ground on which it is seen"
    assert taken(other, "CSV: Plane")[0] == "plane.csv"
    assert taken(other, "CSV: Error")[0] == "plane-error.csv"
    other.close()


def test_the_server_makes_other_files_when_they_are_asked_for_and_says_what_cannot_be_made(page):
    page.get_by_role("button", name="next").click()
    page.get_by_text("run 2").wait_for()
    assert taken(page, "Step") == ("step.csv", b"step\n1\n")
    assert taken(page, "Step") == ("step.csv", b"step\n1\n")

    page.get_by_role("button", name=MENU).click()
    page.get_by_role("menuitem", name="Made of nothing").click()
    page.get_by_role("status").filter(has_text="There is nothing yet: press next.").wait_for()


GROWN = """async by => {
  const main = document.querySelector("[data-testid=stMain]");
  const above = Object.assign(document.createElement("div"), { id: "above" });
  Object.assign(main.style, { overflowAnchor: "none", paddingBottom: "2000px" });
  above.style.cssText = `height: ${by}px; flex: none`;
  const top = () => document.querySelector(".planes").getBoundingClientRect().top;
  const before = top();
  main.prepend(above);
  main.scrollTop += top() - before;
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
SHRUNK = """() => {
  document.querySelector("#above").remove();
  document.querySelector("[data-testid=stMain]").removeAttribute("style");
}"""


def test_the_menu_is_worked_by_keys_and_stays_open_while_the_page_changes_and_closes_when_it_is_scrolled(page):
    button = page.get_by_role("button", name=MENU)
    entries = page.get_by_role("menuitem").locator("visible=true")
    button.press("Enter")
    entries.first.wait_for()
    focused = "() => document.activeElement.textContent"
    page.wait_for_function(f"() => ({focused})().startsWith('PNG')")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused).startswith("SVG")
    page.keyboard.press("End")
    assert page.evaluate(focused) == "Step"
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused).startswith("PNG")
    page.keyboard.press("Escape")
    entries.first.wait_for(state="hidden")
    assert page.evaluate("() => document.activeElement.ariaLabel") == MENU
    expect(button).to_have_attribute("aria-expanded", "false")

    root = page.locator(".planes")
    before = int(root.get_attribute("data-drawn"))
    page.get_by_role("button", name=MENU).click()
    entry = page.get_by_role("menuitem", name="Step")
    entry.wait_for()
    page.get_by_role("button", name="next").evaluate("button => button.click()")  # a hand elsewhere closes it
    wait_for(lambda: int(root.get_attribute("data-drawn")) > before, "the next picture")
    assert entry.is_visible()
    page.keyboard.press("Escape")
    entry.wait_for(state="hidden")

    page.get_by_role("button", name=MENU).click()
    entry = page.get_by_role("menuitem", name="Step")
    entry.wait_for()
    page.evaluate(GROWN, 300)
    assert entry.is_visible(), "the page scrolled, and the menu is where it was"
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop += 200")
    entry.wait_for(state="hidden")
    page.evaluate(SHRUNK)


class TestRun:
    """The page's run, on *Explore*."""

    @pytest.fixture(scope="class")
    def seen(self, server, chromium):
        context = chromium.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
        context.set_default_timeout(MOST_MS)
        visitor = Visitor(context.new_page())
        visitor.page.on("pageerror", lambda error: visitor.problems.append(f"uncaught: {error}"))
        visitor.open(f"{server.url}/explore?{SMALL}&at={STEP}")
        visitor.wait_for_step(STEP)
        # The picture comes by the channel; numbers and losses by the script, first of an earlier step.
        visitor.wait(f"root.live.scene.readouts.every((one) => one.value && one.step === {STEP})", "the numbers")
        visitor.wait(f"root.live.scene.loss.step.at(-1) === {STEP} && {SHARP}", "the losses and the sharp picture")
        yield visitor
        context.close()

    def readouts(self, seen):
        """What the page says, by its name: value and error."""
        boxes = seen.page.locator(".live-readout").all()
        told = ([box.locator(f".live-{part}").inner_text() for part in ("label", "value", "error")] for box in boxes)
        return {label: (value, error) for label, value, error in told}

    def test_pictures_have_axes_numbers_and_the_address_and_tables_are_whole(self, seen):
        name, data = taken(seen.page, "SVG")
        texts = texts_of(data)
        assert name == f"residual-flow-step-{STEP}.svg"
        assert {"Data space", "Latent space, z", "Loss", "x₁", "x₂", "z₁", "z₂", "step", "NLL (nats)"} <= set(texts)
        assert {"density per unit area", "held-out data"} <= set(texts)
        gap, _ = self.readouts(seen)["Gap to the truth"]
        assert any(f"Gap to the truth {gap}" in text for text in texts)
        assert f"at={STEP}" in "".join(texts)
        image = Image.open(io.BytesIO(taken(seen.page, "PNG")[1])).convert("RGB")
        assert (np.asarray(image)[:8] == 255).all(), "white although the page is dark"

        head, rows = rows_of(taken(seen.page, "CSV: numbers")[1])
        assert head == ["name", "value", "standard error", "unit"]
        for label, (value, error) in self.readouts(seen).items():
            row = next(row for row in rows if row[0] == label)
            assert row[1] == value.replace("−", "-").replace(",", "")
            assert row[2] in error

        head, rows = rows_of(taken(seen.page, "CSV: Loss")[1])
        assert head == ["series", "step", "NLL (nats)"]
        assert [int(row[1]) for row in rows if row[0] == "batch"] == list(range(1, STEP + 1))
        head, rows = rows_of(taken(seen.page, "CSV: Data space")[1])
        assert head == ["series", "x₁", "x₂", "density per unit area"]
        density = np.array([row[1:] for row in rows if row[0] == "density"], float)
        side = round(len(density) ** 0.5)
        steps = [np.ptp(density[:, k]) / (side - 1) for k in (0, 1)]
        assert density[:, 2].sum() * steps[0] * steps[1] == pytest.approx(1, abs=0.03)

    def test_weights_are_those_of_the_numbers_and_the_program_repeats_them(self, seen, tmp_path):
        name, data = taken(seen.page, "Weights")
        (file := tmp_path / name).write_bytes(data)
        flow, toy = rf.load(file), rf.DATASETS["checkerboard"]
        x = toy.held_out()
        gap = (toy.truth.log_prob(x) - flow.log_prob(x)).detach()
        value, error = self.readouts(seen)["Gap to the truth"]
        assert float(value) == pytest.approx(float(gap.mean()), abs=0.002)
        assert error.split()[1] == f"{float(gap.std()) / len(gap) ** 0.5:.3f}"

        name, data = taken(seen.page, "Python script")
        assert name == "checkerboard.py"
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(data, name, "exec"), {"__name__": "__main__"})
        value, _ = self.readouts(seen)["Gap to the truth"]
        told = next(line for line in out.getvalue().splitlines() if line.startswith("Gap to the truth"))
        assert float(told.split(": ")[1].split(" ±")[0]) == pytest.approx(float(value), abs=0.02)
        cells = json.loads(taken(seen.page, "Notebook")[1])["cells"]
        assert "".join(cells[-1]["source"]).strip() in data.decode()

    def test_the_film_is_one_that_browsers_play_and_ends_at_the_newest_step(self, seen):
        seen.press("100 steps")
        seen.wait_for_step(STEP + 100)
        seen.page.get_by_role("button", name="Replay").and_(seen.page.locator(":enabled")).wait_for()
        seen.page.get_by_role("button", name=MENU).first.click()
        with seen.page.expect_download() as download:
            seen.page.get_by_role("menuitem", name="Film").locator("visible=true").click()
        data = download.value.path().read_bytes()
        assert download.value.suggested_filename.endswith(".webm")
        assert seen.data("time") == "now" and seen.step == STEP + 100
        player = seen.page.context.new_page()
        player.set_content("<video muted></video>")
        size, changed = player.evaluate(PLAYED, base64.b64encode(data).decode())
        player.close()
        assert min(size) > 400
        assert changed > 0.001, "the share of pixels that are not the same in the first picture and in the last"

        seen.page.evaluate("() => { window.kept = window.MediaRecorder; delete window.MediaRecorder; }")
        seen.page.get_by_role("button", name=MENU).first.click()
        seen.page.get_by_role("menuitem", name="Film").locator("visible=true").click()
        seen.page.get_by_role("status").filter(has_text="Chrome, Edge or Firefox").wait_for()
        seen.page.evaluate("() => { window.MediaRecorder = window.kept; }")
        assert seen.data("time") == "now"

        assert not [one for one in seen.problems if "uncaught" in one or "Content Security" in one]


# What waits for the clock waits a fiftieth, so that the film is over before its first picture is encoded.
HASTY = "window.waiting = window.setTimeout; window.setTimeout = (work, ms) => waiting(work, ms / 50);"
AS_USUAL = "window.setTimeout = window.waiting;"
FILMED = """async side => {
  const theme = { font: "Arial", paper: "white", ink: () => "black" };
  const colours = ["red", "lime", "blue"];
  const paint = (pen, k) => { pen.fillStyle = colours[k]; pen.fillRect(0, 0, side, side); };
  const figure = k => ({ columns: 1, panels: [{ width: side, height: side, draw: pen => paint(pen, k) }] });
  const film = await recorded({ count: 3, figure, done: () => {} }, theme);
  return btoa(String.fromCharCode(...new Uint8Array(await film.arrayBuffer())));
}"""


def test_a_film_has_its_first_and_its_last_picture_also_where_the_browser_is_slow_to_encode_them(chromium):
    page = blank_page(chromium, "<video muted></video>")
    page.evaluate(HASTY)
    with_modules(page, "take/film.js")
    film = page.evaluate(FILMED, 1000)
    page.evaluate(AS_USUAL)  # or the patience of what plays it would be a fiftieth, too
    size, changed = page.evaluate(PLAYED, film)
    assert min(size) > 1000
    assert changed > 0.9 * 1000**2 / math.prod(size), "from red to blue"
    page.context.close()


@pytest.mark.slow
def test_a_comparison_is_one_archive(visit, tmp_path):
    visitor = visit("blocks=2&width=8&batch=50&compare.seeds=2&compare.steps=500", path="/compare", picture=False)
    visitor.press("1 step")
    page = visitor.page
    page.locator(".planes .take-open").first.wait_for()
    page.get_by_text(re.compile(r"^step 1\b")).first.wait_for()

    def measured():
        """The archive, once it has the loss of every flow and seed at its step: that is measured after the step."""
        name, data = taken(page, "Tables, curves and weights", page.locator(".planes").first)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            curves = csv.DictReader(archive.read("compare/curves.csv").decode().splitlines())
            of_step = {(row["flow"], row["seed"]) for row in curves if int(row["step"]) == 1}
        return len(of_step) == 6 and (name, data)

    name, data = wait_for(measured, "the losses at step 1")
    assert name == "compare.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(tmp_path)
    text = (tmp_path / "compare/README.txt").read_text()
    weights = sorted((tmp_path / "compare/weights").iterdir())
    assert len(weights) == 6, "three flows from two seeds"
    assert all(file.name in text for file in weights) and "compare?" in text
    residual = [file for file in weights if f'resflow_core.load("weights/{file.name}")' in text]
    assert len(residual) == 4
    table, curves = (
        list(csv.DictReader((tmp_path / f"compare/{one}.csv").read_text().splitlines())) for one in ("table", "curves")
    )
    x = rf.DATASETS["checkerboard"].held_out()
    for file, row in zip(residual, table[: len(residual)], strict=True):
        assert -float(rf.load(file).log_prob(x).detach().mean()) == pytest.approx(float(row["nll"]), abs=0.002)
    assert {int(row["step"]) for row in curves} >= {0, 1}


class TestReplay:
    """The stored run that the home page replays."""

    @pytest.fixture(scope="class")
    def home(self, server, chromium):
        context = chromium.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        context.set_default_timeout(MOST_MS)
        visitor = Visitor(context.new_page())
        visitor.page.on("pageerror", lambda error: visitor.problems.append(f"uncaught: {error}"))
        visitor.page.goto(server.url)
        visitor.page.locator(".replay-plane[aria-label*=checkerboard]").wait_for()
        yield visitor
        context.close()

    def at(self, home, place, cut=False):
        """Stand at a place between stored pictures."""
        home.page.get_by_role("switch").set_checked(cut)
        home.page.get_by_role("slider", name="Step of training").fill(str(place))

    @pytest.mark.slow
    def test_a_sheet_its_numbers_and_its_programs_are_those_of_the_nearest_stored_step(self, home):
        self.at(home, 23)
        found = stored(NAME).found
        head, rows = rows_of(taken(home.page, "CSV: density")[1])
        assert head[:3] == ["series", "x₁", "x₂"] and head[3].startswith("density per unit area (to ")
        density = np.array([row[1:] for row in rows], float)
        step = np.ptp(np.array(found["window"]), axis=1) / (round(len(density) ** 0.5) - 1)
        # What colours leave out, the densest half percent of the nodes, and what lies outside of the window.
        assert density[:, 2].sum() * step.prod() == pytest.approx(1, abs=0.05)
        head, rows = rows_of(taken(home.page, "CSV: loss and mass")[1])
        numbers = np.array(rows, float)
        np.testing.assert_allclose(numbers[:, 0], found["steps"])
        np.testing.assert_allclose(numbers[:, 1], found[EXACT]["true"])
        np.testing.assert_allclose(numbers[:, 3], found[EXACT]["mass"])

        self.at(home, 12.3, cut=True)
        name, data = taken(home.page, "SVG")
        kept, found = stored(NAME), stored(NAME).found[CUT]
        assert name == f"replay-5-terms-step-{kept.found['steps'][12]}.svg"
        texts = texts_of(data)
        assert {"true loss", "reported loss", "step", "x₁", "x₂", "density per unit area"} <= set(texts)
        assert any(
            f"true loss {found['true'][12]:.2f}, mass that it believes in {found['mass'][12]:.2f}" in t for t in texts
        )
        name, data = taken(home.page, "PNG")
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert (pixels[:8] == 255).all() and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100

        name, data = taken(home.page, "Python script: 5 terms")
        assert name == "replay-5-terms.py" and b"rf.Truncated" in data
        cells = json.loads(taken(home.page, "Notebook: the exact log det")[1])["cells"]
        assert any("trainer.step()" in "".join(cell["source"]) for cell in cells)

    @pytest.mark.slow
    def test_a_film_leaves_the_replay_where_it_was_and_menus_work_from_page_to_page(self, home):
        self.at(home, 5)
        before = home.page.locator(".replay-told").inner_text()
        home.page.get_by_role("button", name=MENU).click()
        with home.page.expect_download() as download:
            home.page.get_by_role("menuitem", name="Film").click()
        data = download.value.path().read_bytes()
        assert home.page.locator(".replay-told").inner_text() == before
        player = home.page.context.new_page()
        player.set_content("<video muted></video>")
        size, changed = player.evaluate(PLAYED, base64.b64encode(data).decode())
        player.close()
        assert min(size) > 400 and changed > 0.01

        navigation = home.page.get_by_test_id("stTopNav")
        navigation.get_by_role("link", name="The paper").click()
        home.page.locator(".replay").wait_for(state="detached")  # or the menu is still that of Home
        home.page.locator(".take-open").first.wait_for()
        assert taken(home.page, "SVG")[0].endswith(".svg")
        navigation.get_by_role("link", name="Explore").click()
        home.wait("root.dataset.step !== ''", "the first picture")
        home.page.locator(".take-open").first.wait_for()
        assert taken(home.page, "PNG")[0] == "residual-flow-step-0.png"
        navigation.get_by_role("link", name="Home").click()
        home.page.locator(".replay-plane[aria-label*=checkerboard]").wait_for()
        assert taken(home.page, "CSV: loss and mass")[0].startswith("replay-exact-log-det")
        assert home.problems == []
