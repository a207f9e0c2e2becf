"""A class in one room: a question at a time, its votes, everybody's draws, and how far the lesson is released.

`room`, `rooms`, `question`, `pool` and `export` know no page and no lesson. `asked` makes them of a lesson, `served`
answers by HTTP, and `pages` has the HTML's scripts: a wall for the teacher, and a small page for phones. They need no
flow and no session of Streamlit.
"""
