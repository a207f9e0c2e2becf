"""Every screen under the content security policy, in a real browser: what is drawn needs nothing that is refused, and
what comes from elsewhere is."""

from urllib.parse import parse_qs, urlsplit

import numpy as np
from playwright.sync_api import expect

from tests.browser.conftest import SMALL, lecture
from tests.browser.taken import rows_of, taken
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
    ("/estimator", "bench.view=by_hand&controls=bench.n_terms", ".st-key-terms [data-testid=stMarkdownContainer]"),
    ("/estimator", "bench.view=settings", PLOT),
    ("/lipschitz", f"{QUICK}&lipschitz.view=enforced", PLOT),
    ("/activations", f"{QUICK}&activations.view=inside", PLOT),
    ("/joint", f"{QUICK}&joint.view=paper", PLOT),
    ("/dimensions", "dimensions.view=scaling", MAIN_BUTTON),
]
# Whether every pane of the page is drawn.
DRAWN = """() => [...document.querySelectorAll('.planes')].every((root) =>
    root.querySelector('figure') && [...root.querySelectorAll('.planes-plot')].every((box) => box.surface?.picture))"""


HEADINGS = "() => [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map((heading) => Number(heading.tagName[1]))"


def test_every_screen_in_both_schemes_is_drawn_without_a_complaint(visit, server):
    """From screen to screen in one browser, as by links; the schemes take turns. A screen has one first heading, and no
    level is skipped below it."""
    visitor = visit(query="", path="/", picture=False)
    page = visitor.page
    for k, (path, query, drawn) in enumerate(SCREENS):
        page.goto("about:blank")  # what the page before was still loading is no problem of this one
        visitor.problems.clear()
        page.emulate_media(color_scheme=("light", "dark")[k % 2])
        page.goto(f"{server.url}{path}?{query}")
        page.locator(drawn).first.wait_for()
        visitor.wait_for_script()
        page.wait_for_function(DRAWN)
        levels = wait_for(lambda: (found := page.evaluate(HEADINGS)).count(1) == 1 and found, f"a heading of {path}")
        steps = zip([1, *levels], levels, strict=False)
        assert all(level <= before + 1 for before, level in steps), f"{path}?{query}"
        if path == "/dimensions" and not query:
            has_the_pixels(page)
        assert visitor.complaints == [], f"{path}?{query}"


# What was sent of the first grid of images, and what its canvas shows: the pixels of each image, without the gaps.
PIXELS = """root => {
  const canvas = root.querySelector("canvas");
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  return [width, height, Array.from({ length: width * height }, (_, i) => data[4 * i])];
}"""


def has_the_pixels(page):
    """The digits of the first grid, by its table."""
    root = page.locator(".images").first
    width, height, shown = root.evaluate(PIXELS)
    _, rows = rows_of(taken(page, "CSV", page.locator(".images + [data-take]").first)[1])
    shown, told = np.array(shown).reshape(height, width), np.array(rows, int)
    side = told[:, 2].max() + 1
    found = shown[(told[:, 0] - 1) * side + told[:, 2], (told[:, 1] - 1) * side + told[:, 3]]
    assert len(told) > 1000 and np.corrcoef(found, told[:, 4])[0, 1] > 0.9999


ELSEWHERE = """() => new Promise((done) => {
  document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective), { once: true });
  setTimeout(() => done("nothing"), 60_000);
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


def test_what_comes_from_elsewhere_is_refused_and_so_is_another_site_but_one(visit, server, lecturer_port):
    """A link that was copied opens in a frame of the one site that may show it."""
    visitor = visit(query=f"{SMALL}&data=moons")
    page = visitor.page
    visitor.wait_for_script()
    page.locator("[data-view=truth]").click()
    visitor.wait_for_query(**{"view.second": "truth"})
    shown = page.get_by_role("textbox", name="Link", exact=True)
    visitor.press_until("Share", shown, 5)
    link = wait_for(lambda: "view.second=truth" in (found := shown.input_value()) and found, "what is looked at")
    assert parse_qs(urlsplit(link).query).items() >= {"data": ["moons"], "blocks": ["4"]}.items()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")  # as over plain http
    visitor.press("Copy link")
    page.get_by_role("tab", name="QR code").click()
    page.get_by_role("button", name="QR code of the link").locator("img").wait_for()
    page.keyboard.press("Escape")
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'}))")
    page.locator("#paste").focus()
    page.keyboard.press("Control+V")
    expect(page.locator("#paste")).to_have_value(link)
    for directive, attempt in TRIES.items():
        assert page.evaluate(ELSEWHERE.replace("TRY", attempt)) == directive

    query = urlsplit(link).query
    framed = f'<title>Lecture</title><iframe src="{server.url}/explore?{query}&embed=true" width=800 height=640>'
    visitor.problems.clear()
    with lecture(framed) as port:
        page.goto(f"http://127.0.0.1:{port}")
        page.wait_for_load_state("load")
        wait_for(
            lambda: page.title() == "Lecture" and any("frame-ancestors" in one for one in visitor.problems),
            "the frame to be refused",
        )
        assert page.frame_locator("iframe").locator("#root").count() == 0
    with lecture(framed, lecturer_port):
        page.goto(f"http://localhost:{lecturer_port}")
        frame = page.frame_locator("iframe")
        frame.locator(".live-panes[data-shows=truth]").wait_for()
        frame.get_by_role("button", name="Play", exact=True).wait_for()
        expect(frame.locator(".stAppHeader")).to_be_hidden()
