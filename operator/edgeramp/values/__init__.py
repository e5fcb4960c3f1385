"""Tiny frozen types that every layer may use; they import nothing of ours."""
