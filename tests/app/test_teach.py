"""For teachers: plans and papers of every lesson are made from its file, sheets give no answer away, formulas are read
or refused, and what is for teachers stands in no lesson."""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from functools import cache
from html import unescape
from math import ceil, log
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import evidence
from app.features.paper.claims import CLAIMS
from app.features.paper.found import Kind as Verdict
from app.features.teach import papers, slides
from app.features.teach.addresses import Site
from app.features.teach.plans import table
from app.features.teach.questions import questions, wrong
from app.lessons.acted import act_out
from app.lessons.lesson import Check, Do, Explain, Observe, Predict, Teacher, Text
from app.lessons.mathml import mathml
from app.lessons.paper import html, line
from app.lessons.plan import CORE_MINUTES, LENGTHS, Kind, apportioned, plan
from app.lessons.player import texts
from app.lessons.raw import Wrong
from app.lessons.reading import read, read_demonstration
from app.lessons.shelf import DEMONSTRATION, shelf
from app.lessons.words import wording
from app.network import Reach, Shared
from app.screens import SCREENS
from app.text import signed
from tests.app import short_lessons
from tests.app.pages import MAIN, MINUS, metrics, own, press, run, said, shown_step
from tests.app.short_lessons import acted
from tests.app.test_the_example import BIAS, VARIANCE

LESSONS = shelf().originals
URL = "http://203.0.113.7:8501/"
SITE = Site(URL, Shared(URL, Reach.NETWORK))
FEW = 3  # digits of a number that is not in a text by chance


def pages(done):
    return [make(done, SITE) for make in papers.PAPERS.values()] + [slides.slides(done, SITE, SITE)]


@cache
def made(id):
    """The papers of a lesson in English, and its slides."""
    return pages(acted(id))


def words(page):
    """A paper as it is read, without its style and formulas' names."""
    body = re.sub(r"(?s)<style>.*?</style>", "", page)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", body)))


# --- plans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", LESSONS)
def test_steps_say_their_minutes_and_the_core_is_short(id):
    lesson = LESSONS[id]
    assert all(step.minutes >= 1 for step in lesson.steps)
    assert sum(step.minutes for step in lesson.steps) == lesson.minutes
    core = [step for step in lesson.steps if step.core]
    assert 0 < len(core) < len(lesson.steps)
    assert sum(step.minutes for step in core) <= CORE_MINUTES


@pytest.mark.parametrize("minutes", LENGTHS)
@pytest.mark.parametrize("id", LESSONS)
def test_a_plan_fills_its_minutes_with_the_steps_of_the_file(id, minutes):
    lesson = LESSONS[id]
    found = plan(lesson, minutes)
    assert sum(part.minutes for part in found.parts) == minutes
    done = [part.step for part in found.parts if part.step]
    assert done == [step for step in lesson.steps if step.core or minutes > 15]
    assert [*found.skipped] == [step for step in lesson.steps if step not in done]
    assert (found.parts[0].kind, found.parts[-1].kind) == (Kind.OPENING, Kind.CLOSING)
    assert all(part.minutes >= 1 for part in found.parts)
    rows = [row.split("|") for row in table(lesson, found).splitlines()[2:]]
    begins = [60 * int(row[1].split(":")[0]) + int(row[1].split(":")[1]) for row in rows]
    assert begins == [sum(part.minutes for part in found.parts[:at]) for at in range(len(found.parts))]


def test_another_length_is_refused():
    with pytest.raises(ValueError, match=r"30 minutes.*15, 45, 90"):
        plan(LESSONS["series"], 30)


def test_minutes_are_shared_out_in_whole_ones():
    assert apportioned(10, [1, 1, 3]) == [2, 2, 6]
    assert apportioned(3, [100, 1, 1]) == [1, 1, 1]
    generator = np.random.default_rng(0)
    for _ in range(200):
        weights = generator.integers(1, 6, size=generator.integers(1, 8))
        total = int(generator.integers(2 * weights.sum(), 90))
        shares = apportioned(total, weights)
        assert sum(shares) == total
        assert np.all(np.abs(shares - total * weights / weights.sum()) < 1.5)
    with pytest.raises(ValueError, match="2 minutes"):
        apportioned(2, [1, 1, 1])


