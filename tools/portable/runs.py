"""Run one notebook in the arithmetic of this process' environment.

python -m tools.portable.runs chapters/faq.ipynb  prints what its cells print, as JSON
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat

from tools.execute import client, load
from tools.portable.hook import SEED
from tools.printed import Text, texts

TIMEOUT = 3600  # seconds a cell may take: a slow variant is no finding
HOOK = """
from tools.portable.hook import Rewrite
get_ipython().ast_transformers.append(Rewrite())
"""


def run(path: Path) -> list[list[Text]]:
    """Run all cells, whatever fails; return the texts of each cell of code."""
    notebook = load(path)
    if os.environ.get(SEED) is not None:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(HOOK))
    executor = client(
        notebook, path, timeout=TIMEOUT, startup_timeout=300, allow_errors=True
    )
    executor.execute(stderr=subprocess.DEVNULL)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if os.environ.get(SEED) is not None:
        del code[0]
    return [texts(cell.outputs) for cell in code]


if __name__ == "__main__":
    json.dump(run(Path(sys.argv[1]).resolve()), sys.stdout)
