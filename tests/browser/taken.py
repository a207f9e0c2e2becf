"""What is saved by the menu *Take it with you*."""

import csv
import io
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
MENU = "Take it with you"


def taken(page, name, where=None):
    """What is saved by an entry of the menu: its name and its contents."""
    (where or page).get_by_role("button", name=MENU).first.click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=name).locator("visible=true").first.click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def rows_of(data):
    head, *rows = csv.reader(io.StringIO(data.decode()))
    return head, rows


def texts_of(svg):
    return ["".join(one.itertext()) for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]
