"""What AppTest cannot click: the pictures of the data sets, files that come and go, and a link on the clipboard."""

import re
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from playwright.sync_api import expect

from app.csv_file import digest_of
from tests.served import wait_for

ROWS = np.random.default_rng(0).normal([170, 70], [10, 5], (60, 2))
CSV = "\n".join(
    ["height;weight;sex", *(f"{x:.1f};{y:.1f};{'fm'[x > 170]}".replace(".", ",") for x, y in ROWS.tolist())]
)


def tile(visitor, name):
    return visitor.page.get_by_role("radio", name=re.compile(f"^{re.escape(name)}"))  # "Moons", not "Noisy moons"


def offer(visitor, inside, name, text):
    """Give a file to the uploader inside an element."""
    visitor.page.locator(f"{inside} input[type=file]").set_input_files(
        {
            "name": name,
            "mimeType": "application/octet-stream",
            "buffer": text if isinstance(text, bytes) else text.encode(),
        }
    )


def title_of_x(visitor):
    return visitor.page.evaluate("document.querySelector('[data-pane=data] .live-plot').surface.picture.x.title")


@pytest.mark.slow
def test_a_click_on_a_picture_chooses_its_data_and_goes_on_playing_and_keys_choose_too(visit):
    visitor = visit()
    visitor.press("Play")
    visitor.wait_for_step(5)
    run = visitor.data("run")
    assert tile(visitor, "Checkerboard").get_attribute("aria-checked") == "true"
    tile(visitor, "Moons").click()
    visitor.wait(f"root.dataset.run !== {run!r} && Number(root.dataset.step) >= 5", "steps on the other data")
    visitor.wait_for_query(data="moons")
    expect(tile(visitor, "Moons")).to_have_attribute("aria-checked", "true")
    expect(tile(visitor, "Checkerboard")).to_have_attribute("aria-checked", "false")
    visitor.press("Pause")

    # Arrow keys move and Enter chooses.
    chosen = tile(visitor, "Moons")
    assert [chosen.get_attribute("tabindex"), tile(visitor, "Wine").get_attribute("tabindex")] == ["0", "-1"]
    chosen.focus()
    visitor.page.keyboard.press("ArrowRight")
    focused = "document.activeElement"
    name = visitor.page.evaluate(f"{focused}.getAttribute('aria-label')")
    assert name != "Moons"
    assert visitor.page.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
    visitor.page.wait_for_timeout(500)
    assert visitor.query["data"] == "moons"
    visitor.page.keyboard.press("Enter")
    wait_for(lambda: visitor.query["data"] not in ("moons", "csv"), "another data set")
    expect(tile(visitor, name)).to_have_attribute("aria-checked", "true")
    assert not [problem for problem in visitor.problems if problem.startswith("uncaught")]


@pytest.mark.slow
def test_somebodys_own_file_is_learnt_and_its_link_asks_for_it(visit):
    visitor = visit()
    tile(visitor, "Your CSV").click()
    sidebar = "[data-testid=stSidebar]"
    visitor.page.locator(f"{sidebar} [data-testid=stFileUploader]").wait_for()
    offer(visitor, sidebar, "broken.csv", CSV.replace("height", "height;"))
    visitor.page.get_by_text("Line 2 has 3 cells, but line 1 has 4").wait_for()
    assert title_of_x(visitor) == "x₁"
    offer(visitor, sidebar, "people.csv", CSV)
    wait_for(lambda: title_of_x(visitor) == "height", "the file's first column")
    visitor.wait_for_query(data="csv", **{"csv.name": "people.csv", "csv.digest": digest_of(CSV.encode())})

    other = visit(query=urlparse(visitor.url).query)
    other.page.get_by_text("This link needs people.csv").wait_for()
    assert title_of_x(other) == "x₁"
    main = ".stMain"
    offer(other, main, "people.csv", CSV + "\n1;2;f")
    other.page.get_by_text("this is another file").wait_for()
    offer(other, main, "people.csv", CSV)
    wait_for(lambda: title_of_x(other) == "height", "the file's first column")
    expect(other.page.get_by_text("This link needs")).to_have_count(0)
    wait_for(lambda: other.query == visitor.query, "the same address as the one who made the link")


@pytest.mark.slow
def test_the_copied_link_holds_what_changed_while_it_ran(visit):
    visitor = visit()
    visitor.press("100 steps")
    visitor.wait("Number(root.dataset.step) === 100", "step 100")
    visitor.choose("Log det", "Truncated (biased)")
    changed = "100:log_det=truncated,"
    wait_for(lambda: visitor.query.get("changes", "").startswith(changed), "the change, before another step is taken")
    visitor.press("1 step")
    visitor.wait("Number(root.dataset.step) === 101", "step 101")
    visitor.press_until("Share", visitor.page.get_by_text("at step 100: log det Truncated"), 5)
    text = visitor.page.get_by_role("textbox", name="Link", exact=True)
    link = wait_for(lambda: "changes=" in (value := text.input_value()) and value, "the changes in the link")
    assert parse_qs(urlparse(link).query)["changes"][0].startswith(changed)
    visitor.page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")  # as over plain http
    visitor.press("Copy link")
    visitor.page.get_by_role("button", name="Copied").wait_for()
    visitor.page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'}))")
    visitor.page.locator("#paste").focus()
    visitor.page.keyboard.press("Control+V")
    expect(visitor.page.locator("#paste")).to_have_value(link)

    other = visit(query=urlparse(link).query)
    other.wait("Number(root.dataset.step) === 101", "the step of the link")
    estimator = other.page.get_by_role("combobox", name="Log det")
    wait_for(lambda: estimator.input_value() == "Truncated (biased)", "the planned change to be shown")
