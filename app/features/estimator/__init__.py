"""The views of the estimator's bench: settings in, widgets and pictures out."""
