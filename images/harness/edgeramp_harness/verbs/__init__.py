"""One module per verb; each has `run(spec, context) -> summary`."""
