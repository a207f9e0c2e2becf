"""Plans of a lesson for 15, 45 and 90 minutes, as tables."""

import streamlit as st

from app.lessons.lesson import Check, Do, Explain, Lesson, Predict
from app.lessons.plan import LENGTHS, Kind, Part, Plan, plan
from app.text import markdown_table

ABOUT = {
    15: "A part of a lecture. You show only the most important steps on your screen, and the class votes by hand.",
    45: "One lesson. Everyone has the page open, goes through all steps, and you discuss each vote.",
    90: "A double lesson. All steps as in 45 minutes, then the questions in words, and the exercise sheet on paper.",
}
WHAT = {
    Kind.OPENING: "Say what the lesson is for. Give the link, and let everyone open it.",
    Kind.DISCUSSION: "Pairs answer the questions in words. Then some read theirs aloud.",
    Kind.PAPER: "The class works on the exercise sheet, alone and if possible without the screen.",
    Kind.SOLUTIONS: "Go through the solutions. Ask for the reason before you show it.",
    Kind.CLOSING: "Read *What to keep* together, and give out the handout.",
}
TITLES = {
    Kind.OPENING: "Begin",
    Kind.DISCUSSION: "Discuss",
    Kind.PAPER: "On paper",
    Kind.SOLUTIONS: "Solutions",
    Kind.CLOSING: "Close",
}


def show(lesson: Lesson) -> None:
    """The plan of the length that is chosen."""
    minutes = st.segmented_control(
        "Minutes",
        LENGTHS,
        default=45,
        required=True,
        format_func=lambda one: f"{one} min",
        key=f"teach.plan.{lesson.id}",
    )
    found = plan(lesson, minutes)
    st.markdown(ABOUT[minutes])
    st.markdown(table(lesson, found))
    if found.skipped:
        titles = ", ".join(f"*{step.title}*" for step in found.skipped)
        st.markdown(f"Left out: {titles}. They can be done at home, and nothing in the plan needs them.")
    st.markdown("**Aims**\n" + "\n".join(f"- {aim}" for aim in lesson.objectives))


def table(lesson: Lesson, found: Plan) -> str:
    rows, begins = [("From", "Minutes", "Part", "What happens"), ("--:", "--:", ":--", ":--")], 0
    for part in found.parts:
        rows.append(
            (f"0:{begins:02}" if begins < 60 else f"1:{begins - 60:02}", str(part.minutes), *_told(lesson, part, found))
        )
        begins += part.minutes
    return markdown_table(rows)


def _told(lesson: Lesson, part: Part, found: Plan) -> tuple[str, str]:
    """Title, and what happens."""
    if part.step is None:
        return TITLES[part.kind], WHAT[part.kind]
    step = part.step
    asked = [block for block in step.blocks if isinstance(block, Predict | Do | Check | Explain)]
    counts = [(Predict, "vote", "votes"), (Do, "task on the screen", "tasks on the screen"), (Check, "check", "checks")]
    if found.minutes == LENGTHS[1]:
        counts.append((Explain, "question in words", "questions in words"))
    told = [
        f"{number} {one if number == 1 else more}"
        for kind, one, more in counts
        if (number := sum(isinstance(block, kind) for block in asked))
    ]
    return f"Step {lesson.steps.index(step) + 1}: {step.title}", ", ".join(told) or "Read and look"
