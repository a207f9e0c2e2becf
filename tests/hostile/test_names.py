"""Names out of links and files on every page that shows them: they are read, and do nothing else. A parser that is not
Streamlit's says what Markdown makes of them."""

import csv
import io
import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import screens
from app.csv_cells import MOST_IN_LABEL
from app.csv_file import CsvError, read_csv, table
from app.lessons.observables import Situation
from app.lessons.progress import LessonProgress, Progress, as_file
from app.lessons.prose import rendered
from app.lessons.shelf import shelf
from app.link import names, read_link
from app.text import csv_of, distinct, escaped, file_name, plain, quoted
from app.ui.data_choice import NO_COLUMN
from app.ui.opening import WANTED
from app.ui.share import SECTIONS
from resflow_core.api import flow_file
from resflow_core.flow import FlowConfig
from tests.app.conftest import local_engine  # noqa: F401
from tests.app.pages import MAIN
from tests.core.oracles import seeded
from tests.hostile.names import BLANK, MARK, NAMES, drawn, lines, marked_up, problems

pytestmark = pytest.mark.usefixtures("local_engine")
ALL = NAMES | BLANK
QUICK = {"blocks": "1", "width": "8", "batch": "16", "compare.seeds": "1", "joint.seeds": "1", "activations.seeds": "1"}
# Views that have the settings beside them.
QUICK |= {"dimensions.view": "memory", "activations.view": "inside", "bench.view": "plane"}
SCREENS = sorted(screen.folder for screen in screens.SCREENS.values() if screen.has_flow and screen.sidebar)
# For what is slow to open. Each text above and below is made by the same functions for all names.
SOME = {key: NAMES[key] for key in ("image", "address", "formula", "code", "bidi")}
# A file cannot have these in its cells, or is refused.
CELLS = {key: name for key, name in NAMES.items() if key not in ("controls", "long")}
POINTS = np.random.default_rng(0).normal(size=(60, len(CELLS)))


# --- one text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL.values(), ids=ALL)
def test_a_name_is_inert_whatever_it_is(name):
    for text in (
        quoted(name),
        escaped(name),
        f"{quoted(name)} and {quoted(name)}",
        f"{escaped(name)}: {escaped(name)}",
    ):
        for around in ("{}", "The file {}.", "| {} |"):
            assert not marked_up(around.format(text)), text
    assert not lines(plain(name))
    assert 1 <= len(plain(name)) <= 40
    assert len(plain(name, 10)) <= 10
    saved = file_name(name)
    assert saved and not set(saved) & set('/\\:*?"<>|`$%\r\n') and not saved.startswith(".")


def test_what_can_be_read_is_left():
    for text in ("height", "my points (2).csv", "x₁", "Größe, in mm"):
        assert plain(text) == text
        assert quoted(text) == f"`{text}`"
    assert escaped("a*b") == r"a\*b"
    assert file_name("my points (2).csv") == "my points (2).csv"
    assert plain("x" * 40) == "x" * 40
    assert plain("x" * 41) == f"{'x' * 39}…"


def test_names_to_choose_from_differ():
    texts = ["a", "a\u200b", "a (2)", "", "?", "x" * 50, "x" * 51]
    found = distinct([*texts, *texts])
    assert list(found) == texts
    assert len(set(found.values())) == len(texts)
    assert found["a"] == "a"
    assert not [problem for name in distinct(ALL.values()).values() for problem in lines(name)]


def test_a_table_to_download_holds_no_formula_of_somebody_elses():
    rows = [{"name": name, name: 1.5, "number": -2.5} for name in ("=1+1", "+1", "-1", "@x", "\t=1", "plain")]
    for row in csv.reader(io.StringIO(csv_of(rows).decode())):
        for cell in row:
            assert not cell.startswith(("=", "+", "@", "\t", "\r"))
            assert not cell.startswith("-") or float(cell) == -2.5


# --- links and files, as sentences ------------------------------------------------------------------------------------


def values_of_every_setting(name):
    known = ("csv.digest", "flow.digest", "controls", "changes", "data")
    return dict.fromkeys(names(), name) | dict.fromkeys(known, name) | {name or "=": name}


