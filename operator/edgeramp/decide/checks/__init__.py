"""Checks with fixed thresholds, for people who want them: what other tools call analysis runs. They promise no rate of
false rollbacks, which status says. Pure: conditions, selectors, accounting."""
