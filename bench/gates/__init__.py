"""Coverage and power of the gates' bounds, by simulation: `make bench-gates`."""
