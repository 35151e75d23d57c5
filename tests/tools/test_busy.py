"""A busy machine leaves claims open; the run says how many, and where."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools.busy import FILE, SAID

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest
from deepopt_lib import core

def claim(noise, holds=True):
    with core.when_quiet(core.Timings({}, noise)):
        assert holds

def test_quiet(): claim(0.1)
def test_busy(): claim(0.85, holds=False)
def test_slow(): claim(0.1, holds=False)
def test_busy_and_wrong(): claim(0.5); assert False
"""
CELLS = {
    "from deepopt_lib.core import Timings, when_quiet": [],
    "with when_quiet(Timings({}, 0.85)):\n    assert False": ["nbval-ignore-output"],
    "with when_quiet(Timings({}, 0.05)):\n    assert True": [],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with tests and a notebook, in each of them claims."""
    (tmp_path / "test_claims.py").write_text(TESTS)
    cells = [
        nbformat.v4.new_code_cell(source, execution_count=i, metadata={"tags": tags})
        for i, (source, tags) in enumerate(CELLS.items(), 1)
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "book.ipynb")
    return tmp_path


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with the plugin, as the settings of the book load it."""
    words = ["-q", "-p", "no:cacheprovider", "-p", "tools.busy", "--nbval-current-env"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *words, f"--rootdir={folder}", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_open_claims_are_told_at_the_end(folder: Path) -> None:
    """Of cells and of tests, from a worker and without one; two runs add up."""
    done = run(folder, "--nbval", "-n", "1")
    assert done.returncode == 1, done.stdout
    assert "2 failed, 5 passed" in done.stdout  # test_slow, test_busy_and_wrong
    assert f"3 timing claims {SAID} =" in done.stdout
    told = [
        "book.ipynb::Cell 1 (noise 85 %, margin 20 %)",
        "test_claims.py::test_busy (noise 85 %, margin 20 %)",
        "test_claims.py::test_busy_and_wrong (noise 50 %, margin 20 %)",
    ]
    assert sorted((folder / FILE).read_text("utf8").splitlines()) == told
    assert set(told) <= set(done.stdout.splitlines())
    done = run(folder, "-k", "test_busy and not wrong")
    assert done.returncode == 0
    assert f"1 timing claim {SAID} =" in done.stdout
    lines = (folder / FILE).read_text("utf8").splitlines()
    assert sorted(lines) == sorted([*told, told[1]])


def test_nothing_is_said_of_a_quiet_machine(folder: Path) -> None:
    done = run(folder, "-k", "test_quiet or test_slow")
    assert SAID not in done.stdout
    assert not (folder / FILE).exists()
    assert "noise 10 %, margin 20 %; measured {}" in done.stdout
