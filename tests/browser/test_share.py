"""Share in a real browser: by the keyboard alone, with what is looked at, over plain http, and larger."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import box_at_rest
from tests.served import wait_for

BODY = "[data-testid=stPopoverBody]"
NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
FOCUSED = "document.activeElement"
# They say it for a second and a half, which a busy machine may not see.
NOTE_SAID = """heard => {
  const button = document.activeElement;
  window.said = [];
  const note = () => window.said.push([button.textContent, heard.textContent]);
  new MutationObserver(note).observe(heard, { childList: true });
}"""
TARGET = 24  # pixels that a finger needs
SCANNED = 240  # pixels of a code that a camera reads from afar


def opened(visitor):
    """Share, opened by the keyboard."""
    visitor.wait_for_script()
    visitor.page.get_by_role("button", name="Share", exact=True).focus()
    visitor.page.keyboard.press("Enter")
    visitor.page.get_by_role("textbox", name="Link", exact=True).wait_for()
    return visitor


def tab_to(visitor, words):
    """Press Tab until what has the focus says these words: around the whole page if the focus was lost to it."""
    visitor.wait_for_script()
    for _ in range(200):
        visitor.page.keyboard.press("Tab")
        said = visitor.page.evaluate(f"{FOCUSED}.getAttribute('aria-label') || {FOCUSED}.textContent")
        if said.startswith(words):
            return
    raise AssertionError(f"Tab never comes to {words!r}")


def link_shown(visitor):
    return visitor.page.get_by_role("textbox", name="Link", exact=True).input_value()


def test_by_the_keyboard_with_what_is_looked_at_over_plain_http_and_larger_on_a_phone(visit):
    visitor = opened(visit())
    assert "view.test" not in link_shown(visitor)
    visitor.page.evaluate("history.replaceState(history.state, '', `${location.search}&view.test=1+2&blocks=9`)")
    query = wait_for(lambda: "view.test" in (link := link_shown(visitor)) and urlsplit(link).query, "the view")
    given = dict(parse_qsl(query))
    assert given["view.test"] == "1 2" and given["blocks"] == "4"

    visitor.page.evaluate(NO_CLIPBOARD)  # as over plain http
    link = wait_for(lambda: "by=" in (shown := link_shown(visitor)) and shown, "the whole link")
    tab_to(visitor, "Copy link")
    visitor.page.locator(f"{BODY} [aria-live=polite]").first.evaluate(NOTE_SAID)
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_function("() => window.said.some((both) => both.every((text) => text === 'Copied'))")
    visitor.page.get_by_role("button", name="Copy link").wait_for()
    visitor.page.keyboard.press("Escape")
    expect(visitor.page.locator(BODY)).to_have_count(0)
    expect(visitor.page.get_by_role("button", name="Share", exact=True)).to_be_focused()
    visitor.page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'}))")
    visitor.page.locator("#paste").focus()
    visitor.page.keyboard.press("Control+V")
    expect(visitor.page.locator("#paste")).to_have_value(link)

    # The code is large, opens larger, and Escape closes that alone.
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    opened(visitor)
    tab_to(visitor, "Link")
    visitor.page.keyboard.press("ArrowRight")
    code = visitor.page.get_by_role("button", name="QR code of the link")
    code.wait_for()
    box = box_at_rest(code)
    assert box["width"] >= SCANNED and box["height"] == pytest.approx(box["width"], abs=1)
    visitor.page.locator("#paste").focus()  # what was left by the keyboard is reached by it again
    tab_to(visitor, "QR code of the link")
    visitor.page.keyboard.press("Enter")
    dialog = visitor.page.get_by_role("dialog", name="QR code of the link")
    picture = dialog.get_by_role("img").bounding_box()
    assert picture["width"] >= SCANNED and picture["x"] >= 0 and picture["x"] + picture["width"] <= 390
    assert dialog.get_by_role("button", name="Close").bounding_box()["height"] >= TARGET
    visitor.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert visitor.page.locator(BODY).count() == 1
    assert visitor.page.evaluate(f"{FOCUSED}.getAttribute('aria-label')").startswith("QR code")
    assert not [problem for problem in visitor.problems if problem.startswith("uncaught")]
