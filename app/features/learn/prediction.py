"""A prediction and the truth on one line, with the gap between them."""

import altair as alt

from app.ui.chart_style import GREEN, GREY, ORANGE

HEIGHT = 150
ROOM = 0.6  # beside the outer of both, in distances between them, for their words
LABELS = {"prediction": ("your prediction", ORANGE, "circle"), "truth": ("the truth", GREEN, "diamond")}


def prediction(guess: float, truth: float, unit: str, shown: dict[str, str], description: str) -> alt.TopLevelMixin:
    """`shown` are both numbers as text, by "prediction" and "truth"."""
    rows = [
        {"value": value, "label": LABELS[name][0], "text": shown[name], "row": row}
        for name, value, row in (("prediction", guess, "below"), ("truth", truth, "above"))
    ]
    reach = max(abs(guess - truth), 1e-3 * max(abs(guess), abs(truth)), 1e-9)
    scale = alt.Scale(domain=[min(guess, truth) - ROOM * reach, max(guess, truth) + ROOM * reach], nice=False)
    # The room is for words: beside two counts or shares no number below 0 is to be read off it.
    positive = {"labelExpr": "datum.value < 0 ? '' : datum.label"} if min(guess, truth) >= 0 else {}
    axis = alt.Axis(tickCount=5, grid=False, **positive)
    x = alt.X("value:Q", title=unit or "your prediction and the truth", scale=scale, axis=axis)
    names, colours, shapes = zip(*LABELS.values(), strict=True)
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
    for row, offset in (("above", -18), ("below", 20)):
        words = base.transform_filter(alt.datum.row == row).mark_text(dy=offset, fontSize=12, color=GREY)
        layers.append(words.encode(x=x, text="both:N").transform_calculate(both="datum.label + ' ' + datum.text"))
    return alt.layer(*layers).properties(height=HEIGHT, description=description)
