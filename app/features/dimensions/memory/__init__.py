"""The memory bench: what a gradient of the log det costs in bytes, time and noise, by each way to differentiate it."""
