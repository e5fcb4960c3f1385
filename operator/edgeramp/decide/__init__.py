"""Pure decisions: no client, clock, randomness, environment or logger."""
