"""Every screen under the content security policy, in a real browser: what is drawn needs nothing that is refused, and
what comes from elsewhere is. And every screen as it is heard: its headings, and the names of its pictures."""

import pytest

from tests.browser.conftest import SMALL, lecture
from tests.browser.test_page import CSV, offer, tile, title_of_x
from tests.served import wait_for

QUICK = f"{SMALL}&compare.seeds=1&joint.seeds=1&activations.seeds=1&data=noisymoons"
PLOT = ".planes-plot canvas"
MAIN_BUTTON = "[data-testid=stMain] button"
# Each screen, or a view of it, with what is there when it is drawn.
SCREENS = [
    ("/", "", ".replay-plane canvas:first-child"),
    ("/learn", "", "[class*=st-key-lessons]"),
    ("/learn", "lesson=series&step=start", "[class*=st-key-lesson_head]"),
    ("/teach", "", "[class*=st-key-teach_lessons]"),
    ("/teach", "lesson=series", "table"),
    ("/explore", QUICK, ".live-panes canvas"),
    ("/stretch", "", PLOT),
    ("/estimator", "", PLOT),
    ("/estimator", f"{QUICK}&bench.view=plane", PLOT),
    ("/lipschitz", QUICK, PLOT),
    ("/lipschitz", "lipschitz.view=budgets", PLOT),
    ("/activations", QUICK, PLOT),
    ("/activations", "activations.view=consequences", PLOT),
    ("/compare", f"{QUICK}&compare.view=spectra", PLOT),
    ("/memory", "", MAIN_BUTTON),
    ("/joint", QUICK, PLOT),
    ("/dimensions", "", ".images canvas"),
    ("/glossary", "", ".katex"),
    ("/paper", "", ".dots"),
]
OTHER_VIEWS = [
    ("/estimator", "bench.view=by_hand&controls=bench.n_terms", ".st-key-terms [data-testid=stMarkdownContainer]"),
    ("/estimator", "bench.view=settings", PLOT),
    ("/lipschitz", f"{QUICK}&lipschitz.view=enforced", PLOT),
    ("/lipschitz", f"{QUICK}&lipschitz.view=norms", PLOT),
    ("/activations", f"{QUICK}&activations.view=inside", PLOT),
    ("/compare", f"{QUICK}&compare.a=residual&compare.b=residual&compare.c=none&compare.view=layers", PLOT),
    ("/joint", f"{QUICK}&joint.view=paper", PLOT),
    ("/dimensions", "dimensions.view=scaling", MAIN_BUTTON),
]
# Whether every pane of the page is drawn.
DRAWN = """() => [...document.querySelectorAll('.planes')].every((root) =>
    root.querySelector('figure') && [...root.querySelectorAll('.planes-plot')].every((box) => box.surface?.picture))"""


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
    """One first heading, and no level skipped below it: once the page stands, which may be drawn anew just now."""

    def in_order():
        levels = visitor.page.evaluate(HEADINGS)
        steps = zip([1, *levels], levels, strict=False)
        return levels.count(1) == 1 and all(level <= before + 1 for before, level in steps)

    wait_for(in_order, "one first heading, and no level skipped")
    wait_for(lambda: visitor.page.evaluate(UNHEARD) == [], "pictures with names")


@pytest.mark.parametrize(
    "screens", [SCREENS, pytest.param(OTHER_VIEWS, marks=pytest.mark.slow)], ids=["screens", "other views"]
)
def test_nothing_that_a_screen_needs_is_refused_and_all_of_it_is_heard_and_fits_a_phone(visit, server, screens):
    """From screen to screen in one browser, as by links."""
    visitor = visit(query="", path="/", picture=False)
    page = visitor.page
    for path, query, drawn in screens:
        if (path, query) != ("/", ""):
            page.goto("about:blank")  # what the page before was still loading is no problem of this one
            visitor.problems.clear()
            page.set_viewport_size({"width": 1440, "height": 900})
            page.goto(f"{server.url}{path}?{query}")
        page.locator(drawn).first.wait_for()
        visitor.wait_for_script()
        page.wait_for_function(DRAWN)
        try:
            heard(visitor)
            assert visitor.fits(390)
            if "controls" in query:  # the table of terms, which scrolls in itself where it does not fit
                assert page.locator(drawn).evaluate("table => table.scrollWidth - table.clientWidth") == 0
        except AssertionError as error:
            raise AssertionError(f"{path}?{query}") from error
        # Streamlit looks for its server below the path of a page first.
        assert [problem for problem in visitor.problems if "404" not in problem] == [], f"{path}?{query}"


def test_files_come_and_go_links_are_copied_and_a_saved_flow_is_opened_by_somebody_else(visit, tmp_path):
    visitor = visit(query=SMALL + "&data=moons")
    visitor.press("1 step")
    visitor.wait("Number(root.dataset.step) === 1", "step 1")
    visitor.all_settings()
    visitor.press_until("File", visitor.page.get_by_role("button", name="Save flow", exact=True), 5)
    with visitor.page.expect_download() as download:
        visitor.press("Save flow")
    assert download.value.suggested_filename == "moons.safetensors"
    file = tmp_path / "moons.safetensors"
    download.value.save_as(file)
    visitor.page.keyboard.press("Escape")
    tile(visitor, "Your CSV").click()
    sidebar = "[data-testid=stSidebar]"
    visitor.page.locator(f"{sidebar} [data-testid=stFileUploader]").wait_for()
    offer(visitor, sidebar, "people.csv", CSV)
    visitor.page.get_by_role("combobox", name="Horizontal").or_(visitor.page.get_by_text("people.csv")).first.wait_for()
    wait_for(lambda: title_of_x(visitor) == "height", "the file's first column")
    visitor.press_until("Share", visitor.page.get_by_role("button", name="Copy link", exact=True), 5)
    visitor.press("Copy link")
    visitor.page.get_by_role("tab", name="QR code").click()
    visitor.page.get_by_role("button", name="QR code of the link").locator("img").wait_for()
    assert refused(visitor) == []

    other = visit(query="blocks=2&width=16&data=moons")
    run = other.data("run")
    other.all_settings()
    popover = "[data-testid=stPopoverBody]"
    other.press_until("File", other.page.locator(f"{popover} [data-testid=stFileUploader]"), 5)
    offer(other, popover, "moons.safetensors", file.read_bytes())
    other.wait(f"root.dataset.run !== {run!r} && root.dataset.step === '0'", "the opened flow")
    other.wait_for_query(blocks="4", width="32", **{"flow.name": "moons.safetensors"})
    assert refused(other) == []


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


def test_what_comes_from_elsewhere_is_refused_and_so_is_another_site_that_would_show_it(visit, server):
    visitor = visit(query="", path="/glossary", picture=False)
    page = visitor.page
    page.locator("#variance").wait_for()
    for directive, attempt in TRIES.items():
        assert page.evaluate(ELSEWHERE.replace("TRY", attempt)) == directive
    with lecture(f'<title>Lecture</title><iframe src="{server.url}/glossary"></iframe>') as port:
        page.goto(f"http://127.0.0.1:{port}")
        wait_for(
            lambda: page.wait_for_timeout(100) or any("frame-ancestors" in problem for problem in visitor.problems),
            "the frame to be refused",
        )
        assert page.title() == "Lecture"
        assert page.frame_locator("iframe").locator("#root").count() == 0
