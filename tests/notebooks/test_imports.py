"""A page imports the library as its reader would: packages, and what they export."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.notebooks import ROOT, name, notebooks

LIBRARY = "deepopt_lib"
# Packages inside a package, modules whose own lines a page shows, and a question that
# only a page asks.
ALLOWED = {
    *(f"deepopt_lib.book.{inside}" for inside in ("draw", "live", "models")),
    "deepopt_lib.compress.quantization.grid.fit_asymmetric",
    "deepopt_lib.compress.surgeon",
    "deepopt_lib.compress.quantization.integer",
    "deepopt_lib.compress.quantization.weight_only",
    "deepopt_lib.core.optional.numba_is_installed",
}


def exported(package: str) -> set[str]:
    """Return what may be imported from the library, a package or a module of it."""
    folder = ROOT / package.replace(".", "/")
    if package == LIBRARY:
        return {path.parent.name for path in folder.glob("*/__init__.py")}
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf8"))
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


API = ROOT / "chapters" / "api"
SUBPACKAGES = ("draw", "live", "models")  # of the package `book`
PAGES = {path.stem: path.read_text("utf8") for path in API.glob("*.md")}
# A directive with its options, and the package that names are of.
DIRECTIVE = re.compile(r"^\.\. (?:(auto|py:)(\w+)|currentmodule):: (\S+?)(?:\(\))?$")


def listed(text: str) -> Iterator[str]:
    """Yield the full name of what a page of the API has an entry for."""
    package = name = ""
    for line in text.splitlines():
        if found := DIRECTIVE.match(line):
            how, kind, name = found.groups()
            if how is None:
                package = name
            elif how == "auto" and kind == "module":
                package = name
                if name.count(".") == 2:  # one that a package may offer as such
                    yield name
            else:
                yield name if name.startswith(LIBRARY) else f"{package}.{name}"
        elif line.strip() == ":members:":
            yield from (f"{name}.{item}" for item in exported(name))
        elif line.strip().startswith(":exclude-members:"):
            for item in line.split(":")[-1].replace(",", " ").split():
                yield f"-{name}.{item}"


def entries(text: str) -> Counter[str]:
    """Count the entries of a page, those of what it leaves out taken off."""
    names = list(listed(text))
    count = Counter(name for name in names if name[0] != "-")
    count.subtract(name[1:] for name in names if name[0] == "-")
    return count


@pytest.mark.parametrize("package", sorted(exported(LIBRARY)))
def test_every_name_of_a_package_has_one_entry_on_its_page(package: str) -> None:
    within = tuple(f"{LIBRARY}.book.{inner}." for inner in SUBPACKAGES)
    found = Counter(
        name.rsplit(".", 1)[1]
        for name in entries(PAGES[package]).elements()
        if not name.startswith(within)  # the next test asks for these
    )
    names = exported(f"{LIBRARY}.{package}")
    assert {name: found[name] for name in names} == dict.fromkeys(names, 1)


@pytest.mark.parametrize("package", SUBPACKAGES)
def test_packages_of_the_book_are_listed_whole(package: str) -> None:
    found = entries(PAGES["book"])
    names = {
        f"{LIBRARY}.book.{package}.{n}" for n in exported(f"{LIBRARY}.book.{package}")
    }
    assert {name: found[name] for name in names} == dict.fromkeys(names, 1)


def test_a_page_lists_its_own_package_alone() -> None:
    for page, text in PAGES.items():
        assert {name.split(".")[1] for name in entries(text)} == {page}


def test_the_overview_and_the_contents_have_every_package() -> None:
    overview = (ROOT / "chapters" / "api.md").read_text("utf8")
    linked = re.findall(r"\]\(api/(\w+)\.md\)", overview)
    toc = re.findall(r"file: chapters/api/(\w+)", (ROOT / "_toc.yml").read_text("utf8"))
    assert sorted(linked) == sorted(toc) == sorted(PAGES) == sorted(exported(LIBRARY))
    assert "python -m deepopt_lib.compress" in overview
