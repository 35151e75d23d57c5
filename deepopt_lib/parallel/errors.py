"""Errors of a parallel job, and the sentences that its users read."""

from __future__ import annotations

__all__ = ["MISSING", "SharedError", "sentence"]

MISSING = (
    "mpi4py and an MPI library are needed: install deepopt_lib with its extra "
    "[parallel], or the packages mpi4py and mpich"
)


class SharedError(ValueError):
    """An error that every rank of the job raises, at the same place."""


def sentence(error: BaseException) -> str:
    """Return what is wrong; errors about values and files speak for themselves."""
    kind, text = type(error).__name__, str(error)
    spoken = text and isinstance(error, ValueError | OSError)
    return text if spoken else f"{kind}: {text}".removesuffix(": ")
