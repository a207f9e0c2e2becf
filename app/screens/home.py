"""The bare address: until there is more to choose from, it opens Explore."""

import streamlit as st

st.switch_page("screens/explore.py")
