"""The pages of a room: the wall for the teacher, and a small page for phones. Each is HTML with a script of its own, so
that a vote needs no flow and no session of Streamlit."""
