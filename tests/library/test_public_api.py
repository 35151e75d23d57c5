"""The public surface: listed, documented, without swallowed keywords, quick to load."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
import types
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

import deepopt_lib

MODULES = sorted(m.name for m in pkgutil.iter_modules(deepopt_lib.__path__))
every_module = pytest.mark.parametrize("name", MODULES)

# The names and parameters on which others rely.
PROMISED = {
    "rules.GradientDescent": "()",
    "rules.Momentum": "(mu=0.9, nesterov=False, ema=False)",
    "rules.AdaGrad": "(eps=1e-10)",
    "rules.RMSprop": "(b2=0.99, eps=1e-08)",
    "rules.Adam": "(b1=0.9, b2=0.999, eps=1e-08)",
    "rules.AMSGrad": "(b1=0.9, b2=0.999, eps=1e-08)",
    "rules.Lion": "(b1=0.9, b2=0.99)",
    "rules.Orthogonalize": "(steps=5)",
    "rules.WeightDecay": "(lam)",
    "rules.chain": "(*rules)",
    "optimizer.Optimizer": "(rule, lr, fused=False, threads=1)",
    "optimizer.Optimizer.init": "(self, params)",
    "optimizer.Optimizer.step": "(self, grads, state, params)",
    "optimizer.sgd": "(lr)",
    "optimizer.momentum": "(lr, mu=0.9)",
    "optimizer.adagrad": "(lr)",
    "optimizer.rmsprop": "(lr)",
    "optimizer.adam": "(lr)",
    "optimizer.adamw": "(lr, lam=0.01)",
    "optimizer.lion": "(lr, lam=0.0)",
    "optimizer.muon": "(lr)",
    "autodiff.check_grads": "(f, *args, tol=1e-06)",
    "problems.Problem": "(f, grad, x0, minimum)",
    "data.digits": "()",
}


def load(name: str) -> types.ModuleType:
    return importlib.import_module(f"deepopt_lib.{name}")


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
            plain = (object.__init__, ValueError.__init__)
            if value.__init__ not in plain:  # type: ignore[misc]
                found.append((label, value))
        for what, function in found:
            function = getattr(function, "__func__", function)  # of a classmethod
            if isinstance(function, property) or getattr(value, "_is_protocol", False):
                continue
            kinds = {p.kind for p in inspect.signature(function).parameters.values()}
            assert inspect.Parameter.VAR_KEYWORD not in kinds, f"{what} takes **kwargs"


@pytest.mark.parametrize("path", PROMISED)
def test_promised_names_and_defaults(path: str) -> None:
    module, *rest = path.split(".")
    value: Any = load(module)
    for part in rest:
        value = getattr(value, part)
    signature = inspect.signature(value)
    bare = signature.replace(
        parameters=[
            p.replace(annotation=p.empty) for p in signature.parameters.values()
        ],
        return_annotation=signature.empty,
    )
    assert str(bare) == PROMISED[path]


def test_mnist5k_needs_no_argument() -> None:
    parameters = inspect.signature(load("data").mnist5k).parameters.values()
    assert all(p.default is not p.empty for p in parameters)


def test_types_are_shipped() -> None:
    assert files("deepopt_lib").joinpath("py.typed").is_file()


def test_version_is_one() -> None:
    assert deepopt_lib.__version__.count(".") == 2


@pytest.mark.parametrize("name", ["rules", "optimizer", "schedules", "autodiff", "nn"])
def test_importing_the_core_loads_nothing_heavy(name: str) -> None:
    heavy = {"matplotlib", "sklearn", "numba", "scipy", "mlxtend", "IPython", "torch"}
    code = (
        "import sys, deepopt_lib, deepopt_lib.rules, deepopt_lib.optimizer, "
        f"deepopt_lib.{name}\n"
        f"print(*sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.split() == []
