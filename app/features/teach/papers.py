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

STYLE = (Path(__file__).parent / "paper.css").read_text()
KINDS = {Predict: "predict", Do: "do", Explain: "explain"}


def handout(acted: Acted, site: Site) -> str:
    """The whole lesson to keep: its texts, its questions with their answers, and what to keep."""
    lesson = acted.lesson
    numbers = {question.block.id: question for question in questions(lesson)}
    say = lesson.words.say
    parts = [_list(map(line, lesson.objectives), say("paper_aims"))]
    for step in lesson.steps:
        parts.append(_heading(acted, site, step))
        for block in step.blocks:
            match block:
                case Text() | Observe():
                    parts.append(html(acted.read(step, block)))
                case Predict() | Do() | Explain():
                    parts.append(_question(acted, numbers[block.id], _answered))
    parts.append(f"<h2>{escape(say('what_to_keep'))}</h2>" + _list(map(line, lesson.key_points)))
    return _page(acted, site, "handout", "".join(parts))


def exercises(acted: Acted, site: Site) -> str:
    """What the lesson asks for, with room for answers. It holds no truth of a prediction, and nothing that follows
    from one."""
    name, date = (escape(acted.lesson.words.say(key)) for key in ("paper_name", "paper_date"))
    lines = f'<p class="name">{name} <span></span> {date} <span></span></p>'
    return _page(acted, site, "exercises", lines + _asked(acted, site, _blank, with_context=True))


def solved(acted: Acted, site: Site) -> str:
    """The same with the answers, what to say to wrong ones, and what teachers are told."""
    return _page(acted, site, "solutions", _asked(acted, site, _explained, with_context=False))


PAPERS: dict[str, Callable[[Acted, Site], str]] = {"handout": handout, "exercises": exercises, "solutions": solved}
"""What makes each, by its name in addresses."""
SLIDES = "slides"
TITLES = {
    "handout": "paper_handout",
    "exercises": "paper_exercises",
    "solutions": "paper_solutions",
    SLIDES: "paper_slides",
}
"""The keys of their titles among the words of lessons."""


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
    kind = acted.lesson.words.say(KINDS[type(block)])
    text = html(f"**{kind}.** {acted.read(question.step, block)}")
    return f'<div class="question"><span class="number">{question.number}</span>{text}{after(acted, question)}</div>'


def _blank(acted: Acted, question: Question) -> str:
    """Boxes to tick, or lines to write on."""
    block = question.block
    if not isinstance(block, Predict):
        return '<div class="line"></div>' * LINES[type(block)]
    if block.is_choice:
        options = (f"<li>{line(acted.before(question.step, option))}</li>" for option in block.options.values())
        return f'<ul class="options">{"".join(options)}</ul>'
    limits = room(block, acted.lesson.words)
    between = f" ({limits})" if limits else ""
    return f'<p><span class="blank">&#160;</span> {line(block.unit)}{escape(between)}</p>'


def _answered(acted: Acted, question: Question) -> str:
    """The right answer, and why."""
    block, step = question.block, question.step
    if isinstance(block, Predict):
        why = why_right(acted, step, block)
        return html(f"**{acted.lesson.words.say('paper_answer')}:** {answer(acted, step, block)}") + html(why)
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
        f'<div class="wrong"><em>{line(given.removesuffix("."))}:</em> {html(why)}</div>'
        for given, why in wrong(acted, step, block)
    )
    return head + html(why_right(acted, step, block)) + said


def _heading(acted: Acted, site: Site, step: Step) -> str:
    number = acted.lesson.steps.index(step) + 1
    return f"<h2>{number}. {line(acted.before(step, step.title))}</h2>{_where(acted, site, step)}"


def _where(acted: Acted, site: Site, step: Step) -> str:
    """The address, short enough to be typed, if others than this machine can open it."""
    if not site.shared.is_open:
        return ""
    link, before = escape(site.board(acted.lesson, step)), escape(acted.lesson.words.say("paper_on_screen"))
    return f'<p class="where">{before} <a href="{link}">{link}</a></p>'


def _list(items: Iterable[str], before: str = "") -> str:
    head = f"<p>{escape(before)}</p>" if before else ""
    return f"{head}<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _page(acted: Acted, site: Site, name: str, body: str) -> str:
    lesson = acted.lesson
    title = f"{lesson.number}. {lesson.title}" if lesson.number else lesson.title
    words, link = lesson.words, site.board(lesson)
    kind = words.say(TITLES[name])
    code = code_of(link) if site.shared.is_open else None
    alt = escape(f"{words.say('paper_code')}: {link}")
    picture = f'<img src="{escape(code.image)}" alt="{alt}">' if code else ""
    level, minutes = words.say("of_level", level=lesson.level), words.say("minutes", minutes=lesson.minutes)
    source = words.say("after_paper", paper="<cite>Residual Flows for Invertible Generative Modeling</cite>")
    return f"""<!doctype html>
<html lang="{words.language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: {escape(kind)}</title><style>{STYLE}</style></head>
<body><header class="with-code"><div><h1>{line(title)}</h1><p class="about">{escape(kind)}, {escape(level)},
{escape(minutes)}. {source}</p></div>{picture}</header>
{body}</body></html>
"""
