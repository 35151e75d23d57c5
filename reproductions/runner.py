"""Do what is not done yet: each piece in a process of its own, so many at a time."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
import traceback
from collections.abc import Iterable
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from reproductions import store
from reproductions.digest import digest
from reproductions.store import Task

__all__ = ["missing", "run_all"]

STEP = 0.005  # of a piece: how often its bar moves


def missing(names: Iterable[str], folder: Path) -> list[Task]:
    """Return what the folder does not hold under the present code, longest first.

    How long it takes is what it took before, under whatever code; what was never run
    comes first, in its own order.
    """
    took: dict[Task, float] = {}
    for name in names:
        done = store.held(name, folder)
        before = {**store.read(name, store.FOLDER)["runs"]}
        before |= store.read(name, folder)["runs"]
        for task in store.tasks(name):
            if task.key not in done:
                known = before.get(task.key, {})
                took[task] = float(known.get("seconds", float("inf")))
    return sorted(took, key=lambda task: -took[task])


def run_all(todo: list[Task], jobs: int, folder: Path) -> list[Task]:
    """Run the tasks, ``jobs`` at a time, and store each as it ends; return the failed.

    A piece that raises an exception, or whose process dies, is reported and not tried
    again; the others go on. When this process is killed, what has ended is stored.
    """
    codes = {name: digest(store.FOLDER, name) for name in {task.name for task in todo}}
    waiting, failed = list(reversed(todo)), []
    running: dict[Connection, _Job] = {}
    with _bar("all", 0) as total:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    job = _Job(waiting.pop(), _free(running))
                    running[job.connection] = job
                for connection in wait(list(running)):
                    assert isinstance(connection, Connection)
                    job = running[connection]
                    if job.listen():
                        continue
                    del running[connection]
                    total.update(1 / len(todo))
                    if job.result is None:
                        failed.append(job.task)
                        tqdm.write(f"FAILED {_label(job.task)}: {job.error}")
                        continue
                    found = {**job.result, "code": codes[job.task.name]}
                    store.add(job.task, folder, found)
                    tqdm.write(f"{found['seconds']:7.0f} s  {_label(job.task)}")
                    sys.stdout.flush()
        finally:
            for job in running.values():
                job.process.terminate()
                job.close()
    return failed


class _Job:
    """A task in a process, and the bar that shows how far it is."""

    def __init__(self, task: Task, place: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.task, self.place = task, place
        self.connection, end = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(end, task), daemon=True)
        self.process.start()
        end.close()  # so that the end of the process is the end of the pipe
        self.bar = _bar(_label(task), place)
        self.result: dict[str, Any] | None = None
        self.error = "its process died"

    def listen(self) -> bool:
        """Take a message; return whether there may be more."""
        try:
            kind, value = self.connection.recv()
        except EOFError:
            self.close()
            return False
        if kind == "at":
            self.bar.update(min(value, 1.0) - self.bar.n)
        elif kind == "done":
            self.result = json.loads(value)
        else:
            self.error = value
        return True

    def close(self) -> None:
        """Wait for the process, and take the bar away."""
        self.process.join()
        self.connection.close()
        self.bar.close()


def _work(connection: Connection, task: Task) -> None:
    """Do a piece; send how far it is, and at the end its result or its failure."""
    last = 0.0

    def report(fraction: float) -> None:
        nonlocal last
        if fraction - last >= STEP:
            last = float(fraction)
            connection.send(("at", last))

    try:
        module = import_module(f"reproductions.{task.name}")
        start = time.process_time()
        if task.piece == store.TUNING:
            result: dict[str, Any] = module.tune(report)
        else:
            result = module.run(task.piece, task.seed, report)
        result = {**result, "seconds": round(time.process_time() - start, 1)}
        connection.send(("done", json.dumps(result, allow_nan=False)))
    except Exception:
        connection.send(("failed", traceback.format_exc()))


def _label(task: Task) -> str:
    return f"{task.name} {task.piece}/{task.seed}"


def _free(running: dict[Connection, _Job]) -> int:
    """Return the first line of the screen, below that of all, without a bar."""
    taken = {job.place for job in running.values()}
    return min(set(range(1, len(taken) + 2)) - taken)


def _bar(label: str, place: int) -> tqdm[Any]:
    """Return a bar from 0 to 1; none where the output is no screen."""
    shape = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    return tqdm(
        total=1.0,
        desc=f"{label:32}",
        position=place,
        bar_format=shape,
        leave=not place,
        disable=None,
    )
