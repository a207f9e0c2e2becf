"""The papers of a lesson, each one HTML file that needs nothing else: handout, exercise sheet and solutions."""

from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path

from app.components.qr import code_of
from app.features.teach.addresses import Site
from app.features.teach.questions import (
    LINES,
    Question,
    answer,
    context,
    notes,
    questions,
    room,
    solutions,
    why_right,
    wrong,
)
from app.lessons.acted import Acted
from app.lessons.lesson import Do, Explain, Observe, Predict, Step, Text
from app.lessons.paper import html, line
from app.network import Reach

STYLE = (Path(__file__).parent / "paper.css").read_text()
UNREACHED = {Reach.CLOSED, Reach.NO_NETWORK}
KINDS = {Predict: "Predict", Do: "Do", Explain: "Explain"}


def handout(acted: Acted, site: Site) -> str:
    """The whole lesson to keep: its texts, its questions with their answers, and what to keep."""
    lesson = acted.lesson
    numbers = {question.block.id: question for question in questions(lesson)}
    parts = [_list(map(line, lesson.objectives), "After this lesson you can:")]
    for step in lesson.steps:
        parts.append(_heading(acted, site, step))
        for block in step.blocks:
            match block:
                case Text() | Observe():
                    parts.append(html(acted.read(step, block)))
                case Predict() | Do() | Explain():
                    parts.append(_question(acted, numbers[block.id], _answered))
    parts.append("<h2>What to keep</h2>" + _list(map(line, lesson.key_points)))
    return _page(acted, site, "Handout", "".join(parts))


def exercises(acted: Acted, site: Site) -> str:
    """What the lesson asks for, with room for answers. It holds no truth of a prediction, and nothing that follows
    from one."""
    lines = '<p class="name">Name <span></span> Date <span></span></p>'
    return _page(acted, site, "Exercise sheet", lines + _asked(acted, site, _blank, with_context=True))


def solved(acted: Acted, site: Site) -> str:
    """The same with the answers, what to say to wrong ones, and what teachers are told."""
    return _page(acted, site, "Solutions", _asked(acted, site, _explained, with_context=False))


PAPERS: dict[str, tuple[str, Callable[[Acted, Site], str]]] = {
    "handout": ("Handout", handout),
    "exercises": ("Exercise sheet", exercises),
    "solutions": ("Solutions", solved),
}
"""By their names in addresses: title, and what makes it."""


def _asked(acted: Acted, site: Site, after: Callable[[Acted, Question], str], with_context: bool) -> str:
    parts, asked = [], questions(acted.lesson)
    for step in acted.lesson.steps:
        here = [question for question in asked if question.step is step]
        if not here:
            continue
        parts.append(_heading(acted, site, step))
        if with_context:
            parts += [html(acted.before(step, block.text)) for block in context(step)]
        parts += [_question(acted, question, after) for question in here]
        if not with_context:
            parts += [f'<div class="note">{html(acted.after(step, note.text))}</div>' for note in notes(step)]
    return "".join(parts)


def _question(acted: Acted, question: Question, after: Callable[[Acted, Question], str]) -> str:
    block = question.block
    text = html(f"**{KINDS[type(block)]}.** {acted.read(question.step, block)}")
    return f'<div class="question"><span class="number">{question.number}</span>{text}{after(acted, question)}</div>'


def _blank(acted: Acted, question: Question) -> str:
    """Boxes to tick, or lines to write on."""
    block = question.block
    if not isinstance(block, Predict):
        return '<div class="line"></div>' * LINES[type(block)]
    if block.is_choice:
        options = (f"<li>{line(acted.before(question.step, option))}</li>" for option in block.options.values())
        return f'<ul class="options">{"".join(options)}</ul>'
    between = f" ({room(block)})" if room(block) else ""
    return f'<p><span class="blank">&#160;</span> {line(block.unit)}{escape(between)}</p>'


def _answered(acted: Acted, question: Question) -> str:
    """The right answer, and why."""
    block, step = question.block, question.step
    if isinstance(block, Predict):
        why = why_right(acted, step, block)
        return html(f"**Answer:** {answer(acted, step, block)}") + html(why)
    return ""


def _explained(acted: Acted, question: Question) -> str:
    """The right answer among the others, and what to say to each of these."""
    block, step = question.block, question.step
    if isinstance(block, Do):
        return "".join(html(acted.after(step, one.text)) for one in solutions(step) if one.text)
    if not isinstance(block, Predict):
        return ""
    if block.is_choice:
        truth = acted.truths[block.id]
        marks = {True: ' class="right"', False: ""}
        head = "".join(
            f"<li{marks[name == truth]}>{line(acted.after(step, option))}</li>"
            for name, option in block.options.items()
        )
        head = f'<ul class="options">{head}</ul>'
    else:
        head = html(f"**{answer(acted, step, block)}**")
    said = "".join(
        f'<div class="wrong"><em>{line(given)}:</em> {html(why)}</div>' for given, why in wrong(acted, step, block)
    )
    return head + html(why_right(acted, step, block)) + said


def _heading(acted: Acted, site: Site, step: Step) -> str:
    number = acted.lesson.steps.index(step) + 1
    return f"<h2>{number}. {line(acted.before(step, step.title))}</h2>{_where(site, site.step(acted.lesson, step))}"


def _where(site: Site, link: str) -> str:
    """The address, if others than this machine can open it."""
    if site.shared.reach in UNREACHED:
        return ""
    return f'<p class="where">On the screen: <a href="{escape(link)}">{escape(link)}</a></p>'


def _list(items: Iterable[str], before: str = "") -> str:
    head = f"<p>{escape(before)}</p>" if before else ""
    return f"{head}<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _page(acted: Acted, site: Site, kind: str, body: str) -> str:
    lesson = acted.lesson
    title = f"{lesson.number}. {lesson.title}" if lesson.number else lesson.title
    link = site.step(lesson)
    code = None if site.shared.reach in UNREACHED else code_of(link)
    picture = f'<img src="{escape(code.image)}" alt="QR code of the lesson: {escape(link)}">' if code else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: {kind}</title><style>{STYLE}</style></head>
<body><header class="with-code"><div><h1>{line(title)}</h1><p class="about">{kind}, {escape(lesson.level)} of
university, {lesson.minutes} minutes. After <cite>Residual Flows for Invertible Generative Modeling</cite>,
Chen, Behrmann, Duvenaud and Jacobsen, NeurIPS 2019.</p></div>{picture}</header>
{body}</body></html>
"""
