"""The plain command of the ecosystem catches what it should, and names the cell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]


def validate(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run nbval with the book's settings on a folder with a library of its own."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--nbval",
            "-q",
            "-p",
            "no:cacheprovider",
            "--override-ini=addopts=",
            "--nbval-current-env",
            f"--nbval-sanitize-with={ROOT / 'tests/notebooks/sanitize.cfg'}",
            f"--rootdir={folder}",
            "book.ipynb",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a library and a notebook whose second cell uses it."""
    (tmp_path / "library.py").write_text("answer = 0.125\n")
    cells = [
        nbformat.v4.new_code_cell("import library", execution_count=1),
        nbformat.v4.new_code_cell(
            "library.answer",
            execution_count=2,
            outputs=[
                nbformat.v4.new_output(
                    "execute_result", {"text/plain": "0.125"}, execution_count=2
                )
            ],
        ),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "book.ipynb")
    return tmp_path


def test_a_true_notebook_passes(folder: Path) -> None:
    result = validate(folder)
    assert result.returncode == 0, result.stdout
    assert "2 passed" in result.stdout


def test_an_edited_number_fails_and_the_cell_is_named(folder: Path) -> None:
    path = folder / "book.ipynb"
    path.write_text(path.read_text().replace('"0.125"', '"0.126"'))
    result = validate(folder)
    assert result.returncode == 1
    assert "book.ipynb::Cell 1" in result.stdout and "0.126" in result.stdout


def test_another_number_from_the_library_fails(folder: Path) -> None:
    (folder / "library.py").write_text("answer = 0.1251\n")
    result = validate(folder)
    assert result.returncode == 1
    assert "book.ipynb::Cell 1" in result.stdout and "0.1251" in result.stdout
