"""Every screen under the content security policy, in a real browser: what is drawn needs nothing that is refused, and
what comes from elsewhere is. And every screen as it is heard: its headings, and the names of its pictures."""

import pytest

from tests.browser.conftest import SMALL, lecture
from tests.browser.test_page import CSV, offer, tile

QUICK = f"{SMALL}&compare.seeds=1&joint.seeds=1&activations.seeds=1&data=noisymoons"
# Each screen, or a view of it, with what is there when it is drawn.
PLOT = ".planes-plot canvas"
MAIN_BUTTON = "[data-testid=stMain] button"
SCREENS = {
    "/": ("", ".replay-plane canvas:first-child"),
    "/learn": ("", "[class*=st-key-lessons]"),
    "/learn ": ("lesson=series&step=start", "[class*=st-key-lesson_head]"),
    "/teach": ("", "[class*=st-key-teach_lessons]"),
    "/teach lesson": ("lesson=series", "table"),
    "/explore": (QUICK, ".live-panes canvas"),
    "/stretch": ("", PLOT),
    "/estimator": ("", PLOT),
    "/estimator settings": ("bench.view=settings", PLOT),
    "/estimator plane": (f"{QUICK}&bench.view=plane", PLOT),
    "/lipschitz": (QUICK, PLOT),
    "/lipschitz enforced": (f"{QUICK}&lipschitz.view=enforced", PLOT),
    "/lipschitz norms": (f"{QUICK}&lipschitz.view=norms", PLOT),
    "/activations": (QUICK, PLOT),
    "/activations inside": (f"{QUICK}&activations.view=inside", PLOT),
    "/compare": (QUICK, PLOT),
    "/memory": ("", MAIN_BUTTON),
    "/joint": (QUICK, PLOT),
    "/dimensions": ("", ".images canvas"),
    "/dimensions scaling": ("dimensions.view=scaling", MAIN_BUTTON),
    "/glossary": ("", ".katex"),
    "/paper": ("", ".dots"),
}


def refused(visitor):
    return [problem for problem in visitor.problems if "Content Security Policy" in problem or "Refused to" in problem]


HEADINGS = "() => [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map((heading) => Number(heading.tagName[1]))"
# Pictures without a name, and those that take clicks and keys and are not reached by Tab. Hidden ones stand in for the
# name of the button around them.
UNHEARD = """() => [...document.querySelectorAll("canvas")].filter((canvas) => {
  const named = canvas.closest("[aria-label], [aria-hidden=true]");
  const used = canvas.closest("[role=application]");
  return !named || (used && used.tabIndex < 0) ||
    (named.ariaHidden && !canvas.closest("button, label, [role=radio], [aria-label]"));
}).map((canvas) => canvas.parentElement.className)"""


def heard(visitor):
    """One first heading, and no level skipped below it."""
    levels = visitor.page.evaluate(HEADINGS)
    assert levels.count(1) == 1, levels
    assert all(level <= before + 1 for before, level in zip([1, *levels], levels, strict=False)), levels
    assert visitor.page.evaluate(UNHEARD) == []


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_that_a_screen_needs_is_refused_and_all_of_it_is_heard(visit, screen):
    query, drawn = SCREENS[screen]
    visitor = visit(query=query, path=screen.split()[0], picture=False)
    visitor.page.locator(drawn).first.wait_for(timeout=60_000)
    visitor.wait_for_script()
    heard(visitor)
    assert refused(visitor) == []
    assert not [problem for problem in visitor.problems if problem.startswith("uncaught")]


def test_files_come_and_go_and_links_are_copied(visit):
    visitor = visit()
    tile(visitor, "Your CSV").click()
    sidebar = "[data-testid=stSidebar]"
    visitor.page.locator(f"{sidebar} [data-testid=stFileUploader]").wait_for()
    offer(visitor, sidebar, "people.csv", CSV)
    visitor.page.get_by_role("combobox", name="Horizontal").or_(visitor.page.get_by_text("people.csv")).first.wait_for()
    visitor.all_settings()
    visitor.press_until("File", visitor.page.get_by_role("button", name="Save flow", exact=True), 5)
    with visitor.page.expect_download() as download:
        visitor.press("Save flow")
    assert download.value.suggested_filename.endswith(".safetensors")
    visitor.page.keyboard.press("Escape")
    visitor.page.get_by_role("button", name="Share", exact=True).click()
    visitor.press("Copy link")
    visitor.page.get_by_role("tab", name="QR code").click()
    visitor.page.get_by_role("button", name="QR code of the link").locator("img").wait_for()
    assert refused(visitor) == []


ELSEWHERE = """() => new Promise((done) => {
  document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective), { once: true });
  setTimeout(() => done("nothing"), 5000);
  TRY
})"""
TRIES = {
    "img-src": "document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x.png' }));",
    "connect-src": "fetch('http://127.0.0.1:9/').catch(() => {});",
    "script-src-elem": "document.body.append(Object.assign(document.createElement('script'), { textContent: '1' }));",
    "script-src-attr": "document.body.insertAdjacentHTML('beforeend', '<i onclick=\"x()\">x</i>');",
    "frame-src": "document.body.append(Object.assign(document.createElement('iframe'), { src: 'http://127.0.0.1' }));",
    "form-action": "const form = document.createElement('form'); form.action = 'http://127.0.0.1:9/'; "
    "document.body.append(form); form.submit();",
}


def test_what_comes_from_elsewhere_is_refused(visit):
    visitor = visit(query="", path="/glossary", picture=False)
    visitor.page.locator("#variance").wait_for()
    for directive, attempt in TRIES.items():
        assert visitor.page.evaluate(ELSEWHERE.replace("TRY", attempt)) == directive


def test_another_site_does_not_show_it_in_a_frame(visit, server):
    visitor = visit(query="", path="/glossary", picture=False)
    with lecture(lambda: f'<title>Lecture</title><iframe src="{server.url}/glossary"></iframe>') as site:
        visitor.page.goto(site)
        visitor.page.wait_for_timeout(1000)
        assert visitor.page.title() == "Lecture"
        assert any("frame-ancestors" in problem for problem in visitor.problems)
        assert visitor.page.frame_locator("iframe").locator("#root").count() == 0
