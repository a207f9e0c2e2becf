"""Slides of a lesson: a page of one window each, with the live step in a frame. No script: keys that turn a page turn
the slide."""

from html import escape
from pathlib import Path

from app.components.qr import code_of
from app.features.teach.addresses import Site
from app.features.teach.questions import answer, why_right
from app.lessons.acted import Acted
from app.lessons.lesson import Explain, Predict, Step
from app.lessons.paper import html, line
from app.lessons.words import Wording
from app.ui.share import frame_of

STYLE = (Path(__file__).parent / "slides.css").read_text()


def slides(acted: Acted, site: Site, frames: Site) -> str:
    """One HTML file. `site` is what students open, and `frames` where the frames find the app."""
    lesson, words = acted.lesson, acted.lesson.words
    title = f"{lesson.number}. {lesson.title}"
    ids = ["title", *(step.id for step in lesson.steps), "keep"]
    made = [_title(acted, site, title), *(_step(acted, frames, step) for step in lesson.steps), _keep(acted)]
    sections = "".join(
        f'<section id="{at}"{" class=title" if at in ("title", "keep") else ""}>'
        f"<header>{head}{_turn(ids, index, words)}</header>{body}</section>"
        for index, (at, (head, body)) in enumerate(zip(ids, made, strict=True))
    )
    return f"""<!doctype html>
<html lang="{words.language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: {escape(words.say("paper_slides"))}</title><style>{STYLE}</style></head>
<body>{sections}</body></html>
"""


def _turn(ids: list[str], index: int, words: Wording) -> str:
    ways = [("←", words.say("paper_turn_back"), index - 1), ("→", words.say("paper_turn_on"), index + 1)]
    links = (
        f'<a href="#{ids[to]}" aria-label="{escape(name)}">{mark}</a>' for mark, name, to in ways if 0 <= to < len(ids)
    )
    return f"<nav>{' '.join(links)}</nav>"


def _title(acted: Acted, site: Site, title: str) -> tuple[str, str]:
    aims = "".join(f"<li>{line(aim)}</li>" for aim in acted.lesson.objectives)
    link, alt = site.board(acted.lesson), escape(acted.lesson.words.say("paper_code"))
    code = code_of(link) if site.shared.is_open else None
    picture = f'<p><img src="{escape(code.image)}" alt="{alt}"><br>{escape(link)}</p>' if code else ""
    return f"<h1>{line(title)}</h1>", f'<div class="said"><ul>{aims}</ul></div><div>{picture}</div>'


def _step(acted: Acted, frames: Site, step: Step) -> tuple[str, str]:
    """Its questions, with the answers folded away, beside the live step."""
    parts, say = [], acted.lesson.words.say
    for block in step.blocks:
        if isinstance(block, Predict):
            options = "".join(f"<li>{line(acted.before(step, option))}</li>" for option in block.options.values())
            parts.append(
                html(f"**{say('paper_vote')}.** {acted.read(step, block)}")
                + (f'<ul class="options">{options}</ul>' * bool(options))
            )
            told = html(f"**{answer(acted, step, block)}**") + html(why_right(acted, step, block))
            parts.append(f"<details><summary>{escape(say('paper_answer'))}</summary>{told}</details>")
        elif isinstance(block, Explain):
            parts.append(html(f"**{say('paper_discuss')}.** {acted.read(step, block)}"))
    number = acted.lesson.steps.index(step) + 1
    said = f'<div class="said">{"".join(parts)}</div>'
    frame = frame_of(frames.step(acted.lesson, step)).replace(
        "Residual flows", escape(say("paper_live", number=number)), 1
    )
    return f"<h2>{number}. {line(acted.before(step, step.title))}</h2>", f"{said}<div>{frame}</div>"


def _keep(acted: Acted) -> tuple[str, str]:
    points = "".join(f"<li>{line(point)}</li>" for point in acted.lesson.key_points)
    return f"<h1>{escape(acted.lesson.words.say('what_to_keep'))}</h1>", f'<div class="said"><ul>{points}</ul></div>'