@pytest.mark.parametrize("name", ALL.values(), ids=ALL)
def test_what_a_link_is_refused_shows_its_names_and_nothing_more(name):
    files = {"data": "csv", "csv.name": name, "csv.x": name, "csv.y": name, "csv.digest": name}
    changes = {"changes": f"{name};3:{name}={name};5:batch={name}", "controls": name}
    asked = (values_of_every_setting(name), files, changes)
    refused = [sentence for query in asked for sentence in read_link(query).refused]
    assert len(refused) > 100
    for sentence in refused:
        assert not marked_up(sentence)
        assert len(sentence) < 600


def file_of(columns):
    out = io.StringIO()
    csv.writer(out).writerows([list(columns), *zip(*columns.values(), strict=True)])
    return out.getvalue().encode()


@pytest.mark.parametrize("name", CELLS.values(), ids=CELLS)
def test_what_is_wrong_with_a_file_is_said_with_its_names_and_nothing_more(name):
    said = []
    other = {"a": POINTS[:, 0], "b": POINTS[:, 1]}
    wrong = {name: [name, *POINTS[1:, 2]]}
    for columns, x, y, label in (
        ({name: [name] * 60, "a": POINTS[:, 0]}, "", "", None),
        (wrong | other, name.strip(), "a", None),
        (wrong | other, "a", f"{name}!", None),
        (wrong | other, name.strip(), name.strip(), None),
        (wrong | other, "a", "b", name.strip()),
        ({name: POINTS[:, 0], f"{name}2": POINTS[:, 0]}, name.strip(), f"{name}2".strip(), None),
        ({name: np.ones(60), "a": POINTS[:, 0]}, name.strip(), "a", None),
        ({name: np.full(60, 1e200), "a": POINTS[:, 0]}, name.strip(), "a", None),
    ):
        with pytest.raises(CsvError) as refused:
            table(read_csv(name, file_of(columns)), x, y, label)
        said.append(str(refused.value))
    for sentence in said:
        assert not marked_up(sentence)
        assert len(sentence) < 1000


def test_an_answer_in_a_lesson_is_a_text():
    for name in NAMES.values():
        shown = rendered("You said {{answer('words')}}.", Situation(answers={"words": name}))
        assert MARK in shown
        assert not marked_up(shown)
    assert rendered("You said {{answer('words')}}.", Situation(answers={"words": "-2.5"})) == r"You said −2\.5."


# --- pages ------------------------------------------------------------------------------------------------------------


def opened(screen, **query):
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, value in (QUICK | query).items():
        page.query_params[name] = value
    return run(page.switch_page(f"features/{screen}/{screen}.py"))


def run(page_or_widget):
    page = page_or_widget.run()
    assert not page.exception, page.exception
    return page


def shown(page, least=1):
    """All texts of the page that hold a name; none of them does anything."""
    found = [text for text in drawn(page) if MARK in text[2]]
    assert len(found) >= least
    wrong = {(*text, *what) for text in found if (what := problems(*text))}
    assert not wrong
    return [text for _, _, text in found]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_page_shows_what_its_link_needs_and_refuses(name):
    files = {f"csv.{part}": name for part in ("name", "x", "y", "label")} | {"data": "csv", "csv.digest": "0" * 12}
    files |= {"flow.name": name, "flow.digest": "1" * 12}
    page = opened("learn", **files, **{name: "1", "seed": name, "controls": f"{name} data", "changes": name})
    assert sum("link needs" in text for text in shown(page, 5)) == 2


@pytest.mark.parametrize("name", SOME.values(), ids=SOME)
def test_a_page_shows_which_file_was_not_the_one_that_its_link_needs(name):
    need = {"data": "csv", "csv.digest": "0" * 12, "flow.digest": "1" * 12}
    page = opened("learn", **need, **dict.fromkeys(("csv.name", "csv.x", "csv.y", "flow.name"), name))
    for key, reads in (("needed_csv", "csv"), ("needed_flow", "safetensors")):
        wrong = (f"{name}.{reads}", b"nothing of that kind", "")
        page = run(page.file_uploader(key=key).set_value(wrong))
        assert any("another file" in text for text in shown(page))


