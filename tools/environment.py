"""What a notebook's kernel and every test run inherit: one thread, no progress bars."""

from __future__ import annotations

import os

THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
KERNEL_ENV = {
    **{f"{library}_NUM_THREADS": "1" for library in THREADS},
    "VECLIB_MAXIMUM_THREADS": "1",
    "TQDM_DISABLE": "1",  # a progress bar would store the time it took
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


def prepare_environment() -> None:
    """Set it, before NumPy is imported; a kernel chooses the backend of its figures."""
    os.environ.update(KERNEL_ENV)
    os.environ.pop("MPLBACKEND", None)
