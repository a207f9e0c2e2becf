"""For teachers: plans and papers of every lesson are made from its file, sheets give no answer away, formulas are read
or refused, and what is for teachers stands in no lesson."""

import re
import xml.etree.ElementTree as ET
from functools import cache
from html import unescape
from math import log

import numpy as np
import pytest

from app.features.teach import papers, slides
from app.features.teach.addresses import Site
from app.features.teach.plans import table
from app.features.teach.questions import wrong
from app.lessons.lesson import Do, Explain, Predict, Teacher
from app.lessons.mathml import mathml
from app.lessons.paper import html, line
from app.lessons.plan import Kind, apportioned, plan
from app.lessons.player import texts
from app.lessons.shelf import shelf
from app.network import Reach, Shared
from app.text import signed
from tests.app.short_lessons import acted

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


@pytest.mark.parametrize(("id", "minutes"), [("series", 15), ("roulette", 45), ("bugs", 90)])
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


# --- papers -----------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("id", ["series", "roulette"])
def test_papers_hold_what_the_lesson_asks_and_the_sheet_no_answer(id):
    done, lesson = acted(id), LESSONS[id]
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


def test_truths_agree_with_closed_forms():
    truths = acted("series").truths
    a = np.array([[0.45, 0.3], [-0.25, 0.2]])
    assert truths["one"] == pytest.approx(np.trace(a) - log(np.linalg.det(np.eye(2) + a)), abs=1e-12)
    assert acted("roulette").truths["rare"] == pytest.approx(0.5**9)
    assert acted("change").truths["sum"] == pytest.approx(log(3))
    assert acted("series").lesson is LESSONS["series"]


# --- formulas and texts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "inside"),
    [
        (r"\frac{1}{2}", "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>"),
        ("A^{-1}", "<msup><mi>A</mi><mrow><mo>−</mo><mn>1</mn></mrow></msup>"),
        ("0.05", "<mn>0.05</mn>"),
        (r"12\,345{,}6", "<mn>12\N{NARROW NO-BREAK SPACE}345,6</mn>"),
        ("f(1,2)", "<mn>1</mn><mo>,</mo><mn>2</mn>"),
        (r"\text{ is one}", "<mtext>&#160;is&#160;one</mtext>"),
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
    [(r"\unheard x", r"\unheard"), (r"\frac{1}", "missing"), ("x}", "}")],
)
def test_a_formula_that_is_not_known_is_refused_by_name(formula, named):
    with pytest.raises(ValueError) as refused:
        mathml(formula)
    assert named in str(refused.value)


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
def test_every_formula_of_the_lessons_is_known(lesson):
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
