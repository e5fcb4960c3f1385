"""edgeramp: optimize a model per class of edge hardware, prove it kept its quality, ramp it into production."""

__version__ = "0.1.0"
