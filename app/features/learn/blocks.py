"""Each kind of block as it is drawn: an entry of `DRAWN`."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import streamlit as st

from app import session
from app.estimates.false_alarm import Rate
from app.estimates.power import POWER
from app.features.learn.prediction import prediction
from app.features.learn.verdicts import DIGITS, Checked, Met, Verdict, met, outcome
from app.lessons.expression import Expression
from app.lessons.lesson import Block, Check, Do, Explain, Hint, Observe, Outcome, Predict, Solution, Text
from app.lessons.looking import LEAST_OWN, may_compare, may_pass, ours, waits_for_again
from app.lessons.observables import OBSERVABLES, Situation
from app.lessons.progress import MOST_TYPED, LessonProgress
from app.lessons.prose import expressions, rendered
from app.lessons.words import Wording, wording
from app.text import signed
from app.ui.glossary import entries, linked

SELDOM = 1e-4
FORMULA_AND_MARK = re.compile(r"(?<![\\$])(\$\$?)([^$]+)\1([.,:;!?)]?)")


@dataclass(frozen=True)
class Words:
    """From texts of a step to what is shown of them."""

    at: Situation
    wording: Wording = field(default_factory=wording)
    linked: set[str] = field(default_factory=set)  # the words of the glossary that have had their link
    drawn: dict[str, str] = field(default_factory=dict)  # each text, with what was shown of it

    def __call__(self, text: str) -> str:
        """With its numbers; what cannot be had is said where it stands."""
        try:
            shown = held(rendered(text, self.at, self.wording))
        except ValueError as error:
            shown = f":red[{error}]"
        self.drawn[text] = shown
        return shown

    def as_read(self, text: str) -> str:
        """For a file: with its numbers, where they can be had."""
        with suppress(ValueError):
            return rendered(text, self.at, self.wording)
        return text

    def to_read(self, text: str) -> str:
        """And with words that lead to the glossary, each once in a step."""
        language = self.wording.language
        return linked(self(text), entries(language), self.linked, language)

    def say(self, key: str, **values: Any) -> str:
        """Of the panel's own words."""
        return self.wording.say(key, **values)

    def number(self, value: float) -> str:
        whole = 10 ** (DIGITS - 1) <= abs(value) < 1e12
        return self.wording.number(signed(f"{value:,.0f}" if whole else f"{value:.{DIGITS}g}"))


def held(text: str) -> str:
    """With each mark taken into the formula before it: a browser would break the line between them."""
    return FORMULA_AND_MARK.sub(lambda found: f"{found[1]}{found[2]}{_as_text(found[3])}{found[1]}", text)


def _as_text(mark: str) -> str:
    return mark and rf"\text{{{mark}}}"


def key(block: Block) -> str:
    return f"lesson.{session.place().lesson}.{block.id}"


def text(block: Text, words: Words, done: LessonProgress, at: Situation) -> None:
    st.markdown(words.to_read(block.text))


def observe(block: Observe, words: Words, done: LessonProgress, at: Situation) -> None:
    st.markdown(f":material/visibility: **{words.say('look')}.** {words.to_read(block.text)}")


def hint(block: Hint, words: Words, done: LessonProgress, at: Situation) -> None:
    with st.expander(words.say("hint"), icon=":material/lightbulb:"):
        st.markdown(words(block.text))


def do(block: Do, words: Words, done: LessonProgress, at: Situation) -> None:
    is_done = block.id in done.done
    icon = ":green[:material/check_circle:]" if is_done else ":material/radio_button_unchecked:"
    st.markdown(f"{icon} **{words.say('done' if is_done else 'do')}.** {words(block.text)}")


def explain(block: Explain, words: Words, done: LessonProgress, at: Situation) -> None:
    st.markdown(f":material/edit: **{words.say('explain')}.** {words(block.text)}")
    known = str(done.answers.get(block.id, ""))
    widget = session.holding(key(block), known)

    def keep() -> None:
        done.answers[block.id] = session.typed(widget)
        session.tell_answer(block.id, words.as_read(block.text), "")

    st.text_area(
        words.say("own_words"), known, key=widget, on_change=keep, label_visibility="collapsed", height=90,
        placeholder=words.say("own_words_are_kept"), max_chars=max(MOST_TYPED, len(known)),
    )  # fmt: skip
    if known:
        _compare(block, words, done)
    else:
        st.button(words.say("keep"), on_click=keep, key=f"{widget}.keep")


def _compare(block: Explain, words: Words, done: LessonProgress) -> None:
    """The lesson's own answer beside one that is kept."""
    step = session.step_open()
    if step is None or not may_compare(step, block):
        st.caption(words.say("kept"))
    elif own := ours(step, block, done):
        st.caption(words.say("kept"))
        with st.expander(words.say("compare_with_ours"), icon=":material/compare_arrows:"):
            st.markdown(words(own.text))
    else:
        st.caption(words.say("kept_but_short", least=LEAST_OWN))


