"""Training a flow, and what a step of it costs."""
