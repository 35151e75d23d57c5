"""The roofline of the reader's own machine, and where a kernel stands below it."""

from __future__ import annotations

from typing import Any

from IPython.display import HTML

from deepopt_lib.book.live.cells import Label
from deepopt_lib.book.live.controls import Choice, Slider, powers
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.marks import Boxes, Line, Points
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Panel

__all__ = ["flops", "roofline", "roofline_of_yours", "traffic"]

KERNELS = ("dot product", "Adam step", "layer, one sample", "matrix product")


def flops(kernel: str, n: float) -> float:
    """Return the operations on float32 vectors of n entries, or n x n matrices."""
    if kernel == "matrix product":
        return 2 * n * n * n
    if kernel == "layer, one sample":
        return 2 * n * n
    if kernel == "Adam step":
        return 14 * n
    return 2 * n


def traffic(kernel: str, n: float) -> float:
    """Return the bytes, each array read or written once."""
    if kernel == "matrix product":
        return 12 * n * n
    if kernel == "layer, one sample":
        return 4 * n * n + 8 * n
    if kernel == "Adam step":
        return 28 * n
    return 8 * n


def roofline(peak: float, bandwidth: float, kernel: str, n: float) -> dict[str, Any]:
    """Bound a kernel by ``min(peak, bandwidth * intensity)``; GFLOP/s and GB/s."""
    intensity = flops(kernel, n) / traffic(kernel, n)
    ridge = peak / bandwidth
    bound = min(peak, bandwidth * intensity)
    others = [flops(k, n) / traffic(k, n) for k in KERNELS]
    arithmetic = flops(kernel, n) / peak / 1000
    memory = traffic(kernel, n) / bandwidth / 1000
    return {
        "roof_x": [0.01, ridge, 100000.0],
        "roof_y": [0.01 * bandwidth, peak, peak],
        "other_x": others,
        "other_y": [min(peak, bandwidth * x) for x in others],
        "intensity": intensity,
        "bound": bound,
        "ridge": ridge,
        "arithmetic": arithmetic,
        "memory": memory,
        "time": max(arithmetic, memory),
        "held": "the memory" if intensity < ridge else "the arithmetic",
        "share": 100 * bound / peak,
    }


def roofline_of_yours() -> HTML:
    """Show the roof of a machine with the reader's own two speeds."""
    roof = Panel(
        Axis(0.1, 1e4, "FLOPs per byte", log=True),
        Axis(0.1, 1e5, "GFLOP/s", log=True),
        [
            Line(look="gray", x="roof_x", y="roof_y", width=2.5, label="the roof"),
            Points(look="gray", x="other_x", y="other_y", size=6, label="others"),
            Points(look="vermilion", x="intensity", y="bound", size=11, label="kernel"),
        ],
        "A roofline: a slope that ends in a flat roof. The step of Adam lies on the "
        "slope, far to the left of the ridge.",
    )
    times = Panel(
        Axis(1e-3, 1e9, "microseconds", log=True),
        Axis(0, 2, "", ticks={}),
        [
            Boxes(look="blue", x0=1e-9, x1="arithmetic", y0=1.1, y1=1.55, faint=0.45),
            Label(look="ink", x=1e-3, y=1.65, text="arithmetic: {arithmetic:3} µs"),
            Boxes(look="vermilion", x0=1e-9, x1="memory", y0=0.1, y1=0.55, faint=0.45),
            Label(look="ink", x=1e-3, y=0.65, text="memory: {memory:3} µs"),
        ],
        "Two bars, the time for the arithmetic and the time for the memory; the second "
        "is longer and decides.",
    )
    return figure(
        roofline,
        [
            Slider("peak", "Arithmetic", powers(1, 1e5, 51), 100.0, "GFLOP/s"),
            Slider("bandwidth", "Memory", powers(1, 1e4, 41), 20.0, "GB/s"),
            Choice("kernel", "Kernel", {k: k for k in KERNELS}, "Adam step"),
            Slider("n", "n", [2**k for k in range(6, 25, 2)], 65536),
        ],
        [roof, times],
        title="Left of the ridge only fewer bytes help, right of it only fewer FLOPs",
        text="Kernel: {kernel}, n = {n}. It does {intensity:3} FLOPs per byte, the "
        "ridge is at {ridge:3}. It is held up by {held}, at {bound:3} GFLOP/s or "
        "{share:2} % of the peak, and takes {time:3} µs at least.",
        caption="Set the two speeds to those of your machine. Numbers are float32, "
        "each array is moved once, and nothing stays in a cache. Matrices and layers "
        "are n × n.",
    )
