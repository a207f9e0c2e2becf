"""What computes the same as the paper's files in less time: kernels for flows in the plane."""
