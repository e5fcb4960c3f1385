"""bench-path: the four figures that the first complete path must reach, on the running cluster."""
