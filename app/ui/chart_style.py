"""What all figures share. Colours are Okabe and Ito's, which colour-blind readers tell apart; never the only signal."""

import altair as alt

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY = "#8C8C8C"
CATEGORIES = [BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION]
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [10, 4], [3, 6]]
HEIGHT = 270


def log_axis() -> alt.Axis:
    """Few enough labels and lines for a scale that spans decades."""
    return alt.Axis(format="~s", tickCount=5, grid=False)


def finished(chart: alt.TopLevelMixin, description: str) -> alt.TopLevelMixin:
    return chart.properties(height=HEIGHT, description=description)