def test_a_page_shows_which_lesson_there_is_not():
    for name in SOME.values():
        assert any("no lesson" in text for text in shown(opened("learn", lesson=name, step=name, lang=name)))
    opened("learn", lesson="change", step=name, lang=name)


NUMBERS = list(CELLS.values())


def own_file(first):
    """A file whose columns, classes and values are called by hostile names, another one first each time."""
    turned = [*NUMBERS[first:], *NUMBERS[:first]]
    columns = dict(zip(turned, POINTS.T, strict=True))
    classes = [name for name in turned if len(name) <= MOST_IN_LABEL]
    return file_of(columns | {f"kind {MARK} <b>": [classes[i % 12] for i in range(60)]})


@pytest.mark.parametrize(("at", "screen"), list(enumerate(SCREENS)), ids=SCREENS)
def test_a_page_shows_the_columns_and_classes_of_a_file(at, screen):
    page = opened(screen)
    page.session_state["page"].picked = "csv"
    page.session_state[WANTED] = True  # the settings, beside what opens a bench
    page = run(page)
    first = at * len(NUMBERS) // len(SCREENS)
    page = run(page.file_uploader(key="csv").set_value((f"{NUMBERS[first]}.csv", own_file(first), "")))
    assert not [error.value for error in page.error]
    label = page.selectbox(key="csv.label")
    assert label.options[0] == NO_COLUMN
    assert len(set(label.options)) == len(label.options)
    page = run(label.set_value(f"kind {MARK} <b>"))
    own = page.session_state["page"].setup.own
    assert own.choice.x == NUMBERS[first].strip() and len(own.table.classes) == 12
    shown(page, 20)


def test_each_column_of_a_file_can_be_chosen_by_its_name(local_engine):  # noqa: F811
    page = opened("dimensions")
    page.session_state["page"].picked = "csv"
    page = run(run(page).file_uploader(key="csv").set_value(("own.csv", own_file(0), "")))
    for part, at in (("x", 3), ("y", 5), ("x", 7)):
        name = page.selectbox(key=f"csv.{part}").options[at]
        page = run(page.selectbox(key=f"csv.{part}").set_value(name))
        assert not page.error
        assert plain(getattr(page.session_state["page"].setup.own.choice, part)) == name
    page.session_state["share.memory"] = True
    for section in SECTIONS:
        page.session_state["share.section.memory"] = section
        page = run(page)
        assert any(tab.label == section for tab in page.tabs)
        shown(page, 20)


@pytest.mark.parametrize("name", SOME.values(), ids=SOME)
def test_a_page_shows_the_names_of_the_files_that_it_was_given(name):
    page = opened("dimensions")
    flow = flow_file.to_bytes(FlowConfig(blocks=1, width=8).build(seeded(0)))
    page = run(page.file_uploader(key="open_flow").set_value((f"{name}.safetensors", flow, "")))
    assert any("began with" in text for text in shown(page))
    page = run(page.file_uploader(key="open_flow").set_value((f"{name}.safetensors", b"no flow", "")))
    assert any("safetensors" in text for text in shown(page))
    page = run(page.select_slider(key="blocks").set_value(2))
    assert any("you had the flow" in text for text in shown(page))


def test_a_page_shows_what_is_wrong_with_a_file_of_progress_and_what_is_right():
    page = opened("learn")
    for name in SOME.values():
        wrong = json.dumps({"version": name, "lessons": {}}).encode()
        page = run(page.file_uploader(key="progress.learn.upload").set_value((f"{name}.json", wrong, "")))
        assert shown(page)
    lessons = {
        lesson.id: LessonProgress(
            seen=[name],
            done=[name],
            answers=dict.fromkeys(lesson.blocks, name),
            truths=dict.fromkeys(lesson.blocks, name),
        )
        for lesson, name in zip(shelf().originals.values(), NAMES.values(), strict=False)
    }
    page = run(page.file_uploader(key="progress.learn.upload").set_value(("p.json", as_file(Progress(lessons)), "")))
    assert page.session_state["page"].progress.lessons.keys() >= lessons.keys()
    for lesson in lessons:
        page.query_params["lesson"] = lesson
        page = run(page.switch_page("features/learn/learn.py"))
        for text in drawn(page):
            assert not problems(*text)
