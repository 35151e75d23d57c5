"""The model against the same one in PyTorch's own operations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deepopt_lib import language
from deepopt_lib.autodiff import value_and_grad

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "golden" / "torch_language.json").read_text()
)
MODEL = language.LanguageModel(
    symbols=7, context=6, dim=8, layers=2, heads=4, groups=2, hidden=6
)
IDS = np.array([[0, 1, 2, 3, 4, 5], [6, 5, 5, 0, 3, 1]])


def filled(shape: tuple[int, ...], start: int) -> np.ndarray:
    """Repeat what the script fills its parameters with."""
    count = np.arange(np.prod(shape))
    entries: np.ndarray = (((count + start) * 37) % 65 - 32) / 32
    return entries.reshape(shape)


PARAMS = {
    name: filled(shape, start)
    for start, (name, shape) in enumerate(MODEL.shapes().items())
}


@pytest.mark.parametrize(("dtype", "atol"), [("f8", 1e-12), ("f4", 1e-5)])
def test_predictions_and_gradients_are_those_of_pytorch(
    dtype: str, atol: float
) -> None:
    params = {k: w.astype(dtype) for k, w in PARAMS.items()}
    x, y = IDS[:, :-1], IDS[:, 1:]
    logits = MODEL.logits(params, x)
    size = np.abs(GOLDEN["logits"]).max()
    np.testing.assert_allclose(logits, GOLDEN["logits"], rtol=0, atol=atol * size)
    loss, grads = value_and_grad(lambda p: language.loss(MODEL, p, x, y))(params)
    assert float(loss) == pytest.approx(GOLDEN["loss"], abs=atol * size)
    assert grads.keys() == GOLDEN["grads"].keys()
    for name, grad in GOLDEN["grads"].items():
        np.testing.assert_allclose(grads[name], grad, rtol=0, atol=atol, err_msg=name)
