"""The layout: packages that import only downwards, as the table in CONTRIBUTING allows.

The imports are read, not run, so that one inside a function or for types alone counts.
"""

import ast
import math
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from deepopt_lib import core
from tests.library.registry import LIBRARY, PACKAGES, ROOT, files, offered

LINES = 200  # the longest module
SLOWER = 1.5  # than `import numpy`
COMMANDS = ("cli", "__main__")
HEAVY = {
    *("IPython", "PIL", "hypothesis", "jax", "llvmlite", "matplotlib", "mlxtend"),
    *("mpi4py", "names", "numba", "pandas", "psutil", "scipy", "sklearn", "torch"),
}
NEEDS = {"book": {"IPython", "PIL", "matplotlib", "scipy"}}
NEEDS["trials"] = {"scipy"}  # for the quantiles of Student's t
# What two packages may both offer, each its own: one process trains, or several do;
# a product of arrays, and one that is recorded.
TWICE = {"fit", "matmul"}


class Arrow(NamedTuple):
    """An import: the module that says it, the one that it names, and where."""

    source: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def named(node: ast.AST, source: str, is_package: bool) -> Iterator[str]:
    """Yield the dotted name of what an import statement or call names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        here = source.split(".")
        up = len(here) - node.level + is_package
        stem = [*(here[:up] if node.level else ()), *(node.module or "").split(".")]
        yield from (".".join([*filter(None, stem), a.name]) for a in node.names)
    elif isinstance(node, ast.Call) and node.args:
        name = ast.unparse(node.func).split(".")[-1]
        first = node.args[0]
        if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
            yield str(first.value)


def arrows(library: Path) -> list[Arrow]:
    """Return every import of a package's own modules by one another."""
    paths = files(library)
    found = []
    for source, path in paths.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for target in named(node, source, path.stem == "__init__"):
                if target not in paths:  # a name of a module, or no module of ours
                    target = target.rpartition(".")[0]
                if target in paths and target != source:
                    found.append(Arrow(source, target, getattr(node, "lineno", 0)))
    return found


def circle(arrows: Iterable[Arrow | tuple[str, str]]) -> list[str]:
    """Return the modules of a circle of imports, none if there is none."""
    graph = TopologicalSorter[str]()
    for source, target, *_ in arrows:
        graph.add(str(source), str(target))
    try:
        graph.prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def forbidden(arrows: Iterable[Arrow], allowed: dict[str, set[str]]) -> list[str]:
    """Return the imports from one package by another that may not."""
    return [
        str(arrow)
        for arrow in arrows
        if (source := package(arrow.source)) != (target := package(arrow.target))
        and target not in allowed.get(source, set())
    ]


def facades_used(arrows: Iterable[Arrow], library: Path) -> list[str]:
    """Return the imports that go through an ``__init__``; those of commands may."""
    paths = files(library)
    return [
        str(arrow)
        for arrow in arrows
        if paths[arrow.target].stem == "__init__"
        and arrow.target != library.name
        and arrow.source.split(".")[-1] not in COMMANDS
    ]


def package(module: str) -> str:
    """Return ``optim`` of ``deepopt_lib.optim.rules``."""
    return [*module.split("."), ""][1]


