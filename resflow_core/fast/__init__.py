"""The values of the paper's files, sooner."""
