"""What a forked process of `tools.mutate` does: pytest, on chosen tests, in a copy."""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import Phase, settings

__all__ = ["TRACER", "Slot", "Task", "Test", "child"]

MEMORY = 8 << 30  # bytes of addresses: a size may have become a power
OPTIONS = ("-q", "-o", "addopts=", "--import-mode=importlib", "--tb=short")

# Writes down each function of the tree that a Python process enters, once, as it enters
# it: a process that is killed has told what it did.
TRACER = """
import os, sys, threading
seen = set()
root = os.path.dirname(os.path.abspath(__file__)) + os.sep
def enter(frame, event, argument):
    key = frame.f_code.co_filename, frame.f_code.co_firstlineno
    if key not in seen:
        seen.add(key)
        if key[0].startswith(root):
            os.write(log, f"{key[0][len(root):]}:{key[1]}\\n".encode())
if path := os.environ.get("MUTATE_CALLS"):
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    threading.settrace(enter)
    sys.settrace(enter)
"""


@dataclass
class Test:
    """What is known of one test from the run without a change."""

    file: str
    seconds: float = 0.0
    passed: bool = True
    calls: frozenset[str] = frozenset()  # "file:first line of a function"
    modules: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Know the files by themselves."""
        self.modules = frozenset(call.rpartition(":")[0] for call in self.calls)


class Task(NamedTuple):
    """Which tests run, in which order, how long; without limits, files are traced."""

    files: Sequence[str]
    limits: dict[str, float] | None = None


@dataclass(frozen=True)
class Slot:
    """A copy of the tree, with a cache and a folder for temporary files of its own."""

    home: Path

    @property
    def tree(self) -> Path:
        """Where the copy is."""
        return self.home / "tree"

    def path(self, name: str) -> Path:
        """Return a file that the processes tell each other through."""
        return self.home / name

    def results(self) -> dict[str, Test]:
        """Return what a traced run has found, by name."""
        rows = json.loads(self.path("out").read_text())
        return {n: Test(f, s, p, frozenset(calls)) for n, f, s, p, calls in rows}


class Tracing:
    """A plugin of pytest: what each test enters, and how long it takes."""

    def __init__(self, slot: Slot) -> None:
        os.environ["MUTATE_CALLS"] = str(slot.path("calls"))
        sys.modules.pop("sitecustomize", None)
        self.tracer = importlib.import_module("sitecustomize")
        self.log, self.out = slot.path("calls"), slot.path("out")
        self.shared: set[str] = set()
        self.tests: dict[str, Test] = {}
        self.calls: dict[str, set[str]] = {}

    def new(self) -> set[str]:
        """Return what was entered since it was last asked."""
        found = set(self.log.read_text().split())
        os.truncate(self.log, 0)
        self.tracer.seen.clear()
        return found

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, Any]:
        """Count what a fixture enters for every test of the file: it may be shared."""
        try:
            return (yield)
        finally:
            self.shared |= self.new()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Note what one test does; what was entered before it, any test may need."""
        self.shared |= self.new()
        test = self.tests[item.nodeid] = Test(item.nodeid.split("::")[0])
        start = time.perf_counter()
        result = yield
        test.seconds = time.perf_counter() - start
        self.calls[item.nodeid] = self.new()
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what fails unchanged."""
        if report.failed:
            self.tests[report.nodeid].passed = False

    def pytest_sessionfinish(self) -> None:
        """Hand over to the process that forked."""
        rows = [
            [name, t.file, t.seconds, t.passed, sorted(self.calls[name] | self.shared)]
            for name, t in self.tests.items()
        ]
        self.out.write_text(json.dumps(rows))


class Choosing:
    """A plugin of pytest: which tests run, in which order, and how long at most."""

    def __init__(self, slot: Slot, limits: dict[str, float]) -> None:
        self.limits, self.out = limits, slot.path("out")
        self.place = {name: i for i, name in enumerate(limits)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep what was asked for, the likeliest first."""
        items[:] = [item for item in items if item.nodeid in self.place]
        items.sort(key=lambda item: self.place[item.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Let the alarm end the process when a test takes too long."""
        self.out.write_text(item.nodeid)
        signal.setitimer(signal.ITIMER_REAL, self.limits[item.nodeid])
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def child(slot: Slot, root: Path, task: Task, patience: float) -> int:
    """Make a forked process ready, run pytest in it, and return the exit code."""
    os.setsid()  # it can be ended together with all that it starts
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    log = os.open(slot.path("log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for handle in (1, 2):
        os.dup2(log, handle)
    os.chdir(slot.tree)
    sys.path[:] = [str(slot.tree), *(p for p in sys.path if p and Path(p) != root)]
    trace = task.limits is None
    # Bytecode is made from unchanged files only, whose times tell them apart.
    sys.dont_write_bytecode = not trace
    os.environ |= {
        "PYTHONPATH": str(slot.tree),
        "PYTHONDONTWRITEBYTECODE": "" if trace else "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TMPDIR": str(slot.path("tmp")),
        "XDG_CACHE_HOME": str(slot.path("cache")),
    }
    tempfile.tempdir = None
    phases = (Phase.explicit, Phase.generate)  # the first failure is enough
    settings.register_profile(
        "mutate", phases=phases, database=None, deadline=None, derandomize=True
    )
    settings.load_profile("mutate")
    if task.limits is None:
        return int(pytest.main([*OPTIONS, *task.files], [Tracing(slot)]))
    signal.setitimer(signal.ITIMER_REAL, patience)  # for the import
    return int(
        pytest.main([*OPTIONS, "-x", *task.files], [Choosing(slot, task.limits)])
    )
