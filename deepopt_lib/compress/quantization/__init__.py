"""Quantization: even and uneven grids, calibration, integers, training on a grid."""