LESSON = """---
title: A lesson
level: any
minutes: 15
objectives: [One]
prerequisites: []
key_points: [One]
---
::: step first
title: One
screen: estimator
{0}
:::
::: text read
Read.
:::
::: step second
title: Two
screen: estimator
{1}
:::
::: text more
Read more.
:::
"""


@pytest.mark.parametrize(
    ("total", "first", "second", "named"),
    [
        (15, "minutes: 7", "minutes: 7", ("14", "15")),
        (15, "minutes: 15", "", ("second",)),
        (20, "minutes: 17\ncore: true", "minutes: 3", ("17", "16")),
        (15, "minutes: 0", "minutes: 15", ("0",)),
        (15, "minutes: 7", "minutes: 8.5", ("whole number",)),
    ],
)
def test_minutes_that_do_not_fit_are_named(tmp_path, total, first, second, named):
    file = tmp_path / "01-any.md"
    file.write_text(LESSON.format(first, second).replace("minutes: 15", f"minutes: {total}", 1))
    with pytest.raises(Wrong, match=r"^01-any.md:\d+: ") as refused:
        read(file)
    assert all(word in str(refused.value) for word in named)


def test_a_lesson_without_minutes_is_planned_all_the_same(tmp_path):
    file = tmp_path / "01-any.md"
    file.write_text(LESSON.format("", ""))
    for minutes in LENGTHS:
        assert sum(part.minutes for part in plan(read(file), minutes).parts) == minutes


# --- papers -----------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("id", LESSONS)
def test_papers_hold_what_the_lesson_asks_and_the_sheet_no_answer(id):
    done, lesson = acted(id), short_lessons.lesson(id)
    handout, sheet, solutions, shown = made(id)
    asked = [b for b in lesson.blocks.values() if isinstance(b, Predict | Do | Explain)]
    for page in (sheet, solutions, handout):
        assert [int(n) for n in re.findall(r'class="number">(\d+)<', page)] == [*range(1, len(asked) + 1)]
        assert not re.search(r"\{\{|\}\}|…|\bnan\b|\binf\b", words(re.sub("<math.*?</math>", "", page)))
        assert "$" not in words(page)
        assert not re.search(r"""(?:src|href)=["'](?!http://203\.0\.113\.7|data:|#)""", page)
    assert 'class="right"' in solutions or not any(b.is_choice for b in asked if isinstance(b, Predict))
    assert 'class="right"' not in sheet
    for step in lesson.steps:
        for block in step.blocks:
            if isinstance(block, Predict):
                truth = done.truths[block.id]
                mark = line(done.after(step, block.options[truth])) if block.is_choice else signed(f"{truth:.4g}")
                assert mark in solutions
                assert mark in handout
                for name, why in block.why.items():
                    assert html(done.after(step, why)) not in sheet, (block.id, name)
                if not block.is_choice and len(re.sub(r"\D|^0\.0*", "", f"{truth:.4g}")) >= FEW:
                    assert signed(f"{truth:.4g}") not in words(sheet), block.id
                assert len([*wrong(done, step, block)]) >= 1
            if isinstance(block, Teacher):
                assert html(done.after(step, block.text)) in solutions
                assert html(done.after(step, block.text)) not in sheet + handout + shown
    assert shown.count("<iframe") == len(lesson.steps)
    for step in lesson.steps:
        assert f"{URL}learn?lesson={id}&amp;step={step.id}&amp;embed=true" in shown


@pytest.mark.parametrize("id", ["change", "series", "roulette", "bugs"])
def test_the_sheet_is_the_same_whatever_is_true(id):
    done = acted(id)
    others = {
        block.id: next(o for o in block.options if o != done.truths[block.id]) if block.is_choice else 0.123456
        for block in LESSONS[id].blocks.values()
        if isinstance(block, Predict)
    }
    other = replace(done, truths=others)
    assert papers.exercises(other, SITE) == papers.exercises(done, SITE)
    assert papers.solved(other, SITE) != papers.solved(done, SITE)


