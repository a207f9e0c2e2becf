"""Each kind of block as it is drawn: an entry of `DRAWN`."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import streamlit as st

from app import session
from app.estimates.false_alarm import Rate
from app.features.learn.prediction import prediction
from app.features.learn.verdicts import DIGITS, Checked, Met, Verdict, met, outcome
from app.lessons.lesson import Block, Check, Do, Explain, Hint, Observe, Predict, Solution, Text
from app.lessons.observables import OBSERVABLES, Situation
from app.lessons.progress import MOST_TYPED, LessonProgress
from app.lessons.prose import rendered
from app.text import signed
from app.ui.fragments import button
from app.ui.glossary import linked

SELDOM = 1e-4
FORMULA_AND_MARK = re.compile(r"(?<![\\$])(\$\$?)([^$]+)\1([.,:;!?)]?)")


@dataclass(frozen=True)
class Words:
    """From texts of a step to what is shown of them."""

    at: Situation
    linked: set[str] = field(default_factory=set)  # the words of the glossary that have had their link
    drawn: dict[str, str] = field(default_factory=dict)  # each text, with what was shown of it

    def __call__(self, text: str) -> str:
        """With its numbers; what cannot be had is said where it stands."""
        try:
            shown = held(rendered(text, self.at))
        except ValueError as error:
            shown = f":red[{error}]"
        self.drawn[text] = shown
        return shown

    def to_read(self, text: str) -> str:
        """And with words that lead to the glossary, each once in a step."""
        return linked(self(text), done=self.linked)


def held(text: str) -> str:
    """With each mark taken into the formula before it: a browser would break the line between them."""
    return FORMULA_AND_MARK.sub(lambda found: f"{found[1]}{found[2]}{_as_text(found[3])}{found[1]}", text)


def _as_text(mark: str) -> str:
    return mark and rf"\text{{{mark}}}"


def key(block: Block) -> str:
    return f"lesson.{session.place().lesson}.{block.id}"


def number(value: float) -> str:
    return signed(f"{value:.{DIGITS}g}")


def text(block: Text, words: Words, done: LessonProgress, at: Situation) -> None:
    st.markdown(words.to_read(block.text))


def observe(block: Observe, words: Words, done: LessonProgress, at: Situation) -> None:
    st.markdown(f":material/visibility: **Look.** {words.to_read(block.text)}")


def hint(block: Hint, words: Words, done: LessonProgress, at: Situation) -> None:
    with st.expander("Hint", icon=":material/lightbulb:"):
        st.markdown(words(block.text))


def do(block: Do, words: Words, done: LessonProgress, at: Situation) -> None:
    is_done = block.id in done.done
    icon = ":green[:material/check_circle:] **Done.**" if is_done else ":material/radio_button_unchecked: **Do.**"
    st.markdown(f"{icon} {words(block.text)}")


def explain(block: Explain, words: Words, done: LessonProgress, at: Situation) -> None:
    st.markdown(f":material/edit: **Explain.** {words(block.text)}")
    known, widget = str(done.answers.get(block.id, "")), key(block)

    def keep() -> None:
        done.answers[block.id] = session.typed(widget)

    session.fill(widget, known)  # a file may have been loaded
    st.text_area(
        "In your words", key=widget, on_change=keep, label_visibility="collapsed", height=90,
        placeholder="In your words; they are kept with your progress", max_chars=max(MOST_TYPED, len(known)),
    )  # fmt: skip
    if known:
        st.caption("Kept.")


def solution(block: Solution, words: Words, done: LessonProgress, at: Situation) -> None:
    with st.expander("Solution", icon=":material/key:"):
        if block.text:
            st.markdown(words(block.text))
        if any(action.kind != "answer" for action in block.actions):
            button("Do it for me", on_click=session.act, args=(block.actions,), key=key(block))


def predict(block: Predict, words: Words, done: LessonProgress, at: Situation) -> None:
    st.markdown(f":material/psychology: **Predict.** {words(block.text)}")
    if block.id in done.answers:
        _met(block, words, session.note(met(block, done, at)))
        return
    guess, widget = _guess(block, words), key(block)

    def commit() -> None:
        guess = session.typed(widget)
        if guess is None:
            return
        done.answers[block.id] = guess
        if block.cover:
            session.draw_anew()

    button("Commit", on_click=commit, key=f"{widget}.commit", disabled=guess is None, type="primary")
    first = "Move the slider to your guess. " if guess is None and block.step is not None else ""
    st.caption(f"{first}A committed prediction stays as it is. The lesson goes on from here.")


def _guess(block: Predict, words: Words) -> Any:
    """None as long as nobody has made one: a slider has to stand somewhere before."""
    if block.is_choice:
        options = {name: words(option) for name, option in block.options.items()}
        return st.radio(
            "Your prediction", list(options), None, key=key(block), format_func=options.get,
            label_visibility="collapsed",
        )  # fmt: skip
    label = f"Your prediction ({block.unit})" if block.unit else "Your prediction"
    if block.step is not None:
        return _slid(block, label)
    low, high = (limit if abs(limit) < float("inf") else None for limit in (block.low, block.high))
    return st.number_input(label, low, high, None, key=key(block), format="%g", placeholder="Type a number")


def _slid(block: Predict, label: str) -> float | None:
    moved = f"{key(block)}.moved"

    def move() -> None:
        session.fill(moved, True)

    middle = block.low + round((block.high - block.low) / 2 / block.step) * block.step
    digits = max(0, -Decimal(str(block.step)).normalize().as_tuple().exponent)
    form = f"%.{digits}f"
    label += signed(f", {form % block.low} to {form % block.high}")
    value = st.slider(label, block.low, block.high, middle, block.step, form, key=key(block), on_change=move)
    return value if session.typed(moved) else None


def _met(block: Predict, words: Words, found: Met) -> None:
    """The prediction, and beside it the truth once it is known."""
    guess, truth = found.guess, found.truth
    if block.is_choice:
        lines = []
        for name, option in block.options.items():
            marks = {guess: ":blue[**← you**]"} | {truth: ":green[**← the truth** :material/check:]"}
            if guess == name == truth:
                marks[name] = ":green[**← you, and the truth** :material/check:]"
            lines.append(f"- {words(option)} {marks.get(name, '')}")
        st.markdown("\n".join(lines))
    elif truth is None:
        st.markdown(f"You said **{number(guess)}** {block.unit}.")
    else:
        with_unit = f"{number(truth)} {block.unit}".strip()
        off = f"You said {number(guess)}, the truth is {with_unit}: off by {number(found.off)}."
        shown = {"prediction": number(guess), "truth": number(truth)}
        st.altair_chart(prediction(guess, truth, block.unit, shown, off))
        st.markdown(off)
    if truth is not None:
        _why(block, words, found)
    if not found.possible:
        st.caption("With the settings as they are, none of this is so. Set the step up again, in the menu above.")
    elif truth is None:
        st.caption("The truth comes with what you do next.")


def _why(block: Predict, words: Words, found: Met) -> None:
    """What is said of the answer that was given."""
    verdict = "As you said." if found.right else "Not so."
    if not block.is_choice and found.right:
        verdict = f"Right, within {_margin(block, found.truth)}."
    with st.container(key=f"why-{block.id}"):
        st.markdown(f"**{verdict}** {words(block.why.get(found.answer, ''))}".strip())


def _margin(block: Predict, truth: float) -> str:
    if block.share:
        return f"{100 * block.near:g} %"
    return f"{block.near:g} {block.unit}".strip()


def check(block: Check, words: Words, done: LessonProgress, at: Situation) -> None:
    st.markdown(f":material/rule: **Check.** {words(block.text)}")
    pressed, known = st.button("Check", key=f"{key(block)}.check"), session.found()
    if pressed or block.id in done.done or key(block) in known:
        now, problem = outcome(block, at)
        if pressed:
            known[key(block)] = now
        if pressed and now.passed and block.id not in done.done:
            done.done.append(block.id)
        # What it says stays until something else is found: the panel is drawn each second. It passes when it is pressed
        # only, since a test by standard errors that is taken each second would pass by chance more often than it says.
        if block.id in done.done or now == known[key(block)]:
            _say(block, words, session.note(Checked(block.id, now, block.id in done.done, problem)))
    if block.false_alarm and (rate := _rate(block, at)):
        st.caption(by_chance(block, rate))


def _say(block: Check, words: Words, found: Checked) -> None:
    match found.verdict:
        case Verdict.PASSED:
            st.success(words(block.passes), icon=":material/check:")
        case Verdict.PASSED_BEFORE:  # the numbers of its message would be those of now
            st.success("You passed before, with other settings or draws.", icon=":material/check:")
        case Verdict.UNKNOWN:
            problem = found.problem and f"with the settings as they are: {found.problem}"
            why = problem or "yet: do first what is asked for above."
            st.info(f"Nothing can be checked {why}", icon=":material/hourglass:")
        case Verdict.FAILED:
            st.warning(f"{words(block.fails)} {_measured(block, found.outcome.value)}", icon=":material/close:")


def _measured(block: Check, value: Any) -> str:
    name, _ = block.observable.names[0]
    observable = OBSERVABLES[name]
    if name == "answer" or not block.observable.is_plain or isinstance(value, str | bool):
        return ""
    return f"({observable.title}: {number(value)} {observable.unit})".replace(" )", ")")


def _rate(block: Check, at: Situation) -> Rate | None:
    """None where the settings as somebody has changed them have no such thing."""
    try:
        return block.rate(at)
    except ValueError:
        return None


def by_chance(block: Check, rate: Rate) -> str:
    """How often it goes wrong by chance alone."""
    if rate.value < SELDOM:  # no law of large numbers says how much less
        share = f"in less than one of {1 / SELDOM:,.0f} tries"
    else:
        share = f"in {'' if rate.is_exact else 'about '}{100 * rate.value:.2g} % of all tries"
    if not block.errors:
        return f"By chance alone it goes wrong {share}."
    within = f"{block.tolerance:g} standard errors"
    if block.compare == "is":
        return f"Within {within}. By chance alone it fails {share}, although all is right."
    return f"By more than {within}. By chance alone that is so {share}."


DRAWN: dict[type, Callable[..., None]] = {
    Text: text,
    Predict: predict,
    Do: do,
    Observe: observe,
    Explain: explain,
    Check: check,
    Hint: hint,
    Solution: solution,
}


def draw(block: Block, words: Words, done: LessonProgress, at: Situation) -> None:
    DRAWN[type(block)](block, words, done, at)
