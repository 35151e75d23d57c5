"""Real processes under mpiexec: what threads cannot show, in few starts."""

import json
import os
import re
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


def runs(pid: int) -> bool:
    """Say whether there is such a process, and it has not ended."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_killed_rank_ends_the_job_and_nothing_is_lost(tmp_path: Path) -> None:
    """Rank 1 is killed before the sixth step, when five are in the checkpoint."""
    program = (
        "import os, signal, sys\n"
        "from deepopt_lib.parallel import cli, loop, world\n"
        "step, kill = loop.agreed_step, world().rank == 1\n"
        "def killed(ranks, t, *rest):\n"
        "    if kill and t == 6:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return step(ranks, t, *rest)\n"
        "loop.agreed_step = killed\n"
        "os.write(1, f'pid {os.getpid()}\\n'.encode())\n"
        "raise SystemExit(cli.main(sys.argv[1:]))\n"
    )
    path = tmp_path / "run.safetensors"
    options = ["--epochs", 4, "--checkpoint", path, "--every", 1]
    words = [*command(3, "x")[:4], "-c", program, *map(str, [*QUICK, *options])]
    job = subprocess.run(
        words,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = job.stdout + job.stderr
    assert job.returncode != 0
    assert "BAD TERMINATION" in said or "killed" in said.lower()
    pids = [int(pid) for pid in re.findall(r"pid (\d+)", said)]
    assert len(pids) >= 3
    deadline = time.monotonic() + 20
    while any(map(runs, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(read_arrays(str(path))[0]["extras/loss"]) == 5
    again, whole = run(3, *options), run(3, "--epochs", 4)
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


def test_how_ranks_are_started(monkeypatch: Any) -> None:
    """Without the input of a notebook, and not for ever."""
    seen: list[dict[str, Any]] = []

    def start(words: list[str], **options: Any) -> Any:
        seen.append(options)
        if "--report" in words:
            Path(words[-1]).write_text("[7]")
        return subprocess.CompletedProcess(words, 0, "said")

    monkeypatch.setattr(subprocess, "run", start)
    assert launch(2, "x") == "said"
    assert report(2, "x") == [7]
    launch(2, "x", timeout=3.0)
    report(2, "x", timeout=4.0)
    assert [options.pop("timeout") for options in seen] == [60.0, 60.0, 3.0, 4.0]
    for options in seen:
        env = options.pop("env")
        assert env["PYTHONDONTWRITEBYTECODE"] == ""  # modules compiled are kept
        assert options == {
            "stdin": subprocess.DEVNULL,
            "capture_output": True,
            "text": True,
            "check": False,
        }


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
