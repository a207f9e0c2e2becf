"""A prediction and the truth on one line, with the gap between them."""

import altair as alt

from app.lessons.words import Wording
from app.ui.chart_style import GREEN, GREY, ORANGE

HEIGHT = 150
PLAIN = "datum.label"
ROOM = 0.6  # beside the outer of both, in distances between them, for their words
MARGINS = 3.0  # what is right takes up at most a third of the line, so that a near miss looks like one
LABELS = {"prediction": ("chart_guess", ORANGE, "circle"), "truth": ("chart_truth", GREEN, "diamond")}
"""The key of the name of each, its colour and its mark."""


def prediction(
    guess: float, truth: float, margin: float, unit: str, shown: dict[str, str], description: str, words: Wording
) -> alt.TopLevelMixin:
    """`shown` are both numbers as text, by "prediction" and "truth". Within `margin` of the truth a guess is right:
    that part of the line is marked, and the line is never so short that a right guess looks far away."""
    rows = [
        {"value": value, "label": words.say(LABELS[name][0]), "text": shown[name], "row": row}
        for name, value, row in (("prediction", guess, "below"), ("truth", truth, "above"))
    ]
    reach = max(abs(guess - truth), 1e-3 * max(abs(guess), abs(truth)), 1e-9)
    low = min(min(guess, truth) - ROOM * reach, truth - MARGINS * margin)
    high = max(max(guess, truth) + ROOM * reach, truth + MARGINS * margin)
    scale = alt.Scale(domain=[low, high], nice=False)
    # The room is for words: beside two counts or shares no number below 0 is to be read off it.
    label = _tick(words)
    if min(guess, truth) >= 0:
        label = f"datum.value < 0 ? '' : {label}"
    axis = alt.Axis(tickCount=5, grid=False, **({} if label == PLAIN else {"labelExpr": label}))
    x = alt.X("value:Q", title=unit or words.say("chart_axis"), scale=scale, axis=axis)
    keys, colours, shapes = zip(*LABELS.values(), strict=True)
    names = [words.say(key) for key in keys]
    gap = alt.Chart(alt.Data(values=[{"from": guess, "to": truth}])).mark_rule(color=GREY, strokeWidth=3)
    gap = gap.encode(x=alt.X("from:Q", scale=scale), x2="to:Q")
    base = alt.Chart(alt.Data(values=rows))
    marks = base.mark_point(filled=True, size=170, opacity=1).encode(
        x=x,
        color=alt.Color("label:N", scale=alt.Scale(domain=names, range=colours), legend=None),
        shape=alt.Shape("label:N", scale=alt.Scale(domain=names, range=shapes), legend=None),
        tooltip=["label:N", "text:N"],
    )
    layers = [gap, marks]
    if margin:
        right = alt.Chart(alt.Data(values=[{"least": truth - margin, "most": truth + margin}]))
        right = right.mark_rect(color=GREEN, opacity=0.18).encode(x=alt.X("least:Q", scale=scale), x2="most:Q")
        layers.insert(0, right)
    for row, offset in (("above", -18), ("below", 20)):
        told = base.transform_filter(alt.datum.row == row).mark_text(dy=offset, fontSize=12, color=GREY)
        layers.append(told.encode(x=x, text="both:N").transform_calculate(both="datum.label + ' ' + datum.text"))
    return alt.layer(*layers).properties(height=HEIGHT, description=description)


def _tick(words: Wording) -> str:
    """Vega's expression of a number at the axis: it writes 1,234.5."""
    if not words.has_comma:
        return PLAIN
    decimal, thousands = words.number("."), words.number(",")
    return f"replace(replace(replace({PLAIN}, /,/g, 'T'), '.', '{decimal}'), /T/g, '{thousands}')"
