"""The presenter's view, keys of the whole page, and the page within a frame of another site."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MOST_MS, SMALL, lecture
from tests.browser.drawn import RESTS, SHARP
from tests.served import wait_for

PRESENTED = "document.documentElement.hasAttribute('data-present')"
KEYS = ["Space", "s", "Backspace", "Shift+Backspace", "PageDown", "PageUp", ".", ",", "1", "2", "3", "f", "?"]
WRITTEN = "String(root.live.picture.step) === root.dataset.step"
FOCUSED = "document.activeElement.closest('[data-pane], [class*=st-key], .live-tools')"


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


def test_a_demonstration_by_keyboard_alone(visit):
    visitor = visit()
    page = visitor.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.testid") == "stSkipToContent"
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
    assert not [problem for problem in visitor.problems if problem.startswith("uncaught")]


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
    assert dialog.locator("dt").count() <= 18
    assert dialog.evaluate("list => list.scrollHeight <= list.clientHeight")
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
    assert page.evaluate("'keys' in document.activeElement.dataset")
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


def test_the_plane_with_the_focus_goes_by_arrows_and_after_a_click_space_plays(visit):
    visitor = visit()
    page = visitor.page
    for name, step in (("1 step", 1), ("Reset", 0)):
        visitor.press(name)
        assert page.evaluate(f"{FOCUSED}.dataset.pane") == "data"
        visitor.wait(f"root.dataset.step === '{step}'", f"step {step}")
        assert page.evaluate(f"{FOCUSED}.dataset.pane") == "data"
        expect(button(visitor, "Play")).to_be_visible()  # for it is Pause while the step is taken
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    key(visitor, "Space")
    expect(button(visitor, "Pause")).to_be_visible()
    visitor.wait_for_step(2)
    key(visitor, "Space")
    expect(button(visitor, "Play")).to_be_visible()
    visitor.wait_for_script()
    visitor.wait(f"{SHARP} && {WRITTEN}", "the sharp picture of where it rests")
    before = visitor.step
    button(visitor, "1 step").focus()
    key(visitor, "Space")
    visitor.wait(f"root.dataset.step === '{before + 1}'", "one step more, and no second one")
    expect(button(visitor, "Play")).to_be_visible()
    assert "st-key-step" in page.evaluate(f"{FOCUSED}.className")

    whole = visitor.range_of("data")
    latent = visitor.range_of("latent")
    visitor.page.locator("[data-pane=data] .live-plot").focus()
    visitor.page.keyboard.press("ArrowRight")
    width = whole[1] - whole[0]
    assert visitor.range_of("data") == pytest.approx([end + 0.1 * width for end in whole])
    visitor.page.keyboard.press("+")
    low, high = visitor.range_of("data")
    assert high - low == pytest.approx(width / 1.25)
    assert visitor.range_of("latent") == latent
    visitor.page.keyboard.press("0")
    assert visitor.range_of("data") == whole


WINDOWS = [(1280, 720), (1920, 1080)]
SHARES = {"both": 0.65, "data": 0.85, "second": 0.85}
# All text in sight: its size and the places that it takes, and those of what can be pressed or looked at. An exponent
# counts as its formula does, of whose size it has 0.7.
SIZES = """() => {
  const inSight = element => element.checkVisibility({ visibilityProperty: true }) && !element.closest('.live-help');
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const size = parseFloat(getComputedStyle(element.closest('.msupsub, msup')?.parentElement ?? element).fontSize);
    if (walker.currentNode.data.trim() && size && element.getBoundingClientRect().width > 1 && inSight(element)) {
      texts.push([walker.currentNode.data.trim(), size]);
    }
  }
  const parts = '.live-panes header button, .live-plot, .live-depth, .live-readout, .live-tools button, '
    + '.stButton button';
  const boxes = [...document.querySelectorAll(parts)].filter(inSight).map(element => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    return [left, top, right, bottom].map(Math.round);
  });
  return { texts, boxes };
}"""
# The sizes of what canvases write in the presenter's view, in pixels of the page.
LISTEN_TO_CANVASES = """() => {
  window.written = [];
  const { fillText } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.fillText = function (...text) {
    if (this.canvas.isConnected && document.documentElement.hasAttribute('data-present')) {
      window.written.push(parseFloat(this.font) * Math.hypot(this.getTransform().a, this.getTransform().b)
        / devicePixelRatio);
    }
    return fillText.apply(this, text);
  };
}"""


def is_filled(visitor, planes, height):
    """Whether the chosen planes, and no other, have their share of the window."""
    shown = {"both": ("data", "latent"), "data": ("data",), "second": ("latent",)}[planes]
    plots = {name: visitor.page.locator(f"[data-pane={name}] .live-plot") for name in ("data", "latent")}
    if any(plot.is_visible() != (name in shown) for name, plot in plots.items()):
        return False
    boxes = [plots[name].bounding_box() for name in shown]
    return all(box["height"] == box["width"] == pytest.approx(SHARES[planes] * height, abs=1) for box in boxes)


def is_legible(visitor, width, height):
    """What there is has a large text, is in the window, and nothing on anything else."""
    page = visitor.page
    found = page.evaluate(SIZES)
    assert [text for text in found["texts"] if text[1] < 24] == []
    written = wait_for(lambda: page.evaluate("window.written"), "canvases to be drawn anew")
    assert min(written) >= 24
    boxes = found["boxes"]
    assert all(a[0] >= 0 and a[1] >= 0 and a[2] <= width and a[3] <= height for a in boxes)
    assert not [
        (a, b)
        for i, a in enumerate(boxes)
        for b in boxes[:i]
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]
    for name in ("Play", "1 step", "Reset"):
        assert button(visitor, name).is_visible()
    assert page.locator(".live-depth input").is_visible()


def test_the_presenters_view_fills_a_projector_with_large_text_gives_back_the_place_and_is_kept_by_the_address(visit):
    visitor = visit(viewport={"width": 1280, "height": 500})
    page = visitor.page
    visitor.wait("document.querySelector('[data-readout=mass]')", "the numbers")
    page.evaluate(LISTEN_TO_CANVASES)

    page.locator("[data-pane=loss] [data-layer=batch]").focus()
    page.locator(".stMain").evaluate("main => { main.scrollTop = 150; }")
    key(visitor, "f")
    visitor.wait(PRESENTED, "the presenter's view")
    assert page.evaluate(f"{FOCUSED}.dataset.pane") == "data"  # the loss is out of sight
    for planes in SHARES:
        page.locator(f".live-tools button[data-present-part=planes][value={planes}]").click()
        for width, height in WINDOWS:
            page.evaluate("() => { window.written = []; }")
            page.set_viewport_size({"width": width, "height": height})
            what = f"{planes}: planes that fill {width} x {height}"
            wait_for(lambda of=(planes, height): is_filled(visitor, *of), what)
            is_legible(visitor, width, height)
    page.set_viewport_size({"width": 1280, "height": 500})
    key(visitor, "f")
    visitor.wait(f"!{PRESENTED}", "the page as before")
    assert page.evaluate("document.activeElement.dataset.layer") == "batch"
    assert page.locator(".stMain").evaluate("main => main.scrollTop") == pytest.approx(150, abs=1)

    # The address keeps it over a reload.
    button(visitor, "Presenter's view").click()
    page.get_by_role("button", name="Data space alone").click()
    page.wait_for_url(lambda url: "view=present" in url and "view.planes=data" in url)
    page.reload()
    visitor.wait(f"root.dataset.step !== '' && {PRESENTED}", "the presenter's view again")
    visitor.wait_for_script()
    # The buttons stand with the numbers, which may come after the picture.
    expect(page.get_by_role("button", name="Data space alone")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-pane=data] .live-plot")).to_be_visible()
    expect(page.locator("[data-pane=latent] .live-plot")).to_be_hidden()
    key(visitor, "2")  # what a key shows comes into sight
    expect(page.locator("[data-pane=latent] .live-plot")).to_be_visible()
    key(visitor, "Escape")
    page.wait_for_url(lambda url: "view=present" not in url and "view.planes" not in url)


def test_space_plays_on_a_bench(visit):
    visitor = visit(path="/lipschitz", query=f"{SMALL}&lipschitz.view=enforced", picture=False)
    expect(button(visitor, "Play")).to_be_visible()
    visitor.wait_for_script()
    visitor.page.locator("html[data-planes]").wait_for(state="attached")  # the page hears keys from now on
    key(visitor, "Space")
    expect(button(visitor, "Pause")).to_be_visible()


@pytest.mark.slow
def test_a_lesson_is_presented_with_its_picture_or_either_alone(visit):
    query = "lesson=believes&step=first&view=present"
    visitor = visit(query=query, viewport={"width": 1280, "height": 720})
    page = visitor.page
    lesson, plot = page.locator(".st-key-lesson"), page.locator("[data-pane=data] .live-plot")
    for name, is_lesson, is_picture in (
        ("Question and picture", True, True),
        ("The question alone", True, False),
        ("The picture alone", False, True),
    ):
        visitor.wait_for_script()
        chosen = page.get_by_role("button", name=name)
        chosen.click()
        expect(chosen).to_have_attribute("aria-pressed", "true")
        expect(lesson).to_be_visible(visible=is_lesson)
        expect(plot).to_be_visible(visible=is_picture)
        assert [text for text in page.evaluate(SIZES)["texts"] if text[1] < 24] == []
    assert plot.bounding_box()["height"] == pytest.approx(0.65 * 720, abs=1)
    page.get_by_role("button", name="The question alone").click()
    key(visitor, "Escape")  # also where the picture is out of sight
    visitor.wait(f"!{PRESENTED}", "the page as before")
    assert plot.is_visible()


def test_a_frame_of_another_site_has_large_planes_and_play_in_sight(chromium, server, lecturer_port):
    address = f"{server.url}/explore?{SMALL}&embed=true"
    framed = f'<body style="margin: 0"><iframe src="{address}" width="800" height="640" style="border: 0"></iframe>'
    with lecture(framed, lecturer_port):
        page = chromium.new_context(viewport={"width": 900, "height": 700}).new_page()
        page.set_default_timeout(MOST_MS)
        page.goto(f"http://localhost:{lecturer_port}")
        frame = page.frame_locator("iframe")
        planes = [frame.locator(f"[data-pane={name}] .live-plot") for name in ("data", "latent")]
        wait_for(lambda: frame.locator(".live-panes[data-step='0']").count(), "the picture")
        wait_for(lambda: planes[0].bounding_box()["height"] == pytest.approx(0.6 * 640, abs=1), "large planes")
        for part in (*planes, frame.get_by_role("button", name="Play", exact=True)):
            box = part.bounding_box()
            assert box["x"] >= 0 and box["y"] >= 0
            assert box["x"] + box["width"] <= 800 and box["y"] + box["height"] <= 640
        assert frame.locator(".stAppHeader").is_hidden() and frame.locator(".stSidebar").is_hidden()
        page.context.close()
