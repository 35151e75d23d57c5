"""The public surface: listed, documented, without swallowed keywords, quick to load."""

import inspect
import subprocess
import sys
import types
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

import deepopt_lib
from tests.library.registry import modules

MODULES = sorted(modules())
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
    "optim.Orthogonalize": "(steps=5)",
    "optim.WeightDecay": "(lam)",
    "optim.chain": "(*rules)",
    "optim.Optimizer": "(rule, lr, fused=False, threads=1)",
    "optim.Optimizer.init": "(self, params)",
    "optim.Optimizer.step": "(self, grads, state, params)",
    "optim.sgd": "(lr)",
    "optim.momentum": "(lr, mu=0.9)",
    "optim.adagrad": "(lr)",
    "optim.rmsprop": "(lr)",
    "optim.adam": "(lr)",
    "optim.adamw": "(lr, lam=0.01)",
    "optim.lion": "(lr, lam=0.0)",
    "optim.muon": "(lr)",
    "autodiff.check_grads": "(f, *args, tol=1e-06)",
    "training.Problem": "(f, grad, x0, minimum)",
    "data.digits": "()",
}


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


@pytest.mark.parametrize("name", ["core", "optim", "autodiff", "nn"])
def test_importing_the_core_loads_nothing_heavy(name: str) -> None:
    heavy = {"matplotlib", "sklearn", "numba", "scipy", "mlxtend", "IPython", "torch"}
    code = (
        f"import sys, deepopt_lib.{name}\nprint(*sorted({heavy!r} & set(sys.modules)))"
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
