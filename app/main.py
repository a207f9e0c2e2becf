"""The app: what every screen shares. Start it with `python -m app`, or `python -m streamlit run app/main.py`."""

from pathlib import Path

import streamlit as st

from app import controls, live, session

HERE = Path(__file__).parent
# Pages to read: no settings beside them, and none in their address, which may end in the name of a place.
WITHOUT_SETTINGS = {"", "glossary"}

# An icon of our own: Streamlit would fetch its emoji and symbols for a page from the network.
st.set_page_config("Residual flows", page_icon=HERE / "icon.svg", layout="wide")
st.html(HERE / "style.css")

page = st.navigation(
    [
        st.Page("screens/home.py", title="Residual flows", default=True),
        st.Page("screens/explore.py", title="Explore", url_path="explore"),
        st.Page("screens/estimator.py", title="Estimator", url_path="estimator"),
        st.Page("screens/lipschitz.py", title="Lipschitz", url_path="lipschitz"),
        st.Page("screens/activations.py", title="Activations", url_path="activations"),
        st.Page("screens/compare.py", title="Compare", url_path="compare"),
        st.Page("screens/memory.py", title="Memory", url_path="memory"),
        st.Page("screens/joint.py", title="Joint", url_path="joint"),
        st.Page("screens/dimensions.py", title="Dimensions", url_path="dimensions"),
        st.Page("screens/glossary.py", title="Glossary", url_path="glossary"),
    ],
    position="top",
)
if page.url_path in WITHOUT_SETTINGS:
    session.carry()
else:
    session.apply(controls.sidebar(session.begin()))
    live.mount_library()
if session.begun():
    st.fragment(session.keep, run_every=session.HEARD_SECONDS / 2)()  # not every screen looks at a run
page.run()
