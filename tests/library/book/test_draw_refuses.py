"""What cannot be drawn is refused, by name and value, before anything is drawn."""

from typing import Any

import numpy as np
import pytest

from deepopt_lib.book import draw

NAN = float("nan")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "block_sparse",
            {"matrix": [1.0]},
            r"matrix must have 2 axes, got shape \(1,\)",
        ),
        ("block_sparse", {"matrix": np.eye(9)}, r"matrix must be at most 8 × 8, got"),
        ("block_sparse", {"block": 1}, r"block must be an int in \[2, 4\], got 1"),
        ("block_sparse", {"block": 3}, r"block must divide the shape \(6, 8\), got 3"),
        (
            "block_sparse",
            {"matrix": np.zeros((4, 4))},
            "blocks to store must be .*got 0",
        ),
        (
            "block_sparse",
            {"matrix": np.ones((6, 6))},
            "blocks to store must be .*got 9",
        ),
        ("brain_surgeon", {"weights": [1.0, 2.0]}, "number of weights must be .*got 2"),
        ("brain_surgeon", {"weights": [1, 1, 1.0]}, "hessian must be symmetric, 3 × 3"),
        (
            "brain_surgeon",
            {"hessian": np.triu(np.ones((4, 4)))},
            "hessian must be symm",
        ),
        ("brain_surgeon", {"hessian": -np.eye(4)}, "hessian must be positive definite"),
        ("brain_surgeon", {"weights": [1, 0, 1, 1]}, "no weight zero"),
        ("code_book", {"indices": [[0.5]]}, r"indices must be ints, at most 4 × 4"),
        (
            "code_book",
            {"indices": np.zeros((5, 2), int)},
            r"at most 4 × 4, got \(5, 2\)",
        ),
        ("code_book", {"indices": [[-1, 0]]}, "smallest index must be an int >= 0"),
        (
            "code_book",
            {"indices": [[4, 0]]},
            r"largest index must be .*\[0, 3\], got 4",
        ),
        (
            "code_book",
            {"indices": [[0, 1]]},
            "every value must be used, got the counts",
        ),
        ("code_book", {"values": [1.0]}, r"number of values must be .*\[2, 4\], got 1"),
        ("csr", {"matrix": np.eye(5)}, r"matrix must be at most 4 × 7, got \(5, 5\)"),
        ("csr", {"matrix": np.zeros((2, 2))}, "entries of matrix must be .*got 0"),
        ("csr", {"matrix": np.ones((4, 3))}, "entries of matrix must be .*got 12"),
        ("csr", {"matrix": [[NAN]]}, "matrix has 1 entries that are NaN"),
        ("csr", {"matrix": [[0.123456]]}, "'0.123456' is wider than its cell"),
        (
            "deep_compression",
            {"sizes": [3, 2, 1]},
            r"sizes must be four that fall, got",
        ),
        ("deep_compression", {"sizes": [4, 3, 2, 0]}, "sizes must be four that fall"),
        ("deep_compression", {"sizes": [4, 3, 2, 3]}, "sizes must be four that fall"),
        ("distillation", {"logits": [1, 2]}, "number of logits must be .*got 2"),
        ("distillation", {"classes": ("a",)}, r"classes must be 4 names, got \('a',\)"),
        (
            "distillation",
            {"temperature": 1},
            r"temperature must be in \(1, inf\), got 1",
        ),
        ("error_feedback", {"gradients": [1]}, "gradients must be 3 to 5, got 1"),
        (
            "error_feedback",
            {"gradients": [0, 1, 1]},
            r"gradient must be in \(0, 1\], got 0",
        ),
        (
            "error_feedback",
            {"code": lambda p: p + 1},
            r"code must be in \[0, 0.75\], got",
        ),
        ("lora", {"m": 0}, "m must be an int >= 1, got 0"),
        ("lora", {"m": 4, "n": 4, "r": 2}, "r must be below 2, got 2"),
        ("low_rank", {"r": 310}, "r must be below 309.7, got 310"),
        ("low_rank", {"n": 2.5}, "n must be an int >= 1, got 2.5"),
        ("memory", {"levels": [("a", 1, 1)]}, "levels must be 3 to 6, got 1"),
        (
            "memory",
            {"levels": [("a", 10, 1), ("b", 5, 2), ("c", 20, 3)]},
            r"bytes of b must be in \(10, inf\), got 5",
        ),
        (
            "memory",
            {"levels": [("a", 10, 1), ("b", 15, 1), ("c", 20, 3)]},
            r"nanoseconds of b must be in \(1, inf\), got 1",
        ),
        ("minibatch", {"n": 15}, r"n must be an int in \[4, 14\], got 15"),
        ("minibatch", {"batch": 5}, "batch must divide n = 12 into two or more, got 5"),
        ("minibatch", {"n": 6, "batch": 6}, "batch must divide n = 6 into two or more"),
        ("minibatch", {"seed": -1}, "seed must be an int >= 0, got -1"),
        ("online_softmax", {"scores": [1.0]}, "number of scores must be .*got 1"),
        ("online_softmax", {"tile": 4}, "tile must cut 6 scores into 2 to 4, got 4"),
        ("online_softmax", {"tile": 1}, "tile must cut 6 scores into 2 to 4, got 1"),
        ("pipeline", {"stages": 1}, r"stages must be an int in \[2, 4\], got 1"),
        ("pipeline", {"parts": 6}, r"parts must be an int in \[1, 5\], got 6"),
        ("private_sgd", {"gradients": np.ones((2, 3))}, r"must be \(2 to 8, 2\), got"),
        ("private_sgd", {"gradients": np.ones((9, 2))}, r"must be \(2 to 8, 2\), got"),
        ("private_sgd", {"clip": 0}, r"clip must be in \(0, inf\), got 0"),
        ("private_sgd", {"noise": -1}, r"noise must be in \(0, inf\), got -1"),
        ("private_sgd", {"seed": 0.5}, "seed must be an int >= 0, got 0.5"),
        ("quantization_grid", {"bits": 5}, r"bits must be an int in \[2, 4\], got 5"),
        ("quantization_grid", {"low": 1}, r"low must be in \(-inf, 0\], got 1"),
        ("quantization_grid", {"high": 0}, r"high must be in \(0, inf\), got 0"),
        ("quantization_grid", {"values": []}, r"values is empty"),
        (
            "quantization_grid",
            {"values": np.ones(13)},
            "number of values must .*got 13",
        ),
        ("ring", {"ranks": 5}, r"ranks must be an int in \[3, 4\], got 5"),
        ("roofline", {"bandwidth": 0}, r"bandwidth must be in \(0, inf\), got 0"),
        ("roofline", {"peak": NAN}, r"peak must be in \(0, inf\), got nan"),
        ("roofline", {"peak": 1e9}, r"peak / bandwidth must be in \[1, 64\], got 0.05"),
        ("roofline", {"kernels": {"x": 0.01}}, r"kernels\['x'\] must be in .*got 0.01"),
        ("state_blocks", {"block": 4}, "block must divide 9 entries into more, got 4"),
        (
            "state_blocks",
            {"state": [1, 2, 0, 4], "block": 2},
            "state must have no zeros",
        ),
        ("state_blocks", {"state": [1.0]}, "entries of state must be .*got 1"),
        ("straight_through", {"bits": 4}, r"bits must be an int in \[1, 3\], got 4"),
        ("tape", {"w": NAN}, "w must be a finite number, got nan"),
        ("two_four", {"column": np.ones(4)}, "column must hold 8 numbers, got 4"),
        ("velocity", {"lr": 2.0}, r"lr must be in \(0, 2\), got 2"),
        ("velocity", {"mu": 1}, r"mu must be in \[0, 1\), got 1"),
        ("velocity", {"mu": 0.95}, "a path leaves the drawing: lr = 1.7, mu = 0.95"),
        ("velocity", {"curvature": (1, 0.5)}, r"curvature\[1\] must be in \[1, inf\)"),
        ("velocity", {"steps": 41}, r"steps must be an int in \[1, 40\], got 41"),
        ("zero", {"state": 0}, r"state must be in \(0, inf\), got 0"),
        ("zero", {"ranks": 8}, r"ranks must be an int in \[2, 4\], got 8"),
    ],
)
def test_refused(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(draw, name)(**arguments)


@pytest.mark.parametrize("name", draw.__all__)
def test_a_drawing_has_a_caption(name: str) -> None:
    with pytest.raises(ValueError, match="caption must say what is learned, got ' '"):
        getattr(draw, name)(caption=" ")
    assert "<figcaption>Mine.</figcaption>" in getattr(draw, name)(caption="Mine.").data