def table() -> dict[str, set[str]]:
    """Return the allowed arrows by package, as CONTRIBUTING has them."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition("## Packages\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line[:1] == "|"]
    return {
        name: set(re.findall("`([a-z]+)`", allowed))
        for (name,), allowed in (
            (re.findall("`([a-z]+)`", first), last) for first, _, last in rows[2:]
        )
    }


def imported(tree: ast.Module) -> list[str]:
    """Return the names that a module gets from others."""
    return [
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]


MODULES = files(LIBRARY)
ARROWS = arrows(LIBRARY)
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}
INITS = [name for name, path in MODULES.items() if path.stem == "__init__"][1:]
WHOLE = {  # modules that a package offers as such
    f"{name}.{alias.name}"
    for name in INITS
    for node in ast.walk(TREES[name])
    if isinstance(node, ast.ImportFrom) and node.module == name
    for alias in node.names
}


def write(library: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        path = library / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in (library, path.parent):
            (folder / "__init__.py").touch()
        path.write_text(text)
    return library


@pytest.mark.parametrize(
    "text",
    [
        "import lib.a.one",
        "from lib.a import one",
        "from lib.a.one import f",
        "from ..a.one import f",
        "from ..a import one",
        "def late():\n    from lib.a.one import f",
        "if TYPE_CHECKING:\n    from lib.a.one import f",
        "import importlib\nm = importlib.import_module('lib.a.one')",
    ],
)
def test_circles_and_forbidden_arrows_are_seen(tmp_path: Path, text: str) -> None:
    texts = {"a/one.py": "from lib.b.two import g", "b/two.py": text}
    found = arrows(write(tmp_path / "lib", texts))
    assert {(a.source, a.target) for a in found} == {
        ("lib.a.one", "lib.b.two"),
        ("lib.b.two", "lib.a.one"),
    }
    assert set(circle(found)) == {"lib.a.one", "lib.b.two"}
    assert circle(found[:1]) == []
    line = text.count("\n") + 1
    down = {"a": {"b"}, "b": set[str]()}
    assert forbidden(found, down) == [f"lib.b.two:{line} imports lib.a.one"]
    assert forbidden(found, {"a": {"b"}, "b": {"a"}}) == []


def test_an_import_through_a_package_is_seen(tmp_path: Path) -> None:
    texts = {"a/one.py": "", "b/two.py": "from lib.a import f", "b/cli.py": ""}
    texts["b/cli.py"] = texts["b/two.py"]
    library = write(tmp_path / "lib", texts)
    assert facades_used(arrows(library), library) == ["lib.b.two:1 imports lib.a"]
    texts = {"a/one.py": "from lib.a import one, f"}
    assert circle(arrows(write(library, texts))) == []
    (library / "a/__init__.py").write_text("from lib.a.one import f")
    assert set(circle(arrows(library))) == {"lib.a", "lib.a.one"}


def test_the_table_is_of_all_packages_and_points_downwards() -> None:
    allowed = table()
    assert set(allowed) == set(map(package, INITS))
    assert set().union(*allowed.values()) <= set(allowed)
    assert not circle((p, q) for p, below in allowed.items() for q in below)


def test_only_allowed_arrows() -> None:
    assert not forbidden(ARROWS, table())


def test_no_circle() -> None:
    assert not circle(ARROWS)


def test_modules_import_from_where_a_thing_is_defined() -> None:
    assert not facades_used(ARROWS, LIBRARY)


@pytest.mark.parametrize("name", MODULES)
def test_no_module_is_long(name: str) -> None:
    length = MODULES[name].read_text("utf-8").count("\n")
    assert length <= LINES


@pytest.mark.parametrize("name", INITS)
def test_a_package_says_what_is_inside(name: str) -> None:
    doc = ast.get_docstring(TREES[name]) or ""
    blocks = doc.split("\n\n")  # a first line, and one paragraph
    assert len(blocks) == 2 if name.count(".") == 1 else len(blocks) in (1, 2)
    assert all(block.rstrip().endswith(".") for block in blocks)


@pytest.mark.parametrize("name", INITS)
def test_a_package_offers_what_it_imports(name: str) -> None:
    assert sorted(offered(TREES[name])) == sorted(imported(TREES[name]))


@pytest.mark.parametrize("name", INITS)
def test_a_name_is_not_that_of_a_module_beside_it(name: str) -> None:
    """Else importing the module would replace it; a package may offer the module."""
    as_modules = {alias for alias in offered(TREES[name]) if f"{name}.{alias}" in WHOLE}
    clashes = {x for x in offered(TREES[name]) if f"{name}.{x}" in MODULES}
    assert clashes == as_modules


@pytest.mark.parametrize("name", [m for m in MODULES if m not in INITS])
def test_a_module_offers_only_what_it_defines(name: str) -> None:
    assert not set(offered(TREES[name])) & set(imported(TREES[name]))


def test_a_name_belongs_to_one_package() -> None:
    offers = {
        (item, id(getattr(package, item)))
        for package in PACKAGES.values()
        for item in package.__all__
    }
    names = Counter(item for item, _ in offers)
    assert {item for item, count in names.items() if count > 1} == TWICE


def test_the_tests_mirror_the_packages() -> None:
    folders = {p.parent.name for p in Path(__file__).parent.glob("*/test_*.py")}
    assert folders == set(map(package, INITS))


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_importing_a_package_loads_nothing_heavy(name: str) -> None:
    found = run(f"import sys, {name}\nprint(*{HEAVY!r} & set(sys.modules))").split()
    assert not set(found) - NEEDS.get(package(name), set())


def test_importing_the_optimizers_costs_little_more_than_numpy(tmp_path: Path) -> None:
    """The least of several, taken in turns: what else runs only adds.

    Both come as bytecode, which the first time writes.
    """
    cache = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    clock = "import time; start = time.perf_counter(); import {}\n"
    clock += "print(time.perf_counter() - start)"
    bare = ours = math.inf
    with core.Watch() as machine:
        for i in range(20):
            bare = min(bare, float(run(clock.format("numpy"), **cache)))
            ours = min(ours, float(run(clock.format("deepopt_lib.optim"), **cache)))
            machine.sample()
            if i > 2 and ours <= SLOWER * bare:
                break
    with core.when_quiet(machine):
        assert ours <= SLOWER * bare, f"{ours:.3f} s, NumPy alone {bare:.3f} s"
