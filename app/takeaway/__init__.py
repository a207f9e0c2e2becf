"""What a person takes along from a screen: the program behind a figure or a run, as a script and as a notebook."""
