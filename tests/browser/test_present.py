"""Keys of the whole page, the presenter's view, and that neither hears what is meant for somebody else."""

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.drawn import RESTS
from tests.served import wait_for

PRESENTED = "document.documentElement.hasAttribute('data-present')"
KEYS = ["Space", "s", "Backspace", "Shift+Backspace", "PageDown", "PageUp", ".", ",", "1", "2", "3", "f", "?"]
WRITTEN = "String(root.live.picture.step) === root.dataset.step"


def button(visitor, name):
    return visitor.page.get_by_role("button", name=name, exact=True)


def key(visitor, name):
    """A key between two runs of the script, as `Visitor.press` is a click."""
    visitor.page.locator(".st-key-play button").wait_for(state="attached")  # which may come after the picture
    visitor.wait_for_script()
    visitor.page.keyboard.press(name)


def state_of(visitor):
    """What keys change."""
    return visitor.page.evaluate("""() => {
        const { step, shows, depth } = document.querySelector('.live-panes').dataset;
        return [step, shows, depth, document.documentElement.hasAttribute('data-present'),
                document.querySelectorAll('dialog').length, document.querySelector('.st-key-play').innerText];
    }""")


def is_untouched(visitor):
    """Whether nothing that a key does has been done."""
    state = state_of(visitor)
    return state[:5] == ["0", "latent", "z", False, 0] and "Play" in state[5]


def stays_untouched(visitor, while_="nothing else is open"):
    """A page that is just being drawn anew may have no step for a moment; what a key has done would stay."""
    visitor.wait_for_script()
    wait_for(lambda: is_untouched(visitor), f"a page on which no key has done anything while {while_}", 20)


def test_a_demonstration_by_keyboard_alone_and_its_view_is_kept_by_the_address(visit):
    visitor = visit()
    page = visitor.page
    key(visitor, "Space")
    visitor.wait_for_step(3)
    key(visitor, "Space")
    expect(button(visitor, "Play")).to_be_visible()
    for depth in ("x", "1", "2"):
        key(visitor, "PageDown")
        visitor.wait(f"root.dataset.depth === '{depth}'", f"depth {depth}")
    key(visitor, "PageUp")
    visitor.wait("root.dataset.depth === '1'", "one block back")
    key(visitor, "2")
    visitor.wait("root.dataset.shows === 'truth'", "the truth")
    key(visitor, "f")
    visitor.wait(PRESENTED, "the presenter's view")
    expect(page.locator(".stAppHeader")).to_be_hidden()
    expect(page.locator(".stSidebar")).to_be_hidden()
    key(visitor, "Escape")
    visitor.wait(f"!{PRESENTED}", "the page as before")
    expect(page.locator(".stAppHeader")).to_be_visible()
    visitor.wait(f"{RESTS} && {WRITTEN}", "the step at which it rests")
    before = visitor.step
    key(visitor, "s")
    visitor.wait(f"Number(root.dataset.step) > {before}", "a step")
    key(visitor, "Backspace")
    visitor.wait("root.dataset.step === '0'", "the beginning")

    # A plane that has the focus is moved by arrows, and shows the whole again.
    key(visitor, "1")
    visitor.wait(f"root.dataset.shows === 'latent' && {RESTS}", "the latent space")
    whole, latent = visitor.range_of("data"), visitor.range_of("latent")
    page.locator("[data-pane=data] .live-plot").focus()
    page.keyboard.press("ArrowRight")
    width = whole[1] - whole[0]
    moved = pytest.approx([end + 0.1 * width for end in whole])
    wait_for(lambda: visitor.range_of("data") == moved, "a tenth further to the right")
    page.keyboard.press("+")
    wait_for(lambda: np.ptp(visitor.range_of("data")) == pytest.approx(width / 1.25), "a part of it")
    assert visitor.range_of("latent") == latent
    page.keyboard.press("0")
    wait_for(lambda: visitor.range_of("data") == whole, "the whole window")

    # The address keeps the presenter's view over a reload, with the plane that was chosen.
    button(visitor, "Presenter's view").click()
    page.get_by_role("button", name="Data space alone").click()
    visitor.wait_for_query(view="present", **{"view.planes": "data"})
    page.reload()
    visitor.wait(f"root.dataset.step !== '' && {PRESENTED}", "the presenter's view again")
    expect(page.locator("[data-pane=data] .live-plot")).to_be_visible()
    expect(page.locator("[data-pane=latent] .live-plot")).to_be_hidden()
    key(visitor, "2")  # what a key shows comes into sight
    expect(page.locator("[data-pane=latent] .live-plot")).to_be_visible()
    key(visitor, "Escape")
    wait_for(lambda: not {"view", "view.planes"} & visitor.query.keys(), "the address without it")
    assert visitor.complaints == []


