"""Whether the page's data can be classified, and what to do where they cannot."""

import streamlit as st

from app import session
from app.csv_file import MISSING_LABEL, MOST_LABELS, CsvError
from app.setup import Setup
from app.text import escaped
from resflow_core.data import DATASETS

GOOD = "noisymoons"


def ready(setup: Setup) -> bool:
    """Whether there are classes; else says what is missing, and how to get it."""
    dataset = setup.dataset
    if dataset.classes:
        if MISSING_LABEL in dataset.classes:
            n = dataset.labels.count(MISSING_LABEL)
            st.warning(
                f"{n:,} row{'s' * (n > 1)} of your file {'have' if n > 1 else 'has'} no label, and {MISSING_LABEL} "
                "counts as a separate class. Fill in the labels, or delete the lines."
            )
        return True
    st.info(f"The points of {escaped(dataset.title)} have no classes to tell apart. {_remedy(setup)}")
    known = ", ".join(other.title for other in DATASETS.values() if other.classes)
    st.markdown(f"Data with classes are: {known}; drawings in two colours; and CSV files with a label column.")
    if session.offered("data"):
        st.button("Use the noisy moons", on_click=_take, args=(setup,), key="joint.take", type="primary")
    return False


def _take(setup: Setup) -> None:
    session.use(GOOD, setup.flow, setup.train)


def _remedy(setup: Setup) -> str:
    if setup.own is None:
        return "Choose other data."
    if setup.own.drawing:
        return "Go on drawing, and use the second colour too."
    if (file := session.csv()) is None:
        return "Give the file again and choose its label column."
    if file.labels:
        return "Choose one of its columns under *Label*, in the sidebar."
    reasons = []
    for column in file.cells:
        if column in (setup.own.file.x, setup.own.file.y):
            continue
        try:
            file.groups(column)
        except CsvError as error:
            reasons.append(str(error))
    if not reasons:
        return "Add a column that names each row's class."
    return f"{' '.join(reasons)} Labels are texts or whole numbers, with 2 to {MOST_LABELS} different values."
