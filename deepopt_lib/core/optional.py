"""What is there only if it was asked for."""

from __future__ import annotations

import importlib.util

__all__ = ["numba_is_installed"]


def numba_is_installed() -> bool:
    """Say whether the extra ``[fast]`` is there, without importing it."""
    return importlib.util.find_spec("numba") is not None
