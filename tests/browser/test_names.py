"""Names that a link or a file brings, in a real browser: nothing is fetched from elsewhere, and nothing leads there."""

from urllib.parse import urlencode, urlparse

import numpy as np
import pytest

from tests.browser.conftest import SMALL, box_at_rest
from tests.browser.test_page import offer, tile
from tests.hostile.names import HOST, MARK, NAMES
from tests.served import wait_for

# What a browser shows of a name by which it would fetch or lead anywhere, in the document and in every shadow root.
FOUND = """() => {
  const found = [], roots = [document];
  while (roots.length) {
    for (const element of roots.pop().querySelectorAll("*")) {
      if (element.shadowRoot) roots.push(element.shadowRoot);
      for (const name of ["href", "xlink:href", "src", "srcset", "action", "data", "poster", "style"]) {
        const value = element.getAttribute(name);
        if (value?.includes("HOST")) found.push(`${element.tagName} ${name}=${value}`);
      }
      const drawn = ["EM", "STRONG", "DEL", "B", "I", "H1", "A"].includes(element.tagName.toUpperCase());
      const marked = drawn || element.matches(".katex, [data-testid=stMarkdownColoredText]");
      if (marked && element.textContent.includes("MARK"))
        found.push(`${element.tagName} of ${element.textContent}`);
    }
  }
  return found;
}""".replace("HOST", HOST).replace("MARK", MARK)


def outside(visitor, server):
    """What was asked of other servers, or leads there."""
    here = urlparse(server.url).netloc
    asked = [url for url in visitor.requested if url.startswith(("http", "ws")) and urlparse(url).netloc != here]
    return asked + visitor.page.evaluate(FOUND)


@pytest.mark.slow
def test_links_with_hostile_names_fetch_nothing_and_lead_nowhere(visit, server):
    for screen, kind in (("explore", "image"), ("learn", "html"), ("stretch", "anchor"), ("memory", "formula")):
        name = NAMES[kind]
        asked = {"flow.name": name, "flow.digest": "1" * 12, "data": "csv", "csv.digest": "0" * 12, "controls": name}
        asked |= {"csv.name": name, "csv.x": name, "csv.y": "y", name: "1", "seed": name} | dict.fromkeys(
            NAMES.values(), "1"
        )
        visitor = visit(query=f"{SMALL}&{urlencode(asked)}", path=f"/{screen}", picture=False)
        visitor.page.get_by_text("This link needs").nth(1).wait_for()
        visitor.wait_for_script()
        wait_for(lambda page=visitor.page: page.locator("code", has_text=MARK).count() >= 4, "the names")
        assert not outside(visitor, server)
        assert not [problem for problem in visitor.problems if problem.startswith("uncaught")]
        visitor.page.context.close()


@pytest.mark.slow
def test_a_file_with_hostile_names_is_drawn_and_nothing_more(visit, server):
    kinds = ("markup", "image", "anchor", "formula", "html")
    points = np.random.default_rng(0).normal(size=(60, 2))
    quoted = ['"{}"'.format(NAMES[kind].replace('"', '""')) for kind in kinds]
    rows = [f"{x:.3f},{y:.3f},{quoted[i % 5]}" for i, (x, y) in enumerate(points.tolist())]
    table = "\n".join([f"{quoted[0]},{quoted[2]},kind", *rows])

    visitor = visit(query=f"{SMALL}&joint.seeds=1")
    tile(visitor, "Your CSV").click()
    sidebar = "[data-testid=stSidebar]"
    visitor.page.locator(f"{sidebar} [data-testid=stFileUploader]").wait_for()
    offer(visitor, sidebar, "points.csv", table)
    title = "document.querySelector('[data-pane=data] .live-plot')?.surface?.picture?.x.title ?? ''"
    wait_for(lambda: visitor.page.evaluate(title).startswith(f"<b>{MARK}</b><a href="), "the file's first column")
    visitor.choose("Label", "kind")
    visitor.wait("[...root.querySelectorAll('.live-classes li')].length === 5", "the classes")
    assert not outside(visitor, server)

    visitor.go("Generate and classify", "How good is it?")
    legend = ".planes-legend"
    wait_for(lambda: visitor.page.locator(legend, has_text=f"<b>{MARK}</b>").count() > 0, "the classes in a legend")
    assert not outside(visitor, server)
    visitor.page.get_by_text("in the window of the data").click()
    box = visitor.page.locator(".st-key-joint-window .planes-plot").nth(1)
    box.scroll_into_view_if_needed()
    wait_for(lambda: box.evaluate("box => Boolean(box.surface?.picture)"), "what is drawn in it")
    size = box_at_rest(box)  # it unfolds
    label = visitor.page.locator(".canvas-tip:not([hidden])", has_text=MARK)
    places = ((x, y) for x in range(3, 10) for y in range(3, 10))

    def pointed_at():
        x, y = next(places)
        visitor.page.mouse.move(size["x"] + size["width"] * x / 12, size["y"] + size["height"] * y / 12)
        visitor.page.wait_for_timeout(100)
        return label.count()

    wait_for(pointed_at, "what stands at a point")
    assert "<b>" in label.first.text_content() or "href" in label.first.text_content()
    assert not outside(visitor, server)
    assert not [problem for problem in visitor.problems if problem.startswith("uncaught")]
