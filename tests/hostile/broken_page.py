"""A page that ends with an error which visitors must not read."""

import streamlit as st

st.header("Broken")
raise ValueError("secret 4711")
