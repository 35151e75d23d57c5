"""Real MPI processes: what they agree on, what they send, and what ends a job."""

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


def fails(n: int, *arguments: object) -> str:
    with pytest.raises(RuntimeError) as error:
        launch(n, "deepopt_lib.parallel", *QUICK, *arguments)
    return str(error.value)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_ranks_together(n: int, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(ROOT)
    launch(n, "tests.library.parallel.mpi_worker", tmp_path)


@pytest.mark.parametrize("way", [[], ["--zero"], ["--model", "conv", "--hidden", 4]])
def test_one_trajectory_on_any_number_of_ranks(way: list[Any]) -> None:
    runs = [run(n, *way) for n in (1, 2, 4)]
    for other in runs[1:]:
        np.testing.assert_allclose(other["loss"], runs[0]["loss"], rtol=1e-12)
        assert other["accuracy"] == runs[0]["accuracy"]
        for k, norm in runs[0]["norms"].items():
            np.testing.assert_allclose(other["norms"][k], norm, rtol=1e-12)
    whole = sum(runs[0]["state_bytes"])
    for found, n in zip(runs, (1, 2, 4), strict=True):
        share = n if "--zero" in way else 1
        assert max(found["state_bytes"]) <= 1.05 * whole / share
        assert found["sent"] == 2 * (n - 1) / n * 24 * found["parameter_bytes"]


def test_a_checkpoint_goes_on_with_other_ranks_and_parts(tmp_path: Path) -> None:
    """Stopped on 2 ranks, taken up on 4 with ZeRO-1, and on one without."""
    straight = run(1, "--epochs", 4)
    path = tmp_path / "run.safetensors"
    for n, epochs, way in [(2, 1, []), (4, 3, ["--zero"]), (1, 4, [])]:
        found = run(n, "--checkpoint", path, "--epochs", epochs, *way)
        assert len(found["loss"]) == 12 * epochs
    np.testing.assert_allclose(found["loss"], straight["loss"], rtol=1e-12)


def test_feedback_belongs_to_its_ranks(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    options = ["--exchange", "powersgd", "--checkpoint", path]
    run(2, *options)
    assert "ranks is 2 there, 4 here" in fails(4, *options, "--epochs", 3)
    assert "what ranks send is" in fails(2, *options, "--exchange", "topk")


def test_a_killed_rank_ends_the_job_and_nothing_is_lost(tmp_path: Path) -> None:
    whole = run(4, "--epochs", 8)
    path = tmp_path / "run.safetensors"
    options = [*QUICK, "--epochs", 8, "--checkpoint", path, "--every", 1]
    job = subprocess.Popen(
        command(4, "deepopt_lib.parallel", *options),
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
        assert len(ranks) == 4
        os.kill(ranks[2].pid, signal.SIGKILL)
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
    assert 5 <= stopped < 96
    again = run(4, *options[len(QUICK) :])
    assert again["params"] == whole["params"]
    assert again["loss"] == whole["loss"]
    assert os.listdir(tmp_path) == ["run.safetensors"]


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    table: dict[str, list[object]] = {
        "ZeRO1 needs one elementwise rule": ["--zero", "--optimizer", "muon"],
        "exclude each other": ["--zero", "--exchange", "sign"],
        "a batch needs a sample for each rank": ["--batch-size", "1"],
        "one checkpoint is of one seed": ["--seed", 1, 2, "--checkpoint", "x"],
        "Optimizer.lr must be": ["--lr", "-1"],
        "PowerSGD.rank must be": ["--exchange", "powersgd", "--rank", "0"],
        "cannot write the checkpoint": ["--checkpoint", tmp_path / "no" / "x"],
    }
    for message, arguments in table.items():
        said = fails(2, *arguments)
        assert message in said
        assert said.count(message) == 1  # one rank speaks for all
        assert "Traceback" not in said
        assert str(tmp_path) not in "".join(os.listdir(tmp_path))


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


def test_without_mpi_the_extra_is_named() -> None:
    program = (
        "import sys\n"
        "sys.modules['mpi4py'] = None\n"
        "from deepopt_lib.parallel.cli import main\n"
        "raise SystemExit(main([]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'deepopt_lib[parallel]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_launch_refuses(monkeypatch: Any) -> None:
    with pytest.raises(ValueError, match=r"n must be an int >= 1, got 0"):
        command(0, "x")
    monkeypatch.setattr(sys, "executable", "/no/python")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match=r"deepopt_lib\[parallel\]"):
        command(2, "x")
