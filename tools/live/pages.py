"""Which pages do not run in the browser, and why.

One table. The tests hold it: a page that is not on it imports only what is there, and
one that is has the sign of its reason in its code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from tools.notebooks import CHAPTERS

__all__ = ["CANNOT", "Cannot", "code_of", "name_of", "reason"]


class Cannot(NamedTuple):
    """Why a page does not run: a pattern in its code, and what the reader is told."""

    sign: str
    why: str


CANNOT = {
    "chapters/outlook/parallel_and_distributed": Cannot(
        r"\bpsutil\.",
        "it starts processes that send each other messages, and kills one of them; "
        "a browser has no processes.",
    ),
    "chapters/outlook/hardware_codesign": Cannot(
        r"\bnumba_is_installed\(\)",
        "it measures the caches and the arithmetic of a processor with compiled code, "
        "and in a browser there is another machine in between.",
    ),
    "chapters/performance": Cannot(
        r"\boptim\.InPlace\(",
        "it measures compiled loops, and their compiler (numba) does not run in a "
        "browser.",
    ),
    "chapters/appendix/reproducibility": Cannot(
        r"\bsubprocess\.Popen\(",
        "it starts Python again and again to compare what comes out; a browser has no "
        "other programs.",
    ),
    "chapters/references": Cannot(
        r"\bpybtex\b",
        "it counts the works of the bibliography with a package that is not part of "
        "this site.",
    ),
    "chapters/solve": Cannot(
        r"\.stored\(page",
        "it computes nothing: its numbers are those of the other pages.",
    ),
}


def code_of(notebook: Path) -> str:
    """Return all code of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf8"))["cells"]
    code = ("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    return "\n".join(code)


def reason(page: str) -> str:
    """Return why a page (``chapters/...``) does not run in the browser, or ``""``."""
    return CANNOT[page].why if page in CANNOT else ""


def name_of(notebook: Path, chapters: Path = CHAPTERS) -> str:
    """Return the name of a notebook's page in the site."""
    path = notebook.relative_to(chapters.parent)
    return path.with_suffix("").as_posix()
