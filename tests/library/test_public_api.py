"""The public surface: listed, documented, promised, and without swallowed keywords."""

import ast
import inspect
import subprocess
import sys
import types
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest

import deepopt_lib
from tests.library.registry import LIBRARY, PACKAGES, ROOT, files, modules, offered

# A package within a package is a folder, and offers nothing itself.
MODULES = sorted(
    name
    for name, module in modules().items()
    if name in PACKAGES or not hasattr(module, "__path__")
)
every_module = pytest.mark.parametrize("name", MODULES)

# The names and parameters on which others rely.
PROMISED = {
    "optim.GradientDescent": "()",
    "optim.Momentum": "(mu=0.9, nesterov=False, ema=False)",
    "optim.AdaGrad": "(eps=1e-10)",
    "optim.RMSprop": "(b2=0.99, eps=1e-08)",
    "optim.Adam": "(b1=0.9, b2=0.999, eps=1e-08)",
    "optim.AMSGrad": "(b1=0.9, b2=0.999, eps=1e-08)",
    "optim.Lion": "(b1=0.9, b2=0.99)",
    "optim.WeightDecay": "(lam)",
    "optim.Orthogonalize": "(steps=5)",
    "optim.chain": "(*rules)",
    "optim.Optimizer": "(rule, lr)",
    "optim.Optimizer.init": "(self, params)",
    "optim.Optimizer.step": "(self, grads, state, params)",
    "optim.InPlace": "(optimizer, params, threads=1, ...)",  # and what it likes
    "optim.InPlace.step": "(self, grads)",
    "optim.sgd": "(lr)",
    "optim.momentum": "(lr, mu=0.9)",
    "optim.adagrad": "(lr)",
    "optim.rmsprop": "(lr)",
    "optim.adam": "(lr)",
    "optim.adamw": "(lr, lam=0.01)",
    "optim.lion": "(lr, lam=0.0)",
    "optim.muon": "(lr)",
    "autodiff.value_and_grad": "(f)",
    "autodiff.tanh": "(a)",
    "autodiff.sum": "(a, *, axis=None)",
    "nn.init_mlp": "(rng, sizes, *, gain=2.0, dtype=float64)",
    "nn.mlp": "(params, x, activation=relu)",
    "compress.Affine": "(bits=8, symmetric=False, axis=None, block=None, "
    "range='minmax')",
    "compress.activation_aware": "(W, x, r, damp=1e-06)",
    "compress.integer_mlp": "(params, x)",
}
COMMANDS = ("compress", "parallel")
# What a protocol says once for all that follow it.
PROTOCOL = ("init", "update", "encode", "decode")


def load(name: str) -> types.ModuleType:
    return modules()[name if name.startswith("deepopt_lib") else f"deepopt_lib.{name}"]


def public(name: str) -> Iterator[tuple[str, Any]]:
    module = load(name)
    for item in module.__all__:
        yield f"{name}.{item}", getattr(module, item)


def own_methods(cls: type) -> Iterator[tuple[str, Any]]:
    for name, value in vars(cls).items():
        if not name.startswith("_") and isinstance(
            value, types.FunctionType | property | classmethod | staticmethod
        ):
            yield name, value


@every_module
def test_module_lists_what_it_offers(name: str) -> None:
    module = load(name)
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    for item in module.__all__:
        assert hasattr(module, item), f"{name}.__all__ lists {item}, which is not there"
    listed = set(module.__all__)
    for item, value in vars(module).items():
        own = getattr(value, "__module__", "") == module.__name__
        if own and callable(value) and not item.startswith("_"):
            helpful = item in listed or _is_helper(value)
            assert helpful, f"{name}.{item} is neither listed nor private"


def _is_helper(value: Any) -> bool:
    """Say whether a name is shared within the package: state types and validators."""
    if isinstance(value, type):
        return issubclass(value, tuple)
    return str(value.__name__).startswith(("check_", "same_", "is_"))


@every_module
def test_everything_public_is_documented(name: str) -> None:
    for label, value in public(name):
        if not isinstance(value, type) and not inspect.isroutine(value):
            continue  # data and type aliases say what they are where they are defined
        doc = inspect.getdoc(value) or ""
        assert len(doc) > 10, f"{label} has no docstring"
        assert not doc.startswith(f"{label.split('.')[1]}("), (
            f"{label} has no docstring"
        )


@every_module
def test_public_methods_are_documented(name: str) -> None:
    """A rule's init and update say in the protocol what they do."""
    for label, value in public(name):
        if not isinstance(value, type):
            continue
        for method, function in own_methods(value):
            documented = inspect.getdoc(function) or inspect.getdoc(
                getattr(value, method)
            )
            inherited = hasattr(value, "update") and method in ("init", "update")
            inherited = inherited or method == "elementwise"
            assert documented or inherited, f"{label}.{method} has no docstring"


