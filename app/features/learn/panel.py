"""The lesson beside a screen: one step, its blocks as far as they may be seen, and the way to the next."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import streamlit as st

from app import session
from app.components import reading
from app.features.learn import blocks, files, menu
from app.features.learn.verdicts import standing
from app.lessons import looking
from app.lessons.lesson import Block, Check, Do, Explain, Lesson, Observe, Predict, Step, Text
from app.lessons.observables import Situation
from app.lessons.player import wanted_by
from app.lessons.progress import LessonProgress
from app.lessons.prose import expressions
from app.lessons.shelf import shelf
from app.lessons.words import Wording, wording
from app.session import Followed, Resumed, Unpooled
from app.ui import heading
from app.ui.fragments import polled

TICK_SECONDS = 1.0
SENTENCE = re.compile(r"(?<=[.?!])\s+")
KINDS = {Predict: "predict", Do: "do", Check: "check", Explain: "explain"}
UNPOOLED = {Unpooled.SAME_SEED: "in_room_same_seed", Unpooled.OTHER_SETTINGS: "in_room_other_settings"}
PAPER = "[*Residual Flows for Invertible Generative Modeling*](https://arxiv.org/abs/1906.02735)"


def panel(lesson: Lesson, step: Step) -> None:
    """Draw it. While something is still to be done or to be known, and where it speaks of a flow, which may train, it
    looks at the page every second."""
    in_room = session.follow_room(lesson, step)  # first: it says which truths are held back
    done, at = session.progress(), session.situation()
    looking.look(step, done, at)
    waits = _waits(step, looking.shown(step, done), in_room)
    polled(TICK_SECONDS if waits else None)(_panel)(lesson, step, waits)


def agree(step: Step) -> None:
    """Call when the screen is drawn, which looks at the flow anew: what the panel said before is drawn anew where it
    would say something else now. While the flow moves it says of which step it speaks."""
    drawn = session.noted(Said)
    if drawn and drawn.step == step.id and not session.moves() and drawn.differs(session.situation()):
        st.rerun()


@dataclass(frozen=True)
class Said:
    """The texts that the panel has drawn, with what was shown of them."""

    step: str  # its id
    texts: Mapping[str, str]
    words: Wording  # in whose language they are

    def differs(self, at: Situation) -> bool:
        words = blocks.Words(at, self.words)
        return any(words(text) != shown for text, shown in self.texts.items())


def _waits(step: Step, shown: list[Block], in_room: Followed | None) -> bool:
    done, at = session.progress(), session.situation()
    is_open = any(looking.is_open(block, done, at) or _speaks_of_now(block, done) for block in shown)
    return is_open or wanted_by(step) is not None or in_room is not None


def _speaks_of_now(block: Block, done: LessonProgress) -> bool:
    """Whether it shows a verdict, or a number of the screen, either of which the next change makes untrue."""
    if isinstance(block, Check):
        return block.id in done.done or blocks.key(block) in session.found()
    if not isinstance(block, Text | Observe | Do):
        return False
    return any(expression.is_live for expression, _ in expressions(block.text))


def _panel(lesson: Lesson, step: Step, waited: bool) -> None:
    session.settle()
    in_room = session.follow_room(lesson, step)
    if session.step_open() is not step:  # everybody was called to another
        st.rerun()
    done, at = session.progress(), session.situation()
    looking.look(step, done, at)
    menu.head(lesson, step)
    shown = looking.shown(step, done)
    words = blocks.Words(at, lesson.words)
    st.header(words(step.title), anchor=False)
    with st.container(key="lesson_news"):  # always there, so that nothing below it is built anew when it speaks
        if in_room:
            st.caption(f":material/groups: {' '.join(_in_room(in_room, lesson.words))}")
        if resumed := session.resumed():
            _resumed(lesson, step, resumed)
        if session.moves() and wanted_by(step) is not None:
            trained = session.last_report().arms[0].step
            number = lesson.words.number(f"{trained:,}")
            st.caption(f":material/timelapse: {words.say('flow_trains', step=number)}")
        if wanted_by(step) is not None and looking.is_undone(step, done, at):
            st.caption(f":material/history: {words.say('done_before')}")
    task = looking.task(step, done)
    for block in shown:
        # The key stays when the block becomes the task: a browser builds what has another key anew, and loses what
        # somebody is typing in it.
        with st.container(key=_key(block)):
            blocks.draw(block, words, done, at)
            if block is task:
                _mark_task()
    session.note(Said(step.id, dict(words.drawn), lesson.words))
    ended = step is lesson.steps[-1] and not looking.is_asked(step, done)
    if ended:
        _end(lesson, done, words)
    else:
        _left_here(step, done, words)
    _turn(lesson, step, ended and not looking.left(lesson, done), in_room)
    st.caption(words.say("after_paper", paper=PAPER))
    files.keep("panel", lesson.words)
    finished = [_key(block) for block in shown if _is_finished(block, done)]
    reading.follow("lesson", f"{lesson.id}.{step.id}", finished, key="lesson_reading")
    waits = _waits(step, shown, in_room)
    if waits != waited or looking.shown(step, done) != shown:
        st.rerun()  # with another rhythm, or with what waited for a check


def _in_room(in_room: Followed, words: Wording) -> Iterator[str]:
    """Which room it is, and what became of the draws."""
    yield words.say("in_room", code=in_room.code)
    if isinstance(in_room.draws, Unpooled):
        yield f":orange[{words.say(UNPOOLED[in_room.draws])}]"
    elif in_room.draws:
        yield words.say("in_room_draws", n=in_room.draws.n)


def _key(block: Block) -> str:
    """Of the container of a block."""
    return f"lesson-{block.id}"


def _mark_task() -> None:
    """The container in which this stands stays in sight (`lesson.css`)."""
    with st.container(key="lesson_task"):
        st.space(1)


def _is_finished(block: Block, done: LessonProgress) -> bool:
    """Whether it was answered, or is done."""
    return (isinstance(block, Predict) and block.id in done.answers) or block.id in done.done


def way_back(lesson: Lesson, step: Step) -> None:
    """On another screen, while a lesson is open: where it stands, and the way back to it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="lesson_away"):
        at = session.note(standing(lesson, step))
        say = lesson.words.say
        where = say("standing", lesson=at.lesson, title=lesson.title, step=at.step, steps=at.steps)
        st.caption(where, width="content")
        st.button(say("back_to_lesson"), on_click=session.go_back, icon=":material/arrow_back:", type="tertiary")


