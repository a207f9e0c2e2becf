"""A page that shows its own flow or, where `compared` is on, a comparison of flows with some budgets."""

import dataclasses

import streamlit as st

from app import session
from app.engine.experiment import Arm
from app.ui import controls, notices, transport

session.apply(controls.settings(session.begin(), st.sidebar))
notices.show()
compared = st.toggle("Compare", True, key="compared")
name = st.text_input("Name", "budgets", key="name")
budgets = [float(text) for text in st.text_input("Budgets", "0.5 0.9", key="budgets").split()]
planned = st.toggle("Planned", False, key="planned")
setup = session.setup()
data = setup.own.table if setup.own else setup.data
flows = [dataclasses.replace(setup.flow, budget=budget) for budget in budgets]
changes = ((50, dataclasses.replace(setup.train, batch=32)),) if planned else ()
if compared:
    session.compare(name, tuple(Arm(flow, setup.train, data, changes) for flow in flows))


@st.fragment
def run() -> None:
    nothing = {"frames": False, "measured": {}}  # of pictures, which other tests look at
    report = session.poll_comparison(name, **nothing) if compared else session.poll(**nothing)
    transport.show(report, of=name if compared else None)
    st.markdown(f"{len(report.arms)} arms of {report.id}. {report.message}")
    for index in range(len(report.arms) if compared else 0):
        st.button("Take it", on_click=session.adopt, args=(name, index), key=f"adopt.{index}")


run()
