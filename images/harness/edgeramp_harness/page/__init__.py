"""The certification report as one HTML page that needs nothing else: no script, no font, no image from anywhere."""

from edgeramp_harness.page.document import render

__all__ = ["render"]
