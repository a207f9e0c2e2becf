"""The home page: what this is, a stored run that is replayed, and the ways on. Settings in its address belong to
Explore."""

import streamlit as st

from app.features.home import replay, taken
from app.ui import doors, heading
from app.ui.lesson_list import lessons
from app.ui.lesson_rows import rows

if query := st.query_params.to_dict():
    st.switch_page("features/explore/explore.py", query_params=query)

words, picture = st.columns([3, 7], gap="large", vertical_alignment="center")
with words, st.container(key="words"):
    heading.title("See residual flows learn")
    st.markdown(
        "A residual flow is a neural network that can be run in both directions. In one direction it draws samples; in "
        "the other it says how likely each point is. Here you watch a flow learn in your browser, take it apart, and "
        "check every number by hand. Beside every estimate stands the truth."
    )
    st.caption(
        "After [*Residual Flows for Invertible Generative Modeling*](https://arxiv.org/abs/1906.02735), "
        "Chen, Behrmann, Duvenaud and Jacobsen, NeurIPS 2019."
    )
with picture:
    replay.show(key="replay")
    taken.menu(key="replay.take")
    st.caption(replay.sentence())
doors.show()
lessons(rows("features/learn/learn.py"))
