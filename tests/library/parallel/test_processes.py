"""Real processes under mpiexec: what threads cannot show, in few starts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from deepopt_lib.core import read_arrays
from deepopt_lib.parallel import command, launch, report

ROOT = Path(__file__).parents[3]
QUICK = ["--hidden", 16, "--data", "digits", "--epochs", 2]


def run(n: int, *arguments: object) -> Any:
    return report(n, "deepopt_lib.parallel", *QUICK, *arguments)["runs"][0]


def test_the_checks_of_the_threads(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(ROOT)
    launch(2, "tests.library.parallel.mpi_worker", tmp_path)


def test_one_trajectory_on_processes() -> None:
    one, three = run(1), run(3, "--zero")
    np.testing.assert_allclose(three["loss"], one["loss"], rtol=1e-12)
    assert three["accuracy"] == one["accuracy"]
    for k, norm in one["norms"].items():
        np.testing.assert_allclose(three["norms"][k], norm, rtol=1e-12)


def test_a_killed_rank_ends_the_job_and_nothing_is_lost(tmp_path: Path) -> None:
    whole = run(3, "--epochs", 4)
    path = tmp_path / "run.safetensors"
    options = [*QUICK, "--epochs", 4, "--checkpoint", path, "--every", 1]
    job = subprocess.Popen(
        command(3, "deepopt_lib.parallel", *options),
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not path.exists() or len(read_arrays(str(path))[0]["extras/loss"]) < 5:
            assert job.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        ranks = [
            p
            for p in psutil.Process(job.pid).children(recursive=True)
            if "deepopt_lib.parallel" in p.cmdline() and not p.children()
        ]
        assert len(ranks) == 3
        os.kill(ranks[1].pid, signal.SIGKILL)
        start = time.monotonic()
        said, _ = job.communicate(timeout=60)
        seconds = time.monotonic() - start
    finally:
        job.kill()
    print(f"the job ended {seconds:.2f} s after the kill, exit {job.returncode}")
    assert job.returncode != 0
    assert seconds < 10
    assert "BAD TERMINATION" in said or "killed" in said.lower()
    assert not any(p.is_running() and p.status() != "zombie" for p in ranks)
    stopped = len(read_arrays(str(path))[0]["extras/loss"])
    assert 5 <= stopped < 48
    again = run(3, *options[len(QUICK) :])
    assert again["params"] == whole["params"]
    assert again["loss"] == whole["loss"]
    assert os.listdir(tmp_path) == ["run.safetensors"]


def test_a_sentence_ends_a_job(tmp_path: Path) -> None:
    words = [*QUICK, "--report", tmp_path / "no" / "report"]
    with pytest.raises(RuntimeError, match="on 2 ranks failed") as error:
        launch(2, "deepopt_lib.parallel", *words)
    said = str(error.value)
    assert said.count("cannot write the report") == 1
    assert "Traceback" not in said


def test_an_error_of_one_rank_ends_the_others() -> None:
    program = (
        "import numpy as np\n"
        "from deepopt_lib.parallel import cli, loop, world\n"
        "if world().rank == 1:\n"
        "    loop.value_and_grad = lambda loss: 1 / 0\n"
        "raise SystemExit(cli.main(['--data', 'digits']))\n"
    )
    words = command(3, "deepopt_lib.parallel")[:4]
    done = subprocess.run(
        [*words, "-c", program],
        cwd=ROOT,
        env={**os.environ, "TQDM_DISABLE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "rank 1 of 3: ZeroDivisionError" in done.stderr


def test_measuring_on_processes() -> None:
    words = ["--least", 64, "--decades", 1, "--sizes", 3, "--seconds", 0.1]
    found = json.loads(launch(2, "deepopt_lib.parallel.measure", *words))
    assert found["ranks"] == 2
    assert found["sent"] == found["sizes"] == [64, 200, 640]  # 2(N-1)/N is one


def test_ranks_find_this_very_library(tmp_path: Path, monkeypatch: Any) -> None:
    """Wherever they are started: its folder comes first on their path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "say.py").write_text(
        "import os, deepopt_lib\n"
        "print(deepopt_lib.__file__, os.environ['OMP_NUM_THREADS'],"
        " os.environ['TQDM_DISABLE'])\n"
    )
    said = launch(1, "say")
    assert said.split() == [str(ROOT / "deepopt_lib" / "__init__.py"), "1", "1"]


def test_a_job_that_takes_too_long(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    with pytest.raises(subprocess.TimeoutExpired):
        launch(1, "slow", timeout=0.5)


def test_launch_refuses(monkeypatch: Any) -> None:
    with pytest.raises(ValueError, match=r"^n must be an int >= 1, got 0"):
        command(0, "x")
    words = command(2, "x", 3, "--a")
    assert words[1:3] == ["-n", "2"]
    assert words[3:] == [sys.executable, "-m", "x", "3", "--a"]
    monkeypatch.setattr(sys, "executable", "/no/python")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match=r"the packages mpi4py and mpich$"):
        command(2, "x")