def solution(block: Solution, words: Words, done: LessonProgress, at: Situation) -> None:
    with st.expander(words.say("solution"), icon=":material/key:"):
        if block.text:
            st.markdown(words(block.text))
        if any(action.kind != "answer" for action in block.actions):
            st.button(words.say("do_it_for_me"), on_click=session.act, args=(block.actions,), key=key(block))


def predict(block: Predict, words: Words, done: LessonProgress, at: Situation) -> None:
    st.markdown(f":material/psychology: **{words.say('predict')}.** {words(block.text)}")
    if block.id in done.answers:
        _met(block, words, session.note(met(block, done, at)), done)
        return
    guess, widget = _guess(block, words), key(block)

    def commit() -> None:
        guess = session.typed(widget)
        if guess is None:
            return
        done.answers[block.id] = guess
        answer = words.as_read(block.options[guess]) if block.is_choice else f"{words.number(guess)} {block.unit}"
        session.tell_answer(block.id, words.as_read(block.text), answer.strip())
        session.vote(block.id, guess)
        session.draw_anew()  # with what was hidden until now

    st.button(words.say("commit"), on_click=commit, key=f"{widget}.commit", disabled=guess is None, type="primary")
    first = [words.say("move_the_slider")] if guess is None and block.step is not None else []
    st.caption(" ".join([*first, words.say("commit_stays")]))


def _guess(block: Predict, words: Words) -> Any:
    """None as long as nobody has made one: a slider has to stand somewhere before."""
    if block.is_choice:
        options = {name: words(option) for name, option in block.options.items()}
        return st.radio(
            words.say("your_prediction"), list(options), None, key=key(block), format_func=options.get,
            label_visibility="collapsed",
        )  # fmt: skip
    label = words.say("your_prediction_in", unit=block.unit) if block.unit else words.say("your_prediction")
    if block.step is not None:
        return _slid(block, label, words)
    low, high = (limit if abs(limit) < float("inf") else None for limit in (block.low, block.high))
    return st.number_input(label, low, high, None, key=key(block), format="%g", placeholder=words.say("type_a_number"))


def _slid(block: Predict, label: str, words: Words) -> float | None:
    moved = f"{key(block)}.moved"

    def move() -> None:
        session.fill(moved, True)

    middle = block.low + round((block.high - block.low) / 2 / block.step) * block.step
    digits = max(0, -Decimal(str(block.step)).normalize().as_tuple().exponent)
    form = f"%.{digits}f"
    low, high = (words.wording.number(signed(form % limit)) for limit in (block.low, block.high))
    label = words.say("range", label=label, low=low, high=high)
    value = st.slider(label, block.low, block.high, middle, block.step, form, key=key(block), on_change=move)
    return value if session.typed(moved) else None


def _met(block: Predict, words: Words, found: Met, done: LessonProgress) -> None:
    """The prediction, and beside it the truth once it is known."""
    guess, truth = found.guess, found.truth
    if block.is_choice:
        lines = []
        for name, option in block.options.items():
            marks = {guess: f":blue[**{words.say('you')}**]"}
            marks |= {truth: f":green[**{words.say('the_truth')}** :material/check:]"}
            if guess == name == truth:
                marks[name] = f":green[**{words.say('you_and_the_truth')}** :material/check:]"
            lines.append(f"- {words(option)} {marks.get(name, '')}")
        st.markdown("\n".join(lines))
    elif truth is None:
        st.markdown(words.say("you_said", guess=words.number(guess), unit=block.unit))
    else:
        with_unit = f"{words.number(truth)} {block.unit}".strip()
        off = words.say("off_by", guess=words.number(guess), truth=with_unit, off=words.number(abs(found.off)))
        shown = {"prediction": words.number(guess), "truth": words.number(truth)}
        chart = prediction(guess, truth, block.margin(truth), block.unit, shown, off, words.wording)
        st.altair_chart(chart)
        st.markdown(off)
    if truth is not None:
        _why(block, words, found)
    if not found.possible:
        st.caption(words.say("no_truth"))
    elif truth is None:
        st.caption(words.say(_when_told(block, done)))


def _when_told(block: Predict, done: LessonProgress) -> str:
    """The key of the sentence that says when a truth comes."""
    if waits_for_again(block, done):
        return "truth_again"
    return "truth_from_teacher" if block.id in done.held else "truth_later"


def _why(block: Predict, words: Words, found: Met) -> None:
    """What is said of the answer that was given."""
    verdict = words.say("as_you_said" if found.right else "not_so")
    if not block.is_choice:
        verdict = words.say("right_within" if found.right else "not_within", margin=block.said_margin(words.wording))
    with st.container(key=f"why-{block.id}"):
        st.markdown(f"**{verdict}** {words(block.why.get(found.answer, ''))}".strip())


