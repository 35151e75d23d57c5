"""The instrument: what it perturbs, what it leaves, what it says of a notebook."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.portable import record, variants
from tools.portable.declared import problems
from tools.portable.hook import NAME, Rewrite
from tools.portable.perturb import Arithmetic
from tools.portable.variants import ROOT, VARIANTS, Variant

EPS = np.finfo(float).eps


def perturbed(source: str, seed: int = 1, /, **names: Any) -> Any:
    """Evaluate an expression by the other processor."""
    tree = ast.parse(source, mode="eval")
    code = compile(Rewrite().visit(tree), "expression", "eval")
    return eval(code, {"np": np, NAME: Arithmetic(seed).rounded, **names})


A = np.random.default_rng(0).normal(size=(30, 30))


@pytest.mark.parametrize(
    "source",
    [
        "A @ A",
        "A.sum()",
        "np.sum(A, axis=0)",
        "np.exp(A)",
        "A.mean()",
        "np.linalg.norm(A)",
    ],
)
def test_what_is_rounded_otherwise_moves_by_the_last_bits(source: str) -> None:
    exact, moved = eval(source, {"A": A, "np": np}), perturbed(source, A=A)
    assert np.any(moved != exact) or np.ndim(exact) == 0
    np.testing.assert_allclose(moved, exact, rtol=2 * EPS, atol=0)
    assert np.shape(moved) == np.shape(exact) and type(moved) is type(exact)
    assert any(np.any(perturbed(source, s, A=A) != exact) for s in range(9))


@pytest.mark.parametrize(
    "source",
    ["I @ I", "I.sum()", "(I / 8).mean()", "B.mean()", "np.dot(I, I)", "A + A * 2",
     "np.sqrt(A * A)", "A.max()", "A[:, :1] @ A[:1]", "A[:7].sum(axis=0)",
     "A[:, :7].std(axis=1)", "np.mean([0.884, 0.893])", "(0 * A).sum()",
     "np.argsort(A)", "np.linalg.matrix_rank(A)", "C @ C.T"],
)  # fmt: skip
def test_what_all_processors_agree_on_stays(source: str) -> None:
    codes = np.random.default_rng(0).integers(-127, 128, (9, 784)).astype(np.float32)
    names: dict[str, Any] = {"A": A, "B": A > 0, "C": codes, "np": np}
    names["I"] = np.arange(16.0).reshape(4, 4)
    assert np.array_equal(eval(source, dict(names)), perturbed(source, **names))


def test_float32_stays_float32_and_moves_by_its_own_precision() -> None:
    small = A.astype(np.float32)
    moved = perturbed("A @ A", A=small)
    assert moved.dtype == np.float32 and np.any(moved != small @ small)
    np.testing.assert_allclose(moved, small @ small, rtol=3e-7)


def test_products_of_fractions_have_twice_their_digits() -> None:
    """Sums of thousandths are exact in float32, sums of their products are not."""
    grid = (np.rint(A * 1024) / 1024).astype(np.float32)
    assert np.array_equal(perturbed("G.sum(axis=0)", G=grid), grid.sum(axis=0))
    assert np.any(perturbed("G @ G", G=grid) != grid @ grid)


def test_the_signs_of_singular_vectors_are_drawn_and_the_product_stays() -> None:
    U, s, Vt = perturbed("np.linalg.svd(A)", A=A)
    plain = np.linalg.svd(A)
    turned = np.sign((U * plain.U).sum(axis=0))
    assert set(turned) == {-1.0, 1.0}
    np.testing.assert_allclose(U * s @ Vt, A, atol=1e-12)
    vectors = perturbed("np.linalg.eigh(A + A.T)", A=A)[1]
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(30), atol=1e-12)


def test_an_output_array_is_written_in_place() -> None:
    out = np.zeros_like(A)
    assert perturbed("np.matmul(A, A, out=out)", A=A, out=out) is out
    assert np.any(out != A @ A)


def test_seeds_differ_and_each_repeats_itself() -> None:
    one, same, other = (perturbed("A @ A", seed, A=A) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_the_library_is_rewritten_where_the_environment_says_so() -> None:
    program = (
        "import numpy as np; from deepopt_lib import core\n"
        "x = {'w': np.random.default_rng(0).normal(size=1000)}\n"
        "print(float(core.global_norm(x)).hex())"
    )
    results = set()
    for seed in (None, 1, 2, 3):
        env = Variant("one", seed=seed).environment([])
        command = [sys.executable, "-c", program]
        results.add(subprocess.check_output(command, env=env, text=True))
    assert len(results) > 1


def test_each_variant_sets_what_it_names() -> None:
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)
    assert variants.FOREIGN in {variant.name for variant in VARIANTS}
    env = Variant("x", "", "Nehalem", ("AVX512",), threads=2, seed=3).environment(
        ["AVX2", "AVX512F", "AVX512_SKX"]
    )
    assert env["OPENBLAS_CORETYPE"] == "Nehalem" and env["OMP_NUM_THREADS"] == "2"
    assert env["NPY_DISABLE_CPU_FEATURES"] == "AVX512F,AVX512_SKX"
    assert env["DEEPOPT_PERTURB"] == "3" and str(ROOT) in env["PYTHONPATH"]
    plain = Variant("native").environment([])
    assert not {
        "OPENBLAS_CORETYPE",
        "NPY_DISABLE_CPU_FEATURES",
        "DEEPOPT_PERTURB",
    } & set(plain)


def test_a_variant_that_cannot_run_says_why() -> None:
    assert "no kernels" in variants.why_not(Variant("x", "", "Nonsuch"), [])
    assert "no such loops" in variants.why_not(Variant("x", without=("SVE",)), ["NEON"])
    assert variants.why_not(Variant("native"), []) == ""


def notebook(folder: Path, text: str, **metadata: Any) -> Path:
    """Write a notebook of one cell that has printed a text."""
    out = {"output_type": "stream", "name": "stdout", "text": text}
    cell = {"cell_type": "code", "source": "", "metadata": metadata, "outputs": [out]}
    path = folder / "page.ipynb"
    path.write_text(json.dumps({"cells": [cell]}))
    return path


def told(path: Path, **runs: Any) -> list[str]:
    """Return what the rules say of the notebook, given what moved in each variant."""
    found = {
        "variants": {v: {"skipped": "", "folder": ""} for v in runs},
        "notebooks": {path.name: runs},
    }
    return problems(path, found, path.parent)


RAN = {"skipped": "", "folder": ""}
SKIPPED = {"skipped": "no kernels", "folder": ""}
MOVED = {"0": {"spread": "0.02", "moved": [["0.50", "0.52"]]}}


def test_a_cell_that_stays_needs_nothing(tmp_path: Path) -> None:
    assert told(notebook(tmp_path, "a 0.50"), native={}, other={}) == []


@pytest.mark.parametrize("atol", [0.02, 0.03, 0.04])
def test_a_tolerance_between_the_spread_and_its_double(
    tmp_path: Path, atol: float
) -> None:
    path = notebook(tmp_path, "a 0.50", compare={"atol": atol})
    assert told(path, native={}, other=MOVED) == []


@pytest.mark.parametrize(
    ("metadata", "runs", "problem"),
    [
        ({}, {"a": MOVED}, "moved by 0.02 under a"),
        ({"compare": {"atol": 0.019}}, {"a": MOVED}, "0.019, its spread is 0.02"),
        ({"compare": {"atol": 0.041}}, {"a": MOVED}, "declares 0.041"),
        ({"compare": {"atol": 0.02}}, {"a": {}}, "no variant moved a number"),
        ({}, {"a": {"0": {"words": ["yes", "no"]}}}, "says something else under a"),
        ({}, {"a": {"0": {"failed": "AssertionError: 1"}}}, "fails under a"),
        ({"compare": {"atol": 0.02}, "tags": ["nbval-ignore-output"]}, {"a": MOVED},
         "is not compared"),
        ({"compare": {"atol": 0.2}}, {"a": {"0": {"spread": "0.2",
                                                  "moved": [["0.50", "0.70"]]}}},
         "prints a digit too many"),
        ({"compare": {"atol": 0.02}}, {"a": {"0": {"spread": "0.02",
                                                   "moved": [["0.40", "0.42"]]}}},
         "has changed since"),
    ],
)  # fmt: skip
def test_what_is_refused(
    tmp_path: Path, metadata: dict[str, Any], runs: dict[str, Any], problem: str
) -> None:
    assert problem in "\n".join(told(notebook(tmp_path, "a 0.50", **metadata), **runs))


def test_a_missing_record_or_run_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    path = notebook(tmp_path, "a 0.50")
    monkeypatch.setattr(record, "RECORD", tmp_path / "none.json")
    found = problems(path, record.load_record(), tmp_path)
    assert found == ["no variant was run: make portable"]
    ran = {"variants": {"a": RAN, "b": SKIPPED},
           "notebooks": {}}  # fmt: skip
    (only,) = problems(path, ran, tmp_path)
    assert only.startswith("not run under a")


def test_fresh_texts_become_rows(tmp_path: Path) -> None:
    path = notebook(tmp_path, "a 0.50\nb 7")
    assert record.compare(path, [[("stdout", "a 0.50\nb 7")]]) == {}
    assert record.compare(path, [[("stdout", "a 0.52\nb 7")]]) == MOVED
    words = record.compare(path, [[("stdout", "a 0.50\nc 7")]])
    assert words == {"0": {"words": ["b 7", "c 7"]}}
    failed = record.compare(path, [[("error", "E: x"), ("stdout", "a 0.50\nb 7")]])
    assert failed == {"0": {"failed": "E: x"}}


def test_a_timing_is_no_number_of_the_record(tmp_path: Path) -> None:
    path = notebook(tmp_path, "3 ms", tags=["nbval-ignore-output"])
    assert record.compare(path, [[("error", "AssertionError: busy")]]) == {}


def test_the_table_counts_cells(tmp_path: Path) -> None:
    rows = {"a": MOVED | {"1": {"failed": "x"}, "2": {"words": ["x", "y"]}}}
    text = record.summary(
        {"variants": {"a": RAN, "b": SKIPPED},
         "notebooks": {"page.ipynb": rows}}
    )  # fmt: skip
    assert text.splitlines()[1].split() == ["a", "1", "1", "1"]
    assert text.splitlines()[2].endswith("skipped: no kernels")
