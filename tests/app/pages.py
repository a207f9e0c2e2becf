"""What a page under AppTest has found and drawn, as values."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from app.engine.training import weights
from app.lessons.shelf import shelf
from app.link import VIEW
from resflow_core.measure import flow_shape, folded_numbers

MAIN = Path(__file__).parents[2] / "app" / "page.py"
SMALL = {"blocks": "2", "width": "16", "batch": "64", "data": "moons", "seed": "3", "device": "cpu"}
MINUS = "\N{MINUS SIGN}"


def go(page, screen):
    page.switch_page(screen)
    return run(page)


def run(page_or_widget):
    page = page_or_widget.run()
    assert not page.exception, page.exception
    assert len(page.title) == 1
    assert not re.search(
        r"\b(nan|inf|None|undecided)\b", " ".join(said(page)).partition("Parts of the link could not be")[0]
    )
    for pane in panes(page):
        assert len(pane["alt"]) > 30 and not re.search(r"\b(nan|inf)\b", pane["alt"])
    return page


def shown_step(page):
    """The step of a lesson that is open."""
    place = own(page).lesson
    return next(step for step in shelf().lesson(place.lesson).steps if step.id == place.step)


def press(page, key):
    return run(page.button(key=key).click())


def said(page):
    """Everything that is written on the page, without the style sheet."""
    kinds = (page.main.markdown, page.main.info, page.main.caption, page.main.error, page.main.warning)
    return [element.value for kind in kinds for element in kind if "<style" not in element.value]


def sentence(page, begins):
    (found,) = [text[text.index(begins) :] for text in said(page) if begins in text]
    return found


def panes(page):
    return [pane for data in _components(page) for pane in data.get("panes") or ()]


def drawn_flows(page):
    """Header and numbers of all flows that the browser draws in panes, by the names that these call them."""
    flows = [flow for data in _components(page) for flow in (data.get("flows") or {}).items()]
    return {name: weights.decode(base64.b64decode(text)) for name, text in flows}


def is_drawn(page, flow, name):
    """Whether what browsers draw by this name is the flow."""
    header, numbers = drawn_flows(page)[name]
    return header["flow"] == flow_shape(flow) and np.allclose(numbers, folded_numbers(flow), rtol=1e-5, atol=1e-6)


def _components(page):
    """The data of all that have some."""
    found = [json.loads(e.proto.json or "null") for e in page.main if e.type == "bidi_component"]
    return [data for data in found if isinstance(data, dict)]


def metrics(page):
    return {metric.label: metric.value for metric in page.metric}


def link(page):
    """What the address says of the run; not what the browser alone makes of it."""
    texts = {name: value if isinstance(value, str) else value[0] for name, value in page.query_params.items()}
    return {name: text for name, text in texts.items() if not name.startswith(VIEW)}


def copied_link(page):
    """The query that Share, which stands open, offers to copy."""
    (field,) = (e.proto for e in page.main if e.type == "bidi_component" and e.proto.component_name == "resflow_share")
    return dict(parse_qsl(urlsplit(json.loads(field.json)["text"]).query, keep_blank_values=True))


def own(page):
    return page.session_state["page"]


def number(text):
    return float(text.replace(MINUS, "-").replace(",", ""))


def table(page, begins):
    """The cells of a table by the first one of each row, Markdown's rulers left out."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in sentence(page, begins).splitlines()]
    return {row[0]: row[1:] for row in (rows[0], *rows[2:])}


def finding(page, kind):
    """The newest value of this type that the page's screens have found (`session.note`)."""
    return page.session_state["page"].findings[kind]


def decode(packed):
    """What unpack.js does: little-endian bytes, row-major."""
    dtype = np.dtype(packed["dtype"]).newbyteorder("<")
    return np.frombuffer(base64.b64decode(packed["base64"]), dtype).reshape(packed["shape"])


def weights_of(scene):
    """What a live picture is told to draw a flow from: the header of the message, and the numbers."""
    return weights.decode(base64.b64decode(scene["weights"]))


def curves(chart):
    """The points of each path of a chart, (n, 2), in the order in which they are drawn."""
    return [decode(path["points"]) for path in chart["paths"]]


def keys(page):
    """The keys of all that has one on the page: widgets, containers and components, in their order."""
    ids = (getattr(getattr(part, "proto", None), "id", "") for part in (*page.main, *page.sidebar))
    found = (re.fullmatch(r"\$\$ID-[0-9a-f]+-(.+)", id) for id in ids)
    return [match[1] for match in found if match and match[1] != "None"]


def named(message):
    """The words and numbers that a message names, without the marks around them."""
    return {word.strip(".,:;()`*'\"") for word in message.split()}