@every_module
def test_no_keyword_is_swallowed(name: str) -> None:
    for label, value in public(name):
        found: list[tuple[str, Any]] = []
        if inspect.isroutine(value):
            found.append((label, value))
        if isinstance(value, type):
            found = [(f"{label}.{k}", v) for k, v in own_methods(value)]
            made = value.__init__ is not object.__init__  # type: ignore[misc]
            if made and not issubclass(value, Exception):
                found.append((label, value))
        for what, function in found:
            function = getattr(function, "__func__", function)  # of a classmethod
            if isinstance(function, property) or getattr(value, "_is_protocol", False):
                continue
            kinds = {p.kind for p in inspect.signature(function).parameters.values()}
            assert inspect.Parameter.VAR_KEYWORD not in kinds, f"{what} takes **kwargs"


def shown(default: Any) -> str:
    return str(default.__name__) if callable(default) else repr(default)


def parameters(function: Any) -> str:
    """Return what ``inspect.signature`` does, without types, functions by name."""
    found = []
    kinds = inspect.Parameter
    for p in inspect.signature(function).parameters.values():
        if p.kind is kinds.KEYWORD_ONLY and "*" not in found:
            found.append("*")
        star = "*" if p.kind is kinds.VAR_POSITIONAL else ""
        default = "" if p.default is p.empty else f"={shown(p.default)}"
        found.append(f"{star}{p.name}{default}")
    return f"({', '.join(found)})"


@pytest.mark.parametrize("path", PROMISED)
def test_promised_names_and_defaults(path: str) -> None:
    module, *rest = path.split(".")
    value: Any = load(module)
    assert rest[0] in value.__all__
    for part in rest:
        value = getattr(value, part)
    promised, open_end, _ = PROMISED[path].partition(", ...)")
    assert parameters(value)[: len(promised) if open_end else None] == promised


@pytest.mark.parametrize("name", COMMANDS)
def test_promised_commands(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"deepopt_lib.{name}", "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert f"python -m deepopt_lib.{name}" in done.stdout


def refuses(function: ast.AST) -> bool:
    """Say whether a function raises an error itself, or has something checked."""
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and node.exc is not None:
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).split(".")[-1]
            if name.lstrip("_").startswith("check"):
                return True
    return False


def refusing(tree: ast.Module, names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield every public function or class that refuses something, and its docstring.

    A class speaks for how it is made, each of its methods for itself.
    """
    for top in tree.body:
        if isinstance(top, ast.FunctionDef | ast.ClassDef) and top.name in names:
            doc = ast.get_docstring(top) or ""
            if isinstance(top, ast.FunctionDef):
                if refuses(top):
                    yield top.name, doc
                continue
            for method in top.body:
                if isinstance(method, ast.FunctionDef) and refuses(method):
                    if method.name in ("__init__", "__post_init__"):
                        yield top.name, doc
                    elif method.name[0] != "_" and method.name not in PROTOCOL:
                        yield (
                            f"{top.name}.{method.name}",
                            ast.get_docstring(method) or "",
                        )


PATHS = {name: path for name, path in files(LIBRARY).items() if "." in name}


@pytest.mark.parametrize("name", PATHS)
def test_what_is_refused_is_documented(name: str) -> None:
    """Where a docstring starts with it (of a check), it needs no section."""
    tree = ast.parse(PATHS[name].read_text("utf-8"))
    package = ".".join(name.split(".")[:2])
    names = set(offered(tree)) & set(getattr(load(package), "__all__", ()))
    assert not [
        what
        for what, doc in refusing(tree, names)
        if "Raises\n------\n" not in doc and not doc.startswith("Raise")
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def f(x):\n    return x", []),
        ("def f(x):\n    raise ValueError(x)", ["f"]),
        ("def f(x):\n    x = check_int('x', x)", ["f"]),
        ("def f(x):\n    _check_all(x)", ["f"]),
        ("def f(x):\n    try:\n        g(x)\n    except E:\n        raise", []),
        ("def _g(x):\n    raise ValueError(x)", []),
        ("class C:\n    def __post_init__(self):\n        checks.check_int(1)", ["C"]),
        ("class C:\n    def round(self, x):\n        raise E(x)", ["C.round"]),
        ("class C:\n    def encode(self, x):\n        raise E(x)", []),
    ],
)
def test_what_is_refused_is_found(text: str, found: list[str]) -> None:
    assert [what for what, _ in refusing(ast.parse(text), {"f", "C"})] == found


def test_types_are_shipped() -> None:
    assert resources.files("deepopt_lib").joinpath("py.typed").is_file()


def test_version_is_one() -> None:
    assert deepopt_lib.__version__.count(".") == 2
