"""The demo: one command that shows a model optimized, gated, ramped to 100 %, and a bad one rolled back."""
