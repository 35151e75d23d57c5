"""Restricted Python as JavaScript: a figure's model, printed for the reader's browser.

A model is one function of numbers, texts and lists that reads like its formula. It
may use arithmetic, comparisons, ``if``, ``while``, ``for`` over a range or a list,
lists with ``append``, functions of `math`, and functions of its own kind. Both
languages do that in the same order and in double precision; all else is refused.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Callable
from types import FunctionType
from typing import Any

from deepopt_lib.book.live.expressions import Expressions
from deepopt_lib.book.live.syntax import HELPERS, RESERVED, RefusedError

__all__ = ["printed"]

KINDS = {"float": "number", "int": "number", "bool": "truth", "str": "text"}


def printed(model: Callable[..., Any]) -> str:
    """Return a function of restricted Python as JavaScript, with those that it uses.

    The last one is the model and takes one object with the arguments by their names;
    the others take them in order.

    Raises
    ------
    ValueError
        If it does what restricted Python does not have; the message names the line.
    """
    done: dict[str, str] = {}
    helpers: set[str] = set()
    _Printer(model, done, helpers, by_name=True).run()
    before = [text for name, text in HELPERS.items() if name in helpers]
    return "\n".join([*before, *done.values()])


class _Printer(Expressions):
    """Prints one function, and before it those that it calls."""

    def __init__(
        self,
        function: Callable[..., Any],
        done: dict[str, str],
        helpers: set[str],
        by_name: bool = False,
    ) -> None:
        super().__init__(self._global)
        if not isinstance(function, FunctionType):
            raise ValueError(f"model must be a function of Python, got {function!r}")
        self.function, self.done, self.by_name = function, done, by_name
        self.helpers = helpers
        self.arguments: set[str] = set()
        self.declared: dict[str, None] = {}  # in order, as in the text

    def run(self) -> None:
        source = textwrap.dedent(inspect.getsource(self.function))
        (tree,) = ast.parse(source).body
        first = self.function.__code__.co_firstlineno
        ast.increment_lineno(tree, first - 1)
        where = f"{self.function.__module__}.{self.function.__name__}"
        try:
            self.done[self.function.__name__] = self._function(tree)
        except RefusedError as error:
            raise ValueError(f"{where}, {error}") from None

    def _function(self, tree: ast.stmt) -> str:
        if not isinstance(tree, ast.FunctionDef) or tree.decorator_list:
            raise self.refuse(tree, "a model is a plain function")
        a = tree.args
        if a.vararg or a.kwarg or a.defaults or a.kw_defaults:
            raise self.refuse(tree, "every argument is given, by the name it has")
        for argument in a.args:
            kind = ast.unparse(argument.annotation) if argument.annotation else ""
            is_list = kind.startswith("list[")
            self.arguments.add(argument.arg)
            self._declare(argument, argument.arg)
            self.kinds[argument.arg] = "list" if is_list else KINDS.get(kind, "any")
        body = self._block(tree.body)
        names = ", ".join(argument.arg for argument in a.args)
        names = f"{{ {names} }}" if self.by_name else names
        variables = [f"  let {', '.join(self.declared)};"] if self.declared else []
        lines = [f"function {tree.name}({names}) {{", *variables, *body, "}"]
        return "\n".join(lines)

    def _declare(self, node: ast.AST, name: str) -> None:
        if name in RESERVED:
            raise self.refuse(node, f"{name!r} is a word of JavaScript")
        if name not in self.arguments:
            self.declared[name] = None

    def _block(self, body: list[ast.stmt]) -> list[str]:
        return [f"  {line}" for node in body for line in self._statement(node)]

    def _statement(self, node: ast.stmt) -> list[str]:
        match node:
            case ast.Assign(targets=[target]):
                return [self._assign(target, node.value)]
            case ast.AnnAssign(value=ast.expr()):
                assert node.value is not None
                return [self._assign(node.target, node.value)]
            case ast.AugAssign():
                new = ast.BinOp(node.target, node.op, node.value)
                return [self._assign(node.target, ast.copy_location(new, node))]
            case ast.Expr(value=ast.Constant(value=str())):
                return []  # the docstring
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(attr="append") as f, args=[one])
            ) if self.kind(f.value) in ("list", "any"):
                return [f"{self.text(f.value)}.push({self.text(one)});"]
            case ast.If():
                lines = [f"if ({self.truth(node.test)}) {{", *self._block(node.body)]
                if node.orelse:
                    lines += ["} else {", *self._block(node.orelse)]
                return [*lines, "}"]
            case ast.While(orelse=[]):
                head = f"while ({self.truth(node.test)}) {{"
                return [head, *self._block(node.body), "}"]
            case ast.For(target=ast.Name(id=name), orelse=[]):
                return self._loop(name, node)
            case ast.Break():
                return ["break;"]
            case ast.Continue():
                return ["continue;"]
            case ast.Return(value=ast.expr() as value):
                return [f"return {self._result(value)};"]
        what = ast.unparse(node).partition("\n")[0]
        raise self.refuse(node, f"{what!r} is not restricted Python")

    def _assign(self, target: ast.expr, value: ast.expr) -> str:
        text = self.text(value)
        match target:
            case ast.Name(id=name):
                kind = self.kind(value)
                known = self.kinds.get(name, kind)
                if kind != known and "any" not in (kind, known):
                    raise self.refuse(value, f"{name!r} is a {known}, and now a {kind}")
                self.kinds[name] = known if kind == "any" else kind
                self._declare(target, name)
                return f"{name} = {text};"
            case ast.Tuple(elts=elts):
                for one in elts:
                    if not isinstance(one, ast.Name):
                        raise self.refuse(target, "names on the left of a tuple")
                    self.kinds.setdefault(one.id, "any")
                    self._declare(one, one.id)
                return f"[{', '.join(self.text(one) for one in elts)}] = {text};"
            case ast.Subscript(value=ast.Name() as where, slice=index):
                return f"{self.text(where)}[{self.number(index)}] = {text};"
        raise self.refuse(target, f"{ast.unparse(target)!r} on the left")

    def _loop(self, name: str, node: ast.For) -> list[str]:
        self._declare(node, name)
        self.kinds.setdefault(name, "any")
        match node.iter:
            case ast.Call(func=ast.Name(id="range"), args=[*bounds], keywords=[]):
                numbers = [self.number(bound) for bound in bounds]
                start, stop = ["0", *numbers] if len(numbers) == 1 else numbers[:2]
                step = bounds[2] if len(bounds) == 3 else ast.Constant(1)
                by = ast.literal_eval(ast.unparse(step))
                sign = "<" if by > 0 else ">"
                head = (
                    f"for (let {name}$ = {start}, end$ = {stop}; {name}$ {sign} end$; "
                    f"{name}$ += {by}) {{"
                )
                return [head, f"  {name} = {name}$;", *self._block(node.body), "}"]
        head = f"for ({name} of {self.text(node.iter)}) {{"
        return [head, *self._block(node.body), "}"]

    def _result(self, value: ast.expr) -> str:
        if not isinstance(value, ast.Dict):
            return self.text(value)
        pairs = []
        for key, item in zip(value.keys, value.values, strict=True):
            if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
                raise self.refuse(value, "the names of results are plain texts")
            pairs.append(f"{key.value}: {self.text(item)}")
        return f"{{ {', '.join(pairs)} }}"

    def _global(self, name: str) -> str | None:
        """Print a number, a text, a list of them, or a function, defined outside."""
        value = self.function.__globals__.get(name)
        if isinstance(value, FunctionType):
            if name not in self.done:
                self.done[name] = ""  # so that a circle ends here
                _Printer(value, self.done, self.helpers).run()
            return name
        if isinstance(value, int | float | str | tuple):
            return json.dumps(value, ensure_ascii=False)
        return None
