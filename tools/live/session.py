"""Cells of a page, run one after another, and what each of them shows.

This module runs in the browser, beside the library; `stand_in` has what Pyodide lacks.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import linecache
import sys
import traceback
import types
from typing import Any

from tools.live.stand_in import Shown, adjust, newer_matplotlib, stand_in

__all__ = ["Session"]


class Session:
    """The cells of one page share one namespace, that of the module ``__main__``."""

    def __init__(self) -> None:
        self.main = types.ModuleType("__main__")
        self.outputs: list[dict[str, Any]] = []
        self.count = 0

    def start(self) -> None:
        """Be the program that runs, with everything that stands in."""
        sys.modules["__main__"] = self.main
        sys.modules.update(stand_in(self.display, self.glue))
        adjust()

    def run(self, source: str) -> str:
        """Run a cell; return its outputs as JSON, a list of kinds and texts."""
        self.outputs, self.count = [], self.count + 1
        name = f"<cell {self.count}>"
        lines = source.splitlines(keepends=True)
        linecache.cache[name] = (len(source), None, lines, name)
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                quiet = source.rstrip().endswith(";")
                self._execute(ast.parse(source, name), name, quiet)
        except BaseException as error:
            self._show_stream(said)
            kind = type(error).__name__
            self.outputs.append(
                {"kind": "error", "name": kind, "text": told(error, name)}
            )
        else:
            self._show_stream(said)
        self._show_figures()
        return json.dumps(self.outputs)

    def display(self, *things: Any) -> None:
        """Show some things, in turn."""
        for thing in things:
            self.outputs.append(bundle(thing))

    def glue(self, name: str, value: Any, display: bool = True) -> None:
        """Keep a value for the text of the page, and show it if asked to."""
        if display:
            self.display(value)
        self.outputs.append({"kind": "glue", "name": name, "text": repr(value)})

    def _execute(self, tree: ast.Module, name: str, quiet: bool) -> None:
        """Run statement by statement, as IPython does; show the value of the last.

        Compiled at once, equal constants of a cell would be one object, and what
        `deepopt_lib.trials` has stored would not be found.
        """
        for statement in tree.body:
            if isinstance(statement, ast.Expr) and statement is tree.body[-1]:
                code = compile(ast.Expression(statement.value), name, "eval")
                value = eval(code, vars(self.main))
                if value is not None and not quiet:
                    self.display(value)
            else:
                exec(
                    compile(ast.Module([statement], []), name, "exec"), vars(self.main)
                )

    def _show_stream(self, said: io.StringIO) -> None:
        if said.getvalue():
            self.outputs.insert(0, {"kind": "stream", "text": said.getvalue()})

    def _show_figures(self) -> None:
        """Show what was drawn, once, as a notebook does at the end of a cell."""
        if "matplotlib.pyplot" not in sys.modules:
            return
        plt = sys.modules["matplotlib.pyplot"]
        for number in plt.get_fignums():
            figure = plt.figure(number)
            if not any(output.get("figure") is figure for output in self.outputs):
                self.display(figure)
        for output in self.outputs:
            output.pop("figure", None)
        plt.close("all")


def bundle(thing: Any) -> dict[str, Any]:
    """Return what is shown of a thing: its kind and text, of a figure both widths."""
    if isinstance(thing, Shown):
        return {"kind": thing.kind, "text": thing.data}
    if type(thing).__name__ == "Figure" and hasattr(thing, "savefig"):
        from deepopt_lib.book import svg

        with newer_matplotlib(svg):
            texts = svg.bundle(thing)
        return {
            "kind": "image/svg+xml",
            "text": texts["image/svg+xml"],
            "narrow": texts[svg.NARROW_TYPE],
            "figure": thing,
        }
    return {"kind": "text/plain", "text": repr(thing)}


def told(error: BaseException, name: str) -> str:
    """Return a traceback from the cell on: how the session came there is no news."""
    lines = traceback.TracebackException.from_exception(error)
    while lines.stack and lines.stack[0].filename != name:
        del lines.stack[0]
    return "".join(lines.format()).rstrip()
