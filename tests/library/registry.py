"""Everything that the library offers, for the tests that ask the same of all."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any

import deepopt_lib


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
