"""Everything that the library offers, for the tests that ask the same of all."""

import ast
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

import deepopt_lib

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "deepopt_lib"


def files(library: Path) -> dict[str, Path]:
    """Return the file of every module of a package by dotted name, none imported."""
    found = {}
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def offered(tree: ast.Module) -> list[str]:
    """Return what ``__all__`` lists."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            first = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(first) == "__all__":
                found: list[str] = ast.literal_eval(node.value)
                return found
    return []


def modules() -> dict[str, ModuleType]:
    """Return every module of the library by its dotted name, commands left out."""
    found = pkgutil.walk_packages(deepopt_lib.__path__, "deepopt_lib.")
    return {
        m.name: importlib.import_module(m.name)
        for m in found
        if not m.name.endswith("__main__")
    }


# They fit one shape alone, and have tests of their own.
SHAPED = ("GaLore", "Masked")

PACKAGES = {name: m for name, m in modules().items() if name.count(".") == 1}
PUBLIC: dict[str, Any] = {
    item: getattr(package, item)
    for package in PACKAGES.values()
    for item in package.__all__
}


def rule_classes() -> list[type]:
    """Return every class of the library that has a rule's two methods."""
    return [
        found
        for name, found in PUBLIC.items()
        if isinstance(found, type)
        and not getattr(found, "_is_protocol", False)
        and hasattr(found, "init")
        and hasattr(found, "update")
        and name not in SHAPED
    ]
