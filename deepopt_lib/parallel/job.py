"""What every command on several ranks does: start, end together, write one report."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from deepopt_lib.core.files import write_bytes
from deepopt_lib.parallel.errors import MISSING, SharedError, sentence
from deepopt_lib.parallel.ranks import Ranks

__all__ = ["check_place", "or_abort", "run_command", "world", "write_report"]

PASSED_ON = 0.2  # seconds in which mpiexec passes on what was said, before all ends


def world() -> Ranks:
    """Return all ranks of this job: those that ``mpiexec -n N`` has started.

    Raises
    ------
    ImportError
        If mpi4py or an MPI library is missing; the sentence names both.
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # no package; no library behind it
        raise ImportError(f"{MISSING} ({error})") from None
    return Ranks(MPI.COMM_WORLD)


@contextmanager
def or_abort(ranks: Ranks) -> Iterator[None]:
    """End the job at an error that is not shared: the others would wait for ever.

    With one rank the error is raised, as always.
    """
    try:
        yield
    except SharedError:
        raise
    except BaseException as error:
        if ranks.size > 1:
            traceback.print_exc()
            where = f"rank {ranks.rank} of {ranks.size}"
            print(f"{where}: {sentence(error)}", file=sys.stderr, flush=True)
            time.sleep(PASSED_ON)
            ranks.comm.Abort(1)
        raise


def run_command(name: str, work: Callable[[Ranks], None]) -> int:
    """Do ``work`` on this rank; return 0, or 2 after a sentence on what is wrong."""
    try:
        ranks = world()
    except ImportError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    try:
        with or_abort(ranks):
            work(ranks)
    except SharedError as error:
        if ranks.rank == 0:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


def check_place(ranks: Ranks, path: str | None) -> None:
    """Refuse a place where rank 0 cannot write a report, before the work that fills it.

    Raises
    ------
    SharedError
        If there is no such folder, no permission, or something that is no file.
    """

    def check() -> None:
        if not path or ranks.rank > 0:
            return
        target = os.path.realpath(path)
        try:
            with tempfile.TemporaryFile(dir=os.path.dirname(target)):
                pass
        except OSError as error:
            reason = f"cannot write the report {path}: {error.strerror}"
            raise ValueError(reason) from None
        if os.path.exists(target) and not os.path.isfile(target):
            raise ValueError(f"cannot write the report {path}: it is no regular file")

    ranks.together(check)


def write_report(ranks: Ranks, path: str, report: Any) -> None:
    """Write what rank 0 has to tell as JSON.

    Raises
    ------
    SharedError
        If the file cannot be written.
    """

    def write() -> None:
        if ranks.rank == 0:
            write_bytes(path, json.dumps(report).encode())

    ranks.together(write)
