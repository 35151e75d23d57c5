"""A run that is killed at any moment, in the middle of a write too, ends with its bits.

The processes are in kill_worker.py. SIGKILL cannot be caught: nothing is tidied up.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.library.training.kill_worker import train

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-W", "error", "-m", "tests.library.training.kill_worker"]
KILLS = {"random": 12, "sight": 8, "places": 18}

pytestmark = pytest.mark.skipif(
    not (hasattr(os, "fork") and hasattr(os, "waitid")), reason="needs fork and SIGKILL"
)


def start(*arguments: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "TQDM_DISABLE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> str:
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "")
    return out


@pytest.mark.parametrize("way", KILLS)
def test_killed_children(way: str, tmp_path: Path) -> None:
    """At random times, at the sight of a temporary file, at each place of a write."""
    seen = json.loads(finish(start("storm", tmp_path, way, KILLS[way], 0)))
    print(way, seen)
    assert seen["kills"] >= KILLS[way]
    assert seen["runs"] >= 1
    assert seen["different"] == 0
    assert seen["torn"] >= (KILLS[way] // 2 if way == "places" else 1)
    assert os.listdir(tmp_path) == []


def test_killed_processes(tmp_path: Path) -> None:
    """Processes of their own, with all that an interpreter does at its start."""
    path = tmp_path / "run.safetensors"
    rng = np.random.default_rng(0)
    for _ in range(2):
        before = path.stat().st_mtime_ns if path.exists() else 0
        process = start("train", path, 0.1)
        deadline = time.monotonic() + 60
        while not path.exists() or path.stat().st_mtime_ns == before:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(rng.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    digest = finish(start("train", path, 0.0))
    assert digest == train(None) + "\n"
    assert os.listdir(tmp_path) == [path.name]