@pytest.mark.thorough
@pytest.mark.parametrize("id", shelf().lessons["de"])
def test_papers_in_german_are_german_and_say_the_same(id):
    lesson = short_lessons.lesson(id, "de")
    done = replace(acted(id), lesson=lesson)
    german = pages(done)
    for page, original in zip(german, made(id), strict=True):
        shown = words(re.sub("<math.*?</math>", "", page))
        assert page.count('<html lang="de">') == 1 and original.count('<html lang="en">') == 1
        for key in ("predict", "explain", "paper_answer", "paper_vote", "paper_discuss", "what_to_keep", "paper_aims"):
            assert not re.search(rf"\b{re.escape(wording().say(key))}\b[.:]", shown), key
        for part in ('class="number"', 'class="right"', "<h2>", "<iframe", "<details>", 'class="wrong"'):
            assert page.count(part) == original.count(part), part
        assert not re.search(r"\{\{|\}\}|\$|\bnan\b", shown)
    _, _, solutions, _ = german
    for block in lesson.blocks.values():
        if isinstance(block, Predict) and not block.is_choice:
            assert lesson.words.number(signed(f"{done.truths[block.id]:.4g}")) in solutions, block.id
    assert f"{URL}{lesson.number}.1.de" in solutions


def test_the_sheet_reads_nothing_that_follows_a_prediction():
    done = acted("series")
    sheet = words(papers.exercises(done, SITE))
    for step in LESSONS["series"].steps:
        late = False
        for block in step.blocks:
            late |= isinstance(block, Predict)
            if isinstance(block, Text | Observe):
                assert (words(html(done.before(step, block.text))) in sheet) is not late, block.id


def test_truths_agree_with_closed_forms():
    truths = acted("series").truths
    a = np.array([[0.45, 0.3], [-0.25, 0.2]])
    assert truths["one"] == pytest.approx(np.trace(a) - log(np.linalg.det(np.eye(2) + a)), abs=1e-12)
    assert acted("roulette").truths["rare"] == pytest.approx(0.5**9)
    assert acted("change").truths["sum"] == pytest.approx(log(3))
    assert acted("series").lesson is LESSONS["series"]


def test_questions_are_those_of_the_file():
    lesson = LESSONS["roulette"]
    found = questions(lesson)
    assert [q.block.id for q in found] == [
        b.id for b in lesson.blocks.values() if isinstance(b, Predict | Do | Explain) and not isinstance(b, Check)
    ]
    assert [q.number for q in found] == [*range(1, len(found) + 1)]


def test_papers_of_a_closed_server_hold_no_address():
    closed = Site("http://localhost:8501/", Shared("http://localhost:8501/", Reach.CLOSED))
    for make in (papers.exercises, papers.handout, papers.solved):
        assert "localhost" not in make(acted("series"), closed)


@pytest.mark.thorough
def test_the_demonstration_is_computed_of_the_core():
    told = read_demonstration(DEMONSTRATION)
    done = act_out(told)
    assert sum(step.minutes for step in told.steps) == told.minutes == 10
    screens = [step.screen for step in told.steps]
    assert screens == ["", "lipschitz", "estimator", "dimensions", "activations", "paper"], "all of the paper"
    said = {step.id: "".join(done.read(step, block) for block in step.blocks) for step in told.steps}
    assert f"{log(2):.3f}" in said["roulette"] and f"{ceil(VARIANCE / BIAS**2)} draws" in said["roulette"]
    assert f"{BIAS:+.3f}".replace("-", MINUS) in said["roulette"].replace("-", MINUS)
    bytes_of = evidence.stored("dimensions-memory").found["bytes"]["64"]
    assert all(f"{bytes_of[way] / 2**20:.3g} MiB" in said["gradient"] for way in ("plain", "in_forward"))
    arms = evidence.stored("activations-saturation").found
    for name, digits in (("elu", 0), ("lipswish", 1)):
        share = 100 * np.mean([arm["saturated"] for arm in arms[name]])
        assert f"{share:.{digits}f} %" in said["activation"]
    verdicts = Counter(claim.found.kind for claim in CLAIMS.values())
    counts = (len(CLAIMS), verdicts[Verdict.SHOWS], verdicts[Verdict.NOT_DECIDED])
    assert [int(number) for number in numbers_of(said["results"])] == list(counts)
    assert sum(counts[1:]) == counts[0], "the text names no other verdict"
    for step in told.steps:
        assert not any("…" in done.read(step, block) for block in step.blocks)


