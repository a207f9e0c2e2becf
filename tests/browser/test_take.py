"""The menu *Take it with you*: what it offers can be had, and is what is seen."""

import csv
import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.browser.planes_app import NODES, WHERE_NONE, heat
from tests.browser.test_planes import opened
from tests.served import served

SVG = "{http://www.w3.org/2000/svg}"
MENU = "Take it with you"


@pytest.fixture(scope="module")
def page(tmp_path_factory, chromium):
    script = Path(__file__).with_name("planes_app.py")
    with served(script, tmp_path_factory.mktemp("take") / "log") as url:
        page = opened(url, chromium)
        yield page
        page.context.close()


def taken(page, name, where=None, exact=False):
    """What is saved by an entry of the menu: its name and its contents."""
    (where or page).get_by_role("button", name=MENU).first.click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=name, exact=exact).locator("visible=true").click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def rows_of(data):
    head, *rows = csv.reader(io.StringIO(data.decode()))
    return head, rows


def texts_of(svg):
    return ["".join(one.itertext()) for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_picture_is_twice_as_sharp_and_not_blank(page):
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


def test_a_vector_picture_has_axes_and_titles_as_text_and_lines_as_lines(page):
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


def test_the_numbers_are_those_that_are_drawn(page):
    _, data = taken(page, "CSV: Error")
    head, rows = rows_of(data)
    assert head == ["series", "iteration n", "‖r‖ (m)"]
    for k in (1, 2):
        found = np.array([row[1:] for row in rows if row[0] == f"rate {k}"], float)
        np.testing.assert_allclose(found[:, 0], np.arange(1, 11))
        np.testing.assert_allclose(found[:, 1], 10.0 ** (-k * found[:, 0]), rtol=1e-5)


def test_the_numbers_of_colours_are_as_fine_as_colours_are(page):
    _, data = taken(page, "CSV: Plane")
    head, rows = rows_of(data)
    assert head[:3] == ["series", "z₁ (m)", "z₂ (m)"] and head[3].startswith("iterations (to ")
    found = np.array([float(row[3] or "nan") for row in rows if row[0] == "iterations"]).reshape(NODES, NODES)
    off = float(head[3].removeprefix("iterations (to ").removesuffix(" %)")) / 100
    np.testing.assert_allclose(found, heat(), rtol=1.1 * off)
    assert np.isnan(found[WHERE_NONE])
    steps = [row[1:3] for row in rows if row[0] == "steps"]
    np.testing.assert_allclose(np.array(steps, float), [[-1, 0], [0, 1], [1, 2]])


def test_what_the_legend_hides_is_not_taken(page):
    entry = page.get_by_role("button", name="rate 1: hide or show")
    entry.click()
    _, data = taken(page, "CSV: Error")
    entry.click()
    assert {row[0] for row in rows_of(data)[1]} == {"rate 2", "band, lower end", "band, upper end"}


def test_the_server_makes_other_files_when_they_are_asked_for(page):
    page.get_by_role("button", name="next").click()
    page.get_by_text("run 2").wait_for()
    assert taken(page, "Step") == ("step.csv", b"step\n1\n")
    assert taken(page, "Step") == ("step.csv", b"step\n1\n")


def test_what_cannot_be_made_is_said(page):
    page.get_by_role("button", name=MENU).click()
    page.get_by_role("menuitem", name="Made of nothing").click()
    page.get_by_role("status").filter(has_text="There is nothing yet: press next.").wait_for()


def test_the_menu_is_worked_by_keys(page):
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
    assert button.get_attribute("aria-expanded") == "false"
