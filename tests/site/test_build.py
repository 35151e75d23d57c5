"""A page with a mistake fails the build, on the first try and on the next."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TOC = "format: jb-book\nroot: index\nchapters:\n  - file: page\n"
MISTAKES = {
    "reference": ("See {eq}`nowhere`.", "nowhere"),
    "citation": ("As in {cite}`nobody1900`.", "nobody1900"),
    "link": ("Go [there](missing.md).", "missing.md"),
    "formula": (r"$$ \frac{1}{ $$", "KaTeX cannot read"),
}


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Return a book of two pages with the settings and tools of this one."""
    for name in ("_ext", "_static"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("_config.yml", "references.bib", "Makefile"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "_toc.yml").write_text(TOC)
    (tmp_path / "index.md").write_text(
        "# Start\n\nA sentence about the [page](page.md).\n"
    )
    (tmp_path / "page.md").write_text("# Page\n\nA formula, $a^2$.\n")
    return tmp_path


def build(book: Path) -> subprocess.CompletedProcess[str]:
    """Build as `make html` does, with the environment that runs the tests."""
    command = ["make", "-o", "env", "html", f"BIN={BIN}", "MAKEFLAGS="]
    return subprocess.run(
        command, cwd=book, capture_output=True, text=True, check=False
    )


def test_mistakes_fail_the_build_twice(book: Path) -> None:
    good = build(book)
    assert good.returncode == 0, good.stdout + good.stderr
    text = "\n\n".join(mistake for mistake, _ in MISTAKES.values())
    (book / "page.md").write_text(f"# Page\n\n{text}\n")
    for attempt in ("cold", "warm"):
        bad = build(book)
        assert bad.returncode != 0, attempt
        for what, (_, sign) in MISTAKES.items():
            assert sign in bad.stdout + bad.stderr, f"{what}, {attempt}"