def check(block: Check, words: Words, done: LessonProgress, at: Situation) -> None:
    st.markdown(f":material/rule: **{words.say('check')}.** {words(block.text)}")
    name, known, unjudged = key(block), session.found(), session.unjudged()
    st.button(words.say("check"), on_click=unjudged.add, args=(name,), key=f"{name}.check")
    if (pressed := name in unjudged) or block.id in done.done or name in known:
        now, problem = outcome(block, at)
        if now.passed and (step := session.step_open()) and not may_pass(step, block, done, at):
            now = Outcome(None)
        if pressed:
            known[name] = now
            unjudged.discard(name)
        if pressed and now.passed and block.id not in done.done:
            done.done.append(block.id)
        # What it says stays until something else is found: the panel is drawn each second. It passes when it is pressed
        # only, since a test by standard errors that is taken each second would pass by chance more often than it says.
        if block.id in done.done or now == known[name]:
            found = session.note(Checked(block.id, now, block.id in done.done, problem))
            _say(block, words, found)
            if found.verdict is Verdict.PASSED_BEFORE and now.passed is False and now == known.get(name):
                _failed(block, words, now)
    if block.false_alarm and (rate := _rate(block, at)):
        st.caption(by_chance(block, rate, words.wording))
    if seen := power(block, at, words.wording):
        st.caption(seen)


def _say(block: Check, words: Words, found: Checked) -> None:
    match found.verdict:
        case Verdict.PASSED:
            st.success(words(block.passes), icon=":material/check:")
        case Verdict.PASSED_BEFORE:  # the numbers of its message would be those of now
            st.success(words.say("passed_before"), icon=":material/check:")
        case Verdict.TOO_FEW:
            draws, needed = (words.wording.number(f"{n:,d}") for n in (found.outcome.draws, found.outcome.needed))
            st.info(words.say("too_few_draws", draws=draws, needed=needed), icon=":material/hourglass:")
        case Verdict.UNKNOWN:
            nothing = words.say("nothing_yet")
            if found.problem:
                nothing = words.say("nothing_with_settings", problem=found.problem)
            st.info(nothing, icon=":material/hourglass:")
        case Verdict.FAILED:
            _failed(block, words, found.outcome)


def _failed(block: Check, words: Words, outcome: Outcome) -> None:
    """A remark says why, and with the numbers that it needs."""
    said = _failure(block, words.at)
    measured = _measured(block, outcome.value, said, words) if said == block.fails else ""
    st.warning(f"{words(said)} {measured}".strip(), icon=":material/close:")


def _failure(block: Check, at: Situation) -> str:
    try:
        return block.failure(at)
    except ValueError:
        return block.fails


def _measured(block: Check, value: Any, said: str, words: Words) -> str:
    """What the check measured, where what is `said` does not hold that number."""
    name, _ = block.observable.names[0]
    observable = OBSERVABLES[name]
    if name == "answer" or not block.observable.is_plain or isinstance(value, str | bool):
        return ""
    if any(_holds(expression, block.observable) for expression, _ in expressions(said)):
        return ""
    number = words.number(value)
    if translated := words.wording.measured.get(name):
        return f"({translated.format(value=number)})"
    return f"({observable.title}: {number} {observable.unit})".replace(" )", ")")


def _holds(said: Expression, measured: Expression) -> bool:
    """Whether a number that is said is what was measured, or calculated from it."""
    return said.is_live and measured.names[0] in said.names


def _rate(block: Check, at: Situation) -> Rate | None:
    """None where the settings as somebody has changed them have no such thing."""
    try:
        return block.rate(at)
    except ValueError:
        return None


def by_chance(block: Check, rate: Rate, words: Wording | None = None) -> str:
    """How often it goes wrong by chance alone."""
    words = words or wording()
    if rate.value < SELDOM:  # no law of large numbers says how much less
        share = words.say("less_than_one_in", tries=words.number(f"{1 / SELDOM:,.0f}"))
    else:
        tries = "share_of_tries" if rate.is_exact else "about_share_of_tries"
        share = words.say(tries, share=words.number(f"{100 * rate.value:.2g}"))
    if not block.errors:
        return words.say("goes_wrong", share=share)
    said = "fails_by_chance" if block.compare == "is" else "so_by_chance"
    return words.say(said, errors=words.number(f"{block.tolerance:g}"), share=share)


def power(block: Check, at: Situation, words: Wording | None = None) -> str:
    """From how many draws on a check notices which difference, and how often; "" where it is not about draws."""
    words = words or wording()
    try:
        needed, sees = block.needed(at), block.sees.of(at) if block.sees else None
    except ValueError:
        return ""
    if not needed:
        return ""
    draws = words.number(f"{needed:,d}")
    if sees is None:
        return words.say("judged_from", draws=draws)
    share, difference = words.number(f"{100 * POWER:.0f}"), words.number(f"{abs(sees):.2g}")
    return words.say("notices", draws=draws, difference=difference, unit=block.of.unit, share=share)


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