FIELDS = [
    "<input>",
    "<input type=number>",
    "<textarea></textarea>",
    "<select><option>1</select>",
    "<p contenteditable></p>",
]


def test_keys_are_ignored_while_somebody_types_with_ctrl_alt_and_meta_and_below_popovers_and_dialogs(visit):
    visitor = visit()
    page = visitor.page
    visitor.wait_for_script()
    for field in FIELDS:
        page.evaluate(
            """field => {
                document.querySelector('#field')?.remove();
                document.body.insertAdjacentHTML('afterbegin', `<div id="field">${field}</div>`);
                document.querySelector('#field > *').focus();
            }""",
            field,
        )
        for name in KEYS:
            page.keyboard.press(name)
        stays_untouched(visitor, f"somebody is in {field}")
    page.evaluate("document.querySelector('#field').remove()")
    page.locator(".st-key-log_det input").focus()
    for name in ("s", "f", "2"):
        page.keyboard.press(name)
    page.keyboard.press("Escape")
    stays_untouched(visitor)
    page.evaluate("document.activeElement.blur()")
    page.evaluate("""for (const chord of ['ctrlKey', 'altKey', 'metaKey'])
        for (const code of ['Space', 'KeyS', 'KeyF', 'Digit2', 'PageDown', 'Backspace'])
            document.body.dispatchEvent(new KeyboardEvent('keydown', { code, [chord]: true, bubbles: true }));""")
    stays_untouched(visitor)
    key(visitor, "3")  # and without all that it is heard
    visitor.wait("root.dataset.shows === 'difference'", "the difference")
    key(visitor, "1")
    visitor.wait("root.dataset.shows === 'latent'", "the latent space")

    # The list of keys is a dialog, and switches characters off.
    dialog = page.get_by_role("dialog", name="Keys")
    key(visitor, "?")
    dialog.wait_for()
    for name in ("s", "2", "f"):
        page.keyboard.press(name)
    letters = dialog.get_by_role("checkbox")
    letters.uncheck()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    stays_untouched(visitor)
    wait_for(lambda: not any(name.startswith("view") for name in visitor.query), "the address to say what is shown")
    page.reload()
    visitor.wait("root.dataset.step !== ''", "the picture")
    for name in [*KEYS[6:], "s"]:
        key(visitor, name)
    stays_untouched(visitor)
    key(visitor, "PageDown")
    visitor.wait("root.dataset.depth === 'x'", "a key that is no character")
    button(visitor, "Keys").click()
    letters.check()
    dialog.get_by_role("button").click()
    dialog.wait_for(state="detached")
    key(visitor, "2")
    visitor.wait("root.dataset.shows === 'truth'", "a character again")

    # An open popover keeps the keys.
    key(visitor, "1")
    visitor.wait("root.dataset.shows === 'latent'", "the latent space again")
    before = state_of(visitor)
    button(visitor, "Your CSV").or_(page.locator("[data-testid=stPopoverButton]:visible")).last.click()
    page.locator("[data-testid=stPopoverBody]").wait_for()
    page.evaluate("document.activeElement.blur()")
    for name in ("2", "f", "PageDown"):
        page.keyboard.press(name)
    visitor.wait_for_script()
    wait_for(lambda: state_of(visitor) == before, "a page on which no key has done anything below a popover", 20)
