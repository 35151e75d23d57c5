"""A fingerprint of what a run depends on: its code, all that it calls, its data."""

from __future__ import annotations

import ast
import dataclasses
import dis
import functools
import hashlib
import inspect
import sysconfig
import textwrap
import types
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["digest"]

LIBRARY = __name__.split(".", maxsplit=1)[0]
HERE = __name__.rpartition(".")[0]  # compares runs and has no part in them
INSTALLED = tuple(sysconfig.get_paths()[k] for k in ("stdlib", "purelib", "platlib"))
PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...))
IGNORED = {"ctx", "kind", "type_comment", "type_params", "returns", "annotation"}


def digest(*things: Any) -> str:
    """Return a SHA-256 that changes when what the things compute may change.

    A function of a notebook counts by its syntax tree, without comments, docstrings and
    annotations, and by all that it names: other functions, numbers, arrays. What comes
    from this library counts by its module and all modules that this one imports, but
    for `trials` itself. Other packages count by name, not by version.

    Raises
    ------
    TypeError
        If something has a state that cannot be seen, such as a random generator.
    """
    hashed = hashlib.sha256()
    for part in _parts(things, {}):
        hashed.update(part)
        hashed.update(b"\0")
    return hashed.hexdigest()


def _parts(thing: Any, seen: dict[int, Any]) -> Iterator[bytes]:
    """Yield what tells ``thing`` from others; each object once."""
    if isinstance(thing, PLAIN):
        yield f"{type(thing).__name__} {thing!r}".encode()
        return
    if id(thing) in seen:
        yield f"again {list(seen).index(id(thing))}".encode()
        return
    seen[id(thing)] = thing
    if isinstance(thing, np.ndarray | np.generic):
        array = np.ascontiguousarray(thing)
        yield f"array {array.dtype.str} {np.shape(thing)}".encode()
        yield hashlib.sha256(array.tobytes()).digest()
    elif isinstance(thing, types.ModuleType):
        yield f"module {thing.__name__}".encode()
    elif hasattr(thing, "__wrapped__"):  # a cache, or another decorator
        yield from _parts([type(thing).__name__, thing.__wrapped__], seen)
    elif _is_library(thing):
        yield f"{thing.__qualname__} {_closure(thing.__module__)}".encode()
        yield from _parts(_enclosed(thing), seen)
    elif isinstance(thing, types.FunctionType) and not _is_installed(thing):
        if thing.__name__ == "<lambda>":
            raise TypeError("a run must not depend on a lambda: give it a name by def")
        yield _tree(inspect.getsource(thing)).encode()
        named = [thing.__defaults__, thing.__kwdefaults__, _enclosed(thing)]
        yield from _parts([*named, _named(thing.__code__, thing.__globals__)], seen)
    elif isinstance(thing, type):
        yield f"class {thing.__module__} {thing.__qualname__}".encode()
        if thing.__module__ == "__main__":
            methods = [v for v in vars(thing).values() if inspect.isfunction(v)]
            yield from _parts(methods, seen)
    elif isinstance(thing, functools.partial):
        yield from _parts([thing.func, thing.args, thing.keywords], seen)
    elif isinstance(thing, types.MethodType):
        yield from _parts([thing.__func__, thing.__self__], seen)
    elif isinstance(thing, dict):
        yield f"dict {len(thing)}".encode()
        for key, value in thing.items():
            yield from _parts((key, value), seen)
    elif isinstance(thing, tuple | list):
        yield f"{type(thing).__name__} {len(thing)}".encode()
        for value in thing:
            yield from _parts(value, seen)
    elif isinstance(thing, set | frozenset):
        yield b"set"
        yield from _parts(sorted(thing, key=repr), seen)
    elif dataclasses.is_dataclass(thing):
        fields = [getattr(thing, f.name) for f in dataclasses.fields(thing)]
        yield from _parts([type(thing), *fields], seen)
    elif callable(thing) and hasattr(thing, "__qualname__"):
        yield f"{getattr(thing, '__module__', '')} {thing.__qualname__}".encode()
    elif isinstance(thing, np.ufunc):
        yield f"ufunc {thing.__name__}".encode()
    elif type(thing).__module__ != "builtins" and vars(type(thing)).get("__dict__"):
        yield from _parts([type(thing), vars(thing)], seen)
    else:
        raise TypeError(f"a run must not depend on {thing!r}: its state cannot be seen")


def _is_library(thing: Any) -> bool:
    module = getattr(thing, "__module__", None) or ""
    named = isinstance(thing, types.FunctionType | type)
    return named and _is_ours(module)


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == LIBRARY


def _is_installed(function: types.FunctionType) -> bool:
    """Tell whether a function belongs to another package, which counts by name."""
    return function.__code__.co_filename.startswith(INSTALLED)


def _enclosed(thing: Any) -> list[Any]:
    """Return the values that a function closes over."""
    cells = getattr(thing, "__closure__", None) or ()
    return [cell.cell_contents for cell in cells]


def _named(code: types.CodeType, names: dict[str, Any]) -> dict[str, Any]:
    """Return the globals that a function reads, and the members of modules it names."""
    found: dict[str, Any] = {}
    reads, attributes = _reads(code)
    for name in sorted(reads & names.keys()):
        value = found[name] = names[name]
        if isinstance(value, types.ModuleType) and _is_ours(value.__name__):
            for member in sorted(attributes & vars(value).keys()):
                found[f"{name}.{member}"] = getattr(value, member)
    return found


def _reads(code: types.CodeType) -> tuple[set[str], set[str]]:
    """Return the names that a function and those within it read, and all attributes."""
    steps = list(dis.get_instructions(code))
    reads = {s.argval for s in steps if s.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    attributes = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            more, further = _reads(inner)
            reads, attributes = reads | more, attributes | further
    return reads, attributes


def _tree(source: str) -> str:
    return _dump(ast.parse(textwrap.dedent(source)))


def _dump(node: Any) -> str:
    """Return a syntax tree as text that is the same for every version of Python."""
    if isinstance(node, list):
        return f"[{' '.join(_dump(n) for n in node if not _is_note(n))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(k, v) for k, v in ast.iter_fields(node) if k not in IGNORED]
    shown = (f"{k}={_dump(v)}" for k, v in fields if v is not None and v != [])
    return f"{type(node).__name__}({' '.join(shown)})"


def _is_note(node: Any) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@functools.cache
def _closure(module: str) -> str:
    """Return the fingerprint of a module of the library and of all that it imports."""
    known: dict[str, str] = {}
    todo = [] if module.startswith(HERE) else [module]
    while todo:
        name = todo.pop()
        spec = find_spec(name)
        if name in known or spec is None or spec.origin is None:
            continue
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf8"))
        known[name] = _dump(tree)
        for node in ast.walk(tree):
            source = node.module if isinstance(node, ast.ImportFrom) else None
            if source and _is_ours(source) and not source.startswith(HERE):
                todo.append(source)
    text = "\n".join(f"{name} {known[name]}" for name in sorted(known))
    return hashlib.sha256(text.encode()).hexdigest()
