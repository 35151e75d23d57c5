"""Train a small network while processes are killed: the work behind test_kill.py.

    python -m tests.library.training.kill_worker train FILE PAUSE
    python -m tests.library.training.kill_worker storm FOLDER WAY KILLS SEED

``train`` is one process that trains, with a checkpoint at every step, and prints a
digest of all that it leaves behind. ``storm`` forks children that do the same, kills
them in one of three ways and starts the next, until the run is over; then it begins
anew, until there were enough kills. Forking spares the children the import of NumPy.
It prints what it saw as JSON.
"""

import hashlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from deepopt_lib import core
from deepopt_lib.autodiff import cross_entropy
from deepopt_lib.core import Array, Params, clip_by_global_norm, files
from deepopt_lib.nn import init_mlp, mlp
from deepopt_lib.optim import adamw, cosine, warmup
from deepopt_lib.training import fit

X = np.random.default_rng(1).standard_normal((23, 4))
Y = np.random.default_rng(2).integers(0, 3, 23)
STEPS = 20


def train(path: Path | None, pause: float = 0.0) -> str:
    """Train with all that has a state; return a digest of every bit that is left."""
    rng = np.random.default_rng(7)

    def loss(params: Any, x: Array, y: Any) -> Any:
        time.sleep(pause)
        mask = (rng.random(x.shape) < 0.8) / 0.8
        return cross_entropy(mlp(params, x * mask), y)

    def evaluate(params: Params) -> dict[str, float]:
        noise = rng.standard_normal(X.shape)
        return {"loss": float(cross_entropy(mlp(params, X + noise), Y))}

    history = fit(
        loss,
        init_mlp(np.random.default_rng(0), [4, 6, 3]),
        adamw(warmup(cosine(0.05, STEPS), 3)),
        X,
        Y,
        epochs=4,
        batch_size=5,
        rng=rng,
        evaluate=evaluate,
        transform=lambda grads: clip_by_global_norm(grads, 1.0)[0],
        checkpoint=path,
        every=1,
    )
    assert history.state.t == len(history.loss) == STEPS
    digest = hashlib.sha256()
    for w in history.params.values():
        digest.update(w.tobytes())
    for moments, none in history.state.rules.values():
        assert none is None
        digest.update(moments.m.tobytes() + moments.v.tobytes())
    digest.update(np.array(history.loss).tobytes())
    digest.update(repr((history.metrics, rng.bit_generator.state)).encode())
    return digest.hexdigest()


# Three ways to kill a child.


def at_random(rng: np.random.Generator, folder: Path, child: int, vain: int) -> None:
    """Kill after a random time; give more of it when there is no progress."""
    time.sleep(rng.uniform(0.0, 0.03 * (1 + vain)))
    os.kill(child, signal.SIGKILL)


def on_sight(rng: np.random.Generator, folder: Path, child: int, vain: int) -> None:
    """Kill as soon as the temporary file of the n-th write is there."""
    left, last = int(rng.integers(1, 5)), ""
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        for name in os.listdir(folder):
            if name.endswith(".tmp") and name != last:
                left, last = left - 1, name
        if left == 0:
            os.kill(child, signal.SIGKILL)
            return


def at_places(rng: np.random.Generator, folder: Path, child: int, vain: int) -> None:
    """Leave it to the child, which `plant` has prepared."""


WAYS = {"random": at_random, "sight": on_sight, "places": at_places}
PLACES = ["created", "begun", "torn", "written", "synced", "renamed"]


def plant(place: str, write: int) -> None:
    """Let this process kill itself at one place of its n-th write of a checkpoint."""
    writes = 0
    fsync, replace = os.fsync, os.replace

    def reached(here: str) -> None:
        if here == place and writes == write:
            os.kill(os.getpid(), signal.SIGKILL)

    class Opened:
        def __init__(self, name: str, mode: str) -> None:
            self.file = open(name, mode)  # noqa: SIM115
            reached("created")

        def __enter__(self) -> "Opened":
            return self

        def __exit__(self, *error: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> None:
            parts = [data[:5], data[5:1700], data[1700:]]
            for part, here in zip(parts, ["begun", "torn", "written"], strict=True):
                self.file.write(part)
                self.file.flush()
                reached(here)

        def flush(self) -> None:
            self.file.flush()

        def fileno(self) -> int:
            return int(self.file.fileno())

    def opens(name: str, mode: str) -> Any:
        nonlocal writes
        if mode != "xb":
            return open(name, mode)
        writes += 1
        return Opened(name, mode)

    def syncs(handle: int) -> None:
        fsync(handle)
        reached("synced")

    def replaces(a: str, b: str) -> None:
        replace(a, b)
        reached("renamed")

    vars(files)["open"] = opens
    vars(os).update(fsync=syncs, replace=replaces)


# The storm.


def fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return child


def storm(folder: Path, way: str, kills: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    path, result = folder / "run.safetensors", folder / "digest"
    # tqdm's own lock is shared by all forks: a child killed while it holds the lock
    # would leave none of the others past the start of its progress bar.
    tqdm.set_lock(threading.RLock())
    expected = train(None)
    seen = {"kills": 0, "torn": 0, "runs": 0, "different": 0}
    step, births, vain, over = -1, 0, 0, False
    while seen["kills"] < kills or not over:
        place, write = PLACES[births % len(PLACES)], int(rng.integers(1, 5))
        births, vain, over = births + 1, vain + 1, False
        assert vain < 50, f"no progress: {seen}"

        def work(place: str = place, write: int = write) -> None:
            if way == "places":
                plant(place, write)
            result.write_text(train(path))

        child = fork(work)
        WAYS[way](rng, folder, child, vain)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            seen["kills"] += 1
            left = [name for name in os.listdir(folder) if name.endswith(".tmp")]
            assert len(left) <= 1, f"leftovers pile up: {left}"
            seen["torn"] += len(left)
            if path.exists():  # always whole, and never older than it was
                now = json.loads(core.read_arrays(str(path))[1])["t"]
                assert now >= step, f"step {step} was kept, {now} is there"
                step, vain = now, vain if now == step else 0
        else:
            assert os.WEXITSTATUS(status) == 0, "the child failed"
            assert sorted(os.listdir(folder)) == ["digest", "run.safetensors"]
            seen["runs"] += 1
            seen["different"] += result.read_text() != expected
            step, vain, over = -1, 0, True
            path.unlink()
            result.unlink()
    return seen


if __name__ == "__main__":
    if sys.argv[1] == "train":
        print(train(Path(sys.argv[2]), float(sys.argv[3])))
    else:
        where, way = Path(sys.argv[2]), sys.argv[3]
        print(json.dumps(storm(where, way, int(sys.argv[4]), int(sys.argv[5]))))
