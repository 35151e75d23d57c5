"""A plugin of pytest: a cell that times something has the machine for itself.

Workers run notebooks side by side. A cell that measures waits until the other workers
are at the end of their cells, and they wait for it: a lock that all share, and that it
takes alone. Whoever waits stands in the door, so that nobody slips past.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

try:
    import fcntl
except ImportError:  # not on Windows: there a claim finds the machine busy
    fcntl = None  # type: ignore[assignment]

TIMES = re.compile(r"least_seconds|when_quiet|\bWatch\(|\bcold\(")


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Hold the lock in ``folder`` during a block, alone or with others."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / "door.lock").open("w") as door,
        (folder / "room.lock").open("w") as room,
    ):
        _lock(door, alone=True)
        _lock(room, alone=alone)
        _unlock(door)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Take the turn of a cell, with the start of its kernel."""
    cell = getattr(item, "cell", None)
    if cell is None or fcntl is None or not hasattr(item.config, "workerinput"):
        return (yield)
    folder = item.config.rootpath / ".cache" / "turns"
    with turn(folder, alone=bool(TIMES.search(cell.source))):
        return (yield)


def _lock(file: IO[str], *, alone: bool) -> None:
    fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)


def _unlock(file: IO[str]) -> None:
    fcntl.flock(file, fcntl.LOCK_UN)
