"""Every menu *Take it with you* under what is stored: each of its files opens, and holds what its kind should."""

import ast
import csv
import io
import json
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.browser.test_take import MENU, SVG, taken_by
from tests.served import wait_for

FIGURES = ".dots, .stVegaLiteChart, .planes"
MARKS = {f"{SVG}{name}" for name in ("path", "circle", "rect", "line", "image")}


def picture(data):
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    inked = (pixels.min(axis=2) < 200).mean()
    assert inked > 0.002 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10, "it is blank"


def vectors(data):
    assert sum(one.tag in MARKS for one in ElementTree.fromstring(data).iter()) > 3


def table(data):
    head, *rows = csv.reader(io.StringIO(data.decode()))
    assert rows and {len(row) for row in rows} == {len(head)} == {len(set(head))}
    assert not any(_is_number(cell) for cell in head) and any(_is_number(cell) for row in rows for cell in row)


def _is_number(text):
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def archive(data):
    with zipfile.ZipFile(io.BytesIO(data)) as members:
        assert members.testzip() is None
        for name in members.namelist():
            if name.endswith(".csv"):
                table(members.read(name))


def notebook(data):
    cells = json.loads(data)["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code and all(map(ast.parse, code))


OPENS = {"png": picture, "svg": vectors, "csv": table, "zip": archive, "ipynb": notebook, "py": ast.parse}


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/paper", "/joint"])
def test_every_file_under_every_figure_opens(visit, path):
    visitor = visit("", path=path, picture=False)
    page = visitor.page
    page.locator(".dots, .planes canvas").first.wait_for()
    visitor.wait_for_script()
    for fold in page.get_by_test_id("stMain").locator("details:not([open])").element_handles():
        fold.query_selector("summary").click()
        visitor.wait_for_script()
    buttons = page.get_by_role("button", name=MENU)
    page.locator(FIGURES).last.locator("visible=true").wait_for()
    wait_for(lambda: buttons.count() >= page.locator(FIGURES).count(), "the menus, which come after the figures")
    with_picture = 0
    for at in range(buttons.count()):
        buttons.nth(at).click()
        entries = page.get_by_role("menuitem").locator("visible=true")
        entries.first.wait_for()
        titles = entries.all_inner_texts()
        page.keyboard.press("Escape")
        with_picture += titles[0].startswith("PNG")
        for title in titles:
            name, data = taken_by(page, buttons.nth(at), title, exact=True)
            try:
                OPENS[name.rpartition(".")[2]](data)
            except Exception as error:
                raise AssertionError(f"{path}, menu {at}: {title} ({name})") from error
    assert with_picture == page.locator(FIGURES).count(), "each figure has a menu"
    assert not [one for one in visitor.problems if "uncaught" in one]