@pytest.mark.slow
@pytest.mark.usefixtures("local_engine")
@pytest.mark.parametrize("number", range(len(read_demonstration(DEMONSTRATION).steps)))
def test_every_number_of_the_demonstration_is_on_the_screen_that_its_link_opens(number):
    told = read_demonstration(DEMONSTRATION)
    step, done = told.steps[number], act_out(told)
    address = urlsplit(SITE.demonstration(step))
    page = AppTest.from_file(MAIN, default_timeout=600)
    for name, text in parse_qsl(address.query):
        page.query_params[name] = text
    page.switch_page(SCREENS[address.path.strip("/").rpartition("/")[2]].script)
    page = run(page)
    while step.trained and own(page).report.arms[0].step < step.trained:
        page = run(page)
    if step.screen == "estimator":
        page = press(page, "throw.10000")  # as the text asks: a standard error is that of some draws
        while own(page).sample.busy:
            page = run(page)
    shown = {number for text in [*said(page), *metrics(page).values()] for number in numbers_of(text)}
    for block in step.blocks:
        for formula in re.findall("{{(.+?)}}", block.text):
            if formula[0].isalpha():
                (number,) = numbers_of(done.read(step, replace(block, text=f"{{{{{formula}}}}}")))
                assert any(number == pytest.approx(other, abs=0.006) for other in shown), (formula, number, shown)


def numbers_of(text):
    return [float(found.replace(",", "")) for found in re.findall(r"[+-]?\d[\d,]*\.?\d*", text.replace(MINUS, "-"))]


# --- formulas and texts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "inside"),
    [
        (r"\frac{1}{2}", "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>"),
        ("x_1^2", "<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>"),
        ("A^{-1}", "<msup><mi>A</mi><mrow><mo>−</mo><mn>1</mn></mrow></msup>"),
        ("0.05", "<mn>0.05</mn>"),
        ("12,345.6", "<mn>12,345.6</mn>"),
        (r"12\,345{,}6", "<mn>12\N{NARROW NO-BREAK SPACE}345,6</mn>"),
        ("f(1,2)", "<mn>1</mn><mo>,</mo><mn>2</mn>"),
        (r"\text{ is one}", "<mtext>&#160;is&#160;one</mtext>"),
        (r"a < b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
        (
            r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
            "<mn>4</mn></mrow></mtd></mtr></mtable><mo>)</mo>",
        ),
    ],
)
def test_formulas_become_mathml(formula, inside):
    found = mathml(formula)
    assert inside in found
    ET.fromstring(found.replace("&#160;", " "))


def test_limits_stand_above_and_below_only_in_a_line_of_their_own():
    assert "munderover" in mathml(r"\sum_{k=1}^{N} k", display=True)
    assert "msubsup" in mathml(r"\sum_{k=1}^{N} k")


@pytest.mark.parametrize(
    ("formula", "named"),
    [(r"\unheard x", r"\unheard"), (r"\frac{1}", "missing"), ("{x", "missing"), ("x}", "}"), (r"\mathbb{Q}", "Q")],
)
def test_a_formula_that_is_not_known_is_refused_by_name(formula, named):
    with pytest.raises(ValueError) as refused:
        mathml(formula)
    assert named in str(refused.value)


