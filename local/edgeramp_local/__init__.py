"""The local cluster: a real Kubernetes on one Linux machine, with or without a container engine.

Standard library only: this package runs before any virtual environment exists.
"""
