"""A fingerprint changes with what a run may compute, and with nothing else."""

import functools
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from deepopt_lib import nn, optim
from deepopt_lib.trials import Rates, digest, fingerprint

CODE = '''
"""A page."""
import numpy as np
from deepopt_lib import nn, trials

STEPS = 10
DATA = np.arange(3.0)

def helper(x):
    return x + 1

def run(seed, lr=0.1):
    """Train."""
    w = nn.init_mlp(np.random.default_rng(seed), [2, 3])  # a start
    return helper(lr * STEPS * DATA.sum() * len(w))

print(trials.digest(run))
'''

CHANGES = {
    "a number": ("STEPS = 10", "STEPS = 11"),
    "an array": ("arange(3.0)", "arange(4.0)"),
    "a function that is called": ("x + 1", "x + 2"),
    "a default": ("lr=0.1", "lr=0.2"),
    "the body": ("lr * STEPS", "lr + STEPS"),
    "a function of the library": ("nn.init_mlp", "nn.init_lstm"),
}
NOTES = {
    "a comment": ("# a start", "# the start"),
    "a docstring": ('"""Train."""', '"""Train it."""'),
    "an annotation": ("def run(seed,", "def run(seed: int,"),
    "blanks": ("lr * STEPS", "lr  *  STEPS"),
    "another variable": ("STEPS = 10", "STEPS = 10\nOTHER = 3\nseed = 5"),
}


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what a page prints, by what was changed in it."""
    folder = tmp_path_factory.mktemp("pages")
    pages = {"nothing": CODE}
    pages |= {kind: CODE.replace(*change) for kind, change in (CHANGES | NOTES).items()}
    paths = {kind: folder / f"page{i}.py" for i, kind in enumerate(pages)}
    for kind, path in paths.items():
        path.write_text(textwrap.dedent(pages[kind]))
    each = (
        "import runpy, sys; [runpy.run_path(p, {}, '__main__') for p in sys.argv[1:]]"
    )
    line = [sys.executable, "-c", each, *map(str, paths.values())]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return dict(zip(paths, done.stdout.split(), strict=True))


@pytest.mark.parametrize("kind", CHANGES)
def test_what_counts(kind: str, digests: dict[str, str]) -> None:
    assert digests[kind] != digests["nothing"]


@pytest.mark.parametrize("kind", NOTES)
def test_what_does_not(kind: str, digests: dict[str, str]) -> None:
    assert digests[kind] == digests["nothing"]


def test_values_are_told_apart() -> None:
    values: list[Any] = [
        *(1, 1.0, True, "1", None, b"1", 1j, (1,), [1], {1: 1}, {1}, (1, 1), [[1], 1]),
        *(np.ones(1), np.ones((1, 1)), np.ones(1, int), np.float32(1), np.sqrt),
        *(optim.adam(0.1), optim.adam(0.2), optim.sgd(0.1), Rates(1, 2), Rates(1, 3)),
        *(nn.mlp, nn.init_mlp, nn.lstm, np, functools.partial(nn.mlp, 1), int),
    ]
    assert len({digest(v) for v in values}) == len(values)
    assert [digest(v) for v in values] == [digest(v) for v in values]


def test_equal_values_are_alike() -> None:
    assert digest({"a": np.arange(3)}) == digest({"a": np.arange(3)})
    assert digest(optim.adam(0.1)) == digest(optim.adam(0.1))
    assert digest({1, 2, 3}) == digest({3, 2, 1})


def test_a_strided_array_counts_by_its_numbers() -> None:
    assert digest(np.arange(6)[::2]) == digest(np.array([0, 2, 4]))


def enclosing(value: Any) -> Any:
    def inner() -> Any:
        return value

    return inner


def test_what_a_function_closes_over_counts() -> None:
    assert digest(enclosing(1)) != digest(enclosing(2))
    assert digest(enclosing(1)) == digest(enclosing(1))


def test_a_cached_function_counts_by_what_it_computes() -> None:
    one, two = (functools.cache(enclosing(value)) for value in (1, 2))
    assert digest(one) != digest(two)
    assert digest(one) == digest(functools.cache(enclosing(1)))


def test_functions_of_other_packages_count_by_name() -> None:
    assert digest(optimize.minimize) != digest(optimize.root)
    assert digest(textwrap.dedent) != digest(textwrap.indent)


def test_what_compares_has_no_part_in_what_is_compared() -> None:
    before = digest(Rates)
    fingerprint._closure.cache_clear()
    assert fingerprint._closure("deepopt_lib.trials.grid") == fingerprint._closure(
        "deepopt_lib.trials.run"
    )
    assert digest(Rates) == before


def test_a_loop_of_references_ends() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    assert digest(loop) == digest(loop)


def test_hidden_states_are_refused() -> None:
    for thing in (np.random.default_rng(0), iter([1]), open):
        if thing is not open:
            with pytest.raises(TypeError, match="its state cannot be seen"):
                digest(thing)
    with pytest.raises(TypeError, match="give it a name by def"):
        digest(lambda: 1)
