"""Which names the statements of a cell need, and which they give.

Read off the source with `symtable`; nothing is run. A cell that only changes a thing
(``rows.append(x)``, ``w[0] = 1``) gives the name of it and needs it.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BUILTIN = frozenset(dir(builtins))


@dataclass(frozen=True)
class Names:
    """What a piece of code needs from before, what it binds, what it changes."""

    needs: frozenset[str]
    binds: frozenset[str]
    changes: frozenset[str]


def of_code(source: str) -> Names:
    """Return the names of a piece of code, its statements taken in turn.

    Raises
    ------
    SyntaxError
        If it is not Python.
    """
    needs: set[str] = set()
    binds: set[str] = set()
    changes: set[str] = set()
    for statement in ast.parse(source).body:
        used, bound = of_statement(statement)
        touched = set(changed(statement)) - bound
        needs |= (used | touched) - binds
        changes |= touched - binds
        binds |= bound
    return Names(frozenset(needs - BUILTIN), frozenset(binds), frozenset(changes))


def of_statement(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """Return which names of the module a statement reads before, and those it binds."""
    table = symtable.symtable(ast.unparse(statement), "cell", "exec")
    bound = {s.get_name() for s in table.get_symbols() if gives(s)}
    used = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    used |= {
        s.get_name() for t in below(table) for s in t.get_symbols() if s.is_global()
    }
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        if isinstance(statement, ast.AugAssign):
            return used | bound, bound
        return used if statement.value is None else used_in(statement.value), bound
    return used - bound, bound


def used_in(value: ast.expr) -> set[str]:
    """Return which names of the module an expression reads."""
    return of_statement(ast.Expr(value))[0]


def gives(symbol: symtable.Symbol) -> bool:
    """Say whether a name of the module has a value after its statement."""
    return symbol.is_assigned() or symbol.is_imported()


def below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """Yield the scopes inside a scope."""
    for child in table.get_children():
        yield child
        yield from below(child)


def changed(node: ast.AST) -> Iterator[str]:
    """Yield the names of the things that a statement changes in place, when it runs."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
        return
    match node:
        case ast.Subscript(ctx=ast.Store() | ast.Del()):
            yield from root(node)
        case ast.Attribute(ctx=ast.Store() | ast.Del()):
            yield from root(node)
        case ast.Expr(value=ast.Call(func=ast.Attribute() as method)):
            yield from root(method)
    for child in ast.iter_child_nodes(node):
        yield from changed(child)


def root(node: ast.expr) -> Iterator[str]:
    """Yield the name that a chain of attributes and subscripts starts with."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def needed_cells(cells: Sequence[str], names: frozenset[str]) -> list[int]:
    """Return which cells, in their order, give ``names`` and what these rest on.

    A name that no cell gives is left to whoever asks.
    """
    found = [of_code(cell) for cell in cells]
    modules = {n for cell in cells for n in imported(cell)}
    chosen: set[int] = set()
    wanted = [(name, len(cells)) for name in names]
    seen = set(wanted)
    while wanted:
        name, end = wanted.pop()
        for i in reversed(range(end)):
            touches = name in found[i].changes and name not in modules
            if name not in found[i].binds and not touches:
                continue
            chosen.add(i)
            more = {(need, i) for need in found[i].needs} - seen
            seen |= more
            wanted += more
            if name in found[i].binds and name not in found[i].needs:
                break
    return sorted(chosen)


def imported(source: str) -> Iterator[str]:
    """Yield the names that a cell imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield (alias.asname or alias.name).split(".")[0]
