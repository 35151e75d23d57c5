"""What Python needs of this project in the browser: the library, and files it reads.

The library is one archive, unpacked at the start. Everything else is listed with its
size, and loaded when a page opens it: the data sets, what comparisons have computed,
what the papers' experiments have found, and of each notebook what it glues.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from tools.notebooks import ROOT

__all__ = ["glued_only", "library", "read_later"]

READ = (
    "deepopt_lib/data/files/*.npz",
    "chapters/trials/*.json",
    "reproductions/*.json",
    "chapters/**/*.ipynb",
)
CODE = (
    "deepopt_lib/**/*.py",
    "deepopt_lib/**/*.html",
    "tools/live/__init__.py",
    "tools/live/s*.py",  # session, stand_in
)
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same bytes at every build


def library(root: Path = ROOT) -> bytes:
    """Return the source of library and session as a zip, always the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for pattern in CODE:
            for path in sorted(root.glob(pattern)):
                entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), LONG_AGO)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return packed.getvalue()


def read_later(root: Path = ROOT) -> dict[str, bytes]:
    """Return the files that a page may open, by their path in the project."""
    found = {}
    for pattern in READ:
        for path in sorted(root.glob(pattern)):
            if ".ipynb_checkpoints" in path.parts:
                continue
            content = path.read_bytes()
            if path.suffix == ".ipynb":
                content = glued_only(json.loads(content))
            found[path.relative_to(root).as_posix()] = content
    return found


def glued_only(notebook: dict[str, Any]) -> bytes:
    """Return a notebook without all but the outputs that other pages read."""
    outputs = [
        output
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if "scrapbook" in output.get("metadata", {})
    ]
    kept = [{"outputs": outputs}] if outputs else []
    return json.dumps({"cells": kept}, ensure_ascii=False).encode()
