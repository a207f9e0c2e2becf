"""The training process: `python -m app.engine.worker`. It passes commands to the threads of its runs.

`floor.py` decides which of them may take part at all. What the server does when it dies is in `app.engine.remote`.
"""
