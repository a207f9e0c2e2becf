"""The training process: `python -m app.engine.worker`. It passes commands to the threads of its runs."""