@pytest.mark.parametrize("id", LESSONS)
def test_every_formula_of_the_lessons_is_known(id):
    lesson = LESSONS[id]
    all_texts = [text for block in lesson.blocks.values() for text in texts(block)]
    for text in (*all_texts, *lesson.objectives, *lesson.key_points):
        made = html(re.sub(r"\{\{.+?\}\}", "1.5", text))
        ET.fromstring(f"<p>{re.sub(r'&(?!lt;|gt;|amp;|#)[a-z0-9]+;', ' ', made)}</p>")


def test_texts_are_escaped_and_marked():
    assert line("<script>alert(1)</script> & **b** *i* `<x>`") == (
        "&lt;script&gt;alert(1)&lt;/script&gt; &amp; <strong>b</strong> <em>i</em> <code>&lt;x&gt;</code>"
    )
    assert line("2 &minus; 1") == "2 &minus; 1"
    assert html("One\ntwo\n\n- a\n- b") == "<p>One two</p><ul><li>a</li><li>b</li></ul>"
    assert line("[paper](javascript:alert(1))").startswith("[paper]")


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(local_engine):
    def opened(screen, **query):
        app = AppTest.from_file(str(MAIN), default_timeout=600)
        for name, text in query.items():
            app.query_params[name] = text
        app.switch_page(SCREENS[screen].script)
        app.run()
        assert not app.exception
        return app

    return opened


def test_the_page_lists_all_lessons_and_teaches_one(page):
    app = page("teach")
    assert all(lesson.title in app.button(key=f"teach.{id}").label for id, lesson in LESSONS.items())
    app.button(key="teach.series").click().run()
    assert app.query_params["lesson"] in ("series", ["series"])
    assert LESSONS["series"].title in app.title[0].value
    assert any(text.startswith("| From") for text in said(app))


def rooms_opened_by(app):
    """What the buttons that open a room ask for."""
    links = [link.proto.url for link in app.get("link_button") if "/wall/new?" in link.proto.url]
    return [dict(parse_qsl(urlsplit(link).query)) for link in links]


def test_a_room_is_opened_from_the_top_of_the_list_with_the_choice_of_a_lesson(page):
    app = page("teach")
    assert len(app.selectbox(key="teach.room.lesson").options) == len(LESSONS)
    (first,) = rooms_opened_by(app)
    assert first == {"lesson": next(iter(LESSONS))}
    app.selectbox(key="teach.room.lesson").select("roulette").run()
    assert rooms_opened_by(app) == [{"lesson": "roulette"}]
    app.segmented_control(key="teach.language.room.roulette").set_value("de").run()
    assert rooms_opened_by(app) == [{"lesson": "roulette", "lang": "de"}]
    keys = [element.key for element in app.main if getattr(element, "key", None)]
    assert keys.index("teach.room.lesson") < min(keys.index(f"teach.{id}") for id in LESSONS)


def test_a_room_is_opened_from_the_top_of_a_lessons_own_page(page):
    app = page("teach", lesson="roulette")
    assert rooms_opened_by(app) == [{"lesson": "roulette"}]
    kinds = [element.type for element in app.main]
    assert kinds.index("link_button") < kinds.index("tab")


@pytest.mark.parametrize("asked", ["nope", "<script>alert(1)</script>", "../series", "x" * 5000, "`[a](b)", "\0"])
def test_an_unknown_lesson_is_said_and_the_list_is_there(page, asked):
    app = page("teach", lesson=asked)
    (warning,) = app.warning
    assert len(warning.value) < 200
    assert all(app.button(key=f"teach.{id}") for id in LESSONS)


@pytest.mark.thorough
def test_notes_stand_in_no_lesson(page):
    app = page("learn", lesson="series")
    app.switch_page(SCREENS[shown_step(app).screen].script)
    own(app).progress.of("series").answers["one"] = 0.05
    app.run()
    shown = " ".join(said(app))
    assert "Cut the series after its first term" in shown
    notes = [block for block in LESSONS["series"].steps[0].blocks if isinstance(block, Teacher)]
    assert notes
    assert not any(block.text[:40] in shown for block in notes)
    assert not app.toggle
    assert not [link for link in app.get("page_link") if "teach" in link.proto.page]