def covered(step: Step) -> bool:
    """Whether a prediction is to be made before the screen, which shows the truth, is seen."""
    done = session.progress()
    last = looking.shown(step, done)[-1:]
    return any(isinstance(block, Predict) and block.cover and not looking.is_told(block, done) for block in last)


def cover() -> None:
    """What stands in the place of the screen."""
    st.info(wording(session.spoken()).say("covered"), icon=":material/visibility_off:")


def named(block: Block, words: blocks.Words) -> str:
    """A block by its kind and a sentence of it: its question, or what it begins with."""
    sentences = SENTENCE.split(" ".join(block.text.split()))
    questions = [one for one in sentences if one.endswith("?")]
    return f"{words.say(KINDS[type(block)])}: {words((questions or sentences)[-1 if questions else 0])}"


def _left_here(step: Step, done: LessonProgress, words: blocks.Words) -> None:
    """What of the step Next leaves open, by its kinds: the sentences stand above."""
    if left := looking.left_in(step, done):
        with st.container(key="lesson_left"):
            kinds = Counter(words.say(KINDS[type(block)]) for block in left)
            names = ", ".join(kind if number == 1 else f"{kind} ({number})" for kind, number in kinds.items())
            st.caption(words.say("skipped", left=names))


def _end(lesson: Lesson, done: LessonProgress, words: blocks.Words) -> None:
    heading.section(words.say("what_to_keep"))
    # It would give the answers away, those of this step too.
    if any(looking.is_asked(step, done) for step in lesson.steps) or looking.left_in(lesson.steps[-1], done):
        st.caption(words.say("keep_later"))
    else:
        st.markdown("\n".join(f"- {point}" for point in lesson.key_points))
    if not looking.left(lesson, done):
        st.success(words.say("all_done"), icon=":material/done_all:")
        return
    with st.container(key="lesson_left"):
        st.markdown(f"**{words.say('left_in_lesson')}**")
        for number, step in enumerate(lesson.steps, 1):
            if not (here := looking.left_in(step, done)):
                continue
            st.button(
                words.say("step_title", number=number, title=words(step.title)),
                on_click=session.open_step,
                args=(lesson.id, step.id),
                key=f"lesson.left.{step.id}",
            )
            st.caption("\n".join(f"- {named(block, words)}" for block in here))


def _resumed(lesson: Lesson, step: Step, resumed: Resumed) -> None:
    """That the lesson opens where it was, and the way to its beginning."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="lesson_resumed"):
        say = lesson.words.say
        kept = say("answers_kept" if resumed.has_answers else "nothing_answered")
        st.caption(f":material/history: {say('resumed')} {kept}", width="stretch")
        if step is not lesson.steps[0]:
            st.button(
                say("first_step"),
                on_click=session.open_step,
                args=(lesson.id, lesson.steps[0].id),
                key="lesson.first",
            )


def _next_lesson(lesson: Lesson) -> Lesson | None:
    """In the order of the list, in the language of the page."""
    later = [one for one in shelf().originals.values() if one.number > lesson.number]
    there = session.place()
    return shelf().lesson(later[0].id, there.language if there else "") if later else None


def _turn(lesson: Lesson, step: Step, finished: bool, in_room: Followed | None) -> None:
    """Back and on; from a lesson that is `finished`, on to the next one first."""
    index = lesson.steps.index(step)
    say = lesson.words.say
    last = lesson.steps.index(in_room.last) if in_room else len(lesson.steps) - 1
    turns = ((index - 1, "arrow_back", "back"), (index + 1, "arrow_forward", "next"))
    with st.container(horizontal=True, horizontal_alignment="distribute", key="lesson_turn"):
        for to, icon, key in turns:
            there = 0 <= to <= last
            st.button(
                say(key),
                on_click=session.open_step,
                args=(lesson.id, lesson.steps[to].id if there else ""),
                icon=f":material/{icon}:",
                disabled=not there,
                key=f"lesson.{key}",
            )
    if last < len(lesson.steps) - 1 and index >= last:
        st.caption(say("step_not_open"))
    if index + 1 < len(lesson.steps):
        return
    with st.container(horizontal=True, horizontal_alignment="right", key="lesson_end"):
        st.button(say("all_lessons"), on_click=session.leave_lesson, key="lesson.end")
        if after := _next_lesson(lesson):
            st.button(
                say("next_lesson", title=after.title),
                on_click=session.open_step,
                args=(after.id,),
                icon=":material/arrow_forward:",
                key="lesson.after",
                type="primary" if finished else "secondary",
            )
