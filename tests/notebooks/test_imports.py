"""A page imports the library as its reader would: packages, and what they export."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.notebooks import ROOT, name, notebooks

LIBRARY = "deepopt_lib"
# Modules whose own lines a page shows, and a question that only a page asks.
ALLOWED = {
    "deepopt_lib.compress.quantization.grid.fit_asymmetric",
    "deepopt_lib.compress.surgeon",
    "deepopt_lib.compress.quantization.integer",
    "deepopt_lib.compress.quantization.weight_only",
    "deepopt_lib.core.optional.numba_is_installed",
}


def exported(package: str) -> set[str]:
    """Return what may be imported from the library or from one of its packages."""
    folder = ROOT / package.replace(".", "/")
    if package == LIBRARY:
        return {path.parent.name for path in folder.glob("*/__init__.py")}
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    raise ValueError(f"{package} has no __all__")


def problems(source: str) -> Iterator[str]:
    """Yield what a cell imports that is neither a package nor exported by one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            wanted = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            wanted = [(str(node.module), alias.name) for alias in node.names]
        else:
            continue
        for module, what in wanted:
            full = f"{module}.{what}".rstrip(".")
            if module.split(".")[0] != LIBRARY or full in ALLOWED:
                continue
            deep = module.count(".") > 1
            if deep or (what and what not in exported(module)):
                yield full


@pytest.mark.parametrize("path", notebooks(), ids=name)
def test_a_page_imports_packages(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    assert [found for source in code for found in problems(source)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import deepopt_lib.optim.adaptive",
        "from deepopt_lib.optim.adaptive import Adam",
        "from deepopt_lib.optim import adaptive",
        "from deepopt_lib import plot",
        "def f():\n    from deepopt_lib.core import checks",
    ],
)
def test_a_module_is_noticed(source: str) -> None:
    assert len(list(problems(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import numpy.linalg.lapack_lite",
        "from deepopt_lib import nn, optim",
        "from deepopt_lib.book import plot, show",
        "from deepopt_lib.optim import Adam",
        "import deepopt_lib.optim",
    ],
)
def test_a_package_is_fine(source: str) -> None:
    assert list(problems(source)) == []


def test_what_is_allowed_is_there_and_used() -> None:
    text = "".join(path.read_text(encoding="utf8") for path in notebooks())
    for full in ALLOWED:
        module, _, what = full.rpartition(".")
        assert f"from {module} import" in text and what in text, full


@pytest.mark.parametrize("package", sorted(exported(LIBRARY)))
def test_the_api_page_lists_what_a_package_offers(package: str) -> None:
    text = (ROOT / "chapters" / "api.md").read_text("utf8")
    _, _, rest = text.partition(f"\n## `{package}`\n")
    section, _, _ = rest.partition("\n## ")
    listed = set(re.findall(r"\w+", section))
    assert exported(f"{LIBRARY}.{package}") <= listed
