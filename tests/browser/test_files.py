"""Files that come and go, and names that a link or a file brings: they are shown, and do nothing."""

from urllib.parse import urlencode, urlparse

import numpy as np
from playwright.sync_api import expect

from app.csv_file import digest_of
from tests.browser.conftest import SMALL, uploaded
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
KINDS = ("markup", "image", "anchor", "formula", "html")
SIDEBAR, POPOVER = "[data-testid=stSidebar]", "[data-testid=stPopoverBody]"


def outside(visitor, server):
    """What was asked of other servers, or leads there."""
    here = urlparse(server.url).netloc
    asked = [url for url in visitor.requested if url.startswith(("http", "ws")) and urlparse(url).netloc != here]
    return asked + visitor.page.evaluate(FOUND)


def title_of_x(visitor):
    plot = "document.querySelector('[data-pane=data] .live-plot')"
    return visitor.page.evaluate(f"{plot}?.surface?.picture?.x.title ?? ''")


def test_files_come_and_go_and_their_names_do_nothing(visit, server, tmp_path):
    points = np.random.default_rng(0).normal(size=(60, 2))
    quoted = ['"{}"'.format(NAMES[kind].replace('"', '""')) for kind in KINDS]
    rows = [f"{x:.3f},{y:.3f},{quoted[i % 5]}" for i, (x, y) in enumerate(points.tolist())]
    table = "\n".join([f"{quoted[0]},{quoted[2]},kind", *rows]).encode()

    # A flow is saved, and opened by somebody else.
    visitor = visit(query=f"{SMALL}&data=moons&joint.seeds=1")
    visitor.press("1 step")
    visitor.wait("Number(root.dataset.step) === 1", "step 1")
    visitor.all_settings()
    visitor.press_until("File", visitor.page.get_by_role("button", name="Save flow", exact=True), 5)
    with visitor.page.expect_download() as download:
        visitor.press("Save flow")
    assert download.value.suggested_filename == "moons.safetensors"
    download.value.save_as(tmp_path / "moons.safetensors")
    visitor.page.keyboard.press("Escape")

    # The picture of a data set chooses it; a file is learnt, and its link asks for it.
    tiles = visitor.page.get_by_role("radio")
    tiles.and_(visitor.page.get_by_role("radio", name="Checkerboard")).click()
    visitor.wait_for_query(data="checkerboard")
    visitor.wait_for_script()
    visitor.page.get_by_role("radio", name="Your CSV").click()
    visitor.page.locator(f"{SIDEBAR} [data-testid=stFileUploader]").wait_for()
    uploaded(visitor, SIDEBAR, "broken.csv", b"a;b\n1;2;3\n")
    visitor.page.get_by_text("Line 2 has 3 cells, but line 1 has 2").wait_for()
    uploaded(visitor, SIDEBAR, "points.csv", table)
    wait_for(lambda: title_of_x(visitor).startswith(f"<b>{MARK}</b><a href="), "the file's first column")
    visitor.wait_for_query(data="csv", **{"csv.digest": digest_of(table)})
    visitor.choose("Label", "kind")
    visitor.wait("[...root.querySelectorAll('.live-classes li')].length === 5", "the classes")
    assert not outside(visitor, server)
    visitor.go("Generate and classify", "How good is it?")
    legend = visitor.page.locator(".planes-legend", has_text=f"<b>{MARK}</b>")
    legend.first.wait_for(state="attached")
    assert not outside(visitor, server) and visitor.complaints == []

    # Somebody else opens the flow, and a link whose names are hostile, too.
    other = visit(query="blocks=2&width=16&data=moons")
    run = other.data("run")
    other.all_settings()
    other.press_until("File", other.page.locator(f"{POPOVER} [data-testid=stFileUploader]"), 5)
    uploaded(other, POPOVER, "moons.safetensors", (tmp_path / "moons.safetensors").read_bytes())
    other.wait(f"root.dataset.run !== {run!r} && root.dataset.step === '0'", "the opened flow")
    other.wait_for_query(blocks="4", width="32", **{"flow.name": "moons.safetensors"})
    for screen, kind in (("explore", "image"), ("stretch", "anchor")):
        name = NAMES[kind]
        asked = {"flow.name": name, "flow.digest": "1" * 12, "data": "csv", "csv.digest": "0" * 12, "controls": name}
        asked |= {"csv.name": name, "csv.x": name, "csv.y": "y", name: "1", "seed": name}
        asked |= dict.fromkeys(NAMES.values(), "1")
        asked |= {"view.zoom": "data:1,0,0,1;loss:;;x", "view.second": "nothing", "view.depth": "99"}
        other.page.goto(f"{server.url}/{screen}?{SMALL}&{urlencode(asked)}")
        expect(other.page.get_by_text("This link needs")).not_to_have_count(0)
        other.wait_for_script()
        wait_for(lambda: other.page.locator("code", has_text=MARK).count() >= 4, "the names")
        assert not outside(other, server)
    assert other.complaints == []
