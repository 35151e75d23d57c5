"""Send the library and the cells of a notebook through `perturb`.

`install` rewrites the library as it is imported, `Rewrite` the cells of a notebook.
Both turn ``a @ b`` and ``x.sum()`` into calls of `perturb.Arithmetic.rounded`.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from types import CodeType, ModuleType
from typing import Any

from tools.portable.names import ROUNDED

SEED = "DEEPOPT_PERTURB"  # the variable of the environment that holds the seed
NAME = "__rounded__"


class Rewrite(ast.NodeTransformer):
    """Send products, sums and functions through `rounded`."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Turn ``a @ b`` into a call."""
        self.generic_visit(node)
        if not isinstance(node.op, ast.MatMult):
            return node
        operator = ast.Constant("@")
        return self._call(node, [operator, operator, node.left, node.right], [])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Turn ``x.sum(...)`` and ``np.exp(x)`` into calls."""
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Attribute) and node.func.attr in ROUNDED):
            return node
        name = ast.Constant(node.func.attr)
        return self._call(node, [name, node.func, *node.args], node.keywords)

    @staticmethod
    def _call(
        node: ast.expr, args: Sequence[ast.expr], keywords: list[ast.keyword]
    ) -> ast.AST:
        call = ast.Call(ast.Name(NAME, ast.Load()), list(args), keywords)
        return ast.fix_missing_locations(ast.copy_location(call, node))


class Loader(SourceFileLoader):
    """Compile a module from its rewritten text, never from a cache."""

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code of the rewritten module."""
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), filename=path)
        return compile(Rewrite().visit(tree), path, "exec", dont_inherit=True)


class Finder(MetaPathFinder):
    """Give the modules of the library the loader above."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find what the ordinary finder finds."""
        if fullname.partition(".")[0] != "deepopt_lib":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.origin and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(fullname, spec.origin)
        return spec


def first(*args: Any, **kwargs: Any) -> Any:
    """Make the other arithmetic at the first call: NumPy starts when it would."""
    from tools.portable.perturb import Arithmetic

    hide(Arithmetic.rounded)
    rounded = Arithmetic(int(os.environ[SEED])).rounded
    setattr(builtins, NAME, rounded)
    return rounded(*args, **kwargs)


def hide(function: Any) -> None:
    """Give its lines to NumPy: ``a @ b`` has no line of its own in a traceback."""
    numpy = find_spec("numpy")
    if numpy and numpy.origin:
        function.__code__ = function.__code__.replace(co_filename=numpy.origin)


def install() -> None:
    """Compute otherwise from here on, in this process, if the environment says so."""
    if SEED in os.environ and not hasattr(builtins, NAME):
        hide(first)
        setattr(builtins, NAME, first)
        sys.meta_path.insert(0, Finder())
