"""Optimization techniques for deep learning, each written once, as in its paper."""

__version__ = "0.1.0"
