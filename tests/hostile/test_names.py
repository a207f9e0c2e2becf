"""Names out of links and files: they are read, and do nothing else. A parser that is not Streamlit's says what Markdown
makes of them. What pages make of them: `tests/browser/test_files.py`."""

import csv
import io

import numpy as np
import pytest

from app.csv_file import CsvError, read_csv, table
from app.lessons.observables import Situation
from app.lessons.prose import rendered
from app.link import names, read_link
from app.text import csv_of, distinct, escaped, file_name, plain, quoted
from tests.hostile.names import BLANK, MARK, NAMES, lines, marked_up

ALL = NAMES | BLANK
# A file cannot have these in its cells, or is refused.
CELLS = {key: name for key, name in NAMES.items() if key not in ("controls", "long")}
POINTS = np.random.default_rng(0).normal(size=(60, len(CELLS)))


@pytest.mark.parametrize("name", ALL.values(), ids=ALL)
def test_a_name_is_inert_whatever_it_is(name):
    for text in (quoted(name), escaped(name), f"{escaped(name)}: {quoted(name)}"):
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


def test_a_table_to_download_holds_no_formula_of_somebody_elses():
    rows = [{"name": name, name: 1.5, "number": -2.5} for name in ("=1+1", "+1", "-1", "@x", "\t=1", "plain")]
    for row in csv.reader(io.StringIO(csv_of(rows).decode())):
        for cell in row:
            assert not cell.startswith(("=", "+", "@", "\t", "\r"))
            assert not cell.startswith("-") or float(cell) == -2.5


@pytest.mark.parametrize("name", ALL.values(), ids=ALL)
def test_what_a_link_is_refused_shows_its_names_and_nothing_more(name):
    files = {"data": "csv", "csv.name": name, "csv.x": name, "csv.y": name, "csv.digest": name}
    changes = {"changes": f"{name};3:{name}={name};5:batch={name}", "controls": name}
    asked = (dict.fromkeys(names(), name) | {name or "=": name}, files, changes)
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
    other = {"a": POINTS[:, 0], "b": POINTS[:, 1]}
    wrong = {name: [name, *POINTS[1:, 2]]}
    for columns, x, y, label in (
        ({name: [name] * 60, "a": POINTS[:, 0]}, "", "", None),
        (wrong | other, name.strip(), "a", None),
        (wrong | other, "a", f"{name}!", None),
        (wrong | other, name.strip(), name.strip(), None),
        (wrong | other, "a", "b", name.strip()),
        ({name: np.ones(60), "a": POINTS[:, 0]}, name.strip(), "a", None),
        ({name: np.full(60, 1e200), "a": POINTS[:, 0]}, name.strip(), "a", None),
    ):
        with pytest.raises(CsvError) as refused:
            table(read_csv(name, file_of(columns)), x, y, label)
        assert not marked_up(str(refused.value))
        assert len(str(refused.value)) < 1000


def test_an_answer_in_a_lesson_is_a_text():
    for name in NAMES.values():
        shown = rendered("You said {{answer('words')}}.", Situation(answers={"words": name}))
        assert MARK in shown
        assert not marked_up(shown)
    assert rendered("You said {{answer('words')}}.", Situation(answers={"words": "-2.5"})) == r"You said −2\.5."
