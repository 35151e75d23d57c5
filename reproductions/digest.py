"""A hash of the code that decides the numbers of an experiment, and of no other."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["definitions", "digest"]

PACKAGE = "reproductions"
Place = tuple[str, str]  # a module of the package, and a name in it


def digest(folder: Path, name: str) -> str:
    """Return a short hash of all that the ``run`` of an experiment reaches.

    That is ``run`` itself and whatever it names of its module and of others of this
    package, and what those name in turn: no comments and docstrings, no
    claims of what was run, and not the library, whose version is stored beside it.
    """
    modules: dict[str, dict[str, ast.stmt]] = {}
    reached: dict[Place, str] = {}
    todo: list[Place] = [(name, "run")]
    while todo:
        module, word = place = todo.pop()
        if module not in modules:
            modules[module] = definitions(folder / f"{module}.py")
        node = modules[module].get(word)
        if node is None or place in reached:
            continue
        reached[place] = "" if isinstance(node, ast.ImportFrom) else _plain(node)
        todo += _named(node, word, module, modules[module])
    text = "\n".join(f"{place}: {plain}" for place, plain in sorted(reached.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def definitions(path: Path) -> dict[str, ast.stmt]:
    """Return what a module assigns, defines or imports from here, by name."""
    found: dict[str, ast.stmt] = {}
    for node in ast.parse(path.read_text()).body:
        for word in _defined(node):
            found[word] = node
    return found


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))
    elif isinstance(node, ast.ImportFrom) and _from_here(node) is not None:
        yield from (alias.asname or alias.name for alias in node.names)


def _from_here(node: ast.ImportFrom) -> str | None:
    """Return the module that something is imported from, "" for the package itself."""
    first, _, rest = (node.module or "").partition(".")
    return rest if first == PACKAGE else None


def _named(
    node: ast.stmt, word: str, module: str, here: dict[str, ast.stmt]
) -> Iterator[Place]:
    """Yield the places that a definition names; of an import, where it leads."""
    if isinstance(node, ast.ImportFrom):
        if source := _from_here(node):
            yield source, _original(node, word)
        return
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield module, part.id
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            origin = here.get(part.value.id)
            if isinstance(origin, ast.ImportFrom) and _from_here(origin) == "":
                yield _original(origin, part.value.id), part.attr


def _original(node: ast.ImportFrom, word: str) -> str:
    """Return the name that an import gave another one."""
    return next(a.name for a in node.names if word == (a.asname or a.name))


def _plain(node: Any) -> str:
    """Return a syntax tree as text, the same in every version of Python."""
    if isinstance(node, list):
        return "[" + ", ".join(_plain(n) for n in node if not _is_text(n)) + "]"
    if isinstance(node, ast.AST):
        fields = {k: v for k, v in ast.iter_fields(node) if v not in (None, [])}
        inner = ", ".join(f"{k}={_plain(v)}" for k, v in fields.items())
        return f"{type(node).__name__}({inner})"
    return repr(node)


def _is_text(node: Any) -> bool:
    """Say whether a statement is a text that nothing reads."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
