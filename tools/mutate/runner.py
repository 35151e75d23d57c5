"""Forks a process for each task, one in each copy of the tree at a time."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import traceback
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from tools.mutate.child import TRACER, Slot, Task, child

__all__ = ["Job", "Outcome", "Runner", "Steps"]

LEFT_OUT = (".*", "_build", "_build.log", "__pycache__", "*.egg-info", "chapters")


class Outcome(NamedTuple):
    """How a process ended: with pytest's code, or minus a signal; and where."""

    code: int
    slot: Slot

    @property
    def noticed(self) -> bool:
        """Whether a test failed; there may have been none to run."""
        return self.code not in (0, 5)

    @property
    def by(self) -> str:
        """The last test that began, "" if none did."""
        out = self.slot.path("out")
        return out.read_text() if out.exists() else ""


Steps = Generator[Task, Outcome, None]


class Job(NamedTuple):
    """Tasks one after another, each chosen by how the last one ended."""

    steps: Steps
    path: str = ""  # the file that is changed meanwhile, and to what
    text: bytes = b""


@dataclass
class Runner:
    """Forks a process for each task, one in each copy of the tree at a time."""

    home: Path
    root: Path
    jobs: int
    patience: float
    running: dict[int, tuple[Slot, Job]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Copy the tree: once to keep, and once for each process."""
        self.kept, self.cache = self.home / "kept", self.home / "cache"
        ignore = shutil.ignore_patterns(*LEFT_OUT)
        shutil.copytree(self.root, self.kept, symlinks=True, ignore=ignore)
        (self.kept / "sitecustomize.py").write_text(TRACER)
        self.slots = [Slot(self.home / str(i)) for i in range(self.jobs)]
        for slot in self.slots:
            shutil.copytree(self.kept, slot.tree, symlinks=True)
            slot.path("cache").mkdir()

    def run(self, jobs: Iterable[Job], what: str) -> None:
        """Run all jobs, each to its end."""
        free, queue = list(self.slots), deque(jobs)
        bar = tqdm(total=len(queue), desc=what, smoothing=0.05)
        while queue or self.running:
            while queue and free:
                slot, job = free.pop(), queue.popleft()
                if job.path:
                    (slot.tree / job.path).write_bytes(job.text)
                    # Bytecode knows its file by size and second: this one has another.
                    os.utime(slot.tree / job.path, (0, 0))
                if not self.go_on(slot, job, None):
                    free.append(slot)
                    bar.update()
            if self.running:
                pid, status = os.wait()
                slot, job = self.running.pop(pid)
                kill(pid)  # what it has left behind
                outcome = Outcome(os.waitstatus_to_exitcode(status), slot)
                if not self.go_on(slot, job, outcome):
                    free.append(slot)
                    bar.update()
        bar.close()

    def go_on(self, slot: Slot, job: Job, outcome: Outcome | None) -> bool:
        """Fork for the next task of a job; without one, put the file back."""
        try:
            task = next(job.steps) if outcome is None else job.steps.send(outcome)
        except StopIteration:
            if job.path:
                shutil.copy2(self.kept / job.path, slot.tree / job.path)
            return False
        shutil.rmtree(slot.path("tmp"), ignore_errors=True)
        slot.path("tmp").mkdir()
        slot.path("out").unlink(missing_ok=True)
        if job.path:  # what another change has compiled is not for this one
            shutil.rmtree(slot.path("cache"))
            shutil.copytree(self.cache, slot.path("cache"))
        pid = os.fork()
        if pid == 0:
            self.in_child(slot, task)
        self.running[pid] = slot, job
        return True

    def in_child(self, slot: Slot, task: Task) -> None:
        """Run the task, and end without what the parent would do at its end."""
        code = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            code = child(slot, self.root, task, self.patience)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def share(self) -> None:
        """Give every copy what the others have compiled from unchanged code."""
        for slot in self.slots:
            shutil.copytree(slot.path("cache"), self.cache, dirs_exist_ok=True)
            for made in slot.tree.rglob("__pycache__"):
                to = self.kept / made.relative_to(slot.tree)
                shutil.copytree(made, to, dirs_exist_ok=True)
        for slot in self.slots:
            shutil.copytree(self.kept, slot.tree, symlinks=True, dirs_exist_ok=True)

    def end(self) -> None:
        """End what still runs."""
        for pid in self.running:
            kill(pid)


def kill(pid: int) -> None:
    """End a process and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
